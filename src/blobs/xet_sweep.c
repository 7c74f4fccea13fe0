/* xet_sweep.c: forgetting what nobody needs; see xet_internal.h.
 *
 * Mark: the xorbs of all recipes. Sweep: a xorb that is neither marked nor young goes, each one
 * under the store's lock after a last look at its age, for whoever is about to refer to it touches
 * it under that lock first. Names in scopes and by Xet hash follow when what they name has gone: a
 * name whose inode is not among the living, and which is not young either. What it names may be
 * there all the same, where the folder was copied without its hard links: then it becomes one. */
#include "xet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct XetSweep {
    const Xet *xet;
    Arena *arena;
    int64_t before_s; // what was touched earlier is old
    Map needed;       // xorbs, by their 32 bytes
    Map alive;        // inodes of xorbs and recipes, by their bytes
    int64_t removed, bytes, damaged;
    bool (*each)(void *user, const char *sha256);
    void *user;
    bool stopped;
} XetSweep;

/* What to do with a file; false stops. */
typedef bool Visit(XetSweep *s, int folder, const char *path, const char *name,
                   const struct stat *st, Error *err);

/* The next name that begins with no dot; NULL at the end, and with *ok false at an error. */
static const char *next_name(DIR *dir, const char *path, bool *ok, Error *err)
{
    struct dirent *e;
    do {
        errno = 0;
        e = readdir(dir);
    } while (e && e->d_name[0] == '.');
    *ok = e || !errno || fail_io(err, "read '%s'", path);
    return e ? e->d_name : NULL;
}

/* Visits the files of a folder. What cannot be looked at is not passed over: it may be a recipe,
 * whose xorbs would then count as needed by nobody. */
static bool visit_folder(XetSweep *s, const char *path, Visit *visit, Error *err)
{
    char file[XET_PATH + 600];
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR || fail_io(err, "open '%s'", path);
    bool ok = true;
    for (const char *name; ok && (name = next_name(dir, path, &ok, err));) {
        struct stat st;
        snprintf(file, sizeof file, "%s/%s", path, name);
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            ok = errno == ENOENT || fail_io(err, "look at '%s'", file);
        else if (S_ISREG(st.st_mode))
            ok = visit(s, dirfd(dir), file, name, &st, err);
    }
    closedir(dir);
    return ok;
}

/* Visits the files of the folders in a folder. */
static bool visit_below(XetSweep *s, const char *what, Visit *visit, Error *err)
{
    char path[XET_PATH], inner[XET_PATH + 300];
    snprintf(path, sizeof path, "%s/%s", s->xet->folder, what);
    DIR *dir = opendir(path);
    if (!dir)
        return fail_io(err, "open '%s'", path);
    bool ok = true;
    for (const char *name; ok && (name = next_name(dir, path, &ok, err));) {
        snprintf(inner, sizeof inner, "%s/%s", path, name);
        ok = visit_folder(s, inner, visit, err);
    }
    closedir(dir);
    return ok;
}

static void keep_alive(XetSweep *s, const struct stat *st)
{
    map_put(&s->alive, arena_str(s->arena, (Str){(const char *)&st->st_ino, sizeof st->st_ino}), s);
}

static bool is_alive(const XetSweep *s, const struct stat *st)
{
    return map_find(&s->alive, (Str){(const char *)&st->st_ino, sizeof st->st_ino});
}

/* A recipe that cannot be read might need any xorb: then none may go. */
static bool mark(XetSweep *s, int folder, const char *path, const char *name, const struct stat *st,
                 Error *err)
{
    Recipe r;
    Error seen = {0};
    keep_alive(s, st);
    if (!recipe_open(&r, path, &seen)) {
        if (seen.code == ERR_NOT_FOUND) // deleted just now
            return true;
        s->damaged++;
        log_error("xet-sweep", "error=\"%s\"", seen.text);
        return true;
    }
    for (size_t i = 0; i < r.n; i++) {
        Str key = {(const char *)r.terms[i].xorb, XET_HASH_SIZE};
        if (!map_find(&s->needed, key))
            map_put(&s->needed, arena_str(s->arena, key), s);
    }
    recipe_done(&r);
    return true;
}

static bool sweep_xorb(XetSweep *s, int folder, const char *path, const char *name,
                       const struct stat *st, Error *err)
{
    uint8_t hash[XET_HASH_SIZE];
    struct stat now;
    if (!xet_hash_parse(str_of(name), hash))
        return true;
    if (st->st_mtim.tv_sec >= s->before_s || s->damaged ||
        map_find(&s->needed, (Str){(const char *)hash, sizeof hash})) {
        keep_alive(s, st);
        return true;
    }
    AUTO_FD int lock = xet_lock(s->xet, LOCK_EX, err);
    if (lock < 0)
        return false;
    if (fstatat(folder, name, &now, 0) == 0 && now.st_mtim.tv_sec < s->before_s &&
        unlinkat(folder, name, 0) == 0) {
        s->removed++;
        s->bytes += st->st_size;
    } else {
        keep_alive(s, st);
    }
    return true;
}

static bool is_dangling(const XetSweep *s, const struct stat *st)
{
    return st->st_mtim.tv_sec < s->before_s && !is_alive(s, st);
}

static bool mend_name(int folder, const char *path, const char *name, const char *file, Error *err)
{
    if (access(file, F_OK) == 0)
        return xet_name_also(file, path, err);
    unlinkat(folder, name, 0);
    return true;
}

/* A name of a recipe: its bytes say which. */
static bool sweep_hash(XetSweep *s, int folder, const char *path, const char *name,
                       const struct stat *st, Error *err)
{
    Recipe r;
    char file[XET_PATH] = "";
    if (!is_dangling(s, st))
        return true;
    if (recipe_open(&r, path, NULL)) {
        recipe_path(s->xet, r.sha256, file);
        recipe_done(&r);
    }
    return mend_name(folder, path, name, file, err);
}

static bool sweep_scope(XetSweep *s, int folder, const char *path, const char *name,
                        const struct stat *st, Error *err)
{
    uint8_t hash[XET_HASH_SIZE];
    char file[XET_PATH];
    if (!xet_hash_parse(str_of(name), hash))
        return sweep_hash(s, folder, path, name, st, err); // a mark
    xorb_path(s->xet, name, file);
    return !is_dangling(s, st) || mend_name(folder, path, name, file, err);
}

static bool visit_file(XetSweep *s, int folder, const char *path, const char *name,
                       const struct stat *st, Error *err)
{
    if (!s->stopped && st->st_mtim.tv_sec < s->before_s && blob_oid_check(str_of(name), NULL))
        s->stopped = !s->each(s->user, name);
    return true;
}

bool xet_each_file(Xet *x, int64_t min_age_ns, bool (*each)(void *user, const char *sha256),
                   void *user, Error *err)
{
    XetSweep s = {
        .xet = x, .before_s = (wall_ns() - min_age_ns) / NS_PER_S, .each = each, .user = user};
    return visit_below(&s, "files", visit_file, err);
}

bool xet_sweep(Xet *x, int64_t max_age_ns, Error *err)
{
    AUTO(arena_free) Arena *arena = arena_new(0);
    XetSweep s = {.xet = x, .arena = arena, .before_s = (wall_ns() - max_age_ns) / NS_PER_S};
    bool ok = visit_below(&s, "files", mark, err) && visit_below(&s, "xorbs", sweep_xorb, err) &&
              visit_below(&s, "scopes", sweep_scope, err) &&
              visit_below(&s, "hashes", sweep_hash, err);
    map_done(&s.needed);
    map_done(&s.alive);
    if (s.removed)
        log_info("xet-sweep", "xorbs=%lld bytes=%lld", (long long)s.removed, (long long)s.bytes);
    return ok;
}
