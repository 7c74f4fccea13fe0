#include "base/glob.h"
#include "base/test.h"

static const struct {
    const char *pattern, *path;
    bool fits;
} rows[] = {
    {"a.csv", "a.csv", true},
    {"a.csv", "b/a.csv", false},
    {"*.csv", "a.csv", true},
    {"*.csv", "b/a.csv", false},
    {"*/*.csv", "b/a.csv", true},
    {"**", "a", true},
    {"**", "a/b/c", true},
    {"**/*.csv", "a.csv", true},
    {"**/*.csv", "x/y/a.csv", true},
    {"data/**", "data/a/b", true},
    {"data/**", "data", false},
    {"data/**", "other/a", false},
    {"a/**/b/*", "a/b/c", true},
    {"a/**/b/*", "a/x/b/b/c", true},
    {"a/**/b/*", "a/x/c", false},
    {"**/train[-._ 0-9]*", "x/train-1.csv", true},
    {"**/train[-._ 0-9]*", "x/train1", true},
    {"**/train[-._ 0-9]*", "x/trains.csv", false},
    {"**/*[-._ 0-9]test/**", "my test/a/b", true},
    {"**/*[-._ 0-9]test/**", "mytest/a/b", false},
    {"[!a]?", "bc", true},
    {"[!a]?", "ac", false},
    {"[]x]", "]", true},
    {"[x", "[x", true},
    {"?.txt", "\xC3\xA4.txt", true},
    {"[\xC3\xA0-\xC3\xA5].txt", "\xC3\xA4.txt", true},
    {"*a*b*c", "xaxbxcxc", true},
    {"*a*b*c", "xaxbxcx", false},
    {"a**b", "a/b", false},
    {"a/", "a", false},
    {"a-[0-9][0-9]*.*", "a-01x.csv.gz", true},
};

static void test_patterns_fit_what_they_say(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (glob_match(str_of(rows[i].pattern), str_of(rows[i].path)) != rows[i].fits)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].path);
}

static void test_bad_patterns_are_named(void **state)
{
    Error err = {0};
    assert_ok(glob_check(S("a/**/b*"), &err));
    assert_fails(glob_check(S("a/x**"), &err), ERR_INVALID, "'a/x**'");
    assert_true(glob_has_magic(S("a[b")));
    assert_false(glob_has_magic(S("a/b.csv")));
}

int main(void)
{
    return RUN(test_patterns_fit_what_they_say, test_bad_patterns_are_named);
}
