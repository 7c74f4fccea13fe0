/* What beam.c, beam_groups.c and beam_words.c share (beams.c): texts that several continuations
 * compete to extend; and of the older two, the texts that have ended (beam_ended.c). */
#pragma once

#include "generate/generate_internal.h"

#define BEAM_FAR (-1e9f) // the reference's "minus infinity" among scores

/* A text: its new tokens. */
typedef struct Beam {
    float score;
    bool is_finished;
    size_t n;
    int32_t *ids;    // [limit]
    float *logprobs; // of the model itself, before any processor; NULL if nobody asks
    TopToken *top;
    MatchState at; // in the grammar
    StopReason reason;
} Beam;

/* A running text and a token behind it. */
typedef struct Continuation {
    float score;
    float key; // what they are ordered by: the score, when sampling with noise
    int beam;
    int32_t id;
    bool ends;
    StopReason reason;
} Continuation;

/* The best of many continuations. */
typedef struct Ranking {
    Continuation *best; // [wanted], best first; of equals, the one that was met first
    size_t n, wanted;
} Ranking;

/* n texts without tokens, in the call's arena. */
bool beams_new(Run *r, Beam **out, size_t n, Error *err);
/* All stand behind the prompt; only the first one's continuations count at first. */
void beams_begin(const Run *r, Beam *beams, size_t n);
/* `to` becomes what `from` is; each keeps its memory. */
void beam_copy(const Run *r, Beam *to, const Beam *from);
/* The text that a continuation of `from` makes, chosen by these logits. */
void beam_extend(Run *r, Beam *to, const Beam *from, const float *logits, const Continuation *c);
/* The processed log probabilities behind the sequence that b is, borrowed until the next call: NULL
 * and err if the grammar fails. `in` has what the caller adds; scratch [vocab]. */
const float *beam_scores(Run *r, const Beam *b, Batch *batch, int slot, SampleInput in,
                         float *scratch, Error *err);
void ranking_offer(Ranking *k, Continuation c);
/* A text of that score with each token behind it, by scores [n]. */
void ranking_offer_all(Ranking *k, const float *scores, size_t n, float score, int beam);
/* Whether the continuation ends its text, and then its reason. */
bool beam_ends(const Run *r, const Beam *b, Continuation *c);
/* The results from the texts in beams[0..n_sequences), told to the caller. */
void beams_tell(Run *r, const Beam *const *beams);

/* The `size` best texts that have ended, as transformers 4.48's BeamHypotheses keeps them. */
typedef struct Ended {
    double score; // log probability / length^length_penalty
    Beam *text;
} Ended;

typedef struct EndedTexts {
    Ended *texts; // [size + 1], the last one a spare whose text is free
    size_t n, size;
} EndedTexts;

bool ended_init(Run *r, EndedTexts *e, size_t size, Error *err);
double beam_length_score(const Run *r, double sum, size_t length);
/* A place for a text of this score, the worst one's if all are taken; NULL if it is no better. */
Beam *ended_place(EndedTexts *e, double score);
/* What still runs counts too, at the end of the search. */
void ended_take_running(Run *r, EndedTexts *e, const Beam *b);
/* No running text can become better than the worst that has ended: `best` is the sum of the best
 * continuation, `length` what texts have with it. */
bool ended_is_done(const Run *r, const EndedTexts *e, double best, size_t length);
/* The results from the best of all n lists. */
bool ended_tell(Run *r, EndedTexts *const *lists, size_t n, Error *err);
