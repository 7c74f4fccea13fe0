/* decode.c: ids back to text: the decoders of tokenizer.json, one row of `kinds` each, and the
 * stream that hands out whole characters only.
 *
 * Decoders rewrite a list of token texts; the results put behind one another are the text. The
 * common case, byte level, needs no list: its tokens' raw bytes are simply put together. */
#include "text/tokenizer_internal.h"

#include "base/encode.h"

/* ---- Decoders ---- */

static Str replace_all(Arena *a, Str s, Str from, Str to)
{
    if (from.len == 0 || str_find(s, from, 0) == SIZE_MAX)
        return s;
    AUTO_BUF out;
    buf_init(&out, 0);
    size_t done = 0;
    for (size_t at; (at = str_find(s, from, done)) != SIZE_MAX; done = at + from.len) {
        buf_add(&out, str_slice(s, done, at));
        buf_add(&out, to);
    }
    buf_add(&out, str_slice(s, done, s.len));
    return arena_str(a, buf_str(&out));
}

/* Undoes the spaces that splitting put before punctuation and English contractions. */
static Str clean_up(Arena *a, Str s)
{
    static const struct {
        Str from, to;
    } rows[] = {
        {S(" ."), S(".")},     {S(" ?"), S("?")},           {S(" !"), S("!")},
        {S(" ,"), S(",")},     {S(" ' "), S("'")},          {S(" n't"), S("n't")},
        {S(" 'm"), S("'m")},   {S(" do not"), S(" don't")}, {S(" 's"), S("'s")},
        {S(" 've"), S("'ve")}, {S(" 're"), S("'re")},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        s = replace_all(a, s, rows[i].from, rows[i].to);
    return s;
}

static Str join(Arena *a, Str left, Str right)
{
    char *text = arena_alloc(a, left.len + right.len + 1);
    if (left.len)
        memcpy(text, left.ptr, left.len);
    if (right.len)
        memcpy(text + left.len, right.ptr, right.len);
    return (Str){text, left.len + right.len};
}

static void fuse(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    size_t len = 0;
    for (size_t i = 0; i < *n; i++)
        len += tokens[i].len;
    char *text = arena_alloc(a, len + 1);
    len = 0;
    for (size_t i = 0; i < *n; i++) {
        if (tokens[i].len)
            memcpy(text + len, tokens[i].ptr, tokens[i].len);
        len += tokens[i].len;
    }
    if (*n)
        tokens[0] = (Str){text, len};
    *n = *n > 0;
}

static void byte_level(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    AUTO_BUF bytes, text;
    buf_init(&bytes, 0);
    buf_init(&text, 0);
    for (size_t i = 0; i < *n; i++) {
        size_t before = bytes.len;
        if (!bytes_of_spelling(tokens[i], &bytes)) {
            bytes.len = before;
            buf_add(&bytes, tokens[i]);
        }
    }
    buf_add_lossy(&text, buf_str(&bytes));
    if (*n)
        tokens[0] = arena_str(a, buf_str(&text));
    *n = *n > 0;
}

static void wordpiece(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        if (i > 0 && str_starts(tokens[i], d->text))
            tokens[i] = str_slice(tokens[i], d->text.len, tokens[i].len);
        else if (i > 0)
            tokens[i] = join(a, S(" "), tokens[i]);
        if (d->cleanup)
            tokens[i] = clean_up(a, tokens[i]);
    }
}

static void metaspace(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        tokens[i] = replace_all(a, tokens[i], d->text,
                                i == 0 && d->prepend != PREPEND_NEVER ? S("") : S(" "));
}

static void bpe_suffix(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        tokens[i] = replace_all(a, tokens[i], d->text, i + 1 == *n ? S("") : S(" "));
}

static void ctc(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    size_t kept = 0;
    Str last = {0};
    for (size_t i = 0; i < *n; i++) {
        Str token = tokens[i];
        if (i > 0 && str_eq(token, last)) // repeated in time, not in the text
            continue;
        last = token;
        token = replace_all(a, token, d->text, S(""));
        if (d->cleanup)
            token = replace_all(a, clean_up(a, token), d->other, S(" "));
        if (token.len)
            tokens[kept++] = token;
    }
    *n = kept;
}

static void replace(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    if (d->pattern.literal.len) {
        for (size_t i = 0; i < *n; i++)
            tokens[i] = replace_all(a, tokens[i], d->pattern.literal, d->text);
        return;
    }
    AUTO_ENCODING scratch = {0};
    Workspace *w = workspace_of(&scratch);
    for (size_t i = 0; i < *n; i++) {
        AUTO_BUF out;
        buf_init(&out, 0);
        Matches m = matches_of(&d->pattern, w, tokens[i]);
        size_t done = 0;
        while (matches_next(&m, NULL)) {
            buf_add(&out, str_slice(tokens[i], done, m.from));
            buf_add(&out, d->text);
            done = m.to;
        }
        buf_add(&out, str_slice(tokens[i], done, tokens[i].len));
        tokens[i] = arena_str(a, buf_str(&out));
    }
}

static int byte_token(Str token)
{
    uint8_t byte;
    if (token.len != 6 || !str_starts(token, S("<0x")) || token.ptr[5] != '>' ||
        !hex_decode(str_slice(token, 3, 5), &byte, 1))
        return -1;
    return byte;
}

/* Runs of "<0xAB>" become their characters, or one U+FFFD a byte if they are none. */
static void byte_fallback(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n;) {
        if (byte_token(tokens[i]) < 0) {
            tokens[kept++] = tokens[i++];
            continue;
        }
        AUTO_BUF bytes;
        buf_init(&bytes, 0);
        for (int byte; i < *n && (byte = byte_token(tokens[i])) >= 0; i++)
            buf_add_char(&bytes, (char)byte);
        if (str_is_utf8(buf_str(&bytes))) {
            tokens[kept++] = arena_str(a, buf_str(&bytes));
        } else {
            for (size_t k = 0; k < bytes.len; k++)
                tokens[kept++] = S("\xEF\xBF\xBD");
        }
    }
    *n = kept;
}

static void strip(const Decoder *d, Arena *a, Str *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        Str s = tokens[i];
        size_t from = 0, to = s.len;
        for (int64_t k = 0; k < d->start && from < to; k++) {
            size_t next = from;
            if (char_at(s.ptr, &next) != d->code)
                break;
            from = next;
        }
        for (int64_t k = 0; k < d->stop && to > from; k++) {
            size_t next = to;
            if (char_before(s.ptr, &next) != d->code)
                break;
            to = next;
        }
        tokens[i] = str_slice(s, from, to);
    }
}

/* ---- Reading ---- */

static bool read_wordpiece(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    d->text = arena_str(a, str_of(json_text(value, "prefix", "##")));
    d->cleanup = json_flag(value, "cleanup", true);
    return true;
}

static bool read_metaspace(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    d->text = arena_str(a, str_of(json_text(value, "replacement", "\xE2\x96\x81")));
    return prepend_read(&d->prepend, value, err);
}

static bool read_suffix(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    d->text = arena_str(a, str_of(json_text(value, "suffix", "</w>")));
    return true;
}

static bool read_ctc(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    d->text = arena_str(a, str_of(json_text(value, "pad_token", "<pad>")));
    d->other = arena_str(a, str_of(json_text(value, "word_delimiter_token", "|")));
    d->cleanup = json_flag(value, "cleanup", true);
    return true;
}

static bool read_replace(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    d->text = arena_str(a, json_str(value, "content"));
    return pattern_read(&d->pattern, json_object_get(value, "pattern"), "pattern", a, err);
}

static bool read_strip(Decoder *d, const json_t *value, Arena *a, Error *err)
{
    Str content = json_str(value, "content");
    if (content.len == 0 || char_size(content.ptr[0]) != content.len)
        return fail(err, ERR_INVALID, "content: not one character");
    d->code = char_at(content.ptr, &(size_t){0});
    d->start = json_int(value, "start", 0);
    d->stop = json_int(value, "stop", 0);
    return true;
}

static const struct {
    const char *type;
    void (*apply)(const Decoder *d, Arena *a, Str *tokens, size_t *n);
    bool (*read)(Decoder *d, const json_t *value, Arena *a, Error *err);
} kinds[] = {
    {"ByteLevel", byte_level, NULL},
    {"WordPiece", wordpiece, read_wordpiece},
    {"Metaspace", metaspace, read_metaspace},
    {"BPEDecoder", bpe_suffix, read_suffix},
    {"CTC", ctc, read_ctc},
    {"Replace", replace, read_replace},
    {"ByteFallback", byte_fallback, NULL},
    {"Fuse", fuse, NULL},
    {"Strip", strip, read_strip},
};

static bool read_one(Tokenizer *t, const json_t *value, Error *err)
{
    const char *type = json_text(value, "type", "?");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        Decoder *d = &t->decoders[t->decoders_n];
        d->apply = kinds[i].apply;
        if (kinds[i].read && !kinds[i].read(d, value, t->arena, err))
            return fail_while(err, "%s", type);
        t->decoders_n++;
        return true;
    }
    return fail(err, ERR_UNSUPPORTED, "there is no type '%s'", type);
}

bool decoders_read(Tokenizer *t, const json_t *value, Error *err)
{
    const json_t *list[MAX_COMPONENTS];
    size_t n;
    if (!components_list(value, "decoders", list, &n, err))
        return fail_while(err, "decoder");
    t->decoders = NEW_ARRAY(t->arena, Decoder, n);
    for (size_t i = 0; i < n; i++)
        if (!read_one(t, list[i], err))
            return fail_while(err, "decoder");
    t->byte_decoder = n == 1 && t->decoders[0].apply == byte_level;
    return true;
}

void decoder_set_byte_level(Tokenizer *t)
{
    t->decoders = NEW(t->arena, Decoder);
    t->decoders_n = 1;
    t->decoders->apply = byte_level;
    t->byte_decoder = true;
}

void decoder_set_spaces(Tokenizer *t, bool strips)
{
    t->decoders = NEW_ARRAY(t->arena, Decoder, 4);
    t->decoders[0] =
        (Decoder){.apply = replace, .pattern.literal = S("\xE2\x96\x81"), .text = S(" ")};
    t->decoders[1] = (Decoder){.apply = byte_fallback};
    t->decoders[2] = (Decoder){.apply = fuse};
    t->decoders[3] = (Decoder){.apply = strip, .code = ' ', .start = 1};
    t->decoders_n = strips ? 4 : 3;
}

/* ---- Decoding ---- */

static bool is_left_out(const Tokenizer *t, int32_t id, bool skip_special)
{
    return id < 0 || id >= t->vocab.n || !(t->vocab.flags[id] & TOKEN_KNOWN) ||
           (skip_special && t->vocab.flags[id] & TOKEN_SPECIAL);
}

static void add_bytes(const Tokenizer *t, int32_t id, bool skip_special, Buf *bytes)
{
    if (is_left_out(t, id, skip_special))
        return;
    if (t->byte_level && t->vocab.keys[id].len) {
        buf_add(bytes, t->vocab.keys[id]);
        return;
    }
    size_t before = bytes->len;
    if (!bytes_of_spelling(t->vocab.texts[id], bytes)) {
        bytes->len = before;
        buf_add(bytes, t->vocab.texts[id]);
    }
}

void tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t n, bool skip_special, Buf *out)
{
    if (t->byte_decoder) {
        AUTO_BUF bytes;
        buf_init(&bytes, 0);
        for (size_t i = 0; i < n; i++)
            add_bytes(t, ids[i], skip_special, &bytes);
        buf_add_lossy(out, buf_str(&bytes));
        return;
    }
    AUTO(arena_free) Arena *a = arena_new(0);
    Str *tokens = NEW_ARRAY(a, Str, n);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_left_out(t, ids[i], skip_special))
            tokens[kept++] = t->vocab.texts[ids[i]];
    for (size_t i = 0; i < t->decoders_n; i++)
        t->decoders[i].apply(&t->decoders[i], a, tokens, &kept);
    for (size_t i = 0; i < kept; i++) {
        if (i > 0 && t->decoders_n == 0)
            buf_add_char(out, ' ');
        buf_add(out, tokens[i]);
    }
}

void tokenizer_bytes(const Tokenizer *t, int32_t id, Buf *out)
{
    if (t->byte_decoder) {
        add_bytes(t, id, false, out);
        return;
    }
    if (is_left_out(t, id, false))
        return;
    int byte = byte_token(t->vocab.texts[id]);
    for (size_t i = 0; byte >= 0 && i < t->decoders_n; i++)
        if (t->decoders[i].apply == byte_fallback) {
            buf_add_char(out, (char)byte);
            return;
        }
    // What a token adds to a text shows behind another one: the first may lose its space.
    AUTO_BUF before, all;
    buf_init(&before, 0);
    buf_init(&all, 0);
    int32_t ids[2] = {tokenizer_find(t, S("a")), id};
    size_t n = ids[0] >= 0;
    tokenizer_decode(t, ids, n, false, &before);
    tokenizer_decode(t, n ? ids : ids + 1, n + 1, false, &all);
    buf_add(out, str_slice(buf_str(&all), MIN(before.len, all.len), all.len));
}

/* ---- Streams ----
 *
 * Byte level: bytes wait until their character is whole. Others: a token's text depends on those
 * before it (a leading space goes only at the start), so each step decodes from the last token
 * that gave text on, and hands out by how much that has grown. */

struct DecodeStream {
    const Tokenizer *t;
    bool skip_special;
    Buf bytes; // byte level: what waits
    int32_t *ids;
    size_t n, cap;
    size_t given; // ids whose text was handed out; they stay as context for the next
    Buf prefix;   // the text of those
    Buf text;     // what was handed out last
};

DecodeStream *decode_stream_new(const Tokenizer *t, bool skip_special)
{
    DecodeStream *d = xcalloc(1, sizeof *d);
    d->t = t;
    d->skip_special = skip_special;
    buf_init(&d->bytes, 0);
    buf_init(&d->prefix, 0);
    buf_init(&d->text, 0);
    return d;
}

void decode_stream_free(DecodeStream *d)
{
    if (!d)
        return;
    buf_done(&d->bytes);
    buf_done(&d->prefix);
    buf_done(&d->text);
    free(d->ids);
    free(d);
}

/* Bytes at the end that may become a character when more come. */
static size_t unfinished(Str s)
{
    for (size_t n = 1; n <= 3 && n <= s.len; n++) {
        unsigned char c = (unsigned char)s.ptr[s.len - n];
        if ((c & 0xC0) == 0x80)
            continue;
        size_t wanted = c >= 0xF0 && c <= 0xF4  ? 4
                        : c >= 0xE0 && c < 0xF0 ? 3
                        : c >= 0xC2 && c < 0xE0 ? 2
                                                : 1;
        return wanted > n ? n : 0;
    }
    return 0;
}

static Str add_to_bytes(DecodeStream *d, int32_t id)
{
    add_bytes(d->t, id, d->skip_special, &d->bytes);
    Str all = buf_str(&d->bytes);
    size_t whole = all.len - unfinished(all);
    buf_add_lossy(&d->text, str_slice(all, 0, whole));
    if (whole) {
        memmove(d->bytes.ptr, d->bytes.ptr + whole, all.len - whole);
        d->bytes.len = all.len - whole;
    }
    return buf_str(&d->text);
}

Str decode_stream_add(DecodeStream *d, int32_t id)
{
    buf_reset(&d->text);
    if (d->t->byte_decoder)
        return add_to_bytes(d, id);
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 32;
        d->ids = xrealloc(d->ids, d->cap * sizeof *d->ids);
    }
    d->ids[d->n++] = id;
    tokenizer_decode(d->t, d->ids, d->n, d->skip_special, &d->text);
    Str now = buf_str(&d->text);
    if (now.len <= d->prefix.len || str_ends(now, S("\xEF\xBF\xBD")))
        return (Str){0};
    size_t grown = d->prefix.len;
    d->n -= d->given;
    memmove(d->ids, d->ids + d->given, d->n * sizeof *d->ids);
    d->given = d->n;
    buf_reset(&d->prefix);
    tokenizer_decode(d->t, d->ids, d->n, d->skip_special, &d->prefix);
    return str_slice(now, grown, now.len);
}

Str decode_stream_finish(DecodeStream *d)
{
    buf_reset(&d->text);
    if (d->t->byte_decoder) {
        buf_add_lossy(&d->text, buf_str(&d->bytes));
        buf_reset(&d->bytes);
        return buf_str(&d->text);
    }
    tokenizer_decode(d->t, d->ids, d->n, d->skip_special, &d->text);
    Str rest = str_slice(buf_str(&d->text), d->prefix.len, SIZE_MAX);
    d->n = d->given = 0;
    buf_reset(&d->prefix);
    return rest;
}
