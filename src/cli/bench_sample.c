/* bench_sample.c: `hug bench sample`: what choosing a token costs, by knobs and size of vocabulary,
 * over logits that fall off as a language model's do. */
#include "cli/bench.h"

#include "base/clock.h"
#include "cli/knobs.h"
#include "generate/generate.h"

#include <math.h>

enum { ROUNDS = 300, MAX_VOCAB = 1 << 24 };

typedef struct Options {
    int64_t vocab;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, vocab, INT, "--vocab", "N", "tokens (default 128256)"),
    FLAG(Options, json, "--json", "{\"vocab\", \"pick_us\"}"),
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* About normal, as the logits of real models are, with a few likely ones. */
static float *make_logits(size_t n)
{
    Random random = random_of(7);
    float *logits = xcalloc(n, sizeof *logits);
    for (size_t i = 0; i < n; i++) {
        double u = random_unit(&random), v = random_unit(&random);
        logits[i] = (float)(sqrt(-2 * log(u + 1e-12)) * cos(6.283185307 * v) * 2.2);
    }
    for (size_t i = 0; i < MIN(n, 20); i++)
        logits[i * 97 % n] += 12 - (float)i / 2;
    return logits;
}

static void bench(const GenerateParams *p, const Options *o)
{
    size_t vocab = (size_t)o->vocab;
    float *logits = make_logits(vocab);
    AUTO(sampler_free) Sampler *s = sampler_new(&p->sample, o->vocab);
    Random random = random_of(1);
    const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    SampleInput in = {.logits = logits, .ids = ids, .n = COUNT(ids), .prompt = 4};
    int64_t times[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = clock_ns();
        sampler_pick(s, &in, &random);
        times[i] = clock_ns() - began;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    printf(o->json ? "{\"vocab\": %lld, \"pick_us\": %.1f}\n" : "%lld tokens: a choice %.1f us\n",
           (long long)o->vocab, (double)times[ROUNDS / 2] / 1e3);
    free(logits);
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.vocab = 128256};
    AUTO(json_decref) json_t *request = json_object();
    AUTO(arena_free) Arena *a = arena_new(0);
    GenerateParams p;
    if (!knobs_read(request, &n, args, err) ||
        !options_read(&o, options, COUNT(options), &n, args, err) ||
        !generate_params_parse(&p, NULL, request, a, err))
        return false;
    if (n != 1 || o.vocab < 1 || o.vocab > MAX_VOCAB)
        return fail(err, ERR_USAGE, "give --vocab from 1 to %d, and knobs", MAX_VOCAB);
    bench(&p, &o);
    return true;
}

const Verb bench_sample = {
    .name = "sample",
    .synopsis = "[--vocab N] [--do-sample --top-k K --top-p P ...] [--json]",
    .summary = "the choice of a token",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
    .takes_knobs = true,
};
