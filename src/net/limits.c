/* limits.c: see limits.h. */
#include "net/limits.h"

#include "base/rate.h"
#include "net/networks.h"

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
    Address parsed;
    char text[ADDRESS_SIZE];
    if (str_starts(address, S("127.")) || str_eq(address, S("::1")))
        return (Str){0};
    if (!address_parse(address, &parsed))
        return address;
    bool is_v4 = address_is_v4(&parsed);
    if (!is_v4)
        memset(parsed.bytes + 8, 0, 8);
    address_format(&parsed, text);
    return str_of(arena_printf(a, "%s%s", text, is_v4 ? "" : "/64"));
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
