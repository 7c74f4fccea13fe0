/* encode.c: hex, base64, URL and HTML escapes; see encode.h. */
#include "base/encode.h"

void hex_encode(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool hex_decode(Str hex, void *out, size_t n)
{
    if (hex.len != 2 * n)
        return false;
    for (size_t i = 0; i < hex.len; i++)
        if (hex_digit(hex.ptr[i]) < 0)
            return false;
    unsigned char *bytes = out;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(hex_digit(hex.ptr[2 * i]) << 4 | hex_digit(hex.ptr[2 * i + 1]));
    return true;
}

void base64_encode(Buf *out, Str bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = MIN(bytes.len - i, (size_t)3);
        uint32_t word = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (n > 2 ? (uint32_t)p[i + 2] : 0);
        char quad[4] = {alphabet[word >> 18], alphabet[word >> 12 & 63],
                        n > 1 ? alphabet[word >> 6 & 63] : '=', n > 2 ? alphabet[word & 63] : '='};
        buf_add_bytes(out, quad, 4);
    }
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'     ? c - 'A'
           : c >= 'a' && c <= 'z'   ? c - 'a' + 26
           : c >= '0' && c <= '9'   ? c - '0' + 52
           : c == '+' || c == '-'   ? 62
           : c == '/' || c == '_'   ? 63
                                    : -1;
}

bool base64_decode(Buf *out, Str text, Error *err)
{
    uint32_t word = 0;
    int digits = 0;
    size_t i = 0;
    // The result is never longer than this; reserving once keeps large bodies linear and fast.
    char *room = buf_reserve(out, text.len / 4 * 3 + 3);
    if (!room)
        return buf_ok(out, err);
    size_t n = 0;
    for (; i < text.len && text.ptr[i] != '='; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0) {
            if (strchr(" \t\r\n", text.ptr[i]) && text.ptr[i])
                continue;
            return fail(err, ERR_INVALID, "base64: offset %zu: unexpected byte 0x%02x", i,
                        (unsigned char)text.ptr[i]);
        }
        word = word << 6 | (uint32_t)digit;
        if (++digits == 4) {
            room[n++] = (char)(word >> 16);
            room[n++] = (char)(word >> 8);
            room[n++] = (char)word;
            word = 0;
            digits = 0;
        }
    }
    for (; i < text.len; i++)
        if (!strchr("= \t\r\n", text.ptr[i]) || !text.ptr[i])
            return fail(err, ERR_INVALID, "base64: offset %zu: bytes behind the padding", i);
    if (digits == 1)
        return fail(err, ERR_INVALID, "base64: offset %zu: ends in the middle of a byte", text.len);
    if (digits >= 2)
        room[n++] = (char)(word >> (digits == 2 ? 4 : 10));
    if (digits == 3)
        room[n++] = (char)(word >> 2);
    out->len += n;
    out->ptr[out->len] = 0;
    return true;
}

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

void url_encode(Buf *out, Str s, const char *keep)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (unreserved(c) || (c && keep && strchr(keep, c)))
            buf_add_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

bool url_decode(Buf *out, Str s, bool plus_is_space, Error *err)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            if (!hex_decode(str_slice(s, i + 1, i + 3), &c, 1))
                return fail(err, ERR_INVALID, "URL: offset %zu: broken percent-encoding", i);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == 0)
            return fail(err, ERR_INVALID, "URL: offset %zu: NUL byte", i);
        buf_add_char(out, c);
    }
    return buf_ok(out, err);
}

void html_escape(Buf *out, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '&':
            buf_add(out, S("&amp;"));
            break;
        case '<':
            buf_add(out, S("&lt;"));
            break;
        case '>':
            buf_add(out, S("&gt;"));
            break;
        case '"':
            buf_add(out, S("&quot;"));
            break;
        case '\'':
            buf_add(out, S("&#39;"));
            break;
        default:
            buf_add_char(out, s.ptr[i]);
        }
    }
}
