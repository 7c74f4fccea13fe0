/* info.c: repositories as clients see them: one in full, many in lists. What an answer may hold is
 * in fields.c. */
#include "api/fields.h"
#include "api/runnable.h"

enum { DEFAULT_LIST = 100, MAX_LIST = 1000, MAX_FILTERS = 32 };

/* ---- One ---- */

static void info(Request *r)
{
    Error err = {0};
    Repo repo;
    FieldChoice choice = {0};
    const RepoInfo *found;
    if (!api_repo(r, ACCESS_READ, &repo) || !fields_expand(r, repo.kind, &choice))
        return;
    if (!repo_info(api_of(r)->hub, request_arena(r), &repo, request_param(r, "rev"), &found, &err))
        return reply_error(r, &err);
    FieldSource s = {.request = r, .repo = &repo, .info = found, .blobs = api_flag(r, "blobs")};
    json_t *out = repo_json(&s, &choice, INFO);
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
    const char *parameter;
    int kinds;
    const char *prefix;
} tag_parameters[] = {
    {"filter", -1, ""},
    {"library", -1, ""},
    {"datasets", -1, "dataset:"},
    {"models", 1 << REPO_SPACE, "model:"},
    {"sdk", 1 << REPO_SPACE, ""},
    {"trained_dataset", 1 << REPO_MODEL, "dataset:"},
    {"language", 1 << REPO_MODEL, ""},
    {"language", 1 << REPO_DATASET, "language:"},
    {"license", -1, "license:"},
    {"region", -1, "region:"},
    {"task_categories", 1 << REPO_DATASET, "task_categories:"},
    {"size_categories", 1 << REPO_DATASET, "size_categories:"},
    {"benchmark", 1 << REPO_DATASET, "benchmark:"},
};

static size_t query_tags(Request *r, RepoKind kind, Str *tags)
{
    size_t n = 0;
    for (size_t i = 0; i < COUNT(tag_parameters); i++) {
        Str prefix = str_of(tag_parameters[i].prefix);
        size_t before = n;
        if (!(tag_parameters[i].kinds & 1 << kind))
            continue;
        n += values_of(r, tag_parameters[i].parameter, tags + n, MAX_FILTERS - n);
        for (size_t k = before; k < n; k++)
            if (prefix.len && !str_starts(tags[k], prefix))
                tags[k] =
                    str_of(arena_printf(request_arena(r), "%.*s%.*s", STR(prefix), STR(tags[k])));
    }
    return n;
}

/* "6B", "350M", "1.5b", "7000" */
static bool count_parse(Str text, int64_t *out)
{
    static const struct {
        char letter;
        double scale;
    } units[] = {{'K', 1e3}, {'M', 1e6}, {'B', 1e9}, {'T', 1e12}};
    double number, scale = 1;
    for (size_t i = 0; text.len && i < COUNT(units); i++)
        if (toupper((unsigned char)text.ptr[text.len - 1]) == units[i].letter) {
            scale = units[i].scale;
            text.len--;
            break;
        }
    if (!str_to_double(text, &number) || !(number >= 0 && number * scale < 9e18))
        return false;
    *out = (int64_t)(number * scale);
    return true;
}

/* What of a query lies behind pointers. */
typedef struct QueryValues {
    bool gated;
    int64_t min_params, max_params;
} QueryValues;

/* num_parameters=min:6B,max:128B */
static bool query_parameters(Request *r, RepoQuery *query, QueryValues *values)
{
    Str text = request_query_get(r, "num_parameters"), part;
    while (str_split(&text, ',', &part)) {
        bool is_min = str_starts(part, S("min:")), is_max = str_starts(part, S("max:"));
        Str number = str_slice(part, 4, part.len);
        if (!(is_min || is_max) ||
            !count_parse(number, is_min ? &values->min_params : &values->max_params)) {
            reply_failure(r, 400, "num_parameters: \"min:6B,max:128B\", or one of the two");
            return false;
        }
        if (is_min)
            query->min_params = &values->min_params;
        else
            query->max_params = &values->max_params;
    }
    return true;
}

static bool list_query(Request *r, RepoKind kind, RepoQuery *query, QueryValues *values)
{
    Arena *a = request_arena(r);
    Str *tags = NEW_ARRAY(a, Str, MAX_FILTERS), *search = NEW_ARRAY(a, Str, 8);
    *query = (RepoQuery){.kind = kind,
                         .search = search,
                         .n_search = values_of(r, "search", search, 8),
                         .tags = tags,
                         .n_tags = query_tags(r, kind, tags),
                         .author = request_query_get(r, "author"),
                         .pipeline_tag = request_query_get(r, "pipeline_tag"),
                         .cursor = request_query_get(r, "cursor")};
    Str sort = request_query_get(r, "sort"), gate = request_query_get(r, "gated");
    if (sort.len && !repo_sort_parse(sort, &query->sort)) {
        reply_failure(r, 400, "sort: trendingScore, lastModified, createdAt, downloads or likes");
        return false;
    }
    values->gated = str_eq_nocase(gate, S("true"));
    query->gated = gate.len ? &values->gated : NULL;
    return query_parameters(r, query, values) && query_runnable(r, query, tags, MAX_FILTERS) &&
           api_limit(r, MAX_LIST, DEFAULT_LIST, &query->limit);
}

static void list(Request *r)
{
    Error err = {0};
    RepoKind kind;
    RepoQuery query;
    RepoPage page;
    FieldChoice choice = {0};
    QueryValues values;
    if (!api_kind(r, &kind) || !fields_expand(r, kind, &choice) ||
        !list_query(r, kind, &query, &values))
        return;
    if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    int shows = LIST | (api_flag(r, "full") ? FULL | CARD : 0) |
                (api_flag(r, "cardData") ? CARD : 0) | (api_flag(r, "config") ? CONFIG : 0) |
                (api_flag(r, "linked") ? LINKED : 0);
    json_t *out = json_array();
    for (size_t i = 0; i < page.n; i++) {
        FieldSource s = {.request = r, .repo = &page.items[i].repo, .item = &page.items[i]};
        json_array_append_new(out, repo_json(&s, &choice, shows));
    }
    if (page.next.len)
        api_link_next(r, "cursor", page.next);
    reply_headerf(r, "X-Total-Count", "%lld", (long long)page.total);
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
};
const size_t info_routes_n = COUNT(info_routes);
