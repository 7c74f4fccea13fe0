/* download_sql.c: likes, downloads, and the sums that lists are ordered by; see hub_sql.h. */
#include "base/clock.h"
#include "hub/hub_sql.h"

enum { TRENDING_DAYS = 7, DOWNLOAD_DAYS = 30, LIKE_WEIGHT = 10 };

/* Recent likes and downloads, likes counting more: what "trending" sorts by. */
static bool counts_of(Conn *c, Str repo, int64_t day, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "UPDATE repos SET downloads = (SELECT coalesce(sum(n), 0) FROM downloads"
           " WHERE repo_id = repos.id AND day > $1),"
           " likes = (SELECT count(*) FROM likes WHERE repo_id = repos.id),"
           " trending = (SELECT coalesce(sum(n), 0) FROM downloads WHERE repo_id = repos.id"
           " AND day > $2) + $3 * (SELECT count(*) FROM likes WHERE repo_id = repos.id"
           " AND created_ns > $4) WHERE $5 = '' OR id = $5");
    bind_int(q, day - DOWNLOAD_DAYS);
    bind_int(q, day - TRENDING_DAYS);
    bind_int(q, LIKE_WEIGHT);
    bind_int(q, (day - TRENDING_DAYS) * 86400 * NS_PER_S);
    bind_str(q, repo);
    return query_run(q, err);
}

bool sql_counts_refresh(Conn *c, int64_t day, Error *err)
{
    return counts_of(c, S(""), day, err);
}

bool sql_like(Conn *c, Str repo, Str user, bool like, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, like ? "INSERT INTO likes (repo_id, user_id, created_ns) VALUES ($1, $2, $3)"
                             " ON CONFLICT DO NOTHING"
                           : "DELETE FROM likes WHERE repo_id = $1 AND user_id = $2");
    bind_str(q, repo);
    bind_str(q, user);
    if (like)
        bind_int(q, now);
    return query_run(q, err) && counts_of(c, repo, now / (86400 * NS_PER_S), err);
}

bool sql_liked(Conn *c, Str repo, Str user, bool *liked, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT 1 FROM likes WHERE repo_id = $1 AND user_id = $2");
    bind_str(q, repo);
    bind_str(q, user);
    *liked = query_next(q);
    return query_ok(q, err);
}

bool sql_likes(Conn *c, Arena *a, Str user, Str repo, Like **out, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, user.len ? "SELECT repos.kind, repos.full_name, '', likes.created_ns"
                                        " FROM likes JOIN repos ON repos.id = likes.repo_id"
                                        " WHERE likes.user_id = $1"
                                        " ORDER BY likes.created_ns DESC LIMIT 1000"
                                      : "SELECT 0, accounts.name, accounts.fullname,"
                                        " likes.created_ns FROM likes"
                                        " JOIN accounts ON accounts.id = likes.user_id"
                                        " WHERE likes.repo_id = $1"
                                        " ORDER BY likes.created_ns DESC LIMIT 1000");
    bind_str(q, user.len ? user : repo);
    *out = NEW_ARRAY(a, Like, MAX_LIKES);
    *n = 0;
    while (*n < MAX_LIKES && query_next(q)) {
        Like *like = &(*out)[(*n)++];
        like->kind = (RepoKind)row_int(q);
        like->name = row_str(q, a);
        like->fullname = row_str(q, a);
        like->liked_ns = row_int(q);
    }
    return query_ok(q, err);
}

bool sql_downloads_add(Conn *c, Str repo, int64_t day, int64_t n, Error *err)
{
    // The repository may have gone since it was downloaded: then nothing is inserted.
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO downloads (repo_id, day, n) SELECT id, $1, $2 FROM repos"
                             " WHERE id = $3 ON CONFLICT (repo_id, day)"
                             " DO UPDATE SET n = downloads.n + excluded.n");
    bind_int(q, day);
    bind_int(q, n);
    bind_str(q, repo);
    AUTO(query_end)
    Query *all = query_open(c, "UPDATE repos SET downloads_all = downloads_all + $1 WHERE id = $2");
    bind_int(all, n);
    bind_str(all, repo);
    return query_run(q, err) && query_run(all, err) && counts_of(c, repo, day, err);
}
