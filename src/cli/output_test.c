/* Sizes and times as `hf` writes them. */
#include "base/test.h"

#include "base/clock.h"
#include "cli/output.h"

static void test_sizes_are_short(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0.0"}, {999, "999.0"}, {1000, "1.0K"}, {42200, "42.2K"}, {3400000000, "3.4G"}};
    char text[OUTPUT_SIZE];
    for (size_t i = 0; i < COUNT(cases); i++) {
        output_size(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_times_are_rounded(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{3, "a few seconds ago"},  {30, "30 seconds ago"},   {60, "1 minute ago"},
                 {7200, "2 hours ago"},     {86400, "1 day ago"},     {604800, "1 week ago"},
                 {5184000, "2 months ago"}, {94608000, "3 years ago"}};
    char text[OUTPUT_AGO];
    for (size_t i = 0; i < COUNT(cases); i++) {
        output_ago(wall_ns() - cases[i].seconds * NS_PER_S, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_formats_have_names(void **state)
{
    Error err = {0};
    Output out = {0};
    assert_ok(output_init(&out, "quiet", &err));
    assert_int_equal(out.format, OUTPUT_QUIET);
    assert_ok(output_init(&out, NULL, &err));
    assert_int_equal(out.format, OUTPUT_HUMAN);
    assert_fails(output_init(&out, "xml", &err), ERR_USAGE, "'xml'");
}

int main(void)
{
    return RUN(test_sizes_are_short, test_times_are_rounded, test_formats_have_names);
}
