/* dataset_rows.c: see dataset_rows.h. */
#include "hub/dataset_rows.h"

#include "hub/content.h"

enum { MAX_COUNTED = 256 << 20, MAX_FILES = 1000 };

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

/* ---- Rows of all ---- */

/* What one file gives of the rows from..from + n, counted from its own first. */
static bool add_file(const ByteSource *file, TableFormat format, int64_t from, DatasetRows *out,
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
        AUTO_CONTENT file = {0};
        if (!content_open(hub, a, repo, sha, split->files[i], &file, err) ||
            !add_file(&file.source, format, from - out->total, out, n, err)) {
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
