/* The large files that a repository was given by LFS or Xet, whether a commit names them now, only
 * an older one, or none: what it costs to keep, and the way to end some of them for good. Threads
 * and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

typedef struct LfsFile {
    Str sha256;
    Str path; // where it stands, or stood last; empty if no commit has it
    Str ref;  // "refs/heads/main": a branch that has it now; empty if none has
    int64_t size, given_ns;
} LfsFile;

typedef struct LfsQuery {
    Str after; // go on behind this sha256; empty: from the start
    size_t limit;
    bool largest_first; // and not by sha256; then there is no `after`
} LfsQuery;
bool lfs_file_list(Hub *hub, Arena *a, const Repo *repo, const LfsQuery *query, LfsFile **out,
                   size_t *n, Error *err);

/* How many there are, and how large they are together. */
bool lfs_file_total(Hub *hub, const Repo *repo, int64_t *n, int64_t *bytes, Error *err);

/* Ends these for this repository: it serves them no more, and content that no other repository was
 * given is deleted. With `rewrite` no commit of any ref names them any more either; otherwise
 * pointers to nothing are left. sha256 that it was not given are left out. ERR_INVALID. */
bool lfs_file_delete(Hub *hub, const Repo *repo, const Str *sha256, size_t n, bool rewrite,
                     Error *err);
