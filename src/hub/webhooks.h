/* Webhooks: addresses that hear what happens to repositories and discussions.
 *
 * A webhook belongs to a user, watches accounts ("all that alice owns") or single repositories, and
 * gets events of the domains that it names. What happens is recorded with the change itself, in the
 * same transaction, and sent by threads of the hub's own: no request and no commit waits for
 * anybody's server. Whoever owns the webhook must be able to read the repository (and its files,
 * where a gate stands before them) at the time of sending; else nothing is sent, and nothing tells
 * that there was anything.
 *
 * A delivery is a POST of JSON in huggingface.co's form (version 3) with these headers:
 *
 *     X-Webhook-Secret: SECRET                the webhook's secret, if it has one
 *     X-Hub-Signature-256: sha256=HEX         HMAC-SHA256 of the body, with the secret as its key
 *     X-Webhook-Delivery: ID                  the same for each attempt and after a crash
 *
 * An answer of 200 to 299 ends it. Anything else is tried again, later and later, and given up in
 * the end; a webhook for which many in a row were given up is disabled. At least once, and in no
 * promised order: a crash between sending and noting it sends again. Only addresses of the open
 * internet are called, redirects are not followed, and proxies are not used.
 * Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

enum {
    MAX_WEBHOOKS = 100,        // of one user
    MAX_WATCHED = 100,         // of one webhook
    WEBHOOKS_A_DAY = 1000,     // deliveries of one webhook in 24 hours; more are left out
    WEBHOOK_GIVES_UP = 20,     // deliveries given up in a row, and it is disabled
    WEBHOOK_LOG_DAYS = 30,     // deliveries are remembered this long,
    WEBHOOK_LOG_LENGTH = 1000, //   and so many of each webhook
};

typedef struct WebhookWatch {
    Str type; // "user", "org", "model", "dataset" or "space"
    Str name; // "alice", "alice/tiny"
} WebhookWatch;

typedef struct Webhook {
    Str id;
    Str url, secret;
    WebhookWatch *watched;
    size_t n_watched;
    bool on_repo, on_discussion; // the domains
    bool disabled;
    Str reason; // why, if it was not its owner who disabled it
    int64_t created_ns;
    int64_t today; // deliveries of the last 24 hours; of webhook_find alone
} Webhook;

typedef struct WebhookChange {
    const Str *url, *secret; // NULL: as it is
    const WebhookWatch *watched;
    size_t n_watched; // 0: as they are
    const bool *on_repo, *on_discussion;
} WebhookChange;

/* All are about the viewer's own webhooks; whether a token may is asked before (MAY_WEBHOOK_READ,
 * MAY_WEBHOOK_WRITE). What is watched need not exist, so that nobody learns of it by watching.
 * ERR_INVALID, ERR_DENIED for an address that is not public, ERR_LIMIT. */
bool webhook_create(Hub *hub, Arena *a, const Viewer *viewer, const WebhookChange *with,
                    Webhook *out, Error *err);
/* The newest first. */
bool webhook_list(Hub *hub, Arena *a, const Viewer *viewer, Webhook **out, size_t *n, Error *err);
/* ERR_NOT_FOUND */
bool webhook_find(Hub *hub, Arena *a, const Viewer *viewer, Str id, Webhook *out, Error *err);
bool webhook_change(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w,
                    const WebhookChange *change, Error *err);
/* What waits to be sent is dropped with disabling it. */
bool webhook_enable(Hub *hub, const Webhook *w, bool enable, Error *err);
bool webhook_delete(Hub *hub, const Webhook *w, Error *err);

/* ---- Its log ---- */

typedef struct Delivery {
    Str id;
    Str state; // "waiting", "delivered", "failed" (given up) or "dropped"
    int64_t attempts;
    int64_t status;  // of the last answer; 0: there was none
    int64_t took_ms; // the last attempt
    Str problem;     // why there was no answer
    int64_t created_ns, sent_ns, next_ns;
    Str action, scope;     // "update", "repo.content"
    Str repo_type, repo;   // "model", "alice/tiny"; empty for a test
    Str request, response; // bodies; of delivery_find alone
    bool response_cut;     // there was more of it
} Delivery;

/* The newest first. before: the id of the last one of the page before; empty for the first. */
bool delivery_list(Hub *hub, Arena *a, const Webhook *w, Str before, int64_t limit, Delivery **out,
                   size_t *n, bool *more, Error *err);
/* ERR_NOT_FOUND */
bool delivery_find(Hub *hub, Arena *a, const Webhook *w, Str id, Delivery *out, Error *err);
/* The same event once more, as a new delivery: *id. ERR_NO_REPO when it may not be seen any more,
 * ERR_INVALID while the webhook is disabled, ERR_RATE. */
bool delivery_replay(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w, Str id,
                     Str *new_id, Error *err);
/* An event about a repository that does not exist, to see whether anybody listens. */
bool webhook_test(Hub *hub, Arena *a, const Viewer *viewer, const Webhook *w, Str *delivery,
                  Error *err);

/* ---- Sending ---- */

typedef struct WebhookOptions {
    const char *allow; // networks that may be called though they are not public; NULL: none
    int64_t retry_s;   // until the second attempt; each next one comes five times later
    int64_t attempts;  // and then it is given up
} WebhookOptions;
/* Before requests come in. Without it nothing private is called. ERR_INVALID. */
bool webhooks_set(Hub *hub, const WebhookOptions *options, Error *err);
/* Starts sending. url: "http://127.0.0.1:7860", how payloads name this hub. hub_close ends it. */
bool webhooks_start(Hub *hub, const char *url, Error *err);
