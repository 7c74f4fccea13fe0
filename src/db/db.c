/* db.c: the pool of connections, their statement caches, transactions and migrations; see db.h.
 *
 * Readers wait in a pool guarded by `pool_lock`; the single writer is guarded by `write_lock`, held
 * from db_write to conn_end. A statement stays with the connection that prepared it and is handed
 * out to one Query at a time; a second user of the same text on one connection gets a fresh one. */
#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"
#include "db/db_internal.h"

#include <assert.h>
#include <pthread.h>

static const struct {
    const char *scheme; // what stands before the colon
    const Driver *driver;
    bool whole; // it wants the URL, not what stands behind the scheme
} drivers[] = {
    {"sqlite", &driver_sqlite, false},
    {"postgres", &driver_postgres, true},
    {"postgresql", &driver_postgres, true},
};

enum { MAX_READERS = 64, CACHED_STATEMENTS = 256 };

struct Query {
    Conn *conn;
    void *statement;
    bool cached, in_use;
    bool has_row;
    int next_bind, next_column;
    Error error;
};

struct Conn {
    Db *db;
    void *handle;
    bool writes, in_transaction;
    bool failed;  // something in this transaction did: it cannot be committed
    Map queries;  // SQL text to Query
    Arena *arena; // the cache's texts and queries
};

struct Db {
    const Driver *driver;
    char *place; // for the driver
    char *name;  // for messages
    Conn *writer;
    uint64_t generation; // atomic
    pthread_mutex_t write_lock;
    pthread_mutex_t pool_lock;
    pthread_cond_t pool_freed;
    Conn *idle[MAX_READERS]; // a stack: the warmest cache is used first
    int n_idle, n_readers;
};

static Conn *conn_new(Db *db, bool writes, Error *err)
{
    void *handle = db->driver->connect(db->place, writes, err);
    if (!handle)
        return NULL;
    Conn *c = xcalloc(1, sizeof *c);
    *c = (Conn){.db = db, .handle = handle, .writes = writes, .arena = arena_new(0)};
    return c;
}

static void conn_free(Conn *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->queries.n; i++)
        c->db->driver->finish(((Query *)c->queries.entries[i].value)->statement);
    map_done(&c->queries);
    c->db->driver->disconnect(c->handle);
    arena_free(c->arena);
    free(c);
}

Db *db_open(const char *url, Error *err)
{
    Str rest = str_of(url), scheme = {0};
    size_t colon = str_find_char(rest, ':', 0);
    if (colon != SIZE_MAX && url[0] != '/' && url[0] != '.') {
        scheme = str_slice(rest, 0, colon);
        rest = str_slice(rest, colon + 1, rest.len);
    }
    const Driver *driver = scheme.len ? NULL : &driver_sqlite;
    for (size_t i = 0; i < COUNT(drivers); i++)
        if (str_eq(scheme, str_of(drivers[i].scheme))) {
            driver = drivers[i].driver;
            rest = drivers[i].whole ? str_of(url) : rest;
        }
    if (!driver)
        return fail(err, ERR_UNSUPPORTED, "database '%.*s:': no driver for it in this program",
                    STR(scheme));
    char *name = driver->describe(rest.ptr, err);
    if (!name)
        return NULL;
    Db *db = xcalloc(1, sizeof *db);
    db->driver = driver;
    db->place = xstrdup(rest.ptr);
    db->name = name;
    pthread_mutex_init(&db->write_lock, NULL);
    pthread_mutex_init(&db->pool_lock, NULL);
    pthread_cond_init(&db->pool_freed, NULL);
    db->writer = conn_new(db, true, err);
    if (!db->writer) {
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(Db *db)
{
    if (!db)
        return;
    CHECK(db->n_idle == db->n_readers); // every connection was given back
    for (int i = 0; i < db->n_idle; i++)
        conn_free(db->idle[i]);
    conn_free(db->writer);
    pthread_cond_destroy(&db->pool_freed);
    pthread_mutex_destroy(&db->pool_lock);
    pthread_mutex_destroy(&db->write_lock);
    if (db->place) // may hold a password
        explicit_bzero(db->place, strlen(db->place));
    free(db->place);
    free(db->name);
    free(db);
}

Conn *db_read(Db *db, Error *err)
{
    if (!thread_may_wait(err))
        return NULL;
    pthread_mutex_lock(&db->pool_lock);
    while (db->n_idle == 0 && db->n_readers == db->driver->readers)
        pthread_cond_wait(&db->pool_freed, &db->pool_lock);
    Conn *c = db->n_idle ? db->idle[--db->n_idle] : NULL;
    if (!c)
        db->n_readers++;
    pthread_mutex_unlock(&db->pool_lock);
    if (c)
        return c;
    c = conn_new(db, false, err);
    if (c)
        return c;
    pthread_mutex_lock(&db->pool_lock);
    db->n_readers--;
    pthread_cond_signal(&db->pool_freed);
    pthread_mutex_unlock(&db->pool_lock);
    return NULL;
}

Conn *db_write(Db *db, Error *err)
{
    if (!thread_may_wait(err))
        return NULL;
    pthread_mutex_lock(&db->write_lock);
    if (!db->driver->begin(db->writer->handle, err)) {
        pthread_mutex_unlock(&db->write_lock);
        return NULL;
    }
    db->writer->in_transaction = true;
    db->writer->failed = false;
    return db->writer;
}

bool conn_commit(Conn *c, Error *err)
{
    assert(c->writes && c->in_transaction);
    // PostgreSQL takes back what had a failure in it, so nobody may count on the rest of it.
    if (c->failed)
        return fail(err, ERR_CONFLICT, "database: commit: a statement before it failed");
    c->in_transaction = false;
    if (!c->db->driver->commit(c->handle, err))
        return false;
    __atomic_add_fetch(&c->db->generation, 1, __ATOMIC_ACQ_REL);
    return true;
}

uint64_t db_generation(const Db *db)
{
    return __atomic_load_n(&db->generation, __ATOMIC_ACQUIRE);
}

void conn_end(Conn *c)
{
    if (!c)
        return;
    Db *db = c->db;
    if (c->writes) {
        if (c->in_transaction)
            db->driver->rollback(c->handle);
        c->in_transaction = false;
        pthread_mutex_unlock(&db->write_lock);
        return;
    }
    pthread_mutex_lock(&db->pool_lock);
    db->idle[db->n_idle++] = c;
    pthread_cond_signal(&db->pool_freed);
    pthread_mutex_unlock(&db->pool_lock);
}

Query *query_open(Conn *c, const char *sql)
{
    Query *q = map_find(&c->queries, str_of(sql));
    if (q && !q->in_use) {
        q->in_use = true;
        return q;
    }
    Query fresh = {.conn = c, .in_use = true};
    bool keep = !q && c->queries.n < CACHED_STATEMENTS;
    Str text = keep ? arena_str(c->arena, str_of(sql)) : str_of(sql);
    fresh.statement = c->db->driver->prepare(c->handle, text.ptr, keep, &fresh.error);
    // What does not even prepare is not worth keeping: the cache holds live statements only.
    fresh.cached = keep && fresh.statement;
    q = fresh.cached ? NEW(c->arena, Query) : xcalloc(1, sizeof *q);
    *q = fresh;
    if (q->cached)
        map_put(&c->queries, text, q);
    else if (!q->statement)
        c->failed = true;
    return q;
}

void query_end(Query *q)
{
    if (!q)
        return;
    const Driver *driver = q->conn->db->driver;
    if (!q->cached) {
        if (q->statement)
            driver->finish(q->statement);
        free(q);
        return;
    }
    driver->reset(q->statement);
    *q = (Query){.conn = q->conn, .statement = q->statement, .cached = true};
}

static bool live(const Query *q)
{
    return q->error.code == ERR_NONE;
}

static void note(Query *q, bool ok)
{
    if (!ok)
        q->conn->failed = true;
}

void bind_int(Query *q, int64_t value)
{
    if (live(q))
        note(q, q->conn->db->driver->bind_int(q->statement, q->next_bind++, value, &q->error));
}

void bind_str(Query *q, Str value)
{
    if (live(q))
        note(q, q->conn->db->driver->bind_str(q->statement, q->next_bind++, value, &q->error));
}

void bind_null(Query *q)
{
    if (live(q))
        note(q, q->conn->db->driver->bind_null(q->statement, q->next_bind++, &q->error));
}

bool query_next(Query *q)
{
    Conn *c = q->conn;
    if (live(q) && c->in_transaction && c->failed)
        (void)!fail(&q->error, ERR_CONFLICT, "database: a statement before this one failed");
    StepResult result =
        live(q) ? c->db->driver->step(c->handle, q->statement, &q->error) : STEP_ERROR;
    note(q, result != STEP_ERROR);
    q->has_row = result == STEP_ROW;
    q->next_column = 0;
    return q->has_row;
}

static int next_column(Query *q)
{
    CHECK(q->has_row && q->next_column < q->conn->db->driver->columns(q->statement));
    return q->next_column++;
}

int64_t row_int(Query *q)
{
    return q->conn->db->driver->column_int(q->statement, next_column(q));
}

Str row_view(Query *q)
{
    return q->conn->db->driver->column_str(q->statement, next_column(q));
}

Str row_str(Query *q, Arena *a)
{
    return arena_str(a, row_view(q));
}

bool query_ok(const Query *q, Error *err)
{
    if (!live(q) && err)
        *err = q->error;
    return live(q);
}

bool query_count(Query *q, int64_t *n, Error *err)
{
    *n = query_next(q) ? row_int(q) : 0;
    return query_ok(q, err);
}

bool query_run(Query *q, Error *err)
{
    while (query_next(q))
        ;
    return query_ok(q, err);
}

int64_t query_changes(const Query *q)
{
    return live(q) ? q->conn->db->driver->changes(q->conn->handle) : 0;
}

DbEngine conn_engine(const Conn *c)
{
    return c->db->driver->engine;
}

bool conn_script(Conn *c, const char *sql, Error *err)
{
    bool ok = c->db->driver->script(c->handle, sql, err);
    c->failed = c->failed || !ok;
    return ok;
}

/* ---- Migrations ---- */

static bool migrations_done(Db *db, int64_t *last, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    if (!c)
        return false;
    if (!conn_script(c,
                     "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY,"
                     " name TEXT NOT NULL, done_ns BIGINT NOT NULL)",
                     err))
        return false;
    AUTO(query_end) Query *q = query_open(c, "SELECT coalesce(max(number), 0) FROM migrations");
    if (query_next(q))
        *last = row_int(q);
    return query_run(q, err) && conn_commit(c, err);
}

static bool migration_run(Db *db, const Migration *m, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    if (!c)
        return false;
    // Another process may have been faster: the row's key decides.
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO migrations (number, name, done_ns) VALUES ($1, $2, $3)");
    bind_int(q, m->number);
    bind_str(q, str_of(m->name));
    bind_int(q, wall_ns());
    Error seen = {0};
    if (!query_run(q, &seen)) {
        if (seen.code == ERR_EXISTS)
            return true;
        *(err ? err : &seen) = seen;
        return false;
    }
    return conn_script(c, m->sql, err) && conn_commit(c, err);
}

bool db_migrate(Db *db, const Migration *list, size_t n, Error *err)
{
    int64_t last = 0;
    if (!migrations_done(db, &last, err))
        return fail_while(err, "migrate");
    if (n && last > list[n - 1].number)
        return fail(err, ERR_UNSUPPORTED,
                    "database '%s' was made by a newer program (migration %lld, this one knows %d)",
                    db->name, (long long)last, list[n - 1].number);
    for (size_t i = 0; i < n; i++)
        if (list[i].number > last && !migration_run(db, &list[i], err))
            return fail_while(err, "migration %d '%s'", list[i].number, list[i].name);
    return true;
}
