/* Configs, splits and files of datasets as the library finds them.
 * Golden: tests/golden/layouts.json, made by tools/golden/layouts.py. */
#include "base/test.h"
#include "hub/dataset_layout.h"

static json_t *layout_json(const DatasetLayout *layout)
{
    json_t *configs = json_object();
    const DatasetConfig *chosen = dataset_config(layout, S(""));
    for (size_t i = 0; i < layout->n_configs; i++) {
        const DatasetConfig *config = &layout->configs[i];
        json_t *splits = json_object();
        for (size_t k = 0; k < config->n_splits; k++) {
            json_t *files = json_array();
            for (size_t n = 0; n < config->splits[k].n_files; n++)
                json_array_append_new(files, json_from_str(config->splits[k].files[n]->path));
            json_object_setn_new(splits, config->splits[k].name.ptr, config->splits[k].name.len,
                                 files);
        }
        json_object_setn_new(configs, config->name.ptr, config->name.len, splits);
    }
    char separator[2] = {layout->separator, 0};
    bool csv = str_eq(layout->module, S("csv"));
    return json_pack("{s:o, s:o, s:o, s:o}", "module", json_from_str(layout->module), "separator",
                     csv ? json_string(separator) : json_null(), "default",
                     chosen ? json_from_str(chosen->name) : json_null(), "configs", configs);
}

static void check_row(size_t number, const json_t *row)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    const json_t *paths = json_object_get(row, "files");
    size_t n = json_array_size(paths);
    RepoEntry *files = NEW_ARRAY(a, RepoEntry, n);
    for (size_t i = 0; i < n; i++)
        files[i].path = str_of(json_string_value(json_array_get(paths, i)));
    Str yaml = json_str(row, "card");
    AUTO(json_decref) json_t *card = yaml.len ? yaml_parse(yaml, &err) : NULL;
    DatasetLayout *layout = dataset_layout(a, card, files, n);
    AUTO(json_decref) json_t *got = layout_json(layout), *want = json_deep_copy(row);
    json_object_del(want, "files");
    json_object_del(want, "card");
    bool refused = json_object_get(row, "refused") != NULL;
    if (refused ? layout->n_configs == 0 && layout->problem.len : json_equal(got, want))
        return;
    char *x = json_dumps(got, 0), *y = json_dumps(row, 0);
    fail_msg("row %zu: %.1500s (%.*s)\nis not %.1500s", number, x, STR(layout->problem), y);
}

static void test_configs_and_splits_are_the_librarys(void **state)
{
    Error err = {0};
    char path[4096];
    const char *root = getenv("HUG_SOURCE_ROOT"), *other = getenv("LAYOUTS");
    snprintf(path, sizeof path, "%s/tests/golden/layouts.json", root ? root : ".");
    AUTO(json_decref) json_t *rows = json_read_file(other ? other : path, 64 << 20, &err);
    assert_ok(rows);
    for (size_t i = 0; i < json_array_size(rows); i++)
        check_row(i, json_array_get(rows, i));
    assert_true(json_array_size(rows) > 100);
}

int main(void)
{
    return RUN(test_configs_and_splits_are_the_librarys);
}
