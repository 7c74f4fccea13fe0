/* cache.c: the folders that we share with huggingface_hub; see fetch.h. */
#include "fetch/fetch_internal.h"

#include "base/file.h"

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

bool make_parent(Arena *a, const char *path, Error *err)
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
