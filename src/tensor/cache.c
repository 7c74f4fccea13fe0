/* cache.c: the key/value cache of tensor.h.
 *
 * One stretch of memory, a room for each layer, sequence and head. In a room, keys lie as panels
 * [capacity/PANEL][D][PANEL] and values as [ceil(D/PANEL)][capacity][PANEL]: just as packed weights
 * do, so that scores and sums are products of the same kernel as a linear layer's. */
#include "tensor/tensor_internal.h"

struct KvCache {
    KvSpec spec;
    int64_t capacity; // rounded up to whole panels
    float *memory;
    size_t bytes;
    int64_t *lengths; // by sequence
    KvSpan *spans;
    size_t n_spans;
};

static int64_t whole_panels(int64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

size_t kv_room_floats(int64_t capacity, int64_t head_dim)
{
    return (size_t)(capacity * (head_dim + whole_panels(head_dim)));
}

KvRoom kv_room_at(float *memory, int64_t capacity, int64_t head_dim)
{
    return (KvRoom){memory, memory + capacity * head_dim, capacity};
}

void kv_room_put(const KvRoom *room, int64_t head_dim, int64_t position, const float *key,
                 const float *value)
{
    float *keys = room->keys + position / PANEL * PANEL * head_dim + position % PANEL;
    for (int64_t d = 0; d < head_dim; d++)
        keys[d * PANEL] = key[d];
    for (int64_t d = 0; d < head_dim; d += PANEL)
        memcpy(room->values + d * room->capacity + position * PANEL, value + d,
               (size_t)MIN(PANEL, head_dim - d) * sizeof *value);
}

KvCache *kv_cache_new(const KvSpec *spec, Error *err)
{
    KvSpec s = *spec;
    s.sequences = s.sequences ? s.sequences : 1;
    if (s.layers < 1 || s.kv_heads < 1 || s.head_dim < 1 || s.capacity < 1 || s.sequences < 1 ||
        s.head_dim > 1 << 16 || s.kv_heads > 1 << 16 || s.capacity > 1 << 30)
        return fail(err, ERR_INVALID,
                    "key/value cache: %d layers, %lld heads of %lld, %lld "
                    "positions of %d sequences",
                    s.layers, (long long)s.kv_heads, (long long)s.head_dim, (long long)s.capacity,
                    s.sequences);
    int64_t capacity = whole_panels(s.capacity);
    size_t bytes = kv_room_floats(capacity, s.head_dim) * sizeof(float);
    if (!size_mul(bytes, (size_t)s.kv_heads, &bytes) ||
        !size_mul(bytes, (size_t)s.sequences, &bytes) || !size_mul(bytes, (size_t)s.layers, &bytes))
        return fail(err, ERR_LIMIT, "key/value cache: its size overflows");
    float *memory = pages_new(bytes, PAGES_SPARSE, err);
    if (!memory)
        return fail_while(err, "key/value cache");
    KvCache *c = xcalloc(1, sizeof *c);
    *c = (KvCache){.spec = s, .capacity = capacity, .memory = memory, .bytes = bytes};
    c->lengths = xcalloc((size_t)s.sequences, sizeof *c->lengths);
    c->spans = xcalloc((size_t)s.sequences + 1, sizeof *c->spans);
    return c;
}

void kv_cache_free(KvCache *c)
{
    if (!c)
        return;
    pages_free(c->memory, c->bytes);
    free(c->lengths);
    free(c->spans);
    free(c);
}

const KvSpec *kv_cache_spec(const KvCache *c)
{
    return &c->spec;
}

int64_t kv_cache_length(const KvCache *c, int sequence)
{
    CHECK(sequence >= 0 && sequence < c->spec.sequences);
    return c->lengths[sequence];
}

void kv_cache_truncate(KvCache *c, int sequence, int64_t length)
{
    CHECK(sequence >= 0 && sequence < c->spec.sequences && length >= 0);
    c->lengths[sequence] = MIN(c->lengths[sequence], length);
    c->n_spans = 0;
}

void kv_cache_copy(KvCache *c, int to, int from)
{
    c->lengths[to] = kv_cache_length(c, from);
    c->n_spans = 0;
    size_t floats = kv_room_floats(c->capacity, c->spec.head_dim) * (size_t)c->spec.kv_heads;
    for (int layer = 0; layer < c->spec.layers && to != from; layer++)
        memcpy(kv_cache_room(c, layer, to, 0).keys, kv_cache_room(c, layer, from, 0).keys,
               floats * sizeof(float));
}

KvRoom kv_cache_room(const KvCache *c, int layer, int sequence, int64_t head)
{
    int64_t at = ((int64_t)layer * c->spec.sequences + sequence) * c->spec.kv_heads + head;
    size_t floats = kv_room_floats(c->capacity, c->spec.head_dim);
    return kv_room_at(c->memory + (size_t)at * floats, c->capacity, c->spec.head_dim);
}

const KvSpan *kv_cache_spans(const KvCache *c, size_t *n)
{
    *n = c->n_spans;
    return c->spans;
}

bool kv_cache_begin(KvCache *c, const KvSpan *spans, size_t n, Error *err)
{
    c->n_spans = 0;
    if (n > (size_t)c->spec.sequences + 1)
        return fail(err, ERR_INVALID, "%zu spans in a cache of %d sequences", n, c->spec.sequences);
    for (size_t i = 0; i < n; i++) {
        const KvSpan *s = &spans[i];
        if (s->sequence == KV_NOBODY && s->rows > 0 && i == n - 1)
            continue;
        if (s->sequence < 0 || s->sequence >= c->spec.sequences || s->rows < 1)
            return fail(err, ERR_INVALID, "span of %lld rows of sequence %d", (long long)s->rows,
                        s->sequence);
        for (size_t j = 0; j < i; j++)
            if (spans[j].sequence == s->sequence)
                return fail(err, ERR_INVALID, "sequence %d appears twice", s->sequence);
        if (s->rows > c->spec.capacity - c->lengths[s->sequence])
            return fail(err, ERR_LIMIT, "%lld positions do not fit: %lld of %lld are taken",
                        (long long)s->rows, (long long)c->lengths[s->sequence],
                        (long long)c->spec.capacity);
    }
    memcpy(c->spans, spans, n * sizeof *spans);
    c->n_spans = n;
    return true;
}

void kv_cache_commit(KvCache *c)
{
    for (size_t i = 0; i < c->n_spans; i++)
        if (c->spans[i].sequence != KV_NOBODY)
            c->lengths[c->spans[i].sequence] += c->spans[i].rows;
    c->n_spans = 0;
}
