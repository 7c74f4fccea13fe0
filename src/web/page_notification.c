/* page_notification.c: notifications, what is told and what is watched, and the buttons for it. */
#include "hub/notifications.h"
#include "web/web_internal.h"

enum { PAGE_SIZE = 30, MAX_CHOSEN = 100 };

/* ---- The list ---- */

typedef struct Filter {
    const char *name, *label, *empty;
    NotificationQuery query;
} Filter;

static const Filter filters[] = {
    {"unread", "Unread", "You have seen everything.", {.unread = true}},
    {"all",
     "All",
     "Nothing yet. You hear of what happens in your repositories, in discussions that "
     "you take part in, and where you are mentioned.",
     {0}},
    {"mentions", "Mentions", "Nobody has mentioned you.", {.reasons = NOTIFIED_MENTIONED}},
    {"participating",
     "Taking part",
     "You take part in no discussion.",
     {.reasons = NOTIFIED_PARTICIPATING | NOTIFIED_MENTIONED}},
};

static size_t filter_of(Str name)
{
    for (size_t i = 0; i < COUNT(filters); i++)
        if (str_eq(name, str_of(filters[i].name)))
            return i;
    return 0;
}

static json_t *notification_json(const Notification *n)
{
    const Discussion *d = &n->discussion;
    const char *reason = n->reasons & NOTIFIED_MENTIONED       ? "you were mentioned"
                         : n->reasons & NOTIFIED_PARTICIPATING ? "you take part"
                                                               : "you watch it";
    json_t *o = json_object(), *people = json_array();
    for (size_t i = 0; i < n->n_people; i++)
        json_array_append_new(people, json_from_str(n->people[i]));
    set_str(o, "id", d->id);
    set_str(o, "title", d->title);
    set_str(o, "repo", n->repo);
    set_str(o, "status", d->status);
    set_str(o, "actor", n->actor);
    set(o, "num", json_integer(d->num));
    set(o, "icon", json_string(d->is_pull ? "branch" : "talk"));
    set(o, "path",
        json_sprintf("/%s%.*s/discussions/%lld#%.*s", repo_kind_info(n->kind)->prefix, STR(n->repo),
                     (long long)d->num, STR(n->event)));
    set(o, "reason", json_string(reason));
    set(o, "read", json_boolean(n->is_read));
    set(o, "when", json_when(n->updated_ns));
    set(o, "people", people);
    return o;
}

static json_t *filters_json(size_t chosen, const NotificationPage *page)
{
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(filters); i++) {
        json_t *f = json_pack("{s:s, s:b, s:s}", "label", filters[i].label, "on", i == chosen,
                              "name", filters[i].name);
        set(f, "count", i == 0 ? json_count(page->unread) : json_null());
        json_array_append_new(out, f);
    }
    return out;
}

static json_t *page_href(const Filter *f, int64_t number, bool exists)
{
    return exists ? json_sprintf("/notifications?show=%s&p=%lld", f->name, (long long)number)
                  : json_string("");
}

static void list(Request *r)
{
    Error err = {0};
    NotificationPage found;
    int64_t number = 0;
    size_t chosen = filter_of(request_query_get(r, "show"));
    str_to_int(request_query_get(r, "p"), 0, 100000, &number);
    NotificationQuery query = filters[chosen].query;
    query.repo = request_query_get(r, "repo");
    query.limit = PAGE_SIZE;
    query.skip = number * PAGE_SIZE;
    if (!notification_list(hub_of(r), request_arena(r), web_viewer(r), &query, &found, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Notifications"), *items = json_array();
    for (size_t i = 0; i < found.n; i++)
        json_array_append_new(items, notification_json(&found.items[i]));
    set(page, "notifications", items);
    set(page, "filters", filters_json(chosen, &found));
    set(page, "show", json_string(filters[chosen].name));
    set(page, "empty", json_string(filters[chosen].empty));
    set(page, "newer", page_href(&filters[chosen], number - 1, number > 0));
    set(page, "older",
        page_href(&filters[chosen], number + 1, query.skip + (int64_t)found.n < found.view));
    page_render(r, 200, "notifications", page);
}

/* The discussions that were ticked, or all that the list's filter finds. */
static bool apply(Request *r, const Params *form, Error *err)
{
    size_t n = 0;
    Str *ticked = NEW_ARRAY(request_arena(r), Str, MAX_CHOSEN);
    Str what = params_get(form, "do"), show = params_get(form, "show");
    NotificationQuery query = filters[filter_of(show)].query;
    query.limit = 1;
    for (size_t i = 0; i < form->n && n < MAX_CHOSEN; i++)
        if (str_eq(form->items[i].name, S("discussion")))
            ticked[n++] = form->items[i].value;
    if (str_eq(what, S("all-read")))
        n = 0;
    else if (!n)
        return true;
    NotificationMark mark = str_eq(what, S("done"))     ? MARK_GONE
                            : str_eq(what, S("unread")) ? MARK_UNREAD
                                                        : MARK_READ;
    return notification_mark(hub_of(r), web_viewer(r), ticked, n, &query, mark, err);
}

static void change(Request *r)
{
    Params form;
    Error err = {0};
    if (!web_form(r, &form))
        return;
    if (!apply(r, &form, &err))
        return reply_error(r, &err);
    const Filter *f = &filters[filter_of(params_get(&form, "show"))];
    reply_redirect(r, 303,
                   str_of(arena_printf(request_arena(r), "/notifications?show=%s", f->name)));
}

/* ---- Settings ---- */

static const struct {
    unsigned reason;
    const char *name, *label;
} told[] = {
    {NOTIFIED_MENTIONED, "mentions", "Somebody mentions me"},
    {NOTIFIED_PARTICIPATING, "participating",
     "Something happens in a discussion that I take part in"},
    {NOTIFIED_WATCHING, "watched",
     "Something happens in what I watch: my repositories, my organisations', and those below"},
};

static json_t *watch_json(const Watch *w)
{
    json_t *o = json_object();
    const char *prefix = w->kind == WATCH_ACCOUNT ? "" : repo_kind_info(w->repo_kind)->prefix;
    set_str(o, "id", w->id);
    set_str(o, "name", w->name);
    set_str(o, "title", w->title);
    set(o, "num", w->kind == WATCH_THREAD ? json_integer(w->num) : json_null());
    set(o, "on", json_boolean(w->is_on));
    set(o, "icon",
        json_string(w->kind == WATCH_THREAD    ? "talk"
                    : w->kind == WATCH_ACCOUNT ? "folder"
                                               : repo_kind_info(w->repo_kind)->plural));
    set(o, "path",
        w->kind == WATCH_THREAD
            ? json_sprintf("/%s%.*s/discussions/%lld", prefix, STR(w->name), (long long)w->num)
            : json_sprintf("/%s%.*s", prefix, STR(w->name)));
    return o;
}

static void show_settings(Request *r, const char *notice)
{
    Error err = {0};
    unsigned off;
    Watch *found;
    size_t n;
    if (!notification_settings(hub_of(r), web_viewer(r), &off, &err) ||
        !watch_list(hub_of(r), request_arena(r), web_viewer(r), &found, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Notification settings"), *rows = json_array(), *list = json_array();
    for (size_t i = 0; i < COUNT(told); i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:b}", "name", told[i].name, "label",
                                              told[i].label, "on", !(off & told[i].reason)));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, watch_json(&found[i]));
    set(page, "told", rows);
    set(page, "watched", list);
    set(page, "notice", json_string(notice));
    page_render(r, 200, "notification_settings", page);
}

static void settings(Request *r)
{
    show_settings(r, "");
}

static void change_settings(Request *r)
{
    Params form;
    Error err = {0};
    unsigned off = 0;
    if (!web_form(r, &form))
        return;
    for (size_t i = 0; i < COUNT(told); i++)
        if (!params_get(&form, told[i].name).len)
            off |= told[i].reason;
    if (!notification_settings_set(hub_of(r), web_viewer(r), off, &err))
        return reply_error(r, &err);
    show_settings(r, "Saved");
}

static void forget(Request *r)
{
    Params form;
    Error err = {0};
    if (!web_form(r, &form))
        return;
    if (!watch_set(hub_of(r), web_viewer(r), WATCH_REPO, params_get(&form, "id"), WATCH_DEFAULT,
                   &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, S("/settings/notifications"));
}

/* ---- Buttons ---- */

static void set_watch(Request *r, WatchKind kind, Str id, Str back)
{
    Params form;
    Error err = {0};
    if (!web_form(r, &form))
        return;
    WatchState state = str_eq(params_get(&form, "on"), S("yes")) ? WATCH_ON : WATCH_OFF;
    if (!watch_set(hub_of(r), web_viewer(r), kind, id, state, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, back);
}

static void watch_repo(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_READ, &repo))
        set_watch(r, WATCH_REPO, repo.id, repo_path(request_arena(r), &repo));
}

static void watch_thread(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    int64_t num = 0;
    Arena *a = request_arena(r);
    str_to_int(request_param(r, "num"), 1, INT64_MAX, &num);
    if (!web_repo(r, ACCESS_READ, &repo))
        return;
    if (!discussion_find(hub_of(r), a, &repo, num, &d, &err))
        return reply_error(r, &err);
    set_watch(r, WATCH_THREAD, d.id, discussion_path(a, &repo, num));
}

static void watch_account(Request *r)
{
    Error err = {0};
    Account account;
    Arena *a = request_arena(r);
    if (!account_find(hub_of(r), a, request_param(r, "owner"), &account, &err))
        return reply_error(r, &err);
    set_watch(r, WATCH_ACCOUNT, account.id, str_of(arena_printf(a, "/%.*s", STR(account.name))));
}

const Route web_notification_routes[] = {
    {"GET", "/notifications", list, .access = WEB_LOGGED_IN, .summary = "Notifications"},
    {"POST", "/notifications", change, .access = WEB_LOGGED_IN, .summary = "Read, unread, done"},
    {"GET", "/settings/notifications", settings, .access = WEB_LOGGED_IN,
     .summary = "What is told and what is watched"},
    {"POST", "/settings/notifications", change_settings, .access = WEB_LOGGED_IN,
     .summary = "What is told"},
    {"POST", "/settings/notifications/forget", forget, .access = WEB_LOGGED_IN,
     .summary = "Neither watched nor muted"},
    {"POST", "/{owner}/watch", watch_account, .access = WEB_LOGGED_IN,
     .summary = "Watch an account's repositories, or mute them"},
    EACH_KIND("POST", "/watch", watch_repo, WEB_LOGGED_IN, "Watch a repository, or mute it"),
    EACH_KIND("POST", "/discussions/{num}/watch", watch_thread, WEB_LOGGED_IN,
              "Watch a discussion, or mute it"),
};
const size_t web_notification_routes_n = COUNT(web_notification_routes);
