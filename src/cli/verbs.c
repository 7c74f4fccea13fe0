/* verbs.c: the table of verbs; see cli.h. */
#include "cli/cli.h"

const Verb *const verbs[] = {
    NULL,
};
