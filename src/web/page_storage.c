/* page_storage.c: the large files of a repository: what each takes, and ending some for good. */
#include "hub/lfs_files.h"
#include "web/web_internal.h"

enum { SHOWN = 500 };

static json_t *file_json(Arena *a, const Repo *repo, const LfsFile *file)
{
    json_t *o = json_object();
    Str branch = str_slice(file->ref, file->ref.len ? strlen("refs/heads/") : 0, file->ref.len);
    set_str(o, "sha256", file->sha256);
    set_str(o, "path", file->path);
    set_str(o, "branch", branch);
    set_str(o, "link", branch.len ? rev_path(a, repo, "blob", branch, file->path) : (Str){0});
    set(o, "size", json_size(file->size));
    set(o, "when", json_when(file->given_ns));
    return o;
}

static void show(Request *r, int status, const Repo *repo, const char *notice, const char *problem)
{
    Error err = {0};
    LfsFile *files;
    size_t n;
    int64_t all, bytes;
    Arena *a = request_arena(r);
    if (!lfs_file_total(hub_of(r), repo, &all, &bytes, &err) ||
        !lfs_file_list(hub_of(r), a, repo, &(LfsQuery){.limit = SHOWN, .largest_first = true},
                       &files, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, arena_printf(a, "%.*s: large files", STR(repo->full)));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, file_json(a, repo, &files[i]));
    page_set_repo(r, page, repo, "settings", S("main"));
    set(page, "files", list);
    set(page, "total", json_count(all));
    set(page, "bytes", json_size(bytes));
    set(page, "more", json_boolean(all > (int64_t)n));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    page_render(r, status, "storage", page);
}

static void storage(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_ADMIN, &repo))
        show(r, 200, &repo, "", "");
}

/* The name must be typed, as to delete the whole. */
static void end_files(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    Str *sha256 = NEW_ARRAY(request_arena(r), Str, form.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < form.n; i++)
        if (str_eq(form.items[i].name, S("file")))
            sha256[n++] = form.items[i].value;
    if (!n)
        return show(r, 400, &repo, "", "Tick what is to be deleted");
    if (!str_eq(str_trim(params_get(&form, "name")), repo.full))
        return show(r, 400, &repo, "", "Type the repository's full name to delete files of it");
    if (!lfs_file_delete(hub_of(r), &repo, sha256, n, params_get(&form, "rewrite").len > 0, &err))
        return err.code == ERR_INVALID ? show(r, 400, &repo, "", err.text) : reply_error(r, &err);
    show(r, 200, &repo, n == 1 ? "One file is gone" : "The files are gone", "");
}

const Route web_storage_routes[] = {
    EACH_KIND("GET", "/settings/storage", storage, WEB_LOGGED_IN, "Its large files"),
    EACH_KIND("POST", "/settings/storage", end_files, WEB_LOGGED_IN, "End some of them for good",
              .flags = ROUTE_LONG),
};
const size_t web_storage_routes_n = COUNT(web_storage_routes);
