/* What lies in the cache that we share with huggingface_hub (fetch.h has its layout), and how to
 * remove some of it. Sizes, times and what counts as broken are as `hf cache` has them.
 *
 * Since huggingface_hub 2.4 a blob may be a link into a store that all repositories share:
 *
 *     HF_HUB_CACHE/blobs/.huggingface-shared-blobs    marks the store
 *     HF_HUB_CACHE/blobs/ab/XETHASH                   content
 *     HF_HUB_CACHE/blobs/ab/XETHASH.refs              the links to it, a line each
 *     HF_HUB_CACHE/blobs/ab/XETHASH.lock              held while these change
 *
 * Removing happens in an order in which nothing that stays ever points at nothing. */
#pragma once

#include "fetch/fetch.h"

typedef struct CachedFile {
    const char *name; // in the repository
    const char *path; // in the snapshot
    const char *blob; // what it links to: in the repository's blobs/, or path itself
    int64_t size;
    bool doomed; // to be removed
} CachedFile;

typedef struct CachedRevision {
    const char *commit, *path;
    const char **refs; // branches and tags, by name
    size_t n_refs;
    CachedFile *files;
    size_t n;
    int64_t size, changed_ns;
    bool doomed;
} CachedRevision;

typedef struct CachedRepo {
    FetchKind kind;
    const char *id, *path;
    CachedRevision *revisions; // by commit
    size_t n;
    int64_t size; // of its blobs, those of the shared store included
    int64_t used_ns, changed_ns;
} CachedRepo;

/* A download that was cut off, or content of the shared store that nothing links to. */
typedef struct CachedScrap {
    const char *path;
    int64_t size;
    bool shared;
} CachedScrap;

typedef struct CacheScan {
    const char *folder;
    CachedRepo *repos; // by kind and id
    size_t n;
    CachedScrap *scraps;
    size_t n_scraps;
    const char **warnings; // repositories that are not whole, and were left out
    size_t n_warnings;
    int64_t size; // on the disk: shared content once
} CacheScan;

/* folder NULL: the environment's. ERR_NOT_FOUND if there is none. */
bool cache_scan(CacheScan *scan, Arena *a, const char *folder, Error *err);
/* How many bytes go with all that is doomed. */
int64_t cache_doomed_size(const CacheScan *scan);
/* Removes what is doomed; a repository of which no revision stays goes whole. */
bool cache_remove_doomed(const CacheScan *scan, Error *err);
bool cache_remove_scraps(const CacheScan *scan, Error *err);

typedef struct CacheMismatch {
    const char *path, *expected, *actual, *algorithm; // "sha256" or "git-sha1"
} CacheMismatch;

/* A snapshot, or a plain folder, beside what the hub lists. */
typedef struct CacheCheck {
    const char *folder, *revision;
    size_t checked;
    CacheMismatch *mismatches;
    const char **missing, **extra;
    size_t n_mismatches, n_missing, n_extra;
} CacheCheck;
bool cache_verify(CacheCheck *check, Arena *a, const char *id, const FetchOptions *options,
                  Error *err);
