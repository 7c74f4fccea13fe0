/* encode.c: the way of a text through its stages, and many texts at once; see tokenizer_internal.h.
 */
#include "text/tokenizer_internal.h"

#include "base/thread.h"

#include <stdatomic.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* ---- Encodings ---- */

Workspace *workspace_of(Encoding *e)
{
    if (!e->workspace) {
        e->workspace = xcalloc(1, sizeof *e->workspace);
        e->workspace->arena = arena_new(0);
        buf_init(&e->workspace->clean, 0);
        buf_init(&e->workspace->first, 0);
        buf_init(&e->workspace->word, 0);
        buf_init(&e->workspace->run, 0);
        buf_init(&e->workspace->run_spans, 0);
    }
    e->workspace->out = e;
    return e->workspace;
}

static void workspace_free(Workspace *w)
{
    if (!w)
        return;
    arena_free(w->arena);
    buf_done(&w->clean);
    buf_done(&w->first);
    buf_done(&w->word);
    buf_done(&w->run);
    buf_done(&w->run_spans);
    free(w->inner.items);
    free(w->pieces.items);
    free(w->next.items);
    free(w->changes.items);
    free(w->tokens.items);
    free(w->symbols);
    free(w->heap);
    free(w->nodes);
    free(w->char_spans);
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->context);
    pcre2_jit_stack_free(w->jit_stack);
    encoding_done(&w->layout);
    free(w);
}

void overflow_drop(Encoding *e)
{
    for (size_t i = 0; i < e->n_overflow; i++)
        encoding_done(&e->overflow[i]);
    free(e->overflow);
    e->overflow = NULL;
    e->n_overflow = 0;
}

void encoding_done(Encoding *e)
{
    workspace_free(e->workspace);
    overflow_drop(e);
    free(e->ids);
    free(e->spans);
    free(e->words);
    free(e->type_ids);
    free(e->attention_mask);
    free(e->special_tokens_mask);
    free(e->sequences);
    *e = (Encoding){0};
}

void encoding_reserve(Encoding *e, size_t n)
{
    if (n <= e->cap)
        return;
    e->cap = MAX(n, e->cap * 2);
    e->ids = xrealloc(e->ids, e->cap * sizeof *e->ids);
    if (e->spans)
        e->spans = xrealloc(e->spans, e->cap * sizeof *e->spans);
    if (e->words)
        e->words = xrealloc(e->words, e->cap * sizeof *e->words);
    if (!e->type_ids)
        return;
    e->type_ids = xrealloc(e->type_ids, e->cap * sizeof *e->type_ids);
    e->attention_mask = xrealloc(e->attention_mask, e->cap);
    e->special_tokens_mask = xrealloc(e->special_tokens_mask, e->cap);
    e->sequences = xrealloc(e->sequences, e->cap);
}

void encoding_want(Encoding *e, bool spans, bool details)
{
    encoding_reserve(e, 64);
    if (spans && !e->spans)
        e->spans = xmalloc(e->cap * sizeof *e->spans);
    if (!details || e->words)
        return;
    e->words = xmalloc(e->cap * sizeof *e->words);
    e->type_ids = xmalloc(e->cap * sizeof *e->type_ids);
    e->attention_mask = xmalloc(e->cap);
    e->special_tokens_mask = xmalloc(e->cap);
    e->sequences = xmalloc(e->cap);
}

bool next_list(Workspace *w)
{
    PieceList done = w->pieces;
    w->pieces = w->next;
    w->next = done;
    w->next.n = 0;
    return true;
}

void spans_count_chars(Span *spans, size_t n, Str text)
{
    size_t pos = 0; // walks to and fro: spans mostly go forward, by little
    uint32_t chars = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t *ends[] = {&spans[i].start, &spans[i].end};
        for (int k = 0; k < 2; k++) {
            while (pos < *ends[k])
                chars += (text.ptr[pos++] & 0xC0) != 0x80;
            while (pos > *ends[k])
                chars -= (text.ptr[--pos] & 0xC0) != 0x80;
            *ends[k] = chars;
        }
    }
}

void encoding_count_chars(Encoding *e)
{
    if (e->workspace && e->spans)
        spans_count_chars(e->spans, e->n, e->workspace->original);
}

/* ---- One text ---- */

static bool encode_piece(const Tokenizer *t, Workspace *w, const Piece *p, Error *err)
{
    return t->bert    ? encode_bert(t, w, p, err)
           : t->fused ? encode_fused(t, w, p, err)
                      : encode_word(t, w, p, 0, p->len, err);
}

static bool encode_pieces(const Tokenizer *t, Workspace *w, Error *err)
{
    if (!t->bert && !t->fused && !pretokenize(t, w, err))
        return false;
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        if (p->len == 0)
            continue;
        if (p->token >= 0)
            emit(w, p, p->token);
        else if (!encode_piece(t, w, p, err))
            return false;
    }
    return true;
}

static void start(Workspace *w, Str text)
{
    arena_reset(w->arena);
    w->pieces.n = w->next.n = 0;
    w->word_n = 0;
    w->original = text;
    if (!str_is_utf8(text)) {
        buf_reset(&w->clean);
        buf_add_lossy(&w->clean, text);
        w->original = buf_str(&w->clean);
    }
    piece_push(&w->pieces, (Piece){.text = w->original.ptr ? w->original.ptr : "",
                                   .len = (uint32_t)w->original.len,
                                   .token = -1});
}

/* Appends the text's own tokens to w->out. */
static bool encode_text(const Tokenizer *t, Workspace *w, Str text, Error *err)
{
    if (text.len > TOKENIZER_MAX_TEXT)
        return fail(err, ERR_LIMIT, "a text of %zu bytes, at most %zu", text.len,
                    TOKENIZER_MAX_TEXT);
    start(w, text);
    added_split(w, &t->raw);
    for (size_t i = 0; !t->bert && i < w->pieces.n; i++)
        if (w->pieces.items[i].token < 0 && !normalize(t, w, &w->pieces.items[i], err))
            return false;
    added_split(w, &t->normalized);
    return encode_pieces(t, w, err);
}

static bool encode_input(const Tokenizer *t, Workspace *w, const EncodeInput *input,
                         const EncodeOptions *o, Error *err)
{
    Encoding *e = w->out;
    Str originals[2] = {{0}};
    e->n = 0;
    if (!encode_text(t, w, input->text, err))
        return false;
    size_t first_n = e->n;
    originals[0] = w->original;
    if (input->has_pair) {
        // The next text may need the room of this one's repaired copy.
        if (w->clean.ptr && w->original.ptr == w->clean.ptr) {
            Buf swap = w->first;
            w->first = w->clean;
            w->clean = swap;
        }
        if (!encode_text(t, w, input->pair, err))
            return false;
        originals[1] = w->original;
    }
    return layout(t, w, first_n, input, o, originals, err);
}

bool tokenizer_encode_with(const Tokenizer *t, const EncodeInput *input, const EncodeOptions *o,
                           Encoding *e, Error *err)
{
    Workspace *w = workspace_of(e);
    overflow_drop(e);
    encoding_want(e, o->spans, o->details);
    w->spans = o->spans;
    w->words = o->details;
    w->ignores_special = o->encode_special;
    w->cache = word_cache_take(t);
    bool ok = encode_input(t, w, input, o, err);
    word_cache_give(t, w->cache);
    w->cache = NULL;
    if (ok && o->padding)
        encoding_pad(t, e, padded_length(o->padding, e->n), o->padding);
    return ok || fail_while(err, "tokenize");
}

bool tokenizer_encode(const Tokenizer *t, Str text, bool add_special, Encoding *e, Error *err)
{
    EncodeOptions o = {.add_special = add_special, .spans = true};
    return tokenizer_encode_with(t, &(EncodeInput){.text = text}, &o, e, err);
}

/* ---- Many texts ----
 *
 * Threads take inputs in short runs until none is left. Each has one workspace, which it lends to
 * the encoding at hand. */

enum { RUN_OF_INPUTS = 16 };

typedef struct Job {
    const Tokenizer *t;
    const EncodeInput *inputs;
    EncodeOptions options;
    Encoding *out;
    size_t n;
    atomic_size_t next;
    atomic_bool failed;
    pthread_mutex_t lock; // guards what follows
    size_t failed_at;
    Error err;
} Job;

static void note_failure(Job *job, size_t at, const Error *err)
{
    pthread_mutex_lock(&job->lock);
    if (at < job->failed_at) {
        job->failed_at = at;
        job->err = *err;
    }
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->failed, true);
}

static void *work(void *context)
{
    Job *job = context;
    Encoding lender = {0};
    Workspace *w = workspace_of(&lender);
    for (size_t from; !atomic_load(&job->failed) &&
                      (from = atomic_fetch_add(&job->next, RUN_OF_INPUTS)) < job->n;)
        for (size_t i = from; i < MIN(from + RUN_OF_INPUTS, job->n); i++) {
            Encoding *e = &job->out[i];
            Error err = {0};
            Workspace *own = e->workspace;
            e->workspace = w;
            if (!tokenizer_encode_with(job->t, &job->inputs[i], &job->options, e, &err))
                note_failure(job, i, &err);
            e->workspace = own;
        }
    encoding_done(&lender);
    return NULL;
}

static void pad_all(const Job *job, const Padding *padding)
{
    size_t longest = 0;
    for (size_t i = 0; i < job->n; i++)
        longest = MAX(longest, job->out[i].n);
    for (size_t i = 0; i < job->n; i++)
        encoding_pad(job->t, &job->out[i], padded_length(padding, longest), padding);
}

bool tokenizer_encode_batch(const Tokenizer *t, const EncodeInput *inputs, size_t n,
                            const EncodeOptions *o, int threads, Encoding *e, Error *err)
{
    Job job = {.t = t, .inputs = inputs, .options = *o, .out = e, .n = n, .failed_at = SIZE_MAX};
    job.options.padding = NULL; // needs all
    pthread_mutex_init(&job.lock, NULL);
    size_t most = (n + RUN_OF_INPUTS - 1) / RUN_OF_INPUTS;
    size_t wanted = threads > 0 ? (size_t)threads : (size_t)thread_cpus();
    wanted = MIN(MIN(wanted, most), 256);
    pthread_t helpers[256];
    for (size_t i = 1; i < wanted; i++)
        helpers[i] = thread_start("tokenize", work, &job);
    work(&job);
    for (size_t i = 1; i < wanted; i++)
        pthread_join(helpers[i], NULL);
    pthread_mutex_destroy(&job.lock);
    if (atomic_load(&job.failed)) {
        if (err)
            *err = job.err;
        return fail_while(err, "input %zu", job.failed_at);
    }
    if (o->padding)
        pad_all(&job, o->padding);
    return true;
}
