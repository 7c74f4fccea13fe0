/* What the files of the task "text-generation" share: one prompt on its way to an answer.
 *
 *   text_generation.c     opening, the forms of inputs, the run
 *   generation_request.c  parameters and prompt
 *   generation_answer.c   tokens as they come, and the records
 *   tools.c               calls of functions: how models write them */
#pragma once

#include "generate/batch.h"
#include "tasks/tasks_internal.h"

#include <pthread.h>

typedef struct TextGeneration {
    LanguageModel *model;
    Batch *batch;
    LanguageModel *draft; // proposes tokens; NULL: none
    Batch *draft_batch;
    atomic_llong drafted, accepted;
    pthread_mutex_t lock;
    TokenTrie *trie; // of the tokenizer, made when a grammar first needs it; under the lock
} TextGeneration;

// ---- Tools ----

/* How a model's chat template teaches it to call functions. */
typedef struct ToolFormat {
    const char *name;
    const char *sign;      // what of the template tells
    const char *open;      // before a call, or a list of calls; "" where a call is the whole text
    const char *close;     // behind it
    const char *arguments; // the member that holds them
    bool list;             // calls come as a list
} ToolFormat;

/* By the source of the template; never NULL: one that says nothing of tools gets the first. */
const ToolFormat *tool_format_find(Str chat_template);
/* True if the template itself tells the model of its tools. */
bool tool_format_is_native(Str chat_template);
/* What a model is told of its tools whose template says nothing of them. */
void tool_format_explain(const ToolFormat *f, const json_t *tools, Buf *out);
/* The calls in a text: a list of {"name", "arguments"}, arguments an object, and the text before
 * them. NULL if there are none. */
json_t *tool_calls_parse(const ToolFormat *f, Str text, Str *before);
/* Where a call may begin in the text: at its opening, at a part of it at the text's end, or
 * SIZE_MAX for nowhere. *sure: the opening is there. */
size_t tool_call_find(const ToolFormat *f, Str text, bool *sure);
/* What a call of one of the tools, or of the one called `name` (may be NULL), looks like. */
Grammar *tool_grammar(const ToolFormat *f, const json_t *tools, const char *name, Error *err);

// ---- One prompt ----

/* What the task itself understands; the rest is for generate_params_read. */
typedef struct GenerationParams {
    bool return_full_text, details, decoder_input_details, add_special_tokens;
    bool continue_final_message, has_continue, skip_special_tokens;
    int64_t truncate, best_of;
    const char *prefix;
} GenerationParams;

typedef struct GenerationJob {
    Pipeline *p;
    TextGeneration *state;
    TaskCall *call;
    Arena *arena;
    const json_t *parameters;
    GenerationParams params;
    GenerateParams generate;
    const json_t *messages; // NULL: the prompt is a text, or ids
    bool continues;         // the last message is continued
    Str text;               // the prompt as the caller wrote it
    const int32_t *ids;
    size_t n;
    Grammar *grammar;
    const ToolFormat *tools; // NULL: a call is nothing special
    size_t wanted;           // records; fewer than sequences with best_of
    // while it runs
    DecodeStream *stream;
    Buf held, told; // what may be the beginning of a stop text or a call; what is not
    bool stopped;   // a stop text was seen and hidden
    int sequence;
    bool gone;
    json_t *all_tokens; // with details: a list a sequence
    GenerateCall generated;
} GenerationJob;

bool generation_is_messages(const json_t *value);
/* Parameters, prompt and constraint. */
bool generation_prepare(GenerationJob *job, Error *err);
/* GenerateCall.on_token */
bool generation_on_token(void *context, const GeneratedToken *token);
/* Tells what the decoder or a filter still held back. */
void generation_end_sequence(GenerationJob *job);
/* A record a sequence, or ERR_CANCELLED; tells the call what it wants to know of the first. */
json_t *generation_answer(GenerationJob *job, Error *err);
