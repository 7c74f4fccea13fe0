/* beams.c: texts that compete, for all kinds of beam search; see beam_internal.h. */
#include "generate/beam_internal.h"

bool beams_new(Run *r, Beam **out, size_t n, Error *err)
{
    GenerateCall *call = r->call;
    size_t limit = r->limit, n_top = (size_t)r->params->top_logprobs;
    Beam *beams = *out = NEW_ARRAY(call->arena, Beam, n);
    for (size_t i = 0; i < n; i++) {
        beams[i].score = BEAM_FAR;
        if (!(beams[i].ids = arena_try(call->arena, limit, sizeof *beams[i].ids, err)) ||
            (call->want_logprobs &&
             !(beams[i].logprobs = arena_try(call->arena, limit, sizeof(float), err))) ||
            (n_top &&
             !(beams[i].top = arena_try(call->arena, limit * n_top, sizeof(TopToken), err))))
            return false;
    }
    return true;
}

void beams_begin(const Run *r, Beam *beams, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        beams[i].score = i ? BEAM_FAR : 0;
        beams[i].at = r->matcher ? matcher_start(r->matcher) : -1;
    }
}

void beam_copy(const Run *r, Beam *to, const Beam *from)
{
    Beam copy = *from;
    size_t n_top = (size_t)r->params->top_logprobs;
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

void beam_extend(Run *r, Beam *to, const Beam *from, const float *logits, const Continuation *c)
{
    beam_copy(r, to, from);
    Generated out = {.n = to->n, .logprobs = to->logprobs, .top = to->top};
    run_note_logprobs(r, &out, c->id, logits);
    to->ids[to->n++] = c->id;
    to->score = c->score;
    if (r->matcher && !c->ends)
        to->at = matcher_step(r->matcher, from->at, c->id);
}

const float *beam_scores(Run *r, const Beam *b, Batch *batch, int slot, SampleInput in,
                         float *scratch, Error *err)
{
    const float *logits = batch_logits(batch, slot, 0);
    double sum = logits_logsum(logits, (int64_t)r->vocab);
    for (size_t i = 0; i < r->vocab; i++)
        scratch[i] = logits[i] - (float)sum;
    in.logits = scratch;
    in.ids = batch_ids(batch, slot);
    in.n = batch_length(batch, slot);
    in.prompt = r->prompt;
    in.max_length = r->prompt + r->limit;
    return run_mask(r, b->at, &in.allowed, err) ? sampler_scores(r->sampler, &in) : NULL;
}

void ranking_offer(Ranking *k, Continuation c)
{
    if (k->n == k->wanted && !(c.key > k->best[k->n - 1].key))
        return;
    size_t at = k->n < k->wanted ? k->n++ : k->n - 1;
    for (; at > 0 && c.key > k->best[at - 1].key; at--)
        k->best[at] = k->best[at - 1];
    k->best[at] = c;
}

void ranking_offer_all(Ranking *k, const float *scores, size_t n, float score, int beam)
{
    for (size_t id = 0; id < n; id++) {
        Continuation c = {.score = scores[id] + score, .beam = beam, .id = (int32_t)id};
        c.key = c.score;
        if (c.score > -INFINITY)
            ranking_offer(k, c);
    }
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

bool beam_ends(const Run *r, const Beam *b, Continuation *c)
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

void beams_tell(Run *r, const Beam *const *beams)
{
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        const Beam *b = beams[i];
        r->call->sequences[i] = (Generated){.ids = b->ids,
                                            .n = b->n,
                                            .logprobs = b->logprobs,
                                            .top = b->top,
                                            .score = b->score,
                                            .reason = b->reason};
    }
    for (size_t i = 0; i < r->call->n_sequences; i++) {
        Track t = {.index = (int)i, .out = &r->call->sequences[i]};
        run_tell(r, &t);
        if (t.out->reason == STOP_CALLER)
            break;
    }
}
