/* git-lfs file locks: who works on a file that cannot be merged. A lock belongs to a repository, a
 * path and a ref; one without a ref holds on all of them. Locks bind nobody here: git-lfs looks at
 * them before it pushes and stops its user, as it does everywhere. Who may lock is the caller's to
 * ask of repo_find. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

typedef struct FileLock {
    Str id;    // 24 hex digits
    Str path;  // of a file that need not be there
    Str ref;   // "refs/heads/main"; empty: every one
    Str owner; // an account's name
    bool mine; // the viewer's
    int64_t locked_ns;
} FileLock;

typedef struct LockQuery {
    Str path, id;  // empty: any
    Str ref;       // those that hold on it; empty: all
    Str cursor;    // LockPage.next of the page before
    int64_t limit; // 1 to MAX_LOCKS_PAGE
} LockQuery;
enum { MAX_LOCKS_PAGE = 1000 };

typedef struct LockPage {
    FileLock *items; // in the order of their ids
    size_t n;
    Str next; // empty at the end
} LockPage;

/* ERR_EXISTS: *out is then the lock that holds already. ERR_INVALID for a path or ref that git
 * would not take, ERR_LIMIT past 10,000 in one repository. */
bool lock_create(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str path, Str ref,
                 FileLock *out, Error *err);
bool lock_list(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, const LockQuery *query,
               LockPage *out, Error *err);
/* *out is the lock as it was. Somebody else's takes `force`, and the right to administer the
 * repository. ERR_NOT_FOUND, ERR_DENIED. */
bool lock_remove(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str id, bool force,
                 FileLock *out, Error *err);
