/* lock.c: git-lfs file locks; see locks.h. */
#include "hub/locks.h"

#include "base/clock.h"
#include "hub/hub_internal.h"

enum { MAX_LOCKS = 10000 };

bool lock_create(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str path, Str ref,
                 FileLock *out, Error *err)
{
    LockQuery same = {.path = path, .ref = ref, .limit = 1};
    FileLock lock = {.id = id_new(a),
                     .path = path,
                     .ref = ref,
                     .owner = viewer->account.name,
                     .mine = true,
                     .locked_ns = wall_ns()};
    LockPage there;
    int64_t n;
    if (!git_path_check(path, err) || (ref.len && !git_ref_check(ref, err)))
        return false;
    // The only writer: what is not there now is not there when ours is added.
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_lock_list(c, a, viewer, repo->id, &same, &there, err))
        return false;
    if (there.n) {
        *out = there.items[0];
        return fail(err, ERR_EXISTS, "%.*s is locked by %.*s", STR(path), STR(out->owner));
    }
    if (!sql_lock_count(c, repo->id, &n, err))
        return false;
    if (n >= MAX_LOCKS)
        return fail(err, ERR_LIMIT, "a repository has at most %d locks", MAX_LOCKS);
    if (!sql_lock_add(c, repo->id, viewer->account.id, &lock, err) || !conn_commit(c, err))
        return false;
    *out = lock;
    return true;
}

bool lock_list(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, const LockQuery *query,
               LockPage *out, Error *err)
{
    if (query->limit < 1 || query->limit > MAX_LOCKS_PAGE)
        return fail(err, ERR_INVALID, "limit: 1 to %d", MAX_LOCKS_PAGE);
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_lock_list(c, a, viewer, repo->id, query, out, err);
}

bool lock_remove(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str id, bool force,
                 FileLock *out, Error *err)
{
    LockPage found;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c ||
        !sql_lock_list(c, a, viewer, repo->id, &(LockQuery){.id = id, .limit = 1}, &found, err))
        return false;
    if (!id.len || !found.n)
        return fail(err, ERR_NOT_FOUND, "There is no such lock");
    const FileLock *lock = &found.items[0];
    if (!lock->mine && !force)
        return fail(err, ERR_DENIED, "%.*s is locked by %.*s", STR(lock->path), STR(lock->owner));
    if (!lock->mine && repo->access < ACCESS_ADMIN)
        return fail(
            err, ERR_DENIED,
            "%.*s is locked by %.*s, and only who administers the repository may break that",
            STR(lock->path), STR(lock->owner));
    if (!sql_lock_remove(c, id, err) || !conn_commit(c, err))
        return false;
    *out = *lock;
    return true;
}
