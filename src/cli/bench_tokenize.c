/* bench_tokenize.c: `hug bench tokenize`: how fast a text becomes tokens. With several threads the
 * text is cut at line ends, a part a thread. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/file.h"
#include "fetch/fetch.h"
#include "text/tokenizer.h"

#include <pthread.h>

enum { MAX_THREADS = 256, ROUNDS = 5 };

typedef struct Options {
    const char *file;
    int64_t threads;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, file, TEXT, "--file", "F", "the text"),
    VALUE(Options, threads, INT, "--threads", "N", "that many at once (default 1)"),
    FLAG(Options, json, "--json", "{\"mb_s\", \"tokens\", \"open_ms\"}"),
};

typedef struct Part {
    const Tokenizer *tokenizer;
    Str text;
    Encoding encoding;
    bool ok;
    Error err;
    pthread_t thread;
} Part;

static void *encode_part(void *context)
{
    Part *p = context;
    p->ok = tokenizer_encode(p->tokenizer, p->text, false, &p->encoding, &p->err);
    return NULL;
}

static void cut(Part *parts, size_t n, Str text)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        size_t end = text.len * (i + 1) / n, line = str_find_char(text, '\n', end);
        end = i + 1 == n || line == SIZE_MAX ? text.len : line + 1;
        parts[i].text = str_slice(text, MIN(from, end), end);
        from = MAX(from, end);
    }
}

/* One round; the caller's thread takes the first part. */
static bool encode_all(Part *parts, size_t n, Error *err)
{
    for (size_t i = 1; i < n; i++)
        CHECK(pthread_create(&parts[i].thread, NULL, encode_part, &parts[i]) == 0);
    encode_part(&parts[0]);
    for (size_t i = 1; i < n; i++)
        pthread_join(parts[i].thread, NULL);
    for (size_t i = 0; i < n; i++)
        if (!parts[i].ok) {
            if (err)
                *err = parts[i].err;
            return false;
        }
    return true;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median round, after one that warms up. */
static bool measure(Part *parts, size_t n, int64_t *median, Error *err)
{
    int64_t times[ROUNDS];
    if (!encode_all(parts, n, err))
        return false;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = clock_ns();
        if (!encode_all(parts, n, err))
            return false;
        times[i] = clock_ns() - began;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    *median = MAX(times[ROUNDS / 2], 1);
    return true;
}

static bool bench(const Tokenizer *t, int64_t open_ns, Str text, const Options *o, Error *err)
{
    size_t n = (size_t)o->threads, tokens = 0;
    Part *parts = xcalloc(n, sizeof *parts);
    for (size_t i = 0; i < n; i++)
        parts[i].tokenizer = t;
    cut(parts, n, text);
    int64_t median = 0;
    bool ok = measure(parts, n, &median, err);
    for (size_t i = 0; i < n; i++) {
        tokens += parts[i].encoding.n;
        encoding_done(&parts[i].encoding);
    }
    free(parts);
    if (!ok)
        return false;
    double mb_s = (double)text.len / 1e6 / ((double)median / 1e9), open_ms = (double)open_ns / 1e6;
    printf(o->json ? "{\"mb_s\": %.2f, \"tokens\": %zu, \"open_ms\": %.1f}\n"
                   : "%.2f MB/s, %zu tokens; opened in %.1f ms\n",
           mb_s, tokens, open_ms);
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.threads = 1};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 2 || !o.file)
        return fail(err, ERR_USAGE, "give a model and --file");
    if (o.threads < 1 || o.threads > MAX_THREADS)
        return fail(err, ERR_USAGE, "--threads: from 1 to %d", MAX_THREADS);
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF text;
    buf_init(&text, TOKENIZER_MAX_TEXT);
    const char *path = fetch_model(a, args[1], err);
    if (!path || !file_read(o.file, &text, err))
        return false;
    int64_t began = clock_ns();
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(path, err);
    int64_t open_ns = clock_ns() - began;
    return t && bench(t, open_ns, buf_str(&text), &o, err);
}

const Verb bench_tokenize = {
    .name = "tokenize",
    .synopsis = "MODEL --file F [--threads N] [--json]",
    .summary = "a text to tokens",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
