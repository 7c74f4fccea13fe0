/* verb_download.c: `hug download`: a repository, or some of its files, into the cache or a folder.
 */
#include "cli/commands.h"

static int by_path(const void *a, const void *b)
{
    return strcmp(((const PlannedFile *)a)->path, ((const PlannedFile *)b)->path);
}

/* --dry-run */
static bool plan(Ask *ask, const char *id, const FetchOptions *fetch, Error *err)
{
    PlannedFile *files;
    size_t n, wanted = 0;
    int64_t sum = 0;
    if (!fetch_plan(ask->a, id, fetch, &files, &n, err))
        return false;
    if (n)
        qsort(files, n, sizeof *files, by_path);
    AUTO(json_decref) json_t *rows = json_array();
    char size[OUTPUT_SIZE];
    for (size_t i = 0; i < n; i++) {
        output_size(files[i].size, size);
        wanted += files[i].fetched;
        sum += files[i].fetched ? files[i].size : 0;
        json_array_append_new(rows, json_pack("{s:s, s:s}", "file", files[i].path, "size",
                                              files[i].fetched ? size : "-"));
    }
    output_size(sum, size);
    output_text(&ask->out, "[dry-run] Will download %zu files (out of %zu) totalling %s.", wanted,
                n, size);
    output_table(&ask->out, rows, NULL, NULL);
    return true;
}

/* Names behind the repository: files, or folders with a slash at the end. One file prints its own
 * path, as more than one print their folder's. */
static bool run(Ask *ask, Error *err)
{
    if (ask->folder && ask->cache)
        return fail(err, ERR_USAGE, "say --local-dir or --cache-dir, not both");
    const char *at, *id = ask_repo(ask, &at, err);
    if (!id)
        return false;
    if (at[0] && ask->n > 1)
        return fail(err, ERR_USAGE, "'%s' names what to fetch: name no more files", ask->args[0]);
    const char *named[] = {at, NULL}, *const *files = at[0] ? named : ask->args + 1;
    int n = at[0] ? 1 : ask->n - 1;
    FetchOptions fetch = {.kind = ask->kind,
                          .revision = ask->revision,
                          .token = ask->token,
                          .cache = ask->cache,
                          .folder = ask->folder,
                          .include = list_or_null(&ask->include),
                          .exclude = list_or_null(&ask->exclude),
                          .workers = (int)MIN(MAX(ask->workers, 0), 32),
                          .quiet = ask->no_bars,
                          .force = ask->force};
    bool one = n == 1 && !str_ends(str_of(files[0]), S("/")) && !strpbrk(files[0], "*?[");
    if (n > 0 && (!one || ask->dry_run))
        fetch.include = files;
    if (ask->dry_run)
        return plan(ask, id, &fetch, err);
    char *path = one ? fetch_file(ask->a, id, files[0], &fetch, err)
                     : fetch_snapshot(ask->a, id, &fetch, err);
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
