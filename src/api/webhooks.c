/* webhooks.c: webhooks of the caller, in the shapes that clients parse, and their deliveries. */
#include "hub/webhooks.h"
#include "api/api_internal.h"

enum { PAGE = 50, MOST = 100 };

static json_t *webhook_json(const Webhook *w)
{
    json_t *watched = json_array(), *domains = json_array();
    for (size_t i = 0; i < w->n_watched; i++)
        json_array_append_new(watched,
                              json_pack("{s:o, s:o}", "type", json_from_str(w->watched[i].type),
                                        "name", json_from_str(w->watched[i].name)));
    if (w->on_repo)
        json_array_append_new(domains, json_string("repo"));
    if (w->on_discussion)
        json_array_append_new(domains, json_string("discussion"));
    json_t *out = json_pack("{s:o, s:o, s:o, s:o, s:b, s:n, s:o}", "id", json_from_str(w->id),
                            "url", json_from_str(w->url), "watched", watched, "domains", domains,
                            "disabled", w->disabled, "job", "createdAt", api_date(w->created_ns));
    api_set_str(out, "secret", w->secret);
    api_set_str(out, "disabledReason", w->reason);
    return out;
}

static json_t *delivery_json(const Delivery *d, bool whole)
{
    json_t *out = json_pack("{s:o, s:o, s:I, s:{s:o, s:o}, s:o}", "id", json_from_str(d->id),
                            "state", json_from_str(d->state), "attempts", (json_int_t)d->attempts,
                            "event", "action", json_from_str(d->action), "scope",
                            json_from_str(d->scope), "createdAt", api_date(d->created_ns));
    if (d->repo.len)
        json_object_set_new(out, "repo",
                            json_pack("{s:o, s:o}", "type", json_from_str(d->repo_type), "name",
                                      json_from_str(d->repo)));
    if (d->sent_ns) {
        json_object_set_new(out, "sentAt", api_date(d->sent_ns));
        json_object_set_new(out, "duration", json_integer(d->took_ms));
    }
    if (d->status)
        json_object_set_new(out, "status", json_integer(d->status));
    if (d->next_ns)
        json_object_set_new(out, "nextAttemptAt", api_date(d->next_ns));
    api_set_str(out, "error", d->problem);
    if (whole) {
        api_set_str(out, "request", d->request);
        api_set_str(out, "response", d->response);
        json_object_set_new(out, "responseCut", json_boolean(d->response_cut));
    }
    return out;
}

/* ---- What bodies say ---- */

typedef struct Body {
    WebhookChange change;
    Str url, secret;
    bool on_repo, on_discussion;
    WebhookWatch watched[MAX_WATCHED];
} Body;

static bool read_watched(const json_t *list, Body *b, Error *err)
{
    size_t i;
    json_t *item;
    if (!list)
        return true;
    if (!json_is_array(list))
        return fail(err, ERR_INVALID, "watched: a list of {\"type\", \"name\"}");
    if (json_array_size(list) > MAX_WATCHED)
        return fail(err, ERR_LIMIT, "watched: at most %d", MAX_WATCHED);
    json_array_foreach(list, i, item)
    {
        b->watched[i] = (WebhookWatch){json_str(item, "type"), json_str(item, "name")};
    }
    b->change.watched = b->watched;
    b->change.n_watched = json_array_size(list);
    return true;
}

static bool read_domains(const json_t *list, Body *b, Error *err)
{
    size_t i;
    json_t *item;
    if (!list)
        return true;
    json_array_foreach(list, i, item)
    {
        Str name = str_of(json_string_value(item));
        b->on_repo |= str_eq(name, S("repo"));
        b->on_discussion |= str_eq(name, S("discussion"));
        if (!str_eq(name, S("repo")) && !str_eq(name, S("discussion")))
            return fail(err, ERR_INVALID, "domains: '%.*s' is none; there are repo and discussion",
                        STR(name));
    }
    b->change.on_repo = &b->on_repo;
    b->change.on_discussion = &b->on_discussion;
    return true;
}

static bool read_body(const json_t *body, Body *b, Error *err)
{
    *b = (Body){.url = json_str(body, "url"), .secret = json_str(body, "secret")};
    if (json_object_get(body, "jobSourceId"))
        return fail(err, ERR_UNSUPPORTED, "This hub runs no jobs: give a url");
    if (json_object_get(body, "url"))
        b->change.url = &b->url;
    if (json_object_get(body, "secret"))
        b->change.secret = &b->secret;
    return read_watched(json_object_get(body, "watched"), b, err) &&
           read_domains(json_object_get(body, "domains"), b, err);
}

/* ---- Webhooks ---- */

static bool found(Request *r, Webhook *w)
{
    Error err = {0};
    if (webhook_find(api_of(r)->hub, request_arena(r), api_viewer(r), request_param(r, "id"), w,
                     &err))
        return true;
    reply_error(r, &err);
    return false;
}

static void reply_webhook(Request *r, const Webhook *w)
{
    api_reply(r, json_pack("{s:o}", "webhook", webhook_json(w)));
}

/* What GET answers, and each change: how it is now. */
static void show(Request *r)
{
    Webhook w;
    if (found(r, &w))
        reply_webhook(r, &w);
}

static void list(Request *r)
{
    Error err = {0};
    Webhook *all;
    size_t n;
    if (!webhook_list(api_of(r)->hub, request_arena(r), api_viewer(r), &all, &n, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, webhook_json(&all[i]));
    api_reply(r, out);
}

static void create(Request *r)
{
    Error err = {0};
    Webhook w;
    Body b;
    const json_t *body = request_json(r, 0, &err);
    if (!body || !read_body(body, &b, &err) ||
        !webhook_create(api_of(r)->hub, request_arena(r), api_viewer(r), &b.change, &w, &err))
        return reply_error(r, &err);
    reply_webhook(r, &w);
}

static void change(Request *r)
{
    Error err = {0};
    Webhook w;
    Body b;
    if (!found(r, &w))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body || !read_body(body, &b, &err) ||
        !webhook_change(api_of(r)->hub, request_arena(r), api_viewer(r), &w, &b.change, &err))
        return reply_error(r, &err);
    show(r);
}

static void set_enabled(Request *r, bool enable)
{
    Error err = {0};
    Webhook w;
    if (!found(r, &w))
        return;
    if (!webhook_enable(api_of(r)->hub, &w, enable, &err))
        return reply_error(r, &err);
    show(r);
}

static void enable(Request *r)
{
    set_enabled(r, true);
}

static void disable(Request *r)
{
    set_enabled(r, false);
}

static void gone(Request *r)
{
    Error err = {0};
    Webhook w;
    if (!found(r, &w))
        return;
    if (!webhook_delete(api_of(r)->hub, &w, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

/* ---- Deliveries ---- */

static void logs(Request *r)
{
    Error err = {0};
    Webhook w;
    Delivery *page;
    size_t n;
    bool more;
    int64_t limit;
    if (!found(r, &w) || !api_limit(r, MOST, PAGE, &limit))
        return;
    if (!delivery_list(api_of(r)->hub, request_arena(r), &w, request_query_get(r, "before"), limit,
                       &page, &n, &more, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, delivery_json(&page[i], false));
    if (more)
        api_link_next(r, "before", page[n - 1].id);
    api_reply(r, out);
}

static void log_one(Request *r)
{
    Error err = {0};
    Webhook w;
    Delivery d;
    if (!found(r, &w))
        return;
    if (!delivery_find(api_of(r)->hub, request_arena(r), &w, request_param(r, "log"), &d, &err))
        return reply_error(r, &err);
    api_reply(r, delivery_json(&d, true));
}

static void replay(Request *r)
{
    Error err = {0};
    Webhook w;
    Str id;
    if (!found(r, &w))
        return;
    if (!delivery_replay(api_of(r)->hub, request_arena(r), api_viewer(r), &w,
                         request_param(r, "log"), &id, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b, s:o}", "success", 1, "id", json_from_str(id)));
}

static void test(Request *r)
{
    Error err = {0};
    Webhook w;
    Str id;
    if (!found(r, &w))
        return;
    if (!webhook_test(api_of(r)->hub, request_arena(r), api_viewer(r), &w, &id, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b, s:o}", "success", 1, "id", json_from_str(id)));
}

#define ALL "/api/settings/webhooks"
#define ONE ALL "/{id}"
#define READS .access = API_NEEDS(API_LOGGED_IN, MAY_WEBHOOK_READ)
#define WRITES .access = API_NEEDS(API_LOGGED_IN, MAY_WEBHOOK_WRITE)

const Route webhook_routes[] = {
    {"GET", ALL, list, READS, .summary = "Webhooks"},
    {"POST", ALL, create, WRITES, .summary = "Make one"},
    {"GET", ONE, show, READS, .summary = "A webhook"},
    {"POST", ONE, change, WRITES, .summary = "Change it"},
    {"DELETE", ONE, gone, WRITES, .summary = "Delete it"},
    {"POST", ONE "/enable", enable, WRITES, .summary = "Enable it"},
    {"POST", ONE "/disable", disable, WRITES, .summary = "Disable it"},
    {"POST", ONE "/test", test, WRITES, .summary = "Send it something"},
    {"GET", ONE "/logs", logs, READS, .summary = "What was sent"},
    {"GET", ONE "/logs/{log}", log_one, READS, .summary = "A delivery"},
    {"POST", ONE "/replay/{log}", replay, WRITES, .summary = "Send it once more"},
};
const size_t webhook_routes_n = COUNT(webhook_routes);
