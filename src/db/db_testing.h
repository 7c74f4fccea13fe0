/* For tests that open a database: the engine is PostgreSQL where HUG_TEST_POSTGRES names one
 * (tools/postgres does), SQLite otherwise. */
#pragma once

#include "base/test.h"
#include "db/db.h"

static inline bool test_on_postgres(void)
{
    return getenv("HUG_TEST_POSTGRES") != NULL;
}

/* The URL of a database that keeps what is stored under this name: a file of test_folder(), or a
 * schema. A name is a word; the result lives as long as the program. */
static inline const char *test_db(const char *name)
{
    static Arena *texts;
    const char *server = getenv("HUG_TEST_POSTGRES");
    if (!texts)
        texts = arena_new(0);
    if (!server)
        return arena_printf(texts, "%s/%s.db", test_folder(), name);
    Error err = {0};
    AUTO(db_close) Db *db = db_open(server, &err);
    AUTO(conn_end) Conn *c = db ? db_write(db, &err) : NULL;
    char sql[100];
    snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS test_%s", name);
    if (!c || !conn_script(c, sql, &err) || !conn_commit(c, &err))
        fail_msg("%s", err.text);
    return arena_printf(texts, "%s?options=-csearch_path%%3Dtest_%s", server, name);
}
