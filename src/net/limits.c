/* limits.c: see limits.h. */
#include "net/limits.h"

#include "base/rate.h"

#include <arpa/inet.h>

enum { KEYS = 65536 };

struct Limits {
    LimitsOptions options;
    RateTable *rates;
};

static const char *const names[LIMIT_BUCKETS] = {
    [LIMIT_API] = "api", [LIMIT_RESOLVERS] = "resolvers", [LIMIT_PAGES] = "pages"};

Limits *limits_new(const LimitsOptions *options)
{
    Limits *l = xcalloc(1, sizeof *l);
    l->options = *options;
    l->rates = rate_new(KEYS, options->window_s);
    return l;
}

void limits_free(Limits *l)
{
    if (!l)
        return;
    rate_free(l->rates);
    free(l);
}

Str address_key(Arena *a, Str address)
{
    uint8_t bytes[16];
    if (str_starts(address, S("127.")) || str_eq(address, S("::1")))
        return (Str){0};
    if (str_find_char(address, ':', 0) == SIZE_MAX ||
        inet_pton(AF_INET6, arena_cstr(a, address), bytes) != 1)
        return address;
    char text[INET6_ADDRSTRLEN];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, bytes + sizeof mapped, text, sizeof text);
        return arena_str(a, str_of(text));
    }
    memset(bytes + 8, 0, 8);
    inet_ntop(AF_INET6, bytes, text, sizeof text);
    return str_of(arena_printf(a, "%s/64", text));
}

Str client_key(Request *r)
{
    return address_key(request_arena(r), request_remote(r));
}

bool limits_admit(Limits *l, Request *r, LimitBucket bucket, Str account)
{
    if (!l || !l->options.most[bucket])
        return true;
    Arena *a = request_arena(r);
    int64_t most = l->options.most[bucket] * (account.len ? l->options.account_times : 1);
    Str who = account.len ? account : client_key(r);
    if (!who.len)
        return true;
    Str key = str_of(arena_printf(a, "%d %.*s", (int)bucket, STR(who)));
    // A handler that begins anew on a worker is still the same request.
    Rate rate = rate_count(l->rates, key, request_once(r));
    long long left = MAX(0, most - rate.count), seconds = rate.left_s;
    reply_header(r, "RateLimit",
                 str_of(arena_printf(a, "\"%s\";r=%lld;t=%lld", names[bucket], left, seconds)));
    reply_header(r, "RateLimit-Policy",
                 str_of(arena_printf(a, "\"fixed window\";\"%s\";q=%lld;w=%lld", names[bucket],
                                     (long long)most, (long long)l->options.window_s)));
    if (rate.count <= most)
        return true;
    reply_header(r, "Retry-After", str_of(arena_printf(a, "%lld", seconds)));
    reply_failure(r, 429,
                  arena_printf(a, "Too many requests: at most %lld in %lld seconds; again in %lld",
                               (long long)most, (long long)l->options.window_s, seconds));
    return false;
}
