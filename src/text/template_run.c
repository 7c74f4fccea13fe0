/* template_run.c: statements, scopes, macros and inheritance of templates.
 *
 * Scopes form a chain: the caller's variables at the bottom, then the names that the template sets
 * at its top, then one scope for each loop pass, macro call, with and so on. `if` has none of its
 * own. A name is looked up from the innermost outwards and always set in the innermost, which is
 * why a set inside a loop does not leave it. A macro runs in a scope above the one that it was
 * defined in. */
#include "base/clock.h"
#include "base/encode.h"
#include "text/template_internal.h"

/* Scopes */

static Scope *scope_new(Render *r, Scope *parent)
{
    Scope *s = NEW(r->arena, Scope);
    s->parent = parent;
    return s;
}

static Binding *scope_own(const Scope *s, Str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->bindings[i].name, name))
            return &s->bindings[i];
    return NULL;
}

void scope_set(Render *r, Scope *s, Str name, Value v)
{
    Binding *old = scope_own(s, name);
    if (old) {
        old->value = v;
        return;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        Binding *grown = NEW_ARRAY(r->arena, Binding, cap);
        if (s->n)
            memcpy(grown, s->bindings, s->n * sizeof *grown);
        s->bindings = grown;
        s->cap = cap;
    }
    s->bindings[s->n++] = (Binding){name, v};
}

Value scope_find(Render *r, Str name)
{
    for (Scope *s = r->scope; s; s = s->parent) {
        const Binding *found = scope_own(s, name);
        if (found)
            return found->value;
        const json_t *json =
            s->variables ? json_object_getn(r->variables, name.ptr, name.len) : NULL;
        if (json) {
            Value v = value_from_json(r, json);
            scope_set(r, s, name, v);
            return v;
        }
        if (!render_work(r, s->n / 8))
            return undefined();
    }
    const Builtin *global = global_find(name);
    if (!global)
        return (Value){.kind = VALUE_UNDEFINED, .s = name};
    Bound *bound = NEW(r->arena, Bound);
    bound->builtin = global;
    return (Value){.kind = VALUE_FUNCTION, .bound = bound};
}

/* Printing */

static void write_out(Render *r, Str text)
{
    if (r->muted || !render_work(r, text.len / 32))
        return;
    buf_add(r->out, text);
    size_t start = r->out == r->main_out ? r->main_start : 0;
    if (r->out->failed || r->out->len - start > r->limits.output)
        render_fail(r, ERR_LIMIT, "the template prints too much");
}

/* What is already HTML, made fit for a quoted attribute. */
static void normalize(Buf *out, Str html)
{
    for (size_t i = 0; i < html.len; i++) {
        char c = html.ptr[i];
        buf_add(out, c == '<'    ? S("&lt;")
                     : c == '>'  ? S("&gt;")
                     : c == '"'  ? S("&quot;")
                     : c == '\'' ? S("&#39;")
                                 : str_slice(html, i, i + 1));
    }
}

/* Is this relative, or of a scheme that cannot run code? */
static bool url_is_harmless(Str url)
{
    static const char *const schemes[] = {"http", "https", "mailto"};
    size_t end = 0;
    while (end < url.len && !strchr(":/?#", url.ptr[end]))
        end++;
    if (end == url.len || url.ptr[end] != ':')
        return true;
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (str_eq_nocase(str_slice(url, 0, end), str_of(schemes[i])))
            return true;
    return false;
}

static void write_url(Render *r, Buf *out, Escape escape, Str text)
{
    AUTO_BUF url;
    buf_init(&url, 0);
    if (escape == ESCAPE_URL && !url_is_harmless(text))
        buf_add(&url, S("#unsafe-url"));
    else
        url_encode(&url, text,
                   escape == ESCAPE_URL        ? ":/?#[]@!$&'()*+,;=%"
                   : escape == ESCAPE_URL_PATH ? "/:@!$&'()*+,;="
                                               : "");
    html_escape(out, buf_str(&url));
}

static void write_escaped(Render *r, Escape escape, Value v)
{
    static const JsonStyle script = {
        .indent = -1, .html = true, .comma = {", ", 2}, .colon = {": ", 2}};
    AUTO_BUF out;
    buf_init(&out, r->limits.output);
    bool safe = is_string(v) && v.safe;
    if (escape == ESCAPE_SCRIPT && !safe)
        value_json(r, &out, v, &script);
    else if (escape == ESCAPE_SCRIPT || (safe && escape == ESCAPE_TEXT))
        buf_add(&out, v.s);
    else if (safe)
        normalize(&out, v.s);
    else if (escape == ESCAPE_TEXT || escape == ESCAPE_ATTRIBUTE)
        html_escape(&out, value_text(r, v));
    else
        write_url(r, &out, escape, value_text(r, v));
    if (out.failed)
        render_fail(r, ERR_LIMIT, "the template prints too much");
    write_out(r, buf_str(&out));
}

static void print(Render *r, Escape escape, Value v)
{
    if (r->template->options.strict && v.kind == VALUE_UNDEFINED)
        eval_undefined(r, v);
    else if (r->template->options.strict && v.kind == VALUE_NONE && escape != ESCAPE_SCRIPT)
        render_fail(r, ERR_INVALID, "None is printed");
    else if (escape != ESCAPE_NONE)
        write_escaped(r, escape, v);
    else
        write_out(r, value_text(r, v));
}

static Escape text_escape(const Render *r)
{
    return r->template->options.html ? ESCAPE_TEXT : ESCAPE_NONE;
}

/* What a body prints, as a value. */
static Value capture(Render *r, const Nodes *body)
{
    AUTO_BUF text;
    buf_init(&text, r->limits.output);
    Buf *out = r->out;
    bool muted = r->muted;
    r->out = &text;
    r->muted = false;
    run_body(r, body);
    r->out = out;
    r->muted = muted;
    Value v = value_copy(r, buf_str(&text));
    v.safe = r->template->options.html;
    return v;
}

/* Assignment */

static void assign(Render *r, Scope *s, const Node *target, Value v)
{
    if (target->kind == NODE_NAME) {
        scope_set(r, s, target->name, v);
        return;
    }
    if (target->kind == NODE_ATTR) {
        Value object = eval(r, target->left);
        if (object.kind == VALUE_NAMESPACE)
            dict_put(r, object.dict, value_str(target->name), v);
        else
            render_fail(r, ERR_INVALID, "cannot assign attribute on non-namespace object");
        return;
    }
    const List *items = value_items(r, v);
    size_t want = target->items.n;
    if (items && items->n != want)
        render_fail(r, ERR_INVALID, "%s values to unpack (expected %zu, got %zu)",
                    items->n > want ? "too many" : "not enough", want, items->n);
    for (size_t i = 0; i < want && render_ok(r); i++)
        assign(r, s, target->items.nodes[i], items->items[i]);
}

/* Loops */

static List *filter_items(Render *r, const Node *n, const List *items)
{
    List *kept = list_new(r, items->n);
    Scope *outer = r->scope, *inner = scope_new(r, outer);
    r->scope = inner;
    for (size_t i = 0; i < items->n && render_work(r, 1); i++) {
        assign(r, inner, n->left, items->items[i]);
        if (value_truth(r, eval(r, n->third)))
            list_add(r, kept, items->items[i]);
    }
    r->scope = outer;
    return kept;
}

static void run_passes(Render *r, const Node *n, List *items)
{
    Scope *outer = r->scope, *inner = NULL;
    Loop *loop = NEW(r->arena, Loop);
    loop->items = items;
    for (; loop->at < items->n && render_work(r, 2); loop->at++) {
        if (!inner || inner->captured)
            inner = scope_new(r, outer);
        inner->n = 0;
        r->scope = inner;
        scope_set(r, inner, S("loop"), (Value){.kind = VALUE_LOOP, .loop = loop});
        assign(r, inner, n->left, items->items[loop->at]);
        run_body(r, &n->body);
        Flow flow = r->flow;
        r->flow = FLOW_ON;
        if (flow == FLOW_BREAK)
            break;
    }
    r->scope = outer;
}

static void run_scoped(Render *r, const Nodes *body)
{
    Scope *outer = r->scope;
    r->scope = scope_new(r, outer);
    run_body(r, body);
    r->scope = outer;
}

static void run_for(Render *r, const Node *n)
{
    List *items = value_items(r, eval(r, n->right));
    if (!items || !render_ok(r))
        return;
    if (n->third)
        items = filter_items(r, n, items);
    if (items->n)
        run_passes(r, n, items);
    else
        run_scoped(r, &n->otherwise);
}

/* Macros */

static Value macro_value(Render *r, const Node *n)
{
    Macro *m = NEW(r->arena, Macro);
    *m = (Macro){.node = n, .from = r->template, .closure = r->scope};
    for (Scope *s = r->scope; s; s = s->parent)
        s->captured = true;
    return (Value){.kind = VALUE_MACRO, .macro = m};
}

static const Value *named_arg(const Args *args, Str name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_eq(args->named[i].name, name))
            return &args->named[i].value;
    return NULL;
}

/* Positional arguments first, then by name, then defaults, which may use earlier parameters. */
static void bind_params(Render *r, const Node *macro, const Args *args)
{
    for (size_t i = 0; i < macro->items.n && render_ok(r); i++) {
        const Node *param = macro->items.nodes[i];
        const Value *named = named_arg(args, param->name);
        Value v = {.kind = VALUE_UNDEFINED, .s = param->name};
        if (i < args->n && named)
            render_fail(r, ERR_INVALID, "macro '%.*s' got two values for '%.*s'", STR(macro->name),
                        STR(param->name));
        else if (i < args->n)
            v = args->items[i];
        else if (named)
            v = *named;
        else if (param->left)
            v = eval(r, param->left);
        scope_set(r, r->scope, param->name, v);
    }
}

static bool is_param(const Node *macro, Str name)
{
    for (size_t i = 0; i < macro->items.n; i++)
        if (str_eq(macro->items.nodes[i]->name, name))
            return true;
    return false;
}

/* Arguments beyond the parameters: allowed where the body uses varargs, kwargs or caller. */
static void bind_extra(Render *r, const Node *macro, const Args *args)
{
    List *varargs = list_new(r, 0);
    for (size_t i = macro->items.n; i < args->n && render_ok(r); i++)
        list_add(r, varargs, args->items[i]);
    if (varargs->n && !(macro->op & USES_VARARGS))
        render_fail(r, ERR_INVALID, "macro '%.*s' takes not more than %zu argument(s)",
                    STR(macro->name), macro->items.n);
    Dict *kwargs = dict_new(r);
    for (size_t i = 0; i < args->n_named && render_ok(r); i++) {
        Str name = args->named[i].name;
        if (is_param(macro, name))
            continue;
        bool caller = str_eq(name, S("caller"));
        if (!(macro->op & (caller ? USES_CALLER : USES_KWARGS)))
            render_fail(r, ERR_INVALID, "macro '%.*s' takes no keyword argument '%.*s'",
                        STR(macro->name), STR(name));
        else if (caller)
            scope_set(r, r->scope, name, args->named[i].value);
        else
            dict_put(r, kwargs, value_str(name), args->named[i].value);
    }
    if (macro->op & USES_VARARGS)
        scope_set(r, r->scope, S("varargs"), value_tuple(varargs));
    if (macro->op & USES_KWARGS)
        scope_set(r, r->scope, S("kwargs"), value_dict(kwargs));
}

Value call_macro(Render *r, const Macro *m, const Args *args)
{
    if (++r->depth > MAX_RUN_DEPTH)
        render_fail(r, ERR_LIMIT, "the template recurses too deep");
    Value v = undefined();
    Scope *scope = r->scope;
    const Template *from = r->template;
    Flow flow = r->flow;
    if (render_work(r, 4)) {
        r->template = m->from;
        r->scope = scope_new(r, m->closure);
        r->flow = FLOW_ON;
        bind_params(r, m->node, args);
        bind_extra(r, m->node, args);
        v = capture(r, &m->node->body);
    }
    r->scope = scope;
    r->template = from;
    r->flow = flow;
    r->depth--;
    return v;
}

static void run_call_block(Render *r, const Node *n)
{
    Value caller = macro_value(r, n->left);
    print(r, text_escape(r), eval_call(r, n->right, caller));
}

/* Inheritance, inclusion, import */

static void define_blocks(Render *r, const Template *t)
{
    for (size_t i = 0; i < t->blocks.n; i++) {
        Definition *d = NEW(r->arena, Definition);
        *d = (Definition){.node = t->blocks.nodes[i], .from = t};
        Definition *youngest = map_find(&r->blocks, d->node->name);
        if (!youngest) {
            map_put(&r->blocks, d->node->name, d);
            continue;
        }
        while (youngest->super)
            youngest = youngest->super;
        youngest->super = d;
    }
}

/* A scope in which super() prints the next older definition. */
static Scope *block_scope(Render *r, const Definition *d)
{
    Scope *s = scope_new(r, r->top);
    if (d->super) {
        Macro *older = NEW(r->arena, Macro);
        *older = (Macro){.node = d->super->node, .from = d->super->from};
        older->closure = block_scope(r, d->super);
        scope_set(r, s, S("super"), (Value){.kind = VALUE_MACRO, .macro = older});
    }
    return s;
}

static void run_block(Render *r, const Node *n)
{
    const Definition *d = map_find(&r->blocks, n->name);
    if (r->parent || !d)
        return;
    Scope *scope = r->scope;
    const Template *from = r->template;
    r->scope = block_scope(r, d);
    r->template = d->from;
    run_body(r, &d->node->body);
    r->scope = scope;
    r->template = from;
}

/* The first template that exists of a name or a list of names. */
static const Template *find_template(Render *r, const Node *n, bool may_be_missing)
{
    Value names = eval(r, n->left);
    const TemplateOptions *o = &r->template->options;
    List one = {.items = &names, .n = 1};
    const List *list = is_list(names) ? names.list : &one;
    for (size_t i = 0; i < list->n && render_ok(r); i++) {
        const Template *t =
            o->find && is_string(list->items[i]) ? o->find(o->context, list->items[i].s) : NULL;
        if (t)
            return t;
    }
    if (!may_be_missing)
        render_fail(r, ERR_INVALID, "there is no template '%.*s'", STR(value_text(r, names)));
    return NULL;
}

static void run_template(Render *r, const Template *t)
{
    if (++r->depth > MAX_RUN_DEPTH / 4)
        render_fail(r, ERR_LIMIT, "templates include each other too deep");
    const Template *before = r->template;
    r->template = t;
    define_blocks(r, t);
    run_body(r, &t->body);
    const Template *parent = r->parent;
    r->parent = NULL;
    r->muted = r->muted && !parent;
    if (parent && render_ok(r))
        run_template(r, parent);
    r->template = before;
    r->depth--;
}

static void run_extends(Render *r, const Node *n)
{
    if (r->parent)
        render_fail(r, ERR_INVALID, "extended multiple times");
    r->parent = find_template(r, n, false);
    r->muted = true;
}

/* Runs another template as if alone, its top scope above `base`; returns that scope. */
static Scope *run_other(Render *r, const Template *t, Scope *base)
{
    Map blocks = r->blocks;
    Scope *scope = r->scope, *top = r->top;
    const Template *parent = r->parent;
    r->parent = NULL;
    r->blocks = (Map){0};
    r->top = r->scope = scope_new(r, base);
    run_template(r, t);
    map_done(&r->blocks);
    r->blocks = blocks;
    base = r->top;
    r->top = top;
    r->scope = scope;
    r->parent = parent;
    return base;
}

static void run_include(Render *r, const Node *n)
{
    const Template *t = find_template(r, n, n->op & IGNORE_MISSING);
    if (t && render_ok(r))
        run_other(r, t, n->op & WITHOUT_CONTEXT ? NULL : r->scope);
}

static Value import_module(Render *r, const Node *n)
{
    Dict *names = dict_new(r);
    const Template *t = find_template(r, n, false);
    if (t && render_ok(r)) {
        bool muted = r->muted;
        r->muted = true;
        const Scope *top = run_other(r, t, n->op & WITH_CONTEXT ? r->scope : NULL);
        r->muted = muted;
        for (size_t i = 0; i < top->n; i++)
            dict_put(r, names, value_str(top->bindings[i].name), top->bindings[i].value);
    }
    return (Value){.kind = VALUE_NAMESPACE, .dict = names};
}

static void run_from(Render *r, const Node *n)
{
    Value module = import_module(r, n);
    for (size_t i = 0; i < n->items.n && render_ok(r); i++) {
        const Node *alias = n->items.nodes[i];
        const Value *found = dict_find_str(r, module.dict, alias->left->name);
        if (!found)
            render_fail(r, ERR_INVALID, "the template has no '%.*s' to import",
                        STR(alias->left->name));
        else
            scope_set(r, r->scope, alias->name, *found);
    }
}

/* Statements */

static void run_if(Render *r, const Node *n)
{
    for (size_t i = 0; i < n->items.n && render_ok(r); i++) {
        const Node *branch = n->items.nodes[i];
        if (branch->left && !value_truth(r, eval(r, branch->left)))
            continue;
        run_body(r, &branch->body);
        return;
    }
}

static void run_set_block(Render *r, const Node *n)
{
    Scope *outer = r->scope;
    r->scope = scope_new(r, outer);
    Value v = capture(r, &n->body);
    r->scope = outer;
    assign(r, outer, n->left, eval_filters(r, n->right, v));
}

static void run_filter_block(Render *r, const Node *n)
{
    Scope *outer = r->scope;
    r->scope = scope_new(r, outer);
    Value v = capture(r, &n->body);
    r->scope = outer;
    print(r, text_escape(r), eval_filters(r, n->left, v));
}

static void run_with(Render *r, const Node *n)
{
    Scope *outer = r->scope, *inner = scope_new(r, outer);
    for (size_t i = 0; i + 1 < n->items.n && render_ok(r); i += 2)
        assign(r, inner, n->items.nodes[i], eval(r, n->items.nodes[i + 1]));
    r->scope = inner;
    run_body(r, &n->body);
    r->scope = outer;
}

static void run_generation(Render *r, const Node *n)
{
    size_t start = r->out->len;
    run_scoped(r, &n->body);
    if (render_ok(r) && r->run && r->run->generation && r->out == r->main_out)
        r->run->generation(r->run->context, start, r->out->len);
}

static void run_node(Render *r, const Node *n)
{
    r->line = n->line;
    switch (n->kind) {
    case NODE_TEXT:
        write_out(r, n->value.s);
        return;
    case NODE_PRINT:
        print(r, (Escape)n->op, eval(r, n->left));
        return;
    case NODE_IF:
        run_if(r, n);
        return;
    case NODE_FOR:
        run_for(r, n);
        return;
    case NODE_SET:
        assign(r, r->scope, n->left, eval(r, n->right));
        return;
    case NODE_SET_BLOCK:
        run_set_block(r, n);
        return;
    case NODE_MACRO:
        scope_set(r, r->scope, n->name, macro_value(r, n));
        return;
    case NODE_CALL_BLOCK:
        run_call_block(r, n);
        return;
    case NODE_FILTER_BLOCK:
        run_filter_block(r, n);
        return;
    case NODE_WITH:
        run_with(r, n);
        return;
    case NODE_BREAK:
    case NODE_CONTINUE:
        r->flow = n->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        return;
    case NODE_GENERATION:
        run_generation(r, n);
        return;
    case NODE_BLOCK:
        run_block(r, n);
        return;
    case NODE_EXTENDS:
        run_extends(r, n);
        return;
    case NODE_INCLUDE:
        run_include(r, n);
        return;
    case NODE_IMPORT:
        scope_set(r, r->scope, n->name, import_module(r, n));
        return;
    case NODE_FROM:
        run_from(r, n);
        return;
    default:
        render_fail(r, ERR_INVALID, "this is not a statement");
    }
}

void run_body(Render *r, const Nodes *body)
{
    if (++r->depth > MAX_RUN_DEPTH)
        render_fail(r, ERR_LIMIT, "the template recurses too deep");
    for (size_t i = 0; i < body->n && r->flow == FLOW_ON && render_work(r, 1); i++)
        run_node(r, body->nodes[i]);
    r->depth--;
}

bool template_render(const Template *t, const json_t *variables, const TemplateRun *run, Buf *out,
                     Error *err)
{
    AUTO(arena_free) Arena *arena = arena_new(0);
    TemplateLimits limits = run ? run->limits : (TemplateLimits){0};
    Render r = {.template = t,
                .arena = arena,
                .out = out,
                .main_out = out,
                .main_start = out->len,
                .err = err,
                .run = run,
                .variables = variables};
    r.limits.output = limits.output ? limits.output : (size_t)64 << 20;
    r.limits.memory = limits.memory ? limits.memory : (size_t)256 << 20;
    r.limits.work = limits.work ? limits.work : 50000000;
    Scope *base = scope_new(&r, NULL);
    base->variables = true;
    r.top = r.scope = scope_new(&r, base);
    run_template(&r, t);
    map_done(&r.blocks);
    return render_ok(&r);
}
