/* pool.c: the kernels' threads; see pool_internal.h.
 *
 * One 64-bit word, `state`, holds the job's number, its count of tasks and the next task to take. A
 * thread takes a task by compare-and-swap on the whole word, so a late thread can never take from a
 * job other than the one it looked at; and as a job ends only when every task taken from it is
 * done, the holder of a task may read the job's function and context without a lock. */
#include "tensor/pool_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_THREADS = 256,
    TASK_BITS = 20, // of the count and of the next task; the job's number has the other 24
    MAX_TASKS = (1 << TASK_BITS) - 1,
    SPIN_NS = 50000,
    SPINS_A_CLOCK = 64, // looks at the state between two looks at the clock
};

static struct {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) _Atomic uint32_t done; // tasks finished of the current job
    _Atomic uint32_t waiting;           // the caller sleeps on `done`
    _Alignas(64) _Atomic uint32_t wake; // counts jobs; idle threads sleep on it
    _Atomic uint32_t sleepers;
    void (*task)(void *context, int64_t i, int thread);
    void *context;
    pthread_mutex_t turn; // guards publishing: one job at a time
    int threads;
} pool = {.turn = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static int64_t state_next(uint64_t state)
{
    return (int64_t)(state & MAX_TASKS);
}

static int64_t state_count(uint64_t state)
{
    return (int64_t)(state >> TASK_BITS & MAX_TASKS);
}

/* Runs tasks of whatever job is current until none is left. */
static void take_tasks(int thread)
{
    uint64_t state = atomic_load_explicit(&pool.state, memory_order_acquire);
    while (state_next(state) < state_count(state)) {
        if (!atomic_compare_exchange_weak_explicit(&pool.state, &state, state + 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        int64_t n = state_count(state);
        pool.task(pool.context, state_next(state), thread);
        uint32_t done = atomic_fetch_add(&pool.done, 1) + 1;
        if (done == (uint32_t)n && atomic_load(&pool.waiting))
            futex_wake(&pool.done, 1);
        state = atomic_load_explicit(&pool.state, memory_order_acquire);
    }
}

static bool work_waits(void)
{
    uint64_t state = atomic_load_explicit(&pool.state, memory_order_acquire);
    return state_next(state) < state_count(state);
}

static void *worker(void *context)
{
    int thread = (int)(intptr_t)context;
    for (;;) {
        take_tasks(thread);
        int64_t until = clock_ns() + SPIN_NS;
        bool found = false;
        while (!found && clock_ns() < until)
            for (int i = 0; i < SPINS_A_CLOCK && !found; i++) {
                relax();
                found = work_waits();
            }
        if (found)
            continue;
        uint32_t wake = atomic_load(&pool.wake);
        atomic_fetch_add(&pool.sleepers, 1);
        if (!work_waits())
            futex_wait(&pool.wake, wake);
        atomic_fetch_sub(&pool.sleepers, 1);
    }
    return NULL;
}

static void pool_start(void)
{
    int64_t n = thread_cpus();
    const char *text = getenv("HUG_THREADS");
    if (text && *text && !str_to_int(str_of(text), 1, MAX_THREADS, &n))
        log_warn("threads_unknown", "HUG_THREADS=%s", text);
    pool.threads = (int)MIN(n, MAX_THREADS);
    for (int i = 1; i < pool.threads; i++)
        pthread_detach(thread_start("hug-kernel", worker, (void *)(intptr_t)i));
}

int pool_threads(void)
{
    pthread_once(&once, pool_start);
    return pool.threads;
}

/* The word tells its readers about everything written before it. */
static void publish(int64_t n)
{
    uint64_t job = (atomic_load(&pool.state) >> 2 * TASK_BITS) + 1;
    atomic_store(&pool.done, 0);
    atomic_store(&pool.state, job << 2 * TASK_BITS | (uint64_t)n << TASK_BITS);
    atomic_fetch_add(&pool.wake, 1);
    if (atomic_load(&pool.sleepers))
        futex_wake(&pool.wake, MAX_THREADS);
}

static void wait_done(uint32_t n)
{
    int64_t until = clock_ns() + SPIN_NS;
    for (int i = 0; atomic_load_explicit(&pool.done, memory_order_acquire) != n; i++) {
        relax();
        if (i % SPINS_A_CLOCK != 0 || clock_ns() < until)
            continue;
        atomic_store(&pool.waiting, 1);
        uint32_t done;
        while ((done = atomic_load(&pool.done)) != n)
            futex_wait(&pool.done, done);
        atomic_store(&pool.waiting, 0);
        return;
    }
}

void pool_run(int64_t n, void (*task)(void *context, int64_t i, int thread), void *context)
{
    if (n == 1 || pool_threads() == 1) {
        for (int64_t i = 0; i < n; i++)
            task(context, i, 0);
        return;
    }
    CHECK(n <= MAX_TASKS);
    if (n <= 0)
        return;
    pthread_mutex_lock(&pool.turn);
    pool.task = task;
    pool.context = context;
    publish(n);
    take_tasks(0);
    wait_done((uint32_t)n);
    pthread_mutex_unlock(&pool.turn);
}

typedef struct Ranges {
    int64_t n, step;
    void (*task)(void *context, int64_t from, int64_t to);
    void *context;
} Ranges;

static void range_task(void *context, int64_t i, int thread)
{
    const Ranges *r = context;
    r->task(r->context, i * r->step, MIN(r->n, (i + 1) * r->step));
}

void pool_ranges(int64_t n, int64_t grain, void (*task)(void *context, int64_t from, int64_t to),
                 void *context)
{
    if (n <= grain) {
        if (n > 0)
            task(context, 0, n);
        return;
    }
    int64_t most = 4 * (int64_t)pool_threads(); // a few a thread even out what disturbs one
    int64_t step = MAX(grain, (n + most - 1) / most);
    Ranges r = {n, step, task, context};
    pool_run((n + step - 1) / step, range_task, &r);
}
