/* copy.c: what a repository's branches and tags reach, brought into another by the git program. */
#include "git/git.h"

#include "base/clock.h"
#include "base/process.h"

#include <stdlib.h>

static const int64_t TIMEOUT_NS = 3600 * NS_PER_S;

bool git_repo_copy(const char *from, const char *into, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF said;
    buf_init(&said, 2000);
    char *source = realpath(from, NULL); // the program runs in the other folder
    if (!source)
        return fail_io(err, "copy repository '%s'", from);
    arena_defer(a, free, source);
    const char *const argv[] = {"git",
                                "fetch",
                                "-q",
                                "--atomic",
                                "--no-tags",
                                "--no-write-fetch-head",
                                "--no-auto-maintenance",
                                source,
                                "+refs/heads/*:refs/heads/*",
                                "+refs/tags/*:refs/tags/*",
                                NULL};
    // One pack, however few objects there are, and all of it on disk before a ref names it.
    const char *const settings[] = {"fetch.unpackLimit=1", "core.fsync=all", NULL};
    const char *const variables[] = {"GIT_DIR=.", NULL};
    int status;
    ProcessParams p = {.argv = argv,
                       .env = git_environment(a, settings, variables),
                       .folder = into,
                       .timeout_ns = TIMEOUT_NS,
                       .errors = &said};
    if (!process_run(&p, &status, err))
        return fail_while(err, "copy repository '%s'", from);
    if (status)
        return fail(err, ERR_CORRUPT, "copy repository '%s': %.*s", from,
                    STR(str_trim(buf_str(&said))));
    return true;
}
