/* upload.c: a file or a folder as one commit: ask which way each file goes, send the large ones by
 * Xet or, where the hub has none, by LFS, then the commit itself with the small ones inside,
 * streamed from a file; see fetch.h. */
#include "fetch/xet.h"

#include "base/encode.h"
#include "base/file.h"
#include "base/map.h"
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { MAX_FILES = 100000, PREUPLOAD = 256, SAMPLE = 512, MAX_DEPTH = 64, MAX_PARTS = 10000 };

typedef struct LocalFile {
    const char *local, *path; // on this disk, in the repository
    int64_t size;
    bool lfs, skip;    // the hub said so
    const char *there; // the oid of what it has under this name, "" if nothing
    char oid[OID_SIZE];
    XetChunks chunks; // of a large one, if it goes by Xet
} LocalFile;

typedef struct Upload {
    Arena *a;
    Client *client;
    FetchEnv env;
    RepoName name;
    const UploadOptions *options;
    LocalFile *files;
    size_t n;
    const char **removed; // paths
    size_t n_removed;
    Progress *progress;
    XetSession *xet; // NULL: none was needed yet, or the hub has none
    bool by_lfs;
    int64_t sent; // bytes of large files
} Upload;

static bool add_file(Upload *u, const char *local, const char *path, int64_t size, Error *err)
{
    if (!path_is_wanted(path, u->options->include, u->options->exclude))
        return true;
    if (u->n == MAX_FILES)
        return fail(err, ERR_LIMIT, "more than %d files", MAX_FILES);
    if (!path_is_safe(str_of(path), err))
        return fail_while(err, "%s", local);
    u->files = list_grow(u->a, u->files, u->n, sizeof *u->files);
    u->files[u->n++] = (LocalFile){.local = local, .path = path, .size = size};
    return true;
}

/* Everything below a folder but what git and downloads (.cache/huggingface) keep for themselves. */
static bool add_folder(Upload *u, const char *local, const char *path, int depth, Error *err)
{
    DIR *folder = opendir(local);
    if (!folder)
        return fail_io(err, "%s", local);
    bool ok = depth < MAX_DEPTH || fail(err, ERR_LIMIT, "%s: too deep", local);
    for (struct dirent *e; ok && (e = readdir(folder));) {
        bool notes = strcmp(e->d_name, "huggingface") == 0 && str_ends(str_of(local), S("/.cache"));
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, ".git") == 0 || notes)
            continue;
        const char *inner = arena_printf(u->a, "%s/%s", local, e->d_name);
        const char *name = arena_printf(u->a, "%s%s%s", path, path[0] ? "/" : "", e->d_name);
        struct stat info;
        if (stat(inner, &info) != 0)
            ok = fail_io(err, "%s", inner);
        else if (S_ISDIR(info.st_mode))
            ok = add_folder(u, inner, name, depth + 1, err);
        else if (S_ISREG(info.st_mode))
            ok = add_file(u, inner, name, info.st_size, err);
    }
    closedir(folder);
    return ok;
}

/* "", "." and "./x/" as they are meant. */
static const char *plain_path(Arena *a, const char *path)
{
    Str s = str_of(path ? path : "");
    while (str_starts(s, S("./")))
        s = str_slice(s, 2, s.len);
    while (str_ends(s, S("/")))
        s.len--;
    while (str_starts(s, S("/")))
        s = str_slice(s, 1, s.len);
    return str_eq(s, S(".")) ? "" : arena_cstr(a, s);
}

static bool collect(Upload *u, const char *local, const char *path, Error *err)
{
    struct stat info;
    if (stat(local, &info) != 0)
        return fail_io(err, "%s", local);
    const char *at = plain_path(u->a, path);
    if (S_ISDIR(info.st_mode))
        return add_folder(u, local, at, 0, err);
    Str name = path_name(str_of(local));
    return add_file(u, arena_cstr(u->a, str_of(local)), at[0] ? at : arena_cstr(u->a, name),
                    info.st_size, err);
}

static const char *pr_query(const Upload *u)
{
    return u->options->create_pr ? "?create_pr=1" : "";
}

/* ---- Which way each file goes ---- */

static json_t *ask_entry(const LocalFile *f, Error *err)
{
    char sample[SAMPLE];
    size_t n = (size_t)MIN((int64_t)SAMPLE, f->size);
    AUTO_FD int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", f->local);
    if (!fd_read_at(fd, sample, n, 0, err))
        return fail_while(err, "%s", f->local);
    AUTO_BUF text;
    buf_init(&text, 0);
    base64_encode(&text, (Str){sample, n});
    return json_pack("{s:s, s:s, s:I}", "path", f->path, "sample", text.ptr ? text.ptr : "", "size",
                     (json_int_t)f->size);
}

static LocalFile *file_named(Upload *u, size_t from, size_t to, Str path)
{
    for (size_t i = from; i < to; i++)
        if (str_eq(path, str_of(u->files[i].path)))
            return &u->files[i];
    return NULL;
}

/* Large files go by Xet if the hub has it, which the first of them finds out. */
static bool choose_way(Upload *u, Error *err)
{
    if (u->xet || u->by_lfs)
        return true;
    Error failure = {0};
    u->xet =
        xet_session_new(&u->env, &u->name, u->name.revision, true, u->options->create_pr, &failure);
    u->by_lfs = failure.code == ERR_UNSUPPORTED;
    return u->xet || u->by_lfs || fail(err, failure.code, "%s", failure.text);
}

/* One answer: the way of a file, and the content that the hub has under its name. */
static bool take_answer(Upload *u, size_t from, size_t to, const json_t *said, Error *err)
{
    LocalFile *f = file_named(u, from, to, json_str(said, "path"));
    if (!f)
        return true;
    f->lfs = f->size > 0 && str_eq(json_str(said, "uploadMode"), S("lfs"));
    f->skip = json_flag(said, "shouldIgnore", false);
    f->there = arena_cstr(u->a, json_str(said, "oid"));
    return !f->lfs || f->skip || choose_way(u, err);
}

/* The files of one preupload, read by as many threads as there are processors. */
typedef struct Reading {
    Upload *u;
    LocalFile *files;
    atomic_bool failed;
    pthread_mutex_t lock; // guards error
    Error error;          // the first one
} Reading;

static void read_one(void *context, int64_t i)
{
    Reading *r = context;
    LocalFile *f = &r->files[i];
    Error err = {0};
    bool by_xet = f->lfs && r->u->xet;
    bool ok = f->skip || r->failed ||
              (by_xet ? xet_scan(f->local, f->size, &f->chunks, f->oid, &err)
                      : file_oid(f->local, f->size, f->lfs, f->oid, &err));
    f->skip = f->skip || (f->there && strcmp(f->there, f->oid) == 0);
    progress_add(r->u->progress, f->skip ? f->size : 0);
    if (ok)
        return;
    pthread_mutex_lock(&r->lock);
    if (!r->error.code)
        r->error = err;
    pthread_mutex_unlock(&r->lock);
    r->failed = true;
}

static bool read_files(Upload *u, size_t from, size_t to, Error *err)
{
    Reading r = {.u = u, .files = &u->files[from], .lock = PTHREAD_MUTEX_INITIALIZER};
    thread_each((int64_t)(to - from), read_one, &r);
    if (r.error.code && err)
        *err = r.error;
    return !r.error.code;
}

static bool preupload(Upload *u, size_t from, size_t to, Error *err)
{
    AUTO(json_decref) json_t *asked = json_object();
    json_t *list = json_array();
    json_object_set_new(asked, "files", list);
    for (size_t i = from; i < to; i++) {
        json_t *entry = ask_entry(&u->files[i], err);
        if (!entry)
            return false;
        json_array_append_new(list, entry);
    }
    const char *url = repo_api(u->a, &u->env, &u->name, "/preupload/%s%s",
                               url_segment(u->a, u->name.revision), pr_query(u));
    AUTO(json_decref)
    json_t *answer = hub_json(u->client, u->a, &u->env, "POST", url, asked, NULL, err);
    if (!answer)
        return false;
    size_t i;
    json_t *said;
    json_array_foreach(json_object_get(answer, "files"), i, said)
    {
        if (!take_answer(u, from, to, said, err))
            return false;
    }
    return read_files(u, from, to, err);
}

/* ---- Large files: the LFS batch API ---- */

static void sent(void *context, int64_t bytes)
{
    progress_add(context, bytes);
}

/* Sends [from, from + size) of a file to a URL that authorises itself. */
static bool put_part(Upload *u, int fd, const char *url, int64_t from, int64_t size,
                     ClientAnswer *answer, Error *err)
{
    ClientCall call = {.method = "PUT",
                       .url = url,
                       .fd = fd,
                       .send_from = from,
                       .send_size = size,
                       .sent = sent,
                       .context = u->progress,
                       .headers =
                           (const char *const[]){"Content-Type: application/octet-stream", NULL}};
    return hub_call(u->client, u->a, call, answer, err);
}

/* `header` of the action has "chunk_size" and one URL a part, by number. */
static bool put_parts(Upload *u, const LocalFile *f, int fd, const json_t *action, int64_t chunk,
                      Error *err)
{
    const json_t *header = json_object_get(action, "header");
    AUTO(json_decref) json_t *done = json_pack("{s:s, s:[]}", "oid", f->oid, "parts");
    int64_t count = (f->size + chunk - 1) / chunk;
    if (count > MAX_PARTS)
        return fail(err, ERR_LIMIT, "%s: the hub wants it in %lld parts", f->path,
                    (long long)count);
    const char *key;
    json_t *value;
    int64_t found = 0;
    json_object_foreach((json_t *)(uintptr_t)header, key, value)
    {
        int64_t number;
        if (!str_to_int(str_of(key), 1, count, &number))
            continue;
        ClientAnswer answer;
        int64_t from = (number - 1) * chunk;
        if (!put_part(u, fd, json_string_value(value), from, MIN(chunk, f->size - from), &answer,
                      err))
            return false;
        json_t *part = json_pack("{s:I}", "partNumber", (json_int_t)number);
        json_object_set_new(part, "etag", json_from_str(client_header(&answer, "ETag")));
        json_array_append_new(json_object_get(done, "parts"), part);
        found++;
    }
    if (found != count)
        return fail(err, ERR_INVALID, "%s: the hub named %lld of %lld parts", f->path,
                    (long long)found, (long long)count);
    FetchEnv nobody = u->env;
    nobody.token = NULL; // the URL authorises itself
    AUTO(json_decref)
    json_t *answer =
        hub_json(u->client, u->a, &nobody, "POST", json_text(action, "href", ""), done, NULL, err);
    return answer != NULL;
}

static bool send_large(Upload *u, const LocalFile *f, const json_t *actions, Error *err)
{
    const json_t *action = json_object_get(actions, "upload");
    const json_t *verify = json_object_get(actions, "verify");
    if (!action) {
        progress_add(u->progress, f->size); // the hub has it already
        return true;
    }
    AUTO_FD int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", f->local);
    int64_t chunk = 0;
    str_to_int(json_str(json_object_get(action, "header"), "chunk_size"), 1, INT64_MAX, &chunk);
    ClientAnswer answer;
    bool ok = chunk > 0 ? put_parts(u, f, fd, action, chunk, err)
                        : put_part(u, fd, json_text(action, "href", ""), 0, f->size, &answer, err);
    u->sent += ok ? f->size : 0;
    if (!ok || !verify)
        return ok;
    AUTO(json_decref)
    json_t *body = json_pack("{s:s, s:I}", "oid", f->oid, "size", (json_int_t)f->size);
    AUTO(json_decref)
    json_t *good =
        hub_json(u->client, u->a, &u->env, "POST", json_text(verify, "href", ""), body, NULL, err);
    return good != NULL;
}

static bool send_by_lfs(Upload *u, Error *err)
{
    const char *url = arena_printf(u->a, "%s/%s%s.git/info/lfs/objects/batch", u->env.endpoint,
                                   fetch_kind(u->name.kind)->prefix, u->name.id);
    for (size_t i = 0; i < u->n; i++) {
        const LocalFile *f = &u->files[i];
        if (!f->lfs || f->skip)
            continue;
        AUTO(json_decref)
        json_t *asked = json_pack("{s:s, s:[s,s], s:s, s:[{s:s, s:I}]}", "operation", "upload",
                                  "transfers", "basic", "multipart", "hash_algo", "sha256",
                                  "objects", "oid", f->oid, "size", (json_int_t)f->size);
        AUTO(json_decref)
        json_t *answer = hub_json(u->client, u->a, &u->env, "POST", url, asked, NULL, err);
        if (!answer)
            return fail_while(err, "%s", f->path);
        const json_t *object = json_array_get(json_object_get(answer, "objects"), 0);
        const json_t *error = json_object_get(object, "error");
        if (!object || error)
            return fail(err, ERR_INVALID, "%s: %s", f->path,
                        json_text(error, "message", "the hub's LFS answer names no object"));
        if (!send_large(u, f, json_object_get(object, "actions"), err))
            return fail_while(err, "%s", f->path);
    }
    return true;
}

/* ---- Large files: Xet ---- */

static bool try_xet(Upload *u, bool use_notes, Error *err)
{
    AUTO(xet_upload_free)
    XetUpload *x = xet_upload_new(u->xet, &u->env, u->progress, use_notes);
    Map seen = {0}; // the same content is sent once
    bool ok = true;
    for (size_t i = 0; ok && i < u->n; i++) {
        const LocalFile *f = &u->files[i];
        if (!f->lfs || f->skip)
            continue;
        if (map_put(&seen, str_of(f->oid), u))
            ok = xet_upload_add(x, f->local, &f->chunks, f->oid, err);
        else
            progress_add(u->progress, f->size);
    }
    map_done(&seen);
    ok = ok && xet_upload_finish(x, err);
    u->sent += xet_upload_sent(x);
    return ok;
}

/* If the hub has forgotten what our notes say it has, all is sent anew. */
static bool send_by_xet(Upload *u, Error *err)
{
    Error failure = {0};
    if (try_xet(u, true, &failure))
        return true;
    if (failure.code != ERR_INVALID && failure.code != ERR_NOT_FOUND)
        return fail(err, failure.code, "%s", failure.text);
    progress_add(u->progress, -progress_done(u->progress));
    return try_xet(u, false, err);
}

static bool send_large_files(Upload *u, Error *err)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->files[i].lfs && !u->files[i].skip)
            return u->xet ? send_by_xet(u, err) : send_by_lfs(u, err);
    return true;
}

/* ---- The commit ---- */

static bool write_line(int fd, json_t *line, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, line);
    buf_add_char(&text, '\n');
    json_decref(line);
    return fd_write_all(fd, text.ptr, text.len, err);
}

static bool write_small(int fd, const LocalFile *f, Error *err)
{
    AUTO_BUF bytes, text;
    buf_init(&bytes, 1 << 30);
    buf_init(&text, 0);
    if (!file_read(f->local, &bytes, err))
        return false;
    base64_encode(&text, buf_str(&bytes));
    return write_line(fd,
                      json_pack("{s:s, s:{s:s, s:s, s:s}}", "key", "file", "value", "path", f->path,
                                "content", text.ptr ? text.ptr : "", "encoding", "base64"),
                      err);
}

/* One JSON object a line into `fd`. */
static bool write_commit(const Upload *u, const char *message, int fd, Error *err)
{
    const char *description = u->options->description;
    bool ok = write_line(fd,
                         json_pack("{s:s, s:{s:s, s:s}}", "key", "header", "value", "summary",
                                   message, "description", description ? description : ""),
                         err);
    for (size_t i = 0; ok && i < u->n_removed; i++)
        ok = write_line(
            fd, json_pack("{s:s, s:{s:s}}", "key", "deletedFile", "value", "path", u->removed[i]),
            err);
    for (size_t i = 0; ok && i < u->n; i++) {
        const LocalFile *f = &u->files[i];
        if (f->skip)
            continue;
        if (f->lfs)
            ok = write_line(fd,
                            json_pack("{s:s, s:{s:s, s:s, s:s, s:I}}", "key", "lfsFile", "value",
                                      "path", f->path, "algo", "sha256", "oid", f->oid, "size",
                                      (json_int_t)f->size),
                            err);
        else
            ok = write_small(fd, f, err);
        if (!f->lfs)
            progress_add(u->progress, f->size);
    }
    return ok;
}

static json_t *send_commit(Upload *u, const char *message, Error *err)
{
    FILE *body = tmpfile();
    if (!body)
        return fail_io(err, "a temporary file for the commit");
    struct stat info;
    json_t *answer = NULL;
    ClientAnswer reply;
    if (write_commit(u, message, fileno(body), err) &&
        (fstat(fileno(body), &info) == 0 || fail_io(err, "a temporary file"))) {
        ClientCall call = {
            .method = "POST",
            .url = repo_api(u->a, &u->env, &u->name, "/commit/%s%s",
                            url_segment(u->a, u->name.revision), pr_query(u)),
            .token = u->env.token,
            .fd = fileno(body),
            .send_size = info.st_size,
            .headers = (const char *const[]){"Content-Type: application/x-ndjson", NULL},
            .idle_seconds = 600, // a large commit takes its time
        };
        if (hub_call(u->client, u->a, call, &reply, err))
            answer = json_parse(reply.body, "commit", err);
    }
    fclose(body);
    return answer;
}

/* The files of the revision that match options->remove and are not uploaded anew. */
static bool find_removed(Upload *u, Error *err)
{
    if (!u->options->remove)
        return true;
    RemoteFile *files;
    size_t n;
    if (!hub_tree(u->client, u->a, &u->env, &u->name, u->name.revision, &files, &n, err))
        return false;
    Map uploaded = {0};
    for (size_t i = 0; i < u->n; i++)
        map_put(&uploaded, str_of(u->files[i].path), u);
    u->removed = NEW_ARRAY(u->a, const char *, MAX(n, 1));
    for (size_t i = 0; i < n; i++)
        if (path_matches(files[i].path, u->options->remove) &&
            strcmp(files[i].path, ".gitattributes") != 0 &&
            !map_find(&uploaded, str_of(files[i].path)))
            u->removed[u->n_removed++] = files[i].path;
    map_done(&uploaded);
    return true;
}

static bool upload(Upload *u, UploadResult *result, Error *err)
{
    int64_t total = 0;
    for (size_t i = 0; i < u->n; i++)
        total += u->files[i].size;
    AUTO(progress_free) Progress *progress = progress_new(u->name.id, total, u->options->quiet);
    u->progress = progress;
    for (size_t i = 0; i < u->n; i += PREUPLOAD)
        if (!preupload(u, i, MIN(i + PREUPLOAD, u->n), err))
            return false;
    if (!find_removed(u, err) || !send_large_files(u, err))
        return false;
    for (size_t i = 0; i < u->n; i++) {
        result->files += !u->files[i].skip;
        result->large += u->files[i].lfs && !u->files[i].skip ? u->files[i].size : 0;
    }
    result->sent = u->sent;
    result->removed = (int)u->n_removed;
    if (result->files == 0 && result->removed == 0)
        return true;
    const char *message = u->options->message;
    if (!message && u->n == 1)
        message = arena_printf(u->a, "Upload %s with hug", u->files[0].path);
    AUTO(json_decref)
    json_t *answer = send_commit(u, message ? message : "Upload folder using hug", err);
    if (!answer)
        return false;
    result->commit = arena_cstr(u->a, json_str(answer, "commitOid"));
    result->url = arena_cstr(u->a, json_str(answer, "commitUrl"));
    return true;
}

/* Names and who we are. */
static bool upload_init(Upload *u, Arena *a, const char *id, const UploadOptions *options,
                        UploadResult *result, Error *err)
{
    *u = (Upload){.a = a, .options = options, .env = fetch_env(a, options->token, NULL)};
    *result = (UploadResult){0};
    if (!repo_name_parse(&u->name, a, id, options->kind, options->revision, err))
        return false;
    return u->env.token ||
           fail(err, ERR_UNAUTHENTICATED, "not logged in: set HF_TOKEN, or run `hug auth login`");
}

static void upload_done(Upload *u)
{
    for (size_t i = 0; i < u->n; i++)
        xet_chunks_done(&u->files[i].chunks);
    xet_session_free(u->xet);
}

/* A branch that is not there yet is made, as the repository is. */
static bool make_branch(Upload *u, Error *err)
{
    if (!u->options->revision || u->options->create_pr || u->options->must_exist ||
        strncmp(u->name.revision, "refs/", 5) == 0)
        return true;
    const char *branch = url_segment(u->a, u->name.revision);
    Error failure = {0};
    AUTO(json_decref)
    json_t *there =
        hub_json(u->client, u->a, &u->env, "GET",
                 repo_api(u->a, &u->env, &u->name, "/revision/%s", branch), NULL, NULL, &failure);
    if (there || failure.code != ERR_NO_REVISION)
        return true; // what else is wrong will be said by the calls that follow
    AUTO(json_decref) json_t *nothing = json_object();
    AUTO(json_decref)
    json_t *made =
        hub_json(u->client, u->a, &u->env, "POST",
                 repo_api(u->a, &u->env, &u->name, "/branch/%s", branch), nothing, NULL, &failure);
    return made || failure.code == ERR_EXISTS || fail(err, failure.code, "%s", failure.text);
}

bool fetch_upload(Arena *a, const char *id, const char *local, const char *path,
                  const UploadOptions *options, UploadResult *result, Error *err)
{
    Upload u;
    if (!upload_init(&u, a, id, options, result, err))
        return false;
    if (!collect(&u, local, path, err))
        return fail_while(err, "upload to %s", id);
    if (u.n == 0 && !options->remove)
        return fail(err, ERR_NOT_FOUND, "%s: there is nothing to upload", local);
    if (options->must_exist)
        result->url = repo_page(a, &u.env, &u.name);
    else
        result->url = fetch_repo_create(a, id, options, NULL, true, err);
    AUTO(client_free) Client *client = client_new();
    u.client = client;
    bool ok = result->url && make_branch(&u, err) && upload(&u, result, err);
    upload_done(&u);
    return ok || fail_while(err, "upload to %s", id);
}

bool fetch_delete_files(Arena *a, const char *id, const UploadOptions *options,
                        UploadResult *result, Error *err)
{
    Upload u;
    UploadOptions with_message = *options;
    if (!options->message)
        with_message.message = "Delete files with hug";
    if (!upload_init(&u, a, id, &with_message, result, err))
        return false;
    AUTO(client_free) Client *client = client_new();
    u.client = client;
    result->url = repo_page(a, &u.env, &u.name);
    return upload(&u, result, err) || fail_while(err, "delete files of %s", id);
}

/* ---- Copies between repositories ---- */

enum { COPY_BATCH = 1000 };

typedef struct Copy {
    Upload u; // into the target
    RepoName from;
    const char *commit, *path; // of the source; "" for all of it
    const char *folder;        // where small files wait for the commit
} Copy;

/* Where a file of the source goes: `to` itself if it is what was named, else below. */
static const char *copy_path(Copy *c, const char *path, const char *to)
{
    size_t skip = strlen(c->path);
    if (strcmp(path, c->path) == 0)
        return to;
    Str rest = str_of(path + (skip ? skip + 1 : 0));
    return arena_printf(c->u.a, "%s%s%.*s", to, to[0] ? "/" : "", STR(rest));
}

static bool is_copied(const Copy *c, const char *path)
{
    size_t n = strlen(c->path);
    return n == 0 || (strncmp(path, c->path, n) == 0 && (path[n] == 0 || path[n] == '/'));
}

static bool copy_small(Copy *c, const RemoteFile *file, const char *path, Error *err)
{
    Upload *u = &c->u;
    FetchJob job = {.env = &u->env,
                    .name = &c->from,
                    .commit = c->commit,
                    .file = file,
                    .target = arena_printf(u->a, "%s/%zu", c->folder, u->n)};
    return fetch_content(u->client, u->a, &job, err) &&
           add_file(u, job.target, path, file->size, err);
}

/* Asks the source to give large files to the target, where it may. */
static bool copy_large(Copy *c, json_t *files, Error *err)
{
    Upload *u = &c->u;
    if (json_array_size(files) == 0)
        return true;
    AUTO(json_decref)
    json_t *asked = json_pack("{s:{s:s, s:s}, s:O}", "target", "type",
                              fetch_kind(u->name.kind)->name, "name", u->name.id, "files", files);
    AUTO(json_decref)
    json_t *said =
        hub_json(u->client, u->a, &u->env, "POST",
                 repo_api(u->a, &u->env, &c->from, "/lfs-files/duplicate"), asked, NULL, err);
    const json_t *failed = json_array_get(json_object_get(said, "failed"), 0);
    if (failed)
        return fail(err, ERR_DENIED, "%s: %s", json_text(failed, "sha256", ""),
                    json_text(failed, "error", "not copied"));
    json_array_clear(files);
    return said != NULL;
}

static bool copy_files(Copy *c, const RemoteFile *files, size_t n, const char *to, Error *err)
{
    Upload *u = &c->u;
    AUTO(json_decref) json_t *large = json_array();
    for (size_t i = 0; i < n; i++) {
        const RemoteFile *file = &files[i];
        if (!is_copied(c, file->path))
            continue;
        const char *path = copy_path(c, file->path, to);
        if (!file->lfs) {
            if (!copy_small(c, file, path, err))
                return false;
            continue;
        }
        if (!add_file(u, file->path, path, file->size, err))
            return false;
        LocalFile *f = &u->files[u->n - 1];
        f->lfs = true;
        snprintf(f->oid, sizeof f->oid, "%s", file->etag);
        json_t *entry = json_pack("{s:s, s:s}", "sha256", file->etag, "filename", file->path);
        if (file->xet)
            json_object_set_new(entry, "xetHash", json_string(file->xet));
        json_array_append_new(large, entry);
        if (json_array_size(large) == COPY_BATCH && !copy_large(c, large, err))
            return false;
    }
    if (u->n == 0)
        return fail(err, ERR_NO_ENTRY, "%s has no '%s'", c->from.id, c->path);
    return copy_large(c, large, err);
}

static bool copy(Copy *c, const char *to, UploadResult *result, Error *err)
{
    Upload *u = &c->u;
    RemoteFile *files;
    size_t n;
    c->commit = hub_commit(u->client, u->a, &u->env, &c->from, err);
    if (!c->commit || !hub_tree(u->client, u->a, &u->env, &c->from, c->commit, &files, &n, err) ||
        !copy_files(c, files, n, to, err))
        return false;
    const char *message = u->options->message;
    AUTO(json_decref)
    json_t *answer =
        send_commit(u, message ? message : arena_printf(u->a, "Copy from %s", c->from.id), err);
    if (!answer)
        return false;
    result->files = (int)u->n;
    result->commit = arena_cstr(u->a, json_str(answer, "commitOid"));
    result->url = arena_cstr(u->a, json_str(answer, "commitUrl"));
    return true;
}

bool fetch_copy(Arena *a, const CopySource *from, const char *id, const char *path,
                const UploadOptions *options, UploadResult *result, Error *err)
{
    Copy c = {.path = plain_path(a, from->path)};
    if (!upload_init(&c.u, a, id, options, result, err) ||
        !repo_name_parse(&c.from, a, from->id, from->kind, from->revision, err))
        return false;
    const char *temp = getenv("TMPDIR");
    c.folder = file_temp_folder(a, temp && temp[0] ? temp : "/tmp", err);
    if (!c.folder)
        return false;
    AUTO(client_free) Client *client = client_new();
    c.u.client = client;
    bool ok = copy(&c, plain_path(a, path), result, err);
    (void)!file_remove_tree(c.folder, NULL);
    upload_done(&c.u);
    return ok || fail_while(err, "copy %s to %s", from->id, id);
}
