/* template_filter.c: the filters of templates, `value | name(...)`. */
#include "base/encode.h"
#include "text/template_internal.h"

#include <math.h>

/* Attributes of items: "name", "a.b.0", or an integer. `otherwise` stands in for each part that is
 * undefined, unless it is MISSING. */
static Value item_attr_or(Render *r, Value item, Value path, Value otherwise)
{
    if (!is_string(path))
        return value_item(r, item, path);
    Str rest = path.s, part;
    while (render_ok(r) && str_split(&rest, '.', &part)) {
        int64_t at;
        bool index = str_to_int(part, 0, INT32_MAX, &at);
        item = value_item(r, item, index ? value_int(at) : value_str(part));
        if (item.kind == VALUE_UNDEFINED && otherwise.kind != VALUE_MISSING)
            item = otherwise;
    }
    return item;
}

static Value item_attr(Render *r, Value item, Value path)
{
    return item_attr_or(r, item, path, (Value){0});
}

/* What to sort and compare by: the item or attributes of it, strings without case. */
static Value sort_key(Render *r, Value item, Value attribute, bool case_sensitive)
{
    bool whole = attribute.kind == VALUE_MISSING || attribute.kind == VALUE_NONE;
    if (is_string(attribute) && str_find_char(attribute.s, ',', 0) != SIZE_MAX) {
        List *keys = list_new(r, 2);
        Str rest = attribute.s, part;
        while (render_ok(r) && str_split(&rest, ',', &part))
            list_add(r, keys, sort_key(r, item, value_str(part), case_sensitive));
        return value_tuple(keys);
    }
    Value key = whole ? item : item_attr(r, item, attribute);
    return is_string(key) && !case_sensitive ? text_case(r, key.s, CASE_LOWER) : key;
}

/* Stable merge sort of pairs by key. */
static void sort_pairs(Render *r, Pair *pairs, Pair *spare, size_t n, bool reverse)
{
    if (n < 2 || !render_work(r, n))
        return;
    size_t half = n / 2;
    sort_pairs(r, pairs, spare, half, reverse);
    sort_pairs(r, pairs + half, spare, n - half, reverse);
    memcpy(spare, pairs, half * sizeof *pairs);
    for (size_t i = 0, k = half, to = 0; i < half; to++) {
        int order = k < n ? value_cmp(r, spare[i].key, pairs[k].key) : -1;
        bool first = k >= n || (reverse ? order >= 0 : order <= 0);
        pairs[to] = first ? spare[i++] : pairs[k++];
    }
}

static List *sorted(Render *r, const List *items, Value attribute, bool case_sensitive,
                    bool reverse)
{
    List *out = list_new(r, items->n);
    if (!render_room(r, items->n * 2 * sizeof(Pair)))
        return out;
    Pair *pairs = NEW_ARRAY(r->arena, Pair, items->n * 2 + 1);
    for (size_t i = 0; i < items->n && render_ok(r); i++)
        pairs[i] = (Pair){sort_key(r, items->items[i], attribute, case_sensitive), items->items[i]};
    if (render_ok(r))
        sort_pairs(r, pairs, pairs + items->n, items->n, reverse);
    for (size_t i = 0; i < items->n && render_ok(r); i++)
        list_add(r, out, pairs[i].value);
    return out;
}

/* Lists */

static Value filter_length(Render *r, Value v, const Args *args)
{
    int64_t n = 0;
    if (!value_length(r, v, &n))
        return render_fail(r, ERR_INVALID, "object of type '%s' has no len()", value_type(v));
    return value_int(n);
}

static Value filter_first(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    return l && l->n ? l->items[0] : undefined();
}

static Value filter_last(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    return l && l->n ? l->items[l->n - 1] : undefined();
}

static Value filter_list(Render *r, Value v, const Args *args)
{
    List *l = value_items(r, v);
    return l ? value_list(l) : undefined();
}

static Value filter_reverse(Render *r, Value v, const Args *args)
{
    if (is_string(v))
        return text_reverse(r, v.s);
    const List *l = value_items(r, v);
    List *out = list_new(r, l ? l->n : 0);
    for (size_t i = l ? l->n : 0; i-- > 0 && render_ok(r);)
        list_add(r, out, l->items[i]);
    return value_list(out);
}

static Value filter_sort(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    bool reverse = arg_flag(r, args, 0, false), case_sensitive = arg_flag(r, args, 1, false);
    return l ? value_list(sorted(r, l, args->items[2], case_sensitive, reverse)) : undefined();
}

static Value extreme(Render *r, Value v, const Args *args, int sign)
{
    const List *l = value_items(r, v);
    bool case_sensitive = arg_flag(r, args, 0, false);
    Value best = undefined(), best_key = undefined();
    for (size_t i = 0; l && i < l->n && render_ok(r); i++) {
        Value key = sort_key(r, l->items[i], args->items[1], case_sensitive);
        if (i == 0 || value_cmp(r, key, best_key) * sign > 0) {
            best = l->items[i];
            best_key = key;
        }
    }
    return best;
}

static Value filter_max(Render *r, Value v, const Args *args)
{
    return extreme(r, v, args, 1);
}

static Value filter_min(Render *r, Value v, const Args *args)
{
    return extreme(r, v, args, -1);
}

static Value filter_unique(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    bool case_sensitive = arg_flag(r, args, 0, false);
    Dict *seen = dict_new(r);
    List *out = list_new(r, 0);
    for (size_t i = 0; l && i < l->n && render_ok(r); i++) {
        Value key = sort_key(r, l->items[i], args->items[1], case_sensitive);
        if (dict_find(r, seen, key))
            continue;
        dict_put(r, seen, key, none());
        list_add(r, out, l->items[i]);
    }
    return value_list(out);
}

static Value filter_sum(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    Value sum = arg_or(args, 1, value_int(0));
    for (size_t i = 0; l && i < l->n && render_ok(r); i++) {
        Value item = l->items[i];
        if (args->items[0].kind > VALUE_NONE)
            item = item_attr(r, item, args->items[0]);
        sum = eval_binary(r, OP_ADD, sum, item);
    }
    return sum;
}

Value filter_join(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    Value separator = arg_or(args, 0, value_str(S("")));
    bool html = r->template->options.html, safe = is_string(separator) && separator.safe;
    for (size_t i = 0; html && l && i < l->n; i++)
        safe = safe || (is_string(l->items[i]) && l->items[i].safe);
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    for (size_t i = 0; l && i < l->n * 2 && render_work(r, 1); i++) {
        if (i == 0)
            continue; // separators have even places, but for the first
        Value part = i % 2 ? l->items[i / 2] : separator;
        if (i % 2 && args->items[1].kind > VALUE_NONE)
            part = item_attr(r, part, args->items[1]);
        if (safe && !(is_string(part) && part.safe))
            html_escape(&out, value_text(r, part));
        else
            buf_add(&out, value_text(r, part));
    }
    if (out.failed)
        return render_fail(r, ERR_LIMIT, "the template takes too much memory");
    Value joined = value_copy(r, buf_str(&out));
    joined.safe = safe;
    return joined;
}

static Value filter_items(Render *r, Value v, const Args *args)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_list(list_new(r, 0));
    const Args nothing = {0};
    const Builtin *items = v.kind == VALUE_DICT ? method_find(v, S("items")) : NULL;
    return items ? items->call(r, v, &nothing)
                 : render_fail(r, ERR_INVALID, "Can only get item pairs from a mapping");
}

static Value filter_dictsort(Render *r, Value v, const Args *args)
{
    Str by = arg_str(r, args, 1, S("key"));
    bool key = str_eq(by, S("key"));
    if (!key && !str_eq(by, S("value")))
        return render_fail(r, ERR_INVALID, "You can only sort by either \"key\" or \"value\"");
    Value pairs = filter_items(r, v, args);
    if (!render_ok(r))
        return pairs;
    return value_list(sorted(r, pairs.list, value_int(key ? 0 : 1), arg_flag(r, args, 0, false),
                             arg_flag(r, args, 2, false)));
}

static Value filter_groupby(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    bool case_sensitive = arg_flag(r, args, 2, false);
    List *out = list_new(r, 0), *group = NULL;
    if (!l)
        return undefined();
    const List *items = sorted(r, l, args->items[0], case_sensitive, false);
    Value last = undefined();
    for (size_t i = 0; i < items->n && render_ok(r); i++) {
        Value key = sort_key(r, items->items[i], args->items[0], case_sensitive);
        if (i == 0 || !value_eq(r, key, last)) {
            List *pair = list_new(r, 2);
            group = list_new(r, 0);
            list_add(r, pair, item_attr(r, items->items[i], args->items[0]));
            list_add(r, pair, value_list(group));
            list_add(r, out, value_tuple(pair));
            last = key;
        }
        list_add(r, group, items->items[i]);
    }
    return value_list(out);
}

static Value filter_batch(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    int64_t size = arg_int(r, args, 0, 1);
    List *out = list_new(r, 0), *row = NULL;
    for (size_t i = 0; l && i < l->n && render_ok(r); i++) {
        if (!row || (int64_t)row->n >= size) {
            row = list_new(r, 0);
            list_add(r, out, value_list(row));
        }
        list_add(r, row, l->items[i]);
    }
    while (row && args->items[1].kind > VALUE_NONE && (int64_t)row->n < size && render_work(r, 1))
        list_add(r, row, args->items[1]);
    return value_list(out);
}

static Value filter_slice(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    int64_t slices = arg_int(r, args, 0, 1);
    if (!l || slices < 1 || !render_room(r, (size_t)slices * sizeof(Value)))
        return render_fail(r, ERR_INVALID, "slice needs a positive number");
    size_t each = l->n / (size_t)slices, longer = l->n % (size_t)slices, at = 0;
    List *out = list_new(r, (size_t)slices);
    for (size_t i = 0; i < (size_t)slices && render_work(r, 1); i++) {
        List *part = list_new(r, each + 1);
        for (size_t k = 0; k < each + (i < longer); k++)
            list_add(r, part, l->items[at++]);
        if (args->items[1].kind > VALUE_NONE && i >= longer)
            list_add(r, part, args->items[1]);
        list_add(r, out, value_list(part));
    }
    return value_list(out);
}

/* map, select and relatives: another filter or test on each item */

static Args rest_of(const Args *args, size_t from)
{
    size_t n = args->n > from ? args->n - from : 0;
    return (Args){n ? args->items + from : NULL, n, args->named, args->n_named};
}

static const Builtin *named_builtin(Render *r, const Args *args, size_t i,
                                    const Builtin *(*find)(Str name), const char *kind)
{
    Str name = is_string(args->items[i]) ? args->items[i].s : S("?");
    const Builtin *b = find(name);
    if (!b)
        render_fail(r, ERR_INVALID, "no %s named '%.*s'", kind, STR(name));
    return b;
}

static const Value *named_value(const Args *args, Str name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_eq(args->named[i].name, name))
            return &args->named[i].value;
    return NULL;
}

static Value filter_map(Render *r, Value v, const Args *args)
{
    const List *l = value_items(r, v);
    const Value *attribute = args->n ? NULL : named_value(args, S("attribute"));
    const Value *given = attribute ? named_value(args, S("default")) : NULL;
    Value otherwise = given ? *given : (Value){0};
    if (!args->n && !attribute)
        return render_fail(r, ERR_INVALID, "map requires a filter argument");
    const Builtin *filter = attribute ? NULL : named_builtin(r, args, 0, filter_find, "filter");
    Args rest = rest_of(args, 1);
    List *out = list_new(r, l ? l->n : 0);
    for (size_t i = 0; l && i < l->n && render_ok(r); i++) {
        Value item = attribute ? item_attr_or(r, l->items[i], *attribute, otherwise)
                               : call_builtin(r, filter, l->items[i], &rest);
        list_add(r, out, item);
    }
    return value_list(out);
}

static Value select_items(Render *r, Value v, const Args *args, bool by_attr, bool keep)
{
    const List *l = value_items(r, v);
    if (by_attr && !args->n)
        return render_fail(r, ERR_INVALID, "Missing parameter for attribute name");
    size_t at = by_attr ? 1 : 0;
    const Builtin *test = args->n > at ? named_builtin(r, args, at, test_find, "test") : NULL;
    Args rest = rest_of(args, at + 1);
    List *out = list_new(r, 0);
    for (size_t i = 0; l && i < l->n && render_work(r, 1); i++) {
        Value item = by_attr ? item_attr(r, l->items[i], args->items[0]) : l->items[i];
        Value hit = test ? call_builtin(r, test, item, &rest) : item;
        if (value_truth(r, hit) == keep)
            list_add(r, out, l->items[i]);
    }
    return value_list(out);
}

static Value filter_select(Render *r, Value v, const Args *args)
{
    return select_items(r, v, args, false, true);
}

static Value filter_reject(Render *r, Value v, const Args *args)
{
    return select_items(r, v, args, false, false);
}

static Value filter_selectattr(Render *r, Value v, const Args *args)
{
    return select_items(r, v, args, true, true);
}

static Value filter_rejectattr(Render *r, Value v, const Args *args)
{
    return select_items(r, v, args, true, false);
}

/* Text */

static Value filter_string(Render *r, Value v, const Args *args)
{
    return is_string(v) ? v : value_str(value_text(r, v));
}

static Value filter_lower(Render *r, Value v, const Args *args)
{
    return text_case(r, value_text(r, v), CASE_LOWER);
}

static Value filter_upper(Render *r, Value v, const Args *args)
{
    return text_case(r, value_text(r, v), CASE_UPPER);
}

static Value filter_capitalize(Render *r, Value v, const Args *args)
{
    return text_case(r, value_text(r, v), CASE_CAPITALIZE);
}

/* Words begin behind white space, hyphens and opening brackets, so that "it's" stays "It's". */
static Value filter_title(Render *r, Value v, const Args *args)
{
    Str s = value_text(r, v);
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    for (size_t pos = 0; pos < s.len && render_work(r, 1);) {
        size_t start = pos, end;
        for (end = pos; pos < s.len; end = pos) {
            int32_t code = utf8_next(s, &pos);
            if (is_python_space(code) || (code > 0 && code < 128 && strchr("-({[<", code)))
                break;
        }
        buf_add(&out, text_case(r, str_slice(s, start, end), CASE_CAPITALIZE).s);
        buf_add(&out, str_slice(s, end, pos));
    }
    return value_copy(r, buf_str(&out));
}

static Value filter_trim(Render *r, Value v, const Args *args)
{
    Str s = value_text(r, v), chars = arg_str(r, args, 0, (Str){0});
    if (!render_work(r, (s.len / 16 + 1) * (chars.len / 16 + 1)))
        return undefined();
    return (Value){
        .kind = VALUE_STRING, .safe = is_string(v) && v.safe, .s = text_strip(s, chars, SIDE_BOTH)};
}

static Value filter_replace(Render *r, Value v, const Args *args)
{
    return text_replace(r, value_text(r, v), value_text(r, args->items[0]),
                        value_text(r, args->items[1]), arg_int(r, args, 2, -1));
}

static Value filter_center(Render *r, Value v, const Args *args)
{
    return text_pad(r, value_text(r, v), arg_int(r, args, 0, 80), S(" "), 'c');
}

static Value filter_indent(Render *r, Value v, const Args *args)
{
    Str by = is_string(args->items[0]) ? args->items[0].s : S("");
    if (!by.len)
        by = text_pad(r, S(""), arg_int(r, args, 0, 4), S(" "), '<').s;
    bool first = arg_flag(r, args, 1, false), blank = arg_flag(r, args, 2, false);
    // Python's version adds a newline before it splits, so that a last empty line counts.
    Str s = value_text(r, eval_binary(r, OP_ADD, value_str(value_text(r, v)), value_str(S("\n"))));
    const List *lines = text_lines(r, s, false);
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    for (size_t i = 0; i < lines->n && render_work(r, 1); i++) {
        Str line = lines->items[i].s;
        buf_add(&out, i ? S("\n") : S(""));
        if (i ? blank || line.len : first)
            buf_add(&out, by);
        buf_add(&out, line);
    }
    if (out.failed)
        return render_fail(r, ERR_LIMIT, "the template takes too much memory");
    return value_copy(r, buf_str(&out));
}

static Value filter_truncate(Render *r, Value v, const Args *args)
{
    Str s = value_text(r, v), end = arg_str(r, args, 2, S("..."));
    int64_t length = arg_int(r, args, 0, 255), leeway = arg_int(r, args, 3, 5);
    int64_t room = length - (int64_t)str_chars(end);
    if ((int64_t)str_chars(s) <= length + leeway)
        return value_str(s);
    if (room < 0)
        return render_fail(r, ERR_INVALID, "expected length >= %zu, got %lld", str_chars(end),
                           (long long)length);
    s = str_slice(s, 0, str_char_at(s, (size_t)room));
    size_t space = arg_flag(r, args, 1, false) ? SIZE_MAX : str_rfind_char(s, ' ');
    return eval_binary(r, OP_ADD, value_str(str_slice(s, 0, space)), value_str(end));
}

static Value filter_wordcount(Render *r, Value v, const Args *args)
{
    Str s = value_text(r, v);
    int64_t n = 0;
    bool in_word = false;
    for (size_t pos = 0; pos < s.len && render_work(r, 1);) {
        size_t start = pos;
        utf8_next(s, &pos);
        Str c = str_slice(s, start, pos);
        bool word = str_eq(c, S("_")) || text_is(r, c, 'n');
        n += word && !in_word;
        in_word = word;
    }
    return value_int(n);
}

static Value filter_format(Render *r, Value v, const Args *args)
{
    List *positional = list_new(r, args->n);
    Dict *named = dict_new(r);
    for (size_t i = 0; i < args->n && render_ok(r); i++)
        list_add(r, positional, args->items[i]);
    for (size_t i = 0; i < args->n_named && render_ok(r); i++)
        dict_put(r, named, value_str(args->named[i].name), args->named[i].value);
    return format_percent(r, value_text(r, v),
                          named->n ? value_dict(named) : value_tuple(positional));
}

static Value filter_safe(Render *r, Value v, const Args *args)
{
    return (Value){.kind = VALUE_STRING, .safe = true, .s = value_text(r, v)};
}

static Value filter_escape(Render *r, Value v, const Args *args)
{
    if (is_string(v) && v.safe)
        return v;
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    // Jinja writes &#34; for the quote; in chat templates that shows.
    Str s = value_text(r, v);
    if (!render_room(r, s.len * 6))
        return undefined();
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '"')
            buf_add(&out, S("&#34;"));
        else
            html_escape(&out, str_slice(s, i, i + 1));
    Value escaped = value_copy(r, buf_str(&out));
    escaped.safe = true;
    return escaped;
}

static void add_query_part(Render *r, Buf *out, Value v)
{
    Str rest = value_text(r, v), part;
    for (bool first = true; str_split(&rest, ' ', &part); first = false) {
        buf_add(out, first ? S("") : S("+"));
        url_encode(out, part, "");
    }
}

static Value filter_urlencode(Render *r, Value v, const Args *args)
{
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    if (v.kind != VALUE_DICT) {
        url_encode(&out, value_text(r, v), "/");
        return value_copy(r, buf_str(&out));
    }
    for (size_t i = 0; i < v.dict->n && render_work(r, 1); i++) {
        buf_add(&out, i ? S("&") : S(""));
        add_query_part(r, &out, v.dict->pairs[i].key);
        buf_add_char(&out, '=');
        add_query_part(r, &out, v.dict->pairs[i].value);
    }
    return value_copy(r, buf_str(&out));
}

static Value filter_tojson(Render *r, Value v, const Args *args)
{
    Value indent = args->items[1], separators = args->items[2];
    JsonStyle style = {.indent = -1, .comma = S(", "), .colon = S(": ")};
    style.html = r->template->options.html;
    style.ascii = arg_flag(r, args, 0, false);
    style.sort = arg_flag(r, args, 3, false);
    if (indent.kind > VALUE_NONE) {
        style.indent = (int)MAX(MIN(arg_int(r, args, 1, 0), (int64_t)64), (int64_t)0);
        style.comma = S(",");
    }
    if (is_list(separators) && separators.list->n == 2) {
        style.comma = value_text(r, separators.list->items[0]);
        style.colon = value_text(r, separators.list->items[1]);
    }
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    value_json(r, &out, v, &style);
    Value json = value_copy(r, buf_str(&out));
    json.safe = style.html;
    return json;
}

static Value filter_from_json(Render *r, Value v, const Args *args)
{
    Error err = {0};
    json_t *json = json_parse(value_text(r, v), "from_json", &err);
    if (!json)
        return render_fail(r, ERR_INVALID, "%s", err.text);
    arena_defer(r->arena, (void (*)(void *))json_decref, json);
    return value_from_json(r, json);
}

static Value filter_filesizeformat(Render *r, Value v, const Args *args)
{
    static const char *const units[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    double bytes = number_of(v);
    bool binary = arg_flag(r, args, 0, false);
    double base = binary ? 1024 : 1000;
    char text[64];
    if (!is_number(v))
        return render_fail(r, ERR_INVALID, "a size must be a number, not %s", value_type(v));
    if (bytes == 1 || fabs(bytes) < base) {
        snprintf(text, sizeof text, bytes == 1 ? "1 Byte" : "%.0f Bytes", trunc(bytes));
        return value_copy(r, str_of(text));
    }
    size_t i = 0;
    double unit = base;
    while (i + 1 < COUNT(units) && bytes >= unit * base) {
        unit *= base;
        i++;
    }
    if (binary)
        snprintf(text, sizeof text, "%.1f %ciB", bytes / unit, i ? units[i][0] : 'K');
    else
        snprintf(text, sizeof text, "%.1f %sB", bytes / unit, units[i]);
    return value_copy(r, str_of(text));
}

/* Numbers */

static bool parse_int(Str s, int64_t base, int64_t *out)
{
    s = text_strip(s, (Str){0}, SIDE_BOTH);
    if (base == 10 && s.len && s.ptr[0] == '+')
        s = str_slice(s, 1, s.len);
    if (base == 10)
        return str_to_int(s, INT64_MIN, INT64_MAX, out);
    char copy[80], *end;
    if (s.len == 0 || s.len >= sizeof copy || base < 2 || base > 36)
        return false;
    bool binary = base == 2 && (str_starts(s, S("0b")) || str_starts(s, S("0o")));
    s = str_slice(s, binary || (base == 8 && str_starts(s, S("0o"))) ? 2 : 0, s.len);
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = 0;
    *out = strtoll(copy, &end, (int)base);
    return s.len && end == copy + s.len;
}

static Value filter_int(Render *r, Value v, const Args *args)
{
    Value otherwise = arg_or(args, 0, value_int(0));
    int64_t n;
    double f = v.kind == VALUE_FLOAT ? v.f : (double)NAN;
    if (is_int(v))
        return value_int(v.i);
    if (v.kind == VALUE_UNDEFINED)
        return eval_undefined(r, v);
    if (is_string(v) && parse_int(v.s, arg_int(r, args, 1, 10), &n))
        return value_int(n);
    if (is_string(v) && !str_to_double(text_strip(v.s, (Str){0}, SIDE_BOTH), &f))
        return otherwise;
    return fabs(f) < 0x1p63 ? value_int((int64_t)f) : otherwise;
}

static Value filter_float(Render *r, Value v, const Args *args)
{
    double f;
    if (is_number(v))
        return value_float(number_of(v));
    if (v.kind == VALUE_UNDEFINED)
        return eval_undefined(r, v);
    if (is_string(v) && str_to_double(text_strip(v.s, (Str){0}, SIDE_BOTH), &f))
        return value_float(f);
    return arg_or(args, 0, value_float(0));
}

static Value filter_abs(Render *r, Value v, const Args *args)
{
    if (v.kind == VALUE_FLOAT)
        return value_float(fabs(v.f));
    if (is_int(v))
        return v.i < 0 ? eval_binary(r, OP_SUB, value_int(0), v) : value_int(v.i);
    return render_fail(r, ERR_INVALID, "bad operand type for abs(): '%s'", value_type(v));
}

static Value filter_round(Render *r, Value v, const Args *args)
{
    int64_t places = MAX(MIN(arg_int(r, args, 0, 0), (int64_t)60), (int64_t)-60);
    Str method = arg_str(r, args, 1, S("common"));
    if (!is_number(v))
        return render_fail(r, ERR_INVALID, "type %s doesn't define __round__ method",
                           value_type(v));
    bool common = str_eq(method, S("common"));
    if (common && is_int(v) && places >= 0)
        return value_int(v.i);
    double f = number_of(v), scale = pow(10, (double)places);
    if (!common)
        return value_float((str_eq(method, S("ceil")) ? ceil(f * scale) : floor(f * scale)) /
                           scale);
    if (places < 0) {
        double rounded = nearbyint(f * scale) / scale;
        return is_int(v) ? value_int((int64_t)rounded) : value_float(rounded);
    }
    char text[512]; // printf rounds the exact value, halves to even, as Python does
    snprintf(text, sizeof text, "%.*f", (int)places, f);
    return value_float(strtod(text, NULL));
}

/* Others */

static Value filter_default(Render *r, Value v, const Args *args)
{
    Value otherwise = arg_or(args, 0, value_str(S("")));
    if (v.kind == VALUE_UNDEFINED)
        return otherwise;
    return arg_flag(r, args, 1, false) && !value_truth(r, v) ? otherwise : v;
}

/* Python's attributes only: of a dict its methods, not its keys. */
static Value filter_attr(Render *r, Value v, const Args *args)
{
    Str name = arg_str(r, args, 0, S(""));
    bool key = v.kind == VALUE_DICT && !method_find(v, name);
    return key ? (Value){.kind = VALUE_UNDEFINED, .owner = v.kind, .s = name}
               : value_attr(r, v, name);
}

static const Builtin filters[] = {
    {"abs", "", filter_abs},
    {"attr", "name", filter_attr},
    {"batch", "linecount fill_with", filter_batch},
    {"capitalize", "", filter_capitalize},
    {"center", "width", filter_center},
    {"count", "", filter_length},
    {"d", "default_value boolean", filter_default},
    {"default", "default_value boolean", filter_default},
    {"dictsort", "case_sensitive by reverse", filter_dictsort},
    {"e", "", filter_escape},
    {"escape", "", filter_escape},
    {"filesizeformat", "binary", filter_filesizeformat},
    {"first", "", filter_first},
    {"float", "default", filter_float},
    {"format", "*", filter_format},
    {"from_json", "", filter_from_json},
    {"groupby", "attribute default case_sensitive", filter_groupby},
    {"indent", "width first blank", filter_indent},
    {"int", "default base", filter_int},
    {"items", "", filter_items},
    {"join", "d attribute", filter_join},
    {"last", "", filter_last},
    {"length", "", filter_length},
    {"list", "", filter_list},
    {"lower", "", filter_lower},
    {"map", "*", filter_map},
    {"max", "case_sensitive attribute", filter_max},
    {"min", "case_sensitive attribute", filter_min},
    {"reject", "*", filter_reject},
    {"rejectattr", "*", filter_rejectattr},
    {"replace", "old new count", filter_replace},
    {"reverse", "", filter_reverse},
    {"round", "precision method", filter_round},
    {"safe", "", filter_safe},
    {"select", "*", filter_select},
    {"selectattr", "*", filter_selectattr},
    {"slice", "slices fill_with", filter_slice},
    {"sort", "reverse case_sensitive attribute", filter_sort},
    {"string", "", filter_string},
    {"sum", "attribute start", filter_sum},
    {"title", "", filter_title},
    {"tojson", "ensure_ascii indent separators sort_keys", filter_tojson},
    {"trim", "chars", filter_trim},
    {"truncate", "length killwords end leeway", filter_truncate},
    {"unique", "case_sensitive attribute", filter_unique},
    {"upper", "", filter_upper},
    {"urlencode", "", filter_urlencode},
    {"wordcount", "", filter_wordcount},
};

const Builtin *filter_find(Str name)
{
    for (size_t i = 0; i < COUNT(filters); i++)
        if (str_eq(str_of(filters[i].name), name))
            return &filters[i];
    return NULL;
}
