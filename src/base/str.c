/* str.c: slices, buffers, readers and UTF-8; see str.h. */
#include "base/str.h"

#include <errno.h>

bool str_eq(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static unsigned char ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(Str a, Str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    return true;
}

int str_cmp(Str a, Str b)
{
    size_t n = MIN(a.len, b.len);
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(Str s, Str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(Str s, Str suffix)
{
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

size_t str_find(Str s, Str needle, size_t from)
{
    if (from > s.len)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    if (needle.len > s.len - from) // also keeps memmem away from the NULL of an empty Str
        return SIZE_MAX;
    const char *hit = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t str_find_char(Str s, char c, size_t from)
{
    if (from >= s.len)
        return SIZE_MAX;
    const char *hit = memchr(s.ptr + from, c, s.len - from);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t str_rfind_char(Str s, char c)
{
    const char *hit = s.len ? memrchr(s.ptr, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Str str_trim(Str s)
{
    while (s.len && is_space(s.ptr[0]))
        s = str_slice(s, 1, s.len);
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool str_split(Str *rest, char separator, Str *piece)
{
    if (!rest->ptr)
        return false;
    size_t end = str_find_char(*rest, separator, 0);
    if (end == SIZE_MAX) {
        *piece = *rest;
        *rest = (Str){0};
    } else {
        *piece = str_slice(*rest, 0, end);
        *rest = str_slice(*rest, end + 1, rest->len);
    }
    return true;
}

/* FNV-1a, finished with a mixer so that the low bits of short keys differ. */
uint64_t str_hash(Str s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    h ^= h >> 32;
    return h * 0x9e3779b97f4a7c15u;
}

bool str_to_int(Str s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = s.len && s.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == s.len)
        return false;
    int64_t value = 0;
    for (; i < s.len; i++) {
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool str_to_double(Str s, double *out)
{
    char copy[64];
    if (s.len == 0 || s.len >= sizeof copy || is_space(s.ptr[0]))
        return false;
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = 0;
    char *end;
    errno = 0;
    double value = strtod(copy, &end);
    if (end != copy + s.len)
        return false;
    *out = value;
    return true;
}

Str arena_str(Arena *a, Str s)
{
    return (Str){arena_cstr(a, s), s.len};
}

Str arena_lower(Arena *a, Str s)
{
    char *out = arena_cstr(a, s);
    for (size_t i = 0; i < s.len; i++)
        out[i] = ascii_lower(out[i]);
    return (Str){out, s.len};
}

char *arena_cstr(Arena *a, Str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

/* Follows table 3-7 of the Unicode standard: well-formed UTF-8 byte sequences. */
int32_t utf8_next(Str s, size_t *pos)
{
    const unsigned char *p = (const unsigned char *)s.ptr + *pos;
    size_t left = s.len - *pos;
    CHECK(left > 0);
    *pos += 1;
    if (p[0] < 0x80)
        return p[0];
    int extra = p[0] >= 0xC2 && p[0] <= 0xDF   ? 1
                : p[0] >= 0xE0 && p[0] <= 0xEF ? 2
                : p[0] >= 0xF0 && p[0] <= 0xF4 ? 3
                                               : 0;
    if (extra == 0 || left <= (size_t)extra)
        return -1;
    int32_t code = p[0] & (0x3F >> extra);
    for (int i = 1; i <= extra; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return -1;
        code = code << 6 | (p[i] & 0x3F);
    }
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[extra] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return -1;
    *pos += (size_t)extra;
    return code;
}

bool str_is_utf8(Str s)
{
    for (size_t pos = 0; pos < s.len;) {
        uint64_t eight; // most text is ASCII: pass eight bytes at a time
        if (pos + 8 <= s.len && (memcpy(&eight, s.ptr + pos, 8), !(eight & 0x8080808080808080)))
            pos += 8;
        else if (utf8_next(s, &pos) < 0)
            return false;
    }
    return true;
}

/* Bytes of the longest beginning of a character at pos, at least 1: what one U+FFFD stands for. */
static size_t broken_part(Str s, size_t pos)
{
    unsigned char lead = (unsigned char)s.ptr[pos];
    size_t wanted = lead >= 0xF0 && lead <= 0xF4 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    if (lead > 0xF4)
        return 1;
    size_t n = 1;
    for (; n < wanted && pos + n < s.len; n++) {
        unsigned char c = (unsigned char)s.ptr[pos + n];
        unsigned char low = n > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned char high = n > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (c < low || c > high)
            break;
    }
    return n;
}

void buf_add_lossy(Buf *b, Str s)
{
    size_t from = 0;
    for (size_t pos = 0; pos < s.len;) {
        size_t here = pos;
        if (utf8_next(s, &pos) >= 0)
            continue;
        buf_add(b, str_slice(s, from, here));
        buf_add(b, S("\xEF\xBF\xBD"));
        from = pos = here + broken_part(s, here);
    }
    buf_add(b, str_slice(s, from, s.len));
}

size_t utf8_encode(int32_t code, char out[4])
{
    uint32_t c = (uint32_t)code;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

void buf_init(Buf *b, size_t max)
{
    *b = (Buf){.max = max ? max : SIZE_MAX - 1};
}

void buf_done(Buf *b)
{
    free(b->ptr);
    *b = (Buf){.max = b->max};
}

void buf_reset(Buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->ptr)
        b->ptr[0] = 0;
}

char *buf_reserve(Buf *b, size_t n)
{
    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    if (!b->ptr || n >= b->cap - b->len) {
        size_t need = b->len + n + 1;
        size_t cap = b->cap < SIZE_MAX / 2 ? b->cap * 2 : need;
        b->cap = MAX(MAX(cap, need), (size_t)64);
        b->ptr = xrealloc(b->ptr, b->cap);
        b->ptr[b->len] = 0;
    }
    return b->ptr + b->len;
}

void buf_add_bytes(Buf *b, const void *bytes, size_t n)
{
    char *room = buf_reserve(b, n);
    if (!room)
        return;
    if (n)
        memcpy(room, bytes, n);
    b->len += n;
    b->ptr[b->len] = 0;
}

void buf_add(Buf *b, Str s)
{
    buf_add_bytes(b, s.ptr, s.len);
}

void buf_add_char(Buf *b, char c)
{
    buf_add_bytes(b, &c, 1);
}

void buf_add_utf8(Buf *b, int32_t code)
{
    char bytes[4];
    buf_add_bytes(b, bytes, utf8_encode(code, bytes));
}

void buf_vprintf(Buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    CHECK(n >= 0);
    char *room = buf_reserve(b, (size_t)n);
    if (room) {
        vsnprintf(room, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_printf(Buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

bool buf_ok(const Buf *b, Error *err)
{
    if (b->failed)
        return fail(err, ERR_LIMIT, "more than %zu bytes", b->max);
    return true;
}

char *buf_take(Buf *b)
{
    buf_reserve(b, 0);
    char *text = b->ptr ? b->ptr : xcalloc(1, 1);
    *b = (Buf){.max = b->max};
    return text;
}

Reader reader_of(const void *bytes, size_t len, const char *name)
{
    return (Reader){.ptr = bytes, .len = len, .name = name};
}

void reader_fail(Reader *r, ErrorCode code, const char *format, ...)
{
    if (r->error.code != ERR_NONE)
        return;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)!fail(&r->error, code, "%s: offset %zu: %s", r->name, r->pos, text);
    r->pos = r->len;
}

const void *reader_bytes(Reader *r, size_t n)
{
    if (n > r->len - r->pos || r->error.code != ERR_NONE) {
        r->ended = r->ended || r->error.code == ERR_NONE;
        reader_fail(r, ERR_INVALID, "%zu bytes wanted, %zu left", n, r->len - r->pos);
        return NULL;
    }
    const void *bytes = r->ptr + r->pos;
    r->pos += n;
    return bytes;
}

void reader_skip(Reader *r, size_t n)
{
    (void)reader_bytes(r, n);
}

static uint64_t little_endian(Reader *r, size_t n)
{
    const uint8_t *bytes = reader_bytes(r, n);
    uint64_t value = 0;
    if (bytes)
        for (size_t i = n; i-- > 0;)
            value = value << 8 | bytes[i];
    return value;
}

uint8_t reader_u8(Reader *r)
{
    return (uint8_t)little_endian(r, 1);
}

uint16_t reader_u16(Reader *r)
{
    return (uint16_t)little_endian(r, 2);
}

uint32_t reader_u24(Reader *r)
{
    return (uint32_t)little_endian(r, 3);
}

uint32_t reader_u32(Reader *r)
{
    return (uint32_t)little_endian(r, 4);
}

uint64_t reader_u64(Reader *r)
{
    return little_endian(r, 8);
}

uint64_t reader_varint(Reader *r)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
    reader_fail(r, ERR_INVALID, "a number of more than 64 bits");
    return 0;
}

float reader_f32(Reader *r)
{
    uint32_t bits = reader_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double reader_f64(Reader *r)
{
    uint64_t bits = reader_u64(r);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool reader_ok(const Reader *r, Error *err)
{
    if (r->error.code == ERR_NONE)
        return true;
    if (err)
        *err = r->error;
    return false;
}
