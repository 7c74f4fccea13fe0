/* prefixes.c: strings found by walking along a text; see tokenizer_internal.h. */
#include "text/tokenizer_internal.h"

/* Equal keys keep the order of their ids, so that the last comes last. */
static int compare(const void *a, const void *b)
{
    const PrefixEntry *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

void prefixes_build(Prefixes *p, PrefixEntry *entries, size_t n)
{
    qsort(entries, n, sizeof *entries, compare);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].key.len == 0 || (i + 1 < n && str_eq(entries[i].key, entries[i + 1].key)))
            continue;
        entries[kept++] = entries[i];
    }
    *p = (Prefixes){.entries = entries, .n = (uint32_t)kept};
    for (size_t i = 0; i < kept; i++)
        p->first[(uint8_t)entries[i].key.ptr[0] + 1]++;
    for (int b = 0; b < 256; b++)
        p->first[b + 1] += p->first[b];
}

/* The first entry in the range whose byte at `depth` is at least `byte`. */
static uint32_t lower_bound(const Prefixes *p, PrefixWalk walk, int byte)
{
    uint32_t low = walk.low, high = walk.high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        Str key = p->entries[middle].key;
        if (key.len <= walk.depth || (uint8_t)key.ptr[walk.depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool prefixes_step(const Prefixes *p, PrefixWalk *walk, uint8_t byte, int32_t *id)
{
    if (walk->depth == 0) {
        walk->low = p->first[byte];
        walk->high = p->first[byte + 1];
    } else {
        walk->low = lower_bound(p, *walk, byte);
        walk->high = lower_bound(p, *walk, byte + 1);
    }
    walk->depth++;
    *id = -1;
    if (walk->low >= walk->high)
        return false;
    const PrefixEntry *first = &p->entries[walk->low]; // the shortest sorts first
    if (first->key.len == walk->depth)
        *id = first->id;
    return true;
}
