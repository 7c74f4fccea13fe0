/* What the two halves of the template parser share: template_parse.c has statements and what reads
 * tokens, template_expression.c the expressions. */
#pragma once

#include "text/template_internal.h"

typedef struct Parser {
    Template *t;
    Arena *arena;
    const Token *token; // the current one; the list ends with TOKEN_END, which is never passed
    HtmlState html;
    int nesting, loops;
    int uses; // USES_ flags of the macro being parsed
    bool failed;
    Error *err;
} Parser;

// ---- Tokens and nodes ----

void parse_fail(Parser *p, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
Node *node_new(Parser *p, NodeKind kind);
void node_above(Parser *p, Node *n, const Node *child);
void node_add_item(Parser *p, Node *n, Node *item);
Node *unary_node(Parser *p, NodeKind kind, Node *left);
bool parse_enter(Parser *p);
void parse_leave(Parser *p);
void parse_next(Parser *p);
bool parse_is_op(const Parser *p, const char *op);
bool parse_is_word(const Parser *p, const char *word);
bool parse_skip_op(Parser *p, const char *op);
bool parse_skip_word(Parser *p, const char *word);
void parse_unexpected(Parser *p, const char *wanted);
void parse_expect_op(Parser *p, const char *op);
Str parse_expect_name(Parser *p);

// ---- Expressions ----

typedef enum TupleOf { OF_EXPRESSIONS, OF_PRIMARIES, OF_UNCONDITIONED } TupleOf;

Node *name_node(Parser *p, Str name);
Node *parse_tuple(Parser *p, TupleOf of, bool parentheses, const char *stop);
Node *parse_filter(Parser *p, Node *left);
Node *parse_expression(Parser *p);
Node *parse_whole(Parser *p);
