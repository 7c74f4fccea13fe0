/* vocab.c: token strings to ids by open addressing, ids to strings by index.
 * A slot keeps 32 bits of the hash, so that a miss rarely reads a string. */
#include "text/tokenizer_internal.h"

static inline uint64_t load64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint64_t load32(const char *p)
{
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

static inline uint64_t mix(uint64_t h, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(h ^ word) * 0x9E3779B97F4A7C15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Reads overlap at the end instead of going byte by byte: tokens are short. */
uint32_t token_hash(Str s)
{
    const char *p = s.ptr;
    size_t n = s.len;
    uint64_t h = n * 0xD6E8FEB86659FD93u;
    if (n >= 8) {
        for (size_t i = 0; i + 8 <= n; i += 8)
            h = mix(h, load64(p + i));
        h = mix(h, load64(p + n - 8));
    } else if (n >= 4) {
        h = mix(h, load32(p) << 32 | load32(p + n - 4));
    } else if (n > 0) {
        h = mix(h, (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 |
                       (uint8_t)p[n - 1]);
    }
    return (uint32_t)(h ^ h >> 32);
}

void vocab_reserve(Vocab *v, int32_t id)
{
    CHECK(id >= 0 && id < MAX_TOKEN_ID);
    if (id >= v->cap) {
        int32_t cap = MAX(v->cap * 2, id + 256);
        v->texts = xrealloc(v->texts, (size_t)cap * sizeof *v->texts);
        v->keys = xrealloc(v->keys, (size_t)cap * sizeof *v->keys);
        v->flags = xrealloc(v->flags, (size_t)cap);
        v->cap = cap;
    }
    for (; v->n <= id; v->n++) {
        v->texts[v->n] = v->keys[v->n] = (Str){0};
        v->flags[v->n] = 0;
    }
}

static void slot_put(Vocab *v, uint32_t hash, int32_t id)
{
    uint32_t i = hash & v->mask;
    while (v->slots[i].id >= 0)
        i = (i + 1) & v->mask;
    v->slots[i] = (VocabSlot){hash, id};
}

static void grow(Vocab *v, uint32_t size)
{
    VocabSlot *old = v->slots;
    uint32_t n = old ? v->mask + 1 : 0;
    v->slots = xmalloc(size * sizeof *v->slots);
    v->mask = size - 1;
    for (uint32_t i = 0; i < size; i++)
        v->slots[i].id = -1;
    for (uint32_t i = 0; i < n; i++)
        if (old[i].id >= 0)
            slot_put(v, old[i].hash, old[i].id);
    free(old);
}

void vocab_expect(Vocab *v, size_t n)
{
    uint32_t size = 1024;
    while (size < MIN(n, MAX_TOKEN_ID) * 2)
        size *= 2;
    if (!v->slots || size > v->mask + 1)
        grow(v, size);
}

static inline VocabSlot *find_slot(const Vocab *v, Str key, uint32_t hash)
{
    if (!v->slots)
        return NULL;
    for (uint32_t i = hash & v->mask; v->slots[i].id >= 0; i = (i + 1) & v->mask) {
        int32_t id = v->slots[i].id;
        if (v->slots[i].hash == hash && v->keys[id].len == key.len &&
            memcmp(v->keys[id].ptr, key.ptr, key.len) == 0)
            return &v->slots[i];
    }
    return NULL;
}

int32_t vocab_find_hashed(const Vocab *v, Str key, uint32_t hash)
{
    const VocabSlot *slot = find_slot(v, key, hash);
    return slot ? slot->id : -1;
}

int32_t vocab_find(const Vocab *v, Str key)
{
    return key.len ? vocab_find_hashed(v, key, token_hash(key)) : -1;
}

void vocab_put(Vocab *v, int32_t id, Str text, Str key)
{
    vocab_reserve(v, id);
    v->texts[id] = text;
    v->keys[id] = key;
    v->flags[id] |= TOKEN_KNOWN;
    if (key.len == 0)
        return;
    uint32_t hash = token_hash(key);
    VocabSlot *known = find_slot(v, key, hash);
    if (known) {
        known->id = id; // the last of equal tokens is found
        return;
    }
    if (!v->slots || v->used >= v->mask / 2)
        grow(v, MAX((v->mask + 1) * 2, 1024));
    slot_put(v, hash, id);
    v->used++;
}

void vocab_spell(Vocab *v)
{
    for (uint32_t i = 0; v->slots && i <= v->mask; i++)
        v->slots[i].id = -1;
    v->used = 0;
    for (int32_t id = 0; id < v->n; id++)
        if (v->texts[id].ptr)
            vocab_put(v, id, v->texts[id], v->texts[id]);
}

void vocab_done(Vocab *v)
{
    free(v->texts);
    free(v->keys);
    free(v->flags);
    free(v->slots);
    *v = (Vocab){0};
}
