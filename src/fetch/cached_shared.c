/* cached_shared.c: the store that the cache's repositories share; see cached.h. Its lists of links
 * are hints: each line counts only while such a link is there, and where a list is missing nothing
 * is removed. A link is on the list before it is made, so that no sweep comes between. Whatever
 * goes wrong with the store is no reason for a download to fail: the blob is then a file of its
 * own. */
#include "fetch/cached_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

enum { HASH_HEX = 64, MAX_LIST = 16 << 20 };

static bool is_plain_file(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool shared_store_exists(Arena *a, const char *cache)
{
    const char *mark = arena_printf(a, "%s/blobs/.huggingface-shared-blobs", cache);
    AUTO_BUF text;
    buf_init(&text, 64);
    return is_plain_file(mark) && file_read(mark, &text, NULL) && str_eq(buf_str(&text), S("1\n"));
}

static bool is_hash(Str name)
{
    uint8_t bytes[HASH_HEX / 2];
    return hex_decode(name, bytes, sizeof bytes);
}

const char *shared_store_target(Arena *a, const char *cache, const char *blob)
{
    char link[PATH_MAX];
    ssize_t n = readlink(blob, link, sizeof link - 1);
    Str name = path_name((Str){link, n > 0 ? (size_t)n : 0});
    if (n <= 0 || !is_hash(name))
        return NULL;
    const char *target = arena_printf(a, "%s/blobs/%.2s/%.*s", cache, name.ptr, STR(name));
    struct stat wanted, led;
    return is_plain_file(target) && stat(target, &wanted) == 0 && stat(blob, &led) == 0 &&
                   wanted.st_dev == led.st_dev && wanted.st_ino == led.st_ino
               ? target
               : NULL;
}

/* The links of the list that are still there; false if there is no list to go by. */
static bool read_links(Arena *a, const char *cache, const char *target, const char ***links,
                       size_t *n)
{
    const char *path = arena_printf(a, "%s.refs", target);
    AUTO_BUF text;
    buf_init(&text, MAX_LIST);
    *links = NULL;
    *n = 0;
    if (!is_plain_file(path) || !file_read(path, &text, NULL))
        return false;
    Str rest = buf_str(&text), line;
    while (str_split(&rest, '\n', &line)) {
        if (!path_is_safe(line, NULL))
            continue;
        const char *blob = arena_printf(a, "%s/%.*s", cache, STR(line));
        const char *leads = shared_store_target(a, cache, blob);
        if (!leads || strcmp(leads, target) != 0)
            continue;
        *links = list_add_text(a, *links, n, blob);
    }
    return true;
}

void shared_store_scan(CacheScan *scan, Arena *a)
{
    const char *path = arena_printf(a, "%s/blobs", scan->folder);
    DIR *store = opendir(path);
    for (struct dirent *e; store && (e = readdir(store));) {
        const char *inner = arena_printf(a, "%s/%s", path, e->d_name);
        DIR *some = e->d_name[0] != '.' && strlen(e->d_name) == 2 ? opendir(inner) : NULL;
        for (struct dirent *f; some && (f = readdir(some));) {
            struct stat info;
            const char *target = arena_printf(a, "%s/%s", inner, f->d_name), **links;
            size_t n;
            if (!is_hash(str_of(f->d_name)) || !is_plain_file(target) || stat(target, &info) != 0)
                continue;
            scan->size += info.st_size;
            if (read_links(a, scan->folder, target, &links, &n) && n == 0)
                scan_add_scrap(scan, a, target, true);
        }
        if (some)
            closedir(some);
    }
    if (store)
        closedir(store);
}

bool shared_store_is_last(Arena *a, const char *cache, const char *target,
                          bool (*doomed)(const void *context, const char *blob),
                          const void *context)
{
    const char **links;
    size_t n;
    if (!read_links(a, cache, target, &links, &n) || n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!doomed(context, links[i]))
            return false;
    return true;
}

static void write_links(Arena *a, const char *cache, const char *target, const char **links,
                        size_t n)
{
    AUTO_BUF text;
    buf_init(&text, MAX_LIST);
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s\n", links[i] + strlen(cache) + 1);
    (void)!file_write_atomic(arena_printf(a, "%s.refs", target), buf_str(&text), 0666, NULL);
}

/* Held while a content, its list or a link to it changes: a descriptor, or -1. Other users of the
 * cache take it too. */
static int lock_content(Arena *a, const char *target)
{
    int lock =
        open(arena_printf(a, "%s.lock", target), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (lock >= 0)
        (void)!fchmod(lock, 0666);
    if (lock >= 0 && flock(lock, LOCK_EX) != 0) {
        close(lock);
        return -1;
    }
    return lock;
}

void shared_store_sweep(Arena *a, const char *cache, const char *target)
{
    AUTO_FD int lock = lock_content(a, target);
    const char **links;
    size_t n;
    if (lock < 0 || !read_links(a, cache, target, &links, &n))
        return;
    if (n) {
        write_links(a, cache, target, links, n);
        return;
    }
    if (is_plain_file(target) && unlink(target) == 0)
        unlink(arena_printf(a, "%s.refs", target));
}

/* ---- Taking from it and giving to it ---- */

/* Notes the link, and puts it in the place of whatever bears the blob's name. */
static bool link_blob(Arena *a, const char *cache, const char *blob, const char *target)
{
    const char *name = blob + strlen(cache) + 1; // models--org--name/blobs/ETAG
    const char *line = arena_printf(a, "%s\n", name);
    AUTO_FD int list = open(arena_printf(a, "%s.refs", target),
                            O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (list < 0 || !fd_write_all(list, line, strlen(line), NULL) || fsync(list) != 0)
        return false;
    (void)!fchmod(list, 0666);
    const char *fresh = arena_printf(a, "%s.%d.shared", blob, getpid());
    const char *leads = arena_printf(a, "../../%s", target + strlen(cache) + 1);
    unlink(fresh);
    if (symlink(leads, fresh) == 0 && rename(fresh, blob) == 0)
        return true;
    unlink(fresh);
    return false;
}

static const char *target_of(Arena *a, const char *cache, const char *xet)
{
    return arena_printf(a, "%s/blobs/%.2s/%s", cache, xet, xet);
}

/* The content is looked at before it is believed: others have put it there. */
static bool is_content(const char *target, const RemoteFile *file)
{
    struct stat info;
    char oid[OID_SIZE];
    return is_plain_file(target) && stat(target, &info) == 0 && info.st_size == file->size &&
           file_oid(target, file->size, true, oid, NULL) && strcmp(oid, file->etag) == 0;
}

bool shared_store_take(Arena *a, const char *cache, const char *blob, const RemoteFile *file)
{
    const char *target = target_of(a, cache, file->xet);
    if (!shared_store_exists(a, cache) || !is_plain_file(target))
        return false;
    AUTO_FD int lock = lock_content(a, target);
    return lock >= 0 && is_content(target, file) && link_blob(a, cache, blob, target);
}

/* The store, marked as such. A folder that somebody else has filled is left alone. */
static bool make_store(Arena *a, const char *cache, mode_t mode)
{
    const char *store = arena_printf(a, "%s/blobs", cache);
    if (shared_store_exists(a, cache))
        return true;
    if (mkdir(store, mode) == 0)
        (void)!chmod(store, mode);
    DIR *folder = opendir(store);
    bool empty = folder != NULL;
    for (struct dirent *e; empty && (e = readdir(folder));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (folder)
        closedir(folder);
    return (empty && file_write_atomic(arena_printf(a, "%s/.huggingface-shared-blobs", store),
                                       S("1\n"), 0444, NULL)) ||
           shared_store_exists(a, cache); // another process was quicker
}

void shared_store_give(Arena *a, const char *cache, const char *blob, const RemoteFile *file)
{
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    struct stat root;
    const char *target = target_of(a, cache, file->xet);
    const char *prefix = arena_printf(a, "%s/blobs/%.2s", cache, file->xet);
    if (stat(cache, &root) != 0)
        return;
    pthread_mutex_lock(&making);
    bool made = make_store(a, cache, root.st_mode & 07777);
    pthread_mutex_unlock(&making);
    if (!made)
        return;
    if (mkdir(prefix, root.st_mode & 07777) == 0)
        (void)!chmod(prefix, root.st_mode & 07777);
    AUTO_FD int lock = lock_content(a, target);
    if (lock < 0)
        return;
    if (is_content(target, file)) {
        link_blob(a, cache, blob, target);
        return;
    }
    // Nobody changes shared content: it is for reading, by whoever can enter the cache. It keeps
    // its first name until the link has taken that, so that it is never without one.
    mode_t readers =
        0400 | (root.st_mode & S_IXGRP ? 0040 : 0) | (root.st_mode & S_IXOTH ? 0004 : 0);
    unlink(target);
    if (chmod(blob, readers) == 0 && link(blob, target) == 0 && !link_blob(a, cache, blob, target))
        unlink(target);
}
