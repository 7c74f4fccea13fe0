/* dataset_rows.c: see dataset_rows.h. */
#include "hub/dataset_rows.h"

#include "hub/content.h"
#include "hub/dataset_folder.h"

enum { MAX_COUNTED = 256 << 20, MAX_FILES = 1000, BATCH = 1000 };

static bool format_of(const DatasetLayout *layout, TableFormat *out)
{
    static const struct {
        const char *module;
        TableFormat format;
    } rows[] = {{"parquet", TABLE_PARQUET},
                {"csv", TABLE_CSV},
                {"json", TABLE_JSON},
                {"text", TABLE_TEXT},
                {"webdataset", TABLE_TAR}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_eq(layout->module, str_of(rows[i].module))) {
            *out = rows[i].format == TABLE_CSV && layout->separator == '\t' ? TABLE_TSV
                                                                            : rows[i].format;
            return true;
        }
    return false;
}

bool split_is_readable(const DatasetLayout *layout)
{
    TableFormat unused;
    return format_of(layout, &unused) || folder_kind(layout) != MEDIA_NONE;
}

/* ---- One table behind the other ---- */

typedef struct Walk {
    Hub *hub;
    const Repo *repo;
    Str sha;
    SplitRead *read;
    const Folder *folder; // NULL: the files are the tables
    int64_t from, left;   // from the next table's first row; rows still wanted
} Walk;

/* Gives some of the wanted rows; *ended where the table has no more. */
static bool walk_batch(Walk *w, Table *t, Str name, bool *ended, Error *err)
{
    SplitRead *read = w->read;
    AUTO(arena_free) Arena *a = arena_new(0);
    TableRows rows = {0};
    int64_t batch = MIN(w->left, (int64_t)BATCH), asked = batch + (batch == w->left);
    if (w->left > 0 && !table_read(t, w->from, asked, a, &rows, err))
        return false;
    *ended = (int64_t)rows.n < asked;
    if ((int64_t)rows.n > batch) {
        rows.n = (size_t)batch;
        read->more = true;
    }
    const TableType *type = table_type(t);
    if (w->folder && !(type = folder_type(w->folder, type, name, &rows, a, err)))
        return false;
    w->left -= (int64_t)rows.n;
    w->from += (int64_t)rows.n;
    return read->each(read->user, type, &rows, err);
}

/* Gives what one table has of the wanted rows. */
static bool walk_table(Walk *w, Table *t, Str name, Error *err)
{
    bool ended = false;
    int64_t counted = 0;
    if (w->read->count && !table_count(t, MAX_COUNTED, &counted, err))
        return false;
    w->read->total += counted;
    do {
        if (!walk_batch(w, t, name, &ended, err))
            return false;
    } while (!ended && w->left > 0);
    // Where its end was passed the table knows how many rows it has.
    w->from = ended ? MAX(w->from - MAX(table_rows(t), 0), 0) : 0;
    return true;
}

static bool walk_file(Walk *w, const RepoEntry *entry, TableFormat format, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_CONTENT file = {0};
    if (!content_open(w->hub, a, w->repo, w->sha, entry, &file, err))
        return false;
    AUTO(table_free) Table *t = table_open(&file.source, format, err);
    if (t && w->read->brief)
        table_be_brief(t);
    return t && walk_table(w, t, entry->path, err);
}

static bool walk_files(Walk *w, const RepoEntry **files, size_t n, const TableFormat *format,
                       Error *err)
{
    for (size_t i = 0; i < n; i++) {
        TableFormat own = TABLE_CSV;
        if (!w->read->count && w->left == 0) {
            w->read->more = true;
            break;
        }
        if (!format && !folder_metadata_format(files[i]->path, &own))
            continue;
        if (!walk_file(w, files[i], format ? *format : own, err))
            return false;
    }
    return true;
}

/* Text is passed over to be counted; Parquet says how many rows it has. */
static bool check_limits(const SplitRead *read, TableFormat format, Error *err)
{
    const DatasetSplit *split = read->split;
    if (split->n_files > MAX_FILES)
        return fail(err, ERR_LIMIT, "the split '%.*s' has %zu files, at most %d are read",
                    STR(split->name), split->n_files, MAX_FILES);
    int64_t bytes = 0;
    for (size_t i = 0;
         i < split->n_files && read->count && format != TABLE_PARQUET && format != TABLE_TAR; i++)
        bytes += split->files[i]->size;
    return bytes <= MAX_COUNTED ||
           (bool)fail(err, ERR_LIMIT,
                      "the split '%.*s' has %lld bytes, at most %d are read unless it is Parquet",
                      STR(split->name), (long long)bytes, MAX_COUNTED);
}

static bool read_all(Hub *hub, const Repo *repo, Str sha, SplitRead *read, Error *err)
{
    TableFormat format;
    const DatasetSplit *split = read->split;
    Walk w = {
        .hub = hub, .repo = repo, .sha = sha, .read = read, .from = read->from, .left = read->n};
    read->total = 0;
    read->more = false;
    if (format_of(read->layout, &format))
        return check_limits(read, format, err) &&
               walk_files(&w, split->files, split->n_files, &format, err);
    if (folder_kind(read->layout) == MEDIA_NONE)
        return fail(err, ERR_UNSUPPORTED, "rows of the format '%.*s' cannot be shown",
                    STR(read->layout->module));
    AUTO(arena_free) Arena *a = arena_new(0);
    Folder folder = folder_of(a, read->layout, read->config, split);
    if (!folder.has_metadata)
        return folder_read(&folder, read, a, err);
    w.folder = &folder;
    return walk_files(&w, split->files, split->n_files, NULL, err);
}

bool split_read(Hub *hub, const Repo *repo, Str sha, SplitRead *read, Error *err)
{
    if (!read_all(hub, repo, sha, read, err))
        return false;
    if (read->count)
        read->more = read->from + read->n < read->total;
    else
        read->total = -1;
    return true;
}
