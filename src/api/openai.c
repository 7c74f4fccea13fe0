/* openai.c: the OpenAI-compatible calls: chat completions, completions, models.
 *
 * At the root the body names the model; below /models/{id} the path does and the body's "model" is
 * not looked at, because clients send anything there. Answers and chunks are those of OpenAI's API,
 * and so are errors. What we cannot do (tools, a response format) is refused, never ignored. */
#include "api/inference_internal.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

enum { MAX_PROMPTS = 64, NO_LIMIT = 1000000000 };

/* One call, whichever of the two. */
typedef struct Completion {
    Request *r;
    Target target;
    const json_t *body;
    bool chat, stream, usage, echo, logprobs;
    int64_t n;          // answers a prompt
    json_t *parameters; // for the task
    const char *id;     // "chatcmpl-..."
    json_int_t created;
    Str model;
    json_int_t prompt_tokens, new_tokens;
} Completion;

static void release_json(void *value)
{
    json_decref(value);
}

static json_t *in_arena(Request *r, json_t *value)
{
    arena_defer(request_arena(r), release_json, value);
    return value;
}

// ---- The request ----

/* "org/name", "org/name:provider"; what clients send when they know no name means the model that
 * was used last. */
static Str model_of_body(Request *r, const json_t *body)
{
    Str name = json_str(body, "model");
    bool is_url = str_find(name, S("://"), 0) != SIZE_MAX;
    if (!is_url)
        name = str_slice(name, 0, str_find_char(name, ':', 0));
    if (name.len && !is_url && !str_eq(name, S("dummy")) && !str_eq(name, S("tgi")))
        return name;
    ModelInfo *models;
    size_t n = 0;
    if (api_of(r)->pool)
        pool_list(api_of(r)->pool, request_arena(r), &models, &n);
    return n ? models[0].id : name;
}

static bool refuse(Request *r, const char *param, const char *text)
{
    inference_failure(r, 400, NULL, param, text);
    return false;
}

static bool is_given(const json_t *body, const char *key)
{
    const json_t *value = json_object_get(body, key);
    return value && !json_is_null(value);
}

/* False, having answered, for what would change the answer and that we do not do. */
static bool check_supported(Request *r, const json_t *body)
{
    if (json_array_size(json_object_get(body, "tools")) &&
        strcmp(json_text(body, "tool_choice", ""), "none") != 0)
        return refuse(r, "tools", "tools are not supported yet");
    const char *format = json_text(json_object_get(body, "response_format"), "type", "text");
    if (strcmp(format, "text") != 0)
        return refuse(r, "response_format", "only the response format 'text' is supported yet");
    if (is_given(body, "suffix"))
        return refuse(r, "suffix", "suffix is not supported");
    if (json_int(body, "best_of", 1) > 1)
        return refuse(r, "best_of", "best_of above 1 is not supported");
    if (json_object_size(json_object_get(body, "logit_bias")))
        return refuse(r, "logit_bias", "logit_bias is not supported yet");
    if (json_num(body, "presence_penalty", 0) != 0)
        return refuse(r, "presence_penalty", "presence_penalty is not supported yet");
    if (json_num(body, "frequency_penalty", 0) != 0)
        return refuse(r, "frequency_penalty", "frequency_penalty is not supported yet");
    return true;
}

static const struct {
    const char *theirs, *ours;
} parameter_names[] = {
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"top_k", "top_k"},
    {"min_p", "min_p"},
    {"repetition_penalty", "repetition_penalty"},
    {"seed", "seed"},
    {"stop", "stop"},
    {"min_tokens", "min_new_tokens"},
    {"max_tokens", "max_new_tokens"},
    {"max_completion_tokens", "max_new_tokens"},
    {"chat_template_kwargs", "chat_template_kwargs"},
};

static bool read_parameters(Completion *c)
{
    json_t *p = c->parameters = in_arena(c->r, json_object());
    for (size_t i = 0; i < COUNT(parameter_names); i++)
        if (is_given(c->body, parameter_names[i].theirs))
            json_object_set(p, parameter_names[i].ours,
                            json_object_get(c->body, parameter_names[i].theirs));
    json_t *stop = json_object_get(p, "stop");
    if (json_is_string(stop))
        json_object_set_new(p, "stop", json_pack("[O]", stop));
    if (!is_given(p, "max_new_tokens"))
        json_object_set_new(p, "max_new_tokens", json_integer(c->chat ? NO_LIMIT : 16));
    // Sampling is the default here, at the model's own settings.
    bool greedy = is_given(p, "temperature") && json_num(p, "temperature", 1) == 0;
    json_object_set_new(p, "do_sample", json_boolean(!greedy));
    json_object_set_new(p, "return_full_text", json_false());
    if (c->n > 1 && greedy)
        return refuse(c->r, "n", "n above 1 needs a temperature above 0");
    if (c->n > 1)
        json_object_set_new(p, "num_return_sequences", json_integer(c->n));
    return true;
}

static const char *new_id(Request *r, const char *prefix)
{
    uint8_t bytes[12];
    char hex[25];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, hex);
    return arena_printf(request_arena(r), "%s-%s", prefix, hex);
}

/* False: it has answered. */
static bool read_completion(Completion *c, Request *r, bool chat)
{
    Error err = {0};
    *c = (Completion){.r = r, .chat = chat};
    c->body = request_json(r, 0, &err);
    if (!c->body) {
        inference_failure(r, err.code == ERR_LIMIT ? 413 : 400, NULL, NULL, err.text);
        return false;
    }
    if (!json_is_object(c->body))
        return refuse(r, NULL, "the body must be a JSON object");
    Str id = inference_path_id(r);
    if (!id.len)
        id = model_of_body(r, c->body);
    if (!id.len)
        return refuse(r, "model", "you must provide a model parameter");
    c->stream = json_flag(c->body, "stream", false);
    c->usage = json_flag(json_object_get(c->body, "stream_options"), "include_usage", false);
    c->echo = !chat && json_flag(c->body, "echo", false);
    c->logprobs = chat ? json_flag(c->body, "logprobs", false) : is_given(c->body, "logprobs");
    c->n = json_int(c->body, "n", 1);
    c->created = wall_ns() / NS_PER_S;
    c->id = new_id(r, chat ? "chatcmpl" : "cmpl");
    if (c->n < 1 || c->n > 16)
        return refuse(r, "n", "n must be from 1 to 16");
    if (c->n > 1 && (c->stream || c->logprobs))
        return refuse(r, "n", "n above 1 goes neither with stream nor with logprobs");
    if (!check_supported(r, c->body) || !read_parameters(c) ||
        !inference_target(r, id, S("text-generation"), &c->target))
        return false;
    c->model = c->target.repo.full;
    return true;
}

// ---- Pieces of answers ----

static const char *finish_of(const Run *run)
{
    return job_call(run->job)->finish_reason == FINISH_LENGTH ? "length" : "stop";
}

static json_t *usage_of(const Completion *c)
{
    return json_pack("{s:I,s:I,s:I,s:{s:i},s:{s:i}}", "prompt_tokens", c->prompt_tokens,
                     "completion_tokens", c->new_tokens, "total_tokens",
                     c->prompt_tokens + c->new_tokens, "prompt_tokens_details", "cached_tokens", 0,
                     "completion_tokens_details", "reasoning_tokens", 0);
}

static json_t *envelope(const Completion *c, const char *object, json_t *choices)
{
    return json_pack("{s:s,s:s,s:I,s:o,s:s,s:o}", "id", c->id, "object", object, "created",
                     c->created, "model", json_from_str(c->model), "system_fingerprint", "hug",
                     "choices", choices);
}

/* What is collected of the tokens when the caller wants their probabilities. */
typedef struct Logprobs {
    json_t *content;                   // chat
    json_t *tokens, *values, *offsets; // completions
    json_int_t offset;                 // in characters
} Logprobs;

static json_int_t count_chars(Str s)
{
    json_int_t n = 0;
    for (size_t at = 0; at < s.len; n++)
        (void)utf8_next(s, &at);
    return n;
}

static json_t *bytes_of(Str text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < text.len; i++)
        json_array_append_new(list, json_integer((uint8_t)text.ptr[i]));
    return list;
}

static json_t *chat_logprob(const TaskToken *token)
{
    return json_pack("{s:o,s:f,s:o,s:[]}", "token", json_from_str(token->text), "logprob",
                     (double)token->logprob, "bytes", bytes_of(token->text), "top_logprobs");
}

static void logprobs_add(Logprobs *l, bool chat, const TaskToken *token)
{
    if (token->index < 0)
        return;
    if (!l->tokens) {
        l->content = json_array();
        l->tokens = json_array();
        l->values = json_array();
        l->offsets = json_array();
    }
    if (chat) {
        json_array_append_new(l->content, chat_logprob(token));
        return;
    }
    json_array_append_new(l->tokens, json_from_str(token->text));
    json_array_append_new(l->values, json_real((double)token->logprob));
    json_array_append_new(l->offsets, json_integer(l->offset));
    l->offset += count_chars(token->text);
}

/* The member "logprobs"; null if nobody asked. Forgets what it holds. */
static json_t *logprobs_take(Logprobs *l, bool chat)
{
    json_t *out;
    if (!l->tokens)
        return json_null();
    if (chat)
        out = json_pack("{s:O,s:n}", "content", l->content, "refusal");
    else
        out = json_pack("{s:O,s:O,s:O,s:n}", "tokens", l->tokens, "token_logprobs", l->values,
                        "text_offset", l->offsets, "top_logprobs");
    json_decref(TAKE(l->content));
    json_decref(TAKE(l->tokens));
    json_decref(TAKE(l->values));
    json_decref(TAKE(l->offsets));
    return out;
}

static json_t *choice_of(const Completion *c, json_int_t index, Str text, json_t *logprobs,
                         const char *finish)
{
    if (!c->chat)
        return json_pack("{s:I,s:o,s:o,s:s}", "index", index, "text", json_from_str(text),
                         "logprobs", logprobs, "finish_reason", finish);
    return json_pack("{s:I,s:{s:s,s:o,s:n},s:o,s:s}", "index", index, "message", "role",
                     "assistant", "content", json_from_str(text), "refusal", "logprobs", logprobs,
                     "finish_reason", finish);
}

// ---- Whole answers ----

static Str with_echo(const Completion *c, const json_t *prompt, Str text)
{
    if (!c->echo)
        return text;
    return str_of(
        arena_printf(request_arena(c->r), "%s%.*s", json_string_value(prompt), STR(text)));
}

/* Runs one prompt and appends its n choices. False: it has answered. */
static bool add_choices(Completion *c, const json_t *inputs, json_t *choices, bool last)
{
    AUTO_RUN run = {0};
    RunSpec spec = {.inputs = inputs,
                    .parameters = c->parameters,
                    .want_tokens = c->logprobs,
                    .hide_stop = true};
    Logprobs logprobs = {0};
    TaskToken token;
    JobEvent event;
    if (!run_start(&run, c->r, &c->target, &spec))
        return false;
    while ((event = run_next(&run, &token)) == JOB_TOKEN)
        logprobs_add(&logprobs, c->chat, &token);
    json_t *collected = logprobs_take(&logprobs, c->chat);
    const json_t *answer = job_answer(run.job);
    for (size_t i = 0; event == JOB_DONE && i < json_array_size(answer); i++) {
        Str text = json_str(json_array_get(answer, i), "generated_text");
        json_array_append_new(choices, choice_of(c, (json_int_t)json_array_size(choices),
                                                 with_echo(c, inputs, text), json_incref(collected),
                                                 finish_of(&run)));
    }
    json_decref(collected);
    if (event != JOB_DONE)
        return false;
    c->prompt_tokens += job_call(run.job)->prompt_tokens;
    c->new_tokens += job_call(run.job)->generated_tokens;
    if (last)
        run_headers(&run);
    return true;
}

static void answer_whole(Completion *c, const json_t *const *prompts, size_t n)
{
    json_t *choices = in_arena(c->r, json_array());
    for (size_t i = 0; i < n; i++)
        if (!add_choices(c, prompts[i], choices, i == n - 1))
            return;
    json_t *answer =
        envelope(c, c->chat ? "chat.completion" : "text_completion", json_incref(choices));
    json_object_set_new(answer, "usage", usage_of(c));
    api_reply(c->r, answer);
}

// ---- Streams ----

static bool send_chunk(const Completion *c, json_t *choices, json_t *usage)
{
    AUTO(json_decref)
    json_t *chunk = envelope(c, c->chat ? "chat.completion.chunk" : "text_completion", choices);
    if (c->usage)
        json_object_set_new(chunk, "usage", usage ? usage : json_null());
    return reply_event_json(c->r, NULL, chunk, NULL);
}

static bool send_piece(const Completion *c, json_int_t index, Str text, json_t *logprobs)
{
    json_t *choice = c->chat
                         ? json_pack("{s:I,s:{s:o},s:o,s:n}", "index", index, "delta", "content",
                                     json_from_str(text), "logprobs", logprobs, "finish_reason")
                         : json_pack("{s:I,s:o,s:o,s:n}", "index", index, "text",
                                     json_from_str(text), "logprobs", logprobs, "finish_reason");
    return send_chunk(c, json_pack("[o]", choice), NULL);
}

static bool send_role(const Completion *c)
{
    return send_chunk(c,
                      json_pack("[{s:i,s:{s:s,s:s},s:n,s:n}]", "index", 0, "delta", "role",
                                "assistant", "content", "", "logprobs", "finish_reason"),
                      NULL);
}

static bool send_finish(const Completion *c, json_int_t index, const char *finish)
{
    json_t *choice = c->chat ? json_pack("{s:I,s:{},s:n,s:s}", "index", index, "delta", "logprobs",
                                         "finish_reason", finish)
                             : json_pack("{s:I,s:s,s:n,s:s}", "index", index, "text", "",
                                         "logprobs", "finish_reason", finish);
    return send_chunk(c, json_pack("[o]", choice), NULL);
}

/* The stream's head before its first piece: the status tells nothing is wrong with the request. */
static bool begin_stream(Completion *c, Run *run, bool *begun, json_int_t index)
{
    if (*begun)
        return true;
    *begun = true;
    if (!run_stream(run))
        return false;
    return c->chat ? index > 0 || send_role(c) : true;
}

/* Streams one prompt's answer. False: it ends here. */
static bool stream_prompt(Completion *c, const json_t *inputs, json_int_t index, bool first)
{
    AUTO_RUN run = {0};
    RunSpec spec = {.inputs = inputs,
                    .parameters = c->parameters,
                    .want_tokens = true,
                    .hide_stop = true,
                    .events = true,
                    .streaming = !first};
    TaskToken token;
    JobEvent event;
    bool begun = false;
    if (!run_start(&run, c->r, &c->target, &spec))
        return false;
    while ((event = run_next(&run, &token)) == JOB_TOKEN) {
        if (!begin_stream(c, &run, &begun, index))
            return false;
        Logprobs logprobs = {0};
        if (c->logprobs)
            logprobs_add(&logprobs, c->chat, &token);
        if ((token.text.len || c->logprobs) &&
            !send_piece(c, index, token.text, logprobs_take(&logprobs, c->chat)))
            return false;
    }
    if (event != JOB_DONE || !begin_stream(c, &run, &begun, index))
        return false;
    c->prompt_tokens += job_call(run.job)->prompt_tokens;
    c->new_tokens += job_call(run.job)->generated_tokens;
    return send_finish(c, index, finish_of(&run));
}

static void answer_stream(Completion *c, const json_t *const *prompts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!stream_prompt(c, prompts[i], (json_int_t)i, i == 0))
            return;
    if (!c->usage || send_chunk(c, json_array(), usage_of(c)))
        reply_event(c->r, NULL, S("[DONE]"), NULL);
}

static void answer(Completion *c, const json_t *const *prompts, size_t n)
{
    if (c->stream)
        answer_stream(c, prompts, n);
    else
        answer_whole(c, prompts, n);
}

// ---- Handlers ----

/* Parts {"type": "text", "text"} become the text they are; others are refused. */
static json_t *plain_content(Request *r, const json_t *content)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    size_t i;
    json_t *part;
    json_array_foreach(content, i, part)
    {
        if (strcmp(json_text(part, "type", ""), "text") != 0) {
            refuse(r, "messages", "only text parts are supported in a message's content");
            return NULL;
        }
        buf_add(&text, json_str(part, "text"));
    }
    return json_from_str(buf_str(&text));
}

/* False: it has answered. */
static bool read_messages(Completion *c, json_t **out)
{
    const json_t *messages = json_object_get(c->body, "messages");
    if (!json_array_size(messages))
        return refuse(c->r, "messages", "messages must be a list that is not empty");
    json_t *copy = *out = in_arena(c->r, json_array());
    size_t i;
    const json_t *message;
    json_array_foreach(messages, i, message)
    {
        if (!json_is_object(message) || !json_text(message, "role", NULL))
            return refuse(c->r, "messages", "each message needs a role and a content");
        json_t *plain = json_copy((json_t *)(uintptr_t)message);
        json_array_append_new(copy, plain);
        json_t *content = json_object_get(plain, "content");
        if (strcmp(json_text(plain, "role", ""), "developer") == 0)
            json_object_set_new(plain, "role", json_string("system"));
        if (!json_is_array(content))
            continue;
        json_t *text = plain_content(c->r, content);
        if (!text)
            return false;
        json_object_set_new(plain, "content", text);
    }
    return true;
}

static void chat_completions(Request *r)
{
    Completion c;
    json_t *messages;
    if (read_completion(&c, r, true) && read_messages(&c, &messages))
        answer(&c, (const json_t *[]){messages}, 1);
}

static void completions(Request *r)
{
    Completion c;
    if (!read_completion(&c, r, false))
        return;
    const json_t *prompt = json_object_get(c.body, "prompt"), *prompts[MAX_PROMPTS];
    size_t n = json_is_array(prompt) ? json_array_size(prompt) : 1;
    if (n == 0 || n > MAX_PROMPTS) {
        refuse(r, "prompt", "prompt must be a text or a list of 1 to 64 texts");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        prompts[i] = json_is_array(prompt) ? json_array_get(prompt, i) : prompt;
        if (!json_is_string(prompts[i])) {
            refuse(r, "prompt",
                   "prompt must be a text or a list of texts; token ids are not "
                   "supported");
            return;
        }
    }
    answer(&c, prompts, n);
}

static json_t *model_entry(const Repo *repo)
{
    return json_pack("{s:o,s:s,s:I,s:o}", "id", json_from_str(repo->full), "object", "model",
                     "created", (json_int_t)(repo->created_ns / NS_PER_S), "owned_by",
                     json_from_str(repo->owner));
}

static void list_models(Request *r)
{
    Error err = {0};
    RepoQuery query = {.kind = REPO_MODEL,
                       .pipeline_tag = S("text-generation"),
                       .sort = SORT_DOWNLOADS,
                       .limit = 1000};
    RepoPage page;
    if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    json_t *data = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(data, model_entry(&page.items[i].repo));
    api_reply(r, json_pack("{s:s,s:o}", "object", "list", "data", data));
}

static void show_model(Request *r)
{
    Target target;
    if (inference_target(r, request_param(r, "model"), (Str){0}, &target))
        api_reply(r, model_entry(&target.repo));
}

#define POST(path, handler, text)                                                                  \
    {                                                                                              \
        "POST", path, handler, .max_body = MAX_INFERENCE_BODY, .summary = text                     \
    }
#define UNDER(prefix)                                                                              \
    POST(prefix "/v1/chat/completions", chat_completions, "Continue a conversation"),              \
        POST(prefix "/v1/completions", completions, "Continue a text")

const Route openai_routes[] = {
    UNDER(""),
    UNDER("/models/{name}"),
    UNDER("/models/{owner}/{name}"),
    UNDER("/hf-inference"),
    UNDER("/hf-inference/models/{name}"),
    UNDER("/hf-inference/models/{owner}/{name}"),
    {"GET", "/v1/models", list_models, .summary = "Models that continue texts"},
    {"GET", "/v1/models/{model...}", show_model, .summary = "One of them"},
};
const size_t openai_routes_n = COUNT(openai_routes);
