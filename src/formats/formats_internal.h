/* What the parsers share with checkpoint.c. A parser checks every bound of `bytes` before it adds a
 * tensor, and copies names into the checkpoint's arena. */
#pragma once

#include "formats/checkpoint.h"
#include "formats/feed.h"

/* Of the checkpoint's lifetime. */
Arena *checkpoint_arena(Checkpoint *c) __attribute__((returns_nonnull));
/* Consumes nothing; copies t, whose name must already live as long as the checkpoint. ERR_INVALID
 * if the name is taken, ERR_LIMIT past a million tensors. */
bool checkpoint_add(Checkpoint *c, const StoredTensor *t, Error *err);
void checkpoint_set_gguf(Checkpoint *c, const Gguf *gguf);
/* Takes it over. */
void checkpoint_set_metadata(Checkpoint *c, json_t *metadata);

/* What a parser is given: the whole of a file, or its beginning where only the header is wanted. */
typedef struct Content {
    Str bytes;
    size_t size; // of the file; tensors have data only where all of it is here
    const char *name;
    bool ended; // set by a parser that failed because the header goes on behind the bytes
} Content;
bool safetensors_parse(Checkpoint *c, Content *content, Error *err);
bool gguf_parse(Checkpoint *c, Content *content, Error *err);

/* The number of values, or an error for a negative dimension or an overflow. */
bool dims_count(const int64_t *dims, int rank, int64_t *count, Error *err);

/* What a GGUF file's metadata say, in config.json's words. The caller's. */
json_t *gguf_config(const Checkpoint *c, Error *err);

/* Writes the bytes of one tensor at the descriptor's place, from t->data or as the feed gives them.
 */
bool feed_write(int fd, const StoredTensor *t, const TensorFeed *feed, Error *err);

/* The format allows 100 MB of header. JSON takes many times its length in memory, and the longest
 * header seen in the wild is below 2 MB, so we stop earlier. */
enum { SAFETENSORS_MAX_HEADER = 16 << 20, SAFETENSORS_TYPES = 22 };

typedef struct SafetensorsType {
    const char *name;
    int bits;
    DType type; // DTYPE_COUNT: we do not read it
} SafetensorsType;

/* In the reference library's order, narrowest first, which is also the writer's sort key. */
extern const SafetensorsType safetensors_types[SAFETENSORS_TYPES];
