/* cache.c: see cache.h. */
#include "hub/cache.h"

#include <pthread.h>

enum { SETS = 512, WAYS = 4 };

typedef struct Slot {
    Cached *thing;
    uint64_t used; // the cache's clock at its last use
} Slot;

struct Cache {
    pthread_mutex_t lock; // guards what follows
    Slot slots[SETS][WAYS];
    uint64_t clock;
    size_t bytes, max_bytes;
};

void cached_unref(void *object)
{
    Cached *thing = object;
    if (__atomic_sub_fetch(&thing->refs, 1, __ATOMIC_ACQ_REL) == 0)
        thing->free(thing);
}

Cache *cache_new(size_t max_bytes)
{
    Cache *c = xcalloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->max_bytes = max_bytes;
    return c;
}

static void slot_empty(Cache *c, Slot *slot)
{
    if (!slot->thing)
        return;
    c->bytes -= slot->thing->bytes;
    cached_unref(slot->thing);
    *slot = (Slot){0};
}

void cache_free(Cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SETS * WAYS; i++)
        slot_empty(c, &c->slots[i / WAYS][i % WAYS]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

Cached *cache_find(Cache *c, Str key)
{
    Slot *set = c->slots[str_hash(key) % SETS];
    Cached *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < WAYS && !found; i++)
        if (set[i].thing && str_eq(set[i].thing->key, key)) {
            found = set[i].thing;
            __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
            set[i].used = ++c->clock;
        }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static Slot *oldest(Cache *c)
{
    Slot *old = NULL;
    for (size_t i = 0; i < SETS * WAYS; i++) {
        Slot *slot = &c->slots[i / WAYS][i % WAYS];
        if (slot->thing && (!old || slot->used < old->used))
            old = slot;
    }
    return old;
}

void cache_add(Cache *c, Cached *thing)
{
    if (thing->bytes > c->max_bytes / 2)
        return;
    Slot *set = c->slots[str_hash(thing->key) % SETS];
    Slot *place = &set[0];
    pthread_mutex_lock(&c->lock);
    for (int i = 1; i < WAYS; i++)
        if (set[i].used < place->used)
            place = &set[i];
    // Two threads may have made the same thing: the second takes the first one's place.
    for (int i = 0; i < WAYS; i++)
        if (set[i].thing && str_eq(set[i].thing->key, thing->key))
            place = &set[i];
    slot_empty(c, place);
    __atomic_add_fetch(&thing->refs, 1, __ATOMIC_RELAXED);
    *place = (Slot){.thing = thing, .used = ++c->clock};
    c->bytes += thing->bytes;
    while (c->bytes > c->max_bytes)
        slot_empty(c, oldest(c));
    pthread_mutex_unlock(&c->lock);
}
