/* Stories of rate limits: who counts as one client, which proxies are believed, what headers say.
 */
#include "net/limits.h"

#include "base/test.h"
#include "base/thread.h"
#include "net/server_internal.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_an_address_stands_for_one_customer(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_str(address_key(a, S("192.0.2.7")), "192.0.2.7");
    assert_str(address_key(a, S("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
    assert_str(address_key(a, S("2001:db8:1:2:ffff::1")), "2001:db8:1:2::/64");
    assert_str(address_key(a, S("::ffff:192.0.2.7")), "192.0.2.7");
    assert_str(address_key(a, S("127.0.0.1")), "");
    assert_str(address_key(a, S("::1")), "");
    assert_str(address_key(a, S("what:ever")), "what:ever");
}

static void test_only_named_proxies_say_whom_they_speak_for(void **state)
{
    Error err = {0};
    AUTO(networks_free) Networks *t = networks_new("127.0.0.1, 10.0.0.0/8,2001:db8::/33", &err);
    assert_ok(t);
    assert_true(trusted_has(t, S("10.9.8.7")) && trusted_has(t, S("::ffff:10.9.8.7")));
    assert_true(trusted_has(t, S("2001:db8:7fff::1")) && !trusted_has(t, S("2001:db8:8000::1")));
    assert_false(trusted_has(t, S("11.0.0.1")) || trusted_has(t, S("x")) || trusted_has(t, S("")));

    Str peer = S("127.0.0.1");
    assert_str(trusted_client(t, peer, S("192.0.2.1")), "192.0.2.1");
    assert_str(trusted_client(t, peer, S("6.6.6.6, 192.0.2.1, 10.1.1.1")), "192.0.2.1");
    assert_str(trusted_client(t, S("192.0.2.9"), S("6.6.6.6")), "192.0.2.9");
    assert_str(trusted_client(t, peer, S("")), "127.0.0.1");
    assert_str(trusted_client(t, peer, S("unknown")), "127.0.0.1");
    assert_str(trusted_client(t, peer, S("192.0.2.1, , 10.1.1.1")), "10.1.1.1");
}

static Limits *limits;

/* The whole answer to a GET with these header lines. */
static void get(const char *address, const char *path, const char *headers, Buf *answer)
{
    Error err = {0};
    int64_t port = 0;
    Str text = str_of(address), request;
    assert_true(
        str_to_int(str_slice(text, str_rfind_char(text, ':') + 1, text.len), 1, 65535, &port));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    AUTO_BUF asked;
    buf_init(&asked, 0);
    buf_printf(&asked, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers);
    request = buf_str(&asked);
    assert_ok(fd_write_all(fd, request.ptr, request.len, &err));
    buf_reset(answer);
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
        buf_add_bytes(answer, piece, (size_t)n);
    close(fd);
}

static bool admit(Request *r)
{
    return limits_admit(limits, r, LIMIT_API, request_header(r, "X-Account"));
}

static void hello(Request *r)
{
    if (str_eq(request_query_get(r, "wait"), S("1")) && !thread_may_wait(NULL))
        return;
    reply_bytes(r, 200, "text/plain", request_remote(r));
}

static void test_the_hubs_clients_read_how_they_stand(void **state)
{
    Error err = {0};
    static const Route routes[] = {{"GET", "/hello", hello, .flags = ROUTE_TRY}};
    const RouteTable table = {.name = "t", .routes = routes, .n = 1, .admit = admit};
    const RouteTable *tables[] = {&table, NULL};
    limits = limits_new(
        &(LimitsOptions){.window_s = 300, .most = {[LIMIT_API] = 3}, .account_times = 2});
    Server *server = server_start(
        &(ServerOptions){.listen = "127.0.0.1:0", .tables = tables, .trusted_proxies = "127.0.0.1"},
        &err);
    assert_ok(server);
    const char *address = server_address(server);
    const char *from = "X-Forwarded-For: 9.9.9.9, 192.0.2.1\r\n";
    // Beginning anew on a worker counts once.
    AUTO_BUF answer;
    buf_init(&answer, 0);
    get(address, "/hello?wait=1", from, &answer);
    assert_non_null(strstr(answer.ptr, "RateLimit: \"api\";r=2;t="));
    assert_non_null(strstr(answer.ptr, "RateLimit-Policy: \"fixed window\";\"api\";q=3;w=300"));
    assert_non_null(strstr(answer.ptr, "192.0.2.1"));
    for (int i = 0; i < 3; i++)
        get(address, "/hello", from, &answer);
    assert_non_null(strstr(answer.ptr, " 429 "));
    assert_non_null(strstr(answer.ptr, "RateLimit: \"api\";r=0;t="));
    assert_non_null(strstr(answer.ptr, "Retry-After: "));
    // Another address, this machine itself, and an account each count apart.
    get(address, "/hello", "X-Forwarded-For: 192.0.2.2\r\n", &answer);
    assert_non_null(strstr(answer.ptr, "r=2;"));
    get(address, "/hello", "", &answer);
    assert_null(strstr(answer.ptr, "RateLimit"));
    get(address, "/hello", "X-Account: me\r\nX-Forwarded-For: 192.0.2.1\r\n", &answer);
    assert_non_null(strstr(answer.ptr, "r=5;"));
    server_stop(server, 0);
    limits_free(limits);
}

int main(void)
{
    return RUN(test_an_address_stands_for_one_customer,
               test_only_named_proxies_say_whom_they_speak_for,
               test_the_hubs_clients_read_how_they_stand);
}
