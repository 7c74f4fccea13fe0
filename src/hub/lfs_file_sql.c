/* lfs_file_sql.c: the statements about the large files of a repository; see hub_sql.h. */
#include "hub/hub_sql.h"

bool sql_lfs_files(Conn *c, Arena *a, Str repo, const LfsQuery *query, LfsFile **out, size_t *n,
                   Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, query->largest_first
                          ? "SELECT sha256, size, created_ns FROM repo_blobs WHERE repo_id = $1"
                            " AND sha256 > $2 ORDER BY size DESC, sha256 LIMIT $3"
                          : "SELECT sha256, size, created_ns FROM repo_blobs WHERE repo_id = $1"
                            " AND sha256 > $2 ORDER BY sha256 LIMIT $3");
    bind_str(q, repo);
    bind_str(q, query->after);
    bind_int(q, (int64_t)query->limit);
    LfsFile *files = NEW_ARRAY(a, LfsFile, query->limit);
    *n = 0;
    while (*n < query->limit && query_next(q)) {
        LfsFile *file = &files[(*n)++];
        file->sha256 = row_str(q, a);
        file->size = row_int(q);
        file->given_ns = row_int(q);
    }
    *out = files;
    return query_ok(q, err);
}

bool sql_lfs_total(Conn *c, Str repo, int64_t *n, int64_t *bytes, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT)"
                             " FROM repo_blobs WHERE repo_id = $1");
    bind_str(q, repo);
    bool found = query_next(q);
    *n = found ? row_int(q) : 0;
    *bytes = found ? row_int(q) : 0;
    return query_ok(q, err);
}

bool sql_blob_share(Conn *c, Str from, Str to, Str user, Str sha256, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repo_blobs (repo_id, sha256, size, user_id, created_ns)"
                             " SELECT $1, sha256, size, $2, $3 FROM repo_blobs"
                             " WHERE repo_id = $4 AND sha256 = $5");
    bind_str(q, to);
    bind_str(q, user);
    bind_int(q, now);
    bind_str(q, from);
    bind_str(q, sha256);
    return query_run(q, err);
}

bool sql_blob_ungrant(Conn *c, Str repo, Str sha256, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "DELETE FROM repo_blobs WHERE repo_id = $1 AND sha256 = $2");
    bind_str(q, repo);
    bind_str(q, sha256);
    return query_run(q, err);
}
