/* What the files of a Batch share: its sequences, the calls that wait for steps, and the tree of
 * remembered prefixes. */
#pragma once

#include "generate/batch.h"
#include "generate/generate_internal.h"

#include <pthread.h>

enum { MAX_GRAPHS = 32 };

/* The first `done` tokens lie in the cache: all of them between steps, unless their memory was
 * needed by an older sequence; then they are computed again before the next ones. */
typedef struct Sequence {
    bool used, waits; // waits: a call computes it
    bool fresh;       // nobody has looked yet what is remembered of its new tokens
    int64_t serial;   // the older, the smaller
    int32_t *ids;
    size_t n, cap, done;
    size_t reused;   // tokens of the last call that were remembered
    size_t n_before; // tokens before the last call
    size_t wanted;   // logits of the last so many are asked for
    float *logits;   // [n_logits,vocab]
    size_t n_logits, cap_logits;
    // With Batch.inside: of the last call's tokens [n_states,width], of the last one
    // [layers,vocab].
    float *states, *early;
    size_t n_states, cap_states;
    int64_t remembered; // pages that the tree has seen
} Sequence;

/* A thread in batch_step. */
typedef struct Call {
    struct Call *next;
    const BatchFeed *feeds;
    size_t n;
    const atomic_bool *cancelled;
    bool over;
    Error error; // code ERR_NONE: it succeeded
} Call;

/* Tokens [from, from + n) of a sequence in the step in hand. */
typedef struct Share {
    int sequence;
    size_t from, n;
} Share;

typedef struct Prefixes Prefixes;

struct Batch {
    const LanguageModel *model;
    KvCache *cache;
    size_t capacity, vocab;
    Inside inside;
    size_t width;       // of states, once there are any
    Prefixes *prefixes; // NULL: nothing is remembered
    Sequence *sequences;
    int n_sequences;

    pthread_mutex_t lock; // guards all that follows, and the sequences that no call computes
    pthread_cond_t changed;
    int members;
    bool running; // a thread runs a step: cache, graphs and waiting sequences are its own
    Call *calls, **last_call;
    int n_calls;
    int64_t first_call_ns; // when the first of the waiting calls came, or the last step ended
    int64_t step_ns;       // how long the last step took
    int64_t next_serial;
    BatchCounts counts;

    // Of the thread that runs.
    StepGraph graphs[MAX_GRAPHS]; // the most recently used first
    int n_graphs;
    Share *shares;
    size_t n_shares;
    KvSpan *spans;
    int *order; // of the sequences that wait
};

Sequence *sequence_at(const Batch *b, int sequence);
void sequence_reserve(Sequence *s, size_t n);
void sequence_reserve_logits(Sequence *s, size_t n, size_t vocab);

/* Takes the lock when no step runs. */
void batch_lock_quiet(Batch *b);
/* Runs one step for the calls that wait, with the lock held, which it drops meanwhile. Ends the
 * calls that are done or cannot go on. */
void batch_run(Batch *b);

/* prefixes.c: pages of computed tokens that later sequences may begin with: a tree whose edges are
 * the tokens of a page. The least recently used go when there are too many, or when memory is
 * short. Threads: with the batch's lock held, or by its running thread. */
Prefixes *prefixes_new(KvCache *cache, size_t max_pages);
void prefixes_free(Prefixes *p);
/* How many of the first `n` tokens are remembered; sets *pages, borrowed until the next call, to
 * those that hold them. */
size_t prefixes_find(Prefixes *p, const int32_t *ids, size_t n, const int32_t **pages);
/* Remembers that the pages hold the first n tokens; the last page may be partly filled. */
void prefixes_put(Prefixes *p, const int32_t *ids, size_t n, const int32_t *pages);
/* Forgets what was not used the longest, so that a page becomes free; false if nothing does. */
bool prefixes_evict(Prefixes *p);
size_t prefixes_pages(const Prefixes *p);
