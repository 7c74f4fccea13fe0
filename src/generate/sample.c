/* sample.c: see sample.h. Scores are processed in place; when sampling, what is left of them
 * becomes a list of candidates that each filter shortens. The list keeps the order of the ids
 * whatever a filter did to find its threshold, so that the same number draws the same token. */
#include "generate/sample_internal.h"

#include <math.h>

SampleParams sample_params_neutral(void)
{
    return (SampleParams){.temperature = 1,
                          .top_p = 1,
                          .typical_p = 1,
                          .guidance_scale = 1,
                          .repetition_penalty = 1,
                          .encoder_repetition_penalty = 1,
                          .forced_bos = -1,
                          .decay_factor = 1,
                          .min_tokens_to_keep = 1};
}

Sampler *sampler_new(const SampleParams *p, int64_t vocab)
{
    Sampler *s = xcalloc(1, sizeof *s);
    size_t n = (size_t)vocab;
    s->params = *p;
    s->params.min_tokens_to_keep = MAX(p->min_tokens_to_keep, 1);
    s->vocab = vocab;
    s->scores = xcalloc(n, sizeof *s->scores);
    s->list = xcalloc(n, sizeof *s->list);
    s->heap = xcalloc(n, sizeof *s->heap);
    s->order = xcalloc(n, sizeof *s->order);
    s->seen = xcalloc(n, sizeof *s->seen);
    s->count = xcalloc(n, sizeof *s->count);
    if (p->watermark.greenlist_ratio > 0)
        s->watermark = watermark_new(&p->watermark, vocab);
    return s;
}

void sampler_free(Sampler *s)
{
    if (!s)
        return;
    watermark_free(s->watermark);
    free(s->scores);
    free(s->list);
    free(s->heap);
    free(s->order);
    free(s->seen);
    free(s->count);
    free(s);
}

Random sample_random(uint64_t seed, size_t i)
{
    // The golden ratio's bits: sequences of near seeds do not run into each other.
    return random_of(seed + 0x9E3779B97F4A7C15u * i);
}

// ---- Candidates ----

void list_candidates(Sampler *s)
{
    if (s->listed)
        return;
    s->listed = true;
    s->n = 0;
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->scores[i] > -INFINITY)
            s->list[s->n++] = (Candidate){.logit = s->scores[i], .id = (int32_t)i};
}

void weigh(Sampler *s)
{
    float top = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        top = MAX(top, s->list[i].logit);
    for (size_t i = 0; i < s->n; i++) {
        float weight = s->list[i].logit == top ? 1 : expf(s->list[i].logit - top);
        s->list[i].weight = weight;
        sum += (double)weight;
    }
    s->logsum = (double)top + log(sum);
    float scale = (float)(1 / sum);
    for (size_t i = 0; i < s->n; i++)
        s->list[i].weight *= scale;
}

/* By a heap whose root is the smallest of the k largest so far. */
float kth_largest(Sampler *s, const float *scores, size_t n, size_t k)
{
    float *heap = s->heap;
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        float x = scores[i];
        size_t at;
        if (size < k) {
            for (at = size++; at > 0 && heap[(at - 1) / 2] > x; at = (at - 1) / 2)
                heap[at] = heap[(at - 1) / 2];
        } else if (x > heap[0]) {
            size_t child;
            for (at = 0; (child = 2 * at + 1) < size; at = child) {
                if (child + 1 < size && heap[child + 1] < heap[child])
                    child++;
                if (heap[child] >= x)
                    break;
                heap[at] = heap[child];
            }
        } else {
            continue;
        }
        heap[at] = x;
    }
    return heap[0];
}

// ---- Choices ----

/* Lanes that a compiler makes of whatever registers there are. */
enum { LANES = 16, BLOCK = 64 * LANES };
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Masks __attribute__((vector_size(LANES * sizeof(int32_t))));

/* The largest of n, minus infinity if there is none; no NaN is. */
static float largest(const float *scores, size_t n)
{
    Lanes top;
    float best = -INFINITY;
    size_t i = 0;
    for (int k = 0; k < LANES; k++)
        top[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        Lanes x;
        memcpy(&x, scores + i, sizeof x);
        Masks more = x > top;
        top = (Lanes)(((Masks)x & more) | ((Masks)top & ~more));
    }
    for (int k = 0; k < LANES; k++)
        best = MAX(best, top[k]);
    for (; i < n; i++)
        best = scores[i] > best ? scores[i] : best;
    return best;
}

/* The first of the largest; 0 if all are NaN or minus infinity. */
static int32_t first_largest(const float *scores, int64_t n)
{
    size_t count = (size_t)n, block = 0;
    float best = -INFINITY;
    for (size_t i = 0; i < count; i += BLOCK) {
        float here = largest(scores + i, MIN(count - i, (size_t)BLOCK));
        if (here > best) {
            best = here;
            block = i;
        }
    }
    for (size_t i = block; i < count; i++)
        if (scores[i] == best)
            return (int32_t)i;
    return 0;
}

static void load_scores(Sampler *s, const SampleInput *in)
{
    s->listed = false;
    if (s->params.remove_invalid_values) // which has its own mind about NaN
        memcpy(s->scores, in->logits, (size_t)s->vocab * sizeof *s->scores);
    else
        for (int64_t i = 0; i < s->vocab; i++)
            s->scores[i] = isnan(in->logits[i]) ? -INFINITY : in->logits[i];
}

/* Those of the table that these parameters ask for. */
static void apply(Sampler *s, const SampleInput *in, const Processor *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].is_wanted(&s->params))
            rows[i].apply(s, in);
}

static bool is_anything_wanted(const Sampler *s)
{
    for (size_t i = 0; i < n_processors; i++)
        if (processors[i].is_wanted(&s->params))
            return true;
    return s->watermark != NULL;
}

static int32_t draw(Sampler *s, Random *random)
{
    weigh(s);
    double at = random_unit(random);
    for (size_t i = 0; i < s->n; i++) {
        at -= (double)s->list[i].weight;
        if (at < 0)
            return s->list[i].id;
    }
    // Rounding left a crumb: the last one that has any weight.
    size_t last = s->n - 1;
    while (last > 0 && s->list[last].weight <= 0)
        last--;
    return s->list[last].id;
}

/* The scores of the list, minus infinity elsewhere. */
static void spread_list(Sampler *s)
{
    for (int64_t i = 0; i < s->vocab; i++)
        s->scores[i] = -INFINITY;
    for (size_t i = 0; i < s->n; i++)
        s->scores[s->list[i].id] = s->list[i].logit;
    s->listed = false;
}

static void mark(Sampler *s, const SampleInput *in)
{
    if (!s->watermark)
        return;
    if (s->listed)
        spread_list(s);
    watermark_apply(s->watermark, s->scores, in->ids, in->n);
}

int32_t sampler_pick(Sampler *s, const SampleInput *in, Random *random)
{
    if (!s->params.do_sample && !is_anything_wanted(s))
        return first_largest(in->logits, s->vocab);
    load_scores(s, in);
    apply(s, in, processors, n_processors);
    if (s->params.do_sample)
        apply(s, in, warpers, n_warpers);
    mark(s, in);
    if (!s->params.do_sample)
        return first_largest(s->scores, s->vocab);
    list_candidates(s);
    return s->n ? draw(s, random) : first_largest(s->scores, s->vocab);
}

const float *sampler_scores(Sampler *s, const SampleInput *in)
{
    load_scores(s, in);
    apply(s, in, processors, n_processors);
    if (s->params.do_sample)
        apply(s, in, warpers, n_warpers);
    if (s->listed)
        spread_list(s);
    mark(s, in);
    if (s->params.renormalize_logits) {
        float sum = (float)logits_logsum(s->scores, s->vocab);
        for (int64_t i = 0; i < s->vocab; i++)
            s->scores[i] -= sum;
    }
    return s->scores;
}

// ---- Probabilities ----

double logits_logsum(const float *logits, int64_t vocab)
{
    float top = largest(logits, (size_t)vocab);
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - top);
    return (double)top + log(sum);
}

double logit_logprob(const float *logits, int64_t vocab, int32_t id)
{
    return (double)logits[id] - logits_logsum(logits, vocab);
}
