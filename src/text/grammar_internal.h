/* What the files of grammars share: the rules as they are put together, and the program that they
 * become. */
#pragma once

#include "text/grammar.h"

// ---- Rules: what gbnf.c, grammar_regex.c and grammar_schema.c build ----

enum { GRAMMAR_MAX_DEPTH = 128 }; // of groups in groups; parsers of rules keep to it

typedef struct CharRange {
    int32_t from, to; // code points, both included
} CharRange;

/* An expression; each is used in one place: what is wanted twice is a rule. */
typedef int32_t Expr;

/* Builders remember their first failure and ignore what comes behind it; ask builder_finish. */
typedef struct Builder Builder;

Builder *builder_new(void) __attribute__((returns_nonnull));
void builder_free(Builder *b);
AUTO_FREE(Builder, builder_free)
/* Raises an error of the caller's own, once. */
void builder_fail(Builder *b, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool builder_ok(const Builder *b);
Arena *builder_arena(Builder *b); // lives as long as the builder
/* Counts memory and steps of automata; ERR_LIMIT and false once they are too many. */
bool builder_spend(Builder *b, size_t memory, size_t steps);

Expr expr_text(Builder *b, Str bytes);                          // exactly these
Expr expr_chars(Builder *b, const CharRange *ranges, size_t n); // one of these, as UTF-8
Expr expr_sequence(Builder *b);                                 // empty at first
Expr expr_choice(Builder *b);                                   // of nothing at first
void expr_add(Builder *b, Expr list, Expr item);                // to one of these two
bool expr_is_empty(const Builder *b, Expr list);                // nothing was added
Expr expr_repeat(Builder *b, Expr e, int64_t min, int64_t max); // max -1: for ever
Expr expr_rule(Builder *b, int rule);

/* A rule without a meaning yet; `name` is for messages. */
int rule_new(Builder *b, Str name);
void rule_set(Builder *b, int rule, Expr e);
bool rule_is_set(const Builder *b, int rule);
Expr rule_body(const Builder *b, int rule); // -1: none yet

/* The program that begins at `root`; the builder is done with. ERR_INVALID for a rule without a
 * meaning, one that begins with itself, or one that can never end. */
Grammar *builder_finish(Builder *b, int root, Error *err);

typedef enum ExprKind {
    EXPR_TEXT,
    EXPR_CHARS,
    EXPR_SEQUENCE,
    EXPR_CHOICE,
    EXPR_REPEAT,
    EXPR_RULE
} ExprKind;

typedef struct ExprNode {
    ExprKind kind;
    Expr first, last, next; // children and sibling
    Str text;
    const CharRange *ranges;
    size_t n_ranges;
    int64_t min, max;
    int rule;
} ExprNode;

/* Borrowed until the next expression is made. */
const ExprNode *expr_node(const Builder *b, Expr e);

/* Sorts and joins ranges in place; how many are left. */
size_t ranges_join(CharRange *ranges, size_t n);
/* The ranges' complement among all code points that are no surrogates; out has room for n + 2. */
size_t ranges_invert(const CharRange *ranges, size_t n, CharRange *out);

/* A regular expression as an expression. `json`: what it matches stands inside a JSON string, with
 * what must be escaped there escaped. `search`: it may match anywhere in the text, unless it says ^
 * and $. */
Expr regex_expr(Builder *b, Str pattern, bool json, bool search);
/* One character of these as it stands in a JSON string; all that may stand there for n 0. */
Expr json_char(Builder *b, const CharRange *ranges, size_t n);

// ---- The program ----

typedef enum GrammarOp {
    OP_BYTE,  // one byte of `set`, then `next`
    OP_SPLIT, // `next` or `other`
    OP_CALL,  // the rule that begins at `other`, then `next`
    OP_LOOP,  // that rule `min` to `max` times (-1: for ever), then `next`
    OP_RETURN // the rule ends
} GrammarOp;

typedef struct Inst {
    GrammarOp op;
    int32_t next, other, set;
    int32_t min, max;
} Inst;

typedef struct ByteSet {
    uint64_t bits[4];
} ByteSet;

struct Grammar {
    Inst *code;
    size_t n;
    ByteSet *sets;
    size_t n_sets;
    int32_t start;
    uint8_t class_of[256]; // bytes that no set tells apart
    uint8_t byte_of[256];  // one of each class
    int n_classes;
};

static inline bool set_has(const ByteSet *s, uint8_t byte)
{
    return s->bits[byte / 64] >> byte % 64 & 1;
}

// ---- Vocabularies ----

/* A byte of tokens that begin alike; in the order of a walk that goes down first. */
typedef struct TrieNode {
    int32_t token;  // that ends here, -1: none
    uint32_t end;   // the first node that is no longer below this one
    uint16_t depth; // bytes down to here, this one counted
    uint8_t byte;
    bool has_more; // other tokens have the same bytes: TokenTrie.same
} TrieNode;

struct TokenTrie {
    TrieNode *nodes;
    size_t n;
    int32_t *same; // [vocab] the next token with the same bytes, -1: none
    size_t vocab, longest;
    Buf bytes;       // of all tokens
    uint32_t *start; // [vocab + 1] where a token's begin
};
