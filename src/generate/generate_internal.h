/* What the files of generate/ share: the model inside, and what every strategy does with a token
 * once it is chosen. */
#pragma once

#include "generate/batch.h"
#include "generate/generate.h"
#include "models/models.h"

const Model *language_model_internals(const LanguageModel *m);

/* One call of generate. */
typedef struct Run {
    Session *session;
    const LanguageModel *model;
    const int32_t *ids; // the prompt, `prompt` of them
    const GenerateParams *params;
    GenerateCall *call;
    Sampler *sampler;
    Matcher *matcher; // of constrained output; NULL without
    size_t prompt, limit, vocab, longest_stop;
    uint64_t seed;
    int64_t deadline; // 0: none
    uint64_t *mask;   // scratch: the matcher's, with the ends
    size_t mask_words;
} Run;

/* One sequence under way. */
typedef struct Track {
    int index;     // which of the call's sequences
    bool is_quiet; // its tokens are told when all is done
    Random random;
    DecodeStream *stream; // for stop texts; NULL without
    Buf text;             // the tail of what was decoded
    MatchState at;        // of the matcher
    Generated *out;
} Track;

bool track_start(Run *r, Track *t, int index, Error *err);
void track_done(Track *t);
/* The tokens that the grammar allows behind `at`; NULL without a grammar. False: err. */
bool run_mask(Run *r, MatchState at, const uint64_t **mask, Error *err);
/* Chooses the token behind the track's first n ids; -1: err. */
int32_t run_choose(Run *r, Track *t, const float *logits, const float *unguided, const int32_t *ids,
                   size_t n, Error *err);
/* Makes it the sequence's next token and tells the caller; true to go on. The logits are those it
 * was chosen from. */
bool run_take(Run *r, Track *t, int32_t id, const float *logits);
/* Notes the probabilities of the token that is about to be out's next, if the caller wants them. */
void run_note_logprobs(const Run *r, Generated *out, int32_t id, const float *logits);
/* Tells the tokens of a quiet track that is done. */
void run_tell(Run *r, Track *t);
bool run_is_end(const Run *r, int32_t id);
bool run_is_cancelled(const Run *r);
bool run_is_late(const Run *r);
/* Feeds what the session does not hold yet; at least the last token, for its logits. */
bool run_feed_prompt(Run *r, Error *err);

/* Sequences that begin with the prompt, logits included: in the session's batch where there is room
 * for them, else in one of their own. */
typedef struct Lanes {
    Batch *batch, *own; // own: NULL if it is the session's
    int *slots;         // [n]
    size_t n;
} Lanes;

/* Computes the prompt and makes n lanes; `spare` more must find room at times. */
bool lanes_open(Run *r, Lanes *l, size_t n, size_t spare, Error *err);
/* The same in a batch of their own that also gives what is inside the model. */
bool lanes_open_inside(Run *r, Lanes *l, size_t n, size_t spare, const Inside *inside, Error *err);
void lanes_close(Lanes *l);

/* The strategies: from the prompt to call->sequences. */
bool search_beams(Run *r, Error *err);
bool search_beam_groups(Run *r, Error *err);
bool search_beams_with_words(Run *r, Error *err);
bool search_contrastive(Run *r, Error *err);
bool decode_assisted(Run *r, Error *err);
bool decode_dola(Run *r, Error *err);
