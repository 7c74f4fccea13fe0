/* What a place for blobs must offer: one row for each URL scheme; blobs.c checks oids, hashes and
 * compares, so a driver only moves bytes. */
#pragma once

#include "blobs/blobs.h"

enum { PATH_SIZE = 4096 };

/* Makes a file that a crash, or whoever opens the store next, clears: -1 on failure. */
int temp_file(const char *folder, char path[PATH_SIZE], Error *err);
/* Removes what nobody holds any more. */
bool temp_clear(const char *folder, Error *err);

/* From now on blobs may lie in this store as chunks; NULL: no more. */
struct Xet;
void blobs_join_xet(Blobs *b, struct Xet *x);
/* Deletes what lies whole of a blob that lies as chunks as well. */
bool blobs_drop_whole(Blobs *b, const char *oid, Error *err);

typedef struct BlobDriver {
    const char *scheme; // "file" of file://...; a bare path is "file" too
    void *(*open)(const char *place, Error *err);
    void (*close)(void *store);
    bool (*has)(void *store, const char *oid, int64_t *size);
    int (*open_blob)(void *store, const char *oid, int64_t *size, Error *err);
    const char *(*path)(void *store, const char *oid, Arena *a, Error *err);
    bool (*remove)(void *store, const char *oid, Error *err);
    bool (*each)(void *store, bool (*each)(void *user, const char *oid, int64_t size), void *user,
                 Error *err);
    // A sink takes bytes in order; nothing is visible before it is published under its name.
    void *(*sink_new)(void *store, int64_t size, Error *err);
    bool (*sink_add)(void *sink, const void *bytes, size_t n, Error *err);
    bool (*sink_publish)(void *sink, const char *oid, Error *err);
    void (*sink_free)(void *sink);
    bool (*part_write)(void *store, const char *name, int64_t offset, const void *bytes, size_t n,
                       Error *err);
    bool (*part_sync)(void *store, const char *name, Error *err);
    // Hashes by itself: the whole lies with the driver. is_stored: then it is dropped.
    bool (*parts_finish)(void *store, const char *name, const char *oid, int64_t size,
                         bool is_stored, Error *err);
} BlobDriver;

extern const BlobDriver blob_folder_driver;
