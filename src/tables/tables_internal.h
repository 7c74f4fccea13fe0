/* What the formats share: each is a TableKind, a Table begins each one's own struct. */
#pragma once

#include "tables/table.h"

typedef struct TableKind {
    Table *(*open)(const ByteSource *file, TableFormat format, Error *err);
    void (*free)(Table *t);
    bool (*count)(Table *t, int64_t max, Error *err); // sets Table.rows
    bool (*read)(Table *t, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err);
} TableKind;

struct Table {
    const TableKind *kind;
    ByteSource file;
    Arena *arena; // types, and what else lives as long as the table
    TableType type;
    int64_t rows;  // -1: not known
    bool is_brief; // bytes may be cut
};

extern const TableKind parquet_kind, records_kind, tar_kind;

/* What one read may hand out: the arena itself has no limit, so that small things can be put there
 * without a look; what the file sizes goes through here. */
enum { MAX_RESULT = 192 << 20 };
typedef struct Room {
    Arena *a;
    size_t start; // arena_used when the read began
    Error *err;   // never NULL; ERR_LIMIT is left here
} Room;
static inline Room room_of(Arena *a, Error *err)
{
    return (Room){.a = a, .start = arena_used(a), .err = err};
}
/* n * size zeroed bytes, or NULL. */
void *room_take(const Room *room, size_t n, size_t size);
/* A copy; empty where there is no room. */
Str room_str(const Room *room, Str s);

/* ---- type.c ---- */

/* Text of a moment: `unit` is how many make a second. ISO 8601, with a fraction where there is one;
 * plain digits for what lies outside the years 1 to 9999. */
Str time_text(Arena *a, int64_t value, int64_t unit, bool utc);
Str date_text(Arena *a, int64_t days);
Str clock_text(Arena *a, int64_t value, int64_t unit);

/* ---- infer.c: types from the first values ---- */

/* CSV: the dtype of a column from its cells, "int64", "float64", "bool" or "string". */
Str csv_dtype(const Str *cells, size_t n, size_t stride);
/* A cell that pandas reads as missing. */
bool csv_is_missing(Str cell);
Cell csv_cell(const Room *room, Str dtype, Str cell);
/* JSON: what holds all of these; consumes nothing. */
void json_type_widen(Arena *a, TableType *type, const json_t *value);
/* What is still of no type becomes "null". */
void json_type_settle(TableType *type);
Cell json_cell(const Room *room, const TableType *type, const json_t *value);
