/* What the files of webhooks share, and how the rest of hub/ tells them that something happens. */
#pragma once

#include "hub/discussions.h"
#include "hub/hub_internal.h"
#include "hub/webhooks.h"

/* ---- webhook_event.c: for whoever changes something ---- */

typedef struct WebhookEvent {
    const char *action; // "create", "update", "delete" or "move"
    const char *scope;  // "repo", "repo.content", "repo.config", "discussion", "discussion.comment"
    const Repo *repo;   // as it is now; when it moves or goes, as it was
    Str head;           // of its main branch; empty: as the database has it
    const RefMove *moves;
    size_t n_moves;
    json_t *config;            // what of its settings has changed
    Str moved_to, moved_owner; // the new full name, and the id of its owner
    const Discussion *discussion;
    const DiscussionEvent *comment;
} WebhookEvent;

/* Records it in the caller's transaction, if anybody watches, and has it sent once that is
 * committed. */
bool webhook_record(Conn *c, Hub *hub, const WebhookEvent *event, Error *err);
/* A comment was hidden, or a discussion deleted (id: of either): what is still to be sent, or could
 * be sent again, forgets the text too. */
bool webhook_forget_text(Conn *c, const Repo *repo, Str id, Error *err);
/* Refs that moved outside of any transaction; those that did not move are left out. */
bool webhook_record_moves(Hub *hub, const Repo *repo, const RefMove *moves, size_t n, Error *err);

/* ---- webhook_sql.c ---- */

/* A row of webhook_events: what happened, for whom, and how to find out later who may know. */
typedef struct WebhookRecord {
    Str id;
    bool is_discussion; // the domain
    Repo repo;          // id, kind, full, creator, is_private and gated
    Str owner_id;
    bool is_gone; // the event is the end of this repository
    Str subjects; // what it happened to, a line each: see SUBJECTS
    Str payload;  // without webhook, and its URLs without our host
    Str cursor;   // the last webhook that was looked at
    int64_t created_ns;
} WebhookRecord;

/* What is watched is kept as an id once it is known, so that renaming does not end it, and as
 * "account:alice" or "model:alice/tiny" before. An event has up to so many such subjects. */
enum { SUBJECTS = 8 };

/* Where it is now, a webhook's and its delivery's row together. */
typedef struct WebhookTask {
    Webhook webhook; // id, url, secret, disabled
    Str owner_id;
    Delivery delivery;
    WebhookRecord record;
} WebhookTask;

bool sql_webhook_add(Conn *c, const Webhook *w, Str owner, Error *err);
bool sql_webhook_set(Conn *c, const Webhook *w, int64_t now, Error *err);
bool sql_webhook_watch(Conn *c, Str webhook, size_t place, const WebhookWatch *watch, Str subject,
                       Error *err);
bool sql_webhook_unwatch(Conn *c, Str webhook, Error *err);
/* With what they watch. id: one alone, else all of the owner's. */
bool sql_webhooks(Conn *c, Arena *a, Str owner, Str id, Webhook **out, size_t *n, Error *err);
/* Reason and failures begin anew. */
bool sql_webhook_disable(Conn *c, Str id, bool disabled, Str reason, Error *err);
bool sql_webhook_remove(Conn *c, Str id, Error *err);
/* Those who watch a repository by its id then watch its name; its end they still hear. */
bool sql_webhook_forget_repo(Conn *c, const Repo *repo, Error *err);

/* Owner and head of a repository. ERR_NO_REPO */
bool sql_webhook_repo(Conn *c, Arena *a, Str repo, Str *owner, Str *head, Error *err);
bool sql_webhook_is_watched(Conn *c, const Str subjects[SUBJECTS], bool is_discussion, bool *yes,
                            Error *err);
bool sql_webhook_record_add(Conn *c, const WebhookRecord *record, Error *err);
/* The oldest that has not been given to all who watch; ERR_NOT_FOUND if there is none. */
bool sql_webhook_record_next(Conn *c, Arena *a, WebhookRecord *out, Error *err);
/* The record of a repository's end. ERR_NOT_FOUND if nobody watched it, or nothing remembers. */
bool sql_webhook_record_end(Conn *c, Arena *a, Str repo, WebhookRecord *out, Error *err);
/* The next webhooks behind record->cursor that watch it, in order of id, and their owners. */
bool sql_webhook_watchers(Conn *c, Arena *a, const WebhookRecord *record, size_t max, Str *ids,
                          Str *owners, size_t *n, Error *err);
/* An empty cursor: all have it. */
bool sql_webhook_record_pass(Conn *c, Str record, Str cursor, Error *err);

/* Records of discussions of a repository that mention these words; at most 1,000. */
bool sql_webhook_records_with(Conn *c, Arena *a, Str repo, Str words, WebhookRecord **out,
                              size_t *n, Error *err);
bool sql_webhook_record_set(Conn *c, Str record, Str payload, Error *err);

bool sql_delivery_add(Conn *c, Str id, Str webhook, Str record, int64_t now, int64_t next_ns,
                      Error *err);
bool sql_delivery_count(Conn *c, Str webhook, int64_t since, int64_t *n, Error *err);
/* before: NULL, or a delivery's time and id. */
bool sql_deliveries(Conn *c, Arena *a, Str webhook, const Delivery *before, size_t max,
                    Delivery *out, size_t *n, Error *err);
/* By webhook and id; or with an empty id the webhook's next one that is due. ERR_NOT_FOUND */
bool sql_webhook_task(Conn *c, Arena *a, Str webhook, Str id, int64_t now, WebhookTask *out,
                      Error *err);
/* Webhooks with something that is due, the longest waiting first, and their owners. */
bool sql_webhooks_due(Conn *c, Arena *a, int64_t now, size_t max, Str *ids, Str *owners, size_t *n,
                      Error *err);
/* When the next one behind `now` is due; INT64_MAX for never. */
bool sql_delivery_next(Conn *c, int64_t now, int64_t *next_ns, Error *err);
/* State, attempts, status, took, problem, response, sent and next. */
bool sql_delivery_set(Conn *c, const Delivery *d, Error *err);
bool sql_delivery_remove(Conn *c, Str id, Error *err);
/* All of a webhook that wait. */
bool sql_deliveries_drop(Conn *c, Str webhook, Error *err);
/* One more given up, or (0) none any more: *in_row is how many in a row. */
bool sql_webhook_failures(Conn *c, Str webhook, bool failed, int64_t *in_row, Error *err);
/* Forgets some of what is older, or more than `most` of one webhook; *n: how many rows went. */
bool sql_webhooks_prune(Conn *c, int64_t before_ns, int64_t most, int64_t *n, Error *err);

/* ---- webhook_event.c, for the sender ---- */

/* The subjects' lines as an array, empty ones at its end. */
void webhook_subjects(Str lines, Str out[SUBJECTS]);
/* "account:alice", "model:alice/tiny" */
Str webhook_subject(Arena *a, const WebhookWatch *watch);
/* The body of a delivery. */
Str webhook_body(Arena *a, const WebhookRecord *record, Str webhook, const char *url);
/* May this account know of the event, as things are? */
bool webhook_may_know(Hub *hub, Arena *a, Str account, const WebhookRecord *record, bool *may,
                      Error *err);

/* ---- webhook_send.c ---- */

Webhooks *webhooks_new(void);
void webhooks_free(Hub *hub);
/* Something new to look at, once the transaction that is open has ended. */
void webhooks_wake(Hub *hub);
const struct Networks *webhooks_allowed(const Hub *hub);
const char *webhooks_url(Hub *hub);
