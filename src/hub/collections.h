/* Collections: lists of repositories and of other collections that somebody keeps, with notes. A
 * collection is named "owner/words-of-its-title-ID"; only the id at the end is looked at, so that
 * old names lead to it when the title changes. Private ones are for their owner and the members of
 * an owning organisation. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

typedef struct CollectionItem {
    Str id;     // of the item: 24 hex digits
    Str kind;   // "model", "dataset", "space" or "collection"
    Str target; // the repository's full name, or the collection's slug
    Str note;   // may be empty
    int64_t position;
} CollectionItem;

typedef struct Collection {
    Str id, slug; // slug: "owner/words-id"
    Str owner, owner_fullname;
    Str title, description, theme;
    bool is_private;
    int64_t position, updated_ns;
    const CollectionItem *items; // that the viewer may see, in order
    size_t n_items;
    Access access; // the viewer's
} Collection;

typedef struct CollectionChange {
    const Str *title, *description, *theme; // NULL: as it is
    const bool *is_private;
    const int64_t *position;
} CollectionChange;

/* owner: empty for the viewer. ERR_INVALID for a bad title (1 to 120 bytes), description (500) or
 * theme. */
bool collection_create(Hub *hub, Arena *a, const Viewer *viewer, Str owner,
                       const CollectionChange *with, Collection *out, Error *err);
/* ERR_NOT_FOUND, also for what the viewer may not see; ERR_DENIED, ERR_UNAUTHENTICATED. */
bool collection_find(Hub *hub, Arena *a, const Viewer *viewer, Str slug, Access need,
                     Collection *out, Error *err);

typedef struct CollectionQuery {
    Str owner;           // a name; empty: any
    Str item_kind, item; // those that hold this repository; empty: any
    Str search;          // in the title
    int64_t skip, limit; // limit: 1 to 100
} CollectionQuery;
/* The newest first; each with at most four items. *more: there are others. */
bool collection_list(Hub *hub, Arena *a, const Viewer *viewer, const CollectionQuery *query,
                     Collection **out, size_t *n, bool *more, Error *err);

bool collection_change(Hub *hub, const Collection *c, const CollectionChange *change, Error *err);
bool collection_delete(Hub *hub, const Collection *c, Error *err);
/* At the end. ERR_NOT_FOUND for what the viewer may not see, ERR_EXISTS when it is there. */
bool collection_add(Hub *hub, Arena *a, const Viewer *viewer, const Collection *c, Str kind,
                    Str target, Str note, Error *err);
/* note, position: NULL for as it is; others move aside. ERR_NOT_FOUND. */
bool collection_move(Hub *hub, Arena *a, const Collection *c, Str item, const Str *note,
                     const int64_t *position, Error *err);
bool collection_remove(Hub *hub, const Collection *c, Str item, Error *err);
