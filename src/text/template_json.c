/* template_json.c: tojson, as Python's json.dumps writes it. */
#include "text/template_internal.h"

#include <math.h>

static void newline(Buf *out, const JsonStyle *style, int level)
{
    if (style->indent < 0)
        return;
    buf_add_char(out, '\n');
    for (int i = 0; i < style->indent * level; i++)
        buf_add_char(out, ' ');
}

static void write_code(Buf *out, int32_t code, const JsonStyle *style)
{
    if (code >= 0x10000 && style->ascii)
        buf_printf(out, "\\u%04x\\u%04x", 0xD800u + (unsigned)((code - 0x10000) >> 10),
                   0xDC00u + (unsigned)((code - 0x10000) & 0x3FF));
    else
        buf_printf(out, "\\u%04x", (unsigned)code);
}

static void write_string(Render *r, Buf *out, Str s, const JsonStyle *style)
{
    if (!render_work(r, s.len / 8))
        return;
    buf_add_char(out, '"');
    for (size_t pos = 0; pos < s.len;) {
        static const char plain[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
        int32_t code = utf8_next(s, &pos);
        code = code < 0 ? 0xFFFD : code;
        const char *named = code && code < 128 ? strchr(plain, code) : NULL;
        if (named)
            buf_printf(out, "\\%c", names[named - plain]);
        else if (code < 0x20 || (style->ascii && code > 126) ||
                 (style->html && code < 128 && strchr("<>&'", code)))
            write_code(out, code, style);
        else
            buf_add_utf8(out, code);
    }
    buf_add_char(out, '"');
}

static void write_value(Render *r, Buf *out, Value v, const JsonStyle *style, int level);

static void write_list(Render *r, Buf *out, const List *l, const JsonStyle *style, int level)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < l->n && render_ok(r); i++) {
        buf_add(out, i ? style->comma : S(""));
        newline(out, style, level + 1);
        write_value(r, out, l->items[i], style, level + 1);
    }
    if (l->n)
        newline(out, style, level);
    buf_add_char(out, ']');
}

static void write_key(Render *r, Buf *out, Value key, const JsonStyle *style)
{
    AUTO_BUF text;
    buf_init(&text, r->limits.memory);
    if (is_string(key)) {
        write_string(r, out, key.s, style);
        return;
    }
    if (key.kind > VALUE_FLOAT || key.kind < VALUE_NONE)
        render_fail(r, ERR_INVALID, "keys must be str, int, float, bool or None, not %s",
                    value_type(key));
    write_value(r, &text, key, style, 0);
    write_string(r, out, buf_str(&text), style);
}

static int pair_order(const void *a, const void *b)
{
    const Pair *left = a, *right = b;
    return str_cmp(left->key.s, right->key.s);
}

static const Pair *sorted_pairs(Render *r, const Dict *d)
{
    if (!render_room(r, d->n * sizeof(Pair)))
        return d->pairs;
    Pair *pairs = NEW_ARRAY(r->arena, Pair, d->n + 1);
    for (size_t i = 0; i < d->n; i++) {
        if (!is_string(d->pairs[i].key))
            return d->pairs;
        pairs[i] = d->pairs[i];
    }
    qsort(pairs, d->n, sizeof *pairs, pair_order);
    return pairs;
}

static void write_dict(Render *r, Buf *out, const Dict *d, const JsonStyle *style, int level)
{
    const Pair *pairs = style->sort ? sorted_pairs(r, d) : d->pairs;
    buf_add_char(out, '{');
    for (size_t i = 0; i < d->n && render_ok(r); i++) {
        buf_add(out, i ? style->comma : S(""));
        newline(out, style, level + 1);
        write_key(r, out, pairs[i].key, style);
        buf_add(out, style->colon);
        write_value(r, out, pairs[i].value, style, level + 1);
    }
    if (d->n)
        newline(out, style, level);
    buf_add_char(out, '}');
}

static void write_float(Buf *out, double f)
{
    char text[DOUBLE_TEXT];
    double_format(f, text);
    buf_add(out, isnan(f)   ? S("NaN")
                 : isinf(f) ? (f < 0 ? S("-Infinity") : S("Infinity"))
                            : str_of(text));
}

static void write_value(Render *r, Buf *out, Value v, const JsonStyle *style, int level)
{
    if (level > MAX_VALUE_DEPTH)
        render_fail(r, ERR_LIMIT, "a value nests too deep");
    if (out->failed)
        render_fail(r, ERR_LIMIT, "the template takes too much memory");
    if (!render_work(r, 1))
        return;
    if (v.kind == VALUE_NONE)
        buf_add(out, S("null"));
    else if (v.kind == VALUE_BOOL)
        buf_add(out, v.i ? S("true") : S("false"));
    else if (v.kind == VALUE_INT)
        buf_printf(out, "%lld", (long long)v.i);
    else if (v.kind == VALUE_FLOAT)
        write_float(out, v.f);
    else if (is_string(v))
        write_string(r, out, v.s, style);
    else if (is_list(v))
        write_list(r, out, v.list, style, level);
    else if (v.kind == VALUE_DICT)
        write_dict(r, out, v.dict, style, level);
    else
        render_fail(r, ERR_INVALID, "Object of type %s is not JSON serializable", value_type(v));
}

void value_json(Render *r, Buf *out, Value v, const JsonStyle *style)
{
    write_value(r, out, v, style, 0);
}
