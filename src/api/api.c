/* api.c: the tables of the API, who asks, errors, and helpers of all handlers; see api.h. */
#include "api/inference_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "net/limits.h"

#include <errno.h>

const char api_cors_expose[] =
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
    "Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash,Content-Disposition,"
    "X-Compute-Type,X-Compute-Time,X-Compute-Characters,X-Sha,X-HF-Warning";

static const struct {
    const char *name;
    const Route *routes;
    const size_t *n;
} files[] = {
#define X(name) {#name, name##_routes, &name##_routes_n},
    API_FILES(X)
#undef X
};

const RouteTable **api_tables(Api *api)
{
    static RouteTable tables[COUNT(files)];
    static const RouteTable *list[COUNT(files) + 1];
    for (size_t i = 0; i < COUNT(files); i++) {
        tables[i] = (RouteTable){.name = files[i].name,
                                 .routes = files[i].routes,
                                 .n = *files[i].n,
                                 .context = api,
                                 .admit = api_admit,
                                 .cors_expose = api_cors_expose};
        list[i] = &tables[i];
    }
    return list;
}

/* ---- Who asks ---- */

static const Viewer nobody;

const Viewer *api_viewer(const Request *r)
{
    const Viewer *viewer = request_data(r);
    return viewer ? viewer : &nobody;
}

static bool is_safe_method(const Request *r)
{
    return str_eq(request_method(r), S("GET")) || str_eq(request_method(r), S("HEAD"));
}

/* Does the credential go as far as this route? What a route does to one repository is asked of
 * repo_find, and what anybody may do, every token may. */
static bool credential_ok(Request *r, const Viewer *viewer, Error *err)
{
    const Route *route = request_route(r);
    int kind = api_access(route), permission = route->access >> 4;
    if (permission && (kind != API_ANYBODY || viewer->by == BY_TOKEN))
        return viewer_need(viewer, (Permission)(permission - 1), err);
    if (kind != API_LOGGED_IN || viewer->by != BY_TOKEN || viewer->can_write ||
        strstr(route->pattern, "{owner}/{name}"))
        return true;
    if (viewer->rights)
        return fail(err, ERR_DENIED, "No permission of a fine-grained token opens this");
    return is_safe_method(r) ||
           fail(err, ERR_DENIED, "This token may only read; this needs a write token");
}

/* As on huggingface.co: what has /resolve/ in its path, and here what else moves files. */
static LimitBucket bucket_of(const Request *r)
{
    const Route *route = request_route(r);
    int kind = api_access(route);
    bool moves = kind == API_GIT || kind == API_LFS || strstr(route->pattern, "/resolve/") ||
                 strstr(route->pattern, "/raw/");
    return moves ? LIMIT_RESOLVERS : LIMIT_API;
}

bool api_admit(Request *r)
{
    int kind = api_access(request_route(r));
    if (kind == API_NO_VIEWER || kind == API_LFS_SIGNED)
        return true;
    Arena *a = request_arena(r);
    Hub *hub = api_of(r)->hub;
    Viewer *viewer = NEW(a, Viewer);
    Error err = {0};
    Str header = request_header(r, "Authorization"), cookie = request_cookie(r, SESSION_COOKIE);
    bool known = header.len ? viewer_of_authorization(hub, a, header, viewer, &err)
                            : viewer_of_session(hub, a, cookie, viewer, &err);
    // A bad token is counted as its address, so that nobody tries many.
    bool asked = known || err.code == ERR_UNAUTHENTICATED;
    if (asked && !limits_admit(api_of(r)->limits, r, bucket_of(r), viewer->account.id))
        return false;
    if (!known) {
        reply_error(r, &err);
        return false;
    }
    request_set_data(r, viewer);
    if (!is_safe_method(r) && !csrf_ok(viewer, request_header(r, CSRF_HEADER))) {
        reply_failure(r, 403, "This needs the page's " CSRF_HEADER " header");
        return false;
    }
    if (viewer->by == BY_NOBODY && (kind == API_LOGGED_IN || kind == API_ANY_TOKEN)) {
        reply_failure(r, 401, "Invalid username or password.");
        return false;
    }
    if (!credential_ok(r, viewer, &err)) {
        reply_error(r, &err);
        return false;
    }
    return true;
}

/* ---- Errors ---- */

static const struct {
    ErrorCode code;
    const char *name; // X-Error-Code: what the clients' exceptions are chosen by
} error_names[] = {
    {ERR_NO_REPO, "RepoNotFound"},
    {ERR_NO_REVISION, "RevisionNotFound"},
    {ERR_NO_ENTRY, "EntryNotFound"},
    {ERR_GATED, "GatedRepo"},
};

void api_error(Request *r, int status, const char *text, const Error *err)
{
    for (size_t i = 0; err && i < COUNT(error_names); i++)
        if (err->code == error_names[i].code)
            reply_header(r, "X-Error-Code", str_of(error_names[i].name));
    // Nobody is told "log in" rather than "there is none", as huggingface.co does; git then asks
    // for a name and a token.
    if (err && (err->code == ERR_NO_REPO || err->code == ERR_GATED) && request_route(r) &&
        api_viewer(r)->by == BY_NOBODY)
        status = 401;
    if (err && err->code == ERR_IO && err->os_errno == ENOSPC) {
        log_error("disk-full", "path=%.*s error=\"%s\"", STR(request_path(r)), err->text);
        status = 507;
        text = "The server's disk is full";
    } else if (err && status >= 500 && status != 503) {
        // What went wrong inside is for the log; the answer says how to find it there.
        Str id = request_id(r);
        log_error("request", "id=%.*s path=%.*s error=\"%s\"", STR(id), STR(request_path(r)),
                  err->text);
        text = "Internal error; the server's log has it under this request's id";
    }
    reply_header(r, "X-Error-Message", str_of(text));
    int access = request_route(r) ? api_access(request_route(r)) : API_ANYBODY;
    Str challenge = S("Basic realm=\"hug: your name and a token\"");
    if (status == 401 && (access == API_GIT || access == API_LFS))
        reply_header(r, "WWW-Authenticate", challenge);
    if (status == 401 && access == API_LFS)
        reply_header(r, "LFS-Authenticate", challenge);
    if (access == API_GIT) {
        char *line = arena_printf(request_arena(r), "%s\n", text);
        return reply_bytes(r, status, "text/plain; charset=utf-8", str_of(line));
    }
    json_t *body = inference_error_json(r, status, NULL, NULL, text);
    if (access == API_LFS || access == API_LFS_SIGNED) {
        json_object_set_new(body, "message", json_from_str(str_of(text)));
        json_object_set_new(body, "request_id", json_from_str(request_id(r)));
        return api_reply_lfs(r, status, body);
    }
    reply_json(r, status, body);
    json_decref(body);
}

void api_unprocessable(Request *r, Error *err)
{
    if (err->code == ERR_INVALID)
        reply_failure(r, 422, err->text);
    else
        reply_error(r, err);
}

/* ---- Repositories ---- */

bool api_kind(Request *r, RepoKind *kind)
{
    Str named = request_param(r, "kind");
    if (named.len) {
        // In paths the plural alone is right.
        if (str_ends(named, S("s")) && repo_kind_parse(named, kind))
            return true;
        reply_failure(r, 404, "Sorry, we can't find the page you are looking for.");
        return false;
    }
    *kind = REPO_MODEL;
    for (int i = 0; i < REPO_KINDS; i++) {
        Str first = str_of(request_route(r)->pattern + 1), plural;
        if (str_starts(first, S("api/")))
            first = str_slice(first, 4, first.len);
        plural = str_of(repo_kind_info((RepoKind)i)->plural);
        if (str_eq(str_slice(first, 0, str_find_char(first, '/', 0)), plural))
            *kind = (RepoKind)i;
    }
    return true;
}

/* The target with "/old/name" replaced by the repository's present one; relative, because clients
 * follow HEAD's redirects only within the host. */
static void redirect_moved(Request *r, Str id, const Repo *repo)
{
    Arena *a = request_arena(r);
    Str target = request_target(r);
    Str old = str_of(arena_printf(a, "/%.*s", STR(id)));
    size_t at = str_find(target, old, 0);
    if (at == SIZE_MAX) // spelled with escapes
        return reply_failure(r, 404, "Repository not found");
    Str rest = str_slice(target, at + old.len, target.len);
    reply_redirect(r, 307,
                   str_of(arena_printf(a, "%.*s/%.*s%.*s", STR(str_slice(target, 0, at)),
                                       STR(repo->full), STR(rest))));
}

bool api_repo(Request *r, Access need, Repo *out)
{
    RepoKind kind;
    if (!api_kind(r, &kind))
        return false;
    Arena *a = request_arena(r);
    Str owner = request_param(r, "owner"), name = request_param(r, "name");
    Str id = owner.len ? str_of(arena_printf(a, "%.*s/%.*s", STR(owner), STR(name))) : name;
    Error err = {0};
    Repo repo;
    if (!repo_find(api_of(r)->hub, a, api_viewer(r), kind, id, need, &repo, &err)) {
        reply_error(r, &err);
        return false;
    }
    if (repo.moved) {
        redirect_moved(r, id, &repo);
        return false;
    }
    *out = repo;
    return true;
}

bool api_gate(Request *r, const Repo *repo)
{
    if (!repo->gate)
        return true;
    Error err = {0};
    (void)!fail(&err, ERR_GATED,
                "Access to %s %.*s is restricted and you are not in the authorized list. Visit "
                "%s to ask for access.",
                repo_kind_info(repo->kind)->name, STR(repo->full), api_repo_url(r, repo));
    reply_error(r, &err);
    return false;
}

const char *api_url(Request *r)
{
    const char *url = api_of(r)->url;
    return url ? url : arena_cstr(request_arena(r), request_origin(r));
}

const char *api_avatar_url(Request *r, Str account)
{
    return arena_printf(request_arena(r), "%s/avatars/%.*s", api_url(r), STR(account));
}

const char *api_repo_url(Request *r, const Repo *repo)
{
    return arena_printf(request_arena(r), "%s/%s%.*s", api_url(r),
                        repo_kind_info(repo->kind)->prefix, STR(repo->full));
}

/* ---- JSON and parameters ---- */

json_t *api_date(int64_t wall)
{
    char text[ISO8601_SIZE];
    iso8601_format(wall, text);
    return json_string(text);
}

void api_set_str(json_t *object, const char *key, Str value)
{
    if (value.len)
        json_object_set_new(object, key, json_from_str(value));
}

void api_reply(Request *r, json_t *value)
{
    reply_json(r, 200, value);
    json_decref(value);
}

const json_t *api_optional_json(Request *r, size_t max, Error *err)
{
    static const char empty[] = "{}";
    Str text;
    if (!request_body(r, max, &text, err))
        return NULL;
    json_t *body = json_parse(str_trim(text).len ? text : str_of(empty), "body", err);
    if (body)
        arena_defer(request_arena(r), (void (*)(void *))json_decref, body);
    return body;
}

Access api_upload_access(Request *r, Str rev)
{
    bool proposes = api_flag(r, "create_pr") || str_starts(rev, S("refs/pr/"));
    return proposes ? ACCESS_PROPOSE : ACCESS_WRITE;
}

bool api_flag(Request *r, const char *name)
{
    Str value = request_query_get(r, name);
    return str_eq(value, S("true")) || str_eq(value, S("1")) || str_eq(value, S("True"));
}

bool api_limit(Request *r, int64_t most, int64_t otherwise, int64_t *out)
{
    Str text = request_query_get(r, "limit");
    *out = otherwise;
    if (!text.len)
        return true;
    if (!str_to_int(text, 1, INT64_MAX, out)) {
        reply_failure(r, 400, "limit: a whole number from 1");
        return false;
    }
    *out = MIN(*out, most);
    return true;
}

void api_link_next(Request *r, const char *key, Str value)
{
    AUTO_BUF link;
    buf_init(&link, 16 << 10);
    Str path = request_path(r);
    buf_printf(&link, "<%s%.*s?", api_url(r), STR(path));
    const Params *query = request_query(r);
    for (size_t i = 0; i < query->n; i++) {
        if (str_eq(query->items[i].name, str_of(key)))
            continue;
        url_encode(&link, query->items[i].name, "");
        buf_add_char(&link, '=');
        url_encode(&link, query->items[i].value, "");
        buf_add_char(&link, '&');
    }
    buf_printf(&link, "%s=", key);
    url_encode(&link, value, "");
    buf_add(&link, S(">; rel=\"next\""));
    if (buf_ok(&link, NULL))
        reply_header(r, "Link", buf_str(&link));
}
