/* Text to token ids and back, as the model's own tokenizer does it.
 * Threads: a HugTokenizer may be used by any number of threads. */
#pragma once

#include <hug/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HugTokenizer HugTokenizer;

/* path is a model folder, a tokenizer.json or a .gguf file. */
HUG_API HugTokenizer *hug_tokenizer_open(const char *path, HugError *err);
HUG_API void hug_tokenizer_free(HugTokenizer *t);
/* Stores up to `most` ids of the n bytes of text, and returns how many there are; -1 on failure.
 * special: with the tokens that the model wants around a text. */
HUG_API long hug_tokenizer_encode(const HugTokenizer *t, const char *text, size_t n, bool special,
                                  int32_t *ids, size_t most, HugError *err);
/* Many texts at once, with all that a model may be fed. */
typedef struct HugText { // of `bytes` bytes; a pair is a text that belongs to it, or NULL
    const char *text;
    size_t bytes;
    const char *pair;
    size_t pair_bytes;
} HugText;

typedef enum HugTruncate {
    HUG_TRUNCATE_NOT,
    HUG_TRUNCATE_LONGEST_FIRST,
    HUG_TRUNCATE_ONLY_FIRST,
    HUG_TRUNCATE_ONLY_SECOND
} HugTruncate;

typedef struct HugEncodeOptions { // zeroed: ids alone, without special tokens
    bool special;                 // with the tokens that the model wants around a text
    bool offsets;                 // in code points
    bool details;                 // words, type_ids, masks, sequences
    HugTruncate truncate;
    bool truncate_left;
    int64_t max_length, stride; // of the truncation, in tokens
    bool pad;                   // to the longest, or to pad_length if that is not 0
    bool pad_left;
    int64_t pad_length, pad_to_multiple_of;
    int32_t pad_id, pad_type_id;
    int threads; // 0: one for each processor
} HugEncodeOptions;

typedef struct HugTokens { // borrowed from the batch; what was not asked for is NULL
    size_t n;
    const int32_t *ids;
    const uint32_t *offsets; // 2 n: from, to
    const int32_t *words;    // -1: of no word
    const int32_t *type_ids;
    const uint8_t *attention_mask, *special_tokens_mask;
    const int8_t *sequences; // 0: the text, 1: its pair, -1: neither
    size_t n_overflow;       // windows that truncation cut off
} HugTokens;

typedef struct HugBatch HugBatch;
/* NULL on failure, which names the first text that failed. */
HUG_API HugBatch *hug_tokenizer_encode_batch(const HugTokenizer *t, const HugText *texts, size_t n,
                                             const HugEncodeOptions *options, HugError *err);
/* The tokens of text i: `window` 0 its own, 1 to n_overflow what was cut off. Empty past the end.
 */
HUG_API HugTokens hug_batch_tokens(const HugBatch *b, size_t i, size_t window);
HUG_API void hug_batch_free(HugBatch *b);

/* The text of n ids, special tokens left out. The caller's: hug_text_free. */
HUG_API char *hug_tokenizer_decode(const HugTokenizer *t, const int32_t *ids, size_t n);
/* The same with the special tokens; *bytes is its length, because tokens may be NUL bytes. */
HUG_API char *hug_tokenizer_decode_all(const HugTokenizer *t, const int32_t *ids, size_t n,
                                       size_t *bytes);

/* Ids to text as they come: only whole characters are given out. */
typedef struct HugDecodeStream HugDecodeStream;
HUG_API HugDecodeStream *hug_decode_stream_new(const HugTokenizer *t, bool skip_special);
/* The text that this id completes, often empty; borrowed until the next call. */
HUG_API const char *hug_decode_stream_add(HugDecodeStream *d, int32_t id, size_t *bytes);
/* What was held back. */
HUG_API const char *hug_decode_stream_finish(HugDecodeStream *d, size_t *bytes);
HUG_API void hug_decode_stream_free(HugDecodeStream *d);

#ifdef __cplusplus
}
#endif
