/* Trainings of a tiny model: that they can be gone on with to the last bit, from whichever
 * checkpoint is whole, and what they leave. */
#include "base/test.h"
#include "formats/checkpoint.h"
#include "train/train.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *model, *data;

typedef struct Heard {
    json_t *entries;
    int64_t stop_at; // step behind which it is told to stop; 0: never
    atomic_bool stop;
} Heard;

static void hear(void *context, const json_t *entry)
{
    Heard *h = context;
    json_array_append_new(h->entries, json_deep_copy(entry));
    if (h->stop_at && json_int(entry, "step", 0) >= h->stop_at)
        atomic_store(&h->stop, true);
}

static const char common[] =
    "\"block_size\": 16, \"per_device_train_batch_size\": 2, \"gradient_accumulation_steps\": 2, "
    "\"learning_rate\": 0.01, \"logging_steps\": 3, \"warmup_steps\": 2, \"weight_decay\": 0.1";

static bool run(const char *output, const char *arguments, bool resume, int64_t stop_at, Heard *h,
                TrainResult *result, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *text = arena_printf(a, "{%s%s}", common, arguments);
    AUTO(json_decref) json_t *given = json_parse(str_of(text), "arguments", err);
    TrainingArguments args;
    assert_true(training_arguments_read(&args, given, a, err));
    *h = (Heard){.entries = json_array(), .stop_at = stop_at};
    const TrainSpec spec = {.model = model,
                            .dataset = data,
                            .output = output,
                            .from_scratch = args.lora_r == 0,
                            .resume = resume ? "" : NULL,
                            .args = &args,
                            .quiet = true,
                            .cancelled = &h->stop,
                            .on_log = hear,
                            .context = h};
    return train(&spec, result, err);
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    Error err = {0};
    char path[600];
    AUTO_BUF first, second;
    buf_init(&first, 0);
    buf_init(&second, 0);
    snprintf(path, sizeof path, "%s/%s", a, name);
    assert_ok(file_read(path, &first, &err));
    snprintf(path, sizeof path, "%s/%s", b, name);
    assert_ok(file_read(path, &second, &err));
    if (!str_eq(buf_str(&first), buf_str(&second)))
        fail_msg("%s differs between %s and %s", name, a, b);
}

/* The log without what time decides. */
static json_t *figures(const Heard *h)
{
    json_t *all = json_array();
    size_t i;
    json_t *entry;
    json_array_foreach(h->entries, i, entry)
    {
        if (json_object_get(entry, "loss"))
            json_array_append(all, entry);
    }
    return all;
}

static void test_a_run_that_was_stopped_goes_on_to_the_last_bit(void **state)
{
    Error err = {0};
    Heard whole, first, second;
    TrainResult result;
    static const char arguments[] = ", \"max_steps\": 20, \"save_steps\": 7";
    const char *a = test_path("whole"), *b = test_path("parts");
    assert_ok(run(a, arguments, false, 0, &whole, &result, &err));
    assert_int_equal(result.steps, 20);
    // Stopped at 9, in the middle of what is logged together and of an accumulated epoch.
    assert_fails(run(b, arguments, false, 9, &first, &result, &err), ERR_CANCELLED,
                 "stopped behind 9 of 20 updates; --resume goes on");
    // An older stop may have lost its newest checkpoint: then it goes on from the one before.
    assert_ok(file_remove_tree(test_path("parts/checkpoint-9"), &err));
    assert_ok(run(b, arguments, true, 0, &second, &result, &err));
    assert_same_file(a, b, "model.safetensors");
    assert_same_file(a, b, "checkpoint-20/optimizer.safetensors");
    assert_same_file(a, b, "checkpoint-20/training_state.json");

    AUTO(json_decref) json_t *all = figures(&whole);
    AUTO(json_decref) json_t *rest = figures(&second);
    size_t n = json_array_size(all), m = json_array_size(rest);
    assert_true(n == 6 && m == 4); // 3, 6, 9, ...
    for (size_t i = 0; i < m; i++)
        assert_true(json_equal(json_array_get(all, n - m + i), json_array_get(rest, i)));
    json_decref(whole.entries);
    json_decref(first.entries);
    json_decref(second.entries);
}

/* Runs a training in a process of its own and kills it some time later; true if it was killed. */
static bool killed_after(const char *output, int64_t us)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("HUG_THREADS", "1", 1);
        Heard h;
        Error err = {0};
        _exit(!run(output, ", \"max_steps\": 12, \"save_steps\": 1, \"save_total_limit\": 2", true,
                   0, &h, NULL, &err));
    }
    usleep((useconds_t)us);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
}

static void test_a_kill_during_a_save_loses_nothing(void **state)
{
    Error err = {0};
    Heard h;
    TrainResult result;
    const char *output = test_path("killed");
    int64_t us = 2000;
    for (int i = 0; i < 8 && killed_after(output, us); i++)
        us = us * 3 / 2;
    assert_ok(run(output, ", \"max_steps\": 12, \"save_steps\": 1, \"save_total_limit\": 2", true,
                  0, &h, &result, &err));
    json_decref(h.entries);
    assert_ok(run(test_path("alive"), ", \"max_steps\": 12, \"save_strategy\": \"no\"", false, 0,
                  &h, &result, &err));
    json_decref(h.entries);
    assert_same_file(output, test_path("alive"), "model.safetensors");
    assert_true(file_is_folder(test_path("killed/checkpoint-12")));
    assert_true(file_is_folder(test_path("killed/checkpoint-11")));
    assert_false(file_is_folder(test_path("killed/checkpoint-10")));
}

static void test_the_best_model_is_kept(void **state)
{
    Error err = {0};
    Heard h;
    TrainResult result;
    // The rate is so high that it gets worse again.
    assert_ok(
        run(test_path("best"),
            ", \"num_train_epochs\": 6, \"learning_rate\": 0.3, \"eval_strategy\": \"epoch\", "
            "\"save_strategy\": \"epoch\", \"load_best_model_at_end\": true, "
            "\"save_total_limit\": 1, \"validation_split_percentage\": 20",
            false, 0, &h, &result, &err));
    AUTO(json_decref)
    json_t *state_json = json_read_file(test_path("best/trainer_state.json"), 1 << 20, &err);
    assert_ok(state_json);
    int64_t best = json_int(state_json, "best_global_step", 0);
    double least = INFINITY, said = json_num(state_json, "best_metric", 0);
    size_t i;
    json_t *entry;
    json_array_foreach(h.entries, i, entry) least =
        MIN(least, json_num(entry, "eval_loss", INFINITY));
    assert_true(least == said && best > 0);
    char folder[64];
    snprintf(folder, sizeof folder, "best/checkpoint-%lld", (long long)best);
    assert_same_file(test_path("best"), test_path(folder), "model.safetensors");
    assert_true(fabs(result.eval_loss - said) > 0 ||
                best == json_int(state_json, "global_step", 0));
    json_decref(h.entries);
}

static void test_another_training_cannot_go_on(void **state)
{
    Error err = {0};
    Heard h;
    TrainResult first, again;
    assert_ok(run(test_path("other"), ", \"max_steps\": 4", false, 0, &h, &first, &err));
    json_decref(h.entries);
    assert_fails(run(test_path("other"), ", \"max_steps\": 4", false, 0, &h, NULL, &err),
                 ERR_EXISTS, "checkpoint-4' is of an earlier training");
    json_decref(h.entries);
    // One that is at its end changes nothing.
    assert_ok(run(test_path("other"), ", \"max_steps\": 4", true, 0, &h, &again, &err));
    json_decref(h.entries);
    assert_true(first.train_loss == again.train_loss && again.tokens == 0);
    assert_fails(
        run(test_path("other"), ", \"max_steps\": 8, \"block_size\": 20", true, 0, &h, NULL, &err),
        ERR_INVALID, "block_size was 16 and is 20");
    json_decref(h.entries);
    assert_fails(run(test_path("other"), ", \"max_steps\": 2", true, 0, &h, NULL, &err),
                 ERR_INVALID, "it has 4 updates, the training has 2");
    json_decref(h.entries);
}

static void test_lengths_may_differ(void **state)
{
    Error err = {0};
    Heard h;
    TrainResult result;
    assert_ok(run(test_path("padded"),
                  ", \"packing\": false, \"block_size\": 40, \"group_by_length\": true, \"optim\": "
                  "\"adafactor\", \"num_train_epochs\": 4, \"label_smoothing_factor\": 0.1, "
                  "\"gradient_checkpointing\": true",
                  false, 0, &h, &result, &err));
    assert_true(isfinite(result.train_loss));
    json_decref(h.entries);
}

/* The weights of the model stay, its adapters learn, go on, and are found where they are stored. */
static void test_adapters_are_trained(void **state)
{
    Error err = {0};
    Heard h;
    TrainResult result;
    static const char arguments[] =
        ", \"lora_r\": 4, \"lora_alpha\": 16, \"lora_dropout\": 0.1, \"lora_target_modules\": "
        "\"c_attn,mlp.c_proj\", \"max_steps\": 8, \"save_steps\": 4";
    assert_ok(run(test_path("lora"), arguments, false, 0, &h, &result, &err));
    json_decref(h.entries);
    AUTO(checkpoint_free)
    Checkpoint *c = checkpoint_open(test_path("lora/adapter_model.safetensors"), &err);
    assert_ok(c);
    assert_int_equal(checkpoint_count(c), 4);
    const StoredTensor *b =
        checkpoint_find(c, S("base_model.model.transformer.h.0.mlp.c_proj.lora_B.weight"));
    assert_true(b && b->rank == 2 && b->dims[0] == 32 && b->dims[1] == 4);
    const float *values = b->data;
    assert_true(fabsf(values[0]) > 1e-6F);
    assert_false(file_exists(test_path("lora/model.safetensors")));

    assert_fails(run(test_path("lora-parts"), arguments, false, 6, &h, &result, &err),
                 ERR_CANCELLED, "stopped behind 6");
    json_decref(h.entries);
    assert_ok(run(test_path("lora-parts"), arguments, true, 0, &h, &result, &err));
    json_decref(h.entries);
    assert_same_file(test_path("lora"), test_path("lora-parts"), "adapter_model.safetensors");

    assert_fails(run(test_path("none"), ", \"lora_r\": 4, \"lora_target_modules\": \"x\"", false, 0,
                     &h, &result, &err),
                 ERR_INVALID, "no layer is called 'x'");
    json_decref(h.entries);
}

int main(void)
{
    Error err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/tests/golden/text-generation", getenv("HUG_SOURCE_ROOT"));
    model = path;
    data = test_path("data.jsonl");
    AUTO_BUF text;
    buf_init(&text, 0);
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "{\"text\": \"the %d small cats sat on %.*s\"}\n", i * 7 % 13, i % 9 * 4,
                   "a mat, and then they looked at the moon");
    if (!file_write_atomic(data, buf_str(&text), 0644, &err))
        return 1;
    data = xstrdup(data);
    int failed =
        RUN(test_a_run_that_was_stopped_goes_on_to_the_last_bit,
            test_a_kill_during_a_save_loses_nothing, test_the_best_model_is_kept,
            test_another_training_cannot_go_on, test_lengths_may_differ, test_adapters_are_trained);
    test_folder_remove();
    free((char *)(uintptr_t)data);
    return failed;
}
