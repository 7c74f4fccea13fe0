/* Attention without a cache, and its gradient, against the formula written out in doubles. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/kernels_testing.h"
#include "tensor/tensor_internal.h"

#include <math.h>

static Random source;

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1);
}

static Tensor *input_of(Graph *g, Shape shape)
{
    Tensor *t = graph_input(g, DTYPE_F32, shape);
    fill(tensor_data(t), shape_count(&shape));
    return t;
}

static void assert_close(const char *what, const float *seen, const double *expected, int64_t n,
                         double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)seen[i] - expected[i]) <= tolerance * (1 + fabs(expected[i]))))
            fail_msg("%s: value %lld is %.9g, not %.9g", what, (long long)i, (double)seen[i],
                     expected[i]);
}

/* One attention: shapes, and what of bias and mask there is. */
typedef struct Case {
    int64_t batch, heads, kv_heads, tokens, keys, width;
    bool causal;
    int64_t window;
    int bias; // bits: which of the four dimensions are not 1; -1: none
    bool mask;
} Case;

static const Case cases[] = {
    {1, 1, 1, 1, 1, 1, false, 0, -1, false},       {2, 2, 2, 5, 7, 8, false, 0, 15, false},
    {1, 4, 2, 33, 33, 40, true, 0, -1, false},     {2, 3, 1, 20, 77, 40, false, 0, 1, true},
    {1, 8, 2, 70, 300, 64, true, 0, 5, false},     {1, 2, 1, 300, 300, 16, true, 0, 3, true},
    {1, 6, 3, 150, 150, 72, true, 7, -1, false},   {1, 1, 1, 129, 129, 128, true, 128, -1, false},
    {2, 2, 2, 130, 260, 80, false, 100, 7, false}, {1, 1, 1, 4, 2, 8, true, 0, -1, false},
    {2, 6, 6, 1, 300, 40, false, 0, -1, true},     {1, 4, 2, 3, 200, 24, true, 150, 7, false},
    {2, 2, 1, 2, 140, 72, false, 0, 9, true},
};

typedef struct Inputs {
    Tensor *q, *k, *v, *bias, *mask;
} Inputs;

static Inputs inputs_of(Graph *g, const Case *c)
{
    Inputs in = {0};
    // Laid out as projections give them, so that rows are strided.
    in.q =
        op_split_heads(g, input_of(g, SHAPE(c->batch, c->tokens, c->heads * c->width)), c->heads);
    in.k = op_split_heads(g, input_of(g, SHAPE(c->batch, c->keys, c->kv_heads * c->width)),
                          c->kv_heads);
    in.v = input_of(g, SHAPE(c->batch, c->kv_heads, c->keys, c->width));
    if (c->bias >= 0)
        in.bias = input_of(g, SHAPE(c->bias & 8 ? c->batch : 1, c->bias & 4 ? c->heads : 1,
                                    c->bias & 2 ? c->tokens : 1, c->bias & 1 ? c->keys : 1));
    if (c->mask) {
        in.mask = graph_input(g, DTYPE_I32, SHAPE(c->batch, c->keys));
        int32_t *there = tensor_data(in.mask);
        for (int64_t i = 0; i < c->batch * c->keys; i++)
            there[i] = random_below(&source, 4) != 0;
        there[0] = 0;
    }
    return in;
}

static int64_t at(const Tensor *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t index[] = {b, h, i, j};
    int64_t offset = 0;
    for (int d = 0; d < 4; d++)
        offset += t->shape.dims[d] > 1 ? index[d] * t->strides[d] : 0;
    return offset;
}

static double value(const Tensor *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return (double)tensor_f32(t)[at(t, b, h, i, j)];
}

/* The weights of one query over all keys; false if it sees none. */
static bool weights_of(const Case *c, const Inputs *in, int64_t b, int64_t h, int64_t t,
                       double *weights)
{
    int64_t position = c->keys - c->tokens + t, kv = h / (c->heads / c->kv_heads);
    double sum = 0, most = -HUGE_VAL;
    for (int64_t s = 0; s < c->keys; s++) {
        bool seen = (!c->causal || s <= position) && (!c->window || s > position - c->window) &&
                    (!in->mask || ((int32_t *)tensor_data(in->mask))[b * c->keys + s]);
        double score = 0;
        for (int64_t i = 0; i < c->width; i++)
            score += value(in->q, b, h, t, i) * value(in->k, b, kv, s, i);
        score = score / sqrt((double)c->width) + (in->bias ? value(in->bias, b, h, t, s) : 0);
        weights[s] = seen ? score : -HUGE_VAL;
        most = fmax(most, weights[s]);
    }
    for (int64_t s = 0; s < c->keys; s++)
        sum += weights[s] = most == -HUGE_VAL ? 0 : exp(weights[s] - most);
    for (int64_t s = 0; s < c->keys; s++)
        weights[s] /= sum > 0 ? sum : 1;
    return sum > 0;
}

static void attend_plainly(const Case *c, const Inputs *in, double *out)
{
    double weights[512];
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t h = 0; h < c->heads; h++)
            for (int64_t t = 0; t < c->tokens; t++) {
                (void)weights_of(c, in, b, h, t, weights);
                double *row = out + ((b * c->heads + h) * c->tokens + t) * c->width;
                for (int64_t i = 0; i < c->width; i++) {
                    row[i] = 0;
                    for (int64_t s = 0; s < c->keys; s++)
                        row[i] += weights[s] * value(in->v, b, h / (c->heads / c->kv_heads), s, i);
                }
            }
}

static Attend params_of(const Case *c, const Inputs *in, Precision precision)
{
    return (Attend){.causal = c->causal,
                    .window = c->window,
                    .bias = in->bias,
                    .attention_mask = in->mask,
                    .precision = precision};
}

static void test_every_kind_of_attention_agrees_with_the_formula(void **state)
{
    Error err = {0};
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        const Case *c = &cases[i / 2];
        Precision precision = i % 2 ? PRECISION_BF16 : PRECISION_F32;
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        Inputs in = inputs_of(g, c);
        Attend params = params_of(c, &in, precision);
        Tensor *y = op_attend(g, in.q, in.k, in.v, &params);
        y = graph_output(g, op_contiguous(g, y));
        assert_ok(graph_run(g, &err));
        int64_t n = c->batch * c->heads * c->tokens * c->width;
        double *expected = NEW_ARRAY(a, double, n);
        attend_plainly(c, &in, expected);
        // bf16 keeps 8 bits of queries, keys, weights and values: 2^-8 of values up to 1.
        assert_close("attention", tensor_data(y), expected, n,
                     precision == PRECISION_BF16 ? 8e-3 : 2e-6);
    }
}

/* Gradients of sum(slope * attention), from the weights written out. */
static void backward_plainly(const Case *c, const Inputs *in, const Tensor *slope, double *dq,
                             double *dk, double *dv)
{
    int64_t share = c->heads / c->kv_heads;
    double weights[512], scale = 1 / sqrt((double)c->width);
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t h = 0; h < c->heads; h++)
            for (int64_t t = 0; t < c->tokens; t++) {
                (void)weights_of(c, in, b, h, t, weights);
                double changes[512], delta = 0;
                int64_t kv = h / share, head = b * c->kv_heads + kv;
                for (int64_t s = 0; s < c->keys; s++) {
                    changes[s] = 0;
                    for (int64_t i = 0; i < c->width; i++) {
                        changes[s] += value(slope, b, h, t, i) * value(in->v, b, kv, s, i);
                        dv[(head * c->keys + s) * c->width + i] +=
                            weights[s] * value(slope, b, h, t, i);
                    }
                    delta += weights[s] * changes[s];
                }
                for (int64_t s = 0; s < c->keys; s++)
                    for (int64_t i = 0; i < c->width; i++) {
                        double ds = scale * weights[s] * (changes[s] - delta);
                        dq[((b * c->heads + h) * c->tokens + t) * c->width + i] +=
                            ds * value(in->k, b, kv, s, i);
                        dk[(head * c->keys + s) * c->width + i] += ds * value(in->q, b, h, t, i);
                    }
            }
}

static void test_gradients_agree_with_the_formula(void **state)
{
    Error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const Case *c = &cases[i];
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        Inputs in = inputs_of(g, c);
        Attend params = params_of(c, &in, PRECISION_F32);
        Tensor *y = op_attend(g, in.q, in.k, in.v, &params), *d[3];
        Tensor *slope = input_of(g, SHAPE(c->batch, c->heads, c->tokens, c->width));
        attend_backward(g, y, slope, d);
        for (int j = 0; j < 3; j++)
            d[j] = graph_output(g, op_contiguous(g, d[j]));
        assert_ok(graph_run(g, &err));
        double *expected[3];
        for (int j = 0; j < 3; j++)
            expected[j] = NEW_ARRAY(a, double, tensor_count(d[j]));
        backward_plainly(c, &in, slope, expected[0], expected[1], expected[2]);
        const char *names[] = {"dq", "dk", "dv"};
        for (int j = 0; j < 3; j++)
            assert_close(names[j], tensor_data(d[j]), expected[j], tensor_count(d[j]), 5e-6);
    }
}

/* The same by differences of the forward run, so that the formula above is not trusted alone. */
static void test_gradients_agree_with_finite_differences(void **state)
{
    Error err = {0};
    const Case c = {1, 4, 2, 6, 9, 8, true, 5, 3, false};
    const float step = 1e-2F;
    AUTO(graph_free) Graph *g = graph_new();
    Inputs in = inputs_of(g, &c);
    Attend params = params_of(&c, &in, PRECISION_F32);
    Tensor *y = op_attend(g, in.q, in.k, in.v, &params), *d[3];
    Tensor *slope = input_of(g, SHAPE(c.batch, c.heads, c.tokens, c.width));
    attend_backward(g, y, slope, d);
    for (int j = 0; j < 3; j++)
        d[j] = graph_output(g, op_contiguous(g, d[j]));
    y = graph_output(g, op_contiguous(g, y));
    Tensor *inputs[] = {in.q, in.k, in.v};
    for (int j = 0; j < 3; j++)
        for (int trial = 0; trial < 40; trial++) {
            int64_t n = tensor_count(d[j]), at = (int64_t)random_below(&source, (uint64_t)n);
            const int64_t *dims = d[j]->shape.dims, w = dims[3];
            int64_t head = at / w / dims[2], row = at / w % dims[2];
            float *x = tensor_f32(inputs[j]) + head * inputs[j]->strides[1] +
                       row * inputs[j]->strides[2] + at % w;
            double sums[2] = {0};
            for (int sign = 0; sign < 2; sign++) {
                *x += sign ? -step : step;
                assert_ok(graph_run(g, &err));
                for (int64_t i = 0; i < tensor_count(y); i++)
                    sums[sign] +=
                        (double)((float *)tensor_data(y))[i] * (double)tensor_f32(slope)[i];
                *x -= sign ? -step : step;
            }
            assert_ok(graph_run(g, &err));
            double change = (sums[0] - sums[1]) / (2 * (double)step);
            // Differences are off by step^2 and by roundings of f32 over the step.
            assert_close("difference", (float *)tensor_data(d[j]) + at, &change, 1, 2e-3);
        }
}

static void test_a_bias_and_a_mask_must_fit(void **state)
{
    Error err = {0};
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *x = input_of(g, SHAPE(1, 2, 3, 8)), *bias = input_of(g, SHAPE(2, 3, 4));
    op_attend(g, x, x, x, &(Attend){.bias = bias});
    assert_fails(graph_ok(g, &err), ERR_INVALID, "attend: [1,2,3,8] and [1,2,3,4] do not fit");
    AUTO(graph_free) Graph *h = graph_new();
    x = input_of(h, SHAPE(1, 2, 3, 8));
    op_attend(h, x, x, x, &(Attend){.attention_mask = graph_input(h, DTYPE_I32, SHAPE(1, 4))});
    assert_fails(graph_ok(h, &err), ERR_INVALID, "attend: [1,2,3,8] and [1,4] do not fit");
}

int main(void)
{
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        source = random_of(3);
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed +=
            RUN(test_every_kind_of_attention_agrees_with_the_formula,
                test_gradients_agree_with_the_formula, test_gradients_agree_with_finite_differences,
                test_a_bias_and_a_mask_must_fit);
    }
    return failed +
           (kernels_use_amx_in_c() ? RUN(test_every_kind_of_attention_agrees_with_the_formula) : 0);
}
