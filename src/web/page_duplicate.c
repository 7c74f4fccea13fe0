/* page_duplicate.c: the form that makes a repository of another one. */
#include "hub/duplicates.h"
#include "web/web_internal.h"

static void show(Request *r, int status, const Repo *from, const Params *form, const char *problem)
{
    json_t *page = page_new(r, "Duplicate");
    Str owner = form ? params_get(form, "owner") : (Str){0};
    page_set_repo(r, page, from, "", S("main"));
    set(page, "owners", owners_json(web_viewer(r), owner));
    set_str(page, "name", form ? params_get(form, "name") : from->name);
    set(page, "private",
        json_boolean(form ? str_eq(params_get(form, "visibility"), S("private"))
                          : from->is_private));
    set(page, "problem", json_string(problem));
    page_render(r, status, "duplicate", page);
}

static void duplicate_form(Request *r)
{
    Repo from;
    if (web_repo(r, ACCESS_FILES, &from))
        show(r, 200, &from, NULL, "");
}

static void duplicate(Request *r)
{
    Params form;
    Error err = {0};
    Repo from, repo;
    Arena *a = request_arena(r);
    if (!web_form(r, &form) || !web_repo(r, ACCESS_FILES, &from))
        return;
    bool is_private = str_eq(params_get(&form, "visibility"), S("private"));
    Str name = str_trim(params_get(&form, "name"));
    Duplicate params = {
        .to = str_of(arena_printf(a, "%.*s/%.*s", STR(params_get(&form, "owner")), STR(name))),
        .is_private = &is_private};
    if (!repo_duplicate(hub_of(r), a, web_viewer(r), &from, &params, &repo, &err))
        return web_can_be_mended(&err)
                   ? show(r, error_http_status(err.code), &from, &form, err.text)
                   : reply_error(r, &err);
    reply_redirect(r, 303, repo_path(a, &repo));
}

const Route web_duplicate_routes[] = {
    EACH_KIND("GET", "/duplicate", duplicate_form, WEB_LOGGED_IN, "The form for a copy"),
    EACH_KIND("POST", "/duplicate", duplicate, WEB_LOGGED_IN, "Make a copy", .flags = ROUTE_LONG),
};
const size_t web_duplicate_routes_n = COUNT(web_duplicate_routes);
