/* What the files of OpenAI's dialect share: openai.c has the calls, openai_request.c takes requests
 * apart, openai_answer.c puts answers together. */
#pragma once

#include "api/inference_internal.h"

enum { OPENAI_MAX_PROMPTS = 64 };

/* One call, whichever of the two. */
typedef struct Completion {
    Request *r;
    Target target;
    const json_t *body;
    bool chat, stream, usage, logprobs;
    bool echo, echo_only; // the prompt is told as well; it alone
    bool tools;           // calls of functions are looked for
    const char *named;    // the one function that must be called; NULL: none
    int64_t n;            // answers a prompt
    json_t *parameters;   // for the task
    json_t *messages;     // of a chat
    const json_t *prompts[OPENAI_MAX_PROMPTS];
    size_t n_prompts;
    const char *id; // "chatcmpl-..."
    json_int_t created;
    Str model;
    json_int_t prompt_tokens, cached_tokens, new_tokens;
} Completion;

/* Keeps it as long as the request. */
json_t *openai_keep(Request *r, json_t *value);
/* False: it has answered. */
bool openai_read(Completion *c, Request *r, bool chat);
/* "call_..." and so on. */
const char *openai_new_id(Request *r, const char *prefix);

/* What is collected of tokens whose probabilities are wanted. */
typedef struct Logprobs {
    json_t *content;                         // chat
    json_t *tokens, *values, *offsets, *top; // completions
    json_int_t offset;                       // in characters
} Logprobs;

/* A token as the task tells it (TaskToken.detail); `top` is its list of others, or NULL. */
void logprobs_add(Logprobs *l, bool chat, const json_t *token, const json_t *top);
/* The member "logprobs"; null if there are none. Forgets what it holds. */
json_t *logprobs_take(Logprobs *l, bool chat);

/* The choice of a record of the task. */
json_t *openai_choice(const Completion *c, json_int_t index, const json_t *record,
                      FinishReason reason);
json_t *openai_usage(const Completion *c);
json_t *openai_envelope(const Completion *c, const char *object, json_t *choices);

/* Chunks of streams; false if the client has gone. */
bool openai_send_role(const Completion *c, json_int_t index);
bool openai_send_piece(const Completion *c, json_int_t index, Str text, json_t *logprobs);
bool openai_send_calls(const Completion *c, json_int_t index, const json_t *calls);
bool openai_send_finish(const Completion *c, json_int_t index, const char *finish);
bool openai_send_usage(const Completion *c);
const char *openai_finish(const Completion *c, FinishReason reason, bool calls);
