/* networks.c: addresses and lists of networks; see networks.h. */
#include "net/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { MAX_NETWORKS = 64, V4_AT = 12 };

typedef struct Range {
    Address first;
    int bits;
} Range;

struct Networks {
    Range ranges[MAX_NETWORKS];
    size_t n;
};

static const uint8_t v4_prefix[V4_AT] = {[10] = 0xff, [11] = 0xff};

static void address_set_v4(Address *out, const void *four)
{
    memcpy(out->bytes, v4_prefix, V4_AT);
    memcpy(out->bytes + V4_AT, four, 4);
}

bool address_parse(Str text, Address *out)
{
    char name[INET6_ADDRSTRLEN + 1];
    uint8_t four[4];
    if (!text.len || text.len >= sizeof name)
        return false;
    memcpy(name, text.ptr, text.len);
    name[text.len] = 0;
    if (inet_pton(AF_INET, name, four) == 1) {
        address_set_v4(out, four);
        return true;
    }
    return inet_pton(AF_INET6, name, out->bytes) == 1;
}

bool address_of_socket(const struct sockaddr *from, Address *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (from->sa_family == AF_INET) {
        memcpy(&v4, from, sizeof v4);
        address_set_v4(out, &v4.sin_addr);
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    memcpy(&v6, from, sizeof v6);
    memcpy(out->bytes, &v6.sin6_addr, sizeof out->bytes);
    return true;
}

bool address_is_v4(const Address *address)
{
    return memcmp(address->bytes, v4_prefix, V4_AT) == 0;
}

void address_format(const Address *address, char out[ADDRESS_SIZE])
{
    bool v4 = address_is_v4(address);
    inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? V4_AT : 0), out, ADDRESS_SIZE);
}

static bool range_has(const Range *range, const Address *address)
{
    size_t whole = (size_t)range->bits / 8;
    int rest = range->bits % 8;
    return memcmp(range->first.bytes, address->bytes, whole) == 0 &&
           (!rest || !((range->first.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)));
}

/* ---- Lists ---- */

/* "10.0.0.0/8", "192.0.2.1", "2001:db8::/32" */
static bool range_parse(Str text, Range *out, Error *err)
{
    size_t slash = str_find_char(text, '/', 0);
    if (!address_parse(str_slice(text, 0, slash), &out->first))
        return fail(err, ERR_INVALID, "'%.*s' is not an address", STR(text));
    bool is_v4 = address_is_v4(&out->first) && str_find_char(text, ':', 0) == SIZE_MAX;
    int64_t most = is_v4 ? 32 : 128, bits = most;
    if (slash != SIZE_MAX && !str_to_int(str_slice(text, slash + 1, text.len), 0, most, &bits))
        return fail(err, ERR_INVALID, "'%.*s': the length of its prefix is not 0 to %d", STR(text),
                    (int)most);
    out->bits = (int)(bits + (is_v4 ? 8 * V4_AT : 0));
    return true;
}

Networks *networks_new(const char *list, Error *err)
{
    AUTO(networks_free) Networks *n = xcalloc(1, sizeof *n);
    Str left = str_of(list), item;
    while (str_split(&left, ',', &item)) {
        item = str_trim(item);
        if (!item.len)
            continue;
        if (n->n == MAX_NETWORKS)
            return fail(err, ERR_LIMIT, "at most %d networks", MAX_NETWORKS);
        if (!range_parse(item, &n->ranges[n->n++], err))
            return NULL;
    }
    return TAKE(n);
}

void networks_free(Networks *n)
{
    free(n);
}

bool networks_has(const Networks *n, const Address *address)
{
    for (size_t i = 0; n && i < n->n; i++)
        if (range_has(&n->ranges[i], address))
            return true;
    return false;
}

/* ---- Who is of the world ---- */

/* IANA's registries of special purpose addresses, as of 2025: of IPv4 all that is not globally
 * reachable, multicast and the reserved end; of IPv6 the exceptions within 2000::/3, which is the
 * only part given out to anybody. */
static const char *const special_v4[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};
static const char *const special_v6[] = {
    "2001::/23",     // Teredo, ORCHID, benchmarking: protocols, not machines
    "2001:db8::/32", // documentation
    "3fff::/20",     // documentation
};
static const char nat64[] = "64:ff9b::/96", six_to_four[] = "2002::/16", global_v6[] = "2000::/3";

static bool is_in(const char *range, const Address *address)
{
    Range r;
    CHECK(range_parse(str_of(range), &r, NULL));
    return range_has(&r, address);
}

static bool is_any_of(const char *const *ranges, size_t n, const Address *address)
{
    for (size_t i = 0; i < n; i++)
        if (is_in(ranges[i], address))
            return true;
    return false;
}

bool address_is_public(const Address *address)
{
    // Translated by a router on the way: what counts is the IPv4 address inside.
    size_t inside = is_in(nat64, address) ? V4_AT : is_in(six_to_four, address) ? 2 : 0;
    if (inside) {
        Address v4;
        address_set_v4(&v4, address->bytes + inside);
        return address_is_public(&v4);
    }
    if (address_is_v4(address))
        return !is_any_of(special_v4, COUNT(special_v4), address);
    return is_in(global_v6, address) && !is_any_of(special_v6, COUNT(special_v6), address);
}
