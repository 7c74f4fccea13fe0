/* cache.c: the folders that we share with huggingface_hub; see fetch.h. */
#include "fetch/fetch_internal.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

/* "models--org--name" */
static char *folder_name(Arena *a, const RepoName *name)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%s--", fetch_kind(name->kind)->plural);
    for (const char *c = name->id; *c; c++)
        if (*c == '/')
            buf_add(&out, S("--"));
        else
            buf_add_char(&out, *c);
    return arena_cstr(a, buf_str(&out));
}

RepoCache repo_cache(Arena *a, const FetchEnv *env, const RepoName *name)
{
    const char *folder = folder_name(a, name);
    return (RepoCache){.folder = arena_printf(a, "%s/%s", env->cache, folder),
                       .locks = arena_printf(a, "%s/.locks/%s", env->cache, folder)};
}

char *cache_find_snapshot(Arena *a, const RepoCache *cache, const char *revision)
{
    AUTO_BUF commit;
    buf_init(&commit, 256);
    if (is_commit(revision))
        buf_add(&commit, str_of(revision));
    else if (!file_read(arena_printf(a, "%s/refs/%s", cache->folder, revision), &commit, NULL))
        return NULL;
    Str name = str_trim(buf_str(&commit));
    if (!path_is_safe(name, NULL))
        return NULL;
    char *path = arena_printf(a, "%s/snapshots/%.*s", cache->folder, STR(name));
    return file_is_folder(path) ? path : NULL;
}

static bool make_parent(Arena *a, const char *path, Error *err)
{
    Str folder = str_slice(str_of(path), 0, str_rfind_char(str_of(path), '/'));
    return file_make_folders(arena_cstr(a, folder), 0755, err);
}

bool cache_write_ref(Arena *a, const RepoCache *cache, const char *revision, const char *commit,
                     Error *err)
{
    if (is_commit(revision))
        return true;
    const char *path = arena_printf(a, "%s/refs/%s", cache->folder, revision);
    return make_parent(a, path, err) && file_write_atomic(path, str_of(commit), 0644, err);
}

bool cache_link(Arena *a, const RepoCache *cache, const char *commit, const RemoteFile *file,
                Error *err)
{
    AUTO_BUF blob;
    buf_init(&blob, 0);
    buf_add(&blob, S("../../"));
    for (const char *c = file->path; *c; c++)
        if (*c == '/')
            buf_add(&blob, S("../"));
    buf_printf(&blob, "blobs/%s", file->etag);
    const char *path = arena_printf(a, "%s/snapshots/%s/%s", cache->folder, commit, file->path);
    char seen[512];
    ssize_t n = readlink(path, seen, sizeof seen);
    if (n >= 0 && str_eq((Str){seen, (size_t)n}, buf_str(&blob)))
        return true;
    // A new link beside the old one, then renamed over it: readers see one or the other.
    const char *fresh = arena_printf(a, "%s.%d.link", path, getpid());
    if (!make_parent(a, path, err))
        return false;
    unlink(fresh);
    if (symlink(blob.ptr, fresh) != 0 || rename(fresh, path) != 0)
        return fail_io(err, "link %s", path);
    return true;
}

/* Size and times of what lies in blobs/. */
static void measure_blobs(Arena *a, CachedRepo *repo)
{
    const char *path = arena_printf(a, "%s/blobs", repo->path);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *e; (e = readdir(folder));) {
        struct stat info;
        if (e->d_name[0] == '.' || fstatat(dirfd(folder), e->d_name, &info, 0) != 0)
            continue;
        repo->size += info.st_size;
        repo->used_ns = MAX(repo->used_ns, info.st_atim.tv_sec * NS_PER_S);
        repo->changed_ns = MAX(repo->changed_ns, info.st_mtim.tv_sec * NS_PER_S);
    }
    closedir(folder);
}

/* Names below refs/ (which nest: refs/pr/1) or snapshots/, joined to `out` if that is not NULL. */
static int count_names(Arena *a, const char *path, const char *prefix, bool deep, Buf *out)
{
    DIR *folder = opendir(path);
    int count = 0;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (e->d_name[0] == '.')
            continue;
        const char *inner = arena_printf(a, "%s/%s", path, e->d_name);
        if (deep && file_is_folder(inner)) {
            count += count_names(a, inner, arena_printf(a, "%s%s/", prefix, e->d_name), deep, out);
            continue;
        }
        count++;
        if (out)
            buf_printf(out, "%s%s%s", out->len ? ", " : "", prefix, e->d_name);
    }
    if (folder)
        closedir(folder);
    return count;
}

/* From "models--org--name"; false for a folder that is no repository. */
static bool read_repo(Arena *a, const char *cache, const char *folder, CachedRepo *repo)
{
    Str rest = str_of(folder);
    size_t dashes = str_find(rest, S("--"), 0);
    if (dashes == SIZE_MAX || !fetch_kind_parse(str_slice(rest, 0, dashes), &repo->kind))
        return false;
    AUTO_BUF id, refs;
    buf_init(&id, 0);
    buf_init(&refs, 0);
    rest = str_slice(rest, dashes + 2, rest.len);
    for (size_t from = 0, at; from <= rest.len; from = at + 2) {
        at = str_find(rest, S("--"), from);
        buf_printf(&id, "%s%.*s", from ? "/" : "", STR(str_slice(rest, from, at)));
        if (at == SIZE_MAX)
            break;
    }
    repo->id = arena_cstr(a, buf_str(&id));
    repo->path = arena_printf(a, "%s/%s", cache, folder);
    measure_blobs(a, repo);
    count_names(a, arena_printf(a, "%s/refs", repo->path), "", true, &refs);
    repo->refs = arena_cstr(a, buf_str(&refs));
    repo->snapshots = count_names(a, arena_printf(a, "%s/snapshots", repo->path), "", false, NULL);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const CachedRepo *left = a, *right = b;
    int order = strcmp(left->id, right->id);
    return order ? order : (int)left->kind - (int)right->kind;
}

bool fetch_cache_list(Arena *a, const char *cache, CachedRepo **repos, size_t *n, Error *err)
{
    const char *path = fetch_env(a, NULL, cache).cache;
    size_t cap = 64, count = 0;
    CachedRepo *found = NEW_ARRAY(a, CachedRepo, cap);
    DIR *folder = opendir(path);
    if (!folder && errno != ENOENT)
        return fail_io(err, "%s", path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        CachedRepo repo = {0};
        if (!read_repo(a, path, e->d_name, &repo))
            continue;
        if (count == cap) {
            CachedRepo *grown = NEW_ARRAY(a, CachedRepo, cap * 2);
            memcpy(grown, found, count * sizeof *found);
            found = grown;
            cap *= 2;
        }
        found[count++] = repo;
    }
    if (folder)
        closedir(folder);
    qsort(found, count, sizeof *found, by_name);
    *repos = found;
    *n = count;
    return true;
}
