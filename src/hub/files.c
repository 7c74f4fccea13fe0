/* files.c: revisions, trees and files of a repository, for readers. All that a commit holds is
 * looked up in its Snapshot (info.c), which git is asked for once. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "hub/hub_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { MAX_CACHED_TEXT = 256 << 10, MAX_SNAPSHOTS = 10000 };

GitRepo *repo_git_open(const Repo *repo, Error *err)
{
    GitRepo *git = git_repo_open(repo->git_dir, err);
    if (!git)
        return fail_while(err, "repository %.*s", STR(repo->full));
    return git;
}

GitPerson person_of(Arena *a, const Viewer *viewer)
{
    Str name = viewer->account.name;
    // Commits are public, so they do not carry the account's address.
    return (GitPerson){.name = name,
                       .email = str_of(arena_printf(a, "%.*s@users.noreply.hug", STR(name)))};
}

bool git_revision(GitRepo *git, Str rev, char commit[GIT_HEX_SIZE], Error *err)
{
    Error seen = {0};
    if (git_repo_resolve(git, rev, commit, &seen))
        return true;
    if (seen.code == ERR_NO_REVISION || seen.code == ERR_INVALID)
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %.*s", STR(rev));
    *(err ? err : &seen) = seen;
    return false;
}

/* The commit of a branch whose ref lies loose in its own file, which is where git leaves a ref that
 * has moved: one small read instead of opening the repository. False: ask git. */
static bool loose_branch(Arena *a, const Repo *repo, Str rev, char commit[GIT_HEX_SIZE])
{
    if (!rev.len || str_eq(rev, S("HEAD")))
        rev = S("main");
    if (!path_is_safe(rev, NULL))
        return false;
    AUTO_FD int fd =
        open(arena_printf(a, "%s/refs/heads/%.*s", repo->git_dir, STR(rev)), O_RDONLY | O_CLOEXEC);
    char text[GIT_HEX_SIZE];
    if (fd < 0 || read(fd, text, sizeof text) != GIT_HEX_SIZE || text[GIT_HEX_SIZE - 1] != '\n')
        return false;
    uint8_t digest[20];
    if (!hex_decode((Str){text, GIT_HEX_SIZE - 1}, digest, sizeof digest))
        return false;
    text[GIT_HEX_SIZE - 1] = '\0';
    memcpy(commit, text, sizeof text);
    return true;
}

static bool find_commit(Arena *a, const Repo *repo, Str rev, char commit[GIT_HEX_SIZE], Error *err)
{
    if (loose_branch(a, repo, rev, commit))
        return true;
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    return git && git_revision(git, rev, commit, err);
}

bool repo_revision(Hub *hub, Arena *a, const Repo *repo, Str rev, Str *sha, Error *err)
{
    char commit[GIT_HEX_SIZE];
    if (!find_commit(a, repo, rev, commit, err))
        return false;
    *sha = arena_str(a, str_of(commit));
    return true;
}

static const Snapshot *snapshot_of(Hub *hub, Arena *a, const Repo *repo, Str rev, Error *err)
{
    char commit[GIT_HEX_SIZE];
    if (!find_commit(a, repo, rev, commit, err))
        return NULL;
    return snapshot_get(hub, a, repo, commit, err);
}

bool repo_info(Hub *hub, Arena *a, const Repo *repo, Str rev, const RepoInfo **out, Error *err)
{
    const Snapshot *s = snapshot_of(hub, a, repo, rev, err);
    if (s)
        *out = &s->info;
    return s != NULL;
}

bool info_has_tag(const RepoInfo *info, Str tag)
{
    for (size_t i = 0; i < info->n_tags; i++)
        if (str_eq(info->tags[i], tag))
            return true;
    return false;
}

bool repo_tree(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, bool recursive,
               RepoTree *out, Error *err)
{
    const Snapshot *s = snapshot_of(hub, a, repo, rev, err);
    if (!s)
        return false;
    *out = (RepoTree){.sha = s->tree.sha};
    const RepoEntry *folder = path.len ? map_find(&s->by_path, path) : NULL;
    if (path.len && (!folder || !folder->is_folder))
        return fail(err, ERR_NO_ENTRY, "%.*s does not exist on \"%.*s\"", STR(path), STR(rev));
    // Entries come in order, each folder before what is in it: its contents are one run.
    size_t from = folder ? (size_t)(folder - s->tree.items) + 1 : 0, to = from;
    Str prefix = path.len ? str_of(arena_printf(a, "%.*s/", STR(path))) : S("");
    while (to < s->tree.n && str_starts(s->tree.items[to].path, prefix))
        to++;
    out->items = NEW_ARRAY(a, RepoEntry, to - from);
    for (size_t i = from; i < to; i++)
        if (recursive || str_find_char(s->tree.items[i].path, '/', prefix.len) == SIZE_MAX)
            out->items[out->n++] = s->tree.items[i];
    return true;
}

bool repo_paths(Hub *hub, Arena *a, const Repo *repo, Str rev, const Str *paths, size_t n,
                RepoTree *out, Error *err)
{
    const Snapshot *s = snapshot_of(hub, a, repo, rev, err);
    if (!s)
        return false;
    *out = (RepoTree){.sha = s->tree.sha, .items = NEW_ARRAY(a, RepoEntry, n)};
    for (size_t i = 0; i < n; i++) {
        const RepoEntry *entry = map_find(&s->by_path, paths[i]);
        if (entry)
            out->items[out->n++] = *entry;
    }
    return true;
}

bool repo_last_commits(Hub *hub, Arena *a, const Repo *repo, RepoTree *tree, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    if (!git)
        return false;
    GitEntries entries = {.items = NEW_ARRAY(a, GitEntry, tree->n), .n = tree->n};
    for (size_t i = 0; i < tree->n; i++) {
        GitEntry *e = &entries.items[i];
        e->path = tree->items[i].path;
        e->is_folder = tree->items[i].is_folder;
        memcpy(e->oid, tree->items[i].oid.ptr, GIT_HEX_SIZE);
    }
    GitCommit *commits;
    if (!git_repo_last_commits(git, tree->sha.ptr, &entries, a, &commits, err))
        return false;
    for (size_t i = 0; i < tree->n; i++) {
        tree->items[i].last_id = str_of(commits[i].id);
        tree->items[i].last_title = commits[i].title;
        tree->items[i].last_ns = commits[i].author_ns;
    }
    return true;
}

bool repo_xet_hashes(Hub *hub, Arena *a, const Repo *repo, RepoTree *tree, Error *err)
{
    char hash[XET_HEX_SIZE];
    int64_t size;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < tree->n; i++) {
        RepoEntry *e = &tree->items[i];
        if (e->is_lfs && xet_file_hash_of(hub->xet, e->sha256.ptr, hash) &&
            sql_blob_of_repo(c, repo->id, e->sha256, &size, NULL))
            e->xet_hash = arena_str(a, str_of(hash));
    }
    return true;
}

bool repo_file(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, RepoFile *out, Error *err)
{
    const Snapshot *s = snapshot_of(hub, a, repo, rev, err);
    if (!s)
        return false;
    *out = (RepoFile){.sha = s->tree.sha};
    const RepoEntry *entry = map_find(&s->by_path, path);
    if (!entry || entry->is_folder)
        return fail(err, ERR_NO_ENTRY, "Entry not found");
    out->entry = *entry;
    return true;
}

/* A small blob, shared by all who ask for it; its key is its oid. */
typedef struct Text {
    Cached cached;
    char oid[GIT_HEX_SIZE];
    Buf bytes;
} Text;

static void text_free(Cached *cached)
{
    Text *text = (Text *)cached;
    buf_done(&text->bytes);
    free(text);
}

static Text *text_read(Hub *hub, const Repo *repo, const RepoFile *file, size_t max, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    if (!git)
        return NULL;
    Text *text = xcalloc(1, sizeof *text);
    buf_init(&text->bytes, max);
    memcpy(text->oid, file->entry.oid.ptr, sizeof text->oid);
    text->cached = (Cached){.refs = 1, .key = str_of(text->oid), .free = text_free};
    if (!git_blob_read(git, text->oid, &text->bytes, err)) {
        cached_unref(text);
        return NULL;
    }
    text->cached.bytes = sizeof *text + text->bytes.cap;
    if (text->bytes.len <= MAX_CACHED_TEXT)
        cache_add(hub->texts, &text->cached);
    return text;
}

bool repo_file_bytes(Hub *hub, Arena *a, const Repo *repo, const RepoFile *file, size_t max,
                     Str *out, Error *err)
{
    Text *text = (Text *)cache_find(hub->texts, file->entry.oid);
    if (!text && !(text = text_read(hub, repo, file, max, err)))
        return false;
    arena_defer(a, cached_unref, text);
    if (text->bytes.len > max)
        return fail(err, ERR_LIMIT, "%.*s: %zu bytes, at most %zu are read", STR(file->entry.path),
                    text->bytes.len, max);
    *out = buf_str(&text->bytes);
    return true;
}

BlobReader *repo_file_open(Hub *hub, const Repo *repo, const RepoFile *file, Error *err)
{
    int64_t size;
    {
        // Only what the repository was given: a pointer alone opens nothing.
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_blob_of_repo(c, repo->id, file->entry.sha256, &size, err))
            return NULL;
    }
    return blob_open(hub->blobs, file->entry.sha256.ptr, err);
}

/* ---- A folder for the engine ---- */

static bool snapshot_link(Hub *hub, Arena *a, GitRepo *git, const Repo *repo,
                          const RepoEntry *entry, const char *path, Error *err)
{
    if (entry->is_folder)
        return file_make_folders(path, 0700, err);
    if (!entry->is_lfs) {
        AUTO_BUF bytes;
        buf_init(&bytes, 0);
        return git_blob_read(git, entry->oid.ptr, &bytes, err) &&
               file_write_atomic(path, buf_str(&bytes), 0600, err);
    }
    int64_t size;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_blob_of_repo(c, repo->id, entry->sha256, &size, err))
            return false;
    }
    return blobs_copy_to(hub->blobs, entry->sha256.ptr, path, NULL, err);
}

bool snapshots_remove(Hub *hub, Str repo_id, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *parent = arena_printf(a, "%s/snapshots", hub->data);
    DIR *folder = opendir(parent);
    if (!folder)
        return errno == ENOENT || fail_io(err, "folder '%s'", parent);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(folder));)
        if (str_starts(str_of(e->d_name), repo_id))
            ok = file_remove_tree(arena_printf(a, "%s/%s", parent, e->d_name), err);
    closedir(folder);
    return ok;
}

/* ---- Copies for the engine are a cache ---- */

/* Bytes in a folder that nothing else has: of files with one name only. */
static int64_t own_bytes(int parent, const char *name)
{
    int64_t sum = 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        struct stat st;
        if (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S("..")) ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(st.st_mode))
            sum += own_bytes(fd, e->d_name);
        else if (S_ISREG(st.st_mode) && st.st_nlink == 1)
            sum += st.st_size;
    }
    if (folder)
        closedir(folder);
    return sum;
}

typedef struct Copies {
    const char *path;
    int64_t bytes, used_s;
} Copies;

static int by_use(const void *a, const void *b)
{
    const Copies *x = a, *y = b;
    return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

/* Removes the folders that were asked for longest ago while their copies take more than a quarter
 * of the file system; one that was asked for in the last hour may be in use. What a model has
 * mapped stays mapped. */
static void snapshots_trim(Arena *a, const char *parent)
{
    int64_t left, disk, sum = 0;
    DIR *folder = file_disk_space(parent, &left, &disk, NULL) ? opendir(parent) : NULL;
    if (!folder)
        return;
    int64_t limit = disk / 4;
    int64_t hour_ago_s = wall_ns() / NS_PER_S - 3600;
    Copies *all = NEW_ARRAY(a, Copies, MAX_SNAPSHOTS);
    size_t n = 0;
    for (struct dirent *e; n < MAX_SNAPSHOTS && (e = readdir(folder));) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        all[n] = (Copies){arena_printf(a, "%s/%s", parent, e->d_name),
                          own_bytes(dirfd(folder), e->d_name), st.st_mtim.tv_sec};
        sum += all[n++].bytes;
    }
    closedir(folder);
    qsort(all, n, sizeof *all, by_use);
    for (size_t i = 0; i < n && sum > limit && all[i].used_s < hour_ago_s; i++) {
        sum -= all[i].bytes;
        (void)!file_remove_tree(all[i].path, NULL);
    }
}

bool repo_snapshot(Hub *hub, Arena *a, const Repo *repo, Str rev, const char **folder, Error *err)
{
    const Snapshot *s = snapshot_of(hub, a, repo, rev, err);
    if (!s)
        return false;
    const char *parent = arena_printf(a, "%s/snapshots", hub->data);
    const char *path = arena_printf(a, "%s/%.*s-%.*s", parent, STR(repo->id), STR(s->tree.sha));
    if (file_is_folder(path)) {
        utimensat(AT_FDCWD, path, NULL, 0); // the one that was used longest ago goes first
        *folder = path;
        return true;
    }
    snapshots_trim(a, parent);
    // Filled under another name first: what is there is whole.
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    if (!git || !file_make_folders(parent, 0700, err))
        return false;
    const char *temp = file_temp_folder(a, parent, err);
    if (!temp)
        return false;
    for (size_t i = 0; i < s->tree.n; i++) {
        const RepoEntry *entry = &s->tree.items[i];
        const char *at = arena_printf(a, "%s/%.*s", temp, STR(entry->path));
        if (!snapshot_link(hub, a, git, repo, entry, at, err)) {
            (void)!file_remove_tree(temp, NULL);
            return fail_while(err, "%.*s", STR(entry->path));
        }
    }
    if (rename(temp, path) != 0) {
        int failed = errno;
        (void)!file_remove_tree(temp, NULL);
        errno = failed;
        if (!file_is_folder(path)) // somebody else was faster: as good
            return fail_io(err, "snapshot '%s'", path);
    }
    *folder = path;
    return true;
}
