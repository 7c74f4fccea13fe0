/* Element types: their names, sizes, and the plain C truth of how each is read and written.
 *
 * Plain types hold one value each. Block types (GGUF's) pack `block` values into `bytes` bytes with
 * shared scales; a row is a whole number of blocks. All are little-endian.
 * Source of the block layouts: the GGUF format's type list (ggml). */
#pragma once

#include "base/str.h"

/* code, name (HF's spelling in lower case), values a block, bytes a block */
#define DTYPES(X)                                                                                  \
    X(DTYPE_F32, "f32", 1, 4)                                                                      \
    X(DTYPE_F16, "f16", 1, 2)                                                                      \
    X(DTYPE_BF16, "bf16", 1, 2)                                                                    \
    X(DTYPE_F64, "f64", 1, 8)                                                                      \
    X(DTYPE_I64, "i64", 1, 8)                                                                      \
    X(DTYPE_I32, "i32", 1, 4)                                                                      \
    X(DTYPE_I16, "i16", 1, 2)                                                                      \
    X(DTYPE_I8, "i8", 1, 1)                                                                        \
    X(DTYPE_U64, "u64", 1, 8)                                                                      \
    X(DTYPE_U32, "u32", 1, 4)                                                                      \
    X(DTYPE_U16, "u16", 1, 2)                                                                      \
    X(DTYPE_U8, "u8", 1, 1)                                                                        \
    X(DTYPE_BOOL, "bool", 1, 1)                                                                    \
    X(DTYPE_F8_E4M3, "f8_e4m3", 1, 1)                                                              \
    X(DTYPE_F8_E5M2, "f8_e5m2", 1, 1)                                                              \
    X(DTYPE_Q4_0, "q4_0", 32, 18)                                                                  \
    X(DTYPE_Q4_1, "q4_1", 32, 20)                                                                  \
    X(DTYPE_Q5_0, "q5_0", 32, 22)                                                                  \
    X(DTYPE_Q5_1, "q5_1", 32, 24)                                                                  \
    X(DTYPE_Q8_0, "q8_0", 32, 34)                                                                  \
    X(DTYPE_Q4_K, "q4_k", 256, 144)                                                                \
    X(DTYPE_Q5_K, "q5_k", 256, 176)                                                                \
    X(DTYPE_Q6_K, "q6_k", 256, 210)                                                                \
    X(DTYPE_Q2_K, "q2_k", 256, 84)                                                                 \
    X(DTYPE_Q3_K, "q3_k", 256, 110)                                                                \
    X(DTYPE_IQ4_NL, "iq4_nl", 32, 18)                                                              \
    X(DTYPE_IQ4_XS, "iq4_xs", 256, 136)                                                            \
    X(DTYPE_MXFP4, "mxfp4", 32, 17)                                                                \
    X(DTYPE_TQ1_0, "tq1_0", 256, 54)                                                               \
    X(DTYPE_TQ2_0, "tq2_0", 256, 66)

typedef enum DType {
#define X(code, name, block, bytes) code,
    DTYPES(X)
#undef X
        DTYPE_COUNT
} DType;

typedef struct DTypeInfo {
    const char *name;
    int block; // values a block
    int bytes; // bytes a block
} DTypeInfo;

const DTypeInfo *dtype_info(DType type);
static inline const char *dtype_name(DType type)
{
    return dtype_info(type)->name;
}
/* Any case; false if there is no such type. */
bool dtype_parse(Str name, DType *type);
/* Bytes of n values; n must be whole blocks, ERR_INVALID otherwise, ERR_LIMIT on overflow. */
bool dtype_size(DType type, int64_t n, size_t *size, Error *err);
static inline bool dtype_is_block(DType type)
{
    return dtype_info(type)->block > 1;
}

/* Reads n values as f32 (exact for types of at most 24 significant bits, else rounded to nearest).
 * n must be whole blocks. src needs no alignment. */
void dtype_to_f32(DType type, const void *src, float *dst, int64_t n);
/* Writes n f32 values: rounded to nearest even for floats, GGUF's rounding rules for Q8_0, Q4_0,
 * Q4_1, Q5_0 and Q5_1; for Q4_K, Q5_K and Q6_K a search for the least squared error, some hundred
 * times slower. ERR_UNSUPPORTED for types we do not write (integers, f8, the others). */
bool dtype_from_f32(DType type, const float *src, void *dst, int64_t n, Error *err);

static inline float f16_to_f32(uint16_t bits)
{
    _Float16 value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}
static inline uint16_t f32_to_f16(float value)
{
    _Float16 half = (_Float16)value;
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}
static inline float bf16_to_f32(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}
/* To nearest even; NaN stays a NaN. */
static inline uint16_t f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
