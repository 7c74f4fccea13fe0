/* schema_json.c: what any JSON is made of: white space, texts, numbers, lists; see
 * grammar_schema.c. */
#include "text/schema_internal.h"

Expr schema_text(Schema *s, const char *text)
{
    return expr_text(s->b, str_of(text));
}

Expr schema_nothing(Schema *s)
{
    return expr_sequence(s->b);
}

Expr schema_row(Schema *s, Expr a, Expr b, Expr c, Expr d, Expr e)
{
    const Expr items[] = {a, b, c, d, e};
    Expr list = expr_sequence(s->b);
    for (size_t i = 0; i < COUNT(items) && items[i] >= 0; i++)
        expr_add(s->b, list, items[i]);
    return list;
}

Expr schema_either(Schema *s, Expr a, Expr b)
{
    Expr list = expr_choice(s->b);
    expr_add(s->b, list, a);
    expr_add(s->b, list, b);
    return list;
}

Expr schema_digits(Schema *s, char from, char to, int64_t min, int64_t max)
{
    return expr_repeat(s->b, expr_chars(s->b, (CharRange[]){{from, to}}, 1), min, max);
}

Expr schema_optional(Schema *s, Expr e)
{
    return expr_repeat(s->b, e, 0, 1);
}

// ---- Plain JSON ----

Expr schema_space(Schema *s)
{
    if (s->space < 0) {
        s->space = rule_new(s->b, S("white space"));
        Expr deep = schema_row(
            s, schema_text(s, "\n"),
            expr_repeat(s->b, expr_chars(s->b, (CharRange[]){{' ', ' '}, {'\t', '\t'}}, 2), 0, 40),
            -1, -1, -1);
        rule_set(s->b, s->space, schema_optional(s, schema_either(s, schema_text(s, " "), deep)));
    }
    return expr_rule(s->b, s->space);
}

/* \uXXXX, surrogates in pairs only. */
static Expr unicode_escape(Builder *b)
{
    static const CharRange hex[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
    static const CharRange plain[] = {{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}};
    static const CharRange d[] = {{'D', 'D'}, {'d', 'd'}}, low[] = {{'0', '7'}};
    static const CharRange high[] = {{'8', '9'}, {'A', 'B'}, {'a', 'b'}};
    static const CharRange second[] = {{'C', 'F'}, {'c', 'f'}};
    const struct {
        const CharRange *ranges[2];
        size_t n[2], hex;
    } rows[] = {{{plain, NULL}, {COUNT(plain), 0}, 3},
                {{d, low}, {COUNT(d), COUNT(low)}, 2},
                {{d, high}, {COUNT(d), COUNT(high)}, 2}};
    Expr list = expr_choice(b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        Expr one = expr_sequence(b);
        expr_add(b, one, expr_text(b, S("u")));
        for (size_t k = 0; k < 2 && rows[i].ranges[k]; k++)
            expr_add(b, one, expr_chars(b, rows[i].ranges[k], rows[i].n[k]));
        for (size_t k = 0; k < rows[i].hex; k++)
            expr_add(b, one, expr_chars(b, hex, COUNT(hex)));
        if (rows[i].ranges[1] == high) {
            expr_add(b, one, expr_text(b, S("\\u")));
            expr_add(b, one, expr_chars(b, d, COUNT(d)));
            expr_add(b, one, expr_chars(b, second, COUNT(second)));
            for (size_t k = 0; k < 2; k++)
                expr_add(b, one, expr_chars(b, hex, COUNT(hex)));
        }
        expr_add(b, list, one);
    }
    return list;
}

/* The part of the ranges that lies in [from, to]; how many. */
static size_t cut(const CharRange *ranges, size_t n, int32_t from, int32_t to, CharRange *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        CharRange r = {MAX(ranges[i].from, from), MIN(ranges[i].to, to)};
        if (r.from <= r.to)
            out[kept++] = r;
    }
    return kept;
}

static bool has_char(const CharRange *ranges, size_t n, int32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].from && c <= ranges[i].to)
            return true;
    return false;
}

/* The escape of one character, behind the backslash. */
static void add_escape(Builder *b, Expr list, int32_t c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at) {
        expr_add(b, list, expr_text(b, (Str){letters + (at - plain), 1}));
        return;
    }
    char text[8];
    snprintf(text, sizeof text, "u%04x", (unsigned)c);
    expr_add(b, list, expr_text(b, str_of(text)));
}

Expr json_char(Builder *b, const CharRange *ranges, size_t n)
{
    static const CharRange all[] = {{0, 0xD7FF}, {0xE000, 0x10FFFF}};
    bool any = n == 0;
    if (any) {
        ranges = all;
        n = COUNT(all);
    }
    // As they are: all but controls, the quote and the backslash.
    CharRange *kept = xcalloc(3 * n, sizeof *kept);
    size_t m = cut(ranges, n, ' ', '!', kept);
    m += cut(ranges, n, '#', '[', kept + m);
    m += cut(ranges, n, ']', 0x10FFFF, kept + m);
    Expr list = expr_choice(b), escapes = expr_choice(b);
    if (m > 0)
        expr_add(b, list, expr_chars(b, kept, m));
    free(kept);
    bool escaped = any;
    for (int32_t c = 0; c < ']'; c++)
        if ((c < ' ' || c == '"' || c == '\\') && has_char(ranges, n, c) &&
            !(any && c < ' ' && !strchr("\b\f\n\r\t", c ? c : 'x'))) {
            add_escape(b, escapes, c);
            escaped = true;
        }
    if (any) {
        expr_add(b, escapes, expr_text(b, S("/")));
        expr_add(b, escapes, unicode_escape(b));
    }
    if (escaped) {
        Expr one = expr_sequence(b);
        expr_add(b, one, expr_text(b, S("\\")));
        expr_add(b, one, escapes);
        expr_add(b, list, one);
    }
    return list;
}

Expr schema_quoted(Schema *s, Expr inner)
{
    return schema_row(s, schema_text(s, "\""), inner, schema_text(s, "\""), -1, -1);
}

Expr schema_any_string(Schema *s)
{
    if (s->string < 0) {
        s->string = rule_new(s->b, S("string"));
        rule_set(s->b, s->string,
                 schema_quoted(s, expr_repeat(s->b, json_char(s->b, NULL, 0), 0, -1)));
    }
    return expr_rule(s->b, s->string);
}

/* 0, or digits without leading zeros. */
static Expr natural(Schema *s)
{
    return schema_either(s, schema_text(s, "0"),
                         schema_row(s, schema_digits(s, '1', '9', 1, 1),
                                    schema_digits(s, '0', '9', 0, SCHEMA_DIGITS - 1), -1, -1, -1));
}

Expr schema_any_integer(Schema *s)
{
    if (s->integer < 0) {
        s->integer = rule_new(s->b, S("integer"));
        rule_set(s->b, s->integer,
                 schema_row(s, schema_optional(s, schema_text(s, "-")), natural(s), -1, -1, -1));
    }
    return expr_rule(s->b, s->integer);
}

Expr schema_fraction(Schema *s)
{
    return schema_row(s, schema_text(s, "."), schema_digits(s, '0', '9', 1, SCHEMA_DIGITS), -1, -1,
                      -1);
}

Expr schema_any_number(Schema *s)
{
    if (s->number < 0) {
        s->number = rule_new(s->b, S("number"));
        Expr sign = expr_chars(s->b, (CharRange[]){{'+', '+'}, {'-', '-'}}, 2);
        Expr mark = expr_chars(s->b, (CharRange[]){{'E', 'E'}, {'e', 'e'}}, 2);
        Expr exponent =
            schema_row(s, mark, schema_optional(s, sign), schema_digits(s, '0', '9', 1, 3), -1, -1);
        rule_set(s->b, s->number,
                 schema_row(s, schema_any_integer(s), schema_optional(s, schema_fraction(s)),
                            schema_optional(s, exponent), -1, -1));
    }
    return expr_rule(s->b, s->number);
}

static Expr literals(Schema *s, const char *const *texts, size_t n)
{
    Expr list = expr_choice(s->b);
    for (size_t i = 0; i < n; i++)
        expr_add(s->b, list, schema_text(s, texts[i]));
    return list;
}

Expr schema_any_boolean(Schema *s)
{
    return literals(s, (const char *const[]){"true", "false"}, 2);
}

/* `open` item ("," item)* `close`, or nothing between; the items are `rule`. */
static Expr list_of_rule(Schema *s, const char *open, int rule, const char *close)
{
    Expr more = schema_row(s, schema_text(s, ","), schema_space(s), expr_rule(s->b, rule), -1, -1);
    Expr items = schema_row(s, schema_space(s), expr_rule(s->b, rule),
                            expr_repeat(s->b, more, 0, -1), -1, -1);
    return schema_row(s, schema_text(s, open), schema_optional(s, items), schema_space(s),
                      schema_text(s, close), -1);
}

Expr schema_member(Schema *s, Expr key, Expr value)
{
    return schema_row(s, key, schema_text(s, ":"), schema_space(s), value, -1);
}

Expr schema_any_object(Schema *s)
{
    if (s->object < 0) {
        s->object = rule_new(s->b, S("object"));
        int member = rule_new(s->b, S("member"));
        rule_set(s->b, member, schema_member(s, schema_any_string(s), schema_any_value(s)));
        rule_set(s->b, s->object, list_of_rule(s, "{", member, "}"));
    }
    return expr_rule(s->b, s->object);
}

Expr schema_any_array(Schema *s)
{
    if (s->array < 0) {
        s->array = rule_new(s->b, S("array"));
        schema_any_value(s);
        rule_set(s->b, s->array, list_of_rule(s, "[", s->value, "]"));
    }
    return expr_rule(s->b, s->array);
}

Expr schema_any_value(Schema *s)
{
    if (s->value < 0) {
        s->value = rule_new(s->b, S("value"));
        Expr list = literals(s, (const char *const[]){"true", "false", "null"}, 3);
        expr_add(s->b, list, schema_any_string(s));
        expr_add(s->b, list, schema_any_number(s));
        expr_add(s->b, list, schema_any_array(s));
        expr_add(s->b, list, schema_any_object(s));
        rule_set(s->b, s->value, list);
    }
    return expr_rule(s->b, s->value);
}

Expr schema_exactly(Schema *s, const json_t *value)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, value);
    return expr_text(s->b, buf_str(&text));
}
