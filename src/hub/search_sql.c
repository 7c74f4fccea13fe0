/* search_sql.c: the full-text index, the one thing that SQLite and PostgreSQL do each in their own
 * way: FTS5's table beside ours, or a tsvector in a column of it. Both hold the same words
 * (search.c makes them) and answer the same questions. See hub_sql.h. */
#include "hub/hub_sql.h"

static const char *const made_of[] = {
    [DB_SQLITE] = "CREATE VIRTUAL TABLE IF NOT EXISTS search_words USING fts5(meta, body,"
                  " tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');",
    [DB_POSTGRES] = "ALTER TABLE search_docs ADD COLUMN IF NOT EXISTS words tsvector;"
                    "CREATE INDEX IF NOT EXISTS search_docs_words ON search_docs USING gin(words);",
};

bool sql_search_open(Db *db, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    return c && conn_script(c, made_of[conn_engine(c)], err) && conn_commit(c, err);
}

/* The number under which FTS5 knows a repository: the random digits of its id. */
static int64_t number_of(Str repo)
{
    int64_t n = 0;
    for (size_t i = repo.len > 15 ? repo.len - 15 : 0; i < repo.len; i++) {
        char c = repo.ptr[i];
        n = n * 16 + (c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return n;
}

static bool put_sqlite(Conn *c, Str repo, const SearchDoc *doc, Error *err)
{
    AUTO(query_end)
    Query *row = query_open(c, "INSERT INTO search_docs (repo_id, num) VALUES ($1, $2)"
                               " ON CONFLICT DO NOTHING");
    bind_str(row, repo);
    bind_int(row, number_of(repo));
    AUTO(query_end)
    Query *q = query_open(
        c, "INSERT OR REPLACE INTO search_words (rowid, meta, body) VALUES ($1, $2, $3)");
    bind_int(q, number_of(repo));
    bind_str(q, doc->meta);
    bind_str(q, doc->body);
    return query_run(row, err) && query_run(q, err);
}

static bool put_postgres(Conn *c, Str repo, const SearchDoc *doc, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "INSERT INTO search_docs (repo_id, num, words) VALUES ($1, $2,"
                      " setweight(to_tsvector('simple', $3), 'A') || to_tsvector('simple', $4))"
                      " ON CONFLICT (repo_id) DO UPDATE SET words = excluded.words");
    bind_str(q, repo);
    bind_int(q, number_of(repo));
    bind_str(q, doc->meta);
    bind_str(q, doc->body);
    return query_run(q, err);
}

bool sql_search_put(Conn *c, Str repo, const SearchDoc *doc, Error *err)
{
    switch (conn_engine(c)) {
    case DB_SQLITE:
        return put_sqlite(c, repo, doc, err);
    case DB_POSTGRES:
        return put_postgres(c, repo, doc, err);
    }
    return true;
}

bool sql_search_remove(Conn *c, Str repo, Error *err)
{
    if (conn_engine(c) == DB_SQLITE) {
        AUTO(query_end) Query *q = query_open(c, "DELETE FROM search_words WHERE rowid = $1");
        bind_int(q, number_of(repo));
        if (!query_run(q, err))
            return false;
    }
    AUTO(query_end) Query *row = query_open(c, "DELETE FROM search_docs WHERE repo_id = $1");
    bind_str(row, repo);
    return query_run(row, err);
}

const char *sql_search_condition(const Conn *c)
{
    static const char *const conditions[] = {
        [DB_SQLITE] = "repos.id IN (SELECT repo_id FROM search_docs WHERE num IN"
                      " (SELECT rowid FROM search_words WHERE search_words MATCH $%d))",
        [DB_POSTGRES] = "repos.id IN (SELECT repo_id FROM search_docs"
                        " WHERE words @@ to_tsquery('simple', $%d))",
    };
    return conditions[conn_engine(c)];
}

/* One word of what somebody typed, which may be several of the index's (a name with hyphens,
 * Chinese): they must follow each other. The words hold no quotes. */
static void phrase_add(Buf *out, DbEngine engine, Str words, bool in_meta)
{
    bool fts = engine == DB_SQLITE, first = true;
    Str word;
    words = str_trim(words);
    if (fts)
        buf_printf(out, "\"%.*s\"*", STR(words));
    while (!fts && str_split(&words, ' ', &word)) {
        buf_printf(out, "%s'%.*s':*%s", first ? "" : " <-> ", STR(word), in_meta ? "A" : "");
        first = false;
    }
}

Str sql_search_match(const Conn *c, Arena *a, Str words, bool in_meta)
{
    DbEngine engine = conn_engine(c);
    AUTO_BUF out, one;
    buf_init(&out, 0);
    buf_init(&one, 0);
    Str word;
    for (int n = 0; n < MAX_SEARCH_WORDS && str_split(&words, ' ', &word);) {
        buf_reset(&one);
        search_words_add(&one, word, false);
        if (!one.len)
            continue;
        buf_add(&out, out.len ? engine == DB_SQLITE ? S(" AND ") : S(" & ") : S(""));
        phrase_add(&out, engine, buf_str(&one), in_meta);
        n++;
    }
    if (!out.len)
        return (Str){0};
    if (engine == DB_SQLITE && in_meta)
        return str_of(arena_printf(a, "meta : (%.*s)", STR(buf_str(&out))));
    return arena_str(a, buf_str(&out));
}

bool sql_accounts_like(Conn *c, Arena *a, Str prefix, bool orgs, size_t limit, Account **out,
                       size_t *n, int64_t *total, Error *err)
{
    Str pattern = sql_like_pattern(a, prefix, false);
    AUTO(query_end)
    Query *count = query_open(c, "SELECT count(*) FROM accounts WHERE is_org = $1"
                                 " AND (key LIKE $2 ESCAPE '\\' OR lower(fullname) LIKE $2"
                                 " ESCAPE '\\')");
    bind_int(count, orgs);
    bind_str(count, pattern);
    *total = query_next(count) ? row_int(count) : 0;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT id, name, fullname, is_org FROM accounts WHERE is_org = $1"
                             " AND (key LIKE $2 ESCAPE '\\' OR lower(fullname) LIKE $2 ESCAPE '\\')"
                             " ORDER BY CASE WHEN key = $3 THEN 0 ELSE 1 END, key LIMIT $4");
    bind_int(q, orgs);
    bind_str(q, pattern);
    bind_str(q, prefix);
    bind_int(q, (int64_t)limit);
    *out = NEW_ARRAY(a, Account, limit);
    for (*n = 0; *n < limit && query_next(q); ++*n) {
        Account *account = &(*out)[*n];
        account->id = row_str(q, a);
        account->name = row_str(q, a);
        account->fullname = row_str(q, a);
        account->is_org = row_int(q) != 0;
    }
    return query_ok(count, err) && query_ok(q, err);
}
