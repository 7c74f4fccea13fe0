/* tokenizer_gguf.c: the tokenizer inside a GGUF file.
 *
 * tokenizer.ggml.model is "gpt2" (byte-level BPE with merges), "llama" or "t5" (sentencepiece's BPE
 * or unigrams) or "bert" (WordPiece). tokenizer.ggml.pre names the expression that splits words.
 * Source: the GGUF format description (ggml). */
#include "text/tokenizer_internal.h"

#include "base/log.h"
#include "formats/gguf.h"

typedef struct Source {
    Tokenizer *t;
    const Gguf *gguf;
    Pieces pieces;
    Str *merges;
    size_t merges_n;
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

static bool load_bytes(Source *s, Error *err)
{
    BpeOptions options = {0};
    if (!add_split(s, err, &options.ignore_merges))
        return false;
    pieces_add_tokens(s->t, &s->pieces);
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

static bool load_pieces(Source *s, Error *err)
{
    return pieces_load_bpe(s->t, &s->pieces, err);
}

static bool load_unigram(Source *s, Error *err)
{
    double *bytes;
    size_t n = gguf_nums(s->gguf, "tokenizer.ggml.precompiled_charsmap", s->pieces.arena, &bytes);
    char *map = arena_alloc(s->pieces.arena, n + 1);
    for (size_t i = 0; i < n; i++) // the array's elements may be signed
        map[i] = (char)(int)(bytes[i] >= -128 && bytes[i] <= 255 ? bytes[i] : 0);
    s->pieces.charsmap = (Str){map, n};
    s->pieces.squeezes_spaces = gguf_flag(s->gguf, "tokenizer.ggml.remove_extra_whitespaces", true);
    return pieces_load_unigram(s->t, &s->pieces, err);
}

/* ---- BERT ----
 *
 * Pieces that begin a word have a "\u2581" in front, the others lost their "##". A vocabulary
 * without capitals is of a model that lowers its text: nothing in the file says so. */

static Str bert_token(Source *s, size_t i, bool *capitals)
{
    Str token = s->pieces.tokens[i];
    bool special = str_starts(token, S("[")) && str_ends(token, S("]")) && token.len > 2;
    if (special || piece_type(&s->pieces, i) == GGUF_TOKEN_CONTROL)
        return token;
    for (size_t k = 0; k < token.len; k++)
        *capitals |= token.ptr[k] >= 'A' && token.ptr[k] <= 'Z';
    if (str_starts(token, S("\xE2\x96\x81")))
        return str_slice(token, 3, token.len);
    return str_of(arena_printf(s->pieces.arena, "##%.*s", STR(token)));
}

static bool load_wordpiece(Source *s, Error *err)
{
    bool capitals = false;
    for (size_t i = 0; i < s->pieces.n; i++)
        vocab_add(s->t, (int32_t)i, bert_token(s, i, &capitals));
    AUTO(json_decref) json_t *config = json_pack("{s:b}", "do_lower_case", !capitals);
    return bert_stages(s->t, config, err);
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
    bool add_bos, add_eos; // unless the file says
} kinds[] = {
    {"gpt2", load_bytes, false, false},
    {"llama", load_pieces, true, false},
    {"t5", load_unigram, false, true},
    {"bert", load_wordpiece, true, true},
};

/* What is put around a text: BERT's files name the separator, not an end. */
static void put_around(Source *s, size_t kind)
{
    const Tokenizer *t = s->t;
    bool bert = kinds[kind].load == load_wordpiece;
    bool bos = gguf_flag(s->gguf, "tokenizer.ggml.add_bos_token", kinds[kind].add_bos);
    bool eos = gguf_flag(s->gguf, "tokenizer.ggml.add_eos_token", kinds[kind].add_eos);
    SpecialToken first = bert && t->special[SPECIAL_CLS] >= 0 ? SPECIAL_CLS : SPECIAL_BOS;
    SpecialToken last = bert && t->special[SPECIAL_SEP] >= 0 ? SPECIAL_SEP : SPECIAL_EOS;
    postprocessor_set(s->t, false, bos ? t->special[first] : -1, eos ? t->special[last] : -1,
                      PAIR_BERT);
}

static bool read_source(Source *s, Error *err)
{
    Pieces *p = &s->pieces;
    p->n = gguf_strs(s->gguf, "tokenizer.ggml.tokens", p->arena, &p->tokens);
    s->merges_n = gguf_strs(s->gguf, "tokenizer.ggml.merges", p->arena, &s->merges);
    p->types_n = gguf_nums(s->gguf, "tokenizer.ggml.token_type", p->arena, &p->types);
    p->scores_n = gguf_nums(s->gguf, "tokenizer.ggml.scores", p->arena, &p->scores);
    gguf_int(s->gguf, "tokenizer.ggml.unknown_token_id", &p->unk);
    p->space_prefix = gguf_flag(s->gguf, "tokenizer.ggml.add_space_prefix", true);
    if (p->n == 0 || p->n >= MAX_TOKEN_ID)
        return fail(err, ERR_INVALID, "tokenizer.ggml.tokens: %zu tokens", p->n);
    for (size_t i = 0; i < p->n; i++)
        if (!str_is_utf8(p->tokens[i]))
            return fail(err, ERR_INVALID, "tokenizer.ggml.tokens[%zu]: not UTF-8", i);
    return true;
}

/* The default template, and those of names: tokenizer.chat_template.NAME. */
static void read_templates(Source *s)
{
    Tokenizer *t = s->t;
    Arena *a = s->pieces.arena;
    Str *names;
    size_t n = gguf_strs(s->gguf, "tokenizer.chat_templates", a, &names);
    t->chat_template = arena_str(t->arena, gguf_str(s->gguf, "tokenizer.chat_template"));
    for (size_t i = 0; i < n; i++) {
        char *key = arena_printf(a, "tokenizer.chat_template.%.*s", STR(names[i]));
        Str *source = NEW(t->arena, Str);
        *source = arena_str(t->arena, gguf_str(s->gguf, key));
        if (source->len)
            map_put(&t->templates, arena_str(t->arena, names[i]), source);
    }
}

bool load_gguf(Tokenizer *t, const Gguf *gguf, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Source s = {.t = t, .gguf = gguf, .pieces.arena = a};
    Str model = gguf_str(gguf, "tokenizer.ggml.model");
    if (!read_source(&s, err))
        return false;
    size_t kind = 0;
    while (kind < COUNT(kinds) && !str_eq(model, str_of(kinds[kind].name)))
        kind++;
    if (kind == COUNT(kinds))
        return fail(err, ERR_UNSUPPORTED, "tokenizer.ggml.model: there is no '%.*s'", STR(model));
    if (!kinds[kind].load(&s, err))
        return false;
    pieces_add_added(t, &s.pieces);
    read_roles(&s);
    put_around(&s, kind);
    read_templates(&s);
    return true;
}
