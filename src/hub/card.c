/* card.c: README.md split into front matter and text, and what is wrong with the former. */
#include "base/file.h"
#include "hub/hub_internal.h"

enum { MAX_REPORTS = 100 };

static Str line_at(Str text, size_t *pos)
{
    size_t end = str_find_char(text, '\n', *pos);
    Str line = str_slice(text, *pos, end);
    *pos = end == SIZE_MAX ? text.len : end + 1;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

void card_split(Str readme, Str *yaml, Str *text)
{
    *yaml = (Str){0};
    *text = readme;
    size_t pos = str_starts(readme, S("\xEF\xBB\xBF")) ? 3 : 0;
    while (pos < readme.len && isspace((unsigned char)readme.ptr[pos]))
        pos++;
    if (!str_eq(line_at(readme, &pos), S("---")))
        return;
    size_t from = pos;
    while (pos < readme.len) {
        size_t to = pos;
        if (!str_eq(line_at(readme, &pos), S("---")))
            continue;
        *yaml = str_slice(readme, from, to);
        *text = str_slice(readme, pos, readme.len);
        return;
    }
}

/* ---- Checks ---- */

typedef struct Checker {
    Arena *arena;
    CardReport *report;
} Checker;

__attribute__((format(printf, 2, 3))) static void complain(Checker *c, const char *format, ...)
{
    if (c->report->n_errors == MAX_REPORTS)
        return;
    AUTO_BUF text;
    buf_init(&text, 4096);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    c->report->errors[c->report->n_errors++] = arena_str(c->arena, buf_str(&text));
}

/* The Hub's identifiers; `other` asks for license_name. */
static const char licenses[] =
    " apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m"
    " bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause"
    " bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0"
    " cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0"
    " cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0"
    " cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0"
    " etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc"
    " h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl"
    " openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr"
    " deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2"
    " llama3.3 llama4 grok2-community gemma unknown other ";

typedef enum CardType {
    CARD_TEXT,       // a string
    CARD_TEXTS,      // a string or an array of strings
    CARD_ONLY_TEXTS, // an array of strings
    CARD_REPOS,      // as TEXTS, each owner/name or name
    CARD_CHOICE,     // one of `choices`, separated by spaces
    CARD_CHOICES,    // as CHOICE, or an array of them
    CARD_OBJECTS,    // an array of objects
} CardType;

typedef struct CardKey {
    const char *key;
    CardType type;
    const char *choices;
} CardKey;

static const char colors[] = " red yellow green blue indigo purple pink gray ";

static const CardKey common[] = {
    {"license", CARD_CHOICES, licenses}, {"license_name", CARD_TEXT, NULL},
    {"license_link", CARD_TEXT, NULL},   {"language", CARD_TEXTS, NULL},
    {"tags", CARD_ONLY_TEXTS, NULL},     {"thumbnail", CARD_TEXT, NULL},
};
static const CardKey of_models[] = {
    {"datasets", CARD_REPOS, NULL},
    {"metrics", CARD_TEXTS, NULL},
    {"library_name", CARD_TEXT, NULL},
    {"pipeline_tag", CARD_TEXT, NULL},
    {"base_model", CARD_REPOS, NULL},
    {"base_model_relation", CARD_CHOICE, " adapter finetune merge quantized "},
    {"model-index", CARD_OBJECTS, NULL},
};
static const CardKey of_datasets[] = {
    {"pretty_name", CARD_TEXT, NULL}, {"task_categories", CARD_TEXTS, NULL},
    {"task_ids", CARD_TEXTS, NULL},   {"size_categories", CARD_TEXTS, NULL},
    {"configs", CARD_OBJECTS, NULL},
};
static const CardKey of_spaces[] = {
    {"title", CARD_TEXT, NULL},
    {"emoji", CARD_TEXT, NULL},
    {"colorFrom", CARD_CHOICE, colors},
    {"colorTo", CARD_CHOICE, colors},
    {"sdk", CARD_CHOICE, " gradio docker static streamlit "},
    {"app_file", CARD_TEXT, NULL},
    {"short_description", CARD_TEXT, NULL},
};
static const struct {
    const CardKey *keys;
    size_t n;
} keys_of[REPO_KINDS] = {
    [REPO_MODEL] = {of_models, COUNT(of_models)},
    [REPO_DATASET] = {of_datasets, COUNT(of_datasets)},
    [REPO_SPACE] = {of_spaces, COUNT(of_spaces)},
};

static bool is_texts(const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return true;
}

static bool is_repo_id(const char *id)
{
    Str owner = str_slice(str_of(id), 0, str_find_char(str_of(id), '/', 0));
    Str name = str_slice(str_of(id), owner.len + 1, strlen(id));
    return name_check(owner, NULL) && (owner.len == strlen(id) || name_check(name, NULL));
}

static void check_repos(Checker *c, const CardKey *key, const json_t *value)
{
    if (!json_is_string(value) && !is_texts(value)) {
        complain(c, "\"%s\" must be a string or an array of strings", key->key);
        return;
    }
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
        if (!is_repo_id(id))
            complain(c, "\"%s[%zu]\" with value \"%s\" is not valid: it should be the id of a %s",
                     key->key, i, id, strcmp(key->key, "datasets") == 0 ? "dataset" : "model");
    }
}

static void check_choice(Checker *c, const CardKey *key, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || !*text || strchr(text, ' ') ||
        !strstr(key->choices, arena_printf(c->arena, " %s ", text)))
        complain(c, "\"%s\" must be one of:%.*s", key->key, (int)strlen(key->choices) - 1,
                 key->choices);
}

static void check_key(Checker *c, const CardKey *key, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    switch (key->type) {
    case CARD_TEXT:
        if (!json_is_string(value))
            complain(c, "\"%s\" must be a string", key->key);
        break;
    case CARD_TEXTS:
        if (!json_is_string(value) && !is_texts(value))
            complain(c, "\"%s\" must be a string or an array of strings", key->key);
        break;
    case CARD_ONLY_TEXTS:
        if (!is_texts(value))
            complain(c, "\"%s\" must be an array of strings", key->key);
        break;
    case CARD_REPOS:
        check_repos(c, key, value);
        break;
    case CARD_CHOICE:
        check_choice(c, key, value);
        break;
    case CARD_CHOICES:
        for (size_t i = 0; i < json_array_size(value); i++)
            check_choice(c, key, json_array_get(value, i));
        if (!json_is_array(value))
            check_choice(c, key, value);
        break;
    case CARD_OBJECTS:
        if (!json_is_array(value))
            complain(c, "\"%s\" must be an array", key->key);
        for (size_t i = 0; i < json_array_size(value); i++)
            if (!json_is_object(json_array_get(value, i)))
                complain(c, "\"%s[%zu]\" must be an object", key->key, i);
        break;
    }
}

void card_check(Arena *a, Str readme, RepoKind kind, CardReport *out)
{
    *out = (CardReport){.errors = NEW_ARRAY(a, Str, MAX_REPORTS), .warnings = NEW(a, Str)};
    Checker c = {.arena = a, .report = out};
    Str yaml, text;
    card_split(readme, &yaml, &text);
    Error err = {0};
    AUTO(json_decref) json_t *card = yaml_parse(yaml, &err);
    if (!card) {
        complain(&c, "%s", err.text);
        return;
    }
    if (json_is_null(card) || (json_is_object(card) && json_object_size(card) == 0)) {
        out->warnings[out->n_warnings++] = S("empty or missing yaml metadata in repo card");
        return;
    }
    if (!json_is_object(card)) {
        complain(&c, "the metadata must be a mapping of keys to values");
        return;
    }
    for (size_t i = 0; i < COUNT(common); i++)
        check_key(&c, &common[i], json_object_get(card, common[i].key));
    for (size_t i = 0; i < keys_of[kind].n; i++)
        check_key(&c, &keys_of[kind].keys[i], json_object_get(card, keys_of[kind].keys[i].key));
}
