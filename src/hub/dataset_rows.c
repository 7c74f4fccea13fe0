/* dataset_rows.c: see dataset_rows.h. */
#include "hub/dataset_rows.h"

#include "base/file.h"

enum { MAX_COUNTED = 256 << 20, MAX_PLAIN = 16 << 20, MAX_FILES = 1000 };

static bool format_of(const DatasetLayout *layout, TableFormat *format, Error *err)
{
    static const struct {
        const char *module;
        TableFormat format;
    } rows[] = {
        {"parquet", TABLE_PARQUET}, {"csv", TABLE_CSV}, {"json", TABLE_JSON}, {"text", TABLE_TEXT}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_eq(layout->module, str_of(rows[i].module))) {
            *format = rows[i].format == TABLE_CSV && layout->separator == '\t' ? TABLE_TSV
                                                                               : rows[i].format;
            return true;
        }
    return fail(err, ERR_UNSUPPORTED, "rows of the format '%.*s' cannot be shown",
                STR(layout->module));
}

/* A file's bytes: of a blob, or in memory where git has it. */
typedef struct Source {
    int fd;
    int64_t offset;
    Str bytes;
} Source;

static bool source_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const Source *s = context;
    if (s->fd >= 0)
        return fd_read_at(s->fd, out, n, s->offset + offset, err);
    memcpy(out, s->bytes.ptr + offset, n);
    return true;
}

static bool source_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                        Source *out, Error *err)
{
    RepoFile file = {.sha = sha, .entry = *entry};
    *out = (Source){.fd = -1};
    return entry->is_lfs ? repo_file_open(hub, repo, &file, &out->fd, &out->offset, err)
                         : repo_file_bytes(hub, a, repo, &file, MAX_PLAIN, &out->bytes, err);
}

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
    if (!format_of(layout, &format, err))
        return false;
    if (split->n_files > MAX_FILES)
        return fail(err, ERR_LIMIT, "the split '%.*s' has %zu files, at most %d are read",
                    STR(split->name), split->n_files, MAX_FILES);
    int64_t bytes =
        0; // text has to be passed over to be counted, Parquet says how many rows it has
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
        Source source;
        const RepoEntry *entry = split->files[i];
        bool ok = source_open(hub, a, repo, sha, entry, &source, err);
        AUTO_FD int fd = source.fd;
        TableFile file = {.name = arena_cstr(a, entry->path),
                          .size = entry->size,
                          .read = source_read,
                          .context = &source};
        if (!ok || !add_file(&file, format, from - out->total, out, n, err)) {
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
