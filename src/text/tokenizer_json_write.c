/* tokenizer_json_write.c: the tokenizer inside a GGUF file as tokenizer.json; see
 * tokenizer_convert.h. */
#include "base/file.h"
#include "text/tokenizer_convert.h"
#include "text/tokenizer_internal.h"

typedef struct Source {
    const Gguf *gguf;
    Arena *arena;
    Tokenizer *t; // the same, opened
    Str *merges;
    size_t n_merges;
    double *types;
    size_t n_types;
} Source;

static json_t *str_json(Str s)
{
    return json_from_str(s);
}

/* {"type": ...} with what json_pack makes of the rest, which never fails: our own texts. */
#define PART(...)                                                                                  \
    ({                                                                                             \
        json_t *part_ = json_pack(__VA_ARGS__);                                                    \
        CHECK(part_);                                                                              \
        part_;                                                                                     \
    })

static int32_t type_of(const Source *s, int32_t id)
{
    return (size_t)id < s->n_types ? (int32_t)s->types[id] : GGUF_TOKEN_NORMAL;
}

static json_t *added_json(const Source *s)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < s->t->vocab.n; i++) {
        const AddedToken *added = map_find(&s->t->added_ids, s->t->vocab.texts[i]);
        if (!added || added->id != i)
            continue;
        json_array_append_new(list,
                              PART("{s:i,s:o,s:b,s:b,s:b,s:b,s:b}", "id", (int)i, "content",
                                   str_json(added->content), "single_word", 0, "lstrip", 0,
                                   "rstrip", 0, "normalized", 0, "special", (int)added->special));
    }
    return list;
}

static json_t *vocab_json(const Source *s)
{
    json_t *vocab = json_object();
    for (int32_t i = 0; i < s->t->vocab.n; i++) {
        Str text = s->t->vocab.texts[i];
        if (text.ptr && !json_object_getn(vocab, text.ptr, text.len))
            json_object_setn_new(vocab, text.ptr, text.len, json_integer(i));
    }
    return vocab;
}

static json_t *pair_json(Str left, Str right)
{
    return PART("[o,o]", str_json(left), str_json(right));
}

/* ---- Byte-level BPE ---- */

static json_t *split_merges(const Source *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_merges; i++) {
        size_t space = str_find_char(s->merges[i], ' ', 1);
        json_array_append_new(list,
                              pair_json(str_slice(s->merges[i], 0, space),
                                        str_slice(s->merges[i], space + 1, s->merges[i].len)));
    }
    return list;
}

static json_t *byte_level(bool use_regex)
{
    return PART("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1,
                "use_regex", (int)use_regex);
}

static json_t *words_pre_tokenizer(const char *const *regexes, size_t n)
{
    if (n == 1 && strcmp(regexes[0], GPT2_REGEX) == 0)
        return byte_level(true);
    json_t *parts = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(parts,
                              PART("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex",
                                   regexes[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(parts, byte_level(false));
    return PART("{s:s,s:o}", "type", "Sequence", "pretokenizers", parts);
}

static json_t *model_json(const Source *s, json_t *merges, bool pieces, bool ignore_merges)
{
    Str unk = pieces ? s->t->special_text[SPECIAL_UNK] : (Str){0};
    return PART("{s:s,s:n,s:o,s:n,s:n,s:b,s:b,s:b,s:o,s:o}", "type", "BPE", "dropout", "unk_token",
                unk.len ? str_json(unk) : json_null(), "continuing_subword_prefix",
                "end_of_word_suffix", "fuse_unk", (int)pieces, "byte_fallback", (int)pieces,
                "ignore_merges", (int)ignore_merges, "vocab", vocab_json(s), "merges", merges);
}

static void add_words(const Source *s, json_t *out)
{
    size_t n;
    bool ignore_merges;
    const char *const *regexes = gguf_pre(s->gguf, &n, &ignore_merges);
    json_object_set_new(out, "normalizer", json_null());
    json_object_set_new(out, "pre_tokenizer", words_pre_tokenizer(regexes, n));
    json_object_set_new(out, "decoder", byte_level(true));
    json_object_set_new(out, "model", model_json(s, split_merges(s), false, ignore_merges));
}

/* ---- Sentencepiece BPE ---- */

typedef struct Cut {
    Str left, right;
    double score; // of what they make
    size_t order;
} Cut;

static int cut_order(const void *a, const void *b)
{
    const Cut *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Each way to cut a piece in two pieces is a merge, in the order of the pieces' scores. */
static json_t *piece_merges(const Source *s)
{
    double *scores;
    size_t n_scores = gguf_nums(s->gguf, "tokenizer.ggml.scores", s->arena, &scores);
    AUTO_BUF cuts;
    buf_init(&cuts, 0);
    for (int32_t id = 0; id < s->t->vocab.n && (size_t)id < n_scores; id++) {
        Str piece = s->t->vocab.texts[id];
        if (type_of(s, id) != GGUF_TOKEN_NORMAL || piece.len > 512)
            continue;
        for (size_t at = 0; at < piece.len;) {
            at += char_size(piece.ptr[at]);
            Cut cut = {str_slice(piece, 0, at), str_slice(piece, at, piece.len), scores[id],
                       cuts.len};
            if (vocab_find_text(s->t, cut.left) >= 0 && vocab_find_text(s->t, cut.right) >= 0)
                buf_add_bytes(&cuts, &cut, sizeof cut);
        }
    }
    size_t n = cuts.len / sizeof(Cut);
    Cut *sorted = arena_copy(s->arena, cuts.len ? cuts.ptr : "", cuts.len);
    qsort(sorted, n, sizeof *sorted, cut_order);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, pair_json(sorted[i].left, sorted[i].right));
    return list;
}

static void add_pieces(const Source *s, json_t *out)
{
    static const char space[] = "\xE2\x96\x81"; // "▁"
    bool prefix = gguf_flag(s->gguf, "tokenizer.ggml.add_space_prefix", true);
    json_t *normalizers = json_array();
    json_t *decoders =
        PART("[{s:s,s:{s:s},s:s},{s:s},{s:s}]", "type", "Replace", "pattern", "String", space,
             "content", " ", "type", "ByteFallback", "type", "Fuse");
    if (prefix) {
        json_array_append_new(normalizers, PART("{s:s,s:s}", "type", "Prepend", "prepend", space));
        json_array_append_new(decoders, PART("{s:s,s:s,s:i,s:i}", "type", "Strip", "content", " ",
                                             "start", 1, "stop", 0));
    }
    json_array_append_new(normalizers, PART("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern",
                                            "String", " ", "content", space));
    json_object_set_new(out, "normalizer",
                        PART("{s:s,s:o}", "type", "Sequence", "normalizers", normalizers));
    json_object_set_new(out, "pre_tokenizer", json_null());
    json_object_set_new(out, "decoder",
                        PART("{s:s,s:o}", "type", "Sequence", "decoders", decoders));
    json_object_set_new(out, "model", model_json(s, piece_merges(s), true, false));
}

/* ---- What both have ---- */

static json_t *special_item(const Source *s, SpecialToken role, int sentence)
{
    return PART("{s:{s:o,s:i}}", "SpecialToken", "id", str_json(s->t->special_text[role]),
                "type_id", sentence);
}

static void add_special(const Source *s, json_t *specials, SpecialToken role)
{
    Str text = s->t->special_text[role];
    json_object_setn_new(specials, text.ptr, text.len,
                         PART("{s:o,s:[i],s:[o]}", "id", str_json(text), "ids",
                              (int)s->t->special[role], "tokens", str_json(text)));
}

static json_t *template_json(const Source *s, bool bos, bool eos)
{
    json_t *lists[2], *specials = json_object();
    for (int pair = 0; pair < 2; pair++) {
        lists[pair] = json_array();
        for (int part = 0; part <= pair; part++) {
            if (bos)
                json_array_append_new(lists[pair], special_item(s, SPECIAL_BOS, part));
            json_array_append_new(lists[pair], PART("{s:{s:s,s:i}}", "Sequence", "id",
                                                    part ? "B" : "A", "type_id", part));
            if (eos)
                json_array_append_new(lists[pair], special_item(s, SPECIAL_EOS, part));
        }
    }
    if (bos)
        add_special(s, specials, SPECIAL_BOS);
    if (eos)
        add_special(s, specials, SPECIAL_EOS);
    return PART("{s:s,s:o,s:o,s:o}", "type", "TemplateProcessing", "single", lists[0], "pair",
                lists[1], "special_tokens", specials);
}

static json_t *post_processor(const Source *s, bool pieces)
{
    bool bos = gguf_flag(s->gguf, "tokenizer.ggml.add_bos_token", pieces) &&
               s->t->special[SPECIAL_BOS] >= 0;
    bool eos = gguf_flag(s->gguf, "tokenizer.ggml.add_eos_token", false) &&
               s->t->special[SPECIAL_EOS] >= 0;
    if (bos || eos)
        return template_json(s, bos, eos);
    return pieces ? json_null() : byte_level(true);
}

static json_t *tokenizer_json(const Source *s)
{
    bool pieces = str_eq(gguf_str(s->gguf, "tokenizer.ggml.model"), S("llama"));
    json_t *out = PART("{s:s,s:n,s:n,s:o}", "version", "1.0", "truncation", "padding",
                       "added_tokens", added_json(s));
    if (pieces)
        add_pieces(s, out);
    else
        add_words(s, out);
    json_object_set_new(out, "post_processor", post_processor(s, pieces));
    return out;
}

static json_t *config_json(const Source *s)
{
    json_t *config = PART("{s:s,s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                          "clean_up_tokenization_spaces", 0);
    for (int role = 0; role < SPECIAL_COUNT; role++)
        if (s->t->special[role] >= 0)
            json_object_set_new(config, special_token_name((SpecialToken)role),
                                str_json(s->t->special_text[role]));
    if (s->t->chat_template.len > 0)
        json_object_set_new(config, "chat_template", str_json(s->t->chat_template));
    return config;
}

static bool save(const char *folder, const char *name, json_t *value, size_t flags, Error *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    AUTO(free) char *text = json_dumps(value, flags);
    json_decref(value);
    CHECK(text);
    return file_write_atomic(path, str_of(text), 0644, err);
}

bool tokenizer_save_json(const Gguf *gguf, const char *folder, Error *err)
{
    if (!gguf_has(gguf, "tokenizer.ggml.tokens"))
        return fail(err, ERR_NOT_FOUND, "the file has no tokenizer");
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_from_gguf(gguf, err);
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!t)
        return false;
    Source s = {.gguf = gguf, .arena = a, .t = t};
    s.n_merges = gguf_strs(gguf, "tokenizer.ggml.merges", a, &s.merges);
    s.n_types = gguf_nums(gguf, "tokenizer.ggml.token_type", a, &s.types);
    return save(folder, "tokenizer.json", tokenizer_json(&s), JSON_COMPACT, err) &&
           save(folder, "tokenizer_config.json", config_json(&s), JSON_INDENT(2), err);
}
