/* blobs.c: what is the same wherever blobs lie: oids, hashing, comparing; see blobs.h. */
#include "blobs_internal.h"
#include "xet_internal.h"

#include "base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { COPY_SIZE = 1 << 20 };

static const BlobDriver *const drivers[] = {&blob_folder_driver};

struct Blobs {
    const BlobDriver *driver;
    void *store;
    Xet *xet; // blobs that lie as chunks; may be NULL
};

void blobs_join_xet(Blobs *b, Xet *x)
{
    b->xet = x;
}

Blobs *blobs_open(const char *url, Error *err)
{
    Str text = str_of(url);
    size_t colon = str_find(text, S("://"), 0);
    Str scheme = colon == SIZE_MAX ? S("file") : str_slice(text, 0, colon);
    const char *place = colon == SIZE_MAX ? url : url + colon + 3;
    for (size_t i = 0; i < COUNT(drivers); i++) {
        if (!str_eq(scheme, str_of(drivers[i]->scheme)))
            continue;
        void *store = drivers[i]->open(place, err);
        if (!store)
            return fail_while(err, "open blob store '%s'", url);
        Blobs *b = xcalloc(1, sizeof *b);
        *b = (Blobs){.driver = drivers[i], .store = store};
        return b;
    }
    return fail(err, ERR_UNSUPPORTED, "open blob store '%s': no driver for '%.*s'", url,
                STR(scheme));
}

void blobs_free(Blobs *b)
{
    if (!b)
        return;
    b->driver->close(b->store);
    free(b);
}

bool blob_oid_check(Str oid, Error *err)
{
    uint8_t bytes[SHA256_SIZE];
    bool ok = hex_decode(oid, bytes, sizeof bytes);
    for (size_t i = 0; ok && i < oid.len; i++)
        ok = !(oid.ptr[i] >= 'A' && oid.ptr[i] <= 'F');
    if (!ok)
        return fail(err, ERR_INVALID, "oid '%.*s' is not 64 lower-case hex digits",
                    STR(str_slice(oid, 0, 80)));
    return true;
}

bool blobs_has(Blobs *b, const char *oid, int64_t *size)
{
    int64_t found;
    if (!blob_oid_check(str_of(oid), NULL) ||
        (!b->driver->has(b->store, oid, &found) && !(b->xet && xet_has(b->xet, oid, &found))))
        return false;
    if (size)
        *size = found;
    return true;
}

bool blobs_delete(Blobs *b, const char *oid, Error *err)
{
    return blob_oid_check(str_of(oid), err) && b->driver->remove(b->store, oid, err) &&
           (!b->xet || xet_remove(b->xet, oid, err));
}

bool blobs_drop_whole(Blobs *b, const char *oid, Error *err)
{
    return b->driver->remove(b->store, oid, err);
}

bool blobs_each(Blobs *b, bool (*each)(void *user, const char *oid, int64_t size), void *user,
                Error *err)
{
    return b->driver->each(b->store, each, user, err);
}

/* ---- Reading ---- */

struct BlobReader {
    int fd; // -1: chunks
    int64_t size;
    XetReader *chunks;
};

BlobReader *blob_open(Blobs *b, const char *oid, Error *err)
{
    Error whole = {0};
    if (!blob_oid_check(str_of(oid), err))
        return NULL;
    AUTO(blob_close) BlobReader *r = xcalloc(1, sizeof *r);
    // A blob that is just being cut up has both, then only its chunks: so they are looked for last.
    r->fd = b->driver->open_blob(b->store, oid, &r->size, &whole);
    if (r->fd >= 0)
        return TAKE(r);
    if (whole.code != ERR_NOT_FOUND || !b->xet || !xet_has(b->xet, oid, &r->size)) {
        if (err)
            *err = whole;
        return NULL;
    }
    r->chunks = xet_reader_open(b->xet, oid, err);
    return r->chunks ? TAKE(r) : NULL;
}

void blob_close(BlobReader *r)
{
    if (!r)
        return;
    fd_close_auto(&r->fd);
    xet_reader_free(r->chunks);
    free(r);
}

int64_t blob_size(const BlobReader *r)
{
    return r->size;
}

int blob_fd(const BlobReader *r)
{
    return r->fd;
}

int blob_take_fd(BlobReader *r)
{
    int fd = r->fd;
    r->fd = -1;
    return fd;
}

bool blob_read(BlobReader *r, void *out, size_t n, int64_t offset, Error *err)
{
    return r->fd >= 0 ? fd_read_at(r->fd, out, n, offset, err)
                      : xet_reader_read(r->chunks, out, n, offset, err);
}

static bool copy_to(BlobReader *r, int fd, Error *err)
{
    AUTO(free) char *bytes = xmalloc(COPY_SIZE);
    for (int64_t at = 0; at < r->size;) {
        size_t n = (size_t)MIN(r->size - at, (int64_t)COPY_SIZE);
        if (!blob_read(r, bytes, n, at, err) || !fd_write_all(fd, bytes, n, err))
            return false;
        at += (int64_t)n;
    }
    return fsync(fd) == 0 || fail_io(err, "sync");
}

bool blobs_copy_to(Blobs *b, const char *oid, const char *path, bool *copied, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(blob_close) BlobReader *r = blob_open(b, oid, err);
    if (!r)
        return false;
    const char *own = r->fd >= 0 ? b->driver->path(b->store, oid, a, NULL) : NULL;
    bool linked = own && link(own, path) == 0;
    if (copied)
        *copied = !linked;
    if (linked)
        return true;
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return fail_io(err, "make '%s'", path);
    if (copy_to(r, fd, err))
        return true;
    unlink(path);
    return false;
}

/* ---- Writing ---- */

struct BlobWriter {
    Blobs *blobs;
    const BlobDriver *driver;
    void *sink;
    Digest *digest;
    char oid[BLOB_HEX_SIZE]; // promised; empty: any
    int64_t size;            // promised; -1: any
    int64_t seen;
};

BlobWriter *blob_writer_new(Blobs *b, const char *oid, int64_t size, Error *err)
{
    if (oid && !blob_oid_check(str_of(oid), err))
        return NULL;
    if (size < -1)
        return fail(err, ERR_INVALID, "a blob of %lld bytes", (long long)size);
    void *sink = b->driver->sink_new(b->store, size, err);
    if (!sink)
        return fail_while(err, "store a blob");
    BlobWriter *w = xcalloc(1, sizeof *w);
    *w = (BlobWriter){
        .blobs = b, .driver = b->driver, .sink = sink, .digest = digest_sha256_new(), .size = size};
    snprintf(w->oid, sizeof w->oid, "%s", oid ? oid : "");
    return w;
}

bool blob_writer_add(BlobWriter *w, const void *bytes, size_t n, Error *err)
{
    if (w->size >= 0 && (int64_t)n > w->size - w->seen)
        return fail(err, ERR_INVALID, "more than the promised %lld bytes", (long long)w->size);
    digest_add(w->digest, bytes, n);
    w->seen += (int64_t)n;
    return w->driver->sink_add(w->sink, bytes, n, err);
}

bool blob_writer_finish(BlobWriter *w, char out[BLOB_HEX_SIZE], Error *err)
{
    uint8_t sha[SHA256_SIZE];
    char oid[BLOB_HEX_SIZE];
    digest_finish(w->digest, sha);
    hex_encode(sha, sizeof sha, oid);
    if (w->size >= 0 && w->seen != w->size)
        return fail(err, ERR_INVALID, "%lld bytes came, %lld were promised", (long long)w->seen,
                    (long long)w->size);
    if (w->oid[0] && strcmp(w->oid, oid) != 0)
        return fail(err, ERR_INVALID, "the bytes hash to sha256 %s, not to %s", oid, w->oid);
    int64_t stored;
    bool is_there = blobs_has(w->blobs, oid, &stored) && stored == w->seen;
    if (!is_there && !w->driver->sink_publish(w->sink, oid, err))
        return fail_while(err, "store blob %s", oid);
    if (out)
        memcpy(out, oid, sizeof oid);
    return true;
}

void blob_writer_free(BlobWriter *w)
{
    if (!w)
        return;
    w->driver->sink_free(w->sink);
    digest_free(w->digest);
    free(w);
}

bool blobs_put(Blobs *b, Str bytes, char out[BLOB_HEX_SIZE], Error *err)
{
    AUTO(blob_writer_free) BlobWriter *w = blob_writer_new(b, NULL, (int64_t)bytes.len, err);
    return w && blob_writer_add(w, bytes.ptr ? bytes.ptr : "", bytes.len, err) &&
           blob_writer_finish(w, out, err);
}

/* ---- Uploads in parts ---- */

static bool part_name_check(const char *name, Error *err)
{
    size_t n = strspn(name, "0123456789abcdef");
    if (n == 0 || n > 128 || name[n])
        return fail(err, ERR_INVALID, "upload name '%.140s' is not hex digits", name);
    return true;
}

bool blobs_part_write(Blobs *b, const char *name, int64_t offset, const void *bytes, size_t n,
                      Error *err)
{
    const int64_t most = INT64_C(10) << 40;
    if (!part_name_check(name, err))
        return NULL;
    if (offset < 0 || offset > most || n > (size_t)(most - offset))
        return fail(err, ERR_LIMIT, "a part at byte %lld is past 10 TB", (long long)offset);
    return b->driver->part_write(b->store, name, offset, bytes, n, err);
}

bool blobs_part_sync(Blobs *b, const char *name, Error *err)
{
    return part_name_check(name, err) && b->driver->part_sync(b->store, name, err);
}

bool blobs_parts_finish(Blobs *b, const char *name, const char *oid, int64_t size, Error *err)
{
    if (!part_name_check(name, err) || !blob_oid_check(str_of(oid), err))
        return NULL;
    int64_t stored;
    bool is_stored = blobs_has(b, oid, &stored) && stored == size;
    return b->driver->parts_finish(b->store, name, oid, size, is_stored, err);
}
