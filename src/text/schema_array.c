/* schema_array.c: arrays of JSON schemas. */
#include "text/schema_internal.h"

enum { MAX_PREFIX = 256 }; // items

/* The i-th item on, where a comma comes first unless it is the first one. */
static Expr items_from(Schema *s, const json_t *prefix, size_t i, int rest, int64_t min,
                       int64_t max, const char *where)
{
    size_t n = json_array_size(prefix);
    Expr comma =
        i ? schema_row(s, schema_text(s, ","), schema_space(s), -1, -1, -1) : schema_space(s);
    if (max >= 0 && (int64_t)i >= max)
        return schema_nothing(s);
    if (i < n) {
        char at[300];
        snprintf(at, sizeof at, "%.200s/prefixItems/%zu", where, i);
        Expr item = schema_visit(s, json_array_get(prefix, i), at);
        Expr more = items_from(s, prefix, i + 1, rest, min, max, where);
        Expr all = schema_row(s, comma, item, more, -1, -1);
        return (int64_t)i < min ? all : schema_optional(s, all);
    }
    if (rest < 0)
        return schema_nothing(s);
    int64_t least = MAX(min - (int64_t)i, 0), most = max < 0 ? -1 : max - (int64_t)i;
    if (i > 0)
        return expr_repeat(s->b, schema_row(s, comma, expr_rule(s->b, rest), -1, -1, -1), least,
                           most);
    Expr more = schema_row(s, schema_text(s, ","), schema_space(s), expr_rule(s->b, rest), -1, -1);
    Expr all =
        schema_row(s, comma, expr_rule(s->b, rest),
                   expr_repeat(s->b, more, MAX(least - 1, 0), most < 0 ? -1 : most - 1), -1, -1);
    return least > 0 ? all : schema_optional(s, all);
}

Expr schema_array(Schema *s, const json_t *schema, const char *where)
{
    const json_t *items = json_object_get(schema, "items"),
                 *prefix = json_object_get(schema, "prefixItems");
    int64_t min = MAX(schema_count(s, schema, "minItems", where), 0),
            max = schema_count(s, schema, "maxItems", where);
    if (json_is_array(items)) // draft 7's way
        prefix = items;
    if (json_array_size(prefix) > MAX_PREFIX) {
        builder_fail(s->b, ERR_LIMIT, "%s: more than %d 'prefixItems'", where, MAX_PREFIX);
        return schema_nothing(s);
    }
    if (!items && !prefix && min == 0 && max < 0)
        return schema_any_array(s);
    int rest = -1;
    if (!json_is_false(items) && !(prefix && (!items || items == prefix))) {
        char at[300];
        snprintf(at, sizeof at, "%.200s/items", where);
        rest = rule_new(s->b, str_of(at));
        rule_set(s->b, rest, items ? schema_visit(s, items, at) : schema_any_value(s));
    }
    if ((max >= 0 && max < min) || (rest < 0 && min > (int64_t)json_array_size(prefix)))
        builder_fail(s->b, ERR_INVALID, "%s: no array has as many items as it must", where);
    return schema_row(s, schema_text(s, "["), items_from(s, prefix, 0, rest, min, max, where),
                      schema_space(s), schema_text(s, "]"), -1);
}
