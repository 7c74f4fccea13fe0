/* sample.c: see sample.h. Candidates are (logit, id) pairs; each filter shortens the list. Only
 * what a filter needs sorted is sorted: with top_k the list is short before anything sorts it. */
#include "generate/sample.h"

#include <math.h>
#include <stdlib.h>

typedef struct Candidate {
    float logit, weight; // weight: probability, or a filter's sort key
    int32_t id;
} Candidate;

struct Sampler {
    SampleParams params;
    int64_t vocab;
    Random random;
    float *scores; // [vocab] processed logits
    Candidate *list;
    size_t n;
    float *heap; // [top_k]
    uint8_t *seen;
};

Sampler *sampler_new(const SampleParams *p, int64_t vocab, uint64_t seed)
{
    Sampler *s = xcalloc(1, sizeof *s);
    s->params = *p;
    s->vocab = vocab;
    s->random = random_of(seed);
    s->scores = xcalloc((size_t)vocab, sizeof *s->scores);
    s->list = xcalloc((size_t)vocab, sizeof *s->list);
    s->heap = xcalloc((size_t)vocab, sizeof *s->heap);
    s->seen = xcalloc((size_t)vocab, 1);
    return s;
}

void sampler_free(Sampler *s)
{
    if (!s)
        return;
    free(s->scores);
    free(s->list);
    free(s->heap);
    free(s->seen);
    free(s);
}

static bool in_vocab(const Sampler *s, int32_t id)
{
    return id >= 0 && id < s->vocab;
}

static void bar(Sampler *s, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in_vocab(s, ids[i]))
            s->scores[ids[i]] = -INFINITY;
}

/* Each token that occurred, once however often it did. */
static void penalize_repetition(Sampler *s, const int32_t *ids, size_t n)
{
    float penalty = s->params.repetition_penalty;
    memset(s->seen, 0, (size_t)s->vocab);
    for (size_t i = 0; i < n; i++) {
        if (!in_vocab(s, ids[i]) || s->seen[ids[i]])
            continue;
        s->seen[ids[i]] = 1;
        float *score = &s->scores[ids[i]];
        *score = *score < 0 ? *score * penalty : *score / penalty;
    }
}

/* Bars every token that would complete an n-gram which already occurred. */
static void bar_ngrams(Sampler *s, const int32_t *ids, size_t n)
{
    size_t size = (size_t)s->params.no_repeat_ngram;
    if (n + 1 < size)
        return;
    const int32_t *tail = ids + n - (size - 1);
    for (size_t i = 0; i + size <= n; i++)
        if (memcmp(ids + i, tail, (size - 1) * sizeof *ids) == 0)
            bar(s, &ids[i + size - 1], 1);
}

static int32_t first_largest(const float *scores, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return (int32_t)best;
}

/* The k-th largest score, by a heap whose root is the smallest of the k largest so far. */
static float kth_largest(Sampler *s, size_t k)
{
    float *heap = s->heap;
    size_t size = 0;
    for (int64_t i = 0; i < s->vocab; i++) {
        float x = s->scores[i];
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

static void list_candidates(Sampler *s)
{
    int64_t k = s->params.top_k;
    // Ties with the k-th stay, as in the reference.
    float least = k > 0 && k < s->vocab ? kth_largest(s, (size_t)k) : -INFINITY;
    s->n = 0;
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->scores[i] >= least && s->scores[i] > -INFINITY)
            s->list[s->n++] = (Candidate){.logit = s->scores[i], .id = (int32_t)i};
}

/* Softmax over the list into the weights. */
static void weigh(Sampler *s)
{
    float top = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        top = MAX(top, s->list[i].logit);
    for (size_t i = 0; i < s->n; i++)
        sum += (double)(s->list[i].weight = expf(s->list[i].logit - top));
    for (size_t i = 0; i < s->n; i++)
        s->list[i].weight = (float)((double)s->list[i].weight / sum);
}

static int by_weight_falling(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_weight_rising(const void *a, const void *b)
{
    return by_weight_falling(b, a);
}

static void drop_below(Sampler *s, float least)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].weight >= least)
            s->list[kept++] = s->list[i];
    if (kept > 0)
        s->n = kept;
}

/* Drops the least likely whose probabilities sum to at most 1 - top_p. */
static void keep_top_p(Sampler *s)
{
    double tail = 1 - (double)s->params.top_p, sum = 0;
    weigh(s);
    // Those below tail / n sum to less than the tail however many they are: gone without sorting.
    // Half of it, so that rounding can never take them all.
    double sure = tail / (double)s->n / 2;
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if ((double)s->list[i].weight < sure)
            sum += (double)s->list[i].weight;
        else
            s->list[kept++] = s->list[i];
    }
    s->n = kept;
    qsort(s->list, s->n, sizeof *s->list, by_weight_falling);
    while (s->n > 1 && (sum += (double)s->list[s->n - 1].weight) <= tail)
        s->n--;
}

static void keep_min_p(Sampler *s)
{
    float top = 0;
    weigh(s);
    for (size_t i = 0; i < s->n; i++)
        top = MAX(top, s->list[i].weight);
    drop_below(s, s->params.min_p * top);
}

/* Keeps the tokens whose information is nearest to the entropy, until their mass reaches p. */
static void keep_typical(Sampler *s)
{
    double entropy = 0, mass = 0;
    weigh(s);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].weight > 0)
            entropy -= (double)s->list[i].weight * log((double)s->list[i].weight);
    for (size_t i = 0; i < s->n; i++)
        s->list[i].weight = s->list[i].weight > 0
                                ? (float)fabs(-log((double)s->list[i].weight) - entropy)
                                : INFINITY;
    qsort(s->list, s->n, sizeof *s->list, by_weight_rising);
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < s->n; i++)
        top = MAX(top, (double)s->list[i].logit);
    for (size_t i = 0; i < s->n; i++)
        sum += exp((double)s->list[i].logit - top);
    size_t kept = 0;
    while (kept < s->n && mass < (double)s->params.typical_p)
        mass += exp((double)s->list[kept++].logit - top) / sum;
    s->n = MAX(kept, (size_t)1);
}

static int32_t draw(Sampler *s)
{
    weigh(s);
    double at = random_unit(&s->random);
    for (size_t i = 0; i < s->n; i++) {
        at -= (double)s->list[i].weight;
        if (at < 0)
            return s->list[i].id;
    }
    return s->list[s->n - 1].id; // rounding left a crumb
}

int32_t sampler_pick(Sampler *s, const float *logits, const int32_t *ids, size_t n,
                     const int32_t *barred, size_t n_barred)
{
    const SampleParams *p = &s->params;
    for (int64_t i = 0; i < s->vocab; i++)
        s->scores[i] = isnan(logits[i]) ? -INFINITY : logits[i];
    if (p->repetition_penalty != 1)
        penalize_repetition(s, ids, n);
    if (p->no_repeat_ngram > 0)
        bar_ngrams(s, ids, n);
    bar(s, barred, n_barred);
    bar(s, p->suppressed, p->n_suppressed);
    if (!p->do_sample)
        return first_largest(s->scores, s->vocab);
    if (p->temperature != 1)
        for (int64_t i = 0; i < s->vocab; i++)
            s->scores[i] /= p->temperature;
    list_candidates(s);
    if (s->n == 0)
        return first_largest(s->scores, s->vocab);
    if (p->top_p < 1)
        keep_top_p(s);
    if (p->min_p > 0)
        keep_min_p(s);
    if (p->typical_p < 1)
        keep_typical(s);
    return draw(s);
}

double logit_logprob(const float *logits, int64_t vocab, int32_t id)
{
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < vocab; i++)
        top = MAX(top, (double)logits[i]);
    for (int64_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - top);
    return (double)logits[id] - top - log(sum);
}
