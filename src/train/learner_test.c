/* Learning: losses fall, gradients accumulate, checkpointed layers change nothing. */
#include "base/test.h"
#include "train/learner.h"

#include <math.h>

enum { ROWS = 4, LENGTH = 12 };

static const char tiny_llama[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"vocab_size\": 37, "
    "\"hidden_size\": 24, \"intermediate_size\": 40, \"num_hidden_layers\": 2, "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"max_position_embeddings\": 32}";
static const char tiny_gpt2[] =
    "{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"gpt2\", \"vocab_size\": 37, "
    "\"n_embd\": 24, \"n_layer\": 2, \"n_head\": 3, \"n_positions\": 32, \"embd_pdrop\": 0, "
    "\"attn_pdrop\": 0, "
    "\"resid_pdrop\": 0}";

static Model *fresh(const char *config, bool bf16)
{
    Error err = {0};
    assert_ok(file_write_atomic(test_path("config.json"), str_of(config), 0644, &err));
    Model *m = model_begin(test_folder(), bf16 ? PRECISION_BF16 : PRECISION_F32, 5, &err);
    assert_ok(m);
    return m;
}

static TrainingArguments arguments(const char *text)
{
    static Arena *a;
    a = a ? a : arena_new(0);
    Error err = {0};
    TrainingArguments args;
    AUTO(json_decref) json_t *given = json_parse(str_of(text), "arguments", &err);
    assert_ok(training_arguments_read(&args, given, a, &err));
    return args;
}

/* Sequences that count in steps of their own. */
static TrainBatch counting(void)
{
    static int32_t ids[ROWS * LENGTH], labels[ROWS * LENGTH];
    for (int r = 0; r < ROWS; r++)
        for (int t = 0; t < LENGTH; t++) {
            ids[r * LENGTH + t] = (r + t * (r + 1)) % 37;
            labels[r * LENGTH + t] = t + 1 < LENGTH ? (r + (t + 1) * (r + 1)) % 37 : LABEL_IGNORED;
        }
    return (TrainBatch){.rows = ROWS, .length = LENGTH, .ids = ids, .labels = labels};
}

enum { LABELS = ROWS * (LENGTH - 1) };

static double learn(const char *config, const char *options, int updates, double lr)
{
    Error err = {0};
    const TrainingArguments args = arguments(options);
    AUTO(model_free) Model *m = fresh(config, args.bf16);
    AUTO(learner_free) Learner *l = learner_new(m, &args, &err);
    assert_ok(l);
    const TrainBatch b = counting();
    double first = 0, loss = 0, norm;
    for (int i = 0; i < updates; i++) {
        assert_ok(learner_show(l, &b, LABELS, (uint64_t)i, &loss, &err));
        first = i == 0 ? loss : first;
        learner_update(l, lr, &norm);
        assert_true(isfinite(norm) && norm > 0);
    }
    // At random all of 37 tokens are as likely.
    assert_true(fabs(first - log(37)) < 0.1);
    double sum;
    assert_ok(learner_evaluate(l, &b, &sum, &err));
    return sum / LABELS;
}

static void test_losses_fall(void **state)
{
    static const struct {
        const char *options;
        double lr;
    } cases[] = {{"{}", 0.01},
                 {"{\"bf16\": true}", 0.01},
                 {"{\"optim\": \"sgd\", \"optim_args\": \"momentum=0.9\"}", 0.3},
                 {"{\"optim\": \"adagrad\"}", 0.05},
                 {"{\"optim\": \"rmsprop\"}", 0.005},
                 {"{\"optim\": \"lion\"}", 0.003},
                 {"{\"optim\": \"adafactor\"}", 0.02}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int gpt2 = 0; gpt2 < 2; gpt2++) {
            double loss = learn(gpt2 ? tiny_gpt2 : tiny_llama, cases[i].options, 60, cases[i].lr);
            if (!(loss < 1))
                fail_msg("%s, %s: loss %g", gpt2 ? "gpt2" : "llama", cases[i].options, loss);
        }
}

static void test_checkpointed_layers_learn_the_same_to_the_bit(void **state)
{
    double plain = learn(tiny_gpt2, "{}", 5, 0.01);
    double again = learn(tiny_gpt2, "{\"gradient_checkpointing\": true}", 5, 0.01);
    assert_true(plain == again);
}

static void test_two_half_batches_are_one(void **state)
{
    Error err = {0};
    const TrainingArguments args = arguments("{}");
    AUTO(model_free) Model *m = fresh(tiny_llama, false);
    AUTO(learner_free) Learner *l = learner_new(m, &args, &err);
    const TrainBatch b = counting();
    TrainBatch half[2] = {b, b};
    half[0].rows = half[1].rows = ROWS / 2;
    half[1].ids += ROWS / 2 * LENGTH;
    half[1].labels += ROWS / 2 * LENGTH;
    double whole, parts[2];
    assert_ok(learner_show(l, &b, LABELS, 0, &whole, &err));
    size_t n = (size_t)shape_count(weight_shape(learner_weight(l, 0)));
    AUTO(free) char *kept = xmalloc(n * sizeof(float));
    const float *gradient = weight_gradient(learner_weight(l, 0));
    memcpy(kept, gradient, n * sizeof(float));
    learner_zero(l);
    for (int i = 0; i < 2; i++)
        assert_ok(learner_show(l, &half[i], LABELS, 0, &parts[i], &err));
    assert_true(fabs(parts[0] + parts[1] - whole) < 1e-5);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(gradient[i] - ((const float *)(const void *)kept)[i]) < 1e-6F);
}

static void check_chance(const char *given, const char *dropouts)
{
    Error err = {0};
    const TrainingArguments args = arguments(given);
    AUTO_BUF config;
    buf_init(&config, 0);
    buf_printf(&config, "%.*s, %s}", (int)(strstr(tiny_gpt2, ", \"embd_pdrop\"") - tiny_gpt2),
               tiny_gpt2, dropouts);
    AUTO(model_free) Model *m = fresh(config.ptr, args.bf16);
    AUTO(learner_free) Learner *l = learner_new(m, &args, &err);
    const TrainBatch b = counting();
    static const uint64_t seeds[] = {0, 1, 2, 1};
    double loss[COUNT(seeds)], sum, norm[COUNT(seeds)];
    for (size_t i = 0; i < COUNT(seeds); i++) {
        assert_ok(learner_show(l, &b, LABELS, seeds[i], &loss[i], &err));
        learner_update(l, 0, &norm[i]);
    }
    assert_ok(learner_evaluate(l, &b, &sum, &err));
    assert_true(fabs(sum / LABELS - loss[0]) < 1e-6);
    assert_true(loss[1] != loss[0] && loss[1] != loss[2] && norm[1] != norm[2]);
    assert_true(loss[1] == loss[3] && norm[1] == norm[3]);
}

static void test_dropout_and_noise_follow_their_seed(void **state)
{
    check_chance("{}", "\"embd_pdrop\": 0.5, \"resid_pdrop\": 0.3, \"attn_pdrop\": 0");
    check_chance("{}", "\"embd_pdrop\": 0, \"resid_pdrop\": 0, \"attn_pdrop\": 0.4");
    check_chance("{\"bf16\": true}", "\"embd_pdrop\": 0, \"resid_pdrop\": 0, \"attn_pdrop\": 0.4");
    check_chance("{\"neftune_noise_alpha\": 5}",
                 "\"embd_pdrop\": 0, \"resid_pdrop\": 0, \"attn_pdrop\": 0");
}

static void test_optimizers_that_are_not_there_are_named(void **state)
{
    Error err = {0};
    AUTO(model_free) Model *m = fresh(tiny_llama, false);
    TrainingArguments args = arguments("{\"optim\": \"banana\"}");
    assert_fails(learner_new(m, &args, &err), ERR_UNSUPPORTED, "there are adamw_torch, sgd");
    args = arguments("{\"optim_args\": \"momentum=1\"}");
    assert_fails(learner_new(m, &args, &err), ERR_UNSUPPORTED, "adamw takes no 'momentum=1'");
}

int main(void)
{
    int failed = RUN(test_losses_fall, test_checkpointed_layers_learn_the_same_to_the_bit,
                     test_two_half_batches_are_one, test_dropout_and_noise_follow_their_seed,
                     test_optimizers_that_are_not_there_are_named);
    test_folder_remove();
    return failed;
}
