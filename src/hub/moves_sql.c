/* moves_sql.c: the statements about accounts and repositories that are renamed or go; see
 * hub_sql.h. */
#include "hub/hub_sql.h"

/* ---- Names ---- */

bool sql_name_owner(Conn *c, Arena *a, Str key, Str *id, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT id FROM accounts WHERE key = $1"
                             " UNION ALL SELECT account_id FROM account_names WHERE key = $1");
    bind_str(q, key);
    *id = (Str){0};
    if (query_next(q))
        *id = row_str(q, a);
    return query_ok(q, err);
}

bool sql_account_rename(Conn *c, const Account *account, Str old_key, Str new_key, Error *err)
{
    AUTO(query_end)
    Query *own = query_open(c, "DELETE FROM account_names WHERE key = $1"); // its own, of before
    bind_str(own, new_key);
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE accounts SET key = $1, name = $2, fullname = $3"
                             " WHERE id = $4");
    bind_str(q, new_key);
    bind_str(q, account->name);
    bind_str(q, account->fullname);
    bind_str(q, account->id);
    AUTO(query_end)
    Query *old = query_open(c, "INSERT INTO account_names (key, account_id) VALUES ($1, $2)");
    bind_str(old, old_key);
    bind_str(old, account->id);
    return query_run(own, err) && query_run(q, err) &&
           (str_eq(old_key, new_key) || query_run(old, err));
}

bool sql_account_by_old_key(Conn *c, Arena *a, Str key, Account *out, Error *err)
{
    Str id;
    AUTO(query_end) Query *q = query_open(c, "SELECT account_id FROM account_names WHERE key = $1");
    bind_str(q, key);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no such account");
    id = row_str(q, a);
    return sql_account_by_id(c, a, id, out, err);
}

/* ---- What belongs to an account ---- */

bool sql_repos_of_owner(Conn *c, Arena *a, Str owner, Repo **out, size_t *n, Error *err)
{
    int64_t count;
    {
        AUTO(query_end)
        Query *q = query_open(c, "SELECT count(*) FROM repos WHERE owner_id = $1");
        bind_str(q, owner);
        if (!query_count(q, &count, err))
            return false;
    }
    *out = NEW_ARRAY(a, Repo, (size_t)count + 1);
    *n = 0;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS "FROM repos WHERE owner_id = $1 ORDER BY id");
    bind_str(q, owner);
    while (*n < (size_t)count && query_next(q))
        sql_repo_row(q, a, &(*out)[(*n)++], NULL);
    return query_ok(q, err);
}

bool sql_only_admin_of(Conn *c, Arena *a, Str user, Str *org, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT accounts.name FROM members JOIN accounts"
                             " ON accounts.id = members.org_id WHERE members.user_id = $1"
                             " AND members.role = 'admin' AND NOT EXISTS (SELECT 1 FROM members o"
                             " WHERE o.org_id = members.org_id AND o.user_id <> $1"
                             " AND o.role = 'admin') ORDER BY accounts.key LIMIT 1");
    bind_str(q, user);
    if (query_next(q))
        *org = row_str(q, a);
    return query_ok(q, err);
}

bool sql_other_hub_admins(Conn *c, Str user, int64_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*) FROM accounts WHERE is_admin = 1 AND id <> $1");
    bind_str(q, user);
    return query_count(q, n, err);
}

bool sql_account_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end)
    Query *likes = query_open(c, "UPDATE repos SET likes = likes - 1 WHERE id IN"
                                 " (SELECT repo_id FROM likes WHERE user_id = $1)");
    bind_str(likes, id);
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM accounts WHERE id = $1");
    bind_str(q, id);
    return query_run(likes, err) && query_run(q, err);
}

/* ---- What is to be removed ---- */

bool sql_removals_add(Conn *c, Str repo, Error *err)
{
    AUTO(query_end)
    Query *folder = query_open(c, "INSERT INTO removals (kind, name) VALUES (0, $1)"
                                  " ON CONFLICT DO NOTHING");
    bind_str(folder, repo);
    AUTO(query_end)
    Query *blobs = query_open(c, "INSERT INTO removals (kind, name) SELECT 1, sha256"
                                 " FROM repo_blobs WHERE repo_id = $1 ON CONFLICT DO NOTHING");
    bind_str(blobs, repo);
    return query_run(folder, err) && query_run(blobs, err);
}

bool sql_removals(Conn *c, Arena *a, Removal *out, size_t max, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT kind, name FROM removals ORDER BY kind, name LIMIT $1");
    bind_int(q, (int64_t)max);
    for (*n = 0; *n < max && query_next(q); ++*n) {
        out[*n].kind = (RemovalKind)row_int(q);
        out[*n].name = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_removal_done(Conn *c, const Removal *removal, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM removals WHERE kind = $1 AND name = $2");
    bind_int(q, removal->kind);
    bind_str(q, removal->name);
    return query_run(q, err);
}
