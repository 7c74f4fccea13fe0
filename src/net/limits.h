/* Rate limits: how many requests one client may make within a window of time, in buckets apart from
 * each other. A client is an account, or for those without one an address (of IPv6 its first 64
 * bits, which is what one customer gets). Every counted answer says how it stands in the headers
 * that the Hub's clients read, and those over the limit get 429:
 *
 *     RateLimit: "api";r=499;t=55                     left in this window; seconds until it ends
 *     RateLimit-Policy: "fixed window";"api";q=500;w=300
 *     Retry-After: 55
 *
 * Requests from this machine itself (127.0.0.1) that name no account are not counted: behind a
 * proxy that it does not know the server would otherwise take everybody for one client.
 * Threads: any may use it; each process counts for itself. */
#pragma once

#include "net/server.h"

typedef enum LimitBucket { LIMIT_API, LIMIT_RESOLVERS, LIMIT_PAGES, LIMIT_BUCKETS } LimitBucket;

typedef struct LimitsOptions {
    int64_t window_s;
    int64_t most[LIMIT_BUCKETS]; // of an address in a window; 0: no limit
    int64_t account_times;       // an account may this many times as many
} LimitsOptions;

typedef struct Limits Limits;
Limits *limits_new(const LimitsOptions *options) __attribute__((returns_nonnull));
void limits_free(Limits *l);
AUTO_FREE(Limits, limits_free)
/* Counts the request and adds the headers. account: an id, or empty. False: it has answered 429.
 * l may be NULL: no limits. */
bool limits_admit(Limits *l, Request *r, LimitBucket bucket, Str account);
/* What stands for the client's address in a count: "192.0.2.1", "2001:db8:0:1::/64"; empty for this
 * machine itself. */
Str client_key(Request *r);
/* The same of an address. */
Str address_key(Arena *a, Str address);
