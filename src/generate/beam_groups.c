/* beam_groups.c: diverse beam search (Vijayakumar 2016, arXiv:1610.02424), as transformers 4.48's
 * `_group_beam_search` and its BeamSearchScorer do it. Beams are divided into groups; a group
 * searches as if it were alone, except that in each step a token that earlier groups have just
 * chosen costs it diversity_penalty for each time. The best texts of all groups are the answer.
 *
 * Unlike beam.c, which follows a later version, a text that ends is ranked at once, and a group is
 * done when it has as many such texts as beams and none that runs could still beat the worst. */
#include "generate/beam_internal.h"

typedef struct Group {
    Beam *running, *next; // [size]
    EndedTexts ended;
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
        ranking_offer_all(&s->ranking, scores, r->vocab, b->score, (int)i);
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
            Beam *place =
                ended_place(&g->ended, beam_length_score(s->run, (double)c.score, length));
            if (place) {
                extend(s, g, place, &c);
                place->reason = c.reason;
            }
        }
    }
    g->is_done =
        n == 0 || ended_is_done(s->run, &g->ended, (double)s->ranking.best[0].score, length);
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
    if (!beams_new(r, &g->running, s->size, err) || !beams_new(r, &g->next, s->size, err) ||
        !ended_init(r, &g->ended, s->size, err))
        return false;
    beams_begin(r, g->running, s->size);
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
static bool search_end(Search *s, Error *err)
{
    EndedTexts **lists = NEW_ARRAY(s->run->call->arena, EndedTexts *, s->n_groups);
    for (size_t k = 0; k < s->n_groups; k++) {
        Group *g = &s->groups[k];
        lists[k] = &g->ended;
        for (size_t i = 0; i < s->size && !g->is_done; i++)
            ended_take_running(s->run, &g->ended, &g->running[i]);
    }
    return ended_tell(s->run, lists, s->n_groups, err);
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
