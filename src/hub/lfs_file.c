/* lfs_file.c: the large files of a repository, and their end; see lfs_files.h.
 *
 * A commit names content by a pointer whose text follows from sha256 and size, so its blob's oid is
 * known without a look into git, and the history is searched for oids alone. */
#include "hub/lfs_files.h"

#include "hub/hub_internal.h"

static void pointer_oid(const LfsFile *file, char oid[GIT_HEX_SIZE])
{
    AUTO_BUF text;
    buf_init(&text, 0);
    char sha256[BLOB_HEX_SIZE] = "";
    memcpy(sha256, file->sha256.ptr, MIN(file->sha256.len, sizeof sha256 - 1));
    git_lfs_format(&text, sha256, file->size);
    git_blob_oid(buf_str(&text), oid);
}

/* The names that a branch has for them now: known already for each head. */
static bool name_by_branch(Hub *hub, Arena *a, const Repo *repo, Str ref, const Map *files,
                           Error *err)
{
    const RepoInfo *info;
    if (!repo_info(hub, a, repo, ref, &info, err))
        return false;
    for (size_t i = 0; i < info->n_files; i++) {
        const RepoEntry *entry = &info->files[i];
        LfsFile *file = entry->is_lfs ? map_find(files, entry->sha256) : NULL;
        if (!file || file->ref.len)
            continue;
        file->path = entry->path;
        file->ref = ref;
    }
    return true;
}

/* By main before the others. */
static bool name_by_branches(Hub *hub, Arena *a, const Repo *repo, LfsFile *files, size_t n,
                             Error *err)
{
    RepoRefs refs;
    if (!repo_refs(hub, a, repo, &refs, err))
        return false;
    __attribute__((cleanup(map_done))) Map by_sha256 = {0};
    for (size_t i = 0; i < n; i++)
        map_put(&by_sha256, files[i].sha256, &files[i]);
    for (int main_first = 1; main_first >= 0; main_first--)
        for (size_t i = 0; i < refs.n; i++) {
            Str ref = refs.items[i].ref;
            if (str_starts(ref, S("refs/heads/")) &&
                str_eq(ref, S("refs/heads/main")) == main_first &&
                !name_by_branch(hub, a, repo, ref, &by_sha256, err))
                return false;
        }
    return true;
}

enum { MOST_COMMITS = 20000 };

/* The others', out of the history. */
static bool name_by_history(Arena *a, const Repo *repo, size_t most, LfsFile *files, size_t n,
                            Error *err)
{
    char(*oids)[GIT_HEX_SIZE] = arena_alloc(a, (n + 1) * sizeof *oids);
    LfsFile **unnamed = NEW_ARRAY(a, LfsFile *, n + 1);
    Str *paths = NEW_ARRAY(a, Str, n + 1);
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (files[i].path.len)
            continue;
        unnamed[left] = &files[i];
        pointer_oid(&files[i], oids[left++]);
    }
    AUTO(git_repo_free) GitRepo *git = left ? repo_git_open(repo, err) : NULL;
    if (left && (!git || !git_repo_names(git, oids, left, most, a, paths, err)))
        return false;
    for (size_t i = 0; i < left; i++)
        unnamed[i]->path = paths[i];
    return true;
}

bool lfs_file_list(Hub *hub, Arena *a, const Repo *repo, const LfsQuery *query, LfsFile **out,
                   size_t *n, Error *err)
{
    LfsFile *files;
    size_t found;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_lfs_files(c, a, repo->id, query, &files, &found, err))
            return false;
    }
    if (!name_by_branches(hub, a, repo, files, found, err) ||
        !name_by_history(a, repo, MOST_COMMITS, files, found, err))
        return false;
    *out = files;
    *n = found;
    return true;
}

bool lfs_files_named(Hub *hub, Arena *a, const Repo *from, const Repo *copy, LfsFile **out,
                     size_t *n, Error *err)
{
    int64_t all, bytes;
    if (!lfs_file_total(hub, from, &all, &bytes, err))
        return false;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        LfsQuery query = {.limit = (size_t)all + 1};
        if (!c || !sql_lfs_files(c, a, from->id, &query, out, n, err))
            return false;
    }
    return name_by_history(a, copy, SIZE_MAX, *out, *n, err);
}

bool lfs_file_total(Hub *hub, const Repo *repo, int64_t *n, int64_t *bytes, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_lfs_total(c, repo->id, n, bytes, err);
}

/* Those of them that this repository was given. */
static bool given_ones(Hub *hub, Arena *a, const Repo *repo, const Str *sha256, size_t n,
                       LfsFile *out, size_t *n_out, Error *err)
{
    size_t found = 0;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < n; i++) {
        Error seen = {0};
        int64_t size;
        if (!blob_oid_check(sha256[i], err))
            return false;
        if (sql_blob_of_repo(c, repo->id, sha256[i], &size, &seen))
            out[found++] = (LfsFile){.sha256 = arena_str(a, sha256[i]), .size = size};
        else if (seen.code != ERR_NOT_FOUND)
            return fail(err, seen.code, "%s", seen.text);
    }
    *n_out = found;
    return true;
}

static bool rewrite_without(Arena *a, const Repo *repo, const LfsFile *files, size_t n, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char(*oids)[GIT_HEX_SIZE] = arena_alloc(a, n * sizeof *oids);
    for (size_t i = 0; i < n; i++)
        pointer_oid(&files[i], oids[i]);
    return git && git_repo_forget(git, oids, n, err);
}

bool lfs_file_delete(Hub *hub, const Repo *repo, const Str *sha256, size_t n, bool rewrite,
                     Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    LfsFile *files = NEW_ARRAY(a, LfsFile, n + 1);
    Str *oids = NEW_ARRAY(a, Str, n + 1);
    size_t given;
    if (!given_ones(hub, a, repo, sha256, n, files, &given, err))
        return false;
    if (!given)
        return true;
    // The history first: if the process dies behind it, they are still listed and can be ended.
    if (rewrite && !rewrite_without(a, repo, files, given, err))
        return false;
    {
        AUTO(conn_end) Conn *c = db_write(hub->db, err);
        for (size_t i = 0; c && i < given; i++) {
            oids[i] = files[i].sha256;
            if (!sql_blob_ungrant(c, repo->id, files[i].sha256, err))
                return false;
        }
        if (!c || !conn_commit(c, err))
            return false;
    }
    return repo_index(hub, repo, err) && snapshots_remove(hub, repo->id, err) &&
           blobs_release(hub, oids, given, err);
}
