/* What the files of git/ share: the open repository and libgit2's errors in our words. */
#pragma once

#include <git2.h> // before ours: it has a field named as a function that base/banned.h refuses

#include "git/git.h"

struct GitRepo {
    git_repository *git;
    char *path;
    char *fresh; // folder of objects that are not durable yet; NULL before the first
};

/* Before writing an object; and before a ref names what was written. See fresh.c. */
bool fresh_open(GitRepo *r, Error *err);
bool fresh_settle(GitRepo *r, Error *err);
void fresh_done(GitRepo *r);

#define AUTO_GIT(type, free_function) __attribute__((cleanup(free_function##_owned))) type
#define OWNED_GIT(type, free_function)                                                             \
    __attribute__((unused)) static inline void free_function##_owned(type **owned)                 \
    {                                                                                              \
        free_function(*owned);                                                                     \
    }
OWNED_GIT(git_blob, git_blob_free)
OWNED_GIT(git_commit, git_commit_free)
OWNED_GIT(git_diff, git_diff_free)
OWNED_GIT(git_object, git_object_free)
OWNED_GIT(git_odb, git_odb_free)
OWNED_GIT(git_odb_object, git_odb_object_free)
OWNED_GIT(git_patch, git_patch_free)
OWNED_GIT(git_reference, git_reference_free)
OWNED_GIT(git_revwalk, git_revwalk_free)
OWNED_GIT(git_signature, git_signature_free)
OWNED_GIT(git_transaction, git_transaction_free)
OWNED_GIT(git_tree, git_tree_free)
OWNED_GIT(git_tree_entry, git_tree_entry_free)
OWNED_GIT(git_treebuilder, git_treebuilder_free)

/* Raises libgit2's last error behind our words. `status` is what the call returned. */
#define fail_git(err, status, ...) git_raise((err), (status), __FILE__, __LINE__, __VA_ARGS__)
void *git_raise(Error *err, int status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6), warn_unused_result));

/* libgit2 starts once for the process, with our options. */
void git_library_start(void);

bool hex_to_oid(const char *hex, git_oid *out, Error *err);
static inline void oid_to_hex(const git_oid *oid, char hex[GIT_HEX_SIZE])
{
    git_oid_tostr(hex, GIT_HEX_SIZE, oid);
}

/* The tree of a commit; the caller frees both objects. */
git_commit *commit_of(GitRepo *r, const char *hex, Error *err);
git_tree *tree_of(GitRepo *r, const char *commit_hex, Error *err);
/* The entry at a path, owned; NULL and ERR_NO_ENTRY when absent. Not for the root. */
git_tree_entry *tree_entry_at(git_tree *root, Str path, Error *err);

/* Sizes, and the git-lfs pointer that a small blob may be; the path is kept as it is. */
bool entry_fill(git_odb *odb, const git_tree_entry *entry, Str path, GitEntry *out, Error *err);

/* A ref under its lock file: read it, decide, then move it. */
typedef struct RefLock {
    GitRepo *repo;
    const char *ref;
    int fd; // of the lock file, -1 without one
    bool exists;
    git_oid now; // where it points, peeled to a commit, when it exists
} RefLock;
bool ref_lock(RefLock *lock, GitRepo *r, const char *ref, Error *err);
/* Makes all new objects durable, then the ref. ERR_EXISTS when another ref is in the way as a
 * folder. */
bool ref_lock_move(RefLock *lock, const git_oid *to, Error *err);
void ref_lock_done(RefLock *lock);
#define AUTO_LOCK __attribute__((cleanup(ref_lock_done))) RefLock
#define NO_LOCK                                                                                    \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

git_signature *signature_of(GitPerson person, Error *err);
/* A commit object with one parent, or none; no ref names it yet. */
bool commit_write(GitRepo *r, const git_oid *tree, const git_oid *parent, Str message,
                  GitPerson author, GitPerson committer, git_oid *out, Error *err);
void commit_fill(git_commit *commit, Arena *a, GitCommit *out);
