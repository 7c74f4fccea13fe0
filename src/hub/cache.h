/* A bounded table of counted, immutable things by key: what is dear to make and asked for often.
 *
 * What never changes under its key (a commit's snapshot, a blob's bytes) needs no invalidation,
 * only a bound. The table is made of small sets; a new thing takes the place of its set's least
 * recently used one, and the oldest of all go when together they pass the limit. Threads: a Cache
 * is shared by all; no I/O happens under its lock. */
#pragma once

#include "base/str.h"

/* The first member of what is cached. */
typedef struct Cached {
    int refs; // atomic; whoever made it has the first
    size_t bytes;
    Str key; // lives as long as the thing
    void (*free)(struct Cached *thing);
} Cached;

/* Takes a Cached *, as arena_defer wants it. */
void cached_unref(void *thing);

typedef struct Cache Cache;
Cache *cache_new(size_t max_bytes) __attribute__((returns_nonnull));
void cache_free(Cache *c);
/* A reference for the caller, or NULL. */
Cached *cache_find(Cache *c, Str key);
/* Keeps a reference of its own, unless the thing is too large. */
void cache_add(Cache *c, Cached *thing);
