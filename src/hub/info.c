/* info.c: snapshots of commits, made once, shared and counted; see hub_internal.h.
 *
 * A commit never changes, so neither does its Snapshot: the cache needs no invalidation, only a
 * bound. It is a table of small sets; a new snapshot takes the place of its set's least recently
 * used one, and the oldest go when all together pass MAX_BYTES. */
#include "base/clock.h"
#include "base/file.h"
#include "hub/hub_internal.h"

enum { SETS = 256, WAYS = 4, MAX_ENTRIES = 1000000 };
static const size_t max_bytes = (size_t)256 << 20;

typedef struct Slot {
    Snapshot *snapshot;
    uint64_t used; // the cache's clock at its last use
} Slot;

struct InfoCache {
    pthread_mutex_t lock; // guards what follows; no I/O under it
    Slot slots[SETS][WAYS];
    uint64_t clock;
    size_t bytes;
};

static void snapshot_unref(void *object)
{
    Snapshot *s = object;
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    map_done(&s->by_path);
    arena_free(s->arena); // holds the snapshot itself
}

InfoCache *infos_new(void)
{
    InfoCache *c = xcalloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void slot_empty(InfoCache *c, Slot *slot)
{
    if (!slot->snapshot)
        return;
    c->bytes -= slot->snapshot->bytes;
    snapshot_unref(slot->snapshot);
    *slot = (Slot){0};
}

void infos_free(InfoCache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SETS * WAYS; i++)
        slot_empty(c, &c->slots[i / WAYS][i % WAYS]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static Snapshot *cache_find(InfoCache *c, Str key)
{
    Slot *set = c->slots[str_hash(key) % SETS];
    Snapshot *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < WAYS; i++)
        if (set[i].snapshot && str_eq(set[i].snapshot->key, key)) {
            found = set[i].snapshot;
            __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
            set[i].used = ++c->clock;
        }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static Slot *cache_oldest(InfoCache *c)
{
    Slot *oldest = NULL;
    for (size_t i = 0; i < SETS * WAYS; i++) {
        Slot *slot = &c->slots[i / WAYS][i % WAYS];
        if (slot->snapshot && (!oldest || slot->used < oldest->used))
            oldest = slot;
    }
    return oldest;
}

static void cache_add(InfoCache *c, Snapshot *s)
{
    if (s->bytes > max_bytes / 2)
        return;
    Slot *set = c->slots[str_hash(s->key) % SETS];
    Slot *place = &set[0];
    pthread_mutex_lock(&c->lock);
    for (int i = 1; i < WAYS; i++)
        if (set[i].used < place->used)
            place = &set[i];
    slot_empty(c, place);
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    *place = (Slot){.snapshot = s, .used = ++c->clock};
    c->bytes += s->bytes;
    while (c->bytes > max_bytes)
        slot_empty(c, cache_oldest(c));
    pthread_mutex_unlock(&c->lock);
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
    s->refs = 1;
    s->key = arena_str(arena, key);
    s->tree.sha = s->info.sha = arena_str(arena, str_of(commit));
    GitCommit read;
    if (!git_commit_read(git, commit, arena, &read, err) || !tree_read(git, s, err)) {
        snapshot_unref(s);
        return NULL;
    }
    s->info.modified_ns = read.committer_ns;
    facts_collect(hub, git, repo, s);
    // The card and excerpts lie outside the arena; they are at most a few times their text.
    s->bytes = arena_used(arena) + 64 * s->tree.n + 4096;
    return s;
}

const Snapshot *snapshot_get(Hub *hub, Arena *a, const Repo *repo, const char *commit, Error *err)
{
    // By repository as well: which LFS content may be looked into depends on it.
    Str key = str_of(arena_printf(a, "%.*s %s", STR(repo->id), commit));
    Snapshot *s = cache_find(hub->infos, key);
    if (!s) {
        s = snapshot_make(hub, repo, key, commit, err);
        if (!s)
            return NULL;
        cache_add(hub->infos, s);
    }
    arena_defer(a, snapshot_unref, s);
    return s;
}

/* ---- What lists show ---- */

bool repo_index(Hub *hub, const Repo *repo, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Error seen = {0};
    const RepoInfo *info = NULL;
    if (!repo_info(hub, a, repo, S(""), &info, &seen)) {
        if (seen.code == ERR_NO_REVISION) // no default branch: nothing to show
            return true;
        *(err ? err : &seen) = seen;
        return false;
    }
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_repo_index(c, repo->id, info, wall_ns(), err) && conn_commit(c, err);
}

bool repo_refs_changed(Hub *hub, const Repo *repo, Error *err)
{
    return repo_index(hub, repo, err);
}
