/* xet_chunk: where Xet cuts a file into chunks, and how a chunk is packed for a xorb. Client and
 * server cut alike: bytes that two files share become chunks that they share.
 * Threads: a cutter and a packer belong to one thread at a time. */
#pragma once

#include "base/memory.h"
#include "base/str.h"

enum {
    CHUNK_CUT_MIN = 8 << 10, // no cut before; the last chunk of a file may be shorter
    CHUNK_CUT_MAX = 128 << 10,
};

/* A chunk in the making; zeros are one that begins. */
typedef struct XetCutter {
    uint64_t hash;
    uint32_t n; // bytes so far
} XetCutter;

/* How many of these bytes, which follow those of earlier calls, belong to the chunk in the making.
 * *ends: it ends with them, and the next call begins another; else all of them belong to it. What
 * is in the making at the end of a file is its last chunk. */
size_t xet_cut(XetCutter *c, Str bytes, bool *ends);

/* Calls `chunk` for each chunk of a file that comes in pieces. */
typedef struct XetChunker XetChunker;
typedef bool XetChunk(void *user, Str raw, Error *err); // raw: borrowed during the call
XetChunker *xet_chunker_new(XetChunk *chunk, void *user) __attribute__((returns_nonnull));
void xet_chunker_free(XetChunker *c);
AUTO_FREE(XetChunker, xet_chunker_free)
bool xet_chunker_add(XetChunker *c, Str bytes, Error *err);
/* The last chunk. An empty file has none. */
bool xet_chunker_finish(XetChunker *c, Error *err);

/* Appends a chunk as xorbs have it, a header of 8 bytes and the bytes in whatever packing is
 * smallest: plain, LZ4, or LZ4 over bytes grouped by four. raw: 1 to CHUNK_CUT_MAX bytes. */
typedef struct XetPacker XetPacker;
XetPacker *xet_packer_new(void) __attribute__((returns_nonnull));
void xet_packer_free(XetPacker *p);
AUTO_FREE(XetPacker, xet_packer_free)
void xet_pack(XetPacker *p, Str raw, Buf *out);
