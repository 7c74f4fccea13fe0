/* people_sql.c: the statements about profiles, followers and likes; see hub_sql.h. */
#include "hub/people_sql.h"

/* ---- Profiles ---- */

bool sql_profile_set(Conn *c, const Account *account, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE accounts SET fullname = $1, email = $2, about = $3,"
                             " website = $4 WHERE id = $5");
    bind_str(q, account->fullname);
    bind_str(q, account->email);
    bind_str(q, account->about);
    bind_str(q, account->website);
    bind_str(q, account->id);
    return query_run(q, err);
}

static bool count_repos(Conn *c, const Viewer *viewer, Str account, Overview *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT repos.kind, count(*) FROM repos WHERE " SQL_VISIBLE(
                                 "$1", "$2", "$3") " AND repos.owner_id = $4 GROUP BY repos.kind");
    bind_viewer(q, viewer);
    bind_str(q, account);
    while (query_next(q)) {
        int64_t kind = row_int(q);
        if (kind >= 0 && kind < REPO_KINDS)
            out->repos[kind] = row_int(q);
    }
    return query_ok(q, err);
}

bool sql_overview(Conn *c, const Viewer *viewer, Str account, Overview *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT"
           " (SELECT count(*) FROM likes JOIN repos ON repos.id = likes.repo_id WHERE " SQL_VISIBLE(
               "$1", "$2", "$3") " AND likes.user_id = $4),"
                                 " (SELECT count(*) FROM discussions d JOIN repos ON repos.id = "
                                 "d.repo_id WHERE " SQL_VISIBLE(
                                     "$1", "$2",
                                     "$3") " AND d.author_id = $4),"
                                           " (SELECT count(*) FROM follows WHERE user_id = $4),"
                                           " (SELECT count(*) FROM follows WHERE target_id = $4),"
                                           " (SELECT count(*) FROM follows WHERE target_id = $4 "
                                           "AND user_id = $2)");
    *out = (Overview){0};
    bind_viewer(q, viewer);
    bind_str(q, account);
    if (query_next(q)) {
        out->likes = row_int(q);
        out->discussions = row_int(q);
        out->following = row_int(q);
        out->followers = row_int(q);
        out->is_following = row_int(q) > 0;
    }
    return query_ok(q, err) && count_repos(c, viewer, account, out, err);
}

/* ---- Pictures ---- */

bool sql_avatar_set(Conn *c, Str account, const Avatar *avatar, Str base64, Error *err)
{
    AUTO(query_end) Query *old = query_open(c, "DELETE FROM avatars WHERE account_id = $1");
    bind_str(old, account);
    AUTO(query_end) Query *mark = query_open(c, "UPDATE accounts SET avatar = $1 WHERE id = $2");
    bind_str(mark, avatar->hash);
    bind_str(mark, account);
    if (!query_run(old, err) || !query_run(mark, err))
        return false;
    if (!avatar->hash.len)
        return true;
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO avatars (account_id, type, bytes) VALUES ($1, $2, $3)");
    bind_str(q, account);
    bind_str(q, avatar->type);
    bind_str(q, base64);
    return query_run(q, err);
}

bool sql_avatar_get(Conn *c, Arena *a, Str account, Str *type, Str *base64, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT type, bytes FROM avatars"
                             " WHERE account_id = $1");
    bind_str(q, account);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no picture");
    *type = row_str(q, a);
    *base64 = row_str(q, a);
    return true;
}

/* ---- Followers, members, and who likes ---- */

bool sql_follow(Conn *c, Str user, Str target, bool on, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, on ? "INSERT INTO follows (user_id, target_id, created_ns)"
                                  " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
                                : "DELETE FROM follows WHERE user_id = $1 AND target_id = $2");
    bind_str(q, user);
    bind_str(q, target);
    if (on)
        bind_int(q, now);
    return query_run(q, err);
}

/* What goes on behind a place in a list: the last three parameters of its statement. */
static void bind_page(Query *q, const PageCursor *at, int64_t limit)
{
    bind_int(q, at->since_ns);
    bind_str(q, at->id);
    bind_int(q, limit);
}

/* One page of accounts that a table of pairs leads to; $1 is who looks, $2 whose list it is. */
#define PEOPLE(since, role, pairs)                                                                 \
    "SELECT accounts.id, accounts.name, accounts.fullname, accounts.is_org, " since ", " role ","  \
    " (SELECT count(*) FROM follows mine WHERE mine.user_id = $1"                                  \
    " AND mine.target_id = accounts.id) FROM " pairs " = $2"                                       \
    " AND (" since " < $3 OR (" since " = $3 AND accounts.id < $4))"                               \
    " ORDER BY " since " DESC, accounts.id DESC LIMIT $5"

static const char *const people[] = {
    [PEOPLE_FOLLOWERS] = PEOPLE("f.created_ns", "''",
                                "follows f JOIN accounts ON accounts.id = f.user_id"
                                " WHERE f.target_id"),
    [PEOPLE_FOLLOWING] = PEOPLE("f.created_ns", "''",
                                "follows f JOIN accounts ON accounts.id = f.target_id"
                                " WHERE f.user_id"),
    [PEOPLE_MEMBERS] = PEOPLE("accounts.created_ns", "members.role",
                              "members JOIN accounts ON accounts.id = members.user_id"
                              " WHERE members.org_id"),
    [PEOPLE_LIKERS] = PEOPLE("likes.created_ns", "''",
                             "likes JOIN accounts ON accounts.id = likes.user_id"
                             " WHERE likes.repo_id"),
};

bool sql_people(Conn *c, Arena *a, const Viewer *viewer, const PeopleQuery *query,
                const PageCursor *at, PeoplePage *out, Error *err)
{
    *out = (PeoplePage){.items = NEW_ARRAY(a, Person, query->limit)};
    AUTO(query_end) Query *q = query_open(c, people[query->what]);
    bind_str(q, viewer->account.id);
    bind_str(q, query->of);
    bind_page(q, at, query->limit);
    while (out->n < (size_t)query->limit && query_next(q)) {
        Person *p = &out->items[out->n++];
        p->id = row_str(q, a);
        p->name = row_str(q, a);
        p->fullname = row_str(q, a);
        p->is_org = row_int(q) != 0;
        p->since_ns = row_int(q);
        p->role = row_str(q, a);
        p->is_followed = row_int(q) != 0;
    }
    return query_ok(q, err);
}

bool sql_likes(Conn *c, Arena *a, const Viewer *viewer, Str user, int64_t limit,
               const PageCursor *at, LikePage *out, Str *last, Error *err)
{
    *out = (LikePage){.items = NEW_ARRAY(a, Like, limit)};
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT repos.kind, repos.full_name, likes.created_ns, repos.id FROM likes"
           " JOIN repos ON repos.id = likes.repo_id WHERE " SQL_VISIBLE(
               "$1", "$2", "$3") " AND likes.user_id = $4 AND (likes.created_ns < $5"
                                 " OR (likes.created_ns = $5 AND repos.id < $6))"
                                 " ORDER BY likes.created_ns DESC, repos.id DESC LIMIT $7");
    bind_viewer(q, viewer);
    bind_str(q, user);
    bind_page(q, at, limit);
    while (out->n < (size_t)limit && query_next(q)) {
        Like *like = &out->items[out->n++];
        like->kind = (RepoKind)row_int(q);
        like->name = row_str(q, a);
        like->liked_ns = row_int(q);
        *last = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_threads(Conn *c, Arena *a, const Viewer *viewer, Str user, int64_t limit,
                 const PageCursor *at, ThreadPage *out, Str *last, Error *err)
{
    *out = (ThreadPage){.items = NEW_ARRAY(a, Thread, limit)};
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT d.id, repos.kind, repos.full_name, d.num, d.created_ns, d.title, d.status,"
           " d.is_pull, (SELECT count(*) FROM discussion_events e WHERE e.discussion_id = d.id"
           " AND e.kind = 'comment') FROM discussions d JOIN repos ON repos.id = d.repo_id"
           " WHERE " SQL_VISIBLE("$1", "$2", "$3") " AND d.author_id = $4 AND (d.created_ns < $5"
                                                   " OR (d.created_ns = $5 AND d.id < $6)) ORDER "
                                                   "BY d.created_ns DESC, d.id DESC LIMIT $7");
    bind_viewer(q, viewer);
    bind_str(q, user);
    bind_page(q, at, limit);
    while (out->n < (size_t)limit && query_next(q)) {
        Thread *t = &out->items[out->n++];
        *last = row_str(q, a);
        t->kind = (RepoKind)row_int(q);
        t->repo = row_str(q, a);
        t->num = row_int(q);
        t->created_ns = row_int(q);
        t->title = row_str(q, a);
        t->status = row_str(q, a);
        t->is_pull = row_int(q) != 0;
        t->comments = row_int(q);
    }
    return query_ok(q, err);
}

/* Whom the viewer follows. */
#define FOLLOWED "(SELECT f.target_id FROM follows f WHERE f.user_id = $2)"
#define SEEN "repos.is_disabled = 0 AND " SQL_VISIBLE("$1", "$2", "$3")

bool sql_activity(Conn *c, Arena *a, const Viewer *viewer, int64_t limit, Activity *out, size_t *n,
                  Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT 0 AS kind, accounts.name, repos.kind, repos.full_name, 0 AS num, '' AS title,"
           " repos.created_ns AS since_ns FROM repos"
           " JOIN accounts ON accounts.id = repos.owner_id"
           " WHERE " SEEN " AND repos.owner_id IN " FOLLOWED
           " UNION ALL SELECT 1, accounts.name, repos.kind, repos.full_name, 0, '',"
           " likes.created_ns FROM likes JOIN repos ON repos.id = likes.repo_id"
           " JOIN accounts ON accounts.id = likes.user_id"
           " WHERE " SEEN " AND likes.user_id IN " FOLLOWED
           " UNION ALL SELECT 2, accounts.name, repos.kind, repos.full_name, d.num, d.title,"
           " d.created_ns FROM discussions d JOIN repos ON repos.id = d.repo_id"
           " JOIN accounts ON accounts.id = d.author_id"
           " WHERE " SEEN " AND d.author_id IN " FOLLOWED " ORDER BY since_ns DESC LIMIT $4");
    bind_viewer(q, viewer);
    bind_int(q, limit);
    for (*n = 0; *n < (size_t)limit && query_next(q); ++*n) {
        Activity *activity = &out[*n];
        activity->kind = (ActivityKind)row_int(q);
        activity->actor = row_str(q, a);
        activity->repo_kind = (RepoKind)row_int(q);
        activity->repo = row_str(q, a);
        activity->num = row_int(q);
        activity->title = row_str(q, a);
        activity->since_ns = row_int(q);
    }
    return query_ok(q, err);
}
