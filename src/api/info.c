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

static bool list_query(Request *r, RepoKind kind, RepoQuery *query, bool *gated)
{
    Error err = {0};
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
    *gated = str_eq_nocase(gate, S("true"));
    query->gated = gate.len ? gated : NULL;
    if (!parameter_range_parse(request_query_get(r, "num_parameters"), &query->parameters, &err)) {
        reply_error(r, &err);
        return false;
    }
    return query_runnable(r, query, tags, MAX_FILTERS) &&
           api_limit(r, MAX_LIST, DEFAULT_LIST, &query->limit);
}

static void list(Request *r)
{
    Error err = {0};
    RepoKind kind;
    RepoQuery query;
    RepoPage page;
    FieldChoice choice = {0};
    bool gated;
    if (!api_kind(r, &kind) || !fields_expand(r, kind, &choice) ||
        !list_query(r, kind, &query, &gated))
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
