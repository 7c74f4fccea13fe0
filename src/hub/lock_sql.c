/* lock_sql.c: the statements about file locks; see hub_sql.h. */
#include "hub/hub_sql.h"

static void lock_row(Query *q, Arena *a, const Viewer *viewer, FileLock *out)
{
    *out = (FileLock){0};
    out->id = row_str(q, a);
    out->path = row_str(q, a);
    out->ref = row_str(q, a);
    out->locked_ns = row_int(q);
    out->owner = row_str(q, a);
    out->mine = viewer->by != BY_NOBODY && str_eq(row_str(q, a), viewer->account.id);
}

bool sql_lock_list(Conn *c, Arena *a, const Viewer *viewer, Str repo, const LockQuery *query,
                   LockPage *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT l.id, l.path, l.ref, l.locked_ns, accounts.name, l.owner_id FROM file_locks l"
           " JOIN accounts ON accounts.id = l.owner_id WHERE l.repo_id = $1"
           " AND ($2 = '' OR l.path = $3) AND ($4 = '' OR l.id = $5)"
           " AND ($6 = '' OR l.ref = '' OR l.ref = $7) AND l.id > $8 ORDER BY l.id LIMIT $9");
    bind_str(q, repo);
    bind_str(q, query->path);
    bind_str(q, query->path);
    bind_str(q, query->id);
    bind_str(q, query->id);
    bind_str(q, query->ref);
    bind_str(q, query->ref);
    bind_str(q, query->cursor);
    bind_int(q, query->limit + 1);
    FileLock *items = NEW_ARRAY(a, FileLock, query->limit + 1);
    size_t n = 0, most = (size_t)query->limit;
    while (n <= most && query_next(q))
        lock_row(q, a, viewer, &items[n++]);
    *out = (LockPage){.items = items, .n = MIN(n, most)};
    if (n > most)
        out->next = items[most - 1].id;
    return query_ok(q, err);
}

bool sql_lock_count(Conn *c, Str repo, int64_t *n, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT count(*) FROM file_locks WHERE repo_id = $1");
    bind_str(q, repo);
    return query_count(q, n, err);
}

bool sql_lock_add(Conn *c, Str repo, Str owner, const FileLock *lock, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO file_locks (id, repo_id, owner_id, ref, path, locked_ns)"
                             " VALUES ($1, $2, $3, $4, $5, $6)");
    bind_str(q, lock->id);
    bind_str(q, repo);
    bind_str(q, owner);
    bind_str(q, lock->ref);
    bind_str(q, lock->path);
    bind_int(q, lock->locked_ns);
    return query_run(q, err);
}

bool sql_lock_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM file_locks WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}
