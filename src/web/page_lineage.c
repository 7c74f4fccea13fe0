/* page_lineage.c: the boxes of a repository's first page that say who downloads it, what it is made
 * from, what is made from it, and who uses it. */
#include "web/page_repo.h"

#include "base/encode.h"
#include "hub/downloads.h"
#include "hub/lineage.h"
#include "web/chart.h"
#include "web/web_internal.h"

enum { SHOWN_USERS = 5 };

/* "/models?other=base_model%3Aquantized%3Ame%2Fx" */
static json_t *list_address(const char *plural, const char *prefix, Str full)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "/%s?other=", plural);
    url_encode(&out, str_of(prefix), "");
    url_encode(&out, full, "");
    return json_from_str(buf_str(&out));
}

static json_t *ancestors_json(Request *r, const RepoInfo *info)
{
    Relative *up;
    size_t n;
    json_t *out = json_array();
    if (!lineage_ancestors(hub_of(r), request_arena(r), web_viewer(r), info->tags, info->n_tags,
                           &up, &n, NULL))
        return out;
    while (n-- > 0) { // the oldest first
        json_t *row = json_object();
        set_str(row, "name", up[n].full);
        set_str(row, "path",
                up[n].id.len ? str_of(arena_printf(request_arena(r), "/%.*s", STR(up[n].full)))
                             : (Str){0});
        set_str(row, "relation", up[n].relation);
        json_array_append_new(out, row);
    }
    return out;
}

static json_t *children_json(Request *r, const Repo *repo)
{
    static const char *const labels[RELATIONS] = {[RELATION_ADAPTER] = "Adapters",
                                                  [RELATION_FINETUNE] = "Fine-tunes",
                                                  [RELATION_MERGE] = "Merges",
                                                  [RELATION_QUANTIZED] = "Quantizations"};
    int64_t counts[RELATIONS];
    json_t *out = json_array();
    if (!lineage_children(hub_of(r), web_viewer(r), repo, counts, NULL))
        return out;
    for (int i = 0; i < RELATIONS; i++) {
        const char *prefix =
            arena_printf(request_arena(r), "base_model:%s:", relation_name((Relation)i));
        if (counts[i])
            json_array_append_new(out, json_pack("{s:s, s:o, s:o}", "label", labels[i], "count",
                                                 json_count(counts[i]), "href",
                                                 list_address("models", prefix, repo->full)));
    }
    return out;
}

/* The repositories of a kind that use this one. */
static void add_users(Request *r, json_t *list, const Repo *repo, RepoKind kind, const char *title)
{
    RepoPage page = {0};
    if (!lineage_users(hub_of(r), request_arena(r), web_viewer(r), repo, kind, SHOWN_USERS, &page,
                       NULL) ||
        !page.n)
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(rows, item_json(&page.items[i]));
    const char *prefix = arena_printf(request_arena(r), "%s:", repo_kind_info(repo->kind)->name);
    json_array_append_new(
        list, json_pack("{s:s, s:o, s:o, s:o}", "title", title, "rows", rows, "total",
                        json_count(page.total), "href",
                        list_address(repo_kind_info(kind)->plural, prefix, repo->full)));
}

void page_set_lineage(Request *r, json_t *page, const Repo *repo, const RepoInfo *info)
{
    json_t *users = json_array();
    int64_t days[DOWNLOAD_DAYS];
    bool model = repo->kind == REPO_MODEL;
    if (repo->kind == REPO_DATASET)
        add_users(r, users, repo, REPO_MODEL, "Models trained on this");
    if (repo->kind != REPO_SPACE)
        add_users(r, users, repo, REPO_SPACE, "Spaces that use this");
    set(page, "ancestors", model && info ? ancestors_json(r, info) : json_array());
    set(page, "children", model ? children_json(r, repo) : json_array());
    set(page, "users", users);
    if (!download_days(hub_of(r), repo, DOWNLOAD_DAYS, days, NULL))
        memset(days, 0, sizeof days);
    set(page, "chart", chart_json(days, DOWNLOAD_DAYS, &(ChartSize){300, 60}));
}
