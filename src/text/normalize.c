/* normalize.c: the normalizers of tokenizer.json, one row of `kinds` each.
 *
 * Each rewrites a piece as a list of Changes, so that spans survive; the rules of who inherits
 * whose span are those of tokenizers' normalizers. Text that a normalizer would leave alone (most
 * are idle on ASCII) is not rewritten. */
#include "text/tokenizer_internal.h"

#include "base/encode.h"

#include <utf8proc.h>

/* Begins a rewriting; the list is the workspace's own. */
static Changes *changes_start(Workspace *w)
{
    w->changes.n = w->changes.dropped = 0;
    return &w->changes;
}

/* Drops the characters for which `drops` is true. */
static void filter(Workspace *w, Piece *p, CharTest *drops)
{
    Changes *c = changes_start(w);
    for (size_t pos = 0; pos < p->len;) {
        int32_t code = char_at(p->text, &pos);
        if (!drops(code))
            change_push(c, code, 0);
        else
            c->dropped++;
    }
    if (c->n < p->len) // as many characters as bytes: ASCII, and nothing was dropped
        piece_transform(w, p, c);
}

static void map_chars(Workspace *w, Piece *p, int32_t (*map)(int32_t code))
{
    Changes *c = changes_start(w);
    for (size_t pos = 0; pos < p->len;)
        change_push(c, map(char_at(p->text, &pos)), 0);
    piece_transform(w, p, c);
}

static bool lowercase(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    Changes *c = changes_start(w);
    bool changed = false;
    for (size_t pos = 0; pos < p->len;) {
        int32_t code = char_at(p->text, &pos), lower = code;
        if (code < 128)
            lower = code >= 'A' && code <= 'Z' ? code | 0x20 : code;
        else
            lower = code == 0x130 ? 'i' : char_lower(code);
        changed |= lower != code;
        change_push(c, lower, 0);
        if (code == 0x130) // the one letter whose lower case is two characters
            change_push(c, 0x307, 1);
    }
    if (changed)
        piece_transform(w, p, c);
    return true;
}

/* ---- Unicode normalization forms ---- */

/* Stable: marks of one class keep their order. */
static void sort_marks(Change *marks, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && mark_order(marks[k - 1].code) > mark_order(marks[k].code);
             k--) {
            Change swap = marks[k];
            marks[k] = marks[k - 1];
            marks[k - 1] = swap;
        }
}

enum { MAX_DECOMPOSED = 32, MAX_MARKS = 256 };

/* A run of marks longer than this is sorted in parts: no text has one, and sorting is quadratic. */
static void decompose(Piece *p, Changes *c, bool compatible)
{
    size_t marks = 0; // at the end of c, not sorted yet
    for (size_t pos = 0; pos < p->len;) {
        int32_t code = char_at(p->text, &pos), parts[MAX_DECOMPOSED];
        int boundary = UTF8PROC_BOUNDCLASS_START;
        utf8proc_ssize_t n =
            code < 128 || !is_decomposed(code)
                ? 0
                : utf8proc_decompose_char(code, parts, MAX_DECOMPOSED,
                                          UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0),
                                          &boundary);
        if (n < 1 || n > MAX_DECOMPOSED) {
            parts[0] = code;
            n = 1;
        }
        for (utf8proc_ssize_t i = 0; i < n; i++) {
            if (mark_order(parts[i]) == 0 || marks == MAX_MARKS) {
                sort_marks(c->items + c->n - marks, marks);
                marks = 0;
            }
            marks += mark_order(parts[i]) != 0;
            change_push(c, parts[i], i > 0);
        }
    }
    sort_marks(c->items + c->n - marks, marks);
}

/* The character that a and b compose to, or -1. */
static int32_t compose_pair(int32_t a, int32_t b)
{
    if (b < 0x300)
        return -1;
    int32_t pair[2] = {a, b};
    utf8proc_ssize_t n = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return n == 1 ? pair[0] : -1;
}

/* Composes in place, by the algorithm of Unicode Standard Annex 15. */
static void compose(Changes *c)
{
    size_t out = 0, starter = SIZE_MAX;
    int last_class = 0;
    for (size_t i = 0; i < c->n; i++) {
        Change next = c->items[i];
        int class = mark_order(next.code);
        bool adjacent = starter != SIZE_MAX && out == starter + 1;
        if (starter != SIZE_MAX && (adjacent || last_class < class)) {
            int32_t composed = compose_pair(c->items[starter].code, next.code);
            if (composed >= 0) {
                c->items[starter].code = composed;
                c->items[starter].change += next.change - 1;
                continue;
            }
        }
        if (class == 0)
            starter = out;
        last_class = class;
        c->items[out++] = next;
    }
    c->n = out;
}

static bool unicode_form(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    if (piece_is_ascii(p))
        return true;
    Changes *c = changes_start(w);
    decompose(p, c, n->compatible);
    if (n->compose)
        compose(c);
    piece_transform(w, p, c);
    return true;
}

static bool strip_accents(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    if (!piece_is_ascii(p))
        filter(w, p, is_mark);
    return true;
}

/* ---- BertNormalizer and Nmt ---- */

static bool bert_drops(int32_t code)
{
    return code == 0 || code == 0xFFFD || is_control(code);
}

static int32_t space_to_blank(int32_t code)
{
    return is_space(code) ? ' ' : code;
}

static void pad_chinese(Workspace *w, Piece *p)
{
    Changes *c = changes_start(w);
    for (size_t pos = 0; pos < p->len;) {
        int32_t code = char_at(p->text, &pos);
        bool pad = is_chinese(code);
        if (pad)
            change_push(c, ' ', 0);
        change_push(c, code, pad);
        if (pad)
            change_push(c, ' ', 1);
    }
    piece_transform(w, p, c);
}

static bool bert(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    if (n->clean) {
        filter(w, p, bert_drops);
        map_chars(w, p, space_to_blank);
    }
    bool ascii = piece_is_ascii(p);
    if (n->chinese && !ascii)
        pad_chinese(w, p);
    if (n->accents && !ascii) {
        Normalizer nfd = {0};
        unicode_form(&nfd, w, p, NULL);
        filter(w, p, is_mark_nonspacing);
    }
    return n->lower ? lowercase(n, w, p, err) : true;
}

static bool nmt_drops(int32_t code)
{
    return (code >= 1 && code <= 8) || code == 0xB || (code >= 0xE && code <= 0x1F) ||
           code == 0x7F || code == 0x8F || code == 0x9F;
}

static int32_t nmt_map(int32_t code)
{
    bool blank = code == 9 || code == 0xA || code == 0xC || code == 0xD || code == 0x1680 ||
                 (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 ||
                 code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
    return blank ? ' ' : code;
}

static bool nmt(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    filter(w, p, nmt_drops);
    map_chars(w, p, nmt_map);
    return true;
}

/* ---- Strip, Prepend, Replace, ByteLevel ---- */

static bool strip(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    size_t from = 0, to = p->len;
    while (n->left && from < to) {
        size_t next = from;
        if (!is_space(char_at(p->text, &next)))
            break;
        from = next;
    }
    while (n->right && to > from) {
        size_t next = to;
        if (!is_space(char_before(p->text, &next)))
            break;
        to = next;
    }
    *p = piece_slice(p, from, to);
    return true;
}

static bool prepend(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    piece_prepend(w, p, n->text);
    return true;
}

/* Every character put in stands for the last one taken out. */
static bool replace(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    Changes *c = changes_start(w);
    Matches m = matches_of(&n->pattern, w, (Str){p->text, p->len});
    size_t done = 0;
    while (matches_next(&m, err)) {
        while (done < m.from)
            change_push(c, char_at(p->text, &done), 0);
        for (; done < m.to; c->dropped++)
            char_at(p->text, &done);
        for (size_t pos = 0; pos < n->text.len;)
            change_push(c, char_at(n->text.ptr, &pos), 1);
    }
    if (m.failed)
        return fail_while(err, "normalizer");
    if (m.last == SIZE_MAX && m.pos == 0)
        return true;
    while (done < p->len)
        change_push(c, char_at(p->text, &done), 0);
    piece_transform(w, p, c);
    return true;
}

static bool byte_level(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    Changes *c = changes_start(w);
    for (size_t i = 0; i < p->len; i++)
        change_push(c, byte_to_char((uint8_t)p->text[i]), (p->text[i] & 0xC0) == 0x80);
    piece_transform(w, p, c);
    return true;
}

/* ---- Precompiled: sentencepiece's table of replacements ---- */

/* The replacement of the shortest beginning of `key` that has one; false if none has. The table is
 * a double array: a unit holds a label, a leaf bit and the offset of its children. */
static bool charsmap_find(const Normalizer *n, Str key, Str *replacement)
{
    size_t node = 0;
    uint32_t unit = n->trie[0];
    for (size_t i = 0;; i++) {
        node ^= (size_t)(unit >> 10) << ((unit & 1 << 9) >> 6);
        if (i > 0 && unit >> 8 & 1) {
            if (node >= n->trie_n)
                return false;
            size_t from = n->trie[node] & 0x7FFFFFFF;
            if (from > n->replacements.len)
                return false;
            *replacement =
                str_slice(n->replacements, from, str_find_char(n->replacements, 0, from));
            return true;
        }
        if (i == key.len || key.ptr[i] == 0)
            return false;
        node ^= (uint8_t)key.ptr[i];
        if (node >= n->trie_n)
            return false;
        unit = n->trie[node];
        if ((unit & 0x800000FF) != (uint8_t)key.ptr[i])
            return false;
    }
}

static size_t count_chars(Str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}

static void put_replacement(Changes *c, Str old, Str new)
{
    size_t first = c->n, was = count_chars(old), is = count_chars(new);
    for (size_t pos = 0; pos < new.len;)
        change_push(c, char_at(new.ptr, &pos), c->n - first >= was);
    if (is < was && c->n)
        c->items[c->n - 1].change -= (int32_t)(was - is);
}

static size_t grapheme_end(Str s, size_t pos)
{
    int32_t code = char_at(s.ptr, &pos), state = 0;
    while (pos < s.len) {
        size_t next = pos;
        int32_t after = char_at(s.ptr, &next);
        if (utf8proc_grapheme_break_stateful(code, after, &state))
            break;
        code = after;
        pos = next;
    }
    return pos;
}

/* Short graphemes are replaced whole, the characters of longer ones one by one. */
static bool precompiled(const Normalizer *n, Workspace *w, Piece *p, Error *err)
{
    Changes *c = changes_start(w);
    Str s = {p->text, p->len}, new;
    bool changed = false;
    for (size_t pos = 0; pos < s.len;) {
        size_t end = grapheme_end(s, pos);
        Str grapheme = str_slice(s, pos, end);
        if (grapheme.len < 6 && charsmap_find(n, grapheme, &new)) {
            put_replacement(c, grapheme, new);
            changed = true;
            pos = end;
            continue;
        }
        while (pos < end) {
            Str part = str_slice(s, pos, pos + char_size(s.ptr[pos]));
            if (charsmap_find(n, part, &new)) {
                put_replacement(c, part, new);
                changed = true;
                pos += part.len;
            } else {
                change_push(c, char_at(s.ptr, &pos), 0);
            }
        }
    }
    if (changed)
        piece_transform(w, p, c);
    return true;
}

static bool read_charsmap(Normalizer *n, const json_t *value, Arena *a, Error *err)
{
    AUTO_BUF bytes;
    buf_init(&bytes, 16 << 20);
    if (!base64_decode(&bytes, json_str(value, "precompiled_charsmap"), err))
        return fail_while(err, "precompiled_charsmap");
    Reader r = reader_of(bytes.ptr, bytes.len, "precompiled_charsmap");
    uint32_t size = reader_u32(&r);
    if (size < 4 || size % 4)
        reader_fail(&r, ERR_INVALID, "table of %u bytes", size);
    const void *trie = reader_bytes(&r, size);
    if (!reader_ok(&r, err))
        return false;
    Str replacements = {bytes.ptr + r.pos, reader_left(&r)};
    if (!str_is_utf8(replacements))
        return fail(err, ERR_INVALID, "precompiled_charsmap: a replacement is not UTF-8");
    n->trie = arena_copy(a, trie, size);
    n->trie_n = size / 4;
    n->replacements = arena_str(a, replacements);
    return true;
}

/* ---- Reading and running ---- */

static bool read_bert(Normalizer *n, const json_t *value, Arena *a, Error *err)
{
    n->clean = json_flag(value, "clean_text", true);
    n->chinese = json_flag(value, "handle_chinese_chars", true);
    n->lower = json_flag(value, "lowercase", true);
    n->accents = json_flag(value, "strip_accents", n->lower);
    return true;
}

static bool read_strip(Normalizer *n, const json_t *value, Arena *a, Error *err)
{
    n->left = json_flag(value, "strip_left", true);
    n->right = json_flag(value, "strip_right", true);
    return true;
}

static bool read_prepend(Normalizer *n, const json_t *value, Arena *a, Error *err)
{
    n->text = arena_str(a, json_str(value, "prepend"));
    return true;
}

static bool read_replace(Normalizer *n, const json_t *value, Arena *a, Error *err)
{
    n->text = arena_str(a, json_str(value, "content"));
    return pattern_read(&n->pattern, json_object_get(value, "pattern"), "pattern", a, err);
}

static const struct {
    const char *type;
    bool (*apply)(const Normalizer *n, Workspace *w, Piece *p, Error *err);
    bool (*read)(Normalizer *n, const json_t *value, Arena *a, Error *err);
    Normalizer preset;
} kinds[] = {
    {"BertNormalizer", bert, read_bert},
    {"Strip", strip, read_strip},
    {"StripAccents", strip_accents, NULL},
    {"NFC", unicode_form, NULL, {.compose = true}},
    {"NFD", unicode_form, NULL},
    {"NFKC", unicode_form, NULL, {.compose = true, .compatible = true}},
    {"NFKD", unicode_form, NULL, {.compatible = true}},
    {"Lowercase", lowercase, NULL},
    {"Nmt", nmt, NULL},
    {"Precompiled", precompiled, read_charsmap},
    {"Replace", replace, read_replace},
    {"Prepend", prepend, read_prepend},
    {"ByteLevel", byte_level, NULL},
};

static bool read_one(Tokenizer *t, const json_t *value, Error *err)
{
    const char *type = json_text(value, "type", "?");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        Normalizer *n = &t->normalizers[t->normalizers_n];
        *n = kinds[i].preset;
        n->apply = kinds[i].apply;
        if (kinds[i].read && !kinds[i].read(n, value, t->arena, err))
            return fail_while(err, "%s", type);
        t->normalizers_n++;
        return true;
    }
    return fail(err, ERR_UNSUPPORTED, "there is no type '%s'", type);
}

bool normalizers_read(Tokenizer *t, const json_t *value, Error *err)
{
    const json_t *list[MAX_COMPONENTS];
    size_t n;
    if (!components_list(value, "normalizers", list, &n, err))
        return fail_while(err, "normalizer");
    t->normalizers = NEW_ARRAY(t->arena, Normalizer, n);
    for (size_t i = 0; i < n; i++)
        if (!read_one(t, list[i], err))
            return fail_while(err, "normalizer");
    return true;
}

bool normalize(const Tokenizer *t, Workspace *w, Piece *p, Error *err)
{
    for (size_t i = 0; i < t->normalizers_n && p->len; i++)
        if (!t->normalizers[i].apply(&t->normalizers[i], w, p, err))
            return false;
    if (p->align && p->len)
        p->origin = p->align[0].start;
    return true;
}

bool normalizer_is_bert(const Tokenizer *t)
{
    return t->normalizers_n == 1 && t->normalizers[0].apply == bert;
}

void normalizer_set_spaces(Tokenizer *t, bool prepends)
{
    t->normalizers = NEW_ARRAY(t->arena, Normalizer, 2);
    if (prepends)
        t->normalizers[t->normalizers_n++] =
            (Normalizer){.apply = prepend, .text = S("\xE2\x96\x81")};
    t->normalizers[t->normalizers_n++] =
        (Normalizer){.apply = replace, .pattern.literal = S(" "), .text = S("\xE2\x96\x81")};
}
