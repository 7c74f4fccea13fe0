/* verb_upload.c: `hug upload`: a file or a folder becomes a commit on the hub. */
#include "cli/commands.h"

#include "base/file.h"
#include "base/progress.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

/* What is uploaded, where nothing is said: the file or folder of the repository's name, else all
 * that is here. */
static const char *guess_local(const char *id)
{
    const char *slash = strrchr(id, '/'), *name = slash ? slash + 1 : id;
    return file_exists(name) ? name : ".";
}

static void tell(const Ask *ask, const UploadResult *result)
{
    bool again = ask->every > 0;
    char sent[SIZE_TEXT], large[SIZE_TEXT];
    size_format(result->sent, sent);
    size_format(result->large, large);
    if (!result->commit && !ask->quiet && !again)
        output_hint(&ask->out, "nothing has changed since the last commit");
    if (result->sent < result->large && !ask->quiet)
        output_hint(&ask->out, "sent %s of %s; the hub had the rest, or it packs well", sent,
                    large);
    if (result->commit || !again)
        output_result(&ask->out, "Uploaded", "url", json_pack("{s:s}", "url", result->url));
    fflush(stdout);
}

static bool upload_once(Ask *ask, const char *id, const char *local, const char *path,
                        const UploadOptions *upload, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0); // --every may come here for days
    UploadResult result;
    if (!fetch_upload(a, id, local, path, upload, &result, err))
        return false;
    tell(ask, &result);
    return true;
}

/* A commit every so many minutes for as long as something writes there, and a last one when told to
 * stop. What fails, as long as the hub is away, is tried again the next time. */
static bool upload_again(Ask *ask, const char *id, const char *local, const char *path,
                         const UploadOptions *upload, Error *err)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    double seconds = ask->every * 60;
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    output_hint(&ask->out, "a commit every %g minutes; Ctrl-C makes the last one", ask->every);
    for (bool stopped = false; !stopped;) {
        stopped = sigtimedwait(&stop, NULL, &pause) > 0;
        Error failure = {0};
        if (upload_once(ask, id, local, path, upload, &failure))
            continue;
        if (stopped || failure.code == ERR_UNAUTHENTICATED || failure.code == ERR_DENIED)
            return fail(err, failure.code, "%s", failure.text);
        output_warning("%s", failure.text);
    }
    return true;
}

static bool run(Ask *ask, Error *err)
{
    const char *at, *id = ask_repo(ask, &at, err);
    if (!id)
        return false;
    if (at[0] && ask->n > 2)
        return fail(err, ERR_USAGE, "'%s' says where to put it: say no other path", ask->args[0]);
    UploadOptions upload = {.kind = ask->kind,
                            .token = ask->token,
                            .revision = ask->revision,
                            .message = ask->message,
                            .description = ask->description,
                            .include = list_or_null(&ask->include),
                            .exclude = list_or_null(&ask->exclude),
                            .remove = list_or_null(&ask->remove),
                            .private_ = ask->private_ == SWITCH_YES,
                            .create_pr = ask->create_pr == SWITCH_YES,
                            .quiet = ask->no_bars};
    const char *local = ask->n > 1 ? ask->args[1] : guess_local(id);
    const char *path = ask->n > 2 ? ask->args[2] : at;
    // A pattern instead of a path is about what is here.
    const char *pattern[] = {local, NULL};
    if (!file_exists(local) && strpbrk(local, "*?[")) {
        if (upload.include || path[0])
            return fail(err, ERR_USAGE, "'%s' is a pattern: say neither --include nor a path",
                        local);
        upload.include = pattern;
        local = ".";
    }
    if (ask->every < 0 || ask->every > 1e6)
        return fail(err, ERR_USAGE, "--every is a number of minutes, not %g", ask->every);
    return ask->every > 0 ? upload_again(ask, id, local, path, &upload, err)
                          : upload_once(ask, id, local, path, &upload, err);
}

static const Command commands[] = {
    {"", "REPO [FILE or FOLDER [PATH_IN_REPO]]",
     "commit a file or a folder to a repository on the hub", 1, 3,
     "type revision private include exclude delete commit-message commit-description create-pr "
     "every token",
     run},
};

const Verb verb_upload = {
    .name = "upload",
    .synopsis = "REPO [FILE or FOLDER [PATH_IN_REPO]]",
    .summary = "commit a file or a folder to a repository on the hub",
    .help = "The repository and its branch are made if they are not there. Without a path, the\n"
            "current folder is uploaded; what the hub has already is not sent again, so that the\n"
            "same command goes on where another was cut off. Prints the address of the commit.",
    COMMANDS(commands),
};
