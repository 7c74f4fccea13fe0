/* repos.c: repositories made, deleted and listed; see fetch.h. */
#include "fetch/fetch_internal.h"

/* "org/name" as the two members that the calls take; a bare name is ours. */
static json_t *name_json(const RepoName *name)
{
    Str id = str_of(name->id);
    size_t slash = str_find_char(id, '/', 0);
    json_t *body = json_pack("{s:s}", "type", fetch_kind(name->kind)->name);
    json_object_set_new(body, "name",
                        json_from_str(slash == SIZE_MAX ? id : str_slice(id, slash + 1, id.len)));
    if (slash != SIZE_MAX)
        json_object_set_new(body, "organization", json_from_str(str_slice(id, 0, slash)));
    return body;
}

char *fetch_repo_create(Arena *a, const char *id, const UploadOptions *options, const char *sdk,
                        bool exist_ok, Error *err)
{
    RepoName name;
    FetchEnv env = fetch_env(a, options->token, NULL);
    if (!repo_name_parse(&name, a, id, options->kind, NULL, err))
        return NULL;
    AUTO(client_free) Client *c = client_new();
    AUTO(json_decref) json_t *body = name_json(&name);
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
        return arena_printf(a, "%s/%s%s", env.endpoint, fetch_kind(name.kind)->prefix, name.id);
    if (err)
        *err = failure;
    return fail_while(err, "create %s", id);
}

bool fetch_repo_delete(const char *id, FetchKind kind, const char *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    RepoName name;
    FetchEnv env = fetch_env(a, token, NULL);
    if (!repo_name_parse(&name, a, id, kind, NULL, err))
        return false;
    AUTO(client_free) Client *c = client_new();
    AUTO(json_decref) json_t *body = name_json(&name);
    AUTO(json_decref)
    json_t *answer =
        hub_json(c, a, &env, "DELETE", arena_printf(a, "%s/api/repos/delete", env.endpoint), body,
                 NULL, err);
    return answer || fail_while(err, "delete %s", id);
}

json_t *fetch_repo_list(FetchKind kind, const char *owner, const char *search, int64_t limit,
                        const char *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    FetchEnv env = fetch_env(a, token, NULL);
    if (!owner) {
        AUTO(json_decref) json_t *who = fetch_whoami(token, err);
        if (!who)
            return NULL;
        owner = arena_cstr(a, json_str(who, "name"));
    }
    AUTO(client_free) Client *c = client_new();
    const char *next = arena_printf(
        a, "%s/api/%s?author=%s%s%s&sort=lastModified&full=true&limit=%lld", env.endpoint,
        fetch_kind(kind)->plural, url_segment(a, owner), search ? "&search=" : "",
        search ? url_segment(a, search) : "", (long long)MIN(limit, 1000));
    AUTO(json_decref) json_t *all = json_array();
    while (next && (int64_t)json_array_size(all) < limit) {
        AUTO(json_decref) json_t *page = hub_json(c, a, &env, "GET", next, NULL, &next, err);
        if (!page)
            return fail_while(err, "list %s", fetch_kind(kind)->plural);
        json_array_extend(all, page);
    }
    while ((int64_t)json_array_size(all) > limit)
        json_array_remove(all, json_array_size(all) - 1);
    return TAKE(all);
}
