/* The hub's logic: accounts, repositories, what they hold and how it changes. api/ and web/ both
 * call this and never each other; a handler parses, calls one function here, and answers.
 *
 * Whoever asks is a Viewer (nobody, a token's owner, a cookie's owner). repo_find is the one gate:
 * it returns a repository only to those who may do what they ask for, and says ERR_NO_REPO to those
 * who may not even know of it. Functions that take a `const Repo *` trust it.
 *
 * A repository is a bare git repository (git_dir) plus rows in the database. Content that git
 * stores as an LFS pointer lies in the blob store; a repository may serve a blob only if it was
 * given it (repo_grant_blob), so that knowing a sha256 is never enough to read somebody's file.
 *
 * Threads: a Hub is shared by all; everything else belongs to the caller's thread. Functions block
 * on disk and database: call them on workers. Results live in the arena that was passed. */
#pragma once

#include "base/json.h"
#include "base/str.h"

typedef struct Hub Hub;
struct Blobs;
struct BlobReader;
struct Xet;

typedef struct HubOptions {
    const char *data;   // the folder that holds everything; made if absent
    const char *db;     // sqlite:PATH or postgres://...; NULL is sqlite:DATA/hub.db
    const char *blobs;  // where content lies; NULL is DATA/blobs
    bool accounts_only; // no repositories, no blobs: beside a hub that serves
} HubOptions;

Hub *hub_open(const HubOptions *options, Error *err);
void hub_close(Hub *hub);
AUTO_FREE(Hub, hub_close)
struct Blobs *hub_blobs(const Hub *hub);
struct Xet *hub_xet(const Hub *hub);
const char *hub_data(const Hub *hub);
/* A key of this hub for signing URLs and tokens: HMAC of the hub's secret over `purpose`. */
void hub_key(const Hub *hub, const char *purpose, uint8_t key[32]);

/* ---- Accounts ---- */

typedef struct Member {
    Str id; // 24 hex digits
    Str name, fullname;
    Str role; // "admin", "write", "contributor" or "read"
} Member;

typedef struct Account {
    Str id;   // 24 hex digits
    Str name; // as it was written at sign-up; lookups ignore case
    Str fullname, email, about, website;
    Str avatar; // changes with the picture (people.h); empty where it is made of the name
    bool is_org, is_admin;
    bool repos_private; // new repositories are, where nobody says otherwise
    int64_t created_ns;
    Member *others; // a user's organisations, or an organisation's members
    size_t n_others;
} Account;

typedef struct NewUser {
    Str name, fullname, email; // all but name optional
    Str password;              // empty: no log-in by password
    bool admin;
} NewUser;

/* ERR_INVALID for a bad name, password (8 to 1024 bytes) or address, ERR_EXISTS when taken. */
bool user_create(Hub *hub, Arena *a, const NewUser *user, Account *out, Error *err);
/* Makes `owner` its admin. */
bool org_create(Hub *hub, Arena *a, Str name, Str fullname, Str owner, Account *out, Error *err);
bool account_set_repos_private(Hub *hub, Str name, bool yes, Error *err);
bool org_set_member(Hub *hub, Str org, Str user, Str role, Error *err);
/* ERR_NOT_FOUND if there is none. Fills `others`. A name that an account had before leads to it. */
bool account_find(Hub *hub, Arena *a, Str name, Account *out, Error *err);
bool user_set_password(Hub *hub, Str name, Str password, Error *err);
/* Asked again before something that cannot be taken back; errors are session_open's. */
bool user_password_ok(Hub *hub, Str address, const Account *user, Str password, Error *err);
/* Users and organisations by name, at most 10,000; `others` is not filled. */
bool account_list(Hub *hub, Arena *a, Account **out, size_t *n, Error *err);
/* How many accounts there are; 0 on a fresh hub. */
bool account_count(Hub *hub, int64_t *n, Error *err);
/* ERR_INVALID with the reason; for one half of a repository id as well. */
bool name_check(Str name, Error *err);

/* ---- Who asks ---- */

typedef enum ViewerBy { BY_NOBODY, BY_TOKEN, BY_COOKIE } ViewerBy;

typedef struct Viewer {
    ViewerBy by;
    bool can_write;  // all that the account may; false for read tokens and fine-grained ones
    Account account; // an organisation's, where the token is
    Str token_id, token_name, token_role; // BY_TOKEN
    int64_t token_created_ns, token_expires_ns;
    const struct TokenRights *rights; // of a fine-grained token: tokens.h; else NULL
    Str csrf;                         // BY_COOKIE: what its forms must send back
} Viewer;

/* From an Authorization header, "Bearer hf_...", "Basic user:token" or "Basic token:". An empty one
 * is nobody. ERR_UNAUTHENTICATED when the credential is bad. */
bool viewer_of_authorization(Hub *hub, Arena *a, Str header, Viewer *out, Error *err);
bool viewer_of_token(Hub *hub, Arena *a, Str token, Viewer *out, Error *err);
/* From a session cookie's value; one that is unknown or has expired is nobody. */
bool viewer_of_session(Hub *hub, Arena *a, Str cookie, Viewer *out, Error *err);
/* The viewer that a user's own code acts as: for jobs inside the hub. */
bool viewer_of_user(Hub *hub, Arena *a, Str name, Viewer *out, Error *err);
/* Always true for tokens: only cookies travel uninvited. */
bool csrf_ok(const Viewer *viewer, Str sent);

#define SESSION_COOKIE "hug_session"
#define CSRF_HEADER "X-CSRF-Token" // what scripts send; forms have a field csrf
enum { SESSION_DAYS = 30 };
/* Checks the password and opens a session: the cookie's value, to be set HttpOnly and SameSite=Lax.
 * ERR_UNAUTHENTICATED when name or password is wrong; ERR_RATE after too many wrong ones for this
 * account, or from this address (empty: not counted). */
bool session_open(Hub *hub, Arena *a, Str address, Str name, Str password, Str *cookie, Error *err);
/* Before somebody signs up: ERR_RATE when this address has made many accounts lately. */
bool signup_admit(Hub *hub, Str address, Error *err);
/* For a user who has just signed up. */
bool session_open_for(Hub *hub, Arena *a, const Account *user, Str *cookie, Error *err);
bool session_close(Hub *hub, Str cookie, Error *err);

/* A token of role "read" or "write"; tokens.h has those that may do less, and what else there is to
 * do with tokens. The secret is returned this once: "hf_" and 34 letters and digits. */
bool token_create(Hub *hub, Arena *a, Str owner, Str name, Str role, Str *secret, Error *err);

/* ---- Repositories ---- */

typedef enum RepoKind { REPO_MODEL, REPO_DATASET, REPO_SPACE, REPO_KINDS } RepoKind;

typedef struct RepoKindInfo {
    const char *name;   // "model"
    const char *plural; // "models": in API paths
    const char *prefix; // "", "datasets/", "spaces/": in page, resolve and git paths
    const char *title;  // "Models": above lists of them
} RepoKindInfo;
const RepoKindInfo *repo_kind_info(RepoKind kind);
/* From "model" or "models"; false if it is neither. An empty name is a model. */
bool repo_kind_parse(Str name, RepoKind *kind);

/* What somebody may do with a repository; each includes the ones before. Reading is the card and
 * the names of files; files are more only where a gate stands before them (gates.h): ACCESS_FILES
 * is asked for, and Repo.gate says when it is refused. Proposing is taking part in its discussions
 * and opening pull requests: for everybody who may read and is logged in. */
typedef enum Access {
    ACCESS_NONE,
    ACCESS_READ,
    ACCESS_FILES,
    ACCESS_PROPOSE,
    ACCESS_WRITE,
    ACCESS_ADMIN,
} Access;

typedef struct Repo {
    Str id; // 24 hex digits
    RepoKind kind;
    Str owner, name;
    Str full;    // "owner/name", in its own letters
    Str creator; // id of the account that made it; may be empty
    bool is_private, is_disabled, discussions_off;
    Str gated; // "", "auto" or "manual"
    int64_t created_ns, updated_ns;
    int64_t downloads, downloads_all, likes; // downloads: the last 30 days
    int64_t trending;                        // in thousandths; see downloads.h
    Access access;                           // the viewer's
    bool gate;                               // the viewer must first be let in to its files
    bool sees_requests;                      // the viewer may know who asks to be let in
    bool moved;                              // it was found under an old name: answer 307 to `full`
    const char *git_dir;
} Repo;

/* `id` is "owner/name" (a trailing ".git" is the caller's to remove). ERR_NO_REPO if there is none
 * or the viewer may not read it; ERR_UNAUTHENTICATED if nobody asks for more than reading;
 * ERR_DENIED if the viewer or the token may not do it. */
bool repo_find(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, Str id, Access need,
               Repo *out, Error *err);

typedef struct NewFile {
    Str path, bytes;
} NewFile;

typedef struct NewRepo {
    RepoKind kind;
    Str owner; // empty: the viewer
    Str name;
    bool is_private;
    bool by_default;      // is_private is as the owner's repositories are by default
    Str sdk;              // Spaces: gradio, docker, static, streamlit
    Str license;          // for the card's front matter; may be empty
    const NewFile *files; // of the first commit, beside or instead of ours
    size_t n_files;
} NewRepo;

/* Makes the repository with a first commit: .gitattributes, for Spaces a README.md as well.
 * ERR_EXISTS when the name is taken: *out is then filled if the viewer may read that one. */
bool repo_create(Hub *hub, Arena *a, const Viewer *viewer, const NewRepo *new, Repo *out,
                 Error *err);
bool repo_delete(Hub *hub, const Repo *repo, Error *err);
/* Leaves a redirect. `to` is "owner/name"; ERR_EXISTS when taken. */
bool repo_move(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str to, Error *err);

typedef struct RepoSettings {
    const bool *is_private, *discussions_off; // NULL: as it is
    const Str *gated;
} RepoSettings;
bool repo_change(Hub *hub, const Repo *repo, const RepoSettings *settings, Error *err);

bool repo_like(Hub *hub, const Viewer *viewer, const Repo *repo, bool like, Error *err);
bool repo_is_liked(Hub *hub, const Viewer *viewer, const Repo *repo, bool *liked, Error *err);
/* ---- Lists ---- */

typedef enum RepoSort {
    SORT_TRENDING,
    SORT_UPDATED,
    SORT_CREATED,
    SORT_DOWNLOADS,
    SORT_LIKES,
    SORT_LIKES_RECENT,
    SORT_PARAMETERS,
    SORT_BYTES,
    SORTS,
} RepoSort;
/* "trendingScore", "lastModified", "createdAt", "downloads", "likes", "likes30d",
 * "num_parameters", "mainSize"; false if it is none. */
bool repo_sort_parse(Str name, RepoSort *sort);

/* Numbers of parameters; 0 for no bound. */
typedef struct ParameterRange {
    int64_t min, max;
} ParameterRange;
/* "min:6B,max:128B", or one of the two; with K, M, B or T. ERR_INVALID */
bool parameter_range_parse(Str text, ParameterRange *out, Error *err);

typedef struct RepoQuery {
    RepoKind kind;
    const Str *search; // each must occur in "owner/name", in any case
    size_t n_search;
    Str text;        // words to be found in names, metadata and cards; names come first
    const Str *tags; // each must be one of its tags
    size_t n_tags;
    const Str *any_tags; // one of these must be
    size_t n_any_tags;
    const Str *any_tasks; // its task must be one of these
    size_t n_any_tasks;
    Str author, pipeline_tag, library; // empty: any
    const bool *gated;                 // NULL: any
    ParameterRange parameters;
    RepoSort sort; // always the greatest first, then by id
    int64_t limit; // 1 to 1000
    Str cursor;    // RepoPage.next of the page before
} RepoQuery;

typedef struct RepoItem {
    Repo repo;
    Str sha;
    Str *tags;
    size_t n_tags;
    Str pipeline_tag, library, sdk;
    const json_t *card;        // front matter; NULL if none
    int64_t parameters, bytes; // of a model, 0 if unknown; of all files
} RepoItem;

typedef struct RepoPage {
    RepoItem *items;
    size_t n;
    Str next;      // cursor of the next page; empty at the end
    int64_t total; // matches on all pages
} RepoPage;

/* Only what the viewer may see. */
bool repo_list(Hub *hub, Arena *a, const Viewer *viewer, const RepoQuery *query, RepoPage *out,
               Error *err);

typedef struct TagCount {
    Str tag;
    int64_t n;
} TagCount;
/* The tags of public repositories of a kind, the most used first: for filters. */
bool repo_tag_counts(Hub *hub, Arena *a, RepoKind kind, int64_t limit, TagCount **out, size_t *n,
                     Error *err);

/* ---- A revision and its files ---- */

typedef struct RepoEntry {
    Str path;
    bool is_folder;
    Str oid;      // git's 40 hex digits; of the pointer for LFS files
    int64_t size; // the real one, for LFS files too; 0 for folders
    bool is_lfs;
    Str sha256;   // LFS files: 64 hex digits
    Str xet_hash; // LFS files that lie as chunks: what Xet calls them, where asked for
    int64_t pointer_size;
    bool is_missing;         // LFS file whose content this repository does not have
    Str last_id, last_title; // the last commit that touched it, where asked for
    int64_t last_ns;
} RepoEntry;

typedef struct RepoTree {
    Str sha; // of the commit
    RepoEntry *items;
    size_t n;
} RepoTree;

/* A branch, tag, full or short sha, refs/..., HEAD: its commit, 40 hex digits. ERR_NO_REVISION. */
bool repo_revision(Hub *hub, Arena *a, const Repo *repo, Str rev, Str *sha, Error *err);
/* A folder's entries in git's order, or with `recursive` everything below it, folders too. An empty
 * path is the root. ERR_NO_ENTRY if there is no such folder; out->sha is set even then. */
bool repo_tree(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, bool recursive,
               RepoTree *out, Error *err);
/* The entries at these paths; unknown ones are left out. */
bool repo_paths(Hub *hub, Arena *a, const Repo *repo, Str rev, const Str *paths, size_t n,
                RepoTree *out, Error *err);
/* Fills xet_hash of entries whose content the repository was given. */
bool repo_xet_hashes(Hub *hub, Arena *a, const Repo *repo, RepoTree *tree, Error *err);
/* Fills last_id, last_title and last_ns of the tree's entries. */
bool repo_last_commits(Hub *hub, Arena *a, const Repo *repo, RepoTree *tree, Error *err);

typedef struct RepoFile {
    Str sha; // of the commit; filled on ERR_NO_ENTRY too
    RepoEntry entry;
} RepoFile;
/* ERR_NO_REVISION, ERR_NO_ENTRY (also for a folder). */
bool repo_file(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, RepoFile *out, Error *err);
/* The bytes as git has them (an LFS file's pointer), borrowed until the arena goes; ERR_LIMIT when
 * larger than max. */
bool repo_file_bytes(Hub *hub, Arena *a, const Repo *repo, const RepoFile *file, size_t max,
                     Str *out, Error *err);
/* An LFS file's content (blobs/blobs.h); the caller's to close. ERR_NOT_FOUND if the content was
 * never uploaded to this repository. NULL on failure. */
struct BlobReader *repo_file_open(Hub *hub, const Repo *repo, const RepoFile *file, Error *err);

/* What is known about one revision; computed once for each commit, then shared. */
typedef struct RepoInfo {
    Str sha;
    int64_t modified_ns;    // the commit's date
    const RepoEntry *files; // no folders
    size_t n_files;
    const Str *tags;
    size_t n_tags;
    const Str *links; // what lists may be filtered by besides: "model:me/x" of a Space that uses it
    size_t n_links;
    Str pipeline_tag, library, sdk; // empty if none
    int64_t parameters;             // of the model; 0 if unknown
    const json_t *card;             // README.md's front matter; NULL if none
    Str card_error;                 // why it could not be read
    const json_t *config;           // excerpt of config.json and tokenizer_config.json
    const json_t *safetensors;      // {"parameters": {"F32": n}, "total": n}
    const json_t *gguf;             // {"total", "architecture", "context_length", ...}
    const json_t *eval_results;     // [{"filename", "data" or "error"}] of .eval_results/; or NULL
    int64_t bytes;                  // of all files
} RepoInfo;
/* Borrowed until the arena goes; do not change it. An empty rev is the default branch. */
bool repo_info(Hub *hub, Arena *a, const Repo *repo, Str rev, const RepoInfo **out, Error *err);
bool info_has_tag(const RepoInfo *info, Str tag);

/* A folder in which the revision's files lie under their names: what the engine maps into memory.
 * Blobs that lie whole have another name there, others are copied, and copies are a cache: past a
 * quarter of the disk those that were asked for longest ago go. */
bool repo_snapshot(Hub *hub, Arena *a, const Repo *repo, Str rev, const char **folder, Error *err);

/* ---- Cards ---- */

/* Splits a README.md into front matter and text; an absent one is empty. */
void card_split(Str readme, Str *yaml, Str *text);
/* YAML to JSON: at most 1 MiB, 32 deep, 100,000 nodes; no aliases to what is being built. */
json_t *yaml_parse(Str yaml, Error *err);

typedef struct CardReport {
    Str *errors, *warnings;
    size_t n_errors, n_warnings;
} CardReport;
/* What is wrong with a card's front matter, in sentences. */
void card_check(Arena *a, Str readme, RepoKind kind, CardReport *out);
/* ERR_INVALID with the report's errors, if there are any. */
bool card_refuse(const CardReport *report, Error *err);

/* ---- Changes ---- */

/* How a file that somebody is about to upload should travel. */
typedef struct Preupload {
    Str path;
    Str sample; // its first 512 bytes
    int64_t size;
    bool lfs, ignore; // answers
    Str oid;          // what lies there now: git sha1, or sha256 of an LFS file; empty if nothing
} Preupload;
bool repo_preupload(Hub *hub, Arena *a, const Repo *repo, Str rev, Str gitignore, Str gitattributes,
                    Preupload *files, size_t n, Str *sha, Error *err);

/* The blob store has this content and the repository (or its uploader) gave it: may be committed
 * and served. Call after the bytes are safe. */
bool repo_grant_blob(Hub *hub, const Repo *repo, const Viewer *viewer, Str sha256, int64_t size,
                     Error *err);
typedef struct BlobGrant {
    Str sha256;
    int64_t size;
} BlobGrant;
/* Many of them, in few transactions. After an error some may be granted. */
bool repo_grant_blobs(Hub *hub, const Repo *repo, const Viewer *viewer, const BlobGrant *blobs,
                      size_t n, Error *err);
/* True if the repository was given this blob, or if the viewer (NULL: nobody) once uploaded it
 * elsewhere: the repository is then given it. This is what lets an LFS batch say "already stored".
 */
bool repo_has_blob(Hub *hub, const Repo *repo, const Viewer *viewer, Str sha256, bool *has,
                   int64_t *size, Error *err);

/* A commit in the making: operations are checked and stored as they come, so that a body of any
 * length never sits in memory; change_commit then moves the branch. It remembers its first error.
 */
typedef struct Change Change;
Change *change_open(Hub *hub, const Repo *repo, const Viewer *viewer, Str branch, Error *err);
void change_free(Change *change);
AUTO_FREE(Change, change_free)
void change_title(Change *c, Str title, Str description);
/* Only if the branch is still there: otherwise ERR_STALE. */
void change_parent(Change *c, Str sha);
void change_add(Change *c, Str path, Str bytes);
void change_add_lfs(Change *c, Str path, Str sha256, int64_t size); // size -1: as stored
void change_delete(Change *c, Str path);
void change_delete_folder(Change *c, Str path);
void change_copy(Change *c, Str path, Str from, Str from_rev);
bool change_ok(const Change *c, Error *err);
/* The new head. Without change_parent a race is run again on the new head. */
bool change_commit(Change *c, Arena *a, Str *sha, Error *err);

typedef struct RefMove {
    Str ref;      // "refs/heads/main"
    Str from, to; // commits; empty where it was or is not
} RefMove;
/* After something outside Change moved the refs (a git push): forget what was cached, look at the
 * new card and files. Call it before the pusher is told that all went well. What is said of the
 * default branch is not needed: its moves are known. */
bool repo_refs_changed(Hub *hub, const Repo *repo, const RefMove *moves, size_t n, Error *err);

/* ---- History and refs ---- */

typedef struct RepoCommit {
    Str id, title, message; // message: without the title
    Str author, email;
    int64_t date_ns;
    Str *parents;
    size_t n_parents;
} RepoCommit;

typedef struct RepoLog {
    RepoCommit *items;
    size_t n;
    bool more;
    int64_t total; // of all commits; -1 where it was not counted
} RepoLog;
/* Newest first; `path` empty for all. */
bool repo_log(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, int64_t skip, int64_t limit,
              RepoLog *out, Error *err);
/* Unified diff of a commit against its first parent, or between two revisions ("from" not empty).
 * Ends early, with *cut set, past out's limit. */
bool repo_diff(Hub *hub, const Repo *repo, Str from, Str to, Buf *out, bool *cut, Error *err);

typedef struct RepoRef {
    Str name; // "main"
    Str ref;  // "refs/heads/main"
    Str sha;  // peeled
} RepoRef;
typedef struct RepoRefs {
    RepoRef *items;
    size_t n;
} RepoRefs;
bool repo_refs(Hub *hub, Arena *a, const Repo *repo, RepoRefs *out, Error *err);
/* ERR_EXISTS, ERR_NO_REVISION for a bad start, ERR_INVALID for a bad name. An empty start is main;
 * `from_nothing` makes a branch with one empty commit. */
bool branch_create(Hub *hub, const Repo *repo, const Viewer *viewer, Str name, Str start,
                   bool from_nothing, bool overwrite, Error *err);
bool branch_delete(Hub *hub, const Repo *repo, Str name, Error *err);
/* A message makes it an annotated tag. */
bool tag_create(Hub *hub, const Repo *repo, const Viewer *viewer, Str name, Str rev, Str message,
                Error *err);
bool tag_delete(Hub *hub, const Repo *repo, Str name, Error *err);
/* The branch becomes one root commit with the same files. */
bool branch_squash(Hub *hub, const Repo *repo, const Viewer *viewer, Str branch, Str message,
                   Error *err);
