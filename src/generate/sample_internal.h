/* What sample.c, processors.c, warpers.c and watermark.c share. */
#pragma once

#include "generate/sample.h"

typedef struct Candidate {
    float logit, weight; // weight: the probability, when weigh() was called last
    int32_t id;
} Candidate;

typedef struct Watermark Watermark;

struct Sampler {
    SampleParams params;
    int64_t vocab;
    float *scores; // [vocab]
    // The candidates of a draw, ids rising; those that are left, once there is a list.
    bool listed;
    Candidate *list; // [vocab]
    size_t n;
    double logsum; // of the list's logits, from weigh(): a weight is exp(logit - logsum)
    // Scratch.
    float *heap;      // [vocab], for the k-th largest
    Candidate *order; // [vocab], for what a filter must order
    uint32_t *seen;   // [vocab], stamps
    int32_t *count;   // [vocab], of tokens stamped
    uint32_t stamp;
    Watermark *watermark; // NULL: none
};

/* A row: a key of GenerationConfig and what it does. */
typedef struct Processor {
    const char *key;
    bool (*is_wanted)(const SampleParams *p);
    void (*apply)(Sampler *s, const SampleInput *in);
} Processor;

/* Change s->scores. */
extern const Processor processors[];
extern const size_t n_processors;
/* Change s->scores or the list of candidates; for sampling alone. */
extern const Processor warpers[];
extern const size_t n_warpers;

static inline bool in_vocab(const Sampler *s, int64_t id)
{
    return id >= 0 && id < s->vocab;
}

/* Makes the list of what is not barred, if there is none. */
void list_candidates(Sampler *s);
/* Softmax over the list, into the weights. */
void weigh(Sampler *s);
/* The k-th largest of n scores; k from 1 to n. */
float kth_largest(Sampler *s, const float *scores, size_t n, size_t k);

Watermark *watermark_new(const WatermarkParams *p, int64_t vocab);
void watermark_free(Watermark *w);
/* Adds the bias to the favoured tokens' scores. */
void watermark_apply(Watermark *w, float *scores, const int32_t *ids, size_t n);
