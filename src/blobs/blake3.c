/* blake3.c: the tree of BLAKE3; see blake3.h.
 *
 * The input is cut into chunks of 1,024 bytes; each gives a chaining value of 8 words. Neighbours
 * are then joined two by two, level by level, an odd one moving up as it is, until two are left:
 * they make the root. This is the tree of the paper (left subtrees are full), and each level is
 * work that lanes can share. */
#include "blake3_internal.h"

const uint32_t blake3_iv[WORDS] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                   0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

// Each row is the one above, permuted by the paper's table 2.
const uint8_t blake3_schedule[ROUNDS][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

/* ---- One block ---- */

static uint32_t rotate(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
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

static void compress(uint32_t h[WORDS], const uint8_t *block, size_t size, uint64_t counter,
                     uint32_t flags)
{
    uint32_t m[16], v[16];
    memcpy(m, block, sizeof m); // little-endian, as every machine we build for
    memcpy(v, h, WORDS * sizeof *v);
    memcpy(v + 8, blake3_iv, 4 * sizeof *v);
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = (uint32_t)size;
    v[15] = flags;
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *s = blake3_schedule[round];
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]],
                m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < WORDS; i++)
        h[i] = v[i] ^ v[8 + i];
}

/* A whole or last chunk; root is ROOT when it is the only one. */
static void hash_chunk(const uint32_t key[WORDS], Str chunk, uint64_t counter, uint32_t flags,
                       uint32_t root, uint32_t out[WORDS])
{
    const uint8_t *p = (const uint8_t *)chunk.ptr;
    memcpy(out, key, WORDS * sizeof *out);
    flags |= CHUNK_START;
    size_t left = chunk.len;
    for (; left > BLOCK_SIZE; left -= BLOCK_SIZE, p += BLOCK_SIZE) {
        compress(out, p, BLOCK_SIZE, counter, flags);
        flags &= ~(uint32_t)CHUNK_START;
    }
    uint8_t last[BLOCK_SIZE] = {0};
    if (left)
        memcpy(last, p, left);
    compress(out, last, left, counter, flags | CHUNK_END | root);
}

/* ---- Many ---- */

static void many_plain(const Blake3Many *m)
{
    memcpy(m->out[0], m->key, WORDS * sizeof(uint32_t));
    for (size_t i = 0; i < m->blocks; i++)
        compress(m->out[0], m->inputs[0] + i * BLOCK_SIZE, BLOCK_SIZE, m->counter,
                 m->flags | (i == 0 ? m->first : 0) | (i + 1 == m->blocks ? m->last : 0));
}

typedef void Many(const Blake3Many *m);

static const struct {
    Blake3Way way;
    Many *many;
    const char *needs;
} ways[] = {
#if defined(__x86_64__)
    {{"avx512", 16}, blake3_many_avx512, "avx512"},
    {{"avx2", 8}, blake3_many_avx2, "avx2"},
#endif
    {{"plain", 1}, many_plain, ""},
};

static size_t first_way(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return 0;
    return __builtin_cpu_supports("avx2") ? 1 : 2;
#else
    return 0;
#endif
}

/* Hashes n inputs that lie `stride` apart. A rest that fills no vector is done with lanes that
 * repeat an input, unless it is so small that one by one is faster. */
static void hash_many(size_t way, const uint8_t *input, size_t stride, size_t n, Blake3Many m,
                      uint32_t (*out)[WORDS])
{
    const uint8_t *inputs[MAX_LANES];
    uint32_t room[MAX_LANES][WORDS];
    while (n > 0) {
        size_t lanes = ways[way].way.lanes;
        Many *many = n * 5 < lanes ? many_plain : ways[way].many;
        lanes = many == many_plain ? 1 : lanes;
        size_t now = MIN(n, lanes);
        for (size_t i = 0; i < lanes; i++)
            inputs[i] = input + (i < now ? i : 0) * stride;
        m.inputs = inputs;
        m.out = room;
        many(&m);
        memcpy(out, room, now * sizeof *out);
        out += now;
        input += now * stride;
        m.counter += m.step * now;
        n -= now;
    }
}

static void blake3_at(size_t way, const uint8_t *key, Str bytes, uint8_t out[BLAKE3_SIZE])
{
    enum { SMALL = 160 };
    uint32_t words[WORDS], small[SMALL][WORDS];
    uint32_t flags = key ? KEYED_HASH : 0;
    memcpy(words, key ? (const void *)key : blake3_iv, sizeof words);
    if (bytes.len <= CHUNK_SIZE) {
        uint32_t root[WORDS];
        hash_chunk(words, bytes, 0, flags, ROOT, root);
        memcpy(out, root, BLAKE3_SIZE);
        return;
    }
    size_t whole = bytes.len / CHUNK_SIZE, n = (bytes.len + CHUNK_SIZE - 1) / CHUNK_SIZE;
    AUTO(free) char *large = n > SMALL ? xmalloc(n * sizeof *small) : NULL;
    uint32_t(*values)[WORDS] = large ? (void *)large : small;
    hash_many(way, (const uint8_t *)bytes.ptr, CHUNK_SIZE, whole,
              (Blake3Many){.blocks = CHUNK_SIZE / BLOCK_SIZE,
                           .key = words,
                           .step = 1,
                           .flags = flags,
                           .first = CHUNK_START,
                           .last = CHUNK_END},
              values);
    if (n > whole)
        hash_chunk(words, str_slice(bytes, whole * CHUNK_SIZE, bytes.len), whole, flags, 0,
                   values[whole]);
    // In place: a pair is read before its result is written where the first pairs were.
    for (; n > 2; n = n / 2 + n % 2) {
        hash_many(way, (const uint8_t *)values, 2 * sizeof *values, n / 2,
                  (Blake3Many){.blocks = 1, .key = words, .flags = flags | PARENT}, values);
        if (n % 2)
            memmove(values[n / 2], values[n - 1], sizeof *values);
    }
    uint32_t root[WORDS];
    memcpy(root, words, sizeof root);
    compress(root, (const uint8_t *)values, BLOCK_SIZE, 0, flags | PARENT | ROOT);
    memcpy(out, root, BLAKE3_SIZE);
}

void blake3(const uint8_t *key, Str bytes, uint8_t out[BLAKE3_SIZE])
{
    blake3_at(first_way(), key, bytes, out);
}

const Blake3Way *blake3_ways(size_t *n)
{
    static Blake3Way known[COUNT(ways)];
    for (size_t i = 0; i < COUNT(ways); i++)
        known[i] = ways[i].way;
    *n = COUNT(ways) - first_way();
    return known + first_way();
}

void blake3_by(const Blake3Way *way, const uint8_t *key, Str bytes, uint8_t out[BLAKE3_SIZE])
{
    for (size_t i = 0; i < COUNT(ways); i++)
        if (ways[i].way.lanes == way->lanes)
            blake3_at(i, key, bytes, out);
}
