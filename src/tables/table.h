/* tables: rows out of Parquet, CSV, JSON, JSON lines, plain text and archives, behind one reader.
 *
 *     AUTO(table_free) Table *t = table_open(&file, TABLE_PARQUET, err);
 *     if (!t || !table_read(t, 100, 20, arena, &rows, err)) ...       // rows 100 to 119
 *     for (size_t i = 0; i < rows.n; i++) json = cell_json(table_type(t), &rows.items[i]);
 *
 * Bytes come through ByteSource, so a file may lie anywhere; only those that are needed are
 * read: of Parquet the footer and the pages that hold the rows, of the others the part up to the
 * last row. Types are named as the `datasets` library names them ("int64", "timestamp[us]"); where
 * a format has none they are inferred from the first rows as pandas (CSV) and pyarrow (JSON) do.
 *
 * Files are outside bytes: everything has a limit, and an error names the file and the offset.
 * Threads: a Table belongs to one thread at a time. */
#pragma once

#include "base/json.h"
#include "base/source.h"

typedef enum TableFormat {
    TABLE_CSV,
    TABLE_TSV,
    TABLE_JSON, // one document that is a list, or a value a line: its first byte says which
    TABLE_PARQUET,
    TABLE_TEXT, // a column "text", a row a line
    TABLE_TAR,  // WebDataset: a row a sample, a column an ending of its files' names
    TABLE_FORMATS
} TableFormat;

/* ---- Types and values ---- */

typedef enum TypeKind {
    TYPE_VALUE,  // `dtype` says which
    TYPE_LIST,   // of items[0]
    TYPE_STRUCT, // its fields are items
    TYPE_JSON,   // anything, row by row: no one type fits
} TypeKind;

typedef struct TableType {
    Str name;
    TypeKind kind;
    Str dtype; // "string", "int64", "float64", "bool", "null", "binary", "date32", ...
    struct TableType *items;
    size_t n;
} TableType;

typedef enum CellKind {
    CELL_NULL,
    CELL_BOOL,
    CELL_INT,
    CELL_FLOAT,
    CELL_TEXT, // also times, dates and decimals, as people write them
    CELL_BYTES,
    CELL_LIST,
    CELL_STRUCT, // a value for each item of its type
    CELL_JSON,   // text holds JSON
} CellKind;

typedef struct Cell {
    CellKind kind;
    union {
        bool flag;
        int64_t integer;
        double number;
        Str text;
        struct {
            struct Cell *items;
            size_t n;
        };
    };
} Cell;

typedef struct TableRows {
    Cell *items; // structs, as table_type says
    size_t n;
} TableRows;

/* The caller's. Bytes become base64; NaN and the infinities, which JSON lacks, null. */
json_t *cell_json(const TableType *type, const Cell *value);
/* The dataset library's description of a type: {"dtype": "int64", "_type": "Value"} and so on. */
json_t *type_feature_json(const TableType *type);

/* ---- Tables ---- */

typedef struct Table Table;

Table *table_open(const ByteSource *file, TableFormat format, Error *err);
void table_free(Table *t);
AUTO_FREE(Table, table_free)
/* From now on the beginning of a picture, a sound or a film will do, where that saves reading:
 * enough to know what kind it is. */
void table_be_brief(Table *t);
/* A struct: its items are the columns. Borrowed. */
const TableType *table_type(const Table *t);
/* How many rows there are, -1 before a format that does not say was passed over to its end. */
int64_t table_rows(const Table *t);
/* Finds it out, reading the whole file if need be; ERR_LIMIT past `max` bytes. */
bool table_count(Table *t, int64_t max, int64_t *n, Error *err);
/* Rows from to from + n - 1, fewer at the end; into an arena without a limit of its own. ERR_LIMIT
 * where they come to more than 192 MiB. */
bool table_read(Table *t, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err);
