/* openai_answer.c: answers and chunks in OpenAI's shapes, to the field. */
#include "api/openai_internal.h"

// ---- Probabilities ----

static json_int_t count_chars(Str s)
{
    json_int_t n = 0;
    for (size_t at = 0; at < s.len; n++)
        (void)utf8_next(s, &at);
    return n;
}

/* What a token stands for: its bytes, which need not be whole characters. */
static void token_text(const json_t *token, Buf *out)
{
    const json_t *bytes = json_object_get(token, "bytes");
    AUTO_BUF raw;
    buf_init(&raw, 0);
    size_t i;
    const json_t *byte;
    json_array_foreach(bytes, i, byte) buf_add_char(&raw, (char)json_integer_value(byte));
    if (json_flag(token, "special", false) || !bytes)
        buf_add(out, json_str(token, "text"));
    else
        buf_add_lossy(out, buf_str(&raw));
}

static json_t *logprob_of(const json_t *token)
{
    const json_t *value = json_object_get(token, "logprob");
    return value ? json_incref((json_t *)(uintptr_t)value) : json_null();
}

static json_t *chat_logprob(const json_t *token)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    token_text(token, &text);
    return json_pack("{s:o,s:o,s:O?}", "token", json_from_str(buf_str(&text)), "logprob",
                     logprob_of(token), "bytes", json_object_get(token, "bytes"));
}

static void add_chat(Logprobs *l, const json_t *token, const json_t *top)
{
    json_t *one = chat_logprob(token), *others = json_array();
    size_t i;
    const json_t *other;
    json_array_foreach(top, i, other) json_array_append_new(others, chat_logprob(other));
    json_object_set_new(one, "top_logprobs", others);
    json_array_append_new(l->content, one);
}

/* A map from texts to values; null for a first token, which has neither. */
static json_t *top_map(const json_t *top)
{
    if (!top)
        return json_null();
    json_t *map = json_object();
    size_t i;
    const json_t *other;
    json_array_foreach(top, i, other)
    {
        AUTO_BUF text;
        buf_init(&text, 0);
        token_text(other, &text);
        json_object_setn_new(map, text.ptr ? text.ptr : "", text.len, logprob_of(other));
    }
    return map;
}

void logprobs_add(Logprobs *l, bool chat, const json_t *token, const json_t *top)
{
    if (!l->content) {
        l->content = json_array();
        l->tokens = json_array();
        l->values = json_array();
        l->offsets = json_array();
        l->top = json_array();
    }
    if (chat) {
        add_chat(l, token, top);
        return;
    }
    AUTO_BUF text;
    buf_init(&text, 0);
    token_text(token, &text);
    json_array_append_new(l->tokens, json_from_str(buf_str(&text)));
    json_array_append_new(l->values, logprob_of(token));
    json_array_append_new(l->offsets, json_integer(l->offset));
    json_array_append_new(l->top, top_map(top));
    l->offset += count_chars(buf_str(&text));
}

json_t *logprobs_take(Logprobs *l, bool chat)
{
    if (!l->content)
        return json_null();
    json_t *out = chat ? json_pack("{s:O,s:n}", "content", l->content, "refusal")
                       : json_pack("{s:O,s:O,s:O,s:O}", "tokens", l->tokens, "token_logprobs",
                                   l->values, "top_logprobs", l->top, "text_offset", l->offsets);
    json_decref(TAKE(l->content));
    json_decref(TAKE(l->tokens));
    json_decref(TAKE(l->values));
    json_decref(TAKE(l->offsets));
    json_decref(TAKE(l->top));
    return out;
}

/* Of a record's details: the prompt's tokens, when they are told, then the new ones. */
static json_t *logprobs_of(const Completion *c, const json_t *details)
{
    Logprobs l = {0};
    const json_t *top = json_object_get(details, "top_tokens");
    size_t i;
    const json_t *token;
    if (!c->logprobs)
        return json_null();
    json_array_foreach(json_object_get(details, "prefill"), i, token)
        logprobs_add(&l, c->chat, token, NULL);
    json_array_foreach(json_object_get(details, "tokens"), i, token)
    {
        if (!c->echo_only)
            logprobs_add(&l, c->chat, token, json_array_get(top, i));
    }
    if (!l.content && c->chat)
        l.content = json_array();
    return logprobs_take(&l, c->chat);
}

// ---- Whole answers ----

const char *openai_finish(const Completion *c, FinishReason reason, bool calls)
{
    // A function that had to be called is no choice of the model's.
    if (calls && !c->named)
        return "tool_calls";
    return reason == FINISH_LENGTH ? "length" : "stop";
}

/* The task's calls in OpenAI's shape: arguments as a text. */
static json_t *calls_of(const Completion *c, const json_t *calls, bool indexed)
{
    json_t *list = json_array();
    size_t i;
    const json_t *call;
    json_array_foreach(calls, i, call)
    {
        AUTO_BUF arguments;
        buf_init(&arguments, 0);
        json_write(&arguments, json_object_get(call, "arguments"));
        json_t *one = json_pack("{s:s,s:s,s:{s:s,s:o}}", "id", openai_new_id(c->r, "call_"), "type",
                                "function", "function", "name", json_text(call, "name", ""),
                                "arguments", json_from_str(buf_str(&arguments)));
        if (indexed)
            json_object_set_new(one, "index", json_integer((json_int_t)i));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *message_of(const Completion *c, const json_t *record)
{
    const json_t *calls = json_object_get(record, "tool_calls");
    json_t *text = json_object_get(record, "generated_text");
    bool empty = calls && json_string_length(text) == 0;
    json_t *message = json_pack("{s:s,s:o,s:n}", "role", "assistant", "content",
                                empty ? json_null() : json_incref(text), "refusal");
    if (calls)
        json_object_set_new(message, "tool_calls", calls_of(c, calls, false));
    return message;
}

static FinishReason reason_of(const json_t *details, FinishReason otherwise)
{
    const char *name = json_text(details, "finish_reason", NULL);
    return !name ? otherwise : strcmp(name, "length") == 0 ? FINISH_LENGTH : FINISH_EOS;
}

json_t *openai_choice(const Completion *c, json_int_t index, const json_t *record,
                      FinishReason reason)
{
    const json_t *details = json_object_get(record, "details");
    const char *finish =
        openai_finish(c, reason_of(details, reason), json_object_get(record, "tool_calls") != NULL);
    json_t *logprobs = logprobs_of(c, details);
    if (c->chat)
        return json_pack("{s:I,s:o,s:o,s:s}", "index", index, "message", message_of(c, record),
                         "logprobs", logprobs, "finish_reason", finish);
    return json_pack("{s:I,s:O,s:o,s:s}", "index", index, "text",
                     json_object_get(record, "generated_text"), "logprobs", logprobs,
                     "finish_reason", finish);
}

json_t *openai_usage(const Completion *c)
{
    return json_pack("{s:I,s:I,s:I,s:{s:I},s:{s:i}}", "prompt_tokens", c->prompt_tokens,
                     "completion_tokens", c->new_tokens, "total_tokens",
                     c->prompt_tokens + c->new_tokens, "prompt_tokens_details", "cached_tokens",
                     c->cached_tokens, "completion_tokens_details", "reasoning_tokens", 0);
}

json_t *openai_envelope(const Completion *c, const char *object, json_t *choices)
{
    return json_pack("{s:s,s:s,s:I,s:o,s:s,s:o}", "id", c->id, "object", object, "created",
                     c->created, "model", json_from_str(c->model), "system_fingerprint", "hug",
                     "choices", choices);
}

// ---- Streams ----

static bool send_chunk(const Completion *c, json_t *choices, json_t *usage)
{
    AUTO(json_decref)
    json_t *chunk =
        openai_envelope(c, c->chat ? "chat.completion.chunk" : "text_completion", choices);
    if (c->usage)
        json_object_set_new(chunk, "usage", usage ? usage : json_null());
    return reply_event_json(c->r, NULL, chunk, NULL);
}

static bool send_delta(const Completion *c, json_int_t index, json_t *delta, json_t *logprobs,
                       const char *finish)
{
    return send_chunk(c,
                      json_pack("[{s:I,s:o,s:o,s:s?}]", "index", index, "delta", delta, "logprobs",
                                logprobs, "finish_reason", finish),
                      NULL);
}

bool openai_send_role(const Completion *c, json_int_t index)
{
    return send_delta(c, index, json_pack("{s:s,s:s}", "role", "assistant", "content", ""),
                      json_null(), NULL);
}

bool openai_send_piece(const Completion *c, json_int_t index, Str text, json_t *logprobs)
{
    if (c->chat)
        return send_delta(c, index, json_pack("{s:o}", "content", json_from_str(text)), logprobs,
                          NULL);
    return send_chunk(c,
                      json_pack("[{s:I,s:o,s:o,s:n}]", "index", index, "text", json_from_str(text),
                                "logprobs", logprobs, "finish_reason"),
                      NULL);
}

/* The name first, then the arguments, as clients put them together. */
bool openai_send_calls(const Completion *c, json_int_t index, const json_t *calls)
{
    AUTO(json_decref) json_t *list = calls_of(c, calls, true);
    size_t i;
    json_t *call;
    json_array_foreach(list, i, call)
    {
        json_t *function = json_object_get(call, "function");
        AUTO(json_decref) json_t *arguments = json_incref(json_object_get(function, "arguments"));
        json_object_set_new(function, "arguments", json_string(""));
        json_t *rest = json_pack("{s:[{s:I,s:{s:O}}]}", "tool_calls", "index", (json_int_t)i,
                                 "function", "arguments", arguments);
        if (!send_delta(c, index, json_pack("{s:[O]}", "tool_calls", call), json_null(), NULL)) {
            json_decref(rest);
            return false;
        }
        if (!send_delta(c, index, rest, json_null(), NULL))
            return false;
    }
    return true;
}

bool openai_send_finish(const Completion *c, json_int_t index, const char *finish)
{
    if (c->chat)
        return send_delta(c, index, json_object(), json_null(), finish);
    return send_chunk(c,
                      json_pack("[{s:I,s:s,s:n,s:s}]", "index", index, "text", "", "logprobs",
                                "finish_reason", finish),
                      NULL);
}

bool openai_send_usage(const Completion *c)
{
    return send_chunk(c, json_array(), openai_usage(c));
}
