/* postprocess.c: the post-processors of tokenizer.json, one row of `kinds` each, and the trimming
 * of spans. TemplateProcessing, BertProcessing and RobertaProcessing all become a template: a list
 * of special tokens and the places of the texts, which layout.c fills. */
#include "text/tokenizer_internal.h"

/* ---- Trimming ---- */

/* Space as a byte-level token spells it. */
static bool is_blank(int32_t code)
{
    return code == byte_to_char(' ') || is_space(code);
}

static size_t leading_blanks(Str text)
{
    size_t n = 0;
    for (size_t pos = 0; pos < text.len && is_blank(char_at(text.ptr, &pos));)
        n++;
    return n;
}

static size_t trailing_blanks(Str text)
{
    size_t n = 0;
    for (size_t pos = text.len; pos > 0 && is_blank(char_before(text.ptr, &pos));)
        n++;
    return n;
}

/* Counts are of characters, as the spans' spaces are. */
static void trim_span(Span *span, Str original, size_t leading, size_t trailing)
{
    size_t start = span->start, end = span->end;
    while (leading-- > 0 && start < end)
        char_at(original.ptr, &start);
    while (trailing-- > 0 && end > start)
        char_before(original.ptr, &end);
    *span = (Span){(uint32_t)start, (uint32_t)end};
}

/* The white space at both ends of a token's own spelling; of an added token's, which took along
 * what was around it, in the text. */
static Str spelling(const Tokenizer *t, int32_t id, Span bytes, Str original)
{
    bool shows_text = t->vocab.flags[id] & TOKEN_ADDED || (t->unigram && id == t->unigram_unk);
    return shows_text ? str_slice(original, bytes.start, bytes.end) : t->vocab.texts[id];
}

static void trim_once(const Tokenizer *t, Trim trim, const int32_t *ids, Span *spans, size_t n,
                      const Span *bytes, Str original, bool chars)
{
    for (size_t i = 0; i < n; i++) {
        Str text = spelling(t, ids[i], bytes[i], original);
        if (text.len == 0)
            continue;
        size_t leading = leading_blanks(text), trailing = trailing_blanks(text);
        // The first space may be one that we put there: then it is not in the span.
        if (trim.add_prefix_space && leading == 1 && (i == 0 || spans[i].start == 0))
            leading = 0;
        if (leading == 0 && trailing == 0)
            continue;
        Span *span = &spans[i];
        if (!chars) {
            trim_span(span, original, leading, trailing);
            continue;
        }
        span->start = (uint32_t)MIN(span->start + leading, span->end);
        if (span->end >= trailing)
            span->end = (uint32_t)MAX((int64_t)span->end - (int64_t)trailing, span->start);
    }
}

void trim_spans(const Tokenizer *t, const int32_t *ids, Span *spans, size_t n, const Span *bytes,
                Str original, bool chars)
{
    for (size_t i = 0; i < t->post.trims_n; i++)
        trim_once(t, t->post.trims[i], ids, spans, n, bytes, original, chars);
}

/* ---- Templates ---- */

static PostItem special_item(Arena *a, int32_t id, int32_t type_id)
{
    return (PostItem){.ids = arena_copy(a, &id, sizeof id), .n = 1, .type_id = type_id};
}

/* BERT's [CLS] a [SEP] b [SEP], or RoBERTa's <s> a </s></s> b </s>; ids of -1 are left out. */
static void put_around(Tokenizer *t, int32_t before, int32_t behind, bool roberta)
{
    PostItem *single = NEW_ARRAY(t->arena, PostItem, 3), *pair = NEW_ARRAY(t->arena, PostItem, 6);
    int32_t second = roberta ? 0 : 1;
    size_t n = 0, m = 0;
    if (before >= 0)
        pair[m++] = single[n++] = special_item(t->arena, before, 0);
    pair[m++] = single[n++] = (PostItem){.sequence = 0};
    if (behind >= 0)
        pair[m++] = single[n++] = special_item(t->arena, behind, 0);
    if (behind >= 0 && roberta)
        pair[m++] = special_item(t->arena, behind, 0);
    pair[m++] = (PostItem){.sequence = 1, .type_id = second};
    if (behind >= 0)
        pair[m++] = special_item(t->arena, behind, second);
    t->post.single = (Template){single, n};
    t->post.pair = (Template){pair, m};
    t->post.only_special = true;
    t->post.one_type = roberta;
}

static bool read_token(Tokenizer *t, const json_t *value, const char *key, int32_t *id, Error *err)
{
    const json_t *number = json_array_get(json_object_get(value, key), 1);
    json_int_t n = json_integer_value(number);
    if (!json_is_integer(number) || n < 0 || n >= t->vocab.n)
        return fail(err, ERR_INVALID, "%s: expected [token, id]", key);
    *id = (int32_t)n;
    return true;
}

static bool read_bert(Tokenizer *t, const json_t *value, Error *err)
{
    int32_t cls, sep;
    if (!read_token(t, value, "cls", &cls, err) || !read_token(t, value, "sep", &sep, err))
        return false;
    put_around(t, cls, sep, false);
    return true;
}

static bool read_byte_level(Tokenizer *t, const json_t *value, Error *err)
{
    if (json_flag(value, "trim_offsets", true))
        t->post.trims[t->post.trims_n++] =
            (Trim){.add_prefix_space = json_flag(value, "add_prefix_space", true)};
    return true;
}

static bool read_roberta(Tokenizer *t, const json_t *value, Error *err)
{
    int32_t cls, sep;
    if (!read_byte_level(t, value, err) || !read_token(t, value, "cls", &cls, err) ||
        !read_token(t, value, "sep", &sep, err))
        return false;
    put_around(t, cls, sep, true);
    return true;
}

static bool read_special(Tokenizer *t, PostItem *item, const char *name, const json_t *specials,
                         Error *err)
{
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids");
    item->n = json_array_size(ids);
    if (item->n == 0)
        return fail(err, ERR_INVALID, "special_tokens: '%s' is missing", name);
    item->ids = NEW_ARRAY(t->arena, int32_t, item->n);
    for (size_t i = 0; i < item->n; i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));
        if (id < 0 || id >= t->vocab.n)
            return fail(err, ERR_INVALID, "special_tokens: '%s' has id %lld", name, (long long)id);
        item->ids[i] = (int32_t)id;
    }
    return true;
}

static bool read_items(Tokenizer *t, Template *template, const json_t *value, const char *key,
                       Error *err)
{
    const json_t *list = json_object_get(value, key);
    const json_t *specials = json_object_get(value, "special_tokens");
    size_t n = json_array_size(list);
    if (n > MAX_COMPONENTS)
        return fail(err, ERR_LIMIT, "%s: %zu items", key, n);
    template->items = NEW_ARRAY(t->arena, PostItem, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        const json_t *sequence = json_object_get(item, "Sequence");
        PostItem *out = &template->items[i];
        int64_t type = json_int(special ? special : sequence, "type_id", 0);
        out->sequence = strcmp(json_text(sequence, "id", "A"), "B") == 0;
        if (!special && !sequence)
            return fail(err, ERR_INVALID, "%s: item %zu is neither SpecialToken nor Sequence", key,
                        i);
        if (type < 0 || type > INT32_MAX || (out->sequence && template == &t->post.single))
            return fail(err, ERR_INVALID, "%s: item %zu: type_id %lld, or a second text", key, i,
                        (long long)type);
        out->type_id = (int32_t)type;
        if (special && !read_special(t, out, json_text(special, "id", "?"), specials, err))
            return false;
    }
    template->n = n;
    return true;
}

static bool read_template(Tokenizer *t, const json_t *value, Error *err)
{
    return read_items(t, &t->post.single, value, "single", err) &&
           read_items(t, &t->post.pair, value, "pair", err);
}

/* ---- Reading ---- */

static const struct {
    const char *type;
    bool (*read)(Tokenizer *t, const json_t *value, Error *err);
    bool template;
} kinds[] = {
    {"TemplateProcessing", read_template, true},
    {"BertProcessing", read_bert, true},
    {"RobertaProcessing", read_roberta, true},
    {"ByteLevel", read_byte_level, false},
};

static bool read_one(Tokenizer *t, const json_t *value, Error *err)
{
    const char *type = json_text(value, "type", "?");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (kinds[i].template && t->post.single.items)
            return fail(err, ERR_UNSUPPORTED, "%s: a second template", type);
        if (!kinds[i].read(t, value, err))
            return fail_while(err, "%s", type);
        return true;
    }
    return fail(err, ERR_UNSUPPORTED, "there is no type '%s'", type);
}

bool postprocessors_read(Tokenizer *t, const json_t *value, Error *err)
{
    const json_t *list[MAX_COMPONENTS];
    size_t n;
    if (!components_list(value, "processors", list, &n, err))
        return fail_while(err, "post_processor");
    t->post.trims = NEW_ARRAY(t->arena, Trim, n);
    for (size_t i = 0; i < n; i++)
        if (!read_one(t, list[i], err))
            return fail_while(err, "post_processor");
    return true;
}

void postprocessor_set(Tokenizer *t, bool trims, int32_t before, int32_t behind, PairStyle style)
{
    t->post = (PostProcess){.trims = NEW(t->arena, Trim), .trims_n = trims};
    if (before >= 0 || behind >= 0)
        put_around(t, before, behind, style == PAIR_ROBERTA);
}
