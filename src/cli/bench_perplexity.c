/* bench_perplexity.c: `hug bench perplexity`: how well a model foresees a text. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/progress.h"
#include "fetch/fetch.h"
#include "generate/perplexity.h"

typedef struct Options {
    const char *file, *dtype;
    int64_t context, stride;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, file, TEXT, "--file", "F", "the text"),
    VALUE(Options, context, INT, "--context", "N", "tokens of a window; 512"),
    VALUE(Options, stride, INT, "--stride", "N",
          "transformers' way, windows move by N; without: llama.cpp's"),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "of the weights; auto"),
    FLAG(Options, json, "--json",
         "{\"perplexity\", \"nll\", \"deviation\", \"tokens\", \"windows\", \"tok_s\"}"),
};

static void advance(void *progress, int64_t done, int64_t windows)
{
    progress_add(progress, 1);
}

static bool encode(const char *path, const char *file, Encoding *e, int32_t *bos, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, TOKENIZER_MAX_TEXT);
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(path, err);
    if (!t || !file_read(file, &text, err) || !tokenizer_encode(t, buf_str(&text), true, e, err))
        return false;
    int32_t first = tokenizer_special(t, SPECIAL_BOS);
    *bos = first >= 0 && e->n > 0 && e->ids[0] == first ? first : -1;
    return true;
}

static bool measure(const char *path, const Options *o, Perplexity *out, int64_t *ns, Error *err)
{
    AUTO_ENCODING e = {0};
    PerplexityParams p = {.context = o->context, .stride = o->stride, .on_window = advance};
    if (!encode(path, o->file, &e, &p.bos, err))
        return false;
    const LanguageModelOptions how = {.dtype = o->dtype};
    AUTO(language_model_free) LanguageModel *m = language_model_open(path, &how, err);
    if (!m)
        return false;
    AUTO(progress_free) Progress *progress = progress_new("windows", -1, o->json);
    p.on_window_context = progress;
    int64_t began = clock_ns();
    bool ok = perplexity_measure(m, e.ids, e.n, &p, out, err);
    *ns = clock_ns() - began;
    return ok;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 2 || !o.file)
        return fail(err, ERR_USAGE, "give a model and a text: MODEL --file F");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    Perplexity out;
    int64_t ns = 0;
    if (!path || !measure(path, &o, &out, &ns, err))
        return false;
    double speed = (double)out.tokens * (double)NS_PER_S / (double)MAX(ns, INT64_C(1));
    if (o.json)
        printf("{\"perplexity\":%.6f,\"nll\":%.8f,\"deviation\":%.8f,\"tokens\":%lld,"
               "\"windows\":%lld,\"tok_s\":%.2f}\n",
               out.perplexity, out.nll, out.deviation, (long long)out.tokens,
               (long long)out.windows, speed);
    else
        printf("perplexity %.4f +- %.4f over %lld tokens in %lld windows, %.1f scored a second\n",
               out.perplexity, out.perplexity * out.deviation, (long long)out.tokens,
               (long long)out.windows, speed);
    return true;
}

const Verb bench_perplexity = {
    .name = "perplexity",
    .synopsis = "MODEL --file F [--context N] [--stride N] [--dtype D] [--json]",
    .summary = "how well a model foresees a text",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
