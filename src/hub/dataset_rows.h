/* Rows of a dataset's split, read where they lie: the files that dataset_layout.h finds, one behind
 * the other. Formats are those of tables/: Parquet, CSV, JSON and text; others are ERR_UNSUPPORTED.
 * Whoever calls has asked for ACCESS_FILES and looked at the gate. */
#pragma once

#include "hub/dataset_layout.h"
#include "tables/table.h"

enum { DATASET_PAGE = 100 }; // the most rows at once

/* How tables/ reads the layout's files; false where it does not. */
bool dataset_format(const DatasetLayout *layout, TableFormat *out);

typedef struct DatasetRows {
    json_t *features; // of the first file: {column: type}
    json_t *rows;     // an object each
    int64_t total;    // of the split
} DatasetRows;

/* Rows from `from`, at most n. The caller's: dataset_rows_done. ERR_LIMIT where finding out how
 * many rows there are takes more than 256 MiB of text. */
bool dataset_rows(Hub *hub, const Repo *repo, Str sha, const DatasetLayout *layout,
                  const DatasetSplit *split, int64_t from, int64_t n, DatasetRows *out, Error *err);
void dataset_rows_done(DatasetRows *rows);
