/* Glob patterns over paths: `*` and `?` inside one part, sets `[a-z]` and `[!a-z]`, and `**` as a
 * whole part for any number of parts, none included. Names that begin with a dot are like any
 * others. Threads: free of state. */
#pragma once

#include "base/str.h"

/* Has it anything but plain letters? */
bool glob_has_magic(Str pattern);
/* ERR_INVALID where `**` is only a piece of a part, or there are more than 64 parts. */
bool glob_check(Str pattern, Error *err);
/* Does it fit the whole path? A bad pattern fits nothing. */
bool glob_match(Str pattern, Str path);
