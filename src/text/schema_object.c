/* schema_object.c: objects of JSON schemas: members in the order of the schema, then others. */
#include "text/schema_internal.h"

enum { MAX_MEMBERS = 1 << 11 };
enum { MAX_KEY = 256 }; // bytes, where other keys are told from them

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
                 schema_row(s, json_char(s->b, &(CharRange){c, c}, 1),
                            other_keys(s, names + i, end - i, at), -1, -1, -1));
        i = end;
    }
    // Controls too: their escapes would have to be told apart from the others'.
    used[n_used++] = (CharRange){0, 31};
    size_t n_rest = ranges_invert(used, n_used, rest);
    expr_add(s->b, list, schema_row(s, json_char(s->b, rest, n_rest), any, -1, -1, -1));
    free(used);
    free(rest);
    return ends ? list : schema_optional(s, list);
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
    return n ? schema_quoted(s, other_keys(s, names, n, 0)) : schema_any_string(s);
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
    Expr value = p->schema ? schema_visit(s, p->schema, at) : schema_any_value(s);
    rule_set(s->b, p->rule, schema_member(s, schema_exactly(s, key), value));
}

/* Members from the back: what may follow when some member was written (`rest`: with a comma), and
 * when none was (`first`). Each is a rule, so that the grammar grows as the schema does. */
static Expr members(Schema *s, const Property *p, size_t n, int other)
{
    Builder *b = s->b;
    int rest = rule_new(b, S("members")), first = rule_new(b, S("first member"));
    if (other >= 0) {
        Expr more =
            schema_row(s, schema_text(s, ","), schema_space(s), expr_rule(b, other), -1, -1);
        rule_set(b, rest, expr_repeat(b, more, 0, -1));
        rule_set(b, first,
                 schema_optional(s, schema_row(s, schema_space(s), expr_rule(b, other),
                                               expr_rule(b, rest), -1, -1)));
    } else {
        rule_set(b, rest, schema_nothing(s));
        rule_set(b, first, schema_nothing(s));
    }
    for (size_t i = n; i-- > 0;) {
        int next_rest = rule_new(b, S("members")), next_first = rule_new(b, S("first member"));
        Expr more = schema_row(s, schema_text(s, ","), schema_space(s), expr_rule(b, p[i].rule),
                               expr_rule(b, rest), -1);
        Expr begin =
            schema_row(s, schema_space(s), expr_rule(b, p[i].rule), expr_rule(b, rest), -1, -1);
        rule_set(b, next_rest, p[i].required ? more : schema_either(s, more, expr_rule(b, rest)));
        rule_set(b, next_first,
                 p[i].required ? begin : schema_either(s, begin, expr_rule(b, first)));
        rest = next_rest;
        first = next_first;
    }
    return expr_rule(b, first);
}

Expr schema_object(Schema *s, const json_t *schema, const char *where)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *additional = json_object_get(schema, "additionalProperties");
    size_t most =
        json_object_size(properties) + json_array_size(json_object_get(schema, "required"));
    if (most == 0 && (!additional || json_is_true(additional)))
        return schema_any_object(s);
    if (most > MAX_MEMBERS) {
        builder_fail(s->b, ERR_LIMIT, "%s: more than %d properties", where, MAX_MEMBERS);
        return schema_nothing(s);
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
        rule_set(s->b, other,
                 schema_member(s, key_of_others(s, properties), schema_visit(s, additional, at)));
    }
    return schema_row(s, schema_text(s, "{"), members(s, p, n, other), schema_space(s),
                      schema_text(s, "}"), -1);
}
