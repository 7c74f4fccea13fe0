/* dtype_quantise.c: writing K-quants: which scale, minimum and codes come closest to 256 values.
 *
 * A block of values has a small scale and minimum of its own, and these are multiples of one f16
 * for all 256. So a block is fitted twice: freely, to learn what scale it wants; and, when the
 * common f16 is known, among the few multiples near that. Both times codes and scale are found in
 * turns: codes by rounding for a guessed scale, then the scale by least squares for those codes;
 * several guesses, because rounding has many local optima. What is minimised is the squared error.
 * Source of the layouts: ggml; of the idea of fitting in turns: Lloyd 1982. */
#include "base/dtype_internal.h"

#include <math.h>

enum { SUPER = 256, GUESSES = 9 };

/* Rounded (halves upwards) and clipped. The offset makes the sum positive, where truncation is
 * rounding down; a call of rintf would cost more than all else here. */
static inline int nearest(float value, int least, int most)
{
    float from_least = value - (float)least + 0.5f;
    if (!(from_least > 0))
        return least;
    return from_least >= (float)(most - least) ? most : least + (int)from_least;
}

/* Codes from 0 to `levels` for value = scale * code - min; returns the squared error. */
static float code_ranged(const float *x, int n, float scale, float min, int levels, uint8_t *q)
{
    float inverse = scale != 0 ? 1 / scale : 0, error = 0;
    for (int i = 0; i < n; i++) {
        int code = nearest((x[i] + min) * inverse, 0, levels);
        float off = scale * (float)code - min - x[i];
        q[i] = (uint8_t)code;
        error += off * off;
    }
    return error;
}

/* The scale and minimum (not negative) that fit these codes best. */
static void fit_ranged(const float *x, int n, const uint8_t *q, float *scale, float *min)
{
    float sum_q = 0, sum_qq = 0, sum_x = 0, sum_xq = 0, count = (float)n;
    for (int i = 0; i < n; i++) {
        float code = q[i];
        sum_q += code;
        sum_qq += code * code;
        sum_x += x[i];
        sum_xq += x[i] * code;
    }
    float determinant = count * sum_qq - sum_q * sum_q;
    if (determinant <= 0)
        return; // all codes alike: any scale is as good
    *scale = (count * sum_xq - sum_q * sum_x) / determinant;
    *min = (sum_q * sum_xq - sum_qq * sum_x) / determinant;
    if (*min < 0) {
        *min = 0;
        *scale = sum_xq / sum_qq;
    }
}

/* Fits a block freely. */
static void search_ranged(const float *x, int n, int levels, float *scale, float *min)
{
    uint8_t q[32];
    float least = 0, most = x[0];
    for (int i = 0; i < n; i++) {
        least = MIN(least, x[i]);
        most = MAX(most, x[i]);
    }
    float best = INFINITY, range = most - least;
    *scale = 0;
    *min = -least;
    if (!(range > 0))
        return;
    for (int guess = 0; guess < GUESSES; guess++) {
        // From clipping the ends a little to leaving the last code unused.
        float s = range / ((float)levels + 0.25f * (float)(guess - GUESSES / 2)), m = -least;
        for (int turn = 0; turn < 2; turn++) {
            (void)code_ranged(x, n, s, m, levels, q);
            fit_ranged(x, n, q, &s, &m);
        }
        float error = code_ranged(x, n, s, m, levels, q);
        if (s > 0 && error < best) {
            best = error;
            *scale = s;
            *min = m;
        }
    }
}

/* The best codes with scale and minimum multiples (0 to 63) of d and dmin, tried around the wanted
 * ones. */
static void settle_ranged(const float *x, int levels, float d, float dmin, float scale, float min,
                          uint8_t multiples[2], uint8_t *q)
{
    uint8_t codes[32];
    float best = INFINITY;
    int wanted = d != 0 ? nearest(scale / d, 0, 63) : 0;
    for (int s = MAX(wanted - 1, 0); s <= MIN(wanted + 1, 63); s++) {
        // The minimum that suits this scale, from the mean of what is left.
        (void)code_ranged(x, 32, d * (float)s, min, levels, codes);
        float rest = 0;
        for (int i = 0; i < 32; i++)
            rest += d * (float)s * (float)codes[i] - x[i];
        int fit = dmin != 0 ? nearest(rest / 32 / dmin, 0, 63) : 0;
        for (int m = MAX(fit - 1, 0); m <= MIN(fit + 1, 63); m++) {
            float error = code_ranged(x, 32, d * (float)s, dmin * (float)m, levels, codes);
            if (error >= best)
                continue;
            best = error;
            multiples[0] = (uint8_t)s;
            multiples[1] = (uint8_t)m;
            memcpy(q, codes, 32);
        }
    }
}

/* The 12 bytes of eight 6-bit pairs; the reader in dtype.c explains them. */
static void store_k_scales(uint8_t *p, const uint8_t pairs[8][2])
{
    memset(p, 0, 12);
    for (int i = 0; i < 4; i++) {
        const uint8_t *low = pairs[i], *high = pairs[i + 4];
        p[i] = (uint8_t)(low[0] | (high[0] >> 4) << 6);
        p[i + 4] = (uint8_t)(low[1] | (high[1] >> 4) << 6);
        p[i + 8] = (uint8_t)((high[0] & 15) | (high[1] & 15) << 4);
    }
}

void store_q45_k(const float *x, uint8_t *p, bool five)
{
    int levels = five ? 31 : 15;
    float scales[8], mins[8], most_scale = 0, most_min = 0;
    for (int b = 0; b < 8; b++) {
        search_ranged(x + 32 * b, 32, levels, &scales[b], &mins[b]);
        most_scale = MAX(most_scale, scales[b]);
        most_min = MAX(most_min, mins[b]);
    }
    uint16_t d = f32_to_f16(most_scale / 63), dmin = f32_to_f16(most_min / 63);
    uint8_t pairs[8][2] = {0}, q[SUPER] = {0};
    for (int b = 0; b < 8; b++)
        settle_ranged(x + 32 * b, levels, f16_to_f32(d), f16_to_f32(dmin), scales[b], mins[b],
                      pairs[b], q + 32 * b);
    store_u16(p, d);
    store_u16(p + 2, dmin);
    store_k_scales(p + 4, pairs);
    uint8_t *high = p + 16, *low = p + (five ? 48 : 16);
    if (five)
        memset(high, 0, 32);
    for (int i = 0; i < SUPER; i++) {
        int b = i / 32, j = i % 32;
        if (five)
            high[j] |= (uint8_t)((q[i] >> 4) << b);
        uint8_t *byte = &low[b / 2 * 32 + j];
        *byte = (uint8_t)(b % 2 == 0 ? q[i] & 15 : *byte | (q[i] & 15) << 4);
    }
}

/* Q6_K: value = scale * code, codes from -32 to 31, sixteen values a scale. */

static float code_symmetric(const float *x, float scale, int8_t *q)
{
    float inverse = scale != 0 ? 1 / scale : 0, error = 0;
    for (int i = 0; i < 16; i++) {
        int code = nearest(x[i] * inverse, -32, 31);
        float off = scale * (float)code - x[i];
        q[i] = (int8_t)code;
        error += off * off;
    }
    return error;
}

static float search_symmetric(const float *x)
{
    int8_t q[16];
    float extreme = 0, best = INFINITY, scale = 0;
    for (int i = 0; i < 16; i++)
        if (fabsf(x[i]) > fabsf(extreme))
            extreme = x[i];
    if (extreme == 0)
        return 0;
    for (int guess = 0; guess < GUESSES; guess++) {
        // The value of largest magnitude, sign kept, lands on about the lowest code.
        float s = extreme / (-32 - 0.25f * (float)(guess - GUESSES / 2)), xq = 0, qq = 0;
        (void)code_symmetric(x, s, q);
        for (int i = 0; i < 16; i++) {
            xq += x[i] * (float)q[i];
            qq += (float)(q[i] * q[i]);
        }
        s = qq > 0 ? xq / qq : s;
        float error = code_symmetric(x, s, q);
        if (error < best) {
            best = error;
            scale = s;
        }
    }
    return scale;
}

void store_q6_k(const float *x, uint8_t *p)
{
    float scales[16], extreme = 0;
    for (int b = 0; b < 16; b++) {
        scales[b] = search_symmetric(x + 16 * b);
        if (fabsf(scales[b]) > fabsf(extreme))
            extreme = scales[b];
    }
    uint16_t half = f32_to_f16(extreme / -128);
    float d = f16_to_f32(half);
    memset(p, 0, 192);
    for (int b = 0; b < 16; b++) {
        int8_t q[16], codes[16];
        float best = INFINITY;
        int wanted = d != 0 ? nearest(scales[b] / d, -128, 127) : 0, chosen = 0;
        for (int s = MAX(wanted - 1, -128); s <= MIN(wanted + 1, 127); s++) {
            float error = code_symmetric(x + 16 * b, d * (float)s, codes);
            if (error >= best)
                continue;
            best = error;
            chosen = s;
            memcpy(q, codes, sizeof q);
        }
        p[192 + b] = (uint8_t)(int8_t)chosen;
        for (int j = 0; j < 16; j++) {
            int i = 16 * b + j, half_of = i / 128, within = i % 128, code = q[j] + 32;
            p[half_of * 64 + within % 64] |= (uint8_t)((code & 15) << (within / 64 * 4));
            p[128 + half_of * 32 + within % 32] |= (uint8_t)((code >> 4) << (within / 32 * 2));
        }
    }
    store_u16(p + 208, half);
}
