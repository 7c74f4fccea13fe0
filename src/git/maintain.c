/* maintain.c: keeping a repository quick: many packs and loose objects are rolled up into few packs
 * by the git program. Nothing is dropped, reachable or not, so it may run beside pushes, commits
 * and fetches. */
#include "git/git.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { MANY_PACKS = 50, MANY_LOOSE = 27, /* in one of 256 folders, about 7,000 in all */ };
static const int64_t TIMEOUT_NS = 3600 * NS_PER_S;

static size_t count_names(const char *path, const char *folder, const char *ending)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/objects/%s", path, folder);
    DIR *dir = opendir(name);
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += entry->d_name[0] != '.' && str_ends(str_of(entry->d_name), str_of(ending));
    if (dir)
        closedir(dir);
    return n;
}

bool git_repo_needs_care(const char *path)
{
    return count_names(path, "pack", ".pack") >= MANY_PACKS ||
           count_names(path, "17", "") >= MANY_LOOSE;
}

bool git_repo_care(const char *path, Error *err)
{
    char config[4200];
    int status;
    AUTO_BUF said;
    buf_init(&said, 2000);
    snprintf(config, sizeof config, "%s/config", path);
    AUTO_FD int fd = open(config, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "open '%s'", config);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return true; // somebody is at it
    const char *const argv[] = {
        "git", "repack", "-d", "-l", "-q", "--geometric=2", "--no-write-bitmap-index", NULL};
    const char *const variables[] = {"GIT_DIR=.", NULL};
    AUTO(arena_free) Arena *a = arena_new(0);
    ProcessParams p = {.argv = argv,
                       .env = git_environment(a, NULL, variables),
                       .folder = path,
                       .timeout_ns = TIMEOUT_NS,
                       .errors = &said};
    if (!process_run(&p, &status, err))
        return fail_while(err, "repack '%s'", path);
    if (status)
        return fail(err, ERR_CORRUPT, "repack '%s': %.*s", path, STR(str_trim(buf_str(&said))));
    return true;
}
