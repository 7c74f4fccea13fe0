/* scan.c: hand-written scanners for the expressions that most tokenizers split words with.
 *
 * Each gives, for a position where a word begins, where it ends; the tests hold them against PCRE2
 * on random text. They differ from a general matcher in speed alone: one table look-up a byte.
 *
 * The white-space rule they share, `\s+(?!\S)|\s+`: a run of white space before a word leaves its
 * last character to the word (which takes it if it is a space). */
#include "text/tokenizer_internal.h"

enum { LETTER_NUMBER_SPACE = CLASS_LETTER | CLASS_NUMBER | CLASS_SPACE };

static inline uint8_t class_at(const char *text, size_t pos)
{
    return char_class(char_at(text, &pos));
}

/* Behind the run of characters whose class, masked, is `wanted`. */
static inline size_t run_end(const char *text, size_t len, size_t pos, uint8_t mask, uint8_t wanted)
{
    while (pos < len) {
        unsigned char c = (unsigned char)text[pos];
        if (c < 128) {
            if ((ascii_class[c] & mask) != wanted)
                break;
            pos++;
        } else {
            size_t next = pos;
            if ((class_behind_ascii(char_at(text, &next)) & mask) != wanted)
                break;
            pos = next;
        }
    }
    return pos;
}

static inline size_t letters_end(const char *text, size_t len, size_t pos)
{
    return run_end(text, len, pos, CLASS_LETTER, CLASS_LETTER);
}

static inline size_t symbols_end(const char *text, size_t len, size_t pos)
{
    return run_end(text, len, pos, LETTER_NUMBER_SPACE, 0);
}

/* At white space. */
static size_t spaces_end(const char *text, size_t len, size_t pos)
{
    size_t end = run_end(text, len, pos, CLASS_SPACE, CLASS_SPACE);
    if (end == len)
        return end;
    size_t last = end;
    char_before(text, &last);
    return last > pos ? last : end;
}

/* Bytes of 's 't 'm 'd 're 've 'll at an apostrophe, or 0. `fold` also takes capitals, and the long
 * s, which is an s without case. */
static size_t contraction(const char *text, size_t len, size_t pos, bool fold)
{
    const char *p = text + pos + 1;
    size_t left = len - pos - 1;
    if (left == 0)
        return 0;
    char a = fold && p[0] >= 'A' && p[0] <= 'Z' ? (char)(p[0] | 0x20) : p[0];
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (left < 2)
        return 0;
    if (fold && memcmp(p, "\xC5\xBF", 2) == 0)
        return 3;
    char b = fold && p[1] >= 'A' && p[1] <= 'Z' ? (char)(p[1] | 0x20) : p[1];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

size_t scan_gpt2(const char *text, size_t len, size_t pos)
{
    size_t start = pos;
    if (text[pos] == '\'') {
        size_t n = contraction(text, len, pos, false);
        if (n)
            return pos + n;
    } else if (text[pos] == ' ' && pos + 1 < len) {
        start = pos + 1;
    }
    uint8_t class = class_at(text, start) & LETTER_NUMBER_SPACE;
    if (class & CLASS_SPACE)
        return spaces_end(text, len, pos);
    return run_end(text, len, start, LETTER_NUMBER_SPACE, class);
}

/* The rest of the cl100k family from white space on: `\s*[\r\n]+|\s+(?!\S)|\s+`. */
static size_t lines_end(const char *text, size_t len, size_t pos)
{
    size_t end = run_end(text, len, pos, CLASS_SPACE, CLASS_SPACE);
    for (size_t i = end; i > pos; i--)
        if (text[i - 1] == '\n' || text[i - 1] == '\r')
            return i;
    return spaces_end(text, len, pos);
}

static inline size_t scan_cl100k(const char *text, size_t len, size_t pos, int digits)
{
    if (text[pos] == '\'') {
        size_t n = contraction(text, len, pos, true);
        if (n)
            return pos + n;
    }
    size_t next = pos;
    int32_t code = char_at(text, &next);
    uint8_t class = char_class(code);
    if (class & CLASS_LETTER)
        return letters_end(text, len, next);
    if (class & CLASS_NUMBER) {
        while (--digits > 0 && next < len && class_at(text, next) & CLASS_NUMBER)
            char_at(text, &next);
        return next;
    }
    if (code != '\r' && code != '\n' && next < len && class_at(text, next) & CLASS_LETTER)
        return letters_end(text, len, next);
    if (code == ' ' && next < len && !(class_at(text, next) & LETTER_NUMBER_SPACE))
        class = 0; // the space belongs to the symbols behind it
    if (class & CLASS_SPACE)
        return lines_end(text, len, pos);
    size_t end = symbols_end(text, len, next);
    while (end < len && (text[end] == '\r' || text[end] == '\n'))
        end++;
    return end;
}

static size_t scan_llama3(const char *text, size_t len, size_t pos)
{
    return scan_cl100k(text, len, pos, 3);
}

static size_t scan_qwen2(const char *text, size_t len, size_t pos)
{
    return scan_cl100k(text, len, pos, 1);
}

Scanner *scanner_find(Str regex)
{
    static const struct {
        const char *regex;
        Scanner *scan;
    } rows[] = {
        {GPT2_REGEX, scan_gpt2},
        {LLAMA3_REGEX, scan_llama3},
        {QWEN2_REGEX, scan_qwen2},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_eq(regex, str_of(rows[i].regex)))
            return rows[i].scan;
    return NULL;
}
