/* webhook_send.c: the threads that send; see webhooks.h.
 *
 *     a change --webhook_record--> webhook_events, in the change's own transaction
 *     dispatcher: a record --> webhook_deliveries, for each webhook that watches and may know
 *     dispatcher: a webhook with something due --> a job
 *     job: may its owner still know? POST; note how it went
 *
 * All that is to be done stands in the database; what is kept here is only who is being served, so
 * that one webhook has one job at a time and one owner no more than two: a slow server holds up its
 * own deliveries and nobody else's. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/thread.h"
#include "hub/webhook_internal.h"
#include "net/client.h"
#include "net/networks.h"

#include <stdatomic.h>

enum {
    SENDERS = 16,
    OF_ONE_OWNER = 2,
    JOB_S = 5,      // then others may have the thread
    WATCHERS = 200, // looked at in one transaction
    DUE = 500,      // webhooks looked at for who is next
    ID_SIZE = 25,
    CONNECT_S = 5,
    ANSWER_S = 15, // for all of an attempt
    MAX_RESPONSE = 8 << 10,
    LATER_TIMES = 5,
};
static const int64_t prune_every_ns = 3600 * NS_PER_S, look_every_ns = 60 * NS_PER_S,
                     after_trouble_ns = NS_PER_S, longest_wait_ns = 24 * 3600 * NS_PER_S;

typedef struct Job {
    Hub *hub;
    char webhook[ID_SIZE], owner[ID_SIZE];
    bool busy;
} Job;

struct Webhooks {
    Networks *allow;
    char *url;
    int64_t retry_ns, attempts;
    pthread_t thread;
    bool started;
    Workers *workers;
    atomic_bool stop;
    pthread_mutex_t lock; // for what follows
    pthread_cond_t wake;
    bool look;     // there is something to do
    bool recorded; // a transaction that is perhaps still open has recorded something
    bool trouble;  // a job failed for a reason of ours
    Job jobs[SENDERS];
};

Webhooks *webhooks_new(void)
{
    Webhooks *w = xcalloc(1, sizeof *w);
    w->attempts = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    return w;
}

static void signal_to(Webhooks *w, bool recorded, bool trouble)
{
    pthread_mutex_lock(&w->lock);
    w->look = true;
    w->recorded |= recorded;
    w->trouble |= trouble;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void webhooks_free(Hub *hub)
{
    Webhooks *w = hub->webhooks;
    if (!w)
        return;
    atomic_store(&w->stop, true);
    signal_to(w, false, false);
    if (w->started)
        pthread_join(w->thread, NULL);
    workers_free(w->workers);
    networks_free(w->allow);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->url);
    free(w);
    hub->webhooks = NULL;
}

void webhooks_wake(Hub *hub)
{
    if (hub->webhooks) // else it is recorded beside a hub that serves, which looks by itself
        signal_to(hub->webhooks, true, false);
}

const Networks *webhooks_allowed(const Hub *hub)
{
    return hub->webhooks->allow;
}

const char *webhooks_url(Hub *hub)
{
    Webhooks *w = hub->webhooks;
    pthread_mutex_lock(&w->lock);
    const char *url = w->url; // set once
    pthread_mutex_unlock(&w->lock);
    return url ? url : "";
}

/* ---- One delivery ---- */

/* What came back, as text that any database keeps. */
static Str response_text(Arena *a, Str body)
{
    AUTO_BUF lossy;
    buf_init(&lossy, 0);
    buf_add_lossy(&lossy, body);
    for (size_t i = 0; i < lossy.len; i++)
        if (!lossy.ptr[i])
            lossy.ptr[i] = ' ';
    return arena_str(a, buf_str(&lossy));
}

static const char *const *headers_of(Arena *a, const WebhookTask *task, Str body)
{
    Str secret = task->webhook.secret;
    size_t n = 0;
    const char **out = NEW_ARRAY(a, const char *, 6);
    out[n++] = "Content-Type: application/json";
    out[n++] = "User-Agent: hug-webhooks";
    out[n++] = arena_printf(a, "X-Webhook-Delivery: %.*s", STR(task->delivery.id));
    if (secret.len) {
        uint8_t mac[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        hmac_sha256(secret, body, mac);
        hex_encode(mac, sizeof mac, hex);
        out[n++] = arena_printf(a, "X-Webhook-Secret: %.*s", STR(secret));
        out[n++] = arena_printf(a, "X-Hub-Signature-256: sha256=%s", hex);
    }
    return out;
}

static int64_t wait_after(const Webhooks *w, int64_t attempts)
{
    int64_t wait = w->retry_ns;
    for (int64_t i = 1; i < attempts && wait < longest_wait_ns; i++)
        wait *= LATER_TIMES;
    return MIN(wait, longest_wait_ns);
}

/* Tries once and fills the delivery. False: we were told to stop, and it counts for nothing. */
static bool attempt(Hub *hub, Arena *a, WebhookTask *task)
{
    Webhooks *w = hub->webhooks;
    Delivery *d = &task->delivery;
    Error err = {0};
    ClientAnswer answer = {0};
    AUTO(client_free) Client *client = client_new();
    Str body = webhook_body(a, &task->record, task->webhook.id, w->url);
    ClientCall call = {.method = "POST",
                       .url = arena_cstr(a, task->webhook.url),
                       .headers = headers_of(a, task, body),
                       .body = body,
                       .max_body = MAX_RESPONSE,
                       .cut = true,
                       .cancelled = &w->stop,
                       .connect_seconds = CONNECT_S,
                       .total_seconds = ANSWER_S,
                       .stay = true,
                       .public_only = true,
                       .allow = w->allow};
    int64_t began = clock_ns();
    bool answered = client_call(client, a, &call, &answer, &err);
    if (!answered && err.code == ERR_CANCELLED)
        return false;
    bool good = answered && answer.status >= 200 && answer.status < 300;
    d->attempts++;
    d->took_ms = (clock_ns() - began) / NS_PER_MS;
    d->sent_ns = wall_ns();
    d->status = answer.status;
    d->problem = response_text(a, str_of(err.text));
    d->response = response_text(a, answer.body);
    d->response_cut = answer.body.len == MAX_RESPONSE;
    // Nothing that could change by itself: "gone", and an address that we do not call.
    bool in_vain = answer.status == 410 || err.code == ERR_DENIED || err.code == ERR_INVALID;
    bool over = good || in_vain || d->attempts >= w->attempts;
    d->state = good ? S("delivered") : over ? S("failed") : S("waiting");
    d->next_ns = over ? 0 : d->sent_ns + wait_after(w, d->attempts);
    log_info("webhook", "webhook=%.*s delivery=%.*s state=%.*s status=%lld ms=%lld",
             STR(task->webhook.id), STR(d->id), STR(d->state), (long long)d->status,
             (long long)d->took_ms);
    return true;
}

static bool disable(Conn *c, Str webhook, int64_t in_row, Error *err)
{
    char reason[100];
    snprintf(reason, sizeof reason, "%lld deliveries in a row failed", (long long)in_row);
    log_info("webhook-disabled", "webhook=%.*s failures=%lld", STR(webhook), (long long)in_row);
    return sql_webhook_disable(c, webhook, true, str_of(reason), err) &&
           sql_deliveries_drop(c, webhook, err);
}

static bool note(Hub *hub, const WebhookTask *task, Error *err)
{
    const Delivery *d = &task->delivery;
    Str id = task->webhook.id;
    int64_t in_row = 0;
    bool over = !str_eq(d->state, S("waiting")), failed = str_eq(d->state, S("failed"));
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_delivery_set(c, d, err) &&
           (!over || sql_webhook_failures(c, id, failed, &in_row, err)) &&
           (in_row < WEBHOOK_GIVES_UP || disable(c, id, in_row, err)) && conn_commit(c, err);
}

/* Its owner may not know of it any more: what was never sent was never there. */
static bool withhold(Hub *hub, const WebhookTask *task, Error *err)
{
    Delivery d = task->delivery;
    d.state = S("dropped");
    d.problem = S("its owner may not read this repository any more");
    d.next_ns = 0;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && (d.attempts ? sql_delivery_set(c, &d, err) : sql_delivery_remove(c, d.id, err)) &&
           conn_commit(c, err);
}

/* The webhook's next delivery. *more: there was one. */
static bool send_next(Hub *hub, Arena *a, Str webhook, bool *more, Error *err)
{
    WebhookTask task;
    Error seen = {0};
    *more = false;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c)
            return false;
        if (!sql_webhook_task(c, a, webhook, S(""), wall_ns(), &task, &seen)) {
            if (seen.code != ERR_NOT_FOUND)
                *err = seen;
            return seen.code == ERR_NOT_FOUND;
        }
    }
    *more = true;
    bool may = false;
    if (!webhook_may_know(hub, a, task.owner_id, &task.record, &may, err))
        return false;
    if (!may || task.webhook.disabled)
        return withhold(hub, &task, err);
    if (attempt(hub, a, &task))
        return note(hub, &task, err);
    *more = false;
    return true;
}

static void run_job(void *context)
{
    Job *job = context;
    Webhooks *w = job->hub->webhooks;
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    bool ok = true, more = true;
    int64_t until = clock_ns() + JOB_S * NS_PER_S;
    while (ok && more && clock_ns() < until && !atomic_load(&w->stop)) {
        arena_reset(a);
        ok = send_next(job->hub, a, str_of(job->webhook), &more, &err);
    }
    if (!ok)
        log_warn("webhook", "webhook=%s error=\"%s\"", job->webhook, err.text);
    pthread_mutex_lock(&w->lock);
    job->busy = false;
    pthread_mutex_unlock(&w->lock);
    signal_to(w, false, !ok);
}

/* ---- Who is next ---- */

/* A free job, if this webhook may have one now. */
static Job *job_take(Webhooks *w, Str webhook, Str owner)
{
    Job *free_one = NULL;
    int of_owner = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < SENDERS; i++) {
        Job *job = &w->jobs[i];
        of_owner += job->busy && str_eq(str_of(job->owner), owner);
        if (job->busy && str_eq(str_of(job->webhook), webhook))
            of_owner = OF_ONE_OWNER;
        if (!job->busy)
            free_one = job;
    }
    if (of_owner >= OF_ONE_OWNER)
        free_one = NULL;
    if (free_one) {
        free_one->busy = true;
        snprintf(free_one->webhook, ID_SIZE, "%.*s", STR(webhook));
        snprintf(free_one->owner, ID_SIZE, "%.*s", STR(owner));
    }
    pthread_mutex_unlock(&w->lock);
    return free_one;
}

static bool start_due(Hub *hub, int64_t *next_ns, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str *ids = NEW_ARRAY(a, Str, DUE), *owners = NEW_ARRAY(a, Str, DUE);
    size_t n;
    int64_t now = wall_ns();
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_webhooks_due(c, a, now, DUE, ids, owners, &n, err) ||
            !sql_delivery_next(c, now, next_ns, err))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        Job *job = job_take(hub->webhooks, ids[i], owners[i]);
        if (!job)
            continue;
        job->hub = hub;
        CHECK(workers_run(hub->webhooks->workers, run_job, job));
    }
    return true;
}

/* ---- From what happened to deliveries ---- */

static bool add_deliveries(Hub *hub, Arena *a, const WebhookRecord *record, const Str *webhooks,
                           size_t n, Str cursor, Error *err)
{
    int64_t now = wall_ns(), today;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!sql_delivery_count(c, webhooks[i], now - 86400 * NS_PER_S, &today, err))
            return false;
        if (today < WEBHOOKS_A_DAY &&
            !sql_delivery_add(c, id_new(a), webhooks[i], record->id, now, record->created_ns, err))
            return false;
        if (today == WEBHOOKS_A_DAY)
            log_info("webhook-limit", "webhook=%.*s", STR(webhooks[i]));
    }
    return sql_webhook_record_pass(c, record->id, cursor, err) && conn_commit(c, err);
}

/* Gives a record to the next webhooks that watch and may know. */
static bool spread(Hub *hub, Arena *a, const WebhookRecord *record, Error *err)
{
    Str *ids = NEW_ARRAY(a, Str, WATCHERS), *owners = NEW_ARRAY(a, Str, WATCHERS);
    size_t n, kept = 0;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_webhook_watchers(c, a, record, WATCHERS, ids, owners, &n, err))
            return false;
    }
    Str cursor = n == WATCHERS ? ids[n - 1] : S("");
    for (size_t i = 0; i < n; i++) {
        bool may = false;
        Error seen = {0};
        if (!webhook_may_know(hub, a, owners[i], record, &may, &seen) &&
            seen.code != ERR_NOT_FOUND) {
            *err = seen;
            return false;
        }
        if (may)
            ids[kept++] = ids[i];
    }
    return add_deliveries(hub, a, record, ids, kept, cursor, err);
}

static bool spread_all(Hub *hub, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    while (!atomic_load(&hub->webhooks->stop)) {
        WebhookRecord record;
        Error seen = {0};
        bool found;
        {
            AUTO(conn_end) Conn *c = db_read(hub->db, err);
            if (!c)
                return false;
            found = sql_webhook_record_next(c, a, &record, &seen);
        }
        if (!found && seen.code != ERR_NOT_FOUND)
            *err = seen;
        if (!found)
            return seen.code == ERR_NOT_FOUND;
        if (!spread(hub, a, &record, err))
            return false;
        arena_reset(a);
    }
    return true;
}

static bool prune(Hub *hub, Error *err)
{
    int64_t n = 1, before = wall_ns() - WEBHOOK_LOG_DAYS * 86400 * NS_PER_S;
    while (n > 0 && !atomic_load(&hub->webhooks->stop)) {
        AUTO(conn_end) Conn *c = db_write(hub->db, err);
        if (!c || !sql_webhooks_prune(c, before, WEBHOOK_LOG_LENGTH, &n, err) ||
            !conn_commit(c, err))
            return false;
    }
    return true;
}

/* ---- The dispatcher ---- */

static void wait_until(Webhooks *w, int64_t wall)
{
    struct timespec until = {.tv_sec = wall / NS_PER_S, .tv_nsec = wall % NS_PER_S};
    pthread_mutex_lock(&w->lock);
    while (!w->look && !atomic_load(&w->stop) &&
           pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

/* What was recorded can be read once its transaction has ended: that is, when it is our turn. */
static bool take_turn(Hub *hub, Error *err)
{
    Webhooks *w = hub->webhooks;
    pthread_mutex_lock(&w->lock);
    bool recorded = w->recorded, trouble = w->trouble;
    w->look = w->recorded = w->trouble = false;
    pthread_mutex_unlock(&w->lock);
    if (trouble)
        return fail(err, ERR_IO, "a delivery could not be made or noted");
    if (!recorded)
        return true;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c != NULL;
}

static void *dispatch(void *context)
{
    Hub *hub = context;
    Webhooks *w = hub->webhooks;
    int64_t pruned = 0;
    while (!atomic_load(&w->stop)) {
        Error err = {0};
        int64_t next = INT64_MAX, now = wall_ns();
        bool ok = take_turn(hub, &err) && spread_all(hub, &err) && start_due(hub, &next, &err);
        if (ok && now - pruned > prune_every_ns) {
            ok = prune(hub, &err);
            pruned = now;
        }
        if (!ok) {
            log_warn("webhooks", "error=\"%s\"", err.text);
            pthread_mutex_lock(&w->lock);
            w->look = false; // not at once: it would only fail again
            pthread_mutex_unlock(&w->lock);
        }
        wait_until(w, ok ? MIN(next, now + look_every_ns) : wall_ns() + after_trouble_ns);
    }
    return NULL;
}

bool webhooks_set(Hub *hub, const WebhookOptions *options, Error *err)
{
    Webhooks *w = hub->webhooks;
    AUTO(networks_free) Networks *allow = networks_new(options->allow ? options->allow : "", err);
    if (!allow)
        return fail_while(err, "networks that webhooks may call");
    networks_free(w->allow);
    w->allow = TAKE(allow);
    w->retry_ns = options->retry_s * NS_PER_S;
    w->attempts = options->attempts;
    return true;
}

bool webhooks_start(Hub *hub, const char *url, Error *err)
{
    Webhooks *w = hub->webhooks;
    if (w->started)
        return fail(err, ERR_INVALID, "webhooks are being sent already");
    pthread_mutex_lock(&w->lock);
    w->url = xstrdup(url);
    pthread_mutex_unlock(&w->lock);
    w->workers = workers_new("webhook", SENDERS, SENDERS);
    w->look = w->recorded = true;
    w->thread = thread_start("webhooks", dispatch, hub);
    w->started = true;
    return true;
}
