/* chars.c: kinds of characters, and the byte-level alphabet; see tokenizer_internal.h.
 *
 * What a character is, is not Unicode's word of today but that of the versions which the parts of
 * `tokenizers` were built with: the table says it, and no system library has a say. */
#include "text/tokenizer_internal.h"

#include <stdatomic.h>
#include <utf8proc.h>

#include "text/chars_table.inc"

#define L (CLASS_LETTER | CLASS_WORD)
#define N (CLASS_NUMBER | CLASS_WORD)
#define P CLASS_PUNCTUATION
#define C CLASS_CONTROL
#define W CLASS_SPACE
const uint8_t ascii_class[128] = {
    C, C, C, C, C, C, C, C, C, W, W, W | C, W | C, W, C, C,              // control characters
    C, C, C, C, C, C, C, C, C, C, C, C,     C,     C, C, C,              //
    W, P, P, P, P, P, P, P, P, P, P, P,     P,     P, P, P,              // space ! ... /
    N, N, N, N, N, N, N, N, N, N, P, P,     P,     P, P, P,              // 0 ... ?
    P, L, L, L, L, L, L, L, L, L, L, L,     L,     L, L, L,              // @ A ... O
    L, L, L, L, L, L, L, L, L, L, L, P,     P,     P, P, P | CLASS_WORD, // P ... _
    P, L, L, L, L, L, L, L, L, L, L, L,     L,     L, L, L,              // ` a ... o
    L, L, L, L, L, L, L, L, L, L, L, P,     P,     P, P, C,              // p ... DEL
};
#undef L
#undef N
#undef P
#undef C
#undef W

/* The runs laid out flat where text mostly is. */
enum { FLAT = 0x20000 };
static uint8_t flat[FLAT];
static atomic_bool is_flat;

static size_t run_of(int32_t code, const uint32_t *runs, size_t n)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if ((int32_t)(runs[middle] >> 8) <= code)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void lay_flat(void)
{
    for (size_t i = 0; i < COUNT(class_runs); i++) {
        size_t from = class_runs[i] >> 8;
        size_t to = i + 1 < COUNT(class_runs) ? class_runs[i + 1] >> 8 : FLAT;
        if (from < FLAT)
            memset(flat + from, (int)(class_runs[i] & 0xFF), MIN(to, FLAT) - from);
    }
    atomic_store_explicit(&is_flat, true, memory_order_release);
}

uint8_t class_behind_ascii(int32_t code)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (code >= FLAT)
        return (uint8_t)class_runs[run_of(code, class_runs, COUNT(class_runs))];
    if (!atomic_load_explicit(&is_flat, memory_order_acquire))
        pthread_once(&once, lay_flat);
    return flat[code];
}

static bool is_in(int32_t code, const int32_t ranges[][2], size_t n)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > ranges[middle][1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && code >= ranges[low][0];
}

uint8_t char_script(int32_t code)
{
    return (uint8_t)script_runs[run_of(code, script_runs, COUNT(script_runs))];
}

bool is_decomposed(int32_t code)
{
    return !is_in(code, undecomposed, COUNT(undecomposed));
}

int mark_order(int32_t code)
{
    if (code < 0x300 || is_in(code, unsorted_marks, COUNT(unsorted_marks)))
        return 0;
    return utf8proc_get_property(code)->combining_class;
}

int32_t char_lower(int32_t code)
{
    for (size_t i = 0; code >= later_capitals[0][0] && i < COUNT(later_capitals); i++)
        if (later_capitals[i][0] == code)
            return later_capitals[i][1];
    return utf8proc_tolower(code);
}

bool is_letter(int32_t code)
{
    return char_class(code) & CLASS_LETTER;
}

bool is_number(int32_t code)
{
    return char_class(code) & CLASS_NUMBER || is_in(code, more_digits, COUNT(more_digits));
}

bool is_space(int32_t code)
{
    return char_class(code) & CLASS_SPACE;
}

bool is_punctuation(int32_t code)
{
    return char_class(code) & CLASS_PUNCTUATION;
}

bool is_control(int32_t code)
{
    return char_class(code) & CLASS_CONTROL;
}

bool is_mark(int32_t code)
{
    return char_class(code) & CLASS_MARK;
}

bool is_mark_nonspacing(int32_t code)
{
    return char_class(code) & CLASS_NONSPACING;
}

bool is_word(int32_t code)
{
    return char_class(code) & CLASS_WORD;
}

bool is_chinese(int32_t code)
{
    static const struct {
        int32_t from, to;
    } ranges[] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
    };
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (code >= ranges[i].from && code <= ranges[i].to)
            return true;
    return false;
}

/* The byte-level alphabet: bytes that print in Latin-1 are themselves, the other 68 are the code
 * points from U+0100 on, in order. */
static bool byte_prints(int byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

int32_t byte_to_char(uint8_t byte)
{
    if (byte_prints(byte))
        return byte;
    // 0x00 to 0x20 are 33, 0x7F to 0xA0 are 34 more, then 0xAD.
    return byte <= 0x20 ? 0x100 + byte : byte <= 0xA0 ? 0x100 + 33 + byte - 0x7F : 0x100 + 67;
}

int char_to_byte(int32_t code)
{
    if (code < 0x100)
        return byte_prints(code) ? code : -1;
    if (code < 0x100 + 33)
        return code - 0x100;
    if (code < 0x100 + 67)
        return code - 0x100 - 33 + 0x7F;
    return code == 0x100 + 67 ? 0xAD : -1;
}

bool bytes_of_spelling(Str spelling, Buf *out)
{
    for (size_t pos = 0; pos < spelling.len;) {
        int byte = char_to_byte(char_at(spelling.ptr, &pos));
        if (byte < 0)
            return false;
        buf_add_char(out, (char)byte);
    }
    return true;
}

void spelling_of_bytes(Str bytes, Buf *out)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_add_utf8(out, byte_to_char((uint8_t)bytes.ptr[i]));
}
