/* trainer.c: the loop; see train.h. Its events are those of transformers' Trainer: when the loss is
 * logged, the model evaluated and saved, and what is written of it. */
#include "train/train_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"

#include <math.h>

enum { DEFAULT_BLOCK = 1024, LENGTH_STEP = 32 };

double trainer_epoch(const Trainer *t)
{
    return (double)t->step / (double)t->updates_per_epoch;
}

double trainer_lr(const Trainer *t, int64_t step)
{
    return t->args.learning_rate * schedule_factor(&t->args, step, t->steps);
}

void trainer_news(const Trainer *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    progress_hide(t->progress);
    if (t->spec->on_news)
        t->spec->on_news(t->spec->context, line);
}

/* ---- Batches ---- */

/* The examples [from, to) of a list, in as many rows as `rows`; those that are not there are all
 * ignored. Padded batches come in lengths of LENGTH_STEP, so that few graphs serve them. */
static TrainBatch make_batch(Trainer *t, const Examples *e, const uint32_t *list, int64_t from,
                             int64_t to, int64_t rows)
{
    int64_t length = 1;
    bool equal = true;
    for (int64_t i = from; i < to; i++) {
        int64_t n = example_length(e, list[i]);
        equal = equal && n == example_length(e, list[from]);
        length = MAX(length, n);
    }
    if (!equal || length < t->block_size)
        length = MIN((length + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP, t->block_size);
    if (rows * length > t->batch_room) {
        t->batch_room = rows * length;
        t->ids = xrealloc(t->ids, (size_t)t->batch_room * sizeof *t->ids);
        t->labels = xrealloc(t->labels, (size_t)t->batch_room * sizeof *t->labels);
    }
    for (int64_t i = 0; i < rows * length; i++) {
        t->ids[i] = 0;
        t->labels[i] = LABEL_IGNORED;
    }
    for (int64_t i = from; i < to; i++) {
        int64_t start = e->starts[list[i]], n = example_length(e, list[i]);
        int32_t *ids = t->ids + (i - from) * length, *labels = t->labels + (i - from) * length;
        memcpy(ids, e->ids + start, (size_t)n * sizeof *ids);
        for (int64_t j = 0; j + 1 < n; j++) // position j predicts token j + 1
            if (e->learned[start + j + 1])
                labels[j] = e->ids[start + j + 1];
    }
    return (TrainBatch){.rows = rows, .length = length, .ids = t->ids, .labels = t->labels};
}

/* Dropout's seed of the batch-th batch of all; never 0, which would drop nothing. */
static uint64_t batch_seed(const Trainer *t, int64_t batch)
{
    Random r = random_of((uint64_t)t->args.seed ^ (uint64_t)batch * UINT64_C(0x9E3779B97F4A7C15));
    return random_next(&r) | 1;
}

static void find_permutation(Trainer *t, int64_t epoch)
{
    if (t->permutation_epoch == epoch)
        return;
    epoch_order(&t->order, epoch, t->train.n, t->permutation);
    t->permutation_epoch = epoch;
}

/* ---- One update ---- */

typedef struct Outcome {
    double loss, norm, lr;
} Outcome;

static bool one_update(Trainer *t, Outcome *out, Error *err)
{
    int64_t size = t->args.per_device_train_batch_size, n = (int64_t)t->train.n;
    int64_t epoch = t->step / t->updates_per_epoch, within = t->step % t->updates_per_epoch;
    int64_t first = within * t->args.gradient_accumulation_steps;
    int64_t last = MIN(first + t->args.gradient_accumulation_steps, t->batches);
    find_permutation(t, epoch);
    int64_t labels = 0;
    for (int64_t i = first * size; i < MIN(last * size, n); i++) {
        labels += example_labels(&t->train, t->permutation[i]);
        t->tokens_seen += example_length(&t->train, t->permutation[i]);
    }
    *out = (Outcome){.lr = trainer_lr(t, t->step)};
    for (int64_t b = first; b < last; b++) {
        double loss;
        const TrainBatch batch =
            make_batch(t, &t->train, t->permutation, b * size, MIN((b + 1) * size, n), size);
        uint64_t seed = batch_seed(t, epoch * t->batches + b);
        if (!learner_show(t->learner, &batch, labels, seed, &loss, err))
            return false;
        out->loss += loss;
    }
    if (!isfinite(out->loss))
        return fail(err, ERR_INVALID,
                    "the loss is %g at step %lld: a lower learning_rate or a longer warm-up helps",
                    out->loss, (long long)t->step + 1);
    learner_update(t->learner, out->lr, &out->norm);
    return true;
}

/* ---- What is told ---- */

static void add_log(Trainer *t, json_t *entry)
{
    json_object_set_new(entry, "epoch", json_real(trainer_epoch(t)));
    json_object_set_new(entry, "step", json_integer(t->step));
    json_array_append_new(t->log_history, entry);
    progress_hide(t->progress);
    if (t->spec->on_log)
        t->spec->on_log(t->spec->context, entry);
}

static void log_loss(Trainer *t, const Outcome *o)
{
    add_log(t, json_pack("{s:f,s:f,s:f}", "loss", t->loss_sum / (double)MAX(t->loss_count, 1),
                         "grad_norm", o->norm, "learning_rate", o->lr));
    t->loss_sum = 0;
    t->loss_count = 0;
}

static double seconds_since(int64_t ns)
{
    return (double)MAX(clock_ns() - ns, 1) / (double)NS_PER_S;
}

static void show_progress(Trainer *t, const Outcome *o)
{
    char left[SIZE_TEXT];
    double spent = seconds_since(t->began_ns);
    int64_t done = t->step - t->began_step;
    duration_format(
        (int64_t)(spent / (double)done * (double)(t->steps - t->step) * (double)NS_PER_S), left);
    progress_tell(t->progress, 1, "%lld/%lld  loss %.4f  lr %.2e  %.0f tok/s  %s left",
                  (long long)t->step, (long long)t->steps, o->loss, o->lr,
                  (double)(t->tokens_seen - t->began_tokens) / spent, left);
}

/* The mean loss over all labels of the held-out examples, in batches of their order. */
static bool evaluate(Trainer *t, double *loss, Error *err)
{
    int64_t began = clock_ns(), size = t->args.per_device_eval_batch_size, n = (int64_t)t->eval.n;
    int64_t labels = 0;
    double sum = 0;
    AUTO(arena_free) Arena *a = arena_new(0);
    uint32_t *list = NEW_ARRAY(a, uint32_t, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        list[i] = (uint32_t)i;
        labels += example_labels(&t->eval, (size_t)i);
    }
    for (int64_t from = 0; from < n; from += size) {
        double part;
        const TrainBatch batch = make_batch(t, &t->eval, list, from, MIN(from + size, n), size);
        if (!learner_evaluate(t->learner, &batch, &part, err))
            return fail_while(err, "evaluate");
        sum += part;
    }
    double seconds = seconds_since(began);
    *loss = sum / (double)MAX(labels, 1);
    add_log(t, json_pack("{s:f,s:f,s:f,s:f,s:f}", "eval_loss", *loss, "eval_perplexity", exp(*loss),
                         "eval_runtime", seconds, "eval_samples_per_second", (double)n / seconds,
                         "eval_steps_per_second", (double)((n + size - 1) / size) / seconds));
    return true;
}

/* Notes whether this is the best model so far, which its checkpoint then says too. */
static void note_best(Trainer *t, double loss)
{
    bool perplexity = strcmp(t->args.metric_for_best_model, "eval_perplexity") == 0;
    double metric = perplexity ? exp(loss) : loss;
    bool better = t->args.greater_is_better ? metric > t->best_metric : metric < t->best_metric;
    if (t->best_step && !better)
        return;
    t->best_metric = metric;
    t->best_step = t->step;
}

static bool due(const Trainer *t, Strategy strategy, double every)
{
    switch (strategy) {
    case STRATEGY_NO:
        return false;
    case STRATEGY_STEPS:
        return t->step % steps_of(every, t->steps) == 0;
    case STRATEGY_EPOCH:
        return t->step % t->updates_per_epoch == 0 || t->step == t->steps;
    }
    return false;
}

static bool after_update(Trainer *t, const Outcome *o, double *eval_loss, Error *err)
{
    const TrainingArguments *args = &t->args;
    if (due(t, args->logging, args->logging_steps) || (t->step == 1 && args->logging_first_step))
        log_loss(t, o);
    if (t->eval.n > 0 && due(t, args->eval, args->eval_steps)) {
        if (!evaluate(t, eval_loss, err))
            return false;
        note_best(t, *eval_loss);
    }
    // A training that saves by steps also saves its end.
    bool end = t->step == t->steps && args->save == STRATEGY_STEPS;
    return !(end || due(t, args->save, args->save_steps)) || checkpoint_write(t, err);
}

static bool stop(Trainer *t, Error *err)
{
    bool saved = t->step > t->began_step && t->args.save != STRATEGY_NO;
    if (saved && !checkpoint_write(t, err))
        return false;
    return fail(err, ERR_CANCELLED, "stopped behind %lld of %lld updates%s", (long long)t->step,
                (long long)t->steps, saved ? "; --resume goes on from there" : "");
}

static double mean_loss(const Trainer *t)
{
    double sum = 0;
    for (int64_t i = 0; i < t->step; i++)
        sum += (double)t->curve[i];
    return sum / (double)MAX(t->step, 1);
}

static bool loop(Trainer *t, TrainResult *result, Error *err)
{
    result->eval_loss = -1;
    if (t->step == 0 && t->args.eval_on_start && t->eval.n > 0 &&
        !evaluate(t, &result->eval_loss, err))
        return false;
    while (t->step < t->steps) {
        Outcome o;
        if (t->spec->cancelled && atomic_load(t->spec->cancelled))
            return stop(t, err);
        if (!one_update(t, &o, err))
            return false;
        t->curve[t->step++] = (float)o.loss;
        t->loss_sum += o.loss;
        t->loss_count++;
        show_progress(t, &o);
        if (!after_update(t, &o, &result->eval_loss, err))
            return false;
    }
    result->train_loss = mean_loss(t);
    return true;
}

/* ---- Beginning and end ---- */

/* "q_proj,v_proj" as a list that ends with NULL. */
static const char *const *split_names(const char *text, Arena *a)
{
    Str rest = str_of(text), piece;
    const char **names = NEW_ARRAY(a, const char *, rest.len + 2);
    for (size_t n = 0; str_split(&rest, ',', &piece);)
        if (str_trim(piece).len > 0)
            names[n++] = arena_cstr(a, str_trim(piece));
    return names;
}

static Model *open_adapted(const Trainer *t, const char *checkpoint, Error *err)
{
    const TrainingArguments *args = &t->args;
    const char *targets = args->lora_target_modules;
    if (t->spec->from_scratch)
        return fail(err, ERR_INVALID, "adapters are for a model that has weights");
    AdapterOptions how = {
        .lora = {.r = args->lora_r, .alpha = args->lora_alpha, .dropout = args->lora_dropout},
        .all_layers = targets && strcmp(targets, "all-linear") == 0,
        .precision = args->bf16 ? PRECISION_BF16 : PRECISION_F32,
        .seed = (uint64_t)args->seed,
        .adapters = checkpoint};
    if (targets && !how.all_layers)
        how.lora.targets = split_names(targets, t->arena);
    Model *m = model_open_adapted(t->spec->model, &how, err);
    bool any = false;
    for (size_t i = 0; m && i < weights_count(m->weights); i++)
        any = any || weight_values(weights_at(m->weights, i));
    if (m && !any) {
        model_free(m);
        return fail(err, ERR_INVALID, "lora_target_modules: no layer is called '%s'", targets);
    }
    return m;
}

/* A folder that has a configuration and no weights. */
static bool is_without_weights(const char *path)
{
    Error why = {0};
    if (!file_is_folder(path))
        return false;
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_open(path, &why);
    return !c && why.code == ERR_NOT_FOUND;
}

static bool open_model(Trainer *t, const char *checkpoint, Error *err)
{
    const TrainSpec *spec = t->spec;
    Precision precision = t->args.bf16 ? PRECISION_BF16 : PRECISION_F32;
    if (t->args.lora_r > 0) {
        t->model = open_adapted(t, checkpoint, err);
    } else if (!checkpoint && (spec->from_scratch || is_without_weights(spec->model))) {
        t->from_scratch = true;
        t->model = model_begin(spec->model, precision, (uint64_t)t->args.seed, err);
        if (t->model)
            trainer_news(t, "the model begins from scratch");
    } else {
        t->model = model_open_trainable(checkpoint ? checkpoint : spec->model, precision, err);
    }
    if (!t->model)
        return false;
    if (weights_have(t->model->weights, "rope_freqs.weight") && t->args.lora_r == 0)
        return fail(err, ERR_UNSUPPORTED,
                    "'%s' scales its rotation by a tensor that config.json cannot say; train from "
                    "its safetensors",
                    spec->model);
    t->learner = learner_new(t->model, &t->args, err);
    return t->learner != NULL;
}

static bool load_data(Trainer *t, Error *err)
{
    const TrainSpec *spec = t->spec;
    int64_t most = t->model->kv.capacity;
    t->block_size = t->args.block_size ? t->args.block_size : MIN(most, DEFAULT_BLOCK);
    if (t->block_size < 2 || t->block_size > most)
        return fail(err, ERR_INVALID, "block_size %lld: the model takes 2 to %lld tokens",
                    (long long)t->block_size, (long long)most);
    DatasetSpec data = {.path = spec->dataset,
                        .tokenizer = t->tokenizer,
                        .args = &t->args,
                        .block_size = t->block_size,
                        .vocab = t->model->vocab};
    if (!(t->data = dataset_load(&data, err)))
        return false;
    t->train = *dataset_examples(t->data);
    DatasetFacts facts = dataset_facts(t->data);
    t->args.packing = facts.packed;
    if (t->args.eval != STRATEGY_NO || spec->eval_dataset || t->args.eval_on_start) {
        Error none = {0};
        data.path = spec->eval_dataset ? spec->eval_dataset : spec->dataset;
        data.split = spec->eval_dataset ? SPLIT_TRAIN : SPLIT_EVAL;
        if (spec->eval_dataset || file_is_folder(data.path)) {
            t->eval_data = dataset_load(&data, spec->eval_dataset ? err : &none);
            if (!t->eval_data && (spec->eval_dataset || none.code != ERR_NOT_FOUND)) {
                if (err && !spec->eval_dataset)
                    *err = none;
                return false;
            }
        }
        if (t->eval_data) {
            t->eval = *dataset_examples(t->eval_data);
        } else {
            size_t held =
                (size_t)ceil((double)t->train.n * t->args.validation_split_percentage / 100);
            if (held == 0 || held >= t->train.n)
                return fail(err, ERR_INVALID,
                            "of %zu examples %zu would be held out for evaluation; give "
                            "--eval-dataset or another validation_split_percentage",
                            t->train.n, held);
            t->eval = examples_slice(&t->train, t->train.n - held, t->train.n);
            t->train = examples_slice(&t->train, 0, t->train.n - held);
        }
    }
    trainer_news(t,
                 "%lld documents, %lld tokens: %zu examples of at most %lld tokens, %zu held out",
                 (long long)facts.documents, (long long)facts.tokens, t->train.n,
                 (long long)t->block_size, t->eval.n);
    t->order = (OrderSpec){.seed = (uint64_t)t->args.data_seed,
                           .by_length = t->args.group_by_length ? &t->train : NULL,
                           .batch = (size_t)t->args.per_device_train_batch_size};
    return !spec->order || order_read(spec->order, t->train.n, t->arena, &t->order, err);
}

static bool plan_steps(Trainer *t, Error *err)
{
    const TrainingArguments *args = &t->args;
    int64_t n = (int64_t)t->train.n, size = args->per_device_train_batch_size;
    t->batches = args->dataloader_drop_last ? n / size : (n + size - 1) / size;
    if (t->batches == 0)
        return fail(err, ERR_INVALID, "%lld examples are less than one batch of %lld", (long long)n,
                    (long long)size);
    t->updates_per_epoch =
        (t->batches + args->gradient_accumulation_steps - 1) / args->gradient_accumulation_steps;
    double steps = ceil(args->num_train_epochs * (double)t->updates_per_epoch);
    if (args->max_steps <= 0 && steps > 1e9)
        return fail(err, ERR_LIMIT, "%g updates", steps);
    t->steps = args->max_steps > 0 ? args->max_steps : (int64_t)steps;
    t->permutation = xcalloc(t->train.n, sizeof *t->permutation);
    t->permutation_epoch = -1;
    t->curve = xcalloc((size_t)t->steps + 1, sizeof *t->curve);
    return schedule_check(args, t->steps, err);
}

static bool finish(Trainer *t, TrainResult *result, Error *err)
{
    result->steps = t->step;
    result->seconds = seconds_since(t->began_ns);
    result->tokens = t->tokens_seen - t->began_tokens;
    double examples =
        (double)(t->step - t->began_step) *
        (double)(t->args.per_device_train_batch_size * t->args.gradient_accumulation_steps);
    double flos = 6.0 * (double)learner_values(t->learner) * (double)t->tokens_seen;
    add_log(t, json_pack("{s:f,s:f,s:f,s:f,s:f}", "train_loss", result->train_loss, "train_runtime",
                         result->seconds, "train_samples_per_second", examples / result->seconds,
                         "train_steps_per_second",
                         (double)(t->step - t->began_step) / result->seconds, "total_flos", flos));
    if (t->args.load_best_model_at_end && t->best_step && t->best_step != t->step) {
        const char *best =
            arena_printf(t->arena, "%s/checkpoint-%lld", t->spec->output, (long long)t->best_step);
        if (!checkpoint_read_weights(t, best, err))
            return fail_while(err, "load the best model");
        trainer_news(t, "the best model was that of step %lld", (long long)t->best_step);
    }
    AUTO(json_decref) json_t *state = trainer_state(t);
    AUTO(json_decref) json_t *args = training_arguments_json(&t->args);
    return model_write(t, t->spec->output, err) &&
           write_json(t->spec->output, "trainer_state.json", state, err) &&
           write_json(t->spec->output, "training_args.json", args, err) &&
           report_write(t, result, err);
}

static bool run(Trainer *t, TrainResult *result, Error *err)
{
    const TrainSpec *spec = t->spec;
    if (!file_make_folders(spec->output, 0755, err))
        return false;
    checkpoint_clean(spec->output);
    const char *checkpoint = NULL;
    const char *newest = checkpoint_newest(spec->output, t->arena);
    if (spec->resume)
        checkpoint = spec->resume[0] ? spec->resume : newest;
    else if (newest)
        return fail(
            err, ERR_EXISTS,
            "'%s' is of an earlier training: go on with it (--resume) or name another folder",
            newest);
    if (!(t->tokenizer = tokenizer_open(spec->model, err)) || !open_model(t, checkpoint, err) ||
        !load_data(t, err) || !plan_steps(t, err) ||
        (checkpoint && !checkpoint_read_state(t, checkpoint, err)))
        return false;
    if (checkpoint)
        trainer_news(t, "going on from '%s'", checkpoint);
    trainer_news(
        t, "%.1f million parameters, %lld updates of %lld examples",
        (double)learner_values(t->learner) / 1e6, (long long)t->steps,
        (long long)(t->args.per_device_train_batch_size * t->args.gradient_accumulation_steps));
    t->progress = progress_new("train", t->steps, spec->quiet);
    progress_add(t->progress, t->step);
    t->began_ns = clock_ns();
    t->began_step = t->step;
    t->began_tokens = t->tokens_seen;
    return loop(t, result, err) && finish(t, result, err);
}

static void done(Trainer *t)
{
    progress_free(t->progress);
    learner_free(t->learner);
    model_free(t->model);
    dataset_free(t->data);
    dataset_free(t->eval_data);
    tokenizer_free(t->tokenizer);
    json_decref(t->log_history);
    free(t->permutation);
    free(t->curve);
    free(t->ids);
    free(t->labels);
    arena_free(t->arena);
}

bool train(const TrainSpec *spec, TrainResult *result, Error *err)
{
    TrainResult ours = {0};
    Trainer t = {.spec = spec, .args = *spec->args, .arena = arena_new(0)};
    t.log_history = json_array();
    bool ok = run(&t, &ours, err);
    done(&t);
    if (ok && result)
        *result = ours;
    return ok;
}
