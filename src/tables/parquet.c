/* parquet.c: rows of a Parquet file, put together from its columns; see parquet_internal.h. */
#include "tables/parquet_internal.h"

#include "base/encode.h"

#include <math.h>

/* What one read of one row group holds. */
typedef struct Assembly {
    const Parquet *p;
    Column *columns;
    Room room; // of the caller: values
    Error *err;
} Assembly;

/* ---- Plain values ---- */

/* Two's complement with the high byte first, divided by ten again and again. */
static Cell decimal_cell(Arena *a, const uint8_t *bytes, size_t n, int scale)
{
    uint8_t work[32];
    char digits[128];
    int at = (int)sizeof digits;
    if (n == 0 || n > sizeof work)
        return (Cell){.kind = CELL_NULL};
    bool negative = bytes[0] & 0x80;
    memcpy(work, bytes, n);
    if (negative) { // the complement and one
        unsigned carry = 1;
        for (size_t i = n; i-- > 0; carry >>= 8)
            work[i] = (uint8_t)(carry += (uint8_t)~work[i]);
    }
    for (int count = 0;; count++) {
        unsigned rest = 0, any = 0;
        for (size_t i = 0; i < n; i++) {
            rest = rest << 8 | work[i];
            work[i] = (uint8_t)(rest / 10);
            rest %= 10;
            any |= work[i];
        }
        digits[--at] = (char)('0' + rest);
        if (scale && count + 1 == scale && at > 2)
            digits[--at] = '.';
        if ((!any && count >= scale) || at < 3)
            break;
    }
    if (negative)
        digits[--at] = '-';
    Str text = {digits + at, sizeof digits - (size_t)at};
    return (Cell){.kind = CELL_TEXT, .text = arena_str(a, text)};
}

static Cell decimal_of(Arena *a, const Node *leaf, Raw raw)
{
    if (leaf->physical != INT32 && leaf->physical != INT64)
        return decimal_cell(a, (const uint8_t *)raw.s.ptr, raw.s.len, leaf->scale);
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)raw.i >> (56 - 8 * i));
    return decimal_cell(a, bytes, sizeof bytes, leaf->scale);
}

/* Nanoseconds of the day, then the Julian day. */
static Cell int96_cell(Arena *a, Str bytes)
{
    Reader r = reader_of(bytes.ptr, bytes.len, "time");
    int64_t ns = (int64_t)reader_u64(&r), day = (int64_t)reader_u32(&r) - 2440588;
    Str text = str_of(
        arena_printf(a, "%.*sT%.*s", STR(date_text(a, day)), STR(clock_text(a, ns, 1000000000))));
    return (Cell){.kind = r.error.code ? CELL_NULL : CELL_TEXT, .text = text};
}

static Cell uuid_cell(Arena *a, Str bytes)
{
    char hex[33];
    if (bytes.len != 16)
        return (Cell){.kind = CELL_NULL};
    hex_encode(bytes.ptr, 16, hex);
    return (Cell){.kind = CELL_TEXT,
                  .text = str_of(arena_printf(a, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
                                              hex + 12, hex + 16, hex + 20))};
}

static double half_number(Str bytes)
{
    if (bytes.len != 2)
        return NAN;
    unsigned bits = (unsigned)(uint8_t)bytes.ptr[0] | (unsigned)(uint8_t)bytes.ptr[1] << 8;
    unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31  ? fraction ? (double)NAN : (double)INFINITY
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(fraction + 1024, (int)exponent - 25);
    return bits >> 15 ? -size : size;
}

static Cell plain_cell(Assembly *s, const Node *leaf, Raw raw)
{
    Arena *a = s->room.a;
    switch (leaf->meaning) {
    case MEANS_NOTHING:
        return (Cell){.kind = CELL_NULL};
    case MEANS_TEXT:
        return (Cell){.kind = CELL_TEXT, .text = room_str(&s->room, raw.s)};
    case MEANS_DATE:
        return (Cell){.kind = CELL_TEXT, .text = date_text(a, raw.i)};
    case MEANS_TIME:
        return (Cell){.kind = CELL_TEXT, .text = clock_text(a, raw.i, leaf->unit)};
    case MEANS_TIMESTAMP:
        if (leaf->physical == INT96)
            return int96_cell(a, raw.s);
        return (Cell){.kind = CELL_TEXT, .text = time_text(a, raw.i, leaf->unit, leaf->utc)};
    case MEANS_DECIMAL:
        return decimal_of(a, leaf, raw);
    case MEANS_HALF:
        return (Cell){.kind = CELL_FLOAT, .number = half_number(raw.s)};
    case MEANS_UUID:
        return uuid_cell(a, raw.s);
    case MEANS_UNSIGNED:
        if (leaf->physical == INT32)
            return (Cell){.kind = CELL_INT, .integer = (uint32_t)raw.i};
        if (raw.i < 0) // past what a JSON integer of ours holds
            return (Cell){.kind = CELL_FLOAT, .number = (double)(uint64_t)raw.i};
        break;
    case MEANS_ITSELF:
        break;
    }
    switch ((enum Physical)leaf->physical) {
    case BOOLEAN:
        return (Cell){.kind = CELL_BOOL, .flag = raw.i != 0};
    case INT32:
    case INT64:
        return (Cell){.kind = CELL_INT, .integer = raw.i};
    case FLOAT:
    case DOUBLE:
        return (Cell){.kind = CELL_FLOAT, .number = raw.d};
    default:
        return (Cell){.kind = CELL_BYTES, .text = room_str(&s->room, raw.s)};
    }
}

/* ---- Nested ones ---- */

static Cell assemble(Assembly *s, const Node *node);

static bool is_broken(Assembly *s)
{
    return s->err->code != ERR_NONE;
}

static void broken(Assembly *s, const Node *node)
{
    if (!is_broken(s))
        (void)!fail(s->err, ERR_INVALID, "%s: column '%.*s' has fewer values than the others",
                    s->p->table.file.name, STR(node->type.name));
}

/* The next entry's definition level; the first column below a node speaks for all. */
static int next_def(Assembly *s, const Node *node)
{
    const Column *c = &s->columns[node->first_leaf];
    if (c->pos >= c->n) {
        broken(s, node);
        return 0;
    }
    return c->leaf->def ? (uint8_t)c->def.ptr[c->pos] : 0;
}

static int next_rep(const Assembly *s, const Node *node)
{
    const Column *c = &s->columns[node->first_leaf];
    if (c->pos >= c->n)
        return -1; // the end of the last row
    return c->leaf->rep ? (uint8_t)c->rep.ptr[c->pos] : 0;
}

/* A node that is not there has one entry in each column below it. */
static void pass_over(Assembly *s, const Node *node)
{
    for (size_t i = 0; i < node->n_leaves; i++) {
        Column *c = &s->columns[node->first_leaf + i];
        if (c->pos >= c->n) {
            broken(s, node);
            return;
        }
        // Not said to be there by the first column, it may still have a value in a broken file.
        c->value_pos += !c->leaf->def || (uint8_t)c->def.ptr[c->pos] == c->leaf->def;
        c->pos++;
    }
}

static Cell leaf_cell(Assembly *s, const Node *node)
{
    Column *c = &s->columns[node->leaf];
    bool there = next_def(s, node) == node->def;
    Cell out = {.kind = CELL_NULL};
    if (is_broken(s))
        return out;
    c->pos++;
    if (!there)
        return out;
    if (c->value_pos >= c->values.len / sizeof(Raw)) {
        broken(s, node);
        return out;
    }
    Raw raw;
    memcpy(&raw, c->values.ptr + c->value_pos++ * sizeof(Raw), sizeof raw);
    return plain_cell(s, node, raw);
}

/* A node that is known to be there, without its repetition. */
static Cell one(Assembly *s, const Node *node)
{
    if (node->leaf >= 0)
        return leaf_cell(s, node);
    if (node->hidden)
        return assemble(s, &node->items[0]);
    Cell out = {.kind = CELL_STRUCT};
    out.items = room_take(&s->room, node->n, sizeof(Cell));
    for (; out.items && out.n < node->n && !is_broken(s); out.n++)
        out.items[out.n] = assemble(s, &node->items[out.n]);
    return out;
}

static Cell list_cell(Assembly *s, const Node *node)
{
    Cell out = {.kind = CELL_LIST};
    size_t cap = 0;
    if (next_def(s, node) < node->def) {
        pass_over(s, node);
        return out;
    }
    do {
        if (out.n == cap) {
            Cell *more = room_take(&s->room, cap = cap ? 2 * cap : 8, sizeof(Cell));
            if (!more)
                return out;
            if (out.n)
                memcpy(more, out.items, out.n * sizeof(Cell));
            out.items = more;
        }
        out.items[out.n++] = one(s, node);
    } while (!is_broken(s) && next_rep(s, node) == node->rep);
    return out;
}

static Cell assemble(Assembly *s, const Node *node)
{
    if (node->repeated)
        return list_cell(s, node);
    if (node->optional && node->leaf < 0 && next_def(s, node) < node->def) {
        pass_over(s, node);
        return (Cell){.kind = CELL_NULL};
    }
    return one(s, node);
}

/* ---- The table ---- */

static void parquet_free(Table *t)
{
    arena_free(t->arena); // it holds the table
}

static Table *parquet_open(const ByteSource *file, TableFormat format, Error *err)
{
    (void)format;
    Arena *arena = arena_new(MAX_FOOTER_MEMORY);
    Parquet *p = NEW(arena, Parquet);
    p->table = (Table){.kind = &parquet_kind, .file = *file, .arena = arena, .rows = -1};
    if (!parquet_footer(p, err)) {
        parquet_free(&p->table);
        return NULL;
    }
    return &p->table;
}

static bool read_columns(const Parquet *p, const RowGroup *group, int64_t from, int64_t to,
                         Arena *scratch, Column *columns, Error *err)
{
    size_t left = MAX_READ;
    for (size_t i = 0; i < p->n_leaves; i++) {
        Column *c = &columns[i];
        if (!column_read(p, group, i, from, to, scratch, left, c, err))
            return false;
        size_t used = c->def.cap + c->rep.cap + c->values.cap;
        left = used < left ? left - used : 1;
    }
    return true;
}

/* The rows from `from` to `to` of one group, appended. */
static bool read_group(const Parquet *p, const RowGroup *group, int64_t from, int64_t to, Room room,
                       TableRows *out)
{
    AUTO(arena_free) Arena *scratch = arena_new(MAX_READ);
    Column *columns = arena_try(scratch, p->n_leaves + 1, sizeof *columns, room.err);
    Assembly s = {.p = p, .columns = columns, .room = room, .err = room.err};
    bool ok = columns && read_columns(p, group, from, to, scratch, columns, room.err);
    for (int64_t row = from; ok && row < to; row++) {
        out->items[out->n] = one(&s, &p->root);
        ok = !is_broken(&s);
        out->n += ok;
    }
    for (size_t i = 0; columns && i < p->n_leaves; i++)
        column_done(&columns[i]);
    return ok;
}

static bool parquet_read(Table *t, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err)
{
    const Parquet *p = (const Parquet *)t;
    Error raised = {0};
    Room room = room_of(a, &raised);
    out->items = room_take(&room, (size_t)n, sizeof(Cell));
    bool ok = out->items != NULL;
    int64_t to = from + n;
    for (size_t i = 0; ok && i < p->n_groups; i++) {
        const RowGroup *group = &p->groups[i];
        int64_t first = MAX(from, group->first), last = MIN(to, group->first + group->rows);
        if (first < last)
            ok = read_group(p, group, first - group->first, last - group->first, room, out);
    }
    if (!ok && err)
        *err = raised;
    return ok;
}

const TableKind parquet_kind = {.open = parquet_open, .free = parquet_free, .read = parquet_read};
