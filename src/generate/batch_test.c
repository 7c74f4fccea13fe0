/* Many sequences at once give what each gives alone, bit for bit: these weights are f32. */
#include "base/random.h"
#include "base/test.h"
#include "base/thread.h"
#include "generate/batch.h"

#include <math.h>

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
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
    assert_memory_equal(batch_logits(b, sequence, 0), session_logits(alone), vocab * sizeof(float));
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
        assert_memory_equal(batch_logits(b, s, i), session_logits(alone), vocab * sizeof(float));
    }
    assert_null(batch_logits(b, s, 4));
    assert_non_null(batch_logits(b, t, 2));
    assert_fails(batch_step(b, &(BatchFeed){s, ids, 2, 3}, 1, NULL, &err), ERR_INVALID,
                 "2 tokens, and logits of 3");
}

static int feed_new(Batch *b, const int32_t *ids, size_t n)
{
    Error err = {0};
    int s = batch_add(b, &err);
    assert_ok(batch_step(b, &(BatchFeed){s, ids, n, 0}, 1, NULL, &err));
    return s;
}

/* One client: a prompt of its own, then greedy tokens one by one through a session. */
enum { CLIENTS = 8, ANSWER = 40 };

typedef struct Client {
    Session *session;
    int number;
    bool shares; // its prompt begins as the others' do
    int32_t ids[TOKENS];
    size_t n;
    const char *failed;
} Client;

static void prompt_of(Client *c)
{
    ids_of(c->shares ? 1 : c->number + 1, c->ids);
    c->n = 50;
    for (size_t i = 45; c->shares && i < c->n; i++)
        c->ids[i] = (c->number * 7 + (int)i) % 200;
    c->n -= (size_t)c->number % 4;
}

static int32_t likeliest(const float *logits, int64_t vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void *run_client(void *context)
{
    Client *c = context;
    Error err = {0};
    AUTO(session_free) Session *s = c->session;
    int64_t vocab = language_model_vocab(session_model(s));
    if (!session_feed(s, c->ids, c->n, NULL, &err))
        return c->failed = xstrdup(err.text), NULL;
    for (int i = 0; i < ANSWER; i++) {
        int32_t id = likeliest(session_logits(s), vocab);
        c->ids[c->n++] = id;
        if (!session_feed(s, &id, 1, NULL, &err))
            return c->failed = xstrdup(err.text), NULL;
    }
    return NULL;
}

/* Each client alone and in a batch of its own. */
static void run_alone(const LanguageModel *m, Client clients[CLIENTS], bool share)
{
    Error err = {0};
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){.session = session_new(m, 0, &err), .number = i, .shares = share};
        prompt_of(&clients[i]);
        run_client(&clients[i]);
        assert_null(clients[i].failed);
    }
}

static void run_together(Batch *b, Client clients[CLIENTS], bool share)
{
    Error err = {0};
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (Client){.session = session_new_in(b, &err), .number = i, .shares = share};
        prompt_of(&clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        threads[i] = thread_start("client", run_client, &clients[i]);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

static void assert_same_answers(const Client seen[CLIENTS], const Client expected[CLIENTS])
{
    for (int i = 0; i < CLIENTS; i++) {
        if (seen[i].failed)
            fail_msg("client %d: %s", i, seen[i].failed);
        assert_int_equal(seen[i].n, expected[i].n);
        for (size_t t = 0; t < seen[i].n; t++)
            if (seen[i].ids[t] != expected[i].ids[t])
                fail_msg("client %d: token %zu is %d, not %d", i, t, seen[i].ids[t],
                         expected[i].ids[t]);
    }
}

static void test_clients_that_meet_get_what_each_gets_alone(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    Client alone[CLIENTS], together[CLIENTS];
    run_alone(m, alone, false);
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, &(BatchOptions){.sequences = CLIENTS}, &err));
    run_together(b, together, false);
    assert_same_answers(together, alone);
    BatchCounts counts = batch_counts(b);
    assert_true(counts.most > 1 && counts.steps < CLIENTS * (ANSWER + 1));
    assert_true(counts.sequences == 0 && counts.preempted == 0 && counts.reused == 0);
}

static void test_what_is_remembered_changes_no_answer(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("gpt2"), NULL, &err));
    Client alone[CLIENTS], together[CLIENTS];
    run_alone(m, alone, true);
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, &(BatchOptions){.prefix_memory = 1 << 20}, &err));
    run_together(b, together, true);
    assert_same_answers(together, alone);
    int64_t before = batch_counts(b).reused;
    run_together(b, together, true);
    assert_same_answers(together, alone);
    // Now all but each prompt's last token was there.
    assert_true(batch_counts(b).reused - before >= CLIENTS * 45);
    // A conversation goes on where it ended, in the middle of a page.
    AUTO(session_free) Session *s = NULL;
    assert_ok(s = session_new_in(b, &err));
    assert_ok(session_feed(s, alone[3].ids, alone[3].n, NULL, &err));
    assert_int_equal(batch_reused(b, session_sequence(s)), alone[3].n - 1);
    assert_like_alone(b, session_sequence(s), alone[3].ids, alone[3].n);
}

static void test_sequences_wait_for_memory_and_lose_nothing(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    Client alone[CLIENTS], together[CLIENTS];
    run_alone(m, alone, false);
    // A page; each client takes three of them.
    AUTO(batch_free) Batch *any = NULL;
    assert_ok(any = batch_new(m, NULL, &err));
    assert_like_alone(any, feed_new(any, alone[0].ids, 1), alone[0].ids, 1);
    size_t page = batch_counts(any).cache_bytes;
    for (size_t pages = 3; pages < 12; pages += 4)
        for (int remember = 0; remember < 2; remember++) {
            AUTO(batch_free) Batch *b = NULL;
            BatchOptions options = {.cache_memory = pages * page,
                                    .prefix_memory = remember ? pages * page : 0};
            assert_ok(b = batch_new(m, &options, &err));
            run_together(b, together, false);
            assert_same_answers(together, alone);
            assert_true(batch_counts(b).cache_bytes <= pages * page);
        }
    // The older takes the younger's memory; that one is computed again when there is room.
    AUTO(batch_free) Batch *small = NULL;
    assert_ok(small = batch_new(m, &(BatchOptions){.cache_memory = 3 * page}, &err));
    const int32_t *ids = alone[0].ids;
    int older = feed_new(small, ids, 30), younger = feed_new(small, ids, 40);
    assert_ok(batch_step(small, &(BatchFeed){older, ids + 30, 10, 0}, 1, NULL, &err));
    assert_int_equal(batch_counts(small).preempted, 1);
    assert_like_alone(small, older, ids, 40);
    assert_like_alone(small, younger, ids, 40);
    assert_fails(batch_step(small, &(BatchFeed){younger, ids + 40, 1, 0}, 1, NULL, &err), ERR_LIMIT,
                 "the key/value cache is full");
    batch_drop(small, older);
    assert_ok(batch_step(small, &(BatchFeed){younger, ids + 40, 2, 0}, 1, NULL, &err));
    assert_like_alone(small, younger, ids, 42);
}

/* Beside sequences that decode, or may, a prompt goes in chunks that do not hold them up. */
static void test_a_long_prompt_leaves_room_for_others(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    AUTO(batch_free) Batch *b = NULL;
    assert_ok(b = batch_new(m, NULL, &err));
    int32_t ids[TOKENS];
    ids_of(1, ids);
    feed_new(b, ids, TOKENS);
    assert_int_equal(batch_counts(b).steps, 1);
    batch_join(b); // two threads of which one is busy
    batch_join(b);
    int s = feed_new(b, ids, TOKENS);
    assert_int_equal(batch_counts(b).steps, 1 + 2);
    assert_like_alone(b, s, ids, TOKENS);
    batch_leave(b);
    batch_leave(b);
    const BatchFeed feeds[] = {{s, ids, 1, 0}, {batch_add(b, &err), ids, TOKENS, 0}};
    assert_ok(batch_step(b, feeds, 2, NULL, &err));
    assert_int_equal(batch_counts(b).steps, 3 + 2);
    assert_int_equal(batch_counts(b).rows, 3 * TOKENS + 1);
}

/* How far the logits of a prompt and ten tokens more lie from those with an f32 cache, over the
 * largest of them. Each key and value is rounded once; these models are small, and their attention
 * is spread over few keys, so that hardly anything evens out. */
static void test_narrow_caches_come_close(void **state)
{
    static const struct {
        const char *dtype;
        float tolerance;
    } types[] = {{"f32", 0}, {"f16", 2e-3F}, {"bf16", 2e-2F}, {"q8_0", 2e-2F}};
    Error err = {0};
    for (size_t i = 0; i < 2 * COUNT(types); i++) {
        AUTO(language_model_free) LanguageModel *m = NULL;
        assert_ok(m = language_model_open(golden(i % 2 ? "gpt2" : "llama"), NULL, &err));
        AUTO(batch_free) Batch *exact = NULL, *b = NULL;
        const BatchOptions options = {.cache_dtype = types[i / 2].dtype};
        assert_ok(exact = batch_new(m, NULL, &err));
        assert_ok(b = batch_new(m, &options, &err));
        int32_t ids[TOKENS];
        ids_of(2, ids);
        int s = feed_new(b, ids, 50), t = feed_new(exact, ids, 50);
        for (int n = 50; n < 60; n++) {
            assert_ok(batch_step(b, &(BatchFeed){s, ids + n, 1, 0}, 1, NULL, &err));
            assert_ok(batch_step(exact, &(BatchFeed){t, ids + n, 1, 0}, 1, NULL, &err));
        }
        float off = 0, top = 0;
        const float *seen = batch_logits(b, s, 0), *wanted = batch_logits(exact, t, 0);
        for (int64_t v = 0; v < language_model_vocab(m); v++) {
            off = fmaxf(off, fabsf(seen[v] - wanted[v]));
            top = fmaxf(top, fabsf(wanted[v]));
        }
        if (!(off <= types[i / 2].tolerance * top))
            fail_msg("%s: off by %g of %g", types[i / 2].dtype, (double)off, (double)top);
    }
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("gpt2"), NULL, &err));
    assert_fails(batch_new(m, &(BatchOptions){.cache_dtype = "q4_0"}, &err), ERR_UNSUPPORTED,
                 "f32, f16, bf16 and q8_0 are");
}

int main(void)
{
    return RUN(test_ragged_steps_give_what_each_sequence_gives_alone, test_forks_go_their_own_ways,
               test_logits_of_several_tokens, test_clients_that_meet_get_what_each_gets_alone,
               test_what_is_remembered_changes_no_answer,
               test_sequences_wait_for_memory_and_lose_nothing,
               test_a_long_prompt_leaves_room_for_others, test_narrow_caches_come_close);
}
