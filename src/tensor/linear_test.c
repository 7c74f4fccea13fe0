/* Linear layers of awkward sizes, that are cut along K, divided into blocks and groups, and
 * finished in part, for every precision and some types of weights, by every level of this
 * processor. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <math.h>

static Random source;

static float *filled(Arena *a, int64_t n)
{
    float *x = NEW_ARRAY(a, float, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1);
    return x;
}

typedef struct Layer {
    int64_t rows, out, in;
    DType type;
} Layer;

static const Layer layers[] = {
    {1, 33, 64, DTYPE_Q4_0},    {1, 70, 512, DTYPE_Q8_0},   {1, 40, 256, DTYPE_Q5_1},
    {2, 300, 301, DTYPE_F32},   {3, 31, 37, DTYPE_BF16},    {5, 64, 1056, DTYPE_Q4_1},
    {70, 100, 2400, DTYPE_F32}, {37, 40, 4704, DTYPE_BF16}, {13, 40, 4736, DTYPE_Q8_0},
    {200, 33, 300, DTYPE_F16},  {33, 600, 288, DTYPE_Q5_0},
};

/* What is expected: x [rows,in] and the weights [out,in] as they are stored, in f64. */
static float *expected(Arena *a, const Layer *l, const float *x, const float *w, const float *bias,
                       const float *addend)
{
    float *y = NEW_ARRAY(a, float, (size_t)(l->rows * l->out));
    for (int64_t r = 0; r < l->rows; r++)
        for (int64_t c = 0; c < l->out; c++) {
            double sum = (double)bias[c];
            for (int64_t i = 0; i < l->in; i++)
                sum += (double)x[r * l->in + i] * (double)w[c * l->in + i];
            y[r * l->out + c] = fmaxf((float)sum, 0) + addend[r * l->out + c];
        }
    return y;
}

/* An output's error is that of so many products of values up to 1, of random signs: 5 deviations.
 */
static float allowed(const Layer *l, Precision precision)
{
    static const float product[] = {
        [PRECISION_F32] = 1e-6F, [PRECISION_BF16] = 1e-3F, [PRECISION_INT8] = 2.4e-3F};
    return 5 * product[precision] * sqrtf((float)l->in) + 1e-6F;
}

typedef struct Data {
    float *x, *bias, *addend, *want;
    void *stored;
} Data;

static Data data_of(Arena *a, const Layer *l)
{
    size_t row;
    Error err = {0};
    assert_ok(dtype_size(l->type, l->in, &row, &err));
    Data d = {filled(a, l->rows * l->in), filled(a, l->out), filled(a, l->rows * l->out)};
    float *w = filled(a, l->out * l->in);
    d.stored = NEW_ARRAY(a, char, row *(size_t)l->out);
    assert_ok(dtype_from_f32(l->type, w, d.stored, l->out * l->in, &err));
    dtype_to_f32(l->type, d.stored, w, l->out * l->in);
    d.want = expected(a, l, d.x, w, d.bias, d.addend);
    return d;
}

static void run_layer(const Layer *l, const Data *d, Precision precision)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    const WeightSpec w = {.name = "w",
                          .type = l->type,
                          .shape = SHAPE(l->out, l->in),
                          .data = d->stored,
                          .precision = precision};
    const WeightSpec b = {.name = "b", .type = DTYPE_F32, .shape = SHAPE(l->out), .data = d->bias};
    Tensor *x = graph_input(g, DTYPE_F32, SHAPE(l->rows, l->in));
    Tensor *addend = graph_input(g, DTYPE_F32, SHAPE(l->rows, l->out));
    Tensor *y = op_linear(g, x, op_weight(g, weight_new(a, &w, &err)),
                          op_weight(g, weight_new(a, &b, &err)));
    y = graph_output(g, op_add(g, addend, op_relu(g, y)));
    assert_ok(graph_ok(g, &err));
    memcpy(tensor_data(x), d->x, (size_t)(l->rows * l->in) * sizeof(float));
    memcpy(tensor_data(addend), d->addend, (size_t)(l->rows * l->out) * sizeof(float));
    assert_ok(graph_run(g, &err));
    const float *seen = tensor_data(y);
    for (int64_t i = 0; i < l->rows * l->out; i++)
        if (!(fabsf(seen[i] - d->want[i]) <= allowed(l, precision)))
            fail_msg("%s: %lld x %lld x %lld %s, precision %d: output %lld is %g, not %g",
                     kernels()->name, (long long)l->rows, (long long)l->out, (long long)l->in,
                     dtype_name(l->type), precision, (long long)i, (double)seen[i],
                     (double)d->want[i]);
}

#if defined(__x86_64__)
extern const Kernels kernels_amx_in_c;
#endif

static void test_every_level_and_precision_computes_the_layer(void **state)
{
    source = random_of(5);
    for (size_t i = 0; i < COUNT(layers); i++) {
        AUTO(arena_free) Arena *a = arena_new(0);
        Data d = data_of(a, &layers[i]);
        for (int precision = PRECISION_F32; precision <= PRECISION_INT8; precision++) {
            for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
                kernels_choose((CpuLevel)level);
                run_layer(&layers[i], &d, (Precision)precision);
            }
#if defined(__x86_64__)
            if (kernels_amx_in_c.needs <= cpu_detect()) {
                kernels_use(&kernels_amx_in_c);
                run_layer(&layers[i], &d, (Precision)precision);
            }
#endif
        }
    }
}

int main(void)
{
    return RUN(test_every_level_and_precision_computes_the_layer);
}
