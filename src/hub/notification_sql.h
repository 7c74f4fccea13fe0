/* The statements about notifications; see hub_sql.h. */
#pragma once

#include "hub/hub_sql.h"
#include "hub/mentions.h"
#include "hub/notifications.h"

/* Something has happened in a discussion: for the transaction that stores it. */
typedef struct Notice {
    Str repo, discussion, event, actor; // ids
    const Mentions *mentions;           // NULL: nobody's
    bool mentions_only;                 // an edit
    int64_t now;
} Notice;
bool sql_notify(Conn *c, const Notice *notice, Error *err);

bool sql_notifications(Conn *c, Arena *a, const Viewer *viewer, const NotificationQuery *query,
                       NotificationPage *out, Error *err);
bool sql_notification_unread(Conn *c, const Viewer *viewer, int64_t *n, Error *err);
bool sql_notification_is_unread(Conn *c, Str user, Str discussion, bool *unread, Error *err);
bool sql_notification_mark(Conn *c, Str user, Str discussion, NotificationMark mark, Error *err);
/* All that the query finds. */
bool sql_notifications_mark(Conn *c, const Viewer *viewer, const NotificationQuery *query,
                            NotificationMark mark, Error *err);

enum { MAX_WATCHES = 5000 };
bool sql_watch_set(Conn *c, Str user, WatchKind kind, Str target, WatchState state, int64_t now,
                   Error *err);
bool sql_watch_get(Conn *c, Str user, Str target, WatchState *out, Error *err);
bool sql_watch_is_on(Conn *c, Str user, Str repo, Str discussion, bool *on, Error *err);
bool sql_watch_count(Conn *c, Str user, int64_t *n, Error *err);
bool sql_watch_list(Conn *c, Arena *a, const Viewer *viewer, Watch **out, size_t *n, Error *err);
/* Nobody watches what is gone. */
bool sql_watches_forget(Conn *c, Str target, Error *err);

bool sql_notification_settings(Conn *c, Str user, unsigned *off, Error *err);
bool sql_notification_settings_set(Conn *c, Str user, unsigned off, Error *err);
