/* blobs: a store of files addressed by the sha256 of their bytes. A blob lies whole in a file of
 * its own, or as chunks that it shares with others (xet.h); who reads it need not know.
 *
 * Layout of the whole ones: `sha256/ab/cd/abcd...` (64 hex) and `temp/` beside it. A blob appears
 * by rename after its bytes were hashed, compared with what was promised and fsynced; so whatever
 * can be opened is whole, and a crash or a full disk leaves only files in `temp/`, which the next
 * blobs_open clears. Blobs are never changed; whoever counts references deletes them.
 * Threads: a Blobs may be shared by all; a BlobReader or BlobWriter belongs to one thread at a
 * time. Several processes may share one folder. */
#pragma once

#include "base/digest.h"
#include "base/memory.h"
#include "base/str.h"

enum { BLOB_HEX_SIZE = 2 * SHA256_SIZE + 1 };

typedef struct Blobs Blobs;

/* A folder's path, made when absent. Other URL schemes: ERR_UNSUPPORTED. */
Blobs *blobs_open(const char *url, Error *err);
void blobs_free(Blobs *b);
AUTO_FREE(Blobs, blobs_free)

/* 64 lower-case hex digits; everything below refuses any other oid with ERR_INVALID. */
bool blob_oid_check(Str oid, Error *err);

/* True when stored; *size (may be NULL) is its length. */
bool blobs_has(Blobs *b, const char *oid, int64_t *size);
/* Absent is fine. */
bool blobs_delete(Blobs *b, const char *oid, Error *err);
/* Calls each(user, oid, size) for all blobs that lie whole, in no order, until it returns false. */
bool blobs_each(Blobs *b, bool (*each)(void *user, const char *oid, int64_t size), void *user,
                Error *err);

/* ---- Reading ---- */

typedef struct BlobReader BlobReader;

/* ERR_NOT_FOUND; ERR_CORRUPT. What is open stays readable when the blob is deleted. */
BlobReader *blob_open(Blobs *b, const char *oid, Error *err);
void blob_close(BlobReader *r);
AUTO_FREE(BlobReader, blob_close)
int64_t blob_size(const BlobReader *r);
/* Exactly n bytes at offset. */
bool blob_read(BlobReader *r, void *out, size_t n, int64_t offset, Error *err);
/* The file of a blob that lies whole, from its first byte; -1 for others. Borrowed. */
int blob_fd(const BlobReader *r);
/* The same, but it is the caller's from now on. */
int blob_take_fd(BlobReader *r);
/* A file with these bytes at `path`, where nothing may be: another name of the blob's own file
 * where that can be had, else a copy, which is on the disk then. *copied (may be NULL) tells which.
 */
bool blobs_copy_to(Blobs *b, const char *oid, const char *path, bool *copied, Error *err);

/* ---- Writing ---- */

typedef struct BlobWriter BlobWriter;

/* oid NULL: whatever the bytes hash to; size -1: whatever comes. ERR_IO with ENOSPC when the disk
 * has no room for size. */
BlobWriter *blob_writer_new(Blobs *b, const char *oid, int64_t size, Error *err);
/* ERR_INVALID when more than the promised size comes, ERR_IO when the disk is full. */
bool blob_writer_add(BlobWriter *w, const void *bytes, size_t n, Error *err);
/* Verifies and publishes; out (may be NULL) gets the oid. ERR_INVALID names what differs. The
 * writer may then only be freed. */
bool blob_writer_finish(BlobWriter *w, char out[BLOB_HEX_SIZE], Error *err);
/* Drops what was not finished. NULL is fine. */
void blob_writer_free(BlobWriter *w);
AUTO_FREE(BlobWriter, blob_writer_free)

/* Whole bytes at once. */
bool blobs_put(Blobs *b, Str bytes, char out[BLOB_HEX_SIZE], Error *err);

/* ---- Uploads in parts ----
 * Parts of one blob come in any order, at the same time and over restarts; `name` (hex digits)
 * names the upload. An upload that nobody finished is cleared a day after its last part. */

/* Stores n bytes of the blob at offset; a part may be sent again. ERR_LIMIT past 10 TB. */
bool blobs_part_write(Blobs *b, const char *name, int64_t offset, const void *bytes, size_t n,
                      Error *err);
/* Makes the parts so far durable. */
bool blobs_part_sync(Blobs *b, const char *name, Error *err);
/* Verifies the whole against oid and size and publishes it, or drops it where the blob is stored
 * already: that is no reason to believe that whoever uploads has it. ERR_INVALID; ERR_NOT_FOUND
 * without any part, also when it was finished before. */
bool blobs_parts_finish(Blobs *b, const char *name, const char *oid, int64_t size, Error *err);
