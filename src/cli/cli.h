/* The `hug` command: a table of verbs, one file each.
 *
 * To add a verb: write src/cli/verb_x.c with one `const Verb verb_x`, and name it in verbs.c and in
 * meson.build. Contract with scripts: results on standard output, one line on standard error when
 * something is wrong, exit status 0, 1 (it did not work) or 2 (a misused command). */
#pragma once

#include "base/settings.h"
#include "cli/options.h"

typedef struct Verb {
    const char *name;
    const char *synopsis; // what follows the name: "MODEL PROMPT [--greedy]"
    const char *summary;  // one line for `hug help`
    const char *help;     // what `hug help NAME` adds; NULL if the summary says it all
    /* args[0] is the verb's name; args[n] is NULL. On failure err says what was wrong, with which
     * input, and what to do; ERR_USAGE makes the exit status 2. */
    bool (*run)(int n, char **args, Error *err);
    const Option *options; // for the help; see cli/options.h
    size_t n_options;
    bool takes_knobs;               // generation's; see cli/knobs.h
    const struct Command *commands; // instead of run: the verb is a table; see cli/commands.h
    size_t n_commands;
    const Setting *settings; // likewise, for verbs that also take a file; see base/settings.h
    size_t n_settings;
} Verb;

/* All verbs, ending with NULL. */
extern const Verb *const verbs[];

/* The database of the hub in a folder, as its hug.conf or HUG_DB name it; NULL: hub.db there. */
bool serve_db(const char *data, Arena *a, const char **db, Error *err);

int cli_main(int n, char **args);
