/* warpers.c: the table of the filters that shape a distribution before a token is drawn from it, in
 * transformers' order. Each finds the threshold of its rule by selection, never by sorting more
 * than a hundred candidates, and keeps what passes it. */
#include "generate/sample_internal.h"

#include <math.h>

enum { TOP_H_CANDIDATES = 100 };

// ---- temperature ----

static bool wants_temperature(const SampleParams *p)
{
    return p->temperature != 1;
}

static void heat(Sampler *s, const SampleInput *in)
{
    float temperature = s->params.temperature;
    for (int64_t i = 0; i < s->vocab; i++)
        s->scores[i] /= temperature;
}

// ---- What the filters are made of ----

/* The list of scores that reach `least`. */
static void list_from(Sampler *s, float least)
{
    s->listed = true;
    s->n = 0;
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->scores[i] >= least && s->scores[i] > -INFINITY)
            s->list[s->n++] = (Candidate){.logit = s->scores[i], .id = (int32_t)i};
}

/* The smallest logit among the k largest of the list. */
static float kth_logit(Sampler *s, size_t k)
{
    float *logits = (float *)(void *)s->order;
    for (size_t i = 0; i < s->n; i++)
        logits[i] = s->list[i].logit;
    return kth_largest(s, logits, s->n, MIN(k, s->n));
}

/* Drops what weighs less than `least`, but never one of the k likeliest. */
static void drop_light(Sampler *s, float least)
{
    if (s->n == 0)
        return;
    float safe = kth_logit(s, (size_t)s->params.min_tokens_to_keep);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].weight >= least || s->list[i].logit >= safe)
            s->list[kept++] = s->list[i];
    s->n = kept;
}

/* Where the order by a key reaches a mass. */
typedef struct Cut {
    float key;     // the first at which it is reached
    double before; // the mass of smaller keys
} Cut;

static void swap(Candidate *a, Candidate *b)
{
    Candidate c = *a;
    *a = *b;
    *b = c;
}

static float middle_of(float a, float b, float c)
{
    return MAX(MIN(a, b), MIN(MAX(a, b), c));
}

/* Of n candidates whose `logit` is the key, where the smallest keys weigh `before` and none of
 * these: the smallest key up to which weights sum to `mass`. Selection by halving; reorders them.
 */
static Cut select_cut(Candidate *c, size_t n, double mass, double before)
{
    Cut cut = {.key = c[0].logit, .before = before};
    for (size_t from = 0, to = n; from < to;) {
        float pivot = middle_of(c[from].logit, c[from + (to - from) / 2].logit, c[to - 1].logit);
        size_t less = from, more = to;
        double below = 0, same = 0;
        for (size_t i = from; i < more;) {
            if (c[i].logit < pivot) {
                below += (double)c[i].weight;
                swap(&c[i++], &c[less++]);
            } else if (c[i].logit > pivot) {
                swap(&c[i], &c[--more]);
            } else {
                same += (double)c[i++].weight;
            }
        }
        cut.key = pivot;
        if (cut.before + below >= mass && less > from) {
            to = less;
        } else if (cut.before + below + same >= mass || more == to) {
            cut.before += below;
            return cut;
        } else {
            cut.before += below + same;
            from = more;
        }
    }
    return cut;
}

enum { BUCKETS = 1 << 12 };

/* By a key's sign, exponent and first three bits: keys rise with their buckets. */
static unsigned bucket_of(float key)
{
    uint32_t bits;
    memcpy(&bits, &key, sizeof bits);
    return (bits & 0x80000000u ? ~bits : bits | 0x80000000u) >> 20;
}

/* The same for all keys, nothing of them before. One pass finds the few candidates among which the
 * cut lies, whatever their number. Leaves the candidates in disorder, some lost. */
static Cut find_cut(Candidate *c, size_t n, double mass)
{
    double masses[BUCKETS] = {0}, before = 0;
    unsigned wanted = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned bucket = bucket_of(c[i].logit);
        masses[bucket] += (double)c[i].weight;
        last = MAX(last, bucket);
    }
    while (wanted < last && before + masses[wanted] < mass)
        before += masses[wanted++];
    size_t inside = 0;
    for (size_t i = 0; i < n; i++)
        if (bucket_of(c[i].logit) == wanted)
            c[inside++] = c[i];
    return select_cut(c, inside, mass, before);
}

static double entropy_of(const Sampler *s)
{
    double entropy = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].weight > 0)
            entropy -= (double)s->list[i].weight * ((double)s->list[i].logit - s->logsum);
    return entropy;
}

// ---- top_h ----

static bool wants_top_h(const SampleParams *p)
{
    return p->top_h > 0;
}

static int by_logit_falling(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Of the hundred likeliest, as many as hold top_h of their entropy: arXiv:2509.02510. */
static void keep_top_h(Sampler *s, const SampleInput *in)
{
    size_t most = MIN((size_t)TOP_H_CANDIDATES, (size_t)s->vocab);
    list_from(s, kth_largest(s, s->scores, (size_t)s->vocab, most));
    if (s->n == 0)
        return;
    qsort(s->list, s->n, sizeof *s->list, by_logit_falling);
    s->n = MIN(s->n, most);
    weigh(s);
    double tau = entropy_of(s) * (double)s->params.top_h, sum = 0;
    size_t kept = 0;
    for (; kept < s->n; kept++) {
        double p = (double)s->list[kept].weight;
        sum -= p > 0 ? p * ((double)s->list[kept].logit - s->logsum) : 0;
        if (kept > 0 && sum > tau)
            break;
    }
    s->n = kept;
    qsort(s->list, s->n, sizeof *s->list, by_id);
}

// ---- top_k ----

static bool wants_top_k(const SampleParams *p)
{
    return p->top_k > 0;
}

/* Ties with the k-th stay, as in the reference. */
static void keep_top_k(Sampler *s, const SampleInput *in)
{
    size_t k = (size_t)MAX(s->params.top_k, s->params.min_tokens_to_keep);
    if (!s->listed) {
        list_from(s, k < (size_t)s->vocab ? kth_largest(s, s->scores, (size_t)s->vocab, k)
                                          : -INFINITY);
        return;
    }
    if (k >= s->n)
        return;
    float least = kth_logit(s, k);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].logit >= least)
            s->list[kept++] = s->list[i];
    s->n = kept;
}

// ---- top_p ----

static bool wants_top_p(const SampleParams *p)
{
    return p->top_p < 1;
}

/* Keeps the likeliest until they sum to top_p (Holtzman 2020, arXiv:1904.09751); of equals at the
 * edge, those with the largest ids, which the reference's rising sort puts last. */
static void keep_top_p(Sampler *s, const SampleInput *in)
{
    list_candidates(s);
    if (s->n == 0)
        return;
    weigh(s);
    for (size_t i = 0; i < s->n; i++)
        s->order[i] = (Candidate){.logit = -s->list[i].weight, .weight = s->list[i].weight};
    Cut cut = find_cut(s->order, s->n, (double)s->params.top_p);
    float edge = -cut.key, safe = kth_logit(s, (size_t)s->params.min_tokens_to_keep);
    size_t from = s->n;
    for (size_t i = s->n; i-- > 0;) {
        Candidate c = s->list[i];
        bool keep = c.weight > edge || c.logit >= safe;
        if (c.weight == edge && cut.before < (double)s->params.top_p) {
            cut.before += (double)edge;
            keep = true;
        }
        if (keep)
            s->list[--from] = c;
    }
    s->n -= from;
    memmove(s->list, s->list + from, s->n * sizeof *s->list);
}

// ---- min_p, typical_p, epsilon_cutoff, eta_cutoff ----

static bool wants_min_p(const SampleParams *p)
{
    return p->min_p > 0;
}

static void keep_min_p(Sampler *s, const SampleInput *in)
{
    float top = 0;
    list_candidates(s);
    weigh(s);
    for (size_t i = 0; i < s->n; i++)
        top = MAX(top, s->list[i].weight);
    drop_light(s, s->params.min_p * top);
}

static bool wants_typical(const SampleParams *p)
{
    return p->typical_p < 1;
}

/* Keeps those whose information is nearest to the entropy, until their mass reaches typical_p:
 * Meister 2022, arXiv:2202.00666. */
static void keep_typical(Sampler *s, const SampleInput *in)
{
    list_candidates(s);
    if (s->n == 0)
        return;
    weigh(s);
    double entropy = entropy_of(s);
    size_t least = MIN((size_t)s->params.min_tokens_to_keep, s->n);
    float *off = s->heap; // how far from the entropy
    for (size_t i = 0; i < s->n; i++) {
        float weight = s->list[i].weight;
        off[i] =
            weight > 0 ? (float)fabs(s->logsum - (double)s->list[i].logit - entropy) : INFINITY;
        s->order[i] = (Candidate){.logit = off[i], .weight = weight};
    }
    float edge = find_cut(s->order, s->n, (double)s->params.typical_p).key;
    // The nearest few stay in any case: their edge is found as that of as many equal weights.
    for (size_t i = 0; i < s->n && least > 1; i++)
        s->order[i] = (Candidate){.logit = off[i], .weight = 1};
    if (least > 1)
        edge = MAX(edge, find_cut(s->order, s->n, (double)least).key);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (off[i] <= edge)
            s->list[kept++] = s->list[i];
    s->n = kept;
}

static bool wants_epsilon(const SampleParams *p)
{
    return p->epsilon_cutoff > 0 && p->epsilon_cutoff < 1;
}

static void cut_epsilon(Sampler *s, const SampleInput *in)
{
    list_candidates(s);
    weigh(s);
    drop_light(s, s->params.epsilon_cutoff);
}

static bool wants_eta(const SampleParams *p)
{
    return p->eta_cutoff > 0 && p->eta_cutoff < 1;
}

/* Hewitt 2022, arXiv:2210.15191. */
static void cut_eta(Sampler *s, const SampleInput *in)
{
    list_candidates(s);
    weigh(s);
    double epsilon = (double)s->params.eta_cutoff;
    drop_light(s, (float)fmin(epsilon, sqrt(epsilon) * exp(-entropy_of(s))));
}

const Processor warpers[] = {
    {"temperature", wants_temperature, heat},
    {"top_h", wants_top_h, keep_top_h},
    {"top_k", wants_top_k, keep_top_k},
    {"top_p", wants_top_p, keep_top_p},
    {"min_p", wants_min_p, keep_min_p},
    {"typical_p", wants_typical, keep_typical},
    {"epsilon_cutoff", wants_epsilon, cut_epsilon},
    {"eta_cutoff", wants_eta, cut_eta},
};
const size_t n_warpers = COUNT(warpers);
