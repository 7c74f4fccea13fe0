/* group_norm.c: norms over groups of channels of images and signals, and by known statistics; see
 * tensor.h.
 *
 * Channels are innermost in memory, so all channels of a pixel go through a kernel together: sums
 * are taken channel by channel and put together by groups. Runs of pixels are summed apart and then
 * in double, so that long images lose nothing. */
#include "tensor/conv_internal.h"
#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

enum { RUN = 64 }; // pixels that are summed in f32

/* Inputs: x, weight, bias; of a gradient dy behind them; of a known norm mean and variance. */
enum { IN_X, IN_WEIGHT, IN_BIAS, IN_DY, IN_MEAN = 3, IN_VARIANCE };

typedef struct Norm {
    const Tensor *t;
    int64_t batch, pixels, channels, groups, runs; // runs of a sample
    float *sums[2];                                // [batch * runs, channels]
    // Of each sample and channel, what pixels are multiplied with and so on: see the users.
    float *mean, *scale, *shift, *by_slope;
} Norm;

static Norm norm_of(const Tensor *t)
{
    const Tensor *x = t->in[IN_X];
    Norm n = {.t = t, .batch = x->shape.dims[0], .channels = x->shape.dims[1]};
    n.groups = t->params.conv.groups;
    n.pixels = tensor_count(x) / n.batch / n.channels;
    n.runs = (n.pixels + RUN - 1) / RUN;
    size_t run_floats = (size_t)(n.batch * n.runs * n.channels);
    size_t floats = (size_t)(n.batch * n.channels);
    float *at = (float *)(void *)t->graph->scratch;
    float **pieces[] = {&n.sums[0], &n.sums[1], &n.mean, &n.scale, &n.shift, &n.by_slope};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        *pieces[i] = at;
        at = at ? at + (i < 2 ? run_floats : floats) : NULL;
    }
    return n;
}

size_t scratch_group_norm(const Tensor *t)
{
    const Tensor *x = t->in[IN_X];
    int64_t batch = x->shape.dims[0], channels = x->shape.dims[1];
    int64_t runs = (tensor_count(x) / batch / channels + RUN - 1) / RUN;
    return (size_t)(batch * channels * (2 * runs + 4)) * sizeof(float);
}

/* Runs. */

typedef void RunSummer(const Norm *n, int64_t sample, int64_t pixel, int64_t channel_row,
                       float *sums[2]);

typedef struct Summing {
    const Norm *n;
    RunSummer *add;
} Summing;

static const float *pixel_of(const Norm *n, const Tensor *t, int64_t sample, int64_t pixel)
{
    return tensor_f32(t) + (sample * n->pixels + pixel) * n->channels;
}

static void sum_run(void *context, int64_t run, int thread)
{
    const Summing *s = context;
    const Norm *n = s->n;
    int64_t sample = run / n->runs, first = run % n->runs * RUN;
    float *sums[2];
    for (int i = 0; i < 2; i++) {
        sums[i] = n->sums[i] + run * n->channels;
        memset(sums[i], 0, (size_t)n->channels * sizeof(float));
    }
    for (int64_t p = first; p < MIN(n->pixels, first + RUN); p++)
        s->add(n, sample, p, sample * n->channels, sums);
}

static void sum_runs(const Norm *n, RunSummer *add)
{
    Summing s = {n, add};
    pool_run(n->batch * n->runs, sum_run, &s);
}

/* The sum over all runs of a sample's channel. */
static double total_of(const Norm *n, int which, int64_t sample, int64_t channel)
{
    double sum = 0;
    for (int64_t run = 0; run < n->runs; run++)
        sum += (double)n->sums[which][(sample * n->runs + run) * n->channels + channel];
    return sum;
}

static void add_values(const Norm *n, int64_t sample, int64_t pixel, int64_t row, float *sums[2])
{
    kernels()->add(n->channels, sums[0], pixel_of(n, n->t->in[IN_X], sample, pixel), sums[0]);
}

static void add_squares(const Norm *n, int64_t sample, int64_t pixel, int64_t row, float *sums[2])
{
    kernels()->add_squares(n->channels, pixel_of(n, n->t->in[IN_X], sample, pixel), n->mean + row,
                           sums[0]);
}

/* The mean of sums [0] over each group, put at each of its channels, after `finish`. */
static void group_means(const Norm *n, float *out)
{
    int64_t width = n->channels / n->groups;
    for (int64_t i = 0; i < n->batch * n->groups; i++) {
        int64_t sample = i / n->groups, first = i % n->groups * width;
        double sum = 0;
        for (int64_t c = first; c < first + width; c++)
            sum += total_of(n, 0, sample, c);
        for (int64_t c = first; c < first + width; c++)
            out[sample * n->channels + c] = (float)(sum / (double)(width * n->pixels));
    }
}

static float at_channel(const Tensor *t, int64_t channel, float otherwise)
{
    return t ? tensor_f32(t)[channel] : otherwise;
}

/* Means, and inverse deviations in `scale`. */
static void find_statistics(const Norm *n)
{
    sum_runs(n, add_values);
    group_means(n, n->mean);
    sum_runs(n, add_squares);
    group_means(n, n->scale);
    for (int64_t i = 0; i < n->batch * n->channels; i++)
        n->scale[i] = 1 / sqrtf(n->scale[i] + n->t->params.factor);
}

static void affine_range(void *context, int64_t from, int64_t to)
{
    const Norm *n = context;
    float *out = tensor_f32(n->t->tail ? n->t->tail : n->t);
    for (int64_t i = from; i < to; i++) {
        int64_t row = i / n->pixels * n->channels;
        kernels()->affine(n->channels, tensor_f32(n->t->in[IN_X]) + i * n->channels, n->scale + row,
                          n->shift + row, n->t->activation, out + i * n->channels);
    }
}

static void write_affine(const Norm *n)
{
    enum { GRAIN = 16384 };
    pool_ranges(n->batch * n->pixels, MAX(1, GRAIN / n->channels), affine_range,
                (void *)(uintptr_t)n);
}

void run_group_norm(const Tensor *t)
{
    Norm n = norm_of(t);
    find_statistics(&n);
    for (int64_t i = 0; i < n.batch * n.channels; i++) {
        int64_t c = i % n.channels;
        n.scale[i] *= at_channel(t->in[IN_WEIGHT], c, 1);
        n.shift[i] = at_channel(t->in[IN_BIAS], c, 0) - n.mean[i] * n.scale[i];
    }
    write_affine(&n);
}

/* By known statistics. The gradient of its input has no shift (params.inverse). */
void run_batch_norm(const Tensor *t)
{
    Norm n = norm_of(t);
    for (int64_t i = 0; i < n.batch * n.channels; i++) {
        int64_t c = i % n.channels;
        n.scale[i] = at_channel(t->in[IN_WEIGHT], c, 1) /
                     sqrtf(tensor_f32(t->in[IN_VARIANCE])[c] + t->params.factor);
        n.shift[i] = at_channel(t->in[IN_BIAS], c, 0) - tensor_f32(t->in[IN_MEAN])[c] * n.scale[i];
        n.shift[i] = t->params.inverse ? 0 : n.shift[i];
    }
    write_affine(&n);
}

/* The gradient of group_norm. With X the normalized values, w the weight, r the inverse deviation
 * and means over a group:
 *     dx = r (w dy - mean(w dy) - X mean(w dy X)),  dweight = sum(dy X),  dbias = sum(dy) */

static void add_slopes(const Norm *n, int64_t sample, int64_t pixel, int64_t row, float *sums[2])
{
    const float *dy = pixel_of(n, n->t->in[IN_DY], sample, pixel);
    kernels()->add(n->channels, sums[0], dy, sums[0]);
    kernels()->add_products(n->channels, dy, pixel_of(n, n->t->in[IN_X], sample, pixel),
                            n->mean + row, sums[1]);
}

static void slope_range(void *context, int64_t from, int64_t to)
{
    const Norm *n = context;
    for (int64_t i = from; i < to; i++) {
        int64_t row = i / n->pixels * n->channels;
        float *dx = tensor_f32(n->t) + i * n->channels;
        kernels()->affine(n->channels, tensor_f32(n->t->in[IN_X]) + i * n->channels, n->scale + row,
                          n->shift + row, ACT_NONE, dx);
        kernels()->add_products(n->channels, tensor_f32(n->t->in[IN_DY]) + i * n->channels,
                                n->by_slope + row, NULL, dx);
    }
}

/* Adds to the gradient of a parameter, if it has one. */
static void accumulate(const Tensor *parameter, int64_t channel, double value)
{
    if (parameter && parameter->weight && parameter->weight->gradient)
        parameter->weight->gradient[channel] += (float)value;
}

void run_group_norm_gradient(const Tensor *t)
{
    enum { GRAIN = 16384 };
    Norm n = norm_of(t);
    int64_t width = n.channels / n.groups;
    find_statistics(&n);
    sum_runs(&n, add_slopes);
    for (int64_t i = 0; i < n.batch * n.groups; i++) {
        int64_t sample = i / n.groups, first = i % n.groups * width, row = sample * n.channels;
        double inverse = (double)n.scale[row + first], mean = (double)n.mean[row + first];
        double slopes = 0, products = 0;
        for (int64_t c = first; c < first + width; c++) {
            double weight = (double)at_channel(t->in[IN_WEIGHT], c, 1);
            double slope = total_of(&n, 0, sample, c);
            double product = total_of(&n, 1, sample, c) * inverse;
            slopes += weight * slope;
            products += weight * product;
            accumulate(t->in[IN_WEIGHT], c, product);
            accumulate(t->in[IN_BIAS], c, slope);
            n.by_slope[row + c] = (float)(weight * inverse);
        }
        slopes *= inverse / (double)(width * n.pixels);
        products *= inverse * inverse / (double)(width * n.pixels);
        for (int64_t c = first; c < first + width; c++) {
            n.scale[row + c] = (float)-products;
            n.shift[row + c] = (float)(mean * products - slopes);
        }
    }
    pool_ranges(n.batch * n.pixels, MAX(1, GRAIN / n.channels), slope_range, &n);
}

/* Builders. */

static void shape_like_pixels(Tensor *t)
{
    t->shape = t->in[IN_X]->shape;
    strides_channels_last(t);
}

void shape_group_norm(Graph *g, Tensor *t)
{
    char a[SHAPE_TEXT];
    const Shape *s = &t->in[IN_X]->shape;
    int64_t groups = t->params.conv.groups;
    if (groups < 1 || s->dims[1] % groups != 0) {
        graph_fail(g, ERR_INVALID, "%s: %s in %lld groups", t->op->name, shape_format(s, a),
                   (long long)groups);
        return;
    }
    bool gradient = tensor_is(t, OP_GROUP_NORM_GRADIENT);
    for (int i = 1; i < MAX_INPUTS; i++) {
        const Tensor *p = t->in[i];
        if (p && !(gradient && i == IN_DY) &&
            (p->shape.rank != 1 || p->shape.dims[0] != s->dims[1]))
            graph_fail(g, ERR_INVALID, "%s: a parameter does not fit %s", t->op->name,
                       shape_format(s, a));
    }
    shape_like_pixels(t);
}

static Tensor *norm(Graph *g, OpCode code, const Params *p, Tensor *const inputs[MAX_INPUTS])
{
    Tensor *in[MAX_INPUTS] = {0};
    for (int i = 0; i < MAX_INPUTS; i++)
        if (inputs[i]) {
            in[i] = operand_f32(g, ops[code].name, inputs[i]);
            in[i] = i == IN_X ? op_channels_last(g, in[i]) : op_contiguous(g, in[i]);
        }
    if (g->error.code != ERR_NONE)
        return &g->nowhere;
    return graph_node_of(g, &ops[code], p, in);
}

Tensor *op_group_norm(Graph *g, Tensor *x, int64_t groups, Tensor *weight, Tensor *bias, float eps)
{
    const Params p = {.factor = eps, .conv.groups = groups};
    return norm(g, OP_GROUP_NORM, &p, (Tensor *[MAX_INPUTS]){x, weight, bias});
}

Tensor *op_batch_norm(Graph *g, Tensor *x, Tensor *mean, Tensor *variance, Tensor *weight,
                      Tensor *bias, float eps)
{
    const Params p = {.factor = eps, .conv.groups = 1};
    return norm(g, OP_BATCH_NORM, &p, (Tensor *[MAX_INPUTS]){x, weight, bias, mean, variance});
}

void gradient_group_norm(Graph *g, Tensor *t, Tensor *dt)
{
    for (int i = IN_WEIGHT; i <= IN_BIAS; i++)
        if (wants_gradient(t->in[i]) && !t->in[i]->weight)
            graph_fail(g, ERR_UNSUPPORTED,
                       "group_norm: weight and bias must be parameters to be trained");
    Tensor *in[MAX_INPUTS] = {t->in[IN_X], t->in[IN_WEIGHT], t->in[IN_BIAS],
                              op_channels_last(g, dt)};
    Tensor *dx = graph_node_of(g, &ops[OP_GROUP_NORM_GRADIENT], &t->params, in);
    gradient_add(g, t->in[IN_X], dx);
}

void gradient_batch_norm(Graph *g, Tensor *t, Tensor *dt)
{
    for (int i = 1; i <= IN_VARIANCE; i++)
        if (wants_gradient(t->in[i])) {
            graph_fail(g, ERR_UNSUPPORTED, "batch_norm: its parameters have no gradient");
            return;
        }
    Params p = t->params;
    p.inverse = true;
    Tensor *in[MAX_INPUTS] = {op_channels_last(g, dt)};
    memcpy(in + 1, t->in + 1, sizeof in - sizeof *in);
    gradient_add(g, t->in[IN_X], graph_node_of(g, &ops[OP_BATCH_NORM], &p, in));
}
