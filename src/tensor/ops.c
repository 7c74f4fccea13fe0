/* ops.c: the operation table, its shape rules and the builders; see tensor.h. What the operations
 * compute is in run.c, linear.c and attend.c. */
#include "tensor/tensor_internal.h"

#include <math.h>

/* Shape rules: set t->shape, or record the failure. */

static void mismatch(Graph *g, const Tensor *t, const Tensor *a, const Tensor *b)
{
    char a_text[SHAPE_TEXT], b_text[SHAPE_TEXT];
    graph_fail(g, ERR_INVALID, "%s: %s and %s do not fit", t->op->name,
               shape_format(&a->shape, a_text), shape_format(&b->shape, b_text));
}

/* Whether b's dimensions are the last ones of a. */
static bool is_suffix(const Shape *a, const Shape *b)
{
    if (b->rank > a->rank)
        return false;
    for (int i = 1; i <= b->rank; i++)
        if (a->dims[a->rank - i] != b->dims[b->rank - i])
            return false;
    return true;
}

static void shape_same(Graph *g, Tensor *t)
{
    t->shape = t->in[0]->shape;
}

static void shape_binary(Graph *g, Tensor *t)
{
    t->shape = t->in[0]->shape;
    if (!is_suffix(&t->in[0]->shape, &t->in[1]->shape))
        mismatch(g, t, t->in[0], t->in[1]);
}

static void shape_norm(Graph *g, Tensor *t)
{
    t->shape = t->in[0]->shape;
    for (int i = 1; i <= 2; i++)
        if (t->in[i] && (t->in[i]->shape.rank != 1 || t->in[i]->shape.dims[0] != tensor_width(t)))
            mismatch(g, t, t->in[0], t->in[i]);
}

static void shape_linear(Graph *g, Tensor *t)
{
    const Tensor *x = t->in[0], *w = t->in[1], *bias = t->in[2];
    bool transposed = t->params.transposed;
    if (w->shape.rank != 2 || w->shape.dims[!transposed] != tensor_width(x)) {
        mismatch(g, t, x, w);
        return;
    }
    int64_t out = w->shape.dims[transposed];
    if (bias && (bias->shape.rank != 1 || bias->shape.dims[0] != out))
        mismatch(g, t, w, bias);
    t->shape = x->shape;
    t->shape.dims[x->shape.rank - 1] = out;
}

static void shape_embed(Graph *g, Tensor *t)
{
    const Tensor *w = t->in[0], *ids = t->in[1];
    if (w->shape.rank != 2 || ids->type != DTYPE_I32 || ids->shape.rank >= SHAPE_MAX_RANK) {
        mismatch(g, t, w, ids);
        return;
    }
    t->shape = ids->shape;
    t->shape.dims[t->shape.rank++] = w->shape.dims[1];
}

static void shape_take_rows(Graph *g, Tensor *t)
{
    const Tensor *x = t->in[0], *rows = t->in[1];
    if (rows->type != DTYPE_I32 || rows->shape.rank != 1)
        mismatch(g, t, x, rows);
    t->shape = SHAPE(rows->shape.dims[0], tensor_width(x));
}

static void shape_rope_table(Graph *g, Tensor *t)
{
    const Tensor *positions = t->in[0];
    if (positions->type != DTYPE_I32 || positions->shape.rank != 2)
        mismatch(g, t, positions, positions);
    t->shape = SHAPE(positions->shape.dims[0], positions->shape.dims[1], 2 * t->params.rope.pairs);
}

/* The strides of [B,H,T,D] whose memory is [B,T,H,D], so that merging heads is a view. */
static void strides_by_token(Tensor *t)
{
    const int64_t *d = t->shape.dims;
    t->strides[3] = 1;
    t->strides[2] = d[1] * d[3];
    t->strides[1] = d[3];
    t->strides[0] = d[1] * d[2] * d[3];
}

static void shape_rope(Graph *g, Tensor *t)
{
    const Tensor *x = t->in[0], *table = t->in[1];
    const Shape *s = &x->shape;
    t->shape = *s;
    if (s->rank != 4 || s->dims[0] != table->shape.dims[0] || s->dims[2] != table->shape.dims[1] ||
        t->params.rope.pairs * 2 > s->dims[3]) {
        mismatch(g, t, x, table);
        return;
    }
    strides_by_token(t);
}

static void shape_attend(Graph *g, Tensor *t)
{
    const Shape *q = &t->in[0]->shape, *k = &t->in[1]->shape;
    t->shape = *q;
    bool fits = q->rank == 4 && k->rank == 4 && shape_eq(k, &t->in[2]->shape) &&
                q->dims[0] == k->dims[0] && q->dims[3] == k->dims[3] &&
                q->dims[1] % k->dims[1] == 0 &&
                (!t->params.attend.cached || q->dims[2] == k->dims[2]);
    if (!fits) {
        mismatch(g, t, t->in[0], t->in[1]);
        return;
    }
    if (t->params.attend.layer < 0 || t->params.attend.window < 0)
        graph_fail(g, ERR_INVALID, "attend: layer and window are not negative");
    const Tensor *bias = t->in[3], *mask = t->in[4];
    const int64_t wanted[] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
    for (int i = 0; bias && i < 4; i++)
        if (bias->shape.dims[i] != 1 && bias->shape.dims[i] != wanted[i])
            mismatch(g, t, t->in[0], bias);
    if (mask && (mask->type != DTYPE_I32 || mask->shape.rank != 2 ||
                 mask->shape.dims[0] != q->dims[0] || mask->shape.dims[1] != k->dims[2]))
        mismatch(g, t, t->in[1], mask);
    strides_by_token(t);
}

const Op ops[OP_COUNT] = {
    [OP_ADD] = {"add", shape_binary, run_binary, .gradient = gradient_add_op, .in_place = true},
    [OP_SUB] = {"sub", shape_binary, run_binary, .gradient = gradient_sub, .in_place = true},
    [OP_MUL] = {"mul", shape_binary, run_binary, .gradient = gradient_mul, .in_place = true},
    [OP_SCALE] = {"scale", shape_same, run_scale, .gradient = gradient_scale, .in_place = true},
    [OP_ACTIVATE] = {"activate", shape_same, run_activate, .gradient = gradient_activate,
                     .in_place = true},
    [OP_SOFTMAX] = {"softmax", shape_same, run_softmax, .gradient = gradient_softmax,
                    .in_place = true},
    [OP_RMS_NORM] = {"rms_norm", shape_norm, run_rms_norm, .gradient = gradient_rms_norm,
                     .in_place = true},
    [OP_LAYER_NORM] = {"layer_norm", shape_norm, run_layer_norm, .gradient = gradient_layer_norm,
                       .in_place = true},
    [OP_LINEAR] = {"linear", shape_linear, run_linear, check_linear, scratch_linear,
                   .gradient = gradient_linear, .fuses = FUSES_ALL},
    [OP_EMBED] = {"embed", shape_embed, run_embed, check_indices, .gradient = gradient_embed},
    [OP_TAKE_ROWS] = {"take_rows", shape_take_rows, run_take_rows, check_indices,
                      .gradient = gradient_take_rows},
    [OP_ROPE_TABLE] = {"rope_table", shape_rope_table, run_rope_table},
    [OP_ROPE] = {"rope", shape_rope, run_rope, .gradient = gradient_rope},
    [OP_COPY] = {"copy", shape_same, run_copy, .gradient = gradient_copy},
    [OP_ATTEND] = {"attend", shape_attend, run_attend, check_attend, scratch_attend},
    [OP_ATTEND_DENSE] = {"attend", shape_attend, run_attend_dense, .scratch = scratch_attend_dense,
                         .gradient = gradient_attend},
    [OP_ATTEND_BACKWARD] = {"attend_backward", shape_attend_backward, run_attend_backward,
                            .scratch = scratch_attend_backward},
    [OP_CONV] = {"conv", shape_conv, run_conv, check_conv, scratch_conv, .gradient = gradient_conv,
                 .fuses = FUSES_ALL},
    [OP_CONV_TRANSPOSE] = {"conv_transpose", shape_conv_transpose, run_conv, check_conv,
                           scratch_conv, .gradient = gradient_conv, .fuses = FUSES_ALL},
    [OP_CONV_GRADIENT] = {"conv's gradient", shape_effect, run_conv_gradient,
                          .scratch = scratch_conv_gradient, .effect = true},
    [OP_GROUP_NORM] = {"group_norm", shape_group_norm, run_group_norm,
                       .scratch = scratch_group_norm, .gradient = gradient_group_norm,
                       .in_place = true, .fuses = FUSES_ACTIVATION},
    [OP_GROUP_NORM_GRADIENT] = {"group_norm's gradient", shape_group_norm, run_group_norm_gradient,
                                .scratch = scratch_group_norm, .effect = true},
    [OP_BATCH_NORM] = {"batch_norm", shape_group_norm, run_batch_norm,
                       .scratch = scratch_group_norm, .gradient = gradient_batch_norm,
                       .in_place = true, .fuses = FUSES_ACTIVATION},
    [OP_SPATIAL] = {"pool or resize", shape_spatial, run_spatial, .gradient = gradient_spatial},
    [OP_SPATIAL_GRADIENT] = {"its gradient", shape_spatial, run_spatial_gradient},
    [OP_SUM_ROWS] = {"sum", shape_given, run_sum_rows, .gradient = gradient_sum_rows},
    [OP_EXPAND] = {"expand", shape_given, run_expand, .gradient = gradient_expand},
    [OP_DROPOUT] = {"dropout", shape_same, run_dropout, .gradient = gradient_dropout,
                    .in_place = true},
    [OP_NOISE] = {"noise", shape_same, run_noise, .gradient = gradient_copy, .in_place = true},
    [OP_CROSS_ENTROPY] = {"cross_entropy", shape_cross_entropy, run_cross_entropy, check_labels,
                          .gradient = gradient_cross_entropy},
    // What only backward passes have.
    [OP_CROSS_ENTROPY_GRADIENT] = {"cross_entropy's gradient", shape_same,
                                   run_cross_entropy_gradient, .in_place = true},
    [OP_ACCUMULATE] = {"accumulate", shape_effect, run_accumulate, .effect = true},
    [OP_JOIN] = {"join", shape_join, run_join, .in_place = true},
    [OP_ACTIVATE_GRADIENT] = {"activate's gradient", shape_same, run_activate_gradient,
                              .in_place = true},
    [OP_SOFTMAX_GRADIENT] = {"softmax's gradient", shape_same, run_softmax_gradient,
                             .in_place = true},
    [OP_NORM_GRADIENT] = {"norm's gradient", shape_same, run_norm_gradient,
                          .scratch = scratch_norm_gradient, .in_place = true, .effect = true},
    [OP_LINEAR_GRADIENT] = {"linear's gradient", shape_effect, run_linear_gradient,
                            .scratch = scratch_linear_gradient, .effect = true},
    [OP_EMBED_GRADIENT] = {"embed's gradient", shape_effect, run_embed_gradient, .effect = true},
    [OP_SCATTER_ROWS] = {"scatter_rows", shape_given, run_scatter_rows},
};

/* Builders. */

Tensor *graph_add_copy(Graph *g, Tensor *t)
{
    Tensor *copy = graph_node(g, &ops[OP_COPY], NULL, t, NULL, NULL, NULL);
    copy->type = t->type;
    return copy;
}

/* A weight, or a view of one, as an ordinary f32 operand. */
static Tensor *readable(Graph *g, Tensor *t)
{
    Error err = {0};
    Weight *w = t ? t->base->weight : NULL;
    if (!w)
        return t;
    if (!weight_read(w, &err))
        return graph_fail(g, err.code, "%s", err.text);
    if (t->type == DTYPE_F32)
        return t;
    // The values are f32 whatever the file has; the parameter itself keeps its type for others.
    Tensor *view = graph_view(g, t, &t->shape, t->strides, 0);
    view->type = DTYPE_F32;
    return view;
}

Tensor *operand_f32(Graph *g, const char *name, Tensor *t)
{
    t = readable(g, t);
    if (t && t->type != DTYPE_F32)
        return graph_fail(g, ERR_INVALID, "%s: wants f32, not %s", name, dtype_name(t->type));
    return t;
}

Tensor *op_contiguous(Graph *g, Tensor *x)
{
    x = readable(g, x);
    return tensor_is_contiguous(x) ? x : graph_add_copy(g, x);
}

/* Whether t's values fill one stretch of memory, in whatever order. */
static bool is_dense(const Tensor *t)
{
    int64_t extent = 1;
    for (int i = 0; i < t->shape.rank; i++)
        extent += (t->shape.dims[i] - 1) * t->strides[i];
    return extent == tensor_count(t);
}

/* Elementwise results lie in memory as their input does, so that no copy is needed. */
static Tensor *elementwise(Graph *g, OpCode code, const Params *params, Tensor *x)
{
    x = operand_f32(g, ops[code].name, x);
    x = is_dense(x) ? x : op_contiguous(g, x);
    Tensor *t = graph_node(g, &ops[code], params, x, NULL, NULL, NULL);
    if (t != &g->nowhere)
        memcpy(t->strides, x->strides, sizeof t->strides);
    return t;
}

static Tensor *binary(Graph *g, OpCode code, Tensor *a, Tensor *b)
{
    a = operand_f32(g, ops[code].name, a);
    b = operand_f32(g, ops[code].name, b);
    bool alike = shape_eq(&a->shape, &b->shape) && is_dense(a) &&
                 memcmp(a->strides, b->strides, sizeof a->strides) == 0;
    if (!alike) {
        a = op_contiguous(g, a);
        b = op_contiguous(g, b);
    }
    Tensor *t = graph_node(g, &ops[code], NULL, a, b, NULL, NULL);
    if (alike && t != &g->nowhere)
        memcpy(t->strides, a->strides, sizeof t->strides);
    return t;
}

Tensor *op_add(Graph *g, Tensor *a, Tensor *b)
{
    return binary(g, OP_ADD, a, b);
}

Tensor *op_sub(Graph *g, Tensor *a, Tensor *b)
{
    return binary(g, OP_SUB, a, b);
}

Tensor *op_mul(Graph *g, Tensor *a, Tensor *b)
{
    return binary(g, OP_MUL, a, b);
}

Tensor *op_scale(Graph *g, Tensor *x, float factor)
{
    return elementwise(g, OP_SCALE, &(Params){.factor = factor}, x);
}

#define ACTIVATION_BUILDER(name, kind)                                                             \
    Tensor *name(Graph *g, Tensor *x)                                                              \
    {                                                                                              \
        return elementwise(g, OP_ACTIVATE, &(Params){.activation = (kind)}, x);                    \
    }
ACTIVATION_BUILDER(op_relu, ACT_RELU)
ACTIVATION_BUILDER(op_tanh, ACT_TANH)
ACTIVATION_BUILDER(op_sigmoid, ACT_SIGMOID)
ACTIVATION_BUILDER(op_silu, ACT_SILU)
ACTIVATION_BUILDER(op_gelu, ACT_GELU)
ACTIVATION_BUILDER(op_gelu_tanh, ACT_GELU_TANH)
ACTIVATION_BUILDER(op_gelu_quick, ACT_GELU_QUICK)

/* Works on rows: keeps the memory order of x when its rows have no gaps inside. */
static Tensor *row_wise(Graph *g, OpCode code, float eps, Tensor *x, Tensor *weight, Tensor *bias)
{
    const char *name = ops[code].name;
    x = operand_f32(g, name, x);
    weight = operand_f32(g, name, weight);
    bias = operand_f32(g, name, bias);
    if (x->strides[x->shape.rank - 1] != 1)
        x = op_contiguous(g, x);
    Tensor *t = graph_node(g, &ops[code], &(Params){.factor = eps}, x, weight, bias, NULL);
    if (t != &g->nowhere && is_dense(x))
        memcpy(t->strides, x->strides, sizeof t->strides);
    return t;
}

Tensor *op_sum(Graph *g, Tensor *x)
{
    x = op_contiguous(g, operand_f32(g, "sum", x));
    return graph_node(g, &ops[OP_SUM_ROWS], &(Params){.shape = SHAPE(1)}, x, NULL, NULL, NULL);
}

Tensor *op_mean(Graph *g, Tensor *x)
{
    return op_scale(g, op_sum(g, x), 1 / (float)tensor_count(x));
}

Tensor *op_dropout(Graph *g, Tensor *x, float rate)
{
    if (!(rate >= 0 && rate < 1))
        return graph_fail(g, ERR_INVALID, "dropout: a rate of %g", (double)rate);
    if (g->mode != GRAPH_TRAIN || rate == 0) // NOLINT: exactly none
        return x;
    return elementwise(g, OP_DROPOUT, &(Params){.factor = rate, .stream = g->streams++}, x);
}

Tensor *op_noise(Graph *g, Tensor *x, float size)
{
    if (g->mode != GRAPH_TRAIN || size == 0) // NOLINT: exactly none
        return x;
    return elementwise(g, OP_NOISE, &(Params){.factor = size, .stream = g->streams++}, x);
}

Tensor *op_softmax(Graph *g, Tensor *x)
{
    return row_wise(g, OP_SOFTMAX, 0, x, NULL, NULL);
}

Tensor *op_rms_norm(Graph *g, Tensor *x, Tensor *weight, float eps)
{
    return row_wise(g, OP_RMS_NORM, eps, x, weight, NULL);
}

Tensor *op_layer_norm(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, float eps)
{
    return row_wise(g, OP_LAYER_NORM, eps, x, weight, bias);
}

Tensor *op_linear_either(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, bool transposed)
{
    Error err = {0};
    x = operand_f32(g, "linear", x);
    bias = operand_f32(g, "linear", bias);
    if (!weight->weight)
        return graph_fail(g, ERR_UNSUPPORTED, "linear: the second factor must be a parameter");
    int64_t stride;
    if (!tensor_has_rows(x, &stride))
        x = op_contiguous(g, x);
    Tensor *t =
        graph_node(g, &ops[OP_LINEAR], &(Params){.transposed = transposed}, x, weight, bias, NULL);
    if (t != &g->nowhere && !weight_pack(weight->weight, transposed, &err))
        return graph_fail(g, err.code, "%s", err.text);
    return t;
}

Tensor *op_linear(Graph *g, Tensor *x, Tensor *weight, Tensor *bias)
{
    return op_linear_either(g, x, weight, bias, false);
}

Tensor *op_linear_transposed(Graph *g, Tensor *x, Tensor *weight, Tensor *bias)
{
    return op_linear_either(g, x, weight, bias, true);
}

Tensor *op_embed(Graph *g, Tensor *weight, Tensor *ids)
{
    if (!weight->weight)
        return graph_fail(g, ERR_UNSUPPORTED, "embed: the table must be a parameter");
    return graph_node(g, &ops[OP_EMBED], NULL, weight, op_contiguous(g, ids), NULL, NULL);
}

Tensor *op_take_rows(Graph *g, Tensor *x, Tensor *rows)
{
    x = op_contiguous(g, operand_f32(g, "take_rows", x));
    return graph_node(g, &ops[OP_TAKE_ROWS], NULL, x, op_contiguous(g, rows), NULL, NULL);
}

/* All layers turn by the same angles: one table a graph, unless the rules differ. */
Tensor *op_rope_table(Graph *g, Tensor *positions, const Rope *rope, bool inverse)
{
    size_t bytes = (size_t)rope->pairs * sizeof(float);
    for (int i = 0; i < g->n; i++) {
        Tensor *t = g->tensors[i];
        const Rope *r = &t->params.rope;
        if (tensor_is(t, OP_ROPE_TABLE) && t->in[0] == positions && r->pairs == rope->pairs &&
            r->scale == rope->scale && t->params.inverse == inverse &&
            memcmp(r->inv_freq, rope->inv_freq, bytes) == 0)
            return t;
    }
    Params p = {.rope = *rope, .inverse = inverse};
    p.rope.inv_freq = arena_copy(g->arena, rope->inv_freq, bytes);
    return graph_node(g, &ops[OP_ROPE_TABLE], &p, positions, NULL, NULL, NULL);
}

Tensor *op_turn(Graph *g, Tensor *x, Tensor *table, const Rope *rope)
{
    x = operand_f32(g, "rope", x);
    if (x->strides[x->shape.rank - 1] != 1)
        x = op_contiguous(g, x);
    return graph_node(g, &ops[OP_ROPE], &(Params){.rope = *rope}, x, table, NULL, NULL);
}

Tensor *op_rope(Graph *g, Tensor *x, Tensor *positions, const Rope *rope)
{
    if (rope->pairs < 1)
        return graph_fail(g, ERR_INVALID, "rope: %lld pairs", (long long)rope->pairs);
    Tensor *table = op_rope_table(g, op_contiguous(g, positions), rope, false);
    return op_turn(g, x, table, rope);
}

static Tensor *rows_inside(Graph *g, Tensor *t)
{
    t = operand_f32(g, "attend", t);
    return t->strides[t->shape.rank - 1] == 1 ? t : op_contiguous(g, t);
}

/* A bias, with dimensions of one in front of those that it has. */
static Tensor *with_rank_four(Graph *g, Tensor *t)
{
    t = operand_f32(g, "attend", t);
    if (!t || t->shape.rank == 4)
        return t;
    if (t->shape.rank > 4)
        return graph_fail(g, ERR_INVALID, "attend: a bias of rank %d", t->shape.rank);
    Shape s = SHAPE(1, 1, 1, 1);
    for (int i = 1; i <= t->shape.rank; i++)
        s.dims[4 - i] = t->shape.dims[t->shape.rank - i];
    return op_reshape(g, t, s);
}

Tensor *op_attend(Graph *g, Tensor *q, Tensor *k, Tensor *v, const Attend *params)
{
    Params p = {.attend = *params};
    if (p.attend.scale == 0) // NOLINT: the default, not a computed value
        p.attend.scale = 1 / sqrtf((float)tensor_width(q));
    p.attend.cached = p.attend.cached && g->mode == GRAPH_STEP;
    if (!(p.attend.dropout >= 0 && p.attend.dropout < 1))
        return graph_fail(g, ERR_INVALID, "attend: dropout of %g", (double)p.attend.dropout);
    if (g->mode != GRAPH_TRAIN)
        p.attend.dropout = 0;
    p.attend.stream = p.attend.dropout > 0 ? g->streams++ : 0;
    if (p.attend.cached && (params->bias || params->attention_mask))
        return graph_fail(g, ERR_UNSUPPORTED, "attend: a bias or mask with a cache");
    Tensor *in[MAX_INPUTS] = {rows_inside(g, q), rows_inside(g, k), rows_inside(g, v),
                              with_rank_four(g, params->bias), params->attention_mask};
    p.attend.bias = in[3];
    return graph_node_of(g, &ops[p.attend.cached ? OP_ATTEND : OP_ATTEND_DENSE], &p, in);
}

/* Views. */

Tensor *op_reshape(Graph *g, Tensor *x, Shape shape)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!shape_is_sane(&shape) || shape_count(&shape) != tensor_count(x))
        return graph_fail(g, ERR_INVALID, "reshape: %s into %s", shape_format(&x->shape, a),
                          shape_format(&shape, b));
    int64_t strides[SHAPE_MAX_RANK] = {0};
    x = op_contiguous(g, x);
    strides_of(&shape, strides);
    return graph_view(g, x, &shape, strides, 0);
}

Tensor *op_permute(Graph *g, Tensor *x, const int *axes)
{
    Shape shape = x->shape;
    int64_t strides[SHAPE_MAX_RANK] = {0};
    unsigned seen = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (axes[i] < 0 || axes[i] >= shape.rank || seen >> axes[i] & 1)
            return graph_fail(g, ERR_INVALID, "permute: axis %d", axes[i]);
        seen |= 1U << axes[i];
        shape.dims[i] = x->shape.dims[axes[i]];
        strides[i] = x->strides[axes[i]];
    }
    return graph_view(g, x, &shape, strides, 0);
}

Tensor *op_slice(Graph *g, Tensor *x, int axis, int64_t from, int64_t to)
{
    char text[SHAPE_TEXT];
    axis = axis < 0 ? axis + x->shape.rank : axis;
    if (axis < 0 || axis >= x->shape.rank || from < 0 || from >= to || to > x->shape.dims[axis])
        return graph_fail(g, ERR_INVALID, "slice: axis %d from %lld to %lld of %s", axis,
                          (long long)from, (long long)to, shape_format(&x->shape, text));
    Shape shape = x->shape;
    shape.dims[axis] = to - from;
    return graph_view(g, x, &shape, x->strides, from * x->strides[axis]);
}

void op_split(Graph *g, Tensor *x, int parts, Tensor **out)
{
    int64_t width = tensor_width(x) / MAX(parts, 1);
    if (parts < 1 || width * parts != tensor_width(x))
        graph_fail(g, ERR_INVALID, "split: %lld into %d parts", (long long)tensor_width(x), parts);
    for (int i = 0; i < parts; i++)
        out[i] = g->error.code ? &g->nowhere : op_slice(g, x, -1, i * width, (i + 1) * width);
}

Tensor *op_split_heads(Graph *g, Tensor *x, int64_t heads)
{
    const Shape *s = &x->shape;
    char text[SHAPE_TEXT];
    if (s->rank != 3 || heads < 1 || s->dims[2] % heads != 0)
        return graph_fail(g, ERR_INVALID, "split_heads: %s into %lld heads", shape_format(s, text),
                          (long long)heads);
    int64_t d = s->dims[2] / heads;
    int64_t strides[SHAPE_MAX_RANK] = {x->strides[0], d * x->strides[2], x->strides[1],
                                       x->strides[2]};
    return graph_view(g, x, &SHAPE(s->dims[0], heads, s->dims[1], d), strides, 0);
}

Tensor *op_merge_heads(Graph *g, Tensor *x)
{
    char text[SHAPE_TEXT];
    if (x->shape.rank != 4)
        return graph_fail(g, ERR_INVALID, "merge_heads: %s", shape_format(&x->shape, text));
    const int64_t *d = x->shape.dims;
    Shape merged = SHAPE(d[0], d[2], d[1] * d[3]);
    return op_reshape(g, op_permute(g, x, (const int[]){0, 2, 1, 3}), merged);
}
