/* Arguments read, set and written, and schedules against those of transformers (tests/golden/
 * training.json, by tools/golden/training.py). */
#include "base/test.h"
#include "train/arguments.h"

#include <math.h>

static void test_defaults_are_those_of_transformers(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    TrainingArguments t;
    assert_ok(training_arguments_read(&t, NULL, a, &err));
    assert_true(t.learning_rate == 5e-5 && t.num_train_epochs == 3 && t.max_steps == -1);
    assert_true(t.per_device_train_batch_size == 8 && t.max_grad_norm == 1 && t.seed == 42);
    assert_true(t.schedule == SCHEDULE_LINEAR && t.save == STRATEGY_STEPS && t.eval == STRATEGY_NO);
    assert_int_equal(t.data_seed, 42);
}

static void test_assignments_take_the_type_of_their_argument(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref) json_t *given = json_object();
    static const char *const all[] = {"learning_rate=1e-3",
                                      "max_steps=10",
                                      "bf16=True",
                                      "lr_scheduler_type=cosine",
                                      "lr_scheduler_kwargs.num_cycles=2",
                                      "lr_scheduler_kwargs.power=3",
                                      "max_length=64",
                                      "report_to=none"};
    for (size_t i = 0; i < COUNT(all); i++)
        assert_ok(training_arguments_set(given, all[i], &err));
    TrainingArguments t;
    assert_ok(training_arguments_read(&t, given, a, &err));
    assert_true(t.learning_rate == 1e-3 && t.max_steps == 10 && t.bf16 && t.block_size == 64);
    assert_true(t.lr_scheduler_kwargs.num_cycles == 2 && t.lr_scheduler_kwargs.power == 3);

    // What is written reads back the same.
    AUTO(json_decref) json_t *written = training_arguments_json(&t);
    TrainingArguments again;
    assert_ok(training_arguments_read(&again, written, a, &err));
    AUTO(json_decref) json_t *rewritten = training_arguments_json(&again);
    assert_true(json_equal(written, rewritten));
}

static void test_mistakes_are_named(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref) json_t *given = json_object();
    assert_fails(training_arguments_set(given, "learning_rat=1", &err), ERR_USAGE,
                 "is it 'learning_rate'");
    assert_fails(training_arguments_set(given, "bf16", &err), ERR_USAGE, "is not key=value");
    TrainingArguments t;
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"{\"lr_scheduler_type\": \"banana\"}", "must be one of linear, cosine"},
        {"{\"bf16\": 1}", "'bf16' must be true or false"},
        {"{\"per_device_train_batch_size\": 0}", "must lie in 1 to"},
        {"{\"load_best_model_at_end\": true}", "needs an eval_strategy"},
        {"{\"lr_scheduler_kwargs\": {\"cycles\": 1}}", "lr_scheduler_kwargs.cycles"},
        {"[]", "must be an object"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(json_decref) json_t *object = json_parse(str_of(cases[i].json), "test", &err);
        err = (Error){0};
        assert_false(training_arguments_read(&t, object, a, &err));
        if (!strstr(err.text, cases[i].words))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].words);
    }
    assert_ok(training_arguments_set(given, "bf16=maybe", &err));
    assert_fails(training_arguments_read(&t, given, a, &err), ERR_INVALID, "'bf16' must be");
}

static void test_schedules_are_those_of_transformers(void **state)
{
    Error err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/tests/golden/training.json", getenv("HUG_SOURCE_ROOT"));
    AUTO(json_decref) json_t *golden = json_read_file(path, 1 << 20, &err);
    assert_ok(golden);
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t i, j;
    json_t *row, *factor;
    json_array_foreach(json_object_get(golden, "schedules"), i, row)
    {
        int64_t steps = json_int(row, "steps", 0);
        AUTO(json_decref) json_t *given = json_copy(row);
        json_object_del(given, "steps");
        json_object_del(given, "factors");
        json_object_set_new(given, "learning_rate", json_real(1e-3));
        TrainingArguments t;
        assert_ok(training_arguments_read(&t, given, a, &err));
        assert_ok(schedule_check(&t, steps, &err));
        json_array_foreach(json_object_get(row, "factors"), j, factor)
        {
            double seen = schedule_factor(&t, (int64_t)j, steps);
            if (!(fabs(seen - json_number_value(factor)) <= 1e-14))
                fail_msg("schedule %zu (%s), step %zu: %.17g, transformers has %.17g", i,
                         t.lr_scheduler_type, j, seen, json_number_value(factor));
        }
    }
    assert_true(i > 10);
}

int main(void)
{
    return RUN(test_defaults_are_those_of_transformers,
               test_assignments_take_the_type_of_their_argument, test_mistakes_are_named,
               test_schedules_are_those_of_transformers);
}
