/* bench_gemm.c: `hug bench gemm`: how fast linear layers run, by shape and type of the weights.
 *
 * The layer runs as in a model: a graph of one operation, so that packing, threads and the epilogue
 * are in the figures. One row is bound by memory (GB/s of weights), many by arithmetic (GFLOP/s).
 * To see memory's speed and not a cache's, a matrix that is small is repeated until 256 MB have
 * been read. The best of several rounds counts: what disturbs a machine only makes it slower. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "tensor/tensor.h"

typedef struct Options {
    const char *dtype, *precision;
    int64_t rows, out, in, rounds;
    bool warm, json;
} Options;

static const Option options[] = {
    VALUE(Options, rows, INT, "--rows", "M", "of the input; without: a list of shapes"),
    VALUE(Options, out, INT, "--out", "N", "3072"),
    VALUE(Options, in, INT, "--in", "K", "768"),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "of the weights: f32"),
    VALUE(Options, rounds, INT, "--rounds", "N", "the best of N; 10"),
    VALUE(Options, precision, TEXT, "--precision", "P", "of the products, f32, bf16 or int8: f32"),
    FLAG(Options, warm, "--warm", "one matrix again and again, from cache where it fits"),
    FLAG(Options, json, "--json",
         "an array of {\"rows\", \"out\", \"in\", \"dtype\", \"precision\", \"gflop_s\", "
         "\"gb_s\", \"us\"}"),
};

typedef struct Shapes {
    int64_t rows, out, in;
    const char *dtype, *precision;
} Shapes;

/* GPT-2's and small Llamas' layers; decoding first. */
static const Shapes list[] = {
    {1, 3072, 768, "f32", "f32"},       {1, 50257, 768, "f32", "f32"},
    {1, 3072, 768, "bf16", "f32"},      {1, 3072, 768, "f16", "f32"},
    {1, 3072, 768, "q8_0", "f32"},      {1, 3072, 768, "q4_0", "f32"},
    {1, 3072, 768, "q4_1", "f32"},      {1, 3072, 768, "q5_0", "f32"},
    {1, 3072, 768, "q5_1", "f32"},      {1, 4096, 4096, "q4_0", "f32"},
    {1, 3072, 768, "q8_0", "int8"},     {1, 3072, 768, "q4_1", "int8"},
    {512, 768, 768, "f32", "f32"},      {512, 3072, 768, "f32", "f32"},
    {512, 768, 3072, "f32", "f32"},     {512, 3072, 768, "bf16", "f32"},
    {512, 3072, 768, "bf16", "bf16"},   {512, 3072, 768, "q4_1", "f32"},
    {512, 3072, 768, "q4_1", "bf16"},   {512, 3072, 768, "q4_1", "int8"},
    {512, 3072, 768, "q8_0", "int8"},   {1024, 4096, 4096, "f32", "f32"},
    {1024, 4096, 4096, "bf16", "bf16"}, {1024, 4096, 4096, "q8_0", "int8"},
};

typedef struct Figures {
    double gflop_s, gb_s, us;
} Figures;

static void fill(float *x, int64_t n)
{
    Random r = random_of(1);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&r) - 0.5);
}

/* As many layers as fill 256 MB, or one. */
static int copies_of(size_t bytes, bool warm)
{
    enum { MEMORY = 256 << 20, MOST = 64 };
    return warm ? 1 : (int)MAX(1, MIN(MOST, MEMORY / MAX(bytes, 1)));
}

static bool measure(const Shapes *s, const Options *o, Figures *f, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    DType type;
    Precision precision;
    if (!dtype_parse(str_of(s->dtype), &type))
        return fail(err, ERR_USAGE, "there is no type '%s'", s->dtype);
    if (!precision_parse(str_of(s->precision), &precision))
        return fail(err, ERR_USAGE, "there is no precision '%s'", s->precision);
    float *values = arena_try(a, (size_t)(s->out * s->in), sizeof *values, err);
    if (!values)
        return false;
    fill(values, s->out * s->in);
    WeightSpec spec = {.name = "weight",
                       .type = DTYPE_F32,
                       .shape = SHAPE(s->out, s->in),
                       .data = values,
                       .convert = true,
                       .as = type,
                       .precision = precision};
    Tensor *x = graph_input(g, DTYPE_F32, SHAPE(s->rows, s->in));
    int copies = 1;
    size_t bytes = 0;
    for (int i = 0; i < copies; i++) {
        Weight *w = weight_new(a, &spec, err);
        if (!w)
            return false;
        graph_output(g, op_linear(g, x, op_weight(g, w), NULL));
        bytes = weight_packed_bytes(w);
        copies = s->rows > 8 ? 1 : copies_of(bytes, o->warm);
    }
    if (!graph_ok(g, err))
        return false;
    fill(tensor_data(x), s->rows * s->in);
    int64_t best = INT64_MAX;
    for (int64_t i = 0; i <= o->rounds; i++) {
        int64_t began = clock_ns();
        if (!graph_run(g, err))
            return false;
        best = i ? MIN(best, (clock_ns() - began) / copies) : best; // the first run plans
    }
    double flop = 2.0 * (double)s->rows * (double)s->out * (double)s->in;
    *f = (Figures){flop / (double)best, (double)bytes / (double)best, (double)best / 1e3};
    return true;
}

static void print(const Shapes *s, const Figures *f, json_t *array)
{
    if (!array) {
        printf("%5lld x %6lld x %5lld  %-5s%-5s %9.1f GFLOP/s %7.2f GB/s %10.1f us\n",
               (long long)s->rows, (long long)s->out, (long long)s->in, s->dtype, s->precision,
               f->gflop_s, f->gb_s, f->us);
        return;
    }
    json_array_append_new(array,
                          json_pack("{s:I, s:I, s:I, s:s, s:s, s:f, s:f, s:f}", "rows",
                                    (json_int_t)s->rows, "out", (json_int_t)s->out, "in",
                                    (json_int_t)s->in, "dtype", s->dtype, "precision", s->precision,
                                    "gflop_s", f->gflop_s, "gb_s", f->gb_s, "us", f->us));
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.out = 3072, .in = 768, .dtype = "f32", .precision = "f32", .rounds = 10};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n > 1)
        return fail(err, ERR_USAGE, "'%s' is one argument too many", args[1]);
    if (o.rows < 0 || o.rows > 1 << 20 || o.out < 1 || o.out > 1 << 20 || o.in < 1 ||
        o.in > 1 << 20 || o.rounds < 1)
        return fail(err, ERR_USAGE, "a shape is out of range");
    const Shapes one = {o.rows, o.out, o.in, o.dtype, o.precision}, *shapes = o.rows ? &one : list;
    AUTO(json_decref) json_t *array = o.json ? json_array() : NULL;
    for (size_t i = 0; i < (o.rows ? 1 : COUNT(list)); i++) {
        Figures f = {0};
        if (!measure(&shapes[i], &o, &f, err))
            return false;
        print(&shapes[i], &f, array);
    }
    if (array) {
        json_dumpf(array, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    return true;
}

const Verb bench_gemm = {
    .name = "gemm",
    .synopsis = "[--rows M --out N --in K] [--dtype D] [--json]",
    .summary = "linear layers, in GFLOP/s and in GB/s of weights",
    .options = options,
    .n_options = COUNT(options),
    .run = run,
};
