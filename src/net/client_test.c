/* The HTTP client against a scripted server. */
#include "net/script.h"

#include "net/client.h"
#include "net/networks.h"

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

static void test_a_call_in_the_open_internet_reaches_nothing_private(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    AUTO(networks_free) Networks *one = networks_new("127.0.0.1/32", &err);
    ClientAnswer answer;
    // The last two names are spellings that only the resolver understands.
    static const char *const urls[] = {"http://127.0.0.1:1/",  "http://localhost:1/",
                                       "http://[::1]:1/",      "http://[::ffff:127.0.0.1]:1/",
                                       "http://0.0.0.0:1/",    "http://169.254.169.254/meta",
                                       "http://2130706433:1/", "http://0x7f.1:1/"};
    for (size_t i = 0; i < COUNT(urls); i++)
        assert_fails(
            client_call(c, a, &(ClientCall){.url = urls[i], .public_only = true}, &answer, &err),
            ERR_DENIED, "not an address of the open internet");

    const char *there = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    Script s;
    script_start(&s, (const char *const[]){there, there,
                                           "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/\r\n"
                                           "Content-Length: 0\r\n\r\n",
                                           NULL});
    ClientCall call = {.url = arena_printf(a, "http://127.0.0.1:%d/", s.port)};
    // What another call's connection was allowed to is not for this one.
    assert_ok(client_call(c, a, &call, &answer, &err));
    call.public_only = true;
    assert_fails(client_call(c, a, &call, &answer, &err), ERR_DENIED, "127.0.0.1");
    call.allow = one;
    setenv("http_proxy", "http://127.0.0.2:1", 1);
    assert_ok(client_call(c, a, &call, &answer, &err));
    unsetenv("http_proxy");
    assert_fails(client_call(c, a, &call, &answer, &err), ERR_DENIED, "127.0.0.2");
    script_stop(&s);
}

static void test_an_answer_may_be_cut(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n0123456789",
                                          NULL};
    Script s;
    script_start(&s, answers);
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    ClientAnswer answer;
    ClientCall call = {
        .url = arena_printf(a, "http://127.0.0.1:%d/", s.port), .max_body = 4, .cut = true};
    assert_ok(client_call(c, a, &call, &answer, &err));
    assert_int_equal(answer.status, 500);
    assert_str(answer.body, "0123");
    script_stop(&s);
}

static void test_an_address_to_call_is_checked_beforehand(void **state)
{
    Error err = {0};
    AUTO(networks_free) Networks *home = networks_new("10.0.0.0/8", &err);
    assert_ok(client_url_check("https://example.org:8443/hook?x=1", NULL, &err));
    assert_ok(client_url_check("http://10.1.2.3/", home, &err));
    assert_fails(client_url_check("http://10.1.2.3/", NULL, &err), ERR_DENIED, "10.1.2.3");
    assert_fails(client_url_check("http://[::1]/", home, &err), ERR_DENIED, "::1");
    assert_fails(client_url_check("http://0x7f.1/", home, &err), ERR_DENIED, "127.0.0.1");
    static const char *const bad[] = {"",        "example.org",        "ftp://example.org/",
                                      "http://", "file:///etc/passwd", "http://a b/"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(client_url_check(bad[i], NULL, &err), ERR_INVALID, "http");
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_an_answer_has_status_headers_and_body,
               test_redirects_keep_the_method_and_lose_the_token_elsewhere,
               test_bodies_are_taken_piece_by_piece_and_may_be_refused,
               test_a_part_of_a_file_is_sent,
               test_a_call_in_the_open_internet_reaches_nothing_private, test_an_answer_may_be_cut,
               test_an_address_to_call_is_checked_beforehand, test_nobody_there_is_unavailable);
}
