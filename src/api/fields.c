/* fields.c: what an answer about a repository may hold, as one table: a row is a field, the kinds
 * that have it, where it shows without being asked for, and how it is made. `expand` names rows; so
 * do the errors about it. */
#include "api/fields.h"

#include "api/runnable.h"
#include "base/clock.h"
#include "hub/lineage.h"
#include "hub/search.h"

static const RepoInfo *source_info(FieldSource *s)
{
    if (!s->info && !repo_info(api_of(s->request)->hub, request_arena(s->request), s->repo, S(""),
                               &s->info, NULL)) {
        static const RepoInfo none;
        s->info = &none;
    }
    return s->info;
}

static json_t *text_or_null(Str text)
{
    return text.len ? json_from_str(text) : NULL;
}

static json_t *share(const json_t *value)
{
    // Immutable and counted atomically: an answer may borrow it from the snapshot.
    union {
        const json_t *from;
        json_t *to;
    } loose = {.from = value};
    return value ? json_incref(loose.to) : NULL;
}

/* ---- Fields ---- */

static json_t *f_model_id(FieldSource *s)
{
    return json_from_str(s->repo->full);
}

static json_t *f_author(FieldSource *s)
{
    return json_from_str(s->repo->owner);
}

static json_t *f_sha(FieldSource *s)
{
    return text_or_null(s->item && s->item->sha.len ? s->item->sha : source_info(s)->sha);
}

static json_t *f_created(FieldSource *s)
{
    return api_date(s->repo->created_ns);
}

static json_t *f_modified(FieldSource *s)
{
    return api_date(s->item ? s->repo->updated_ns : source_info(s)->modified_ns);
}

static json_t *f_private(FieldSource *s)
{
    return json_boolean(s->repo->is_private);
}

static json_t *f_disabled(FieldSource *s)
{
    return json_boolean(s->repo->is_disabled);
}

static json_t *f_gated(FieldSource *s)
{
    return s->repo->gated.len ? json_from_str(s->repo->gated) : json_false();
}

static json_t *f_downloads(FieldSource *s)
{
    return json_integer(s->repo->downloads);
}

static json_t *f_downloads_all(FieldSource *s)
{
    return json_integer(s->repo->downloads_all);
}

static json_t *f_likes(FieldSource *s)
{
    return json_integer(s->repo->likes);
}

static json_t *f_trending(FieldSource *s)
{
    return json_integer((s->repo->trending + 500) / 1000);
}

static json_t *f_storage(FieldSource *s)
{
    return json_integer(s->item ? s->item->bytes : source_info(s)->bytes);
}

static json_t *f_tags(FieldSource *s)
{
    const Str *tags = s->item ? s->item->tags : source_info(s)->tags;
    size_t n = s->item ? s->item->n_tags : source_info(s)->n_tags;
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_from_str(tags[i]));
    return out;
}

static json_t *f_card(FieldSource *s)
{
    return share(s->item ? s->item->card : source_info(s)->card);
}

static json_t *f_siblings(FieldSource *s)
{
    const RepoInfo *info = source_info(s);
    json_t *out = json_array();
    for (size_t i = 0; i < info->n_files; i++) {
        const RepoEntry *e = &info->files[i];
        json_t *file = json_object();
        json_object_set_new(file, "rfilename", json_from_str(e->path));
        if (s->blobs) {
            json_object_set_new(file, "size", json_integer(e->size));
            json_object_set_new(file, "blobId", json_from_str(e->oid));
        }
        if (s->blobs && e->is_lfs)
            json_object_set_new(file, "lfs",
                                json_pack("{s:I, s:o, s:I}", "size", (json_int_t)e->size, "sha256",
                                          json_from_str(e->sha256), "pointerSize",
                                          (json_int_t)e->pointer_size));
        json_array_append_new(out, file);
    }
    return out;
}

static json_t *f_pipeline(FieldSource *s)
{
    return text_or_null(s->item ? s->item->pipeline_tag : source_info(s)->pipeline_tag);
}

static json_t *f_library(FieldSource *s)
{
    return text_or_null(s->item ? s->item->library : source_info(s)->library);
}

static json_t *f_mask_token(FieldSource *s)
{
    const json_t *token = json_at(source_info(s)->config, "tokenizer_config.mask_token");
    return share(json_is_object(token) ? json_object_get(token, "content") : token);
}

static json_t *f_config(FieldSource *s)
{
    return share(source_info(s)->config);
}

static json_t *f_transformers(FieldSource *s)
{
    static const struct {
        const char *task, *model;
    } autos[] = {
        {"text-generation", "AutoModelForCausalLM"},
        {"fill-mask", "AutoModelForMaskedLM"},
        {"text-classification", "AutoModelForSequenceClassification"},
        {"token-classification", "AutoModelForTokenClassification"},
        {"question-answering", "AutoModelForQuestionAnswering"},
        {"text2text-generation", "AutoModelForSeq2SeqLM"},
        {"image-classification", "AutoModelForImageClassification"},
        {"image-text-to-text", "AutoModelForImageTextToText"},
    };
    const RepoInfo *info = source_info(s);
    if (!str_eq(info->library, S("transformers")))
        return NULL;
    const char *model = "AutoModel";
    for (size_t i = 0; i < COUNT(autos); i++)
        if (str_eq(info->pipeline_tag, str_of(autos[i].task)))
            model = autos[i].model;
    json_t *out = json_pack("{s:s}", "auto_model", model);
    api_set_str(out, "pipeline_tag", info->pipeline_tag);
    return out;
}

static json_t *f_widget(FieldSource *s)
{
    return share(json_object_get(source_info(s)->card, "widget"));
}

static json_t *f_model_index(FieldSource *s)
{
    return share(json_object_get(source_info(s)->card, "model-index"));
}

static json_t *f_safetensors(FieldSource *s)
{
    return share(source_info(s)->safetensors);
}

static json_t *f_gguf(FieldSource *s)
{
    return share(source_info(s)->gguf);
}

static json_t *f_sdk(FieldSource *s)
{
    return text_or_null(s->item ? s->item->sdk : source_info(s)->sdk);
}

static json_t *f_subdomain(FieldSource *s)
{
    Str full = s->repo->full;
    char *name = arena_cstr(request_arena(s->request), full);
    for (size_t i = 0; i < full.len; i++)
        name[i] = isalnum((unsigned char)name[i]) ? (char)tolower((unsigned char)name[i]) : '-';
    return json_string(name);
}

static json_t *card_list(FieldSource *s, const char *key)
{
    const json_t *list = json_object_get(source_info(s)->card, key);
    return json_is_array(list) ? share(list) : json_array();
}

static json_t *f_models(FieldSource *s)
{
    return card_list(s, "models");
}

static json_t *f_datasets(FieldSource *s)
{
    return card_list(s, "datasets");
}

static json_t *f_region(FieldSource *s)
{
    return json_string("us");
}

/* ---- Who is made from whom ---- */

static json_t *f_base_models(FieldSource *s)
{
    Relative *parents;
    size_t n;
    const Str *tags = s->item ? s->item->tags : source_info(s)->tags;
    size_t n_tags = s->item ? s->item->n_tags : source_info(s)->n_tags;
    if (!lineage_parents(api_of(s->request)->hub, request_arena(s->request), api_viewer(s->request),
                         tags, n_tags, &parents, &n, NULL) ||
        n == 0)
        return NULL;
    json_t *models = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *model = json_object();
        api_set_str(model, "_id", parents[i].id);
        api_set_str(model, "id", parents[i].full);
        json_array_append_new(models, model);
    }
    return json_pack("{s:o, s:o}", "relation", json_from_str(parents[0].relation), "models",
                     models);
}

static json_t *f_children(FieldSource *s)
{
    int64_t counts[RELATIONS];
    if (!lineage_children(api_of(s->request)->hub, api_viewer(s->request), s->repo, counts, NULL))
        return NULL;
    json_t *out = json_object();
    for (int i = 0; i < RELATIONS; i++)
        if (counts[i])
            json_object_set_new(out, relation_name((Relation)i), json_integer(counts[i]));
    return out;
}

static json_t *f_spaces(FieldSource *s)
{
    const Str *names;
    size_t n;
    json_t *out = json_array();
    if (lineage_spaces(api_of(s->request)->hub, request_arena(s->request), s->repo, &names, &n,
                       NULL))
        for (size_t i = 0; i < n; i++)
            json_array_append_new(out, json_from_str(names[i]));
    return out;
}

static json_t *f_inference(FieldSource *s)
{
    Str task = s->item ? s->item->pipeline_tag : source_info(s)->pipeline_tag;
    const Str *tags = s->item ? s->item->tags : source_info(s)->tags;
    size_t n_tags = s->item ? s->item->n_tags : source_info(s)->n_tags;
    return is_runnable(api_of(s->request), task, tags, n_tags) ? json_string("warm") : NULL;
}

static json_t *f_eval_results(FieldSource *s)
{
    return share(source_info(s)->eval_results);
}

/* ---- What a dataset's card says ---- */

static json_t *f_description(FieldSource *s)
{
    return text_or_null(card_summary(api_of(s->request)->hub, request_arena(s->request), s->repo));
}

static json_t *f_citation(FieldSource *s)
{
    return text_or_null(card_citation(api_of(s->request)->hub, request_arena(s->request), s->repo));
}

static json_t *f_paperswithcode(FieldSource *s)
{
    const json_t *card = s->item ? s->item->card : source_info(s)->card;
    return text_or_null(json_str(card, "paperswithcode_id"));
}

static json_t *f_true(FieldSource *s)
{
    return json_true();
}

static json_t *f_null(FieldSource *s)
{
    return NULL;
}

/* Kinds. */
enum { M = 1 << REPO_MODEL, D = 1 << REPO_DATASET, P = 1 << REPO_SPACE };
static const struct InfoField {
    const char *name;
    int kinds;
    int shows; // HIDDEN: and it is no name for expand
    json_t *(*make)(FieldSource *s);
} fields[] = {
    {"modelId", M, INFO | LIST | HIDDEN, f_model_id},
    {"author", M | D | P, INFO | FULL, f_author},
    {"baseModels", M, 0, f_base_models},
    {"cardData", M | D | P, INFO | CARD, f_card},
    {"childrenModelCount", M, 0, f_children},
    {"citation", D, INFO, f_citation},
    {"config", M, INFO | CONFIG, f_config},
    {"createdAt", M | D | P, INFO | LIST, f_created},
    {"datasets", P, INFO | LINKED, f_datasets},
    {"description", D, INFO, f_description},
    {"disabled", M | D | P, INFO | FULL, f_disabled},
    {"downloads", M | D, INFO | LIST, f_downloads},
    {"downloadsAllTime", M | D, 0, f_downloads_all},
    {"evalResults", M, 0, f_eval_results},
    {"gated", M | D, INFO | FULL, f_gated},
    {"gguf", M, INFO, f_gguf},
    {"inference", M, 0, f_inference},
    {"inferenceProviderMapping", M, 0, f_null},
    {"lastModified", M | D | P, INFO | FULL, f_modified},
    {"library_name", M, INFO | LIST, f_library},
    {"likes", M | D | P, INFO | LIST, f_likes},
    {"mainSize", D, 0, f_storage},
    {"mask_token", M, INFO, f_mask_token},
    {"model-index", M, INFO, f_model_index},
    {"models", P, INFO | LINKED, f_models},
    {"paperswithcode_id", D, 0, f_paperswithcode},
    {"pipeline_tag", M, INFO | LIST, f_pipeline},
    {"private", M | D | P, INFO | LIST, f_private},
    {"region", P, 0, f_region},
    {"resourceGroup", M | D | P, 0, f_null},
    {"runtime", P, 0, f_null},
    {"safetensors", M, INFO, f_safetensors},
    {"sdk", P, INFO | LIST, f_sdk},
    {"sha", M | D | P, INFO | FULL, f_sha},
    {"siblings", M | D | P, INFO | FULL, f_siblings},
    {"spaces", M, INFO, f_spaces},
    {"subdomain", P, INFO, f_subdomain},
    {"tags", M | D | P, INFO | LIST, f_tags},
    {"transformersInfo", M, INFO, f_transformers},
    {"trendingScore", M | D | P, LIST, f_trending},
    {"usedStorage", M | D | P, INFO, f_storage},
    {"widgetData", M, INFO, f_widget},
    {"xetEnabled", M | D | P, 0, f_true},
};

/* ---- Which fields ---- */

_Static_assert(COUNT(fields) <= (size_t)MAX_FIELDS, "FieldChoice has room for all");

static void unknown_expand(Request *r, RepoKind kind, Str name)
{
    AUTO_BUF text;
    buf_init(&text, 4096);
    buf_printf(&text, "Invalid option \"%.*s\" for expand: expected one of ", STR(name));
    const char *between = "";
    for (size_t i = 0; i < COUNT(fields); i++)
        if ((fields[i].kinds & 1 << kind) && !(fields[i].shows & HIDDEN)) {
            buf_printf(&text, "%s\"%s\"", between, fields[i].name);
            between = "|";
        }
    reply_failure(r, 400, arena_cstr(request_arena(r), buf_str(&text)));
}

bool fields_expand(Request *r, RepoKind kind, FieldChoice *out)
{
    const Params *query = request_query(r);
    for (size_t k = 0; k < query->n; k++) {
        if (!str_eq(query->items[k].name, S("expand")) &&
            !str_eq(query->items[k].name, S("expand[]")))
            continue;
        size_t i = 0;
        while (i < COUNT(fields) && (!str_eq(query->items[k].value, str_of(fields[i].name)) ||
                                     !(fields[i].kinds & 1 << kind) || fields[i].shows & HIDDEN))
            i++;
        if (i == COUNT(fields)) {
            unknown_expand(r, kind, query->items[k].value);
            return false;
        }
        out->on[i] = out->any = true;
    }
    return true;
}

json_t *repo_json(FieldSource *s, const FieldChoice *choice, int shows)
{
    json_t *out = json_object();
    json_object_set_new(out, "_id", json_from_str(s->repo->id));
    json_object_set_new(out, "id", json_from_str(s->repo->full));
    for (size_t i = 0; i < COUNT(fields); i++) {
        bool wanted = choice->any ? choice->on[i] : (fields[i].shows & shows) != 0;
        json_t *value = wanted && (fields[i].kinds & 1 << s->repo->kind) ? fields[i].make(s) : NULL;
        if (value)
            json_object_set_new(out, fields[i].name, value);
    }
    return out;
}
