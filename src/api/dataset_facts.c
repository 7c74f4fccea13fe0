/* dataset_facts.c: the dataset viewer's calls that sum a dataset up: how large it is, what its
 * columns are, which Parquet files it has, how its values are distributed, and its description in
 * the words of Croissant. Files are given as they are stored: nothing is converted. */
#include "api/dataset_viewer.h"
#include "base/encode.h"
#include "hub/dataset_stats.h"

/* ---- Each split's rows and columns ---- */

typedef struct SplitFacts {
    json_t *features; // NULL: it could not be read
    int64_t rows, bytes, columns;
    Error error;
} SplitFacts;

static bool features_take(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    SplitFacts *facts = user;
    (void)err;
    if (!facts->features)
        facts->features = features_of(type, rows);
    facts->columns = (int64_t)type->n;
    return true;
}

static SplitFacts split_facts(Request *r, const Viewed *v, const DatasetConfig *config,
                              const DatasetSplit *split)
{
    SplitFacts facts = {0};
    for (size_t i = 0; i < split->n_files; i++)
        facts.bytes += split->files[i]->size;
    SplitRead read = {.layout = v->layout,
                      .config = config,
                      .split = split,
                      .n = 1,
                      .count = true,
                      .brief = true,
                      .each = features_take,
                      .user = &facts};
    if (split_read(api_of(r)->hub, &v->repo, v->info->sha, &read, &facts.error)) {
        facts.rows = read.total;
        if (!facts.features)
            facts.features = json_object();
    } else {
        json_decref(facts.features);
        facts.features = NULL;
    }
    return facts;
}

/* A split that could not be read, in a "failed" list. */
static json_t *failure_json(const Viewed *v, const DatasetConfig *config, const DatasetSplit *split,
                            const Error *err)
{
    json_t *out = viewed_names(v, config, split);
    json_object_set_new(out, "error", json_pack("{s:s}", "error", err->text));
    return out;
}

/* The config that ?config= names alone, or all. False: it has answered. */
static bool wanted_config(Request *r, const Viewed *v, const DatasetConfig **out)
{
    Str name = request_query_get(r, "config");
    *out = name.len ? dataset_config(v->layout, name) : NULL;
    if (!v->layout->n_configs)
        reply_failure(r, 422, arena_cstr(request_arena(r), v->layout->problem));
    else if (name.len && !*out)
        reply_failure(r, 404, "there is no such config");
    return v->layout->n_configs && (!name.len || *out);
}

/* ---- /size ---- */

/* Bytes in memory are not known before somebody loads them: those of the files stand for them. */
static json_t *size_json(json_t *names, int64_t rows, int64_t bytes, int64_t parquet)
{
    json_object_update_new(names,
                           json_pack("{s:I, s:I, s:I, s:n}", "num_bytes_parquet_files",
                                     (json_int_t)parquet, "num_bytes_memory", (json_int_t)bytes,
                                     "num_rows", (json_int_t)rows, "estimated_num_rows"));
    return names;
}

typedef struct Sizes {
    json_t *splits, *configs, *failed;
    int64_t rows, bytes;
} Sizes;

static void config_size(Request *r, const Viewed *v, const DatasetConfig *config, Sizes *out)
{
    bool parquet = str_eq(v->layout->module, S("parquet"));
    int64_t rows = 0, bytes = 0, columns = 0;
    for (size_t i = 0; i < config->n_splits; i++) {
        SplitFacts facts = split_facts(r, v, config, &config->splits[i]);
        bytes += facts.bytes;
        if (!facts.features) {
            json_array_append_new(out->failed,
                                  failure_json(v, config, &config->splits[i], &facts.error));
            continue;
        }
        json_t *row = size_json(viewed_names(v, config, &config->splits[i]), facts.rows,
                                facts.bytes, parquet ? facts.bytes : 0);
        json_object_set_new(row, "num_columns", json_integer(facts.columns));
        json_array_append_new(out->splits, row);
        json_decref(facts.features);
        rows += facts.rows;
        columns = facts.columns;
    }
    json_t *row = size_json(viewed_names(v, config, NULL), rows, bytes, parquet ? bytes : 0);
    json_object_set_new(row, "num_bytes_original_files", json_integer(bytes));
    json_object_set_new(row, "num_columns", json_integer(columns));
    json_array_append_new(out->configs, row);
    out->rows += rows;
    out->bytes += bytes;
}

static void size(Request *r)
{
    Viewed v;
    const DatasetConfig *only;
    if (!viewed_dataset(r, ACCESS_FILES, &v) || !wanted_config(r, &v, &only))
        return;
    Sizes sizes = {.splits = json_array(), .configs = json_array(), .failed = json_array()};
    for (size_t i = 0; i < v.layout->n_configs; i++)
        if (!only || only == &v.layout->configs[i])
            config_size(r, &v, &v.layout->configs[i], &sizes);
    json_t *size = NULL;
    if (only) {
        size = json_pack("{s:O, s:o}", "config", json_array_get(sizes.configs, 0), "splits",
                         sizes.splits);
        json_decref(sizes.configs);
    } else {
        bool parquet = str_eq(v.layout->module, S("parquet"));
        json_t *whole = size_json(json_pack("{s:o}", "dataset", json_from_str(v.repo.full)),
                                  sizes.rows, sizes.bytes, parquet ? sizes.bytes : 0);
        json_object_set_new(whole, "num_bytes_original_files", json_integer(sizes.bytes));
        size = json_pack("{s:o, s:o, s:o}", "dataset", whole, "configs", sizes.configs, "splits",
                         sizes.splits);
    }
    bool partial = json_array_size(sizes.failed) > 0;
    api_reply(r, json_pack("{s:o, s:[], s:o, s:b}", "size", size, "pending", "failed", sizes.failed,
                           "partial", partial));
}

/* ---- /info ---- */

static json_t *config_info(Request *r, const Viewed *v, const DatasetConfig *config, json_t *failed)
{
    json_t *splits = json_object(), *features = NULL;
    int64_t bytes = 0;
    for (size_t i = 0; i < config->n_splits; i++) {
        const DatasetSplit *split = &config->splits[i];
        SplitFacts facts = split_facts(r, v, config, split);
        bytes += facts.bytes;
        if (!facts.features) {
            json_array_append_new(failed, failure_json(v, config, split, &facts.error));
            continue;
        }
        json_object_set_new(splits, arena_cstr(request_arena(r), split->name),
                            json_pack("{s:o, s:I, s:I, s:n}", "name", json_from_str(split->name),
                                      "num_bytes", (json_int_t)facts.bytes, "num_examples",
                                      (json_int_t)facts.rows, "dataset_name"));
        if (features)
            json_decref(facts.features);
        else
            features = facts.features;
    }
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "description", "", "citation",
        "", "homepage", "", "license", json_from_str(json_str(v->info->card, "license")),
        "features", features ? features : json_object(), "builder_name",
        json_from_str(v->layout->module), "dataset_name", json_from_str(v->repo.name),
        "config_name", json_from_str(config->name), "splits", splits, "download_size",
        (json_int_t)bytes, "dataset_size", (json_int_t)bytes);
    json_object_set_new(out, "version",
                        json_pack("{s:s, s:i, s:i, s:i}", "version_str", "0.0.0", "major", 0,
                                  "minor", 0, "patch", 0));
    return out;
}

static void info(Request *r)
{
    Viewed v;
    const DatasetConfig *only;
    if (!viewed_dataset(r, ACCESS_FILES, &v) || !wanted_config(r, &v, &only))
        return;
    json_t *failed = json_array(), *infos = only ? NULL : json_object();
    if (only)
        infos = config_info(r, &v, only, failed);
    for (size_t i = 0; !only && i < v.layout->n_configs; i++)
        json_object_set_new(infos, arena_cstr(request_arena(r), v.layout->configs[i].name),
                            config_info(r, &v, &v.layout->configs[i], failed));
    bool partial = json_array_size(failed) > 0;
    api_reply(r, json_pack("{s:o, s:[], s:o, s:b}", "dataset_info", infos, "pending", "failed",
                           failed, "partial", partial));
}

/* ---- /statistics ---- */

static void statistics(Request *r)
{
    Error err = {0};
    Viewed v;
    if (!viewed_split(r, ACCESS_FILES, &v))
        return;
    SplitRead read = {.layout = v.layout, .config = v.config, .split = v.split};
    json_t *out = split_statistics(api_of(r)->hub, &v.repo, v.info->sha, &read, &err);
    if (!out)
        return api_unprocessable(r, &err);
    api_reply(r, out);
}

/* ---- Parquet files ---- */

static void parquet_add(Request *r, const Viewed *v, const DatasetConfig *config, json_t *files)
{
    for (size_t i = 0; i < config->n_splits; i++)
        for (size_t k = 0; k < config->splits[i].n_files; k++) {
            const RepoEntry *entry = config->splits[i].files[k];
            size_t slash = str_rfind_char(entry->path, '/');
            Str name = slash == SIZE_MAX ? entry->path
                                         : str_slice(entry->path, slash + 1, entry->path.len);
            json_t *file = viewed_names(v, config, &config->splits[i]);
            json_object_update_new(
                file, json_pack("{s:s, s:o, s:I}", "url", viewed_url(r, v, entry->path), "filename",
                                json_from_str(name), "size", (json_int_t)entry->size));
            json_array_append_new(files, file);
        }
}

/* A dataset of another format has no Parquet files here, which makes the list a partial one. */
static void parquet(Request *r)
{
    Viewed v;
    const DatasetConfig *only;
    if (!viewed_dataset(r, ACCESS_FILES, &v) || !wanted_config(r, &v, &only))
        return;
    bool stored = str_eq(v.layout->module, S("parquet"));
    json_t *files = json_array();
    for (size_t i = 0; stored && i < v.layout->n_configs; i++)
        if (!only || only == &v.layout->configs[i])
            parquet_add(r, &v, &v.layout->configs[i], files);
    api_reply(r, json_pack("{s:o, s:[], s:[], s:b}", "parquet_files", files, "pending", "failed",
                           "partial", !stored));
}

/* "https://hub/api/datasets/me/x/parquet/default/train/0.parquet" for each file. */
static json_t *split_links(Request *r, const Viewed *v, const DatasetConfig *config,
                           const DatasetSplit *split)
{
    json_t *out = json_array();
    AUTO_BUF base;
    buf_init(&base, 0);
    buf_printf(&base, "%s/api/datasets/%.*s/parquet/", api_url(r), STR(v->repo.full));
    url_encode(&base, config->name, "");
    buf_add(&base, S("/"));
    url_encode(&base, split->name, "");
    for (size_t i = 0; i < split->n_files; i++)
        json_array_append_new(out, json_sprintf("%s/%zu.parquet", base.ptr, i));
    return out;
}

static json_t *config_links(Request *r, const Viewed *v, const DatasetConfig *config)
{
    json_t *out = json_object();
    for (size_t i = 0; i < config->n_splits; i++)
        json_object_set_new(out, arena_cstr(request_arena(r), config->splits[i].name),
                            split_links(r, v, config, &config->splits[i]));
    return out;
}

/* The config and split of the path, as far as it names them. False: it has answered. */
static bool linked(Request *r, Viewed *v)
{
    Str config = request_param(r, "config"), split = request_param(r, "split");
    if (!viewed_dataset(r, ACCESS_FILES, v))
        return false;
    bool stored = str_eq(v->layout->module, S("parquet"));
    v->config = config.len && stored ? dataset_config(v->layout, config) : NULL;
    v->split = v->config && split.len ? dataset_split(v->config, split) : NULL;
    if ((config.len && !v->config) || (split.len && !v->split)) {
        reply_failure(r, 404, "there are no Parquet files of such a config and split");
        return false;
    }
    return true;
}

static void links(Request *r)
{
    Viewed v;
    if (!linked(r, &v))
        return;
    if (v.split)
        return api_reply(r, split_links(r, &v, v.config, v.split));
    if (v.config)
        return api_reply(r, config_links(r, &v, v.config));
    json_t *out = json_object();
    for (size_t i = 0; str_eq(v.layout->module, S("parquet")) && i < v.layout->n_configs; i++)
        json_object_set_new(out, arena_cstr(request_arena(r), v.layout->configs[i].name),
                            config_links(r, &v, &v.layout->configs[i]));
    api_reply(r, out);
}

static void link_follow(Request *r)
{
    Viewed v;
    int64_t n;
    Str file = request_param(r, "file"), suffix = S(".parquet");
    if (!linked(r, &v))
        return;
    if (!str_ends(file, suffix) || !str_to_int(str_slice(file, 0, file.len - suffix.len), 0,
                                               (int64_t)v.split->n_files - 1, &n))
        return reply_failure(r, 404, "there is no such Parquet file");
    reply_redirect(r, 302, str_of(viewed_url(r, &v, v.split->files[n]->path)));
}

#define SERVER "/api/datasets-server/"
#define DATASET "/api/datasets/{owner}/{name}/"
const Route dataset_facts_routes[] = {
    {"GET", SERVER "size", size, .flags = ROUTE_LONG, .summary = "Rows and bytes of a dataset"},
    {"GET", SERVER "info", info, .flags = ROUTE_LONG, .summary = "Columns and splits of a dataset"},
    {"GET", SERVER "statistics", statistics, .flags = ROUTE_LONG,
     .summary = "How a split's values are distributed"},
    {"GET", SERVER "parquet", parquet, .summary = "Parquet files of a dataset"},
    {"GET", DATASET "parquet", links, .summary = "Parquet files by config and split"},
    {"GET", DATASET "parquet/{config}", links, .summary = "Parquet files of a config"},
    {"GET", DATASET "parquet/{config}/{split}", links, .summary = "Parquet files of a split"},
    {"GET", DATASET "parquet/{config}/{split}/{file}", link_follow, .summary = "A Parquet file"},
};
const size_t dataset_facts_routes_n = COUNT(dataset_facts_routes);
