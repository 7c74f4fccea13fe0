/* Many sequences at once give what each gives alone. */
#include "base/random.h"
#include "base/test.h"
#include "generate/batch.h"

#include <math.h>

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
}

/* The largest difference over the largest logit. */
static float distance(const float *a, const float *b, int64_t n)
{
    float worst = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = fmaxf(worst, fabsf(a[i] - b[i]));
        top = fmaxf(top, fabsf(b[i]));
    }
    return worst / top;
}

enum { TOKENS = 100 };

static void ids_of(int seed, int32_t ids[TOKENS])
{
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 37 + 11 * seed + i * i * seed) % 200;
}

static void assert_like_alone(const Batch *b, int sequence, const int32_t *ids, size_t n)
{
    Error err = {0};
    int64_t vocab = language_model_vocab(batch_model(b));
    AUTO(session_free) Session *alone = NULL;
    assert_ok(alone = session_new(batch_model(b), 0, &err));
    assert_ok(session_feed(alone, ids, n, NULL, &err));
    assert_int_equal(batch_length(b, sequence), n);
    assert_memory_equal(batch_ids(b, sequence), ids, n * sizeof *ids);
    assert_true(distance(batch_logits(b, sequence, 0), session_logits(alone), vocab) < 1e-5F);
}

static void test_ragged_steps_give_what_each_sequence_gives_alone(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, &(BatchOptions){.sequences = 3}, &err));
    int32_t ids[3][TOKENS];
    int s[3];
    size_t done[3] = {0};
    for (int i = 0; i < 3; i++) {
        ids_of(i + 1, ids[i]);
        s[i] = batch_add(b, &err);
    }
    const size_t steps[][3] = {{7, 0, 60}, {1, 33, 1}, {1, 1, 1}, {0, 40, 30}, {20, 1, 1}};
    for (size_t k = 0; k < COUNT(steps); k++) {
        BatchFeed feeds[3];
        size_t n = 0;
        for (int i = 0; i < 3; i++)
            if (steps[k][i])
                feeds[n++] = (BatchFeed){s[i], ids[i] + done[i], steps[k][i], 0};
        assert_ok(batch_step(b, feeds, n, NULL, &err));
        for (int i = 0; i < 3; i++)
            if (steps[k][i])
                assert_like_alone(b, s[i], ids[i], done[i] += steps[k][i]);
    }
    assert_int_equal(batch_add(b, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
}

static void test_forks_go_their_own_ways(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("gpt2"), NULL, &err));
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, NULL, &err));
    int32_t one[TOKENS], two[TOKENS];
    ids_of(1, one);
    ids_of(2, two);
    memcpy(two, one, 40 * sizeof *one);
    int s = batch_add(b, &err), t;
    assert_ok(batch_step(b, &(BatchFeed){s, one, 40, 0}, 1, NULL, &err));
    assert_true((t = batch_fork(b, s, &err)) >= 0);
    assert_like_alone(b, t, two, 40);
    const BatchFeed apart[] = {{s, one + 40, 5, 0}, {t, two + 40, 9, 0}};
    assert_ok(batch_step(b, apart, 2, NULL, &err));
    assert_like_alone(b, s, one, 45);
    assert_like_alone(b, t, two, 49);
    // The beams change places.
    assert_ok(batch_reorder(b, (int[]){s, t}, (int[]){1, 0}, 2, &err));
    assert_like_alone(b, t, one, 45);
    assert_like_alone(b, s, two, 49);
    // Both go on as one of them, and part again.
    assert_ok(batch_reorder(b, (int[]){s, t}, (int[]){1, 1}, 2, &err));
    batch_truncate(b, s, 30);
    assert_null(batch_logits(b, s, 0));
    const BatchFeed again[] = {{t, one + 45, 1, 0}, {s, one + 30, 3, 0}};
    assert_ok(batch_step(b, again, 2, NULL, &err));
    assert_like_alone(b, t, one, 46);
    assert_like_alone(b, s, one, 33);
    batch_drop(b, t);
    assert_ok(batch_step(b, &(BatchFeed){s, one + 33, 20, 0}, 1, NULL, &err));
    assert_like_alone(b, s, one, 53);
}

static void test_logits_of_several_tokens(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, NULL, &err));
    int32_t ids[TOKENS];
    ids_of(3, ids);
    int s = batch_add(b, &err), t = batch_add(b, &err);
    const BatchFeed feeds[] = {{s, ids, 30, 4}, {t, ids, 3, 3}};
    assert_ok(batch_step(b, feeds, 2, NULL, &err));
    int64_t vocab = language_model_vocab(m);
    for (size_t i = 0; i < 4; i++) {
        AUTO(session_free) Session *alone = NULL;
        assert_ok(alone = session_new(m, 0, &err));
        assert_ok(session_feed(alone, ids, 27 + i, NULL, &err));
        assert_true(distance(batch_logits(b, s, i), session_logits(alone), vocab) < 1e-5F);
    }
    assert_null(batch_logits(b, s, 4));
    assert_non_null(batch_logits(b, t, 2));
    assert_fails(batch_step(b, &(BatchFeed){s, ids, 2, 3}, 1, NULL, &err), ERR_INVALID,
                 "2 tokens, and logits of 3");
}

int main(void)
{
    return RUN(test_ragged_steps_give_what_each_sequence_gives_alone, test_forks_go_their_own_ways,
               test_logits_of_several_tokens);
}
