/* plan.c: from a built graph to steps and places in memory; runs once a graph.
 *
 * 1. What no output needs is left out.
 * 2. Behind a linear layer or a convolution, an activation, then a product, then a sum are fused
 * into it when nobody else reads what lies between: the layer then runs as the last of them.
 * 3. Each tensor lives from its step to its last reader. Tensors that live at the same time get
 *    different places, lowest first; an elementwise operation takes over the place of an input that
 *    dies with it. */
#include "tensor/tensor_internal.h"

#include <limits.h>

enum { PLACE_ALIGN = 128 };

static void count_use(Tensor *t, Tensor *user)
{
    if (!t)
        return;
    t->needed = true;
    t->base->needed = true;
    t->base->uses++;
    t->user = user;
}

static void find_needed(Graph *g)
{
    for (int i = g->n - 1; i >= 0; i--) {
        Tensor *t = g->tensors[i];
        if (t->output || (t->op && t->op->effect))
            count_use(t, NULL);
        if (t->needed && t->op)
            for (int j = 0; j < MAX_INPUTS; j++)
                count_use(t->in[j], t);
    }
}

/* The other operand when t is one of two of equal shape. */
static Tensor *other_operand(const Tensor *user, const Tensor *t)
{
    Tensor *a = user->in[0], *b = user->in[1];
    return shape_eq(&a->shape, &b->shape) ? (a == t ? b : a) : NULL;
}

static void fuse_behind(Tensor *first)
{
    enum { PRODUCT, ACTIVATED, MULTIPLIED, ADDED } stage = PRODUCT;
    Tensor *tail = first;
    while (tail->uses == 1 && tail->user && stage != ADDED) {
        Tensor *next = tail->user, *other;
        if (next->head || next->fused) // another layer has it, and reads what this one gives
            break;
        if (tensor_is(next, OP_ACTIVATE) && stage < ACTIVATED) {
            first->activation = next->params.activation;
            stage = ACTIVATED;
        } else if (first->op->fuses != FUSES_ALL) {
            break;
        } else if (tensor_is(next, OP_MUL) && stage < MULTIPLIED &&
                   (other = other_operand(next, tail))) {
            first->factor = other;
            stage = MULTIPLIED;
        } else if (tensor_is(next, OP_ADD) && (other = other_operand(next, tail))) {
            first->addend = other;
            stage = ADDED;
        } else {
            break;
        }
        tail->fused = true;
        tail = next;
    }
    first->tail = tail;
    tail->head = first;
}

static void list_steps(Graph *g)
{
    g->steps = NEW_ARRAY(g->arena, Tensor *, g->n);
    for (int i = 0; i < g->n; i++)
        if (g->tensors[i]->needed && g->tensors[i]->op && g->tensors[i]->op->fuses)
            fuse_behind(g->tensors[i]);
    for (int i = 0; i < g->n; i++) {
        Tensor *t = g->tensors[i];
        if (t->needed && t->op && !t->fused)
            g->steps[g->n_steps++] = t;
    }
}

static void mark_read(Tensor *t, int step)
{
    if (t)
        t->base->last_use = MAX(t->base->last_use, step);
}

static void find_lifetimes(Graph *g)
{
    for (int i = 0; i < g->n_steps; i++) {
        const Tensor *t = g->steps[i], *reader = t->head ? t->head : t;
        for (int j = 0; j < MAX_INPUTS; j++)
            mark_read(reader->in[j], i);
        mark_read(reader->factor, i);
        mark_read(reader->addend, i);
    }
    for (int i = 0; i < g->n_steps; i++)
        if (g->steps[i]->output)
            g->steps[i]->last_use = INT_MAX;
}

static bool is_planned(const Tensor *base)
{
    return base->op && !base->output;
}

/* Whether step i may write over its first input. */
static bool can_take_over(const Tensor *t, int i)
{
    if (!t->op->in_place || t->head || !t->in[0])
        return false;
    const Tensor *x = t->in[0], *base = x->base;
    if (!is_planned(base) || base->last_use != i || tensor_count(x) != tensor_count(base) ||
        memcmp(x->strides, t->strides, sizeof x->strides) != 0)
        return false;
    for (int j = 1; j < MAX_INPUTS; j++)
        if (t->in[j] && t->in[j] != x && t->in[j]->base == base)
            return false;
    return true;
}

typedef struct Place {
    size_t from, to;
    int until;
} Place;

/* Places in use, by address. */
typedef struct Places {
    Place *list;
    int n;
    size_t top;
} Places;

static size_t place_new(Places *p, size_t bytes, int until)
{
    size_t from = 0;
    int at = 0;
    while (at < p->n && p->list[at].from - from < bytes)
        from = p->list[at++].to;
    memmove(p->list + at + 1, p->list + at, (size_t)(p->n - at) * sizeof(Place));
    p->list[at] = (Place){from, from + bytes, until};
    p->n++;
    p->top = MAX(p->top, from + bytes);
    return from;
}

static void places_end(Places *p, int before)
{
    int kept = 0;
    for (int i = 0; i < p->n; i++)
        if (p->list[i].until >= before)
            p->list[kept++] = p->list[i];
    p->n = kept;
}

static void place_extend(Places *p, size_t from, int until)
{
    for (int i = 0; i < p->n; i++)
        if (p->list[i].from == from)
            p->list[i].until = until;
}

static size_t round_up(size_t bytes)
{
    return (bytes + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
}

static size_t find_places(Graph *g)
{
    Places p = {.list = NEW_ARRAY(g->arena, Place, g->n_steps + 1)};
    for (int i = 0; i < g->n_steps; i++) {
        Tensor *t = g->steps[i];
        places_end(&p, i);
        if (can_take_over(t, i)) {
            t->place = t->in[0]->base->place;
            place_extend(&p, t->place, t->last_use);
            continue;
        }
        size_t bytes = round_up((size_t)(tensor_count(t) + t->kept) * sizeof(float));
        t->place = place_new(&p, bytes, MAX(t->last_use, i));
    }
    return p.top;
}

/* A graph may be built to list parameters; it runs only with their values. */
static bool has_data(const Tensor *step, Error *err)
{
    for (int j = 0; j < MAX_INPUTS; j++) {
        const Weight *w = step->in[j] ? step->in[j]->base->weight : NULL;
        if (w && !w->spec.data)
            return fail(err, ERR_INVALID, "weight '%s' has no data", w->spec.name);
    }
    return true;
}

bool graph_plan(Graph *g, Error *err)
{
    if (g->planned)
        return true;
    for (int i = 0; i < g->n; i++)
        if (!has_data(g->tensors[i], err))
            return false;
    find_needed(g);
    list_steps(g);
    find_lifetimes(g);
    size_t places = find_places(g), scratch = 0;
    for (int i = 0; i < g->n_steps; i++) {
        const Tensor *t = g->steps[i]->head ? g->steps[i]->head : g->steps[i];
        if (t->op->scratch)
            scratch = MAX(scratch, t->op->scratch(t));
    }
    g->memory_bytes = places + round_up(scratch);
    g->memory = pages_new(g->memory_bytes, PAGES_DENSE, err);
    if (!g->memory)
        return fail_while(err, "plan a graph of %d steps", g->n_steps);
    g->scratch = g->memory + places;
    for (int i = 0; i < g->n_steps; i++)
        g->steps[i]->data = g->memory + g->steps[i]->place;
    g->planned = true;
    return true;
}
