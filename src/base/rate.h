/* Rates: how often each of very many keys did something, within a window of time of its own that
 * begins with its first time. The table never grows: where it is full, whoever did the least in the
 * neighbourhood is forgotten, so a flood of keys makes limits looser and never stricter. Which keys
 * are neighbours is secret, so nobody can choose names to push another one out.
 *
 *     RateTable *t = rate_new(65536, 300);
 *     Rate rate = rate_count(t, key, 1);
 *     if (rate.count > 1000)
 *         ... again in rate.left_s seconds
 *
 * Threads: any may use a table. */
#pragma once

#include "base/str.h"

typedef struct RateTable RateTable;
/* Room for about `keys` of them, 16 bytes each. */
RateTable *rate_new(size_t keys, int64_t window_s) __attribute__((returns_nonnull));
void rate_free(RateTable *t);
AUTO_FREE(RateTable, rate_free)

typedef struct Rate {
    int64_t count;  // within the window, what was just counted included
    int64_t left_s; // until the window ends: 1 to window_s
} Rate;
/* Counts `n` more for a key; 0 only looks. */
Rate rate_count(RateTable *t, Str key, uint32_t n);
