/* info.c: repositories as clients see them: one in full, many in lists.
 *
 * What an answer may hold is one table: a row is a field, the kinds that have it, where it shows
 * without being asked for, and how it is made. `expand` names rows; so do the errors about it. */
#include "api/api_internal.h"

#include "base/clock.h"

enum { DEFAULT_LIST = 100, MAX_LIST = 1000, MAX_FILTERS = 32 };

/* What fields are made from. Lists have no RepoInfo until a field needs one. */
typedef struct Source {
    Request *request;
    const Repo *repo;
    const RepoItem *item; // NULL when one repository is asked for
    const RepoInfo *info; // NULL until source_info
    bool blobs;           // siblings with sizes
} Source;

static const RepoInfo *source_info(Source *s)
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

static json_t *f_model_id(Source *s)
{
    return json_from_str(s->repo->full);
}

static json_t *f_author(Source *s)
{
    return json_from_str(s->repo->owner);
}

static json_t *f_sha(Source *s)
{
    return text_or_null(s->item && s->item->sha.len ? s->item->sha : source_info(s)->sha);
}

static json_t *f_created(Source *s)
{
    return api_date(s->repo->created_ns);
}

static json_t *f_modified(Source *s)
{
    return api_date(s->item ? s->repo->updated_ns : source_info(s)->modified_ns);
}

static json_t *f_private(Source *s)
{
    return json_boolean(s->repo->is_private);
}

static json_t *f_disabled(Source *s)
{
    return json_boolean(s->repo->is_disabled);
}

static json_t *f_gated(Source *s)
{
    return s->repo->gated.len ? json_from_str(s->repo->gated) : json_false();
}

static json_t *f_downloads(Source *s)
{
    return json_integer(s->repo->downloads);
}

static json_t *f_downloads_all(Source *s)
{
    return json_integer(s->repo->downloads_all);
}

static json_t *f_likes(Source *s)
{
    return json_integer(s->repo->likes);
}

static json_t *f_trending(Source *s)
{
    return json_integer(s->repo->likes * 10 + s->repo->downloads);
}

static json_t *f_storage(Source *s)
{
    return json_integer(source_info(s)->bytes);
}

static json_t *f_tags(Source *s)
{
    const Str *tags = s->item ? s->item->tags : source_info(s)->tags;
    size_t n = s->item ? s->item->n_tags : source_info(s)->n_tags;
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_from_str(tags[i]));
    return out;
}

static json_t *f_card(Source *s)
{
    return share(s->item ? s->item->card : source_info(s)->card);
}

static json_t *f_siblings(Source *s)
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

static json_t *f_pipeline(Source *s)
{
    return text_or_null(s->item ? s->item->pipeline_tag : source_info(s)->pipeline_tag);
}

static json_t *f_library(Source *s)
{
    return text_or_null(s->item ? s->item->library : source_info(s)->library);
}

static json_t *f_mask_token(Source *s)
{
    const json_t *token = json_at(source_info(s)->config, "tokenizer_config.mask_token");
    return share(json_is_object(token) ? json_object_get(token, "content") : token);
}

static json_t *f_config(Source *s)
{
    return share(source_info(s)->config);
}

static json_t *f_transformers(Source *s)
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

static json_t *f_widget(Source *s)
{
    return share(json_object_get(source_info(s)->card, "widget"));
}

static json_t *f_model_index(Source *s)
{
    return share(json_object_get(source_info(s)->card, "model-index"));
}

static json_t *f_safetensors(Source *s)
{
    return share(source_info(s)->safetensors);
}

static json_t *f_gguf(Source *s)
{
    return share(source_info(s)->gguf);
}

static json_t *f_pretty(Source *s)
{
    return share(json_object_get(source_info(s)->card, "pretty_name"));
}

static json_t *f_sdk(Source *s)
{
    return text_or_null(s->item ? s->item->sdk : source_info(s)->sdk);
}

static json_t *f_subdomain(Source *s)
{
    Str full = s->repo->full;
    char *name = arena_cstr(request_arena(s->request), full);
    for (size_t i = 0; i < full.len; i++)
        name[i] = isalnum((unsigned char)name[i]) ? (char)tolower((unsigned char)name[i]) : '-';
    return json_string(name);
}

static json_t *card_list(Source *s, const char *key)
{
    const json_t *list = json_object_get(source_info(s)->card, key);
    return json_is_array(list) ? share(list) : json_array();
}

static json_t *f_models(Source *s)
{
    return card_list(s, "models");
}

static json_t *f_datasets(Source *s)
{
    return card_list(s, "datasets");
}

static json_t *f_empty_list(Source *s)
{
    return json_array();
}

static json_t *f_true(Source *s)
{
    return json_true();
}

static json_t *f_null(Source *s)
{
    return NULL;
}

/* Kinds, and where a field shows. */
enum { M = 1 << REPO_MODEL, D = 1 << REPO_DATASET, P = 1 << REPO_SPACE };
enum { INFO = 1, LIST = 2, FULL = 4, CARD = 8, CONFIG = 16, HIDDEN = 32 };

static const struct InfoField {
    const char *name;
    int kinds;
    int shows; // HIDDEN: and it is no name for expand
    json_t *(*make)(Source *s);
} fields[] = {
    {"modelId", M, INFO | LIST | HIDDEN, f_model_id},
    {"author", M | D | P, INFO | FULL, f_author},
    {"baseModels", M, 0, f_null},
    {"cardData", M | D | P, INFO | CARD, f_card},
    {"childrenModelCount", M, 0, f_null},
    {"citation", D, 0, f_null},
    {"config", M, INFO | CONFIG, f_config},
    {"createdAt", M | D | P, INFO | LIST, f_created},
    {"datasets", P, INFO, f_datasets},
    {"description", D, 0, f_pretty},
    {"disabled", M | D | P, INFO | FULL, f_disabled},
    {"downloads", M | D, INFO | LIST, f_downloads},
    {"downloadsAllTime", M | D, 0, f_downloads_all},
    {"evalResults", M, 0, f_null},
    {"gated", M | D, INFO | FULL, f_gated},
    {"gguf", M, INFO, f_gguf},
    {"inference", M, 0, f_null},
    {"inferenceProviderMapping", M, 0, f_null},
    {"lastModified", M | D | P, INFO | FULL, f_modified},
    {"library_name", M, INFO | LIST, f_library},
    {"likes", M | D | P, INFO | LIST, f_likes},
    {"mainSize", D, 0, f_storage},
    {"mask_token", M, INFO, f_mask_token},
    {"model-index", M, INFO, f_model_index},
    {"models", P, INFO, f_models},
    {"paperswithcode_id", D, 0, f_null},
    {"pipeline_tag", M, INFO | LIST, f_pipeline},
    {"private", M | D | P, INFO | LIST, f_private},
    {"region", P, 0, f_null},
    {"resourceGroup", M | D | P, 0, f_null},
    {"runtime", P, 0, f_null},
    {"safetensors", M, INFO, f_safetensors},
    {"sdk", P, INFO | LIST, f_sdk},
    {"sha", M | D | P, INFO | FULL, f_sha},
    {"siblings", M | D | P, INFO | FULL, f_siblings},
    {"spaces", M, INFO, f_empty_list},
    {"subdomain", P, INFO, f_subdomain},
    {"tags", M | D | P, INFO | LIST, f_tags},
    {"transformersInfo", M, INFO, f_transformers},
    {"trendingScore", M | D | P, LIST, f_trending},
    {"usedStorage", M | D | P, INFO, f_storage},
    {"widgetData", M, INFO, f_widget},
    {"xetEnabled", M | D | P, 0, f_true},
};

/* ---- Which fields ---- */

typedef struct Choice {
    bool on[COUNT(fields)];
    bool any;
} Choice;

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

/* ?expand=a&expand[]=b. False: it has answered. */
static bool expand_read(Request *r, RepoKind kind, Choice *out)
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

static json_t *source_json(Source *s, const Choice *choice, int shows)
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

/* ---- One ---- */

static void info(Request *r)
{
    Error err = {0};
    Repo repo;
    Choice choice = {0};
    const RepoInfo *found;
    if (!api_repo(r, ACCESS_READ, &repo) || !expand_read(r, repo.kind, &choice))
        return;
    if (!repo_info(api_of(r)->hub, request_arena(r), &repo, request_param(r, "rev"), &found, &err))
        return reply_error(r, &err);
    Source s = {.request = r, .repo = &repo, .info = found, .blobs = api_flag(r, "blobs")};
    json_t *out = source_json(&s, &choice, INFO);
    if (api_flag(r, "securityStatus"))
        json_object_set_new(out, "securityRepoStatus",
                            json_pack("{s:b, s:[]}", "scansDone", 0, "filesWithIssues"));
    reply_header(r, "X-Repo-Commit", found->sha);
    api_reply(r, out);
}

/* ---- Lists ---- */

/* All values of a repeated parameter. */
static size_t values_of(Request *r, const char *name, Str *out, size_t most)
{
    const Params *query = request_query(r);
    size_t n = 0;
    for (size_t i = 0; i < query->n && n < most; i++)
        if (str_eq(query->items[i].name, str_of(name)) && query->items[i].value.len)
            out[n++] = query->items[i].value;
    return n;
}

/* Filters that name a tag in a parameter of their own. */
static const struct {
    const char *parameter, *prefix;
} tag_parameters[] = {
    {"filter", ""},   {"library", ""},          {"apps", ""},
    {"models", ""},   {"datasets", "dataset:"}, {"trained_dataset", "dataset:"},
    {"language", ""}, {"license", "license:"},
};

static bool list_query(Request *r, RepoKind kind, RepoQuery *query, bool *gated)
{
    Arena *a = request_arena(r);
    Str *tags = NEW_ARRAY(a, Str, MAX_FILTERS), *search = NEW_ARRAY(a, Str, 8);
    size_t n = 0;
    for (size_t i = 0; i < COUNT(tag_parameters); i++) {
        size_t before = n;
        n += values_of(r, tag_parameters[i].parameter, tags + n, MAX_FILTERS - n);
        for (size_t k = before; *tag_parameters[i].prefix && k < n; k++)
            tags[k] = str_of(arena_printf(a, "%s%.*s", tag_parameters[i].prefix, STR(tags[k])));
    }
    *query = (RepoQuery){.kind = kind,
                         .search = search,
                         .n_search = values_of(r, "search", search, 8),
                         .tags = tags,
                         .n_tags = n,
                         .author = request_query_get(r, "author"),
                         .pipeline_tag = request_query_get(r, "pipeline_tag"),
                         .cursor = request_query_get(r, "cursor")};
    Str sort = request_query_get(r, "sort"), gate = request_query_get(r, "gated");
    if (sort.len && !repo_sort_parse(sort, &query->sort)) {
        reply_failure(r, 400, "sort: trendingScore, lastModified, createdAt, downloads or likes");
        return false;
    }
    *gated = str_eq_nocase(gate, S("true"));
    query->gated = gate.len ? gated : NULL;
    return api_limit(r, MAX_LIST, DEFAULT_LIST, &query->limit);
}

static void list(Request *r)
{
    Error err = {0};
    RepoKind kind;
    RepoQuery query;
    RepoPage page;
    Choice choice = {0};
    bool gated;
    if (!api_kind(r, &kind) || !expand_read(r, kind, &choice) ||
        !list_query(r, kind, &query, &gated))
        return;
    if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    int shows = LIST | (api_flag(r, "full") ? FULL | CARD : 0) |
                (api_flag(r, "cardData") ? CARD : 0) | (api_flag(r, "config") ? CONFIG : 0);
    json_t *out = json_array();
    for (size_t i = 0; i < page.n; i++) {
        Source s = {.request = r, .repo = &page.items[i].repo, .item = &page.items[i]};
        json_array_append_new(out, source_json(&s, &choice, shows));
    }
    if (page.next.len)
        api_link_next(r, "cursor", page.next);
    reply_headerf(r, "X-Total-Count", "%lld", (long long)page.total);
    api_reply(r, out);
}

/* The web search box: a few of each kind. */
static void quick_search(Request *r)
{
    Error err = {0};
    Str search = request_query_get(r, "q");
    int64_t limit;
    if (!api_limit(r, 20, 6, &limit))
        return;
    json_t *out = json_object();
    for (int k = 0; k < REPO_KINDS; k++) {
        RepoQuery query = {
            .kind = (RepoKind)k, .search = &search, .n_search = search.len > 0, .limit = limit};
        RepoPage page;
        if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err)) {
            json_decref(out);
            return reply_error(r, &err);
        }
        const char *plural = repo_kind_info((RepoKind)k)->plural;
        json_t *found = json_array();
        for (size_t i = 0; i < page.n; i++) {
            const Repo *repo = &page.items[i].repo;
            json_array_append_new(found, json_pack("{s:o, s:o}", "_id", json_from_str(repo->id),
                                                   "id", json_from_str(repo->full)));
        }
        json_object_set_new(out, plural, found);
        json_object_set_new(out, arena_printf(request_arena(r), "%sCount", plural),
                            json_integer(page.total));
    }
    api_reply(r, out);
}

/* Known tags by what they say: the prefix before the colon, or the field they came from. */
static void tags_by_type(Request *r)
{
    Error err = {0};
    RepoKind kind =
        str_eq(request_path(r), S("/api/models-tags-by-type")) ? REPO_MODEL : REPO_DATASET;
    TagCount *tags;
    size_t n;
    if (!repo_tag_counts(api_of(r)->hub, request_arena(r), kind, 2000, &tags, &n, &err))
        return reply_error(r, &err);
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        size_t colon = str_find_char(tags[i].tag, ':', 0);
        Str type = colon == SIZE_MAX ? S("other") : str_slice(tags[i].tag, 0, colon);
        Str label =
            colon == SIZE_MAX ? tags[i].tag : str_slice(tags[i].tag, colon + 1, tags[i].tag.len);
        json_t *group = json_object_getn(out, type.ptr, type.len);
        if (!group) {
            group = json_array();
            json_object_setn_new(out, type.ptr, type.len, group);
        }
        json_array_append_new(group, json_pack("{s:o, s:o, s:o}", "id", json_from_str(tags[i].tag),
                                               "label", json_from_str(label), "type",
                                               json_from_str(type)));
    }
    api_reply(r, out);
}

const Route info_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}", info, .flags = ROUTE_TRY, .summary = "A repository"},
    {"GET", "/api/{kind}/{owner}/{name}/revision/{rev}", info, .flags = ROUTE_TRY,
     .summary = "One of its revisions"},
    {"GET", "/api/models", list, .summary = "Models"},
    {"GET", "/api/datasets", list, .summary = "Datasets"},
    {"GET", "/api/spaces", list, .summary = "Spaces"},
    {"GET", "/api/models/{name}", info, .flags = ROUTE_TRY, .summary = "A model without an owner"},
    {"GET", "/api/datasets/{name}", info, .flags = ROUTE_TRY,
     .summary = "A dataset without an owner"},
    {"GET", "/api/quicksearch", quick_search, .summary = "A few repositories of each kind"},
    {"GET", "/api/models-tags-by-type", tags_by_type, .summary = "Tags of models"},
    {"GET", "/api/datasets-tags-by-type", tags_by_type, .summary = "Tags of datasets"},
};
const size_t info_routes_n = COUNT(info_routes);
