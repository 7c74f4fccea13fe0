/* xet_download.c: a file put together of chunks; see xet.h.
 *
 * The store is asked window by window which pieces of which xorbs a file is made of. Some threads
 * fetch and unpack these ahead, each one term; the bytes are handed on in the file's order, so that
 * what was handed on is always a beginning of the file, from which a later attempt can go on. */
#include "fetch/xet.h"

#include "base/thread.h"

enum {
    AHEAD = 4, // terms of one file
    TRIES = 3,
    MAX_ANSWER = 64 << 20,
};
static const int64_t WINDOW = INT64_C(1) << 30; // the URLs of one answer last for an hour

typedef struct Window {
    const XetDownload *download;
    Arena *a;
    XetPlan plan;
    int64_t skip, left; // bytes of the next term that are not wanted, and those that are in all
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t next, turn; // the term that nobody has taken, and the one to be handed on
    Error error;       // the first one
} Window;

/* ---- What the store says ---- */

static bool ask(Window *w, Client *c, int64_t from, Error *err)
{
    const XetDownload *d = w->download;
    const char *range = arena_printf(w->a, "Range: bytes=%lld-%lld", (long long)from,
                                     (long long)(from + w->left - 1));
    ClientAnswer answer;
    Error failure = {0};
    for (int version = 2; version > 0; version--) {
        ClientCall call = {.url = arena_printf(w->a, "/v%d/reconstructions/%s", version, d->hash),
                           .headers = (const char *const[]){range, NULL},
                           .max_body = MAX_ANSWER,
                           .cancelled = d->cancelled};
        failure = (Error){0};
        if (xet_session_call(d->session, c, w->a, call, &answer, &failure)) {
            bool ok = xet_plan_parse(&w->plan, w->a, answer.body, w->left, err);
            w->skip = w->plan.skip;
            return ok;
        }
        if (failure.code != ERR_NOT_FOUND)
            break;
    }
    return fail(err, failure.code, "%s", failure.text);
}

/* ---- One term ---- */

typedef struct Unpacking {
    XorbParser *parser;
    const XetPlanTerm *term;
    int64_t chunk; // the next one
    Buf bytes;
} Unpacking;

static bool keep_chunk(void *user, Str packed, Str raw, Error *err)
{
    Unpacking *u = user;
    if (u->chunk >= u->term->chunks.start && u->chunk < u->term->chunks.end)
        buf_add(&u->bytes, raw);
    u->chunk++;
    return buf_ok(&u->bytes, NULL) || fail(err, ERR_CORRUPT, "a term is longer than it should be");
}

static bool take_packed(void *context, int status, Str bytes, Error *err)
{
    Unpacking *u = context;
    if (status != 206 && u->term->piece->bytes.start > 0)
        return fail(err, ERR_INVALID, "the store does not answer for a part of a xorb");
    return xorb_parser_add(u->parser, bytes, err);
}

static bool fetch_term(const Window *w, Client *c, Arena *a, const XetPlanTerm *t, Buf *out,
                       Error *err)
{
    for (int tries = 1;; tries++) {
        Unpacking u = {.term = t, .chunk = t->piece->chunks.start};
        buf_init(&u.bytes, (size_t)t->bytes);
        u.parser = xorb_parser_new(keep_chunk, &u);
        ClientAnswer answer;
        Error failure = {0};
        const char *range =
            arena_printf(a, "Range: bytes=%lld-%lld", (long long)t->piece->bytes.start,
                         (long long)t->piece->bytes.end);
        ClientCall call = {.url = t->piece->url,
                           .headers = (const char *const[]){range, NULL},
                           .take = take_packed,
                           .context = &u,
                           .cancelled = w->download->cancelled};
        bool ok = hub_call(c, a, call, &answer, &failure) &&
                  xorb_parser_finish(u.parser, &failure) &&
                  ((int64_t)u.bytes.len == t->bytes ||
                   fail(&failure, ERR_CORRUPT, "a term has %zu bytes instead of %lld", u.bytes.len,
                        (long long)t->bytes));
        xorb_parser_free(u.parser);
        if (ok) {
            *out = u.bytes;
            return true;
        }
        buf_done(&u.bytes);
        bool transient = failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
        if (!transient || tries == TRIES) {
            if (err)
                *err = failure;
            return false;
        }
    }
}

/* ---- A window ---- */

static bool hand_on(Window *w, Str bytes, Error *err)
{
    bytes = str_slice(bytes, (size_t)w->skip, bytes.len);
    bytes = str_slice(bytes, 0, (size_t)MIN((int64_t)bytes.len, w->left));
    w->skip = 0;
    w->left -= (int64_t)bytes.len;
    return w->download->take(w->download->context, bytes, err);
}

/* Takes term after term. Whoever has taken one holds a place of the session, so that the first that
 * is waited for is always on its way. */
static void *worker(void *context)
{
    Window *w = context;
    AUTO(client_free) Client *c = client_new();
    AUTO(arena_free) Arena *a = arena_new(0);
    for (bool more = true; more;) {
        xet_session_enter(w->download->session);
        pthread_mutex_lock(&w->lock);
        size_t i = w->next++;
        more = i < w->plan.n && !w->error.code;
        pthread_mutex_unlock(&w->lock);
        if (more) {
            AUTO_BUF bytes;
            buf_init(&bytes, 0);
            Error err = {0};
            bool ok = fetch_term(w, c, a, &w->plan.terms[i], &bytes, &err);
            pthread_mutex_lock(&w->lock);
            while (ok && w->turn != i && !w->error.code)
                pthread_cond_wait(&w->moved, &w->lock);
            ok = ok && !w->error.code && hand_on(w, buf_str(&bytes), &err);
            if (ok)
                w->turn++;
            else if (!w->error.code)
                w->error = err;
            more = ok;
            pthread_cond_broadcast(&w->moved);
            pthread_mutex_unlock(&w->lock);
            arena_reset(a);
        }
        xet_session_leave(w->download->session);
    }
    return NULL;
}

static bool fetch_window(Window *w, Error *err)
{
    pthread_t threads[AHEAD];
    int n = (int)MIN((size_t)AHEAD, w->plan.n) - 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, NULL);
    for (int i = 0; i < n; i++)
        threads[i] = thread_start("xet-fetch", worker, w);
    worker(w);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&w->moved);
    pthread_mutex_destroy(&w->lock);
    if (w->error.code && err)
        *err = w->error;
    return !w->error.code;
}

bool xet_download(const XetDownload *d, Error *err)
{
    AUTO(client_free) Client *c = client_new();
    for (int64_t from = d->from; from < d->size;) {
        AUTO(arena_free) Arena *a = arena_new(0);
        Window w = {.download = d, .a = a, .left = MIN(WINDOW, d->size - from)};
        from += w.left;
        if (!ask(&w, c, from - w.left, err) || !fetch_window(&w, err))
            return false;
    }
    return true;
}
