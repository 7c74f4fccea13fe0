/* webhook_sql.c: the statements about webhooks, what happened, and deliveries; see
 * webhook_internal.h.
 *
 * webhook_events is the queue of what happened: a row is written with the change itself, given to
 * all who watch (its cursor goes over the webhooks by id) and then kept for as long as a delivery
 * needs it. webhook_deliveries is the queue of what is to be sent (next_ns: when) and, behind that,
 * the log (next_ns is 0). */
#include "hub/webhook_internal.h"

/* ---- Webhooks ---- */

bool sql_webhook_add(Conn *c, const Webhook *w, Str owner, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO webhooks (id, owner_id, url, secret, on_repo,"
                             " on_discussion, disabled, reason, failures, created_ns, updated_ns)"
                             " VALUES ($1, $2, $3, $4, $5, $6, 0, '', 0, $7, $8)");
    bind_str(q, w->id);
    bind_str(q, owner);
    bind_str(q, w->url);
    bind_str(q, w->secret);
    bind_int(q, w->on_repo);
    bind_int(q, w->on_discussion);
    bind_int(q, w->created_ns);
    bind_int(q, w->created_ns);
    return query_run(q, err);
}

bool sql_webhook_set(Conn *c, const Webhook *w, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhooks SET url = $1, secret = $2, on_repo = $3,"
                             " on_discussion = $4, updated_ns = $5 WHERE id = $6");
    bind_str(q, w->url);
    bind_str(q, w->secret);
    bind_int(q, w->on_repo);
    bind_int(q, w->on_discussion);
    bind_int(q, now);
    bind_str(q, w->id);
    return query_run(q, err);
}

bool sql_webhook_watch(Conn *c, Str webhook, size_t place, const WebhookWatch *watch, Str subject,
                       Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO webhook_watches (webhook_id, place, kind, name, subject)"
                             " VALUES ($1, $2, $3, $4, $5)");
    bind_str(q, webhook);
    bind_int(q, (int64_t)place);
    bind_str(q, watch->type);
    bind_str(q, watch->name);
    bind_str(q, subject);
    return query_run(q, err);
}

bool sql_webhook_unwatch(Conn *c, Str webhook, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM webhook_watches WHERE webhook_id = $1");
    bind_str(q, webhook);
    return query_run(q, err);
}

static bool watches_of(Conn *c, Arena *a, Webhook *w, Error *err)
{
    w->watched = NEW_ARRAY(a, WebhookWatch, MAX_WATCHED);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT kind, name FROM webhook_watches WHERE webhook_id = $1"
                             " ORDER BY place");
    bind_str(q, w->id);
    while (w->n_watched < MAX_WATCHED && query_next(q)) {
        WebhookWatch *watch = &w->watched[w->n_watched++];
        watch->type = row_str(q, a);
        watch->name = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_webhooks(Conn *c, Arena *a, Str owner, Str id, Webhook **out, size_t *n, Error *err)
{
    Webhook *list = NEW_ARRAY(a, Webhook, MAX_WEBHOOKS);
    *n = 0;
    {
        AUTO(query_end)
        Query *q = query_open(c, "SELECT id, url, secret, on_repo, on_discussion, disabled, reason,"
                                 " created_ns FROM webhooks WHERE owner_id = $1"
                                 " AND ($2 = '' OR id = $2) ORDER BY created_ns DESC, id DESC");
        bind_str(q, owner);
        bind_str(q, id);
        while (*n < MAX_WEBHOOKS && query_next(q)) {
            Webhook *w = &list[(*n)++];
            w->id = row_str(q, a);
            w->url = row_str(q, a);
            w->secret = row_str(q, a);
            w->on_repo = row_int(q) != 0;
            w->on_discussion = row_int(q) != 0;
            w->disabled = row_int(q) != 0;
            w->reason = row_str(q, a);
            w->created_ns = row_int(q);
        }
        if (!query_ok(q, err))
            return false;
    }
    *out = list;
    for (size_t i = 0; i < *n; i++)
        if (!watches_of(c, a, &list[i], err))
            return false;
    return true;
}

bool sql_webhook_disable(Conn *c, Str id, bool disabled, Str reason, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhooks SET disabled = $1, reason = $2, failures = 0"
                             " WHERE id = $3");
    bind_int(q, disabled);
    bind_str(q, reason);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_webhook_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM webhooks WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_webhook_forget_repo(Conn *c, const Repo *repo, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhook_watches SET was = subject,"
                             " subject = kind || ':' || lower(name) WHERE subject = $1");
    bind_str(q, repo->id);
    return query_run(q, err);
}

bool sql_webhook_failures(Conn *c, Str webhook, bool failed, int64_t *in_row, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, failed ? "UPDATE webhooks SET failures = failures + 1 WHERE id = $1"
                                    : "UPDATE webhooks SET failures = 0 WHERE id = $1");
    bind_str(q, webhook);
    if (!query_run(q, err))
        return false;
    AUTO(query_end) Query *get = query_open(c, "SELECT failures FROM webhooks WHERE id = $1");
    bind_str(get, webhook);
    return query_count(get, in_row, err);
}

/* ---- What happened ---- */

bool sql_webhook_repo(Conn *c, Arena *a, Str repo, Str *owner, Str *head, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT owner_id, sha FROM repos WHERE id = $1");
    bind_str(q, repo);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NO_REPO, "Repository not found");
    *owner = row_str(q, a);
    *head = row_str(q, a);
    return true;
}

static void bind_subjects(Query *q, const Str subjects[SUBJECTS])
{
    // No subject is empty.
    for (size_t i = 0; i < SUBJECTS; i++)
        bind_str(q, subjects[i]);
}

bool sql_webhook_is_watched(Conn *c, const Str subjects[SUBJECTS], bool is_discussion, bool *yes,
                            Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, is_discussion ? "SELECT 1 FROM webhook_watches w JOIN webhooks h ON h.id = w.webhook_id"
                           " WHERE w.subject IN ($1, $2, $3, $4, $5, $6, $7, $8)"
                           " AND h.disabled = 0 AND h.on_discussion = 1 LIMIT 1"
                         : "SELECT 1 FROM webhook_watches w JOIN webhooks h ON h.id = w.webhook_id"
                           " WHERE w.subject IN ($1, $2, $3, $4, $5, $6, $7, $8)"
                           " AND h.disabled = 0 AND h.on_repo = 1 LIMIT 1");
    bind_subjects(q, subjects);
    *yes = query_next(q);
    return query_ok(q, err);
}

bool sql_webhook_watchers(Conn *c, Arena *a, const WebhookRecord *record, size_t max, Str *ids,
                          Str *owners, size_t *n, Error *err)
{
    Str subjects[SUBJECTS];
    webhook_subjects(record->subjects, subjects);
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT h.id, h.owner_id FROM webhooks h WHERE h.id IN (SELECT w.webhook_id FROM"
           " webhook_watches w WHERE w.subject IN ($1, $2, $3, $4, $5, $6, $7, $8) OR w.was = $9)"
           " AND h.disabled = 0 AND ((h.on_discussion = 1 AND $10 = 1) OR (h.on_repo = 1"
           " AND $10 = 0)) AND h.created_ns <= $11 AND h.id > $12 ORDER BY h.id LIMIT $13");
    bind_subjects(q, subjects);
    bind_str(q, record->is_gone ? record->repo.id : S("nothing"));
    bind_int(q, record->is_discussion);
    bind_int(q, record->created_ns);
    bind_str(q, record->cursor);
    bind_int(q, (int64_t)max);
    for (*n = 0; *n < max && query_next(q); ++*n) {
        ids[*n] = row_str(q, a);
        owners[*n] = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_webhook_record_add(Conn *c, const WebhookRecord *r, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "INSERT INTO webhook_events (id, is_discussion, repo_id, kind, full_name, creator_id,"
           " is_private, gated, owner_id, is_gone, subjects, payload, created_ns, is_spread,"
           " spread_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '')");
    bind_str(q, r->id);
    bind_int(q, r->is_discussion);
    bind_str(q, r->repo.id);
    bind_int(q, r->repo.kind);
    bind_str(q, r->repo.full);
    bind_str(q, r->repo.creator);
    bind_int(q, r->repo.is_private);
    bind_str(q, r->repo.gated);
    bind_str(q, r->owner_id);
    bind_int(q, r->is_gone);
    bind_str(q, r->subjects);
    bind_str(q, r->payload);
    bind_int(q, r->created_ns);
    bind_int(q, !r->subjects.len);
    return query_run(q, err);
}

#define RECORD_COLUMNS                                                                             \
    "e.id, e.is_discussion, e.repo_id, e.kind, e.full_name, e.creator_id, e.is_private, e.gated,"  \
    " e.owner_id, e.is_gone, e.subjects, e.payload, e.created_ns, e.spread_to"

static void record_row(Query *q, Arena *a, WebhookRecord *out)
{
    *out = (WebhookRecord){0};
    out->id = row_str(q, a);
    out->is_discussion = row_int(q) != 0;
    out->repo.id = row_str(q, a);
    out->repo.kind = (RepoKind)row_int(q);
    out->repo.full = row_str(q, a);
    out->repo.creator = row_str(q, a);
    out->repo.is_private = row_int(q) != 0;
    out->repo.gated = row_str(q, a);
    out->owner_id = row_str(q, a);
    out->is_gone = row_int(q) != 0;
    out->subjects = row_str(q, a);
    out->payload = row_str(q, a);
    out->created_ns = row_int(q);
    out->cursor = row_str(q, a);
}

bool sql_webhook_record_next(Conn *c, Arena *a, WebhookRecord *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " RECORD_COLUMNS " FROM webhook_events e WHERE e.is_spread = 0"
                             " ORDER BY e.created_ns, e.id LIMIT 1");
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "nothing has happened");
    record_row(q, a, out);
    return true;
}

bool sql_webhook_record_end(Conn *c, Arena *a, Str repo, WebhookRecord *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " RECORD_COLUMNS " FROM webhook_events e WHERE e.repo_id = $1"
                             " AND e.is_gone = 1");
    bind_str(q, repo);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "nothing is known of its end");
    record_row(q, a, out);
    return true;
}

bool sql_webhook_record_pass(Conn *c, Str record, Str cursor, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "UPDATE webhook_events SET is_spread = $1, spread_to = $2 WHERE id = $3");
    bind_int(q, !cursor.len);
    bind_str(q, cursor);
    bind_str(q, record);
    return query_run(q, err);
}

bool sql_webhook_records_with(Conn *c, Arena *a, Str repo, Str words, WebhookRecord **out,
                              size_t *n, Error *err)
{
    enum { MOST = 1000 };
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " RECORD_COLUMNS " FROM webhook_events e WHERE e.repo_id = $1"
                             " AND e.is_discussion = 1 AND e.payload LIKE $2 LIMIT 1000");
    bind_str(q, repo);
    bind_str(q, str_of(arena_printf(a, "%%%.*s%%", STR(words))));
    *out = NEW_ARRAY(a, WebhookRecord, MOST);
    for (*n = 0; *n < MOST && query_next(q); ++*n)
        record_row(q, a, &(*out)[*n]);
    return query_ok(q, err);
}

bool sql_webhook_record_set(Conn *c, Str record, Str payload, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhook_events SET payload = $1 WHERE id = $2");
    bind_str(q, payload);
    bind_str(q, record);
    return query_run(q, err);
}

/* ---- Deliveries ---- */

bool sql_delivery_add(Conn *c, Str id, Str webhook, Str record, int64_t now, int64_t next_ns,
                      Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "INSERT INTO webhook_deliveries (id, webhook_id, event_id, state, attempts, status,"
           " took_ms, problem, response, is_cut, created_ns, sent_ns, next_ns)"
           " VALUES ($1, $2, $3, 'waiting', 0, 0, 0, '', '', 0, $4, 0, $5)");
    bind_str(q, id);
    bind_str(q, webhook);
    bind_str(q, record);
    bind_int(q, now);
    bind_int(q, next_ns);
    return query_run(q, err);
}

bool sql_delivery_count(Conn *c, Str webhook, int64_t since, int64_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1"
                             " AND created_ns > $2");
    bind_str(q, webhook);
    bind_int(q, since);
    return query_count(q, n, err);
}

#define DELIVERY_COLUMNS                                                                           \
    "d.id, d.state, d.attempts, d.status, d.took_ms, d.problem, d.created_ns, d.sent_ns,"          \
    " d.next_ns, d.response, d.is_cut"

static void delivery_row(Query *q, Arena *a, Delivery *out)
{
    *out = (Delivery){0};
    out->id = row_str(q, a);
    out->state = row_str(q, a);
    out->attempts = row_int(q);
    out->status = row_int(q);
    out->took_ms = row_int(q);
    out->problem = row_str(q, a);
    out->created_ns = row_int(q);
    out->sent_ns = row_int(q);
    out->next_ns = row_int(q);
    out->response = row_str(q, a);
    out->response_cut = row_int(q) != 0;
}

/* What a log says of an event without its payload. */
static void describe(Arena *a, const WebhookRecord *record, Delivery *out)
{
    AUTO(json_decref) json_t *payload = json_parse(record->payload, "payload", NULL);
    const json_t *event = json_object_get(payload, "event"),
                 *repo = json_object_get(payload, "repo");
    out->action = arena_str(a, json_str(event, "action"));
    out->scope = arena_str(a, json_str(event, "scope"));
    if (record->repo.id.len) {
        out->repo_type = arena_str(a, json_str(repo, "type"));
        out->repo = arena_str(a, json_str(repo, "name"));
    }
}

bool sql_deliveries(Conn *c, Arena *a, Str webhook, const Delivery *before, size_t max,
                    Delivery *out, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "SELECT " DELIVERY_COLUMNS ", " RECORD_COLUMNS " FROM webhook_deliveries d"
                      " JOIN webhook_events e ON e.id = d.event_id WHERE d.webhook_id = $1"
                      " AND (d.created_ns < $2 OR (d.created_ns = $2 AND d.id < $3))"
                      " ORDER BY d.created_ns DESC, d.id DESC LIMIT $4");
    bind_str(q, webhook);
    bind_int(q, before ? before->created_ns : INT64_MAX);
    bind_str(q, before ? before->id : S(""));
    bind_int(q, (int64_t)max);
    for (*n = 0; *n < max && query_next(q); ++*n) {
        WebhookRecord record;
        delivery_row(q, a, &out[*n]);
        record_row(q, a, &record);
        describe(a, &record, &out[*n]);
    }
    return query_ok(q, err);
}

bool sql_webhook_task(Conn *c, Arena *a, Str webhook, Str id, int64_t now, WebhookTask *out,
                      Error *err)
{
#define TASK                                                                                       \
    "SELECT h.id, h.url, h.secret, h.disabled, h.owner_id, " DELIVERY_COLUMNS ", " RECORD_COLUMNS  \
    " FROM webhook_deliveries d JOIN webhooks h ON h.id = d.webhook_id"                            \
    " JOIN webhook_events e ON e.id = d.event_id WHERE d.webhook_id = $1 "
    AUTO(query_end)
    Query *q = query_open(c, id.len ? TASK "AND d.id = $2"
                                    : TASK "AND d.next_ns > 0 AND d.next_ns <= $2"
                                           " ORDER BY d.next_ns, d.id LIMIT 1");
#undef TASK
    bind_str(q, webhook);
    if (id.len)
        bind_str(q, id);
    else
        bind_int(q, now);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "There is no such delivery");
    *out = (WebhookTask){0};
    out->webhook.id = row_str(q, a);
    out->webhook.url = row_str(q, a);
    out->webhook.secret = row_str(q, a);
    out->webhook.disabled = row_int(q) != 0;
    out->owner_id = row_str(q, a);
    delivery_row(q, a, &out->delivery);
    record_row(q, a, &out->record);
    describe(a, &out->record, &out->delivery);
    return true;
}

bool sql_webhooks_due(Conn *c, Arena *a, int64_t now, size_t max, Str *ids, Str *owners, size_t *n,
                      Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT due.webhook_id, h.owner_id FROM (SELECT d.webhook_id, min(d.next_ns) AS first"
           " FROM webhook_deliveries d WHERE d.next_ns > 0 AND d.next_ns <= $1"
           " GROUP BY d.webhook_id) due JOIN webhooks h ON h.id = due.webhook_id"
           " ORDER BY due.first LIMIT $2");
    bind_int(q, now);
    bind_int(q, (int64_t)max);
    for (*n = 0; *n < max && query_next(q); ++*n) {
        ids[*n] = row_str(q, a);
        owners[*n] = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_delivery_next(Conn *c, int64_t now, int64_t *next_ns, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT min(next_ns) FROM webhook_deliveries WHERE next_ns > $1");
    bind_int(q, now);
    *next_ns = query_next(q) ? row_int(q) : 0;
    if (!*next_ns)
        *next_ns = INT64_MAX;
    return query_ok(q, err);
}

bool sql_delivery_set(Conn *c, const Delivery *d, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhook_deliveries SET state = $1, attempts = $2, status = $3,"
                             " took_ms = $4, problem = $5, response = $6, is_cut = $7,"
                             " sent_ns = $8, next_ns = $9 WHERE id = $10");
    bind_str(q, d->state);
    bind_int(q, d->attempts);
    bind_int(q, d->status);
    bind_int(q, d->took_ms);
    bind_str(q, d->problem);
    bind_str(q, d->response);
    bind_int(q, d->response_cut);
    bind_int(q, d->sent_ns);
    bind_int(q, d->next_ns);
    bind_str(q, d->id);
    return query_run(q, err);
}

bool sql_delivery_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM webhook_deliveries WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_deliveries_drop(Conn *c, Str webhook, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE webhook_deliveries SET state = 'dropped', next_ns = 0"
                             " WHERE webhook_id = $1 AND next_ns > 0");
    bind_str(q, webhook);
    return query_run(q, err);
}

/* ---- Forgetting ---- */

static bool prune(Conn *c, const char *sql, const int64_t *one, int64_t two, int64_t *n, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, sql);
    if (one)
        bind_int(q, *one);
    bind_int(q, two);
    if (!query_run(q, err))
        return false;
    *n += query_changes(q);
    return true;
}

bool sql_webhooks_prune(Conn *c, int64_t before_ns, int64_t most, int64_t *n, Error *err)
{
    enum { AT_ONCE = 1000 };
    *n = 0;
    return prune(c,
                 "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries"
                 " WHERE created_ns < $1 LIMIT $2)",
                 &before_ns, AT_ONCE, n, err) &&
           prune(c,
                 "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM (SELECT id, next_ns,"
                 " row_number() OVER (PARTITION BY webhook_id ORDER BY created_ns DESC, id DESC)"
                 " AS place FROM webhook_deliveries) ranked WHERE place > $1 AND next_ns = 0"
                 " LIMIT $2)",
                 &most, AT_ONCE, n, err) &&
           prune(c,
                 "DELETE FROM webhook_events WHERE id IN (SELECT e.id FROM webhook_events e"
                 " WHERE e.is_spread = 1 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d"
                 " WHERE d.event_id = e.id) LIMIT $1)",
                 NULL, AT_ONCE, n, err);
}
