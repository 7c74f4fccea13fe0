/* What the two checkpoint targets share. */
#pragma once

#include "fuzz.h"

#include "formats/checkpoint.h"

/* The checkpoint in these bytes after touching all it offers, NULL if they are refused. */
static inline Checkpoint *fuzz_checkpoint(const uint8_t *data, size_t size)
{
    Error err = {0};
    Checkpoint *c = checkpoint_of_bytes((Str){(const char *)data, size}, "input", &err);
    CHECK(c || err.text[0]);
    volatile uint8_t sum = 0;
    for (size_t i = 0; c && i < checkpoint_count(c); i++) {
        const StoredTensor *t = checkpoint_at(c, i);
        for (size_t at = 0; at < t->size; at++)
            sum = (uint8_t)(sum + ((const uint8_t *)t->data)[at]);
    }
    return c;
}
