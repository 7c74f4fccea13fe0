/* The HTTP server over real sockets: each test is a client, some of them rude. */
#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"
#include "net/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static Server *server;
static struct sockaddr_in address;
static atomic_int cancelled_seen; // handlers that saw their client go
static atomic_llong body_most;    // process memory guard: the most a read gave at once

// ---- Handlers ----

static void hello(Request *r)
{
    reply_bytes(r, 200, "text/plain", S("hello"));
}

static void echo_params(Request *r)
{
    AUTO(json_decref) json_t *out = json_object();
    json_object_set_new(out, "rev", json_from_str(request_param(r, "rev")));
    json_object_set_new(out, "path", json_from_str(request_param(r, "path")));
    json_object_set_new(out, "q", json_from_str(request_query_get(r, "q")));
    json_object_set_new(out, "cookie", json_from_str(request_cookie(r, "session")));
    json_object_set_new(out, "method", json_from_str(request_method(r)));
    reply_json(r, 200, out);
}

static void echo_body(Request *r)
{
    Str body;
    Error err = {0};
    if (!request_body(r, 0, &body, &err))
        return reply_error(r, &err);
    reply_bytes(r, 200, "text/plain", body);
}

static void count_body(Request *r)
{
    char chunk[1 << 16];
    size_t n;
    int64_t total = 0;
    Error err = {0};
    do {
        if (!request_read(r, chunk, sizeof chunk, &n, &err)) {
            cancelled_seen++;
            return reply_error(r, &err);
        }
        total += (int64_t)n;
        if ((long long)n > body_most)
            body_most = (long long)n;
    } while (n > 0);
    char *text = arena_printf(request_arena(r), "%lld", (long long)total);
    reply_bytes(r, 200, "text/plain", str_of(text));
}

/* "name=value;" for fields, "name[file]=length;" for files; refuses a field that is called "no". */
static bool tell_field(void *user, const FormField *field, int64_t at, Str bytes, Error *err)
{
    Buf *out = user;
    if (str_eq(field->name, S("no")))
        return fail(err, ERR_DENIED, "not this field");
    if (at == 0)
        buf_printf(out, ";%.*s[%.*s]=", STR(field->name), STR(field->filename));
    if (!field->is_file)
        buf_add(out, bytes);
    else if (bytes.len)
        buf_printf(out, "%lld+%zu ", (long long)at, bytes.len);
    return true;
}

static void multipart(Request *r)
{
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 1 << 20);
    if (!request_multipart(r, tell_field, &out, &err))
        return reply_error(r, &err);
    reply_buf(r, 200, "text/plain", &out);
}

static void refuse(Request *r)
{
    reply_failure(r, 401, "who are you");
}

static void file(Request *r)
{
    int fd = open(test_path("file"), O_RDONLY | O_CLOEXEC);
    reply_file(r, &(FileReply){.fd = fd,
                               .offset = 10,
                               .size = 100,
                               .etag = S("\"tag\""),
                               .modified_ns = 1700000000 * NS_PER_S});
}

static void stream(Request *r)
{
    if (!reply_stream(r, 200, "text/plain"))
        return;
    for (int i = 0; i < 3; i++) {
        usleep(20000);
        if (!reply_write(r, S("piece "), NULL))
            return;
    }
}

static void stream_for_ever(Request *r)
{
    static const char block[32768];
    Error err = {0};
    if (!reply_stream(r, 200, "text/plain"))
        return;
    while (reply_write(r, (Str){block, sizeof block}, &err))
        ;
    if (err.code == ERR_CANCELLED)
        cancelled_seen++;
}

static void cut(Request *r)
{
    if (reply_stream(r, 200, "text/plain") && reply_write(r, S("half"), NULL))
        reply_abort(r);
}

static void events(Request *r)
{
    if (!reply_events(r))
        return;
    reply_event(r, NULL, S("{\"a\":1}"), NULL);
    reply_event_alive(r, NULL);
    reply_event(r, "end", S("two\nlines"), NULL);
}

static void think(Request *r)
{
    const atomic_bool *gone = request_cancelled(r);
    for (int i = 0; i < 500 && !atomic_load(gone); i++)
        usleep(10000);
    if (atomic_load(gone))
        cancelled_seen++;
    reply_bytes(r, 200, "text/plain", S("thought"));
}

static void sleepy(Request *r)
{
    usleep(300000);
    reply_bytes(r, 200, "text/plain", S("awake"));
}

/* Looked up once by a thread that has time, known afterwards. */
static void look_up(Request *r)
{
    static atomic_bool known;
    Error err = {0};
    reply_header(r, "X-Tried", S("yes"));
    if (!atomic_load(&known) && !thread_may_wait(&err))
        return reply_error(r, &err);
    bool was_known = atomic_exchange(&known, true);
    reply_bytes(r, 200, "text/plain", was_known ? S("known") : S("looked up"));
}

static void forge(Request *r)
{
    reply_header(r, "X-Echo", request_query_get(r, "q"));
    reply_empty(r, 200);
}

static const Route routes[] = {
    {"GET", "/hello", hello},
    {"GET", "/loop", hello, .flags = ROUTE_LOOP},
    {"GET", "/look-up", look_up, .flags = ROUTE_TRY},
    {"GET", "/tree/{rev}/{path...}", echo_params},
    {"POST", "/echo", echo_body, .max_body = 1000},
    {"POST", "/count", count_body, .max_body = ANY_BODY},
    {"POST", "/multipart", multipart, .max_body = ANY_BODY},
    {"POST", "/refuse", refuse, .max_body = ANY_BODY},
    {"GET", "/file", file},
    {"GET", "/stream", stream},
    {"GET", "/for-ever", stream_for_ever},
    {"GET", "/cut", cut},
    {"GET", "/events", events},
    {"GET", "/think", think},
    {"GET", "/sleepy", sleepy},
    {"GET", "/forge", forge},
};
static const RouteTable table = {
    .name = "test", .routes = routes, .n = COUNT(routes), .cors_expose = "ETag"};
static const RouteTable *tables[] = {&table, NULL};

// ---- A client ----

static int dial_port(uint16_t port)
{
    struct sockaddr_in to = address;
    if (port)
        to.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail_msg("connect");
    return fd;
}

static int dial(void)
{
    return dial_port(0);
}

static void say(int fd, Str bytes)
{
    Error err = {0};
    assert_ok(fd_write_all(fd, bytes.ptr, bytes.len, &err));
}

/* All that comes until the server closes, or for at most 10 s. */
static const char *hear(int fd)
{
    static Buf answer;
    buf_done(&answer);
    buf_init(&answer, 64 << 20);
    buf_add(&answer, S(""));
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        char chunk[65536];
        if (poll(&wait, 1, 10000) != 1)
            fail_msg("no answer in 10 s; so far: %s", answer.ptr ? answer.ptr : "");
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            break;
        buf_add_bytes(&answer, chunk, (size_t)n);
    }
    close(fd);
    buf_add(&answer, S(""));
    return answer.ptr ? answer.ptr : "";
}

static const char *talk(const char *request)
{
    int fd = dial();
    say(fd, str_of(request));
    return hear(fd);
}

#define END " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (!strstr(text_, (part)))                                                                \
            fail_msg("'%s' is not in: %s", (part), text_);                                         \
    } while (0)

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

// ---- Stories ----

static void test_answers_on_a_worker_and_on_the_loop(void **state)
{
    const char *answer = talk("GET /hello" END "\r\n");
    assert_has(answer, "HTTP/1.1 200");
    assert_string_equal(body_of(answer), "hello");
    assert_has(answer, "Access-Control-Allow-Origin: *");
    assert_string_equal(body_of(talk("GET /loop" END "\r\n")), "hello");
}

static void test_tries_on_the_loop_and_goes_to_a_worker(void **state)
{
    const char *answer = talk("GET /look-up" END "\r\n");
    assert_string_equal(body_of(answer), "looked up");
    const char *tried = strstr(answer, "X-Tried");
    assert_non_null(tried);
    assert_null(strstr(tried + 1, "X-Tried")); // the refused answer has left nothing behind
    assert_string_equal(body_of(talk("GET /look-up" END "\r\n")), "known");
}

static void test_gives_handlers_what_was_asked(void **state)
{
    const char *answer = talk("GET /tree/refs%2Fpr%2F1/a%20b/c?q=%C3%A9" END
                              "Cookie: a=b; session=xyz\r\nX-Request-Id: id-7\r\n\r\n");
    assert_has(answer, "X-Request-Id: id-7");
    assert_string_equal(body_of(answer), "{\"rev\":\"refs/pr/1\",\"path\":\"a b/c\",\"q\":\"é\","
                                         "\"cookie\":\"xyz\",\"method\":\"GET\"}");
}

static void test_head_has_the_length_and_no_body(void **state)
{
    const char *answer = talk("HEAD /hello" END "\r\n");
    assert_has(answer, "Content-Length: 5");
    assert_string_equal(body_of(answer), "");
    assert_string_equal(body_of(talk("HEAD /stream" END "\r\n")), "");
}

static void test_answers_errors_itself(void **state)
{
    assert_has(talk("GET /nope" END "\r\n"), "HTTP/1.1 404");
    const char *answer = talk("PUT /hello" END "Content-Length: 3\r\n\r\nabc");
    assert_has(answer, "HTTP/1.1 405");
    assert_has(answer, "Allow: GET, HEAD, OPTIONS");
    assert_has(talk("GET /tree/x/../y" END "\r\n"), "HTTP/1.1 400");
    assert_has(talk("GET /hello?a=%4" END "\r\n"), "HTTP/1.1 400");
    answer = talk("OPTIONS /echo" END "Origin: http://x\r\n"
                  "Access-Control-Request-Headers: authorization,x-use-cache\r\n\r\n");
    assert_has(answer, "HTTP/1.1 204");
    assert_has(answer, "Access-Control-Allow-Methods: POST, OPTIONS");
    assert_has(answer, "Access-Control-Allow-Headers: authorization,x-use-cache");
}

static void test_a_value_cannot_forge_headers(void **state)
{
    const char *answer = talk("GET /forge?q=a%0D%0AEvil:%20yes" END "\r\n");
    assert_has(answer, "X-Echo: a??Evil: yes");
}

static void test_reads_bodies(void **state)
{
    assert_string_equal(body_of(talk("POST /echo" END "Content-Length: 3\r\n\r\nabc")), "abc");
    assert_string_equal(body_of(talk("POST /echo" END "Content-Length: 0\r\n\r\n")), "");
    assert_string_equal(body_of(talk("POST /echo" END "Transfer-Encoding: chunked\r\n\r\n"
                                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")),
                        "abcde");
    AUTO_BUF long_body; // is read and dropped, so that the client can see why
    buf_init(&long_body, 0);
    buf_add(&long_body, S("POST /echo" END "Content-Length: 1001\r\n\r\n"));
    for (int i = 0; i < 1001; i++)
        buf_add_char(&long_body, 'x');
    assert_has(talk(long_body.ptr), "HTTP/1.1 413");
    AUTO_BUF chunked;
    buf_init(&chunked, 0);
    buf_add(&chunked, S("POST /echo" END "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 1001; i++)
        buf_add(&chunked, S("1\r\nx\r\n"));
    buf_add(&chunked, S("0\r\n\r\n"));
    assert_has(talk(chunked.ptr), "HTTP/1.1 413");
}

/* What the form that is `n` bytes long is answered with. */
static const char *post_form(Str form, const char *type)
{
    AUTO_BUF all;
    buf_init(&all, 0);
    buf_printf(&all, "POST /multipart" END "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
               form.len);
    buf_add(&all, form);
    int fd = dial();
    say(fd, buf_str(&all));
    return hear(fd);
}

#define FIELD(name) "--xyz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_FIELD(name)                                                                           \
    "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" name                        \
    "\"\r\nContent-Type: text/plain\r\n\r\n"
#define MULTIPART "multipart/form-data; boundary=xyz"

static void test_reads_forms_with_files_as_they_come(void **state)
{
    const char *answer = post_form(
        S(FIELD("a") "one & two\r\n" FILE_FIELD("d/e.txt") "--xy is not the end\r\n\r\n" FILE_FIELD(
            "empty") "\r\n" FIELD("last") "\r\n--xyz--\r\n"),
        MULTIPART);
    assert_string_equal(body_of(answer), ";a[]=one & two;f[d/e.txt]=0+21 ;f[empty]=;last[]=");

    AUTO_BUF large;
    buf_init(&large, 0);
    buf_add(&large, S(FILE_FIELD("large")));
    for (int i = 0; i < 100000; i++)
        buf_printf(&large, "%07d\n-\r", i); // nearly a boundary again and again
    buf_add(&large, S("\r\n--xyz--\r\n"));
    answer = body_of(post_form(buf_str(&large), MULTIPART));
    long long at = 0, n;
    int used;
    assert_has(answer, ";f[large]=");
    answer += strlen(";f[large]=");
    for (long long from; sscanf(answer, "%lld+%lld %n", &from, &n, &used) == 2; answer += used) {
        assert_int_equal(from, at); // one piece behind the other
        at += n;
    }
    assert_int_equal(at, 1000000);

    assert_has(post_form(S(FIELD("no") "x\r\n--xyz--\r\n"), MULTIPART), "403");
    assert_has(post_form(S("a=b"), "application/x-www-form-urlencoded"), "want multipart");
    assert_has(post_form(S("a=b"), "multipart/form-data"), "400");
    assert_has(post_form(S(FIELD("a") "cut"), MULTIPART), "ends early");
}

static void test_inflates_gzip_within_the_limit(void **state)
{
    // printf hello | gzip -n
    static const char gz[] =
        "\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    int fd = dial();
    say(fd, S("POST /echo" END "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"));
    say(fd, (Str){gz, 25});
    assert_string_equal(body_of(hear(fd)), "hello");
    fd = dial();
    say(fd, S("POST /echo" END "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"));
    say(fd, (Str){gz, 20});
    assert_has(hear(fd), "broken gzip");
    assert_has(talk("POST /echo" END "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
               "HTTP/1.1 415");
}

static void test_expect_continue(void **state)
{
    int fd = dial();
    say(fd, S("POST /echo" END "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    char first[64] = {0};
    assert_true(read(fd, first, sizeof first - 1) > 0);
    assert_has(first, "HTTP/1.1 100");
    say(fd, S("abc"));
    assert_string_equal(body_of(hear(fd)), "abc");
    // Refused before the body is sent.
    assert_has(talk("POST /refuse" END "Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"),
               "HTTP/1.1 401");
}

static void *upload(void *context)
{
    int fd = *(int *)context;
    static const char block[1 << 16];
    for (int i = 0; i < 3200; i++)
        if (write(fd, block, sizeof block) != sizeof block)
            break;
    return NULL;
}

static void test_streams_large_uploads(void **state)
{
    int fd = dial();
    say(fd, S("POST /count" END "Content-Length: 209715200\r\n\r\n"));
    upload(&fd);
    assert_string_equal(body_of(hear(fd)), "209715200");
    assert_true(body_most <= 1 << 16);
    // An answer that does not want the body still arrives, after the body has been dropped.
    fd = dial();
    say(fd, S("POST /refuse" END "Content-Length: 6553600\r\n\r\n"));
    static const char block[1 << 16];
    for (int i = 0; i < 100; i++)
        say(fd, (Str){block, sizeof block});
    assert_has(hear(fd), "HTTP/1.1 401");
}

static void wait_cancelled(int before)
{
    for (int i = 0; i < 500 && cancelled_seen == before; i++)
        usleep(10000);
    assert_int_equal(cancelled_seen, before + 1);
}

static void test_sees_clients_leave(void **state)
{
    int before = cancelled_seen; // in the middle of an upload
    int fd = dial();
    say(fd, S("POST /count" END "Content-Length: 1000000\r\n\r\nabc"));
    usleep(50000);
    close(fd);
    wait_cancelled(before);

    before = cancelled_seen; // while it thinks, with the connection suspended
    fd = dial();
    say(fd, S("GET /think" END "\r\n"));
    usleep(50000);
    close(fd);
    wait_cancelled(before);

    before = cancelled_seen; // in the middle of an answer
    fd = dial();
    say(fd, S("GET /for-ever" END "\r\n"));
    char some[1000];
    assert_true(read(fd, some, sizeof some) > 0);
    close(fd);
    wait_cancelled(before);
}

static void test_streams_answers(void **state)
{
    const char *answer = talk("GET /stream" END "\r\n");
    assert_has(answer, "Transfer-Encoding: chunked");
    assert_string_equal(body_of(answer), "6\r\npiece \r\n6\r\npiece \r\n6\r\npiece \r\n0\r\n\r\n");
    answer = talk("GET /cut" END "\r\n");
    assert_null(strstr(answer, "\r\n0\r\n"));
    answer = talk("GET /stream HTTP/1.0\r\n\r\n");
    assert_string_equal(body_of(answer), "piece piece piece ");
    answer = talk("GET /events" END "\r\n");
    assert_has(answer, "Content-Type: text/event-stream");
    assert_has(answer, "data: {\"a\":1}\n\n");
    assert_has(answer, ":\n\n");
    assert_has(answer, "event: end\ndata: two\ndata: lines\n\n");
}

static void test_sends_files_and_ranges(void **state)
{
    Error err = {0};
    AUTO_BUF content;
    buf_init(&content, 0);
    for (int i = 0; i < 120; i++)
        buf_add_char(&content, (char)('!' + i % 90));
    assert_ok(file_write_atomic(test_path("file"), buf_str(&content), 0600, &err));
    const char *answer = talk("GET /file" END "\r\n");
    assert_has(answer, "ETag: \"tag\"");
    assert_has(answer, "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT");
    assert_int_equal(strlen(body_of(answer)), 100);
    assert_memory_equal(body_of(answer), content.ptr + 10, 100);

    answer = talk("GET /file" END "Range: bytes=5-9\r\n\r\n");
    assert_has(answer, "HTTP/1.1 206");
    assert_has(answer, "Content-Range: bytes 5-9/100");
    assert_int_equal(strlen(body_of(answer)), 5);
    assert_memory_equal(body_of(answer), content.ptr + 15, 5);
    assert_has(talk("GET /file" END "Range: bytes=-3\r\n\r\n"), "bytes 97-99/100");
    assert_has(talk("GET /file" END "Range: bytes=90-\r\n\r\n"), "bytes 90-99/100");
    assert_has(talk("GET /file" END "Range: bytes=0-500\r\n\r\n"), "bytes 0-99/100");
    answer = talk("GET /file" END "Range: bytes=100-\r\n\r\n");
    assert_has(answer, "HTTP/1.1 416");
    assert_has(answer, "Content-Range: bytes */100");
    assert_has(talk("GET /file" END "Range: bytes=9-5\r\n\r\n"), "HTTP/1.1 200");
    assert_has(talk("GET /file" END "Range: bytes=1-2\r\nIf-Range: \"old\"\r\n\r\n"), " 200 ");
    assert_has(talk("GET /file" END "Range: bytes=1-2\r\nIf-Range: \"tag\"\r\n\r\n"), " 206 ");
    assert_has(talk("GET /file" END "If-None-Match: \"x\", W/\"tag\"\r\n\r\n"), " 304 ");
    answer = talk("HEAD /file" END "Range: bytes=5-9\r\n\r\n");
    assert_has(answer, "Content-Length: 5");
    assert_string_equal(body_of(answer), "");
}

static void test_serves_pipelined_requests_in_order(void **state)
{
    int fd = dial();
    say(fd, S("GET /sleepy HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
              "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
              "GET /loop" END "\r\n"));
    const char *answer = hear(fd);
    const char *awake = strstr(answer, "awake"), *hi = strstr(answer, "\r\n\r\nhi");
    assert_non_null(awake);
    assert_non_null(hi);
    assert_true(awake < strstr(answer, "hello") && strstr(answer, "hello") < hi);
    assert_non_null(strstr(hi, "hello"));
}

static void test_refuses_huge_heads(void **state)
{
    AUTO_BUF head;
    buf_init(&head, 0);
    buf_add(&head, S("GET /hello" END "X-Big: ")); // large, but within the limit
    for (int i = 0; i < 30000; i++)
        buf_add_char(&head, 'x');
    buf_add(&head, S("\r\n\r\n"));
    assert_string_equal(body_of(talk(head.ptr)), "hello");
    buf_reset(&head);
    buf_add(&head, S("GET /hello" END "X-Big: "));
    for (int i = 0; i < 40000; i++)
        buf_add_char(&head, 'x');
    buf_add(&head, S("\r\n\r\n"));
    assert_has(talk(head.ptr), "HTTP/1.1 431");
    buf_reset(&head);
    buf_add(&head, S("GET /hello" END));
    for (int i = 0; i < 300; i++)
        buf_add(&head, S("A: b\r\n"));
    buf_add(&head, S("\r\n"));
    assert_has(talk(head.ptr), "HTTP/1.1 431");
    assert_string_equal(body_of(talk("GET /hello" END "\r\n")), "hello");
}

static uint16_t port_of(const Server *s)
{
    Str where = str_of(server_address(s));
    int64_t port = 0;
    assert_true(
        str_to_int(str_slice(where, str_rfind_char(where, ':') + 1, SIZE_MAX), 1, 65535, &port));
    return (uint16_t)port;
}

static Server *other_server(int workers, int queue)
{
    Error err = {0};
    Server *s = server_start(&(ServerOptions){.listen = "127.0.0.1:0",
                                              .tables = tables,
                                              .workers = workers,
                                              .queue = queue,
                                              .head_seconds = 1,
                                              .idle_seconds = 2},
                             &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void test_cuts_clients_that_trickle_their_head(void **state)
{
    Server *s = other_server(2, 2);
    int fd = dial_port(port_of(s));
    int64_t begin = clock_ns();
    for (int i = 0; i < 50; i++) { // never idle, never done
        if (send(fd, "G", 1, MSG_NOSIGNAL) != 1)
            break;
        usleep(100000);
    }
    close(fd);
    assert_in_range(clock_ns() - begin, NS_PER_S / 2, 4 * NS_PER_S);
    server_stop(s, NS_PER_S);
}

static void test_says_503_when_too_many_wait(void **state)
{
    Server *s = other_server(1, 1);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial_port(port_of(s));
        say(fds[i], S("GET /sleepy" END "\r\n"));
        usleep(20000);
    }
    int busy = 0;
    for (int i = 0; i < 4; i++) {
        const char *answer = hear(fds[i]);
        busy += strstr(answer, "HTTP/1.1 503") && strstr(answer, "Retry-After: 1");
    }
    assert_int_equal(busy, 2); // one runs, one waits
    server_stop(s, NS_PER_S);
}

static void test_uploads_hold_up_nothing_else(void **state)
{
    Server *s = other_server(1, 4);
    int slow[4]; // each takes a thread for itself, and waits for its client there
    for (size_t i = 0; i < COUNT(slow); i++) {
        slow[i] = dial_port(port_of(s));
        say(slow[i], S("POST /count" END "Content-Length: 1000000\r\n\r\nand now"));
    }
    usleep(50000);
    int fd = dial_port(port_of(s));
    int64_t begin = clock_ns();
    say(fd, S("GET /hello" END "\r\n"));
    assert_string_equal(body_of(hear(fd)), "hello");
    assert_true(clock_ns() - begin < NS_PER_S);
    for (size_t i = 0; i < COUNT(slow); i++)
        close(slow[i]);
    server_stop(s, NS_PER_S);
}

static void *stop_gently(void *context)
{
    server_stop(context, 5 * NS_PER_S);
    return NULL;
}

static void test_finishes_what_runs_before_it_stops(void **state)
{
    Server *s = other_server(4, 4);
    int fd = dial_port(port_of(s));
    say(fd, S("GET /sleepy" END "\r\n"));
    usleep(50000);
    pthread_t stopper = thread_start("stopper", stop_gently, s);
    assert_string_equal(body_of(hear(fd)), "awake");
    pthread_join(stopper, NULL);

    s = other_server(4, 4); // what does not finish in time is cancelled
    fd = dial_port(port_of(s));
    say(fd, S("GET /think" END "\r\n"));
    usleep(50000);
    int before = cancelled_seen;
    int64_t begin = clock_ns();
    server_stop(s, 100 * NS_PER_MS);
    assert_true(clock_ns() - begin < 2 * NS_PER_S);
    assert_int_equal(cancelled_seen, before + 1);
    close(fd);
}

static void test_says_why_it_cannot_listen(void **state)
{
    Error err = {0};
    ServerOptions o = {.listen = server_address(server), .tables = tables};
    assert_fails(server_start(&o, &err), ERR_IO, "Address already in use");
    o.listen = "nonsense";
    assert_fails(server_start(&o, &err), ERR_USAGE, "ADDRESS:PORT");
}

int main(void)
{
    Error err = {0};
    server = server_start(&(ServerOptions){.listen = "127.0.0.1:0", .tables = tables}, &err);
    if (!server) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(port_of(server))};
    int failed = RUN(
        test_answers_on_a_worker_and_on_the_loop, test_tries_on_the_loop_and_goes_to_a_worker,
        test_gives_handlers_what_was_asked, test_head_has_the_length_and_no_body,
        test_answers_errors_itself, test_a_value_cannot_forge_headers, test_reads_bodies,
        test_reads_forms_with_files_as_they_come, test_inflates_gzip_within_the_limit,
        test_expect_continue, test_streams_large_uploads, test_sees_clients_leave,
        test_streams_answers, test_sends_files_and_ranges, test_serves_pipelined_requests_in_order,
        test_refuses_huge_heads, test_cuts_clients_that_trickle_their_head,
        test_says_503_when_too_many_wait, test_uploads_hold_up_nothing_else,
        test_finishes_what_runs_before_it_stops, test_says_why_it_cannot_listen);
    server_stop(server, NS_PER_S);
    test_folder_remove();
    return failed;
}
