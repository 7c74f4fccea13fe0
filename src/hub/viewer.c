/* viewer.c: who asks: by access token, by session, and the Authorization header.
 *
 * Tokens and session cookies are long random strings, so one round of sha256 is enough to keep them
 * at rest; only the hashes are stored. A form's CSRF token is an HMAC of the cookie: nothing to
 * store, and another site cannot know it. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "hub/hub_internal.h"

enum { COOKIE_BYTES = 32 };
/* last-used times are written at most this often, so that reading costs no write */
static const int64_t used_every_ns = 300 * NS_PER_S;

static bool token_touch(Hub *hub, Str id, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_token_used(c, id, wall_ns(), err) && conn_commit(c, err);
}

/* A token's owner as found, for a second at most: see lookup_key. */
typedef struct FoundViewer {
    Cached cached;
    Arena *arena;
    Viewer viewer;
} FoundViewer;

static void found_free(Cached *cached)
{
    arena_free(((FoundViewer *)cached)->arena); // holds the thing itself
}

static bool token_look_up(Hub *hub, FoundViewer *found, Str hash, Token *token, Error *err)
{
    Error seen = {0};
    Str user;
    Viewer *viewer = &found->viewer;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    if (!sql_token_by_hash(c, found->arena, hash, token, &user, &seen) ||
        !sql_account_by_id(c, found->arena, user, &viewer->account, &seen)) {
        if (seen.code == ERR_NOT_FOUND)
            return fail(err, ERR_UNAUTHENTICATED, "Invalid credentials in Authorization header");
        *(err ? err : &seen) = seen;
        return false;
    }
    viewer->by = BY_TOKEN;
    viewer->token_id = token->id;
    viewer->token_name = token->name;
    viewer->token_role = token->role;
    viewer->token_created_ns = token->created_ns;
    viewer->token_expires_ns = token->expires_ns;
    viewer->can_write = str_eq(token->role, S("write"));
    if (str_eq(token->role, S("fineGrained"))) {
        viewer->rights = &token->rights;
        viewer->account.is_admin = false; // to administer a hub is nothing that such tokens name
    }
    return true;
}

static bool token_has_ended(const Viewer *viewer)
{
    return viewer->token_expires_ns && viewer->token_expires_ns <= wall_ns();
}

static FoundViewer *token_owner(Hub *hub, Str hash, Str cache_key, Error *err)
{
    Arena *arena = arena_new(0);
    FoundViewer *found = NEW(arena, FoundViewer);
    Token *token = NEW(arena, Token);
    found->arena = arena;
    found->cached = (Cached){.refs = 1, .key = arena_str(arena, cache_key), .free = found_free};
    if (!token_look_up(hub, found, hash, token, err)) {
        cached_unref(found);
        return NULL;
    }
    Error missed = {0};
    if (wall_ns() - token->used_ns > used_every_ns && !token_has_ended(&found->viewer) &&
        !token_touch(hub, token->id, &missed))
        log_warn("token_touch", "error=\"%s\"", missed.text); // no reason to turn its owner away
    found->cached.bytes = arena_used(arena);
    cache_add(hub->lookups, &found->cached);
    return found;
}

bool viewer_of_token(Hub *hub, Arena *a, Str token, Viewer *out, Error *err)
{
    Str hash = secret_hash(a, token), key = lookup_key(hub, a, "token", hash);
    FoundViewer *found = (FoundViewer *)cache_find(hub->lookups, key);
    if (!found && !(found = token_owner(hub, hash, key, err)))
        return false;
    arena_defer(a, cached_unref, found);
    if (token_has_ended(&found->viewer))
        return fail(err, ERR_UNAUTHENTICATED, "User Access Token \"%.*s\" is expired",
                    STR(found->viewer.token_name));
    *out = found->viewer;
    return true;
}

bool viewer_of_authorization(Hub *hub, Arena *a, Str header, Viewer *out, Error *err)
{
    header = str_trim(header);
    if (!header.len) {
        *out = (Viewer){0};
        return true;
    }
    Str scheme = str_slice(header, 0, str_find_char(header, ' ', 0));
    Str value = str_trim(str_slice(header, scheme.len, header.len));
    if (str_eq_nocase(scheme, S("bearer")))
        return viewer_of_token(hub, a, value, out, err);
    if (!str_eq_nocase(scheme, S("basic")))
        return fail(err, ERR_UNAUTHENTICATED, "Authorization: only Bearer and Basic are known");
    AUTO_BUF plain;
    buf_init(&plain, 4096);
    if (!base64_decode(&plain, value, NULL))
        return fail(err, ERR_UNAUTHENTICATED, "Invalid credentials in Authorization header");
    // git sends user:token; some clients the token as the user, with an empty password.
    Str pair = buf_str(&plain);
    size_t colon = str_find_char(pair, ':', 0);
    Str user = str_slice(pair, 0, colon);
    Str secret = colon == SIZE_MAX ? (Str){0} : str_slice(pair, colon + 1, pair.len);
    return viewer_of_token(hub, a, str_starts(secret, S("hf_")) ? secret : user, out, err);
}

bool viewer_of_user(Hub *hub, Arena *a, Str name, Viewer *out, Error *err)
{
    Viewer viewer = {.by = BY_COOKIE, .can_write = true};
    if (!account_find(hub, a, name, &viewer.account, err))
        return false;
    *out = viewer;
    return true;
}

/* ---- Sessions ---- */

bool session_open_for(Hub *hub, Arena *a, const Account *user, Str *cookie, Error *err)
{
    uint8_t bytes[COOKIE_BYTES];
    random_bytes(bytes, sizeof bytes);
    char *hex = arena_alloc(a, 2 * COOKIE_BYTES + 1);
    hex_encode(bytes, sizeof bytes, hex);
    Str value = {hex, 2 * COOKIE_BYTES};
    int64_t now = wall_ns();
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c ||
        !sql_session_add(c, secret_hash(a, value), user->id, now,
                         now + SESSION_DAYS * 86400 * NS_PER_S, err) ||
        !conn_commit(c, err))
        return false;
    *cookie = value;
    return true;
}

bool session_open(Hub *hub, Arena *a, Str address, Str name, Str password, Str *cookie, Error *err)
{
    Account account;
    return password_check(hub, a, address, name, password, &account, err) &&
           session_open_for(hub, a, &account, cookie, err);
}

bool session_close(Hub *hub, Str cookie, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_session_remove(c, secret_hash(a, cookie), err) && conn_commit(c, err);
}

static Str csrf_of(Hub *hub, Arena *a, Str cookie)
{
    uint8_t key[32], mac[SHA256_SIZE];
    hub_key(hub, "csrf", key);
    hmac_sha256((Str){(const char *)key, sizeof key}, cookie, mac);
    char *hex = arena_alloc(a, 2 * SHA256_SIZE + 1);
    hex_encode(mac, sizeof mac, hex);
    return (Str){hex, 2 * SHA256_SIZE};
}

bool viewer_of_session(Hub *hub, Arena *a, Str cookie, Viewer *out, Error *err)
{
    Viewer viewer = {0};
    if (cookie.len != 2 * COOKIE_BYTES) {
        *out = viewer;
        return true;
    }
    Error seen = {0};
    Str user;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    if (sql_session_find(c, a, secret_hash(a, cookie), wall_ns(), &user, &seen) &&
        sql_account_by_id(c, a, user, &viewer.account, &seen)) {
        viewer.by = BY_COOKIE;
        viewer.can_write = true;
        viewer.csrf = csrf_of(hub, a, cookie);
    } else if (seen.code != ERR_NOT_FOUND) {
        *(err ? err : &seen) = seen;
        return false;
    }
    *out = viewer;
    return true;
}

bool csrf_ok(const Viewer *viewer, Str sent)
{
    return viewer->by != BY_COOKIE || (viewer->csrf.len && secret_eq(viewer->csrf, sent));
}
