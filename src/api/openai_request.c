/* openai_request.c: OpenAI's requests in the words of the task. Generation's own knobs may stand
 * beside OpenAI's. What would change the answer and that we do not do is refused in a sentence,
 * never ignored; words that nobody knows are told in a warning header. */
#include "api/openai_internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "generate/generate.h"

enum { NO_LIMIT = 1000000000, MAX_TOP_LOGPROBS = 20 };

static void release_json(void *value)
{
    json_decref(value);
}

json_t *openai_keep(Request *r, json_t *value)
{
    arena_defer(request_arena(r), release_json, value);
    return value;
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

const char *openai_new_id(Request *r, const char *prefix)
{
    uint8_t bytes[12];
    char hex[25];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, hex);
    return arena_printf(request_arena(r), "%s%s", prefix, hex);
}

// ---- Words ----

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
    Str last = inference_last_id(r);
    return last.len ? last : name;
}

static const struct {
    const char *theirs, *ours;
} renamed[] = {
    {"min_tokens", "min_new_tokens"},
    {"max_tokens", "max_new_tokens"},
    {"max_completion_tokens", "max_new_tokens"},
    {"chat_template_kwargs", "chat_template_kwargs"},
    {"tools", "tools"},
    {"tool_choice", "tool_choice"},
    {"best_of", "best_of"},
    {"stop", "stop"},
};

/* Words that are looked at elsewhere, and those that change nothing about the text. */
static const char *const passed_over[] = {"model",
                                          "messages",
                                          "prompt",
                                          "stream",
                                          "stream_options",
                                          "n",
                                          "echo",
                                          "logprobs",
                                          "top_logprobs",
                                          "logit_bias",
                                          "response_format",
                                          "guided_json",
                                          "guided_regex",
                                          "guided_grammar",
                                          "grammar",
                                          "ignore_eos",
                                          "parallel_tool_calls",
                                          "user",
                                          "metadata",
                                          "store",
                                          "service_tier",
                                          "modalities",
                                          "verbosity",
                                          "prompt_cache_key",
                                          "prompt_cache_retention",
                                          "safety_identifier",
                                          "tool_prompt",
                                          "reasoning_effort",
                                          "adapter_id"};

/* What would change the answer and that we do not do. */
static const struct {
    const char *key, *text;
} refused[] = {
    {"suffix", "suffix is not supported"},
    {"functions", "functions are not supported; give tools"},
    {"function_call", "function_call is not supported; give tool_choice"},
    {"audio", "audio answers are not supported"},
    {"prediction", "prediction is not supported"},
    {"web_search_options", "web search is not supported"},
    {"guided_choice", "guided_choice is not supported; give guided_regex"},
    {"structured_outputs", "structured_outputs is not supported; give response_format"},
    {"prompt_logprobs", "prompt_logprobs is not supported; give echo and logprobs"},
    {"use_beam_search", "use_beam_search is not supported; give num_beams"},
};

static bool is_passed_over(const char *key)
{
    for (size_t i = 0; i < COUNT(passed_over); i++)
        if (strcmp(passed_over[i], key) == 0)
            return true;
    for (size_t i = 0; i < COUNT(renamed); i++)
        if (strcmp(renamed[i].theirs, key) == 0)
            return true;
    return false;
}

/* Knobs as they are; of what is left, the task warns. */
static bool read_words(Completion *c)
{
    const char *key;
    json_t *value;
    for (size_t i = 0; i < COUNT(refused); i++)
        if (is_given(c->body, refused[i].key) &&
            !json_is_false(json_object_get(c->body, refused[i].key)))
            return refuse(c->r, refused[i].key, refused[i].text);
    json_object_foreach((json_t *)(uintptr_t)c->body, key, value)
    {
        if (!json_is_null(value) && !is_passed_over(key))
            json_object_set(c->parameters, key, value);
    }
    for (size_t i = 0; i < COUNT(renamed); i++)
        if (is_given(c->body, renamed[i].theirs))
            json_object_set(c->parameters, renamed[i].ours,
                            json_object_get(c->body, renamed[i].theirs));
    return true;
}

// ---- Parts ----

static bool set_grammar(Completion *c, const char *type, json_t *value)
{
    json_object_set_new(c->parameters, "grammar",
                        json_pack("{s:s,s:O?}", "type", type, "value", value));
    return true;
}

/* OpenAI's forms, and those of Hugging Face's clients and of the text generation servers, which put
 * the schema or the expression into "value". */
static bool read_format(Completion *c)
{
    static const struct {
        const char *key, *type;
    } others[] = {{"guided_json", "json"}, {"guided_regex", "regex"}, {"guided_grammar", "gbnf"}};
    for (size_t i = 0; i < COUNT(others); i++)
        if (is_given(c->body, others[i].key))
            set_grammar(c, others[i].type, json_object_get(c->body, others[i].key));
    if (json_is_string(json_object_get(c->body, "grammar")))
        set_grammar(c, "gbnf", json_object_get(c->body, "grammar"));
    const json_t *format = json_object_get(c->body, "response_format");
    const char *type = json_text(format, "type", "text");
    json_t *value = json_object_get(format, "value");
    json_t *wrapped = json_object_get(format, "json_schema");
    if (wrapped && !(value = json_object_get(wrapped, "schema")))
        value = wrapped;
    if (strcmp(type, "text") == 0)
        return true;
    bool known = strcmp(type, "json_object") == 0 || strcmp(type, "json") == 0 ||
                 strcmp(type, "json_schema") == 0 || strcmp(type, "regex") == 0;
    if (!known)
        return refuse(c->r, "response_format",
                      "response_format must be text, json_object, json_schema or regex");
    if (!value && strcmp(type, "json_object") != 0)
        return refuse(c->r, "response_format", "response_format needs a schema");
    return set_grammar(c, type, value);
}

static bool read_bias(Completion *c)
{
    const json_t *bias = json_object_get(c->body, "logit_bias");
    const char *key;
    json_t *value, *rows;
    if (!json_object_size(bias))
        return true;
    json_object_set_new(c->parameters, "sequence_bias", rows = json_array());
    json_object_foreach((json_t *)(uintptr_t)bias, key, value)
    {
        int64_t id;
        if (!str_to_int(str_of(key), 0, INT32_MAX, &id) || !json_is_number(value))
            return refuse(c->r, "logit_bias", "logit_bias must map token ids to numbers");
        json_array_append_new(rows, json_pack("[[I],O]", (json_int_t)id, value));
    }
    return true;
}

static bool read_logprobs(Completion *c)
{
    const json_t *logprobs = json_object_get(c->body, "logprobs");
    int64_t top = c->chat ? json_int(c->body, "top_logprobs", 0) : json_int(c->body, "logprobs", 0);
    c->logprobs =
        c->chat ? json_is_true(logprobs) : json_is_integer(logprobs) || json_is_true(logprobs);
    if (top < 0 || top > MAX_TOP_LOGPROBS)
        return refuse(c->r, c->chat ? "top_logprobs" : "logprobs",
                      "at most 20 of the likeliest tokens are told");
    if (top > 0 && !c->logprobs)
        return refuse(c->r, "top_logprobs", "top_logprobs needs logprobs");
    if (top > 0)
        json_object_set_new(c->parameters, "top_n_tokens", json_integer(top));
    return true;
}

static bool read_tools(Completion *c)
{
    const json_t *tools = json_object_get(c->body, "tools"),
                 *choice = json_object_get(c->body, "tool_choice");
    const char *word = json_string_value(choice);
    if (!json_array_size(tools) || (word && strcmp(word, "none") == 0)) {
        json_object_del(c->parameters, "tool_choice");
        if (word && strcmp(word, "none") == 0)
            json_object_del(c->parameters, "tools");
        return !word || strcmp(word, "required") != 0 ||
               refuse(c->r, "tool_choice", "tool_choice needs tools");
    }
    if (!c->chat)
        return refuse(c->r, "tools", "tools are for chat completions");
    if (is_given(c->parameters, "grammar"))
        return refuse(c->r, "tools", "tools and response_format exclude each other");
    if (json_is_object(choice)) {
        const json_t *function = json_object_get(choice, "function");
        c->named = json_text(function, "name", NULL);
        if (!c->named)
            return refuse(c->r, "tool_choice",
                          "tool_choice must be none, auto, required or name a "
                          "function");
    }
    c->tools = true;
    return true;
}

static bool read_parameters(Completion *c)
{
    json_t *p = c->parameters = openai_keep(c->r, json_object());
    if (!read_words(c) || !read_format(c) || !read_bias(c) || !read_logprobs(c) || !read_tools(c))
        return false;
    json_t *stop = json_object_get(p, "stop");
    if (json_is_string(stop))
        json_object_set_new(p, "stop", json_pack("[O]", stop));
    if (json_flag(c->body, "ignore_eos", false))
        json_object_set_new(p, "eos_token_id", json_array());
    c->echo_only = c->echo && json_int(p, "max_new_tokens", 16) == 0;
    if (c->echo_only)
        json_object_set_new(p, "max_new_tokens", json_integer(1));
    if (!is_given(p, "max_new_tokens"))
        json_object_set_new(p, "max_new_tokens", json_integer(c->chat ? NO_LIMIT : 16));
    // Sampling is the default here, at the model's own settings; searches look for the likeliest.
    bool greedy =
        (is_given(p, "temperature") && json_num(p, "temperature", 1) == 0) || c->echo_only;
    if (!is_given(p, "do_sample"))
        json_object_set_new(p, "do_sample",
                            json_boolean(!greedy && !generate_request_is_search(p)));
    json_object_set_new(p, "return_full_text", json_boolean(c->echo && !c->stream));
    json_object_set_new(p, "decoder_input_details", json_boolean(c->echo && c->logprobs));
    bool best = json_int(p, "best_of", 1) > 1;
    json_object_set_new(p, "details",
                        json_boolean(!c->stream && (c->logprobs || c->n > 1 || best)));
    if (c->n > 1 && greedy && json_int(p, "num_beams", 1) <= 1)
        return refuse(c->r, "n", "n above 1 needs a temperature above 0");
    if (best && c->stream)
        return refuse(c->r, "best_of", "best_of above 1 does not go with stream");
    if (best && json_int(p, "best_of", 1) < c->n)
        return refuse(c->r, "best_of", "best_of must be at least n");
    if (c->n > 1 && !c->stream)
        json_object_set_new(p, "num_return_sequences", json_integer(c->n));
    return true;
}

// ---- Messages and prompts ----

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

/* Earlier calls: arguments are a text here and an object for the templates. */
static void plain_calls(json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls"), *copy = json_deep_copy(calls);
    size_t i;
    json_t *call;
    json_array_foreach(copy, i, call)
    {
        json_t *function = json_object_get(call, "function");
        const json_t *arguments = json_object_get(function, "arguments");
        if (!json_is_string(arguments))
            continue;
        Str text = {json_string_value(arguments), json_string_length(arguments)};
        json_t *parsed = json_parse(text, "arguments", NULL);
        if (parsed)
            json_object_set_new(function, "arguments", parsed);
    }
    if (calls)
        json_object_set_new(message, "tool_calls", copy);
    else
        json_decref(copy);
}

/* False: it has answered. */
static bool read_messages(Completion *c)
{
    const json_t *messages = json_object_get(c->body, "messages");
    if (!json_array_size(messages))
        return refuse(c->r, "messages", "messages must be a list that is not empty");
    json_t *copy = c->messages = openai_keep(c->r, json_array());
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
        plain_calls(plain);
        if (!content || json_is_null(content))
            json_object_set_new(plain, "content", json_string(""));
        if (!json_is_array(content))
            continue;
        json_t *text = plain_content(c->r, content);
        if (!text)
            return false;
        json_object_set_new(plain, "content", text);
    }
    c->prompts[0] = copy;
    c->n_prompts = 1;
    return true;
}

/* A text, or token ids; NULL if it is neither. */
static const json_t *prompt_of(Completion *c, const json_t *value)
{
    if (json_is_string(value))
        return value;
    if (!json_array_size(value) || !json_is_integer(json_array_get(value, 0)))
        return NULL;
    return openai_keep(c->r, json_pack("{s:O}", "input_ids", value));
}

static bool read_prompts(Completion *c)
{
    const json_t *prompt = json_object_get(c->body, "prompt");
    bool many = json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0));
    c->n_prompts = many ? json_array_size(prompt) : 1;
    if (c->n_prompts == 0 || c->n_prompts > OPENAI_MAX_PROMPTS)
        return refuse(c->r, "prompt", "prompt must be a text or a list of 1 to 64 texts");
    for (size_t i = 0; i < c->n_prompts; i++) {
        c->prompts[i] = prompt_of(c, many ? json_array_get(prompt, i) : prompt);
        if (!c->prompts[i])
            return refuse(c->r, "prompt",
                          "prompt must be a text, a list of texts, or token ids or a list of them");
        if (c->echo && c->stream && !json_is_string(c->prompts[i]))
            return refuse(c->r, "echo", "echo of token ids does not go with stream");
    }
    return true;
}

bool openai_read(Completion *c, Request *r, bool chat)
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
    c->n = json_int(c->body, "n", 1);
    c->created = wall_ns() / NS_PER_S;
    c->id = openai_new_id(r, chat ? "chatcmpl-" : "cmpl-");
    if (c->n < 1 || c->n > 16)
        return refuse(r, "n", "n must be from 1 to 16");
    if (!read_parameters(c) || !(chat ? read_messages(c) : read_prompts(c)) ||
        !inference_target(r, id, S("text-generation"), &c->target))
        return false;
    c->model = c->target.repo.full;
    return true;
}
