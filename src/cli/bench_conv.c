/* bench_conv.c: `hug bench conv`: convolutions as graphs of one operation, over inputs with the
 * channels innermost, as they are inside a model. The best of several rounds counts. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "tensor/tensor.h"

typedef struct Options {
    int64_t channels, outs, height, width, kernel, stride, groups, rounds;
    bool bf16, json;
} Options;

static const Option options[] = {
    VALUE(Options, channels, INT, "--channels", "C", "of the input; without: a list of shapes"),
    VALUE(Options, outs, INT, "--out", "O", "as many as channels"),
    VALUE(Options, height, INT, "--height", "H", "64; 1 for a signal"),
    VALUE(Options, width, INT, "--width", "W", "64"),
    VALUE(Options, kernel, INT, "--kernel", "K", "3"),
    VALUE(Options, stride, INT, "--stride", "S", "1"),
    VALUE(Options, groups, INT, "--groups", "G", "1"),
    VALUE(Options, rounds, INT, "--rounds", "N", "the best of N; 10"),
    FLAG(Options, bf16, "--bf16", "weights and products in bf16"),
    FLAG(Options, json, "--json",
         "an array of {\"channels\", \"out\", \"height\", \"width\", \"kernel\", \"stride\", "
         "\"groups\", \"bf16_products\", \"gflop_s\", \"us\"}"),
};

typedef struct Shapes {
    int64_t channels, outs, height, width, kernel, stride, groups;
} Shapes;

/* Stable Diffusion's UNet, Whisper's encoder, MobileNet; all with "same" padding. */
static const Shapes list[] = {
    {320, 320, 64, 64, 3, 1, 1},  {640, 640, 32, 32, 3, 1, 1},  {1280, 1280, 16, 16, 3, 1, 1},
    {320, 320, 64, 64, 1, 1, 1},  {4, 320, 64, 64, 3, 1, 1},    {80, 384, 1, 3000, 3, 1, 1},
    {384, 384, 1, 3000, 3, 2, 1}, {32, 32, 112, 112, 3, 1, 32}, {512, 512, 14, 14, 3, 1, 512},
};

static void fill(float *x, int64_t n)
{
    Random r = random_of(1);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&r) - 0.5);
}

static Tensor *graph_of(Graph *g, const Shapes *s, Weight *w)
{
    bool signal = s->height == 1;
    Tensor *x = graph_input(g, DTYPE_F32, SHAPE(1, s->height, s->width, s->channels));
    if (tensor_data(x))
        fill(tensor_data(x), s->height * s->width * s->channels);
    Conv p = {.stride = {s->stride, s->stride},
              .padding = {s->kernel / 2, s->kernel / 2},
              .groups = s->groups};
    if (signal) {
        x = op_reshape(g, x, SHAPE(1, s->width, s->channels));
        x = op_permute(g, x, (const int[]){0, 2, 1});
        return op_conv1d(g, x, op_weight(g, w), NULL, &p);
    }
    x = op_permute(g, x, (const int[]){0, 3, 1, 2});
    return op_conv2d(g, x, op_weight(g, w), NULL, &p);
}

static bool measure(const Shapes *s, const Options *o, double *flop, int64_t *best, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    Shape shape = SHAPE(s->outs, s->channels / s->groups, s->kernel, s->kernel);
    if (s->height == 1)
        shape = SHAPE(s->outs, s->channels / s->groups, s->kernel);
    float *values = arena_try(a, (size_t)shape_count(&shape), sizeof *values, err);
    if (!values)
        return false;
    fill(values, shape_count(&shape));
    const WeightSpec spec = {.name = "kernel",
                             .type = DTYPE_F32,
                             .shape = shape,
                             .data = values,
                             .convert = o->bf16,
                             .as = DTYPE_BF16,
                             .precision = o->bf16 ? PRECISION_BF16 : PRECISION_F32};
    Weight *w = weight_new(a, &spec, err);
    if (!w)
        return false;
    Tensor *y = graph_output(g, graph_of(g, s, w));
    if (!graph_ok(g, err))
        return false;
    *flop = 2 * (double)shape_count(&shape) * (double)(tensor_dim(y, -1)) *
            (double)(s->height == 1 ? 1 : tensor_dim(y, 2));
    *best = INT64_MAX;
    for (int64_t i = 0; i <= o->rounds; i++) {
        int64_t began = clock_ns();
        if (!graph_run(g, err))
            return false;
        *best = i ? MIN(*best, clock_ns() - began) : *best; // the first run plans
    }
    return true;
}

static void print(const Shapes *s, bool bf16, double flop, int64_t ns, json_t *array)
{
    double gflop_s = flop / (double)ns;
    if (!array) {
        printf("%4lld -> %4lld of %3lld x %4lld, kernel %lld stride %lld groups %3lld %s "
               "%9.1f GFLOP/s %10.1f us\n",
               (long long)s->channels, (long long)s->outs, (long long)s->height,
               (long long)s->width, (long long)s->kernel, (long long)s->stride,
               (long long)s->groups, bf16 ? "bf16" : "f32 ", gflop_s, (double)ns / 1e3);
        return;
    }
    json_array_append_new(array, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f}",
                                           "channels", (json_int_t)s->channels, "out",
                                           (json_int_t)s->outs, "height", (json_int_t)s->height,
                                           "width", (json_int_t)s->width, "kernel",
                                           (json_int_t)s->kernel, "stride", (json_int_t)s->stride,
                                           "groups", (json_int_t)s->groups, "bf16_products", bf16,
                                           "gflop_s", gflop_s, "us", (double)ns / 1e3));
}

static bool options_are_sane(const Options *o)
{
    const int64_t values[] = {o->channels, o->outs,   o->height, o->width,
                              o->kernel,   o->stride, o->groups, o->rounds};
    for (size_t i = 0; i < COUNT(values); i++)
        if (values[i] < 1 || values[i] > 1 << 16)
            return false;
    return o->channels % o->groups == 0;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.height = 64, .width = 64, .kernel = 3, .stride = 1, .groups = 1, .rounds = 10};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n > 1)
        return fail(err, ERR_USAGE, "'%s' is one argument too many", args[1]);
    bool one = o.channels != 0;
    o.channels = one ? o.channels : 1;
    o.outs = o.outs ? o.outs : o.channels;
    if (!options_are_sane(&o))
        return fail(err, ERR_USAGE, "a shape is out of range");
    const Shapes asked = {o.channels, o.outs, o.height, o.width, o.kernel, o.stride, o.groups};
    AUTO(json_decref) json_t *array = o.json ? json_array() : NULL;
    for (size_t i = 0; i < (one ? 1 : COUNT(list)); i++) {
        const Shapes *s = one ? &asked : &list[i];
        double flop;
        int64_t best;
        if (!measure(s, &o, &flop, &best, err))
            return false;
        print(s, o.bf16, flop, best, array);
    }
    if (array) {
        json_dumpf(array, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    return true;
}

const Verb bench_conv = {
    .name = "conv",
    .synopsis = "[--channels C --out O --height H --width W --kernel K --groups G] [--json]",
    .summary = "convolutions, in GFLOP/s",
    .options = options,
    .n_options = COUNT(options),
    .run = run,
};
