/* Gradients against finite differences: every operation, with shapes that are no multiple of
 * anything, by each value of each weight. Then what graph_backward promises: sums over fan-out and
 * over runs, checkpoints that change no bit, dropout that repeats itself.
 *
 * Values are f32, so a central difference with step h is off by about 2^-24 |loss| / h, and by the
 * third derivative times h^2; h = 2^-7 and a tolerance of 4e-3 leave room for both. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/gradient_internal.h"
#include "tensor/kernels_testing.h"
#include "tensor/pool_internal.h"

#include <math.h>

enum { MOST = 4 }; // weights a case

static Random source;

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1);
}

static Tensor *ids_of(Graph *g, Shape shape, int below)
{
    Tensor *t = graph_input(g, DTYPE_I32, shape);
    int32_t *ids = tensor_data(t);
    for (int64_t i = 0; i < shape_count(&shape); i++)
        ids[i] = (int32_t)random_below(&source, (uint64_t)below);
    return t;
}

/* The weights of a case are its operands. */
typedef struct Case {
    const char *name;
    Tensor *(*build)(Graph *g, Tensor **w);
    Shape shapes[MOST];
} Case;

#define BUILD(name, expression)                                                                    \
    static Tensor *name(Graph *g, Tensor **w)                                                      \
    {                                                                                              \
        return expression;                                                                         \
    }

BUILD(add, op_add(g, w[0], w[1]))
BUILD(sub, op_sub(g, w[0], w[1]))
BUILD(mul, op_mul(g, w[0], w[1]))
BUILD(square, op_mul(g, w[0], w[0]))
BUILD(scale, op_scale(g, w[0], -1.5F))
BUILD(sum, op_sum(g, w[0]))
BUILD(mean, op_mean(g, op_mul(g, w[0], w[1])))
BUILD(relu, op_relu(g, w[0]))
BUILD(tanh_, op_tanh(g, w[0]))
BUILD(sigmoid, op_sigmoid(g, w[0]))
BUILD(silu, op_silu(g, w[0]))
BUILD(gelu, op_gelu(g, w[0]))
BUILD(gelu_tanh, op_gelu_tanh(g, w[0]))
BUILD(gelu_quick, op_gelu_quick(g, w[0]))
BUILD(softmax, op_softmax(g, w[0]))
BUILD(rms_norm, op_rms_norm(g, w[0], w[1], 1e-5F))
BUILD(rms_norm_bare, op_rms_norm(g, w[0], NULL, 1e-5F))
BUILD(layer_norm, op_layer_norm(g, w[0], w[1], w[2], 1e-5F))
BUILD(layer_norm_bare, op_layer_norm(g, w[0], w[1], NULL, 1e-5F))
BUILD(norm_beside, op_add(g, w[0], op_rms_norm(g, op_tanh(g, w[0]), w[1], 1e-5F)))
BUILD(linear, op_linear(g, w[0], w[1], w[2]))
BUILD(linear_bare, op_linear(g, w[0], w[1], NULL))
BUILD(linear_transposed, op_linear_transposed(g, w[0], w[1], w[2]))
BUILD(dropout, op_dropout(g, op_tanh(g, w[0]), 0.3F))
BUILD(copy, op_contiguous(g, op_permute(g, w[0], (const int[]){1, 0})))
BUILD(slice, op_scale(g, op_slice(g, op_tanh(g, w[0]), 1, 1, 3), 2))
BUILD(permute, op_mul(g, op_permute(g, op_tanh(g, w[0]), (const int[]){2, 0, 1}), w[1]))
BUILD(reshape, op_mul(g, op_reshape(g, op_tanh(g, w[0]), SHAPE(5, 6)), w[1]))

/* What is dropped goes by the place in memory, which a turned gradient does not share. */
BUILD(noise, op_noise(g, op_tanh(g, w[0]), 0.3F))

static Tensor *dropout_turned(Graph *g, Tensor **w)
{
    const int turn[] = {1, 0};
    Tensor *x = op_dropout(g, op_permute(g, op_tanh(g, w[0]), turn), 0.5F);
    return op_softmax(g, op_contiguous(g, op_permute(g, op_dropout(g, x, 0.2F), turn)));
}

/* Fan-out, layers of products, residuals: what a block of a model does. */
static Tensor *block(Graph *g, Tensor **w)
{
    Tensor *x = w[0]; // [2,3,8]
    Tensor *h = op_gelu_tanh(g, op_linear(g, op_layer_norm(g, x, NULL, NULL, 1e-5F), w[1], NULL));
    x = op_add(g, x, op_linear(g, h, w[2], NULL));
    return op_add(g, op_silu(g, x), op_mul(g, x, x));
}

static Tensor *gated(Graph *g, Tensor **w)
{
    Tensor *gate = op_silu(g, op_linear(g, w[0], w[1], NULL));
    return op_add(g, op_mul(g, gate, op_linear(g, w[0], w[2], NULL)), w[3]);
}

static Tensor *split_uneven(Graph *g, Tensor **w)
{
    Tensor *part[3], *x = op_tanh(g, w[0]);
    op_split(g, x, 3, part);
    return op_add(g, op_mul(g, part[2], part[0]), op_slice(g, x, -1, 1, 5));
}

static Tensor *split_heads(Graph *g, Tensor **w)
{
    Tensor *part[3], *x = op_linear(g, w[0], w[1], NULL);
    op_split(g, x, 3, part);
    Tensor *a = op_softmax(g, op_split_heads(g, part[0], 2)), *b = op_split_heads(g, part[1], 2);
    return op_merge_heads(g, op_mul(g, a, op_add(g, b, op_split_heads(g, part[2], 2))));
}

static Tensor *many_slices(Graph *g, Tensor **w)
{
    Tensor *x = op_tanh(g, w[0]), *y = op_slice(g, x, 0, 0, 1);
    for (int i = 1; i < 11; i++)
        y = op_add(g, y, op_scale(g, op_slice(g, x, 0, i, i + 1), (float)i));
    return y;
}

static Tensor *embed(Graph *g, Tensor **w)
{
    return op_add(g, op_embed(g, w[0], ids_of(g, SHAPE(2, 7), 5)),
                  op_embed(g, w[1], ids_of(g, SHAPE(2, 7), 3)));
}

static Tensor *tied(Graph *g, Tensor **w)
{
    return op_linear(g, op_tanh(g, op_embed(g, w[0], ids_of(g, SHAPE(1, 4), 5))), w[0], NULL);
}

static Tensor *take_rows(Graph *g, Tensor **w)
{
    return op_take_rows(g, op_tanh(g, w[0]), ids_of(g, SHAPE(4), 6));
}

static const float freqs[] = {1, 0.3F, 0.1F};

static Tensor *rope(Graph *g, Tensor **w)
{
    const Rope r = {.inv_freq = freqs, .pairs = 3, .scale = 1.25F};
    Tensor *at = ids_of(g, SHAPE(2, 3), 9);
    return op_merge_heads(g, op_rope(g, op_split_heads(g, w[0], 2), at, &r));
}

static Tensor *rope_neighbours(Graph *g, Tensor **w)
{
    const Rope r = {.inv_freq = freqs, .pairs = 3, .neighbours = true};
    Tensor *at = ids_of(g, SHAPE(1, 5), 9);
    return op_rope(g, op_rope(g, w[0], at, &r), at, &r);
}

static Tensor *attend(Graph *g, Tensor **w)
{
    return op_attend(g, w[0], w[1], w[2], &(Attend){.causal = true, .cached = true});
}

static Tensor *attend_everywhere(Graph *g, Tensor **w)
{
    return op_attend(g, op_tanh(g, w[0]), w[1], w[2], &(Attend){.scale = 0.7F});
}

static Tensor *attend_dropping(Graph *g, Tensor **w)
{
    return op_attend(g, w[0], w[1], w[2], &(Attend){.causal = true, .dropout = 0.3F});
}

/* As a decoder has it: one projection, its thirds as heads. */
static Tensor *self_attention(Graph *g, Tensor **w)
{
    Tensor *part[3];
    op_split(g, op_linear_transposed(g, w[0], w[1], w[2]), 3, part);
    Tensor *y = op_attend(g, op_split_heads(g, part[0], 2), op_split_heads(g, part[1], 2),
                          op_split_heads(g, part[2], 2), &(Attend){.causal = true});
    return op_linear(g, op_merge_heads(g, y), w[3], NULL);
}

static Tensor *labelled(Graph *g, Tensor *logits, const CrossEntropy *params)
{
    Tensor *labels = ids_of(g, SHAPE(6), 7);
    ((int32_t *)tensor_data(labels))[2] = LABEL_IGNORED;
    return op_cross_entropy(g, logits, labels, params);
}

static Tensor *cross_entropy(Graph *g, Tensor **w)
{
    return labelled(g, op_scale(g, w[0], 3), NULL);
}

static Tensor *cross_entropy_smoothed(Graph *g, Tensor **w)
{
    Tensor *divisor = graph_input(g, DTYPE_F32, SHAPE(1));
    *(float *)tensor_data(divisor) = 2.5F;
    return labelled(g, op_linear(g, w[0], w[1], NULL),
                    &(CrossEntropy){.label_smoothing = 0.2F, .divisor = divisor});
}

static const Case cases[] = {
    {"add", add, {SHAPE(3, 5), SHAPE(3, 5)}},
    {"add, broadcast", add, {SHAPE(3, 2, 5), SHAPE(5)}},
    {"sub", sub, {SHAPE(3, 5), SHAPE(3, 5)}},
    {"sub, broadcast", sub, {SHAPE(3, 2, 5), SHAPE(2, 5)}},
    {"mul", mul, {SHAPE(3, 5), SHAPE(3, 5)}},
    {"mul, broadcast", mul, {SHAPE(3, 2, 5), SHAPE(5)}},
    {"mul with itself", square, {SHAPE(3, 5)}},
    {"scale", scale, {SHAPE(3, 5)}},
    {"sum", sum, {SHAPE(3, 5)}},
    {"mean", mean, {SHAPE(3, 5), SHAPE(5)}},
    {"relu", relu, {SHAPE(3, 5)}},
    {"tanh", tanh_, {SHAPE(3, 35)}},
    {"sigmoid", sigmoid, {SHAPE(3, 35)}},
    {"silu", silu, {SHAPE(3, 35)}},
    {"gelu", gelu, {SHAPE(3, 35)}},
    {"gelu_tanh", gelu_tanh, {SHAPE(3, 35)}},
    {"gelu_quick", gelu_quick, {SHAPE(3, 35)}},
    {"softmax", softmax, {SHAPE(3, 2, 5)}},
    {"softmax, wide", softmax, {SHAPE(2, 37)}},
    {"rms_norm", rms_norm, {SHAPE(2, 3, 7), SHAPE(7)}},
    {"rms_norm, wide", rms_norm, {SHAPE(3, 37), SHAPE(37)}},
    {"rms_norm without weight", rms_norm_bare, {SHAPE(2, 3, 7)}},
    {"layer_norm", layer_norm, {SHAPE(2, 3, 7), SHAPE(7), SHAPE(7)}},
    {"layer_norm, wide", layer_norm, {SHAPE(3, 37), SHAPE(37), SHAPE(37)}},
    {"layer_norm without bias", layer_norm_bare, {SHAPE(2, 3, 7), SHAPE(7)}},
    {"rms_norm beside its input", norm_beside, {SHAPE(3, 7), SHAPE(7)}},
    {"linear", linear, {SHAPE(2, 3, 5), SHAPE(33, 5), SHAPE(33)}},
    {"linear, one row", linear, {SHAPE(1, 5), SHAPE(3, 5), SHAPE(3)}},
    {"linear without bias", linear_bare, {SHAPE(17, 3), SHAPE(7, 3)}},
    {"linear_transposed", linear_transposed, {SHAPE(2, 3, 5), SHAPE(5, 33), SHAPE(33)}},
    {"linear_transposed, wide", linear_transposed, {SHAPE(3, 37), SHAPE(37, 2), SHAPE(2)}},
    {"dropout", dropout, {SHAPE(3, 35)}},
    {"noise", noise, {SHAPE(3, 35)}},
    {"dropout of turned rows", dropout_turned, {SHAPE(5, 7)}},
    {"copy", copy, {SHAPE(3, 5)}},
    {"slice", slice, {SHAPE(3, 5)}},
    {"permute", permute, {SHAPE(2, 3, 4), SHAPE(4, 2, 3)}},
    {"reshape", reshape, {SHAPE(3, 10), SHAPE(5, 6)}},
    {"block", block, {SHAPE(2, 3, 8), SHAPE(11, 8), SHAPE(8, 11)}},
    {"gated", gated, {SHAPE(4, 5), SHAPE(6, 5), SHAPE(6, 5), SHAPE(4, 6)}},
    {"split and slice", split_uneven, {SHAPE(2, 12)}},
    {"split into heads", split_heads, {SHAPE(1, 3, 4), SHAPE(12, 4)}},
    {"more slices than a node takes", many_slices, {SHAPE(11, 3)}},
    {"embed", embed, {SHAPE(5, 6), SHAPE(3, 6)}},
    {"tied embedding", tied, {SHAPE(5, 6)}},
    {"take_rows", take_rows, {SHAPE(2, 3, 5)}},
    {"rope", rope, {SHAPE(2, 3, 14)}},
    {"rope of neighbours", rope_neighbours, {SHAPE(1, 2, 5, 6)}},
    {"attend", attend, {SHAPE(2, 4, 5, 6), SHAPE(2, 2, 5, 6), SHAPE(2, 2, 5, 6)}},
    {"attend, crosswise",
     attend_everywhere,
     {SHAPE(1, 3, 2, 5), SHAPE(1, 1, 7, 5), SHAPE(1, 1, 7, 5)}},
    {"attend with dropout",
     attend_dropping,
     {SHAPE(2, 4, 5, 6), SHAPE(2, 2, 5, 6), SHAPE(2, 2, 5, 6)}},
    {"self-attention", self_attention, {SHAPE(2, 3, 4), SHAPE(4, 12), SHAPE(12), SHAPE(3, 4)}},
    {"cross_entropy", cross_entropy, {SHAPE(6, 7)}},
    {"cross_entropy, smoothed", cross_entropy_smoothed, {SHAPE(2, 3, 4), SHAPE(7, 4)}},
};

/* Images and signals, whose operations are conv_ops.c's, group_norm.c's and spatial.c's. */
#define CONV(...)                                                                                  \
    &(Conv)                                                                                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define WINDOW(...)                                                                                \
    &(Window)                                                                                      \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
BUILD(conv, op_conv2d(g, w[0], w[1], w[2], CONV(.padding = {1, 1})))
BUILD(conv_strided, op_conv2d(g, op_tanh(g, w[0]), w[1], w[2],
                              CONV(.stride = {2, 3}, .padding = {0, 1}, .dilation = {2, 1})))
BUILD(conv_groups, op_silu(g, op_conv2d(g, w[0], w[1], w[2], CONV(.groups = 2))))
BUILD(conv_depthwise, op_conv2d(g, w[0], w[1], w[2], CONV(.padding = {1, 1}, .groups = 3)))
BUILD(conv1d, op_conv1d(g, w[0], w[1], w[2], CONV(.stride = {2}, .padding = {1})))
BUILD(conv_transpose,
      op_conv_transpose2d(g, w[0], w[1], w[2],
                          CONV(.stride = {2, 1}, .padding = {1, 0}, .output_padding = {1, 0})))
BUILD(conv_transpose1d, op_conv_transpose1d(g, w[0], w[1], w[2], CONV(.stride = {3}, .groups = 2)))
BUILD(group_norm, op_group_norm(g, w[0], 2, w[1], w[2], 1e-3F))
BUILD(group_norm_silu, op_silu(g, op_group_norm(g, w[0], 3, NULL, NULL, 1e-3F)))
BUILD(avg_pool, op_avg_pool(g, w[0], WINDOW({3, 2}, {2, 1}, {1, 0}, .count_padding = true)))
BUILD(avg_pool_uneven, op_avg_pool(g, w[0], WINDOW({3, 3}, {2, 2}, {1, 1}, .ceil_mode = true)))
BUILD(adaptive_avg_pool, op_adaptive_avg_pool(g, w[0], 2, 3))
BUILD(nearest, op_resize(g, w[0], 6, 5, RESIZE_NEAREST))
BUILD(bilinear, op_resize(g, w[0], 6, 5, RESIZE_BILINEAR))
BUILD(bilinear_aligned, op_resize(g, w[0], 2, 7, RESIZE_BILINEAR_ALIGNED))
BUILD(resnet, op_add(g, w[0],
                     op_conv2d(g, op_silu(g, op_group_norm(g, w[0], 2, w[1], NULL, 1e-2F)), w[2],
                               w[3], CONV(.padding = {1, 1}))))

/* Known statistics are inputs. */
static Tensor *batch_norm(Graph *g, Tensor **w)
{
    Tensor *mean = graph_input(g, DTYPE_F32, SHAPE(4)),
           *variance = graph_input(g, DTYPE_F32, SHAPE(4));
    for (int i = 0; i < 4; i++)
        ((float *)tensor_data(variance))[i] = 0.5F + (float)i;
    return op_batch_norm(g, op_tanh(g, w[0]), mean, variance, NULL, NULL, 1e-5F);
}

static const Case image_cases[] = {
    {"conv", conv, {SHAPE(2, 3, 4, 5), SHAPE(2, 3, 3, 3), SHAPE(2)}},
    {"conv, a bias a sample", conv, {SHAPE(2, 1, 3, 2), SHAPE(5, 1, 3, 3), SHAPE(2, 5)}},
    {"conv, strided", conv_strided, {SHAPE(1, 2, 6, 7), SHAPE(3, 2, 2, 3), SHAPE(3)}},
    {"conv in groups", conv_groups, {SHAPE(1, 4, 3, 3), SHAPE(6, 2, 2, 2), SHAPE(6)}},
    {"conv, depthwise", conv_depthwise, {SHAPE(2, 3, 3, 4), SHAPE(3, 1, 3, 3), SHAPE(3)}},
    {"conv1d", conv1d, {SHAPE(2, 3, 7), SHAPE(4, 3, 3), SHAPE(4)}},
    {"conv_transpose", conv_transpose, {SHAPE(1, 3, 3, 4), SHAPE(3, 2, 3, 2), SHAPE(2)}},
    {"conv_transpose1d", conv_transpose1d, {SHAPE(2, 4, 3), SHAPE(4, 2, 4), SHAPE(4)}},
    {"group_norm", group_norm, {SHAPE(2, 4, 3, 2), SHAPE(4), SHAPE(4)}},
    {"group_norm, silu", group_norm_silu, {SHAPE(2, 6, 5)}},
    {"batch_norm", batch_norm, {SHAPE(2, 4, 2, 2)}},
    {"avg_pool", avg_pool, {SHAPE(2, 2, 5, 4)}},
    {"avg_pool, uneven", avg_pool_uneven, {SHAPE(1, 2, 4, 6)}},
    {"adaptive_avg_pool", adaptive_avg_pool, {SHAPE(1, 2, 5, 4)}},
    {"resize to nearest", nearest, {SHAPE(2, 2, 3, 4)}},
    {"resize, bilinear", bilinear, {SHAPE(1, 2, 3, 4)}},
    {"resize, aligned", bilinear_aligned, {SHAPE(1, 2, 3, 4)}},
    {"a block of a residual network",
     resnet,
     {SHAPE(1, 4, 3, 3), SHAPE(4), SHAPE(4, 4, 3, 3), SHAPE(4)}},
};

/* One case as a graph: the loss is the sum of what it gives, weighted at random. */
typedef struct Built {
    Arena *arena;
    Graph *graph;
    Weight *weights[MOST];
    int n;
    Tensor *loss;
} Built;

static void build(Built *b, const Case *c, bool checkpoints)
{
    Error err = {0};
    Tensor *w[MOST] = {0};
    *b = (Built){.arena = arena_new(0), .graph = graph_new()};
    graph_set_mode(b->graph, GRAPH_TRAIN);
    graph_use_checkpoints(b->graph, checkpoints);
    graph_set_seed(b->graph, 5);
    for (; b->n < MOST && c->shapes[b->n].rank; b->n++) {
        const WeightSpec spec = {.name = c->name, .shape = c->shapes[b->n], .trainable = true};
        b->weights[b->n] = weight_new(b->arena, &spec, &err);
        if (!b->weights[b->n])
            fail_msg("%s", err.text);
        fill(weight_values(b->weights[b->n]), shape_count(&c->shapes[b->n]));
        w[b->n] = op_weight(b->graph, b->weights[b->n]);
    }
    graph_checkpoint(b->graph);
    Tensor *y = op_contiguous(b->graph, c->build(b->graph, w));
    graph_checkpoint(b->graph);
    if (!graph_ok(b->graph, &err))
        fail_msg("%s: %s", c->name, err.text);
    Tensor *by = graph_input(b->graph, DTYPE_F32, *tensor_shape(y));
    fill(tensor_data(by), shape_count(tensor_shape(y)));
    b->loss = graph_output(b->graph, op_sum(b->graph, op_mul(b->graph, y, by)));
    if (!graph_backward(b->graph, b->loss, &err))
        fail_msg("%s: %s", c->name, err.text);
}

static void done(Built *b)
{
    graph_free(b->graph);
    arena_free(b->arena);
}

static float run(const Built *b)
{
    Error err = {0};
    if (!graph_run(b->graph, &err))
        fail_msg("%s: %s", weight_name(b->weights[0]), err.text);
    return *(const float *)tensor_data(b->loss);
}

static float loss_with(const Built *b, Weight *w, int64_t i, float value)
{
    float *x = &weight_values(w)[i], before = *x;
    *x = value;
    weight_updated(w);
    float loss = run(b);
    *x = before;
    weight_updated(w);
    return loss;
}

static void check_weight(const Built *b, Weight *w)
{
    const float h = 0x1p-7F;
    for (int64_t i = 0; i < shape_count(weight_shape(w)); i++) {
        float x = weight_values(w)[i];
        if (fabsf(x) < h && strcmp(weight_name(w), "relu") == 0)
            continue; // its corner
        weight_zero_gradient(w);
        run(b);
        float seen = weight_gradient(w)[i];
        float slope = (loss_with(b, w, i, x + h) - loss_with(b, w, i, x - h)) / (2 * h);
        if (!(fabsf(seen - slope) <= 4e-3F * (1 + fabsf(slope))))
            fail_msg("%s: gradient %lld is %.6g, differences say %.6g", weight_name(w),
                     (long long)i, (double)seen, (double)slope);
    }
}

static void test_gradients_agree_with_finite_differences(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        Built b;
        build(&b, &cases[i], false);
        for (int j = 0; j < b.n; j++)
            check_weight(&b, b.weights[j]);
        done(&b);
    }
}

static void test_gradients_of_images_agree_with_finite_differences(void **state)
{
    for (size_t i = 0; i < COUNT(image_cases); i++) {
        Built b;
        build(&b, &image_cases[i], i % 2);
        for (int j = 0; j < b.n; j++)
            check_weight(&b, b.weights[j]);
        done(&b);
    }
}

/* All gradients of a case after one run. */
static void gradients_after(const Case *c, bool checkpoints, int runs, float *out, size_t most)
{
    Built b;
    source = random_of(7);
    build(&b, c, checkpoints);
    for (int i = 0; i < runs; i++)
        run(&b);
    for (int j = 0; j < b.n; j++) {
        size_t n = (size_t)shape_count(weight_shape(b.weights[j]));
        CHECK(n <= most);
        memcpy(out, weight_gradient(b.weights[j]), n * sizeof *out);
        out += n;
        most -= n;
    }
    done(&b);
}

static void test_checkpoints_change_no_bit(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        float plain[1024] = {0}, again[1024] = {0};
        gradients_after(&cases[i], false, 1, plain, COUNT(plain));
        gradients_after(&cases[i], true, 1, again, COUNT(again));
        if (memcmp(plain, again, sizeof plain) != 0)
            fail_msg("%s: other gradients with checkpoints", cases[i].name);
    }
}

static void test_runs_accumulate(void **state)
{
    float once[1024] = {0}, twice[1024] = {0};
    gradients_after(&cases[0], false, 1, once, COUNT(once));
    gradients_after(&cases[0], false, 2, twice, COUNT(twice));
    for (size_t i = 0; i < COUNT(once); i++)
        assert_true(twice[i] == 2 * once[i]);
}

static void test_dropout_goes_by_the_seed(void **state)
{
    Error err = {0};
    float seen[4][400], zeros = 0;
    AUTO(graph_free) Graph *g = graph_new(), *evaluated = graph_new();
    graph_set_mode(g, GRAPH_TRAIN);
    Tensor *x = graph_input(g, DTYPE_F32, SHAPE(400));
    for (int i = 0; i < 400; i++)
        ((float *)tensor_data(x))[i] = 1;
    assert_ptr_equal(op_dropout(g, x, 0), x);
    Tensor *y = op_dropout(g, x, 0.25F), *z = op_dropout(g, x, 0.25F);
    y = graph_output(g, y);
    z = graph_output(g, z);
    const uint64_t seeds[] = {3, 4, 3, 0};
    for (int run = 0; run < 4; run++) {
        graph_set_seed(g, seeds[run]);
        assert_ok(graph_run(g, &err));
        memcpy(seen[run], tensor_data(y), sizeof seen[run]);
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_equal(seen[0], seen[2], sizeof seen[0]);
    assert_memory_equal(seen[3], tensor_data(x), sizeof seen[3]); // no seed: nothing
    graph_set_seed(g, 3);
    assert_ok(graph_run(g, &err));
    assert_memory_not_equal(tensor_data(y), tensor_data(z), sizeof seen[0]);
    for (int i = 0; i < 400; i++) {
        assert_true(seen[0][i] == 0 || seen[0][i] == 1 / 0.75F);
        zeros += seen[0][i] == 0;
    }
    assert_true(zeros > 100 - 36 && zeros < 100 + 36); // four deviations
    x = graph_input(evaluated, DTYPE_F32, SHAPE(4));
    assert_ptr_equal(op_dropout(evaluated, x, 0.5F), x);
}

/* With the unit matrix for values, attention gives its weights. */
static void attention_weights(Precision precision, float dropout, uint64_t seed, float *out)
{
    enum { N = 40 };
    Error err = {0};
    AUTO(graph_free) Graph *g = graph_new();
    graph_set_mode(g, GRAPH_TRAIN);
    Tensor *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = graph_input(g, DTYPE_F32, SHAPE(1, 1, N, N));
    Tensor *y = graph_output(
        g, op_attend(g, in[0], in[1], in[2],
                     &(Attend){.causal = true, .precision = precision, .dropout = dropout}));
    source = random_of(4);
    fill(tensor_data(in[0]), N * N);
    fill(tensor_data(in[1]), N * N);
    for (int i = 0; i < N * N; i++)
        ((float *)tensor_data(in[2]))[i] = i / N == i % N;
    graph_set_seed(g, seed);
    assert_ok(graph_run(g, &err));
    memcpy(out, tensor_data(y), N * N * sizeof *out);
}

static void test_attention_drops_weights_by_the_seed(void **state)
{
    enum { N = 40 };
    static float whole[N * N], dropped[N * N], again[N * N];
    int zeros = 0;
    attention_weights(PRECISION_F32, 0, 5, whole);
    attention_weights(PRECISION_F32, 0.25F, 0, again);
    assert_memory_equal(whole, again, sizeof whole); // no seed: nothing
    attention_weights(PRECISION_F32, 0.25F, 5, dropped);
    attention_weights(PRECISION_F32, 0.25F, 5, again);
    assert_memory_equal(dropped, again, sizeof again);
    attention_weights(PRECISION_BF16, 0.25F, 5, again);
    for (int i = 0; i < N * N; i++) {
        // What is hidden may be 2^-124.
        bool hidden = i % N > i / N, gone = dropped[i] < 1e-30F;
        zeros += gone && !hidden;
        assert_true(!hidden || gone);
        assert_true(gone || fabsf(dropped[i] * 0.75F - whole[i]) < 1e-6F);
        assert_true(gone == (again[i] < 1e-30F) && fabsf(again[i] - dropped[i]) < 0.02F);
    }
    assert_true(zeros > 205 - 50 && zeros < 205 + 50); // four deviations
    attention_weights(PRECISION_F32, 0.25F, 6, again);
    assert_memory_not_equal(dropped, again, sizeof again);
}

/* The gradients of attention of these sizes, one behind the other. */
static size_t attention_gradients(Precision precision, const int64_t sizes[6], float dropout,
                                  float *out)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    graph_set_mode(g, GRAPH_TRAIN);
    graph_set_seed(g, 3);
    Tensor *t[3];
    Weight *w[3];
    source = random_of(8);
    for (int i = 0; i < 3; i++) {
        const WeightSpec spec = {.name = "x",
                                 .shape =
                                     SHAPE(sizes[0], sizes[i ? 2 : 1], sizes[i ? 4 : 3], sizes[5]),
                                 .trainable = true};
        assert_ok(w[i] = weight_new(a, &spec, &err));
        fill(weight_values(w[i]), shape_count(&spec.shape));
        t[i] = op_weight(g, w[i]);
    }
    Tensor *y = op_attend(
        g, t[0], t[1], t[2],
        &(Attend){.causal = sizes[3] == sizes[4], .precision = precision, .dropout = dropout});
    Tensor *slopes = graph_input(g, DTYPE_F32, y->shape);
    fill(tensor_data(slopes), shape_count(&y->shape));
    assert_ok(graph_backward(g, op_sum(g, op_mul(g, y, slopes)), &err));
    assert_ok(graph_run(g, &err));
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        size_t some = (size_t)shape_count(weight_shape(w[i]));
        memcpy(out + n, weight_gradient(w[i]), some * sizeof *out);
        n += some;
    }
    return n;
}

static void test_bf16_attention_has_nearly_the_gradients_of_f32(void **state)
{
    // Batch, heads, key/value heads, queries, keys, width.
    static const int64_t sizes[][6] = {{2, 4, 2, 70, 70, 24},
                                       {1, 2, 2, 161, 161, 64},
                                       {1, 3, 1, 40, 37, 5},
                                       {1, 1, 1, 9, 300, 33}};
    static float exact[80000], seen[COUNT(exact)];
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int drops = 0; drops < 2; drops++) {
            double off = 0, all = 0;
            float dropout = drops ? 0.2F : 0;
            size_t n = attention_gradients(PRECISION_F32, sizes[i], dropout, exact);
            attention_gradients(PRECISION_BF16, sizes[i], dropout, seen);
            for (size_t j = 0; j < n; j++) {
                off += (double)(seen[j] - exact[j]) * (double)(seen[j] - exact[j]);
                all += (double)exact[j] * (double)exact[j];
            }
            // Factors have 8 bits, 2^-9 off at most, and a gradient has passed two products.
            if (!(sqrt(off / all) < 6e-3))
                fail_msg("case %zu: gradients are off by %g", i, sqrt(off / all));
        }
}

/* A frozen matrix of any type lets gradients through: those of the same values as f32. */
static void test_quantised_weights_let_gradients_through(void **state)
{
    enum { ROWS = 3, OUT = 65, IN = 256 };
    static float values[OUT * IN];
    const DType types[] = {DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_1, DTYPE_Q4_K, DTYPE_Q6_K};
    for (size_t i = 0; i < COUNT(types); i++) {
        Error err = {0};
        float seen[2][ROWS * IN];
        AUTO(arena_free) Arena *a = arena_new(0);
        size_t bytes;
        assert_ok(dtype_size(types[i], OUT * IN, &bytes, &err));
        void *stored = arena_alloc(a, bytes);
        fill(values, OUT * IN);
        assert_ok(dtype_from_f32(types[i], values, stored, OUT * IN, &err));
        dtype_to_f32(types[i], stored, values, OUT * IN);
        const WeightSpec frozen[] = {
            {.name = "q", .type = types[i], .shape = SHAPE(OUT, IN), .data = stored},
            {.name = "f", .type = DTYPE_F32, .shape = SHAPE(OUT, IN), .data = values}};
        for (int j = 0; j < 2; j++) {
            source = random_of(9);
            const WeightSpec spec = {.name = "x", .shape = SHAPE(ROWS, IN), .trainable = true};
            Weight *x = weight_new(a, &spec, &err), *w = weight_new(a, &frozen[j], &err);
            AUTO(graph_free) Graph *g = graph_new();
            graph_set_mode(g, GRAPH_TRAIN);
            fill(weight_values(x), ROWS * IN);
            Tensor *y = op_linear(g, op_weight(g, x), op_weight(g, w), NULL);
            assert_ok(graph_backward(g, op_sum(g, op_mul(g, y, y)), &err));
            assert_ok(graph_run(g, &err));
            memcpy(seen[j], weight_gradient(x), sizeof seen[j]);
        }
        for (int k = 0; k < ROWS * IN; k++)
            assert_true(fabsf(seen[0][k] - seen[1][k]) <= 1e-4F * (1 + fabsf(seen[1][k])));
    }
}

static double cross_entropy_plainly(const float *x, const int32_t *label, int rows, int classes,
                                    double smoothing, double *counted)
{
    double sum = 0;
    *counted = 0;
    for (int i = 0; i < rows; i++, x += classes) {
        double exps = 0, all = 0;
        if (label[i] == LABEL_IGNORED)
            continue;
        for (int j = 0; j < classes; j++)
            exps += exp((double)x[j]);
        for (int j = 0; j < classes; j++)
            all += log(exps) - (double)x[j];
        sum += (1 - smoothing) * (log(exps) - (double)x[label[i]]) + smoothing * all / classes;
        ++*counted;
    }
    return sum;
}

static void test_cross_entropy_is_the_formula(void **state)
{
    enum { ROWS = 5, CLASSES = 19 };
    Error err = {0};
    const int32_t labels[3][ROWS] = {
        {3, 0, 18, 7, 7},
        {LABEL_IGNORED, 4, LABEL_IGNORED, 0, 1},
        {LABEL_IGNORED, LABEL_IGNORED, LABEL_IGNORED, LABEL_IGNORED, LABEL_IGNORED}};
    for (int i = 0; i < 6; i++) {
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *x = graph_input(g, DTYPE_F32, SHAPE(1, ROWS, CLASSES));
        Tensor *ids = graph_input(g, DTYPE_I32, SHAPE(1, ROWS));
        Tensor *divisor = graph_input(g, DTYPE_F32, SHAPE(1));
        const CrossEntropy params = {.label_smoothing = i % 2 ? 0.1F : 0, .divisor = divisor};
        Tensor *mean = graph_output(g, op_cross_entropy(g, x, ids, NULL));
        Tensor *shared = graph_output(g, op_cross_entropy(g, x, ids, &params));
        fill(tensor_data(x), ROWS * CLASSES);
        memcpy(tensor_data(ids), labels[i / 2], sizeof labels[0]);
        *(float *)tensor_data(divisor) = 8;
        assert_ok(graph_run(g, &err));
        double n, sum = cross_entropy_plainly(tensor_data(x), labels[i / 2], ROWS, CLASSES, 0, &n);
        double seen = (double)*(const float *)tensor_data(mean);
        assert_true(fabs(seen - (n > 0 ? sum / n : 0)) < 1e-6);
        sum = cross_entropy_plainly(tensor_data(x), labels[i / 2], ROWS, CLASSES,
                                    i % 2 ? (double)0.1F : 0, &n);
        seen = (double)*(const float *)tensor_data(shared);
        assert_true(fabs(seen - sum / 8) < 1e-6);
        ((int32_t *)tensor_data(ids))[1] = CLASSES;
        assert_fails(graph_run(g, &err), ERR_INVALID, "label 19 is not below 19");
    }
}

static void test_a_weight_may_live_in_the_callers_memory(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    const uint16_t stored[] = {f32_to_bf16(1), f32_to_bf16(-2), f32_to_bf16(0.5F)};
    float values[3], gradient[3] = {10, 20, 30};
    const WeightSpec spec = {.name = "w",
                             .type = DTYPE_BF16,
                             .shape = SHAPE(3),
                             .data = stored,
                             .trainable = true,
                             .values = values,
                             .gradient = gradient};
    Weight *w = weight_new(a, &spec, &err);
    assert_ptr_equal(weight_values(w), values);
    assert_true(values[0] == 1 && values[1] == -2 && values[2] == 0.5F);
    graph_set_mode(g, GRAPH_TRAIN);
    Tensor *x = op_weight(g, w);
    assert_ok(graph_backward(g, op_sum(g, op_mul(g, x, x)), &err));
    assert_ok(graph_run(g, &err)); // what is there already is added to
    assert_true(gradient[0] == 12 && gradient[1] == 16 && gradient[2] == 31);
    weight_zero_gradient(w);
    assert_ptr_equal(weight_gradient(w), gradient);
    assert_true(gradient[0] == 0 && gradient[1] == 0 && gradient[2] == 0);
    values[1] = 3;
    assert_ok(graph_run(g, &err));
    assert_true(weight_gradient(w)[1] == 6);
}

static void test_what_cannot_be_differentiated_says_so(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *step = graph_new(), *fixed = graph_new(), *late = graph_new();
    const WeightSpec spec = {.name = "w", .shape = SHAPE(2, 3), .trainable = true};
    Weight *w = weight_new(a, &spec, &err);
    Tensor *loss = op_sum(step, op_weight(step, w));
    assert_fails(graph_backward(step, loss, &err), ERR_INVALID, "not built for training");

    graph_set_mode(fixed, GRAPH_TRAIN);
    loss = op_sum(fixed, graph_input(fixed, DTYPE_F32, SHAPE(3)));
    assert_fails(graph_backward(fixed, loss, &err), ERR_INVALID, "no trainable weight");

    graph_input(late, DTYPE_F32, SHAPE(3));
    graph_set_mode(late, GRAPH_TRAIN);
    assert_fails(graph_ok(late, &err), ERR_INVALID, "before it is built");
}

int main(void)
{
    source = random_of(1);
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed += RUN(
            test_gradients_agree_with_finite_differences,
            test_gradients_of_images_agree_with_finite_differences, test_checkpoints_change_no_bit,
            test_dropout_goes_by_the_seed, test_attention_drops_weights_by_the_seed,
            test_bf16_attention_has_nearly_the_gradients_of_f32, test_cross_entropy_is_the_formula,
            test_a_weight_may_live_in_the_callers_memory,
            test_quantised_weights_let_gradients_through,
            test_what_cannot_be_differentiated_says_so, test_runs_accumulate);
    }
    return failed +
           (kernels_use_amx_in_c() ? RUN(test_bf16_attention_has_nearly_the_gradients_of_f32) : 0);
}
