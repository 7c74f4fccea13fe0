/* layout.c: from the tokens of one or two texts to what the model is fed: truncation cuts them into
 * windows, the template puts them together with the special tokens, padding fills up.
 *
 * With windows the template is filled once for each choice of windows. The first of each gives the
 * encoding, all others its overflow, in the order in which `tokenizers` merges them. */
#include "text/tokenizer_internal.h"

enum { MAX_WINDOWS = 1 << 16, MAX_OVERFLOW = 1 << 16 };

typedef struct Window {
    size_t from, to; // of the source's tokens
} Window;

/* The tokens of one of the texts. */
typedef struct Part {
    size_t from, n; // in the source
    Window *windows;
    size_t windows_n;
} Part;

typedef struct Layout {
    const Tokenizer *t;
    Workspace *w;
    const EncodeOptions *o;
    const Encoding *source;
    const Str *originals;
    Part parts[2];
    int parts_n;
    const Template *template; // of n items; 0: the parts alone
    bool specials;
} Layout;

/* ---- Truncation ---- */

/* Cuts a part into windows of at most `most` tokens, the last one first if `left`. */
static bool cut(Arena *a, Part *p, size_t most, const Truncation *cut, Error *err)
{
    if (most >= p->n)
        return true;
    if (most == 0) { // nothing stays, and all of it is over
        p->windows = NEW_ARRAY(a, Window, 2);
        p->windows[0] = (Window){p->from, p->from};
        p->windows[1] = (Window){p->from, p->from + p->n};
        p->windows_n = 2;
        return true;
    }
    if (cut->stride < 0 || (size_t)cut->stride >= most)
        return fail(err, ERR_INVALID,
                    "truncation: stride %lld is not below the %zu tokens that a window has",
                    (long long)cut->stride, most);
    size_t step = most - (size_t)cut->stride, n = (p->n - most + step - 1) / step + 1;
    if (n > MAX_WINDOWS)
        return fail(err, ERR_LIMIT, "truncation: %zu windows", n);
    p->windows = NEW_ARRAY(a, Window, n);
    p->windows_n = n;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * step;
        Window w = cut->left ? (Window){p->n - at > most ? p->n - at - most : 0, p->n - at}
                             : (Window){at, MIN(at + most, p->n)};
        p->windows[i] = (Window){p->from + w.from, p->from + w.to};
    }
    return true;
}

/* How many tokens each of two parts keeps when the longer one goes first. */
static void share(size_t most, size_t *a, size_t *b)
{
    bool swapped = *a > *b;
    size_t n1 = swapped ? *b : *a, n2;
    n2 = n1 > most ? n1 : MAX(n1, most - n1);
    if (n1 + n2 > most) {
        n1 = most / 2;
        n2 = n1 + most % 2;
    }
    *a = swapped ? n2 : n1;
    *b = swapped ? n1 : n2;
}

static size_t special_count(const Template *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->items[i].ids ? t->items[i].n : 0;
    return n;
}

static bool truncate_parts(Layout *l, const Truncation *cutting, Error *err)
{
    size_t special = l->specials ? special_count(l->template) : 0;
    if (cutting->max_length < 0 || (size_t)cutting->max_length < special)
        return fail(err, ERR_INVALID, "truncation: to %lld tokens, of which %zu are special",
                    (long long)cutting->max_length, special);
    Arena *a = l->w->arena;
    Part *first = &l->parts[0], *second = &l->parts[1];
    size_t most = (size_t)cutting->max_length - special, n = first->n + second->n;
    if (most == 0)
        return cut(a, first, 0, cutting, err) && cut(a, second, 0, cutting, err);
    if (n <= most)
        return true;
    if (cutting->strategy == LONGEST_FIRST) {
        size_t keep[2] = {first->n, second->n};
        if (l->parts_n == 1)
            keep[0] = most;
        else
            share(most, &keep[0], &keep[1]);
        return cut(a, first, keep[0], cutting, err) && cut(a, second, keep[1], cutting, err);
    }
    if (cutting->strategy == ONLY_SECOND && l->parts_n == 1)
        return fail(err, ERR_INVALID, "truncation: only_second, but there is no second text");
    Part *which = cutting->strategy == ONLY_FIRST ? first : second;
    if (which->n <= n - most)
        return fail(err, ERR_INVALID,
                    "truncation: the text that may be cut has %zu tokens, %zu are too many",
                    which->n, n - most);
    return cut(a, which, which->n - (n - most), cutting, err);
}

/* ---- Putting together ---- */

static void put_details(Encoding *e, size_t from, size_t to, int32_t type_id, int sequence)
{
    for (size_t i = from; i < to && e->type_ids; i++) {
        e->type_ids[i] = type_id;
        e->attention_mask[i] = 1;
        e->special_tokens_mask[i] = sequence < 0;
        e->sequences[i] = (int8_t)sequence;
    }
}

static void put_special(const Layout *l, Encoding *e, const PostItem *item)
{
    if (!l->specials)
        return;
    encoding_reserve(e, e->n + item->n);
    memcpy(e->ids + e->n, item->ids, item->n * sizeof *e->ids);
    for (size_t i = e->n; i < e->n + item->n; i++) {
        if (l->o->spans)
            e->spans[i] = (Span){0};
        if (l->o->details)
            e->words[i] = -1;
    }
    if (l->o->details)
        put_details(e, e->n, e->n + item->n, item->type_id, -1);
    e->n += item->n;
}

static void put_window(const Layout *l, Encoding *e, Window w, int32_t type_id, int sequence)
{
    const Encoding *s = l->source;
    size_t n = w.to - w.from, at = e->n;
    encoding_reserve(e, at + n);
    memcpy(e->ids + at, s->ids + w.from, n * sizeof *e->ids);
    if (l->o->spans) {
        const Span *spans = l->o->chars ? l->w->char_spans : s->spans;
        memcpy(e->spans + at, spans + w.from, n * sizeof *spans);
        trim_spans(l->t, e->ids + at, e->spans + at, n, s->spans + w.from, l->originals[sequence],
                   l->o->chars);
    }
    if (l->o->details) {
        memcpy(e->words + at, s->words + w.from, n * sizeof *e->words);
        put_details(e, at, at + n, type_id, sequence);
    }
    e->n += n;
}

/* A choice of windows by item of the template, all 0 in the encoding itself. */
static void fill(const Layout *l, Encoding *e, const uint32_t *choice)
{
    const Template *t = l->template;
    bool main = true;
    for (size_t i = 0; i < t->n; i++)
        main = main && choice[i] == 0;
    e->n = 0;
    encoding_want(e, l->o->spans, l->o->details);
    for (size_t i = 0; i < t->n; i++) {
        const PostItem *item = &t->items[i];
        if (item->ids) {
            put_special(l, e, item);
            continue;
        }
        const Part *p = &l->parts[item->sequence];
        Window whole = {p->from, p->from + p->n};
        // Windows that are over keep the type of their text, whatever the template says.
        bool over = choice[i] > 0 && !(l->t->post.one_type && l->specials);
        put_window(l, e, p->windows ? p->windows[choice[i]] : whole,
                   over ? item->sequence : item->type_id, item->sequence);
    }
}

/* All choices of windows but the first, in the order of merging. */
static bool choices(const Layout *l, uint32_t **out, size_t *n, Error *err)
{
    const Template *t = l->template;
    Arena *a = l->w->arena;
    uint32_t *list = NULL;
    size_t count = 0;
    for (size_t i = 0; i < t->n; i++) {
        const PostItem *item = &t->items[i];
        size_t windows = item->ids ? 1 : MAX(l->parts[item->sequence].windows_n, 1);
        size_t more = count * windows + windows - 1, at = 0;
        if (more > MAX_OVERFLOW)
            return fail(err, ERR_LIMIT, "truncation: more than %d overflowing encodings",
                        MAX_OVERFLOW);
        uint32_t *next = NEW_ARRAY(a, uint32_t, more * t->n + 1);
        for (size_t k = 0; k < count; k++)
            for (uint32_t w = 0; w < windows; w++, at++) {
                memcpy(next + at * t->n, list + k * t->n, t->n * sizeof *next);
                next[at * t->n + i] = w;
            }
        for (uint32_t w = 1; w < windows; w++, at++)
            next[at * t->n + i] = w;
        list = next;
        count = more;
    }
    *out = list;
    *n = count;
    return true;
}

/* ---- The whole ---- */

/* Nothing to be cut or put around: the tokens stay where they are. */
static void finish_in_place(Layout *l, Encoding *e)
{
    if (!l->o->spans)
        return;
    trim_spans(l->t, e->ids, l->o->chars ? l->w->char_spans : e->spans, e->n, e->spans,
               l->originals[0], l->o->chars);
    if (l->o->chars)
        memcpy(e->spans, l->w->char_spans, e->n * sizeof *e->spans);
}

static void count_chars(Layout *l)
{
    Workspace *w = l->w;
    const Encoding *s = l->source;
    if (w->char_spans_cap < s->n) {
        w->char_spans_cap = s->cap;
        free(w->char_spans);
        w->char_spans = xmalloc(w->char_spans_cap * sizeof *w->char_spans);
    }
    if (s->n)
        memcpy(w->char_spans, s->spans, s->n * sizeof *s->spans);
    for (int i = 0; i < l->parts_n; i++)
        spans_count_chars(w->char_spans + l->parts[i].from, l->parts[i].n, l->originals[i]);
}

/* The result changes places with the source, whose memory serves the next text. */
static void swap_arrays(Encoding *a, Encoding *b)
{
    Workspace *mine = a->workspace, *theirs = b->workspace;
    Encoding swap = *a;
    *a = *b;
    *b = swap;
    a->workspace = mine;
    b->workspace = theirs;
}

static bool put_together(Layout *l, Encoding *e, Error *err)
{
    uint32_t *list = NULL;
    size_t n = 0;
    if (!choices(l, &list, &n, err))
        return false;
    uint32_t none[2 * MAX_COMPONENTS] = {0};
    Encoding *overflow = n ? xcalloc(n, sizeof *overflow) : NULL;
    for (size_t i = 0; i < n; i++)
        fill(l, &overflow[i], list + i * l->template->n);
    fill(l, &l->w->layout, none);
    swap_arrays(e, &l->w->layout);
    e->overflow = overflow;
    e->n_overflow = n;
    return true;
}

bool layout(const Tokenizer *t, Workspace *w, size_t first_n, const EncodeInput *input,
            const EncodeOptions *o, const Str originals[2], Error *err)
{
    static PostItem bare_items[2] = {{.sequence = 0}, {.sequence = 1, .type_id = 1}};
    static PostItem one_type_items[2] = {{.sequence = 0}, {.sequence = 1}};
    static const Template bare[2][2] = {{{bare_items, 1}, {bare_items, 2}},
                                        {{one_type_items, 1}, {one_type_items, 2}}};
    Encoding *e = w->out;
    const PostProcess *post = &t->post;
    const Template *template = input->has_pair ? &post->pair : &post->single;
    bool plain = template->n == 0 || (post->only_special && !o->add_special);
    Layout l = {.t = t,
                .w = w,
                .o = o,
                .source = e,
                .originals = originals,
                .parts = {{.n = first_n}, {.from = first_n, .n = e->n - first_n}},
                .parts_n = input->has_pair ? 2 : 1,
                .template = plain ? &bare[post->one_type][input->has_pair] : template,
                .specials = o->add_special};
    if (o->spans && o->chars)
        count_chars(&l);
    if (o->truncation && !truncate_parts(&l, o->truncation, err))
        return false;
    if (plain && !input->has_pair && !l.parts[0].windows) {
        finish_in_place(&l, e);
        if (o->details)
            put_details(e, 0, e->n, 0, 0);
        return true;
    }
    return put_together(&l, e, err);
}

/* ---- Padding ---- */

size_t padded_length(const Padding *padding, size_t longest)
{
    size_t n = padding->length > 0 ? (size_t)padding->length : longest;
    size_t multiple = padding->multiple_of > 0 ? (size_t)padding->multiple_of : 1;
    return (n + multiple - 1) / multiple * multiple;
}

/* Moves an array's n entries to make room on the left, and says where the new ones go. */
static void *shift(void *array, size_t size, size_t n, size_t more, bool left)
{
    char *bytes = array;
    if (!left)
        return bytes + n * size;
    memmove(bytes + more * size, bytes, n * size);
    return bytes;
}

void encoding_pad(const Tokenizer *t, Encoding *e, size_t n, const Padding *padding)
{
    for (size_t i = 0; i < e->n_overflow; i++)
        encoding_pad(t, &e->overflow[i], n, padding);
    if (e->n >= n)
        return;
    size_t more = n - e->n;
    encoding_reserve(e, n);
    int32_t *ids = shift(e->ids, sizeof *ids, e->n, more, padding->left);
    Span *spans = e->spans ? shift(e->spans, sizeof *spans, e->n, more, padding->left) : NULL;
    for (size_t i = 0; i < more; i++) {
        ids[i] = padding->id;
        if (spans)
            spans[i] = (Span){0};
    }
    if (e->type_ids) {
        int32_t *words = shift(e->words, sizeof *words, e->n, more, padding->left);
        int32_t *types = shift(e->type_ids, sizeof *types, e->n, more, padding->left);
        for (size_t i = 0; i < more; i++) {
            words[i] = -1;
            types[i] = padding->type_id;
        }
        memset(shift(e->attention_mask, 1, e->n, more, padding->left), 0, more);
        memset(shift(e->special_tokens_mask, 1, e->n, more, padding->left), 1, more);
        memset(shift(e->sequences, 1, e->n, more, padding->left), -1, more);
    }
    e->n = n;
}
