/* What the processor can do, as levels that kernels name; each includes those below it.
 *
 * The environment variable HUG_CPU (plain, avx2, avx512, avx512vnni, avx512bf16, amx; on ARM plain,
 * neon, neonbf16) lowers the level, to test or to compare; it never raises it above what is there.
 * Threads: free of state once read; the first call reads the environment. */
#pragma once

#include "base/str.h"

#if defined(__aarch64__)
#define CPU_LEVELS(X)                                                                              \
    X(CPU_PLAIN, "plain") /* portable C */                                                         \
    X(CPU_NEON, "neon")                                                                            \
    X(CPU_NEONBF16, "neonbf16") /* with dot products of bytes and of bf16 */
#else
#define CPU_LEVELS(X)                                                                              \
    X(CPU_PLAIN, "plain")           /* portable C */                                               \
    X(CPU_AVX2, "avx2")             /* AVX2, FMA, F16C */                                          \
    X(CPU_AVX512, "avx512")         /* AVX-512 F, BW, DQ, VL */                                    \
    X(CPU_AVX512VNNI, "avx512vnni") /* and VNNI: dot products of bytes */                          \
    X(CPU_AVX512BF16, "avx512bf16") /* and BF16 */                                                 \
    X(CPU_AMX, "amx")               /* and tiles with bf16 and int8 */
#endif

typedef enum CpuLevel {
#define X(code, name) code,
    CPU_LEVELS(X)
#undef X
        CPU_LEVEL_COUNT
} CpuLevel;

/* The level in force. */
CpuLevel cpu_level(void);
/* What the processor itself has. */
CpuLevel cpu_detect(void);
const char *cpu_level_name(CpuLevel level);
bool cpu_level_parse(Str name, CpuLevel *level);
