/* graph.c: graphs, tensors and views of them; see tensor.h. Operations are in ops.c, memory and
 * fusion in plan.c, execution in run.c. */
#include "tensor/tensor_internal.h"

enum { MAX_TENSORS = 1 << 20 };

/* Shapes. */

bool shape_eq(const Shape *a, const Shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

int64_t shape_count(const Shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dims[i];
    return n;
}

const char *shape_format(const Shape *s, char out[SHAPE_TEXT])
{
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < s->rank; i++)
        at += (size_t)snprintf(out + at, SHAPE_TEXT - at, i ? ",%lld" : "%lld",
                               (long long)s->dims[i]);
    out[at++] = ']';
    out[at] = 0;
    return out;
}

void strides_of(const Shape *s, int64_t strides[SHAPE_MAX_RANK])
{
    int64_t stride = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= s->dims[i];
    }
}

/* Inputs come from callers, who may have them from files. */
bool shape_is_sane(const Shape *s)
{
    int64_t n = 1;
    if (s->rank < 1 || s->rank > SHAPE_MAX_RANK)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] < 1 || __builtin_mul_overflow(n, s->dims[i], &n) || n > INT64_C(1) << 40)
            return false;
    return true;
}

/* Graphs. */

Graph *graph_new(void)
{
    Arena *a = arena_new(0);
    Graph *g = NEW(a, Graph);
    g->arena = a;
    g->nowhere = (Tensor){.shape = SHAPE(1), .strides = {1}, .graph = g, .base = &g->nowhere};
    return g;
}

void graph_free(Graph *g)
{
    if (!g)
        return;
    pages_free(g->memory, g->memory_bytes);
    free(g->tensors);
    arena_free(g->arena);
}

Arena *graph_arena(Graph *g)
{
    return g->arena;
}

bool graph_ok(const Graph *g, Error *err)
{
    if (g->error.code == ERR_NONE)
        return true;
    if (err)
        *err = g->error;
    return false;
}

Tensor *graph_fail(Graph *g, ErrorCode code, const char *format, ...)
{
    char text[sizeof g->error.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (g->error.code == ERR_NONE)
        (void)!fail(&g->error, code, "%s", text);
    return &g->nowhere;
}

void graph_use_cache(Graph *g, KvCache *cache)
{
    g->cache = cache;
}

KvCache *graph_cache(const Graph *g)
{
    return g->cache;
}

size_t graph_memory(const Graph *g)
{
    return g->memory_bytes;
}

Tensor *graph_add(Graph *g, const Op *op, DType type)
{
    if (g->error.code != ERR_NONE)
        return &g->nowhere;
    if (g->n >= MAX_TENSORS)
        return graph_fail(g, ERR_LIMIT, "graph of more than %d tensors", MAX_TENSORS);
    if (g->planned)
        return graph_fail(g, ERR_INVALID, "a graph that has run cannot grow");
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 256;
        g->tensors = xrealloc(g->tensors, (size_t)g->cap * sizeof(*g->tensors));
    }
    Tensor *t = NEW(g->arena, Tensor);
    t->op = op;
    t->type = type;
    t->graph = g;
    t->base = t;
    t->index = g->n;
    g->tensors[g->n++] = t;
    return t;
}

Tensor *graph_node(Graph *g, const Op *op, const Params *params, Tensor *a, Tensor *b, Tensor *c,
                   Tensor *d)
{
    return graph_node_of(g, op, params, (Tensor *[MAX_INPUTS]){a, b, c, d});
}

Tensor *graph_node_of(Graph *g, const Op *op, const Params *params, Tensor *const in[MAX_INPUTS])
{
    for (int i = 0; i < MAX_INPUTS; i++)
        if (in[i] && in[i]->graph != g)
            return graph_fail(g, ERR_INVALID, "%s: an input belongs to another graph", op->name);
    Tensor *t = graph_add(g, op, DTYPE_F32);
    if (t == &g->nowhere)
        return t;
    memcpy(t->in, in, sizeof t->in);
    if (params)
        t->params = *params;
    op->shape(g, t);
    if (g->error.code != ERR_NONE)
        return &g->nowhere;
    if (!shape_is_sane(&t->shape))
        return graph_fail(g, ERR_LIMIT, "%s: the result is too large", op->name);
    if (!t->strides[0])
        strides_of(&t->shape, t->strides);
    return t;
}

Tensor *graph_view(Graph *g, Tensor *of, const Shape *shape, const int64_t *strides, int64_t offset)
{
    Tensor *t = graph_add(g, NULL, of->type);
    if (t == &g->nowhere)
        return t;
    t->shape = *shape;
    memcpy(t->strides, strides, sizeof t->strides);
    t->base = of->base;
    t->offset = of->offset + offset;
    return t;
}

Tensor *graph_input(Graph *g, DType type, Shape shape)
{
    if (type != DTYPE_F32 && type != DTYPE_I32)
        return graph_fail(g, ERR_UNSUPPORTED, "input of type %s", dtype_name(type));
    if (!shape_is_sane(&shape))
        return graph_fail(g, ERR_INVALID, "input of rank %d: a dimension is out of range",
                          shape.rank);
    Tensor *t = graph_add(g, NULL, type);
    if (t == &g->nowhere)
        return t;
    t->shape = shape;
    strides_of(&shape, t->strides);
    t->input = true;
    t->data = arena_aligned(g->arena, (size_t)shape_count(&shape) * sizeof(float), 64);
    return t;
}

Tensor *graph_output(Graph *g, Tensor *t)
{
    if (g->error.code != ERR_NONE)
        return &g->nowhere;
    if (t->base != t || !t->op)
        t = graph_add_copy(g, t);
    t->output = true;
    return t;
}

Tensor *op_weight(Graph *g, Weight *w)
{
    for (int i = 0; i < g->n; i++)
        if (g->tensors[i]->weight == w)
            return g->tensors[i];
    Tensor *t = graph_add(g, NULL, w->spec.type);
    if (t == &g->nowhere)
        return t;
    t->shape = w->spec.shape;
    strides_of(&t->shape, t->strides);
    t->weight = w;
    return t;
}

/* Tensors. */

const Shape *tensor_shape(const Tensor *t)
{
    return &t->shape;
}

DType tensor_type(const Tensor *t)
{
    return t->type;
}

void *tensor_data(const Tensor *t)
{
    return t->input || (t->output && t->graph->planned) ? tensor_ptr(t) : NULL;
}

bool tensor_is_contiguous(const Tensor *t)
{
    int64_t stride = 1;
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        if (t->shape.dims[i] != 1 && t->strides[i] != stride)
            return false;
        stride *= t->shape.dims[i];
    }
    return true;
}

bool tensor_has_rows(const Tensor *t, int64_t *stride)
{
    int last = t->shape.rank - 1;
    if (t->shape.dims[last] != 1 && t->strides[last] != 1)
        return false;
    *stride = 0; // of the innermost dimension that has more than one row
    int64_t expected = 0;
    for (int i = last - 1; i >= 0; i--) {
        if (t->shape.dims[i] == 1)
            continue;
        if (!expected)
            *stride = t->strides[i];
        else if (t->strides[i] != expected)
            return false;
        expected = t->strides[i] * t->shape.dims[i];
    }
    if (!*stride)
        *stride = tensor_width(t);
    return true;
}
