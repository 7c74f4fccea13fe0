/* Constrained output: a grammar says which texts may be written, a matcher which tokens may come
 * next.
 *
 *     AUTO(grammar_free) Grammar *g = grammar_from_schema(schema, &err);
 *     AUTO(matcher_free) Matcher *m = matcher_new(g, trie);
 *     MatchState at = matcher_start(m);
 *     const uint64_t *mask = matcher_mask(m, at, &err);   // a bit for each token that may follow
 *     at = matcher_step(m, at, id);                       // and one of them does
 *
 * Grammars are context-free and work on bytes, so that tokens which split a character are nothing
 * special. They come from a regular expression, a JSON schema, or the notation that llama.cpp
 * calls GBNF; all three become the same rules (grammar_build.h) and then the same program
 * (grammar.c), a pushdown automaton. matcher.c says how it is run.
 *
 * Threads: a Grammar and a TokenTrie are immutable and shared; a Matcher belongs to one thread. */
#pragma once

#include "base/json.h"
#include "text/tokenizer.h"

typedef struct Grammar Grammar;
typedef struct TokenTrie TokenTrie;
typedef struct Matcher Matcher;

/* Rules `name ::= ...` with literals, character classes, groups, | * + ? {m,n} and comments; `root`
 * is where it begins. ERR_INVALID names the line. */
Grammar *grammar_from_gbnf(Str text, Error *err);
/* The whole text must match. Without backreferences and assertions, which are no matter for a
 * grammar: ERR_UNSUPPORTED. */
Grammar *grammar_from_regex(Str pattern, Error *err);
/* JSON that the schema allows: a subset of draft 2020-12, see schema.c. What we cannot hold an
 * answer to is ERR_UNSUPPORTED and named, never left out. */
Grammar *grammar_from_schema(const json_t *schema, Error *err);
/* The same with these texts around it. */
Grammar *grammar_from_schema_between(Str before, const json_t *schema, Str after, Error *err);
/* Any JSON object. */
Grammar *grammar_of_json(Error *err);
/* {"type": "json"|"json_object"|"json_schema"|"regex"|"gbnf", "value": a schema or a text}. */
Grammar *grammar_from_json(const json_t *grammar, Error *err);
void grammar_free(Grammar *g);
AUTO_FREE(Grammar, grammar_free)

/* The tokens of a vocabulary by their bytes. Special tokens are in no grammar. */
TokenTrie *token_trie_new(const Tokenizer *t) __attribute__((returns_nonnull));
void token_trie_free(TokenTrie *t);
AUTO_FREE(TokenTrie, token_trie_free)

/* A place in a grammar; a number of this matcher, -1 is none. States are never taken back: any may
 * be gone on from, as often as wanted. */
typedef int32_t MatchState;

/* Both must outlive the matcher. */
Matcher *matcher_new(const Grammar *g, const TokenTrie *t) __attribute__((returns_nonnull));
void matcher_free(Matcher *m);
AUTO_FREE(Matcher, matcher_free)
MatchState matcher_start(Matcher *m);
/* Behind the token; -1 if it may not come here. */
MatchState matcher_step(Matcher *m, MatchState at, int32_t id);
/* Behind these bytes; -1 likewise. */
MatchState matcher_feed(Matcher *m, MatchState at, Str bytes);
/* True if the text may end here. */
bool matcher_may_end(const Matcher *m, MatchState at);
/* The tokens that may come: matcher_mask_words(m) words of 64 bits, token 0 in bit 0 of the first;
 * borrowed until the next call. ERR_LIMIT when the grammar is so ambiguous, or the text so deep,
 * that its states outgrow their room. */
const uint64_t *matcher_mask(Matcher *m, MatchState at, Error *err);
size_t matcher_mask_words(const Matcher *m);
