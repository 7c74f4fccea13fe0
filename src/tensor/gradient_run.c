/* gradient_run.c: what the nodes of backward passes compute, products aside; see gradient_ops.c.
 *
 * Sums over rows are taken in an order that does not depend on the number of threads: either each
 * task has some columns and goes through all rows, or rows are divided into NORM_CHUNKS ranges
 * whose sums are added in order. */
#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

enum { GRAIN = 16384, NORM_CHUNKS = 32, COLUMNS = 256 };

/* Sums over rows. */

static void sum_columns(const float *x, int64_t rows, int64_t stride, int64_t n, float *sum)
{
    for (int64_t i = 0; i < rows; i++)
        kernels()->add(n, sum, x + i * stride, sum);
}

static void sum_rows_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0];
    int64_t n = tensor_count(t);
    float *sum = tensor_f32(t) + from;
    memset(sum, 0, (size_t)(to - from) * sizeof *sum);
    sum_columns(tensor_f32(x) + from, tensor_count(x) / n, n, to - from, sum);
}

void run_sum_rows(const Tensor *t)
{
    const Tensor *x = t->in[0];
    int64_t n = tensor_count(t);
    if (n > 1) {
        pool_ranges(n, COLUMNS, sum_rows_range, context_of(t));
        return;
    }
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(x); i++)
        sum += (double)tensor_f32(x)[i];
    *tensor_f32(t) = (float)sum;
}

void run_expand(const Tensor *t)
{
    const Tensor *x = t->in[0];
    int64_t n = tensor_count(x), rows = tensor_count(t) / n;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            tensor_f32(t)[i * n + j] = tensor_f32(x)[j];
}

/* Moving and adding values between layouts. */

/* to[row i of `place`] (+)= from[row i], n values each. */
static void move_row(const Tensor *place, float *to, const Tensor *from, int64_t i, bool add)
{
    int last = place->shape.rank - 1;
    int64_t n = tensor_width(place), to_step = place->strides[last];
    int64_t from_step = from->strides[from->shape.rank - 1];
    const float *src = tensor_f32(from) + tensor_row(from, i);
    to += place->offset + tensor_row(place, i);
    if (to_step == 1 && from_step == 1) {
        if (add)
            kernels()->add(n, to, src, to);
        else
            memcpy(to, src, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t j = 0; j < n; j++)
        to[j * to_step] = src[j * from_step] + (add ? to[j * to_step] : 0);
}

typedef struct Move {
    const Tensor *place, *from;
    float *to;
    bool add;
} Move;

static void move_range(void *context, int64_t from, int64_t to)
{
    const Move *m = context;
    for (int64_t i = from; i < to; i++)
        move_row(m->place, m->to, m->from, i, m->add);
}

static void move(Move m)
{
    int64_t width = tensor_width(m.place);
    pool_ranges(tensor_count(m.place) / width, MAX(1, GRAIN / width), move_range, &m);
}

void run_accumulate(const Tensor *t)
{
    move((Move){t->in[1], t->in[0], t->in[1]->weight->gradient, true});
}

void run_join(const Tensor *t)
{
    const Join *join = t->params.join;
    const Tensor *sum = t->in[0];
    Tensor whole = *t;
    whole.offset = 0;
    if (sum && tensor_f32(sum) != tensor_f32(t))
        move((Move){&whole, sum, tensor_f32(t), false});
    else if (!sum && !join->tiled)
        memset(tensor_f32(t), 0, (size_t)tensor_count(t) * sizeof(float));
    for (int i = 0; i < JOIN_PARTS && t->in[1 + i]; i++)
        move((Move){join->views[i], t->in[1 + i], tensor_f32(t), !join->tiled});
}

/* Elementwise. */

static void activate_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    kernels()->activate_gradient(t->params.activation, to - from, tensor_f32(t->in[1]) + from,
                                 tensor_f32(t->in[0]) + from, tensor_f32(t) + from);
}

void run_activate_gradient(const Tensor *t)
{
    pool_ranges(tensor_count(t), GRAIN / 4, activate_range, context_of(t));
}

static void dropout_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    float rate = t->params.factor;
    if (t->graph->seed == 0) {
        memcpy(tensor_f32(t) + from, tensor_f32(t->in[0]) + from,
               (size_t)(to - from) * sizeof(float));
        return;
    }
    kernels()->dropout(to - from, tensor_f32(t->in[0]) + from,
                       dropout_seed(t->graph, t->params.stream), (uint32_t)from,
                       (uint32_t)((double)rate * 0x1p32), 1 / (1 - rate), tensor_f32(t) + from);
}

void run_dropout(const Tensor *t)
{
    pool_ranges(tensor_count(t), GRAIN, dropout_range, context_of(t));
}

static void noise_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    const float *x = tensor_f32(t->in[0]);
    uint64_t seed = dropout_seed(t->graph, t->params.stream);
    float size = t->graph->seed ? t->params.factor : 0;
    for (int64_t i = from; i < to; i++) {
        int32_t drawn = (int32_t)place_hash(seed, (uint32_t)i); // of 2^31, with its sign
        tensor_f32(t)[i] = x[i] + (float)drawn * 0x1p-31F * size;
    }
}

void run_noise(const Tensor *t)
{
    pool_ranges(tensor_count(t), GRAIN, noise_range, context_of(t));
}

/* Rows. */

static void softmax_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *dt = t->in[0], *y = t->in[1];
    for (int64_t i = from; i < to; i++)
        kernels()->softmax_gradient(tensor_width(t), tensor_f32(y) + tensor_row(y, i),
                                    tensor_f32(dt) + tensor_row(dt, i),
                                    tensor_f32(t) + tensor_row(t, i));
}

void run_softmax_gradient(const Tensor *t)
{
    run_rows(t, softmax_range);
}

typedef struct Norm {
    const Tensor *t;
    int64_t rows, width;
    float *sums; // [NORM_CHUNKS][2][width]: of weight and bias
    float *dweight, *dbias;
} Norm;

static const float *row_or_null(const Tensor *t, int64_t i)
{
    return t ? tensor_f32(t) + tensor_row(t, i) : NULL;
}

static void norm_task(void *context, int64_t chunk, int thread)
{
    const Norm *n = context;
    const Tensor *t = n->t, *dt = t->in[0], *x = t->in[1], *known = t->in[4];
    const float *weight = t->in[2] ? tensor_f32(t->in[2]) : NULL;
    float *dweight = n->sums + chunk * 2 * n->width, *dbias = dweight + n->width;
    memset(dweight, 0, (size_t)(2 * n->width) * sizeof(float));
    int64_t to = n->rows * (chunk + 1) / NORM_CHUNKS;
    for (int64_t i = n->rows * chunk / NORM_CHUNKS; i < to; i++) {
        const float *dy = tensor_f32(dt) + tensor_row(dt, i);
        float *dx = tensor_f32(t) + tensor_row(t, i);
        if (t->params.centred)
            kernels()->layer_norm_gradient(n->width, row_or_null(x, i), weight, t->params.factor,
                                           dy, row_or_null(known, i), dx,
                                           n->dweight ? dweight : NULL, n->dbias ? dbias : NULL);
        else
            kernels()->rms_norm_gradient(n->width, row_or_null(x, i), weight, t->params.factor, dy,
                                         row_or_null(known, i), dx, n->dweight ? dweight : NULL);
    }
}

static float *gradient_or_null(const Tensor *parameter)
{
    return parameter && parameter->weight ? parameter->weight->gradient : NULL;
}

size_t scratch_norm_gradient(const Tensor *t)
{
    return (size_t)(NORM_CHUNKS * 2 * tensor_width(t)) * sizeof(float);
}

void run_norm_gradient(const Tensor *t)
{
    Norm n = {.t = t, .width = tensor_width(t), .sums = (float *)(void *)t->graph->scratch};
    n.rows = tensor_count(t) / n.width;
    n.dweight = gradient_or_null(t->in[2]);
    n.dbias = gradient_or_null(t->in[3]);
    pool_run(NORM_CHUNKS, norm_task, &n);
    if (n.dweight)
        sum_columns(n.sums, NORM_CHUNKS, 2 * n.width, n.width, n.dweight);
    if (n.dbias)
        sum_columns(n.sums + n.width, NORM_CHUNKS, 2 * n.width, n.width, n.dbias);
}

/* Scattered rows: each task has some columns, so that rows meet in the order of the ids. */

typedef struct Scatter {
    const float *rows;
    const int32_t *ids;
    int64_t n, width;
    float *to;
} Scatter;

static void scatter_range(void *context, int64_t from, int64_t to)
{
    const Scatter *s = context;
    for (int64_t i = 0; i < s->n; i++) {
        float *sum = s->to + s->ids[i] * s->width + from;
        kernels()->add(to - from, sum, s->rows + i * s->width + from, sum);
    }
}

static void scatter(const Tensor *rows, const Tensor *ids, float *to)
{
    Scatter s = {tensor_f32(rows), tensor_ptr(ids), tensor_count(ids), tensor_width(rows), to};
    pool_ranges(s.width, COLUMNS, scatter_range, &s);
}

void run_embed_gradient(const Tensor *t)
{
    scatter(t->in[0], t->in[1], t->in[2]->weight->gradient);
}

void run_scatter_rows(const Tensor *t)
{
    memset(tensor_f32(t), 0, (size_t)tensor_count(t) * sizeof(float));
    scatter(t->in[0], t->in[1], tensor_f32(t));
}
