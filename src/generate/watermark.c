/* watermark.c: the bias of a watermarked text's favoured tokens, bit for bit the reference's:
 * Kirchenbauer 2023, arXiv:2301.10226, with PyTorch's generator (MT19937, Matsumoto 1998) and its
 * shuffle, so that the same detector finds it. */
#include "generate/sample_internal.h"

#include <math.h>

enum { WORDS = 624, SHIFT = 397, TABLE = 1000003, TRIALS = 40 };

typedef struct Twister {
    uint32_t state[WORDS];
    size_t at;
} Twister;

struct Watermark {
    WatermarkParams params;
    int64_t vocab;
    size_t greens;  // favoured tokens
    int32_t *table; // [TABLE] of "selfhash": a fixed permutation
    int32_t *order; // [vocab]
    int32_t *best;  // [TRIALS] likeliest tokens
    Twister twister;
};

static void twister_seed(Twister *t, uint64_t seed)
{
    t->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < WORDS; i++)
        t->state[i] = 1812433253u * (t->state[i - 1] ^ t->state[i - 1] >> 30) + i;
    t->at = WORDS;
}

static void twister_refill(Twister *t)
{
    for (size_t i = 0; i < WORDS; i++) {
        uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % WORDS] & 0x7fffffffu);
        t->state[i] = t->state[(i + SHIFT) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->at = 0;
}

static uint32_t twister_next(Twister *t)
{
    if (t->at == WORDS)
        twister_refill(t);
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* The first `wanted` places of a random permutation of 0 to n-1. */
static void shuffle(Twister *t, int32_t *order, int64_t n, int64_t wanted)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (int64_t i = 0; i < MIN(n - 1, wanted); i++) {
        int64_t other = i + twister_next(t) % (n - i);
        int32_t swapped = order[i];
        order[i] = order[other];
        order[other] = swapped;
    }
}

Watermark *watermark_new(const WatermarkParams *p, int64_t vocab)
{
    Watermark *w = xcalloc(1, sizeof *w);
    w->params = *p;
    w->vocab = vocab;
    w->greens = (size_t)((double)vocab * p->greenlist_ratio);
    w->order = xcalloc((size_t)vocab, sizeof *w->order);
    w->best = xcalloc(TRIALS, sizeof *w->best);
    if (p->selfhash) {
        w->table = xcalloc(TABLE, sizeof *w->table);
        twister_seed(&w->twister, (uint64_t)p->hashing_key);
        shuffle(&w->twister, w->table, TABLE, TABLE);
    }
    return w;
}

void watermark_free(Watermark *w)
{
    if (!w)
        return;
    free(w->table);
    free(w->order);
    free(w->best);
    free(w);
}

/* The permutation whose first `greens` are favoured behind the latest tokens; `next`, if not
 * negative, counts as the very last. */
static void choose_greens(Watermark *w, const int32_t *ids, size_t n, int32_t next)
{
    const WatermarkParams *p = &w->params;
    size_t all = n + (next >= 0), from = all - MIN(all, (size_t)p->context_width);
    int64_t last = next >= 0 ? next : ids[n - 1];
    int64_t seed = p->hashing_key * last;
    if (p->selfhash) {
        seed = INT64_MAX;
        for (size_t i = from; i < all; i++) {
            int64_t id = i < n ? ids[i] : next;
            int64_t product =
                (int64_t)((uint64_t)p->hashing_key * (uint64_t)(w->table[id % TABLE] + 1) *
                          (uint64_t)(w->table[last % TABLE] + 1));
            seed = MIN(seed, product);
        }
    }
    // Python's remainder is never negative.
    uint64_t modulus = UINT64_MAX;
    twister_seed(&w->twister, seed < 0 ? modulus - (uint64_t)-seed % modulus : (uint64_t)seed);
    shuffle(&w->twister, w->order, w->vocab, (int64_t)w->greens);
}

/* The likeliest tokens, most likely first. */
static size_t find_best(Watermark *w, const float *scores)
{
    size_t n = 0;
    for (int64_t i = 0; i < w->vocab; i++) {
        if (n == TRIALS && !(scores[i] > scores[w->best[n - 1]]))
            continue;
        size_t at = n < TRIALS ? n++ : n - 1;
        for (; at > 0 && scores[i] > scores[w->best[at - 1]]; at--)
            w->best[at] = w->best[at - 1];
        w->best[at] = (int32_t)i;
    }
    return n;
}

static bool is_green(const Watermark *w, int32_t id)
{
    for (size_t i = 0; i < w->greens; i++)
        if (w->order[i] == id)
            return true;
    return false;
}

void watermark_apply(Watermark *w, float *scores, const int32_t *ids, size_t n)
{
    if (n < (size_t)w->params.context_width || n == 0)
        return;
    if (!w->params.selfhash) {
        choose_greens(w, ids, n, -1);
        for (size_t i = 0; i < w->greens; i++)
            scores[w->order[i]] += w->params.bias;
        return;
    }
    // Each of the likeliest is asked whether it would itself be among those it favours.
    size_t best = find_best(w, scores), found = 0;
    for (size_t i = 0; i < best; i++) {
        choose_greens(w, ids, n, w->best[i]);
        if (is_green(w, w->best[i]))
            w->best[found++] = w->best[i];
    }
    for (size_t i = 0; i < found; i++)
        scores[w->best[i]] += w->params.bias;
}
