/* api.c: see api.h. */
#include "fetch/api.h"

#include "fetch/fetch_internal.h"

enum { MAX_FILE = 64 << 20, MAX_PAGES = 10000 };

/* The user that the token belongs to. */
static const char *own_name(Arena *a, const char *token, Error *err)
{
    AUTO(json_decref) json_t *who = fetch_whoami(token, err);
    return who ? arena_cstr(a, json_str(who, "name")) : NULL;
}

char *api_repo_id(Arena *a, const char *id, FetchKind *kind, const char *token, Error *err)
{
    RepoName name;
    if (!repo_name_parse(&name, a, id, *kind, NULL, err))
        return NULL;
    *kind = name.kind;
    if (strchr(name.id, '/'))
        return arena_cstr(a, str_of(name.id));
    const char *owner = own_name(a, token, err);
    return owner ? arena_printf(a, "%s/%s", owner, name.id) : NULL;
}

char *api_repo_path(Arena *a, const char *id, FetchKind kind, const char *token, Error *err,
                    const char *format, ...)
{
    const char *full = api_repo_id(a, id, &kind, token, err);
    if (!full)
        return NULL;
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%s/%s", fetch_kind(kind)->plural, full);
    va_list args;
    va_start(args, format);
    buf_vprintf(&out, format, args);
    va_end(args);
    return arena_cstr(a, buf_str(&out));
}

char *api_repo_page(Arena *a, const char *id, FetchKind kind, const char *token, Error *err)
{
    const char *full = api_repo_id(a, id, &kind, token, err);
    if (!full)
        return NULL;
    FetchEnv env = fetch_env(a, token, NULL);
    return repo_page(a, &env, &(RepoName){.kind = kind, .id = full});
}

json_t *api_repo_json(const char *id, FetchKind kind)
{
    Str name = str_of(id), owner;
    json_t *body = json_pack("{s:s}", "type", fetch_kind(kind)->name);
    if (strchr(id, '/') && str_split(&name, '/', &owner))
        json_object_set_new(body, "organization", json_from_str(owner));
    json_object_set_new(body, "name", json_from_str(name));
    return body;
}

json_t *api_call(const char *token, const char *method, const char *path, json_t *body, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    AUTO(json_decref) json_t *sent = body;
    FetchEnv env = fetch_env(a, token, NULL);
    return hub_json(c, a, &env, method, arena_printf(a, "%s/api/%s", env.endpoint, path), sent,
                    NULL, err);
}

json_t *api_list(const char *token, const char *path, int64_t limit, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    FetchEnv env = fetch_env(a, token, NULL);
    AUTO(json_decref) json_t *all = json_array();
    const char *next = arena_printf(a, "%s/api/%s", env.endpoint, path);
    for (int pages = 0; next && pages < MAX_PAGES; pages++) {
        if (limit >= 0 && (int64_t)json_array_size(all) >= limit)
            break;
        AUTO(json_decref) json_t *page = hub_json(c, a, &env, "GET", next, NULL, &next, err);
        if (!page)
            return NULL;
        json_array_extend(all, page);
    }
    while (limit >= 0 && (int64_t)json_array_size(all) > limit)
        json_array_remove(all, json_array_size(all) - 1);
    return TAKE(all);
}

char *api_query(Arena *a, const char *path, const char *name, const char *value)
{
    if (!value)
        return arena_cstr(a, str_of(path));
    return arena_printf(a, "%s%c%s=%s", path, strchr(path, '?') ? '&' : '?', name,
                        url_segment(a, value));
}

bool api_file(Buf *out, const char *id, FetchKind kind, const char *path, const char *token,
              Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    FetchEnv env = fetch_env(a, token, NULL);
    RepoName name;
    if (!repo_name_parse(&name, a, id, kind, NULL, err))
        return false;
    ClientAnswer answer;
    ClientCall call = {.url = arena_printf(a, "%s/%s%s/resolve/%s/%s", env.endpoint,
                                           fetch_kind(name.kind)->prefix, name.id,
                                           url_segment(a, name.revision), url_path(a, path)),
                       .token = env.token,
                       .max_body = MAX_FILE};
    if (!hub_call(c, a, call, &answer, err))
        return false;
    buf_add(out, answer.body);
    return buf_ok(out, err);
}
