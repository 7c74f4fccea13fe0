#include "base/test.h"

#include "base/file.h"
#include "base/json.h"
#include "text/chat.h"
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

/* ---- Scanners against PCRE2 ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Characters that the expressions tell apart, the dangerous ones often. */
static void random_text(uint32_t *state, Buf *out)
{
    static const char *const parts[] = {
        " ",    " ",  " ",  "\n",     "\r",     "\t",     "'",      "'",        "s",      "t",
        "ve",   "LL", "Re", "d",      "a",      "Z",      "é",      "ß",        "中",     "ع",
        "1",    "23", "½",  "٣",      ".",      "!",      "$",      "_",        "🤗",   "👍",
        "🏽", "ſ",  "İ",  "\u0301", "\u200d", "\u00a0", "\u3000", "\xC2\x85", "\u2028", "ͅ"};
    buf_reset(out);
    for (uint32_t n = next_random(state) % 24; n > 0; n--)
        buf_add(out, str_of(parts[next_random(state) % COUNT(parts)]));
}

/* The pattern with its scanner taken away. */
static Pattern by_regex(const char *regex, Arena *a)
{
    Error err = {0};
    char other[1024]; // one more character, so that no scanner is found
    snprintf(other, sizeof other, "(?:%s)", regex);
    Pattern p;
    assert_ok(pattern_compile(&p, str_of(other), "test", a, &err));
    assert_null(p.scan);
    return p;
}

static void test_scanners_split_as_their_expressions_do(void **state)
{
    static const char *const regexes[] = {GPT2_REGEX, LLAMA3_REGEX, QWEN2_REGEX};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_ENCODING e = {0};
    AUTO_BUF text;
    buf_init(&text, 0);
    Workspace *w = workspace_of(&e);
    for (size_t r = 0; r < COUNT(regexes); r++) {
        Scanner *scan = scanner_find(str_of(regexes[r]));
        assert_non_null(scan);
        Pattern pattern = by_regex(regexes[r], a);
        for (uint32_t seed = 1; seed <= 3000; seed++) {
            uint32_t random = seed;
            random_text(&random, &text);
            Matches m = matches_of(&pattern, w, buf_str(&text));
            size_t pos = 0;
            while (matches_next(&m, NULL)) {
                size_t end = scan(text.ptr, text.len, pos);
                if (m.from != pos || m.to != end)
                    fail_msg("expression %zu, seed %u: '%s' at %zu: scanner to %zu, PCRE2 to %zu",
                             r, seed, text.ptr, pos, end, m.to);
                pos = end;
            }
            assert_int_equal(pos, text.len);
        }
    }
}

static void test_expressions_are_translated(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"\\d{1,3}+", "(?:\\d{1,3})+"},
        {"(ab){2}+c", "(?:(ab){2})+c"},
        {"[a-z&&[^x]]+", "(?:(?![x])[a-z])+"},
        {"[\\h_]", "[0-9a-fA-F_]"},
        {"\\u4e00", "\\x{4e00}"},
        {"[]a]", "[\\]a]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF out;
        buf_init(&out, 0);
        regex_translate(str_of(rows[i].from), &out);
        assert_str(buf_str(&out), rows[i].to);
    }
}

/* ---- Files that are wrong ---- */

static void test_broken_files_are_refused_by_field(void **state)
{
    static const struct {
        const char *json;
        ErrorCode code;
        const char *words;
    } rows[] = {
        {"", ERR_INVALID, "expected '{'"},
        {"{\"model\": {\"type\": \"BPE\"}}", ERR_INVALID, "model.vocab: missing"},
        {"{\"model\": {\"type\": \"Magic\", \"vocab\": {}}}", ERR_UNSUPPORTED, "'Magic'"},
        {"{\"normalizer\": {\"type\": \"Odd\"}}", ERR_UNSUPPORTED, "normalizer: there is no type"},
        {"{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}}}",
         ERR_UNSUPPORTED, "pre_tokenizer: Split: pattern: expression '('"},
        {"{\"model\": {\"vocab\": {\"a\": 99999}}}", ERR_INVALID, "model.vocab: offset"},
        {"{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [\"a b\"]}}", ERR_INVALID, "merge 0"},
        {"{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [\"ab\"]}}", ERR_INVALID,
         "not two tokens"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 7}}",
         ERR_INVALID, "model.unk_id: 7"},
        {"{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 0}}, \"added_tokens\": [{}]}",
         ERR_INVALID, "added_tokens[0]"},
        {"{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 0}}, \"post_processor\": "
         "{\"type\":"
         " \"BertProcessing\", \"sep\": [\"x\", 9], \"cls\": [\"y\", 0]}}",
         ERR_INVALID, "BertProcessing: sep: expected"},
        {"\xff", ERR_INVALID, "not UTF-8"},
    };
    Error err = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_fails(tokenizer_from_json(str_of(rows[i].json), "t.json", &err), rows[i].code,
                     rows[i].words);
    assert_fails(tokenizer_open(test_folder(), &err), ERR_NOT_FOUND, "neither tokenizer.json");
}

static void test_a_missing_unknown_token_is_an_error_of_the_text(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0};
    AUTO(tokenizer_free)
    Tokenizer *t = tokenizer_from_json(
        S("{\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"?\", \"vocab\": {\"a\": 0}}}"),
        "t", &err);
    assert_ok(tokenizer_encode(t, S("a"), true, &e, &err));
    assert_int_equal(e.n, 1);
    assert_fails(tokenizer_encode(t, S("b"), true, &e, &err), ERR_INVALID, "unk_token '?'");
}

/* A token that takes the spaces behind it, before one that begins with a space: both have it. */
static void test_added_tokens_share_a_space_as_in_the_reference(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0};
    AUTO(tokenizer_free)
    Tokenizer *t = tokenizer_from_json(
        S("{\"added_tokens\": [{\"id\": 1, \"content\": \" the\", \"single_word\": false, "
          "\"lstrip\": false, \"rstrip\": true, \"normalized\": false, \"special\": false}], "
          "\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"?\", \"vocab\": {\"?\": 0}}}"),
        "t", &err);
    assert_ok(tokenizer_encode(t, S("a the the,"), true, &e, &err));
    assert_int_equal(e.n, 4);
    assert_true(e.ids[1] == 1 && e.spans[1].start == 1 && e.spans[1].end == 6);
    assert_true(e.ids[2] == 1 && e.spans[2].start == 5 && e.spans[2].end == 9);
}

/* ---- Texts ---- */

static void test_broken_utf8_is_replaced(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0}, clean = {0};
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(golden("byte-level.json"), &err);
    assert_ok(tokenizer_encode(t, S("a\xE4\xB8z\xFF"), true, &e, &err));
    assert_ok(tokenizer_encode(t, S("a\uFFFDz\uFFFD"), true, &clean, &err));
    assert_int_equal(e.n, clean.n);
    assert_memory_equal(e.ids, clean.ids, e.n * sizeof *e.ids);
    assert_memory_equal(e.spans, clean.spans, e.n * sizeof *e.spans);
}

/* A word without end takes the heap instead of the scan, and gives the same. */
static void test_long_words_take_no_quadratic_time(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0};
    AUTO_BUF text, back;
    buf_init(&text, 0);
    buf_init(&back, 0);
    for (int i = 0; i < 100000; i++)
        buf_add(&text, S("unbelievable"));
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(golden("byte-level.json"), &err);
    assert_ok(tokenizer_encode(t, buf_str(&text), true, &e, &err));
    tokenizer_decode(t, e.ids, e.n, true, &back);
    assert_true(str_eq(buf_str(&text), buf_str(&back)));
}

/* ---- Pairs, windows, padding, batches ---- */

static Tokenizer *open_golden(const char *name)
{
    Error err = {0};
    Tokenizer *t = tokenizer_open(golden(name), &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

static void assert_same(const Encoding *a, const Encoding *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ids, b->ids, a->n * sizeof *a->ids);
    assert_memory_equal(a->spans, b->spans, a->n * sizeof *a->spans);
}

static void test_a_pair_gets_the_template_of_pairs(void **state)
{
    static const int32_t types[] = {0, 0, 0, 1, 1}, words[] = {-1, 0, -1, 0, -1};
    static const int8_t sequences[] = {-1, 0, -1, 1, -1};
    static const uint8_t special[] = {1, 0, 1, 0, 1};
    Error err = {0};
    AUTO_ENCODING e = {0};
    AUTO(tokenizer_free) Tokenizer *t = open_golden("bert-uncased.json");
    EncodeInput input = {S("a"), S(" i"), true};
    EncodeOptions o = {.add_special = true, .spans = true, .details = true};
    assert_ok(tokenizer_encode_with(t, &input, &o, &e, &err));
    assert_int_equal(e.n, 5);
    assert_memory_equal(e.type_ids, types, sizeof types);
    assert_memory_equal(e.words, words, sizeof words);
    assert_memory_equal(e.sequences, sequences, sizeof sequences);
    assert_memory_equal(e.special_tokens_mask, special, sizeof special);
    assert_int_equal(e.spans[3].start, 1);
    assert_int_equal(e.ids[2], e.ids[4]);
}

static void test_truncation_cuts_windows_that_overlap(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0}, whole = {0};
    AUTO(tokenizer_free) Tokenizer *t = open_golden("bert-uncased.json");
    EncodeInput input = {.text = S("a b c d e f g")};
    Truncation truncation = {.max_length = 5, .stride = 1};
    EncodeOptions o = {.add_special = true, .truncation = &truncation};
    assert_ok(tokenizer_encode(t, input.text, false, &whole, &err));
    assert_int_equal(whole.n, 7);
    assert_ok(tokenizer_encode_with(t, &input, &o, &e, &err));
    assert_int_equal(e.n, 5);
    assert_int_equal(e.n_overflow, 2);
    assert_memory_equal(e.ids + 1, whole.ids, 3 * sizeof *e.ids);
    assert_memory_equal(e.overflow[0].ids + 1, whole.ids + 2, 3 * sizeof *e.ids);
    assert_memory_equal(e.overflow[1].ids + 1, whole.ids + 4, 3 * sizeof *e.ids);
    truncation.left = true;
    assert_ok(tokenizer_encode_with(t, &input, &o, &e, &err));
    assert_memory_equal(e.ids + 1, whole.ids + 4, 3 * sizeof *e.ids);
    truncation.stride = 3;
    assert_fails(tokenizer_encode_with(t, &input, &o, &e, &err), ERR_INVALID, "stride 3");
    truncation = (Truncation){.max_length = 1};
    assert_fails(tokenizer_encode_with(t, &input, &o, &e, &err), ERR_INVALID, "2 are special");
    truncation = (Truncation){.max_length = 5, .strategy = ONLY_SECOND};
    assert_fails(tokenizer_encode_with(t, &input, &o, &e, &err), ERR_INVALID, "no second text");
}

static void test_a_batch_is_its_texts_one_by_one(void **state)
{
    enum { TEXTS = 100 };
    Error err = {0};
    AUTO_ENCODING one = {0};
    AUTO_BUF texts;
    buf_init(&texts, 0);
    EncodeInput inputs[TEXTS];
    size_t ends[TEXTS];
    uint32_t random = 7;
    for (size_t i = 0; i < TEXTS; i++) {
        AUTO_BUF text;
        buf_init(&text, 0);
        random_text(&random, &text);
        buf_add(&texts, buf_str(&text));
        ends[i] = texts.len;
    }
    for (size_t i = 0; i < TEXTS; i++)
        inputs[i] = (EncodeInput){.text = str_slice(buf_str(&texts), i ? ends[i - 1] : 0, ends[i])};
    static const char *const names[] = {"byte-level.json", "bert-uncased.json", "unigram.json"};
    for (size_t k = 0; k < COUNT(names); k++) {
        AUTO(tokenizer_free) Tokenizer *t = open_golden(names[k]);
        EncodeOptions o = {.add_special = true, .spans = true};
        Encoding batch[TEXTS] = {{0}};
        assert_ok(tokenizer_encode_batch(t, inputs, TEXTS, &o, 4, batch, &err));
        size_t longest = 0;
        for (size_t i = 0; i < TEXTS; i++) {
            assert_ok(tokenizer_encode(t, inputs[i].text, true, &one, &err));
            assert_same(&one, &batch[i]);
            longest = MAX(longest, one.n);
        }
        o.padding = &(Padding){.multiple_of = 4, .id = 1};
        assert_ok(tokenizer_encode_batch(t, inputs, TEXTS, &o, 4, batch, &err));
        for (size_t i = 0; i < TEXTS; i++) {
            assert_int_equal(batch[i].n, (longest + 3) / 4 * 4);
            encoding_done(&batch[i]);
        }
    }
}

/* ---- sentencepiece ---- */

static void test_sentencepiece_models_are_read(void **state)
{
    // No cut of "▁He" gives two pieces, so the BPE cannot make it.
    static const char *const names[] = {"unigram", "bpe"}, *const first[] = {"▁Hello", "▁"};
    Error err = {0};
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[600];
        const char *root = getenv("HUG_SOURCE_ROOT");
        snprintf(path, sizeof path, "%s/fuzz/corpus/sentencepiece/%s", root ? root : ".", names[i]);
        AUTO_BUF bytes, text;
        AUTO_ENCODING e = {0};
        buf_init(&bytes, 1 << 20);
        buf_init(&text, 0);
        assert_ok(file_read(path, &bytes, &err));
        AUTO(tokenizer_free)
        Tokenizer *t = tokenizer_from_sentencepiece(buf_str(&bytes), names[i], &err);
        assert_ok(t);
        assert_ok(tokenizer_encode(t, S("Hello world"), false, &e, &err));
        assert_str(tokenizer_token(t, e.ids[0]), first[i]);
        tokenizer_decode(t, e.ids, e.n, true, &text);
        assert_str(buf_str(&text), "Hello world");
        assert_int_equal(tokenizer_special(t, SPECIAL_EOS), 2);
        for (size_t cut = 1; cut < 40; cut++) // broken inside the last parts
            tokenizer_free(tokenizer_from_sentencepiece(
                str_slice(buf_str(&bytes), 0, bytes.len - cut), names[i], &err));
    }
    assert_fails(tokenizer_from_sentencepiece(S("\x0a\x7f"), "m", &err), ERR_INVALID, "127 bytes");
    assert_fails(tokenizer_from_sentencepiece(S(""), "m", &err), ERR_INVALID, "0 pieces");
}

static void test_streams_hold_back_unfinished_characters(void **state)
{
    Error err = {0};
    AUTO_ENCODING e = {0};
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(golden("byte-level.json"), &err);
    assert_ok(tokenizer_encode(t, S("🦩"), false, &e, &err)); // four bytes in several tokens
    assert_true(e.n > 1);
    AUTO(decode_stream_free) DecodeStream *d = decode_stream_new(t, true);
    for (size_t i = 0; i + 1 < e.n; i++)
        assert_int_equal(decode_stream_add(d, e.ids[i]).len, 0);
    assert_str(decode_stream_add(d, e.ids[e.n - 1]), "🦩");
    decode_stream_add(d, e.ids[0]);
    assert_str(decode_stream_finish(d), "\uFFFD");
    assert_int_equal(decode_stream_finish(d).len, 0);
}

static void test_folders_tell_roles_and_templates(void **state)
{
    Error err = {0};
    char path[512];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/text-generation", root ? root : ".");
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(path, &err);
    if (!t)
        fail_msg("%s", err.text);
    assert_int_equal(tokenizer_special(t, SPECIAL_EOS), 0);
    assert_str(tokenizer_special_text(t, SPECIAL_BOS), "<|endoftext|>");
    assert_int_equal(tokenizer_special(t, SPECIAL_PAD), -1);
    assert_true(tokenizer_is_special(t, 0));
    assert_str(tokenizer_token(t, tokenizer_find(t, S("Ġthe"))), "Ġthe");
    assert_true(str_starts(tokenizer_chat_template(t, NULL), S("{% for m in messages %}")));
    assert_int_equal(tokenizer_chat_template(t, "tool_use").len, 0);
}

/* ---- Chats ---- */

static void test_chats_are_rendered(void **state)
{
    Error err = {0};
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(golden("byte-level.json"), &err);
    AUTO(json_decref)
    json_t *messages = json_parse(S("[{\"role\": \"user\", \"content\": \"hi\", \"name\": null},"
                                    " {\"role\": \"assistant\", \"content\": \"I am  \"}]"),
                                  "messages", &err);
    ChatOptions o = {.add_generation_prompt = true};
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(chat_render(t, messages, &o, &out, &err), ERR_UNSUPPORTED, "no chat template");
    o.template_source =
        S("{% for m in messages %}[{{ m.role }}{% if m.name is defined %}!{% endif "
          "%}]{{ m.content | trim }};{% endfor %}{{ '>' if add_generation_prompt }}");
    assert_ok(chat_render(t, messages, &o, &out, &err));
    assert_str(buf_str(&out), "[user]hi;[assistant]I am;>");
    // The template trims, so the message to be continued is trimmed too.
    buf_reset(&out);
    o.add_generation_prompt = false;
    o.continue_final_message = true;
    assert_ok(chat_render(t, messages, &o, &out, &err));
    assert_str(buf_str(&out), "[user]hi;[assistant]I am");
    buf_reset(&out);
    o.template_source = S("{% for m in messages %}{{ m.content }};{% endfor %}");
    assert_ok(chat_render(t, messages, &o, &out, &err));
    assert_str(buf_str(&out), "hi;I am  ");
    o.template_source = S("{{ raise_exception('only users') }}");
    o.continue_final_message = false;
    assert_fails(chat_render(t, messages, &o, &out, &err), ERR_INVALID, "only users");
    o.template_source = S("{% for %}");
    assert_fails(chat_render(t, messages, &o, &out, &err), ERR_INVALID, "chat template");
}

int main(void)
{
    return RUN(test_tokens_are_those_of_the_reference, test_scanners_split_as_their_expressions_do,
               test_expressions_are_translated, test_broken_files_are_refused_by_field,
               test_a_missing_unknown_token_is_an_error_of_the_text,
               test_added_tokens_share_a_space_as_in_the_reference, test_broken_utf8_is_replaced,
               test_long_words_take_no_quadratic_time, test_a_pair_gets_the_template_of_pairs,
               test_truncation_cuts_windows_that_overlap, test_a_batch_is_its_texts_one_by_one,
               test_sentencepiece_models_are_read, test_streams_hold_back_unfinished_characters,
               test_folders_tell_roles_and_templates, test_chats_are_rendered);
}
