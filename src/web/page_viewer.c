/* page_viewer.c: the first rows of a dataset, and any others, a hundred a page. Which files they
 * are in is dataset_layout's to say, how they are read dataset_rows's; only what a page needs is
 * read. Pictures, sounds and films are fetched by the browser when they come into sight.
 */
#include "web/web_internal.h"

#include "base/encode.h"
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
    json_t *columns, *rows;
    int64_t at; // the next row's number
    SplitRead read;
} Sheet;

/* Where the browser gets a file, or what lies in a cell. */
static const char *media_url(const Sheet *s, const Media *media, Str column)
{
    Arena *a = request_arena(s->request);
    if (media->path.len)
        return arena_cstr(a, rev_path(a, s->repo, "resolve", s->sha, media->path));
    AUTO_BUF url;
    buf_init(&url, 0);
    buf_add(&url, S("/api/datasets-server/cell?dataset="));
    url_encode(&url, s->repo->full, "/");
    buf_add(&url, S("&config="));
    url_encode(&url, s->read.config->name, "");
    buf_add(&url, S("&split="));
    url_encode(&url, s->read.split->name, "");
    buf_printf(&url, "&row=%lld&column=", (long long)s->at);
    url_encode(&url, column, "");
    return arena_cstr(a, buf_str(&url));
}

/* Text as it is, a label by its name, the rest as JSON. */
static void cell_text(Buf *out, const TableType *type, const Cell *value, const json_t *json)
{
    bool label = type->kind == TYPE_VALUE && str_eq(type->dtype, S("class_label"));
    if (label && value->kind == CELL_INT && value->integer >= 0 &&
        value->integer < (int64_t)type->n)
        buf_add(out, type->items[value->integer].name);
    else if (json_is_string(json))
        buf_add(out, str_of(json_string_value(json)));
    else
        json_write(out, json);
}

/* {"text", "kind", "cut", "media", "url"}: long texts are cut between characters. */
static json_t *cell(const Sheet *s, const TableType *type, const Cell *value)
{
    Media media;
    if (cell_media(type, value, &media) && media.mime) {
        Str name = media.path.len ? media.path : type->name;
        return json_pack("{s:o, s:s, s:b, s:s}", "text", json_from_str(name), "kind",
                         media_name(media.kind), "cut", 0, "url", media_url(s, &media, type->name));
    }
    AUTO(json_decref) json_t *json = cell_json(type, value);
    AUTO_BUF text;
    buf_init(&text, 0);
    cell_text(&text, type, value, json);
    Str shown = text_cut(buf_str(&text), MAX_CELL);
    bool is_number = json_is_number(json) && !(type->kind == TYPE_VALUE && type->n);
    const char *kind = json_is_null(json) ? "null" : is_number ? "number" : "text";
    return json_pack("{s:o, s:s, s:b, s:s}", "text", json_from_str(shown), "kind", kind, "cut",
                     shown.len < text.len, "url", "");
}

static json_t *columns_json(const TableType *type, const TableRows *rows)
{
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(type->n, (size_t)MAX_COLUMNS); i++) {
        const TableType *column = &type->items[i];
        Media media = {0};
        bool is_media = rows->n && cell_media(column, &rows->items[0].items[i], &media);
        Str dtype = is_media                                  ? str_of(media_name(media.kind))
                    : column->kind == TYPE_LIST               ? S("list")
                    : column->kind == TYPE_STRUCT             ? S("struct")
                    : column->kind == TYPE_JSON               ? S("json")
                    : str_eq(column->dtype, S("class_label")) ? S("label")
                                                              : column->dtype;
        json_array_append_new(out, json_pack("{s:o, s:o}", "name", json_from_str(column->name),
                                             "dtype", json_from_str(dtype)));
    }
    return out;
}

static bool sheet_add(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    Sheet *s = user;
    (void)err;
    if (!s->columns)
        s->columns = columns_json(type, rows);
    for (size_t i = 0; i < rows->n; i++, s->at++) {
        json_t *row = json_array();
        for (size_t k = 0; k < MIN(type->n, (size_t)MAX_COLUMNS); k++)
            json_array_append_new(row, cell(s, &type->items[k], &rows->items[i].items[k]));
        json_array_append_new(s->rows, row);
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
static const char *sheet_problem(Sheet *s, const DatasetLayout *layout, const DatasetConfig *config,
                                 const DatasetSplit *split)
{
    Arena *a = request_arena(s->request);
    Error err = {0};
    if (layout->problem.len)
        return arena_printf(a, "No rows can be shown: %.*s", STR(layout->problem));
    if (!layout->module.len || !split)
        return "There are no data files yet: CSV, JSON, Parquet, text, and folders of pictures, "
               "sounds or films are shown here.";
    if (!split_is_readable(layout))
        return arena_printf(a,
                            "Files of the kind “%.*s” are not shown here; the `datasets` "
                            "library loads them.",
                            STR(layout->module));
    s->read.layout = layout;
    s->read.config = config;
    s->read.split = split;
    s->read.n = DATASET_PAGE;
    s->read.each = sheet_add;
    s->read.user = s;
    s->at = s->read.from;
    return split_read(hub_of(s->request), s->repo, s->sha, &s->read, &err)
               ? ""
               : arena_printf(a, "No rows can be shown: %s", err.text);
}

static void show(Request *r, const Repo *repo, const RepoInfo *info, const DatasetLayout *layout,
                 const DatasetConfig *config, const DatasetSplit *split)
{
    Arena *a = request_arena(r);
    Str offset = request_query_get(r, "offset");
    Sheet s = {.request = r, .repo = repo, .rows = json_array()};
    if (info)
        s.sha = info->sha;
    if (offset.len && !str_to_int(offset, 0, INT64_MAX / 2, &s.read.from)) {
        json_decref(s.rows);
        return reply_failure(r, 400, "offset: a number of rows");
    }
    int64_t from = s.read.from;
    const char *problem = sheet_problem(&s, layout, config, split);
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
        json_string(s.read.more ? arena_printf(a, "%s?offset=%lld", path, (long long)(from + shown))
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
