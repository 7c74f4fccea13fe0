/* What a database driver offers to db.c: a row of functions on its own handles. Texts passed to
 * `prepare` and `script` are terminated. Indexes count from 0. */
#pragma once

#include "db/db.h"

typedef enum StepResult { STEP_ERROR, STEP_ROW, STEP_DONE } StepResult;

typedef struct Driver {
    DbEngine engine;
    int readers; // the most connections for reading
    /* How messages call the database that a URL names: never with a password. NULL when it names
     * none. The caller frees it. */
    char *(*describe)(const char *url, Error *err);
    void *(*connect)(const char *url, bool for_writing, Error *err);
    void (*disconnect)(void *handle);
    /* A transaction of the one writer: begin waits for its turn, after a failed commit nothing is
     * left to roll back. */
    bool (*begin)(void *handle, Error *err);
    bool (*commit)(void *handle, Error *err);
    void (*rollback)(void *handle);
    bool (*script)(void *handle, const char *sql, Error *err);
    /* `keep`: it will be used again and again; the text lives as long as the statement. */
    void *(*prepare)(void *handle, const char *sql, bool keep, Error *err);
    void (*finish)(void *statement);
    void (*reset)(void *statement); // ready to be bound anew
    bool (*bind_int)(void *statement, int at, int64_t value, Error *err);
    bool (*bind_str)(void *statement, int at, Str value, Error *err);
    bool (*bind_null)(void *statement, int at, Error *err);
    StepResult (*step)(void *handle, void *statement, Error *err);
    int (*columns)(void *statement);
    int64_t (*column_int)(void *statement, int at);
    Str (*column_str)(void *statement, int at);
    int64_t (*changes)(void *handle);
} Driver;

extern const Driver driver_sqlite, driver_postgres;
