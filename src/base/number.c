/* number.c: numbers as text; see str.h. */
#include "base/str.h"

#include <math.h>

enum { MAX_DIGITS = 17 };

/* Digits without a point, the first of which counts 10^exponent. */
typedef struct Decimal {
    char digits[MAX_DIGITS + 8];
    int n, exponent;
} Decimal;

typedef unsigned __int128 Wide;

static Wide power_of_five(int k)
{
    Wide power = 1, square = 5;
    for (; k; k >>= 1, square *= square)
        power *= k & 1 ? square : 1;
    return power;
}

static const uint64_t POWER_OF_TWO = UINT64_C(1) << 52; // such an m

/* A decimal that is `off` away from m reads back as it if that is less than half the way to the
 * next double, which is `five` / 2, or just as much and m is even. Below a power of two the next
 * one is nearer. */
static bool reads_back(Wide off, Wide five, uint64_t m, bool is_above)
{
    off *= !is_above && m == POWER_OF_TWO ? 4 : 2;
    return off < five || (off == five && !(m & 1));
}

/* 1e-16 <= v < 1e15, exactly: v = m 2^e, so v 10^k = m 5^k / 2^-(e+k), and these fit 128 bits. The
 * least k whose rounded quotient reads back is the one; the first that is tried may be too small by
 * one, where log10 rounds up. */
static void common_digits(double v, Decimal *out)
{
    int e;
    uint64_t m = (uint64_t)ldexp(frexp(v, &e), 53);
    e -= 53;
    int k = MAX(14 - (int)floor(log10(v) + 1e-9), 0);
    Wide five = power_of_five(k);
    for (;; k++, five *= 5) {
        int shift = -(e + k);
        Wide exact = m * five, half = (Wide)1 << (shift - 1);
        Wide quotient = exact >> shift, rest = exact - (quotient << shift);
        bool up = rest > half || (rest == half && (quotient & 1));
        bool reads = reads_back(up ? (half << 1) - rest : rest, five, m, up);
        // The nearer one, below a power of two, may be too far where that above is not.
        if (!reads && m == POWER_OF_TWO)
            reads = reads_back((half << 1) - rest, five, m, up = true);
        if (!reads)
            continue;
        unsigned long long whole = (unsigned long long)quotient + up;
        out->n = snprintf(out->digits, sizeof out->digits, "%llu", whole);
        out->exponent = out->n - 1 - k;
        return;
    }
}

/* Any v > 0, by trying; Python has one digit less for some powers of two, where the nearest is not
 * the one that reads back. */
static void rare_digits(double v, Decimal *out)
{
    for (int n = 1; n <= MAX_DIGITS; n++) {
        char text[MAX_DIGITS + 10]; // d.ddde-05
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (n < MAX_DIGITS && strtod(text, NULL) != v)
            continue;
        out->digits[0] = text[0];
        memcpy(out->digits + 1, text + 2, (size_t)n - 1);
        out->n = n;
        out->exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
        return;
    }
}

static char *put(char *out, const char *text, int n)
{
    memcpy(out, text, (size_t)n);
    return out + n;
}

static char *put_zeros(char *out, int n)
{
    memset(out, '0', (size_t)n);
    return out + n;
}

void double_format(double v, char out[DOUBLE_TEXT])
{
    Decimal d;
    if (isnan(v) || isinf(v) || v == 0) {
        const char *word = isnan(v) ? "nan" : isinf(v) ? "inf" : "0.0";
        snprintf(out, DOUBLE_TEXT, "%s%s", signbit(v) && !isnan(v) ? "-" : "", word);
        return;
    }
    if (signbit(v))
        *out++ = '-';
    v = fabs(v);
    (v >= 1e-16 && v < 1e15 ? common_digits : rare_digits)(v, &d);
    while (d.n > 1 && d.digits[d.n - 1] == '0')
        d.n--;
    int whole = d.exponent + 1; // digits in front of the point
    if (d.exponent < -4 || d.exponent >= 16) {
        out = put(out, d.digits, 1);
        if (d.n > 1) {
            *out++ = '.';
            out = put(out, d.digits + 1, d.n - 1);
        }
        snprintf(out, 6, "e%+03d", d.exponent);
        return;
    }
    if (whole <= 0) {
        out = put_zeros(put(out, "0.", 2), -whole);
        out = put(out, d.digits, d.n);
    } else if (d.n > whole) {
        out = put(put(out, d.digits, whole), ".", 1);
        out = put(out, d.digits + whole, d.n - whole);
    } else {
        out = put_zeros(put(out, d.digits, d.n), whole - d.n);
        out = put(out, ".0", 2);
    }
    *out = 0;
}
