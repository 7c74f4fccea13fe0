/* template_lex.c: template source to tokens.
 *
 * The source is text with {% blocks %}, {{ prints }} and {# comments #}. White space control
 * happens here, on both sides of a tag: `-` strips what is beyond it, `+` keeps what lstrip_blocks
 * or trim_blocks would take. Inside a tag the lexer knows open brackets, so that the "}}" of
 * {{ {"a": {}} }} does not end it. Line ends are made "\n" first. */
#include "base/encode.h"
#include "text/template_internal.h"

typedef struct Lexer {
    Tokens *out;
    Arena *arena;
    Str source;
    size_t pos;
    int line;
    bool line_starting; // the last thing consumed ended a line
    const TemplateOptions *options;
    Error *err;
} Lexer;

bool is_python_space(int32_t code)
{
    return (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x20) || code == 0x85 ||
           code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static void add(Lexer *l, TokenKind kind, int line, Str text)
{
    Tokens *t = l->out;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        Token *grown = NEW_ARRAY(l->arena, Token, cap);
        if (t->n)
            memcpy(grown, t->tokens, t->n * sizeof *grown);
        t->tokens = grown;
        t->cap = cap;
    }
    t->tokens[t->n++] = (Token){.kind = kind, .line = line, .text = text};
}

static char at(const Lexer *l, size_t ahead)
{
    return l->pos + ahead < l->source.len ? l->source.ptr[l->pos + ahead] : 0;
}

static bool looking_at(const Lexer *l, Str text)
{
    return str_starts(str_slice(l->source, l->pos, l->source.len), text);
}

static void advance(Lexer *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        l->line += l->source.ptr[l->pos + i] == '\n';
    l->pos += n;
    if (n)
        l->line_starting = l->source.ptr[l->pos - 1] == '\n';
}

static void skip_space(Lexer *l)
{
    while (l->pos < l->source.len) {
        size_t next = l->pos;
        if (!is_python_space(utf8_next(l->source, &next)))
            return;
        advance(l, next - l->pos);
    }
}

static Str trim_right(Str s)
{
    while (s.len) {
        size_t start = s.len - 1;
        while (start && (s.ptr[start] & 0xC0) == 0x80)
            start--;
        size_t pos = start;
        if (!is_python_space(utf8_next(s, &pos)) || pos != s.len)
            break;
        s.len = start;
    }
    return s;
}

static bool is_blank(Str s)
{
    return trim_right(s).len == 0;
}

/* The text before a tag, without what the tag's sign or lstrip_blocks strips from it. */
static Str strip_before(const Lexer *l, Str text, char sign, bool is_print, bool line_starting)
{
    if (sign == '-')
        return trim_right(text);
    if (sign == '+' || !l->options->lstrip_blocks || is_print)
        return text;
    size_t newline = str_rfind_char(text, '\n');
    size_t line = newline == SIZE_MAX ? 0 : newline + 1;
    if ((line > 0 || line_starting) && is_blank(str_slice(text, line, text.len)))
        text.len = line;
    return text;
}

/* Takes the end of a block or comment, "%}" with its sign, if it is here. */
static bool take_end(Lexer *l, const char *end, bool trims)
{
    char sign = at(l, 0) == '-' || at(l, 0) == '+' ? at(l, 0) : 0;
    size_t n = sign ? 1 : 0;
    if (at(l, n) != end[0] || at(l, n + 1) != end[1] || (sign == '+' && end[0] == '}'))
        return false;
    advance(l, n + 2);
    if (sign == '-')
        skip_space(l);
    else if (!sign && trims && at(l, 0) == '\n')
        advance(l, 1);
    return true;
}

static bool lex_comment(Lexer *l)
{
    int line = l->line;
    size_t end = str_find(l->source, S("#}"), l->pos);
    if (end == SIZE_MAX)
        return fail(l->err, ERR_INVALID, "line %d: the comment does not end", line);
    if (end > l->pos && strchr("-+", l->source.ptr[end - 1]))
        end--;
    advance(l, end - l->pos);
    return take_end(l, "#}", l->options->trim_blocks) ||
           fail(l->err, ERR_INVALID, "line %d: the comment does not end", line);
}

/* The position behind `word` and spaces, if it stands at pos; else 0. */
static size_t word_at(Str s, size_t pos, Str word)
{
    while (pos < s.len && strchr(" \t\n", s.ptr[pos]))
        pos++;
    if (!str_starts(str_slice(s, pos, s.len), word))
        return 0;
    pos += word.len;
    while (pos < s.len && strchr(" \t\n", s.ptr[pos]))
        pos++;
    return pos;
}

/* {% raw %}: text to its {% endraw %} as it is. False without an error if this is no raw block. */
static bool lex_raw(Lexer *l)
{
    size_t sign = at(l, 2) == '-' || at(l, 2) == '+' ? 1 : 0;
    size_t behind = word_at(l->source, l->pos + 2 + sign, S("raw"));
    if (!behind)
        return false;
    bool minus = behind < l->source.len && l->source.ptr[behind] == '-';
    if (!str_starts(str_slice(l->source, behind + minus, l->source.len), S("%}")))
        return false;
    int line = l->line;
    advance(l, behind + minus + 2 - l->pos);
    if (minus)
        skip_space(l);
    bool line_starting = l->line_starting;
    size_t start = l->pos;
    for (size_t tag = l->pos; (tag = str_find(l->source, S("{%"), tag)) != SIZE_MAX; tag += 2) {
        char mark = tag + 2 < l->source.len ? l->source.ptr[tag + 2] : 0;
        mark = mark == '-' || mark == '+' ? mark : 0;
        size_t end = word_at(l->source, tag + 2 + (mark ? 1 : 0), S("endraw"));
        if (!end)
            continue;
        Str text = str_slice(l->source, start, tag);
        advance(l, end - l->pos);
        if (!take_end(l, "%}", l->options->trim_blocks))
            break;
        text = strip_before(l, text, mark, false, line_starting);
        if (text.len)
            add(l, TOKEN_DATA, line, text);
        return true;
    }
    return fail(l->err, ERR_INVALID, "line %d: no {%% endraw %%} for {%% raw %%}", line);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits of a base with single underscores between them; how many bytes from pos on. */
static size_t digits_at(const Lexer *l, size_t from, const char *digits)
{
    size_t n = 0;
    while (at(l, from + n) && (strchr(digits, at(l, from + n)) ||
                               (n && at(l, from + n) == '_' && at(l, from + n + 1) &&
                                strchr(digits, at(l, from + n + 1)))))
        n++;
    return n;
}

static Str without_underscores(Lexer *l, size_t n)
{
    char *copy = arena_alloc(l->arena, n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        if (at(l, i) != '_')
            copy[len++] = at(l, i);
    return (Str){copy, len};
}

static void lex_number(Lexer *l)
{
    static const char *const decimal = "0123456789";
    char base = (char)(at(l, 1) | 0x20);
    const char *digits = base == 'x'   ? "0123456789abcdefABCDEF"
                         : base == 'o' ? "01234567"
                         : base == 'b' ? "01"
                                       : NULL;
    size_t n = at(l, 0) == '0' && digits ? digits_at(l, 2, digits) : 0;
    TokenKind kind = TOKEN_INT;
    if (n) {
        n += 2;
    } else {
        n = digits_at(l, 0, decimal);
        size_t fraction = at(l, n) == '.' ? digits_at(l, n + 1, decimal) : 0;
        size_t end = fraction ? n + 1 + fraction : n;
        size_t sign = (at(l, end) | 0x20) == 'e' && strchr("+-", at(l, end + 1)) && at(l, end + 1);
        size_t exponent = (at(l, end) | 0x20) == 'e' ? digits_at(l, end + 1 + sign, decimal) : 0;
        if (exponent)
            end += 1 + sign + exponent;
        if (end > n)
            kind = TOKEN_FLOAT;
        n = end;
    }
    add(l, kind, l->line, without_underscores(l, n));
    advance(l, n);
}

/* \x41, \u0041, \U00000041 and octal; the position behind, or `pos` if it is none of these. */
static size_t unescape_code(Str s, size_t pos, Buf *out)
{
    char kind = s.ptr[pos];
    size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    int64_t code = 0;
    size_t end = pos;
    if (digits) {
        if (s.len - pos - 1 < digits)
            return pos;
        for (end = pos + 1; end < pos + 1 + digits; end++) {
            uint8_t nibble;
            char pair[2] = {'0', s.ptr[end]};
            if (!hex_decode((Str){pair, 2}, &nibble, 1))
                return pos;
            code = code << 4 | nibble;
        }
    } else {
        for (; end < s.len && end < pos + 3 && s.ptr[end] >= '0' && s.ptr[end] <= '7'; end++)
            code = code << 3 | (s.ptr[end] - '0');
        if (end == pos)
            return pos;
    }
    bool scalar = code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
    buf_add_utf8(out, scalar ? (int32_t)code : 0xFFFD);
    return end;
}

static Str unescape(Lexer *l, Str s)
{
    if (str_find_char(s, '\\', 0) == SIZE_MAX)
        return s;
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < s.len;) {
        if (s.ptr[i] != '\\' || i + 1 == s.len) {
            buf_add_char(&out, s.ptr[i++]);
            continue;
        }
        static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
        char c = s.ptr[i + 1];
        const char *simple = c ? strchr(from, c) : NULL;
        size_t behind;
        if (c == '\n') {
            i += 2;
        } else if (simple) {
            buf_add_char(&out, to[simple - from]);
            i += 2;
        } else if ((behind = unescape_code(s, i + 1, &out)) != i + 1) {
            i = behind;
        } else {
            buf_add_char(&out, '\\'); // Python keeps the backslash of an unknown escape
            i++;
        }
    }
    return arena_str(l->arena, buf_str(&out));
}

static bool lex_string(Lexer *l)
{
    char quote = at(l, 0);
    size_t n = 1;
    while (at(l, n) != quote) {
        if (l->pos + n >= l->source.len)
            return fail(l->err, ERR_INVALID, "line %d: the string does not end", l->line);
        n += at(l, n) == '\\' ? 2 : 1;
    }
    add(l, TOKEN_STRING, l->line, unescape(l, str_slice(l->source, l->pos + 1, l->pos + n)));
    advance(l, n + 1);
    return true;
}

static bool lex_operator(Lexer *l, char *open, size_t *n_open)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < COUNT(operators); i++) {
        Str op = str_of(operators[i]);
        if (!looking_at(l, op))
            continue;
        char c = op.ptr[0];
        if (strchr("([{", c)) {
            if (*n_open == MAX_NESTING)
                return fail(l->err, ERR_LIMIT, "line %d: brackets nest too deep", l->line);
            open[(*n_open)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (strchr(")]}", c)) {
            if (*n_open == 0 || open[*n_open - 1] != c)
                return fail(l->err, ERR_INVALID, "line %d: unexpected '%c'", l->line, c);
            --*n_open;
        }
        add(l, TOKEN_OPERATOR, l->line, op);
        advance(l, op.len);
        return true;
    }
    return fail(l->err, ERR_INVALID, "line %d: unexpected character '%.*s'", l->line, 1,
                l->source.ptr + l->pos);
}

/* What lies between the ends of a tag. */
static bool lex_tag(Lexer *l, bool is_print)
{
    char open[MAX_NESTING];
    size_t n_open = 0;
    int line = l->line;
    for (;;) {
        skip_space(l);
        if (l->pos >= l->source.len)
            return fail(l->err, ERR_INVALID, "line %d: the tag does not end", line);
        if (n_open == 0 &&
            take_end(l, is_print ? "}}" : "%}", !is_print && l->options->trim_blocks)) {
            add(l, is_print ? TOKEN_PRINT_END : TOKEN_BLOCK_END, l->line, (Str){0});
            return true;
        }
        char c = at(l, 0);
        if (is_digit(c)) {
            lex_number(l);
        } else if (is_name_byte(c)) {
            size_t n = 1;
            while (is_name_byte(at(l, n)))
                n++;
            add(l, TOKEN_NAME, l->line, str_slice(l->source, l->pos, l->pos + n));
            advance(l, n);
        } else if (c == '"' || c == '\'') {
            if (!lex_string(l))
                return false;
        } else if (!lex_operator(l, open, &n_open)) {
            return false;
        }
    }
}

/* The next {{, {% or {#, or the end. */
static size_t find_tag(Str s, size_t pos)
{
    for (; (pos = str_find_char(s, '{', pos)) != SIZE_MAX; pos++)
        if (pos + 1 < s.len && strchr("{%#", s.ptr[pos + 1]) && s.ptr[pos + 1])
            return pos;
    return s.len;
}

static bool lex_piece(Lexer *l)
{
    size_t tag = find_tag(l->source, l->pos);
    Str text = str_slice(l->source, l->pos, tag);
    int line = l->line;
    bool line_starting = l->line_starting;
    advance(l, tag - l->pos);
    if (tag == l->source.len) {
        if (text.len)
            add(l, TOKEN_DATA, line, text);
        return true;
    }
    char kind = at(l, 1), sign = at(l, 2) == '-' || at(l, 2) == '+' ? at(l, 2) : 0;
    text = strip_before(l, text, sign, kind == '{', line_starting);
    if (text.len)
        add(l, TOKEN_DATA, line, text);
    Error *err = l->err;
    if (kind == '%') {
        Error raw_error = {0};
        l->err = &raw_error;
        bool raw = lex_raw(l);
        l->err = err;
        if (raw)
            return true;
        if (raw_error.code) {
            if (err)
                *err = raw_error;
            return false;
        }
    }
    if (kind != '#')
        add(l, kind == '{' ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, l->line, (Str){0});
    advance(l, sign ? 3 : 2);
    return kind == '#' ? lex_comment(l) : lex_tag(l, kind == '{');
}

/* Line ends as "\n", without the last one unless it is kept. */
static Str clean_source(Arena *a, Str source, bool keep_trailing_newline)
{
    char *copy = arena_alloc(a, source.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < source.len; i++) {
        if (source.ptr[i] == '\r') {
            copy[n++] = '\n';
            i += i + 1 < source.len && source.ptr[i + 1] == '\n';
        } else {
            copy[n++] = source.ptr[i];
        }
    }
    if (!keep_trailing_newline && n && copy[n - 1] == '\n')
        n--;
    return (Str){copy, n};
}

bool template_lex(Tokens *out, Arena *a, Str source, const TemplateOptions *options, Error *err)
{
    Lexer l = {.out = out, .arena = a, .line = 1, .line_starting = true, .options = options};
    l.err = err;
    l.source = clean_source(a, source, options->keep_trailing_newline);
    while (l.pos < l.source.len)
        if (!lex_piece(&l))
            return false;
    add(&l, TOKEN_END, l.line, (Str){0});
    return true;
}
