/* The body of blake3_avx512.c and blake3_avx2.c: LANES inputs at once, a vector of LANES words for
 * each word of the state. Expects LANES, TARGET (the attribute), EACH_LANE(F, s) (a list of F(s,
 * 0), F(s, 1), ...) and MANY (the function's name).
 *
 * Message words must lie one input a lane, while memory has one input after another: a square of
 * LANES inputs by LANES words is transposed by swapping halves, quarters, ... of pairs of rows. */
#include "blake3_internal.h"

typedef uint32_t Lanes __attribute__((vector_size(LANES * 4)));

#define LOW_HALF(s, j) ((j) & (s) ? LANES + (j) - (s) : (j))
#define HIGH_HALF(s, j) ((j) & (s) ? LANES + (j) : (j) + (s))
#define SWAP_HALVES(rows, i, s)                                                                    \
    do {                                                                                           \
        Lanes a_ = (rows)[i], b_ = (rows)[(i) + (s)];                                              \
        (rows)[i] = __builtin_shufflevector(a_, b_, EACH_LANE(LOW_HALF, s));                       \
        (rows)[(i) + (s)] = __builtin_shufflevector(a_, b_, EACH_LANE(HIGH_HALF, s));              \
    } while (0)

#define INLINE __attribute__((always_inline)) static inline

TARGET INLINE void transpose(Lanes rows[LANES])
{
#define STEP(s)                                                                                    \
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & (s))) SWAP_HALVES(rows, i, s)
    STEP(1);
    STEP(2);
    STEP(4);
#if LANES == 16
    STEP(8);
#endif
#undef STEP
}

TARGET INLINE Lanes rotate(Lanes x, int n)
{
    return (x >> n) | (x << (32 - n));
}

TARGET INLINE void mix(Lanes v[16], int a, int b, int c, int d, Lanes x, Lanes y)
{
    v[a] += v[b] + x;
    v[d] = rotate(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotate(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 7);
}

TARGET INLINE void load_block(const uint8_t *const *inputs, size_t offset, Lanes m[16])
{
    for (int half = 0; half < 16 / LANES; half++) {
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) memcpy(
            &m[half * LANES + i], inputs[i] + offset + half * (int)sizeof(Lanes), sizeof(Lanes));
        transpose(m + half * LANES);
    }
}

TARGET INLINE void compress(Lanes h[WORDS], const Lanes m[16], Lanes low, Lanes high,
                            uint32_t flags)
{
    Lanes v[16];
    for (int i = 0; i < 8; i++)
        v[i] = h[i];
    for (int i = 0; i < 4; i++)
        v[8 + i] = blake3_iv[i] - (Lanes){0};
    v[12] = low;
    v[13] = high;
    v[14] = BLOCK_SIZE - (Lanes){0};
    v[15] = flags - (Lanes){0};
    _Pragma("GCC unroll 7") for (int round = 0; round < ROUNDS; round++)
    {
        const uint8_t *s = blake3_schedule[round];
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++)
        h[i] = v[i] ^ v[8 + i];
}

TARGET void MANY(const Blake3Many *p)
{
    Lanes h[LANES < WORDS ? WORDS : LANES], low, high, m[16];
    for (int i = 0; i < WORDS; i++)
        h[i] = p->key[i] - (Lanes){0};
    for (int i = 0; i < LANES; i++) {
        low[i] = (uint32_t)(p->counter + p->step * (unsigned)i);
        high[i] = (uint32_t)((p->counter + p->step * (unsigned)i) >> 32);
    }
    for (size_t block = 0; block < p->blocks; block++) {
        uint32_t flags =
            p->flags | (block == 0 ? p->first : 0) | (block + 1 == p->blocks ? p->last : 0);
        load_block(p->inputs, block * BLOCK_SIZE, m);
        compress(h, m, low, high, flags);
    }
    for (int i = 0; i < LANES; i++)
        for (int w = 0; w < WORDS; w++)
            p->out[i][w] = h[w][i];
}
