/* Generation's knobs as options: every key of `generate_knobs` is one, --top-k for top_k, for each
 * verb that writes texts. */
#pragma once

#include "base/json.h"

/* Takes them out of args[1..*n), lowers *n, and stores their values in the object: JSON where they
 * are JSON ("0.7", "true", "[1, 2]"), else a text. "--" ends it. ERR_USAGE for one without a value.
 */
bool knobs_read(json_t *request, int *n, char **args, Error *err);
/* One line a knob. */
void knobs_help(Buf *out);

/* What an answer must match, as verbs offer it. */
typedef struct Constraint {
    const char *json_schema, *grammar; // paths of files
    const char *regex;
} Constraint;

#define CONSTRAINT_OPTIONS(type, member)                                                           \
    VALUE(type, member.json_schema, TEXT, "--json-schema", "FILE", "write JSON of this schema"),   \
        VALUE(type, member.grammar, TEXT, "--grammar", "FILE", "write what this GBNF allows"),     \
        VALUE(type, member.regex, TEXT, "--regex", "R", "write what matches this whole pattern")

/* {"type", "value"} for grammar_from_json; *out stays NULL if nothing was said. */
bool constraint_read(const Constraint *c, json_t **out, Error *err);
