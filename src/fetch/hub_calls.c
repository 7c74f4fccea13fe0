/* hub_calls.c: calls to a hub, its errors as ours, and the listing of a revision; see fetch.h. */
#include "fetch/fetch_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <fnmatch.h>
#include <unistd.h>

enum { MAX_FILES = 1000000, MAX_PAGES = 10000, TRIES = 3 };

static const struct {
    const char *name;
    ErrorCode code;
} error_headers[] = {
    {"RepoNotFound", ERR_NO_REPO},
    {"RevisionNotFound", ERR_NO_REVISION},
    {"EntryNotFound", ERR_NO_ENTRY},
    {"GatedRepo", ERR_GATED},
};

static const struct {
    int status;
    ErrorCode code;
} error_statuses[] = {
    {401, ERR_UNAUTHENTICATED}, {403, ERR_DENIED}, {404, ERR_NOT_FOUND}, {409, ERR_EXISTS},
    {412, ERR_STALE},           {413, ERR_LIMIT},  {416, ERR_RANGE},     {429, ERR_RATE},
};

static ErrorCode error_code(const ClientAnswer *answer)
{
    Str header = client_header(answer, "X-Error-Code");
    for (size_t i = 0; i < COUNT(error_headers); i++)
        if (str_eq(header, str_of(error_headers[i].name)))
            return error_headers[i].code;
    for (size_t i = 0; i < COUNT(error_statuses); i++)
        if (answer->status == error_statuses[i].status)
            return error_statuses[i].code;
    return answer->status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
}

/* The error in an answer that is none of 2xx. */
static bool hub_error(const ClientAnswer *answer, const ClientCall *call, Error *err)
{
    Str url = str_of(call->url), text = client_header(answer, "X-Error-Message");
    url = str_slice(url, 0, str_find_char(url, '?', 0));
    AUTO(json_decref) json_t *body = json_parse(answer->body, "answer", NULL);
    if (!text.len)
        text = json_str(body, "error");
    if (!text.len)
        text = json_str(body, "message");
    return fail(err, error_code(answer), "%.*s: %.*s (status %d)", STR(url),
                STR(text.len ? str_slice(text, 0, 300) : S("the hub refused")), answer->status);
}

static bool is_transient(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

bool hub_call(Client *c, Arena *a, ClientCall call, ClientAnswer *answer, Error *err)
{
    bool repeatable = !call.take && (!call.method || strcmp(call.method, "GET") == 0 ||
                                     strcmp(call.method, "HEAD") == 0);
    for (int tries = 1;; tries++) {
        Error failure = {0};
        bool answered = client_call(c, a, &call, answer, &failure);
        if (answered && answer->status / 100 == 2)
            return true;
        // Nobody listening is an answer of a kind: the hub is not there, and waiting is of no use.
        bool again = answered ? is_transient(answer->status) : failure.code == ERR_TIMEOUT;
        if (again && repeatable && tries < TRIES) {
            sleep((unsigned)tries);
            continue;
        }
        if (answered)
            return hub_error(answer, &call, err);
        if (err)
            *err = failure;
        return false;
    }
}

/* The URL in `Link: <URL>; rel="next"`, NULL if there is none. */
static const char *next_page(Arena *a, const ClientAnswer *answer)
{
    Str link = client_header(answer, "Link");
    size_t end = str_find_char(link, '>', 0);
    if (!str_starts(link, S("<")) || end == SIZE_MAX ||
        str_find(link, S("rel=\"next\""), end) == SIZE_MAX)
        return NULL;
    return arena_cstr(a, str_slice(link, 1, end));
}

json_t *hub_json(Client *c, Arena *a, const FetchEnv *env, const char *method, const char *url,
                 const json_t *body, const char **next, Error *err)
{
    AUTO_BUF sent;
    buf_init(&sent, 0);
    if (body)
        json_write(&sent, body);
    ClientAnswer answer;
    ClientCall call = {.method = method,
                       .url = url,
                       .token = env->token,
                       .body = buf_str(&sent),
                       .max_body = 256 << 20,
                       .headers = (const char *const[]){"Content-Type: application/json", NULL}};
    if (!hub_call(c, a, call, &answer, err))
        return NULL;
    if (next)
        *next = next_page(a, &answer);
    // Some calls answer nothing, or plain text, when all is well.
    Str text = str_trim(answer.body);
    if (!str_starts(text, S("{")) && !str_starts(text, S("[")))
        return json_object();
    return json_parse(text, url, err);
}

void *list_grow(Arena *a, void *items, size_t n, size_t size)
{
    if (n & (n - 1)) // room for the next power of two is there
        return items;
    void *grown = arena_array(a, n ? 2 * n : 1, size);
    if (n)
        memcpy(grown, items, n * size);
    return grown;
}

/* A file of a listing. Nothing in it is believed: its path is joined to our folders, its hash names
 * a file. */
static bool read_entry(Arena *a, const json_t *entry, RemoteFile *file, Error *err)
{
    const json_t *lfs = json_object_get(entry, "lfs");
    Str path = json_str(entry, "path");
    Str oid = lfs ? json_str(lfs, "oid") : json_str(entry, "oid");
    uint8_t bytes[32];
    if (!path_is_safe(path, err))
        return fail_while(err, "the hub lists '%.*s'", STR(path));
    if (!hex_decode(oid, bytes, lfs ? 32 : 20))
        return fail(err, ERR_INVALID, "the hub lists '%.*s' with the hash '%.*s'", STR(path),
                    STR(oid));
    *file = (RemoteFile){.path = arena_cstr(a, path),
                         .etag = arena_cstr(a, oid),
                         .size = json_int(lfs ? lfs : entry, "size", -1),
                         .lfs = lfs != NULL};
    if (file->size < 0)
        return fail(err, ERR_INVALID, "the hub lists '%.*s' without its size", STR(path));
    Str xet = json_str(entry, "xetHash");
    if (lfs && hex_decode(xet, bytes, 32))
        file->xet = arena_cstr(a, xet);
    return true;
}

static bool read_page(Arena *a, const json_t *page, RemoteFile **files, size_t *n, Error *err)
{
    size_t i;
    json_t *entry;
    json_array_foreach(page, i, entry)
    {
        if (!str_eq(json_str(entry, "type"), S("file")))
            continue;
        if (*n == MAX_FILES)
            return fail(err, ERR_LIMIT, "more than %d files", MAX_FILES);
        *files = list_grow(a, *files, *n, sizeof **files);
        if (!read_entry(a, entry, &(*files)[*n], err))
            return false;
        *n += 1;
    }
    return true;
}

const char *hub_commit(Client *c, Arena *a, const FetchEnv *env, const RepoName *name, Error *err)
{
    const char *url = repo_api(a, env, name, "/revision/%s", url_segment(a, name->revision));
    AUTO(json_decref) json_t *info = hub_json(c, a, env, "GET", url, NULL, NULL, err);
    if (!info)
        return NULL;
    const char *commit = json_text(info, "sha", "");
    if (!is_commit(commit))
        return fail(err, ERR_INVALID, "%s: the hub names no commit", url);
    return arena_cstr(a, str_of(commit));
}

bool hub_tree(Client *c, Arena *a, const FetchEnv *env, const RepoName *name, const char *commit,
              RemoteFile **files, size_t *n, Error *err)
{
    *files = NULL;
    *n = 0;
    const char *url = repo_api(a, env, name, "/tree/%s?recursive=true", url_segment(a, commit));
    for (int pages = 0; url; pages++) {
        if (pages == MAX_PAGES)
            return fail(err, ERR_LIMIT, "%s: more than %d pages", name->id, MAX_PAGES);
        AUTO(json_decref) json_t *page = hub_json(c, a, env, "GET", url, NULL, &url, err);
        if (!page || !read_page(a, page, files, n, err))
            return fail_while(err, "list the files of %s", name->id);
    }
    return true;
}

bool path_matches(const char *path, const char *const *patterns)
{
    for (; patterns && *patterns; patterns++) {
        size_t length = strlen(*patterns);
        if (fnmatch(*patterns, path, 0) == 0)
            return true;
        if (length && (*patterns)[length - 1] == '/' && strncmp(path, *patterns, length) == 0)
            return true;
    }
    return false;
}

bool path_is_wanted(const char *path, const char *const *include, const char *const *exclude)
{
    return (!include || path_matches(path, include)) && !path_matches(path, exclude);
}
