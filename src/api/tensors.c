/* tensors.c: what tensors a model's weights hold, from their headers: all shards in one answer, as
 * huggingface_hub asks for them, and a list with pages and a search. */
#include "hub/tensors.h"
#include "api/api_internal.h"

enum { DEFAULT_PAGE = 1000, MAX_PAGE = 10000 };

/* False: it has answered. */
static bool read_tensors(Request *r, Str rev, Str path, Repo *repo, const Tensors **out)
{
    Error err = {0};
    Arena *a = request_arena(r);
    const RepoInfo *info;
    if (!api_repo(r, ACCESS_READ, repo) || !api_gate(r, repo))
        return false;
    if (!repo_info(api_of(r)->hub, a, repo, rev, &info, &err)) {
        reply_error(r, &err);
        return false;
    }
    reply_header(r, "X-Repo-Commit", info->sha);
    if (!path.len && !(path = tensors_of_model(info)).len) {
        reply_failure(r, 404, "this revision has no weights in safetensors or GGUF files");
        return false;
    }
    if (!tensors_read(api_of(r)->hub, a, repo, info->sha, path, out, &err)) {
        api_unprocessable(r, &err);
        return false;
    }
    return true;
}

static json_t *dims_json(const TensorInfo *t)
{
    json_t *out = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(out, json_integer(t->dims[i]));
    return out;
}

static json_t *json_or_empty(const json_t *value)
{
    return value ? json_incref((json_t *)(uintptr_t)value) : json_object();
}

/* {"index": {"metadata"}, "headers": {file: its header}}: the index's weight_map says nothing that
 * the headers do not. */
static void sharded(Request *r)
{
    Repo repo;
    const Tensors *t;
    if (!read_tensors(r, (Str){0}, request_param(r, "path"), &repo, &t))
        return;
    if (!str_eq(t->format, S("safetensors")))
        return reply_failure(r, 422, "only safetensors files have such headers");
    json_t *headers = json_object();
    json_t **files = NEW_ARRAY(request_arena(r), json_t *, t->n_files);
    for (size_t i = 0; i < t->n_files; i++) {
        files[i] = json_object();
        if (t->files[i].metadata)
            json_object_set_new(files[i], "__metadata__", json_or_empty(t->files[i].metadata));
        json_object_set_new(headers, arena_cstr(request_arena(r), t->files[i].path), files[i]);
    }
    for (size_t i = 0; i < t->n; i++) {
        const TensorInfo *x = &t->items[i];
        json_object_set_new(files[x->file], x->name.ptr,
                            json_pack("{s:o, s:o, s:[I, I]}", "dtype", json_from_str(x->dtype),
                                      "shape", dims_json(x), "data_offsets", (json_int_t)x->offset,
                                      (json_int_t)(x->offset + x->bytes)));
    }
    api_reply(r, json_pack("{s:{s:o}, s:o}", "index", "metadata", json_or_empty(t->index),
                           "headers", headers));
}

static json_t *tensor_json(const Tensors *t, const TensorInfo *x)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o}", "name", json_from_str(x->name), "dtype",
                     json_from_str(x->dtype), "shape", dims_json(x), "parameters", (json_int_t)x->n,
                     "bytes", (json_int_t)x->bytes, "file", json_from_str(t->files[x->file].path));
}

static json_t *counts_json(const Tensors *t)
{
    json_t *out = json_object();
    for (size_t i = 0; i < t->n_types; i++)
        json_object_set_new(out, t->types[i].dtype.ptr, json_integer(t->types[i].n));
    return out;
}

static json_t *files_json(const Tensors *t)
{
    json_t *out = json_array();
    for (size_t i = 0; i < t->n_files; i++)
        json_array_append_new(out, json_pack("{s:o, s:o}", "path", json_from_str(t->files[i].path),
                                             "metadata", json_or_empty(t->files[i].metadata)));
    return out;
}

static void list(Request *r)
{
    Repo repo;
    const Tensors *t;
    int64_t limit, from = 0, found = 0, next = 0;
    Str cursor = request_query_get(r, "cursor"), search = request_query_get(r, "search");
    if (!api_limit(r, MAX_PAGE, DEFAULT_PAGE, &limit))
        return;
    if (cursor.len && !str_to_int(cursor, 0, INT32_MAX, &from))
        return reply_failure(r, 400, "cursor: as the answer before gave it");
    if (!read_tensors(r, request_param(r, "rev"), request_param(r, "path"), &repo, &t))
        return;
    json_t *items = json_array();
    for (size_t i = 0; i < t->n; i++) {
        if (search.len && str_find(t->items[i].name, search, 0) == SIZE_MAX)
            continue;
        if (found >= from && found < from + limit)
            json_array_append_new(items, tensor_json(t, &t->items[i]));
        else if (found >= from + limit)
            next = from + limit;
        found++;
    }
    if (next)
        api_link_next(r, "cursor", str_of(arena_printf(request_arena(r), "%lld", (long long)next)));
    reply_headerf(r, "X-Total-Count", "%lld", (long long)found);
    api_reply(r, json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "format", json_from_str(t->format),
                           "total", (json_int_t)t->total, "bytes", (json_int_t)t->bytes,
                           "parameters", counts_json(t), "files", files_json(t), "tensors", items));
}

const Route tensor_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}/safetensors-metadata/{path...}", sharded,
     .summary = "Headers of all files of a safetensors index"},
    {"GET", "/api/{kind}/{owner}/{name}/tensors/{rev}/{path...}", list,
     .summary = "Tensors of a file, or of a model's weights"},
};
const size_t tensor_routes_n = COUNT(tensor_routes);
