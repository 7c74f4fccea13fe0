/* tree.c: the files of a revision: trees, single paths, LFS files. */
#include "api/api_internal.h"

#include "base/map.h"

enum { TREE_PAGE = 10000, MAX_PATHS = 10000, PATHS_BODY = 8 << 20, MAX_REV = 1024 };

json_t *entry_json(const RepoEntry *e)
{
    json_t *out = json_pack("{s:s, s:o, s:I, s:o}", "type", e->is_folder ? "directory" : "file",
                            "oid", json_from_str(e->oid), "size", (json_int_t)e->size, "path",
                            json_from_str(e->path));
    if (e->is_lfs)
        json_object_set_new(out, "lfs",
                            json_pack("{s:o, s:I, s:I}", "oid", json_from_str(e->sha256), "size",
                                      (json_int_t)e->size, "pointerSize",
                                      (json_int_t)e->pointer_size));
    if (e->xet_hash.len)
        json_object_set_new(out, "xetHash", json_from_str(e->xet_hash));
    if (e->last_id.len)
        json_object_set_new(out, "lastCommit",
                            json_pack("{s:o, s:o, s:o}", "id", json_from_str(e->last_id), "title",
                                      json_from_str(e->last_title), "date", api_date(e->last_ns)));
    return out;
}

static void reply_entries(Request *r, const Repo *repo, RepoTree *tree)
{
    Error err = {0};
    if (!repo_xet_hashes(api_of(r)->hub, request_arena(r), repo, tree, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < tree->n; i++)
        json_array_append_new(out, entry_json(&tree->items[i]));
    reply_header(r, "X-Repo-Commit", tree->sha);
    api_reply(r, out);
}

/* {rev} and {path} of "tree/{rest...}". Clients that do not encode the revision's slashes send
 * "tree/refs/pr/1/path": the longest start that is a revision counts. */
static bool split_revision(Request *r, const Repo *repo, Str rest, Str *rev, Str *path)
{
    Error err = {0};
    Str sha;
    if (!str_starts(rest, S("refs/"))) {
        *rev = str_slice(rest, 0, str_find_char(rest, '/', 0));
        *path = str_slice(rest, rev->len + 1, rest.len);
        return true;
    }
    // Each try reads the disk: what no ref is as long as is not tried.
    size_t longest =
        rest.len <= MAX_REV ? rest.len : str_rfind_char(str_slice(rest, 0, MAX_REV), '/');
    for (size_t end = longest; end != SIZE_MAX;
         end = str_rfind_char(str_slice(rest, 0, end), '/')) {
        *rev = str_slice(rest, 0, end);
        *path = str_slice(rest, end + 1, rest.len);
        if (repo_revision(api_of(r)->hub, request_arena(r), repo, *rev, &sha, NULL))
            return true;
    }
    (void)!fail(&err, ERR_NO_REVISION, "Invalid rev id: %.*s", STR(rest));
    reply_error(r, &err);
    return false;
}

/* One page of the tree; the cursor is "SHA.OFFSET", so that later pages are of the same commit. */
static bool page_cut(Request *r, RepoTree *tree, int64_t offset, int64_t limit)
{
    int64_t n = (int64_t)tree->n;
    if (offset > n) {
        reply_failure(r, 400, "cursor: behind the end");
        return false;
    }
    tree->items += offset;
    tree->n = (size_t)MIN(n - offset, limit);
    if (offset + limit < n)
        api_link_next(r, "cursor",
                      str_of(arena_printf(request_arena(r), "%.*s.%lld", STR(tree->sha),
                                          (long long)(offset + limit))));
    return true;
}

static void tree_of(Request *r, const Repo *repo, Str rev, Str path)
{
    Error err = {0};
    Arena *a = request_arena(r);
    RepoTree tree = {0};
    int64_t limit, offset = 0;
    Str cursor = request_query_get(r, "cursor");
    if (!api_limit(r, TREE_PAGE, TREE_PAGE, &limit))
        return;
    if (cursor.len) {
        size_t dot = str_find_char(cursor, '.', 0);
        rev = str_slice(cursor, 0, dot);
        if (dot == SIZE_MAX ||
            !str_to_int(str_slice(cursor, dot + 1, cursor.len), 0, INT64_MAX - TREE_PAGE, &offset))
            return reply_failure(r, 400, "cursor: not one of ours");
    }
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    if (!repo_tree(api_of(r)->hub, a, repo, rev, path, api_flag(r, "recursive"), &tree, &err)) {
        if (err.code == ERR_NO_ENTRY)
            reply_header(r, "X-Repo-Commit", tree.sha);
        return reply_error(r, &err);
    }
    if (!page_cut(r, &tree, offset, limit))
        return;
    if (api_flag(r, "expand") && !repo_last_commits(api_of(r)->hub, a, repo, &tree, &err))
        return reply_error(r, &err);
    reply_entries(r, repo, &tree);
}

static void tree(Request *r)
{
    Repo repo;
    Str rev = request_param(r, "rev"), path = request_param(r, "path");
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    if (str_eq(rev, S("refs"))) {
        Str rest = str_of(arena_printf(request_arena(r), "refs/%.*s", STR(path)));
        if (!split_revision(r, &repo, rest, &rev, &path))
            return;
    }
    tree_of(r, &repo, rev, path);
}

/* paths (repeated) and expand, from a form or JSON. */
static bool wanted_paths(Request *r, Str **paths, size_t *n, bool *expand)
{
    Error err = {0};
    Arena *a = request_arena(r);
    *paths = NEW_ARRAY(a, Str, MAX_PATHS);
    *n = 0;
    if (str_starts(request_header(r, "Content-Type"), S("application/json"))) {
        const json_t *body = request_json(r, 0, &err);
        const json_t *list = json_object_get(body, "paths");
        for (size_t i = 0; i < MIN(json_array_size(list), (size_t)MAX_PATHS); i++) {
            const json_t *item = json_array_get(list, i);
            (*paths)[(*n)++] = (Str){json_string_value(item), json_string_length(item)};
        }
        *expand = json_flag(body, "expand", false);
    } else {
        Params form = {0};
        if (request_form(r, &form, &err))
            for (size_t i = 0; i < form.n && *n < MAX_PATHS; i++)
                if (str_eq(form.items[i].name, S("paths")))
                    (*paths)[(*n)++] = form.items[i].value;
        *expand = str_eq_nocase(params_get(&form, "expand"), S("true"));
    }
    if (err.code)
        reply_error(r, &err);
    return !err.code;
}

static void paths_info(Request *r)
{
    Error err = {0};
    Arena *a = request_arena(r);
    Repo repo;
    RepoTree found;
    Str *paths;
    size_t n;
    bool expand;
    if (!api_repo(r, ACCESS_READ, &repo) || !wanted_paths(r, &paths, &n, &expand))
        return;
    for (size_t i = 0; i < n; i++) // "dir/" is asked for too
        while (paths[i].len && paths[i].ptr[paths[i].len - 1] == '/')
            paths[i].len--;
    if (!repo_paths(api_of(r)->hub, a, &repo, request_param(r, "rev"), paths, n, &found, &err) ||
        (expand && !repo_last_commits(api_of(r)->hub, a, &repo, &found, &err)))
        return reply_error(r, &err);
    reply_entries(r, &repo, &found);
}

static void tree_size(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoTree found;
    Str path = request_param(r, "path");
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    if (!repo_tree(api_of(r)->hub, request_arena(r), &repo, request_param(r, "rev"), path, true,
                   &found, &err))
        return reply_error(r, &err);
    int64_t size = 0;
    for (size_t i = 0; i < found.n; i++)
        size += found.items[i].size;
    api_reply(r, json_pack("{s:o, s:I}", "path", json_from_str(path), "size", (json_int_t)size));
}

const Route tree_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}/tree/{rev}/{path...}", tree,
     .summary = "Files and folders of a revision"},
    {"POST", "/api/{kind}/{owner}/{name}/paths-info/{rev}", paths_info, .max_body = PATHS_BODY,
     .summary = "Some files of a revision"},
    {"GET", "/api/{kind}/{owner}/{name}/treesize/{rev}/{path...}", tree_size,
     .summary = "Bytes below a folder"},
};
const size_t tree_routes_n = COUNT(tree_routes);
