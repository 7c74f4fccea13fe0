/* assisted.c: decoding with guesses. Something cheap proposes tokens, the model computes all of
 * them in one pass, and keeps those that it would have chosen itself: the text is the model's own,
 * only sooner.
 *
 * Guesses come from a smaller model with the same vocabulary (Leviathan 2023, arXiv:2211.17192), or
 * from an earlier place in the text that reads like the latest tokens. Greedy, and with looked-up
 * tokens, the model chooses as it always does and a guess counts if it is that choice. Drawing with
 * a draft model follows the paper's algorithm 1: a guess is kept with probability p/q, and in place
 * of a refused one a token is drawn from what p has more than q. */
#include "generate/generate_internal.h"

#include "base/clock.h"

#include <math.h>

typedef struct Assisted {
    Run *run;
    Track track;
    Batch *batch; // the session's
    int sequence;
    int32_t *feed; // the latest token, then the guesses
    size_t n;      // guesses
    size_t most;   // guesses at once; the schedule changes it
    // With a draft model that draws:
    Sampler *drafter;
    float *drafted; // [most,vocab] probabilities that each guess was drawn from
    float *wanted;  // [vocab] scratch: the model's
    size_t room;    // guesses that `drafted` holds
} Assisted;

/* The text so far; the session lacks its last token until the next pass. */
static int32_t token_at(const Assisted *a, size_t i)
{
    return i < a->run->prompt ? a->run->ids[i] : a->track.out->ids[i - a->run->prompt];
}

/* Guesses that make sense: the pass gives one token more than it was given. */
static size_t most_guesses(const Assisted *a, size_t wanted)
{
    size_t left = a->run->limit - a->track.out->n;
    return MIN(wanted, left - 1);
}

// ---- Guesses by looking up ----

/* What followed the first earlier place where the latest `size` tokens stand. */
static size_t look_up(Assisted *a, size_t size, size_t most)
{
    size_t n = a->run->prompt + a->track.out->n;
    for (size_t i = 0; i + size < n; i++) {
        size_t same = 0;
        while (same < size && token_at(a, i + same) == token_at(a, n - size + same))
            same++;
        if (same < size)
            continue;
        size_t found = MIN(most, n - i - size);
        for (size_t k = 0; k < found; k++)
            a->feed[1 + k] = token_at(a, i + size + k);
        return found;
    }
    return 0;
}

static void guess_by_lookup(Assisted *a)
{
    const GenerateParams *p = a->run->params;
    size_t n = a->run->prompt + a->track.out->n;
    size_t most = most_guesses(a, (size_t)p->prompt_lookup_num_tokens);
    a->n = 0;
    for (size_t size = MIN((size_t)p->max_matching_ngram_size, n - 1); size > 0 && a->n == 0;
         size--)
        a->n = look_up(a, size, most);
}

// ---- Guesses by a draft model ----

static double probability_of(const float *scores, size_t vocab, int32_t id)
{
    return exp(logit_logprob(scores, (int64_t)vocab, id));
}

/* Softmax of scores, some of which are minus infinity. */
static void soften(const float *scores, float *out, size_t vocab)
{
    double sum = logits_logsum(scores, (int64_t)vocab);
    for (size_t i = 0; i < vocab; i++)
        out[i] = scores[i] > -INFINITY ? (float)exp((double)scores[i] - sum) : 0;
}

static int32_t draw_from(const float *weights, size_t vocab, double sum, Random *random)
{
    double at = random_unit(random) * sum;
    int32_t last = 0;
    for (size_t i = 0; i < vocab; i++) {
        if (weights[i] <= 0)
            continue;
        last = (int32_t)i;
        at -= (double)weights[i];
        if (at < 0)
            break;
    }
    return last;
}

static int32_t first_largest(const float *scores, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return (int32_t)best;
}

/* The text into the draft's session, as far as it is not there. */
static bool feed_draft(Assisted *a, Error *err)
{
    Session *draft = a->run->call->assistant;
    size_t n = a->run->prompt + a->track.out->n, same = 0;
    while (same < MIN(session_length(draft), n - 1) &&
           session_ids(draft)[same] == token_at(a, same))
        same++;
    session_rewind(draft, same);
    enum { PIECE = 256 };
    int32_t ids[PIECE];
    for (size_t i = same; i < n;) {
        size_t piece = MIN(n - i, (size_t)PIECE);
        for (size_t k = 0; k < piece; k++)
            ids[k] = token_at(a, i + k);
        if (!session_feed(draft, ids, piece, a->run->call->cancelled, err))
            return fail_while(err, "the assistant model");
        i += piece;
    }
    return true;
}

/* One guess behind the others; its probability under the draft. */
static double guess_one(Assisted *a)
{
    Session *draft = a->run->call->assistant;
    size_t vocab = a->run->vocab;
    SampleInput in = {.logits = session_logits(draft),
                      .ids = session_ids(draft),
                      .n = session_length(draft),
                      .prompt = a->run->prompt,
                      .max_length = a->run->prompt + a->run->limit};
    const float *scores = sampler_scores(a->drafter, &in);
    if (!a->run->params->sample.do_sample) {
        a->feed[1 + a->n] = first_largest(scores, vocab);
        return probability_of(scores, vocab, a->feed[1 + a->n]);
    }
    float *q = a->drafted + a->n * vocab;
    soften(scores, q, vocab);
    a->feed[1 + a->n] = draw_from(q, vocab, 1, &a->track.random);
    return (double)q[a->feed[1 + a->n]];
}

static bool guess_by_draft(Assisted *a, Error *err)
{
    Session *draft = a->run->call->assistant;
    size_t most = most_guesses(a, MIN(a->most, a->room));
    double least = (double)a->run->params->assistant_confidence_threshold;
    a->n = 0;
    if (most == 0 || session_capacity(draft) < a->run->prompt + a->track.out->n + most)
        return true;
    if (!feed_draft(a, err))
        return false;
    for (;;) {
        double confidence = guess_one(a);
        int32_t id = a->feed[1 + a->n++];
        // Behind an end there is nothing to guess, and what is unlikely is mostly wrong.
        if (a->n == most || run_is_end(a->run, id) || confidence < least)
            return true;
        if (!session_feed(draft, &id, 1, NULL, err))
            return fail_while(err, "the assistant model");
    }
}

/* Constant, or: two more after a pass that kept all, one fewer after any other. */
static void adapt(Assisted *a, size_t kept)
{
    if (strcmp(a->run->params->num_assistant_tokens_schedule, "constant") == 0)
        return;
    if (kept == a->n)
        a->most = MIN(a->most + 2, a->room);
    else
        a->most = MAX(a->most - 1, (size_t)1);
}

// ---- Verifying ----

/* Algorithm 1 for the i-th guess; -1: err. *kept tells whether the token is the guess. */
static int32_t verify_drawn(Assisted *a, size_t i, const float *logits, size_t n, bool *kept,
                            Error *err)
{
    Run *r = a->run;
    SampleInput in = {.logits = logits,
                      .ids = session_ids(r->session),
                      .n = n,
                      .prompt = r->prompt,
                      .max_length = r->prompt + r->limit};
    if (!run_mask(r, a->track.at, &in.allowed, err))
        return -1;
    soften(sampler_scores(r->sampler, &in), a->wanted, r->vocab);
    *kept = false;
    if (i == a->n)
        return draw_from(a->wanted, r->vocab, 1, &a->track.random);
    int32_t guess = a->feed[1 + i];
    const float *q = a->drafted + i * r->vocab;
    *kept = random_unit(&a->track.random) * (double)q[guess] <= (double)a->wanted[guess];
    if (*kept)
        return guess;
    double sum = 0;
    for (size_t k = 0; k < r->vocab; k++) {
        a->wanted[k] = fmaxf(a->wanted[k] - q[k], 0);
        sum += (double)a->wanted[k];
    }
    return draw_from(a->wanted, r->vocab, sum, &a->track.random);
}

/* The pass over the guesses has been made: takes what counts of them and the token behind. *go_on:
 * the text is not at its end. */
static bool verify(Assisted *a, bool *go_on, Error *err)
{
    Run *r = a->run;
    bool drawn = a->drafted != NULL;
    size_t before = r->prompt + a->track.out->n, i = 0;
    for (bool kept = true; kept && i <= a->n; i++) {
        const float *logits = batch_logits(a->batch, a->sequence, i);
        int32_t id = drawn ? verify_drawn(a, i, logits, before + i, &kept, err)
                           : run_choose(r, &a->track, logits, NULL, session_ids(r->session),
                                        before + i, err);
        if (id < 0)
            return false;
        if (!drawn)
            kept = i < a->n && a->feed[1 + i] == id;
        r->call->accepted += kept;
        *go_on = run_take(r, &a->track, id, logits);
        if (!*go_on)
            break;
    }
    r->call->drafted += a->n;
    adapt(a, i - 1);
    // The last token taken was computed only if it was a guess; it comes again with the next pass.
    session_rewind(r->session, r->prompt + a->track.out->n - 1);
    return true;
}

static bool pass(Assisted *a, Error *err)
{
    if (a->run->call->assistant) {
        if (!guess_by_draft(a, err))
            return false;
    } else {
        guess_by_lookup(a);
    }
    BatchFeed feed = {.sequence = a->sequence, .ids = a->feed, .n = a->n + 1, .logits = a->n + 1};
    a->feed[0] = token_at(a, a->run->prompt + a->track.out->n - 1);
    return batch_step(a->batch, &feed, 1, NULL, err);
}

static bool assisted_begin(Assisted *a, Error *err)
{
    Run *r = a->run;
    const GenerateParams *p = r->params;
    Session *draft = r->call->assistant;
    a->room = draft ? MIN((size_t)256, 2 * (size_t)p->num_assistant_tokens + 8)
                    : (size_t)p->prompt_lookup_num_tokens;
    a->most = (size_t)p->num_assistant_tokens;
    a->feed = NEW_ARRAY(r->call->arena, int32_t, a->room + 1);
    if (!draft)
        return true;
    size_t vocab = (size_t)language_model_vocab(session_model(draft));
    if (vocab != r->vocab)
        return fail(err, ERR_UNSUPPORTED,
                    "the assistant model has %zu tokens, the model %zu; they must have the same "
                    "tokenizer",
                    vocab, r->vocab);
    SampleParams sample = p->sample;
    sample.min_length = sample.min_new_tokens = 0;
    a->drafter = sampler_new(&sample, (int64_t)vocab);
    if (!sample.do_sample)
        return true;
    a->wanted = arena_try(r->call->arena, vocab, sizeof(float), err);
    a->drafted = a->wanted ? arena_try(r->call->arena, a->room * vocab, sizeof(float), err) : NULL;
    return a->drafted != NULL;
}

static bool decode(Assisted *a, Error *err)
{
    Run *r = a->run;
    int64_t began = clock_ns();
    if (!run_feed_prompt(r, err))
        return false;
    r->call->prefill_ns = clock_ns() - began;
    // The first token comes of the prompt's pass alone.
    bool go_on = true;
    a->n = 0;
    if (!verify(a, &go_on, err))
        return false;
    while (go_on)
        if (!pass(a, err) || !verify(a, &go_on, err))
            return fail_while(err, "token %zu", r->prompt + a->track.out->n);
    return true;
}

bool decode_assisted(Run *r, Error *err)
{
    Assisted a = {.run = r};
    a.batch = session_batch(r->session);
    a.sequence = session_sequence(r->session);
    bool ok = track_start(r, &a.track, 0, err) && assisted_begin(&a, err) && decode(&a, err);
    track_done(&a.track);
    sampler_free(a.drafter);
    return ok;
}
