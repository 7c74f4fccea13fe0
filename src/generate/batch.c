/* batch.c: the sequences of a Batch, and the threads that meet in it; see batch.h. How a step is
 * put together and run is in batch_step.c, what is remembered of old sequences in prefixes.c. */
#include "generate/batch_internal.h"

#include "base/clock.h"

enum { DEFAULT_SEQUENCES = 64, MAX_SEQUENCES = 1 << 16 };

static KvCache *cache_new(Batch *b, const BatchOptions *o, Error *err)
{
    KvSpec spec = language_model_internals(b->model)->kv;
    spec.sequences = b->n_sequences;
    spec.limit = o->cache_memory;
    if (o->max_tokens)
        spec.capacity = MIN(spec.capacity, o->max_tokens);
    b->capacity = (size_t)spec.capacity;
    if (o->cache_dtype && !kv_cache_type_parse(o->cache_dtype, &spec.type, err))
        return NULL;
    return kv_cache_new(&spec, err);
}

size_t batch_sequence_memory(const LanguageModel *m, const char *cache_dtype)
{
    KvSpec spec = language_model_internals(m)->kv;
    if (cache_dtype && !kv_cache_type_parse(cache_dtype, &spec.type, NULL))
        return 0;
    AUTO(kv_cache_free) KvCache *c = kv_cache_new(&spec, NULL);
    return c ? kv_cache_use(c).page_bytes * (size_t)((spec.capacity + KV_PAGE - 1) / KV_PAGE) : 0;
}

Batch *batch_new(const LanguageModel *m, const BatchOptions *options, Error *err)
{
    BatchOptions o = options ? *options : (BatchOptions){0};
    int n = o.sequences ? o.sequences : DEFAULT_SEQUENCES;
    if (n < 1 || n > MAX_SEQUENCES || o.max_tokens < 0)
        return fail(err, ERR_INVALID, "a batch of %d sequences of %lld tokens", n,
                    (long long)o.max_tokens);
    Batch *b = xcalloc(1, sizeof *b);
    b->model = m;
    b->vocab = (size_t)language_model_vocab(m);
    b->inside = o.inside ? *o.inside : (Inside){0};
    b->n_sequences = n;
    b->last_call = &b->calls;
    b->sequences = xcalloc((size_t)n, sizeof *b->sequences);
    b->shares = xcalloc((size_t)n, sizeof *b->shares);
    b->spans = xcalloc((size_t)n + 1, sizeof *b->spans);
    b->order = xcalloc((size_t)n, sizeof *b->order);
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    b->cache = cache_new(b, &o, err);
    if (!b->cache) {
        batch_free(b);
        return NULL;
    }
    size_t pages = o.prefix_memory / kv_cache_use(b->cache).page_bytes;
    if (pages && !kv_cache_spec(b->cache)->window)
        b->prefixes = prefixes_new(b->cache, pages);
    return b;
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
        free(b->sequences[i].states);
        free(b->sequences[i].early);
    }
    prefixes_free(b->prefixes);
    kv_cache_free(b->cache);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b->sequences);
    free(b->shares);
    free(b->spans);
    free(b->order);
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

void batch_lock_quiet(Batch *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->running)
        pthread_cond_wait(&b->changed, &b->lock);
}

// ---- Sequences ----

Sequence *sequence_at(const Batch *b, int sequence)
{
    CHECK(sequence >= 0 && sequence < b->n_sequences && b->sequences[sequence].used);
    return &b->sequences[sequence];
}

void sequence_reserve(Sequence *s, size_t n)
{
    if (n <= s->cap)
        return;
    s->cap = MAX(n, 2 * s->cap);
    s->ids = xrealloc(s->ids, s->cap * sizeof *s->ids);
}

void sequence_reserve_logits(Sequence *s, size_t n, size_t vocab)
{
    if (n <= s->cap_logits)
        return;
    s->cap_logits = n;
    s->logits = xrealloc(s->logits, n * vocab * sizeof *s->logits);
}

/* With the lock held. Memory of an earlier sequence of the same number is used again. */
static int add(Batch *b, Error *err)
{
    for (int i = 0; i < b->n_sequences; i++) {
        Sequence *s = &b->sequences[i];
        if (s->used)
            continue;
        *s = (Sequence){.used = true,
                        .serial = b->next_serial++,
                        .ids = s->ids,
                        .cap = s->cap,
                        .logits = s->logits,
                        .cap_logits = s->cap_logits,
                        .states = s->states,
                        .cap_states = s->cap_states,
                        .early = s->early};
        return i;
    }
    (void)!fail(err, ERR_LIMIT, "all %d sequences of the batch are in use", b->n_sequences);
    return -1;
}

static void drop(Batch *b, int sequence)
{
    Sequence *s = sequence_at(b, sequence);
    int64_t first, n;
    const int32_t *pages = kv_cache_pages(b->cache, sequence, &first, &n);
    if (b->prefixes && s->done)
        prefixes_put(b->prefixes, s->ids, s->done, pages);
    s->used = false;
    kv_cache_truncate(b->cache, sequence, 0);
}

/* `to` becomes what `from` is. */
static void copy(Batch *b, int to, int from)
{
    const Sequence *f = sequence_at(b, from);
    Sequence *t = sequence_at(b, to);
    sequence_reserve(t, f->n);
    sequence_reserve_logits(t, f->n_logits, b->vocab);
    t->n = f->n;
    t->done = f->done;
    t->remembered = f->remembered;
    t->reused = f->reused;
    t->n_logits = f->n_logits;
    t->n_states = 0;
    if (f->n)
        memcpy(t->ids, f->ids, f->n * sizeof *t->ids);
    if (f->n_logits)
        memcpy(t->logits, f->logits, f->n_logits * b->vocab * sizeof *t->logits);
    kv_cache_copy(b->cache, to, from);
}

int batch_add(Batch *b, Error *err)
{
    pthread_mutex_lock(&b->lock);
    int sequence = add(b, err);
    pthread_mutex_unlock(&b->lock);
    return sequence;
}

int batch_fork(Batch *b, int sequence, Error *err)
{
    batch_lock_quiet(b);
    int fork = add(b, err);
    if (fork >= 0)
        copy(b, fork, sequence);
    pthread_mutex_unlock(&b->lock);
    return fork;
}

/* Room for others: they may go on. */
static void unlock_with_room(Batch *b)
{
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

void batch_drop(Batch *b, int sequence)
{
    batch_lock_quiet(b);
    drop(b, sequence);
    unlock_with_room(b);
}

void batch_truncate(Batch *b, int sequence, size_t n)
{
    Sequence *s = sequence_at(b, sequence);
    if (n >= s->n)
        return;
    batch_lock_quiet(b);
    s->n = n;
    s->done = MIN(s->done, n);
    s->remembered = MIN(s->remembered, (int64_t)s->done / KV_PAGE);
    s->n_logits = 0;
    kv_cache_truncate(b->cache, sequence, (int64_t)s->done);
    unlock_with_room(b);
}

/* Old states are kept as forks until all have moved. */
bool batch_reorder(Batch *b, const int *sequences, const int *from, size_t n, Error *err)
{
    int *kept = xcalloc(n, sizeof *kept);
    bool ok = true;
    size_t forks = 0;
    batch_lock_quiet(b);
    for (; forks < n && ok; forks += ok)
        if ((ok = (kept[forks] = add(b, err)) >= 0))
            copy(b, kept[forks], sequences[from[forks]]);
    for (size_t i = 0; i < n && ok; i++)
        copy(b, sequences[i], kept[i]);
    for (size_t i = 0; i < forks; i++) {
        b->sequences[kept[i]].used = false;
        kv_cache_truncate(b->cache, kept[i], 0);
    }
    unlock_with_room(b);
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
    return row < s->n_logits ? s->logits + row * b->vocab : NULL;
}

const float *batch_states(const Batch *b, int sequence, size_t row, size_t *width)
{
    const Sequence *s = sequence_at(b, sequence);
    *width = b->width;
    return row < s->n_states ? s->states + row * b->width : NULL;
}

const float *batch_early(const Batch *b, int sequence, int i)
{
    const Sequence *s = sequence_at(b, sequence);
    CHECK(i >= 0 && i < b->inside.n_layers && s->early);
    return s->early + (size_t)i * b->vocab;
}

size_t batch_reused(const Batch *b, int sequence)
{
    return sequence_at(b, sequence)->reused;
}

BatchCounts batch_counts(Batch *b)
{
    pthread_mutex_lock(&b->lock);
    BatchCounts counts = b->counts;
    // The cache is the running thread's: its numbers are those of the last look.
    if (!b->running) {
        KvUse use = kv_cache_use(b->cache);
        counts.cache_bytes = b->counts.cache_bytes = use.bytes;
        counts.prefix_bytes = b->counts.prefix_bytes = prefixes_pages(b->prefixes) * use.page_bytes;
    }
    for (int i = 0; i < b->n_sequences; i++)
        counts.sequences += b->sequences[i].used;
    pthread_mutex_unlock(&b->lock);
    return counts;
}

// ---- Meeting ----

void batch_join(Batch *b)
{
    pthread_mutex_lock(&b->lock);
    b->members++;
    pthread_mutex_unlock(&b->lock);
}

void batch_leave(Batch *b)
{
    pthread_mutex_lock(&b->lock);
    b->members--;
    unlock_with_room(b);
}

/* When the next step begins at the latest, whoever is missing. */
static int64_t gather_until(const Batch *b)
{
    int64_t patience = MIN(MAX(b->step_ns / 8, NS_PER_MS / 5), 5 * NS_PER_MS);
    return b->first_call_ns + patience;
}

static bool check_feed(const Batch *b, const BatchFeed *f, Error *err)
{
    const Sequence *s = sequence_at(b, f->sequence);
    CHECK(!s->waits);
    if (f->n == 0 || f->logits > f->n)
        return fail(err, ERR_INVALID, "%zu tokens, and logits of %zu of them", f->n, f->logits);
    if (f->n > b->capacity - s->n)
        return fail(err, ERR_LIMIT, "%zu tokens behind %zu others; the model takes %zu in all",
                    f->n, s->n, b->capacity);
    for (size_t i = 0; i < f->n; i++)
        if (f->ids[i] < 0 || (size_t)f->ids[i] >= b->vocab)
            return fail(err, ERR_INVALID, "token %zu is %d; ids lie in 0 to %zu", i, f->ids[i],
                        b->vocab - 1);
    return true;
}

/* With the lock held: the feeds' tokens are the sequences', to be computed. */
static void take_feed(Batch *b, const BatchFeed *f)
{
    Sequence *s = sequence_at(b, f->sequence);
    sequence_reserve(s, s->n + f->n);
    memcpy(s->ids + s->n, f->ids, f->n * sizeof *f->ids);
    s->n_before = s->n;
    s->n += f->n;
    s->wanted = MAX(f->logits, 1);
    s->n_logits = s->n_states = s->reused = 0;
    s->waits = s->fresh = true;
}

static void add_call(Batch *b, Call *call)
{
    for (size_t i = 0; i < call->n; i++)
        take_feed(b, &call->feeds[i]);
    if (!b->calls)
        b->first_call_ns = clock_ns();
    *b->last_call = call;
    b->last_call = &call->next;
    b->n_calls++;
}

static void wait_for_others(Batch *b, int64_t until)
{
    struct timespec time = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    pthread_cond_timedwait(&b->changed, &b->lock, &time);
}

bool batch_step(Batch *b, const BatchFeed *feeds, size_t n, const atomic_bool *cancelled,
                Error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!check_feed(b, &feeds[i], err))
            return false;
    Call call = {.feeds = feeds, .n = n, .cancelled = cancelled, .over = n == 0};
    pthread_mutex_lock(&b->lock);
    if (n)
        add_call(b, &call);
    while (!call.over) {
        if (b->running)
            pthread_cond_wait(&b->changed, &b->lock);
        else if (b->n_calls >= b->members || clock_ns() >= gather_until(b))
            batch_run(b);
        else
            wait_for_others(b, gather_until(b));
    }
    pthread_mutex_unlock(&b->lock);
    if (call.error.code == ERR_NONE)
        return true;
    if (err)
        *err = call.error;
    return false;
}
