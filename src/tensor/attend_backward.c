/* attend_backward.c: the gradient of attention without a cache. As in the forward run a lane is a
 * query and scores live a block at a time; the weights are computed again from the scores and the
 * log-sum-exp rows that the forward run kept (Dao 2022, arXiv:2205.14135, algorithm 4). With
 * P the weights, [keys,lanes]:
 *     delta = sum over D of dO * O          dS = P * (V dO - delta)
 *     dQ = scale dS' K      dK = scale dS Q      dV = P dO
 * With dropout of P by a mask, V dO and the P of dV go through it; delta stays what it is.
 * A task is one key/value head with all its queries: it alone writes that head's rows, so sums are
 * always taken in the same order. In bf16 the factors of all five products are rounded, scores,
 * weights and sums are not. It takes GROUP panels of lanes through all keys that they see;
 * products over lanes (dK, dV) want P and dS turned, a tile of keys at a time. */
#include "tensor/attend_internal.h"

#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

enum { GROUP = 4, GROUP_LANES = GROUP * PANEL };

/* The inputs of the node. */
enum { IN_Q, IN_K, IN_V, IN_BIAS, IN_MASK, IN_OUT, IN_SLOPE };

typedef struct Backward {
    AttendShape s;
    const Tensor *t;
    bool bf16;
    int64_t columns; // panels that the width takes
    float *threads;
    size_t thread_floats;
} Backward;

/* A panel of lanes of the group in work. */
typedef struct Lanes {
    AttendPanel p;
    int64_t head, first;     // of the head's lanes
    float *queries, *slopes; // [D,PANEL]: scaled queries, and dO
    float *sums;             // [D,PANEL] of dQ
    float *scores, *changes; // [block,PANEL]: P, and V dO that becomes dS
    float lse[PANEL], delta[PANEL];
} Lanes;

/* A thread's scratch, of the head in work. */
typedef struct Room {
    // Factors of products, or what of the room bf16 takes:
    float *key_tiles, *value_tiles; // tiles of rows [D,rows]
    float *key_chunks;              // blocks of chunks of columns [n,columns]
    float *queries, *slopes;        // of the group: [columns][GROUP_LANES,PANEL]
    float *turned;
    float *dk, *dv; // [columns][keys,PANEL]
    float *rows, *bias, *products;
    Lanes lanes[GROUP];
} Room;

static int64_t even(int64_t n)
{
    return n + n % 2;
}

/* Factor n of a piece. */
static void *factor_at(const Backward *b, float *piece, int64_t n)
{
    return b->bf16 ? (void *)((uint16_t *)(void *)piece + n) : (void *)(piece + n);
}

/* How many inputs a product of k takes. */
static int64_t inputs_of(const Backward *b, int64_t k)
{
    return b->bf16 ? even(k) : k;
}

/* out [rows,PANEL] = a [k,rows] . panel [k,PANEL] */
static void multiply(const Backward *b, int rows, int64_t k, const void *a, const void *panel,
                     float *out)
{
    if (b->bf16)
        kernels()->tile_bf16(rows, even(k), a, panel, out, PANEL);
    else
        kernels()->tile(rows, k, a, panel, out, PANEL);
}

static void pack_rows(const Backward *b, int rows, int64_t k, const float *src, int64_t stride,
                      void *dst)
{
    if (b->bf16)
        kernels()->pack_rows_bf16(rows, k, src, stride, dst);
    else
        kernels()->pack_rows(rows, k, src, stride, dst);
}

/* The pieces in turn; without memory only their size. */
static size_t divide(const Backward *b, float *memory, Room *room)
{
    const AttendShape *s = &b->s;
    int64_t head = s->keys * even(s->width), padded = b->columns * PANEL;
    int64_t longest = PANEL * MAX(s->block, padded);
    const struct {
        float **piece;
        int64_t floats;
    } pieces[] = {{&room->key_tiles, head},
                  {&room->value_tiles, head},
                  {&room->key_chunks, head},
                  {&room->dk, s->keys * padded},
                  {&room->dv, s->keys * padded},
                  {&room->queries, GROUP_LANES * padded},
                  {&room->slopes, GROUP_LANES * padded},
                  {&room->rows, longest},
                  {&room->bias, longest},
                  {&room->turned, GROUP_LANES * MAX_ROWS},
                  {&room->products, MAX_ROWS * PANEL}};
    size_t at = 0;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        *pieces[i].piece = memory ? memory + at : NULL;
        at += (size_t)(pieces[i].floats + 15) / 16 * 16;
    }
    for (int i = 0; i < GROUP; i++) {
        float **panels[] = {&room->lanes[i].queries, &room->lanes[i].slopes, &room->lanes[i].sums,
                            &room->lanes[i].scores, &room->lanes[i].changes};
        for (size_t j = 0; j < COUNT(panels); j++) {
            *panels[j] = memory ? memory + at : NULL;
            at += (size_t)(PANEL * (j < 3 ? even(s->width) : s->block));
        }
    }
    return at;
}

static Backward backward_of(const Tensor *t)
{
    Backward b = {.t = t, .bf16 = t->params.attend.precision == PRECISION_BF16};
    b.s = attend_shape(t->in[IN_Q], t->in[IN_K], &t->params.attend, b.bf16);
    Room unused;
    b.columns = (b.s.width + PANEL - 1) / PANEL;
    b.thread_floats = divide(&b, NULL, &unused);
    return b;
}

size_t scratch_attend_backward(const Tensor *t)
{
    return (size_t)pool_threads() * backward_of(t).thread_floats * sizeof(float);
}

void shape_attend_backward(Graph *g, Tensor *t)
{
    t->shape =
        SHAPE(tensor_count(t->in[IN_Q]) + tensor_count(t->in[IN_K]) + tensor_count(t->in[IN_V]));
}

/* The three gradients are views of one result. Where q, k and v are the parts of one tensor (a
 * projection), they lie in it as these do, and it is that tensor's gradient as it stands. */
void attend_backward(Graph *g, Tensor *t, Tensor *dt, Tensor *out[3])
{
    const Shape *q = &t->in[0]->shape;
    t->kept = q->dims[0] * q->dims[1] * q->dims[2];
    Join *join = NEW(g->arena, Join);
    Params p = t->params;
    p.join = join;
    Tensor *in[MAX_INPUTS] = {t->in[0], t->in[1], t->in[2], t->in[3], t->in[4], t, dt};
    Tensor *all = graph_node_of(g, &ops[OP_ATTEND_BACKWARD], &p, in);
    bool parts = views_tile((const Tensor *const *)t->in, 3);
    int64_t at = 0;
    for (int i = 0; i < 3; i++) {
        const int64_t *d = t->in[i]->shape.dims;
        const int64_t strides[SHAPE_MAX_RANK] = {d[1] * d[2] * d[3], d[3], d[1] * d[3], 1};
        out[i] = graph_view(g, all, &t->in[i]->shape, parts ? t->in[i]->strides : strides,
                            parts ? t->in[i]->offset : at);
        join->views[i] = out[i];
        at += d[0] * d[1] * d[2] * d[3];
    }
}

/* Keys and values of a head, packed for the products. */
static void pack_head(const Backward *b, int64_t head, const Room *room)
{
    const AttendShape *s = &b->s;
    const Tensor *k = b->t->in[IN_K], *v = b->t->in[IN_V];
    const float *keys = attend_row_of(k, head / s->kv_heads, head % s->kv_heads, 0);
    const float *values = attend_row_of(v, head / s->kv_heads, head % s->kv_heads, 0);
    for (int64_t i = 0; i < s->keys; i += s->tile_rows) {
        int rows = (int)MIN(s->tile_rows, s->keys - i);
        int64_t to = i * inputs_of(b, s->width);
        pack_rows(b, rows, s->width, keys + i * k->strides[2], k->strides[2],
                  factor_at(b, room->key_tiles, to));
        pack_rows(b, rows, s->width, values + i * v->strides[2], v->strides[2],
                  factor_at(b, room->value_tiles, to));
    }
    for (int64_t at = 0; at < s->keys; at += s->block)
        for (int64_t c = 0; c < s->chunks; c++) {
            int64_t n = MIN(s->block, s->keys - at), first = attend_chunk(s, c);
            int columns = (int)(attend_chunk(s, c + 1) - first);
            const float *from = keys + at * k->strides[2] + first;
            void *to = factor_at(b, room->key_chunks,
                                 at * inputs_of(b, s->width) + first * inputs_of(b, n));
            if (b->bf16)
                kernels()->pack_turned_bf16(columns, n, from, k->strides[2], to);
            else
                kernels()->pack_columns(columns, n, from, k->strides[2], to);
        }
    size_t bytes = (size_t)(s->keys * b->columns * PANEL) * sizeof(float);
    memset(room->dk, 0, bytes);
    memset(room->dv, 0, bytes);
}

/* Rows [PANEL,width] as the panels that products over lanes read. */
static void put_columns(const Backward *b, const Room *room, int64_t first, float *columns)
{
    int64_t width = b->s.width;
    for (int64_t c = 0; c < b->columns; c++) {
        void *to = factor_at(b, columns, (c * GROUP_LANES + first) * PANEL);
        float *wide = b->bf16 ? room->products : to;
        int64_t n = MIN(PANEL, width - c * PANEL);
        for (int l = 0; l < PANEL; l++) {
            memcpy(wide + l * PANEL, room->rows + l * width + c * PANEL, (size_t)n * sizeof *wide);
            memset(wide + l * PANEL + n, 0, (size_t)(PANEL - n) * sizeof *wide);
        }
        if (b->bf16)
            kernels()->pair_rows(PANEL, wide, to);
    }
}

/* The lanes' rows of x times factor: as a panel of products over the width, as one of products over
 * lanes, and as rows. */
static void put_lanes(const Backward *b, const Tensor *x, float factor, int i, const Room *room,
                      float *panel, float *columns)
{
    const AttendShape *s = &b->s;
    attend_gather(&room->lanes[i].p, x, s->width, factor, room->rows, b->bf16 ? room->bias : panel);
    if (b->bf16)
        kernels()->pair_rows(s->width, room->bias, (uint16_t *)(void *)panel);
    put_columns(b, room, i * PANEL, columns);
}

static void lanes_begin(const Backward *b, int64_t head, int64_t first, int i, Room *room)
{
    const AttendShape *s = &b->s;
    const Tensor *out = b->t->in[IN_OUT], *slope = b->t->in[IN_SLOPE];
    Lanes *l = &room->lanes[i];
    l->head = head;
    l->first = first;
    attend_panel_of(s, head, first, &l->p);
    put_lanes(b, b->t->in[IN_Q], s->scale, i, room, l->queries, room->queries);
    put_lanes(b, slope, 1, i, room, l->slopes, room->slopes);
    memset(l->sums, 0, (size_t)(PANEL * s->width) * sizeof(float));
    for (int j = 0; j < PANEL; j++) {
        l->lse[j] = INFINITY;
        l->delta[j] = 0;
        if (j >= l->p.n)
            continue;
        int64_t h = l->p.head[j], token = l->p.token[j];
        l->lse[j] = attend_lse(out)[(l->p.batch * s->heads + h) * s->tokens + token];
        const float *o = attend_row_of(out, l->p.batch, h, token);
        for (int64_t d = 0; d < s->width; d++)
            l->delta[j] += o[d] * room->rows[j * s->width + d];
    }
}

/* P and dS of a block of keys, and what they add to dQ. */
static void lanes_block(const Backward *b, Lanes *l, int64_t at, int n, const Room *room)
{
    const AttendShape *s = &b->s;
    const Kernels *k = kernels();
    for (int i = 0; i < n; i += s->tile_rows) {
        int rows = MIN(s->tile_rows, n - i);
        int64_t tile = (at + i) * inputs_of(b, s->width);
        multiply(b, rows, s->width, factor_at(b, room->key_tiles, tile), l->queries,
                 l->scores + i * PANEL);
        multiply(b, rows, s->width, factor_at(b, room->value_tiles, tile), l->slopes,
                 l->changes + i * PANEL);
    }
    LaneRanges ranges;
    bool drops = attend_drops(b->t);
    if (drops)
        attend_drop(b->t, s, l->head, l->first, at, n, l->changes);
    attend_mask(&l->p, b->t->in[IN_BIAS], b->t->in[IN_MASK], at, n, l->scores, room->rows,
                room->bias);
    k->attend_slopes(n, l->scores, l->changes, attend_ranges(&l->p, at, n, &ranges), l->lse,
                     l->delta);
    if (drops)
        attend_drop(b->t, s, l->head, l->first, at, n, l->scores);
    const float *changes = l->changes;
    if (b->bf16) {
        k->pair_rows(n, changes, (uint16_t *)(void *)room->bias);
        changes = room->bias;
    }
    for (int64_t c = 0; c < s->chunks; c++) {
        int64_t first = attend_chunk(s, c), rows = attend_chunk(s, c + 1) - first;
        int64_t chunk = at * inputs_of(b, s->width) + first * inputs_of(b, n);
        multiply(b, (int)rows, n, factor_at(b, room->key_chunks, chunk), changes, room->products);
        k->add(rows * PANEL, l->sums + first * PANEL, room->products, l->sums + first * PANEL);
    }
}

/* Adds to sums [columns][keys,PANEL] the products over lanes of panels [from, to) of the group: of
 * dS and the queries (changes), else of P and dO. */
static void add_over_lanes(const Backward *b, const Room *room, bool changes, int from, int to,
                           int64_t at, int n, float *sums)
{
    const AttendShape *s = &b->s;
    const Kernels *k = kernels();
    float *columns = changes ? room->queries : room->slopes;
    for (int i = 0; i < n; i += s->tile_rows) {
        int rows = MIN(s->tile_rows, n - i);
        for (int p = from; p < to; p++) {
            const Lanes *l = &room->lanes[p];
            pack_rows(b, rows, PANEL, (changes ? l->changes : l->scores) + i * PANEL, PANEL,
                      factor_at(b, room->turned, (int64_t)(p - from) * PANEL * rows));
        }
        for (int64_t c = 0; c < b->columns; c++) {
            multiply(b, rows, (int64_t)(to - from) * PANEL, room->turned,
                     factor_at(b, columns, (c * GROUP_LANES + from * PANEL) * PANEL),
                     room->products);
            float *y = sums + (c * s->keys + at + i) * PANEL;
            k->add((int64_t)rows * PANEL, y, room->products, y);
        }
    }
}

static void lanes_end(const Backward *b, const Lanes *l, float *rows)
{
    const AttendShape *s = &b->s;
    kernels()->transpose(s->width, PANEL, l->sums, PANEL, rows, s->width);
    for (int i = 0; i < l->p.n; i++) {
        const Tensor *dq = b->t->params.join->views[IN_Q];
        kernels()->scale(s->width, rows + i * s->width, s->p->scale,
                         attend_row_of(dq, l->p.batch, l->p.head[i], l->p.token[i]));
    }
}

/* The head's rows of dK or dV. */
static void put_head(const Backward *b, int64_t head, const float *sums, float factor,
                     const Tensor *to)
{
    const AttendShape *s = &b->s;
    for (int64_t i = 0; i < s->keys; i++)
        for (int64_t c = 0; c < b->columns; c++) {
            float *row = attend_row_of(to, head / s->kv_heads, head % s->kv_heads, i);
            kernels()->scale(MIN(PANEL, s->width - c * PANEL), sums + (c * s->keys + i) * PANEL,
                             factor, row + c * PANEL);
        }
}

static void backward_task(void *context, int64_t head, int thread)
{
    const Backward *b = context;
    const AttendShape *s = &b->s;
    Room room;
    divide(b, b->threads + (size_t)thread * b->thread_floats, &room);
    pack_head(b, head, &room);
    for (int64_t first = 0; first < s->lanes; first += GROUP_LANES) {
        int n = (int)MIN(GROUP, (s->lanes - first + PANEL - 1) / PANEL);
        for (int i = 0; i < n; i++)
            lanes_begin(b, head, first + i * PANEL, i, &room);
        for (int64_t at = 0; at < s->keys; at += s->block) {
            int keys = (int)MIN(s->block, s->keys - at), from = 0, to = n;
            // Lanes go forward in time, so those that see the block are neighbours.
            while (from < n && room.lanes[from].p.to <= at)
                from++;
            while (to > from && room.lanes[to - 1].p.from >= at + keys)
                to--;
            for (int i = from; i < to; i++)
                lanes_block(b, &room.lanes[i], at, keys, &room);
            if (from == to)
                continue;
            add_over_lanes(b, &room, false, from, to, at, keys, room.dv);
            add_over_lanes(b, &room, true, from, to, at, keys, room.dk);
        }
        for (int i = 0; i < n; i++)
            lanes_end(b, &room.lanes[i], room.rows);
    }
    const Join *to = b->t->params.join;
    put_head(b, head, room.dk, 0.69314718F, to->views[IN_K]); // the queries carried log2(e)
    put_head(b, head, room.dv, 1, to->views[IN_V]);
}

void run_attend_backward(const Tensor *t)
{
    Backward b = backward_of(t);
    b.threads = (float *)(void *)t->graph->scratch;
    pool_run(b.s.batch * b.s.kv_heads, backward_task, &b);
}
