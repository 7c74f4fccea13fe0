/* dola.c: decoding by contrasting layers (Chuang 2023, arXiv:2309.03883), as transformers 4.48's
 * `_dola_decoding` does it. What the output layer would say after an early layer is taken from what
 * it says after the last, for tokens that the last finds likely enough; of several early layers the
 * one that disagrees most with the last is used. */
#include "generate/generate_internal.h"

#include <math.h>

typedef struct Dola {
    Run *run;
    Track track;
    Lanes lanes;
    Inside inside;
    float *scores; // [vocab]
} Dola;

// ---- Layers ----

/* Every other layer of the lower or the upper half; at most 20 layers are looked at. */
static void add_layers(Inside *inside, int from, int to, int step)
{
    for (int i = from; i < to && inside->n_layers < INSIDE_LAYERS; i += step)
        inside->layers[inside->n_layers++] = i;
}

static bool find_layers(Dola *d, Error *err)
{
    const Model *m = language_model_internals(d->run->model);
    const GenerateParams *p = d->run->params;
    int all = m->layers;
    // Behind the embedding a tied output layer says the token that it was given.
    int start = !m->tied ? 0 : all > 2 ? 2 : all == 2 ? 1 : 0;
    if (p->dola == DOLA_LOW && start == all / 2)
        add_layers(&d->inside, start, start + 1, 1);
    else if (p->dola == DOLA_LOW)
        add_layers(&d->inside, start, all <= 40 ? all / 2 : 20, 2);
    else if (p->dola == DOLA_HIGH)
        add_layers(&d->inside, all <= 40 ? all / 2 : all - 20, all, 2);
    for (size_t i = 0; p->dola == DOLA_LIST && i < p->dola_layers.n; i++)
        if (p->dola_layers.ids[i] < all)
            add_layers(&d->inside, p->dola_layers.ids[i], p->dola_layers.ids[i] + 1, 1);
    if (d->inside.n_layers == 0)
        return fail(err, ERR_INVALID, "'dola_layers' names none of the model's %d layers", all);
    return true;
}

// ---- Contrast ----

/* p * (log p - log q), the reference's kl_div; 0 where p is. */
static double divergence(double p, double log_q)
{
    return p > 0 ? p * (log(p) - log_q) : 0;
}

/* Of Jensen and Shannon, between the softmax of two sets of logits; up to a constant factor. */
static double disagreement(const float *a, const float *b, size_t n)
{
    double sum_a = logits_logsum(a, (int64_t)n), sum_b = logits_logsum(b, (int64_t)n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        double log_a = (double)a[i] - sum_a, log_b = (double)b[i] - sum_b;
        double mean = 0.5 * (exp(log_a) + exp(log_b));
        sum += divergence(mean, log_a) + divergence(mean, log_b);
    }
    return sum;
}

static const float *find_early(const Dola *d, int slot, const float *last)
{
    const float *found = batch_early(d->lanes.batch, slot, 0);
    double most = -INFINITY;
    for (int i = 0; i < d->inside.n_layers && d->inside.n_layers > 1; i++) {
        const float *early = batch_early(d->lanes.batch, slot, i);
        double here = disagreement(last, early, d->run->vocab);
        if (here > most) {
            most = here;
            found = early;
        }
    }
    return found;
}

/* Tokens with less than a tenth of the best one's probability are out. */
static void contrast(Dola *d, const float *last, const float *early)
{
    size_t n = d->run->vocab;
    double sum = logits_logsum(last, (int64_t)n), sum_early = logits_logsum(early, (int64_t)n);
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        top = MAX(top, last[i]);
    double least = (double)top - sum + log(0.1);
    for (size_t i = 0; i < n; i++) {
        double here = (double)last[i] - sum;
        d->scores[i] = here < least ? -INFINITY : (float)(here - ((double)early[i] - sum_early));
    }
}

// ---- The loop ----

static bool decode(Dola *d, Error *err)
{
    Run *r = d->run;
    if (!find_layers(d, err) || !lanes_open_inside(r, &d->lanes, 1, 0, &d->inside, err))
        return false;
    Batch *b = d->lanes.batch;
    int slot = d->lanes.slots[0];
    for (;;) {
        const float *last = batch_logits(b, slot, 0);
        contrast(d, last, find_early(d, slot, last));
        int32_t id = run_choose(r, &d->track, d->scores, NULL, batch_ids(b, slot),
                                batch_length(b, slot), err);
        if (id < 0)
            return false;
        if (!run_take(r, &d->track, id, last))
            return true;
        BatchFeed feed = {.sequence = slot, .ids = &id, .n = 1};
        if (!batch_step(b, &feed, 1, NULL, err))
            return fail_while(err, "token %zu", r->prompt + d->track.out->n);
    }
}

bool decode_dola(Run *r, Error *err)
{
    Dola d = {.run = r, .scores = xcalloc(r->vocab, sizeof *d.scores)};
    bool ok = track_start(r, &d.track, 0, err) && decode(&d, err);
    track_done(&d.track);
    lanes_close(&d.lanes);
    free(d.scores);
    return ok;
}
