/* duplicate.c: a repository made of another one on the hub. */
#include "api/api_internal.h"
#include "hub/duplicates.h"

static void reply_url(Request *r, int status, const char *error, const char *url)
{
    json_t *out = json_pack("{s:s}", "url", url);
    if (error)
        json_object_set_new(out, "error", json_string(error));
    reply_json(r, status, out);
    json_decref(out);
}

/* {"repository": "owner/name", "visibility": "private"} */
static void duplicate(Request *r)
{
    Error err = {0};
    Repo from, repo = {0};
    if (!api_repo(r, ACCESS_FILES, &from))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    Duplicate params = {.to = json_str(body, "repository")};
    Str visibility = json_str(body, "visibility");
    bool is_private =
        visibility.len ? !str_eq(visibility, S("public")) : json_flag(body, "private", false);
    if (visibility.len || json_object_get(body, "private"))
        params.is_private = &is_private;
    if (repo_duplicate(api_of(r)->hub, request_arena(r), api_viewer(r), &from, &params, &repo,
                       &err))
        return reply_url(r, 200, NULL, api_repo_url(r, &repo));
    if (err.code != ERR_EXISTS)
        return reply_error(r, &err);
    // exist_ok reads the URL from the refusal.
    reply_url(r, 409, err.text,
              repo.full.len ? api_repo_url(r, &repo)
                            : arena_printf(request_arena(r), "%s/%s%.*s", api_url(r),
                                           repo_kind_info(from.kind)->prefix, STR(params.to)));
}

const Route duplicate_routes[] = {
    {"POST", "/api/{kind}/{owner}/{name}/duplicate", duplicate, .flags = ROUTE_LONG,
     .access = API_LOGGED_IN, .summary = "Make another one of it"},
};
const size_t duplicate_routes_n = COUNT(duplicate_routes);
