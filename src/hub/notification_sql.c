/* notification_sql.c: the statements about notifications and watching; see hub_sql.h.
 *
 * Who is told of something is found in one statement: candidates with their reasons, of whom those
 * stay who may read the repository and have not said that they do not want to know. */
#include "hub/notification_sql.h"

#include "hub/hub_internal.h"

/* ---- Telling ---- */

/* May the account see the repository? As SQL_VISIBLE, for one that is not asking. */
#define READS                                                                                      \
    "accounts.is_org = 0 AND repos.is_disabled = 0 AND (repos.is_private = 0"                      \
    " OR repos.owner_id = accounts.id OR accounts.is_admin = 1 OR EXISTS (SELECT 1 FROM members"   \
    " WHERE members.org_id = repos.owner_id AND members.user_id = accounts.id))"

/* What the account has said about watching something; null if nothing. */
#define SAID(target)                                                                               \
    "(SELECT w.is_on FROM watches w WHERE w.user_id = accounts.id AND w.target_id = " target ")"

/* There is one for each discussion: it comes back, and leads to the first that was not read. */
#define AGAIN                                                                                      \
    " ON CONFLICT (user_id, discussion_id) DO UPDATE SET event_id = CASE WHEN"                     \
    " notifications.is_read = 1 THEN excluded.event_id ELSE notifications.event_id END,"           \
    " reasons = notifications.reasons | excluded.reasons, is_read = 0,"                            \
    " updated_ns = excluded.updated_ns"

#define INTO                                                                                       \
    "INSERT INTO notifications (user_id, discussion_id, event_id, reasons, is_read, updated_ns) "

/* $1 is the discussion, $2 the event, $3 the time, $4 the repository, $5 who did it. */
static const char tell[] =
    INTO "SELECT accounts.id, $1, $2, CAST(sum(DISTINCT who.reason) AS BIGINT), 0, $3"
         " FROM repos, accounts,"
         " (SELECT d.author_id AS id, 1 AS reason FROM discussions d WHERE d.id = $1"
         " UNION ALL SELECT e.author_id, 1 FROM discussion_events e"
         " WHERE e.discussion_id = $1 AND e.kind = 'comment'"
         " UNION ALL SELECT w.user_id, 4 FROM watches w WHERE w.is_on = 1 AND (w.target_id = $1"
         " OR w.target_id = $4 OR w.target_id = (SELECT r.owner_id FROM repos r WHERE r.id = $4))"
         " UNION ALL SELECT r.owner_id, 4 FROM repos r WHERE r.id = $4"
         " UNION ALL SELECT m.user_id, 4 FROM members m JOIN repos r ON r.owner_id = m.org_id"
         " WHERE r.id = $4) who"
         " WHERE repos.id = $4 AND accounts.id = who.id AND accounts.id <> $5 AND " READS
         " AND (accounts.notify_off & who.reason) = 0"
         " AND (who.reason <> 1 OR coalesce(" SAID(
             "$1") ", 1) = 1)"
                   " AND (who.reason <> 4 OR coalesce(" SAID("$1") ", " SAID("$4") ", " SAID(
                       "repos.owner_id") ", 1) = 1)"
                                         " GROUP BY accounts.id" AGAIN;

/* The same, and $6 is a name in lower case, perhaps one of before. */
static const char mention[] =
    INTO "SELECT accounts.id, $1, $2, 2, 0, $3 FROM repos, accounts WHERE repos.id = $4"
         " AND accounts.id <> $5 AND (accounts.key = $6 OR accounts.id IN"
         " (SELECT account_id FROM account_names WHERE key = $6)) AND " READS
         " AND (accounts.notify_off & 2) = 0" AGAIN;

static bool tell_by(Conn *c, const char *sql, const Notice *n, Str key, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, sql);
    bind_str(q, n->discussion);
    bind_str(q, n->event);
    bind_int(q, n->now);
    bind_str(q, n->repo);
    bind_str(q, n->actor);
    if (sql == mention)
        bind_str(q, key);
    return query_run(q, err);
}

bool sql_notify(Conn *c, const Notice *notice, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!notice->mentions_only && !tell_by(c, tell, notice, S(""), err))
        return false;
    for (size_t i = 0; notice->mentions && i < notice->mentions->n; i++)
        if (!tell_by(c, mention, notice, name_key(a, notice->mentions->names[i]), err))
            return false;
    // Whoever takes part has seen what was there.
    return sql_notification_mark(c, notice->actor, notice->discussion, MARK_READ, err);
}

/* ---- Lists ---- */

/* What both pages and counts are limited to; binds follow in filter_bind. */
#define FILTER                                                                                     \
    " FROM notifications n JOIN discussions d ON d.id = n.discussion_id"                           \
    " JOIN repos ON repos.id = d.repo_id WHERE " SQL_VISIBLE(                                      \
        "$1", "$2",                                                                                \
        "$3") " AND repos.is_disabled = 0 AND n.user_id = $2 AND ($4 = 0 OR n.is_read = 0)"        \
              " AND ($5 = 0 OR (n.reasons & $5) <> 0) AND ($6 < 0 OR repos.kind = $6)"             \
              " AND ($7 = '' OR repos.key = $7) AND ($8 = 0 OR n.updated_ns <= $8)"

static void filter_bind(Query *q, const Viewer *viewer, const NotificationQuery *query)
{
    bind_viewer(q, viewer);
    bind_int(q, query->unread);
    bind_int(q, query->reasons);
    bind_int(q, query->kind ? (int64_t)*query->kind : -1);
    bind_str(q, query->repo);
    bind_int(q, query->until_ns);
}

static bool count(Conn *c, const Viewer *viewer, const NotificationQuery *query, int64_t *n,
                  Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT count(*)" FILTER);
    filter_bind(q, viewer, query);
    return query_count(q, n, err);
}

static bool people(Conn *c, Arena *a, Notification *n, Error *err)
{
    enum { SHOWN = 5 };
    n->people = NEW_ARRAY(a, Str, SHOWN);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT accounts.name FROM discussion_events e"
                             " JOIN accounts ON accounts.id = e.author_id"
                             " WHERE e.discussion_id = $1 AND e.kind = 'comment'"
                             " GROUP BY accounts.id, accounts.name ORDER BY min(e.created_ns)"
                             " LIMIT 5");
    bind_str(q, n->discussion.id);
    while (n->n_people < SHOWN && query_next(q))
        n->people[n->n_people++] = row_str(q, a);
    return query_ok(q, err);
}

static void notification_row(Query *q, Arena *a, Notification *out)
{
    *out = (Notification){0};
    out->kind = (RepoKind)row_int(q);
    out->repo = row_str(q, a);
    out->discussion.id = row_str(q, a);
    out->discussion.num = row_int(q);
    out->discussion.title = row_str(q, a);
    out->discussion.status = row_str(q, a);
    out->discussion.is_pull = row_int(q) != 0;
    out->event = row_str(q, a);
    out->reasons = (unsigned)row_int(q);
    out->is_read = row_int(q) != 0;
    out->updated_ns = row_int(q);
    out->actor = row_str(q, a);
}

bool sql_notifications(Conn *c, Arena *a, const Viewer *viewer, const NotificationQuery *query,
                       NotificationPage *out, Error *err)
{
    static const NotificationQuery any, unread = {.unread = true};
    *out = (NotificationPage){.items = NEW_ARRAY(a, Notification, query->limit)};
    {
        AUTO(query_end)
        Query *q = query_open(
            c, "SELECT repos.kind, repos.full_name, d.id, d.num, d.title, d.status, d.is_pull,"
               " n.event_id, n.reasons, n.is_read, n.updated_ns,"
               " coalesce((SELECT accounts.name FROM discussion_events e"
               " LEFT JOIN accounts ON accounts.id = e.author_id WHERE e.discussion_id = d.id"
               " ORDER BY e.created_ns DESC, e.id DESC LIMIT 1), '')" FILTER
               " ORDER BY n.updated_ns DESC, d.id LIMIT $9 OFFSET $10");
        filter_bind(q, viewer, query);
        bind_int(q, query->limit);
        bind_int(q, query->skip);
        while (out->n < (size_t)query->limit && query_next(q))
            notification_row(q, a, &out->items[out->n++]);
        if (!query_ok(q, err))
            return false;
    }
    for (size_t i = 0; i < out->n; i++)
        if (!people(c, a, &out->items[i], err))
            return false;
    return count(c, viewer, query, &out->view, err) &&
           count(c, viewer, &unread, &out->unread, err) && count(c, viewer, &any, &out->all, err);
}

bool sql_notification_unread(Conn *c, const Viewer *viewer, int64_t *n, Error *err)
{
    static const NotificationQuery unread = {.unread = true};
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*) FROM (SELECT 1" FILTER " LIMIT 100) found");
    filter_bind(q, viewer, &unread);
    return query_count(q, n, err);
}

bool sql_notification_is_unread(Conn *c, Str user, Str discussion, bool *unread, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT 1 FROM notifications WHERE user_id = $1"
                             " AND discussion_id = $2 AND is_read = 0");
    bind_str(q, user);
    bind_str(q, discussion);
    *unread = query_next(q);
    return query_ok(q, err);
}

/* ---- Marking ---- */

#define MARKS(where)                                                                               \
    {                                                                                              \
        [MARK_UNREAD] = "UPDATE notifications SET is_read = 0" where,                              \
        [MARK_READ] = "UPDATE notifications SET is_read = 1" where,                                \
        [MARK_GONE] = "DELETE FROM notifications" where                                            \
    }

bool sql_notification_mark(Conn *c, Str user, Str discussion, NotificationMark mark, Error *err)
{
    static const char *const marks[] = MARKS(" WHERE user_id = $1 AND discussion_id = $2");
    AUTO(query_end) Query *q = query_open(c, marks[mark]);
    bind_str(q, user);
    bind_str(q, discussion);
    return query_run(q, err);
}

bool sql_notifications_mark(Conn *c, const Viewer *viewer, const NotificationQuery *query,
                            NotificationMark mark, Error *err)
{
    static const char *const marks[] =
        MARKS(" WHERE discussion_id IN (SELECT n.discussion_id" FILTER ") AND user_id = $2");
    AUTO(query_end) Query *q = query_open(c, marks[mark]);
    filter_bind(q, viewer, query);
    return query_run(q, err);
}

/* ---- Watching ---- */

bool sql_watch_set(Conn *c, Str user, WatchKind kind, Str target, WatchState state, int64_t now,
                   Error *err)
{
    AUTO(query_end)
    Query *clear = query_open(c, "DELETE FROM watches WHERE user_id = $1 AND target_id = $2");
    bind_str(clear, user);
    bind_str(clear, target);
    if (!query_run(clear, err) || state == WATCH_DEFAULT)
        return query_ok(clear, err);
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO watches (user_id, target_id, kind, is_on, created_ns)"
                             " VALUES ($1, $2, $3, $4, $5)");
    bind_str(q, user);
    bind_str(q, target);
    bind_int(q, kind);
    bind_int(q, state == WATCH_ON);
    bind_int(q, now);
    return query_run(q, err);
}

bool sql_watch_get(Conn *c, Str user, Str target, WatchState *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT is_on FROM watches WHERE user_id = $1 AND target_id = $2");
    bind_str(q, user);
    bind_str(q, target);
    *out = WATCH_DEFAULT;
    if (query_next(q))
        *out = row_int(q) ? WATCH_ON : WATCH_OFF;
    return query_ok(q, err);
}

bool sql_watch_is_on(Conn *c, Str user, Str repo, Str discussion, bool *on, Error *err)
{
    // $1 is the user, $2 the discussion; the same order of words as in `tell`.
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT coalesce("
           "(SELECT w.is_on FROM watches w WHERE w.user_id = $1 AND w.target_id = $2),"
           " (SELECT max(1) FROM discussion_events e WHERE e.author_id = $1"
           " AND e.discussion_id = $2 AND e.kind = 'comment'),"
           " (SELECT w.is_on FROM watches w WHERE w.user_id = $1 AND w.target_id = repos.id),"
           " (SELECT w.is_on FROM watches w WHERE w.user_id = $1 AND w.target_id = repos.owner_id),"
           " CASE WHEN repos.owner_id = $1 THEN 1 ELSE 0 END + (SELECT count(*) FROM members"
           " WHERE members.user_id = $1 AND members.org_id = repos.owner_id))"
           " FROM repos WHERE repos.id = $3");
    bind_str(q, user);
    bind_str(q, discussion);
    bind_str(q, repo);
    *on = query_next(q) && row_int(q) > 0;
    return query_ok(q, err);
}

bool sql_watch_count(Conn *c, Str user, int64_t *n, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT count(*) FROM watches WHERE user_id = $1");
    bind_str(q, user);
    return query_count(q, n, err);
}

static void watch_row(Query *q, Arena *a, Watch *out)
{
    *out = (Watch){.kind = (WatchKind)row_int(q)};
    out->id = row_str(q, a);
    out->is_on = row_int(q) != 0;
    out->is_org = row_int(q) != 0;
    Str account = row_str(q, a);
    out->repo_kind = (RepoKind)row_int(q);
    Str repo = row_str(q, a);
    out->name = out->kind == WATCH_ACCOUNT ? account : repo;
    out->title = row_str(q, a);
    out->num = row_int(q);
}

bool sql_watch_list(Conn *c, Arena *a, const Viewer *viewer, Watch **out, size_t *n, Error *err)
{
    *out = NEW_ARRAY(a, Watch, MAX_WATCHES);
    *n = 0;
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT w.kind, w.target_id, w.is_on, accounts.is_org, accounts.name, repos.kind,"
           " repos.full_name, d.title, d.num FROM watches w"
           " LEFT JOIN accounts ON w.kind = 1 AND accounts.id = w.target_id"
           " LEFT JOIN discussions d ON w.kind = 2 AND d.id = w.target_id"
           " LEFT JOIN repos ON repos.id = CASE WHEN w.kind = 0 THEN w.target_id"
           " ELSE d.repo_id END WHERE (accounts.id IS NOT NULL OR (repos.id IS NOT NULL"
           " AND repos.is_disabled = 0 AND " SQL_VISIBLE(
               "$1", "$2",
               "$3") "))"
                     " AND w.user_id = $2 ORDER BY w.created_ns DESC, w.target_id LIMIT 5000");
    bind_viewer(q, viewer);
    while (*n < MAX_WATCHES && query_next(q))
        watch_row(q, a, &(*out)[(*n)++]);
    return query_ok(q, err);
}

bool sql_watches_forget(Conn *c, Str target, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM watches WHERE target_id = $1");
    bind_str(q, target);
    return query_run(q, err);
}

/* ---- What is told at all ---- */

bool sql_notification_settings(Conn *c, Str user, unsigned *off, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT notify_off FROM accounts WHERE id = $1");
    bind_str(q, user);
    *off = query_next(q) ? (unsigned)row_int(q) : 0;
    return query_ok(q, err);
}

bool sql_notification_settings_set(Conn *c, Str user, unsigned off, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE accounts SET notify_off = $1 WHERE id = $2");
    bind_int(q, off);
    bind_str(q, user);
    return query_run(q, err);
}
