#!/usr/bin/env python3
"""Makes src/text/chars_table.inc and chars_later.inc: what `tokenizers` takes each character for.

    $(tools/venv) tools/golden/characters.py

Its parts were built with different versions of Unicode, some of them old: letters and numbers are
Oniguruma's, words those of Rust's regex, punctuation and controls those of a crate that stopped at
Unicode 8, and so on. So the classes are asked of the library, character by character, and what a
system library knows of Unicode does not matter. Recorded with tokenizers 0.23.3."""
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUT = Path(__file__).resolve().parents[2] / 'src/text/chars_table.inc'
LETTER, NUMBER, SPACE, PUNCTUATION, CONTROL, MARK, WORD, NONSPACING = (1 << k for k in range(8))
CODES = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def removed_by(pre_tokenizer):
    out = set()
    for i in range(0, len(CODES), 5000):
        part = CODES[i:i + 5000]
        kept = set()
        for _, (a, b) in pre_tokenizer.pre_tokenize_str(''.join(map(chr, part))):
            kept.update(range(a, b))
        out.update(part[k] for k in range(len(part)) if k not in kept)
    return out


def regex(text):
    return removed_by(pre_tokenizers.Split(Regex(text), 'removed'))


def dropped_by(normalizer):
    return {c for c in CODES if normalizer.normalize_str('a' + chr(c) + 'b') == 'ab'}


def bert(**k):
    return normalizers.BertNormalizer(**(dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False) | k))


def isolated_by(pre_tokenizer):
    return {c for c in CODES if len(pre_tokenizer.pre_tokenize_str('a' + chr(c) + 'a')) == 3}


def joined_by(pre_tokenizer):
    return {c for c in CODES if len(pre_tokenizer.pre_tokenize_str('a' + chr(c) + 'a')) == 1}


def ranges(codes):
    out = []
    for c in sorted(codes):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def in_lines(items, width=100):
    lines, line = [], '   '
    for item in items:
        if len(line) + len(item) + 2 > width:
            lines.append(line)
            line = '   '
        line += ' ' + item + ','
    return '\n'.join(lines + [line])


def unsorted_marks():
    """Marks whose order its normalization does not know."""
    nfd = normalizers.NFD()
    return {c for c in CODES if unicodedata.combining(chr(c)) > 1 and nfd.normalize_str('a' + chr(c) + '\u0334') == 'a' + chr(c) + '\u0334'}


def undecomposed():
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    return {c for c in CODES if (unicodedata.normalize('NFD', chr(c)) != chr(c) and nfd.normalize_str(chr(c)) == chr(c)) or
            (unicodedata.normalize('NFKD', chr(c)) != chr(c) and nfkd.normalize_str(chr(c)) == chr(c))}


def scripts():
    """The script of each character as a number, 0 for what goes with any."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    of, known = {}, []
    joins = [c for c in CODES if len(split('a' + chr(c) + 'a')) == 1 and len(split('\u0431' + chr(c) + '\u0431')) == 1]
    rest = sorted(set(CODES) - set(joins))
    for _, (a, b) in split(''.join(map(chr, rest))):
        which = next((k for k, c in enumerate(known) if len(split(chr(c) + chr(rest[a]))) == 1), len(known))
        if which == len(known):
            known.append(rest[a])
        of.update(dict.fromkeys(rest[a:b], which + 1))
    return [of.get(c, 0) for c in range(0x110000)]


def later(name):
    """What \\p{name} has beyond the Unicode of this Python."""
    return {c for c in regex(f'\\p{{{name}}}') if not unicodedata.category(chr(c)).startswith(name)}


def as_class(codes):
    """In the words of a regular expression's class, a C string a line."""
    words = [f'\\\\x{{{a:X}}}' + (f'-\\\\x{{{b:X}}}' if b > a else '') for a, b in ranges(codes)]
    lines = [words[k:k + 4] for k in range(0, len(words), 4)]
    return ' \\\n'.join(f'    "{"".join(line)}"' for line in lines)


def main():
    lower = normalizers.Lowercase()
    sets = {
        LETTER: regex(r'\p{L}'), NUMBER: regex(r'\p{N}'), SPACE: regex(r'\s'),
        PUNCTUATION: removed_by(pre_tokenizers.Punctuation('removed')),
        CONTROL: dropped_by(bert(clean_text=True)) - {0xFFFD} | {9, 10, 13},
        MARK: dropped_by(normalizers.StripAccents()), NONSPACING: dropped_by(bert(strip_accents=True)),
        WORD: joined_by(pre_tokenizers.Whitespace()),
    }
    classes = [0] * 0x110000
    classes[0] = CONTROL
    for bit, codes in sets.items():
        for c in codes:
            classes[c] |= bit
    runs = [c for c in range(0x80, 0x110000) if c == 0x80 or classes[c] != classes[c - 1]]
    digits = isolated_by(pre_tokenizers.Digits(individual_digits=True)) - sets[NUMBER]
    lowered = [(c, lower.normalize_str(chr(c))) for c in CODES]
    fixes = [(c, ord(low)) for c, low in lowered if len(low) == 1 and low != chr(c).lower()]
    script = scripts()
    new = {name: later(name) for name in 'LNMPS'}
    fresh = set().union(*new.values())
    with open(OUT, 'w') as f:
        f.write(f'''/* Made by tools/golden/characters.py with tokenizers {tokenizers.__version__}: do not edit. */

/* The class of all characters from code on to the next row: code << 8 | class. From U+0080. */
static const uint32_t class_runs[] = {{
{in_lines(f'0x{c << 8 | classes[c]:X}' for c in runs)}
}};

/* The script of all characters from code on to the next row: code << 8 | number, 0 for any. */
static const uint32_t script_runs[] = {{
{in_lines(f'0x{c << 8 | script[c]:X}' for c in range(0x110000) if c == 0 or script[c] != script[c - 1])}
}};

/* Numbers for the pre-tokenizer Digits alone: from, to. */
static const int32_t more_digits[][2] = {{
{in_lines('{0x%X, 0x%X}' % tuple(r) for r in ranges(digits))}
}};

/* Marks that are not sorted, and characters that are not decomposed: from, to. */
static const int32_t unsorted_marks[][2] = {{
{in_lines('{0x%X, 0x%X}' % tuple(r) for r in ranges(unsorted_marks() | new['M']))}
}};
static const int32_t undecomposed[][2] = {{
{in_lines('{0x%X, 0x%X}' % tuple(r) for r in ranges(undecomposed() | fresh))}
}};

/* Capitals of after Unicode {unicodedata.unidata_version} with their small letters. */
static const int32_t later_capitals[][2] = {{
{in_lines('{0x%X, 0x%X}' % r for r in fixes)}
}};
''')
    with open(OUT.with_name('chars_later.inc'), 'w') as f:
        f.write(f'/* Made by tools/golden/characters.py with tokenizers {tokenizers.__version__}: do not edit.\n'
                f' * What the large properties have beyond Unicode {unicodedata.unidata_version}. */\n')
        for name, codes in new.items():
            f.write(f'#define LATER_{name} \\\n{as_class(codes)}\n')
    odd = [(hex(c), low) for c, low in lowered if len(low) > 1 and c != 0x130]
    assert not odd, odd


main()
