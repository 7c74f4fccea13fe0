/* The public library as a program outside sees it. */
#include "base/test.h"

#include <hug/hug.h>

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
}

static void test_ids_in_ids_out(void **state)
{
    HugError err;
    HugModel *m = hug_model_open(golden("llama"), "f32", &err);
    assert_non_null(m);
    assert_int_equal(hug_model_vocab_size(m), 211);
    assert_int_equal(hug_model_max_tokens(m), 128);
    const int32_t prompt[] = {5, 6, 7};
    int32_t few[2] = {-1, -1};
    const char *parameters = "{\"max_new_tokens\":8,\"eos_token_id\":[]}";
    assert_int_equal(hug_model_generate_ids(m, prompt, 3, parameters, few, 2, &err), 8);
    const float *logits = hug_model_logits(m, prompt, 3, &err);
    assert_non_null(logits);
    int32_t best = 0;
    for (int32_t i = 1; i < 211; i++)
        if (logits[i] > logits[best])
            best = i;
    assert_int_equal(best, few[0]);
    hug_model_free(m);
}

static void test_failures_say_what_and_why(void **state)
{
    HugError err;
    assert_null(hug_model_open("/nowhere", NULL, &err));
    assert_string_equal(err.kind, "not_found");
    assert_non_null(strstr(err.text, "/nowhere"));
    HugModel *m = hug_model_open(golden("gpt2"), NULL, &err);
    assert_non_null(m);
    assert_null(hug_model_generate(m, "x", NULL, NULL, NULL, &err)); // it brings no tokenizer
    assert_non_null(strstr(err.text, "tokenizer"));
    assert_int_equal(hug_model_generate_ids(m, NULL, 0, NULL, NULL, 0, &err), -1);
    assert_int_equal(hug_model_generate_ids(m, &(int32_t){1}, 1, "{", NULL, 0, NULL), -1);
    hug_model_free(m);
    assert_null(hug_tokenizer_open("/nowhere", &err));
    assert_null(hug_pipeline_open(golden("gpt2"), "dreaming", NULL, &err));
    assert_string_equal(err.text, "there is no task 'dreaming'");
}

static bool count(void *context, const char *entry)
{
    int *n = context;
    assert_non_null(strstr(entry, "\"loss\":"));
    return ++*n < 3;
}

static void test_training_tells_its_log_and_stops_when_told(void **state)
{
    HugError err;
    Error e = {0};
    int n = 0;
    const char *data = test_path("data.txt");
    assert_true(
        file_write_atomic(data, S("the cat sat on the mat and looked at the moon"), 0644, &e));
    static const char arguments[] = "{\"max_steps\": 9, \"block_size\": 8, \"logging_steps\": 1}";
    assert_false(
        hug_train(golden("text-generation"), data, test_path("out"), arguments, count, &n, &err));
    assert_string_equal(err.kind, "cancelled");
    assert_int_equal(n, 3);
    assert_false(hug_train(golden("text-generation"), data, test_path("out"), "{\"lr\": 1}", NULL,
                           NULL, &err));
    assert_non_null(strstr(err.text, "no training argument 'lr'"));
    test_folder_remove();
}

int main(void)
{
    return RUN(test_ids_in_ids_out, test_failures_say_what_and_why,
               test_training_tells_its_log_and_stops_when_told);
}
