/* verb_bench.c: `hug bench`: speeds, by what is measured. */
#include "cli/bench.h"

#define BENCHES(X)                                                                                 \
    X(bench_generate)                                                                              \
    X(bench_gemm)                                                                                  \
    X(bench_kernels)                                                                               \
    X(bench_attention)                                                                             \
    X(bench_conv)                                                                                  \
    X(bench_grammar)                                                                               \
    X(bench_sample)                                                                                \
    X(bench_tokenize)                                                                              \
    X(bench_perplexity)                                                                            \
    X(bench_train)

#define X(bench) extern const Verb bench;
BENCHES(X)
#undef X

const Verb *const benches[] = {
#define X(bench) &bench,
    BENCHES(X)
#undef X
        NULL,
};

static const Verb *bench_find(const char *name)
{
    for (const Verb *const *b = benches; *b; b++)
        if (strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

static void print(const Verb *bench)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    options_help(bench->options, bench->n_options, &text);
    printf("hug bench %s %s\n  %s\n%.*s\n", bench->name, bench->synopsis, bench->summary,
           STR(buf_str(&text)));
}

static bool run(int n, char **args, Error *err)
{
    if (n < 2) {
        for (const Verb *const *b = benches; *b; b++)
            print(*b);
        return true;
    }
    const Verb *bench = bench_find(args[1]);
    if (!bench)
        return fail(err, ERR_USAGE, "nothing is called '%s'; `hug bench` lists what there is",
                    args[1]);
    if (n > 2 && (strcmp(args[2], "--help") == 0 || strcmp(args[2], "-h") == 0)) {
        print(bench);
        return true;
    }
    args[1] = args[0]; // a wrong option is told of `hug help bench`
    return bench->run(n - 1, args + 1, err) || fail_while(err, "%s", bench->name);
}

const Verb verb_bench = {
    .name = "bench",
    .synopsis = "WHAT ... [--json]",
    .summary = "measure speeds; without WHAT: what can be measured",
    .help =
        "`hug bench` lists what there is with its options, `hug bench WHAT --help` those of one.",
    .run = run,
};
