/* repos.c: a repository is made; see fetch.h. */
#include "fetch/fetch_internal.h"

char *fetch_repo_create(Arena *a, const char *id, const UploadOptions *options, const char *sdk,
                        bool exist_ok, Error *err)
{
    RepoName name;
    FetchEnv env = fetch_env(a, options->token, NULL);
    if (!repo_name_parse(&name, a, id, options->kind, NULL, err))
        return NULL;
    AUTO(client_free) Client *c = client_new();
    AUTO(json_decref) json_t *body = api_repo_json(name.id, name.kind);
    json_object_set_new(body, "private", json_boolean(options->private_));
    if (name.kind == FETCH_SPACE)
        json_object_set_new(body, "sdk", json_string(sdk ? sdk : "static"));
    Error failure = {0};
    AUTO(json_decref)
    json_t *answer =
        hub_json(c, a, &env, "POST", arena_printf(a, "%s/api/repos/create", env.endpoint), body,
                 NULL, &failure);
    if (answer)
        return arena_cstr(a, json_str(answer, "url"));
    // Who may only write there is refused, yet what is wanted may be there.
    bool may_be_there = failure.code == ERR_EXISTS || failure.code == ERR_DENIED;
    AUTO(json_decref)
    json_t *info =
        exist_ok && may_be_there
            ? hub_json(c, a, &env, "GET", repo_api(a, &env, &name, "%s", ""), NULL, NULL, NULL)
            : NULL;
    if (info)
        return repo_page(a, &env, &name);
    if (err)
        *err = failure;
    return fail_while(err, "create %s", id);
}
