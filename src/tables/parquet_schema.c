/* parquet_schema.c: the footer of a Parquet file: its schema and row groups. */
#include "tables/parquet_internal.h"
#include "tables/thrift.h"

enum { TAIL = 8 }; // the footer's length and "PAR1"

enum Repetition { REQUIRED, OPTIONAL, REPEATED };

/* Logical types: members of the union in the schema. */
enum Logical {
    LOGICAL_NONE,
    LOGICAL_STRING,
    LOGICAL_MAP,
    LOGICAL_LIST,
    LOGICAL_ENUM,
    LOGICAL_DECIMAL,
    LOGICAL_DATE,
    LOGICAL_TIME,
    LOGICAL_TIMESTAMP,
    LOGICAL_INTEGER = 10,
    LOGICAL_NOTHING,
    LOGICAL_JSON,
    LOGICAL_UUID = 14,
    LOGICAL_HALF,
};

/* One element of the schema as the file has it. */
typedef struct Element {
    int64_t physical, width, repetition, n, converted, scale, precision;
    Str name;
    int logical;
    int64_t bits, unit;
    bool is_signed, utc;
} Element;

typedef struct Footer {
    Parquet *p;
    Reader r;
    Element *elements;
    size_t n_elements, next;
} Footer;

static Arena *arena_of(const Footer *f)
{
    return f->p->table.arena;
}

/* n items that the file promises: ERR_LIMIT rather than more memory than the table may take. */
static void *take(Footer *f, size_t n, size_t size)
{
    Error err = {0};
    void *out = arena_try(arena_of(f), n + 1, size, &err);
    if (!out)
        reader_fail(&f->r, err.code, "%s", err.text);
    return out;
}

/* ---- Elements ---- */

static void read_unit(Reader *r, Element *e)
{
    static const int64_t units[] = {0, 1000, 1000000, 1000000000};
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        if (s.id >= 1 && s.id <= 3)
            e->unit = units[s.id];
        thrift_skip(r, s.type);
    }
}

/* What is inside a member of the union; each member uses few of the numbers. */
static void read_logical_members(Reader *r, Element *e)
{
    ThriftStruct s = {0};
    bool timed = e->logical == LOGICAL_TIME || e->logical == LOGICAL_TIMESTAMP;
    while (thrift_field(r, &s)) {
        if (timed && s.id == 1)
            e->utc = s.type == THRIFT_TRUE;
        else if (timed && s.id == 2 && s.type == THRIFT_STRUCT)
            read_unit(r, e);
        else if (e->logical == LOGICAL_DECIMAL && s.id == 1 && s.type == THRIFT_I32)
            e->scale = thrift_int(r);
        else if (e->logical == LOGICAL_DECIMAL && s.id == 2 && s.type == THRIFT_I32)
            e->precision = thrift_int(r);
        else if (e->logical == LOGICAL_INTEGER && s.id == 1 && s.type == THRIFT_BYTE)
            e->bits = reader_u8(r);
        else if (e->logical == LOGICAL_INTEGER && s.id == 2)
            e->is_signed = s.type == THRIFT_TRUE;
        else
            thrift_skip(r, s.type);
    }
}

static void read_logical(Reader *r, Element *e)
{
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        e->logical = s.id;
        if (s.type == THRIFT_STRUCT)
            read_logical_members(r, e);
        else
            thrift_skip(r, s.type);
    }
}

/* What older writers say instead of a logical type. */
static void from_converted(Element *e)
{
    static const struct {
        int logical;
        int64_t bits, unit;
        bool is_signed;
    } rows[] = {
        {LOGICAL_STRING},
        {LOGICAL_MAP},
        {LOGICAL_MAP},
        {LOGICAL_LIST},
        {LOGICAL_ENUM},
        {LOGICAL_DECIMAL},
        {LOGICAL_DATE},
        {LOGICAL_TIME, 0, 1000},
        {LOGICAL_TIME, 0, 1000000},
        {LOGICAL_TIMESTAMP, 0, 1000},
        {LOGICAL_TIMESTAMP, 0, 1000000},
        {LOGICAL_INTEGER, 8},
        {LOGICAL_INTEGER, 16},
        {LOGICAL_INTEGER, 32},
        {LOGICAL_INTEGER, 64},
        {LOGICAL_INTEGER, 8, 0, true},
        {LOGICAL_INTEGER, 16, 0, true},
        {LOGICAL_INTEGER, 32, 0, true},
        {LOGICAL_INTEGER, 64, 0, true},
        {LOGICAL_JSON},
    };
    if (e->logical || e->converted < 0 || e->converted >= (int64_t)COUNT(rows))
        return;
    e->logical = rows[e->converted].logical;
    e->bits = rows[e->converted].bits;
    e->unit = rows[e->converted].unit;
    e->is_signed = rows[e->converted].is_signed;
    e->utc = e->logical == LOGICAL_TIMESTAMP;
}

static void read_element(Reader *r, Element *e)
{
    *e = (Element){.physical = -1, .converted = -1};
    int64_t *const numbers[] = {NULL,  &e->physical,  &e->width, &e->repetition, NULL,
                                &e->n, &e->converted, &e->scale, &e->precision};
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        if (s.id < (int)COUNT(numbers) && numbers[s.id] && s.type == THRIFT_I32)
            *numbers[s.id] = thrift_int(r);
        else if (s.id == 4 && s.type == THRIFT_BINARY)
            e->name = thrift_binary(r);
        else if (s.id == 10 && s.type == THRIFT_STRUCT)
            read_logical(r, e);
        else
            thrift_skip(r, s.type);
    }
    from_converted(e);
}

static void read_schema(Footer *f)
{
    int type;
    size_t n = thrift_list(&f->r, &type);
    if (n > MAX_NODES || type != THRIFT_STRUCT) {
        reader_fail(&f->r, ERR_LIMIT, "a schema of %zu elements", n);
        return;
    }
    f->elements = take(f, n, sizeof *f->elements);
    for (size_t i = 0; f->elements && i < n && !f->r.error.code; i++)
        read_element(&f->r, &f->elements[f->n_elements++]);
}

/* ---- The tree ---- */

static const char *plain_dtype(const Node *node)
{
    static const char *const names[PHYSICAL_TYPES] = {
        [BOOLEAN] = "bool",        [INT32] = "int32",   [INT64] = "int64",
        [INT96] = "timestamp[ns]", [FLOAT] = "float32", [DOUBLE] = "float64",
        [BYTE_ARRAY] = "binary",   [FIXED] = "binary"};
    return names[node->physical];
}

static const char *unit_name(int64_t unit)
{
    return unit == 1000 ? "ms" : unit == 1000000 ? "us" : "ns";
}

/* The meaning and the dtype of a column; what does not fit its plain type is left as that. */
static void set_meaning(Footer *f, Node *node, const Element *e)
{
    Arena *a = arena_of(f);
    const char *dtype = plain_dtype(node);
    bool integer = node->physical == INT32 || node->physical == INT64;
    bool bytes = node->physical == BYTE_ARRAY;
    node->unit = e->unit;
    node->utc = e->utc;
    node->scale = (int)e->scale;
    if (node->physical == INT96) {
        node->meaning = MEANS_TIMESTAMP;
        node->unit = 1000000000;
    } else if (bytes && (e->logical == LOGICAL_STRING || e->logical == LOGICAL_ENUM ||
                         e->logical == LOGICAL_JSON)) {
        node->meaning = MEANS_TEXT;
        dtype = "string";
    } else if (e->logical == LOGICAL_NOTHING) {
        node->meaning = MEANS_NOTHING;
        dtype = "null";
    } else if (integer && e->logical == LOGICAL_INTEGER && e->bits) {
        node->meaning = e->is_signed ? MEANS_ITSELF : MEANS_UNSIGNED;
        dtype = arena_printf(a, "%sint%lld", e->is_signed ? "" : "u", (long long)e->bits);
    } else if (node->physical == INT32 && e->logical == LOGICAL_DATE) {
        node->meaning = MEANS_DATE;
        dtype = "date32";
    } else if (integer && e->unit && e->logical == LOGICAL_TIME) {
        node->meaning = MEANS_TIME;
        dtype =
            arena_printf(a, "time%d[%s]", node->physical == INT32 ? 32 : 64, unit_name(e->unit));
    } else if (node->physical == INT64 && e->unit && e->logical == LOGICAL_TIMESTAMP) {
        node->meaning = MEANS_TIMESTAMP;
        dtype = arena_printf(a, "timestamp[%s%s]", unit_name(e->unit), e->utc ? ", tz=UTC" : "");
    } else if (e->logical == LOGICAL_DECIMAL && e->scale >= 0 && e->scale <= 100 &&
               (integer || bytes || (node->physical == FIXED && node->width <= 32))) {
        node->meaning = MEANS_DECIMAL;
        dtype = arena_printf(a, "decimal%d(%lld, %lld)", e->precision > 38 ? 256 : 128,
                             (long long)e->precision, (long long)e->scale);
    } else if (node->physical == FIXED && node->width == 2 && e->logical == LOGICAL_HALF) {
        node->meaning = MEANS_HALF;
        dtype = "float16";
    } else if (node->physical == FIXED && node->width == 16 && e->logical == LOGICAL_UUID) {
        node->meaning = MEANS_UUID;
        dtype = "string";
    } else if (node->physical == FIXED) {
        dtype = arena_printf(a, "fixed_size_binary[%lld]", (long long)node->width);
    }
    node->type.dtype = str_of(dtype);
}

static void make_node(Footer *f, Node *node, int def, int rep, int depth);

static void make_leaf(Footer *f, Node *node, const Element *e)
{
    if (e->physical < 0 || e->physical >= PHYSICAL_TYPES ||
        (e->physical == FIXED && (e->width < 1 || e->width > MAX_PAGE))) {
        reader_fail(&f->r, ERR_UNSUPPORTED, "column '%.*s' of type %lld, width %lld", STR(e->name),
                    (long long)e->physical, (long long)e->width);
        return;
    }
    node->physical = (int)e->physical;
    node->width = e->width;
    node->leaf = (int)f->p->n_leaves;
    set_meaning(f, node, e);
    f->p->leaves[f->p->n_leaves++] = node;
}

/* The group inside a list may be its element (older writers) or only mark the repetition. */
static bool is_element(const Node *list, const Node *repeated)
{
    Str name = repeated->type.name;
    return repeated->n != 1 || str_eq(name, S("array")) ||
           (str_ends(name, S("_tuple")) && str_starts(name, list->type.name));
}

/* The types of a group, when its children are there. */
static void make_type(Footer *f, Node *node, const Element *e)
{
    bool listed = (e->logical == LOGICAL_LIST || e->logical == LOGICAL_MAP) && node->n == 1 &&
                  node->items[0].repeated && !node->repeated;
    node->type.kind = TYPE_STRUCT;
    if (listed) {
        Node *repeated = &node->items[0];
        if (e->logical == LOGICAL_LIST && repeated->leaf < 0 && !is_element(node, repeated) &&
            !repeated->items[0].repeated)
            repeated->hidden = true;
        node->hidden = true;
    }
    node->type.items = take(f, node->n, sizeof(TableType));
    for (size_t i = 0; node->type.items && i < node->n; i++) {
        const Node *item = &node->items[i];
        TableType *type = &node->type.items[node->type.n++];
        *type = item->type;
        if (!item->repeated)
            continue;
        // A repeated node is a list of what it is by itself.
        TableType *element = take(f, 1, sizeof *element);
        if (!element)
            return;
        *element = item->hidden ? item->items[0].type : item->type;
        *type = (TableType){.name = item->type.name, .kind = TYPE_LIST, .items = element, .n = 1};
    }
    if (listed && node->type.items) { // the list itself takes the group's place
        Str name = node->type.name;
        node->type = node->type.items[0];
        node->type.name = name;
    }
}

static void make_node(Footer *f, Node *node, int def, int rep, int depth)
{
    if (f->next >= f->n_elements || depth > MAX_NESTING) {
        reader_fail(&f->r, ERR_INVALID, "a schema of %zu elements that promises more",
                    f->n_elements);
        return;
    }
    const Element *e = &f->elements[f->next++];
    bool root = depth == 0;
    node->type.name = e->name;
    node->repeated = !root && e->repetition == REPEATED;
    node->optional = !root && e->repetition == OPTIONAL;
    node->def = def + (node->repeated || node->optional);
    node->rep = rep + node->repeated;
    node->leaf = -1;
    node->first_leaf = f->p->n_leaves;
    if (e->n == 0 && !root) {
        make_leaf(f, node, e);
    } else if (e->n < 0 || (size_t)e->n > f->n_elements - f->next) {
        reader_fail(&f->r, ERR_INVALID, "'%.*s' with %lld children", STR(e->name), (long long)e->n);
    } else if ((node->items = take(f, (size_t)e->n, sizeof(Node)))) {
        node->n = (size_t)e->n;
        for (size_t i = 0; i < node->n && !f->r.error.code; i++)
            make_node(f, &node->items[i], node->def, node->rep, depth + 1);
        if (!f->r.error.code)
            make_type(f, node, e);
    }
    node->n_leaves = f->p->n_leaves - node->first_leaf;
}

/* ---- Row groups ---- */

static void read_column_metadata(Reader *r, Chunk *chunk)
{
    int64_t *const numbers[] = {
        NULL, NULL,         NULL, NULL,          &chunk->codec, &chunk->n_values,
        NULL, &chunk->size, NULL, &chunk->pages, NULL,          &chunk->dictionary};
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        if (s.id < (int)COUNT(numbers) && numbers[s.id] &&
            (s.type == THRIFT_I32 || s.type == THRIFT_I64))
            *numbers[s.id] = thrift_int(r);
        else
            thrift_skip(r, s.type);
    }
}

static void read_chunk(Reader *r, Chunk *chunk)
{
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        if (s.id == 3 && s.type == THRIFT_STRUCT)
            read_column_metadata(r, chunk);
        else if (s.id == 4 && s.type == THRIFT_I64)
            chunk->index = thrift_int(r);
        else if (s.id == 5 && s.type == THRIFT_I32)
            chunk->index_size = thrift_int(r);
        else
            thrift_skip(r, s.type);
    }
}

static void read_chunks(Footer *f, RowGroup *group)
{
    int type;
    size_t n = thrift_list(&f->r, &type);
    if (n != f->p->n_leaves || type != THRIFT_STRUCT) {
        reader_fail(&f->r, ERR_INVALID, "a row group of %zu columns, the schema has %zu", n,
                    f->p->n_leaves);
        return;
    }
    group->chunks = take(f, n, sizeof *group->chunks);
    for (size_t i = 0; group->chunks && i < n && !f->r.error.code; i++)
        read_chunk(&f->r, &group->chunks[i]);
}

static void read_groups(Footer *f)
{
    int type;
    size_t n = thrift_list(&f->r, &type);
    Parquet *p = f->p;
    p->groups = take(f, n, sizeof *p->groups);
    int64_t first = 0;
    for (size_t i = 0; p->groups && i < n && !f->r.error.code; i++) {
        RowGroup *group = &p->groups[p->n_groups++];
        ThriftStruct s = {0};
        group->first = first;
        while (thrift_field(&f->r, &s)) {
            if (s.id == 1 && s.type == THRIFT_LIST)
                read_chunks(f, group);
            else if (s.id == 3 && s.type == THRIFT_I64)
                group->rows = thrift_int(&f->r);
            else
                thrift_skip(&f->r, s.type);
        }
        if (!group->chunks || group->rows < 0 || __builtin_add_overflow(first, group->rows, &first))
            reader_fail(&f->r, ERR_INVALID, "row group %zu of %lld rows", i,
                        (long long)group->rows);
    }
    p->table.rows = first;
}

/* ---- The whole ---- */

/* The schema comes before the row groups, as field numbers rise. */
static void read_metadata(Footer *f)
{
    ThriftStruct s = {0};
    while (thrift_field(&f->r, &s)) {
        if (s.id == 2 && s.type == THRIFT_LIST && !f->elements) {
            read_schema(f);
            f->p->leaves = take(f, f->n_elements, sizeof *f->p->leaves);
            if (f->p->leaves && !f->r.error.code)
                make_node(f, &f->p->root, 0, 0, 0);
        } else if (s.id == 4 && s.type == THRIFT_LIST && f->p->n_leaves && !f->p->groups)
            read_groups(f);
        else
            thrift_skip(&f->r, s.type);
    }
    if (!f->elements || (f->p->n_leaves && !f->p->groups))
        reader_fail(&f->r, ERR_INVALID, "a footer without schema or row groups");
}

bool parquet_footer(Parquet *p, Error *err)
{
    const ByteSource *file = &p->table.file;
    uint8_t tail[TAIL];
    if (file->size < 3 * 4)
        return fail(err, ERR_INVALID, "%s: %lld bytes are no Parquet file", file->name,
                    (long long)file->size);
    if (!byte_source_read(file, tail, TAIL, file->size - TAIL, err))
        return false;
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return fail(err, ERR_UNSUPPORTED, "%s: its footer is encrypted", file->name);
    if (memcmp(tail + 4, "PAR1", 4) != 0)
        return fail(err, ERR_INVALID, "%s: offset %lld: no \"PAR1\" at its end", file->name,
                    (long long)file->size - 4);
    Reader length = reader_of(tail, 4, file->name);
    size_t n = reader_u32(&length);
    if (n > MAX_FOOTER || (int64_t)n > file->size - TAIL - 4)
        return fail(err, ERR_INVALID, "%s: offset %lld: a footer of %zu bytes", file->name,
                    (long long)file->size - TAIL, n);
    uint8_t *bytes = arena_try(p->table.arena, n + 1, 1, err);
    if (!bytes || !byte_source_read(file, bytes, n, file->size - TAIL - (int64_t)n, err))
        return false;
    Footer f = {.p = p,
                .r = reader_of(bytes, n, arena_printf(p->table.arena, "%s: footer", file->name))};
    read_metadata(&f);
    p->table.type = p->root.type;
    return reader_ok(&f.r, err);
}
