/* What the writers of checkpoint files share: where the bytes of a tensor come from.
 *
 * A tensor to be written is a StoredTensor with its name, type, dims, and size. Either `data` holds
 * its bytes, or `data` is NULL and the feed produces them while the file is being written, so that
 * a model larger than memory can be converted: only what `produce` holds at once is in memory.
 * Threads: a writer calls produce on its own thread, one tensor after the other. */
#pragma once

#include "base/progress.h"
#include "formats/checkpoint.h"

typedef struct TensorSink TensorSink;
/* Appends bytes of the tensor that is being produced; pieces may have any size. */
bool tensor_sink_add(TensorSink *s, const void *bytes, size_t n, Error *err);

typedef struct TensorFeed {
    /* Gives t's bytes to the sink, exactly t->size of them. May be NULL if every tensor has data.
     */
    bool (*produce)(const StoredTensor *t, TensorSink *sink, void *context, Error *err);
    void *context;
    Progress *progress; // is told of each byte of data written; NULL is fine
} TensorFeed;

/* Sets t->size from its type and dims. ERR_INVALID if rows are not whole blocks, ERR_LIMIT if it
 * overflows. */
bool stored_size(StoredTensor *t, Error *err);
