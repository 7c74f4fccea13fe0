/* notification.c: notifications and what is watched; see notifications.h. */
#include "hub/notifications.h"

#include "base/clock.h"
#include "hub/hub_internal.h"
#include "hub/notification_sql.h"

/* The query as the statements want it: names in lower case. */
static bool query_check(Arena *a, const NotificationQuery *query, NotificationQuery *out,
                        Error *err)
{
    *out = *query;
    out->repo = name_key(a, query->repo);
    if (query->limit < 1 || query->limit > 100 || query->skip < 0)
        return fail(err, ERR_INVALID, "notifications: a page has 1 to 100");
    return true;
}

bool notification_list(Hub *hub, Arena *a, const Viewer *viewer, const NotificationQuery *query,
                       NotificationPage *out, Error *err)
{
    NotificationQuery asked;
    if (!viewer_need(viewer, MAY_NOTIFICATION_READ, err) || !query_check(a, query, &asked, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_notifications(c, a, viewer, &asked, out, err);
}

bool notification_unread(Hub *hub, const Viewer *viewer, int64_t *n, Error *err)
{
    *n = 0;
    if (!viewer_need(viewer, MAY_NOTIFICATION_READ, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_notification_unread(c, viewer, n, err);
}

bool notification_mark(Hub *hub, const Viewer *viewer, const Str *discussions, size_t n,
                       const NotificationQuery *query, NotificationMark mark, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    NotificationQuery asked = {0};
    if (!viewer_need(viewer, MAY_NOTIFICATION_WRITE, err) ||
        (!n && !query_check(a, query, &asked, err)))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!sql_notification_mark(c, viewer->account.id, discussions[i], mark, err))
            return false;
    return (n || sql_notifications_mark(c, viewer, &asked, mark, err)) && conn_commit(c, err);
}

bool notification_seen(Hub *hub, const Viewer *viewer, const Discussion *d, Error *err)
{
    bool unread = false;
    if (viewer->by == BY_NOBODY)
        return true;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_notification_is_unread(c, viewer->account.id, d->id, &unread, err))
            return false;
    }
    if (!unread) // nearly always: nothing is written
        return true;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_notification_mark(c, viewer->account.id, d->id, MARK_READ, err) &&
           conn_commit(c, err);
}

/* ---- What is watched ---- */

/* By id: under whichever kind its name leads to it. */
static bool repo_of_id(Hub *hub, Arena *a, const Viewer *viewer, Str id, Repo *out, Error *err)
{
    Str full;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_repo_name(c, a, id, &full, err))
            return false;
    }
    for (int kind = 0; kind < REPO_KINDS; kind++)
        if (repo_find(hub, a, viewer, (RepoKind)kind, full, ACCESS_READ, out, NULL) &&
            str_eq(out->id, id))
            return true;
    return fail(err, ERR_NO_REPO, "Repository not found");
}

static bool repo_of_name(Hub *hub, Arena *a, const Viewer *viewer, Str name, Repo *out, Error *err)
{
    RepoKind kind = REPO_MODEL, named;
    size_t slash = str_find_char(name, '/', 0);
    if (slash == SIZE_MAX)
        return repo_of_id(hub, a, viewer, name, out, err);
    if (str_find_char(name, '/', slash + 1) != SIZE_MAX &&
        repo_kind_parse(str_slice(name, 0, slash), &named)) {
        kind = named;
        name = str_slice(name, slash + 1, name.len);
    }
    return repo_find(hub, a, viewer, kind, name, ACCESS_READ, out, err);
}

bool watch_find(Hub *hub, Arena *a, const Viewer *viewer, Str type, Str name, WatchKind *kind,
                Str *id, Error *err)
{
    Account account;
    Repo repo;
    if (str_eq(type, S("repo"))) {
        if (!repo_of_name(hub, a, viewer, name, &repo, err))
            return false;
        *kind = WATCH_REPO;
        *id = repo.id;
        return true;
    }
    if (!str_eq(type, S("user")) && !str_eq(type, S("org")))
        return fail(err, ERR_INVALID, "type: org, user or repo");
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || (!sql_account_by_id(c, a, name, &account, NULL) &&
                   !sql_account_by_key(c, a, name_key(a, name), &account, NULL, err)))
            return false;
    }
    *kind = WATCH_ACCOUNT;
    *id = account.id;
    return true;
}

bool watch_set(Hub *hub, const Viewer *viewer, WatchKind kind, Str id, WatchState state, Error *err)
{
    int64_t n = 0;
    if (!viewer_need(viewer, MAY_NOTIFICATION_WRITE, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_watch_count(c, viewer->account.id, &n, err))
        return false;
    if (n >= MAX_WATCHES && state != WATCH_DEFAULT)
        return fail(err, ERR_LIMIT, "nobody watches more than %d things", MAX_WATCHES);
    return sql_watch_set(c, viewer->account.id, kind, id, state, wall_ns(), err) &&
           conn_commit(c, err);
}

bool watch_get(Hub *hub, const Viewer *viewer, Str id, WatchState *out, Error *err)
{
    *out = WATCH_DEFAULT;
    if (viewer->by == BY_NOBODY)
        return true;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_watch_get(c, viewer->account.id, id, out, err);
}

bool watch_is_on(Hub *hub, const Viewer *viewer, const Repo *repo, const Discussion *d, bool *on,
                 Error *err)
{
    *on = false;
    if (viewer->by == BY_NOBODY)
        return true;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_watch_is_on(c, viewer->account.id, repo->id, d ? d->id : S(""), on, err);
}

bool watch_list(Hub *hub, Arena *a, const Viewer *viewer, Watch **out, size_t *n, Error *err)
{
    if (!viewer_need(viewer, MAY_NOTIFICATION_READ, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_watch_list(c, a, viewer, out, n, err);
}

/* ---- What is told at all ---- */

bool notification_settings(Hub *hub, const Viewer *viewer, unsigned *off, Error *err)
{
    if (!viewer_need(viewer, MAY_NOTIFICATION_READ, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_notification_settings(c, viewer->account.id, off, err);
}

bool notification_settings_set(Hub *hub, const Viewer *viewer, unsigned off, Error *err)
{
    if (!viewer_need(viewer, MAY_NOTIFICATION_WRITE, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_notification_settings_set(c, viewer->account.id, off, err) &&
           conn_commit(c, err);
}
