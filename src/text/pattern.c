/* pattern.c: what splitting and replacing components look for; see tokenizer_internal.h.
 *
 * Expressions are written for Oniguruma with Ruby's syntax and run by PCRE2's JIT. The differences
 * that occur in tokenizers are translated: \s, \w and \h, intersections in classes, `{n,m}+`
 * (repetition of a repetition there, possessive here), and ^ and $ that mean lines. */
#include "text/tokenizer_internal.h"

#include "text/chars_later.inc"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MAX_REGEX = 1 << 16, MATCH_LIMIT = 2000000 };

#define SPACE_CLASS "\\t-\\r\\x{85}\\p{Z}"
#define WORD_CLASS                                                                                 \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-"         \
    "\\x{1F169}\\x{1F170}-\\x{1F189}" LATER_L LATER_N LATER_M
// Oniguruma has a second table for Latin-1, which classes do not use.
#define WORD_LATIN "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
#define HEX_CLASS "0-9a-fA-F"

/* Where the last atom began in the output, for wrapping it; groups nest. */
typedef struct Translation {
    Str in;
    size_t pos;
    Buf *out;
    size_t atom;
    size_t groups[64];
    int depth;
} Translation;

static void wrap_atom(Translation *t, const char *before)
{
    size_t n = strlen(before);
    if (!buf_reserve(t->out, n))
        return;
    char *at = t->out->ptr + t->atom;
    memmove(at + n, at, t->out->len - t->atom);
    memcpy(at, before, n);
    t->out->len += n;
    t->out->ptr[t->out->len] = 0;
}

/* At a backslash: "\p{L}" and the other large properties, of which PCRE2 may know less. */
static bool translate_property(Translation *t, char letter, bool in_class)
{
    static const struct {
        Str text, later;
    } rows[] = {{S("{L}"), S(LATER_L)},
                {S("{N}"), S(LATER_N)},
                {S("{M}"), S(LATER_M)},
                {S("{P}"), S(LATER_P)},
                {S("{S}"), S(LATER_S)}};
    Str rest = str_slice(t->in, t->pos + 2, t->in.len);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!str_starts(rest, rows[i].text) || (letter != 'p' && (letter != 'P' || in_class)))
            continue;
        buf_add(t->out, in_class ? S("") : letter == 'p' ? S("[") : S("[^"));
        buf_add(t->out, S("\\p"));
        buf_add(t->out, rows[i].text);
        buf_add(t->out, rows[i].later);
        buf_add(t->out, in_class ? S("") : S("]"));
        t->pos += 2 + rows[i].text.len;
        return true;
    }
    return false;
}

/* At a backslash. */
static void translate_escape(Translation *t, bool in_class)
{
    static const struct {
        char letter;
        const char *outside, *inside; // inside NULL: PCRE2's own, which is near enough
    } rows[] = {
        {'s', "[" SPACE_CLASS "]", SPACE_CLASS},
        {'S', "[^" SPACE_CLASS "]", NULL},
        {'w', "[" WORD_CLASS WORD_LATIN "]", WORD_CLASS},
        {'W', "[^" WORD_CLASS WORD_LATIN "]", NULL},
        {'h', "[" HEX_CLASS "]", HEX_CLASS},
        {'H', "[^" HEX_CLASS "]", NULL},
    };
    char letter = t->pos + 1 < t->in.len ? t->in.ptr[t->pos + 1] : 0;
    if (translate_property(t, letter, in_class))
        return;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *text = in_class ? rows[i].inside : rows[i].outside;
        if (rows[i].letter == letter && text) {
            buf_add(t->out, str_of(text));
            t->pos += 2;
            return;
        }
    }
    if (letter == 'u' && t->pos + 6 <= t->in.len) {
        buf_printf(t->out, "\\x{%.4s}", t->in.ptr + t->pos + 2);
        t->pos += 6;
        return;
    }
    size_t n = 2;
    if ((letter == 'p' || letter == 'P' || letter == 'x') && t->pos + 2 < t->in.len &&
        t->in.ptr[t->pos + 2] == '{') {
        size_t close = str_find_char(t->in, '}', t->pos);
        n = close == SIZE_MAX ? t->in.len - t->pos : close + 1 - t->pos;
    }
    buf_add(t->out, str_slice(t->in, t->pos, t->pos + n));
    t->pos += n;
}

/* At a class's opening bracket. `[A&&[^B]]` becomes `(?:(?![B])[A])`, `[A&&[B]]` a positive
 * look-ahead. */
static void translate_class(Translation *t)
{
    t->atom = t->out->len;
    size_t start = t->pos++;
    buf_add_char(t->out, '[');
    if (t->pos < t->in.len && t->in.ptr[t->pos] == '^')
        buf_add_char(t->out, t->in.ptr[t->pos++]);
    if (t->pos < t->in.len && t->in.ptr[t->pos] == ']') {
        buf_add(t->out, S("\\]"));
        t->pos++;
    }
    while (t->pos < t->in.len && t->in.ptr[t->pos] != ']') {
        Str rest = str_slice(t->in, t->pos, t->in.len);
        if (t->in.ptr[t->pos] == '\\') {
            translate_escape(t, true);
        } else if (str_starts(rest, S("&&[")) && t->in.ptr[start + 1] != '^') {
            buf_add_char(t->out, ']');
            bool negated = str_starts(rest, S("&&[^"));
            t->pos += negated ? 4 : 3;
            AUTO_BUF other;
            buf_init(&other, MAX_REGEX);
            buf_add(&other, negated ? S("(?:(?![") : S("(?:(?=["));
            Translation inner = *t;
            inner.out = &other;
            while (inner.pos < t->in.len && t->in.ptr[inner.pos] != ']')
                if (t->in.ptr[inner.pos] == '\\')
                    translate_escape(&inner, true);
                else
                    buf_add_char(&other, t->in.ptr[inner.pos++]);
            buf_add(&other, S("])"));
            wrap_atom(t, other.ptr);
            buf_add_char(t->out, ')');
            t->pos = MIN(inner.pos + 2, t->in.len); // both brackets
            return;
        } else {
            buf_add_char(t->out, t->in.ptr[t->pos++]);
        }
    }
    buf_add_char(t->out, ']');
    t->pos += t->pos < t->in.len;
}

/* At `{`: "{1,3}+" repeats the repetition. */
static void translate_interval(Translation *t)
{
    size_t close = str_find_char(t->in, '}', t->pos);
    Str interval = str_slice(t->in, t->pos, close == SIZE_MAX ? t->in.len : close + 1);
    t->pos += interval.len;
    bool repeated = t->pos < t->in.len && t->in.ptr[t->pos] == '+';
    if (repeated)
        wrap_atom(t, "(?:");
    buf_add(t->out, interval);
    if (repeated)
        buf_add_char(t->out, ')');
}

void regex_translate(Str regex, Buf *out)
{
    Translation t = {.in = regex, .out = out};
    while (t.pos < regex.len) {
        char c = regex.ptr[t.pos];
        if (c == '[') {
            translate_class(&t);
            continue;
        }
        if (c == '{') {
            translate_interval(&t);
            continue;
        }
        if (c == '(' && t.depth < (int)COUNT(t.groups))
            t.groups[t.depth++] = out->len;
        if (c == ')' && t.depth > 0)
            t.atom = t.groups[--t.depth];
        else if (!strchr("*+?|(", c))
            t.atom = out->len;
        if (c == '\\')
            translate_escape(&t, false);
        else
            buf_add_char(out, regex.ptr[t.pos++]);
    }
}

static void code_free(void *code)
{
    pcre2_code_free(code);
}

bool pattern_compile(Pattern *p, Str regex, const char *field, Arena *a, Error *err)
{
    *p = (Pattern){.scan = scanner_find(regex)};
    if (p->scan)
        return true;
    AUTO_BUF translated;
    buf_init(&translated, MAX_REGEX);
    regex_translate(regex, &translated);
    if (!buf_ok(&translated, err))
        return fail_while(err, "%s", field);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    CHECK(context);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code;
    size_t where;
    p->code = pcre2_compile((PCRE2_SPTR)translated.ptr, translated.len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &where, context);
    pcre2_compile_context_free(context);
    if (!p->code) {
        PCRE2_UCHAR reason[128];
        pcre2_get_error_message(code, reason, sizeof reason);
        return fail(err, ERR_UNSUPPORTED, "%s: expression '%.*s': %s", field,
                    (int)MIN(regex.len, 100), regex.ptr, (char *)reason);
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); // without JIT matching is slower, not different
    arena_defer(a, code_free, p->code);
    return true;
}

bool pattern_read(Pattern *p, const json_t *value, const char *field, Arena *a, Error *err)
{
    Str literal = json_str(value, "String"), regex = json_str(value, "Regex");
    if (json_is_string(value))
        literal = (Str){json_string_value(value), json_string_length(value)};
    if (regex.ptr)
        return pattern_compile(p, regex, field, a, err);
    if (literal.len == 0)
        return fail(err, ERR_INVALID, "%s: expected {\"String\": …} or {\"Regex\": …}", field);
    *p = (Pattern){.literal = arena_str(a, literal)};
    return true;
}

Matches matches_of(const Pattern *pattern, Workspace *w, Str text)
{
    return (Matches){.pattern = pattern, .w = w, .text = text, .last = SIZE_MAX};
}

static bool next_literal(Matches *m)
{
    m->from = str_find(m->text, m->pattern->literal, m->pos);
    if (m->from == SIZE_MAX)
        return false;
    m->pos = m->to = m->from + m->pattern->literal.len;
    return true;
}

static bool next_char(Matches *m)
{
    while (m->pos < m->text.len) {
        m->from = m->pos;
        if (m->pattern->test(char_at(m->text.ptr, &m->pos))) {
            m->to = m->pos;
            return true;
        }
    }
    return false;
}

static bool next_regex(Matches *m, Error *err)
{
    Workspace *w = m->w;
    if (!w->match) {
        w->match = pcre2_match_data_create(1, NULL);
        w->context = pcre2_match_context_create(NULL);
        w->jit_stack = pcre2_jit_stack_create(32 << 10, 8 << 20, NULL);
        CHECK(w->match && w->context && w->jit_stack);
        pcre2_set_match_limit(w->context, MATCH_LIMIT);
        pcre2_jit_stack_assign(w->context, NULL, w->jit_stack);
    }
    while (m->pos <= m->text.len) {
        int found = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->text.ptr, m->text.len, m->pos,
                                PCRE2_NO_UTF_CHECK, w->match, w->context);
        if (found == PCRE2_ERROR_NOMATCH)
            return false;
        if (found < 0) {
            m->failed = true;
            return fail(err, ERR_LIMIT, "the tokenizer's expression gave up at byte %zu (%d)",
                        m->pos, found);
        }
        const size_t *span = pcre2_get_ovector_pointer(w->match);
        m->from = span[0];
        m->to = MAX(span[1], span[0]); // \K can put the start behind the end
        if (m->to == m->from && m->to == m->last) {
            m->pos += m->pos < m->text.len ? char_size(m->text.ptr[m->pos]) : 1;
            continue;
        }
        m->pos = m->last = m->to;
        return true;
    }
    return false;
}

bool matches_next(Matches *m, Error *err)
{
    const Pattern *p = m->pattern;
    if (p->scan) {
        if (m->pos >= m->text.len)
            return false;
        m->from = m->pos;
        m->pos = m->to = p->scan(m->text.ptr, m->text.len, m->pos);
        return true;
    }
    if (p->test)
        return next_char(m);
    return p->code ? next_regex(m, err) : next_literal(m);
}
