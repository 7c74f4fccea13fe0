/* From logits to a token: the processors that transformers applies, in its order.
 *
 * repetition penalty, no repeated n-grams, minimum length, suppressed tokens; then, only when
 * sampling: temperature, top-k, top-p, min-p, typical-p, and a draw. Greedy takes the first
 * largest. The filters agree with the reference; the draw does not (its generator is another one),
 * so sampled text differs while its distribution is the same. Threads: a Sampler belongs to one
 * thread at a time. */
#pragma once

#include "base/memory.h"
#include "base/random.h"

typedef struct SampleParams {
    bool do_sample;
    float temperature;         // > 0
    int64_t top_k;             // 0: all
    float top_p;               // 1: all
    float min_p;               // 0: all
    float typical_p;           // 1: all
    float repetition_penalty;  // 1: none
    int64_t no_repeat_ngram;   // 0: none
    const int32_t *suppressed; // never sampled
    size_t n_suppressed;
} SampleParams;

typedef struct Sampler Sampler;

Sampler *sampler_new(const SampleParams *p, int64_t vocab, uint64_t seed)
    __attribute__((returns_nonnull));
void sampler_free(Sampler *s);
AUTO_FREE(Sampler, sampler_free)

/* Picks the token behind `ids`, the n tokens so far with the prompt, from vocab logits (left as
 * they are). The n_barred tokens of `barred` are not picked: end tokens before the minimum length.
 * A NaN counts as minus infinity. */
int32_t sampler_pick(Sampler *s, const float *logits, const int32_t *ids, size_t n,
                     const int32_t *barred, size_t n_barred);

/* log softmax(logits)[id], in double. */
double logit_logprob(const float *logits, int64_t vocab, int32_t id);
