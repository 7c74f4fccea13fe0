/* table.c: which format opens what; see table.h. */
#include "tables/tables_internal.h"

#include "base/encode.h"

#include <math.h>

static const TableKind *const kinds[TABLE_FORMATS] = {
    [TABLE_CSV] = &records_kind,     [TABLE_TSV] = &records_kind,  [TABLE_JSON] = &records_kind,
    [TABLE_PARQUET] = &parquet_kind, [TABLE_TEXT] = &records_kind, [TABLE_TAR] = &tar_kind,
};

Table *table_open(const ByteSource *file, TableFormat format, Error *err)
{
    return kinds[format]->open(file, format, err);
}

void table_free(Table *t)
{
    if (t)
        t->kind->free(t);
}

void table_be_brief(Table *t)
{
    t->is_brief = true;
}

const TableType *table_type(const Table *t)
{
    return &t->type;
}

int64_t table_rows(const Table *t)
{
    return t->rows;
}

bool table_count(Table *t, int64_t max, int64_t *n, Error *err)
{
    if (t->rows < 0 && !t->kind->count(t, max, err))
        return false;
    *n = t->rows;
    return true;
}

bool table_read(Table *t, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err)
{
    *out = (TableRows){0};
    if (from < 0 || n <= 0 || (t->rows >= 0 && from >= t->rows))
        return true;
    if (t->rows >= 0)
        n = MIN(n, t->rows - from);
    return t->kind->read(t, from, n, a, out, err);
}

void *room_take(const Room *room, size_t n, size_t size)
{
    size_t total;
    if (!size_mul(MAX(n, (size_t)1), size, &total) ||
        total > MAX_RESULT - MIN(arena_used(room->a) - room->start, (size_t)MAX_RESULT)) {
        if (!room->err->code)
            (void)!fail(room->err, ERR_LIMIT, "these rows hold more than %d bytes", MAX_RESULT);
        return NULL;
    }
    return arena_alloc(room->a, total);
}

Str room_str(const Room *room, Str s)
{
    char *to = room_take(room, s.len + 1, 1);
    if (to && s.len)
        memcpy(to, s.ptr, s.len);
    return (Str){to, to ? s.len : 0};
}

/* ---- As JSON ---- */

static json_t *bytes_json(Str bytes)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    base64_encode(&text, bytes);
    return json_from_str(buf_str(&text));
}

json_t *cell_json(const TableType *type, const Cell *value)
{
    json_t *out;
    switch (value->kind) {
    case CELL_NULL:
        return json_null();
    case CELL_BOOL:
        return json_boolean(value->flag);
    case CELL_INT:
        return json_integer(value->integer);
    case CELL_FLOAT:
        return isfinite(value->number) ? json_real(value->number) : json_null();
    case CELL_TEXT:
        return json_from_str(value->text);
    case CELL_BYTES:
        return bytes_json(value->text);
    case CELL_LIST:
        out = json_array();
        for (size_t i = 0; i < value->n; i++)
            json_array_append_new(out, cell_json(&type->items[0], &value->items[i]));
        return out;
    case CELL_STRUCT:
        out = json_object();
        for (size_t i = 0; i < value->n; i++)
            json_object_setn_new(out, type->items[i].name.ptr, type->items[i].name.len,
                                 cell_json(&type->items[i], &value->items[i]));
        return out;
    case CELL_JSON:
        out = json_parse(value->text, "value", NULL);
        return out ? out : json_null();
    }
    return json_null();
}

json_t *type_feature_json(const TableType *type)
{
    json_t *out = json_object();
    switch (type->kind) {
    case TYPE_VALUE:
        json_object_set_new(out, "dtype", json_from_str(type->dtype));
        json_object_set_new(out, "_type", json_string("Value"));
        break;
    case TYPE_LIST:
        json_object_set_new(out, "feature", type_feature_json(&type->items[0]));
        json_object_set_new(out, "_type", json_string("List"));
        break;
    case TYPE_STRUCT:
        for (size_t i = 0; i < type->n; i++)
            json_object_setn_new(out, type->items[i].name.ptr, type->items[i].name.len,
                                 type_feature_json(&type->items[i]));
        break;
    case TYPE_JSON:
        json_object_set_new(out, "_type", json_string("Json"));
        break;
    }
    return out;
}
