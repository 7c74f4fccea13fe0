/* thread.c: bounded queues and worker pools; see thread.h.
 *
 * A pool starts a thread only when a job finds all others busy, so that a program that does little
 * has few threads, and start-up costs none. */
#include "base/thread.h"
#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

pthread_t thread_start(const char *name, void *(*run)(void *context), void *context)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_t thread;
    int status = pthread_create(&thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (status != 0) {
        fprintf(stderr, "hug: start thread '%s': %s\n", name, strerror(status));
        abort();
    }
    char short_name[16]; // the kernel's limit
    snprintf(short_name, sizeof short_name, "%s", name);
    pthread_setname_np(thread, short_name);
    return thread;
}

int thread_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return MAX(CPU_COUNT(&set), 1);
}

static _Thread_local struct {
    bool on, refused;
} hurry;

void thread_hurry_begin(void)
{
    hurry.on = true;
    hurry.refused = false;
}

bool thread_hurry_end(void)
{
    hurry.on = false;
    return !hurry.refused;
}

bool thread_may_wait(Error *err)
{
    if (!hurry.on)
        return true;
    hurry.refused = true;
    return fail(err, ERR_BUSY, "this thread cannot wait");
}

typedef struct Each {
    int64_t n;
    _Atomic int64_t next;
    void (*task)(void *context, int64_t i);
    void *context;
} Each;

static void *each_run(void *context)
{
    Each *e = context;
    for (int64_t i; (i = atomic_fetch_add(&e->next, 1)) < e->n;)
        e->task(e->context, i);
    return NULL;
}

void thread_each(int64_t n, void (*task)(void *context, int64_t i), void *context)
{
    enum { MOST = 64 };
    Each e = {.n = n, .task = task, .context = context};
    pthread_t threads[MOST];
    int more = (int)MIN(MIN(thread_cpus(), MOST), n) - 1;
    for (int i = 0; i < more; i++)
        threads[i] = thread_start("each", each_run, &e);
    each_run(&e);
    for (int i = 0; i < more; i++)
        pthread_join(threads[i], NULL);
}

struct Queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bool closed;
    size_t first, n, cap;
    void *items[];
};

Queue *queue_new(size_t capacity)
{
    CHECK(capacity > 0 && capacity < SIZE_MAX / 64);
    Queue *q = xcalloc(1, sizeof *q + capacity * sizeof *q->items);
    q->cap = capacity;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->filled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return q;
}

void queue_free(Queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool queue_push(Queue *q, void *item)
{
    pthread_mutex_lock(&q->lock);
    bool ok = !q->closed && q->n < q->cap;
    if (ok) {
        q->items[(q->first + q->n++) % q->cap] = item;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

/* Waits until something is there; false at the deadline or once closed. Called with the lock. */
static bool wait_filled(Queue *q, int64_t timeout_ns)
{
    int64_t end = clock_ns() + timeout_ns;
    struct timespec deadline = {.tv_sec = end / NS_PER_S, .tv_nsec = end % NS_PER_S};
    while (q->n == 0 && !q->closed) {
        if (timeout_ns < 0)
            pthread_cond_wait(&q->filled, &q->lock);
        else if (pthread_cond_timedwait(&q->filled, &q->lock, &deadline) == ETIMEDOUT)
            break;
    }
    return q->n > 0;
}

void *queue_pop(Queue *q, int64_t timeout_ns)
{
    void *item = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->n > 0 || wait_filled(q, timeout_ns)) {
        item = q->items[q->first];
        q->first = (q->first + 1) % q->cap;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(Queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

size_t queue_length(Queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

typedef struct Job {
    void (*run)(void *context);
    void *context;
} Job;

struct Workers {
    const char *name;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    bool stopping;
    int idle, n_threads, max_threads;
    pthread_t *threads;
    size_t first, n, cap; // the ring of jobs that wait
    Job *jobs;
};

Workers *workers_new(const char *name, int threads, size_t queue)
{
    CHECK(threads > 0 && queue > 0);
    Workers *w = xcalloc(1, sizeof *w);
    *w = (Workers){.name = name,
                   .max_threads = threads,
                   .cap = queue,
                   .threads = xcalloc((size_t)threads, sizeof(pthread_t)),
                   .jobs = xcalloc(queue, sizeof(Job))};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->filled, NULL);
    return w;
}

static void *work(void *context)
{
    Workers *w = context;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->n == 0 && !w->stopping) {
            w->idle++;
            pthread_cond_wait(&w->filled, &w->lock);
            w->idle--;
        }
        if (w->n == 0)
            break;
        Job job = w->jobs[w->first];
        w->first = (w->first + 1) % w->cap;
        w->n--;
        pthread_mutex_unlock(&w->lock);
        job.run(job.context);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

bool workers_run(Workers *w, void (*job)(void *context), void *context)
{
    bool wake = false;
    pthread_mutex_lock(&w->lock);
    bool ok = !w->stopping && w->n < w->cap;
    if (ok) {
        w->jobs[(w->first + w->n++) % w->cap] = (Job){job, context};
        wake = (size_t)w->idle >= w->n;
        if (!wake && w->n_threads < w->max_threads)
            w->threads[w->n_threads++] = thread_start(w->name, work, w);
    }
    pthread_mutex_unlock(&w->lock);
    if (wake) // without the lock, which the woken thread takes first
        pthread_cond_signal(&w->filled);
    return ok;
}

void workers_stop(Workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->filled);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    w->n_threads = 0;
}

void workers_free(Workers *w)
{
    if (!w)
        return;
    workers_stop(w);
    pthread_cond_destroy(&w->filled);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w->jobs);
    free(w);
}
