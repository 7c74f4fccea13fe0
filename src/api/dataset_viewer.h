/* What the calls of the dataset viewer share; dataset_viewer.c and dataset_facts.c. */
#pragma once

#include "api/api_internal.h"
#include "hub/dataset_rows.h"

typedef struct Viewed {
    Repo repo;
    const RepoInfo *info;
    const DatasetLayout *layout;
    const DatasetConfig *config; // where the call names them
    const DatasetSplit *split;
} Viewed;

/* ?dataset=, or {owner}/{name} of the path, at its default branch. False: it has answered. */
bool viewed_dataset(Request *r, Access need, Viewed *out);
/* The same with ?config= and ?split=. */
bool viewed_split(Request *r, Access need, Viewed *out);
/* {"dataset", "config", "split"}; split NULL: without it. */
json_t *viewed_names(const Viewed *v, const DatasetConfig *config, const DatasetSplit *split);
/* The columns of a type as the dataset library describes them, {name: feature}, taking one row into
 * account where there is any. */
json_t *features_of(const TableType *type, const TableRows *rows);
/* "https://hub/datasets/me/x/resolve/SHA/path" */
const char *viewed_url(Request *r, const Viewed *v, Str path);
