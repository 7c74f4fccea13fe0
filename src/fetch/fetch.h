/* fetch: the hub's client. Downloads into the cache that huggingface_hub uses, file for file, so
 * that both share what either fetched; uploads files and folders as commits.
 *
 * Environment, as everywhere in that world: HF_ENDPOINT (where the hub is), HF_TOKEN or the file
 * HF_HOME/token (who we are), HF_HOME or XDG_CACHE_HOME/huggingface (our folder), HF_HUB_CACHE (the
 * cache, else HF_HOME/hub), HF_HUB_OFFLINE=1 (never ask the hub). Without HF_ENDPOINT the hub is
 * the one that `hug serve` opens on this machine.
 *
 *     HF_HUB_CACHE/models--org--name/
 *         blobs/ETAG                 content, named by its sha256 (LFS) or git blob sha1
 *         refs/main                  the commit that a branch or tag was last seen at
 *         snapshots/COMMIT/path      links into blobs/
 *     HF_HUB_CACHE/.locks/models--org--name/ETAG.lock     held while a blob is fetched
 *
 * A repository is named `org/name` or `org/name@revision`, also with its kind in front:
 * `datasets/org/name`. The revision is a branch, a tag or a commit, "main" if absent.
 * Threads: all functions may be called from any. */
#pragma once

#include "base/json.h"

/* The server has a table of these too; the client stays free of the server's code. */
typedef enum FetchKind { FETCH_MODEL, FETCH_DATASET, FETCH_SPACE } FetchKind;
/* From "model", "models" and so on; false if it is none. */
bool fetch_kind_parse(Str name, FetchKind *kind);
/* "model" */
const char *fetch_kind_name(FetchKind kind);

typedef struct FetchOptions {
    FetchKind kind;
    const char *revision;       // NULL: what stands behind '@', else "main"
    const char *token;          // NULL: the environment's; "": nobody
    const char *cache;          // NULL: the environment's
    const char *folder;         // put the files here by their names, not into the cache
    const char *const *include; // patterns with * and ?, ending with NULL: only these files
    const char *const *exclude; // but none of these
    int workers;                // files at a time; 0: 8
    bool quiet;                 // no progress on the terminal
    bool force;                 // fetch again what is there
} FetchOptions;

/* Makes a snapshot of a repository complete and returns its folder. Offline, or when the hub cannot
 * be reached, the last snapshot that was seen there is taken as it is. ERR_NO_REPO,
 * ERR_NO_REVISION, ERR_UNAUTHENTICATED, ERR_UNAVAILABLE when there is neither hub nor snapshot.
 * options may be NULL. */
char *fetch_snapshot(Arena *a, const char *id, const FetchOptions *options, Error *err);
/* The same for one file; returns its path. ERR_NO_ENTRY if there is no such file. */
char *fetch_file(Arena *a, const char *id, const char *path, const FetchOptions *options,
                 Error *err);

/* What fetch_snapshot would do: every file that the options allow. */
typedef struct PlannedFile {
    const char *path;
    int64_t size;
    bool fetched; // else it is here
} PlannedFile;
bool fetch_plan(Arena *a, const char *id, const FetchOptions *options, PlannedFile **files,
                size_t *n, Error *err);

/* MODEL as every command takes it: a folder, a .gguf file, or `org/name[@revision]` on the hub, of
 * which the files that an engine needs are fetched: configuration, tokenizer and safetensors, or
 * else one .gguf. Returns a folder or the path of a .gguf, to be handed to model loading. A name
 * that exists as a path is never asked of the hub. */
char *fetch_model(Arena *a, const char *model, Error *err);

typedef struct UploadOptions {
    FetchKind kind;
    const char *revision; // a branch; NULL: "main"
    const char *token;
    const char *message, *description; // NULL: one that says what is uploaded
    const char *const *include, *const *exclude;
    const char *const *remove; // patterns of files that the same commit deletes
    bool private_;             // if the repository is made
    bool must_exist;           // never make it
    bool create_pr;            // the commit opens a pull request instead of moving the branch
    bool quiet;
} UploadOptions;

typedef struct UploadResult {
    const char *url, *commit; // of the commit, or of the repository where nothing had changed
    int files, removed;       // how many the commit changed
    int64_t large, sent;      // bytes of large files in it, and how many went to the hub
} UploadResult;

/* Commits a file or a folder, below or as `path` of the repository ("" or ".": its root), which is
 * made if it is not there. What the hub has already is not sent again; large files go by Xet, of
 * which only new chunks are sent, or by LFS. */
bool fetch_upload(Arena *a, const char *id, const char *local, const char *path,
                  const UploadOptions *options, UploadResult *result, Error *err);

/* A file, or all below a folder ("": the whole) of a repository. */
typedef struct CopySource {
    FetchKind kind;
    const char *id, *revision, *path;
} CopySource;
/* Copies it into another repository by one commit, as or below `path`. Large files do not travel.
 * ERR_NO_ENTRY if there is nothing of that name. */
bool fetch_copy(Arena *a, const CopySource *from, const char *id, const char *path,
                const UploadOptions *options, UploadResult *result, Error *err);

/* Deletes the files that match options->remove by one commit; result->commit is NULL if none do. */
bool fetch_delete_files(Arena *a, const char *id, const UploadOptions *options,
                        UploadResult *result, Error *err);

/* The page of the new repository. exist_ok: one that is there already is fine. sdk: a Space's, else
 * NULL. */
char *fetch_repo_create(Arena *a, const char *id, const UploadOptions *options, const char *sdk,
                        bool exist_ok, Error *err);
/* What the hub knows of the token's owner. */
json_t *fetch_whoami(const char *token, Error *err);
/* Where the hub is: HF_ENDPOINT. Where the cache is: HF_HUB_CACHE, or HF_HOME/hub. */
const char *fetch_endpoint(Arena *a);
const char *fetch_cache_path(Arena *a);
