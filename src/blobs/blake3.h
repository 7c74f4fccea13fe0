/* BLAKE3: the hash that Xet uses, plain and keyed, 32 bytes out, over bytes that lie in memory.
 * Many chunks of 1,024 bytes are hashed side by side in AVX-512 or AVX2 lanes where there are any.
 * Source: O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere", 2021.
 * Threads: free of state. */
#pragma once

#include "base/str.h"

enum { BLAKE3_SIZE = 32 };

/* key: 32 bytes, or NULL for the plain hash. */
void blake3(const uint8_t *key, Str bytes, uint8_t out[BLAKE3_SIZE]);

/* The ways to compute it that this processor has, best first; for tests and benchmarks. */
typedef struct Blake3Way {
    const char *name; // "avx512", "avx2", "plain"
    size_t lanes;
} Blake3Way;
const Blake3Way *blake3_ways(size_t *n);
void blake3_by(const Blake3Way *way, const uint8_t *key, Str bytes, uint8_t out[BLAKE3_SIZE]);
