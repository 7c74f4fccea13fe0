/* Access tokens, and what they allow.
 *
 * A token of role "read" or "write" lets its bearer do what its owner may read, or read and change.
 * One of role "fineGrained" may do nothing beyond reading what is public but for what it names:
 * permissions that hold everywhere ("global"), and permissions on an account, which hold for all
 * that the account owns, or on single repositories. What the owner may not do, no token may.
 *
 * The permissions have huggingface.co's names; each that this hub knows is a row of PERMISSIONS.
 * repo_find, collection_find and viewer_need are where they count. A token belongs to a user or to
 * an organisation: the latter acts in the organisation's name, and its admins make it.
 * Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

/* Where a permission can be given. */
enum PermissionPlace {
    ON_REPO = 1, // on a single repository
    ON_USER = 2, // on its owner's account
    ON_ORG = 4,  // on an organisation
    GLOBALLY = 8,
};

/* X(name, "name on the wire", places, "what the settings page says") */
#define PERMISSIONS(X)                                                                             \
    X(REPO_READ, "repo.content.read", ON_REPO | ON_USER | ON_ORG, "Read private repositories")     \
    X(REPO_PUSH, "repo.content.write", ON_REPO | ON_USER | ON_ORG,                                 \
      "Push: commits, branches and tags")                                                          \
    X(REPO_WRITE, "repo.write", ON_REPO | ON_USER | ON_ORG,                                        \
      "Write everything: push, change settings, create, move, delete")                             \
    X(REPO_ACCESS, "repo.access.read", ON_REPO | ON_USER | ON_ORG,                                 \
      "See who asks for access to gated repositories")                                             \
    X(DISCUSS, "discussion.write", ON_REPO | ON_USER | ON_ORG | GLOBALLY,                          \
      "Take part in discussions and open pull requests")                                           \
    X(INFER, "inference.serverless.write", ON_USER | ON_ORG | GLOBALLY, "Run models on this hub")  \
    X(COLLECTION_READ, "collection.read", ON_USER | ON_ORG, "Read private collections")            \
    X(COLLECTION_WRITE, "collection.write", ON_USER | ON_ORG, "Make and change collections")       \
    X(WEBHOOK_READ, "user.webhooks.read", ON_USER, "See webhooks and their deliveries")            \
    X(WEBHOOK_WRITE, "user.webhooks.write", ON_USER, "Make and change webhooks")                   \
    X(NOTIFICATION_READ, "user.notifications.read", ON_USER, "Read notifications")                 \
    X(NOTIFICATION_WRITE, "user.notifications.write", ON_USER, "Mark notifications as read")       \
    X(SOCIAL, "user.social.likes.write", ON_USER, "Like, follow, and ask for access")              \
    X(ORG_READ, "org.read", ON_ORG, "Read the organisation's settings")                            \
    X(ORG_WRITE, "org.write", ON_ORG, "Change the organisation's settings and members")

typedef enum Permission {
#define X(name, wire, places, text) MAY_##name,
    PERMISSIONS(X)
#undef X
        PERMISSION_COUNT
} Permission;
typedef uint32_t Permissions; // 1u << MAY_...

typedef struct PermissionInfo {
    const char *name;
    unsigned places;
    const char *text;
} PermissionInfo;
const PermissionInfo *permission_info(Permission permission);
/* "a.b,c.d" or with spaces. ERR_INVALID for an unknown one and for one that cannot be given there.
 */
bool permissions_parse(Str text, unsigned place, Permissions *out, Error *err);
/* "a.b,c.d" */
Str permissions_format(Arena *a, Permissions permissions);

enum { MAX_SCOPES = 200 };
typedef struct TokenScope {
    Str kind; // "user", "org", "model", "dataset" or "space"
    Str id;   // the account's or repository's
    Str name; // "acme", "acme/tiny"
    Permissions permissions;
} TokenScope;

typedef struct TokenRights {
    bool reads_gated; // files of public gated repositories whose owners let the token's owner in
    Permissions global;
    TokenScope *scopes;
    size_t n_scopes;
} TokenRights;

typedef struct Token {
    Str id;
    Str name;                                // the label
    Str role;                                // "read", "write" or "fineGrained"
    Str tail;                                // its last four characters: all that is kept in clear
    int64_t created_ns, used_ns, expires_ns; // used_ns is 0 if never, expires_ns if it does not
    TokenRights rights;                      // of the role "fineGrained"
} Token;

/* Makes a token for a user or organisation: of `token` the name, role, expires_ns and rights count,
 * of its scopes the names and permissions ("acme", "me/x", "models/me/x", "datasets/me/x"). The
 * secret is returned this once: "hf_" and 34 letters and digits. ERR_INVALID. */
bool token_make(Hub *hub, Arena *a, Str owner, const Token *token, Str *secret, Error *err);
/* The newest first. */
bool token_list(Hub *hub, Arena *a, Str owner, Token **tokens, size_t *n, Error *err);
/* ERR_NOT_FOUND unless it is one of this owner's. */
bool token_find(Hub *hub, Arena *a, Str owner, Str id, Token *out, Error *err);
/* Name, expires_ns and rights become these; the role stays. */
bool token_edit(Hub *hub, Arena *a, Str owner, Str id, const Token *to, Error *err);
/* A new secret in place of the old one, which ends at once. */
bool token_rotate(Hub *hub, Arena *a, Str owner, Str id, Str *secret, Error *err);
bool token_revoke(Hub *hub, Str owner, Str id, Error *err);

/* Everything that the viewer's credential allows on something by its id (an account's, a
 * repository's): all for cookies and write tokens, what reads for read tokens. Whether the account
 * itself may is another question. */
Permissions viewer_permissions(const Viewer *viewer, Str id);
/* May it be done in the name of the viewer's own account? ERR_UNAUTHENTICATED, ERR_DENIED. */
bool viewer_need(const Viewer *viewer, Permission permission, Error *err);
