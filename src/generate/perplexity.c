/* perplexity.c: see perplexity.h. A window is one sequence, computed at once, with the logits of
 * the tokens before those that are scored. */
#include "generate/perplexity.h"

#include "base/thread.h"
#include "generate/batch.h"

#include <math.h>

typedef struct Stretch {
    size_t from, to; // of the text
    size_t scored;   // of its last tokens
} Stretch;

typedef struct Scores {
    const float **rows; // logits
    const int32_t *targets;
    int64_t vocab;
    double *nll;
} Scores;

static void score_row(void *context, int64_t i)
{
    const Scores *s = context;
    const float *logits = s->rows[i];
    float most = logits[0];
    for (int64_t v = 1; v < s->vocab; v++)
        most = MAX(most, logits[v]);
    double sum = 0;
    for (int64_t v = 0; v < s->vocab; v++)
        sum += (double)expf(logits[v] - most);
    s->nll[i] = log(sum) + (double)(most - logits[s->targets[i]]);
}

static bool measure_window(Batch *b, const int32_t *ids, const Stretch *w, Arena *a, double *nll,
                           Error *err)
{
    int sequence = batch_add(b, err);
    if (sequence < 0)
        return false;
    // What follows the last token is not asked, so it need not be computed.
    BatchFeed feed = {
        .sequence = sequence, .ids = ids, .n = w->to - w->from - 1, .logits = w->scored};
    bool ok = batch_step(b, &feed, 1, NULL, err);
    if (ok) {
        Scores s = {.rows = NEW_ARRAY(a, const float *, w->scored),
                    .targets = ids + feed.n + 1 - w->scored,
                    .vocab = language_model_vocab(batch_model(b)),
                    .nll = nll};
        for (size_t i = 0; i < w->scored; i++)
            s.rows[i] = batch_logits(b, sequence, i);
        thread_each((int64_t)w->scored, score_row, &s);
    }
    batch_drop(b, sequence);
    return ok;
}

/* The windows of a text, at most as many as it has tokens. */
static size_t lay_windows(const PerplexityParams *p, size_t context, size_t n, Stretch *out)
{
    size_t windows = 0, scored_to = 1, stride = (size_t)p->stride; // nothing foresees token 0
    if (stride == 0) {
        for (size_t from = 0; from + context <= n; from += context)
            out[windows++] = (Stretch){from, from + context, context - context / 2 - 1};
        return windows;
    }
    for (size_t from = 0; scored_to < n; from += stride) {
        size_t to = MIN(from + context, n);
        out[windows++] = (Stretch){from, to, to - MAX(scored_to, from + 1)};
        scored_to = to;
    }
    return windows;
}

static bool check(const PerplexityParams *p, int64_t context, int64_t longest, size_t n, Error *err)
{
    if (context < 4)
        return fail(err, ERR_INVALID, "a context of %lld tokens; 4 is the least",
                    (long long)context);
    if (context > longest)
        return fail(err, ERR_LIMIT, "a context of %lld tokens; the model takes %lld",
                    (long long)context, (long long)longest);
    if (p->stride < 0 || p->stride > context)
        return fail(err, ERR_INVALID,
                    "a stride of %lld tokens; it must be from 1 to the context's "
                    "%lld",
                    (long long)p->stride, (long long)context);
    if (n < (p->stride ? 2 : (size_t)context))
        return fail(err, ERR_INVALID, "the text has %zu tokens; %lld are needed", n,
                    (long long)(p->stride ? 2 : context));
    return true;
}

static void sum_up(Perplexity *out, const double *nll)
{
    double sum = 0, squares = 0, n = (double)out->tokens;
    for (int64_t i = 0; i < out->tokens; i++)
        sum += nll[i];
    out->nll = sum / n;
    for (int64_t i = 0; i < out->tokens; i++)
        squares += (nll[i] - out->nll) * (nll[i] - out->nll);
    out->deviation = n > 1 ? sqrt(squares / (n - 1) / n) : 0;
    out->perplexity = exp(out->nll);
}

bool perplexity_measure(const LanguageModel *m, const int32_t *ids, size_t n,
                        const PerplexityParams *p, Perplexity *out, Error *err)
{
    int64_t longest = language_model_max_positions(m);
    int64_t context = p->context ? p->context : MIN(longest, INT64_C(512));
    if (!check(p, context, longest, n, err))
        return false;
    AUTO(arena_free) Arena *a = arena_new(0);
    Stretch *windows = NEW_ARRAY(a, Stretch, n);
    double *nll = NEW_ARRAY(a, double, n);
    int32_t *window_ids = NEW_ARRAY(a, int32_t, (size_t)context);
    *out = (Perplexity){.windows = (int64_t)lay_windows(p, (size_t)context, n, windows)};
    AUTO(batch_free) Batch *b = batch_new(m, &(BatchOptions){.sequences = 1}, err);
    if (!b)
        return false;
    AUTO(arena_free) Arena *scratch = arena_new(0);
    for (int64_t i = 0; i < out->windows; i++) {
        const Stretch *w = &windows[i];
        memcpy(window_ids, ids + w->from, (w->to - w->from) * sizeof *ids);
        if (p->stride == 0 && p->bos >= 0)
            window_ids[0] = p->bos;
        arena_reset(scratch);
        if (!measure_window(b, window_ids, w, scratch, nll + out->tokens, err))
            return false;
        out->tokens += (int64_t)w->scored;
        if (p->on_window)
            p->on_window(p->on_window_context, i + 1, out->windows);
    }
    sum_up(out, nll);
    return true;
}
