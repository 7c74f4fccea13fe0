/* verb_serve.c: `hug serve`: the hub, its pages, its API and the models it runs, in one process.
 *
 * Start: settings, data folder, listening socket, and it is up; the first start of all makes an
 * administrator. Models are loaded when they are asked for. SIGTERM and SIGINT end it: requests
 * finish for a while, then they are cancelled. */
#include "api/api.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "fetch/fetch.h"
#include "hub/webhooks.h"
#include "net/limits.h"
#include "net/traffic.h"
#include "serve/serve.h"
#include "tensor/tensor.h"
#include "web/web.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#define ADMIN "hug" // whom the first start makes; "admin" is a path of the pages

typedef struct Options {
    const char *data, *listen, *db, *blobs, *url, *log, *trusted_proxies, *webhooks_allow;
    bool no_signup, quiet, routes;
    const char *cache_dtype, *assistant_model;
    int64_t webhook_retry, webhook_attempts;
    int64_t rate_window, rate_api, rate_resolvers, rate_pages, rate_account_times;
    int64_t lfs_part_size, long_workers;
    int64_t workers, model_memory, cache_memory, max_batch_size, max_connections, stop_seconds;
} Options;

static const Setting settings[] = {
    SETTING(Options, data, TEXT, "data", "data", "DIR", "everything the hub keeps lies here"),
    SETTING(Options, listen, TEXT, "listen", "127.0.0.1:7860", "ADDRESS:PORT",
            "where to listen; port 0 is any free one"),
    SETTING(Options, db, TEXT, "db", NULL, "URL",
            "the database: sqlite:PATH, postgres://...; DIR/hub.db if absent"),
    SETTING(Options, blobs, TEXT, "blobs", NULL, "FOLDER",
            "where content lies that is not kept in chunks; DIR/blobs if absent"),
    SETTING(Options, url, TEXT, "url", NULL, "URL",
            "how the world sees the hub, for links behind a proxy"),
    SETTING(Options, no_signup, FLAG, "no-signup", NULL, NULL,
            "accounts are made by `hug admin user add` only"),
    SETTING(Options, trusted_proxies, TEXT, "trusted-proxies", NULL, "ADDRESSES",
            "proxies that may say whom they speak for: 127.0.0.1, 10.0.0.0/8"),
    SETTING(Options, webhooks_allow, TEXT, "webhooks-allow", NULL, "NETWORKS",
            "that webhooks may call though they are not of the open internet: 10.0.0.0/8"),
    {.name = "webhook-retry",
     .kind = SETTING_INT,
     .offset = offsetof(Options, webhook_retry),
     .otherwise = "10",
     .value = "SECONDS",
     .help = "until a webhook's second attempt; each later one waits five times longer",
     .max = 86400},
    {.name = "webhook-attempts",
     .kind = SETTING_INT,
     .offset = offsetof(Options, webhook_attempts),
     .otherwise = "6",
     .value = "N",
     .help = "at a webhook's delivery, then it is given up",
     .min = 1,
     .max = 20},
    {.name = "rate-window",
     .kind = SETTING_INT,
     .offset = offsetof(Options, rate_window),
     .otherwise = "300",
     .value = "SECONDS",
     .help = "over which requests are counted; 0 is no limits",
     .max = 86400},
    SETTING(Options, rate_api, INT, "rate-api", "3000", "N",
            "calls of the API by one address in a window; 0 is no limit"),
    SETTING(Options, rate_resolvers, INT, "rate-resolvers", "15000", "N", "the same for files"),
    SETTING(Options, rate_pages, INT, "rate-pages", "1500", "N", "the same for pages"),
    {.name = "rate-account-times",
     .kind = SETTING_INT,
     .offset = offsetof(Options, rate_account_times),
     .otherwise = "10",
     .value = "N",
     .help = "an account may so many times as many as an address",
     .min = 1,
     .max = 1000000},
    {.name = "lfs-part-size",
     .kind = SETTING_BYTES,
     .offset = offsetof(Options, lfs_part_size),
     .otherwise = "64M",
     .value = "SIZE",
     .help = "git-lfs uploads larger than eight of these may come in parts of it",
     .min = 64 << 10,
     .max = INT64_C(5) << 30},
    SETTING(Options, model_memory, BYTES, "model-memory", "0", "SIZE",
            "for loaded models; half of the machine's if absent"),
    SETTING(Options, cache_memory, BYTES, "cache-memory", "0", "SIZE",
            "for keys and values of one model, remembered prompts included; an eighth of the "
            "machine's if absent"),
    SETTING(Options, cache_dtype, TEXT, "cache-dtype", "f32", "D",
            "of keys and values: f32, or f16, bf16, q8_0 to save memory"),
    SETTING(Options, assistant_model, TEXT, "assistant-model", NULL, "M",
            "a smaller model, a folder or a hub id, that proposes tokens for those that have its "
            "vocabulary"),
    {.name = "max-batch-size",
     .kind = SETTING_INT,
     .offset = offsetof(Options, max_batch_size),
     .otherwise = "16",
     .value = "N",
     .help = "requests that models compute at once",
     .min = 1,
     .max = 1024},
    {.name = "workers",
     .kind = SETTING_INT,
     .offset = offsetof(Options, workers),
     .otherwise = "64",
     .value = "N",
     .help = "requests that may block at once",
     .min = 2,
     .max = 4096},
    {.name = "long-workers",
     .kind = SETTING_INT,
     .offset = offsetof(Options, long_workers),
     .otherwise = "256",
     .value = "N",
     .help = "uploads, clones and calls of models at once, beside those",
     .min = 2,
     .max = 4096},
    {.name = "max-connections",
     .kind = SETTING_INT,
     .offset = offsetof(Options, max_connections),
     .otherwise = "4096",
     .value = "N",
     .help = "open connections",
     .min = 8,
     .max = 1 << 20},
    {.name = "stop-seconds",
     .kind = SETTING_INT,
     .offset = offsetof(Options, stop_seconds),
     .otherwise = "10",
     .value = "N",
     .help = "how long requests may finish when the server is told to stop",
     .max = 3600},
    SETTING(Options, log, TEXT, "log", "info", "LEVEL", "debug, info, warn or error"),
    SETTING(Options, quiet, FLAG, "no-request-log", NULL, NULL, "no line for each request"),
    SETTING(Options, routes, FLAG, "routes", NULL, NULL,
            "print what there is to ask for, method and address, and stop"),
};

/* The command line says where the data are; the file there, hug.conf, stands below it. */
static bool read_options(Options *o, char *const *args, Arena *a, Error *err)
{
    if (!settings_read(o, settings, COUNT(settings), &(SettingSources){.args = args}, a, err))
        return false;
    const char *file = arena_printf(a, "%s/hug.conf", o->data);
    return settings_read(o, settings, COUNT(settings),
                         &(SettingSources){.file = file, .args = args}, a, err);
}

bool serve_db(const char *data, Arena *a, const char **db, Error *err)
{
    Options o;
    char *args[] = {arena_printf(a, "--data=%s", data), NULL};
    if (!read_options(&o, args, a, err))
        return false;
    *db = o.db;
    return true;
}

/* Words that are easy to type: 25 of 32 letters and digits, 125 bits. */
static void make_password(char out[30])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789z";
    uint8_t bytes[25];
    random_bytes(bytes, sizeof bytes);
    char *end = out;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i && i % 5 == 0)
            *end++ = '-';
        *end++ = letters[bytes[i] % 32];
    }
    *end = 0;
}

/* The first account of all; *how is then how to log in with it. */
static bool first_account(Hub *hub, Arena *a, const char **how, Error *err)
{
    const char *given = getenv("HUG_ADMIN_PASSWORD");
    char made[30];
    make_password(made);
    Account account;
    NewUser user = {.name = S(ADMIN), .password = str_of(given ? given : made), .admin = true};
    if (!user_create(hub, a, &user, &account, err))
        return fail_while(err, given ? "HUG_ADMIN_PASSWORD" : "first account");
    *how = given ? "as " ADMIN " with the password in HUG_ADMIN_PASSWORD"
                 : arena_printf(a, "as " ADMIN " with the password %s (shown this once)", made);
    return true;
}

static void say_hello(const Options *o, const Server *server, const Hub *hub, const char *how,
                      int64_t took_ns)
{
    printf("hug serves   http://%s\n", server_address(server));
    printf("data         %s\n", hub_data(hub));
    if (how)
        printf("log in       %s\n", how);
    else
        printf("log in       with your account; `hug admin user add NAME --admin --data %s` makes "
               "another\n",
               o->data);
    printf("clients      export HF_ENDPOINT=http://%s\n", server_address(server));
    printf("ready        in %lld ms\n", (long long)(took_ns / NS_PER_MS));
    fflush(stdout);
}

static const RouteTable **all_tables(Arena *a, Api *api, Web *web)
{
    const RouteTable **groups[] = {api_tables(api), web_tables(web)};
    size_t n = 0;
    const RouteTable **all = NEW_ARRAY(a, const RouteTable *, 256);
    for (size_t g = 0; g < COUNT(groups); g++)
        for (size_t i = 0; groups[g][i]; i++) {
            CHECK(n < 255);
            all[n++] = groups[g][i];
        }
    return all;
}

/* "api POST /api/repos/create  Make a repository"; tests/http/permissions.txt has a line for each.
 */
static void print_routes(const RouteTable *const *tables)
{
    for (; *tables; tables++)
        for (size_t i = 0; i < (*tables)->n; i++) {
            const Route *route = &(*tables)->routes[i];
            printf("%s %s %s  %s\n", (*tables)->admit == api_admit ? "api" : "page", route->method,
                   route->pattern, route->summary);
        }
}

/* Browsers get pages, programs JSON. */
static void on_error(Request *r, int status, const char *text, const Error *err)
{
    (web_wants(r) ? web_error : api_error)(r, status, text, err);
}

static Limits *limits_of(const Options *o)
{
    LimitsOptions options = {.window_s = o->rate_window,
                             .most = {[LIMIT_API] = o->rate_api,
                                      [LIMIT_RESOLVERS] = o->rate_resolvers,
                                      [LIMIT_PAGES] = o->rate_pages},
                             .account_times = o->rate_account_times};
    return o->rate_window ? limits_new(&options) : NULL;
}

static bool serve_until_signal(const Options *o, Hub *hub, Arena *a, int64_t began, Error *err)
{
    int64_t accounts;
    if (!account_count(hub, &accounts, err))
        return false;
    const char *assistant = o->assistant_model ? fetch_model(a, o->assistant_model, err) : NULL;
    if (o->assistant_model && !assistant)
        return fail_while(err, "--assistant-model");
    AUTO(pool_free)
    Pool *pool = pool_new(&(PoolOptions){.memory = o->model_memory,
                                         .batch = o->max_batch_size,
                                         .cache_dtype = o->cache_dtype,
                                         .assistant = assistant,
                                         .cache_memory = o->cache_memory});
    AUTO(limits_free) Limits *limits = limits_of(o);
    AUTO(traffic_free) Traffic *traffic = traffic_new();
    Api api = {.hub = hub,
               .pool = pool,
               .url = o->url,
               .limits = limits,
               .traffic = traffic,
               .part_size = o->lfs_part_size};
    AUTO(web_free)
    Web *web = web_new(&(WebOptions){.hub = hub,
                                     .pool = pool,
                                     .url = o->url,
                                     .limits = limits,
                                     .traffic = traffic,
                                     .no_signup = o->no_signup},
                       err);
    if (!web)
        return false;
    if (o->routes) {
        print_routes(all_tables(a, &api, web));
        return true;
    }
    // Where the dataset library asks: HF_ENDPOINT with this before its host.
    static const HostPath hosts[] = {{"datasets-server.", "/api/datasets-server"}, {NULL, NULL}};
    ServerOptions options = {.listen = o->listen,
                             .tables = all_tables(a, &api, web),
                             .workers = (int)o->workers,
                             .long_workers = (int)o->long_workers,
                             .max_connections = (int)o->max_connections,
                             .on_error = on_error,
                             .trusted_proxies = o->trusted_proxies,
                             .hosts = hosts,
                             .log_requests = !o->quiet,
                             .traffic = traffic};
    Server *server = server_start(&options, err);
    if (!server)
        return false;
    const char *url = o->url ? o->url : arena_printf(a, "http://%s", server_address(server));
    if (!webhooks_start(hub, url, err)) {
        server_stop(server, 0);
        return false;
    }
    int64_t took_ns = clock_ns() - began;
    const char *log_in = NULL;
    // Only now: a password's hash is slow on purpose, and nobody needs to wait for it.
    if (accounts == 0 && !first_account(hub, a, &log_in, err)) {
        server_stop(server, 0);
        return false;
    }
    say_hello(o, server, hub, log_in, took_ns);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    int signal_number;
    sigwait(&ends, &signal_number);
    log_info("stop", "signal=%d active=%lld", signal_number,
             (long long)server_counts(server).active);
    server_stop(server, o->stop_seconds * NS_PER_S);
    return true;
}

/* A shell gives 1,024 open files, and each connection takes one or more: as many as we may have. */
static void raise_open_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        log_warn("files", "error=\"%s\"", strerror(errno));
}

static bool run(int n, char **args, Error *err)
{
    int64_t began = clock_ns();
    raise_open_files();
    // Before any thread starts: all inherit it, and only this one waits for them.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    AUTO(arena_free) Arena *a = arena_new(0);
    Options o;
    LogLevel level;
    if (!read_options(&o, args + 1, a, err))
        return false;
    if (!log_level_parse(str_of(o.log), &level))
        return fail(err, ERR_USAGE, "--log: wanted debug, info, warn or error, found '%s'", o.log);
    log_set_level(level);
    DType cache_type;
    if (!kv_cache_type_parse(o.cache_dtype, &cache_type, err))
        return fail_while(err, "--cache-dtype");
    AUTO(hub_close)
    Hub *hub = hub_open(&(HubOptions){.data = o.data, .db = o.db, .blobs = o.blobs}, err);
    WebhookOptions webhooks = {
        .allow = o.webhooks_allow, .retry_s = o.webhook_retry, .attempts = o.webhook_attempts};
    return hub && webhooks_set(hub, &webhooks, err) && serve_until_signal(&o, hub, a, began, err);
}

const Verb verb_serve = {
    .name = "serve",
    .synopsis = "[--data DIR] [--listen ADDRESS:PORT] [--no-signup] ...",
    .summary = "runs the hub: pages, git, API, inference",
    .help =
        "Settings may also stand in DIR/hug.conf (`listen = 0.0.0.0:80`) and in the environment\n"
        "(HUG_LISTEN). The first start makes the account \"hug\", an administrator, and prints its "
        "password, or\n"
        "takes it from HUG_ADMIN_PASSWORD.",
    .run = run,
    .settings = settings,
    .n_settings = COUNT(settings),
};
