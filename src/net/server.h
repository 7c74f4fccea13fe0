/* HTTP server over libmicrohttpd: tables of routes, handlers that read top to bottom.
 *
 *     static void tree(Request *r)
 *     {
 *         Error err = {0};
 *         json_t *answer = tree_of(request_context(r), request_param(r, "rev"), &err);
 *         if (!answer)
 *             return reply_error(r, &err);
 *         reply_json(r, 200, answer);
 *         json_decref(answer);
 *     }
 *     static const Route routes[] = {
 *         {"GET", "/api/models/{owner}/{name}/tree/{rev}/{path...}", tree, .summary = "Files"},
 *     };
 *
 * Patterns. The path is split at '/', then each segment is percent-decoded, so `%2F` stays inside
 * its segment. A segment of a pattern is a literal (`tree`), a parameter (`{rev}`, never empty), a
 * parameter with a literal end (`{name}.git`), or, last, the rest (`{path...}`: zero or more
 * segments, joined by '/'). Where several routes match, at the first segment that differs a literal
 * beats a parameter with an end, that beats a parameter, and that beats the rest; then the route
 * that was listed first. One trailing slash is ignored. GET serves HEAD too. A known path with
 * another method is 405; OPTIONS answers itself.
 *
 * Threads. Event loops own the connections. A handler runs on a worker and may block on disk, git
 * or the database while its connection is suspended; with ROUTE_LOOP it runs on the loop and must
 * not block, nor read a body. A Request belongs to the thread that runs its handler, until the
 * handler returns; what it was given to send (arena, json, descriptor) goes when it has been sent.
 * Small bodies are read before the handler starts; of larger ones at most REQUEST_BUFFER bytes are
 * held, and the client waits. */
#pragma once

#include "base/json.h"
#include "base/str.h"

#include <stdatomic.h>

typedef struct Server Server;
typedef struct Request Request;

enum {
    REQUEST_BUFFER = 256 << 10, // of a body held in memory, at most
    STREAM_BUFFER = 256 << 10,  // of an answer's stream that the client has not taken
    MAX_BODY = 1 << 20,         // where a route does not say
};
#define ANY_BODY INT64_MAX // for routes that stream what they read

enum RouteFlags {
    ROUTE_LOOP = 1, // run on the event loop: fast, never blocks
    ROUTE_RAW = 2,  // request_read gives a compressed body as it came
    /* Without a body: tried on the event loop first, in a hurry (base/thread.h), and done again on
     * a worker if anything there could have waited. Answers are whole, not streams. */
    ROUTE_TRY = 4,
    /* May take as long as its client, or something else that is slow: among the uploads, so that
     * no number of them holds up the rest. */
    ROUTE_LONG = 8,
};

typedef struct Route {
    const char *method, *pattern;
    void (*handler)(Request *r);
    unsigned flags;
    int access;          // for the table's admit
    int64_t max_body;    // decompressed; 0: MAX_BODY. Larger ones get 413
    const char *summary; // one line for the API listing
} Route;

typedef struct RouteTable {
    const char *name; // "api"
    const Route *routes;
    size_t n;
    void *context; // request_context
    /* Called before each handler, on its thread; false: it has replied. May be NULL. */
    bool (*admit)(Request *r);
    /* Scripts of other sites may call these: names of answer headers they may read, separated by
     * commas; NULL: they may not. */
    const char *cors_expose;
} RouteTable;

/* A host beside the server's own whose paths lie below one of its: with {"data.", "/api/data"} a
 * request to data.hub.example/x is one to hub.example/api/data/x. */
typedef struct HostPath {
    const char *label, *path;
} HostPath;

typedef struct ServerOptions {
    const char *listen;        // "127.0.0.1:7860", "[::1]:7860", ":7860"; port 0: any free one
    const RouteTable **tables; // ending with NULL
    int loops, workers;        // 0: 2 loops, 64 workers (threads start when needed)
    int long_workers;          // for ROUTE_LONG and bodies over 64 KiB; 0: 256
    int max_connections;       // 0: 4096
    int queue;                 // requests that may wait for a worker; more get 503. 0: 1024
    int max_head;              // bytes of request line and headers; 0: 32 KiB
    int idle_seconds;          // between requests, and without any progress; 0: 60
    int head_seconds;          // for a whole request line with headers; 0: 20
    /* What the server itself answers (404, 405, 413, 503, ...) and reply_error; NULL: JSON
     * {"error": text}. It calls reply_*. err may be NULL. */
    void (*on_error)(Request *r, int status, const char *text, const Error *err);
    /* "127.0.0.1, 10.0.0.0/8": proxies whose X-Forwarded-For, -Proto and -Host are believed. NULL:
     * no addresses are, but the other two from anybody, as they only make links. */
    const char *trusted_proxies;
    const HostPath *hosts;   // ending with {NULL}; NULL: none
    bool log_requests;       // one info line each
    struct Traffic *traffic; // traffic.h: counts each; NULL: nothing does
} ServerOptions;

Server *server_start(const ServerOptions *options, Error *err);
/* "127.0.0.1:7860", with the real port; borrowed. */
const char *server_address(const Server *s);
/* Accepts nothing new, lets requests finish for up to grace_ns, then cancels them. NULL is fine. */
void server_stop(Server *s, int64_t grace_ns);
typedef struct ServerCounts {
    int64_t requests, active, connections, rejected, bytes_out;
} ServerCounts;
ServerCounts server_counts(const Server *s);

/* The table of ErrorCode to HTTP status. */
int error_http_status(ErrorCode code);
/* "Not Found"; never NULL. */
const char *http_status_text(int status);

/* ---- What was asked ---- */

typedef struct Param {
    Str name, value;
} Param;
typedef struct Params {
    Param *items;
    size_t n;
} Params;
/* The first value of that name; {NULL, 0} if there is none. */
Str params_get(const Params *p, const char *name);
/* "a=1&b=%20": both halves decoded, '+' is a space; at most 1000 pairs. */
bool params_parse(Params *out, Str text, Arena *a, Error *err);

void *request_context(const Request *r); // of the table
const Route *request_route(const Request *r);
Arena *request_arena(const Request *r);
/* A slot for the admit hook to leave something to the handler. */
void request_set_data(Request *r, void *data);
void *request_data(const Request *r);

Str request_method(const Request *r); // as it was sent: "HEAD" too
bool request_is_head(const Request *r);
Str request_target(const Request *r); // raw: "/a%2Fb?c=d"
Str request_path(const Request *r);   // raw, without the query
/* Decoded; the pattern must have it, or it is empty. Never with a NUL. */
Str request_param(const Request *r, const char *name);
const Params *request_query(const Request *r);
Str request_query_get(const Request *r, const char *name);
/* Any letter case; {NULL, 0} if absent. */
Str request_header(const Request *r, const char *name);
Str request_cookie(const Request *r, const char *name);
Str request_remote(const Request *r); // "127.0.0.1": the client, where trusted proxies name it
/* True the first time that it is asked in this request: what is counted in it is counted once,
 * though a handler of ROUTE_TRY may begin anew. */
bool request_once(Request *r);
/* What the client sent as X-Request-Id or X-Amzn-Trace-Id, else ours; the answer has it too. */
Str request_id(const Request *r);
/* "http://host:port" as the client sees us: Host, X-Forwarded-Proto and -Host. */
Str request_origin(Request *r);
/* True if Accept names this type before any star: "text/html". */
bool request_accepts(const Request *r, const char *type);

/* Up to `max` bytes of the body, at least one unless it has ended (*n is 0). Blocks. ERR_LIMIT past
 * the route's max_body, ERR_INVALID for broken gzip, ERR_CANCELLED when the client has gone or was
 * too slow. */
bool request_read(Request *r, void *out, size_t max, size_t *n, Error *err);
/* All of the body, in the request's arena. max 0: the route's max_body. */
bool request_body(Request *r, size_t max, Str *out, Error *err);
/* All of the body as JSON; goes with the request, borrowed. NULL on failure. */
json_t *request_json(Request *r, size_t max, Error *err);
/* application/x-www-form-urlencoded */
bool request_form(Request *r, Params *out, Error *err);

/* A field of multipart/form-data; borrowed during the call. */
typedef struct FormField {
    Str name;
    bool is_file;
    Str filename; // as the client says it, with folders: check it before use
    Str type;
} FormField;
/* Bytes of a field, which come in pieces; `at` is 0 at its first, which may be empty. */
typedef bool FormPiece(void *user, const FormField *field, int64_t at, Str bytes, Error *err);
/* Reads the body as it comes and calls `piece` for all fields in their order; never holds more than
 * a chunk. ERR_INVALID where it is no such form or ends early; the error of a piece that fails. */
bool request_multipart(Request *r, FormPiece *piece, void *user, Error *err);

/* True once the client has gone, the server stops, or it took too long to read. */
bool request_gone(Request *r);
/* The same as a flag for long jobs, kept up to date from this call until the handler returns. */
const atomic_bool *request_cancelled(Request *r);

/* ---- What is answered: exactly one of these a request; headers before ---- */

/* A later header of the same name is added, not replaced. Bytes that do not belong into a header
 * become '?'. */
void reply_header(Request *r, const char *name, Str value);
void reply_headerf(Request *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* body: static or in the request's arena; it is not copied. type NULL: no Content-Type. */
void reply_bytes(Request *r, int status, const char *type, Str body);
/* Takes the bytes of a Buf, which is empty afterwards. */
void reply_buf(Request *r, int status, const char *type, Buf *body);
void reply_json(Request *r, int status, const json_t *value);
void reply_empty(Request *r, int status);
/* status 301, 302, 303, 307 or 308 */
void reply_redirect(Request *r, int status, Str location);
/* {"error": text} or what on_error makes of it, with the status of err->code. */
void reply_error(Request *r, const Error *err);
void reply_failure(Request *r, int status, const char *text);

typedef struct FileReply {
    int fd;               // taken: closed when sent, or at once on HEAD and 304
    int64_t offset, size; // the content is [offset, offset + size) of it
    /* With fd -1: content that is made as it is sent. `read` gives exactly n bytes at an offset; it
     * is called on the event loop, so it takes no longer than reading a file does. Where it fails
     * the connection is cut. `close` is called when fd would be closed. */
    bool (*read)(void *source, void *out, size_t n, int64_t offset, Error *err);
    void (*close)(void *source);
    void *source;
    const char *type;    // NULL: application/octet-stream
    Str etag;            // with its quotes: "\"abc\""; may be empty
    int64_t modified_ns; // wall clock; 0: none
} FileReply;
/* Sends a descriptor by sendfile. One place for HEAD, If-None-Match (304), If-Modified-Since, Range
 * with If-Range (206 with Content-Range; 416), Accept-Ranges. */
void reply_file(Request *r, const FileReply *file);
/* The same for bytes in memory: static or in the arena. */
void reply_content(Request *r, Str bytes, const char *type, Str etag);

/* An answer in pieces. The status is on its way when reply_stream returns true; read the body
 * before: HTTP/1.1 sends nothing while it comes in. False: HEAD, or the client has gone, and there
 * is nothing more to do. */
bool reply_stream(Request *r, int status, const char *type);
/* Blocks while STREAM_BUFFER bytes wait for the client; ERR_CANCELLED when it has gone. */
bool reply_write(Request *r, Str bytes, Error *err);
/* Cuts the connection, so that the client sees that the stream is not whole. */
void reply_abort(Request *r);

/* Server-sent events: text/event-stream, no caching, no proxy buffering. */
bool reply_events(Request *r);
/* "data: ...\n\n", with "event: ..." if not NULL; new lines in data become several data lines. */
bool reply_event(Request *r, const char *event, Str data, Error *err);
bool reply_event_json(Request *r, const char *event, const json_t *value, Error *err);
/* A comment line, against timeouts on the way: every 10 to 15 s of silence. */
bool reply_event_alive(Request *r, Error *err);
