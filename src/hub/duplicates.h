/* A repository made of another one, on the hub itself: branches and tags with their whole history,
 * and the large files that they name, which are shared and not copied. Discussions, pull requests,
 * likes and whatever was uploaded but never committed stay behind. Threads and memory are as in
 * hub.h. */
#pragma once

#include "hub/hub.h"

typedef struct Duplicate {
    Str to;                 // "owner/name"
    const bool *is_private; // NULL: as the other one is
} Duplicate;

/* `from` must be open to the viewer with its files (ACCESS_FILES). A copy of a gated repository is
 * gated, and what is hidden becomes public only by those who may make it public where it is:
 * ERR_DENIED, as for those who may make no repository in that namespace. ERR_EXISTS as repo_create.
 */
bool repo_duplicate(Hub *hub, Arena *a, const Viewer *viewer, const Repo *from,
                    const Duplicate *params, Repo *out, Error *err);
