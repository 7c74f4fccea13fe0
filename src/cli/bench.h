/* What `hug bench` measures: a table of verbs of its own, in verb_bench.c, one file each. */
#pragma once

#include "cli/cli.h"

/* All of them, ending with NULL. Each takes --json: figures named with their units. */
extern const Verb *const benches[];
