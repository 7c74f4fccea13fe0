/* generate.c: the loop from a prompt to sequences; see generate.h. The prompt is computed once:
 * each further sequence rewinds the session to the prompt's end. */
#include "generate/batch.h"

#include "base/clock.h"
#include "base/digest.h"

/* One sequence under way. */
typedef struct Run {
    Session *session;
    const GenerateParams *params;
    GenerateCall *call;
    Sampler *sampler;
    DecodeStream *stream; // for stop texts; NULL without
    Buf text;             // the tail of what was decoded
    Generated *out;
    size_t prompt, limit, least; // prompt tokens; most and least new ones
    int sequence;
    int64_t vocab;
    size_t longest_stop;
} Run;

static bool is_end(const GenerateParams *p, int32_t id)
{
    for (size_t i = 0; i < p->n_eos; i++)
        if (p->eos[i] == id)
            return true;
    return false;
}

/* True if a stop text ends within what this token added to the text. */
static bool hits_stop_text(Run *r, int32_t id)
{
    if (!r->stream)
        return false;
    Str piece = decode_stream_add(r->stream, id);
    // Only a match that reaches into the new piece counts; older text was looked at before.
    size_t keep = MIN(r->text.len, r->longest_stop - 1);
    memmove(r->text.ptr, r->text.ptr + r->text.len - keep, keep);
    r->text.len = keep;
    buf_add(&r->text, piece);
    for (size_t i = 0; i < r->params->n_stop; i++)
        if (str_find(buf_str(&r->text), r->params->stop[i], 0) != SIZE_MAX)
            return true;
    return false;
}

static bool cancelled(const GenerateCall *call)
{
    return call->cancelled && atomic_load_explicit(call->cancelled, memory_order_relaxed);
}

/* Picks the next token from the session's logits and tells the caller; true to go on. */
static bool pick(Run *r)
{
    const GenerateParams *p = r->params;
    const float *logits = session_logits(r->session);
    size_t barred = r->out->n < r->least ? p->n_eos : 0;
    int32_t id = sampler_pick(r->sampler, logits, session_ids(r->session),
                              session_length(r->session), p->eos, barred);
    GeneratedToken token = {.sequence = r->sequence, .index = (int)r->out->n, .id = id};
    if (r->call->on_token)
        token.logprob = (float)logit_logprob(logits, r->vocab, id);
    r->out->ids[r->out->n++] = id;
    bool go_on = !r->call->on_token || r->call->on_token(r->call->context, &token);
    // In this order: what the model said comes before what the caller did.
    if (is_end(p, id))
        r->out->reason = STOP_EOS;
    else if (hits_stop_text(r, id))
        r->out->reason = STOP_TEXT;
    else if (!go_on)
        r->out->reason = STOP_CALLER;
    else if (r->out->n == r->limit)
        r->out->reason = STOP_LENGTH;
    else if (cancelled(r->call))
        r->out->reason = STOP_CANCELLED;
    else
        return true;
    return false;
}

/* From the prompt's logits to the end of one sequence. */
static bool run_sequence(Run *r, Error *err)
{
    while (pick(r)) {
        int32_t id = r->out->ids[r->out->n - 1];
        if (!session_feed(r->session, &id, 1, NULL, err))
            return fail_while(err, "token %zu", r->prompt + r->out->n);
    }
    return true;
}

/* Feeds what the session does not hold yet; at least the last token, for its logits. */
static bool feed_prompt(Session *s, const int32_t *prompt, size_t n, GenerateCall *call, Error *err)
{
    size_t same = 0, held = MIN(session_length(s), n - 1);
    while (same < held && session_ids(s)[same] == prompt[same])
        same++;
    session_rewind(s, same);
    call->prompt_cached = same;
    if (!session_feed(s, prompt + same, n - same, call->cancelled, err))
        return false;
    call->prompt_cached += batch_reused(session_batch(s), session_sequence(s));
    return true;
}

static bool limits_find(Run *r, size_t n, Error *err)
{
    const GenerateParams *p = r->params;
    size_t capacity = session_capacity(r->session);
    if (n == 0)
        return fail(err, ERR_INVALID, "the prompt has no tokens");
    if (n >= capacity)
        return fail(err, ERR_LIMIT, "the prompt has %zu tokens, and %zu is the most with an answer",
                    n, capacity - 1);
    int64_t limit = p->max_new_tokens ? p->max_new_tokens : p->max_length - (int64_t)n;
    if (limit < 1)
        return fail(err, ERR_INVALID, "'max_length' is %lld, the prompt alone has %zu tokens",
                    (long long)p->max_length, n);
    int64_t least = MAX(p->min_new_tokens, p->min_length - (int64_t)n);
    r->limit = MIN((size_t)limit, capacity - n);
    r->least = (size_t)MAX(least, 0);
    r->prompt = n;
    for (size_t i = 0; i < p->n_stop; i++)
        r->longest_stop = MAX(r->longest_stop, p->stop[i].len);
    if (p->n_stop > 0 && !r->call->tokenizer)
        return fail(err, ERR_INVALID, "stop texts need the model's tokenizer");
    return true;
}

static bool start_sequence(Run *r, const int32_t *prompt, Error *err)
{
    GenerateCall *call = r->call;
    r->out = &call->sequences[r->sequence];
    r->out->ids = arena_try(call->arena, r->limit, sizeof *r->out->ids, err);
    if (!r->out->ids)
        return false;
    decode_stream_free(r->stream);
    r->stream = r->params->n_stop ? decode_stream_new(call->tokenizer, true) : NULL;
    buf_reset(&r->text);
    if (r->sequence == 0)
        return true;
    session_rewind(r->session, r->prompt - 1);
    return session_feed(r->session, &prompt[r->prompt - 1], 1, NULL, err);
}

static bool run_all(Run *r, const int32_t *prompt, Error *err)
{
    GenerateCall *call = r->call;
    int64_t began = clock_ns();
    if (!feed_prompt(r->session, prompt, r->prompt, call, err))
        return false;
    call->prefill_ns = clock_ns() - began;
    for (; r->sequence < r->params->num_return_sequences; r->sequence++) {
        if (!start_sequence(r, prompt, err) || !run_sequence(r, err))
            return false;
        call->n_sequences++;
        call->decode_tokens += r->out->n - 1;
        if (r->out->reason == STOP_CANCELLED || r->out->reason == STOP_CALLER)
            break;
    }
    call->decode_ns = clock_ns() - began - call->prefill_ns;
    return true;
}

bool generate(Session *s, const int32_t *prompt, size_t n, const GenerateParams *p,
              GenerateCall *call, Error *err)
{
    Run r = {.session = s, .params = p, .call = call};
    if (!limits_find(&r, n, err))
        return false;
    uint64_t seed = (uint64_t)p->seed;
    if (p->seed < 0)
        random_bytes(&seed, sizeof seed);
    call->sequences = NEW_ARRAY(call->arena, Generated, (size_t)p->num_return_sequences);
    call->n_sequences = call->decode_tokens = 0;
    r.vocab = language_model_vocab(session_model(s));
    r.sampler = sampler_new(&p->sample, r.vocab, seed);
    buf_init(&r.text, 0);
    bool ok = run_all(&r, prompt, err);
    decode_stream_free(r.stream);
    buf_done(&r.text);
    sampler_free(r.sampler);
    return ok;
}
