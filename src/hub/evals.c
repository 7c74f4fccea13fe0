/* evals.c: results of evaluations that a model keeps in `.eval_results/NAME.yaml`, each a list of
 * {dataset: {id, task_id}, value, ...}. A file that is wrong is listed with what is wrong, and
 * costs nothing else. */
#include "hub/evals.h"

#include "hub/hub_internal.h"

#include <math.h>

enum { MAX_FILES = 50, MAX_FILE = 256 << 10, MAX_ENTRIES = 500 };

/* ---- Reading ---- */

static const char *entry_problem(const json_t *entry)
{
    const json_t *value = json_object_get(entry, "value");
    if (!json_is_object(entry))
        return "each entry must be a mapping";
    if (!json_str(json_object_get(entry, "dataset"), "id").len)
        return "dataset.id is missing";
    if (!json_str(json_object_get(entry, "dataset"), "task_id").len)
        return "dataset.task_id is missing";
    if (!json_is_number(value) && !json_is_string(value))
        return "value is missing";
    return NULL;
}

static void add_problem(json_t *out, Str file, const char *problem)
{
    json_array_append_new(
        out, json_pack("{s:o, s:s}", "filename", json_from_str(file), "error", problem));
}

static void add_file(json_t *out, Str path, json_t *list, void (*each)(void *user, Str dataset),
                     void *user)
{
    for (size_t i = 0; i < json_array_size(list) && json_array_size(out) < MAX_ENTRIES; i++) {
        json_t *entry = json_array_get(list, i);
        const char *problem = entry_problem(entry);
        if (problem) {
            add_problem(out, path, problem);
            continue;
        }
        json_array_append_new(out, json_pack("{s:o, s:b, s:O}", "filename", json_from_str(path),
                                             "verified", 0, "data", entry));
        each(user, json_str(json_object_get(entry, "dataset"), "id"));
    }
}

void evals_collect(GitRepo *git, Snapshot *s, void (*each)(void *user, Str dataset), void *user)
{
    AUTO(json_decref) json_t *out = json_array();
    size_t n = 0;
    for (size_t i = 0; i < s->info.n_files && n < MAX_FILES; i++) {
        const RepoEntry *e = &s->info.files[i];
        Error err = {0};
        if (!str_starts(e->path, S(".eval_results/")) ||
            !(str_ends(e->path, S(".yaml")) || str_ends(e->path, S(".yml"))) || e->is_lfs)
            continue;
        n++;
        AUTO_BUF text;
        buf_init(&text, MAX_FILE);
        AUTO(json_decref) json_t *list = NULL;
        if (git_blob_read(git, e->oid.ptr, &text, &err))
            list = yaml_parse(buf_str(&text), &err);
        if (err.code)
            add_problem(out, e->path, err.text);
        else if (!json_is_array(list))
            add_problem(out, e->path, "a list of results was expected");
        else
            add_file(out, e->path, list, each, user);
    }
    if (!json_array_size(out))
        return;
    json_t *kept = TAKE(out);
    arena_defer(s->arena, (void (*)(void *))json_decref, kept);
    s->info.eval_results = kept;
}

/* ---- Leaderboards ---- */

static bool is_better(const EvalScore *a, const EvalScore *b)
{
    return a->value > b->value;
}

/* The best of a model's results on this dataset. */
static bool best_of(const RepoInfo *info, Str dataset, Str task, EvalScore *out)
{
    bool found = false;
    for (size_t i = 0; i < json_array_size(info->eval_results); i++) {
        const json_t *item = json_array_get(info->eval_results, i);
        const json_t *data = json_object_get(item, "data");
        const json_t *set = json_object_get(data, "dataset");
        EvalScore score = {.value = json_num(data, "value", NAN), .entry = data};
        if (!str_eq_nocase(json_str(set, "id"), dataset) || isnan(score.value) ||
            (task.len && !str_eq(json_str(set, "task_id"), task)))
            continue;
        score.file = json_str(item, "filename");
        if (!found || is_better(&score, out))
            *out = score;
        found = true;
    }
    return found;
}

static int by_value(const void *a, const void *b)
{
    const EvalScore *x = a, *y = b;
    return is_better(x, y) ? -1 : is_better(y, x) ? 1 : str_cmp(x->repo.full, y->repo.full);
}

bool eval_leaderboard(Hub *hub, Arena *a, const Viewer *viewer, const Repo *dataset, Str task,
                      bool bases_only, EvalScore **out, size_t *n, Error *err)
{
    Str link = str_of(arena_printf(a, "eval:%.*s", STR(dataset->full)));
    RepoQuery query = {.kind = REPO_MODEL, .tags = &link, .n_tags = 1, .limit = MAX_EVAL_MODELS};
    RepoPage page;
    if (!repo_list(hub, a, viewer, &query, &page, err))
        return false;
    EvalScore *list = NEW_ARRAY(a, EvalScore, page.n);
    size_t found = 0;
    for (size_t i = 0; i < page.n; i++) {
        const RepoInfo *info;
        const Repo *repo = &page.items[i].repo;
        if ((bases_only && json_object_get(page.items[i].card, "base_model")) ||
            !repo_info(hub, a, repo, S(""), &info, NULL) ||
            !best_of(info, dataset->full, task, &list[found]))
            continue;
        list[found++].repo = *repo;
    }
    qsort(list, found, sizeof *list, by_value);
    *out = list;
    *n = found;
    return true;
}
