/* chars.c: kinds of characters, and the byte-level alphabet; see tokenizer_internal.h.
 *
 * Categories are utf8proc's. ASCII, most of any text, is answered from a table. */
#include "text/tokenizer_internal.h"

#include <utf8proc.h>

static uint8_t class_of_category(utf8proc_category_t category)
{
    switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return CLASS_LETTER | CLASS_WORD;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
        return CLASS_NUMBER | CLASS_WORD;
    case UTF8PROC_CATEGORY_NO:
        return CLASS_NUMBER;
    case UTF8PROC_CATEGORY_MN:
        return CLASS_MARK | CLASS_WORD | CLASS_NONSPACING;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return CLASS_MARK | CLASS_WORD;
    case UTF8PROC_CATEGORY_PC:
        return CLASS_PUNCTUATION | CLASS_WORD;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return CLASS_PUNCTUATION;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return CLASS_SPACE;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
        return CLASS_CONTROL;
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return 0;
    }
    return 0;
}

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

uint8_t class_behind_ascii(int32_t code)
{
    if (code == 0x85) // the one control character behind ASCII that is white space
        return CLASS_SPACE | CLASS_CONTROL;
    return class_of_category(utf8proc_category(code));
}

bool is_letter(int32_t code)
{
    return char_class(code) & CLASS_LETTER;
}

bool is_number(int32_t code)
{
    return char_class(code) & CLASS_NUMBER;
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
    // Circled and squared Latin letters are symbols that count as alphabetic; the joiners count
    // too.
    return char_class(code) & CLASS_WORD || (code >= 0x24B6 && code <= 0x24E9) ||
           (code >= 0x1F130 && code <= 0x1F149) || (code >= 0x1F150 && code <= 0x1F169) ||
           (code >= 0x1F170 && code <= 0x1F189) || code == 0x200C || code == 0x200D;
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
