/* safetensors.c: the parser; see safetensors.h. The writer is safetensors_write.c. */
#include "formats/formats_internal.h"

#include <stdlib.h>

const SafetensorsType safetensors_types[SAFETENSORS_TYPES] = {
    {"BOOL", 8, DTYPE_BOOL},
    {"F4", 4, DTYPE_COUNT},
    {"F6_E2M3", 6, DTYPE_COUNT},
    {"F6_E3M2", 6, DTYPE_COUNT},
    {"U8", 8, DTYPE_U8},
    {"I8", 8, DTYPE_I8},
    {"F8_E5M2", 8, DTYPE_F8_E5M2},
    {"F8_E4M3", 8, DTYPE_F8_E4M3},
    {"F8_E8M0", 8, DTYPE_COUNT},
    {"F8_E4M3FNUZ", 8, DTYPE_COUNT},
    {"F8_E5M2FNUZ", 8, DTYPE_COUNT},
    {"I16", 16, DTYPE_I16},
    {"U16", 16, DTYPE_U16},
    {"F16", 16, DTYPE_F16},
    {"BF16", 16, DTYPE_BF16},
    {"I32", 32, DTYPE_I32},
    {"U32", 32, DTYPE_U32},
    {"F32", 32, DTYPE_F32},
    {"C64", 64, DTYPE_COUNT},
    {"F64", 64, DTYPE_F64},
    {"I64", 64, DTYPE_I64},
    {"U64", 64, DTYPE_U64},
};

typedef struct Span {
    size_t begin, end;
    const char *name;
} Span;

static const SafetensorsType *type_named(const char *name)
{
    for (size_t i = 0; name && i < COUNT(safetensors_types); i++)
        if (strcmp(safetensors_types[i].name, name) == 0)
            return &safetensors_types[i];
    return NULL;
}

static bool read_shape(StoredTensor *t, const json_t *shape, Error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > STORED_MAX_RANK)
        return fail(err, ERR_INVALID, "'shape' must be a list of at most %d integers",
                    STORED_MAX_RANK);
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim))
            return fail(err, ERR_INVALID, "'shape' must be a list of integers");
        t->dims[i] = json_integer_value(dim);
    }
    return true;
}

/* [begin, end] inside the data; end may equal its length. */
static bool read_offsets(Span *span, const json_t *offsets, size_t data_len, Error *err)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return fail(err, ERR_INVALID, "'data_offsets' must be two integers");
    json_int_t b = json_integer_value(begin), e = json_integer_value(end);
    if (b < 0 || e < b || (size_t)e > data_len)
        return fail(err, ERR_INVALID,
                    "'data_offsets' [%lld,%lld] lie outside the %zu bytes of data", (long long)b,
                    (long long)e, data_len);
    span->begin = (size_t)b;
    span->end = (size_t)e;
    return true;
}

static bool read_tensor(StoredTensor *t, Span *span, const json_t *entry, Str data, Error *err)
{
    const char *type = json_text(entry, "dtype", NULL);
    const SafetensorsType *known = type_named(type);
    if (!known)
        return fail(err, ERR_UNSUPPORTED, "dtype '%.40s' is not a safetensors type",
                    type ? type : "");
    int64_t count;
    if (!read_shape(t, json_object_get(entry, "shape"), err) ||
        !read_offsets(span, json_object_get(entry, "data_offsets"), data.len, err) ||
        !dims_count(t->dims, t->rank, &count, err))
        return false;
    size_t bits;
    if (!size_mul((size_t)count, (size_t)known->bits, &bits) || bits % 8 != 0 ||
        bits / 8 != span->end - span->begin) {
        char shape[200];
        return fail(err, ERR_INVALID, "%s %s does not fill its %zu bytes",
                    dims_format(t->dims, t->rank, shape, sizeof shape), known->name,
                    span->end - span->begin);
    }
    t->type = known->type;
    t->foreign = known->type == DTYPE_COUNT ? known->name : NULL;
    t->size = span->end - span->begin;
    t->offset = span->begin;
    t->data = data.ptr ? data.ptr + span->begin : NULL;
    return true;
}

static int span_order(const void *a, const void *b)
{
    const Span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The spans must tile the data: no hole, no overlap, nothing behind the last. */
static bool check_tiling(Span *spans, size_t n, size_t data_len, Error *err)
{
    qsort(spans, n, sizeof *spans, span_order);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != at)
            return fail(err, ERR_INVALID,
                        "tensor '%.200s': begins at %zu, the one before ends at %zu", spans[i].name,
                        spans[i].begin, at);
        at = spans[i].end;
    }
    if (at != data_len)
        return fail(err, ERR_INVALID, "%zu bytes of data, the tensors fill %zu", data_len, at);
    return true;
}

static bool read_header(Checkpoint *c, json_t *header, Str data, Error *err)
{
    AUTO(arena_free) Arena *scratch = arena_new(0);
    Span *spans = NEW_ARRAY(scratch, Span, json_object_size(header));
    size_t n = 0;
    const char *key;
    json_t *entry;
    json_object_foreach(header, key, entry)
    {
        if (strcmp(key, "__metadata__") == 0) {
            checkpoint_set_metadata(c, json_incref(entry));
            continue;
        }
        StoredTensor t = {.name = arena_cstr(checkpoint_arena(c), str_of(key))};
        spans[n].name = t.name;
        if (!read_tensor(&t, &spans[n++], entry, data, err))
            return fail_while(err, "tensor '%.200s'", key);
        if (!checkpoint_add(c, &t, err))
            return false;
    }
    return check_tiling(spans, n, data.len, err);
}

bool safetensors_parse(Checkpoint *c, Content *content, Error *err)
{
    const char *name = content->name;
    Str bytes = content->bytes;
    Reader r = reader_of(bytes.ptr, bytes.len, name);
    uint64_t header_len = reader_u64(&r);
    if (header_len > SAFETENSORS_MAX_HEADER)
        reader_fail(&r, ERR_LIMIT,
                    "header of %llu bytes, at most %d are read; is this a safetensors file?",
                    (unsigned long long)header_len, SAFETENSORS_MAX_HEADER);
    const char *text = reader_bytes(&r, (size_t)header_len);
    content->ended = r.ended;
    if (!reader_ok(&r, err))
        return false;
    Str header_text = {text, (size_t)header_len};
    if (!str_starts(header_text, S("{")))
        return fail(err, ERR_INVALID, "%s: offset 8: the header must begin with '{'", name);
    AUTO(json_decref) json_t *header = json_parse_strict(header_text, name, err);
    if (!header)
        return false;
    Str data = {bytes.len == content->size ? bytes.ptr + r.pos : NULL, content->size - r.pos};
    return read_header(c, header, data, err) || fail_while(err, "%s", name);
}
