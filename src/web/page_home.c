/* page_home.c: the first page: search, what is new, and how to begin. */
#include "web/web_internal.h"

static json_t *newest(Request *r, RepoKind kind, Str author, int64_t limit, RepoSort sort,
                      int64_t *total)
{
    Error err = {0};
    RepoPage found;
    RepoQuery query = {.kind = kind, .author = author, .sort = sort, .limit = limit};
    json_t *list = json_array();
    *total = 0;
    if (!repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, &found, &err))
        return list;
    for (size_t i = 0; i < found.n; i++)
        json_array_append_new(list, item_json(&found.items[i]));
    *total = found.total;
    return list;
}

static void home(Request *r)
{
    static const char *const titles[] = {"Models", "Datasets", "Spaces"};
    json_t *page = page_new(r, "hug");
    json_t *kinds = json_array(), *mine = json_array();
    int64_t all = 0;
    for (int kind = 0; kind < REPO_KINDS; kind++) {
        int64_t total;
        json_t *items = newest(r, (RepoKind)kind, (Str){0}, 6, SORT_TRENDING, &total);
        json_array_append_new(kinds, json_pack("{s:s, s:s, s:s, s:o, s:o}", "title", titles[kind],
                                               "kind", repo_kind_info((RepoKind)kind)->name,
                                               "plural", repo_kind_info((RepoKind)kind)->plural,
                                               "items", items, "total", json_count(total)));
        all += total;
        if (web_is_known(r)) {
            json_t *own =
                newest(r, (RepoKind)kind, web_viewer(r)->account.name, 4, SORT_UPDATED, &total);
            json_array_extend(mine, own);
            json_decref(own);
        }
    }
    set(page, "kinds", kinds);
    set(page, "mine", mine);
    set(page, "fresh", json_boolean(all == 0));
    page_render(r, 200, "home", page);
}

const Route web_home_routes[] = {{"GET", "/", home, .summary = "The first page"}};
const size_t web_home_routes_n = COUNT(web_home_routes);
