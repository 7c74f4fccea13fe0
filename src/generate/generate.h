/* Text from a decoder: a loaded language model, a session with its cache, and the loop that picks
 * tokens until something says stop.
 *
 *     LanguageModel *m = language_model_open("gpt2", NULL, &err);
 *     Session *s = session_new(m, 0, &err);
 *     GenerateParams p;
 *     generate_params_read(&p, m, request_json, arena, &err);
 *     generate(s, prompt_ids, n, &p, &(GenerateCall){.on_token = show}, &err);
 *
 * Threads: a LanguageModel is immutable and shared; a Session belongs to one thread at a time; the
 * `cancelled` flag of a call may be set by any. Sessions must not outlive their model. */
#pragma once

#include "base/json.h"
#include "generate/sample.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

#include <stdatomic.h>

typedef struct LanguageModel LanguageModel;
typedef struct Session Session;
typedef struct Batch Batch;

typedef struct LanguageModelOptions {
    const char *dtype; // "f32", "bf16", or "auto": block-quantised weights stay as stored, plain
                       // ones become f32; NULL is "auto"
    const char *cache_dtype; // of the keys and values of session_new: "f32" (NULL, exact), "f16",
                             // "bf16", "q8_0"
} LanguageModelOptions;

/* path is a folder or a .gguf or .safetensors file. ERR_UNSUPPORTED names an architecture that we
 * do not have, and lists those we do. options may be NULL. */
LanguageModel *language_model_open(const char *path, const LanguageModelOptions *options,
                                   Error *err);
void language_model_free(LanguageModel *m);
AUTO_FREE(LanguageModel, language_model_free)
const char *language_model_name(const LanguageModel *m); // the architecture's: "gpt2", "llama"
int64_t language_model_vocab(const LanguageModel *m);
int64_t language_model_max_positions(const LanguageModel *m);
size_t language_model_memory(const LanguageModel *m); // bytes of weights, maps included
/* What generation_config.json says, else config.json's own generation keys; borrowed. */
const json_t *language_model_defaults(const LanguageModel *m);

/* A cache for one sequence of up to `capacity` tokens; 0: what the model allows. Memory is taken as
 * the sequence grows. */
Session *session_new(const LanguageModel *m, int64_t capacity, Error *err);
/* A session in a batch that others use too (generate/batch.h); free it before the batch. */
Session *session_new_in(Batch *b, Error *err);
void session_free(Session *s);
AUTO_FREE(Session, session_free)
/* Computes n more tokens; afterwards session_logits are those of the last one. ERR_INVALID for an
 * id outside the vocabulary, ERR_LIMIT past the capacity, ERR_CANCELLED between chunks of a long
 * prompt when *cancelled (may be NULL) is set: the tokens done by then stay. */
bool session_feed(Session *s, const int32_t *ids, size_t n, const atomic_bool *cancelled,
                  Error *err);
const float *session_logits(const Session *s); // [vocab], borrowed until the next feed
const int32_t *session_ids(const Session *s);  // session_length of them, borrowed until then
size_t session_length(const Session *s);
size_t session_capacity(const Session *s);
const LanguageModel *session_model(const Session *s);
/* The sequence that the session is: for decoding that forks it. */
Batch *session_batch(const Session *s);
int session_sequence(const Session *s);
/* Forgets all tokens behind the first n. */
void session_rewind(Session *s, size_t n);

typedef enum EarlyStopping { STOP_EARLY_FALSE, STOP_EARLY_TRUE, STOP_EARLY_NEVER } EarlyStopping;

typedef enum DolaLayers { DOLA_NONE, DOLA_LOW, DOLA_HIGH, DOLA_LIST } DolaLayers;

enum { MAX_FORCED_WORDS = 64 };

/* A word that a text must hold, in one of its forms; none is the beginning of another. */
typedef struct ForcedWord {
    const TokenIds *forms;
    size_t n, longest; // forms, tokens of the longest
} ForcedWord;

/* The names are GenerationConfig's. */
typedef struct GenerateParams {
    SampleParams sample;
    int64_t max_new_tokens;
    int64_t max_length; // prompt included; 0: unset, max_new_tokens wins
    double max_time;    // seconds; 0: none
    int64_t num_return_sequences;
    int64_t seed;    // -1: another one each time
    const Str *stop; // texts that end a sequence; need GenerateCall.tokenizer
    size_t n_stop;
    int64_t num_beams; // 1: none
    float length_penalty;
    EarlyStopping early_stopping;
    int64_t num_beam_groups;  // 1: none
    int64_t pad;              // pad_token_id; -1: none
    const ForcedWord *forced; // of constraints and force_words_ids; with num_beams
    size_t n_forced;
    float penalty_alpha; // 0: none; with sample.top_k above 1 contrastive search
    DolaLayers dola;
    TokenIds dola_layers; // of DOLA_LIST
    // Assisted decoding: by GenerateCall.assistant, or by looking up in the text so far.
    int64_t prompt_lookup_num_tokens; // 0: none
    int64_t max_matching_ngram_size;
    int64_t num_assistant_tokens;
    const char *num_assistant_tokens_schedule; // "constant", "heuristic", "heuristic_transient"
    float assistant_confidence_threshold;
    int64_t top_logprobs; // how many of the likeliest tokens are told with each; not transformers'
} GenerateParams;

/* Fills p from the model's generation_config overlaid by `request` (an object of the same keys,
 * also `stop` and `stop_sequences` for `stop_strings`; NULL: none). Null members count as absent,
 * unknown ones are not looked at (see generate_knob_find). Lists go to the arena. ERR_INVALID names
 * the key; ERR_UNSUPPORTED a strategy that we do not have. */
bool generate_params_read(GenerateParams *p, const LanguageModel *m, const json_t *request,
                          Arena *a, Error *err);
/* The same over `defaults` (may be NULL) in place of a model's. */
bool generate_params_parse(GenerateParams *p, const json_t *defaults, const json_t *request,
                           Arena *a, Error *err);

/* One text, token by token: what guesses can be verified for. */
bool generate_may_be_assisted(const GenerateParams *p);
/* Contrastive search is asked for, and nothing that comes before it. */
bool generate_is_contrastive(const GenerateParams *p);
/* The request asks for a strategy that never draws: beams, contrastive search. */
bool generate_request_is_search(const json_t *request);

/* A key that generate_params_read understands: for command lines, lists of what is known, help. */
typedef struct Knob {
    const char *key;
    const char *value; // how help calls the value: "N"; NULL for true or false
    const char *help;
} Knob;
extern const Knob generate_knobs[];
extern const size_t n_generate_knobs;
const Knob *generate_knob_find(const char *key); // NULL if there is none
/* A knob, or a key of some version's GenerationConfig that is refused or changes nothing. */
bool generate_key_is_known(const char *key);

typedef enum StopReason {
    STOP_LENGTH,
    STOP_EOS,
    STOP_TEXT,
    STOP_CALLER,
    STOP_CANCELLED
} StopReason;
/* "length", "eos_token", "stop_sequence", "caller", "cancelled" */
const char *stop_reason_name(StopReason reason);

typedef struct TopToken {
    int32_t id;
    float logprob;
} TopToken;

typedef struct GeneratedToken {
    int sequence, index; // index counts the new tokens of its sequence from 0
    int32_t id;
    float logprob;       // under the model, before any processor; 0 without want_logprobs
    const TopToken *top; // the top_logprobs likeliest, most likely first; borrowed
    size_t n_top;
} GeneratedToken;

typedef struct Generated {
    int32_t *ids; // the new tokens, an end token included; in the call's arena
    size_t n;
    float *logprobs; // of the ids; NULL without want_logprobs
    TopToken *top;   // top_logprobs for each id; NULL without
    float score;     // with beams: what they were ranked by
    StopReason reason;
} Generated;

typedef struct GenerateCall {
    Arena *arena;               // for the results; needed
    const Tokenizer *tokenizer; // needed for stop texts alone
    /* Each token of the first sequence as it is found; those of further ones, and of beams, when
     * all is done, one sequence behind the other. False: STOP_CALLER. May be NULL. */
    bool (*on_token)(void *context, const GeneratedToken *t);
    void *context;
    bool want_logprobs;
    bool want_prompt_logprobs;
    Session *assistant;      // of a smaller model with the same vocabulary; NULL: none
    const int32_t *negative; // a prompt to be guided away from (guidance_scale); NULL: the last
    size_t n_negative;       // token alone
    const Grammar *grammar;  // what the new text must match; NULL: anything
    const TokenTrie *trie;   // needed with a grammar: of the model's tokenizer
    const atomic_bool *cancelled; // looked at between tokens; may be NULL
    // results
    Generated *sequences; // num_return_sequences of them
    size_t n_sequences;
    float *prompt_logprobs; // of each prompt token behind those before it, the first NaN
    size_t prompt_cached;   // tokens of the prompt that the session already held
    int64_t prefill_ns, decode_ns;
    size_t drafted, accepted; // tokens of assisted decoding
    size_t decode_tokens;     // of all sequences, the first token of each (prefill's) not counted
} GenerateCall;

/* Feeds the prompt (only what the session does not already hold of it) and generates. A cancelled
 * run succeeds, with what it had and STOP_CANCELLED. ERR_INVALID for an empty prompt, ERR_LIMIT for
 * one that leaves no room. */
bool generate(Session *s, const int32_t *prompt, size_t n, const GenerateParams *p,
              GenerateCall *call, Error *err);
