/* map.c: open addressing with linear probing over a dense entry array; see map.h. */
#include "base/map.h"

void map_done(Map *m)
{
    free(m->entries);
    free(m->slots);
    *m = (Map){0};
}

static uint32_t *slot_of(const Map *m, Str key)
{
    for (size_t i = str_hash(key) & m->mask;; i = (i + 1) & m->mask) {
        uint32_t at = m->slots[i];
        if (at == 0 || str_eq(m->entries[at - 1].key, key))
            return &m->slots[i];
    }
}

void *map_find(const Map *m, Str key)
{
    uint32_t at = m->n ? *slot_of(m, key) : 0;
    return at ? m->entries[at - 1].value : NULL;
}

static void grow(Map *m)
{
    m->cap = m->cap ? m->cap * 2 : 16;
    CHECK(m->cap < UINT32_MAX / 2);
    m->entries = xrealloc(m->entries, m->cap * sizeof *m->entries);
    free(m->slots);
    m->mask = m->cap * 2 - 1;
    m->slots = xcalloc(m->mask + 1, sizeof *m->slots);
    for (size_t i = 0; i < m->n; i++)
        *slot_of(m, m->entries[i].key) = (uint32_t)i + 1;
}

bool map_put(Map *m, Str key, void *value)
{
    if (m->n == m->cap)
        grow(m);
    uint32_t *slot = slot_of(m, key);
    if (*slot) {
        m->entries[*slot - 1].value = value;
        return false;
    }
    m->entries[m->n++] = (MapEntry){.key = key, .value = value};
    *slot = (uint32_t)m->n;
    return true;
}
