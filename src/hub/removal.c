/* removal.c: files that go when the rows that named them have gone.
 *
 * Whoever deletes a repository writes into the table of removals what else is to be removed, in the
 * transaction that takes the rows. Afterwards that is done, and struck off the list; and what a
 * crash, or a program without the files at hand (`hug admin`), has left is done by the sweep. Each
 * step may be done twice. */
#include "hub/hub_internal.h"

enum { BATCH = 200, BATCHES = 5 };

static bool remove_repo(Hub *hub, Arena *a, Str id, Error *err)
{
    Error seen = {0};
    if (!git_repo_delete(repo_git_dir(hub, a, id), &seen) && seen.code != ERR_NOT_FOUND) {
        *(err ? err : &seen) = seen;
        return false;
    }
    return snapshots_remove(hub, id, err);
}

static bool strike_off(Hub *hub, const Removal *list, size_t n, Error *err)
{
    AUTO(conn_end) Conn *c = n ? db_write(hub->db, err) : NULL;
    for (size_t i = 0; c && i < n; i++)
        if (!sql_removal_done(c, &list[i], err))
            return false;
    return n == 0 || (c && conn_commit(c, err));
}

/* Those that were removed are struck off; *left: how many were not, for the reason in err. */
static bool remove_batch(Hub *hub, Arena *a, Removal *list, size_t n, size_t *left, Error *err)
{
    size_t done = 0;
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        bool ok = list[i].kind == REMOVE_BLOB ? blobs_release(hub, &list[i].name, 1, err)
                                              : remove_repo(hub, a, list[i].name, err);
        if (ok)
            list[done++] = list[i];
        else
            ++*left;
    }
    return strike_off(hub, list, done, err);
}

bool removals_run(Hub *hub, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t n = BATCH, left = 0;
    if (!hub->blobs) // whoever serves does it
        return true;
    for (int batch = 0; batch < BATCHES && n == BATCH && !left; batch++) {
        Removal *list = NEW_ARRAY(a, Removal, BATCH);
        {
            AUTO(conn_end) Conn *c = db_read(hub->db, err);
            if (!c || !sql_removals(c, a, list, BATCH, &n, err))
                return false;
        }
        if (!remove_batch(hub, a, list, n, &left, err))
            return false;
    }
    return left == 0;
}
