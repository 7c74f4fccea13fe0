/* What a database driver offers to db.c: a row of functions on its own handles. Texts passed to
 * `prepare` and `script` are terminated. Indexes count from 0. */
#pragma once

#include "db/db.h"

typedef enum StepResult { STEP_ERROR, STEP_ROW, STEP_DONE } StepResult;

typedef struct Driver {
    const char *scheme; // "sqlite": what stands before the colon
    DbEngine engine;
    int readers;        // the most connections for reading
    void *(*connect)(const char *place, bool for_writing, Error *err);
    void (*disconnect)(void *handle);
    const char *begin; // SQL that begins a transaction for writing
    bool (*script)(void *handle, const char *sql, Error *err);
    void *(*prepare)(void *handle, const char *sql, Error *err);
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

extern const Driver driver_sqlite;
