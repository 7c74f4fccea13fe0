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

// ---- Items that differ ----

enum { MAX_DIFFERENT = 10 };

/* The values that an item may have, each once, a new list: of enum, const, boolean, null; NULL if
 * there may be others. */
static json_t *item_values(const json_t *items)
{
    const char *type = json_text(items, "type", "");
    AUTO(json_decref) json_t *values = schema_values(items);
    if (!values && strcmp(type, "boolean") == 0)
        values = json_pack("[b,b]", 0, 1);
    if (!values && strcmp(type, "null") == 0)
        values = json_pack("[n]");
    if (!values)
        return NULL;
    json_t *all = json_array(), *value;
    size_t i;
    json_array_foreach(values, i, value)
    {
        if (!schema_has_value(all, value))
            json_array_append(all, value);
    }
    return all;
}

typedef struct Different {
    const json_t *values;
    int64_t min, max;
    // What may follow when the values of these bits were written; -1: no rule yet.
    int rules[1 << MAX_DIFFERENT];
} Different;

static Expr others_from(Schema *s, Different *d, unsigned used)
{
    if (d->rules[used] >= 0)
        return expr_rule(s->b, d->rules[used]);
    int rule = d->rules[used] = rule_new(s->b, S("items that differ"));
    Expr list = expr_choice(s->b);
    int64_t n = __builtin_popcount(used);
    for (size_t i = 0; i < json_array_size(d->values) && n < d->max; i++) {
        if (used >> i & 1)
            continue;
        Expr comma = used ? schema_row(s, schema_text(s, ","), schema_space(s), -1, -1, -1)
                          : schema_space(s);
        Expr value = schema_exactly(s, json_array_get(d->values, i));
        expr_add(s->b, list,
                 schema_row(s, comma, value, others_from(s, d, used | 1U << i), -1, -1));
    }
    if (n >= d->min)
        expr_add(s->b, list, schema_nothing(s));
    rule_set(s->b, rule, list);
    return expr_rule(s->b, rule);
}

/* An array no two items of which are equal: its items have few values, so that a rule can know
 * which of them were written. */
static Expr different_items(Schema *s, const json_t *items, int64_t min, int64_t max,
                            const char *where)
{
    AUTO(json_decref) json_t *values = item_values(items);
    size_t n = json_array_size(values);
    if (!values || n > MAX_DIFFERENT) {
        schema_refuse(s, where,
                      "'uniqueItems' is supported for items of at most 10 values ('enum')");
        return schema_nothing(s);
    }
    if ((int64_t)n < min) {
        builder_fail(s->b, ERR_INVALID, "%s: %zu values do not make %lld different items", where, n,
                     (long long)min);
        return schema_nothing(s);
    }
    Different *d = arena_alloc(builder_arena(s->b), sizeof *d);
    *d = (Different){.values = values, .min = min, .max = max < 0 ? INT64_MAX : max};
    memset(d->rules, -1, sizeof d->rules);
    return schema_row(s, schema_text(s, "["), others_from(s, d, 0), schema_space(s),
                      schema_text(s, "]"), -1);
}

// ---- Arrays ----

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
    if (json_flag(schema, "uniqueItems", false) && (max < 0 || max > 1)) {
        if (!prefix)
            return different_items(s, items, min, max, where);
        schema_refuse(s, where, "'uniqueItems' does not go with 'prefixItems'");
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
