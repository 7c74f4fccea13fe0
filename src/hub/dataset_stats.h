/* What the columns of a split look like: how many values are missing, how numbers, lengths of texts
 * and of lists are distributed, which values a column of few values has. In the shapes that the
 * dataset viewer's /statistics answers with; columns of other kinds are left out. */
#pragma once

#include "hub/dataset_rows.h"

/* {"num_examples", "statistics": [...], "partial"}: partial where the split has more rows than were
 * looked at, which are 100,000 at most, with at most 256 MiB of text. The caller's. `read` says
 * which split; the rest of it is not used. */
json_t *split_statistics(Hub *hub, const Repo *repo, Str sha, const SplitRead *read, Error *err);
