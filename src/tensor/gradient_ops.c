/* gradient_ops.c: the gradient column of the operation table: what each operation adds to the graph
 * to compute its inputs' gradients from its own. What the new nodes compute is in gradient_run.c.
 */
#include "tensor/gradient_internal.h"

/* Shape rules of nodes that only backward passes have. */

void shape_given(Graph *g, Tensor *t)
{
    t->shape = t->params.shape;
}

/* An effect has no values; it takes a place in memory all the same. */
void shape_effect(Graph *g, Tensor *t)
{
    t->shape = SHAPE(1);
}

void shape_join(Graph *g, Tensor *t)
{
    t->shape = t->params.shape;
    memcpy(t->strides, t->params.join->strides, sizeof t->strides);
}

/* Elementwise. */

/* d summed over the outer dimensions that a suffix does not have. */
static Tensor *reduced(Graph *g, Tensor *d, const Tensor *to)
{
    if (shape_eq(&d->shape, &to->shape))
        return d;
    const Params p = {.shape = to->shape};
    return graph_node(g, &ops[OP_SUM_ROWS], &p, op_contiguous(g, d), NULL, NULL, NULL);
}

void gradient_add_op(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], dt);
    if (wants_gradient(t->in[1]))
        gradient_add(g, t->in[1], reduced(g, dt, t->in[1]));
}

void gradient_sub(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], dt);
    if (wants_gradient(t->in[1]))
        gradient_add(g, t->in[1], op_scale(g, reduced(g, dt, t->in[1]), -1));
}

void gradient_mul(Graph *g, Tensor *t, Tensor *dt)
{
    if (wants_gradient(t->in[0]))
        gradient_add(g, t->in[0], op_mul(g, dt, t->in[1]));
    if (wants_gradient(t->in[1]))
        gradient_add(g, t->in[1], reduced(g, op_mul(g, dt, t->in[0]), t->in[1]));
}

void gradient_scale(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], op_scale(g, dt, t->params.factor));
}

void gradient_sum_rows(Graph *g, Tensor *t, Tensor *dt)
{
    const Params p = {.shape = t->in[0]->shape};
    dt = op_contiguous(g, dt);
    gradient_add(g, t->in[0], graph_node(g, &ops[OP_EXPAND], &p, dt, NULL, NULL, NULL));
}

void gradient_expand(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], reduced(g, dt, t->in[0]));
}

/* A node over dt and another tensor of its shape, laid out alike. */
static Tensor *alike(Graph *g, OpCode code, const Params *params, Tensor *dt, Tensor *x)
{
    if (memcmp(dt->strides, x->strides, sizeof x->strides) != 0) {
        dt = op_contiguous(g, dt);
        x = op_contiguous(g, x);
    }
    Tensor *t = graph_node(g, &ops[code], params, dt, x, NULL, NULL);
    if (t != &g->nowhere)
        memcpy(t->strides, dt->strides, sizeof t->strides);
    return t;
}

void gradient_activate(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], alike(g, OP_ACTIVATE_GRADIENT, &t->params, dt, t->in[0]));
}

void gradient_dropout(Graph *g, Tensor *t, Tensor *dt)
{
    // The mask goes by the place in memory, so the gradient must lie as the values did.
    if (memcmp(dt->strides, t->strides, sizeof t->strides) != 0) {
        Join *join = NEW(g->arena, Join);
        Params p = {.join = join, .shape = t->shape};
        memcpy(join->strides, t->strides, sizeof t->strides);
        join->views[0] = t;
        join->tiled = true;
        dt = graph_node(g, &ops[OP_JOIN], &p, NULL, dt, NULL, NULL);
    }
    Tensor *d = graph_node(g, &ops[OP_DROPOUT], &t->params, dt, NULL, NULL, NULL);
    if (d != &g->nowhere)
        memcpy(d->strides, t->strides, sizeof d->strides);
    gradient_add(g, t->in[0], d);
}

void gradient_copy(Graph *g, Tensor *t, Tensor *dt)
{
    gradient_add(g, t->in[0], dt);
}

/* Rows. */

static Tensor *rows_inside(Graph *g, Tensor *t)
{
    return t->strides[t->shape.rank - 1] == 1 ? t : op_contiguous(g, t);
}

void gradient_softmax(Graph *g, Tensor *t, Tensor *dt)
{
    Tensor *d = graph_node(g, &ops[OP_SOFTMAX_GRADIENT], NULL, rows_inside(g, dt), t, NULL, NULL);
    gradient_add(g, t->in[0], d);
}

/* Its weight's and bias's gradients are summed beside the input's. What is already known of the
 * input's gradient (a residual's) is taken along. */
static void norm(Graph *g, Tensor *t, Tensor *dt, bool centred)
{
    Tensor *x = t->in[0], *weight = t->in[1], *bias = t->in[2];
    for (int i = 1; i <= 2; i++)
        if (wants_gradient(t->in[i]) && !t->in[i]->weight)
            graph_fail(g, ERR_UNSUPPORTED, "%s: weight and bias must be parameters to be trained",
                       t->op->name);
    Params p = {.factor = t->params.factor, .centred = centred};
    Tensor *known = x->base == x ? x->gradient : NULL;
    if (known && memcmp(known->strides, x->strides, sizeof x->strides) != 0)
        known = NULL;
    Tensor *in[MAX_INPUTS] = {rows_inside(g, dt), x, weight, bias, known};
    Tensor *d = graph_node_of(g, &ops[OP_NORM_GRADIENT], &p, in);
    if (known)
        x->gradient = NULL;
    gradient_add(g, x, d);
}

void gradient_rms_norm(Graph *g, Tensor *t, Tensor *dt)
{
    norm(g, t, dt, false);
}

void gradient_layer_norm(Graph *g, Tensor *t, Tensor *dt)
{
    norm(g, t, dt, true);
}

void gradient_rope(Graph *g, Tensor *t, Tensor *dt)
{
    const Rope *rope = &t->params.rope;
    Tensor *back = op_rope_table(g, t->in[1]->in[0], rope, true);
    gradient_add(g, t->in[0], op_turn(g, dt, back, rope));
}

void gradient_attend(Graph *g, Tensor *t, Tensor *dt)
{
    Tensor *d[3];
    if (wants_gradient(t->in[3]))
        graph_fail(g, ERR_UNSUPPORTED, "attend: its bias has no gradient");
    attend_backward(g, t, rows_inside(g, dt), d);
    for (int i = 0; i < 3 && graph_ok(g, NULL); i++)
        gradient_add(g, t->in[i], d[i]);
}

/* Gathered rows. */

void gradient_embed(Graph *g, Tensor *t, Tensor *dt)
{
    dt = op_contiguous(g, dt);
    graph_node(g, &ops[OP_EMBED_GRADIENT], NULL, dt, t->in[1], t->in[0], NULL);
}

void gradient_take_rows(Graph *g, Tensor *t, Tensor *dt)
{
    const Params p = {.shape = t->in[0]->shape};
    dt = op_contiguous(g, dt);
    gradient_add(g, t->in[0], graph_node(g, &ops[OP_SCATTER_ROWS], &p, dt, t->in[1], NULL, NULL));
}

/* Products. The weight's gradient comes first, so that the input is not needed behind it. */

void gradient_linear(Graph *g, Tensor *t, Tensor *dt)
{
    Tensor *x = t->in[0], *weight = t->in[1], *bias = t->in[2];
    int64_t stride;
    if (!tensor_has_rows(dt, &stride))
        dt = op_contiguous(g, dt);
    const Params p = {.transposed = t->params.transposed};
    bool by_bias = bias && bias->weight && wants_gradient(bias);
    if (wants_gradient(weight) || by_bias)
        graph_node(g, &ops[OP_LINEAR_GRADIENT], &p, dt, x, weight, by_bias ? bias : NULL);
    if (!by_bias && wants_gradient(bias)) // a bias that was computed
        gradient_add(g, bias, reduced(g, dt, bias));
    if (wants_gradient(x))
        gradient_add(g, x, op_linear_either(g, dt, weight, NULL, !t->params.transposed));
}
