/* croissant.c: a dataset's description in Croissant 1.0 (JSON-LD), by which engines for datasets
 * find and load it: its files as they lie, and the columns of each config. Source: the Croissant
 * format specification, version 1.0 (MLCommons). */
#include "api/dataset_viewer.h"

#include "base/clock.h"

/* ---- Words ---- */

static json_t *context_json(void)
{
    // Each is a word of the vocabulary under its own name.
    static const char *const words[] = {"citeAs",
                                        "column",
                                        "dataBiases",
                                        "dataCollection",
                                        "extract",
                                        "field",
                                        "fileObject",
                                        "fileProperty",
                                        "fileSet",
                                        "format",
                                        "includes",
                                        "isLiveDataset",
                                        "jsonPath",
                                        "key",
                                        "md5",
                                        "parentField",
                                        "path",
                                        "recordSet",
                                        "references",
                                        "regex",
                                        "repeated",
                                        "replace",
                                        "separator",
                                        "source",
                                        "subField",
                                        "samplingRate",
                                        "equivalentProperty",
                                        "transform",
                                        "personalSensitiveInformation"};
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "@language", "en", "@vocab",
                            "https://schema.org/", "sc", "https://schema.org/", "cr",
                            "http://mlcommons.org/croissant/", "dct", "http://purl.org/dc/terms/",
                            "conformsTo", "dct:conformsTo");
    for (size_t i = 0; i < COUNT(words); i++)
        json_object_set_new(out, words[i], json_sprintf("cr:%s", words[i]));
    json_object_set_new(out, "rai", json_string("http://mlcommons.org/croissant/RAI/"));
    json_object_set_new(out, "examples",
                        json_pack("{s:s, s:s}", "@id", "cr:examples", "@type", "@json"));
    json_object_set_new(out, "data", json_pack("{s:s, s:s}", "@id", "cr:data", "@type", "@json"));
    json_object_set_new(out, "dataType",
                        json_pack("{s:s, s:s}", "@id", "cr:dataType", "@type", "@vocab"));
    return out;
}

static const char *encoding_of(Str module)
{
    static const struct {
        const char *module, *encoding;
    } rows[] = {{"parquet", "application/x-parquet"},
                {"csv", "text/csv"},
                {"json", "application/jsonlines"},
                {"text", "text/plain"}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_eq(module, str_of(rows[i].module)))
            return rows[i].encoding;
    return NULL;
}

/* NULL for a column that the vocabulary has no word for. */
static const char *data_type_of(const TableType *type)
{
    static const struct {
        const char *begins, *type;
    } rows[] = {{"int", "sc:Integer"},       {"uint", "sc:Integer"},   {"float", "sc:Float"},
                {"double", "sc:Float"},      {"bool", "sc:Boolean"},   {"string", "sc:Text"},
                {"large_string", "sc:Text"}, {"timestamp", "sc:Date"}, {"date", "sc:Date"}};
    for (size_t i = 0; type->kind == TYPE_VALUE && i < COUNT(rows); i++)
        if (str_starts(type->dtype, str_of(rows[i].begins)))
            return rows[i].type;
    return NULL;
}

/* ---- Columns ---- */

typedef struct FieldList {
    Arena *arena;
    const char *config, *files; // @ids
    json_t *fields;
    size_t skipped;
    bool done;
} FieldList;

static bool fields_add(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    FieldList *l = user;
    (void)rows;
    (void)err;
    for (size_t i = 0; i < type->n && !l->done; i++) {
        const char *data_type = data_type_of(&type->items[i]);
        if (!data_type) {
            l->skipped++;
            continue;
        }
        char *name = arena_cstr(l->arena, type->items[i].name);
        json_array_append_new(l->fields,
                              json_pack("{s:s, s:o, s:s, s:s, s:{s:{s:s}, s:{s:s}}}", "@type",
                                        "cr:Field", "@id", json_sprintf("%s/%s", l->config, name),
                                        "name", name, "dataType", data_type, "source", "fileSet",
                                        "@id", l->files, "extract", "column", name));
    }
    l->done = true;
    return true;
}

/* A config's record set; NULL where its rows cannot be read. */
static json_t *records_json(Request *r, const Viewed *v, const DatasetConfig *config,
                            const char *files)
{
    Arena *a = request_arena(r);
    FieldList list = {
        .arena = a, .config = arena_cstr(a, config->name), .files = files, .fields = json_array()};
    SplitRead read = {.layout = v->layout,
                      .config = config,
                      .split = &config->splits[0],
                      .brief = true,
                      .n = 1,
                      .each = fields_add,
                      .user = &list};
    if (!config->n_splits || !split_read(api_of(r)->hub, &v->repo, v->info->sha, &read, NULL)) {
        json_decref(list.fields);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "@type", "cr:RecordSet", "@id", list.config,
                     "name", list.config, "description",
                     json_sprintf("%zu splits; %zu columns are of kinds that are not described",
                                  config->n_splits, list.skipped),
                     "field", list.fields);
}

/* ---- Files ---- */

static json_t *file_set_json(const DatasetConfig *config, const char *id, const char *encoding)
{
    json_t *includes = json_array();
    for (size_t i = 0; i < config->n_splits; i++)
        for (size_t k = 0; k < config->splits[i].n_files; k++)
            json_array_append_new(includes, json_from_str(config->splits[i].files[k]->path));
    return json_pack("{s:s, s:s, s:s, s:{s:s}, s:s, s:o}", "@type", "cr:FileSet", "@id", id, "name",
                     id, "containedIn", "@id", "repo", "encodingFormat", encoding, "includes",
                     includes);
}

static json_t *repo_json_of(Request *r, const Viewed *v)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:s, s:o}", "@type", "cr:FileObject", "@id", "repo", "name",
        "repo", "description", "The git repository", "contentUrl",
        json_sprintf("%s/datasets/%s", api_url(r), arena_cstr(request_arena(r), v->repo.full)),
        "encodingFormat", "git+https", "sha256", json_from_str(v->info->sha));
}

static void set_card(json_t *out, const Viewed *v)
{
    json_t *words = json_array();
    for (size_t i = 0; i < v->info->n_tags; i++)
        json_array_append_new(words, json_from_str(v->info->tags[i]));
    json_object_set_new(out, "keywords", words);
    char published[ISO8601_SIZE];
    iso8601_format(v->repo.created_ns, published);
    json_object_set_new(out, "datePublished", json_string(published));
    Str license = json_str(v->info->card, "license");
    if (license.len)
        json_object_set_new(out, "license", json_from_str(license));
}

static void croissant(Request *r)
{
    Viewed v;
    Arena *a = request_arena(r);
    if (!viewed_dataset(r, ACCESS_FILES, &v))
        return;
    const char *id = arena_cstr(a, v.repo.full), *encoding = encoding_of(v.layout->module);
    Str pretty = json_str(v.info->card, "pretty_name");
    json_t *distribution = json_array(), *records = json_array();
    json_array_append_new(distribution, repo_json_of(r, &v));
    for (size_t i = 0; encoding && i < v.layout->n_configs; i++) {
        const DatasetConfig *config = &v.layout->configs[i];
        const char *files = arena_printf(a, "files-of-%.*s", STR(config->name));
        json_t *set = records_json(r, &v, config, files);
        if (!set)
            continue;
        json_array_append_new(distribution, file_set_json(config, files, encoding));
        json_array_append_new(records, set);
    }
    json_t *out =
        json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "@context", context_json(),
                  "@type", "sc:Dataset", "conformsTo", "http://mlcommons.org/croissant/1.0", "name",
                  json_from_str(v.repo.name), "description",
                  pretty.len ? json_from_str(pretty) : json_sprintf("The dataset %s", id), "url",
                  json_sprintf("%s/datasets/%s", api_url(r), id), "version", "1.0.0",
                  "distribution", distribution, "recordSet", records);
    set_card(out, &v);
    api_reply(r, out);
}

const Route croissant_routes[] = {
    {"GET", "/api/datasets-server/croissant", croissant, .summary = "A dataset in Croissant"},
    {"GET", "/api/datasets/{owner}/{name}/croissant", croissant,
     .summary = "A dataset in Croissant"},
};
const size_t croissant_routes_n = COUNT(croissant_routes);
