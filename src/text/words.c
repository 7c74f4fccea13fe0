/* words.c: from words to tokens, by memory where the word was seen before; see
 * tokenizer_internal.h for the two tables. */
#include "text/tokenizer_internal.h"

/* ---- Caches ---- */

WordCache *word_cache_take(const Tokenizer *t)
{
    IdleCaches *idle = t->idle;
    pthread_mutex_lock(&idle->lock);
    WordCache *cache = idle->first;
    if (cache)
        idle->first = cache->next;
    pthread_mutex_unlock(&idle->lock);
    if (cache)
        return cache;
    // Fresh pages of the system are zero and cost nothing until they are touched.
    cache = xcalloc(1, sizeof *cache);
    cache->shorts = xcalloc(SHORT_SLOTS, sizeof *cache->shorts);
    cache->longs = xcalloc(LONG_SLOTS, sizeof *cache->longs);
    buf_init(&cache->store, 0);
    return cache;
}

void word_cache_give(const Tokenizer *t, WordCache *cache)
{
    IdleCaches *idle = t->idle;
    pthread_mutex_lock(&idle->lock);
    cache->next = idle->first;
    idle->first = cache;
    pthread_mutex_unlock(&idle->lock);
}

void word_cache_free(WordCache *cache)
{
    while (cache) {
        WordCache *next = cache->next;
        for (size_t i = 0; i < COUNT(cache->rows); i++)
            free(cache->rows[i]);
        free(cache->shorts);
        free(cache->longs);
        buf_done(&cache->store);
        free(cache);
        cache = next;
    }
}

/* ---- Emitting ---- */

static inline void room_for(Encoding *e, size_t n)
{
    if (e->n + n > e->cap)
        encoding_reserve(e, e->n + n + 64);
}

void emit(Workspace *w, const Piece *p, int32_t id)
{
    Encoding *e = w->out;
    room_for(e, 1);
    e->ids[e->n] = id;
    if (w->spans)
        e->spans[e->n] = piece_span(p, w->original, 0, p->len);
    if (w->words)
        e->words[e->n] = (int32_t)w->word_n;
    w->word_n++;
    e->n++;
}

/* The tokens of the word that begins at `from` of p. */
static void emit_tokens(Workspace *w, const Piece *p, size_t from, const Token *tokens, size_t n)
{
    Encoding *e = w->out;
    room_for(e, n);
    for (size_t i = 0; i < n; i++)
        e->ids[e->n + i] = tokens[i].id;
    for (size_t i = 0; i < n && w->spans; i++)
        e->spans[e->n + i] = piece_span(p, w->original, from + tokens[i].from, from + tokens[i].to);
    for (size_t i = 0; i < n && w->words; i++)
        e->words[e->n + i] = (int32_t)w->word_n;
    w->word_n++;
    e->n += n;
}

static inline void emit_short(Workspace *w, const Piece *p, size_t from, const ShortWord *s)
{
    Encoding *e = w->out;
    room_for(e, 4);
    memcpy(e->ids + e->n, s->ids, sizeof s->ids); // all three: it is quicker than to ask
    if (w->spans || w->words) {
        for (size_t i = 0; i < s->n; i++) {
            if (w->spans)
                e->spans[e->n + i] = piece_span(p, w->original, from, from + s->lens[i]);
            if (w->words)
                e->words[e->n + i] = (int32_t)w->word_n;
            from += s->lens[i];
        }
    }
    w->word_n++;
    e->n += s->n;
}

/* ---- Short words ---- */

static inline size_t short_slot(const uint64_t key[2])
{
    unsigned __int128 product =
        (unsigned __int128)(key[0] ^ 0x9E3779B97F4A7C15u) * (key[1] ^ 0xD6E8FEB86659FD93u);
    uint64_t h = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (h ^ h >> 29) & (SHORT_SLOTS - 1);
}

/* Keeps the tokens if they fit and lie behind one another. */
static void remember_short(ShortWord *s, const uint64_t key[2], const Token *tokens, size_t n)
{
    if (n == 0 || n > COUNT(s->ids))
        return;
    uint32_t at = 0;
    for (size_t i = 0; i < n; at = tokens[i++].to)
        if (tokens[i].from != at || tokens[i].to < at || tokens[i].to > 15)
            return;
    *s = (ShortWord){.key = {key[0], key[1]}, .n = (uint8_t)n};
    for (size_t i = 0; i < n; i++) {
        s->ids[i] = tokens[i].id;
        s->lens[i] = (uint8_t)(tokens[i].to - tokens[i].from);
    }
}

/* ---- Long words ---- */

static uint64_t long_hash(Str word)
{
    uint64_t h = word.len * 0xD6E8FEB86659FD93u, part = 0;
    for (size_t i = 0; i < word.len; i += 8) {
        size_t n = MIN(word.len - i, 8);
        part = 0;
        memcpy(&part, word.ptr + i, n);
        unsigned __int128 product = (unsigned __int128)(h ^ part) * 0x9E3779B97F4A7C15u;
        h = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return h;
}

static const Token *find_long(const WordCache *c, Str word, uint64_t hash, size_t *n)
{
    const LongWord *l = &c->longs[hash % LONG_SLOTS];
    if (l->n == 0 || l->hash != hash || l->len != word.len ||
        memcmp(c->store.ptr + l->at, word.ptr, word.len) != 0)
        return NULL;
    *n = l->n;
    return (const Token *)(const void *)(c->store.ptr + l->at + (l->len + 3) / 4 * 4);
}

static void remember_long(WordCache *c, Str word, uint64_t hash, const Token *tokens, size_t n)
{
    if (n == 0)
        return;
    if (c->store.len > LONG_STORE) {
        buf_reset(&c->store);
        memset(c->longs, 0, LONG_SLOTS * sizeof *c->longs);
    }
    c->longs[hash % LONG_SLOTS] =
        (LongWord){hash, (uint32_t)c->store.len, (uint32_t)word.len, (uint32_t)n};
    buf_add(&c->store, word);
    buf_add_bytes(&c->store, "\0\0\0", -word.len & 3); // tokens lie on multiples of four
    buf_add_bytes(&c->store, tokens, n * sizeof *tokens);
}

/* ---- A word ---- */

static bool ask_model(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, Str word,
                      Error *err)
{
    w->tokens.n = 0;
    if (!t->model->encode(t, w, word, err))
        return false;
    emit_tokens(w, p, from, w->tokens.items, w->tokens.n);
    return true;
}

static bool encode_long(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                        Error *err)
{
    Str word = {p->text + from, to - from};
    if (word.len > MAX_LONG_WORD || t->forgets)
        return ask_model(t, w, p, from, word, err);
    uint64_t hash = long_hash(word);
    size_t n;
    const Token *known = find_long(w->cache, word, hash, &n);
    if (known) {
        emit_tokens(w, p, from, known, n);
        w->tokens.n = 0; // nothing to be remembered
        return true;
    }
    if (!ask_model(t, w, p, from, word, err))
        return false;
    remember_long(w->cache, word, hash, w->tokens.items, w->tokens.n);
    return true;
}

static bool encode_short(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                         const uint64_t key[2], Error *err)
{
    // What is short but has many tokens is with the long ones.
    if (!encode_long(t, w, p, from, to, err))
        return false;
    if (w->tokens.n)
        remember_short(&w->cache->shorts[short_slot(key)], key, w->tokens.items, w->tokens.n);
    return true;
}

/* The key of at most 15 bytes. Where it can, reads past the word, but not past its text. */
static inline void short_key(uint64_t key[2], const Piece *p, size_t from, size_t n)
{
    if (from + 16 <= p->len) {
        memcpy(key, p->text + from, 16);
    } else {
        key[0] = key[1] = 0;
        memcpy(key, p->text + from, n);
    }
    short_key_end(key, n);
}

bool encode_keyed(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                  const uint64_t key[2], Error *err)
{
    const ShortWord *s = &w->cache->shorts[short_slot(key)];
    if (s->key[0] == key[0] && s->key[1] == key[1]) {
        emit_short(w, p, from, s);
        return true;
    }
    return encode_short(t, w, p, from, to, key, err);
}

static inline bool word(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                        Error *err)
{
    if (to - from > 15 || t->forgets)
        return encode_long(t, w, p, from, to, err);
    uint64_t key[2];
    short_key(key, p, from, to - from);
    return encode_keyed(t, w, p, from, to, key, err);
}

bool encode_word(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                 Error *err)
{
    return word(t, w, p, from, to, err);
}

/* A table of some megabytes answers slowly, so it is asked for a batch of words before the first
 * answer is needed. */
enum { AHEAD = 16 };

typedef struct Ahead {
    size_t from;
    size_t slot; // SIZE_MAX: not a short word
    uint64_t key[2];
} Ahead;

static size_t look_ahead(const Tokenizer *t, const WordCache *c, const Piece *p, size_t *pos,
                         Ahead *words)
{
    size_t n = 0;
    for (; n < AHEAD && *pos < p->len; n++) {
        size_t end = t->fused(p->text, p->len, *pos);
        words[n] = (Ahead){.from = *pos, .slot = SIZE_MAX};
        if (end - *pos <= 15) {
            short_key(words[n].key, p, *pos, end - *pos);
            words[n].slot = short_slot(words[n].key);
            __builtin_prefetch(&c->shorts[words[n].slot]);
        }
        *pos = end;
    }
    return n;
}

bool encode_fused(const Tokenizer *t, Workspace *w, const Piece *p, Error *err)
{
    Ahead words[AHEAD + 1];
    for (size_t pos = 0; pos < p->len;) {
        size_t n = look_ahead(t, w->cache, p, &pos, words);
        words[n].from = pos;
        for (size_t i = 0; i < n; i++) {
            size_t from = words[i].from, to = words[i + 1].from;
            if (words[i].slot == SIZE_MAX || t->forgets) {
                if (!encode_long(t, w, p, from, to, err))
                    return false;
                continue;
            }
            const ShortWord *s = &w->cache->shorts[words[i].slot];
            if (s->key[0] == words[i].key[0] && s->key[1] == words[i].key[1])
                emit_short(w, p, from, s);
            else if (!encode_short(t, w, p, from, to, words[i].key, err))
                return false;
        }
    }
    return true;
}
