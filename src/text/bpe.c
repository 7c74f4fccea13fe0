/* bpe.c: byte-pair encoding. A word begins as one symbol a character (a byte, on the byte level);
 * then, again and again, the neighbours whose pair has the lowest rank are joined, leftmost first.
 *
 * Words that were seen before do not come here (words.c). Short words scan for the lowest rank;
 * long ones (a text that is not split into words is one) use a heap, which keeps the worst case at
 * n log n.
 *
 * Source: Sennrich 2016, arXiv:1508.07909; byte fallback and unknown symbols as in `tokenizers`. */
#include "text/tokenizer_internal.h"

#include "base/digest.h"

enum { SHORT_WORD = 48, NO_RANK = UINT32_MAX, FILTER_BITS = 1 << 22 };

typedef struct Merge {
    uint64_t pair; // left id << 32 | right id; all ones: an empty slot
    uint32_t rank;
    int32_t whole;
} Merge;

typedef struct Batch Batch;
static void batch_free(Batch *batch);

struct Bpe {
    Merge *slots;
    uint64_t mask;
    uint64_t *filter; // FILTER_BITS: a pair whose bit is not set is no merge
    size_t used;
    BpeOptions options;
    Batch *batch; // while loading
    int32_t unk;
    int32_t bytes[256];    // symbol of a byte, on the byte level
    int32_t fallback[256]; // id of "<0xAB>"
    bool can_fall_back;    // all 256 are there; else each word looks
    bool plain;            // no prefix and no suffix
};

static inline uint64_t pair_hash(uint64_t pair)
{
    uint64_t h = pair * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

/* Most pairs that are asked for are no merges: the filter, which stays in the cache where the table
 * does not, knows nearly all of them. */
static inline const Merge *merge_find(const Bpe *b, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right, hash = pair_hash(pair);
    if (!(b->filter[hash % FILTER_BITS / 64] >> hash % 64 & 1))
        return NULL;
    for (uint64_t i = hash & b->mask;; i = (i + 1) & b->mask) {
        if (b->slots[i].pair == pair)
            return &b->slots[i];
        if (b->slots[i].pair == UINT64_MAX)
            return NULL;
    }
}

static void slots_make(Bpe *b, size_t size)
{
    b->slots = xmalloc(size * sizeof *b->slots);
    memset(b->slots, 0xFF, size * sizeof *b->slots);
    b->mask = size - 1;
}

static void slot_put(Bpe *b, Merge m)
{
    uint64_t i = pair_hash(m.pair) & b->mask;
    while (b->slots[i].pair != UINT64_MAX && b->slots[i].pair != m.pair)
        i = (i + 1) & b->mask;
    b->used += b->slots[i].pair == UINT64_MAX;
    uint64_t hash = pair_hash(m.pair);
    b->filter[hash % FILTER_BITS / 64] |= (uint64_t)1 << hash % 64;
    b->slots[i] = m; // a pair that is listed twice takes its last rank, as in `tokenizers`
}

static void grow(Bpe *b)
{
    Merge *old = b->slots;
    size_t n = b->mask + 1;
    slots_make(b, n * 2);
    b->used = 0;
    for (size_t i = 0; i < n; i++)
        if (old[i].pair != UINT64_MAX)
            slot_put(b, old[i]);
    free(old);
}

void bpe_start(Tokenizer *t, const BpeOptions *options, size_t merges)
{
    Bpe *b = t->bpe = xcalloc(1, sizeof *b);
    b->options = *options;
    b->plain = options->prefix.len == 0 && options->suffix.len == 0;
    b->unk = vocab_find(&t->vocab, options->unk_token);
    size_t size = 1024;
    while (size < merges * 2)
        size *= 2;
    slots_make(b, size);
    b->filter = xcalloc(FILTER_BITS / 64, sizeof *b->filter);
    b->can_fall_back = true;
    for (int i = 0; i < 256; i++) {
        char byte = (char)i, code[8];
        snprintf(code, sizeof code, "<0x%02X>", i);
        b->bytes[i] = vocab_find(&t->vocab, (Str){&byte, 1});
        b->fallback[i] = vocab_find(&t->vocab, str_of(code));
        b->can_fall_back &= b->fallback[i] >= 0;
    }
    t->model = &model_bpe;
}

void bpe_free(Bpe *b)
{
    if (!b)
        return;
    free(b->slots);
    free(b->filter);
    batch_free(b->batch);
    free(b);
}

void bpe_merge_ids(Tokenizer *t, int32_t left, int32_t right, int32_t whole, uint32_t rank)
{
    Bpe *b = t->bpe;
    if (b->used * 2 > b->mask)
        grow(b);
    slot_put(b, (Merge){(uint64_t)(uint32_t)left << 32 | (uint32_t)right, rank, whole});
}

/* ---- Loading merges ----
 *
 * A merge is two random looks into tables of some megabytes, and there are hundreds of thousands.
 * So they wait in batches, and each step of a look-up is asked of the memory for the whole batch
 * before any of it is used. */

enum { BATCH = 32 };

typedef struct Waiting {
    size_t from, middle, to; // both halves in Bpe.halves
    uint32_t left_hash, right_hash, rank;
    int32_t left, right;
} Waiting;

struct Batch {
    Buf halves; // keys of the halves, one behind the other
    Waiting items[BATCH];
    size_t n;
    int32_t last_whole;
    int64_t bad; // the rank of the first merge that is not of the vocabulary; -1
};

/* Appends the key of a spelling: on the byte level its raw bytes. */
static bool add_key(const Tokenizer *t, Str spelling, Buf *out)
{
    if (t->byte_level)
        return bytes_of_spelling(spelling, out);
    buf_add(out, spelling);
    return true;
}

/* Merges mostly come in the order of the tokens they make: the last one's, or the next. */
static int32_t find_whole(const Tokenizer *t, Batch *batch, Str key)
{
    int32_t last = batch->last_whole;
    for (int32_t id = last; id <= last + 1 && id < t->vocab.n; id++)
        if (str_eq(t->vocab.keys[id], key))
            return batch->last_whole = id;
    int32_t id = vocab_find(&t->vocab, key);
    batch->last_whole = MAX(id, 0);
    return id;
}

static Str half(const Batch *batch, size_t from, size_t to)
{
    return (Str){batch->halves.ptr + from, to - from};
}

static void finish_one(Tokenizer *t, Batch *batch, const Waiting *w)
{
    size_t prefix = t->bpe->options.prefix.len;
    int32_t whole = -1;
    if (w->left >= 0 && w->right >= 0 && w->to - w->middle >= prefix) {
        if (prefix) // "un" + "##do" is "undo"
            memmove(batch->halves.ptr + w->middle, batch->halves.ptr + w->middle + prefix,
                    w->to - w->middle - prefix);
        whole = find_whole(t, batch, half(batch, w->from, w->to - prefix));
    }
    if (whole >= 0)
        bpe_merge_ids(t, w->left, w->right, whole, w->rank);
    else if (batch->bad < 0)
        batch->bad = w->rank;
}

static void flush(Tokenizer *t, Batch *batch)
{
    const Vocab *v = &t->vocab;
    for (size_t i = 0; i < batch->n; i++) {
        vocab_warm_key(v, batch->items[i].left_hash);
        vocab_warm_key(v, batch->items[i].right_hash);
    }
    for (size_t i = 0; i < batch->n; i++) {
        vocab_warm_text(v, batch->items[i].left_hash);
        vocab_warm_text(v, batch->items[i].right_hash);
    }
    for (size_t i = 0; i < batch->n; i++) {
        Waiting *w = &batch->items[i];
        w->left = vocab_find_hashed(v, half(batch, w->from, w->middle), w->left_hash);
        w->right = vocab_find_hashed(v, half(batch, w->middle, w->to), w->right_hash);
        uint64_t pair = (uint64_t)(uint32_t)w->left << 32 | (uint32_t)w->right;
        __builtin_prefetch(&t->bpe->slots[pair_hash(pair) & t->bpe->mask], 1);
    }
    for (size_t i = 0; i < batch->n; i++)
        finish_one(t, batch, &batch->items[i]);
    batch->n = 0;
    buf_reset(&batch->halves);
}

void bpe_merge(Tokenizer *t, Str left, Str right, uint32_t rank)
{
    Batch *batch = t->bpe->batch;
    if (!batch) {
        batch = t->bpe->batch = xcalloc(1, sizeof *batch);
        buf_init(&batch->halves, 0);
        batch->bad = -1;
    }
    Waiting *w = &batch->items[batch->n];
    *w = (Waiting){.from = batch->halves.len, .rank = rank};
    bool spelled = add_key(t, left, &batch->halves);
    w->middle = batch->halves.len;
    spelled = add_key(t, right, &batch->halves) && spelled;
    w->to = batch->halves.len;
    if (!spelled || w->middle == w->from || w->to == w->middle) {
        batch->bad = batch->bad < 0 ? rank : batch->bad;
        return;
    }
    w->left_hash = token_hash(half(batch, w->from, w->middle));
    w->right_hash = token_hash(half(batch, w->middle, w->to));
    vocab_warm_slot(&t->vocab, w->left_hash);
    vocab_warm_slot(&t->vocab, w->right_hash);
    if (++batch->n == BATCH)
        flush(t, batch);
}

static void batch_free(Batch *batch)
{
    if (batch)
        buf_done(&batch->halves);
    free(batch);
}

bool bpe_finish(Tokenizer *t, const char *field, Error *err)
{
    Batch *batch = t->bpe->batch;
    if (!batch)
        return true;
    flush(t, batch);
    int64_t bad = batch->bad;
    batch_free(batch);
    t->bpe->batch = NULL;
    if (bad >= 0)
        return fail(err, ERR_INVALID, "%s: merge %lld is not of the vocabulary", field,
                    (long long)bad);
    return true;
}

/* ---- Encoding ---- */

static void push_symbol(Workspace *w, size_t *n, int32_t id, size_t len)
{
    if (*n == w->symbols_cap) {
        w->symbols_cap = w->symbols_cap ? w->symbols_cap * 2 : 128;
        w->symbols = xrealloc(w->symbols, w->symbols_cap * sizeof *w->symbols);
    }
    w->symbols[(*n)++] = (Symbol){.id = id, .len = (uint32_t)len};
}

static int32_t symbol_id(const Tokenizer *t, Workspace *w, Str unit, bool first, bool last)
{
    const Bpe *b = t->bpe;
    if (b->plain)
        return t->byte_level ? b->bytes[(uint8_t)unit.ptr[0]] : vocab_find(&t->vocab, unit);
    buf_reset(&w->word);
    if (!first)
        buf_add(&w->word, b->options.prefix);
    buf_add(&w->word, unit);
    if (last)
        buf_add(&w->word, b->options.suffix);
    return vocab_find(&t->vocab, buf_str(&w->word));
}

static bool fall_back(const Bpe *b, Workspace *w, size_t *n, Str unit)
{
    for (size_t i = 0; i < unit.len && !b->can_fall_back; i++)
        if (b->fallback[(uint8_t)unit.ptr[i]] < 0)
            return false;
    for (size_t i = 0; i < unit.len; i++)
        push_symbol(w, n, b->fallback[(uint8_t)unit.ptr[i]], 1);
    return true;
}

/* Puts the word's symbols into w->symbols. What the vocabulary lacks becomes bytes, else the
 * unknown token, else nothing. */
static bool first_symbols(const Tokenizer *t, Workspace *w, Str word, size_t *n, Error *err)
{
    const Bpe *b = t->bpe;
    size_t unknown = 0; // bytes of an unknown symbol that waits: more may be fused to it
    *n = 0;
    for (size_t pos = 0; pos < word.len;) {
        size_t size = t->byte_level ? 1 : char_size(word.ptr[pos]);
        Str unit = str_slice(word, pos, pos + size);
        int32_t id = symbol_id(t, w, unit, pos == 0, pos + size == word.len);
        pos += size;
        if (id >= 0) {
            if (unknown)
                push_symbol(w, n, b->unk, unknown);
            unknown = 0;
            push_symbol(w, n, id, size);
        } else if (b->options.byte_fallback && fall_back(b, w, n, unit)) {
            continue;
        } else if (b->options.unk_token.len) {
            if (b->unk < 0)
                return fail(err, ERR_INVALID, "unk_token '%.*s' is not in the vocabulary",
                            STR(b->options.unk_token));
            if (unknown && !b->options.fuse_unk) {
                push_symbol(w, n, b->unk, unknown);
                unknown = 0;
            }
            unknown += size;
        }
    }
    if (unknown)
        push_symbol(w, n, b->unk, unknown);
    return true;
}

static inline uint32_t pair_rank(const Bpe *b, int32_t left, int32_t right, int32_t *whole)
{
    const Merge *m = merge_find(b, left, right);
    if (!m)
        return NO_RANK;
    *whole = m->whole;
    return m->rank;
}

/* Joins in place; returns how many symbols are left. */
static size_t merge_short(const Bpe *b, Symbol *symbols, size_t n)
{
    uint32_t ranks[SHORT_WORD];
    int32_t wholes[SHORT_WORD];
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = pair_rank(b, symbols[i].id, symbols[i + 1].id, &wholes[i]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == NO_RANK)
            break;
        symbols[best].id = wholes[best];
        symbols[best].len += symbols[best + 1].len;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            ranks[i - 1] = ranks[i];
            wholes[i - 1] = wholes[i];
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++)
            ranks[i] = pair_rank(b, symbols[i].id, symbols[i + 1].id, &wholes[i]);
    }
    return n;
}

static void heap_push(Workspace *w, uint64_t item)
{
    if (w->heap_n == w->heap_cap) {
        w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 256;
        w->heap = xrealloc(w->heap, w->heap_cap * sizeof *w->heap);
    }
    size_t i = w->heap_n++;
    for (; i > 0 && w->heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = item;
}

static uint64_t heap_pop(Workspace *w)
{
    uint64_t top = w->heap[0], item = w->heap[--w->heap_n];
    size_t i = 0;
    for (size_t child; (child = i * 2 + 1) < w->heap_n; i = child) {
        child += child + 1 < w->heap_n && w->heap[child + 1] < w->heap[child];
        if (w->heap[child] >= item)
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = item;
    return top;
}

/* An item is rank << 32 | position: the lowest rank comes first, then the leftmost. */
static void offer(const Bpe *b, Workspace *w, int32_t at)
{
    int32_t whole, next = at >= 0 ? w->symbols[at].next : -1;
    if (next < 0)
        return;
    uint32_t rank = pair_rank(b, w->symbols[at].id, w->symbols[next].id, &whole);
    if (rank != NO_RANK)
        heap_push(w, (uint64_t)rank << 32 | (uint32_t)at);
}

/* Dropout: with its probability a merge waits until another one was made. */
static bool passes_over(const Bpe *b, Workspace *w, uint64_t item)
{
    if (b->options.dropout <= 0)
        return false;
    if (random_unit(&w->random) < b->options.dropout) {
        buf_add_bytes(&w->word, &item, sizeof item);
        return true;
    }
    for (size_t i = 0; i < w->word.len; i += sizeof item) {
        memcpy(&item, w->word.ptr + i, sizeof item);
        heap_push(w, item);
    }
    buf_reset(&w->word);
    return false;
}

static size_t merge_long(const Bpe *b, Workspace *w, size_t n)
{
    Symbol *s = w->symbols;
    for (size_t i = 0; i < n; i++) {
        s[i].prev = (int32_t)i - 1;
        s[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    w->heap_n = 0;
    buf_reset(&w->word); // merges that were passed over
    for (size_t i = 0; i < n; i++)
        offer(b, w, (int32_t)i);
    while (w->heap_n) {
        uint64_t item = heap_pop(w);
        if (passes_over(b, w, item))
            continue;
        int32_t at = (int32_t)(uint32_t)item, next = s[at].next, whole;
        if (s[at].len == 0 || next < 0 ||
            pair_rank(b, s[at].id, s[next].id, &whole) != (uint32_t)(item >> 32))
            continue; // one of the two was joined to something else meanwhile
        s[at].id = whole;
        s[at].len += s[next].len;
        s[at].next = s[next].next;
        s[next].len = 0;
        if (s[at].next >= 0)
            s[s[at].next].prev = at;
        offer(b, w, s[at].prev);
        offer(b, w, at);
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0; i = s[i].next)
        s[kept++] = (Symbol){.id = s[i].id, .len = s[i].len, .next = s[i].next};
    return kept;
}

static bool bpe_encode(const Tokenizer *t, Workspace *w, Str word, Error *err)
{
    const Bpe *b = t->bpe;
    if (b->options.ignore_merges && b->options.dropout <= 0) {
        int32_t token = vocab_find(&t->vocab, word);
        if (token >= 0) {
            token_push(w, token, 0, word.len);
            return true;
        }
    }
    size_t n;
    if (!first_symbols(t, w, word, &n, err))
        return fail_while(err, "model");
    if (b->options.dropout > 0 && !w->is_seeded) {
        uint64_t seed;
        random_bytes(&seed, sizeof seed);
        w->random = random_of(seed);
        w->is_seeded = true;
    }
    if (n > 1)
        n = n <= SHORT_WORD && b->options.dropout <= 0 ? merge_short(b, w->symbols, n)
                                                       : merge_long(b, w, n);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        token_push(w, w->symbols[i].id, at, MIN(at + w->symbols[i].len, word.len));
        at += w->symbols[i].len;
    }
    return true;
}

/* True if every byte is a symbol wherever it stands in a word. */
static bool covers_bytes(const Tokenizer *t, const BpeOptions *o)
{
    AUTO_BUF symbol;
    buf_init(&symbol, 0);
    for (int i = 0; i < 256 * 4; i++) {
        buf_reset(&symbol);
        buf_add(&symbol, i & 256 ? o->prefix : S(""));
        buf_add_char(&symbol, (char)i);
        buf_add(&symbol, i & 512 ? o->suffix : S(""));
        if (vocab_find(&t->vocab, buf_str(&symbol)) < 0)
            return false;
    }
    return true;
}

/* Merges come after this, straight from the text of the file; see tokenizer_json.c. */
static bool bpe_read(Tokenizer *t, const json_t *model, Error *err)
{
    BpeOptions options = {
        .unk_token = arena_str(t->arena, json_str(model, "unk_token")),
        .prefix = arena_str(t->arena, json_str(model, "continuing_subword_prefix")),
        .suffix = arena_str(t->arena, json_str(model, "end_of_word_suffix")),
        .byte_fallback = json_flag(model, "byte_fallback", false),
        .fuse_unk = json_flag(model, "fuse_unk", false),
        .ignore_merges = json_flag(model, "ignore_merges", false),
        .dropout = json_num(model, "dropout", 0),
    };
    if (!(options.dropout >= 0 && options.dropout <= 1))
        return fail(err, ERR_INVALID, "dropout: not from 0 to 1");
    t->forgets = options.dropout > 0;
    // What the reference does with a byte that is no symbol depends on how it is spelled.
    if (t->byte_level && !covers_bytes(t, &options)) {
        pretokenizer_map_bytes(t);
        vocab_spell(&t->vocab);
    }
    bpe_start(t, &options, (size_t)t->vocab.n);
    return true;
}

const ModelKind model_bpe = {"BPE", bpe_read, bpe_encode};
