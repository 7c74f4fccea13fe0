/* dataset.c: documents to examples, and the order in which they are trained on; see dataset.h. */
#include "train/dataset_internal.h"

#include "base/random.h"
#include "base/thread.h"

#include <stdatomic.h>

struct Dataset {
    int32_t *ids;
    uint8_t *learned;
    int64_t *starts;
    Examples examples;
    DatasetFacts facts;
};

Examples examples_slice(const Examples *e, size_t from, size_t to)
{
    Examples part = *e;
    part.starts += from;
    part.n = to - from;
    return part;
}

int64_t example_labels(const Examples *e, size_t i)
{
    int64_t n = 0;
    for (int64_t t = e->starts[i] + 1; t < e->starts[i + 1]; t++)
        n += e->learned[t];
    return n;
}

void dataset_free(Dataset *d)
{
    if (!d)
        return;
    free(d->ids);
    free(d->learned);
    free(d->starts);
    free(d);
}

const Examples *dataset_examples(const Dataset *d)
{
    return &d->examples;
}

DatasetFacts dataset_facts(const Dataset *d)
{
    return d->facts;
}

/* ---- Tokenising ---- */

/* The tokens of one document. */
typedef struct Tokens {
    int32_t *ids;
    uint8_t *learned;
    size_t n;
} Tokens;

typedef struct TokenizeJob {
    const Sources *sources;
    const DatasetSpec *spec;
    Tokens *tokens;
    size_t per_task;
    atomic_bool failed;
    pthread_mutex_t lock; // of the first error
    size_t failed_at;
    Error error;
} TokenizeJob;

static void mark_learned(const Document *d, const Encoding *e, uint8_t *learned)
{
    // Where all is learned, tokens that the model puts around a text are too.
    if (d->n_learned == 1 && d->learned[0].from == 0 && d->learned[0].to == d->text.len) {
        memset(learned, 1, e->n);
        return;
    }
    size_t range = 0;
    for (size_t i = 0; i < e->n; i++) {
        Span span = e->spans[i];
        while (range < d->n_learned && span.start >= d->learned[range].to)
            range++;
        // A token that has any of what is learned in it is learned.
        learned[i] =
            range < d->n_learned && span.end > d->learned[range].from && span.end > span.start;
    }
}

static bool tokenize(const TokenizeJob *job, size_t at, Document *d, Encoding *e, Error *err)
{
    const DatasetSpec *spec = job->spec;
    const Source *source = &job->sources->items[at];
    if (!document_read(d, job->sources, source, spec, err))
        return false;
    if (!tokenizer_encode(spec->tokenizer, buf_str(&d->text), d->add_special, e, err))
        return fail_while(err, "%s: line %lld", job->sources->files[source->file].path,
                          (long long)source->line);
    Tokens *t = &job->tokens[at];
    int32_t eos = tokenizer_special(spec->tokenizer, SPECIAL_EOS);
    t->ids = xmalloc((e->n + 1) * sizeof *t->ids);
    t->learned = xmalloc(e->n + 1);
    if (e->n > 0)
        memcpy(t->ids, e->ids, e->n * sizeof *t->ids);
    t->n = e->n;
    mark_learned(d, e, t->learned);
    if (d->append_eos && eos >= 0 && e->n > 0 && e->ids[e->n - 1] != eos) {
        t->ids[t->n] = eos;
        t->learned[t->n++] = 1;
    }
    for (size_t i = 0; spec->vocab > 0 && i < t->n; i++)
        if (t->ids[i] >= spec->vocab)
            return fail(err, ERR_INVALID, "the tokenizer gives id %d, the model has %lld",
                        t->ids[i], (long long)spec->vocab);
    return true;
}

static void tokenize_some(void *context, int64_t task)
{
    TokenizeJob *job = context;
    AUTO_ENCODING e = {0};
    Document *d = xcalloc(1, sizeof *d);
    buf_init(&d->text, 0);
    size_t from = (size_t)task * job->per_task, to = MIN(job->sources->n, from + job->per_task);
    for (size_t i = from; i < to && !atomic_load(&job->failed); i++) {
        Error err = {0};
        if (tokenize(job, i, d, &e, &err))
            continue;
        pthread_mutex_lock(&job->lock);
        if (!atomic_load(&job->failed) || i < job->failed_at) {
            job->error = err;
            job->failed_at = i;
        }
        atomic_store(&job->failed, true);
        pthread_mutex_unlock(&job->lock);
    }
    buf_done(&d->text);
    free(d);
}

static bool tokenize_all(TokenizeJob *job, Error *err)
{
    pthread_mutex_init(&job->lock, NULL);
    // A few thousand tasks: short documents share one.
    job->per_task = job->sources->n / 4096 + 1;
    thread_each((int64_t)((job->sources->n + job->per_task - 1) / job->per_task), tokenize_some,
                job);
    pthread_mutex_destroy(&job->lock);
    if (!atomic_load(&job->failed))
        return true;
    if (err)
        *err = job->error;
    return false;
}

/* ---- Examples ---- */

/* All documents one behind the other; what is copied is freed. */
static void join(Dataset *d, Tokens *tokens, size_t n)
{
    size_t all = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        all += tokens[i].n;
    d->ids = xmalloc((all + 1) * sizeof *d->ids);
    d->learned = xmalloc(all + 1);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].n > 0) {
            memcpy(d->ids + at, tokens[i].ids, tokens[i].n * sizeof *d->ids);
            memcpy(d->learned + at, tokens[i].learned, tokens[i].n);
        }
        at += tokens[i].n;
        free(tokens[i].ids);
        free(tokens[i].learned);
        tokens[i].ids = NULL;
        tokens[i].learned = NULL;
    }
    d->facts.tokens = (int64_t)all;
}

/* Full blocks; a data set shorter than one block is one example. */
static void cut_blocks(Dataset *d, int64_t block)
{
    int64_t all = d->facts.tokens, n = all / block;
    if (n == 0 && all > 0)
        block = all, n = 1;
    d->starts = xcalloc((size_t)n + 1, sizeof *d->starts);
    for (int64_t i = 0; i <= n; i++)
        d->starts[i] = i * block;
    d->examples.n = (size_t)n;
    d->facts.dropped = all - n * block;
}

/* A document an example, cut at `block`; those with nothing to predict are left out. The parts of a
 * long text are examples too. */
static void cut_documents(Dataset *d, const Tokens *tokens, size_t n, int64_t block)
{
    d->starts = xcalloc(n + 1, sizeof *d->starts);
    int64_t from = 0, to = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; from += (int64_t)tokens[i++].n) {
        int64_t length = MIN(block, (int64_t)tokens[i].n);
        Examples one = {.learned = d->learned, .starts = (int64_t[]){from, from + length}, .n = 1};
        if (example_labels(&one, 0) == 0)
            continue;
        memmove(d->ids + to, d->ids + from, (size_t)length * sizeof *d->ids);
        memmove(d->learned + to, d->learned + from, (size_t)length);
        to += length;
        d->starts[++kept] = to;
    }
    d->examples.n = kept;
    d->facts.dropped = d->facts.tokens - to;
}

static bool packs(const Sources *s, const DatasetSpec *spec)
{
    if (spec->args->packing_given)
        return spec->args->packing;
    return s->n == 0 || source_is_plain(s, &s->items[0], spec);
}

static bool make_examples(Dataset *d, const Sources *s, const DatasetSpec *spec, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    TokenizeJob job = {.sources = s, .spec = spec, .tokens = NEW_ARRAY(a, Tokens, s->n)};
    bool ok = tokenize_all(&job, err);
    join(d, job.tokens, s->n);
    if (!ok)
        return false;
    d->facts.packed = packs(s, spec);
    d->facts.documents = (int64_t)s->n;
    if (d->facts.packed)
        cut_blocks(d, spec->block_size);
    else
        cut_documents(d, job.tokens, s->n, spec->block_size);
    d->examples.ids = d->ids;
    d->examples.learned = d->learned;
    d->examples.starts = d->starts;
    return d->examples.n > 0 || fail(err, ERR_INVALID, "there is nothing to learn in it");
}

Dataset *dataset_load(const DatasetSpec *spec, Error *err)
{
    AUTO(dataset_free) Dataset *d = xcalloc(1, sizeof *d);
    Sources sources = {0};
    bool ok = sources_find(&sources, spec->path, spec->split, err) &&
              make_examples(d, &sources, spec, err);
    sources_done(&sources);
    return ok ? TAKE(d) : fail_while(err, "data set '%s'", spec->path);
}

/* ---- Order ---- */

/* Megabatches of the shuffled order, each sorted from long to short, the longest of all first so
 * that too little memory shows at once. As transformers' group_by_length. */
static void sort_by_length(const OrderSpec *spec, size_t n, uint32_t *order)
{
    const Examples *e = spec->by_length;
    size_t mega = spec->batch * MIN(MAX(n / (spec->batch * 4), 1), 50);
    for (size_t from = 0; from < n; from += mega) {
        size_t to = MIN(n, from + mega);
        for (size_t i = from + 1; i < to; i++) { // stable, and nearly sorted runs are short
            uint32_t x = order[i];
            size_t j = i;
            for (; j > from && example_length(e, order[j - 1]) < example_length(e, x); j--)
                order[j] = order[j - 1];
            order[j] = x;
        }
    }
    size_t longest = 0;
    for (size_t from = 0; from < n; from += mega)
        if (example_length(e, order[from]) > example_length(e, order[longest]))
            longest = from;
    uint32_t first = order[0];
    order[0] = order[longest];
    order[longest] = first;
}

void epoch_order(const OrderSpec *spec, int64_t epoch, size_t n, uint32_t *order)
{
    if (spec->given) {
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)spec->given[((size_t)epoch * n + i) % spec->n_given];
        return;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    // Each epoch has its own stream, so that going on from a checkpoint needs no other state.
    Random mix = random_of(spec->seed);
    Random r = random_of(random_next(&mix) + (uint64_t)epoch);
    for (size_t i = n; i > 1; i--) { // Fisher and Yates
        size_t j = (size_t)random_below(&r, i);
        uint32_t x = order[i - 1];
        order[i - 1] = order[j];
        order[j] = x;
    }
    if (spec->by_length)
        sort_by_length(spec, n, order);
}

bool order_read(const char *path, size_t n, Arena *a, OrderSpec *spec, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, (size_t)1 << 30);
    if (!file_read(path, &text, err))
        return false;
    int64_t *given = NEW_ARRAY(a, int64_t, text.len / 2 + 1);
    size_t count = 0;
    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && !strchr(" \t\r\n", text.ptr[i]))
            i++;
        Str word = str_slice(buf_str(&text), start, i);
        if (word.len > 0 && !str_to_int(word, 0, (int64_t)n - 1, &given[count++]))
            return fail(err, ERR_INVALID, "%s: offset %zu: '%.*s' is no number below %zu", path,
                        start, STR(str_slice(word, 0, 40)), n);
        i++;
    }
    if (count == 0)
        return fail(err, ERR_INVALID, "%s: there are no numbers in it", path);
    spec->given = given;
    spec->n_given = count;
    return true;
}
