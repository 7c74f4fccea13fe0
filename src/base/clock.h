/* Time: int64_t nanoseconds everywhere, and their ISO 8601 form. */
#pragma once

#include "base/str.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* For durations: never goes back. */
int64_t clock_ns(void);
/* For dates: nanoseconds since 1970-01-01 UTC. */
int64_t wall_ns(void);

enum { ISO8601_SIZE = 25 };
/* "2026-11-24T10:00:00.000Z": UTC, milliseconds; the Hub's clients parse exactly this. */
void iso8601_format(int64_t wall, char out[ISO8601_SIZE]);
/* Accepts the form above, with or without a fraction, and "Z" or "+hh:mm". */
bool iso8601_parse(Str text, int64_t *wall);
