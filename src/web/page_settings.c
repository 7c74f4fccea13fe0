/* page_settings.c: renaming, hiding and deleting a repository. */
#include "hub/gates.h"
#include "web/web_internal.h"

static json_t *gates_json(const Repo *repo)
{
    static const char *const rows[][2] = {{"", "Open: whoever sees it may have the files"},
                                          {"auto", "Automatic: whoever asks is let in"},
                                          {"manual", "Manual: you decide on each request"}};
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(rows); i++)
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:b}", "value", rows[i][0], "label", rows[i][1],
                                        "on", str_eq(repo->gated, str_of(rows[i][0]))));
    return out;
}

static json_t *request_row(const AccessRequest *request)
{
    json_t *o = json_object(), *fields = json_array(), *value;
    const char *label;
    AUTO(json_decref)
    json_t *given = request->fields.len ? json_parse(request->fields, "fields", NULL) : NULL;
    json_object_foreach(given, label, value)
    {
        if (json_is_string(value))
            json_array_append_new(fields, json_pack("{s:s, s:O}", "label", label, "value", value));
    }
    set_str(o, "id", request->id);
    set_str(o, "user", request->user);
    set_str(o, "status", request->status);
    set_str(o, "email", request->email);
    set(o, "when", json_when(request->created_ns));
    set(o, "fields", fields);
    return o;
}

/* Those that wait, then the others; none where there is no gate. */
static json_t *requests_json(Request *r, const Repo *repo)
{
    static const char *const statuses[] = {"pending", "accepted", "rejected"};
    json_t *out = json_array();
    for (size_t s = 0; s < COUNT(statuses) && repo->gated.len; s++) {
        AccessRequest *list;
        size_t n;
        Error err = {0};
        if (!gate_list(hub_of(r), request_arena(r), repo, str_of(statuses[s]), &list, &n, &err))
            continue;
        for (size_t i = 0; i < n && json_array_size(out) < 500; i++)
            json_array_append_new(out, request_row(&list[i]));
    }
    return out;
}

static void show(Request *r, int status, const Repo *repo, const char *notice, const char *problem)
{
    Arena *a = request_arena(r);
    json_t *page = page_new(r, arena_printf(a, "%.*s: settings", STR(repo->full)));
    page_set_repo(r, page, repo, "settings", S("main"));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    set(page, "gates", gates_json(repo));
    set(page, "requests", requests_json(r, repo));
    page_render(r, status, "settings", page);
}

static void settings(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_ADMIN, &repo))
        show(r, 200, &repo, "", "");
}

static bool is_ours(ErrorCode code)
{
    return code == ERR_INVALID || code == ERR_EXISTS || code == ERR_DENIED;
}

static void rename_repo(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    Arena *a = request_arena(r);
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    Str to = str_trim(params_get(&form, "to"));
    if (str_find_char(to, '/', 0) == SIZE_MAX)
        to = str_of(arena_printf(a, "%.*s/%.*s", STR(repo.owner), STR(to)));
    if (!repo_move(hub_of(r), a, web_viewer(r), &repo, to, &err))
        return is_ours(err.code) ? show(r, error_http_status(err.code), &repo, "", err.text)
                                 : reply_error(r, &err);
    repo.full = to;
    reply_redirect(r, 303, repo_path(a, &repo));
}

static void change_visibility(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    bool hide = str_eq(params_get(&form, "visibility"), S("private"));
    if (!repo_change(hub_of(r), &repo, &(RepoSettings){.is_private = &hide}, &err))
        return reply_error(r, &err);
    repo.is_private = hide;
    show(r, 200, &repo,
         hide ? "Only you and your organisation see it now" : "Everybody sees it now", "");
}

static void change_gate(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    Str gated = params_get(&form, "gated");
    if (!repo_change(hub_of(r), &repo, &(RepoSettings){.gated = &gated}, &err))
        return is_ours(err.code) ? show(r, 400, &repo, "", err.text) : reply_error(r, &err);
    repo.gated = gated;
    show(r, 200, &repo, gated.len ? "A gate stands before the files" : "The gate is gone", "");
}

static void decide(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    if (!gate_decide(hub_of(r), &repo, (Str){0}, params_get(&form, "request"),
                     params_get(&form, "status"), (Str){0}, &err) &&
        err.code != ERR_EXISTS)
        return reply_error(r, &err);
    show(r, 200, &repo, "Done", "");
}

/* The name must be typed, so that nobody deletes by a slip. */
static void delete_repo(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    if (!str_eq(str_trim(params_get(&form, "name")), repo.full))
        return show(r, 400, &repo, "", "Type the full name to delete it");
    if (!repo_delete(hub_of(r), &repo, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(arena_printf(request_arena(r), "/%.*s", STR(repo.owner))));
}

const Route web_settings_routes[] = {
    EACH_KIND("GET", "/settings", settings, WEB_LOGGED_IN, "Settings of a repository"),
    EACH_KIND("POST", "/settings/rename", rename_repo, WEB_LOGGED_IN, "Rename or move it"),
    EACH_KIND("POST", "/settings/visibility", change_visibility, WEB_LOGGED_IN, "Show or hide it"),
    EACH_KIND("POST", "/settings/gate", change_gate, WEB_LOGGED_IN, "Put a gate before the files"),
    EACH_KIND("POST", "/settings/access", decide, WEB_LOGGED_IN, "Let in or turn down"),
    EACH_KIND("POST", "/settings/delete", delete_repo, WEB_LOGGED_IN, "Delete it"),
};
const size_t web_settings_routes_n = COUNT(web_settings_routes);
