/* attend_dense.c: attention over all of k and v at once, without a cache; see tensor.h.
 *
 * A lane is a query: a panel of PANEL queries meets keys in blocks, and
 *     scores [keys,PANEL] = keys [keys,D] . queries [D,PANEL]
 *     sums   [D,PANEL]    = sums * factor + values' [D,keys] . weights [keys,PANEL]
 * are products of the kernel that linear layers use: scores come out just as the second product
 * reads its panel, and running softmax never looks across lanes. Widths that are no multiple of a
 * panel cost nothing, because D is divided among the rows of tiles.
 *
 * The queries of a panel are the query heads of one key/value head, token by token, so that grouped
 * queries share the keys. Keys and values are packed once, head by head; a task takes a few panels
 * through all keys that they see. Scores are in powers of two: the queries carry log2(e). */
#include "tensor/attend_internal.h"

#include "tensor/pool_internal.h"

#include <math.h>

enum {
    BLOCK_ROWS = 128, // keys a block, or as many whole tiles as come near it
    MOST_PANELS = 4,  // a task takes through the keys together
};

typedef struct Dense {
    AttendShape s;
    const Tensor *t;
    bool bf16;
    int panels;        // a task
    int64_t tasks;     // a key/value head
    char *packed;      // scratch: keys and values of each head
    float *threads;    // scratch
    size_t head_bytes; // of keys; values take as many
    size_t thread_floats;
} Dense;

/* What planning and running agree on. */

AttendShape attend_shape(const Tensor *q, const Tensor *k, const Attend *p, bool bf16)
{
    AttendShape s = {.p = p, .batch = q->shape.dims[0], .heads = q->shape.dims[1]};
    s.kv_heads = k->shape.dims[1];
    s.share = s.heads / s.kv_heads;
    s.tokens = q->shape.dims[2];
    s.keys = k->shape.dims[2];
    s.width = tensor_width(q);
    s.tile_rows = bf16 ? kernels()->tile_rows_bf16 : kernels()->tile_rows;
    s.block = MAX(1, BLOCK_ROWS / (2 * s.tile_rows)) * 2 * s.tile_rows; // bf16 takes pairs
    s.chunks = (s.width + s.tile_rows - 1) / s.tile_rows;
    s.lanes = s.tokens * s.share;
    s.scale = p->scale * 1.44269504F;
    return s;
}

/* D is divided evenly among tiles: chunk c is [first, first of c + 1). */
int64_t attend_chunk(const AttendShape *s, int64_t c)
{
    return c * s->width / s->chunks;
}

static int64_t even(int64_t n)
{
    return n + n % 2;
}

static Dense dense_of(const Tensor *t)
{
    const Attend *p = &t->params.attend;
    Dense d = {.t = t, .bf16 = p->precision == PRECISION_BF16};
    d.s = attend_shape(t->in[0], t->in[1], p, d.bf16);
    const AttendShape *s = &d.s;
    int64_t panels = (s->lanes + PANEL - 1) / PANEL;
    int64_t wanted = 4 * (int64_t)pool_threads(); // tasks
    d.panels = (int)MIN(MOST_PANELS, MAX(1, panels * s->batch * s->kv_heads / wanted));
    d.tasks = (panels + d.panels - 1) / d.panels;
    size_t blocks = (size_t)((s->keys + s->block - 1) / s->block);
    d.head_bytes =
        blocks * (size_t)(s->block * even(s->width)) * (d.bf16 ? sizeof(uint16_t) : sizeof(float));
    d.head_bytes = (d.head_bytes + 63) / 64 * 64;
    // Rows, scores, scores in pairs (or a bias turned), products; queries and sums of each panel.
    d.thread_floats = (size_t)PANEL * (size_t)(MAX(s->block, s->width) + 2 * s->block + MAX_ROWS +
                                               d.panels * 2 * even(s->width));
    return d;
}

size_t scratch_attend_dense(const Tensor *t)
{
    Dense d = dense_of(t);
    if (attend_has_few(&d.s))
        return scratch_attend_few(&d.s);
    return 2 * (size_t)(d.s.batch * d.s.kv_heads) * d.head_bytes +
           (size_t)pool_threads() * d.thread_floats * sizeof(float);
}

static char *packed_keys(const Dense *d, int64_t head)
{
    return d->packed + (size_t)(2 * head) * d->head_bytes;
}

static char *packed_values(const Dense *d, int64_t head)
{
    return packed_keys(d, head) + d->head_bytes;
}

/* Packing: a task is one block of one head. */

/* Tiles of keys [D,rows], and in pairs [D/2,rows,2]. */
static void pack_keys(const Dense *d, int64_t head, int64_t at, int n)
{
    const AttendShape *s = &d->s;
    const Tensor *k = d->t->in[1];
    int64_t stride = k->strides[2];
    const float *src = attend_row_of(k, head / s->kv_heads, head % s->kv_heads, at);
    for (int i = 0; i < n; i += s->tile_rows) {
        int rows = MIN(s->tile_rows, n - i);
        if (d->bf16)
            kernels()->pack_rows_bf16(rows, s->width, src + i * stride, stride,
                                      (uint16_t *)(void *)packed_keys(d, head) +
                                          (at + i) * even(s->width));
        else
            kernels()->pack_rows(rows, s->width, src + i * stride, stride,
                                 (float *)(void *)packed_keys(d, head) + (at + i) * s->width);
    }
}

/* Chunks of a block of values [n,columns], and in pairs [n/2,columns,2]. */
static void pack_values(const Dense *d, int64_t head, int64_t at, int n)
{
    const AttendShape *s = &d->s;
    const Tensor *v = d->t->in[2];
    int64_t stride = v->strides[2];
    const float *src = attend_row_of(v, head / s->kv_heads, head % s->kv_heads, at);
    for (int64_t c = 0; c < s->chunks; c++) {
        int64_t first = attend_chunk(s, c);
        int columns = (int)(attend_chunk(s, c + 1) - first);
        if (d->bf16)
            kernels()->pack_turned_bf16(columns, n, src + first, stride,
                                        (uint16_t *)(void *)packed_values(d, head) +
                                            at * even(s->width) + first * even(n));
        else
            kernels()->pack_columns(columns, n, src + first, stride,
                                    (float *)(void *)packed_values(d, head) + at * s->width +
                                        first * n);
    }
}

static void pack_task(void *context, int64_t task, int thread)
{
    const Dense *d = context;
    int64_t blocks = (d->s.keys + d->s.block - 1) / d->s.block;
    int64_t head = task / blocks, at = task % blocks * d->s.block;
    int n = (int)MIN(d->s.block, d->s.keys - at);
    pack_keys(d, head, at, n);
    pack_values(d, head, at, n);
}

/* What each lane is and sees. */

void attend_panel_of(const AttendShape *s, int64_t head, int64_t first, AttendPanel *p)
{
    int64_t start = s->keys - s->tokens; // of the queries' positions
    *p = (AttendPanel){.batch = head / s->kv_heads, .n = (int)MIN(PANEL, s->lanes - first)};
    p->from = s->keys;
    for (int l = 0; l < PANEL; l++) {
        int64_t lane = MIN(first + l, s->lanes - 1); // empty lanes see what the last one sees
        int64_t position = start + lane / s->share;
        p->token[l] = lane / s->share;
        p->head[l] = head % s->kv_heads * s->share + lane % s->share;
        int64_t to = s->p->causal ? MAX(0, position + 1) : s->keys;
        int64_t from = s->p->window ? MAX(0, position + 1 - s->p->window) : 0;
        p->sees_to[l] = (int32_t)MIN(to, s->keys);
        p->sees_from[l] = (int32_t)MIN(from, p->sees_to[l]);
        p->from = MIN(p->from, p->sees_from[l]);
        p->to = MAX(p->to, p->sees_to[l]);
    }
}

void attend_gather(const AttendPanel *p, const Tensor *x, int64_t width, float factor, float *rows,
                   float *panel)
{
    for (int l = 0; l < p->n; l++)
        kernels()->scale(width, attend_row_of(x, p->batch, p->head[l], p->token[l]), factor,
                         rows + l * width);
    memset(rows + p->n * width, 0, (size_t)((PANEL - p->n) * width) * sizeof *rows);
    if (panel)
        kernels()->transpose(PANEL, width, rows, width, panel, PANEL);
}

const LaneRanges *attend_ranges(const AttendPanel *p, int64_t at, int n, LaneRanges *out)
{
    bool all = true;
    for (int l = 0; l < PANEL; l++) {
        out->from[l] = (int32_t)MIN(MAX(p->sees_from[l] - at, 0), n);
        out->to[l] = (int32_t)MIN(MAX(p->sees_to[l] - at, 0), n);
        all = all && out->from[l] == 0 && out->to[l] == n;
    }
    return all ? NULL : out;
}

const float *attend_bias_row(const Tensor *bias, const AttendPanel *p, int l, int64_t at)
{
    const int64_t index[] = {p->batch, p->head[l], p->token[l], at};
    const float *row = tensor_f32(bias);
    for (int i = 0; i < 4; i++)
        row += bias->shape.dims[i] > 1 ? index[i] * bias->strides[i] : 0;
    return row;
}

static void add_bias(const AttendPanel *p, const Tensor *bias, int64_t at, int n, float *scores,
                     float *rows, float *turned)
{
    const float log2_e = 1.44269504F;
    int64_t step = bias->shape.dims[3] > 1 ? bias->strides[3] : 0;
    if (bias->shape.dims[1] == 1 && bias->shape.dims[2] == 1) { // all lanes have the same
        const float *row = attend_bias_row(bias, p, 0, at);
        for (int i = 0; i < n; i++)
            for (int l = 0; l < PANEL; l++)
                scores[i * PANEL + l] += row[i * step] * log2_e;
        return;
    }
    for (int l = 0; l < PANEL; l++) {
        const float *row = attend_bias_row(bias, p, l, at);
        if (step == 1)
            kernels()->scale(n, row, log2_e, rows + l * n);
        else
            for (int i = 0; i < n; i++)
                rows[l * n + i] = row[i * step] * log2_e;
    }
    kernels()->transpose(PANEL, n, rows, n, turned, PANEL);
    kernels()->add((int64_t)n * PANEL, scores, turned, scores);
}

void attend_mask(const AttendPanel *p, const Tensor *bias, const Tensor *mask, int64_t at, int n,
                 float *scores, float *rows, float *turned)
{
    if (bias)
        add_bias(p, bias, at, n, scores, rows, turned);
    if (!mask)
        return;
    const int32_t *there =
        (const int32_t *)tensor_ptr(mask) + p->batch * mask->strides[0] + at * mask->strides[1];
    for (int i = 0; i < n; i++)
        for (int l = 0; !there[i * mask->strides[1]] && l < PANEL; l++)
            scores[i * PANEL + l] = -INFINITY;
}

void attend_drop(const Tensor *t, const AttendShape *s, int64_t head, int64_t first, int64_t at,
                 int n, float *values)
{
    float rate = t->params.attend.dropout;
    int64_t panels = (s->lanes + PANEL - 1) / PANEL;
    uint64_t place = (uint64_t)((head * panels + first / PANEL) * s->keys + at) * PANEL;
    // A place has 32 bits; what is above them is another seed.
    uint64_t seed = dropout_seed(t->graph, t->params.attend.stream) ^ place >> 32 << 16;
    kernels()->dropout((int64_t)n * PANEL, values, seed, (uint32_t)place,
                       (uint32_t)((double)rate * 0x1p32), 1 / (1 - rate), values);
}

/* A task. */

typedef struct Lanes {
    AttendPanel p;
    int64_t first; // of the head's lanes
    RunningSoftmax softmax __attribute__((aligned(64)));
    float *queries, *sums; // [D,PANEL]; queries in pairs for bf16
} Lanes;

/* A thread's scratch. */
typedef struct Room {
    float *rows, *scores, *pairs, *products;
} Room;

static Room lanes_begin(const Dense *d, int64_t head, int64_t first, int n, int thread, Lanes *all)
{
    const AttendShape *s = &d->s;
    float *at = d->threads + (size_t)thread * d->thread_floats;
    Room room = {.rows = at};
    room.scores = room.rows + PANEL * MAX(s->block, s->width);
    room.pairs = room.scores + PANEL * s->block;
    room.products = room.pairs + PANEL * s->block;
    at = room.products + PANEL * MAX_ROWS;
    for (int i = 0; i < n; i++, at += 2 * PANEL * even(s->width)) {
        Lanes *l = &all[i];
        l->first = first + i * PANEL;
        attend_panel_of(s, head, l->first, &l->p);
        l->queries = at;
        l->sums = at + PANEL * even(s->width);
        // Pairs are made from the sums' room, which is empty yet.
        attend_gather(&l->p, d->t->in[0], s->width, s->scale, room.rows,
                      d->bf16 ? l->sums : l->queries);
        if (d->bf16)
            kernels()->pair_rows(s->width, l->sums, (uint16_t *)(void *)l->queries);
        memset(l->sums, 0, (size_t)(s->width * PANEL) * sizeof(float));
        for (int j = 0; j < PANEL; j++) {
            l->softmax.max[j] = -INFINITY;
            l->softmax.sum[j] = 0;
        }
    }
    return room;
}

/* Keys [from, to) of the head, which lie in one block; `from` is the first of a tile. */
typedef struct Keys {
    int64_t head, block, from, to;
    int in_block; // keys of the block
} Keys;

static void multiply_keys(const Dense *d, const Keys *keys, const Lanes *l, float *scores)
{
    const AttendShape *s = &d->s;
    const Kernels *k = kernels();
    for (int64_t at = keys->from; at < keys->to;
         at += s->tile_rows, scores += s->tile_rows * PANEL) {
        // The last tile may go further than the keys: it is whole.
        int rows = (int)MIN(s->tile_rows, keys->block + keys->in_block - at);
        if (d->bf16)
            k->tile_bf16(rows, even(s->width),
                         (uint16_t *)(void *)packed_keys(d, keys->head) + at * even(s->width),
                         (uint16_t *)(void *)l->queries, scores, PANEL);
        else
            k->tile(rows, s->width, (float *)(void *)packed_keys(d, keys->head) + at * s->width,
                    l->queries, scores, PANEL);
    }
}

/* Scores become weights, in pairs for bf16. */
static void weigh(const Dense *d, const Keys *keys, Lanes *l, const Room *room)
{
    const Kernels *k = kernels();
    int n = (int)(keys->to - keys->from);
    bool drops = attend_drops(d->t);
    LaneRanges ranges;
    const LaneRanges *seen = attend_ranges(&l->p, keys->from, n, &ranges);
    if (d->bf16 && !drops) {
        k->attend_pairs(n, room->scores, seen, &l->softmax, (uint16_t *)(void *)room->pairs);
        return;
    }
    k->attend_panel(n, room->scores, seen, &l->softmax);
    if (drops) // what is left out still counts in the sum
        attend_drop(d->t, &d->s, keys->head, l->first, keys->from, n, room->scores);
    if (d->bf16)
        k->pair_rows(n, room->scores, (uint16_t *)(void *)room->pairs);
}

static void add_values(const Dense *d, const Keys *keys, Lanes *l, const Room *room)
{
    const AttendShape *s = &d->s;
    const Kernels *k = kernels();
    int n = (int)(keys->to - keys->from);
    int64_t stored = d->bf16 ? even(keys->in_block) : keys->in_block;
    int64_t skipped = keys->from - keys->block;
    weigh(d, keys, l, room);
    for (int64_t c = 0; c < s->chunks; c++) {
        int64_t first = attend_chunk(s, c), rows = attend_chunk(s, c + 1) - first;
        if (d->bf16)
            k->tile_bf16((int)rows, even(n),
                         (uint16_t *)(void *)packed_values(d, keys->head) +
                             keys->block * even(s->width) + first * stored + skipped * rows,
                         (uint16_t *)(void *)room->pairs, room->products, PANEL);
        else
            k->tile((int)rows, n,
                    (float *)(void *)packed_values(d, keys->head) + keys->block * s->width +
                        first * stored + skipped * rows,
                    room->scores, room->products, PANEL);
        k->rescale_panel((int)rows, l->sums + first * PANEL, l->softmax.factor, room->products);
    }
}

static void lanes_end(const Dense *d, const Lanes *l, float *rows)
{
    const AttendShape *s = &d->s;
    kernels()->transpose(s->width, PANEL, l->sums, PANEL, rows, s->width);
    for (int i = 0; i < l->p.n; i++) {
        float max = l->softmax.max[i], sum = l->softmax.sum[i];
        bool nothing = max == -INFINITY; // no key was seen
        kernels()->scale(s->width, rows + i * s->width, nothing ? 0 : 1 / sum,
                         attend_row_of(d->t, l->p.batch, l->p.head[i], l->p.token[i]));
        if (d->t->kept)
            attend_lse(d->t)[(l->p.batch * s->heads + l->p.head[i]) * s->tokens + l->p.token[i]] =
                nothing ? INFINITY : max + log2f(sum);
    }
}

/* What the lanes see of the block: tiles that nobody sees are left out, except that a product in
 * bf16 begins and ends where the packed values may be divided. */
static bool see_keys(const Dense *d, const Lanes *l, Keys *keys)
{
    enum { DIVISIBLE = 32 };
    const AttendShape *s = &d->s;
    int64_t from = MAX(0, l->p.from - keys->block), to = MIN(keys->in_block, l->p.to - keys->block);
    if (from >= to)
        return false;
    from = d->bf16 ? 0 : from / s->tile_rows * s->tile_rows;
    to = d->bf16 ? MIN(keys->in_block, (to + DIVISIBLE - 1) / DIVISIBLE * DIVISIBLE) : to;
    keys->from = keys->block + from;
    keys->to = keys->block + to;
    return true;
}

static void attend_task(void *context, int64_t task, int thread)
{
    const Dense *d = context;
    const AttendShape *s = &d->s;
    // The last queries see the most keys: begin with them.
    int64_t head = task / d->tasks, first = (d->tasks - 1 - task % d->tasks) * d->panels * PANEL;
    int n = (int)MIN(d->panels, (s->lanes - first + PANEL - 1) / PANEL);
    Lanes all[MOST_PANELS];
    Room room = lanes_begin(d, head, first, n, thread, all);
    int64_t from = s->keys, to = 0;
    for (int i = 0; i < n; i++) {
        from = MIN(from, all[i].p.from);
        to = MAX(to, all[i].p.to);
    }
    for (int64_t at = from / s->block * s->block; at < to; at += s->block)
        for (int i = 0; i < n; i++) {
            Lanes *l = &all[i];
            Keys keys = {.head = head, .block = at, .in_block = (int)MIN(s->block, s->keys - at)};
            if (!see_keys(d, l, &keys))
                continue;
            multiply_keys(d, &keys, l, room.scores);
            attend_mask(&l->p, d->t->in[3], d->t->in[4], keys.from, (int)(keys.to - keys.from),
                        room.scores, room.rows, room.pairs);
            add_values(d, &keys, l, &room);
        }
    for (int i = 0; i < n; i++)
        lanes_end(d, &all[i], room.rows);
}

void run_attend_dense(const Tensor *t)
{
    Dense d = dense_of(t);
    const AttendShape *s = &d.s;
    if (attend_has_few(s)) {
        run_attend_few(t, s);
        return;
    }
    int64_t heads = s->batch * s->kv_heads, blocks = (s->keys + s->block - 1) / s->block;
    d.packed = t->graph->scratch;
    d.threads = (float *)(void *)(d.packed + 2 * (size_t)heads * d.head_bytes);
    pool_run(heads * blocks, pack_task, &d);
    pool_run(heads * d.tasks, attend_task, &d);
}
