/* xet_download.c: a file put together of chunks; see xet.h.
 *
 * The store is asked window by window which pieces of which xorbs a file is made of. Some threads
 * fetch and unpack these ahead, each for one term; the bytes are handed on in the file's order, so
 * that what was handed on is always a beginning of the file, from which a later attempt can go on.
 * Terms may share a piece (what is new all over a file lies together in one): it comes once, and
 * stays for the next of them as long as few others come between. */
#include "fetch/xet.h"

#include "base/thread.h"

enum {
    AHEAD = 4, // terms of one file
    KEPT = 2,  // pieces of one file that wait for their next term
    TRIES = 3,
    MAX_ANSWER = 64 << 20,
};
static const int64_t WINDOW = INT64_C(1) << 30; // the URLs of one answer last for an hour

/* A piece, unpacked. */
typedef struct Unpacked {
    size_t terms; // those that are not handed on yet
    int users;    // threads that have one of these
    bool is_coming, is_here;
    Buf bytes, ends; // its chunks, and where each of them ends (uint32_t)
} Unpacked;

typedef struct Window {
    const XetDownload *download;
    Arena *a;
    XetPlan plan;
    int64_t skip, left;   // bytes of the next term that are not wanted, and those that are in all
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t moved;
    size_t next, turn;    // the term that nobody has taken, and the one to be handed on
    Unpacked *unpacked;   // one a piece
    Unpacked *kept[KEPT]; // the latest first
    Error error;          // the first one
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

/* ---- One piece ---- */

typedef struct Unpacking {
    XorbParser *parser;
    const XetPiece *piece;
    Unpacked *to;
} Unpacking;

static bool keep_chunk(void *user, Str packed, Str raw, Error *err)
{
    Unpacked *to = ((Unpacking *)user)->to;
    buf_add(&to->bytes, raw);
    buf_add_bytes(&to->ends, &(uint32_t){(uint32_t)to->bytes.len}, sizeof(uint32_t));
    return buf_ok(&to->bytes, err);
}

static bool take_packed(void *context, int status, Str bytes, Error *err)
{
    Unpacking *u = context;
    if (status != 206 && u->piece->bytes.start > 0)
        return fail(err, ERR_INVALID, "the store does not answer for a part of a xorb");
    return xorb_parser_add(u->parser, bytes, err);
}

static void drop(Unpacked *p)
{
    buf_done(&p->bytes);
    buf_done(&p->ends);
    p->is_here = false;
}

static bool fetch_piece(const Window *w, Client *c, Arena *a, const XetPiece *piece, Unpacked *to,
                        Error *err)
{
    for (int tries = 1;; tries++) {
        Unpacking u = {.parser = xorb_parser_new(keep_chunk, &u), .piece = piece, .to = to};
        buf_init(&to->bytes, XORB_MAX_RAW);
        buf_init(&to->ends, 0);
        ClientAnswer answer;
        Error failure = {0};
        const char *range = arena_printf(a, "Range: bytes=%lld-%lld", (long long)piece->bytes.start,
                                         (long long)piece->bytes.end);
        ClientCall call = {.url = piece->url,
                           .headers = (const char *const[]){range, NULL},
                           .take = take_packed,
                           .context = &u,
                           .cancelled = w->download->cancelled};
        bool ok = hub_call(c, a, call, &answer, &failure) && xorb_parser_finish(u.parser, &failure);
        xorb_parser_free(u.parser);
        if (ok)
            return true;
        drop(to);
        bool transient = failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT;
        if (!transient || tries == TRIES) {
            if (err)
                *err = failure;
            return false;
        }
    }
}

/* The piece of a term, for release_piece; NULL: it did not come. One thread fetches it, others that
 * want it wait. */
static Unpacked *take_piece(Window *w, Client *c, Arena *a, const XetPiece *piece, Error *err)
{
    Unpacked *p = &w->unpacked[piece - w->plan.pieces];
    pthread_mutex_lock(&w->lock);
    while (p->is_coming)
        pthread_cond_wait(&w->moved, &w->lock);
    bool ok = p->is_here;
    p->is_coming = !ok;
    p->users++;
    pthread_mutex_unlock(&w->lock);
    if (ok)
        return p;
    ok = fetch_piece(w, c, a, piece, p, err);
    pthread_mutex_lock(&w->lock);
    p->is_coming = false;
    p->is_here = ok;
    p->users -= !ok;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    return ok ? p : NULL;
}

/* A term of the piece was handed on, or never will be. The caller holds the lock. */
static void release_piece(Window *w, Unpacked *p)
{
    int at = 0;
    while (at < KEPT - 1 && w->kept[at] != p)
        at++;
    Unpacked *out = w->kept[at]; // itself, or the one that has waited longest
    p->users--;
    if (--p->terms == 0) {
        w->kept[at] = out == p ? NULL : out;
        drop(p);
        return;
    }
    memmove(w->kept + 1, w->kept, (size_t)at * sizeof *w->kept);
    w->kept[0] = p;
    if (out && out != p && !out->users) // else its user brings it back
        drop(out);
}

static bool term_bytes(const XetPlanTerm *t, const Unpacked *p, Str *out, Error *err)
{
    const uint32_t *ends = (const uint32_t *)(const void *)p->ends.ptr;
    size_t n = p->ends.len / sizeof *ends;
    size_t first = (size_t)(t->chunks.start - t->piece->chunks.start);
    size_t end = (size_t)(t->chunks.end - t->piece->chunks.start);
    *out = (Str){0};
    if (end <= n && first < end) {
        size_t from = first ? ends[first - 1] : 0;
        *out = str_slice(buf_str(&p->bytes), from, ends[end - 1]);
    }
    return (int64_t)out->len == t->bytes ||
           fail(err, ERR_CORRUPT, "a term has %zu bytes instead of %lld", out->len,
                (long long)t->bytes);
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

/* Fetches a term and hands it on when its turn comes. */
static bool fetch_term(Window *w, Client *c, Arena *a, size_t i)
{
    const XetPlanTerm *t = &w->plan.terms[i];
    Error err = {0};
    Str bytes;
    Unpacked *p = take_piece(w, c, a, t->piece, &err);
    bool ok = p && term_bytes(t, p, &bytes, &err);
    pthread_mutex_lock(&w->lock);
    while (ok && w->turn != i && !w->error.code)
        pthread_cond_wait(&w->moved, &w->lock);
    ok = ok && !w->error.code && hand_on(w, bytes, &err);
    if (ok)
        w->turn++;
    else if (!w->error.code)
        w->error = err;
    if (p)
        release_piece(w, p);
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    return ok;
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
        if (more)
            more = fetch_term(w, c, a, i);
        arena_reset(a);
        xet_session_leave(w->download->session);
    }
    return NULL;
}

static bool fetch_window(Window *w, Error *err)
{
    pthread_t threads[AHEAD];
    int n = (int)MIN((size_t)AHEAD, w->plan.n) - 1;
    w->unpacked = NEW_ARRAY(w->a, Unpacked, w->plan.n_pieces + 1);
    for (size_t i = 0; i < w->plan.n; i++)
        w->unpacked[w->plan.terms[i].piece - w->plan.pieces].terms++;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, NULL);
    for (int i = 0; i < n; i++)
        threads[i] = thread_start("xet-fetch", worker, w);
    worker(w);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < w->plan.n_pieces; i++)
        drop(&w->unpacked[i]);
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
