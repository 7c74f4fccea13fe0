/* inference.c: the classic Inference API: POST a model's path and get its task's answer.
 *
 * The same call under all the names it has had: /models/{id}, /pipeline/{task}/{id},
 * /models/{id}/pipeline/{task}, and these below /hf-inference. The body is JSON {"inputs",
 * "parameters", "options", "stream"}, a bare JSON value, or text. */
#include "api/inference_internal.h"
#include "base/clock.h"

enum { MAX_NEW_TOKENS = 1000000 }; // more than any context: a mistake

/* A body taken apart. */
typedef struct Call {
    json_t *inputs; // borrowed from the body, or the request's
    json_t *parameters;
    bool stream, wait_for_model, dont_load_model;
} Call;

static void release_json(void *value)
{
    json_decref(value);
}

static bool looks_like_json(Request *r, Str body)
{
    Str text = str_trim(body);
    Str type = request_header(r, "Content-Type");
    bool named = str_find(type, S("json"), 0) != SIZE_MAX;
    return named || (text.len && strchr("{[\"", text.ptr[0]));
}

/* The body as JSON; raw text becomes {"inputs": text}. NULL: it has answered. */
static json_t *read_body(Request *r)
{
    Error err = {0};
    Str body;
    if (!request_body(r, 0, &body, &err)) {
        reply_error(r, &err);
        return NULL;
    }
    json_t *root = NULL;
    if (looks_like_json(r, body)) {
        root = json_parse(body, "the request's body", &err);
        if (!root)
            inference_failure(r, 400, NULL, NULL, err.text);
    } else if (body.len && str_is_utf8(body)) {
        root = json_pack("{s:o}", "inputs", json_from_str(body));
    } else {
        inference_failure(r, 400, NULL, NULL,
                          body.len ? "the body is neither JSON nor text; models that take images "
                                     "or audio are not supported yet"
                                   : "the body is empty; send {\"inputs\": ...}");
    }
    if (root)
        arena_defer(request_arena(r), release_json, root);
    return root;
}

/* Under the request's parameters lie those of the model card ("inference: parameters:"); lists of
 * generation parameters that some clients nest count as if they stood beside. */
static json_t *merge_parameters(const RepoInfo *info, const json_t *given)
{
    static const char *const nested[] = {"generation_parameters", "generate_parameters",
                                         "generate_kwargs"};
    json_t *all = json_object();
    const json_t *of_card = json_at(info->card, "inference.parameters");
    if (json_is_object(of_card))
        json_object_update(all, (json_t *)(uintptr_t)of_card);
    if (json_is_object(given))
        json_object_update(all, (json_t *)(uintptr_t)given);
    for (size_t i = 0; i < COUNT(nested); i++) {
        json_t *inner = json_object_get(all, nested[i]);
        if (!json_is_object(inner))
            continue;
        json_object_update(all, inner);
        json_object_del(all, nested[i]);
    }
    return all;
}

/* False: it has answered. */
static bool read_call(Request *r, const Target *target, Call *call)
{
    json_t *root = read_body(r);
    if (!root)
        return false;
    const json_t *given = json_object_get(root, "parameters");
    const json_t *options = json_object_get(root, "options");
    *call = (Call){.inputs = json_is_object(root) ? json_object_get(root, "inputs") : root,
                   .stream = json_flag(root, "stream", false),
                   .wait_for_model = json_flag(options, "wait_for_model", false),
                   .dont_load_model = json_flag(options, "dont_load_model", false)};
    if (!call->inputs || (json_is_array(call->inputs) && json_array_size(call->inputs) == 0)) {
        inference_failure(r, 422, NULL, NULL, "'inputs' is missing or empty");
        return false;
    }
    if (given && !json_is_null(given) && !json_is_object(given)) {
        inference_failure(r, 422, NULL, NULL, "'parameters' must be an object");
        return false;
    }
    call->parameters = merge_parameters(target->info, given);
    arena_defer(request_arena(r), release_json, call->parameters);
    if (json_int(call->parameters, "max_new_tokens", 1) > MAX_NEW_TOKENS) {
        inference_failure(r, 422, NULL, NULL,
                          "parameters: 'max_new_tokens' must be at most 1000000");
        return false;
    }
    if (call->stream && json_int(call->parameters, "num_return_sequences", 1) > 1) {
        inference_failure(r, 422, NULL, NULL,
                          "parameters: 'num_return_sequences' must be 1 with 'stream'");
        return false;
    }
    return true;
}

static void add_characters(Request *r, const json_t *inputs)
{
    if (!json_is_string(inputs))
        return;
    Str text = {json_string_value(inputs), json_string_length(inputs)};
    long long n = 0;
    for (size_t at = 0; at < text.len; n++)
        (void)utf8_next(text, &at);
    reply_headerf(r, "X-Compute-Characters", "%lld", n);
}

static void answer_whole(Run *run, const Call *call, bool single)
{
    TaskToken token;
    JobEvent event;
    do
        event = run_next(run, &token);
    while (event == JOB_TOKEN);
    if (event != JOB_DONE)
        return;
    run_headers(run);
    add_characters(run->r, call->inputs);
    const json_t *answer = job_answer(run->job), *first = json_array_get(answer, 0);
    reply_json(run->r, 200, single && first ? first : answer);
}

// ---- Streams, as the text generation servers send them ----

/* One event a token. The last one also has the whole text, so each waits for the next. */
typedef struct Pending {
    bool is_there;
    TaskToken token;
    json_t *top; // "top_tokens", if they are wanted
    Buf text;
} Pending;

static bool send_token(Run *run, const Pending *p, const json_t *generated, json_t *details)
{
    json_t *token =
        json_pack("{s:i,s:o,s:f,s:b}", "id", p->token.id, "text", json_from_str(buf_str(&p->text)),
                  "logprob", (double)p->token.logprob, "special", p->token.special);
    AUTO(json_decref)
    json_t *event = json_pack("{s:i,s:o,s:O?,s:o?}", "index", p->token.index + 1, "token", token,
                              "generated_text", generated, "details", details);
    if (p->top)
        json_object_set(event, "top_tokens", p->top);
    return reply_event_json(run->r, NULL, event, NULL);
}

/* False when the client has gone. */
static bool take_token(Run *run, Pending *p, const TaskToken *token)
{
    if (token->index < 0) { // the end of a character that was cut: belongs to the last token
        buf_add(&p->text, token->text);
        return true;
    }
    if (p->is_there && !send_token(run, p, NULL, NULL))
        return false;
    p->is_there = true;
    p->token = *token;
    json_decref(p->top);
    p->top = json_incref(json_object_get(token->detail, "top"));
    buf_reset(&p->text);
    buf_add(&p->text, token->text);
    return true;
}

static void send_last(Run *run, const Call *call, const Pending *p)
{
    const TaskCall *told = job_call(run->job);
    const json_t *first = json_array_get(job_answer(run->job), 0);
    const json_t *text = json_object_get(first, "generated_text");
    const json_t *seed = json_object_get(call->parameters, "seed");
    json_t *details =
        json_pack("{s:s,s:I,s:O?,s:I}", "finish_reason", finish_reason_name(told->finish_reason),
                  "generated_tokens", (json_int_t)told->generated_tokens, "seed", seed,
                  "input_length", (json_int_t)told->prompt_tokens);
    send_token(run, p, text, details);
}

static void answer_stream(Run *run, const Call *call)
{
    Pending pending = {0};
    buf_init(&pending.text, 0);
    TaskToken token;
    JobEvent event;
    while ((event = run_next(run, &token)) == JOB_TOKEN)
        if (!run_stream(run) || !take_token(run, &pending, &token))
            break;
    if (event == JOB_DONE && run_stream(run))
        send_last(run, call, &pending);
    json_decref(pending.top);
    buf_done(&pending.text);
}

// ---- Handlers ----

/* Runs a call that has been taken apart. `single`: the answer is the first record, not a list. */
static void run_call(Request *r, const Target *target, const Call *call, bool single)
{
    AUTO_RUN run = {0};
    RunSpec spec = {.inputs = call->inputs,
                    .parameters = call->parameters,
                    .want_tokens = call->stream,
                    .want_details = call->stream,
                    .events = call->stream,
                    .wait_for_model = call->wait_for_model,
                    .dont_load_model = call->dont_load_model};
    if (!run_start(&run, r, target, &spec))
        return;
    if (call->stream)
        answer_stream(&run, call);
    else
        answer_whole(&run, call, single);
}

static void call_model(Request *r)
{
    Target target;
    Call call;
    if (inference_target(r, inference_path_id(r), request_param(r, "task"), &target) &&
        read_call(r, &target, &call))
        run_call(r, &target, &call, false);
}

// ---- The routes of the text generation servers ----

/* The model of the path, or at the root the one that was used last. */
static bool generate_target(Request *r, Target *target)
{
    Str id = inference_path_id(r);
    if (!id.len)
        id = inference_last_id(r);
    if (id.len)
        return inference_target(r, id, S("text-generation"), target);
    inference_failure(r, 404, NULL, NULL,
                      "no model is loaded; name one: POST /models/{id}/generate");
    return false;
}

/* Their answers have the new text alone, and by default go on as far as the model can. */
static bool read_generate(Request *r, Target *target, Call *call)
{
    enum { NO_LIMIT = 1000000 };
    if (!generate_target(r, target) || !read_call(r, target, call))
        return false;
    if (!json_is_string(call->inputs)) {
        inference_failure(r, 422, NULL, NULL, "Input validation error: 'inputs' must be a text");
        return false;
    }
    if (!json_object_get(call->parameters, "return_full_text"))
        json_object_set_new(call->parameters, "return_full_text", json_false());
    if (!json_object_get(call->parameters, "max_new_tokens"))
        json_object_set_new(call->parameters, "max_new_tokens", json_integer(NO_LIMIT));
    return true;
}

static void generate_whole(Request *r)
{
    Target target;
    Call call;
    if (!read_generate(r, &target, &call))
        return;
    call.stream = false;
    run_call(r, &target, &call, true);
}

static void generate_stream(Request *r)
{
    Target target;
    Call call;
    if (!read_generate(r, &target, &call))
        return;
    if (json_int(call.parameters, "best_of", 1) > 1 ||
        json_flag(call.parameters, "decoder_input_details", false)) {
        inference_failure(r, 422, NULL, NULL,
                          "Input validation error: `best_of` != 1 and `decoder_input_details` == "
                          "true are not supported when streaming tokens");
        return;
    }
    call.stream = true;
    run_call(r, &target, &call, true);
}

static ModelState state_of(Request *r, const Target *t)
{
    ModelKey key = {.id = t->repo.full, .sha = t->info->sha, .task = t->task, .folder = t->folder};
    return pool_state(api_of(r)->pool, &key);
}

static void show_model(Request *r)
{
    Target t;
    if (!inference_target(r, inference_path_id(r), (Str){0}, &t))
        return;
    json_t *answer =
        json_pack("{s:o,s:o,s:s}", "id", json_from_str(t.repo.full), "sha",
                  json_from_str(t.info->sha), "status", model_state_name(state_of(r, &t)));
    api_set_str(answer, "pipeline_tag", t.info->pipeline_tag);
    api_reply(r, answer);
}

static void show_status(Request *r)
{
    Target t;
    if (!inference_target(r, inference_path_id(r), (Str){0}, &t))
        return;
    ModelState state = state_of(r, &t);
    // The old clients know no "Loading": a model that is on its way is loadable.
    ModelState told = state == MODEL_LOADING ? MODEL_COLD : state;
    api_reply(r, json_pack("{s:b,s:s,s:s,s:s}", "loaded", state == MODEL_LOADED, "state",
                           model_state_name(told), "compute_type", "cpu", "framework",
                           "transformers"));
}

#define BOTH_IDS(prefix, method, path_before, path_behind, handler, text)                          \
    {method,                                                                                       \
     prefix path_before "{name}" path_behind,                                                      \
     handler,                                                                                      \
     .flags = ROUTE_LONG,                                                                          \
     .access = INFERENCE,                                                                          \
     .max_body = MAX_INFERENCE_BODY,                                                               \
     .summary = text},                                                                             \
    {                                                                                              \
        method, prefix path_before "{owner}/{name}" path_behind, handler,                          \
            .flags = ROUTE_LONG, .access = INFERENCE, .max_body = MAX_INFERENCE_BODY,              \
            .summary = text                                                                        \
    }
#define CALLS(prefix)                                                                              \
    BOTH_IDS(prefix, "POST", "/models/", "", call_model, "Run a model"),                           \
        BOTH_IDS(prefix, "POST", "/models/", "/pipeline/{task}", call_model, "Run it as a task"),  \
        BOTH_IDS(prefix, "POST", "/pipeline/{task}/", "", call_model, "Run it as a task"),         \
        BOTH_IDS(prefix, "GET", "/models/", "", show_model, "A model's task and state"),           \
        BOTH_IDS(prefix, "GET", "/status/", "", show_status, "Whether a model is loaded")

const Route inference_routes[] = {
    CALLS(""),
    CALLS("/hf-inference"),
    BOTH_IDS("", "POST", "/models/", "/generate", generate_whole, "Continue a text"),
    BOTH_IDS("", "POST", "/models/", "/generate_stream", generate_stream, "Continue it, streamed"),
    {"POST", "/generate", generate_whole, .flags = ROUTE_LONG, .access = INFERENCE,
     .max_body = MAX_INFERENCE_BODY,
     .summary = "Continue a text with the model that was used last"},
    {"POST", "/generate_stream", generate_stream, .flags = ROUTE_LONG, .access = INFERENCE,
     .max_body = MAX_INFERENCE_BODY, .summary = "Continue it, streamed"},
};
const size_t inference_routes_n = COUNT(inference_routes);
