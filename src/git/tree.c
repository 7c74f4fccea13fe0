/* tree.c: listing trees, reading and writing blobs, git-lfs pointers; see git.h. */
#include "git_internal.h"

#include "base/digest.h"
#include "base/encode.h"
#include "base/file.h"

enum {
    LIST_LIMIT = 100000, // entries when the caller names no limit
    DEPTH_LIMIT = 256,   // folders within folders
    LFS_POINTER_MIN = 100,
    LFS_POINTER_MAX = 1024, // the specification: a pointer is shorter than this
};

/* ---- Commits and trees ---- */

git_commit *commit_of(GitRepo *r, const char *hex, Error *err)
{
    git_oid oid;
    if (!hex_to_oid(hex, &oid, err))
        return NULL;
    git_commit *commit = NULL;
    int status = git_commit_lookup(&commit, r->git, &oid);
    if (status == GIT_ENOTFOUND)
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %s", hex);
    if (status < 0)
        return fail_git(err, status, "read commit %s", hex);
    return commit;
}

git_tree *tree_of(GitRepo *r, const char *commit_hex, Error *err)
{
    AUTO_GIT(git_commit, git_commit_free) *commit = commit_of(r, commit_hex, err);
    if (!commit)
        return NULL;
    git_tree *tree = NULL;
    int status = git_commit_tree(&tree, commit);
    if (status < 0)
        return fail_git(err, status, "read the tree of %s", commit_hex);
    return tree;
}

git_tree_entry *tree_entry_at(git_tree *root, Str path, Error *err)
{
    if (path.len == 0 || path.len > 4096 || memchr(path.ptr, 0, path.len))
        return fail(err, ERR_NO_ENTRY, "Entry not found");
    char name[4097];
    snprintf(name, sizeof name, "%.*s", STR(path));
    git_tree_entry *entry = NULL;
    int status = git_tree_entry_bypath(&entry, root, name);
    if (status == GIT_ENOTFOUND)
        return fail(err, ERR_NO_ENTRY, "Entry not found: '%.*s'", STR(path));
    if (status < 0)
        return fail_git(err, status, "look up '%.*s'", STR(path));
    return entry;
}

/* ---- git-lfs pointers ---- */

bool git_lfs_parse(Str text, GitLfsPointer *out)
{
    static const char *const versions[] = {"https://git-lfs.github.com/spec/v1",
                                           "https://hawser.github.com/spec/v1"};
    GitLfsPointer found = {.size = -1};
    if (text.len < LFS_POINTER_MIN || text.len >= LFS_POINTER_MAX)
        return false;
    Str rest = text, line;
    for (int n = 0; str_split(&rest, '\n', &line); n++) {
        size_t space = str_find_char(line, ' ', 0);
        if (line.len == 0 && rest.len == 0)
            break;
        if (space == SIZE_MAX)
            return false;
        Str key = str_slice(line, 0, space), value = str_slice(line, space + 1, line.len);
        if (n == 0 && !(str_eq(key, S("version")) &&
                        (str_eq(value, str_of(versions[0])) || str_eq(value, str_of(versions[1])))))
            return false;
        uint8_t sha[SHA256_SIZE];
        if (str_eq(key, S("oid"))) {
            if (!str_starts(value, S("sha256:")) ||
                !hex_decode(str_slice(value, 7, value.len), sha, sizeof sha))
                return false;
            hex_encode(sha, sizeof sha, found.oid);
        }
        if (str_eq(key, S("size")) && !str_to_int(value, 0, INT64_MAX, &found.size))
            return false;
    }
    if (!found.oid[0] || found.size < 0)
        return false;
    *out = found;
    return true;
}

void git_lfs_format(Buf *out, const char *oid, int64_t size)
{
    buf_printf(out, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %lld\n", oid,
               (long long)size);
}

/* ---- Listing ---- */

/* Sizes of a blob, and the pointer it may be. */
static bool fill_blob(git_odb *odb, const git_oid *oid, GitEntry *out, Error *err)
{
    size_t size;
    git_object_t type;
    int status = git_odb_read_header(&size, &type, odb, oid);
    if (status < 0)
        return fail_git(err, status, "read blob %s", out->oid);
    out->size = out->blob_size = (int64_t)size;
    if (size < LFS_POINTER_MIN || size >= LFS_POINTER_MAX)
        return true;
    AUTO_GIT(git_odb_object, git_odb_object_free) *object = NULL;
    status = git_odb_read(&object, odb, oid);
    if (status < 0)
        return fail_git(err, status, "read blob %s", out->oid);
    GitLfsPointer pointer;
    if (git_lfs_parse((Str){git_odb_object_data(object), git_odb_object_size(object)}, &pointer)) {
        out->is_lfs = true;
        out->size = pointer.size;
        memcpy(out->lfs_oid, pointer.oid, sizeof out->lfs_oid);
    }
    return true;
}

bool entry_fill(git_odb *odb, const git_tree_entry *entry, Str path, GitEntry *out, Error *err)
{
    *out = (GitEntry){.path = path, .mode = git_tree_entry_filemode(entry)};
    oid_to_hex(git_tree_entry_id(entry), out->oid);
    out->is_folder = git_tree_entry_type(entry) == GIT_OBJECT_TREE;
    if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
        return true;
    return fill_blob(odb, git_tree_entry_id(entry), out, err);
}

typedef struct Lister {
    GitRepo *repo;
    git_odb *odb;
    Arena *arena;
    GitEntries *out;
    size_t cap, limit;
    bool recursive;
} Lister;

static bool list_add(Lister *l, const git_tree_entry *entry, Str path, Error *err)
{
    GitEntries *out = l->out;
    if (out->n == l->cap) {
        l->cap = MAX(l->cap * 2, (size_t)64);
        GitEntry *grown = NEW_ARRAY(l->arena, GitEntry, l->cap);
        if (out->n)
            memcpy(grown, out->items, out->n * sizeof *grown);
        out->items = grown;
    }
    return entry_fill(l->odb, entry, path, &out->items[out->n], err) && ++out->n;
}

static bool list_tree(Lister *l, git_tree *tree, Str folder, Str after, int depth, Error *err);

static bool list_below(Lister *l, const git_tree_entry *entry, Str path, Str after, int depth,
                       Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    int status = git_tree_lookup(&tree, l->repo->git, git_tree_entry_id(entry));
    if (status < 0)
        return fail_git(err, status, "read folder '%.*s'", STR(path));
    return list_tree(l, tree, path, after, depth + 1, err);
}

/* Adds what is in one tree. `after` is relative to it: everything up to that path is left out. */
static bool list_tree(Lister *l, git_tree *tree, Str folder, Str after, int depth, Error *err)
{
    if (depth > DEPTH_LIMIT)
        return fail(err, ERR_LIMIT, "'%.*s': folders nest deeper than %d", STR(folder),
                    DEPTH_LIMIT);
    Str first = {0};
    bool skipping = after.len && str_split(&after, '/', &first);
    for (size_t i = 0; i < git_tree_entrycount(tree) && !l->out->more; i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        Str name = str_of(git_tree_entry_name(entry));
        bool is_folder = git_tree_entry_type(entry) == GIT_OBJECT_TREE;
        if (skipping && !str_eq(name, first))
            continue;
        bool listed = skipping;
        skipping = false;
        if (!listed && l->out->n == l->limit) {
            l->out->more = true;
            return true;
        }
        Str path = folder.len ? str_of(arena_printf(l->arena, "%.*s/%.*s", STR(folder), STR(name)))
                              : arena_str(l->arena, name);
        if (!listed && !list_add(l, entry, path, err))
            return NULL;
        if (is_folder && l->recursive &&
            !list_below(l, entry, path, listed ? after : (Str){0}, depth, err))
            return NULL;
    }
    if (skipping)
        return fail(err, ERR_INVALID, "'%.*s' is not in '%.*s'", STR(first), STR(folder));
    return true;
}

/* The folder's own tree; the root for an empty path. */
static git_tree *folder_at(GitRepo *r, const char *commit, Str folder, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *root = tree_of(r, commit, err);
    if (!root || !folder.len)
        return TAKE(root);
    AUTO_GIT(git_tree_entry, git_tree_entry_free) *entry = tree_entry_at(root, folder, err);
    if (!entry)
        return NULL;
    if (git_tree_entry_type(entry) != GIT_OBJECT_TREE)
        return fail(err, ERR_NO_ENTRY, "'%.*s' is not a folder", STR(folder));
    git_tree *tree = NULL;
    int status = git_tree_lookup(&tree, r->git, git_tree_entry_id(entry));
    if (status < 0)
        return fail_git(err, status, "read folder '%.*s'", STR(folder));
    return tree;
}

bool git_repo_list(GitRepo *r, const GitListParams *p, Arena *a, GitEntries *out, Error *err)
{
    *out = (GitEntries){0};
    AUTO_GIT(git_tree, git_tree_free) *tree = folder_at(r, p->commit, p->folder, err);
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    if (!tree)
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status < 0)
        return fail_git(err, status, "open objects");
    Str after = p->after;
    if (after.len && p->folder.len) {
        if (!str_starts(after, p->folder) || after.len <= p->folder.len ||
            after.ptr[p->folder.len] != '/')
            return fail(err, ERR_INVALID, "'%.*s' is not in '%.*s'", STR(after), STR(p->folder));
        after = str_slice(after, p->folder.len + 1, after.len);
    }
    Lister l = {.repo = r,
                .odb = odb,
                .arena = a,
                .out = out,
                .limit = p->limit ? p->limit : LIST_LIMIT,
                .recursive = p->recursive};
    return list_tree(&l, tree, p->folder, after, 0, err);
}

bool git_repo_entry(GitRepo *r, const char *commit, Str path, Arena *a, GitEntry *out, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *root = tree_of(r, commit, err);
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    AUTO_GIT(git_tree_entry, git_tree_entry_free) *entry = NULL;
    if (!root)
        return NULL;
    if (!path.len) {
        *out = (GitEntry){.is_folder = true, .mode = GIT_FILEMODE_TREE};
        oid_to_hex(git_tree_id(root), out->oid);
        return true;
    }
    entry = tree_entry_at(root, path, err);
    if (!entry)
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status < 0)
        return fail_git(err, status, "open objects");
    return entry_fill(odb, entry, arena_str(a, path), out, err);
}

/* ---- Blobs ---- */

bool git_blob_read(GitRepo *r, const char *hex, Buf *out, Error *err)
{
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    AUTO_GIT(git_odb_object, git_odb_object_free) *object = NULL;
    git_oid oid;
    size_t size;
    git_object_t type;
    if (!hex_to_oid(hex, &oid, err))
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status == 0)
        status = git_odb_read_header(&size, &type, odb, &oid);
    if (status == 0 && type != GIT_OBJECT_BLOB)
        return fail(err, ERR_NOT_FOUND, "%s is not a blob", hex);
    // Ask for the room first: the object is unpacked whole.
    if (status == 0 && !buf_reserve(out, size) && !buf_ok(out, err))
        return fail_while(err, "read blob %s of %zu bytes", hex, size);
    if (status == 0)
        status = git_odb_read(&object, odb, &oid);
    if (status < 0)
        return fail_git(err, status, "read blob %s", hex);
    buf_add_bytes(out, git_odb_object_data(object), git_odb_object_size(object));
    return buf_ok(out, err);
}

bool git_repo_read(GitRepo *r, const char *commit, Str path, Buf *out, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *root = tree_of(r, commit, err);
    if (!root)
        return NULL;
    AUTO_GIT(git_tree_entry, git_tree_entry_free) *entry = tree_entry_at(root, path, err);
    if (!entry)
        return NULL;
    if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
        return fail(err, ERR_NO_ENTRY, "'%.*s' is not a file", STR(path));
    char hex[GIT_HEX_SIZE];
    oid_to_hex(git_tree_entry_id(entry), hex);
    return git_blob_read(r, hex, out, err);
}

bool git_blob_write(GitRepo *r, Str bytes, char oid[GIT_HEX_SIZE], Error *err)
{
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    git_oid id;
    if (!fresh_open(r, err))
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status == 0)
        status = git_odb_write(&id, odb, bytes.ptr ? bytes.ptr : "", bytes.len, GIT_OBJECT_BLOB);
    if (status < 0)
        return fail_git(err, status, "write a blob of %zu bytes", bytes.len);
    oid_to_hex(&id, oid);
    return true;
}

static int copy_into(git_odb_stream *stream, int fd, int64_t size, Error *err)
{
    char bytes[65536];
    for (int64_t at = 0; at < size;) {
        size_t n = (size_t)MIN(size - at, (int64_t)sizeof bytes);
        if (!fd_read_at(fd, bytes, n, at, err))
            return GIT_EUSER;
        int status = git_odb_stream_write(stream, bytes, n);
        if (status < 0)
            return status;
        at += (int64_t)n;
    }
    return 0;
}

bool git_blob_write_fd(GitRepo *r, int fd, int64_t size, char oid[GIT_HEX_SIZE], Error *err)
{
    AUTO_GIT(git_odb, git_odb_free) *odb = NULL;
    git_odb_stream *stream = NULL;
    git_oid id;
    if (!fresh_open(r, err))
        return NULL;
    int status = git_repository_odb(&odb, r->git);
    if (status == 0)
        status = git_odb_open_wstream(&stream, odb, size, GIT_OBJECT_BLOB);
    if (status == 0)
        status = copy_into(stream, fd, size, err);
    if (status == 0)
        status = git_odb_stream_finalize_write(&id, stream);
    git_odb_stream_free(stream);
    if (status == GIT_EUSER)
        return fail_while(err, "write a blob of %lld bytes", (long long)size);
    if (status < 0)
        return fail_git(err, status, "write a blob of %lld bytes", (long long)size);
    oid_to_hex(&id, oid);
    return true;
}

void git_blob_oid(Str bytes, char oid[GIT_HEX_SIZE])
{
    git_oid id;
    git_library_start();
    CHECK(git_odb_hash(&id, bytes.ptr ? bytes.ptr : "", bytes.len, GIT_OBJECT_BLOB) == 0);
    oid_to_hex(&id, oid);
}
