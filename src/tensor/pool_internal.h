/* The threads that kernels run on: one pool for the process, started at its first use.
 *
 * A job is `n` independent tasks; the caller works too and returns when all are done. Tasks are
 * taken one by one, so a thread that the machine has put aside holds up nobody: only tasks that it
 * took are waited for. Idle threads spin for SPIN_NS, because a decoding step has a new job every
 * few microseconds, and then sleep.
 * Threads: pool_run may be called from any thread but not from inside a task; jobs take turns. */
#pragma once

#include "base/memory.h"

/* How many threads there are, the caller included; at least 1. HUG_THREADS, or the processors that
 * this process may use. */
int pool_threads(void);

/* Calls task(context, i, thread) for i in [0, n), thread in [0, pool_threads()). */
void pool_run(int64_t n, void (*task)(void *context, int64_t i, int thread), void *context);

/* Ranges of about `grain` items each: task(context, from, to) over [0, n), fewer and larger ranges
 * when there are more than a few a thread. Runs in the caller when one range covers all. */
void pool_ranges(int64_t n, int64_t grain, void (*task)(void *context, int64_t from, int64_t to),
                 void *context);
