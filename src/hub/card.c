/* card.c: README.md split into front matter and text, and what is wrong with the former. */
#include "hub/card.h"

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

static Str sentence(Checker *c, const char *format, va_list args)
{
    AUTO_BUF text;
    buf_init(&text, 4096);
    buf_vprintf(&text, format, args);
    return arena_str(c->arena, buf_str(&text));
}

__attribute__((format(printf, 2, 3))) static void complain(Checker *c, const char *format, ...)
{
    va_list args;
    if (c->report->n_errors == MAX_REPORTS)
        return;
    va_start(args, format);
    c->report->errors[c->report->n_errors++] = sentence(c, format, args);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static void warn(Checker *c, const char *format, ...)
{
    va_list args;
    if (c->report->n_warnings == MAX_REPORTS)
        return;
    va_start(args, format);
    c->report->warnings[c->report->n_warnings++] = sentence(c, format, args);
    va_end(args);
}

typedef enum CardType {
    CARD_TEXT,       // a string
    CARD_TEXTS,      // a string or an array of strings
    CARD_ONLY_TEXTS, // an array of strings
    CARD_FLAG,       // true or false
    CARD_REPOS,      // as TEXTS, each owner/name or name
    CARD_CHOICE,     // one of `choices`
    CARD_CHOICES,    // as CHOICE, or an array of them
    CARD_TASK,       // a string; one that is no task of the Hub is warned of
    CARD_TASKS,      // as TEXTS, the same
    CARD_LANGUAGES,  // as TEXTS, each a language's code
    CARD_OBJECTS,    // an array of objects
    CARD_INDEX,      // model-index
} CardType;

typedef struct CardKey {
    const char *key;
    CardType type;
    const char *const *choices; // ending with NULL
    size_t longest;             // of a TEXT, in characters; 0: any
} CardKey;

static const char *const colors[] = {"red",    "yellow", "green", "blue", "indigo",
                                     "purple", "pink",   "gray",  NULL};
static const char *const relations[] = {"adapter", "finetune", "merge", "quantized", NULL};
static const char *const sdks[] = {"gradio", "docker", "static", "streamlit", NULL};
static const char *const sizes[] = {
    "unknown",   "n<1K",     "1K<n<10K",   "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M",
    "100M<n<1B", "1B<n<10B", "10B<n<100B", "100B<n<1T",  "n>1T",      NULL};

static const CardKey common[] = {
    {"license", CARD_CHOICES, card_licenses},
    {"license_name", CARD_TEXT},
    {"license_link", CARD_TEXT},
    {"language", CARD_LANGUAGES},
    {"tags", CARD_ONLY_TEXTS},
    {"thumbnail", CARD_TEXT},
    {"extra_gated_prompt", CARD_TEXT},
    {"extra_gated_heading", CARD_TEXT},
};
static const CardKey of_models[] = {
    {"datasets", CARD_REPOS},    {"metrics", CARD_TEXTS},
    {"library_name", CARD_TEXT}, {"pipeline_tag", CARD_TASK},
    {"base_model", CARD_REPOS},  {"base_model_relation", CARD_CHOICE, relations},
    {"new_version", CARD_REPOS}, {"model-index", CARD_INDEX},
};
static const CardKey of_datasets[] = {
    {"pretty_name", CARD_TEXT},      {"task_categories", CARD_TASKS},
    {"task_ids", CARD_TEXTS},        {"size_categories", CARD_CHOICES, sizes},
    {"multilinguality", CARD_TEXTS}, {"source_datasets", CARD_TEXTS},
    {"configs", CARD_OBJECTS},       {"viewer", CARD_FLAG},
};
static const CardKey of_spaces[] = {
    {"title", CARD_TEXT},
    {"emoji", CARD_TEXT},
    {"colorFrom", CARD_CHOICE, colors},
    {"colorTo", CARD_CHOICE, colors},
    {"sdk", CARD_CHOICE, sdks},
    {"app_file", CARD_TEXT},
    {"pinned", CARD_FLAG},
    {"models", CARD_REPOS},
    {"datasets", CARD_REPOS},
    {"short_description", CARD_TEXT, NULL, 60},
};
static const struct {
    const CardKey *keys;
    size_t n;
} keys_of[REPO_KINDS] = {
    [REPO_MODEL] = {of_models, COUNT(of_models)},
    [REPO_DATASET] = {of_datasets, COUNT(of_datasets)},
    [REPO_SPACE] = {of_spaces, COUNT(of_spaces)},
};

const char *const *card_choices(RepoKind kind, const char *key)
{
    for (size_t i = 0; i < keys_of[kind].n; i++)
        if (strcmp(keys_of[kind].keys[i].key, key) == 0)
            return keys_of[kind].keys[i].choices;
    return NULL;
}

static bool is_texts(const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return true;
}

static bool check_texts(Checker *c, const char *key, const json_t *value)
{
    if (json_is_string(value) || is_texts(value))
        return true;
    complain(c, "\"%s\" must be a string or an array of strings", key);
    return false;
}

/* The i-th of a string or an array of strings; NULL behind the last. */
static const char *text_at(const json_t *value, size_t i)
{
    return json_is_array(value) ? json_string_value(json_array_get(value, i))
           : i == 0             ? json_string_value(value)
                                : NULL;
}

static bool is_repo_id(const char *id)
{
    Str owner = str_slice(str_of(id), 0, str_find_char(str_of(id), '/', 0));
    Str name = str_slice(str_of(id), owner.len + 1, strlen(id));
    return name_check(owner, NULL) && (owner.len == strlen(id) || name_check(name, NULL));
}

static void check_repos(Checker *c, const char *key, const json_t *value)
{
    const char *id;
    if (!check_texts(c, key, value))
        return;
    for (size_t i = 0; (id = text_at(value, i)); i++)
        if (!is_repo_id(id))
            complain(c, "\"%s[%zu]\" with value \"%s\" is not valid: it should be the id of a %s",
                     key, i, id, strcmp(key, "datasets") == 0 ? "dataset" : "model");
}

static void check_choice(Checker *c, const CardKey *key, const json_t *value)
{
    const char *text = json_string_value(value);
    AUTO_BUF list;
    buf_init(&list, 4000);
    for (const char *const *choice = key->choices; *choice; choice++) {
        if (text && strcmp(text, *choice) == 0)
            return;
        buf_printf(&list, "%s%s", choice == key->choices ? "" : ", ", *choice);
    }
    complain(c, "\"%s\" must be one of [%.*s]", key->key, STR(buf_str(&list)));
}

static void check_languages(Checker *c, const char *key, const json_t *value)
{
    const char *word;
    if (!check_texts(c, key, value))
        return;
    for (size_t i = 0; (word = text_at(value, i)); i++) {
        Str first = str_slice(str_of(word), 0, str_find_char(str_of(word), '-', 0));
        if (card_is_language(str_of(word)))
            continue;
        if (first.len < strlen(word) && card_is_language(first))
            warn(c, "\"%s[%zu]\" with value \"%s\": filters know it as \"%.*s\"", key, i, word,
                 STR(first));
        else
            complain(
                c,
                "\"%s[%zu]\" with value \"%s\" is not valid: it must be an ISO 639 code of two "
                "or three small letters (\"en\"), \"code\" or \"multilingual\"",
                key, i, word);
    }
}

static void check_tasks(Checker *c, const char *key, const json_t *value)
{
    const char *word;
    for (size_t i = 0; (word = text_at(value, i)); i++)
        if (!card_is_task(str_of(word)))
            warn(c, "\"%s\": \"%s\" is not a task that the Hub's clients know", key, word);
}

static void check_objects(Checker *c, const char *key, const json_t *value)
{
    if (!json_is_array(value))
        complain(c, "\"%s\" must be an array", key);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_object(json_array_get(value, i)))
            complain(c, "\"%s[%zu]\" must be an object", key, i);
}

/* ---- model-index: [{name, results: [{task: {type}, dataset: {name, type}, metrics: [{type,
 * value}]}]}] */

static void check_member(Checker *c, const char *at, const json_t *object, const char *name,
                         bool (*is)(const json_t *value), const char *what)
{
    const json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        complain(c, "\"%s.%s\" is required", at, name);
    else if (!is(value))
        complain(c, "\"%s.%s\" must be %s", at, name, what);
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

static bool is_list(const json_t *value)
{
    return json_is_array(value);
}

static bool is_anything(const json_t *value)
{
    return value != NULL;
}

static void check_result(Checker *c, const char *at, const json_t *result)
{
    const json_t *dataset = json_object_get(result, "dataset");
    const json_t *metrics = json_object_get(result, "metrics");
    check_member(c, at, result, "task", is_object, "an object");
    if (json_is_object(json_object_get(result, "task")))
        check_member(c, arena_printf(c->arena, "%s.task", at), json_object_get(result, "task"),
                     "type", is_text, "a string");
    if (dataset && !json_is_object(dataset))
        complain(c, "\"%s.dataset\" must be an object", at);
    else if (dataset) {
        const char *place = arena_printf(c->arena, "%s.dataset", at);
        check_member(c, place, dataset, "type", is_text, "a string");
        check_member(c, place, dataset, "name", is_text, "a string");
    }
    check_member(c, at, result, "metrics", is_list, "an array");
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const char *place = arena_printf(c->arena, "%s.metrics[%zu]", at, i);
        check_member(c, place, json_array_get(metrics, i), "type", is_text, "a string");
        check_member(c, place, json_array_get(metrics, i), "value", is_anything, "given");
    }
}

static void check_index(Checker *c, const char *key, const json_t *value)
{
    if (!json_is_array(value)) {
        complain(c, "\"%s\" must be an array", key);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const json_t *results = json_object_get(entry, "results");
        const char *at = arena_printf(c->arena, "%s[%zu]", key, i);
        if (!json_is_object(entry)) {
            complain(c, "\"%s\" must be an object", at);
            continue;
        }
        check_member(c, at, entry, "name", is_text, "a string");
        check_member(c, at, entry, "results", is_list, "an array");
        for (size_t k = 0; k < json_array_size(results); k++)
            check_result(c, arena_printf(c->arena, "%s.results[%zu]", at, k),
                         json_array_get(results, k));
    }
}

/* ---- The table's kinds ---- */

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void check_text(Checker *c, const CardKey *key, const json_t *value)
{
    if (!json_is_string(value))
        complain(c, "\"%s\" must be a string", key->key);
    else if (key->longest && characters(json_string_value(value)) > key->longest)
        complain(c, "\"%s\" must be at most %zu characters long", key->key, key->longest);
}

static void check_key(Checker *c, const CardKey *key, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    switch (key->type) {
    case CARD_TEXT:
        check_text(c, key, value);
        break;
    case CARD_TEXTS:
        check_texts(c, key->key, value);
        break;
    case CARD_ONLY_TEXTS:
        if (!is_texts(value))
            complain(c, "\"%s\" must be an array of strings", key->key);
        break;
    case CARD_FLAG:
        if (!json_is_boolean(value))
            complain(c, "\"%s\" must be true or false", key->key);
        break;
    case CARD_REPOS:
        check_repos(c, key->key, value);
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
    case CARD_TASK:
        check_text(c, key, value);
        check_tasks(c, key->key, value);
        break;
    case CARD_TASKS:
        if (check_texts(c, key->key, value))
            check_tasks(c, key->key, value);
        break;
    case CARD_LANGUAGES:
        check_languages(c, key->key, value);
        break;
    case CARD_OBJECTS:
        check_objects(c, key->key, value);
        break;
    case CARD_INDEX:
        check_index(c, key->key, value);
        break;
    }
}

static void check_license(Checker *c, const json_t *card)
{
    if (str_eq(json_str(card, "license"), S("other")) && !json_str(card, "license_name").len)
        warn(c, "\"license: other\" should come with \"license_name\" and \"license_link\"");
}

void card_check(Arena *a, Str readme, RepoKind kind, CardReport *out)
{
    *out = (CardReport){.errors = NEW_ARRAY(a, Str, MAX_REPORTS),
                        .warnings = NEW_ARRAY(a, Str, MAX_REPORTS)};
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
        warn(&c, "empty or missing yaml metadata in repo card");
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
    check_license(&c, card);
}

bool card_refuse(const CardReport *report, Error *err)
{
    if (!report->n_errors)
        return true;
    AUTO_BUF text;
    buf_init(&text, 0);
    for (size_t i = 0; i < report->n_errors; i++)
        buf_printf(&text, "\n- %.*s", STR(report->errors[i]));
    return fail(err, ERR_INVALID, "Invalid metadata in README.md.%.*s", STR(buf_str(&text)));
}
