/* Folders of pictures, sounds or films as tables; for dataset_rows.c. As the dataset library has
 * it: where metadata.csv, .jsonl or .parquet are, their rows are the rows, and the columns
 * "file_name" and "x_file_name" become files; else each file is a row, labelled with its folder
 * where all lie equally deep in more than one. */
#pragma once

#include "hub/dataset_rows.h"

typedef struct Folder {
    MediaKind kind;
    const DatasetSplit *split;
    bool has_metadata;
    Str *labels; // sorted; none where there are no labels
    size_t n_labels;
} Folder;

/* MEDIA_NONE for a layout of another format. */
MediaKind folder_kind(const DatasetLayout *layout);
Folder folder_of(Arena *a, const DatasetLayout *layout, const DatasetConfig *config,
                 const DatasetSplit *split);
/* False for a file that is no metadata. */
bool folder_metadata_format(Str path, TableFormat *out);
/* The type of rows of a metadata file, in which names of files are files; the rows' cells become
 * paths of the repository. ERR_INVALID for a name that leads out of the folder. */
const TableType *folder_type(const Folder *f, const TableType *type, Str metadata, TableRows *rows,
                             Arena *a, Error *err);
/* The rows of a folder without metadata. */
bool folder_read(const Folder *f, SplitRead *read, Arena *a, Error *err);
