/* trusted.c: which proxies may say whom they speak for; see server_internal.h.
 *
 * Each proxy adds the address that it was asked from to the end of X-Forwarded-For, so the list is
 * read from its end: what a proxy of ours wrote is true, and the first address in there that is no
 * proxy of ours is the client. What stands before it the client may have made up. */
#include "net/server_internal.h"

#include <arpa/inet.h>

enum { MAX_TRUSTED = 64, MAX_HOPS = 32 };

typedef struct Range {
    uint8_t bytes[16]; // IPv4 as ::ffff:a.b.c.d
    int bits;
} Range;

struct Trusted {
    Range ranges[MAX_TRUSTED];
    size_t n;
};

static bool address_parse(Str text, uint8_t out[16], bool *is_v4)
{
    char name[INET6_ADDRSTRLEN + 1];
    if (!text.len || text.len >= sizeof name)
        return false;
    memcpy(name, text.ptr, text.len);
    name[text.len] = 0;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(out, mapped, sizeof mapped);
    *is_v4 = inet_pton(AF_INET, name, out + sizeof mapped) == 1;
    return *is_v4 || inet_pton(AF_INET6, name, out) == 1;
}

/* "10.0.0.0/8", "192.0.2.1", "2001:db8::/32" */
static bool range_parse(Str text, Range *out, Error *err)
{
    bool is_v4;
    int64_t bits;
    size_t slash = str_find_char(text, '/', 0);
    if (!address_parse(str_slice(text, 0, slash), out->bytes, &is_v4))
        return fail(err, ERR_INVALID, "'%.*s' is not an address", STR(text));
    int64_t most = is_v4 ? 32 : 128;
    bits = most;
    if (slash != SIZE_MAX && !str_to_int(str_slice(text, slash + 1, text.len), 0, most, &bits))
        return fail(err, ERR_INVALID, "'%.*s': the length of its prefix is not 0 to %d", STR(text),
                    (int)most);
    out->bits = (int)(bits + (is_v4 ? 96 : 0));
    return true;
}

Trusted *trusted_new(const char *list, Error *err)
{
    AUTO(trusted_free) Trusted *t = xcalloc(1, sizeof *t);
    Str left = str_of(list), item;
    while (str_split(&left, ',', &item)) {
        item = str_trim(item);
        if (!item.len)
            continue;
        if (t->n == MAX_TRUSTED)
            return fail(err, ERR_LIMIT, "at most %d trusted proxies", MAX_TRUSTED);
        if (!range_parse(item, &t->ranges[t->n++], err))
            return NULL;
    }
    return TAKE(t);
}

void trusted_free(Trusted *t)
{
    free(t);
}

bool trusted_has(const Trusted *t, Str address)
{
    uint8_t bytes[16];
    bool is_v4;
    if (!t || !address_parse(address, bytes, &is_v4))
        return false;
    for (size_t i = 0; i < t->n; i++) {
        const Range *range = &t->ranges[i];
        size_t whole = (size_t)range->bits / 8;
        int rest = range->bits % 8;
        if (memcmp(range->bytes, bytes, whole) == 0 &&
            (!rest || !((range->bytes[whole] ^ bytes[whole]) >> (8 - rest))))
            return true;
    }
    return false;
}

Str trusted_client(const Trusted *t, Str peer, Str forwarded)
{
    uint8_t bytes[16];
    bool is_v4;
    Str client = peer;
    for (int hops = 0; hops < MAX_HOPS && forwarded.len && trusted_has(t, client); hops++) {
        size_t comma = str_rfind_char(forwarded, ',');
        size_t from = comma == SIZE_MAX ? 0 : comma + 1;
        Str last = str_trim(str_slice(forwarded, from, forwarded.len));
        if (!address_parse(last, bytes, &is_v4))
            break;
        client = last;
        forwarded = str_slice(forwarded, 0, comma == SIZE_MAX ? 0 : comma);
    }
    return client;
}
