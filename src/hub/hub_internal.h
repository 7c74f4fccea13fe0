/* What the hub's files share: the Hub itself, its caches, and small helpers. */
#pragma once

#include "base/map.h"
#include "base/rate.h"
#include "blobs/blobs.h"
#include "blobs/xet.h"
#include "git/git.h"
#include "hub/cache.h"
#include "hub/hub_sql.h"

#include <pthread.h>

typedef struct DownloadCounter DownloadCounter;
typedef struct Sweep Sweep;
typedef struct Webhooks Webhooks;
typedef struct Absorber Absorber;

struct Hub {
    Db *db;
    Blobs *blobs;
    Xet *xet;
    char *data;
    uint8_t secret[32];
    Cache *infos;                  // Snapshots of commits
    Cache *texts;                  // small blobs of git
    Cache *lookups;                // rows, by lookup_key
    RateTable *failures, *signups; // of log-ins; of new accounts by address
    DownloadCounter *downloads;
    Sweep *sweep;
    Webhooks *webhooks;
    Absorber *absorber;
};

/* ---- hub.c ---- */

/* 24 hex digits, beginning with the time: ids sort by age. */
Str id_new(Arena *a);
/* By which names of accounts and repositories are compared and looked up: in ASCII lower case. */
Str name_key(Arena *a, Str name);
/* sha256 in hex: how secrets are stored. */
Str secret_hash(Arena *a, Str secret);
/* A key under which what was read from the database may be kept: it changes with every commit of
 * this process, and each second, for the sake of other processes. Take it before reading. */
Str lookup_key(const Hub *hub, Arena *a, const char *what, Str name);
const char *repo_git_dir(const Hub *hub, Arena *a, Str id);

/* ---- account.c ---- */

/* ERR_UNAUTHENTICATED, the same for an unknown name and a wrong password; ERR_RATE. */
bool password_check(Hub *hub, Arena *a, Str address, Str name, Str password, Account *out,
                    Error *err);
enum { FAILURES_WINDOW_S = 600, SIGNUPS_WINDOW_S = 3600, RATE_KEYS = 16384 };

/* name_check, and none of the hub's own words. */
bool account_name_check(Str name, Error *err);
/* Nobody has the name now, or had it before they took another; but for the account of this id.
 * For the transaction that takes it. ERR_EXISTS */
bool account_name_is_free(Conn *c, Arena *a, Str name, Str id, Error *err);
/* ERR_INVALID: a text that an account shows has at most 500 bytes of UTF-8 without control
 * characters; an e-mail address may be empty. */
bool field_check(const char *what, Str value, Error *err);
bool email_check(Str email, Error *err);

/* ---- downloads.c ---- */

DownloadCounter *downloads_new(Db *db, Error *err);
/* Writes what is left. */
void downloads_free(DownloadCounter *d);

/* ---- grants.c ---- */

/* Deletes those of these blobs that no repository needs any more. */
bool blobs_release(Hub *hub, const Str *oids, size_t n, Error *err);

/* ---- sweep.c: puts right what a crash left, once after the start, in a thread of its own ---- */

Sweep *sweep_start(Hub *hub);
void sweep_stop(Sweep *s);

/* ---- absorb.c: blobs that came whole are cut into chunks, in a thread of its own ---- */

Absorber *absorber_start(Hub *hub);
void absorber_stop(Absorber *ab);
/* Never waits. NULL is fine. */
void absorber_add(Absorber *ab, Str sha256, int64_t size);

/* ---- info.c: what is known of a commit, shared ---- */

/* Everything about one commit: its entries by path, and the RepoInfo. Its key is the repository's
 * id and the commit; neither changes, so neither does the snapshot. */
typedef struct Snapshot {
    Cached cached;
    Arena *arena;
    RepoTree tree; // all entries, recursive, folders too
    Map by_path;   // to RepoEntry
    RepoInfo info;
} Snapshot;

/* The snapshot of a commit, kept until the arena goes. */
const Snapshot *snapshot_get(Hub *hub, Arena *a, const Repo *repo, const char *commit, Error *err);
/* What repo_index writes: a newer number has every repository looked at again. */
enum { INDEX_VERSION = 2 };
/* Looks at the default branch's head and updates what lists show. */
bool repo_index(Hub *hub, const Repo *repo, Error *err);
/* "refs/heads/main" moved, or some other ref: looks at the head and tells who watches. */
bool repo_moved(Hub *hub, const Repo *repo, const char *ref, const char *from, const char *to,
                Error *err);
/* A commit was made on the ref, which came from its first parent: what was read before may be old,
 * if there was a race. */
bool repo_committed(Hub *hub, const Repo *repo, const char *ref, const char *commit, Error *err);

/* ---- search.c ---- */

/* What full-text search knows of a revision. */
void search_doc(Hub *hub, Arena *a, const Repo *repo, const RepoInfo *info, SearchDoc *out);

/* ---- facts.c: tags, task, library and excerpts from a commit's card and files ---- */

/* Fills info from the snapshot's tree. Unreadable cards and configurations are left out. */
void facts_collect(Hub *hub, GitRepo *git, const Repo *repo, Snapshot *s);

/* ---- tensors.c ---- */

struct Checkpoint;
struct Tensors;
enum { WEIGHTS_HEADERS = 512 << 20 };
/* The names and shapes in a file of weights, the caller's; *left is what may still be read of
 * headers. */
struct Checkpoint *weights_header(Hub *hub, const Repo *repo, Str sha, const RepoEntry *entry,
                                  int64_t *left, Error *err);
/* tensors_read of a snapshot, also of one in the making whose tree is known. */
bool tensors_of_snapshot(Hub *hub, Arena *a, const Repo *repo, const Snapshot *s, Str path,
                         const struct Tensors **out, Error *err);

/* ---- evals.c: what a model's .eval_results/ say ---- */

/* Fills info.eval_results and gives each dataset that they name to `each`. */
void evals_collect(GitRepo *git, Snapshot *s, void (*each)(void *user, Str dataset), void *user);

/* ---- files.c ---- */

GitRepo *repo_git_open(const Repo *repo, Error *err);
bool git_revision(GitRepo *git, Str rev, char commit[GIT_HEX_SIZE], Error *err);
/* Removes the engine's folders of a repository. */
bool snapshots_remove(Hub *hub, Str repo_id, Error *err);
/* Whom commits name. */
GitPerson person_of(Arena *a, const Viewer *viewer);

/* ---- discussion.c: pull requests, for change.c ---- */

/* A number for one whose ref is about to be made. */
bool pull_number(Hub *hub, const Repo *repo, int64_t *num, Error *err);
/* Stores one whose ref is there, at `head`: d has number, title and base. */
bool pull_store(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Discussion *d,
                Str description, Str head, Error *err);

/* ---- history.c ---- */

/* "refs/heads/x": removed, and those who watch are told. Errors are git_ref_delete's. */
bool repo_ref_delete(Hub *hub, const Repo *repo, const char *ref, Error *err);

/* ---- removal.c ---- */

/* Removes what is on the list, or some of it: the sweep comes back. What fails stays on it. */
bool removals_run(Hub *hub, Error *err);

/* ---- repo.c ---- */

/* What of a deletion, and of a rename, happens in the database; removals_run removes the files. */
bool repo_remove_in(Conn *c, Hub *hub, const Repo *repo, Error *err);
bool repo_rename_in(Conn *c, Hub *hub, Arena *a, const Repo *repo, Str full, Str name, Str owner,
                    Error *err);

/* What the viewer may do in a namespace, by role and credential and before anything's visibility:
 * `owner` is an account's id, the permissions are those that a fine-grained token needs on it. */
Access access_with(const Viewer *viewer, Str owner, Permission read, Permission write);
/* Could the viewer read a repository and its files, as it was when it was deleted? */
bool repo_could_read(const Viewer *viewer, const Repo *repo, Str owner);
/* The same for the account itself and its settings. */
Access access_in(const Viewer *viewer, Str owner);

/* "owner/name" */
bool repo_id_split(Str id, Str *owner, Str *name);
/* A repository that the viewer is about to make: may they, and is the name free? *out then has what
 * is known of it, a fresh id and git_dir among that; on ERR_EXISTS the one that is there, if the
 * viewer may see it. */
bool repo_vacancy(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, Str owner_name, Str name,
                  Account *owner, Repo *out, Error *err);
typedef struct SharedBlobs { // of another repository: the new one is given them too
    Str from;
    const Str *sha256;
    size_t n;
} SharedBlobs;
/* The row of a repository whose git folder lies there; the folder goes if that cannot be. */
bool repo_store(Hub *hub, const Repo *repo, Str owner_id, Str head, const SharedBlobs *shared,
                Error *err);

/* ---- lfs_file.c ---- */

struct LfsFile;
/* All that `from` was given; with a path those that a commit of `copy` names. */
bool lfs_files_named(Hub *hub, Arena *a, const Repo *from, const Repo *copy, struct LfsFile **out,
                     size_t *n, Error *err);

/* ---- gate.c ---- */

/* Has the viewer been let into this gated repository? */
bool gate_is_open(Hub *hub, const Viewer *viewer, Str repo, bool *open, Error *err);

/* ---- attributes.c: .gitattributes and .gitignore ---- */

typedef struct Patterns Patterns;
Patterns *patterns_parse_attributes(Arena *a, Str text); // lines that set or unset filter=lfs
Patterns *patterns_parse_ignore(Arena *a, Str text);
/* The last matching line decides. A folder's pattern holds for what is below it. */
bool patterns_match(const Patterns *p, Str path);
