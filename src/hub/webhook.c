/* webhook.c: webhooks and their logs as their owners see them; see webhooks.h. */
#include "base/clock.h"
#include "hub/webhook_internal.h"
#include "net/client.h"

enum { MAX_URL = 2000, MAX_SECRET = 256 };

/* ---- What may be said of one ---- */

static bool printable(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return true;
}

static bool url_check(Hub *hub, Arena *a, Str url, Error *err)
{
    if (url.len > MAX_URL || !printable(url))
        return fail(err, ERR_INVALID, "url: at most %d bytes, all of printable ASCII", MAX_URL);
    return client_url_check(arena_cstr(a, url), webhooks_allowed(hub), err) ||
           fail_while(err, "url");
}

/* It becomes the value of a header. */
static bool secret_check(Str secret, Error *err)
{
    return (secret.len <= MAX_SECRET && printable(secret)) ||
           fail(err, ERR_INVALID, "secret: at most %d bytes of printable ASCII, no spaces",
                MAX_SECRET);
}

static bool watch_check(const WebhookWatch *watch, Error *err)
{
    RepoKind kind;
    Str owner, name;
    if (str_eq(watch->type, S("user")) || str_eq(watch->type, S("org")))
        return name_check(watch->name, err) || fail_while(err, "watched");
    if (!watch->type.len || !repo_kind_parse(watch->type, &kind) || str_ends(watch->type, S("s")))
        return fail(err, ERR_INVALID,
                    "watched: '%.*s' is no type; there are user, org, model, dataset and space",
                    STR(watch->type));
    if (!repo_id_split(watch->name, &owner, &name))
        return fail(err, ERR_INVALID, "watched: '%.*s' is not of the form owner/name",
                    STR(watch->name));
    return (name_check(owner, err) && name_check(name, err)) ||
           fail_while(err, "watched: '%.*s'", STR(watch->name));
}

static bool apply(Hub *hub, Arena *a, Webhook *w, const WebhookChange *change, Error *err)
{
    if (change->url)
        w->url = str_trim(*change->url);
    if (change->secret)
        w->secret = *change->secret;
    if (change->on_repo)
        w->on_repo = *change->on_repo;
    if (change->on_discussion)
        w->on_discussion = *change->on_discussion;
    if (change->n_watched > MAX_WATCHED)
        return fail(err, ERR_LIMIT, "watched: at most %d", MAX_WATCHED);
    if (change->n_watched) {
        w->watched = arena_copy(a, change->watched, change->n_watched * sizeof *w->watched);
        w->n_watched = change->n_watched;
    }
    if (!w->n_watched)
        return fail(err, ERR_INVALID, "watched: at least one user, organisation or repository");
    if (!w->on_repo && !w->on_discussion)
        return fail(err, ERR_INVALID, "domains: repo, discussion or both");
    for (size_t i = 0; i < change->n_watched; i++)
        if (!watch_check(&w->watched[i], err))
            return false;
    return url_check(hub, a, w->url, err) && secret_check(w->secret, err);
}

/* ---- What is watched ---- */

/* The id of what is watched, if the viewer may know that it is there; else its name. */
static Str subject_of(Hub *hub, Arena *a, const Viewer *viewer, const WebhookWatch *watch)
{
    RepoKind kind;
    Repo repo;
    Account account;
    if (repo_kind_parse(watch->type, &kind)) {
        if (repo_find(hub, a, viewer, kind, watch->name, ACCESS_READ, &repo, NULL))
            return repo.id;
    } else if (account_find(hub, a, watch->name, &account, NULL)) {
        return account.id;
    }
    return webhook_subject(a, watch);
}

static bool watch_all(Conn *c, const Webhook *w, const Str *subjects, Error *err)
{
    for (size_t i = 0; i < w->n_watched; i++)
        if (!sql_webhook_watch(c, w->id, i, &w->watched[i], subjects[i], err))
            return false;
    return true;
}

static Str *subjects_of(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w)
{
    Str *out = NEW_ARRAY(a, Str, w->n_watched);
    for (size_t i = 0; i < w->n_watched; i++)
        out[i] = subject_of(hub, a, viewer, &w->watched[i]);
    return out;
}

/* ---- Making, finding, changing ---- */

bool webhook_create(Hub *hub, Arena *a, const Viewer *viewer, const WebhookChange *with,
                    Webhook *out, Error *err)
{
    Webhook w = {.id = id_new(a), .on_repo = true, .on_discussion = true, .created_ns = wall_ns()};
    Webhook *others;
    size_t n;
    if (!apply(hub, a, &w, with, err))
        return false;
    const Str *subjects = subjects_of(hub, a, viewer, &w);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_webhooks(c, a, viewer->account.id, S(""), &others, &n, err))
        return false;
    if (n >= MAX_WEBHOOKS)
        return fail(err, ERR_LIMIT, "at most %d webhooks", MAX_WEBHOOKS);
    if (!sql_webhook_add(c, &w, viewer->account.id, err) || !watch_all(c, &w, subjects, err) ||
        !conn_commit(c, err))
        return false;
    *out = w;
    return true;
}

bool webhook_list(Hub *hub, Arena *a, const Viewer *viewer, Webhook **out, size_t *n, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_webhooks(c, a, viewer->account.id, S(""), out, n, err);
}

bool webhook_find(Hub *hub, Arena *a, const Viewer *viewer, Str id, Webhook *out, Error *err)
{
    Webhook *found;
    size_t n = 0;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || (id.len && !sql_webhooks(c, a, viewer->account.id, id, &found, &n, err)))
        return false;
    if (!n)
        return fail(err, ERR_NOT_FOUND, "There is no such webhook");
    *out = found[0];
    return sql_delivery_count(c, id, wall_ns() - 86400 * NS_PER_S, &out->today, err);
}

bool webhook_change(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w,
                    const WebhookChange *change, Error *err)
{
    Webhook changed = *w;
    if (!apply(hub, a, &changed, change, err))
        return false;
    const Str *subjects = change->n_watched ? subjects_of(hub, a, viewer, &changed) : NULL;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_webhook_set(c, &changed, wall_ns(), err) &&
           (!subjects ||
            (sql_webhook_unwatch(c, w->id, err) && watch_all(c, &changed, subjects, err))) &&
           conn_commit(c, err);
}

bool webhook_enable(Hub *hub, const Webhook *w, bool enable, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_webhook_disable(c, w->id, !enable, S(""), err) &&
           (enable || sql_deliveries_drop(c, w->id, err)) && conn_commit(c, err);
}

bool webhook_delete(Hub *hub, const Webhook *w, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_webhook_remove(c, w->id, err) && conn_commit(c, err);
}

/* ---- The log ---- */

bool delivery_list(Hub *hub, Arena *a, const Webhook *w, Str before, int64_t limit, Delivery **out,
                   size_t *n, bool *more, Error *err)
{
    if (limit < 1 || limit > 100)
        return fail(err, ERR_INVALID, "deliveries: a page has 1 to 100");
    WebhookTask last;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || (before.len && !sql_webhook_task(c, a, w->id, before, 0, &last, err)))
        return false;
    *out = NEW_ARRAY(a, Delivery, limit + 1);
    if (!sql_deliveries(c, a, w->id, before.len ? &last.delivery : NULL, (size_t)limit + 1, *out, n,
                        err))
        return false;
    *more = *n > (size_t)limit;
    *n = MIN(*n, (size_t)limit);
    return true;
}

static bool task_find(Hub *hub, Arena *a, const Webhook *w, Str id, WebhookTask *out, Error *err)
{
    if (!id.len)
        return fail(err, ERR_NOT_FOUND, "There is no such delivery");
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_webhook_task(c, a, w->id, id, 0, out, err);
}

bool delivery_find(Hub *hub, Arena *a, const Webhook *w, Str id, Delivery *out, Error *err)
{
    WebhookTask task;
    if (!task_find(hub, a, w, id, &task, err))
        return false;
    *out = task.delivery;
    // What has not been sent may yet be nothing that its owner should read.
    if (out->attempts)
        out->request = webhook_body(a, &task.record, w->id, webhooks_url(hub));
    return true;
}

/* One more delivery of a record, due at once. */
static bool deliver_now(Hub *hub, Arena *a, const Webhook *w, const WebhookRecord *fresh,
                        Str record, Str *delivery, Error *err)
{
    int64_t now = wall_ns(), today;
    *delivery = id_new(a);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_delivery_count(c, w->id, now - 86400 * NS_PER_S, &today, err))
        return false;
    if (today >= WEBHOOKS_A_DAY)
        return fail(err, ERR_RATE, "a webhook makes at most %d deliveries in 24 hours",
                    WEBHOOKS_A_DAY);
    if ((fresh && !sql_webhook_record_add(c, fresh, err)) ||
        !sql_delivery_add(c, *delivery, w->id, record, now, now, err))
        return false;
    webhooks_wake(hub);
    return conn_commit(c, err);
}

static bool enabled_check(const Webhook *w, Error *err)
{
    return !w->disabled || fail(err, ERR_INVALID, "This webhook is disabled: enable it first");
}

bool delivery_replay(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w, Str id,
                     Str *new_id, Error *err)
{
    WebhookTask task;
    bool may;
    if (!enabled_check(w, err) || !task_find(hub, a, w, id, &task, err) ||
        !webhook_may_know(hub, a, viewer->account.id, &task.record, &may, err))
        return false;
    if (!may)
        return fail(err, ERR_NO_REPO, "Repository not found");
    return deliver_now(hub, a, w, NULL, task.record.id, new_id, err);
}

bool webhook_test(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w, Str *delivery,
                  Error *err)
{
    static const char nothing[] = "000000000000000000000000";
    static const char commit[] = "0000000000000000000000000000000000000000";
    const Account *me = &viewer->account;
    if (!enabled_check(w, err))
        return false;
    const char *name = arena_printf(a, "%.*s/a-test", STR(me->name));
    AUTO(json_decref)
    json_t *payload = json_pack(
        "{s:{s:s, s:s}, s:{s:s, s:s, s:s, s:b, s:{s:s, s:s}, s:s, s:{s:o}}, s:[{s:s, s:n, s:s}],"
        " s:b}",
        "event", "action", "update", "scope", "repo.content", "repo", "type", "model", "name", name,
        "id", nothing, "private", 0, "url", "web", arena_printf(a, "/%s", name), "api",
        arena_printf(a, "/api/models/%s", name), "headSha", commit, "owner", "id",
        json_from_str(me->id), "updatedRefs", "ref", "refs/heads/main", "oldSha", "newSha", commit,
        "test", 1);
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, payload);
    WebhookRecord record = {
        .id = id_new(a), .owner_id = me->id, .payload = buf_str(&text), .created_ns = wall_ns()};
    return deliver_now(hub, a, w, &record, record.id, delivery, err);
}
