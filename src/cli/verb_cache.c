/* verb_cache.c: `hug cache ls`: what has been fetched from the hub. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/progress.h"
#include "fetch/fetch.h"

typedef struct Options {
    const char *cache;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, cache, TEXT, "--cache-dir", "DIR", "instead of HF_HUB_CACHE or HF_HOME/hub"),
    FLAG(Options, json, "--json", "as JSON"),
};

static void print_json(const CachedRepo *repos, size_t n)
{
    AUTO(json_decref) json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        char used[ISO8601_SIZE];
        iso8601_format(repos[i].used_ns, used);
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:s, s:s, s:i, s:s}", "type",
                                             fetch_kind_name(repos[i].kind), "id", repos[i].id,
                                             "size", (json_int_t)repos[i].size, "lastAccessed",
                                             used, "refs", repos[i].refs, "revisions",
                                             repos[i].snapshots, "path", repos[i].path));
    }
    AUTO_BUF out;
    buf_init(&out, 0);
    json_write(&out, all);
    puts(out.ptr);
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 2 || (strcmp(args[1], "ls") != 0 && strcmp(args[1], "list") != 0))
        return fail(err, ERR_USAGE, "give ls");
    AUTO(arena_free) Arena *a = arena_new(0);
    CachedRepo *repos;
    size_t found;
    int64_t total = 0;
    if (!fetch_cache_list(a, o.cache, &repos, &found, err))
        return false;
    if (o.json) {
        print_json(repos, found);
        return true;
    }
    char size[SIZE_TEXT];
    for (size_t i = 0; i < found; i++) {
        total += repos[i].size;
        size_format(repos[i].size, size);
        printf("%-8s %-48s %10s  %s\n", fetch_kind_name(repos[i].kind), repos[i].id, size,
               repos[i].refs);
    }
    size_format(total, size);
    printf("%zu repositories, %s\n", found, size);
    return true;
}

const Verb verb_cache = {
    .name = "cache",
    .synopsis = "ls",
    .summary = "list what has been fetched from the hub",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
