/* merge.c: bringing one line of history into another; see git.h. */
#include "git_internal.h"

#include "base/encode.h"

enum { MAX_CONFLICTS = 1000 };

OWNED_GIT(git_index, git_index_free)
OWNED_GIT(git_index_conflict_iterator, git_index_conflict_iterator_free)

/* Both trees in one, with what could not be decided marked. */
static git_index *merge_index(GitRepo *r, const char *into, const char *from, Error *err)
{
    AUTO_GIT(git_commit, git_commit_free) *ours = commit_of(r, into, err);
    AUTO_GIT(git_commit, git_commit_free) *theirs = commit_of(r, from, err);
    git_index *index = NULL;
    if (!ours || !theirs)
        return NULL;
    int status = git_merge_commits(&index, r->git, ours, theirs, NULL);
    if (status < 0)
        return fail_git(err, status, "merge %.12s into %.12s", from, into);
    return index;
}

static const char *conflict_path(const git_index_entry *base, const git_index_entry *ours,
                                 const git_index_entry *theirs)
{
    return ours ? ours->path : theirs ? theirs->path : base->path;
}

/* The paths in conflict, each once, in git's order. */
static bool index_conflicts(git_index *index, Arena *a, Str **paths, size_t *n, Error *err)
{
    *paths = NULL;
    *n = 0;
    if (!git_index_has_conflicts(index))
        return true;
    AUTO_GIT(git_index_conflict_iterator, git_index_conflict_iterator_free) *each = NULL;
    int status = git_index_conflict_iterator_new(&each, index);
    if (status < 0)
        return fail_git(err, status, "list conflicts");
    *paths = NEW_ARRAY(a, Str, MAX_CONFLICTS);
    const git_index_entry *base, *ours, *theirs;
    while (*n < MAX_CONFLICTS && git_index_conflict_next(&base, &ours, &theirs, each) == 0) {
        Str path = str_of(conflict_path(base, ours, theirs));
        if (*n == 0 || !str_eq((*paths)[*n - 1], path))
            (*paths)[(*n)++] = arena_str(a, path);
    }
    return true;
}

bool git_repo_conflicts(GitRepo *r, const char *into, const char *from, Arena *a, Str **paths,
                        size_t *n, Error *err)
{
    AUTO_GIT(git_index, git_index_free) *index = merge_index(r, into, from, err);
    return index && index_conflicts(index, a, paths, n, err);
}

bool git_repo_merge_base(GitRepo *r, const char *one, const char *two, char commit[GIT_HEX_SIZE],
                         Error *err)
{
    git_oid a, b, base;
    if (!hex_to_oid(one, &a, err) || !hex_to_oid(two, &b, err))
        return NULL;
    int status = git_merge_base(&base, r->git, &a, &b);
    if (status == GIT_ENOTFOUND)
        return fail(err, ERR_NO_REVISION, "%.12s and %.12s have no common history", one, two);
    if (status < 0)
        return fail_git(err, status, "compare %.12s and %.12s", one, two);
    oid_to_hex(&base, commit);
    return true;
}

static bool merged_tree(GitRepo *r, const char *into, const char *from, git_oid *tree, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_GIT(git_index, git_index_free) *index = merge_index(r, into, from, err);
    Str *paths;
    size_t n;
    if (!index || !index_conflicts(index, a, &paths, &n, err))
        return NULL;
    if (n)
        return fail(err, ERR_CONFLICT, "both sides changed %.*s%s", STR(paths[0]),
                    n > 1 ? " and other files" : "");
    int status = git_index_write_tree_to(tree, index, r->git);
    if (status < 0)
        return fail_git(err, status, "write the merged tree");
    return true;
}

bool git_repo_merge(GitRepo *r, const GitMergeParams *p, char commit[GIT_HEX_SIZE], Error *err)
{
    AUTO_LOCK lock = NO_LOCK;
    git_oid tree, made;
    char head[GIT_HEX_SIZE];
    if (!fresh_open(r, err) || !ref_lock(&lock, r, p->ref, err))
        return fail_while(err, "merge into '%s'", p->ref);
    if (!lock.exists)
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %s", p->ref);
    oid_to_hex(&lock.now, head);
    AUTO_GIT(git_tree, git_tree_free) *before = tree_of(r, head, err);
    if (!before || !merged_tree(r, head, p->from, &tree, err))
        return fail_while(err, "merge into '%s'", p->ref);
    if (git_oid_equal(git_tree_id(before), &tree))
        return fail(err, ERR_INVALID, "merge into '%s': there is nothing to merge", p->ref);
    if (!commit_write(r, &tree, &lock.now, p->message, p->author, p->committer, &made, err) ||
        !ref_lock_move(&lock, &made, err))
        return fail_while(err, "merge into '%s'", p->ref);
    oid_to_hex(&made, commit);
    return true;
}
