/* bench_train.c: `hug bench train`: how many tokens a second a model learns from. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "fetch/fetch.h"
#include "train/learner.h"

#include <sys/resource.h>

typedef struct Options {
    const char *model, *dtype, *optim;
    int64_t batch, length, rounds;
    bool json, checkpoints;
} Options;

static const Option options[] = {
    VALUE(Options, model, TEXT, "--model", "M", "a folder, a .gguf file or a hub id"),
    VALUE(Options, batch, INT, "--batch", "N", "sequences a step; 4"),
    VALUE(Options, length, INT, "--length", "N", "tokens a sequence; 256"),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "of the products: bf16 or f32; bf16"),
    VALUE(Options, optim, TEXT, "--optim", "NAME", "adamw_torch"),
    VALUE(Options, rounds, INT, "--rounds", "N", "the median of N steps behind one; 5"),
    FLAG(Options, checkpoints, "--gradient-checkpointing", "less memory, more time"),
    FLAG(Options, json, "--json",
         "{\"step_s\", \"train_tok_s\", \"update_s\", \"loss\", \"peak_mb\"}"),
};

typedef struct Figures {
    double step_s, update_s, loss;
} Figures;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 2];
}

/* Which tokens they are does not matter to the kernels. */
static TrainBatch random_batch(const Options *o, int64_t vocab, Arena *a)
{
    int64_t n = o->batch * o->length;
    int32_t *ids = NEW_ARRAY(a, int32_t, (size_t)n), *labels = NEW_ARRAY(a, int32_t, (size_t)n);
    Random r = random_of(1);
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)random_below(&r, (uint64_t)vocab);
    for (int64_t i = 0; i < n; i++)
        labels[i] = (i + 1) % o->length ? ids[i + 1] : LABEL_IGNORED;
    return (TrainBatch){.rows = o->batch, .length = o->length, .ids = ids, .labels = labels};
}

static bool measure(Learner *l, const TrainBatch *b, const Options *o, Arena *a, Figures *f,
                    Error *err)
{
    double *steps = NEW_ARRAY(a, double, (size_t)o->rounds),
           *updates = NEW_ARRAY(a, double, (size_t)o->rounds), norm;
    for (int64_t i = -1; i < o->rounds; i++) { // the first plans and packs
        int64_t began = clock_ns();
        if (!learner_show(l, b, b->rows * (b->length - 1), 0, &f->loss, err))
            return false;
        int64_t shown = clock_ns();
        learner_update(l, 1e-5, &norm);
        int64_t ended = clock_ns();
        if (i < 0)
            continue;
        steps[i] = (double)(ended - began) / (double)NS_PER_S;
        updates[i] = (double)(ended - shown) / (double)NS_PER_S;
    }
    f->step_s = median(steps, o->rounds);
    f->update_s = median(updates, o->rounds);
    return true;
}

/* A folder without weights is measured from scratch. */
static Model *open_model(const char *path, Precision precision, Error *err)
{
    Error why = {0};
    Model *m = model_open_trainable(path, precision, &why);
    if (!m && why.code == ERR_NOT_FOUND)
        return model_begin(path, precision, 1, err);
    if (!m && err)
        *err = why;
    return m;
}

static bool bench(const Options *o, Arena *a, Figures *f, Error *err)
{
    bool bf16 = strcmp(o->dtype, "bf16") == 0;
    if (!bf16 && strcmp(o->dtype, "f32") != 0)
        return fail(err, ERR_USAGE, "--dtype is bf16 or f32, not '%s'", o->dtype);
    AUTO(json_decref) json_t *given = json_object();
    json_object_set_new(given, "bf16", json_boolean(bf16));
    json_object_set_new(given, "optim", json_string(o->optim));
    json_object_set_new(given, "gradient_checkpointing", json_boolean(o->checkpoints));
    TrainingArguments args;
    const char *path = fetch_model(a, o->model, err);
    if (!path || !training_arguments_read(&args, given, a, err))
        return false;
    AUTO(model_free) Model *m = open_model(path, bf16 ? PRECISION_BF16 : PRECISION_F32, err);
    if (!m)
        return false;
    if (o->length > m->kv.capacity)
        return fail(err, ERR_USAGE, "--length %lld: the model takes %lld", (long long)o->length,
                    (long long)m->kv.capacity);
    AUTO(learner_free) Learner *l = learner_new(m, &args, err);
    if (!l)
        return false;
    const TrainBatch b = random_batch(o, m->vocab, a);
    return measure(l, &b, o, a, f, err);
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.batch = 4, .length = 256, .dtype = "bf16", .optim = "adamw_torch", .rounds = 5};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n == 2 && !o.model)
        o.model = args[1];
    else if (n != 1 || !o.model)
        return fail(err, ERR_USAGE, "give a model");
    if (o.batch < 1 || o.length < 2 || o.rounds < 1)
        return fail(err, ERR_USAGE, "sequences and rounds start at 1, tokens at 2");
    AUTO(arena_free) Arena *a = arena_new(0);
    Figures f = {0};
    if (!bench(&o, a, &f, err))
        return false;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(o.json ? "{\"step_s\":%.4f,\"train_tok_s\":%.2f,\"update_s\":%.4f,\"loss\":%.4f,"
                    "\"peak_mb\":%.1f}\n"
                  : "a step %.3f s, %.1f tokens a second; of it the update %.3f s; loss %.4f, at "
                    "most %.0f MB\n",
           f.step_s, (double)(o.batch * o.length) / f.step_s, f.update_s, f.loss,
           (double)usage.ru_maxrss * 1024 / 1e6);
    return true;
}

const Verb bench_train = {
    .name = "train",
    .synopsis = "MODEL [--batch N] [--length N] [--dtype D] [--json]",
    .summary = "how many tokens a second a model learns from",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
