/* conv.c: convolutions, and transposed ones, of images and signals; see tensor.h.
 *
 * Results lie in memory with the channels innermost ([B,H,W,C], whatever the order of dimensions
 * says), and so does what a convolution reads: a copy is made of inputs that do not. Then
 *     out [pixels,O] = inputs [pixels,K] . weights [K,O],   K = taps * C
 * where a row of inputs, the values under the kernel at one pixel, is a few runs of memory; such
 * rows are gathered for a tile of pixels and a stretch of K at a time, packed as a linear layer's
 * input is, and multiplied with the weight's panels. The matrix of inputs never exists.
 *
 * One map serves both directions: output position o meets, under tap k, the source position
 *     (o * step + base + k * reach) / up
 * if that is whole and inside. A convolution has up = 1; a transposed one, which is also the
 * gradient of a convolution's input, has step = 1. Where up > 1, output positions that meet the
 * same taps (a phase) share tiles, so that no zeros are multiplied.
 *
 * A convolution of one dimension is one of height 1. */
#include "tensor/conv_internal.h"

#include "tensor/pool_internal.h"

#include <math.h>

enum {
    DEPTH = 256,        // of K at once: a panel's part stays in the first-level cache
    BLOCK_PIXELS = 128, // of a task, about
    PART_PANELS = 16,   // of a task at most
    STRETCH_STEP = 32,  // of K: as packed weights may be divided
};

/* The map. */

static int64_t or_one(int64_t n)
{
    return n ? n : 1;
}

int64_t spatial_dim(const Tensor *t, int axis) // 0: height, 1: width
{
    if (t->shape.rank == 4)
        return t->shape.dims[2 + axis];
    return axis ? t->shape.dims[2] : 1;
}

int64_t spatial_stride(const Tensor *t, int axis)
{
    if (t->shape.rank == 4)
        return t->strides[2 + axis];
    return axis ? t->strides[2] : 0;
}

/* Parameter `axis` of Conv's pairs; of one dimension only the first counts, for the width. */
static int64_t of_axis(const int64_t pair[2], int axis, int rank, int64_t height)
{
    return rank == 4 ? pair[axis] : axis ? pair[0] : height;
}

ConvMap conv_map(const Conv *p, const Tensor *source, const Tensor *weight, const Tensor *out,
                 bool transposed)
{
    int rank = weight->shape.rank;
    ConvMap m = {.groups = or_one(p->groups), .batch = out->shape.dims[0]};
    for (int i = 0; i < 2; i++) {
        int64_t stride = or_one(of_axis(p->stride, i, rank, 1));
        int64_t reach = or_one(of_axis(p->dilation, i, rank, 1));
        int64_t padding = of_axis(p->padding, i, rank, 0);
        m.step[i] = transposed ? 1 : stride;
        m.up[i] = transposed ? stride : 1;
        m.base[i] = transposed ? padding : -padding;
        m.reach[i] = transposed ? -reach : reach;
        m.taps[i] = spatial_dim(weight, i);
        m.source[i] = spatial_dim(source, i);
        m.strides[i] = spatial_stride(source, i);
        m.out[i] = spatial_dim(out, i);
    }
    m.channels = source->shape.dims[1] / m.groups;
    m.outs = out->shape.dims[1] / m.groups;
    m.depth = m.taps[0] * m.taps[1] * m.channels;
    return m;
}

int64_t conv_source(const ConvMap *m, int axis, int64_t o, int64_t tap)
{
    int64_t at = o * m->step[axis] + m->base[axis] + tap * m->reach[axis], up = m->up[axis];
    if (at < 0 || (up > 1 && at % up != 0)) // divisions are slow
        return -1;
    at = up > 1 ? at / up : at;
    return at < m->source[axis] ? at : -1;
}

/* Tiles. */

typedef struct ConvJob {
    ConvMap m;
    const Tensor *t, *x;
    const Panels *w;
    Epilogue epilogue;   // of pixel 0
    int64_t bias_stride; // from sample to sample
    bool bf16;
    int tile_rows;
    int64_t row_tiles;                           // of one output row
    int64_t tiles, block, blocks, parts, panels; // a task is a block of tiles and a part of panels
    float *threads;
    size_t thread_floats;
} ConvJob;

static int64_t phase_pixels(const ConvMap *m, int64_t phase)
{
    return (m->out[1] - phase + m->up[1] - 1) / m->up[1];
}

/* Pixels of a row are divided evenly, so that no tile is much smaller than the others. */
static ConvTile tile_at(const ConvJob *j, int64_t index)
{
    const ConvMap *m = &j->m;
    int64_t row = index / j->row_tiles, i = index % j->row_tiles, phase = 0, tiles;
    for (;; phase++, i -= tiles) {
        tiles = (phase_pixels(m, phase) + j->tile_rows - 1) / j->tile_rows;
        if (i < tiles)
            break;
    }
    int64_t pixels = phase_pixels(m, phase), from = i * pixels / tiles;
    return (ConvTile){.batch = row / m->out[0],
                      .y = row % m->out[0],
                      .x = phase + from * m->up[1],
                      .step = m->up[1],
                      .n = (int)((i + 1) * pixels / tiles - from)};
}

/* Whether some pixel of the tile may meet this tap: of up > 1 only those of its phase do. */
static bool tile_meets(const ConvMap *m, const ConvTile *t, int64_t tap)
{
    const int64_t taps[2] = {tap / m->taps[1], tap % m->taps[1]}, o[2] = {t->y, t->x};
    for (int i = 0; i < 2; i++) {
        int64_t at = o[i] * m->step[i] + m->base[i] + taps[i] * m->reach[i];
        if (at % m->up[i] != 0)
            return false;
    }
    return true;
}

void conv_gather(const ConvMap *m, const Tensor *source, const ConvTile *t, int64_t group,
                 int64_t from, int64_t to, float *rows, int64_t stride)
{
    const float *image = tensor_f32(source) + t->batch * source->strides[0] + group * m->channels;
    while (from < to) {
        int64_t tap = from / m->channels, c = from % m->channels;
        int64_t n = MIN(m->channels - c, to - from);
        int64_t y = conv_source(m, 0, t->y, tap / m->taps[1]);
        for (int r = 0; r < t->n; r++) {
            int64_t x = y < 0 ? -1 : conv_source(m, 1, t->x + r * t->step, tap % m->taps[1]);
            float *to_row = rows + r * stride;
            if (x < 0)
                memset(to_row, 0, (size_t)n * sizeof *to_row);
            else
                memcpy(to_row, image + y * m->strides[0] + x * m->strides[1] + c,
                       (size_t)n * sizeof *to_row);
        }
        rows += n;
        from += n;
    }
}

/* A thread's scratch. */
typedef struct Room {
    float *rows, *packed, *sums, *wide;
} Room;

static int64_t even(int64_t n)
{
    return n + n % 2;
}

static Room room_of(const ConvJob *j, float *memory, size_t *floats)
{
    int64_t rows = j->tile_rows * DEPTH, part = MIN(j->panels, PART_PANELS);
    Room r = {.rows = memory};
    r.packed = r.rows + rows;
    r.sums = r.packed + rows * j->block;
    r.wide = r.sums + part * j->block * j->tile_rows * PANEL;
    if (floats)
        *floats = (size_t)(r.wide + DEPTH * PANEL - memory);
    return r;
}

static ConvJob job_of(const Tensor *t)
{
    bool transposed = tensor_is(t, OP_CONV_TRANSPOSE);
    const Weight *w = t->in[1]->weight;
    ConvJob j = {
        .t = t, .x = t->in[0], .w = &w->panels[transposed ? PANELS_CONV_TRANSPOSED : PANELS_CONV]};
    j.m = conv_map(&t->params.conv, t->in[0], t->in[1], t, transposed);
    j.bf16 = j.w->packing == PACK_BF16 && w->spec.precision == PRECISION_BF16;
    j.tile_rows = j.bf16 ? kernels()->tile_rows_bf16 : kernels()->tile_rows;
    for (int64_t phase = 0; phase < MIN(j.m.up[1], j.m.out[1]); phase++)
        j.row_tiles += (phase_pixels(&j.m, phase) + j.tile_rows - 1) / j.tile_rows;
    j.tiles = j.m.batch * j.m.out[0] * j.row_tiles;
    j.panels = (j.m.outs + PANEL - 1) / PANEL;
    j.block = MAX(1, MIN(BLOCK_PIXELS / j.tile_rows, j.tiles));
    j.blocks = (j.tiles + j.block - 1) / j.block;
    int64_t wanted = 3 * (int64_t)pool_threads();
    int64_t split = (wanted + j.blocks * j.m.groups - 1) / (j.blocks * j.m.groups);
    j.parts = MIN(j.panels, MAX(split, (j.panels + PART_PANELS - 1) / PART_PANELS));
    (void)room_of(&j, NULL, &j.thread_floats);
    return j;
}

size_t scratch_conv(const Tensor *t)
{
    if (conv_panels(t) == PANELS_CONV_WINOGRAD)
        return scratch_conv_winograd(t);
    return (size_t)pool_threads() * job_of(t).thread_floats * sizeof(float);
}

/* A task's stretch [from, to) of the depth: packs the tiles that meet it, and adds products. */

typedef struct Stretch {
    int64_t group, first, n;  // tiles
    int64_t panel, panel_end; // of the group
    int64_t from, to;         // of the depth
} Stretch;

static bool meets_stretch(const ConvJob *j, const ConvTile *t, const Stretch *s)
{
    const ConvMap *m = &j->m;
    return (m->up[0] == 1 && m->up[1] == 1) || tile_meets(m, t, s->from / m->channels);
}

static void *packed_tile(const ConvJob *j, const Room *room, int64_t i)
{
    return room->packed + i * j->tile_rows * DEPTH;
}

/* Where the stretch's rows lie as they are, `stride` apart; NULL if they must be gathered. */
static const float *rows_in_place(const ConvJob *j, const ConvTile *t, const Stretch *s,
                                  int64_t *stride)
{
    const ConvMap *m = &j->m;
    int64_t tap = s->from / m->channels, last = (s->to - 1) / m->channels, kx = tap % m->taps[1];
    // Neighbouring taps of a row are neighbours in memory.
    bool together = m->strides[1] == m->channels && m->reach[1] == 1 && m->up[1] == 1;
    if (tap / m->taps[1] != last / m->taps[1] || (tap != last && !together))
        return NULL;
    int64_t y = conv_source(m, 0, t->y, tap / m->taps[1]), x = conv_source(m, 1, t->x, kx);
    int64_t end = conv_source(m, 1, t->x + (t->n - 1) * t->step, kx + last - tap);
    if (y < 0 || x < 0 || end < 0 || m->up[1] > 1)
        return NULL;
    *stride = m->step[1] * m->strides[1];
    return tensor_f32(j->x) + t->batch * j->x->strides[0] + s->group * m->channels +
           y * m->strides[0] + x * m->strides[1] + s->from % m->channels;
}

static void pack_stretch(const ConvJob *j, const Stretch *s, const Room *room, bool *meets)
{
    int64_t k = s->to - s->from;
    for (int64_t i = 0; i < s->n; i++) {
        ConvTile t = tile_at(j, s->first + i);
        meets[i] = meets_stretch(j, &t, s);
        if (!meets[i])
            continue;
        int64_t stride = k;
        const float *rows = rows_in_place(j, &t, s, &stride);
        if (!rows) {
            conv_gather(&j->m, j->x, &t, s->group, s->from, s->to, room->rows, k);
            rows = room->rows;
        }
        if (j->bf16)
            kernels()->pack_rows_bf16(t.n, k, rows, stride, packed_tile(j, room, i));
        else
            kernels()->pack_rows(t.n, k, rows, stride, packed_tile(j, room, i));
    }
}

static float *block_sums(const ConvJob *j, const Stretch *s, const Room *room, int64_t panel,
                         int64_t i)
{
    return room->sums + ((panel - s->panel) * s->n + i) * j->tile_rows * PANEL;
}

/* The panel's weights of the stretch, as the product wants them. */
static const void *stretch_panel(const ConvJob *j, const Stretch *s, int64_t panel,
                                 const Room *room)
{
    const char *all = panel_at(j->w, s->group * j->panels + panel);
    const void *b = all + packing_bytes(j->w->packing, s->from);
    if (j->bf16 || j->w->packing == PACK_F32)
        return b;
    kernels()->unpack[j->w->packing](s->to - s->from, b, room->wide);
    return room->wide;
}

static void multiply_stretch(const ConvJob *j, const Stretch *s, const Room *room,
                             const bool *meets, bool *begun, const uint8_t *rows)
{
    const Kernels *kernel = kernels();
    int64_t k = s->to - s->from;
    for (int64_t p = s->panel; p < s->panel_end; p++) {
        const void *b = stretch_panel(j, s, p, room);
        // Meanwhile the next panel's stretch comes: each tile asks for a part.
        const char *next = (const char *)b + packing_bytes(j->w->packing, j->w->in);
        for (int64_t i = 0; i < s->n; i++) {
            if (!meets[i])
                continue;
            float *sums = block_sums(j, s, room, p, i);
            const char *ahead = next + i * k * 64;
            if (j->bf16)
                kernel->gemm_bf16(rows[i], even(k), packed_tile(j, room, i), b, sums, begun[i],
                                  ahead);
            else
                kernel->gemm(rows[i], k, packed_tile(j, room, i), b, sums, begun[i], ahead);
        }
    }
    for (int64_t i = 0; i < s->n; i++)
        begun[i] = begun[i] || meets[i];
}

/* Writes columns [column, column + n) of the tile's pixels, n at most PANEL. */
static void finish_tile(const ConvJob *j, const ConvTile *t, int64_t column, int64_t n,
                        const float *products)
{
    const Tensor *y = j->t;
    Epilogue e = j->epilogue;
    int64_t stride = spatial_stride(y, 1);
    int64_t at = t->batch * y->strides[0] + t->y * spatial_stride(y, 0) + t->x * stride + column;
    e.bias = e.bias ? e.bias + t->batch * j->bias_stride + column : NULL;
    e.factor = e.factor ? e.factor + at : NULL;
    e.addend = e.addend ? e.addend + at : NULL;
    kernels()->finish(t->n, (int)n, products, &e, tensor_f32(y->tail) + at, t->step * stride);
}

static void finish_block(const ConvJob *j, const Stretch *s, const Room *room)
{
    for (int64_t i = 0; i < s->n; i++) {
        ConvTile t = tile_at(j, s->first + i);
        for (int64_t p = s->panel; p < s->panel_end; p++)
            finish_tile(j, &t, s->group * j->m.outs + p * PANEL, MIN(PANEL, j->m.outs - p * PANEL),
                        block_sums(j, s, room, p, i));
    }
}

/* Stretches of about DEPTH. Long rows of taps are divided evenly, so that most stretches lie in
 * memory as they are; where up > 1 a stretch is of one tap. */
static int64_t stretch_end(const ConvJob *j, int64_t from)
{
    const ConvMap *m = &j->m;
    bool whole = m->up[0] == 1 && m->up[1] == 1;
    int64_t run = whole ? m->taps[1] * m->channels : m->channels;
    bool plain = j->w->packing <= PACK_BF16; // blocks of others would be divided
    if (whole && (run < DEPTH / 2 || run % STRETCH_STEP != 0 || !plain))
        return MIN(m->depth, from + DEPTH);
    int64_t first = from / run * run, parts = (run + DEPTH - 1) / DEPTH;
    int64_t step = ((run + parts - 1) / parts + STRETCH_STEP - 1) / STRETCH_STEP * STRETCH_STEP;
    return MIN(first + run, from + MIN(step, DEPTH));
}

static void conv_task(void *context, int64_t task, int thread)
{
    const ConvJob *j = context;
    const ConvMap *m = &j->m;
    bool meets[BLOCK_PIXELS], begun[BLOCK_PIXELS] = {0};
    uint8_t rows[BLOCK_PIXELS];
    // Tasks of one block are neighbours: its pixels are then still in a cache.
    int64_t block = task / (m->groups * j->parts), part = task % j->parts;
    Room room = room_of(j, j->threads + (size_t)thread * j->thread_floats, NULL);
    Stretch s = {.group = task / j->parts % m->groups, .first = block * j->block};
    s.n = MIN(j->block, j->tiles - s.first);
    s.panel = j->panels * part / j->parts;
    s.panel_end = j->panels * (part + 1) / j->parts;
    for (int64_t i = 0; i < s.n; i++)
        rows[i] = (uint8_t)tile_at(j, s.first + i).n;
    for (; s.from < m->depth; s.from = s.to) {
        s.to = stretch_end(j, s.from);
        pack_stretch(j, &s, &room, meets);
        multiply_stretch(j, &s, &room, meets, begun, rows);
    }
    for (int64_t i = 0; i < s.n; i++) // no tap reaches these
        for (int64_t p = s.panel; !begun[i] && p < s.panel_end; p++)
            memset(block_sums(j, &s, &room, p, i), 0,
                   (size_t)(j->tile_rows * PANEL) * sizeof(float));
    finish_block(j, &s, &room);
}

/* What the products of the tile's pixels, all channels of them, become. */
static void depthwise_finish(const ConvJob *j, int64_t at, int64_t n)
{
    const Kernels *k = kernels();
    float *y = tensor_f32(j->t->tail) + at;
    if (j->epilogue.activation != ACT_NONE)
        k->activate(j->epilogue.activation, n, y, y);
    if (j->epilogue.factor)
        k->mul(n, y, j->epilogue.factor + at, y);
    if (j->epilogue.addend)
        k->add(n, y, j->epilogue.addend + at, y);
}

/* One channel a group: pixels of a row that meet the same taps; of a padded row, all. */
static void depthwise_tile(const ConvJob *j, const ConvTile *t, bool padded, const float **rows,
                           const float **by)
{
    const ConvMap *m = &j->m;
    const Tensor *y = j->t;
    const float *image = tensor_f32(j->x) + t->batch * j->x->strides[0];
    TapRows taps = {.step = m->step[1] * m->strides[1], .channels = m->groups, .padded = padded};
    int64_t at = t->batch * y->strides[0] + t->y * spatial_stride(y, 0) + t->x * m->groups;
    for (int64_t ky = 0; ky < m->taps[0]; ky++) {
        int64_t from = conv_source(m, 0, t->y, ky);
        for (int64_t kx = 0; kx < m->taps[1] && from >= 0; kx++) {
            int64_t x = padded ? kx - 1 : conv_source(m, 1, t->x, kx);
            if (x < 0 && !padded)
                continue;
            rows[taps.n] = image + from * m->strides[0] + x * m->strides[1];
            by[taps.n++] = (const float *)j->w->memory + (ky * m->taps[1] + kx) * m->groups;
        }
    }
    taps.rows = rows;
    taps.weights = by;
    if (t->n > 1 && m->reach[1] == m->step[1]) // then all taps of a row are there
        taps.run = (int)m->taps[1];
    const float *bias = j->epilogue.bias ? j->epilogue.bias + t->batch * j->bias_stride : NULL;
    kernels()->depthwise(t->n, &taps, bias, tensor_f32(y->tail) + at);
    depthwise_finish(j, at, t->n * m->groups);
}

/* The most usual kind: three taps, a step of one pixel, one pixel of padding. */
static bool rows_are_padded(const ConvMap *m)
{
    return m->taps[1] == 3 && m->step[1] == 1 && m->reach[1] == 1 && m->up[1] == 1 &&
           m->base[1] == -1 && m->out[1] == m->source[1] && m->out[1] >= DEPTHWISE_PIXELS;
}

/* Whether all taps of a row's pixel lie inside the width. */
static bool is_inner(const ConvMap *m, int64_t x)
{
    for (int64_t tap = 0; tap < m->taps[1]; tap++)
        if (conv_source(m, 1, x, tap) < 0)
            return false;
    return true;
}

static void depthwise_rows(void *context, int64_t from, int64_t to)
{
    const ConvJob *j = context;
    const ConvMap *m = &j->m;
    const float *rows[MAX_DEPTHWISE_TAPS], *by[MAX_DEPTHWISE_TAPS]; // of a tile; made once
    bool padded = rows_are_padded(m);
    int64_t first = 0, last = m->out[1]; // of the inner pixels; of up > 1 none are alike
    while (!padded && first < last && !is_inner(m, first))
        first++;
    while (!padded && last > first && !is_inner(m, last - 1))
        last--;
    last = m->up[1] > 1 ? first : last;
    for (int64_t row = from; row < to; row++) {
        ConvTile t = {.batch = row / m->out[0], .y = row % m->out[0], .step = 1};
        for (; t.x < m->out[1]; t.x += t.n) {
            t.n = t.x >= first && t.x < last ? (int)(last - t.x) : 1;
            depthwise_tile(j, &t, padded, rows, by);
        }
    }
}

bool check_conv(const Tensor *t, Error *err)
{
    const Weight *w = t->in[1]->weight;
    return w->panels[conv_panels(t)].memory ||
           fail(err, ERR_INVALID, "weight '%s' is not packed", w->spec.name);
}

void run_conv(const Tensor *t)
{
    if (conv_panels(t) == PANELS_CONV_WINOGRAD) {
        run_conv_winograd(t);
        return;
    }
    ConvJob j = job_of(t);
    const Tensor *bias = t->in[2];
    j.threads = (float *)(void *)t->graph->scratch;
    j.bias_stride = bias && bias->shape.rank == 2 && bias->shape.dims[0] > 1 ? bias->strides[0] : 0;
    j.epilogue = epilogue_of(t, bias);
    if (conv_is_depthwise(&j.m))
        pool_ranges(j.m.batch * j.m.out[0], 1, depthwise_rows, &j);
    else
        pool_run(j.blocks * j.m.groups * j.parts, conv_task, &j);
}
