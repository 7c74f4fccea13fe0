/* Sampling: every filter against its definition, and draws against their distribution. */
#include "base/test.h"
#include "generate/sample.h"

#include <math.h>

static const SampleParams plain = {
    .temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1};

/* Which of the tokens 2000 draws gave, as bits. */
static unsigned drawn(SampleParams p, const float *logits, int64_t n)
{
    p.do_sample = true;
    AUTO(sampler_free) Sampler *s = sampler_new(&p, n, 1);
    unsigned bits = 0;
    for (int i = 0; i < 2000; i++)
        bits |= 1u << sampler_pick(s, logits, NULL, 0, NULL, 0);
    return bits;
}

static float logs[5];
/* Probabilities .4 .3 .15 .1 .05, stored out of order: ids 3 0 4 1 2. */
static const float *five(void)
{
    const float p[5] = {0.3f, 0.1f, 0.05f, 0.4f, 0.15f};
    for (int i = 0; i < 5; i++)
        logs[i] = logf(p[i]);
    return logs;
}

static void test_filters_keep_what_their_definitions_say(void **state)
{
    SampleParams p = plain;
    assert_int_equal(drawn(p, five(), 5), 0x1F);
    p.top_k = 2;
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
    const float ties[5] = {1, 3, 1, 2, 1};
    p.top_k = 3; // the third largest is a tie: all of it stays
    assert_int_equal(drawn(p, ties, 5), 0x1F);
    p = plain;
    p.top_p = 0.69f; // .4 + .3 is the first sum to reach it
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
    p.top_p = 0.71f;
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0 | 1 << 4);
    p.top_p = 1e-6f; // one always stays
    assert_int_equal(drawn(p, five(), 5), 1 << 3);
    p = plain;
    p.min_p = 0.3f; // .12 at least
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0 | 1 << 4);
    p = plain;
    p.typical_p = 0.2f; // entropy 1.39: nearest is .3 (1.20)
    assert_int_equal(drawn(p, five(), 5), 1 << 0);
    p = plain;
    p.top_k = 3;
    p.top_p = 0.5f; // of .47 .35 .18, renormalised
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
}

static void test_processors_shape_greedy_choices(void **state)
{
    SampleParams p = plain;
    const float logits[4] = {2, 1.9f, -1, 1.9f};
    const int32_t ids[] = {0, 1, 0};
    AUTO(sampler_free) Sampler *greedy = sampler_new(&p, 4, 0);
    assert_int_equal(sampler_pick(greedy, logits, ids, 3, NULL, 0), 0);
    const int32_t end[] = {0, 99};
    assert_int_equal(sampler_pick(greedy, logits, ids, 3, end, 2), 1); // the first of equals
    p.repetition_penalty = 1.2f;
    AUTO(sampler_free) Sampler *penalized = sampler_new(&p, 4, 0);
    assert_int_equal(sampler_pick(penalized, logits, ids, 3, NULL, 0), 3);
    p = plain;
    p.no_repeat_ngram = 2; // "0 1" occurred, and the last token is 0
    AUTO(sampler_free) Sampler *fresh = sampler_new(&p, 4, 0);
    const int32_t again[] = {0, 1, 3, 0, 0};
    assert_int_equal(sampler_pick(fresh, logits, again, 5, NULL, 0), 3);
    const float broken[3] = {NAN, -INFINITY, -3};
    AUTO(sampler_free) Sampler *third = sampler_new(&plain, 3, 0);
    assert_int_equal(sampler_pick(third, broken, NULL, 0, NULL, 0), 2);
}

static void test_draws_follow_the_distribution_and_the_seed(void **state)
{
    SampleParams p = plain;
    p.do_sample = true;
    p.temperature = 0.5f; // squares the odds
    AUTO(sampler_free) Sampler *s = sampler_new(&p, 5, 42), *t = sampler_new(&p, 5, 42);
    int count[5] = {0};
    for (int i = 0; i < 20000; i++) {
        int32_t id = sampler_pick(s, five(), NULL, 0, NULL, 0);
        count[id]++;
        assert_int_equal(id, sampler_pick(t, five(), NULL, 0, NULL, 0));
    }
    const double q[5] = {0.3, 0.1, 0.05, 0.4, 0.15};
    for (int i = 0; i < 5; i++) // within five standard deviations
        assert_true(fabs(count[i] - 20000 * q[i] * q[i] / 0.285) <
                    5 * sqrt(20000 * q[i] * q[i] / 0.285));
    assert_true(fabs(logit_logprob(five(), 5, 3) - log(0.4)) < 1e-6);
}

/* Filters on a real vocabulary's size against sorting everything. */
static void test_long_lists_agree_with_a_full_sort(void **state)
{
    enum { N = 2500 };
    static float logits[N];
    Random r = random_of(3);
    for (int i = 0; i < N; i++)
        logits[i] = (float)(random_unit(&r) * 20);
    SampleParams p = plain;
    p.do_sample = true;
    p.top_p = 0.9f;
    p.top_k = 1000;
    AUTO(sampler_free) Sampler *s = sampler_new(&p, N, 9);
    double least = INFINITY;
    for (int i = 0; i < 20000; i++)
        least = fmin(least, (double)logits[sampler_pick(s, logits, NULL, 0, NULL, 0)]);
    // The mass above the least that was drawn must be about top_p of the top 1000's, by definition.
    double above = 0, all = 0;
    for (int i = 0; i < N; i++) {
        int rank = 0;
        for (int j = 0; j < N; j++)
            rank += logits[j] > logits[i];
        if (rank >= 1000)
            continue;
        all += exp((double)logits[i]);
        if ((double)logits[i] >= least)
            above += exp((double)logits[i]);
    }
    assert_true(above / all > 0.89 && above / all < 0.905);
}

int main(void)
{
    return RUN(test_filters_keep_what_their_definitions_say, test_processors_shape_greedy_choices,
               test_draws_follow_the_distribution_and_the_seed,
               test_long_lists_agree_with_a_full_sort);
}
