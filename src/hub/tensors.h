/* What tensors a model's weights hold: names, types and shapes, read from the headers of their
 * files and from nothing else. Files are safetensors, GGUF, and an index
 * ("*.safetensors.index.json") that stands for all the files it names, as the first part of a GGUF
 * file stands for the others. */
#pragma once

#include "hub/hub.h"

typedef struct TensorInfo {
    Str name;
    Str dtype;           // "BF16", "Q4_K"; GGUF's number of one that nobody knows
    const int64_t *dims; // outermost first
    int rank;
    int64_t n;             // values
    int64_t bytes, offset; // where its data begins, behind its file's header
    size_t file;           // index into Tensors.files
} TensorInfo;

typedef struct TensorFile {
    Str path;
    const json_t *metadata; // __metadata__, or GGUF's values with long arrays as {"length": n}
} TensorFile;

typedef struct TensorType {
    Str dtype;
    int64_t tensors, n, bytes;
} TensorType;

typedef struct Tensors {
    Str format;        // "safetensors" or "gguf"
    TensorInfo *items; // file by file, in their order there
    size_t n;
    TensorFile *files;
    size_t n_files;
    const json_t *index; // an index's own metadata; NULL if there is none
    TensorType *types;   // what there is of each dtype, the most bytes first
    size_t n_types;
    int64_t total, bytes; // values and bytes of all
} Tensors;

/* Does a file of this name hold tensors, or say which files do? */
bool tensors_in(Str path);
/* The file that speaks for a model's weights: model.safetensors, its index, else the first .gguf,
 * else the first .safetensors; empty if there is none. */
Str tensors_of_model(const RepoInfo *info);
/* Borrowed until the arena goes. ERR_NO_ENTRY for a file that is not there, ERR_UNSUPPORTED for one
 * without tensors; ERR_INVALID and ERR_LIMIT name the file and what is wrong with it. */
bool tensors_read(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, const Tensors **out,
                  Error *err);
