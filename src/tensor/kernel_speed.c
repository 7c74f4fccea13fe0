/* kernel_speed.c: see kernel_speed.h. Each figure is the best of many short looks, because what
 * disturbs a machine only makes it slower; memory's is their median, because some looks meet what a
 * cache still has. */
#include "tensor/kernel_speed.h"

#include "base/clock.h"
#include "tensor/kernel_cases.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

enum {
    LOOK_NS = 20000,          // long beside the clock, short beside a time slice
    KERNEL_NS = 30 * 1000000, // how long one figure is looked for
    READ_L1 = 16 << 10,
    READ_L2 = 384 << 10,
    READ_L3 = 6 << 20,
    READ_PART = 1 << 20, // of memory, at once
    READ_MEMORY = 256 << 20,
};

static const struct {
    const char *name, *unit;
} limits[LIMIT_COUNT] = {
#define X(code, name, unit) [code] = {name, unit},
    KERNEL_LIMITS(X)
#undef X
};

typedef double Look(const void *context, int64_t times); // returns work

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Work a nanosecond (units of 10^9 a second) that `part` of all looks fall below. */
static double speed(Look *look, const void *context, double part)
{
    static double speeds[KERNEL_NS / LOOK_NS + 2];
    int64_t times = 1, end = clock_ns() + KERNEL_NS;
    size_t n = 0;
    while (clock_ns() < end && n < COUNT(speeds)) {
        int64_t began = clock_ns();
        double work = look(context, times);
        int64_t ns = MAX(1, clock_ns() - began);
        speeds[n] = work / (double)ns;
        if (ns < LOOK_NS)
            times *= 2; // too short to tell
        else
            n++;
    }
    if (!n)
        return 0;
    qsort(speeds, n, sizeof *speeds, by_size);
    return speeds[(size_t)(part * (double)(n - 1))];
}

static double best_speed(Look *look, const void *context)
{
    return speed(look, context, 1);
}

static double median_speed(Look *look, const void *context)
{
    return speed(look, context, 0.5);
}

static double look_at_kernel(const void *context, int64_t times)
{
    const KernelRun *run = context;
    for (int64_t i = 0; i < times; i++)
        run->c->run(run);
    return run->c->work(run) * (double)times;
}

typedef int64_t Peak(int64_t rounds);

static double look_at_peak(const void *context, int64_t times)
{
    Peak *const *peak = context;
    return (double)(*peak)(100 * times);
}

/* The first bytes again and again, or, to see memory rather than a cache, the next ones each time.
 */
typedef struct Reading {
    const Kernels *table;
    const char *memory;
    size_t bytes;
    size_t *at; // NULL: at the start
} Reading;

static const char *next_part(const Reading *r, size_t parts)
{
    if (!r->at)
        return r->memory;
    const char *part = r->memory + *r->at;
    *r->at = (*r->at + parts * r->bytes) % READ_MEMORY;
    return part;
}

static double look_at_memory(const void *context, int64_t times)
{
    const Reading *r = context;
    for (int64_t i = 0; i < times; i++)
        r->table->read(r->bytes, next_part(r, 1));
    return (double)r->bytes * (double)times;
}

static double product_limit(const Kernels *table, KernelLimit limit)
{
    // Without instructions of their own, narrow types go through those of f32.
    Peak *peaks[] = {table->peak_f32, limit == LIMIT_BF16 ? table->peak_bf16 : table->peak_f32,
                     limit == LIMIT_INT8 ? table->peak_int8 : table->peak_f32};
    double best = 0;
    for (size_t i = 0; i < COUNT(peaks); i++)
        if (i == 0 || peaks[i] != peaks[0])
            best = MAX(best, best_speed(look_at_peak, &peaks[i]));
    return best;
}

static double read_limit(const Kernels *table, const char *memory, KernelLimit limit)
{
    size_t at = 0;
    Reading r = {table, memory, READ_PART, NULL};
    switch (limit) {
    case LIMIT_L1:
        r.bytes = READ_L1;
        break;
    case LIMIT_L2:
        r.bytes = READ_L2;
        break;
    case LIMIT_L3:
        r.bytes = READ_L3;
        break;
    default:
        r.at = &at;
    }
    return r.at ? median_speed(look_at_memory, &r) : best_speed(look_at_memory, &r);
}

static void read_part(void *context, int64_t i, int thread)
{
    const Reading *r = context;
    r->table->read(r->bytes, r->memory + (size_t)i * r->bytes);
}

static double look_at_all(const void *context, int64_t times)
{
    enum { PARTS = 16 };
    Reading r = *(const Reading *)context;
    for (int64_t i = 0; i < times; i++) {
        r.memory = next_part(context, PARTS);
        pool_run(PARTS, read_part, &r);
    }
    return (double)r.bytes * PARTS * (double)times;
}

typedef struct Teller {
    void (*tell)(void *context, const KernelTiming *timing);
    void *context;
} Teller;

static void tell_limit(const Teller *t, const char *set, const char *name, const char *unit,
                       double speed)
{
    KernelTiming timing = {.set = set, .kernel = name, .unit = unit, .speed = speed};
    t->tell(t->context, &timing);
}

static void time_set(const Kernels *set, const double speeds[LIMIT_COUNT], const Kernels *table,
                     const Teller *t)
{
    for (size_t i = 0; i < kernel_cases_n; i++)
        for (size_t s = 0; s < kernel_shapes_n; s++) {
            const KernelCase *c = &kernel_cases[i];
            const KernelShape *shape = &kernel_shapes[s];
            if (!shape->timed || !kernel_case_is_of(c, set) || !kernel_case_takes(c, shape, table))
                continue;
            AUTO(arena_free) Arena *a = arena_new(0);
            KernelRun *run = kernel_run_new(a, c, shape, table, 1);
            KernelTiming timing = {.set = set->name,
                                   .kernel = c->name,
                                   .bound = limits[c->limit].name,
                                   .unit = limits[c->limit].unit,
                                   .rows = shape->rows,
                                   .inputs = shape->k,
                                   .speed = best_speed(look_at_kernel, run),
                                   .limit = speeds[c->limit]};
            t->tell(t->context, &timing);
        }
}

void kernel_timings(bool limits_alone, void (*tell)(void *context, const KernelTiming *timing),
                    void *context)
{
    const Teller t = {tell, context};
    double speeds[LIMIT_COUNT] = {0};
    char *memory = pages_new(READ_MEMORY, PAGES_DENSE, NULL);
    if (memory)
        memset(memory, 1, READ_MEMORY);
    for (int limit = LIMIT_L1; memory && limit <= LIMIT_MEMORY; limit++) {
        speeds[limit] = read_limit(kernels(), memory, (KernelLimit)limit);
        tell_limit(&t, NULL, limits[limit].name, limits[limit].unit, speeds[limit]);
    }
    size_t at = 0;
    Reading all = {kernels(), memory, READ_PART, &at};
    if (memory)
        tell_limit(&t, NULL, "memory of all cores", "GB/s", median_speed(look_at_all, &all));
    pages_free(memory, READ_MEMORY);
    for (const Kernels *const *set = kernel_sets(); *set; set++) {
        if ((*set)->needs > cpu_level())
            continue;
        Kernels table = kernels_of((*set)->needs);
        for (int limit = LIMIT_F32; limit <= LIMIT_INT8; limit++) {
            speeds[limit] = product_limit(&table, (KernelLimit)limit);
            tell_limit(&t, (*set)->name, limits[limit].name, limits[limit].unit, speeds[limit]);
        }
        if (!limits_alone)
            time_set(*set, speeds, &table, &t);
    }
}
