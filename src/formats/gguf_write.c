/* gguf_write.c: see gguf_write.h. Values are kept as the bytes that the file will have. */
#include "formats/gguf_write.h"

#include "base/file.h"
#include "formats/gguf_internal.h"

enum { VERSION = 3 };

typedef struct Written {
    char *bytes; // type and value
    size_t size;
} Written;

struct GgufWriter {
    Arena *arena;
    Map values; // key -> Written
};

GgufWriter *gguf_writer_new(void)
{
    GgufWriter *w = xcalloc(1, sizeof *w);
    w->arena = arena_new(0);
    return w;
}

void gguf_writer_free(GgufWriter *w)
{
    if (!w)
        return;
    map_done(&w->values);
    arena_free(w->arena);
    free(w);
}

bool gguf_writer_has(const GgufWriter *w, const char *key)
{
    return map_find(&w->values, str_of(key)) != NULL;
}

static void add_u32(Buf *b, uint32_t value)
{
    buf_add_bytes(b, &value, sizeof value);
}

static void add_u64(Buf *b, uint64_t value)
{
    buf_add_bytes(b, &value, sizeof value);
}

static void add_str(Buf *b, Str s)
{
    add_u64(b, s.len);
    buf_add(b, s);
}

static void put(GgufWriter *w, Str key, const Buf *value)
{
    Written *written = NEW(w->arena, Written);
    *written = (Written){arena_copy(w->arena, value->ptr, value->len), value->len};
    map_put(&w->values, arena_str(w->arena, key), written);
}

static void put_bytes(GgufWriter *w, const char *key, GgufType type, const void *bytes, size_t n)
{
    AUTO_BUF b;
    buf_init(&b, 0);
    add_u32(&b, type);
    buf_add_bytes(&b, bytes, n);
    put(w, str_of(key), &b);
}

static void put_array(GgufWriter *w, const char *key, GgufType type, const void *items, size_t n)
{
    AUTO_BUF b;
    buf_init(&b, 0);
    add_u32(&b, GGUF_ARRAY);
    add_u32(&b, type);
    add_u64(&b, n);
    buf_add_bytes(&b, items, n * gguf_type_size(type));
    put(w, str_of(key), &b);
}

void gguf_put_str(GgufWriter *w, const char *key, Str value)
{
    AUTO_BUF b;
    buf_init(&b, 0);
    add_u32(&b, GGUF_STR);
    add_str(&b, value);
    put(w, str_of(key), &b);
}

void gguf_put_u32(GgufWriter *w, const char *key, uint32_t value)
{
    put_bytes(w, key, GGUF_U32, &value, sizeof value);
}

void gguf_put_f32(GgufWriter *w, const char *key, float value)
{
    put_bytes(w, key, GGUF_F32, &value, sizeof value);
}

void gguf_put_flag(GgufWriter *w, const char *key, bool value)
{
    put_bytes(w, key, GGUF_BOOL, &(uint8_t){value}, 1);
}

void gguf_put_strs(GgufWriter *w, const char *key, const Str *items, size_t n)
{
    AUTO_BUF b;
    buf_init(&b, 0);
    add_u32(&b, GGUF_ARRAY);
    add_u32(&b, GGUF_STR);
    add_u64(&b, n);
    for (size_t i = 0; i < n; i++)
        add_str(&b, items[i]);
    put(w, str_of(key), &b);
}

void gguf_put_i32s(GgufWriter *w, const char *key, const int32_t *items, size_t n)
{
    put_array(w, key, GGUF_I32, items, n);
}

void gguf_put_f32s(GgufWriter *w, const char *key, const float *items, size_t n)
{
    put_array(w, key, GGUF_F32, items, n);
}

void gguf_put_all(GgufWriter *w, const Gguf *from)
{
    for (size_t i = 0; i < from->values.n; i++) {
        const GgufValue *v = from->values.entries[i].value;
        AUTO_BUF b;
        buf_init(&b, 0);
        if (v->is_array) {
            add_u32(&b, GGUF_ARRAY);
            add_u32(&b, v->type);
            add_u64(&b, v->n);
        } else {
            add_u32(&b, v->type);
        }
        buf_add_bytes(&b, v->bytes, v->size);
        put(w, from->values.entries[i].key, &b);
    }
}

/* The file. */

static size_t padded(size_t n)
{
    return (n + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

static bool add_info(Buf *b, const StoredTensor *t, uint64_t offset, Error *err)
{
    const BlockType *type = t->foreign ? NULL : block_type_of(t->type);
    if (!type)
        return fail(err, ERR_UNSUPPORTED, "tensor '%s': GGUF has no type %s", t->name,
                    t->foreign ? t->foreign : dtype_name(t->type));
    if (t->rank > GGUF_MAX_RANK)
        return fail(err, ERR_LIMIT, "tensor '%s': %d dimensions, at most %d", t->name, t->rank,
                    GGUF_MAX_RANK);
    add_str(b, str_of(t->name));
    add_u32(b, (uint32_t)t->rank);
    for (int i = t->rank - 1; i >= 0; i--) // the innermost first
        add_u64(b, (uint64_t)t->dims[i]);
    add_u32(b, type->code);
    add_u64(b, offset);
    return true;
}

static bool format_head(Buf *b, const GgufWriter *w, const StoredTensor *tensors, size_t n,
                        Error *err)
{
    buf_add(b, S("GGUF"));
    add_u32(b, VERSION);
    add_u64(b, n);
    add_u64(b, w->values.n);
    for (size_t i = 0; i < w->values.n; i++) {
        const Written *v = w->values.entries[i].value;
        add_str(b, w->values.entries[i].key);
        buf_add_bytes(b, v->bytes, v->size);
    }
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        if (!add_info(b, &tensors[i], offset, err))
            return false;
        if (!size_add(offset, padded(tensors[i].size), &offset))
            return fail(err, ERR_LIMIT, "tensor '%s': more bytes than a file can have",
                        tensors[i].name);
    }
    while (b->len % GGUF_ALIGNMENT != 0)
        buf_add_char(b, 0);
    return buf_ok(b, err);
}

typedef struct GgufJob {
    Str head;
    const StoredTensor *tensors;
    size_t n;
    const TensorFeed *feed;
} GgufJob;

static bool write_gguf(int fd, void *context, Error *err)
{
    static const char zeros[GGUF_ALIGNMENT];
    const GgufJob *job = context;
    if (!fd_write_all(fd, job->head.ptr, job->head.len, err))
        return false;
    for (size_t i = 0; i < job->n; i++) {
        const StoredTensor *t = &job->tensors[i];
        if (!feed_write(fd, t, job->feed, err) ||
            !fd_write_all(fd, zeros, padded(t->size) - t->size, err))
            return false;
    }
    return true;
}

bool gguf_write(const char *path, const GgufWriter *w, const StoredTensor *tensors, size_t n,
                const TensorFeed *feed, Error *err)
{
    AUTO_BUF head;
    buf_init(&head, 0);
    if (!format_head(&head, w, tensors, n, err))
        return fail_while(err, "write '%s'", path);
    GgufJob job = {buf_str(&head), tensors, n, feed};
    return file_write_atomic_by(path, 0644, write_gguf, &job, err);
}
