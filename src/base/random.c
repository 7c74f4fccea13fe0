/* random.c: see random.h. */
#include "base/random.h"

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

Random random_of(uint64_t seed)
{
    // SplitMix64 spreads the seed, as the authors of xoshiro advise.
    Random r;
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        r.state[i] = z ^ z >> 31;
    }
    return r;
}

uint64_t random_next(Random *r)
{
    uint64_t *s = r->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double random_unit(Random *r)
{
    return (double)(random_next(r) >> 11) * 0x1p-53;
}

uint64_t random_below(Random *r, uint64_t n)
{
    // Draws past the last whole multiple of n are thrown away.
    uint64_t excess = (UINT64_MAX % n + 1) % n, x;
    do
        x = random_next(r);
    while (x > UINT64_MAX - excess);
    return x % n;
}
