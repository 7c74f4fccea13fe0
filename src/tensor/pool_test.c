/* The kernels' threads: every task runs once, jobs from several threads take turns, and threads
 * that have gone to sleep come back. */
#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"
#include "tensor/pool_internal.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TASKS = 1000 };

typedef struct Counts {
    _Atomic int runs[TASKS];
    _Atomic int wrong_thread;
} Counts;

static void count(void *context, int64_t i, int thread)
{
    Counts *c = context;
    c->runs[i]++;
    c->wrong_thread += thread < 0 || thread >= pool_threads();
}

static void test_every_task_runs_once(void **state)
{
    for (int n = 0; n <= TASKS; n = n * 3 / 2 + 1) {
        Counts c = {0};
        pool_run(n, count, &c);
        for (int i = 0; i < TASKS; i++)
            assert_int_equal(c.runs[i], i < n);
        assert_int_equal(c.wrong_thread, 0);
    }
}

static void test_many_small_jobs_follow_each_other(void **state)
{
    Counts c = {0};
    for (int job = 0; job < 5000; job++)
        pool_run(3, count, &c);
    for (int i = 0; i < 3; i++)
        assert_int_equal(c.runs[i], 5000);
}

static void *many_jobs(void *context)
{
    for (int job = 0; job < 500; job++)
        pool_run(8, count, context);
    return NULL;
}

static void test_jobs_of_several_threads_take_turns(void **state)
{
    static Counts counts[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = thread_start("jobs", many_jobs, &counts[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        for (int task = 0; task < 8; task++)
            assert_int_equal(counts[i].runs[task], 500);
}

static void add_range(void *context, int64_t from, int64_t to)
{
    _Atomic int64_t *sum = context;
    for (int64_t i = from; i < to; i++)
        *sum += i;
}

static void test_ranges_cover_everything(void **state)
{
    for (int64_t n = 0; n < 3000; n = n * 2 + 1) {
        _Atomic int64_t sum = 0;
        pool_ranges(n, 7, add_range, &sum);
        assert_int_equal(sum, n * (n - 1) / 2);
    }
}

static int64_t cpu_ns(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * NS_PER_S +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

static void test_idle_threads_cost_nothing_and_wake_up(void **state)
{
    Counts c = {0};
    pool_run(TASKS, count, &c);
    usleep(20000); // spinning ends
    int64_t before = cpu_ns();
    usleep(200000);
    assert_true(cpu_ns() - before < 20 * NS_PER_MS);
    pool_run(TASKS, count, &c);
    assert_int_equal(c.runs[TASKS - 1], 2);
}

int main(void)
{
    setenv("HUG_THREADS", "4", 1); // whatever the machine has
    return RUN(test_every_task_runs_once, test_many_small_jobs_follow_each_other,
               test_jobs_of_several_threads_take_turns, test_ranges_cover_everything,
               test_idle_threads_cost_nothing_and_wake_up);
}
