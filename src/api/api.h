/* The REST API that the Hub's clients speak, over net/server.h and hub/hub.h.
 *
 * Each file of this folder has its own route table and lists it in api.c; all tables share one
 * context, the Api. A handler reads top to bottom:
 *
 *     static void refs(Request *r)
 *     {
 *         Error err = {0};
 *         Repo repo;
 *         RepoRefs refs;
 *         if (!api_repo(r, ACCESS_READ, &repo))
 *             return; // it has answered
 *         if (!repo_refs(api_of(r)->hub, request_arena(r), &repo, &refs, &err))
 *             return reply_error(r, &err);
 *         ...
 *     }
 *
 * Who asks is found before the handler runs (api_admit): from Authorization, else from the session
 * cookie; a cookie may change things only with its CSRF token in a header. Errors are JSON
 * {"error": text} with X-Error-Code and X-Error-Message, from one table by ErrorCode (api_error).
 * Threads: handlers run on the server's workers. */
#pragma once

#include "hub/tokens.h"
#include "net/server.h"

struct Pool; // serve/serve.h

typedef struct Api {
    Hub *hub;
    struct Pool *pool;       // loaded models; NULL in a hub that runs none
    const char *url;         // "https://hub.example": prefix of links; NULL: as the client sees us
    struct Limits *limits;   // net/limits.h; NULL: none
    int64_t part_size;       // of uploads by git-lfs in parts; what is larger than eight goes so
    struct Traffic *traffic; // net/traffic.h, for /metrics; NULL: nobody counts
} Api;

/* For Route.access. Where a repository is asked for, api_repo says what is needed. */
enum ApiAccess {
    API_ANYBODY,   // a viewer is found; nobody is welcome too
    API_LOGGED_IN, // nobody gets 401
    API_NO_VIEWER, // not even looked at: the handler knows its caller otherwise, or does not care
    API_GIT, // as API_ANYBODY, for git: 401 asks for a name and a token, errors are plain text
    API_LFS, // the same for git-lfs: errors are its JSON
    API_LFS_SIGNED, // as API_NO_VIEWER, by URLs that its batch signed: errors are its JSON
    /* As API_LOGGED_IN, for every token: what it names is found by a function of hub/ that looks at
     * what the token may. */
    API_ANY_TOKEN,
    API_KIND = 15,
};
/* What is done in the caller's own name takes this permission; where API_ANYBODY is welcome, of
 * tokens alone. A token that is not of role "write" is refused on API_LOGGED_IN routes that neither
 * say so nor are about one repository: nothing new is open to it by oversight. */
#define API_NEEDS(kind, permission) ((kind) | ((permission) + 1) << 4)

/* All tables of the folder, ending with NULL, with this context. They live as long as the Api. */
const RouteTable **api_tables(Api *api);
/* For RouteTable.admit. */
bool api_admit(Request *r);
/* For ServerOptions.on_error: the JSON shape of errors. err may be NULL. */
void api_error(Request *r, int status, const char *text, const Error *err);
extern const char api_cors_expose[];

static inline Api *api_of(const Request *r)
{
    return request_context(r);
}
static inline int api_access(const Route *route)
{
    return route->access & API_KIND;
}
/* Never NULL; by == BY_NOBODY if nobody is logged in. */
const Viewer *api_viewer(const Request *r);
/* The repository kind that the path names: {kind} if the pattern has it, else its first segment.
 * False: it has answered. */
bool api_kind(Request *r, RepoKind *kind);
/* The repository of {owner} and {name}, if the viewer may do that much with it. False: it has
 * answered, with an error or with a redirect to where the repository has moved. */
bool api_repo(Request *r, Access need, Repo *out);
/* Files behind a gate are for those who were let in. False: it has answered. */
bool api_gate(Request *r, const Repo *repo);
/* "http://127.0.0.1:7860", without a slash at the end. */
const char *api_url(Request *r);
/* "http://127.0.0.1:7860/avatars/owner" */
const char *api_avatar_url(Request *r, Str account);
/* "http://127.0.0.1:7860/datasets/owner/name" */
const char *api_repo_url(Request *r, const Repo *repo);

/* Small pieces of JSON answers. */
json_t *api_date(int64_t wall);
/* Sets the key unless the text is empty. */
void api_set_str(json_t *object, const char *key, Str value);
