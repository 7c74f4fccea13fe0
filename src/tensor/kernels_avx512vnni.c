/* kernels_avx512vnni.c: products of bytes by AVX512_VNNI; all else is kernels_avx512.c's, whose
 * number of tile rows this must share.
 *
 * The instruction multiplies unsigned bytes with signed ones. In a product of many rows the panel's
 * codes are the unsigned ones, counted from -128, and sums begin at what that is too much. */
#include "tensor/lanes_avx512.inc"

#define dot4(sums, a, b) ((Ints)_mm512_dpbusd_epi32((__m512i)(sums), (__m512i)(a), (__m512i)(b)))
#define dot4_signed(sums, a, b) dot4(sums, (a) ^ 0x80808080U, b)
#define SIGNED_ZERO 128
#define store_codes(p, v)                                                                          \
    _mm_storeu_si128((__m128i *)(void *)(p), _mm512_cvtepi32_epi8((__m512i)(v)))

#include "tensor/kernels_lanes.inc"

#include "tensor/kernels_int8.inc"

enum { GROUP = 4, ZERO = 128 };
#include "tensor/kernels_pack_int8.inc"

INLINE void block_of(const int rows, int64_t n, const float *a, const float *b, float *out,
                     bool more, const char *ahead)
{
    const int32_t *a_sums = (const int32_t *)(const void *)(a + rows);
    const char *a_quads = (const char *)(a_sums + rows), *b_quads = (const char *)(b + 2 * PANEL);
    Ints sums[TILE_ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = (Ints)_mm512_set1_epi32(-ZERO * a_sums[r]);
    for (int64_t q = 0; q < n / 4; q++) {
        Words b0 = load_words(b_quads + q * PANEL * 4), b1 = load_words(b_quads + q * PANEL * 4 + 64);
        if (ahead)
            __builtin_prefetch(ahead + q * 64, 0, 2);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            int32_t word;
            memcpy(&word, a_quads + (q * rows + r) * 4, sizeof word);
            Ints x = (Ints)_mm512_set1_epi32(word);
            sums[r][0] = dot4(sums[r][0], b0, x);
            sums[r][1] = dot4(sums[r][1], b1, x);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            float *to = out + r * PANEL + j * LANE;
            Vec before = more ? load(to) : (Vec)splat(0);
            store(to, madd(to_floats(sums[r][j]), splat(a[r]) * load(b + j * LANE), before));
        }
}

static void gemm_int8(int rows, int64_t k, const void *a, const void *b, float *out, bool more,
                      const char *ahead)
{
    const char *at = a, *bt = b;
    for (int64_t i = 0; i < k; i += INT8_BLOCK) {
        int64_t n = block_codes(k - i), bytes = int8_bytes(n);
        const float *ab = (const float *)(const void *)at, *bb = (const float *)(const void *)bt;
        switch (rows) {
#define CASE(count)                                                                                \
    case count:                                                                                    \
        block_of(count, n, ab, bb, out, more || i > 0, ahead);                                     \
        break;
            CASE(1)
            CASE(2)
            CASE(3)
            CASE(4)
            CASE(5)
            CASE(6)
            CASE(7)
            CASE(8)
            CASE(9)
            CASE(10)
            CASE(11)
            CASE(12)
#undef CASE
        }
        at += bytes * rows;
        bt += bytes * PANEL;
        ahead = ahead ? ahead + n / 4 * 64 : NULL;
    }
}

PEAK(peak_int8, Ints, 2 * 4 * LANE, Words a = {0}; Ints b = {0}, dot4(sum, a, b))

const Kernels kernels_avx512vnni = {.name = "avx512vnni",
                                    .needs = CPU_AVX512VNNI,
                                    INT8_KERNELS,
                                    .tile_rows_int8 = TILE_ROWS,
                                    .prefers_gemm_int8 = true,
                                    .pack_rows_int8 = pack_rows_int8,
                                    .pack_panel_int8 = pack_panel_int8,
                                    .gemm_int8 = gemm_int8,
                                    .peak_int8 = peak_int8};
