/* verb_train.c: `hug train`: a data set and a model in, a better model out. */
#include "cli/cli.h"

#include "base/file.h"
#include "fetch/fetch.h"
#include "hub/hub.h"
#include "train/train.h"

#include <signal.h>
#include <unistd.h>

enum { MAX_CONFIG = 1 << 20 };

typedef struct Options {
    const char *model, *dataset, *eval_dataset, *output, *config, *order, *resume;
    bool from_scratch, quiet, json, go_on;
    OptionList set;
} Options;

static const Option options[] = {
    VALUE(Options, model, TEXT, "--model", "M", "a folder, a .gguf file or a hub id"),
    VALUE(Options, dataset, TEXT, "--dataset", "D",
          "a .txt, .jsonl, .json, .csv or .tsv file, a folder of them, or a hub id"),
    VALUE(Options, eval_dataset, TEXT, "--eval-dataset", "D", "to evaluate on; else a part of D"),
    VALUE(Options, output, TEXT, "--output", "DIR", "where model and checkpoints go"),
    VALUE(Options, set, LIST, "--set", "KEY=VALUE", "a training argument; may be given again"),
    VALUE(Options, config, TEXT, "--config", "FILE", "training arguments in YAML or JSON"),
    FLAG(Options, from_scratch, "--from-scratch", "begin with random weights, though M has some"),
    FLAG(Options, go_on, "--resume", "go on from the newest checkpoint of DIR, if there is one"),
    VALUE(Options, resume, TEXT, "--resume-from", "DIR", "go on from this checkpoint"),
    VALUE(Options, order, TEXT, "--order", "FILE", "the order of examples, as numbers"),
    FLAG(Options, quiet, "--quiet", "no progress bar"),
    FLAG(Options, json, "--json", "each entry of the log as a line of JSON"),
};

static atomic_bool interrupted;

/* The first Ctrl-C stops behind a checkpoint, the second at once. */
static void interrupt(int number)
{
    if (atomic_exchange(&interrupted, true))
        _exit(130);
}

static void print_log(void *context, const json_t *entry)
{
    const Options *o = context;
    if (o->json) {
        AUTO_BUF line;
        buf_init(&line, 0);
        json_write(&line, entry);
        puts(line.ptr);
    } else if (json_object_get(entry, "loss")) {
        printf("step %-6lld epoch %-6.2f loss %-8.4f grad_norm %-8.3f learning_rate %.3e\n",
               (long long)json_int(entry, "step", 0), json_num(entry, "epoch", 0),
               json_num(entry, "loss", 0), json_num(entry, "grad_norm", 0),
               json_num(entry, "learning_rate", 0));
    } else if (json_object_get(entry, "eval_loss")) {
        printf("step %-6lld epoch %-6.2f eval_loss %.4f  eval_perplexity %.3f\n",
               (long long)json_int(entry, "step", 0), json_num(entry, "epoch", 0),
               json_num(entry, "eval_loss", 0), json_num(entry, "eval_perplexity", 0));
    }
    fflush(stdout);
}

static void print_news(void *context, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* The file's arguments, and what --set says over them. */
static json_t *given_arguments(const Options *o, Error *err)
{
    AUTO(json_decref) json_t *given = NULL;
    if (o->config) {
        AUTO_BUF text;
        buf_init(&text, MAX_CONFIG);
        if (!file_read(o->config, &text, err))
            return NULL;
        bool json = str_eq_nocase(path_suffix(str_of(o->config)), S(".json"));
        given = json ? json_parse(buf_str(&text), o->config, err) : yaml_parse(buf_str(&text), err);
        if (!given)
            return json ? NULL : fail_while(err, "%s", o->config);
        if (!json_is_object(given))
            return fail(err, ERR_USAGE, "%s: it must hold names and values", o->config);
    } else {
        given = json_object();
    }
    for (int i = 0; i < o->set.n; i++)
        if (!training_arguments_set(given, o->set.items[i], err))
            return fail_while(err, "--set");
    return TAKE(given);
}

/* A path if there is one, else a data set on the hub. */
static const char *fetch_dataset(Arena *a, const char *name, Error *err)
{
    static const char *const include[] = {"*.txt",  "*.md",  "*.jsonl", "*.ndjson",
                                          "*.json", "*.csv", "*.tsv",   NULL};
    if (file_exists(name) || !strchr(name, '/') || name[0] == '/' || name[0] == '.')
        return name;
    const FetchOptions how = {.kind = FETCH_DATASET, .include = include};
    return fetch_snapshot(a, name, &how, err);
}

static bool run_training(const Options *o, Arena *a, Error *err)
{
    TrainingArguments args;
    AUTO(json_decref) json_t *given = given_arguments(o, err);
    if (!given || !training_arguments_read(&args, given, a, err))
        return false;
    TrainSpec spec = {.model = fetch_model(a, o->model, err),
                      .model_name = o->model,
                      .output = o->output,
                      .order = o->order,
                      .from_scratch = o->from_scratch,
                      .resume = o->resume  ? o->resume
                                : o->go_on ? ""
                                           : NULL,
                      .args = &args,
                      .quiet = o->quiet,
                      .cancelled = &interrupted,
                      .on_log = print_log,
                      .on_news = o->quiet ? NULL : print_news,
                      .context = (void *)(uintptr_t)o};
    if (!spec.model || !(spec.dataset = fetch_dataset(a, o->dataset, err)))
        return false;
    if (o->eval_dataset && !(spec.eval_dataset = fetch_dataset(a, o->eval_dataset, err)))
        return false;
    TrainResult result;
    if (!train(&spec, &result, err))
        return false;
    if (!o->json)
        printf("%lld updates in %.1f s, %.0f tokens a second, mean loss %.4f: %s\n",
               (long long)result.steps, result.seconds, (double)result.tokens / result.seconds,
               result.train_loss, o->output);
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n > 1 && strcmp(args[1], "arguments") == 0) {
        AUTO_BUF text;
        buf_init(&text, 0);
        training_arguments_help(&text);
        fputs(text.ptr, stdout);
        return true;
    }
    if (n != 2 || strcmp(args[1], "text-generation") != 0)
        return fail(err, ERR_USAGE, "say what to train: text-generation");
    if (!o.model || !o.dataset || !o.output)
        return fail(err, ERR_USAGE, "give --model, --dataset and --output");
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    AUTO(arena_free) Arena *a = arena_new(0);
    return run_training(&o, a, err);
}

const Verb verb_train = {
    .name = "train",
    .synopsis = "text-generation --model M --dataset D --output DIR [--set key=value]...",
    .summary = "train a language model, from scratch or further",
    .help = "Arguments have the names and defaults of transformers' TrainingArguments; `hug train\n"
            "arguments` lists them. A model folder without weights begins from scratch. DIR is\n"
            "then a model like any other, with its card, loss.html and checkpoints.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
