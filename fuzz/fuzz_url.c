/* Any bytes as a request target: path against patterns of every kind, and query. */
#include "fuzz.h"
#include "net/router.h"

static void nothing(Request *r)
{
}

static const Route routes[] = {
    {"GET", "/", nothing},
    {"GET", "/models", nothing},
    {"POST", "/models/{name}", nothing},
    {"POST", "/models/{owner}/{name}/v1/chat", nothing},
    {"GET", "/{owner}/{name}.git/info/refs", nothing},
    {"GET", "/{owner}/{name}/resolve/{rev}/{path...}", nothing},
    {"DELETE", "/{owner}/{name}", nothing},
    {"GET", "/static/{file...}", nothing},
};
static const RouteTable table = {.name = "fuzz", .routes = routes, .n = COUNT(routes)};
static const RouteTable *const tables[] = {&table, NULL};

/* What a handler may rely on. */
static void check_param(Str value)
{
    CHECK(str_is_utf8(value));
    CHECK(!value.len || !memchr(value.ptr, 0, value.len));
    Str left = value, segment;
    while (left.len && str_split(&left, '/', &segment))
        CHECK(!str_eq(segment, S("..")) && !str_eq(segment, S(".")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(router_free) Router *router = router_new(tables);
    AUTO(arena_free) Arena *a = arena_new(0);
    Str target = {(const char *)data, size}, path, query;
    if (!target_split(target, &path, &query, NULL))
        return 0;
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < COUNT(methods); i++) {
        RouteMatch match;
        if (!router_find(router, str_of(methods[i]), path, a, &match, NULL))
            continue;
        CHECK(!match.table == !match.route);
        for (size_t p = 0; p < match.params.n; p++)
            check_param(match.params.items[p].value);
    }
    Params params;
    if (params_parse(&params, query, a, NULL))
        for (size_t i = 0; i < params.n; i++)
            CHECK(str_is_utf8(params.items[i].value));
    return 0;
}
