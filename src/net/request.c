/* request.c: what a handler may ask about its request, and its body; see server.h. */
#include "base/clock.h"
#include "base/encode.h"
#include "net/server_internal.h"

size_t pipe_add(Pipe *p, const void *bytes, size_t n, size_t limit)
{
    n = MIN(n, limit - MIN(p->len, limit));
    if (n == 0)
        return 0;
    if (p->len + n > p->cap) {
        size_t cap = MAX(p->cap * 2, (size_t)4096);
        while (cap < p->len + n)
            cap *= 2;
        char *fresh = xmalloc(cap);
        size_t head = MIN(p->len, p->cap - p->first);
        if (p->len) {
            memcpy(fresh, p->ptr + p->first, head);
            memcpy(fresh + head, p->ptr, p->len - head);
        }
        free(p->ptr);
        *p = (Pipe){.ptr = fresh, .len = p->len, .cap = cap};
    }
    size_t at = (p->first + p->len) % p->cap, before_end = MIN(n, p->cap - at);
    memcpy(p->ptr + at, bytes, before_end);
    memcpy(p->ptr, (const char *)bytes + before_end, n - before_end);
    p->len += n;
    return n;
}

size_t pipe_take(Pipe *p, void *out, size_t max)
{
    size_t n = MIN(max, p->len);
    if (n == 0)
        return 0;
    size_t before_end = MIN(n, p->cap - p->first);
    memcpy(out, p->ptr + p->first, before_end);
    memcpy((char *)out + before_end, p->ptr, n - before_end);
    p->first = (p->first + n) % p->cap;
    p->len -= n;
    return n;
}

void pipe_done(Pipe *p)
{
    free(p->ptr);
    *p = (Pipe){0};
}

void *request_context(const Request *r)
{
    return r->match.table ? r->match.table->context : NULL;
}

const Route *request_route(const Request *r)
{
    return r->match.route;
}

Arena *request_arena(const Request *r)
{
    return r->arena;
}

void request_set_data(Request *r, void *data)
{
    r->data = data;
}

void *request_data(const Request *r)
{
    return r->data;
}

Str request_method(const Request *r)
{
    return r->method;
}

bool request_is_head(const Request *r)
{
    return str_eq(r->method, S("HEAD"));
}

Str request_target(const Request *r)
{
    return r->target;
}

Str request_path(const Request *r)
{
    return r->path;
}

Str request_param(const Request *r, const char *name)
{
    return params_get(&r->match.params, name);
}

const Params *request_query(const Request *r)
{
    return &r->query;
}

Str request_query_get(const Request *r, const char *name)
{
    return params_get(&r->query, name);
}

Str request_header(const Request *r, const char *name)
{
    Str wanted = str_of(name);
    for (size_t i = 0; i < r->headers.n; i++)
        if (str_eq_nocase(r->headers.items[i].name, wanted))
            return r->headers.items[i].value;
    return (Str){0};
}

Str request_cookie(const Request *r, const char *name)
{
    for (size_t i = 0; i < r->headers.n; i++) {
        if (!str_eq_nocase(r->headers.items[i].name, S("Cookie")))
            continue;
        Str left = r->headers.items[i].value, pair;
        while (left.len && str_split(&left, ';', &pair)) {
            pair = str_trim(pair);
            size_t equals = str_find_char(pair, '=', 0);
            if (equals != SIZE_MAX && str_eq(str_slice(pair, 0, equals), str_of(name)))
                return str_slice(pair, equals + 1, SIZE_MAX);
        }
    }
    return (Str){0};
}

Str request_remote(const Request *r)
{
    return r->remote;
}

bool request_once(Request *r)
{
    bool first = !r->counted;
    r->counted = true;
    return first;
}

Str request_id(const Request *r)
{
    return r->id;
}

static bool is_host(Str host)
{
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (!isalnum((unsigned char)c) && !strchr(".-_:[]", c))
            return false;
    }
    return true;
}

/* What the client calls us, with what is before our own name in hosts. */
static Str request_host(const Request *r)
{
    Str host = r->proxied ? request_header(r, "X-Forwarded-Host") : (Str){0};
    if (!is_host(host))
        host = request_header(r, "Host");
    return is_host(host) ? host : str_of(r->server->address);
}

static const HostPath *host_path(const Request *r, Str host)
{
    const HostPath *hosts = r->server->options.hosts;
    for (; hosts && hosts->label; hosts++)
        if (str_eq_nocase(str_slice(host, 0, strlen(hosts->label)), str_of(hosts->label)))
            return hosts;
    return NULL;
}

void request_place(Request *r)
{
    const HostPath *place = host_path(r, request_host(r));
    if (place)
        r->path = str_of(arena_printf(r->arena, "%s%.*s", place->path, STR(r->path)));
}

Str request_origin(Request *r)
{
    Str host = request_host(r);
    const HostPath *place = host_path(r, host);
    if (place)
        host = str_slice(host, strlen(place->label), host.len);
    bool https = r->proxied && str_eq_nocase(request_header(r, "X-Forwarded-Proto"), S("https"));
    return str_of(arena_printf(r->arena, "%s://%.*s", https ? "https" : "http", STR(host)));
}

bool request_accepts(const Request *r, const char *type)
{
    Str left = request_header(r, "Accept"), item;
    while (left.len && str_split(&left, ',', &item)) {
        item = str_trim(str_slice(item, 0, str_find_char(item, ';', 0)));
        if (str_eq_nocase(item, str_of(type)))
            return true;
        if (str_eq(item, S("*/*")))
            return false;
    }
    return false;
}

bool request_gone(Request *r)
{
    return atomic_load(&r->gone) || atomic_load(&r->server->stopping);
}

const atomic_bool *request_cancelled(Request *r)
{
    watch_add(r);
    return &r->gone;
}

void request_wait(Request *r)
{
    // Woken by the loop; the timeout is for a server that stops meanwhile.
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200 * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* Bytes as they came; *n is 0 at the end. */
static bool read_raw(Request *r, void *out, size_t max, size_t *n, Error *err)
{
    *n = 0;
    pthread_mutex_lock(&r->lock);
    while (r->has_body && r->body.len == 0 && !r->body_ended && !request_gone(r)) {
        request_resume(r); // the loop reads on
        request_wait(r);
    }
    *n = pipe_take(&r->body, out, max);
    bool ended = r->body_ended || !r->has_body;
    pthread_mutex_unlock(&r->lock);
    if (*n == 0 && !ended)
        return fail(err, ERR_CANCELLED, "read the request's body: the client has gone");
    return true;
}

static bool inflate_failed(Request *r, Error *err)
{
    return fail(err, ERR_INVALID, "the request's body: broken gzip: %s",
                r->zlib->msg ? r->zlib->msg : "it ends early");
}

enum { ZLIB_CHUNK = 32 << 10 };

static void start_inflate(Request *r)
{
    r->zlib = xcalloc(1, sizeof *r->zlib);
    r->zlib_in = xmalloc(ZLIB_CHUNK);
    CHECK(inflateInit2(r->zlib, 16 + MAX_WBITS) == Z_OK); // 16: a gzip header is wanted
}

static bool read_inflated(Request *r, void *out, size_t max, size_t *n, Error *err)
{
    if (!r->zlib)
        start_inflate(r);
    z_stream *z = r->zlib;
    z->next_out = out;
    z->avail_out = (uInt)MIN(max, (size_t)1 << 30);
    size_t room = z->avail_out;
    while (z->avail_out == room && !r->zlib_ended) {
        if (z->avail_in == 0) {
            size_t got;
            if (!read_raw(r, r->zlib_in, ZLIB_CHUNK, &got, err))
                return false;
            if (got == 0)
                return inflate_failed(r, err);
            z->next_in = (Bytef *)r->zlib_in;
            z->avail_in = (uInt)got;
        }
        int status = inflate(z, Z_NO_FLUSH);
        if (status == Z_STREAM_END)
            r->zlib_ended = true;
        else if (status != Z_OK && status != Z_BUF_ERROR)
            return inflate_failed(r, err);
    }
    *n = room - z->avail_out;
    return true;
}

bool request_read(Request *r, void *out, size_t max, size_t *n, Error *err)
{
    *n = 0;
    if (max == 0)
        return true;
    if (!(r->inflate ? read_inflated : read_raw)(r, out, max, n, err))
        return false;
    r->body_given += (int64_t)*n;
    if (r->body_given > r->max_body)
        return fail(err, ERR_LIMIT, "the body has more than %lld bytes", (long long)r->max_body);
    return true;
}

bool request_body(Request *r, size_t max, Str *out, Error *err)
{
    if (max == 0)
        max = (size_t)MIN(r->max_body, (int64_t)1 << 40);
    AUTO_BUF all;
    buf_init(&all, max);
    char chunk[16 << 10];
    size_t n;
    do {
        if (!request_read(r, chunk, sizeof chunk, &n, err))
            return false;
        buf_add_bytes(&all, chunk, n);
        if (!buf_ok(&all, NULL))
            return fail(err, ERR_LIMIT, "the body has more than %zu bytes", max);
    } while (n > 0);
    *out = arena_str(r->arena, buf_str(&all));
    return true;
}

static void json_release(void *value)
{
    json_decref(value);
}

json_t *request_json(Request *r, size_t max, Error *err)
{
    Str text;
    if (!request_body(r, max, &text, err))
        return NULL;
    json_t *value = json_parse(text, "the request's body", err);
    if (value)
        arena_defer(r->arena, json_release, value);
    return value;
}

bool request_form(Request *r, Params *out, Error *err)
{
    Str text;
    if (!request_body(r, 0, &text, err))
        return false;
    if (!params_parse(out, text, r->arena, err))
        return fail_while(err, "the request's form");
    return true;
}
