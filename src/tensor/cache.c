/* cache.c: the key/value cache of tensor.h.
 *
 * Positions come in pages of KV_PAGE = PANEL. A page holds those of one sequence for all layers and
 * heads: a block for each, its keys and behind them its values. In a block, keys lie as a packed
 * panel whose rows are the positions, and values as panels [ceil(D/PANEL)] of PANEL values each
 * whose inputs are the positions: just as packed weights do, so that scores and sums are products
 * of the same kernels as a linear layer's. Quantised values lie as keys do, because a block of one
 * scale must not span positions that come one by one.
 *
 * A sequence is a table of pages. Pages are counted; a sequence that is to write into one that
 * others hold too takes a copy first. Pages nobody holds are kept for the next who needs one. */
#include "tensor/pack_internal.h"
#include "tensor/tensor_internal.h"

_Static_assert((int)KV_PAGE == (int)PANEL, "a page is one panel of positions");

enum { MAX_PAGES = 1 << 24, QUANTISED_WIDTH = 1 << 12 };

typedef struct Page {
    char *memory;
    int refs;
} Page;

typedef struct Table {
    int32_t *pages; // those before `first` were given back
    int64_t n, first, cap;
    int64_t length;
} Table;

struct KvCache {
    KvSpec spec;
    Packing packing;
    size_t key_bytes, value_bytes, page_bytes; // the first two of one block
    Page *pages;
    int32_t n_pages, cap_pages, max_pages;
    int32_t *idle; // pages with memory that nobody holds
    int32_t n_idle;
    Table *tables;
    KvSpan *spans;
    size_t n_spans;
};

static int64_t padded(int64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static bool type_check(DType type, Error *err)
{
    return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 || type == DTYPE_Q8_0 ||
           fail(err, ERR_UNSUPPORTED, "key/value cache of type %s; f32, f16, bf16 and q8_0 are",
                dtype_name(type));
}

bool kv_cache_type_parse(const char *name, DType *type, Error *err)
{
    if (!dtype_parse(str_of(name), type))
        return fail(err, ERR_UNSUPPORTED,
                    "key/value cache of type '%.40s'; f32, f16, bf16 and q8_0 are", name);
    return type_check(*type, err);
}

static bool spec_check(const KvSpec *s, Packing *packing, Error *err)
{
    if (s->layers < 1 || s->kv_heads < 1 || s->head_dim < 1 || s->capacity < 1 ||
        s->sequences < 1 || s->head_dim > 1 << 16 || s->kv_heads > 1 << 16 ||
        s->capacity > 1 << 30 || s->window < 0)
        return fail(err, ERR_INVALID,
                    "key/value cache: %d layers, %lld heads of %lld, %lld "
                    "positions of %d sequences",
                    s->layers, (long long)s->kv_heads, (long long)s->head_dim,
                    (long long)s->capacity, s->sequences);
    if (!type_check(s->type, err))
        return false;
    if (s->type == DTYPE_Q8_0 && s->head_dim > QUANTISED_WIDTH)
        return fail(err, ERR_UNSUPPORTED, "key/value cache of type q8_0: heads of %lld",
                    (long long)s->head_dim);
    return packing_of(s->type, packing);
}

/* Sizes of blocks and pages, and how many pages the limit allows. */
static bool size_pages(KvCache *c, Error *err)
{
    const KvSpec *s = &c->spec;
    int64_t width = padded(s->head_dim);
    bool quantised = s->type == DTYPE_Q8_0;
    c->key_bytes = packing_bytes(c->packing, quantised ? width : s->head_dim);
    c->value_bytes =
        quantised ? c->key_bytes : packing_bytes(c->packing, PANEL) * (size_t)(width / PANEL);
    if (!size_mul(c->key_bytes + c->value_bytes, (size_t)s->kv_heads, &c->page_bytes) ||
        !size_mul(c->page_bytes, (size_t)s->layers, &c->page_bytes))
        return fail(err, ERR_LIMIT, "key/value cache: the size of a page overflows");
    size_t pages = s->limit ? s->limit / c->page_bytes : MAX_PAGES;
    if (pages == 0)
        return fail(err, ERR_LIMIT, "key/value cache: %zu bytes are less than one page of %zu",
                    s->limit, c->page_bytes);
    c->max_pages = (int32_t)MIN(pages, MAX_PAGES);
    return true;
}

KvCache *kv_cache_new(const KvSpec *spec, Error *err)
{
    AUTO(kv_cache_free) KvCache *c = xcalloc(1, sizeof *c);
    c->spec = *spec;
    c->spec.sequences = spec->sequences ? spec->sequences : 1;
    if (!spec_check(&c->spec, &c->packing, err) || !size_pages(c, err))
        return NULL;
    c->tables = xcalloc((size_t)c->spec.sequences, sizeof *c->tables);
    c->spans = xcalloc((size_t)c->spec.sequences + 1, sizeof *c->spans);
    return TAKE(c);
}

void kv_cache_free(KvCache *c)
{
    if (!c)
        return;
    for (int i = 0; c->tables && i < c->spec.sequences; i++)
        free(c->tables[i].pages);
    for (int32_t i = 0; i < c->n_pages; i++)
        pages_free(c->pages[i].memory, c->page_bytes);
    free(c->tables);
    free(c->spans);
    free(c->pages);
    free(c->idle);
    free(c);
}

const KvSpec *kv_cache_spec(const KvCache *c)
{
    return &c->spec;
}

// ---- Pages ----

KvUse kv_cache_use(const KvCache *c)
{
    return (KvUse){.page_bytes = c->page_bytes,
                   .held = c->n_pages - c->n_idle,
                   .left = c->max_pages - c->n_pages + c->n_idle,
                   .bytes = (size_t)c->n_pages * c->page_bytes};
}

/* A page of one reference; what it holds does not matter. */
static bool page_new(KvCache *c, int32_t *page, Error *err)
{
    if (c->n_idle) {
        *page = c->idle[--c->n_idle];
        c->pages[*page].refs = 1;
        return true;
    }
    if (c->n_pages == c->max_pages)
        return fail(err, ERR_LIMIT, "the key/value cache is full: all %d pages of %d positions",
                    c->max_pages, KV_PAGE);
    if (c->n_pages == c->cap_pages) {
        c->cap_pages = c->cap_pages ? 2 * c->cap_pages : 64;
        c->pages = xrealloc(c->pages, (size_t)c->cap_pages * sizeof *c->pages);
        c->idle = xrealloc(c->idle, (size_t)c->cap_pages * sizeof *c->idle);
    }
    char *memory = pages_new(c->page_bytes, PAGES_DENSE, err);
    if (!memory)
        return fail_while(err, "key/value cache");
    *page = c->n_pages++;
    c->pages[*page] = (Page){memory, 1};
    return true;
}

void kv_page_ref(KvCache *c, int32_t page)
{
    CHECK(page >= 0 && page < c->n_pages && c->pages[page].refs > 0);
    c->pages[page].refs++;
}

void kv_page_unref(KvCache *c, int32_t page)
{
    CHECK(page >= 0 && page < c->n_pages && c->pages[page].refs > 0);
    if (--c->pages[page].refs == 0)
        c->idle[c->n_idle++] = page;
}

int kv_page_refs(const KvCache *c, int32_t page)
{
    return c->pages[page].refs;
}

// ---- Sequences ----

static Table *table_of(const KvCache *c, int sequence)
{
    CHECK(sequence >= 0 && sequence < c->spec.sequences);
    return &c->tables[sequence];
}

static int64_t pages_for(int64_t positions)
{
    return (positions + KV_PAGE - 1) / KV_PAGE;
}

static void table_reserve(Table *t, int64_t n)
{
    if (n <= t->cap)
        return;
    t->cap = MAX(n, 2 * t->cap);
    t->pages = xrealloc(t->pages, (size_t)t->cap * sizeof *t->pages);
}

int64_t kv_cache_length(const KvCache *c, int sequence)
{
    return table_of(c, sequence)->length;
}

void kv_cache_truncate(KvCache *c, int sequence, int64_t length)
{
    Table *t = table_of(c, sequence);
    CHECK(length >= 0);
    c->n_spans = 0;
    t->length = MIN(t->length, length);
    while (t->n > MAX(pages_for(t->length), t->first))
        kv_page_unref(c, t->pages[--t->n]);
    if (t->length == 0)
        t->n = t->first = 0;
}

void kv_cache_copy(KvCache *c, int to, int from)
{
    const Table *f = table_of(c, from);
    kv_cache_adopt(c, to, f->pages, f->first, f->n, f->length);
}

void kv_cache_adopt(KvCache *c, int sequence, const int32_t *pages, int64_t first, int64_t n,
                    int64_t length)
{
    Table *t = table_of(c, sequence), old = *t;
    CHECK(length <= n * KV_PAGE && length <= c->spec.capacity);
    *t = (Table){.n = n, .first = first, .length = length};
    table_reserve(t, n);
    for (int64_t i = first; i < n; i++) {
        t->pages[i] = pages[i];
        kv_page_ref(c, pages[i]);
    }
    for (int64_t i = old.first; i < old.n; i++)
        kv_page_unref(c, old.pages[i]);
    free(old.pages);
    c->n_spans = 0;
}

const int32_t *kv_cache_pages(const KvCache *c, int sequence, int64_t *first, int64_t *n)
{
    const Table *t = table_of(c, sequence);
    *first = t->first;
    *n = t->n;
    return t->pages;
}

// ---- Steps ----

/* The page that the sequence's next position falls in is also someone else's. */
static bool last_is_shared(const KvCache *c, const Table *t)
{
    int64_t page = t->length / KV_PAGE;
    return t->length % KV_PAGE != 0 && page < t->n && c->pages[t->pages[page]].refs > 1;
}

int64_t kv_cache_wants(const KvCache *c, const KvSpan *s)
{
    if (s->sequence == KV_NOBODY)
        return 0;
    const Table *t = table_of(c, s->sequence);
    return MAX(0, pages_for(t->length + s->rows) - t->n) + last_is_shared(c, t);
}

static bool check_span(const KvCache *c, const KvSpan *spans, size_t i, Error *err)
{
    const KvSpan *s = &spans[i];
    if (s->sequence < 0 || s->sequence >= c->spec.sequences || s->rows < 1)
        return fail(err, ERR_INVALID, "span of %lld rows of sequence %d", (long long)s->rows,
                    s->sequence);
    for (size_t j = 0; j < i; j++)
        if (spans[j].sequence == s->sequence)
            return fail(err, ERR_INVALID, "sequence %d appears twice", s->sequence);
    int64_t length = c->tables[s->sequence].length;
    if (s->rows > c->spec.capacity - length)
        return fail(err, ERR_LIMIT, "%lld positions do not fit: %lld of %lld are taken",
                    (long long)s->rows, (long long)length, (long long)c->spec.capacity);
    return true;
}

/* Gives pages back that no layer looks at any more. */
static void leave_behind(KvCache *c, Table *t)
{
    int64_t seen = c->spec.window ? MAX(0, t->length + 1 - c->spec.window) / KV_PAGE : 0;
    for (; t->first < MIN(seen, t->n); t->first++)
        kv_page_unref(c, t->pages[t->first]);
}

/* The pages that the span writes are there and nobody else's. */
static bool make_room(KvCache *c, const KvSpan *s, Error *err)
{
    Table *t = table_of(c, s->sequence);
    leave_behind(c, t);
    if (last_is_shared(c, t)) {
        int32_t *shared = &t->pages[t->length / KV_PAGE], copy;
        if (!page_new(c, &copy, err))
            return false;
        memcpy(c->pages[copy].memory, c->pages[*shared].memory, c->page_bytes);
        kv_page_unref(c, *shared);
        *shared = copy;
    }
    table_reserve(t, pages_for(t->length + s->rows));
    for (; t->n < pages_for(t->length + s->rows); t->n++)
        if (!page_new(c, &t->pages[t->n], err))
            return false;
    return true;
}

bool kv_cache_begin(KvCache *c, const KvSpan *spans, size_t n, Error *err)
{
    int64_t wanted = 0, left = kv_cache_use(c).left;
    c->n_spans = 0;
    size_t last = n && spans[n - 1].sequence == KV_NOBODY && spans[n - 1].rows > 0 ? n - 1 : n;
    if (last > (size_t)c->spec.sequences)
        return fail(err, ERR_INVALID, "%zu spans in a cache of %d sequences", n, c->spec.sequences);
    for (size_t i = 0; i < last; i++) {
        if (!check_span(c, spans, i, err))
            return false;
        wanted += kv_cache_wants(c, &spans[i]);
    }
    if (wanted > left)
        return fail(err, ERR_LIMIT,
                    "the key/value cache is full: %lld more pages of %d positions are wanted, "
                    "%lld of %d are left",
                    (long long)wanted, KV_PAGE, (long long)left, c->max_pages);
    for (size_t i = 0; i < last; i++)
        if (!make_room(c, &spans[i], err))
            return false;
    memcpy(c->spans, spans, n * sizeof *spans);
    c->n_spans = n;
    return true;
}

const KvSpan *kv_cache_spans(const KvCache *c, size_t *n)
{
    *n = c->n_spans;
    return c->spans;
}

void kv_cache_commit(KvCache *c)
{
    for (size_t i = 0; i < c->n_spans; i++)
        if (c->spans[i].sequence != KV_NOBODY)
            c->tables[c->spans[i].sequence].length += c->spans[i].rows;
    c->n_spans = 0;
}

// ---- Blocks ----

typedef struct Block {
    char *keys, *values;
} Block;

static Block block_at(const KvCache *c, int layer, int sequence, int64_t head, int64_t page)
{
    const Table *t = &c->tables[sequence];
    size_t at = (size_t)(layer * c->spec.kv_heads + head) * (c->key_bytes + c->value_bytes);
    char *keys = c->pages[t->pages[page]].memory + at;
    return (Block){keys, keys + c->key_bytes};
}

/* One position's row of a panel that lies as keys do. */
static void put_quantised(const KvCache *c, char *panel, int row, const float *x)
{
    float wide[QUANTISED_WIDTH] = {0};
    uint8_t stored[QUANTISED_WIDTH / BLOCK * 34];
    int64_t width = padded(c->spec.head_dim);
    memcpy(wide, x, (size_t)c->spec.head_dim * sizeof *x);
    (void)dtype_from_f32(DTYPE_Q8_0, wide, stored, width, NULL); // cannot fail for this type
    pack_row(PACK_Q8_0, stored, width, row, panel);
}

static uint16_t narrow(Packing packing, float x)
{
    return packing == PACK_F16 ? f32_to_f16(x) : f32_to_bf16(x);
}

/* Where value `input` of `row` lies in a panel of halves. */
static size_t half_at(Packing packing, int64_t input, int64_t row)
{
    return packing == PACK_F16 ? (size_t)(input * PANEL + row)
                               : (size_t)((input / 2 * PANEL + row) * 2 + input % 2);
}

static void put_halves(const KvCache *c, Block b, int row, const float *key, const float *value)
{
    Packing p = c->packing;
    uint16_t *keys = (uint16_t *)(void *)b.keys, *values = (uint16_t *)(void *)b.values;
    for (int64_t d = 0; d < c->spec.head_dim; d++) {
        keys[half_at(p, d, row)] = narrow(p, key[d]);
        values[d / PANEL * PANEL * PANEL + (int64_t)half_at(p, row, d % PANEL)] =
            narrow(p, value[d]);
    }
}

static void put_key(const KvCache *c, Block b, int row, const float *key)
{
    float *keys = (float *)(void *)b.keys;
    for (int64_t d = 0; d < c->spec.head_dim; d++)
        keys[d * PANEL + row] = key[d];
}

static void put_value(const KvCache *c, Block b, int row, const float *value)
{
    float *values = (float *)(void *)b.values;
    int64_t width = c->spec.head_dim;
    for (int64_t d = 0; d < width; d += PANEL)
        memcpy(values + d * PANEL + row * PANEL, value + d,
               (size_t)MIN(PANEL, width - d) * sizeof *value);
}

/* Rows [row, row + n) of one block. Keys of several positions are a rectangle to be turned. */
static void put_block(const KvCache *c, Block b, int row, int n, KvRows keys, KvRows values)
{
    bool turned = c->packing == PACK_F32 && n > 1;
    if (turned)
        kernels()->transpose(n, c->spec.head_dim, keys.first, keys.stride,
                             (float *)(void *)b.keys + row, PANEL);
    for (int i = 0; i < n; i++, row++) {
        const float *key = keys.first + i * keys.stride, *value = values.first + i * values.stride;
        if (c->packing == PACK_F32) {
            if (!turned)
                put_key(c, b, row, key);
            put_value(c, b, row, value);
        } else if (c->packing == PACK_Q8_0) {
            put_quantised(c, b.keys, row, key);
            put_quantised(c, b.values, row, value);
        } else {
            put_halves(c, b, row, key, value);
        }
    }
}

void kv_cache_put(KvCache *c, int layer, int sequence, int64_t head, int64_t position, int64_t n,
                  KvRows keys, KvRows values)
{
    for (int64_t done = 0, some; done < n; done += some, position += some) {
        int row = (int)(position % KV_PAGE);
        some = MIN(n - done, KV_PAGE - row);
        put_block(c, block_at(c, layer, sequence, head, position / KV_PAGE), row, (int)some,
                  (KvRows){keys.first + done * keys.stride, keys.stride},
                  (KvRows){values.first + done * values.stride, values.stride});
    }
}

const float *kv_cache_keys(const KvCache *c, int layer, int sequence, int64_t head, int64_t page,
                           float *room)
{
    Block b = block_at(c, layer, sequence, head, page);
    if (c->packing == PACK_F32)
        return (const float *)(const void *)b.keys;
    bool quantised = c->packing == PACK_Q8_0;
    kernels()->unpack[c->packing](quantised ? padded(c->spec.head_dim) : c->spec.head_dim, b.keys,
                                  room);
    return room;
}

const float *kv_cache_values(const KvCache *c, int layer, int sequence, int64_t head, int64_t page,
                             float *room)
{
    Block b = block_at(c, layer, sequence, head, page);
    int64_t width = padded(c->spec.head_dim);
    if (c->packing == PACK_F32)
        return (const float *)(const void *)b.values;
    if (c->packing == PACK_Q8_0) {
        float *turned = room + width * PANEL;
        kernels()->unpack[PACK_Q8_0](width, b.values, turned);
        for (int64_t d = 0; d < width; d += PANEL)
            kernels()->transpose(PANEL, PANEL, turned + d * PANEL, PANEL, room + d * PANEL, PANEL);
        return room;
    }
    size_t panel = packing_bytes(c->packing, PANEL);
    for (int64_t d = 0; d < width; d += PANEL)
        kernels()->unpack[c->packing](PANEL, b.values + (size_t)(d / PANEL) * panel,
                                      room + d * PANEL);
    return room;
}
