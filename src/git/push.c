/* push.c: looking at what a push brings, before its refs move; see git.h. */
#include "git_internal.h"

#include "base/file.h"
#include "base/map.h"

enum { DEPTH_LIMIT = 256 };

typedef struct News {
    GitRepo *repo;
    git_odb *odb;
    Arena *arena;
    Map seen; // oids of trees and blobs that were looked at
    bool (*each)(void *user, const GitEntry *entry, Error *err);
    void *user;
} News;

static void news_done(News *n)
{
    map_done(&n->seen);
    arena_free(n->arena);
    git_odb_free(n->odb);
}

GitRepo *git_repo_open_with(const char *path, const char *objects, Error *err)
{
    AUTO(git_repo_free) GitRepo *r = git_repo_open(path, err);
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    if (!r)
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status == 0)
        status = git_odb_add_disk_alternate(odb, objects);
    if (status < 0)
        return fail_git(err, status, "open objects '%s'", objects);
    return TAKE(r);
}

static bool is_new(News *n, const git_oid *oid)
{
    Str key = {(const char *)oid->id, sizeof oid->id};
    if (map_find(&n->seen, key))
        return false;
    key.ptr = arena_copy(n->arena, key.ptr, key.len);
    map_put(&n->seen, key, n);
    return true;
}

static bool look_at(News *n, git_tree *tree, git_tree *before, const char *folder, int depth,
                    Error *err);

/* One entry that differs from the one of the same name in the parent's folder. */
static bool look_into(News *n, const git_tree_entry *entry, const git_tree_entry *old,
                      const char *path, int depth, Error *err)
{
    if (git_tree_entry_type(entry) == GIT_OBJECT_BLOB) {
        GitEntry filled;
        return entry_fill(n->odb, entry, str_of(path), &filled, err) &&
               n->each(n->user, &filled, err);
    }
    if (git_tree_entry_type(entry) != GIT_OBJECT_TREE)
        return true;
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    AUTO_GIT(git_tree, git_tree_free) *before = NULL;
    int status = git_tree_lookup(&tree, n->repo->git, git_tree_entry_id(entry));
    if (status == 0 && old && git_tree_entry_type(old) == GIT_OBJECT_TREE)
        status = git_tree_lookup(&before, n->repo->git, git_tree_entry_id(old));
    if (status < 0)
        return fail_git(err, status, "read folder '%s'", path);
    return look_at(n, tree, before, path, depth + 1, err);
}

static bool look_at(News *n, git_tree *tree, git_tree *before, const char *folder, int depth,
                    Error *err)
{
    char path[4200];
    if (depth > DEPTH_LIMIT)
        return fail(err, ERR_INVALID, "'%.80s': folders nest deeper than %d", folder, DEPTH_LIMIT);
    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        const char *name = git_tree_entry_name(entry);
        const git_tree_entry *old = before ? git_tree_entry_byname(before, name) : NULL;
        bool same = old && git_oid_equal(git_tree_entry_id(old), git_tree_entry_id(entry));
        if (same || !is_new(n, git_tree_entry_id(entry)))
            continue;
        int len = snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
        if (len < 0 || len > 4096)
            return fail(err, ERR_INVALID, "'%.80s...': a path longer than 4096 bytes", path);
        if (!look_into(n, entry, old, path, depth, err))
            return NULL;
    }
    return true;
}

static bool look_at_commit(News *n, const git_oid *oid, Error *err)
{
    AUTO_GIT(git_commit, git_commit_free) *commit = NULL;
    AUTO_GIT(git_commit, git_commit_free) *parent = NULL;
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    AUTO_GIT(git_tree, git_tree_free) *before = NULL;
    int status = git_commit_lookup(&commit, n->repo->git, oid);
    if (status == 0)
        status = git_commit_tree(&tree, commit);
    if (status == 0 && git_commit_parentcount(commit)) {
        status = git_commit_parent(&parent, commit, 0);
        if (status == 0)
            status = git_commit_tree(&before, parent);
    }
    if (status < 0)
        return fail_git(err, status, "read a pushed commit");
    return look_at(n, tree, before, "", 0, err);
}

bool git_repo_new_files(GitRepo *r, const char *sha,
                        bool (*each)(void *user, const GitEntry *entry, Error *err), void *user,
                        Error *err)
{
    __attribute__((cleanup(news_done)))
    News n = {.repo = r, .arena = arena_new(0), .each = each, .user = user};
    AUTO_GIT(git_revwalk, git_revwalk_free) *walk = NULL;
    git_oid oid;
    if (!hex_to_oid(sha, &oid, err))
        return NULL;
    int status = git_repository_odb(&n.odb, r->git);
    if (status == 0)
        status = git_revwalk_new(&walk, r->git);
    if (status == 0)
        status = git_revwalk_hide_glob(walk, "refs/*");
    if (status < 0)
        return fail_git(err, status, "walk from %s", sha);
    if (git_revwalk_push(walk, &oid) < 0)
        return fail(err, ERR_INVALID, "%s is not a commit", sha);
    while ((status = git_revwalk_next(&oid, walk)) == 0)
        if (!look_at_commit(&n, &oid, err))
            return NULL;
    if (status != GIT_ITEROVER)
        return fail_git(err, status, "walk from %s", sha);
    return true;
}
