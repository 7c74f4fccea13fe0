/* file.c: reading, mapping and durable writing; see file.h. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

void fd_close_auto(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

bool file_read(const char *path, Buf *out, Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "open '%s'", path);
    for (;;) {
        char *room = buf_reserve(out, MIN((size_t)65536, out->max - out->len));
        if (!room)
            return buf_ok(out, err);
        size_t want = MIN(out->cap - out->len - 1, out->max - out->len);
        if (want == 0) {
            // The buffer is at its limit: fine only if the file ends here as well.
            char extra;
            if (read(fd, &extra, 1) == 0)
                return true;
            return fail(err, ERR_LIMIT, "read '%s': larger than %zu bytes", path, out->max);
        }
        ssize_t got = read(fd, room, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_io(err, "read '%s'", path);
        out->len += (size_t)got;
        out->ptr[out->len] = 0;
        if (got == 0)
            return true;
    }
}

bool fd_write_all(int fd, const void *bytes, size_t n, Error *err)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_io(err, "write");
        p += done;
        n -= (size_t)done;
    }
    return true;
}

bool fd_read_at(int fd, void *out, size_t n, int64_t offset, Error *err)
{
    char *p = out;
    while (n > 0) {
        ssize_t got = pread(fd, p, n, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_io(err, "read");
        if (got == 0)
            return fail(err, ERR_INVALID, "file ends at offset %lld, %zu more bytes wanted",
                        (long long)offset, n);
        p += got;
        n -= (size_t)got;
        offset += got;
    }
    return true;
}

bool file_sync(const char *path, Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fail_io(err, "sync '%s'", path);
    return true;
}

bool file_sync_folder(const char *path, Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fail_io(err, "sync folder '%s'", path);
    return true;
}

/* The folder part of a path, "." when there is none; in a caller's buffer. */
static void folder_of(const char *path, char *out, size_t size)
{
    size_t slash = str_rfind_char(str_of(path), '/');
    if (slash == SIZE_MAX)
        snprintf(out, size, ".");
    else
        snprintf(out, size, "%.*s", (int)MAX(slash, (size_t)1), path);
}

bool file_write_atomic_by(const char *path, int mode,
                          bool (*write_content)(int fd, void *context, Error *err), void *context,
                          Error *err)
{
    char temp[4200], folder[4200];
    if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp)
        return fail(err, ERR_LIMIT, "write '%.80s...': path too long", path);
    folder_of(path, folder, sizeof folder);
    AUTO_FD int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "write '%s'", path);
    if (!write_content(fd, context, err)) {
        unlink(temp);
        return fail_while(err, "write '%s'", path);
    }
    if (fchmod(fd, (mode_t)mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
        int saved = errno;
        unlink(temp);
        errno = saved;
        return fail_io(err, "write '%s'", path);
    }
    return file_sync_folder(folder, err);
}

static bool write_str(int fd, void *context, Error *err)
{
    const Str *bytes = context;
    return fd_write_all(fd, bytes->ptr, bytes->len, err);
}

bool file_write_atomic(const char *path, Str bytes, int mode, Error *err)
{
    return file_write_atomic_by(path, mode, write_str, &bytes, err);
}

bool file_disk_space(const char *path, int64_t *left, int64_t *all, Error *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return fail_io(err, "%s: its disk", path);
    *left = (int64_t)(st.f_bavail * st.f_frsize);
    *all = (int64_t)(st.f_blocks * st.f_frsize);
    return true;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_make_folders(const char *path, int mode, Error *err)
{
    char part[4200];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return fail(err, ERR_LIMIT, "make folder '%.80s...': path too long", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, (mode_t)mode) < 0 && errno != EEXIST)
            return fail_io(err, "make folder '%s'", part);
    }
    if (!file_is_folder(path))
        return fail(err, ERR_EXISTS, "make folder '%s': something else has that name", path);
    return true;
}

static bool remove_at(int parent, const char *name, Error *err);

static bool empty_folder(int parent, const char *name, Error *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || fail_io(err, "remove '%s'", name);
    DIR *dir = fdopendir(fd);
    CHECK(dir);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = remove_at(fd, entry->d_name, err);
    closedir(dir);
    return ok;
}

/* Others may be at work in the folder (a repository is deleted while git packs it): what they
 * remove first is gone as well, and what they add is removed in another round. */
static bool remove_at(int parent, const char *name, Error *err)
{
    enum { ROUNDS = 100 };
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return fail_io(err, "remove '%s'", name);
    for (int i = 0; i < ROUNDS; i++) {
        if (!empty_folder(parent, name, err))
            return false;
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return true;
        if (errno != ENOTEMPTY && errno != EEXIST)
            break;
    }
    return fail_io(err, "remove '%s'", name);
}

bool file_remove_tree(const char *path, Error *err)
{
    return remove_at(AT_FDCWD, path, err);
}

char *file_temp_folder(Arena *a, const char *parent, Error *err)
{
    char *path = arena_printf(a, "%s/tmp.XXXXXX", parent);
    if (!mkdtemp(path))
        return fail_io(err, "make a folder in '%s'", parent);
    return path;
}

bool file_map(FileMap *map, const char *path, Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_io(err, "open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return fail(err, ERR_INVALID, "open '%s': not a regular file", path);
    *map = (FileMap){.len = (size_t)st.st_size};
    if (map->len == 0)
        return true;
    void *p = mmap(NULL, map->len, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        *map = (FileMap){0};
        return fail_io(err, "map '%s'", path);
    }
    map->ptr = p;
    return true;
}

void file_unmap(FileMap *map)
{
    if (map->ptr)
        munmap((void *)(uintptr_t)map->ptr, map->len);
    *map = (FileMap){0};
}

bool path_is_safe(Str path, Error *err)
{
    if (path.len == 0 || path.len > 4096)
        return fail(err, ERR_INVALID, "path of %zu bytes: 1 to 4096 are allowed", path.len);
    if (!str_is_utf8(path))
        return fail(err, ERR_INVALID, "path is not UTF-8");
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c < 0x20 || c == 0x7F || c == '\\')
            return fail(err, ERR_INVALID, "path: offset %zu: byte 0x%02x is not allowed", i, c);
    }
    Str rest = path, part;
    while (str_split(&rest, '/', &part)) {
        if (part.len == 0 || str_eq(part, S(".")) || str_eq(part, S("..")))
            return fail(err, ERR_INVALID, "path '%.*s': empty, '.' and '..' parts are not allowed",
                        STR(path));
        if (part.len > 255)
            return fail(err, ERR_INVALID, "path: a part of %zu bytes, at most 255 are allowed",
                        part.len);
    }
    return true;
}

Str path_name(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    return slash == SIZE_MAX ? path : str_slice(path, slash + 1, path.len);
}

Str path_parent(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    return slash == SIZE_MAX ? (Str){0} : str_slice(path, 0, MAX(slash, (size_t)1));
}

Str path_suffix(Str path)
{
    Str name = path_name(path);
    size_t dot = str_rfind_char(name, '.');
    return dot == SIZE_MAX || dot == 0 ? (Str){0} : str_slice(name, dot, name.len);
}
