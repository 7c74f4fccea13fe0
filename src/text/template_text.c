/* template_text.c: Python's string operations for templates. Positions and widths count code
 * points; classes and case follow Unicode through utf8proc. */
#include "text/template_internal.h"

#include <math.h>
#include <utf8proc.h>

/* Case */

/* The sharp s is the one letter of everyday text whose upper case is two. */
static void add_upper(Buf *out, int32_t code, bool title)
{
    if (code == 0xDF)
        buf_add(out, title ? S("Ss") : S("SS"));
    else
        buf_add_utf8(out, title ? utf8proc_totitle(code) : utf8proc_toupper(code));
}

static bool is_cased(int32_t code)
{
    utf8proc_category_t c = utf8proc_category(code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

static void add_cased(Buf *out, int32_t code, TextCase to, bool first, bool starts_word)
{
    bool title = (to == CASE_CAPITALIZE && first) || (to == CASE_TITLE && starts_word);
    bool upper =
        to == CASE_UPPER || (to == CASE_SWAP && utf8proc_category(code) == UTF8PROC_CATEGORY_LL);
    if (title || upper)
        add_upper(out, code, title);
    else
        buf_add_utf8(out, utf8proc_tolower(code));
}

Value text_case(Render *r, Str s, TextCase to)
{
    if (!render_room(r, s.len * 2))
        return undefined();
    AUTO_BUF out;
    buf_init(&out, 0);
    bool in_word = false;
    for (size_t pos = 0; pos < s.len;) {
        size_t start = pos;
        int32_t code = utf8_next(s, &pos);
        if (code < 0)
            buf_add(&out, str_slice(s, start, pos));
        else
            add_cased(&out, code, to, start == 0, !in_word);
        in_word = code >= 0 && is_cased(code);
    }
    return value_copy(r, buf_str(&out));
}

static bool is_of_class(int32_t code, char class)
{
    utf8proc_category_t c = utf8proc_category(code);
    bool letter = c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
    switch (class) {
    case 'a':
        return letter;
    case 'd':
        return c == UTF8PROC_CATEGORY_ND;
    case 'n':
        return letter || c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL ||
               c == UTF8PROC_CATEGORY_NO;
    case 's':
        return is_python_space(code);
    case 'l':
        return c != UTF8PROC_CATEGORY_LU && c != UTF8PROC_CATEGORY_LT;
    case 'u':
        return c != UTF8PROC_CATEGORY_LL && c != UTF8PROC_CATEGORY_LT;
    }
    return false;
}

bool text_is(Render *r, Str s, char class)
{
    bool seen = false;
    if (!render_work(r, s.len / 8))
        return false;
    for (size_t pos = 0; pos < s.len;) {
        int32_t code = utf8_next(s, &pos);
        if (code < 0 || !is_of_class(code, class))
            return false;
        seen = seen || (class != 'l' && class != 'u') || is_cased(code);
    }
    return seen;
}

/* Stripping */

static bool has_char(Str chars, int32_t code)
{
    if (!chars.ptr)
        return is_python_space(code);
    for (size_t pos = 0; pos < chars.len;)
        if (utf8_next(chars, &pos) == code)
            return true;
    return false;
}

Str text_strip(Str s, Str chars, TextSide side)
{
    while (side & SIDE_LEFT && s.len) {
        size_t pos = 0;
        if (!has_char(chars, utf8_next(s, &pos)))
            break;
        s = str_slice(s, pos, s.len);
    }
    while (side & SIDE_RIGHT && s.len) {
        size_t start = s.len - 1;
        while (start && (s.ptr[start] & 0xC0) == 0x80)
            start--;
        size_t pos = start;
        if (!has_char(chars, utf8_next(s, &pos)))
            break;
        s.len = start;
    }
    return s;
}

/* Splitting */

static void list_reverse(List *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        Value v = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = v;
    }
}

static size_t find_last(Render *r, Str s, Str needle)
{
    for (size_t i = s.len - MIN(needle.len, s.len) + 1; i-- > 0 && render_work(r, needle.len / 64);)
        if (str_eq(str_slice(s, i, i + needle.len), needle))
            return i;
    return SIZE_MAX;
}

static List *split_right(Render *r, Str s, Str separator, int64_t limit)
{
    List *l = list_new(r, 0);
    while (limit-- != 0 && render_work(r, 1)) {
        size_t at = s.len >= separator.len ? find_last(r, s, separator) : SIZE_MAX;
        if (at == SIZE_MAX)
            break;
        list_add(r, l, value_str(str_slice(s, at + separator.len, s.len)));
        s.len = at;
    }
    list_add(r, l, value_str(s));
    list_reverse(l);
    return l;
}

static size_t word_end(Str s)
{
    for (size_t pos = 0; pos < s.len;) {
        size_t start = pos;
        if (is_python_space(utf8_next(s, &pos)))
            return start;
    }
    return s.len;
}

static size_t word_start(Str s)
{
    size_t start = s.len;
    for (size_t pos = 0; pos < s.len;)
        if (is_python_space(utf8_next(s, &pos)))
            start = pos;
    return start == s.len && s.len ? 0 : start;
}

/* Words; with a limit the rest stays as it is, but for white space where it was cut. */
static List *split_words(Render *r, Str s, int64_t limit, bool from_right)
{
    static const Str space = {NULL, 0};
    List *l = list_new(r, 0);
    s = text_strip(s, space, from_right ? SIDE_RIGHT : SIDE_LEFT);
    while (s.len && render_work(r, 1)) {
        if (limit-- == 0) {
            list_add(r, l, value_str(s));
            break;
        }
        if (from_right) {
            size_t start = word_start(s);
            list_add(r, l, value_str(str_slice(s, start, s.len)));
            s = text_strip(str_slice(s, 0, start), space, SIDE_RIGHT);
        } else {
            size_t end = word_end(s);
            list_add(r, l, value_str(str_slice(s, 0, end)));
            s = text_strip(str_slice(s, end, s.len), space, SIDE_LEFT);
        }
    }
    if (from_right)
        list_reverse(l);
    return l;
}

List *text_split(Render *r, Str s, Str separator, int64_t limit, bool from_right)
{
    render_work(r, s.len / 16);
    if (!separator.ptr)
        return split_words(r, s, limit, from_right);
    if (separator.len == 0) {
        render_fail(r, ERR_INVALID, "empty separator");
        return list_new(r, 0);
    }
    if (from_right)
        return split_right(r, s, separator, limit);
    List *l = list_new(r, 0);
    size_t start = 0;
    while (limit-- != 0 && render_work(r, 1)) {
        size_t at = str_find(s, separator, start);
        if (at == SIZE_MAX)
            break;
        list_add(r, l, value_str(str_slice(s, start, at)));
        start = at + separator.len;
    }
    list_add(r, l, value_str(str_slice(s, start, s.len)));
    return l;
}

static bool ends_line(int32_t code)
{
    return (code >= '\n' && code <= '\r') || (code >= 0x1c && code <= 0x1e) || code == 0x85 ||
           code == 0x2028 || code == 0x2029;
}

List *text_lines(Render *r, Str s, bool keep_ends)
{
    List *l = list_new(r, 0);
    for (size_t pos = 0, start = 0; pos < s.len && render_work(r, 1); start = pos) {
        size_t end = pos;
        bool ended = false;
        while (pos < s.len && !ended) {
            end = pos;
            int32_t code = utf8_next(s, &pos);
            ended = ends_line(code);
            if (code == '\r' && pos < s.len && s.ptr[pos] == '\n')
                pos++;
        }
        list_add(r, l, value_str(str_slice(s, start, keep_ends || !ended ? pos : end)));
    }
    return l;
}

Value text_replace(Render *r, Str s, Str old, Str new, int64_t limit)
{
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    size_t start = 0;
    for (size_t at = 0; limit-- != 0 && render_work(r, 1);) {
        size_t hit = str_find(s, old, at);
        if (hit == SIZE_MAX || (old.len == 0 && hit > s.len))
            break;
        buf_add(&out, str_slice(s, start, hit));
        buf_add(&out, new);
        start = hit + old.len;
        at = start;
        if (old.len == 0) { // between all characters
            if (hit == s.len)
                break;
            utf8_next(s, &at);
        }
    }
    buf_add(&out, str_slice(s, start, s.len));
    if (!buf_ok(&out, NULL))
        return render_fail(r, ERR_LIMIT, "the template takes too much memory");
    return value_copy(r, buf_str(&out));
}

Value text_reverse(Render *r, Str s)
{
    if (!render_room(r, s.len))
        return undefined();
    char *text = arena_alloc(r->arena, s.len + 1);
    for (size_t pos = 0; pos < s.len;) {
        size_t start = pos;
        utf8_next(s, &pos);
        memcpy(text + s.len - pos, s.ptr + start, pos - start);
    }
    return value_str((Str){text, s.len});
}

Value text_pad(Render *r, Str s, int64_t width, Str fill, char align)
{
    int64_t missing = width - (int64_t)str_chars(s);
    if (missing <= 0)
        return value_str(s);
    if (!render_room(r, s.len + (size_t)missing * MAX(fill.len, (size_t)1)))
        return undefined();
    // In CPython the odd space of str.center goes left when the width is odd, of format never.
    int64_t left = align == '>'   ? missing
                   : align == '^' ? missing / 2
                   : align == 'c' ? missing / 2 + (missing & width & 1)
                                  : 0;
    AUTO_BUF out;
    buf_init(&out, 0);
    for (int64_t i = 0; i < left; i++)
        buf_add(&out, fill);
    buf_add(&out, s);
    for (int64_t i = left; i < missing; i++)
        buf_add(&out, fill);
    return value_copy(r, buf_str(&out));
}

/* Formatting */

typedef struct Spec {
    Str fill;
    char align, sign, type;
    bool alternate, comma;
    int64_t width, precision; // precision -1: none
} Spec;

static void add_grouped(Buf *out, Str digits)
{
    size_t whole = 0;
    while (whole < digits.len && digits.ptr[whole] >= '0' && digits.ptr[whole] <= '9')
        whole++;
    for (size_t i = 0; i < digits.len; i++) {
        if (i && i < whole && (whole - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, digits.ptr[i]);
    }
}

/* The digits of a number without its sign; false if the type does not fit. */
static bool number_digits(Render *r, const Spec *spec, Value v, Buf *digits)
{
    char type = spec->type ? spec->type : v.kind == VALUE_FLOAT ? 'r' : 'd';
    uint64_t magnitude = is_int(v) ? (v.i < 0 ? -(uint64_t)v.i : (uint64_t)v.i) : 0;
    if (strchr("xXob", type) && is_int(v)) {
        buf_add(digits, !spec->alternate ? S("")
                        : type == 'o'    ? S("0o")
                        : type == 'X'    ? S("0X")
                                         : S("0x"));
        buf_printf(digits,
                   type == 'x'   ? "%llx"
                   : type == 'X' ? "%llX"
                                 : "%llo",
                   (unsigned long long)magnitude);
    } else if ((type == 'd' || type == 'i' || type == 'u') && is_int(v)) {
        buf_printf(digits, "%llu", (unsigned long long)magnitude);
    } else if (type == 'r') {
        char text[DOUBLE_TEXT];
        double_format(fabs(v.f), text);
        buf_add(digits, str_of(text));
    } else if (strchr("feEgFG%", type)) {
        char format[8];
        snprintf(format, sizeof format, "%%.*%c", type == '%' ? 'f' : type);
        buf_printf(digits, format, (int)(spec->precision < 0 ? 6 : MIN(spec->precision, 300)),
                   fabs(number_of(v)) * (type == '%' ? 100 : 1));
        buf_add(digits, type == '%' ? S("%") : S(""));
    } else {
        render_fail(r, ERR_INVALID, "unknown format code '%c' for object of type '%s'", type,
                    value_type(v));
        return false;
    }
    return true;
}

static void add_formatted(Render *r, Buf *out, const Spec *spec, Value v)
{
    if (!render_ok(r))
        return;
    AUTO_BUF text;
    buf_init(&text, r->limits.memory);
    bool number = is_number(v) && spec->type != 's' && v.kind != VALUE_BOOL;
    if (number) {
        AUTO_BUF digits;
        buf_init(&digits, 4096);
        if (!number_digits(r, spec, v, &digits))
            return;
        bool negative = v.kind == VALUE_FLOAT ? signbit(v.f) : v.i < 0;
        Str sign = negative            ? S("-")
                   : spec->sign == '+' ? S("+")
                   : spec->sign == ' ' ? S(" ")
                                       : S("");
        buf_add(&text, sign);
        if (spec->align == '=')
            for (int64_t n = (int64_t)(sign.len + digits.len); n < MIN(spec->width, 4096); n++)
                buf_add_char(&text, '0');
        if (spec->comma)
            add_grouped(&text, buf_str(&digits));
        else
            buf_add(&text, buf_str(&digits));
    } else {
        Str s = value_text(r, v);
        if (spec->precision >= 0)
            s = str_slice(s, 0, str_char_at(s, (size_t)spec->precision));
        buf_add(&text, s);
    }
    char align = spec->align && spec->align != '=' ? spec->align : number ? '>' : '<';
    buf_add(out, text_pad(r, buf_str(&text), spec->width, spec->fill, align).s);
}

static int64_t read_number(Str s, size_t *pos)
{
    int64_t n = 0;
    for (; *pos < s.len && s.ptr[*pos] >= '0' && s.ptr[*pos] <= '9'; ++*pos)
        n = MIN(n * 10 + (s.ptr[*pos] - '0'), (int64_t)1 << 30);
    return n;
}

static Value percent_argument(Render *r, Value args, Str name, size_t *used)
{
    if (name.ptr) {
        const Value *found = args.kind == VALUE_DICT ? dict_find_str(r, args.dict, name) : NULL;
        return found ? *found
                     : render_fail(r, ERR_INVALID, "format key '%.*s' is missing", STR(name));
    }
    size_t n = args.kind == VALUE_TUPLE ? args.list->n : 1;
    if (*used >= n)
        return render_fail(r, ERR_INVALID, "not enough arguments for format string");
    return args.kind == VALUE_TUPLE ? args.list->items[(*used)++] : ((*used)++, args);
}

/* One conversion behind its '%'. */
static void percent_conversion(Render *r, Buf *out, Str f, size_t *pos, Value args, size_t *used)
{
    Spec spec = {.fill = S(" "), .precision = -1};
    Str name = {0};
    if (*pos < f.len && f.ptr[*pos] == '(') {
        size_t end = str_find_char(f, ')', *pos);
        name = str_slice(f, *pos + 1, MIN(end, f.len));
        *pos = MIN(end, f.len - 1) + 1;
    }
    for (; *pos < f.len && f.ptr[*pos] && strchr("-+ #0", f.ptr[*pos]); ++*pos) {
        char c = f.ptr[*pos];
        spec.align = c == '-' ? '<' : c == '0' && spec.align != '<' ? '=' : spec.align;
        spec.sign = c == '+' || (c == ' ' && !spec.sign) ? c : spec.sign;
        spec.alternate = spec.alternate || c == '#';
    }
    spec.width = read_number(f, pos);
    if (*pos < f.len && f.ptr[*pos] == '.') {
        ++*pos;
        spec.precision = read_number(f, pos);
    }
    char type = *pos < f.len ? f.ptr[(*pos)++] : 0;
    if (type == '%') {
        buf_add_char(out, '%');
        return;
    }
    Value v = percent_argument(r, args, name, used);
    if (type == 'r') {
        AUTO_BUF repr;
        buf_init(&repr, r->limits.memory);
        value_repr(r, &repr, v);
        v = value_copy(r, buf_str(&repr));
    } else if (type != 's' && !is_number(v)) {
        render_fail(r, ERR_INVALID, "%%%c format: a real number is required, not %s", type,
                    value_type(v));
    } else if (type && strchr("diu", type) && v.kind == VALUE_FLOAT) {
        if (!(fabs(v.f) < 0x1p63))
            render_fail(r, ERR_LIMIT, "the integer is too large");
        v = value_int(render_ok(r) ? (int64_t)v.f : 0);
    } else if (v.kind == VALUE_BOOL && type != 's') {
        v = value_int(v.i);
    }
    spec.align = spec.align == '=' && !is_number(v) ? 0 : spec.align ? spec.align : '>';
    spec.type = type == 'r' ? 's' : type;
    if (!type || !strchr("sdiuxXofFeEgG", spec.type))
        render_fail(r, ERR_INVALID, "unsupported format character '%c'", type ? type : '?');
    add_formatted(r, out, &spec, v);
}

Value format_percent(Render *r, Str f, Value args)
{
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    size_t used = 0;
    for (size_t pos = 0; pos < f.len && render_work(r, 1);) {
        char c = f.ptr[pos++];
        if (c == '%')
            percent_conversion(r, &out, f, &pos, args, &used);
        else
            buf_add_char(&out, c);
    }
    if (args.kind != VALUE_DICT && used < (args.kind == VALUE_TUPLE ? args.list->n : 1))
        render_fail(r, ERR_INVALID, "not all arguments converted during string formatting");
    return value_copy(r, buf_str(&out));
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static Spec parse_spec(Render *r, Str s)
{
    Spec spec = {.fill = S(" "), .precision = -1};
    size_t pos = 0, one = s.len ? str_char_at(s, 1) : 0;
    if (one < s.len && strchr("<>^=", s.ptr[one]) && s.ptr[one]) {
        spec.fill = str_slice(s, 0, one);
        spec.align = s.ptr[one];
        pos = one + 1;
    } else if (s.len && s.ptr[0] && strchr("<>^=", s.ptr[0])) {
        spec.align = s.ptr[pos++];
    }
    if (pos < s.len && s.ptr[pos] && strchr("+- ", s.ptr[pos]))
        spec.sign = s.ptr[pos++];
    if (pos < s.len && s.ptr[pos] == '#')
        spec.alternate = ++pos;
    if (pos < s.len && s.ptr[pos] == '0' && !spec.align) {
        spec.align = '=';
        pos++;
    }
    spec.width = read_number(s, &pos);
    if (pos < s.len && s.ptr[pos] == ',')
        spec.comma = ++pos;
    if (pos < s.len && s.ptr[pos] == '.') {
        pos++;
        spec.precision = read_number(s, &pos);
    }
    if (pos < s.len)
        spec.type = s.ptr[pos++];
    if (pos < s.len)
        render_fail(r, ERR_INVALID, "invalid format specifier '%.*s'", STR(str_slice(s, 0, 40)));
    return spec;
}

static Value format_argument(Render *r, Str field, const Args *args, size_t *next)
{
    size_t dot = MIN(str_find_char(field, '.', 0), str_find_char(field, '[', 0));
    Str name = str_slice(field, 0, MIN(dot, field.len));
    int64_t at = 0;
    Value v = undefined();
    if (dot < field.len)
        return render_fail(r, ERR_UNSUPPORTED, "attributes in format fields are not supported");
    if (name.len == 0 || str_to_int(name, 0, INT32_MAX, &at)) {
        size_t i = name.len ? (size_t)at : (*next)++;
        if (i >= args->n)
            return render_fail(r, ERR_INVALID, "Replacement index %zu out of range", i);
        return args->items[i];
    }
    for (size_t i = 0; i < args->n_named; i++)
        if (str_eq(args->named[i].name, name))
            return args->named[i].value;
    return render_fail(r, ERR_INVALID, "format has no argument '%.*s'", STR(name)), v;
}

Value text_format(Render *r, Str f, const Args *args)
{
    AUTO_BUF out;
    buf_init(&out, r->limits.memory);
    size_t next = 0;
    for (size_t pos = 0; pos < f.len && render_work(r, 1); pos++) {
        char c = f.ptr[pos];
        bool twice = pos + 1 < f.len && f.ptr[pos + 1] == c;
        if ((c != '{' && c != '}') || twice) {
            buf_add_char(&out, c);
            pos += c == '{' || c == '}';
            continue;
        }
        size_t end = str_find_char(f, '}', pos);
        if (c == '}' || end == SIZE_MAX)
            return render_fail(r, ERR_INVALID, "Single '%c' encountered in format string", c);
        Str field = str_slice(f, pos + 1, end);
        size_t colon = MIN(str_find_char(field, ':', 0), field.len);
        Str name = str_slice(field, 0, colon);
        bool repr = str_ends(name, S("!r"));
        if (repr || str_ends(name, S("!s")))
            name.len -= 2;
        Value v = format_argument(r, name, args, &next);
        if (repr) {
            AUTO_BUF text;
            buf_init(&text, r->limits.memory);
            value_repr(r, &text, v);
            v = value_copy(r, buf_str(&text));
        }
        Spec spec = parse_spec(r, str_slice(field, colon + 1, field.len));
        add_formatted(r, &out, &spec, v);
        pos = end;
    }
    return value_copy(r, buf_str(&out));
}
