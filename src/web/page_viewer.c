/* page_viewer.c: the first rows of a dataset, and any others, a hundred a page. Which files they
 * are in is dataset_layout's to say, how they are read dataset_rows's; only what a page needs is
 * read. Pictures, sounds and films are fetched by the browser when they come into sight.
 */
#include "web/sheet.h"
#include "web/web_internal.h"

#include "base/encode.h"

/* ---- Rows ---- */

typedef struct RowsPage {
    Request *request;
    const Repo *repo;
    Str sha;
    Sheet sheet;
    SplitRead read;
} RowsPage;

/* Where the browser gets a file, or what lies in a cell. */
static const char *media_url(void *user, const Media *media, Str column, int64_t row)
{
    const RowsPage *p = user;
    Arena *a = request_arena(p->request);
    if (media->path.len)
        return arena_cstr(a, rev_path(a, p->repo, "resolve", p->sha, media->path));
    AUTO_BUF url;
    buf_init(&url, 0);
    buf_add(&url, S("/api/datasets-server/cell?dataset="));
    url_encode(&url, p->repo->full, "/");
    buf_add(&url, S("&config="));
    url_encode(&url, p->read.config->name, "");
    buf_add(&url, S("&split="));
    url_encode(&url, p->read.split->name, "");
    buf_printf(&url, "&row=%lld&column=", (long long)row);
    url_encode(&url, column, "");
    return arena_cstr(a, buf_str(&url));
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
static const char *rows_problem(RowsPage *p, const DatasetLayout *layout,
                                const DatasetConfig *config, const DatasetSplit *split)
{
    Arena *a = request_arena(p->request);
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
    p->read.layout = layout;
    p->read.config = config;
    p->read.split = split;
    p->read.n = DATASET_PAGE;
    p->read.each = sheet_add;
    p->read.brief = true;
    p->read.user = &p->sheet;
    return split_read(hub_of(p->request), p->repo, p->sha, &p->read, &err)
               ? ""
               : arena_printf(a, "No rows can be shown: %s", err.text);
}

static void show(Request *r, const Repo *repo, const RepoInfo *info, const DatasetLayout *layout,
                 const DatasetConfig *config, const DatasetSplit *split)
{
    Arena *a = request_arena(r);
    Str offset = request_query_get(r, "offset");
    RowsPage s = {.request = r, .repo = repo};
    if (info)
        s.sha = info->sha;
    if (offset.len && !str_to_int(offset, 0, INT64_MAX / 2, &s.read.from))
        return reply_failure(r, 400, "offset: a number of rows");
    int64_t from = s.read.from;
    s.sheet = sheet_of(from);
    s.sheet.url = media_url;
    s.sheet.user = &s;
    const char *problem = rows_problem(&s, layout, config, split);
    int64_t shown = (int64_t)json_array_size(s.sheet.rows);
    json_t *page = page_new(r, arena_printf(a, "%.*s: rows", STR(repo->full)));
    page_set_repo(r, page, repo, "viewer", S("main"));
    set(page, "choices", choices_json(r, repo, layout, config, split));
    set(page, "columns", s.sheet.columns);
    set(page, "rows", s.sheet.rows);
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
