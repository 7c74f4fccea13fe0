/* discussion_sql.c: the statements about discussions and their events; see hub_sql.h. */
#include "hub/hub_sql.h"

#include "base/clock.h"
#include "base/map.h"

enum { MAX_EVENTS = 10000 };

#define DISCUSSION_COLUMNS                                                                         \
    "d.id, d.num, d.title, d.status, d.is_pull, d.is_pinned, d.author_id,"                         \
    " coalesce(accounts.name, ''), d.base, d.base_sha, d.merge_commit, d.created_ns, "             \
    "d.updated_ns,"                                                                                \
    " (SELECT count(*) FROM discussion_events e WHERE e.discussion_id = d.id"                      \
    " AND e.kind = 'comment') FROM discussions d LEFT JOIN accounts ON accounts.id = d.author_id "

static void discussion_row(Query *q, Arena *a, Discussion *out)
{
    *out = (Discussion){0};
    out->id = row_str(q, a);
    out->num = row_int(q);
    out->title = row_str(q, a);
    out->status = row_str(q, a);
    out->is_pull = row_int(q) != 0;
    out->is_pinned = row_int(q) != 0;
    out->author_id = row_str(q, a);
    out->author = row_str(q, a);
    out->base = row_str(q, a);
    out->base_sha = row_str(q, a);
    out->merge_commit = row_str(q, a);
    out->created_ns = row_int(q);
    out->updated_ns = row_int(q);
    out->comments = row_int(q);
}

bool sql_discussion_number(Conn *c, Str repo, int64_t *num, Error *err)
{
    AUTO(query_end)
    Query *add = query_open(c, "UPDATE repos SET discussions = discussions + 1 WHERE id = $1");
    bind_str(add, repo);
    if (!query_run(add, err))
        return false;
    AUTO(query_end) Query *q = query_open(c, "SELECT discussions FROM repos WHERE id = $1");
    bind_str(q, repo);
    if (query_next(q)) {
        *num = row_int(q);
        return true;
    }
    return query_ok(q, err) && fail(err, ERR_NO_REPO, "Repository not found");
}

bool sql_discussion_add(Conn *c, Str repo, const Discussion *d, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO discussions (id, repo_id, num, title, status, is_pull,"
                             " is_pinned, author_id, base, base_sha, merge_commit, created_ns,"
                             " updated_ns) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, '', $10,"
                             " $11)");
    bind_str(q, d->id);
    bind_str(q, repo);
    bind_int(q, d->num);
    bind_str(q, d->title);
    bind_str(q, d->status);
    bind_int(q, d->is_pull);
    bind_str(q, d->author_id);
    bind_str(q, d->base);
    bind_str(q, d->base_sha);
    bind_int(q, d->created_ns);
    bind_int(q, d->created_ns);
    return query_run(q, err);
}

bool sql_discussion_find(Conn *c, Arena *a, Str repo, int64_t num, Discussion *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " DISCUSSION_COLUMNS "WHERE d.repo_id = $1 AND d.num = $2");
    bind_str(q, repo);
    bind_int(q, num);
    if (!query_next(q))
        return query_ok(q, err) &&
               fail(err, ERR_NOT_FOUND, "There is no discussion %lld", (long long)num);
    discussion_row(q, a, out);
    return true;
}

/* What both the page and its count are limited to; binds follow in list_bind. */
#define LIST_WHERE                                                                                 \
    "WHERE d.repo_id = $1 AND ($2 < 0 OR d.is_pull = $3)"                                          \
    " AND ($4 = '' OR ($5 = 'open') = (d.status IN ('open', 'draft')))"                            \
    " AND ($6 = '' OR lower(coalesce(accounts.name, '')) = lower($7)) "

static void list_bind(Query *q, Str repo, const DiscussionQuery *query)
{
    int64_t kind = query->is_pull ? *query->is_pull : -1;
    bind_str(q, repo);
    bind_int(q, kind);
    bind_int(q, kind);
    bind_str(q, query->status);
    bind_str(q, query->status);
    bind_str(q, query->author);
    bind_str(q, query->author);
}

bool sql_discussion_list(Conn *c, Arena *a, Str repo, const DiscussionQuery *query,
                         DiscussionPage *out, Error *err)
{
    *out = (DiscussionPage){.items = NEW_ARRAY(a, Discussion, query->limit)};
    AUTO(query_end)
    Query *count = query_open(c, "SELECT count(*) FROM discussions d LEFT JOIN accounts"
                                 " ON accounts.id = d.author_id " LIST_WHERE);
    list_bind(count, repo, query);
    if (query_next(count))
        out->total = row_int(count);
    if (!query_ok(count, err))
        return false;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " DISCUSSION_COLUMNS LIST_WHERE
                             "ORDER BY d.is_pinned DESC, d.num DESC LIMIT $8 OFFSET $9");
    list_bind(q, repo, query);
    bind_int(q, query->limit);
    bind_int(q, query->skip);
    while (out->n < (size_t)query->limit && query_next(q))
        discussion_row(q, a, &out->items[out->n++]);
    return query_ok(q, err);
}

bool sql_discussion_set(Conn *c, const Discussion *d, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE discussions SET title = $1, status = $2, is_pinned = $3,"
                             " merge_commit = $4, updated_ns = $5 WHERE id = $6");
    bind_str(q, d->title);
    bind_str(q, d->status);
    bind_int(q, d->is_pinned);
    bind_str(q, d->merge_commit);
    bind_int(q, now);
    bind_str(q, d->id);
    return query_run(q, err);
}

bool sql_discussion_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM discussions WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

/* ---- Events ---- */

#define EVENT_COLUMNS                                                                              \
    "e.id, e.kind, e.author_id, coalesce(accounts.name, ''), e.created_ns, e.text, e.other,"       \
    " e.is_hidden, e.edits, e.edited_ns FROM discussion_events e"                                  \
    " LEFT JOIN accounts ON accounts.id = e.author_id "

static void event_row(Query *q, Arena *a, DiscussionEvent *out)
{
    *out = (DiscussionEvent){0};
    out->id = row_str(q, a);
    out->kind = row_str(q, a);
    out->author_id = row_str(q, a);
    out->author = row_str(q, a);
    out->created_ns = row_int(q);
    out->text = row_str(q, a);
    out->other = row_str(q, a);
    out->is_hidden = row_int(q) != 0;
    out->edits = row_int(q);
    out->edited_ns = row_int(q);
}

bool sql_event_add(Conn *c, Str discussion, const DiscussionEvent *event, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO discussion_events (id, discussion_id, kind, author_id,"
                             " created_ns, text, other, is_hidden, edits, edited_ns)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0)");
    bind_str(q, event->id);
    bind_str(q, discussion);
    bind_str(q, event->kind);
    bind_str(q, event->author_id);
    bind_int(q, event->created_ns);
    bind_str(q, event->text);
    bind_str(q, event->other);
    return query_run(q, err);
}

bool sql_event_list(Conn *c, Arena *a, Str discussion, DiscussionEvent **out, size_t *n, Error *err)
{
    *out = NEW_ARRAY(a, DiscussionEvent, MAX_EVENTS);
    *n = 0;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " EVENT_COLUMNS "WHERE e.discussion_id = $1"
                             " ORDER BY e.created_ns, e.id LIMIT 10000");
    bind_str(q, discussion);
    while (*n < MAX_EVENTS && query_next(q))
        event_row(q, a, &(*out)[(*n)++]);
    return query_ok(q, err);
}

bool sql_event_find(Conn *c, Arena *a, Str discussion, Str id, DiscussionEvent *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " EVENT_COLUMNS "WHERE e.discussion_id = $1 AND e.id = $2");
    bind_str(q, discussion);
    bind_str(q, id);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "There is no such comment");
    event_row(q, a, out);
    return true;
}

bool sql_event_set(Conn *c, const DiscussionEvent *event, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE discussion_events SET text = $1, is_hidden = $2, edits = $3,"
                             " edited_ns = $4 WHERE id = $5");
    bind_str(q, event->text);
    bind_int(q, event->is_hidden);
    bind_int(q, event->edits);
    bind_int(q, event->edited_ns);
    bind_str(q, event->id);
    return query_run(q, err);
}

/* ---- Reactions ---- */

bool sql_reaction_set(Conn *c, Str event, Str user, Str emoji, bool on, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, on ? "INSERT INTO reactions (event_id, user_id, emoji, created_ns)"
                                  " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
                                : "DELETE FROM reactions WHERE event_id = $1 AND user_id = $2"
                                  " AND emoji = $3");
    bind_str(q, event);
    bind_str(q, user);
    bind_str(q, emoji);
    if (on)
        bind_int(q, wall_ns());
    return query_run(q, err);
}

/* Appends a name to the event's reaction of that emoji. Arrays are full at each power of two. */
static void reaction_add(Arena *a, DiscussionEvent *event, Str emoji, Str user)
{
    size_t i = 0;
    while (i < event->n_reactions && !str_eq(event->reactions[i].emoji, emoji))
        i++;
    if (i == event->n_reactions) {
        if ((i & (i - 1)) == 0) {
            Reaction *more = NEW_ARRAY(a, Reaction, i ? 2 * i : 1);
            if (i)
                memcpy(more, event->reactions, i * sizeof *more);
            event->reactions = more;
        }
        event->reactions[event->n_reactions++] = (Reaction){.emoji = emoji};
    }
    Reaction *r = &event->reactions[i];
    if ((r->n & (r->n - 1)) == 0) {
        Str *more = NEW_ARRAY(a, Str, r->n ? 2 * r->n : 1);
        if (r->n)
            memcpy(more, r->users, r->n * sizeof *more);
        r->users = more;
    }
    r->users[r->n++] = user;
}

bool sql_reaction_list(Conn *c, Arena *a, Str discussion, DiscussionEvent *events, size_t n,
                       Error *err)
{
    __attribute__((cleanup(map_done))) Map by_id = {0};
    for (size_t i = 0; i < n; i++)
        map_put(&by_id, events[i].id, &events[i]);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT r.event_id, r.emoji, accounts.name FROM reactions r"
                             " JOIN accounts ON accounts.id = r.user_id"
                             " JOIN discussion_events e ON e.id = r.event_id"
                             " WHERE e.discussion_id = $1 ORDER BY r.created_ns, r.user_id"
                             " LIMIT 100000");
    bind_str(q, discussion);
    while (query_next(q)) {
        DiscussionEvent *event = map_find(&by_id, row_view(q));
        Str emoji = row_str(q, a), user = row_str(q, a);
        if (event)
            reaction_add(a, event, emoji, user);
    }
    return query_ok(q, err);
}
