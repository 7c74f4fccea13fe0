/* gguf.c: the parser, and typed reads of the metadata where they lie; see gguf.h.
 * Layout: "GGUF", version, counts, key/value pairs, tensor infos, padding, data. Everything is
 * checked once here: later reads trust the recorded spans. */
#include "formats/gguf_internal.h"

enum {
    MAX_VALUES = 1 << 16,
    MAX_KEY = 1 << 16,
    MAX_NESTING = 4, // arrays of arrays
    MAX_ALIGNMENT = 1 << 16,
    MIN_TENSOR_INFO = 8 + 4 + 4 + 8,
};

static const uint8_t value_sizes[GGUF_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

size_t gguf_type_size(GgufType type)
{
    return type < GGUF_TYPES ? value_sizes[type] : 0;
}

static const BlockType block_types[] = {
    {0, "F32", 1, 4, DTYPE_F32},
    {1, "F16", 1, 2, DTYPE_F16},
    {2, "Q4_0", 32, 18, DTYPE_Q4_0},
    {3, "Q4_1", 32, 20, DTYPE_Q4_1},
    {6, "Q5_0", 32, 22, DTYPE_Q5_0},
    {7, "Q5_1", 32, 24, DTYPE_Q5_1},
    {8, "Q8_0", 32, 34, DTYPE_Q8_0},
    {9, "Q8_1", 32, 36, DTYPE_COUNT},
    {10, "Q2_K", 256, 84, DTYPE_Q2_K},
    {11, "Q3_K", 256, 110, DTYPE_Q3_K},
    {12, "Q4_K", 256, 144, DTYPE_Q4_K},
    {13, "Q5_K", 256, 176, DTYPE_Q5_K},
    {14, "Q6_K", 256, 210, DTYPE_Q6_K},
    {16, "IQ2_XXS", 256, 66, DTYPE_COUNT},
    {17, "IQ2_XS", 256, 74, DTYPE_COUNT},
    {18, "IQ3_XXS", 256, 98, DTYPE_COUNT},
    {19, "IQ1_S", 256, 50, DTYPE_COUNT},
    {20, "IQ4_NL", 32, 18, DTYPE_IQ4_NL},
    {21, "IQ3_S", 256, 110, DTYPE_COUNT},
    {22, "IQ2_S", 256, 82, DTYPE_COUNT},
    {23, "IQ4_XS", 256, 136, DTYPE_IQ4_XS},
    {24, "I8", 1, 1, DTYPE_I8},
    {25, "I16", 1, 2, DTYPE_I16},
    {26, "I32", 1, 4, DTYPE_I32},
    {27, "I64", 1, 8, DTYPE_I64},
    {28, "F64", 1, 8, DTYPE_F64},
    {29, "IQ1_M", 256, 56, DTYPE_COUNT},
    {30, "BF16", 1, 2, DTYPE_BF16},
    {34, "TQ1_0", 256, 54, DTYPE_TQ1_0},
    {35, "TQ2_0", 256, 66, DTYPE_TQ2_0},
    {39, "MXFP4", 32, 17, DTYPE_MXFP4},
};

const BlockType *block_type(uint32_t code)
{
    for (size_t i = 0; i < COUNT(block_types); i++)
        if (block_types[i].code == code)
            return &block_types[i];
    return NULL;
}

const BlockType *block_type_of(DType type)
{
    for (size_t i = 0; i < COUNT(block_types); i++)
        if (block_types[i].type == type && type != DTYPE_COUNT)
            return &block_types[i];
    return NULL;
}

static Str read_str(Reader *r)
{
    uint64_t n = reader_u64(r);
    const char *ptr = reader_bytes(r, (size_t)n);
    return ptr ? (Str){ptr, (size_t)n} : (Str){0};
}

/* Steps over n items of a type; strings and nested arrays one by one. */
static void skip_items(Reader *r, GgufType type, uint64_t n, int depth)
{
    if (type >= GGUF_TYPES || depth > MAX_NESTING) {
        reader_fail(r, ERR_INVALID, "value of type %d, nested %d deep", (int)type, depth);
        return;
    }
    size_t fixed = value_sizes[type], size;
    if (fixed > 0) {
        if (!size_mul((size_t)n, fixed, &size))
            size = SIZE_MAX;
        reader_skip(r, size);
        return;
    }
    // Each item is at least 8 bytes, so n beyond the file stops at its end, not after n rounds.
    for (uint64_t i = 0; i < n && r->error.code == ERR_NONE; i++) {
        if (type == GGUF_STR) {
            read_str(r);
        } else {
            GgufType item = (GgufType)reader_u32(r);
            skip_items(r, item, reader_u64(r), depth + 1);
        }
    }
}

static void read_value(Reader *r, GgufValue *v)
{
    v->type = (GgufType)reader_u32(r);
    v->n = 1;
    if (v->type == GGUF_ARRAY) {
        v->is_array = true;
        v->type = (GgufType)reader_u32(r);
        v->n = reader_u64(r);
    }
    size_t start = r->pos;
    skip_items(r, v->type, v->n, 0);
    v->bytes = r->ptr + start;
    v->size = r->pos - start;
}

static void map_release(void *map)
{
    map_done(map);
}

static void read_values(Reader *r, Gguf *g, uint64_t n, Arena *a)
{
    for (uint64_t i = 0; i < n && r->error.code == ERR_NONE; i++) {
        Str key = read_str(r);
        if (key.len > MAX_KEY || memchr(key.ptr ? key.ptr : "", 0, key.len) != NULL) {
            reader_fail(r, ERR_INVALID, "key of %zu bytes, or with NUL in it", key.len);
            return;
        }
        GgufValue *v = NEW(a, GgufValue);
        read_value(r, v);
        if (r->error.code == ERR_NONE && !map_put(&g->values, arena_str(a, key), v))
            reader_fail(r, ERR_INVALID, "key '%.*s' comes twice", STR(str_slice(key, 0, 200)));
    }
}

/* A tensor's place in the data, not yet checked against its length. */
typedef struct Info {
    StoredTensor tensor;
    uint64_t offset;
} Info;

static void read_dims(Reader *r, StoredTensor *t)
{
    uint32_t rank = reader_u32(r);
    if (rank > GGUF_MAX_RANK)
        reader_fail(r, ERR_INVALID, "tensor '%s': %u dimensions, at most %d", t->name, rank,
                    GGUF_MAX_RANK);
    t->rank = (int)MIN(rank, (uint32_t)GGUF_MAX_RANK);
    // The file lists the innermost first.
    for (int i = t->rank - 1; i >= 0; i--)
        t->dims[i] = (int64_t)reader_u64(r);
}

/* The bytes of a tensor: whole blocks along its rows. */
static void size_tensor(Reader *r, StoredTensor *t, const BlockType *type)
{
    int64_t count, row = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    Error why = {0};
    char dims[200];
    dims_format(t->dims, t->rank, dims, sizeof dims);
    if (!dims_count(t->dims, t->rank, &count, &why))
        reader_fail(r, ERR_INVALID, "tensor '%s': %s", t->name, why.text);
    else if (row % type->block != 0)
        reader_fail(r, ERR_INVALID, "tensor '%s': %s: rows of %s are multiples of %d", t->name,
                    dims, type->name, type->block);
    else if (!size_mul((size_t)(count / type->block), (size_t)type->bytes, &t->size))
        reader_fail(r, ERR_INVALID, "tensor '%s': %s is too large", t->name, dims);
}

static void read_info(Reader *r, Info *info, Arena *a)
{
    StoredTensor *t = &info->tensor;
    Str name = read_str(r);
    if (name.len == 0 || name.len > MAX_KEY || memchr(name.ptr, 0, name.len)) {
        reader_fail(r, ERR_INVALID, "tensor name of %zu bytes, or with NUL in it", name.len);
        return;
    }
    t->name = arena_cstr(a, name);
    read_dims(r, t);
    uint32_t code = reader_u32(r);
    info->offset = reader_u64(r);
    const BlockType *type = block_type(code);
    if (type && r->error.code == ERR_NONE)
        size_tensor(r, t, type);
    if (!type)
        t->foreign = arena_printf(a, "number %u", code);
    else if (type->type == DTYPE_COUNT)
        t->foreign = type->name;
    else
        t->type = type->type;
}

static bool place_tensor(Checkpoint *c, Info *info, Str data, uint64_t alignment, Error *err)
{
    StoredTensor *t = &info->tensor;
    if (info->offset % alignment != 0)
        return fail(err, ERR_INVALID, "tensor '%s': offset %llu is no multiple of %llu", t->name,
                    (unsigned long long)info->offset, (unsigned long long)alignment);
    if (info->offset > data.len || t->size > data.len - info->offset)
        return fail(err, ERR_INVALID,
                    "tensor '%s': %zu bytes at %llu pass the end of the data at %zu", t->name,
                    t->size, (unsigned long long)info->offset, data.len);
    t->offset = (size_t)info->offset;
    t->data = data.ptr ? data.ptr + info->offset : NULL;
    return checkpoint_add(c, t, err);
}

static int info_order(const void *a, const void *b)
{
    const Info *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* No two tensors may share bytes: a writer that made such a file was wrong about something. */
static bool check_overlap(const Info *infos, size_t n, Error *err)
{
    AUTO(arena_free) Arena *scratch = arena_new(0);
    const Info **sorted = NEW_ARRAY(scratch, const Info *, n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &infos[i];
    qsort(sorted, n, sizeof *sorted, info_order);
    for (size_t i = 1; i < n; i++)
        if (sorted[i - 1]->tensor.size > sorted[i]->offset - sorted[i - 1]->offset)
            return fail(err, ERR_INVALID, "tensor '%s' overlaps '%s'", sorted[i - 1]->tensor.name,
                        sorted[i]->tensor.name);
    return true;
}

static bool read_tensors(Checkpoint *c, Reader *r, const Gguf *g, uint64_t n, size_t size,
                         Error *err)
{
    if (n > reader_left(r) / MIN_TENSOR_INFO) {
        r->ended = true;
        reader_fail(r, ERR_INVALID, "%llu tensors do not fit the file", (unsigned long long)n);
    }
    if (!reader_ok(r, err))
        return false;
    AUTO(arena_free) Arena *scratch = arena_new(0);
    Info *infos = NEW_ARRAY(scratch, Info, n);
    for (uint64_t i = 0; i < n && r->error.code == ERR_NONE; i++)
        read_info(r, &infos[i], checkpoint_arena(c));
    int64_t alignment = GGUF_ALIGNMENT;
    gguf_int(g, "general.alignment", &alignment);
    if (alignment < 1 || alignment > MAX_ALIGNMENT)
        reader_fail(r, ERR_INVALID, "general.alignment is %lld", (long long)alignment);
    if (!reader_ok(r, err))
        return false;
    size_t padding = (size_t)((alignment - (int64_t)(r->pos % (size_t)alignment)) % alignment);
    size_t start = r->pos + MIN(padding, size - r->pos); // a file without tensors may end here
    Str data = {r->len == size ? (const char *)r->ptr + start : NULL, size - start};
    for (uint64_t i = 0; i < n; i++)
        if (!place_tensor(c, &infos[i], data, (uint64_t)alignment, err))
            return fail_while(err, "%s", r->name);
    return check_overlap(infos, n, err) || fail_while(err, "%s", r->name);
}

bool gguf_parse(Checkpoint *c, Content *content, Error *err)
{
    Reader r = reader_of(content->bytes.ptr, content->bytes.len, content->name);
    reader_skip(&r, 4); // the magic brought us here
    uint32_t version = reader_u32(&r);
    if (version != 2 && version != 3)
        reader_fail(&r, ERR_UNSUPPORTED, "GGUF version %u; 2 and 3 are read, little-endian",
                    version);
    uint64_t n_tensors = reader_u64(&r), n_values = reader_u64(&r);
    if (n_values > MAX_VALUES)
        reader_fail(&r, ERR_LIMIT, "%llu metadata values, at most %d", (unsigned long long)n_values,
                    MAX_VALUES);
    Arena *a = checkpoint_arena(c);
    Gguf *g = NEW(a, Gguf);
    arena_defer(a, map_release, &g->values);
    if (r.error.code == ERR_NONE)
        read_values(&r, g, n_values, a);
    checkpoint_set_gguf(c, g);
    bool ok = read_tensors(c, &r, g, n_tensors, content->size, err);
    content->ended = r.ended;
    return ok;
}

/* Metadata. */

static const GgufValue *find(const Gguf *g, const char *key)
{
    return map_find(&g->values, str_of(key));
}

bool gguf_has(const Gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

/* One number of a fixed type, as both kinds; false for strings and arrays. */
static bool read_number(Reader *r, GgufType type, double *number, int64_t *integer)
{
    switch (type) {
    case GGUF_U8:
    case GGUF_BOOL:
        *number = (double)(*integer = reader_u8(r));
        return true;
    case GGUF_I8:
        *number = (double)(*integer = (int8_t)reader_u8(r));
        return true;
    case GGUF_U16:
        *number = (double)(*integer = reader_u16(r));
        return true;
    case GGUF_I16:
        *number = (double)(*integer = (int16_t)reader_u16(r));
        return true;
    case GGUF_U32:
        *number = (double)(*integer = reader_u32(r));
        return true;
    case GGUF_I32:
        *number = (double)(*integer = (int32_t)reader_u32(r));
        return true;
    case GGUF_U64: // past INT64_MAX it wraps; callers check the range of what they need
    case GGUF_I64:
        *number = (double)(*integer = (int64_t)reader_u64(r));
        return true;
    case GGUF_F32:
        *number = (double)reader_f32(r);
        return true;
    case GGUF_F64:
        *number = reader_f64(r);
        return true;
    case GGUF_STR:
    case GGUF_ARRAY:
    case GGUF_TYPES:
        break;
    }
    return false;
}

static bool number_of(const Gguf *g, const char *key, double *number, int64_t *integer,
                      GgufType *type)
{
    const GgufValue *v = find(g, key);
    if (!v || v->is_array)
        return false;
    Reader r = reader_of(v->bytes, v->size, key);
    *type = v->type;
    return read_number(&r, v->type, number, integer);
}

bool gguf_int(const Gguf *g, const char *key, int64_t *out)
{
    double number;
    int64_t integer = 0;
    GgufType type;
    if (!number_of(g, key, &number, &integer, &type) || type == GGUF_F32 || type == GGUF_F64)
        return false;
    *out = integer;
    return true;
}

double gguf_num(const Gguf *g, const char *key, double otherwise)
{
    double number;
    int64_t integer;
    GgufType type;
    return number_of(g, key, &number, &integer, &type) ? number : otherwise;
}

bool gguf_flag(const Gguf *g, const char *key, bool otherwise)
{
    const GgufValue *v = find(g, key);
    return v && !v->is_array && v->type == GGUF_BOOL ? *(const uint8_t *)v->bytes != 0 : otherwise;
}

Str gguf_str(const Gguf *g, const char *key)
{
    const GgufValue *v = find(g, key);
    if (!v || v->is_array || v->type != GGUF_STR)
        return (Str){0};
    Reader r = reader_of(v->bytes, v->size, key);
    return read_str(&r);
}

size_t gguf_strs(const Gguf *g, const char *key, Arena *a, Str **out)
{
    *out = NULL;
    const GgufValue *v = find(g, key);
    if (!v || !v->is_array || v->type != GGUF_STR)
        return 0;
    // n is bounded by the file: the parser stepped over that many strings.
    *out = NEW_ARRAY(a, Str, v->n);
    Reader r = reader_of(v->bytes, v->size, key);
    for (uint64_t i = 0; i < v->n; i++)
        (*out)[i] = read_str(&r);
    return (size_t)v->n;
}

size_t gguf_nums(const Gguf *g, const char *key, Arena *a, double **out)
{
    *out = NULL;
    const GgufValue *v = find(g, key);
    if (!v || value_sizes[v->type] == 0)
        return 0;
    *out = NEW_ARRAY(a, double, v->n);
    Reader r = reader_of(v->bytes, v->size, key);
    int64_t integer;
    for (uint64_t i = 0; i < v->n; i++)
        read_number(&r, v->type, &(*out)[i], &integer);
    return (size_t)v->n;
}

static json_t *items_json(Reader *r, GgufType type, uint64_t n, bool is_array, size_t longest);

/* The shortest decimal number that becomes this float: 1e-05, not 9.9999997473787516e-06. */
static double float_as_written(double number)
{
    for (int digits = 6; digits <= 9; digits++) {
        char text[32];
        double decimal;
        int n = snprintf(text, sizeof text, "%.*g", digits, number);
        if (str_to_double((Str){text, (size_t)n}, &decimal) && (float)decimal == (float)number)
            return decimal;
    }
    return number;
}

static json_t *item_json(Reader *r, GgufType type, size_t longest)
{
    if (type == GGUF_STR)
        return json_from_str(read_str(r));
    if (type == GGUF_ARRAY) {
        GgufType item = (GgufType)reader_u32(r);
        return items_json(r, item, reader_u64(r), true, longest);
    }
    double number = 0;
    int64_t integer = 0;
    read_number(r, type, &number, &integer);
    if (type == GGUF_BOOL)
        return json_boolean(integer != 0);
    if (type != GGUF_F32 && type != GGUF_F64)
        return json_integer(integer);
    json_t *real = json_real(type == GGUF_F32 ? float_as_written(number) : number);
    return real ? real : json_null(); // JSON has no infinity
}

static json_t *items_json(Reader *r, GgufType type, uint64_t n, bool is_array, size_t longest)
{
    if (!is_array)
        return item_json(r, type, longest);
    if (n > longest) {
        skip_items(r, type, n, 0);
        return json_pack("{s:I}", "length", (json_int_t)n);
    }
    json_t *list = json_array();
    for (uint64_t i = 0; i < n; i++)
        json_array_append_new(list, item_json(r, type, longest));
    return list;
}

json_t *gguf_to_json(const Gguf *g, size_t longest)
{
    json_t *all = json_object();
    for (size_t i = 0; i < g->values.n; i++) {
        const GgufValue *v = g->values.entries[i].value;
        Reader r = reader_of(v->bytes, v->size, "metadata");
        Str key = g->values.entries[i].key;
        json_object_setn_new(all, key.ptr, key.len,
                             items_json(&r, v->type, v->n, v->is_array, longest));
    }
    return all;
}
