/* json_write.c: JSON as text; see json.h. Nested as deep as json_parse allows at most. */
#include "base/json.h"

enum { COMPACT = -1 };

static void write_value(Buf *out, const json_t *value, int level);

static void write_string(Buf *out, const char *s, size_t n)
{
    static const char letters[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    size_t plain = 0; // where those begin that stand for themselves
    buf_add_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        buf_add_bytes(out, s + plain, i - plain);
        plain = i + 1;
        char letter = c >= ' ' ? s[i] : letters[c];
        if (letter)
            buf_add_bytes(out, (const char[]){'\\', letter}, 2);
        else
            buf_printf(out, "\\u%04x", c);
    }
    buf_add_bytes(out, s + plain, n - plain);
    buf_add_char(out, '"');
}

static void new_line(Buf *out, int level)
{
    if (level == COMPACT)
        return;
    buf_add_char(out, '\n');
    for (int i = 0; i < level; i++)
        buf_add(out, S("  "));
}

static int inside(int level)
{
    return level == COMPACT ? COMPACT : level + 1;
}

static void write_array(Buf *out, const json_t *array, int level)
{
    size_t n = json_array_size(array);
    buf_add_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add(out, i ? S(",") : S(""));
        new_line(out, inside(level));
        write_value(out, json_array_get(array, i), inside(level));
    }
    if (n)
        new_line(out, level);
    buf_add_char(out, ']');
}

static void write_object(Buf *out, const json_t *object, int level)
{
    json_t *members = (json_t *)(uintptr_t)object; // jansson's iterators want them writable
    const char *comma = "";
    buf_add_char(out, '{');
    for (void *m = json_object_iter(members); m; m = json_object_iter_next(members, m)) {
        buf_add(out, str_of(comma));
        comma = ",";
        new_line(out, inside(level));
        write_string(out, json_object_iter_key(m), json_object_iter_key_len(m));
        buf_add(out, level == COMPACT ? S(":") : S(": "));
        write_value(out, json_object_iter_value(m), inside(level));
    }
    if (*comma)
        new_line(out, level);
    buf_add_char(out, '}');
}

static void write_value(Buf *out, const json_t *value, int level)
{
    char number[DOUBLE_TEXT];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(out, value, level);
        return;
    case JSON_ARRAY:
        write_array(out, value, level);
        return;
    case JSON_STRING:
        write_string(out, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return;
    case JSON_REAL: // never infinite or none: jansson makes no such values
        double_format(json_real_value(value), number);
        buf_add(out, str_of(number));
        return;
    case JSON_TRUE:
        buf_add(out, S("true"));
        return;
    case JSON_FALSE:
        buf_add(out, S("false"));
        return;
    case JSON_NULL:
        buf_add(out, S("null"));
    }
}

void json_write(Buf *out, const json_t *value)
{
    if (value)
        write_value(out, value, COMPACT);
}

void json_write_indented(Buf *out, const json_t *value)
{
    if (value)
        write_value(out, value, 0);
}
