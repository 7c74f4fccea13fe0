/* page_home.c: the first page: search, what is new, and how to begin. */
#include "hub/people.h"
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

/* What those do whom the visitor follows. */
static json_t *activity_json(Request *r)
{
    static const char *const did[] = {
        [ACTIVITY_MADE] = "made", [ACTIVITY_LIKED] = "liked", [ACTIVITY_BEGAN] = "asked about"};
    Activity *found;
    size_t n;
    json_t *out = json_array();
    if (!activity_list(hub_of(r), request_arena(r), web_viewer(r), 12, &found, &n, NULL))
        return out;
    for (size_t i = 0; i < n; i++) {
        const RepoKindInfo *kind = repo_kind_info(found[i].repo_kind);
        json_t *o = json_object();
        set_str(o, "actor", found[i].actor);
        set(o, "did", json_string(did[found[i].kind]));
        set(o, "icon", json_string(kind->plural));
        set_str(o, "repo", found[i].repo);
        set_str(o, "title", found[i].title);
        set(o, "path", json_sprintf("/%s%.*s", kind->prefix, STR(found[i].repo)));
        set(o, "thread",
            json_sprintf("/%s%.*s/discussions/%lld", kind->prefix, STR(found[i].repo),
                         (long long)found[i].num));
        set(o, "when", json_when(found[i].since_ns));
        json_array_append_new(out, o);
    }
    return out;
}

static void home(Request *r)
{
    json_t *page = page_new(r, "hug");
    json_t *kinds = json_array(), *mine = json_array();
    int64_t all = 0;
    for (int kind = 0; kind < REPO_KINDS; kind++) {
        int64_t total;
        json_t *items = newest(r, (RepoKind)kind, (Str){0}, 6, SORT_TRENDING, &total);
        json_array_append_new(kinds, json_pack("{s:s, s:s, s:s, s:o, s:o}", "title",
                                               repo_kind_info((RepoKind)kind)->title, "kind",
                                               repo_kind_info((RepoKind)kind)->name, "plural",
                                               repo_kind_info((RepoKind)kind)->plural, "items",
                                               items, "total", json_count(total)));
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
    set(page, "activity", activity_json(r));
    set(page, "fresh", json_boolean(all == 0));
    page_render(r, 200, "home", page);
}

const Route web_home_routes[] = {{"GET", "/", home, .summary = "The first page"}};
const size_t web_home_routes_n = COUNT(web_home_routes);
