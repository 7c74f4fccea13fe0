/* beam_groups.c: diverse beam search (Vijayakumar 2016, arXiv:1610.02424), as transformers 4.48's
 * `_group_beam_search` and its BeamSearchScorer do it. Beams are divided into groups; a group
 * searches as if it were alone, except that in each step a token that earlier groups have just
 * chosen costs it diversity_penalty for each time. The best texts of all groups are the answer.
 *
 * Unlike beam.c, which follows a later version, a text that ends is ranked at once, and a group is
 * done when it has as many such texts as beams and none that runs could still beat the worst. */
#include "generate/beam_internal.h"

#include <math.h>

typedef struct Ended {
    double score; // log probability / length^length_penalty
    Beam *text;
} Ended;

typedef struct Group {
    Beam *running, *next; // [size]
    Ended *ended;         // [size + 1], the last one a spare whose text is free
    size_t n_ended;
    bool is_done;
} Group;

typedef struct Search {
    Run *run;
    Lanes lanes;
    size_t size, n_groups; // beams of a group
    Group *groups;
    Ranking ranking;
    int32_t *chosen; // [num_beams]: what the groups chose in this step
    size_t n_chosen;
    float *scratch; // [vocab]
    int *slots, *from;
    BatchFeed *feeds;
} Search;

// ---- Texts that have ended ----

static double length_score(const Search *s, double sum, size_t length)
{
    return sum / pow((double)length, (double)s->run->params->length_penalty);
}

static size_t worst_of(const Group *g)
{
    size_t worst = 0;
    for (size_t i = 1; i < g->n_ended; i++)
        if (g->ended[i].score < g->ended[worst].score)
            worst = i;
    return worst;
}

/* A place for a text of this score, the worst one's if all are taken; NULL if it is no better. */
static Beam *place_for(const Search *s, Group *g, double score)
{
    if (g->n_ended == s->size) {
        size_t worst = worst_of(g);
        if (!(score > g->ended[worst].score))
            return NULL;
        Ended free = g->ended[worst];
        memmove(g->ended + worst, g->ended + worst + 1, (s->size - worst - 1) * sizeof free);
        g->ended[--g->n_ended] = free;
    }
    g->ended[g->n_ended].score = score;
    return g->ended[g->n_ended++].text;
}

/* No running text can become better than the worst that has ended: `best` is the sum of the best
 * continuation, `length` what texts have with it. */
static bool is_done(const Search *s, const Group *g, double best, size_t length)
{
    const GenerateParams *p = s->run->params;
    if (g->n_ended < s->size)
        return false;
    if (p->early_stopping == STOP_EARLY_TRUE)
        return true;
    bool to_the_end = p->early_stopping == STOP_EARLY_NEVER && p->length_penalty > 0;
    double possible = length_score(s, best, to_the_end ? s->run->limit : length);
    return g->ended[worst_of(g)].score >= possible;
}

// ---- A step ----

static int slot_of(const Search *s, const Group *g, int beam)
{
    return s->lanes.slots[(size_t)(g - s->groups) * s->size + (size_t)beam];
}

static bool rank(Search *s, const Group *g, Error *err)
{
    Run *r = s->run;
    s->ranking.n = 0;
    for (size_t i = 0; i < s->size; i++) {
        const Beam *b = &g->running[i];
        SampleInput in = {.others = s->chosen, .n_others = s->n_chosen};
        const float *scores =
            beam_scores(r, b, s->lanes.batch, slot_of(s, g, (int)i), in, s->scratch, err);
        if (!scores)
            return false;
        for (size_t id = 0; id < r->vocab; id++) {
            Continuation c = {.score = scores[id] + b->score, .beam = (int)i, .id = (int32_t)id};
            c.key = c.score;
            if (c.score > -INFINITY)
                ranking_offer(&s->ranking, c);
        }
    }
    if (s->ranking.n == 0)
        return fail(err, ERR_INVALID, "no token is left to go on with");
    return true;
}

static void extend(Search *s, const Group *g, Beam *to, const Continuation *c)
{
    const float *logits = batch_logits(s->lanes.batch, slot_of(s, g, c->beam), 0);
    beam_extend(s->run, to, &g->running[c->beam], logits, c);
}

/* Ranks what ends among the first, goes on with the best of what does not; says where each running
 * text comes from. */
static void divide(Search *s, Group *g, int *from)
{
    size_t n = 0, length = g->running[0].n + 1;
    for (size_t i = 0; i < s->ranking.n && n < s->size; i++) {
        Continuation c = s->ranking.best[i];
        // At the greatest length all end; until then only what says so itself.
        c.ends = beam_ends(s->run, &g->running[c.beam], &c) && c.reason != STOP_LENGTH;
        if (!c.ends) {
            from[n] = c.beam;
            extend(s, g, &g->next[n++], &c);
        } else if (i < s->size) {
            Beam *place = place_for(s, g, length_score(s, (double)c.score, length));
            if (place) {
                extend(s, g, place, &c);
                place->reason = c.reason;
            }
        }
    }
    g->is_done = n == 0 || is_done(s, g, (double)s->ranking.best[0].score, length);
    // Fewer than beams: the others repeat the first, and can never win.
    for (size_t i = n; n && i < s->size; i++) {
        beam_copy(s->run, &g->next[i], &g->next[0]);
        g->next[i].score = BEAM_FAR + BEAM_FAR;
        from[i] = from[0];
    }
    Beam *running = g->running;
    g->running = g->next;
    g->next = running;
}

/* What later groups of this step see: the reference fills groups that were done before up with
 * pads. */
static void note_chosen(Search *s, const Group *g, bool was_done)
{
    const GenerateParams *p = s->run->params;
    int32_t pad = p->pad >= 0 ? (int32_t)p->pad : p->sample.eos.n ? p->sample.eos.ids[0] : -1;
    for (size_t i = 0; i < s->size; i++) {
        const Beam *b = &g->running[i];
        s->chosen[s->n_chosen++] = was_done || b->n == 0 ? pad : b->ids[b->n - 1];
    }
}

/* Chooses one more token in every group that is not done, and lists the sequences that go on and
 * which of the list each was; returns how many. */
static size_t choose(Search *s, Error *err)
{
    size_t n = 0;
    s->n_chosen = 0;
    for (size_t k = 0; k < s->n_groups; k++) {
        Group *g = &s->groups[k];
        bool was_done = g->is_done;
        if (!was_done) {
            if (!rank(s, g, err))
                return 0;
            divide(s, g, s->from + n);
        }
        note_chosen(s, g, was_done);
        if (g->is_done)
            continue;
        for (size_t i = 0; i < s->size; i++) {
            const Beam *b = &g->running[i];
            s->from[n + i] += (int)n;
            s->slots[n + i] = slot_of(s, g, (int)i);
            s->feeds[n + i] =
                (BatchFeed){.sequence = s->slots[n + i], .ids = &b->ids[b->n - 1], .n = 1};
        }
        n += s->size;
    }
    return n;
}

static bool search(Search *s, Error *err)
{
    Run *r = s->run;
    for (size_t length = 1;; length++) {
        Error failure = {0};
        size_t n = choose(s, &failure);
        if (failure.code != ERR_NONE) {
            if (err)
                *err = failure;
            return false;
        }
        if (n == 0 || length == r->limit || run_is_late(r) || run_is_cancelled(r))
            return true;
        if (!batch_reorder(s->lanes.batch, s->slots, s->from, n, err) ||
            !batch_step(s->lanes.batch, s->feeds, n, NULL, err))
            return false;
    }
}

// ---- Beginning and end ----

static bool group_begin(Search *s, Group *g, Error *err)
{
    Run *r = s->run;
    Beam *ended;
    if (!beams_new(r, &g->running, s->size, err) || !beams_new(r, &g->next, s->size, err) ||
        !beams_new(r, &ended, s->size + 1, err))
        return false;
    g->ended = NEW_ARRAY(r->call->arena, Ended, s->size + 1);
    for (size_t i = 0; i <= s->size; i++)
        g->ended[i].text = &ended[i];
    for (size_t i = 0; i < s->size; i++) {
        // All begin alike; only the first one's continuations count at first.
        g->running[i].score = i ? BEAM_FAR : 0;
        g->running[i].at = r->matcher ? matcher_start(r->matcher) : -1;
    }
    return true;
}

static bool search_begin(Search *s, Error *err)
{
    Run *r = s->run;
    Arena *a = r->call->arena;
    size_t beams = (size_t)r->params->num_beams, n_eos = r->params->sample.eos.n;
    s->ranking.wanted = MAX((size_t)2, 1 + n_eos) * s->size;
    s->ranking.best = NEW_ARRAY(a, Continuation, s->ranking.wanted);
    s->groups = NEW_ARRAY(a, Group, s->n_groups);
    s->chosen = NEW_ARRAY(a, int32_t, beams);
    s->slots = NEW_ARRAY(a, int, beams);
    s->from = NEW_ARRAY(a, int, beams);
    s->feeds = NEW_ARRAY(a, BatchFeed, beams);
    for (size_t i = 0; i < s->n_groups; i++)
        if (!group_begin(s, &s->groups[i], err))
            return false;
    // Those that move are kept until all have moved.
    return lanes_open(r, &s->lanes, beams, beams, err);
}

/* What still runs counts too, in groups that are not done. */
static void end_group(Search *s, Group *g)
{
    for (size_t i = 0; i < s->size && !g->is_done; i++) {
        const Beam *b = &g->running[i];
        double score = length_score(s, (double)b->score, b->n);
        Beam *place = place_for(s, g, score);
        if (!place)
            continue;
        beam_copy(s->run, place, b);
        place->reason = run_is_cancelled(s->run) ? STOP_CANCELLED : STOP_LENGTH;
    }
}

/* The best of all groups; of equals, what the reference has: the later one. */
static bool search_end(Search *s, Error *err)
{
    Run *r = s->run;
    const Beam **best = NEW_ARRAY(r->call->arena, const Beam *, r->call->n_sequences);
    for (size_t k = 0; k < s->n_groups; k++)
        end_group(s, &s->groups[k]);
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        Ended *found = NULL;
        for (size_t k = 0; k < s->n_groups; k++)
            for (size_t j = 0; j < s->groups[k].n_ended; j++) {
                Ended *e = &s->groups[k].ended[j];
                if (!e->text->is_finished && (!found || e->score >= found->score))
                    found = e;
            }
        if (!found)
            return fail(err, ERR_INVALID, "only %zu texts were found", i);
        found->text->is_finished = true; // taken
        found->text->score = (float)found->score;
        best[i] = found->text;
    }
    beams_tell(r, best);
    return true;
}

bool search_beam_groups(Run *r, Error *err)
{
    const GenerateParams *p = r->params;
    Search s = {.run = r,
                .n_groups = (size_t)p->num_beam_groups,
                .size = (size_t)(p->num_beams / p->num_beam_groups)};
    s.scratch = xcalloc(r->vocab, sizeof *s.scratch);
    bool ok = search_begin(&s, err) && search(&s, err) && search_end(&s, err);
    lanes_close(&s.lanes);
    free(s.scratch);
    return ok;
}
