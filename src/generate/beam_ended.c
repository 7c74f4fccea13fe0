/* beam_ended.c: the best texts that have ended, for groups of beams and for forced words; see
 * beam_internal.h. Unlike beam.c, which follows a later version of the reference, these rank a text
 * when it ends, and a search is done when it has as many such texts as beams and none that runs
 * could still beat the worst. */
#include "generate/beam_internal.h"

#include <math.h>

bool ended_init(Run *r, EndedTexts *e, size_t size, Error *err)
{
    Beam *texts;
    if (!beams_new(r, &texts, size + 1, err))
        return false;
    *e = (EndedTexts){.texts = NEW_ARRAY(r->call->arena, Ended, size + 1), .size = size};
    for (size_t i = 0; i <= size; i++)
        e->texts[i].text = &texts[i];
    return true;
}

double beam_length_score(const Run *r, double sum, size_t length)
{
    return sum / pow((double)length, (double)r->params->length_penalty);
}

static size_t worst_of(const EndedTexts *e)
{
    size_t worst = 0;
    for (size_t i = 1; i < e->n; i++)
        if (e->texts[i].score < e->texts[worst].score)
            worst = i;
    return worst;
}

Beam *ended_place(EndedTexts *e, double score)
{
    if (e->n == e->size) {
        size_t worst = worst_of(e);
        if (!(score > e->texts[worst].score))
            return NULL;
        Ended free = e->texts[worst];
        memmove(e->texts + worst, e->texts + worst + 1, (e->size - worst - 1) * sizeof free);
        e->texts[--e->n] = free;
    }
    e->texts[e->n].score = score;
    return e->texts[e->n++].text;
}

void ended_take_running(Run *r, EndedTexts *e, const Beam *b)
{
    Beam *place = ended_place(e, beam_length_score(r, (double)b->score, b->n));
    if (!place)
        return;
    beam_copy(r, place, b);
    place->reason = run_is_cancelled(r) ? STOP_CANCELLED : STOP_LENGTH;
}

bool ended_is_done(const Run *r, const EndedTexts *e, double best, size_t length)
{
    const GenerateParams *p = r->params;
    if (e->n < e->size)
        return false;
    if (p->early_stopping == STOP_EARLY_TRUE)
        return true;
    bool to_the_end = p->early_stopping == STOP_EARLY_NEVER && p->length_penalty > 0;
    double possible = beam_length_score(r, best, to_the_end ? r->limit : length);
    return e->texts[worst_of(e)].score >= possible;
}

/* The best that is not taken; of equals, what the reference has: the later one. */
static const Ended *take_best(EndedTexts *const *lists, size_t n)
{
    const Ended *found = NULL;
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < lists[k]->n; j++) {
            const Ended *e = &lists[k]->texts[j];
            if (!e->text->is_finished && (!found || e->score >= found->score))
                found = e;
        }
    if (found)
        found->text->is_finished = true; // taken
    return found;
}

bool ended_tell(Run *r, EndedTexts *const *lists, size_t n, Error *err)
{
    const Beam **best = NEW_ARRAY(r->call->arena, const Beam *, r->call->n_sequences);
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        const Ended *found = take_best(lists, n);
        if (!found)
            return fail(err, ERR_INVALID, "only %zu texts were found", i);
        found->text->score = (float)found->score;
        best[i] = found->text;
    }
    beams_tell(r, best);
    return true;
}
