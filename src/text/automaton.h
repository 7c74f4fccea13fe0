/* Finite automata over code points. Rules can only say what comes next; an automaton also says that
 * two patterns hold of one text, or that one does not. Expressions become automata, are
 * combined, and become rules again, a rule a state.
 *
 * Deterministic, in the memory of a Builder, which remembers the first failure: ERR_LIMIT for what
 * would take too many states. Functions return an automaton even then. */
#pragma once

#include "text/grammar_internal.h"

typedef struct Move {
    CharRange chars;
    int32_t to;
} Move;

typedef struct AutomatonState {
    Move *moves; // by characters, which are disjoint
    size_t n;
    bool accepts;
} AutomatonState;

/* Begins at state 0; what no move says leads nowhere. */
typedef struct Automaton {
    AutomatonState *states;
    size_t n;
} Automaton;

enum { AUTOMATON_STATES = 1 << 13 };

/* Of an expression; the rules that it names may be recursive at their end only, else what they say
 * takes too many states. */
Automaton *automaton_of(Builder *b, Expr e);
/* Texts of any characters, `min` to `max` (-1: any number) of them. */
Automaton *automaton_of_length(Builder *b, int64_t min, int64_t max);
/* Texts that both accept. */
Automaton *automaton_both(Builder *b, const Automaton *x, const Automaton *y);
/* Texts that x accepts and y does not. */
Automaton *automaton_without(Builder *b, const Automaton *x, const Automaton *y);
/* The same texts with fewer states: those that lead nowhere go, equal ones become one. */
Automaton *automaton_smaller(Builder *b, const Automaton *x);
bool automaton_is_empty(const Automaton *x); // of one from automaton_smaller
bool automaton_accepts(const Automaton *x, Str text);
/* An expression of the texts; ERR_INVALID if there are none. json: as they stand inside a JSON
 * string, of control characters only \t, \n and \r where others would do. */
Expr automaton_expr(Builder *b, const Automaton *x, bool json);
