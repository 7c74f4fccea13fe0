/* tokenizer_json.c: reads tokenizer.json.
 *
 * The vocabulary and the merges are nearly all of the file. They are cut out and read straight into
 * the tables (a 9 MB file opens in tens of milliseconds); what is left, the description of the
 * stages, is a few kilobytes and becomes ordinary JSON. The stages are read first, because whether
 * the model works on raw bytes decides how the vocabulary is kept. */
#include "text/tokenizer_internal.h"

enum { MAX_SKELETON = 64 << 20, MAX_PADDING = 1 << 24 };

typedef struct Parts {
    Str vocab, merges; // their JSON text; empty if absent
    json_t *rest;      // the document without them
} Parts;

static void add_member(Buf *out, Str key, Str value)
{
    if (out->ptr[out->len - 1] != '{')
        buf_add_char(out, ',');
    json_t *quoted = json_from_str(key);
    json_write(out, quoted);
    json_decref(quoted);
    buf_add_char(out, ':');
    buf_add(out, value);
}

/* Copies the model's members but the two large ones, whose text it notes. */
static void cut_model(JsonScan *s, Parts *parts, Buf *out)
{
    AUTO_BUF scratch;
    buf_init(&scratch, MAX_TOKEN_BYTES);
    Str key;
    buf_add(out, S("{"));
    json_scan_object(s);
    while (json_scan_key(s, &scratch, &key)) {
        bool vocab = str_eq(key, S("vocab")), merges = str_eq(key, S("merges"));
        Str value = json_scan_skip(s);
        if (vocab)
            parts->vocab = value;
        else if (merges)
            parts->merges = value;
        else
            add_member(out, key, value);
    }
    buf_add(out, S("}"));
}

static bool cut(Parts *parts, Str json, const char *name, Error *err)
{
    AUTO_BUF scratch, rest, model;
    buf_init(&scratch, MAX_TOKEN_BYTES);
    buf_init(&rest, MAX_SKELETON);
    buf_init(&model, MAX_SKELETON);
    JsonScan s = json_scan_of(json, name);
    Str key;
    buf_add(&rest, S("{"));
    json_scan_object(&s);
    while (json_scan_key(&s, &scratch, &key)) {
        if (str_eq(key, S("model")) && json_scan_peek(&s) == '{') {
            buf_reset(&model);
            cut_model(&s, parts, &model);
            add_member(&rest, S("model"), buf_str(&model));
        } else {
            add_member(&rest, key, json_scan_skip(&s));
        }
    }
    buf_add(&rest, S("}"));
    if (!json_scan_ok(&s, err) || !buf_ok(&rest, err) || !buf_ok(&model, err))
        return false;
    parts->rest = json_parse(buf_str(&rest), name, err);
    return parts->rest;
}

/* ---- Vocabulary and merges ---- */

bool vocab_read_object(Tokenizer *t, Str json, const char *name, Error *err)
{
    AUTO_BUF scratch;
    buf_init(&scratch, MAX_TOKEN_BYTES);
    JsonScan s = json_scan_of(json, name);
    // Ids are dense, so there are fewer than the text has bytes.
    int64_t most = (int64_t)MIN(json.len, MAX_TOKEN_ID - 1);
    Str token;
    vocab_expect(&t->vocab, json.len / 24); // bytes of an entry, about
    json_scan_object(&s);
    while (json_scan_key(&s, &scratch, &token)) {
        int64_t id = json_scan_int(&s, 0, most);
        if (s.error.code == ERR_NONE)
            vocab_add(t, (int32_t)id, token);
    }
    return json_scan_ok(&s, err);
}

/* Unigram: [[piece, score], …]; ids are positions. */
static bool read_scored(Tokenizer *t, Str json, double **scores, Error *err)
{
    AUTO_BUF scratch;
    buf_init(&scratch, MAX_TOKEN_BYTES);
    JsonScan s = json_scan_of(json, "model.vocab");
    AUTO_BUF list;
    buf_init(&list, 0);
    int32_t id = 0;
    json_scan_array(&s);
    for (; json_scan_item(&s); id++) {
        json_scan_array(&s);
        if (!json_scan_item(&s))
            json_scan_fail(&s, ERR_INVALID, "expected [piece, score]");
        Str piece = json_scan_string(&s, &scratch);
        Str kept = arena_str(t->arena, piece);
        if (!json_scan_item(&s))
            json_scan_fail(&s, ERR_INVALID, "expected [piece, score]");
        double score = json_scan_number(&s);
        if (json_scan_item(&s) || id >= MAX_TOKEN_ID - 1)
            json_scan_fail(&s, ERR_INVALID, "expected [piece, score]");
        if (s.error.code != ERR_NONE)
            break;
        buf_add_bytes(&list, &score, sizeof score);
        vocab_put(&t->vocab, id, kept, kept);
    }
    if (!json_scan_ok(&s, err))
        return false;
    *scores = arena_copy(t->arena, list.ptr, list.len);
    return true;
}

/* One merge: "left right", or ["left", "right"]. */
static bool read_merge(JsonScan *s, Buf *scratch, Buf *scratch2, Str *left, Str *right)
{
    if (json_scan_peek(s) == '[') {
        json_scan_array(s);
        bool two = json_scan_item(s);
        *left = json_scan_string(s, scratch);
        two = two && json_scan_item(s);
        *right = json_scan_string(s, scratch2);
        two = two && !json_scan_item(s);
        return two && s->error.code == ERR_NONE;
    }
    Str both = json_scan_string(s, scratch);
    size_t space = str_find_char(both, ' ', 0);
    if (space == SIZE_MAX || str_find_char(both, ' ', space + 1) != SIZE_MAX)
        return false;
    *left = str_slice(both, 0, space);
    *right = str_slice(both, space + 1, both.len);
    return true;
}

static bool read_merges(Tokenizer *t, Str json, Error *err)
{
    AUTO_BUF scratch, scratch2;
    buf_init(&scratch, MAX_TOKEN_BYTES);
    buf_init(&scratch2, MAX_TOKEN_BYTES);
    JsonScan s = json_scan_of(json, "model.merges");
    Str left, right;
    json_scan_array(&s);
    for (uint32_t rank = 0; json_scan_item(&s); rank++) {
        if (!read_merge(&s, &scratch, &scratch2, &left, &right))
            json_scan_fail(&s, ERR_INVALID, "merge %u is not two tokens", rank);
        else
            bpe_merge(t, left, right, rank);
    }
    return json_scan_ok(&s, err) && bpe_finish(t, "model.merges", err);
}

/* ---- The model ---- */

static const ModelKind *const model_kinds[] = {&model_bpe, &model_wordpiece, &model_wordlevel,
                                               &model_unigram};

/* Files from before 2021 lack the type; their fields give it away. */
static const char *model_type(const json_t *model, const Parts *parts)
{
    const char *type = json_text(model, "type", NULL);
    if (type)
        return type;
    if (parts->merges.len)
        return "BPE";
    if (json_object_get(model, "max_input_chars_per_word"))
        return "WordPiece";
    return parts->vocab.len && parts->vocab.ptr[0] == '[' ? "Unigram" : "WordLevel";
}

static const ModelKind *model_find(const char *type)
{
    for (size_t i = 0; i < COUNT(model_kinds); i++)
        if (strcmp(model_kinds[i]->name, type) == 0)
            return model_kinds[i];
    return NULL;
}

static bool start_unigram(Tokenizer *t, const json_t *model, const Parts *parts, Error *err)
{
    double *scores = NULL;
    if (!read_scored(t, parts->vocab, &scores, err))
        return false;
    int64_t unk = json_int(model, "unk_id", -1);
    if (unk < -1 || unk >= t->vocab.n)
        return fail(err, ERR_INVALID, "model.unk_id: %lld of %d pieces", (long long)unk,
                    t->vocab.n);
    unigram_start(t, scores, (int32_t)unk, json_flag(model, "byte_fallback", false));
    return true;
}

static bool read_model(Tokenizer *t, const json_t *model, const Parts *parts, Error *err)
{
    const char *type = model_type(model, parts);
    const ModelKind *kind = model_find(type);
    if (!kind)
        return fail(err, ERR_UNSUPPORTED, "model: there is no type '%s'", type);
    if (parts->vocab.len == 0)
        return fail(err, ERR_INVALID, "model.vocab: missing");
    // Fallback tokens stand for the bytes of a spelling, so then the text must be spelled.
    if (kind != &model_bpe || json_flag(model, "byte_fallback", false))
        pretokenizer_map_bytes(t);
    t->model = kind;
    if (kind == &model_unigram)
        return start_unigram(t, model, parts, err);
    if (!vocab_read_object(t, parts->vocab, "model.vocab", err))
        return false;
    if (!kind->read(t, model, err))
        return fail_while(err, "model");
    return kind != &model_bpe || parts->merges.len == 0 || read_merges(t, parts->merges, err);
}

/* ---- Added tokens ---- */

AddedToken added_of_json(Tokenizer *t, const json_t *value)
{
    bool special = json_flag(value, "special", false);
    return (AddedToken){.content = arena_str(t->arena, json_str(value, "content")),
                        .single_word = json_flag(value, "single_word", false),
                        .lstrip = json_flag(value, "lstrip", false),
                        .rstrip = json_flag(value, "rstrip", false),
                        .normalized = json_flag(value, "normalized", !special),
                        .special = special};
}

static bool read_added(Tokenizer *t, const json_t *list, size_t most, Error *err)
{
    if (list && !json_is_null(list) && !json_is_array(list))
        return fail(err, ERR_INVALID, "added_tokens: not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        int64_t id = json_int(value, "id", -1);
        if (json_str(value, "content").len == 0 || id < 0 || id >= MAX_TOKEN_ID ||
            (uint64_t)id > most)
            return fail(err, ERR_INVALID, "added_tokens[%zu]: needs a content and an id", i);
        AddedToken token = added_of_json(t, value);
        token.id = (int32_t)id;
        added_put(t, token);
    }
    return true;
}

/* ---- Truncation and padding ---- */

static bool read_choice(const json_t *value, const char *key, const char *const *names, size_t n,
                        size_t *out, Error *err)
{
    const char *text = json_text(value, key, names[0]);
    for (*out = 0; *out < n; ++*out)
        if (strcmp(text, names[*out]) == 0)
            return true;
    return fail(err, ERR_INVALID, "%s: there is no '%s'", key, text);
}

static const char *const directions[] = {"Right", "Left"};

static bool read_truncation(Tokenizer *t, const json_t *value, Error *err)
{
    static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
    if (!json_is_object(value))
        return true;
    size_t strategy, direction;
    if (!read_choice(value, "strategy", strategies, COUNT(strategies), &strategy, err) ||
        !read_choice(value, "direction", directions, COUNT(directions), &direction, err))
        return fail_while(err, "truncation");
    t->truncation = (Truncation){.max_length = json_int(value, "max_length", 512),
                                 .stride = json_int(value, "stride", 0),
                                 .strategy = (TruncationStrategy)strategy,
                                 .left = direction == 1};
    if (t->truncation.max_length < 0 || t->truncation.stride < 0)
        return fail(err, ERR_INVALID, "truncation: max_length or stride is negative");
    t->has_truncation = true;
    return true;
}

static bool read_padding(Tokenizer *t, const json_t *value, Error *err)
{
    if (!json_is_object(value))
        return true;
    size_t direction;
    if (!read_choice(value, "direction", directions, COUNT(directions), &direction, err))
        return fail_while(err, "padding");
    int64_t id = json_int(value, "pad_id", 0), type = json_int(value, "pad_type_id", 0);
    int64_t multiple = json_int(value, "pad_to_multiple_of", 0);
    int64_t fixed = json_int(json_object_get(value, "strategy"), "Fixed", 0);
    if (id < 0 || id >= MAX_TOKEN_ID || type < 0 || type > INT32_MAX || multiple < 0 ||
        multiple > MAX_PADDING || fixed < 0 || fixed > MAX_PADDING)
        return fail(err, ERR_INVALID, "padding: a number is out of range");
    t->padding = (Padding){.length = fixed,
                           .multiple_of = multiple,
                           .left = direction == 1,
                           .id = (int32_t)id,
                           .type_id = (int32_t)type};
    t->has_padding = true;
    return true;
}

static bool read_stages(Tokenizer *t, const Parts *parts, size_t size, Error *err)
{
    const json_t *rest = parts->rest;
    return normalizers_read(t, json_object_get(rest, "normalizer"), err) &&
           pretokenizers_read(t, json_object_get(rest, "pre_tokenizer"), err) &&
           decoders_read(t, json_object_get(rest, "decoder"), err) &&
           read_model(t, json_object_get(rest, "model"), parts, err) &&
           read_added(t, json_object_get(rest, "added_tokens"), size, err) &&
           postprocessors_read(t, json_object_get(rest, "post_processor"), err) &&
           read_truncation(t, json_object_get(rest, "truncation"), err) &&
           read_padding(t, json_object_get(rest, "padding"), err);
}

bool load_json(Tokenizer *t, Str json, const char *name, Error *err)
{
    if (!str_is_utf8(json))
        return fail(err, ERR_INVALID, "%s: not UTF-8", name);
    Parts parts = {0};
    if (!cut(&parts, json, name, err))
        return false;
    bool read = read_stages(t, &parts, json.len, err);
    json_decref(parts.rest);
    if (!read)
        return fail_while(err, "%s", name);
    return true;
}
