/* batch.c: many sequences of one model at once; see batch.h.
 *
 * A step's tokens lie one behind the other in one row of a graph; the cache's spans say whose they
 * are. Graphs have fixed sizes: a step runs in the smallest of a few sizes that holds it, filled up
 * with rows of nobody. A graph is built when its size is first needed and kept, so that a loop
 * allocates nothing once its sizes have come up. */
#include "generate/batch.h"

#include "generate/generate_internal.h"
#include "models/models.h"

enum { CHUNK = 512, DEFAULT_SEQUENCES = 64, MAX_SEQUENCES = 1 << 16, MAX_GRAPHS = 32 };

typedef struct Sequence {
    bool used;
    int32_t *ids;
    size_t n, cap;
    float *logits; // [n_logits,vocab]
    size_t n_logits, cap_logits;
} Sequence;

struct Batch {
    const LanguageModel *model;
    KvCache *cache;
    size_t capacity;
    Sequence *sequences;
    int n_sequences;
    StepGraph graphs[MAX_GRAPHS]; // the most recently used first
    int n_graphs;
    KvSpan *spans; // of the step in hand
    size_t *fed;   // tokens done, of each of its feeds
};

Batch *batch_new(const LanguageModel *m, const BatchOptions *options, Error *err)
{
    BatchOptions o = options ? *options : (BatchOptions){0};
    o.sequences = o.sequences ? o.sequences : DEFAULT_SEQUENCES;
    if (o.sequences < 1 || o.sequences > MAX_SEQUENCES || o.max_tokens < 0)
        return fail(err, ERR_INVALID, "a batch of %d sequences of %lld tokens", o.sequences,
                    (long long)o.max_tokens);
    AUTO(batch_free) Batch *b = xcalloc(1, sizeof *b);
    KvSpec spec = language_model_internals(m)->kv;
    spec.sequences = o.sequences;
    if (o.max_tokens)
        spec.capacity = MIN(spec.capacity, o.max_tokens);
    b->model = m;
    b->capacity = (size_t)spec.capacity;
    b->n_sequences = o.sequences;
    b->sequences = xcalloc((size_t)o.sequences, sizeof *b->sequences);
    b->spans = xcalloc((size_t)o.sequences + 1, sizeof *b->spans);
    b->fed = xcalloc((size_t)o.sequences, sizeof *b->fed);
    b->cache = kv_cache_new(&spec, err);
    return b->cache ? TAKE(b) : NULL;
}

void batch_free(Batch *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->n_graphs; i++)
        step_graph_done(&b->graphs[i]);
    for (int i = 0; i < b->n_sequences; i++) {
        free(b->sequences[i].ids);
        free(b->sequences[i].logits);
    }
    kv_cache_free(b->cache);
    free(b->sequences);
    free(b->spans);
    free(b->fed);
    free(b);
}

const LanguageModel *batch_model(const Batch *b)
{
    return b->model;
}

size_t batch_capacity(const Batch *b)
{
    return b->capacity;
}

// ---- Sequences ----

static Sequence *sequence_at(const Batch *b, int sequence)
{
    CHECK(sequence >= 0 && sequence < b->n_sequences && b->sequences[sequence].used);
    return &b->sequences[sequence];
}

int batch_add(Batch *b, Error *err)
{
    for (int i = 0; i < b->n_sequences; i++)
        if (!b->sequences[i].used) {
            b->sequences[i].used = true;
            return i;
        }
    (void)!fail(err, ERR_LIMIT, "all %d sequences of the batch are in use", b->n_sequences);
    return -1;
}

void batch_drop(Batch *b, int sequence)
{
    Sequence *s = sequence_at(b, sequence);
    s->used = false;
    s->n = s->n_logits = 0;
    kv_cache_truncate(b->cache, sequence, 0);
}

static void reserve_ids(Sequence *s, size_t n)
{
    if (n <= s->cap)
        return;
    s->cap = MAX(n, 2 * s->cap);
    s->ids = xrealloc(s->ids, s->cap * sizeof *s->ids);
}

static void reserve_logits(Sequence *s, size_t n, size_t vocab)
{
    if (n <= s->cap_logits)
        return;
    s->cap_logits = n;
    s->logits = xrealloc(s->logits, n * vocab * sizeof *s->logits);
}

/* `to` becomes what `from` is. */
static void copy_sequence(Batch *b, int to, int from)
{
    const Sequence *f = sequence_at(b, from);
    Sequence *t = sequence_at(b, to);
    size_t vocab = (size_t)language_model_vocab(b->model);
    reserve_ids(t, f->n);
    reserve_logits(t, f->n_logits, vocab);
    t->n = f->n;
    t->n_logits = f->n_logits;
    if (f->n)
        memcpy(t->ids, f->ids, f->n * sizeof *t->ids);
    if (f->n_logits)
        memcpy(t->logits, f->logits, f->n_logits * vocab * sizeof *t->logits);
    kv_cache_copy(b->cache, to, from);
}

int batch_fork(Batch *b, int sequence, Error *err)
{
    int fork = batch_add(b, err);
    if (fork >= 0)
        copy_sequence(b, fork, sequence);
    return fork;
}

void batch_truncate(Batch *b, int sequence, size_t n)
{
    Sequence *s = sequence_at(b, sequence);
    if (n >= s->n)
        return;
    s->n = n;
    s->n_logits = 0;
    kv_cache_truncate(b->cache, sequence, (int64_t)n);
}

/* Old states are kept as forks until all have moved. */
bool batch_reorder(Batch *b, const int *sequences, const int *from, size_t n, Error *err)
{
    int *kept = xcalloc(n, sizeof *kept);
    bool ok = true;
    size_t forks = 0;
    for (; forks < n && ok; forks += ok)
        ok = (kept[forks] = batch_fork(b, sequences[from[forks]], err)) >= 0;
    for (size_t i = 0; i < n && ok; i++)
        copy_sequence(b, sequences[i], kept[i]);
    for (size_t i = 0; i < forks; i++)
        batch_drop(b, kept[i]);
    free(kept);
    return ok;
}

size_t batch_length(const Batch *b, int sequence)
{
    return sequence_at(b, sequence)->n;
}

const int32_t *batch_ids(const Batch *b, int sequence)
{
    return sequence_at(b, sequence)->ids;
}

const float *batch_logits(const Batch *b, int sequence, size_t row)
{
    const Sequence *s = sequence_at(b, sequence);
    return row < s->n_logits ? s->logits + row * (size_t)language_model_vocab(b->model) : NULL;
}

// ---- Steps ----

/* The size of graph that n rows run in. */
static int64_t size_for(int64_t n)
{
    int64_t step = n <= 16 ? 1 : n <= 64 ? 8 : 32;
    return (n + step - 1) / step * step;
}

static StepGraph *graph_for(Batch *b, int64_t tokens, int64_t rows, Error *err)
{
    StepGraph found = {0};
    int i = 0;
    while (i < b->n_graphs && (b->graphs[i].n != tokens || b->graphs[i].rows != rows))
        i++;
    if (i < b->n_graphs) {
        found = b->graphs[i];
    } else {
        if (!step_graph_build(&found, language_model_internals(b->model), tokens, rows, err))
            return NULL;
        graph_use_cache(found.graph, b->cache);
        if (b->n_graphs == MAX_GRAPHS)
            step_graph_done(&b->graphs[--i]);
        else
            b->n_graphs++;
    }
    memmove(b->graphs + 1, b->graphs, (size_t)i * sizeof *b->graphs);
    b->graphs[0] = found;
    return &b->graphs[0];
}

static size_t logits_wanted(const BatchFeed *f)
{
    return MAX(f->logits, 1);
}

/* Of the tokens [from, from + n) of a feed, those whose logits are wanted: the first of them. */
static size_t first_wanted(const BatchFeed *f, size_t from)
{
    return MAX(f->n - logits_wanted(f), from);
}

/* Tokens that a feed has in this step, when `room` rows are left. */
static size_t share_of(const Batch *b, const BatchFeed *f, size_t i, size_t room)
{
    return MIN(f->n - b->fed[i], room);
}

/* Divides the rows of a step among the feeds, each its next tokens; how many rows these are, and of
 * how many logits are wanted. */
static size_t plan_step(Batch *b, const BatchFeed *feeds, size_t n, size_t *n_spans, size_t *rows)
{
    size_t used = 0;
    *n_spans = *rows = 0;
    for (size_t i = 0; i < n; i++) {
        size_t share = share_of(b, &feeds[i], i, CHUNK - used), end = b->fed[i] + share;
        if (share == 0)
            continue;
        b->spans[(*n_spans)++] = (KvSpan){feeds[i].sequence, (int64_t)share};
        used += share;
        *rows += end - MIN(end, first_wanted(&feeds[i], b->fed[i]));
    }
    return used;
}

/* Tokens, positions and the rows whose logits are wanted; what fills the graph up is token 0. */
static void fill_inputs(const Batch *b, StepGraph *g, const BatchFeed *feeds, size_t n, size_t used)
{
    int32_t *tokens = tensor_data(g->tokens), *positions = tensor_data(g->positions),
            *wanted = tensor_data(g->wanted);
    size_t at = 0, row = 0;
    for (size_t i = 0; i < n; i++) {
        const BatchFeed *f = &feeds[i];
        size_t from = b->fed[i], share = share_of(b, f, i, CHUNK - at);
        for (size_t t = from; t < from + share; t++, at++) {
            tokens[at] = f->ids[t];
            positions[at] = (int32_t)(sequence_at(b, f->sequence)->n + t - from);
            if (t >= first_wanted(f, from))
                wanted[row++] = (int32_t)at;
        }
    }
    size_t fill = (size_t)g->n - used;
    memset(tokens + used, 0, fill * sizeof *tokens);
    memset(positions + used, 0, fill * sizeof *positions);
    memset(wanted + row, 0, ((size_t)g->rows - row) * sizeof *wanted);
}

/* What the step found becomes the sequences'. */
static void take_results(Batch *b, const StepGraph *g, const BatchFeed *feeds, size_t n)
{
    size_t at = 0, vocab = (size_t)language_model_vocab(b->model);
    const float *logits = tensor_data(g->logits);
    for (size_t i = 0; i < n; i++) {
        const BatchFeed *f = &feeds[i];
        Sequence *s = sequence_at(b, f->sequence);
        size_t from = b->fed[i], share = share_of(b, f, i, CHUNK - at);
        size_t first = first_wanted(f, from), rows = from + share - MIN(from + share, first);
        reserve_ids(s, s->n + share);
        memcpy(s->ids + s->n, f->ids + from, share * sizeof *s->ids);
        s->n += share;
        if (share > 0 && from == 0)
            s->n_logits = 0;
        reserve_logits(s, logits_wanted(f), vocab);
        memcpy(s->logits + s->n_logits * vocab, logits, rows * vocab * sizeof *logits);
        s->n_logits += rows;
        logits += rows * vocab;
        b->fed[i] += share;
        at += share;
    }
}

/* As much of the feeds as one graph takes. */
static bool run_step(Batch *b, const BatchFeed *feeds, size_t n, Error *err)
{
    size_t n_spans, rows, used = plan_step(b, feeds, n, &n_spans, &rows);
    int64_t size = size_for((int64_t)used);
    StepGraph *g = graph_for(b, size, size_for((int64_t)MAX(rows, 1)), err);
    if (!g)
        return false;
    if (size > (int64_t)used)
        b->spans[n_spans++] = (KvSpan){KV_NOBODY, size - (int64_t)used};
    if (!kv_cache_begin(b->cache, b->spans, n_spans, err))
        return false;
    fill_inputs(b, g, feeds, n, used);
    if (!graph_run(g->graph, err))
        return false;
    kv_cache_commit(b->cache);
    take_results(b, g, feeds, n);
    return true;
}

static bool check_feed(const Batch *b, const BatchFeed *f, Error *err)
{
    int64_t vocab = language_model_vocab(b->model);
    const Sequence *s = sequence_at(b, f->sequence);
    if (f->n == 0 || f->logits > f->n)
        return fail(err, ERR_INVALID, "%zu tokens, and logits of %zu of them", f->n, f->logits);
    if (f->n > b->capacity - s->n)
        return fail(err, ERR_LIMIT, "%zu tokens behind %zu others; the model takes %zu in all",
                    f->n, s->n, b->capacity);
    for (size_t i = 0; i < f->n; i++)
        if (f->ids[i] < 0 || f->ids[i] >= vocab)
            return fail(err, ERR_INVALID, "token %zu is %d; ids lie in 0 to %lld", i, f->ids[i],
                        (long long)vocab - 1);
    return true;
}

bool batch_step(Batch *b, const BatchFeed *feeds, size_t n, const atomic_bool *cancelled,
                Error *err)
{
    size_t all = 0, done = 0;
    if (n > (size_t)b->n_sequences)
        return fail(err, ERR_INVALID, "%zu feeds for %d sequences", n, b->n_sequences);
    for (size_t i = 0; i < n; i++) {
        if (!check_feed(b, &feeds[i], err))
            return false;
        b->fed[i] = 0;
        all += feeds[i].n;
    }
    while (done < all) {
        if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
            return fail(err, ERR_CANCELLED, "cancelled after %zu of %zu tokens", done, all);
        if (!run_step(b, feeds, n, err))
            return false;
        done = 0;
        for (size_t i = 0; i < n; i++)
            done += b->fed[i];
    }
    return true;
}
