/* temp.c: files in the making.
 *
 * They are locked (flock) while somebody writes them, so that a second process which opens the same
 * store clears only what nobody holds. */
#include "blobs_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { PARTS_DAY_S = 24 * 3600 };

static bool is_abandoned(int fd, const char *name)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
        return false;
    bool is_upload = str_starts(str_of(name), S("parts-"));
    return !is_upload || wall_ns() / NS_PER_S - st.st_mtim.tv_sec > PARTS_DAY_S;
}

bool temp_clear(const char *folder, Error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return fail_io(err, "open '%s'", folder);
    int removed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        AUTO_FD int fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        // What was about to be published is read-only, for its owner too.
        if (fd < 0 && errno == EACCES)
            fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && is_abandoned(fd, entry->d_name))
            removed += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    }
    closedir(dir);
    if (removed)
        log_info("blobs-cleared", "unfinished=%d", removed);
    return true;
}

/* A locked file in a folder for temporary files. Another process may clear it between its making
 * and its locking: then it has no name any more, and we make another. */
int temp_file(const char *folder, char path[PATH_SIZE], Error *err)
{
    for (;;) {
        struct stat st;
        snprintf(path, PATH_SIZE, "%s/new-XXXXXX", folder);
        int fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0) {
            (void)!fail_io(err, "make a file in '%s'", folder);
            return -1;
        }
        if (flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
            return fd;
        close(fd);
    }
}
