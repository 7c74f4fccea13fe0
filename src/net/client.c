/* client.c: one libcurl easy handle per Client; see client.h. */
#include "net/client.h"

#include "net/networks.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_ANSWER = 16 << 20, MAX_HEADERS = 256 << 10, MAX_REDIRECTS = 8 };

struct Client {
    CURL *curl;
};

/* What the callbacks of one call share. */
typedef struct Transfer {
    const ClientCall *call;
    CURL *curl;
    Buf headers, body;
    int64_t sent, farthest; // of send_size
    Error error;            // raised by a callback; the call ends
    Error refused;          // the last address that was not to be called
    bool is_cut;
} Transfer;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

Client *client_new(void)
{
    pthread_once(&once, start_curl);
    Client *c = xcalloc(1, sizeof *c);
    c->curl = curl_easy_init();
    CHECK(c->curl);
    return c;
}

void client_free(Client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    Transfer *t = context;
    Str line = {bytes, size * n};
    // Each answer of a chain of redirects begins with its own status line.
    if (str_starts(line, S("HTTP/")))
        buf_reset(&t->headers);
    buf_add(&t->headers, line);
    return buf_ok(&t->headers, &t->error) ? line.len : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    Transfer *t = context;
    Str piece = {bytes, size * n};
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->call->take && status >= 200 && status < 300)
        return t->call->take(t->call->context, (int)status, piece, &t->error) ? piece.len : 0;
    size_t room = t->body.max - t->body.len;
    if (t->call->cut && piece.len > room) {
        buf_add(&t->body, str_slice(piece, 0, room));
        t->is_cut = true;
        return 0;
    }
    buf_add(&t->body, piece);
    return buf_ok(&t->body, &t->error) ? piece.len : 0;
}

static size_t on_send(char *out, size_t size, size_t n, void *context)
{
    Transfer *t = context;
    int64_t left = t->call->send_size - t->sent;
    size_t want = (size_t)MIN((int64_t)(size * n), left);
    if (want == 0)
        return 0;
    ssize_t got;
    do
        got = pread(t->call->fd, out, want, t->call->send_from + t->sent);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        if (got < 0)
            (void)!fail_io(&t->error, "read what is sent");
        else
            (void)!fail(&t->error, ERR_INVALID, "the file became shorter while it was sent");
        return CURL_READFUNC_ABORT;
    }
    t->sent += got;
    // A redirect sends the beginning again: what counts is how far it got.
    if (t->sent > t->farthest) {
        if (t->call->sent)
            t->call->sent(t->call->context, t->sent - t->farthest);
        t->farthest = t->sent;
    }
    return (size_t)got;
}

static int on_rewind(void *context, curl_off_t offset, int origin)
{
    Transfer *t = context;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static int on_tick(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                   curl_off_t up)
{
    const Transfer *t = context;
    return t->call->cancelled && atomic_load(t->call->cancelled);
}

static bool may_call(const Address *address, const Networks *allow, Error *err)
{
    char text[ADDRESS_SIZE];
    if (address_is_public(address) || networks_has(allow, address))
        return true;
    address_format(address, text);
    return fail(err, ERR_DENIED, "%s is not an address of the open internet", text);
}

/* Each connection's socket, of redirects too, is made here, when its address is known for good. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    Transfer *t = context;
    Address address;
    if (!address_of_socket(&to->addr, &address) || !may_call(&address, t->call->allow, &t->refused))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* A typed front over the variadic curl_easy_setopt, whose result only ever says that libcurl lacks
 * the option: we ask for none that Debian's lacks. */
#define SET(option, value) CHECK(curl_easy_setopt(curl, CURLOPT_##option, (value)) == CURLE_OK)

static void set_policy(CURL *curl, const ClientCall *call, Transfer *t)
{
    curl_easy_reset(curl); // keeps connections
    SET(URL, call->url);
    SET(PROTOCOLS_STR, "http,https");
    SET(REDIR_PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, call->stay ? 0L : 1L);
    SET(MAXREDIRS, (long)MAX_REDIRECTS);
    SET(POSTREDIR, (long)CURL_REDIR_POST_ALL);
    SET(NOSIGNAL, 1L);
    SET(CONNECTTIMEOUT, call->connect_seconds ? (long)call->connect_seconds : 10L);
    SET(LOW_SPEED_LIMIT, 1L);
    SET(LOW_SPEED_TIME, call->idle_seconds ? (long)call->idle_seconds : 60L);
    SET(TIMEOUT, (long)call->total_seconds);
    if (call->public_only) {
        SET(OPENSOCKETFUNCTION, on_socket);
        SET(OPENSOCKETDATA, t);
        SET(PROXY, "");
        // A connection that stands was made under another call's rules.
        SET(FRESH_CONNECT, 1L);
        SET(FORBID_REUSE, 1L);
    }
    // Of a house's own authority; where Python's clients look too. The library does not by itself.
    const char *authorities = getenv("SSL_CERT_FILE");
    if (authorities && authorities[0])
        SET(CAINFO, authorities);
    // A hint: refused where an earlier call's buffer is still held.
    (void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    if (call->token) {
        SET(HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(XOAUTH2_BEARER, call->token);
    }
}

static void set_body(CURL *curl, const ClientCall *call, Transfer *t)
{
    const char *method = call->method;
    if (method && strcmp(method, "HEAD") == 0) {
        SET(NOBODY, 1L);
        return;
    }
    if (call->send_size > 0) {
        SET(UPLOAD, 1L);
        SET(READFUNCTION, on_send);
        SET(READDATA, t);
        SET(SEEKFUNCTION, on_rewind);
        SET(SEEKDATA, t);
        SET(INFILESIZE_LARGE, (curl_off_t)call->send_size);
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    } else if (call->body.len || (method && strcmp(method, "POST") == 0)) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        SET(POSTFIELDS, call->body.ptr ? call->body.ptr : "");
    }
    if (method)
        SET(CUSTOMREQUEST, method);
    else if (call->send_size > 0)
        SET(CUSTOMREQUEST, "POST");
}

static bool explain(CURLcode code, const char *detail, Error *err)
{
    const char *text = detail[0] ? detail : curl_easy_strerror(code);
    switch ((int)code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fail(err, ERR_INVALID, "%s", text);
    case CURLE_OPERATION_TIMEDOUT:
        return fail(err, ERR_TIMEOUT, "%s", text);
    case CURLE_ABORTED_BY_CALLBACK:
        return fail(err, ERR_CANCELLED, "cancelled");
    default:
        return fail(err, ERR_UNAVAILABLE, "%s", text);
    }
}

static bool perform(Client *c, Arena *a, Transfer *t, ClientAnswer *answer, Error *err)
{
    CURL *curl = c->curl;
    const ClientCall *call = t->call;
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers =
        curl_slist_append(NULL, "Expect:"); // do not wait for "100 Continue"
    for (const char *const *h = call->headers; h && *h; h++)
        headers = curl_slist_append(headers, *h);
    CHECK(headers);
    set_policy(curl, call, t);
    set_body(curl, call, t);
    SET(HTTPHEADER, headers);
    SET(ERRORBUFFER, detail);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, t);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, t);
    SET(NOPROGRESS, 0L);
    SET(XFERINFOFUNCTION, on_tick);
    SET(XFERINFODATA, t);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    const char *url = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_slist_free_all(headers);
    SET(ERRORBUFFER, NULL); // it lives on this stack
    if (code == CURLE_COULDNT_CONNECT && t->refused.code)
        t->error = t->refused;
    if (t->error.code) {
        if (err)
            *err = t->error;
        return false;
    }
    if (code != CURLE_OK && !t->is_cut)
        return explain(code, detail, err);
    *answer = (ClientAnswer){.status = (int)status,
                             .body = arena_str(a, buf_str(&t->body)),
                             .headers = arena_str(a, buf_str(&t->headers)),
                             .url = arena_cstr(a, str_of(url ? url : call->url))};
    return true;
}

bool client_call(Client *c, Arena *a, const ClientCall *call, ClientAnswer *answer, Error *err)
{
    Transfer t = {.call = call, .curl = c->curl};
    buf_init(&t.headers, MAX_HEADERS);
    buf_init(&t.body, call->max_body ? call->max_body : MAX_ANSWER);
    bool ok = perform(c, a, &t, answer, err);
    buf_done(&t.headers);
    buf_done(&t.body);
    if (ok)
        return true;
    // Queries may hold signatures; logs and screens must not.
    Str url = str_of(call->url);
    const char *method = call->method ? call->method : call->body.len ? "POST" : "GET";
    return fail_while(err, "%s %.*s", method, STR(str_slice(url, 0, str_find_char(url, '?', 0))));
}

Str client_header(const ClientAnswer *answer, const char *name)
{
    Str rest = answer->headers, line, wanted = str_of(name);
    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':', 0);
        if (colon != SIZE_MAX && str_eq_nocase(str_slice(line, 0, colon), wanted))
            return str_trim(str_slice(line, colon + 1, line.len));
    }
    return (Str){0};
}

bool client_url_check(const char *url, const Networks *allow, Error *err)
{
    pthread_once(&once, start_curl);
    CURLU *parts = curl_url();
    CHECK(parts);
    char *scheme = NULL, *host = NULL;
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
    bool ok = code == CURLUE_OK && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (!ok)
        (void)!fail(err, ERR_INVALID, "it is not an http:// or https:// address");
    Address address;
    Str name = str_of(ok ? host : "");
    if (str_starts(name, S("[")))
        name = str_slice(name, 1, name.len - 1);
    if (address_parse(name, &address))
        ok = may_call(&address, allow, err);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return ok;
}
