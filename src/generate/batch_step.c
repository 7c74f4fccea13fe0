/* batch_step.c: one step of a Batch: whose tokens it computes, and the graph that does.
 *
 * A step's tokens lie one behind the other in one row of a graph; the cache's spans say whose they
 * are. Graphs have fixed sizes: a step runs in the smallest of a few sizes that holds it, filled up
 * with rows of nobody. A graph is built when its size is first needed and kept, so that a loop
 * allocates nothing once its sizes have come up.
 *
 * Sequences are served by age. The oldest always gets the memory that it needs: remembered prefixes
 * are forgotten for it, then the youngest sequences give their pages up. So every sequence ends,
 * one after the other if need be. */
#include "generate/batch_internal.h"

#include "base/clock.h"

enum {
    CHUNK = 512, // tokens of a step
    SHORT = 16,  // a sequence with at most so many to go decodes
    BESIDE = 64, // tokens of prompts in a step of sequences that decode
};

// ---- Graphs ----

/* The size of graph that n rows run in. Measured on GPT-2 124M: to build one takes 0.5 ms and 34 KB
 * a row, a row that fills it up costs 0.3 ms in f32. So decoding has its exact sizes, and prompts
 * never waste more than building anew would. */
static int64_t size_for(int64_t n)
{
    int64_t step = n <= 16 ? 1 : n <= 64 ? 4 : 16;
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
        if (!step_graph_build(&found, language_model_internals(b->model), tokens, rows, &b->inside,
                              err))
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

// ---- Memory ----

static void preempt(Batch *b, int sequence)
{
    Sequence *s = &b->sequences[sequence];
    kv_cache_truncate(b->cache, sequence, 0);
    s->done = 0;
    s->remembered = 0;
    s->fresh = true; // some of it may still be remembered
    if (s->waits)
        s->n_logits = 0; // of an idle one they are lent
    b->counts.preempted++;
}

/* The youngest sequence that holds memory, has none of this step's rows, and is younger than
 * `serial`; -1 if there is none. */
static int find_victim(const Batch *b, int64_t serial)
{
    int victim = -1;
    for (int i = 0; i < b->n_sequences; i++) {
        const Sequence *s = &b->sequences[i];
        bool taken = false;
        for (size_t j = 0; j < b->n_shares; j++)
            taken |= b->shares[j].sequence == i;
        if (s->used && s->done && !taken && s->serial > serial) {
            serial = s->serial;
            victim = i;
        }
    }
    return victim;
}

/* Pages for the share beside the `promised` ones: true if there are, or others made room. */
static bool find_room(Batch *b, const Share *share, int64_t *promised)
{
    const KvSpan span = {share->sequence, (int64_t)share->n};
    int64_t wanted = *promised + kv_cache_wants(b->cache, &span);
    while (wanted > kv_cache_use(b->cache).left) {
        if (prefixes_evict(b->prefixes))
            continue;
        int victim = find_victim(b, b->sequences[share->sequence].serial);
        if (victim < 0)
            return false;
        preempt(b, victim);
    }
    *promised = wanted;
    return true;
}

/* Looks whether the beginning of the sequence is remembered; at least what logits are wanted of is
 * computed. */
static void reuse(Batch *b, int sequence)
{
    Sequence *s = &b->sequences[sequence];
    const int32_t *pages;
    s->fresh = false;
    size_t most = s->n - s->wanted;
    if (!b->prefixes || most <= s->done)
        return;
    size_t known = prefixes_find(b->prefixes, s->ids, most, &pages);
    if (known <= s->done)
        return;
    int64_t n = (int64_t)(known + KV_PAGE - 1) / KV_PAGE;
    kv_cache_adopt(b->cache, sequence, pages, 0, n, (int64_t)known);
    s->reused = known - MIN(known, MAX(s->done, s->n_before));
    b->counts.reused += (int64_t)s->reused;
    s->done = known;
    s->remembered = (int64_t)known / KV_PAGE;
}

/* What was computed is remembered as soon as it fills pages. */
static void remember(Batch *b, int sequence)
{
    Sequence *s = &b->sequences[sequence];
    int64_t first, n, full = (int64_t)s->done / KV_PAGE;
    if (!b->prefixes || full == s->remembered)
        return;
    const int32_t *pages = kv_cache_pages(b->cache, sequence, &first, &n);
    prefixes_put(b->prefixes, s->ids, (size_t)(full * KV_PAGE), pages);
    s->remembered = full;
}

// ---- Whose tokens ----

/* The sequences that wait, by age, into b->order. */
static int list_waiting(Batch *b)
{
    int n = 0;
    for (int i = 0; i < b->n_sequences; i++) {
        if (!b->sequences[i].used || !b->sequences[i].waits ||
            b->sequences[i].done == b->sequences[i].n)
            continue;
        int at = n++;
        for (; at > 0 && b->sequences[b->order[at - 1]].serial > b->sequences[i].serial; at--)
            b->order[at] = b->order[at - 1];
        b->order[at] = i;
    }
    return n;
}

/* Divides the rows of a step: all that decode, then prompts by age as far as there is room. */
static size_t plan_step(Batch *b)
{
    size_t used = 0, decoding = 0;
    int64_t promised = 0;
    int n = list_waiting(b);
    b->n_shares = 0;
    for (int i = 0; i < n; i++) {
        Sequence *s = &b->sequences[b->order[i]];
        if (s->fresh)
            reuse(b, b->order[i]);
        decoding += s->n - s->done <= SHORT;
    }
    // Others may decode, though they are not here yet.
    bool company = b->members > b->n_calls || (decoding && decoding < (size_t)n);
    size_t prompts = company ? BESIDE : CHUNK;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            const Sequence *s = &b->sequences[b->order[i]];
            size_t left = s->n - s->done;
            if ((left <= SHORT) != (pass == 0))
                continue;
            left = MIN(left, CHUNK - used);
            if (pass == 1)
                left = MIN(left, prompts);
            Share share = {b->order[i], s->done, left};
            // Room may have been taken from a sequence that this pass has already passed over.
            if (left == 0 || !find_room(b, &share, &promised))
                continue;
            b->shares[b->n_shares++] = share;
            used += left;
            prompts -= pass == 1 ? left : 0;
        }
    return used;
}

// ---- Running ----

/* The first token of the share whose logits are wanted; its end if none are. */
static size_t first_wanted(const Batch *b, const Share *share)
{
    const Sequence *s = &b->sequences[share->sequence];
    return MIN(MAX(s->n - s->wanted, share->from), share->from + share->n);
}

static size_t rows_wanted(const Batch *b, const Share *share)
{
    return share->from + share->n - first_wanted(b, share);
}

/* Tokens, positions and the rows whose logits are wanted; what fills the graph up is token 0. */
static void fill_inputs(const Batch *b, const StepGraph *g)
{
    int32_t *tokens = tensor_data(g->tokens), *positions = tensor_data(g->positions),
            *wanted = tensor_data(g->wanted);
    size_t at = 0, row = 0;
    for (size_t i = 0; i < b->n_shares; i++) {
        const Share *share = &b->shares[i];
        const int32_t *ids = b->sequences[share->sequence].ids;
        for (size_t t = share->from; t < share->from + share->n; t++, at++) {
            tokens[at] = ids[t];
            positions[at] = (int32_t)t;
            if (t >= first_wanted(b, share))
                wanted[row++] = (int32_t)at;
        }
    }
    memset(tokens + at, 0, ((size_t)g->n - at) * sizeof *tokens);
    memset(positions + at, 0, ((size_t)g->n - at) * sizeof *positions);
    memset(wanted + row, 0, ((size_t)g->rows - row) * sizeof *wanted);
}

/* The states of a share's tokens and the early logits of the last, whose rows in the graph begin at
 * `row` of all tokens and `wanted` of those whose logits are wanted. */
static void take_inside(Batch *b, const StepGraph *g, const Share *share, size_t row, size_t wanted)
{
    Sequence *s = &b->sequences[share->sequence];
    if (b->inside.states) {
        size_t width = b->width = (size_t)tensor_dim(g->states, -1), n = s->n_states + share->n;
        if (n > s->cap_states)
            s->states = xrealloc(s->states, (s->cap_states = n) * width * sizeof *s->states);
        memcpy(s->states + s->n_states * width, (const float *)tensor_data(g->states) + row * width,
               share->n * width * sizeof *s->states);
        s->n_states = n;
    }
    size_t layers = (size_t)b->inside.n_layers, rows = rows_wanted(b, share);
    if (layers && !s->early)
        s->early = xcalloc(layers * b->vocab, sizeof *s->early);
    for (size_t i = 0; i < layers && rows; i++)
        memcpy(s->early + i * b->vocab,
               (const float *)tensor_data(g->early[i]) + (wanted + rows - 1) * b->vocab,
               b->vocab * sizeof *s->early);
}

/* What the step found becomes the sequences'. */
static void take_results(Batch *b, const StepGraph *g)
{
    const float *logits = tensor_data(g->logits);
    size_t row = 0, wanted = 0;
    for (size_t i = 0; i < b->n_shares; i++) {
        const Share *share = &b->shares[i];
        Sequence *s = &b->sequences[share->sequence];
        size_t rows = rows_wanted(b, share);
        sequence_reserve_logits(s, s->wanted, b->vocab);
        memcpy(s->logits + s->n_logits * b->vocab, logits, rows * b->vocab * sizeof *logits);
        take_inside(b, g, share, row, wanted);
        row += share->n;
        wanted += rows;
        s->n_logits += rows;
        s->done += share->n;
        logits += rows * b->vocab;
        remember(b, share->sequence);
    }
}

/* Without the lock: nobody else touches the cache, the graphs or the sequences that wait. */
static bool run_graph(Batch *b, size_t used, const atomic_bool *cancelled, Error *err)
{
    size_t rows = 0, n = b->n_shares;
    for (size_t i = 0; i < n; i++) {
        b->spans[i] = (KvSpan){b->shares[i].sequence, (int64_t)b->shares[i].n};
        rows += rows_wanted(b, &b->shares[i]);
    }
    int64_t size = size_for((int64_t)used);
    StepGraph *g = graph_for(b, size, size_for((int64_t)MAX(rows, 1)), err);
    if (!g)
        return false;
    if (size > (int64_t)used)
        b->spans[n++] = (KvSpan){KV_NOBODY, size - (int64_t)used};
    if (!kv_cache_begin(b->cache, b->spans, n, err))
        return false;
    fill_inputs(b, g);
    if (!graph_run_until(g->graph, cancelled, err))
        return false;
    kv_cache_commit(b->cache);
    take_results(b, g);
    return true;
}

// ---- Calls ----

/* Takes the call out; a failed one leaves its sequences with the tokens that are done. */
static void end_call(Batch *b, Call **at)
{
    Call *call = *at;
    for (size_t i = 0; i < call->n; i++) {
        Sequence *s = &b->sequences[call->feeds[i].sequence];
        s->waits = false;
        if (call->error.code != ERR_NONE)
            s->n = MAX(s->done, s->n_before);
    }
    *at = call->next;
    if (!*at)
        b->last_call = at;
    b->n_calls--;
    call->over = true;
}

static void count_tokens(const Batch *b, const Call *call, size_t *done, size_t *all)
{
    *done = *all = 0;
    for (size_t i = 0; i < call->n; i++) {
        const Sequence *s = &b->sequences[call->feeds[i].sequence];
        *all += s->n - s->n_before;
        *done += s->done - MIN(s->done, s->n_before);
    }
}

static bool is_cancelled(const Call *call)
{
    return call->cancelled && atomic_load_explicit(call->cancelled, memory_order_relaxed);
}

/* Ends the calls whose owners want no more. */
static void end_cancelled(Batch *b)
{
    for (Call **at = &b->calls; *at;) {
        Call *call = *at;
        if (is_cancelled(call)) {
            size_t done, all;
            count_tokens(b, call, &done, &all);
            (void)!fail(&call->error, ERR_CANCELLED, "cancelled after %zu of %zu tokens", done,
                        all);
            end_call(b, at);
        } else {
            at = &call->next;
        }
    }
}

static void end_finished(Batch *b)
{
    for (Call **at = &b->calls; *at;) {
        bool done = true;
        for (size_t i = 0; i < (*at)->n; i++) {
            const Sequence *s = &b->sequences[(*at)->feeds[i].sequence];
            done &= s->done == s->n;
        }
        if (done)
            end_call(b, at);
        else
            at = &(*at)->next;
    }
}

/* The call of the oldest sequence that waits. */
static void fail_oldest(Batch *b)
{
    KvUse use = kv_cache_use(b->cache);
    for (Call **at = &b->calls; *at && list_waiting(b); at = &(*at)->next)
        for (size_t i = 0; i < (*at)->n; i++)
            if ((*at)->feeds[i].sequence == b->order[0]) {
                (void)!fail(&(*at)->error, ERR_LIMIT,
                            "the key/value cache is full: its %zu MB are not enough for these "
                            "tokens",
                            (size_t)(use.held + use.left) * use.page_bytes >> 20);
                end_call(b, at);
                return;
            }
}

static void fail_all(Batch *b, const Error *err)
{
    while (b->calls) {
        b->calls->error = *err;
        end_call(b, &b->calls);
    }
}

/* The rows that fill a step are counted too: they cost as much. */
static void count_step(Batch *b, size_t used, int64_t ns)
{
    b->step_ns = ns;
    b->counts.steps++;
    b->counts.rows += (int64_t)used;
    b->counts.most = MAX(b->counts.most, (int64_t)b->n_shares);
}

void batch_run(Batch *b)
{
    end_cancelled(b);
    size_t used = plan_step(b);
    if (used > 0) {
        Error err = {0};
        int64_t began = clock_ns();
        // Between operations only a step that serves nobody else can be given up.
        const atomic_bool *cancelled = b->n_calls == 1 ? b->calls->cancelled : NULL;
        b->running = true;
        pthread_mutex_unlock(&b->lock);
        bool ok = run_graph(b, used, cancelled, &err);
        pthread_mutex_lock(&b->lock);
        b->running = false;
        if (ok)
            count_step(b, used, clock_ns() - began);
        else if (err.code != ERR_CANCELLED)
            fail_all(b, &err);
        end_cancelled(b);
        end_finished(b);
    } else if (b->calls && b->n_calls >= b->members) {
        fail_oldest(b); // nobody is left who could make room
    }
    b->first_call_ns = clock_ns();
    pthread_cond_broadcast(&b->changed);
}
