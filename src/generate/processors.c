/* processors.c: the table of what changes the scores before anything is chosen, in the order of
 * transformers' `_get_logits_processor`. OpenAI's two penalties, which transformers does not have,
 * stand beside its repetition penalty. */
#include "generate/sample_internal.h"

#include <float.h>
#include <math.h>

static void bar(Sampler *s, TokenIds tokens)
{
    for (size_t i = 0; i < tokens.n; i++)
        if (in_vocab(s, tokens.ids[i]))
            s->scores[tokens.ids[i]] = -INFINITY;
}

static void log_softmax(float *scores, int64_t n)
{
    float sum = (float)logits_logsum(scores, n);
    for (int64_t i = 0; i < n; i++)
        scores[i] -= sum;
}

// ---- guidance_scale ----

static bool wants_guidance(const SampleParams *p)
{
    return p->guidance_scale != 1;
}

/* Classifier-free guidance, Sanchez 2023, arXiv:2306.17806. */
static void guide(Sampler *s, const SampleInput *in)
{
    if (!in->unguided)
        return;
    float scale = s->params.guidance_scale;
    float sum = (float)logits_logsum(in->unguided, s->vocab);
    log_softmax(s->scores, s->vocab);
    for (int64_t i = 0; i < s->vocab; i++) {
        float without = in->unguided[i] - sum;
        s->scores[i] = scale * (s->scores[i] - without) + without;
    }
}

// ---- sequence_bias, bad_words_ids ----

static bool wants_biases(const SampleParams *p)
{
    return p->n_biases > 0;
}

/* The latest tokens are all of `tokens` but its last one. */
static bool would_end(TokenIds tokens, const SampleInput *in)
{
    size_t before = tokens.n - 1;
    return before <= in->n &&
           memcmp(in->ids + in->n - before, tokens.ids, before * sizeof *tokens.ids) == 0;
}

/* Adds to the score of the last of `tokens` if those before it are there. */
static void add_bias(Sampler *s, const SampleInput *in, TokenIds tokens, float bias)
{
    if (tokens.n > 0 && in_vocab(s, tokens.ids[tokens.n - 1]) &&
        (tokens.n == 1 || would_end(tokens, in)))
        s->scores[tokens.ids[tokens.n - 1]] += bias;
}

static void add_biases(Sampler *s, const SampleInput *in)
{
    for (size_t i = 0; i < s->params.n_biases; i++)
        add_bias(s, in, s->params.biases[i].tokens, s->params.biases[i].bias);
}

static bool wants_bad_words(const SampleParams *p)
{
    return p->n_bad_words > 0;
}

static bool is_end(const SampleParams *p, int32_t id)
{
    for (size_t i = 0; i < p->eos.n; i++)
        if (p->eos.ids[i] == id)
            return true;
    return false;
}

static void bar_bad_words(Sampler *s, const SampleInput *in)
{
    for (size_t i = 0; i < s->params.n_bad_words; i++) {
        TokenIds word = s->params.bad_words[i];
        if (word.n != 1 || !is_end(&s->params, word.ids[0])) // an end is no bad word
            add_bias(s, in, word, -INFINITY);
    }
}

// ---- diversity_penalty ----

static bool wants_diversity(const SampleParams *p)
{
    return p->diversity_penalty != 0;
}

static void penalize_others(Sampler *s, const SampleInput *in)
{
    for (size_t i = 0; i < in->n_others; i++)
        if (in_vocab(s, in->others[i]))
            s->scores[in->others[i]] -= s->params.diversity_penalty;
}

// ---- Penalties of what occurred ----

/* Each of the tokens [from, to), once however often it occurred; how often is in s->count. */
static size_t stamp_tokens(Sampler *s, const SampleInput *in, size_t from, size_t to,
                           int32_t *distinct)
{
    size_t n = 0;
    if (++s->stamp == 0) { // came round: old stamps would count
        memset(s->seen, 0, (size_t)s->vocab * sizeof *s->seen);
        s->stamp = 1;
    }
    for (size_t i = from; i < to; i++) {
        int32_t id = in->ids[i];
        if (!in_vocab(s, id))
            continue;
        if (s->seen[id] != s->stamp) {
            s->seen[id] = s->stamp;
            s->count[id] = 0;
            distinct[n++] = id;
        }
        s->count[id]++;
    }
    return n;
}

/* Cuts what is likely by the penalty: scores above 0 are divided, others multiplied. Keskar 2019,
 * arXiv:1909.05858, section 4.1. */
static void penalize(Sampler *s, const SampleInput *in, size_t to, float penalty)
{
    int32_t *distinct = (int32_t *)(void *)s->heap; // as long as the vocabulary
    size_t n = stamp_tokens(s, in, 0, to, distinct);
    for (size_t i = 0; i < n; i++) {
        float *score = &s->scores[distinct[i]];
        *score = *score < 0 ? *score * penalty : *score / penalty;
    }
}

static bool wants_encoder_repetition(const SampleParams *p)
{
    return p->encoder_repetition_penalty != 1;
}

/* The prompt's tokens become likelier; for a decoder the prompt is what it was given to read. */
static void favour_prompt(Sampler *s, const SampleInput *in)
{
    penalize(s, in, in->prompt, 1 / s->params.encoder_repetition_penalty);
}

static bool wants_repetition(const SampleParams *p)
{
    return p->repetition_penalty != 1;
}

static void penalize_repetition(Sampler *s, const SampleInput *in)
{
    penalize(s, in, in->n, s->params.repetition_penalty);
}

static bool wants_frequency(const SampleParams *p)
{
    return p->frequency_penalty != 0 || p->presence_penalty != 0;
}

/* OpenAI's: of what was generated, not of the prompt. */
static void penalize_frequency(Sampler *s, const SampleInput *in)
{
    int32_t *distinct = (int32_t *)(void *)s->heap;
    size_t n = stamp_tokens(s, in, in->prompt, in->n, distinct);
    for (size_t i = 0; i < n; i++)
        s->scores[distinct[i]] -=
            (float)s->count[distinct[i]] * s->params.frequency_penalty + s->params.presence_penalty;
}

// ---- No n-gram twice ----

/* Bars each token that would complete an n-gram which occurs in the first `to` tokens. */
static void bar_ngrams(Sampler *s, const SampleInput *in, size_t size, size_t to)
{
    if (in->n + 1 < size)
        return;
    const int32_t *tail = in->ids + in->n - (size - 1);
    for (size_t i = 0; i + size <= to; i++)
        if (memcmp(in->ids + i, tail, (size - 1) * sizeof *tail) == 0)
            bar(s, (TokenIds){in->ids + i + size - 1, 1});
}

static bool wants_no_repeat(const SampleParams *p)
{
    return p->no_repeat_ngram_size > 0;
}

static void bar_repeated(Sampler *s, const SampleInput *in)
{
    bar_ngrams(s, in, (size_t)s->params.no_repeat_ngram_size, in->n);
}

static bool wants_no_encoder_repeat(const SampleParams *p)
{
    return p->encoder_no_repeat_ngram_size > 0;
}

static void bar_repeated_prompt(Sampler *s, const SampleInput *in)
{
    bar_ngrams(s, in, (size_t)s->params.encoder_no_repeat_ngram_size, in->prompt);
}

// ---- Length ----

static bool wants_min_length(const SampleParams *p)
{
    return p->min_length > 0;
}

static void bar_end_by_length(Sampler *s, const SampleInput *in)
{
    if ((int64_t)in->n < s->params.min_length)
        bar(s, s->params.eos);
}

static bool wants_min_new_tokens(const SampleParams *p)
{
    return p->min_new_tokens > 0;
}

static void bar_end_by_new_tokens(Sampler *s, const SampleInput *in)
{
    if ((int64_t)(in->n - in->prompt) < s->params.min_new_tokens)
        bar(s, s->params.eos);
}

// ---- Constrained output ----

static bool wants_grammar(const SampleParams *p)
{
    return p->constrained;
}

static void bar_not_allowed(Sampler *s, const SampleInput *in)
{
    if (!in->allowed)
        return;
    for (int64_t i = 0; i < s->vocab; i++)
        if (!(in->allowed[i / 64] >> (i % 64) & 1))
            s->scores[i] = -INFINITY;
}

// ---- Forced tokens ----

static void force(Sampler *s, TokenIds tokens)
{
    for (int64_t i = 0; i < s->vocab; i++)
        s->scores[i] = -INFINITY;
    for (size_t i = 0; i < tokens.n; i++)
        if (in_vocab(s, tokens.ids[i]))
            s->scores[tokens.ids[i]] = 0;
}

static bool wants_forced_bos(const SampleParams *p)
{
    return p->forced_bos >= 0;
}

static void force_bos(Sampler *s, const SampleInput *in)
{
    int32_t id = (int32_t)s->params.forced_bos;
    if (in->n == 1)
        force(s, (TokenIds){&id, 1});
}

static bool wants_forced_eos(const SampleParams *p)
{
    return p->forced_eos.n > 0;
}

static void force_eos(Sampler *s, const SampleInput *in)
{
    if (in->n + 1 == in->max_length)
        force(s, s->params.forced_eos);
}

// ---- The rest ----

static bool wants_valid(const SampleParams *p)
{
    return p->remove_invalid_values;
}

static void remove_invalid(Sampler *s, const SampleInput *in)
{
    for (int64_t i = 0; i < s->vocab; i++) {
        float x = s->scores[i];
        s->scores[i] = isnan(x) ? 0 : x == INFINITY ? FLT_MAX : x == -INFINITY ? -FLT_MAX : x;
    }
}

static bool wants_decay(const SampleParams *p)
{
    return p->decay_factor != 1;
}

static void favour_end(Sampler *s, const SampleInput *in)
{
    int64_t behind = (int64_t)(in->n - in->prompt) - s->params.decay_start;
    if (behind <= 0)
        return;
    float grown = (float)(pow((double)s->params.decay_factor, (double)behind) - 1);
    for (size_t i = 0; i < s->params.eos.n; i++) {
        int32_t id = s->params.eos.ids[i];
        if (in_vocab(s, id) && isfinite(s->scores[id]))
            s->scores[id] += fabsf(s->scores[id]) * grown;
    }
}

static bool wants_suppress(const SampleParams *p)
{
    return p->suppress.n > 0;
}

static void suppress(Sampler *s, const SampleInput *in)
{
    bar(s, s->params.suppress);
}

static bool wants_begin_suppress(const SampleParams *p)
{
    return p->begin_suppress.n > 0;
}

static void suppress_at_begin(Sampler *s, const SampleInput *in)
{
    // Behind a forced first token the beginning is the one after it.
    size_t begin = in->prompt + (in->prompt <= 1 && s->params.forced_bos >= 0);
    if (in->n == begin)
        bar(s, s->params.begin_suppress);
}

/* The mask of constrained output is the reference's prefix_allowed_tokens_fn, but comes last: a
 * forced token, or an infinity made a number, must not break the grammar. */
const Processor processors[] = {
    {"guidance_scale", wants_guidance, guide},
    {"sequence_bias", wants_biases, add_biases},
    {"diversity_penalty", wants_diversity, penalize_others},
    {"encoder_repetition_penalty", wants_encoder_repetition, favour_prompt},
    {"repetition_penalty", wants_repetition, penalize_repetition},
    {"frequency_penalty", wants_frequency, penalize_frequency},
    {"no_repeat_ngram_size", wants_no_repeat, bar_repeated},
    {"encoder_no_repeat_ngram_size", wants_no_encoder_repeat, bar_repeated_prompt},
    {"bad_words_ids", wants_bad_words, bar_bad_words},
    {"min_length", wants_min_length, bar_end_by_length},
    {"min_new_tokens", wants_min_new_tokens, bar_end_by_new_tokens},
    {"forced_bos_token_id", wants_forced_bos, force_bos},
    {"forced_eos_token_id", wants_forced_eos, force_eos},
    {"remove_invalid_values", wants_valid, remove_invalid},
    {"exponential_decay_length_penalty", wants_decay, favour_end},
    {"suppress_tokens", wants_suppress, suppress},
    {"begin_suppress_tokens", wants_begin_suppress, suppress_at_begin},
    {"grammar", wants_grammar, bar_not_allowed},
};
const size_t n_processors = COUNT(processors);
