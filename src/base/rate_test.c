/* Stories of rates: keys count apart, windows end, floods push out the quiet and not the loud. */
#include "base/clock.h"
#include "base/rate.h"
#include "base/test.h"

#include <pthread.h>
#include <sched.h>

static void test_keys_count_apart(void **state)
{
    AUTO(rate_free) RateTable *t = rate_new(1000, 60);
    assert_int_equal(rate_count(t, S("a"), 0).count, 0);
    assert_int_equal(rate_count(t, S("a"), 1).count, 1);
    assert_int_equal(rate_count(t, S("a"), 2).count, 3);
    assert_int_equal(rate_count(t, S("b"), 1).count, 1);
    Rate rate = rate_count(t, S("a"), 0);
    assert_int_equal(rate.count, 3);
    assert_true(rate.left_s >= 58 && rate.left_s <= 60);
    assert_int_equal(rate_count(t, S("a"), UINT32_MAX).count, UINT32_MAX);
}

static void test_a_window_ends(void **state)
{
    AUTO(rate_free) RateTable *t = rate_new(1000, 1);
    assert_int_equal(rate_count(t, S("a"), 5).count, 5);
    int64_t end = clock_ns() + 1100 * NS_PER_MS;
    while (clock_ns() < end)
        sched_yield();
    assert_int_equal(rate_count(t, S("a"), 0).count, 0);
    assert_int_equal(rate_count(t, S("a"), 1).count, 1);
}

static void test_a_flood_of_keys_forgets_the_quiet_ones(void **state)
{
    AUTO(rate_free) RateTable *t = rate_new(512, 600);
    assert_int_equal(rate_count(t, S("loud"), 1000).count, 1000);
    char name[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        rate_count(t, str_of(name), 1);
    }
    assert_int_equal(rate_count(t, S("loud"), 0).count, 1000);
}

static void *counter(void *table)
{
    for (int i = 0; i < 20000; i++)
        rate_count(table, S("shared"), 1);
    return NULL;
}

static void test_threads_lose_no_count(void **state)
{
    AUTO(rate_free) RateTable *t = rate_new(64, 600);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, counter, t);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rate_count(t, S("shared"), 0).count, 80000);
}

int main(void)
{
    return RUN(test_keys_count_apart, test_a_window_ends,
               test_a_flood_of_keys_forgets_the_quiet_ones, test_threads_lose_no_count);
}
