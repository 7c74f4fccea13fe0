/* schema_string.c: texts of JSON schemas: lengths, patterns, formats. */
#include "text/schema_internal.h"

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

/* Texts that `not` takes out: values, or what matches a pattern; NULL if it is neither. */
static Automaton *barred_texts(Schema *s, const json_t *schema)
{
    const json_t *not = json_object_get(schema, "not"), *value;
    const char *pattern = json_text(not, "pattern", NULL);
    size_t i;
    if (pattern)
        return automaton_of(s->b, regex_expr(s->b, str_of(pattern), false, true));
    AUTO(json_decref) json_t *values = schema_values(not );
    Expr list = expr_choice(s->b);
    json_array_foreach(values, i, value)
    {
        if (json_is_string(value))
            expr_add(s->b, list, schema_text(s, json_string_value(value)));
    }
    return expr_is_empty(s->b, list) ? NULL : automaton_of(s->b, list);
}

/* What several words say of one text. */
static Expr all_of(Schema *s, const json_t *schema, const char *pattern, const char *format,
                   int64_t min, int64_t max)
{
    Builder *b = s->b;
    Automaton *all = automaton_of_length(b, MAX(min, 0), max), *barred = barred_texts(s, schema);
    if (pattern)
        all = automaton_both(b, all, automaton_of(b, regex_expr(b, str_of(pattern), false, true)));
    if (format)
        all = automaton_both(b, all, automaton_of(b, regex_expr(b, str_of(format), false, false)));
    if (barred)
        all = automaton_without(b, all, barred);
    return schema_quoted(s, automaton_expr(b, all, true));
}

Expr schema_string(Schema *s, const json_t *schema, const char *where)
{
    int64_t min = schema_count(s, schema, "minLength", where),
            max = schema_count(s, schema, "maxLength", where);
    const char *pattern = json_text(schema, "pattern", NULL), *format = format_pattern(schema);
    bool has_length = min > 0 || max >= 0, has_not = json_object_get(schema, "not");
    if (max >= 0 && max < min) {
        builder_fail(s->b, ERR_INVALID, "%s: no text is as long as it must be", where);
        return schema_nothing(s);
    }
    if ((pattern != NULL) + (format != NULL) + has_length > 1 || has_not)
        return all_of(s, schema, pattern, format, min, max);
    if (pattern)
        return schema_quoted(s, regex_expr(s->b, str_of(pattern), true, true));
    if (format)
        return schema_quoted(s, regex_expr(s->b, str_of(format), true, false));
    if (has_length)
        return schema_quoted(s, expr_repeat(s->b, json_char(s->b, NULL, 0), MAX(min, 0), max));
    return schema_any_string(s);
}
