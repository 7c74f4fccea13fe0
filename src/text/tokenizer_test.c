#include "base/test.h"

#include "base/json.h"
#include "text/tokenizer_internal.h"

/* ---- What the reference library says: tests/golden/tokenizers, by tools/golden/tokenizer.py ----
 */

static const char *golden(const char *name)
{
    static char path[512];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/tokenizers/%s", root ? root : ".", name);
    return path;
}

static json_t *read_golden(const char *name)
{
    Error err = {0};
    json_t *value = json_read_file(golden(name), 16 << 20, &err);
    if (!value)
        fail_msg("%s", err.text);
    return value;
}

static Str text_of(const json_t *value)
{
    return (Str){json_string_value(value), json_string_length(value)};
}

static void check_ids(const char *name, Str text, const Encoding *e, const json_t *ids)
{
    bool same = e->n == json_array_size(ids);
    for (size_t i = 0; i < e->n && same; i++)
        same = e->ids[i] == json_integer_value(json_array_get(ids, i));
    if (same)
        return;
    print_error("%s: ids of '%.*s':", name, STR(text));
    for (size_t i = 0; i < e->n; i++)
        print_error(" %d", e->ids[i]);
    char *wanted = json_dumps(ids, JSON_COMPACT);
    fail_msg(", wanted %s", wanted);
}

static void check_offsets(const char *name, Str text, Encoding *e, const json_t *offsets)
{
    encoding_count_chars(e);
    for (size_t i = 0; i < e->n; i++) {
        json_int_t start = json_integer_value(json_array_get(offsets, i * 2));
        json_int_t end = json_integer_value(json_array_get(offsets, i * 2 + 1));
        if (start != e->spans[i].start || end != e->spans[i].end)
            fail_msg("%s: '%.*s': token %zu is at [%u,%u], wanted [%lld,%lld]", name, STR(text), i,
                     e->spans[i].start, e->spans[i].end, start, end);
    }
}

static void check_decoding(const Tokenizer *t, const char *name, const json_t *ids, bool skip,
                           Str wanted)
{
    int32_t list[4096];
    size_t n = json_array_size(ids);
    assert_true(n <= COUNT(list));
    AUTO(decode_stream_free) DecodeStream *stream = decode_stream_new(t, skip);
    AUTO_BUF whole, streamed;
    buf_init(&whole, 0);
    buf_init(&streamed, 0);
    for (size_t i = 0; i < n; i++) {
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
        buf_add(&streamed, decode_stream_add(stream, list[i]));
    }
    buf_add(&streamed, decode_stream_finish(stream));
    tokenizer_decode(t, list, n, skip, &whole);
    if (!str_eq(buf_str(&whole), wanted))
        fail_msg("%s: decoded '%.*s', wanted '%.*s'", name, STR(buf_str(&whole)), STR(wanted));
    // A stream cannot take back what a later token changes; these decoders never do.
    bool streams = t->byte_decoder || strstr(name, "llama");
    if (streams && !str_eq(buf_str(&streamed), wanted))
        fail_msg("%s: streamed '%.*s', wanted '%.*s'", name, STR(buf_str(&streamed)), STR(wanted));
}

static void check_case(const Tokenizer *t, const char *name, Str text, const json_t *c, Encoding *e)
{
    Error err = {0};
    const json_t *ids = json_object_get(c, "ids"), *bare = json_object_get(c, "bare");
    const json_t *decoded = json_object_get(c, "decoded"), *skipped = json_object_get(c, "skipped");
    assert_ok(tokenizer_encode(t, text, false, e, &err));
    check_ids(name, text, e, bare ? bare : ids);
    assert_ok(tokenizer_encode(t, text, true, e, &err));
    check_ids(name, text, e, ids);
    check_offsets(name, text, e, json_object_get(c, "offsets"));
    Str whole = decoded ? text_of(decoded) : text;
    check_decoding(t, name, ids, false, whole);
    check_decoding(t, name, ids, true, skipped ? text_of(skipped) : whole);
}

static void test_tokens_are_those_of_the_reference(void **state)
{
    static const char *const names[] = {
        "byte-level", "roberta",         "llama",        "llama3",     "metaspace", "clip",
        "prefixed",   "splits",          "digits",       "bert-cased", "unigram",   "unigram-bytes",
        "word-level", "byte-normalizer", "bert-uncased", "odd"};
    Error err = {0};
    AUTO(json_decref) json_t *texts = read_golden("texts.json");
    AUTO_ENCODING e = {0};
    for (size_t i = 0; i < COUNT(names); i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.cases.json", names[i]);
        AUTO(json_decref) json_t *cases = read_golden(file);
        snprintf(file, sizeof file, "%s.json", names[i]);
        AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(golden(file), &err);
        if (!t)
            fail_msg("%s", err.text);
        const json_t *list = json_object_get(cases, "cases");
        assert_int_equal(json_array_size(list), json_array_size(texts));
        for (size_t k = 0; k < json_array_size(list); k++)
            check_case(t, names[i], text_of(json_array_get(texts, k)), json_array_get(list, k), &e);
    }
}

int main(void)
{
    return RUN(test_tokens_are_those_of_the_reference);
}
