/* Notifications: what somebody should look at again, one for each discussion. There are three
 * reasons: to be mentioned in it, to have taken part in it, to watch it (or its repository, or
 * whose repository that is). Everybody watches what is their own and their organisations'.
 *
 * They are written with what caused them, in one transaction, for those who may read it then; and
 * are shown to those who still may: a repository that has become private, or is disabled, takes its
 * notifications along. They hold no text of their own. Threads and memory are as in hub.h. */
#pragma once

#include "hub/discussions.h"

enum NotificationReason {
    NOTIFIED_PARTICIPATING = 1,
    NOTIFIED_MENTIONED = 2,
    NOTIFIED_WATCHING = 4,
};

typedef struct Notification {
    RepoKind kind;
    Str repo; // full name
    Discussion discussion;
    Str event;        // the first one that was not read
    Str actor;        // who caused the last one; empty when the account is gone
    unsigned reasons; // of enum NotificationReason
    bool is_read;
    int64_t updated_ns;
    Str *people; // names of those who take part, at most five
    size_t n_people;
} Notification;

typedef struct NotificationQuery {
    bool unread;          // those alone
    unsigned reasons;     // one of these; 0: any
    const RepoKind *kind; // NULL: any
    Str repo;             // full name; empty: any
    int64_t until_ns;     // not updated after; 0: any
    int64_t skip, limit;  // limit: 1 to 100
} NotificationQuery;

typedef struct NotificationPage {
    Notification *items; // the newest first
    size_t n;
    int64_t view, unread, all; // how many the query finds, are not read, are there
} NotificationPage;

/* Each asks for user.notifications.read or .write: ERR_UNAUTHENTICATED, ERR_DENIED. */
bool notification_list(Hub *hub, Arena *a, const Viewer *viewer, const NotificationQuery *query,
                       NotificationPage *out, Error *err);
/* At most 100 are counted: for a bell. */
bool notification_unread(Hub *hub, const Viewer *viewer, int64_t *n, Error *err);
typedef enum NotificationMark {
    MARK_UNREAD,
    MARK_READ,
    MARK_GONE, // until something happens again
} NotificationMark;
/* Those of these discussions (ids), or where there are none all that the query finds. */
bool notification_mark(Hub *hub, const Viewer *viewer, const Str *discussions, size_t n,
                       const NotificationQuery *query, NotificationMark mark, Error *err);
/* The viewer (nobody is fine) looks at a discussion. */
bool notification_seen(Hub *hub, const Viewer *viewer, const Discussion *d, Error *err);

/* ---- What is watched ---- */

typedef enum WatchState {
    WATCH_DEFAULT, // one's own and one's organisations' are watched, and threads taken part in
    WATCH_ON,
    WATCH_OFF,
} WatchState;

typedef enum WatchKind { WATCH_REPO, WATCH_ACCOUNT, WATCH_THREAD } WatchKind;

typedef struct Watch {
    WatchKind kind;
    bool is_org; // of accounts
    RepoKind repo_kind;
    Str id;    // of the repository, account or discussion
    Str name;  // "me/x", "team"; of a thread its repository
    Str title; // of a thread
    int64_t num;
    bool is_on;
} Watch;

/* What "repo", "user" or "org" and an id, or a name ("me/x", "datasets/me/x", "team"), mean to this
 * viewer. ERR_INVALID, ERR_NOT_FOUND, ERR_NO_REPO. */
bool watch_find(Hub *hub, Arena *a, const Viewer *viewer, Str type, Str name, WatchKind *kind,
                Str *id, Error *err);
/* id: of something that the viewer has been shown to read. The more special word counts: a thread's
 * before its repository's, that before its owner's. ERR_LIMIT. */
bool watch_set(Hub *hub, const Viewer *viewer, WatchKind kind, Str id, WatchState state,
               Error *err);
/* Is the viewer told of what happens in this repository, or in a discussion of it (NULL: none)? */
bool watch_is_on(Hub *hub, const Viewer *viewer, const Repo *repo, const Discussion *d, bool *on,
                 Error *err);
/* What the viewer has said about it. */
bool watch_get(Hub *hub, const Viewer *viewer, Str id, WatchState *out, Error *err);
/* All that the viewer has said, of what they may still read; the newest first. */
bool watch_list(Hub *hub, Arena *a, const Viewer *viewer, Watch **out, size_t *n, Error *err);

/* ---- What is told at all ---- */

/* `off` has those NotificationReasons for which the viewer wants no notifications. */
bool notification_settings(Hub *hub, const Viewer *viewer, unsigned *off, Error *err);
bool notification_settings_set(Hub *hub, const Viewer *viewer, unsigned off, Error *err);
