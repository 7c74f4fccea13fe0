/* Tasks: a task's name and a model in, JSON out: what `transformers.pipeline` and the Inference API
 * give, to the field.
 *
 * A Pipeline is a model loaded with its tokenizer for one task. The caller hands over "inputs" and
 * "parameters" as a request body has them and gets the answer's JSON. Every task is a row of
 * `tasks`; to add one, write src/tasks/x.c with one `const Task task_x` and name it there.
 *
 * Threads: where the task says `concurrent`, several threads may run one Pipeline at once, and what
 * they run is computed together; other Pipelines belong to one thread at a time. The `cancelled`
 * flag of a call may be set by any thread. */
#pragma once

#include "base/json.h"
#include "text/tokenizer.h"

#include <stdatomic.h>

typedef struct Pipeline Pipeline;

/* One generated token, as it is found. */
typedef struct TaskToken {
    int index; // 0, 1, ... within its sequence
    int32_t id;
    Str text;      // what this token completes: whole characters, often empty; borrowed
    float logprob; // of the token under the model, before sampling filters; with want_details
    bool special;
    /* With want_details: {"id", "text", "logprob", "special"}, with token_bytes "bytes", and with
     * top_n_tokens "top", a list of such objects; borrowed. */
    const json_t *detail;
} TaskToken;

typedef enum FinishReason { FINISH_LENGTH, FINISH_EOS, FINISH_STOP, FINISH_CANCELLED } FinishReason;
/* "length", "eos_token", "stop_sequence", "cancelled" */
const char *finish_reason_name(FinishReason reason);

/* What one run is given beside its inputs, and what it tells beside its answer. */
typedef struct TaskCall {
    /* Called for each token of a text task's first sequence; false stops the run with
     * ERR_CANCELLED. May be NULL. The texts put behind one another are the generated text; what is
     * left when the last token is told (an unfinished character) comes with index -1, id -1. */
    bool (*on_token)(void *context, const TaskToken *token);
    void *context;
    bool hide_stop; // a stop text and what follows it appear nowhere (as OpenAI's API wants it); a
                    // text that may be its beginning is held back until that is clear
    bool parse_tools;  // calls of the parameter "tools" are taken out of the texts: records get
                       // "tool_calls", a list of {"name", "arguments"}
    bool want_details; // probabilities with the tokens
    bool token_bytes;  // and their bytes
    const atomic_bool *cancelled; // looked at between tokens; may be NULL
    json_t *warnings;             // a list to append sentences to (unknown parameters); may be NULL
    // results
    FinishReason finish_reason;                             // of the first sequence
    int64_t prompt_tokens, cached_tokens, generated_tokens; // cached: of the prompt's
    Str generated_text; // the new text alone, of the first sequence; until task_call_done
    int64_t prefill_ns, decode_ns;
} TaskCall;

/* Frees what a run left in its call. */
void task_call_done(TaskCall *call);

typedef struct PipelineOptions {
    const char *dtype; // "f32", "bf16", ...; NULL: as the file has it
    // Of models that generate text:
    const char *cache_dtype; // of keys and values: "f32" (NULL, exact), "f16", "bf16", "q8_0"
    const char *assistant;   // a smaller model, a folder or a file, that proposes tokens; left out
                             // where its vocabulary is another. NULL: none
    size_t cache_memory;     // bytes of keys and values, those that are remembered included; 0: no
                             // limit, and as much is remembered as one sequence can take
} PipelineOptions;

/* How work on a model was shared among runs so far; zeros where nothing is. */
typedef struct PipelineCounts {
    int64_t steps, rows;       // steps of the model, tokens computed in them
    int64_t most;              // sequences in one step
    int64_t reused, preempted; // tokens of prompts that were remembered; sequences that had to wait
    int64_t drafted, accepted; // tokens that an assistant proposed, and that were right
    size_t cache_bytes;
} PipelineCounts;

typedef struct Task {
    const char *name;       // "text-generation"
    const char *aliases[4]; // other names of the same task: "conversational", "chat"
    const char *summary;    // one line
    bool streams;           // calls on_token
    bool concurrent;        // several threads may run one pipeline at once
    /* Opens what the pipeline of this task needs and hangs it on `p`; see tasks_internal.h. */
    bool (*open)(Pipeline *p, Error *err);
    void (*close)(Pipeline *p);
    void (*count)(const Pipeline *p, PipelineCounts *counts); // may be NULL
    json_t *(*run)(Pipeline *p, const json_t *inputs, const json_t *parameters, TaskCall *call,
                   Error *err);
} Task;

/* All tasks, ending with NULL. */
extern const Task *const tasks[];
/* By name or alias; NULL if there is none. */
const Task *task_find(Str name);

/* Loads the model at `path` (a folder or a .gguf file) for a task; task NULL: the one the model's
 * configuration says. ERR_UNSUPPORTED with a sentence that names the kind of model when no task or
 * no architecture of ours fits. `options` may be NULL. */
Pipeline *pipeline_open(const char *path, const Task *task, const PipelineOptions *options,
                        Error *err);
void pipeline_free(Pipeline *p);
AUTO_FREE(Pipeline, pipeline_free)
const Task *pipeline_task(const Pipeline *p);
const Tokenizer *pipeline_tokenizer(const Pipeline *p);
/* Bytes of memory that the loaded model takes now, maps and cache included; for a pool's budget. */
size_t pipeline_memory(const Pipeline *p);
PipelineCounts pipeline_counts(const Pipeline *p);
/* The longest sequence of tokens the model takes. */
int64_t pipeline_max_tokens(const Pipeline *p);

/* Runs the task once. inputs: a string, a list of strings, or (text-generation) a list of messages
 * {"role", "content"}, {"input_ids": [...]}, a list of such lists, or {"text", "past_user_inputs",
 * "generated_responses"}; parameters: an object, or NULL; null members count as absent, unknown
 * ones become warnings. `call` may be NULL. Returns the answer, which the caller decrefs.
 * ERR_INVALID names the parameter; ERR_CANCELLED after `cancelled` or a false on_token. */
json_t *pipeline_run(Pipeline *p, const json_t *inputs, const json_t *parameters, TaskCall *call,
                     Error *err);
