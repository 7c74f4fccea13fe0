/* What the files of fetch/ share; see fetch.h. */
#pragma once

#include "base/digest.h"
#include "fetch/api.h"
#include "fetch/tokens.h"
#include "net/client.h"

/* Where the hub is, who we are, where files are kept. Strings are in the arena. */
typedef struct FetchEnv {
    const char *endpoint; // without a slash at the end
    const char *token;    // NULL: nobody
    const char *cache;    // HF_HUB_CACHE
    bool offline;
    bool shares; // content between the cache's repositories: not with HF_HUB_DISABLE_SHARED_BLOBS
} FetchEnv;
FetchEnv fetch_env(Arena *a, const char *token, const char *cache);
bool env_flag(const char *name); // an environment variable that says 1, ON, YES or TRUE
/* HF_HOME, the file that keeps the token in use, and the one that keeps all of them. */
const char *fetch_home(Arena *a);
const char *fetch_token_path(Arena *a);
const char *fetch_stored_tokens_path(Arena *a);

typedef struct KindInfo {
    const char *name;   // "dataset"
    const char *plural; // "datasets"
    const char *prefix; // "datasets/", "" for models
} KindInfo;
const KindInfo *fetch_kind(FetchKind kind);

typedef struct RepoName {
    FetchKind kind;
    const char *id;       // "org/name", or a bare "name"
    const char *revision; // "main"
} RepoName;
/* revision NULL: what stands behind '@'. ERR_INVALID for what cannot be a name. */
bool repo_name_parse(RepoName *name, Arena *a, const char *id, FetchKind kind, const char *revision,
                     Error *err);
/* ENDPOINT/api/models/ID/rest, formatted. */
char *repo_api(Arena *a, const FetchEnv *env, const RepoName *name, const char *format, ...)
    __attribute__((format(printf, 4, 5), returns_nonnull));
/* Its page: ENDPOINT/org/name */
char *repo_page(Arena *a, const FetchEnv *env, const RepoName *name)
    __attribute__((returns_nonnull));
/* As url_segment, but keeps '/'. */
char *url_path(Arena *a, const char *s) __attribute__((returns_nonnull));

/* One call with the hub's errors as ours: false for every status but 2xx. Transient trouble (5xx,
 * 429, a broken connection) of a GET or HEAD without `take` is tried again, twice. */
bool hub_call(Client *c, Arena *a, ClientCall call, ClientAnswer *answer, Error *err);
/* The answer as JSON; `body` is sent as JSON, and may be NULL. *next, if not NULL, becomes the URL
 * of the next page or NULL. */
json_t *hub_json(Client *c, Arena *a, const FetchEnv *env, const char *method, const char *url,
                 const json_t *body, const char **next, Error *err);

/* Room for one item more in a list that grows by doubling from none. */
void *list_grow(Arena *a, void *items, size_t n, size_t size);

typedef struct RemoteFile {
    const char *path; // safe to be joined to a folder
    const char *etag; // hex: sha256 of the content (lfs) or its git blob sha1
    int64_t size;
    bool lfs;
    const char *xet; // the content's hash at the store of chunks; NULL: it is not there
} RemoteFile;
/* The commit that the name's revision is at. */
const char *hub_commit(Client *c, Arena *a, const FetchEnv *env, const RepoName *name, Error *err);
/* All files of a revision, by the tree listing. */
bool hub_tree(Client *c, Arena *a, const FetchEnv *env, const RepoName *name, const char *commit,
              RemoteFile **files, size_t *n, Error *err);

enum { OID_SIZE = 2 * SHA256_SIZE + 1 };
/* What the hub calls content: its sha256 (lfs), or as git names a blob. Between the two calls,
 * digest_add takes the bytes. */
Digest *oid_begin(bool lfs, int64_t size) __attribute__((returns_nonnull));
void oid_finish(Digest *digest, bool lfs, char oid[OID_SIZE]);
bool file_oid(const char *path, int64_t size, bool lfs, char oid[OID_SIZE], Error *err);

/* Patterns as Python's fnmatch has them: '*' matches '/' too; "folder/" means all below it. */
bool path_matches(const char *path, const char *const *patterns);
/* include and exclude of the options; NULL lists allow everything. */
bool path_is_wanted(const char *path, const char *const *include, const char *const *exclude);

/* Folders and files of one repository in the cache. */
typedef struct RepoCache {
    const char *folder; // HF_HUB_CACHE/models--org--name
    const char *locks;  // HF_HUB_CACHE/.locks/models--org--name
} RepoCache;
RepoCache repo_cache(Arena *a, const FetchEnv *env, const RepoName *name);
/* The snapshot folder that the revision was last seen at, NULL if there is none. */
char *cache_find_snapshot(Arena *a, const RepoCache *cache, const char *revision);
bool cache_write_ref(Arena *a, const RepoCache *cache, const char *revision, const char *commit,
                     Error *err);
/* snapshots/COMMIT/path becomes a relative link to blobs/ETAG. */
bool cache_link(Arena *a, const RepoCache *cache, const char *commit, const RemoteFile *file,
                Error *err);

/* The folders above a path. */
bool make_parent(Arena *a, const char *path, Error *err);

/* The content of `file` at `target`, checked; goes on with TARGET.incomplete if it is there.
 * `counted` hears of every byte, fetched before or now. */
typedef struct FetchJob {
    const FetchEnv *env;
    const RepoName *name;
    const char *commit;
    const RemoteFile *file;
    const char *target;
    const char *lock;       // held meanwhile; NULL: none
    const char *shared;     // the cache whose store takes such content; NULL: none
    struct XetSession *xet; // for large files that are stored as chunks; NULL: by /resolve/
    bool force;
    const atomic_bool *cancelled;
    void (*counted)(void *context, int64_t bytes);
    void *context;
} FetchJob;
bool fetch_content(Client *c, Arena *a, const FetchJob *job, Error *err);

/* Narrows the list of files that are to be fetched, or refuses it. */
typedef bool (*FileChoice)(void *context, RemoteFile *files, size_t *n, Error *err);
/* fetch_snapshot, with a choice that sees all files that the options allow. */
char *snapshot_fetch(Arena *a, const char *id, const FetchOptions *options, FileChoice choose,
                     void *context, Error *err);

bool is_commit(const char *revision); // 40 hex digits
