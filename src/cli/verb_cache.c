/* verb_cache.c: `hug cache`: what has been fetched from the hub, and room for more. */
#include "cli/commands.h"

#include "base/clock.h"
#include "fetch/cached.h"

#include <strings.h>

/* A row of the list: a repository, or one of its revisions. */
typedef struct Row {
    const CachedRepo *repo;
    const CachedRevision *revision; // NULL: the repository
} Row;

static const char *repo_key(Arena *a, const CachedRepo *repo)
{
    return arena_printf(a, "%s/%s", fetch_kind_name(repo->kind), repo->id);
}

static int64_t row_size(const Row *row)
{
    return row->revision ? row->revision->size : row->repo->size;
}

static int64_t row_changed(const Row *row)
{
    return row->revision ? row->revision->changed_ns : row->repo->changed_ns;
}

/* ---- Filters ---- */

typedef struct Filter {
    Str key, op, value;
    double number; // bytes or seconds
} Filter;

static const struct {
    const char *unit;
    double size, seconds; // 0: no such unit
} units[] = {{"s", 0, 1},      {"m", 1e6, 60},     {"h", 0, 3600},     {"d", 0, 86400},
             {"w", 0, 604800}, {"mo", 0, 2592000}, {"y", 0, 31536000}, {"k", 1e3, 0},
             {"kb", 1e3, 0},   {"mb", 1e6, 0},     {"g", 1e9, 0},      {"gb", 1e9, 0},
             {"t", 1e12, 0},   {"tb", 1e12, 0},    {"p", 1e15, 0},     {"pb", 1e15, 0},
             {"", 1, 1}};

/* "10MB", "7d", "512" */
static bool parse_amount(Str text, bool size, double *out)
{
    size_t digits = 0;
    int64_t n;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!str_to_int(str_slice(text, 0, digits), 0, INT64_MAX, &n))
        return false;
    for (size_t i = 0; i < COUNT(units); i++) {
        double scale = size ? units[i].size : units[i].seconds;
        if (scale > 0 && str_eq_nocase(str_slice(text, digits, text.len), str_of(units[i].unit))) {
            *out = (double)n * scale;
            return true;
        }
    }
    return false;
}

static bool parse_filter(const char *text, Filter *f, Error *err)
{
    Str all = str_trim(str_of(text));
    size_t at = strcspn(text, "=!<>"), end = at + strspn(text + at, "=!<>");
    all = str_of(text);
    *f = (Filter){.key = str_trim(str_slice(all, 0, at)),
                  .op = str_slice(all, at, end),
                  .value = str_trim(str_slice(all, end, all.len))};
    bool equal = str_eq(f->op, S("="));
    if (str_eq(f->key, S("type")) || str_eq(f->key, S("refs")))
        return (equal && f->value.len) ||
               fail(err, ERR_USAGE, "--filter '%s': only '=' works with %.*s", text, STR(f->key));
    bool size = str_eq(f->key, S("size"));
    if (!size && !str_eq(f->key, S("accessed")) && !str_eq(f->key, S("modified")))
        return fail(err, ERR_USAGE,
                    "--filter '%s': it is about accessed, modified, refs, size or type", text);
    bool known = equal || str_eq(f->op, S("!=")) || str_eq(f->op, S("<")) ||
                 str_eq(f->op, S(">")) || str_eq(f->op, S("<=")) || str_eq(f->op, S(">="));
    if (!known || !parse_amount(f->value, size, &f->number))
        return fail(err, ERR_USAGE, "--filter '%s': it looks like %s", text,
                    size ? "size>1GB" : "accessed>7d");
    return true;
}

static bool has_ref(const CachedRevision *r, Str name)
{
    for (size_t i = 0; i < r->n_refs; i++)
        if (str_eq_nocase(str_of(r->refs[i]), name))
            return true;
    return false;
}

static bool has_any_ref(const Row *row, Str name)
{
    if (row->revision)
        return has_ref(row->revision, name);
    for (size_t i = 0; i < row->repo->n; i++)
        if (has_ref(&row->repo->revisions[i], name))
            return true;
    return false;
}

static bool passes(const Filter *f, const Row *row, int64_t now)
{
    if (str_eq(f->key, S("type")))
        return str_eq_nocase(f->value, str_of(fetch_kind_name(row->repo->kind)));
    if (str_eq(f->key, S("refs")))
        return has_any_ref(row, f->value);
    double value = (double)row_size(row);
    if (!str_eq(f->key, S("size"))) {
        int64_t then = str_eq(f->key, S("accessed")) ? row->repo->used_ns : row_changed(row);
        value = (double)(now - then) / (double)NS_PER_S;
    }
    char first = f->op.ptr[0];
    bool or_equal = f->op.len == 2 && value == f->number;
    switch (first) {
    case '<':
        return value < f->number || or_equal;
    case '>':
        return value > f->number || or_equal;
    case '!':
        return value != f->number;
    default:
        return value == f->number;
    }
}

/* ---- ls ---- */

typedef enum SortKey { SORT_NAME, SORT_SIZE, SORT_USED, SORT_CHANGED } SortKey;
typedef struct Order {
    SortKey key;
    bool down;
} Order;

static bool parse_order(const char *text, Order *order, Error *err)
{
    static const char *const names[] = {[SORT_NAME] = "name",
                                        [SORT_SIZE] = "size",
                                        [SORT_USED] = "accessed",
                                        [SORT_CHANGED] = "modified"};
    Str rest = str_of(text), key = {0};
    str_split(&rest, ':', &key);
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq_nocase(key, str_of(names[i]))) {
            order->key = (SortKey)i;
            order->down = rest.len ? str_eq_nocase(rest, S("desc")) : i != SORT_NAME;
            if (!rest.len || order->down || str_eq_nocase(rest, S("asc")))
                return true;
        }
    return fail(err, ERR_USAGE,
                "--sort is accessed, modified, name or size, perhaps with :asc or :desc, not '%s'",
                text);
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const Row *left = a, *right = b;
    const Order *order = context;
    int64_t l = 0, r = 0;
    int by_name = strcasecmp(left->repo->id, right->repo->id);
    switch (order->key) {
    case SORT_NAME:
        l = strcmp(fetch_kind_name(left->repo->kind), fetch_kind_name(right->repo->kind));
        l = l ? l : by_name;
        break;
    case SORT_SIZE:
        l = row_size(left), r = row_size(right);
        break;
    case SORT_USED:
        l = left->repo->used_ns, r = right->repo->used_ns;
        break;
    case SORT_CHANGED:
        l = row_changed(left), r = row_changed(right);
        break;
    }
    int result = l < r ? -1 : l > r;
    return order->down ? -result : result;
}

static json_t *refs_json(const Row *row)
{
    json_t *refs = json_array();
    for (size_t i = 0; i < row->repo->n; i++) {
        const CachedRevision *r = &row->repo->revisions[i];
        for (size_t k = 0; k < r->n_refs && (!row->revision || row->revision == r); k++)
            json_array_append_new(refs, json_string(r->refs[k]));
    }
    return refs;
}

static json_t *row_json(Arena *a, const Row *row)
{
    char size[OUTPUT_SIZE], used[OUTPUT_AGO], changed[OUTPUT_AGO];
    output_size(row_size(row), size);
    output_ago(row->repo->used_ns, used);
    output_ago(row_changed(row), changed);
    json_t *json = json_pack("{s:s, s:s, s:s}", "id", repo_key(a, row->repo), "repo_id",
                             row->repo->id, "repo_type", fetch_kind_name(row->repo->kind));
    if (row->revision) {
        json_object_set_new(json, "revision", json_string(row->revision->commit));
        json_object_set_new(json, "snapshot_path", json_string(row->revision->path));
    }
    json_object_set_new(json, "size", json_string(size));
    if (!row->revision)
        json_object_set_new(json, "last_accessed", json_string(used));
    json_object_set_new(json, "last_modified", json_string(changed));
    json_object_set_new(json, "refs", refs_json(row));
    return json;
}

/* All repositories, or all revisions, that pass the filters; *n of them. */
static Row *choose_rows(const Ask *ask, const CacheScan *scan, size_t *n, Error *err)
{
    Filter filters[OPTION_LIST_MAX];
    size_t room = 1;
    for (int i = 0; i < ask->filters.n; i++)
        if (!parse_filter(ask->filters.items[i], &filters[i], err))
            return NULL;
    for (size_t i = 0; i < scan->n; i++)
        room += MAX(scan->repos[i].n, 1);
    Row *rows = NEW_ARRAY(ask->a, Row, room);
    int64_t now = wall_ns();
    *n = 0;
    for (size_t i = 0; i < scan->n; i++) {
        const CachedRepo *repo = &scan->repos[i];
        for (size_t r = 0; r < (ask->revisions ? repo->n : 1); r++) {
            Row row = {.repo = repo, .revision = ask->revisions ? &repo->revisions[r] : NULL};
            bool good = true;
            for (int f = 0; f < ask->filters.n && good; f++)
                good = passes(&filters[f], &row, now);
            if (good)
                rows[(*n)++] = row;
        }
    }
    return rows;
}

static void sum_up(const Ask *ask, const CacheScan *scan, const Row *rows, size_t n)
{
    size_t repos = 0, revisions = 0;
    int64_t sum = 0;
    char size[OUTPUT_SIZE];
    for (size_t i = 0; i < n; i++) {
        repos += i == 0 || rows[i].repo != rows[i - 1].repo;
        revisions += rows[i].revision ? 1 : rows[i].repo->n;
        sum += row_size(&rows[i]);
    }
    bool all = !ask->revisions && !ask->filters.n && ask->limit < 0;
    output_size(all ? scan->size : sum, size);
    if (n)
        output_text(&ask->out, "\nFound %zu repo(s) for a total of %zu revision(s) and %s on disk.",
                    repos, revisions, size);
    if (ask->show_warnings)
        for (size_t i = 0; i < scan->n_warnings; i++)
            output_warning("%s. Repo ignored.", scan->warnings[i]);
    else if (scan->n_warnings)
        output_warning("Found %zu cache inconsistencies. Re-run with `--show-warnings` to "
                       "display them.",
                       scan->n_warnings);
    sum = 0;
    for (size_t i = 0; i < scan->n_scraps; i++)
        sum += scan->scraps[i].size;
    output_size(sum, size);
    if (scan->n_scraps)
        output_hint(&ask->out,
                    "Found %zu incomplete download(s) and unused blob(s) totalling %s. Remove "
                    "them with `hug cache prune`.",
                    scan->n_scraps, size);
}

static bool list(Ask *ask, Error *err)
{
    CacheScan scan;
    Order order;
    size_t n;
    if (ask->sort && !parse_order(ask->sort, &order, err))
        return false;
    Error failure = {0};
    if (!cache_scan(&scan, ask->a, ask->cache, &failure)) {
        if (failure.code != ERR_NOT_FOUND)
            return fail(err, failure.code, "%s", failure.text);
        scan = (CacheScan){0}; // nothing has been fetched yet
    }
    Row *rows = choose_rows(ask, &scan, &n, err);
    if (!rows)
        return false;
    if (ask->sort)
        qsort_r(rows, n, sizeof *rows, compare_rows, &order);
    if (ask->limit >= 0)
        n = MIN(n, (size_t)ask->limit);
    AUTO(json_decref) json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, row_json(ask->a, &rows[i]));
    output_table(&ask->out, all,
                 ask->revisions ? "id revision size last_modified refs"
                                : "id size last_accessed last_modified refs",
                 ask->revisions ? "revision" : "id");
    sum_up(ask, &scan, rows, n);
    return true;
}

/* ---- rm and prune ---- */

/* How much is doomed, in words that people and scripts read. */
typedef struct Doomed {
    int repos, partial, revisions, files;
} Doomed;

static Doomed count_doomed(const CacheScan *scan)
{
    Doomed d = {0};
    for (size_t i = 0; i < scan->n; i++) {
        const CachedRepo *repo = &scan->repos[i];
        int revisions = 0;
        for (size_t r = 0; r < repo->n; r++) {
            revisions += repo->revisions[r].doomed;
            for (size_t f = 0; f < repo->revisions[r].n; f++)
                d.files += repo->revisions[r].files[f].doomed;
        }
        d.revisions += revisions;
        bool whole = revisions > 0 && revisions == (int)repo->n;
        d.repos += whole;
        d.partial += whole ? 0 : revisions;
    }
    return d;
}

static void show_doomed(const Ask *ask, const CacheScan *scan)
{
    for (size_t i = 0; i < scan->n; i++) {
        const CachedRepo *repo = &scan->repos[i];
        for (size_t r = 0; r < repo->n; r++) {
            const CachedRevision *revision = &repo->revisions[r];
            char size[OUTPUT_SIZE];
            output_size(revision->size, size);
            if (revision->doomed)
                output_text(&ask->out, "  - %s %s [%s] %s", repo_key(ask->a, repo),
                            revision->commit, revision->n_refs ? revision->refs[0] : "detached",
                            size);
            for (size_t f = 0; f < revision->n; f++)
                if (revision->files[f].doomed)
                    output_text(&ask->out, "  - %s@%s/%s", repo_key(ask->a, repo), revision->commit,
                                revision->files[f].name);
        }
    }
}

/* "model/org/name" or "hf://models/org/name", with *path behind that; NULL if it is not cached. */
static CachedRepo *find_repo(CacheScan *scan, Arena *a, const char *target, const char **path)
{
    Str name = str_of(target);
    bool uri = str_starts(name, S("hf://"));
    name = str_slice(name, uri ? 5 : 0, name.len);
    *path = NULL;
    for (size_t i = 0; i < scan->n; i++) {
        CachedRepo *repo = &scan->repos[i];
        const char *kind = fetch_kind_name(repo->kind);
        // hf:// names are "models/org/name" or, for models, "org/name".
        const char *keys[] = {arena_printf(a, "%s%s/%s", kind, uri ? "s" : "", repo->id),
                              uri && repo->kind == FETCH_MODEL ? repo->id : NULL};
        for (size_t k = 0; k < COUNT(keys) && keys[k]; k++) {
            Str key = str_of(keys[k]);
            if (str_eq_nocase(name, key))
                return repo;
            if (uri && name.len > key.len && name.ptr[key.len] == '/' &&
                str_eq_nocase(str_slice(name, 0, key.len), key)) {
                *path = name.ptr + key.len + 1;
                return repo;
            }
        }
    }
    return NULL;
}

static bool doom_commit(CacheScan *scan, const char *commit)
{
    for (size_t i = 0; i < scan->n; i++)
        for (size_t r = 0; r < scan->repos[i].n; r++)
            if (strcasecmp(scan->repos[i].revisions[r].commit, commit) == 0) {
                scan->repos[i].revisions[r].doomed = true;
                return true;
            }
    return false;
}

/* Marks what a target names; false if nothing is. */
static bool doom(CacheScan *scan, Arena *a, const char *target)
{
    if (strlen(target) == 40 && !strchr(target, '/'))
        return doom_commit(scan, target);
    const char *path;
    CachedRepo *repo = find_repo(scan, a, target, &path);
    bool any = repo && !path;
    for (size_t r = 0; repo && r < repo->n; r++) {
        if (!path)
            repo->revisions[r].doomed = true;
        for (size_t f = 0; path && f < repo->revisions[r].n; f++)
            if (strcmp(repo->revisions[r].files[f].name, path) == 0)
                any = repo->revisions[r].files[f].doomed = true;
    }
    return any;
}

static bool cached_remove(Ask *ask, Error *err)
{
    CacheScan scan;
    if (!cache_scan(&scan, ask->a, ask->cache, err))
        return false;
    for (int i = 0; i < ask->n; i++)
        if (!doom(&scan, ask->a, ask->args[i]))
            output_warning("Could not find in cache: %s; `hug cache ls --revisions` lists what "
                           "is there",
                           ask->args[i]);
    Doomed d = count_doomed(&scan);
    if (d.revisions == 0 && d.files == 0) {
        output_text(&ask->out, "Nothing to delete.");
        return true;
    }
    char size[OUTPUT_SIZE];
    output_size(cache_doomed_size(&scan), size);
    output_text(&ask->out,
                "About to delete %d repo(s), %d revision(s) and %d file(s) totalling %s.", d.repos,
                d.partial, d.files, size);
    show_doomed(ask, &scan);
    if (ask->dry_run) {
        output_result(&ask->out, "Dry run: no files were deleted.", NULL,
                      json_pack("{s:b, s:i, s:i, s:i, s:s}", "dry_run", 1, "repos", d.repos,
                                "revisions", d.revisions, "files", d.files, "size", size));
        return true;
    }
    if (!output_confirm(&ask->out, ask->yes, err, "Delete them?") ||
        !cache_remove_doomed(&scan, err))
        return false;
    output_result(&ask->out,
                  arena_printf(ask->a,
                               "Deleted %d repo(s), %d revision(s) and %d file(s); freed %s.",
                               d.repos, d.revisions, d.files, size),
                  NULL,
                  json_pack("{s:i, s:i, s:i, s:s}", "repos_deleted", d.repos, "revisions_deleted",
                            d.revisions, "files_deleted", d.files, "freed", size));
    return true;
}

static bool prune(Ask *ask, Error *err)
{
    CacheScan scan;
    if (!cache_scan(&scan, ask->a, ask->cache, err))
        return false;
    int incomplete = 0, shared = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < scan.n; i++)
        for (size_t r = 0; r < scan.repos[i].n; r++)
            scan.repos[i].revisions[r].doomed = scan.repos[i].revisions[r].n_refs == 0;
    for (size_t i = 0; i < scan.n_scraps; i++) {
        shared += scan.scraps[i].shared;
        incomplete += !scan.scraps[i].shared;
        bytes += scan.scraps[i].size;
    }
    Doomed d = count_doomed(&scan);
    if (d.revisions == 0 && scan.n_scraps == 0) {
        output_text(&ask->out, "No unreferenced revisions, incomplete downloads or shared blobs "
                               "found. Nothing to prune.");
        return true;
    }
    char size[OUTPUT_SIZE];
    output_size(bytes + cache_doomed_size(&scan), size);
    output_text(&ask->out,
                "About to delete %d unreferenced revision(s), %d incomplete download(s) and %d "
                "unreferenced shared blob(s) (%s total).",
                d.revisions, incomplete, shared, size);
    show_doomed(ask, &scan);
    if (ask->dry_run) {
        output_result(&ask->out, "Dry run: no files were deleted.", NULL,
                      json_pack("{s:b, s:i, s:i, s:i, s:s}", "dry_run", 1, "revisions", d.revisions,
                                "incomplete", incomplete, "shared_blobs", shared, "size", size));
        return true;
    }
    if (!output_confirm(&ask->out, ask->yes, err, "Delete them?") ||
        !cache_remove_doomed(&scan, err) || !cache_remove_scraps(&scan, err))
        return false;
    output_result(&ask->out, arena_printf(ask->a, "Freed %s.", size), NULL,
                  json_pack("{s:i, s:i, s:i, s:s}", "revisions_deleted", d.revisions,
                            "incomplete_deleted", incomplete, "shared_blobs_deleted", shared,
                            "freed", size));
    return true;
}

/* ---- verify ---- */

static bool verify(Ask *ask, Error *err)
{
    if (ask->folder && ask->cache)
        return fail(err, ERR_USAGE, "say --local-dir or --cache-dir, not both");
    FetchOptions options = {.kind = ask->kind,
                            .revision = ask->revision,
                            .token = ask->token,
                            .cache = ask->cache,
                            .folder = ask->folder};
    CacheCheck check;
    if (!cache_verify(&check, ask->a, ask->args[0], &options, err))
        return false;
    for (size_t i = 0; i < check.n_mismatches; i++) {
        const CacheMismatch *m = &check.mismatches[i];
        output_text(&ask->out, "%s: expected %s (%s), got %s", m->path, m->expected, m->algorithm,
                    m->actual);
    }
    for (size_t i = 0; ask->fail_missing && i < check.n_missing; i++)
        output_text(&ask->out, "%s: missing here", check.missing[i]);
    for (size_t i = 0; ask->fail_extra && i < check.n_extra; i++)
        output_text(&ask->out, "%s: not on the hub", check.extra[i]);
    if (check.n_missing && !ask->fail_missing)
        output_warning("%zu remote file(s) are missing locally. Use --fail-on-missing-files for "
                       "details.",
                       check.n_missing);
    if (check.n_extra && !ask->fail_extra)
        output_warning("%zu local file(s) do not exist on the remote repo. Use "
                       "--fail-on-extra-files for details.",
                       check.n_extra);
    if (check.n_mismatches || (ask->fail_missing && check.n_missing) ||
        (ask->fail_extra && check.n_extra))
        return fail(err, ERR_CORRUPT,
                    "%s at %s is not what the hub has, in %s; `hug download --force-download` "
                    "fetches it again",
                    ask->args[0], check.revision, check.folder);
    output_result(&ask->out,
                  arena_printf(ask->a, "Verified %zu file(s) of %s. All checksums match.",
                               check.checked, ask->args[0]),
                  NULL,
                  json_pack("{s:s, s:s, s:I, s:s}", "repo_id", ask->args[0], "repo_type",
                            fetch_kind_name(ask->kind), "checked", (json_int_t)check.checked,
                            "path", check.folder));
    return true;
}

static const Command commands[] = {
    {"list|ls", "", "what has been fetched", 0, 0,
     "cache-dir revisions cache-filter cache-sort limit show-warnings", list},
    {"rm", "TARGET...",
     "remove repositories (model/org/name), files (hf://org/name/file) or revisions (a commit)", 1,
     -1, "cache-dir yes dry-run", cached_remove},
    {"prune", "", "remove revisions that no branch or tag is at, and what was cut off", 0, 0,
     "cache-dir yes dry-run", prune},
    {"verify", "REPO", "compare the files of a revision with the hub", 1, 1,
     "type revision cache-dir local-dir fail-on-missing-files fail-on-extra-files token", verify},
};

const Verb verb_cache = {
    .name = "cache",
    .synopsis = "list | rm | prune | verify",
    .summary = "what has been fetched from the hub",
    .help = "The cache is the one that the `hf` command and huggingface_hub use.\n",
    COMMANDS(commands),
};
