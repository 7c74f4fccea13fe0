/* content.c: one file's content, resumed where it was cut off and checked before it gets its name.
 */
#include "fetch/cached_internal.h"
#include "fetch/xet.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    PIECE = 1 << 20,
    TRIES = 5,
    XET_SIZE = 4 << 20, // below, two calls more take longer than what they save
};

typedef struct Download {
    const FetchJob *job;
    int fd;
    int64_t done; // bytes in the file, all of them in the digest
    bool begun;   // the answer to the current request has
    bool no_xet;  // the store of chunks was of no use
    Digest *digest;
} Download;

static void digest_restart(Download *d)
{
    digest_free(d->digest);
    d->digest = oid_begin(d->job->file->lfs, d->job->file->size);
}

static void count(const Download *d, int64_t bytes)
{
    if (d->job->counted)
        d->job->counted(d->job->context, bytes);
}

/* What an earlier attempt left counts if it is not too long. */
static bool take_up(Download *d, Error *err)
{
    digest_restart(d);
    struct stat info;
    if (fstat(d->fd, &info) != 0)
        return fail_io(err, "%s", d->job->target);
    if (d->job->force || info.st_size > d->job->file->size) {
        if (ftruncate(d->fd, 0) != 0)
            return fail_io(err, "%s", d->job->target);
        return true;
    }
    char *piece = xmalloc(PIECE);
    bool ok = true;
    while (ok && d->done < info.st_size) {
        size_t n = (size_t)MIN((int64_t)PIECE, info.st_size - d->done);
        ok = fd_read_at(d->fd, piece, n, d->done, err);
        if (ok) {
            digest_add(d->digest, piece, n);
            d->done += (int64_t)n;
            count(d, (int64_t)n);
        }
    }
    free(piece);
    return ok;
}

/* Behind what is there. */
static bool append(void *context, Str bytes, Error *err)
{
    Download *d = context;
    if (d->done + (int64_t)bytes.len > d->job->file->size)
        return fail(err, ERR_CORRUPT, "%s: more came than the %lld bytes it should have",
                    d->job->file->path, (long long)d->job->file->size);
    for (size_t from = 0; from < bytes.len;) {
        ssize_t n = pwrite(d->fd, bytes.ptr + from, bytes.len - from, d->done + (int64_t)from);
        if (n < 0 && errno != EINTR)
            return fail_io(err, "%s", d->job->target);
        from += n > 0 ? (size_t)n : 0;
    }
    digest_add(d->digest, bytes.ptr, bytes.len);
    d->done += (int64_t)bytes.len;
    count(d, (int64_t)bytes.len);
    return true;
}

static bool take(void *context, int status, Str bytes, Error *err)
{
    Download *d = context;
    // Asked for a part, answered with the whole: begin again.
    if (!d->begun && status != 206 && d->done > 0) {
        count(d, -d->done);
        d->done = 0;
        digest_restart(d);
        if (ftruncate(d->fd, 0) != 0)
            return fail_io(err, "%s", d->job->target);
    }
    d->begun = true;
    return append(d, bytes, err);
}

static bool is_by_xet(const Download *d)
{
    return d->job->xet && d->job->file->xet && d->job->file->size >= XET_SIZE && !d->no_xet;
}

/* The rest of the file by its chunks. A store that does not know them is not asked again. */
static bool receive_chunks(Download *d, Error *err)
{
    XetDownload download = {.session = d->job->xet,
                            .hash = d->job->file->xet,
                            .from = d->done,
                            .size = d->job->file->size,
                            .cancelled = d->job->cancelled,
                            .take = append,
                            .context = d};
    Error failure = {0};
    if (xet_download(&download, &failure))
        return true;
    bool ours = failure.code == ERR_IO || failure.code == ERR_CANCELLED ||
                failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
    d->no_xet = !ours && failure.code != ERR_DENIED;
    return fail(err, ours ? failure.code : ERR_UNAVAILABLE, "%s", failure.text);
}

/* The rest of the file by one request. */
static bool receive(Client *c, Arena *a, Download *d, Error *err)
{
    const FetchJob *job = d->job;
    const char *range = arena_printf(a, "Range: bytes=%lld-", (long long)d->done);
    ClientAnswer answer;
    ClientCall call = {
        .url = arena_printf(a, "%s/%s%s/resolve/%s/%s", job->env->endpoint,
                            fetch_kind(job->name->kind)->prefix, job->name->id, job->commit,
                            url_path(a, job->file->path)),
        .token = job->env->token,
        .headers = (const char *const[]){"Accept-Encoding: identity", d->done ? range : NULL, NULL},
        .take = take,
        .context = d,
        .cancelled = job->cancelled,
    };
    d->begun = false;
    return hub_call(c, a, call, &answer, err);
}

static bool check(Download *d, Error *err)
{
    char hex[OID_SIZE];
    oid_finish(d->digest, d->job->file->lfs, hex);
    if (strcmp(hex, d->job->file->etag) == 0)
        return true;
    return fail(err, ERR_CORRUPT, "%s: what came has the hash %s, it should be %s; try again",
                d->job->file->path, hex, d->job->file->etag);
}

/* Goes on after a connection broke, as long as each attempt brings something. */
static bool download(Client *c, Arena *a, Download *d, const char *partial, Error *err)
{
    if (!take_up(d, err))
        return false;
    for (int tries = 1; d->done < d->job->file->size; tries++) {
        int64_t before = d->done;
        bool by_xet = is_by_xet(d);
        Error failure = {0};
        if (by_xet ? receive_chunks(d, &failure) : receive(c, a, d, &failure))
            continue;
        bool transient = failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
        bool other_way = by_xet && d->no_xet;
        if ((other_way || (transient && d->done > before)) && tries < TRIES)
            continue;
        if (failure.code == ERR_CORRUPT)
            unlink(partial);
        if (err)
            *err = failure;
        return false;
    }
    if (!check(d, err)) {
        unlink(partial);
        return false;
    }
    if (fsync(d->fd) != 0)
        return fail_io(err, "%s", partial);
    return true;
}

bool fetch_content(Client *c, Arena *a, const FetchJob *job, Error *err)
{
    const char *partial = arena_printf(a, "%s.incomplete", job->target);
    if (!make_parent(a, job->target, err) || (job->lock && !make_parent(a, job->lock, err)))
        return false;
    // Two processes that want the same file: the second waits, then finds it there.
    AUTO_FD int lock = job->lock ? open(job->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (job->lock && (lock < 0 || flock(lock, LOCK_EX) != 0))
        return fail_io(err, "lock %s", job->lock);
    bool shares = job->shared && job->file->xet;
    if (!job->force && (file_exists(job->target) ||
                        (shares && shared_store_take(a, job->shared, job->target, job->file)))) {
        if (job->counted)
            job->counted(job->context, job->file->size);
        return true;
    }
    AUTO_FD int fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail_io(err, "%s", partial);
    Download d = {.job = job, .fd = fd};
    bool ok = download(c, a, &d, partial, err);
    digest_free(d.digest);
    if (ok && rename(partial, job->target) != 0)
        return fail_io(err, "%s", job->target);
    if (ok && shares)
        shared_store_give(a, job->shared, job->target, job->file);
    return ok;
}
