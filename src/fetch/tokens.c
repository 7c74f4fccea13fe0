/* tokens.c: see tokens.h. */
#include "fetch/tokens.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "fetch/fetch_internal.h"

#include <errno.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 20 };

/* The key before the first '=' or ':', in small letters as Python's configparser has it. */
static bool parse_member(Str line, json_t *section)
{
    size_t at = 0;
    while (at < line.len && line.ptr[at] != '=' && line.ptr[at] != ':')
        at++;
    Str key = str_trim(str_slice(line, 0, at));
    if (at == line.len || key.len == 0)
        return false;
    AUTO_BUF name;
    buf_init(&name, 0);
    for (size_t i = 0; i < key.len; i++)
        buf_add_char(&name, key.ptr[i] >= 'A' && key.ptr[i] <= 'Z' ? key.ptr[i] + 32 : key.ptr[i]);
    json_object_set_new(section, name.ptr,
                        json_from_str(str_trim(str_slice(line, at + 1, line.len))));
    return true;
}

json_t *tokens_parse(Str text, Error *err)
{
    AUTO(json_decref) json_t *all = json_object();
    json_t *section = NULL;
    Str line;
    for (int number = 1; str_split(&text, '\n', &line); number++) {
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
            continue;
        if (!str_is_utf8(line) || memchr(line.ptr, 0, line.len))
            return fail(err, ERR_INVALID, "line %d is not text", number);
        size_t end = str_rfind_char(line, ']');
        if (line.ptr[0] == '[' && end != SIZE_MAX && end > 1) {
            AUTO_BUF name;
            buf_init(&name, 0);
            buf_add(&name, str_slice(line, 1, end));
            section = json_object();
            json_object_set_new(all, name.ptr, section);
        } else if (!section || !parse_member(line, section))
            return fail(err, ERR_INVALID, "line %d is neither [name] nor key = value", number);
    }
    return TAKE(all);
}

json_t *fetch_tokens(Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_stored_tokens_path(a);
    AUTO_BUF text;
    buf_init(&text, MAX_FILE);
    Error failure = {0};
    if (!file_read(path, &text, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return json_object();
        return fail(err, failure.code, "%s", failure.text);
    }
    json_t *all = tokens_parse(buf_str(&text), err);
    return all ? all : fail_while(err, "%s", path);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sections by name, as `hf` writes them. */
static bool save(json_t *all, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char **names = NEW_ARRAY(a, const char *, json_object_size(all) + 1);
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value) names[n++] = key;
    qsort(names, n, sizeof *names, by_text);
    AUTO_BUF text;
    buf_init(&text, MAX_FILE);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&text, "[%s]\n", names[i]);
        json_object_foreach(json_object_get(all, names[i]), key, value)
            buf_printf(&text, "%s = %s\n", key, json_string_value(value));
        buf_add_char(&text, '\n');
    }
    return buf_ok(&text, err) && file_make_folders(fetch_home(a), 0700, err) &&
           file_write_atomic(fetch_stored_tokens_path(a), buf_str(&text), 0600, err);
}

static bool use(const char *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    return file_make_folders(fetch_home(a), 0700, err) &&
           file_write_atomic(fetch_token_path(a), str_of(token), 0600, err);
}

/* A name may be anything on the hub; in the file it must fit between brackets on one line. */
static const char *section_name(Arena *a, const json_t *who)
{
    const char *given = json_string_value(json_at(who, "auth.accessToken.displayName"));
    if (!given || !given[0])
        return arena_printf(a, "oauth-%s", json_text(who, "name", ""));
    char *name = arena_cstr(a, str_of(given));
    for (char *c = name; *c; c++)
        if (*c == '\n' || *c == '\r' || *c == ']')
            *c = ' ';
    return name;
}

json_t *fetch_login(Arena *a, const char *token, const char **name, Error *err)
{
    AUTO(json_decref) json_t *who = fetch_whoami(token, err);
    AUTO(json_decref) json_t *all = who ? fetch_tokens(err) : NULL;
    if (!all)
        return fail_while(err, "log in");
    *name = section_name(a, who);
    json_object_set_new(all, *name, json_pack("{s:s}", "hf_token", token));
    if (!save(all, err) || !use(token, err))
        return fail_while(err, "log in");
    return TAKE(who);
}

static const char *token_of(const json_t *all, const char *name)
{
    return json_text(json_object_get(all, name), "hf_token", "");
}

bool fetch_token_switch(const char *name, Error *err)
{
    AUTO(json_decref) json_t *all = fetch_tokens(err);
    if (!all)
        return false;
    if (!token_of(all, name)[0])
        return fail(err, ERR_NOT_FOUND, "no token is kept as '%s'; `hug auth list` shows them",
                    name);
    return use(token_of(all, name), err);
}

static bool remove_file(const char *path, bool *any, Error *err)
{
    if (unlink(path) == 0)
        *any = true;
    else if (errno != ENOENT)
        return fail_io(err, "%s", path);
    return true;
}

bool fetch_logout(const char *name, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    bool any = false;
    if (!name) {
        if (!remove_file(fetch_token_path(a), &any, err) ||
            !remove_file(fetch_stored_tokens_path(a), &any, err))
            return false;
        return any || fail(err, ERR_NOT_FOUND, "no token is kept in %s", fetch_home(a));
    }
    AUTO(json_decref) json_t *all = fetch_tokens(err);
    if (!all)
        return false;
    const char *token = arena_cstr(a, str_of(token_of(all, name)));
    if (json_object_del(all, name) != 0)
        return fail(err, ERR_NOT_FOUND, "no token is kept as '%s'; `hug auth list` shows them",
                    name);
    AUTO_BUF used;
    buf_init(&used, MAX_FILE);
    if (file_read(fetch_token_path(a), &used, NULL) &&
        str_eq(str_trim(buf_str(&used)), str_of(token)) &&
        !remove_file(fetch_token_path(a), &any, err))
        return false;
    return save(all, err);
}

/* ---- git ---- */

static bool give(void *user, void *out, size_t max, size_t *n, Error *err)
{
    Str *left = user;
    *n = MIN(max, left->len);
    if (*n)
        memcpy(out, left->ptr, *n);
    *left = str_slice(*left, *n, left->len);
    return true;
}

bool fetch_git_credential(const char *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF words, errors;
    buf_init(&words, 0);
    buf_init(&errors, 4096);
    buf_printf(&words, "url=%s\nusername=hf_user\n", fetch_endpoint(a));
    if (token)
        buf_printf(&words, "password=%s\n", token);
    buf_add_char(&words, '\n');
    const char *home = getenv("HOME"), *path = getenv("PATH");
    const char *env[] = {arena_printf(a, "HOME=%s", home ? home : ""),
                         arena_printf(a, "PATH=%s", path ? path : "/usr/bin:/bin"),
                         "GIT_TERMINAL_PROMPT=0", NULL};
    Str left = buf_str(&words);
    int status;
    ProcessParams p = {
        .argv = (const char *const[]){"git", "credential", token ? "approve" : "reject", NULL},
        .env = env,
        .timeout_ns = 20 * NS_PER_S,
        .input = give,
        .user = &left,
        .errors = &errors};
    if (!process_run(&p, &status, err))
        return fail_while(err, "tell git the token");
    return status == 0 ||
           fail(err, ERR_UNAVAILABLE, "git did not take the token: %.*s", STR(buf_str(&errors)));
}
