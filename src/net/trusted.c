/* trusted.c: which proxies may say whom they speak for; see server_internal.h.
 *
 * Each proxy adds the address that it was asked from to the end of X-Forwarded-For, so the list is
 * read from its end: what a proxy of ours wrote is true, and the first address in there that is no
 * proxy of ours is the client. What stands before it the client may have made up. */
#include "net/server_internal.h"

enum { MAX_HOPS = 32 };

bool trusted_has(const Networks *trusted, Str address)
{
    Address parsed;
    return address_parse(address, &parsed) && networks_has(trusted, &parsed);
}

Str trusted_client(const Networks *trusted, Str peer, Str forwarded)
{
    Address parsed;
    Str client = peer;
    for (int hops = 0; hops < MAX_HOPS && forwarded.len && trusted_has(trusted, client); hops++) {
        size_t comma = str_rfind_char(forwarded, ',');
        size_t from = comma == SIZE_MAX ? 0 : comma + 1;
        Str last = str_trim(str_slice(forwarded, from, forwarded.len));
        if (!address_parse(last, &parsed))
            break;
        client = last;
        forwarded = str_slice(forwarded, 0, comma == SIZE_MAX ? 0 : comma);
    }
    return client;
}
