/* What cached.c, cached_remove.c and cached_shared.c have in common; see cached.h. */
#pragma once

#include "fetch/cached.h"
#include "fetch/fetch_internal.h"

#include <limits.h>

/* Appends to a list of n; returns it, perhaps moved. */
const char **list_add_text(Arena *a, const char **items, size_t *n, const char *text);
void scan_add_scrap(CacheScan *scan, Arena *a, const char *path, bool shared);

/* Is there a shared store that bears its mark? */
bool shared_store_exists(Arena *a, const char *cache);
/* The content that a blob's link leads to, NULL if it is no link into the store. */
const char *shared_store_target(Arena *a, const char *cache, const char *blob);
/* Adds its sizes, and what nothing links to, to the scan. */
void shared_store_scan(CacheScan *scan, Arena *a);
/* Are all links to the content among those for which `doomed` says yes? */
bool shared_store_is_last(Arena *a, const char *cache, const char *target,
                          bool (*doomed)(const void *context, const char *blob),
                          const void *context);
/* Removes the content if nothing links to it any more; what cannot be told stays. */
void shared_store_sweep(Arena *a, const char *cache, const char *target);

/* Makes the blob a link to the store's content, if that is there and has the file's sha256. The
 * caller holds the blob's lock. */
bool shared_store_take(Arena *a, const char *cache, const char *blob, const RemoteFile *file);
/* Gives a blob that has just been fetched to the store, and leaves a link in its place. */
void shared_store_give(Arena *a, const char *cache, const char *blob, const RemoteFile *file);
