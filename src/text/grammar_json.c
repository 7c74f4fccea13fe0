/* grammar_json.c: a grammar as requests carry it: {"type", "value"}, the form of the text
 * generation servers and of Hugging Face's clients. */
#include "text/grammar.h"

/* A schema as it is, or as the text of one. */
static Grammar *grammar_of_schema(const json_t *value, Error *err)
{
    AUTO(json_decref) json_t *parsed = NULL;
    if (json_is_string(value)) {
        Str text = {json_string_value(value), json_string_length(value)};
        if (!(parsed = json_parse(text, "the JSON schema", err)))
            return NULL;
        value = parsed;
    }
    return grammar_from_schema(value, err);
}

Grammar *grammar_from_json(const json_t *grammar, Error *err)
{
    const char *type = json_text(grammar, "type", "");
    const json_t *value = json_object_get(grammar, "value");
    if (!value || json_is_null(value))
        value = json_object_get(grammar, "json_schema");
    if (strcmp(type, "json") == 0 || strcmp(type, "json_object") == 0)
        return value ? grammar_of_schema(value, err) : grammar_of_json(err);
    if (strcmp(type, "json_schema") == 0 && value) {
        const json_t *schema = json_object_get(value, "schema");
        return grammar_of_schema(schema ? schema : value, err);
    }
    if (strcmp(type, "regex") == 0 && json_is_string(value))
        return grammar_from_regex((Str){json_string_value(value), json_string_length(value)}, err);
    if ((strcmp(type, "gbnf") == 0 || strcmp(type, "ebnf") == 0) && json_is_string(value))
        return grammar_from_gbnf((Str){json_string_value(value), json_string_length(value)}, err);
    return fail(err, ERR_INVALID,
                "'grammar' must be {\"type\": \"json\", \"regex\", \"json_schema\" or \"gbnf\", "
                "\"value\": ...}");
}
