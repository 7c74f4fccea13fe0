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

#include "tensor/kernels_gemm_int8.inc"

PEAK(peak_int8, Ints, 2 * 4 * LANE, Words a = {0}; Ints b = {0}, dot4(sum, a, b))

const Kernels kernels_avx512vnni = {.name = "avx512vnni",
                                    .needs = CPU_AVX512VNNI,
                                    INT8_KERNELS,
                                    GEMM_INT8_KERNELS,
                                    .peak_int8 = peak_int8};
