/* The database: one query layer over SQLite, with room for other drivers (a row of `drivers`).
 *
 *     AUTO(conn_end) Conn *c = db_read(db, err);
 *     if (!c)
 *         return false;
 *     AUTO(query_end) Query *q = query_open(c, "SELECT name, age FROM people WHERE id = $1");
 *     bind_int(q, id);
 *     while (query_next(q)) {
 *         person->name = row_str(q, arena);
 *         person->age = row_int(q);
 *     }
 *     return query_ok(q, err);
 *
 * A Query remembers its first failure and ignores later calls; ask once with query_ok (or
 * query_run). Values are bound, and columns read, in order. Placeholders are $1, $2, ... and first
 * appear in that order. SQL stays portable between SQLite and PostgreSQL: ids are text that we
 * make, times are integers (nanoseconds), booleans 0 and 1, text comes in and out as UTF-8.
 *
 * Writing: db_write waits for its turn and begins a transaction; conn_commit makes it durable
 * (fsynced before it returns), conn_end without it takes everything back. Do no slow work between.
 * Threads: a Db is shared; a Conn and its queries belong to the thread that took them. A thread
 * that holds a Conn must not ask for a second one. */
#pragma once

#include "base/str.h"

typedef struct Db Db;
typedef struct Conn Conn;
typedef struct Query Query;

/* "sqlite:PATH" or a plain path; ERR_UNSUPPORTED for a scheme without a driver. */
Db *db_open(const char *url, Error *err);
void db_close(Db *db);
AUTO_FREE(Db, db_close)

typedef struct Migration {
    int number;       // ascending from 1
    const char *name; // for messages
    const char *sql;  // statements, each ending with ';'
} Migration;
/* Runs those not run yet, each in its own transaction. ERR_UNSUPPORTED if the database has seen
 * a higher number than we know: it belongs to a newer program. */
bool db_migrate(Db *db, const Migration *list, size_t n, Error *err);

/* A connection for reading; each statement sees the newest committed state. */
Conn *db_read(Db *db, Error *err);
/* The connection for writing, in a transaction. One at a time in this process and on this
 * database; ERR_BUSY when another process keeps it for longer than ten seconds. */
Conn *db_write(Db *db, Error *err);
bool conn_commit(Conn *c, Error *err);
/* How often this process has committed: what was read at one number is true while it stays, as far
 * as this process goes. Take it before reading. */
uint64_t db_generation(const Db *db);
/* Gives the connection back; takes back what was not committed. NULL is fine. */
void conn_end(Conn *c);
AUTO_FREE(Conn, conn_end)

/* Prepares, or takes from the connection's cache. Never NULL. */
Query *query_open(Conn *c, const char *sql) __attribute__((returns_nonnull));
void query_end(Query *q);
AUTO_FREE(Query, query_end)
void bind_int(Query *q, int64_t value);
void bind_str(Query *q, Str value); // copied; {NULL, 0} is the empty text, not null
void bind_null(Query *q);
/* The next row; false at the end or on failure. */
bool query_next(Query *q);
/* The next column of the row. Null reads as 0 and the empty text. */
int64_t row_int(Query *q);
Str row_str(Query *q, Arena *a);
/* Borrowed until the next query_next or query_end. */
Str row_view(Query *q);
bool query_ok(const Query *q, Error *err);
/* For statements of one number: that of the first row, 0 if there is none. */
bool query_count(Query *q, int64_t *n, Error *err);
/* Runs to the end: for statements without rows. ERR_EXISTS when a unique rule was broken. */
bool query_run(Query *q, Error *err);
/* Rows that the statement just run has changed. */
int64_t query_changes(const Query *q);

/* For the little that engines do each in their own way (full-text search): which one this is, and
 * statements without values or rows, for tables of its own. */
typedef enum DbEngine { DB_SQLITE, DB_POSTGRES } DbEngine;
DbEngine conn_engine(const Conn *c);
bool conn_script(Conn *c, const char *sql, Error *err);
