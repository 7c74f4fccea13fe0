/* Many sequences of one model at once, over one key/value cache.
 *
 *     Batch *b = batch_new(m, &(BatchOptions){.sequences = 4}, &err);
 *     int s = batch_add(b, &err);
 *     batch_step(b, &(BatchFeed){.sequence = s, .ids = prompt, .n = n}, 1, NULL, &err);
 *     int t = batch_fork(b, s, &err);                  // shares all memory with s until they
 * differ BatchFeed feeds[] = {{s, &best, 1}, {t, &second, 1}}; batch_step(b, feeds, 2, NULL, &err);
 * // one pass over the weights for both const float *logits = batch_logits(b, t, 0);     // [vocab]
 *
 * A step computes the fed tokens of all its sequences together, whatever their lengths: prompts and
 * single tokens mixed. A Session (generate.h) is one sequence of a Batch. In f32 what a sequence
 * gets does not depend on its neighbours.
 *
 * Threads: a Batch belongs to one thread at a time. */
#pragma once

#include "generate/generate.h"

typedef struct Batch Batch;

typedef struct BatchOptions {
    int sequences;      // at most; 0: 64
    int64_t max_tokens; // of one sequence; 0: what the model takes
} BatchOptions;

/* options may be NULL. The batch must not outlive its model. */
Batch *batch_new(const LanguageModel *m, const BatchOptions *options, Error *err);
void batch_free(Batch *b);
AUTO_FREE(Batch, batch_free)
const LanguageModel *batch_model(const Batch *b);
size_t batch_capacity(const Batch *b); // tokens of one sequence

/* A new sequence without tokens. Its number is its own until batch_drop; -1 and ERR_LIMIT when
 * there are too many. */
int batch_add(Batch *b, Error *err);
/* A new sequence that is what `sequence` is, logits included. -1 as batch_add. */
int batch_fork(Batch *b, int sequence, Error *err);
void batch_drop(Batch *b, int sequence);
/* Forgets all tokens behind the first n; the logits, too, unless there are no more. */
void batch_truncate(Batch *b, int sequence, size_t n);
/* At once for all i: sequences[i] goes on as what sequences[from[i]] was, logits included. So beams
 * move. */
bool batch_reorder(Batch *b, const int *sequences, const int *from, size_t n, Error *err);

size_t batch_length(const Batch *b, int sequence);
const int32_t *batch_ids(const Batch *b, int sequence); // borrowed until its next step

/* n >= 1 more tokens of a sequence. */
typedef struct BatchFeed {
    int sequence;
    const int32_t *ids;
    size_t n;
    size_t logits; // how many of the last of these tokens' logits are wanted, at most n; 0 means 1
} BatchFeed;

/* Computes all feeds, each of another sequence; long prompts go in chunks. ERR_INVALID for an id
 * outside the vocabulary, ERR_LIMIT past the capacity, both before anything is computed;
 * ERR_CANCELLED when *cancelled (may be NULL) is set: the tokens done by then stay. */
bool batch_step(Batch *b, const BatchFeed *feeds, size_t n, const atomic_bool *cancelled,
                Error *err);
/* The logits [vocab] of the row-th of the tokens for which the sequence's last step wanted them, in
 * order: row 0 where nothing was said. Borrowed until its next step; NULL if it has none. */
const float *batch_logits(const Batch *b, int sequence, size_t row);
