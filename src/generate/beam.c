/* beam.c: beam search and beam sampling, as transformers' `_beam_search` does them, step by step:
 *
 *   running    the num_beams best texts that are not at an end, with the sum of their log
 *              probabilities; each a sequence of one batch
 *   finished   the num_beams best texts that are, ranked by that sum over length^length_penalty
 *
 * A step looks at the best continuations of all running texts together, more of them than there
 * are beams, so that as many are left when the best all end. */
#include "generate/generate_internal.h"

#include <math.h>

#define FAR (-1e9f) // the reference's "minus infinity" among scores

/* A text: its new tokens. */
typedef struct Beam {
    float score;
    bool is_finished;
    size_t n;
    int32_t *ids;    // [limit]
    float *logprobs; // of the model itself, before any processor; NULL if nobody asks
    TopToken *top;
    MatchState at; // in the grammar
    StopReason reason;
} Beam;

/* A running text and a token behind it. */
typedef struct Continuation {
    float score;
    float key; // what they are ordered by: the score, when sampling with noise
    int beam;
    int32_t id;
    bool ends;
    StopReason reason;
} Continuation;

typedef struct Search {
    Run *run;
    Batch *batch;
    Random random;
    size_t beams, wanted; // continuations that are looked at
    Beam *running, *next, *finished;
    Lanes lanes;
    const int *slots; // the lanes'
    int *from;
    Continuation *best; // [wanted]
    size_t n_best;
    float *logprobs; // [vocab], scratch
    BatchFeed *feeds;
    bool can_improve;
} Search;

static bool beams_new(Search *s, Beam **out, size_t n, Error *err)
{
    GenerateCall *call = s->run->call;
    size_t limit = s->run->limit, n_top = (size_t)s->run->params->top_logprobs;
    Beam *beams = *out = NEW_ARRAY(call->arena, Beam, n);
    for (size_t i = 0; i < n; i++) {
        beams[i].score = FAR;
        if (!(beams[i].ids = arena_try(call->arena, limit, sizeof *beams[i].ids, err)) ||
            (call->want_logprobs &&
             !(beams[i].logprobs = arena_try(call->arena, limit, sizeof(float), err))) ||
            (n_top &&
             !(beams[i].top = arena_try(call->arena, limit * n_top, sizeof(TopToken), err))))
            return false;
    }
    return true;
}

/* `to` becomes what `from` is; each keeps its memory. */
static void beam_copy(const Search *s, Beam *to, const Beam *from)
{
    Beam copy = *from;
    size_t n_top = (size_t)s->run->params->top_logprobs;
    copy.ids = to->ids;
    copy.logprobs = to->logprobs;
    copy.top = to->top;
    memcpy(copy.ids, from->ids, from->n * sizeof *copy.ids);
    if (copy.logprobs)
        memcpy(copy.logprobs, from->logprobs, from->n * sizeof *copy.logprobs);
    if (copy.top)
        memcpy(copy.top, from->top, from->n * n_top * sizeof *copy.top);
    *to = copy;
}

// ---- The best continuations ----

/* Best first; of equals, the one that was met first. */
static void offer(Search *s, Continuation c)
{
    if (s->n_best == s->wanted && !(c.key > s->best[s->n_best - 1].key))
        return;
    size_t at = s->n_best < s->wanted ? s->n_best++ : s->n_best - 1;
    for (; at > 0 && c.key > s->best[at - 1].key; at--)
        s->best[at] = s->best[at - 1];
    s->best[at] = c;
}

/* Draws without replacement are the largest after noise: Kool 2019, arXiv:1903.06059. */
static float noise(Random *random)
{
    double u = random_unit(random);
    return (float)-log(-log(u > 0 ? u : 0x1p-54));
}

static bool offer_of_beam(Search *s, int beam, Error *err)
{
    Run *r = s->run;
    Beam *b = &s->running[beam];
    const float *logits = batch_logits(s->batch, s->slots[beam], 0);
    double sum = logits_logsum(logits, (int64_t)r->vocab);
    for (size_t i = 0; i < r->vocab; i++)
        s->logprobs[i] = logits[i] - (float)sum;
    SampleInput in = {.logits = s->logprobs,
                      .ids = batch_ids(s->batch, s->slots[beam]),
                      .n = batch_length(s->batch, s->slots[beam]),
                      .prompt = r->prompt,
                      .max_length = r->prompt + r->limit};
    if (!run_mask(r, b->at, &in.allowed, err))
        return false;
    const float *scores = sampler_scores(r->sampler, &in);
    for (size_t i = 0; i < r->vocab; i++) {
        Continuation c = {.score = scores[i] + b->score, .beam = beam, .id = (int32_t)i};
        c.key = c.score;
        if (r->params->sample.do_sample && scores[i] > -INFINITY)
            c.key += noise(&s->random);
        if (c.score > -INFINITY)
            offer(s, c);
    }
    return true;
}

static int by_score_falling(const void *a, const void *b)
{
    const Continuation *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

/* True if a stop text ends in the last of the tokens. */
static bool ends_with_stop_text(const Run *r, const Beam *b, int32_t id)
{
    if (r->params->n_stop == 0)
        return false;
    AUTO_BUF before, all;
    buf_init(&before, 0);
    buf_init(&all, 0);
    int32_t ids[65]; // a stop text may begin tokens ago, but not many
    size_t n = MIN(b->n, COUNT(ids) - 1);
    memcpy(ids, b->ids + b->n - n, n * sizeof *ids);
    ids[n] = id;
    tokenizer_decode(r->call->tokenizer, ids, n, true, &before);
    tokenizer_decode(r->call->tokenizer, ids, n + 1, true, &all);
    size_t keep = MIN(before.len, r->longest_stop - 1);
    for (size_t i = 0; i < r->params->n_stop; i++)
        if (str_find(buf_str(&all), r->params->stop[i], before.len - keep) != SIZE_MAX)
            return true;
    return false;
}

static bool ends(const Run *r, const Beam *b, Continuation *c)
{
    if (run_is_end(r, c->id))
        c->reason = STOP_EOS;
    else if (ends_with_stop_text(r, b, c->id))
        c->reason = STOP_TEXT;
    else if (b->n + 1 >= r->limit || run_is_late(r))
        c->reason = STOP_LENGTH;
    else
        return false;
    return true;
}

static bool find_best(Search *s, Error *err)
{
    s->n_best = 0;
    for (size_t i = 0; i < s->beams; i++)
        if (!offer_of_beam(s, (int)i, err))
            return false;
    if (s->run->params->sample.do_sample)
        qsort(s->best, s->n_best, sizeof *s->best, by_score_falling);
    for (size_t i = 0; i < s->n_best; i++)
        s->best[i].ends = ends(s->run, &s->running[s->best[i].beam], &s->best[i]);
    if (s->n_best == 0)
        return fail(err, ERR_INVALID, "no token is left to go on with");
    return true;
}

// ---- What becomes of them ----

/* The text that a continuation makes. */
static void extend(Search *s, Beam *to, const Continuation *c)
{
    const Beam *from = &s->running[c->beam];
    const float *logits = batch_logits(s->batch, s->slots[c->beam], 0);
    beam_copy(s, to, from);
    Generated out = {.n = to->n, .logprobs = to->logprobs, .top = to->top};
    run_note_logprobs(s->run, &out, c->id, logits);
    to->ids[to->n++] = c->id;
    to->score = c->score;
    if (s->run->matcher && !c->ends)
        to->at = matcher_step(s->run->matcher, from->at, c->id);
}

static void swap_beams(Beam **a, Beam **b)
{
    Beam *c = *a;
    *a = *b;
    *b = c;
}

/* Merges those of the first num_beams that end into the finished ones. */
static void update_finished(Search *s)
{
    const GenerateParams *p = s->run->params;
    bool full = p->early_stopping == STOP_EARLY_TRUE;
    for (size_t i = 0; i < s->beams; i++)
        full &= s->finished[i].is_finished;
    if (full || !s->can_improve)
        return;
    for (size_t i = 0; i < MIN(s->beams, s->n_best); i++) {
        const Continuation *c = &s->best[i];
        size_t length = s->running[c->beam].n + 1, at = s->beams;
        float score = c->score / powf((float)length, p->length_penalty);
        if (!c->ends)
            continue;
        while (at > 0 && score > s->finished[at - 1].score)
            at--;
        if (at == s->beams)
            continue;
        Beam *place = &s->finished[s->beams - 1];
        extend(s, place, c);
        place->score = score;
        place->is_finished = true;
        place->reason = c->reason;
        Beam moved = *place;
        memmove(&s->finished[at + 1], &s->finished[at], (s->beams - 1 - at) * sizeof moved);
        s->finished[at] = moved;
    }
}

/* The num_beams best that do not end go on; if there are too few, those that do, far behind. False
 * if all of the first ones end: there is nothing to go on with. */
static bool update_running(Search *s)
{
    size_t n = 0;
    bool any = false;
    for (size_t i = 0; i < MIN(s->beams, s->n_best); i++)
        any |= !s->best[i].ends;
    for (int ending = 0; ending < 2; ending++)
        for (size_t i = 0; i < s->n_best && n < s->beams; i++) {
            Continuation c = s->best[i];
            if (c.ends != (ending == 1))
                continue;
            c.score += ending ? FAR : 0;
            s->from[n] = c.beam;
            extend(s, &s->next[n++], &c);
        }
    // Fewer continuations than beams: the others repeat the best, and can never win.
    for (size_t i = n; i < s->beams; i++) {
        beam_copy(s, &s->next[i], &s->next[0]);
        s->next[i].score = FAR + FAR;
        s->from[i] = s->from[0];
    }
    swap_beams(&s->running, &s->next);
    return any;
}

/* Whether a running text may still become better than the worst finished one. */
static bool may_improve(const Search *s)
{
    const GenerateParams *p = s->run->params;
    bool to_the_end = p->early_stopping == STOP_EARLY_NEVER && p->length_penalty > 0;
    float length = (float)(to_the_end ? s->run->limit : s->running[0].n);
    float possible = s->running[0].score / powf(length, p->length_penalty);
    for (size_t i = 0; i < s->beams; i++) {
        float worst = s->finished[i].is_finished ? s->finished[s->beams - 1].score : FAR;
        if (possible > worst)
            return true;
    }
    return false;
}

/* What transformers calls unfinished, behind a step. */
static bool goes_on(Search *s, bool has_continuations)
{
    bool all = true;
    for (size_t i = 0; i < s->beams; i++)
        all &= s->finished[i].is_finished;
    s->can_improve = s->can_improve && may_improve(s);
    return s->can_improve && has_continuations &&
           !(all && s->run->params->early_stopping == STOP_EARLY_TRUE);
}

static bool advance(Search *s, Error *err)
{
    if (!batch_reorder(s->batch, s->slots, s->from, s->beams, err))
        return false;
    for (size_t i = 0; i < s->beams; i++)
        s->feeds[i] = (BatchFeed){
            .sequence = s->slots[i], .ids = &s->running[i].ids[s->running[i].n - 1], .n = 1};
    return batch_step(s->batch, s->feeds, s->beams, NULL, err);
}

static bool search(Search *s, Error *err)
{
    for (;;) {
        if (!find_best(s, err))
            return false;
        update_finished(s);
        if (!goes_on(s, update_running(s)) || run_is_cancelled(s->run))
            return true;
        if (!advance(s, err))
            return false;
    }
}

// ---- Beginning and end ----

static bool search_begin(Search *s, Error *err)
{
    Run *r = s->run;
    size_t n = s->beams;
    // Those that move are kept until all have moved.
    if (!lanes_open(r, &s->lanes, n, n, err) || !beams_new(s, &s->running, n, err) ||
        !beams_new(s, &s->next, n, err) || !beams_new(s, &s->finished, n, err))
        return false;
    s->batch = s->lanes.batch;
    s->slots = s->lanes.slots;
    s->from = NEW_ARRAY(r->call->arena, int, n);
    s->feeds = NEW_ARRAY(r->call->arena, BatchFeed, n);
    s->best = NEW_ARRAY(r->call->arena, Continuation, s->wanted);
    for (size_t i = 0; i < n; i++) {
        // All begin alike; only the first one's continuations count at first.
        s->running[i].score = i ? FAR : 0;
        s->running[i].at = r->matcher ? matcher_start(r->matcher) : -1;
    }
    return true;
}

/* The finished texts, and where there are too few of them, the running ones. */
static void search_end(Search *s)
{
    Run *r = s->run;
    for (size_t i = 0, more = 0; i < r->call->n_sequences; i++) {
        const Beam *b = &s->finished[i];
        StopReason reason = b->reason;
        if (!b->is_finished) {
            b = &s->running[more++];
            reason = run_is_cancelled(r) ? STOP_CANCELLED : STOP_LENGTH;
        }
        r->call->sequences[i] = (Generated){.ids = b->ids,
                                            .n = b->n,
                                            .logprobs = b->logprobs,
                                            .top = b->top,
                                            .score = b->score,
                                            .reason = reason};
    }
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        Track t = {.index = (int)i, .out = &r->call->sequences[i]};
        run_tell(r, &t);
        if (t.out->reason == STOP_CALLER)
            break;
    }
}

bool search_beams(Run *r, Error *err)
{
    size_t beams = (size_t)r->params->num_beams, n_eos = r->params->sample.eos.n;
    Search s = {.run = r,
                .beams = beams,
                .wanted = MAX((size_t)2, 1 + n_eos) * beams,
                .random = sample_random(r->seed, 0),
                .can_improve = true};
    s.logprobs = xcalloc(r->vocab, sizeof *s.logprobs);
    bool ok = search_begin(&s, err) && search(&s, err);
    if (ok)
        search_end(&s);
    lanes_close(&s.lanes);
    free(s.logprobs);
    return ok;
}
