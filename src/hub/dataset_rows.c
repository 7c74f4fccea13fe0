/* dataset_rows.c: see dataset_rows.h. */
#include "hub/dataset_rows.h"

#include "base/file.h"

#include <unistd.h>

enum { MAX_COUNTED = 256 << 20, MAX_PLAIN = 16 << 20, MAX_FILES = 1000 };

bool dataset_format(const DatasetLayout *layout, TableFormat *out)
{
    static const struct {
        const char *module;
        TableFormat format;
    } rows[] = {
        {"parquet", TABLE_PARQUET}, {"csv", TABLE_CSV}, {"json", TABLE_JSON}, {"text", TABLE_TEXT}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_eq(layout->module, str_of(rows[i].module))) {
            *out = rows[i].format == TABLE_CSV && layout->separator == '\t' ? TABLE_TSV
                                                                            : rows[i].format;
            return true;
        }
    return false;
}

/* ---- One file ---- */

static bool bytes_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const DatasetFile *file = context;
    if (file->fd >= 0)
        return fd_read_at(file->fd, out, n, file->offset + offset, err);
    memcpy(out, file->bytes.ptr + offset, n);
    return true;
}

bool dataset_file_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                       DatasetFile *out, Error *err)
{
    RepoFile file = {.sha = sha, .entry = *entry};
    *out = (DatasetFile){.table = {.name = arena_cstr(a, entry->path),
                                   .size = entry->size,
                                   .read = bytes_read,
                                   .context = out},
                         .fd = -1};
    return entry->is_lfs ? repo_file_open(hub, repo, &file, &out->fd, &out->offset, err)
                         : repo_file_bytes(hub, a, repo, &file, MAX_PLAIN, &out->bytes, err);
}

void dataset_file_done(DatasetFile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* ---- Rows of all ---- */

/* What one file gives of the rows from..from + n, counted from its own first. */
static bool add_file(const TableFile *file, TableFormat format, int64_t from, DatasetRows *out,
                     int64_t n, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(table_free) Table *t = table_open(file, format, err);
    int64_t counted;
    TableRows rows;
    if (!t || !table_count(t, MAX_COUNTED, &counted, err))
        return false;
    if (!out->features)
        out->features = type_feature_json(table_type(t));
    int64_t first = MAX(from, 0), wanted = n - (int64_t)json_array_size(out->rows);
    if (wanted > 0 && first < counted) {
        if (!table_read(t, first, wanted, a, &rows, err))
            return false;
        for (size_t i = 0; i < rows.n; i++)
            json_array_append_new(out->rows, cell_json(table_type(t), &rows.items[i]));
    }
    out->total += counted;
    return true;
}

bool dataset_rows(Hub *hub, const Repo *repo, Str sha, const DatasetLayout *layout,
                  const DatasetSplit *split, int64_t from, int64_t n, DatasetRows *out, Error *err)
{
    TableFormat format;
    *out = (DatasetRows){0};
    if (!dataset_format(layout, &format))
        return fail(err, ERR_UNSUPPORTED, "rows of the format '%.*s' cannot be shown",
                    STR(layout->module));
    if (split->n_files > MAX_FILES)
        return fail(err, ERR_LIMIT, "the split '%.*s' has %zu files, at most %d are read",
                    STR(split->name), split->n_files, MAX_FILES);
    int64_t bytes = 0; // text is passed over to be counted; Parquet says how many rows it has
    for (size_t i = 0; i < split->n_files && format != TABLE_PARQUET; i++)
        bytes += split->files[i]->size;
    if (bytes > MAX_COUNTED)
        return fail(err, ERR_LIMIT,
                    "the split '%.*s' has %lld bytes, at most %d are read unless it "
                    "is Parquet",
                    STR(split->name), (long long)bytes, MAX_COUNTED);
    out->rows = json_array();
    for (size_t i = 0; i < split->n_files; i++) {
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO_DATASET_FILE file = {.fd = -1};
        if (!dataset_file_open(hub, a, repo, sha, split->files[i], &file, err) ||
            !add_file(&file.table, format, from - out->total, out, n, err)) {
            dataset_rows_done(out);
            return false;
        }
    }
    if (!out->features)
        out->features = json_object();
    return true;
}

void dataset_rows_done(DatasetRows *rows)
{
    json_decref(rows->features);
    json_decref(rows->rows);
    *rows = (DatasetRows){0};
}
