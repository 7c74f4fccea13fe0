/* Repeatable pseudo-random numbers from a seed (xoshiro256**, Blackman and Vigna 2021): sampling,
 * property tests, fault schedules. For secrets use random_bytes of digest.h.
 * Threads: a Random belongs to one thread at a time. */
#pragma once

#include <stdint.h>

typedef struct Random {
    uint64_t state[4];
} Random;

/* Any seed is good; near seeds give unrelated sequences. */
Random random_of(uint64_t seed);
uint64_t random_next(Random *r);
/* Uniform in [0, 1), 53 bits. */
double random_unit(Random *r);
/* Uniform in [0, n), n at least 1, without bias. */
uint64_t random_below(Random *r, uint64_t n);
