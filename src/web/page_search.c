/* page_search.c: one search over everything, names first; and the leaderboards of downloads. */
#include "hub/collections.h"
#include "hub/downloads.h"
#include "hub/search.h"
#include "web/chart.h"
#include "web/web_internal.h"

#include "base/encode.h"

enum { SHOWN = 5, SHOWN_ONE_KIND = 20, LEADERS = 50 };

/* ---- Search ---- */

static json_t *excerpt_json(Request *r, const Repo *repo, Str words)
{
    SearchPart *parts;
    size_t n;
    json_t *out = json_array();
    if (!search_excerpt(hub_of(r), request_arena(r), repo, words, &parts, &n, NULL))
        return out;
    for (size_t i = 0; i < n; i++) {
        json_t *part = json_object();
        set_str(part, "text", parts[i].text);
        set(part, "on", json_boolean(parts[i].is_match));
        json_array_append_new(out, part);
    }
    return out;
}

static json_t *more_address(const char *plural, Str words)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "/%s?search=", plural);
    url_encode(&out, words, "");
    return json_from_str(buf_str(&out));
}

static bool add_kind(Request *r, json_t *kinds, RepoKind kind, Str words, int64_t limit)
{
    Error err = {0};
    RepoPage page;
    const char *plural = repo_kind_info(kind)->plural;
    RepoQuery query = {.kind = kind, .text = words, .limit = limit};
    if (!repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, &page, &err)) {
        reply_error(r, &err);
        return false;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < page.n; i++) {
        json_t *row = item_json(&page.items[i]);
        set(row, "excerpt", excerpt_json(r, &page.items[i].repo, words));
        json_array_append_new(rows, row);
    }
    json_array_append_new(kinds, json_pack("{s:s, s:s, s:o, s:o, s:b, s:o}", "title",
                                           repo_kind_info((RepoKind)kind)->title, "plural", plural,
                                           "rows", rows, "total", json_count(page.total), "more",
                                           page.total > (int64_t)page.n, "href",
                                           more_address(plural, words)));
    return true;
}

static json_t *accounts_json(Request *r, Str words, bool orgs)
{
    Account *list;
    size_t n;
    int64_t total;
    json_t *out = json_array();
    if (!search_accounts(hub_of(r), request_arena(r), words, orgs, 12, &list, &n, &total, NULL))
        return out;
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_object();
        set_str(row, "name", list[i].name);
        set_str(row, "fullname", list[i].fullname);
        set(row, "org", json_boolean(orgs));
        json_array_append_new(out, row);
    }
    return out;
}

static json_t *found_collections(Request *r, Str words)
{
    Collection *list;
    size_t n;
    bool more;
    json_t *out = json_array();
    CollectionQuery query = {.search = words, .limit = SHOWN};
    if (collection_list(hub_of(r), request_arena(r), web_viewer(r), &query, &list, &n, &more, NULL))
        for (size_t i = 0; i < n; i++)
            json_array_append_new(out, collection_json(request_arena(r), &list[i]));
    return out;
}

static void search(Request *r)
{
    Str words = str_trim(request_query_get(r, "q")), type = request_query_get(r, "type");
    if (!words.len)
        words = str_trim(request_query_get(r, "search"));
    words = str_slice(words, 0, MAX_SEARCH_TEXT);
    json_t *page = page_new(r, "Search"), *kinds = json_array(), *people = json_array();
    bool one = false, ok = true;
    RepoKind only = REPO_MODEL;
    if (type.len)
        one = repo_kind_parse(type, &only);
    for (int k = 0; k < REPO_KINDS && words.len && ok; k++)
        if (!one || k == (int)only)
            ok = add_kind(r, kinds, (RepoKind)k, words, one ? SHOWN_ONE_KIND : SHOWN);
    if (ok && words.len && !one) {
        for (int orgs = 0; orgs < 2; orgs++) {
            json_t *some = accounts_json(r, words, orgs);
            json_array_extend(people, some);
            json_decref(some);
        }
    }
    set(page, "kinds", kinds);
    set(page, "people", people);
    set(page, "collections", ok && words.len && !one ? found_collections(r, words) : json_array());
    set_str(page, "search", words);
    if (ok)
        page_render(r, 200, "search", page);
    else
        json_decref(page);
}

/* ---- Leaderboards ---- */

static const struct {
    int64_t days;
    const char *label;
} windows[] = {{7, "7 days"}, {30, "30 days"}, {90, "90 days"}, {365, "a year"}};

static json_t *leader_json(const Leader *leader, size_t rank, size_t days)
{
    const Repo *repo = &leader->repo;
    RepoItem item = {.repo = *repo};
    json_t *row = item_json(&item);
    int64_t change =
        leader->before ? (leader->downloads - leader->before) * 100 / leader->before : 0;
    set(row, "rank", json_integer((json_int_t)rank));
    set(row, "count", json_count(leader->downloads));
    set(row, "change",
        leader->before ? json_sprintf("%+lld %%", (long long)change) : json_string("new"));
    set(row, "chart", chart_json(leader->days, days, &(ChartSize){120, 24}));
    return row;
}

static void leaderboard(Request *r)
{
    Error err = {0};
    RepoKind kind = REPO_MODEL;
    int64_t days = 30;
    Str type = request_query_get(r, "type"), asked = request_query_get(r, "days");
    if (!repo_kind_parse(type, &kind) ||
        (asked.len && !str_to_int(asked, 1, MAX_CHART_DAYS, &days)))
        return reply_failure(r, 400, "There is no such leaderboard");
    Leader *leaders;
    size_t n;
    if (!download_leaders(hub_of(r), request_arena(r), web_viewer(r), kind, (size_t)days, LEADERS,
                          &leaders, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Leaderboard"), *rows = json_array(), *tabs = json_array(),
           *spans = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, leader_json(&leaders[i], i + 1, (size_t)days));
    for (int k = 0; k < REPO_KINDS; k++)
        json_array_append_new(
            tabs, json_pack("{s:s, s:s, s:b}", "title", repo_kind_info((RepoKind)k)->title, "type",
                            repo_kind_info((RepoKind)k)->name, "on", k == (int)kind));
    for (size_t i = 0; i < COUNT(windows); i++)
        json_array_append_new(spans,
                              json_pack("{s:I, s:s, s:b}", "days", (json_int_t)windows[i].days,
                                        "label", windows[i].label, "on", windows[i].days == days));
    set(page, "rows", rows);
    set(page, "tabs", tabs);
    set(page, "windows", spans);
    set(page, "type", json_string(repo_kind_info(kind)->name));
    set(page, "days", json_integer(days));
    page_render(r, 200, "leaderboard", page);
}

const Route web_search_routes[] = {
    {"GET", "/search", search, .summary = "Search over everything"},
    {"GET", "/search/full-text", search, .summary = "Search over everything"},
    {"GET", "/leaderboard", leaderboard, .summary = "The most downloaded"},
};
const size_t web_search_routes_n = COUNT(web_search_routes);
