/* fresh.c: new objects, made durable together.
 *
 * An fsync costs some milliseconds whatever its size, and a commit of a thousand files has a
 * thousand objects. So an open repository writes its objects into a folder of its own,
 * objects/tmp_objdir-hug-XXXXXX, without a sync; libgit2 reads from there as from the others. When
 * a ref is about to move, all are synced at once, then renamed to where git looks for them, then
 * the names are synced. Before that nobody else sees them: a crash or a client that goes away
 * leaves nothing in the repository but that folder, which git_repo_break_locks removes. */
#include "git_internal.h"

#include "base/file.h"

#include <git2/sys/odb_backend.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* From so many objects on the whole file system is synced, in two calls, rather than each file and
 * folder. It takes others' unwritten bytes along, so it is not for the ordinary small commit. */
enum { MANY = 8, FAN_OUT = 256 };

bool fresh_open(GitRepo *r, Error *err)
{
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    git_odb_backend *backend = NULL;
    AUTO(arena_free) Arena *a = arena_new(0);
    if (r->fresh)
        return true;
    char *folder = arena_printf(a, "%s/objects/tmp_objdir-hug-XXXXXX", r->path);
    if (!mkdtemp(folder))
        return fail_io(err, "make a folder for new objects");
    int status = git_repository_odb(&odb, r->git);
    if (status == 0)
        status = git_odb_backend_loose(&backend, folder, -1, 0, 0, 0);
    // Higher than git's own: libgit2 writes to the first one.
    if (status == 0)
        status = git_odb_add_backend(odb, backend, 10);
    if (status < 0)
        return fail_git(err, status, "open '%s'", folder);
    r->fresh = xstrdup(folder);
    return true;
}

void fresh_done(GitRepo *r)
{
    if (r->fresh)
        (void)!file_remove_tree(r->fresh, NULL);
    free(r->fresh);
    r->fresh = NULL;
}

/* Calls `each` with the paths "ab/cdef..." of all fresh objects. */
static bool fresh_each(GitRepo *r,
                       bool (*each)(GitRepo *r, const char *name, void *user, Error *err),
                       void *user, Error *err)
{
    char folder[4200], name[300];
    for (int i = 0; i < FAN_OUT; i++) {
        snprintf(folder, sizeof folder, "%s/%02x", r->fresh, (unsigned)i);
        DIR *dir = opendir(folder);
        bool ok = true;
        for (struct dirent *entry; dir && ok && (entry = readdir(dir));) {
            // Whole objects only: what failed half way has another name.
            if (strlen(entry->d_name) != 38)
                continue;
            snprintf(name, sizeof name, "%02x/%s", (unsigned)i, entry->d_name);
            ok = each(r, name, user, err);
        }
        if (dir)
            closedir(dir);
        if (!ok)
            return NULL;
    }
    return true;
}

static bool count_object(GitRepo *r, const char *name, void *user, Error *err)
{
    ++*(size_t *)user;
    return true;
}

static bool sync_object(GitRepo *r, const char *name, void *user, Error *err)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s", r->fresh, name);
    return file_sync(path, err);
}

static bool move_object(GitRepo *r, const char *name, void *user, Error *err)
{
    char from[4600], to[4600];
    bool *touched = user;
    snprintf(from, sizeof from, "%s/%s", r->fresh, name);
    snprintf(to, sizeof to, "%s/objects/%.2s", r->path, name);
    if (mkdir(to, 0755) < 0 && errno != EEXIST)
        return fail_io(err, "make folder '%s'", to);
    snprintf(to, sizeof to, "%s/objects/%s", r->path, name);
    if (rename(from, to) < 0)
        return fail_io(err, "store object '%s'", name);
    touched[strtol((char[]){name[0], name[1], 0}, NULL, 16)] = true;
    return true;
}

static bool sync_names(GitRepo *r, const bool *touched, Error *err)
{
    char path[4200];
    for (int i = 0; i < FAN_OUT; i++) {
        snprintf(path, sizeof path, "%s/objects/%02x", r->path, (unsigned)i);
        if (touched[i] && !file_sync_folder(path, err))
            return NULL;
    }
    snprintf(path, sizeof path, "%s/objects", r->path);
    return file_sync_folder(path, err);
}

static bool sync_all(GitRepo *r, Error *err)
{
    AUTO_FD int fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return fail_io(err, "sync '%s'", r->path);
    return true;
}

bool fresh_settle(GitRepo *r, Error *err)
{
    size_t n = 0;
    bool touched[FAN_OUT] = {0};
    if (!r->fresh || !fresh_each(r, count_object, &n, err))
        return !r->fresh;
    if (n == 0)
        return true;
    bool ok = n > MANY ? sync_all(r, err) : fresh_each(r, sync_object, NULL, err);
    return ok && fresh_each(r, move_object, touched, err) &&
           (n > MANY ? sync_all(r, err) : sync_names(r, touched, err));
}
