/* bench_attention.c: `hug bench attention`: attention alone, over a cache as a decoder uses it, or
 * over all keys at once as encoders and denoisers do.
 * GFLOP/s count the products of scores and of sums that the causal mask leaves. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "tensor/tensor.h"

#include <math.h>

typedef struct Options {
    int64_t tokens, past, keys, heads, kv_heads, width, rounds;
    bool causal, bf16, json;
} Options;

static const Option options[] = {
    VALUE(Options, tokens, INT, "--tokens", "T", "new ones; without: a list of shapes"),
    VALUE(Options, past, INT, "--past", "P", "in the cache before; 0"),
    VALUE(Options, keys, INT, "--keys", "S", "no cache, and so many keys"),
    VALUE(Options, heads, INT, "--heads", "H", "12"),
    VALUE(Options, kv_heads, INT, "--kv-heads", "K", "as many as heads"),
    VALUE(Options, width, INT, "--width", "D", "of a head; 64"),
    VALUE(Options, rounds, INT, "--rounds", "N", "the best of N; 10"),
    FLAG(Options, causal, "--causal", "with --keys; a cache always is"),
    FLAG(Options, bf16, "--bf16", "bf16 products, with --keys"),
    FLAG(Options, json, "--json",
         "an array of {\"tokens\", \"past\", \"keys\", \"heads\", \"kv_heads\", \"width\", "
         "\"causal\", \"bf16_products\", \"gflop_s\", \"us\"}"),
};

typedef struct Shapes {
    int64_t tokens, past, heads, kv_heads, width;
    int64_t keys; // 0: over a cache, causal
    bool causal, bf16;
} Shapes;

/* Decoders; then Stable Diffusion's self and cross attention, training, BERT. */
static const Shapes list[] = {
    {1, 128, 12, 12, 64},
    {1, 1023, 12, 12, 64},
    {1, 2047, 9, 3, 64},
    {512, 0, 12, 12, 64},
    {1024, 0, 12, 12, 64},
    {512, 0, 9, 3, 64},
    {512, 512, 8, 8, 40},
    {2048, 0, 8, 2, 128},
    {4096, 0, 8, 8, 40, 4096, false, false},
    {4096, 0, 8, 8, 40, 4096, false, true},
    {1024, 0, 8, 8, 80, 1024, false, false},
    {1024, 0, 8, 8, 80, 1024, false, true},
    {4096, 0, 8, 8, 40, 77, false, false},
    {512, 0, 12, 12, 64, 512, true, false},
    {512, 0, 12, 12, 64, 512, true, true},
    {512, 0, 9, 3, 64, 512, true, false},
    {2048, 0, 8, 2, 128, 2048, true, false},
    {2048, 0, 8, 2, 128, 2048, true, true},
    {128, 0, 12, 12, 64, 128, false, false},
};

static Tensor *heads_of(Graph *g, int64_t tokens, int64_t heads, int64_t width)
{
    Tensor *t = graph_input(g, DTYPE_F32, SHAPE(1, tokens, heads * width));
    float *x = tensor_data(t);
    Random r = random_of(1);
    for (int64_t i = 0; x && i < tokens * heads * width; i++)
        x[i] = (float)(random_unit(&r) - 0.5);
    return op_split_heads(g, t, heads);
}

/* What op_attend makes of T more tokens of each round; the cache is cut back behind it. */
static Graph *graph_of(const Shapes *s, int64_t tokens, KvCache *cache)
{
    Graph *g = graph_new();
    Tensor *q = heads_of(g, tokens, s->heads, s->width);
    Tensor *k = heads_of(g, s->keys ? s->keys : tokens, s->kv_heads, s->width);
    Tensor *v = heads_of(g, s->keys ? s->keys : tokens, s->kv_heads, s->width);
    const Attend params = {.causal = s->causal || !s->keys,
                           .cached = !s->keys,
                           .precision = s->bf16 ? PRECISION_BF16 : PRECISION_F32};
    graph_output(g, op_merge_heads(g, op_attend(g, q, k, v, &params)));
    graph_use_cache(g, cache);
    return g;
}

static bool feed(Graph *g, KvCache *cache, int64_t tokens, Error *err)
{
    return (!cache || kv_cache_begin(cache, &(KvSpan){0, tokens}, 1, err)) && graph_run(g, err);
}

static bool measure_with(const Shapes *s, KvCache *cache, int64_t rounds, int64_t *best, Error *err)
{
    AUTO(graph_free) Graph *g = graph_of(s, s->tokens, cache);
    *best = INT64_MAX;
    for (int64_t i = 0; i <= rounds; i++) {
        int64_t began = clock_ns();
        if (!feed(g, cache, s->tokens, err))
            return false;
        *best = i ? MIN(*best, clock_ns() - began) : *best; // the first run plans
    }
    return true;
}

static bool measure(const Shapes *s, int64_t rounds, int64_t *best, Error *err)
{
    if (s->keys)
        return measure_with(s, NULL, rounds, best, err);
    const KvSpec spec = {.layers = 1,
                         .kv_heads = s->kv_heads,
                         .head_dim = s->width,
                         .capacity = s->past + s->tokens};
    AUTO(kv_cache_free) KvCache *cache = kv_cache_new(&spec, err);
    if (!cache)
        return false;
    if (s->past) {
        AUTO(graph_free) Graph *before = graph_of(s, s->past, cache);
        if (!feed(before, cache, s->past, err))
            return false;
        kv_cache_commit(cache);
    }
    return measure_with(s, cache, rounds, best, err);
}

static void print(const Shapes *s, int64_t ns, json_t *array)
{
    double tokens = (double)s->tokens, keys = (double)s->keys;
    double mean = s->keys ? keys - (s->causal ? (tokens - 1) / 2 : 0) // keys that a query sees
                          : (double)s->past + (tokens + 1) / 2;
    double gflop_s = 4 * tokens * mean * (double)(s->heads * s->width) / (double)ns;
    if (!array)
        printf("%5lld new %s %5lld, %2lld heads (%lld) of %3lld %s%s %9.1f GFLOP/s %10.1f us\n",
               (long long)s->tokens, s->keys ? "to    " : "behind",
               (long long)(s->keys ? s->keys : s->past), (long long)s->heads,
               (long long)s->kv_heads, (long long)s->width,
               s->keys && !s->causal ? "      " : "causal", s->bf16 ? " bf16" : "     ", gflop_s,
               (double)ns / 1e3);
    else
        json_array_append_new(
            array, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:f, s:f}", "tokens",
                             (json_int_t)s->tokens, "past", (json_int_t)s->past, "keys",
                             (json_int_t)s->keys, "heads", (json_int_t)s->heads, "kv_heads",
                             (json_int_t)s->kv_heads, "width", (json_int_t)s->width, "causal",
                             s->causal || !s->keys, "bf16_products", s->bf16, "gflop_s", gflop_s,
                             "us", (double)ns / 1e3));
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.heads = 12, .width = 64, .rounds = 10};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n > 1)
        return fail(err, ERR_USAGE, "'%s' is one argument too many", args[1]);
    o.kv_heads = o.kv_heads ? o.kv_heads : o.heads;
    if (o.tokens < 0 || o.tokens > 1 << 20 || o.past < 0 || o.past > 1 << 20 || o.keys < 0 ||
        o.keys > 1 << 20 || o.heads < 1 || o.heads > 1 << 10 || o.width < 1 || o.width > 1 << 12 ||
        o.rounds < 1)
        return fail(err, ERR_USAGE, "a shape is out of range");
    const Shapes one = {o.tokens, o.past, o.heads, o.kv_heads, o.width, o.keys, o.causal, o.bf16};
    const Shapes *shapes = o.tokens ? &one : list;
    AUTO(json_decref) json_t *array = o.json ? json_array() : NULL;
    for (size_t i = 0; i < (o.tokens ? 1 : COUNT(list)); i++) {
        int64_t best;
        if (!measure(&shapes[i], o.rounds, &best, err))
            return false;
        print(&shapes[i], best, array);
    }
    if (array) {
        json_dumpf(array, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    return true;
}

const Verb bench_attention = {
    .name = "attention",
    .synopsis = "[--tokens T --past P|--keys S --heads H --kv-heads K --width D] [--json]",
    .summary = "attention over a key/value cache or without one, in GFLOP/s",
    .options = options,
    .n_options = COUNT(options),
    .run = run,
};
