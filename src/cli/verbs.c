/* verbs.c: the table of verbs; see cli.h. */
#include "cli/cli.h"

extern const Verb verb_tokenize;

const Verb *const verbs[] = {
    &verb_tokenize,
    NULL,
};
