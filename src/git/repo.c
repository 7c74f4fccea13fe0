/* repo.c: repositories as folders, and libgit2's start and errors; see git.h. */
#include "git_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static void library_start(void)
{
    CHECK(git_libgit2_init() > 0);
    // Only the repository's own configuration counts, not that of whoever runs the server; and its
    // folder may belong to another user, as volumes do.
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_SYSTEM, "");
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, "");
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, "");
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)(32 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)256 << 20);
}

void git_library_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_start);
}

static ErrorCode code_of(int status)
{
    switch (status) {
    case GIT_ENOTFOUND:
        return ERR_NOT_FOUND;
    case GIT_EEXISTS:
        return ERR_EXISTS;
    case GIT_EINVALIDSPEC:
    case GIT_EAMBIGUOUS:
        return ERR_INVALID;
    case GIT_ELOCKED:
        return ERR_BUSY;
    case GIT_EMODIFIED:
        return ERR_CONFLICT;
    default:
        return errno == ENOSPC || errno == EDQUOT || errno == EIO ? ERR_IO : ERR_CORRUPT;
    }
}

void *git_raise(Error *err, int status, const char *file, int line, const char *format, ...)
{
    char words[256];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    const git_error *last = git_error_last();
    ErrorCode code = code_of(status);
    return error_raise(err, code, code == ERR_IO ? errno : 0, file, line, "%s: %s", words,
                       last && last->message ? last->message : "unknown error");
}

bool hex_to_oid(const char *hex, git_oid *out, Error *err)
{
    uint8_t bytes[GIT_OID_RAWSZ];
    if (!hex_decode(str_of(hex), bytes, sizeof bytes))
        return fail(err, ERR_INVALID, "'%.60s' is not 40 hex digits", hex ? hex : "");
    return git_oid_fromraw(out, bytes) == 0;
}

/* Settings of every repository, for the `git` program as well: what it writes is fsynced, pushed
 * objects are checked and kept as packs, and refs wait for each other. */
static const struct {
    const char *key, *value;
} settings[] = {
    {"core.fsync", "all"},
    {"core.filesRefLockTimeout", "10000"},
    {"core.packedRefsTimeout", "10000"},
    {"core.logAllRefUpdates", "false"},
    {"receive.fsckObjects", "true"},
    {"receive.autogc", "false"},
    {"receive.unpackLimit", "1"},
    {"receive.denyDeleteCurrent", "refuse"},
    {"receive.advertisePushOptions", "false"},
    {"uploadpack.allowFilter", "true"},
    {"uploadpack.allowReachableSHA1InWant", "true"},
    {"gc.auto", "0"},
    {"repack.writeBitmaps", "true"},
};

static bool write_settings(git_repository *git, Error *err)
{
    git_config *config = NULL;
    int status = git_repository_config(&config, git);
    for (size_t i = 0; status == 0 && i < COUNT(settings); i++)
        status = git_config_set_string(config, settings[i].key, settings[i].value);
    git_config_free(config);
    if (status < 0)
        return fail_git(err, status, "write settings");
    return true;
}

/* libgit2 writes HEAD and config without fsync: make all that is there durable. */
static bool sync_new(const char *path, Error *err)
{
    static const char *const names[] = {"HEAD", "config", "objects", "refs", "."};
    for (size_t i = 0; i < COUNT(names); i++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/%s", path, names[i]);
        if (!file_sync_folder(name, NULL) && !file_sync(name, err))
            return NULL;
    }
    return true;
}

static bool create_at(const char *path, const char *branch, Error *err)
{
    git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    options.flags =
        GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKPATH;
    options.initial_head = branch;
    git_repository *git = NULL;
    int status = git_repository_init_ext(&git, path, &options);
    if (status < 0)
        return fail_git(err, status, "create");
    bool ok = write_settings(git, err);
    git_repository_free(git);
    return ok && sync_new(path, err);
}

bool git_repo_create(const char *path, const char *branch, Error *err)
{
    git_library_start();
    AUTO(arena_free) Arena *a = arena_new(0);
    if (file_exists(path))
        return fail(err, ERR_EXISTS, "create repository '%s': something is there", path);
    Str parent = path_parent(str_of(path));
    const char *folder = parent.len ? arena_cstr(a, parent) : ".";
    if (!file_make_folders(folder, 0755, err))
        return fail_while(err, "create repository '%s'", path);
    // Made under a temporary name, so that a crash leaves no half repository under the real one.
    const char *temp = arena_printf(a, "%s.new-%lld", path, (long long)clock_ns());
    if (!create_at(temp, branch, err)) {
        (void)!file_remove_tree(temp, NULL);
        return fail_while(err, "create repository '%s'", path);
    }
    if (!git_repo_move(temp, path, err)) {
        (void)!file_remove_tree(temp, NULL);
        return fail_while(err, "create repository '%s'", path);
    }
    return true;
}

GitRepo *git_repo_open(const char *path, Error *err)
{
    if (!thread_may_wait(err))
        return NULL;
    git_library_start();
    git_repository *git = NULL;
    int status = git_repository_open_bare(&git, path);
    if (status < 0)
        return fail_git(err, status, "open repository '%s'", path);
    GitRepo *r = xcalloc(1, sizeof *r);
    *r = (GitRepo){.git = git, .path = xstrdup(path)};
    return r;
}

void git_repo_free(GitRepo *r)
{
    if (!r)
        return;
    git_repository_free(r->git);
    fresh_done(r);
    free(r->path);
    free(r);
}

const char *git_repo_path(const GitRepo *r)
{
    return r->path;
}

static bool sync_parent(const char *path, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str parent = path_parent(str_of(path));
    return file_sync_folder(parent.len ? arena_cstr(a, parent) : ".", err);
}

bool git_repo_delete(const char *path, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *grave = arena_printf(a, "%s.deleted-%lld", path, (long long)wall_ns());
    if (rename(path, grave) < 0)
        return fail_io(err, "delete repository '%s'", path);
    return sync_parent(path, err) && file_remove_tree(grave, err);
}

bool git_repo_move(const char *from, const char *to, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str parent = path_parent(str_of(to));
    if (parent.len && !file_make_folders(arena_cstr(a, parent), 0755, err))
        return fail_while(err, "move repository to '%s'", to);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
        return fail_io(err, "move repository '%s' to '%s'", from, to);
    return sync_parent(to, err) && sync_parent(from, err);
}
