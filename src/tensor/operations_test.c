/* Operations and their gradients against what PyTorch gave for the same operands
 * (tools/golden/operations.py). */
#include "base/json.h"
#include "base/test.h"
#include "tensor/tensor_internal.h"

#include <math.h>

enum { MOST = 3 }; // operands

typedef struct Case {
    const char *name; // in the file
    Tensor *(*build)(Graph *g, Tensor **x);
} Case;

#define CASE(name, expression)                                                                     \
    static Tensor *name(Graph *g, Tensor **x)                                                      \
    {                                                                                              \
        return expression;                                                                         \
    }
#define ATTEND(...) op_attend(g, x[0], x[1], x[2], &(Attend){__VA_ARGS__})
#define CONV(op, ...) op(g, x[0], x[1], x[2], &(Conv){__VA_ARGS__})
#define POOL(op, ...) op(g, x[0], &(Window){__VA_ARGS__})

CASE(attention, ATTEND(0))
CASE(attention_causal, ATTEND(.causal = true))
CASE(conv2d, CONV(op_conv2d, .padding = {1, 1}))
CASE(conv2d_strided, CONV(op_conv2d, .stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}))
CASE(conv2d_groups, CONV(op_conv2d, .groups = 2))
CASE(conv2d_depthwise, CONV(op_conv2d, .stride = {2, 2}, .padding = {1, 1}, .groups = 5))
CASE(conv1d, CONV(op_conv1d, .stride = {2}, .padding = {1}))
CASE(conv_transpose2d,
     CONV(op_conv_transpose2d, .stride = {2, 3}, .padding = {1, 1}, .output_padding = {1, 2}))
CASE(conv_transpose1d, CONV(op_conv_transpose1d, .stride = {2}, .dilation = {2}, .groups = 2))
CASE(group_norm, op_group_norm(g, x[0], 2, x[1], x[2], 1e-5F))
CASE(group_norm_silu, op_silu(g, op_group_norm(g, x[0], 3, x[1], x[2], 1e-3F)))
CASE(max_pool, POOL(op_max_pool, {3, 3}, {2, 2}, {1, 1}))
CASE(max_pool_ceil, POOL(op_max_pool, {2, 2}, .ceil_mode = true))
CASE(avg_pool, POOL(op_avg_pool, {3, 3}, {2, 2}, {1, 1}, .count_padding = true))
CASE(avg_pool_ceil, POOL(op_avg_pool, {3, 3}, {2, 2}, {1, 1}, .ceil_mode = true))
CASE(avg_pool_signal, POOL(op_avg_pool, {2}))
CASE(adaptive_avg_pool, op_adaptive_avg_pool(g, x[0], 3, 2))
CASE(nearest, op_resize(g, x[0], 5, 8, RESIZE_NEAREST))
CASE(nearest_smaller, op_resize(g, x[0], 3, 5, RESIZE_NEAREST))
CASE(bilinear, op_resize(g, x[0], 5, 8, RESIZE_BILINEAR))
CASE(bilinear_smaller, op_resize(g, x[0], 3, 3, RESIZE_BILINEAR))
CASE(bilinear_aligned, op_resize(g, x[0], 5, 8, RESIZE_BILINEAR_ALIGNED))
CASE(linear_signal, op_resize(g, x[0], 1, 7, RESIZE_BILINEAR))

static Tensor *attention_bias(Graph *g, Tensor **x)
{
    static const float values[] = {-0.5F, 0.25F, 0, 1, -1, 0.125F, 0.75F};
    Tensor *bias = graph_input(g, DTYPE_F32, SHAPE(COUNT(values)));
    memcpy(tensor_data(bias), values, sizeof values);
    return ATTEND(.scale = 0.7F, .bias = bias);
}

static const Case cases[] = {
    {"attention", attention},
    {"attention, causal, grouped, more keys", attention_causal},
    {"attention, bias of keys, scaled", attention_bias},
    {"conv2d", conv2d},
    {"conv2d, strided, dilated", conv2d_strided},
    {"conv2d, groups", conv2d_groups},
    {"conv2d, depthwise", conv2d_depthwise},
    {"conv1d", conv1d},
    {"conv_transpose2d", conv_transpose2d},
    {"conv_transpose1d", conv_transpose1d},
    {"group_norm", group_norm},
    {"group_norm, signal, silu", group_norm_silu},
    {"max_pool", max_pool},
    {"max_pool, ceil", max_pool_ceil},
    {"avg_pool", avg_pool},
    {"avg_pool, ceil, without padding", avg_pool_ceil},
    {"avg_pool, signal", avg_pool_signal},
    {"adaptive_avg_pool", adaptive_avg_pool},
    {"nearest", nearest},
    {"nearest, smaller", nearest_smaller},
    {"bilinear", bilinear},
    {"bilinear, smaller", bilinear_smaller},
    {"bilinear, aligned", bilinear_aligned},
    {"linear, signal", linear_signal},
};

static json_t *recorded; // the file

static Shape shape_of(const json_t *told)
{
    const json_t *dims = json_object_get(told, "shape");
    Shape s = {.rank = (int)json_array_size(dims)};
    for (int i = 0; i < s.rank; i++)
        s.dims[i] = json_integer_value(json_array_get(dims, (size_t)i));
    return s;
}

static void put_values(const json_t *told, float *out)
{
    const json_t *values = json_object_get(told, "values");
    for (size_t i = 0; i < json_array_size(values); i++)
        out[i] = (float)json_number_value(json_array_get(values, i));
}

static void assert_told(const Case *c, const char *what, const json_t *told, const Shape *shape,
                        const float *seen)
{
    Shape wanted = shape_of(told);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!shape_eq(&wanted, shape))
        fail_msg("%s: %s is %s, not %s", c->name, what, shape_format(shape, a),
                 shape_format(&wanted, b));
    const json_t *values = json_object_get(told, "values");
    for (size_t i = 0; i < json_array_size(values); i++) {
        double expected = json_number_value(json_array_get(values, i));
        // Sums of a few dozen products of values up to 3, in f32.
        if (!(fabs((double)seen[i] - expected) <= 5e-6 * (1 + fabs(expected))))
            fail_msg("%s: %s has %.9g at %zu, not %.9g", c->name, what, (double)seen[i], i,
                     expected);
    }
}

static void check(const Case *c)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    graph_set_mode(g, GRAPH_TRAIN);
    const json_t *all = json_object_get(json_object_get(recorded, "cases"), c->name);
    if (!all)
        fail_msg("no recorded case '%s'", c->name);
    const json_t *operands = json_object_get(all, "operands");
    Weight *w[MOST] = {0};
    Tensor *x[MOST] = {0};
    size_t n = json_array_size(operands);
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) {
        const json_t *told = json_array_get(operands, i);
        const WeightSpec spec = {.name = c->name, .shape = shape_of(told), .trainable = true};
        w[i] = weight_new(a, &spec, &err);
        if (!w[i])
            fail_msg("%s", err.text);
        put_values(told, weight_values(w[i]));
        x[i] = op_weight(g, w[i]);
    }
    Tensor *y = op_contiguous(g, c->build(g, x));
    assert_ok(graph_ok(g, &err));
    const json_t *slope = json_object_get(all, "slope");
    Tensor *by = graph_input(g, DTYPE_F32, shape_of(slope));
    put_values(slope, tensor_data(by));
    Tensor *loss = graph_output(g, op_sum(g, op_mul(g, y, by)));
    y = graph_output(g, y);
    assert_ok(graph_backward(g, loss, &err));
    assert_ok(graph_run(g, &err));
    assert_told(c, "the result", json_object_get(all, "result"), tensor_shape(y), tensor_data(y));
    for (size_t i = 0; i < n; i++)
        assert_told(c, (const char *[]){"gradient 0", "gradient 1", "gradient 2"}[i],
                    json_array_get(json_object_get(all, "gradients"), i), weight_shape(w[i]),
                    weight_gradient(w[i]));
}

static void test_operations_agree_with_the_reference(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        check(&cases[i]);
    assert_int_equal(json_object_size(json_object_get(recorded, "cases")), COUNT(cases));
}

int main(void)
{
    Error err = {0};
    char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/operations.json", root ? root : ".");
    recorded = json_read_file(path, 1 << 20, &err);
    if (!recorded) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed += RUN(test_operations_agree_with_the_reference);
    }
    json_decref(recorded);
    return failed;
}
