/* verb_models.c: `hug models`, `hug datasets`, `hug spaces`: what the hub has. */
#include "cli/commands.h"
#include "cli/shown.h"

#include "base/file.h"
#include "base/progress.h"
#include "fetch/api.h"

enum { LISTED = 30 };

static const ShownField fields[] = {
    {"id"},
    {"author"},
    {"baseModels", "base_models"},
    {"cardData", "card_data"},
    {"childrenModelCount", "children_model_count"},
    {"citation"},
    {"config"},
    {"createdAt", "created_at"},
    {"datasets"},
    {"description"},
    {"disabled"},
    {"downloads"},
    {"downloadsAllTime", "downloads_all_time"},
    {"evalResults", "eval_results"},
    {"gated"},
    {"gguf"},
    {"host"},
    {"inference"},
    {"lastModified", "last_modified"},
    {"library_name"},
    {"likes"},
    {"mainSize", "main_size"},
    {"mask_token"},
    {"model-index", "model_index"},
    {"models"},
    {"paperswithcode_id"},
    {"pipeline_tag"},
    {"private"},
    {"region"},
    {"resourceGroup", "resource_group"},
    {"runtime"},
    {"safetensors"},
    {"sdk"},
    {"securityRepoStatus", "security_repo_status"},
    {"sha"},
    {"siblings"},
    {"spaces"},
    {"subdomain"},
    {"tags"},
    {"transformersInfo", "transformers_info"},
    {"trendingScore", "trending_score"},
    {"usedStorage", "used_storage"},
    {"widgetData", "widget_data"},
};

/* ---- Lists of repositories ---- */

static const char *sort_key(const char *sort)
{
    static const char *const names[][2] = {{"last_modified", "lastModified"},
                                           {"created_at", "createdAt"},
                                           {"trending_score", "trendingScore"}};
    for (size_t i = 0; sort && i < COUNT(names); i++)
        if (strcmp(sort, names[i][0]) == 0)
            return names[i][1];
    return sort;
}

/* "?expand=a&expand=b" of "a,b" */
static char *add_expand(Ask *ask, char *path)
{
    Str rest = str_of(ask->expand), word;
    while (ask->expand && str_split(&rest, ',', &word))
        if (str_trim(word).len)
            path = api_query(ask->a, path, "expand", arena_cstr(ask->a, str_trim(word)));
    return path;
}

static char *list_path(Ask *ask, const char *plural)
{
    char *path = arena_cstr(ask->a, str_of(plural));
    for (int i = 0; i < ask->filters.n; i++)
        path = api_query(ask->a, path, "filter", ask->filters.items[i]);
    for (int i = 0; i < ask->apps.n; i++)
        path = api_query(ask->a, path, "apps", ask->apps.items[i]);
    path = api_query(ask->a, path, "author", ask->author);
    path = api_query(ask->a, path, "search", ask->search);
    path = api_query(ask->a, path, "pipeline_tag", ask->pipeline_tag);
    path = api_query(ask->a, path, "num_parameters", ask->parameters);
    path = api_query(ask->a, path, "sort", sort_key(ask->sort));
    if (ask->gated_only != SWITCH_UNSAID)
        path = api_query(ask->a, path, "gated", ask->gated_only == SWITCH_YES ? "true" : "false");
    int64_t limit = ask->limit < 0 ? LISTED : ask->limit;
    path = api_query(ask->a, path, "limit", arena_printf(ask->a, "%lld", (long long)limit));
    return add_expand(ask, path);
}

static bool list_repos(Ask *ask, const char *plural, Error *err)
{
    int64_t limit = ask->limit < 0 ? LISTED : ask->limit;
    AUTO(json_decref)
    json_t *all = api_list(ask->token, list_path(ask, plural), limit, err);
    if (!all)
        return false;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *repo;
    json_array_foreach(all, i, repo)
        json_array_append_new(rows, shown(repo, fields, COUNT(fields)));
    // A table for people has what fits; --format json has the rest.
    output_table(&ask->out, rows,
                 ask->expand || ask->out.format != OUTPUT_HUMAN
                     ? NULL
                     : "id created_at downloads likes private",
                 "id");
    return true;
}

/* ---- Lists of files ---- */

static void print_size(const Ask *ask, const json_t *entry)
{
    char size[SIZE_TEXT];
    int64_t bytes = json_int(entry, "size", 0);
    if (str_eq(json_str(entry, "type"), S("directory")))
        printf("%12s", "");
    else if (ask->human_readable) {
        size_format(bytes, size);
        printf("%12s", size);
    } else
        printf("%12lld", (long long)bytes);
}

static void print_flat(const Ask *ask, const json_t *entries)
{
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        Str date = json_str(json_object_get(entry, "lastCommit"), "date");
        const char *slash = str_eq(json_str(entry, "type"), S("directory")) ? "/" : "";
        if (ask->out.format != OUTPUT_QUIET) {
            print_size(ask, entry);
            printf("  %.*s %.*s  ", STR(str_slice(date, 0, 10)), STR(str_slice(date, 11, 19)));
        }
        printf("%s%s\n", json_text(entry, "path", ""), slash);
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(json_text(*(json_t *const *)a, "path", ""),
                  json_text(*(json_t *const *)b, "path", ""));
}

/* Is there another entry in the same folder behind entries[i]? */
static bool has_sibling(json_t **entries, size_t n, size_t i, Str folder)
{
    for (size_t k = i + 1; k < n; k++) {
        Str path = json_str(entries[k], "path");
        if (folder.len && !(str_starts(path, folder) && path.ptr[folder.len] == '/'))
            return false;
        if (str_eq(path_parent(path), folder))
            return true;
    }
    return false;
}

static void print_tree(const Ask *ask, const json_t *all)
{
    size_t n = json_array_size(all);
    json_t **entries = NEW_ARRAY(ask->a, json_t *, n + 1);
    for (size_t i = 0; i < n; i++)
        entries[i] = json_array_get(all, i);
    qsort(entries, n, sizeof *entries, by_path);
    for (size_t i = 0; i < n; i++) {
        Str path = json_str(entries[i], "path");
        if (ask->out.format != OUTPUT_QUIET) {
            print_size(ask, entries[i]);
            printf("  ");
        }
        for (size_t at = 0, slash; (slash = str_find_char(path, '/', at)) != SIZE_MAX;
             at = slash + 1)
            printf("%s", has_sibling(entries, n, i, path_parent(str_slice(path, 0, slash)))
                             ? "│   "
                             : "    ");
        printf("%s%.*s%s\n", has_sibling(entries, n, i, path_parent(path)) ? "├── " : "└── ",
               STR(path_name(path)),
               str_eq(json_str(entries[i], "type"), S("directory")) ? "/" : "");
    }
}

static json_t *entry_json(const json_t *entry)
{
    static const ShownField file[] = {{"path"},
                                      {"size"},
                                      {"oid", "blob_id"},
                                      {"xetHash", "xet_hash"}},
                            folder[] = {{"path"}, {"oid", "tree_id"}},
                            lfs[] = {{"size"}, {"oid", "sha256"}, {"pointerSize", "pointer_size"}},
                            commit[] = {{"id", "oid"}, {"title"}, {"date"}};
    bool is_file = str_eq(json_str(entry, "type"), S("file"));
    json_t *out = is_file ? shown(entry, file, COUNT(file)) : shown(entry, folder, COUNT(folder));
    const json_t *large = json_object_get(entry, "lfs"),
                 *last = json_object_get(entry, "lastCommit");
    if (json_is_object(large))
        json_object_set_new(out, "lfs", shown(large, lfs, COUNT(lfs)));
    if (json_is_object(last))
        json_object_set_new(out, "last_commit", shown(last, commit, COUNT(commit)));
    return out;
}

static bool list_files(Ask *ask, FetchKind kind, Error *err)
{
    const char *rev = ask->revision ? ask->revision : "main";
    char *path = api_repo_path(ask->a, ask->args[0], kind, ask->token, err,
                               "/tree/%s?expand=true&recursive=%s", url_segment(ask->a, rev),
                               ask->recursive ? "true" : "false");
    AUTO(json_decref) json_t *all = path ? api_list(ask->token, path, -1, err) : NULL;
    if (!all)
        return false;
    if (ask->tree && ask->out.format == OUTPUT_JSON)
        return fail(err, ERR_USAGE, "--tree is for people: not with --format json");
    if (ask->tree) {
        print_tree(ask, all);
        return true;
    }
    if (ask->out.format != OUTPUT_JSON) {
        print_flat(ask, all);
        return true;
    }
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *entry;
    json_array_foreach(all, i, entry) json_array_append_new(rows, entry_json(entry));
    output_table(&ask->out, rows, NULL, NULL);
    return true;
}

/* ---- One repository ---- */

static bool info(Ask *ask, FetchKind kind, Error *err)
{
    char *path = api_repo_path(ask->a, ask->args[0], kind, ask->token, err, "%s", "");
    if (path && ask->revision)
        path = arena_printf(ask->a, "%s/revision/%s", path, url_segment(ask->a, ask->revision));
    if (path)
        path = add_expand(ask, path);
    AUTO(json_decref) json_t *said = path ? api_call(ask->token, "GET", path, NULL, err) : NULL;
    if (!said)
        return false;
    AUTO(json_decref) json_t *known = shown(said, fields, COUNT(fields));
    output_object(&ask->out, known, "id");
    return true;
}

/* Where the text begins: behind the line that ends the YAML at the top. */
static size_t body_at(Str card)
{
    if (!str_starts(card, S("---\n")))
        return 0;
    size_t end = str_find(card, S("\n---\n"), 3);
    return end == SIZE_MAX ? 0 : end + 5;
}

static bool card(Ask *ask, FetchKind kind, Error *err)
{
    if (ask->metadata && ask->text)
        return fail(err, ERR_USAGE, "say --metadata or --text, not both");
    if (ask->metadata) {
        char *path = api_repo_path(ask->a, ask->args[0], kind, ask->token, err, "?expand=cardData");
        AUTO(json_decref) json_t *said = path ? api_call(ask->token, "GET", path, NULL, err) : NULL;
        if (!said)
            return false;
        json_t *data = json_object_get(said, "cardData");
        AUTO(json_decref) json_t *none = json_object();
        output_object(&ask->out, data ? data : none, NULL);
        return true;
    }
    AUTO_BUF text;
    buf_init(&text, 0);
    if (!api_file(&text, ask->args[0], kind, "README.md", ask->token, err))
        return fail_while(err, "the card of %s", ask->args[0]);
    Str said = buf_str(&text);
    if (ask->text)
        said = str_slice(said, body_at(said), said.len);
    output_text(&ask->out, "%.*s", STR(said));
    return true;
}

/* Models by what they have reached on a benchmark's dataset. */
static bool leaderboard(Ask *ask, Error *err)
{
    static const ShownField columns[] = {{"rank"}, {"modelId", "model_id"}, {"value"}, {"source"}};
    int64_t limit = ask->limit < 0 ? 20 : ask->limit;
    char *path =
        api_repo_path(ask->a, ask->args[0], FETCH_DATASET, ask->token, err, "/leaderboard");
    AUTO(json_decref) json_t *all = path ? api_list(ask->token, path, limit, err) : NULL;
    if (!all)
        return false;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(all, i, row)
        json_array_append_new(rows, shown(row, columns, COUNT(columns)));
    output_table(&ask->out, rows, "rank model_id value source", "model_id");
    return true;
}

#define KIND(name, kind)                                                                           \
    static bool name##_list(Ask *ask, Error *err)                                                  \
    {                                                                                              \
        return ask->n ? list_files(ask, kind, err) : list_repos(ask, #name, err);                  \
    }                                                                                              \
    static bool name##_info(Ask *ask, Error *err)                                                  \
    {                                                                                              \
        return info(ask, kind, err);                                                               \
    }                                                                                              \
    static bool name##_card(Ask *ask, Error *err)                                                  \
    {                                                                                              \
        return card(ask, kind, err);                                                               \
    }
KIND(models, FETCH_MODEL)
KIND(datasets, FETCH_DATASET)
KIND(spaces, FETCH_SPACE)

#define LIST_HELP "the hub's, or the files of one"
#define LIST_TAKES                                                                                 \
    "search author filter sort limit expand human-readable tree recursive revision token"

static const Command models[] = {
    {"list|ls", "[REPO]", LIST_HELP, 0, 1,
     LIST_TAKES " pipeline-tag gated-only apps num-parameters", models_list},
    {"info", "REPO", "what the hub knows of one", 1, 1, "revision expand token", models_info},
    {"card", "REPO", "its README", 1, 1, "metadata text token", models_card},
};

static const Command datasets[] = {
    {"list|ls", "[REPO]", LIST_HELP, 0, 1, LIST_TAKES, datasets_list},
    {"info", "REPO", "what the hub knows of one", 1, 1, "revision expand token", datasets_info},
    {"card", "REPO", "its README", 1, 1, "metadata text token", datasets_card},
    {"leaderboard", "REPO", "models by their results on a benchmark", 1, 1, "limit token",
     leaderboard},
};

static const Command spaces[] = {
    {"list|ls", "[REPO]", LIST_HELP, 0, 1, LIST_TAKES, spaces_list},
    {"info", "REPO", "what the hub knows of one", 1, 1, "revision expand token", spaces_info},
    {"card", "REPO", "its README", 1, 1, "metadata text token", spaces_card},
};

const Verb verb_models = {
    .name = "models",
    .synopsis = "list | info | card",
    .summary = "find models on the hub, and what is in them",
    COMMANDS(models),
};

const Verb verb_datasets = {
    .name = "datasets",
    .synopsis = "list | info | card",
    .summary = "find datasets on the hub, and what is in them",
    COMMANDS(datasets),
};

const Verb verb_spaces = {
    .name = "spaces",
    .synopsis = "list | info | card",
    .summary = "find Spaces on the hub, and what is in them",
    COMMANDS(spaces),
};
