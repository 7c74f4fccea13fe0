/* bench_generate.c: `hug bench generate`: how fast a model reads a prompt and writes an answer. */
#include "cli/bench.h"

#include "base/clock.h"
#include "fetch/fetch.h"
#include "generate/batch.h"

#include <sys/resource.h>

typedef struct Options {
    const char *dtype, *cache_dtype;
    int64_t prompt, answer, batch, rounds;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, dtype, TEXT, "--dtype", "D", "of the weights; auto"),
    VALUE(Options, prompt, INT, "--prompt-tokens", "N", "512"),
    VALUE(Options, answer, INT, "--new-tokens", "N", "64"),
    VALUE(Options, batch, INT, "--batch", "N", "sequences at once; figures are of all of them"),
    VALUE(Options, cache_dtype, TEXT, "--cache-dtype", "D",
          "of keys and values: f32, f16, bf16, q8_0"),
    VALUE(Options, rounds, INT, "--rounds", "N", "the best of N; 3"),
    FLAG(Options, json, "--json", "{\"load_s\", \"prefill_tok_s\", \"decode_tok_s\", \"peak_mb\"}"),
};

typedef struct Figures {
    int64_t load_ns, prefill_ns, decode_ns; // the best round's
} Figures;

enum { MAX_BATCH = 1024 };

/* Feeds each sequence n of the ids; which tokens they are does not matter to the kernels, but each
 * has its own. */
static bool feed(Batch *b, const Options *o, const int *sequences, const int32_t *ids, int64_t at,
                 int64_t n, Error *err)
{
    BatchFeed feeds[MAX_BATCH];
    for (int64_t i = 0; i < o->batch; i++)
        feeds[i] = (BatchFeed){sequences[i], ids + (at + i * 17) % o->prompt, (size_t)n, 0};
    return batch_step(b, feeds, (size_t)o->batch, NULL, err);
}

/* All prompts, then all answers. */
static bool measure_round(Batch *b, const Options *o, const int32_t *ids, Figures *f, Error *err)
{
    int sequences[MAX_BATCH];
    for (int64_t i = 0; i < o->batch; i++)
        sequences[i] = batch_add(b, err);
    int64_t began = clock_ns();
    if (!feed(b, o, sequences, ids, 0, o->prompt, err))
        return false;
    int64_t read = clock_ns();
    for (int64_t i = 0; i < o->answer; i++)
        if (!feed(b, o, sequences, ids, i, 1, err))
            return false;
    int64_t wrote = clock_ns();
    f->prefill_ns = MIN(f->prefill_ns, read - began);
    f->decode_ns = MIN(f->decode_ns, wrote - read);
    for (int64_t i = 0; i < o->batch; i++)
        batch_drop(b, sequences[i]);
    return true;
}

static bool measure(const char *path, const Options *o, Arena *a, Figures *f, Error *err)
{
    int64_t began = clock_ns();
    const LanguageModelOptions how = {.dtype = o->dtype};
    AUTO(language_model_free) LanguageModel *m = language_model_open(path, &how, err);
    if (!m)
        return false;
    const BatchOptions sizes = {.sequences = (int)o->batch, .cache_dtype = o->cache_dtype};
    AUTO(batch_free) Batch *b = batch_new(m, &sizes, err);
    if (!b)
        return false;
    f->load_ns = clock_ns() - began;
    if (o->prompt + o->answer > (int64_t)batch_capacity(b))
        return fail(err, ERR_USAGE, "%lld and %lld tokens; the model takes %zu in all",
                    (long long)o->prompt, (long long)o->answer, batch_capacity(b));
    int32_t *ids = NEW_ARRAY(a, int32_t, 2 * (size_t)o->prompt); // twice the same
    Random r = random_of(1);
    for (int64_t i = 0; i < o->prompt; i++)
        ids[i] = ids[i + o->prompt] = (int32_t)random_below(&r, (uint64_t)language_model_vocab(m));
    for (int64_t round = 0; round < o->rounds; round++)
        if (!measure_round(b, o, ids, f, err))
            return false;
    return true;
}

static double per_second(int64_t n, int64_t ns)
{
    return (double)n * (double)NS_PER_S / (double)ns;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.prompt = 512, .answer = 64, .batch = 1, .rounds = 3};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 2)
        return fail(err, ERR_USAGE, "give a model");
    if (o.prompt < 1 || o.answer < 1 || o.rounds < 1 || o.batch < 1 || o.batch > MAX_BATCH)
        return fail(err, ERR_USAGE,
                    "numbers of tokens, rounds and sequences start at 1; --batch ends at %d",
                    MAX_BATCH);
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    Figures f = {.prefill_ns = INT64_MAX, .decode_ns = INT64_MAX};
    if (!path || !measure(path, &o, a, &f, err))
        return false;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(o.json
               ? "{\"load_s\":%.4f,\"prefill_tok_s\":%.2f,\"decode_tok_s\":%.2f,\"peak_mb\":%.1f}\n"
               : "load %.2f s, prompt %.1f tokens a second, answer %.1f, at most %.0f MB\n",
           (double)f.load_ns / (double)NS_PER_S, per_second(o.batch * o.prompt, f.prefill_ns),
           per_second(o.batch * o.answer, f.decode_ns), (double)usage.ru_maxrss * 1024 / 1e6);
    return true;
}

const Verb bench_generate = {
    .name = "generate",
    .synopsis = "MODEL [--dtype D] [--prompt-tokens N] [--new-tokens N] [--batch N] [--json]",
    .summary = "how fast a model reads a prompt and writes an answer",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
