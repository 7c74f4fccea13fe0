/* verb_download.c: `hug download`: a repository, or some of its files, into the cache or a folder.
 */
#include "cli/cli.h"

#include "cli/hub_options.h"

typedef struct Options {
    HubOptions hub;
    const char *cache, *folder;
    OptionList include, exclude;
    int64_t workers;
    bool force, quiet;
} Options;

static const Option options[] = {
    HUB_OPTIONS(Options, hub),
    VALUE(Options, include, LIST, "--include", "GLOB", "only such files"),
    VALUE(Options, exclude, LIST, "--exclude", "GLOB", "none of these"),
    VALUE(Options, cache, TEXT, "--cache-dir", "DIR", "instead of HF_HUB_CACHE or HF_HOME/hub"),
    VALUE(Options, folder, TEXT, "--local-dir", "DIR", "put the files here by their names"),
    VALUE(Options, workers, INT, "--max-workers", "N", "files at a time (4)"),
    FLAG(Options, force, "--force-download", "fetch again what is there"),
    FLAG(Options, quiet, "-q|--quiet", "no progress, only the path"),
};

/* Names behind the repository: files, or folders with a slash at the end. One file prints its own
 * path, as more than one print their folder's. */
static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n < 2)
        return fail(err, ERR_USAGE, "give a repository");
    FetchOptions fetch = {.revision = o.hub.revision,
                          .token = o.hub.token,
                          .cache = o.cache,
                          .folder = o.folder,
                          .include = list_or_null(&o.include),
                          .exclude = list_or_null(&o.exclude),
                          .workers = (int)MIN(MAX(o.workers, 0), 32),
                          .quiet = o.quiet,
                          .force = o.force};
    if (!hub_kind(&o.hub, &fetch.kind, err))
        return false;
    AUTO(arena_free) Arena *a = arena_new(0);
    bool one = n == 3 && !str_ends(str_of(args[2]), S("/")) && !strpbrk(args[2], "*?[");
    if (n > 2 && !one)
        fetch.include = (const char *const *)(args + 2);
    char *path = one ? fetch_file(a, args[1], args[2], &fetch, err)
                     : fetch_snapshot(a, args[1], &fetch, err);
    if (!path)
        return false;
    puts(path);
    return true;
}

const Verb verb_download = {
    .name = "download",
    .synopsis = "REPO [FILE...]",
    .summary = "fetch a repository or some of its files from the hub",
    .help = "The cache is the one that huggingface_hub uses. Prints the folder, or the path of the "
            "file.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
