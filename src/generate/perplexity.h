/* How well a model foresees a text: the negative log likelihood of its tokens.
 *
 * Two ways are in use, and their figures differ, so both are here:
 * - llama.cpp's (stride 0): windows of `context` tokens side by side, of each the second half is
 *   scored. Where the tokenizer puts a BOS in front of texts, each window begins with it.
 * - transformers' (stride > 0): windows of `context` tokens that move on by `stride`; what no
 * earlier window has scored is, each token with all that its window holds before it. Threads: a
 * model may be shared; a call uses all processors. */
#pragma once

#include "generate/generate.h"

typedef struct PerplexityParams {
    int64_t context; // 0: 512, or what the model takes if that is less
    int64_t stride;
    int32_t bos; // that begins every window of llama.cpp's way; -1: none
    /* After each window; may be NULL. */
    void (*on_window)(void *context, int64_t done, int64_t windows);
    void *on_window_context;
} PerplexityParams;

typedef struct Perplexity {
    double nll;        // the mean over the scored tokens, in nats
    double deviation;  // of that mean: the standard error
    double perplexity; // exp(nll)
    int64_t tokens, windows;
} Perplexity;

/* ERR_INVALID if the text is shorter than one window of llama.cpp's way, or two tokens; ERR_LIMIT
 * if the model takes fewer tokens than a window has. */
bool perplexity_measure(const LanguageModel *m, const int32_t *ids, size_t n,
                        const PerplexityParams *p, Perplexity *out, Error *err);
