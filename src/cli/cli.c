/* cli.c: finds the verb, runs it, reports its error; see cli.h. */
#include "cli/cli.h"

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/knobs.h"

#ifndef HUG_VERSION
#define HUG_VERSION "unknown"
#endif

static const Verb *verb_find(const char *name)
{
    for (const Verb *const *v = verbs; *v; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
    return NULL;
}

/* words: a verb and perhaps the name of one of its commands. */
static int print_help(int n, char **words)
{
    const char *name = n > 0 ? words[0] : NULL;
    const Verb *verb = name ? verb_find(name) : NULL;
    if (verb && verb->commands) {
        if (commands_help(verb, n - 1, words + 1))
            return 0;
        fprintf(stderr, "hug: there is no command '%s %s'; `hug help %s` lists them\n", name,
                words[1], name);
        return 2;
    }
    if (verb) {
        printf("hug %s %s\n\n%s\n", verb->name, verb->synopsis, verb->summary);
        if (verb->help)
            printf("\n%s\n", verb->help);
        AUTO_BUF options;
        buf_init(&options, 0);
        options_help(verb->options, verb->n_options, &options);
        settings_help(verb->settings, verb->n_settings, &options);
        if (verb->takes_knobs)
            knobs_help(&options);
        if (options.len > 0)
            printf("\n%s", options.ptr);
        return 0;
    }
    if (name) {
        fprintf(stderr, "hug: there is no command '%s'; `hug help` lists them\n", name);
        return 2;
    }
    puts("hug: a machine-learning hub and engine in one program\n");
    for (const Verb *const *v = verbs; *v; v++)
        printf("  hug %-12s %s\n", (*v)->name, (*v)->summary);
    puts("\n`hug help COMMAND` says more about one of them; `hug --install-completion` teaches\n"
         "them to your shell.");
    return 0;
}

/* For shells: `hug --complete WORD...` prints what may stand behind these words, one a line. */
static int complete(int n, char **words)
{
    const Verb *verb = n > 0 ? verb_find(words[0]) : NULL;
    if (verb && verb->commands)
        commands_complete(verb, n, words);
    for (size_t i = 0; verb && i < verb->n_options; i++) {
        Str rest = str_of(verb->options[i].name), spelling;
        while (str_split(&rest, '|', &spelling))
            printf("%.*s\n", STR(spelling));
    }
    for (const Verb *const *v = verbs; n == 0 && *v; v++)
        puts((*v)->name);
    return 0;
}

/* The exit status, and the line that goes with it. */
static int report(const char *name, bool ok, const Error *err)
{
    if (ok)
        return 0;
    fprintf(stderr, "hug %s: %s\n", name, err->text);
    return err->code == ERR_USAGE ? 2 : 1;
}

int cli_main(int n, char **args)
{
    Error err = {0};
    const char *name = n > 1 ? args[1] : "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("hug " HUG_VERSION);
        return 0;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print_help(n - 2, args + 2);
    if (strcmp(name, "--complete") == 0)
        return complete(n - 2, args + 2);
    if (strcmp(name, "--show-completion") == 0)
        return report("completion", completion_show(n > 2 ? args[2] : NULL, &err), &err);
    if (strcmp(name, "--install-completion") == 0)
        return report("completion", completion_install(n > 2 ? args[2] : NULL, &err), &err);
    const Verb *verb = verb_find(name);
    if (!verb)
        return print_help(1, args + 1);
    if (n > 2 && (strcmp(args[2], "--help") == 0 || strcmp(args[2], "-h") == 0))
        return print_help(1, args + 1);
    bool ok = verb->commands ? commands_run(verb, n - 1, args + 1, &err)
                             : verb->run(n - 1, args + 1, &err);
    return report(verb->name, ok, &err);
}
