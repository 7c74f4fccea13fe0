/* BLAKE3's constants and the shape of its inner functions; see blake3.c. */
#pragma once

#include "blobs/blake3.h"

enum {
    CHUNK_START = 1,
    CHUNK_END = 2,
    PARENT = 4,
    ROOT = 8,
    KEYED_HASH = 16,
    BLOCK_SIZE = 64,
    CHUNK_SIZE = 1024,
    WORDS = 8, // of a chaining value
    ROUNDS = 7,
    MAX_LANES = 16,
};

extern const uint32_t blake3_iv[WORDS];
/* Which message word goes where, for each round. */
extern const uint8_t blake3_schedule[ROUNDS][16];

/* Inputs of one size hashed to chaining values, each from its own pointer. */
typedef struct Blake3Many {
    const uint8_t *const *inputs; // as many as there are lanes
    size_t blocks;                // of 64 bytes in each
    const uint32_t *key;          // 8 words
    uint64_t counter, step;       // of the first input; between two inputs: 1 for chunks, else 0
    uint32_t flags, first, last;  // for all blocks; for the first one; for the last one
    uint32_t (*out)[WORDS];       // as many as there are lanes
} Blake3Many;

#if defined(__x86_64__)
void blake3_many_avx512(const Blake3Many *m); // 16 lanes
void blake3_many_avx2(const Blake3Many *m);   // 8 lanes
#endif
