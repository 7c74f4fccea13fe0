/* repo_sql.c: the statements about repositories; see hub_sql.h. */
#include "hub/hub_sql.h"

void bind_viewer(Query *q, const Viewer *viewer)
{
    bind_int(q, viewer->account.is_admin);
    bind_str(q, viewer->account.id);
    bind_str(q, viewer->rights ? viewer->token_id : S(""));
}

void sql_repo_row(Query *q, Arena *a, Repo *out, Str *owner)
{
    *out = (Repo){0};
    out->id = row_str(q, a);
    out->kind = (RepoKind)row_int(q);
    out->full = row_str(q, a);
    out->name = row_str(q, a);
    out->owner = str_slice(out->full, 0, str_find_char(out->full, '/', 0));
    out->is_private = row_int(q) != 0;
    out->is_disabled = row_int(q) != 0;
    out->discussions_off = row_int(q) != 0;
    out->gated = row_str(q, a);
    out->created_ns = row_int(q);
    out->updated_ns = row_int(q);
    out->downloads = row_int(q);
    out->downloads_all = row_int(q);
    out->likes = row_int(q);
    out->trending = row_int(q);
    out->creator = row_str(q, a);
    Str owner_id = row_view(q);
    if (owner)
        *owner = arena_str(a, owner_id);
}

bool sql_repo_add(Conn *c, const Repo *repo, Str key, Str owner, Error *err)
{
    // A new repository takes its name back from an old redirect.
    AUTO(query_end)
    Query *old = query_open(c, "DELETE FROM redirects WHERE kind = $1 AND key = $2");
    bind_int(old, repo->kind);
    bind_str(old, key);
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repos (id, kind, key, full_name, owner_id, name,"
                             " is_private, is_disabled, discussions_off, gated, created_ns,"
                             " updated_ns, creator_id)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, $11)");
    bind_str(q, repo->id);
    bind_int(q, repo->kind);
    bind_str(q, key);
    bind_str(q, repo->full);
    bind_str(q, owner);
    bind_str(q, repo->name);
    bind_int(q, repo->is_private);
    bind_str(q, repo->gated);
    bind_int(q, repo->created_ns);
    bind_int(q, repo->created_ns);
    bind_str(q, repo->creator);
    return query_run(old, err) && query_run(q, err);
}

bool sql_repo_find(Conn *c, Arena *a, RepoKind kind, Str key, Repo *out, Str *owner, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS "FROM repos WHERE kind = $1 AND key = $2");
    bind_int(q, kind);
    bind_str(q, key);
    if (query_next(q)) {
        sql_repo_row(q, a, out, owner);
        return true;
    }
    if (!query_ok(q, err))
        return false;
    AUTO(query_end)
    Query *old = query_open(c, "SELECT " REPO_COLUMNS "FROM redirects JOIN repos"
                               " ON repos.id = redirects.repo_id"
                               " WHERE redirects.kind = $1 AND redirects.key = $2");
    bind_int(old, kind);
    bind_str(old, key);
    if (!query_next(old))
        return query_ok(old, err) && fail(err, ERR_NO_REPO, "Repository not found");
    sql_repo_row(old, a, out, owner);
    out->moved = true;
    return true;
}

bool sql_repo_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM repos WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_repo_rename(Conn *c, const Repo *repo, Str old_key, Str new_key, Str full, Str name,
                     Str owner, Error *err)
{
    // The name may be one that a redirect holds, perhaps this repository's own older one.
    AUTO(query_end)
    Query *free_name = query_open(c, "DELETE FROM redirects WHERE kind = $1 AND key = $2");
    bind_int(free_name, repo->kind);
    bind_str(free_name, new_key);
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET key = $1, full_name = $2, name = $3, owner_id = $4"
                             " WHERE id = $5");
    bind_str(q, new_key);
    bind_str(q, full);
    bind_str(q, name);
    bind_str(q, owner);
    bind_str(q, repo->id);
    AUTO(query_end)
    Query *link = query_open(c, "INSERT INTO redirects (kind, key, repo_id) VALUES ($1, $2, $3)");
    bind_int(link, repo->kind);
    bind_str(link, old_key);
    bind_str(link, repo->id);
    return query_run(free_name, err) && query_run(q, err) &&
           (str_eq(old_key, new_key) || query_run(link, err));
}

bool sql_old_names(Conn *c, Arena *a, Str id, Str *out, size_t max, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT key FROM redirects WHERE repo_id = $1 ORDER BY key LIMIT $2");
    bind_str(q, id);
    bind_int(q, (int64_t)max);
    for (size_t i = 0; i < max && query_next(q); i++) {
        out[i] = row_str(q, a);
        ++*n;
    }
    return query_ok(q, err);
}

bool sql_repo_set(Conn *c, const Repo *repo, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET is_private = $1, discussions_off = $2, gated = $3,"
                             " updated_ns = $4 WHERE id = $5");
    bind_int(q, repo->is_private);
    bind_int(q, repo->discussions_off);
    bind_str(q, repo->gated);
    bind_int(q, now);
    bind_str(q, repo->id);
    return query_run(q, err);
}

static bool tag_add(Conn *c, Str id, Str tag, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repo_tags (repo_id, tag) VALUES ($1, $2)"
                             " ON CONFLICT DO NOTHING");
    bind_str(q, id);
    bind_str(q, tag);
    return query_run(q, err);
}

static bool tags_replace(Conn *c, Str id, const RepoInfo *info, Error *err)
{
    AUTO(query_end) Query *clear = query_open(c, "DELETE FROM repo_tags WHERE repo_id = $1");
    bind_str(clear, id);
    bool ok = query_run(clear, err);
    for (size_t i = 0; ok && i < info->n_tags; i++)
        ok = tag_add(c, id, info->tags[i], err);
    for (size_t i = 0; ok && i < info->n_links; i++)
        ok = tag_add(c, id, info->links[i], err);
    return ok;
}

bool sql_repo_index(Conn *c, Str id, const RepoInfo *info, int version, int64_t now, Error *err)
{
    AUTO_BUF tags, card;
    buf_init(&tags, 0);
    buf_init(&card, 0);
    for (size_t i = 0; i < info->n_tags; i++) {
        buf_add(&tags, info->tags[i]);
        buf_add_char(&tags, '\n');
    }
    if (info->card)
        json_write(&card, info->card);
    // To look at the same commit anew is no change of the repository.
    AUTO(query_end)
    Query *q = query_open(
        c, "UPDATE repos SET updated_ns = CASE WHEN sha = $1 THEN updated_ns ELSE $2 END,"
           " sha = $1, tags = $3, pipeline_tag = $4, library = $5, sdk = $6, card = $7,"
           " parameters = $8, bytes = $9, indexed = $10 WHERE id = $11");
    bind_str(q, info->sha);
    bind_int(q, now);
    bind_str(q, buf_str(&tags));
    bind_str(q, info->pipeline_tag);
    bind_str(q, info->library);
    bind_str(q, info->sdk);
    bind_str(q, buf_str(&card));
    bind_int(q, info->parameters);
    bind_int(q, info->bytes);
    bind_int(q, version);
    bind_str(q, id);
    return query_run(q, err) && tags_replace(c, id, info, err);
}

bool sql_repos_unindexed(Conn *c, Arena *a, int version, Repo *out, size_t max, size_t *n,
                         Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS "FROM repos WHERE indexed < $1"
                             " ORDER BY indexed, id LIMIT $2");
    bind_int(q, version);
    bind_int(q, (int64_t)max);
    for (*n = 0; *n < max && query_next(q);)
        sql_repo_row(q, a, &out[(*n)++], NULL);
    return query_ok(q, err);
}

bool sql_repo_unindex(Conn *c, Str id, int version, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET indexed = $1 WHERE id = $2 OR $2 = ''");
    bind_int(q, version);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_repos_after(Conn *c, Arena *a, Str id, Repo *out, Str *shas, size_t max, size_t *n,
                     Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS ", repos.sha FROM repos WHERE id > $1"
                             " ORDER BY id LIMIT $2");
    bind_str(q, id);
    bind_int(q, (int64_t)max);
    *n = 0;
    while (*n < max && query_next(q)) {
        sql_repo_row(q, a, &out[*n], NULL);
        shas[(*n)++] = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_repo_exists(Conn *c, Str id, bool *exists, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT 1 FROM repos WHERE id = $1");
    bind_str(q, id);
    *exists = query_next(q);
    return query_ok(q, err);
}

/* ---- Blobs that a repository was given ---- */

bool sql_blob_grant(Conn *c, Str repo, Str user, Str sha256, int64_t size, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repo_blobs (repo_id, sha256, size, user_id, created_ns)"
                             " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING");
    bind_str(q, repo);
    bind_str(q, sha256);
    bind_int(q, size);
    bind_str(q, user);
    bind_int(q, now);
    return query_run(q, err);
}

bool sql_blob_is_given(Conn *c, Str sha256, bool *given, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT 1 FROM repo_blobs WHERE sha256 = $1 LIMIT 1");
    bind_str(q, sha256);
    *given = query_next(q);
    return query_ok(q, err);
}

bool sql_blob_giver(Conn *c, Arena *a, Str sha256, Str *repo, Str *user, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT repo_id, user_id FROM repo_blobs WHERE sha256 = $1"
                             " ORDER BY created_ns LIMIT 1");
    bind_str(q, sha256);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "no content %.*s", STR(sha256));
    *repo = row_str(q, a);
    *user = row_str(q, a);
    return query_ok(q, err);
}

static bool blob_size(Query *q, Str whose, Str sha256, int64_t *size, Error *err)
{
    bind_str(q, whose);
    bind_str(q, sha256);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "no content %.*s", STR(sha256));
    *size = row_int(q);
    return true;
}

bool sql_blob_of_repo(Conn *c, Str repo, Str sha256, int64_t *size, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT size FROM repo_blobs WHERE repo_id = $1 AND sha256 = $2");
    return blob_size(q, repo, sha256, size, err);
}

bool sql_blob_of_user(Conn *c, Str user, Str sha256, int64_t *size, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "SELECT size FROM repo_blobs WHERE user_id = $1 AND sha256 = $2 LIMIT 1");
    return blob_size(q, user, sha256, size, err);
}
