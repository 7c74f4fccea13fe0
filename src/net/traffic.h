/* What a server has answered: totals since its start, and the last two hours minute by minute, for
 * monitors (/metrics) and the page of administrators. Times go from a request's first byte to its
 * answer's last one, and are kept as counts of steps that double, so a percentile is right within
 * its step.
 * Threads: any; to note a request is a few relaxed additions. */
#pragma once

#include "base/memory.h"

enum { TRAFFIC_MINUTES = 120, TRAFFIC_STEPS = 24 };

typedef struct Traffic Traffic;
Traffic *traffic_new(void) __attribute__((returns_nonnull));
void traffic_free(Traffic *t);
AUTO_FREE(Traffic, traffic_free)
void traffic_note(Traffic *t, int status, int64_t took_ns);

typedef struct TrafficMinute {
    int64_t requests, failed; // failed: status 500 and above
    int64_t p50_ns, p99_ns;   // 0 where nothing was asked
} TrafficMinute;
/* The oldest first; the last one is still going on. */
void traffic_minutes(Traffic *t, TrafficMinute out[TRAFFIC_MINUTES]);

typedef struct TrafficTotals {
    int64_t classes[6];           // by the status's first digit
    int64_t steps[TRAFFIC_STEPS]; // of up to traffic_step_ns(i); the last has everything beyond too
    int64_t took_ns;
} TrafficTotals;
TrafficTotals traffic_totals(Traffic *t);
/* 62.5 us, 125 us, ... */
int64_t traffic_step_ns(int step);
