/* Bytes that lie anywhere, read a range at a time: what parsers take that need a part of a large
 * file, so that it may be in memory, on disk, or put together from chunks.
 * Threads: a ByteSource belongs to one thread at a time, unless what is behind it says more. */
#pragma once

#include "base/str.h"

typedef struct ByteSource {
    const char *name; // for messages; borrowed
    int64_t size;
    /* Exactly n bytes at offset; called with ranges inside the source only. */
    bool (*read)(void *context, void *out, size_t n, int64_t offset, Error *err);
    void *context;
} ByteSource;

/* ERR_INVALID for a range that passes the end. */
bool byte_source_read(const ByteSource *s, void *out, size_t n, int64_t offset, Error *err);
/* Bytes in memory, borrowed: `bytes` is its context and must stay where it is. */
ByteSource byte_source_of(const Str *bytes, const char *name);
