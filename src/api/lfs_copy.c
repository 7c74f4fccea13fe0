/* lfs_copy.c: LFS files copied from one repository into another without their bytes travelling: who
 * may read them here and write there could as well download and upload them. */
#include "api/api_internal.h"

enum { COPY_BODY = 4 << 20, MAX_COPIES = 10000 };

/* An entry of "failed", or NULL. */
static json_t *copy_file(Request *r, const Repo *from, const Repo *to, const json_t *file)
{
    Error err = {0};
    Hub *hub = api_of(r)->hub;
    Str sha256 = json_str(file, "sha256");
    bool has = false;
    int64_t size = 0;
    if (repo_has_blob(hub, from, NULL, sha256, &has, &size, &err) && !has)
        (void)!fail(&err, ERR_NOT_FOUND, "this repository has no such object");
    if (has && repo_grant_blob(hub, to, api_viewer(r), sha256, size, &err))
        return NULL;
    return json_pack("{s:o, s:o}", "sha256", json_from_str(sha256), "error",
                     json_from_str(str_of(err.text)));
}

static void copy_files(Request *r)
{
    Error err = {0};
    Repo from, to;
    RepoKind kind;
    if (!api_repo(r, ACCESS_FILES, &from) || !api_gate(r, &from))
        return;
    const json_t *body = request_json(r, COPY_BODY, &err);
    if (!body)
        return reply_error(r, &err);
    const json_t *target = json_object_get(body, "target"), *files = json_object_get(body, "files");
    if (!repo_kind_parse(json_str(target, "type"), &kind) || !json_is_array(files) ||
        json_array_size(files) > MAX_COPIES)
        return reply_failure(r, 400, "target: {type, name}; files: a list of at most 10000");
    // That a pull request will name them shows only later.
    if (!repo_find(api_of(r)->hub, request_arena(r), api_viewer(r), kind, json_str(target, "name"),
                   ACCESS_PROPOSE, &to, &err))
        return reply_error(r, &err);
    json_t *failed = json_array();
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_t *failure = copy_file(r, &from, &to, json_array_get(files, i));
        if (failure)
            json_array_append_new(failed, failure);
    }
    api_reply(r, json_pack("{s:o}", "failed", failed));
}

const Route lfs_copy_routes[] = {
    {"POST", "/api/{kind}/{owner}/{name}/lfs-files/duplicate", copy_files, .access = API_LOGGED_IN,
     .max_body = COPY_BODY, .summary = "Copy LFS files into another repository"},
};
const size_t lfs_copy_routes_n = COUNT(lfs_copy_routes);
