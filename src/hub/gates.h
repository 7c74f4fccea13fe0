/* Gated repositories: everybody who may read one sees its card and the names of its files; the
 * files themselves (by page, download, git, LFS, Xet, or through a model that is run) are for
 * members of its owner, for those who may write, and for those who asked and were let in. "auto"
 * lets in whoever asks, "manual" waits for somebody who may write. repo_find with ACCESS_FILES is
 * the gate. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

enum { MAX_QUESTIONS = 20 }; // of a card's extra_gated_fields; more are not asked

typedef struct AccessRequest {
    Str id;                    // 24 hex digits
    Str status;                // "pending", "accepted" or "rejected"
    Str user, fullname, email; // the e-mail address only where its owner asked
    Str fields;                // JSON object of what the form asked for; empty if it did not
    Str reason;                // for a rejection
    int64_t created_ns;
} AccessRequest;

/* The viewer asks. `fields` has an answer to each of the card's extra_gated_fields: ERR_INVALID
 * names the one without. ERR_EXISTS when they did already. */
bool gate_ask(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str fields,
              AccessRequest *out, Error *err);
/* The viewer's own request; an empty id if there is none. */
bool gate_of_viewer(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, AccessRequest *out,
                    Error *err);
/* Oldest first, at most 10,000. ERR_INVALID for an unknown status. */
bool gate_list(Hub *hub, Arena *a, const Repo *repo, Str status, AccessRequest **out, size_t *n,
               Error *err);
/* Changes one by its user's name or by its id. ERR_NOT_FOUND, ERR_EXISTS when it is so already. */
bool gate_decide(Hub *hub, const Repo *repo, Str user, Str id, Str status, Str reason, Error *err);
/* Lets in somebody who has not asked. ERR_EXISTS when they are in. */
bool gate_grant(Hub *hub, Arena *a, const Repo *repo, Str user, Error *err);
