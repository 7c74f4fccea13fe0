/* verb_upload.c: `hug upload`: a file or a folder becomes a commit on the hub. */
#include "cli/commands.h"

#include "base/file.h"

/* What is uploaded, where nothing is said: the file or folder of the repository's name, else all
 * that is here. */
static const char *guess_local(const char *id)
{
    const char *slash = strrchr(id, '/'), *name = slash ? slash + 1 : id;
    return file_exists(name) ? name : ".";
}

static bool run(Ask *ask, Error *err)
{
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
                            .quiet = ask->quiet};
    const char *local = ask->n > 1 ? ask->args[1] : guess_local(ask->args[0]);
    const char *path = ask->n > 2 ? ask->args[2] : "";
    // A pattern instead of a path is about what is here.
    const char *pattern[] = {local, NULL};
    if (!file_exists(local) && strpbrk(local, "*?[")) {
        if (upload.include || path[0])
            return fail(err, ERR_USAGE, "'%s' is a pattern: say neither --include nor a path",
                        local);
        upload.include = pattern;
        local = ".";
    }
    UploadResult result;
    if (!fetch_upload(ask->a, ask->args[0], local, path, &upload, &result, err))
        return false;
    if (!result.commit && !ask->quiet)
        output_hint(&ask->out, "nothing has changed since the last commit");
    output_result(&ask->out, "Uploaded", "url", json_pack("{s:s}", "url", result.url));
    return true;
}

static const Command commands[] = {
    {"", "REPO [FILE or FOLDER [PATH_IN_REPO]]",
     "commit a file or a folder to a repository on the hub", 1, 3,
     "type revision private include exclude delete commit-message commit-description create-pr "
     "token",
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
