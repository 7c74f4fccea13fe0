/* documents.c: from files to documents; see dataset.h. Where documents begin and end is found by
 * one thread, what is in them is read by all. */
#include "train/dataset_internal.h"

#include "base/csv.h"
#include "base/json_scan.h"
#include "text/chat.h"

#include <dirent.h>

enum { MAX_DEPTH = 16, MAX_FILES = 1 << 20 };
/* A document longer than LONG is tokenised in parts, which end at empty lines. */
enum { LONG = 32 << 20, PART = 8 << 20 };

static const struct {
    const char *suffix;
    SourceKind kind;
    char separator;
} formats[] = {{".txt", SOURCE_TEXT, 0},     {".md", SOURCE_TEXT, 0},
               {".text", SOURCE_TEXT, 0},    {".jsonl", SOURCE_JSON, 0},
               {".json", SOURCE_JSON, 0},    {".ndjson", SOURCE_JSON, 0},
               {".csv", SOURCE_RECORD, ','}, {".tsv", SOURCE_RECORD, '\t'}};

static int format_of(const char *path)
{
    Str suffix = path_suffix(str_of(path));
    for (size_t i = 0; i < COUNT(formats); i++)
        if (str_eq_nocase(suffix, str_of(formats[i].suffix)))
            return (int)i;
    return -1;
}

void sources_done(Sources *s)
{
    for (size_t i = 0; i < s->n_files; i++)
        file_unmap(&s->files[i].map);
    free(s->files);
    free(s->items);
    arena_free(s->arena);
    *s = (Sources){0};
}

static Source *add_source(Sources *s, Str raw, SourceKind kind, int64_t line)
{
    if (s->n == s->cap) {
        s->cap = MAX(64, 2 * s->cap);
        s->items = xrealloc(s->items, s->cap * sizeof *s->items);
    }
    Source *item = &s->items[s->n++];
    *item = (Source){.raw = raw,
                     .kind = kind,
                     .file = (uint32_t)(s->n_files - 1),
                     .line = line,
                     .begins = true,
                     .ends = true};
    return item;
}

/* ---- Where documents lie in a file ---- */

static bool find_text(Sources *s, const SourceFile *f, Error *err)
{
    Str text = {(const char *)f->map.ptr, f->map.len};
    for (size_t from = 0; from < text.len;) {
        size_t to = text.len;
        if (text.len - from > LONG) {
            to = str_find(text, S("\n\n"), from + PART);
            to = to == SIZE_MAX ? text.len : to + 2;
        }
        Source *part = add_source(s, str_slice(text, from, to), SOURCE_TEXT, 1);
        part->begins = from == 0;
        part->ends = to == text.len;
        from = to;
    }
    return true;
}

static bool find_list(Sources *s, Str text, const SourceFile *f, Error *err)
{
    if (!str_is_utf8(text))
        return fail(err, ERR_INVALID, "%s: not UTF-8", f->path);
    JsonScan scan = json_scan_of(text, f->path);
    json_scan_array(&scan);
    for (int64_t i = 1; json_scan_item(&scan); i++)
        add_source(s, json_scan_skip(&scan), SOURCE_JSON, i);
    return json_scan_ok(&scan, err);
}

static bool find_json(Sources *s, const SourceFile *f, Error *err)
{
    Str text = {(const char *)f->map.ptr, f->map.len}, line;
    if (str_starts(str_trim(text), S("[")))
        return find_list(s, text, f, err);
    for (int64_t i = 1; str_split(&text, '\n', &line); i++)
        if (str_trim(line).len > 0)
            add_source(s, str_trim(line), SOURCE_JSON, i);
    return true;
}

static bool find_records(Sources *s, SourceFile *f, Error *err)
{
    CsvReader r = csv_reader_of((Str){(const char *)f->map.ptr, f->map.len}, f->separator, f->path);
    AUTO_CSV_FIELDS names = {0};
    Str record;
    if (csv_next(&r, &record)) {
        if (!csv_split(record, f->separator, &names, err))
            return fail_while(err, "%s: line 1", f->path);
        f->columns = NEW_ARRAY(s->arena, const char *, names.n);
        f->n_columns = names.n;
        for (size_t i = 0; i < names.n; i++)
            f->columns[i] = arena_cstr(s->arena, str_trim(names.fields[i]));
    }
    while (csv_next(&r, &record))
        add_source(s, record, SOURCE_RECORD, r.line);
    return csv_ok(&r, err);
}

static bool add_file(Sources *s, const char *path, Error *err)
{
    int format = format_of(path);
    if (s->n_files == MAX_FILES)
        return fail(err, ERR_LIMIT, "more than %d files", MAX_FILES);
    if (s->n_files == s->files_cap) {
        s->files_cap = MAX(16, 2 * s->files_cap);
        s->files = xrealloc(s->files, s->files_cap * sizeof *s->files);
    }
    SourceFile *f = &s->files[s->n_files];
    *f = (SourceFile){.path = arena_cstr(s->arena, str_of(path)),
                      .separator = formats[format].separator};
    if (!file_map(&f->map, path, err))
        return false;
    s->n_files++;
    switch (formats[format].kind) {
    case SOURCE_TEXT:
        return find_text(s, f, err);
    case SOURCE_JSON:
        return find_json(s, f, err);
    case SOURCE_RECORD:
        return find_records(s, f, err);
    }
    return false;
}

/* ---- Which files ---- */

typedef struct Paths {
    Arena *arena;
    const char **items;
    size_t n, cap;
} Paths;

static bool list_folder(Paths *all, const char *path, int depth, Error *err)
{
    if (depth > MAX_DEPTH)
        return fail(err, ERR_LIMIT, "'%s': folders are nested deeper than %d", path, MAX_DEPTH);
    DIR *folder = opendir(path);
    if (!folder)
        return fail_io(err, "open '%s'", path);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(folder));) {
        if (e->d_name[0] == '.')
            continue;
        const char *inner = arena_printf(all->arena, "%s/%s", path, e->d_name);
        if (file_is_folder(inner)) {
            ok = list_folder(all, inner, depth + 1, err);
        } else if (format_of(inner) >= 0) {
            if (all->n == all->cap) {
                all->cap = MAX(16, 2 * all->cap);
                all->items = xrealloc(all->items, all->cap * sizeof *all->items);
            }
            all->items[all->n++] = inner;
        }
    }
    closedir(folder);
    return ok;
}

/* The split that a file's name says, -1 for none: "train-00000.jsonl", "data/test.txt". */
static int split_of(const char *path)
{
    static const struct {
        const char *word;
        Split split;
    } words[] = {{"train", SPLIT_TRAIN},
                 {"test", SPLIT_EVAL},
                 {"valid", SPLIT_EVAL},
                 {"eval", SPLIT_EVAL},
                 {"dev", SPLIT_EVAL}};
    Str name = path_name(str_of(path));
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_starts(name, str_of(words[i].word)))
            return (int)words[i].split;
    return -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A folder has splits if a file of it is named by one that is not for training. */
static bool add_folder(Sources *s, Paths *all, const char *path, Split split, Error *err)
{
    if (!list_folder(all, path, 0, err))
        return false;
    qsort(all->items, all->n, sizeof *all->items, by_name);
    bool splits = false;
    for (size_t i = 0; i < all->n; i++)
        splits = splits || split_of(all->items[i]) == SPLIT_EVAL;
    if (split == SPLIT_EVAL && !splits)
        return fail(err, ERR_NOT_FOUND, "'%s' has no files for evaluation", path);
    for (size_t i = 0; i < all->n; i++) {
        bool eval = splits && split_of(all->items[i]) == SPLIT_EVAL;
        // The card of a data set is no part of it.
        if (eval == (split == SPLIT_EVAL) &&
            !str_eq(path_name(str_of(all->items[i])), S("README.md")) &&
            !add_file(s, all->items[i], err))
            return false;
    }
    return s->n_files > 0 ||
           fail(err, ERR_NOT_FOUND, "'%s' has no .txt, .jsonl, .json, .csv or .tsv files", path);
}

bool sources_find(Sources *s, const char *path, Split split, Error *err)
{
    s->arena = s->arena ? s->arena : arena_new(0);
    if (file_is_folder(path)) {
        Paths all = {.arena = s->arena};
        bool ok = add_folder(s, &all, path, split, err);
        free(all.items);
        return ok;
    }
    if (!file_exists(path))
        return fail(err, ERR_NOT_FOUND, "there is no data set '%s'", path);
    if (format_of(path) < 0)
        return fail(err, ERR_UNSUPPORTED,
                    "'%s': data sets are .txt, .md, .jsonl, .json, .csv and .tsv files", path);
    return add_file(s, path, err);
}

/* ---- What is in them ---- */

static void learn(Document *d, size_t from, size_t to)
{
    if (to > from && d->n_learned < DOCUMENT_RANGES) {
        d->learned[d->n_learned].from = from;
        d->learned[d->n_learned++].to = to;
    }
}

static void whole_text(Document *d, Str text)
{
    buf_add(&d->text, text);
    learn(d, 0, d->text.len);
}

static void prompt_and_completion(Document *d, Str prompt, Str completion, bool completion_only)
{
    buf_add(&d->text, prompt);
    buf_add(&d->text, completion);
    learn(d, completion_only ? prompt.len : 0, d->text.len);
}

/* What the assistant says in message i is what the template makes of the first i + 1 messages, less
 * what it makes of the first i and the beginning of an answer. */
static bool learn_answers(Document *d, const json_t *messages, const Tokenizer *t, Error *err)
{
    AUTO_BUF before, with;
    buf_init(&before, 0);
    buf_init(&with, 0);
    AUTO(json_decref) json_t *first = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        if (str_eq(json_str(message, "role"), S("assistant"))) {
            buf_reset(&before);
            buf_reset(&with);
            if (!chat_render(t, first, &(ChatOptions){.add_generation_prompt = true}, &before, err))
                return false;
            json_array_append(first, message);
            if (!chat_render(t, first, &(ChatOptions){0}, &with, err))
                return false;
            if (!str_starts(buf_str(&with), buf_str(&before)) ||
                !str_starts(buf_str(&d->text), buf_str(&with)))
                return fail(err, ERR_UNSUPPORTED,
                            "assistant_only_loss: the chat template writes earlier messages "
                            "differently when others follow");
            learn(d, before.len, with.len);
        } else {
            json_array_append(first, message);
        }
    }
    return true;
}

static bool conversation(Document *d, const json_t *messages, const DatasetSpec *spec, Error *err)
{
    d->add_special = d->append_eos = false; // the template writes them itself
    if (!chat_render(spec->tokenizer, messages, &(ChatOptions){0}, &d->text, err))
        return false;
    if (spec->args->assistant_only_loss)
        return learn_answers(d, messages, spec->tokenizer, err);
    learn(d, 0, d->text.len);
    return true;
}

/* "prompt" and "completion" as conversations: one whose last messages are the completion. */
static bool joined_conversation(Document *d, const json_t *prompt, const json_t *completion,
                                const DatasetSpec *spec, Error *err)
{
    AUTO(json_decref) json_t *all = json_copy((json_t *)(uintptr_t)prompt);
    json_array_extend(all, (json_t *)(uintptr_t)completion);
    d->add_special = d->append_eos = false;
    if (!chat_render(spec->tokenizer, all, &(ChatOptions){0}, &d->text, err))
        return false;
    if (!spec->args->completion_only_loss) {
        learn(d, 0, d->text.len);
        return true;
    }
    AUTO_BUF before;
    buf_init(&before, 0);
    if (!chat_render(spec->tokenizer, prompt, &(ChatOptions){.add_generation_prompt = true},
                     &before, err))
        return false;
    if (!str_starts(buf_str(&d->text), buf_str(&before)))
        return fail(err, ERR_UNSUPPORTED,
                    "completion_only_loss: the chat template writes the prompt differently when a "
                    "completion follows");
    learn(d, before.len, d->text.len);
    return true;
}

static Str text_of(const json_t *value)
{
    return (Str){json_string_value(value), json_string_length(value)};
}

static bool read_object(Document *d, const json_t *o, const DatasetSpec *spec, Error *err)
{
    const json_t *text = json_object_get(o, spec->args->text_column_name),
                 *messages = json_object_get(o, "messages"), *prompt = json_object_get(o, "prompt"),
                 *completion = json_object_get(o, "completion");
    if (json_is_string(text)) {
        whole_text(d, text_of(text));
        return true;
    }
    if (json_is_array(messages))
        return conversation(d, messages, spec, err);
    if (json_is_string(prompt) && json_is_string(completion)) {
        prompt_and_completion(d, text_of(prompt), text_of(completion),
                              spec->args->completion_only_loss);
        return true;
    }
    if (json_is_array(prompt) && json_is_array(completion))
        return joined_conversation(d, prompt, completion, spec, err);
    return fail(err, ERR_INVALID, "has neither '%s', nor 'messages', nor 'prompt' and 'completion'",
                spec->args->text_column_name);
}

static bool column_of(const SourceFile *f, const char *name, const CsvFields *fields, Str *out)
{
    for (size_t i = 0; i < f->n_columns && i < fields->n; i++)
        if (strcmp(f->columns[i], name) == 0) {
            *out = fields->fields[i];
            return true;
        }
    return false;
}

static bool read_record(Document *d, const SourceFile *f, Str raw, const DatasetSpec *spec,
                        Error *err)
{
    AUTO_CSV_FIELDS fields = {0};
    Str text, completion;
    if (!csv_split(raw, f->separator, &fields, err))
        return false;
    if (column_of(f, spec->args->text_column_name, &fields, &text)) {
        whole_text(d, text);
        return true;
    }
    if (column_of(f, "prompt", &fields, &text) &&
        column_of(f, "completion", &fields, &completion)) {
        prompt_and_completion(d, text, completion, spec->args->completion_only_loss);
        return true;
    }
    return fail(err, ERR_INVALID, "has no column '%s', nor 'prompt' and 'completion'",
                spec->args->text_column_name);
}

static bool read_source(Document *d, const SourceFile *f, const Source *source,
                        const DatasetSpec *spec, Error *err)
{
    switch (source->kind) {
    case SOURCE_TEXT:
        d->add_special = source->begins;
        d->append_eos = d->append_eos && source->ends;
        whole_text(d, source->raw);
        return true;
    case SOURCE_JSON: {
        AUTO(json_decref) json_t *object = json_parse(source->raw, "JSON", err);
        if (!object)
            return false;
        return read_object(d, object, spec, err);
    }
    case SOURCE_RECORD:
        return read_record(d, f, source->raw, spec, err);
    }
    return false;
}

bool document_read(Document *d, const Sources *s, const Source *source, const DatasetSpec *spec,
                   Error *err)
{
    const SourceFile *f = &s->files[source->file];
    buf_reset(&d->text);
    d->n_learned = 0;
    d->add_special = true;
    d->append_eos = spec->args->append_eos;
    return read_source(d, f, source, spec, err) ||
           fail_while(err, "%s: line %lld", f->path, (long long)source->line);
}

bool source_is_plain(const Sources *s, const Source *source, const DatasetSpec *spec)
{
    const SourceFile *f = &s->files[source->file];
    if (source->kind == SOURCE_TEXT)
        return true;
    if (source->kind == SOURCE_JSON) {
        AUTO(json_decref) json_t *object = json_parse(source->raw, "JSON", NULL);
        return json_is_string(json_object_get(object, spec->args->text_column_name));
    }
    for (size_t i = 0; i < f->n_columns; i++)
        if (strcmp(f->columns[i], spec->args->text_column_name) == 0)
            return true;
    return false;
}
