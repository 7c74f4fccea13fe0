/* run.c: executing a planned graph, and the operations that are not matrix products. Each splits
 * its work into ranges over the pool; small ones run in the caller. */
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <math.h>

enum { GRAIN = 16384 }; // values that are worth another thread

/* Gradients that are still to be set to zero are, before something is added; a linear layer's
 * weight gets its first sums written instead. */
static void begin_effect(const Tensor *t)
{
    for (int i = 0; i < MAX_INPUTS; i++) {
        Weight *w = t->in[i] ? t->in[i]->base->weight : NULL;
        if (w && !(tensor_is(t, OP_LINEAR_GRADIENT) && i == 2))
            weight_write_zeros(w);
    }
}

bool graph_run_until(Graph *g, const atomic_bool *cancelled, Error *err)
{
    if (!graph_ok(g, err) || !graph_plan(g, err))
        return false;
    for (int i = 0; i < g->n_steps; i++) {
        const Tensor *t = g->steps[i]->head ? g->steps[i]->head : g->steps[i];
        if (t->op->check && !t->op->check(t, err))
            return fail_while(err, "%s", t->op->name);
    }
    for (int i = 0; i < g->n_steps; i++) {
        if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
            return fail(err, ERR_CANCELLED, "cancelled");
        const Tensor *t = g->steps[i]->head ? g->steps[i]->head : g->steps[i];
        if (t->op->effect)
            begin_effect(t);
        t->op->run(t);
    }
    return true;
}

bool graph_run(Graph *g, Error *err)
{
    return graph_run_until(g, NULL, err);
}

/* Elementwise: input and output lie alike, so the order of values does not matter. */

typedef void BinaryKernel(int64_t n, const float *a, const float *b, float *y);

static BinaryKernel *binary_kernel(const Tensor *t)
{
    return tensor_is(t, OP_ADD)   ? kernels()->add
           : tensor_is(t, OP_SUB) ? kernels()->sub
                                  : kernels()->mul;
}

static void binary_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    binary_kernel(t)(to - from, tensor_f32(t->in[0]) + from, tensor_f32(t->in[1]) + from,
                     tensor_f32(t) + from);
}

/* b again for each of a's outer rows. */
static void broadcast_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    int64_t n = tensor_count(t->in[1]);
    for (int64_t i = from; i < to; i++)
        binary_kernel(t)(n, tensor_f32(t->in[0]) + i * n, tensor_f32(t->in[1]),
                         tensor_f32(t) + i * n);
}

void run_binary(const Tensor *t)
{
    int64_t n = tensor_count(t), nb = tensor_count(t->in[1]);
    if (n == nb)
        pool_ranges(n, GRAIN, binary_range, context_of(t));
    else
        pool_ranges(n / nb, MAX(1, GRAIN / nb), broadcast_range, context_of(t));
}

static void scale_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    kernels()->scale(to - from, tensor_f32(t->in[0]) + from, t->params.factor,
                     tensor_f32(t) + from);
}

void run_scale(const Tensor *t)
{
    pool_ranges(tensor_count(t), GRAIN, scale_range, context_of(t));
}

static void activate_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    kernels()->activate(t->params.activation, to - from, tensor_f32(t->in[0]) + from,
                        tensor_f32(t) + from);
}

void run_activate(const Tensor *t)
{
    pool_ranges(tensor_count(t), GRAIN / 4, activate_range, context_of(t));
}

/* Row by row, whatever the strides of the outer dimensions. */

int64_t tensor_row(const Tensor *t, int64_t row)
{
    int64_t offset = 0;
    for (int i = t->shape.rank - 2; i >= 0; i--) {
        offset += row % t->shape.dims[i] * t->strides[i];
        row /= t->shape.dims[i];
    }
    return offset;
}

void run_rows(const Tensor *t, void (*range)(void *context, int64_t from, int64_t to))
{
    int64_t width = tensor_width(t);
    pool_ranges(tensor_count(t) / width, MAX(1, GRAIN / width), range, context_of(t));
}

static void softmax_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0];
    for (int64_t i = from; i < to; i++)
        kernels()->softmax(tensor_width(t), tensor_f32(x) + tensor_row(x, i),
                           tensor_f32(t) + tensor_row(t, i));
}

void run_softmax(const Tensor *t)
{
    run_rows(t, softmax_range);
}

static const float *optional(const Tensor *t)
{
    return t ? tensor_f32(t) : NULL;
}

static void rms_norm_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0];
    const float *weight = optional(t->in[1]);
    for (int64_t i = from; i < to; i++)
        kernels()->rms_norm(tensor_width(t), tensor_f32(x) + tensor_row(x, i), weight,
                            t->params.factor, tensor_f32(t) + tensor_row(t, i));
}

void run_rms_norm(const Tensor *t)
{
    run_rows(t, rms_norm_range);
}

static void layer_norm_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0];
    const float *weight = optional(t->in[1]), *bias = optional(t->in[2]);
    for (int64_t i = from; i < to; i++)
        kernels()->layer_norm(tensor_width(t), tensor_f32(x) + tensor_row(x, i), weight, bias,
                              t->params.factor, tensor_f32(t) + tensor_row(t, i));
}

void run_layer_norm(const Tensor *t)
{
    run_rows(t, layer_norm_range);
}

static void copy_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0];
    int64_t width = tensor_width(t), step = x->strides[x->shape.rank - 1];
    for (int64_t i = from; i < to; i++) {
        const float *src = tensor_f32(x) + tensor_row(x, i);
        float *dst = tensor_f32(t) + i * width;
        if (step == 1)
            memcpy(dst, src, (size_t)width * sizeof *dst);
        else
            for (int64_t j = 0; j < width; j++)
                dst[j] = src[j * step];
    }
}

void run_copy(const Tensor *t)
{
    run_rows(t, copy_range);
}

/* Gathering rows. */

bool check_indices(const Tensor *t, Error *err)
{
    const Tensor *table = t->in[0], *index = t->in[1];
    const int32_t *ids = tensor_ptr(index);
    int64_t rows = tensor_count(table) / tensor_width(table);
    if (!index->base->input) // computed: cannot be looked at before the run
        return fail(err, ERR_UNSUPPORTED, "indices must be an input of the graph");
    for (int64_t i = 0; i < tensor_count(index); i++)
        if (ids[i] < 0 || ids[i] >= rows)
            return fail(err, ERR_INVALID, "index %d is not below %lld", ids[i], (long long)rows);
    return true;
}

static void embed_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    const WeightSpec *spec = &t->in[0]->weight->spec;
    const int32_t *ids = tensor_ptr(t->in[1]);
    int64_t width = tensor_width(t);
    const DTypeInfo *info = dtype_info(spec->type);
    size_t bytes = (size_t)(width / info->block) * (size_t)info->bytes;
    for (int64_t i = from; i < to; i++)
        dtype_to_f32(spec->type, (const char *)spec->data + (size_t)ids[i] * bytes,
                     tensor_f32(t) + i * width, width);
}

void run_embed(const Tensor *t)
{
    run_rows(t, embed_range);
}

static void take_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    const int32_t *rows = tensor_ptr(t->in[1]);
    int64_t width = tensor_width(t);
    for (int64_t i = from; i < to; i++)
        memcpy(tensor_f32(t) + i * width, tensor_f32(t->in[0]) + rows[i] * width,
               (size_t)width * sizeof(float));
}

void run_take_rows(const Tensor *t)
{
    run_rows(t, take_range);
}

/* Rotation: the table holds, for each position, the cosines and then the sines of all pairs. Angles
 * are products in f32, as the reference computes them, so that far positions agree. */

static void rope_table_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context;
    const Rope *rope = &t->params.rope;
    const int32_t *positions = tensor_ptr(t->in[0]);
    float scale = rope->scale != 0 ? rope->scale : 1;
    for (int64_t i = from; i < to; i++) {
        float *row = tensor_f32(t) + i * 2 * rope->pairs;
        for (int64_t j = 0; j < rope->pairs; j++) {
            float angle = (float)positions[i] * rope->inv_freq[j];
            row[j] = cosf(angle) * scale;
            row[rope->pairs + j] = sinf(t->params.inverse ? -angle : angle) * scale;
        }
    }
}

void run_rope_table(const Tensor *t)
{
    int64_t width = tensor_width(t);
    pool_ranges(tensor_count(t) / width, MAX(1, GRAIN / 16 / width), rope_table_range,
                context_of(t));
}

static void rope_range(void *context, int64_t from, int64_t to)
{
    const Tensor *t = context, *x = t->in[0], *table = t->in[1];
    const Rope *rope = &t->params.rope;
    int64_t heads = t->shape.dims[1], tokens = t->shape.dims[2], width = tensor_width(t);
    for (int64_t i = from; i < to; i++) {
        int64_t token = i % tokens, batch = i / tokens / heads;
        const float *src = tensor_f32(x) + tensor_row(x, i);
        const float *turn = tensor_f32(table) + (batch * tokens + token) * 2 * rope->pairs;
        float *dst = tensor_f32(t) + tensor_row(t, i);
        kernels()->rope(rope->pairs, rope->neighbours, src, turn, turn + rope->pairs, dst);
        memcpy(dst + 2 * rope->pairs, src + 2 * rope->pairs,
               (size_t)(width - 2 * rope->pairs) * sizeof(float));
    }
}

void run_rope(const Tensor *t)
{
    run_rows(t, rope_range);
}
