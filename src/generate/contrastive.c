/* contrastive.c: contrastive search (Su 2022, arXiv:2202.06417), as transformers 4.48's
 * `_contrastive_search` does it. The top_k likeliest tokens are tried: the model computes each of
 * them, and that one is taken which is likely and whose state differs from those of all tokens
 * before:
 *
 *     (1 - penalty_alpha) * probability - penalty_alpha * the greatest cosine with an earlier state
 *
 * States are what the output layer reads. The candidates are sequences of one batch that share all
 * but their last token; afterwards all become the one that was taken. */
#include "generate/generate_internal.h"

#include <math.h>

typedef struct Candidate {
    float score; // before softmax
    double probability;
    int32_t id;
} Candidate;

typedef struct Contrastive {
    Run *run;
    Track track;
    Lanes lanes;
    Candidate *candidates; // [k]
    size_t k, n;           // most; as many as there are now
    int *from;
    BatchFeed *feeds;
    float *states; // [n_states,width], each of length 1
    size_t n_states, width;
} Contrastive;

// ---- Candidates ----

/* The k likeliest, most likely first; of equals the one with the smaller id. */
static void find_candidates(Contrastive *c, const float *scores)
{
    size_t vocab = c->run->vocab;
    c->n = 0;
    for (size_t i = 0; i < vocab; i++) {
        if (!(scores[i] > -INFINITY) ||
            (c->n == c->k && !(scores[i] > c->candidates[c->n - 1].score)))
            continue;
        size_t at = c->n < c->k ? c->n++ : c->n - 1;
        for (; at > 0 && scores[i] > c->candidates[at - 1].score; at--)
            c->candidates[at] = c->candidates[at - 1];
        c->candidates[at] = (Candidate){.score = scores[i], .id = (int32_t)i};
    }
    double sum = logits_logsum(scores, (int64_t)vocab);
    for (size_t i = 0; i < c->n; i++)
        c->candidates[i].probability = exp((double)c->candidates[i].score - sum);
}

static bool list_candidates(Contrastive *c, Error *err)
{
    Run *r = c->run;
    int slot = c->lanes.slots[0];
    SampleInput in = {.logits = batch_logits(c->lanes.batch, slot, 0),
                      .ids = batch_ids(c->lanes.batch, slot),
                      .n = batch_length(c->lanes.batch, slot),
                      .prompt = r->prompt,
                      .max_length = r->prompt + r->limit};
    if (!run_mask(r, c->track.at, &in.allowed, err))
        return false;
    find_candidates(c, sampler_scores(r->sampler, &in));
    if (c->n == 0)
        return fail(err, ERR_INVALID, "no token is left to go on with");
    return true;
}

// ---- States ----

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)(a[i] * b[i]);
    return sum;
}

/* The states of a sequence's latest tokens join those of the text. */
static void keep_states(Contrastive *c, int slot, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float *state = batch_states(c->lanes.batch, slot, i, &c->width);
        if (!c->states)
            c->states = xcalloc((c->run->prompt + c->run->limit) * c->width, sizeof *c->states);
        float *to = c->states + c->n_states++ * c->width;
        double length = sqrt(dot(state, state, c->width));
        for (size_t j = 0; j < c->width; j++)
            to[j] = (float)((double)state[j] / length);
    }
}

static double greatest_cosine(const Contrastive *c, int slot)
{
    size_t width;
    const float *state = batch_states(c->lanes.batch, slot, 0, &width);
    double length = sqrt(dot(state, state, width)), greatest = -INFINITY;
    for (size_t i = 0; i < c->n_states; i++)
        greatest = fmax(greatest, dot(c->states + i * width, state, width));
    return greatest / length;
}

// ---- The loop ----

static size_t find_best(const Contrastive *c)
{
    double alpha = (double)c->run->params->penalty_alpha, most = -INFINITY;
    size_t best = 0;
    for (size_t i = 0; i < c->n; i++) {
        double score = (1 - alpha) * c->candidates[i].probability -
                       alpha * greatest_cosine(c, c->lanes.slots[i]);
        if (score > most) {
            most = score;
            best = i;
        }
    }
    return best;
}

/* One more token; *more: the text is not at its end. The logits it was chosen from are told before
 * the candidates' steps replace them. */
static bool next_token(Contrastive *c, float *logits, bool *more, Error *err)
{
    Run *r = c->run;
    Batch *b = c->lanes.batch;
    const int *slots = c->lanes.slots;
    if (!list_candidates(c, err))
        return false;
    memcpy(logits, batch_logits(b, slots[0], 0), r->vocab * sizeof *logits);
    for (size_t i = 0; i < c->n; i++)
        c->feeds[i] = (BatchFeed){.sequence = slots[i], .ids = &c->candidates[i].id, .n = 1};
    if (!batch_step(b, c->feeds, c->n, NULL, err))
        return false;
    size_t best = find_best(c);
    keep_states(c, slots[best], 1);
    for (size_t i = 0; i < c->k; i++)
        c->from[i] = (int)best;
    *more = run_take(r, &c->track, c->candidates[best].id, logits);
    return !*more || batch_reorder(b, slots, c->from, c->k, err);
}

static bool decode(Contrastive *c, Error *err)
{
    Run *r = c->run;
    const Inside inside = {.states = true};
    if (!lanes_open_inside(r, &c->lanes, c->k, c->k, &inside, err))
        return false;
    float *logits = xcalloc(r->vocab, sizeof *logits);
    bool more = true, ok = true;
    keep_states(c, c->lanes.slots[0], r->prompt);
    while (ok && more)
        ok = next_token(c, logits, &more, err) ||
             fail_while(err, "token %zu", r->prompt + c->track.out->n);
    free(logits);
    return ok;
}

bool search_contrastive(Run *r, Error *err)
{
    Contrastive c = {.run = r, .k = MIN((size_t)r->params->sample.top_k, r->vocab)};
    c.candidates = NEW_ARRAY(r->call->arena, Candidate, c.k);
    c.from = NEW_ARRAY(r->call->arena, int, c.k);
    c.feeds = NEW_ARRAY(r->call->arena, BatchFeed, c.k);
    bool ok = track_start(r, &c.track, 0, err) && decode(&c, err);
    track_done(&c.track);
    lanes_close(&c.lanes);
    free(c.states);
    return ok;
}
