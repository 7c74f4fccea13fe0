/* Processes: running a program with its input and output streamed through callbacks.
 *
 * The program gets its arguments as they are (no shell), only the environment and descriptors that
 * it is given, default signals, and a process group of its own. It dies with the thread that runs
 * it: after kill -9 of this process, too, nothing of it is left to write into our files.
 * Threads: any; the caller's thread does the pumping. */
#pragma once

#include "base/str.h"

#include <stdatomic.h>

typedef struct ProcessFd {
    int ours, theirs; // theirs: 3 or more
} ProcessFd;

typedef struct ProcessParams {
    const char *const *argv; // ends with NULL; argv[0] is looked up in PATH unless it has a slash
    const char *const *env;  // "NAME=value", ends with NULL; NULL: PATH and LANG=C.UTF-8
    const char *folder;      // to run in; NULL: ours
    const ProcessFd *fds;    // further descriptors it inherits; stay open here
    size_t n_fds;
    int64_t timeout_ns;           // 0: none; then ERR_TIMEOUT
    const atomic_bool *cancelled; // looked at several times a second; NULL: never. ERR_CANCELLED
    /* Gives up to max bytes of standard input, *n = 0 at its end; it may block, and then output
     * waits as well. NULL: an empty one. */
    bool (*input)(void *user, void *out, size_t max, size_t *n, Error *err);
    /* Takes standard output; NULL: it is dropped. */
    bool (*output)(void *user, Str bytes, Error *err);
    void *user;
    Buf *errors; // standard error, up to this buffer's limit; NULL: dropped
} ProcessParams;

/* Runs it to its end. *status is its exit status, or 128 + the signal that ended it; that is not an
 * error here. When a callback fails, or at timeout or cancellation, the process group is killed.
 * ERR_NOT_FOUND when there is no such program. */
bool process_run(const ProcessParams *p, int *status, Error *err);
