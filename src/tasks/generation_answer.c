/* generation_answer.c: tokens as they come, and what they are in the end.
 *
 * Answers are those of transformers' pipeline: the caller's own prompt text with the decoded new
 * tokens behind it, or the conversation with the new message; with `details` also what the text
 * generation servers tell of each token. */
#include "tasks/generation.h"

#include <math.h>

typedef GenerationJob Job;

// ---- What is told at once, and what waits ----

/* Where a stop text begins in `s`, or SIZE_MAX. */
static size_t find_stop(const GenerateParams *p, Str s)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < p->n_stop; i++)
        first = MIN(first, str_find(s, p->stop[i], 0));
    return first;
}

/* Bytes at the end of `s` that may be the beginning of a stop text. */
static size_t may_be_stop(const GenerateParams *p, Str s)
{
    size_t longest = 0;
    for (size_t i = 0; i < p->n_stop; i++)
        for (size_t n = MIN(p->stop[i].len - 1, s.len); n > longest; n--)
            if (str_ends(s, str_slice(p->stop[i], 0, n)))
                longest = n;
    return longest;
}

/* How much of what is held may be told. A call, and what follows it, waits for the end, which tells
 * whether it was one. */
static size_t tellable(Job *job, Str held, bool last)
{
    size_t tell = held.len;
    if (job->call->hide_stop) {
        size_t stop = find_stop(&job->generate, held);
        job->stopped = stop != SIZE_MAX;
        tell = job->stopped ? stop : held.len - (last ? 0 : may_be_stop(&job->generate, held));
    }
    if (job->tools) {
        bool sure;
        size_t call = tool_call_find(job->tools, str_slice(held, 0, tell), &sure);
        Str before;
        json_t *calls =
            call != SIZE_MAX && last ? tool_calls_parse(job->tools, held, &before) : NULL;
        if (call != SIZE_MAX && (!last || calls))
            tell = MIN(tell, call);
        json_decref(calls);
    }
    return tell;
}

/* What of `piece` may be told now; borrowed until the next call. */
static Str filter(Job *job, Str piece, bool last)
{
    bool hides = job->call->hide_stop && job->generate.n_stop > 0;
    if (!hides && !job->tools)
        return piece;
    if (job->stopped && !job->tools)
        return (Str){0};
    buf_add(&job->held, piece);
    Str held = buf_str(&job->held);
    size_t tell = tellable(job, held, last);
    buf_reset(&job->told);
    buf_add(&job->told, str_slice(held, 0, tell));
    // Behind a stop text nothing counts; a call before it is still to be told of.
    size_t keep = job->stopped && !job->tools ? 0 : held.len - tell;
    if (tell)
        memmove(job->held.ptr, job->held.ptr + tell, keep);
    job->held.len = keep;
    return buf_str(&job->told);
}

static bool tell(Job *job, TaskToken token)
{
    if (job->sequence == 0 && job->call->on_token &&
        !job->call->on_token(job->call->context, &token)) {
        job->gone = true;
        return false;
    }
    return true;
}

void generation_end_sequence(GenerationJob *job)
{
    if (!job->stream)
        return;
    Str rest = filter(job, decode_stream_finish(job->stream), true);
    if (rest.len && !job->gone)
        tell(job, (TaskToken){.index = -1, .id = -1, .text = rest});
    decode_stream_free(TAKE(job->stream));
}

static void start_sequence(Job *job, int sequence)
{
    generation_end_sequence(job);
    job->sequence = sequence;
    job->stream = decode_stream_new(job->p->tokenizer, job->params.skip_special_tokens);
    job->stopped = false;
    buf_reset(&job->held);
    json_array_append_new(job->all_tokens, json_array());
}

// ---- What is told of a token ----

/* A token alone: {"id", "text", "logprob", "special"}; for OpenAI's dialect also its "bytes". */
static json_t *token_json(const Job *job, int32_t id, Str text, float logprob)
{
    const Tokenizer *t = job->p->tokenizer;
    bool special = tokenizer_is_special(t, id);
    json_t *one = json_pack("{s:i,s:o,s:f,s:b}", "id", id, "text",
                            json_from_str(special ? tokenizer_token(t, id) : text), "logprob",
                            isfinite(logprob) ? (double)logprob : -9999.0, "special", special);
    if (job->call->token_bytes) {
        AUTO_BUF bytes;
        buf_init(&bytes, 0);
        tokenizer_bytes(t, id, &bytes);
        json_t *list = json_array();
        for (size_t i = 0; i < bytes.len; i++)
            json_array_append_new(list, json_integer((uint8_t)bytes.ptr[i]));
        json_object_set_new(one, "bytes", list);
    }
    return one;
}

/* A token that stands alone, as it is read inside a text. */
static json_t *alone_json(const Job *job, int32_t id, float logprob)
{
    AUTO_BUF bytes;
    buf_init(&bytes, 0);
    tokenizer_bytes(job->p->tokenizer, id, &bytes);
    return token_json(job, id, buf_str(&bytes), logprob);
}

/* Of a new token, with the likeliest as "top" if they are wanted. */
static json_t *detail_of(const Job *job, const GeneratedToken *token, Str piece)
{
    json_t *one = token_json(job, token->id, piece, token->logprob);
    if (token->n_top == 0)
        return one;
    json_t *top = json_array();
    for (size_t i = 0; i < token->n_top; i++)
        json_array_append_new(top, alone_json(job, token->top[i].id, token->top[i].logprob));
    json_object_set_new(one, "top", top);
    return one;
}

bool generation_on_token(void *context, const GeneratedToken *token)
{
    Job *job = context;
    if (token->index == 0)
        start_sequence(job, token->sequence);
    Str piece = decode_stream_add(job->stream, token->id);
    json_t *detail = NULL;
    if (job->params.details || job->call->want_details) {
        detail = detail_of(job, token, piece);
        json_array_append_new(json_array_get(job->all_tokens, (size_t)job->sequence), detail);
    }
    TaskToken told = {.index = token->index,
                      .id = token->id,
                      .text = filter(job, piece, false),
                      .logprob = token->logprob,
                      .special = tokenizer_is_special(job->p->tokenizer, token->id),
                      .detail = detail};
    return tell(job, told);
}

// ---- Answers ----

static FinishReason finish_reason(StopReason reason)
{
    switch (reason) {
    case STOP_LENGTH:
        return FINISH_LENGTH;
    case STOP_EOS:
        return FINISH_EOS;
    case STOP_TEXT:
        return FINISH_STOP;
    case STOP_CALLER:
    case STOP_CANCELLED:
        return FINISH_CANCELLED;
    }
    return FINISH_CANCELLED;
}

static void decode_new(const Job *job, const Generated *g, Buf *text)
{
    tokenizer_decode(job->p->tokenizer, g->ids, g->n, job->params.skip_special_tokens, text);
    size_t stop = job->call->hide_stop ? find_stop(&job->generate, buf_str(text)) : SIZE_MAX;
    if (stop != SIZE_MAX)
        text->len = stop;
}

/* The conversation with the new message, or with the last one grown. */
static json_t *conversation(const Job *job, Str text)
{
    json_t *messages = json_copy((json_t *)(uintptr_t)job->messages);
    if (!job->continues) {
        json_array_append_new(
            messages, json_pack("{s:s,s:o}", "role", "assistant", "content", json_from_str(text)));
        return messages;
    }
    size_t at = json_array_size(messages) - 1;
    json_t *last = json_copy(json_array_get(messages, at));
    AUTO_BUF grown;
    buf_init(&grown, 0);
    buf_add(&grown, json_str(last, "content"));
    buf_add(&grown, text);
    json_object_set_new(last, "content", json_from_str(buf_str(&grown)));
    json_array_set_new(messages, at, last);
    return messages;
}

static json_t *generated_text(const Job *job, Str text)
{
    if (!job->params.return_full_text)
        return json_from_str(text);
    if (job->messages)
        return conversation(job, text);
    AUTO_BUF full;
    buf_init(&full, 0);
    buf_add(&full, job->text);
    buf_add(&full, text);
    return json_from_str(buf_str(&full));
}

/* The prompt's tokens; the first has no probability, because nothing was before it. */
static json_t *prefill(const Job *job)
{
    const float *logprobs = job->generated.prompt_logprobs;
    json_t *list = json_array();
    for (size_t i = 0; job->params.decoder_input_details && i < job->n; i++) {
        json_t *one = alone_json(job, job->ids[i], logprobs ? logprobs[i] : 0);
        if (i == 0 || !logprobs)
            json_object_set_new(one, "logprob", json_null());
        json_object_del(one, "special");
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *details(const Job *job, size_t i)
{
    const Generated *g = &job->generated.sequences[i];
    json_t *seed = job->generate.seed >= 0 ? json_integer(job->generate.seed) : json_null();
    json_t *tokens = json_array(), *top = json_array();
    size_t k;
    const json_t *one;
    json_array_foreach(json_array_get(job->all_tokens, i), k, one)
    {
        json_t *plain = json_copy((json_t *)(uintptr_t)one);
        json_object_del(plain, "top");
        json_array_append_new(tokens, plain);
        json_array_append(top, json_object_get(one, "top"));
    }
    json_t *all =
        json_pack("{s:s,s:I,s:o,s:o,s:o}", "finish_reason",
                  finish_reason_name(finish_reason(g->reason)), "generated_tokens",
                  (json_int_t)g->n, "seed", seed, "prefill", prefill(job), "tokens", tokens);
    if (job->generate.top_logprobs)
        json_object_set_new(all, "top_tokens", top);
    else
        json_decref(top);
    return all;
}

static json_t *record_of(Job *job, size_t i, Str text)
{
    Str before = text;
    json_t *calls = job->tools ? tool_calls_parse(job->tools, text, &before) : NULL;
    json_t *record = json_pack("{s:o}", "generated_text", generated_text(job, before));
    if (job->params.details)
        json_object_set_new(record, "details", details(job, i));
    if (calls)
        json_object_set_new(record, "tool_calls", calls);
    return record;
}

/* How likely the model finds a sequence, by token. */
static double mean_logprob(const Generated *g)
{
    double sum = 0;
    for (size_t i = 0; g->logprobs && i < g->n; i++)
        sum += (double)g->logprobs[i];
    return g->n ? sum / (double)g->n : 0;
}

/* The sequences in the order in which they are answered: as they are, or with best_of the best
 * first. */
static size_t *order_of(const Job *job)
{
    size_t n = job->generated.n_sequences;
    size_t *order = NEW_ARRAY(job->arena, size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        double value = mean_logprob(&job->generated.sequences[i]);
        for (; job->params.best_of > 1 && at > 0 &&
               mean_logprob(&job->generated.sequences[order[at - 1]]) < value;
             at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

/* The others of best_of, as the text generation servers tell them. */
static void add_others(Job *job, json_t *record, const size_t *order)
{
    json_t *details_of = json_object_get(record, "details"), *others = json_array();
    for (size_t i = job->wanted; i < job->generated.n_sequences; i++) {
        AUTO_BUF text;
        buf_init(&text, 0);
        decode_new(job, &job->generated.sequences[order[i]], &text);
        json_t *one = details(job, order[i]);
        json_object_set_new(one, "generated_text", generated_text(job, buf_str(&text)));
        json_array_append_new(others, one);
    }
    json_object_set_new(details_of, "best_of_sequences", others);
}

static void sum_up(Job *job)
{
    job->call->prompt_tokens += (int64_t)job->n;
    job->call->cached_tokens += (int64_t)job->generated.prompt_cached;
    job->call->prefill_ns += job->generated.prefill_ns;
    job->call->decode_ns += job->generated.decode_ns;
    for (size_t i = 0; i < job->generated.n_sequences; i++)
        job->call->generated_tokens += (int64_t)job->generated.sequences[i].n;
}

json_t *generation_answer(GenerationJob *job, Error *err)
{
    json_t *records = json_array();
    const size_t *order = order_of(job);
    bool cancelled = false;
    for (size_t i = 0; i < MIN(job->wanted, job->generated.n_sequences); i++) {
        const Generated *g = &job->generated.sequences[order[i]];
        AUTO_BUF text;
        buf_init(&text, 0);
        decode_new(job, g, &text);
        json_array_append_new(records, record_of(job, order[i], buf_str(&text)));
        cancelled |= finish_reason(g->reason) == FINISH_CANCELLED;
        if (i > 0 || job->call->generated_text.ptr)
            continue;
        size_t len = text.len;
        job->call->generated_text = (Str){buf_take(&text), len};
        job->call->finish_reason = finish_reason(g->reason);
    }
    if (job->params.details && job->params.best_of > 1)
        add_others(job, json_array_get(records, 0), order);
    sum_up(job);
    if (!cancelled)
        return records;
    json_decref(records);
    return fail(err, ERR_CANCELLED, "the caller has gone");
}
