/* A sentencepiece model; what opens encodes a text of many scripts and decodes it again. */
#include "fuzz.h"

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str bytes = {(const char *)data, size};
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_from_sentencepiece(bytes, "model", NULL);
    if (!t)
        return 0;
    AUTO_ENCODING e = {0};
    if (!tokenizer_encode(t, S("  Hello world, \uFB01ne \u2460 <s> \u4E2D\u6587 \U0001F917 "), true,
                          &e, NULL))
        return 0;
    for (size_t i = 0; i < e.n; i++)
        CHECK(e.ids[i] >= 0 && e.ids[i] < tokenizer_size(t));
    AUTO_BUF text;
    buf_init(&text, 1 << 20);
    tokenizer_decode(t, e.ids, e.n, false, &text);
    return 0;
}
