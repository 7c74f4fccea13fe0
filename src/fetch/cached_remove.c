/* cached_remove.c: removes parts of the cache, and compares them with the hub; see cached.h. */
#include "fetch/cached_internal.h"

#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

enum { MAX_DEPTH = 64 };

/* What goes: whole repositories, snapshots with their refs, single files, and the blobs that
 * nothing needs afterwards. */
typedef struct Doom {
    Arena *a;
    const CacheScan *scan;
    Map blobs; // path to CachedFile
} Doom;

static bool goes_whole(const CachedRepo *repo)
{
    for (size_t i = 0; i < repo->n; i++)
        if (!repo->revisions[i].doomed)
            return false;
    return repo->n > 0;
}

/* Blobs of a repository that are only in what is doomed. A link that leads out of its folder was
 * made by somebody else: what it leads to is not ours to remove. */
static void add_blobs(Doom *d, const CachedRepo *repo)
{
    Map kept = {0};
    Str inside = str_of(arena_printf(d->a, "%s/", repo->path));
    for (int stays = 1; stays >= 0; stays--)
        for (size_t i = 0; i < repo->n; i++) {
            const CachedRevision *r = &repo->revisions[i];
            for (size_t f = 0; f < r->n; f++) {
                CachedFile *file = &r->files[f];
                bool doomed = r->doomed || file->doomed;
                if (stays && !doomed)
                    map_put(&kept, str_of(file->blob), file);
                if (!stays && doomed && str_starts(str_of(file->blob), inside) &&
                    !map_find(&kept, str_of(file->blob)))
                    map_put(&d->blobs, str_of(file->blob), file);
            }
        }
    map_done(&kept);
}

static void doom_init(Doom *d, Arena *a, const CacheScan *scan)
{
    *d = (Doom){.a = a, .scan = scan};
    for (size_t i = 0; i < scan->n; i++)
        add_blobs(d, &scan->repos[i]);
}

static bool is_doomed(const void *context, const char *blob)
{
    return map_find(context, str_of(blob)) != NULL;
}

int64_t cache_doomed_size(const CacheScan *scan)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Doom d;
    doom_init(&d, a, scan);
    Map shared = {0};
    int64_t size = 0;
    for (size_t i = 0; i < d.blobs.n; i++) {
        const CachedFile *file = d.blobs.entries[i].value;
        const char *target = shared_store_target(a, scan->folder, file->blob);
        bool counts =
            !target || (map_put(&shared, str_of(target), a) &&
                        shared_store_is_last(a, scan->folder, target, is_doomed, &d.blobs));
        size += counts ? file->size : 0;
    }
    map_done(&shared);
    map_done(&d.blobs);
    return size;
}

static bool remove_file(const char *path, Error *err)
{
    return unlink(path) == 0 || errno == ENOENT || fail_io(err, "%s", path);
}

/* Snapshots and single files; what they need is still there. */
static bool remove_names(Doom *d, const CachedRepo *repo, Error *err)
{
    for (size_t i = 0; i < repo->n; i++) {
        const CachedRevision *r = &repo->revisions[i];
        for (size_t f = 0; f < r->n; f++)
            if (!r->doomed && r->files[f].doomed && !remove_file(r->files[f].path, err))
                return false;
        if (!r->doomed)
            continue;
        // Refs first: one must never lead to a snapshot that is gone.
        for (size_t k = 0; k < r->n_refs; k++)
            if (!remove_file(arena_printf(d->a, "%s/refs/%s", repo->path, r->refs[k]), err))
                return false;
        if (!file_remove_tree(r->path, err))
            return false;
    }
    return true;
}

bool cache_remove_doomed(const CacheScan *scan, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Doom d;
    doom_init(&d, a, scan);
    // Where links into the shared store lead is to be seen only while they are there.
    const char **targets = NEW_ARRAY(a, const char *, d.blobs.n + 1);
    for (size_t i = 0; i < d.blobs.n; i++)
        targets[i] = shared_store_target(a, scan->folder, d.blobs.entries[i].key.ptr);
    bool ok = true;
    for (size_t i = 0; ok && i < scan->n; i++) {
        const CachedRepo *repo = &scan->repos[i];
        ok = goes_whole(repo) ? file_remove_tree(repo->path, err) : remove_names(&d, repo, err);
    }
    for (size_t i = 0; ok && i < d.blobs.n; i++)
        ok = remove_file(d.blobs.entries[i].key.ptr, err);
    for (size_t i = 0; ok && i < d.blobs.n; i++)
        if (targets[i])
            shared_store_sweep(a, scan->folder, targets[i]);
    map_done(&d.blobs);
    return ok;
}

bool cache_remove_scraps(const CacheScan *scan, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    for (size_t i = 0; i < scan->n_scraps; i++) {
        if (scan->scraps[i].shared)
            shared_store_sweep(a, scan->folder, scan->scraps[i].path);
        else if (!remove_file(scan->scraps[i].path, err))
            return false;
    }
    return true;
}

/* ---- Beside the hub ---- */

typedef struct Check {
    Arena *a;
    CacheCheck *out;
    Map local; // name to path
} Check;

static bool see_local(Check *c, const char *path, const char *prefix, int depth, Error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_io(err, "%s", path);
    bool ok = depth < MAX_DEPTH || fail(err, ERR_LIMIT, "%s: too deep", path);
    for (struct dirent *e; ok && (e = readdir(folder));) {
        const char *inner = arena_printf(c->a, "%s/%s", path, e->d_name);
        const char *name = arena_printf(c->a, "%s%s", prefix, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, ".git") == 0 || strcmp(name, ".cache/huggingface") == 0)
            continue;
        if (file_is_folder(inner))
            ok = see_local(c, inner, arena_printf(c->a, "%s/", name), depth + 1, err);
        else
            map_put(&c->local, str_of(name), (void *)(uintptr_t)inner);
    }
    closedir(folder);
    return ok;
}

static bool compare(Check *c, const RemoteFile *file, const char *path, Error *err)
{
    char oid[OID_SIZE];
    struct stat info;
    if (stat(path, &info) != 0)
        return fail_io(err, "%s", path);
    if (!file_oid(path, info.st_size, file->lfs, oid, err))
        return false;
    c->out->checked++;
    if (strcmp(oid, file->etag) == 0)
        return true;
    CacheCheck *out = c->out;
    out->mismatches = list_grow(c->a, out->mismatches, out->n_mismatches, sizeof *out->mismatches);
    out->mismatches[out->n_mismatches++] =
        (CacheMismatch){.path = file->path,
                        .expected = file->etag,
                        .actual = arena_cstr(c->a, str_of(oid)),
                        .algorithm = file->lfs ? "sha256" : "git-sha1"};
    return true;
}

static bool compare_all(Check *c, const RemoteFile *files, size_t n, Error *err)
{
    Map remote = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const char *path = map_find(&c->local, str_of(files[i].path));
        map_put(&remote, str_of(files[i].path), c);
        if (path)
            ok = compare(c, &files[i], path, err);
        else
            c->out->missing =
                list_add_text(c->a, c->out->missing, &c->out->n_missing, files[i].path);
    }
    for (size_t i = 0; ok && i < c->local.n; i++)
        if (!map_find(&remote, c->local.entries[i].key))
            c->out->extra =
                list_add_text(c->a, c->out->extra, &c->out->n_extra, c->local.entries[i].key.ptr);
    map_done(&remote);
    return ok;
}

bool cache_verify(CacheCheck *check, Arena *a, const char *id, const FetchOptions *options,
                  Error *err)
{
    RepoName name;
    FetchEnv env = fetch_env(a, options->token, options->cache);
    if (!repo_name_parse(&name, a, id, options->kind, options->revision, err))
        return false;
    RepoCache cache = repo_cache(a, &env, &name);
    *check = (CacheCheck){.revision = name.revision, .folder = options->folder};
    if (!check->folder) {
        check->folder = cache_find_snapshot(a, &cache, name.revision);
        if (!check->folder)
            return fail(err, ERR_NOT_FOUND,
                        "%s at %s is not in the cache; `hug download` fetches it, or say "
                        "--local-dir",
                        id, name.revision);
        check->revision = arena_cstr(a, path_name(str_of(check->folder)));
    }
    AUTO(client_free) Client *client = client_new();
    RemoteFile *files;
    size_t n;
    Check c = {.a = a, .out = check};
    bool ok = hub_tree(client, a, &env, &name, check->revision, &files, &n, err) &&
              see_local(&c, check->folder, "", 0, err) && compare_all(&c, files, n, err);
    map_done(&c.local);
    return ok || fail_while(err, "verify %s", id);
}
