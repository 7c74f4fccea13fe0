/* template_names.c: which names a template takes from its variables.
 *
 * Walks the tree in the order of the source with a stack of the names bound so far; a name that is
 * neither bound nor a global function must come from the caller. Templates that are extended,
 * included or imported under a constant name are walked where that happens. */
#include "text/template_internal.h"

enum { MAX_TEMPLATES = 20 }; // nested in each other

typedef struct Walk {
    const TemplateOptions *options;
    int depth;
    Str *bound;
    size_t n, cap;
    Map seen; // names already told
    void (*each)(void *context, Str name);
    void *context;
} Walk;

static void walk(Walk *w, const Node *n);

static void walk_all(Walk *w, const Nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++)
        walk(w, nodes->nodes[i]);
}

static void bind(Walk *w, Str name)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 32;
        w->bound = xrealloc(w->bound, w->cap * sizeof *w->bound);
    }
    w->bound[w->n++] = name;
}

static void bind_target(Walk *w, const Node *target)
{
    if (target->kind == NODE_NAME)
        bind(w, target->name);
    else if (target->kind == NODE_ATTR)
        walk(w, target->left);
    else
        for (size_t i = 0; i < target->items.n; i++)
            bind_target(w, target->items.nodes[i]);
}

static void use(Walk *w, Str name)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_eq(w->bound[i], name))
            return;
    if (!global_find(name) && map_put(&w->seen, name, w))
        w->each(w->context, name);
}

/* A body in a scope of its own. */
static void walk_scope(Walk *w, const Nodes *body)
{
    size_t n = w->n;
    walk_all(w, body);
    w->n = n;
}

static void walk_for(Walk *w, const Node *n)
{
    size_t outer = w->n;
    walk(w, n->right);
    bind_target(w, n->left);
    if (n->third)
        walk(w, n->third);
    bind(w, S("loop"));
    walk_all(w, &n->body);
    w->n = outer;
    walk_scope(w, &n->otherwise);
}

static void walk_macro(Walk *w, const Node *n)
{
    size_t outer = w->n;
    for (size_t i = 0; i < n->items.n; i++) {
        if (n->items.nodes[i]->left)
            walk(w, n->items.nodes[i]->left);
        bind(w, n->items.nodes[i]->name);
    }
    bind(w, S("varargs"));
    bind(w, S("kwargs"));
    bind(w, S("caller"));
    walk_all(w, &n->body);
    w->n = outer;
}

static void walk_with(Walk *w, const Node *n)
{
    size_t outer = w->n;
    for (size_t i = 0; i + 1 < n->items.n; i += 2) {
        walk(w, n->items.nodes[i + 1]);
        bind_target(w, n->items.nodes[i]);
    }
    walk_all(w, &n->body);
    w->n = outer;
}

static void walk_block(Walk *w, const Node *n)
{
    size_t outer = w->n;
    bind(w, S("super"));
    walk_all(w, &n->body);
    w->n = outer;
}

static void walk_other(Walk *w, const Node *n)
{
    walk(w, n->left);
    Value name = n->left->kind == NODE_CONST ? n->left->value : undefined();
    const Template *t =
        is_string(name) && w->options->find ? w->options->find(w->options->context, name.s) : NULL;
    if (t && ++w->depth <= MAX_TEMPLATES)
        walk_all(w, &t->body);
    if (t)
        w->depth--;
}

static void walk_from(Walk *w, const Node *n)
{
    walk_other(w, n);
    for (size_t i = 0; i < n->items.n; i++)
        bind(w, n->items.nodes[i]->name);
}

static void walk_children(Walk *w, const Node *n)
{
    if (n->left)
        walk(w, n->left);
    if (n->right)
        walk(w, n->right);
    if (n->third)
        walk(w, n->third);
    walk_all(w, &n->items);
}

static void walk(Walk *w, const Node *n)
{
    if (n->kind == NODE_NAME) {
        use(w, n->name);
    } else if (n->kind == NODE_FOR) {
        walk_for(w, n);
    } else if (n->kind == NODE_SET || n->kind == NODE_SET_BLOCK) {
        if (n->right)
            walk(w, n->right);
        walk_scope(w, &n->body);
        bind_target(w, n->left);
    } else if (n->kind == NODE_MACRO) {
        bind(w, n->name);
        walk_macro(w, n);
    } else if (n->kind == NODE_CALL_BLOCK) {
        walk(w, n->right);
        walk_macro(w, n->left);
    } else if (n->kind == NODE_WITH) {
        walk_with(w, n);
    } else if (n->kind == NODE_BLOCK) {
        walk_block(w, n);
    } else if (n->kind == NODE_EXTENDS || n->kind == NODE_INCLUDE) {
        walk_other(w, n);
    } else if (n->kind == NODE_IMPORT) {
        walk_other(w, n);
        bind(w, n->name);
    } else if (n->kind == NODE_FROM) {
        walk_from(w, n);
    } else {
        walk_children(w, n);
        walk_all(w, &n->body);
    }
}

void template_each_variable(const Template *t, void (*each)(void *context, Str name), void *context)
{
    Walk w = {.options = &t->options, .each = each, .context = context};
    walk_all(&w, &t->body);
    map_done(&w.seen);
    free(w.bound);
}
