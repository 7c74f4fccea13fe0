/* tokenizer.c: see hug/tokenizer.h. A HugTokenizer is our Tokenizer under its public name. */
#include "text/tokenizer.h"

#include "capi/capi_internal.h"

#include <hug/tokenizer.h>

static const Tokenizer *inner(const HugTokenizer *t)
{
    return (const Tokenizer *)(const void *)t;
}

HugTokenizer *hug_tokenizer_open(const char *path, HugError *err)
{
    Error e = {0};
    Tokenizer *t = tokenizer_open(path, &e);
    return t ? (HugTokenizer *)(void *)t : capi_fail(err, &e);
}

void hug_tokenizer_free(HugTokenizer *t)
{
    tokenizer_free((Tokenizer *)(void *)t);
}

long hug_tokenizer_encode(const HugTokenizer *t, const char *text, size_t n, bool special,
                          int32_t *ids, size_t most, HugError *err)
{
    Error e = {0};
    AUTO_ENCODING encoding = {0};
    if (!tokenizer_encode(inner(t), (Str){text, n}, special, &encoding, &e)) {
        capi_fail(err, &e);
        return -1;
    }
    if (encoding.n > 0 && most > 0)
        memcpy(ids, encoding.ids, MIN(encoding.n, most) * sizeof *ids);
    return (long)encoding.n;
}

char *hug_tokenizer_decode(const HugTokenizer *t, const int32_t *ids, size_t n)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    tokenizer_decode(inner(t), ids, n, true, &text);
    return buf_take(&text);
}
