/* server.c: the daemon, and what its loops do with each request; see server_internal.h. */
#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"
#include "net/traffic.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- Requests: birth and death ----

static Request *request_new(Server *s, Conn *conn, struct MHD_Connection *mhd, Str target)
{
    Request *r = xcalloc(1, sizeof *r);
    r->server = s;
    r->conn = conn;
    r->mhd = mhd;
    r->arena = arena_new(0);
    r->refs = 1;
    r->out_last = &r->out_headers;
    r->started_ns = clock_ns();
    r->target = arena_str(r->arena, target);
    r->remote = arena_str(r->arena, str_of(conn->remote));
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    s->requests++;
    s->active++;
    return r;
}

void request_ref(Request *r)
{
    atomic_fetch_add(&r->refs, 1);
}

void request_unref(Request *r)
{
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    if (r->response)
        MHD_destroy_response(r->response);
    if (r->zlib) {
        inflateEnd(r->zlib);
        free(r->zlib);
        free(r->zlib_in);
    }
    pipe_done(&r->body);
    pipe_done(&r->out);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    Server *s = r->server;
    arena_free(r->arena);
    free(r);
    s->active--;
}

void request_resume(Request *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    MHD_resume_connection(r->mhd);
}

static void suspend(Request *r)
{
    r->suspended = true;
    MHD_suspend_connection(r->mhd);
}

void request_set_gone(Request *r)
{
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->gone, true);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

// ---- The head ----

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
    Request *r = context;
    Params *all = &r->headers;
    if (all->n < MAX_HEADERS)
        all->items[all->n++] =
            (Param){arena_str(r->arena, (Str){name, name_len}),
                    value ? arena_str(r->arena, (Str){value, value_len}) : S("")};
    return MHD_YES;
}

static void copy_headers(Request *r)
{
    int n = MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, NULL, NULL);
    r->headers.items = NEW_ARRAY(r->arena, Param, (size_t)MIN(MAX(n, 1), MAX_HEADERS));
    MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, add_header, r);
}

static bool is_token(Str s)
{
    if (s.len == 0 || s.len > 128)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

/* Ours are unique in this process, with a random start. */
static Str own_id(Request *r)
{
    static atomic_ullong next;
    unsigned long long n = atomic_fetch_add(&next, 1);
    return str_of(
        arena_printf(r->arena, "%llx-%llx", (unsigned long long)(wall_ns() / NS_PER_MS), n));
}

static void choose_id(Request *r)
{
    r->id = request_header(r, "X-Request-Id");
    if (!is_token(r->id))
        r->id = request_header(r, "X-Amzn-Trace-Id");
    if (!is_token(r->id))
        r->id = own_id(r);
}

/* Whether a body follows. */
static bool read_framing(Request *r)
{
    Str length = request_header(r, "Content-Length");
    Str coding = request_header(r, "Transfer-Encoding");
    r->length = coding.len ? -1 : 0;
    if (length.len && !coding.len && !str_to_int(length, 0, INT64_MAX, &r->length)) {
        reply_failure(r, 400, "Content-Length is not a number");
        return false;
    }
    r->has_body = r->length != 0;
    r->expects_continue =
        r->has_body && str_eq_nocase(request_header(r, "Expect"), S("100-continue"));
    return true;
}

/* Whether the route takes such a body; false after having replied. */
static bool check_body(Request *r)
{
    Str encoding = request_header(r, "Content-Encoding");
    bool gzip = str_eq_nocase(encoding, S("gzip")) || str_eq_nocase(encoding, S("x-gzip"));
    bool raw = !encoding.len || str_eq_nocase(encoding, S("identity"));
    r->inflate = gzip && !(r->match.route->flags & ROUTE_RAW);
    if (!gzip && !raw && !(r->match.route->flags & ROUTE_RAW)) {
        reply_failure(r, 415, "Content-Encoding: only gzip is understood");
        return false;
    }
    if (r->length > r->max_body) {
        char text[128];
        snprintf(text, sizeof text, "the body has %lld bytes, this call takes at most %lld",
                 (long long)r->length, (long long)r->max_body);
        reply_failure(r, 413, text);
        return false;
    }
    return true;
}

static void answer_options(Request *r)
{
    reply_headerf(r, "Allow", "%.*s, OPTIONS", STR(r->match.allowed));
    if (r->match.cors_expose) {
        reply_headerf(r, "Access-Control-Allow-Methods", "%.*s, OPTIONS", STR(r->match.allowed));
        Str wanted = request_header(r, "Access-Control-Request-Headers");
        reply_header(r, "Access-Control-Allow-Headers",
                     wanted.len ? wanted : S("authorization, content-type"));
        reply_header(r, "Access-Control-Max-Age", S("86400"));
    }
    reply_empty(r, 204);
}

static bool no_route(Request *r)
{
    bool options = str_eq(r->method, S("OPTIONS"));
    if (options && str_eq(r->target, S("*")))
        reply_empty(r, 204);
    else if (options && r->match.allowed.len)
        answer_options(r);
    else if (r->match.allowed.len) {
        reply_headerf(r, "Allow", "%.*s, OPTIONS", STR(r->match.allowed));
        reply_failure(r, 405, "this path does not take this method");
    } else {
        reply_failure(r, 404, "Not Found");
    }
    return false;
}

/* Looks at the head; false after having replied. */
static bool begin(Request *r, const char *method)
{
    Error err = {0};
    r->method = arena_str(r->arena, str_of(method));
    copy_headers(r);
    choose_id(r);
    const Networks *trusted = r->server->trusted;
    r->proxied = !trusted || trusted_has(trusted, r->remote);
    if (trusted)
        r->remote = trusted_client(trusted, r->remote, request_header(r, "X-Forwarded-For"));
    if (!read_framing(r))
        return false;
    size_t head = r->target.len;
    for (size_t i = 0; i < r->headers.n; i++)
        head += r->headers.items[i].name.len + r->headers.items[i].value.len + 4;
    if (head > (size_t)r->server->options.max_head || r->headers.n == MAX_HEADERS) {
        reply_failure(r, 431, "the request's headers are too large");
        return false;
    }
    Str query = {0};
    if (str_eq(r->target, S("*")))
        return no_route(r);
    if (!target_split(r->target, &r->path, &query, &err)) {
        reply_failure(r, 400, err.text);
        return false;
    }
    request_place(r);
    if (!router_find(r->server->router, r->method, r->path, r->arena, &r->match, &err)) {
        reply_failure(r, 400, err.text);
        return false;
    }
    if (!r->match.table)
        return no_route(r);
    r->max_body = r->match.route->max_body ? r->match.route->max_body : MAX_BODY;
    if (!params_parse(&r->query, query, r->arena, &err)) {
        (void)!fail_while(&err, "query");
        reply_failure(r, 400, err.text);
        return false;
    }
    return check_body(r);
}

// ---- Running handlers ----

static void run_handler(Request *r)
{
    const RouteTable *table = r->match.table;
    if (!table->admit || table->admit(r))
        r->match.route->handler(r);
    if (!r->replied)
        reply_failure(r, 500, "the handler gave no answer");
    watch_remove(r);
    pthread_mutex_lock(&r->lock);
    r->out_ended = true;
    r->discard = true;
    request_resume(r);
    pthread_mutex_unlock(&r->lock);
}

/* On the loop, as far as that goes without waiting; false: nothing has happened. */
static bool try_handler(Request *r)
{
    const RouteTable *table = r->match.table;
    thread_hurry_begin();
    if (!table->admit || table->admit(r))
        r->match.route->handler(r);
    if (thread_hurry_end() && r->replied)
        return true;
    if (r->response)
        MHD_destroy_response(r->response);
    r->response = NULL;
    r->replied = false;
    r->data = NULL;
    r->out_headers = NULL;
    r->out_last = &r->out_headers;
    return false;
}

static void work(void *context)
{
    Request *r = context;
    run_handler(r);
    request_unref(r);
}

/* Answers on the loop (then true), or gives the request to a worker and suspends its connection, or
 * replies 503. */
static bool dispatch(Request *r)
{
    unsigned flags = r->match.route->flags;
    r->dispatched = true;
    if (flags & ROUTE_LOOP) {
        run_handler(r);
        return true;
    }
    if (flags & ROUTE_TRY && !r->has_body && try_handler(r))
        return true;
    request_ref(r);
    // Suspended first: the worker may be done before workers_run returns.
    pthread_mutex_lock(&r->lock);
    suspend(r);
    pthread_mutex_unlock(&r->lock);
    bool is_long = r->head_again || flags & ROUTE_LONG; // head_again: its body is yet to come
    if (workers_run(is_long ? r->server->long_workers : r->server->workers, work, r))
        return false;
    r->server->rejected++;
    reply_header(r, "Retry-After", S("1"));
    reply_failure(r, 503, "the server is busy, try again");
    request_unref(r);
    return false;
}

static enum MHD_Result queue_response(Request *r)
{
    if (!r->response)
        return MHD_NO;
    r->queued = true;
    return MHD_queue_response(r->mhd, (unsigned)r->status, r->response);
}

/* The loop's first call, behind the head; also its second one, when the first was suspended. */
static enum MHD_Result on_head(Request *r, const char *method)
{
    if (!r->begun) {
        r->begun = true;
        atomic_store(&r->conn->head_since_ns, 0);
        bool ok = begin(r, method);
        if (!r->has_body)
            return MHD_YES; // goes on in on_end at once
        if (ok && r->length >= 0 && r->length <= PREFETCH && !r->expects_continue) {
            atomic_store(&r->conn->reading_body, true);
            return MHD_YES;
        }
        if (ok) {
            r->head_again = true;
            if (!dispatch(r))
                return MHD_YES;
        }
    }
    r->head_again = false;
    pthread_mutex_lock(&r->lock);
    bool replied = r->response != NULL;
    pthread_mutex_unlock(&r->lock);
    if (replied && (r->expects_continue || r->length > DRAIN_MAX))
        return queue_response(r); // and the connection is closed
    atomic_store(&r->conn->reading_body, true);
    return MHD_YES;
}

static enum MHD_Result on_body(Request *r, const char *bytes, size_t *n)
{
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->conn->reading_body, true);
    enum MHD_Result result = MHD_YES;
    size_t taken = *n;
    bool drop = r->discard || r->replied;
    if (!drop)
        taken = pipe_add(&r->body, bytes, *n, REQUEST_BUFFER);
    r->received += (int64_t)taken;
    atomic_fetch_add(&r->conn->received, (long long)taken);
    *n -= taken;
    if (taken)
        pthread_cond_broadcast(&r->changed);
    if (*n > 0) {
        atomic_store(&r->conn->reading_body, false);
        suspend(r);
    }
    if (drop && r->length < 0 && r->received > DRAIN_MAX)
        result = MHD_NO;
    pthread_mutex_unlock(&r->lock);
    return result;
}

static enum MHD_Result on_end(Request *r)
{
    atomic_store(&r->conn->reading_body, false);
    pthread_mutex_lock(&r->lock);
    r->body_ended = true;
    pthread_cond_broadcast(&r->changed);
    bool replied = r->response != NULL;
    if (!replied && r->dispatched)
        suspend(r);
    pthread_mutex_unlock(&r->lock);
    if (replied)
        return queue_response(r);
    if (r->dispatched)
        return MHD_YES;
    return dispatch(r) ? queue_response(r) : MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *n, void **slot)
{
    Request *r = *slot;
    if (!r)
        return MHD_NO;
    if (!r->begun || r->head_again)
        return on_head(r, method);
    return *n > 0 ? on_body(r, bytes, n) : on_end(r);
}

// ---- Callbacks of connections ----

static void *on_target(void *context, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info && info->socket_context
               ? request_new(context, info->socket_context, mhd, str_of(uri))
               : NULL;
}

static void note_request(const Request *r, enum MHD_RequestTerminationCode why)
{
    const ServerOptions *o = &r->server->options;
    int status = r->queued ? r->status : 499; // 499: the client left before it had an answer
    int64_t took_ns = clock_ns() - r->started_ns;
    if (o->traffic)
        traffic_note(o->traffic, status, took_ns);
    if (o->log_requests)
        log_info("request", "id=%.*s method=%.*s path=%.*s status=%d ms=%.1f remote=%.*s%s",
                 STR(r->id), STR(r->method), STR(r->path), status,
                 (double)took_ns / (double)NS_PER_MS, STR(r->remote),
                 why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " cut=yes");
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    Server *s = context;
    Request *r = *slot;
    *slot = NULL;
    if (!r)
        return;
    if (r->begun)
        note_request(r, why);
    atomic_store(&r->conn->reading_body, false);
    atomic_store(&r->conn->head_allowed_ns,
                 (s->options.idle_seconds + s->options.head_seconds) * NS_PER_S);
    atomic_store(&r->conn->head_since_ns, clock_ns());
    watch_completed(r);
    request_set_gone(r);
    request_unref(r);
}

static void name_remote(Conn *conn, const struct sockaddr *address)
{
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                  conn->remote, sizeof conn->remote);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                  conn->remote, sizeof conn->remote);
}

static void conn_started(Server *s, struct MHD_Connection *mhd, void **slot)
{
    Conn *conn = xcalloc(1, sizeof *conn);
    conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    name_remote(conn,
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    atomic_store(&conn->head_allowed_ns, s->options.head_seconds * NS_PER_S);
    atomic_store(&conn->head_since_ns, clock_ns());
    pthread_mutex_lock(&s->lock);
    conn->next = s->conns;
    if (conn->next)
        conn->next->prev = conn;
    s->conns = conn;
    pthread_mutex_unlock(&s->lock);
    s->connections++;
    *slot = conn;
}

static void conn_ended(Server *s, Conn *conn)
{
    pthread_mutex_lock(&s->lock);
    if (conn->next)
        conn->next->prev = conn->prev;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        s->conns = conn->next;
    pthread_mutex_unlock(&s->lock);
    s->connections--;
    free(conn);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **slot,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        conn_started(context, mhd, slot);
    else if (*slot)
        conn_ended(context, *slot);
}

static void on_daemon_log(void *context, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_daemon_log(void *context, const char *format, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    log_debug("http", "%.*s", (int)strcspn(text, "\n"), text);
}

/* Segments are decoded one by one by the router; the daemon's own decoding would lose "%2F". */
static size_t keep_escaped(void *context, struct MHD_Connection *mhd, char *text)
{
    return strlen(text);
}

// ---- Start and stop ----

static bool split_address(const char *listen, char host[64], char port[8], Error *err)
{
    Str all = str_of(listen);
    size_t colon = str_rfind_char(all, ':');
    Str name = str_slice(all, 0, colon), number = str_slice(all, colon + 1, SIZE_MAX);
    int64_t value;
    if (colon == SIZE_MAX || !str_to_int(number, 0, 65535, &value))
        return fail(err, ERR_USAGE, "listen on '%s': wanted ADDRESS:PORT", listen);
    if (name.len > 1 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_slice(name, 1, name.len - 1);
    if (name.len >= 64)
        return fail(err, ERR_USAGE, "listen on '%s': the address is too long", listen);
    snprintf(host, 64, "%.*s", STR(name));
    snprintf(port, 8, "%d", (int)value);
    return true;
}

static int open_socket(const struct addrinfo *at, const char *listen_on, Error *err)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 1024) != 0) {
        (void)!fail_io(err, "listen on %s", listen_on);
        if (err && (err->code == ERR_NOT_FOUND || err->code == ERR_EXISTS))
            err->code = ERR_IO;
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int listen_at(const char *listen_on, char address[80], Error *err)
{
    char host[64], port[8];
    if (!split_address(listen_on, host, port, err))
        return -1;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int status = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (status != 0) {
        (void)!fail(err, ERR_USAGE, "listen on '%s': %s", listen_on, gai_strerror(status));
        return -1;
    }
    int fd = open_socket(found, listen_on, err);
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &size) != 0)
        return fd;
    getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(address, 80, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return fd;
}

static struct MHD_Daemon *start_daemon(Server *s, int fd)
{
    const ServerOptions *o = &s->options;
    // The daemon keeps the head, the answer's head and its read buffer in one pool a connection,
    // and clears all of it for each request: a pool of 96 KiB took a sixth of a small answer's
    // time.
    size_t pool = (size_t)o->max_head + (16 << 10);
    unsigned loops = (unsigned)o->loops;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, s, MHD_OPTION_LISTEN_SOCKET, fd,
        loops > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_CONNECTION_LIMIT,
        loops > 1 ? loops : (unsigned)o->max_connections, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
        (size_t)(16 << 10), MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
}

static void fill_defaults(ServerOptions *o)
{
    o->loops = o->loops ? o->loops : 2;
    o->workers = o->workers ? o->workers : 64;
    o->long_workers = o->long_workers ? o->long_workers : 256;
    o->max_connections = o->max_connections ? o->max_connections : 4096;
    o->queue = o->queue ? o->queue : 1024;
    o->max_head = o->max_head ? o->max_head : 32 << 10;
    o->idle_seconds = o->idle_seconds ? o->idle_seconds : 60;
    o->head_seconds = o->head_seconds ? o->head_seconds : 20;
}

static void server_free(Server *s)
{
    workers_free(s->workers);
    workers_free(s->long_workers);
    router_free(s->router);
    networks_free(s->trusted);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

Server *server_start(const ServerOptions *options, Error *err)
{
    signal(SIGPIPE, SIG_IGN); // a client that went away is an error of that write, not ours
    Server *s = xcalloc(1, sizeof *s);
    s->options = *options;
    fill_defaults(&s->options);
    pthread_mutex_init(&s->lock, NULL);
    s->router = router_new(options->tables);
    s->workers = workers_new("worker", s->options.workers, (size_t)s->options.queue);
    s->long_workers = workers_new("long", s->options.long_workers, (size_t)s->options.queue);
    if (options->trusted_proxies && !(s->trusted = networks_new(options->trusted_proxies, err))) {
        server_free(s);
        return fail_while(err, "trusted proxies");
    }
    int fd = listen_at(options->listen, s->address, err);
    if (fd < 0) {
        server_free(s);
        return NULL;
    }
    if (!watch_start(s, err)) {
        close(fd);
        server_free(s);
        return NULL;
    }
    s->daemon = start_daemon(s, fd);
    if (!s->daemon) {
        (void)!fail(err, ERR_IO, "listen on %s: the event loops do not start", s->address);
        watch_stop(s);
        close(fd);
        server_free(s);
        return NULL;
    }
    return s;
}

const char *server_address(const Server *s)
{
    return s->address;
}

ServerCounts server_counts(const Server *s)
{
    return (ServerCounts){.requests = s->requests,
                          .active = s->active,
                          .connections = s->connections,
                          .rejected = s->rejected,
                          .bytes_out = s->bytes_out};
}

static bool wait_idle(Server *s, int64_t for_ns)
{
    for (int64_t end = clock_ns() + for_ns; s->active > 0;) {
        if (clock_ns() > end)
            return false;
        usleep(2000);
    }
    return true;
}

void server_stop(Server *s, int64_t grace_ns)
{
    if (!s)
        return;
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd >= 0)
        close(fd);
    if (!wait_idle(s, grace_ns))
        log_warn("stop", "cancelling=%lld", (long long)s->active);
    atomic_store(&s->stopping, true);
    watch_wake(s);
    workers_stop(s->workers); // the watch thread cancels what they still do
    workers_stop(s->long_workers);
    watch_stop(s);
    MHD_stop_daemon(s->daemon);
    server_free(s);
}
