/* env.c: the environment, names of repositories, and tokens; see fetch.h. */
#include "fetch/fetch_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <strings.h>

enum { MAX_ID = 200, MAX_REVISION = 250, MAX_TOKEN = 4096 };

static const KindInfo kinds[] = {
    [FETCH_MODEL] = {"model", "models", ""},
    [FETCH_DATASET] = {"dataset", "datasets", "datasets/"},
    [FETCH_SPACE] = {"space", "spaces", "spaces/"},
};

const KindInfo *fetch_kind(FetchKind kind)
{
    return &kinds[kind];
}

const char *fetch_kind_name(FetchKind kind)
{
    return kinds[kind].name;
}

bool fetch_kind_parse(Str name, FetchKind *kind)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_eq(name, str_of(kinds[i].name)) || str_eq(name, str_of(kinds[i].plural))) {
            *kind = (FetchKind)i;
            return true;
        }
    return false;
}

/* An environment variable that is set and not empty, else NULL. */
static const char *env_text(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool env_flag(const char *name)
{
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *value = env_text(name);
    for (size_t i = 0; value && i < COUNT(yes); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

const char *fetch_home(Arena *a)
{
    const char *value = env_text("HF_HOME");
    if (value)
        return arena_cstr(a, str_of(value));
    if ((value = env_text("XDG_CACHE_HOME")))
        return arena_printf(a, "%s/huggingface", value);
    value = env_text("HOME");
    return arena_printf(a, "%s/.cache/huggingface", value ? value : "");
}

const char *fetch_token_path(Arena *a)
{
    const char *path = env_text("HF_TOKEN_PATH");
    return path ? arena_cstr(a, str_of(path)) : arena_printf(a, "%s/token", fetch_home(a));
}

const char *fetch_stored_tokens_path(Arena *a)
{
    const char *token = fetch_token_path(a);
    return arena_printf(a, "%.*s/stored_tokens", STR(path_parent(str_of(token))));
}

const char *fetch_endpoint(Arena *a)
{
    const char *value = env_text("HF_ENDPOINT");
    Str endpoint = str_of(value ? value : "http://127.0.0.1:7860");
    while (str_ends(endpoint, S("/")))
        endpoint.len--;
    return arena_cstr(a, endpoint);
}

const char *fetch_env_token(Arena *a)
{
    const char *token = env_text("HF_TOKEN");
    if (!token)
        token = env_text("HUGGING_FACE_HUB_TOKEN");
    return token ? arena_cstr(a, str_trim(str_of(token))) : NULL;
}

const char *fetch_token(Arena *a)
{
    const char *token = fetch_env_token(a);
    if (token)
        return token;
    if (env_flag("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return NULL;
    AUTO_BUF text;
    buf_init(&text, MAX_TOKEN);
    if (!file_read(fetch_token_path(a), &text, NULL))
        return NULL;
    Str kept = str_trim(buf_str(&text));
    return kept.len ? arena_cstr(a, kept) : NULL;
}

FetchEnv fetch_env(Arena *a, const char *token, const char *cache)
{
    FetchEnv env = {.endpoint = fetch_endpoint(a),
                    .offline = env_flag("HF_HUB_OFFLINE"),
                    .shares = !env_flag("HF_HUB_DISABLE_SHARED_BLOBS")};
    if (token)
        env.token = token[0] ? token : NULL;
    else
        env.token = fetch_token(a);
    if (!cache)
        cache = env_text("HF_HUB_CACHE");
    if (!cache)
        cache = env_text("HUGGINGFACE_HUB_CACHE");
    env.cache = cache ? arena_cstr(a, str_of(cache)) : arena_printf(a, "%s/hub", fetch_home(a));
    return env;
}

const char *fetch_cache_path(Arena *a)
{
    return fetch_env(a, NULL, NULL).cache;
}

bool is_commit(const char *revision)
{
    uint8_t bytes[20];
    return hex_decode(str_of(revision), bytes, sizeof bytes);
}

/* One half of an id: it becomes part of a folder's name and of URLs. */
static bool is_name(Str s)
{
    if (s.len == 0 || s.len > 96 || s.ptr[0] == '.' || s.ptr[0] == '-' ||
        str_find(s, S(".."), 0) != SIZE_MAX || str_find(s, S("--"), 0) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", s.ptr[i]))
            return false;
    return true;
}

bool repo_name_parse(RepoName *name, Arena *a, const char *id, FetchKind kind, const char *revision,
                     Error *err)
{
    Str rest = str_of(id);
    size_t at = str_find_char(rest, '@', 0);
    Str behind = at == SIZE_MAX ? S("main") : str_slice(rest, at + 1, rest.len);
    rest = str_slice(rest, 0, at);
    size_t slash = str_find_char(rest, '/', 0);
    // "datasets/org/name": with a second slash, the first part is the kind.
    if (slash != SIZE_MAX && str_find_char(rest, '/', slash + 1) != SIZE_MAX &&
        fetch_kind_parse(str_slice(rest, 0, slash), &kind)) {
        rest = str_slice(rest, slash + 1, rest.len);
        slash = str_find_char(rest, '/', 0);
    }
    Str owner = str_slice(rest, 0, slash);
    bool ok = rest.len < MAX_ID && is_name(owner) &&
              (slash == SIZE_MAX || is_name(str_slice(rest, slash + 1, rest.len)));
    if (!ok)
        return fail(err, ERR_INVALID,
                    "'%s' is not the name of a repository; it looks like org/name", id);
    name->kind = kind;
    name->id = arena_cstr(a, rest);
    name->revision = revision ? arena_cstr(a, str_of(revision)) : arena_cstr(a, behind);
    // It becomes the name of a file below refs/.
    if (strlen(name->revision) > MAX_REVISION || !path_is_safe(str_of(name->revision), NULL))
        return fail(err, ERR_INVALID, "'%s' is not a revision", name->revision);
    return true;
}

static char *encoded(Arena *a, const char *s, const char *keep)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    url_encode(&out, str_of(s), keep);
    return arena_cstr(a, buf_str(&out));
}

char *url_segment(Arena *a, const char *s)
{
    return encoded(a, s, "");
}

char *url_path(Arena *a, const char *s)
{
    return encoded(a, s, "/");
}

char *repo_api(Arena *a, const FetchEnv *env, const RepoName *name, const char *format, ...)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%s/api/%s/%s", env->endpoint, fetch_kind(name->kind)->plural, name->id);
    va_list args;
    va_start(args, format);
    buf_vprintf(&out, format, args);
    va_end(args);
    return arena_cstr(a, buf_str(&out));
}

char *repo_page(Arena *a, const FetchEnv *env, const RepoName *name)
{
    return arena_printf(a, "%s/%s%s", env->endpoint, fetch_kind(name->kind)->prefix, name->id);
}

json_t *fetch_whoami(const char *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    FetchEnv env = fetch_env(a, token, NULL);
    if (!env.token)
        return fail(err, ERR_UNAUTHENTICATED,
                    "not logged in: set HF_TOKEN, or run `hug auth login`");
    return hub_json(c, a, &env, "GET", arena_printf(a, "%s/api/whoami-v2", env.endpoint), NULL,
                    NULL, err);
}
