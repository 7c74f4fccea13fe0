/* notifications.c: what somebody should look at again, and what they watch; in the shapes of
 * huggingface.co's own pages. */
#include "hub/notifications.h"
#include "api/api_internal.h"

#include "base/clock.h"

enum { PAGE = 20, MAX_IDS = 1000 };

static json_t *notification_json(Request *r, const Notification *n)
{
    const Discussion *d = &n->discussion;
    json_t *people = json_array();
    for (size_t i = 0; i < n->n_people; i++)
        json_array_append_new(people, json_pack("{s:o, s:s}", "user", json_from_str(n->people[i]),
                                                "avatar", api_avatar_url(r, n->people[i])));
    return json_pack("{s:s, s:o, s:b, s:o, s:{s:o, s:s}, s:{s:o, s:I, s:o, s:o, s:b, s:o}, s:b}",
                     "type", "repo", "updatedAt", api_date(n->updated_ns), "read", n->is_read,
                     "discussionEventId", json_from_str(n->event), "repo", "name",
                     json_from_str(n->repo), "type", repo_kind_info(n->kind)->name, "discussion",
                     "id", json_from_str(d->id), "num", (json_int_t)d->num, "title",
                     json_from_str(d->title), "status", json_from_str(d->status), "isPullRequest",
                     d->is_pull, "participating", people, "mention",
                     (n->reasons & NOTIFIED_MENTIONED) != 0);
}

/* ?p=&readStatus=&repoType=&repoName=&mention=&lastUpdate= False: it has answered. */
static bool query_of(Request *r, RepoKind *kind, NotificationQuery *out)
{
    int64_t page = 0;
    Str status = request_query_get(r, "readStatus"), type = request_query_get(r, "repoType"),
        mention = request_query_get(r, "mention"), until = request_query_get(r, "lastUpdate"),
        p = request_query_get(r, "p");
    *out = (NotificationQuery){.repo = request_query_get(r, "repoName"), .limit = PAGE};
    const char *wrong = NULL;
    if (p.len && !str_to_int(p, 0, 1000000, &page))
        wrong = "p: a whole number from 0";
    if (str_eq(status, S("unread")))
        out->unread = true;
    else if (status.len && !str_eq(status, S("all")))
        wrong = "readStatus: all or unread";
    if (str_eq(mention, S("participating")))
        out->reasons = NOTIFIED_PARTICIPATING | NOTIFIED_MENTIONED;
    else if (str_eq(mention, S("mentions")))
        out->reasons = NOTIFIED_MENTIONED;
    else if (mention.len && !str_eq(mention, S("all")))
        wrong = "mention: all, participating or mentions";
    if (type.len && repo_kind_parse(type, kind))
        out->kind = kind;
    else if (type.len)
        wrong = "repoType: model, dataset or space";
    if (until.len && !iso8601_parse(until, &out->until_ns))
        wrong = "lastUpdate: a date like 2026-01-31T00:00:00.000Z";
    out->skip = page * PAGE;
    if (wrong)
        reply_failure(r, 400, wrong);
    return !wrong;
}

static void list(Request *r)
{
    Error err = {0};
    NotificationQuery query;
    NotificationPage page;
    RepoKind kind;
    if (!query_of(r, &kind, &query))
        return;
    if (!notification_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    json_t *items = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(items, notification_json(r, &page.items[i]));
    api_reply(r, json_pack("{s:o, s:{s:I, s:I, s:I}, s:I}", "notifications", items, "count", "view",
                           (json_int_t)page.view, "unread", (json_int_t)page.unread, "all",
                           (json_int_t)page.all, "start", (json_int_t)query.skip));
}

/* ---- Marking ---- */

/* Which ones are meant: discussionIds of the body, or with ?applyToAll=true what the query finds,
 * and then *n is 0. False: it has answered. */
static bool chosen(Request *r, const json_t *body, RepoKind *kind, NotificationQuery *query,
                   const Str **ids, size_t *n)
{
    const json_t *given = json_object_get(body, "discussionIds");
    size_t count = json_array_size(given);
    bool all = api_flag(r, "applyToAll");
    if (!query_of(r, kind, query))
        return false;
    if (!all && !count) {
        reply_failure(r, 400, "discussionIds, or applyToAll=true");
        return false;
    }
    if (count > MAX_IDS) {
        reply_failure(r, 400, "discussionIds: at most 1000");
        return false;
    }
    Str *list = NEW_ARRAY(request_arena(r), Str, count + 1);
    for (size_t i = 0; i < count; i++)
        list[i] = str_of(json_string_value(json_array_get(given, i)));
    *ids = list;
    *n = all ? 0 : count;
    return true;
}

static void set_mark(Request *r, const json_t *body, NotificationMark mark)
{
    Error err = {0};
    NotificationQuery query;
    RepoKind kind;
    const Str *ids;
    size_t n;
    if (!chosen(r, body, &kind, &query, &ids, &n))
        return;
    if (!notification_mark(api_of(r)->hub, api_viewer(r), ids, n, &query, mark, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void mark(Request *r)
{
    Error err = {0};
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    set_mark(r, body, json_flag(body, "read", true) ? MARK_READ : MARK_UNREAD);
}

static void gone(Request *r)
{
    Error err = {0};
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    set_mark(r, body, MARK_GONE);
}

/* ---- Settings ---- */

static const struct {
    const char *key;
    enum NotificationReason reason;
} settings[] = {
    {"web_discussions_participating", NOTIFIED_PARTICIPATING},
    {"web_discussions_mentions", NOTIFIED_MENTIONED},
    {"web_discussions_watched", NOTIFIED_WATCHING},
};

static void reply_settings(Request *r, unsigned off)
{
    json_t *out = json_object();
    for (size_t i = 0; i < COUNT(settings); i++)
        json_object_set_new(out, settings[i].key, json_boolean(!(off & settings[i].reason)));
    api_reply(r, json_pack("{s:o}", "notifications", out));
}

static void get_settings(Request *r)
{
    Error err = {0};
    unsigned off;
    if (!notification_settings(api_of(r)->hub, api_viewer(r), &off, &err))
        return reply_error(r, &err);
    reply_settings(r, off);
}

/* Of what is told there, this hub knows these: it sends no mail, so what is about mail changes
 * nothing. */
static void set_settings(Request *r)
{
    Error err = {0};
    unsigned off;
    const json_t *body = request_json(r, 0, &err);
    if (!body || !notification_settings(api_of(r)->hub, api_viewer(r), &off, &err))
        return reply_error(r, &err);
    const json_t *wanted = json_object_get(body, "notifications");
    if (!json_is_object(wanted))
        return reply_failure(r, 400, "notifications: an object of names and true or false");
    for (size_t i = 0; i < COUNT(settings); i++) {
        const json_t *value = json_object_get(wanted, settings[i].key);
        if (json_is_boolean(value))
            off = json_is_true(value) ? off & ~(unsigned)settings[i].reason
                                      : off | settings[i].reason;
    }
    if (!notification_settings_set(api_of(r)->hub, api_viewer(r), off, &err))
        return reply_error(r, &err);
    reply_settings(r, off);
}

/* ---- Watching ---- */

static bool watch_one(Request *r, const json_t *item, WatchState state, Error *err)
{
    WatchKind kind;
    Str id;
    Hub *hub = api_of(r)->hub;
    return watch_find(hub, request_arena(r), api_viewer(r), json_str(item, "type"),
                      json_str(item, "id"), &kind, &id, err) &&
           watch_set(hub, api_viewer(r), kind, id, state, err);
}

static void reply_watched(Request *r)
{
    Error err = {0};
    Watch *found;
    size_t n;
    if (!watch_list(api_of(r)->hub, request_arena(r), api_viewer(r), &found, &n, &err))
        return reply_error(r, &err);
    json_t *watched = json_array(), *muted = json_array();
    for (size_t i = 0; i < n; i++) {
        const Watch *w = &found[i];
        json_t *item = json_pack("{s:o, s:s, s:o}", "id", json_from_str(w->id), "type",
                                 w->kind == WATCH_REPO     ? "repo"
                                 : w->kind == WATCH_THREAD ? "discussion"
                                 : w->is_org               ? "org"
                                                           : "user",
                                 "name", json_from_str(w->name));
        if (w->kind != WATCH_ACCOUNT)
            json_object_set_new(item, "repoType", json_string(repo_kind_info(w->repo_kind)->name));
        if (w->kind == WATCH_THREAD)
            json_object_set_new(item, "num", json_integer(w->num));
        json_array_append_new(w->is_on ? watched : muted, item);
    }
    api_reply(r, json_pack("{s:o, s:o}", "watched", watched, "muted", muted));
}

static void change_watched(Request *r)
{
    Error err = {0};
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    const struct {
        const char *key;
        WatchState state;
    } lists[] = {{"delete", WATCH_DEFAULT}, {"mute", WATCH_OFF}, {"add", WATCH_ON}};
    for (size_t k = 0; k < COUNT(lists); k++) {
        const json_t *list = json_object_get(body, lists[k].key);
        if (json_array_size(list) > MAX_IDS)
            return reply_failure(r, 400, "at most 1000 at once");
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!watch_one(r, json_array_get(list, i), lists[k].state, &err))
                return reply_error(r, &err);
    }
    reply_watched(r);
}

enum {
    READS = API_NEEDS(API_LOGGED_IN, MAY_NOTIFICATION_READ),
    WRITES = API_NEEDS(API_LOGGED_IN, MAY_NOTIFICATION_WRITE),
};

const Route notification_routes[] = {
    {"GET", "/api/notifications", list, .access = READS, .summary = "Notifications"},
    {"DELETE", "/api/notifications", gone, .access = WRITES, .summary = "Done with some"},
    {"POST", "/api/notifications/mark-as-read", mark, .access = WRITES,
     .summary = "Read, or unread again"},
    {"GET", "/api/settings/notifications", get_settings, .access = READS,
     .summary = "What is told"},
    {"PATCH", "/api/settings/notifications", set_settings, .access = WRITES,
     .summary = "What is told"},
    {"GET", "/api/settings/watch", reply_watched, .access = READS, .summary = "What is watched"},
    {"PATCH", "/api/settings/watch", change_watched, .access = WRITES,
     .summary = "Watch, mute, or neither"},
};
const size_t notification_routes_n = COUNT(notification_routes);
