/* What the two checkpoint targets share. */
#pragma once

#include "fuzz.h"

#include "formats/checkpoint.h"

/* The header alone says the same as the file. */
static inline void fuzz_header(const uint8_t *data, size_t size, const Checkpoint *whole)
{
    Str bytes = {(const char *)data, size};
    ByteSource file = byte_source_of(&bytes, "input");
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_of_header(&file, NULL);
    CHECK(c || !whole);
    if (whole)
        CHECK(checkpoint_count(c) == checkpoint_count(whole));
}

/* The checkpoint in these bytes after touching all it offers, NULL if they are refused. */
static inline Checkpoint *fuzz_checkpoint(const uint8_t *data, size_t size)
{
    Error err = {0};
    Checkpoint *c = checkpoint_of_bytes((Str){(const char *)data, size}, "input", &err);
    CHECK(c || err.text[0]);
    fuzz_header(data, size, c);
    volatile uint8_t sum = 0;
    for (size_t i = 0; c && i < checkpoint_count(c); i++) {
        const StoredTensor *t = checkpoint_at(c, i);
        for (size_t at = 0; at < t->size; at++)
            sum = (uint8_t)(sum + ((const uint8_t *)t->data)[at]);
    }
    return c;
}
