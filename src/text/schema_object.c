/* schema_object.c: objects of JSON schemas: members in the order of the schema, then others. */
#include "text/schema_internal.h"

enum { MAX_MEMBERS = 1 << 11 };
enum { MAX_PATTERNS = 32 };

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

/* Names that a pattern matches. */
static Automaton *pattern_of(Schema *s, const char *pattern)
{
    return automaton_of(s->b, regex_expr(s->b, str_of(pattern), false, true));
}

/* A named member's own schema, and those of the patterns that match its name. */
static json_t *whole_schema(Schema *s, const json_t *patterns, const Property *p)
{
    json_t *all = json_array(), *value;
    const char *pattern;
    if (p->schema)
        json_array_append(all, (json_t *)(uintptr_t)p->schema);
    json_object_foreach((json_t *)(uintptr_t)patterns, pattern, value)
    {
        if (automaton_accepts(pattern_of(s, pattern), str_of(p->key)))
            json_array_append(all, value);
    }
    if (json_array_size(all) > 1)
        return json_pack("{s:o}", "allOf", all);
    json_t *one = json_incref(json_array_get(all, 0));
    json_decref(all);
    return one;
}

static void make_member(Schema *s, Property *p, const json_t *patterns, const char *where)
{
    char at[300];
    snprintf(at, sizeof at, "%.200s/properties/%.60s", where, p->key);
    AUTO(json_decref) json_t *key = json_string(p->key), *schema = whole_schema(s, patterns, p);
    p->rule = rule_new(s->b, str_of(at));
    Expr value = schema ? schema_visit(s, schema, at) : schema_any_value(s);
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

// ---- Members that are not named ----

/* Texts that keys may be, without those of the named members, and without a member that `not` bars.
 */
static Automaton *free_keys(Schema *s, const Property *p, size_t n, const char *barred)
{
    Expr names = expr_choice(s->b);
    Automaton *any = automaton_of_length(s->b, 0, -1);
    for (size_t i = 0; i < n; i++)
        expr_add(s->b, names, schema_text(s, p[i].key));
    if (barred)
        expr_add(s->b, names, schema_text(s, barred));
    return expr_is_empty(s->b, names) ? any
                                      : automaton_without(s->b, any, automaton_of(s->b, names));
}

static void add_keyed(Schema *s, Expr list, const Automaton *keys, const json_t *schema,
                      const char *where)
{
    Expr key = schema_quoted(s, automaton_expr(s->b, keys, true));
    expr_add(s->b, list, schema_member(s, key, schema_visit(s, schema, where)));
}

/* A member by patternProperties, or one that no pattern matches, by additionalProperties: into a
 * rule; -1 if there are none. */
static int other_members(Schema *s, const json_t *schema, const Property *p, size_t n,
                         const char *barred, const char *where)
{
    const json_t *patterns = json_object_get(schema, "patternProperties"),
                 *additional = json_object_get(schema, "additionalProperties");
    Automaton *keys = free_keys(s, p, n, barred), *matched[MAX_PATTERNS];
    Expr list = expr_choice(s->b);
    size_t n_matched = 0;
    char at[300];
    const char *pattern;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patterns, pattern, value)
    {
        if (json_is_false(value))
            keys = automaton_without(s->b, keys, pattern_of(s, pattern));
    }
    json_object_foreach((json_t *)(uintptr_t)patterns, pattern, value)
    {
        if (json_is_false(value))
            continue;
        Automaton *here = automaton_both(s->b, keys, pattern_of(s, pattern));
        snprintf(at, sizeof at, "%.200s/patternProperties/%.60s", where, pattern);
        for (size_t i = 0; i < n_matched; i++)
            if (!automaton_is_empty(automaton_both(s->b, here, matched[i])))
                schema_refuse(s, at, "patterns that match the same names are not supported");
        if (n_matched == MAX_PATTERNS || !builder_ok(s->b)) {
            builder_fail(s->b, ERR_LIMIT, "%s: more than %d patterns", where, MAX_PATTERNS);
            return -1;
        }
        matched[n_matched++] = here;
        if (!automaton_is_empty(here))
            add_keyed(s, list, here, value, at);
    }
    for (size_t i = 0; i < n_matched; i++)
        keys = automaton_without(s->b, keys, matched[i]);
    snprintf(at, sizeof at, "%.200s/additionalProperties", where);
    if (additional && !json_is_false(additional) && !automaton_is_empty(keys))
        add_keyed(s, list, keys, additional, at);
    if (expr_is_empty(s->b, list))
        return -1;
    int rule = rule_new(s->b, str_of(at));
    rule_set(s->b, rule, list);
    return rule;
}

/* The name of the one member that `not` requires; NULL if there is none. */
static const char *barred_member(const json_t *schema)
{
    return json_string_value(
        json_array_get(json_object_get(json_object_get(schema, "not"), "required"), 0));
}

Expr schema_object(Schema *s, const json_t *schema, const char *where)
{
    const json_t *properties = json_object_get(schema, "properties"),
                 *additional = json_object_get(schema, "additionalProperties"),
                 *patterns = json_object_get(schema, "patternProperties");
    const char *barred = barred_member(schema);
    size_t most =
        json_object_size(properties) + json_array_size(json_object_get(schema, "required"));
    if (most == 0 && (!additional || json_is_true(additional)) && !patterns && !barred)
        return schema_any_object(s);
    if (most > MAX_MEMBERS) {
        builder_fail(s->b, ERR_LIMIT, "%s: more than %d properties", where, MAX_MEMBERS);
        return schema_nothing(s);
    }
    Property *p = NEW_ARRAY(builder_arena(s->b), Property, most + 1);
    size_t n = list_properties(s, schema, p), kept = 0;
    for (size_t i = 0; i < n && builder_ok(s->b); i++) {
        if (!barred || strcmp(p[i].key, barred) != 0) {
            make_member(s, &p[i], patterns, where);
            p[kept++] = p[i];
        } else if (p[i].required) {
            builder_fail(s->b, ERR_INVALID, "%s: '%.60s' must be there and must not", where,
                         barred);
        }
    }
    int other = -1;
    if (patterns || (additional && !json_is_false(additional)))
        other = other_members(s, schema, p, kept, barred, where);
    return schema_row(s, schema_text(s, "{"), members(s, p, kept, other), schema_space(s),
                      schema_text(s, "}"), -1);
}
