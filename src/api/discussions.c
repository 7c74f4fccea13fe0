/* discussions.c: discussions and pull requests; the shapes are those that clients parse. */
#include "hub/discussions.h"
#include "api/api_internal.h"

#include "base/encode.h"

enum { PAGE = 50, DIFF_LIMIT = 4 << 20, COMMENT_BODY = 512 << 10 };

/* ---- JSON ---- */

/* A name for people; null-free: an account that is gone has no author at all. */
static void set_author(Request *r, json_t *object, Str name)
{
    if (name.len)
        json_object_set_new(object, "author",
                            json_pack("{s:o, s:s, s:s}", "name", json_from_str(name), "type",
                                      "user", "avatarUrl", api_avatar_url(r, name)));
}

static json_t *reactions_json(const DiscussionEvent *event)
{
    json_t *out = json_array();
    for (size_t i = 0; i < event->n_reactions; i++) {
        const Reaction *one = &event->reactions[i];
        json_t *users = json_array();
        for (size_t k = 0; k < one->n; k++)
            json_array_append_new(users, json_from_str(one->users[k]));
        json_array_append_new(out,
                              json_pack("{s:o, s:I, s:o}", "reaction", json_from_str(one->emoji),
                                        "count", (json_int_t)one->n, "users", users));
    }
    return out;
}

static json_t *comment_data(Request *r, const DiscussionEvent *event)
{
    AUTO_BUF html;
    buf_init(&html, 0);
    html_escape(&html, event->text);
    int64_t changed = event->edited_ns ? event->edited_ns : event->created_ns;
    json_t *latest = json_pack("{s:o, s:o, s:o}", "raw", json_from_str(event->text), "html",
                               json_from_str(buf_str(&html)), "updatedAt", api_date(changed));
    set_author(r, latest, event->author);
    return json_pack("{s:b, s:b, s:o, s:[], s:I, s:o}", "edited", event->edits > 0, "hidden",
                     event->is_hidden, "latest", latest, "history", "numEdits",
                     (json_int_t)event->edits, "reactions", reactions_json(event));
}

static json_t *event_data(Request *r, const DiscussionEvent *event)
{
    if (str_eq(event->kind, S("comment")))
        return comment_data(r, event);
    if (str_eq(event->kind, S("status-change")))
        return json_pack("{s:o}", "status", json_from_str(event->text));
    if (str_eq(event->kind, S("title-change")))
        return json_pack("{s:o, s:o}", "from", json_from_str(event->other), "to",
                         json_from_str(event->text));
    return json_pack("{s:o, s:o}", "subject", json_from_str(event->text), "oid",
                     json_from_str(event->other));
}

static json_t *event_json(Request *r, const DiscussionEvent *event)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "id", json_from_str(event->id), "type",
                            json_from_str(event->kind), "createdAt", api_date(event->created_ns),
                            "data", event_data(r, event));
    set_author(r, out, event->author);
    return out;
}

static json_t *discussion_json(Request *r, const Repo *repo, const Discussion *d)
{
    json_t *out =
        json_pack("{s:I, s:o, s:o, s:o, s:b, s:{s:o, s:s}, s:I, s:b}", "num", (json_int_t)d->num,
                  "title", json_from_str(d->title), "status", json_from_str(d->status), "createdAt",
                  api_date(d->created_ns), "isPullRequest", d->is_pull, "repo", "name",
                  json_from_str(repo->full), "type", repo_kind_info(repo->kind)->name,
                  "numComments", (json_int_t)d->comments, "pinned", d->is_pinned);
    set_author(r, out, d->author);
    return out;
}

static bool set_pull(Request *r, const Repo *repo, const Discussion *d, json_t *out, Error *err)
{
    Str *paths;
    size_t n;
    Hub *hub = api_of(r)->hub;
    json_t *changes = json_pack("{s:o}", "base", json_from_str(d->base));
    api_set_str(changes, "mergeCommitId", d->merge_commit);
    json_object_set_new(out, "changes", changes);
    if (!pull_conflicts(hub, request_arena(r), repo, d, &paths, &n, err))
        return false;
    json_t *conflicts = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(conflicts, json_from_str(paths[i]));
    json_object_set_new(out, "filesWithConflicts", conflicts);
    if (!api_flag(r, "diff"))
        return true;
    AUTO_BUF diff;
    bool cut;
    buf_init(&diff, DIFF_LIMIT);
    if (!pull_diff(hub, repo, d, &diff, &cut, err))
        return false;
    Str text = buf_str(&diff);
    // A file in another encoding must not keep the rest from being shown.
    json_object_set_new(out, "diff", str_is_utf8(text) ? json_from_str(text) : json_string(""));
    return true;
}

/* ---- Handlers ---- */

/* The repository, and the discussion that the path names. False: it has answered. */
static bool found(Request *r, Access need, Repo *repo, Discussion *d)
{
    Error err = {0};
    int64_t num;
    if (!api_repo(r, need, repo))
        return false;
    if (!str_to_int(request_param(r, "num"), 1, INT64_MAX, &num)) {
        reply_failure(r, 404, "A discussion has a number");
        return false;
    }
    if (discussion_find(api_of(r)->hub, request_arena(r), repo, num, d, &err))
        return true;
    reply_error(r, &err);
    return false;
}

static bool read_query(Request *r, DiscussionQuery *query)
{
    static const bool yes = true, no = false;
    Str type = request_query_get(r, "type"), status = request_query_get(r, "status");
    Str page = request_query_get(r, "p");
    int64_t p = 0;
    if (page.len && !str_to_int(page, 0, 1000000, &p)) {
        reply_failure(r, 400, "p: a page number from 0");
        return false;
    }
    *query = (DiscussionQuery){
        .author = request_query_get(r, "author"), .skip = p * PAGE, .limit = PAGE};
    if (str_eq(type, S("pull_request")))
        query->is_pull = &yes;
    else if (str_eq(type, S("discussion")))
        query->is_pull = &no;
    if (str_eq(status, S("open")) || str_eq(status, S("closed")))
        query->status = status;
    return true;
}

static void list(Request *r)
{
    Error err = {0};
    Repo repo;
    DiscussionQuery query;
    DiscussionPage page;
    if (!api_repo(r, ACCESS_READ, &repo) || !read_query(r, &query))
        return;
    if (!discussion_list(api_of(r)->hub, request_arena(r), &repo, &query, &page, &err))
        return reply_error(r, &err);
    json_t *items = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(items, discussion_json(r, &repo, &page.items[i]));
    api_reply(r, json_pack("{s:o, s:I, s:I}", "discussions", items, "count", (json_int_t)page.total,
                           "start", (json_int_t)query.skip));
}

static void details(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    DiscussionEvent *events;
    size_t n;
    // The diff shows what is in files.
    if (!found(r, api_flag(r, "diff") ? ACCESS_FILES : ACCESS_READ, &repo, &d))
        return;
    if (!discussion_events(api_of(r)->hub, request_arena(r), &repo, &d, &events, &n, &err))
        return reply_error(r, &err);
    AUTO(json_decref) json_t *out = discussion_json(r, &repo, &d);
    json_t *shown = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(shown, event_json(r, &events[i]));
    json_object_set_new(out, "events", shown);
    if (d.is_pull && !set_pull(r, &repo, &d, out, &err))
        return reply_error(r, &err);
    reply_json(r, 200, out);
}

static void create(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    if (!api_repo(r, ACCESS_PROPOSE, &repo))
        return;
    const json_t *body = request_json(r, COMMENT_BODY, &err);
    if (!body)
        return reply_error(r, &err);
    NewDiscussion new = {.title = json_str(body, "title"),
                         .description = json_str(body, "description"),
                         .is_pull = json_flag(body, "pullRequest", false)};
    if (!discussion_create(api_of(r)->hub, request_arena(r), api_viewer(r), &repo, &new, &d, &err))
        return reply_error(r, &err);
    json_t *out = discussion_json(r, &repo, &d);
    json_object_set_new(out, "url",
                        json_string(arena_printf(request_arena(r), "%s/discussions/%lld",
                                                 api_repo_url(r, &repo), (long long)d.num)));
    if (d.is_pull)
        json_object_set_new(out, "pullRequest", json_pack("{s:o}", "base", json_from_str(d.base)));
    api_reply(r, out);
}

/* What all the small changes have in common: a body, one call, one event. */
typedef bool Act(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                 DiscussionEvent *event, Error *err);

static void act(Request *r, Act *run, const char *key)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    DiscussionEvent event;
    if (!found(r, ACCESS_PROPOSE, &repo, &d))
        return;
    const json_t *body = api_optional_json(r, COMMENT_BODY, &err);
    if (!body || !run(r, &repo, &d, body, &event, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:o}", key, event_json(r, &event)));
}

static bool act_comment(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                        DiscussionEvent *event, Error *err)
{
    return discussion_comment(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                              json_str(body, "comment"), event, err);
}

static bool act_title(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                      DiscussionEvent *event, Error *err)
{
    return discussion_retitle(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                              json_str(body, "title"), event, err);
}

static bool act_status(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                       DiscussionEvent *event, Error *err)
{
    return discussion_set_status(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                                 json_str(body, "status"), json_str(body, "comment"), event, err);
}

static bool act_edit(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                     DiscussionEvent *event, Error *err)
{
    return discussion_edit(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                           request_param(r, "event"), json_str(body, "content"), event, err);
}

static bool act_hide(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                     DiscussionEvent *event, Error *err)
{
    return discussion_hide(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                           request_param(r, "event"), event, err);
}

static bool act_react(Request *r, const Repo *repo, const Discussion *d, const json_t *body,
                      DiscussionEvent *event, Error *err)
{
    bool on = str_eq(request_method(r), S("POST"));
    return discussion_react(api_of(r)->hub, request_arena(r), api_viewer(r), repo, d,
                            request_param(r, "event"), json_str(body, "reaction"), on, event, err);
}

static void comment(Request *r)
{
    act(r, act_comment, "newMessage");
}

static void title(Request *r)
{
    act(r, act_title, "newTitle");
}

static void status(Request *r)
{
    act(r, act_status, "newStatus");
}

static void edit(Request *r)
{
    act(r, act_edit, "updatedComment");
}

static void hide(Request *r)
{
    act(r, act_hide, "updatedComment");
}

static void react(Request *r)
{
    act(r, act_react, "updatedComment");
}

static void merge(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    Str sha;
    if (!found(r, ACCESS_WRITE, &repo, &d))
        return;
    const json_t *body = api_optional_json(r, COMMENT_BODY, &err);
    if (!body || !pull_merge(api_of(r)->hub, request_arena(r), api_viewer(r), &repo, &d,
                             json_str(body, "comment"), &sha, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b, s:o}", "success", 1, "mergeCommitId", json_from_str(sha)));
    api_care_later(&repo);
}

static void pin(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    if (!found(r, ACCESS_WRITE, &repo, &d))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body || !discussion_pin(api_of(r)->hub, &repo, &d, json_flag(body, "pinned", false), &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void discussion_gone(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    if (!found(r, ACCESS_ADMIN, &repo, &d))
        return;
    if (!discussion_delete(api_of(r)->hub, &repo, &d, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void ref_gone(Request *r)
{
    Error err = {0};
    Repo repo;
    Discussion d;
    if (!found(r, ACCESS_WRITE, &repo, &d))
        return;
    if (!pull_drop_ref(api_of(r)->hub, &repo, &d, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

#define ALL "/api/{kind}/{owner}/{name}/discussions"
#define ONE ALL "/{num}"
#define LOGGED_IN .access = API_LOGGED_IN, .max_body = COMMENT_BODY

const Route discussion_routes[] = {
    {"GET", ALL, list, .summary = "Discussions and pull requests"},
    {"POST", ALL, create, LOGGED_IN, .summary = "Open one"},
    {"GET", ONE, details, .summary = "One with its events, and its diff"},
    {"POST", ONE "/comment", comment, LOGGED_IN, .summary = "Comment"},
    {"POST", ONE "/title", title, LOGGED_IN, .summary = "Change the title"},
    {"POST", ONE "/status", status, LOGGED_IN, .summary = "Close, open, publish"},
    {"POST", ONE "/merge", merge, LOGGED_IN, .summary = "Merge a pull request"},
    {"POST", ONE "/pin", pin, LOGGED_IN, .summary = "Pin or unpin"},
    {"POST", ONE "/comment/{event}/edit", edit, LOGGED_IN, .summary = "Edit a comment"},
    {"POST", ONE "/comment/{event}/hide", hide, LOGGED_IN, .summary = "Hide a comment for good"},
    {"POST", ONE "/comment/{event}/reaction", react, LOGGED_IN, .summary = "React to a comment"},
    {"DELETE", ONE "/comment/{event}/reaction", react, LOGGED_IN,
     .summary = "Take a reaction back"},
    {"DELETE", ONE, discussion_gone, LOGGED_IN, .summary = "Delete one"},
    {"DELETE", ONE "/ref", ref_gone, LOGGED_IN, .summary = "Forget a pull request's ref"},
};
const size_t discussion_routes_n = COUNT(discussion_routes);
