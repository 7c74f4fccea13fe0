/* grammar_gbnf.c: the notation that llama.cpp's users write:
 *
 *     # a comment
 *     root  ::= "yes" | "no" reason?
 *     reason ::= " because " [a-z ]{1,40} "."
 *
 * A rule ends with its line, unless a group is open, or the next line begins with '|'. */
#include "base/map.h"
#include "text/grammar_internal.h"

enum { MAX_TEXT = 1 << 20 };

typedef struct Gbnf {
    Builder *b;
    Str text;
    size_t at;
    Map rules; // name to its number + 1
} Gbnf;

static void complain(Gbnf *g, const char *what)
{
    int line = 1;
    for (size_t i = 0; i < MIN(g->at, g->text.len); i++)
        line += g->text.ptr[i] == '\n';
    builder_fail(g->b, ERR_INVALID, "line %d: %s", line, what);
    g->at = g->text.len;
}

static char peek(const Gbnf *g)
{
    return g->at < g->text.len ? g->text.ptr[g->at] : 0;
}

static bool accept(Gbnf *g, char c)
{
    if (peek(g) != c || g->at >= g->text.len)
        return false;
    g->at++;
    return true;
}

static void skip_space(Gbnf *g, bool lines)
{
    for (; g->at < g->text.len; g->at++) {
        char c = peek(g);
        if (c == '#')
            while (g->at + 1 < g->text.len && g->text.ptr[g->at + 1] != '\n')
                g->at++;
        else if (c != ' ' && c != '\t' && c != '\r' && !(lines && c == '\n'))
            return;
    }
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static Str read_name(Gbnf *g)
{
    size_t from = g->at;
    while (is_name_char(peek(g)))
        g->at++;
    return str_slice(g->text, from, g->at);
}

static int rule_named(Gbnf *g, Str name)
{
    uintptr_t known = (uintptr_t)map_find(&g->rules, name);
    if (known)
        return (int)known - 1;
    int rule = rule_new(g->b, name);
    map_put(&g->rules, name, (void *)(uintptr_t)(rule + 1));
    return rule;
}

/* ---- Characters ---- */

static int32_t read_hex(Gbnf *g, int digits)
{
    int32_t code = 0;
    for (int i = 0; i < digits; i++, g->at++) {
        char c = peek(g);
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0 || code > 0x10FFFF) {
            complain(g, "an escape needs more hexadecimal digits");
            return 'x';
        }
        code = code << 4 | value;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        complain(g, "an escape that is no character");
        return 'x';
    }
    return code;
}

static int32_t read_char(Gbnf *g)
{
    if (g->at >= g->text.len) {
        complain(g, "the text ends in the middle");
        return 'x';
    }
    if (!accept(g, '\\')) {
        int32_t code = utf8_next(g->text, &g->at);
        if (code < 0)
            complain(g, "not UTF-8");
        return MAX(code, 0);
    }
    char c = peek(g);
    g->at++;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'x':
        return read_hex(g, 2);
    case 'u':
        return read_hex(g, 4);
    case 'U':
        return read_hex(g, 8);
    case '"':
    case '\\':
    case '[':
    case ']':
    case '-':
    case '^':
        return c;
    default:
        complain(g, "an escape that is not known");
        return 'x';
    }
}

static Expr read_text(Gbnf *g)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    while (builder_ok(g->b) && !accept(g, '"'))
        buf_add_utf8(&text, read_char(g));
    return expr_text(g->b, buf_str(&text));
}

static Expr read_class(Gbnf *g)
{
    CharRange *ranges = NULL;
    size_t n = 0, cap = 0;
    bool inverted = accept(g, '^');
    while (builder_ok(g->b) && !accept(g, ']')) {
        if (n + 2 >= cap) { // two more, for the complement
            cap = cap ? 2 * cap : 16;
            ranges = xrealloc(ranges, cap * sizeof *ranges);
        }
        CharRange r = {.from = read_char(g)};
        r.to = r.from;
        if (peek(g) == '-' && str_slice(g->text, g->at + 1, g->at + 2).len &&
            g->text.ptr[g->at + 1] != ']') {
            g->at++;
            r.to = read_char(g);
        }
        if (r.from > r.to)
            complain(g, "a range of characters that runs backwards");
        ranges[n++] = r;
    }
    CharRange *rest = xcalloc(n + 2, sizeof *rest);
    Expr e =
        expr_chars(g->b, inverted ? rest : ranges, inverted ? ranges_invert(ranges, n, rest) : n);
    free(rest);
    free(ranges);
    return e;
}

/* ---- Expressions ---- */

static int64_t read_count(Gbnf *g, int64_t otherwise)
{
    size_t from = g->at;
    int64_t n = otherwise;
    while (peek(g) >= '0' && peek(g) <= '9')
        g->at++;
    if (g->at > from && !str_to_int(str_slice(g->text, from, g->at), 0, INT32_MAX, &n))
        complain(g, "a count that is too large");
    return n;
}

/* What may follow an item: * + ? {m} {m,} {m,n}, one after the other. */
static Expr read_repeats(Gbnf *g, Expr e, bool nested)
{
    for (int i = 0; builder_ok(g->b); i++) {
        skip_space(g, nested);
        if (i == GRAMMAR_MAX_DEPTH)
            complain(g, "too many repetitions of one thing");
        if (accept(g, '*')) {
            e = expr_repeat(g->b, e, 0, -1);
        } else if (accept(g, '+')) {
            e = expr_repeat(g->b, e, 1, -1);
        } else if (accept(g, '?')) {
            e = expr_repeat(g->b, e, 0, 1);
        } else if (accept(g, '{')) {
            skip_space(g, false);
            int64_t min = read_count(g, -1), max = min;
            skip_space(g, false);
            if (accept(g, ',')) {
                skip_space(g, false);
                max = read_count(g, -1);
                min = MAX(min, 0);
            }
            skip_space(g, false);
            if (!accept(g, '}') || min < 0)
                complain(g, "expected {m}, {m,} or {m,n}");
            e = expr_repeat(g->b, e, min, max);
        } else {
            return e;
        }
    }
    return e;
}

static Expr read_choice(Gbnf *g, int depth);

/* -1: there is none. */
static Expr read_item(Gbnf *g, int depth)
{
    if (accept(g, '"'))
        return read_text(g);
    if (accept(g, '['))
        return read_class(g);
    if (accept(g, '.'))
        return expr_chars(g->b, (CharRange[]){{0, 0xD7FF}, {0xE000, 0x10FFFF}}, 2);
    if (accept(g, '(')) {
        Expr e = read_choice(g, depth + 1);
        if (!accept(g, ')'))
            complain(g, "expected ')'");
        return e;
    }
    if (is_name_char(peek(g)))
        return expr_rule(g->b, rule_named(g, read_name(g)));
    return -1;
}

static Expr read_sequence(Gbnf *g, int depth)
{
    Expr list = expr_sequence(g->b);
    while (builder_ok(g->b)) {
        skip_space(g, depth > 0);
        Expr item = read_item(g, depth);
        if (item < 0)
            break;
        expr_add(g->b, list, read_repeats(g, item, depth > 0));
    }
    return list;
}

/* Behind a rule's line: true if the next one goes on with '|'. */
static bool goes_on(Gbnf *g)
{
    size_t at = g->at;
    skip_space(g, true);
    if (peek(g) == '|')
        return true;
    g->at = at;
    return false;
}

static Expr read_choice(Gbnf *g, int depth)
{
    Expr list = expr_choice(g->b);
    if (depth > GRAMMAR_MAX_DEPTH)
        complain(g, "groups are nested too deeply");
    do {
        skip_space(g, true);
        expr_add(g->b, list, read_sequence(g, depth));
        if (depth == 0)
            goes_on(g);
    } while (builder_ok(g->b) && accept(g, '|'));
    return list;
}

static void read_rule(Gbnf *g)
{
    Str name = read_name(g);
    skip_space(g, false);
    if (!name.len || !str_starts(str_slice(g->text, g->at, SIZE_MAX), S("::="))) {
        complain(g, "expected 'name ::= ...'");
        return;
    }
    g->at += 3;
    int rule = rule_named(g, name);
    if (rule_is_set(g->b, rule))
        complain(g, "a rule of this name is there already");
    rule_set(g->b, rule, read_choice(g, 0));
    skip_space(g, false);
    if (g->at < g->text.len && !accept(g, '\n'))
        complain(g, "expected an item, '|' or the end of the line");
}

Grammar *grammar_from_gbnf(Str text, Error *err)
{
    if (text.len > MAX_TEXT)
        return fail(err, ERR_LIMIT, "grammar: %zu bytes, at most %d are allowed", text.len,
                    MAX_TEXT);
    AUTO(builder_free) Builder *b = builder_new();
    Gbnf g = {.b = b, .text = text};
    for (skip_space(&g, true); g.at < text.len; skip_space(&g, true))
        read_rule(&g);
    int root = rule_named(&g, S("root"));
    map_done(&g.rules);
    Grammar *made = builder_finish(b, root, err);
    return made ? made : fail_while(err, "grammar");
}
