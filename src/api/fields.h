/* A repository as the info and list calls show it: which fields, and their JSON. */
#pragma once

#include "api/api_internal.h"

/* What fields are made from. Lists have no RepoInfo until a field needs one. */
typedef struct FieldSource {
    Request *request;
    const Repo *repo;
    const RepoItem *item; // NULL when one repository is asked for
    const RepoInfo *info; // NULL until a field needs it
    bool blobs;           // siblings with sizes
} FieldSource;

/* Where a field shows without being asked for; HIDDEN: and it is no name for `expand`. */
enum { INFO = 1, LIST = 2, FULL = 4, CARD = 8, CONFIG = 16, HIDDEN = 32, LINKED = 64 };

enum { MAX_FIELDS = 64 };
typedef struct FieldChoice {
    bool on[MAX_FIELDS];
    bool any;
} FieldChoice;

/* ?expand=a&expand[]=b. False: it has answered. */
bool fields_expand(Request *r, RepoKind kind, FieldChoice *out);
/* The fields chosen, or where none was, those that `shows` has in common with their row. */
json_t *repo_json(FieldSource *s, const FieldChoice *choice, int shows);
