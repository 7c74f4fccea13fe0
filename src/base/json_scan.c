/* json_scan.c: see json_scan.h. */
#include "base/json_scan.h"

enum { MAX_DEPTH = 512 };

JsonScan json_scan_of(Str text, const char *name)
{
    return (JsonScan){.text = text, .name = name};
}

void json_scan_fail(JsonScan *s, ErrorCode code, const char *format, ...)
{
    if (s->error.code != ERR_NONE)
        return;
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    (void)!fail(&s->error, code, "%s: offset %zu: %s", s->name, s->pos, what);
}

bool json_scan_ok(const JsonScan *s, Error *err)
{
    if (s->error.code == ERR_NONE)
        return true;
    if (err)
        *err = s->error;
    return false;
}

char json_scan_peek(JsonScan *s)
{
    if (s->error.code != ERR_NONE)
        return 0;
    while (s->pos < s->text.len) {
        char c = s->text.ptr[s->pos];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return c;
        s->pos++;
    }
    return 0;
}

static bool expect(JsonScan *s, char wanted)
{
    if (json_scan_peek(s) != wanted) {
        json_scan_fail(s, ERR_INVALID, "expected '%c'", wanted);
        return false;
    }
    s->pos++;
    return true;
}

void json_scan_object(JsonScan *s)
{
    s->first = expect(s, '{');
}

void json_scan_array(JsonScan *s)
{
    s->first = expect(s, '[');
}

bool json_scan_item(JsonScan *s)
{
    char c = json_scan_peek(s);
    if (c == ']' || c == '}') {
        s->pos++;
        s->first = false;
        return false;
    }
    if (!s->first && !expect(s, ','))
        return false;
    s->first = false;
    return s->error.code == ERR_NONE;
}

bool json_scan_key(JsonScan *s, Buf *scratch, Str *key)
{
    if (!json_scan_item(s))
        return false;
    *key = json_scan_string(s, scratch);
    return expect(s, ':');
}

static int32_t hex4(JsonScan *s)
{
    int32_t code = 0;
    for (int i = 0; i < 4; i++, s->pos++) {
        char c = s->pos < s->text.len ? s->text.ptr[s->pos] : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            json_scan_fail(s, ERR_INVALID, "broken \\u escape");
            return 0xFFFD;
        }
        code = code << 4 | digit;
    }
    return code;
}

/* At the character behind a backslash. */
static void unescape(JsonScan *s, Buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = s->pos < s->text.len ? s->text.ptr[s->pos++] : 0;
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        buf_add_char(out, to[simple - from]);
        return;
    }
    if (c != 'u') {
        json_scan_fail(s, ERR_INVALID, "unknown escape");
        return;
    }
    int32_t code = hex4(s);
    if (code >= 0xD800 && code < 0xDC00 && s->pos + 1 < s->text.len &&
        s->text.ptr[s->pos] == '\\' && s->text.ptr[s->pos + 1] == 'u') {
        s->pos += 2;
        int32_t low = hex4(s);
        code =
            low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : -1;
    }
    if (code < 0 || (code >= 0xD800 && code < 0xE000))
        json_scan_fail(s, ERR_INVALID, "lone surrogate in a \\u escape");
    else
        buf_add_utf8(out, code);
}

/* Moves to the next quote, backslash or control character. */
static void scan_plain(JsonScan *s)
{
    const char *p = s->text.ptr + s->pos, *end = s->text.ptr + s->text.len;
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    s->pos = (size_t)(p - s->text.ptr);
}

Str json_scan_string(JsonScan *s, Buf *scratch)
{
    if (!expect(s, '"'))
        return (Str){0};
    size_t from = s->pos;
    scan_plain(s);
    if (s->pos < s->text.len && s->text.ptr[s->pos] == '"')
        return (Str){s->text.ptr + from, s->pos++ - from};
    buf_reset(scratch);
    for (;;) {
        buf_add(scratch, str_slice(s->text, from, s->pos));
        char c = s->pos < s->text.len ? s->text.ptr[s->pos] : 0;
        s->pos++;
        if (c == '"')
            break;
        if (c == '\\')
            unescape(s, scratch);
        else
            json_scan_fail(s, ERR_INVALID,
                           s->pos > s->text.len ? "the text ends in a string"
                                                : "control character in a string");
        if (s->error.code != ERR_NONE)
            return (Str){0};
        from = s->pos;
        scan_plain(s);
    }
    if (scratch->failed)
        json_scan_fail(s, ERR_LIMIT, "string of more than %zu bytes", scratch->max);
    return buf_str(scratch);
}

static Str number_text(JsonScan *s)
{
    json_scan_peek(s);
    size_t from = s->pos;
    while (s->pos < s->text.len && s->text.ptr[s->pos] &&
           strchr("+-.0123456789eE", s->text.ptr[s->pos]))
        s->pos++;
    return str_slice(s->text, from, s->pos);
}

double json_scan_number(JsonScan *s)
{
    double value = 0;
    if (s->error.code == ERR_NONE && !str_to_double(number_text(s), &value))
        json_scan_fail(s, ERR_INVALID, "expected a number");
    return value;
}

int64_t json_scan_int(JsonScan *s, int64_t min, int64_t max)
{
    int64_t value = min;
    if (s->error.code == ERR_NONE && !str_to_int(number_text(s), min, max, &value))
        json_scan_fail(s, ERR_INVALID, "expected an integer from %lld to %lld", (long long)min,
                       (long long)max);
    return value;
}

static void skip_string(JsonScan *s)
{
    s->pos++;
    for (;;) {
        scan_plain(s);
        if (s->pos >= s->text.len) {
            json_scan_fail(s, ERR_INVALID, "the text ends in a string");
            return;
        }
        char c = s->text.ptr[s->pos++];
        if (c == '"')
            return;
        s->pos += c == '\\';
    }
}

Str json_scan_skip(JsonScan *s)
{
    json_scan_peek(s);
    size_t from = s->pos;
    int depth = 0;
    do {
        char c = json_scan_peek(s);
        if (c == '"') {
            skip_string(s);
        } else if (c == '{' || c == '[') {
            s->pos++;
            if (++depth > MAX_DEPTH)
                json_scan_fail(s, ERR_LIMIT, "nested deeper than %d", MAX_DEPTH);
        } else if (c == '}' || c == ']') {
            s->pos++;
            depth--;
        } else if (c == ',' || c == ':') {
            s->pos++;
        } else if (c) {
            while (s->pos < s->text.len && !strchr(",:]}{[\" \n\r\t", s->text.ptr[s->pos]))
                s->pos++;
        } else {
            json_scan_fail(s, ERR_INVALID, "the text ends in a value");
        }
    } while (depth > 0 && s->error.code == ERR_NONE);
    if (depth < 0 || s->pos == from)
        json_scan_fail(s, ERR_INVALID, "expected a value");
    return s->error.code == ERR_NONE ? str_slice(s->text, from, s->pos) : (Str){0};
}
