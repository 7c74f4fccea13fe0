/* Tokenizers: text to token ids and back, exactly as the model's own tokenizer does it.
 *
 * A Tokenizer is opened from a model folder (tokenizer.json, else vocab.json + merges.txt, else
 * vocab.txt, else a sentencepiece model), from one of these files, or from a GGUF file, and is then
 * the same engine: added tokens are found in the raw text, what lies between them is normalized,
 * split into words and given to the model (BPE, WordPiece, Unigram or WordLevel); a post-processor
 * adds the special tokens. The truth is Hugging Face's `tokenizers`: ids, offsets and decoded text
 * are its, to the token.
 *
 * Threads: a Tokenizer is immutable once opened; any number of threads may use it. An Encoding and
 * a DecodeStream belong to one thread at a time. */
#pragma once

#include "base/str.h"

typedef struct Tokenizer Tokenizer;
typedef struct Gguf Gguf;

/* `path` is a model folder, a tokenizer.json, a sentencepiece model (.model, .spm) or a .gguf file.
 * ERR_NOT_FOUND when a folder has no tokenizer, ERR_INVALID with the field where it is malformed,
 * ERR_UNSUPPORTED with the type's name where we do not know a component. */
Tokenizer *tokenizer_open(const char *path, Error *err);
/* The text of a tokenizer.json; `name` is for messages. Special tokens are then known only as added
 * tokens: tokenizer_special answers -1. */
Tokenizer *tokenizer_from_json(Str json, const char *name, Error *err);
/* The bytes of a sentencepiece model (BPE or Unigram); `name` is for messages. */
Tokenizer *tokenizer_from_sentencepiece(Str bytes, const char *name, Error *err);
/* From the metadata of a GGUF file that stays the caller's; nothing of it is kept. */
Tokenizer *tokenizer_from_gguf(const Gguf *gguf, Error *err);
void tokenizer_free(Tokenizer *t);
AUTO_FREE(Tokenizer, tokenizer_free)

/* The longest text that is encoded, in bytes. */
#define TOKENIZER_MAX_TEXT ((size_t)256 << 20)

/* Bytes [start, end) of the text that a token stands for. Tokens that split a character share its
 * span; tokens that the post-processor adds have {0, 0}. Where the text was not valid UTF-8 the
 * span is of the text with its broken parts replaced by U+FFFD. */
typedef struct Span {
    uint32_t start, end;
} Span;

/* What encoding a text gives. Reuse one for many texts: it keeps its memory. Arrays have n entries;
 * all but the ids are there only where they were asked for. */
typedef struct Encoding {
    int32_t *ids;
    Span *spans;
    int32_t *words;          // of its text the how manyeth word it belongs to; -1: to none
    int32_t *type_ids;       // as the template says; 0 for a text and 1 for its pair without one
    uint8_t *attention_mask; // 0: padding
    uint8_t *special_tokens_mask; // 1: put there by the template, or padding
    int8_t *sequences;            // 0: of the text, 1: of its pair, -1: of neither
    size_t n, cap;
    struct Encoding *overflow; // what truncation cut off, in windows
    size_t n_overflow;
    struct Workspace *workspace; // ours
} Encoding;

/* A zeroed Encoding is an empty one. */
void encoding_done(Encoding *e);
#define AUTO_ENCODING __attribute__((cleanup(encoding_done))) Encoding

/* Replaces e's content by the tokens of text, with their spans; with add_special also those that
 * the model wants around a text. Special tokens written in the text are recognised in either case.
 * ERR_LIMIT past TOKENIZER_MAX_TEXT, ERR_INVALID when the vocabulary lacks a needed unknown token.
 */
bool tokenizer_encode(const Tokenizer *t, Str text, bool add_special, Encoding *e, Error *err);
/* Turns the spans from bytes into code points, as Python counts; once. The text that was encoded
 * must still be there. */
void encoding_count_chars(Encoding *e);

typedef enum TruncationStrategy { LONGEST_FIRST, ONLY_FIRST, ONLY_SECOND } TruncationStrategy;
/* Cuts to max_length tokens, special ones included. What is cut off goes into Encoding.overflow, in
 * windows that share `stride` tokens with the one before. */
typedef struct Truncation {
    int64_t max_length, stride;
    TruncationStrategy strategy; // of two texts, which one is cut
    bool left;                   // from the beginning
} Truncation;

typedef struct Padding {
    int64_t length;      // 0: as long as the longest of the batch
    int64_t multiple_of; // rounded up to a multiple of it; 0: not
    bool left;
    int32_t id, type_id;
} Padding;

/* What the tokenizer's file asks for, or NULL. Done only when given to EncodeOptions. */
const Truncation *tokenizer_truncation(const Tokenizer *t);
const Padding *tokenizer_padding(const Tokenizer *t);

typedef struct EncodeOptions {
    bool add_special;
    bool spans;                   // without them, encoding is faster
    bool chars;                   // spans count code points
    bool details;                 // words, type_ids, masks and sequences
    bool encode_special;          // special tokens written in the text are plain text
    const Truncation *truncation; // NULL: none
    const Padding *padding;       // NULL: none
} EncodeOptions;

typedef struct EncodeInput {
    Str text, pair;
    bool has_pair;
} EncodeInput;

/* Encodes a text, or two that belong together. Beyond the errors of tokenizer_encode ERR_INVALID
 * where truncation cannot do what it should: its stride is not below its length, or the text that
 * may be cut is too short. */
bool tokenizer_encode_with(const Tokenizer *t, const EncodeInput *input, const EncodeOptions *o,
                           Encoding *e, Error *err);
/* Encodes n inputs into e[0 … n), by up to `threads` threads (0: one for each processor). On
 * failure the error of the first input that failed, and no encoding is of use. */
bool tokenizer_encode_batch(const Tokenizer *t, const EncodeInput *inputs, size_t n,
                            const EncodeOptions *o, int threads, Encoding *e, Error *err);

/* Appends the text of n ids to out; with skip_special those of special tokens are left out, ids
 * outside the vocabulary always are. Bytes that are not UTF-8 become U+FFFD. */
void tokenizer_decode(const Tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                      Buf *out);

/* Decodes token by token and hands out only whole characters. */
typedef struct DecodeStream DecodeStream;
DecodeStream *decode_stream_new(const Tokenizer *t, bool skip_special)
    __attribute__((returns_nonnull));
void decode_stream_free(DecodeStream *d);
AUTO_FREE(DecodeStream, decode_stream_free)
/* The text that this id completes, often empty; borrowed until the next call. */
Str decode_stream_add(DecodeStream *d, int32_t id);
/* What was held back, with U+FFFD for bytes that never became a character. */
Str decode_stream_finish(DecodeStream *d);

/* One more than the largest id, added tokens included. */
int32_t tokenizer_size(const Tokenizer *t);
/* The token as the vocabulary spells it ("Ġthe", "##ing"); empty for an unknown id. */
Str tokenizer_token(const Tokenizer *t, int32_t id);
/* The id of a token spelled so, or -1. */
int32_t tokenizer_find(const Tokenizer *t, Str token);
/* Appends the bytes that the token stands for inside a text, which need not be whole characters. */
void tokenizer_bytes(const Tokenizer *t, int32_t id, Buf *out);
/* True for added tokens marked special. */
bool tokenizer_is_special(const Tokenizer *t, int32_t id);

/* The tokens that a model gives a role to. */
#define SPECIAL_TOKENS(X)                                                                          \
    X(SPECIAL_BOS, "bos_token")                                                                    \
    X(SPECIAL_EOS, "eos_token")                                                                    \
    X(SPECIAL_UNK, "unk_token")                                                                    \
    X(SPECIAL_SEP, "sep_token")                                                                    \
    X(SPECIAL_PAD, "pad_token")                                                                    \
    X(SPECIAL_CLS, "cls_token")                                                                    \
    X(SPECIAL_MASK, "mask_token")

typedef enum SpecialToken {
#define X(code, name) code,
    SPECIAL_TOKENS(X)
#undef X
        SPECIAL_COUNT
} SpecialToken;

/* The id of a role's token, or -1 if the model has none. */
int32_t tokenizer_special(const Tokenizer *t, SpecialToken role);
/* Its text; empty if the model has none. */
Str tokenizer_special_text(const Tokenizer *t, SpecialToken role);
/* "bos_token" and so on. */
const char *special_token_name(SpecialToken role);
/* The longest text the model was made for, in tokens; 0 if not said. */
int64_t tokenizer_max_length(const Tokenizer *t);
/* The Jinja source of a chat template: the one called `name`, or the default one for NULL. Empty if
 * there is none. See text/chat.h. */
Str tokenizer_chat_template(const Tokenizer *t, const char *name);
