/* web.c: the tables of the pages, who asks, forms, and error pages; see web.h. */
#include "web/web_internal.h"

#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "net/limits.h"

static const struct {
    const char *name;
    const Route *routes;
    const size_t *n;
} files[] = {
#define X(name) {#name, web_##name##_routes, &web_##name##_routes_n},
    WEB_FILES(X)
#undef X
};

static Web *the_web;

Web *web_current(void)
{
    CHECK(the_web);
    return the_web;
}

Web *web_new(const WebOptions *options, Error *err)
{
    AUTO(web_free) Web *web = xcalloc(1, sizeof *web);
    web->options = *options;
    web->arena = arena_new(0);
    hub_key(options->hub, "web forms", web->visit_key);
    if (!templates_load(web, err))
        return fail_while(err, "pages");
    the_web = web;
    return TAKE(web);
}

void web_free(Web *web)
{
    if (!web)
        return;
    if (the_web == web)
        the_web = NULL;
    templates_free();
    json_decref(web->assets);
    arena_free(web->arena);
    free(web);
}

const RouteTable **web_tables(Web *web)
{
    RouteTable *tables = NEW_ARRAY(web->arena, RouteTable, COUNT(files));
    const RouteTable **list = NEW_ARRAY(web->arena, const RouteTable *, COUNT(files) + 1);
    for (size_t i = 0; i < COUNT(files); i++) {
        tables[i] = (RouteTable){.name = files[i].name,
                                 .routes = files[i].routes,
                                 .n = *files[i].n,
                                 .context = web,
                                 .admit = web_admit};
        list[i] = &tables[i];
    }
    return list;
}

/* ---- Who asks ---- */

#define VISIT_COOKIE "hug_visit"
enum { VISIT_HEX = 32 };

/* What a cookie says at its end. Over TLS, as a proxy that is trusted says, or as the hub's own
 * address has it for this host, it is for TLS alone. */
static const char *cookie_end(Request *r)
{
    const char *url = web_current()->options.url;
    Str own = str_of(url ? url : ""), seen = request_origin(r);
    bool https = str_starts(seen, S("https:"));
    if (!https && str_starts(own, S("https://"))) {
        own = str_slice(own, strlen("https://"), own.len);
        seen = str_slice(seen, strlen("http://"), seen.len);
        https = str_eq_nocase(str_slice(own, 0, str_find_char(own, '/', 0)), seen);
    }
    return https ? "; Path=/; HttpOnly; SameSite=Lax; Secure" : "; Path=/; HttpOnly; SameSite=Lax";
}

/* Those who are not logged in get a cookie of their own, so that the forms for logging in and
 * signing up have a CSRF token too: an HMAC of that cookie. */
static Str visit_csrf(Request *r)
{
    Arena *a = request_arena(r);
    Str cookie = request_cookie(r, VISIT_COOKIE);
    if (cookie.len != VISIT_HEX) {
        uint8_t bytes[VISIT_HEX / 2];
        char *hex = arena_alloc(a, VISIT_HEX + 1);
        random_bytes(bytes, sizeof bytes);
        hex_encode(bytes, sizeof bytes, hex);
        cookie = (Str){hex, VISIT_HEX};
        reply_headerf(r, "Set-Cookie", VISIT_COOKIE "=%s%s", hex, cookie_end(r));
    }
    uint8_t mac[SHA256_SIZE];
    char *csrf = arena_alloc(a, 2 * SHA256_SIZE + 1);
    hmac_sha256((Str){(const char *)web_current()->visit_key, 32}, cookie, mac);
    hex_encode(mac, sizeof mac, csrf);
    return (Str){csrf, 2 * SHA256_SIZE};
}

static Visit *find_visit(Request *r)
{
    Arena *a = request_arena(r);
    Visit *visit = NEW(a, Visit);
    Error err = {0};
    if (!viewer_of_session(hub_of(r), a, request_cookie(r, SESSION_COOKIE), &visit->viewer, &err))
        visit->viewer = (Viewer){0};
    visit->csrf = visit->viewer.by == BY_COOKIE ? visit->viewer.csrf : visit_csrf(r);
    return visit;
}

bool web_admit(Request *r)
{
    Visit *visit = find_visit(r);
    request_set_data(r, visit);
    bool counts = request_route(r)->access != WEB_STATIC;
    if (counts &&
        !limits_admit(web_current()->options.limits, r, LIMIT_PAGES, visit->viewer.account.id))
        return false;
    if (request_route(r)->access != WEB_LOGGED_IN || visit->viewer.by != BY_NOBODY)
        return true;
    AUTO_BUF location;
    buf_init(&location, 0);
    buf_add(&location, S("/login?next="));
    bool get = str_eq(request_method(r), S("GET"));
    url_encode(&location, get ? request_target(r) : request_path(r), "/");
    reply_redirect(r, 303, arena_str(request_arena(r), buf_str(&location)));
    return false;
}

static const Visit *visit_of(const Request *r)
{
    return request_data(r);
}

const Viewer *web_viewer(const Request *r)
{
    return &visit_of(r)->viewer;
}

bool web_is_known(const Request *r)
{
    return web_viewer(r)->by != BY_NOBODY;
}

bool web_token_ok(const Request *r, Str sent)
{
    return secret_eq(sent, visit_of(r)->csrf);
}

bool web_form(Request *r, Params *form)
{
    Error err = {0};
    if (!request_form(r, form, &err)) {
        reply_error(r, &err);
        return false;
    }
    if (web_token_ok(r, params_get(form, "csrf")))
        return true;
    reply_failure(r, 403, "This form has expired: go back, reload the page and send it again");
    return false;
}

const char *web_url(Request *r)
{
    const char *url = web_current()->options.url;
    return url ? url : arena_cstr(request_arena(r), request_origin(r));
}

Str web_next(Str path)
{
    bool ours = path.len && path.ptr[0] == '/' && !str_starts(path, S("//")) &&
                str_find_char(path, '\\', 0) == SIZE_MAX;
    for (size_t i = 0; i < path.len && ours; i++)
        ours = (unsigned char)path.ptr[i] > ' ';
    return ours ? path : S("/");
}

void web_set_session(Request *r, Str cookie)
{
    reply_headerf(r, "Set-Cookie", SESSION_COOKIE "=%.*s%s; Max-Age=%d", STR(cookie), cookie_end(r),
                  cookie.len ? SESSION_DAYS * 86400 : 0);
}

/* ---- Repositories ---- */

static RepoKind kind_of_path(const Request *r)
{
    Str path = request_path(r);
    return str_starts(path, S("/datasets/")) ? REPO_DATASET
           : str_starts(path, S("/spaces/")) ? REPO_SPACE
                                             : REPO_MODEL;
}

Str repo_path(Arena *a, const Repo *repo)
{
    return str_of(arena_printf(a, "/%s%.*s", repo_kind_info(repo->kind)->prefix, STR(repo->full)));
}

Str rev_path(Arena *a, const Repo *repo, const char *page, Str rev, Str path)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%.*s/%s/", STR(repo_path(a, repo)), page);
    url_encode(&out, rev, "");
    if (path.len)
        buf_add(&out, S("/"));
    url_encode(&out, path, "/");
    return arena_str(a, buf_str(&out));
}

/* The same page below the repository's present name. */
static void redirect_to_new_name(Request *r, const Repo *repo)
{
    Str rest = request_target(r);
    size_t skip = repo->kind == REPO_MODEL ? 2 : 3;
    size_t at = 0;
    for (size_t i = 0; i < skip; i++)
        at = MIN(str_find_char(rest, '/', at + 1), rest.len);
    Str query = str_slice(rest, at, rest.len);
    reply_redirect(r, 307,
                   str_of(arena_printf(request_arena(r), "%.*s%.*s",
                                       STR(repo_path(request_arena(r), repo)), STR(query))));
}

bool web_repo(Request *r, Access need, Repo *out)
{
    Error err = {0};
    Arena *a = request_arena(r);
    Str id = str_of(arena_printf(a, "%.*s/%.*s", STR(request_param(r, "owner")),
                                 STR(request_param(r, "name"))));
    if (!repo_find(hub_of(r), a, web_viewer(r), kind_of_path(r), id, need, out, &err)) {
        if (err.code == ERR_GATED && web_wants(r)) // its page says how to get in
            reply_redirect(r, 303,
                           str_of(arena_printf(a, "/%s%.*s#gate",
                                               repo_kind_info(kind_of_path(r))->prefix, STR(id))));
        else
            reply_error(r, &err);
        return false;
    }
    if (!out->moved)
        return true;
    redirect_to_new_name(r, out);
    return false;
}

/* ---- Errors ---- */

bool web_wants(const Request *r)
{
    return request_accepts(r, "text/html") && !str_starts(request_path(r), S("/api/"));
}

static const struct {
    int status;
    const char *title, *advice;
} errors[] = {
    {400, "That did not work", "Check what you sent and try again."},
    {401, "Please log in", "You need an account for this page."},
    {403, "Not allowed", "You may look, but not do this."},
    {404, "Nothing here",
     "The address may be wrong, or the page is private: log in if it is yours."},
    {409, "Already taken", "Choose another name."},
    {413, "Too large", "Use git or the hug command for large files."},
    {429, "Too many tries", "Wait a minute, then try again."},
    {500, "Our mistake", "The server's log has the details under the request's id."},
    {503, "Busy", "Too much is going on at the moment. Try again in a few seconds."},
};

void web_error(Request *r, int status, const char *text, const Error *err)
{
    if (!the_web) {
        reply_bytes(r, status, "text/plain; charset=utf-8", str_of(text));
        return;
    }
    if (status >= 500 && status != 503) {
        Str id = request_id(r);
        log_error("request", "id=%.*s path=%.*s error=\"%s\"", STR(id), STR(request_path(r)), text);
        text = "Something went wrong on the server";
    }
    bool ours = request_context(r) == the_web && request_data(r);
    if (!ours)
        request_set_data(r, find_visit(r));
    size_t i = 0;
    for (size_t k = 0; k < COUNT(errors); k++)
        if (errors[k].status <= status)
            i = k;
    json_t *page = page_new(r, errors[i].title);
    set(page, "status", json_integer(status));
    set(page, "message", json_string(text));
    set(page, "advice", json_string(errors[i].advice));
    page_render(r, status, "error", page);
}
