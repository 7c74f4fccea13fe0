/* rate.c: a table of counters in sets of eight, as a processor's cache has them; see rate.h. */
#include "base/rate.h"

#include "base/clock.h"
#include "base/digest.h"

#include <pthread.h>

enum { WAYS = 8, LOCKS = 64 };

typedef struct Slot {
    uint64_t key;   // 0: empty
    uint32_t since; // second at which its window began
    uint32_t count;
} Slot;

struct RateTable {
    int64_t window_s;
    uint64_t seed;
    size_t sets;                  // a power of two, at least LOCKS
    pthread_mutex_t locks[LOCKS]; // each guards every LOCKS-th set
    Slot (*slots)[WAYS];
};

RateTable *rate_new(size_t keys, int64_t window_s)
{
    RateTable *t = xcalloc(1, sizeof *t);
    t->window_s = window_s;
    random_bytes(&t->seed, sizeof t->seed);
    t->sets = LOCKS;
    while (t->sets * WAYS < keys)
        t->sets *= 2;
    t->slots = xcalloc(t->sets, sizeof *t->slots);
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&t->locks[i], NULL);
    return t;
}

void rate_free(RateTable *t)
{
    if (!t)
        return;
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&t->locks[i]);
    free(t->slots);
    free(t);
}

/* Spreads the bits of a hash by a secret. Source: Stafford's variant 13 of MurmurHash3's finalizer.
 */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The key's own slot, or the one that gives way: an empty one, one whose window is over, or the one
 * that counted the least. */
static Slot *slot_of(RateTable *t, Slot set[WAYS], uint64_t key, uint32_t now)
{
    Slot *worst = set;
    int64_t least = INT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        bool over = !set[i].key || now - set[i].since >= t->window_s;
        int64_t worth = over ? -1 : (int64_t)set[i].count;
        if (worth < least) {
            least = worth;
            worst = &set[i];
        }
    }
    return worst;
}

Rate rate_count(RateTable *t, Str key, uint32_t n)
{
    uint64_t hash = mix(str_hash(key) ^ t->seed);
    hash += hash == 0;
    size_t set = hash & (t->sets - 1);
    uint32_t now = (uint32_t)(clock_ns() / NS_PER_S);
    Rate rate = {.left_s = t->window_s};
    pthread_mutex_lock(&t->locks[set % LOCKS]);
    Slot *slot = slot_of(t, t->slots[set], hash, now);
    bool known = slot->key == hash && now - slot->since < t->window_s;
    if (!known && n)
        *slot = (Slot){.key = hash, .since = now};
    if (known || n) {
        slot->count += MIN(n, UINT32_MAX - slot->count);
        rate.count = slot->count;
        rate.left_s = t->window_s - (now - slot->since);
    }
    pthread_mutex_unlock(&t->locks[set % LOCKS]);
    return rate;
}
