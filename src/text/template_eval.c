/* template_eval.c: expressions of templates; see template_internal.h. */
#include "base/encode.h"
#include "text/template_internal.h"

#include <math.h>

Value eval_undefined(Render *r, Value v)
{
    if (v.owner == 0)
        return v.s.len ? render_fail(r, ERR_INVALID, "'%.*s' is undefined", STR(v.s))
                       : render_fail(r, ERR_INVALID, "an undefined value is used");
    Value owner = {.kind = v.owner};
    if (owner.kind == VALUE_NONE)
        return render_fail(r, ERR_INVALID, "'None' has no attribute '%.*s'", STR(v.s));
    return render_fail(r, ERR_INVALID, "'%s object' has no attribute '%.*s'", value_type(owner),
                       STR(v.s));
}

/* Arithmetic */

static Value type_clash(Render *r, const char *op, Value a, Value b)
{
    if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED)
        return eval_undefined(r, a.kind == VALUE_UNDEFINED ? a : b);
    return render_fail(r, ERR_INVALID, "unsupported operand type(s) for %s: '%s' and '%s'", op,
                       value_type(a), value_type(b));
}

static Value join_strings(Render *r, Str a, Str b)
{
    if (!render_room(r, a.len + b.len))
        return undefined();
    char *text = arena_alloc(r->arena, a.len + b.len + 1);
    if (a.len)
        memcpy(text, a.ptr, a.len);
    if (b.len)
        memcpy(text + a.len, b.ptr, b.len);
    return value_str((Str){text, a.len + b.len});
}

static Value join_lists(Render *r, Value a, Value b)
{
    List *l = list_new(r, a.list->n + b.list->n);
    for (size_t i = 0; i < a.list->n && render_ok(r); i++)
        list_add(r, l, a.list->items[i]);
    for (size_t i = 0; i < b.list->n && render_ok(r); i++)
        list_add(r, l, b.list->items[i]);
    return (Value){.kind = a.kind, .list = l};
}

static Value add_values(Render *r, Value a, Value b)
{
    if (is_string(a) && is_string(b)) {
        Value v = join_strings(r, a.s, b.s);
        v.safe = a.safe && b.safe;
        return v;
    }
    if (is_list(a) && a.kind == b.kind)
        return join_lists(r, a, b);
    if (is_string(a) && b.kind != VALUE_UNDEFINED)
        return render_fail(r, ERR_INVALID, "can only concatenate str (not \"%s\") to str",
                           value_type(b));
    return type_clash(r, "+", a, b);
}

static Value repeat(Render *r, Value v, int64_t times)
{
    size_t n = times > 0 ? (size_t)times : 0, size;
    size_t unit = is_string(v) ? v.s.len : v.list->n * sizeof(Value);
    if (unit == 0)
        n = 0;
    if (!size_mul(n, unit, &size))
        size = SIZE_MAX / 2;
    if (!render_room(r, size))
        return undefined();
    if (is_string(v)) {
        char *text = arena_alloc(r->arena, size + 1);
        for (size_t i = 0; i < n; i++)
            memcpy(text + i * unit, v.s.ptr, unit);
        return value_str((Str){text, size});
    }
    List *l = list_new(r, n * v.list->n);
    for (size_t i = 0; i < n && render_ok(r); i++)
        for (size_t k = 0; k < v.list->n; k++)
            list_add(r, l, v.list->items[k]);
    return (Value){.kind = v.kind, .list = l};
}

static Value multiply_values(Render *r, Value a, Value b)
{
    if ((is_string(a) || is_list(a)) && is_int(b))
        return repeat(r, a, b.i);
    if ((is_string(b) || is_list(b)) && is_int(a))
        return repeat(r, b, a.i);
    return type_clash(r, "*", a, b);
}

static Value int_power(Render *r, int64_t base, int64_t exponent)
{
    if (exponent < 0)
        return base ? value_float(pow((double)base, (double)exponent))
                    : render_fail(r, ERR_INVALID, "0.0 cannot be raised to a negative power");
    int64_t result = 1;
    for (bool overflow = false; exponent; exponent >>= 1) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            overflow = true;
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
            overflow = true;
        if (overflow)
            return render_fail(r, ERR_LIMIT, "the integer is too large");
    }
    return value_int(result);
}

static Value int_binary(Render *r, Operator op, int64_t a, int64_t b)
{
    int64_t out = 0;
    bool overflow = false;
    if ((op == OP_DIV || op == OP_FLOOR_DIV || op == OP_MOD) && b == 0)
        return render_fail(r, ERR_INVALID,
                           op == OP_DIV ? "division by zero"
                                        : "integer division or modulo by zero");
    switch (op) {
    case OP_ADD:
        overflow = __builtin_add_overflow(a, b, &out);
        break;
    case OP_SUB:
        overflow = __builtin_sub_overflow(a, b, &out);
        break;
    case OP_MUL:
        overflow = __builtin_mul_overflow(a, b, &out);
        break;
    case OP_DIV:
        return value_float((double)a / (double)b);
    case OP_FLOOR_DIV:
        if (b == -1)
            overflow = __builtin_sub_overflow(0, a, &out);
        else
            out = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case OP_MOD:
        out = b == -1 ? 0 : a % b;
        if (out != 0 && (out < 0) != (b < 0))
            out += b;
        break;
    case OP_POW:
        return int_power(r, a, b);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
    case OP_IN:
    case OP_NOT_IN:
        break;
    }
    return overflow ? render_fail(r, ERR_LIMIT, "the integer is too large") : value_int(out);
}

static Value float_binary(Render *r, Operator op, double a, double b)
{
    if ((op == OP_DIV || op == OP_FLOOR_DIV || op == OP_MOD) && b == 0)
        return render_fail(r, ERR_INVALID,
                           op == OP_DIV ? "float division by zero"
                                        : "float floor division by zero");
    double rest = op == OP_MOD || op == OP_FLOOR_DIV ? fmod(a, b) : 0;
    if (rest != 0 && (rest < 0) != (b < 0))
        rest += b;
    return value_float(op == OP_ADD         ? a + b
                       : op == OP_SUB       ? a - b
                       : op == OP_MUL       ? a * b
                       : op == OP_DIV       ? a / b
                       : op == OP_FLOOR_DIV ? round((a - rest) / b)
                       : op == OP_MOD       ? rest
                                            : pow(a, b));
}

Value eval_binary(Render *r, Operator op, Value a, Value b)
{
    static const char *const texts[] = {
        [OP_ADD] = "+",        [OP_SUB] = "-", [OP_MUL] = "*",          [OP_DIV] = "/",
        [OP_FLOOR_DIV] = "//", [OP_MOD] = "%", [OP_POW] = "** or pow()"};
    if (is_int(a) && is_int(b))
        return int_binary(r, op, a.i, b.i);
    if (is_number(a) && is_number(b))
        return float_binary(r, op, number_of(a), number_of(b));
    if (op == OP_ADD)
        return add_values(r, a, b);
    if (op == OP_MUL)
        return multiply_values(r, a, b);
    if (op == OP_MOD && is_string(a))
        return format_percent(r, a.s, b);
    return type_clash(r, texts[op], a, b);
}

static bool compare(Render *r, Operator op, Value a, Value b)
{
    if (is_number(a) && is_number(b) && (isnan(number_of(a)) || isnan(number_of(b))))
        return op == OP_NE;
    switch (op) {
    case OP_EQ:
        return value_eq(r, a, b);
    case OP_NE:
        return !value_eq(r, a, b);
    case OP_LT:
        return value_cmp(r, a, b) < 0;
    case OP_LE:
        return value_cmp(r, a, b) <= 0;
    case OP_GT:
        return value_cmp(r, a, b) > 0;
    case OP_GE:
        return value_cmp(r, a, b) >= 0;
    case OP_IN:
        return value_contains(r, b, a);
    case OP_NOT_IN:
        return !value_contains(r, b, a);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_FLOOR_DIV:
    case OP_MOD:
    case OP_POW:
        break;
    }
    return false;
}

static Value eval_comparison(Render *r, const Node *n)
{
    Value left = eval(r, n->left);
    for (size_t i = 0; i < n->items.n && render_ok(r); i++) {
        const Node *operand = n->items.nodes[i];
        Value right = eval(r, operand->left);
        if (!compare(r, (Operator)operand->op, left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

/* `~` prints its operands behind each other; in a page, one that is safe makes the others so. */
static Value eval_concat(Render *r, const Node *n)
{
    Value parts[32], *values = parts;
    if (n->items.n > COUNT(parts))
        values = NEW_ARRAY(r->arena, Value, n->items.n);
    bool safe = false;
    for (size_t i = 0; i < n->items.n; i++) {
        values[i] = eval(r, n->items.nodes[i]);
        safe = safe || (is_string(values[i]) && values[i].safe);
    }
    AUTO_BUF text;
    buf_init(&text, r->limits.memory);
    for (size_t i = 0; i < n->items.n && render_ok(r); i++) {
        if (values[i].kind == VALUE_UNDEFINED && r->template->options.strict)
            eval_undefined(r, values[i]);
        Str part = value_text(r, values[i]);
        if (safe && !(is_string(values[i]) && values[i].safe))
            html_escape(&text, part);
        else
            buf_add(&text, part);
    }
    Value v = value_copy(r, buf_str(&text));
    v.safe = safe;
    return v;
}

/* Attributes and items */

static Value missing_attribute(Value object, Str name)
{
    return (Value){.kind = VALUE_UNDEFINED, .owner = object.kind, .s = name};
}

static Value bind_method(Render *r, const Builtin *method, Value self)
{
    Bound *bound = NEW(r->arena, Bound);
    *bound = (Bound){.builtin = method, .self = self};
    return (Value){.kind = VALUE_FUNCTION, .bound = bound};
}

static Value loop_attr(Render *r, Value object, Str name)
{
    const Loop *loop = object.loop;
    int64_t at = (int64_t)loop->at, n = (int64_t)loop->items->n;
    if (str_eq(name, S("index")))
        return value_int(at + 1);
    if (str_eq(name, S("index0")))
        return value_int(at);
    if (str_eq(name, S("revindex")))
        return value_int(n - at);
    if (str_eq(name, S("revindex0")))
        return value_int(n - at - 1);
    if (str_eq(name, S("first")))
        return value_bool(at == 0);
    if (str_eq(name, S("last")))
        return value_bool(at == n - 1);
    if (str_eq(name, S("length")))
        return value_int(n);
    if (str_eq(name, S("depth")))
        return value_int(1); // deeper only in recursive loops
    if (str_eq(name, S("depth0")))
        return value_int(0);
    if (str_eq(name, S("previtem")))
        return at > 0 ? loop->items->items[at - 1] : missing_attribute(object, name);
    if (str_eq(name, S("nextitem")))
        return at < n - 1 ? loop->items->items[at + 1] : missing_attribute(object, name);
    return missing_attribute(object, name);
}

Value value_attr(Render *r, Value object, Str name)
{
    if (object.kind == VALUE_UNDEFINED)
        return eval_undefined(r, object);
    const Builtin *method = method_find(object, name);
    if (method)
        return bind_method(r, method, object);
    if (object.kind == VALUE_DICT || object.kind == VALUE_NAMESPACE) {
        const Value *found = dict_find_str(r, object.dict, name);
        if (found)
            return *found;
    }
    if (object.kind == VALUE_LOOP)
        return loop_attr(r, object, name);
    if (object.kind == VALUE_MACRO && str_eq(name, S("name")))
        return value_str(object.macro->node->name);
    if (object.kind == VALUE_CYCLER && str_eq(name, S("current")))
        return object.cycler->items->items[object.cycler->at];
    return missing_attribute(object, name);
}

static Value sequence_item(Render *r, Value object, int64_t at)
{
    int64_t n = 0;
    value_length(r, object, &n);
    int64_t i = at < 0 ? at + n : at;
    if (i < 0 || i >= n)
        return missing_attribute(object, value_text(r, value_int(at)));
    if (is_list(object))
        return object.list->items[i];
    size_t start = str_char_at(object.s, (size_t)i), end = start;
    utf8_next(object.s, &end);
    return value_str(str_slice(object.s, start, end));
}

Value value_item(Render *r, Value object, Value key)
{
    if (object.kind == VALUE_UNDEFINED)
        return eval_undefined(r, object);
    if (object.kind == VALUE_DICT) {
        const Value *found = dict_find(r, object.dict, key);
        if (found)
            return *found;
    }
    if ((is_list(object) || is_string(object)) && is_int(key))
        return sequence_item(r, object, key.i);
    if (is_string(key))
        return value_attr(r, object, key.s);
    return missing_attribute(object, value_text(r, key));
}

static Value string_slice(Render *r, Str s, int64_t first, int64_t stride, size_t count)
{
    bool ascii = str_chars(s) == s.len;
    if (stride == 1) {
        size_t start = ascii ? (size_t)first : str_char_at(s, (size_t)first);
        Str rest = str_slice(s, start, s.len);
        return value_str(str_slice(rest, 0, ascii ? count : str_char_at(rest, count)));
    }
    if (!render_room(r, count * 4))
        return undefined();
    const List *chars = ascii ? NULL : value_items(r, value_str(s));
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < count && render_ok(r); i++, first += stride)
        buf_add(&out,
                ascii ? str_slice(s, (size_t)first, (size_t)first + 1) : chars->items[first].s);
    return value_copy(r, buf_str(&out));
}

static Value eval_slice(Render *r, Value object, const Node *n)
{
    Value start = n->left ? eval(r, n->left) : none();
    Value stop = n->right ? eval(r, n->right) : none();
    Value step = n->third ? eval(r, n->third) : none();
    if (object.kind == VALUE_UNDEFINED)
        return eval_undefined(r, object);
    if (!is_string(object) && !is_list(object))
        return undefined();
    int64_t length = 0, first, stride;
    size_t count;
    value_length(r, object, &length);
    if (!slice_indices(r, start, stop, step, length, &first, &stride, &count))
        return undefined();
    if (count == 0)
        first = 0;
    if (is_string(object))
        return string_slice(r, object.s, first, stride, count);
    List *l = list_new(r, count);
    for (size_t i = 0; i < count && render_ok(r); i++, first += stride)
        list_add(r, l, object.list->items[first]);
    return (Value){.kind = object.kind, .list = l};
}

/* Calls */

static void add_named(Render *r, Args *args, size_t cap, Str name, Value v)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_eq(args->named[i].name, name)) {
            render_fail(r, ERR_INVALID, "got multiple values for keyword argument '%.*s'",
                        STR(name));
            return;
        }
    CHECK(args->n_named < cap);
    args->named[args->n_named++] = (Binding){name, v};
}

static void add_stars(Render *r, Args *args, size_t *cap, Value mapping)
{
    if (mapping.kind != VALUE_DICT) {
        render_fail(r, ERR_INVALID, "argument after ** must be a mapping, not %s",
                    value_type(mapping));
        return;
    }
    size_t want = *cap + mapping.dict->n;
    if (!render_room(r, want * sizeof(Binding)))
        return;
    Binding *grown = NEW_ARRAY(r->arena, Binding, want);
    if (args->n_named)
        memcpy(grown, args->named, args->n_named * sizeof(Binding));
    args->named = grown;
    *cap = want;
    for (size_t i = 0; i < mapping.dict->n && render_work(r, args->n_named / 8 + 1); i++)
        add_named(r, args, want, value_text(r, mapping.dict->pairs[i].key),
                  mapping.dict->pairs[i].value);
}

static Args eval_args(Render *r, const Nodes *nodes)
{
    List *items = list_new(r, nodes->n);
    Args args = {0};
    size_t named = 0;
    for (size_t i = 0; i < nodes->n; i++)
        named += nodes->nodes[i]->kind == NODE_KEYWORD;
    if (named)
        args.named = NEW_ARRAY(r->arena, Binding, named);
    for (size_t i = 0; i < nodes->n && render_ok(r); i++) {
        const Node *n = nodes->nodes[i];
        Value v = eval(r, n->kind == NODE_KEYWORD || n->kind == NODE_STAR || n->kind == NODE_STARS
                              ? n->left
                              : n);
        if (n->kind == NODE_KEYWORD) {
            add_named(r, &args, named, n->name, v);
        } else if (n->kind == NODE_STARS) {
            add_stars(r, &args, &named, v);
        } else if (n->kind == NODE_STAR) {
            const List *more = value_items(r, v);
            for (size_t k = 0; more && k < more->n; k++)
                list_add(r, items, more->items[k]);
        } else {
            list_add(r, items, v);
        }
    }
    args.items = items->items;
    args.n = items->n;
    return args;
}

enum { MAX_PARAMS = 8 };

/* Puts arguments in the order of the builtin's parameters. */
static bool arrange(Render *r, const Builtin *b, const Args *given, Value out[MAX_PARAMS],
                    size_t *n_out)
{
    Str params = str_of(b->params), name;
    size_t n = 0, named = 0;
    while (params.len && str_split(&params, ' ', &name)) {
        CHECK(n < MAX_PARAMS);
        out[n] = n < given->n ? given->items[n] : (Value){0};
        for (size_t i = 0; i < given->n_named; i++)
            if (str_eq(given->named[i].name, name)) {
                if (n < given->n)
                    render_fail(r, ERR_INVALID, "%s() got multiple values for argument '%.*s'",
                                b->name, STR(name));
                out[n] = given->named[i].value;
                named++;
            }
        n++;
    }
    *n_out = n;
    if (given->n > n)
        render_fail(r, ERR_INVALID, "%s() takes at most %zu arguments, %zu were given", b->name, n,
                    given->n);
    else if (named < given->n_named)
        render_fail(r, ERR_INVALID, "%s() got an unexpected keyword argument", b->name);
    return render_ok(r);
}

Value call_builtin(Render *r, const Builtin *b, Value self, const Args *args)
{
    if (!render_work(r, 1))
        return undefined();
    if (strcmp(b->params, "*") == 0)
        return b->call(r, self, args);
    Value items[MAX_PARAMS] = {0};
    Args arranged = {.items = items};
    if (!arrange(r, b, args, items, &arranged.n))
        return undefined();
    return b->call(r, self, &arranged);
}

static Value call_loop_object(Render *r, Value callee)
{
    Cycler *joiner = callee.cycler;
    Str text = joiner->at ? joiner->separator : (Str){0};
    joiner->at = 1;
    return value_str(text);
}

Value call_value(Render *r, Value callee, const Args *args)
{
    if (callee.kind == VALUE_MACRO)
        return call_macro(r, callee.macro, args);
    if (callee.kind == VALUE_FUNCTION)
        return call_builtin(r, callee.bound->builtin, callee.bound->self, args);
    if (callee.kind == VALUE_JOINER)
        return call_loop_object(r, callee);
    if (callee.kind == VALUE_UNDEFINED)
        return eval_undefined(r, callee);
    return render_fail(r, ERR_INVALID, "'%s' object is not callable", value_type(callee));
}

Value eval_call(Render *r, const Node *n, Value caller)
{
    Value callee = eval(r, n->left);
    if (callee.kind == VALUE_UNDEFINED)
        return eval_undefined(r, callee);
    Args args = eval_args(r, &n->items);
    if (caller.kind != VALUE_MISSING) {
        Binding *named = NEW_ARRAY(r->arena, Binding, args.n_named + 1);
        if (args.n_named)
            memcpy(named, args.named, args.n_named * sizeof *named);
        args.named = named;
        add_named(r, &args, args.n_named + 1, S("caller"), caller);
    }
    int line = r->line;
    Value v = render_ok(r) ? call_value(r, callee, &args) : undefined();
    r->line = line;
    return v;
}

static Value eval_builtin(Render *r, const Node *n, Value input)
{
    if (!n->builtin)
        return render_fail(r, ERR_INVALID, "no %s named '%.*s'",
                           n->kind == NODE_FILTER ? "filter" : "test", STR(n->name));
    Args args = eval_args(r, &n->items);
    return render_ok(r) ? call_builtin(r, n->builtin, input, &args) : undefined();
}

Value eval_filters(Render *r, const Node *chain, Value input)
{
    if (!chain)
        return input;
    return eval_builtin(r, chain, eval_filters(r, chain->left, input));
}

static Value eval_items(Render *r, const Node *n)
{
    List *l = list_new(r, n->items.n);
    for (size_t i = 0; i < n->items.n && render_ok(r); i++)
        list_add(r, l, eval(r, n->items.nodes[i]));
    return n->kind == NODE_TUPLE ? value_tuple(l) : value_list(l);
}

static Value eval_dict(Render *r, const Node *n)
{
    Dict *d = dict_new(r);
    for (size_t i = 0; i + 1 < n->items.n && render_ok(r); i += 2) {
        Value key = eval(r, n->items.nodes[i]);
        dict_put(r, d, key, eval(r, n->items.nodes[i + 1]));
    }
    return value_dict(d);
}

static Value eval_sign(Render *r, const Node *n)
{
    Value v = eval(r, n->left);
    bool minus = n->kind == NODE_MINUS;
    if (v.kind == VALUE_FLOAT)
        return value_float(minus ? -v.f : v.f);
    if (is_int(v))
        return minus ? int_binary(r, OP_SUB, 0, v.i) : value_int(v.i);
    if (v.kind == VALUE_UNDEFINED)
        return eval_undefined(r, v);
    return render_fail(r, ERR_INVALID, "bad operand type for unary %c: '%s'", minus ? '-' : '+',
                       value_type(v));
}

static Value eval_node(Render *r, const Node *n)
{
    switch (n->kind) {
    case NODE_CONST:
        return n->value;
    case NODE_NAME:
        return scope_find(r, n->name);
    case NODE_LIST:
    case NODE_TUPLE:
        return eval_items(r, n);
    case NODE_DICT:
        return eval_dict(r, n);
    case NODE_ATTR:
        return value_attr(r, eval(r, n->left), n->name);
    case NODE_ITEM: {
        Value object = eval(r, n->left);
        return n->right->kind == NODE_SLICE ? eval_slice(r, object, n->right)
                                            : value_item(r, object, eval(r, n->right));
    }
    case NODE_CALL:
        return eval_call(r, n, (Value){0});
    case NODE_FILTER:
    case NODE_TEST:
        return eval_builtin(r, n, eval(r, n->left));
    case NODE_NOT:
        return value_bool(!value_truth(r, eval(r, n->left)));
    case NODE_MINUS:
    case NODE_PLUS:
        return eval_sign(r, n);
    case NODE_BINARY: {
        Value left = eval(r, n->left), right = eval(r, n->right);
        return render_ok(r) ? eval_binary(r, (Operator)n->op, left, right) : undefined();
    }
    case NODE_AND: {
        Value left = eval(r, n->left);
        return value_truth(r, left) ? eval(r, n->right) : left;
    }
    case NODE_OR: {
        Value left = eval(r, n->left);
        return value_truth(r, left) ? left : eval(r, n->right);
    }
    case NODE_COMPARE:
        return eval_comparison(r, n);
    case NODE_CONCAT:
        return eval_concat(r, n);
    case NODE_CHOICE:
        return value_truth(r, eval(r, n->left)) ? eval(r, n->right)
               : n->third                       ? eval(r, n->third)
                                                : undefined();
    default:
        break;
    }
    return render_fail(r, ERR_INVALID, "this is not an expression");
}

Value eval(Render *r, const Node *n)
{
    if (++r->depth > MAX_RUN_DEPTH)
        render_fail(r, ERR_LIMIT, "the template recurses too deep");
    Value v = undefined();
    if (render_work(r, 1)) {
        r->line = n->line;
        v = eval_node(r, n);
    }
    r->depth--;
    return v;
}
