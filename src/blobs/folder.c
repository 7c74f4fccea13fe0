/* folder.c: blobs as files in a folder; see blobs.h for the layout.
 *
 * Parts of an upload are written under a shared
 * lock and hashed under an exclusive one: no late part can change what was verified. */
#include "blobs_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    READ_SIZE = 1 << 20,
    FLUSH_EVERY = 32 << 20, // bytes after which the kernel is asked to start writing
};

typedef struct Folder {
    char *root;
} Folder;

static void blob_path(const Folder *f, const char *oid, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/sha256/%.2s/%.2s/%s", f->root, oid, oid + 2, oid);
}

static void *folder_open(const char *place, Error *err)
{
    char path[PATH_SIZE];
    if (strlen(place) == 0 || strlen(place) > PATH_SIZE - 200)
        return fail(err, ERR_INVALID, "a folder's path of %zu bytes", strlen(place));
    snprintf(path, sizeof path, "%s/sha256", place);
    if (!file_make_folders(path, 0755, err))
        return NULL;
    snprintf(path, sizeof path, "%s/temp", place);
    if (!file_make_folders(path, 0755, err) || !temp_clear(path, err))
        return NULL;
    Folder *f = xcalloc(1, sizeof *f);
    f->root = xstrdup(place);
    return f;
}

static void folder_close(void *store)
{
    Folder *f = store;
    free(f->root);
    free(f);
}

/* ---- Reading ---- */

static bool folder_has(void *store, const char *oid, int64_t *size)
{
    char path[PATH_SIZE];
    struct stat st;
    blob_path(store, oid, path);
    if (stat(path, &st) < 0)
        return false;
    *size = st.st_size;
    return true;
}

static int folder_open_blob(void *store, const char *oid, int64_t *size, Error *err)
{
    char path[PATH_SIZE];
    struct stat st;
    blob_path(store, oid, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        (void)!fail_io(err, "open blob %s", oid);
        return -1;
    }
    *size = st.st_size;
    return fd;
}

static const char *folder_path(void *store, const char *oid, Arena *a, Error *err)
{
    char path[PATH_SIZE];
    blob_path(store, oid, path);
    if (access(path, R_OK) < 0)
        return fail_io(err, "open blob %s", oid);
    return arena_cstr(a, str_of(path));
}

static bool folder_remove(void *store, const char *oid, Error *err)
{
    char path[PATH_SIZE];
    blob_path(store, oid, path);
    if (unlink(path) < 0 && errno != ENOENT)
        return fail_io(err, "delete blob %s", oid);
    return true;
}

typedef struct Visit {
    bool (*each)(void *user, const char *oid, int64_t size);
    void *user;
    bool stopped;
} Visit;

/* Visits a folder whose names are two hex digits, twice, then the blobs. */
static bool visit(Visit *v, int parent, const char *name, int depth, Error *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return fail_io(err, "open '%s'", name);
    bool ok = true;
    for (struct dirent *entry; ok && !v->stopped && (entry = readdir(dir));) {
        struct stat st;
        if (entry->d_name[0] == '.')
            continue;
        if (depth < 2)
            ok = visit(v, fd, entry->d_name, depth + 1, err);
        else if (blob_oid_check(str_of(entry->d_name), NULL) &&
                 fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            v->stopped = !v->each(v->user, entry->d_name, st.st_size);
    }
    closedir(dir);
    return ok;
}

static bool folder_each(void *store, bool (*each)(void *user, const char *oid, int64_t size),
                        void *user, Error *err)
{
    Folder *f = store;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/sha256", f->root);
    Visit v = {.each = each, .user = user};
    return visit(&v, AT_FDCWD, path, 0, err);
}

/* ---- Publishing ---- */

/* Gives a synced file its final name. The two folders above it are new, or may be: they are synced
 * from the bottom up, so that the name is durable when this returns. */
static bool publish(const Folder *f, const char *temp, const char *oid, Error *err)
{
    char path[PATH_SIZE], folder[PATH_SIZE];
    blob_path(f, oid, path);
    snprintf(folder, sizeof folder, "%s/sha256/%.2s/%.2s", f->root, oid, oid + 2);
    if (!file_make_folders(folder, 0755, err))
        return NULL;
    if (rename(temp, path) < 0)
        return fail_io(err, "rename '%s'", temp);
    for (int up = 0; up < 3; up++) {
        if (!file_sync_folder(folder, err))
            return NULL;
        *strrchr(folder, '/') = 0;
    }
    return true;
}

static bool sync_readonly(int fd, Error *err)
{
    if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
        return fail_io(err, "sync");
    return true;
}

typedef struct Sink {
    Folder *folder;
    int fd;
    bool published;
    int64_t written, flushed;
    char path[PATH_SIZE];
} Sink;

static void sink_free(void *sink)
{
    Sink *s = sink;
    if (!s->published)
        unlink(s->path);
    close(s->fd);
    free(s);
}

static void *sink_new(void *store, int64_t size, Error *err)
{
    Sink *s = xcalloc(1, sizeof *s);
    s->folder = store;
    char temp[PATH_SIZE];
    snprintf(temp, sizeof temp, "%s/temp", s->folder->root);
    s->fd = temp_file(temp, s->path, err);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    // Says "no room" before gigabytes have travelled, where the file system can tell.
    if (size > 0 && fallocate(s->fd, FALLOC_FL_KEEP_SIZE, 0, size) < 0 && errno == ENOSPC) {
        (void)!fail_io(err, "room for %lld bytes", (long long)size);
        sink_free(s);
        return NULL;
    }
    return s;
}

static bool sink_add(void *sink, const void *bytes, size_t n, Error *err)
{
    Sink *s = sink;
    if (!fd_write_all(s->fd, bytes, n, err))
        return NULL;
    s->written += (int64_t)n;
    // Otherwise gigabytes wait in memory for the fsync at the end.
    if (s->written - s->flushed >= FLUSH_EVERY) {
        sync_file_range(s->fd, s->flushed, s->written - s->flushed, SYNC_FILE_RANGE_WRITE);
        s->flushed = s->written;
    }
    return true;
}

static bool sink_publish(void *sink, const char *oid, Error *err)
{
    Sink *s = sink;
    if (!sync_readonly(s->fd, err) || !publish(s->folder, s->path, oid, err))
        return NULL;
    s->published = true;
    return true;
}

/* ---- Uploads in parts ---- */

static void parts_path(const Folder *f, const char *name, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/temp/parts-%s", f->root, name);
}

/* Opens and locks the upload's file; opened again when it was renamed while we waited. */
static int parts_open(const Folder *f, const char *name, int flags, int lock, Error *err)
{
    char path[PATH_SIZE];
    parts_path(f, name, path);
    for (;;) {
        struct stat here, there;
        int fd = open(path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || flock(fd, lock) < 0 || fstat(fd, &here) < 0) {
            (void)!fail_io(err, "open upload %s", name);
            fd_close_auto(&fd);
            return -1;
        }
        if (stat(path, &there) == 0 && there.st_ino == here.st_ino)
            return fd;
        close(fd);
    }
}

static bool folder_part_write(void *store, const char *name, int64_t offset, const void *bytes,
                              size_t n, Error *err)
{
    AUTO_FD int fd = parts_open(store, name, O_CREAT, LOCK_SH, err);
    if (fd < 0)
        return NULL;
    const char *p = bytes;
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_io(err, "write upload %s", name);
        p += done;
        n -= (size_t)done;
        offset += done;
    }
    return true;
}

static bool folder_part_sync(void *store, const char *name, Error *err)
{
    AUTO_FD int fd = parts_open(store, name, 0, LOCK_SH, err);
    if (fd < 0)
        return NULL;
    if (fdatasync(fd) < 0)
        return fail_io(err, "sync upload %s", name);
    return true;
}

static bool hash_file(int fd, char oid[BLOB_HEX_SIZE], Error *err)
{
    AUTO(digest_free) Digest *digest = digest_sha256_new();
    AUTO(free) char *bytes = xmalloc(READ_SIZE);
    uint8_t sha[SHA256_SIZE];
    for (int64_t at = 0;;) {
        ssize_t got = pread(fd, bytes, READ_SIZE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_io(err, "read");
        if (got == 0)
            break;
        digest_add(digest, bytes, (size_t)got);
        at += got;
    }
    digest_finish(digest, sha);
    hex_encode(sha, sizeof sha, oid);
    return true;
}

static bool folder_parts_finish(void *store, const char *name, const char *oid, int64_t size,
                                bool is_stored, Error *err)
{
    Folder *f = store;
    char path[PATH_SIZE], found[BLOB_HEX_SIZE];
    struct stat st;
    AUTO_FD int fd = parts_open(f, name, 0, LOCK_EX, err);
    if (fd < 0)
        return NULL;
    parts_path(f, name, path);
    if (fstat(fd, &st) < 0)
        return fail_io(err, "upload %s", name);
    if (st.st_size != size)
        return fail(err, ERR_INVALID, "%lld bytes came, %lld were promised", (long long)st.st_size,
                    (long long)size);
    if (!hash_file(fd, found, err))
        return fail_while(err, "upload %s", name);
    if (strcmp(found, oid) != 0)
        return fail(err, ERR_INVALID, "the parts hash to sha256 %s, not to %s", found, oid);
    if (is_stored)
        return unlink(path) == 0 || fail_io(err, "end upload %s", name);
    return sync_readonly(fd, err) && publish(f, path, oid, err);
}

const BlobDriver blob_folder_driver = {
    .scheme = "file",
    .open = folder_open,
    .close = folder_close,
    .has = folder_has,
    .open_blob = folder_open_blob,
    .path = folder_path,
    .remove = folder_remove,
    .each = folder_each,
    .sink_new = sink_new,
    .sink_add = sink_add,
    .sink_publish = sink_publish,
    .sink_free = sink_free,
    .part_write = folder_part_write,
    .part_sync = folder_part_sync,
    .parts_finish = folder_parts_finish,
};
