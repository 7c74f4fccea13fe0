/* lfs_files.c: the large files of a repository, listed and ended for good. */
#include "hub/lfs_files.h"
#include "api/api_internal.h"

enum { PAGE = 1000, BATCH = 1000 };

static json_t *file_json(const LfsFile *file)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "oid", json_from_str(file->sha256),
                     "fileOid", json_from_str(file->sha256), "filename", json_from_str(file->path),
                     "pushedAt", api_date(file->given_ns), "ref",
                     file->ref.len ? json_from_str(file->ref) : json_null(), "size",
                     (json_int_t)file->size);
}

/* For those who may write: among them are files that were uploaded and never committed. */
static void list(Request *r)
{
    Error err = {0};
    Repo repo;
    LfsFile *files;
    size_t n;
    int64_t limit;
    if (!api_repo(r, ACCESS_WRITE, &repo) || !api_limit(r, PAGE, PAGE, &limit))
        return;
    LfsQuery query = {.after = request_query_get(r, "cursor"), .limit = (size_t)limit};
    if (!lfs_file_list(api_of(r)->hub, request_arena(r), &repo, &query, &files, &n, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, file_json(&files[i]));
    if (n == query.limit)
        api_link_next(r, "cursor", files[n - 1].sha256);
    api_reply(r, out);
}

/* {"deletions": {"sha": [...], "rewriteHistory": true}} */
static void batch(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_ADMIN, &repo))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    const json_t *deletions = json_object_get(body, "deletions");
    const json_t *list = json_object_get(deletions, "sha"), *item;
    size_t n = json_array_size(list), i;
    if (!json_is_array(list) || n > BATCH)
        return reply_failure(r, 400, "deletions.sha: a list of at most 1000 sha256");
    Str *sha256 = NEW_ARRAY(request_arena(r), Str, n + 1);
    json_array_foreach(list, i, item)
    {
        sha256[i] = (Str){json_string_value(item), json_string_length(item)};
    }
    if (!lfs_file_delete(api_of(r)->hub, &repo, sha256, n,
                         json_flag(deletions, "rewriteHistory", true), &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

const Route lfs_file_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}/lfs-files", list, .access = API_LOGGED_IN,
     .summary = "Its large files, of all commits"},
    {"POST", "/api/{kind}/{owner}/{name}/lfs-files/batch", batch, .flags = ROUTE_LONG,
     .access = API_LOGGED_IN, .summary = "End some of them for good"},
};
const size_t lfs_file_routes_n = COUNT(lfs_file_routes);
