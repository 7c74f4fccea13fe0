/* How fast each kernel is beside the limit of the machine that it runs into; `hug bench kernels`.
 *
 * The kernels and shapes are those that tests hold to the plain twins (kernel_cases.c).
 * Threads: one at a time; one core, but for what is said to be of all. */
#pragma once

#include "base/memory.h"

typedef struct KernelTiming {
    const char *set;    // "avx512"; of a limit of the machine itself NULL
    const char *kernel; // "gemm_bf16", or of a limit its name: "f32", "memory of all cores"
    const char *bound;  // the name of its limit; NULL for a limit
    const char *unit;   // "GFLOP/s", "GOP/s", "GB/s"
    int rows;
    int64_t inputs;
    double speed, limit; // in the unit
} KernelTiming;

/* Limits first, then, unless they alone are wanted, every kernel of every set that this processor
 * can run and that brings it itself. Takes some seconds; limits take two. */
void kernel_timings(bool limits_alone, void (*tell)(void *context, const KernelTiming *timing),
                    void *context);
