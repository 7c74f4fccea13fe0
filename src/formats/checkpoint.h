/* A checkpoint: named tensors that lie in mapped files, whatever the files' format.
 *
 * Open it, look tensors up by name, read their bytes where they lie; nothing is copied or
 * converted. To add a format: write its parser (bytes in, checkpoint_add out) and a row in
 * checkpoint.c. The files are only read, but they must not be truncated while the checkpoint is
 * open. Threads: an open checkpoint is immutable and may be shared. */
#pragma once

#include "base/dtype.h"
#include "base/json.h"
#include "base/source.h"

enum { STORED_MAX_RANK = 8 };

typedef struct StoredTensor {
    const char *name;
    DType type;          // meaningless when foreign is set
    const char *foreign; // the format's name of a type that we cannot read, else NULL
    int rank;
    int64_t dims[STORED_MAX_RANK]; // outermost first
    const void *data;              // borrowed from the checkpoint; any alignment
    size_t size;                   // bytes
    size_t offset;                 // of a tensor that was read: where it begins behind the header
} StoredTensor;

typedef struct Checkpoint Checkpoint;
typedef struct Gguf Gguf;

/* path is a folder (model.safetensors, else model.safetensors.index.json with its shards, else its
 * only .gguf file), a .safetensors file or a .gguf file (of one in parts, the first). Every offset
 * is checked here once, so that readers need not. ERR_INVALID names the file and the tensor or
 * offset. */
Checkpoint *checkpoint_open(const char *path, Error *err);
/* The same from bytes that outlive the checkpoint; `name` stands for the file in messages. */
Checkpoint *checkpoint_of_bytes(Str bytes, const char *name, Error *err);
/* Names, types and shapes alone, of one file: nothing but its header is read, and `data` is NULL.
 * Parts of a GGUF file are read each by itself. ERR_LIMIT for a header of more than 64 MiB. */
Checkpoint *checkpoint_of_header(const ByteSource *file, Error *err);
void checkpoint_free(Checkpoint *c);
AUTO_FREE(Checkpoint, checkpoint_free)

size_t checkpoint_count(const Checkpoint *c);
/* In the order of the file; i < checkpoint_count. */
const StoredTensor *checkpoint_at(const Checkpoint *c, size_t i);
const StoredTensor *checkpoint_find(const Checkpoint *c, Str name); // NULL if absent

/* The folder that holds the files: "." at the least. */
const char *checkpoint_folder(const Checkpoint *c);
/* Whether these bytes lie in a file that the checkpoint has mapped: their pages come back from it.
 */
bool checkpoint_maps(const Checkpoint *c, const void *bytes, size_t n);
/* The "__metadata__" of a safetensors file, an object of strings; NULL if it has none. */
const json_t *checkpoint_metadata(const Checkpoint *c);
/* The metadata of a GGUF file, NULL for other formats; see formats/gguf.h. */
const Gguf *checkpoint_gguf(const Checkpoint *c);
/* The model's configuration in the spelling of config.json: that file beside the weights, or what
 * a GGUF file's metadata say. The caller's. ERR_NOT_FOUND without a config.json. */
json_t *checkpoint_config(const Checkpoint *c, Error *err);

/* "[64,128]" into out, for messages; returns out. */
const char *dims_format(const int64_t *dims, int rank, char *out, size_t size);
