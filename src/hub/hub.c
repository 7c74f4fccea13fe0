/* hub.c: opening a hub on its folder and database, and small helpers of all its files. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/file.h"
#include "hub/webhook_internal.h"

static const RepoKindInfo kinds[REPO_KINDS] = {
    [REPO_MODEL] = {"model", "models", "", "Models"},
    [REPO_DATASET] = {"dataset", "datasets", "datasets/", "Datasets"},
    [REPO_SPACE] = {"space", "spaces", "spaces/", "Spaces"},
};

const RepoKindInfo *repo_kind_info(RepoKind kind)
{
    return &kinds[kind];
}

bool repo_kind_parse(Str name, RepoKind *kind)
{
    if (!name.len) {
        *kind = REPO_MODEL;
        return true;
    }
    for (int i = 0; i < REPO_KINDS; i++)
        if (str_eq(name, str_of(kinds[i].name)) || str_eq(name, str_of(kinds[i].plural))) {
            *kind = (RepoKind)i;
            return true;
        }
    return false;
}

Str id_new(Arena *a)
{
    uint8_t bytes[12];
    random_bytes(bytes, sizeof bytes);
    uint32_t seconds = (uint32_t)(wall_ns() / NS_PER_S);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(seconds >> (24 - 8 * i));
    char *hex = arena_alloc(a, 25);
    hex_encode(bytes, sizeof bytes, hex);
    return (Str){hex, 24};
}

Str name_key(Arena *a, Str name)
{
    return arena_lower(a, name);
}

Str secret_hash(Arena *a, Str secret)
{
    uint8_t digest[SHA256_SIZE];
    sha256(secret, digest);
    char *hex = arena_alloc(a, 2 * SHA256_SIZE + 1);
    hex_encode(digest, sizeof digest, hex);
    return (Str){hex, 2 * SHA256_SIZE};
}

Str lookup_key(const Hub *hub, Arena *a, const char *what, Str name)
{
    return str_of(arena_printf(a, "%llu %lld %s %.*s", (unsigned long long)db_generation(hub->db),
                               (long long)(clock_ns() / NS_PER_S), what, STR(name)));
}

const char *repo_git_dir(const Hub *hub, Arena *a, Str id)
{
    // By id, not by name: a rename moves nothing, and names that differ in case cannot meet.
    return arena_printf(a, "%s/repos/%.*s/%.*s.git", hub->data,
                        STR(str_slice(id, id.len - 2, id.len)), STR(id));
}

void hub_key(const Hub *hub, const char *purpose, uint8_t key[32])
{
    hmac_sha256((Str){(const char *)hub->secret, sizeof hub->secret}, str_of(purpose), key);
}

Blobs *hub_blobs(const Hub *hub)
{
    return hub->blobs;
}

Xet *hub_xet(const Hub *hub)
{
    return hub->xet;
}

const char *hub_data(const Hub *hub)
{
    return hub->data;
}

static bool sessions_clean(Hub *hub, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_sessions_expire(c, wall_ns(), err) && conn_commit(c, err);
}

Hub *hub_open(const HubOptions *options, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(hub_close) Hub *hub = xcalloc(1, sizeof *hub);
    hub->data = xstrdup(options->data);
    bool needs_folder = !options->db || !options->accounts_only;
    if (needs_folder && !file_make_folders(arena_printf(a, "%s/repos", hub->data), 0700, err))
        return fail_while(err, "open hub '%s'", hub->data);
    const char *url = options->db ? options->db : arena_printf(a, "sqlite:%s/hub.db", hub->data);
    hub->infos = cache_new((size_t)256 << 20);
    hub->texts = cache_new((size_t)64 << 20);
    hub->lookups = cache_new((size_t)8 << 20);
    hub->webhooks = webhooks_new();
    hub->failures = rate_new(RATE_KEYS, FAILURES_WINDOW_S);
    hub->signups = rate_new(RATE_KEYS, SIGNUPS_WINDOW_S);
    hub->db = db_open(url, err);
    if (!hub->db || !sql_migrate(hub->db, err) || !sql_search_open(hub->db, err) ||
        !sql_secret(hub->db, hub->secret, err) || !sessions_clean(hub, err))
        return fail_while(err, "open hub '%s'", hub->data);
    if (options->accounts_only)
        return TAKE(hub);
    hub->downloads = downloads_new(hub->db, err);
    if (!hub->downloads)
        return fail_while(err, "open hub '%s'", hub->data);
    hub->blobs =
        blobs_open(options->blobs ? options->blobs : arena_printf(a, "%s/blobs", hub->data), err);
    if (!hub->blobs)
        return fail_while(err, "open hub '%s'", hub->data);
    hub->xet = xet_open(arena_printf(a, "%s/xet", hub->data), hub->blobs, err);
    if (!hub->xet)
        return fail_while(err, "open hub '%s'", hub->data);
    hub->sweep = sweep_start(hub);
    hub->absorber = absorber_start(hub);
    return TAKE(hub);
}

void hub_close(Hub *hub)
{
    if (!hub)
        return;
    webhooks_free(hub);
    absorber_stop(hub->absorber);
    sweep_stop(hub->sweep);
    downloads_free(hub->downloads);
    cache_free(hub->infos);
    cache_free(hub->texts);
    cache_free(hub->lookups);
    rate_free(hub->failures);
    rate_free(hub->signups);
    xet_free(hub->xet);
    blobs_free(hub->blobs);
    db_close(hub->db);
    explicit_bzero(hub->secret, sizeof hub->secret);
    free(hub->data);
    free(hub);
}
