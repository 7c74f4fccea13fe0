/* git: bare repositories as the hub needs them, over libgit2 for objects and refs.
 *
 * A commit is named by 40 lower-case hex digits everywhere; a revision (branch, tag, full or short
 * sha, refs/...) becomes one by git_repo_resolve. Paths inside a tree are UTF-8 without leading or
 * trailing slash; the root folder is the empty path.
 *
 * Durability: every object is on disk before a ref names it, and the ref before the call returns
 * true. Refs move by compare-and-swap, with the same lock files that the `git` program takes, so
 * pushes and commits from here may meet on one repository.
 * Threads: a GitRepo belongs to one thread at a time; opening one is cheap (open it per request),
 * and any number may be open on one path. Functions without a GitRepo are free of state. */
#pragma once

#include "base/memory.h"
#include "base/str.h"

enum {
    GIT_HEX_SIZE = 41,     // 40 hex digits and the end
    GIT_LFS_HEX_SIZE = 65, // sha256 in hex and the end
};

/* ---- Repositories ---- */

typedef struct GitRepo GitRepo;

/* Makes an empty bare repository whose HEAD names `branch` ("main"). ERR_EXISTS. */
bool git_repo_create(const char *path, const char *branch, Error *err);
/* ERR_NOT_FOUND when there is none. */
GitRepo *git_repo_open(const char *path, Error *err);
void git_repo_free(GitRepo *r);
AUTO_FREE(GitRepo, git_repo_free)
/* The folder, as it was given to git_repo_open. */
const char *git_repo_path(const GitRepo *r);
/* Gone at once (it is renamed first), its bytes a little later. ERR_NOT_FOUND. */
bool git_repo_delete(const char *path, Error *err);
/* ERR_EXISTS when something has the new name. Makes the folders above it. */
bool git_repo_move(const char *from, const char *to, Error *err);

/* Brings all that the branches and tags of one repository reach into another, with these refs; what
 * lies in neither stays behind. Takes its time. */
bool git_repo_copy(const char *from, const char *into, Error *err);

/* Removes lock files and half pushes that a killed process left behind. Moves from here do that by
 * themselves; call it before the `git` program is given the repository. */
void git_repo_break_locks(const char *path);

/* The environment in which the hub runs the git program: its own alone, nobody's configuration, no
 * prompts. settings: git's own, "name=value"; variables: "NAME=value"; both end with NULL, or are
 * NULL. The list ends with NULL and lives in the arena, except the variables, which are borrowed.
 */
const char *const *git_environment(Arena *a, const char *const *settings,
                                   const char *const *variables);

/* True once so many packs or loose objects have piled up that reading gets slow. A quick look. */
bool git_repo_needs_care(const char *path);
/* Rolls them up. Takes its time; safe beside anything else. */
bool git_repo_care(const char *path, Error *err);

/* ---- Revisions and refs ---- */

/* Branch, tag (peeled), full ref name, full sha, or at least 7 digits of one, in this order; "HEAD"
 * and the empty string are the default branch. ERR_NO_REVISION: "Invalid rev id: xyz". */
bool git_repo_resolve(GitRepo *r, Str revision, char commit[GIT_HEX_SIZE], Error *err);

typedef struct GitRef {
    Str name;                  // "refs/heads/main"
    Str short_name;            // "main"; of refs/pr/3: "3"
    char commit[GIT_HEX_SIZE]; // annotated tags are peeled
} GitRef;
typedef struct GitRefs {
    GitRef *items;
    size_t n;
} GitRefs;
/* All refs that begin with `prefix` ("refs/heads/"), in order of name. */
bool git_repo_refs(GitRepo *r, const char *prefix, Arena *a, GitRefs *out, Error *err);
/* The commit that a full ref name points to. ERR_NO_REVISION. */
bool git_ref_read(GitRepo *r, const char *ref, char commit[GIT_HEX_SIZE], Error *err);
/* "refs/heads/x": what git allows as a ref name. ERR_INVALID says why not. */
bool git_ref_check(Str ref, Error *err);
/* Creates a ref. ERR_EXISTS "Reference refs/heads/x already exists", ERR_INVALID. */
bool git_ref_create(GitRepo *r, const char *ref, const char *commit, Error *err);
/* Moves a ref from `expected` (40 hex; NULL: wherever it is, or is not). ERR_STALE. */
bool git_ref_update(GitRepo *r, const char *ref, const char *commit, const char *expected,
                    Error *err);
/* ERR_NO_REVISION; ERR_CONFLICT for the branch that HEAD names: "Cannot delete refs/heads/main". */
bool git_ref_delete(GitRepo *r, const char *ref, Error *err);

typedef struct GitPerson {
    Str name, email;
    int64_t wall_ns; // 0: now
} GitPerson;

/* With a message an annotated tag, else a plain ref. ERR_EXISTS. */
bool git_tag_make(GitRepo *r, const char *name, const char *commit, Str message, GitPerson tagger,
                  Error *err);

/* ---- Trees and blobs ---- */

typedef struct GitEntry {
    Str path; // from the root
    bool is_folder;
    bool is_lfs;            // the blob is a git-lfs pointer; the lfs_ fields are filled
    uint32_t mode;          // 0100644, 0100755, 0120000 (link), 0160000 (submodule), 040000
    char oid[GIT_HEX_SIZE]; // of the tree or blob; of the pointer blob for LFS
    int64_t size;           // what a download gives: an LFS file's real size; 0 for folders
    int64_t blob_size;      // of the blob itself: of the pointer for LFS
    char lfs_oid[GIT_LFS_HEX_SIZE];
} GitEntry;
typedef struct GitEntries {
    GitEntry *items;
    size_t n;
    bool more; // `limit` cut it short: ask again with after = the last item's path
} GitEntries;

typedef struct GitListParams {
    const char *commit;
    Str folder;     // empty: the root
    bool recursive; // folders are listed too, each before what is in it
    Str after;      // go on behind this path; empty: from the start
    size_t limit;   // 0: 100,000
} GitListParams;
/* ERR_NO_ENTRY when the folder is missing or is a file. */
bool git_repo_list(GitRepo *r, const GitListParams *p, Arena *a, GitEntries *out, Error *err);
/* One file or folder. ERR_NO_ENTRY when the path is absent. */
bool git_repo_entry(GitRepo *r, const char *commit, Str path, Arena *a, GitEntry *out, Error *err);

/* Appends a blob; ERR_LIMIT when it passes the buffer's limit. */
bool git_blob_read(GitRepo *r, const char *oid, Buf *out, Error *err);
/* Appends the blob at a path of a commit (of an LFS file: its pointer). ERR_NO_ENTRY. */
bool git_repo_read(GitRepo *r, const char *commit, Str path, Buf *out, Error *err);
/* Stores a blob and gives its oid. It can be read, and named by a commit, through this GitRepo only
 * until one of its commits is made; without one it goes when the GitRepo is freed. */
bool git_blob_write(GitRepo *r, Str bytes, char oid[GIT_HEX_SIZE], Error *err);
/* As git_blob_write, from `size` bytes at the front of a file; never whole in memory. */
bool git_blob_write_fd(GitRepo *r, int fd, int64_t size, char oid[GIT_HEX_SIZE], Error *err);
/* The sha1 that git gives to a blob of these bytes; nothing is stored. */
void git_blob_oid(Str bytes, char oid[GIT_HEX_SIZE]);

/* git-lfs pointers: the three lines "version ...", "oid sha256:...", "size N". */
typedef struct GitLfsPointer {
    char oid[GIT_LFS_HEX_SIZE];
    int64_t size;
} GitLfsPointer;
bool git_lfs_parse(Str text, GitLfsPointer *out); // false: not a pointer
void git_lfs_format(Buf *out, const char *oid, int64_t size);

/* ---- Commits ---- */

/* A path that may stand in a tree: path_is_safe, and no part that git or a file system would take
 * for ".git" (any case, with HFS's ignorable characters, NTFS's "git~1", trailing dots, streams).
 * ERR_INVALID. */
bool git_path_check(Str path, Error *err);

typedef enum GitOpKind {
    GITOP_PUT,           // path becomes blob `oid`; a file or folder that is there is replaced
    GITOP_DELETE_FILE,   // or folder. ERR_NO_ENTRY: A file with the name "x" does not exist
    GITOP_DELETE_FOLDER, // likewise
    GITOP_COPY,          // path becomes what source_path is in source_commit (file or folder)
} GitOpKind;

typedef struct GitOp {
    GitOpKind kind;
    Str path;
    char oid[GIT_HEX_SIZE];           // GITOP_PUT: from git_blob_write
    uint32_t mode;                    // GITOP_PUT: 0 keeps the old file's, or 0100644
    Str source_path;                  // GITOP_COPY
    char source_commit[GIT_HEX_SIZE]; // GITOP_COPY; empty: the parent
} GitOp;

typedef struct GitCommitParams {
    const char *ref;    // full name: "refs/heads/main", "refs/pr/3"
    const char *parent; // 40 hex: the ref must be here, else ERR_STALE; NULL: on top of whatever
                        // is there, tried again when somebody else was faster
    const char *base;   // 40 hex: the ref must not exist (ERR_EXISTS) and begins here; or NULL
    Str message;        // title, blank line, body
    GitPerson author, committer; // a committer without a name is the author
    const GitOp *ops;            // in order: the last one on a path wins
    size_t n_ops;
    bool allow_empty; // without it a commit that changes nothing makes none and gives the parent
} GitCommitParams;

/* One atomic commit. A ref without a commit gets a root commit. Once it returns true the commit
 * survives a crash. ERR_STALE, ERR_INVALID (path, file in the way of a folder), ERR_NO_ENTRY,
 * ERR_BUSY when the ref stays locked for ten seconds. */
bool git_repo_commit(GitRepo *r, const GitCommitParams *p, char commit[GIT_HEX_SIZE], Error *err);
/* The ref becomes one root commit with the same tree. ERR_NO_REVISION. */
bool git_repo_squash(GitRepo *r, const char *ref, Str message, GitPerson author,
                     char commit[GIT_HEX_SIZE], Error *err);

/* Every ref's history without the files that are these blobs, at whatever path: commits that have
 * them, and those behind, are made anew, with their authors, dates and messages. Takes its time. */
bool git_repo_forget(GitRepo *r, const char (*blobs)[GIT_HEX_SIZE], size_t n, Error *err);
/* Where each of these blobs stands, in the newest of the last `most` commits that has it; an empty
 * path for those that are in none. `paths` is an array of n. */
bool git_repo_names(GitRepo *r, const char (*blobs)[GIT_HEX_SIZE], size_t n, size_t most, Arena *a,
                    Str *paths, Error *err);

typedef struct GitMergeParams {
    const char *ref;  // that the changes go to: "refs/heads/main"
    const char *from; // 40 hex: the newest of the commits to bring in
    Str message;
    GitPerson author, committer;
} GitMergeParams;
/* What `from` changed since it left ref, as one commit on top of it. ERR_CONFLICT where both sides
 * changed a file in ways that do not go together, ERR_INVALID when there is nothing to merge. */
bool git_repo_merge(GitRepo *r, const GitMergeParams *p, char commit[GIT_HEX_SIZE], Error *err);
/* The files (at most 1,000) that keep two commits from being merged; none: they can be. */
bool git_repo_conflicts(GitRepo *r, const char *into, const char *from, Arena *a, Str **paths,
                        size_t *n, Error *err);
/* The newest commit that both reach. ERR_NO_REVISION if they have no history in common. */
bool git_repo_merge_base(GitRepo *r, const char *one, const char *two, char commit[GIT_HEX_SIZE],
                         Error *err);

typedef struct GitCommit {
    char id[GIT_HEX_SIZE], tree[GIT_HEX_SIZE];
    char (*parents)[GIT_HEX_SIZE];
    size_t n_parents;
    Str title, body; // of the message; the body without the blank line
    Str author_name, author_email, committer_name, committer_email;
    int64_t author_ns, committer_ns; // wall clock
} GitCommit;

bool git_commit_read(GitRepo *r, const char *id, Arena *a, GitCommit *out, Error *err);

typedef struct GitLogParams {
    const char *start;
    const char *hide; // leave out what this commit reaches; NULL: nothing
    Str path;         // only commits that changed this file or folder; empty: all
    size_t skip, limit;
    bool count; // fill `total`
} GitLogParams;
typedef struct GitLog {
    GitCommit *items; // newest first
    size_t n;
    size_t total; // all that match, however many were asked for; at most 1,000,000
    bool more;
} GitLog;
bool git_repo_log(GitRepo *r, const GitLogParams *p, Arena *a, GitLog *out, Error *err);
/* True when `ancestor` is reached from `commit` or equals it. */
bool git_repo_is_ancestor(GitRepo *r, const char *ancestor, const char *commit, bool *yes,
                          Error *err);
/* For each entry the newest commit behind `commit` that changed it; out is an array of entries->n.
 * An id stays empty when the search passed 20,000 commits. */
bool git_repo_last_commits(GitRepo *r, const char *commit, const GitEntries *entries, Arena *a,
                           GitCommit **out, Error *err);

/* ---- Pushes ---- */

/* As git_repo_open, and finds objects in one more folder: where the git program keeps what is being
 * pushed until the push is accepted. */
GitRepo *git_repo_open_with(const char *path, const char *objects, Error *err);
/* Calls each for every file that the commits behind `sha` (a commit or an annotated tag) add or
 * change and that no ref reaches yet; the entry is borrowed. Stops with the error that `each`
 * gives. ERR_INVALID when sha is no commit. */
bool git_repo_new_files(GitRepo *r, const char *sha,
                        bool (*each)(void *user, const GitEntry *entry, Error *err), void *user,
                        Error *err);

/* ---- Differences ---- */

typedef struct GitDiffLine {
    char kind;          // ' ', '+', '-', or '\\' for "no newline at end of file"
    int old_no, new_no; // 1-based, -1 where the line is not in that file
    Str text;           // without the line's end
} GitDiffLine;
typedef struct GitDiffHunk {
    Str header; // "@@ -1,3 +1,4 @@ ..."
    GitDiffLine *lines;
    size_t n;
} GitDiffHunk;
typedef struct GitDiffFile {
    char status; // 'A' added, 'D' deleted, 'M' modified, 'R' renamed, 'T' changed type
    bool binary;
    bool cut; // too large to show: no or fewer hunks
    Str old_path, new_path;
    char old_oid[GIT_HEX_SIZE], new_oid[GIT_HEX_SIZE];
    int64_t old_size, new_size;
    size_t added, removed; // lines
    GitDiffHunk *hunks;
    size_t n;
} GitDiffFile;
typedef struct GitDiff {
    GitDiffFile *files;
    size_t n;
    size_t n_changed; // files that differ; more than n when cut
} GitDiff;

/* From one commit's tree to another's; from NULL: from the empty tree. At most 300 files, 3,000
 * lines a file and 20,000 in all; what is cut says so. */
bool git_repo_diff(GitRepo *r, const char *from, const char *to, Arena *a, GitDiff *out,
                   Error *err);
/* The same as unified diff text; ERR_LIMIT when it passes the buffer's limit. */
bool git_repo_diff_text(GitRepo *r, const char *from, const char *to, Buf *out, Error *err);
