/* Map: a hash table from borrowed strings to pointers, in insertion order.
 * Keys and values must outlive the map. Threads: readers may share it once nobody writes. */
#pragma once

#include "base/str.h"

typedef struct MapEntry {
    Str key;
    void *value;
} MapEntry;

typedef struct Map {
    MapEntry *entries; // in insertion order, `n` of them
    uint32_t *slots;   // entry index + 1, 0 is empty; `mask` + 1 slots
    size_t n, cap, mask;
} Map;

void map_done(Map *m);
/* The value, or NULL if absent. A zeroed Map is an empty one. */
void *map_find(const Map *m, Str key);
/* Adds the pair, or replaces the value of an equal key. True if the key is new. */
bool map_put(Map *m, Str key, void *value);
