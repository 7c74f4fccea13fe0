/* discover.c: finding repositories: the header's search box, full-text search, what is trending,
 * known tags, and leaderboards of datasets. */
#include "api/fields.h"

#include "hub/card.h"
#include "hub/collections.h"
#include "hub/evals.h"
#include "hub/search.h"

enum { MAX_SEARCH = 100, MAX_TAGS = 2000 };

/* ---- The header's search box ---- */

static bool add_repos(Request *r, RepoKind kind, Str words, int64_t limit, json_t *out)
{
    Error err = {0};
    RepoPage page;
    RepoQuery query = {.kind = kind, .text = words, .limit = limit};
    const char *plural = repo_kind_info(kind)->plural;
    if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err)) {
        reply_error(r, &err);
        return false;
    }
    json_t *found = json_array();
    for (size_t i = 0; i < page.n; i++) {
        const Repo *repo = &page.items[i].repo;
        json_array_append_new(found,
                              json_pack("{s:o, s:o, s:b}", "_id", json_from_str(repo->id), "id",
                                        json_from_str(repo->full), "private", repo->is_private));
    }
    json_object_set_new(out, plural, found);
    json_object_set_new(out, arena_printf(request_arena(r), "%sCount", plural),
                        json_integer(page.total));
    return true;
}

static bool add_accounts(Request *r, bool orgs, Str words, int64_t limit, json_t *out)
{
    Error err = {0};
    Account *accounts;
    size_t n;
    int64_t total;
    if (!search_accounts(api_of(r)->hub, request_arena(r), words, orgs, (size_t)limit, &accounts,
                         &n, &total, &err)) {
        reply_error(r, &err);
        return false;
    }
    json_t *found = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(found,
                              json_pack("{s:o, s:o, s:o}", "_id", json_from_str(accounts[i].id),
                                        orgs ? "name" : "user", json_from_str(accounts[i].name),
                                        "fullname", json_from_str(accounts[i].fullname)));
    json_object_set_new(out, orgs ? "orgs" : "users", found);
    json_object_set_new(out, orgs ? "orgsCount" : "usersCount", json_integer(total));
    return true;
}

static bool add_collections(Request *r, Str words, int64_t limit, json_t *out)
{
    Error err = {0};
    Collection *list;
    size_t n;
    bool more;
    CollectionQuery query = {.search = words, .limit = limit};
    json_t *found = json_array();
    json_object_set_new(out, "collections", found);
    if (!words.len)
        return true;
    if (!collection_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &list, &n, &more,
                         &err)) {
        reply_error(r, &err);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        json_array_append_new(found, json_pack("{s:o, s:o, s:o}", "_id", json_from_str(list[i].id),
                                               "slug", json_from_str(list[i].slug), "title",
                                               json_from_str(list[i].title)));
    json_object_set_new(out, "collectionsCount", json_integer((json_int_t)n + more));
    return true;
}

/* A few of each kind, or of those that ?type= names. */
static bool wants_type(Request *r, const char *type)
{
    const Params *query = request_query(r);
    bool any = false;
    for (size_t i = 0; i < query->n; i++) {
        if (!str_eq(query->items[i].name, S("type")) || !query->items[i].value.len)
            continue;
        any = true;
        if (str_eq(query->items[i].value, S("all")) || str_eq(query->items[i].value, str_of(type)))
            return true;
    }
    return !any;
}

static void quick_search(Request *r)
{
    Str words = str_trim(request_query_get(r, "q"));
    int64_t limit;
    if (!api_limit(r, 20, 6, &limit))
        return;
    json_t *out = json_object();
    bool ok = true;
    for (int k = 0; k < REPO_KINDS && ok; k++)
        if (wants_type(r, repo_kind_info((RepoKind)k)->name))
            ok = add_repos(r, (RepoKind)k, words, limit, out);
    if (ok && wants_type(r, "org"))
        ok = add_accounts(r, true, words, limit, out);
    if (ok && wants_type(r, "user"))
        ok = add_accounts(r, false, words, limit, out);
    if (ok && wants_type(r, "collection"))
        ok = add_collections(r, words, limit, out);
    if (ok)
        api_reply(r, out);
    else
        json_decref(out);
}

/* ---- Full text ---- */

static json_t *parts_json(const SearchPart *parts, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_pack("{s:o, s:s}", "text", json_from_str(parts[i].text),
                                             "type", parts[i].is_match ? "highlight" : "text"));
    return out;
}

static json_t *hit_json(Request *r, const RepoItem *item, Str words)
{
    SearchPart *parts;
    size_t n;
    const Repo *repo = &item->repo;
    if (!search_excerpt(api_of(r)->hub, request_arena(r), repo, words, &parts, &n, NULL))
        n = 0;
    json_t *hit =
        json_pack("{s:o, s:o, s:o, s:o, s:s, s:b, s:s, s:o}", "repoId", json_from_str(repo->id),
                  "id", json_from_str(repo->full), "repoOwner", json_from_str(repo->owner),
                  "repoName", json_from_str(repo->name), "type", repo_kind_info(repo->kind)->name,
                  "isPrivate", repo->is_private, "fileName", "README.md", "tags", json_array());
    for (size_t i = 0; i < item->n_tags; i++)
        json_array_append_new(json_object_get(hit, "tags"), json_from_str(item->tags[i]));
    json_object_set_new(hit, "formatted", json_pack("{s:o}", "fileContent", parts_json(parts, n)));
    return hit;
}

static void full_text(Request *r)
{
    Error err = {0};
    Str words = str_trim(request_query_get(r, "q"));
    int64_t limit, total = 0;
    if (!api_limit(r, MAX_SEARCH, 10, &limit))
        return;
    if (!words.len)
        return reply_failure(r, 400, "q: the words to look for are missing");
    json_t *hits = json_array();
    for (int k = 0; k < REPO_KINDS; k++) {
        RepoPage page;
        RepoQuery query = {.kind = (RepoKind)k, .text = words, .limit = limit};
        if (!wants_type(r, repo_kind_info((RepoKind)k)->name))
            continue;
        if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err)) {
            json_decref(hits);
            return reply_error(r, &err);
        }
        total += page.total;
        for (size_t i = 0; i < page.n; i++)
            json_array_append_new(hits, hit_json(r, &page.items[i], words));
    }
    api_reply(r, json_pack("{s:o, s:I}", "hits", hits, "estimatedTotalHits", (json_int_t)total));
}

/* What `search_spaces` of the Python client asks: here by words, the score being their place. */
static void search_spaces(Request *r)
{
    Error err = {0};
    RepoPage page;
    Str tags[8];
    size_t n = 0;
    const Params *asked = request_query(r);
    for (size_t i = 0; i < asked->n && n < COUNT(tags); i++)
        if (str_eq(asked->items[i].name, S("filter")) || str_eq(asked->items[i].name, S("sdk")))
            tags[n++] = asked->items[i].value;
    RepoQuery query = {.kind = REPO_SPACE,
                       .text = str_trim(request_query_get(r, "q")),
                       .limit = 50,
                       .tags = tags,
                       .n_tags = n};
    if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    FieldChoice none = {0};
    for (size_t i = 0; i < page.n; i++) {
        FieldSource s = {.request = r, .repo = &page.items[i].repo, .item = &page.items[i]};
        json_t *space = repo_json(&s, &none, LIST);
        const json_t *card = page.items[i].card;
        api_set_str(space, "author", page.items[i].repo.owner);
        api_set_str(space, "title", json_str(card, "title"));
        api_set_str(space, "emoji", json_str(card, "emoji"));
        api_set_str(space, "ai_short_description", json_str(card, "short_description"));
        json_object_set_new(space, "semanticRelevancyScore", json_real(1.0 / (double)(i + 1)));
        json_array_append_new(out, space);
    }
    api_reply(r, out);
}

/* ---- Trending ---- */

static void trending(Request *r)
{
    Error err = {0};
    int64_t limit;
    if (!api_limit(r, 20, 10, &limit))
        return;
    json_t *out = json_array();
    FieldChoice none = {0};
    for (int k = 0; k < REPO_KINDS; k++) {
        RepoPage page;
        RepoQuery query = {.kind = (RepoKind)k, .limit = limit};
        const char *kind = repo_kind_info((RepoKind)k)->name;
        if (!wants_type(r, kind))
            continue;
        if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err)) {
            json_decref(out);
            return reply_error(r, &err);
        }
        for (size_t i = 0; i < page.n; i++) {
            FieldSource s = {.request = r, .repo = &page.items[i].repo, .item = &page.items[i]};
            json_array_append_new(out, json_pack("{s:o, s:s}", "repoData",
                                                 repo_json(&s, &none, LIST), "repoType", kind));
        }
    }
    api_reply(r, json_pack("{s:o}", "recentlyTrending", out));
}

/* ---- Tags ---- */

/* The type of a tag: the prefix before its colon, or what the word is. */
static Str type_of(RepoKind kind, Str tag, Str *label)
{
    size_t colon = str_find_char(tag, ':', 0);
    *label = tag;
    if (colon != SIZE_MAX) {
        *label = str_slice(tag, colon + 1, tag.len);
        return str_slice(tag, 0, colon);
    }
    if (kind == REPO_DATASET)
        return S("other");
    return card_is_task(tag)       ? S("pipeline_tag")
           : card_is_library(tag)  ? S("library")
           : card_is_language(tag) ? S("language")
                                   : S("other");
}

static void tags_by_type(Request *r)
{
    Error err = {0};
    RepoKind kind =
        str_eq(request_path(r), S("/api/models-tags-by-type")) ? REPO_MODEL : REPO_DATASET;
    TagCount *tags;
    size_t n;
    if (!repo_tag_counts(api_of(r)->hub, request_arena(r), kind, MAX_TAGS, &tags, &n, &err))
        return reply_error(r, &err);
    static const char *const always[][9] = {
        [REPO_MODEL] = {"pipeline_tag", "library", "dataset", "language", "license", "region",
                        "other", NULL},
        [REPO_DATASET] = {"task_categories", "size_categories", "modality", "format", "library",
                          "language", "license", "other", NULL}};
    json_t *out = json_object();
    for (size_t i = 0; always[kind][i]; i++)
        json_object_set_new(out, always[kind][i], json_array());
    for (size_t i = 0; i < n; i++) {
        Str label, type = type_of(kind, tags[i].tag, &label);
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

/* ---- Leaderboards of datasets ---- */

static json_t *score_json(Request *r, const EvalScore *score, size_t rank)
{
    Account owner = {0};
    Arena *a = request_arena(r);
    if (!account_find(api_of(r)->hub, a, score->repo.owner, &owner, NULL))
        owner.name = owner.fullname = score->repo.owner;
    json_t *author = json_pack("{s:o, s:o, s:o, s:s}", "_id", json_from_str(owner.id), "name",
                               json_from_str(owner.name), "fullname", json_from_str(owner.fullname),
                               "type", owner.is_org ? "org" : "user");
    json_t *out = json_pack("{s:i, s:o, s:f, s:o, s:b, s:o}", "rank", (int)rank, "modelId",
                            json_from_str(score->repo.full), "value", score->value, "filename",
                            json_from_str(score->file), "verified", 0, "author", author);
    api_set_str(out, "notes", json_str(score->entry, "notes"));
    json_t *source = json_object_get(score->entry, "source");
    if (json_is_object(source))
        json_object_set(out, "source", source);
    return out;
}

static void leaderboard(Request *r)
{
    Error err = {0};
    Repo dataset;
    EvalScore *scores;
    size_t n;
    if (!api_repo(r, ACCESS_READ, &dataset))
        return;
    bool all = str_eq_nocase(request_query_get(r, "base_model"), S("false"));
    if (!eval_leaderboard(api_of(r)->hub, request_arena(r), api_viewer(r), &dataset,
                          request_query_get(r, "task_id"), !all, &scores, &n, &err))
        return reply_error(r, &err);
    if (!n)
        return reply_failure(r, 404,
                             "This dataset has no leaderboard: no model names it in its "
                             ".eval_results");
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, score_json(r, &scores[i], i + 1));
    api_reply(r, out);
}

const Route discover_routes[] = {
    {"GET", "/api/quicksearch", quick_search, .summary = "A few of each kind, names first"},
    {"GET", "/api/search/full-text", full_text, .summary = "Words in names, metadata and cards"},
    {"GET", "/api/spaces/semantic-search", search_spaces, .summary = "Spaces by words"},
    {"GET", "/api/trending", trending, .summary = "What is downloaded and liked these days"},
    {"GET", "/api/models-tags-by-type", tags_by_type, .summary = "Tags of models"},
    {"GET", "/api/datasets-tags-by-type", tags_by_type, .summary = "Tags of datasets"},
    {"GET", "/api/datasets/{owner}/{name}/leaderboard", leaderboard,
     .summary = "Models by their results on a dataset"},
};
const size_t discover_routes_n = COUNT(discover_routes);
