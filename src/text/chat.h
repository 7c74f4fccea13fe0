/* Chat templates: a conversation as JSON in, the prompt that the model was trained on out.
 *
 * Renders the tokenizer's own Jinja template in the environment that transformers gives it:
 * trim_blocks and lstrip_blocks, tojson, raise_exception, strftime_now, bos_token and the other
 * special tokens. Threads: free of state. */
#pragma once

#include "base/json.h"
#include "text/tokenizer.h"

typedef struct ChatOptions {
    bool add_generation_prompt;    // end where the assistant's answer begins
    bool continue_final_message;   // leave the last message open, to be continued
    const char *template_name;     // of several templates; NULL: the default one
    Str template_source;           // instead of the tokenizer's own; empty: the tokenizer's
    const json_t *tools;           // a list of JSON schemas, or NULL
    const json_t *documents;       // a list, or NULL
    const json_t *template_kwargs; // an object of further variables, or NULL
} ChatOptions;

/* Appends the prompt to out. `messages` is a list of objects with "role" and "content"; a content
 * that is a list of {"type": "text", "text"} parts is given to the template as it is.
 * ERR_INVALID: not a conversation, or the template raised an exception (its text is in err);
 * ERR_UNSUPPORTED: the model has no chat template. */
bool chat_render(const Tokenizer *t, const json_t *messages, const ChatOptions *options, Buf *out,
                 Error *err);
