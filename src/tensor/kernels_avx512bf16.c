/* kernels_avx512bf16.c: products of bf16 pairs by AVX512_BF16; all else is kernels_avx512.c's,
 * whose number of tile rows this must share. */
#include "tensor/lanes_avx512.inc"

#include "tensor/kernels_lanes.inc"

static inline __attribute__((always_inline)) void tile_of(const int rows, int64_t k,
                                                          const uint16_t *a, const uint16_t *b,
                                                          float *out, int64_t stride,
                                                          const bool more, const char *ahead)
{
    __m512 sums[TILE_ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++)
            sums[r][j] = more ? _mm512_loadu_ps(out + r * stride + j * LANE) : _mm512_setzero_ps();
    for (int64_t i = 0; i < k / 2; i++) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b + i * 2 * PANEL);
        __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + i * 2 * PANEL + 2 * LANE);
        if (ahead)
            __builtin_prefetch(ahead + i * 64, 0, 2);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, a + (i * rows + r) * 2, sizeof pair);
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, b0);
            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, b1);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(out + r * stride, sums[r][0]);
        _mm512_storeu_ps(out + r * stride + LANE, sums[r][1]);
    }
}

/* The number of rows is a constant inside. */
#define EACH_CASE                                                                                  \
    switch (rows) {                                                                                \
        CASE(1)                                                                                    \
        CASE(2)                                                                                    \
        CASE(3)                                                                                    \
        CASE(4)                                                                                    \
        CASE(5)                                                                                    \
        CASE(6)                                                                                    \
        CASE(7)                                                                                    \
        CASE(8)                                                                                    \
        CASE(9)                                                                                    \
        CASE(10)                                                                                   \
        CASE(11)                                                                                   \
        CASE(12)                                                                                   \
    }
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        RUN(n);                                                                                    \
        break;

static void tile_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      int64_t stride)
{
#define RUN(n) tile_of(n, k, a, b, out, stride, false, NULL)
    EACH_CASE
#undef RUN
}

static void gemm_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      bool more, const char *ahead)
{
    if (more) {
#define RUN(n) tile_of(n, k, a, b, out, PANEL, true, ahead)
        EACH_CASE
#undef RUN
        return;
    }
#define RUN(n) tile_of(n, k, a, b, out, PANEL, false, ahead)
    EACH_CASE
#undef RUN
}

/* Four rows and sixteen inputs at a time: rounded, and their pairs turned in registers. Rows are
 * often pages apart, where the processor does not see by itself what comes next. */
static void pack_rows_bf16(int rows, int64_t k, const float *src, int64_t stride, uint16_t *dst)
{
    enum { ROWS = 4, QUARTER = LANE / 4 };
    for (int64_t i = 0; i < k; i += LANE) {
        int n = (int)MIN(LANE, k - i), pairs = (n + 1) / 2;
        __mmask16 there = (__mmask16)((1U << n) - 1);
        for (int r = 0; r < rows; r += ROWS) {
            int some = MIN(ROWS, rows - r);
            __m256i halves[ROWS] = {_mm256_setzero_si256()};
            for (int q = 0; q < some; q++) {
                __m512 x = _mm512_maskz_loadu_ps(there, src + (r + q) * stride + i);
                halves[q] = (__m256i)_mm512_cvtneps_pbh(x);
            }
            for (int p = 0; p < pairs; p += QUARTER) {
                __m128 words[ROWS];
                for (int q = 0; q < ROWS; q++)
                    words[q] = (__m128)(p ? _mm256_extracti128_si256(halves[q], 1)
                                          : _mm256_castsi256_si128(halves[q]));
                _MM_TRANSPOSE4_PS(words[0], words[1], words[2], words[3]);
                uint16_t *to = dst + ((i / 2 + p) * rows + r) * 2;
                for (int q = 0; q < MIN(QUARTER, pairs - p); q++)
                    _mm_mask_storeu_ps(to + 2 * q * rows, (__mmask8)((1U << some) - 1), words[q]);
            }
        }
    }
}

PEAK(peak_bf16, __m512, 2 * 2 * LANE, __m512bh half = (__m512bh)_mm512_set1_epi16(0x3F00),
     _mm512_dpbf16_ps(sum, half, half))

const Kernels kernels_avx512bf16 = {.name = "avx512bf16",
                                    .needs = CPU_AVX512BF16,
                                    .tile_rows_bf16 = TILE_ROWS,
                                    .tile_bf16 = tile_bf16,
                                    .gemm_bf16 = gemm_bf16,
                                    .peak_bf16 = peak_bf16,
                                    .pack_rows_bf16 = pack_rows_bf16};
