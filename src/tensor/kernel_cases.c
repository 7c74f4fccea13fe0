/* kernel_cases.c: see kernel_cases.h. */
#include "tensor/kernel_cases.h"

#include "tensor/pack_internal.h"

#include <math.h>

/* One row for what has one; the rest for tiles. */
const KernelShape kernel_shapes[] = {
    {1, 1},
    {1, 2},
    {1, 3},
    {1, 15},
    {1, 17},
    {1, 31},
    {1, 32},
    {1, 33},
    {1, 64},
    {1, 96},
    {1, 127},
    {1, 256},
    {1, 257},
    {1, 512},
    {2, 2},
    {3, 3},
    {4, 16},
    {5, 17},
    {6, 32},
    {7, 31},
    {8, 33},
    {9, 63},
    {10, 64},
    {11, 65},
    {12, 15},
    {12, 96},
    {13, 160},
    {16, 255},
    {17, 256},
    {29, 257},
    {31, 300},
    {32, 511},
    {.rows = 1, .k = 768, .timed = true},
    {.rows = 12, .k = 768, .timed = true},
    {.rows = 32, .k = 768, .timed = true},
};
const size_t kernel_shapes_n = COUNT(kernel_shapes);

static void fill(Random *r, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(r) * 2 - 1);
}

static void *memory_for(Arena *a, int64_t bytes)
{
    enum { LINE = 64 };
    char *p = NEW_ARRAY(a, char, (size_t)bytes + 2 * LINE);
    return p + (LINE - (uintptr_t)p % LINE) % LINE;
}

/* GEMM. */

static void prepare_gemm(KernelRun *run, Arena *a, Random *r)
{
    int64_t k = run->shape.k;
    float *x = memory_for(a, run->shape.rows * k * (int64_t)sizeof *x);
    run->values = memory_for(a, (k + 1) * PANEL * (int64_t)sizeof *run->values);
    fill(r, x, run->shape.rows * k);
    fill(r, run->values, k * PANEL);
    run->a = memory_for(a, run->shape.rows * (k + INT8_BLOCK) * (int64_t)sizeof(float));
    run->b = memory_for(a, PANEL * (k + INT8_BLOCK) * (int64_t)sizeof(float));
    run->n = run->shape.rows * PANEL;
    const Kernels *t = run->table;
    switch (run->c->limit) {
    case LIMIT_BF16:
        t->pack_rows_bf16(run->shape.rows, k, x, k, run->a);
        t->pair_rows(k, run->values, run->b);
        break;
    case LIMIT_INT8:
        t->pack_rows_int8(run->shape.rows, k, x, k, run->a);
        t->pack_panel_int8(k, run->values, run->b);
        break;
    default:
        t->pack_rows(run->shape.rows, k, x, k, run->a);
        memcpy(run->b, run->values, (size_t)(k * PANEL) * sizeof *x);
    }
}

static void run_gemm(const KernelRun *run)
{
    run->table->gemm(run->shape.rows, run->shape.k, run->a, run->b, run->out, false, NULL);
}

static void run_gemm_bf16(const KernelRun *run)
{
    run->table->gemm_bf16(run->shape.rows, run->shape.k + run->shape.k % 2, run->a, run->b,
                          run->out, false, NULL);
}

static void run_gemm_int8(const KernelRun *run)
{
    run->table->gemm_int8(run->shape.rows, run->shape.k, run->a, run->b, run->out, false, NULL);
}

static double work_gemm(const KernelRun *run)
{
    return 2.0 * run->shape.rows * (double)run->shape.k * PANEL;
}

/* One row and unpacking. */

void kernel_random_stored(Random *r, DType type, int64_t n, float *x, void *stored)
{
    uint8_t *out = stored;
    const DTypeInfo *info = dtype_info(type);
    fill(r, x, n);
    if (dtype_from_f32(type, x, out, n, NULL))
        return;
    for (int64_t b = 0; b < n / info->block; b++, out += info->bytes) {
        for (int i = 0; i < info->bytes; i++)
            out[i] = (uint8_t)random_next(r);
        uint16_t d = f32_to_f16((float)random_unit(r) * 0.01F);
        memcpy(out + (type == DTYPE_Q6_K ? 208 : 0), &d, sizeof d);
        if (type != DTYPE_Q6_K)
            memcpy(out + 2, &d, sizeof d);
    }
}

static DType type_of(Packing packing)
{
    Packing other;
    for (int type = 0; type < DTYPE_COUNT; type++)
        if (packing_of((DType)type, &other) && other == packing)
            return (DType)type;
    CHECK(false);
}

/* Whole blocks of 32, of a row of x. */
static void prepare_row(KernelRun *run, Arena *a)
{
    enum { SUM = 16 };
    const float *x = run->a;
    int64_t k = run->shape.k;
    float *sums = NEW_ARRAY(a, float, (size_t)k), *bytes = NEW_ARRAY(a, float, (size_t)k);
    float *scales = NEW_ARRAY(a, float, (size_t)k), *rounded = NEW_ARRAY(a, float, (size_t)k);
    int8_t *codes = NEW_ARRAY(a, int8_t, (size_t)k), *quads = NEW_ARRAY(a, int8_t, (size_t)k);
    run->input = (GemvInput){x, sums, bytes, codes, quads, scales, rounded};
    kernels_plain.quantize(k / BLOCK * BLOCK, x, codes, scales);
    for (int64_t i = 0; i < k / BLOCK * BLOCK; i++) {
        int at = (int)(i % BLOCK);
        bytes[i] = ldexpf(x[i], -8 * byte_of(at));
        sums[i / SUM] += x[i];
        rounded[i / SUM] += scales[i / BLOCK] * codes[i];
        quads[i - at + quad_of(at) * 4 + byte_of(at)] = codes[i];
    }
}

static void prepare_panel(KernelRun *run, Arena *a, Random *r)
{
    int64_t k = run->shape.k;
    DType type = type_of(run->c->packing);
    float *row = NEW_ARRAY(a, float, (size_t)k);
    uint8_t *stored = NEW_ARRAY(a, uint8_t, (size_t)k * sizeof(float));
    run->b = memory_for(a, (int64_t)packing_bytes(run->c->packing, k));
    for (int i = 0; i < PANEL - 1; i++) { // the last row stays empty
        kernel_random_stored(r, type, k, row, stored);
        pack_row(run->c->packing, stored, k, i, run->b);
    }
    fill(r, row, k);
    run->a = row;
    run->n = PANEL;
    prepare_row(run, a);
}

static void prepare_unpack(KernelRun *run, Arena *a, Random *r)
{
    prepare_panel(run, a, r);
    run->n = run->shape.k * PANEL;
}

static void run_gemv(const KernelRun *run)
{
    run->table->gemv[run->c->packing](run->shape.k, &run->input, run->b, run->out);
}

static void run_gemv_int8(const KernelRun *run)
{
    run->table->gemv_int8[run->c->packing](run->shape.k, &run->input, run->b, run->out);
}

static void run_unpack(const KernelRun *run)
{
    run->table->unpack[run->c->packing](run->shape.k, run->b, run->out);
}

static double work_panel(const KernelRun *run)
{
    return (double)packing_bytes(run->c->packing, run->shape.k);
}

static double work_unpack(const KernelRun *run)
{
    return (double)run->shape.k * PANEL * sizeof(float);
}

/* Rows of values: weight and bias in b. */

static void prepare_values(KernelRun *run, Arena *a, Random *r)
{
    int64_t n = run->shape.k;
    run->a = memory_for(a, n * (int64_t)sizeof(float));
    run->b = memory_for(a, 2 * n * (int64_t)sizeof(float));
    fill(r, run->a, n);
    fill(r, run->b, 2 * n);
    run->n = n;
}

static void run_softmax(const KernelRun *run)
{
    run->table->softmax(run->n, run->a, run->out);
}

static void run_rms_norm(const KernelRun *run)
{
    run->table->rms_norm(run->n, run->a, run->b, 1e-5F, run->out);
}

static void run_layer_norm(const KernelRun *run)
{
    const float *weight = run->b;
    run->table->layer_norm(run->n, run->a, weight, weight + run->n, 1e-5F, run->out);
}

static void run_gelu(const KernelRun *run)
{
    run->table->activate(ACT_GELU_TANH, run->n, run->a, run->out);
}

static void run_silu(const KernelRun *run)
{
    run->table->activate(ACT_SILU, run->n, run->a, run->out);
}

static double work_values(const KernelRun *run)
{
    return 2.0 * (double)run->n * sizeof(float); // read and written
}

#define SLOT(member) offsetof(Kernels, member)
#define GEMM(function, bound, allowed)                                                             \
    {                                                                                              \
        .name = #function, .limit = bound, .slot = SLOT(function), .rows = true,                   \
        .tolerance = allowed, .prepare = prepare_gemm, .run = run_##function, .work = work_gemm    \
    }
#define PANELS(function, text, pack, bound, made, worked)                                          \
    {                                                                                              \
        .name = #function " " text, .limit = bound,                                                \
        .slot = SLOT(function) + pack * sizeof(void *), .packing = pack, .tolerance = 4e-7F,       \
        .prepare = made, .run = run_##function, .work = worked                                     \
    }
#define GEMV(text, pack) PANELS(gemv, text, pack, LIMIT_MEMORY, prepare_panel, work_panel)
#define GEMV_INT8(text, pack) PANELS(gemv_int8, text, pack, LIMIT_MEMORY, prepare_panel, work_panel)
#define UNPACK(text, pack) PANELS(unpack, text, pack, LIMIT_L2, prepare_unpack, work_unpack)
#define ROW(text, member, function, allowed)                                                       \
    {                                                                                              \
        .name = text, .limit = LIMIT_L1, .slot = SLOT(member), .tolerance = allowed,               \
        .prepare = prepare_values, .run = function, .work = work_values                            \
    }

const KernelCase kernel_cases[] = {
    GEMM(gemm, LIMIT_F32, 1e-7F),
    GEMM(gemm_bf16, LIMIT_BF16, 1e-7F),
    GEMM(gemm_int8, LIMIT_INT8, 1e-7F),
    GEMV("f32", PACK_F32),
    GEMV("f16", PACK_F16),
    GEMV("bf16", PACK_BF16),
    GEMV("q8_0", PACK_Q8_0),
    GEMV("q4_0", PACK_Q4_0),
    GEMV("q4_1", PACK_Q4_1),
    GEMV("q5_0", PACK_Q5_0),
    GEMV("q5_1", PACK_Q5_1),
    GEMV("q4_k", PACK_Q4_K),
    GEMV("q5_k", PACK_Q5_K),
    GEMV("q6_k", PACK_Q6_K),
    GEMV_INT8("q8_0", PACK_Q8_0),
    GEMV_INT8("q4_0", PACK_Q4_0),
    GEMV_INT8("q4_1", PACK_Q4_1),
    GEMV_INT8("q5_0", PACK_Q5_0),
    GEMV_INT8("q5_1", PACK_Q5_1),
    GEMV_INT8("q4_k", PACK_Q4_K),
    GEMV_INT8("q5_k", PACK_Q5_K),
    GEMV_INT8("q6_k", PACK_Q6_K),
    UNPACK("f16", PACK_F16),
    UNPACK("bf16", PACK_BF16),
    UNPACK("q8_0", PACK_Q8_0),
    UNPACK("q4_0", PACK_Q4_0),
    UNPACK("q4_1", PACK_Q4_1),
    UNPACK("q5_0", PACK_Q5_0),
    UNPACK("q5_1", PACK_Q5_1),
    UNPACK("q4_k", PACK_Q4_K),
    UNPACK("q5_k", PACK_Q5_K),
    UNPACK("q6_k", PACK_Q6_K),
    ROW("softmax", softmax, run_softmax, 1e-6F),
    ROW("rms_norm", rms_norm, run_rms_norm, 1e-6F),
    ROW("layer_norm", layer_norm, run_layer_norm, 1e-6F),
    ROW("gelu_tanh", activate, run_gelu, 1e-6F),
    ROW("silu", activate, run_silu, 1e-6F),
};
const size_t kernel_cases_n = COUNT(kernel_cases);

bool kernel_case_is_of(const KernelCase *c, const Kernels *set)
{
    void *function;
    memcpy(&function, (const char *)set + c->slot, sizeof function);
    return function;
}

bool kernel_case_takes(const KernelCase *c, const KernelShape *s, const Kernels *table)
{
    if (c->rows)
        return s->rows <= (c->limit == LIMIT_BF16   ? table->tile_rows_bf16
                           : c->limit == LIMIT_INT8 ? table->tile_rows_int8
                                                    : table->tile_rows);
    bool panels = c->prepare == prepare_panel || c->prepare == prepare_unpack;
    int block = panels ? dtype_info(type_of(c->packing))->block : 1;
    return s->rows == 1 && s->k % block == 0;
}

KernelRun *kernel_run_new(Arena *a, const KernelCase *c, const KernelShape *s, const Kernels *table,
                          uint64_t seed)
{
    Random r = random_of(seed);
    KernelRun *run = NEW(a, KernelRun);
    run->c = c;
    run->table = table;
    run->shape = *s;
    c->prepare(run, a, &r);
    run->out = memory_for(a, (run->n + PANEL) * (int64_t)sizeof *run->out);
    return run;
}
