/* Sampling: every filter against its definition, and draws against their distribution, scores
 * against transformers own. */
#include "base/test.h"
#include "generate/generate.h"

#include <math.h>

/* Picks one after n tokens, all of them the prompt's. */
static int32_t pick(Sampler *s, const float *logits, const int32_t *ids, size_t n, Random *random)
{
    SampleInput in = {.logits = logits, .ids = ids, .n = n, .prompt = n};
    return sampler_pick(s, &in, random);
}

/* Which of the tokens 2000 draws gave, as bits. */
static unsigned drawn(SampleParams p, const float *logits, int64_t n)
{
    p.do_sample = true;
    AUTO(sampler_free) Sampler *s = sampler_new(&p, n);
    Random random = random_of(1);
    unsigned bits = 0;
    for (int i = 0; i < 2000; i++)
        bits |= 1u << pick(s, logits, NULL, 0, &random);
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
    SampleParams p = sample_params_neutral();
    assert_int_equal(drawn(p, five(), 5), 0x1F);
    p.top_k = 2;
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
    const float ties[5] = {1, 3, 1, 2, 1};
    p.top_k = 3; // the third largest is a tie: all of it stays
    assert_int_equal(drawn(p, ties, 5), 0x1F);
    p = sample_params_neutral();
    p.top_p = 0.69f; // .4 + .3 is the first sum to reach it
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
    p.top_p = 0.71f;
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0 | 1 << 4);
    p.top_p = 1e-6f; // one always stays
    assert_int_equal(drawn(p, five(), 5), 1 << 3);
    p = sample_params_neutral();
    p.min_p = 0.3f; // .12 at least
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0 | 1 << 4);
    p = sample_params_neutral();
    p.typical_p = 0.2f; // entropy 1.39: nearest is .3 (1.20)
    assert_int_equal(drawn(p, five(), 5), 1 << 0);
    p = sample_params_neutral();
    p.top_k = 3;
    p.top_p = 0.5f; // of .47 .35 .18, renormalised
    assert_int_equal(drawn(p, five(), 5), 1 << 3 | 1 << 0);
}

static void test_processors_shape_greedy_choices(void **state)
{
    SampleParams p = sample_params_neutral();
    const float logits[4] = {2, 1.9f, -1, 1.9f};
    const int32_t ids[] = {0, 1, 0}, end[] = {0, 99};
    AUTO(sampler_free) Sampler *greedy = sampler_new(&p, 4);
    assert_int_equal(pick(greedy, logits, ids, 3, NULL), 0);
    p.suppress = (TokenIds){end, 2};
    AUTO(sampler_free) Sampler *barred = sampler_new(&p, 4);
    assert_int_equal(pick(barred, logits, ids, 3, NULL), 1); // the first of equals
    p = sample_params_neutral();
    p.repetition_penalty = 1.2f;
    AUTO(sampler_free) Sampler *penalized = sampler_new(&p, 4);
    assert_int_equal(pick(penalized, logits, ids, 3, NULL), 3);
    p = sample_params_neutral();
    p.no_repeat_ngram_size = 2; // "0 1" occurred, and the last token is 0
    AUTO(sampler_free) Sampler *fresh = sampler_new(&p, 4);
    const int32_t again[] = {0, 1, 3, 0, 0};
    assert_int_equal(pick(fresh, logits, again, 5, NULL), 3);
    const float broken[3] = {NAN, -INFINITY, -3};
    p = sample_params_neutral();
    AUTO(sampler_free) Sampler *third = sampler_new(&p, 3);
    assert_int_equal(pick(third, broken, NULL, 0, NULL), 2);
}

/* OpenAI's penalties count what was generated, not the prompt. */
static void test_frequency_and_presence(void **state)
{
    SampleParams p = sample_params_neutral();
    p.frequency_penalty = 0.5f;
    p.presence_penalty = 0.25f;
    const float logits[3] = {3, 3, 3};
    const int32_t ids[] = {2, 2, 0, 1, 1};
    AUTO(sampler_free) Sampler *s = sampler_new(&p, 3);
    SampleInput in = {.logits = logits, .ids = ids, .n = 5, .prompt = 2};
    const float *scores = sampler_scores(s, &in);
    assert_true(scores[0] == 2.25f && scores[1] == 1.75f && scores[2] == 3);
}

static void test_a_mask_leaves_only_what_it_allows(void **state)
{
    SampleParams p = sample_params_neutral();
    const float logits[70] = {[3] = 9, [65] = 5, [66] = 7};
    const uint64_t allowed[2] = {1, 1 << 1};
    p.constrained = true;
    AUTO(sampler_free) Sampler *s = sampler_new(&p, 70);
    SampleInput in = {.logits = logits, .allowed = allowed};
    assert_int_equal(sampler_pick(s, &in, NULL), 65);
}

static void test_draws_follow_the_distribution_and_the_seed(void **state)
{
    SampleParams p = sample_params_neutral();
    p.do_sample = true;
    p.temperature = 0.5f; // squares the odds
    AUTO(sampler_free) Sampler *s = sampler_new(&p, 5), *t = sampler_new(&p, 5);
    Random first = random_of(42), second = random_of(42);
    int count[5] = {0};
    for (int i = 0; i < 20000; i++) {
        int32_t id = pick(s, five(), NULL, 0, &first);
        count[id]++;
        assert_int_equal(id, pick(t, five(), NULL, 0, &second));
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
    SampleParams p = sample_params_neutral();
    p.do_sample = true;
    p.top_p = 0.9f;
    p.top_k = 1000;
    AUTO(sampler_free) Sampler *s = sampler_new(&p, N);
    Random random = random_of(9);
    double least = INFINITY;
    for (int i = 0; i < 20000; i++)
        least = fmin(least, (double)logits[pick(s, logits, NULL, 0, &random)]);
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

// ---- Against the reference: tests/golden/decoding.json ----

static const json_t *list_of(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static const float *floats_of(const json_t *list, Arena *a)
{
    size_t n = json_array_size(list);
    float *out = NEW_ARRAY(a, float, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        const char *word = json_string_value(x);
        out[i] = word ? (strcmp(word, "nan") == 0 ? NAN
                         : *word == '-'           ? -INFINITY
                                                  : INFINITY)
                      : (float)json_number_value(x);
    }
    return out;
}

static const int32_t *ids_of(const json_t *list, Arena *a)
{
    int32_t *out = NEW_ARRAY(a, int32_t, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void check_case(const json_t *c)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    GenerateParams p;
    if (!generate_params_parse(&p, NULL, list_of(c, "parameters"), a, &err))
        fail_msg("%s", err.text);
    p.sample.min_tokens_to_keep = json_int(c, "keep", 1);
    size_t vocab = json_array_size(list_of(c, "logits"));
    AUTO(sampler_free) Sampler *s = sampler_new(&p.sample, (int64_t)vocab);
    SampleInput in = {.logits = floats_of(list_of(c, "logits"), a),
                      .ids = ids_of(list_of(c, "ids"), a),
                      .n = json_array_size(list_of(c, "ids")),
                      .prompt = (size_t)json_int(c, "prompt", 0),
                      .max_length = (size_t)json_int(c, "max_length", 0)};
    const float *wanted = floats_of(list_of(c, "scores"), a), *scores = sampler_scores(s, &in);
    for (size_t i = 0; i < vocab; i++) {
        bool same = scores[i] == wanted[i] ||
                    fabsf(scores[i] - wanted[i]) <= 1e-5f * fmaxf(1, fabsf(wanted[i]));
        if (!same) {
            AUTO_BUF text;
            buf_init(&text, 0);
            json_write(&text, list_of(c, "parameters"));
            fail_msg("%s: score %zu is %g, not %g", text.ptr, i, (double)scores[i],
                     (double)wanted[i]);
        }
    }
}

/* Every knob alone, and some together: tools/golden/decoding.py ran the reference's processors. The
 * tolerance is that of sums of floats in another order. */
static void test_scores_are_those_of_transformers(void **state)
{
    Error err = {0};
    char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/decoding.json", root ? root : ".");
    AUTO(json_decref) json_t *golden = NULL;
    assert_ok(golden = json_read_file(path, 8 << 20, &err));
    size_t i;
    const json_t *c;
    json_array_foreach(list_of(golden, "scores"), i, c) check_case(c);
    assert_true(i > 40);
}

int main(void)
{
    return RUN(test_filters_keep_what_their_definitions_say, test_processors_shape_greedy_choices,
               test_frequency_and_presence, test_a_mask_leaves_only_what_it_allows,
               test_scores_are_those_of_transformers,
               test_draws_follow_the_distribution_and_the_seed,
               test_long_lists_agree_with_a_full_sort);
}
