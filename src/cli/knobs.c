/* knobs.c: see knobs.h. */
#include "cli/knobs.h"

#include "base/file.h"
#include "generate/generate.h"

enum { MAX_CONSTRAINT = 1 << 20 };

/* The knob of "--top-k" or "--top-k=5"; *value is then what follows '=', or NULL. */
static const Knob *knob_of(const char *given, const char **value)
{
    char key[64];
    size_t n = 0;
    if (strncmp(given, "--", 2) != 0)
        return NULL;
    for (given += 2; *given && *given != '=' && n + 1 < sizeof key; given++)
        key[n++] = *given == '-' ? '_' : *given;
    key[n] = 0;
    *value = *given == '=' ? given + 1 : NULL;
    return generate_knob_find(key);
}

static json_t *value_of(Str text)
{
    json_t *value = json_parse(text, "option", NULL);
    return value ? value : json_from_str(text);
}

bool knobs_read(json_t *request, int *n, char **args, Error *err)
{
    int kept = 1, i = 1;
    for (; i < *n && strcmp(args[i], "--") != 0; i++) {
        const char *value = NULL;
        const Knob *knob = knob_of(args[i], &value);
        if (!knob) {
            args[kept++] = args[i];
        } else if (!knob->value) {
            json_object_set_new(request, knob->key, value ? value_of(str_of(value)) : json_true());
        } else if (!value && i + 1 == *n) {
            return fail(err, ERR_USAGE, "option '%s' needs a value", args[i]);
        } else {
            value = value ? value : args[++i];
            json_object_set_new(request, knob->key, value_of(str_of(value)));
        }
    }
    for (; i < *n; i++)
        args[kept++] = args[i];
    *n = kept;
    args[kept] = NULL;
    return true;
}

void knobs_help(Buf *out)
{
    buf_add(out, S("\nHow tokens are chosen (the names and meanings of transformers):\n"));
    for (size_t i = 0; i < n_generate_knobs; i++) {
        const Knob *k = &generate_knobs[i];
        char left[80];
        size_t n = (size_t)snprintf(left, sizeof left, "--%s%s%s", k->key, k->value ? " " : "",
                                    k->value ? k->value : "");
        for (size_t c = 2; c < MIN(n, sizeof left) && left[c] != ' '; c++)
            left[c] = left[c] == '_' ? '-' : left[c];
        buf_printf(out, "  %-26s %s\n", left, k->help);
    }
}

bool constraint_read(const Constraint *c, json_t **out, Error *err)
{
    *out = NULL;
    if ((c->json_schema != NULL) + (c->grammar != NULL) + (c->regex != NULL) > 1)
        return fail(err, ERR_USAGE, "--json-schema, --grammar and --regex exclude each other");
    if (c->json_schema) {
        json_t *schema = json_read_file(c->json_schema, MAX_CONSTRAINT, err);
        if (!schema)
            return false;
        *out = json_pack("{s:s,s:o}", "type", "json", "value", schema);
    } else if (c->grammar) {
        AUTO_BUF text;
        buf_init(&text, MAX_CONSTRAINT);
        if (!file_read(c->grammar, &text, err))
            return false;
        *out = json_pack("{s:s,s:o}", "type", "gbnf", "value", json_from_str(buf_str(&text)));
    } else if (c->regex) {
        *out = json_pack("{s:s,s:s}", "type", "regex", "value", c->regex);
    }
    return true;
}
