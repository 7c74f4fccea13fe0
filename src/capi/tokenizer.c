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

char *hug_tokenizer_decode_all(const HugTokenizer *t, const int32_t *ids, size_t n, size_t *bytes)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    tokenizer_decode(inner(t), ids, n, false, &text);
    *bytes = text.len;
    return buf_take(&text);
}

/* ---- Batches ---- */

struct HugBatch {
    Encoding *encodings;
    size_t n;
};

static EncodeOptions options_of(const HugEncodeOptions *o, Truncation *truncation, Padding *padding)
{
    *truncation =
        (Truncation){.max_length = o->max_length,
                     .stride = o->stride,
                     .strategy = o->truncate == HUG_TRUNCATE_ONLY_FIRST    ? ONLY_FIRST
                                 : o->truncate == HUG_TRUNCATE_ONLY_SECOND ? ONLY_SECOND
                                                                           : LONGEST_FIRST,
                     .left = o->truncate_left};
    *padding = (Padding){.length = o->pad_length,
                         .multiple_of = o->pad_to_multiple_of,
                         .left = o->pad_left,
                         .id = o->pad_id,
                         .type_id = o->pad_type_id};
    return (EncodeOptions){.add_special = o->special,
                           .spans = o->offsets,
                           .chars = o->offsets,
                           .details = o->details,
                           .truncation = o->truncate == HUG_TRUNCATE_NOT ? NULL : truncation,
                           .padding = o->pad ? padding : NULL};
}

HugBatch *hug_tokenizer_encode_batch(const HugTokenizer *t, const HugText *texts, size_t n,
                                     const HugEncodeOptions *options, HugError *err)
{
    Error e = {0};
    Truncation truncation;
    Padding padding;
    EncodeOptions o = options_of(options, &truncation, &padding);
    HugBatch *b = xcalloc(1, sizeof *b);
    b->n = n;
    b->encodings = xcalloc(n + 1, sizeof *b->encodings);
    EncodeInput *inputs = xcalloc(n + 1, sizeof *inputs);
    for (size_t i = 0; i < n; i++)
        inputs[i] = (EncodeInput){.text = {texts[i].text, texts[i].bytes},
                                  .pair = {texts[i].pair, texts[i].pair_bytes},
                                  .has_pair = texts[i].pair};
    bool ok = tokenizer_encode_batch(inner(t), inputs, n, &o, options->threads, b->encodings, &e);
    free(inputs);
    if (ok)
        return b;
    hug_batch_free(b);
    return capi_fail(err, &e);
}

HugTokens hug_batch_tokens(const HugBatch *b, size_t i, size_t window)
{
    if (i >= b->n || window > b->encodings[i].n_overflow)
        return (HugTokens){0};
    const Encoding *e = window ? &b->encodings[i].overflow[window - 1] : &b->encodings[i];
    return (HugTokens){.n = e->n,
                       .ids = e->ids,
                       .offsets = (const uint32_t *)(const void *)e->spans,
                       .words = e->words,
                       .type_ids = e->type_ids,
                       .attention_mask = e->attention_mask,
                       .special_tokens_mask = e->special_tokens_mask,
                       .sequences = e->sequences,
                       .n_overflow = window ? 0 : e->n_overflow};
}

void hug_batch_free(HugBatch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        encoding_done(&b->encodings[i]);
    free(b->encodings);
    free(b);
}

/* ---- Streams ---- */

static DecodeStream *inner_stream(HugDecodeStream *d)
{
    return (DecodeStream *)(void *)d;
}

static const char *given(Str text, size_t *bytes)
{
    *bytes = text.len;
    return text.len ? text.ptr : "";
}

HugDecodeStream *hug_decode_stream_new(const HugTokenizer *t, bool skip_special)
{
    return (HugDecodeStream *)(void *)decode_stream_new(inner(t), skip_special);
}

const char *hug_decode_stream_add(HugDecodeStream *d, int32_t id, size_t *bytes)
{
    return given(decode_stream_add(inner_stream(d), id), bytes);
}

const char *hug_decode_stream_finish(HugDecodeStream *d, size_t *bytes)
{
    return given(decode_stream_finish(inner_stream(d)), bytes);
}

void hug_decode_stream_free(HugDecodeStream *d)
{
    decode_stream_free(inner_stream(d));
}
