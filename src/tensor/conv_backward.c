/* conv_backward.c: gradients of convolutions.
 *
 * That of the input is a transposed convolution by the same weight, that of a transposed one's
 * input a convolution (conv.c). That of the weight is the product over all output pixels dW [O,K] =
 * slopes' [O,pixels] . inputs [pixels,K] whose rows of inputs are gathered as in conv.c: a task is
 * a panel of K of one group, with all outputs, so that each value of the gradient is summed in one
 * order. For a transposed convolution input and slopes change places. */
#include "tensor/conv_internal.h"

#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

enum { CHUNK = 256 }; // pixels at once: rows of inputs of a panel take the first-level cache

/* Inputs of the node: what has the outputs' pixels, what is read around them, and the weight. */
enum { IN_SMALL, IN_LARGE, IN_WEIGHT };

typedef struct Job {
    ConvMap m;
    const Tensor *small, *large;
    float *gradient;
    int tile_rows;
    int64_t pixels;          // of all samples
    int64_t tiles, panels;   // of a group's outputs and of its depth
    float *packed, *threads; // scratch: slopes by tiles [groups][outs,pixels]; what a thread needs
    size_t thread_floats;
} Job;

static Job job_of(const Tensor *t)
{
    Job j = {.small = t->in[IN_SMALL], .large = t->in[IN_LARGE]};
    j.m = conv_map(&t->params.conv, j.large, t->in[IN_WEIGHT], j.small, false);
    j.gradient = t->in[IN_WEIGHT]->weight->gradient;
    j.tile_rows = kernels()->tile_rows;
    j.pixels = j.m.batch * j.m.out[0] * j.m.out[1];
    j.tiles = (j.m.outs + j.tile_rows - 1) / j.tile_rows;
    j.panels = (j.m.depth + PANEL - 1) / PANEL;
    j.thread_floats = (size_t)(PANEL * (CHUNK + j.tiles * j.tile_rows));
    return j;
}

size_t scratch_conv_gradient(const Tensor *t)
{
    Job j = job_of(t);
    if (conv_is_depthwise(&j.m))
        return (size_t)(j.m.taps[0] * j.m.taps[1] * j.m.groups) * sizeof(float);
    return ((size_t)tensor_count(j.small) + (size_t)pool_threads() * j.thread_floats) *
           sizeof(float);
}

static int rows_of(const Job *j, int64_t tile)
{
    return (int)MIN(j->tile_rows, j->m.outs - tile * j->tile_rows);
}

static float *packed_slopes(const Job *j, int64_t group, int64_t tile)
{
    return j->packed + (group * j->m.outs + tile * j->tile_rows) * j->pixels;
}

static void pack_task(void *context, int64_t task, int thread)
{
    const Job *j = context;
    int64_t group = task / j->tiles, tile = task % j->tiles;
    int64_t first = group * j->m.outs + tile * j->tile_rows;
    kernels()->pack_columns(rows_of(j, tile), j->pixels, tensor_f32(j->small) + first,
                            j->m.groups * j->m.outs, packed_slopes(j, group, tile));
}

/* Rows [n,PANEL] of the depth [from, to) at the pixels from `first` on. */
static void gather_pixels(const Job *j, int64_t group, int64_t first, int64_t n, int64_t from,
                          int64_t to, float *rows)
{
    const ConvMap *m = &j->m;
    memset(rows, 0, (size_t)(n * PANEL) * sizeof *rows);
    for (int64_t at = first; at < first + n;) {
        int64_t row = at / m->out[1], x = at % m->out[1];
        ConvTile t = {row / m->out[0], row % m->out[0], x, 1, 0};
        t.n = (int)MIN(m->out[1] - x, first + n - at);
        conv_gather(m, j->large, &t, group, from, to, rows, PANEL);
        rows += t.n * PANEL;
        at += t.n;
    }
}

/* The sums of a tile's outputs go where the weight has them, [outs,channels,taps]. */
static void put_sums(const Job *j, int64_t output, int rows, int64_t from, int64_t to,
                     const float *sums)
{
    const ConvMap *m = &j->m;
    int64_t taps = m->taps[0] * m->taps[1];
    for (int r = 0; r < rows; r++)
        for (int64_t i = from; i < to; i++)
            j->gradient[(output + r) * m->depth + i % m->channels * taps + i / m->channels] +=
                sums[r * PANEL + i - from];
}

static void panel_task(void *context, int64_t task, int thread)
{
    const Job *j = context;
    int64_t group = task / j->panels, from = task % j->panels * PANEL;
    int64_t to = MIN(from + PANEL, j->m.depth);
    float *rows = j->threads + (size_t)thread * j->thread_floats, *sums = rows + CHUNK * PANEL;
    for (int64_t first = 0; first < j->pixels; first += CHUNK) {
        int64_t n = MIN(CHUNK, j->pixels - first);
        gather_pixels(j, group, first, n, from, to, rows);
        for (int64_t tile = 0; tile < j->tiles; tile++) {
            int height = rows_of(j, tile);
            const float *a = packed_slopes(j, group, tile) + first * height;
            kernels()->gemm(height, n, a, rows, sums + tile * j->tile_rows * PANEL, first > 0,
                            (const char *)(a + j->pixels * height));
        }
    }
    for (int64_t tile = 0; tile < j->tiles; tile++)
        put_sums(j, group * j->m.outs + tile * j->tile_rows, rows_of(j, tile), from, to,
                 sums + tile * j->tile_rows * PANEL);
}

/* One channel a group: a task is a tap with all channels. */
static void depthwise_task(void *context, int64_t tap, int thread)
{
    const Job *j = context;
    const ConvMap *m = &j->m;
    int64_t taps = m->taps[0] * m->taps[1];
    float *sums = j->packed + tap * m->groups;
    memset(sums, 0, (size_t)m->groups * sizeof *sums);
    for (int64_t at = 0; at < j->pixels; at++) {
        int64_t row = at / m->out[1], sample = row / m->out[0];
        int64_t y = conv_source(m, 0, row % m->out[0], tap / m->taps[1]);
        int64_t x = conv_source(m, 1, at % m->out[1], tap % m->taps[1]);
        if (y < 0 || x < 0)
            continue;
        const float *source = tensor_f32(j->large) + sample * j->large->strides[0] +
                              y * m->strides[0] + x * m->strides[1];
        kernels()->add_products(m->groups, tensor_f32(j->small) + at * m->groups, source, NULL,
                                sums);
    }
    for (int64_t c = 0; c < m->groups; c++)
        j->gradient[c * taps + tap] += sums[c];
}

void run_conv_gradient(const Tensor *t)
{
    Job j = job_of(t);
    j.packed = (float *)(void *)t->graph->scratch;
    j.threads = j.packed + tensor_count(j.small);
    if (conv_is_depthwise(&j.m)) {
        pool_run(j.m.taps[0] * j.m.taps[1], depthwise_task, &j);
        return;
    }
    pool_run(j.m.groups * j.tiles, pack_task, &j);
    pool_run(j.m.groups * j.panels, panel_task, &j);
}

/* The gradient column. */

/* The bias's, of all samples or one by one. */
static void bias_gradient(Graph *g, Tensor *bias, Tensor *dt)
{
    Tensor *pixels = op_pixels(g, dt); // [B,pixels,O]
    bool each = bias->shape.rank == 2 && bias->shape.dims[0] > 1;
    for (int64_t b = 0; b < (each ? bias->shape.dims[0] : 1); b++) {
        Tensor *to = each ? op_slice(g, bias, 0, b, b + 1) : bias;
        Tensor *from = each ? op_slice(g, pixels, 0, b, b + 1) : pixels;
        const Params p = {.shape = to->shape};
        gradient_add(
            g, to, graph_node(g, &ops[OP_SUM_ROWS], &p, op_contiguous(g, from), NULL, NULL, NULL));
    }
}

/* What a transposed convolution adds behind its result to come back to the input's size. */
static Conv with_output_padding(const Tensor *t)
{
    Conv p = t->params.conv;
    const Tensor *x = t->in[0], *w = t->in[1];
    for (int i = 0; i < x->shape.rank - 2; i++) {
        int64_t back = (t->shape.dims[2 + i] - 1) * MAX(p.stride[i], 1) - 2 * p.padding[i] +
                       MAX(p.dilation[i], 1) * (w->shape.dims[2 + i] - 1) + 1;
        p.output_padding[i] = x->shape.dims[2 + i] - back;
    }
    return p;
}

void gradient_conv(Graph *g, Tensor *t, Tensor *dt)
{
    bool transposed = tensor_is(t, OP_CONV_TRANSPOSE);
    Tensor *x = t->in[0], *weight = t->in[1], *bias = t->in[2];
    dt = op_channels_last(g, dt);
    if (wants_gradient(weight)) {
        Tensor *last = op_channels_last(g, x);
        graph_node(g, &ops[OP_CONV_GRADIENT], &t->params, transposed ? last : dt,
                   transposed ? dt : last, weight, NULL);
    }
    if (wants_gradient(bias))
        bias_gradient(g, bias, dt);
    if (!wants_gradient(x))
        return;
    Conv back = transposed ? t->params.conv : with_output_padding(t);
    gradient_add(g, x,
                 op_conv_either(g, transposed ? OP_CONV : OP_CONV_TRANSPOSE, dt, weight, NULL,
                                &back, x->shape.rank));
}
