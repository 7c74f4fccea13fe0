/* What the files of dtype.h share. */
#pragma once

#include "base/dtype.h"

static inline uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t load_u32(const uint8_t *p)
{
    return load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}
static inline float load_half(const uint8_t *p)
{
    return f16_to_f32(load_u16(p));
}
static inline void store_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

/* One block of the types that few files have (dtype_rare.c). */
void load_q2_k(const uint8_t *p, float *dst);
void load_q3_k(const uint8_t *p, float *dst);
void load_iq4_nl(const uint8_t *p, float *dst);
void load_iq4_xs(const uint8_t *p, float *dst);
void load_mxfp4(const uint8_t *p, float *dst);
void load_tq1_0(const uint8_t *p, float *dst);
void load_tq2_0(const uint8_t *p, float *dst);

/* 256 values as one block (dtype_quantise.c). */
void store_q45_k(const float *x, uint8_t *p, bool five);
void store_q6_k(const float *x, uint8_t *p);
