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
 * single tokens mixed. In f32 what a sequence gets does not depend on its neighbours.
 *
 * A Session (generate.h) is one sequence of a Batch: of its own, or of one that many share. Threads
 * that call batch_step on a shared one at the same time are computed together, by one of them:
 * requests join and leave between steps, each in a thread that reads from top to bottom. Nobody
 * waits for a step to fill up longer than a small part of what a step takes. Where some sequences
 * decode, prompts go in small chunks beside them.
 *
 * Memory: the cache grows with use up to cache_memory. When it is full, remembered prefixes go
 * first; then the youngest sequence gives its memory up, and is computed again when there is room.
 *
 * Threads: all functions may be called from any, but a sequence belongs to one at a time. What a
 * function lends is the sequence's. */
#pragma once

#include "generate/generate.h"
#include "nn/nn.h"

typedef struct BatchOptions {
    int sequences;           // at most; 0: 64
    int64_t max_tokens;      // of one sequence; 0: what the model takes
    const char *cache_dtype; // "f32" (NULL; exact), "f16", "bf16", "q8_0": see KvSpec
    size_t cache_memory;     // bytes of keys and values at most; 0: no limit
    size_t prefix_memory; // of these, to remember what later sequences may begin with; 0: nothing
    const Inside *inside; // what batch_states and batch_early give; NULL: nothing
} BatchOptions;

/* Bytes of keys and values that the longest sequence takes; 0 for an unknown type. */
size_t batch_sequence_memory(const LanguageModel *m, const char *cache_dtype);
/* options may be NULL. The batch must not outlive its model. ERR_LIMIT if cache_memory is less than
 * the least, ERR_UNSUPPORTED for another type. */
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
 * move. Needs room for n more sequences. */
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
 * outside the vocabulary, ERR_LIMIT past the capacity, both before anything is computed; ERR_LIMIT,
 * too, when the cache's memory is not enough for these sequences alone. ERR_CANCELLED when
 * *cancelled (may be NULL) is set: the tokens done by then stay. */
bool batch_step(Batch *b, const BatchFeed *feeds, size_t n, const atomic_bool *cancelled,
                Error *err);
/* The logits [vocab] of the row-th of the tokens for which the sequence's last step wanted them, in
 * order: row 0 where nothing was said. Borrowed until its next step; NULL if it has none. */
const float *batch_logits(const Batch *b, int sequence, size_t row);
/* With BatchOptions.inside: what the head read of the row-th token of the sequence's last step,
 * [*width]; and of its last token the logits had the model ended before the i-th of the asked
 * layers, [vocab]. Borrowed until its next step; a fork has none of its own. */
const float *batch_states(const Batch *b, int sequence, size_t row, size_t *width);
const float *batch_early(const Batch *b, int sequence, int i);
/* How many of the tokens of the sequence's last step were remembered and not computed. */
size_t batch_reused(const Batch *b, int sequence);

/* How many threads are about to call batch_step again and again; a step waits a little for all of
 * them. Sessions see to it themselves. */
void batch_join(Batch *b);
void batch_leave(Batch *b);

typedef struct BatchCounts {
    int64_t steps, rows;       // rows: tokens computed, again or not
    int64_t most;              // sequences in one step
    int64_t reused, preempted; // tokens remembered; sequences that gave their memory up
    int sequences;             // now
    size_t cache_bytes, prefix_bytes;
} BatchCounts;
BatchCounts batch_counts(Batch *b);
