/* checkpoint.c: what a training needs to go on to the last bit, in a folder that appears whole.
 *
 *     checkpoint-N/
 *         config.json, generation_config.json, the tokenizer's files, model.safetensors
 *         optimizer.safetensors   the optimizer's states ("exp_avg.model.norm.weight"), and the
 * loss of every update so far ("history.loss") trainer_state.json      as transformers writes it,
 * with log_history training_state.json     scheduler, random numbers, and what is summed since the
 * last log training_args.json
 *
 * It is written as .checkpoint-N.partial, each file durable, and then takes its name: a process
 * that dies meanwhile leaves the older checkpoints and a folder that the next start removes. */
#include "base/file.h"
#include "formats/safetensors.h"
#include "train/train_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

enum { MAX_STATE = 256 << 20 };
static const char partial_prefix[] = ".checkpoint-";

bool write_json(const char *folder, const char *name, const json_t *value, Error *err)
{
    AUTO_BUF path;
    buf_init(&path, 0);
    buf_printf(&path, "%s/%s", folder, name);
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    CHECK(text);
    size_t n = strlen(text);
    text[n] = '\n'; // in the place of its end
    bool ok = file_write_atomic(path.ptr, (Str){text, n + 1}, 0644, err);
    free(text);
    return ok;
}

/* ---- Writing ---- */

static StoredTensor tensor_of(const char *name, const Shape *shape, const float *data)
{
    StoredTensor t = {.name = name, .type = DTYPE_F32, .rank = shape->rank, .data = data};
    memcpy(t.dims, shape->dims, (size_t)shape->rank * sizeof *t.dims);
    CHECK(stored_size(&t, NULL));
    return t;
}

static const char adapter_file[] = "adapter_model.safetensors";

static bool write_adapter(const Trainer *t, const char *folder, const StoredTensor *tensors,
                          size_t n, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *base = t->spec->model_name ? t->spec->model_name : t->spec->model;
    AUTO(json_decref) json_t *metadata = json_pack("{s:s}", "format", "pt");
    AUTO(json_decref)
    json_t *config =
        lora_json(weights_lora(t->model->weights), base, t->model->architecture->transposed);
    return write_json(folder, "adapter_config.json", config, err) &&
           safetensors_write(arena_printf(a, "%s/%s", folder, adapter_file), tensors, n, metadata,
                             NULL, err);
}

/* All that is trained: the whole model, or its adapters. */
static bool write_weights(const Trainer *t, const char *folder, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t n = learner_count(t->learner);
    StoredTensor *tensors = NEW_ARRAY(a, StoredTensor, n);
    for (size_t i = 0; i < n; i++) {
        Weight *w = learner_weight(t->learner, i);
        tensors[i] = tensor_of(weight_name(w), weight_shape(w), weight_values(w));
    }
    return weights_lora(t->model->weights)
               ? write_adapter(t, folder, tensors, n, err)
               : safetensors_save(folder, tensors, n, &(SafetensorsSave){0}, err);
}

bool model_write(const Trainer *t, const char *folder, Error *err)
{
    return model_files_write(t, folder, err) && write_weights(t, folder, err);
}

static bool write_optimizer(const Trainer *t, const char *folder, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t count = learner_count(t->learner), n = 0;
    StoredTensor *tensors = NEW_ARRAY(a, StoredTensor, count * OPTIMIZER_STATES + 1);
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < OPTIMIZER_STATES; j++) {
            size_t size;
            const float *state = learner_state(t->learner, i, j, &size);
            const char *name = weight_name(learner_weight(t->learner, i));
            if (state)
                tensors[n++] =
                    tensor_of(arena_printf(a, "%s.%s", learner_state_name(t->learner, j), name),
                              &SHAPE((int64_t)size), state);
        }
    if (t->step > 0)
        tensors[n++] = tensor_of("history.loss", &SHAPE(t->step), t->curve);
    return safetensors_write(arena_printf(a, "%s/optimizer.safetensors", folder), tensors, n, NULL,
                             NULL, err);
}

json_t *trainer_state(const Trainer *t)
{
    const TrainingArguments *args = &t->args;
    json_t *s = json_object();
    char best[4400];
    snprintf(best, sizeof best, "%s/checkpoint-%lld", t->spec->output, (long long)t->best_step);
    json_object_set_new(s, "best_global_step",
                        t->best_step ? json_integer(t->best_step) : json_null());
    json_object_set_new(s, "best_metric", t->best_step ? json_real(t->best_metric) : json_null());
    json_object_set_new(s, "best_model_checkpoint", t->best_step ? json_string(best) : json_null());
    json_object_set_new(s, "epoch", json_real(trainer_epoch(t)));
    json_object_set_new(s, "eval_steps", json_integer(steps_of(args->eval_steps, t->steps)));
    json_object_set_new(s, "global_step", json_integer(t->step));
    json_object_set_new(s, "is_hyper_param_search", json_false());
    json_object_set_new(s, "is_local_process_zero", json_true());
    json_object_set_new(s, "is_world_process_zero", json_true());
    json_object_set(s, "log_history", t->log_history);
    json_object_set_new(s, "logging_steps", json_integer(steps_of(args->logging_steps, t->steps)));
    json_object_set_new(s, "max_steps", json_integer(t->steps));
    json_object_set_new(s, "num_input_tokens_seen", json_integer(t->tokens_seen));
    json_object_set_new(s, "num_train_epochs",
                        json_integer((t->steps + t->updates_per_epoch - 1) / t->updates_per_epoch));
    json_object_set_new(s, "save_steps", json_integer(steps_of(args->save_steps, t->steps)));
    json_object_set_new(s, "stateful_callbacks", json_object());
    // Six operations a token and value: two forwards, four backwards.
    json_object_set_new(
        s, "total_flos",
        json_real(6.0 * (double)learner_values(t->learner) * (double)t->tokens_seen));
    json_object_set_new(s, "train_batch_size", json_integer(args->per_device_train_batch_size));
    json_object_set_new(s, "trial_name", json_null());
    json_object_set_new(s, "trial_params", json_null());
    return s;
}

/* What decides which examples come next; going on with others would be another training. */
static json_t *data_state(const Trainer *t)
{
    const TrainingArguments *args = &t->args;
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "block_size", (json_int_t)t->block_size, "batch_size",
                     (json_int_t)args->per_device_train_batch_size, "gradient_accumulation_steps",
                     (json_int_t)args->gradient_accumulation_steps, "data_seed",
                     (json_int_t)args->data_seed, "examples", (json_int_t)t->train.n);
}

static json_t *training_state(const Trainer *t)
{
    return json_pack("{s:{s:I,s:f,s:I},s:{s:I,s:I},s:o,s:{s:f,s:I},s:b}", "scheduler", "last_epoch",
                     (json_int_t)t->step, "last_lr", trainer_lr(t, t->step), "steps",
                     (json_int_t)t->steps, "random", "seed", (json_int_t)t->args.seed, "position",
                     (json_int_t)t->step, "data", data_state(t), "running", "loss_sum", t->loss_sum,
                     "loss_count", (json_int_t)t->loss_count, "from_scratch", t->from_scratch);
}

static bool write_state(const Trainer *t, const char *folder, Error *err)
{
    AUTO(json_decref) json_t *args = training_arguments_json(&t->args);
    AUTO(json_decref) json_t *state = trainer_state(t);
    AUTO(json_decref) json_t *more = training_state(t);
    return write_json(folder, "training_args.json", args, err) &&
           write_json(folder, "trainer_state.json", state, err) &&
           (t->args.save_only_model || (write_json(folder, "training_state.json", more, err) &&
                                        write_optimizer(t, folder, err)));
}

/* A step's number from "checkpoint-N", or -1. */
static int64_t step_of_name(const char *name)
{
    int64_t step;
    Str rest = str_of(name);
    if (!str_starts(rest, S("checkpoint-")) ||
        !str_to_int(str_slice(rest, strlen("checkpoint-"), rest.len), 1, INT64_MAX, &step))
        return -1;
    return step;
}

/* The smallest step above `from` that has a folder; -1 without one. */
static int64_t next_step(const char *folder, int64_t from)
{
    DIR *d = opendir(folder);
    int64_t least = -1;
    for (struct dirent *e; d && (e = readdir(d));) {
        int64_t step = step_of_name(e->d_name);
        if (step > from && (least < 0 || step < least))
            least = step;
    }
    if (d)
        closedir(d);
    return least;
}

const char *checkpoint_newest(const char *folder, Arena *a)
{
    int64_t newest = -1;
    for (int64_t step = 0; (step = next_step(folder, step)) > 0;)
        newest = step;
    return newest > 0 ? arena_printf(a, "%s/checkpoint-%lld", folder, (long long)newest) : NULL;
}

void checkpoint_clean(const char *folder)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (str_starts(str_of(e->d_name), str_of(partial_prefix)))
            (void)!file_remove_tree(arena_printf(a, "%s/%s", folder, e->d_name), NULL);
    if (d)
        closedir(d);
}

/* Lets the oldest go while there are more than the limit; the best one stays. */
static bool rotate(const Trainer *t, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int64_t n = 0, limit = t->args.save_total_limit;
    for (int64_t step = 0; (step = next_step(t->spec->output, step)) > 0;)
        n++;
    for (int64_t step = 0; limit > 0 && n > limit;) {
        step = next_step(t->spec->output, step);
        if (step < 0 || step == t->step)
            break;
        if (t->args.load_best_model_at_end && step == t->best_step)
            continue;
        const char *old = arena_printf(a, "%s/checkpoint-%lld", t->spec->output, (long long)step);
        // Out of sight first, so that a half removed folder is no checkpoint.
        const char *gone =
            arena_printf(a, "%s/%s%lld.partial", t->spec->output, partial_prefix, (long long)step);
        if (rename(old, gone) != 0)
            return fail_io(err, "rename '%s'", old);
        if (!file_remove_tree(gone, err))
            return false;
        n--;
    }
    return true;
}

/* Gives the whole folder its name; one that has it already, from a run before, changes places. */
static bool publish(const char *partial, const char *folder, Error *err)
{
    if (!file_is_folder(folder))
        return rename(partial, folder) == 0 || fail_io(err, "rename '%s'", partial);
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, folder, RENAME_EXCHANGE) != 0)
        return fail_io(err, "exchange '%s' and '%s'", partial, folder);
    return file_remove_tree(partial, err);
}

bool checkpoint_write(Trainer *t, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *output = t->spec->output;
    const char *folder = arena_printf(a, "%s/checkpoint-%lld", output, (long long)t->step);
    const char *partial =
        arena_printf(a, "%s/%s%lld.partial", output, partial_prefix, (long long)t->step);
    if (!file_remove_tree(partial, err) || !file_make_folders(partial, 0755, err) ||
        !model_write(t, partial, err) || !write_state(t, partial, err) ||
        !file_sync_folder(partial, err) || !publish(partial, folder, err) ||
        !file_sync_folder(output, err) || !rotate(t, err))
        return fail_while(err, "save '%s'", folder);
    return true;
}

/* ---- Reading ---- */

static bool read_tensor(const Checkpoint *c, const char *name, float *out, size_t n, Error *err)
{
    const StoredTensor *s = checkpoint_find(c, str_of(name));
    if (!s)
        return fail(err, ERR_INVALID, "tensor '%s' is missing", name);
    if (s->foreign || s->type != DTYPE_F32 || s->size != n * sizeof *out)
        return fail(err, ERR_INVALID, "tensor '%s' is not %zu values of f32", name, n);
    memcpy(out, s->data, s->size);
    return true;
}

bool checkpoint_read_weights(Trainer *t, const char *folder, Error *err)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", folder, adapter_file);
    const char *from = weights_lora(t->model->weights) ? path : folder;
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_open(from, err);
    if (!c)
        return false;
    for (size_t i = 0; i < learner_count(t->learner); i++) {
        Weight *w = learner_weight(t->learner, i);
        size_t n = (size_t)shape_count(weight_shape(w));
        if (!read_tensor(c, weight_name(w), weight_values(w), n, err))
            return fail_while(err, "%s", folder);
        weight_updated(w);
    }
    return true;
}

static bool read_optimizer(Trainer *t, const char *folder, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(checkpoint_free)
    Checkpoint *c = checkpoint_open(arena_printf(a, "%s/optimizer.safetensors", folder), err);
    if (!c)
        return false;
    for (size_t i = 0; i < learner_count(t->learner); i++)
        for (int j = 0; j < OPTIMIZER_STATES; j++) {
            size_t n;
            float *state = learner_state(t->learner, i, j, &n);
            const char *name = weight_name(learner_weight(t->learner, i));
            name = arena_printf(a, "%s.%s", learner_state_name(t->learner, j), name);
            if (state && !read_tensor(c, name, state, n, err))
                return fail_while(err, "optimizer.safetensors");
        }
    return read_tensor(c, "history.loss", t->curve, (size_t)t->step, err) ||
           fail_while(err, "optimizer.safetensors");
}

static bool check_data(const Trainer *t, const json_t *saved, Error *err)
{
    AUTO(json_decref) json_t *ours = data_state(t);
    const char *key;
    json_t *value;
    json_object_foreach(ours, key, value)
    {
        int64_t theirs = json_int(saved, key, -1);
        if (theirs != json_integer_value(value))
            return fail(err, ERR_INVALID,
                        "%s was %lld and is %lld: this would be another training; give the folder "
                        "as --model to begin one with its weights",
                        key, (long long)theirs, (long long)json_integer_value(value));
    }
    return true;
}

static bool read_states(Trainer *t, const json_t *state, const json_t *more, Error *err)
{
    int64_t step = json_int(state, "global_step", -1);
    if (step < 1 || !json_is_array(json_object_get(state, "log_history")))
        return fail(err, ERR_INVALID, "trainer_state.json: global_step or log_history is missing");
    if (step > t->steps)
        return fail(err, ERR_INVALID, "it has %lld updates, the training has %lld", (long long)step,
                    (long long)t->steps);
    if (!check_data(t, json_object_get(more, "data"), err))
        return false;
    const json_t *running = json_object_get(more, "running");
    t->step = step;
    learner_set_updates(t->learner, step);
    json_decref(t->log_history);
    t->log_history = json_deep_copy(json_object_get(state, "log_history"));
    t->best_step = json_int(state, "best_global_step", 0);
    t->best_metric = json_num(state, "best_metric", 0);
    t->tokens_seen = json_int(state, "num_input_tokens_seen", 0);
    t->loss_sum = json_num(running, "loss_sum", 0);
    t->loss_count = json_int(running, "loss_count", 0);
    t->from_scratch = json_flag(more, "from_scratch", false);
    return true;
}

bool checkpoint_read_state(Trainer *t, const char *folder, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref)
    json_t *state =
        json_read_file(arena_printf(a, "%s/trainer_state.json", folder), MAX_STATE, err);
    AUTO(json_decref)
    json_t *more =
        state ? json_read_file(arena_printf(a, "%s/training_state.json", folder), MAX_STATE, err)
              : NULL;
    if (!more || !read_states(t, state, more, err) || !read_optimizer(t, folder, err))
        return fail_while(err, "go on from '%s'", folder);
    return true;
}
