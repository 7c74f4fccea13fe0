/* runnable.c: see runnable.h. */
#include "api/runnable.h"

#include "tasks/tasks.h"

/* Weights that the engine reads, by the tags that files give a model. */
static const Str weights[] = {{"safetensors", 11}, {"gguf", 4}};

bool is_runnable(const Api *api, Str task, const Str *tags, size_t n_tags)
{
    if (!api->pool || !task.len || !task_find(task))
        return false;
    for (size_t i = 0; i < n_tags; i++)
        for (size_t k = 0; k < COUNT(weights); k++)
            if (str_eq(tags[i], weights[k]))
                return true;
    return false;
}

/* Programs that people run models with, and what a model must be for them: a tag, and for some a
 * task. */
static const struct {
    const char *app, *tag;
    const char *tasks[3];
} apps[] = {
    {"llama.cpp", "gguf", {NULL}},
    {"ollama", "gguf", {NULL}},
    {"lmstudio", "gguf", {NULL}},
    {"lm-studio", "gguf", {NULL}},
    {"jan", "gguf", {NULL}},
    {"koboldcpp", "gguf", {NULL}},
    {"node-llama-cpp", "gguf", {NULL}},
    {"gpt4all", "gguf", {NULL}},
    {"docker-model-runner", "gguf", {NULL}},
    {"hug", "safetensors", {"text-generation"}},
    {"vllm", "safetensors", {"text-generation", "image-text-to-text"}},
    {"sglang", "safetensors", {"text-generation", "image-text-to-text"}},
    {"tgi", "safetensors", {"text-generation", "image-text-to-text"}},
    {"text-generation-inference", "safetensors", {"text-generation", "image-text-to-text"}},
    {"mlx-lm", "mlx", {"text-generation"}},
    {"draw-things", "diffusers", {"text-to-image"}},
    {"diffusionbee", "diffusers", {"text-to-image"}},
    {"invoke", "diffusers", {"text-to-image"}},
};

static bool add_app(Request *r, RepoQuery *query, Str *tags, size_t max, Str name)
{
    size_t i = 0;
    while (i < COUNT(apps) && !str_eq_nocase(name, str_of(apps[i].app)))
        i++;
    if (i == COUNT(apps) || query->n_tags == max) {
        reply_failure(r, 400, "apps: no such app is known here");
        return false;
    }
    tags[query->n_tags++] = str_of(apps[i].tag);
    if (!apps[i].tasks[0])
        return true;
    Str *tasks_of = NEW_ARRAY(request_arena(r), Str, COUNT(apps[i].tasks));
    size_t n = 0;
    for (; n < COUNT(apps[i].tasks) && apps[i].tasks[n]; n++)
        tasks_of[n] = str_of(apps[i].tasks[n]);
    query->any_tasks = tasks_of;
    query->n_any_tasks = n;
    return true;
}

/* Models with a task of ours and weights that we read. */
static void add_warm(Request *r, RepoQuery *query)
{
    size_t n = 0;
    while (tasks[n])
        n++;
    Str *names = NEW_ARRAY(request_arena(r), Str, n);
    for (size_t i = 0; i < n; i++)
        names[i] = str_of(tasks[i]->name);
    query->any_tasks = names;
    query->n_any_tasks = n;
    query->any_tags = weights;
    query->n_any_tags = COUNT(weights);
}

static void add_none(RepoQuery *query)
{
    static const Str never[] = {{"\n", 1}}; // no tag holds a new line
    query->any_tags = never;
    query->n_any_tags = 1;
}

bool query_runnable(Request *r, RepoQuery *query, Str *tags, size_t max)
{
    if (query->kind != REPO_MODEL)
        return true;
    const Params *asked = request_query(r);
    for (size_t i = 0; i < asked->n; i++) {
        Str name = asked->items[i].name, value = asked->items[i].value;
        bool inference = str_eq(name, S("inference"));
        if (str_eq(name, S("apps")) && value.len && !add_app(r, query, tags, max, value))
            return false;
        if (!value.len || (!inference && !str_eq(name, S("inference_provider"))))
            continue;
        bool ours = inference ? str_eq(value, S("warm"))
                              : str_eq(value, S("all")) || str_eq(value, S("hug"));
        if (ours && api_of(r)->pool)
            add_warm(r, query);
        else
            add_none(query);
    }
    return true;
}
