/* Gradients of whole models against PyTorch: the recorded values of tests/golden, made by
 * tools/golden/gradients.py. Then checkpoints, which change no bit and take less memory.
 *
 * The reference is f64; ours sums some hundred f32 products a value through a few layers, so the
 * difference may be 5e-5 of the gradient. With bf16 products it is 0.06 to 0.4 on these models,
 * whose weights are drawn wide; PyTorch's own autocast is off by 0.08 to 0.35 of them. */
#include "base/test.h"
#include "models/models.h"

#include <math.h>

enum { STEP = 5, BATCH = 3, TOKENS = 17 };

static const char *const cases[] = {"gpt2", "gpt2-bare", "llama", "llama-3", "llama-yarn"};

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
}

/* A model, a training graph of it, and what PyTorch says. */
typedef struct Trained {
    Model *model;
    Graph *graph;
    Tensor *loss;
    Checkpoint *recorded;
} Trained;

static const void *recorded(const Trained *t, const char *name)
{
    const StoredTensor *s = checkpoint_find(t->recorded, str_of(name));
    if (!s)
        fail_msg("no recorded '%s'", name);
    return s->data;
}

static Trained train(const char *name, Precision precision, bool checkpoints)
{
    Error err = {0};
    char file[100];
    Trained t = {.model = model_open_trainable(golden(name), precision, &err)};
    if (!t.model)
        fail_msg("%s", err.text);
    snprintf(file, sizeof file, "%s/gradients.safetensors", name);
    assert_ok(t.recorded = checkpoint_open(golden(file), &err));

    Graph *g = t.graph = graph_new();
    graph_set_mode(g, GRAPH_TRAIN);
    graph_use_checkpoints(g, checkpoints);
    Step step = {.tokens = graph_input(g, DTYPE_I32, SHAPE(BATCH, TOKENS)),
                 .positions = graph_input(g, DTYPE_I32, SHAPE(BATCH, TOKENS))};
    Tensor *labels = graph_input(g, DTYPE_I32, SHAPE(BATCH, TOKENS));
    Tensor *logits =
        t.model->architecture->decoder(g, nn_root(g, t.model->weights), t.model->config, &step);
    t.loss = graph_output(g, op_cross_entropy(g, logits, labels, NULL));
    assert_ok(graph_backward(g, t.loss, &err));

    size_t bytes = sizeof(int32_t) * BATCH * TOKENS;
    memcpy(tensor_data(step.tokens), recorded(&t, "tokens"), bytes);
    memcpy(tensor_data(labels), recorded(&t, "labels"), bytes);
    for (int i = 0; i < BATCH * TOKENS; i++)
        ((int32_t *)tensor_data(step.positions))[i] = i % TOKENS;
    assert_ok(graph_run(g, &err));
    return t;
}

static void done(Trained *t)
{
    graph_free(t->graph);
    model_free(t->model);
    checkpoint_free(t->recorded);
}

static void check_gradients(const char *name, Precision precision, double allowed)
{
    Trained t = train(name, precision, false);
    double loss = (double)*(const float *)tensor_data(t.loss);
    double wanted = (double)*(const float *)recorded(&t, "loss");
    if (!(fabs(loss - wanted) <= allowed * wanted))
        fail_msg("%s: the loss is %.8g, not %.8g", name, loss, wanted);
    for (size_t i = 0; i < weights_count(t.model->weights); i++) {
        Weight *w = weights_at(t.model->weights, i);
        int64_t n = shape_count(weight_shape(w)), kept = (n + STEP - 1) / STEP;
        const float *seen = weight_gradient(w), *expected = recorded(&t, weight_name(w));
        double norm = (double)expected[kept], squares = 0, off = 0;
        for (int64_t j = 0; j < n; j++)
            squares += (double)seen[j] * (double)seen[j];
        for (int64_t j = 0; j < kept; j++)
            off += pow((double)seen[j * STEP] - (double)expected[j], 2);
        off = sqrt(off * STEP) / norm; // as if all had been recorded
        double longer = sqrt(squares) / norm - 1;
        if (!(off <= allowed && fabs(longer) <= allowed))
            fail_msg("%s: the gradient of %s is off by %.2g of its norm, which is off by %.2g",
                     name, weight_name(w), off, longer);
    }
    done(&t);
}

static void test_gradients_are_those_of_pytorch(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        check_gradients(cases[i], PRECISION_F32, 5e-5);
}

static void test_bf16_products_give_nearly_the_same(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        check_gradients(cases[i], PRECISION_BF16, 0.5);
}

static void test_checkpoints_take_less_memory_and_change_no_bit(void **state)
{
    const Precision precisions[] = {PRECISION_F32, PRECISION_BF16};
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        Trained plain = train(cases[i / 2], precisions[i % 2], false);
        Trained again = train(cases[i / 2], precisions[i % 2], true);
        assert_true(graph_memory(again.graph) < graph_memory(plain.graph));
        for (size_t j = 0; j < weights_count(plain.model->weights); j++) {
            Weight *a = weights_at(plain.model->weights, j);
            Weight *b = weights_at(again.model->weights, j);
            size_t bytes = (size_t)shape_count(weight_shape(a)) * sizeof(float);
            if (memcmp(weight_gradient(a), weight_gradient(b), bytes) != 0)
                fail_msg("%s: another gradient of %s", cases[i / 2], weight_name(a));
        }
        done(&plain);
        done(&again);
    }
}

int main(void)
{
    return RUN(test_gradients_are_those_of_pytorch, test_bf16_products_give_nearly_the_same,
               test_checkpoints_take_less_memory_and_change_no_bit);
}
