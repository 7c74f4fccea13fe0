/* bench_grammar.c: `hug bench grammar`: what constrained output costs a token: the masks along
 * random ways through a grammar, over a real vocabulary. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/random.h"
#include "cli/knobs.h"
#include "fetch/fetch.h"
#include "text/grammar.h"

enum { WALKS = 20, STEPS = 200, MAX_TIMES = WALKS * STEPS };

typedef struct Options {
    Constraint constraint;
    bool json;
} Options;

static const Option options[] = {
    CONSTRAINT_OPTIONS(Options, constraint),
    FLAG(Options, json, "--json",
         "{\"vocab\", \"trie_ms\", \"compile_ms\", \"mask_median_us\", \"mask_p99_us\", "
         "\"mask_max_us\"}"),
};

typedef struct Times {
    int64_t ns[MAX_TIMES];
    size_t n;
} Times;

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One of the mask's tokens, -1 if it has none. */
static int32_t choose(const uint64_t *mask, size_t words, Random *random)
{
    uint64_t n = 0;
    for (size_t i = 0; i < words; i++)
        n += (uint64_t)__builtin_popcountll(mask[i]);
    uint64_t at = n ? random_below(random, n) : 0;
    for (size_t i = 0; i < words && n; i++) {
        uint64_t here = (uint64_t)__builtin_popcountll(mask[i]), bits = mask[i];
        if (at >= here) {
            at -= here;
            continue;
        }
        while (at-- > 0)
            bits &= bits - 1;
        return (int32_t)(i * 64) + __builtin_ctzll(bits);
    }
    return -1;
}

static bool walk(Matcher *m, Random *random, Times *times, Error *err)
{
    MatchState at = matcher_start(m);
    for (int i = 0; i < STEPS && at >= 0; i++) {
        int64_t began = clock_ns();
        const uint64_t *mask = matcher_mask(m, at, err);
        times->ns[times->n++] = clock_ns() - began;
        if (!mask)
            return false;
        int32_t id = choose(mask, matcher_mask_words(m), random);
        if (id < 0)
            break;
        at = matcher_step(m, at, id);
    }
    return true;
}

static Grammar *read_grammar(const Constraint *c, Error *err)
{
    AUTO(json_decref) json_t *grammar = NULL;
    if (!constraint_read(c, &grammar, err))
        return NULL;
    return grammar ? grammar_from_json(grammar, err) : grammar_of_json(err);
}

static bool bench(const Tokenizer *t, const Options *o, Error *err)
{
    int64_t began = clock_ns();
    AUTO(token_trie_free) TokenTrie *trie = token_trie_new(t);
    int64_t trie_ns = clock_ns() - began;
    began = clock_ns();
    AUTO(grammar_free) Grammar *g = read_grammar(&o->constraint, err);
    int64_t compile_ns = clock_ns() - began;
    if (!g)
        return false;
    AUTO(matcher_free) Matcher *m = matcher_new(g, trie);
    AUTO(free) char *memory = xcalloc(1, sizeof(Times));
    Times *times = (Times *)(void *)memory;
    Random random = random_of(1);
    for (int i = 0; i < WALKS; i++)
        if (!walk(m, &random, times, err))
            return false;
    qsort(times->ns, times->n, sizeof *times->ns, by_value);
    printf(o->json ? "{\"vocab\": %d, \"trie_ms\": %.1f, \"compile_ms\": %.2f, \"mask_median_us\": "
                     "%.2f, \"mask_p99_us\": %.1f, \"mask_max_us\": %.1f}\n"
                   : "%d tokens: trie %.1f ms, grammar %.2f ms; a mask %.2f us, 99 of 100 within "
                     "%.1f us, the slowest %.1f us\n",
           tokenizer_size(t), (double)trie_ns / 1e6, (double)compile_ns / 1e6,
           (double)times->ns[times->n / 2] / 1e3, (double)times->ns[times->n * 99 / 100] / 1e3,
           (double)times->ns[times->n - 1] / 1e3);
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 2)
        return fail(err, ERR_USAGE, "give a model");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    AUTO(tokenizer_free) Tokenizer *t = path ? tokenizer_open(path, err) : NULL;
    return t && bench(t, &o, err);
}

const Verb bench_grammar = {
    .name = "grammar",
    .synopsis = "MODEL [--json-schema FILE|--grammar FILE|--regex R] [--json]",
    .summary = "the masks of constrained output; without a constraint, any JSON object",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
