/* download_sql.c: likes, downloads, and the sums that lists are ordered by; see hub_sql.h. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "hub/downloads.h"
#include "hub/hub_sql.h"

#define LIKE_WEIGHT "10"

/* What a download or a like of N days ago weighs, in thousandths: half of it after three days. */
#define DECAY(age)                                                                                 \
    "CASE " age                                                                                    \
    " WHEN 0 THEN 1000 WHEN 1 THEN 794 WHEN 2 THEN 630 WHEN 3 THEN 500 WHEN 4 THEN 397"            \
    " WHEN 5 THEN 315 WHEN 6 THEN 250 WHEN 7 THEN 198 WHEN 8 THEN 157 WHEN 9 THEN 125"             \
    " WHEN 10 THEN 99 WHEN 11 THEN 79 WHEN 12 THEN 63 WHEN 13 THEN 50 WHEN 14 THEN 39"             \
    " WHEN 15 THEN 31 WHEN 16 THEN 25 WHEN 17 THEN 20 WHEN 18 THEN 16 WHEN 19 THEN 12"             \
    " WHEN 20 THEN 10 ELSE 0 END"
#define LIKE_DAY "(likes.created_ns / 86400000000000)"

/* Sums of the last 30 days, and the score that "trending" sorts by. */
static bool counts_of(Conn *c, Str repo, int64_t day, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "UPDATE repos SET downloads = (SELECT coalesce(sum(n), 0) FROM downloads"
                      " WHERE repo_id = repos.id AND day > $1),"
                      " likes = (SELECT count(*) FROM likes WHERE repo_id = repos.id),"
                      " likes_recent = (SELECT count(*) FROM likes WHERE repo_id = repos.id"
                      " AND created_ns >= $2),"
                      " trending = (SELECT coalesce(sum(n * " DECAY(
                          "($3 - day)") "), 0) FROM downloads"
                                        " WHERE repo_id = repos.id AND day > $1) + " LIKE_WEIGHT
                                        " * (SELECT coalesce(sum(" DECAY(
                                            "($3 - " LIKE_DAY
                                            ")") "), 0) FROM likes"
                                                 " WHERE repo_id = repos.id AND created_ns >= $2)"
                                                 " WHERE id = $4 OR ($4 = '' AND (downloads > 0 OR "
                                                 "trending > 0 OR likes_recent > 0"
                                                 " OR likes > 0))");
    bind_int(q, day - DOWNLOAD_DAYS);
    bind_int(q, (day - DOWNLOAD_DAYS + 1) * 86400 * NS_PER_S);
    bind_int(q, day);
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

/* ---- Visits ---- */

bool sql_visits_day(Conn *c, int64_t day, uint8_t secret[32], Error *err)
{
    char hex[65];
    random_bytes(secret, 32);
    hex_encode(secret, 32, hex);
    AUTO(query_end) Query *visits = query_open(c, "DELETE FROM download_visits WHERE day < $1");
    bind_int(visits, day);
    AUTO(query_end) Query *days = query_open(c, "DELETE FROM download_days WHERE day < $1");
    bind_int(days, day);
    AUTO(query_end)
    Query *add = query_open(c, "INSERT INTO download_days (day, secret) VALUES ($1, $2)"
                               " ON CONFLICT DO NOTHING");
    bind_int(add, day);
    bind_str(add, str_of(hex));
    if (!query_run(visits, err) || !query_run(days, err) || !query_run(add, err))
        return false;
    // Another process may have been faster.
    AUTO(query_end) Query *q = query_open(c, "SELECT secret FROM download_days WHERE day = $1");
    bind_int(q, day);
    if (query_next(q) && !hex_decode(row_view(q), secret, 32))
        return fail(err, ERR_CORRUPT, "database: the secret of day %lld", (long long)day);
    return query_ok(q, err);
}

bool sql_visit_add(Conn *c, int64_t day, int64_t visit, bool *is_new, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO download_visits (day, visit) VALUES ($1, $2)"
                             " ON CONFLICT DO NOTHING");
    bind_int(q, day);
    bind_int(q, visit);
    if (!query_run(q, err))
        return false;
    *is_new = query_changes(q) > 0;
    return true;
}

/* ---- Charts ---- */

bool sql_download_days(Conn *c, Str repo, int64_t today, size_t n, int64_t *out, Error *err)
{
    memset(out, 0, n * sizeof *out);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT day, n FROM downloads WHERE repo_id = $1 AND day > $2");
    bind_str(q, repo);
    bind_int(q, today - (int64_t)n);
    while (query_next(q)) {
        int64_t at = row_int(q) - (today - (int64_t)n) - 1;
        int64_t count = row_int(q);
        if (at >= 0 && at < (int64_t)n)
            out[at] = count;
    }
    return query_ok(q, err);
}

bool sql_download_leaders(Conn *c, Arena *a, const Viewer *viewer, RepoKind kind, int64_t today,
                          size_t days, size_t limit, Leader **out, size_t *n, Error *err)
{
    *out = NEW_ARRAY(a, Leader, limit);
    *n = 0;
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT " REPO_COLUMNS ", top.now, top.before FROM (SELECT repo_id,"
           " sum(CASE WHEN day > $1 THEN n ELSE 0 END) AS now,"
           " sum(CASE WHEN day > $1 THEN 0 ELSE n END) AS before"
           " FROM downloads WHERE day > $2 GROUP BY repo_id) AS top"
           " JOIN repos ON repos.id = top.repo_id WHERE repos.kind = $3 AND top.now > 0"
           " AND " SQL_VISIBLE("$4", "$5", "$6") " ORDER BY top.now DESC, repos.id DESC LIMIT $7");
    bind_int(q, today - (int64_t)days);
    bind_int(q, today - 2 * (int64_t)days);
    bind_int(q, kind);
    bind_viewer(q, viewer);
    bind_int(q, (int64_t)limit);
    while (*n < limit && query_next(q)) {
        Leader *leader = &(*out)[(*n)++];
        sql_repo_row(q, a, &leader->repo, NULL);
        leader->downloads = row_int(q);
        leader->before = row_int(q);
    }
    return query_ok(q, err);
}
