/* Which repositories are made from which others: a model's base models and its children by kind
 * (adapters, fine-tunes, merges, quantizations), and the models and Spaces that name a dataset or a
 * model. It is read from the tags and links that repo_index keeps, so it is never more than what
 * cards and files say. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

typedef enum Relation {
    RELATION_ADAPTER,
    RELATION_FINETUNE,
    RELATION_MERGE,
    RELATION_QUANTIZED,
    RELATIONS
} Relation;
/* "adapter" */
const char *relation_name(Relation relation);

typedef struct Relative {
    Str id;       // of the repository; empty if it is not on this hub, or not for these eyes
    Str full;     // its present name, or as the card has it
    Str relation; // to it: "finetune"; may be empty
} Relative;

/* The base models that a model's tags name. */
bool lineage_parents(Hub *hub, Arena *a, const Viewer *viewer, const Str *tags, size_t n_tags,
                     Relative **out, size_t *n, Error *err);
/* A model's first base, that one's first base and so on: the nearest first, at most eight. */
bool lineage_ancestors(Hub *hub, Arena *a, const Viewer *viewer, const Str *tags, size_t n_tags,
                       Relative **out, size_t *n, Error *err);
/* How many models of each kind name this one as a base, of those that the viewer may see. */
bool lineage_children(Hub *hub, const Viewer *viewer, const Repo *repo, int64_t counts[RELATIONS],
                      Error *err);
/* The repositories of `kind` that use this one (models a dataset, Spaces a model or dataset), the
 * liveliest first; *total: of all. */
bool lineage_users(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, RepoKind kind,
                   int64_t limit, RepoPage *out, Error *err);
/* The names of public Spaces that use this one, at most 100: cheap to ask for again and again. */
bool lineage_spaces(Hub *hub, Arena *a, const Repo *repo, const Str **out, size_t *n, Error *err);
