/* generate.c: from a prompt to sequences; see generate.h. What all strategies share is here, and
 * the plain one: each sequence chooses its next token, and one step computes all of them. */
#include "generate/generate_internal.h"

#include "base/clock.h"
#include "base/digest.h"

#include <math.h>

// ---- One sequence ----

bool track_start(Run *r, Track *t, int index, Error *err)
{
    GenerateCall *call = r->call;
    const GenerateParams *p = r->params;
    Generated *out = &call->sequences[index];
    *t = (Track){.index = index, .is_quiet = index > 0, .out = out};
    buf_init(&t->text, 0);
    t->random = sample_random(r->seed, (size_t)index);
    t->stream = p->n_stop ? decode_stream_new(call->tokenizer, true) : NULL;
    t->at = r->matcher ? matcher_start(r->matcher) : -1;
    *out = (Generated){.reason = STOP_LENGTH};
    out->ids = arena_try(call->arena, r->limit, sizeof *out->ids, err);
    if (!out->ids)
        return false;
    if (call->want_logprobs &&
        !(out->logprobs = arena_try(call->arena, r->limit, sizeof *out->logprobs, err)))
        return false;
    return !p->top_logprobs ||
           (out->top =
                arena_try(call->arena, r->limit * (size_t)p->top_logprobs, sizeof *out->top, err));
}

void track_done(Track *t)
{
    decode_stream_free(t->stream);
    buf_done(&t->text);
}

bool run_is_end(const Run *r, int32_t id)
{
    for (size_t i = 0; i < r->params->sample.eos.n; i++)
        if (r->params->sample.eos.ids[i] == id)
            return true;
    return false;
}

bool run_is_cancelled(const Run *r)
{
    return r->call->cancelled && atomic_load_explicit(r->call->cancelled, memory_order_relaxed);
}

bool run_is_late(const Run *r)
{
    return r->deadline && clock_ns() >= r->deadline;
}

/* True if a stop text ends within what this token added to the text. */
static bool hits_stop_text(const Run *r, Track *t, int32_t id)
{
    if (!t->stream)
        return false;
    Str piece = decode_stream_add(t->stream, id);
    // Only a match that reaches into the new piece counts; older text was looked at before.
    size_t keep = MIN(t->text.len, r->longest_stop - 1);
    if (keep)
        memmove(t->text.ptr, t->text.ptr + t->text.len - keep, keep);
    t->text.len = keep;
    buf_add(&t->text, piece);
    for (size_t i = 0; i < r->params->n_stop; i++)
        if (str_find(buf_str(&t->text), r->params->stop[i], 0) != SIZE_MAX)
            return true;
    return false;
}

// ---- Choosing ----

bool run_mask(Run *r, MatchState at, const uint64_t **mask, Error *err)
{
    *mask = NULL;
    if (!r->matcher)
        return true;
    const uint64_t *allowed = matcher_mask(r->matcher, at, err);
    if (!allowed)
        return false;
    size_t n = MIN(matcher_mask_words(r->matcher), r->mask_words);
    memset(r->mask, 0, r->mask_words * sizeof *r->mask);
    memcpy(r->mask, allowed, n * sizeof *r->mask);
    // An end token is none of the grammar's: it may come where the text may end.
    for (size_t i = 0; i < r->params->sample.eos.n; i++) {
        uint32_t id = (uint32_t)r->params->sample.eos.ids[i];
        if (id >= r->vocab)
            continue;
        if (matcher_may_end(r->matcher, at))
            r->mask[id / 64] |= (uint64_t)1 << id % 64;
        else
            r->mask[id / 64] &= ~((uint64_t)1 << id % 64);
    }
    *mask = r->mask;
    return true;
}

int32_t run_choose(Run *r, Track *t, const float *logits, const float *unguided, const int32_t *ids,
                   size_t n, Error *err)
{
    SampleInput in = {.logits = logits,
                      .unguided = unguided,
                      .ids = ids,
                      .n = n,
                      .prompt = r->prompt,
                      .max_length = r->prompt + r->limit};
    if (!run_mask(r, t->at, &in.allowed, err))
        return -1;
    return sampler_pick(r->sampler, &in, &t->random);
}

/* The likeliest tokens with their probabilities. */
static void find_top(const float *logits, size_t vocab, double sum, TopToken *top, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < vocab; i++) {
        if (isnan(logits[i]) || (found == n && !(logits[i] > top[n - 1].logprob)))
            continue;
        size_t at = found < n ? found++ : n - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--)
            top[at] = top[at - 1];
        top[at] = (TopToken){(int32_t)i, logits[i]};
    }
    for (size_t i = 0; i < found; i++)
        top[i].logprob = (float)((double)top[i].logprob - sum);
}

void run_note_logprobs(const Run *r, Generated *out, int32_t id, const float *logits)
{
    size_t n_top = (size_t)r->params->top_logprobs;
    if (!out->logprobs && !out->top)
        return;
    double sum = logits_logsum(logits, (int64_t)r->vocab);
    if (out->logprobs)
        out->logprobs[out->n] = (float)((double)logits[id] - sum);
    if (out->top)
        find_top(logits, r->vocab, sum, out->top + out->n * n_top, MIN(n_top, r->vocab));
}

/* Tells the caller of the i-th token; false if it wants no more. */
static bool tell(Run *r, const Track *t, size_t i)
{
    const Generated *out = t->out;
    size_t n_top = (size_t)r->params->top_logprobs;
    if (!r->call->on_token)
        return true;
    GeneratedToken token = {.sequence = t->index,
                            .index = (int)i,
                            .id = out->ids[i],
                            .logprob = out->logprobs ? out->logprobs[i] : 0,
                            .top = out->top ? out->top + i * n_top : NULL,
                            .n_top = out->top ? n_top : 0};
    return r->call->on_token(r->call->context, &token);
}

void run_tell(Run *r, Track *t)
{
    for (size_t i = 0; i < t->out->n; i++)
        if (!tell(r, t, i)) {
            t->out->n = i + 1;
            t->out->reason = STOP_CALLER;
        }
}

/* Goes on in the grammar; true if nothing but an end can come now. */
static bool ends_grammar(Run *r, Track *t, int32_t id)
{
    if (!r->matcher)
        return false;
    t->at = matcher_step(r->matcher, t->at, id);
    if (t->at < 0)
        return true;
    const uint64_t *mask =
        matcher_may_end(r->matcher, t->at) ? matcher_mask(r->matcher, t->at, NULL) : NULL;
    for (size_t i = 0; mask && i < matcher_mask_words(r->matcher); i++)
        if (mask[i])
            return false;
    return mask != NULL;
}

bool run_take(Run *r, Track *t, int32_t id, const float *logits)
{
    Generated *out = t->out;
    run_note_logprobs(r, out, id, logits);
    out->ids[out->n++] = id;
    bool go_on = t->is_quiet || tell(r, t, out->n - 1);
    // In this order: what the model said comes before what the caller did.
    if (run_is_end(r, id) || ends_grammar(r, t, id))
        out->reason = STOP_EOS;
    else if (hits_stop_text(r, t, id))
        out->reason = STOP_TEXT;
    else if (!go_on)
        out->reason = STOP_CALLER;
    else if (out->n == r->limit || run_is_late(r))
        out->reason = STOP_LENGTH;
    else if (run_is_cancelled(r))
        out->reason = STOP_CANCELLED;
    else
        return true;
    return false;
}

// ---- The prompt ----

/* The logarithms of the probabilities of the tokens just fed, from..to of the prompt. */
static void note_prompt(Run *r, Batch *b, int sequence, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (i + 1 < r->prompt)
            r->call->prompt_logprobs[i + 1] = (float)logit_logprob(
                batch_logits(b, sequence, i - from), (int64_t)r->vocab, r->ids[i + 1]);
}

/* A few at a time, because each has the logits of the whole vocabulary. */
static bool feed_for_logprobs(Run *r, Error *err)
{
    enum { PIECE = 32 };
    int sequence = session_sequence(r->session);
    Batch *b = session_batch(r->session);
    GenerateCall *call = r->call;
    call->prompt_logprobs = arena_try(call->arena, r->prompt, sizeof(float), err);
    if (!call->prompt_logprobs)
        return false;
    call->prompt_logprobs[0] = NAN;
    session_rewind(r->session, 0);
    for (size_t i = 0, n; i < r->prompt; i += n) {
        n = MIN((size_t)PIECE, r->prompt - i);
        BatchFeed feed = {.sequence = sequence, .ids = r->ids + i, .n = n, .logits = n};
        if (i + n == r->prompt) { // the last one alone: the session's logits are those of row 0
            feed.n = feed.logits = n > 1 ? n - 1 : 1;
            n = feed.n;
        }
        if (!batch_step(b, &feed, 1, call->cancelled, err))
            return false;
        note_prompt(r, b, sequence, i, i + n);
    }
    return true;
}

bool run_feed_prompt(Run *r, Error *err)
{
    Session *s = r->session;
    size_t same = 0, held = MIN(session_length(s), r->prompt - 1);
    if (r->call->want_prompt_logprobs)
        return feed_for_logprobs(r, err);
    while (same < held && session_ids(s)[same] == r->ids[same])
        same++;
    session_rewind(s, same);
    r->call->prompt_cached = same;
    if (!session_feed(s, r->ids + same, r->prompt - same, r->call->cancelled, err))
        return false;
    r->call->prompt_cached += batch_reused(session_batch(s), session_sequence(s));
    return true;
}

// ---- Lanes ----

/* The session's sequence, n + spare times; takes back what it made if there is no room for all. */
static bool fork_session(Run *r, Lanes *l, size_t n, size_t spare)
{
    Batch *b = session_batch(r->session);
    size_t made = 0;
    int fork = 0;
    while (made < n + spare && (fork = batch_fork(b, session_sequence(r->session), NULL)) >= 0)
        l->slots[made++] = fork;
    bool ok = made == n + spare;
    while (made > (ok ? n : 0))
        batch_drop(b, l->slots[--made]);
    l->batch = b;
    l->n = made;
    return ok;
}

/* In a batch of their own. */
static bool make_batch(Run *r, Lanes *l, size_t n, size_t spare, const Inside *inside, Error *err)
{
    BatchOptions options = {.sequences = (int)(n + spare),
                            .max_tokens = (int64_t)(r->prompt + r->limit),
                            .inside = inside};
    l->batch = l->own = batch_new(r->model, &options, err);
    if (!l->own)
        return false;
    l->n = n;
    l->slots[0] = batch_add(l->own, err);
    BatchFeed prompt = {.sequence = l->slots[0], .ids = r->ids, .n = r->prompt};
    if (!batch_step(l->own, &prompt, 1, r->call->cancelled, err))
        return false;
    for (size_t i = 1; i < n; i++)
        if ((l->slots[i] = batch_fork(l->own, l->slots[0], err)) < 0)
            return false;
    return true;
}

bool lanes_open(Run *r, Lanes *l, size_t n, size_t spare, Error *err)
{
    *l = (Lanes){.slots = NEW_ARRAY(r->call->arena, int, n + spare)};
    int64_t began = clock_ns();
    if (!run_feed_prompt(r, err))
        return false;
    r->call->prefill_ns = clock_ns() - began;
    return fork_session(r, l, n, spare) || make_batch(r, l, n, spare, NULL, err);
}

bool lanes_open_inside(Run *r, Lanes *l, size_t n, size_t spare, const Inside *inside, Error *err)
{
    *l = (Lanes){.slots = NEW_ARRAY(r->call->arena, int, n + spare)};
    int64_t began = clock_ns();
    if (r->call->want_prompt_logprobs && !run_feed_prompt(r, err))
        return false;
    bool ok = make_batch(r, l, n, spare, inside, err);
    r->call->prefill_ns = clock_ns() - began;
    return ok;
}

void lanes_close(Lanes *l)
{
    for (size_t i = 0; i < l->n && !l->own; i++)
        batch_drop(l->batch, l->slots[i]);
    batch_free(l->own);
}

// ---- The plain strategy ----

/* One sequence in the caller's session; with guidance a second one runs along without the prompt.
 */
static bool decode_one(Run *r, Track *t, Error *err)
{
    AUTO(session_free) Session *unguided = NULL;
    bool guided = r->params->sample.guidance_scale != 1;
    const int32_t *negative = r->call->negative ? r->call->negative : r->ids + r->prompt - 1;
    size_t n_negative = r->call->negative ? r->call->n_negative : 1;
    if (guided && (!(unguided = session_new(r->model, (int64_t)(n_negative + r->limit), err)) ||
                   !session_feed(unguided, negative, n_negative, r->call->cancelled, err)))
        return fail_while(err, "guidance");
    for (;;) {
        const float *logits = session_logits(r->session);
        int32_t id = run_choose(r, t, logits, guided ? session_logits(unguided) : NULL,
                                session_ids(r->session), session_length(r->session), err);
        if (id < 0)
            return false;
        if (!run_take(r, t, id, logits))
            return true;
        if (!session_feed(r->session, &id, 1, NULL, err) ||
            (guided && !session_feed(unguided, &id, 1, NULL, err)))
            return fail_while(err, "token %zu", r->prompt + t->out->n);
    }
}

/* One more token of each track that still runs; false at the end or on failure. */
static bool step_all(Run *r, Batch *b, Track *tracks, const int *slots, bool *running,
                     BatchFeed *feeds, int32_t *ids, Error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        if (!running[i])
            continue;
        const float *logits = batch_logits(b, slots[i], 0);
        ids[i] = run_choose(r, &tracks[i], logits, NULL, batch_ids(b, slots[i]),
                            batch_length(b, slots[i]), err);
        if (ids[i] < 0)
            return false;
        running[i] = run_take(r, &tracks[i], ids[i], logits);
        if (tracks[i].out->reason == STOP_CALLER || tracks[i].out->reason == STOP_CANCELLED)
            return false;
        if (running[i])
            feeds[n++] = (BatchFeed){.sequence = slots[i], .ids = &ids[i], .n = 1};
    }
    return n > 0 && batch_step(b, feeds, n, r->call->cancelled, err);
}

/* Until all are at their end. What was found by then stays when the caller has gone. */
static bool run_lanes(Run *r, const Lanes *l, Track *tracks, bool *running, Error *err)
{
    BatchFeed *feeds = NEW_ARRAY(r->call->arena, BatchFeed, l->n);
    int32_t *ids = NEW_ARRAY(r->call->arena, int32_t, l->n);
    Error failure = {0};
    while (step_all(r, l->batch, tracks, l->slots, running, feeds, ids, &failure))
        continue;
    if (failure.code == ERR_NONE || failure.code == ERR_CANCELLED)
        return true;
    if (err)
        *err = failure;
    return false;
}

/* Several sequences side by side. */
static bool decode_many(Run *r, Track *tracks, Error *err)
{
    Lanes lanes;
    size_t n = r->call->n_sequences;
    bool *running = NEW_ARRAY(r->call->arena, bool, n);
    memset(running, true, n);
    bool ok = lanes_open(r, &lanes, n, 0, err) && run_lanes(r, &lanes, tracks, running, err);
    lanes_close(&lanes);
    for (size_t i = 0; i < n && ok; i++) {
        if (running[i]) // cut short with the others
            tracks[i].out->reason = STOP_CANCELLED;
        if (i > 0 && tracks[0].out->reason != STOP_CALLER)
            run_tell(r, &tracks[i]);
    }
    return ok;
}

static bool decode_plain(Run *r, Error *err)
{
    size_t n = r->call->n_sequences;
    Track *tracks = NEW_ARRAY(r->call->arena, Track, n);
    int64_t began = clock_ns();
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = track_start(r, &tracks[i], (int)i, err);
    if (ok && n > 1)
        ok = decode_many(r, tracks, err);
    else if (ok && (ok = run_feed_prompt(r, err))) {
        r->call->prefill_ns = clock_ns() - began;
        ok = decode_one(r, &tracks[0], err);
    }
    for (size_t i = 0; i < n; i++)
        track_done(&tracks[i]);
    return ok;
}

// ---- The call ----

static bool limits_find(Run *r, Error *err)
{
    const GenerateParams *p = r->params;
    size_t capacity = session_capacity(r->session), n = r->prompt;
    if (n == 0)
        return fail(err, ERR_INVALID, "the prompt has no tokens");
    if (n >= capacity)
        return fail(err, ERR_LIMIT, "the prompt has %zu tokens, and %zu is the most with an answer",
                    n, capacity - 1);
    int64_t limit = p->max_new_tokens ? p->max_new_tokens : p->max_length - (int64_t)n;
    if (limit < 1)
        return fail(err, ERR_INVALID, "'max_length' is %lld, the prompt alone has %zu tokens",
                    (long long)p->max_length, n);
    r->limit = MIN((size_t)limit, capacity - n);
    for (size_t i = 0; i < n; i++)
        if (r->ids[i] < 0 || (size_t)r->ids[i] >= r->vocab)
            return fail(err, ERR_INVALID, "token %zu is %d; ids lie in 0 to %zu", i, r->ids[i],
                        r->vocab - 1);
    for (size_t i = 0; i < p->n_stop; i++)
        r->longest_stop = MAX(r->longest_stop, p->stop[i].len);
    if (p->n_stop > 0 && !r->call->tokenizer)
        return fail(err, ERR_INVALID, "stop texts need the model's tokenizer");
    if (r->call->grammar && !r->call->trie)
        return fail(err, ERR_INVALID, "a grammar needs the model's tokenizer");
    if (p->max_time > 0)
        r->deadline = clock_ns() + (int64_t)(p->max_time * 1e9);
    return true;
}

static bool run_strategy(Run *r, Error *err)
{
    const GenerateParams *p = r->params;
    bool assisted = p->prompt_lookup_num_tokens > 0 || r->call->assistant;
    if (assisted &&
        (p->num_beams > 1 || p->num_return_sequences > 1 || p->sample.guidance_scale != 1))
        return fail(err, ERR_UNSUPPORTED,
                    "assisted decoding is for one sequence, without beams and guidance");
    if (assisted && (p->dola || generate_is_contrastive(p)))
        return fail(err, ERR_UNSUPPORTED,
                    "assisted decoding does not go with 'dola_layers' and 'penalty_alpha'");
    return p->n_forced > 0              ? search_beams_with_words(r, err)
           : p->num_beam_groups > 1     ? search_beam_groups(r, err)
           : p->num_beams > 1           ? search_beams(r, err)
           : generate_is_contrastive(p) ? search_contrastive(r, err)
           : p->dola                    ? decode_dola(r, err)
           : assisted                   ? decode_assisted(r, err)
                                        : decode_plain(r, err);
}

static void sum_up(Run *r, int64_t began)
{
    GenerateCall *call = r->call;
    call->decode_ns = clock_ns() - began - call->prefill_ns;
    for (size_t i = 0; i < call->n_sequences; i++)
        call->decode_tokens += call->sequences[i].n - MIN(call->sequences[i].n, 1);
}

bool generate(Session *s, const int32_t *prompt, size_t n, const GenerateParams *p,
              GenerateCall *call, Error *err)
{
    Run r = {.session = s,
             .model = session_model(s),
             .ids = prompt,
             .prompt = n,
             .params = p,
             .call = call,
             .seed = (uint64_t)p->seed,
             .vocab = (size_t)language_model_vocab(session_model(s))};
    if (!limits_find(&r, err))
        return false;
    if (p->seed < 0)
        random_bytes(&r.seed, sizeof r.seed);
    call->n_sequences = (size_t)p->num_return_sequences;
    call->sequences = NEW_ARRAY(call->arena, Generated, call->n_sequences);
    call->decode_tokens = call->drafted = call->accepted = call->prompt_cached = 0;
    call->prefill_ns = 0;
    SampleParams sample = p->sample;
    sample.constrained = call->grammar != NULL;
    if (p->num_beams > 1)
        sample.min_tokens_to_keep = (int64_t)sample.eos.n + 1;
    r.sampler = sampler_new(&sample, (int64_t)r.vocab);
    if (call->grammar) {
        r.matcher = matcher_new(call->grammar, call->trie);
        r.mask_words = (r.vocab + 63) / 64;
        r.mask = xcalloc(r.mask_words, sizeof *r.mask);
    }
    int64_t began = clock_ns();
    bool ok = run_strategy(&r, err);
    sum_up(&r, began);
    matcher_free(r.matcher);
    sampler_free(r.sampler);
    free(r.mask);
    return ok;
}
