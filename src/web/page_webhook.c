/* page_webhook.c: webhooks: listed, made, changed, tried, and the log of what was sent. */
#include "hub/webhooks.h"
#include "web/web_internal.h"

enum { LOG_PAGE = 30 };

static bool found(Request *r, Webhook *w)
{
    Error err = {0};
    if (webhook_find(hub_of(r), request_arena(r), web_viewer(r), request_param(r, "id"), w, &err))
        return true;
    reply_error(r, &err);
    return false;
}

static const char *path_of(Request *r, const Webhook *w)
{
    return arena_printf(request_arena(r), "/settings/webhooks/%.*s", STR(w->id));
}

/* ---- What is watched, as one writes it: a line each ---- */

/* "alice", "alice/tiny", "datasets/alice/data" */
static Str watched_lines(Arena *a, const Webhook *w)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < w->n_watched; i++) {
        RepoKind kind;
        bool repo = repo_kind_parse(w->watched[i].type, &kind);
        buf_printf(&out, "%s%.*s\n", repo ? repo_kind_info(kind)->prefix : "",
                   STR(w->watched[i].name));
    }
    return arena_str(a, buf_str(&out));
}

static WebhookWatch watch_of_line(Request *r, Str line)
{
    Account account;
    RepoKind kind;
    size_t slash = str_find_char(line, '/', 0);
    if (slash == SIZE_MAX) {
        bool org =
            account_find(hub_of(r), request_arena(r), line, &account, NULL) && account.is_org;
        return (WebhookWatch){org ? S("org") : S("user"), line};
    }
    Str first = str_slice(line, 0, slash), rest = str_slice(line, slash + 1, line.len);
    bool says_kind = str_find_char(rest, '/', 0) != SIZE_MAX && str_ends(first, S("s")) &&
                     repo_kind_parse(first, &kind);
    if (!says_kind)
        return (WebhookWatch){S("model"), line};
    return (WebhookWatch){str_of(repo_kind_info(kind)->name), rest};
}

/* ---- The form ---- */

/* As it was sent, for showing it again. */
typedef struct Form {
    Str url, secret, watched;
    bool on_repo, on_discussion;
} Form;

static void form_read(const Params *params, Form *f)
{
    *f = (Form){.url = str_trim(params_get(params, "url")),
                .secret = str_trim(params_get(params, "secret")),
                .watched = params_get(params, "watched"),
                .on_repo = params_get(params, "repo").len > 0,
                .on_discussion = params_get(params, "discussion").len > 0};
}

static bool form_change(Request *r, const Form *f, WebhookChange *out, Error *err)
{
    WebhookWatch *watched = NEW_ARRAY(request_arena(r), WebhookWatch, MAX_WATCHED);
    *out = (WebhookChange){.url = &f->url,
                           .secret = &f->secret,
                           .watched = watched,
                           .on_repo = &f->on_repo,
                           .on_discussion = &f->on_discussion};
    for (Str rest = f->watched, line; str_split(&rest, '\n', &line);) {
        line = str_trim(line);
        if (!line.len)
            continue;
        if (out->n_watched == MAX_WATCHED)
            return fail(err, ERR_LIMIT, "watched: at most %d", MAX_WATCHED);
        watched[out->n_watched++] = watch_of_line(r, line);
    }
    return out->n_watched > 0 || fail(err, ERR_INVALID, "watched: say what, a line each");
}

static void form_set(json_t *page, const Form *f)
{
    set_str(page, "url", f->url);
    set_str(page, "secret", f->secret);
    set_str(page, "watched", f->watched);
    set(page, "on_repo", json_boolean(f->on_repo));
    set(page, "on_discussion", json_boolean(f->on_discussion));
}

/* ---- The list, and a new one ---- */

static json_t *row_json(Request *r, const Webhook *w)
{
    json_t *o = json_object(), *watched = json_array();
    for (size_t i = 0; i < w->n_watched; i++)
        json_array_append_new(watched, json_from_str(w->watched[i].name));
    set(o, "path", json_string(path_of(r, w)));
    // Queries hold keys.
    set_str(o, "url", str_slice(w->url, 0, str_find_char(w->url, '?', 0)));
    set(o, "watched", watched);
    set(o, "disabled", json_boolean(w->disabled));
    set(o, "created", json_when(w->created_ns));
    return o;
}

static void list(Request *r)
{
    Error err = {0};
    Webhook *all;
    size_t n;
    if (!webhook_list(hub_of(r), request_arena(r), web_viewer(r), &all, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Webhooks"), *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, row_json(r, &all[i]));
    set(page, "hooks", rows);
    page_render(r, 200, "webhooks", page);
}

static void show_new(Request *r, int status, const Form *f, const char *problem)
{
    json_t *page = page_new(r, "New webhook");
    form_set(page, f);
    set(page, "hook", json_null());
    set(page, "log", json_null());
    set(page, "older", json_null());
    set(page, "problem", json_string(problem));
    page_render(r, status, "webhook", page);
}

static void new_one(Request *r)
{
    Form f = {.watched = web_viewer(r)->account.name, .on_repo = true, .on_discussion = true};
    Str asked = request_query_get(r, "watch");
    if (asked.len)
        f.watched = asked;
    show_new(r, 200, &f, "");
}

static void create(Request *r)
{
    Params params;
    Error err = {0};
    Form f;
    Webhook w;
    WebhookChange with;
    if (!web_form(r, &params))
        return;
    form_read(&params, &f);
    if (!form_change(r, &f, &with, &err) ||
        !webhook_create(hub_of(r), request_arena(r), web_viewer(r), &with, &w, &err))
        return web_can_be_mended(&err) ? show_new(r, error_http_status(err.code), &f, err.text)
                                       : reply_error(r, &err);
    reply_redirect(r, 303, str_of(path_of(r, &w)));
}

/* ---- One, with its log ---- */

static json_t *delivery_json(Request *r, const Webhook *w, const Delivery *d)
{
    json_t *o = json_object();
    Arena *a = request_arena(r);
    set(o, "path", json_string(arena_printf(a, "%s/logs/%.*s", path_of(r, w), STR(d->id))));
    set_str(o, "id", d->id);
    set_str(o, "state", d->state);
    set(o, "event", json_sprintf("%.*s %.*s", STR(d->scope), STR(d->action)));
    set_str(o, "repo", d->repo);
    set(o, "attempts", json_integer(d->attempts));
    set(o, "status", d->status ? json_integer(d->status) : json_null());
    set_str(o, "error", d->problem);
    set(o, "took", d->sent_ns ? json_sprintf("%lld ms", (long long)d->took_ms) : json_string(""));
    set(o, "created", json_when(d->created_ns));
    set(o, "next", d->next_ns && d->attempts ? json_when(d->next_ns) : json_null());
    return o;
}

static bool set_log(Request *r, json_t *page, const Webhook *w, Error *err)
{
    Delivery *list;
    size_t n;
    bool more;
    Arena *a = request_arena(r);
    Str before = request_query_get(r, "before");
    if (!delivery_list(hub_of(r), a, w, before, LOG_PAGE, &list, &n, &more, err))
        return false;
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, delivery_json(r, w, &list[i]));
    set(page, "log", rows);
    set(page, "older",
        more
            ? json_string(arena_printf(a, "%s?before=%.*s#log", path_of(r, w), STR(list[n - 1].id)))
            : json_null());
    return true;
}

static void show(Request *r, int status, const Webhook *w, const Form *form, const char *notice,
                 const char *problem)
{
    Error err = {0};
    Form as_is = {w->url, w->secret, watched_lines(request_arena(r), w), w->on_repo,
                  w->on_discussion};
    json_t *page = page_new(r, "Webhook"), *hook = row_json(r, w);
    if (!set_log(r, page, w, &err)) {
        json_decref(page);
        json_decref(hook);
        return reply_error(r, &err);
    }
    set_str(hook, "reason", w->reason);
    set_str(hook, "id", w->id);
    set(hook, "today", json_integer(w->today));
    set(hook, "most", json_integer(WEBHOOKS_A_DAY));
    set(hook, "days", json_integer(WEBHOOK_LOG_DAYS));
    set(page, "hook", hook);
    form_set(page, form ? form : &as_is);
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    page_render(r, status, "webhook", page);
}

static void one(Request *r)
{
    Webhook w;
    if (found(r, &w))
        show(r, 200, &w, NULL, "", "");
}

static void change(Request *r)
{
    Params params;
    Error err = {0};
    Form f;
    Webhook w;
    WebhookChange to;
    if (!web_form(r, &params) || !found(r, &w))
        return;
    form_read(&params, &f);
    if (!form_change(r, &f, &to, &err) ||
        !webhook_change(hub_of(r), request_arena(r), web_viewer(r), &w, &to, &err))
        return web_can_be_mended(&err) ? show(r, error_http_status(err.code), &w, &f, "", err.text)
                                       : reply_error(r, &err);
    if (found(r, &w))
        show(r, 200, &w, NULL, "Saved", "");
}

static void delete (Request *r)
{
    Params params;
    Error err = {0};
    Webhook w;
    if (!web_form(r, &params) || !found(r, &w))
        return;
    if (!webhook_delete(hub_of(r), &w, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, S("/settings/webhooks"));
}

static void set_enabled(Request *r)
{
    Params params;
    Error err = {0};
    Webhook w;
    if (!web_form(r, &params) || !found(r, &w))
        return;
    if (!webhook_enable(hub_of(r), &w, str_eq(params_get(&params, "do"), S("enable")), &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(path_of(r, &w)));
}

static void go_to_delivery(Request *r, const Webhook *w, Str delivery)
{
    reply_redirect(
        r, 303,
        str_of(arena_printf(request_arena(r), "%s/logs/%.*s", path_of(r, w), STR(delivery))));
}

static void test(Request *r)
{
    Params params;
    Error err = {0};
    Webhook w;
    Str id;
    if (!web_form(r, &params) || !found(r, &w))
        return;
    if (!webhook_test(hub_of(r), request_arena(r), web_viewer(r), &w, &id, &err))
        return web_can_be_mended(&err) || err.code == ERR_RATE
                   ? show(r, error_http_status(err.code), &w, NULL, "", err.text)
                   : reply_error(r, &err);
    go_to_delivery(r, &w, id);
}

/* ---- A delivery ---- */

/* JSON is laid out for reading; anything else stays as it is. */
static json_t *readable(Str text)
{
    AUTO(json_decref) json_t *value = json_parse(text, "body", NULL);
    if (!value)
        return json_from_str(text);
    AUTO_BUF laid_out;
    buf_init(&laid_out, 0);
    json_write_indented(&laid_out, value);
    return json_from_str(buf_str(&laid_out));
}

static void delivery(Request *r)
{
    Error err = {0};
    Webhook w;
    Delivery d;
    if (!found(r, &w))
        return;
    if (!delivery_find(hub_of(r), request_arena(r), &w, request_param(r, "log"), &d, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Delivery"), *hook = row_json(r, &w);
    set(page, "hook", hook);
    set(page, "d", delivery_json(r, &w, &d));
    set(page, "request", readable(d.request));
    set(page, "response", readable(d.response));
    set(page, "cut", json_boolean(d.response_cut));
    page_render(r, 200, "webhook_delivery", page);
}

static void replay(Request *r)
{
    Params params;
    Error err = {0};
    Webhook w;
    Str id;
    if (!web_form(r, &params) || !found(r, &w))
        return;
    if (!delivery_replay(hub_of(r), request_arena(r), web_viewer(r), &w, request_param(r, "log"),
                         &id, &err))
        return web_can_be_mended(&err) || err.code == ERR_RATE || err.code == ERR_NO_REPO
                   ? show(r, error_http_status(err.code), &w, NULL, "", err.text)
                   : reply_error(r, &err);
    go_to_delivery(r, &w, id);
}

#define ONE "/settings/webhooks/{id}"

const Route web_webhook_routes[] = {
    {"GET", "/settings/webhooks", list, .access = WEB_LOGGED_IN, .summary = "Webhooks"},
    {"GET", "/settings/webhooks/new", new_one, .access = WEB_LOGGED_IN, .summary = "A new one"},
    {"POST", "/settings/webhooks", create, .access = WEB_LOGGED_IN, .summary = "Make one"},
    {"GET", ONE, one, .access = WEB_LOGGED_IN, .summary = "A webhook and its log"},
    {"POST", ONE, change, .access = WEB_LOGGED_IN, .summary = "Change it"},
    {"POST", ONE "/enable", set_enabled, .access = WEB_LOGGED_IN,
     .summary = "Enable or disable it"},
    {"POST", ONE "/test", test, .access = WEB_LOGGED_IN, .summary = "Send it something"},
    {"POST", ONE "/delete", delete, .access = WEB_LOGGED_IN, .summary = "Delete it"},
    {"GET", ONE "/logs/{log}", delivery, .access = WEB_LOGGED_IN, .summary = "A delivery"},
    {"POST", ONE "/logs/{log}/replay", replay, .access = WEB_LOGGED_IN,
     .summary = "Send it once more"},
};
const size_t web_webhook_routes_n = COUNT(web_webhook_routes);
