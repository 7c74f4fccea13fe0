/* Language models: text continued, token by token.
 *
 *     HugError err;
 *     HugModel *m = hug_model_open("gpt2", NULL, &err);
 *     char *text = hug_model_generate(m, "Once upon", "{\"max_new_tokens\": 40}", NULL, NULL,
 * &err);
 *
 * Parameters are a JSON object with the keys of transformers' GenerationConfig: max_new_tokens,
 * do_sample, temperature, top_k, top_p, min_p, repetition_penalty, seed, stop, ... What is not
 * given the model's generation_config.json says. Threads: a HugModel belongs to one thread at a
 * time. The cache of the last call is kept, so that a prompt that goes on from it is not computed
 * twice. */
#pragma once

#include <hug/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HugModel HugModel;

/* path is a folder or a .gguf file; dtype of the weights: "auto" (as stored; NULL is the same),
 * "f32", "bf16", "q8_0", "q4_0", ... */
HUG_API HugModel *hug_model_open(const char *path, const char *dtype, HugError *err);
HUG_API void hug_model_free(HugModel *m);
HUG_API int64_t hug_model_vocab_size(const HugModel *m);
HUG_API int64_t hug_model_max_tokens(const HugModel *m);

/* Called with each piece of text as it is found; false ends the generation. */
typedef bool (*HugOnText)(void *context, const char *text, size_t n);

/* The continuation of prompt, without it. The caller's: hug_text_free. parameters and on_text may
 * be NULL. */
HUG_API char *hug_model_generate(HugModel *m, const char *prompt, const char *parameters,
                                 HugOnText on_text, void *context, HugError *err);
/* The same on token ids: stores up to `most` new ids, and returns how many there are; -1 on
 * failure. Works for models without a tokenizer, unless parameters have stop texts. */
HUG_API long hug_model_generate_ids(HugModel *m, const int32_t *prompt, size_t n,
                                    const char *parameters, int32_t *ids, size_t most,
                                    HugError *err);
/* The logits behind n tokens, hug_model_vocab_size of them; borrowed until the next call. */
HUG_API const float *hug_model_logits(HugModel *m, const int32_t *ids, size_t n, HugError *err);

#ifdef __cplusplus
}
#endif
