/* The bytes of a file of a revision, wherever they are kept, for parsers that need some of them: a
 * ByteSource over git's copy of a small file, or over a blob.
 *
 *     AUTO_CONTENT file = {0};
 *     if (!content_open(hub, arena, repo, sha, entry, &file, err)) ...
 *     Table *t = table_open(&file.source, TABLE_CSV, err);
 *
 * Whoever calls has asked for ACCESS_FILES and looked at the gate. */
#pragma once

#include "base/source.h"
#include "hub/hub.h"

typedef struct FileContent {
    ByteSource source;       // points into this struct, so that is not moved
    struct BlobReader *blob; // NULL: bytes
    Str bytes;
} FileContent;
#define AUTO_CONTENT __attribute__((cleanup(content_close))) FileContent

/* ERR_NOT_FOUND for LFS content that the repository was never given, ERR_LIMIT for a file of more
 * than 16 MiB in git. The arena keeps what is in memory. */
bool content_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                  FileContent *out, Error *err);
void content_close(FileContent *file);
