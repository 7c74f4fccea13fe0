/* tokenizer.c: a tokenizer's life, and what it says of itself; see tokenizer_internal.h. */
#include "text/tokenizer_internal.h"

#include "base/file.h"
#include "formats/checkpoint.h"

/* ---- Opening ---- */

Tokenizer *tokenizer_new(void)
{
    Tokenizer *t = xcalloc(1, sizeof *t);
    t->arena = arena_new(0);
    t->idle = xcalloc(1, sizeof *t->idle);
    pthread_mutex_init(&t->idle->lock, NULL);
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
    word_cache_free(t->idle->first);
    pthread_mutex_destroy(&t->idle->lock);
    free(t->idle);
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
    if (!added_finish(t, err))
        return false;
    if (normalizer_is_bert(t) && pretokenizer_is_bert(t) && t->normalized.prefixes.n == 0)
        t->bert = bert_table_new(t, t->arena);
    return true;
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

Tokenizer *tokenizer_from_sentencepiece(Str bytes, const char *name, Error *err)
{
    Tokenizer *t = tokenizer_new();
    return opened(t, NULL, load_sentencepiece(t, bytes, name, err), err);
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

const Truncation *tokenizer_truncation(const Tokenizer *t)
{
    return t->has_truncation ? &t->truncation : NULL;
}

const Padding *tokenizer_padding(const Tokenizer *t)
{
    return t->has_padding ? &t->padding : NULL;
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
