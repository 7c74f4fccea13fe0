/* Rows of a table as a page shows them: the variables "columns" and "rows" of sheet.html. */
#pragma once

#include "hub/dataset_rows.h"

typedef struct Sheet {
    json_t *columns, *rows; // arrays, the caller's
    int64_t at;             // the next row's number
    /* Where the browser gets a picture, a sound or a film; NULL: they are shown as text. */
    const char *(*url)(void *user, const Media *media, Str column, int64_t row);
    void *user;
} Sheet;

Sheet sheet_of(int64_t from);
/* Appends rows, the first time the columns too; as SplitRead.each wants it. */
bool sheet_add(void *sheet, const TableType *type, const TableRows *rows, Error *err);
