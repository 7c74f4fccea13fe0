/* template_method.c: methods of strings, lists and dicts, and the global functions of templates. */
#include "base/clock.h"
#include "text/template_internal.h"

#include <math.h>

/* Arguments */

bool arg_flag(Render *r, const Args *args, size_t i, bool otherwise)
{
    return args->items[i].kind == VALUE_MISSING ? otherwise : value_truth(r, args->items[i]);
}

int64_t arg_int(Render *r, const Args *args, size_t i, int64_t otherwise)
{
    Value v = args->items[i];
    if (v.kind == VALUE_MISSING || v.kind == VALUE_NONE)
        return otherwise;
    if (!is_int(v))
        render_fail(r, ERR_INVALID, "'%s' object cannot be interpreted as an integer",
                    value_type(v));
    return is_int(v) ? v.i : otherwise;
}

Str arg_str(Render *r, const Args *args, size_t i, Str otherwise)
{
    Value v = args->items[i];
    if (v.kind == VALUE_MISSING || v.kind == VALUE_NONE)
        return otherwise;
    if (!is_string(v))
        render_fail(r, ERR_INVALID, "must be str, not %s", value_type(v));
    return is_string(v) ? v.s : otherwise;
}

static Str needed_str(Render *r, const Args *args, size_t i)
{
    if (args->items[i].kind == VALUE_MISSING)
        render_fail(r, ERR_INVALID, "an argument is missing");
    return arg_str(r, args, i, S(""));
}

/* Strings */

static Value strip_side(Render *r, Value self, const Args *args, TextSide side)
{
    Str chars = arg_str(r, args, 0, (Str){0});
    if (!render_work(r, (self.s.len / 16 + 1) * (chars.len / 16 + 1)))
        return undefined();
    return value_str(text_strip(self.s, chars, side));
}

static Value str_strip(Render *r, Value self, const Args *args)
{
    return strip_side(r, self, args, SIDE_BOTH);
}

static Value str_lstrip(Render *r, Value self, const Args *args)
{
    return strip_side(r, self, args, SIDE_LEFT);
}

static Value str_rstrip(Render *r, Value self, const Args *args)
{
    return strip_side(r, self, args, SIDE_RIGHT);
}

static Value str_split_left(Render *r, Value self, const Args *args)
{
    Str separator = arg_str(r, args, 0, (Str){0});
    return value_list(text_split(r, self.s, separator, arg_int(r, args, 1, -1), false));
}

static Value str_split_right(Render *r, Value self, const Args *args)
{
    Str separator = arg_str(r, args, 0, (Str){0});
    return value_list(text_split(r, self.s, separator, arg_int(r, args, 1, -1), true));
}

static Value str_splitlines(Render *r, Value self, const Args *args)
{
    return value_list(text_lines(r, self.s, arg_flag(r, args, 0, false)));
}

static Value partition(Render *r, Value self, const Args *args, bool from_right)
{
    Str separator = needed_str(r, args, 0);
    List *parts = text_split(r, self.s, separator, 1, from_right);
    List *out = list_new(r, 3);
    if (!render_ok(r))
        return undefined();
    bool found = parts->n == 2;
    Value empty = value_str(S(""));
    list_add(r, out, found || !from_right ? parts->items[0] : empty);
    list_add(r, out, found ? value_str(separator) : empty);
    list_add(r, out, found ? parts->items[1] : from_right ? parts->items[0] : empty);
    return value_tuple(out);
}

static Value str_partition(Render *r, Value self, const Args *args)
{
    return partition(r, self, args, false);
}

static Value str_rpartition(Render *r, Value self, const Args *args)
{
    return partition(r, self, args, true);
}

/* The part of a string that find, count, startswith and endswith look at. */
static Str window(Render *r, Value self, const Args *args, size_t i, size_t *offset)
{
    int64_t first, stride, length = (int64_t)str_chars(self.s);
    size_t count;
    if (!slice_indices(r, args->items[i], args->items[i + 1], none(), length, &first, &stride,
                       &count))
        return (Str){0};
    size_t start = str_char_at(self.s, (size_t)first);
    Str rest = str_slice(self.s, start, self.s.len);
    *offset = (size_t)first;
    return str_slice(rest, 0, str_char_at(rest, count));
}

static Value has_affix(Render *r, Value self, const Args *args, bool (*has)(Str s, Str affix))
{
    size_t offset = 0;
    Str s = window(r, self, args, 1, &offset);
    Value affix = args->items[0];
    List one = {.items = &affix, .n = 1};
    const List *list = affix.kind == VALUE_TUPLE ? affix.list : &one;
    for (size_t i = 0; i < list->n && render_work(r, 1); i++) {
        if (!is_string(list->items[i]))
            return render_fail(r, ERR_INVALID, "first arg must be str or a tuple of str, not %s",
                               value_type(list->items[i]));
        if (has(s, list->items[i].s))
            return value_bool(true);
    }
    return value_bool(false);
}

static Value str_startswith(Render *r, Value self, const Args *args)
{
    return has_affix(r, self, args, str_starts);
}

static Value str_endswith(Render *r, Value self, const Args *args)
{
    return has_affix(r, self, args, str_ends);
}

static int64_t find_in(Render *r, Value self, const Args *args, bool last)
{
    size_t offset = 0;
    Str s = window(r, self, args, 1, &offset), needle = needed_str(r, args, 0);
    size_t hit = SIZE_MAX;
    for (size_t at = 0; render_work(r, s.len / 64 + 1); at = hit + 1) {
        size_t found = str_find(s, needle, at);
        if (found == SIZE_MAX)
            break;
        hit = found;
        if (!last)
            break;
    }
    return hit == SIZE_MAX ? -1 : (int64_t)(str_chars(str_slice(s, 0, hit)) + offset);
}

static Value str_find_method(Render *r, Value self, const Args *args)
{
    return value_int(find_in(r, self, args, false));
}

static Value str_rfind(Render *r, Value self, const Args *args)
{
    return value_int(find_in(r, self, args, true));
}

static Value str_index(Render *r, Value self, const Args *args)
{
    int64_t at = find_in(r, self, args, false);
    return at < 0 ? render_fail(r, ERR_INVALID, "substring not found") : value_int(at);
}

static Value str_count(Render *r, Value self, const Args *args)
{
    size_t offset = 0, at = 0;
    Str s = window(r, self, args, 1, &offset), needle = needed_str(r, args, 0);
    if (needle.len == 0)
        return value_int((int64_t)str_chars(s) + 1);
    int64_t n = 0;
    while (render_work(r, 1) && (at = str_find(s, needle, at)) != SIZE_MAX) {
        n++;
        at += needle.len;
    }
    return value_int(n);
}

static Value str_replace(Render *r, Value self, const Args *args)
{
    Str old = needed_str(r, args, 0), new = needed_str(r, args, 1);
    return text_replace(r, self.s, old, new, arg_int(r, args, 2, -1));
}

static Value str_join(Render *r, Value self, const Args *args)
{
    const List *items = value_items(r, args->items[0]);
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    for (size_t i = 0; items && i < items->n && render_work(r, 1); i++) {
        if (!is_string(items->items[i]))
            return render_fail(r, ERR_INVALID, "sequence item %zu: expected str instance, %s found",
                               i, value_type(items->items[i]));
        buf_add(&out, i ? self.s : S(""));
        buf_add(&out, items->items[i].s);
    }
    if (out.failed)
        return render_fail(r, ERR_LIMIT, "the template takes too much memory");
    return value_copy(r, buf_str(&out));
}

static Value str_lower(Render *r, Value self, const Args *args)
{
    return text_case(r, self.s, CASE_LOWER);
}

static Value str_upper(Render *r, Value self, const Args *args)
{
    return text_case(r, self.s, CASE_UPPER);
}

static Value str_capitalize(Render *r, Value self, const Args *args)
{
    return text_case(r, self.s, CASE_CAPITALIZE);
}

static Value str_title(Render *r, Value self, const Args *args)
{
    return text_case(r, self.s, CASE_TITLE);
}

static Value str_swapcase(Render *r, Value self, const Args *args)
{
    return text_case(r, self.s, CASE_SWAP);
}

static Value str_isalpha(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 'a'));
}

static Value str_isdigit(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 'd'));
}

static Value str_isalnum(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 'n'));
}

static Value str_isspace(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 's'));
}

static Value str_islower(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 'l'));
}

static Value str_isupper(Render *r, Value self, const Args *args)
{
    return value_bool(text_is(r, self.s, 'u'));
}

static Value pad(Render *r, Value self, const Args *args, char align)
{
    Str fill = arg_str(r, args, 1, S(" "));
    if (str_chars(fill) != 1)
        return render_fail(r, ERR_INVALID, "The fill character must be exactly one character long");
    return text_pad(r, self.s, arg_int(r, args, 0, 0), fill, align);
}

static Value str_ljust(Render *r, Value self, const Args *args)
{
    return pad(r, self, args, '<');
}

static Value str_rjust(Render *r, Value self, const Args *args)
{
    return pad(r, self, args, '>');
}

static Value str_center(Render *r, Value self, const Args *args)
{
    return pad(r, self, args, 'c');
}

static Value str_zfill(Render *r, Value self, const Args *args)
{
    bool sign = self.s.len && (self.s.ptr[0] == '-' || self.s.ptr[0] == '+');
    Str digits = str_slice(self.s, sign, self.s.len);
    Value padded = text_pad(r, digits, arg_int(r, args, 0, 0) - sign, S("0"), '>');
    if (!sign || !render_ok(r))
        return padded;
    return eval_binary(r, OP_ADD, value_str(str_slice(self.s, 0, 1)), padded);
}

static Value str_removeprefix(Render *r, Value self, const Args *args)
{
    Str affix = needed_str(r, args, 0);
    return value_str(str_starts(self.s, affix) ? str_slice(self.s, affix.len, self.s.len) : self.s);
}

static Value str_removesuffix(Render *r, Value self, const Args *args)
{
    Str affix = needed_str(r, args, 0);
    return value_str(str_ends(self.s, affix) ? str_slice(self.s, 0, self.s.len - affix.len)
                                             : self.s);
}

static Value str_format_method(Render *r, Value self, const Args *args)
{
    return text_format(r, self.s, args);
}

/* Lists */

static Value list_index(Render *r, Value self, const Args *args)
{
    for (size_t i = 0; i < self.list->n && render_work(r, 1); i++)
        if (value_eq(r, self.list->items[i], args->items[0]))
            return value_int((int64_t)i);
    return render_fail(r, ERR_INVALID, "the value is not in the list");
}

static Value list_count(Render *r, Value self, const Args *args)
{
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n && render_work(r, 1); i++)
        n += value_eq(r, self.list->items[i], args->items[0]);
    return value_int(n);
}

static Value copy_self(Render *r, Value self, const Args *args)
{
    return self;
}

/* Jinja's immutable sandbox refuses what changes a value in place, and so do we. */
static Value unsafe(Render *r, Value self, const Args *args)
{
    return render_fail(r, ERR_DENIED, "changing a %s is not allowed in templates",
                       value_type(self));
}

/* Dicts */

static Value dict_get(Render *r, Value self, const Args *args)
{
    const Value *found = dict_find(r, self.dict, args->items[0]);
    return found ? *found : arg_or(args, 1, none());
}

static Value dict_pairs(Render *r, Value self, bool keys, bool values)
{
    List *l = list_new(r, self.dict->n);
    for (size_t i = 0; i < self.dict->n && render_work(r, 1); i++) {
        const Pair *pair = &self.dict->pairs[i];
        if (keys && values) {
            List *both = list_new(r, 2);
            list_add(r, both, pair->key);
            list_add(r, both, pair->value);
            list_add(r, l, value_tuple(both));
        } else {
            list_add(r, l, keys ? pair->key : pair->value);
        }
    }
    return value_list(l);
}

static Value dict_items(Render *r, Value self, const Args *args)
{
    return dict_pairs(r, self, true, true);
}

static Value dict_keys(Render *r, Value self, const Args *args)
{
    return dict_pairs(r, self, true, false);
}

static Value dict_values(Render *r, Value self, const Args *args)
{
    return dict_pairs(r, self, false, true);
}

/* Loops, cyclers */

static Value loop_cycle(Render *r, Value self, const Args *args)
{
    if (args->n == 0)
        return render_fail(r, ERR_INVALID, "no items for cycling given");
    return args->items[self.loop->at % args->n];
}

static Value loop_changed(Render *r, Value self, const Args *args)
{
    List *now = list_new(r, args->n);
    for (size_t i = 0; i < args->n && render_ok(r); i++)
        list_add(r, now, args->items[i]);
    Value seen = value_tuple(now);
    bool changed =
        self.loop->changed.kind == VALUE_MISSING || !value_eq(r, self.loop->changed, seen);
    self.loop->changed = seen;
    return value_bool(changed);
}

static Value cycler_next(Render *r, Value self, const Args *args)
{
    Cycler *c = self.cycler;
    Value v = c->items->items[c->at];
    c->at = (c->at + 1) % c->items->n;
    return v;
}

static Value cycler_reset(Render *r, Value self, const Args *args)
{
    self.cycler->at = 0;
    return none();
}

static const struct {
    ValueKind kind;
    Builtin method;
} methods[] = {
    {VALUE_STRING, {"strip", "chars", str_strip}},
    {VALUE_STRING, {"lstrip", "chars", str_lstrip}},
    {VALUE_STRING, {"rstrip", "chars", str_rstrip}},
    {VALUE_STRING, {"split", "sep maxsplit", str_split_left}},
    {VALUE_STRING, {"rsplit", "sep maxsplit", str_split_right}},
    {VALUE_STRING, {"splitlines", "keepends", str_splitlines}},
    {VALUE_STRING, {"partition", "sep", str_partition}},
    {VALUE_STRING, {"rpartition", "sep", str_rpartition}},
    {VALUE_STRING, {"startswith", "prefix start end", str_startswith}},
    {VALUE_STRING, {"endswith", "suffix start end", str_endswith}},
    {VALUE_STRING, {"find", "sub start end", str_find_method}},
    {VALUE_STRING, {"rfind", "sub start end", str_rfind}},
    {VALUE_STRING, {"index", "sub start end", str_index}},
    {VALUE_STRING, {"count", "sub start end", str_count}},
    {VALUE_STRING, {"replace", "old new count", str_replace}},
    {VALUE_STRING, {"join", "iterable", str_join}},
    {VALUE_STRING, {"lower", "", str_lower}},
    {VALUE_STRING, {"casefold", "", str_lower}},
    {VALUE_STRING, {"upper", "", str_upper}},
    {VALUE_STRING, {"capitalize", "", str_capitalize}},
    {VALUE_STRING, {"title", "", str_title}},
    {VALUE_STRING, {"swapcase", "", str_swapcase}},
    {VALUE_STRING, {"isalpha", "", str_isalpha}},
    {VALUE_STRING, {"isdigit", "", str_isdigit}},
    {VALUE_STRING, {"isdecimal", "", str_isdigit}},
    {VALUE_STRING, {"isnumeric", "", str_isdigit}},
    {VALUE_STRING, {"isalnum", "", str_isalnum}},
    {VALUE_STRING, {"isspace", "", str_isspace}},
    {VALUE_STRING, {"islower", "", str_islower}},
    {VALUE_STRING, {"isupper", "", str_isupper}},
    {VALUE_STRING, {"ljust", "width fillchar", str_ljust}},
    {VALUE_STRING, {"rjust", "width fillchar", str_rjust}},
    {VALUE_STRING, {"center", "width fillchar", str_center}},
    {VALUE_STRING, {"zfill", "width", str_zfill}},
    {VALUE_STRING, {"removeprefix", "prefix", str_removeprefix}},
    {VALUE_STRING, {"removesuffix", "suffix", str_removesuffix}},
    {VALUE_STRING, {"format", "*", str_format_method}},
    {VALUE_LIST, {"index", "value", list_index}},
    {VALUE_LIST, {"count", "value", list_count}},
    {VALUE_LIST, {"copy", "", copy_self}},
    {VALUE_LIST, {"append", "*", unsafe}},
    {VALUE_LIST, {"extend", "*", unsafe}},
    {VALUE_LIST, {"insert", "*", unsafe}},
    {VALUE_LIST, {"pop", "*", unsafe}},
    {VALUE_LIST, {"remove", "*", unsafe}},
    {VALUE_LIST, {"reverse", "*", unsafe}},
    {VALUE_LIST, {"sort", "*", unsafe}},
    {VALUE_LIST, {"clear", "*", unsafe}},
    {VALUE_TUPLE, {"index", "value", list_index}},
    {VALUE_TUPLE, {"count", "value", list_count}},
    {VALUE_DICT, {"get", "key default", dict_get}},
    {VALUE_DICT, {"items", "", dict_items}},
    {VALUE_DICT, {"keys", "", dict_keys}},
    {VALUE_DICT, {"values", "", dict_values}},
    {VALUE_DICT, {"copy", "", copy_self}},
    {VALUE_DICT, {"pop", "*", unsafe}},
    {VALUE_DICT, {"popitem", "*", unsafe}},
    {VALUE_DICT, {"update", "*", unsafe}},
    {VALUE_DICT, {"setdefault", "*", unsafe}},
    {VALUE_DICT, {"clear", "*", unsafe}},
    {VALUE_LOOP, {"cycle", "*", loop_cycle}},
    {VALUE_LOOP, {"changed", "*", loop_changed}},
    {VALUE_CYCLER, {"next", "", cycler_next}},
    {VALUE_CYCLER, {"reset", "", cycler_reset}},
};

const Builtin *method_find(Value object, Str name)
{
    for (size_t i = 0; i < COUNT(methods); i++)
        if (methods[i].kind == (ValueKind)object.kind &&
            str_eq(str_of(methods[i].method.name), name))
            return &methods[i].method;
    return NULL;
}

/* Global functions */

enum { MAX_RANGE = 100000 }; // as in Jinja's sandbox

static Value global_range(Render *r, Value self, const Args *args)
{
    bool one = args->items[1].kind == VALUE_MISSING;
    int64_t start = one ? 0 : arg_int(r, args, 0, 0);
    int64_t stop = arg_int(r, args, one ? 0 : 1, 0), step = arg_int(r, args, 2, 1);
    if (step == 0)
        return render_fail(r, ERR_INVALID, "range() arg 3 must not be zero");
    List *l = list_new(r, 0);
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (l->n == MAX_RANGE)
            return render_fail(r, ERR_LIMIT, "Range too big, the maximum is %d", MAX_RANGE);
        if (!render_ok(r))
            break;
        list_add(r, l, value_int(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return value_list(l);
}

/* dict(mapping or pairs, **named) and namespace(...) take the same. */
static Dict *build_dict(Render *r, const Args *args)
{
    Dict *d = dict_new(r);
    if (args->n > 1)
        render_fail(r, ERR_INVALID, "dict expected at most 1 argument, got %zu", args->n);
    Value from = args->n ? args->items[0] : undefined();
    if (from.kind == VALUE_DICT || from.kind == VALUE_NAMESPACE) {
        for (size_t i = 0; i < from.dict->n && render_ok(r); i++)
            dict_put(r, d, from.dict->pairs[i].key, from.dict->pairs[i].value);
    } else if (args->n) {
        const List *pairs = value_items(r, from);
        for (size_t i = 0; pairs && i < pairs->n && render_ok(r); i++) {
            const List *pair = value_items(r, pairs->items[i]);
            if (pair && pair->n == 2)
                dict_put(r, d, pair->items[0], pair->items[1]);
            else
                render_fail(r, ERR_INVALID, "dict needs pairs");
        }
    }
    for (size_t i = 0; i < args->n_named && render_ok(r); i++)
        dict_put(r, d, value_str(args->named[i].name), args->named[i].value);
    return d;
}

static Value global_dict(Render *r, Value self, const Args *args)
{
    return value_dict(build_dict(r, args));
}

static Value global_namespace(Render *r, Value self, const Args *args)
{
    return (Value){.kind = VALUE_NAMESPACE, .dict = build_dict(r, args)};
}

static Value global_raise_exception(Render *r, Value self, const Args *args)
{
    return render_fail(r, ERR_INVALID, "%.*s", STR(value_text(r, args->items[0])));
}

static Value global_strftime_now(Render *r, Value self, const Args *args)
{
    const char *format = arena_cstr(r->arena, needed_str(r, args, 0));
    time_t now = (time_t)((r->run && r->run->now ? r->run->now : wall_ns()) / NS_PER_S);
    struct tm local;
    char text[1024];
    if (!localtime_r(&now, &local))
        return render_fail(r, ERR_INVALID, "the time is out of range");
    return value_copy(r, (Str){text, strftime(text, sizeof text, format, &local)});
}

static Value global_cycler(Render *r, Value self, const Args *args)
{
    if (args->n == 0)
        return render_fail(r, ERR_INVALID, "at least one item has to be provided");
    Cycler *c = NEW(r->arena, Cycler);
    c->items = list_new(r, args->n);
    for (size_t i = 0; i < args->n && render_ok(r); i++)
        list_add(r, c->items, args->items[i]);
    return render_ok(r) ? (Value){.kind = VALUE_CYCLER, .cycler = c} : undefined();
}

static Value global_joiner(Render *r, Value self, const Args *args)
{
    Cycler *c = NEW(r->arena, Cycler);
    c->separator = arg_str(r, args, 0, S(", "));
    return (Value){.kind = VALUE_JOINER, .cycler = c};
}

static const Builtin globals[] = {
    {"range", "start stop step", global_range},
    {"dict", "*", global_dict},
    {"namespace", "*", global_namespace},
    {"raise_exception", "message", global_raise_exception},
    {"strftime_now", "format", global_strftime_now},
    {"cycler", "*", global_cycler},
    {"joiner", "sep", global_joiner},
};

const Builtin *global_find(Str name)
{
    for (size_t i = 0; i < COUNT(globals); i++)
        if (str_eq(str_of(globals[i].name), name))
            return &globals[i];
    return NULL;
}
