/* cpu.c: detection by the compiler's CPUID helpers; see cpu.h. */
#include "base/cpu.h"

#include "base/log.h"

static const char *const names[CPU_LEVEL_COUNT] = {
#define X(code, name) [code] = name,
    CPU_LEVELS(X)
#undef X
};

const char *cpu_level_name(CpuLevel level)
{
    CHECK((unsigned)level < CPU_LEVEL_COUNT);
    return names[level];
}

bool cpu_level_parse(Str name, CpuLevel *level)
{
    for (size_t i = 0; i < CPU_LEVEL_COUNT; i++)
        if (str_eq_nocase(name, str_of(names[i]))) {
            *level = (CpuLevel)i;
            return true;
        }
    return false;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The helpers of gcc 12 and clang 14 do not know AMX by name: CPUID leaf 7, EDX bits 22 (bf16),
 * 24 (tiles), 25 (int8). Linux wants to be asked for the use of tiles, once for all threads of the
 * process, because they make what it saves of a thread larger; it says no where it knows no tiles.
 */
static bool has_amx(void)
{
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; // ARCH_REQ_XCOMP_PERM and the state's number
    unsigned a, b, c, d;
    const unsigned wanted = 1U << 22 | 1U << 24 | 1U << 25;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted &&
           syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

CpuLevel cpu_detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CPU_PLAIN;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return CPU_AVX2;
    if (!__builtin_cpu_supports("avx512vnni"))
        return CPU_AVX512;
    if (!__builtin_cpu_supports("avx512bf16"))
        return CPU_AVX512VNNI;
    return has_amx() ? CPU_AMX : CPU_AVX512BF16;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

/* The kernel's bits, AT_HWCAP and AT_HWCAP2, by their numbers: headers older than them exist. */
CpuLevel cpu_detect(void)
{
    const unsigned long dot = 1UL << 20, bf16 = 1UL << 14;
    bool has = (getauxval(AT_HWCAP) & dot) && (getauxval(AT_HWCAP2) & bf16);
    return has ? CPU_NEONBF16 : CPU_NEON;
}
#else
CpuLevel cpu_detect(void)
{
    return CPU_PLAIN;
}
#endif

CpuLevel cpu_level(void)
{
    static int known = -1; // the same value whoever writes it
    int level = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (level < 0) {
        CpuLevel found = cpu_detect(), wanted;
        const char *text = getenv("HUG_CPU");
        if (text && *text && !cpu_level_parse(str_of(text), &wanted))
            log_warn("cpu_level_unknown", "HUG_CPU=%s", text);
        else if (text && *text)
            found = MIN(found, wanted);
        level = (int)found;
        __atomic_store_n(&known, level, __ATOMIC_RELAXED);
    }
    return (CpuLevel)level;
}
