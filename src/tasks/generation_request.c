/* generation_request.c: what a request asks for: parameters, the prompt, what the answer must
 * match.
 *
 * Where nobody says how to choose tokens, the likeliest is taken; a temperature, top_k, top_p or
 * typical_p in the request means sampling, as text generation servers take it. */
#include "tasks/generation.h"

#include "text/chat.h"

enum { MAX_CHAT_TOKENS = 256, MAX_PROMPT_IDS = 1 << 24 };

typedef GenerationJob Job;

static const Field fields[] = {
    OPT(GenerationParams, return_full_text, BOOL, "return_full_text", true),
    OPT(GenerationParams, details, BOOL, "details", false),
    OPT(GenerationParams, decoder_input_details, BOOL, "decoder_input_details", false),
    OPT(GenerationParams, add_special_tokens, BOOL, "add_special_tokens", true),
    OPT(GenerationParams, continue_final_message, BOOL, "continue_final_message", false),
    OPT(GenerationParams, skip_special_tokens, BOOL, "skip_special_tokens", true),
    OPT_RANGE(GenerationParams, truncate, INT, "truncate", 0, 1, 1e9),
    OPT_RANGE(GenerationParams, best_of, INT, "best_of", 1, 1, 100),
    OPT_TEXT(GenerationParams, prefix, "prefix", ""),
};

/* Beside generate's keys. */
static const char *const known[] = {
    "return_full_text", "details", "decoder_input_details", "add_special_tokens",
    "continue_final_message", "skip_special_tokens", "truncate", "best_of", "prefix", "tools",
    "tool_choice", "documents", "chat_template", "chat_template_kwargs", "return_text", "grammar",
    "stop", "stop_sequences", "top_n_tokens", "top_logprobs",
    // those that change nothing here, with their only value
    "watermark", "clean_up_tokenization_spaces", NULL};

static bool given(const json_t *parameters, const char *key)
{
    const json_t *value = json_object_get(parameters, key);
    return value && !json_is_null(value);
}

/* Warns of what neither list has. */
static void warn_unknown(Job *job)
{
    AUTO(json_decref) json_t *rest = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)job->parameters, key, value)
    {
        if (!generate_key_is_known(key))
            json_object_set(rest, key, value);
    }
    task_warn_unknown(job->call, rest, known);
    if (json_flag(job->parameters, "watermark", false))
        task_warn(job->call, "'watermark' changes nothing; give 'watermarking_config'");
}

/* The request as generate_params_read wants it: sampling is switched on by what only makes sense
 * with it, and temperature 0 means none. */
static json_t *generate_request(const Job *job)
{
    static const char *const sampling[] = {
        "temperature", "top_k", "top_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff"};
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
    if (job->params.best_of > 1)
        json_object_set_new(request, "num_return_sequences", json_integer(job->params.best_of));
    return request;
}

static bool read_params(Job *job, Error *err)
{
    AUTO(json_decref) json_t *none = json_object();
    const json_t *object = job->parameters ? job->parameters : none;
    warn_unknown(job);
    if (!fields_read(&job->params, fields, COUNT(fields), object, job->arena, err))
        return fail_while(err, "parameters");
    job->params.has_continue = given(object, "continue_final_message");
    AUTO(json_decref) json_t *request = generate_request(job);
    int64_t wanted = MAX(json_int(object, "num_return_sequences", 1), 1);
    if (job->params.best_of > 1 && !json_flag(request, "do_sample", false))
        return fail(err, ERR_INVALID, "parameters: you must use sampling when `best_of` is > 1");
    if (job->params.best_of > 1 && job->params.best_of < wanted)
        return fail(err, ERR_INVALID, "parameters: 'best_of' is less than 'num_return_sequences'");
    if (!generate_params_read(&job->generate, job->state->model, request, job->arena, err))
        return fail_while(err, "parameters");
    job->wanted =
        job->params.best_of > 1 ? (size_t)wanted : (size_t)job->generate.num_return_sequences;
    return true;
}

// ---- What the answer must match ----

/* "required", {"function": {"name"}}, or a name. */
static bool read_tool_choice(Job *job, Error *err)
{
    const json_t *tools = json_object_get(job->parameters, "tools"),
                 *choice = json_object_get(job->parameters, "tool_choice");
    const char *word = json_string_value(choice), *name = NULL;
    if (!json_array_size(tools) || (word && strcmp(word, "none") == 0))
        return true;
    Str source = json_str(job->parameters, "chat_template");
    if (!source.len)
        source = tokenizer_chat_template(job->p->tokenizer, NULL);
    const ToolFormat *format = tool_format_find(source);
    if (job->call->parse_tools)
        job->tools = format;
    if (!choice || json_is_null(choice) || (word && strcmp(word, "auto") == 0))
        return true;
    if (json_is_object(choice)) {
        const json_t *function = json_object_get(choice, "function");
        name = json_text(function ? function : choice, "name", NULL);
        if (!name)
            return fail(err, ERR_INVALID, "'tool_choice' names no function");
    } else if (!word || strcmp(word, "required") != 0) {
        name = word;
    }
    job->grammar = tool_grammar(format, tools, name, err);
    return job->grammar != NULL;
}

static bool read_constraint(Job *job, Error *err)
{
    const json_t *grammar = json_object_get(job->parameters, "grammar");
    if (!read_tool_choice(job, err))
        return false;
    if (!grammar || json_is_null(grammar))
        return true;
    if (job->grammar)
        return fail(err, ERR_INVALID, "'grammar' and a 'tool_choice' exclude each other");
    job->grammar = grammar_from_json(grammar, err);
    return job->grammar != NULL;
}

// ---- The prompt ----

bool generation_is_messages(const json_t *value)
{
    const json_t *first = json_array_get(value, 0);
    return json_is_object(first) && json_object_get(first, "role");
}

/* The conversation with what the model is told of its tools, in or before its first message. */
static json_t *with_explanation(const Job *job, const json_t *tools, Str source)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    tool_format_explain(tool_format_find(source), tools, &text);
    json_t *messages = json_copy((json_t *)(uintptr_t)job->messages);
    json_t *first = json_array_get(messages, 0);
    if (strcmp(json_text(first, "role", ""), "system") == 0) {
        json_t *longer = json_copy(first);
        buf_add(&text, S("\n\n"));
        buf_add(&text, json_str(first, "content"));
        json_object_set_new(longer, "content", json_from_str(buf_str(&text)));
        json_array_set_new(messages, 0, longer);
    } else {
        json_array_insert_new(
            messages, 0,
            json_pack("{s:s,s:o}", "role", "system", "content", json_from_str(buf_str(&text))));
    }
    return messages;
}

static bool render_chat(Job *job, Buf *prompt, Error *err)
{
    const json_t *messages = job->messages;
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1),
                 *tools = json_object_get(job->parameters, "tools");
    AUTO(json_decref) json_t *explained = NULL;
    // A conversation that ends with the assistant is one to continue, unless the caller says.
    job->continues = job->params.has_continue
                         ? job->params.continue_final_message
                         : strcmp(json_text(last, "role", ""), "assistant") == 0;
    ChatOptions options = {
        .add_generation_prompt = !job->continues,
        .continue_final_message = job->continues,
        .template_source = json_str(job->parameters, "chat_template"),
        .tools = tools,
        .documents = json_object_get(job->parameters, "documents"),
        .template_kwargs = json_object_get(job->parameters, "chat_template_kwargs"),
    };
    Str source = options.template_source.len ? options.template_source
                                             : tokenizer_chat_template(job->p->tokenizer, NULL);
    if (strcmp(json_text(job->parameters, "tool_choice", ""), "none") == 0)
        options.tools = NULL;
    else if (json_array_size(tools) && !tool_format_is_native(source))
        messages = explained = with_explanation(job, tools, source);
    return chat_render(job->p->tokenizer, messages, &options, prompt, err);
}

static bool encode_text(Job *job, Error *err)
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
    job->n = e.n;
    job->ids = arena_copy(job->arena, e.ids, e.n * sizeof *e.ids);
    return true;
}

/* Sets ids and n, unless the prompt came as ids. A text of no tokens begins with the model's first
 * token. */
static bool encode_prompt(Job *job, Error *err)
{
    if (!job->ids && !encode_text(job, err))
        return false;
    size_t drop = job->params.truncate && job->n > (size_t)job->params.truncate
                      ? job->n - (size_t)job->params.truncate
                      : 0;
    job->ids += drop;
    job->n -= drop;
    int32_t bos = tokenizer_special(job->p->tokenizer, SPECIAL_BOS);
    if (job->n == 0 && bos >= 0) {
        job->ids = arena_copy(job->arena, &bos, sizeof bos);
        job->n = 1;
    }
    return true;
}

bool generation_prepare(GenerationJob *job, Error *err)
{
    return read_params(job, err) && read_constraint(job, err) && encode_prompt(job, err);
}
