/* Threads: bounded queues by which ownership moves, and pools of workers.
 *
 * A queue that is full says so at once: whoever fills it decides what that means (503, wait, drop).
 * Threads: all functions may be called from any, except that free comes last. */
#pragma once

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>

/* Starts a named thread; aborts if the system has none left. All signals are blocked in it. */
pthread_t thread_start(const char *name, void *(*run)(void *context), void *context);
/* How many processors this process may use. */
int thread_cpus(void);

/* A thread that many depend on, such as an event loop, hurries: what could keep it waiting (a
 * database, a git repository) asks thread_may_wait first and refuses with ERR_BUSY, and is then
 * done again by a thread that has time. Work in a hurry must leave no trace before its last
 * refusal. */
void thread_hurry_begin(void);
/* True if nothing has been refused since the begin. */
bool thread_hurry_end(void);
bool thread_may_wait(Error *err);

/* Calls task(context, i) for every i in [0, n), in no order, on as many threads as processors, the
 * caller among them, and returns when all are done. */
void thread_each(int64_t n, void (*task)(void *context, int64_t i), void *context);

typedef struct Queue Queue;
Queue *queue_new(size_t capacity) __attribute__((returns_nonnull));
/* Must be empty, or hold nothing that needs freeing. NULL is fine. */
void queue_free(Queue *q);
AUTO_FREE(Queue, queue_free)
/* False if it is full or closed; the item stays the caller's. */
bool queue_push(Queue *q, void *item);
/* Waits up to timeout_ns (-1: for ever) for an item; NULL at the timeout, or once the queue is
 * closed and empty. */
void *queue_pop(Queue *q, int64_t timeout_ns);
/* No more pushes; waiting pops return. */
void queue_close(Queue *q);
size_t queue_length(Queue *q);

typedef struct Workers Workers;
/* Up to `threads` threads, started when jobs wait and none is idle; up to `queue` waiting jobs. */
Workers *workers_new(const char *name, int threads, size_t queue) __attribute__((returns_nonnull));
/* False if too many jobs wait, or it was told to stop. */
bool workers_run(Workers *w, void (*job)(void *context), void *context);
/* Takes no more jobs, waits until all are done, those in the queue too. */
void workers_stop(Workers *w);
/* Stops first. NULL is fine. */
void workers_free(Workers *w);
AUTO_FREE(Workers, workers_free)
