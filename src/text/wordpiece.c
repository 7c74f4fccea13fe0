/* wordpiece.c: the models that look words up: WordPiece (the longest beginning, again and again)
 * and WordLevel (the whole word).  Source: Wu 2016, arXiv:1609.08144; BERT's greedy longest match.
 */
#include "text/tokenizer_internal.h"

static int32_t unknown(const Tokenizer *t, Error *err)
{
    int32_t unk = vocab_find(&t->vocab, t->unk_token);
    if (unk < 0)
        (void)!fail(err, ERR_INVALID, "model: unk_token '%.*s' is not in the vocabulary",
                    STR(t->unk_token));
    return unk;
}

static bool push_unknown(const Tokenizer *t, Workspace *w, Str word, Error *err)
{
    int32_t unk = unknown(t, err);
    if (unk >= 0)
        token_push(w, unk, 0, word.len);
    return unk >= 0;
}

static size_t count_chars(Str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* The longest token that the word continues with at `from`; its end, or `from` if there is none. */
static size_t longest(const Tokenizer *t, Workspace *w, Str word, size_t from, int32_t *id)
{
    Str prefix = from > 0 ? t->wordpiece_prefix : (Str){0};
    buf_reset(&w->word);
    buf_add(&w->word, prefix);
    buf_add(&w->word, str_slice(word, from, word.len));
    size_t to = MIN(word.len, from + t->longest_token);
    while (to < word.len && to > from && (word.ptr[to] & 0xC0) == 0x80)
        to--;
    for (; to > from; char_before(word.ptr, &to)) {
        *id = vocab_find(&t->vocab, (Str){w->word.ptr, prefix.len + to - from});
        if (*id >= 0)
            return to;
    }
    return from;
}

static bool wordpiece_encode(const Tokenizer *t, Workspace *w, Str word, Error *err)
{
    if (word.len > (size_t)t->wordpiece_max && count_chars(word) > (size_t)t->wordpiece_max)
        return push_unknown(t, w, word, err);
    for (size_t from = 0; from < word.len;) {
        int32_t id = -1;
        size_t to = longest(t, w, word, from, &id);
        if (to == from) { // one part is unknown: so is the word
            w->tokens.n = 0;
            return push_unknown(t, w, word, err);
        }
        token_push(w, id, from, to);
        from = to;
    }
    return true;
}

static bool wordpiece_read(Tokenizer *t, const json_t *model, Error *err)
{
    t->unk_token = arena_str(t->arena, str_of(json_text(model, "unk_token", "[UNK]")));
    t->wordpiece_prefix =
        arena_str(t->arena, str_of(json_text(model, "continuing_subword_prefix", "##")));
    t->wordpiece_max = json_int(model, "max_input_chars_per_word", 100);
    for (int32_t i = 0; i < t->vocab.n; i++)
        t->longest_token = MAX(t->longest_token, t->vocab.keys[i].len);
    // Matching is quadratic in the length of a word.
    if (t->wordpiece_max < 0 || t->wordpiece_max > 10000)
        return fail(err, ERR_INVALID, "max_input_chars_per_word: not from 0 to 10000");
    return true;
}

static bool wordlevel_encode(const Tokenizer *t, Workspace *w, Str word, Error *err)
{
    int32_t id = vocab_find(&t->vocab, word);
    if (id < 0)
        return push_unknown(t, w, word, err);
    token_push(w, id, 0, word.len);
    return true;
}

static bool wordlevel_read(Tokenizer *t, const json_t *model, Error *err)
{
    t->unk_token = arena_str(t->arena, str_of(json_text(model, "unk_token", "<unk>")));
    return true;
}

const ModelKind model_wordpiece = {"WordPiece", wordpiece_read, wordpiece_encode};
const ModelKind model_wordlevel = {"WordLevel", wordlevel_read, wordlevel_encode};
