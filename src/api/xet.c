/* xet.c: tokens for Xet, and its uploads; see blobs/xet.h for what is verified and what is kept,
 * and xet_read.c for downloads.
 *
 * The Hub gives out a token for one repository and one user; with it the client talks to the CAS,
 * which is under /api/xet of this server. When a shard is accepted its files are blobs that the
 * repository owns, and the commit that follows names them by sha256. */
#include "api/api_internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "blobs/xet.h"

enum { TOKEN_SECONDS = 3600 };

/* ---- Tokens ----
 * "write~model~owner/name~user~whole~1764000000~HMAC of what stands before"; "limited" where a
 * fine-grained token asked. */

const char *xet_cas_url(Request *r)
{
    return arena_printf(request_arena(r), "%s/api/xet", api_url(r));
}

const char *xet_token(Request *r, const Repo *repo, bool writes, int64_t *until)
{
    Arena *a = request_arena(r);
    *until = wall_ns() / NS_PER_S + TOKEN_SECONDS;
    const char *claim = arena_printf(
        a, "%s~%s~%.*s~%.*s~%s~%lld", writes ? "write" : "read", repo_kind_info(repo->kind)->name,
        STR(repo->full), STR(api_viewer(r)->account.name),
        api_viewer(r)->rights ? "limited" : "whole", (long long)*until);
    return arena_printf(a, "%s~%s", claim, api_seal(r, "xet-token", claim));
}

static void give_token(Request *r, bool writes, Access need)
{
    Error err = {0};
    Repo repo;
    int64_t until;
    Str sha, rev = request_param(r, "rev");
    // Proposing takes no look at the files, and opens none: see scope_of.
    if (!api_repo(r, need, &repo) || (need == ACCESS_FILES && !api_gate(r, &repo)))
        return;
    // For a pull request the client names its branch "None", which it is not yet.
    if (!api_flag(r, "create_pr") && !str_eq(rev, S("None")) &&
        !repo_revision(api_of(r)->hub, request_arena(r), &repo, rev, &sha, &err))
        return reply_error(r, &err);
    const char *token = xet_token(r, &repo, writes, &until), *url = xet_cas_url(r);
    reply_header(r, "X-Xet-Cas-Url", str_of(url));
    reply_header(r, "X-Xet-Access-Token", str_of(token));
    reply_headerf(r, "X-Xet-Token-Expiration", "%lld", (long long)until);
    reply_header(r, "Cache-Control", S("no-store"));
    api_reply(r, json_pack("{s:s, s:s, s:I}", "casUrl", url, "accessToken", token, "exp",
                           (json_int_t)until));
}

static void write_token(Request *r)
{
    // Whether a pull request will name what is uploaded shows only later.
    give_token(r, true, ACCESS_PROPOSE);
}

static void read_token(Request *r)
{
    give_token(r, false, ACCESS_FILES);
}

enum { CLAIMS = 6 };

static bool token_claims(Request *r, Str token, Str claims[CLAIMS])
{
    size_t at = str_rfind_char(token, '~');
    if (at == SIZE_MAX)
        return false;
    Str claim = str_slice(token, 0, at);
    const char *seal = api_seal(r, "xet-token", arena_cstr(request_arena(r), claim));
    if (!secret_eq(str_of(seal), str_slice(token, at + 1, token.len)))
        return false;
    for (int i = 0; i < CLAIMS; i++)
        if (!str_split(&claim, '~', &claims[i]))
            return false;
    int64_t until;
    return str_to_int(claims[CLAIMS - 1], 0, INT64_MAX, &until) && wall_ns() / NS_PER_S < until;
}

bool xet_client(Request *r, bool writes, XetClient *out)
{
    Error err = {0};
    Arena *a = request_arena(r);
    Str header = request_header(r, "Authorization"), claims[CLAIMS];
    RepoKind kind;
    *out = (XetClient){.hub = api_of(r)->hub};
    if (!str_starts(header, S("Bearer ")) ||
        !token_claims(r, str_trim(str_slice(header, 7, header.len)), claims)) {
        reply_failure(r, 401, "The Xet token is not valid, or no longer: ask for a new one");
        return false;
    }
    if (writes && !str_eq(claims[0], S("write"))) {
        reply_failure(r, 403, "This Xet token is for reading");
        return false;
    }
    out->is_limited = !str_eq(claims[4], S("whole"));
    if (!repo_kind_parse(claims[1], &kind) ||
        (claims[3].len && !viewer_of_user(out->hub, a, claims[3], &out->viewer, &err)) ||
        !repo_find(out->hub, a, &out->viewer, kind, claims[2],
                   writes ? ACCESS_PROPOSE : ACCESS_FILES, &out->repo, &err)) {
        reply_error(r, &err);
        return false;
    }
    return writes || api_gate(r, &out->repo);
}

static XetScope scope_of(const XetClient *c)
{
    return (XetScope){.user = c->viewer.account.id,
                      .repo = c->repo.id,
                      .not_user = c->is_limited,
                      .not_repo = c->repo.access < ACCESS_WRITE};
}

/* ---- Xorbs ---- */

static bool add_to_xorb(void *user, Str bytes, Error *err)
{
    return xorb_writer_add(user, bytes, err);
}

static void post_xorb(Request *r)
{
    Error err = {0};
    XetClient u;
    bool inserted;
    if (!xet_client(r, true, &u))
        return;
    XetScope scope = scope_of(&u);
    AUTO(xorb_writer_free)
    XorbWriter *w = xorb_writer_new(hub_xet(u.hub), &scope, request_param(r, "hash"), &err);
    if (!w || !api_body_each(r, add_to_xorb, w, &err) || !xorb_writer_finish(w, &inserted, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "was_inserted", inserted));
}

/* ---- Shards ---- */

/* The blobs are stored and verified: now the repository owns them. */
static bool accept_shard(Request *r, const XetClient *u, ShardParams *p, Error *err)
{
    XetFile *files;
    size_t n;
    p->scope = scope_of(u);
    if (!xet_shard_accept(hub_xet(u->hub), p, request_arena(r), &files, &n, err))
        return NULL;
    BlobGrant *grants = NEW_ARRAY(request_arena(r), BlobGrant, n);
    for (size_t i = 0; i < n; i++)
        grants[i] = (BlobGrant){str_of(files[i].sha256), files[i].size};
    if (!repo_grant_blobs(u->hub, &u->repo, &u->viewer, grants, n, err))
        return NULL;
    log_info("xet-shard", "repo=%.*s user=%.*s files=%zu", STR(u->repo.full),
             STR(u->viewer.account.name), n);
    return true;
}

static bool still_there(void *user, int64_t done, int64_t total)
{
    return !request_gone(user);
}

static void post_shard(Request *r)
{
    Error err = {0};
    XetClient u;
    ShardParams p = {.progress = still_there, .user = r};
    if (!xet_client(r, true, &u))
        return;
    if (!request_body(r, SHARD_MAX_SIZE, &p.bytes, &err) || !accept_shard(r, &u, &p, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:i}", "result", 1));
}

/* Version 2 tells how far it is, one JSON object a line: a large file takes longer than clients
 * wait in silence. */
static bool write_event(Request *r, json_t *event)
{
    AUTO_BUF line;
    buf_init(&line, 0);
    json_write(&line, event);
    json_decref(event);
    buf_add_char(&line, '\n');
    return reply_write(r, buf_str(&line), NULL);
}

static bool tell_progress(void *user, int64_t done, int64_t total)
{
    return write_event(user, json_pack("{s:s, s:I, s:I}", "type", "validating", "verified",
                                       (json_int_t)done, "total", (json_int_t)total));
}

static void post_shard_v2(Request *r)
{
    Error err = {0};
    XetClient u;
    ShardParams p = {.progress = tell_progress, .user = r};
    if (!xet_client(r, true, &u))
        return;
    if (!request_body(r, SHARD_MAX_SIZE, &p.bytes, &err))
        return reply_error(r, &err);
    if (!reply_stream(r, 200, "application/x-ndjson"))
        return;
    if (!accept_shard(r, &u, &p, &err))
        write_event(r, json_pack("{s:s, s:o}", "type", "error", "message",
                                 json_from_str(str_of(err.text))));
    else
        write_event(r, json_pack("{s:s, s:i}", "type", "result", "result", 1));
}

/* ---- Chunks ---- */

/* Which xorbs have a chunk, for who has sent them: what follows it is then known as well. */
static void get_chunk(Request *r)
{
    Error err = {0};
    XetClient u;
    AUTO_BUF shard;
    buf_init(&shard, 0);
    if (!xet_client(r, true, &u))
        return;
    XetScope scope = scope_of(&u);
    if (!xet_find_chunk(hub_xet(u.hub), &scope, request_param(r, "hash"), &shard, &err))
        return reply_error(r, &err);
    reply_buf(r, 200, "application/octet-stream", &shard);
}

/* We take xorbs directly. */
static void not_here(Request *r)
{
    reply_failure(r, 404, "Not found");
}

const Route xet_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}/xet-write-token/{rev}", write_token,
     .access = API_LOGGED_IN, .summary = "Xet: a token for uploads"},
    {"GET", "/api/{kind}/{owner}/{name}/xet-read-token/{rev}", read_token,
     .summary = "Xet: a token for reading"},
    {"POST", "/api/xet/v1/xorbs/default/{hash}", post_xorb, .flags = ROUTE_RAW,
     .access = API_NO_VIEWER, .max_body = XORB_MAX_SIZE, .summary = "Xet: upload a xorb"},
    {"POST", "/api/xet/v1/shards", post_shard, .flags = ROUTE_LONG, .access = API_NO_VIEWER,
     .max_body = SHARD_MAX_SIZE, .summary = "Xet: upload a shard"},
    {"POST", "/api/xet/v2/shards", post_shard_v2, .flags = ROUTE_LONG, .access = API_NO_VIEWER,
     .max_body = SHARD_MAX_SIZE, .summary = "Xet: upload a shard, with progress"},
    {"GET", "/api/xet/v1/chunks/{space}/{hash}", get_chunk, .access = API_NO_VIEWER,
     .summary = "Xet: which xorbs have a chunk"},
    // hf_xet 1.1 has no version in its paths.
    {"POST", "/api/xet/xorbs/default/{hash}", post_xorb, .flags = ROUTE_RAW,
     .access = API_NO_VIEWER, .max_body = XORB_MAX_SIZE, .summary = "Xet: upload a xorb"},
    {"POST", "/api/xet/shards", post_shard, .flags = ROUTE_LONG, .access = API_NO_VIEWER,
     .max_body = SHARD_MAX_SIZE, .summary = "Xet: upload a shard"},
    {"GET", "/api/xet/chunks/{space}/{hash}", get_chunk, .access = API_NO_VIEWER,
     .summary = "Xet: which xorbs have a chunk"},
    {"POST", "/api/xet/v1/xorb-grants/{space}/{hash}", not_here, .access = API_NO_VIEWER,
     .summary = "Xet: where to put a xorb (here)"},
};
const size_t xet_routes_n = COUNT(xet_routes);
