/* Mentions: "@name" in the Markdown of discussions, which names somebody. Not in code, not in a
 * link, and not behind a letter, so that addresses and decorators are none. Threads: any. */
#pragma once

#include "base/str.h"

/* The next "@name" of a piece of plain text at or behind *from: *at is where the @ stands, *from
 * moves behind the name. False: there is none. Whether somebody is called so is another question.
 */
bool mention_next(Str text, size_t *from, size_t *at, Str *name);

enum { MAX_MENTIONS = 50 };
typedef struct Mentions {
    Str names[MAX_MENTIONS]; // each once, in the letters of its first time
    size_t n;
} Mentions;
/* Whom a Markdown text mentions; those past MAX_MENTIONS are left out. Names are in the arena. */
void mentions_find(Arena *a, Str markdown, Mentions *out);
bool mentions_has(const Mentions *mentions, Str name);
