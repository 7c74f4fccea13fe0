/* tokenizer.c: a tokenizer's life, and the way of a text through its stages.
 * The stages themselves are in files of their own; see tokenizer_internal.h. */
#include "text/tokenizer_internal.h"

#include "base/file.h"
#include "formats/checkpoint.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* ---- Opening ---- */

Tokenizer *tokenizer_new(void)
{
    Tokenizer *t = xcalloc(1, sizeof *t);
    t->arena = arena_new(0);
    for (int i = 0; i < SPECIAL_COUNT; i++)
        t->special[i] = -1;
    return t;
}

void tokenizer_free(Tokenizer *t)
{
    if (!t)
        return;
    vocab_done(&t->vocab);
    map_done(&t->added_ids);
    map_done(&t->templates);
    bpe_free(t->bpe);
    arena_free(t->arena);
    free(t);
}

/* Writes the bytes that a spelling stands for, which are never more than it has itself; returns
 * how many, SIZE_MAX if it stands for none. */
static size_t spell_out(Str text, char *out)
{
    size_t n = 0;
    for (size_t pos = 0; pos < text.len;) {
        int byte = char_to_byte(char_at(text.ptr, &pos));
        if (byte < 0)
            return SIZE_MAX;
        out[n++] = (char)byte;
    }
    return n;
}

void vocab_add(Tokenizer *t, int32_t id, Str text)
{
    Str copy = arena_str(t->arena, text), key = copy;
    if (t->byte_level) {
        char *bytes = arena_alloc(t->arena, text.len + 1);
        size_t n = spell_out(text, bytes);
        key = n == SIZE_MAX ? (Str){0} : (Str){bytes, n}; // without bytes it is in no text
    }
    vocab_put(&t->vocab, id, copy, key);
}

int32_t vocab_find_text(const Tokenizer *t, Str text)
{
    if (!t->byte_level)
        return vocab_find(&t->vocab, text);
    AUTO_BUF bytes;
    buf_init(&bytes, 0);
    return bytes_of_spelling(text, &bytes) ? vocab_find(&t->vocab, buf_str(&bytes)) : -1;
}

bool components_list(const json_t *value, const char *key, const json_t **list, size_t *n,
                     Error *err)
{
    *n = 0;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_object(value))
        return fail(err, ERR_INVALID, "not an object");
    if (strcmp(json_text(value, "type", "?"), "Sequence") != 0) {
        list[(*n)++] = value;
        return true;
    }
    const json_t *items = json_object_get(value, key);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *inner[MAX_COMPONENTS];
        size_t inner_n;
        if (!components_list(json_array_get(items, i), key, inner, &inner_n, err))
            return false;
        if (*n + inner_n > MAX_COMPONENTS)
            return fail(err, ERR_LIMIT, "more than %d components", MAX_COMPONENTS);
        memcpy(list + *n, inner, inner_n * sizeof *inner);
        *n += inner_n;
    }
    return true;
}

bool tokenizer_finish(Tokenizer *t, Error *err)
{
    return added_finish(t, err);
}

static Tokenizer *opened(Tokenizer *t, const char *what, bool loaded, Error *err)
{
    if (loaded && tokenizer_finish(t, err))
        return t;
    tokenizer_free(t);
    return what ? fail_while(err, "tokenizer '%s'", what) : NULL;
}

Tokenizer *tokenizer_from_json(Str json, const char *name, Error *err)
{
    Tokenizer *t = tokenizer_new();
    return opened(t, NULL, load_json(t, json, name, err), err);
}

Tokenizer *tokenizer_from_gguf(const Gguf *gguf, Error *err)
{
    Tokenizer *t = tokenizer_new();
    return opened(t, NULL, load_gguf(t, gguf, err), err);
}

static bool load_gguf_file(Tokenizer *t, const char *path, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_open(path, err);
    if (!c)
        return false;
    const Gguf *gguf = checkpoint_gguf(c);
    if (!gguf)
        return fail(err, ERR_INVALID, "a .gguf file without GGUF metadata");
    return load_gguf(t, gguf, err);
}

Tokenizer *tokenizer_open(const char *path, Error *err)
{
    Tokenizer *t = tokenizer_new();
    bool loaded = str_ends(str_of(path), S(".gguf")) ? load_gguf_file(t, path, err)
                                                     : load_folder(t, path, err);
    return opened(t, path, loaded, err);
}

/* ---- Roles ---- */

static const char *const special_names[] = {
#define X(code, name) [code] = name,
    SPECIAL_TOKENS(X)
#undef X
};

const char *special_token_name(SpecialToken role)
{
    return special_names[role];
}

void special_set(Tokenizer *t, SpecialToken role, Str text)
{
    if (text.len == 0)
        return;
    t->special_text[role] = arena_str(t->arena, text);
    t->special[role] = tokenizer_find(t, text);
}

void special_set_id(Tokenizer *t, SpecialToken role, int32_t id)
{
    if (id < 0 || id >= t->vocab.n || !t->vocab.texts[id].ptr)
        return;
    t->special[role] = id;
    t->special_text[role] = t->vocab.texts[id];
}

int32_t tokenizer_special(const Tokenizer *t, SpecialToken role)
{
    return t->special[role];
}

Str tokenizer_special_text(const Tokenizer *t, SpecialToken role)
{
    return t->special_text[role];
}

int64_t tokenizer_max_length(const Tokenizer *t)
{
    return t->max_length;
}

Str tokenizer_chat_template(const Tokenizer *t, const char *name)
{
    const Str *named = name ? map_find(&t->templates, str_of(name)) : NULL;
    return named ? *named : name ? (Str){0} : t->chat_template;
}

int32_t tokenizer_size(const Tokenizer *t)
{
    return t->vocab.n;
}

Str tokenizer_token(const Tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n ? t->vocab.texts[id] : (Str){0};
}

int32_t tokenizer_find(const Tokenizer *t, Str token)
{
    const AddedToken *added = map_find(&t->added_ids, token);
    return added ? added->id : vocab_find_text(t, token);
}

bool tokenizer_is_special(const Tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n && t->vocab.flags[id] & TOKEN_SPECIAL;
}

/* ---- Encodings ---- */

Workspace *workspace_of(Encoding *e)
{
    if (!e->workspace) {
        e->workspace = xcalloc(1, sizeof *e->workspace);
        e->workspace->arena = arena_new(0);
        buf_init(&e->workspace->clean, 0);
        buf_init(&e->workspace->word, 0);
    }
    e->workspace->out = e;
    return e->workspace;
}

void encoding_done(Encoding *e)
{
    Workspace *w = e->workspace;
    if (w) {
        arena_free(w->arena);
        buf_done(&w->clean);
        buf_done(&w->word);
        free(w->pieces.items);
        free(w->next.items);
        free(w->changes.items);
        free(w->symbols);
        free(w->heap);
        free(w->nodes);
        pcre2_match_data_free(w->match);
        pcre2_match_context_free(w->context);
        pcre2_jit_stack_free(w->jit_stack);
        free(w);
    }
    free(e->ids);
    free(e->spans);
    *e = (Encoding){0};
}

void encoding_reserve(Encoding *e, size_t n)
{
    if (n <= e->cap)
        return;
    e->cap = MAX(n, e->cap * 2);
    e->ids = xrealloc(e->ids, e->cap * sizeof *e->ids);
    e->spans = xrealloc(e->spans, e->cap * sizeof *e->spans);
}

bool next_list(Workspace *w)
{
    PieceList done = w->pieces;
    w->pieces = w->next;
    w->next = done;
    w->next.n = 0;
    return true;
}

void emit(Workspace *w, const Piece *p, int32_t id, size_t from, size_t to)
{
    Encoding *e = w->out;
    if (e->n == e->cap)
        encoding_reserve(e, e->n + 64);
    e->ids[e->n] = id;
    e->spans[e->n++] = piece_span(p, w->original, from, to);
}

/* Pre-tokenizing and the model in one pass, without a list of words. */
static bool encode_fused(const Tokenizer *t, Workspace *w, const Piece *p, Error *err)
{
    for (size_t pos = 0; pos < p->len;) {
        size_t end = t->fused(p->text, p->len, pos);
        Piece word = piece_slice(p, pos, end);
        if (!t->model->encode(t, w, &word, err))
            return false;
        pos = end;
    }
    return true;
}

static bool encode_pieces(const Tokenizer *t, Workspace *w, Error *err)
{
    if (!t->fused && !pretokenize(t, w, err))
        return false;
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        if (p->len == 0)
            continue;
        if (p->token >= 0)
            emit(w, p, p->token, 0, p->len);
        else if (!(t->fused ? encode_fused(t, w, p, err) : t->model->encode(t, w, p, err)))
            return false;
    }
    return true;
}

static void start(Workspace *w, Str text)
{
    arena_reset(w->arena);
    w->out->n = w->pieces.n = w->next.n = 0;
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

bool tokenizer_encode(const Tokenizer *t, Str text, bool add_special, Encoding *e, Error *err)
{
    if (text.len > TOKENIZER_MAX_TEXT)
        return fail(err, ERR_LIMIT, "tokenize: a text of %zu bytes, at most %zu", text.len,
                    TOKENIZER_MAX_TEXT);
    Workspace *w = workspace_of(e);
    start(w, text);
    added_split(w, &t->raw);
    for (size_t i = 0; i < w->pieces.n; i++)
        if (w->pieces.items[i].token < 0 && !normalize(t, w, &w->pieces.items[i], err))
            return fail_while(err, "tokenize");
    added_split(w, &t->normalized);
    if (!encode_pieces(t, w, err))
        return fail_while(err, "tokenize");
    postprocess(t, w, add_special);
    return true;
}

/* Walks to and fro: spans mostly go forward, by little. */
void encoding_count_chars(Encoding *e)
{
    const char *text = e->workspace ? e->workspace->original.ptr : NULL;
    size_t pos = 0;
    uint32_t chars = 0;
    for (size_t i = 0; i < e->n; i++) {
        uint32_t *ends[] = {&e->spans[i].start, &e->spans[i].end};
        for (int k = 0; k < 2; k++) {
            while (pos < *ends[k])
                chars += (text[pos++] & 0xC0) != 0x80;
            while (pos > *ends[k])
                chars -= (text[--pos] & 0xC0) != 0x80;
            *ends[k] = chars;
        }
    }
}
