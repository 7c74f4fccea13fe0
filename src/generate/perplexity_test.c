/* Perplexity is what feeding token by token gives, window by window, in both ways. */
#include "base/test.h"
#include "generate/perplexity.h"

#include <math.h>

static LanguageModel *open_golden(const char *name)
{
    Error err = {0};
    char path[4096];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    LanguageModel *m = NULL;
    assert_ok(m = language_model_open(path, NULL, &err));
    return m;
}

/* The sum of the negative log likelihoods of tokens [first, n), and how many there are. */
static double feed_one_by_one(const LanguageModel *m, const int32_t *ids, size_t n, size_t first)
{
    Error err = {0};
    AUTO(session_free) Session *s = session_new(m, 0, &err);
    double nll = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        assert_ok(session_feed(s, &ids[i], 1, NULL, &err));
        const float *logits = session_logits(s);
        double sum = 0;
        for (int64_t v = 0; v < language_model_vocab(m); v++)
            sum += exp((double)logits[v]);
        if (i + 1 >= first)
            nll += log(sum) - (double)logits[ids[i + 1]];
    }
    return nll;
}

static void test_both_ways_score_what_they_say(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = open_golden("llama");
    int32_t ids[70];
    for (int i = 0; i < 70; i++)
        ids[i] = (i * 37 + i * i) % 200;
    Perplexity p;

    // llama.cpp's: the second half of [0,32) and [32,64), each behind a BOS.
    assert_ok(
        perplexity_measure(m, ids, 70, &(PerplexityParams){.context = 32, .bos = 1}, &p, &err));
    int32_t with_bos[64];
    memcpy(with_bos, ids, sizeof with_bos);
    with_bos[0] = with_bos[32] = 1;
    double nll = feed_one_by_one(m, with_bos, 32, 17) + feed_one_by_one(m, with_bos + 32, 32, 17);
    assert_int_equal(p.windows, 2);
    assert_int_equal(p.tokens, 30);
    assert_true(fabs(p.nll - nll / 30) < 1e-5);
    assert_true(fabs(p.perplexity / exp(nll / 30) - 1) < 1e-4 && p.deviation > 0);

    // transformers': [0,32) whole, then the 20 that are new in [20,52), then the rest.
    assert_ok(perplexity_measure(
        m, ids, 70, &(PerplexityParams){.context = 32, .stride = 20, .bos = -1}, &p, &err));
    nll = feed_one_by_one(m, ids, 32, 1) + feed_one_by_one(m, ids + 20, 32, 12) +
          feed_one_by_one(m, ids + 40, 30, 12);
    assert_int_equal(p.windows, 3);
    assert_int_equal(p.tokens, 69);
    assert_true(fabs(p.nll - nll / 69) < 1e-5);
}

static void test_what_cannot_be_measured_is_said(void **state)
{
    Error err;
    AUTO(language_model_free) LanguageModel *m = open_golden("llama");
    int32_t ids[40] = {0};
    Perplexity p;
    assert_fails(perplexity_measure(m, ids, 40, &(PerplexityParams){.context = 1 << 20}, &p, &err),
                 ERR_LIMIT, "the model takes");
    assert_fails(perplexity_measure(m, ids, 20, &(PerplexityParams){.context = 32}, &p, &err),
                 ERR_INVALID, "20 tokens; 32 are needed");
    assert_fails(
        perplexity_measure(m, ids, 40, &(PerplexityParams){.context = 32, .stride = 33}, &p, &err),
        ERR_INVALID, "a stride of 33");
}

int main(void)
{
    return RUN(test_both_ways_score_what_they_say, test_what_cannot_be_measured_is_said);
}
