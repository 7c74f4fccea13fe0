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
/* The text of n ids, special tokens left out. The caller's: hug_text_free. */
HUG_API char *hug_tokenizer_decode(const HugTokenizer *t, const int32_t *ids, size_t n);

#ifdef __cplusplus
}
#endif
