/* The kernel table: every loop that touches many numbers, by instruction set.
 *
 * A set is one struct of functions for one processor level; slots may be NULL. `kernels()` is the
 * table in force: for each slot the first function of the sets that the processor can run, fastest
 * set first, plain C last; plain C fills every slot and is the truth that tests hold the others to.
 * A second device is another such table with its own memory, not another executor.
 * Kernels know types and layouts, never tensors. */
#pragma once

#include "base/cpu.h"
#include "base/dtype.h"
#include "tensor/optimize.h"

/* Packed weights: panels of PANEL output rows, values of one input side by side (see pack.c). */
enum {
    PANEL = 32,
    BLOCK = 32,              // inputs a block of a quantised panel
    MAX_ROWS = 32,           // rows of a GEMM tile at most
    ATTEND_KEYS = 4 * PANEL, // keys that attention scores at once
};

/* How a panel lies in memory: one layout a group of stored types. */
#define PACKINGS(X)                                                                                \
    X(PACK_F32)                                                                                    \
    X(PACK_F16)                                                                                    \
    X(PACK_BF16)                                                                                   \
    X(PACK_Q8_0)                                                                                   \
    X(PACK_Q4_0)                                                                                   \
    X(PACK_Q4_1)                                                                                   \
    X(PACK_Q5_0)                                                                                   \
    X(PACK_Q5_1)                                                                                   \
    X(PACK_Q4_K)                                                                                   \
    X(PACK_Q5_K)                                                                                   \
    X(PACK_Q6_K)

typedef enum Packing {
#define X(code) code,
    PACKINGS(X)
#undef X
        PACK_COUNT
} Packing;

#define ACTIVATIONS(X)                                                                             \
    X(ACT_NONE)                                                                                    \
    X(ACT_RELU)                                                                                    \
    X(ACT_TANH)                                                                                    \
    X(ACT_SIGMOID)                                                                                 \
    X(ACT_SILU)                                                                                    \
    X(ACT_GELU)                                                                                    \
    X(ACT_GELU_TANH)                                                                               \
    X(ACT_GELU_QUICK)

typedef enum Activation {
#define X(code) code,
    ACTIVATIONS(X)
#undef X
        ACT_COUNT
} Activation;

/* What a linear layer does with its products before they are stored:
 * activate(product + bias) * factor + addend, each step if it is there. */
typedef struct Epilogue {
    const float *bias; // [columns]
    Activation activation;
    const float *factor, *addend; // like the output
} Epilogue;

/* Keys a row of attention may see in the current block of ATTEND_KEYS: [from, to). */
typedef struct KeyRange {
    int from, to;
} KeyRange;

/* A lane's rows of a block [n,PANEL]: [from, to). */
typedef struct LaneRanges {
    int32_t from[PANEL], to[PANEL];
} LaneRanges;

/* Where softmax over the rows that came so far stands, lane by lane; scores are in powers of two.
 */
typedef struct RunningSoftmax {
    float max[PANEL];    // -INFINITY before the first row that a lane sees
    float sum[PANEL];    // of 2^(score - max)
    float factor[PANEL]; // by which what was summed before the last block is multiplied
} RunningSoftmax;

/* What depthwise convolution reads: tap t of pixel p meets rows[t] + p * step, weighted by
 * weights[t]. In runs of `run` taps, if that is not 0, each meets what its neighbour meets a pixel
 * further; of `padded` runs the first tap of the first pixel and the last tap of the last one meet
 * nothing. Those have three taps and at least DEPTHWISE_PIXELS pixels. */
enum { DEPTHWISE_PIXELS = 8 };
typedef struct TapRows {
    int n, run;
    bool padded;
    int64_t step, channels;
    const float *const *rows, *const *weights;
} TapRows;

/* One row of activations in the forms that its products with packed weights read. */
typedef struct GemvInput {
    const float *x;     // [k]
    const float *sums;  // [k/16], of each 16
    const float *bytes; // [k], divided by 256^j for byte j of a quad (pack_internal.h)
    // For gemv_int8: x is about scale * code.
    const int8_t *codes;       // [k], each 32 with a scale of their own
    const int8_t *quads;       // [k], each 32 in the order of their quads
    const float *scales;       // [k/32]
    const float *rounded_sums; // [k/16] of scale * code, of each 16
} GemvInput;

/* Both factors of gemm_int8: by INT8_BLOCK inputs, the last block may be smaller, the scale of each
 * lane (row of a, column of b), the sum of its codes, and the codes, |code| <= 127, with zeros up
 * to a multiple of INT8_STEP. A value is about scale * code. In which order codes lie, and with
 * which zero, is each set's own affair. */
enum { INT8_BLOCK = 128, INT8_STEP = 64 };
static inline int64_t int8_bytes(int64_t k) // a lane
{
    enum { HEAD = sizeof(float) + sizeof(int32_t) };
    int64_t rest = k % INT8_BLOCK;
    return k / INT8_BLOCK * (HEAD + INT8_BLOCK) +
           (rest ? HEAD + (rest + INT8_STEP - 1) / INT8_STEP * INT8_STEP : 0);
}

typedef struct Kernels {
    const char *name;
    CpuLevel needs;
    // Rows that the tile functions like best, at most MAX_ROWS, by the type of the products.
    int tile_rows, tile_rows_bf16, tile_rows_int8;
    // Is the int8 form, where it is permitted, faster than the exact one?
    bool prefers_gemv_int8, prefers_gemm_int8;

    /* out [rows,PANEL] = a . b: a [k,rows], b a panel [k,PANEL]; rows <= tile_rows; rows of out lie
     * `stride` apart, a multiple of PANEL. */
    void (*tile)(int rows, int64_t k, const float *a, const float *b, float *out, int64_t stride);
    /* The same in bf16: a from pack_rows_bf16, b a PACK_BF16 panel; k even. Sums in f32. */
    void (*tile_bf16)(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      int64_t stride);
    /* out [PANEL] = x [k] . panel. */
    void (*gemv[PACK_COUNT])(int64_t k, const GemvInput *x, const void *panel, float *out);
    /* The panel's exact values as f32 [k,PANEL]. */
    void (*unpack[PACK_COUNT])(int64_t k, const void *panel, float *out);
    /* dst [k,rows] = the transpose of rows of src that lie `stride` apart. */
    void (*pack_rows)(int rows, int64_t k, const float *src, int64_t stride, float *dst);
    /* The same in bf16, rounded to nearest even, for tile_bf16 and gemm_bf16 of the same table:
     * plain C and AVX-512 want pairs [ceil(k/2),rows,2]. From every input that is a multiple of 32
     * on, what lies in dst is itself such a tile. */
    void (*pack_rows_bf16)(int rows, int64_t k, const float *src, int64_t stride, uint16_t *dst);
    /* The products of GEMM: out [rows,PANEL] = a . b as above, on top of what is there if `more`.
     * Meanwhile a line of 64 bytes a step (an input of f32, two of bf16) is fetched into the
     * second-level cache from `ahead` on, which may point past what exists. */
    void (*gemm)(int rows, int64_t k, const float *a, const float *b, float *out, bool more,
                 const char *ahead);
    void (*gemm_bf16)(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      bool more, const char *ahead);
    /* codes [k] and scales [k/BLOCK] of x: code = x / scale rounded to nearest even, scale = the
     * block's largest magnitude / 127. k whole blocks. */
    void (*quantize)(int64_t k, const float *x, int8_t *codes, float *scales);
    /* As gemv, of the rounded x; for quantised packings. */
    void (*gemv_int8[PACK_COUNT])(int64_t k, const GemvInput *x, const void *panel, float *out);
    /* The factors of gemm_int8: int8_bytes(k) a row of src, or a column of panel [k,PANEL]. */
    void (*pack_rows_int8)(int rows, int64_t k, const float *src, int64_t stride, void *dst);
    void (*pack_panel_int8)(int64_t k, const float *panel, void *dst);
    /* As gemm: sums in int32 within a block, in f32 from block to block; a step is four inputs. */
    void (*gemm_int8)(int rows, int64_t k, const void *a, const void *b, float *out, bool more,
                      const char *ahead);
    /* c [rows,columns] = what the epilogue makes of products [rows,PANEL], columns <= PANEL. Its
     * pointers are at column 0; rows of factor, addend and c lie `stride` apart. */
    void (*finish)(int rows, int columns, const float *products, const Epilogue *e, float *c,
                   int64_t stride);

    void (*activate)(Activation kind, int64_t n, const float *x, float *y);
    void (*add)(int64_t n, const float *a, const float *b, float *y);
    void (*sub)(int64_t n, const float *a, const float *b, float *y);
    void (*mul)(int64_t n, const float *a, const float *b, float *y);
    void (*scale)(int64_t n, const float *x, float factor, float *y);
    /* One row each. weight and bias may be NULL. */
    void (*softmax)(int64_t n, const float *x, float *y);
    void (*rms_norm)(int64_t n, const float *x, const float *weight, float eps, float *y);
    void (*layer_norm)(int64_t n, const float *x, const float *weight, const float *bias, float eps,
                       float *y);
    /* y = x turned: pairs (i, i + pairs), or (2i, 2i + 1); cos and sin [pairs]. In place is fine.
     */
    void (*rope)(int64_t pairs, bool neighbours, const float *x, const float *cos, const float *sin,
                 float *y);
    /* One row of running softmax: scores [n] become exp(score * scale - new maximum) where the
     * range says that they are seen, else 0 (others' values are never looked at); *max, -INFINITY
     * at first, and *sum go on. Returns the factor by which what was summed before is multiplied.
     */
    float (*attend_row)(int n, float *scores, float scale, KeyRange seen, float *max, float *sum);
    /* y = y * factor + x */
    void (*rescale_add)(int64_t n, float *y, float factor, const float *x);

    /* The machine's limits, for `hug bench kernels`: products that wait for nothing, `rounds` times
     * twelve instructions; returns the number of multiplications and additions. */
    int64_t (*peak_f32)(int64_t rounds);
    int64_t (*peak_bf16)(int64_t rounds);
    int64_t (*peak_int8)(int64_t rounds);
    /* Loads every byte of memory, whole KiB. */
    void (*read)(size_t bytes, const void *memory);

    /* dst [columns,rows] = the transpose of src [rows,columns]; rows lie stride apart, those of dst
     * dst_stride. */
    void (*transpose)(int64_t rows, int64_t columns, const float *src, int64_t stride, float *dst,
                      int64_t dst_stride);
    /* Attention with a query a lane (attend_dense.c). scores [n,PANEL] become 2^(score - new max);
     * nothing, or less than 2^-124, for rows that a lane does not see (seen NULL: all are seen) or
     * whose score is -INFINITY. */
    void (*attend_panel)(int n, float *scores, const LaneRanges *seen, RunningSoftmax *softmax);
    /* The same for a product in bf16: the weights go to a PACK_BF16 panel [ceil(n/2),PANEL,2], and
     * are exact to 2^-13 before they are rounded. What is left in scores is of no use. */
    void (*attend_pairs)(int n, float *scores, const LaneRanges *seen, RunningSoftmax *softmax,
                         uint16_t *pairs);
    /* Attention of a single query: out [rows] = x [n] . each row; y [n] += sum of factors [rows] *
     * rows. Rows lie `stride` apart. */
    void (*dot_rows)(int rows, int64_t n, const float *x, const float *src, int64_t stride,
                     float *out);
    void (*add_rows)(int rows, int64_t n, const float *factors, const float *src, int64_t stride,
                     float *y);
    /* y [rows,PANEL] = y * factor [PANEL] + x [rows,PANEL] */
    void (*rescale_panel)(int rows, float *y, const float *factor, const float *x);
    /* The panel [n,PANEL] as a PACK_BF16 panel [ceil(n/2),PANEL,2], rounded to nearest even. */
    void (*pair_rows)(int64_t n, const float *panel, uint16_t *pairs);
    /* out [pixels,channels] = bias (may be NULL) + the sum over taps of rows * weights. */
    void (*depthwise)(int pixels, const TapRows *taps, const float *bias, float *out);
    /* conv_winograd.c: the n channels of 4 x 4 pixels turned into coefficients [16][n], those of
     * one `stride` behind those of the other. */
    void (*winograd_in)(int64_t n, const float *const pixels[16], float *out, int64_t stride);
    /* Sums [16][rows,PANEL], a coefficient `stride` behind the other, back into pixels
     * [2][2 * rows,PANEL], whose two rows lie out_stride apart. */
    void (*winograd_out)(int rows, const float *sums, int64_t stride, float *out,
                         int64_t out_stride);
    /* y = activate(x * scale + shift), channel by channel. y may be x. */
    void (*affine)(int64_t n, const float *x, const float *scale, const float *shift,
                   Activation activation, float *y);
    /* y += (x - mean)^2; y += a * (x - mean), mean NULL: none; y += x * factor. */
    void (*add_squares)(int64_t n, const float *x, const float *mean, float *y);
    void (*add_products)(int64_t n, const float *a, const float *x, const float *mean, float *y);
    void (*add_scaled)(int64_t n, const float *x, float factor, float *y);
    /* The larger of each two. */
    void (*maximum)(int64_t n, const float *a, const float *b, float *y);
    /* The gradient's part: scores [n,PANEL] become weights 2^(score - lse), as above 0 where not
     * seen; slopes [n,PANEL], those of the weights, become those of the scores:
     * weight * (slope - delta). lse, delta [PANEL]. */
    void (*attend_slopes)(int n, float *scores, float *slopes, const LaneRanges *seen,
                          const float *lse, const float *delta);

    /* Training; see optimize.h. One update of n values by an optimizer that treats each alone; NULL
     * for the others. first and second are its states. */
    void (*update[OPTIMIZER_COUNT])(int64_t n, const OptimizerStep *s, const float *gradient,
                                    float *values, float *first, float *second);
    /* Of x^2, in double; the same to the last bit in every set. */
    double (*sum_squares)(int64_t n, const float *x);
    /* Training (gradient_run.c, gradient_linear.c, loss.c). dx may be dy where both are there. */
    /* dx = dy * activation'(x) */
    void (*activate_gradient)(Activation kind, int64_t n, const float *x, const float *dy,
                              float *dx);
    /* One row: dx = y * (dy - dy . y) */
    void (*softmax_gradient)(int64_t n, const float *y, const float *dy, float *dx);
    /* One row: dx = addend (may be NULL) + the gradient by x; dweight and dbias, if not NULL, are
     * added to. weight may be NULL. */
    void (*rms_norm_gradient)(int64_t n, const float *x, const float *weight, float eps,
                              const float *dy, const float *addend, float *dx, float *dweight);
    void (*layer_norm_gradient)(int64_t n, const float *x, const float *weight, float eps,
                                const float *dy, const float *addend, float *dx, float *dweight,
                                float *dbias);
    float (*log_sum_exp)(int64_t n, const float *x);
    /* y = exp(x - lse) * factor - less; y may be x. */
    void (*softmax_less)(int64_t n, const float *x, float lse, float factor, float less, float *y);
    /* y = x where a hash of seed and at + i is at least `least`, times factor; else 0. */
    void (*dropout)(int64_t n, const float *x, uint64_t seed, uint32_t at, uint32_t least,
                    float factor, float *y);
    /* dst [k,columns] = columns of src, whose k rows lie `stride` apart; at most PANEL. */
    void (*pack_columns)(int columns, int64_t k, const float *src, int64_t stride, float *dst);
    /* The same as pairs in bf16, rounded to nearest even: dst [ceil(k/2),columns,2]. */
    void (*pack_columns_bf16)(int columns, int64_t k, const float *src, int64_t stride,
                              uint16_t *dst);
    /* Columns of src as pack_rows_bf16 packs rows. */
    void (*pack_turned_bf16)(int columns, int64_t k, const float *src, int64_t stride,
                             uint16_t *dst);
} Kernels;

/* What chance gives to a value by its place: two rounds of a 32-bit integer hash, keyed by the
 * halves of the seed. No state, so that a recomputed value meets the same fate.
 * Source of the constants: Wellons 2018, "Prospecting for hash functions" (lowbias32). */
static inline __attribute__((always_inline)) uint32_t hash_once(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7FEB352DU;
    x = (x ^ x >> 15) * 0x846CA68BU;
    return x ^ x >> 16;
}
static inline __attribute__((always_inline)) uint32_t place_hash(uint64_t seed, uint32_t at)
{
    return hash_once(hash_once(at ^ (uint32_t)seed) + (uint32_t)(seed >> 32));
}

extern const Kernels kernels_plain;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512, kernels_avx512vnni, kernels_avx512bf16,
    kernels_amx;
#elif defined(__aarch64__)
extern const Kernels kernels_neon, kernels_neonbf16;
#endif

/* The table in force; chosen at the first call. */
const Kernels *kernels(void);
/* All sets, fastest first; ends with NULL. */
const Kernels *const *kernel_sets(void);
/* For tests: chooses again as if the processor had this level, or what it has if that is less.
 * Weights that were packed before stay readable: layouts do not depend on the level. */
void kernels_choose(CpuLevel level);
/* For tests: this set, and what it leaves from the sets of its level. */
void kernels_use(const Kernels *set);

/* The table for a level. */
Kernels kernels_of(CpuLevel level);

/* Bytes of one panel of k inputs. */
size_t packing_bytes(Packing packing, int64_t k);
