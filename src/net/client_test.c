/* The HTTP client against a scripted server: a thread that answers each connection from a list. */
#include "base/test.h"

#include "net/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Script {
    int listener, port;
    const char *const *answers; // one a connection, ending with NULL
    Buf asked;                  // all that came in
    pthread_t thread;
} Script;

/* Reads up to the end of the head, and of a body if it has a Content-Length. */
static void read_request(int fd, Buf *asked)
{
    size_t start = asked->len, end = SIZE_MAX;
    while (end == SIZE_MAX || asked->len < end) {
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0)
            return;
        buf_add_bytes(asked, piece, (size_t)n);
        Str so_far = str_slice(buf_str(asked), start, asked->len);
        size_t head = str_find(so_far, S("\r\n\r\n"), 0);
        if (head == SIZE_MAX)
            continue;
        size_t at = str_find(so_far, S("Content-Length: "), 0);
        int64_t length = 0;
        if (at < head)
            str_to_int(str_slice(so_far, at + 16, str_find(so_far, S("\r"), at)), 0, 1 << 20,
                       &length);
        end = start + head + 4 + (size_t)length;
    }
}

static void *serve(void *context)
{
    Script *s = context;
    for (const char *const *answer = s->answers; *answer; answer++) {
        int fd = accept(s->listener, NULL, NULL);
        read_request(fd, &s->asked);
        ssize_t ignored = write(fd, *answer, strlen(*answer));
        (void)ignored;
        close(fd);
    }
    return NULL;
}

static void script_start(Script *s, const char *const *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    *s = (Script){.answers = answers, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    buf_init(&s->asked, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    getsockname(s->listener, (struct sockaddr *)&at, &size);
    s->port = ntohs(at.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

static void script_stop(Script *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
    buf_done(&s->asked);
}

static void test_an_answer_has_status_headers_and_body(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\nContent-Length: 4\r\n\r\ngone",
        NULL};
    Script s;
    script_start(&s, answers);
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    ClientCall call = {.url = arena_printf(a, "http://127.0.0.1:%d/x?sig=secret", s.port),
                       .token = "hf_abc",
                       .headers = (const char *const[]){"X-One: 1", NULL}};
    assert_ok(client_call(c, a, &call, &answer, &err));
    assert_int_equal(answer.status, 404);
    assert_str(answer.body, "gone");
    assert_str(client_header(&answer, "x-error-code"), "RepoNotFound");
    assert_null(client_header(&answer, "Error-Code").ptr);
    assert_true(str_find(buf_str(&s.asked), S("Authorization: Bearer hf_abc\r\n"), 0) != SIZE_MAX);
    assert_true(str_find(buf_str(&s.asked), S("X-One: 1\r\n"), 0) != SIZE_MAX);
    script_stop(&s);
}

static void test_redirects_keep_the_method_and_lose_the_token_elsewhere(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    Script there, here;
    script_start(&there,
                 (const char *const[]){"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL});
    const char *moved = arena_printf(a,
                                     "HTTP/1.1 307 Moved\r\nLocation: http://localhost:%d/b\r\n"
                                     "X-First: 1\r\nContent-Length: 0\r\n\r\n",
                                     there.port);
    script_start(&here, (const char *const[]){moved, NULL});
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    ClientCall call = {.url = arena_printf(a, "http://127.0.0.1:%d/a", here.port),
                       .token = "hf_abc",
                       .body = S("{\"a\":1}")};
    assert_ok(client_call(c, a, &call, &answer, &err));
    assert_int_equal(answer.status, 200);
    assert_null(client_header(&answer, "X-First").ptr);
    assert_true(str_starts(buf_str(&there.asked), S("POST /b ")));
    assert_true(str_ends(buf_str(&there.asked), S("{\"a\":1}")));
    assert_true(str_find(buf_str(&there.asked), S("hf_abc"), 0) == SIZE_MAX);
    script_stop(&here);
    script_stop(&there);
}

static bool take(void *context, int status, Str bytes, Error *err)
{
    assert_int_equal(status, 200);
    buf_add(context, bytes);
    return buf_ok(context, err);
}

static void test_bodies_are_taken_piece_by_piece_and_may_be_refused(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
                                          NULL};
    Script s;
    script_start(&s, answers);
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    AUTO_BUF taken;
    buf_init(&taken, 6);
    ClientCall call = {.url = arena_printf(a, "http://127.0.0.1:%d/?q=1", s.port),
                       .take = take,
                       .context = &taken};
    assert_ok(client_call(c, a, &call, &answer, &err));
    assert_str(buf_str(&taken), "hello");
    assert_fails(client_call(c, a, &call, &answer, &err), ERR_LIMIT, "GET http://127.0.0.1");
    assert_null(strstr(err.text, "q=1"));
    call.take = NULL;
    assert_fails(client_call(c, a, &call, &answer, &err), ERR_UNAVAILABLE, "");
    script_stop(&s);
}

static void count_sent(void *context, int64_t bytes)
{
    *(int64_t *)context += bytes;
}

static void test_a_part_of_a_file_is_sent(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL};
    Script s;
    script_start(&s, answers);
    Error err = {0};
    assert_ok(file_write_atomic(test_path("file"), S("0123456789"), 0600, &err));
    AUTO_FD int fd = open(test_path("file"), O_RDONLY);
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    int64_t sent = 0;
    ClientCall call = {.method = "PUT",
                       .url = arena_printf(a, "http://127.0.0.1:%d/up", s.port),
                       .fd = fd,
                       .send_from = 2,
                       .send_size = 5,
                       .sent = count_sent,
                       .context = &sent};
    assert_ok(client_call(c, a, &call, &answer, &err));
    assert_int_equal(sent, 5);
    assert_true(str_starts(buf_str(&s.asked), S("PUT /up ")));
    assert_true(str_ends(buf_str(&s.asked), S("\r\n\r\n23456")));
    script_stop(&s);
}

static void test_nobody_there_is_unavailable(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    assert_fails(client_call(c, a, &(ClientCall){.url = "http://127.0.0.1:1/"}, &answer, &err),
                 ERR_UNAVAILABLE, "GET http://127.0.0.1:1/: ");
    assert_fails(client_call(c, a, &(ClientCall){.url = "file:///etc/passwd"}, &answer, &err),
                 ERR_INVALID, "");
    atomic_bool yes = true;
    ClientCall call = {.url = "http://127.0.0.1:1/", .cancelled = &yes};
    assert_false(client_call(c, a, &call, &answer, &err));
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_an_answer_has_status_headers_and_body,
               test_redirects_keep_the_method_and_lose_the_token_elsewhere,
               test_bodies_are_taken_piece_by_piece_and_may_be_refused,
               test_a_part_of_a_file_is_sent, test_nobody_there_is_unavailable);
}
