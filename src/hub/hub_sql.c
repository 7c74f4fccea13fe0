/* hub_sql.c: the hub's schema and its statements; see hub_sql.h. Lists are in hub_list_sql.c.
 *
 * Ids are 24 hex digits that we make; `key` is a name in lower case, which is what makes lookups
 * ignore case; `full` keeps the letters. Counters that lists sort by are columns of `repos`, kept
 * up to date by the writers. */
#include "hub/hub_sql.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

static const Migration migrations[] = {
    {1, "accounts and repositories",
     "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
     "CREATE TABLE accounts (id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
     " fullname TEXT NOT NULL, email TEXT NOT NULL, about TEXT NOT NULL, is_org INTEGER NOT NULL,"
     " is_admin INTEGER NOT NULL, password TEXT NOT NULL, created_ns BIGINT NOT NULL);"
     "CREATE TABLE members (org_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, role TEXT NOT NULL,"
     " PRIMARY KEY (org_id, user_id));"
     "CREATE INDEX members_user ON members(user_id);"
     "CREATE TABLE tokens (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,"
     " tail TEXT NOT NULL, created_ns BIGINT NOT NULL, used_ns BIGINT NOT NULL);"
     "CREATE INDEX tokens_user ON tokens(user_id);"
     "CREATE TABLE sessions (hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, created_ns BIGINT NOT NULL, expires_ns BIGINT NOT NULL);"
     "CREATE TABLE repos (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL,"
     " full_name TEXT NOT NULL, owner_id TEXT NOT NULL REFERENCES accounts(id),"
     " name TEXT NOT NULL, is_private INTEGER NOT NULL, is_disabled INTEGER NOT NULL,"
     " discussions_off INTEGER NOT NULL, gated TEXT NOT NULL, created_ns BIGINT NOT NULL,"
     " updated_ns BIGINT NOT NULL, downloads BIGINT NOT NULL DEFAULT 0,"
     " downloads_all BIGINT NOT NULL DEFAULT 0, likes BIGINT NOT NULL DEFAULT 0,"
     " trending BIGINT NOT NULL DEFAULT 0, sha TEXT NOT NULL DEFAULT '',"
     " tags TEXT NOT NULL DEFAULT '', pipeline_tag TEXT NOT NULL DEFAULT '',"
     " library TEXT NOT NULL DEFAULT '', sdk TEXT NOT NULL DEFAULT '',"
     " card TEXT NOT NULL DEFAULT '', UNIQUE (kind, key));"
     "CREATE INDEX repos_owner ON repos(owner_id, kind);"
     "CREATE INDEX repos_updated ON repos(kind, updated_ns);"
     "CREATE INDEX repos_trending ON repos(kind, trending);"
     "CREATE TABLE redirects (kind INTEGER NOT NULL, key TEXT NOT NULL, repo_id TEXT NOT NULL"
     " REFERENCES repos(id) ON DELETE CASCADE, PRIMARY KEY (kind, key));"
     "CREATE TABLE repo_tags (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " tag TEXT NOT NULL, PRIMARY KEY (repo_id, tag));"
     "CREATE INDEX repo_tags_tag ON repo_tags(tag);"
     "CREATE TABLE downloads (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " day INTEGER NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (repo_id, day));"
     "CREATE TABLE likes (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (repo_id, user_id));"
     "CREATE TABLE repo_blobs (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " sha256 TEXT NOT NULL, size BIGINT NOT NULL, user_id TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (repo_id, sha256));"
     "CREATE INDEX repo_blobs_user ON repo_blobs(user_id, sha256);"},
    {2, "who still needs a blob", "CREATE INDEX repo_blobs_sha256 ON repo_blobs(sha256);"},
    {3, "discussions",
     "ALTER TABLE repos ADD COLUMN discussions BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE discussions (id TEXT PRIMARY KEY, repo_id TEXT NOT NULL REFERENCES repos(id)"
     " ON DELETE CASCADE, num BIGINT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,"
     " is_pull INTEGER NOT NULL, is_pinned INTEGER NOT NULL, author_id TEXT NOT NULL,"
     " base TEXT NOT NULL, base_sha TEXT NOT NULL, merge_commit TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL, UNIQUE (repo_id, num));"
     "CREATE INDEX discussions_author ON discussions(author_id);"
     "CREATE TABLE discussion_events (id TEXT PRIMARY KEY, discussion_id TEXT NOT NULL"
     " REFERENCES discussions(id) ON DELETE CASCADE, kind TEXT NOT NULL, author_id TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, text TEXT NOT NULL, other TEXT NOT NULL,"
     " is_hidden INTEGER NOT NULL, edits BIGINT NOT NULL, edited_ns BIGINT NOT NULL);"
     "CREATE INDEX discussion_events_of ON discussion_events(discussion_id, created_ns);"},
    {4, "gated repositories",
     "CREATE TABLE access_requests (id TEXT PRIMARY KEY, repo_id TEXT NOT NULL REFERENCES repos(id)"
     " ON DELETE CASCADE, user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " status TEXT NOT NULL, asked INTEGER NOT NULL, fields TEXT NOT NULL, reason TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, changed_ns BIGINT NOT NULL, UNIQUE (repo_id, user_id));"},
    {5, "collections",
     "CREATE TABLE collections (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, title TEXT NOT NULL, description TEXT NOT NULL, theme TEXT NOT NULL,"
     " is_private INTEGER NOT NULL, position BIGINT NOT NULL, created_ns BIGINT NOT NULL,"
     " updated_ns BIGINT NOT NULL);"
     "CREATE INDEX collections_owner ON collections(owner_id);"
     "CREATE TABLE collection_items (id TEXT PRIMARY KEY, collection_id TEXT NOT NULL"
     " REFERENCES collections(id) ON DELETE CASCADE, kind TEXT NOT NULL, target TEXT NOT NULL,"
     " note TEXT NOT NULL, position BIGINT NOT NULL, UNIQUE (collection_id, target));"
     "CREATE INDEX collection_items_target ON collection_items(target);"},
    {6, "what new repositories are",
     "ALTER TABLE accounts ADD COLUMN repos_private INTEGER NOT NULL DEFAULT 0;"},
};

bool sql_migrate(Db *db, Error *err)
{
    return db_migrate(db, migrations, COUNT(migrations), err);
}

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
    "id, name, fullname, email, about, is_org, is_admin, created_ns, repos_private, password "

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

bool sql_account_update(Conn *c, Str id, Str fullname, Str email, Str about, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "UPDATE accounts SET fullname = $1, email = $2, about = $3 WHERE id = $4");
    bind_str(q, fullname);
    bind_str(q, email);
    bind_str(q, about);
    bind_str(q, id);
    return query_run(q, err);
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
    if (query_next(q))
        *n = row_int(q);
    return query_ok(q, err);
}

bool sql_member_set(Conn *c, Str org, Str user, Str role, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, $3)"
                             " ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role");
    bind_str(q, org);
    bind_str(q, user);
    bind_str(q, role);
    return query_run(q, err);
}

/* ---- Tokens and sessions ---- */

#define TOKEN_COLUMNS "id, name, role, tail, created_ns, used_ns, user_id "

static void token_row(Query *q, Arena *a, Token *out, Str *user)
{
    *out = (Token){0};
    out->id = row_str(q, a);
    out->name = row_str(q, a);
    out->role = row_str(q, a);
    out->tail = row_str(q, a);
    out->created_ns = row_int(q);
    out->used_ns = row_int(q);
    if (user)
        *user = row_str(q, a);
}

bool sql_token_add(Conn *c, const Token *token, Str user, Str hash, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO tokens (" TOKEN_COLUMNS ", hash)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    bind_str(q, token->id);
    bind_str(q, token->name);
    bind_str(q, token->role);
    bind_str(q, token->tail);
    bind_int(q, token->created_ns);
    bind_int(q, token->used_ns);
    bind_str(q, user);
    bind_str(q, hash);
    return query_run(q, err);
}

bool sql_token_find(Conn *c, Arena *a, Str hash, Token *out, Str *user, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " TOKEN_COLUMNS "FROM tokens WHERE hash = $1");
    bind_str(q, hash);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no such token");
    token_row(q, a, out, user);
    return true;
}

bool sql_token_used(Conn *c, Str id, int64_t now, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "UPDATE tokens SET used_ns = $1 WHERE id = $2");
    bind_int(q, now);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_token_list(Conn *c, Arena *a, Str user, Token **out, size_t *n, Error *err)
{
    enum { MOST = 1000 };
    Token *tokens = NEW_ARRAY(a, Token, MOST);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " TOKEN_COLUMNS "FROM tokens WHERE user_id = $1"
                             " ORDER BY created_ns DESC");
    bind_str(q, user);
    *n = 0;
    while (*n < MOST && query_next(q))
        token_row(q, a, &tokens[(*n)++], NULL);
    *out = tokens;
    return query_ok(q, err);
}

bool sql_token_remove(Conn *c, Str user, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM tokens WHERE user_id = $1 AND id = $2");
    bind_str(q, user);
    bind_str(q, id);
    if (!query_run(q, err))
        return false;
    if (query_changes(q) == 0)
        return fail(err, ERR_NOT_FOUND, "there is no such token");
    return true;
}

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
