/* kernels_avx512.c: the vector kernels on AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. */
#include "tensor/lanes_avx512.inc"

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
