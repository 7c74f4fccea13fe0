/* grammar_schema.c: from a JSON schema to rules: what is written is valid JSON that the schema
 * allows, with its members in the schema's order.
 *
 * A subset of draft 2020-12 (json-schema.org): type, enum, const, anyOf, oneOf (as anyOf), allOf
 * (of what can be merged), not (of types, values, a pattern, a required member), $ref within the
 * document, properties, required, additionalProperties, patternProperties, items, prefixItems,
 * minItems, maxItems, uniqueItems (of items with few values), minLength, maxLength, pattern,
 * format, minimum, maximum and their exclusive forms, multipleOf. Notes, and formats that we do not
 * know, are passed over; any other word that would forbid something is refused, because the answer
 * could not be held to it.
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

/* Words that are understood, and the type that shows in them. */
static const struct Word {
    const char *key, *type;
} words[] = {
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"patternProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"pattern", "string"},
    {"format", "string"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
    {"type", NULL},
    {"enum", NULL},
    {"const", NULL},
    {"anyOf", NULL},
    {"oneOf", NULL},
    {"allOf", NULL},
    {"$ref", NULL},
    {"not", NULL},
};

static bool is_one_of(const char *key, const char *const *list)
{
    while (*list && strcmp(*list, key) != 0)
        list++;
    return *list != NULL;
}

/* Words that are understood, and those that forbid nothing. */
static bool is_known_word(const char *key)
{
    static const char *const notes[] = {
        "title",      "description",   "default",         "examples",         "example",
        "deprecated", "readOnly",      "writeOnly",       "$schema",          "$id",
        "$comment",   "$defs",         "definitions",     "$anchor",          "nullable",
        "strict",     "discriminator", "contentEncoding", "contentMediaType", "name",
        NULL};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i].key, key) == 0)
            return true;
    return is_one_of(key, notes) || str_starts(str_of(key), S("x-"));
}

/* Words that forbid something, as JSON Schema has them; others are notes of somebody's own. */
static bool is_other_word(const char *key, const json_t *value)
{
    static const char *const others[] = {"if",
                                         "then",
                                         "else",
                                         "propertyNames",
                                         "contains",
                                         "minContains",
                                         "maxContains",
                                         "minProperties",
                                         "maxProperties",
                                         "dependentRequired",
                                         "dependentSchemas",
                                         "dependencies",
                                         "unevaluatedProperties",
                                         "unevaluatedItems",
                                         "additionalItems",
                                         "$dynamicRef",
                                         "$recursiveRef",
                                         NULL};
    bool is_off = json_is_false(value) && strncmp(key, "unevaluated", 11) == 0;
    return !is_off && is_one_of(key, others);
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
    for (size_t i = 0; i < COUNT(words); i++)
        if (json_object_get(schema, words[i].key))
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

// ---- Values and types ----

json_t *schema_values(const json_t *schema)
{
    json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    return one ? json_pack("[O]", one) : json_is_array(list) ? json_incref(list) : NULL;
}

bool schema_has_value(const json_t *list, const json_t *value)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (json_is_number(one) && json_is_number(value)
                ? json_number_value(one) == json_number_value(value)
                : json_equal(one, value))
            return true;
    }
    return false;
}

static const char *type_of(const json_t *value)
{
    return json_is_object(value)    ? "object"
           : json_is_array(value)   ? "array"
           : json_is_string(value)  ? "string"
           : json_is_integer(value) ? "integer"
           : json_is_number(value)  ? "number"
           : json_is_boolean(value) ? "boolean"
                                    : "null";
}

/* Whether `type`, a name or a list of them, names this one; a number may be an integer. */
static bool has_type(const json_t *type, const char *name)
{
    size_t i;
    const json_t *one;
    if (json_is_string(type))
        return strcmp(json_string_value(type), name) == 0 ||
               (strcmp(json_string_value(type), "number") == 0 && strcmp(name, "integer") == 0);
    json_array_foreach(type, i, one)
    {
        if (has_type(one, name))
            return true;
    }
    return false;
}

/* The values, without those that `not` takes out. */
static Expr visit_values(Schema *s, const json_t *schema, const char *where)
{
    const json_t *not = json_object_get(schema, "not"), *value;
    AUTO(json_decref) json_t *values = schema_values(schema), *barred = schema_values(not );
    Expr list = expr_choice(s->b);
    size_t i;
    if (not &&!barred && !json_object_get(not, "type"))
        schema_refuse(s, where, "'not' beside values may name values or types");
    json_array_foreach(values, i, value)
    {
        if (!schema_has_value(barred, value) &&
            !has_type(json_object_get(not, "type"), type_of(value)))
            expr_add(s->b, list, schema_exactly(s, value));
    }
    if (expr_is_empty(s->b, list))
        builder_fail(s->b, ERR_INVALID, "%s: 'enum' must be a list that is not empty", where);
    return list;
}

/* A type that is not said shows in the words that only it has. */
static const char *implied_type(const json_t *schema)
{
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].type && json_object_get(schema, words[i].key))
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

// ---- Not ----

/* The one word of a `not` beside notes and `type`: "" if there is none, NULL if there are more, or
 * one that is not supported. */
static const char *word_of_not(const json_t * not )
{
    static const char *const supported[] = {"enum", "const", "pattern", "required", NULL};
    const char *found = "", *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t) not, key, value)
    {
        bool is_word = is_other_word(key, value);
        for (size_t i = 0; i < COUNT(words); i++)
            is_word |= strcmp(words[i].key, key) == 0;
        if (!is_word || strcmp(key, "type") == 0)
            continue;
        if (*found || !is_one_of(key, supported) ||
            (strcmp(key, "required") == 0 && json_array_size(value) != 1))
            return NULL;
        found = key;
    }
    return found;
}

/* A type of the schema that `not` leaves something of: what, its visitor sees to. -1: nothing. */
static Expr visit_left(Schema *s, const json_t *schema, const char *type, const char *word,
                       const char *where)
{
    const json_t *not = json_object_get(schema, "not"), *types = json_object_get(not, "type");
    AUTO(json_decref) json_t *values = schema_values(not ), *left = json_array();
    size_t i;
    json_t *value;
    const char *own = strcmp(word, "pattern") == 0    ? "string"
                      : strcmp(word, "required") == 0 ? "object"
                                                      : NULL;
    if (own && !types && strcmp(type, own) != 0)
        return -1; // the word says nothing of other types, so that `not` takes all of them
    if (!*word && has_type(types, type))
        return -1;
    if (!*word && strcmp(type, "number") == 0 && has_type(types, "integer"))
        schema_refuse(s, where, "'not' of integers among numbers is not supported");
    if (strcmp(type, "boolean") == 0 || strcmp(type, "null") == 0) {
        AUTO(json_decref)
        json_t *all = *type == 'n' ? json_pack("[n]") : json_pack("[b,b]", 0, 1);
        json_array_foreach(all, i, value)
        {
            if (!schema_has_value(values, value))
                json_array_append(left, value);
        }
        AUTO(json_decref) json_t *rest = json_pack("{s:O}", "enum", left);
        return json_array_size(left) ? visit_values(s, rest, where) : -1;
    }
    json_array_foreach(values, i, value)
    {
        if (strcmp(type_of(value), type) == 0 && !json_is_string(value) && !json_is_number(value))
            schema_refuse(s, where, "'not' of an object or a list is not supported");
    }
    return visit_type(s, schema, type, where);
}

static Expr visit_not(Schema *s, const json_t *schema, const char *where)
{
    const json_t *type = json_object_get(schema, "type");
    const char *word = word_of_not(json_object_get(schema, "not")), *implied = implied_type(schema);
    Expr list = expr_choice(s->b);
    if (!word || says_nothing(json_object_get(schema, "not"))) {
        schema_refuse(s, where,
                      "'not' is supported of types, values, one pattern or one required member");
        return list;
    }
    AUTO(json_decref)
    json_t *types =
        json_is_array(type)    ? json_incref((json_t *)(uintptr_t)type)
        : json_is_string(type) ? json_pack("[O]", type)
        : strcmp(implied, "any") != 0
            ? json_pack("[s]", implied)
            : json_pack("[s,s,s,s,s,s]", "object", "array", "string", "number", "boolean", "null");
    for (size_t i = 0; i < json_array_size(types) && builder_ok(s->b); i++) {
        const char *one = json_string_value(json_array_get(types, i));
        Expr left = visit_left(s, schema, one ? one : "?", word, where);
        if (left >= 0)
            expr_add(s->b, list, left);
    }
    if (expr_is_empty(s->b, list))
        builder_fail(s->b, ERR_INVALID, "%s: 'not' leaves nothing", where);
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
    if (json_object_get(schema, "const") || json_object_get(schema, "enum"))
        return visit_values(s, schema, where);
    if (json_object_get(schema, "anyOf"))
        return visit_any_of(s, schema, "anyOf", where);
    if (json_object_get(schema, "oneOf"))
        return visit_any_of(s, schema, "oneOf", where);
    return json_object_get(schema, "not") ? visit_not(s, schema, where)
                                          : visit_types(s, schema, where);
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
