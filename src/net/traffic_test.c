/* Stories of counted requests. */
#include "net/traffic.h"

#include "base/clock.h"
#include "base/test.h"

#include <pthread.h>

static void test_a_minute_knows_its_requests(void **state)
{
    AUTO(traffic_free) Traffic *t = traffic_new();
    TrafficMinute minutes[TRAFFIC_MINUTES];
    traffic_minutes(t, minutes);
    for (int i = 0; i < TRAFFIC_MINUTES; i++)
        assert_int_equal(minutes[i].requests, 0);
    for (int i = 0; i < 98; i++)
        traffic_note(t, 200, NS_PER_MS);
    traffic_note(t, 404, NS_PER_MS);
    traffic_note(t, 503, 3 * NS_PER_S);
    traffic_minutes(t, minutes);
    // A minute may end between these lines.
    const TrafficMinute *last = &minutes[TRAFFIC_MINUTES - 1];
    int64_t requests = last[0].requests + last[-1].requests;
    int64_t failed = last[0].failed + last[-1].failed;
    assert_int_equal(requests, 100);
    assert_int_equal(failed, 1);
    if (last[0].requests == 100) {
        assert_true(last->p50_ns > NS_PER_MS / 2 && last->p50_ns <= NS_PER_MS);
        assert_true(last->p99_ns <= NS_PER_MS);
    }
    TrafficTotals all = traffic_totals(t);
    assert_int_equal(all.classes[2], 98);
    assert_int_equal(all.classes[4], 1);
    assert_int_equal(all.classes[5], 1);
    assert_int_equal(all.took_ns, 99 * NS_PER_MS + 3 * NS_PER_S);
}

static void test_steps_double_and_the_last_takes_the_rest(void **state)
{
    AUTO(traffic_free) Traffic *t = traffic_new();
    assert_int_equal(traffic_step_ns(0), 62500);
    assert_int_equal(traffic_step_ns(4), NS_PER_MS);
    traffic_note(t, 200, 0);
    traffic_note(t, 200, 62500);
    traffic_note(t, 200, 62501);
    traffic_note(t, 200, INT64_MAX / 4);
    traffic_note(t, 99999, 1); // whatever a status may be
    TrafficTotals all = traffic_totals(t);
    assert_int_equal(all.steps[0], 3);
    assert_int_equal(all.steps[1], 1);
    assert_int_equal(all.steps[TRAFFIC_STEPS - 1], 1);
    assert_int_equal(all.classes[5], 1);
}

static void *note_many(void *traffic)
{
    for (int i = 0; i < 10000; i++)
        traffic_note(traffic, 200, i);
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    AUTO(traffic_free) Traffic *t = traffic_new();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, note_many, t);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(traffic_totals(t).classes[2], 40000);
}

int main(void)
{
    return RUN(test_a_minute_knows_its_requests, test_steps_double_and_the_last_takes_the_rest,
               test_threads_lose_nothing);
}
