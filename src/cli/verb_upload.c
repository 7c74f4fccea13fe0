/* verb_upload.c: `hug upload`: a file or a folder becomes a commit on the hub. */
#include "cli/cli.h"

#include "cli/hub_options.h"

typedef struct Options {
    HubOptions hub;
    const char *message, *description;
    OptionList include, exclude, remove;
    bool private_, quiet;
} Options;

static const Option options[] = {
    HUB_OPTIONS(Options, hub),
    FLAG(Options, private_, "--private", "if the repository has to be made"),
    VALUE(Options, include, LIST, "--include", "GLOB", "only such files"),
    VALUE(Options, exclude, LIST, "--exclude", "GLOB", "none of these"),
    VALUE(Options, remove, LIST, "--delete", "GLOB", "delete such files in the same commit"),
    VALUE(Options, message, TEXT, "--commit-message", "TEXT", "the commit's title"),
    VALUE(Options, description, TEXT, "--commit-description", "TEXT", "the commit's body"),
    FLAG(Options, quiet, "-q|--quiet", "no progress, only the address"),
};

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n < 2 || n > 4)
        return fail(err, ERR_USAGE,
                    "give a repository, what to upload, and perhaps where to put it");
    UploadOptions upload = {.token = o.hub.token,
                            .revision = o.hub.revision,
                            .message = o.message,
                            .description = o.description,
                            .include = list_or_null(&o.include),
                            .exclude = list_or_null(&o.exclude),
                            .remove = list_or_null(&o.remove),
                            .private_ = o.private_,
                            .quiet = o.quiet};
    AUTO(arena_free) Arena *a = arena_new(0);
    UploadResult result;
    if (!hub_kind(&o.hub, &upload.kind, err) ||
        !fetch_upload(a, args[1], n > 2 ? args[2] : ".", n > 3 ? args[3] : "", &upload, &result,
                      err))
        return false;
    if (!result.commit && !o.quiet)
        fprintf(stderr, "nothing has changed since the last commit\n");
    puts(result.url);
    return true;
}

const Verb verb_upload = {
    .name = "upload",
    .synopsis = "REPO [FILE or FOLDER [PATH_IN_REPO]]",
    .summary = "commit a file or a folder to a repository on the hub",
    .help = "The repository is made if it is not there. Without a path, the current folder is "
            "uploaded;\n"
            "what the hub has already is not sent again. Prints the address of the commit.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
