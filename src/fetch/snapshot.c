/* snapshot.c: makes the files of a revision complete, several at a time; see fetch.h. */
#include "fetch/xet.h"

#include "base/clock.h"
#include "base/file.h"

#include <pthread.h>
#include <unistd.h>

enum { WORKERS = 8, MAX_WORKERS = 32 };

/* What the threads of one snapshot share. */
typedef struct Snapshot {
    FetchEnv env;
    RepoName name;
    const FetchOptions *options;
    RepoCache cache;
    const char *commit;
    RemoteFile *files; // the wanted ones
    size_t n;
    XetSession *xet; // NULL: no file is stored as chunks
    Progress *progress;
    atomic_size_t next; // the first file that nobody has taken
    atomic_bool failed;
    pthread_mutex_t failing; // guards error
    Error error;             // the first one
} Snapshot;

static void counted(void *context, int64_t bytes)
{
    progress_add(context, bytes);
}

/* Into HF_HUB_CACHE: the blob by its hash, and a link. */
static bool fetch_cached(Snapshot *s, Client *c, Arena *a, const RemoteFile *file, Error *err)
{
    FetchJob job = {
        .env = &s->env,
        .name = &s->name,
        .commit = s->commit,
        .file = file,
        .target = arena_printf(a, "%s/blobs/%s", s->cache.folder, file->etag),
        .lock = arena_printf(a, "%s/%s.lock", s->cache.locks, file->etag),
        .shared = s->env.shares && s->xet ? s->env.cache : NULL,
        .xet = s->xet,
        .force = s->options->force,
        .cancelled = &s->failed,
        .counted = counted,
        .context = s->progress,
    };
    return fetch_content(c, a, &job, err) && cache_link(a, &s->cache, s->commit, file, err);
}

/* Where a plain folder keeps what it knows of a file. */
static const char *note_path(Arena *a, const char *folder, const RemoteFile *file)
{
    return arena_printf(a, "%s/.cache/huggingface/download/%s.metadata", folder, file->path);
}

/* Is this content in a plain folder, by its note? */
static bool holds(Arena *a, const char *folder, const RemoteFile *file)
{
    AUTO_BUF text;
    buf_init(&text, 4096);
    return file_exists(arena_printf(a, "%s/%s", folder, file->path)) &&
           file_read(note_path(a, folder, file), &text, NULL) &&
           str_find(buf_str(&text), str_of(file->etag), 0) != SIZE_MAX;
}

/* Into a plain folder: what it holds is noted beside, as huggingface_hub notes it, so that a second
 * call knows what is there. The note is three lines: commit, hash, time. */
static bool fetch_plain(Snapshot *s, Client *c, Arena *a, const RemoteFile *file, Error *err)
{
    const char *kept = arena_printf(a, "%s/.cache/huggingface", s->options->folder);
    const char *note = note_path(a, s->options->folder, file);
    const char *target = arena_printf(a, "%s/%s", s->options->folder, file->path);
    bool current = !s->options->force && holds(a, s->options->folder, file);
    FetchJob job = {
        .env = &s->env,
        .name = &s->name,
        .commit = s->commit,
        .file = file,
        .target = arena_printf(a, "%s/download/%s.%s", kept, file->path, file->etag),
        .xet = s->xet,
        .force = s->options->force,
        .cancelled = &s->failed,
        .counted = counted,
        .context = s->progress,
    };
    if (current)
        progress_add(s->progress, file->size);
    else if (!fetch_content(c, a, &job, err))
        return false;
    if (!make_parent(a, target, err) || !make_parent(a, note, err))
        return false;
    if (!current && rename(job.target, target) != 0)
        return fail_io(err, "%s", target);
    AUTO_BUF text;
    buf_init(&text, 4096);
    buf_printf(&text, "%s\n%s\n%.6f\n", s->commit, file->etag,
               (double)wall_ns() / (double)NS_PER_S);
    return file_write_atomic(note, buf_str(&text), 0644, err);
}

static void *worker(void *context)
{
    Snapshot *s = context;
    AUTO(client_free) Client *c = client_new();
    AUTO(arena_free) Arena *a = arena_new(0);
    for (size_t i; !s->failed && (i = s->next++) < s->n; arena_reset(a)) {
        Error err = {0};
        bool ok = s->options->folder ? fetch_plain(s, c, a, &s->files[i], &err)
                                     : fetch_cached(s, c, a, &s->files[i], &err);
        if (ok)
            continue;
        pthread_mutex_lock(&s->failing);
        if (!s->error.code)
            s->error = err;
        pthread_mutex_unlock(&s->failing);
        s->failed = true;
    }
    return NULL;
}

static bool fetch_files(Snapshot *s, Error *err)
{
    int64_t total = 0;
    bool chunks = false;
    for (size_t i = 0; i < s->n; i++) {
        total += s->files[i].size;
        chunks |= s->files[i].xet != NULL;
    }
    if (chunks) // without, everything comes by /resolve/
        s->xet = xet_session_new(&s->env, &s->name, s->commit, false, false, NULL);
    const FetchOptions *o = s->options;
    char what[256];
    snprintf(what, sizeof what, "%s: %zu files", s->name.id, s->n);
    AUTO(progress_free) Progress *progress = progress_new(what, total, o->quiet);
    s->progress = progress;
    pthread_mutex_init(&s->failing, NULL);
    pthread_t threads[MAX_WORKERS];
    int wanted = o->workers > 0 ? MIN(o->workers, MAX_WORKERS) : WORKERS;
    int workers = (int)MIN((size_t)wanted, s->n), started = 0;
    while (started < workers && pthread_create(&threads[started], NULL, worker, s) == 0)
        started++;
    if (started == 0)
        worker(s);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&s->failing);
    xet_session_free(TAKE(s->xet));
    s->progress = NULL;
    if (s->error.code && err)
        *err = s->error;
    return !s->error.code;
}

/* NULL with ERR_UNAVAILABLE when the hub is not there. */
static const char *ask_commit(Client *c, Arena *a, const Snapshot *s, Error *err)
{
    if (s->env.offline)
        return fail(err, ERR_UNAVAILABLE,
                    "HF_HUB_OFFLINE is set; `hug cache ls` lists what is here");
    return hub_commit(c, a, &s->env, &s->name, err);
}

static void keep_wanted(Snapshot *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (path_is_wanted(s->files[i].path, s->options->include, s->options->exclude))
            s->files[kept++] = s->files[i];
    s->n = kept;
}

/* Names and places; no call yet. */
static bool snapshot_init(Snapshot *s, Arena *a, const char *id, const FetchOptions *options,
                          Error *err)
{
    static const FetchOptions none;
    *s = (Snapshot){.options = options ? options : &none};
    const FetchOptions *o = s->options;
    if (!repo_name_parse(&s->name, a, id, o->kind, o->revision, err))
        return false;
    s->env = fetch_env(a, o->token, o->cache);
    s->cache = repo_cache(a, &s->env, &s->name);
    return true;
}

char *snapshot_fetch(Arena *a, const char *id, const FetchOptions *options, FileChoice choose,
                     void *context, Error *err)
{
    Snapshot s;
    if (!snapshot_init(&s, a, id, options, err))
        return NULL;
    const FetchOptions *o = s.options;
    AUTO(client_free) Client *c = client_new();
    Error failure = {0};
    s.commit = ask_commit(c, a, &s, &failure);
    if (!s.commit) {
        bool away = failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
        char *seen = away && !o->folder ? cache_find_snapshot(a, &s.cache, s.name.revision) : NULL;
        if (!seen && err)
            *err = failure;
        return seen ? seen : fail_while(err, "fetch %s", id);
    }
    if (!hub_tree(c, a, &s.env, &s.name, s.commit, &s.files, &s.n, err))
        return NULL;
    keep_wanted(&s);
    if (choose && !choose(context, s.files, &s.n, err))
        return fail_while(err, "fetch %s", id);
    char *folder = o->folder ? arena_cstr(a, str_of(o->folder))
                             : arena_printf(a, "%s/snapshots/%s", s.cache.folder, s.commit);
    if (!file_make_folders(folder, 0755, err) || !fetch_files(&s, err) ||
        (!o->folder && !cache_write_ref(a, &s.cache, s.name.revision, s.commit, err)))
        return fail_while(err, "fetch %s", id);
    return folder;
}

bool fetch_plan(Arena *a, const char *id, const FetchOptions *options, PlannedFile **files,
                size_t *n, Error *err)
{
    Snapshot s;
    if (!snapshot_init(&s, a, id, options, err))
        return false;
    AUTO(client_free) Client *c = client_new();
    s.commit = ask_commit(c, a, &s, err);
    if (!s.commit || !hub_tree(c, a, &s.env, &s.name, s.commit, &s.files, &s.n, err))
        return fail_while(err, "plan to fetch %s", id);
    keep_wanted(&s);
    *files = NEW_ARRAY(a, PlannedFile, s.n + 1);
    *n = s.n;
    for (size_t i = 0; i < s.n; i++) {
        const RemoteFile *f = &s.files[i];
        const char *target = s.options->folder
                                 ? arena_printf(a, "%s/%s", s.options->folder, f->path)
                                 : arena_printf(a, "%s/blobs/%s", s.cache.folder, f->etag);
        bool there = s.options->folder ? holds(a, s.options->folder, f) : file_exists(target);
        (*files)[i] = (PlannedFile){f->path, f->size, !there || s.options->force};
    }
    return true;
}

char *fetch_snapshot(Arena *a, const char *id, const FetchOptions *options, Error *err)
{
    return snapshot_fetch(a, id, options, NULL, NULL, err);
}

static bool choose_one(void *path, RemoteFile *files, size_t *n, Error *err)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(files[i].path, path) == 0) {
            files[0] = files[i];
            *n = 1;
            return true;
        }
    return fail(err, ERR_NO_ENTRY, "there is no file '%s'", (const char *)path);
}

char *fetch_file(Arena *a, const char *id, const char *path, const FetchOptions *options,
                 Error *err)
{
    if (!path_is_safe(str_of(path), err))
        return NULL;
    char *wanted = arena_cstr(a, str_of(path));
    char *folder = snapshot_fetch(a, id, options, choose_one, wanted, err);
    if (!folder)
        return NULL;
    char *file = arena_printf(a, "%s/%s", folder, path);
    // What an earlier visit left may lack it, and the hub could not be asked.
    return file_exists(file) ? file
                             : fail(err, ERR_NO_ENTRY, "fetch %s: '%s' is not cached", id, path);
}
