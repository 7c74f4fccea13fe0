/* page_viewer.c: the first rows of a dataset, and any others, a hundred a page. Which files they
 * are in is dataset_layout's to say, how they are read tables/'s; only what a page needs is read.
 */
#include "web/web_internal.h"

#include "base/encode.h"
#include "hub/content.h"
#include "hub/dataset_rows.h"

enum {
    MAX_COLUMNS = 100,
    MAX_CELL = 400, // bytes of a cell that are shown
};

/* ---- Rows ---- */

typedef struct Sheet {
    Request *request;
    const Repo *repo;
    Str sha;
    TableFormat format;
    json_t *columns, *rows;
    int64_t from; // the first row; counted down by the files before it
    bool more;
} Sheet;

/* {"text", "kind"}: text as it is, the rest as JSON; long ones are cut between characters. */
static json_t *cell(const TableType *type, const Cell *value)
{
    AUTO(json_decref) json_t *json = cell_json(type, value);
    AUTO_BUF text;
    buf_init(&text, 0);
    if (json_is_string(json))
        buf_add(&text, str_of(json_string_value(json)));
    else
        json_write(&text, json);
    Str shown = text_cut(buf_str(&text), MAX_CELL);
    bool cut = shown.len < text.len;
    const char *kind = json_is_null(json) ? "null" : json_is_number(json) ? "number" : "text";
    return json_pack("{s:o, s:s, s:b}", "text", json_from_str(shown), "kind", kind, "cut", cut);
}

static json_t *columns_json(const TableType *type)
{
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(type->n, (size_t)MAX_COLUMNS); i++) {
        const TableType *column = &type->items[i];
        Str dtype = column->kind == TYPE_LIST     ? S("list")
                    : column->kind == TYPE_STRUCT ? S("struct")
                    : column->kind == TYPE_JSON   ? S("json")
                                                  : column->dtype;
        json_array_append_new(out, json_pack("{s:o, s:o}", "name", json_from_str(column->name),
                                             "dtype", json_from_str(dtype)));
    }
    return out;
}

/* Puts the file's part of the page in. */
static bool sheet_add(Sheet *s, const ByteSource *file, Error *err)
{
    AUTO(table_free) Table *t = table_open(file, s->format, err);
    if (!t)
        return false;
    const TableType *type = table_type(t);
    TableRows rows;
    int64_t wanted = DATASET_PAGE - (int64_t)json_array_size(s->rows);
    if (!s->columns)
        s->columns = columns_json(type);
    if (!table_read(t, s->from, wanted + 1, request_arena(s->request), &rows, err))
        return false;
    for (size_t i = 0; i < rows.n && (int64_t)i < wanted; i++) {
        json_t *row = json_array();
        for (size_t k = 0; k < MIN(type->n, (size_t)MAX_COLUMNS); k++)
            json_array_append_new(row, cell(&type->items[k], &rows.items[i].items[k]));
        json_array_append_new(s->rows, row);
    }
    s->more = (int64_t)rows.n > wanted;
    // Nothing read means that the table's end was passed, so it knows how many rows it has.
    s->from = rows.n == 0 ? MAX(s->from - table_rows(t), 0) : 0;
    return true;
}

static bool sheet_file(Sheet *s, const RepoEntry *entry, Error *err)
{
    AUTO_CONTENT file = {0};
    return content_open(hub_of(s->request), request_arena(s->request), s->repo, s->sha, entry,
                        &file, err) &&
           sheet_add(s, &file.source, err);
}

static bool sheet_fill(Sheet *s, const DatasetSplit *split, Error *err)
{
    for (size_t i = 0; i < split->n_files && !s->more; i++) {
        if (json_array_size(s->rows) == DATASET_PAGE) {
            s->more = true;
            break;
        }
        if (!sheet_file(s, split->files[i], err))
            return false;
    }
    return true;
}

/* ---- The page ---- */

static const char *split_path(Request *r, const Repo *repo, Str config, Str split)
{
    Arena *a = request_arena(r);
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%.*s/viewer/", STR(repo_path(a, repo)));
    url_encode(&out, config, "");
    buf_add(&out, S("/"));
    url_encode(&out, split, "");
    return arena_cstr(a, buf_str(&out));
}

static json_t *choices_json(Request *r, const Repo *repo, const DatasetLayout *layout,
                            const DatasetConfig *config, const DatasetSplit *split)
{
    json_t *configs = json_array(), *splits = json_array();
    for (size_t i = 0; i < layout->n_configs && i < 200; i++) {
        const DatasetConfig *c = &layout->configs[i];
        if (!c->n_splits)
            continue;
        json_array_append_new(
            configs, json_pack("{s:o, s:s, s:b}", "name", json_from_str(c->name), "url",
                               split_path(r, repo, c->name, c->splits[0].name), "on", c == config));
    }
    for (size_t i = 0; config && i < config->n_splits; i++)
        json_array_append_new(
            splits, json_pack("{s:o, s:s, s:b}", "name", json_from_str(config->splits[i].name),
                              "url", split_path(r, repo, config->name, config->splits[i].name),
                              "on", &config->splits[i] == split));
    return json_pack("{s:o, s:o}", "configs", configs, "splits", splits);
}

/* Fills the sheet, or says why there is none. */
static const char *sheet_problem(Sheet *s, const DatasetLayout *layout, const DatasetSplit *split)
{
    Arena *a = request_arena(s->request);
    Error err = {0};
    if (layout->problem.len)
        return arena_printf(a, "No rows can be shown: %.*s", STR(layout->problem));
    if (!layout->module.len || !split)
        return "There are no data files yet: CSV, JSON, Parquet or text are shown here.";
    if (!dataset_format(layout, &s->format))
        return arena_printf(a,
                            "Files of the kind “%.*s” are not shown here; the `datasets` "
                            "library loads them.",
                            STR(layout->module));
    return sheet_fill(s, split, &err) ? "" : arena_printf(a, "No rows can be shown: %s", err.text);
}

static void show(Request *r, const Repo *repo, const RepoInfo *info, const DatasetLayout *layout,
                 const DatasetConfig *config, const DatasetSplit *split)
{
    Arena *a = request_arena(r);
    Str offset = request_query_get(r, "offset");
    Sheet s = {.request = r, .repo = repo, .rows = json_array()};
    if (info)
        s.sha = info->sha;
    if (offset.len && !str_to_int(offset, 0, INT64_MAX / 2, &s.from)) {
        json_decref(s.rows);
        return reply_failure(r, 400, "offset: a number of rows");
    }
    int64_t from = s.from;
    const char *problem = sheet_problem(&s, layout, split);
    int64_t shown = (int64_t)json_array_size(s.rows);
    json_t *page = page_new(r, arena_printf(a, "%.*s: rows", STR(repo->full)));
    page_set_repo(r, page, repo, "viewer", S("main"));
    set(page, "choices", choices_json(r, repo, layout, config, split));
    set(page, "columns", s.columns ? s.columns : json_array());
    set(page, "rows", s.rows);
    set(page, "problem", json_string(problem));
    set(page, "from", json_integer(from));
    set(page, "to", json_integer(from + shown));
    const char *path = split ? split_path(r, repo, config->name, split->name) : "";
    set(page, "before",
        json_string(from > 0 ? arena_printf(a, "%s?offset=%lld", path,
                                            (long long)MAX(from - DATASET_PAGE, 0))
                             : ""));
    set(page, "after",
        json_string(s.more ? arena_printf(a, "%s?offset=%lld", path, (long long)(from + shown))
                           : ""));
    page_render(r, 200, "viewer", page);
}

static void viewer(Request *r)
{
    Error err = {0};
    Repo repo;
    const RepoInfo *info = NULL;
    Arena *a = request_arena(r);
    if (!web_repo(r, ACCESS_FILES, &repo))
        return;
    if (!repo_info(hub_of(r), a, &repo, (Str){0}, &info, &err)) {
        if (err.code != ERR_NO_REVISION)
            return reply_error(r, &err);
        info = NULL;
    }
    const DatasetLayout *layout = dataset_layout(
        a, info ? info->card : NULL, info ? info->files : NULL, info ? info->n_files : 0);
    bool named = str_find(str_of(request_route(r)->pattern), S("{split}"), 0) != SIZE_MAX;
    Str config_name = named ? request_param(r, "config") : (Str){0};
    const DatasetConfig *config = dataset_config(layout, config_name);
    const DatasetSplit *split = !config ? NULL
                                : named ? dataset_split(config, request_param(r, "split"))
                                : config->n_splits ? &config->splits[0]
                                                   : NULL;
    if (named && !split)
        return reply_failure(r, 404, "This dataset has no such split");
    show(r, &repo, info, layout, config, split);
}

const Route web_viewer_routes[] = {
    {"GET", "/datasets/{owner}/{name}/viewer", viewer, .summary = "Rows of a dataset"},
    {"GET", "/datasets/{owner}/{name}/viewer/{config}/{split}", viewer,
     .summary = "Rows of a split"},
};
const size_t web_viewer_routes_n = COUNT(web_viewer_routes);
