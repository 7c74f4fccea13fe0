#!/usr/bin/env python3
"""Makes tests/golden/tokenizers/: small trained tokenizers and what `tokenizers` says of them.

    $(tools/venv) tools/golden/tokenizer.py [NAME...]      without names: all

texts.json holds the texts. For each tokenizer NAME.json is the tokenizer.json, and NAME.cases.json
the library's version and for each text its ids and offsets (in code points) with special tokens,
`bare`, the ids without (absent: the same), `decoded`, the text of the ids (absent: the text itself)
and `skipped`, without special tokens (absent: as decoded). The vocabularies are trained on text made here from a fixed seed,
so that they are ours to publish; the cases are made to hurt: scripts, combining marks, emoji
sequences, white space, code, controls, added tokens in odd places.
"""
import base64
import json
import random
import struct
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

root = Path(__file__).resolve().parents[2] / 'tests/golden/tokenizers'
SEED, VOCAB = 20261124, 420

words = '''the a of and to in is it was that for on with as he she they we you not but from have this which one all
there their what so up out if about who get go me when make can like time no just him know take people into year your
good some could them see other than then now look only come its over think also back after use two how our work first
well way even new want because any these give day most us it's don't they're we've I'll you'd tokenizer tokens token
running jumped unbelievable internationalization café naïve über straße señor 中文 分词 模型 学习 机器 日本語 テキスト 한국어 문장
привет мир токен العربية مرحبا नमस्ते ไทย 🤗 🎉 👍🏽 print(x) return self.value for i in range(10): == != <= += // /* */ {} []
0 1 12 123 1234 2024 3.14 1,000 100% $5 a1b2 foo_bar fooBar FOO http://a.b/c?d=e user@example.org'''.split()

texts = [
    "Hello world! It's a test, isn't it? They've said we'll, I'm, you'd. HELLO'S 'S 'Re 'LL ſ'ſ",
    'def f(x, y=1):\n    return [x**2 for x in range(10)]  # why\n\n\n\tif (a != b) {\r\n\t\tprintf("%d\\n", 42);\r\n\t}\r\n',
    '你好，世界。我們在2024年使用機器學習模型。日本語のテキストとカタカナ。한국어 텍스트',
    'مرحبا بالعالم، كيف حالك؟ السَّلامُ عليكم ١٢٣', 'Привет мир. Ελληνικά ΣΊΣΥΦΟΣ. שלום. नमस्ते दुनिया ক্ষ ก็ไม่ได้',
    '👨‍👩‍👧‍👦 family 👍🏽 🏳️‍🌈 🇩🇪🇫🇷 e\u0301 a\u0308\u0323 n\u0303 Z\u0351\u036b\u0343', '   leading and trailing   ',
    '\n\n  \n x  \t y\t\t\tz\n', 'a  2  33   444 5555 66666 ½²³ Ⅷ 12,345.67', 'A' * 120 + 'b' * 110, 'unbelievable' * 12, '', ' ',
    '  ', '\n', '\t', 'a', '\u00a0x\u00a0\u3000y\u2003z', 'broken \ufffd\ufffd bytes \ufffd', 'naïve café résumé Ünïcödé İstanbul ßẞ ﬁ ﬂ ① ™',
    'x<|endoftext|>y <|im_start|>user\nhi<|im_end|>', '<s> hi </s><unk><pad> <mask> a <mask>b', 'a word, awordb (word) word\u0301 wordword',
    'strip  <left> here <right>   there <both>  both<left>x', '[CLS] a [MASK] b [SEP][UNK] NORMalized x normalized',
    'https://example.com/path?query=1&b=2#frag $100 €5 50% C++ a_b_c --- ... !!! ???', '\u200b\u200c\u200d\ufeff zero \u00ad soft',
    'tab\tand\x0bvt\x0cff\x85nel\u2028ls\u2029ps', '\x00\x01\x02 control \x7f\x80\x9f', 'ᄒ\u1161\u11ab 각 𝒜𝓁𝓅𝒽𝒶 𝟘𝟙 𐍈 \U0010ffff \ue000',
    "don't  do   not 's 'm n't ' a", '1 000 000 1.000.000 3.14159e-10 0xDEADBEEF', 'a\u0300\u0301\u0302 é́ ①② ㍿ ㌀ ﷺ', '▁under▁score ▁▁ x Ġweird Ċ',
]
letters = list("abcdeABC'.,!? \n\t012  s t re\r") + list('éß中文字日ァ한ع🤗👍🏽\u200d\u0301\u00a0\u3000٣½ſİ<>|[]▁')


def corpus(r):
    return [' '.join(r.choice(words) + r.choice(['', '', '', ',', '.', 's', 'ing', '!']) for _ in range(r.randint(3, 30)))
            for _ in range(1500)]


def all_texts():
    r = random.Random(SEED)
    more = [''.join(r.choice([r.choice(words), r.choice(letters), ' ', '  ']) for _ in range(r.randint(1, 25))) for _ in range(40)]
    return texts + more + [''.join(r.choice(letters) for _ in range(r.randint(1, 20))) for _ in range(40)]


def bpe(**k):
    return Tokenizer(models.BPE(**k))


def train(t, trainer, **k):
    t.train_from_iterator(corpus(random.Random(SEED)), trainer(vocab_size=VOCAB, show_progress=False, **k))
    return t


def byte_level():
    """GPT-2's family, with every kind of added token."""
    t = bpe()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=['<|endoftext|>'])
    t.add_special_tokens([AddedToken('<mask>', lstrip=True), AddedToken('<right>', rstrip=True)])
    t.add_tokens([AddedToken('<both>', lstrip=True, rstrip=True), AddedToken('<left>', lstrip=True),
                  AddedToken('word', single_word=True), AddedToken('hi there'), AddedToken('é')])
    return t


def roberta():
    t = bpe()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
          special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'])
    t.post_processor = processors.RobertaProcessing(('</s>', 2), ('<s>', 0), trim_offsets=True, add_prefix_space=True)
    return t


def llama():
    """sentencepiece's way: no words, spaces as ▁, bytes for what is unknown."""
    t = bpe(unk_token='<unk>', byte_fallback=True, fuse_unk=True)
    t.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    t.pre_tokenizer = pre_tokenizers.Split('▁', 'merged_with_next')  # for training alone
    t.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    train(t, trainers.BpeTrainer, limit_alphabet=60,
          special_tokens=['<unk>', '<s>', '</s>'] + ['<0x%02X>' % i for i in range(256)])
    t.pre_tokenizer = None
    t.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A <s> $B', special_tokens=[('<s>', 1)])
    d = json.loads(t.to_str())
    d['added_tokens'] = d['added_tokens'][:3]  # the byte tokens are plain vocabulary
    return Tokenizer.from_str(json.dumps(d))


def metaspace():
    t = bpe(unk_token='<unk>')
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first')
    t.decoder = decoders.Metaspace(prepend_scheme='first')
    return train(t, trainers.BpeTrainer, special_tokens=['<unk>', '<s>'])


def clip():
    """A suffix for the end of a word, under the byte level."""
    t = bpe(unk_token='<|endoftext|>', end_of_word_suffix='</w>', continuing_subword_prefix='')
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"),
                             'removed', invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.BPEDecoder('</w>')])
    train(t, trainers.BpeTrainer, end_of_word_suffix='</w>', initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
          special_tokens=['<|startoftext|>', '<|endoftext|>'])
    t.post_processor = processors.RobertaProcessing(('<|endoftext|>', 1), ('<|startoftext|>', 0), trim_offsets=False, add_prefix_space=False)
    return t


def prefixed():
    t = bpe(unk_token='[UNK]', continuing_subword_prefix='##')
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Nmt()])
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    return train(t, trainers.BpeTrainer, special_tokens=['[UNK]'], continuing_subword_prefix='##')


def splits():
    """Several expressions, with what Oniguruma writes otherwise than PCRE2."""
    t = bpe()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r'\p{N}{1,3}+'), 'isolated'),
        pre_tokenizers.Split(Regex(r'[一-龥぀-ゟ゠-ヿ]+'), 'isolated'),
        pre_tokenizers.Split(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                                   r"|[\w&&[^\p{L}]]| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def llama3():
    t = bpe(ignore_merges=True)
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                                   r'|\s*[\r\n]+|\s+(?!\S)|\s+'), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=['<|endoftext|>'])
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single='<|endoftext|>:0 $A:0', special_tokens=[('<|endoftext|>', 0)])])
    return t


def digits():
    """SmolLM's split, with the byte level as a normalizer of its own afterwards in `bytes`."""
    t = bpe()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def byte_normalizer():
    t = bpe()
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.ByteLevel()])
    t.pre_tokenizer = pre_tokenizers.Split('Ġ', 'contiguous')
    t.decoder = decoders.ByteLevel()
    return train(t, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def bert(**k):
    t = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    t.normalizer = normalizers.BertNormalizer(**k)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    train(t, trainers.WordPieceTrainer, special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'])
    t.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B:1 [SEP]:1',
                                                     special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
    t.add_tokens([AddedToken('NORMalized', normalized=True)])
    return t


def charsmap(rows):
    """sentencepiece's table: a double array over the keys, then the replacements."""
    values, blob = {}, b''
    for key, value in sorted(rows.items()):
        values[key.encode()] = len(blob)
        blob += value.encode() + b'\0'
    units = {0: 0}

    def place(position, prefix):
        children = sorted({k[len(prefix)] for k in values if k.startswith(prefix) and len(k) > len(prefix)})
        leaf = prefix in values
        base = next(b for b in range(1, 1 << 20)
                    if all((b ^ c) not in units for c in children + ([0] if leaf else [])))
        assert position ^ base < 1 << 21
        units[position] |= (position ^ base) << 10 | (leaf << 8)
        for c in children:
            units[base ^ c] = c
        if leaf:
            units[base] = 1 << 31 | values[prefix]
        for c in children:
            place(base ^ c, prefix + bytes([c]))

    place(0, b'')
    size = (max(units) + 256) // 256 * 256
    trie = struct.pack('<%dI' % size, *(units.get(i, 0) for i in range(size)))
    return struct.pack('<I', len(trie)) + trie + blob


def unigram():
    t = Tokenizer(models.Unigram())
    table = charsmap({'ﬁ': 'fi', 'ﬂ': 'fl', '①': '1', '²': '2', '™': 'TM', '\u3000': ' ', '\u00a0': ' ', 'é': 'e\u0301', 'e\u0301': 'é',
                      'ﷺ': 'صلى الله عليه وسلم', '\u200b': '', '\t': ' ', '👍🏽': '+1'})
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(table), normalizers.Replace(Regex(' {2,}'), ' ')])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    t.decoder = decoders.Metaspace(prepend_scheme='always')
    train(t, trainers.UnigramTrainer, special_tokens=['<unk>', '<s>', '</s>'], unk_token='<unk>')
    t.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 2)])
    return t


def unigram_bytes():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(split=False)])
    train(t, trainers.UnigramTrainer, special_tokens=['<unk>'], unk_token='<unk>')
    d = json.loads(t.to_str())
    d['model']['vocab'] += [['<0x%02X>' % i, -20.0] for i in range(256)]
    d['model']['byte_fallback'] = True
    d['decoder'] = json.loads('{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]}')
    return Tokenizer.from_str(json.dumps(d))


def word_level():
    t = Tokenizer(models.WordLevel(unk_token='[UNK]'))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                         normalizers.Strip(left=True, right=False)])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False),
                                               pre_tokenizers.Punctuation('merged_with_previous')])
    return train(t, trainers.WordLevelTrainer, special_tokens=['[UNK]'])


def odd():
    """The rest: a delimiter, fixed lengths, a replacement by nothing, a decoder of each small kind."""
    t = bpe(unk_token='?', fuse_unk=False)
    t.normalizer = normalizers.Sequence([normalizers.Replace('!', ''), normalizers.Replace(Regex(r'\p{Lu}'), 'X')])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit('.'), pre_tokenizers.Punctuation('contiguous'),
                                               pre_tokenizers.FixedLength(7)])
    t.decoder = decoders.Sequence([decoders.Replace(Regex(r'[0-9]+'), '#'), decoders.CTC(pad_token='?', word_delimiter_token='|')])
    return train(t, trainers.BpeTrainer, special_tokens=['?'], limit_alphabet=50)


made = {
    'byte-level': byte_level, 'roberta': roberta, 'llama': llama, 'llama3': llama3, 'metaspace': metaspace, 'clip': clip,
    'prefixed': prefixed, 'splits': splits, 'digits': digits, 'byte-normalizer': byte_normalizer,
    'bert-uncased': lambda: bert(lowercase=True), 'bert-cased': lambda: bert(lowercase=False, handle_chinese_chars=False, clean_text=False),
    'unigram': unigram, 'unigram-bytes': unigram_bytes, 'word-level': word_level, 'odd': odd,
}


def case(t, text):
    e = t.encode(text)
    made = dict(ids=e.ids, offsets=[x for o in e.offsets for x in o])
    bare = t.encode(text, add_special_tokens=False).ids
    decoded, skipped = t.decode(e.ids, skip_special_tokens=False), t.decode(e.ids)
    if bare != e.ids:
        made['bare'] = bare
    if decoded != text:
        made['decoded'] = decoded
    if skipped != decoded:
        made['skipped'] = skipped
    return made


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'))


def main(names):
    root.mkdir(parents=True, exist_ok=True)
    texts = all_texts()
    (root / 'texts.json').write_text('[\n' + ',\n'.join(map(json.dumps, texts)) + '\n]\n')
    for name in names or made:
        t = made[name]()
        cases = [case(t, text) for text in texts]
        (root / f'{name}.json').write_text(dump(json.loads(t.to_str())))
        (root / f'{name}.cases.json').write_text(
            f'{{"tokenizers":"{tokenizers.__version__}","seed":{SEED},"cases":[\n' + ',\n'.join(map(dump, cases)) + '\n]}\n')
        print(f'{name}: {t.get_vocab_size()} tokens, {sum(len(c["ids"]) for c in cases)} ids')


main(sys.argv[1:])
