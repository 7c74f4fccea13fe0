/* page_card.c: a card's metadata by form. Fields change the front matter and nothing else of
 * README.md (hub/card.h); what they would make of it is shown before it is committed, or put into a
 * pull request, as an edited file is.
 *
 * Lists are as many inputs of one name as there are values and two to spare, so that each has its
 * suggestions and no script is needed. A key whose value is of a kind that the fields cannot say
 * (an object, a number) is left to those who edit the text. */
#include "hub/card.h"
#include "web/highlight.h"
#include "web/web_internal.h"

enum {
    MAX_CARD = 1 << 20,
    MAX_FORM = 256 << 10,
    MAX_VALUES = 100,
    MAX_FIELDS = 16,
    SPARE = 2,
    SUGGESTED = 100
};

typedef enum FieldWidth { ONE, MANY } FieldWidth;

/* What a field's suggestions are; those of a choice are its values in card.c. */
typedef enum Suggest {
    NO_WORDS,
    LICENSES,
    LANGUAGES,
    TASKS,
    LIBRARIES,
    METRICS,
    MODELS,
    DATASETS,
    CHOICES
} Suggest;

typedef struct CardField {
    const char *key, *label;
    FieldWidth width;
    Suggest suggest;
    const char *help;
} CardField;

#define COMMON_FIELDS                                                                              \
    {"license", "License", ONE, LICENSES, "An identifier, like mit, apache-2.0 or other."},        \
        {"license_name", "License name", ONE, NO_WORDS, "Where the license is “other”."},          \
        {"license_link", "License link", ONE, NO_WORDS,                                            \
         "An address, or a file of the repository."},                                              \
        {"language", "Languages", MANY, LANGUAGES, "ISO 639 codes: en, de, zh, yue."},             \
    {                                                                                              \
        "tags", "Tags", MANY, NO_WORDS, "Words that lists may be filtered by."                     \
    }

static const CardField of_models[] = {
    {"pipeline_tag", "Task", ONE, TASKS, "What the model does."},
    {"library_name", "Library", ONE, LIBRARIES, "What loads it."},
    {"base_model", "Base models", MANY, MODELS, "What it was made from: owner/name."},
    {"base_model_relation", "Relation to the base", ONE, CHOICES, "How it was made from them."},
    {"datasets", "Datasets", MANY, DATASETS, "What it was trained on: owner/name."},
    {"metrics", "Metrics", MANY, METRICS, "What it was measured by."},
    COMMON_FIELDS,
};
static const CardField of_datasets[] = {
    {"pretty_name", "Name", ONE, NO_WORDS, "As people write it."},
    {"task_categories", "Tasks", MANY, TASKS, "What it may be used for."},
    {"size_categories", "Size", MANY, CHOICES, "How many rows it has."},
    {"source_datasets", "Made from", MANY, NO_WORDS, "“original”, or other datasets."},
    COMMON_FIELDS,
};
static const CardField of_spaces[] = {
    {"title", "Title", ONE, NO_WORDS, ""},
    {"emoji", "Emoji", ONE, NO_WORDS, "One."},
    {"colorFrom", "First colour", ONE, CHOICES, ""},
    {"colorTo", "Second colour", ONE, CHOICES, ""},
    {"sdk", "SDK", ONE, CHOICES, "What runs it."},
    {"app_file", "File that runs", ONE, NO_WORDS, ""},
    {"short_description", "Short description", ONE, NO_WORDS, "At most 60 characters."},
    {"models", "Models", MANY, MODELS, "That it uses: owner/name."},
    {"datasets", "Datasets", MANY, DATASETS, "That it uses: owner/name."},
    COMMON_FIELDS,
};
static const struct {
    const CardField *fields;
    size_t n;
} fields_of[REPO_KINDS] = {
    [REPO_MODEL] = {of_models, COUNT(of_models)},
    [REPO_DATASET] = {of_datasets, COUNT(of_datasets)},
    [REPO_SPACE] = {of_spaces, COUNT(of_spaces)},
};

typedef struct Values {
    Str *items;
    size_t n;
    bool fixed; // the card has something here that a field cannot say
} Values;

/* A form that is being filled in. */
typedef struct CardForm {
    const CardField *fields;
    size_t n;
    Values values[MAX_FIELDS];
    Str readme, oid; // as they are on the branch
    Str seen;        // the oid that the form began with
    Str title, description;
    Str edited;        // README.md as it would be; empty until it was made
    CardReport report; // of `edited`
    const char *problem;
    bool preview;
    size_t spare;
} CardForm;

/* ---- Reading ---- */

static bool readme_read(Request *r, const Repo *repo, CardForm *f, Error *err)
{
    RepoFile file;
    Error absent = {0};
    Arena *a = request_arena(r);
    if (!repo_file(hub_of(r), a, repo, request_param(r, "rev"), S("README.md"), &file, &absent))
        return absent.code == ERR_NO_ENTRY || (bool)fail(err, absent.code, "%s", absent.text);
    if (file.entry.is_lfs || file.entry.size > MAX_CARD)
        return fail(err, ERR_LIMIT, "README.md: cards over 1 MiB, and those in LFS, are uploaded");
    f->oid = file.entry.oid;
    return repo_file_bytes(hub_of(r), a, repo, &file, MAX_CARD, &f->readme, err);
}

/* One text or several; anything else is not for a field. */
static Values values_of(Arena *a, const json_t *value)
{
    Values v = {.items = NEW_ARRAY(a, Str, MAX_VALUES)};
    if (json_is_string(value) && json_string_length(value))
        v.items[v.n++] = arena_str(a, (Str){json_string_value(value), json_string_length(value)});
    else if (value && !json_is_null(value) && !json_is_string(value) && !json_is_array(value))
        v.fixed = true;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        v.fixed |= !json_is_string(item) || i >= MAX_VALUES;
        if (!v.fixed)
            v.items[v.n++] = arena_str(a, (Str){json_string_value(item), json_string_length(item)});
    }
    return v;
}

/* The card as it is; a front matter that cannot be read is the form's problem. */
static bool form_begin(Request *r, const Repo *repo, CardForm *f, Error *err)
{
    Str yaml, text;
    Error why = {0};
    *f = (CardForm){.fields = fields_of[repo->kind].fields,
                    .n = fields_of[repo->kind].n,
                    .problem = "",
                    .spare = SPARE};
    CHECK(f->n <= MAX_FIELDS);
    if (!readme_read(r, repo, f, err))
        return false;
    f->seen = f->oid;
    card_split(f->readme, &yaml, &text);
    AUTO(json_decref) json_t *card = yaml.len ? yaml_parse(yaml, &why) : NULL;
    if (why.code)
        return fail(err, ERR_INVALID, "the card's front matter cannot be read, edit its text: %s",
                    why.text);
    for (size_t i = 0; i < f->n; i++) {
        f->values[i] = values_of(request_arena(r), json_object_get(card, f->fields[i].key));
        f->values[i].fixed |= f->fields[i].width == ONE && f->values[i].n > 1;
    }
    return true;
}

/* What was posted takes the place of what is there. */
static void form_fill(Arena *a, CardForm *f, const Params *posted)
{
    for (size_t i = 0; i < f->n; i++) {
        Values *v = &f->values[i];
        if (v->fixed)
            continue;
        *v = (Values){.items = NEW_ARRAY(a, Str, MAX_VALUES)};
        for (size_t k = 0; k < posted->n && v->n < MAX_VALUES; k++) {
            Str value = str_trim(posted->items[k].value);
            if (str_eq(posted->items[k].name, str_of(f->fields[i].key)) && value.len)
                v->items[v->n++] = value;
        }
    }
    f->seen = params_get(posted, "oid");
    f->title = str_trim(params_get(posted, "summary"));
    f->description = str_trim(params_get(posted, "description"));
}

/* ---- Changing ---- */

static bool form_apply(Arena *a, const Repo *repo, CardForm *f, Error *err)
{
    CardChange changes[MAX_FIELDS];
    size_t n = 0;
    AUTO_BUF out;
    buf_init(&out, 2 * MAX_CARD);
    for (size_t i = 0; i < f->n; i++)
        if (!f->values[i].fixed)
            changes[n++] = (CardChange){.key = f->fields[i].key,
                                        .values = f->values[i].items,
                                        .n = f->values[i].n,
                                        .is_list = f->fields[i].width == MANY};
    if (!card_edit(f->readme, changes, n, &out, err))
        return false;
    f->edited = arena_str(a, buf_str(&out));
    card_check(a, f->edited, repo->kind, &f->report);
    return true;
}

static bool form_commit(Request *r, const Repo *repo, CardForm *f, bool pull, Str *location,
                        Error *err)
{
    Str head;
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    if (!str_eq(f->seen, f->oid))
        return fail(err, ERR_STALE, "README.md was changed meanwhile: look at the form again");
    if (f->report.n_errors)
        return fail(err, ERR_INVALID, "Some of it is not as the Hub's clients want it");
    if (str_eq(f->edited, f->readme))
        return fail(err, ERR_INVALID, "Nothing was changed");
    AUTO(change_free) Change *c = NULL;
    if (!repo_revision(hub_of(r), a, repo, rev, &head, err) ||
        !web_change_open(r, repo, rev, pull, &c, err))
        return false;
    change_title(c, f->title.len ? f->title : S("Update the card's metadata"), f->description);
    if (!pull)
        change_parent(c, head);
    change_add(c, S("README.md"), f->edited);
    *location = str_eq(rev, S("main")) ? repo_path(a, repo)
                                       : rev_path(a, repo, "blob", rev, S("README.md"));
    return change_ok(c, err) && web_change_commit(r, repo, c, pull, location, err);
}

/* ---- The page ---- */

static json_t *words_json(const char *const *words)
{
    json_t *out = json_array();
    for (; words && *words; words++)
        json_array_append_new(out, json_string(*words));
    return out;
}

static json_t *tasks_json(void)
{
    json_t *out = json_array();
    for (size_t i = 0; i < card_tasks_n; i++)
        json_array_append_new(out, json_string(card_tasks[i].id));
    return out;
}

/* What the viewer may see, the most talked of first. */
static json_t *repos_json(Request *r, RepoKind kind)
{
    RepoPage page;
    json_t *out = json_array();
    RepoQuery query = {.kind = kind, .limit = SUGGESTED};
    if (repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, &page, NULL))
        for (size_t i = 0; i < page.n; i++)
            json_array_append_new(out, json_from_str(page.items[i].repo.full));
    return out;
}

static json_t *suggestions_json(Request *r, const Repo *repo, const CardField *field)
{
    static const char *const languages[] = {"en", "zh", "de", "fr", "es",           "pt",   "ru",
                                            "ja", "ko", "it", "ar", "hi",           "nl",   "pl",
                                            "tr", "vi", "uk", "sv", "fa",           "id",   "cs",
                                            "he", "el", "th", "bn", "multilingual", "code", NULL};
    static const char *const metrics[] = {
        "accuracy", "f1",        "precision", "recall",    "perplexity",
        "bleu",     "rouge",     "meteor",    "bertscore", "exact_match",
        "wer",      "cer",       "mse",       "mae",       "matthews_correlation",
        "pearsonr", "spearmanr", "roc_auc",   "mean_iou",  "chrf",
        NULL};
    switch (field->suggest) {
    case NO_WORDS:
        break;
    case LICENSES:
        return words_json(card_licenses);
    case LANGUAGES:
        return words_json(languages);
    case TASKS:
        return tasks_json();
    case LIBRARIES:
        return words_json(card_libraries);
    case METRICS:
        return words_json(metrics);
    case MODELS:
        return repos_json(r, REPO_MODEL);
    case DATASETS:
        return repos_json(r, REPO_DATASET);
    case CHOICES:
        return words_json(card_choices(repo->kind, field->key));
    }
    return json_array();
}

/* The sentences of a report that begin with this key. */
static json_t *reports_json(const Str *reports, size_t n, const char *key)
{
    json_t *out = json_array();
    size_t length = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (reports[i].len > length + 1 && reports[i].ptr[0] == '"' &&
            memcmp(reports[i].ptr + 1, key, length) == 0 &&
            strchr("\"[:", reports[i].ptr[length + 1]))
            json_array_append_new(out, json_from_str(reports[i]));
    return out;
}

/* Those that belong to no field. */
static json_t *other_reports_json(const CardForm *f, const Str *reports, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        bool placed = false;
        for (size_t k = 0; k < f->n && !placed; k++) {
            AUTO(json_decref) json_t *own = reports_json(&reports[i], 1, f->fields[k].key);
            placed = json_array_size(own) > 0;
        }
        if (!placed)
            json_array_append_new(out, json_from_str(reports[i]));
    }
    return out;
}

static json_t *field_json(Request *r, const Repo *repo, const CardForm *f, size_t i)
{
    const CardField *field = &f->fields[i];
    const Values *v = &f->values[i];
    json_t *values = json_array();
    for (size_t k = 0; k < v->n; k++)
        json_array_append_new(values, json_from_str(v->items[k]));
    size_t inputs = field->width == ONE ? 1 : MIN(v->n + f->spare, (size_t)MAX_VALUES);
    while (json_array_size(values) < inputs)
        json_array_append_new(values, json_string(""));
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "key", field->key, "label",
                     field->label, "help", field->help, "many", field->width == MANY, "fixed",
                     v->fixed, "values", values, "words", suggestions_json(r, repo, field),
                     "errors", reports_json(f->report.errors, f->report.n_errors, field->key),
                     "warnings",
                     reports_json(f->report.warnings, f->report.n_warnings, field->key));
}

static void show(Request *r, const Repo *repo, int status, const CardForm *f)
{
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev"), yaml = {0}, text;
    json_t *page = page_new(r, arena_printf(a, "%.*s: metadata", STR(repo->full)));
    page_set_commit(r, page, repo, rev, "Update the card's metadata");
    json_t *fields = json_array();
    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(fields, field_json(r, repo, f, i));
    AUTO_BUF html;
    buf_init(&html, 0);
    if (f->preview)
        card_split(f->edited, &yaml, &text);
    highlight(&html, yaml, S("yaml"));
    set(page, "fields", fields);
    set(page, "preview", f->preview ? json_from_str(buf_str(&html)) : json_null());
    set(page, "unchanged", json_boolean(f->preview && str_eq(f->edited, f->readme)));
    set(page, "others", other_reports_json(f, f->report.errors, f->report.n_errors));
    set(page, "hints", other_reports_json(f, f->report.warnings, f->report.n_warnings));
    set_str(page, "oid", f->oid);
    set_str(page, "summary", f->title);
    set_str(page, "description", f->description);
    set(page, "problem", json_string(f->problem));
    set_str(page, "action", request_path(r));
    set_str(page, "source", f->oid.len ? rev_path(a, repo, "edit", rev, S("README.md")) : (Str){0});
    set_str(page, "back", repo_path(a, repo));
    page_render(r, status, "card", page);
}

static void form(Request *r)
{
    Error err = {0};
    Repo repo;
    CardForm f;
    if (!web_repo(r, ACCESS_PROPOSE, &repo))
        return;
    if (!form_begin(r, &repo, &f, &err))
        return reply_error(r, &err);
    show(r, &repo, 200, &f);
}

static void take(Request *r)
{
    Params posted;
    Error err = {0};
    Repo repo;
    CardForm f;
    Str location;
    if (!web_form(r, &posted) || !web_repo(r, ACCESS_PROPOSE, &repo))
        return;
    if (!form_begin(r, &repo, &f, &err))
        return reply_error(r, &err);
    form_fill(request_arena(r), &f, &posted);
    Str how = params_get(&posted, "how");
    bool ok = form_apply(request_arena(r), &repo, &f, &err);
    f.preview = ok;
    if (str_eq(how, S("more")))
        f.spare = 3 * SPARE;
    else if (ok && !str_eq(how, S("preview"))) {
        if (form_commit(r, &repo, &f, str_eq(how, S("pull")), &location, &err))
            return reply_redirect(r, 303, location);
        ok = false;
    }
    if (!ok && !web_can_be_mended(&err))
        return reply_error(r, &err);
    f.problem = err.text;
    show(r, &repo, ok ? 200 : error_http_status(err.code), &f);
}

const Route web_card_routes[] = {
    EACH_KIND("GET", "/card/{rev}", form, WEB_LOGGED_IN, "A card's metadata to edit"),
    EACH_KIND("POST", "/card/{rev}", take, WEB_LOGGED_IN, "Commit a card's metadata",
              .max_body = MAX_FORM),
};
const size_t web_card_routes_n = COUNT(web_card_routes);
