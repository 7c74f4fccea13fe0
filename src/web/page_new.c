/* page_new.c: making repositories. */
#include "web/web_internal.h"

static const struct {
    const char *id, *name;
} licenses[] = {
    {"", "None yet"},
    {"apache-2.0", "Apache 2.0"},
    {"mit", "MIT"},
    {"bsd-3-clause", "BSD 3-Clause"},
    {"gpl-3.0", "GPL 3.0"},
    {"lgpl-3.0", "LGPL 3.0"},
    {"cc-by-4.0", "CC BY 4.0"},
    {"cc-by-sa-4.0", "CC BY-SA 4.0"},
    {"cc0-1.0", "CC0 1.0"},
    {"openrail", "OpenRAIL"},
    {"llama3", "Llama 3"},
    {"other", "Other"},
};

static const char *const sdks[] = {"gradio", "streamlit", "docker", "static"};

json_t *owners_json(const Viewer *viewer, Str chosen)
{
    json_t *out = json_array();
    const Account *me = &viewer->account;
    for (size_t i = 0; i <= me->n_others; i++) {
        Str name = i ? me->others[i - 1].name : me->name;
        if (i && str_eq(me->others[i - 1].role, S("read")))
            continue;
        json_t *row = json_object();
        set_str(row, "name", name);
        set(row, "on", json_boolean(str_eq_nocase(name, chosen)));
        json_array_append_new(out, row);
    }
    return out;
}

static void show(Request *r, int status, const NewRepo *new, const char *problem)
{
    static const char *const titles[] = {"New model", "New dataset", "New Space"};
    json_t *page = page_new(r, titles[new->kind]), *list = json_array(), *kits = json_array();
    for (size_t i = 0; i < COUNT(licenses); i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "id", licenses[i].id, "name",
                                              licenses[i].name, "on",
                                              str_eq(new->license, str_of(licenses[i].id))));
    for (size_t i = 0; i < COUNT(sdks); i++)
        json_array_append_new(kits, json_string(sdks[i]));
    set(page, "kind", json_string(repo_kind_info(new->kind)->name));
    set(page, "owners", owners_json(web_viewer(r), new->owner));
    set_str(page, "name", new->name);
    set_str(page, "sdk", new->sdk.len ? new->sdk : S("gradio"));
    set(page, "private", json_boolean(new->is_private));
    set(page, "licenses", list);
    set(page, "sdks", kits);
    set(page, "problem", json_string(problem));
    page_render(r, status, "new", page);
}

static RepoKind kind_of(const Request *r)
{
    Str path = request_path(r);
    return str_starts(path, S("/new-dataset")) ? REPO_DATASET
           : str_starts(path, S("/new-space")) ? REPO_SPACE
                                               : REPO_MODEL;
}

static void new_repo(Request *r)
{
    NewRepo new = {.kind = kind_of(r), .owner = request_query_get(r, "owner")};
    new.name = request_query_get(r, "name");
    show(r, 200, &new, "");
}

static void make_repo(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    Arena *a = request_arena(r);
    if (!web_form(r, &form))
        return;
    RepoKind kind = kind_of(r);
    NewRepo new = {.kind = kind,
                   .owner = params_get(&form, "owner"),
                   .name = str_trim(params_get(&form, "name")),
                   .license = params_get(&form, "license"),
                   .sdk = kind == REPO_SPACE ? params_get(&form, "sdk") : (Str){0},
                   .is_private = str_eq(params_get(&form, "visibility"), S("private"))};
    if (!repo_create(hub_of(r), a, web_viewer(r), &new, &repo, &err))
        return err.code == ERR_INVALID || err.code == ERR_EXISTS || err.code == ERR_DENIED
                   ? show(r, error_http_status(err.code), &new, err.text)
                   : reply_error(r, &err);
    reply_redirect(r, 303, repo_path(a, &repo));
}

const Route web_new_routes[] = {
    {"GET", "/new", new_repo, .access = WEB_LOGGED_IN, .summary = "New model"},
    {"GET", "/new-dataset", new_repo, .access = WEB_LOGGED_IN, .summary = "New dataset"},
    {"GET", "/new-space", new_repo, .access = WEB_LOGGED_IN, .summary = "New Space"},
    {"POST", "/new", make_repo, .access = WEB_LOGGED_IN, .summary = "New model"},
    {"POST", "/new-dataset", make_repo, .access = WEB_LOGGED_IN, .summary = "New dataset"},
    {"POST", "/new-space", make_repo, .access = WEB_LOGGED_IN, .summary = "New Space"},
};
const size_t web_new_routes_n = COUNT(web_new_routes);
