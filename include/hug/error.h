/* How calls fail: they return NULL or false and say why in a HugError of the caller's, which may be
 * NULL. The text is one line, ready to show. Threads: an error belongs to one thread at a time. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HugError {
    char kind[32];  // a stable word to decide on: "not_found", "invalid", "unsupported", "limit", ...
    char text[512]; // "open model 'tiny': config.json: 'vocab_size' is missing"
} HugError;

#ifdef __cplusplus
}
#endif
