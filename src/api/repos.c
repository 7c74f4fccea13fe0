/* repos.c: making, deleting, moving and changing repositories. */
#include "api/api_internal.h"

#include "base/encode.h"

enum { MAX_FIRST_FILES = 100, CREATE_BODY = 16 << 20 };

/* {name, organization?, type?}: "organization" may be absent and name "owner/name". */
static bool body_id(Request *r, const json_t *body, RepoKind *kind, Str *owner, Str *name)
{
    *name = json_str(body, "name");
    *owner = json_str(body, "organization");
    size_t slash = str_find_char(*name, '/', 0);
    if (slash != SIZE_MAX) {
        *owner = str_slice(*name, 0, slash);
        *name = str_slice(*name, slash + 1, name->len);
    }
    if (!owner->len)
        *owner = api_viewer(r)->account.name;
    if (!repo_kind_parse(json_str(body, "type"), kind)) {
        reply_failure(r, 400, "type: model, dataset or space");
        return false;
    }
    if (!name->len) {
        reply_failure(r, 400, "name: the repository's name is missing");
        return false;
    }
    return true;
}

/* files: [{path, content, encoding?}], part of the first commit. */
static bool first_files(Request *r, const json_t *list, NewRepo *new)
{
    size_t n = json_array_size(list);
    if (n > MAX_FIRST_FILES) {
        reply_failure(r, 400, "files: at most 100");
        return false;
    }
    Arena *a = request_arena(r);
    NewFile *files = NEW_ARRAY(a, NewFile, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *file = json_array_get(list, i);
        files[i] = (NewFile){json_str(file, "path"), json_str(file, "content")};
        if (!str_eq(json_str(file, "encoding"), S("base64")))
            continue;
        Error err = {0};
        AUTO_BUF bytes;
        buf_init(&bytes, CREATE_BODY);
        if (!base64_decode(&bytes, files[i].bytes, &err)) {
            reply_error(r, &err);
            return false;
        }
        files[i].bytes = arena_str(a, buf_str(&bytes));
    }
    new->files = files;
    new->n_files = n;
    return true;
}

static bool wants_private(const json_t *body)
{
    Str visibility = json_str(body, "visibility");
    return visibility.len ? !str_eq(visibility, S("public")) : json_flag(body, "private", false);
}

static void create(Request *r)
{
    Error err = {0};
    const json_t *body = request_json(r, 0, &err);
    NewRepo new = {0};
    Repo repo = {0};
    if (!body)
        return reply_error(r, &err);
    if (!body_id(r, body, &new.kind, &new.owner, &new.name) ||
        !first_files(r, json_object_get(body, "files"), &new))
        return;
    new.is_private = wants_private(body);
    new.by_default = !json_object_get(body, "visibility") && !json_object_get(body, "private");
    new.sdk = json_str(body, "sdk");
    new.license = json_str(body, "license");
    if (!repo_create(api_of(r)->hub, request_arena(r), api_viewer(r), &new, &repo, &err)) {
        if (err.code != ERR_EXISTS)
            return reply_error(r, &err);
        // exist_ok reads the URL from the refusal.
        json_t *out = json_pack("{s:s}", "error", err.text);
        if (repo.full.len)
            json_object_set_new(out, "url", json_string(api_repo_url(r, &repo)));
        else
            json_object_set_new(
                out, "url",
                json_string(arena_printf(request_arena(r), "%s/%s%.*s/%.*s", api_url(r),
                                         repo_kind_info(new.kind)->prefix, STR(new.owner),
                                         STR(new.name))));
        reply_json(r, 409, out);
        json_decref(out);
        return;
    }
    api_reply(r, json_pack("{s:s, s:o, s:o}", "url", api_repo_url(r, &repo), "name",
                           json_from_str(repo.full), "id", json_from_str(repo.id)));
}

/* The repository that a body names by a key or by name and organization. */
static bool body_repo(Request *r, const json_t *body, Str id, Repo *out)
{
    Error err = {0};
    RepoKind kind;
    Str owner, name;
    if (!id.len) {
        if (!body_id(r, body, &kind, &owner, &name))
            return false;
        id = str_of(arena_printf(request_arena(r), "%.*s/%.*s", STR(owner), STR(name)));
    } else if (!repo_kind_parse(json_str(body, "type"), &kind)) {
        reply_failure(r, 400, "type: model, dataset or space");
        return false;
    }
    if (repo_find(api_of(r)->hub, request_arena(r), api_viewer(r), kind, id, ACCESS_ADMIN, out,
                  &err))
        return true;
    reply_error(r, &err);
    return false;
}

static void delete (Request *r)
{
    Error err = {0};
    Repo repo;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    if (!body_repo(r, body, (Str){0}, &repo))
        return;
    if (repo.moved) // under an old name: not what was asked to be deleted
        return reply_error(r, &(Error){.code = ERR_NO_REPO, .text = "Repository not found"});
    if (!repo_delete(api_of(r)->hub, &repo, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void move(Request *r)
{
    Error err = {0};
    Repo repo;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    if (!body_repo(r, body, json_str(body, "fromRepo"), &repo))
        return;
    if (!repo_move(api_of(r)->hub, request_arena(r), api_viewer(r), &repo, json_str(body, "toRepo"),
                   &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void settings(Request *r)
{
    Error err = {0};
    Repo repo;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    if (!api_repo(r, ACCESS_ADMIN, &repo))
        return;
    RepoSettings change = {0};
    bool is_private = wants_private(body);
    bool closed = json_flag(body, "discussionsDisabled", false);
    Str gated = json_str(body, "gated");
    if (json_object_get(body, "visibility") || json_object_get(body, "private"))
        change.is_private = &is_private;
    if (json_object_get(body, "discussionsDisabled"))
        change.discussions_off = &closed;
    if (json_object_get(body, "gated"))
        change.gated = &gated;
    if (!repo_change(api_of(r)->hub, &repo, &change, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void auth_check(Request *r)
{
    Repo repo;
    bool write = str_ends(str_of(request_route(r)->pattern), S("/write"));
    if (api_repo(r, write ? ACCESS_WRITE : ACCESS_READ, &repo) && api_gate(r, &repo))
        api_reply(r, json_pack("{s:b}", "success", 1));
}

static void like(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    bool on = str_eq(request_method(r), S("POST"));
    if (!repo_like(api_of(r)->hub, api_viewer(r), &repo, on, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

/* Paths that nothing else serves. Clients send ids without an owner too, and want to hear that it
 * is the repository that is missing, where it is. */
static void missing(Request *r)
{
    RepoKind kind;
    Repo repo;
    Error err = {0};
    Arena *a = request_arena(r);
    Str path = request_param(r, "path"), second = {0}, owner = request_param(r, "name");
    if (!api_kind(r, &kind))
        return;
    str_split(&path, '/', &second);
    Str id = str_of(arena_printf(a, "%.*s/%.*s", STR(owner), STR(second)));
    if (repo_find(api_of(r)->hub, a, api_viewer(r), kind, id, ACCESS_READ, &repo, NULL))
        return reply_failure(r, 404, "Sorry, we can't find the page you are looking for.");
    (void)!fail(&err, ERR_NO_REPO, "Repository not found");
    reply_error(r, &err);
}

/* One line of `hf repos ls`; the share of the whole comes later. */
static json_t *storage_line(Request *r, const Repo *repo)
{
    const RepoInfo *info;
    bool known = repo_info(api_of(r)->hub, request_arena(r), repo, S(""), &info, NULL);
    return json_pack("{s:o, s:s, s:o, s:s, s:I}", "id", json_from_str(repo->full), "type",
                     repo_kind_info(repo->kind)->name, "updatedAt", api_date(repo->updated_ns),
                     "visibility", repo->is_private ? "private" : "public", "storage",
                     (json_int_t)(known ? info->bytes : 0));
}

static void add_shares(json_t *lines)
{
    size_t i;
    json_t *line;
    double all = 0;
    json_array_foreach(lines, i, line)
    {
        all += json_num(line, "storage", 0);
    }
    json_array_foreach(lines, i, line)
    {
        double share = all > 0 ? 100 * json_num(line, "storage", 0) / all : 0;
        json_object_set_new(line, "storagePercent", json_real(share));
    }
}

/* What `hf repos ls` shows: the viewer's own, of one kind or all. */
static void own_repos(Request *r)
{
    Error err = {0};
    RepoKind only = REPO_MODEL;
    Str type = request_query_get(r, "type"), org = request_param(r, "org");
    Str search = request_query_get(r, "search");
    if (!repo_kind_parse(type, &only))
        return reply_failure(r, 400, "type: model, dataset or space");
    json_t *out = json_array();
    for (int k = 0; k < REPO_KINDS; k++) {
        if (type.len && k != (int)only)
            continue;
        RepoQuery query = {.kind = (RepoKind)k,
                           .author = org.len ? org : api_viewer(r)->account.name,
                           .search = &search,
                           .n_search = search.len > 0,
                           .sort = SORT_UPDATED,
                           .limit = 1000};
        RepoPage page;
        if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err)) {
            json_decref(out);
            return reply_error(r, &err);
        }
        for (size_t i = 0; i < page.n; i++)
            json_array_append_new(out, storage_line(r, &page.items[i].repo));
    }
    add_shares(out);
    api_reply(r, out);
}

const Route repo_routes[] = {
    {"POST", "/api/repos/create", create, .access = API_ANY_TOKEN, .max_body = CREATE_BODY,
     .summary = "Make a repository"},
    {"DELETE", "/api/repos/delete", delete, .access = API_ANY_TOKEN,
     .summary = "Delete a repository"},
    {"POST", "/api/repos/move", move, .access = API_ANY_TOKEN, .summary = "Rename a repository"},
    {"PUT", "/api/{kind}/{owner}/{name}/settings", settings, .access = API_LOGGED_IN,
     .summary = "Visibility, gating, discussions"},
    {"GET", "/api/{kind}/{owner}/{name}/auth-check", auth_check, .summary = "May I read it?"},
    {"GET", "/api/{kind}/{owner}/{name}/auth-check/write", auth_check,
     .summary = "May I write to it?"},
    {"POST", "/api/{kind}/{owner}/{name}/like", like, .access = API_LOGGED_IN, .summary = "Like"},
    {"DELETE", "/api/{kind}/{owner}/{name}/like", like, .access = API_LOGGED_IN,
     .summary = "Take a like back"},
    {"GET", "/api/{kind}/{name}/{path...}", missing, .summary = "An id without an owner"},
    {"POST", "/api/{kind}/{name}/{path...}", missing, .summary = "An id without an owner"},
    {"PUT", "/api/{kind}/{name}/{path...}", missing, .summary = "An id without an owner"},
    {"DELETE", "/api/{kind}/{name}/{path...}", missing, .summary = "An id without an owner"},
    {"GET", "/api/settings/repositories", own_repos, .access = API_ANY_TOKEN,
     .summary = "The caller's repositories"},
    {"GET", "/api/organizations/{org}/settings/repositories", own_repos, .access = API_ANY_TOKEN,
     .summary = "An organisation's repositories"},
};
const size_t repo_routes_n = COUNT(repo_routes);
