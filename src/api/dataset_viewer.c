/* dataset_viewer.c: the dataset viewer's calls that give rows, below /api/datasets-server, in the
 * shapes of the Hub's own; dataset_facts.c has those that sum them up. */
#include "api/dataset_viewer.h"

#include "base/encode.h"

/* ---- What is asked about ---- */

bool viewed_dataset(Request *r, Access need, Viewed *out)
{
    Error err = {0};
    Arena *a = request_arena(r);
    Hub *hub = api_of(r)->hub;
    *out = (Viewed){0};
    if (request_param(r, "name").len) {
        if (!api_repo(r, need, &out->repo))
            return false;
    } else {
        Str name = request_query_get(r, "dataset");
        if (!name.len) {
            reply_failure(r, 422, "dataset: the name of a dataset is wanted");
            return false;
        }
        if (!repo_find(hub, a, api_viewer(r), REPO_DATASET, name, need, &out->repo, &err)) {
            reply_error(r, &err);
            return false;
        }
    }
    if (need > ACCESS_READ && !api_gate(r, &out->repo))
        return false;
    if (!repo_info(hub, a, &out->repo, (Str){0}, &out->info, &err)) {
        reply_error(r, &err);
        return false;
    }
    out->layout = dataset_layout(a, out->info->card, out->info->files, out->info->n_files);
    reply_header(r, "X-Revision", out->info->sha);
    return true;
}

bool viewed_split(Request *r, Access need, Viewed *out)
{
    if (!viewed_dataset(r, need, out))
        return false;
    const DatasetLayout *layout = out->layout;
    out->config = dataset_config(layout, request_query_get(r, "config"));
    out->split = out->config ? dataset_split(out->config, request_query_get(r, "split")) : NULL;
    if (!out->split)
        reply_failure(r, 404,
                      arena_printf(request_arena(r), "there is no such config or split%s%.*s",
                                   layout->problem.len ? ": " : "", STR(layout->problem)));
    return out->split != NULL;
}

json_t *viewed_names(const Viewed *v, const DatasetConfig *config, const DatasetSplit *split)
{
    json_t *out = json_pack("{s:o, s:o}", "dataset", json_from_str(v->repo.full), "config",
                            json_from_str(config->name));
    if (split)
        json_object_set_new(out, "split", json_from_str(split->name));
    return out;
}

const char *viewed_url(Request *r, const Viewed *v, Str path)
{
    AUTO_BUF url;
    buf_init(&url, 0);
    buf_printf(&url, "%s/datasets/%.*s/resolve/%.*s/", api_url(r), STR(v->repo.full),
               STR(v->info->sha));
    url_encode(&url, path, "/");
    return arena_cstr(request_arena(r), buf_str(&url));
}

static void splits(Request *r)
{
    Viewed v;
    if (!viewed_dataset(r, ACCESS_READ, &v))
        return;
    if (!v.layout->n_configs)
        return reply_failure(r, 422, arena_cstr(request_arena(r), v.layout->problem));
    json_t *list = json_array();
    for (size_t i = 0; i < v.layout->n_configs; i++)
        for (size_t k = 0; k < v.layout->configs[i].n_splits; k++)
            json_array_append_new(
                list, viewed_names(&v, &v.layout->configs[i], &v.layout->configs[i].splits[k]));
    api_reply(r, json_pack("{s:o, s:[], s:[]}", "splits", list, "pending", "failed"));
}

/* What can be asked of a dataset: search and filters need an index that we do not make. */
static void is_valid(Request *r)
{
    Viewed v;
    if (!viewed_dataset(r, ACCESS_READ, &v))
        return;
    bool readable = v.layout->n_configs && split_is_readable(v.layout);
    api_reply(r, json_pack("{s:b, s:b, s:b, s:b, s:b}", "preview", readable, "viewer", readable,
                           "search", 0, "filter", 0, "statistics", readable));
}

static void not_indexed(Request *r)
{
    Viewed v;
    if (viewed_split(r, ACCESS_FILES, &v))
        reply_failure(
            r, 501,
            "this hub keeps no index of rows: it cannot search or filter them. Use /rows, "
            "or read the files that /parquet lists with a query engine");
}

/* ---- Rows ---- */

typedef struct RowList {
    Request *request;
    const Viewed *viewed;
    json_t *features, *rows;
    int64_t at; // the next row's number
} RowList;

json_t *features_of(const TableType *type, const TableRows *rows)
{
    json_t *out = json_object();
    for (size_t i = 0; i < type->n; i++)
        json_object_setn_new(
            out, type->items[i].name.ptr, type->items[i].name.len,
            column_feature_json(&type->items[i], rows->n ? &rows->items[0].items[i] : NULL));
    return out;
}

/* Where one cell's bytes can be fetched. */
static const char *cell_url(const RowList *l, Str column)
{
    AUTO_BUF url;
    buf_init(&url, 0);
    buf_printf(&url, "%s/api/datasets-server/cell?dataset=", api_url(l->request));
    url_encode(&url, l->viewed->repo.full, "/");
    buf_add(&url, S("&config="));
    url_encode(&url, l->viewed->config->name, "");
    buf_add(&url, S("&split="));
    url_encode(&url, l->viewed->split->name, "");
    buf_printf(&url, "&row=%lld&column=", (long long)l->at);
    url_encode(&url, column, "");
    return arena_cstr(request_arena(l->request), buf_str(&url));
}

static json_t *cell_value(const RowList *l, const TableType *type, const Cell *cell)
{
    Media media;
    if (!cell_media(type, cell, &media))
        return cell_json(type, cell);
    const char *url =
        media.path.len ? viewed_url(l->request, l->viewed, media.path) : cell_url(l, type->name);
    if (media.kind != MEDIA_AUDIO)
        return json_pack("{s:s}", "src", url);
    return json_pack("[{s:s, s:s}]", "src", url, "type", media.mime ? media.mime : "audio/wav");
}

static bool rows_add(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    RowList *l = user;
    (void)err;
    if (!l->features)
        l->features = features_of(type, rows);
    for (size_t i = 0; i < rows->n; i++, l->at++) {
        json_t *row = json_object();
        for (size_t k = 0; k < type->n; k++)
            json_object_setn_new(row, type->items[k].name.ptr, type->items[k].name.len,
                                 cell_value(l, &type->items[k], &rows->items[i].items[k]));
        json_array_append_new(l->rows, json_pack("{s:I, s:o, s:[]}", "row_idx", (json_int_t)l->at,
                                                 "row", row, "truncated_cells"));
    }
    return true;
}

/* {column: type} as a list with places. */
static json_t *features_json(json_t *features)
{
    const char *name;
    json_t *type, *out = json_array();
    json_object_foreach(features, name, type)
    {
        json_array_append_new(out,
                              json_pack("{s:i, s:s, s:O}", "feature_idx", (int)json_array_size(out),
                                        "name", name, "type", type));
    }
    json_decref(features);
    return out;
}

/* "features" and "rows"; NULL: it has answered. */
static json_t *read_rows(Request *r, const Viewed *v, SplitRead *read)
{
    Error err = {0};
    RowList list = {.request = r, .viewed = v, .rows = json_array(), .at = read->from};
    read->layout = v->layout;
    read->config = v->config;
    read->split = v->split;
    read->each = rows_add;
    read->brief = true;
    read->user = &list;
    if (!split_read(api_of(r)->hub, &v->repo, v->info->sha, read, &err)) {
        json_decref(list.features);
        json_decref(list.rows);
        api_unprocessable(r, &err);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "features", features_json(list.features), "rows", list.rows);
}

static void rows(Request *r)
{
    Viewed v;
    SplitRead read = {.n = DATASET_PAGE, .count = true};
    Str offset = request_query_get(r, "offset"), length = request_query_get(r, "length");
    if ((offset.len && !str_to_int(offset, 0, INT64_MAX / 2, &read.from)) ||
        (length.len && !str_to_int(length, 0, DATASET_PAGE, &read.n)))
        return reply_failure(r, 422, "offset: from 0; length: 0 to 100");
    if (!viewed_split(r, ACCESS_FILES, &v))
        return;
    json_t *out = read_rows(r, &v, &read);
    if (!out)
        return;
    json_object_set_new(out, "num_rows_total", json_integer(read.total));
    json_object_set_new(out, "num_rows_per_page", json_integer(DATASET_PAGE));
    json_object_set_new(out, "partial", json_false());
    api_reply(r, out);
}

static void first_rows(Request *r)
{
    Viewed v;
    SplitRead read = {.n = DATASET_PAGE};
    if (!viewed_split(r, ACCESS_FILES, &v))
        return;
    json_t *out = read_rows(r, &v, &read);
    if (!out)
        return;
    json_object_update_new(out, viewed_names(&v, v.config, v.split));
    json_object_set_new(out, "truncated", json_boolean(read.more));
    api_reply(r, out);
}

/* ---- A picture, a sound or a film that lies in a row ---- */

typedef struct CellWanted {
    Request *request;
    const Viewed *viewed;
    Str column;
    bool answered;
} CellWanted;

static bool cell_send(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    CellWanted *w = user;
    Media media;
    (void)err;
    for (size_t k = 0; k < type->n && rows->n && !w->answered; k++) {
        if (!str_eq(type->items[k].name, w->column) ||
            !cell_media(&type->items[k], &rows->items[0].items[k], &media))
            continue;
        w->answered = true;
        if (media.path.len) {
            reply_redirect(w->request, 302, str_of(viewed_url(w->request, w->viewed, media.path)));
            continue;
        }
        reply_header(w->request, "Content-Security-Policy", S("default-src 'none'; sandbox"));
        reply_header(w->request, "X-Content-Type-Options", S("nosniff"));
        reply_header(w->request, "Cache-Control", S("private, max-age=600"));
        reply_bytes(w->request, 200, media.mime, arena_str(request_arena(w->request), media.bytes));
    }
    return true;
}

static void cell(Request *r)
{
    Error err = {0};
    Viewed v;
    SplitRead read = {.n = 1, .each = cell_send};
    if (!str_to_int(request_query_get(r, "row"), 0, INT64_MAX / 2, &read.from))
        return reply_failure(r, 422, "row: from 0");
    if (!viewed_split(r, ACCESS_FILES, &v))
        return;
    CellWanted wanted = {.request = r, .viewed = &v, .column = request_query_get(r, "column")};
    read.layout = v.layout;
    read.config = v.config;
    read.split = v.split;
    read.user = &wanted;
    bool ok = split_read(api_of(r)->hub, &v.repo, v.info->sha, &read, &err);
    if (wanted.answered)
        return;
    if (!ok)
        return api_unprocessable(r, &err);
    reply_failure(r, 404, "there is no picture, sound or film in this cell");
}

#define SERVER "/api/datasets-server/"
const Route dataset_viewer_routes[] = {
    {"GET", SERVER "splits", splits, .summary = "Configs and splits of a dataset"},
    {"GET", SERVER "is-valid", is_valid, .summary = "What can be asked of a dataset"},
    {"GET", SERVER "rows", rows, .flags = ROUTE_LONG, .summary = "Rows of a split"},
    {"GET", SERVER "first-rows", first_rows, .summary = "The first rows of a split"},
    {"GET", SERVER "cell", cell, .summary = "A picture, a sound or a film of a row"},
    {"GET", SERVER "search", not_indexed, .summary = "Not offered: 501 says why"},
    {"GET", SERVER "filter", not_indexed, .summary = "Not offered: 501 says why"},
};
const size_t dataset_viewer_routes_n = COUNT(dataset_viewer_routes);
