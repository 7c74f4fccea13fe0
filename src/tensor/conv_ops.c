/* conv_ops.c: builders and shape rules of convolutions; see tensor.h. What they compute is in
 * conv.c, their gradients' nodes are in conv_backward.c. */
#include "tensor/conv_internal.h"

/* Layout. */

/* Permutes [B,C,...] to [B,...,C], or back. */
static Tensor *move_channels(Graph *g, Tensor *t, bool back)
{
    static const int last[2][4] = {{0, 2, 1}, {0, 2, 3, 1}},
                     first[2][4] = {{0, 2, 1}, {0, 3, 1, 2}};
    return op_permute(g, t, (back ? first : last)[t->shape.rank == 4]);
}

Tensor *op_channels_last(Graph *g, Tensor *t)
{
    if (t->shape.rank != 3 && t->shape.rank != 4)
        return graph_fail(g, ERR_INVALID, "channels: rank %d is neither 3 nor 4", t->shape.rank);
    Tensor *last = move_channels(g, t, false);
    if (tensor_is_contiguous(last))
        return t;
    return move_channels(g, op_contiguous(g, last), true);
}

void strides_channels_last(Tensor *t)
{
    const int64_t *d = t->shape.dims;
    int64_t stride = d[1];
    t->strides[1] = 1;
    for (int i = t->shape.rank - 1; i >= 2; i--) {
        t->strides[i] = stride;
        stride *= d[i];
    }
    t->strides[0] = stride;
}

Tensor *op_pixels(Graph *g, Tensor *t)
{
    const int64_t *d = t->shape.dims;
    Shape s = SHAPE(d[0], tensor_count(t) / d[0] / d[1], d[1]);
    return op_reshape(g, move_channels(g, t, false), s);
}

/* Shapes. */

static void misfit(Graph *g, const Tensor *t)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    graph_fail(g, ERR_INVALID, "%s: %s and %s do not fit", t->op->name,
               shape_format(&t->in[0]->shape, a), shape_format(&t->in[1]->shape, b));
}

/* Strides and dilations of at least one, paddings of at least none, nothing absurd. */
static bool conv_is_sane(const Conv *p)
{
    enum { MOST = 1 << 16 };
    for (int i = 0; i < 2; i++) {
        const int64_t values[] = {p->stride[i], p->padding[i], p->dilation[i],
                                  p->output_padding[i]};
        for (size_t j = 0; j < COUNT(values); j++)
            if (values[j] < 0 || values[j] > MOST)
                return false;
    }
    return p->groups >= 0;
}

static void shape_either(Graph *g, Tensor *t, bool transposed)
{
    const Tensor *x = t->in[0], *w = t->in[1], *bias = t->in[2];
    const Conv *p = &t->params.conv;
    int rank = x->shape.rank;
    int64_t groups = MAX(p->groups, 1);
    if (!conv_is_sane(p)) {
        graph_fail(g, ERR_INVALID, "%s: a stride, padding or dilation is out of range",
                   t->op->name);
        return;
    }
    int64_t channels = w->shape.dims[transposed ? 0 : 1] * (transposed ? 1 : groups);
    if (rank != w->shape.rank || rank < 3 || rank > 4 || x->shape.dims[1] != channels ||
        w->shape.dims[0] % groups != 0) {
        misfit(g, t);
        return;
    }
    t->shape = x->shape;
    t->shape.dims[1] = transposed ? w->shape.dims[1] * groups : w->shape.dims[0];
    for (int i = 0; i < rank - 2; i++) {
        int64_t size = x->shape.dims[2 + i], stride = MAX(p->stride[i], 1);
        int64_t reach = MAX(p->dilation[i], 1) * (w->shape.dims[2 + i] - 1) - 2 * p->padding[i];
        int64_t out = transposed ? (size - 1) * stride + reach + p->output_padding[i] + 1
                                 : (size - reach - 1) / stride + 1;
        if (out < 1 || (!transposed && size - reach < 1)) {
            misfit(g, t);
            return;
        }
        t->shape.dims[2 + i] = out;
    }
    const Shape *b = bias ? &bias->shape : NULL;
    bool fits = !b || (b->rank <= 2 && b->dims[b->rank - 1] == t->shape.dims[1] &&
                       (b->rank == 1 || b->dims[0] == 1 || b->dims[0] == x->shape.dims[0]));
    if (!fits)
        misfit(g, t);
    strides_channels_last(t);
}

void shape_conv(Graph *g, Tensor *t)
{
    shape_either(g, t, false);
}

void shape_conv_transpose(Graph *g, Tensor *t)
{
    shape_either(g, t, true);
}

/* Builders. */

Tensor *op_conv_either(Graph *g, OpCode code, Tensor *x, Tensor *weight, Tensor *bias,
                       const Conv *params, int rank)
{
    Error err = {0};
    const Conv p = params ? *params : (Conv){0};
    x = operand_f32(g, ops[code].name, x);
    bias = operand_f32(g, ops[code].name, bias);
    if (!weight->weight)
        return graph_fail(g, ERR_UNSUPPORTED, "%s: the kernel must be a parameter", ops[code].name);
    if (x->shape.rank != rank || weight->shape.rank != rank)
        return graph_fail(g, ERR_INVALID, "%s: an input of rank %d and a kernel of rank %d",
                          ops[code].name, x->shape.rank, weight->shape.rank);
    // Any distance from pixel to pixel will do.
    x = x->strides[1] == 1 || x->shape.dims[1] == 1 ? x : op_channels_last(g, x);
    bias = bias ? op_contiguous(g, bias) : NULL;
    Tensor *t = graph_node(g, &ops[code], &(Params){.conv = p}, x, weight, bias, NULL);
    if (t != &g->nowhere &&
        !weight_pack_conv(weight->weight, MAX(p.groups, 1), conv_panels(t), &err))
        return graph_fail(g, err.code, "%s", err.text);
    return t;
}

Tensor *op_conv2d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params)
{
    return op_conv_either(g, OP_CONV, x, weight, bias, params, 4);
}

Tensor *op_conv1d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params)
{
    return op_conv_either(g, OP_CONV, x, weight, bias, params, 3);
}

Tensor *op_conv_transpose2d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params)
{
    return op_conv_either(g, OP_CONV_TRANSPOSE, x, weight, bias, params, 4);
}

Tensor *op_conv_transpose1d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params)
{
    return op_conv_either(g, OP_CONV_TRANSPOSE, x, weight, bias, params, 3);
}
