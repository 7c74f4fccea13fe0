/* openai.c: the OpenAI-compatible calls: chat completions, completions, models.
 *
 * At the root the body names the model; below /models/{id} the path does and the body's "model" is
 * not looked at, because clients send anything there. Answers and chunks are those of OpenAI's API,
 * and so are errors. */
#include "api/openai_internal.h"
#include "base/clock.h"

// ---- Whole answers ----

static RunSpec spec_of(const Completion *c, const json_t *inputs)
{
    return (RunSpec){.inputs = inputs,
                     .parameters = c->parameters,
                     .hide_stop = true,
                     .parse_tools = c->tools,
                     .want_details = c->logprobs,
                     .token_bytes = c->logprobs};
}

static void count_tokens(Completion *c, const Run *run)
{
    const TaskCall *call = job_call(run->job);
    c->prompt_tokens += call->prompt_tokens;
    c->cached_tokens += call->cached_tokens;
    c->new_tokens += c->echo_only ? 0 : call->generated_tokens;
}

/* With echo and no tokens asked for, the prompt alone. */
static void cut_to_prompt(json_t *record, const json_t *inputs, const TaskCall *call)
{
    json_t *text = json_object_get(record, "generated_text");
    size_t all = json_string_length(text), fresh = call->generated_text.len;
    json_t *prompt = json_is_string(inputs)
                         ? json_copy((json_t *)(uintptr_t)inputs)
                         : json_from_str(str_slice((Str){json_string_value(text), all}, 0,
                                                   all - MIN(all, fresh)));
    json_object_set_new(record, "generated_text", prompt);
}

/* Runs one prompt and appends its n choices. False: it has answered. */
static bool add_choices(Completion *c, const json_t *inputs, json_t *choices, bool last)
{
    AUTO_RUN run = {0};
    RunSpec spec = spec_of(c, inputs);
    TaskToken token;
    JobEvent event;
    if (!run_start(&run, c->r, &c->target, &spec))
        return false;
    do
        event = run_next(&run, &token);
    while (event == JOB_TOKEN);
    if (event != JOB_DONE)
        return false;
    const json_t *answer = job_answer(run.job);
    for (size_t i = 0; i < json_array_size(answer); i++) {
        AUTO(json_decref) json_t *record = json_copy(json_array_get(answer, i));
        if (c->echo_only)
            cut_to_prompt(record, inputs, job_call(run.job));
        json_array_append_new(choices, openai_choice(c, (json_int_t)json_array_size(choices),
                                                     record, job_call(run.job)->finish_reason));
    }
    count_tokens(c, &run);
    if (last)
        run_headers(&run);
    return true;
}

static void answer_whole(Completion *c)
{
    json_t *choices = openai_keep(c->r, json_array());
    for (size_t i = 0; i < c->n_prompts; i++)
        if (!add_choices(c, c->prompts[i], choices, i + 1 == c->n_prompts))
            return;
    json_t *answer =
        openai_envelope(c, c->chat ? "chat.completion" : "text_completion", json_incref(choices));
    json_object_set_new(answer, "usage", openai_usage(c));
    api_reply(c->r, answer);
}

// ---- Streams ----

/* The stream's head before its first piece: the status tells nothing is wrong with the request. */
static bool begin_stream(Completion *c, Run *run, bool *begun, const json_t *inputs,
                         json_int_t index)
{
    if (*begun)
        return true;
    *begun = true;
    if (!run_stream(run) || (c->chat && !openai_send_role(c, index)))
        return false;
    Str prompt = {json_string_value(inputs), json_string_length(inputs)};
    return !c->echo || openai_send_piece(c, index, prompt, json_null());
}

static bool send_token(const Completion *c, json_int_t index, const TaskToken *token)
{
    Logprobs logprobs = {0};
    if (c->logprobs && token->detail)
        logprobs_add(&logprobs, c->chat, token->detail, json_object_get(token->detail, "top"));
    if (!token->text.len && !logprobs.content)
        return true;
    return openai_send_piece(c, index, token->text, logprobs_take(&logprobs, c->chat));
}

/* Streams one answer to one prompt. False: it ends here. */
static bool stream_prompt(Completion *c, const json_t *inputs, json_int_t index, bool first)
{
    AUTO_RUN run = {0};
    RunSpec spec = spec_of(c, inputs);
    TaskToken token;
    JobEvent event;
    bool begun = false;
    spec.want_tokens = spec.events = true;
    spec.streaming = !first;
    if (!run_start(&run, c->r, &c->target, &spec))
        return false;
    while ((event = run_next(&run, &token)) == JOB_TOKEN)
        if (!begin_stream(c, &run, &begun, inputs, index) ||
            (!c->echo_only && !send_token(c, index, &token)))
            return false;
    if (event != JOB_DONE || !begin_stream(c, &run, &begun, inputs, index))
        return false;
    count_tokens(c, &run);
    const json_t *calls = json_object_get(json_array_get(job_answer(run.job), 0), "tool_calls");
    if (calls && !openai_send_calls(c, index, calls))
        return false;
    return openai_send_finish(c, index,
                              openai_finish(c, job_call(run.job)->finish_reason, calls != NULL));
}

/* The n answers to a prompt come one behind the other, each from a seed of its own. */
static void answer_stream(Completion *c)
{
    json_int_t seed = json_int(c->parameters, "seed", -1);
    for (size_t i = 0; i < c->n_prompts * (size_t)c->n; i++) {
        if (seed >= 0)
            json_object_set_new(c->parameters, "seed", json_integer(seed + (json_int_t)i % c->n));
        if (!stream_prompt(c, c->prompts[i / (size_t)c->n], (json_int_t)i, i == 0))
            return;
    }
    if (!c->usage || openai_send_usage(c))
        reply_event(c->r, NULL, S("[DONE]"), NULL);
}

// ---- Handlers ----

static void complete(Request *r, bool chat)
{
    Completion c;
    if (!openai_read(&c, r, chat))
        return;
    if (c.stream)
        answer_stream(&c);
    else
        answer_whole(&c);
}

static void chat_completions(Request *r)
{
    complete(r, true);
}

static void completions(Request *r)
{
    complete(r, false);
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
        "POST", path, handler, .flags = ROUTE_LONG, .access = INFERENCE,                           \
                               .max_body = MAX_INFERENCE_BODY, .summary = text                     \
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
