/* page_settings.c: renaming, hiding and deleting a repository. */
#include "web/web_internal.h"

static void show(Request *r, int status, const Repo *repo, const char *notice, const char *problem)
{
    Arena *a = request_arena(r);
    json_t *page = page_new(r, arena_printf(a, "%.*s: settings", STR(repo->full)));
    page_set_repo(r, page, repo, "settings", S("main"));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
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

#define EACH_KIND(method, rest, handler, text)                                                     \
    {method, "/{owner}/{name}/" rest, handler, .access = WEB_LOGGED_IN, .summary = (text)},        \
        {method, "/datasets/{owner}/{name}/" rest, handler, .access = WEB_LOGGED_IN,               \
         .summary = (text)},                                                                       \
    {                                                                                              \
        method, "/spaces/{owner}/{name}/" rest, handler, .access = WEB_LOGGED_IN,                  \
                                                         .summary = (text)                         \
    }

const Route web_settings_routes[] = {
    EACH_KIND("GET", "settings", settings, "Settings of a repository"),
    EACH_KIND("POST", "settings/rename", rename_repo, "Rename or move it"),
    EACH_KIND("POST", "settings/visibility", change_visibility, "Show or hide it"),
    EACH_KIND("POST", "settings/delete", delete_repo, "Delete it"),
};
const size_t web_settings_routes_n = COUNT(web_settings_routes);
