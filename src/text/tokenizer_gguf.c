/* tokenizer_gguf.c: the tokenizer inside a GGUF file.
 *
 * tokenizer.ggml.model is "gpt2" (byte-level BPE with merges) or "llama" (sentencepiece BPE: no
 * merges, a pair is joined in the order of the joined piece's score). tokenizer.ggml.pre names the
 * expression that splits words.  Source: the GGUF format description (ggml). */
#include "text/tokenizer_internal.h"

#include "base/log.h"
#include "formats/gguf.h"

typedef struct Source {
    Tokenizer *t;
    const Gguf *gguf;
    Arena *arena; // of the load
    Str *tokens, *merges;
    size_t n, merges_n;
    double *types, *scores;
    size_t types_n, scores_n;
} Source;

/* What splits words, by tokenizer.ggml.pre. */
static const struct {
    const char *name;
    const char *regexes[3]; // one after the other
    bool ignore_merges;
} pres[] = {
    {"default", {GPT2_REGEX}},
    {"gpt-2", {GPT2_REGEX}},
    // The original splits single digits off first. The reference library, reading this vocabulary
    // from GGUF, does not; the ids differ only where several spaces stand before a digit.
    {"smollm", {GPT2_REGEX}},
    {"starcoder", {"\\p{N}", GPT2_REGEX}},
    {"refact", {"\\p{N}", GPT2_REGEX}},
    {"command-r", {"\\p{N}", GPT2_REGEX}},
    {"olmo", {GPT2_REGEX}},
    {"phi-2", {GPT2_REGEX}},
    {"mpt", {GPT2_REGEX}},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2_REGEX, "[0-9][0-9][0-9]"}},
    {"llama-bpe", {LLAMA3_REGEX}, true},
    {"llama3", {LLAMA3_REGEX}, true},
    {"dbrx", {LLAMA3_REGEX}},
    {"smaug-bpe", {LLAMA3_REGEX}},
    {"qwen2", {QWEN2_REGEX}},
    {"deepseek-r1-qwen", {QWEN2_REGEX}},
    {"stablelm2", {QWEN2_REGEX}},
};

const char *const *gguf_pre(const Gguf *gguf, size_t *n, bool *ignore_merges)
{
    Str name = gguf_str(gguf, "tokenizer.ggml.pre");
    size_t row = 0;
    for (size_t i = 0; i < COUNT(pres); i++)
        if (str_eq(name, str_of(pres[i].name)))
            row = i;
    if (row == 0 && name.len && !str_eq(name, S("default")))
        log_warn("tokenizer", "pre=%.*s unknown, words are split as GPT-2 does", STR(name));
    *n = 0;
    while (*n < COUNT(pres[row].regexes) && pres[row].regexes[*n])
        ++*n;
    *ignore_merges = pres[row].ignore_merges;
    return pres[row].regexes;
}

const char *gguf_pre_find(const char *const *regexes, size_t n)
{
    // Behind the first row, "default", which readers take for a file that does not know.
    for (size_t i = 1; i < COUNT(pres); i++) {
        size_t same = 0;
        while (same < n && same < COUNT(pres[i].regexes) && pres[i].regexes[same] &&
               strcmp(pres[i].regexes[same], regexes[same]) == 0)
            same++;
        if (same == n && (n == COUNT(pres[i].regexes) || !pres[i].regexes[n]))
            return pres[i].name;
    }
    return NULL;
}

static bool add_split(Source *s, Error *err, bool *ignore_merges)
{
    size_t n;
    const char *const *regexes = gguf_pre(s->gguf, &n, ignore_merges);
    return pretokenizer_add_byte_level(s->t, regexes, n, false, err);
}

static int type_of(const Source *s, size_t id)
{
    return id < s->types_n ? (int)s->types[id] : GGUF_TOKEN_NORMAL;
}

static void add_tokens(Source *s)
{
    vocab_expect(&s->t->vocab, s->n);
    for (size_t i = 0; i < s->n; i++)
        vocab_add(s->t, (int32_t)i, s->tokens[i]);
}

/* Control and user-defined tokens are found in the raw text. */
static void add_added(Source *s)
{
    for (size_t i = 0; i < s->n; i++) {
        int type = type_of(s, i);
        if (type != GGUF_TOKEN_CONTROL && type != GGUF_TOKEN_USER && type != GGUF_TOKEN_UNKNOWN)
            continue;
        added_put(s->t, (AddedToken){.content = s->t->vocab.texts[i],
                                     .id = (int32_t)i,
                                     .special = type != GGUF_TOKEN_USER});
    }
}

static bool load_bytes(Source *s, Error *err)
{
    BpeOptions options = {0};
    if (!add_split(s, err, &options.ignore_merges))
        return false;
    add_tokens(s);
    bpe_start(s->t, &options, s->merges_n);
    for (size_t i = 0; i < s->merges_n; i++) {
        size_t space = str_find_char(s->merges[i], ' ', 1);
        if (space == SIZE_MAX)
            return fail(err, ERR_INVALID, "tokenizer.ggml.merges[%zu]: not two tokens", i);
        bpe_merge(s->t, str_slice(s->merges[i], 0, space),
                  str_slice(s->merges[i], space + 1, SIZE_MAX), (uint32_t)i);
    }
    if (!bpe_finish(s->t, "tokenizer.ggml.merges", err))
        return false;
    decoder_set_byte_level(s->t);
    return true;
}

/* ---- sentencepiece ---- */

typedef struct Scored {
    double score;
    int32_t id;
} Scored;

static int by_score(const void *a, const void *b)
{
    const Scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->id > y->id) - (x->id < y->id);
}

/* Every way to cut a piece in two pieces is a merge; its rank is the piece's place by score. Pieces
 * of one score share a rank, because then the leftmost pair goes first, whatever it gives. */
static void add_merges(Source *s)
{
    Scored *order = NEW_ARRAY(s->arena, Scored, s->n);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (type_of(s, i) == GGUF_TOKEN_NORMAL && i < s->scores_n)
            order[n++] = (Scored){s->scores[i], (int32_t)i};
    qsort(order, n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        rank += i > 0 && order[i].score != order[i - 1].score;
        Str piece = s->t->vocab.keys[order[i].id];
        if (vocab_find(&s->t->vocab, piece) != order[i].id || piece.len > 512)
            continue;
        for (size_t cut = 0; cut < piece.len;) {
            cut += char_size(piece.ptr[cut]);
            int32_t left = vocab_find(&s->t->vocab, str_slice(piece, 0, cut));
            int32_t right = vocab_find(&s->t->vocab, str_slice(piece, cut, piece.len));
            if (left >= 0 && right >= 0)
                bpe_merge_ids(s->t, left, right, order[i].id, rank);
        }
    }
}

static bool load_pieces(Source *s, Error *err)
{
    add_tokens(s);
    int64_t unk = 0;
    gguf_int(s->gguf, "tokenizer.ggml.unknown_token_id", &unk);
    BpeOptions options = {.byte_fallback = true, .fuse_unk = true};
    if (unk >= 0 && unk < s->t->vocab.n)
        options.unk_token = s->t->vocab.texts[unk];
    bpe_start(s->t, &options, s->n * 2);
    add_merges(s);
    bool space = gguf_flag(s->gguf, "tokenizer.ggml.add_space_prefix", true);
    normalizer_set_spaces(s->t, space);
    decoder_set_spaces(s->t, space);
    return true;
}

/* ---- Roles ---- */

const GgufRole gguf_roles[GGUF_ROLES] = {
    {"bos_token_id", SPECIAL_BOS},       {"eos_token_id", SPECIAL_EOS},
    {"unknown_token_id", SPECIAL_UNK},   {"padding_token_id", SPECIAL_PAD},
    {"seperator_token_id", SPECIAL_SEP}, {"cls_token_id", SPECIAL_CLS},
    {"mask_token_id", SPECIAL_MASK},
};

static void read_roles(Source *s)
{
    for (size_t i = 0; i < GGUF_ROLES; i++) {
        int64_t id;
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s", gguf_roles[i].key);
        if (gguf_int(s->gguf, key, &id) && id >= 0 && id < s->t->vocab.n)
            special_set_id(s->t, gguf_roles[i].role, (int32_t)id);
    }
}

static const struct {
    const char *name;
    bool (*load)(Source *s, Error *err);
    bool add_bos; // unless the file says
} kinds[] = {
    {"gpt2", load_bytes, false},
    {"llama", load_pieces, true},
};

bool load_gguf(Tokenizer *t, const Gguf *gguf, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Source s = {.t = t, .gguf = gguf, .arena = a};
    Str model = gguf_str(gguf, "tokenizer.ggml.model");
    s.n = gguf_strs(gguf, "tokenizer.ggml.tokens", a, &s.tokens);
    s.merges_n = gguf_strs(gguf, "tokenizer.ggml.merges", a, &s.merges);
    s.types_n = gguf_nums(gguf, "tokenizer.ggml.token_type", a, &s.types);
    s.scores_n = gguf_nums(gguf, "tokenizer.ggml.scores", a, &s.scores);
    if (s.n == 0 || s.n >= MAX_TOKEN_ID)
        return fail(err, ERR_INVALID, "tokenizer.ggml.tokens: %zu tokens", s.n);
    for (size_t i = 0; i < s.n; i++)
        if (!str_is_utf8(s.tokens[i]))
            return fail(err, ERR_INVALID, "tokenizer.ggml.tokens[%zu]: not UTF-8", i);
    size_t kind = 0;
    while (kind < COUNT(kinds) && !str_eq(model, str_of(kinds[kind].name)))
        kind++;
    if (kind == COUNT(kinds))
        return fail(err, ERR_UNSUPPORTED, "tokenizer.ggml.model: there is no '%.*s'", STR(model));
    if (!kinds[kind].load(&s, err))
        return false;
    add_added(&s);
    read_roles(&s);
    bool bos = gguf_flag(gguf, "tokenizer.ggml.add_bos_token", kinds[kind].add_bos);
    bool eos = gguf_flag(gguf, "tokenizer.ggml.add_eos_token", false);
    postprocessor_set(t, false, bos ? t->special[SPECIAL_BOS] : -1,
                      eos ? t->special[SPECIAL_EOS] : -1, PAIR_BERT);
    t->chat_template = arena_str(t->arena, gguf_str(gguf, "tokenizer.chat_template"));
    return true;
}
