/* postprocess.c: what happens to the tokens of a whole text: spans lose their spaces, and special
 * tokens are put around.
 *
 * TemplateProcessing, BertProcessing and RobertaProcessing all become a template: a list of special
 * tokens and the place of the text. Templates for pairs of texts are not read. */
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

static void trim(const Tokenizer *t, Workspace *w, bool add_prefix_space)
{
    Encoding *e = w->out;
    for (size_t i = 0; i < e->n; i++) {
        Span *span = &e->spans[i];
        Str text = t->vocab.texts[e->ids[i]];
        if (t->vocab.flags[e->ids[i]] & TOKEN_ADDED) // with the white space that it took along
            text = str_slice(w->original, span->start, span->end);
        if (text.len == 0)
            continue;
        size_t leading = leading_blanks(text), trailing = trailing_blanks(text);
        if (leading == 0 && trailing == 0)
            continue;
        // The first space may be one that we put there: then it is not in the span.
        if (add_prefix_space && (i == 0 || span->start == 0))
            leading = 0;
        trim_span(span, w->original, leading, trailing);
    }
}

/* ---- Templates ---- */

static PostItem item_of(Arena *a, const int32_t *ids, size_t n)
{
    return (PostItem){arena_copy(a, ids, n * sizeof *ids), n};
}

static void put_around(Tokenizer *t, PostProcessor *post, int32_t before, int32_t behind)
{
    post->items = NEW_ARRAY(t->arena, PostItem, 3);
    if (before >= 0)
        post->items[post->n++] = item_of(t->arena, &before, 1);
    post->items[post->n++] = (PostItem){0};
    if (behind >= 0)
        post->items[post->n++] = item_of(t->arena, &behind, 1);
}

static bool read_pair(Tokenizer *t, const json_t *value, const char *key, int32_t *id, Error *err)
{
    const json_t *number = json_array_get(json_object_get(value, key), 1);
    json_int_t n = json_integer_value(number);
    if (!json_is_integer(number) || n < 0 || n >= t->vocab.n)
        return fail(err, ERR_INVALID, "%s: expected [token, id]", key);
    *id = (int32_t)n;
    return true;
}

static bool read_around(Tokenizer *t, PostProcessor *post, const json_t *value, Error *err)
{
    int32_t cls, sep;
    if (!read_pair(t, value, "cls", &cls, err) || !read_pair(t, value, "sep", &sep, err))
        return false;
    put_around(t, post, cls, sep);
    return true;
}

static bool read_byte_level(Tokenizer *t, PostProcessor *post, const json_t *value, Error *err)
{
    post->trim = json_flag(value, "trim_offsets", true);
    post->add_prefix_space = json_flag(value, "add_prefix_space", true);
    return true;
}

static bool read_roberta(Tokenizer *t, PostProcessor *post, const json_t *value, Error *err)
{
    return read_byte_level(t, post, value, err) && read_around(t, post, value, err);
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

static bool read_template(Tokenizer *t, PostProcessor *post, const json_t *value, Error *err)
{
    const json_t *single = json_object_get(value, "single");
    const json_t *specials = json_object_get(value, "special_tokens");
    size_t n = json_array_size(single);
    if (n > MAX_COMPONENTS)
        return fail(err, ERR_LIMIT, "single: %zu items", n);
    post->items = NEW_ARRAY(t->arena, PostItem, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(single, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        if (special) {
            if (!read_special(t, &post->items[i], json_text(special, "id", "?"), specials, err))
                return false;
        } else if (!json_object_get(item, "Sequence")) {
            return fail(err, ERR_INVALID, "single: item %zu is neither SpecialToken nor Sequence",
                        i);
        }
    }
    post->n = n;
    return true;
}

/* Replaces the encoding by the template's items; the text's own tokens stay in order. */
static void apply_template(const PostProcessor *post, Encoding *e)
{
    size_t before = 0, behind = 0, text = 0;
    for (size_t i = 0; i < post->n; i++) {
        text += !post->items[i].ids;
        *(text ? &behind : &before) += post->items[i].n;
    }
    if (text > 1 || (before == 0 && behind == 0)) // a template that repeats the text makes no sense
        return;
    size_t own = text ? e->n : 0;
    encoding_reserve(e, before + own + behind);
    memmove(e->ids + before, e->ids, own * sizeof *e->ids);
    memmove(e->spans + before, e->spans, own * sizeof *e->spans);
    size_t at = 0;
    for (size_t i = 0; i < post->n; i++) {
        const PostItem *item = &post->items[i];
        if (!item->ids)
            at += own;
        for (size_t k = 0; k < item->n; k++, at++) {
            e->ids[at] = item->ids[k];
            e->spans[at] = (Span){0};
        }
    }
    e->n = at;
}

/* ---- Reading and running ---- */

static const struct {
    const char *type;
    bool (*read)(Tokenizer *t, PostProcessor *post, const json_t *value, Error *err);
} kinds[] = {
    {"TemplateProcessing", read_template},
    {"BertProcessing", read_around},
    {"RobertaProcessing", read_roberta},
    {"ByteLevel", read_byte_level},
};

static bool read_one(Tokenizer *t, const json_t *value, Error *err)
{
    const char *type = json_text(value, "type", "?");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (!kinds[i].read(t, &t->post[t->post_n], value, err))
            return fail_while(err, "%s", type);
        t->post_n++;
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
    t->post = NEW_ARRAY(t->arena, PostProcessor, n);
    for (size_t i = 0; i < n; i++)
        if (!read_one(t, list[i], err))
            return fail_while(err, "post_processor");
    return true;
}

void postprocessor_set(Tokenizer *t, bool trims, int32_t before, int32_t behind)
{
    t->post = NEW(t->arena, PostProcessor);
    t->post_n = 1;
    t->post->trim = trims;
    if (before >= 0 || behind >= 0)
        put_around(t, t->post, before, behind);
}

void postprocess(const Tokenizer *t, Workspace *w, bool add_special)
{
    for (size_t i = 0; i < t->post_n; i++) {
        if (t->post[i].trim)
            trim(t, w, t->post[i].add_prefix_space);
        if (add_special && t->post[i].items)
            apply_template(&t->post[i], w->out);
    }
}
