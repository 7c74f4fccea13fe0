/* info.c: snapshots of commits, made once, shared and counted; see hub_internal.h. */
#include "base/clock.h"
#include "base/file.h"
#include "hub/webhook_internal.h"

enum { MAX_ENTRIES = 1000000 };

static void snapshot_free(Cached *cached)
{
    Snapshot *s = (Snapshot *)cached;
    map_done(&s->by_path);
    arena_free(s->arena); // holds the snapshot itself
}

/* ---- Making one ---- */

static void entry_of_git(Arena *a, const GitEntry *from, RepoEntry *to)
{
    *to = (RepoEntry){.path = arena_str(a, from->path),
                      .is_folder = from->is_folder,
                      .oid = arena_str(a, str_of(from->oid)),
                      .size = from->size,
                      .is_lfs = from->is_lfs};
    if (from->is_lfs) {
        to->sha256 = arena_str(a, str_of(from->lfs_oid));
        to->pointer_size = from->blob_size;
    }
}

/* Submodules, and paths that could not lie in a folder (a push may bring them), are left out. */
static bool is_shown(const GitEntry *e)
{
    return e->mode != 0160000 && path_is_safe(e->path, NULL);
}

static bool tree_read(GitRepo *git, Snapshot *s, Error *err)
{
    AUTO(arena_free) Arena *scratch = arena_new(0);
    GitListParams params = {.commit = s->tree.sha.ptr, .recursive = true, .limit = MAX_ENTRIES};
    GitEntries found;
    if (!git_repo_list(git, &params, scratch, &found, err))
        return false;
    if (found.more)
        return fail(err, ERR_LIMIT, "more than %d files in one revision", MAX_ENTRIES);
    s->tree.items = NEW_ARRAY(s->arena, RepoEntry, found.n);
    for (size_t i = 0; i < found.n; i++)
        if (is_shown(&found.items[i]))
            entry_of_git(s->arena, &found.items[i], &s->tree.items[s->tree.n++]);
    RepoEntry *files = NEW_ARRAY(s->arena, RepoEntry, s->tree.n);
    for (size_t i = 0; i < s->tree.n; i++) {
        RepoEntry *entry = &s->tree.items[i];
        map_put(&s->by_path, entry->path, entry);
        if (entry->is_folder)
            continue;
        files[s->info.n_files++] = *entry;
        s->info.bytes += entry->size;
    }
    s->info.files = files;
    return true;
}

static Snapshot *snapshot_make(Hub *hub, const Repo *repo, Str key, const char *commit, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    if (!git)
        return NULL;
    Arena *arena = arena_new(0);
    Snapshot *s = NEW(arena, Snapshot);
    s->arena = arena;
    s->cached = (Cached){.refs = 1, .key = arena_str(arena, key), .free = snapshot_free};
    s->tree.sha = s->info.sha = arena_str(arena, str_of(commit));
    GitCommit read;
    if (!git_commit_read(git, commit, arena, &read, err) || !tree_read(git, s, err)) {
        cached_unref(s);
        return NULL;
    }
    s->info.modified_ns = read.committer_ns;
    facts_collect(hub, git, repo, s);
    // The card and excerpts lie outside the arena; they are at most a few times their text.
    s->cached.bytes = arena_used(arena) + 64 * s->tree.n + 4096;
    return s;
}

const Snapshot *snapshot_get(Hub *hub, Arena *a, const Repo *repo, const char *commit, Error *err)
{
    // By repository as well: which LFS content may be looked into depends on it.
    Str key = str_of(arena_printf(a, "%.*s %s", STR(repo->id), commit));
    Snapshot *s = (Snapshot *)cache_find(hub->infos, key);
    if (!s) {
        s = snapshot_make(hub, repo, key, commit, err);
        if (!s)
            return NULL;
        cache_add(hub->infos, &s->cached);
    }
    arena_defer(a, cached_unref, s);
    return s;
}

/* ---- What lists show ---- */

static bool index_mark(Hub *hub, const Repo *repo, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_repo_unindex(c, repo->id, INDEX_VERSION, err) && conn_commit(c, err);
}

/* What moved, in the transaction that shows it: the default branch, whose old head the row has, and
 * `moves` of other refs. A repository's first commit is a part of its making. */
static bool index_record(Conn *c, Hub *hub, Arena *a, const Repo *repo, Str head,
                         const RefMove *moves, size_t n, Error *err)
{
    Str owner, old;
    size_t kept = 0;
    if (!sql_webhook_repo(c, a, repo->id, &owner, &old, err))
        return false;
    RefMove *all = NEW_ARRAY(a, RefMove, n + 1);
    if (old.len && !str_eq(old, head))
        all[kept++] = (RefMove){S("refs/heads/main"), old, head};
    for (size_t i = 0; i < n; i++)
        if (!str_eq(moves[i].ref, S("refs/heads/main")) && !str_eq(moves[i].from, moves[i].to))
            all[kept++] = moves[i];
    WebhookEvent event = {.action = "update",
                          .scope = "repo.content",
                          .repo = repo,
                          .head = head,
                          .moves = all,
                          .n_moves = kept};
    return !kept || webhook_record(c, hub, &event, err);
}

bool repo_refs_changed(Hub *hub, const Repo *repo, const RefMove *moves, size_t n, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Error seen = {0};
    const RepoInfo *info = NULL;
    if (!repo_info(hub, a, repo, S(""), &info, &seen)) {
        if (seen.code == ERR_NO_REVISION) // no default branch: nothing to show
            return index_mark(hub, repo, err) && webhook_record_moves(hub, repo, moves, n, err);
        *(err ? err : &seen) = seen;
        return false;
    }
    SearchDoc doc = {0};
    search_doc(hub, a, repo, info, &doc);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && index_record(c, hub, a, repo, info->sha, moves, n, err) &&
           sql_repo_index(c, repo->id, info, INDEX_VERSION, wall_ns(), err) &&
           sql_search_put(c, repo->id, &doc, err) && conn_commit(c, err);
}

bool repo_index(Hub *hub, const Repo *repo, Error *err)
{
    return repo_refs_changed(hub, repo, NULL, 0, err);
}

static bool is_main(const char *ref)
{
    return strcmp(ref, "refs/heads/main") == 0;
}

bool repo_moved(Hub *hub, const Repo *repo, const char *ref, const char *from, const char *to,
                Error *err)
{
    RefMove move = {str_of(ref), str_of(from), str_of(to)};
    return is_main(ref) ? repo_index(hub, repo, err)
                        : webhook_record_moves(hub, repo, &move, 1, err);
}

bool repo_committed(Hub *hub, const Repo *repo, const char *ref, const char *commit, Error *err)
{
    if (is_main(ref))
        return repo_index(hub, repo, err);
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    GitCommit made;
    return git && git_commit_read(git, commit, a, &made, err) &&
           repo_moved(hub, repo, ref, made.n_parents ? made.parents[0] : "", commit, err);
}
