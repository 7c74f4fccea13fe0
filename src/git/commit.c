/* commit.c: commits built from operations; see git.h.
 *
 * The operations are applied to an overlay of the parent's tree: a Node for each name that an
 * operation touched and for its siblings, read from git when the folder is first entered. Folders
 * that changed are then written bottom up; a folder left empty vanishes, as git has none. All of
 * this happens under the ref's lock file, so that two commits land one after the other and nobody
 * has to run twice; blobs, the slow part, were written before. */
#include "git_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/map.h"

enum { DEPTH_LIMIT = 256 };

typedef struct Node Node;
struct Node {
    git_oid oid;
    uint32_t mode; // 0: gone
    bool loaded;   // a folder whose children are here
    bool dirty;
    Map children; // name to Node
    Node *next;   // of all nodes, for map_done
};

typedef struct Overlay {
    GitRepo *repo;
    Arena *arena;
    Node *all;
    Node *root;
} Overlay;

static Node *node_new(Overlay *o, const git_oid *oid, uint32_t mode)
{
    Node *node = NEW(o->arena, Node);
    node->mode = mode;
    if (oid)
        node->oid = *oid;
    else
        node->loaded = true; // a new folder has nothing to read
    node->next = o->all;
    o->all = node;
    return node;
}

static void overlay_done(Overlay *o)
{
    for (Node *node = o->all; node; node = node->next)
        map_done(&node->children);
    arena_free(o->arena);
}

static bool node_load(Overlay *o, Node *node, Error *err)
{
    if (node->loaded)
        return true;
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    int status = git_tree_lookup(&tree, o->repo->git, &node->oid);
    if (status < 0)
        return fail_git(err, status, "read a folder");
    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        Str name = arena_str(o->arena, str_of(git_tree_entry_name(entry)));
        map_put(&node->children, name,
                node_new(o, git_tree_entry_id(entry), git_tree_entry_filemode(entry)));
    }
    node->loaded = true;
    return true;
}

/* ---- Applying operations ---- */

/* The live child of a folder, or NULL. */
static Node *child_of(Node *folder, Str name)
{
    Node *child = map_find(&folder->children, name);
    return child && child->mode ? child : NULL;
}

/* Looks a path up in the overlay; NULL without an error when it is absent. */
static bool overlay_find(Overlay *o, Str path, Node **out, Error *err)
{
    Node *node = o->root;
    Str part;
    while (node && str_split(&path, '/', &part)) {
        if (node->mode != GIT_FILEMODE_TREE)
            node = NULL;
        else if (!node_load(o, node, err))
            return NULL;
        else
            node = child_of(node, part);
    }
    *out = node;
    return true;
}

/* Puts a file or folder at a path, making the folders above it. */
static bool overlay_put(Overlay *o, Str path, const git_oid *oid, uint32_t mode, Error *err)
{
    Node *node = o->root;
    Str rest = path, part;
    for (int depth = 0; str_split(&rest, '/', &part); depth++) {
        if (depth > DEPTH_LIMIT)
            return fail(err, ERR_INVALID, "path '%.*s': more than %d folders", STR(path),
                        DEPTH_LIMIT);
        if (node->mode != GIT_FILEMODE_TREE)
            return fail(err, ERR_INVALID, "path '%.*s': a file is in the way of its folder",
                        STR(path));
        if (!node_load(o, node, err))
            return NULL;
        node->dirty = true;
        Node *child = child_of(node, part);
        if (!child) {
            child = node_new(o, NULL, GIT_FILEMODE_TREE);
            map_put(&node->children, arena_str(o->arena, part), child);
        }
        node = child;
    }
    map_done(&node->children);
    *node = (Node){.oid = *oid, .mode = mode, .next = node->next};
    return true;
}

static bool overlay_delete(Overlay *o, Str path, bool folder, Error *err)
{
    Node *node;
    while (folder && str_ends(path, S("/")))
        path.len--;
    if (!path.len)
        return fail(err, ERR_INVALID, "delete: an empty path");
    if (!overlay_find(o, path, &node, err))
        return NULL;
    // A folder may be deleted by either name: clients that know only its path do so.
    if (!node || (folder && node->mode != GIT_FILEMODE_TREE))
        return fail(err, ERR_NO_ENTRY, "A %s with the name \"%.*s\" does not exist",
                    folder ? "folder" : "file", STR(path));
    node->mode = 0;
    for (Node *up = o->root; up && up != node;) {
        Str part;
        up->dirty = true;
        if (!str_split(&path, '/', &part))
            break;
        up = child_of(up, part);
    }
    return true;
}

static bool apply_put(Overlay *o, const GitOp *op, Error *err)
{
    git_oid oid;
    Node *old;
    if (!git_path_check(op->path, err) || !hex_to_oid(op->oid, &oid, err) ||
        !overlay_find(o, op->path, &old, err))
        return NULL;
    uint32_t mode = op->mode;
    if (!mode)
        mode = old && old->mode == GIT_FILEMODE_BLOB_EXECUTABLE ? GIT_FILEMODE_BLOB_EXECUTABLE
                                                                : GIT_FILEMODE_BLOB;
    if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
        return fail(err, ERR_INVALID, "path '%.*s': mode %o is not a file's", STR(op->path), mode);
    return overlay_put(o, op->path, &oid, mode, err);
}

static bool apply_copy(Overlay *o, const GitOp *op, const char *parent, Error *err)
{
    const char *from = op->source_commit[0] ? op->source_commit : parent;
    if (!git_path_check(op->path, err))
        return NULL;
    if (!from)
        return fail(err, ERR_NO_ENTRY, "copy '%.*s': there is no commit yet", STR(op->source_path));
    AUTO_GIT(git_tree, git_tree_free) *root = tree_of(o->repo, from, err);
    if (!root)
        return NULL;
    AUTO_GIT(git_tree_entry, git_tree_entry_free) *entry =
        tree_entry_at(root, op->source_path, err);
    if (!entry)
        return fail_while(err, "copy");
    return overlay_put(o, op->path, git_tree_entry_id(entry), git_tree_entry_filemode(entry), err);
}

static bool apply(Overlay *o, const GitOp *op, const char *parent, Error *err)
{
    switch (op->kind) {
    case GITOP_PUT:
        return apply_put(o, op, err);
    case GITOP_DELETE_FILE:
        return overlay_delete(o, op->path, false, err);
    case GITOP_DELETE_FOLDER:
        return overlay_delete(o, op->path, true, err);
    case GITOP_COPY:
        return apply_copy(o, op, parent, err);
    }
    return fail(err, ERR_INVALID, "unknown operation %d", (int)op->kind);
}

/* ---- Writing ---- */

/* Writes a changed folder and what changed below it; mode 0 when nothing is left in it. */
static bool node_write(Overlay *o, Node *node, bool is_root, Error *err)
{
    if (node->mode != GIT_FILEMODE_TREE || !node->dirty)
        return true;
    AUTO_GIT(git_treebuilder, git_treebuilder_free) *builder = NULL;
    int status = git_treebuilder_new(&builder, o->repo->git, NULL);
    for (size_t i = 0; status == 0 && i < node->children.n; i++) {
        MapEntry *entry = &node->children.entries[i];
        Node *child = entry->value;
        if (!node_write(o, child, false, err))
            return NULL;
        if (child->mode)
            status = git_treebuilder_insert(NULL, builder, entry->key.ptr, &child->oid,
                                            (git_filemode_t)child->mode);
    }
    if (status == 0 && !is_root && git_treebuilder_entrycount(builder) == 0) {
        node->mode = 0;
        return true;
    }
    if (status == 0)
        status = git_treebuilder_write(&node->oid, builder);
    if (status < 0)
        return fail_git(err, status, "write a folder");
    return true;
}

/* The tree that the operations make of the parent's. */
static bool build_tree(GitRepo *r, const git_oid *parent, const GitCommitParams *p, git_oid *out,
                       Error *err)
{
    __attribute__((cleanup(overlay_done))) Overlay o = {.repo = r, .arena = arena_new(0)};
    char hex[GIT_HEX_SIZE];
    if (parent) {
        oid_to_hex(parent, hex);
        AUTO_GIT(git_tree, git_tree_free) *tree = tree_of(r, hex, err);
        if (!tree)
            return NULL;
        o.root = node_new(&o, git_tree_id(tree), GIT_FILEMODE_TREE);
    } else {
        o.root = node_new(&o, NULL, GIT_FILEMODE_TREE);
        o.root->dirty = true;
    }
    for (size_t i = 0; i < p->n_ops; i++)
        if (!apply(&o, &p->ops[i], parent ? hex : NULL, err))
            return NULL;
    if (!node_write(&o, o.root, true, err))
        return NULL;
    *out = o.root->oid;
    return true;
}

/* Names and addresses stand in a line of their own: no line ends, no angle brackets. */
static const char *clean(Arena *a, Str s, const char *otherwise)
{
    char *text = arena_cstr(a, str_slice(s, 0, 250));
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == '<' || *c == '>')
            *c = ' ';
    Str trimmed = str_trim(str_of(text));
    return trimmed.len ? arena_cstr(a, trimmed) : otherwise;
}

git_signature *signature_of(GitPerson person, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int64_t wall = person.wall_ns ? person.wall_ns : wall_ns();
    git_signature *signature = NULL;
    int status = git_signature_new(&signature, clean(a, person.name, "unknown"),
                                   clean(a, person.email, "unknown@localhost"), wall / NS_PER_S, 0);
    if (status < 0)
        return fail_git(err, status, "author '%.*s'", STR(person.name));
    return signature;
}

bool commit_write(GitRepo *r, const git_oid *tree_oid, const git_oid *parent, Str message,
                  GitPerson author, GitPerson committer, git_oid *out, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_GIT(git_signature, git_signature_free) *by = signature_of(author, err);
    AUTO_GIT(git_signature, git_signature_free) *via =
        signature_of(committer.name.len ? committer : author, err);
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    AUTO_GIT(git_commit, git_commit_free) *before = NULL;
    if (!by || !via)
        return NULL;
    if (memchr(message.ptr ? message.ptr : "", 0, message.len) || !str_is_utf8(message))
        return fail(err, ERR_INVALID, "the commit message is not UTF-8 text");
    int status = git_tree_lookup(&tree, r->git, tree_oid);
    if (status == 0 && parent)
        status = git_commit_lookup(&before, r->git, parent);
    const git_commit *parents[] = {before};
    if (status == 0)
        status = git_commit_create(out, r->git, NULL, by, via, NULL, arena_cstr(a, message), tree,
                                   before ? 1 : 0, before ? parents : NULL);
    if (status < 0)
        return fail_git(err, status, "write a commit");
    return true;
}

/* Where the new commit goes, given what the caller asked for and where the ref is. */
static bool choose_parent(const RefLock *lock, const GitCommitParams *p, git_oid *parent,
                          bool *has_parent, Error *err)
{
    *has_parent = lock->exists;
    *parent = lock->now;
    if (p->base) {
        *has_parent = true;
        if (lock->exists)
            return fail(err, ERR_EXISTS, "Reference %s already exists", p->ref);
        return hex_to_oid(p->base, parent, err);
    }
    git_oid wanted;
    if (p->parent && !hex_to_oid(p->parent, &wanted, err))
        return NULL;
    if (p->parent && (!lock->exists || !git_oid_equal(&wanted, &lock->now)))
        return fail(err, ERR_STALE, "'%s' is not at %.12s any more", p->ref, p->parent);
    return true;
}

bool git_repo_commit(GitRepo *r, const GitCommitParams *p, char commit[GIT_HEX_SIZE], Error *err)
{
    AUTO_LOCK lock = NO_LOCK;
    git_oid parent, tree, made;
    bool has_parent;
    if (!ref_lock(&lock, r, p->ref, err) || !choose_parent(&lock, p, &parent, &has_parent, err) ||
        !build_tree(r, has_parent ? &parent : NULL, p, &tree, err))
        return fail_while(err, "commit to '%s'", p->ref);
    if (has_parent && !p->allow_empty) {
        char hex[GIT_HEX_SIZE];
        oid_to_hex(&parent, hex);
        AUTO_GIT(git_tree, git_tree_free) *before = tree_of(r, hex, err);
        if (!before)
            return NULL;
        if (lock.exists && git_oid_equal(git_tree_id(before), &tree)) {
            memcpy(commit, hex, sizeof hex);
            return true;
        }
    }
    if (!commit_write(r, &tree, has_parent ? &parent : NULL, p->message, p->author, p->committer,
                      &made, err) ||
        !ref_lock_move(&lock, &made, err))
        return fail_while(err, "commit to '%s'", p->ref);
    oid_to_hex(&made, commit);
    return true;
}

bool git_repo_squash(GitRepo *r, const char *ref, Str message, GitPerson author,
                     char commit[GIT_HEX_SIZE], Error *err)
{
    AUTO_LOCK lock = NO_LOCK;
    git_oid made;
    char hex[GIT_HEX_SIZE];
    if (!fresh_open(r, err) || !ref_lock(&lock, r, ref, err))
        return fail_while(err, "squash '%s'", ref);
    if (!lock.exists)
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %s", ref);
    oid_to_hex(&lock.now, hex);
    AUTO_GIT(git_tree, git_tree_free) *tree = tree_of(r, hex, err);
    if (!tree || !commit_write(r, git_tree_id(tree), NULL, message, author, author, &made, err) ||
        !ref_lock_move(&lock, &made, err))
        return fail_while(err, "squash '%s'", ref);
    oid_to_hex(&made, commit);
    return true;
}
