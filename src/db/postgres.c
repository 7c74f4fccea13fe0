/* postgres.c: the PostgreSQL driver, over libpq.
 *
 * Statements. Their parameters' types are those of the values bound (bigint or text), so a
 * statement is prepared when it first runs, once a connection; a text that is not kept runs
 * unnamed. Integers travel as eight bytes, answers as text, whole: a row lies in memory until the
 * statement is reset. Text that PostgreSQL could not hold (a NUL, bytes that are not UTF-8) is
 * stored with U+FFFD in their place, and so finds nothing where it is looked for.
 *
 * One writer. Transactions take one advisory lock, so that there is one writer at a time over all
 * processes, as with SQLite: what a transaction has read stays true until its end, nothing
 * deadlocks, nothing has to be repeated. Two nodes that start together migrate one after the other.
 *
 * Lost connections. A statement outside of a transaction connects anew and runs again; so does the
 * beginning of a transaction. Within one it is an error, ERR_UNAVAILABLE. When the answer to COMMIT
 * is lost, the server is asked afterwards what became of the transaction, whose number was learned
 * at its beginning: so success is never reported without being stored, nor the reverse.
 *
 * Passwords are in the URL and in libpq alone: messages call a database by host, port and name. */
#include "base/clock.h"
#include "db/db_internal.h"

#include <endian.h>
#include <libpq-fe.h>
#include <time.h>

enum {
    MAX_PARAMETERS = 2000,
    MIN_VERSION = 130000,
    RECONNECT_MS = 3000, // a server that restarts is back by then
    OUTCOME_MS = 15000,  // and one that recovers from a crash
    INT8_TYPE = 20,      // of pg_type.h, which clients do not have
    TEXT_TYPE = 25,
};

// Any constant will do; it is the ASCII of "hug writ".
#define WRITER_LOCK "7527899219926083956"

typedef struct Link {
    PGconn *conn;
    char *name;
    bool for_writing, in_transaction;
    uint64_t session; // counts connections: what was prepared in an older one is gone
    uint64_t n_names;
    char transaction[24]; // the number of the one under way
    int64_t changes;
    // The values of the statement that runs; here, because only one does at a time.
    Oid types[MAX_PARAMETERS];
    const char *values[MAX_PARAMETERS];
    int lengths[MAX_PARAMETERS], formats[MAX_PARAMETERS];
} Link;

typedef struct Param {
    Oid type; // 0: null
    size_t offset, len;
} Param;

typedef struct Statement {
    Link *link;
    const char *sql;
    bool keep;
    char name[24];
    uint64_t session; // in which it is prepared; 0: in none
    Param *params;
    int n, cap;
    Oid *prepared; // the types it was prepared with, `cap` of them
    Buf bytes;     // of the values
    PGresult *result;
    int row, rows;
} Statement;

/* ---- Errors ---- */

static ErrorCode code_of(const char *state)
{
    static const struct {
        const char *begins;
        ErrorCode code;
    } codes[] = {
        {"23505", ERR_EXISTS},      // unique_violation
        {"23503", ERR_CONFLICT},    // foreign_key_violation
        {"22021", ERR_INVALID},     // character_not_in_repertoire
        {"40", ERR_BUSY},           // serialization failure, deadlock
        {"55P03", ERR_BUSY},        // lock_not_available
        {"25006", ERR_IO},          // read_only_sql_transaction
        {"25P03", ERR_UNAVAILABLE}, // idle_in_transaction_session_timeout
        {"54", ERR_LIMIT},          // program_limit_exceeded
        {"53300", ERR_UNAVAILABLE}, // too_many_connections
        {"57", ERR_UNAVAILABLE},    // shutdown, starting up, cancelled
        {"08", ERR_UNAVAILABLE},    // connection_exception
        {"42501", ERR_DENIED},      // insufficient_privilege
        {"42", ERR_CORRUPT},        // a statement that does not fit the schema
        {"XX", ERR_CORRUPT},        // internal_error, data_corrupted
    };
    for (size_t i = 0; i < COUNT(codes); i++)
        if (strncmp(state, codes[i].begins, strlen(codes[i].begins)) == 0)
            return codes[i].code;
    return ERR_IO;
}

/* libpq's messages have several lines. */
static Str one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        bool space = *text == '\n' || *text == '\t' || *text == ' ';
        if (!space)
            out[n++] = *text;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    return str_trim((Str){out, n});
}

static void *raise_lost(const Link *l, Error *err, const char *doing)
{
    char line[300];
    Str text = one_line(PQerrorMessage(l->conn), line, sizeof line);
    return fail(err, ERR_UNAVAILABLE, "database '%s': %s: %.*s", l->name, doing, STR(text));
}

static void *raise(const Link *l, const PGresult *result, Error *err, const char *doing)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!state || PQstatus(l->conn) != CONNECTION_OK)
        return raise_lost(l, err, "connection lost");
    char line[300];
    // The primary message alone: details quote rows.
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    Str text = one_line(message ? message : "", line, sizeof line);
    return fail(err, code_of(state), "database: %s: %.*s", doing, STR(text));
}

/* ---- Connections ---- */

static char *postgres_describe(const char *url, Error *err)
{
    // libpq's own words about a URL that it cannot read quote all of it.
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    if (!options)
        return fail(err, ERR_INVALID,
                    "database: this is not a URL of PostgreSQL: "
                    "postgres://USER:PASSWORD@HOST:PORT/NAME");
    const char *host = NULL, *port = NULL, *name = NULL;
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        if (strcmp(o->keyword, "port") == 0)
            port = o->val;
        if (strcmp(o->keyword, "dbname") == 0)
            name = o->val;
    }
    Buf text;
    buf_init(&text, 0);
    buf_printf(&text, "postgres://%s%s%s/%s", host && host[0] != '/' ? host : "",
               port && host && host[0] != '/' ? ":" : "",
               port && host && host[0] != '/' ? port : "", name ? name : "");
    PQconninfoFree(options);
    return buf_take(&text);
}

static void ignore_notice(void *arg, const char *message)
{
}

/* What each new session needs. */
static bool session_begin(Link *l, Error *err)
{
    const char *encoding = PQparameterStatus(l->conn, "server_encoding");
    if (PQserverVersion(l->conn) < MIN_VERSION)
        return fail(err, ERR_UNSUPPORTED, "database '%s': PostgreSQL 13 or newer is needed",
                    l->name);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return fail(err, ERR_UNSUPPORTED,
                    "database '%s': its encoding is %s; make one with ENCODING 'UTF8'", l->name,
                    encoding ? encoding : "unknown");
    l->session++;
    PGresult *result = PQexec(
        l->conn, l->for_writing
                     // A node that hangs within a transaction must not keep the others from writing
                     // for ever, and an answer of ours means that the disk has it.
                     ? "SET default_transaction_isolation = 'read committed'; SET jit = off;"
                       "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s';"
                       "SELECT set_config('synchronous_commit', 'on', false)"
                       " WHERE current_setting('synchronous_commit') = 'off'"
                     : "SET default_transaction_isolation = 'read committed'; SET jit = off;"
                       "SET default_transaction_read_only = on");
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok)
        (void)!raise(l, result, err, "session");
    PQclear(result);
    return ok;
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* Connects anew, for as long as a restart may take. */
static bool link_reconnect(Link *l, int patience_ms, Error *err)
{
    int64_t until = clock_ns() + patience_ms * NS_PER_MS;
    for (;;) {
        PQreset(l->conn);
        if (PQstatus(l->conn) == CONNECTION_OK)
            return session_begin(l, err);
        if (clock_ns() > until)
            return raise_lost(l, err, "connect");
        sleep_ms(50);
    }
}

static bool link_ready(Link *l, Error *err)
{
    if (PQstatus(l->conn) == CONNECTION_OK)
        return true;
    if (l->in_transaction) // a new connection would go on outside of it
        return raise_lost(l, err, "connection lost");
    return link_reconnect(l, RECONNECT_MS, err);
}

static void postgres_disconnect(void *handle)
{
    Link *l = handle;
    PQfinish(l->conn);
    free(l->name);
    free(l);
}

static void *postgres_connect(const char *url, bool for_writing, Error *err)
{
    // What stands before dbname may be said otherwise by the URL in it.
    static const char *const keys[] = {"connect_timeout",
                                       "keepalives_idle",
                                       "tcp_user_timeout",
                                       "fallback_application_name",
                                       "dbname",
                                       "client_encoding",
                                       NULL};
    const char *const values[] = {"10", "30", "30000", "hug", url, "UTF8", NULL};
    char *name = postgres_describe(url, err);
    if (!name)
        return NULL;
    Link *l = xcalloc(1, sizeof *l);
    l->name = name;
    l->for_writing = for_writing;
    l->conn = PQconnectdbParams(keys, values, 1);
    bool ok = l->conn && PQstatus(l->conn) == CONNECTION_OK;
    if (ok)
        PQsetNoticeProcessor(l->conn, ignore_notice, NULL);
    else
        (void)!raise_lost(l, err, "connect");
    if (ok && session_begin(l, err))
        return l;
    postgres_disconnect(l);
    return NULL;
}

static bool postgres_script(void *handle, const char *sql, Error *err)
{
    Link *l = handle;
    if (!link_ready(l, err))
        return false;
    PGresult *result = PQexec(l->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok =
        status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    if (!ok)
        (void)!raise(l, result, err, "script");
    PQclear(result);
    return ok;
}

/* ---- Transactions ---- */

static void postgres_rollback(void *handle)
{
    Link *l = handle;
    l->in_transaction = false;
    if (PQstatus(l->conn) == CONNECTION_OK)
        PQclear(PQexec(l->conn, "ROLLBACK"));
}

static bool postgres_begin(void *handle, Error *err)
{
    Link *l = handle;
    for (int attempt = 0;; attempt++) {
        if (!link_ready(l, err))
            return false;
        // One round trip; libpq gives the last statement's answer.
        PGresult *result = PQexec(l->conn, "BEGIN; SELECT pg_advisory_xact_lock(" WRITER_LOCK ");"
                                           "SELECT pg_current_xact_id()");
        bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
        bool again = !ok && attempt == 0 && PQstatus(l->conn) != CONNECTION_OK;
        if (ok)
            snprintf(l->transaction, sizeof l->transaction, "%s", PQgetvalue(result, 0, 0));
        else if (!again)
            (void)!raise(l, result, err, "begin");
        PQclear(result);
        if (ok)
            return l->in_transaction = true;
        if (!again) {
            postgres_rollback(l);
            return false;
        }
    }
}

/* What became of a transaction whose connection was lost while it committed. */
static bool outcome(Link *l, Error *err)
{
    int64_t until = clock_ns() + OUTCOME_MS * NS_PER_MS;
    const char *const value = l->transaction;
    char status[16] = "in progress";
    while (strcmp(status, "in progress") == 0 && clock_ns() < until) {
        if (PQstatus(l->conn) != CONNECTION_OK && !link_reconnect(l, OUTCOME_MS, NULL))
            break;
        PGresult *result = PQexecParams(l->conn, "SELECT pg_xact_status($1::xid8)", 1, NULL, &value,
                                        NULL, NULL, 0);
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
            snprintf(status, sizeof status, "%s", PQgetvalue(result, 0, 0));
        PQclear(result);
        if (strcmp(status, "in progress") == 0) // its process has not noticed yet
            sleep_ms(50);
    }
    if (strcmp(status, "committed") == 0)
        return true;
    return fail(err, ERR_UNAVAILABLE, "database '%s': connection lost while committing: %s",
                l->name,
                strcmp(status, "aborted") == 0 ? "nothing was stored"
                                               : "whether it was stored is not known");
}

static bool postgres_commit(void *handle, Error *err)
{
    Link *l = handle;
    if (PQstatus(l->conn) != CONNECTION_OK) { // lost before: then it was taken back
        l->in_transaction = false;
        return raise_lost(l, err, "connection lost");
    }
    PGresult *result = PQexec(l->conn, "COMMIT");
    // A transaction in which something failed answers COMMIT with "ROLLBACK", and no error.
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (ok && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        ok = fail(err, ERR_CONFLICT, "database: commit: a statement before it failed");
    else if (!ok && PQstatus(l->conn) == CONNECTION_OK)
        (void)!raise(l, result, err, "commit");
    PQclear(result);
    l->in_transaction = false;
    return ok || (PQstatus(l->conn) != CONNECTION_OK && outcome(l, err));
}

/* ---- Statements ---- */

static void *postgres_prepare(void *handle, const char *sql, bool keep, Error *err)
{
    Link *l = handle;
    Statement *s = xcalloc(1, sizeof *s);
    *s = (Statement){.link = l, .sql = sql, .keep = keep};
    buf_init(&s->bytes, 0);
    if (keep)
        snprintf(s->name, sizeof s->name, "s%llu", (unsigned long long)l->n_names++);
    return s;
}

static void postgres_reset(void *statement)
{
    Statement *s = statement;
    PQclear(s->result);
    s->result = NULL;
    s->n = 0;
    buf_reset(&s->bytes);
}

static void postgres_finish(void *statement)
{
    Statement *s = statement;
    // Named statements go with their connection, just behind this: no round trip for each.
    postgres_reset(s);
    buf_done(&s->bytes);
    free(s->params);
    free(s->prepared);
    free(s);
}

static bool param_add(Statement *s, int at, Oid type, Error *err)
{
    CHECK(at == s->n); // values are bound in order
    if (at == MAX_PARAMETERS)
        return fail(err, ERR_LIMIT, "database: a statement with more than %d values",
                    MAX_PARAMETERS);
    if (at == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->params = xrealloc(s->params, (size_t)s->cap * sizeof *s->params);
        s->prepared = xrealloc(s->prepared, (size_t)s->cap * sizeof *s->prepared);
    }
    s->params[s->n++] = (Param){.type = type, .offset = s->bytes.len};
    return true;
}

static bool postgres_bind_int(void *statement, int at, int64_t value, Error *err)
{
    Statement *s = statement;
    uint64_t big = htobe64((uint64_t)value);
    if (!param_add(s, at, INT8_TYPE, err))
        return false;
    buf_add(&s->bytes, (Str){(const char *)&big, sizeof big});
    s->params[at].len = sizeof big;
    return true;
}

static void add_valid(Buf *out, Str text)
{
    for (size_t pos = 0; pos < text.len;) {
        int32_t code = utf8_next(text, &pos);
        buf_add_utf8(out, code > 0 ? code : 0xFFFD);
    }
}

static bool postgres_bind_str(void *statement, int at, Str value, Error *err)
{
    Statement *s = statement;
    if (!param_add(s, at, TEXT_TYPE, err))
        return false;
    if (str_is_utf8(value) && str_find_char(value, 0, 0) == SIZE_MAX)
        buf_add(&s->bytes, value);
    else
        add_valid(&s->bytes, value);
    s->params[at].len = s->bytes.len - s->params[at].offset;
    if (s->params[at].len > INT32_MAX / 2 || !buf_ok(&s->bytes, err))
        return fail(err, ERR_LIMIT, "database: a text of %zu bytes", value.len);
    return true;
}

static bool postgres_bind_null(void *statement, int at, Error *err)
{
    return param_add(statement, at, 0, err);
}

static bool is_prepared(const Statement *s)
{
    if (s->session != s->link->session)
        return false;
    for (int i = 0; i < s->n; i++) // null fits any type
        if (s->params[i].type && s->params[i].type != s->prepared[i])
            return false;
    return true;
}

/* Prepares if need be and runs; the answer may be an error, NULL when the connection is lost. */
static PGresult *statement_send(Link *l, Statement *s)
{
    for (int i = 0; i < s->n; i++) {
        const Param *p = &s->params[i];
        l->types[i] = p->type;
        l->values[i] = p->type ? s->bytes.ptr + p->offset : NULL;
        l->lengths[i] = (int)p->len;
        l->formats[i] = 1;
    }
    if (!s->keep)
        return PQexecParams(l->conn, s->sql, s->n, l->types, l->values, l->lengths, l->formats, 0);
    if (!is_prepared(s)) {
        if (s->session == l->session) // with other types
            snprintf(s->name, sizeof s->name, "s%llu", (unsigned long long)l->n_names++);
        PGresult *result = PQprepare(l->conn, s->name, s->sql, s->n, l->types);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            return result;
        PQclear(result);
        s->session = l->session;
        for (int i = 0; i < s->n; i++)
            s->prepared[i] = l->types[i];
    }
    return PQexecPrepared(l->conn, s->name, s->n, l->values, l->lengths, l->formats, 0);
}

/* Worth a second attempt: the connection went, or a migration of another node has changed what a
 * prepared statement stands on. */
static bool is_outdated(const Link *l, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    return PQstatus(l->conn) != CONNECTION_OK || !state || strcmp(state, "0A000") == 0 ||
           strcmp(state, "26000") == 0;
}

static bool statement_run(Link *l, Statement *s, Error *err)
{
    for (int attempt = 0;; attempt++) {
        if (!link_ready(l, err))
            return false;
        PGresult *result = statement_send(l, s);
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
            s->result = result;
            s->row = -1;
            s->rows = PQntuples(result);
            l->changes = strtoll(PQcmdTuples(result), NULL, 10);
            return true;
        }
        bool again = attempt == 0 && !l->in_transaction && is_outdated(l, result);
        if (!again)
            (void)!raise(l, result, err, s->sql);
        PQclear(result);
        if (!again)
            return false;
        s->session = 0;
        if (s->keep)
            snprintf(s->name, sizeof s->name, "s%llu", (unsigned long long)l->n_names++);
    }
}

static StepResult postgres_step(void *handle, void *statement, Error *err)
{
    Statement *s = statement;
    if (!s->result && !statement_run(handle, s, err))
        return STEP_ERROR;
    if (s->row < s->rows)
        s->row++;
    return s->row < s->rows ? STEP_ROW : STEP_DONE;
}

static int postgres_columns(void *statement)
{
    return PQnfields(((Statement *)statement)->result);
}

static Str postgres_column_str(void *statement, int at)
{
    const Statement *s = statement;
    return (Str){PQgetvalue(s->result, s->row, at), (size_t)PQgetlength(s->result, s->row, at)};
}

static int64_t postgres_column_int(void *statement, int at)
{
    const Statement *s = statement;
    const char *text = PQgetvalue(s->result, s->row, at);
    return text[0] == 't' ? 1 : strtoll(text, NULL, 10); // "t": a comparison is a boolean here
}

static int64_t postgres_changes(void *handle)
{
    return ((Link *)handle)->changes;
}

const Driver driver_postgres = {
    .engine = DB_POSTGRES,
    .readers = 16,
    .describe = postgres_describe,
    .connect = postgres_connect,
    .disconnect = postgres_disconnect,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .script = postgres_script,
    .prepare = postgres_prepare,
    .finish = postgres_finish,
    .reset = postgres_reset,
    .bind_int = postgres_bind_int,
    .bind_str = postgres_bind_str,
    .bind_null = postgres_bind_null,
    .step = postgres_step,
    .columns = postgres_columns,
    .column_int = postgres_column_int,
    .column_str = postgres_column_str,
    .changes = postgres_changes,
};
