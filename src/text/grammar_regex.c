/* grammar_regex.c: regular expressions as JSON schemas and clients write them: the common part of
 * ECMAScript's, Python's and Rust's. What they capture does not matter; how greedy they are,
 * neither, since a grammar says only which texts match. */
#include "text/grammar_internal.h"

enum { MAX_PATTERN = 1 << 16, MAX_RANGES = 512 };

typedef struct Regex {
    Builder *b;
    Str text;
    size_t at;
    bool json, search;
} Regex;

/* A set of characters while it is read. */
typedef struct Chars {
    CharRange ranges[MAX_RANGES + 2];
    size_t n;
} Chars;

static void complain(Regex *x, ErrorCode code, const char *what)
{
    builder_fail(x->b, code, "pattern '%.*s': at %zu: %s", (int)MIN(x->text.len, 80), x->text.ptr,
                 x->at, what);
    x->at = x->text.len;
}

static char peek(const Regex *x)
{
    return x->at < x->text.len ? x->text.ptr[x->at] : 0;
}

static bool accept(Regex *x, Str s)
{
    if (!str_starts(str_slice(x->text, x->at, SIZE_MAX), s))
        return false;
    x->at += s.len;
    return true;
}

/* ---- Sets ---- */

static void add_range(Regex *x, Chars *c, int32_t from, int32_t to)
{
    if (c->n == MAX_RANGES)
        complain(x, ERR_LIMIT, "a class with too many characters");
    else
        c->ranges[c->n++] = (CharRange){from, to};
}

static void invert(Chars *c)
{
    CharRange out[MAX_RANGES + 2];
    c->n = ranges_invert(c->ranges, c->n, out);
    memcpy(c->ranges, out, c->n * sizeof *out);
}

/* \d \w \s and their complements; ASCII, as in ECMAScript. */
static bool add_named(Regex *x, Chars *c, char name)
{
    Chars set = {0};
    switch (name | 0x20) {
    case 'd':
        add_range(x, &set, '0', '9');
        break;
    case 'w':
        add_range(x, &set, '0', '9');
        add_range(x, &set, 'A', 'Z');
        add_range(x, &set, '_', '_');
        add_range(x, &set, 'a', 'z');
        break;
    case 's':
        add_range(x, &set, '\t', '\r');
        add_range(x, &set, ' ', ' ');
        break;
    default:
        return false;
    }
    if (!(name & 0x20))
        invert(&set);
    for (size_t i = 0; i < set.n; i++)
        add_range(x, c, set.ranges[i].from, set.ranges[i].to);
    return true;
}

static int32_t read_hex(Regex *x, size_t digits)
{
    int32_t code = 0;
    for (size_t i = 0; i < digits; i++, x->at++) {
        char c = peek(x);
        int value = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (value < 0) {
            complain(x, ERR_INVALID, "an escape needs more hexadecimal digits");
            return 'x';
        }
        code = code << 4 | value;
    }
    return code;
}

/* A character behind a backslash. */
static int32_t read_escape(Regex *x)
{
    static const char letters[] = "nrtfv0", values[] = "\n\r\t\f\v";
    size_t at = x->at;
    char c = peek(x);
    const char *letter = c ? strchr(letters, c) : NULL;
    x->at++;
    if (letter)
        return values[letter - letters];
    if (c == 'x')
        return read_hex(x, 2);
    if (c == 'u' && accept(x, S("{"))) {
        size_t end = str_find_char(x->text, '}', x->at);
        int32_t code = read_hex(x, end == SIZE_MAX || end - x->at > 6 ? 0 : end - x->at);
        if (!accept(x, S("}")) || code > 0x10FFFF)
            complain(x, ERR_INVALID, "expected \\u{...}");
        return code;
    }
    if (c == 'u')
        return read_hex(x, 4);
    bool is_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    x->at = at;
    if (is_letter)
        complain(x, ERR_UNSUPPORTED,
                 c >= '1' && c <= '9' ? "backreferences are not supported"
                                      : "this escape is not supported");
    else if (x->at >= x->text.len)
        complain(x, ERR_INVALID, "the pattern ends behind a backslash");
    int32_t code = x->at < x->text.len ? utf8_next(x->text, &x->at) : 'x';
    return MAX(code, 0);
}

static int32_t read_char(Regex *x)
{
    if (accept(x, S("\\")))
        return read_escape(x);
    int32_t code = x->at < x->text.len ? utf8_next(x->text, &x->at) : -1;
    if (code < 0)
        complain(x, ERR_INVALID, "not UTF-8, or an end that comes too soon");
    return MAX(code, 0);
}

static Expr chars_expr(Regex *x, Chars *c)
{
    if (c->n == 0) {
        complain(x, ERR_INVALID, "a class that nothing is in");
        return expr_sequence(x->b);
    }
    return x->json ? json_char(x->b, c->ranges, c->n) : expr_chars(x->b, c->ranges, c->n);
}

static Expr read_class(Regex *x)
{
    Chars c = {0};
    bool inverted = accept(x, S("^"));
    for (bool first = true; builder_ok(x->b) && (first || !accept(x, S("]"))); first = false) {
        if (peek(x) == '\\' && x->at + 1 < x->text.len &&
            add_named(x, &c, x->text.ptr[x->at + 1])) {
            x->at += 2;
            continue;
        }
        int32_t from = read_char(x), to = from;
        if (peek(x) == '-' && x->at + 1 < x->text.len && x->text.ptr[x->at + 1] != ']') {
            x->at++;
            to = read_char(x);
        }
        if (from > to)
            complain(x, ERR_INVALID, "a range of characters that runs backwards");
        add_range(x, &c, from, to);
    }
    if (inverted)
        invert(&c);
    return chars_expr(x, &c);
}

/* ---- Expressions ---- */

static Expr read_choice(Regex *x, int depth);

static Expr read_group(Regex *x, int depth)
{
    if (accept(x, S("?"))) {
        bool named = accept(x, S("P<")) || (peek(x) == '<' && !accept(x, S("<=")) &&
                                            !accept(x, S("<!")) && accept(x, S("<")));
        if (named) {
            size_t end = str_find_char(x->text, '>', x->at);
            x->at = end == SIZE_MAX ? x->text.len : end + 1;
        } else if (!accept(x, S(":"))) {
            complain(x, ERR_UNSUPPORTED, "lookaround and flags are not supported");
        }
    }
    Expr e = read_choice(x, depth + 1);
    if (!accept(x, S(")")))
        complain(x, ERR_INVALID, "expected ')'");
    return e;
}

static Expr read_atom(Regex *x, int depth)
{
    Chars c = {0};
    if (accept(x, S("(")))
        return read_group(x, depth);
    if (accept(x, S("[")))
        return read_class(x);
    if (accept(x, S("."))) {
        add_range(x, &c, '\n', '\n');
        invert(&c);
        return chars_expr(x, &c);
    }
    if (peek(x) && strchr("*+?^$)", peek(x))) {
        complain(x, peek(x) == '^' || peek(x) == '$' ? ERR_UNSUPPORTED : ERR_INVALID,
                 "does not make sense here");
        return expr_sequence(x->b);
    }
    if (peek(x) == '\\' && x->at + 1 < x->text.len && add_named(x, &c, x->text.ptr[x->at + 1])) {
        x->at += 2;
        return chars_expr(x, &c);
    }
    int32_t code = read_char(x);
    add_range(x, &c, code, code);
    return chars_expr(x, &c);
}

/* {m}, {m,}, {m,n} or {,n}; anything else is no count, and '{' is itself. */
static bool read_count(Regex *x, int64_t *min, int64_t *max)
{
    size_t end = str_find_char(x->text, '}', x->at);
    Str rest = end == SIZE_MAX ? (Str){0} : str_slice(x->text, x->at + 1, end), low = rest;
    size_t comma = str_find_char(rest, ',', 0);
    if (peek(x) != '{' || end == SIZE_MAX)
        return false;
    *min = 0;
    *max = -1;
    if (comma != SIZE_MAX) {
        low = str_slice(rest, 0, comma);
        Str high = str_slice(rest, comma + 1, SIZE_MAX);
        if ((high.len && !str_to_int(high, 0, INT32_MAX, max)) || (!low.len && !high.len))
            return false;
    }
    if (low.len ? !str_to_int(low, 0, INT32_MAX, min) : comma == SIZE_MAX)
        return false;
    if (comma == SIZE_MAX)
        *max = *min;
    x->at = end + 1;
    return true;
}

static Expr read_piece(Regex *x, int depth)
{
    Expr e = read_atom(x, depth);
    int64_t min = 0, max = -1;
    if (accept(x, S("*")))
        e = expr_repeat(x->b, e, 0, -1);
    else if (accept(x, S("+")))
        e = expr_repeat(x->b, e, 1, -1);
    else if (accept(x, S("?")))
        e = expr_repeat(x->b, e, 0, 1);
    else if (read_count(x, &min, &max))
        e = expr_repeat(x->b, e, min, max);
    else
        return e;
    accept(x, S("?")); // lazy: the same texts
    if (peek(x) && strchr("*+", peek(x)))
        complain(x, ERR_UNSUPPORTED, "a repetition of a repetition");
    return e;
}

static void add_anything(Regex *x, Expr list)
{
    Expr any = x->json ? json_char(x->b, NULL, 0)
                       : expr_chars(x->b, (CharRange[]){{0, 0xD7FF}, {0xE000, 0x10FFFF}}, 2);
    if (x->search)
        expr_add(x->b, list, expr_repeat(x->b, any, 0, -1));
}

static bool at_end(Regex *x)
{
    return x->at >= x->text.len || peek(x) == '|' || peek(x) == ')';
}

static Expr read_sequence(Regex *x, int depth)
{
    Expr list = expr_sequence(x->b);
    bool anchored = depth == 0 && (accept(x, S("^")) || accept(x, S("\\A")));
    if (depth == 0 && !anchored)
        add_anything(x, list);
    while (builder_ok(x->b) && !at_end(x)) {
        if (depth == 0 && (accept(x, S("$")) || accept(x, S("\\Z")) || accept(x, S("\\z")))) {
            if (!at_end(x))
                complain(x, ERR_UNSUPPORTED, "'$' inside a pattern");
            return list;
        }
        expr_add(x->b, list, read_piece(x, depth));
    }
    if (depth == 0)
        add_anything(x, list);
    return list;
}

static Expr read_choice(Regex *x, int depth)
{
    Expr list = expr_choice(x->b);
    if (depth > GRAMMAR_MAX_DEPTH)
        complain(x, ERR_LIMIT, "groups are nested too deeply");
    do
        expr_add(x->b, list, read_sequence(x, depth));
    while (builder_ok(x->b) && accept(x, S("|")));
    return list;
}

Expr regex_expr(Builder *b, Str pattern, bool json, bool search)
{
    Regex x = {.b = b, .text = pattern, .json = json, .search = search};
    if (pattern.len > MAX_PATTERN) {
        builder_fail(b, ERR_LIMIT, "a pattern of %zu bytes, at most %d are allowed", pattern.len,
                     MAX_PATTERN);
        return expr_sequence(b);
    }
    Expr e = read_choice(&x, 0);
    if (builder_ok(b) && x.at < pattern.len)
        complain(&x, ERR_INVALID, "a ')' too many");
    return e;
}

Grammar *grammar_from_regex(Str pattern, Error *err)
{
    AUTO(builder_free) Builder *b = builder_new();
    int root = rule_new(b, S("pattern"));
    rule_set(b, root, regex_expr(b, pattern, false, false));
    return builder_finish(b, root, err);
}
