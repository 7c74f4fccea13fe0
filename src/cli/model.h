/* MODEL as every command takes it. */
#pragma once

#include "base/memory.h"

/* A folder or file that exists is taken as it is; anything else is a hub id, `org/name` or
 * `org/name@revision`. The result is a folder or a file, in the arena. */
char *model_path(Arena *a, const char *model, Error *err);
