/* Which addresses are the world's, and lists of networks. */
#include "net/networks.h"

#include "base/test.h"

static bool is_public(const char *text)
{
    Address address;
    if (!address_parse(str_of(text), &address))
        fail_msg("%s does not parse", text);
    return address_is_public(&address);
}

static void test_machines_of_the_open_internet_are_public(void **state)
{
    static const char *const rows[] = {
        "1.1.1.1",        "8.8.8.8",      "100.63.255.255",  "100.128.0.0",
        "172.15.255.255", "172.32.0.1",   "223.255.255.255", "2606:4700:4700::1111",
        "2a00::1",        "2001:4860::1", "::ffff:1.1.1.1",  "64:ff9b::1.1.1.1",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!is_public(rows[i]))
            fail_msg("%s is public", rows[i]);
}

static void test_what_is_only_here_or_nobodys_is_not_public(void **state)
{
    static const char *const rows[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        "4000::1",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (is_public(rows[i]))
            fail_msg("%s is not public", rows[i]);
}

static bool has(const Networks *n, const char *text)
{
    Address address;
    return address_parse(str_of(text), &address) && networks_has(n, &address);
}

static void test_a_list_has_what_its_ranges_have(void **state)
{
    Error err = {0};
    AUTO(networks_free)
    Networks *n = networks_new("127.0.0.1, 10.0.0.0/9,2001:db8::/33,,", &err);
    assert_ok(n);
    assert_true(has(n, "127.0.0.1") && !has(n, "127.0.0.2"));
    assert_true(has(n, "10.127.255.255") && !has(n, "10.128.0.0"));
    assert_true(has(n, "::ffff:10.1.1.1"));
    assert_true(has(n, "2001:db8:7fff::1") && !has(n, "2001:db8:8000::1"));
    assert_false(has(NULL, "10.0.0.1"));
    assert_fails(networks_new("10.0.0.0/33", &err), ERR_INVALID, "prefix");
    assert_fails(networks_new("10.0.0.0/-1", &err), ERR_INVALID, "prefix");
    assert_fails(networks_new("proxy.example", &err), ERR_INVALID, "not an address");
    AUTO_BUF many;
    buf_init(&many, 0);
    for (int i = 0; i < 65; i++)
        buf_printf(&many, "10.0.0.%d,", i);
    assert_fails(networks_new(many.ptr, &err), ERR_LIMIT, "64");
    AUTO(networks_free) Networks *all = networks_new("0.0.0.0/0", &err);
    assert_true(has(all, "9.9.9.9") && !has(all, "2001:db8::1"));
}

int main(void)
{
    return RUN(test_machines_of_the_open_internet_are_public,
               test_what_is_only_here_or_nobodys_is_not_public,
               test_a_list_has_what_its_ranges_have);
}
