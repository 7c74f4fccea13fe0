/* Convolutions and what images pass through beside them, against the formulas written out. */
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

static Tensor *weight_of(Graph *g, Arena *a, DType type, Precision precision, Shape shape)
{
    Error err = {0};
    int64_t n = shape_count(&shape);
    float *values = NEW_ARRAY(a, float, n);
    fill(values, n);
    // What the type can hold, so that f32 products of it are exact but for sums.
    void *stored = NEW_ARRAY(a, float, n);
    (void)dtype_from_f32(type, values, stored, n, NULL);
    Weight *w = weight_new(
        a,
        &(WeightSpec){
            .name = "w", .type = type, .shape = shape, .data = stored, .precision = precision},
        &err);
    assert_non_null(w);
    return op_weight(g, w);
}

/* Sizes [B,C,H,W]; signals have H and the pairs' first entries unused. */
typedef struct Case {
    int64_t batch, channels, outs, size[2], taps[2];
    Conv p;
    bool signal, transposed, per_sample, turned;
    DType type;
    Precision precision;
} Case;

static const Case cases[] = {
    {1, 1, 1, {1, 1}, {1, 1}, {{0}}},
    {2, 3, 5, {7, 9}, {3, 3}, {.padding = {1, 1}}},
    {1, 64, 40, {8, 30}, {3, 3}, {.padding = {1, 1}}, .per_sample = true},
    {2, 40, 70, {9, 13}, {1, 1}, {{0}}},
    {1, 5, 33, {11, 17}, {3, 2}, {.stride = {2, 3}, .padding = {1, 0}, .dilation = {2, 1}}},
    {1, 12, 18, {6, 6}, {3, 3}, {.padding = {2, 2}, .groups = 3}},
    {2, 33, 33, {10, 12}, {3, 3}, {.stride = {2, 1}, .padding = {1, 1}, .groups = 33}},
    {1, 8, 16, {5, 5}, {3, 3}, {.padding = {1, 1}, .groups = 8}},
    {2, 80, 48, {1, 50}, {1, 3}, {.padding = {1}}, .signal = true},
    {1, 32, 20, {1, 41}, {1, 5}, {.stride = {2}, .padding = {2}}, .signal = true},
    {1, 300, 40, {4, 5}, {3, 3}, {.padding = {1, 1}}, .type = DTYPE_F16},
    {1, 31, 40, {6, 14}, {3, 3}, {.padding = {1, 1}}, .type = DTYPE_BF16},
    {2,
     48,
     40,
     {6, 14},
     {3, 3},
     {.padding = {1, 1}},
     .type = DTYPE_BF16,
     .precision = PRECISION_BF16,
     .per_sample = true},
    {1,
     25,
     33,
     {6, 14},
     {3, 7},
     {.padding = {1, 3}},
     .type = DTYPE_BF16,
     .precision = PRECISION_BF16},
    {1, 160, 33, {4, 27}, {3, 3}, {.padding = {1, 1}}},
    // In another basis: sizes that are no multiple of two, no padding, several samples, many
    // channels.
    {1, 32, 32, {8, 8}, {3, 3}, {.padding = {1, 1}}, .turned = true},
    {2, 96, 70, {9, 13}, {3, 3}, {.padding = {1, 1}}, .per_sample = true, .turned = true},
    {1, 320, 33, {10, 11}, {3, 3}, {.padding = {0, 1}}, .turned = true},
    {3, 32, 40, {16, 9}, {3, 3}, {.padding = {1, 0}}, .turned = true, .type = DTYPE_F16},
    {1,
     96,
     40,
     {8, 15},
     {3, 3},
     {.padding = {1, 1}},
     .turned = true,
     .type = DTYPE_BF16,
     .precision = PRECISION_BF16},
    {1, 40, 20, {5, 7}, {2, 2}, {.stride = {2, 2}}, .transposed = true},
    {2,
     6,
     4,
     {5, 7},
     {3, 4},
     {.stride = {2, 3}, .padding = {1, 2}, .output_padding = {1, 2}},
     .transposed = true},
    {1,
     6,
     9,
     {4, 4},
     {3, 3},
     {.stride = {3, 1}, .dilation = {1, 2}, .groups = 3},
     .transposed = true},
    {1,
     7,
     7,
     {5, 6},
     {3, 3},
     {.stride = {2, 2}, .padding = {1, 1}, .groups = 7},
     .transposed = true},
    {1,
     16,
     8,
     {1, 30},
     {1, 8},
     {.stride = {4}, .padding = {2}},
     .signal = true,
     .transposed = true},
    {1, 16, 8, {5, 6}, {1, 1}, {.stride = {3, 3}, .output_padding = {2, 2}}, .transposed = true},
    {1,
     6,
     40,
     {5, 9},
     {3, 3},
     {.stride = {2, 2}, .padding = {1, 1}},
     .transposed = true,
     .type = DTYPE_BF16,
     .precision = PRECISION_BF16},
};

static Shape shape_of(const Case *c, int64_t a, int64_t b, int64_t h, int64_t w)
{
    return c->signal ? SHAPE(a, b, w) : SHAPE(a, b, h, w);
}

static int64_t of_axis(const Case *c, const int64_t pair[2], int axis, int64_t none)
{
    int64_t value = c->signal ? axis ? pair[0] : none : pair[axis];
    return value ? value : none;
}

static double value(const Tensor *t, bool signal, int64_t b, int64_t c, int64_t y, int64_t x)
{
    const int64_t *s = t->strides;
    return (double)tensor_f32(t)[b * s[0] + c * s[1] + (signal ? x * s[2] : y * s[2] + x * s[3])];
}

/* out[oy,ox] = sum of x[iy,ix] w[ky,kx] over i * stride = o + padding - k * dilation when
 * transposed, else i = o * stride - padding + k * dilation. */
static double conv_plainly(const Case *k, const Tensor *x, const float *w, int64_t b, int64_t o,
                           int64_t oy, int64_t ox)
{
    int64_t groups = MAX(k->p.groups, 1), cs = k->channels / groups, os = k->outs / groups;
    double sum = 0;
    for (int64_t c = 0; c < cs; c++)
        for (int64_t ky = 0; ky < k->taps[0]; ky++)
            for (int64_t kx = 0; kx < k->taps[1]; kx++) {
                int64_t at[2];
                const int64_t out[2] = {oy, ox}, tap[2] = {ky, kx};
                bool inside = true;
                for (int i = 0; i < 2; i++) {
                    int64_t stride = of_axis(k, k->p.stride, i, 1);
                    int64_t reach = tap[i] * of_axis(k, k->p.dilation, i, 1);
                    int64_t padding = of_axis(k, k->p.padding, i, 0);
                    at[i] = k->transposed ? out[i] + padding - reach
                                          : out[i] * stride - padding + reach;
                    inside = inside && (!k->transposed || at[i] % stride == 0);
                    at[i] = k->transposed ? at[i] / stride : at[i];
                    inside = inside && at[i] >= 0 && at[i] < k->size[i] &&
                             (!k->transposed || out[i] + padding >= reach);
                }
                if (!inside)
                    continue;
                int64_t channel = o / os * cs + c;
                int64_t row = k->transposed ? channel * os + o % os : o * cs + c;
                sum += value(x, k->signal, b, channel, at[0], at[1]) *
                       (double)w[(row * k->taps[0] + ky) * k->taps[1] + kx];
            }
    return sum;
}

typedef Tensor *Builder(Graph *g, Tensor *x, Tensor *w, Tensor *bias, const Conv *p);

static Tensor *conv_of(const Case *c, Graph *g, Tensor *x, Tensor *w, Tensor *bias)
{
    Builder *const builders[] = {op_conv2d, op_conv_transpose2d, op_conv1d, op_conv_transpose1d};
    return builders[2 * c->signal + c->transposed](g, x, w, bias, &c->p);
}

static void check(const Case *c, bool channels_last)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    int64_t groups = MAX(c->p.groups, 1), first = c->transposed ? c->channels : c->outs;
    int64_t second = (c->transposed ? c->outs : c->channels) / groups;
    Tensor *x = input_of(g, shape_of(c, c->batch, c->channels, c->size[0], c->size[1]));
    if (channels_last) // as another convolution would give it, and a slice of more
        x = op_slice(g,
                     op_permute(g,
                                input_of(g, c->signal ? SHAPE(c->batch, c->size[1] + 2, c->channels)
                                                      : SHAPE(c->batch, c->size[0], c->size[1] + 2,
                                                              c->channels)),
                                c->signal ? (const int[]){0, 2, 1} : (const int[]){0, 3, 1, 2}),
                     -1, 1, c->size[1] + 1);
    Tensor *w =
        weight_of(g, a, c->type, c->precision, shape_of(c, first, second, c->taps[0], c->taps[1]));
    Tensor *bias = input_of(g, c->per_sample ? SHAPE(c->batch, c->outs) : SHAPE(c->outs));
    Tensor *y = conv_of(c, g, x, w, bias);
    assert_ok(graph_ok(g, &err));
    Tensor *residual = input_of(g, y->shape);
    residual = channels_last ? op_scale(g, residual, 1) : residual;
    y = graph_output(g, op_contiguous(g, op_add(g, op_relu(g, y), residual)));
    assert_ok(graph_run(g, &err));
    float *values = NEW_ARRAY(a, float, tensor_count(w));
    dtype_to_f32(c->type, w->weight->spec.data, values, tensor_count(w));
    const int64_t *d = y->shape.dims, height = c->signal ? 1 : d[2], width = d[y->shape.rank - 1];
    double *expected = NEW_ARRAY(a, double, tensor_count(y)), *to = expected;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t o = 0; o < c->outs; o++)
            for (int64_t oy = 0; oy < height; oy++)
                for (int64_t ox = 0; ox < width; ox++) {
                    double sum = conv_plainly(c, x, values, b, o, oy, ox);
                    sum += (double)tensor_f32(bias)[(c->per_sample ? b * c->outs : 0) + o];
                    *to++ = fmax(sum, 0) + value(residual, c->signal, b, o, oy, ox);
                }
    // Sums of up to 2880 products; bf16 products round inputs to 8 bits. conv_winograd.c adds up
    // four inputs before, and nine products behind: in bf16 together 0.4 % of what the values are
    // like, which is 10 here, and five times that at most.
    const double tolerances[2][2] = {{2e-5, 6e-5}, {3e-2, 0.2}};
    assert_close("conv", tensor_data(y), expected, tensor_count(y),
                 tolerances[c->precision == PRECISION_BF16][c->turned]);
}

static void test_convolutions_agree_with_the_formula(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int last = 0; last < 2; last++)
            check(&cases[i], last);
}

static void test_what_follows_a_convolution_is_fused(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *x = input_of(g, SHAPE(1, 8, 8, 4));
    x = op_permute(g, x, (const int[]){0, 3, 1, 2});
    const Conv p = {.padding = {1, 1}};
    for (int i = 0; i < 2; i++) {
        Tensor *w = weight_of(g, a, DTYPE_F32, PRECISION_F32, SHAPE(4, 4, 3, 3));
        x = op_silu(g, op_conv2d(g, x, w, NULL, &p));
    }
    Tensor *w = weight_of(g, a, DTYPE_F32, PRECISION_F32, SHAPE(4, 4, 3, 3));
    x = op_add(g, x, op_conv2d(g, x, w, NULL, &p));
    graph_output(g, x);
    assert_ok(graph_run(g, &err));
    assert_int_equal(g->n_steps, 3);
}

static void test_kernels_that_do_not_fit_are_refused(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    const struct {
        Shape x, w;
        Conv p;
        const char *words;
    } wrong[] = {
        {SHAPE(1, 3, 8, 8), SHAPE(4, 2, 3, 3), {{0}}, "conv: [1,3,8,8] and [4,2,3,3] do not fit"},
        {SHAPE(1, 3, 2, 8), SHAPE(4, 3, 3, 3), {{0}}, "conv: [1,3,2,8] and [4,3,3,3] do not fit"},
        {SHAPE(1, 4, 8, 8), SHAPE(5, 2, 3, 3), {.groups = 2}, "do not fit"},
        {SHAPE(1, 3, 8, 8), SHAPE(4, 3, 3, 3), {.padding = {-1, 0}}, "out of range"},
        {SHAPE(1, 3, 8), SHAPE(4, 3, 3, 3), {{0}}, "an input of rank 3 and a kernel of rank 4"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *w = weight_of(g, a, DTYPE_F32, PRECISION_F32, wrong[i].w);
        op_conv2d(g, input_of(g, wrong[i].x), w, NULL, &wrong[i].p);
        assert_fails(graph_ok(g, &err), ERR_INVALID, wrong[i].words);
    }
}

int main(void)
{
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        source = random_of(5);
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed +=
            RUN(test_convolutions_agree_with_the_formula, test_what_follows_a_convolution_is_fused,
                test_kernels_that_do_not_fit_are_refused);
    }
    return failed + (kernels_use_amx_in_c() ? RUN(test_convolutions_agree_with_the_formula) : 0);
}
