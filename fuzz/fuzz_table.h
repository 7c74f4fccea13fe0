/* What the fuzz targets of tables share: open, read some rows from two places, show them as JSON.
 */
#pragma once

#include "fuzz.h"

#include "tables/table.h"

typedef struct Bytes {
    const uint8_t *ptr;
    size_t len;
} Bytes;

static bool read_bytes(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const Bytes *bytes = context;
    (void)err;
    CHECK(offset >= 0 && (size_t)offset <= bytes->len && n <= bytes->len - (size_t)offset);
    memcpy(out, bytes->ptr + offset, n);
    return true;
}

static inline void read_table(const uint8_t *data, size_t size, TableFormat format)
{
    Bytes bytes = {data, size};
    ByteSource file = {"fuzz", (int64_t)size, read_bytes, &bytes};
    Error err = {0};
    AUTO(table_free) Table *t = table_open(&file, format, &err);
    CHECK(t || err.text[0]);
    for (int64_t from = 0; t && from < 8; from += 5) {
        AUTO(arena_free) Arena *a = arena_new(0);
        TableRows rows;
        if (!table_read(t, from, 20, a, &rows, &err))
            CHECK(err.text[0]);
        else
            for (size_t i = 0; i < rows.n; i++)
                json_decref(cell_json(table_type(t), &rows.items[i]));
    }
    if (t)
        json_decref(type_feature_json(table_type(t)));
}
