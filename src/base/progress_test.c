/* Sizes, durations and the line of a progress bar. */
#include "base/test.h"

#include "base/clock.h"
#include "base/progress.h"

static void test_sizes_and_durations_read_well(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 kB"},
                 {98362432, "98.4 MB"},
                 {999949999, "999.9 MB"},
                 {999950000, "1.0 GB"},
                 {INT64_MAX, "9.2 EB"}};
    char out[SIZE_TEXT];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_format(sizes[i].bytes, out);
        assert_string_equal(out, sizes[i].text);
    }
    duration_format(7 * NS_PER_S, out);
    assert_string_equal(out, "0:07");
    duration_format(750 * NS_PER_S, out);
    assert_string_equal(out, "12:30");
    duration_format(3 * 3600 * NS_PER_S, out);
    assert_string_equal(out, "3:00:00");
}

static void test_a_bar_tells_rate_and_time_left(void **state)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    progress_format(&out, "model.safetensors", 50000000, 100000000, NS_PER_S, 100);
    assert_string_equal(out.ptr,
                        "model.safetensors  [##########----------]   50%  50.0 MB/100.0 MB  "
                        "50.0 MB/s  0:01 left");
    buf_reset(&out);
    progress_format(&out, "a/long/path/to/some/model.safetensors", 1500, -1, NS_PER_S, 40);
    assert_true(out.len < 40);
    assert_string_equal(out.ptr, ".../model.safetensors  1.5 kB  1.5 kB/s");
}

static void test_it_never_draws_into_a_file(void **state)
{
    AUTO(progress_free) Progress *p = progress_new("x", 10, false);
    progress_add(p, 4);
    progress_add(p, 6);
    progress_add(NULL, 1);
    assert_int_equal(progress_done(p), 10);
}

int main(void)
{
    return RUN(test_sizes_and_durations_read_well, test_a_bar_tells_rate_and_time_left,
               test_it_never_draws_into_a_file);
}
