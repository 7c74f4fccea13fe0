/* reply.c: what a handler answers: headers, bytes, streams, events; see server.h. */
#include "net/server_internal.h"

#include <unistd.h>

// ---- Headers ----

static bool is_safe_value(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 127)
            return false;
    return true;
}

void reply_header(Request *r, const char *name, Str value)
{
    char *text = arena_cstr(r->arena, value);
    if (!is_safe_value(value)) // a line break here would forge headers
        for (size_t i = 0; i < value.len; i++)
            if ((unsigned char)text[i] < ' ' || text[i] == 127)
                text[i] = '?';
    Header *header = NEW(r->arena, Header);
    *header = (Header){.name = name, .value = text};
    *r->out_last = header;
    r->out_last = &header->next;
}

void reply_headerf(Request *r, const char *name, const char *format, ...)
{
    AUTO_BUF text;
    buf_init(&text, 8192);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    reply_header(r, name, buf_str(&text));
}

static void add_headers(Request *r, struct MHD_Response *response, const char *type)
{
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Request-Id", arena_cstr(r->arena, r->id));
    if (r->match.cors_expose) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
        MHD_add_response_header(response, "Access-Control-Expose-Headers", r->match.cors_expose);
    }
    for (const Header *h = r->out_headers; h; h = h->next)
        MHD_add_response_header(response, h->name, h->value);
    if (atomic_load(&r->server->stopping))
        MHD_add_response_header(response, "Connection", "close");
}

void reply_with(Request *r, int status, const char *type, struct MHD_Response *response)
{
    CHECK(response);
    add_headers(r, response, type);
    pthread_mutex_lock(&r->lock);
    CHECK(!r->replied); // a handler answers once
    r->replied = true;
    r->status = status;
    r->response = response;
    request_resume(r);
    pthread_mutex_unlock(&r->lock);
}

// ---- Whole answers ----

void reply_bytes(Request *r, int status, const char *type, Str body)
{
    static char nothing[1];
    // The daemon promises not to write to a persistent buffer, but its parameter is not const.
    void *bytes = body.len ? (void *)(uintptr_t)body.ptr : nothing;
    r->server->bytes_out += (long long)body.len;
    reply_with(r, status, type,
               MHD_create_response_from_buffer(body.len, bytes, MHD_RESPMEM_PERSISTENT));
}

void reply_buf(Request *r, int status, const char *type, Buf *body)
{
    size_t len = body->len;
    char *bytes = buf_take(body);
    arena_defer(r->arena, free, bytes);
    reply_bytes(r, status, type, (Str){bytes, len});
}

void reply_json(Request *r, int status, const json_t *value)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, value);
    reply_buf(r, status, "application/json; charset=utf-8", &text);
}

void reply_empty(Request *r, int status)
{
    reply_bytes(r, status, NULL, (Str){0});
}

void reply_redirect(Request *r, int status, Str location)
{
    reply_header(r, "Location", location);
    reply_empty(r, status);
}

static void answer_failure(Request *r, int status, const char *text, const Error *err)
{
    if (r->server->options.on_error) {
        r->server->options.on_error(r, status, text, err);
        if (r->replied)
            return;
    }
    AUTO(json_decref) json_t *body = json_object();
    json_object_set_new(body, "error", json_from_str(str_of(text)));
    reply_json(r, status, body);
}

void reply_error(Request *r, const Error *err)
{
    answer_failure(r, error_http_status(err->code), err->text, err);
}

void reply_failure(Request *r, int status, const char *text)
{
    answer_failure(r, status, text, NULL);
}

// ---- Answers in pieces ----

static ssize_t give_stream(void *context, uint64_t position, char *out, size_t max)
{
    Request *r = context;
    pthread_mutex_lock(&r->lock);
    ssize_t n = (ssize_t)pipe_take(&r->out, out, max);
    if (n > 0) {
        pthread_cond_broadcast(&r->changed);
    } else if (r->out_aborted) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (r->out_ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        r->suspended = true; // until the handler writes more
        MHD_suspend_connection(r->mhd);
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}

bool reply_stream(Request *r, int status, const char *type)
{
    if (request_is_head(r)) {
        reply_bytes(r, status, type, (Str){0});
        return false;
    }
    r->streaming = true;
    reply_with(r, status, type,
               MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 << 10, give_stream, r, NULL));
    return !request_gone(r);
}

bool reply_write(Request *r, Str bytes, Error *err)
{
    if (!r->streaming || r->out_aborted)
        return fail(err, ERR_CANCELLED, "write to the client: the stream is not open");
    pthread_mutex_lock(&r->lock);
    bool full = false;
    while (bytes.len && !request_gone(r) && !full) {
        // Nothing is sent while a body comes in, so waiting for it would be waiting for ourselves.
        bool early = r->has_body && !r->body_ended;
        size_t n = pipe_add(&r->out, bytes.ptr, bytes.len, early ? EARLY_STREAM : STREAM_BUFFER);
        bytes = str_slice(bytes, n, SIZE_MAX);
        r->server->bytes_out += (long long)n;
        if (n)
            request_resume(r);
        else if (early)
            full = true;
        else
            request_wait(r);
    }
    pthread_mutex_unlock(&r->lock);
    if (full)
        return fail(err, ERR_LIMIT, "write to the client: its body has not been read");
    if (bytes.len)
        return fail(err, ERR_CANCELLED, "write to the client: it has gone");
    return true;
}

void reply_abort(Request *r)
{
    pthread_mutex_lock(&r->lock);
    r->out_aborted = true;
    request_resume(r);
    pthread_mutex_unlock(&r->lock);
}

bool reply_events(Request *r)
{
    reply_header(r, "Cache-Control", S("no-cache"));
    reply_header(r, "X-Accel-Buffering", S("no"));
    return reply_stream(r, 200, "text/event-stream; charset=utf-8");
}

bool reply_event(Request *r, const char *event, Str data, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    if (event)
        buf_printf(&text, "event: %s\n", event);
    Str left = data, line;
    if (!left.ptr)
        left = S("");
    while (str_split(&left, '\n', &line)) {
        buf_add(&text, S("data: "));
        buf_add(&text, line);
        buf_add_char(&text, '\n');
    }
    buf_add_char(&text, '\n');
    return reply_write(r, buf_str(&text), err);
}

bool reply_event_json(Request *r, const char *event, const json_t *value, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, value);
    return reply_event(r, event, buf_str(&text), err);
}

bool reply_event_alive(Request *r, Error *err)
{
    return reply_write(r, S(":\n\n"), err);
}
