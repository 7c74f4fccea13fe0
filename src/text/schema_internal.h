/* What the files of JSON schemas share: schema_json.c has what any JSON is made of,
 * schema_number.c, schema_string.c, schema_array.c and schema_object.c have a type each,
 * grammar_schema.c what holds for all. */
#pragma once

#include "base/map.h"
#include "text/automaton.h"

enum { SCHEMA_DIGITS = 18 }; // of a number, before and behind the point each

typedef struct Schema {
    Builder *b;
    const json_t *root;
    Map refs; // pointer to its rule + 1
    int depth;
    int space, value, object, array, string, number, integer; // rules, -1: not needed yet
} Schema;

/* The expression of a schema; `where` is its place in the document, for messages. */
Expr schema_visit(Schema *s, const json_t *schema, const char *where);
/* ERR_UNSUPPORTED. */
void schema_refuse(Schema *s, const char *where, const char *what);
/* A count that the schema says; -1 if it says none. */
int64_t schema_count(Schema *s, const json_t *schema, const char *key, const char *where);

/* The values of `enum` or `const`, a new list; NULL if there is neither. */
json_t *schema_values(const json_t *schema);
/* Whether the list has a value equal to this one: 1 and 1.0 are. */
bool schema_has_value(const json_t *list, const json_t *value);

/* A schema of that type, as far as its words are the type's own. */
Expr schema_string(Schema *s, const json_t *schema, const char *where);
Expr schema_number(Schema *s, const json_t *schema, const char *where, bool whole);
Expr schema_array(Schema *s, const json_t *schema, const char *where);
Expr schema_object(Schema *s, const json_t *schema, const char *where);

// ---- schema_json.c ----

Expr schema_text(Schema *s, const char *text);
Expr schema_nothing(Schema *s);
/* A sequence of up to five; -1 ends it. */
Expr schema_row(Schema *s, Expr a, Expr b, Expr c, Expr d, Expr e);
Expr schema_either(Schema *s, Expr a, Expr b);
Expr schema_digits(Schema *s, char from, char to, int64_t min, int64_t max);
Expr schema_optional(Schema *s, Expr e);
Expr schema_space(Schema *s); // that may stand between tokens
Expr schema_quoted(Schema *s, Expr inner);
Expr schema_fraction(Schema *s); // a point and digits
Expr schema_member(Schema *s, Expr key, Expr value);
Expr schema_exactly(Schema *s, const json_t *value);
Expr schema_any_string(Schema *s);
Expr schema_any_integer(Schema *s);
Expr schema_any_number(Schema *s);
Expr schema_any_boolean(Schema *s);
Expr schema_any_object(Schema *s);
Expr schema_any_array(Schema *s);
Expr schema_any_value(Schema *s);
