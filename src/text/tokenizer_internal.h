/* What the files of the tokenizer share.
 *
 * The life of a text: added.c cuts the added tokens out of it; normalize.c rewrites each rest;
 * pretokenize.c splits it into words; bpe.c, wordpiece.c or unigram.c turn a word into tokens;
 * postprocess.c adds the special ones. Between the stages a text is a list of Pieces, each of which
 * knows where its bytes came from, so that every token gets its span of the original.
 *
 * Byte level: when the last pre-tokenizer is ByteLevel, its mapping of bytes to printable
 * characters ("Ġ" for a space) is undone in the vocabulary once, when it is loaded, instead of
 * being done to every text; `Tokenizer.byte_level` says so and the model then works on raw bytes.
 */
#pragma once

#include "base/json.h"
#include "base/json_scan.h"
#include "base/map.h"
#include "base/random.h"
#include "text/tokenizer.h"

#include <pthread.h>

typedef struct WordCache WordCache;

enum {
    MAX_TOKEN_ID = 1 << 24,    // ids in a file are smaller than this
    MAX_TOKEN_BYTES = 1 << 16, // of one token's text
    MAX_COMPONENTS = 64,       // of one pipeline stage
    MAX_ADDED = 1 << 16,       // ids that added tokens may lie behind the vocabulary
};

/* ---- Pieces (piece.c) ---- */

/* A stretch of text on its way through the stages. */
typedef struct Piece {
    const char *text; // valid UTF-8; bytes may belong to the caller's text or the workspace's arena
    uint32_t len;
    uint32_t origin;   // where text[0] lies in the original
    const Span *align; // for each byte, the span of the original it stands for; NULL: text is the
                       // original itself at `origin`
    int32_t token;     // the added token that this is; -1: still text
} Piece;

typedef struct PieceList {
    Piece *items;
    size_t n, cap;
} PieceList;

void piece_push(PieceList *list, Piece p);
/* Bytes [from, to) of p. */
Piece piece_slice(const Piece *p, size_t from, size_t to);
/* The span of the original that bytes [from, to) of p stand for. `original` is the whole text. */
Span piece_span(const Piece *p, Str original, size_t from, size_t to);
/* True if all its bytes are ASCII. */
bool piece_is_ascii(const Piece *p);

/* A character of a rewritten text and what it replaces: 0 one character, 1 nothing (it is
 * inserted and shares the span of what lies before it), -n one character and the n behind it.
 * Before that, `dropped` characters of the old text are passed over. */
typedef struct Change {
    int32_t code;
    int32_t change;
    uint32_t dropped;
} Change;

typedef struct Changes {
    Change *items;
    size_t n, cap;
    uint32_t dropped; // of the change that is pushed next
} Changes;

void change_push(Changes *c, int32_t code, int32_t change);

/* ---- The workspace: what one encoding call needs, kept in the Encoding ---- */

typedef struct Symbol {
    int32_t id;
    uint32_t len;       // bytes; 0: merged away
    int32_t prev, next; // -1: none
} Symbol;

typedef struct Node { // of the best path through a text (unigram.c)
    double score;
    uint32_t from;
    int32_t id; // -1: not reached
} Node;

typedef struct Token { // of a word; bytes [from, to) of it
    int32_t id;
    uint32_t from, to;
} Token;

typedef struct TokenList {
    Token *items;
    size_t n, cap;
} TokenList;

typedef struct Workspace {
    Arena *arena;         // rewritten texts; reset by every text
    Buf clean;            // the text with its broken UTF-8 replaced
    Str original;         // the text that spans refer to
    bool spans, words;    // which of the encoding's arrays are wanted
    bool ignores_special; // special tokens in the text are plain text
    uint32_t word_n;      // words of the text so far
    WordCache *cache;     // borrowed from the tokenizer while a text is encoded
    TokenList tokens;     // of the word at hand
    PieceList pieces, next;
    Changes changes;
    Buf word; // a word being put together
    Symbol *symbols;
    size_t symbols_cap;
    uint64_t *heap;
    size_t heap_n, heap_cap;
    Random random; // of dropout
    bool is_seeded;
    Node *nodes;
    size_t nodes_cap;
    struct pcre2_real_match_data_8 *match; // of pattern.c
    struct pcre2_real_match_context_8 *context;
    struct pcre2_real_jit_stack_8 *jit_stack;
    Encoding *out;
    Encoding layout;  // what post-processing puts together
    Span *char_spans; // the tokens' spans in code points
    size_t char_spans_cap;
    Buf first;          // the first of two texts, repaired
    Buf run, run_spans; // a word being put together, and a Span for each of its bytes
    PieceList inner;    // of a part of a piece that goes through the stages alone
} Workspace;

/* Replaces p's text by what the changes give; the rest of the old text is dropped. Who inherits
 * whose span follows tokenizers' NormalizedString::transform. */
void piece_transform(Workspace *w, Piece *p, const Changes *changes);
/* Puts text in front of p; its bytes stand for what p's first character stands for. */
void piece_prepend(Workspace *w, Piece *p, Str text);
/* The encoding's workspace, made when first asked for. */
Workspace *workspace_of(Encoding *e);
/* Room for n tokens in all. */
void encoding_reserve(Encoding *e, size_t n);
/* Makes the arrays that are wanted. */
void encoding_want(Encoding *e, bool spans, bool details);
void overflow_drop(Encoding *e);
/* Bytes to code points of the text. */
void spans_count_chars(Span *spans, size_t n, Str text);
/* Makes w->next the current list. */
bool next_list(Workspace *w);
/* Appends a token of the word at hand. */
static inline void token_push(Workspace *w, int32_t id, size_t from, size_t to)
{
    TokenList *list = &w->tokens;
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = xrealloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->n++] = (Token){id, (uint32_t)from, (uint32_t)to};
}

/* ---- Words that were seen before (words.c) ----
 *
 * Text repeats its words, so each thread keeps what they became. A short word (at most 15 bytes and
 * 3 tokens that lie behind one another, nearly every word of English) is one half of a cache line;
 * others wait in a second table with their bytes. Both forget: a new word takes its slot over.
 * Caches belong to the tokenizer and are lent to one encoding at a time. */

typedef struct ShortWord {
    uint64_t key[2]; // the bytes, zeros behind them, their number in the last byte
    int32_t ids[3];
    uint8_t n;       // tokens; 0: an empty slot
    uint8_t lens[3]; // their bytes
} ShortWord;

typedef struct LongWord {
    uint64_t hash;
    uint32_t at; // in `store`: the bytes, then the tokens
    uint32_t len, n;
} LongWord;

enum { SHORT_SLOTS = 1 << 16, LONG_SLOTS = 1 << 14, LONG_STORE = 2 << 20, MAX_LONG_WORD = 256 };

struct WordCache {
    ShortWord *shorts;            // SHORT_SLOTS
    LongWord *longs;              // LONG_SLOTS; n 0: empty
    Buf store;                    // emptied, with `longs`, at LONG_STORE bytes
    struct BertRow *rows[0x1100]; // of bert.c
    WordCache *next;              // of the tokenizer's idle ones
};

/* Makes 16 bytes of text the key of the word of n bytes, at most 15, that they begin with. */
static inline void short_key_end(uint64_t key[2], size_t n)
{
    static const uint64_t masks[9] = {0,          0xFF,         0xFFFF,         0xFFFFFF,
                                      0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF,
                                      UINT64_MAX};
    key[0] &= masks[MIN(n, 8)];
    key[1] = (key[1] & masks[n > 8 ? n - 8 : 0]) | (uint64_t)n << 56;
}

WordCache *word_cache_take(const Tokenizer *t);
void word_cache_give(const Tokenizer *t, WordCache *cache);
void word_cache_free(WordCache *cache);

/* Emits the tokens of bytes [from, to) of p, which are a word. */
bool encode_word(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                 Error *err);
/* The same for a word whose key (see ShortWord) the caller has; p's text must be the word itself
 * where the cache does not know it. */
bool encode_keyed(const Tokenizer *t, Workspace *w, const Piece *p, size_t from, size_t to,
                  const uint64_t key[2], Error *err);
/* Pre-tokenizing and the model in one pass, without a list of words. */
bool encode_fused(const Tokenizer *t, Workspace *w, const Piece *p, Error *err);
/* Normalizing, pre-tokenizing and the model in one pass, for a piece of the original (bert.c). */
typedef struct BertTable BertTable;
BertTable *bert_table_new(const Tokenizer *t, Arena *a);
bool encode_bert(const Tokenizer *t, Workspace *w, const Piece *p, Error *err);
/* Appends one token which stands for all of p. */
void emit(Workspace *w, const Piece *p, int32_t id);

/* ---- Characters (chars.c) ---- */

/* Decodes one character of valid UTF-8. */
static inline int32_t char_at(const char *text, size_t *pos)
{
    const unsigned char *p = (const unsigned char *)text + *pos;
    if (p[0] < 0x80)
        return *pos += 1, p[0];
    if (p[0] < 0xE0)
        return *pos += 2, (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    if (p[0] < 0xF0)
        return *pos += 3, (p[0] & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    return *pos += 4,
           (p[0] & 0x07) << 18 | (p[1] & 0x3F) << 12 | (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}
/* The character before pos, which it moves back. */
static inline int32_t char_before(const char *text, size_t *pos)
{
    do
        --*pos;
    while ((text[*pos] & 0xC0) == 0x80);
    size_t at = *pos;
    return char_at(text, &at);
}
static inline size_t char_size(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

enum {
    CLASS_LETTER = 1,
    CLASS_NUMBER = 2,
    CLASS_SPACE = 4,
    CLASS_PUNCTUATION = 8,
    CLASS_CONTROL = 16,
    CLASS_MARK = 32,
    CLASS_WORD = 64,
    CLASS_NONSPACING = 128,
};
extern const uint8_t ascii_class[128];
uint8_t class_behind_ascii(int32_t code);
static inline uint8_t char_class(int32_t code)
{
    return code < 128 ? ascii_class[code] : class_behind_ascii(code);
}

typedef bool CharTest(int32_t code);
CharTest is_letter;      // L*
CharTest is_number;      // N*, as the pre-tokenizer Digits has it
CharTest is_space;       // White_Space
CharTest is_punctuation; // P*, and all ASCII symbols
CharTest is_control;     // C* but tab, line feed and carriage return
CharTest is_mark;        // M*
CharTest is_mark_nonspacing;
CharTest is_word; // what \w matches: Alphabetic, M*, Nd, Pc
CharTest is_chinese;

/* Normalization forms and lower case as the reference has them. */
bool is_decomposed(int32_t code);
int mark_order(int32_t code); // the combining class
int32_t char_lower(int32_t code);
uint8_t char_script(int32_t code); // a number; 0 goes with any

/* Byte level: the printable character of a byte, and back (-1 if it is none). */
int32_t byte_to_char(uint8_t byte);
int char_to_byte(int32_t code);
/* Turns a token's spelling into raw bytes; false if it has a character that stands for no byte. */
bool bytes_of_spelling(Str spelling, Buf *out);
void spelling_of_bytes(Str bytes, Buf *out);

/* ---- Patterns (pattern.c, scan.c) ---- */

/* The end of the word that begins at pos < len. */
typedef size_t Scanner(const char *text, size_t len, size_t pos);
/* The hand-written scanner of a well-known expression, which splits the whole text; NULL if there
 * is none. */
Scanner *scanner_find(Str regex);
/* The expressions they stand for. */
#define GPT2_REGEX                                                                                 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CL100K_REGEX(digits)                                                                       \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                           \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3_REGEX CL100K_REGEX("\\p{N}{1,3}")
#define QWEN2_REGEX CL100K_REGEX("\\p{N}")
Scanner scan_gpt2;

/* What a splitting or replacing component looks for: a string, an expression, or characters. */
typedef struct Pattern {
    Str literal;
    Scanner *scan;
    struct pcre2_real_code_8 *code;
    CharTest *test;
} Pattern;

/* From {"String": …} or {"Regex": …}. `field` names it in errors. */
bool pattern_read(Pattern *p, const json_t *value, const char *field, Arena *a, Error *err);
bool pattern_compile(Pattern *p, Str regex, const char *field, Arena *a, Error *err);
/* Goes through the matches in a text, left to right; an empty match right behind another one does
 * not count. After the last, `failed` says whether matching ended in an error. */
typedef struct Matches {
    const Pattern *pattern;
    Workspace *w;
    Str text;
    size_t pos, last; // where to go on; the end of the last match or SIZE_MAX
    size_t from, to;  // the match
    bool failed;
} Matches;
Matches matches_of(const Pattern *pattern, Workspace *w, Str text);
bool matches_next(Matches *m, Error *err);
/* Translates Oniguruma's dialect to PCRE2's: \s, \w, \h and class intersections mean the same. */
void regex_translate(Str regex, Buf *out);

/* ---- The vocabulary (vocab.c) ---- */

enum { TOKEN_KNOWN = 1, TOKEN_ADDED = 2, TOKEN_SPECIAL = 4 };

typedef struct VocabSlot {
    uint32_t hash;
    int32_t id; // -1: empty
} VocabSlot;

/* Strings to ids and back. On the byte level a token's key is its raw bytes. */
typedef struct Vocab {
    Str *texts; // as spelled; by id; ptr NULL where there is none
    Str *keys;  // what the model compares; the same unless on the byte level
    uint8_t *flags;
    int32_t n; // ids are below this
    int32_t cap;
    VocabSlot *slots;
    uint32_t mask;
    uint32_t used;
} Vocab;

/* Gives up raw bytes: what the model compares is what is spelled. */
void vocab_spell(Vocab *v);
uint32_t token_hash(Str s);
/* Both strings must live as long as the vocabulary; the key alone is found by vocab_find. The first
 * of two equal keys stays. */
void vocab_put(Vocab *v, int32_t id, Str text, Str key);
int32_t vocab_find(const Vocab *v, Str key);
int32_t vocab_find_hashed(const Vocab *v, Str key, uint32_t hash);
/* For look-ups in batches: fetch what the next step will read, before it is read. */
static inline void vocab_warm_slot(const Vocab *v, uint32_t hash)
{
    if (v->slots)
        __builtin_prefetch(&v->slots[hash & v->mask]);
}
static inline void vocab_warm_key(const Vocab *v, uint32_t hash)
{
    if (v->slots && v->slots[hash & v->mask].id >= 0)
        __builtin_prefetch(&v->keys[v->slots[hash & v->mask].id]);
}
static inline void vocab_warm_text(const Vocab *v, uint32_t hash)
{
    if (v->slots && v->slots[hash & v->mask].id >= 0)
        __builtin_prefetch(v->keys[v->slots[hash & v->mask].id].ptr);
}
/* Makes room for about n tokens, so that adding them does not rehash. */
void vocab_expect(Vocab *v, size_t n);
/* Makes ids up to id known to the arrays. */
void vocab_reserve(Vocab *v, int32_t id);
void vocab_done(Vocab *v);
/* By the spelling in the file. */
int32_t vocab_find_text(const Tokenizer *t, Str text);
/* Adds a token as the file spells it, copied. */
void vocab_add(Tokenizer *t, int32_t id, Str text);

/* ---- Strings by their beginnings (prefixes.c) ---- */

typedef struct PrefixEntry {
    Str key;
    int32_t id;
} PrefixEntry;

/* A sorted array of strings: those with a common beginning are neighbours, so that following a text
 * byte by byte narrows a range. */
typedef struct Prefixes {
    PrefixEntry *entries; // in an arena
    uint32_t n;
    uint32_t first[257]; // those that begin with byte b are first[b] … first[b + 1] - 1
} Prefixes;

/* Where a walk along a text stands: the entries that begin with what was passed. */
typedef struct PrefixWalk {
    uint32_t low, high;
    uint32_t depth;
} PrefixWalk;

/* Sorts the entries in place; of equal keys the last in the list wins. Empty keys are dropped. */
void prefixes_build(Prefixes *p, PrefixEntry *entries, size_t n);
static inline PrefixWalk prefixes_walk(const Prefixes *p)
{
    return (PrefixWalk){0, p->n, 0};
}
/* Takes one more byte; false when no entry begins so. `*id` is the entry that ends here, or -1. */
bool prefixes_step(const Prefixes *p, PrefixWalk *walk, uint8_t byte, int32_t *id);

/* ---- Models ---- */

typedef struct Bpe Bpe;
typedef struct Unigram Unigram;

/* One kind of model: a row of `model_kinds`. */
typedef struct ModelKind {
    const char *name;
    /* After the vocabulary is loaded; `model` lacks "vocab" and "merges". */
    bool (*read)(Tokenizer *t, const json_t *model, Error *err);
    /* Pushes the tokens of one word, which is not empty, into w->tokens. */
    bool (*encode)(const Tokenizer *t, Workspace *w, Str word, Error *err);
} ModelKind;

extern const ModelKind model_bpe, model_wordpiece, model_wordlevel, model_unigram;

/* What GGUF and vocab.json tell about a BPE, and the options of tokenizer.json. */
typedef struct BpeOptions {
    Str unk_token, prefix, suffix; // empty: none
    bool byte_fallback, fuse_unk, ignore_merges;
    double dropout; // the probability that a merge is passed over
} BpeOptions;
/* Lays out a BPE over the loaded vocabulary; bpe_merge then adds the merges, in order of rank. */
void bpe_start(Tokenizer *t, const BpeOptions *options, size_t merges);
/* Halves are spelled as in the file. What is not of the vocabulary is told by bpe_finish, which
 * must follow the last merge. */
void bpe_merge(Tokenizer *t, Str left, Str right, uint32_t rank);
bool bpe_finish(Tokenizer *t, const char *field, Error *err);
void bpe_merge_ids(Tokenizer *t, int32_t left, int32_t right, int32_t whole, uint32_t rank);
void bpe_free(Bpe *b);

/* Scores by id, for all of the loaded vocabulary; unk -1: none. */
void unigram_start(Tokenizer *t, const double *scores, int32_t unk, bool byte_fallback);

/* ---- Stages ---- */

typedef struct AddedToken {
    Str content;
    Str match; // what is looked for: the content, normalized if it says so
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} AddedToken;

/* Finds the leftmost, then longest, of the added tokens in a text. */
typedef struct Finder {
    Prefixes prefixes; // ids are indices into `tokens`
    const AddedToken *tokens;
    int first_byte; // of all of them; -1: they begin with different ones
} Finder;

typedef struct Normalizer Normalizer;
struct Normalizer {
    bool (*apply)(const Normalizer *n, Workspace *w, Piece *p, Error *err);
    bool clean, chinese, accents, lower; // BertNormalizer
    bool left, right;                    // Strip
    bool compose, compatible;            // NFC, NFD, NFKC, NFKD
    Str text;                            // what Replace and Prepend put
    Pattern pattern;                     // what Replace looks for
    const uint32_t *trie;                // Precompiled
    size_t trie_n;
    Str replacements;
};

typedef enum Behavior {
    REMOVED,
    ISOLATED,
    CONTIGUOUS,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT
} Behavior;
typedef enum Prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } Prepend;

typedef struct PreTokenizer PreTokenizer;
struct PreTokenizer {
    /* Replaces w->pieces. */
    bool (*apply)(const PreTokenizer *s, Workspace *w, Error *err);
    Pattern pattern;
    Behavior behavior;
    bool invert;
    bool add_prefix_space, to_bytes; // ByteLevel; to_bytes: the mapping is done here
    Str replacement;                 // Metaspace
    Prepend prepend;
    bool split;
    int64_t length; // FixedLength
};

typedef struct PostItem { // of a template: special tokens, or a text's own tokens
    int32_t *ids;         // NULL: a text
    size_t n;
    int sequence; // which text
    int32_t type_id;
} PostItem;

typedef struct Template {
    PostItem *items;
    size_t n;
} Template;

typedef struct Trim { // takes spaces off the spans
    bool add_prefix_space;
} Trim;

typedef struct PostProcess {
    Trim *trims;
    size_t trims_n;
    Template single, pair; // items NULL: the texts alone, one behind the other
    bool only_special;     // without special tokens the template does nothing
    bool one_type;         // of all tokens, even then
} PostProcess;

typedef struct Decoder Decoder;
struct Decoder {
    /* Rewrites the token texts in place; *n may shrink. */
    void (*apply)(const Decoder *d, Arena *a, Str *tokens, size_t *n);
    Str text, other; // Replace: content; WordPiece: prefix; BPEDecoder: suffix; CTC: pad, delimiter
    Pattern pattern;
    bool cleanup;
    Prepend prepend;
    int32_t code;        // Strip, Metaspace
    int64_t start, stop; // Strip
};

typedef struct IdleCaches {
    pthread_mutex_t lock;
    WordCache *first;
} IdleCaches;

struct Tokenizer {
    Arena *arena; // everything below that is not said to be elsewhere
    IdleCaches *idle;
    Vocab vocab;
    Map added_ids; // content to AddedToken; these come before the model's vocabulary
    AddedToken *added;
    size_t added_n, added_cap;
    Finder raw, normalized; // tokens looked for before and behind the normalizer
    Normalizer *normalizers;
    size_t normalizers_n;
    PreTokenizer *pre;
    size_t pre_n;
    const ModelKind *model;
    Bpe *bpe;
    Unigram *unigram;
    int32_t unigram_unk;
    Str wordpiece_prefix;
    int64_t wordpiece_max;
    size_t longest_token; // of WordPiece, in bytes
    Str unk_token;
    PostProcess post;
    Decoder *decoders;
    size_t decoders_n;
    bool byte_level;   // the model works on raw bytes; see above
    bool byte_decoder; // decoding is to put raw bytes behind one another
    Scanner *fused;    // the whole of pre-tokenizing is this scanner
    BertTable *bert;   // normalizing and pre-tokenizing are BERT's; NULL: they are not
    bool forgets;      // a word may become other tokens the next time (dropout)
    bool has_truncation, has_padding;
    Truncation truncation;
    Padding padding;
    int32_t special[SPECIAL_COUNT]; // -1: none
    Str special_text[SPECIAL_COUNT];
    int64_t max_length;
    Str chat_template;
    Map templates; // further chat templates, name to Str *
};

Tokenizer *tokenizer_new(void);
/* Call when everything is read: builds the finders and chooses the fast paths. */
bool tokenizer_finish(Tokenizer *t, Error *err);

/* The components of one stage in order: a Sequence's (under `key`), or the one; null is none.
 * Nested sequences are laid flat. At most MAX_COMPONENTS. */
bool components_list(const json_t *value, const char *key, const json_t **list, size_t *n,
                     Error *err);
/* Reads the components of a tokenizer.json; null is none. */
bool normalizers_read(Tokenizer *t, const json_t *value, Error *err);
bool pretokenizers_read(Tokenizer *t, const json_t *value, Error *err);
bool postprocessors_read(Tokenizer *t, const json_t *value, Error *err);
bool decoders_read(Tokenizer *t, const json_t *value, Error *err);

bool normalize(const Tokenizer *t, Workspace *w, Piece *p, Error *err);
/* BERT's normalizer and pre-tokenizer are the only ones. */
bool normalizer_is_bert(const Tokenizer *t);
bool pretokenizer_is_bert(const Tokenizer *t);
/* Splits w->pieces. */
bool pretokenize(const Tokenizer *t, Workspace *w, Error *err);
/* Makes the result of the tokens in e: the text's first, then, if has_pair, from first_n on those
 * of its pair. Truncates, trims spans, adds the special tokens and what else was asked for
 * (layout.c).
 */
bool layout(const Tokenizer *t, Workspace *w, size_t first_n, const EncodeInput *input,
            const EncodeOptions *o, const Str originals[2], Error *err);
/* Takes the white space off n tokens' spans, which are in code points if `chars`; `bytes` are the
 * same in bytes. */
void trim_spans(const Tokenizer *t, const int32_t *ids, Span *spans, size_t n, const Span *bytes,
                Str original, bool chars);
/* Lengthens to n tokens; overflow too. */
void encoding_pad(const Tokenizer *t, Encoding *e, size_t n, const Padding *padding);
size_t padded_length(const Padding *padding, size_t longest);
/* Pre-tokenizers and post-processors that other vocabularies than tokenizer.json need. */
bool prepend_read(Prepend *out, const json_t *value, Error *err);
bool pretokenizer_add_byte_level(Tokenizer *t, const char *const *regexes, size_t n,
                                 bool add_prefix_space, Error *err);
/* For models that need ByteLevel's characters in the text: gives up the byte level. */
void pretokenizer_map_bytes(Tokenizer *t);
/* Ids -1: no token there. */
typedef enum PairStyle { PAIR_BERT, PAIR_ROBERTA } PairStyle;
void postprocessor_set(Tokenizer *t, bool trims, int32_t before, int32_t behind, PairStyle style);
void decoder_set_byte_level(Tokenizer *t);
/* "▁" to spaces, byte tokens to characters; `strips` takes one space off the start. */
void decoder_set_spaces(Tokenizer *t, bool strips);
void normalizer_set_spaces(Tokenizer *t, bool prepends);

AddedToken added_of_json(Tokenizer *t, const json_t *value); // without its id
/* Adds a token; its id is the model's where the model knows the content. */
void added_put(Tokenizer *t, AddedToken token);
bool added_finish(Tokenizer *t, Error *err);
/* Cuts added tokens out of the text pieces of w->pieces. */
void added_split(Workspace *w, const Finder *f);

/* What a role's token is; ids come from the text, or the text from the id. */
void special_set(Tokenizer *t, SpecialToken role, Str text);
void special_set_id(Tokenizer *t, SpecialToken role, int32_t id);

/* ---- sentencepiece (tokenizer_pieces.c) ---- */

typedef struct Pieces {
    Arena *arena; // of the load
    Str *tokens;
    double *types, *scores; // by id; may be shorter
    size_t n, types_n, scores_n;
    int64_t unk; // -1: none
    Str charsmap;
    bool space_prefix, squeezes_spaces, byte_fallback;
} Pieces;

int piece_type(const Pieces *p, size_t id);
void pieces_add_tokens(Tokenizer *t, const Pieces *p);
void pieces_add_added(Tokenizer *t, const Pieces *p);
bool pieces_load_bpe(Tokenizer *t, const Pieces *p, Error *err);
bool pieces_load_unigram(Tokenizer *t, const Pieces *p, Error *err);
bool load_sentencepiece(Tokenizer *t, Str bytes, const char *name, Error *err);
/* BERT's stages over the loaded vocabulary; config is a tokenizer_config.json or NULL. */
bool bert_stages(Tokenizer *t, const json_t *config, Error *err);

/* Where a vocabulary comes from. Each fills t and leaves tokenizer_finish to the caller. */
bool vocab_read_object(Tokenizer *t, Str json, const char *name, Error *err);
bool load_json(Tokenizer *t, Str json, const char *name, Error *err);
bool load_folder(Tokenizer *t, const char *path, Error *err);
bool load_gguf(Tokenizer *t, const Gguf *gguf, Error *err);

/* ---- GGUF's words (tokenizer_gguf.c) ---- */

/* tokenizer.ggml.token_type */
enum {
    GGUF_TOKEN_NORMAL = 1,
    GGUF_TOKEN_UNKNOWN = 2,
    GGUF_TOKEN_CONTROL = 3,
    GGUF_TOKEN_USER = 4,
    GGUF_TOKEN_UNUSED = 5,
    GGUF_TOKEN_BYTE = 6,
    GGUF_ROLES = 7,
};

typedef struct GgufRole {
    const char *key; // behind "tokenizer.ggml."
    SpecialToken role;
} GgufRole;
extern const GgufRole gguf_roles[GGUF_ROLES];

/* The expressions that the file's tokenizer.ggml.pre stands for, n of them. */
const char *const *gguf_pre(const Gguf *gguf, size_t *n, bool *ignore_merges);
/* The name for these expressions, NULL if there is none. */
const char *gguf_pre_find(const char *const *regexes, size_t n);
