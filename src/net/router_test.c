/* Which route a path finds. */
#include "base/test.h"
#include "net/router.h"

static void nothing(Request *r)
{
}

static const Route routes[] = {
    {"GET", "/", nothing},
    {"GET", "/models", nothing},
    {"POST", "/models/{name}", nothing},
    {"POST", "/models/{owner}/{name}", nothing},
    {"POST", "/models/{name}/v1/chat", nothing},
    {"POST", "/models/{owner}/{name}/v1/chat", nothing},
    {"POST", "/api/repos/create", nothing},
    {"GET", "/api/models/{owner}/{name}/tree/{rev}/{path...}", nothing},
    {"GET", "/{owner}/{name}", nothing},
    {"DELETE", "/{owner}/{name}", nothing},
    {"GET", "/{owner}/{name}.git/info/refs", nothing},
    {"GET", "/{owner}/{name}/info/refs", nothing},
    {"GET", "/static/{file...}", nothing},
};
static const RouteTable table = {.name = "t", .routes = routes, .n = COUNT(routes)};
static const RouteTable *const tables[] = {&table, NULL};

/* "PATTERN name=value ..." of what is found, or the allowed methods in brackets. */
static const char *found(const char *method, const char *path)
{
    static char text[4096];
    AUTO(router_free) Router *router = router_new(tables);
    AUTO(arena_free) Arena *a = arena_new(0);
    RouteMatch m;
    Error err = {0};
    if (!router_find(router, str_of(method), str_of(path), a, &m, &err)) {
        snprintf(text, sizeof text, "error: %s", err.text);
        return text;
    }
    size_t n = 0;
    if (m.table)
        n = (size_t)snprintf(text, sizeof text, "%s", m.route->pattern);
    else
        n = (size_t)snprintf(text, sizeof text, "[%.*s]", STR(m.allowed));
    for (size_t i = 0; i < m.params.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %.*s=%.*s", STR(m.params.items[i].name),
                              STR(m.params.items[i].value));
    return text;
}

static void test_finds_literals_and_parameters(void **state)
{
    assert_string_equal(found("GET", "/"), "/");
    assert_string_equal(found("GET", "/models"), "/models");
    assert_string_equal(found("GET", "/models/"), "/models");
    assert_string_equal(found("POST", "/models/gpt2"), "/models/{name} name=gpt2");
    assert_string_equal(found("POST", "/models/me/x"), "/models/{owner}/{name} owner=me name=x");
    assert_string_equal(found("GET", "/nothing"), "[]");
}

static void test_prefers_what_is_more_specific_and_comes_back(void **state)
{
    assert_string_equal(found("POST", "/models/gpt2/v1/chat"), "/models/{name}/v1/chat name=gpt2");
    assert_string_equal(found("POST", "/models/me/x/v1/chat"),
                        "/models/{owner}/{name}/v1/chat owner=me name=x");
    // The literal "models" has no DELETE below it, the parameter has.
    assert_string_equal(found("DELETE", "/models/x"), "/{owner}/{name} owner=models name=x");
    assert_string_equal(found("GET", "/me/x.git/info/refs"),
                        "/{owner}/{name}.git/info/refs owner=me name=x");
    assert_string_equal(found("GET", "/me/.git/info/refs"),
                        "/{owner}/{name}/info/refs owner=me name=.git");
}

static void test_decodes_one_segment_at_a_time(void **state)
{
    assert_string_equal(found("GET", "/api/models/me/x/tree/refs%2Fpr%2F1/a%20b/c%2Bd+e"),
                        "/api/models/{owner}/{name}/tree/{rev}/{path...} owner=me name=x "
                        "rev=refs/pr/1 path=a b/c+d+e");
    assert_string_equal(found("GET", "/api/models/me/x/tree/main"),
                        "/api/models/{owner}/{name}/tree/{rev}/{path...} owner=me name=x rev=main "
                        "path=");
    assert_string_equal(found("GET", "/%6Dodels"), "/models");
    assert_string_equal(found("POST", "/models/a%2Fb"), "/models/{name} name=a/b");
}

static void test_head_is_get_and_other_methods_are_listed(void **state)
{
    assert_string_equal(found("HEAD", "/models"), "/models");
    assert_string_equal(found("PUT", "/me/x"), "[GET, HEAD, DELETE]");
    assert_string_equal(found("PUT", "/api/repos/create"), "[POST]");
}

static void test_refuses_hostile_paths(void **state)
{
    assert_string_equal(found("GET", "/static/../etc/passwd"), "error: path: a '..' segment");
    assert_string_equal(found("GET", "/static/%2e%2E/x"), "error: path: a '..' segment");
    assert_string_equal(found("GET", "/static/a%2F..%2Fb"), "error: path: a '..' segment");
    assert_string_equal(found("GET", "/static/%zz"),
                        "error: URL: offset 0: broken percent-encoding");
    assert_string_equal(found("GET", "/static/a%00b"), "error: URL: offset 3: NUL byte");
    assert_string_equal(found("GET", "/static/%ff"), "error: path: not UTF-8 text");
    assert_string_equal(found("GET", "static"), "error: path: does not begin with '/'");
    assert_string_equal(found("GET", "//models"), "[]");
    assert_string_equal(found("POST", "/models//x"), "[]"); // a parameter is never empty
}

static void test_splits_targets(void **state)
{
    Str path, query;
    Error err = {0};
    assert_ok(target_split(S("/a?b=1?c"), &path, &query, &err));
    assert_str(path, "/a");
    assert_str(query, "b=1?c");
    assert_ok(target_split(S("http://h:80/a/b"), &path, &query, &err));
    assert_str(path, "/a/b");
    assert_ok(target_split(S("http://h"), &path, &query, &err));
    assert_str(path, "/");
    assert_fails(target_split(S("h:80"), &path, &query, &err), ERR_INVALID, "neither");
}

static void test_parses_queries(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Params p;
    Error err = {0};
    assert_ok(params_parse(&p, S("a=1&expand=x+y&expand=%26&flag&&b="), a, &err));
    assert_int_equal(p.n, 5);
    assert_str(params_get(&p, "a"), "1");
    assert_str(params_get(&p, "expand"), "x y");
    assert_str(p.items[2].value, "&");
    assert_non_null(params_get(&p, "flag").ptr);
    assert_null(params_get(&p, "c").ptr);
    assert_fails(params_parse(&p, S("a=%4"), a, &err), ERR_INVALID, "field 1");
    AUTO_BUF many;
    buf_init(&many, 0);
    for (int i = 0; i < 1001; i++)
        buf_add(&many, S("a=1&"));
    assert_fails(params_parse(&p, buf_str(&many), a, &err), ERR_LIMIT, "1000");
}

int main(void)
{
    return RUN(test_finds_literals_and_parameters,
               test_prefers_what_is_more_specific_and_comes_back,
               test_decodes_one_segment_at_a_time, test_head_is_get_and_other_methods_are_listed,
               test_refuses_hostile_paths, test_splits_targets, test_parses_queries);
}
