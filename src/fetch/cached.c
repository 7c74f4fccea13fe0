/* cached.c: reads the cache's folders; see cached.h. */
#include "fetch/cached_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

enum { MAX_DEPTH = 64 };

const char **list_add_text(Arena *a, const char **items, size_t *n, const char *text)
{
    items = list_grow(a, (void *)items, *n, sizeof *items);
    items[(*n)++] = text;
    return items;
}

/* Calls `each` for every file and link below `path`; `name` is its path from there. */
typedef bool FileVisit(void *context, const char *path, const char *name, Error *err);
static bool walk(Arena *a, const char *path, const char *prefix, int depth, FileVisit *each,
                 void *context, Error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_io(err, "%s", path);
    bool ok = depth < MAX_DEPTH || fail(err, ERR_LIMIT, "%s: too deep", path);
    for (struct dirent *e; ok && (e = readdir(folder));) {
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, ".DS_Store") == 0)
            continue;
        const char *inner = arena_printf(a, "%s/%s", path, e->d_name);
        const char *name = arena_printf(a, "%s%s", prefix, e->d_name);
        if (lstat(inner, &info) != 0)
            ok = fail_io(err, "%s", inner);
        else if (S_ISDIR(info.st_mode))
            ok = walk(a, inner, arena_printf(a, "%s/", name), depth + 1, each, context, err);
        else
            ok = each(context, inner, name, err);
    }
    closedir(folder);
    return ok;
}

/* ---- One repository ---- */

typedef struct RepoScan {
    Arena *a;
    CachedRepo repo;
    CachedRevision *revision; // being read
    Map blobs;                // path to struct stat
    Map refs;                 // commit to a list of names, as Refs
} RepoScan;

typedef struct Refs {
    const char **names;
    size_t n;
    bool found;
} Refs;

/* "a/b/../c" without its "..": links in snapshots lead up and down again. */
static char *plain_path(Arena *a, const char *path)
{
    char *out = arena_cstr(a, str_of(path)), *end = out;
    Str rest = str_of(path), part;
    while (str_split(&rest, '/', &part)) {
        if (part.len == 0 || str_eq(part, S(".")))
            continue;
        if (str_eq(part, S(".."))) {
            while (end > out && *--end != '/')
                ;
            continue;
        }
        *end++ = '/';
        memmove(end, part.ptr, part.len);
        end += part.len;
    }
    *end = 0;
    return out;
}

static bool see_ref(void *context, const char *path, const char *name, Error *err)
{
    RepoScan *s = context;
    AUTO_BUF commit;
    buf_init(&commit, 256);
    if (!file_read(path, &commit, err))
        return false;
    Str key = arena_str(s->a, buf_str(&commit));
    Refs *refs = map_find(&s->refs, key);
    if (!refs) {
        refs = NEW(s->a, Refs);
        map_put(&s->refs, key, refs);
    }
    refs->names = list_add_text(s->a, refs->names, &refs->n, name);
    return true;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static bool see_file(void *context, const char *path, const char *name, Error *err)
{
    RepoScan *s = context;
    CachedRevision *r = s->revision;
    char link[PATH_MAX];
    ssize_t n = readlink(path, link, sizeof link - 1);
    const char *blob = path;
    if (n >= 0) {
        link[n] = 0;
        blob = link[0] == '/'
                   ? plain_path(s->a, link)
                   : plain_path(
                         s->a, arena_printf(s->a, "%.*s/%s", STR(path_parent(str_of(path))), link));
    }
    struct stat *info = map_find(&s->blobs, str_of(blob));
    bool fresh = !info;
    if (fresh) {
        info = NEW(s->a, struct stat);
        if (stat(blob, info) != 0)
            return fail(err, ERR_CORRUPT, "Blob missing (broken symlink): %s", blob);
        map_put(&s->blobs, str_of(blob), info);
        s->repo.size += info->st_size;
        s->repo.used_ns = MAX(s->repo.used_ns, ns_of(info->st_atim));
        s->repo.changed_ns = MAX(s->repo.changed_ns, ns_of(info->st_mtim));
    }
    bool counted = false; // two files of one revision may have the same content
    for (size_t i = 0; !fresh && i < r->n && !counted; i++)
        counted = strcmp(r->files[i].blob, blob) == 0;
    r->size += counted ? 0 : info->st_size;
    r->changed_ns = MAX(r->changed_ns, ns_of(info->st_mtim));
    r->files = list_grow(s->a, r->files, r->n, sizeof *r->files);
    r->files[r->n++] =
        (CachedFile){.name = name, .path = path, .blob = blob, .size = info->st_size};
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool see_revision(RepoScan *s, const char *path, const char *commit, Error *err)
{
    CachedRepo *repo = &s->repo;
    repo->revisions = list_grow(s->a, repo->revisions, repo->n, sizeof *repo->revisions);
    CachedRevision *r = &repo->revisions[repo->n++];
    *r = (CachedRevision){.commit = commit, .path = path};
    s->revision = r;
    if (!file_is_folder(path))
        return fail(err, ERR_CORRUPT, "Snapshots folder corrupted. Found a file: %s", path);
    if (!walk(s->a, path, "", 0, see_file, s, err))
        return false;
    struct stat info;
    if (r->n == 0 && stat(path, &info) == 0)
        r->changed_ns = ns_of(info.st_mtim);
    Refs *refs = map_find(&s->refs, str_of(commit));
    if (refs) {
        refs->found = true;
        r->refs = refs->names;
        r->n_refs = refs->n;
        qsort((void *)r->refs, r->n_refs, sizeof *r->refs, by_text);
    }
    return true;
}

static int by_commit(const void *a, const void *b)
{
    return strcmp(((const CachedRevision *)a)->commit, ((const CachedRevision *)b)->commit);
}

static bool read_snapshots(RepoScan *s, Error *err)
{
    const char *path = arena_printf(s->a, "%s/snapshots", s->repo.path);
    DIR *folder = opendir(path);
    if (!folder)
        return fail(err, ERR_CORRUPT, "Snapshots dir doesn't exist in cached repo: %s", path);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(folder));)
        if (e->d_name[0] != '.')
            ok = see_revision(s, arena_printf(s->a, "%s/%s", path, e->d_name),
                              arena_cstr(s->a, str_of(e->d_name)), err);
    closedir(folder);
    if (!ok)
        return false;
    for (size_t i = 0; i < s->refs.n; i++) {
        const Refs *refs = s->refs.entries[i].value;
        if (!refs->found)
            return fail(err, ERR_CORRUPT,
                        "Reference(s) refer to missing commit hashes: %s is at %.*s (%s)",
                        refs->names[0], STR(s->refs.entries[i].key), s->repo.path);
    }
    if (s->repo.n)
        qsort(s->repo.revisions, s->repo.n, sizeof *s->repo.revisions, by_commit);
    return true;
}

/* From "models--org--name"; false for a folder that is no repository's. */
static bool read_name(RepoScan *s, const char *folder, Error *err)
{
    Str rest = str_of(folder);
    size_t dashes = str_find(rest, S("--"), 0);
    if (dashes == SIZE_MAX || !fetch_kind_parse(str_slice(rest, 0, dashes), &s->repo.kind))
        return fail(err, ERR_CORRUPT, "Repo path is not a valid HuggingFace cache directory: %s",
                    s->repo.path);
    AUTO_BUF id;
    buf_init(&id, 0);
    rest = str_slice(rest, dashes + 2, rest.len);
    for (size_t from = 0, at; from <= rest.len; from = at + 2) {
        at = str_find(rest, S("--"), from);
        buf_printf(&id, "%s%.*s", from ? "/" : "", STR(str_slice(rest, from, at)));
        if (at == SIZE_MAX)
            break;
    }
    s->repo.id = arena_cstr(s->a, buf_str(&id));
    return true;
}

static bool read_repo(Arena *a, const char *cache, const char *folder, CachedRepo *repo, Map *all,
                      Error *err)
{
    RepoScan s = {.a = a, .repo.path = arena_printf(a, "%s/%s", cache, folder)};
    struct stat info;
    if (stat(s.repo.path, &info) != 0 || !S_ISDIR(info.st_mode))
        return fail(err, ERR_CORRUPT, "Repo path is not a directory: %s", s.repo.path);
    const char *refs = arena_printf(a, "%s/refs", s.repo.path);
    bool ok = read_name(&s, folder, err) &&
              (!file_is_folder(refs) || walk(a, refs, "", 0, see_ref, &s, err)) &&
              read_snapshots(&s, err);
    if (ok && s.blobs.n == 0) {
        s.repo.used_ns = ns_of(info.st_atim);
        s.repo.changed_ns = ns_of(info.st_mtim);
    }
    for (size_t i = 0; ok && i < s.blobs.n; i++)
        map_put(all, s.blobs.entries[i].key, s.blobs.entries[i].value);
    map_done(&s.refs);
    map_done(&s.blobs);
    *repo = s.repo;
    return ok;
}

/* ---- The whole ---- */

void scan_add_scrap(CacheScan *scan, Arena *a, const char *path, bool shared)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return;
    scan->scraps = list_grow(a, scan->scraps, scan->n_scraps, sizeof *scan->scraps);
    scan->scraps[scan->n_scraps++] =
        (CachedScrap){.path = path, .size = info.st_size, .shared = shared};
}

static void find_incomplete(CacheScan *scan, Arena *a, const char *repo)
{
    const char *path = arena_printf(a, "%s/%s/blobs", scan->folder, repo);
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));)
        if (e->d_name[0] != '.' && str_ends(str_of(e->d_name), S(".incomplete")))
            scan_add_scrap(scan, a, arena_printf(a, "%s/%s", path, e->d_name), false);
    if (folder)
        closedir(folder);
}

static int by_kind_and_id(const void *a, const void *b)
{
    const CachedRepo *left = a, *right = b;
    int order = strcmp(fetch_kind_name(left->kind), fetch_kind_name(right->kind));
    return order ? order : strcmp(left->id, right->id);
}

static void see_repo(CacheScan *scan, Arena *a, const char *name, Map *blobs)
{
    Error broken = {0};
    CachedRepo repo;
    find_incomplete(scan, a, name);
    if (read_repo(a, scan->folder, name, &repo, blobs, &broken)) {
        scan->repos = list_grow(a, scan->repos, scan->n, sizeof repo);
        scan->repos[scan->n++] = repo;
    } else
        scan->warnings =
            list_add_text(a, scan->warnings, &scan->n_warnings, arena_cstr(a, str_of(broken.text)));
}

bool cache_scan(CacheScan *scan, Arena *a, const char *folder, Error *err)
{
    // Links are compared with real paths.
    const char *path = fetch_env(a, NULL, folder).cache;
    AUTO(free) char *real = realpath(path, NULL);
    DIR *all = real ? opendir(real) : NULL;
    if (!all)
        return errno == ENOENT ? fail(err, ERR_NOT_FOUND,
                                      "there is no cache at %s; `hug download` makes it", path)
                               : fail_io(err, "%s", path);
    *scan = (CacheScan){.folder = arena_cstr(a, str_of(real))};
    bool shared = shared_store_exists(a, scan->folder);
    Map blobs = {0};
    for (struct dirent *e; (e = readdir(all));) {
        bool store = shared && strcmp(e->d_name, "blobs") == 0;
        if (e->d_name[0] != '.' && strcmp(e->d_name, "CACHEDIR.TAG") != 0 && !store)
            see_repo(scan, a, e->d_name, &blobs);
    }
    closedir(all);
    for (size_t i = 0; i < blobs.n; i++)
        if (!shared || !shared_store_target(a, scan->folder, blobs.entries[i].key.ptr))
            scan->size += ((struct stat *)blobs.entries[i].value)->st_size;
    map_done(&blobs);
    if (shared)
        shared_store_scan(scan, a);
    if (scan->n)
        qsort(scan->repos, scan->n, sizeof *scan->repos, by_kind_and_id);
    return true;
}
