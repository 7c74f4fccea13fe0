/* token_trie.c: a vocabulary's tokens by their bytes, as one array in the order of a walk that goes
 * down first: what lies below a node follows it, so that skipping it is one jump. */
#include "text/grammar_internal.h"

enum { MAX_TOKEN = 1024 }; // bytes; longer ones are left out

typedef struct Entry {
    Str bytes;
    int32_t id;
} Entry;

static int by_bytes(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    int order = str_cmp(x->bytes, y->bytes);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

/* Appends what the entries [from, to), which share `depth` bytes, have below them. */
static void add_level(TokenTrie *t, const Entry *entries, size_t from, size_t to, size_t depth)
{
    while (from < to) {
        uint8_t byte = (uint8_t)entries[from].bytes.ptr[depth];
        size_t end = from + 1, at = t->n++;
        while (end < to && (uint8_t)entries[end].bytes.ptr[depth] == byte)
            end++;
        t->nodes[at] = (TrieNode){.token = -1, .depth = (uint16_t)(depth + 1), .byte = byte};
        for (; from < end && entries[from].bytes.len == depth + 1; from++) {
            t->same[entries[from].id] = t->nodes[at].token;
            t->nodes[at].has_more = t->nodes[at].token >= 0;
            t->nodes[at].token = entries[from].id;
        }
        add_level(t, entries, from, end, depth + 1);
        t->nodes[at].end = (uint32_t)t->n;
        from = end;
    }
}

TokenTrie *token_trie_new(const Tokenizer *tokenizer)
{
    TokenTrie *t = xcalloc(1, sizeof *t);
    size_t vocab = t->vocab = (size_t)tokenizer_size(tokenizer), n = 0;
    Entry *entries = xcalloc(vocab + 1, sizeof *entries);
    t->start = xcalloc(vocab + 1, sizeof *t->start);
    t->same = xcalloc(vocab + 1, sizeof *t->same);
    buf_init(&t->bytes, 0);
    for (size_t i = 0; i < vocab; i++) {
        if (!tokenizer_is_special(tokenizer, (int32_t)i))
            tokenizer_bytes(tokenizer, (int32_t)i, &t->bytes);
        if (t->bytes.len - t->start[i] > MAX_TOKEN)
            t->bytes.len = t->start[i];
        t->start[i + 1] = (uint32_t)t->bytes.len;
    }
    for (size_t i = 0; i < vocab; i++) {
        Str bytes = str_slice(buf_str(&t->bytes), t->start[i], t->start[i + 1]);
        t->same[i] = -1;
        t->longest = MAX(t->longest, bytes.len);
        if (bytes.len)
            entries[n++] = (Entry){bytes, (int32_t)i};
    }
    qsort(entries, n, sizeof *entries, by_bytes);
    t->nodes = xcalloc(t->bytes.len + 1, sizeof *t->nodes); // at most a node a byte
    add_level(t, entries, 0, n, 0);
    t->nodes = xrealloc(t->nodes, (t->n + 1) * sizeof *t->nodes);
    free(entries);
    return t;
}

void token_trie_free(TokenTrie *t)
{
    if (!t)
        return;
    free(t->nodes);
    free(t->same);
    free(t->start);
    buf_done(&t->bytes);
    free(t);
}
