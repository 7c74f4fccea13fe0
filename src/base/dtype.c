/* dtype.c: one reader and one writer a type; see dtype.h. These are the truth that the fast kernels
 * in tensor/ are compared with, so they are plain, not quick. */
#include "base/dtype_internal.h"

#include <math.h>

static const DTypeInfo infos[DTYPE_COUNT] = {
#define X(code, name, block, bytes) [code] = {name, block, bytes},
    DTYPES(X)
#undef X
};

const DTypeInfo *dtype_info(DType type)
{
    CHECK((unsigned)type < DTYPE_COUNT);
    return &infos[type];
}

bool dtype_parse(Str name, DType *type)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (str_eq_nocase(name, str_of(infos[i].name))) {
            *type = (DType)i;
            return true;
        }
    return false;
}

bool dtype_size(DType type, int64_t n, size_t *size, Error *err)
{
    const DTypeInfo *info = dtype_info(type);
    if (n < 0 || n % info->block != 0)
        return fail(err, ERR_INVALID, "%lld values are not whole blocks of %d (%s)", (long long)n,
                    info->block, info->name);
    if (!size_mul((size_t)(n / info->block), (size_t)info->bytes, size))
        return fail(err, ERR_LIMIT, "%lld values of %s overflow", (long long)n, info->name);
    return true;
}

/* 1 sign, `exponent_bits`, the rest mantissa; E4M3 has no infinity and one NaN (OCP 8-bit floating
 * point specification, 2023). */
static float load_f8(uint8_t bits, int exponent_bits, bool infinities)
{
    int mantissa_bits = 7 - exponent_bits;
    int bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
    int mantissa = bits & ((1 << mantissa_bits) - 1);
    int top = (1 << exponent_bits) - 1;
    float value;
    if (exponent == top && infinities)
        value = mantissa ? NAN : INFINITY;
    else if (exponent == top && mantissa == (1 << mantissa_bits) - 1 && !infinities)
        value = NAN;
    else if (exponent == 0)
        value = ldexpf((float)mantissa, 1 - bias - mantissa_bits);
    else
        value = ldexpf((float)(mantissa | 1 << mantissa_bits), exponent - bias - mantissa_bits);
    return bits & 0x80 ? -value : value;
}

/* The 32-value blocks: f16 d [, f16 m] [, u32 fifth bits], then nibbles: the low ones are values 0
 * to 15, the high ones 16 to 31. */
static void load_nibble_block(const uint8_t *p, float *dst, bool has_min, bool five, int zero)
{
    float d = load_half(p);
    float m = has_min ? load_half(p + 2) : 0;
    p += has_min ? 4 : 2;
    uint32_t high = five ? load_u32(p) : 0;
    p += five ? 4 : 0;
    for (int i = 0; i < 16; i++) {
        int low_q = (p[i] & 15) | (int)(high >> i & 1) << 4;
        int high_q = p[i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        dst[i] = d * (float)(low_q - zero) + m;
        dst[i + 16] = d * (float)(high_q - zero) + m;
    }
}

/* The 12 bytes of Q4_K and Q5_K hold eight 6-bit scales and eight 6-bit minimums: the first four of
 * each in the low six bits, the last four split between low nibbles and the top two bits. */
static void load_k_scale(const uint8_t *p, int i, int *scale, int *min)
{
    if (i < 4) {
        *scale = p[i] & 63;
        *min = p[i + 4] & 63;
    } else {
        *scale = (p[i + 4] & 15) | (p[i - 4] >> 6) << 4;
        *min = p[i + 4] >> 4 | (p[i] >> 6) << 4;
    }
}

static void load_q45_k(const uint8_t *p, float *dst, bool five)
{
    float d = load_half(p), dmin = load_half(p + 2);
    const uint8_t *scales = p + 4, *high = p + 16, *low = p + (five ? 48 : 16);
    for (int i = 0; i < 8; i++) {
        int scale, min;
        load_k_scale(scales, i, &scale, &min);
        for (int j = 0; j < 32; j++) {
            int q = low[i / 2 * 32 + j] >> (i % 2 * 4) & 15;
            if (five)
                q |= (high[j] >> i & 1) << 4;
            dst[i * 32 + j] = d * (float)scale * (float)q - dmin * (float)min;
        }
    }
}

static void load_q6_k(const uint8_t *p, float *dst)
{
    const uint8_t *low = p, *high = p + 128;
    const int8_t *scales = (const int8_t *)p + 192;
    float d = load_half(p + 208);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, within = i % 128;
        int nibble = low[half * 64 + within % 64] >> (within / 64 * 4) & 15;
        int top = high[half * 32 + within % 32] >> (within / 32 * 2) & 3;
        dst[i] = d * (float)scales[i / 16] * (float)((nibble | top << 4) - 32);
    }
}

#define LOAD_EACH(ctype)                                                                           \
    for (int64_t i = 0; i < n; i++) {                                                              \
        ctype value;                                                                               \
        memcpy(&value, p + (size_t)i * sizeof value, sizeof value);                                \
        dst[i] = (float)value;                                                                     \
    }                                                                                              \
    break

#define LOAD_BLOCKS(type, call)                                                                    \
    for (int64_t b = 0; b < n / infos[type].block; b++, p += infos[type].bytes) {                  \
        float *out = dst + b * infos[type].block;                                                  \
        call;                                                                                      \
    }                                                                                              \
    break

void dtype_to_f32(DType type, const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    CHECK(n % dtype_info(type)->block == 0);
    switch (type) {
    case DTYPE_F32:
        if (n > 0)
            memcpy(dst, src, (size_t)n * sizeof *dst);
        break;
    case DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            dst[i] = load_half(p + 2 * i);
        break;
    case DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            dst[i] = bf16_to_f32(load_u16(p + 2 * i));
        break;
    case DTYPE_F64:
        LOAD_EACH(double);
    case DTYPE_I64:
        LOAD_EACH(int64_t);
    case DTYPE_I32:
        LOAD_EACH(int32_t);
    case DTYPE_I16:
        LOAD_EACH(int16_t);
    case DTYPE_I8:
        LOAD_EACH(int8_t);
    case DTYPE_U64:
        LOAD_EACH(uint64_t);
    case DTYPE_U32:
        LOAD_EACH(uint32_t);
    case DTYPE_U16:
        LOAD_EACH(uint16_t);
    case DTYPE_U8:
    case DTYPE_BOOL:
        LOAD_EACH(uint8_t);
    case DTYPE_F8_E4M3:
        for (int64_t i = 0; i < n; i++)
            dst[i] = load_f8(p[i], 4, false);
        break;
    case DTYPE_F8_E5M2:
        for (int64_t i = 0; i < n; i++)
            dst[i] = load_f8(p[i], 5, true);
        break;
    case DTYPE_Q4_0:
        LOAD_BLOCKS(DTYPE_Q4_0, load_nibble_block(p, out, false, false, 8));
    case DTYPE_Q4_1:
        LOAD_BLOCKS(DTYPE_Q4_1, load_nibble_block(p, out, true, false, 0));
    case DTYPE_Q5_0:
        LOAD_BLOCKS(DTYPE_Q5_0, load_nibble_block(p, out, false, true, 16));
    case DTYPE_Q5_1:
        LOAD_BLOCKS(DTYPE_Q5_1, load_nibble_block(p, out, true, true, 0));
    case DTYPE_Q8_0:
        LOAD_BLOCKS(DTYPE_Q8_0, float d = load_half(p);
                    for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)p[2 + i]);
    case DTYPE_Q4_K:
        LOAD_BLOCKS(DTYPE_Q4_K, load_q45_k(p, out, false));
    case DTYPE_Q5_K:
        LOAD_BLOCKS(DTYPE_Q5_K, load_q45_k(p, out, true));
    case DTYPE_Q6_K:
        LOAD_BLOCKS(DTYPE_Q6_K, load_q6_k(p, out));
    case DTYPE_Q2_K:
        LOAD_BLOCKS(DTYPE_Q2_K, load_q2_k(p, out));
    case DTYPE_Q3_K:
        LOAD_BLOCKS(DTYPE_Q3_K, load_q3_k(p, out));
    case DTYPE_IQ4_NL:
        LOAD_BLOCKS(DTYPE_IQ4_NL, load_iq4_nl(p, out));
    case DTYPE_IQ4_XS:
        LOAD_BLOCKS(DTYPE_IQ4_XS, load_iq4_xs(p, out));
    case DTYPE_MXFP4:
        LOAD_BLOCKS(DTYPE_MXFP4, load_mxfp4(p, out));
    case DTYPE_TQ1_0:
        LOAD_BLOCKS(DTYPE_TQ1_0, load_tq1_0(p, out));
    case DTYPE_TQ2_0:
        LOAD_BLOCKS(DTYPE_TQ2_0, load_tq2_0(p, out));
    case DTYPE_COUNT:
        CHECK(false);
    }
}

static int clamp(float value, int most)
{
    int q = (int)value;
    return q < 0 ? 0 : q > most ? most : q;
}

static void store_nibbles(uint8_t *p, const int *q, bool five)
{
    if (five) {
        uint32_t high = 0;
        for (int i = 0; i < 32; i++)
            high |= (uint32_t)(q[i] >> 4 & 1) << i;
        store_u16(p, (uint16_t)high);
        store_u16(p + 2, (uint16_t)(high >> 16));
        p += 4;
    }
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

/* Q4_0, Q5_0: the value of largest magnitude, sign kept, lands on the lowest code. */
static void store_symmetric(const float *x, uint8_t *p, int levels, bool five)
{
    float extreme = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > fabsf(extreme))
            extreme = x[i];
    float d = extreme / (float)(-levels / 2), inverse = d != 0 ? 1 / d : 0;
    int q[32];
    for (int i = 0; i < 32; i++)
        q[i] = clamp(x[i] * inverse + (float)(levels / 2) + 0.5f, levels - 1);
    store_u16(p, f32_to_f16(d));
    store_nibbles(p + 2, q, five);
}

/* Q4_1, Q5_1: from the smallest value to the largest. */
static void store_ranged(const float *x, uint8_t *p, int levels, bool five)
{
    float least = x[0], most = x[0];
    for (int i = 1; i < 32; i++) {
        least = MIN(least, x[i]);
        most = MAX(most, x[i]);
    }
    float d = (most - least) / (float)(levels - 1), inverse = d != 0 ? 1 / d : 0;
    int q[32];
    for (int i = 0; i < 32; i++)
        q[i] = clamp((x[i] - least) * inverse + 0.5f, levels - 1);
    store_u16(p, f32_to_f16(d));
    store_u16(p + 2, f32_to_f16(least));
    store_nibbles(p + 4, q, five);
}

static void store_q8_0(const float *x, uint8_t *p)
{
    float most = 0;
    for (int i = 0; i < 32; i++)
        most = MAX(most, fabsf(x[i]));
    float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    store_u16(p, f32_to_f16(d));
    for (int i = 0; i < 32; i++)
        p[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
}

bool dtype_from_f32(DType type, const float *src, void *dst, int64_t n, Error *err)
{
    uint8_t *p = dst;
    const DTypeInfo *info = dtype_info(type);
    CHECK(n % info->block == 0);
    if (type == DTYPE_F32) {
        if (n > 0)
            memcpy(dst, src, (size_t)n * sizeof *src);
        return true;
    }
    for (int64_t i = 0; i < n; i += info->block, src += info->block, p += info->bytes) {
        if (type == DTYPE_F16)
            store_u16(p, f32_to_f16(*src));
        else if (type == DTYPE_BF16)
            store_u16(p, f32_to_bf16(*src));
        else if (type == DTYPE_Q8_0)
            store_q8_0(src, p);
        else if (type == DTYPE_Q4_0)
            store_symmetric(src, p, 16, false);
        else if (type == DTYPE_Q5_0)
            store_symmetric(src, p, 32, true);
        else if (type == DTYPE_Q4_1)
            store_ranged(src, p, 16, false);
        else if (type == DTYPE_Q5_1)
            store_ranged(src, p, 32, true);
        else if (type == DTYPE_Q4_K || type == DTYPE_Q5_K)
            store_q45_k(src, p, type == DTYPE_Q5_K);
        else if (type == DTYPE_Q6_K)
            store_q6_k(src, p);
        else
            return fail(err, ERR_UNSUPPORTED, "no writer for values of type %s", info->name);
    }
    return true;
}
