/* attend.c: attention without a score matrix.
 *
 * Keys and values lie in rooms (cache.c): the cache's, or, without a cache, ones in scratch that
 * are filled first. A task is a tile of query rows of one key/value head; the rows are the head's
 * query heads for a run of tokens, token by token, so that grouped queries share every key they
 * load. It walks over the keys in blocks: scores of a block, running softmax, weighted sum of
 * values; only the tile's own few kilobytes are ever written. */
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <math.h>

enum { STORE_GRAIN = 64 };

/* The tokens of one sequence in this run. */
typedef struct Group {
    int64_t first, rows; // which of the B * T rows
    int64_t start;       // position of the first
    int64_t keys;        // positions that exist, the new ones included
    int sequence;
} Group;

typedef struct Job {
    const Tensor *t, *q, *k, *v;
    const Attend *p;
    const KvCache *cache;           // NULL: rooms in scratch
    int64_t heads, kv_heads, share; // share: query heads a key/value head
    int64_t tokens, new_keys, width;
    int tile_rows;
    float *rooms, *threads; // scratch
    size_t room_floats, thread_floats;
    int64_t capacity; // of rooms in scratch
    // For tasks.
    int64_t tiles; // of all groups, for one key/value head
} Job;

static int64_t padded(int64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static Job job_of(const Tensor *t)
{
    const Tensor *q = t->in[0], *k = t->in[1];
    Job j = {.t = t, .q = q, .k = k, .v = t->in[2], .p = &t->params.attend};
    j.heads = q->shape.dims[1];
    j.kv_heads = k->shape.dims[1];
    j.share = j.heads / j.kv_heads;
    j.tokens = q->shape.dims[2];
    j.new_keys = k->shape.dims[2];
    j.width = tensor_width(q);
    j.tile_rows = kernels()->tile_rows;
    j.capacity = padded(j.new_keys);
    j.room_floats = kv_room_floats(j.capacity, j.width);
    // Queries, scores, scores turned, sums, one panel of products, and room for two values a row.
    j.thread_floats = (size_t)MAX_ROWS * (size_t)(2 * padded(j.width) + 2 * ATTEND_KEYS + PANEL);
    return j;
}

size_t scratch_attend(const Tensor *t)
{
    Job j = job_of(t);
    int64_t rooms = j.p->cached ? 0 : t->shape.dims[0] * j.kv_heads;
    return ((size_t)rooms * j.room_floats + (size_t)pool_threads() * j.thread_floats) *
           sizeof(float);
}

bool check_attend(const Tensor *t, Error *err)
{
    if (!t->params.attend.cached)
        return true;
    const KvCache *cache = t->graph->cache;
    Job j = job_of(t);
    if (!cache)
        return fail(err, ERR_INVALID, "the graph has no key/value cache");
    const KvSpec *s = kv_cache_spec(cache);
    if (s->kv_heads != j.kv_heads || s->head_dim != j.width || j.p->layer >= s->layers)
        return fail(err, ERR_INVALID,
                    "layer %d of %lld heads of %lld does not fit a cache of %d layers of %lld "
                    "heads of %lld",
                    j.p->layer, (long long)j.kv_heads, (long long)j.width, s->layers,
                    (long long)s->kv_heads, (long long)s->head_dim);
    size_t n;
    const KvSpan *spans = kv_cache_spans(cache, &n);
    int64_t rows = 0;
    for (size_t i = 0; i < n; i++)
        rows += spans[i].rows;
    if (rows != t->shape.dims[0] * j.tokens)
        return fail(err, ERR_INVALID, "the cache was told of %lld rows, the graph has %lld",
                    (long long)rows, (long long)(t->shape.dims[0] * j.tokens));
    return true;
}

/* The group after *g, or the first behind an empty one; false when there is none. Rows of nobody
 * come last. */
static bool next_group(const Job *j, int64_t *index, Group *g)
{
    int64_t first = g->first + g->rows, i = (*index)++;
    if (j->cache) {
        size_t n;
        const KvSpan *spans = kv_cache_spans(j->cache, &n);
        if (i >= (int64_t)n || spans[i].sequence == KV_NOBODY)
            return false;
        int64_t start = kv_cache_length(j->cache, spans[i].sequence);
        *g = (Group){first, spans[i].rows, start, start + spans[i].rows, spans[i].sequence};
        return true;
    }
    if (i >= j->t->shape.dims[0])
        return false;
    // Queries are the last of the keys' positions.
    *g = (Group){first, j->tokens, j->new_keys - j->tokens, j->new_keys, (int)i};
    return true;
}

static KvRoom room_of(const Job *j, const Group *g, int64_t head)
{
    if (j->cache)
        return kv_cache_room(j->cache, j->p->layer, g->sequence, head);
    float *memory = j->rooms + (size_t)(g->sequence * j->kv_heads + head) * j->room_floats;
    return kv_room_at(memory, j->capacity, j->width);
}

/* Row `row` of the B * T tokens of x [B,heads,T,D]. */
static float *token_row(const Tensor *x, int64_t row, int64_t head)
{
    int64_t tokens = x->shape.dims[2];
    return tensor_f32(x) + row / tokens * x->strides[0] + head * x->strides[1] +
           row % tokens * x->strides[2];
}

/* Puts rows [from, to) of all B * new_keys of them into their rooms. */
static void store_range(void *context, int64_t from, int64_t to)
{
    const Job *j = context;
    Group g = {0};
    int64_t index = 0;
    while (next_group(j, &index, &g)) {
        // Without a cache a group has as many keys as its room, whatever its queries.
        int64_t rows = j->cache ? g.rows : j->new_keys,
                first = j->cache ? g.first : rows * (index - 1);
        int64_t position = j->cache ? g.start : 0;
        for (int64_t i = MAX(from, first); i < MIN(to, first + rows); i++)
            for (int64_t head = 0; head < j->kv_heads; head++) {
                KvRoom room = room_of(j, &g, head);
                kv_room_put(&room, j->width, position + i - first, token_row(j->k, i, head),
                            token_row(j->v, i, head));
            }
    }
}

/* A tile of query rows while it walks over the keys. */
typedef struct Tile {
    int rows;
    int64_t width; // of the sums: whole panels
    float *queries, *scores, *turned, *sums, *products;
    float max[MAX_ROWS], sum[MAX_ROWS];
    int64_t from[MAX_ROWS], to[MAX_ROWS]; // positions that a row sees
    float *out[MAX_ROWS];
} Tile;

static void tile_begin(const Job *j, const Group *g, int64_t head, int64_t row, int thread, Tile *t)
{
    const float *src[MAX_ROWS];
    float *memory = j->threads + (size_t)thread * j->thread_floats;
    t->rows = (int)MIN(j->tile_rows, g->rows * j->share - row);
    t->width = padded(j->width);
    t->queries = memory;
    t->sums = t->queries + MAX_ROWS * t->width;
    t->scores = t->sums + MAX_ROWS * t->width;
    t->turned = t->scores + MAX_ROWS * ATTEND_KEYS;
    t->products = t->turned + MAX_ROWS * ATTEND_KEYS;
    for (int r = 0; r < t->rows; r++) {
        int64_t token = (row + r) / j->share, query_head = head * j->share + (row + r) % j->share;
        int64_t position = g->start + token;
        src[r] = token_row(j->q, g->first + token, query_head);
        t->out[r] = token_row(j->t, g->first + token, query_head);
        t->to[r] = j->p->causal ? position + 1 : g->keys;
        t->from[r] = j->p->window ? MAX(0, position + 1 - j->p->window) : 0;
        t->max[r] = -INFINITY;
        t->sum[r] = 0;
    }
    for (int64_t d = 0; d < j->width; d++)
        for (int r = 0; r < t->rows; r++)
            t->queries[d * t->rows + r] = src[r][d];
    memset(t->sums, 0, (size_t)(t->rows * t->width) * sizeof(float));
}

/* Adds what the keys [at, at + n) contribute. */
static void tile_block(const Job *j, const KvRoom *room, Tile *t, int64_t at, int n)
{
    const Kernels *k = kernels();
    float factors[MAX_ROWS];
    for (int i = 0; i < n; i += PANEL)
        k->tile(t->rows, j->width, t->queries, room->keys + (at + i) * j->width, t->scores + i,
                ATTEND_KEYS);
    for (int r = 0; r < t->rows; r++) {
        KeyRange seen = {(int)MIN(MAX(t->from[r] - at, 0), n), (int)MIN(MAX(t->to[r] - at, 0), n)};
        factors[r] = k->attend_row(n, t->scores + r * ATTEND_KEYS, j->p->scale, seen, &t->max[r],
                                   &t->sum[r]);
    }
    k->pack_rows(t->rows, n, t->scores, ATTEND_KEYS, t->turned);
    for (int64_t d = 0; d < t->width; d += PANEL) {
        k->tile(t->rows, n, t->turned, room->values + d * room->capacity + at * PANEL, t->products,
                PANEL);
        for (int r = 0; r < t->rows; r++)
            k->rescale_add(PANEL, t->sums + r * t->width + d, factors[r], t->products + r * PANEL);
    }
}

static void attend_tile(const Job *j, const Group *g, int64_t head, int64_t tile, int thread)
{
    Tile t;
    tile_begin(j, g, head, tile * j->tile_rows, thread, &t);
    KvRoom room = room_of(j, g, head);
    int64_t from = t.from[0], to = t.to[t.rows - 1]; // rows go forward in time
    for (int64_t at = from / PANEL * PANEL; at < to; at += ATTEND_KEYS)
        tile_block(j, &room, &t, at, (int)MIN(ATTEND_KEYS, to - at));
    for (int r = 0; r < t.rows; r++)
        kernels()->scale(j->width, t.sums + r * t.width, 1 / t.sum[r], t.out[r]);
}

static int64_t tiles_of(const Job *j, const Group *g)
{
    return (g->rows * j->share + j->tile_rows - 1) / j->tile_rows;
}

static void attend_task(void *context, int64_t task, int thread)
{
    const Job *j = context;
    int64_t head = task / j->tiles, tile = task % j->tiles, index = 0;
    Group g = {0};
    while (next_group(j, &index, &g)) {
        int64_t tiles = tiles_of(j, &g);
        if (tile < tiles) {
            // The last tiles see the most keys: begin with them.
            attend_tile(j, &g, head, tiles - 1 - tile, thread);
            return;
        }
        tile -= tiles;
    }
}

void run_attend(const Tensor *t)
{
    Job j = job_of(t);
    j.cache = j.p->cached ? t->graph->cache : NULL;
    j.rooms = (float *)(void *)t->graph->scratch;
    j.threads = j.rooms + (j.cache ? 0 : (size_t)(t->shape.dims[0] * j.kv_heads) * j.room_floats);
    Group g = {0};
    int64_t index = 0;
    while (next_group(&j, &index, &g))
        j.tiles += tiles_of(&j, &g);
    pool_ranges(t->shape.dims[0] * j.new_keys, STORE_GRAIN, store_range, &j);
    pool_run(j.tiles * j.kv_heads, attend_task, &j);
}
