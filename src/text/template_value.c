/* template_value.c: values of templates and Python's rules for them; see template_internal.h. */
#include "text/template_internal.h"

#include <math.h>
#include <utf8proc.h>

/* Limits */

Value render_fail(Render *r, ErrorCode code, const char *format, ...)
{
    if (r->failed)
        return undefined();
    r->failed = true;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)!fail(r->err, code, "%s: line %d: %s", r->template->name, r->line, text);
    return undefined();
}

bool render_work(Render *r, size_t n)
{
    r->work += (int64_t)MIN(n, (size_t)INT32_MAX);
    if (r->failed)
        return false;
    if (r->work > r->limits.work)
        render_fail(r, ERR_LIMIT, "the template does too much work");
    else if (arena_used(r->arena) > r->limits.memory)
        render_fail(r, ERR_LIMIT, "the template takes too much memory");
    return !r->failed;
}

bool render_room(Render *r, size_t n)
{
    if (r->failed)
        return false;
    if (n > r->limits.memory || arena_used(r->arena) > r->limits.memory - n)
        render_fail(r, ERR_LIMIT, "the template takes too much memory");
    return !r->failed && render_work(r, n / 12);
}

static bool deeper(Render *r)
{
    if (++r->depth > MAX_RUN_DEPTH)
        render_fail(r, ERR_LIMIT, "a value nests too deep");
    return render_work(r, 1);
}

/* Making values */

Value value_copy(Render *r, Str s)
{
    if (!render_room(r, s.len))
        return undefined();
    return value_str(arena_str(r->arena, s));
}

List *list_new(Render *r, size_t cap)
{
    List *l = NEW(r->arena, List);
    if (cap && render_room(r, cap * sizeof(Value))) {
        l->items = NEW_ARRAY(r->arena, Value, cap);
        l->cap = cap;
    }
    return l;
}

void list_add(Render *r, List *l, Value v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        if (!render_room(r, cap * sizeof(Value)))
            return;
        Value *grown = NEW_ARRAY(r->arena, Value, cap);
        if (l->n)
            memcpy(grown, l->items, l->n * sizeof(Value));
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n++] = v;
}

Value value_list(List *l)
{
    return (Value){.kind = VALUE_LIST, .list = l};
}

Value value_tuple(List *l)
{
    return (Value){.kind = VALUE_TUPLE, .list = l};
}

Dict *dict_new(Render *r)
{
    return NEW(r->arena, Dict);
}

Value value_dict(Dict *d)
{
    return (Value){.kind = VALUE_DICT, .dict = d};
}

static void free_index(void *index)
{
    map_done(index);
}

enum { INDEX_FROM = 12 }; // pairs are looked at one by one below this

Value *dict_find_str(Render *r, const Dict *d, Str key)
{
    if (d->index) {
        // The map holds positions, which stay right when the pairs move.
        size_t at = (size_t)(uintptr_t)map_find(d->index, key);
        return at ? &d->pairs[at - 1].value : NULL;
    }
    for (size_t i = 0; i < d->n; i++)
        if (is_string(d->pairs[i].key) && str_eq(d->pairs[i].key.s, key))
            return &d->pairs[i].value;
    return NULL;
}

Value *dict_find(Render *r, const Dict *d, Value key)
{
    if (is_string(key))
        return dict_find_str(r, d, key.s);
    for (size_t i = 0; i < d->n && render_work(r, 1); i++)
        if (!is_string(d->pairs[i].key) && value_eq(r, d->pairs[i].key, key))
            return &d->pairs[i].value;
    return NULL;
}

static void index_pair(Render *r, Dict *d, size_t i)
{
    if (!is_string(d->pairs[i].key) || !render_work(r, 4))
        return;
    map_put(d->index, d->pairs[i].key.s, (void *)(uintptr_t)(i + 1));
}

void dict_put(Render *r, Dict *d, Value key, Value value)
{
    if (key.kind == VALUE_LIST || key.kind == VALUE_DICT) {
        render_fail(r, ERR_INVALID, "unhashable type: '%s'", value_type(key));
        return;
    }
    Value *old = dict_find(r, d, key);
    if (old) {
        *old = value;
        return;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        // The index is on the heap; what it takes is counted as if it were here.
        if (!render_room(r, cap * (sizeof(Pair) + sizeof(MapEntry) + 8)))
            return;
        Pair *grown = NEW_ARRAY(r->arena, Pair, cap);
        if (d->n)
            memcpy(grown, d->pairs, d->n * sizeof(Pair));
        d->pairs = grown;
        d->cap = cap;
    }
    d->pairs[d->n++] = (Pair){key, value};
    if (d->index) {
        index_pair(r, d, d->n - 1);
    } else if (d->n == INDEX_FROM) {
        d->index = NEW(r->arena, Map);
        arena_defer(r->arena, free_index, d->index);
        for (size_t i = 0; i < d->n; i++)
            index_pair(r, d, i);
    }
}

static Value object_from_json(Render *r, const json_t *json)
{
    Dict *d = dict_new(r);
    const char *key;
    size_t len;
    json_t *member;
    // jansson's iteration takes a json_t that is not const, but does not change it.
    json_t *object = (json_t *)(uintptr_t)json;
    json_object_keylen_foreach(object, key, len, member)
    {
        if (!render_ok(r))
            break;
        dict_put(r, d, value_copy(r, (Str){key, len}), value_from_json(r, member));
    }
    return value_dict(d);
}

/* Strings stay the JSON's, which outlives the rendering. */
Value value_from_json(Render *r, const json_t *json)
{
    Value v = none();
    if (!deeper(r)) {
        r->depth--;
        return v;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        v = object_from_json(r, json);
        break;
    case JSON_ARRAY: {
        List *l = list_new(r, json_array_size(json));
        for (size_t i = 0; i < json_array_size(json) && render_ok(r); i++)
            list_add(r, l, value_from_json(r, json_array_get(json, i)));
        v = value_list(l);
        break;
    }
    case JSON_STRING:
        v = value_str((Str){json_string_value(json), json_string_length(json)});
        break;
    case JSON_INTEGER:
        v = value_int(json_integer_value(json));
        break;
    case JSON_REAL:
        v = value_float(json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        v = value_bool(json_is_true(json));
        break;
    case JSON_NULL:
        break;
    }
    r->depth--;
    return v;
}

const char *value_type(Value v)
{
    switch ((ValueKind)v.kind) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
        return "Undefined";
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
        return "int";
    case VALUE_FLOAT:
        return "float";
    case VALUE_STRING:
        return "str";
    case VALUE_LIST:
        return "list";
    case VALUE_TUPLE:
        return "tuple";
    case VALUE_DICT:
        return "dict";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_MACRO:
        return "Macro";
    case VALUE_FUNCTION:
        return "function";
    case VALUE_LOOP:
        return "LoopContext";
    case VALUE_CYCLER:
        return "Cycler";
    case VALUE_JOINER:
        return "Joiner";
    }
    return "object";
}

bool value_truth(Render *r, Value v)
{
    switch ((ValueKind)v.kind) {
    case VALUE_UNDEFINED:
        if (r->template->options.strict)
            eval_undefined(r, v);
        return false;
    case VALUE_MISSING:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
    case VALUE_INT:
        return v.i != 0;
    case VALUE_FLOAT:
        return v.f != 0;
    case VALUE_STRING:
        return v.s.len != 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return v.list->n != 0;
    case VALUE_DICT:
        return v.dict->n != 0;
    case VALUE_NAMESPACE:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_LOOP:
    case VALUE_CYCLER:
    case VALUE_JOINER:
        return true;
    }
    return true;
}

/* Printing */

static bool is_printable(int32_t code)
{
    if (code == ' ')
        return true;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

static void string_repr(Render *r, Buf *out, Str s)
{
    if (!render_work(r, s.len / 8))
        return;
    bool single = str_find_char(s, '\'', 0) != SIZE_MAX;
    char quote = single && str_find_char(s, '"', 0) == SIZE_MAX ? '"' : '\'';
    buf_add_char(out, quote);
    for (size_t pos = 0; pos < s.len;) {
        int32_t code = utf8_next(s, &pos);
        code = code < 0 ? 0xFFFD : code;
        if (code == quote || code == '\\')
            buf_printf(out, "\\%c", (char)code);
        else if (code == '\n' || code == '\r' || code == '\t')
            buf_add(out, code == '\n' ? S("\\n") : code == '\r' ? S("\\r") : S("\\t"));
        else if (is_printable(code))
            buf_add_utf8(out, code);
        else
            buf_printf(out,
                       code < 0x100     ? "\\x%02x"
                       : code < 0x10000 ? "\\u%04x"
                                        : "\\U%08x",
                       (unsigned)code);
    }
    buf_add_char(out, quote);
}

static void list_repr(Render *r, Buf *out, Value v)
{
    bool tuple = v.kind == VALUE_TUPLE;
    buf_add_char(out, tuple ? '(' : '[');
    for (size_t i = 0; i < v.list->n && render_ok(r); i++) {
        buf_add(out, i ? S(", ") : S(""));
        value_repr(r, out, v.list->items[i]);
    }
    buf_add(out, !tuple ? S("]") : v.list->n == 1 ? S(",)") : S(")"));
}

static void dict_repr(Render *r, Buf *out, const Dict *d)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < d->n && render_ok(r); i++) {
        buf_add(out, i ? S(", ") : S(""));
        value_repr(r, out, d->pairs[i].key);
        buf_add(out, S(": "));
        value_repr(r, out, d->pairs[i].value);
    }
    buf_add_char(out, '}');
}

static void print_value(Render *r, Buf *out, Value v)
{
    char number[32];
    switch ((ValueKind)v.kind) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
        break;
    case VALUE_NONE:
        buf_add(out, S("None"));
        break;
    case VALUE_BOOL:
        buf_add(out, v.i ? S("True") : S("False"));
        break;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)v.i);
        break;
    case VALUE_FLOAT:
        double_format(v.f, number);
        buf_add(out, str_of(number));
        break;
    case VALUE_STRING:
        buf_add(out, v.s);
        break;
    case VALUE_LIST:
    case VALUE_TUPLE:
        list_repr(r, out, v);
        break;
    case VALUE_DICT:
        dict_repr(r, out, v.dict);
        break;
    case VALUE_NAMESPACE:
        buf_add(out, S("<Namespace "));
        dict_repr(r, out, v.dict);
        buf_add_char(out, '>');
        break;
    case VALUE_MACRO:
        buf_add(out, S("<Macro "));
        string_repr(r, out, v.macro->node->name);
        buf_add_char(out, '>');
        break;
    case VALUE_FUNCTION:
        buf_printf(out, "<function %s>", v.bound->builtin->name);
        break;
    case VALUE_LOOP:
        buf_printf(out, "<LoopContext %zu/%zu>", v.loop->at + 1, v.loop->items->n);
        break;
    case VALUE_CYCLER:
    case VALUE_JOINER:
        buf_printf(out, "<%s>", value_type(v));
        break;
    }
}

void value_print(Render *r, Buf *out, Value v)
{
    if (deeper(r))
        print_value(r, out, v);
    r->depth--;
    if (out->failed)
        render_fail(r, ERR_LIMIT, "the template prints too much");
}

void value_repr(Render *r, Buf *out, Value v)
{
    if (is_string(v))
        string_repr(r, out, v.s);
    else if (v.kind == VALUE_UNDEFINED)
        buf_add(out, S("Undefined"));
    else
        value_print(r, out, v);
}

Str value_text(Render *r, Value v)
{
    if (is_string(v))
        return v.s;
    AUTO_BUF out;
    buf_init(&out, r->limits.output);
    value_print(r, &out, v);
    return value_copy(r, buf_str(&out)).s;
}

/* Comparing */

static bool lists_eq(Render *r, const List *a, const List *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!value_eq(r, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dicts_eq(Render *r, const Dict *a, const Dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const Value *other = dict_find(r, b, a->pairs[i].key);
        if (!other || !value_eq(r, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

bool value_eq(Render *r, Value a, Value b)
{
    if (is_number(a) && is_number(b))
        return is_int(a) && is_int(b) ? a.i == b.i : number_of(a) == number_of(b);
    if (a.kind != b.kind)
        return false;
    bool eq = false;
    if (deeper(r)) {
        if (is_string(a))
            eq = render_work(r, a.s.len / 64) && str_eq(a.s, b.s);
        else if (is_list(a))
            eq = lists_eq(r, a.list, b.list);
        else if (a.kind == VALUE_DICT)
            eq = dicts_eq(r, a.dict, b.dict);
        else
            eq = a.kind <= VALUE_NONE || a.list == b.list;
    }
    r->depth--;
    return eq;
}

int value_cmp(Render *r, Value a, Value b)
{
    if (is_int(a) && is_int(b))
        return (a.i > b.i) - (a.i < b.i);
    if (is_number(a) && is_number(b))
        return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
    if (is_string(a) && is_string(b))
        return render_work(r, a.s.len / 64) ? str_cmp(a.s, b.s) : 0;
    if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED) {
        eval_undefined(r, a.kind == VALUE_UNDEFINED ? a : b);
        return 0;
    }
    if (!is_list(a) || a.kind != b.kind) {
        render_fail(r, ERR_INVALID, "'<' not supported between instances of '%s' and '%s'",
                    value_type(a), value_type(b));
        return 0;
    }
    int order = (a.list->n > b.list->n) - (a.list->n < b.list->n);
    if (deeper(r))
        for (size_t i = 0; i < MIN(a.list->n, b.list->n) && render_ok(r); i++)
            if (!value_eq(r, a.list->items[i], b.list->items[i])) {
                order = value_cmp(r, a.list->items[i], b.list->items[i]);
                break;
            }
    r->depth--;
    return order;
}

bool value_contains(Render *r, Value container, Value item)
{
    if (is_string(container)) {
        if (!is_string(item)) {
            render_fail(r, ERR_INVALID, "'in <string>' requires string as left operand, not %s",
                        value_type(item));
            return false;
        }
        return render_work(r, container.s.len / 32) && str_find(container.s, item.s, 0) != SIZE_MAX;
    }
    if (container.kind == VALUE_DICT)
        return dict_find(r, container.dict, item) != NULL;
    const List *items = value_items(r, container);
    for (size_t i = 0; items && i < items->n && render_work(r, 1); i++)
        if (value_eq(r, items->items[i], item))
            return true;
    return false;
}

/* Strings and sequences */

size_t str_chars(Str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}

size_t str_char_at(Str s, size_t n)
{
    size_t i = 0;
    for (; i < s.len; i++)
        if ((s.ptr[i] & 0xC0) != 0x80 && n-- == 0)
            break;
    return i;
}

static List *string_items(Render *r, Str s)
{
    List *l = list_new(r, s.len);
    for (size_t pos = 0; pos < s.len && render_ok(r);) {
        size_t start = pos;
        utf8_next(s, &pos);
        list_add(r, l, value_str(str_slice(s, start, pos)));
    }
    return l;
}

List *value_items(Render *r, Value v)
{
    if (is_list(v))
        return v.list;
    if (is_string(v))
        return string_items(r, v.s);
    if (v.kind == VALUE_DICT) {
        List *l = list_new(r, v.dict->n);
        for (size_t i = 0; i < v.dict->n && render_ok(r); i++)
            list_add(r, l, v.dict->pairs[i].key);
        return l;
    }
    if (v.kind == VALUE_UNDEFINED && !r->template->options.strict)
        return list_new(r, 0);
    if (v.kind == VALUE_UNDEFINED)
        eval_undefined(r, v);
    else
        render_fail(r, ERR_INVALID, "'%s' object is not iterable", value_type(v));
    return NULL;
}

bool value_length(Render *r, Value v, int64_t *n)
{
    if (is_list(v))
        *n = (int64_t)v.list->n;
    else if (is_string(v))
        *n = render_work(r, v.s.len / 32) ? (int64_t)str_chars(v.s) : 0;
    else if (v.kind == VALUE_DICT)
        *n = (int64_t)v.dict->n;
    else if (v.kind == VALUE_UNDEFINED)
        *n = 0;
    else
        return false;
    return true;
}

static bool slice_bound(Render *r, Value v, int64_t length, int64_t otherwise, bool backwards,
                        int64_t *out)
{
    if (v.kind == VALUE_NONE || v.kind == VALUE_MISSING) {
        *out = otherwise;
        return true;
    }
    if (!is_int(v)) {
        render_fail(r, ERR_INVALID, "slice indices must be integers or None, not %s",
                    value_type(v));
        return false;
    }
    int64_t at = v.i < 0 ? (v.i < -length ? -1 : v.i + length) : v.i;
    int64_t least = backwards ? -1 : 0, most = backwards ? length - 1 : length;
    *out = at < least ? least : at > most ? most : at;
    return true;
}

bool slice_indices(Render *r, Value start, Value stop, Value step, int64_t length, int64_t *first,
                   int64_t *stride, size_t *count)
{
    int64_t by = 1, from, to;
    if (step.kind != VALUE_NONE && step.kind != VALUE_MISSING) {
        if (!is_int(step) || step.i == 0) {
            render_fail(r, ERR_INVALID, "slice step must be an integer, not zero");
            return false;
        }
        by = MAX(MIN(step.i, (int64_t)1 << 40), -((int64_t)1 << 40));
    }
    bool back = by < 0;
    if (!slice_bound(r, start, length, back ? length - 1 : 0, back, &from) ||
        !slice_bound(r, stop, length, back ? -1 : length, back, &to))
        return false;
    int64_t n = back ? (from - to - by - 1) / -by : (to - from + by - 1) / by;
    *first = from;
    *stride = by;
    *count = n > 0 ? (size_t)n : 0;
    return true;
}
