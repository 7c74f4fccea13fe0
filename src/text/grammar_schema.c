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
#include "text/schema_internal.h"

#include <math.h>

enum { MAX_DEPTH = 64, MAX_COUNT = 1 << 20 };

// ---- What we cannot hold an answer to ----

void schema_refuse(Schema *s, const char *where, const char *what)
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

int64_t schema_count(Schema *s, const json_t *schema, const char *key, const char *where)
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
        schema_refuse(s, where, "'$ref' with other words beside it is not supported");
    if (!target) {
        builder_fail(s->b, ERR_INVALID, "%s: '$ref' leads nowhere: '%.80s'", where, ref);
        return schema_nothing(s);
    }
    char key[300]; // of this root: a part with definitions of its own is one
    snprintf(key, sizeof key, "%p %.250s", (const void *)s->root, ref);
    uintptr_t known = (uintptr_t)map_find(&s->refs, str_of(key));
    if (!known) {
        int rule = rule_new(s->b, str_of(ref));
        known = (uintptr_t)rule + 1;
        map_put(&s->refs, arena_str(builder_arena(s->b), str_of(key)), (void *)known);
        rule_set(s->b, rule, schema_visit(s, target, ref));
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
            schema_refuse(s, where, "'allOf' of what is no object");
            return schema_nothing(s);
        }
        if (!merge(s, all, target, where))
            return schema_nothing(s);
    }
    return schema_visit(s, all, where);
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
            expr_add(s->b, list, schema_visit(s, part, at));
            continue;
        }
        AUTO(json_decref) json_t *both = json_copy(others);
        const json_t *target = followed(s, part);
        if (json_is_object(target) && merge(s, both, target, at))
            expr_add(s->b, list, schema_visit(s, both, at));
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
    json_array_foreach(values, i, value) expr_add(s->b, list, schema_exactly(s, value));
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
        return schema_object(s, schema, where);
    if (strcmp(type, "array") == 0)
        return schema_array(s, schema, where);
    if (strcmp(type, "string") == 0)
        return schema_string(s, schema, where);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return schema_number(s, schema, where, *type == 'i');
    if (strcmp(type, "boolean") == 0)
        return schema_any_boolean(s);
    if (strcmp(type, "null") == 0)
        return schema_text(s, "null");
    if (strcmp(type, "any") != 0)
        builder_fail(s->b, ERR_INVALID, "%s: there is no type '%.40s'", where, type);
    return schema_any_value(s);
}

static Expr visit_types(Schema *s, const json_t *schema, const char *where)
{
    const json_t *type = json_object_get(schema, "type");
    bool nullable = json_flag(schema, "nullable", false);
    if (!json_is_array(type)) {
        Expr e = visit_type(s, schema,
                            json_is_string(type) ? json_string_value(type) : implied_type(schema),
                            where);
        return nullable ? schema_either(s, e, schema_text(s, "null")) : e;
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
        return schema_nothing(s);
    if (json_object_get(schema, "$ref"))
        return visit_ref(s, schema, where);
    if (json_object_get(schema, "allOf"))
        return visit_all_of(s, schema, where);
    if (json_object_get(schema, "const"))
        return schema_exactly(s, json_object_get(schema, "const"));
    if (json_object_get(schema, "enum"))
        return visit_values(s, json_object_get(schema, "enum"), where);
    if (json_object_get(schema, "anyOf"))
        return visit_any_of(s, schema, "anyOf", where);
    if (json_object_get(schema, "oneOf"))
        return visit_any_of(s, schema, "oneOf", where);
    return visit_types(s, schema, where);
}

Expr schema_visit(Schema *s, const json_t *schema, const char *where)
{
    if (!builder_ok(s->b))
        return schema_nothing(s);
    if (json_is_true(schema))
        return schema_any_value(s);
    if (!json_is_object(schema)) {
        builder_fail(s->b, ERR_INVALID, "%s: %s", where,
                     json_is_false(schema) ? "nothing is allowed here"
                                           : "a schema must be an object");
        return schema_nothing(s);
    }
    if (s->depth == MAX_DEPTH) {
        builder_fail(s->b, ERR_LIMIT, "%s: schemas are nested too deeply", where);
        return schema_nothing(s);
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
             schema_row(&s, expr_text(b, before), schema_visit(&s, schema, "#"),
                        expr_text(b, after), -1, -1));
    map_done(&s.refs);
    Grammar *g = builder_finish(b, root, err);
    return g ? g : fail_while(err, "JSON schema");
}

Grammar *grammar_of_json(Error *err)
{
    AUTO(json_decref) json_t *schema = json_pack("{s:s}", "type", "object");
    return grammar_from_schema(schema, err);
}
