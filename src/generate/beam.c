/* beam.c: beam search and beam sampling, as transformers' `_beam_search` does them, step by step:
 *
 *   running    the num_beams best texts that are not at an end, with the sum of their log
 *              probabilities; each a sequence of one batch
 *   finished   the num_beams best texts that are, ranked by that sum over length^length_penalty
 *
 * A step looks at the best continuations of all running texts together, more of them than there
 * are beams, so that as many are left when the best all end. */
#include "generate/beam_internal.h"

#include <math.h>

typedef struct Search {
    Run *run;
    Batch *batch;
    Random random;
    size_t beams;
    Beam *running, *next, *finished;
    Lanes lanes;
    const int *slots; // the lanes'
    int *from;
    Ranking ranking;
    float *logprobs; // [vocab], scratch
    BatchFeed *feeds;
    bool can_improve;
} Search;

// ---- The best continuations ----

/* Draws without replacement are the largest after noise: Kool 2019, arXiv:1903.06059. */
static float noise(Random *random)
{
    double u = random_unit(random);
    return (float)-log(-log(u > 0 ? u : 0x1p-54));
}

static bool offer_of_beam(Search *s, int beam, Error *err)
{
    Run *r = s->run;
    const Beam *b = &s->running[beam];
    const float *scores =
        beam_scores(r, b, s->batch, s->slots[beam], (SampleInput){0}, s->logprobs, err);
    if (!scores)
        return false;
    for (size_t i = 0; i < r->vocab; i++) {
        Continuation c = {.score = scores[i] + b->score, .beam = beam, .id = (int32_t)i};
        c.key = c.score;
        if (r->params->sample.do_sample && scores[i] > -INFINITY)
            c.key += noise(&s->random);
        if (c.score > -INFINITY)
            ranking_offer(&s->ranking, c);
    }
    return true;
}

static int by_score_falling(const void *a, const void *b)
{
    const Continuation *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

static bool find_best(Search *s, Error *err)
{
    Ranking *k = &s->ranking;
    k->n = 0;
    for (size_t i = 0; i < s->beams; i++)
        if (!offer_of_beam(s, (int)i, err))
            return false;
    if (s->run->params->sample.do_sample)
        qsort(k->best, k->n, sizeof *k->best, by_score_falling);
    for (size_t i = 0; i < k->n; i++)
        k->best[i].ends = beam_ends(s->run, &s->running[k->best[i].beam], &k->best[i]);
    if (k->n == 0)
        return fail(err, ERR_INVALID, "no token is left to go on with");
    return true;
}

// ---- What becomes of them ----

static void extend(Search *s, Beam *to, const Continuation *c)
{
    const float *logits = batch_logits(s->batch, s->slots[c->beam], 0);
    beam_extend(s->run, to, &s->running[c->beam], logits, c);
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
    for (size_t i = 0; i < MIN(s->beams, s->ranking.n); i++) {
        const Continuation *c = &s->ranking.best[i];
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
    for (size_t i = 0; i < MIN(s->beams, s->ranking.n); i++)
        any |= !s->ranking.best[i].ends;
    for (int ending = 0; ending < 2; ending++)
        for (size_t i = 0; i < s->ranking.n && n < s->beams; i++) {
            Continuation c = s->ranking.best[i];
            if (c.ends != (ending == 1))
                continue;
            c.score += ending ? BEAM_FAR : 0;
            s->from[n] = c.beam;
            extend(s, &s->next[n++], &c);
        }
    // Fewer continuations than beams: the others repeat the best, and can never win.
    for (size_t i = n; i < s->beams; i++) {
        beam_copy(s->run, &s->next[i], &s->next[0]);
        s->next[i].score = BEAM_FAR + BEAM_FAR;
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
        float worst = s->finished[i].is_finished ? s->finished[s->beams - 1].score : BEAM_FAR;
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
    if (!lanes_open(r, &s->lanes, n, n, err) || !beams_new(r, &s->running, n, err) ||
        !beams_new(r, &s->next, n, err) || !beams_new(r, &s->finished, n, err))
        return false;
    s->batch = s->lanes.batch;
    s->slots = s->lanes.slots;
    s->from = NEW_ARRAY(r->call->arena, int, n);
    s->feeds = NEW_ARRAY(r->call->arena, BatchFeed, n);
    s->ranking.best = NEW_ARRAY(r->call->arena, Continuation, s->ranking.wanted);
    beams_begin(r, s->running, n);
    return true;
}

/* The finished texts, and where there are too few of them, the running ones. */
static void search_end(Search *s)
{
    Run *r = s->run;
    const Beam **best = NEW_ARRAY(r->call->arena, const Beam *, s->beams);
    for (size_t i = 0, more = 0; i < r->call->n_sequences; i++) {
        best[i] = &s->finished[i];
        if (s->finished[i].is_finished)
            continue;
        s->running[more].reason = run_is_cancelled(r) ? STOP_CANCELLED : STOP_LENGTH;
        best[i] = &s->running[more++];
    }
    beams_tell(r, best);
}

bool search_beams(Run *r, Error *err)
{
    size_t beams = (size_t)r->params->num_beams, n_eos = r->params->sample.eos.n;
    Search s = {.run = r,
                .beams = beams,
                .ranking.wanted = MAX((size_t)2, 1 + n_eos) * beams,
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
