/* history.c: logs, differences, branches and tags, over git.h. */
#include "hub/hub_internal.h"

static void commit_of_git(Arena *a, const GitCommit *from, RepoCommit *to)
{
    *to = (RepoCommit){.id = arena_str(a, str_of(from->id)),
                       .title = from->title,
                       .message = from->body,
                       .author = from->author_name,
                       .email = from->author_email,
                       .date_ns = from->author_ns,
                       .parents = NEW_ARRAY(a, Str, from->n_parents),
                       .n_parents = from->n_parents};
    for (size_t i = 0; i < from->n_parents; i++)
        to->parents[i] = arena_str(a, str_of(from->parents[i]));
}

bool repo_log(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, int64_t skip, int64_t limit,
              RepoLog *out, Error *err)
{
    if (skip < 0 || limit < 1 || limit > 1000)
        return fail(err, ERR_INVALID, "commits: a page has 1 to 1000");
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char start[GIT_HEX_SIZE];
    if (!git || !git_revision(git, rev, start, err))
        return false;
    GitLogParams params = {.start = start,
                           .path = path,
                           .skip = (size_t)skip,
                           .limit = (size_t)limit,
                           .count = !path.len};
    GitLog log;
    if (!git_repo_log(git, &params, a, &log, err))
        return false;
    *out = (RepoLog){.items = NEW_ARRAY(a, RepoCommit, log.n),
                     .n = log.n,
                     .more = log.more,
                     .total = path.len ? -1 : (int64_t)log.total};
    for (size_t i = 0; i < log.n; i++)
        commit_of_git(a, &log.items[i], &out->items[i]);
    return true;
}

bool repo_diff(Hub *hub, const Repo *repo, Str from, Str to, Buf *out, bool *cut, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char old[GIT_HEX_SIZE] = "", new[GIT_HEX_SIZE];
    GitCommit commit;
    if (!git || !git_revision(git, to, new, err))
        return false;
    if (from.len && !git_revision(git, from, old, err))
        return false;
    if (!from.len) {
        if (!git_commit_read(git, new, a, &commit, err))
            return false;
        if (commit.n_parents)
            memcpy(old, commit.parents[0], sizeof old);
    }
    Error seen = {0};
    *cut = false;
    if (git_repo_diff_text(git, *old ? old : NULL, new, out, &seen))
        return true;
    if (seen.code == ERR_LIMIT) {
        *cut = true;
        return true;
    }
    *(err ? err : &seen) = seen;
    return false;
}

bool repo_refs(Hub *hub, Arena *a, const Repo *repo, RepoRefs *out, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    GitRefs found;
    if (!git || !git_repo_refs(git, "refs/", a, &found, err))
        return false;
    *out = (RepoRefs){.items = NEW_ARRAY(a, RepoRef, found.n), .n = found.n};
    for (size_t i = 0; i < found.n; i++)
        out->items[i] = (RepoRef){.name = found.items[i].short_name,
                                  .ref = found.items[i].name,
                                  .sha = arena_str(a, str_of(found.items[i].commit))};
    return true;
}

/* Branches are given as "x" or "refs/heads/x". */
static bool ref_name(Arena *a, const char *folder, Str name, const char **ref, Error *err)
{
    Str full = str_starts(name, str_of(folder))
                   ? arena_str(a, name)
                   : str_of(arena_printf(a, "%s%.*s", folder, STR(name)));
    *ref = full.ptr;
    return git_ref_check(full, err);
}

bool branch_create(Hub *hub, const Repo *repo, const Viewer *viewer, Str name, Str start,
                   bool from_nothing, bool overwrite, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    const char *ref;
    char commit[GIT_HEX_SIZE], before[GIT_HEX_SIZE] = "";
    if (!git || !ref_name(a, "refs/heads/", name, &ref, err))
        return false;
    (void)!git_ref_read(git, ref, before, NULL);
    if (from_nothing) {
        if (overwrite && git_ref_read(git, ref, commit, NULL) && !git_ref_delete(git, ref, err))
            return false;
        if (git_ref_read(git, ref, commit, NULL))
            return fail(err, ERR_EXISTS, "Reference %s already exists", ref);
        GitCommitParams first = {.ref = ref,
                                 .message = S("initial commit"),
                                 .author = person_of(a, viewer),
                                 .allow_empty = true};
        return git_repo_commit(git, &first, commit, err) &&
               repo_moved(hub, repo, ref, before, commit, err);
    }
    if (!git_revision(git, start, commit, err))
        return false;
    return (overwrite ? git_ref_update(git, ref, commit, NULL, err)
                      : git_ref_create(git, ref, commit, err)) &&
           repo_moved(hub, repo, ref, before, commit, err);
}

bool repo_ref_delete(Hub *hub, const Repo *repo, const char *ref, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char before[GIT_HEX_SIZE] = "";
    if (!git)
        return false;
    (void)!git_ref_read(git, ref, before, NULL);
    return git_ref_delete(git, ref, err) && repo_moved(hub, repo, ref, before, "", err);
}

bool branch_delete(Hub *hub, const Repo *repo, Str name, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *ref;
    return ref_name(a, "refs/heads/", name, &ref, err) && repo_ref_delete(hub, repo, ref, err);
}

bool tag_create(Hub *hub, const Repo *repo, const Viewer *viewer, Str name, Str rev, Str message,
                Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    const char *ref;
    char commit[GIT_HEX_SIZE];
    if (!git || !git_revision(git, rev, commit, err) || !ref_name(a, "refs/tags/", name, &ref, err))
        return false;
    return git_tag_make(git, ref + strlen("refs/tags/"), commit, message, person_of(a, viewer),
                        err) &&
           repo_moved(hub, repo, ref, "", commit, err);
}

bool tag_delete(Hub *hub, const Repo *repo, Str name, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *ref;
    return ref_name(a, "refs/tags/", name, &ref, err) && repo_ref_delete(hub, repo, ref, err);
}

bool branch_squash(Hub *hub, const Repo *repo, const Viewer *viewer, Str branch, Str message,
                   Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    const char *ref;
    char commit[GIT_HEX_SIZE], before[GIT_HEX_SIZE] = "";
    if (!git)
        return false;
    if (str_starts(branch, S("refs/pr/")))
        ref = arena_cstr(a, branch);
    else if (!ref_name(a, "refs/heads/", branch, &ref, err))
        return false;
    Str text =
        message.len ? message : str_of(arena_printf(a, "Super-squash branch '%.*s'", STR(branch)));
    (void)!git_ref_read(git, ref, before, NULL);
    return git_repo_squash(git, ref, text, person_of(a, viewer), commit, err) &&
           repo_moved(hub, repo, ref, before, commit, err);
}
