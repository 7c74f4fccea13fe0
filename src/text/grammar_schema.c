/* grammar_schema.c: from a JSON schema to rules: what is written is valid JSON that the schema
 * allows, with its members in the schema's order.
 *
 * A subset of draft 2020-12 (json-schema.org): type, enum, const, anyOf, oneOf (as anyOf), allOf
 * (of what can be merged), $ref within the document, properties, required, additionalProperties,
 * items, prefixItems, minItems, maxItems, minLength, maxLength, pattern, format, minimum, maximum
 * and their exclusive forms. Notes, and formats that we do not know, are passed over; any other
 * word that would forbid something is refused, because the answer could not be held to it.
 *
 * Narrower than the schema where generation wants it: no members beside the named ones unless
 * additionalProperties says so, white space as a pretty printer would write it, numbers of at most
 * 18 digits. */
#include "base/map.h"
#include "text/grammar_internal.h"

#include <math.h>

enum { MAX_DEPTH = 64, MAX_COUNT = 1 << 20, MAX_DIGITS = 18, MAX_MEMBERS = 1 << 11 };
enum { MAX_PREFIX = 256, MAX_KEY = 256 }; // items; bytes, where other keys are told from them

typedef struct Schema {
    Builder *b;
    const json_t *root;
    Map refs; // pointer to its rule + 1
    int depth;
    int space, value, object, array, string, number, integer; // rules, -1: not needed yet
} Schema;

static Expr visit(Schema *s, const json_t *schema, const char *where);

static Expr text_of(Schema *s, const char *text)
{
    return expr_text(s->b, str_of(text));
}

static Expr nothing(Schema *s)
{
    return expr_sequence(s->b);
}

/* A sequence of up to five; -1 ends it. */
static Expr row(Schema *s, Expr a, Expr b, Expr c, Expr d, Expr e)
{
    const Expr items[] = {a, b, c, d, e};
    Expr list = expr_sequence(s->b);
    for (size_t i = 0; i < COUNT(items) && items[i] >= 0; i++)
        expr_add(s->b, list, items[i]);
    return list;
}

static Expr either(Schema *s, Expr a, Expr b)
{
    Expr list = expr_choice(s->b);
    expr_add(s->b, list, a);
    expr_add(s->b, list, b);
    return list;
}

static Expr digits(Schema *s, char from, char to, int64_t min, int64_t max)
{
    return expr_repeat(s->b, expr_chars(s->b, (CharRange[]){{from, to}}, 1), min, max);
}

static Expr optional(Schema *s, Expr e)
{
    return expr_repeat(s->b, e, 0, 1);
}

// ---- Plain JSON ----

static Expr space(Schema *s)
{
    if (s->space < 0) {
        s->space = rule_new(s->b, S("white space"));
        Expr deep = row(
            s, text_of(s, "\n"),
            expr_repeat(s->b, expr_chars(s->b, (CharRange[]){{' ', ' '}, {'\t', '\t'}}, 2), 0, 40),
            -1, -1, -1);
        rule_set(s->b, s->space, optional(s, either(s, text_of(s, " "), deep)));
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

static Expr quoted(Schema *s, Expr inner)
{
    return row(s, text_of(s, "\""), inner, text_of(s, "\""), -1, -1);
}

static Expr any_string(Schema *s)
{
    if (s->string < 0) {
        s->string = rule_new(s->b, S("string"));
        rule_set(s->b, s->string, quoted(s, expr_repeat(s->b, json_char(s->b, NULL, 0), 0, -1)));
    }
    return expr_rule(s->b, s->string);
}

/* 0, or digits without leading zeros. */
static Expr natural(Schema *s)
{
    return either(
        s, text_of(s, "0"),
        row(s, digits(s, '1', '9', 1, 1), digits(s, '0', '9', 0, MAX_DIGITS - 1), -1, -1, -1));
}

static Expr any_integer(Schema *s)
{
    if (s->integer < 0) {
        s->integer = rule_new(s->b, S("integer"));
        rule_set(s->b, s->integer, row(s, optional(s, text_of(s, "-")), natural(s), -1, -1, -1));
    }
    return expr_rule(s->b, s->integer);
}

static Expr fraction(Schema *s)
{
    return row(s, text_of(s, "."), digits(s, '0', '9', 1, MAX_DIGITS), -1, -1, -1);
}

static Expr any_number(Schema *s)
{
    if (s->number < 0) {
        s->number = rule_new(s->b, S("number"));
        Expr sign = expr_chars(s->b, (CharRange[]){{'+', '+'}, {'-', '-'}}, 2);
        Expr mark = expr_chars(s->b, (CharRange[]){{'E', 'E'}, {'e', 'e'}}, 2);
        Expr exponent = row(s, mark, optional(s, sign), digits(s, '0', '9', 1, 3), -1, -1);
        rule_set(s->b, s->number,
                 row(s, any_integer(s), optional(s, fraction(s)), optional(s, exponent), -1, -1));
    }
    return expr_rule(s->b, s->number);
}

static Expr literals(Schema *s, const char *const *texts, size_t n)
{
    Expr list = expr_choice(s->b);
    for (size_t i = 0; i < n; i++)
        expr_add(s->b, list, text_of(s, texts[i]));
    return list;
}

static Expr any_boolean(Schema *s)
{
    return literals(s, (const char *const[]){"true", "false"}, 2);
}

static Expr any_value(Schema *s);

/* `open` item ("," item)* `close`, or nothing between; the items are `rule`. */
static Expr list_of_rule(Schema *s, const char *open, int rule, const char *close)
{
    Expr more = row(s, text_of(s, ","), space(s), expr_rule(s->b, rule), -1, -1);
    Expr items = row(s, space(s), expr_rule(s->b, rule), expr_repeat(s->b, more, 0, -1), -1, -1);
    return row(s, text_of(s, open), optional(s, items), space(s), text_of(s, close), -1);
}

static Expr member_of(Schema *s, Expr key, Expr value)
{
    return row(s, key, text_of(s, ":"), space(s), value, -1);
}

static Expr any_object(Schema *s)
{
    if (s->object < 0) {
        s->object = rule_new(s->b, S("object"));
        int member = rule_new(s->b, S("member"));
        rule_set(s->b, member, member_of(s, any_string(s), any_value(s)));
        rule_set(s->b, s->object, list_of_rule(s, "{", member, "}"));
    }
    return expr_rule(s->b, s->object);
}

static Expr any_array(Schema *s)
{
    if (s->array < 0) {
        s->array = rule_new(s->b, S("array"));
        any_value(s);
        rule_set(s->b, s->array, list_of_rule(s, "[", s->value, "]"));
    }
    return expr_rule(s->b, s->array);
}

static Expr any_value(Schema *s)
{
    if (s->value < 0) {
        s->value = rule_new(s->b, S("value"));
        Expr list = literals(s, (const char *const[]){"true", "false", "null"}, 3);
        expr_add(s->b, list, any_string(s));
        expr_add(s->b, list, any_number(s));
        expr_add(s->b, list, any_array(s));
        expr_add(s->b, list, any_object(s));
        rule_set(s->b, s->value, list);
    }
    return expr_rule(s->b, s->value);
}

static Expr exactly(Schema *s, const json_t *value)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, value);
    return expr_text(s->b, buf_str(&text));
}

// ---- What we cannot hold an answer to ----

static void refuse(Schema *s, const char *where, const char *what)
{
    builder_fail(s->b, ERR_UNSUPPORTED, "%s: %s", where, what);
}

/* Words that forbid nothing, and those that are understood. */
static bool is_known_word(const char *key)
{
    static const char *const words[] = {
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "required",
        "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minLength",
        "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum",
        // notes
        "title", "description", "default", "examples", "example", "deprecated", "readOnly",
        "writeOnly", "$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "nullable",
        "strict", "discriminator", "contentEncoding", "contentMediaType", "name"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return str_starts(str_of(key), S("x-"));
}

/* Words that forbid something, as JSON Schema has them; others are notes of somebody's own. */
static bool is_other_word(const char *key, const json_t *value)
{
    static const char *const words[] = {"not",
                                        "if",
                                        "then",
                                        "else",
                                        "multipleOf",
                                        "patternProperties",
                                        "propertyNames",
                                        "contains",
                                        "minContains",
                                        "maxContains",
                                        "uniqueItems",
                                        "minProperties",
                                        "maxProperties",
                                        "dependentRequired",
                                        "dependentSchemas",
                                        "dependencies",
                                        "unevaluatedProperties",
                                        "unevaluatedItems",
                                        "additionalItems",
                                        "$dynamicRef",
                                        "$recursiveRef"};
    if (json_is_false(value) &&
        (strcmp(key, "uniqueItems") == 0 || strncmp(key, "unevaluated", 11) == 0))
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return false;
}

static void check_words(Schema *s, const json_t *schema, const char *where)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (!is_known_word(key) && is_other_word(key, value))
            builder_fail(s->b, ERR_UNSUPPORTED, "%s: '%s' is not supported", where, key);
    }
}

/* A count of a schema; -1 if it says none. */
static int64_t count_of(Schema *s, const json_t *schema, const char *key, const char *where)
{
    const json_t *value = json_object_get(schema, key);
    if (!value)
        return -1;
    double n = json_number_value(value);
    if (!json_is_number(value) || n < 0 || n > MAX_COUNT || floor(n) != n) {
        builder_fail(s->b, ERR_INVALID, "%s: '%s' must be a whole number from 0 to %d", where, key,
                     MAX_COUNT);
        return -1;
    }
    return (int64_t)n;
}

// ---- Strings ----

static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])"},
    {"time", "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"},
    {"date-time", "\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d"
                  "(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"},
    {"duration", "P(\\d{1,9}W|(\\d{1,9}[YMD]){1,3}(T(\\d{1,9}[HMS]){1,3})?|T(\\d{1,9}[HMS]){1,3})"},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"email",
     "[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\."
     "){1,8}[A-Za-z]{2,63}"},
    {"hostname", "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}"
                 "[A-Za-z0-9])?){0,8}"},
    {"ipv4", "((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"},
    {"ipv6", "([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"},
    {"uri", "[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+"},
};

static const char *format_pattern(const json_t *schema)
{
    const char *name = json_text(schema, "format", "");
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].pattern;
    return NULL;
}

static Expr visit_string(Schema *s, const json_t *schema, const char *where)
{
    int64_t min = count_of(s, schema, "minLength", where),
            max = count_of(s, schema, "maxLength", where);
    const char *pattern = json_text(schema, "pattern", NULL), *format = format_pattern(schema);
    bool has_length = min > 0 || max >= 0;
    if ((pattern != NULL) + (format != NULL) + has_length > 1)
        refuse(s, where, "only one of 'pattern', 'format' and a length is supported");
    if (pattern)
        return quoted(s, regex_expr(s->b, str_of(pattern), true, true));
    if (format)
        return quoted(s, regex_expr(s->b, str_of(format), true, false));
    if (has_length)
        return quoted(s, expr_repeat(s->b, json_char(s->b, NULL, 0), MAX(min, 0), max));
    return any_string(s);
}

// ---- Numbers in a range ----

/* Digits of the same count as both bounds, from low to high. */
static Expr same_length(Schema *s, const char *low, const char *high, size_t n)
{
    if (n == 0)
        return nothing(s);
    if (*low == *high)
        return row(s, digits(s, *low, *low, 1, 1), same_length(s, low + 1, high + 1, n - 1), -1, -1,
                   -1);
    static const char zeros[] = "000000000000000000", nines[] = "999999999999999999";
    Expr list = expr_choice(s->b);
    char from = *low, to = *high;
    if (memcmp(low + 1, zeros, n - 1) != 0) {
        expr_add(
            s->b, list,
            row(s, digits(s, from, from, 1, 1), same_length(s, low + 1, nines, n - 1), -1, -1, -1));
        from++;
    }
    if (memcmp(high + 1, nines, n - 1) != 0) {
        expr_add(
            s->b, list,
            row(s, digits(s, to, to, 1, 1), same_length(s, zeros, high + 1, n - 1), -1, -1, -1));
        to--;
    }
    if (from <= to)
        expr_add(s->b, list,
                 row(s, digits(s, from, to, 1, 1),
                     digits(s, '0', '9', (int64_t)n - 1, (int64_t)n - 1), -1, -1, -1));
    return list;
}

/* Natural numbers from low to high, high -1: without end. Adds nothing if there are none. */
static void add_naturals(Schema *s, Expr list, int64_t low, int64_t high, Expr (*behind)(Schema *))
{
    static const int64_t most = 999999999999999999;
    high = high < 0 ? most : MIN(high, most);
    int64_t first = 0, last = 9; // of n digits
    for (int64_t n = 1; n <= MAX_DIGITS; n++) {
        if (n > 1) {
            first = last + 1;
            last = last * 10 + 9;
        }
        int64_t from = MAX(low, first), to = MIN(high, last);
        char a[24], b[24];
        if (from > to)
            continue;
        snprintf(a, sizeof a, "%0*lld", (int)n, (long long)from);
        snprintf(b, sizeof b, "%lld", (long long)to);
        Expr number = same_length(s, a, b, (size_t)n);
        expr_add(s->b, list, behind ? row(s, number, behind(s), -1, -1, -1) : number);
    }
}

static Expr any_fraction(Schema *s)
{
    return optional(s, fraction(s));
}

/* The number itself, written with zeros behind the point if it likes. */
static Expr zero_fraction(Schema *s)
{
    return optional(s, row(s, text_of(s, "."), digits(s, '0', '0', 1, MAX_DIGITS), -1, -1, -1));
}

/* A little more than the number itself. */
static Expr some_fraction(Schema *s)
{
    return row(s, text_of(s, "."), digits(s, '0', '9', 0, MAX_DIGITS - 1),
               digits(s, '1', '9', 1, 1), digits(s, '0', '9', 0, MAX_DIGITS), -1);
}

/* A bound of a number; NAN if there is none. *open: the bound itself does not count. */
static double bound_of(Schema *s, const json_t *schema, const char *key, const char *open_key,
                       bool *open, const char *where)
{
    const json_t *closed = json_object_get(schema, key),
                 *opened = json_object_get(schema, open_key);
    double sign = *key == 'm' && key[1] == 'i' ? 1 : -1;
    double value = json_is_number(closed) ? json_number_value(closed) : (double)NAN;
    *open = json_is_true(opened); // draft 4's way
    if (json_is_number(opened) &&
        !(sign * value > sign * json_number_value(opened))) { // the stricter one
        value = json_number_value(opened);
        *open = true;
    }
    if (!isnan(value) && fabs(value) > 1e15)
        refuse(s, where, "bounds of more than 15 digits are not supported");
    return value;
}

typedef struct Bounds {
    double low, high; // NAN: none
    bool low_open, high_open;
} Bounds;

/* Numbers x with low <= x <= high, of which neither is below 0: whole numbers, or with fractions.
 */
static void add_range(Schema *s, Expr list, Bounds r, bool whole)
{
    int64_t low = (int64_t)r.low, high = isnan(r.high) ? -1 : (int64_t)r.high;
    if (whole) {
        add_naturals(s, list, low + r.low_open, high < 0 ? -1 : high - r.high_open, NULL);
        return;
    }
    bool point = high == low;
    if (r.low_open && !point) {
        add_naturals(s, list, low, low, some_fraction);
        low++;
    }
    if (high < 0)
        add_naturals(s, list, low, -1, any_fraction);
    else if (low < high)
        add_naturals(s, list, low, high - 1, any_fraction);
    if (high >= 0 && !r.high_open && !(point && r.low_open))
        add_naturals(s, list, high, high, zero_fraction);
}

static Expr bounded(Schema *s, Bounds r, bool whole, const char *where)
{
    Expr positive = expr_choice(s->b), negative = expr_choice(s->b), list = expr_choice(s->b);
    bool has_positive = isnan(r.high) || r.high >= 0, has_negative = isnan(r.low) || r.low < 0;
    Bounds up = r, down = {.low = isnan(r.high) ? 0 : -r.high,
                           .high = -r.low,
                           .low_open = r.high_open,
                           .high_open = r.low_open};
    if (isnan(up.low) || up.low < 0) {
        up.low = 0;
        up.low_open = false;
    }
    if (down.low <= 0) { // 0 is on the other side, and -0 is not written
        down.low = 0;
        down.low_open = true;
    }
    if (!isnan(r.low) && !isnan(r.high) &&
        (r.low > r.high || (r.low == r.high && (r.low_open || r.high_open)))) {
        builder_fail(s->b, ERR_INVALID, "%s: no number lies between the bounds", where);
        return nothing(s);
    }
    if (has_positive)
        add_range(s, positive, up, whole);
    if (has_negative)
        add_range(s, negative, down, whole);
    if (!expr_is_empty(s->b, positive))
        expr_add(s->b, list, positive);
    if (!expr_is_empty(s->b, negative))
        expr_add(s->b, list, row(s, text_of(s, "-"), negative, -1, -1, -1));
    return list;
}

static Expr visit_number(Schema *s, const json_t *schema, const char *where, bool whole)
{
    Bounds r;
    r.low = bound_of(s, schema, "minimum", "exclusiveMinimum", &r.low_open, where);
    r.high = bound_of(s, schema, "maximum", "exclusiveMaximum", &r.high_open, where);
    if (!builder_ok(s->b) || (isnan(r.low) && isnan(r.high)))
        return whole ? any_integer(s) : any_number(s);
    if (whole) { // bounds between whole numbers move to them
        if (!isnan(r.low) && ceil(r.low) != r.low) {
            r.low = ceil(r.low);
            r.low_open = false;
        }
        if (!isnan(r.high) && floor(r.high) != r.high) {
            r.high = floor(r.high);
            r.high_open = false;
        }
    } else if ((!isnan(r.low) && floor(r.low) != r.low) ||
               (!isnan(r.high) && floor(r.high) != r.high)) {
        refuse(s, where, "bounds of numbers must be whole numbers");
    }
    return bounded(s, r, whole, where);
}

// ---- Arrays ----

/* The i-th item on, where a comma comes first unless it is the first one. */
static Expr items_from(Schema *s, const json_t *prefix, size_t i, int rest, int64_t min,
                       int64_t max, const char *where)
{
    size_t n = json_array_size(prefix);
    Expr comma = i ? row(s, text_of(s, ","), space(s), -1, -1, -1) : space(s);
    if (max >= 0 && (int64_t)i >= max)
        return nothing(s);
    if (i < n) {
        char at[300];
        snprintf(at, sizeof at, "%.200s/prefixItems/%zu", where, i);
        Expr item = visit(s, json_array_get(prefix, i), at);
        Expr more = items_from(s, prefix, i + 1, rest, min, max, where);
        Expr all = row(s, comma, item, more, -1, -1);
        return (int64_t)i < min ? all : optional(s, all);
    }
    if (rest < 0)
        return nothing(s);
    int64_t least = MAX(min - (int64_t)i, 0), most = max < 0 ? -1 : max - (int64_t)i;
    if (i > 0)
        return expr_repeat(s->b, row(s, comma, expr_rule(s->b, rest), -1, -1, -1), least, most);
    Expr more = row(s, text_of(s, ","), space(s), expr_rule(s->b, rest), -1, -1);
    Expr all = row(s, comma, expr_rule(s->b, rest),
                   expr_repeat(s->b, more, MAX(least - 1, 0), most < 0 ? -1 : most - 1), -1, -1);
    return least > 0 ? all : optional(s, all);
}

static Expr visit_array(Schema *s, const json_t *schema, const char *where)
{
    const json_t *items = json_object_get(schema, "items"),
                 *prefix = json_object_get(schema, "prefixItems");
    int64_t min = MAX(count_of(s, schema, "minItems", where), 0),
            max = count_of(s, schema, "maxItems", where);
    if (json_is_array(items)) // draft 7's way
        prefix = items;
    if (json_array_size(prefix) > MAX_PREFIX) {
        builder_fail(s->b, ERR_LIMIT, "%s: more than %d 'prefixItems'", where, MAX_PREFIX);
        return nothing(s);
    }
    if (!items && !prefix && min == 0 && max < 0)
        return any_array(s);
    int rest = -1;
    if (!json_is_false(items) && !(prefix && (!items || items == prefix))) {
        char at[300];
        snprintf(at, sizeof at, "%.200s/items", where);
        rest = rule_new(s->b, str_of(at));
        rule_set(s->b, rest, items ? visit(s, items, at) : any_value(s));
    }
    if ((max >= 0 && max < min) || (rest < 0 && min > (int64_t)json_array_size(prefix)))
        builder_fail(s->b, ERR_INVALID, "%s: no array has as many items as it must", where);
    return row(s, text_of(s, "["), items_from(s, prefix, 0, rest, min, max, where), space(s),
               text_of(s, "]"), -1);
}

// ---- Objects ----

/* Keys that are none of the named ones: strings that leave their tree, or stop inside it. */
static Expr other_keys(Schema *s, const Str *names, size_t n, size_t depth)
{
    Expr list = expr_choice(s->b), any = expr_repeat(s->b, json_char(s->b, NULL, 0), 0, -1);
    CharRange *used = xcalloc(n + 4, sizeof *used), *rest = xcalloc(n + 6, sizeof *rest);
    size_t n_used = 0;
    bool ends = false;
    for (size_t i = 0; i < n;) {
        if (names[i].len == depth) {
            ends = true;
            i++;
            continue;
        }
        size_t at = depth, end = i + 1;
        int32_t c = utf8_next(names[i], &at);
        while (end < n && str_eq(str_slice(names[end], depth, at), str_slice(names[i], depth, at)))
            end++;
        used[n_used++] = (CharRange){c, c};
        expr_add(s->b, list,
                 row(s, json_char(s->b, &(CharRange){c, c}, 1),
                     other_keys(s, names + i, end - i, at), -1, -1, -1));
        i = end;
    }
    // Controls too: their escapes would have to be told apart from the others'.
    used[n_used++] = (CharRange){0, 31};
    size_t n_rest = ranges_invert(used, n_used, rest);
    expr_add(s->b, list, row(s, json_char(s->b, rest, n_rest), any, -1, -1, -1));
    free(used);
    free(rest);
    return ends ? list : optional(s, list);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

static Expr key_of_others(Schema *s, const json_t *properties)
{
    size_t n = 0;
    Str *names = NEW_ARRAY(builder_arena(s->b), Str, json_object_size(properties) + 1);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        if (strlen(key) > MAX_KEY)
            builder_fail(s->b, ERR_LIMIT, "a property's name has more than %d bytes", MAX_KEY);
        else
            names[n++] = str_of(key);
    }
    qsort(names, n, sizeof *names, by_text);
    return n ? quoted(s, other_keys(s, names, n, 0)) : any_string(s);
}

/* A property on the way into rules. */
typedef struct Property {
    const char *key;
    const json_t *schema;
    bool required;
    int rule; // of the whole member
} Property;

static bool is_required(const json_t *required, const char *key)
{
    size_t i;
    const json_t *name;
    json_array_foreach(required, i,
                       name) if (json_is_string(name) &&
                                 strcmp(json_string_value(name), key) == 0) return true;
    return false;
}

static size_t list_properties(Schema *s, const json_t *schema, Property *out)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *required = json_object_get(schema, "required");
    size_t n = 0, i;
    const char *key;
    json_t *value;
    const json_t *name;
    json_object_foreach((json_t *)(uintptr_t)properties, key, value) out[n++] =
        (Property){key, value, is_required(required, key), -1};
    json_array_foreach(required, i, name) // without a schema of its own
        if (json_is_string(name) && !json_object_get(properties, json_string_value(name)))
            out[n++] = (Property){json_string_value(name), NULL, true, -1};
    return n;
}

static void make_member(Schema *s, Property *p, const char *where)
{
    char at[300];
    snprintf(at, sizeof at, "%.200s/properties/%.60s", where, p->key);
    AUTO(json_decref) json_t *key = json_string(p->key);
    p->rule = rule_new(s->b, str_of(at));
    Expr value = p->schema ? visit(s, p->schema, at) : any_value(s);
    rule_set(s->b, p->rule, member_of(s, exactly(s, key), value));
}

/* Members from the back: what may follow when some member was written (`rest`: with a comma), and
 * when none was (`first`). Each is a rule, so that the grammar grows as the schema does. */
static Expr members(Schema *s, const Property *p, size_t n, int other)
{
    Builder *b = s->b;
    int rest = rule_new(b, S("members")), first = rule_new(b, S("first member"));
    if (other >= 0) {
        Expr more = row(s, text_of(s, ","), space(s), expr_rule(b, other), -1, -1);
        rule_set(b, rest, expr_repeat(b, more, 0, -1));
        rule_set(b, first,
                 optional(s, row(s, space(s), expr_rule(b, other), expr_rule(b, rest), -1, -1)));
    } else {
        rule_set(b, rest, nothing(s));
        rule_set(b, first, nothing(s));
    }
    for (size_t i = n; i-- > 0;) {
        int next_rest = rule_new(b, S("members")), next_first = rule_new(b, S("first member"));
        Expr more =
            row(s, text_of(s, ","), space(s), expr_rule(b, p[i].rule), expr_rule(b, rest), -1);
        Expr begin = row(s, space(s), expr_rule(b, p[i].rule), expr_rule(b, rest), -1, -1);
        rule_set(b, next_rest, p[i].required ? more : either(s, more, expr_rule(b, rest)));
        rule_set(b, next_first, p[i].required ? begin : either(s, begin, expr_rule(b, first)));
        rest = next_rest;
        first = next_first;
    }
    return expr_rule(b, first);
}

static Expr visit_object(Schema *s, const json_t *schema, const char *where)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *additional = json_object_get(schema, "additionalProperties");
    size_t most =
        json_object_size(properties) + json_array_size(json_object_get(schema, "required"));
    if (most == 0 && (!additional || json_is_true(additional)))
        return any_object(s);
    if (most > MAX_MEMBERS) {
        builder_fail(s->b, ERR_LIMIT, "%s: more than %d properties", where, MAX_MEMBERS);
        return nothing(s);
    }
    Property *p = NEW_ARRAY(builder_arena(s->b), Property, most + 1);
    size_t n = list_properties(s, schema, p);
    for (size_t i = 0; i < n && builder_ok(s->b); i++)
        make_member(s, &p[i], where);
    int other = -1;
    if (additional && !json_is_false(additional)) {
        char at[300];
        snprintf(at, sizeof at, "%.200s/additionalProperties", where);
        other = rule_new(s->b, str_of(at));
        rule_set(s->b, other, member_of(s, key_of_others(s, properties), visit(s, additional, at)));
    }
    return row(s, text_of(s, "{"), members(s, p, n, other), space(s), text_of(s, "}"), -1);
}

// ---- Schemas ----

/* A copy without the key. */
static json_t *without(const json_t *schema, const char *key)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)schema);
    json_object_del(copy, key);
    return copy;
}

/* True if a schema says nothing but notes. */
static bool says_nothing(const json_t *schema)
{
    static const char *const words[] = {"type",
                                        "enum",
                                        "const",
                                        "anyOf",
                                        "oneOf",
                                        "allOf",
                                        "$ref",
                                        "properties",
                                        "required",
                                        "additionalProperties",
                                        "items",
                                        "prefixItems",
                                        "minItems",
                                        "maxItems",
                                        "minLength",
                                        "maxLength",
                                        "pattern",
                                        "format",
                                        "minimum",
                                        "maximum",
                                        "exclusiveMinimum",
                                        "exclusiveMaximum"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (json_object_get(schema, words[i]))
            return false;
    return true;
}

/* What a "#/a/b" points at; NULL if nothing. */
static const json_t *resolve(const Schema *s, const char *ref)
{
    const json_t *at = s->root;
    Str rest = str_of(ref), piece;
    if (!str_starts(rest, S("#")))
        return NULL;
    rest = str_slice(rest, 1 + (rest.len > 1 && rest.ptr[1] == '/'), SIZE_MAX);
    while (at && rest.len && str_split(&rest, '/', &piece)) {
        AUTO_BUF name;
        buf_init(&name, 0);
        for (size_t i = 0; i < piece.len; i++) {
            bool escape = piece.ptr[i] == '~' && i + 1 < piece.len;
            buf_add_char(&name, !escape ? piece.ptr[i] : piece.ptr[++i] == '0' ? '~' : '/');
        }
        int64_t index;
        if (json_is_array(at))
            at = str_to_int(buf_str(&name), 0, INT32_MAX, &index)
                     ? json_array_get(at, (size_t)index)
                     : NULL;
        else
            at = json_object_get(at, name.len ? name.ptr : "");
    }
    return at;
}

static Expr visit_ref(Schema *s, const json_t *schema, const char *where)
{
    const char *ref = json_text(schema, "$ref", "");
    AUTO(json_decref) json_t *others = without(schema, "$ref");
    const json_t *target = resolve(s, ref);
    if (!says_nothing(others))
        refuse(s, where, "'$ref' with other words beside it is not supported");
    if (!target) {
        builder_fail(s->b, ERR_INVALID, "%s: '$ref' leads nowhere: '%.80s'", where, ref);
        return nothing(s);
    }
    char key[300]; // of this root: a part with definitions of its own is one
    snprintf(key, sizeof key, "%p %.250s", (const void *)s->root, ref);
    uintptr_t known = (uintptr_t)map_find(&s->refs, str_of(key));
    if (!known) {
        int rule = rule_new(s->b, str_of(ref));
        known = (uintptr_t)rule + 1;
        map_put(&s->refs, arena_str(builder_arena(s->b), str_of(key)), (void *)known);
        rule_set(s->b, rule, visit(s, target, ref));
    }
    return expr_rule(s->b, (int)known - 1);
}

/* Puts `more` into `all`: members of properties and $defs one by one, required behind one another;
 * any other word may be there once, or twice the same. */
static bool merge(Schema *s, json_t *all, const json_t *more, const char *where)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)more, key, value)
    {
        json_t *old = json_object_get(all, key);
        if (!old || json_equal(old, value)) {
            json_object_set(all, key, value);
        } else if (json_is_object(old) && json_is_object(value) && strcmp(key, "properties") == 0) {
            json_t *joined = json_copy(old);
            json_object_set_new(all, key, joined);
            if (!merge(s, joined, value, where))
                return false;
        } else if (json_is_array(old) && json_is_array(value) && strcmp(key, "required") == 0) {
            json_t *joined = json_copy(old);
            json_array_extend(joined, value);
            json_object_set_new(all, key, joined);
        } else if (is_known_word(key) &&
                   !(strcmp(key, "title") == 0 || strcmp(key, "description") == 0 ||
                     strcmp(key, "default") == 0)) {
            builder_fail(s->b, ERR_UNSUPPORTED, "%s: '%s' is said twice, differently", where, key);
            return false;
        }
    }
    return true;
}

/* The schema itself, or what its $ref, and that one's, lead to. */
static const json_t *followed(const Schema *s, const json_t *schema)
{
    for (int i = 0; i < MAX_DEPTH && json_object_get(schema, "$ref"); i++)
        schema = resolve(s, json_text(schema, "$ref", ""));
    return schema;
}

static Expr visit_all_of(Schema *s, const json_t *schema, const char *where)
{
    AUTO(json_decref) json_t *all = without(schema, "allOf");
    size_t i;
    const json_t *part;
    json_array_foreach(json_object_get(schema, "allOf"), i, part)
    {
        const json_t *target = followed(s, part);
        if (!json_is_object(target) || json_object_get(target, "$ref")) {
            refuse(s, where, "'allOf' of what is no object");
            return nothing(s);
        }
        if (!merge(s, all, target, where))
            return nothing(s);
    }
    return visit(s, all, where);
}

static Expr visit_any_of(Schema *s, const json_t *schema, const char *key, const char *where)
{
    AUTO(json_decref) json_t *others = without(schema, key);
    const json_t *parts = json_object_get(schema, key);
    bool alone = says_nothing(others);
    Expr list = expr_choice(s->b);
    if (!json_array_size(parts))
        builder_fail(s->b, ERR_INVALID, "%s: '%s' must be a list that is not empty", where, key);
    for (size_t i = 0; i < json_array_size(parts) && builder_ok(s->b); i++) {
        const json_t *part = json_array_get(parts, i);
        char at[300];
        snprintf(at, sizeof at, "%.200s/%s/%zu", where, key, i);
        if (alone) {
            expr_add(s->b, list, visit(s, part, at));
            continue;
        }
        AUTO(json_decref) json_t *both = json_copy(others);
        const json_t *target = followed(s, part);
        if (json_is_object(target) && merge(s, both, target, at))
            expr_add(s->b, list, visit(s, both, at));
    }
    return list;
}

static Expr visit_values(Schema *s, const json_t *values, const char *where)
{
    Expr list = expr_choice(s->b);
    size_t i;
    const json_t *value;
    if (!json_array_size(values))
        builder_fail(s->b, ERR_INVALID, "%s: 'enum' must be a list that is not empty", where);
    json_array_foreach(values, i, value) expr_add(s->b, list, exactly(s, value));
    return list;
}

/* A type that is not said shows in the words that only it has. */
static const char *implied_type(const json_t *schema)
{
    static const struct {
        const char *word, *type;
    } words[] = {{"properties", "object"},
                 {"required", "object"},
                 {"additionalProperties", "object"},
                 {"items", "array"},
                 {"prefixItems", "array"},
                 {"minItems", "array"},
                 {"maxItems", "array"},
                 {"pattern", "string"},
                 {"format", "string"},
                 {"minLength", "string"},
                 {"maxLength", "string"},
                 {"minimum", "number"},
                 {"maximum", "number"},
                 {"exclusiveMinimum", "number"},
                 {"exclusiveMaximum", "number"}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (json_object_get(schema, words[i].word))
            return words[i].type;
    return "any";
}

static Expr visit_type(Schema *s, const json_t *schema, const char *type, const char *where)
{
    if (strcmp(type, "object") == 0)
        return visit_object(s, schema, where);
    if (strcmp(type, "array") == 0)
        return visit_array(s, schema, where);
    if (strcmp(type, "string") == 0)
        return visit_string(s, schema, where);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return visit_number(s, schema, where, *type == 'i');
    if (strcmp(type, "boolean") == 0)
        return any_boolean(s);
    if (strcmp(type, "null") == 0)
        return text_of(s, "null");
    if (strcmp(type, "any") != 0)
        builder_fail(s->b, ERR_INVALID, "%s: there is no type '%.40s'", where, type);
    return any_value(s);
}

static Expr visit_types(Schema *s, const json_t *schema, const char *where)
{
    const json_t *type = json_object_get(schema, "type");
    bool nullable = json_flag(schema, "nullable", false);
    if (!json_is_array(type)) {
        Expr e = visit_type(s, schema,
                            json_is_string(type) ? json_string_value(type) : implied_type(schema),
                            where);
        return nullable ? either(s, e, text_of(s, "null")) : e;
    }
    Expr list = expr_choice(s->b);
    size_t i;
    const json_t *one;
    json_array_foreach(type, i, one)
        expr_add(s->b, list,
                 visit_type(s, schema, json_is_string(one) ? json_string_value(one) : "?", where));
    return list;
}

static Expr visit_object_schema(Schema *s, const json_t *schema, const char *where)
{
    check_words(s, schema, where);
    if (!builder_ok(s->b))
        return nothing(s);
    if (json_object_get(schema, "$ref"))
        return visit_ref(s, schema, where);
    if (json_object_get(schema, "allOf"))
        return visit_all_of(s, schema, where);
    if (json_object_get(schema, "const"))
        return exactly(s, json_object_get(schema, "const"));
    if (json_object_get(schema, "enum"))
        return visit_values(s, json_object_get(schema, "enum"), where);
    if (json_object_get(schema, "anyOf"))
        return visit_any_of(s, schema, "anyOf", where);
    if (json_object_get(schema, "oneOf"))
        return visit_any_of(s, schema, "oneOf", where);
    return visit_types(s, schema, where);
}

static Expr visit(Schema *s, const json_t *schema, const char *where)
{
    if (!builder_ok(s->b))
        return nothing(s);
    if (json_is_true(schema))
        return any_value(s);
    if (!json_is_object(schema)) {
        builder_fail(s->b, ERR_INVALID, "%s: %s", where,
                     json_is_false(schema) ? "nothing is allowed here"
                                           : "a schema must be an object");
        return nothing(s);
    }
    if (s->depth == MAX_DEPTH) {
        builder_fail(s->b, ERR_LIMIT, "%s: schemas are nested too deeply", where);
        return nothing(s);
    }
    const json_t *outer = s->root;
    if (json_object_get(schema, "$defs") || json_object_get(schema, "definitions"))
        s->root = schema; // a schema of its own, put in here: a function's parameters
    s->depth++;
    Expr e = visit_object_schema(s, schema, where);
    s->depth--;
    s->root = outer;
    return e;
}

Grammar *grammar_from_schema(const json_t *schema, Error *err)
{
    return grammar_from_schema_between((Str){0}, schema, (Str){0}, err);
}

Grammar *grammar_from_schema_between(Str before, const json_t *schema, Str after, Error *err)
{
    AUTO(builder_free) Builder *b = builder_new();
    Schema s = {.b = b,
                .root = schema,
                .space = -1,
                .value = -1,
                .object = -1,
                .array = -1,
                .string = -1,
                .number = -1,
                .integer = -1};
    int root = rule_new(b, S("the schema"));
    rule_set(b, root,
             row(&s, expr_text(b, before), visit(&s, schema, "#"), expr_text(b, after), -1, -1));
    map_done(&s.refs);
    Grammar *g = builder_finish(b, root, err);
    return g ? g : fail_while(err, "JSON schema");
}

Grammar *grammar_of_json(Error *err)
{
    AUTO(json_decref) json_t *schema = json_pack("{s:s}", "type", "object");
    return grammar_from_schema(schema, err);
}
