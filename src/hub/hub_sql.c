/* hub_sql.c: statements over accounts, members and sessions; see hub_sql.h. The tables are in
 * schema.c, tokens in token_sql.c, repositories in repo_sql.c.
 *
 * Ids are 24 hex digits that we make; `key` is a name in lower case, which is what makes lookups
 * ignore case; `full` keeps the letters. Counters that lists sort by are columns of `repos`, kept
 * up to date by the writers. */
#include "hub/hub_sql.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

bool sql_secret(Db *db, uint8_t secret[32], Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    if (!c)
        return false;
    char hex[65];
    uint8_t fresh[32];
    random_bytes(fresh, sizeof fresh);
    hex_encode(fresh, sizeof fresh, hex);
    AUTO(query_end)
    Query *add = query_open(c, "INSERT INTO settings (key, value)"
                               " VALUES ('secret', $1) ON CONFLICT DO NOTHING");
    bind_str(add, str_of(hex));
    if (!query_run(add, err))
        return false;
    AUTO(query_end) Query *q = query_open(c, "SELECT value FROM settings WHERE key = 'secret'");
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_CORRUPT, "database: no secret");
    if (!hex_decode(row_view(q), secret, 32))
        return fail(err, ERR_CORRUPT, "database: the secret is not 64 hex digits");
    return conn_commit(c, err);
}

/* ---- Accounts ---- */

#define ACCOUNT_COLUMNS                                                                            \
    "id, name, fullname, email, about, is_org, is_admin, created_ns, repos_private, website,"      \
    " avatar, password "

// Columns come in order, so they are read one statement each: C does not order initializers.
static void account_row(Query *q, Arena *a, Account *out, Str *password)
{
    *out = (Account){0};
    out->id = row_str(q, a);
    out->name = row_str(q, a);
    out->fullname = row_str(q, a);
    out->email = row_str(q, a);
    out->about = row_str(q, a);
    out->is_org = row_int(q) != 0;
    out->is_admin = row_int(q) != 0;
    out->created_ns = row_int(q);
    out->repos_private = row_int(q) != 0;
    out->website = row_str(q, a);
    out->avatar = row_str(q, a);
    if (password)
        *password = row_str(q, a);
}

/* A user's organisations or an organisation's members. */
static bool account_others(Conn *c, Arena *a, Account *account, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, account->is_org
               ? "SELECT accounts.id, accounts.name, accounts.fullname, members.role FROM members"
                 " JOIN accounts ON accounts.id = members.user_id WHERE members.org_id = $1"
                 " ORDER BY accounts.key"
               : "SELECT accounts.id, accounts.name, accounts.fullname, members.role FROM members"
                 " JOIN accounts ON accounts.id = members.org_id WHERE members.user_id = $1"
                 " ORDER BY accounts.key");
    bind_str(q, account->id);
    size_t cap = 0;
    while (query_next(q)) {
        if (account->n_others == cap) {
            cap = cap ? 2 * cap : 4;
            Member *more = NEW_ARRAY(a, Member, cap);
            if (account->n_others)
                memcpy(more, account->others, account->n_others * sizeof *more);
            account->others = more;
        }
        Member *m = &account->others[account->n_others++];
        m->id = row_str(q, a);
        m->name = row_str(q, a);
        m->fullname = row_str(q, a);
        m->role = row_str(q, a);
    }
    return query_ok(q, err);
}

static bool account_one(Conn *c, Query *q, Arena *a, Account *out, Str *password, Error *err)
{
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no such account");
    account_row(q, a, out, password);
    return account_others(c, a, out, err);
}

bool sql_account_add(Conn *c, const Account *account, Str key, Str password, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO accounts (id, key, name, fullname, email, about, is_org,"
                             " is_admin, created_ns, password)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    bind_str(q, account->id);
    bind_str(q, key);
    bind_str(q, account->name);
    bind_str(q, account->fullname);
    bind_str(q, account->email);
    bind_str(q, account->about);
    bind_int(q, account->is_org);
    bind_int(q, account->is_admin);
    bind_int(q, account->created_ns);
    bind_str(q, password);
    return query_run(q, err);
}

bool sql_account_by_key(Conn *c, Arena *a, Str key, Account *out, Str *password, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " ACCOUNT_COLUMNS "FROM accounts WHERE key = $1");
    bind_str(q, key);
    return account_one(c, q, a, out, password, err);
}

bool sql_account_by_id(Conn *c, Arena *a, Str id, Account *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " ACCOUNT_COLUMNS "FROM accounts WHERE id = $1");
    bind_str(q, id);
    return account_one(c, q, a, out, NULL, err);
}

bool sql_account_repos_private(Conn *c, Str id, bool yes, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE accounts SET repos_private = $1 WHERE id = $2");
    bind_int(q, yes);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_account_password(Conn *c, Str id, Str password, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "UPDATE accounts SET password = $1 WHERE id = $2");
    bind_str(q, password);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_account_list(Conn *c, Arena *a, Account **out, size_t *n, Error *err)
{
    enum { MOST = 10000 };
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " ACCOUNT_COLUMNS "FROM accounts ORDER BY key LIMIT 10000");
    Account *list = NEW_ARRAY(a, Account, MOST);
    *n = 0;
    while (*n < MOST && query_next(q))
        account_row(q, a, &list[(*n)++], NULL);
    *out = list;
    return query_ok(q, err);
}

bool sql_account_count(Conn *c, int64_t *n, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT count(*) FROM accounts");
    return query_count(q, n, err);
}

/* ---- Sessions ---- */

bool sql_session_add(Conn *c, Str hash, Str user, int64_t now, int64_t expires, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO sessions (hash, user_id, created_ns, expires_ns)"
                             " VALUES ($1, $2, $3, $4)");
    bind_str(q, hash);
    bind_str(q, user);
    bind_int(q, now);
    bind_int(q, expires);
    return query_run(q, err);
}

bool sql_session_find(Conn *c, Arena *a, Str hash, int64_t now, Str *user, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT user_id FROM sessions WHERE hash = $1 AND expires_ns > $2");
    bind_str(q, hash);
    bind_int(q, now);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no such session");
    *user = row_str(q, a);
    return true;
}

bool sql_session_remove(Conn *c, Str hash, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM sessions WHERE hash = $1");
    bind_str(q, hash);
    return query_run(q, err);
}

bool sql_sessions_of_remove(Conn *c, Str user, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM sessions WHERE user_id = $1");
    bind_str(q, user);
    return query_run(q, err);
}

bool sql_sessions_expire(Conn *c, int64_t now, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM sessions WHERE expires_ns <= $1");
    bind_int(q, now);
    return query_run(q, err);
}
