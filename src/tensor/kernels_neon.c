/* kernels_neon.c: the vector kernels on NEON: 4 lanes, 32 registers. Compiled twice, the second time
 * for processors with dot products of bytes and of bf16 (ARMv8.6). Run under an emulator only; its
 * speed is not measured. */
#include <arm_neon.h>
#include <stdint.h>

typedef float Vec __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint32_t Words __attribute__((vector_size(16)));
enum { LANE = 4, TILE_ROWS = 12 };

#define VECTOR_REGISTER "w"
#define splat(x) ((Vec)vdupq_n_f32(x))
#define madd(a, b, c) ((Vec)vfmaq_f32(c, a, b))
#define min2(a, b) ((Vec)vbslq_f32(vcltq_f32(a, b), a, b))
#define max2(a, b) ((Vec)vbslq_f32(vcgtq_f32(a, b), a, b))
#define lane_numbers() ((Ints){0, 1, 2, 3})
#define total(v) vaddvq_f32(v)
#define largest(v) vmaxvq_f32(v)
#define load_f16(p) ((Vec)vcvt_f32_f16(vld1_f16((const float16_t *)(const void *)(p))))

static inline Vec load_u8(const uint8_t *p)
{
    return (Vec){p[0], p[1], p[2], p[3]};
}

static inline Vec load_i8(const int8_t *p)
{
    return (Vec){p[0], p[1], p[2], p[3]};
}

static inline void store_codes(void *p, Ints v)
{
    int8x8_t bytes = vmovn_s16(vcombine_s16(vmovn_s32(v), vdup_n_s16(0)));
    vst1_lane_s32(p, vreinterpret_s32_s8(bytes), 0);
}

/* Codes and zeros are signed here: there is no instruction for two kinds. */
#define SIGNED_ZERO 0
#define dot4_signed(sums, a, b) dot4(sums, a, b)
#ifdef __ARM_FEATURE_DOTPROD
#define dot4(sums, a, b) ((Ints)vdotq_s32(sums, (int8x16_t)(a), (int8x16_t)(b)))
#else
static inline Ints dot4(Ints sums, Words a, Ints b)
{
    int8x16_t x = (int8x16_t)a, y = (int8x16_t)b;
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    int32x4_t high = vpaddlq_s16(vmull_high_s8(x, y));
    return sums + (Ints)vpaddq_s32(low, high);
}
#endif
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
#define dot_pairs(sums, a, b) ((Vec)vbfdotq_f32(sums, (bfloat16x8_t)(a), (bfloat16x8_t)(b)))
#endif

#include "tensor/kernels_vector.inc"

#include "tensor/kernels_attend.inc"
#include "tensor/kernels_conv.inc"
#include "tensor/kernels_int8.inc"
#include "tensor/kernels_train.inc"
#include "tensor/kernels_gradient.inc"

#ifdef __ARM_FEATURE_DOTPROD
enum { GROUP = 4, ZERO = 0 };
#include "tensor/kernels_pack_int8.inc"

#include "tensor/kernels_gemm_int8.inc"

PEAK(peak_int8, Ints, 2 * 4 * LANE, Words a = {0}; Ints b = {0}, dot4(sum, a, b))
PEAK(peak_bf16, Vec, 2 * 2 * LANE, Words half = {0}, dot_pairs(sum, half, half))

const Kernels kernels_neonbf16 = {.name = "neonbf16",
                                  .needs = CPU_NEONBF16,
                                  VECTOR_KERNELS,
                                  ATTEND_KERNELS,
                                  CONV_KERNELS,
                                  INT8_KERNELS,
                                  GEMM_INT8_KERNELS,
                                  TRAIN_KERNELS,
                                  GRADIENT_KERNELS,
                                  .peak_int8 = peak_int8,
                                  .peak_bf16 = peak_bf16};
#else
const Kernels kernels_neon = {.name = "neon",
                              .needs = CPU_NEON,
                              VECTOR_KERNELS,
                              ATTEND_KERNELS,
                              CONV_KERNELS,
                              INT8_KERNELS,
                              TRAIN_KERNELS,
                              GRADIENT_KERNELS};
#endif
