/* How calls fail: they return NULL or false and say why in a HugError of the caller's, which may be
 * NULL. The text is one line, ready to show. Threads: an error belongs to one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HUG_API __attribute__((visibility("default")))

typedef struct HugError {
    char
        kind[32]; // a stable word to decide on: "not_found", "invalid", "unsupported", "limit", ...
    char text[512]; // "open model 'tiny': configuration: 'vocab_size' is missing"
} HugError;

/* "0.1.0" */
HUG_API const char *hug_version(void);
/* Frees a text that a function of this library gave to the caller. */
HUG_API void hug_text_free(char *text);

#ifdef __cplusplus
}
#endif
