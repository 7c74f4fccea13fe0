/* Commands below a verb: `hug repos branch create REPO NAME`. The hub client's verbs are tables of
 * them, with the names that the `hf` command has.
 *
 * All share one vocabulary of options (commands_options.c), so that an option means the same
 * everywhere; a command names those that it takes. --format, --json, -q and --no-truncate go with
 * every one. */
#pragma once

#include "cli/cli.h"
#include "cli/output.h"
#include "fetch/fetch.h"

typedef struct Ask Ask;

typedef struct Command {
    const char *name;     // "branch create"; "list|ls"; "" if the verb is the command
    const char *synopsis; // "REPO BRANCH"
    const char *summary;
    int min, max;      // arguments behind the name; max -1: any number
    const char *takes; // keys of the vocabulary: "type revision exist-ok"
    bool (*run)(Ask *ask, Error *err);
} Command;

/* What was asked for. A member is what the command line said, or its zero value. */
struct Ask {
    Arena *a; // freed behind the command
    Output out;
    FetchKind kind;          // of --type
    const char *const *args; // n of them, then NULL
    int n;

    const char *type, *revision, *token, *format;
    bool json, quiet, whole, yes, dry_run;
    bool no_bars; // no progress on the terminal: for programs, or where the environment says so
    OptionSwitch private_, gated_only, create_pr;
    bool public_, exist_ok, missing_ok;
    const char *sdk, *namespace, *search, *gated, *message, *title, *description;
    int64_t limit; // -1 if not given
    // Lists of repositories and of files.
    const char *author, *pipeline_tag, *parameters, *sort, *expand;
    OptionList filters, apps;
    bool human_readable, tree, recursive, metadata, text;
    // Tokens.
    const char *token_name;
    bool git_credential, force;
    // The cache.
    const char *cache, *folder;
    bool revisions, show_warnings, fail_missing, fail_extra;
    // Discussions, collections, webhooks.
    const char *status, *author_kind, *body, *body_file, *comment, *owner, *item, *theme, *note;
    int64_t position; // -1 if not given
    bool pull_request;
    const char *url, *secret;
    OptionList watch, domains;
    // Files.
    OptionList include, exclude, remove;
    int64_t workers;
    double every; // minutes
};

/* Finds the command in verb->commands and runs it. */
bool commands_run(const Verb *verb, int n, char **args, Error *err);
/* `hug help VERB` of such a verb, or of one of its commands (words[0..n)). False if there is none.
 */
bool commands_help(const Verb *verb, int n, char **words);
/* For shells: what may stand behind words[0..n), one a line; words[0] is the verb. */
void commands_complete(const Verb *verb, int n, char **words);

/* The options that a command takes, n of them, in the arena. */
const Option *command_options(Arena *a, const Command *command, size_t *n);

/* The repository that args[0] names: its id, while ask->kind and ask->revision become those of an
 * hf:// address. *path: what else the address says, "" if nothing; a folder ends with a slash. NULL
 * with ERR_USAGE if options say the same again. */
const char *ask_repo(Ask *ask, const char **path, Error *err);

/* The list's items end with NULL; no items is no list. */
static inline const char *const *list_or_null(const OptionList *list)
{
    return list->n ? list->items : NULL;
}

#define COMMANDS(table) .commands = (table), .n_commands = COUNT(table)
