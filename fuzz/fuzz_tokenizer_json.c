/* A tokenizer.json, a NUL byte, and a text: opened, the text encoded, also as a pair, and decoded.
 * Without a NUL the text is the file itself. Spans must lie in the text and ids in the vocabulary.
 */
#include "fuzz.h"

#include "text/tokenizer.h"

static void check(const Tokenizer *t, const Encoding *e, Str text)
{
    for (size_t i = 0; i < e->n; i++) {
        CHECK(e->ids[i] >= 0 && e->ids[i] < tokenizer_size(t));
        CHECK(e->spans[i].start <= e->spans[i].end && e->spans[i].end <= text.len * 3);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str all = {(const char *)data, size}, json = all, text = all;
    size_t nul = str_find_char(all, 0, 0);
    if (nul != SIZE_MAX) {
        json = str_slice(all, 0, nul);
        text = str_slice(all, nul + 1, size);
    }
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_from_json(json, "tokenizer.json", NULL);
    if (!t)
        return 0;
    AUTO_ENCODING e = {0};
    text = str_slice(text, 0, 4096);
    if (!tokenizer_encode(t, text, true, &e, NULL))
        return 0;
    check(t, &e, text);
    // The halves as a pair, in windows, padded: all arrays are there and as long as they say.
    EncodeInput pair = {str_slice(text, 0, text.len / 2), str_slice(text, text.len / 2, text.len),
                        true};
    Truncation truncation = {.max_length = 12, .stride = 2, .left = size % 2};
    Padding padding = {.multiple_of = 5, .left = size % 3 == 0};
    EncodeOptions o = {.add_special = true,
                       .spans = true,
                       .details = true,
                       .truncation = &truncation,
                       .padding = &padding};
    AUTO_ENCODING two = {0};
    if (tokenizer_encode_with(t, &pair, &o, &two, NULL))
        for (size_t i = 0; i < two.n; i++)
            CHECK(two.sequences[i] <= 1 && two.words[i] >= -1 && two.attention_mask[i] <= 1);
    AUTO_BUF whole;
    buf_init(&whole, 1 << 20);
    tokenizer_decode(t, e.ids, e.n, false, &whole);
    AUTO(decode_stream_free) DecodeStream *stream = decode_stream_new(t, true);
    for (size_t i = 0; i < e.n && i < 64; i++)
        decode_stream_add(stream, e.ids[i]);
    decode_stream_finish(stream);
    encoding_count_chars(&e);
    return 0;
}
