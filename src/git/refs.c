/* refs.c: resolving revisions, and moving refs under their lock files; see git.h.
 *
 * Every move goes through RefLock: take `refs/heads/x.lock` as the git program does, read where the
 * ref is, decide, write. A process that was killed inside leaves its lock file behind; such a file
 * is removed when it is older than this process (and two seconds) or older than a minute, for
 * nobody holds one longer than it takes to write a tree. */
#include "git_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4200,
    LOCK_WAIT_S = 10,
    LOCK_STALE_S = 60,
    LOCK_GRACE_S = 2,
    QUARANTINE_S = 24 * 3600
};

/* ---- Locks ---- */

static int64_t process_start; // wall clock

__attribute__((constructor)) static void note_start(void)
{
    process_start = wall_ns();
}

static bool is_stale(const struct stat *st)
{
    int64_t age = wall_ns() - (st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec);
    return age > LOCK_STALE_S * NS_PER_S ||
           (age > LOCK_GRACE_S * NS_PER_S && wall_ns() - age < process_start);
}

/* Looks and removes under one mutex, so that two threads cannot both judge the old file and the
 * second then remove the first one's fresh lock. */
static void remove_if_stale(const char *path)
{
    static pthread_mutex_t judging = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&judging);
    struct stat st;
    bool removed = stat(path, &st) == 0 && is_stale(&st) && unlink(path) == 0;
    pthread_mutex_unlock(&judging);
    if (removed)
        log_warn("git-lock", "removed=%s reason=stale", path);
}

static int remove_stale_below(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    if (kind == FTW_F && str_ends(str_of(path), S(".lock")))
        remove_if_stale(path);
    return 0;
}

/* What a killed push left in quarantine: it cannot be finished. */
static void remove_quarantine(const char *path)
{
    char name[4200], inner[4500];
    struct stat st;
    snprintf(name, sizeof name, "%s/objects", path);
    DIR *dir = opendir(name);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!str_starts(str_of(entry->d_name), S("tmp_objdir-")))
            continue;
        snprintf(inner, sizeof inner, "%s/%s", name, entry->d_name);
        int64_t made = stat(inner, &st) == 0 ? st.st_mtim.tv_sec * NS_PER_S : wall_ns();
        bool ours = made >= process_start - LOCK_GRACE_S * NS_PER_S;
        if ((!ours || wall_ns() - made > QUARANTINE_S * NS_PER_S) && file_remove_tree(inner, NULL))
            log_warn("git-quarantine", "removed=%s", inner);
    }
    if (dir)
        closedir(dir);
}

void git_repo_break_locks(const char *path)
{
    remove_quarantine(path);
    static const char *const names[] = {"HEAD.lock", "packed-refs.lock", "config.lock"};
    char name[4200];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        remove_if_stale(name);
    }
    snprintf(name, sizeof name, "%s/refs", path);
    nftw(name, remove_stale_below, 16, FTW_PHYS);
}

/* Where the ref points now, peeled to a commit. */
static bool lock_read(RefLock *lock, Error *err)
{
    AUTO_GIT(git_reference, git_reference_free) *ref = NULL;
    int status = git_reference_lookup(&ref, lock->repo->git, lock->ref);
    lock->exists = status == 0;
    if (status == GIT_ENOTFOUND)
        return true;
    AUTO_GIT(git_object, git_object_free) *object = NULL;
    if (status == 0)
        status = git_reference_peel(&object, ref, GIT_OBJECT_COMMIT);
    if (status < 0)
        return fail_git(err, status, "read '%s'", lock->ref);
    lock->now = *git_object_id(object);
    return true;
}

/* git keeps "a" as a file and "a/b" in a folder "a": both cannot be, nor may they when packed. */
static bool name_is_free(GitRepo *r, const char *ref, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    GitRefs below;
    if (!git_repo_refs(r, arena_printf(a, "%s/", ref), a, &below, err))
        return NULL;
    if (below.n)
        return fail(err, ERR_EXISTS, "Reference %.*s already exists", STR(below.items[0].name));
    Str above = path_parent(str_of(ref));
    for (; path_parent(above).len > strlen("refs"); above = path_parent(above)) {
        AUTO_GIT(git_reference, git_reference_free) *found = NULL;
        if (git_reference_lookup(&found, r->git, arena_cstr(a, above)) == 0)
            return fail(err, ERR_EXISTS, "Reference %.*s already exists", STR(above));
    }
    return true;
}

static void lock_path(const RefLock *lock, const char *ending, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/%s%s", lock->repo->path, lock->ref, ending);
}

/* Waits a little for whoever holds a lock, longer each time; ERR_BUSY when it is enough. */
static bool wait_for_lock(GitRepo *r, const char *ref, int tries, int64_t until, Error *err)
{
    if (clock_ns() > until)
        return fail(err, ERR_BUSY, "'%s' has been locked for %d seconds", ref, LOCK_WAIT_S);
    if (tries % 16 == 15)
        git_repo_break_locks(r->path);
    usleep((useconds_t)(1000 << MIN(tries, 5)));
    return true;
}

static int create_lock(const char *path)
{
    return open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
}

bool ref_lock(RefLock *lock, GitRepo *r, const char *ref, Error *err)
{
    char path[PATH_SIZE], folder[PATH_SIZE];
    *lock = (RefLock){.repo = r, .ref = ref, .fd = -1};
    if (!git_ref_check(str_of(ref), err))
        return NULL;
    lock_path(lock, ".lock", path);
    snprintf(folder, sizeof folder, "%.*s", STR(path_parent(str_of(path))));
    int64_t until = clock_ns() + LOCK_WAIT_S * NS_PER_S;
    for (int tries = 0; (lock->fd = create_lock(path)) < 0; tries++) {
        int saved = errno;
        // Somebody who deletes a ref may take its empty folder away: then it is made again.
        if (saved == ENOENT && file_make_folders(folder, 0755, NULL) && tries < 100)
            continue;
        if (saved != EEXIST) {
            errno = saved;
            return name_is_free(r, ref, err) ? fail_io(err, "lock '%s'", ref) : NULL;
        }
        if (!wait_for_lock(r, ref, tries, until, err))
            return NULL;
    }
    return lock_read(lock, err);
}

/* Deleted refs leave folders of their names behind: they give way when they are empty. */
static int remove_empty(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    if (kind == FTW_DP)
        rmdir(path);
    return 0;
}

bool ref_lock_move(RefLock *lock, const git_oid *to, Error *err)
{
    char hex[GIT_HEX_SIZE], from[PATH_SIZE], path[PATH_SIZE];
    if (!lock->exists && !name_is_free(lock->repo, lock->ref, err))
        return NULL;
    oid_to_hex(to, hex);
    hex[GIT_HEX_SIZE - 1] = '\n';
    lock_path(lock, ".lock", from);
    lock_path(lock, "", path);
    if (!fresh_settle(lock->repo, err) || !fd_write_all(lock->fd, hex, sizeof hex, err))
        return NULL;
    if (fsync(lock->fd) < 0)
        return fail_io(err, "sync '%s'", lock->ref);
    if (file_is_folder(path))
        nftw(path, remove_empty, 16, FTW_PHYS | FTW_DEPTH);
    if (rename(from, path) < 0)
        return fail_io(err, "move '%s'", lock->ref);
    close(lock->fd);
    lock->fd = -1;
    // The ref's folder, and those above it up to "refs", which may be new.
    for (char *slash; (slash = strrchr(path, '/')) && slash > path + strlen(lock->repo->path);) {
        *slash = 0;
        if (!file_sync_folder(path, err))
            return NULL;
        if (lock->exists)
            break;
    }
    return true;
}

void ref_lock_done(RefLock *lock)
{
    char path[PATH_SIZE];
    if (lock->fd < 0)
        return;
    lock_path(lock, ".lock", path);
    unlink(path);
    close(lock->fd);
    lock->fd = -1;
}

/* ---- Names ---- */

bool git_ref_check(Str ref, Error *err)
{
    char name[512];
    int valid = 0;
    if (ref.len >= 400 || !str_is_utf8(ref) || memchr(ref.ptr, 0, ref.len))
        return fail(err, ERR_INVALID, "Invalid reference name: at most 399 bytes of UTF-8");
    snprintf(name, sizeof name, "%.*s", STR(ref));
    if (!str_starts(ref, S("refs/")) || git_reference_name_is_valid(&valid, name) < 0 || !valid)
        return fail(err, ERR_INVALID, "Invalid reference name: %s", name);
    return true;
}

static Str short_name_of(Str name)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", "refs/pr/",
                                           "refs/convert/"};
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (str_starts(name, str_of(prefixes[i])))
            return str_slice(name, strlen(prefixes[i]), name.len);
    return name;
}

/* ---- Resolving ---- */

static bool try_ref(GitRepo *r, const char *name, char commit[GIT_HEX_SIZE])
{
    AUTO_GIT(git_reference, git_reference_free) *ref = NULL;
    AUTO_GIT(git_object, git_object_free) *object = NULL;
    if (git_reference_lookup(&ref, r->git, name) < 0 ||
        git_reference_peel(&object, ref, GIT_OBJECT_COMMIT) < 0)
        return false;
    oid_to_hex(git_object_id(object), commit);
    return true;
}

static bool try_sha(GitRepo *r, Str hex, char commit[GIT_HEX_SIZE])
{
    git_oid oid;
    AUTO_GIT(git_object, git_object_free) *object = NULL;
    AUTO_GIT(git_object, git_object_free) *peeled = NULL;
    if (git_oid_fromstrn(&oid, hex.ptr, hex.len) < 0 ||
        git_object_lookup_prefix(&object, r->git, &oid, hex.len, GIT_OBJECT_ANY) < 0 ||
        git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) < 0)
        return false;
    oid_to_hex(git_object_id(peeled), commit);
    return true;
}

static bool is_hex(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isxdigit((unsigned char)s.ptr[i]))
            return false;
    return true;
}

bool git_repo_resolve(GitRepo *r, Str revision, char commit[GIT_HEX_SIZE], Error *err)
{
    static const char *const forms[] = {"refs/heads/%.*s", "refs/tags/%.*s"};
    char name[512];
    if (revision.len == 0)
        revision = S("HEAD");
    if (revision.len < 400 && !memchr(revision.ptr, 0, revision.len)) {
        // A full sha comes first, as in git: a branch of such a name must not stand in for it.
        if (revision.len == 40 && is_hex(revision) && try_sha(r, revision, commit))
            return true;
        for (size_t i = 0; i < COUNT(forms); i++) {
            snprintf(name, sizeof name, forms[i], STR(revision));
            if (try_ref(r, name, commit))
                return true;
        }
        snprintf(name, sizeof name, "%.*s", STR(revision));
        bool full = str_starts(revision, S("refs/")) || str_eq(revision, S("HEAD"));
        if (full && try_ref(r, name, commit))
            return true;
        if (revision.len >= 7 && revision.len < 40 && is_hex(revision) &&
            try_sha(r, revision, commit))
            return true;
    }
    return fail(err, ERR_NO_REVISION, "Invalid rev id: %.*s", STR(str_slice(revision, 0, 200)));
}

bool git_ref_read(GitRepo *r, const char *ref, char commit[GIT_HEX_SIZE], Error *err)
{
    if (!try_ref(r, ref, commit))
        return fail(err, ERR_NO_REVISION, "Invalid rev id: %s", ref);
    return true;
}

static int compare_refs(const void *a, const void *b)
{
    return str_cmp(((const GitRef *)a)->name, ((const GitRef *)b)->name);
}

bool git_repo_refs(GitRepo *r, const char *prefix, Arena *a, GitRefs *out, Error *err)
{
    git_strarray names = {0};
    int status = git_reference_list(&names, r->git);
    if (status < 0)
        return fail_git(err, status, "list refs");
    GitRef *items = NEW_ARRAY(a, GitRef, names.count);
    size_t n = 0;
    for (size_t i = 0; i < names.count; i++) {
        Str name = str_of(names.strings[i]);
        if (!str_starts(name, str_of(prefix)) || !try_ref(r, names.strings[i], items[n].commit))
            continue;
        items[n].name = arena_str(a, name);
        items[n].short_name = short_name_of(items[n].name);
        n++;
    }
    git_strarray_dispose(&names);
    if (n)
        qsort(items, n, sizeof *items, compare_refs);
    *out = (GitRefs){.items = items, .n = n};
    return true;
}

/* ---- Changing ---- */

bool git_ref_create(GitRepo *r, const char *ref, const char *commit, Error *err)
{
    git_oid to;
    AUTO_LOCK lock = NO_LOCK;
    AUTO_GIT(git_commit, git_commit_free) *exists = commit_of(r, commit, err);
    if (!exists || !hex_to_oid(commit, &to, err) || !ref_lock(&lock, r, ref, err))
        return fail_while(err, "create '%s'", ref);
    if (lock.exists)
        return fail(err, ERR_EXISTS, "Reference %s already exists", ref);
    return ref_lock_move(&lock, &to, err);
}

bool git_ref_update(GitRepo *r, const char *ref, const char *commit, const char *expected,
                    Error *err)
{
    git_oid to, old;
    AUTO_LOCK lock = NO_LOCK;
    AUTO_GIT(git_commit, git_commit_free) *exists = commit_of(r, commit, err);
    if (!exists || !hex_to_oid(commit, &to, err) ||
        (expected && !hex_to_oid(expected, &old, err)) || !ref_lock(&lock, r, ref, err))
        return fail_while(err, "move '%s'", ref);
    if (expected && (!lock.exists || !git_oid_equal(&lock.now, &old)))
        return fail(err, ERR_STALE, "'%s' is not at %.12s any more", ref, expected);
    return ref_lock_move(&lock, &to, err);
}

static bool is_head(GitRepo *r, const char *ref)
{
    AUTO_GIT(git_reference, git_reference_free) *head = NULL;
    return git_reference_lookup(&head, r->git, "HEAD") == 0 &&
           git_reference_type(head) == GIT_REFERENCE_SYMBOLIC &&
           strcmp(git_reference_symbolic_target(head), ref) == 0;
}

bool git_ref_delete(GitRepo *r, const char *ref, Error *err)
{
    if (is_head(r, ref))
        return fail(err, ERR_CONFLICT, "Cannot delete %s", ref);
    char commit[GIT_HEX_SIZE];
    int64_t until = clock_ns() + LOCK_WAIT_S * NS_PER_S;
    if (!git_ref_check(str_of(ref), err))
        return NULL;
    // libgit2 takes the same lock, and knows how to rewrite packed-refs.
    for (int tries = 0;; tries++) {
        AUTO_GIT(git_transaction, git_transaction_free) *transaction = NULL;
        if (!git_ref_read(r, ref, commit, err))
            return NULL;
        int status = git_transaction_new(&transaction, r->git);
        if (status == 0)
            status = git_transaction_lock_ref(transaction, ref);
        if (status == 0)
            status = git_transaction_remove(transaction, ref);
        if (status == 0)
            status = git_transaction_commit(transaction);
        if (status == 0)
            return file_sync_folder(r->path, err);
        if (status != GIT_ELOCKED)
            return fail_git(err, status, "delete '%s'", ref);
        if (!wait_for_lock(r, ref, tries, until, err))
            return NULL;
    }
}

bool git_tag_make(GitRepo *r, const char *name, const char *commit, Str message, GitPerson tagger,
                  Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *ref = arena_printf(a, "refs/tags/%s", name);
    if (!message.len)
        return git_ref_create(r, ref, commit, err);
    AUTO_GIT(git_signature, git_signature_free) *person = signature_of(tagger, err);
    AUTO_GIT(git_commit, git_commit_free) *target = commit_of(r, commit, err);
    AUTO_LOCK lock = NO_LOCK;
    if (!person || !target || !fresh_open(r, err) || !ref_lock(&lock, r, ref, err))
        return fail_while(err, "create '%s'", ref);
    if (lock.exists)
        return fail(err, ERR_EXISTS, "Reference %s already exists", ref);
    git_oid oid;
    int status = git_tag_annotation_create(&oid, r->git, name, (git_object *)target, person,
                                           arena_cstr(a, message));
    if (status < 0)
        return fail_git(err, status, "create '%s'", ref);
    return ref_lock_move(&lock, &oid, err);
}
