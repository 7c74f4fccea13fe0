/* sqlite.c: the SQLite driver. Write-ahead log with synchronous=FULL: readers never wait for the
 * writer, and a commit that returned survives a power cut. */
#include "db/db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

enum { BUSY_MS = 10000 };

static void *raise(sqlite3 *db, Error *err, const char *doing)
{
    ErrorCode code = ERR_IO;
    switch (sqlite3_extended_errcode(db)) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        code = ERR_EXISTS;
        break;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        code = ERR_CONFLICT;
        break;
    default:
        switch (sqlite3_errcode(db)) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            code = ERR_BUSY;
            break;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_ERROR: // a statement that does not fit the schema
            code = ERR_CORRUPT;
            break;
        case SQLITE_TOOBIG:
            code = ERR_LIMIT;
            break;
        default:
            break;
        }
    }
    return fail(err, code, "database: %s: %s", doing, sqlite3_errmsg(db));
}

/* The file is made here, so that nobody else on the machine may read it; its log inherits that. */
static bool file_prepare(const char *path, Error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_io(err, "database '%s'", path);
    close(fd);
    return true;
}

static void sqlite_disconnect(void *handle)
{
    sqlite3_close_v2(handle);
}

static bool sqlite_script(void *handle, const char *sql, Error *err)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return raise(handle, err, "script");
    return true;
}

static char *sqlite_describe(const char *path, Error *err)
{
    return xstrdup(path);
}

static void *sqlite_connect(const char *path, bool for_writing, Error *err)
{
    if (for_writing && !file_prepare(path, err))
        return NULL;
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        (void)!fail(err, ERR_IO, "database '%s': %s", path, sqlite3_errmsg(db));
        sqlite3_close_v2(db);
        return NULL;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    // Untrusted strings only ever arrive bound, yet a schema that someone put into the file must
    // not run functions of ours either.
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    const char *settings = for_writing ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                                         "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
                                       : "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY;";
    if (!sqlite_script(db, settings, err)) {
        (void)!fail_while(err, "database '%s'", path);
        sqlite3_close_v2(db);
        return NULL;
    }
    return db;
}

static bool sqlite_begin(void *handle, Error *err)
{
    return sqlite_script(handle, "BEGIN IMMEDIATE", err);
}

static void sqlite_rollback(void *handle)
{
    (void)!sqlite_script(handle, "ROLLBACK", NULL);
}

static bool sqlite_commit(void *handle, Error *err)
{
    if (sqlite_script(handle, "COMMIT", err))
        return true;
    sqlite_rollback(handle);
    return false;
}

static void *sqlite_prepare(void *handle, const char *sql, bool keep, Error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(handle, sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &statement,
                           NULL) != SQLITE_OK)
        return raise(handle, err, sql);
    return statement;
}

static void sqlite_finish(void *statement)
{
    sqlite3_finalize(statement);
}

static void sqlite_reset(void *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

static bool bound(void *statement, int result, Error *err)
{
    if (result != SQLITE_OK)
        return raise(sqlite3_db_handle(statement), err, "bind");
    return true;
}

static bool sqlite_bind_int64_at(void *statement, int at, int64_t value, Error *err)
{
    return bound(statement, sqlite3_bind_int64(statement, at + 1, value), err);
}

static bool sqlite_bind_str(void *statement, int at, Str value, Error *err)
{
    return bound(statement,
                 sqlite3_bind_text64(statement, at + 1, value.ptr ? value.ptr : "", value.len,
                                     SQLITE_TRANSIENT, SQLITE_UTF8),
                 err);
}

static bool sqlite_bind_nothing(void *statement, int at, Error *err)
{
    return bound(statement, sqlite3_bind_null(statement, at + 1), err);
}

static StepResult sqlite_step(void *handle, void *statement, Error *err)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return STEP_ROW;
    case SQLITE_DONE:
        return STEP_DONE;
    default:
        (void)!raise(handle, err, sqlite3_sql(statement));
        return STEP_ERROR;
    }
}

static int sqlite_columns(void *statement)
{
    return sqlite3_column_count(statement);
}

static int64_t sqlite_column_int(void *statement, int at)
{
    return sqlite3_column_int64(statement, at);
}

static Str sqlite_column_str(void *statement, int at)
{
    // The text first: asking for its length may convert the value in place.
    const unsigned char *text = sqlite3_column_text(statement, at);
    return (Str){(const char *)text, (size_t)sqlite3_column_bytes(statement, at)};
}

static int64_t sqlite_changes(void *handle)
{
    return sqlite3_changes64(handle);
}

const Driver driver_sqlite = {
    .engine = DB_SQLITE,
    .readers = 16,
    .describe = sqlite_describe,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .script = sqlite_script,
    .prepare = sqlite_prepare,
    .finish = sqlite_finish,
    .reset = sqlite_reset,
    .bind_int = sqlite_bind_int64_at,
    .bind_str = sqlite_bind_str,
    .bind_null = sqlite_bind_nothing,
    .step = sqlite_step,
    .columns = sqlite_columns,
    .column_int = sqlite_column_int,
    .column_str = sqlite_column_str,
    .changes = sqlite_changes,
};
