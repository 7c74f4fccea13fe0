/* Queues and worker pools. */
#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <unistd.h>

static void test_a_queue_says_when_it_is_full(void **state)
{
    AUTO(queue_free) Queue *q = queue_new(2);
    int a, b, c;
    assert_true(queue_push(q, &a));
    assert_true(queue_push(q, &b));
    assert_false(queue_push(q, &c));
    assert_ptr_equal(queue_pop(q, 0), &a);
    assert_true(queue_push(q, &c));
    assert_int_equal(queue_length(q), 2);
    queue_close(q);
    assert_false(queue_push(q, &a));
    assert_ptr_equal(queue_pop(q, -1), &b); // what was in it still comes out
    assert_ptr_equal(queue_pop(q, -1), &c);
    assert_null(queue_pop(q, -1));
}

static void test_a_pop_waits_as_long_as_it_was_told(void **state)
{
    AUTO(queue_free) Queue *q = queue_new(1);
    int64_t begin = clock_ns();
    assert_null(queue_pop(q, 30 * NS_PER_MS));
    assert_in_range(clock_ns() - begin, 25 * NS_PER_MS, 2 * NS_PER_S);
}

enum { ITEMS = 20000 };

static void *fill(void *context)
{
    for (uintptr_t i = 1; i <= ITEMS; i++)
        while (!queue_push(context, (void *)i))
            usleep(10);
    return NULL;
}

static void test_nothing_is_lost_between_threads(void **state)
{
    AUTO(queue_free) Queue *q = queue_new(16);
    pthread_t a = thread_start("fill", fill, q), b = thread_start("fill", fill, q);
    uint64_t sum = 0;
    for (int i = 0; i < 2 * ITEMS; i++)
        sum += (uintptr_t)queue_pop(q, -1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    assert_int_equal(sum, (uint64_t)ITEMS * (ITEMS + 1));
}

static atomic_int done, running, most;

static void job(void *context)
{
    int now = ++running;
    if (now > most)
        most = now;
    usleep(2000);
    running--;
    done++;
}

static void test_workers_run_all_jobs_on_few_threads(void **state)
{
    AUTO(workers_free) Workers *w = workers_new("job", 4, 1000);
    for (int i = 0; i < 200; i++)
        assert_true(workers_run(w, job, NULL));
    workers_stop(w);
    assert_int_equal(done, 200);
    assert_in_range(most, 2, 4);
    assert_false(workers_run(w, job, NULL));
}

static void test_workers_say_when_too_many_wait(void **state)
{
    AUTO(workers_free) Workers *w = workers_new("job", 1, 2);
    int taken = 0;
    for (int i = 0; i < 20; i++)
        taken += workers_run(w, job, NULL);
    assert_in_range(taken, 2, 5);
}

static void test_a_hurry_refuses_and_notes_it(void **state)
{
    Error err = {0};
    assert_true(thread_may_wait(&err));
    thread_hurry_begin();
    assert_true(thread_hurry_end());
    thread_hurry_begin();
    assert_false(thread_may_wait(&err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_false(thread_hurry_end());
    assert_true(thread_may_wait(&err));
}

static void count_item(void *context, int64_t i)
{
    atomic_fetch_add((_Atomic int64_t *)context + i, i + 1);
}

static void test_each_item_is_done_once(void **state)
{
    enum { N = 1000 };
    _Atomic int64_t counts[N] = {0};
    thread_each(0, count_item, counts);
    thread_each(1, count_item, counts);
    assert_int_equal(counts[0], 1);
    thread_each(N, count_item, counts);
    for (int i = 1; i < N; i++)
        assert_int_equal(counts[i], i + 1);
}

int main(void)
{
    return RUN(test_a_queue_says_when_it_is_full, test_a_pop_waits_as_long_as_it_was_told,
               test_nothing_is_lost_between_threads, test_workers_run_all_jobs_on_few_threads,
               test_workers_say_when_too_many_wait, test_a_hurry_refuses_and_notes_it,
               test_each_item_is_done_once);
}
