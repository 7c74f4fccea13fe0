/* page_discussion.c: the Community tab: lists of discussions and pull requests, and one of them. */
#include "hub/notifications.h"
#include "web/page_repo.h"
#include "web/web_internal.h"

enum { PAGE_SIZE = 30 };

Str discussion_path(Arena *a, const Repo *repo, int64_t num)
{
    return str_of(
        arena_printf(a, "%.*s/discussions/%lld", STR(repo_path(a, repo)), (long long)num));
}

static json_t *discussion_json(Arena *a, const Repo *repo, const Discussion *d)
{
    json_t *o = json_object();
    set(o, "num", json_integer(d->num));
    set_str(o, "path", discussion_path(a, repo, d->num));
    set_str(o, "title", d->title);
    set_str(o, "status", d->status);
    set_str(o, "author", d->author);
    set(o, "is_pull", json_boolean(d->is_pull));
    set(o, "pinned", json_boolean(d->is_pinned));
    set(o, "when", json_when(d->created_ns));
    set(o, "comments", json_integer(d->comments));
    return o;
}

/* ---- The list ---- */

typedef struct Filter {
    const char *label, *query;
    DiscussionQuery wanted;
} Filter;

static const bool yes = true, no = false;
static const Filter filters[] = {
    {"Open", "", {.status = {"open", 4}}},
    {"Closed", "status=closed", {.status = {"closed", 6}}},
    {"Discussions", "type=discussion", {.is_pull = &no}},
    {"Pull requests", "type=pull_request", {.is_pull = &yes}},
    {"All", "status=all", {0}},
};

static size_t chosen_filter(Request *r)
{
    for (size_t i = 1; i < COUNT(filters); i++) {
        Str value = str_of(filters[i].query), name;
        if (str_split(&value, '=', &name) &&
            str_eq(request_query_get(r, arena_cstr(request_arena(r), name)), value))
            return i;
    }
    return 0;
}

static json_t *filters_json(Arena *a, const Repo *repo, size_t chosen)
{
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(filters); i++) {
        const char *query = filters[i].query;
        const char *href = arena_printf(a, "%.*s/discussions%s%s", STR(repo_path(a, repo)),
                                        *query ? "?" : "", query);
        json_array_append_new(out, json_pack("{s:s, s:s, s:b}", "label", filters[i].label, "href",
                                             href, "on", i == chosen));
    }
    return out;
}

static json_t *page_link(Arena *a, const Repo *repo, size_t filter, int64_t number, bool exists)
{
    const char *query = filters[filter].query;
    return json_string(exists
                           ? arena_printf(a, "%.*s/discussions?%s%sp=%lld", STR(repo_path(a, repo)),
                                          query, *query ? "&" : "", (long long)number)
                           : "");
}

static void list(Request *r)
{
    Error err = {0};
    Repo repo;
    DiscussionPage found;
    Arena *a = request_arena(r);
    int64_t number = 0;
    str_to_int(request_query_get(r, "p"), 0, 100000, &number);
    if (!web_repo(r, ACCESS_READ, &repo))
        return;
    size_t filter = chosen_filter(r);
    DiscussionQuery query = filters[filter].wanted;
    query.skip = number * PAGE_SIZE;
    query.limit = PAGE_SIZE;
    if (!discussion_list(hub_of(r), a, &repo, &query, &found, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, arena_printf(a, "%.*s: discussions", STR(repo.full)));
    json_t *items = json_array();
    for (size_t i = 0; i < found.n; i++)
        json_array_append_new(items, discussion_json(a, &repo, &found.items[i]));
    page_set_repo(r, page, &repo, "community", S("main"));
    set(page, "discussions", items);
    set(page, "filters", filters_json(a, &repo, filter));
    set(page, "filtered", json_boolean(filter > 0));
    set(page, "newer", page_link(a, &repo, filter, number - 1, number > 0));
    set(page, "older",
        page_link(a, &repo, filter, number + 1, query.skip + (int64_t)found.n < found.total));
    page_render(r, 200, "discussions", page);
}

/* ---- A new one ---- */

static void show_new(Request *r, int status, const Repo *repo, const Params *form,
                     const char *problem)
{
    json_t *page = page_new(r, "New discussion");
    page_set_repo(r, page, repo, "community", S("main"));
    set_str(page, "title_given", form ? params_get(form, "title") : (Str){0});
    set_str(page, "comment", form ? params_get(form, "comment") : (Str){0});
    set(page, "pull", json_boolean(form && params_get(form, "pull").len));
    set(page, "problem", json_string(problem));
    page_render(r, status, "discussion_new", page);
}

static void new_form(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_PROPOSE, &repo))
        show_new(r, 200, &repo, NULL, "");
}

static void create(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    Discussion d;
    Arena *a = request_arena(r);
    if (!web_form(r, &form) || !web_repo(r, ACCESS_PROPOSE, &repo))
        return;
    NewDiscussion new = {.title = params_get(&form, "title"),
                         .description = str_trim(params_get(&form, "comment")),
                         .is_pull = params_get(&form, "pull").len > 0};
    if (discussion_create(hub_of(r), a, web_viewer(r), &repo, &new, &d, &err))
        return reply_redirect(r, 303, discussion_path(a, &repo, d.num));
    if (err.code == ERR_INVALID)
        return show_new(r, 400, &repo, &form, err.text);
    reply_error(r, &err);
}

/* ---- One of them ---- */

static json_t *reactions_json(Request *r, const DiscussionEvent *event)
{
    json_t *out = json_array();
    for (size_t i = 0; i < event->n_reactions; i++) {
        const Reaction *one = &event->reactions[i];
        AUTO_BUF names;
        buf_init(&names, 0);
        bool mine = false;
        for (size_t k = 0; k < one->n; k++) {
            if (k < 20)
                buf_printf(&names, "%s%.*s", k ? ", " : "", STR(one->users[k]));
            mine |= web_is_known(r) && str_eq(one->users[k], web_viewer(r)->account.name);
        }
        if (one->n > 20)
            buf_printf(&names, " and %zu others", one->n - 20);
        json_array_append_new(out,
                              json_pack("{s:o, s:I, s:o, s:b}", "emoji", json_from_str(one->emoji),
                                        "n", (json_int_t)one->n, "names",
                                        json_from_str(buf_str(&names)), "mine", mine));
    }
    return out;
}

static json_t *event_json(Request *r, const Repo *repo, const DiscussionEvent *event)
{
    const Viewer *viewer = web_viewer(r);
    bool comment = str_eq(event->kind, S("comment")) && !event->is_hidden;
    bool own = web_is_known(r) && str_eq(event->author_id, viewer->account.id);
    json_t *o = json_object();
    set_str(o, "id", event->id);
    set_str(o, "kind", event->kind);
    set_str(o, "author", event->author);
    set(o, "when", json_when(event->created_ns));
    set_str(o, "text", event->text);
    set_str(o, "other", event->other);
    set(o, "hidden", json_boolean(event->is_hidden));
    set(o, "edited", json_boolean(event->edits > 0));
    set(o, "can_edit", json_boolean(comment && own));
    set(o, "can_hide", json_boolean(comment && (own || repo->access >= ACCESS_WRITE)));
    set(o, "can_react",
        json_boolean(comment && repo->access >= ACCESS_PROPOSE && !repo->discussions_off &&
                     web_is_known(r)));
    set(o, "reactions", comment ? reactions_json(r, event) : json_array());
    set(o, "icon",
        json_string(str_eq(event->kind, S("commit"))         ? "clock"
                    : str_eq(event->kind, S("title-change")) ? "card"
                                                             : "check"));
    set_str(o, "html", comment ? page_comment(r, repo, event->text) : (Str){0});
    return o;
}

static bool set_events(Request *r, json_t *page, const Repo *repo, const Discussion *d, Error *err)
{
    DiscussionEvent *events;
    size_t n;
    if (!discussion_events(hub_of(r), request_arena(r), repo, d, &events, &n, err))
        return false;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, event_json(r, repo, &events[i]));
    set(page, "events", list);
    return true;
}

/* The files that a pull request changes, and those in its way. */
static bool set_pull(Request *r, json_t *page, const Repo *repo, const Discussion *d, Error *err)
{
    Str from = {0}, to = {0}, *paths = NULL;
    size_t n = 0;
    Arena *a = request_arena(r);
    json_t *conflicts = json_array();
    set(page, "conflicts", conflicts);
    if (d->is_pull && (!pull_range(hub_of(r), a, repo, d, &from, &to, err) ||
                       !pull_conflicts(hub_of(r), a, repo, d, &paths, &n, err)))
        return false;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(conflicts, json_from_str(paths[i]));
    if (to.len)
        return page_set_diff(r, page, repo, arena_cstr(a, from), arena_cstr(a, to), err);
    set(page, "files", json_array());
    set(page, "n_changed", json_integer(0));
    set(page, "added", json_integer(0));
    set(page, "removed", json_integer(0));
    return true;
}

static void set_discussion(Request *r, json_t *page, const Repo *repo, const Discussion *d)
{
    Arena *a = request_arena(r);
    bool watched = false;
    if (!watch_is_on(hub_of(r), web_viewer(r), repo, d, &watched, NULL))
        watched = false;
    bool author = web_is_known(r) && str_eq(d->author_id, web_viewer(r)->account.id);
    bool open = str_eq(d->status, S("open")) || str_eq(d->status, S("draft"));
    Str base = d->base, heads = S("refs/heads/");
    json_t *o = discussion_json(a, repo, d);
    set_str(o, "base", str_starts(base, heads) ? str_slice(base, heads.len, base.len) : base);
    set(o, "ref", json_string(arena_printf(a, "refs/pr/%lld", (long long)d->num)));
    set(o, "can_steer", json_boolean(author || repo->access >= ACCESS_WRITE));
    set(o, "can_merge", json_boolean(d->is_pull && open));
    set(o, "watched", json_boolean(watched));
    set(page, "d", o);
}

typedef struct Shown {
    int status;
    bool files;
    Str comment; // that was not taken
    const char *problem;
} Shown;

static void show(Request *r, const Repo *repo, const Discussion *d, const Shown *shown)
{
    Error err = {0};
    json_t *page =
        page_new(r, arena_printf(request_arena(r), "%.*s #%lld", STR(d->title), (long long)d->num));
    page_set_repo(r, page, repo, "community", S("main"));
    set_discussion(r, page, repo, d);
    json_t *emoji = json_array();
    for (size_t i = 0; reaction_emoji[i]; i++)
        json_array_append_new(emoji, json_string(reaction_emoji[i]));
    set(page, "emoji", emoji);
    set(page, "show_files", json_boolean(shown->files));
    set(page, "problem", json_string(shown->problem ? shown->problem : ""));
    set_str(page, "comment", shown->comment);
    if (!set_events(r, page, repo, d, &err) || !set_pull(r, page, repo, d, &err)) {
        json_decref(page);
        return reply_error(r, &err);
    }
    page_render(r, shown->status, "discussion", page);
}

static bool find(Request *r, Access need, Repo *repo, Discussion *d)
{
    Error err = {0};
    int64_t num;
    if (!web_repo(r, need, repo))
        return false;
    if (!str_to_int(request_param(r, "num"), 1, INT64_MAX, &num)) {
        reply_failure(r, 404, "A discussion has a number");
        return false;
    }
    if (discussion_find(hub_of(r), request_arena(r), repo, num, d, &err))
        return true;
    reply_error(r, &err);
    return false;
}

static void one(Request *r)
{
    Repo repo;
    Discussion d;
    if (!find(r, ACCESS_READ, &repo, &d))
        return;
    // What is seen is no news any more; that this could not be noted is no reason not to show it.
    (void)!notification_seen(hub_of(r), web_viewer(r), &d, NULL);
    show(r, &repo, &d, &(Shown){.status = 200});
}

static void changed_files(Request *r)
{
    Repo repo;
    Discussion d;
    if (find(r, ACCESS_FILES, &repo, &d))
        show(r, &repo, &d, &(Shown){.status = 200, .files = true});
}

/* A small form of a thread that was posted. */
typedef struct Posted {
    Params form;
    Repo repo;
    Discussion d;
    Str comment; // shown again where it is not taken
    Str event;   // to come back to; empty: to the thread
} Posted;
typedef bool Act(Request *r, Posted *p, Error *err);

/* Back to the thread, or the thread with what was wrong. */
static void act(Request *r, Access need, Act *run)
{
    Posted p = {0};
    Error err = {0};
    Arena *a = request_arena(r);
    if (!web_form(r, &p.form) || !find(r, need, &p.repo, &p.d))
        return;
    if (run(r, &p, &err)) {
        const char *mark = p.event.len ? "#" : "";
        Str path = discussion_path(a, &p.repo, p.d.num);
        return reply_redirect(r, 303,
                              str_of(arena_printf(a, "%.*s%s%.*s", STR(path), mark, STR(p.event))));
    }
    if (err.code != ERR_INVALID && err.code != ERR_CONFLICT && err.code != ERR_DENIED)
        return reply_error(r, &err);
    show(
        r, &p.repo, &p.d,
        &(Shown){.status = error_http_status(err.code), .comment = p.comment, .problem = err.text});
}

static bool act_comment(Request *r, Posted *p, Error *err)
{
    DiscussionEvent event;
    Hub *hub = hub_of(r);
    Arena *a = request_arena(r);
    Str action = params_get(&p->form, "do");
    p->comment = str_trim(params_get(&p->form, "comment"));
    return str_eq(action, S("open")) || str_eq(action, S("closed"))
               ? discussion_set_status(hub, a, web_viewer(r), &p->repo, &p->d, action, p->comment,
                                       &event, err)
               : discussion_comment(hub, a, web_viewer(r), &p->repo, &p->d, p->comment, &event,
                                    err);
}

static bool act_title(Request *r, Posted *p, Error *err)
{
    DiscussionEvent event;
    return discussion_retitle(hub_of(r), request_arena(r), web_viewer(r), &p->repo, &p->d,
                              params_get(&p->form, "title"), &event, err);
}

static bool act_edit(Request *r, Posted *p, Error *err)
{
    DiscussionEvent event;
    return discussion_edit(hub_of(r), request_arena(r), web_viewer(r), &p->repo, &p->d,
                           params_get(&p->form, "event"), str_trim(params_get(&p->form, "comment")),
                           &event, err);
}

static bool act_react(Request *r, Posted *p, Error *err)
{
    DiscussionEvent event;
    p->event = params_get(&p->form, "event");
    return discussion_react(hub_of(r), request_arena(r), web_viewer(r), &p->repo, &p->d, p->event,
                            params_get(&p->form, "emoji"),
                            !str_eq(request_query_get(r, "on"), S("no")), &event, err);
}

static bool act_hide(Request *r, Posted *p, Error *err)
{
    DiscussionEvent event;
    return discussion_hide(hub_of(r), request_arena(r), web_viewer(r), &p->repo, &p->d,
                           params_get(&p->form, "event"), &event, err);
}

static bool act_merge(Request *r, Posted *p, Error *err)
{
    Str sha;
    return pull_merge(hub_of(r), request_arena(r), web_viewer(r), &p->repo, &p->d, (Str){0}, &sha,
                      err);
}

static void comment(Request *r)
{
    act(r, ACCESS_PROPOSE, act_comment);
}

static void retitle(Request *r)
{
    act(r, ACCESS_PROPOSE, act_title);
}

static void edit(Request *r)
{
    act(r, ACCESS_PROPOSE, act_edit);
}

static void react(Request *r)
{
    act(r, ACCESS_PROPOSE, act_react);
}

static void hide(Request *r)
{
    act(r, ACCESS_PROPOSE, act_hide);
}

static void merge(Request *r)
{
    act(r, ACCESS_WRITE, act_merge);
}

const Route web_discussion_routes[] = {
    EACH_KIND("GET", "/discussions", list, WEB_ANYBODY, "Discussions and pull requests"),
    EACH_KIND("GET", "/discussions/new", new_form, WEB_LOGGED_IN, "The form for a new one"),
    EACH_KIND("POST", "/discussions/new", create, WEB_LOGGED_IN, "Begin one"),
    EACH_KIND("GET", "/discussions/{num}", one, WEB_ANYBODY, "One of them"),
    EACH_KIND("GET", "/discussions/{num}/files", changed_files, WEB_ANYBODY,
              "What a pull request changes"),
    EACH_KIND("POST", "/discussions/{num}/comment", comment, WEB_LOGGED_IN, "Comment, close, open"),
    EACH_KIND("POST", "/discussions/{num}/title", retitle, WEB_LOGGED_IN, "Change the title"),
    EACH_KIND("POST", "/discussions/{num}/edit", edit, WEB_LOGGED_IN, "Edit a comment"),
    EACH_KIND("POST", "/discussions/{num}/react", react, WEB_LOGGED_IN, "React to a comment"),
    EACH_KIND("POST", "/discussions/{num}/hide", hide, WEB_LOGGED_IN, "Hide a comment for good"),
    EACH_KIND("POST", "/discussions/{num}/merge", merge, WEB_LOGGED_IN, "Merge a pull request"),
};
const size_t web_discussion_routes_n = COUNT(web_discussion_routes);
