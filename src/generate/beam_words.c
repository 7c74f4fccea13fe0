/* beam_words.c: beam search for texts that hold given words, as transformers 4.48's
 * `_constrained_beam_search` and its ConstrainedBeamSearchScorer do it.
 *
 * A word is one of several forms, each a row of tokens, anywhere in the prompt or the text. In each
 * step the best continuations compete with those that bring a running text a token nearer to a
 * word; all are divided into banks by how much of the words they hold, and the beams are filled
 * from the banks in turn, fullest first (Post 2018, arXiv:1804.06609). A text may end only when it
 * holds all of them. */
#include "generate/beam_internal.h"

#include <math.h>

/* How far a text is: `pending` words are to come, one may be under way, the others are there. */
typedef struct Progress {
    size_t n_done, n_pending;
    bool is_complete;
    int at;             // the word under way; -1: none
    size_t form, depth; // of it: the first `depth` tokens of this form
    uint8_t pending[MAX_FORCED_WORDS];
} Progress;

typedef struct Proposal {
    Continuation c;
    size_t bank;
    float rank; // by bank, then by score
} Proposal;

typedef struct Search {
    Run *run;
    const ForcedWord *words;
    size_t n_words, longest; // the longest form of all
    size_t size;             // beams
    Beam *running, *next;
    EndedTexts ended;
    bool is_done;
    Lanes lanes;
    Ranking ranking;
    Proposal *proposals; // [size + size * forms]: the best continuations, then what brings on
    size_t n_best, n_proposals;
    Proposal **order; // as many
    int *from;
    BatchFeed *feeds;
    float *scratch; // [vocab]
} Search;

// ---- Progress ----

/* Whether id follows the first `depth` tokens of the form in any form; then that one. */
static bool word_step(const ForcedWord *w, size_t *form, size_t depth, int32_t id)
{
    const int32_t *begin = w->forms[*form].ids;
    for (size_t i = 0; i < w->n; i++) {
        const TokenIds *f = &w->forms[i];
        if (f->n > depth && f->ids[depth] == id &&
            memcmp(f->ids, begin, depth * sizeof *begin) == 0) {
            *form = i;
            return true;
        }
    }
    return false;
}

/* A token of the word at p->at was met: it may be the last, because no form begins another. */
static void word_advance(const Search *s, Progress *p)
{
    p->depth++;
    if (s->words[p->at].forms[p->form].n > p->depth)
        return;
    p->at = -1;
    p->n_done++;
    p->is_complete = p->n_pending == 0;
}

static void progress_add(const Search *s, Progress *p, int32_t id)
{
    if (p->is_complete)
        return;
    if (p->at >= 0) {
        if (word_step(&s->words[p->at], &p->form, p->depth, id)) {
            word_advance(s, p);
        } else { // all over again, behind the others
            p->pending[p->n_pending++] = (uint8_t)p->at;
            p->at = -1;
        }
        return;
    }
    for (size_t i = 0; i < p->n_pending; i++) {
        size_t form = 0;
        if (!word_step(&s->words[p->pending[i]], &form, 0, id))
            continue;
        p->at = p->pending[i];
        p->form = form;
        p->depth = 0;
        memmove(p->pending + i, p->pending + i + 1, --p->n_pending - i);
        word_advance(s, p);
        return;
    }
}

static Progress progress_of(const Search *s, const Beam *b)
{
    Progress p = {.at = -1, .n_pending = s->n_words};
    for (size_t i = 0; i < s->n_words; i++)
        p.pending[i] = (uint8_t)i;
    for (size_t i = 0; i < s->run->prompt; i++)
        progress_add(s, &p, s->run->ids[i]);
    for (size_t i = 0; i < b->n; i++)
        progress_add(s, &p, b->ids[i]);
    return p;
}

static size_t bank_of(const Search *s, const Progress *p)
{
    size_t under_way = p->at < 0 ? 0 : s->longest - (s->words[p->at].longest - p->depth);
    return p->n_done * s->longest + under_way;
}

// ---- What competes ----

static bool is_same_text(const Search *s, const Continuation *a, const Continuation *b)
{
    const Beam *x = &s->running[a->beam], *y = &s->running[b->beam];
    return a->id == b->id && memcmp(x->ids, y->ids, x->n * sizeof *x->ids) == 0;
}

/* What a processor has barred competes too, behind all others, as in the reference. */
static void propose(Search *s, Continuation c, const Progress *p)
{
    s->proposals[s->n_proposals++] = (Proposal){.c = c, .bank = bank_of(s, p)};
}

/* The tokens behind `depth` of the form, each once. In the reference the ways to go on with a word
 * share one list of what was met of it, so that the second way begins where the first one got to:
 * texts are ranked by that, and so it is done here. */
static void propose_word(Search *s, Progress *p, int word, size_t form, size_t depth,
                         const float *scores, Continuation c)
{
    const ForcedWord *w = &s->words[word];
    const int32_t *begin = w->forms[form].ids;
    for (size_t i = 0; i < w->n; i++) {
        const TokenIds *f = &w->forms[i];
        size_t first = form;
        if (f->n <= depth || memcmp(f->ids, begin, depth * sizeof *begin) != 0)
            continue;
        c.id = f->ids[depth];
        if (!word_step(w, &first, depth, c.id) || first != i || (size_t)c.id >= s->run->vocab)
            continue;
        Progress next = *p;
        progress_add(s, &next, c.id);
        if (p->at >= 0 && word_step(w, &p->form, p->depth, c.id))
            p->depth++;
        c.score = scores[c.id] + s->running[c.beam].score;
        propose(s, c, &next);
    }
}

/* The continuations that bring a running text nearer to its words. */
static void propose_words(Search *s, int beam, const float *scores)
{
    Progress p = progress_of(s, &s->running[beam]);
    Continuation c = {.beam = beam};
    if (p.at >= 0)
        propose_word(s, &p, p.at, p.form, p.depth, scores, c);
    for (size_t i = 0; p.at < 0 && i < p.n_pending; i++)
        propose_word(s, &p, p.pending[i], 0, 0, scores, c);
}

static bool rank(Search *s, Error *err)
{
    Run *r = s->run;
    s->ranking.n = 0;
    s->n_proposals = s->size; // the first are for the best continuations
    for (size_t i = 0; i < s->size; i++) {
        const Beam *b = &s->running[i];
        const float *scores =
            beam_scores(r, b, s->lanes.batch, s->lanes.slots[i], (SampleInput){0}, s->scratch, err);
        if (!scores)
            return false;
        ranking_offer_all(&s->ranking, scores, r->vocab, b->score, (int)i);
        propose_words(s, (int)i, scores);
    }
    if (s->ranking.n == 0)
        return fail(err, ERR_INVALID, "no token is left to go on with");
    return true;
}

// ---- What becomes of them ----

static void extend(Search *s, Beam *to, const Continuation *c)
{
    const float *logits = batch_logits(s->lanes.batch, s->lanes.slots[c->beam], 0);
    beam_extend(s->run, to, &s->running[c->beam], logits, c);
}

/* A text that ends is kept if it holds all words. */
static void end(Search *s, const Continuation *c)
{
    Progress p = progress_of(s, &s->running[c->beam]);
    size_t length = s->running[c->beam].n + 1;
    if (c->reason == STOP_TEXT)
        progress_add(s, &p, c->id);
    Beam *place = p.is_complete
                      ? ended_place(&s->ended, beam_length_score(s->run, (double)c->score, length))
                      : NULL;
    if (!place)
        return;
    extend(s, place, c);
    place->reason = c->reason;
}

/* The best continuations that do not end, at the beginning of the proposals; those that do are
 * looked at. */
static void take_best(Search *s)
{
    s->n_best = 0;
    for (size_t i = 0; i < s->ranking.n && s->n_best < s->size; i++) {
        Continuation c = s->ranking.best[i];
        // At the greatest length all end; until then only what says so itself.
        c.ends = beam_ends(s->run, &s->running[c.beam], &c) && c.reason != STOP_LENGTH;
        if (c.ends && i < s->size)
            end(s, &c);
        if (c.ends)
            continue;
        Progress p = progress_of(s, &s->running[c.beam]);
        progress_add(s, &p, c.id);
        s->proposals[s->n_best++] = (Proposal){.c = c, .bank = bank_of(s, &p)};
    }
}

static int by_rank_falling(const void *a, const void *b)
{
    const Proposal *x = *(Proposal *const *)a, *y = *(Proposal *const *)b;
    return x->rank < y->rank ? 1 : x->rank > y->rank ? -1 : (x > y) - (x < y);
}

/* Lists the proposals that are texts of their own, by bank and score; returns how many. */
static size_t sort_proposals(Search *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_proposals; i++) {
        Proposal *p = &s->proposals[i];
        bool is_new = i < s->n_best || i >= s->size;
        for (size_t k = 0; i >= s->size && is_new && k < n; k++)
            is_new = !is_same_text(s, &p->c, &s->order[k]->c);
        if (!is_new)
            continue;
        p->rank = (float)(p->bank * 100) + p->c.score; // in f32, as the reference has it
        s->order[n++] = p;
    }
    if (n > s->n_best) // else nothing competes with the best
        qsort(s->order, n, sizeof *s->order, by_rank_falling);
    return n;
}

/* The best of each bank, then the second of each, and so on. */
static size_t fill_beams(Search *s, size_t n_sorted)
{
    size_t n = 0;
    bool banks = n_sorted > s->n_best;
    for (size_t round = 0; n < MIN(s->size, n_sorted); round++)
        for (size_t i = 0, place = 0; i < n_sorted && n < s->size; i++) {
            place = banks && i && s->order[i]->bank == s->order[i - 1]->bank ? place + 1 : 0;
            if ((banks ? place : i) != round)
                continue;
            s->from[n] = s->order[i]->c.beam;
            extend(s, &s->next[n++], &s->order[i]->c);
        }
    return n;
}

/* False if nothing is left to go on with. */
static bool divide(Search *s)
{
    size_t length = s->running[0].n + 1;
    take_best(s);
    size_t n = fill_beams(s, sort_proposals(s));
    s->is_done =
        n == 0 || ended_is_done(s->run, &s->ended, (double)s->ranking.best[0].score, length);
    // Fewer than beams: the others repeat the first, and can never win.
    for (size_t i = n; n && i < s->size; i++) {
        beam_copy(s->run, &s->next[i], &s->next[0]);
        s->next[i].score = BEAM_FAR + BEAM_FAR;
        s->from[i] = s->from[0];
    }
    Beam *running = s->running;
    s->running = s->next;
    s->next = running;
    return !s->is_done;
}

static bool search(Search *s, Error *err)
{
    Run *r = s->run;
    for (size_t length = 1;; length++) {
        if (!rank(s, err))
            return false;
        if (!divide(s) || length == r->limit || run_is_late(r) || run_is_cancelled(r))
            return true;
        for (size_t i = 0; i < s->size; i++)
            s->feeds[i] = (BatchFeed){.sequence = s->lanes.slots[i],
                                      .ids = &s->running[i].ids[s->running[i].n - 1],
                                      .n = 1};
        if (!batch_reorder(s->lanes.batch, s->lanes.slots, s->from, s->size, err) ||
            !batch_step(s->lanes.batch, s->feeds, s->size, NULL, err))
            return false;
    }
}

// ---- Beginning and end ----

static bool search_begin(Search *s, Error *err)
{
    Run *r = s->run;
    Arena *a = r->call->arena;
    size_t n_eos = r->params->sample.eos.n, n_forms = 0;
    for (size_t i = 0; i < s->n_words; i++) {
        s->longest = MAX(s->longest, s->words[i].longest);
        n_forms += s->words[i].n;
    }
    s->ranking.wanted = MAX((size_t)2, 1 + n_eos) * s->size;
    s->ranking.best = NEW_ARRAY(a, Continuation, s->ranking.wanted);
    s->proposals = NEW_ARRAY(a, Proposal, s->size * (1 + n_forms));
    s->order = NEW_ARRAY(a, Proposal *, s->size * (1 + n_forms));
    s->from = NEW_ARRAY(a, int, s->size);
    s->feeds = NEW_ARRAY(a, BatchFeed, s->size);
    // Those that move are kept until all have moved.
    if (!lanes_open(r, &s->lanes, s->size, s->size, err) ||
        !beams_new(r, &s->running, s->size, err) || !beams_new(r, &s->next, s->size, err) ||
        !ended_init(r, &s->ended, s->size, err))
        return false;
    beams_begin(r, s->running, s->size);
    return true;
}

/* What still runs and holds all words counts too; the rest where there are too few of those. */
static bool search_end(Search *s, Error *err)
{
    size_t n = 0;
    EndedTexts *list = &s->ended;
    bool *holds = NEW_ARRAY(s->run->call->arena, bool, s->size);
    for (size_t i = 0; i < s->size && !s->is_done; i++)
        if ((holds[i] = progress_of(s, &s->running[i]).is_complete)) {
            ended_take_running(s->run, list, &s->running[i]);
            n++;
        }
    for (size_t i = 0; i < s->size && !s->is_done && n < s->run->call->n_sequences; i++)
        if (!holds[i])
            ended_take_running(s->run, list, &s->running[i]);
    return ended_tell(s->run, &list, 1, err);
}

bool search_beams_with_words(Run *r, Error *err)
{
    const GenerateParams *p = r->params;
    Search s = {.run = r, .words = p->forced, .n_words = p->n_forced, .size = (size_t)p->num_beams};
    s.scratch = xcalloc(r->vocab, sizeof *s.scratch);
    bool ok = search_begin(&s, err) && search(&s, err) && search_end(&s, err);
    lanes_close(&s.lanes);
    free(s.scratch);
    return ok;
}
