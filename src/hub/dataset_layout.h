/* Which configs and splits a dataset has, and which files each of them is made of: the rules of the
 * `datasets` library over a card and a list of files. The library is the judge:
 * tests/golden/layouts.json has its answers.
 *
 * 1. A card's `configs` say it, by patterns.
 * 2. Else data/SPLIT-00000-of-00001.* does.
 * 3. Else words like "train" in names of folders, then of files.
 * 4. Else all files are the split "train".
 * The format ("module") is that of most files. */
#pragma once

#include "hub/hub.h"

typedef struct DatasetSplit {
    Str name;
    const RepoEntry **files;
    size_t n_files;
} DatasetSplit;

typedef struct DatasetConfig {
    Str name;
    DatasetSplit *splits;
    size_t n_splits;
    bool is_default;
    const json_t *card; // of the card's `configs`; NULL: there are none
} DatasetConfig;

typedef struct DatasetLayout {
    Str module; // "csv", "json", "parquet", "text", "imagefolder", "webdataset", ...; empty: none
    char separator; // of CSV, as far as the files' names say: a comma or a tab
    DatasetConfig *configs;
    size_t n_configs;
    Str problem; // why it cannot be loaded, in a sentence; then there are no configs
} DatasetLayout;

/* Never fails. `card` may be NULL; what is found points into it and into the files. */
DatasetLayout *dataset_layout(Arena *a, const json_t *card, const RepoEntry *files, size_t n);
/* NULL if absent. An empty name is the default config, or the only one. */
const DatasetConfig *dataset_config(const DatasetLayout *layout, Str name);
const DatasetSplit *dataset_split(const DatasetConfig *config, Str name);
