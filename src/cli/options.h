/* Options of a verb: a table of rows that fills a struct and prints its own help.
 *
 *     typedef struct Options { bool greedy; int64_t limit; const char *dtype; } Options;
 *     static const Option options[] = {
 *         FLAG(Options, greedy, "--greedy", "always the likeliest token"),
 *         VALUE(Options, limit, INT, "--max-new-tokens", "N", "at most this many"),
 *     };
 *     Options o = {.limit = 20};
 *     if (!options_read(&o, options, COUNT(options), &n, args, err)) return false;
 *     // now args[1] .. args[n - 1] are what was no option
 */
#pragma once

#include "base/str.h"

typedef enum OptionKind {
    OPTION_FLAG,   // bool, set to true
    OPTION_SWITCH, // OptionSwitch: "--x" says yes, "--no-x" no
    OPTION_INT,    // int64_t
    OPTION_NUM,    // double
    OPTION_TEXT,   // const char *, borrowed from args
    OPTION_LIST,   // OptionList: may be given several times
} OptionKind;

typedef enum OptionSwitch { SWITCH_UNSAID, SWITCH_YES, SWITCH_NO } OptionSwitch;

enum { OPTION_LIST_MAX = 64 };
typedef struct OptionList {
    const char *items[OPTION_LIST_MAX];
    int n;
} OptionList;

typedef struct Option {
    const char *name; // "--seed"; "-o|--output" has two spellings
    OptionKind kind;
    size_t offset;
    const char *value; // how the help calls the value; NULL for flags
    const char *help;
} Option;

#define FLAG(type, member, option, text)                                                           \
    {                                                                                              \
        .name = (option), .kind = OPTION_FLAG, .offset = offsetof(type, member), .help = (text)    \
    }
#define SWITCH(type, member, option, text)                                                         \
    {                                                                                              \
        .name = (option), .kind = OPTION_SWITCH, .offset = offsetof(type, member), .help = (text)  \
    }
#define VALUE(type, member, option_kind, option, placeholder, text)                                \
    {                                                                                              \
        .name = (option), .kind = OPTION_##option_kind, .offset = offsetof(type, member),          \
        .value = (placeholder), .help = (text)                                                     \
    }

/* Stores every option found in args[1..*n), as "--name value" or "--name=value" (for "-n" also
 * "-nvalue"), takes it out of args and lowers *n. "--" ends the options; a lone "-" is none. What
 * is not given keeps what *out had. ERR_USAGE names the option. */
bool options_read(void *out, const Option *options, size_t n_options, int *n, char **args,
                  Error *err);
/* One line an option. */
void options_help(const Option *options, size_t n_options, Buf *out);
