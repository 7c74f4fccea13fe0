/* xet.c: the store's folders, names, scopes and lock; see xet.h and xet_internal.h. */
#include "xet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* Before files were kept as chunks, xorbs without an index lay here beside shards, for a while
 * only: clients send what is not there. */
static bool drop_older(const char *folder, Error *err)
{
    static const char *const names[] = {"xorbs", "scopes", "shards"};
    char path[XET_PATH];
    snprintf(path, sizeof path, "%s/shards", folder);
    bool is_older = file_is_folder(path);
    for (size_t i = 0; i < COUNT(names) && is_older; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!file_remove_tree(path, err))
            return false;
    }
    return true;
}

Xet *xet_open(const char *folder, Blobs *blobs, Error *err)
{
    if (!drop_older(folder, err))
        return fail_while(err, "open Xet store");
    static const char *const names[] = {"xorbs", "scopes", "files", "hashes", "temp"};
    char path[XET_PATH];
    if (strlen(folder) > XET_PATH - 400)
        return fail(err, ERR_LIMIT, "open Xet store: a path of %zu bytes", strlen(folder));
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!file_make_folders(path, 0755, err))
            return fail_while(err, "open Xet store");
    }
    if (!temp_clear(path, err)) // the last of them
        return fail_while(err, "open Xet store");
    Xet *x = xcalloc(1, sizeof *x);
    *x = (Xet){.blobs = blobs, .folder = xstrdup(folder)};
    blobs_join_xet(blobs, x);
    return x;
}

void xet_free(Xet *x)
{
    if (!x)
        return;
    blobs_join_xet(x->blobs, NULL);
    free(x->folder);
    free(x);
}

/* ---- Names ---- */

void xorb_path(const Xet *x, const char *hash, char out[XET_PATH])
{
    snprintf(out, XET_PATH, "%s/xorbs/%.2s/%s", x->folder, hash, hash);
}

void recipe_path(const Xet *x, const char *sha256, char out[XET_PATH])
{
    snprintf(out, XET_PATH, "%s/files/%.2s/%s", x->folder, sha256, sha256);
}

void recipe_hash_path(const Xet *x, const char *hash, char out[XET_PATH])
{
    snprintf(out, XET_PATH, "%s/hashes/%.2s/%s", x->folder, hash, hash);
}

bool xet_publish(const char *temp, const char *path, Error *err)
{
    char folder[XET_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    bool is_new = !file_is_folder(folder);
    if (is_new && !file_make_folders(folder, 0755, err))
        return false;
    if (rename(temp, path) < 0)
        return fail_io(err, "rename '%s'", temp);
    if (!file_sync_folder(folder, err))
        return false;
    *strrchr(folder, '/') = 0;
    return !is_new || file_sync_folder(folder, err);
}

int xet_lock(const Xet *x, int operation, Error *err)
{
    char path[XET_PATH];
    snprintf(path, sizeof path, "%s/lock", x->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || flock(fd, operation) < 0) {
        (void)!fail_io(err, "lock '%s'", path);
        fd_close_auto(&fd);
    }
    return fd;
}

/* ---- Scopes ---- */

static bool name_check(Str name, Error *err)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '-')
            name.len = 0;
    if (name.len == 0 || name.len > 64)
        return fail(err, ERR_INVALID, "a scope's name is 1 to 64 letters and digits");
    return true;
}

bool xet_scope_check(const XetScope *scope, Error *err)
{
    return name_check(scope->user, err) && name_check(scope->repo, err);
}

void scope_path(const Xet *x, const char *kind, Str name, const char *entry, char out[XET_PATH])
{
    snprintf(out, XET_PATH, "%s/scopes/%s-%.*s/%s", x->folder, kind, STR(name), entry);
}

bool xet_name_also(const char *file, const char *path, Error *err)
{
    struct stat ours, theirs;
    for (int i = 0; i < 2; i++) {
        if (link(file, path) == 0)
            return true;
        if (errno == EMLINK) {
            AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            return fd >= 0 || fail_io(err, "name '%s'", path);
        }
        if (errno != EEXIST)
            break;
        if (stat(path, &theirs) == 0 && stat(file, &ours) == 0 &&
            (theirs.st_ino == ours.st_ino || theirs.st_size == 0))
            return true;
        unlink(path);
    }
    return fail_io(err, "name '%s'", path);
}

static bool add_to(const Xet *x, const char *kind, Str name, const char *entry, const char *file,
                   bool durable, Error *err)
{
    char path[XET_PATH];
    scope_path(x, kind, name, entry, path);
    char *slash = strrchr(path, '/');
    *slash = 0;
    bool is_new = !file_is_folder(path);
    if (is_new && !file_make_folders(path, 0755, err))
        return false;
    *slash = '/';
    if (!xet_name_also(file, path, err))
        return false;
    if (!durable)
        return true;
    *slash = 0;
    if (!file_sync_folder(path, err))
        return false;
    *strrchr(path, '/') = 0;
    return !is_new || file_sync_folder(path, err);
}

bool scope_add(const Xet *x, const XetScope *scope, const char *entry, const char *file,
               bool durable, Error *err)
{
    return add_to(x, "user", scope->user, entry, file, durable, err) &&
           add_to(x, "repo", scope->repo, entry, file, durable, err);
}

bool scope_has(const Xet *x, const XetScope *scope, const char *entry, char path[XET_PATH])
{
    scope_path(x, "user", scope->user, entry, path);
    if (!scope->not_user && access(path, F_OK) == 0)
        return true;
    scope_path(x, "repo", scope->repo, entry, path);
    return !scope->not_repo && access(path, F_OK) == 0;
}

bool xorb_touch(const Xet *x, const char *hash)
{
    char path[XET_PATH];
    AUTO_FD int lock = xet_lock(x, LOCK_SH, NULL);
    xorb_path(x, hash, path);
    return lock >= 0 && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

bool xorb_claim(const Xet *x, const XetScope *scope, const char *hash)
{
    char path[XET_PATH];
    return scope_has(x, scope, hash, path) && xorb_touch(x, hash);
}
