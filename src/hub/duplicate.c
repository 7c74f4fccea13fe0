/* duplicate.c: a repository made of another one; see duplicates.h.
 *
 * The git folder comes first, then in one transaction the row that names it and the grants of what
 * its history names: so what has a row is whole, and nothing is granted that was not to be had by
 * reading the other's commits. */
#include "hub/duplicates.h"

#include "base/clock.h"
#include "hub/hub_internal.h"
#include "hub/lfs_files.h"

/* The large files of `from` that the copy's commits name: others may be somebody's unpublished
 * work. */
static bool named_files(Hub *hub, Arena *a, const Repo *from, const Repo *copy, SharedBlobs *out,
                        Error *err)
{
    LfsFile *files;
    size_t all, named = 0;
    if (!lfs_files_named(hub, a, from, copy, &files, &all, err))
        return false;
    Str *list = NEW_ARRAY(a, Str, all + 1);
    for (size_t i = 0; i < all; i++)
        if (files[i].path.len)
            list[named++] = files[i].sha256;
    *out = (SharedBlobs){from->id, list, named};
    return true;
}

/* The git folder with all that the copy has; *head is its main branch's commit. */
static bool lay_out(Hub *hub, Arena *a, const Repo *from, const Repo *copy, SharedBlobs *shared,
                    Str *head, Error *err)
{
    if (git_repo_create(copy->git_dir, "main", err) &&
        git_repo_copy(from->git_dir, copy->git_dir, err) &&
        repo_revision(hub, a, copy, S("HEAD"), head, err) &&
        named_files(hub, a, from, copy, shared, err))
        return true;
    (void)!git_repo_delete(copy->git_dir, NULL);
    return false;
}

bool repo_duplicate(Hub *hub, Arena *a, const Viewer *viewer, const Repo *from,
                    const Duplicate *params, Repo *out, Error *err)
{
    Account owner;
    Str owner_name, name, head;
    SharedBlobs shared;
    Repo repo;
    Error seen = {0};
    bool is_private = params->is_private ? *params->is_private : from->is_private;
    if (!repo_id_split(params->to, &owner_name, &name))
        return fail(err, ERR_INVALID, "'%.*s' is not of the form owner/name", STR(params->to));
    if (from->is_private && !is_private && from->access < ACCESS_ADMIN)
        return fail(err, ERR_DENIED,
                    "%.*s is private: a public copy is for those who may make it public itself",
                    STR(from->full));
    if (!repo_vacancy(hub, a, viewer, from->kind, owner_name, name, &owner, &repo, &seen)) {
        if (seen.code == ERR_EXISTS)
            *out = repo;
        *(err ? err : &seen) = seen;
        return false;
    }
    repo.is_private = is_private;
    repo.gated = from->gated;
    return lay_out(hub, a, from, &repo, &shared, &head, err) &&
           repo_store(hub, &repo, owner.id, head, &shared, err) &&
           repo_find(hub, a, viewer, from->kind, repo.full, ACCESS_READ, out, err) &&
           repo_index(hub, out, err);
}
