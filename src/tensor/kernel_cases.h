/* The kernels that are bound by a limit of the machine, as one table: tests hold each to its plain
 * twin over kernel_shapes, kernel_speed.c times it. */
#pragma once

#include "base/random.h"
#include "tensor/kernels_internal.h"

/* What bounds a kernel: products of one core, or bytes a second. */
#define KERNEL_LIMITS(X)                                                                           \
    X(LIMIT_F32, "f32", "GFLOP/s")                                                                 \
    X(LIMIT_BF16, "bf16", "GFLOP/s")                                                               \
    X(LIMIT_INT8, "int8", "GOP/s")                                                                 \
    X(LIMIT_L1, "L1", "GB/s")                                                                      \
    X(LIMIT_L2, "L2", "GB/s")                                                                      \
    X(LIMIT_L3, "L3", "GB/s")                                                                      \
    X(LIMIT_MEMORY, "memory", "GB/s")

typedef enum KernelLimit {
#define X(code, name, unit) code,
    KERNEL_LIMITS(X)
#undef X
        LIMIT_COUNT
} KernelLimit;

typedef struct KernelShape {
    int rows;   // of what has several
    int64_t k;  // inputs, or values of a row
    bool timed; // else for tests alone
} KernelShape;
extern const KernelShape kernel_shapes[];
extern const size_t kernel_shapes_n;

/* One run: the functions it calls and what they read and write. */
typedef struct KernelRun {
    const struct KernelCase *c;
    const Kernels *table;
    KernelShape shape;
    void *a, *b; // rows or a row; the panel
    GemvInput input;
    float *values; // a row of k, or the panel as f32 [k,PANEL]
    float *out;
    int64_t n; // outputs
} KernelRun;

typedef struct KernelCase {
    const char *name;
    KernelLimit limit;
    size_t slot;     // of the function in Kernels
    bool rows;       // several at once; else shapes of more than one row are not for it
    Packing packing; // of gemv and unpack
    float tolerance; // of an output, for each input, of the largest product
    void (*prepare)(KernelRun *run, Arena *a, Random *r);
    void (*run)(const KernelRun *run);
    double (*work)(const KernelRun *run); // operations or bytes
} KernelCase;
extern const KernelCase kernel_cases[];
extern const size_t kernel_cases_n;

/* Does the set itself bring what the case runs? */
bool kernel_case_is_of(const KernelCase *c, const Kernels *set);
/* Does the case take this shape? Quantised panels want whole blocks. */
bool kernel_case_takes(const KernelCase *c, const KernelShape *s, const Kernels *table);
/* Inputs from r, packed by the table's own functions; the same for every table. */
KernelRun *kernel_run_new(Arena *a, const KernelCase *c, const KernelShape *s, const Kernels *table,
                          uint64_t seed);
/* One stored row: of random values in [-1, 1), left in x [n], or, of types that are not written
 * here, of random bits with scales of a sane size. */
void kernel_random_stored(Random *r, DType type, int64_t n, float *x, void *stored);
