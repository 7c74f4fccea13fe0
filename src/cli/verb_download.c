/* verb_download.c: `hug download`: a repository, or some of its files, into the cache or a folder.
 */
#include "cli/commands.h"

/* Names behind the repository: files, or folders with a slash at the end. One file prints its own
 * path, as more than one print their folder's. */
static bool run(Ask *ask, Error *err)
{
    if (ask->folder && ask->cache)
        return fail(err, ERR_USAGE, "say --local-dir or --cache-dir, not both");
    FetchOptions fetch = {.kind = ask->kind,
                          .revision = ask->revision,
                          .token = ask->token,
                          .cache = ask->cache,
                          .folder = ask->folder,
                          .include = list_or_null(&ask->include),
                          .exclude = list_or_null(&ask->exclude),
                          .workers = (int)MIN(MAX(ask->workers, 0), 32),
                          .quiet = ask->quiet,
                          .force = ask->force};
    const char *id = ask->args[0], *first = ask->n > 1 ? ask->args[1] : "";
    bool one = ask->n == 2 && !str_ends(str_of(first), S("/")) && !strpbrk(first, "*?[");
    if (ask->n > 1 && !one)
        fetch.include = ask->args + 1;
    char *path =
        one ? fetch_file(ask->a, id, first, &fetch, err) : fetch_snapshot(ask->a, id, &fetch, err);
    if (!path)
        return false;
    output_result(&ask->out, "Downloaded", "path", json_pack("{s:s}", "path", path));
    return true;
}

static const Command commands[] = {
    {"", "REPO [FILE...]", "fetch a repository or some of its files from the hub", 1, -1,
     "type revision include exclude cache-dir local-dir force-download dry-run max-workers token",
     run},
};

const Verb verb_download = {
    .name = "download",
    .synopsis = "REPO [FILE...]",
    .summary = "fetch a repository or some of its files from the hub",
    .help = "The cache is the one that huggingface_hub uses. Prints the folder, or the path of the "
            "file.",
    COMMANDS(commands),
};
