/* kernels.c: which kernels are in force; see kernels_internal.h. */
#include "tensor/pack_internal.h"

#include <pthread.h>

static const Kernels *const sets[] = {
#if defined(__x86_64__)
    &kernels_amx,        &kernels_avx512bf16,
    &kernels_avx512vnni, &kernels_avx512,
    &kernels_avx2,
#elif defined(__aarch64__)
    &kernels_neonbf16,   &kernels_neon,
#endif
    &kernels_plain,      NULL,
};

const Kernels *const *kernel_sets(void)
{
    return sets;
}

static Kernels chosen;
static bool ready; // for kernels() to ask cheaply: it is called for every row
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A table is all pointers to functions behind its head: merge slot by slot. */
static void kernels_fill(Kernels *into, const Kernels *from)
{
    enum { FIRST = offsetof(Kernels, tile), SLOTS = (sizeof(Kernels) - FIRST) / sizeof(void *) };
    void *have[SLOTS], *offered[SLOTS];
    memcpy(have, (char *)into + FIRST, sizeof have);
    memcpy(offered, (const char *)from + FIRST, sizeof offered);
    for (size_t i = 0; i < SLOTS; i++)
        if (!have[i])
            have[i] = offered[i];
    memcpy((char *)into + FIRST, have, sizeof have);
    if (!into->name) {
        into->name = from->name;
        into->needs = from->needs;
    }
    into->prefers_gemv_int8 |= from->prefers_gemv_int8;
    into->prefers_gemm_int8 |= from->prefers_gemm_int8;
    // The set that brings a tile says how many rows it takes.
    into->tile_rows = into->tile_rows ? into->tile_rows : from->tile_rows;
    into->tile_rows_bf16 = into->tile_rows_bf16 ? into->tile_rows_bf16 : from->tile_rows_bf16;
    into->tile_rows_int8 = into->tile_rows_int8 ? into->tile_rows_int8 : from->tile_rows_int8;
}

Kernels kernels_of(CpuLevel level)
{
    Kernels table = {0};
    for (const Kernels *const *set = sets; *set; set++)
        if ((*set)->needs <= level)
            kernels_fill(&table, *set);
    return table;
}

static void choose(CpuLevel level)
{
    chosen = kernels_of(MIN(level, cpu_detect()));
}

static void choose_first(void)
{
    choose(cpu_level());
    __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
}

const Kernels *kernels(void)
{
    if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        pthread_once(&once, choose_first);
    return &chosen;
}

void kernels_choose(CpuLevel level)
{
    (void)kernels(); // or the first use would choose again
    choose(level);
}

void kernels_use(const Kernels *set)
{
    (void)kernels();
    Kernels table = {0}, rest = kernels_of(set->needs);
    kernels_fill(&table, set);
    kernels_fill(&table, &rest);
    chosen = table;
}

size_t packing_bytes(Packing packing, int64_t k)
{
    static const struct {
        int inputs; // that share a unit
        size_t bytes;
    } units[PACK_COUNT] = {
        [PACK_F32] = {1, PANEL * sizeof(float)},         [PACK_F16] = {1, PANEL * sizeof(uint16_t)},
        [PACK_BF16] = {2, 2 * PANEL * sizeof(uint16_t)}, [PACK_Q8_0] = {BLOCK, sizeof(PanelQ8_0)},
        [PACK_Q4_0] = {BLOCK, sizeof(PanelQ4_0)},        [PACK_Q4_1] = {BLOCK, sizeof(PanelQ4_1)},
        [PACK_Q5_0] = {BLOCK, sizeof(PanelQ5_0)},        [PACK_Q5_1] = {BLOCK, sizeof(PanelQ5_1)},
        [PACK_Q4_K] = {SUPER, sizeof(PanelQ4_K)},        [PACK_Q5_K] = {SUPER, sizeof(PanelQ5_K)},
        [PACK_Q6_K] = {SUPER, sizeof(PanelQ6_K)},
    };
    int inputs = units[packing].inputs;
    return (size_t)((k + inputs - 1) / inputs) * units[packing].bytes;
}
