/* attend.c: attention over the key/value cache, without a score matrix.
 *
 * A task is a tile of query rows of one sequence and one key/value head; the rows are the head's
 * query heads for a run of tokens, token by token, so that grouped queries share every key they
 * load. It walks over the keys in blocks: scores of a block, running softmax, weighted sum of
 * values; only the tile's own few kilobytes are ever written.
 *
 * Keys come in parts of PART_KEYS positions. Each part has a softmax of its own, and parts are
 * merged in order: so a step of few rows may give each part to another thread, and the sums of a
 * row are the same whoever computes them, whatever else is in the step.
 *
 * Where products may be bf16, a sequence that begins, alone in its step, has all its keys at hand:
 * then attend_dense.c does it. */
#include "tensor/attend_internal.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <math.h>

enum {
    STORE_GRAIN = 64,
    PART_KEYS = 512,
    SPLIT_TOKENS = 16,  // a step of at most so many is divided by parts too
    SPLIT_PARTS = 32,   // into at most so many
    DENSE_ROWS = 64,    // from so many on keys and values are worth packing
    SMALL_WORK = 32768, // products that are not worth another thread
};
_Static_assert(PART_KEYS % ATTEND_KEYS == 0, "a part is whole blocks");

/* The tokens of one sequence in this run. */
typedef struct Group {
    int64_t first, rows; // which of the B * T rows
    int64_t start;       // position of the first
    int64_t tiles;       // of one key/value head
    int64_t parts;       // tasks that its keys are divided among
    int sequence;
} Group;

typedef struct Job {
    const Tensor *t, *q, *k, *v;
    const Attend *p;
    KvCache *cache;
    int64_t heads, kv_heads, share; // share: query heads a key/value head
    int64_t tokens, width, wide;    // wide: whole panels
    int tile_rows;
    float *threads, *partial; // scratch
    size_t thread_floats, partial_floats;
    int64_t tasks; // for one key/value head
} Job;

static int64_t padded(int64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static Job job_of(const Tensor *t)
{
    const Tensor *q = t->in[0], *k = t->in[1];
    Job j = {.t = t, .q = q, .k = k, .v = t->in[2], .p = &t->params.attend};
    j.cache = t->graph->cache;
    j.heads = q->shape.dims[1];
    j.kv_heads = k->shape.dims[1];
    j.share = j.heads / j.kv_heads;
    j.tokens = t->shape.dims[0] * q->shape.dims[2];
    j.width = tensor_width(q);
    j.wide = padded(j.width);
    j.tile_rows = kernels()->tile_rows;
    // Queries, scores, scores turned, sums of a part and of all, a panel of products, a page.
    j.thread_floats =
        (size_t)MAX_ROWS * (size_t)(3 * j.wide + 2 * ATTEND_KEYS + PANEL) + kv_room_floats(j.width);
    // Of a part's rows: maximum, sum, weighted values.
    j.partial_floats = (size_t)(2 * PANEL + j.wide);
    return j;
}

static size_t partial_slots(const Job *j)
{
    return j->tokens <= SPLIT_TOKENS ? (size_t)(j->tokens * j->heads * SPLIT_PARTS) : 0;
}

static bool may_be_dense(const Job *j)
{
    return j->p->precision == PRECISION_BF16 && j->q->shape.dims[0] == 1 && j->tokens >= DENSE_ROWS;
}

size_t scratch_attend(const Tensor *t)
{
    Job j = job_of(t);
    size_t floats = (size_t)pool_threads() * j.thread_floats + partial_slots(&j) * j.partial_floats;
    return MAX(floats * sizeof(float), may_be_dense(&j) ? scratch_attend_dense(t) : 0);
}

/* Whether the step is a sequence from its beginning on, and rows of nobody behind it. */
static bool begins_alone(const Job *j)
{
    size_t n;
    const KvSpan *spans = kv_cache_spans(j->cache, &n);
    return n > 0 && n <= 2 && spans[0].sequence != KV_NOBODY && spans[0].rows >= DENSE_ROWS &&
           kv_cache_length(j->cache, spans[0].sequence) == 0 &&
           (n == 1 || spans[1].sequence == KV_NOBODY);
}

bool check_attend(const Tensor *t, Error *err)
{
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
    if (s->window && (!j.p->window || j.p->window > s->window))
        return fail(err, ERR_INVALID, "layer %d looks further back than the cache's window of %lld",
                    j.p->layer, (long long)s->window);
    size_t n;
    const KvSpan *spans = kv_cache_spans(cache, &n);
    int64_t rows = 0;
    for (size_t i = 0; i < n; i++)
        rows += spans[i].rows;
    if (rows != j.tokens)
        return fail(err, ERR_INVALID, "the cache was told of %lld rows, the graph has %lld",
                    (long long)rows, (long long)j.tokens);
    return true;
}

/* The group of span `index`, behind *g or an empty one; false when there is none. Rows of nobody
 * come last. */
static bool next_group(const Job *j, int64_t *index, Group *g)
{
    size_t n;
    const KvSpan *spans = kv_cache_spans(j->cache, &n);
    int64_t i = (*index)++;
    if (i >= (int64_t)n || spans[i].sequence == KV_NOBODY)
        return false;
    *g = (Group){.first = g->first + g->rows, .rows = spans[i].rows, .parts = 1};
    g->sequence = spans[i].sequence;
    g->start = kv_cache_length(j->cache, g->sequence);
    g->tiles = (g->rows * j->share + j->tile_rows - 1) / j->tile_rows;
    int64_t parts = (g->start + g->rows - 1) / PART_KEYS + 1;
    if (g->tiles == 1 && partial_slots(j) && parts <= SPLIT_PARTS)
        g->parts = parts;
    return true;
}

/* Row `row` of the B * T tokens of x [B,heads,T,D]. */
static float *token_row(const Tensor *x, int64_t row, int64_t head)
{
    int64_t tokens = x->shape.dims[2];
    return tensor_f32(x) + row / tokens * x->strides[0] + head * x->strides[1] +
           row % tokens * x->strides[2];
}

/* Puts rows [from, to) of all into the cache; of each sample of the graph those that follow one
 * another. */
static void store_range(void *context, int64_t from, int64_t to)
{
    const Job *j = context;
    int64_t tokens = j->k->shape.dims[2], index = 0;
    Group g = {0};
    while (next_group(j, &index, &g))
        for (int64_t i = MAX(from, g.first), end = MIN(to, g.first + g.rows), n; i < end; i += n) {
            n = MIN(end - i, tokens - i % tokens);
            for (int64_t head = 0; head < j->kv_heads; head++)
                kv_cache_put(j->cache, j->p->layer, g.sequence, head, g.start + i - g.first, n,
                             (KvRows){token_row(j->k, i, head), j->k->strides[2]},
                             (KvRows){token_row(j->v, i, head), j->v->strides[2]});
        }
}

/* Where a row's softmax stands, and the weighted values so far. */
typedef struct State {
    float max[MAX_ROWS], sum[MAX_ROWS];
    float *values; // [rows,wide]
} State;

/* A tile of query rows while it walks over the keys. */
typedef struct Tile {
    int rows;
    int64_t row; // the first, of the group's
    float *queries, *scores, *turned, *products, *page;
    State part, all;
    int64_t from[MAX_ROWS], to[MAX_ROWS]; // positions that a row sees
} Tile;

static void state_clear(State *s, int rows, int64_t wide)
{
    for (int r = 0; r < rows; r++) {
        s->max[r] = -INFINITY;
        s->sum[r] = 0;
    }
    memset(s->values, 0, (size_t)(rows * wide) * sizeof(float));
}

static void tile_begin(const Job *j, const Group *g, int64_t head, int64_t row, int thread, Tile *t)
{
    float *memory = j->threads + (size_t)thread * j->thread_floats;
    t->row = row;
    t->rows = (int)MIN(j->tile_rows, g->rows * j->share - row);
    t->queries = memory;
    t->part.values = t->queries + MAX_ROWS * j->wide;
    t->all.values = t->part.values + MAX_ROWS * j->wide;
    t->scores = t->all.values + MAX_ROWS * j->wide;
    t->turned = t->scores + MAX_ROWS * ATTEND_KEYS;
    t->products = t->turned + MAX_ROWS * ATTEND_KEYS;
    t->page = t->products + MAX_ROWS * PANEL;
    for (int r = 0; r < t->rows; r++) {
        int64_t token = (row + r) / j->share, position = g->start + token;
        const float *query =
            token_row(j->q, g->first + token, head * j->share + (row + r) % j->share);
        t->to[r] = j->p->causal ? position + 1 : g->start + g->rows;
        t->from[r] = j->p->window ? MAX(0, position + 1 - j->p->window) : 0;
        for (int64_t d = 0; d < j->width; d++)
            t->queries[d * t->rows + r] = query[d];
    }
    state_clear(&t->all, t->rows, j->wide);
}

/* Adds what the keys [at, at + n) contribute to the part. */
static void tile_block(const Job *j, const Group *g, int64_t head, Tile *t, int64_t at, int n)
{
    const Kernels *k = kernels();
    float factors[MAX_ROWS];
    for (int i = 0; i < n; i += PANEL)
        k->tile(
            t->rows, j->width, t->queries,
            kv_cache_keys(j->cache, j->p->layer, g->sequence, head, (at + i) / KV_PAGE, t->page),
            t->scores + i, ATTEND_KEYS);
    for (int r = 0; r < t->rows; r++) {
        KeyRange seen = {(int)MIN(MAX(t->from[r] - at, 0), n), (int)MIN(MAX(t->to[r] - at, 0), n)};
        factors[r] = k->attend_row(n, t->scores + r * ATTEND_KEYS, j->p->scale, seen,
                                   &t->part.max[r], &t->part.sum[r]);
    }
    k->pack_rows(t->rows, n, t->scores, ATTEND_KEYS, t->turned);
    for (int i = 0; i < n; i += PANEL) {
        const float *values =
            kv_cache_values(j->cache, j->p->layer, g->sequence, head, (at + i) / KV_PAGE, t->page);
        for (int64_t d = 0; d < j->wide; d += PANEL) {
            k->tile(t->rows, MIN(PANEL, n - i), t->turned + i * t->rows, values + d * PANEL,
                    t->products, PANEL);
            for (int r = 0; r < t->rows; r++)
                k->rescale_add(PANEL, t->part.values + r * j->wide + d, i ? 1 : factors[r],
                               t->products + r * PANEL);
        }
    }
}

/* The keys of one part, from nothing. */
static void tile_part(const Job *j, const Group *g, int64_t head, Tile *t, int64_t part)
{
    state_clear(&t->part, t->rows, j->wide);
    int64_t from = MAX(part * PART_KEYS, t->from[0] / PANEL * PANEL);
    int64_t to = MIN((part + 1) * PART_KEYS, t->to[t->rows - 1]); // rows go forward in time
    for (int64_t at = from; at < to;) {
        // Blocks begin at multiples of their size, so that a row's sums do not depend on the tile.
        int64_t end = MIN(to, at / ATTEND_KEYS * ATTEND_KEYS + ATTEND_KEYS);
        tile_block(j, g, head, t, at, (int)(end - at));
        at = end;
    }
}

/* Row r of `all` goes on with a part: its maximum, sum and values. */
static void merge(const Job *j, State *all, int r, float max, float sum, const float *values)
{
    if (sum == 0) // NOLINT: a row that sees no key of the part has exactly this
        return;
    float *total = all->values + r * j->wide, top = fmaxf(all->max[r], max);
    float old = expf(all->max[r] - top), new = expf(max - top);
    all->max[r] = top;
    all->sum[r] = all->sum[r] * old + sum * new;
    kernels()->scale(j->wide, total, old, total);
    for (int64_t d = 0; d < j->wide; d++)
        total[d] += values[d] * new;
}

static void write_out(const Job *j, const Group *g, int64_t head, const Tile *t)
{
    for (int r = 0; r < t->rows; r++) {
        int64_t row = t->row + r;
        float *out = token_row(j->t, g->first + row / j->share, head * j->share + row % j->share);
        kernels()->scale(j->width, t->all.values + r * j->wide, 1 / t->all.sum[r], out);
    }
}

/* Where a part of a divided group's row is kept. */
static float *partial_at(const Job *j, const Group *g, int64_t head, int64_t row, int64_t part)
{
    int64_t at = (g->first * j->kv_heads + head * g->rows) * j->share + row;
    return j->partial + (size_t)(at * SPLIT_PARTS + part) * j->partial_floats;
}

static void keep_part(const Job *j, const Group *g, int64_t head, const Tile *t, int64_t part)
{
    for (int r = 0; r < t->rows; r++) {
        float *out = partial_at(j, g, head, t->row + r, part);
        out[0] = t->part.max[r];
        out[1] = t->part.sum[r];
        memcpy(out + 2 * PANEL, t->part.values + r * j->wide, (size_t)j->wide * sizeof *out);
    }
}

static void attend_tile(const Job *j, const Group *g, int64_t head, int64_t tile, int thread)
{
    Tile t;
    tile_begin(j, g, head, tile * j->tile_rows, thread, &t);
    for (int64_t part = t.from[0] / PART_KEYS; part * PART_KEYS < t.to[t.rows - 1]; part++) {
        tile_part(j, g, head, &t, part);
        for (int r = 0; r < t.rows; r++)
            merge(j, &t.all, r, t.part.max[r], t.part.sum[r], t.part.values + r * j->wide);
    }
    write_out(j, g, head, &t);
}

/* The group that `task` of one head's tasks belongs to; *task becomes its number there. */
static Group group_of_task(const Job *j, int64_t *task)
{
    Group g = {0};
    for (int64_t index = 0; next_group(j, &index, &g) && *task >= g.tiles * g.parts;)
        *task -= g.tiles * g.parts;
    return g;
}

static void attend_task(void *context, int64_t task, int thread)
{
    const Job *j = context;
    int64_t head = task / j->tasks, at = task % j->tasks;
    Group g = group_of_task(j, &at);
    if (g.parts == 1) {
        // The last tiles see the most keys: begin with them.
        attend_tile(j, &g, head, g.tiles - 1 - at, thread);
        return;
    }
    Tile t;
    tile_begin(j, &g, head, 0, thread, &t);
    tile_part(j, &g, head, &t, at);
    keep_part(j, &g, head, &t, at);
}

/* What the parts of a divided group come to. */
static void merge_task(void *context, int64_t task, int thread)
{
    const Job *j = context;
    int64_t head = task / j->tasks, at = task % j->tasks;
    Group g = group_of_task(j, &at);
    if (g.parts == 1 || at > 0)
        return;
    Tile t;
    tile_begin(j, &g, head, 0, thread, &t);
    for (int64_t part = 0; part < g.parts; part++)
        for (int r = 0; r < t.rows; r++) {
            const float *kept = partial_at(j, &g, head, r, part);
            merge(j, &t.all, r, kept[0], kept[1], kept + 2 * PANEL);
        }
    write_out(j, &g, head, &t);
}

static void run_tasks(const Job *j, int64_t work, void (*task)(void *, int64_t, int), void *context)
{
    int64_t n = j->tasks * j->kv_heads;
    if (work > SMALL_WORK) {
        pool_run(n, task, context);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        task(context, i, 0);
}

void run_attend(const Tensor *t)
{
    Job j = job_of(t);
    j.threads = (float *)(void *)t->graph->scratch;
    j.partial = j.threads + (size_t)pool_threads() * j.thread_floats;
    Group g = {0};
    int64_t pairs = 0; // of queries and keys
    bool divided = false;
    for (int64_t index = 0; next_group(&j, &index, &g);) {
        j.tasks += g.tiles * g.parts;
        pairs += g.rows * (g.start + g.rows);
        divided |= g.parts > 1;
    }
    pool_ranges(j.tokens, STORE_GRAIN, store_range, &j);
    if (may_be_dense(&j) && begins_alone(&j)) {
        run_attend_dense(t);
        return;
    }
    run_tasks(&j, pairs * j.heads * j.width, attend_task, &j);
    if (divided)
        run_tasks(&j, 0, merge_task, &j);
}
