/* gradient.c: the backward pass as more nodes of the same graph; see graph_backward in tensor.h.
 *
 * Tensors are walked in reverse order of building, so that when one is met, all that read it have
 * said what they add to its gradient. A tensor's gradient has two parts: whole ones, summed as they
 * come, and pieces, the gradients of views of it, put where the views lie. Then the gradient column
 * of the operation table adds the nodes that compute the inputs' gradients. Gradients of weights
 * end in nodes without a result ("effects"), which add to the weight's gradient as they run.
 *
 * Checkpoints divide the graph into segments. Before a segment other than the last is walked, all
 * its operations are built once more, reading what came before the segment and what they computed
 * anew; the backward nodes then read the copies, and the first run's values die where the forward
 * pass last reads them. What nobody reads is left out by the plan, as always. */
#include "tensor/gradient_internal.h"

/* The gradient of a view, until its base's is put together. */
struct Piece {
    Tensor *view, *gradient;
    Piece *next;
};

void graph_set_mode(Graph *g, GraphMode mode)
{
    if (g->n)
        graph_fail(g, ERR_INVALID, "the mode of a graph is set before it is built");
    g->mode = mode;
}

void graph_set_seed(Graph *g, uint64_t seed)
{
    g->seed = seed;
}

void graph_use_checkpoints(Graph *g, bool yes)
{
    g->use_marks = yes;
}

void graph_checkpoint(Graph *g)
{
    if (!g->use_marks || g->mode != GRAPH_TRAIN || (g->n_marks && g->marks[g->n_marks - 1] == g->n))
        return;
    if (g->n_marks % MARKS_STEP == 0) {
        int *more = NEW_ARRAY(g->arena, int, (size_t)g->n_marks + MARKS_STEP);
        if (g->n_marks)
            memcpy(more, g->marks, (size_t)g->n_marks * sizeof *more);
        g->marks = more;
    }
    g->marks[g->n_marks++] = g->n;
}

void gradient_add(Graph *g, Tensor *t, Tensor *d)
{
    Tensor *base = t->base;
    if (!base->differentiable || g->error.code != ERR_NONE)
        return;
    if (!shape_eq(&t->shape, &d->shape))
        d = op_reshape(g, d, t->shape);
    if (t == base) {
        base->gradient = base->gradient ? op_add(g, base->gradient, d) : d;
        return;
    }
    Piece *piece = NEW(g->arena, Piece);
    *piece = (Piece){t, d, base->pieces};
    base->pieces = piece;
}

/* A view that has all of its base, which is dense, in whatever order. */
static bool is_whole(const Tensor *view)
{
    return view->offset == 0 && tensor_count(view) == tensor_count(view->base);
}

static bool strides_agree(const Tensor *a, const Tensor *b)
{
    for (int i = 0; i < a->shape.rank; i++)
        if (a->shape.dims[i] != 1 && a->strides[i] != b->strides[i])
            return false;
    return true;
}

/* How many values from a view's first one on lie side by side in memory, and the distance to where
 * the next ones begin. */
static void runs_of(const Tensor *view, int64_t *run, int64_t *pitch)
{
    *run = 1;
    for (bool grew = true; grew;) { // dimensions from the innermost in memory
        grew = false;
        for (int i = 0; i < view->shape.rank && !grew; i++)
            if (view->shape.dims[i] > 1 && view->strides[i] == *run) {
                *run *= view->shape.dims[i];
                grew = true;
            }
    }
    *pitch = tensor_count(view->base);
    for (int i = 0; i < view->shape.rank; i++)
        if (view->shape.dims[i] > 1 && view->strides[i] > *run)
            *pitch = MIN(*pitch, view->strides[i]);
}

bool views_tile(const Tensor *const *views, int n)
{
    const Tensor *first = views[0];
    int64_t run, pitch, total = 0;
    uint64_t seen = 0;
    runs_of(first, &run, &pitch);
    if (n > 64 || n * run != pitch)
        return false;
    for (int i = 0; i < n; i++) {
        const Tensor *v = views[i];
        int64_t at = v->offset / run;
        if (v->base != first->base || !shape_eq(&v->shape, &first->shape) ||
            !strides_agree(v, first) || v->offset % run != 0 || at >= n || seen >> at & 1)
            return false;
        seen |= UINT64_C(1) << at;
        total += tensor_count(v);
    }
    return total == tensor_count(first->base);
}

static bool pieces_tile(const Piece *pieces)
{
    const Tensor *views[JOIN_PARTS] = {0};
    int n = 0;
    for (const Piece *p = pieces; p; p = p->next) {
        if (n == JOIN_PARTS)
            return false;
        views[n++] = p->view;
    }
    return views_tile(views, n);
}

/* The tensor whose memory already holds the pieces' gradients where their views lie; or NULL. */
static Tensor *joined_already(const Piece *pieces, int64_t count)
{
    Tensor *whole = pieces->gradient->base;
    for (const Piece *p = pieces; p; p = p->next)
        if (p->gradient->base != whole || p->gradient->offset != p->view->offset ||
            !strides_agree(p->gradient, p->view))
            return NULL;
    return tensor_count(whole) == count && pieces_tile(pieces) ? whole : NULL;
}

/* The pieces' gradients where their views lie, on top of `sum` (NULL: of nothing). */
static Tensor *join_pieces(Graph *g, const Tensor *base, Tensor *sum, const Piece *pieces)
{
    bool tiled = !sum && pieces_tile(pieces);
    for (const Piece *p = pieces; p;) {
        Join *join = NEW(g->arena, Join);
        Params params = {.join = join, .shape = base->shape};
        Tensor *in[MAX_INPUTS] = {sum};
        memcpy(join->strides, base->strides, sizeof base->strides);
        for (int i = 0; i < JOIN_PARTS && p; i++, p = p->next) {
            in[1 + i] = p->gradient;
            join->views[i] = p->view;
        }
        join->tiled = tiled;
        sum = graph_node_of(g, &ops[OP_JOIN], &params, in);
    }
    return sum;
}

/* All that t's readers have said; NULL if nobody did. */
static Tensor *gradient_of(Graph *g, Tensor *t)
{
    Tensor *sum = t->gradient;
    Piece *rest = NULL;
    for (Piece *p = t->pieces, *next; p; p = next) {
        next = p->next;
        if (is_whole(p->view) && strides_agree(p->view, p->gradient)) {
            Tensor *d = p->gradient;
            d = graph_view(g, d, &t->shape, t->strides, 0);
            sum = sum ? op_add(g, sum, d) : d;
        } else {
            p->next = rest;
            rest = p;
        }
    }
    t->pieces = NULL;
    Tensor *joined = rest ? joined_already(rest, tensor_count(t)) : NULL;
    if (joined) {
        joined = graph_view(g, joined, &t->shape, t->strides, 0);
        return t->gradient = sum ? op_add(g, sum, joined) : joined;
    }
    return t->gradient = rest ? join_pieces(g, t, sum, rest) : sum;
}

static void walk(Graph *g, Tensor *t)
{
    if (!t->differentiable || t->base != t || g->error.code != ERR_NONE)
        return;
    Tensor *d = gradient_of(g, t);
    if (!d)
        return;
    if (t->weight)
        graph_node(g, &ops[OP_ACCUMULATE], NULL, d, t, NULL, NULL);
    else if (t->op->gradient)
        t->op->gradient(g, t, d);
    else
        graph_fail(g, ERR_UNSUPPORTED, "%s has no gradient", t->op->name);
}

static bool is_differentiable(const Tensor *t)
{
    if (t->base != t)
        return t->base->differentiable;
    if (t->weight)
        return t->weight->gradient != NULL;
    for (int i = 0; t->op && i < MAX_INPUTS; i++)
        if (t->in[i] && t->in[i]->base->differentiable)
            return true;
    return false;
}

/* Segments. */

/* What stands for t in the copy of its segment. */
static Tensor *copy_of(Tensor *t, Tensor *const *copies, int from)
{
    return t && t->index >= from && copies[t->index - from] ? copies[t->index - from] : t;
}

static Tensor *copy_tensor(Graph *g, Tensor *t, Tensor *const *copies, int from)
{
    Tensor *base = copy_of(t->base, copies, from);
    if (t->base == t ? !t->op : base == t->base) // inputs and parameters, and views of them
        return NULL;
    if (t->base != t)
        return graph_view(g, base, &t->shape, t->strides, t->offset - base->offset);
    Tensor *copy = graph_add(g, t->op, t->type);
    copy->shape = t->shape;
    memcpy(copy->strides, t->strides, sizeof copy->strides);
    copy->params = t->params;
    for (int i = 0; i < MAX_INPUTS; i++)
        copy->in[i] = copy_of(t->in[i], copies, from);
    return copy;
}

/* Builds [from, to) again; the gradients that later segments have given move to the copies. */
static Tensor **copy_segment(Graph *g, int from, int to)
{
    Tensor **copies = NEW_ARRAY(g->arena, Tensor *, (size_t)(to - from));
    for (int i = from; i < to && g->error.code == ERR_NONE; i++) {
        Tensor *t = g->tensors[i], *copy = copy_tensor(g, t, copies, from);
        if (!copy)
            continue;
        copies[i - from] = copy;
        copy->differentiable = t->differentiable;
        copy->gradient = t->gradient;
        copy->pieces = t->pieces;
    }
    // Views of a tensor come behind it.
    for (int i = from; i < to && g->error.code == ERR_NONE; i++)
        for (Piece *p = copies[i - from] ? copies[i - from]->pieces : NULL; p; p = p->next)
            p->view = copy_of(p->view, copies, from);
    return copies;
}

static void walk_segment(Graph *g, int from, int to, bool again)
{
    Tensor **copies = again ? copy_segment(g, from, to) : NULL;
    for (int i = to - 1; i >= from && g->error.code == ERR_NONE; i--)
        walk(g, copies ? copy_of(g->tensors[i], copies, from) : g->tensors[i]);
}

bool graph_backward(Graph *g, Tensor *loss, Error *err)
{
    int end = g->n;
    if (g->error.code == ERR_NONE && (loss->graph != g || tensor_count(loss) != 1))
        graph_fail(g, ERR_INVALID, "backward: the loss is one value of this graph");
    if (g->error.code == ERR_NONE && g->mode != GRAPH_TRAIN)
        graph_fail(g, ERR_INVALID, "backward: the graph was not built for training");
    for (int i = 0; i < end; i++)
        g->tensors[i]->differentiable = is_differentiable(g->tensors[i]);
    if (g->error.code == ERR_NONE && !loss->base->differentiable)
        graph_fail(g, ERR_INVALID, "backward: the loss depends on no trainable weight");
    if (g->error.code != ERR_NONE)
        return graph_ok(g, err);
    Tensor *one = graph_input(g, DTYPE_F32, loss->shape);
    *(float *)one->data = 1;
    gradient_add(g, loss, one);
    for (int segment = g->n_marks; segment >= 0; segment--) {
        int from = segment ? g->marks[segment - 1] : 0;
        int to = segment < g->n_marks ? g->marks[segment] : end;
        // What the last segment computed is still there when its gradients are.
        walk_segment(g, from, to, segment < g->n_marks);
    }
    return graph_ok(g, err);
}
