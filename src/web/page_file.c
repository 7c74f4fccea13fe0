/* page_file.c: folders and files of a revision. */
#include "base/encode.h"
#include "base/file.h"
#include "web/file_view.h"
#include "web/web_internal.h"

enum { ENTRIES = 1000 }; // of a folder on one page

/* "a/b/c" as links: each part with the path down to it. */
static json_t *crumbs_json(Str path)
{
    json_t *out = json_array();
    for (size_t start = 0; start < path.len;) {
        size_t end = MIN(str_find_char(path, '/', start), path.len);
        json_t *crumb = json_object();
        set_str(crumb, "name", str_slice(path, start, end));
        set_str(crumb, "path", str_slice(path, 0, end));
        json_array_append_new(out, crumb);
        start = end + 1;
    }
    return out;
}

static json_t *refs_json(Request *r, const Repo *repo, Str rev)
{
    Error err = {0};
    RepoRefs refs;
    json_t *out = json_array();
    if (!repo_refs(hub_of(r), request_arena(r), repo, &refs, &err))
        return out;
    for (size_t i = 0; i < refs.n && i < 50; i++) {
        bool tag = str_starts(refs.items[i].ref, S("refs/tags/"));
        if (!tag && !str_starts(refs.items[i].ref, S("refs/heads/")))
            continue;
        json_t *row = json_object();
        AUTO_BUF url;
        buf_init(&url, 0);
        url_encode(&url, refs.items[i].name, "");
        set_str(row, "name", refs.items[i].name);
        set_str(row, "url", buf_str(&url));
        set(row, "tag", json_boolean(tag));
        set(row, "on", json_boolean(str_eq(refs.items[i].name, rev)));
        json_array_append_new(out, row);
    }
    return out;
}

/* "pickle" for files that run code when loaded, "safe" for safetensors, else empty. */
static const char *badge_of(Str path)
{
    static const char *const pickles[] = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"};
    Str suffix = path_suffix(path);
    for (size_t i = 0; i < COUNT(pickles); i++)
        if (str_eq(suffix, str_of(pickles[i])))
            return "pickle";
    return str_eq(suffix, S(".safetensors")) || str_eq(suffix, S(".gguf")) ? "safe" : "";
}

static json_t *entry_json(const RepoEntry *e)
{
    json_t *o = json_object();
    set_str(o, "path", e->path);
    set_str(o, "name", path_name(e->path));
    set(o, "folder", json_boolean(e->is_folder));
    set(o, "size", e->is_folder ? json_null() : json_size(e->size));
    set(o, "lfs", json_boolean(e->is_lfs));
    set(o, "badge", json_string(badge_of(e->path)));
    set(o, "missing", json_boolean(e->is_missing));
    set_str(o, "commit", e->last_id);
    set_str(o, "commit_title", e->last_title);
    set(o, "changed", e->last_ns ? json_when(e->last_ns) : json_null());
    return o;
}

/* One page of a folder: its folders first, then its files. False: there is no such page. */
static bool folder_page(Arena *a, const RepoTree *found, int64_t number, RepoTree *out)
{
    size_t n = 0, start = (size_t)number * ENTRIES;
    if (number && start >= found->n)
        return false;
    *out = (RepoTree){.sha = found->sha, .items = NEW_ARRAY(a, RepoEntry, ENTRIES)};
    for (int files = 0; files < 2; files++)
        for (size_t i = 0; i < found->n && out->n < ENTRIES; i++)
            if (found->items[i].is_folder != files && n++ >= start)
                out->items[out->n++] = found->items[i];
    return true;
}

static void set_last_commit(Request *r, json_t *page, const Repo *repo, Str rev, Str path)
{
    Error err = {0};
    RepoLog log;
    json_t *last = json_null();
    if (repo_log(hub_of(r), request_arena(r), repo, rev, path, 0, 1, &log, &err) && log.n) {
        last = json_object();
        set_str(last, "id", log.items[0].id);
        set_str(last, "title", log.items[0].title);
        set_str(last, "author", log.items[0].author);
        set(last, "when", json_when(log.items[0].date_ns));
    }
    set(page, "last", last);
}

/* Can files of this revision be changed: is it a branch, or a pull request? */
static bool is_branch(const json_t *refs, Str rev)
{
    size_t i;
    const json_t *ref;
    json_array_foreach(refs, i, ref)
    {
        if (json_is_true(json_object_get(ref, "on")) && !json_is_true(json_object_get(ref, "tag")))
            return true;
    }
    return str_starts(rev, S("refs/pr/"));
}

static void set_place(Request *r, json_t *page, const Repo *repo, Str rev, Str path)
{
    page_set_repo(r, page, repo, "files", rev);
    set_str(page, "path", path);
    set(page, "crumbs", crumbs_json(path));
    json_t *refs = refs_json(r, repo, rev);
    bool may =
        repo->access >= ACCESS_WRITE || (repo->access >= ACCESS_PROPOSE && !repo->discussions_off);
    set(page, "can_change", json_boolean(web_is_known(r) && may && is_branch(refs, rev)));
    set(page, "refs", refs);
    set_last_commit(r, page, repo, rev, path);
}

static void tree(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoTree found, shown;
    int64_t number = 0;
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev"), path = request_param(r, "path");
    Str asked = request_query_get(r, "p");
    if (!web_repo(r, ACCESS_READ, &repo))
        return;
    if (!repo_tree(hub_of(r), a, &repo, rev, path, false, &found, &err))
        return reply_error(r, &err);
    if ((asked.len && !str_to_int(asked, 0, INT32_MAX, &number)) ||
        !folder_page(a, &found, number, &shown))
        return reply_failure(r, 404, "This folder has no such page");
    if (!repo_last_commits(hub_of(r), a, &repo, &shown, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, arena_printf(a, "%.*s: files", STR(repo.full)));
    json_t *entries = json_array();
    for (size_t i = 0; i < shown.n; i++)
        json_array_append_new(entries, entry_json(&shown.items[i]));
    set_place(r, page, &repo, rev, path);
    set(page, "entries", entries);
    set(page, "number", json_integer(number));
    set(page, "pages", json_integer((json_int_t)(found.n + ENTRIES - 1) / ENTRIES));
    set(page, "entry", json_null());
    size_t slash = str_rfind_char(path, '/');
    set_str(page, "parent", slash == SIZE_MAX ? (Str){0} : str_slice(path, 0, slash));
    page_render(r, 200, "tree", page);
}

/* ---- One file ---- */

bool web_is_text(Str bytes)
{
    return str_find_char(bytes, 0, 0) == SIZE_MAX && str_is_utf8(bytes);
}

static void blob(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoFile file;
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev"), path = request_param(r, "path");
    if (!web_repo(r, ACCESS_FILES, &repo))
        return;
    if (!repo_file(hub_of(r), a, &repo, rev, path, &file, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, arena_printf(a, "%.*s: %.*s", STR(repo.full), STR(path)));
    set_place(r, page, &repo, rev, path);
    set(page, "entry", entry_json(&file.entry));
    set_str(page, "sha256", file.entry.sha256);
    set_str(page, "oid", file.entry.oid);
    if (!file_view(r, page, &repo, &file, rev, &err)) {
        json_decref(page);
        return reply_error(r, &err);
    }
    page_render(r, 200, "blob", page);
}

const Route web_file_routes[] = {
    EACH_KIND("GET", "/tree/{rev}/{path...}", tree, WEB_ANYBODY, "Files of a folder"),
    EACH_KIND("GET", "/blob/{rev}/{path...}", blob, WEB_ANYBODY, "One file"),
    EACH_KIND("GET", "/picture/{rev}/{path...}", notebook_picture, WEB_ANYBODY,
              "A picture of a notebook")};
const size_t web_file_routes_n = COUNT(web_file_routes);
