/* change.c: commits made through the hub. Operations are checked and their bytes stored as they
 * come; only names and oids wait in memory until change_commit hands them to git in one piece.
 * Also here: how a file should be uploaded, which is the same question asked before. */
#include "base/file.h"
#include "hub/hub_internal.h"

#include <assert.h>

enum {
    MAX_OPS = 100000,
    MAX_REGULAR = 16 << 20, // one file's bytes inside a commit
    LFS_ABOVE = 10 << 20,   // larger ones are told to go by LFS
    MAX_TITLE = 1000,
    MAX_RULES = 1 << 20,
};

struct Change {
    Hub *hub;
    Arena *arena;
    Repo repo;
    Viewer viewer;
    GitRepo *git;
    Str branch;   // full ref name
    bool is_pull; // becomes a pull request that wants to change `branch`
    Str title, body;
    Str parent; // empty: wherever the branch is
    GitOp *ops;
    size_t n, cap;
    Error error; // the first one
};

static bool live(const Change *c)
{
    return c->error.code == ERR_NONE;
}

/* "main" or "refs/heads/main", "refs/pr/3": a ref that commits may go to. */
static bool branch_ref(Arena *a, GitRepo *git, Str branch, Str *ref, Error *err)
{
    if (!branch.len || str_eq(branch, S("HEAD")))
        branch = S("main");
    *ref = str_starts(branch, S("refs/")) ? arena_str(a, branch)
                                          : str_of(arena_printf(a, "refs/heads/%.*s", STR(branch)));
    char commit[GIT_HEX_SIZE];
    Error seen = {0};
    if ((str_starts(*ref, S("refs/heads/")) || str_starts(*ref, S("refs/pr/"))) &&
        git_ref_check(*ref, NULL) && git_ref_read(git, ref->ptr, commit, &seen))
        return true;
    if (seen.code == ERR_NONE || seen.code == ERR_NO_REVISION)
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %.*s", STR(branch));
    *(err ? err : &seen) = seen;
    return false;
}

Change *change_open(Hub *hub, const Repo *repo, const Viewer *viewer, Str branch, Error *err)
{
    AUTO(change_free) Change *c = xcalloc(1, sizeof *c);
    *c = (Change){.hub = hub, .arena = arena_new(0), .repo = *repo, .viewer = *viewer};
    c->git = repo_git_open(repo, err);
    if (!c->git || !branch_ref(c->arena, c->git, branch, &c->branch, err) ||
        !pull_may_push(hub, c->arena, viewer, repo, c->branch, err))
        return NULL;
    return TAKE(c);
}

Change *change_open_pull(Hub *hub, const Repo *repo, const Viewer *viewer, Str base, Error *err)
{
    AUTO(change_free) Change *c = xcalloc(1, sizeof *c);
    *c = (Change){
        .hub = hub, .arena = arena_new(0), .repo = *repo, .viewer = *viewer, .is_pull = true};
    c->git = repo_git_open(repo, err);
    if (!c->git || !branch_ref(c->arena, c->git, base, &c->branch, err))
        return NULL;
    if (!str_starts(c->branch, S("refs/heads/")))
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %.*s", STR(base));
    return TAKE(c);
}

void change_free(Change *c)
{
    if (!c)
        return;
    git_repo_free(c->git);
    arena_free(c->arena);
    free(c);
}

bool change_ok(const Change *c, Error *err)
{
    if (!live(c) && err)
        *err = c->error;
    return live(c);
}

void change_title(Change *c, Str title, Str description)
{
    title = str_trim(title);
    if (!str_is_utf8(title) || !str_is_utf8(description))
        (void)!fail(&c->error, ERR_INVALID, "the commit's message is not UTF-8");
    else if (title.len > MAX_TITLE)
        (void)!fail(&c->error, ERR_INVALID, "the commit's title has more than %d bytes", MAX_TITLE);
    c->title = arena_str(c->arena, title);
    c->body = arena_str(c->arena, str_trim(description));
}

void change_parent(Change *c, Str sha)
{
    c->parent = arena_str(c->arena, sha);
}

/* A slot for one more operation on a checked path, or NULL. */
static GitOp *op_add(Change *c, GitOpKind kind, Str path)
{
    if (!live(c))
        return NULL;
    if (!git_path_check(path, &c->error))
        return NULL;
    if (c->n == MAX_OPS)
        return fail(&c->error, ERR_LIMIT, "more than %d operations in one commit", MAX_OPS);
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        GitOp *more = NEW_ARRAY(c->arena, GitOp, c->cap);
        if (c->n)
            memcpy(more, c->ops, c->n * sizeof *more);
        c->ops = more;
    }
    GitOp *op = &c->ops[c->n++];
    *op = (GitOp){.kind = kind, .path = arena_str(c->arena, path)};
    return op;
}

void change_add(Change *c, Str path, Str bytes)
{
    if (live(c) && bytes.len > MAX_REGULAR)
        (void)!fail(&c->error, ERR_LIMIT, "%.*s: %zu bytes; files over %d MiB go by LFS or Xet",
                    STR(path), bytes.len, MAX_REGULAR >> 20);
    if (live(c) && str_eq(path, S("README.md"))) {
        CardReport report;
        card_check(c->arena, bytes, c->repo.kind, &report);
        (void)!card_refuse(&report, &c->error);
    }
    GitOp *op = op_add(c, GITOP_PUT, path);
    if (op && !git_blob_write(c->git, bytes, op->oid, &c->error))
        (void)!fail_while(&c->error, "%.*s", STR(path));
}

void change_add_lfs(Change *c, Str path, Str sha256, int64_t size)
{
    GitOp *op = op_add(c, GITOP_PUT, path);
    bool has = false;
    int64_t stored = 0;
    if (!op || !blob_oid_check(sha256, &c->error) ||
        !repo_has_blob(c->hub, &c->repo, &c->viewer, sha256, &has, &stored, &c->error))
        return;
    if (!has)
        (void)!fail(&c->error, ERR_INVALID,
                    "%.*s: LFS content %.*s was not uploaded to this repository", STR(path),
                    STR(sha256));
    else if (size >= 0 && size != stored)
        (void)!fail(&c->error, ERR_INVALID, "%.*s: size %lld, but the uploaded content has %lld",
                    STR(path), (long long)size, (long long)stored);
    if (!live(c))
        return;
    AUTO_BUF pointer;
    buf_init(&pointer, 1024);
    char oid[GIT_LFS_HEX_SIZE];
    memcpy(oid, sha256.ptr, sizeof oid - 1);
    oid[sizeof oid - 1] = '\0';
    git_lfs_format(&pointer, oid, stored);
    (void)!git_blob_write(c->git, buf_str(&pointer), op->oid, &c->error);
}

void change_delete(Change *c, Str path)
{
    (void)!op_add(c, GITOP_DELETE_FILE, path);
}

void change_delete_folder(Change *c, Str path)
{
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    (void)!op_add(c, GITOP_DELETE_FOLDER, path);
}

void change_copy(Change *c, Str path, Str from, Str from_rev)
{
    GitOp *op = op_add(c, GITOP_COPY, path);
    if (!op || !git_path_check(from, &c->error))
        return;
    op->source_path = arena_str(c->arena, from);
    if (from_rev.len)
        (void)!git_revision(c->git, from_rev, op->source_commit, &c->error);
}

/* What both kinds of commits have; ref and base are the caller's. */
static bool commit_params(Change *c, GitCommitParams *params, Error *err)
{
    if (live(c) && c->parent.len && c->parent.len != GIT_HEX_SIZE - 1)
        (void)!fail(&c->error, ERR_INVALID, "parentCommit '%.*s' is not a full commit id",
                    STR(c->parent));
    if (!change_ok(c, err))
        return false;
    Str message = c->title.len ? c->title : S("Update files");
    if (c->body.len)
        message = str_of(arena_printf(c->arena, "%.*s\n\n%.*s", STR(message), STR(c->body)));
    *params = (GitCommitParams){.message = message,
                                .author = person_of(c->arena, &c->viewer),
                                .ops = c->ops,
                                .n_ops = c->n,
                                .allow_empty = c->is_pull};
    return true;
}

bool change_commit_pull(Change *c, Arena *a, Str *sha, Discussion *out, Error *err)
{
    assert(c->is_pull);
    GitCommitParams params;
    char head[GIT_HEX_SIZE], commit[GIT_HEX_SIZE];
    Discussion d = {.base = arena_str(a, c->branch)};
    if (!commit_params(c, &params, err) || !git_ref_read(c->git, c->branch.ptr, head, err))
        return false;
    d.title = arena_str(a, c->title.len ? c->title : S("Update files"));
    d.base_sha = arena_str(a, c->parent.len ? c->parent : str_of(head));
    if (!pull_number(c->hub, &c->repo, &d.num, err))
        return false;
    params.ref = arena_printf(a, "refs/pr/%lld", (long long)d.num);
    params.base = d.base_sha.ptr;
    if (!git_repo_commit(c->git, &params, commit, err) ||
        !pull_store(c->hub, a, &c->viewer, &c->repo, &d, c->body, str_of(commit), err))
        return false;
    *sha = arena_str(a, str_of(commit));
    *out = d;
    return true;
}

bool change_commit(Change *c, Arena *a, Str *sha, Error *err)
{
    assert(!c->is_pull);
    GitCommitParams params;
    char commit[GIT_HEX_SIZE], before[GIT_HEX_SIZE] = "";
    if (!commit_params(c, &params, err))
        return false;
    (void)!git_ref_read(c->git, c->branch.ptr, before, NULL);
    params.ref = c->branch.ptr;
    params.parent = c->parent.len ? c->parent.ptr : NULL;
    params.allow_empty = str_starts(c->branch, S("refs/pr/"));
    Error seen = {0};
    if (!git_repo_commit(c->git, &params, commit, &seen)) {
        if (seen.code == ERR_STALE)
            return fail(err, ERR_STALE,
                        "The branch was updated since you opened this page. "
                        "Please refresh and try again.");
        *(err ? err : &seen) = seen;
        return false;
    }
    *sha = arena_str(a, str_of(commit));
    if (strcmp(before, commit) == 0) // there was nothing to commit
        return repo_moved(c->hub, &c->repo, c->branch.ptr, before, commit, err);
    return repo_committed(c->hub, &c->repo, c->branch.ptr, commit, err);
}

/* ---- Before an upload ---- */

/* Text has no NUL and is UTF-8 as far as the sample goes, which may end inside a character. */
static bool looks_binary(Str sample)
{
    if (memchr(sample.ptr ? sample.ptr : "", 0, sample.len))
        return true;
    for (size_t cut = 0; cut < 4 && cut <= sample.len; cut++)
        if (str_is_utf8(str_slice(sample, 0, sample.len - cut)))
            return false;
    return true;
}

static bool rules_text(GitRepo *git, const char *commit, const char *path, Buf *out, Error *err)
{
    Error seen = {0};
    if (git_repo_read(git, commit, str_of(path), out, &seen) || seen.code == ERR_NO_ENTRY)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool repo_preupload(Hub *hub, Arena *a, const Repo *repo, Str rev, Str gitignore, Str gitattributes,
                    Preupload *files, size_t n, Str *sha, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char commit[GIT_HEX_SIZE];
    if (!git || !git_revision(git, rev, commit, err))
        return false;
    AUTO_BUF attributes, ignores;
    buf_init(&attributes, MAX_RULES);
    buf_init(&ignores, MAX_RULES);
    if (!rules_text(git, commit, ".gitattributes", &attributes, err) ||
        !rules_text(git, commit, ".gitignore", &ignores, err))
        return false;
    // What the upload brings along counts as if it were there already.
    const Patterns *lfs =
        patterns_parse_attributes(a, gitattributes.len ? gitattributes : buf_str(&attributes));
    const Patterns *ignored =
        patterns_parse_ignore(a, gitignore.len ? gitignore : buf_str(&ignores));
    for (size_t i = 0; i < n; i++) {
        Preupload *f = &files[i];
        if (!git_path_check(f->path, err))
            return false;
        f->lfs = f->size > 0 &&
                 (patterns_match(lfs, f->path) || f->size > LFS_ABOVE || looks_binary(f->sample));
        f->ignore = patterns_match(ignored, f->path);
        GitEntry there;
        if (git_repo_entry(git, commit, f->path, a, &there, NULL) && !there.is_folder)
            f->oid = arena_str(a, str_of(there.is_lfs ? there.lfs_oid : there.oid));
    }
    *sha = arena_str(a, str_of(commit));
    return true;
}
