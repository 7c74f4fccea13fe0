/* traffic.c: see traffic.h. A minute's slot is used again two hours later: whoever comes first in
 * the new minute empties it under the lock, so a count that still arrives for the old one may be
 * lost. */
#include "net/traffic.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FIRST_STEP_NS = 62500 };

typedef struct Counts {
    atomic_llong classes[6], steps[TRAFFIC_STEPS], took_ns;
} Counts;

typedef struct Slot {
    atomic_llong minute; // since the clock's start
    Counts counts;
} Slot;

struct Traffic {
    pthread_mutex_t lock; // guards changing a slot's minute
    Counts totals;
    Slot slots[TRAFFIC_MINUTES];
};

Traffic *traffic_new(void)
{
    Traffic *t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    for (int i = 0; i < TRAFFIC_MINUTES; i++)
        atomic_init(&t->slots[i].minute, -1);
    return t;
}

void traffic_free(Traffic *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int64_t traffic_step_ns(int step)
{
    return (int64_t)FIRST_STEP_NS << step;
}

static int step_of(int64_t ns)
{
    int step = 0;
    while (step < TRAFFIC_STEPS - 1 && ns > traffic_step_ns(step))
        step++;
    return step;
}

static int64_t this_minute(void)
{
    return clock_ns() / (60 * NS_PER_S);
}

static void add(atomic_llong *to, int64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static int64_t get(const atomic_llong *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void empty(Traffic *t, Slot *slot, int64_t minute)
{
    pthread_mutex_lock(&t->lock);
    if (get(&slot->minute) != minute) {
        for (int i = 0; i < 6; i++)
            atomic_store_explicit(&slot->counts.classes[i], 0, memory_order_relaxed);
        for (int i = 0; i < TRAFFIC_STEPS; i++)
            atomic_store_explicit(&slot->counts.steps[i], 0, memory_order_relaxed);
        atomic_store_explicit(&slot->counts.took_ns, 0, memory_order_relaxed);
        atomic_store(&slot->minute, minute);
    }
    pthread_mutex_unlock(&t->lock);
}

static void count(Counts *c, int status, int step, int64_t took_ns)
{
    add(&c->classes[MIN(MAX(status / 100, 0), 5)], 1);
    add(&c->steps[step], 1);
    add(&c->took_ns, took_ns);
}

void traffic_note(Traffic *t, int status, int64_t took_ns)
{
    int64_t minute = this_minute();
    int step = step_of(took_ns);
    Slot *slot = &t->slots[minute % TRAFFIC_MINUTES];
    if (atomic_load(&slot->minute) != minute)
        empty(t, slot, minute);
    count(&slot->counts, status, step, took_ns);
    count(&t->totals, status, step, took_ns);
}

/* The time that `share` of the requests stayed under: a straight line within its step. */
static int64_t percentile(const Counts *c, double share)
{
    int64_t all = 0, below = 0;
    for (int i = 0; i < TRAFFIC_STEPS; i++)
        all += get(&c->steps[i]);
    double wanted = share * (double)all;
    for (int i = 0; i < TRAFFIC_STEPS; i++) {
        int64_t n = get(&c->steps[i]);
        if (n && (double)(below + n) >= wanted) {
            int64_t from = i ? traffic_step_ns(i - 1) : 0;
            double part = (wanted - (double)below) / (double)n;
            return from + (int64_t)(part * (double)(traffic_step_ns(i) - from));
        }
        below += n;
    }
    return 0;
}

void traffic_minutes(Traffic *t, TrafficMinute out[TRAFFIC_MINUTES])
{
    int64_t last = this_minute();
    for (int i = 0; i < TRAFFIC_MINUTES; i++) {
        int64_t minute = last - (TRAFFIC_MINUTES - 1 - i);
        const Slot *slot = &t->slots[MAX(minute, 0) % TRAFFIC_MINUTES];
        out[i] = (TrafficMinute){0};
        if (minute < 0 || atomic_load(&slot->minute) != minute)
            continue;
        for (int k = 0; k < 6; k++)
            out[i].requests += get(&slot->counts.classes[k]);
        out[i].failed = get(&slot->counts.classes[5]);
        out[i].p50_ns = percentile(&slot->counts, 0.5);
        out[i].p99_ns = percentile(&slot->counts, 0.99);
    }
}

TrafficTotals traffic_totals(Traffic *t)
{
    TrafficTotals out = {.took_ns = get(&t->totals.took_ns)};
    for (int i = 0; i < 6; i++)
        out.classes[i] = get(&t->totals.classes[i]);
    for (int i = 0; i < TRAFFIC_STEPS; i++)
        out.steps[i] = get(&t->totals.steps[i]);
    return out;
}
