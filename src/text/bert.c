/* bert.c: BERT's normalizer and pre-tokenizer in one pass with the model.
 *
 * Character by character is enough for them: each is dropped, white space, a word of its own, or
 * goes into the word at hand in its normalized form. What becomes of a character is looked up, in a
 * table for ASCII and in rows of 256 that are filled, by the stages themselves, when first needed.
 * A few characters do not stand alone (NFD would put marks in order); then the stages go over the
 * text between the white spaces around it. */
#include "text/tokenizer_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef enum CharKind {
    CHAR_UNKNOWN, // not looked at yet
    CHAR_WORD,
    CHAR_ALONE,
    CHAR_SPACE,
    CHAR_DROPPED,
    CHAR_ODD,
    CHAR_WIDE, // of ASCII's table: not ASCII
} CharKind;

typedef struct BertChar {
    uint8_t kind, n;
    char bytes[10]; // its normalized form, n of them
} BertChar;

struct BertRow {
    BertChar chars[256];
};

struct BertTable {
    uint8_t kinds[256];
    char lower[256];
    bool lowers;
};

/* What the stages make of one character. */
static BertChar look_at(const Tokenizer *t, int32_t code, Workspace *w)
{
    char text[4];
    Piece p = {.text = text, .len = (uint32_t)utf8_encode(code, text), .token = -1};
    arena_reset(w->arena);
    w->pieces.n = w->next.n = 0;
    w->original = (Str){text, p.len};
    BertChar c = {.kind = CHAR_ODD};
    if (!normalize(t, w, &p, NULL) || p.len == 0)
        return (BertChar){.kind = p.len == 0 ? CHAR_DROPPED : CHAR_ODD};
    piece_push(&w->pieces, p);
    if (!pretokenize(t, w, NULL) || w->pieces.n != 1)
        return (BertChar){.kind = w->pieces.n == 0 ? CHAR_SPACE : CHAR_ODD};
    Piece word = w->pieces.items[0];
    size_t first = 0;
    int32_t was = char_at(word.text, &first);
    bool alone = is_punctuation(was) || word.len != p.len; // Chinese came with spaces around it
    // A mark that stays would be sorted among its neighbours.
    bool moves = mark_order(code) || (alone && first != word.len);
    if (moves || word.len > sizeof c.bytes)
        return c;
    c.kind = alone ? CHAR_ALONE : CHAR_WORD;
    c.n = (uint8_t)word.len;
    memcpy(c.bytes, word.text, word.len);
    return c;
}

BertTable *bert_table_new(const Tokenizer *t, Arena *a)
{
    BertTable *table = NEW(a, BertTable);
    AUTO_ENCODING scratch = {0};
    for (int c = 0; c < 256; c++) {
        BertChar known =
            c < 128 ? look_at(t, c, workspace_of(&scratch)) : (BertChar){.kind = CHAR_WIDE};
        table->kinds[c] = known.kind;
        table->lower[c] = known.n == 1 ? known.bytes[0] : (char)c;
    }
    table->lowers = table->lower['A'] == 'a';
    return table;
}

static const BertChar *wide_char(const Tokenizer *t, WordCache *cache, int32_t code)
{
    struct BertRow **row = &cache->rows[code >> 8];
    if (!*row)
        *row = xcalloc(1, sizeof **row);
    BertChar *c = &(*row)->chars[code & 255];
    if (c->kind == CHAR_UNKNOWN) {
        AUTO_ENCODING scratch = {0};
        *c = look_at(t, code, workspace_of(&scratch));
    }
    return c;
}

/* ---- Words ---- */

/* Letters and digits at the beginning of 16 bytes, and the bytes with capitals lowered. */
static inline size_t letters_and_digits(const char *p, bool lowers, uint64_t key[2])
{
#ifdef __SSE2__
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i l = _mm_or_si128(x, _mm_set1_epi8(0x20));
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(l, _mm_set1_epi8('a' - 1)),
                                   _mm_cmplt_epi8(l, _mm_set1_epi8('z' + 1)));
    __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)),
                                  _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1)));
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, digit));
    _mm_storeu_si128((__m128i *)(void *)key,
                     lowers ? _mm_or_si128(x, _mm_and_si128(letter, _mm_set1_epi8(0x20))) : x);
    return (size_t)__builtin_ctz(~mask);
#else
    char bytes[16];
    size_t n = 0;
    memcpy(bytes, p, 16);
    for (; n < 16; n++) {
        char l = (char)(bytes[n] | 0x20);
        bool letter = l >= 'a' && l <= 'z';
        if (!letter && !(bytes[n] >= '0' && bytes[n] <= '9'))
            break;
        if (letter && lowers)
            bytes[n] = l;
    }
    memcpy(key, bytes, 16);
    return n;
#endif
}

typedef struct Run { // where we are in a piece
    const Tokenizer *t;
    Workspace *w;
    const Piece *p;
    size_t pos;
    size_t chunk; // behind the last ASCII white space, where the encoding had
    size_t chunk_n;
    uint32_t chunk_words; // as many tokens and words
} Run;

static inline void put_char(Run *r, const char *bytes, size_t n, size_t from, size_t to)
{
    Workspace *w = r->w;
    buf_add_bytes(&w->run, bytes, n);
    if (!w->spans)
        return;
    Span span = {piece_span(r->p, w->original, from, to).start,
                 piece_span(r->p, w->original, from, to).end};
    for (size_t i = 0; i < n; i++)
        buf_add_bytes(&w->run_spans, &span, sizeof span);
}

static bool end_word(Run *r, Error *err)
{
    Workspace *w = r->w;
    if (w->run.len == 0)
        return true;
    Piece p = {.text = w->run.ptr,
               .len = (uint32_t)w->run.len,
               .align = w->spans ? (const Span *)(const void *)w->run_spans.ptr : NULL,
               .token = -1};
    return encode_word(r->t, w, &p, 0, p.len, err);
}

/* From the last white space on the stages do it, up to the next. */
static bool by_stages(Run *r, Error *err)
{
    const Tokenizer *t = r->t;
    Workspace *w = r->w;
    w->out->n = r->chunk_n;
    w->word_n = r->chunk_words;
    size_t end = r->pos;
    while (end < r->p->len && t->bert->kinds[(uint8_t)r->p->text[end]] != CHAR_SPACE)
        end++;
    Piece p = piece_slice(r->p, r->chunk, end);
    r->pos = end;
    PieceList outer = w->pieces;
    w->pieces = w->inner;
    w->pieces.n = w->next.n = 0;
    bool ok = normalize(t, w, &p, err);
    piece_push(&w->pieces, p);
    ok = ok && pretokenize(t, w, err);
    for (size_t i = 0; ok && i < w->pieces.n; i++)
        ok = encode_word(t, w, &w->pieces.items[i], 0, w->pieces.items[i].len, err);
    w->inner = w->pieces;
    w->pieces = outer;
    return ok;
}

/* A word with something in it that is not plain, or more than 15 bytes. */
static bool take_slowly(Run *r, Error *err)
{
    const BertTable *table = r->t->bert;
    const Piece *p = r->p;
    buf_reset(&r->w->run);
    buf_reset(&r->w->run_spans);
    while (r->pos < p->len) {
        size_t next = r->pos;
        uint8_t byte = (uint8_t)p->text[next], kind = table->kinds[byte], n = 1;
        const char *bytes = &table->lower[byte];
        if (kind == CHAR_WIDE) {
            const BertChar *c = wide_char(r->t, r->w->cache, char_at(p->text, &next));
            kind = c->kind;
            bytes = c->bytes;
            n = c->n;
        } else {
            next++;
        }
        if (kind == CHAR_ODD)
            return by_stages(r, err);
        if (kind == CHAR_SPACE && byte >= 0x80)
            r->pos = next;
        if (kind == CHAR_SPACE || (kind == CHAR_ALONE && r->w->run.len > 0))
            break;
        if (kind != CHAR_DROPPED)
            put_char(r, bytes, n, r->pos, next);
        r->pos = next;
        if (kind == CHAR_ALONE)
            break;
    }
    return end_word(r, err);
}

static bool take_word(Run *r, Error *err)
{
    const BertTable *table = r->t->bert;
    const Piece *p = r->p;
    uint64_t key[2];
    size_t n = 16;
    uint8_t first = table->kinds[(uint8_t)p->text[r->pos]];
    if (r->pos + 17 <= p->len && first != CHAR_WIDE)
        n = letters_and_digits(p->text + r->pos, table->lowers, key);
    if (n == 0 && first == CHAR_ALONE)
        n = 1;
    else if (n == 0 || n == 16)
        return take_slowly(r, err);
    else {
        uint8_t behind = table->kinds[(uint8_t)p->text[r->pos + n]];
        if (behind != CHAR_SPACE && behind != CHAR_ALONE)
            return take_slowly(r, err);
    }
    short_key_end(key, n);
    char text[16];
    memcpy(text, key, 16);
    Piece word = {
        .text = text, .len = (uint32_t)n, .origin = (uint32_t)(p->origin + r->pos), .token = -1};
    r->pos += n;
    return encode_keyed(r->t, r->w, &word, 0, n, key, err);
}

bool encode_bert(const Tokenizer *t, Workspace *w, const Piece *p, Error *err)
{
    const BertTable *table = t->bert;
    Run r = {.t = t, .w = w, .p = p, .chunk_n = w->out->n, .chunk_words = w->word_n};
    while (r.pos < p->len) {
        if (table->kinds[(uint8_t)p->text[r.pos]] == CHAR_SPACE) {
            r.chunk = ++r.pos;
            r.chunk_n = w->out->n;
            r.chunk_words = w->word_n;
        } else if (!take_word(&r, err)) {
            return false;
        }
    }
    return true;
}
