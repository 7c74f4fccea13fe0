/* A tokenizer.json, a NUL byte, and a text: opened, the text encoded and decoded. Without a NUL the
 * text is the file itself. Spans must lie in the text and ids in the vocabulary. */
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
