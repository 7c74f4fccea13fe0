/* What the files of the Parquet reader share.
 *
 * parquet_schema.c reads the footer: a tree of nodes, the row groups, where each column's chunk
 * lies. parquet_page.c reads of a chunk the pages that hold the rows asked for, parquet_decode.c
 * unpacks what is in a page, and parquet.c puts rows together from the columns' levels and values
 * (Melnik 2010, "Dremel", section 4.2: here in its recursive form, a node at a time).
 * Source: the format's specification, github.com/apache/parquet-format. */
#pragma once

#include "tables/tables_internal.h"

enum {
    MAX_FOOTER = 64 << 20,
    MAX_FOOTER_MEMORY = 192 << 20,
    MAX_NODES = 20000,
    MAX_NESTING = 60, // of nodes: levels fit a byte
    MAX_PAGE = 128 << 20,
    MAX_PAGE_VALUES = 8 << 20,
    MAX_READ = 256 << 20, // memory of one read
};

enum Physical { BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED, PHYSICAL_TYPES };

/* What a column's plain values mean. */
typedef enum Meaning {
    MEANS_ITSELF, // bool, integer, number or bytes
    MEANS_UNSIGNED,
    MEANS_TEXT,
    MEANS_DATE,
    MEANS_TIME,
    MEANS_TIMESTAMP,
    MEANS_DECIMAL,
    MEANS_HALF,
    MEANS_UUID,
    MEANS_NOTHING, // a column of nulls
} Meaning;

typedef struct Node {
    TableType type;
    bool repeated, optional;
    bool hidden;  // a group that only spells a list: its value is its repeated child's
    int def, rep; // levels at which this node is there
    struct Node *items;
    size_t n;
    int leaf; // which column, counted from 0; -1 for groups
    size_t first_leaf, n_leaves;
    int physical;
    int64_t width; // FIXED
    Meaning meaning;
    int64_t unit; // of a second: times
    bool utc;
    int scale; // decimals
} Node;

typedef struct Chunk {
    int64_t codec, n_values;
    int64_t pages, dictionary, size; // offsets; dictionary is 0 where there is none
    int64_t index, index_size;       // of the pages; 0: none
} Chunk;

typedef struct RowGroup {
    int64_t first, rows;
    Chunk *chunks; // one a leaf
} RowGroup;

typedef struct Parquet {
    Table table;
    Node root;
    const Node **leaves;
    size_t n_leaves;
    RowGroup *groups;
    size_t n_groups;
} Parquet;

/* A plain value: an integer, a number, or bytes. */
typedef union Raw {
    int64_t i;
    double d;
    Str s;
} Raw;

/* Some of a column's entries: for each its levels, for each that is there its value. */
typedef struct Column {
    const Node *leaf;
    Buf def, rep; // bytes; empty where the level can only be 0
    Buf values;   // Raws
    size_t n;     // entries
    size_t pos, value_pos;
    Raw *dictionary;
    size_t n_dictionary;
} Column;

bool parquet_footer(Parquet *p, Error *err);

/* Reads rows from `from` to `to`, counted within the group, into an empty column that then stands
 * at the first of them. What it points to is in the arena; `max` bounds each of its buffers. */
bool column_read(const Parquet *p, const RowGroup *group, size_t leaf, int64_t from, int64_t to,
                 Arena *a, size_t max, Column *out, Error *err);
void column_done(Column *c);

/* ---- parquet_decode.c: each reads exactly n from r, or leaves an error in it ---- */

/* Runs and bit-packed groups: levels, indices, booleans. */
void decode_hybrid(Reader *r, int width, uint32_t *out, size_t n);
/* Values of a column in one of Parquet's encodings, appended to column->values. */
void decode_values(Reader *r, int64_t encoding, const Node *leaf, Column *column, size_t n,
                   Arena *a);
static inline int bits_for(int max)
{
    int bits = 0;
    for (; max > 0; max >>= 1)
        bits++;
    return bits;
}
