/* text_generation.c: the task "text-generation": a prompt, or a conversation, is continued.
 *
 * Answers are those of transformers' pipeline: the caller's own prompt text with the decoded new
 * tokens behind it, or the conversation with the new message; with `details` also what the text
 * generation servers tell of each token. Where nobody says how to choose tokens, the likeliest is
 * taken; a temperature, top_k, top_p or typical_p in the request means sampling, as those servers
 * take it. */
#include "tasks/tasks_internal.h"

#include "base/clock.h"
#include "generate/batch.h"
#include "text/chat.h"

enum { MAX_BATCH = 128, MAX_CHAT_TOKENS = 256, MAX_SEQUENCES = 256 };

typedef struct TextGeneration {
    LanguageModel *model;
    Batch *batch;
} TextGeneration;

/* What the task itself understands; the rest is for generate_params_read. */
typedef struct Params {
    bool return_full_text, details, decoder_input_details, add_special_tokens;
    bool continue_final_message, has_continue, skip_special_tokens;
    int64_t truncate;
    double max_time;
    const char *prefix;
} Params;

static const Field fields[] = {
    OPT(Params, return_full_text, BOOL, "return_full_text", true),
    OPT(Params, details, BOOL, "details", false),
    OPT(Params, decoder_input_details, BOOL, "decoder_input_details", false),
    OPT(Params, add_special_tokens, BOOL, "add_special_tokens", true),
    OPT(Params, continue_final_message, BOOL, "continue_final_message", false),
    OPT(Params, skip_special_tokens, BOOL, "skip_special_tokens", true),
    OPT_RANGE(Params, truncate, INT, "truncate", 0, 1, 1e9),
    OPT_RANGE(Params, max_time, DOUBLE, "max_time", 0, 0, 86400),
    OPT_TEXT(Params, prefix, "prefix", ""),
};

static const char *const known[] = {
    "return_full_text", "details", "decoder_input_details", "add_special_tokens",
    "continue_final_message", "skip_special_tokens", "truncate", "max_time", "prefix", "tools",
    "documents", "chat_template", "chat_template_kwargs", "return_text",
    // generate's
    "max_new_tokens", "min_new_tokens", "max_length", "min_length", "num_return_sequences", "seed",
    "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
    "no_repeat_ngram_size", "suppress_tokens", "eos_token_id", "stop", "stop_sequences",
    "stop_strings", "pad_token_id",
    // those that change nothing here, with their only value
    "watermark", "use_cache", "clean_up_tokenization_spaces", NULL};

/* One prompt on its way to an answer. */
typedef struct Job {
    Pipeline *p;
    TextGeneration *state;
    TaskCall *call;
    Arena *arena;
    const json_t *parameters;
    Params params;
    GenerateParams generate;
    const json_t *messages; // NULL: the prompt is a text
    bool continues;         // the last message is continued
    Str text;               // the prompt as the caller wrote it
    const int32_t *ids;
    size_t n;
    // while it runs
    DecodeStream *stream;
    Buf held, told; // with hide_stop: what may be the beginning of a stop text; what is not
    bool stopped;   // a stop text was seen and hidden
    int sequence;
    int64_t deadline;
    bool late, gone;
    json_t *all_tokens; // of `details`: a list a sequence
    GenerateCall generated;
} Job;

/* ---- Opening ---- */

static bool open_text_generation(Pipeline *p, Error *err)
{
    TextGeneration *s = p->state = xcalloc(1, sizeof *s);
    LanguageModelOptions options = {.dtype = p->options.dtype};
    s->model = language_model_open(p->path, &options, err);
    if (!s->model)
        return false;
    p->tokenizer = tokenizer_open(p->path, err);
    if (!p->tokenizer)
        return false;
    size_t limit = p->options.cache_memory;
    BatchOptions batch = {
        .sequences = MAX_SEQUENCES,
        .cache_dtype = p->options.cache_dtype,
        .cache_memory = limit,
        .prefix_memory = limit ? limit : batch_sequence_memory(s->model, p->options.cache_dtype),
    };
    s->batch = batch_new(s->model, &batch, err);
    if (!s->batch)
        return false;
    p->memory = language_model_memory(s->model);
    p->max_tokens = language_model_max_positions(s->model);
    return true;
}

static void close_text_generation(Pipeline *p)
{
    TextGeneration *s = p->state;
    if (!s)
        return;
    batch_free(s->batch);
    language_model_free(s->model);
    free(s);
}

static void count_text_generation(const Pipeline *p, PipelineCounts *counts)
{
    const TextGeneration *s = p->state;
    BatchCounts c = batch_counts(s->batch);
    *counts = (PipelineCounts){.steps = c.steps,
                               .rows = c.rows,
                               .most = c.most,
                               .reused = c.reused,
                               .preempted = c.preempted,
                               .cache_bytes = c.cache_bytes};
}

/* ---- Parameters ---- */

static bool given(const json_t *parameters, const char *key)
{
    const json_t *value = json_object_get(parameters, key);
    return value && !json_is_null(value);
}

/* The request as generate_params_read wants it: sampling is switched on by what only makes sense
 * with it, and temperature 0 means none. */
static json_t *generate_request(const Job *job)
{
    static const char *const sampling[] = {"temperature", "top_k", "top_p", "typical_p"};
    const json_t *parameters = job->parameters;
    json_t *request = parameters ? json_copy((json_t *)(uintptr_t)parameters) : json_object();
    bool wants = false;
    for (size_t i = 0; i < COUNT(sampling); i++)
        wants |= given(parameters, sampling[i]);
    if (given(parameters, "temperature") && json_num(parameters, "temperature", 1) == 0) {
        json_object_del(request, "temperature");
        json_object_set_new(request, "do_sample", json_false());
    } else if (wants && !given(parameters, "do_sample")) {
        json_object_set_new(request, "do_sample", json_true());
    }
    if (job->messages && !given(parameters, "max_new_tokens") && !given(parameters, "max_length"))
        json_object_set_new(request, "max_new_tokens", json_integer(MAX_CHAT_TOKENS));
    return request;
}

static bool read_params(Job *job, Error *err)
{
    AUTO(json_decref) json_t *none = json_object();
    const json_t *object = job->parameters ? job->parameters : none;
    task_warn_unknown(job->call, job->parameters, known);
    if (!fields_read(&job->params, fields, COUNT(fields), object, job->arena, err))
        return fail_while(err, "parameters");
    job->params.has_continue = given(object, "continue_final_message");
    AUTO(json_decref) json_t *request = generate_request(job);
    if (!generate_params_read(&job->generate, job->state->model, request, job->arena, err))
        return fail_while(err, "parameters");
    if (job->generate.num_return_sequences > 1 && !job->generate.sample.do_sample)
        return fail(
            err, ERR_INVALID,
            "parameters: 'num_return_sequences' above 1 needs 'do_sample': true, because the "
            "likeliest tokens are always the same");
    return true;
}

/* ---- The prompt ---- */

static bool is_messages(const json_t *value)
{
    const json_t *first = json_array_get(value, 0);
    return json_is_object(first) && json_object_get(first, "role");
}

static bool render_chat(Job *job, Buf *prompt, Error *err)
{
    const json_t *messages = job->messages;
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    // A conversation that ends with the assistant is one to continue, unless the caller says.
    job->continues = job->params.has_continue
                         ? job->params.continue_final_message
                         : strcmp(json_text(last, "role", ""), "assistant") == 0;
    ChatOptions options = {
        .add_generation_prompt = !job->continues,
        .continue_final_message = job->continues,
        .template_source = json_str(job->parameters, "chat_template"),
        .tools = json_object_get(job->parameters, "tools"),
        .documents = json_object_get(job->parameters, "documents"),
        .template_kwargs = json_object_get(job->parameters, "chat_template_kwargs"),
    };
    return chat_render(job->p->tokenizer, messages, &options, prompt, err);
}

/* Sets ids and n. A text of no tokens begins with the model's first token. */
static bool encode_prompt(Job *job, Error *err)
{
    AUTO_BUF prompt;
    buf_init(&prompt, TOKENIZER_MAX_TEXT);
    bool special = job->params.add_special_tokens && !job->messages;
    if (job->messages) {
        if (!render_chat(job, &prompt, err))
            return false;
    } else {
        buf_add(&prompt, str_of(job->params.prefix));
        buf_add(&prompt, job->text);
    }
    AUTO_ENCODING e = {0};
    if (!buf_ok(&prompt, err) ||
        !tokenizer_encode(job->p->tokenizer, buf_str(&prompt), special, &e, err))
        return fail_while(err, "inputs");
    size_t drop = job->params.truncate && e.n > (size_t)job->params.truncate
                      ? e.n - (size_t)job->params.truncate
                      : 0;
    job->n = e.n - drop;
    job->ids = arena_copy(job->arena, e.ids + drop, job->n * sizeof *e.ids);
    int32_t bos = tokenizer_special(job->p->tokenizer, SPECIAL_BOS);
    if (job->n == 0 && bos >= 0) {
        job->ids = arena_copy(job->arena, &bos, sizeof bos);
        job->n = 1;
    }
    return true;
}

/* ---- Tokens as they come ---- */

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

/* What of `piece` may be told now; borrowed until the next call. */
static Str filter_stop(Job *job, Str piece, bool last)
{
    if (!job->call->hide_stop || job->generate.n_stop == 0)
        return piece;
    if (job->stopped)
        return (Str){0};
    buf_add(&job->held, piece);
    Str held = buf_str(&job->held);
    size_t stop = find_stop(&job->generate, held);
    job->stopped = stop != SIZE_MAX;
    size_t tell = job->stopped ? stop : held.len - (last ? 0 : may_be_stop(&job->generate, held));
    buf_reset(&job->told);
    buf_add(&job->told, str_slice(held, 0, tell));
    size_t keep = job->stopped ? 0 : held.len - tell;
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

/* Tells what the decoder or the filter still held back. */
static void end_sequence(Job *job)
{
    if (!job->stream)
        return;
    Str rest = filter_stop(job, decode_stream_finish(job->stream), true);
    if (rest.len && !job->gone)
        tell(job, (TaskToken){.index = -1, .id = -1, .text = rest});
    decode_stream_free(TAKE(job->stream));
}

static void start_sequence(Job *job, int sequence)
{
    end_sequence(job);
    job->sequence = sequence;
    job->stream = decode_stream_new(job->p->tokenizer, job->params.skip_special_tokens);
    job->stopped = false;
    buf_reset(&job->held);
    json_array_append_new(job->all_tokens, json_array());
}

static void add_detail(Job *job, const GeneratedToken *token, Str piece, bool special)
{
    json_t *list = json_array_get(job->all_tokens, (size_t)job->sequence);
    Str text = special ? tokenizer_token(job->p->tokenizer, token->id) : piece;
    json_array_append_new(list, json_pack("{s:i,s:o,s:f,s:b}", "id", token->id, "text",
                                          json_from_str(text), "logprob", (double)token->logprob,
                                          "special", special));
}

static bool on_token(void *context, const GeneratedToken *token)
{
    Job *job = context;
    if (token->index == 0)
        start_sequence(job, token->sequence);
    bool special = tokenizer_is_special(job->p->tokenizer, token->id);
    Str piece = decode_stream_add(job->stream, token->id);
    if (job->params.details)
        add_detail(job, token, piece, special);
    TaskToken told = {.index = token->index,
                      .id = token->id,
                      .text = filter_stop(job, piece, false),
                      .logprob = token->logprob,
                      .special = special};
    job->late = job->deadline && clock_ns() > job->deadline;
    return tell(job, told) && !job->late;
}

/* ---- Answers ---- */

static FinishReason finish_reason(const Job *job, StopReason reason)
{
    switch (reason) {
    case STOP_LENGTH:
        return FINISH_LENGTH;
    case STOP_EOS:
        return FINISH_EOS;
    case STOP_TEXT:
        return FINISH_STOP;
    case STOP_CALLER:
        return job->late && !job->gone ? FINISH_LENGTH : FINISH_CANCELLED;
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

static json_t *prefill(const Job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; job->params.decoder_input_details && i < job->n; i++) {
        AUTO_BUF text;
        buf_init(&text, 0);
        tokenizer_decode(job->p->tokenizer, &job->ids[i], 1, false, &text);
        json_array_append_new(list, json_pack("{s:i,s:o,s:n}", "id", job->ids[i], "text",
                                              json_from_str(buf_str(&text)), "logprob"));
    }
    return list;
}

static json_t *details(const Job *job, size_t i)
{
    const Generated *g = &job->generated.sequences[i];
    json_t *seed = job->generate.seed >= 0 ? json_integer(job->generate.seed) : json_null();
    return json_pack("{s:s,s:I,s:o,s:o,s:O}", "finish_reason",
                     finish_reason_name(finish_reason(job, g->reason)), "generated_tokens",
                     (json_int_t)g->n, "seed", seed, "prefill", prefill(job), "tokens",
                     json_array_get(job->all_tokens, i));
}

/* A record a sequence; tells the call what it wants to know of the first. */
static json_t *answer(Job *job)
{
    json_t *records = json_array();
    for (size_t i = 0; i < job->generated.n_sequences; i++) {
        const Generated *g = &job->generated.sequences[i];
        AUTO_BUF text;
        buf_init(&text, 0);
        decode_new(job, g, &text);
        json_t *record = json_pack("{s:o}", "generated_text", generated_text(job, buf_str(&text)));
        if (job->params.details)
            json_object_set_new(record, "details", details(job, i));
        json_array_append_new(records, record);
        job->call->generated_tokens += (int64_t)g->n;
        if (i > 0 || job->call->generated_text.ptr)
            continue;
        size_t len = text.len;
        job->call->generated_text = (Str){buf_take(&text), len};
        job->call->finish_reason = finish_reason(job, g->reason);
    }
    job->call->prompt_tokens += (int64_t)job->n;
    job->call->prefill_ns += job->generated.prefill_ns;
    job->call->decode_ns += job->generated.decode_ns;
    return records;
}

static json_t *generate_answer(Job *job, Error *err)
{
    if (!read_params(job, err) || !encode_prompt(job, err))
        return NULL;
    if (job->params.decoder_input_details)
        task_warn(job->call, "'decoder_input_details': the prompt's tokens come without logprob");
    if (job->params.max_time > 0)
        job->deadline = clock_ns() + (int64_t)(job->params.max_time * 1e9);
    job->generated = (GenerateCall){.arena = job->arena,
                                    .tokenizer = job->p->tokenizer,
                                    .on_token = on_token,
                                    .context = job,
                                    .want_logprobs = true,
                                    .cancelled = job->call->cancelled};
    AUTO(session_free) Session *session = session_new_in(job->state->batch, err);
    if (!session)
        return NULL;
    bool ok = generate(session, job->ids, job->n, &job->generate, &job->generated, err);
    end_sequence(job);
    if (!ok)
        return NULL;
    json_t *records = answer(job);
    const Generated *last = &job->generated.sequences[job->generated.n_sequences - 1];
    if (finish_reason(job, last->reason) != FINISH_CANCELLED)
        return records;
    json_decref(records);
    return fail(err, ERR_CANCELLED, "the caller has gone");
}

/* One prompt, a text or messages, to its list of records. */
static json_t *run_prompt(Pipeline *p, const json_t *prompt, const json_t *parameters,
                          TaskCall *call, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Job job = {.p = p,
               .state = p->state,
               .call = call,
               .arena = a,
               .parameters = parameters,
               .all_tokens = json_array()};
    buf_init(&job.held, 0);
    buf_init(&job.told, 0);
    json_t *records = NULL;
    if (json_is_string(prompt))
        job.text = (Str){json_string_value(prompt), json_string_length(prompt)};
    else
        job.messages = prompt;
    if (json_is_string(prompt) || is_messages(prompt))
        records = generate_answer(&job, err);
    else
        (void)!fail(err, ERR_INVALID,
                    "'inputs' must be a text, a list of texts, or a list of messages with 'role' "
                    "and 'content'");
    decode_stream_free(job.stream);
    buf_done(&job.held);
    buf_done(&job.told);
    json_decref(job.all_tokens);
    return records;
}

/* ---- Inputs ---- */

static json_t *run_batch(Pipeline *p, const json_t *inputs, const json_t *parameters,
                         TaskCall *call, Error *err)
{
    if (json_array_size(inputs) > MAX_BATCH)
        return fail(err, ERR_LIMIT, "'inputs' has %zu items, at most %d are allowed",
                    json_array_size(inputs), MAX_BATCH);
    json_t *answers = json_array();
    TaskCall each = *call;
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        json_t *records = run_prompt(p, json_array_get(inputs, i), parameters, &each, err);
        if (!records) {
            json_decref(TAKE(answers));
            (void)!fail_while(err, "inputs[%zu]", i);
            break;
        }
        json_array_append_new(answers, records);
        each.on_token = NULL; // only the first one's tokens are told
    }
    each.on_token = call->on_token;
    *call = each;
    return answers;
}

/* The messages of {"text", "past_user_inputs", "generated_responses"}, the Inference API's form of
 * a conversation before there were messages. */
static json_t *messages_of_turns(const json_t *inputs)
{
    json_t *messages = json_array();
    const json_t *asked = json_object_get(inputs, "past_user_inputs");
    const json_t *answered = json_object_get(inputs, "generated_responses");
    for (size_t i = 0; i < json_array_size(asked); i++) {
        json_array_append_new(
            messages, json_pack("{s:s,s:O}", "role", "user", "content", json_array_get(asked, i)));
        json_t *reply = json_array_get(answered, i);
        if (reply)
            json_array_append_new(messages,
                                  json_pack("{s:s,s:O}", "role", "assistant", "content", reply));
    }
    json_array_append_new(messages, json_pack("{s:s,s:O}", "role", "user", "content",
                                              json_object_get(inputs, "text")));
    return messages;
}

static json_t *list_with(const json_t *list, json_t *item)
{
    json_t *longer = json_is_array(list) ? json_copy((json_t *)(uintptr_t)list) : json_array();
    json_array_append_new(longer, item);
    return longer;
}

static json_t *run_turns(Pipeline *p, const json_t *inputs, const json_t *parameters,
                         TaskCall *call, Error *err)
{
    AUTO(json_decref) json_t *messages = messages_of_turns(inputs);
    AUTO(json_decref) json_t *records = run_prompt(p, messages, parameters, call, err);
    if (!records)
        return NULL;
    json_t *text = json_from_str(call->generated_text);
    return json_pack("{s:o,s:{s:o,s:o}}", "generated_text", text, "conversation",
                     "past_user_inputs",
                     list_with(json_object_get(inputs, "past_user_inputs"),
                               json_incref(json_object_get(inputs, "text"))),
                     "generated_responses",
                     list_with(json_object_get(inputs, "generated_responses"), json_incref(text)));
}

static json_t *run_text_generation(Pipeline *p, const json_t *inputs, const json_t *parameters,
                                   TaskCall *call, Error *err)
{
    if (json_is_array(inputs) && !is_messages(inputs))
        return run_batch(p, inputs, parameters, call, err);
    if (json_is_object(inputs) && json_is_string(json_object_get(inputs, "text")))
        return run_turns(p, inputs, parameters, call, err);
    return run_prompt(p, inputs, parameters, call, err);
}

const Task task_text_generation = {
    .name = "text-generation",
    .aliases = {"conversational", "chat"},
    .summary = "continues a text or a conversation",
    .streams = true,
    .concurrent = true,
    .open = open_text_generation,
    .close = close_text_generation,
    .count = count_text_generation,
    .run = run_text_generation,
};
