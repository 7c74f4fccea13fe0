/* signed.c: URLs and tokens that carry their own permission, because clients send no credentials
 * along with them: an HMAC under a key of the hub, and a time. */
#include "api/api_internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

enum { READ_CHUNK = 256 << 10 };

const char *api_seal(Request *r, const char *purpose, const char *message)
{
    uint8_t key[32], seal[SHA256_SIZE];
    hub_key(api_of(r)->hub, purpose, key);
    hmac_sha256((Str){(const char *)key, sizeof key}, str_of(message), seal);
    char *hex = arena_alloc(request_arena(r), 2 * SHA256_SIZE + 1);
    hex_encode(seal, sizeof seal, hex);
    return hex;
}

const char *api_sign_url(Request *r, const char *method, const char *target, int64_t seconds)
{
    Arena *a = request_arena(r);
    const char *full = arena_printf(a, "%s%cuntil=%lld", target, strchr(target, '?') ? '&' : '?',
                                    (long long)(wall_ns() / NS_PER_S + seconds));
    const char *seal = api_seal(r, "url", arena_printf(a, "%s %s", method, full));
    return arena_printf(a, "%s%s&sign=%s", api_url(r), full, seal);
}

bool api_is_signed(Request *r)
{
    Arena *a = request_arena(r);
    Str target = request_target(r), sign = request_query_get(r, "sign");
    size_t at = str_find(target, S("&sign="), 0);
    int64_t until;
    if (at == SIZE_MAX || !str_to_int(request_query_get(r, "until"), 0, INT64_MAX, &until))
        return false;
    Str method = request_is_head(r) ? S("GET") : request_method(r);
    const char *seal = api_seal(
        r, "url", arena_printf(a, "%.*s %.*s", STR(method), STR(str_slice(target, 0, at))));
    return secret_eq(str_of(seal), sign) && wall_ns() / NS_PER_S < until;
}

bool api_body_each(Request *r, bool (*add)(void *user, Str bytes, Error *err), void *user,
                   Error *err)
{
    AUTO(free) char *bytes = xmalloc(READ_CHUNK);
    for (;;) {
        size_t n;
        if (!request_read(r, bytes, READ_CHUNK, &n, err))
            return NULL;
        if (n == 0)
            return true;
        if (!add(user, (Str){bytes, n}, err))
            return NULL;
    }
}
