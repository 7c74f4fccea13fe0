/* kernels_plain.c: every kernel in portable C; the truth that the faster sets are compared with. */
#include "tensor/pack_internal.h"

#include <float.h>
#include <math.h>

static void clear(int rows, float *out, int64_t stride)
{
    for (int r = 0; r < rows; r++)
        memset(out + r * stride, 0, PANEL * sizeof *out);
}

static void tile_add(int rows, int64_t k, const float *a, const float *b, float *out,
                     int64_t stride)
{
    for (int64_t i = 0; i < k; i++)
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < PANEL; j++)
                out[r * stride + j] += a[i * rows + r] * b[i * PANEL + j];
}

static void tile(int rows, int64_t k, const float *a, const float *b, float *out, int64_t stride)
{
    clear(rows, out, stride);
    tile_add(rows, k, a, b, out, stride);
}

static void gemm(int rows, int64_t k, const float *a, const float *b, float *out, bool more,
                 const char *ahead)
{
    if (!more)
        clear(rows, out, PANEL);
    tile_add(rows, k, a, b, out, PANEL);
}

static void tile_add_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                          int64_t stride)
{
    for (int64_t i = 0; i < k / 2; i++)
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < PANEL; j++)
                for (int p = 0; p < 2; p++)
                    out[r * stride + j] += bf16_to_f32(a[(i * rows + r) * 2 + p]) *
                                           bf16_to_f32(b[(i * PANEL + j) * 2 + p]);
}

static void tile_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      int64_t stride)
{
    clear(rows, out, stride);
    tile_add_bf16(rows, k, a, b, out, stride);
}

static void gemm_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      bool more, const char *ahead)
{
    if (!more)
        clear(rows, out, PANEL);
    tile_add_bf16(rows, k, a, b, out, PANEL);
}

/* Unpacking: the inputs [from, from + n) of a panel as f32 [n,PANEL], n at most BLOCK and from a
 * multiple of it. One function a packing. */

static int nibble(const Nibbles *codes, int row, int i)
{
    return (*codes)[row / LANES][i / 8][row % LANES] >> (i % 8 * 4) & 15;
}

static int fifth(const FifthBits *high, int row, int i)
{
    return (int)((*high)[row / LANES][row % LANES] >> (8 * byte_of(i) + quad_of(i)) & 1) << 4;
}

static void block_f32(const void *panel, int64_t from, int n, float *out)
{
    memcpy(out, (const float *)panel + from * PANEL, (size_t)n * PANEL * sizeof *out);
}

static void block_f16(const void *panel, int64_t from, int n, float *out)
{
    const uint16_t *p = (const uint16_t *)panel + from * PANEL;
    for (int i = 0; i < n * PANEL; i++)
        out[i] = f16_to_f32(p[i]);
}

static void block_bf16(const void *panel, int64_t from, int n, float *out)
{
    const uint16_t *p = (const uint16_t *)panel + from * PANEL;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < PANEL; j++)
            out[i * PANEL + j] = bf16_to_f32(p[i / 2 * 2 * PANEL + j * 2 + i % 2]);
}

#define BLOCK_OF(type) const type *p = (const type *)panel + from / BLOCK
#define EACH_VALUE                                                                                 \
    for (int i = 0; i < n; i++)                                                                    \
        for (int j = 0; j < PANEL; j++)

static void block_q8_0(const void *panel, int64_t from, int n, float *out)
{
    BLOCK_OF(PanelQ8_0);
    EACH_VALUE
    {
        int q = p->codes[j / LANES][i / 4][j % LANES][i % 4];
        out[i * PANEL + j] = f16_to_f32(p->d[j]) * (float)q;
    }
}

static void block_q4_0(const void *panel, int64_t from, int n, float *out)
{
    BLOCK_OF(PanelQ4_0);
    EACH_VALUE out[i * PANEL + j] = f16_to_f32(p->d[j]) * (float)(nibble(&p->codes, j, i) - 8);
}

static void block_q4_1(const void *panel, int64_t from, int n, float *out)
{
    BLOCK_OF(PanelQ4_1);
    EACH_VALUE out[i * PANEL + j] =
        f16_to_f32(p->d[j]) * (float)nibble(&p->codes, j, i) + f16_to_f32(p->m[j]);
}

static void block_q5_0(const void *panel, int64_t from, int n, float *out)
{
    BLOCK_OF(PanelQ5_0);
    EACH_VALUE
    {
        int q = nibble(&p->codes, j, i) | fifth(&p->high, j, i);
        out[i * PANEL + j] = f16_to_f32(p->d[j]) * (float)(q - 16);
    }
}

static void block_q5_1(const void *panel, int64_t from, int n, float *out)
{
    BLOCK_OF(PanelQ5_1);
    EACH_VALUE
    {
        int q = nibble(&p->codes, j, i) | fifth(&p->high, j, i);
        out[i * PANEL + j] = f16_to_f32(p->d[j]) * (float)q + f16_to_f32(p->m[j]);
    }
}

#define SUPER_OF(type)                                                                             \
    const type *p = (const type *)panel + from / SUPER;                                            \
    int b = (int)(from % SUPER / BLOCK)

static void block_q4_k(const void *panel, int64_t from, int n, float *out)
{
    SUPER_OF(PanelQ4_K);
    EACH_VALUE
    {
        float d = f16_to_f32(p->d[j]) * p->scale[b][j], m = f16_to_f32(p->m[j]) * p->min[b][j];
        out[i * PANEL + j] = d * (float)nibble(&p->codes[b], j, i) - m;
    }
}

static void block_q5_k(const void *panel, int64_t from, int n, float *out)
{
    SUPER_OF(PanelQ5_K);
    EACH_VALUE
    {
        float d = f16_to_f32(p->d[j]) * p->scale[b][j], m = f16_to_f32(p->m[j]) * p->min[b][j];
        int q = nibble(&p->codes[b], j, i) | fifth(&p->high[b], j, i);
        out[i * PANEL + j] = d * (float)q - m;
    }
}

static void block_q6_k(const void *panel, int64_t from, int n, float *out)
{
    SUPER_OF(PanelQ6_K);
    EACH_VALUE
    {
        float d = f16_to_f32(p->d[j]) * p->scale[b * 2 + i / 16][j];
        uint32_t high = p->high[b][j / LANES][i / 16][j % LANES];
        int top = high >> (8 * byte_of(i) + quad_of(i) % 4 * 2) & 3;
        out[i * PANEL + j] = d * (float)((nibble(&p->codes[b], j, i) | top << 4) - 32);
    }
}

/* From these, by one loop each: whole panels, and products with one row. */

typedef void BlockFunction(const void *panel, int64_t from, int n, float *out);

static void unpack_by(BlockFunction *block, int64_t k, const void *panel, float *out)
{
    for (int64_t i = 0; i < k; i += BLOCK)
        block(panel, i, (int)MIN(BLOCK, k - i), out + i * PANEL);
}

static void gemv_by(BlockFunction *block, int64_t k, const float *x, const void *panel, float *out)
{
    float values[BLOCK * PANEL];
    memset(out, 0, PANEL * sizeof *out);
    for (int64_t i = 0; i < k; i += BLOCK) {
        int n = (int)MIN(BLOCK, k - i);
        block(panel, i, n, values);
        for (int l = 0; l < n; l++)
            for (int j = 0; j < PANEL; j++)
                out[j] += x[i + l] * values[l * PANEL + j];
    }
}

#define BY_BLOCKS(name)                                                                            \
    static void unpack_##name(int64_t k, const void *panel, float *out)                            \
    {                                                                                              \
        unpack_by(block_##name, k, panel, out);                                                    \
    }                                                                                              \
    static void gemv_##name(int64_t k, const GemvInput *in, const void *panel, float *out)         \
    {                                                                                              \
        gemv_by(block_##name, k, in->x, panel, out);                                               \
    }
BY_BLOCKS(f32)
BY_BLOCKS(f16)
BY_BLOCKS(bf16)
BY_BLOCKS(q8_0)
BY_BLOCKS(q4_0)
BY_BLOCKS(q4_1)
BY_BLOCKS(q5_0)
BY_BLOCKS(q5_1)
BY_BLOCKS(q4_k)
BY_BLOCKS(q5_k)
BY_BLOCKS(q6_k)

static void pack_rows(int rows, int64_t k, const float *src, int64_t stride, float *dst)
{
    for (int64_t i = 0; i < k; i++)
        for (int r = 0; r < rows; r++)
            dst[i * rows + r] = src[r * stride + i];
}

static void pack_rows_bf16(int rows, int64_t k, const float *src, int64_t stride, uint16_t *dst)
{
    for (int64_t i = 0; i < k + k % 2; i++)
        for (int r = 0; r < rows; r++)
            dst[(i / 2 * rows + r) * 2 + i % 2] = i < k ? f32_to_bf16(src[r * stride + i]) : 0;
}

static float activated(Activation kind, float x)
{
    switch (kind) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return x > 0 ? x : x != x ? x : 0;
    case ACT_TANH:
        return tanhf(x);
    case ACT_SIGMOID:
        return 1 / (1 + expf(-x));
    case ACT_SILU:
        return x / (1 + expf(-x));
    case ACT_GELU:
        return 0.5F * x * (1 + erff(x * 0.70710678F));
    case ACT_GELU_TANH:
        return 0.5F * x * (1 + tanhf(0.79788456F * (x + 0.044715F * x * x * x)));
    case ACT_GELU_QUICK:
        return x / (1 + expf(-1.702F * x));
    case ACT_COUNT:
        break;
    }
    CHECK(false);
}

static void finish(int rows, int columns, const float *products, const Epilogue *e, float *c,
                   int64_t stride)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++) {
            int64_t at = r * stride + j;
            float v =
                activated(e->activation, products[r * PANEL + j] + (e->bias ? e->bias[j] : 0));
            if (e->factor)
                v *= e->factor[at];
            if (e->addend)
                v += e->addend[at];
            c[at] = v;
        }
}

static void activate(Activation kind, int64_t n, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = activated(kind, x[i]);
}

static void add(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void sub(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

static void mul(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void scale(int64_t n, const float *x, float factor, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * factor;
}

static void softmax(int64_t n, const float *x, float *y)
{
    float most = x[0];
    for (int64_t i = 1; i < n; i++)
        most = MAX(most, x[i]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = expf(x[i] - most);
        sum += (double)y[i];
    }
    float inverse = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++)
        y[i] *= inverse;
}

static void rms_norm(int64_t n, const float *x, const float *weight, float eps, float *y)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float inverse = 1 / sqrtf((float)(sum / (double)n) + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * inverse * (weight ? weight[i] : 1);
}

static void layer_norm(int64_t n, const float *x, const float *weight, const float *bias, float eps,
                       float *y)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    float mean = (float)(sum / (double)n);
    for (int64_t i = 0; i < n; i++)
        squares += (double)(x[i] - mean) * (double)(x[i] - mean);
    float inverse = 1 / sqrtf((float)(squares / (double)n) + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * inverse * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
}

static void rope(int64_t pairs, bool neighbours, const float *x, const float *cos, const float *sin,
                 float *y)
{
    for (int64_t i = 0; i < pairs; i++) {
        int64_t first = neighbours ? 2 * i : i, second = neighbours ? 2 * i + 1 : i + pairs;
        float a = x[first], b = x[second];
        y[first] = a * cos[i] - b * sin[i];
        y[second] = b * cos[i] + a * sin[i];
    }
}

static float attend_row(int n, float *scores, float scale_by, KeyRange seen, float *max, float *sum)
{
    if (seen.from >= seen.to) {
        memset(scores, 0, (size_t)n * sizeof *scores);
        return 1;
    }
    float most = *max;
    for (int i = seen.from; i < seen.to; i++)
        most = MAX(most, scores[i] * scale_by);
    float factor = expf(*max - most), total = 0;
    for (int i = 0; i < n; i++) {
        scores[i] = i >= seen.from && i < seen.to ? expf(scores[i] * scale_by - most) : 0;
        total += scores[i];
    }
    *max = most;
    *sum = *sum * factor + total;
    return factor;
}

static void rescale_add(int64_t n, float *y, float factor, const float *x)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] * factor + x[i];
}

/* Twelve chains; what a portable build reaches. bf16 and int8 have no limit of their own here. */
static int64_t peak_f32(int64_t rounds)
{
    enum { CHAINS = 12, LANE = 4 };
    volatile float factor = 0.5F;
    float by = factor, sums[CHAINS * LANE] = {0};
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS * LANE; i++)
            sums[i] = sums[i] * by + by;
    factor = sums[rounds % (CHAINS * LANE)];
    return rounds * CHAINS * LANE * 2;
}

static void read_memory(size_t bytes, const void *memory)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < bytes / sizeof seen; i++)
        seen |= ((const uint64_t *)memory)[i];
    volatile uint64_t keep = seen;
    (void)keep;
}

#include "tensor/kernels_attend_plain.inc"
#include "tensor/kernels_conv_plain.inc"
#include "tensor/kernels_gradient_plain.inc"
#include "tensor/kernels_int8_plain.inc"
#include "tensor/kernels_train.inc"

#define BY_PACKING(function)                                                                       \
    {                                                                                              \
        [PACK_F32] = function##_f32, [PACK_F16] = function##_f16, [PACK_BF16] = function##_bf16,   \
        [PACK_Q8_0] = function##_q8_0, [PACK_Q4_0] = function##_q4_0,                              \
        [PACK_Q4_1] = function##_q4_1, [PACK_Q5_0] = function##_q5_0,                              \
        [PACK_Q5_1] = function##_q5_1, [PACK_Q4_K] = function##_q4_k,                              \
        [PACK_Q5_K] = function##_q5_k, [PACK_Q6_K] = function##_q6_k                               \
    }

const Kernels kernels_plain = {.name = "plain",
                               .needs = CPU_PLAIN,
                               .tile_rows = 4,
                               .tile_rows_bf16 = 4,
                               .tile_rows_int8 = 4,
                               .tile = tile,
                               .tile_bf16 = tile_bf16,
                               .gemm = gemm,
                               .gemm_bf16 = gemm_bf16,
                               .gemv = BY_PACKING(gemv),
                               .unpack = BY_PACKING(unpack),
                               .pack_rows = pack_rows,
                               .pack_rows_bf16 = pack_rows_bf16,
                               .peak_f32 = peak_f32,
                               .peak_bf16 = peak_f32,
                               .peak_int8 = peak_f32,
                               .read = read_memory,
                               .quantize = quantize,
                               .gemv_int8 = BY_PACKING(gemv_int8),
                               .pack_rows_int8 = pack_rows_int8,
                               .pack_panel_int8 = pack_panel_int8,
                               .gemm_int8 = gemm_int8,
                               .finish = finish,
                               .activate = activate,
                               .add = add,
                               .sub = sub,
                               .mul = mul,
                               .scale = scale,
                               .softmax = softmax,
                               .rms_norm = rms_norm,
                               .layer_norm = layer_norm,
                               .rope = rope,
                               .attend_row = attend_row,
                               .rescale_add = rescale_add,
                               ATTEND_KERNELS,
                               CONV_KERNELS,
                               TRAIN_KERNELS,
                               GRADIENT_KERNELS};
