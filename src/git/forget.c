/* forget.c: files taken out of the whole history, and where they stood in it; see git.h.
 *
 * The history is walked once, depth first, parents before children. What became of each tree and
 * each commit is remembered by its oid, so whatever commits share is looked at once, and what holds
 * none of the files stays as it is: its oid does not change. Refs move last, one by one, each under
 * its lock; a ref that moved meanwhile has its new commits rewritten there. */
#include "git_internal.h"

#include "base/map.h"

enum { DEPTH_LIMIT = 256, OID_BYTES = 20 };

static const git_oid nothing; // what becomes of a folder in which nothing is left

typedef struct Rewrite {
    GitRepo *repo;
    Arena *arena;
    Map gone;    // blobs
    Map trees;   // oid to the new one's
    Map commits; // likewise
} Rewrite;

static void rewrite_done(Rewrite *w)
{
    map_done(&w->gone);
    map_done(&w->trees);
    map_done(&w->commits);
    arena_free(w->arena);
}

static Str key_of(const git_oid *oid)
{
    return (Str){(const char *)oid->id, OID_BYTES};
}

static const git_oid *remember(Rewrite *w, Map *map, const git_oid *old, const git_oid *new)
{
    Str key = {arena_copy(w->arena, old->id, OID_BYTES), OID_BYTES};
    git_oid *value = arena_copy(w->arena, new, sizeof *new);
    map_put(map, key, value);
    return value;
}

static bool gone_add(Map *gone, Arena *a, const char (*blobs)[GIT_HEX_SIZE], size_t n, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        git_oid *oid = NEW(a, git_oid);
        if (!hex_to_oid(blobs[i], oid, err))
            return false;
        size_t *index = NEW(a, size_t);
        *index = i;
        map_put(gone, key_of(oid), index);
    }
    return true;
}

/* ---- Trees ---- */

static const git_oid *tree_without(Rewrite *w, const git_oid *old, int depth, Error *err);

/* What an entry becomes: itself, another folder, or nothing. */
static const git_oid *entry_without(Rewrite *w, const git_tree_entry *entry, int depth, Error *err)
{
    const git_oid *oid = git_tree_entry_id(entry);
    if (git_tree_entry_filemode(entry) == GIT_FILEMODE_TREE)
        return tree_without(w, oid, depth + 1, err);
    return map_find(&w->gone, key_of(oid)) ? &nothing : oid;
}

static const git_oid *tree_without(Rewrite *w, const git_oid *old, int depth, Error *err)
{
    const git_oid *known = map_find(&w->trees, key_of(old));
    if (known)
        return known;
    if (depth > DEPTH_LIMIT)
        return fail(err, ERR_LIMIT, "more than %d folders in each other", DEPTH_LIMIT);
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    AUTO_GIT(git_treebuilder, git_treebuilder_free) *builder = NULL;
    int status = git_tree_lookup(&tree, w->repo->git, old);
    for (size_t i = 0; status == 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        const char *name = git_tree_entry_name(entry);
        const git_oid *new = entry_without(w, entry, depth, err);
        if (!new)
            return NULL;
        if (git_oid_equal(new, git_tree_entry_id(entry)))
            continue;
        if (!builder)
            status = git_treebuilder_new(&builder, w->repo->git, tree);
        if (status == 0)
            status = git_oid_equal(new, &nothing)
                         ? git_treebuilder_remove(builder, name)
                         : git_treebuilder_insert(NULL, builder, name, new, GIT_FILEMODE_TREE);
    }
    git_oid made = *old;
    if (status == 0 && builder && git_treebuilder_entrycount(builder) == 0)
        made = nothing;
    else if (status == 0 && builder)
        status = git_treebuilder_write(&made, builder);
    if (status < 0)
        return fail_git(err, status, "rewrite a folder");
    return remember(w, &w->trees, old, &made);
}

/* ---- Commits ---- */

/* The commit with another tree and other parents; author, dates and message stay. Signatures go:
 * they would be of something else. */
static bool commit_again(Rewrite *w, git_commit *old, const git_oid *tree_oid,
                         const git_oid *const *parents, size_t n, git_oid *out, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    git_commit **list = NEW_ARRAY(w->arena, git_commit *, n + 1);
    int status = git_tree_lookup(&tree, w->repo->git, tree_oid);
    for (size_t i = 0; status == 0 && i < n; i++)
        status = git_commit_lookup(&list[i], w->repo->git, parents[i]);
    if (status == 0)
        status = git_commit_create(out, w->repo->git, NULL, git_commit_author(old),
                                   git_commit_committer(old), git_commit_message_encoding(old),
                                   git_commit_message_raw(old), tree, n,
                                   (const git_commit **)(void *)list);
    for (size_t i = 0; i < n; i++)
        git_commit_free(list[i]);
    if (status < 0)
        return fail_git(err, status, "rewrite a commit");
    return true;
}

static bool empty_tree(Rewrite *w, git_oid *out, Error *err)
{
    AUTO_GIT(git_treebuilder, git_treebuilder_free) *builder = NULL;
    int status = git_treebuilder_new(&builder, w->repo->git, NULL);
    if (status == 0)
        status = git_treebuilder_write(out, builder);
    if (status < 0)
        return fail_git(err, status, "write an empty folder");
    return true;
}

/* One commit whose parents are done. */
static bool commit_without(Rewrite *w, git_commit *old, Error *err)
{
    size_t n = git_commit_parentcount(old);
    const git_oid **parents = NEW_ARRAY(w->arena, const git_oid *, n + 1);
    const git_oid *tree = tree_without(w, git_commit_tree_id(old), 0, err);
    if (!tree)
        return false;
    git_oid empty;
    if (git_oid_equal(tree, &nothing)) { // a commit has a tree all the same
        if (!empty_tree(w, &empty, err))
            return false;
        tree = &empty;
    }
    bool same = git_oid_equal(tree, git_commit_tree_id(old));
    for (size_t i = 0; i < n; i++) {
        const git_oid *parent = git_commit_parent_id(old, (unsigned)i);
        parents[i] = map_find(&w->commits, key_of(parent));
        CHECK(parents[i]);
        same = same && git_oid_equal(parents[i], parent);
    }
    git_oid made = *git_commit_id(old);
    if (!same && !commit_again(w, old, tree, parents, n, &made, err))
        return false;
    remember(w, &w->commits, git_commit_id(old), &made);
    return true;
}

/* Oids yet to be done; the last one is next. */
typedef struct Stack {
    git_oid *items;
    size_t n, cap;
} Stack;

static void stack_done(Stack *s)
{
    free(s->items);
}

static void stack_push(Stack *s, const git_oid *oid)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->items = xrealloc(s->items, s->cap * sizeof *s->items);
    }
    s->items[s->n++] = *oid;
}

/* What a commit becomes, after all that it reaches. */
static const git_oid *history_without(Rewrite *w, const git_oid *head, Error *err)
{
    __attribute__((cleanup(stack_done))) Stack stack = {0};
    stack_push(&stack, head);
    while (stack.n) {
        git_oid now = stack.items[stack.n - 1];
        if (map_find(&w->commits, key_of(&now))) {
            stack.n--;
            continue;
        }
        AUTO_GIT(git_commit, git_commit_free) *commit = NULL;
        int status = git_commit_lookup(&commit, w->repo->git, &now);
        if (status < 0)
            return fail_git(err, status, "read a commit");
        size_t before = stack.n;
        for (unsigned i = 0; i < git_commit_parentcount(commit); i++)
            if (!map_find(&w->commits, key_of(git_commit_parent_id(commit, i))))
                stack_push(&stack, git_commit_parent_id(commit, i));
        if (stack.n > before)
            continue;
        if (!commit_without(w, commit, err))
            return NULL;
        stack.n--;
    }
    return map_find(&w->commits, key_of(head));
}

/* ---- Refs ---- */

/* An annotated tag says the same of the new commit; *out is `commit` for everything else. */
static bool tag_again(GitRepo *r, const char *ref, const git_oid *commit, git_oid *out, Error *err)
{
    git_oid at;
    AUTO_GIT(git_object, git_object_free) *old = NULL, *target = NULL;
    *out = *commit;
    int status = git_reference_name_to_id(&at, r->git, ref);
    if (status == 0)
        status = git_object_lookup(&old, r->git, &at, GIT_OBJECT_ANY);
    if (status == 0 && git_object_type(old) != GIT_OBJECT_TAG)
        return true;
    if (status == 0)
        status = git_object_lookup(&target, r->git, commit, GIT_OBJECT_COMMIT);
    if (status == 0) {
        const git_tag *tag = (const git_tag *)old;
        status = git_tag_annotation_create(out, r->git, git_tag_name(tag), target,
                                           git_tag_tagger(tag), git_tag_message(tag));
    }
    if (status < 0)
        return fail_git(err, status, "rewrite '%s'", ref);
    return true;
}

static bool ref_without(Rewrite *w, const char *ref, Error *err)
{
    AUTO_LOCK lock = NO_LOCK;
    git_oid to;
    if (!ref_lock(&lock, w->repo, ref, err))
        return false;
    if (!lock.exists)
        return true; // gone meanwhile
    const git_oid *new = history_without(w, &lock.now, err);
    if (!new)
        return false;
    if (git_oid_equal(new, &lock.now))
        return true;
    return tag_again(w->repo, ref, new, &to, err) && ref_lock_move(&lock, &to, err);
}

bool git_repo_forget(GitRepo *r, const char (*blobs)[GIT_HEX_SIZE], size_t n, Error *err)
{
    __attribute__((cleanup(rewrite_done))) Rewrite w = {.repo = r, .arena = arena_new(0)};
    GitRefs refs;
    if (!gone_add(&w.gone, w.arena, blobs, n, err) || !fresh_open(r, err) ||
        !git_repo_refs(r, "refs/", w.arena, &refs, err))
        return false;
    // The long part without a lock; what is new by then is little.
    for (size_t i = 0; i < refs.n; i++) {
        git_oid head;
        if (!hex_to_oid(refs.items[i].commit, &head, err) || !history_without(&w, &head, err))
            return fail_while(err, "rewrite '%.*s'", STR(refs.items[i].name));
    }
    for (size_t i = 0; i < refs.n; i++)
        if (!ref_without(&w, arena_cstr(w.arena, refs.items[i].name), err))
            return fail_while(err, "rewrite '%.*s'", STR(refs.items[i].name));
    return true;
}

/* ---- Where they stand ---- */

typedef struct Names {
    GitRepo *repo;
    Arena *arena;
    Map wanted; // blobs to their numbers
    Map seen;   // trees
    Str *paths;
    size_t left; // blobs without a path
} Names;

static void names_done(Names *names)
{
    map_done(&names->wanted);
    map_done(&names->seen);
}

static bool names_of_tree(Names *names, const git_oid *oid, Str folder, int depth, Error *err)
{
    if (!names->left || depth > DEPTH_LIMIT || map_find(&names->seen, key_of(oid)))
        return true;
    Str key = {arena_copy(names->arena, oid->id, OID_BYTES), OID_BYTES};
    map_put(&names->seen, key, names);
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    int status = git_tree_lookup(&tree, names->repo->git, oid);
    if (status < 0)
        return fail_git(err, status, "read a folder");
    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        Str id = key_of(git_tree_entry_id(entry));
        bool is_folder = git_tree_entry_filemode(entry) == GIT_FILEMODE_TREE;
        const size_t *number = map_find(&names->wanted, id);
        // Most folders are those of the commit before: they are not worth a path.
        if (is_folder ? map_find(&names->seen, id) != NULL : !number || names->paths[*number].len)
            continue;
        Str path = str_of(arena_printf(names->arena, "%.*s%s%s", STR(folder), folder.len ? "/" : "",
                                       git_tree_entry_name(entry)));
        if (is_folder && !names_of_tree(names, git_tree_entry_id(entry), path, depth + 1, err))
            return false;
        if (!is_folder) {
            names->paths[*number] = path;
            names->left--;
        }
    }
    return true;
}

bool git_repo_names(GitRepo *r, const char (*blobs)[GIT_HEX_SIZE], size_t n, size_t most, Arena *a,
                    Str *paths, Error *err)
{
    __attribute__((cleanup(names_done)))
    Names names = {.repo = r, .arena = a, .paths = paths, .left = n};
    AUTO_GIT(git_revwalk, git_revwalk_free) *walk = NULL;
    memset(paths, 0, n * sizeof *paths);
    if (!gone_add(&names.wanted, a, blobs, n, err))
        return false;
    int status = git_revwalk_new(&walk, r->git);
    if (status == 0)
        status = git_revwalk_sorting(walk, GIT_SORT_TIME);
    if (status == 0)
        status = git_revwalk_push_glob(walk, "refs/*");
    git_oid oid;
    for (size_t i = 0; status == 0 && names.left && i < most; i++) {
        AUTO_GIT(git_commit, git_commit_free) *commit = NULL;
        status = git_revwalk_next(&oid, walk);
        if (status == 0)
            status = git_commit_lookup(&commit, r->git, &oid);
        if (status == 0 && !names_of_tree(&names, git_commit_tree_id(commit), S(""), 0, err))
            return false;
    }
    if (status < 0 && status != GIT_ITEROVER)
        return fail_git(err, status, "read the history");
    return true;
}
