/* kernels_avx512.c: the vector kernels on AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. */
#include <immintrin.h>
#include <stdint.h>

typedef float Vec __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
enum { LANE = 16, TILE_ROWS = 12 };

#define splat(x) _mm512_set1_ps(x)
#define madd(a, b, c) _mm512_fmadd_ps(a, b, c)
#define min2(a, b) _mm512_min_ps(a, b)
#define max2(a, b) _mm512_max_ps(a, b)
#define load_f16(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define load_u8(p)                                                                                 \
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define load_i8(p)                                                                                 \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define lane_numbers() ((Ints){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#define total(v) _mm512_reduce_add_ps(v)
#define largest(v) _mm512_reduce_max_ps(v)

#include "tensor/kernels_vector.inc"

#include "tensor/kernels_attend.inc"
#include "tensor/kernels_conv.inc"
#include "tensor/kernels_train.inc"
#include "tensor/kernels_gradient.inc"
#include "tensor/kernels_x86.inc"

const Kernels kernels_avx512 = {.name = "avx512",
                                .needs = CPU_AVX512,
                                VECTOR_KERNELS,
                                ATTEND_KERNELS,
                                CONV_KERNELS,
                                TRAIN_KERNELS,
                                GRADIENT_KERNELS,
                                X86_KERNELS};
