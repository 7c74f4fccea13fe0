/* Rows of a dataset's split, read where they lie: the files that dataset_layout.h finds, one behind
 * the other. Formats are those of tables/ (Parquet, CSV, JSON, text, WebDataset), and folders of
 * pictures, sounds and films, whose rows are their files with what metadata.csv says of them or
 * with the folder's name as a label. Others are ERR_UNSUPPORTED. Whoever calls has asked for
 * ACCESS_FILES and looked at the gate. */
#pragma once

#include "hub/dataset_layout.h"
#include "tables/table.h"

enum { DATASET_PAGE = 100 }; // the most rows at once

typedef struct SplitRead {
    const DatasetLayout *layout;
    const DatasetConfig *config;
    const DatasetSplit *split;
    int64_t from, n; // the rows that are wanted
    bool count;      // find out how many there are in all
    bool brief;      // of pictures and sounds the beginning will do: table_be_brief
    /* Called with some of the rows and their type; both are gone when it returns. At least once for
     * a split with files, if only for the type. */
    bool (*each)(void *user, const TableType *type, const TableRows *rows, Error *err);
    void *user;
    int64_t total; // answer: of the split; -1 unless it was counted
    bool more;     // answer: there are rows behind those that were given
} SplitRead;

/* True if split_read knows the layout's format. */
bool split_is_readable(const DatasetLayout *layout);
/* ERR_LIMIT where counting takes more than 256 MiB of text. */
bool split_read(Hub *hub, const Repo *repo, Str sha, SplitRead *read, Error *err);

/* ---- Columns that are more than a table's ---- */

/* The `dtype` of a column of files is "image", "audio" or "video", and a cell's text the file's
 * path in the repository. That of a label is "class_label": its names are the type's items, a cell
 * is an index into them. Parquet often holds the bytes themselves. */
typedef enum MediaKind { MEDIA_NONE, MEDIA_IMAGE, MEDIA_AUDIO, MEDIA_VIDEO } MediaKind;

/* "image", "audio", "video" */
const char *media_name(MediaKind kind);

typedef struct Media {
    MediaKind kind;
    const char *mime; // of what browsers show safely; NULL: they had better not
    Str path;         // of the file; empty: the bytes are in the row
    Str bytes;
} Media;

/* False for a cell that is neither a file nor bytes of a known kind. */
bool cell_media(const TableType *type, const Cell *cell, Media *out);
/* The dataset library's description of a column; `cell` is one of its values, or NULL. */
json_t *column_feature_json(const TableType *type, const Cell *cell);
