/* page_admin.c: how the hub does, for its administrators: requests, models in memory, storage,
 * accounts, and what went wrong lately. */
#include "base/file.h"
#include "base/log.h"
#include "net/traffic.h"
#include "serve/serve.h"
#include "web/chart.h"
#include "web/web_internal.h"

enum { LARGEST = 10, ACCOUNTS = 100, SHOWN_MINUTES = 15 };

/* "0.4 ms", "1.25 s" */
static json_t *json_time_taken(int64_t ns)
{
    double ms = (double)ns / (double)NS_PER_MS;
    if (ns == 0)
        return json_string("-");
    return ms < 1000 ? json_sprintf("%.*f ms", ms < 10 ? 2 : 0, ms)
                     : json_sprintf("%.2f s", ms / 1000);
}

/* ---- Requests ---- */

static json_t *minute_json(const TrafficMinute *m, int ago)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:o}", "ago", ago, "requests", json_count(m->requests),
                     "failed", json_count(m->failed), "p50", json_time_taken(m->p50_ns), "p99",
                     json_time_taken(m->p99_ns));
}

static void set_requests(json_t *page)
{
    TrafficMinute minutes[TRAFFIC_MINUTES] = {0};
    int64_t requests[TRAFFIC_MINUTES], p99[TRAFFIC_MINUTES], all = 0, failed = 0, most = 0;
    int64_t slowest = 0;
    Traffic *traffic = web_current()->options.traffic;
    if (traffic)
        traffic_minutes(traffic, minutes);
    for (int i = 0; i < TRAFFIC_MINUTES; i++) {
        requests[i] = minutes[i].requests;
        p99[i] = minutes[i].p99_ns;
        all += requests[i];
        failed += minutes[i].failed;
        most = MAX(most, requests[i]);
        slowest = MAX(slowest, p99[i]);
    }
    json_t *rows = json_array(), *slow = json_time_taken(slowest);
    for (int i = 0; i < SHOWN_MINUTES; i++)
        json_array_append_new(rows, minute_json(&minutes[TRAFFIC_MINUTES - 1 - i], i));
    static const ChartSize size = {600, 60};
    set(page, "rate",
        chart_line(requests, TRAFFIC_MINUTES, &size,
                   json_sprintf("%lld requests in two hours, at most %lld in a minute",
                                (long long)all, (long long)most)));
    set(page, "latency",
        chart_line(p99, TRAFFIC_MINUTES, &size,
                   json_sprintf("99 of 100 requests were answered within %s in the slowest minute",
                                json_string_value(slow))));
    set(page, "slowest", slow);
    set(page, "requests", json_count(all));
    set(page, "busiest", json_count(most));
    set(page, "failed", json_count(failed));
    set(page, "minutes", rows);
}

/* ---- Models ---- */

static json_t *model_json(const ModelInfo *m)
{
    json_t *o = json_object();
    set_str(o, "id", m->id);
    set(o, "task", json_string(m->task ? m->task : ""));
    set(o, "state", json_string(model_state_name(m->state)));
    set(o, "memory", json_size((int64_t)m->memory));
    set(o, "jobs", json_count(m->jobs));
    set(o, "used", json_when(m->used_ns));
    return o;
}

static void set_models(Request *r, json_t *page)
{
    Pool *pool = web_current()->options.pool;
    PoolCounts counts = {0};
    ModelInfo *models = NULL;
    size_t n = 0;
    json_t *list = json_array();
    if (pool) {
        counts = pool_counts(pool);
        pool_list(pool, request_arena(r), &models, &n);
    }
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, model_json(&models[i]));
    set(page, "models", list);
    set(page, "model_memory", json_size(counts.memory));
    set(page, "running", json_count(counts.jobs_running));
    set(page, "waiting", json_count(counts.jobs_waiting));
    set(page, "answered", json_count(counts.jobs_done));
    set(page, "generated", json_count(counts.tokens));
}

/* ---- Storage ---- */

static int by_bytes(const void *a, const void *b)
{
    const RepoItem *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static bool set_storage(Request *r, json_t *page, Error *err)
{
    int64_t left, all, repos = 0;
    size_t n = 0;
    RepoItem found[REPO_KINDS * LARGEST];
    if (!file_disk_space(hub_data(hub_of(r)), &left, &all, err))
        return false;
    for (int kind = 0; kind < REPO_KINDS; kind++) {
        RepoPage some;
        RepoQuery query = {.kind = (RepoKind)kind, .sort = SORT_BYTES, .limit = LARGEST};
        if (!repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, &some, err))
            return false;
        repos += some.total;
        for (size_t i = 0; i < some.n; i++)
            found[n++] = some.items[i];
    }
    if (n)
        qsort(found, n, sizeof *found, by_bytes);
    json_t *list = json_array();
    for (size_t i = 0; i < MIN(n, (size_t)LARGEST); i++) {
        json_t *row = item_json(&found[i]);
        set(row, "bytes", json_size(found[i].bytes));
        json_array_append_new(list, row);
    }
    set(page, "largest", list);
    set(page, "repos", json_count(repos));
    set(page, "disk_left", json_size(left));
    set(page, "disk_all", json_size(all));
    set(page, "data", json_string(hub_data(hub_of(r))));
    return true;
}

/* ---- Accounts and the log ---- */

static json_t *account_row(const Account *account)
{
    json_t *o = json_object();
    set_str(o, "name", account->name);
    set_str(o, "fullname", account->fullname);
    set_str(o, "email", account->email);
    set(o, "kind",
        json_string(account->is_org     ? "organisation"
                    : account->is_admin ? "administrator"
                                        : "user"));
    set(o, "created", json_when(account->created_ns));
    return o;
}

/* Is `part`, in small letters, somewhere in s? */
static bool has_part(Arena *a, Str s, Str part)
{
    return str_find(arena_lower(a, s), part, 0) != SIZE_MAX;
}

/* By name; with ?q= those that have it in their names. */
static bool set_accounts(Request *r, json_t *page, Error *err)
{
    Arena *a = request_arena(r);
    Account *accounts;
    size_t n;
    Str wanted = str_trim(request_query_get(r, "q"));
    if (!account_list(hub_of(r), a, &accounts, &n, err))
        return false;
    json_t *list = json_array();
    int64_t matches = 0;
    Str part = arena_lower(a, wanted);
    for (size_t i = 0; i < n; i++) {
        bool match = has_part(a, accounts[i].name, part) || has_part(a, accounts[i].fullname, part);
        if (match && matches++ < ACCOUNTS)
            json_array_append_new(list, account_row(&accounts[i]));
    }
    set(page, "accounts", list);
    set(page, "accounts_n", json_count(matches));
    set(page, "accounts_more", json_boolean(matches > ACCOUNTS));
    set_str(page, "q", wanted);
    return true;
}

static json_t *log_json(Request *r)
{
    Str lines[LOG_KEPT];
    size_t n = log_recent(request_arena(r), lines);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_from_str(lines[i]));
    return list;
}

static void admin(Request *r)
{
    Error err = {0};
    if (!web_viewer(r)->account.is_admin) {
        (void)!fail(&err, ERR_DENIED, "this page is for administrators of the hub");
        return reply_error(r, &err);
    }
    json_t *page = page_new(r, "Administration");
    set_requests(page);
    set_models(r, page);
    set(page, "log", log_json(r));
    if (set_storage(r, page, &err) && set_accounts(r, page, &err))
        return page_render(r, 200, "admin", page);
    json_decref(page);
    reply_error(r, &err);
}

const Route web_admin_routes[] = {
    {"GET", "/admin", admin, .access = WEB_LOGGED_IN, .summary = "How the hub does"},
};
const size_t web_admin_routes_n = COUNT(web_admin_routes);
