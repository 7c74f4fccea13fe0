/* text_generation.c: the task "text-generation": a prompt, or a conversation, is continued; see
 * generation.h for where its parts are. */
#include "tasks/generation.h"

#include "base/log.h"

enum { MAX_BATCH = 128, MAX_SEQUENCES = 256 };

/* ---- Opening ---- */

/* The model that proposes tokens. One with other tokens is of no use. */
static bool open_assistant(Pipeline *p, Error *err)
{
    TextGeneration *s = p->state;
    LanguageModelOptions options = {.dtype = p->options.dtype};
    if (!p->options.assistant)
        return true;
    s->draft = language_model_open(p->options.assistant, &options, err);
    if (!s->draft)
        return fail_while(err, "assistant");
    long long tokens = language_model_vocab(s->draft), wanted = language_model_vocab(s->model);
    if (tokens != wanted) {
        log_warn("assistant", "model=%s error=\"it has %lld tokens, the assistant %lld\"", p->path,
                 wanted, tokens);
        language_model_free(TAKE(s->draft));
        return true;
    }
    BatchOptions batch = {.sequences = MAX_SEQUENCES, .cache_memory = p->options.cache_memory};
    s->draft_batch = batch_new(s->draft, &batch, err);
    p->memory += language_model_memory(s->draft);
    return s->draft_batch != NULL;
}

static bool open_text_generation(Pipeline *p, Error *err)
{
    TextGeneration *s = p->state = xcalloc(1, sizeof *s);
    LanguageModelOptions options = {.dtype = p->options.dtype};
    pthread_mutex_init(&s->lock, NULL);
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
    return open_assistant(p, err);
}

static void close_text_generation(Pipeline *p)
{
    TextGeneration *s = p->state;
    if (!s)
        return;
    batch_free(s->batch);
    batch_free(s->draft_batch);
    language_model_free(s->draft);
    language_model_free(s->model);
    token_trie_free(s->trie);
    pthread_mutex_destroy(&s->lock);
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
                               .drafted = atomic_load(&s->drafted),
                               .accepted = atomic_load(&s->accepted),
                               .cache_bytes = c.cache_bytes};
}

/* ---- Running ---- */

static const TokenTrie *trie_of(const Pipeline *p)
{
    TextGeneration *s = p->state;
    pthread_mutex_lock(&s->lock);
    if (!s->trie)
        s->trie = token_trie_new(p->tokenizer);
    pthread_mutex_unlock(&s->lock);
    return s->trie;
}

static json_t *generate_answer(GenerationJob *job, Error *err)
{
    if (!generation_prepare(job, err))
        return NULL;
    TaskCall *call = job->call;
    job->generated = (GenerateCall){.arena = job->arena,
                                    .tokenizer = job->p->tokenizer,
                                    .on_token = generation_on_token,
                                    .context = job,
                                    .want_logprobs = job->params.details || call->want_details ||
                                                     job->params.best_of > 1,
                                    .want_prompt_logprobs = job->params.decoder_input_details,
                                    .grammar = job->grammar,
                                    .trie = job->grammar ? trie_of(job->p) : NULL,
                                    .cancelled = call->cancelled};
    AUTO(session_free) Session *session = session_new_in(job->state->batch, err);
    if (!session)
        return NULL;
    AUTO(session_free) Session *assistant = NULL;
    TextGeneration *s = job->state;
    if (s->draft_batch && generate_may_be_assisted(&job->generate) &&
        !(assistant = session_new_in(s->draft_batch, err)))
        return NULL;
    job->generated.assistant = assistant;
    bool ok = generate(session, job->ids, job->n, &job->generate, &job->generated, err);
    atomic_fetch_add(&s->drafted, (long long)job->generated.drafted);
    atomic_fetch_add(&s->accepted, (long long)job->generated.accepted);
    generation_end_sequence(job);
    return ok ? generation_answer(job, err) : NULL;
}

/* {"input_ids": [...]}: a prompt that is tokens already. */
static bool read_ids(GenerationJob *job, const json_t *list, Error *err)
{
    job->n = json_array_size(list);
    int32_t *ids = NEW_ARRAY(job->arena, int32_t, job->n + 1);
    for (size_t i = 0; i < job->n; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return fail(err, ERR_INVALID, "'input_ids' must be a list of token ids");
        ids[i] = (int32_t)json_integer_value(id);
    }
    job->ids = ids;
    AUTO_BUF text;
    buf_init(&text, 0);
    tokenizer_decode(job->p->tokenizer, ids, job->n, true, &text);
    job->text = arena_str(job->arena, buf_str(&text));
    return true;
}

/* One prompt, a text or messages, to its list of records. */
static json_t *run_prompt(Pipeline *p, const json_t *prompt, const json_t *parameters,
                          TaskCall *call, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    GenerationJob job = {.p = p,
                         .state = p->state,
                         .call = call,
                         .arena = a,
                         .parameters = parameters,
                         .all_tokens = json_array()};
    const json_t *ids = json_object_get(prompt, "input_ids");
    buf_init(&job.held, 0);
    buf_init(&job.told, 0);
    json_t *records = NULL;
    if (json_is_string(prompt))
        job.text = (Str){json_string_value(prompt), json_string_length(prompt)};
    else if (!ids)
        job.messages = prompt;
    if (json_is_array(ids))
        records = read_ids(&job, ids, err) ? generate_answer(&job, err) : NULL;
    else if (json_is_string(prompt) || generation_is_messages(prompt))
        records = generate_answer(&job, err);
    else
        (void)!fail(err, ERR_INVALID,
                    "'inputs' must be a text, a list of texts, or a list of messages with 'role' "
                    "and 'content'");
    decode_stream_free(job.stream);
    grammar_free(job.grammar);
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
    if (json_is_array(inputs) && !generation_is_messages(inputs))
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
