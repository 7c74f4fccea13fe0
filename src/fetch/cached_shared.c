/* cached_shared.c: the store that the cache's repositories share; see cached.h. Its lists of links
 * are hints: each line counts only while such a link is there, and where a list is missing nothing
 * is removed. */
#include "fetch/cached_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
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
        *links = list_grow(a, (void *)*links, *n, sizeof **links);
        (*links)[(*n)++] = blob;
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

void shared_store_sweep(Arena *a, const char *cache, const char *target)
{
    AUTO_FD int lock =
        open(arena_printf(a, "%s.lock", target), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    const char **links;
    size_t n;
    if (lock < 0 || flock(lock, LOCK_EX) != 0 || !read_links(a, cache, target, &links, &n))
        return;
    if (n) {
        write_links(a, cache, target, links, n);
        return;
    }
    if (is_plain_file(target) && unlink(target) == 0)
        unlink(arena_printf(a, "%s.refs", target));
}
