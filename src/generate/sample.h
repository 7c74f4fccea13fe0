/* From logits to a token: the processors that transformers applies, in its order.
 *
 * `processors` (processors.c) is the table of those that always apply, `warpers` (warpers.c) of
 * those that apply only when sampling; a row is one key of GenerationConfig. Greedy takes the first
 * largest score, sampling draws from their softmax. The scores agree with the reference; the draw
 * does not (its generator is another one), so sampled text differs while its distribution is the
 * same. A draw sorts nothing that is as long as the vocabulary and allocates nothing.
 *
 * Threads: a Sampler belongs to one thread at a time. It holds nothing of a sequence: one serves
 * any number of them, each with its own Random. */
#pragma once

#include "base/memory.h"
#include "base/random.h"

/* A list of token ids, borrowed. */
typedef struct TokenIds {
    const int32_t *ids;
    size_t n;
} TokenIds;

/* What the last of these tokens gains when those before it are the latest ones. */
typedef struct SequenceBias {
    TokenIds tokens;
    float bias;
} SequenceBias;

/* A watermark of the kind of Kirchenbauer 2023, arXiv:2301.10226: the tokens before choose a share
 * of the vocabulary that gains a bias. */
typedef struct WatermarkParams {
    double greenlist_ratio; // 0: no watermark
    float bias;
    int64_t hashing_key;
    bool selfhash; // else "lefthash"
    int64_t context_width;
} WatermarkParams;

/* The names are GenerationConfig's, but for frequency_penalty and presence_penalty, which are
 * OpenAI's. A zeroed struct is not neutral: see sample_params_neutral. */
typedef struct SampleParams {
    bool do_sample;
    float temperature;                                          // > 0
    int64_t top_k;                                              // 0: all
    float top_p;                                                // 1: all
    float top_h;                                                // 0: all
    float min_p;                                                // 0: all
    float typical_p;                                            // 1: all
    float epsilon_cutoff;                                       // 0: all
    float eta_cutoff;                                           // 0: all
    float guidance_scale;                                       // 1: none
    float repetition_penalty, encoder_repetition_penalty;       // 1: none
    float frequency_penalty, presence_penalty;                  // 0: none; of new tokens alone
    int64_t no_repeat_ngram_size, encoder_no_repeat_ngram_size; // 0: none
    int64_t min_length, min_new_tokens;                         // 0: none
    int64_t forced_bos;                                         // -1: none
    int64_t decay_start; // exponential_decay_length_penalty, in new tokens
    float decay_factor;  // 1: none
    bool remove_invalid_values, renormalize_logits;
    bool constrained;           // SampleInput.allowed counts
    int64_t min_tokens_to_keep; // what the filters leave; 1, with beams one more than end tokens
    TokenIds eos, forced_eos, suppress, begin_suppress;
    const SequenceBias *biases; // sequence_bias
    size_t n_biases;
    const TokenIds *bad_words;
    size_t n_bad_words;
    WatermarkParams watermark;
    float diversity_penalty; // taken off a token for each time that SampleInput.others has it
} SampleParams;

/* Greedy, and nothing changed. */
SampleParams sample_params_neutral(void);

/* One choice. */
typedef struct SampleInput {
    const float *logits;     // [vocab], left as they are; a NaN counts as minus infinity
    const float *unguided;   // [vocab] without the prompt, for guidance_scale; else NULL
    const int32_t *ids;      // the n tokens so far, the prompt's first
    size_t n, prompt;        // how many, and how many of them are the prompt's
    size_t max_length;       // the most there will be; 0: not known
    const uint64_t *allowed; // a bit for each token that may be chosen; NULL: all
    const int32_t *others;   // what n_others beams of other groups have just chosen
    size_t n_others;
} SampleInput;

typedef struct Sampler Sampler;

/* The lists of *p must outlive the sampler. */
Sampler *sampler_new(const SampleParams *p, int64_t vocab) __attribute__((returns_nonnull));
void sampler_free(Sampler *s);
AUTO_FREE(Sampler, sampler_free)

/* The next token. `random` is not touched by greedy choices. */
int32_t sampler_pick(Sampler *s, const SampleInput *in, Random *random);
/* What sampler_pick chooses among: [vocab], minus infinity for those that are left out; borrowed
 * until the next call. */
const float *sampler_scores(Sampler *s, const SampleInput *in);

/* A generator for the i-th sequence of a run with this seed. */
Random sample_random(uint64_t seed, size_t i);

/* log softmax(logits)[id], in double. */
double logit_logprob(const float *logits, int64_t vocab, int32_t id);
/* log of the sum of exp(logits), in double: logit_logprob is logits[id] minus this. */
double logits_logsum(const float *logits, int64_t vocab);
