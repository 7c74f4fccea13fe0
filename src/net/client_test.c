/* The HTTP client against a scripted server. */
#include "net/script.h"

#include "net/client.h"

#include <fcntl.h>

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
