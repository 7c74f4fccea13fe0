/* unigram.c: the unigram language model: of all ways to cut a text into pieces of the vocabulary,
 * the one whose scores (log probabilities) sum highest, by dynamic programming over byte positions.
 * A character that no piece covers costs UNKNOWN_PENALTY more than the worst piece.
 *
 * Ties go to the piece that was found first, which is the one that begins first; scores are summed
 * in double precision, left to right: both decide which of two equal cuts wins.
 * Source: Kudo 2018, arXiv:1804.10959, section 3.2. */
#include "text/tokenizer_internal.h"

#define UNKNOWN_PENALTY 10.0

struct Unigram {
    Prefixes pieces;
    const double *scores; // by id
    double worst;
    int32_t unk; // -1: none
    bool byte_fallback;
    int32_t fallback[256];
};

void unigram_start(Tokenizer *t, const double *scores, int32_t unk, bool byte_fallback)
{
    Unigram *u = t->unigram = NEW(t->arena, Unigram);
    size_t n = (size_t)t->vocab.n;
    PrefixEntry *entries = NEW_ARRAY(t->arena, PrefixEntry, n);
    for (size_t i = 0; i < n; i++) {
        entries[i] = (PrefixEntry){t->vocab.keys[i], (int32_t)i};
        u->worst = i == 0 || scores[i] < u->worst ? scores[i] : u->worst;
    }
    prefixes_build(&u->pieces, entries, n);
    u->scores = scores;
    u->unk = t->unigram_unk = unk;
    u->byte_fallback = byte_fallback;
    for (int i = 0; i < 256; i++) {
        char code[8];
        snprintf(code, sizeof code, "<0x%02X>", i);
        u->fallback[i] = vocab_find(&t->vocab, str_of(code));
    }
    t->model = &model_unigram;
}

static void reach(Node *node, double score, size_t from, int32_t id)
{
    if (node->id < 0 || score > node->score)
        *node = (Node){.score = score, .from = (uint32_t)from, .id = id};
}

/* Fills nodes[0 … len] with the best way to each position. */
static bool find_paths(const Unigram *u, Node *nodes, Str text, Error *err)
{
    for (size_t i = 0; i <= text.len; i++)
        nodes[i] = (Node){.id = -1};
    for (size_t from = 0; from < text.len;) {
        size_t size = char_size(text.ptr[from]);
        double score = nodes[from].score;
        bool covered = false;
        PrefixWalk walk = prefixes_walk(&u->pieces);
        int32_t id;
        for (size_t to = from; to < text.len;) {
            if (!prefixes_step(&u->pieces, &walk, (uint8_t)text.ptr[to++], &id))
                break;
            if (id < 0)
                continue;
            reach(&nodes[to], u->scores[id] + score, from, id);
            covered |= to - from == size;
        }
        if (!covered) {
            if (u->unk < 0)
                return fail(err, ERR_INVALID,
                            "model: a character is unknown and there is no unk_id");
            reach(&nodes[from + size], u->worst - UNKNOWN_PENALTY + score, from, u->unk);
        }
        from += size;
    }
    return true;
}

static void push_piece(const Tokenizer *t, Workspace *w, Str word, size_t from, size_t to)
{
    const Unigram *u = t->unigram;
    int32_t id = vocab_find(&t->vocab, str_slice(word, from, to));
    if (id >= 0) {
        token_push(w, id, from, to);
        return;
    }
    bool bytes = u->byte_fallback;
    for (size_t i = from; i < to && bytes; i++)
        bytes = u->fallback[(uint8_t)word.ptr[i]] >= 0;
    if (!bytes)
        token_push(w, u->unk, from, to);
    for (size_t i = from; i < to && bytes; i++)
        token_push(w, u->fallback[(uint8_t)word.ptr[i]], from, to);
}

static bool unigram_encode(const Tokenizer *t, Workspace *w, Str word, Error *err)
{
    if (w->nodes_cap < word.len + 1) {
        w->nodes_cap = word.len * 2 + 1;
        w->nodes = xrealloc(w->nodes, w->nodes_cap * sizeof *w->nodes);
    }
    Node *nodes = w->nodes;
    if (!find_paths(t->unigram, nodes, word, err))
        return false;
    // Turn the way back into a way forward: `score` is done with, `from` becomes the next position.
    // Unknown neighbours are one piece.
    size_t to = word.len, next = word.len;
    int32_t unk = t->unigram->unk, later = -1;
    while (to > 0) {
        size_t from = nodes[to].from;
        int32_t id = nodes[to].id;
        if (!(id == unk && later == unk))
            next = to;
        later = id;
        nodes[from].score = (double)next;
        to = from;
    }
    for (size_t from = 0; from < word.len; from = next) {
        next = (size_t)nodes[from].score;
        push_piece(t, w, word, from, next);
    }
    return true;
}

/* Only to complete the row: the scores come with the vocabulary, see tokenizer_json.c. */
static bool unigram_read(Tokenizer *t, const json_t *model, Error *err)
{
    return true;
}

const ModelKind model_unigram = {"Unigram", unigram_read, unigram_encode};
