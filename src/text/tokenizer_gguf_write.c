/* tokenizer_gguf_write.c: a folder's tokenizer as GGUF metadata; see tokenizer_convert.h.
 *
 * The opened Tokenizer knows tokens, roles and templates; the merges are read from the file again,
 * because GGUF wants them as they are spelled there. Sentencepiece BPE has scores instead of
 * merges: a piece's score is minus the rank of the first merge that makes it, which orders pieces
 * as the merges do. */
#include "base/encode.h"
#include "base/file.h"
#include "text/tokenizer_convert.h"
#include "text/tokenizer_internal.h"

enum { MAX_FILE = 512 << 20 };

typedef struct Source {
    Tokenizer *t;
    Arena *arena;
    json_t *json; // tokenizer.json; NULL if the folder has the older files
    Str *merges;  // "left right"
    size_t n_merges;
    const char *regexes[MAX_COMPONENTS]; // that split words, one after the other
    size_t n_regexes;
} Source;

/* ---- Merges ---- */

static bool read_merges_json(Source *s, const json_t *list, Error *err)
{
    s->n_merges = json_array_size(list);
    s->merges = NEW_ARRAY(s->arena, Str, s->n_merges);
    for (size_t i = 0; i < s->n_merges; i++) {
        const json_t *merge = json_array_get(list, i), *left = json_array_get(merge, 0),
                     *right = json_array_get(merge, 1);
        if (json_is_string(merge))
            s->merges[i] = str_of(json_string_value(merge));
        else if (json_is_string(left) && json_is_string(right))
            s->merges[i] = str_of(
                arena_printf(s->arena, "%s %s", json_string_value(left), json_string_value(right)));
        else
            return fail(err, ERR_INVALID, "model.merges[%zu]: not two tokens", i);
    }
    return true;
}

static bool read_merges_text(Source *s, const char *path, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, MAX_FILE);
    if (!file_read(path, &text, err))
        return false;
    Str rest = arena_str(s->arena, buf_str(&text)), line;
    s->merges = NEW_ARRAY(s->arena, Str, text.len / 2 + 1); // a line has two bytes at least
    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.len > 0 && !str_starts(line, S("#version")))
            s->merges[s->n_merges++] = line;
    }
    return true;
}

/* ---- What splits words ---- */

static bool add_regex(Source *s, const json_t *part, Error *err)
{
    const char *type = json_text(part, "type", "");
    const char *regex = NULL;
    if (strcmp(type, "ByteLevel") == 0)
        regex = json_flag(part, "use_regex", true) ? GPT2_REGEX : NULL;
    else if (strcmp(type, "Digits") == 0)
        regex = json_flag(part, "individual_digits", false) ? "\\p{N}" : "\\p{N}+";
    else if (strcmp(type, "Split") == 0 && json_at(part, "pattern.Regex"))
        regex = json_string_value(json_at(part, "pattern.Regex"));
    else
        return fail(err, ERR_UNSUPPORTED, "pre_tokenizer: GGUF cannot say '%.40s'", type);
    if (regex)
        s->regexes[s->n_regexes++] = regex;
    return true;
}

static bool read_regexes(Source *s, Error *err)
{
    const json_t *parts[MAX_COMPONENTS];
    size_t n = 0;
    if (!components_list(json_object_get(s->json, "pre_tokenizer"), "pretokenizers", parts, &n,
                         err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add_regex(s, parts[i], err))
            return false;
    return true;
}

/* ---- Tokens ---- */

static bool is_byte_token(Str text)
{
    uint8_t byte;
    return text.len == 6 && str_starts(text, S("<0x")) && text.ptr[5] == '>' &&
           hex_decode(str_slice(text, 3, 5), &byte, 1);
}

static int32_t type_of(const Source *s, int32_t id, bool pieces)
{
    Str text = s->t->vocab.texts[id];
    const AddedToken *added = map_find(&s->t->added_ids, text);
    if (!text.ptr)
        return GGUF_TOKEN_UNUSED;
    if (pieces && id == s->t->special[SPECIAL_UNK])
        return GGUF_TOKEN_UNKNOWN;
    if (added)
        return added->special ? GGUF_TOKEN_CONTROL : GGUF_TOKEN_USER;
    return pieces && is_byte_token(text) ? GGUF_TOKEN_BYTE : GGUF_TOKEN_NORMAL;
}

static void put_tokens(GgufWriter *w, const Source *s, size_t n, bool pieces)
{
    Str *texts = NEW_ARRAY(s->arena, Str, n);
    int32_t *types = NEW_ARRAY(s->arena, int32_t, n);
    for (size_t i = 0; i < n; i++) {
        bool known = i < (size_t)s->t->vocab.n && s->t->vocab.texts[i].ptr;
        types[i] = known ? type_of(s, (int32_t)i, pieces) : GGUF_TOKEN_UNUSED;
        texts[i] = known ? s->t->vocab.texts[i] : str_of(arena_printf(s->arena, "[PAD%zu]", i));
    }
    gguf_put_strs(w, "tokenizer.ggml.tokens", texts, n);
    gguf_put_i32s(w, "tokenizer.ggml.token_type", types, n);
}

static void put_scores(GgufWriter *w, const Source *s, size_t n)
{
    float *scores = NEW_ARRAY(s->arena, float, n);
    for (size_t i = 0; i < n; i++)
        scores[i] = -(float)s->n_merges - 1;
    for (size_t i = s->n_merges; i-- > 0;) {
        Str merge = s->merges[i];
        size_t space = str_find_char(merge, ' ', 0);
        Str whole = str_of(arena_printf(s->arena, "%.*s%.*s", STR(str_slice(merge, 0, space)),
                                        STR(str_slice(merge, space + 1, merge.len))));
        int32_t id = vocab_find_text(s->t, whole);
        if (id >= 0 && (size_t)id < n)
            scores[id] = -(float)i; // going backwards: the first merge stays
    }
    gguf_put_f32s(w, "tokenizer.ggml.scores", scores, n);
}

static bool put_words(GgufWriter *w, const Source *s, size_t n, Error *err)
{
    const char *pre = gguf_pre_find(s->regexes, s->n_regexes);
    if (!pre)
        return fail(err, ERR_UNSUPPORTED,
                    "pre_tokenizer: GGUF has no name for its expressions, the first of which is %s",
                    s->n_regexes ? s->regexes[0] : "missing");
    gguf_put_str(w, "tokenizer.ggml.model", S("gpt2"));
    gguf_put_str(w, "tokenizer.ggml.pre", str_of(pre));
    put_tokens(w, s, n, false);
    gguf_put_strs(w, "tokenizer.ggml.merges", s->merges, s->n_merges);
    return true;
}

static void put_pieces(GgufWriter *w, const Source *s, size_t n)
{
    gguf_put_str(w, "tokenizer.ggml.model", S("llama"));
    gguf_put_str(w, "tokenizer.ggml.pre", S("default"));
    put_tokens(w, s, n, true);
    put_scores(w, s, n);
    bool prepends = false;
    const json_t *parts[MAX_COMPONENTS];
    size_t n_parts = 0;
    if (components_list(json_object_get(s->json, "normalizer"), "normalizers", parts, &n_parts,
                        NULL))
        for (size_t i = 0; i < n_parts; i++)
            prepends = prepends || strcmp(json_text(parts[i], "type", ""), "Prepend") == 0;
    if (components_list(json_object_get(s->json, "pre_tokenizer"), "pretokenizers", parts, &n_parts,
                        NULL))
        for (size_t i = 0; i < n_parts; i++)
            prepends =
                prepends || (strcmp(json_text(parts[i], "type", ""), "Metaspace") == 0 &&
                             strcmp(json_text(parts[i], "prepend_scheme", ""), "never") != 0);
    gguf_put_flag(w, "tokenizer.ggml.add_space_prefix", prepends);
}

/* ---- Roles ---- */

static bool put_roles(GgufWriter *w, const Tokenizer *t, Error *err)
{
    for (size_t i = 0; i < COUNT(gguf_roles); i++) {
        int32_t id = t->special[gguf_roles[i].role];
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s", gguf_roles[i].key);
        if (id >= 0)
            gguf_put_u32(w, key, (uint32_t)id);
    }
    AUTO_ENCODING e = {0};
    if (!tokenizer_encode(t, S("a"), true, &e, err))
        return false;
    int32_t bos = t->special[SPECIAL_BOS], eos = t->special[SPECIAL_EOS];
    gguf_put_flag(w, "tokenizer.ggml.add_bos_token", bos >= 0 && e.n > 0 && e.ids[0] == bos);
    gguf_put_flag(w, "tokenizer.ggml.add_eos_token", eos >= 0 && e.n > 0 && e.ids[e.n - 1] == eos);
    if (t->chat_template.len > 0)
        gguf_put_str(w, "tokenizer.chat_template", t->chat_template);
    return true;
}

static bool put_all(GgufWriter *w, Source *s, const char *folder, int64_t vocab, Error *err)
{
    const char *path = arena_printf(s->arena, "%s/tokenizer.json", folder);
    const json_t *model = NULL;
    if (s->t->model != &model_bpe)
        return fail(err, ERR_UNSUPPORTED, "GGUF files are written with BPE tokenizers, not %s",
                    s->t->model->name);
    if (file_exists(path)) {
        s->json = json_read_file(path, MAX_FILE, err);
        model = json_object_get(s->json, "model");
        if (!s->json || !read_merges_json(s, json_object_get(model, "merges"), err))
            return false;
    } else if (!read_merges_text(s, arena_printf(s->arena, "%s/merges.txt", folder), err)) {
        return false;
    } else {
        s->regexes[s->n_regexes++] = GPT2_REGEX;
    }
    if (s->t->vocab.n > vocab)
        return fail(err, ERR_INVALID, "%d tokens, but the embedding has %lld rows", s->t->vocab.n,
                    (long long)vocab);
    if (json_flag(model, "byte_fallback", false))
        put_pieces(w, s, (size_t)vocab);
    else if (!read_regexes(s, err) || !put_words(w, s, (size_t)vocab, err))
        return false;
    return put_roles(w, s->t, err);
}

bool tokenizer_put_gguf(GgufWriter *w, const char *folder, int64_t vocab, Error *err)
{
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(folder, err);
    if (!t)
        return false;
    AUTO(arena_free) Arena *a = arena_new(0);
    Source s = {.t = t, .arena = a};
    bool put = put_all(w, &s, folder, vocab, err);
    json_decref(s.json);
    return put || fail_while(err, "tokenizer of '%s'", folder);
}
