/* Strings and bytes: Str is a borrowed slice, Buf a growing buffer, Reader a checked cursor.
 *
 * `strcpy`, `sprintf`, `strtok`, `atoi` and friends do not compile in this house: str.h poisons
 * them below. Print a Str with "%.*s", STR(s). */
#pragma once

#include "base/error.h"
#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A borrowed slice of bytes, not terminated. {NULL, 0} is the empty one. */
typedef struct Str {
    const char *ptr;
    size_t len;
} Str;

#define S(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline Str str_of(const char *terminated)
{
    return terminated ? (Str){terminated, strlen(terminated)} : (Str){0};
}
static inline Str str_slice(Str s, size_t from, size_t to)
{
    to = to < s.len ? to : s.len;
    from = from < to ? from : to;
    return (Str){s.ptr ? s.ptr + from : NULL, to - from};
}

bool str_eq(Str a, Str b);
/* ASCII letters compare without case. */
bool str_eq_nocase(Str a, Str b);
int str_cmp(Str a, Str b);
bool str_starts(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
/* The position of the first match at or behind `from`, or SIZE_MAX. */
size_t str_find(Str s, Str needle, size_t from);
size_t str_find_char(Str s, char c, size_t from);
size_t str_rfind_char(Str s, char c);
/* Without ASCII white space at both ends. */
Str str_trim(Str s);
/* Takes the piece before `separator` off the front of *rest; false when nothing is left. An empty
 * last piece counts: "a," gives "a" and "". */
bool str_split(Str *rest, char separator, Str *piece);
uint64_t str_hash(Str s);

/* The whole of s as a number: no white space, no trailing bytes, in [min, max]. */
bool str_to_int(Str s, int64_t min, int64_t max, int64_t *out);
bool str_to_double(Str s, double *out);
enum { DOUBLE_TEXT = 32 };
/* The shortest digits that read back as the same number, laid out as Python does: "0.1", "10.0",
 * "1e-05", "1e+16", "-inf", "nan". */
void double_format(double v, char out[DOUBLE_TEXT]);

/* Copies into the arena; the result is terminated behind its len. */
Str arena_str(Arena *a, Str s);
Str arena_lower(Arena *a, Str s); // ASCII letters in lower case
char *arena_cstr(Arena *a, Str s) __attribute__((returns_nonnull));
char *arena_printf(Arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

/* UTF-8. str_is_utf8 refuses overlong forms, surrogates and code points past U+10FFFF. */
bool str_is_utf8(Str s);
/* Decodes one code point at *pos and moves it; -1 and one byte on where it is malformed. */
int32_t utf8_next(Str s, size_t *pos);
/* Writes 1 to 4 bytes, returns how many. */
size_t utf8_encode(int32_t code, char out[4]);

/* A growing buffer, always terminated. It remembers its first failure and ignores later calls:
 * append in straight lines, ask once with buf_ok. */
typedef struct Buf {
    char *ptr;
    size_t len, cap, max;
    bool failed;
} Buf;

/* max is the most bytes it may hold, 0 for no limit. */
void buf_init(Buf *b, size_t max);
void buf_done(Buf *b);
#define AUTO_BUF __attribute__((cleanup(buf_done))) Buf
void buf_reset(Buf *b);
void buf_add(Buf *b, Str s);
void buf_add_char(Buf *b, char c);
void buf_add_bytes(Buf *b, const void *bytes, size_t n);
void buf_add_utf8(Buf *b, int32_t code);
/* Appends s with each broken part of its UTF-8 replaced by one U+FFFD, as Unicode recommends and
 * Python and Rust do ("maximal subparts"). */
void buf_add_lossy(Buf *b, Str s);
void buf_printf(Buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(Buf *b, const char *format, va_list args);
/* Room for n more bytes, to be filled by the caller, who then adds to len; NULL past the limit. */
char *buf_reserve(Buf *b, size_t n);
/* ERR_LIMIT when anything was dropped. */
bool buf_ok(const Buf *b, Error *err);
static inline Str buf_str(const Buf *b)
{
    return (Str){b->ptr, b->len};
}
/* The bytes as a terminated string which the caller frees; the buffer is empty afterwards. */
char *buf_take(Buf *b) __attribute__((returns_nonnull));

/* A cursor over outside bytes, little-endian. It remembers its first failure, with the offset:
 * read in straight lines, then ask reader_ok. Reads behind a failure give zeros. */
typedef struct Reader {
    const uint8_t *ptr;
    size_t len, pos;
    const char *name; // what is being read, for messages; borrowed
    bool ended;       // it failed because more was wanted than there is
    Error error;
} Reader;

Reader reader_of(const void *bytes, size_t len, const char *name);
uint8_t reader_u8(Reader *r);
uint16_t reader_u16(Reader *r);
uint32_t reader_u24(Reader *r);
uint32_t reader_u32(Reader *r);
uint64_t reader_u64(Reader *r);
/* Seven bits a byte, the lowest first, as Protocol Buffers and Thrift have it. ERR_INVALID past ten
 * bytes. */
uint64_t reader_varint(Reader *r);
float reader_f32(Reader *r);
double reader_f64(Reader *r);
/* n bytes, borrowed from what is read; NULL when fewer are left. */
const void *reader_bytes(Reader *r, size_t n);
void reader_skip(Reader *r, size_t n);
static inline size_t reader_left(const Reader *r)
{
    return r->len - r->pos;
}
/* Raises an error of the caller's own at the current offset, once. */
void reader_fail(Reader *r, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool reader_ok(const Reader *r, Error *err);

#include "base/banned.h"
