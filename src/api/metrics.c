/* metrics.c: GET /metrics: what the server and its models do, as Prometheus reads it; for
 * administrators. */
#include "api/api_internal.h"

#include "base/clock.h"
#include "net/traffic.h"
#include "serve/serve.h"

typedef struct Metric {
    const char *name, *type, *help;
    int64_t value;
} Metric;

static void add_traffic(Buf *text, Traffic *traffic)
{
    TrafficTotals all = traffic_totals(traffic);
    int64_t n = 0;
    buf_printf(text, "# HELP hug_http_requests_total requests answered, by class of status\n"
                     "# TYPE hug_http_requests_total counter\n");
    for (int i = 1; i < 6; i++)
        buf_printf(text, "hug_http_requests_total{class=\"%dxx\"} %lld\n", i,
                   (long long)all.classes[i]);
    buf_printf(text, "# HELP hug_http_request_seconds from a request's first byte to its answer's "
                     "last\n# TYPE hug_http_request_seconds histogram\n");
    for (int i = 0; i < TRAFFIC_STEPS; i++) {
        n += all.steps[i];
        if (i < TRAFFIC_STEPS - 1)
            buf_printf(text, "hug_http_request_seconds_bucket{le=\"%g\"} %lld\n",
                       (double)traffic_step_ns(i) / (double)NS_PER_S, (long long)n);
    }
    buf_printf(text,
               "hug_http_request_seconds_bucket{le=\"+Inf\"} %lld\n"
               "hug_http_request_seconds_sum %g\nhug_http_request_seconds_count %lld\n",
               (long long)n, (double)all.took_ns / (double)NS_PER_S, (long long)n);
}

static void show_metrics(Request *r)
{
    Error err = {0};
    if (!api_viewer(r)->account.is_admin) {
        (void)!fail(&err, ERR_DENIED, "metrics are for administrators");
        return reply_error(r, &err);
    }
    PoolCounts c = {0};
    if (api_of(r)->pool)
        c = pool_counts(api_of(r)->pool);
    const Metric metrics[] = {
        {"hug_requests_running", "gauge", "requests that models compute now", c.jobs_running},
        {"hug_requests_waiting", "gauge", "requests that wait", c.jobs_waiting},
        {"hug_requests_total", "counter", "requests that models have answered", c.jobs_done},
        {"hug_generated_tokens_total", "counter", "tokens generated", c.tokens},
        {"hug_model_memory_bytes", "gauge", "loaded models and what they remember", c.memory},
        {"hug_batch_steps_total", "counter", "steps of loaded models", c.shared.steps},
        {"hug_batch_tokens_total", "counter", "tokens computed in these steps", c.shared.rows},
        {"hug_batch_sequences_max", "gauge", "most sequences in one step", c.shared.most},
        {"hug_prefix_reused_tokens_total", "counter", "tokens of prompts that were remembered",
         c.shared.reused},
        {"hug_preemptions_total", "counter", "sequences that gave their memory up for a while",
         c.shared.preempted},
        {"hug_drafted_tokens_total", "counter", "tokens that the assistant proposed",
         c.shared.drafted},
        {"hug_accepted_tokens_total", "counter", "of these, those that were right",
         c.shared.accepted},
        {"hug_cache_bytes", "gauge", "memory of keys and values", (int64_t)c.shared.cache_bytes},
    };
    AUTO_BUF text;
    buf_init(&text, 0);
    for (size_t i = 0; i < COUNT(metrics); i++) {
        const Metric *m = &metrics[i];
        buf_printf(&text, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", m->name, m->help, m->name,
                   m->type, m->name, (long long)m->value);
    }
    if (api_of(r)->traffic)
        add_traffic(&text, api_of(r)->traffic);
    reply_buf(r, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

const Route metrics_routes[] = {
    {"GET", "/metrics", show_metrics, .access = API_LOGGED_IN, .summary = "Counts, for Prometheus"},
};
const size_t metrics_routes_n = COUNT(metrics_routes);
