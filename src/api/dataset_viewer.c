/* dataset_viewer.c: the dataset viewer's calls, below /api/datasets-server, in the shapes of the
 * Hub's own: which splits there are, and rows of one. */
#include "api/api_internal.h"
#include "hub/dataset_rows.h"

/* ?dataset=, at its default branch. False: it has answered. */
static bool found(Request *r, Access need, Repo *repo, const RepoInfo **info,
                  const DatasetLayout **layout)
{
    Error err = {0};
    Str name = request_query_get(r, "dataset");
    if (!name.len) {
        reply_failure(r, 422, "dataset: the name of a dataset is wanted");
        return false;
    }
    if (!repo_find(api_of(r)->hub, request_arena(r), api_viewer(r), REPO_DATASET, name, need, repo,
                   &err) ||
        (need > ACCESS_READ && !err.code && repo->gate && !api_gate(r, repo)) ||
        !repo_info(api_of(r)->hub, request_arena(r), repo, (Str){0}, info, &err)) {
        if (err.code)
            reply_error(r, &err);
        return false;
    }
    *layout = dataset_layout(request_arena(r), (*info)->card, (*info)->files, (*info)->n_files);
    reply_header(r, "X-Revision", (*info)->sha);
    return true;
}

static json_t *split_json(const Repo *repo, const DatasetConfig *config, const DatasetSplit *split)
{
    return json_pack("{s:o, s:o, s:o}", "dataset", json_from_str(repo->full), "config",
                     json_from_str(config->name), "split", json_from_str(split->name));
}

static void splits(Request *r)
{
    Repo repo;
    const RepoInfo *info;
    const DatasetLayout *layout;
    if (!found(r, ACCESS_READ, &repo, &info, &layout))
        return;
    if (!layout->n_configs)
        return reply_failure(r, 422, arena_cstr(request_arena(r), layout->problem));
    json_t *list = json_array();
    for (size_t i = 0; i < layout->n_configs; i++)
        for (size_t k = 0; k < layout->configs[i].n_splits; k++)
            json_array_append_new(
                list, split_json(&repo, &layout->configs[i], &layout->configs[i].splits[k]));
    api_reply(r, json_pack("{s:o, s:[], s:[]}", "splits", list, "pending", "failed"));
}

/* {column: type} as a list with places. */
static json_t *features_json(const json_t *features)
{
    const char *name;
    json_t *type, *out = json_array();
    json_object_foreach((json_t *)(uintptr_t)features, name, type)
    {
        json_array_append_new(out,
                              json_pack("{s:i, s:s, s:O}", "feature_idx", (int)json_array_size(out),
                                        "name", name, "type", type));
    }
    return out;
}

static json_t *rows_json(const DatasetRows *rows, int64_t from)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(rows->rows); i++)
        json_array_append_new(out, json_pack("{s:I, s:O, s:[]}", "row_idx",
                                             (json_int_t)(from + (int64_t)i), "row",
                                             json_array_get(rows->rows, i), "truncated_cells"));
    return out;
}

static void rows(Request *r)
{
    Error err = {0};
    Repo repo;
    const RepoInfo *info;
    const DatasetLayout *layout;
    DatasetRows page;
    int64_t from = 0, n = DATASET_PAGE;
    Str offset = request_query_get(r, "offset"), length = request_query_get(r, "length");
    if ((offset.len && !str_to_int(offset, 0, INT64_MAX / 2, &from)) ||
        (length.len && !str_to_int(length, 0, DATASET_PAGE, &n)))
        return reply_failure(r, 422, "offset: from 0; length: 0 to 100");
    if (!found(r, ACCESS_FILES, &repo, &info, &layout))
        return;
    const DatasetConfig *config = dataset_config(layout, request_query_get(r, "config"));
    const DatasetSplit *split =
        config ? dataset_split(config, request_query_get(r, "split")) : NULL;
    if (!split)
        return reply_failure(r, 404,
                             arena_printf(request_arena(r),
                                          "there is no such config or split%s%.*s",
                                          layout->problem.len ? ": " : "", STR(layout->problem)));
    if (!dataset_rows(api_of(r)->hub, &repo, info->sha, layout, split, from, n, &page, &err))
        return api_unprocessable(r, &err);
    api_reply(r, json_pack("{s:o, s:o, s:I, s:i, s:b}", "features", features_json(page.features),
                           "rows", rows_json(&page, from), "num_rows_total", (json_int_t)page.total,
                           "num_rows_per_page", DATASET_PAGE, "partial", 0));
    dataset_rows_done(&page);
}

const Route dataset_viewer_routes[] = {
    {"GET", "/api/datasets-server/splits", splits, .summary = "Configs and splits of a dataset"},
    {"GET", "/api/datasets-server/rows", rows, .summary = "Rows of a split"},
};
const size_t dataset_viewer_routes_n = COUNT(dataset_viewer_routes);
