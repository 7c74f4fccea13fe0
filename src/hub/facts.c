/* facts.c: what can be said of a commit from its card and files: tags, task, library, excerpts.
 *
 * Tags are what lists filter by, so they follow the Hub's spelling exactly (`license:mit`,
 * languages bare on models but `language:en` on datasets). Nothing here fails: what cannot be read
 * is left out, and card_error says why for the one file that people write by hand. */
#include "formats/gguf.h"
#include "hub/dataset_rows.h"
#include "hub/hub_internal.h"
#include "hub/tensors.h"

enum {
    MAX_CARD = 1 << 20,
    MAX_CONFIG = 1 << 20,
    MAX_TOKENIZER_CONFIG = 8 << 20,
    MAX_TAGS = 500,
    MAX_LINKS = 100,
    MAX_PAPERS = 20,
    MAX_TAG = 200,
    MAX_COUNTED_FILES = 300,
    MAX_COUNTED_TEXT = 8 << 20,
};

typedef struct Facts {
    Hub *hub;
    GitRepo *git;
    const Repo *repo;
    Snapshot *s;
    Str *tags, *links;
    Map seen; // tags so far
    Str papers[MAX_PAPERS];
    size_t n_papers;
} Facts;

static const RepoEntry *entry_of(const Facts *f, const char *path)
{
    const RepoEntry *entry = map_find(&f->s->by_path, str_of(path));
    return entry && !entry->is_folder ? entry : NULL;
}

static bool read_text(Facts *f, const char *path, size_t max, Buf *out)
{
    const RepoEntry *entry = entry_of(f, path);
    buf_init(out, max);
    return entry && !entry->is_lfs && entry->size <= (int64_t)max &&
           git_blob_read(f->git, entry->oid.ptr, out, NULL);
}

/* Kept as long as the snapshot. */
static const json_t *keep(Facts *f, json_t *value)
{
    if (value)
        arena_defer(f->s->arena, (void (*)(void *))json_decref, value);
    return value;
}

static json_t *read_json(Facts *f, const char *path, size_t max)
{
    AUTO_BUF text;
    return read_text(f, path, max, &text) ? json_parse(buf_str(&text), path, NULL) : NULL;
}

static void tag(Facts *f, const char *prefix, Str value)
{
    if (!value.len || value.len > MAX_TAG || f->s->info.n_tags == MAX_TAGS ||
        str_find_char(value, '\n', 0) != SIZE_MAX)
        return;
    Str text = str_of(arena_printf(f->s->arena, "%s%.*s", prefix, STR(value)));
    if (!map_put(&f->seen, text, f))
        return;
    f->tags[f->s->info.n_tags++] = text;
}

/* A member that is a string or an array of strings. */
static void tags_of(Facts *f, const char *prefix, const char *key)
{
    const json_t *value = json_object_get(f->s->info.card, key);
    if (json_is_string(value))
        tag(f, prefix, json_str(f->s->info.card, key));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        tag(f, prefix, (Str){json_string_value(item), json_string_length(item)});
    }
}

/* ---- The card ---- */

/* "1706.03762" at this place; its length, or 0. */
static size_t arxiv_id(Str text)
{
    size_t n = 0;
    while (n < 4 && n < text.len && isdigit((unsigned char)text.ptr[n]))
        n++;
    if (n < 4 || n == text.len || text.ptr[n++] != '.')
        return 0;
    while (n < 10 && n < text.len && isdigit((unsigned char)text.ptr[n]))
        n++;
    return n >= 9 ? n : 0;
}

/* Papers that the text links to. */
static void find_papers(Facts *f, Str text)
{
    static const char *const marks[] = {"arxiv.org/abs/", "arxiv.org/pdf/", "arxiv:"};
    for (size_t i = 0; i < COUNT(marks) && f->n_papers < MAX_PAPERS; i++)
        for (size_t at = 0; (at = str_find(text, str_of(marks[i]), at)) != SIZE_MAX;) {
            at += strlen(marks[i]);
            Str id = str_slice(text, at, text.len);
            id.len = arxiv_id(id);
            if (id.len && f->n_papers < MAX_PAPERS)
                f->papers[f->n_papers++] = arena_str(f->s->arena, id);
        }
}

static void read_card(Facts *f)
{
    AUTO_BUF text;
    if (!read_text(f, "README.md", MAX_CARD, &text))
        return;
    Str yaml, body;
    card_split(buf_str(&text), &yaml, &body);
    Error err = {0};
    AUTO(json_decref) json_t *card = yaml.len ? yaml_parse(yaml, &err) : NULL;
    if (json_is_object(card))
        f->s->info.card = keep(f, TAKE(card));
    else if (err.code)
        f->s->info.card_error = arena_str(f->s->arena, str_of(err.text));
    find_papers(f, body);
}

/* ---- Libraries and tasks ---- */

static const struct {
    const char *suffix, *library;
} file_libraries[] = {
    {".safetensors", "safetensors"},
    {".gguf", "gguf"},
    {".onnx", "onnx"},
    {"pytorch_model.bin", "pytorch"},
    {"tf_model.h5", "tf"},
    {"flax_model.msgpack", "jax"},
    {".tflite", "tflite"},
    {".mlmodel", "coreml"},
    {".keras", "keras"},
    {"adapter_config.json", "peft"},
    {"model_index.json", "diffusers"},
};

static void library_tags(Facts *f)
{
    for (size_t k = 0; k < COUNT(file_libraries); k++)
        for (size_t i = 0; i < f->s->info.n_files; i++)
            if (str_ends(f->s->info.files[i].path, str_of(file_libraries[k].suffix))) {
                tag(f, "", str_of(file_libraries[k].library));
                break;
            }
    for (size_t i = 0; i < f->s->info.n_files; i++)
        if (str_find(f->s->info.files[i].path, S("tfevents"), 0) != SIZE_MAX) {
            tag(f, "", S("tensorboard"));
            break;
        }
}

static Str find_library(const Facts *f)
{
    Str named = json_str(f->s->info.card, "library_name");
    if (named.len)
        return named;
    if (entry_of(f, "adapter_config.json"))
        return S("peft");
    if (entry_of(f, "model_index.json"))
        return S("diffusers");
    if (entry_of(f, "modules.json") && entry_of(f, "config_sentence_transformers.json"))
        return S("sentence-transformers");
    if (json_object_get(f->s->info.config, "architectures") ||
        json_object_get(f->s->info.config, "model_type"))
        return S("transformers");
    return (Str){0};
}

/* The last part of an architecture's name says the task; the longer suffixes come first. */
static const struct {
    const char *suffix, *task;
} architecture_tasks[] = {
    {"ForCausalLM", "text-generation"},
    {"LMHeadModel", "text-generation"},
    {"ForImageTextToText", "image-text-to-text"},
    {"ForMaskedLM", "fill-mask"},
    {"ForSequenceClassification", "text-classification"},
    {"ForTokenClassification", "token-classification"},
    {"ForQuestionAnswering", "question-answering"},
    {"ForImageClassification", "image-classification"},
    {"ForObjectDetection", "object-detection"},
    {"ForDepthEstimation", "depth-estimation"},
    {"ForSemanticSegmentation", "image-segmentation"},
    {"ForAudioClassification", "audio-classification"},
    {"ForCTC", "automatic-speech-recognition"},
    {"ForSpeechSeq2Seq", "automatic-speech-recognition"},
    {"WhisperForConditionalGeneration", "automatic-speech-recognition"},
    {"ForConditionalGeneration", "text2text-generation"},
    {"ForSeq2SeqLM", "text2text-generation"},
    {"CLIPModel", "zero-shot-image-classification"},
    {"Model", "feature-extraction"},
};

static Str find_task(const Facts *f)
{
    Str named = json_str(f->s->info.card, "pipeline_tag");
    if (named.len)
        return named;
    if (str_eq(f->s->info.library, S("sentence-transformers")))
        return S("sentence-similarity");
    if (str_eq(f->s->info.library, S("diffusers")))
        return S("text-to-image");
    const json_t *list = json_object_get(f->s->info.config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    for (size_t i = 0; name && i < COUNT(architecture_tasks); i++)
        if (str_ends(str_of(name), str_of(architecture_tasks[i].suffix)))
            return str_of(architecture_tasks[i].task);
    return f->s->info.gguf ? S("text-generation") : (Str){0};
}

/* ---- Excerpts of configuration ---- */

static void copy_keys(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (value && !json_is_null(value))
            json_object_set(to, *keys, value);
    }
}

static void read_config(Facts *f)
{
    static const char *const of_config[] = {"architectures", "model_type", "auto_map",
                                            "quantization_config", NULL};
    static const char *const of_tokenizer[] = {"bos_token",  "eos_token",     "unk_token",
                                               "pad_token",  "sep_token",     "cls_token",
                                               "mask_token", "chat_template", NULL};
    AUTO(json_decref) json_t *config = read_json(f, "config.json", MAX_CONFIG);
    AUTO(json_decref)
    json_t *tokenizer = read_json(f, "tokenizer_config.json", MAX_TOKENIZER_CONFIG);
    AUTO_BUF template;
    bool has_template = read_text(f, "chat_template.jinja", MAX_CONFIG, &template);
    if (!json_is_object(config) && !json_is_object(tokenizer) && !has_template)
        return;
    json_t *excerpt = json_object();
    copy_keys(excerpt, config, of_config);
    if (json_is_object(tokenizer)) {
        json_t *part = json_object();
        copy_keys(part, tokenizer, of_tokenizer);
        json_object_set_new(excerpt, "tokenizer_config", part);
    }
    if (has_template)
        json_object_set_new(excerpt, "chat_template_jinja", json_from_str(buf_str(&template)));
    f->s->info.config = keep(f, excerpt);
}

/* ---- Weights ---- */

/* What one file, or an index with its files, holds; NULL where it is not or cannot be read. */
static const Tensors *weights_of(Facts *f, Arena *scratch, Str path)
{
    const Tensors *t;
    return tensors_of_snapshot(f->hub, scratch, f->repo, f->s, path, &t, NULL) ? t : NULL;
}

static void read_safetensors(Facts *f)
{
    AUTO(arena_free) Arena *scratch = arena_new(0);
    bool sharded = !entry_of(f, "model.safetensors");
    const Tensors *t = weights_of(
        f, scratch, sharded ? S("model.safetensors.index.json") : S("model.safetensors"));
    if (!t)
        return;
    json_t *counts = json_object();
    for (size_t i = 0; i < t->n_types; i++)
        json_object_set_new(counts, t->types[i].dtype.ptr, json_integer(t->types[i].n));
    json_t *summary = json_pack("{s:o, s:I}", "parameters", counts, "total", (json_int_t)t->total);
    if (sharded)
        json_object_set_new(summary, "sharded", json_true());
    f->s->info.safetensors = keep(f, summary);
}

static json_t *gguf_summary(const Gguf *g)
{
    int64_t context;
    json_t *out = json_object();
    Str architecture = gguf_str(g, "general.architecture");
    json_object_set_new(out, "architecture", json_from_str(architecture));
    char key[128];
    snprintf(key, sizeof key, "%.*s.context_length", STR(str_slice(architecture, 0, 80)));
    if (gguf_int(g, key, &context))
        json_object_set_new(out, "context_length", json_integer(context));
    Str template = gguf_str(g, "tokenizer.chat_template");
    if (template.len)
        json_object_set_new(out, "chat_template", json_from_str(template));
    static const char *const tokens[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token"},
                                            {"tokenizer.ggml.eos_token_id", "eos_token"}};
    AUTO(arena_free) Arena *scratch = arena_new(0);
    Str *vocabulary;
    size_t n = gguf_strs(g, "tokenizer.ggml.tokens", scratch, &vocabulary);
    for (size_t i = 0; i < COUNT(tokens); i++) {
        int64_t id;
        if (gguf_int(g, tokens[i][0], &id) && id >= 0 && (size_t)id < n)
            json_object_set_new(out, tokens[i][1], json_from_str(vocabulary[id]));
    }
    return out;
}

static void read_gguf(Facts *f)
{
    int64_t left = WEIGHTS_HEADERS;
    for (size_t i = 0; i < f->s->info.n_files; i++) {
        const RepoEntry *entry = &f->s->info.files[i];
        if (!str_ends(entry->path, S(".gguf")))
            continue;
        AUTO(checkpoint_free)
        Checkpoint *c = weights_header(f->hub, f->repo, f->s->tree.sha, entry, &left, NULL);
        if (!c || !checkpoint_gguf(c))
            continue;
        AUTO(arena_free) Arena *scratch = arena_new(0);
        json_t *summary = gguf_summary(checkpoint_gguf(c));
        // A sum of some parts would be wrong: where one is missing there is no total.
        const Tensors *t = weights_of(f, scratch, entry->path);
        json_object_set_new(summary, "total", json_integer(t ? t->total : 0));
        f->s->info.gguf = keep(f, summary);
        return; // the first of several quantisations speaks for all
    }
}

/* ---- Tags ---- */

static bool has_tag(const Facts *f, const char *const *words)
{
    for (; *words; words++)
        if (map_find(&f->seen, str_of(*words)))
            return true;
    return false;
}

/* What a model is to its base, where the card does not say: by its files first, then by what it
 * calls itself. */
static Str infer_relation(const Facts *f)
{
    static const char *const adapters[] = {"adapter", "lora", NULL};
    static const char *const merges[] = {"merge", "mergekit", NULL};
    static const char *const quantized[] = {"gguf",  "gptq",         "awq", "exl2",
                                            "exl3",  "bitsandbytes", "hqq", "4-bit",
                                            "8-bit", "6-bit",        NULL};
    const json_t *base = json_object_get(f->s->info.card, "base_model");
    if (entry_of(f, "adapter_config.json") || str_eq(f->s->info.library, S("peft")) ||
        has_tag(f, adapters))
        return S("adapter");
    if (json_array_size(base) > 1 || has_tag(f, merges))
        return S("merge");
    if (f->s->info.gguf || json_object_get(f->s->info.config, "quantization_config") ||
        has_tag(f, quantized))
        return S("quantized");
    return S("finetune");
}

static void base_model_tags(Facts *f)
{
    Str relation = json_str(f->s->info.card, "base_model_relation");
    if (!json_object_get(f->s->info.card, "base_model"))
        return;
    if (!relation.len)
        relation = infer_relation(f);
    tags_of(f, "base_model:", "base_model");
    tags_of(f, arena_printf(f->s->arena, "base_model:%.*s:", STR(relation)), "base_model");
}

static void model_tags(Facts *f)
{
    RepoInfo *info = &f->s->info;
    tag(f, "", info->library);
    library_tags(f);
    tag(f, "", json_str(info->config, "model_type"));
    tag(f, "", info->pipeline_tag);
    tags_of(f, "", "tags");
    tags_of(f, "", "language");
    tags_of(f, "dataset:", "datasets");
    base_model_tags(f);
    tags_of(f, "license:", "license");
    if (json_object_get(info->card, "model-index"))
        tag(f, "", S("model-index"));
    if (json_object_get(info->card, "co2_eq_emissions"))
        tag(f, "", S("co2_eq_emissions"));
    if (json_object_get(info->config, "auto_map"))
        tag(f, "", S("custom_code"));
    if (str_eq(info->pipeline_tag, S("text-generation")) &&
        str_eq(info->library, S("transformers")))
        tag(f, "", S("text-generation-inference"));
    if (str_eq(info->library, S("transformers")) && info->pipeline_tag.len)
        tag(f, "", S("endpoints_compatible"));
}

static const struct {
    const char *suffix, *modality;
} data_modalities[] = {
    {".parquet", "tabular"}, {".csv", "tabular"},   {".jsonl", "text"}, {".json", "text"},
    {".txt", "text"},        {".arrow", "tabular"}, {".jpg", "image"},  {".png", "image"},
    {".wav", "audio"},       {".mp3", "audio"},     {".flac", "audio"}, {".mp4", "video"},
};

/* ---- How many rows a dataset has ---- */

static bool rows_ignore(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    (void)user;
    (void)type;
    (void)rows;
    (void)err;
    return true;
}

/* Of all configs; -1 where it takes too long to find out, or where files cannot be read. */
static int64_t count_rows(Facts *f, const DatasetLayout *layout)
{
    int64_t rows = 0, bytes = 0;
    size_t files = 0;
    bool parquet = str_eq(layout->module, S("parquet"));
    for (size_t i = 0; i < layout->n_configs; i++)
        for (size_t k = 0; k < layout->configs[i].n_splits; k++) {
            const DatasetSplit *split = &layout->configs[i].splits[k];
            files += split->n_files;
            for (size_t n = 0; n < split->n_files && !parquet; n++)
                bytes += split->files[n]->size;
            SplitRead read = {.layout = layout,
                              .config = &layout->configs[i],
                              .split = split,
                              .count = true,
                              .each = rows_ignore};
            if (files > MAX_COUNTED_FILES || bytes > MAX_COUNTED_TEXT ||
                !split_read(f->hub, f->repo, f->s->tree.sha, &read, NULL))
                return -1;
            rows += read.total;
        }
    return rows;
}

/* "1K<n<10K", in the words of size_categories. */
static const char *size_category(Arena *a, int64_t rows)
{
    static const char *const steps[] = {"1K",   "10K", "100K", "1M",   "10M",
                                        "100M", "1B",  "10B",  "100B", "1T"};
    int64_t limit = 1000;
    for (size_t i = 0; i < COUNT(steps); i++, limit *= 10)
        if (rows < limit)
            return i ? arena_printf(a, "%s<n<%s", steps[i - 1], steps[i]) : "n<1K";
    return "n>1T";
}

/* What the card says of the size holds; else the rows are counted, where that is quick. */
static void size_tag(Facts *f, const DatasetLayout *layout)
{
    if (json_object_get(f->s->info.card, "size_categories") || !layout->n_configs)
        return;
    int64_t rows = count_rows(f, layout);
    if (rows > 0)
        tag(f, "size_categories:", str_of(size_category(f->s->arena, rows)));
}

static void dataset_tags(Facts *f)
{
    static const char *const keys[] = {"task_categories",
                                       "task_ids",
                                       "multilinguality",
                                       "language_creators",
                                       "annotations_creators",
                                       "source_datasets",
                                       "language",
                                       "license",
                                       "size_categories",
                                       NULL};
    for (const char *const *key = keys; *key; key++)
        tags_of(f, arena_printf(f->s->arena, "%s:", *key), *key);
    tags_of(f, "", "tags");
    // What the datasets library would load, and as what.
    const DatasetLayout *layout =
        dataset_layout(f->s->arena, f->s->info.card, f->s->info.files, f->s->info.n_files);
    if (layout->n_configs) {
        tag(f, "format:", layout->module);
        tag(f, "library:", S("datasets"));
    }
    size_tag(f, layout);
    for (size_t k = 0; k < COUNT(data_modalities); k++)
        for (size_t i = 0; i < f->s->info.n_files; i++)
            if (str_ends(f->s->info.files[i].path, str_of(data_modalities[k].suffix))) {
                tag(f, "modality:", str_of(data_modalities[k].modality));
                break;
            }
}

/* What of other kinds a Space or model is made with, as the card says. */
static void link_add(Facts *f, const char *prefix, Str id)
{
    if (id.len && id.len <= MAX_TAG && f->s->info.n_links < MAX_LINKS)
        f->links[f->s->info.n_links++] =
            str_of(arena_printf(f->s->arena, "%s%.*s", prefix, STR(id)));
}

static void links_of(Facts *f, const char *prefix, const char *key)
{
    const json_t *list = json_object_get(f->s->info.card, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        link_add(f, prefix, (Str){json_string_value(item), json_string_length(item)});
    }
}

static void link_eval(void *user, Str dataset)
{
    link_add(user, "eval:", dataset);
}

static void space_tags(Facts *f)
{
    links_of(f, "model:", "models");
    links_of(f, "dataset:", "datasets");
    tag(f, "", f->s->info.sdk);
    tags_of(f, "", "tags");
    tags_of(f, "license:", "license");
}

void facts_collect(Hub *hub, GitRepo *git, const Repo *repo, Snapshot *s)
{
    Facts f = {.hub = hub, .git = git, .repo = repo, .s = s};
    f.tags = NEW_ARRAY(s->arena, Str, MAX_TAGS);
    f.links = NEW_ARRAY(s->arena, Str, MAX_LINKS);
    s->info.tags = f.tags;
    s->info.links = f.links;
    read_card(&f);
    switch (repo->kind) {
    case REPO_MODEL:
        read_config(&f);
        read_safetensors(&f);
        read_gguf(&f);
        s->info.parameters = json_int(s->info.safetensors, "total", 0);
        if (!s->info.parameters)
            s->info.parameters = json_int(s->info.gguf, "total", 0);
        s->info.library = find_library(&f);
        s->info.pipeline_tag = find_task(&f);
        model_tags(&f);
        evals_collect(git, s, link_eval, &f);
        break;
    case REPO_DATASET:
        dataset_tags(&f);
        break;
    case REPO_SPACE:
        s->info.sdk = json_str(s->info.card, "sdk");
        space_tags(&f);
        break;
    case REPO_KINDS:
        break;
    }
    for (size_t i = 0; i < f.n_papers; i++)
        tag(&f, "arxiv:", f.papers[i]);
    tag(&f, "", S("region:us"));
    map_done(&f.seen);
}
