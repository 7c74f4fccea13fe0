/* dtype_rare.c: reading the block types that few files have; see dtype.h. Source of the layouts:
 * the GGUF format's type list (ggml); MXFP4: the OCP microscaling specification, version 1.0. */
#include "base/dtype_internal.h"

#include <math.h>

/* Sixteen scales (low nibble) and minimums (high nibble), 2-bit codes, f16 d and dmin. */
void load_q2_k(const uint8_t *p, float *dst)
{
    const uint8_t *scales = p, *codes = p + 16;
    float d = load_half(p + 80), dmin = load_half(p + 82);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32, j = i % 32, scale = scales[i / 16];
        int q = codes[half * 32 + j] >> (2 * quarter) & 3;
        dst[i] = d * (float)(scale & 15) * (float)q - dmin * (float)(scale >> 4);
    }
}

/* The third bit of each code (set: do not subtract four), 2-bit codes, sixteen 6-bit scales, f16 d.
 * The low four bits of scale i are in byte i % 8, its top two in byte 8 + i % 4. */
void load_q3_k(const uint8_t *p, float *dst)
{
    const uint8_t *high = p, *codes = p + 32, *scales = p + 96;
    float d = load_half(p + 108);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32, j = i % 32, s = i / 16;
        int scale = (scales[s % 8] >> (s / 8 * 4) & 15) | (scales[8 + s % 4] >> (s / 4 * 2) & 3)
                                                              << 4;
        int q = codes[half * 32 + j] >> (2 * quarter) & 3;
        if (!(high[j] >> (half * 4 + quarter) & 1))
            q -= 4;
        dst[i] = d * (float)(scale - 32) * (float)q;
    }
}

/* Codes of four bits that stand for values which lie closer together around zero. */
static const int8_t uneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

static void load_table(const uint8_t *codes, const int8_t table[16], float d, float *dst)
{
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)table[codes[i] & 15];
        dst[i + 16] = d * (float)table[codes[i] >> 4];
    }
}

void load_iq4_nl(const uint8_t *p, float *dst)
{
    load_table(p + 2, uneven, load_half(p), dst);
}

/* f16 d, the top two bits of eight 6-bit scales, their low nibbles, codes. */
void load_iq4_xs(const uint8_t *p, float *dst)
{
    float d = load_half(p);
    int tops = load_u16(p + 2);
    for (int b = 0; b < 8; b++) {
        int scale = (p[4 + b / 2] >> (b % 2 * 4) & 15) | (tops >> (2 * b) & 3) << 4;
        load_table(p + 8 + 16 * b, uneven, d * (float)(scale - 32), dst + 32 * b);
    }
}

/* An exponent, then codes of one sign, two exponent and one mantissa bit; the table has their
 * doubles, to be whole. */
void load_mxfp4(const uint8_t *p, float *dst)
{
    static const int8_t doubles[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    load_table(p + 1, doubles, ldexpf(1, p[0] - 128), dst);
}

/* Digit n of a number in base three, which is stored as a fraction of 256. */
static float digit(uint8_t byte, int n)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    uint8_t shifted = (uint8_t)(byte * powers[n]);
    return (float)((shifted * 3 >> 8) - 1);
}

/* Minus one, zero or one times d; five to a byte, the last sixteen four to a byte. */
void load_tq1_0(const uint8_t *p, float *dst)
{
    float d = load_half(p + 52);
    for (int i = 0; i < 160; i++)
        dst[i] = d * digit(p[i % 32], i / 32);
    for (int i = 0; i < 80; i++)
        dst[160 + i] = d * digit(p[32 + i % 16], i / 16);
    for (int i = 0; i < 16; i++)
        dst[240 + i] = d * digit(p[48 + i % 4], i / 4);
}

void load_tq2_0(const uint8_t *p, float *dst)
{
    float d = load_half(p + 64);
    for (int i = 0; i < 256; i++)
        dst[i] = d * (float)((p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - 1);
}
