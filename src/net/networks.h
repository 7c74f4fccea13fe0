/* IP networks: lists of them as settings name them, and which addresses belong to the world.
 *
 *     AUTO(networks_free) Networks *n = networks_new("127.0.0.0/8, 2001:db8::/32", err);
 *     if (address_parse(S("127.0.0.1"), &address) && networks_has(n, &address)) ...
 *
 * What the server calls on behalf of others (a webhook's URL) must not reach what only this machine
 * or its network can: address_is_public says no to everything that the registries of special
 * purpose addresses (IANA; RFC 6890) keep from the open internet, and looks into the IPv6 forms
 * that stand for an IPv4 address. Threads: a Networks never changes. */
#pragma once

#include "base/str.h"

struct sockaddr;

/* IPv4 as ::ffff:a.b.c.d. */
typedef struct Address {
    uint8_t bytes[16];
} Address;

/* "192.0.2.1" or "2001:db8::1"; false if it is neither. */
bool address_parse(Str text, Address *out);
/* False where the socket's family is not of the internet. */
bool address_of_socket(const struct sockaddr *from, Address *out);
enum { ADDRESS_SIZE = 46 };
void address_format(const Address *address, char out[ADDRESS_SIZE]);
bool address_is_v4(const Address *address);
/* May anybody on the internet have this address, as a single machine's? */
bool address_is_public(const Address *address);

typedef struct Networks Networks;
/* From addresses and ranges, separated by commas; ERR_INVALID, ERR_LIMIT past 64. */
Networks *networks_new(const char *list, Error *err);
void networks_free(Networks *n);
AUTO_FREE(Networks, networks_free)
/* NULL is the empty list. */
bool networks_has(const Networks *n, const Address *address);
