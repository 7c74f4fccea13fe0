/* What the files of api/ share beside api.h: their route tables and small helpers. */
#pragma once

#include "api/api.h"

/* Each has a file with NAME_routes and NAME_routes_n: add a line to add a file. */
#define API_FILES(X)                                                                               \
    X(account)                                                                                     \
    X(people)                                                                                      \
    X(notification)                                                                                \
    X(repo)                                                                                        \
    X(croissant)                                                                                   \
    X(dataset_facts)                                                                               \
    X(duplicate)                                                                                   \
    X(dataset_viewer)                                                                              \
    X(info)                                                                                        \
    X(discover)                                                                                    \
    X(tensor)                                                                                      \
    X(tree)                                                                                        \
    X(ref)                                                                                         \
    X(collection)                                                                                  \
    X(discussion)                                                                                  \
    X(gate)                                                                                        \
    X(webhook)                                                                                     \
    X(upload)                                                                                      \
    X(resolve)                                                                                     \
    X(git)                                                                                         \
    X(lfs)                                                                                         \
    X(lfs_file)                                                                                    \
    X(lock)                                                                                        \
    X(lfs_copy)                                                                                    \
    X(xet)                                                                                         \
    X(xet_read)                                                                                    \
    X(inference)                                                                                   \
    X(openai)                                                                                      \
    X(metrics)
#define X(name)                                                                                    \
    extern const Route name##_routes[];                                                            \
    extern const size_t name##_routes_n;
API_FILES(X)
#undef X

/* reply_error, but with 422 for what is malformed: a well-formed request that cannot be done. */
void api_unprocessable(Request *r, Error *err);
/* The body as JSON; an empty one is {}. Borrowed. */
const json_t *api_optional_json(Request *r, size_t max, Error *err);
/* What uploading to a revision asks for: ?create_pr=1 and refs/pr/N are open to all who may
 * propose.
 */
Access api_upload_access(Request *r, Str rev);
/* 200 with this value, which is consumed. */
void api_reply(Request *r, json_t *value);
/* The same in git-lfs's own type. */
#define API_LFS_TYPE "application/vnd.git-lfs+json"
void api_reply_lfs(Request *r, int status, json_t *value);
/* True for "true", "True" and "1". */
bool api_flag(Request *r, const char *name);
/* ?limit=: 1 to most; larger ones are cut. False: it has answered. */
bool api_limit(Request *r, int64_t most, int64_t otherwise, int64_t *out);
/* Link: <this URL with key=value>; rel="next" */
void api_link_next(Request *r, const char *key, Str value);
/* Answers with a blob, which is taken. */
struct BlobReader;
void api_send_blob(Request *r, struct BlobReader *blob, const char *type, Str sha256);
/* A file as the tree calls show it; see tree.c. */
json_t *entry_json(const RepoEntry *entry);

/* ---- signed.c: what needs no log-in because we signed it ---- */

/* A capability to call METHOD on this URL for a while: adds until= and sign= to "/path?query". The
 * answer is absolute. */
const char *api_sign_url(Request *r, const char *method, const char *target, int64_t seconds);
/* True if the request's own target carries our signature and its time has not passed. */
bool api_is_signed(Request *r);
/* Hex of the HMAC of a message under the hub's key for a purpose. */
const char *api_seal(Request *r, const char *purpose, const char *message);

/* Gives the whole body to `add`, piece by piece. */
bool api_body_each(Request *r, bool (*add)(void *user, Str bytes, Error *err), void *user,
                   Error *err);

/* ---- xet.c ---- */

/* Who calls the CAS with a token that we gave, and for which repository. */
typedef struct XetClient {
    Hub *hub;
    Repo repo;
    Viewer viewer;
    bool is_limited; // the token came of one that may not do all that its owner may
} XetClient;
/* The right is looked up again each time. False: it has answered. */
bool xet_client(Request *r, bool writes, XetClient *out);
/* "http://127.0.0.1:7860/api/xet" */
const char *xet_cas_url(Request *r);
/* For the viewer, whose right to the repository was looked up; *until in seconds since 1970. */
const char *xet_token(Request *r, const Repo *repo, bool writes, int64_t *until);
/* X-Xet-Hash and where to go with it, if a file of the repository is stored as chunks. */
void xet_file_headers(Request *r, const Repo *repo, Str rev, Str sha256);

/* ---- git_http.c ---- */

/* After a push or a commit: has the repository rolled up, in a thread of its own, when it is time.
 */
void api_care_later(const Repo *repo);
