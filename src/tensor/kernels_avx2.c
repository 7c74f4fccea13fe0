/* kernels_avx2.c: the vector kernels on AVX2 with FMA and F16C: 8 lanes, 16 registers. */
#include <immintrin.h>
#include <stdint.h>

typedef float Vec __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef uint32_t Words __attribute__((vector_size(32)));
enum { LANE = 8, TILE_ROWS = 6 };

#define VECTOR_REGISTER "x"
#define splat(x) _mm256_set1_ps(x)
#define madd(a, b, c) _mm256_fmadd_ps(a, b, c)
#define min2(a, b) _mm256_min_ps(a, b)
#define max2(a, b) _mm256_max_ps(a, b)
#define load_f16(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define load_u8(p)                                                                                 \
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define load_i8(p)                                                                                 \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define lane_numbers() ((Ints){0, 1, 2, 3, 4, 5, 6, 7})

#define lowest_lanes(n) ((__m256i)(lane_numbers() < (int32_t)(n)))
#define load_masked(p, n, fill)                                                                    \
    _mm256_blendv_ps(splat(fill), _mm256_maskload_ps(p, lowest_lanes(n)),                          \
                     _mm256_castsi256_ps(lowest_lanes(n)))
#define store_masked(p, v, n) _mm256_maskstore_ps(p, lowest_lanes(n), v)

static inline float total(Vec v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float largest(Vec v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

// Neighbours are summed in 16 bits: 2 * 127 * 127 is the most.
#define pairs_to_sums(sums, pairs)                                                                 \
    ((Ints)(sums) + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
#define dot4(sums, a, b) pairs_to_sums(sums, _mm256_maddubs_epi16((__m256i)(a), (__m256i)(b)))
#define dot4_signed(sums, a, b)                                                                    \
    pairs_to_sums(sums, _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)(a)),                        \
                                             _mm256_sign_epi8((__m256i)(b), (__m256i)(a))))
#define SIGNED_ZERO 0

/* The lowest byte of each lane. */
static inline void store_codes(void *p, Ints v)
{
    const __m256i lowest =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12,
                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i bytes = _mm256_shuffle_epi8((__m256i)v, lowest);
    _mm_storel_epi64(
        p, _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

#include "tensor/kernels_vector.inc"

#include "tensor/kernels_attend.inc"
#include "tensor/kernels_conv.inc"
#include "tensor/kernels_gradient.inc"
#include "tensor/kernels_int8.inc"
#include "tensor/kernels_train.inc"
#include "tensor/kernels_x86.inc"

const Kernels kernels_avx2 = {.name = "avx2",
                              .needs = CPU_AVX2,
                              VECTOR_KERNELS,
                              ATTEND_KERNELS,
                              CONV_KERNELS,
                              INT8_KERNELS,
                              TRAIN_KERNELS,
                              GRADIENT_KERNELS,
                              X86_KERNELS};
