/* commands.c: finds, explains and runs the commands of a verb; see commands.h. */
#include "cli/commands.h"

#include "cli/address.h"

/* How many of the words are the command's name; -1 if they are another's. The last word of a name
 * may have spellings: "tag list|ls". */
static int match(const Command *command, int n, const char *const *words)
{
    Str rest = str_of(command->name), wanted, spelling;
    int used = 0;
    while (rest.len && str_split(&rest, ' ', &wanted)) {
        bool found = false;
        while (!found && used < n && str_split(&wanted, '|', &spelling))
            found = str_eq(spelling, str_of(words[used]));
        if (!found)
            return -1;
        used++;
    }
    return used;
}

static const Command *command_find(const Verb *verb, int n, const char *const *words, int *used)
{
    for (size_t i = 0; i < verb->n_commands; i++)
        if ((*used = match(&verb->commands[i], n, words)) >= 0)
            return &verb->commands[i];
    return NULL;
}

/* "create, delete, branch create, ..." */
static bool fail_unknown(const Verb *verb, Error *err)
{
    AUTO_BUF names;
    buf_init(&names, 0);
    for (size_t i = 0; i < verb->n_commands; i++) {
        Str name = str_of(verb->commands[i].name);
        name = str_slice(name, 0, str_find_char(name, '|', 0));
        buf_printf(&names, "%s%.*s", i ? ", " : "", STR(name));
    }
    return fail(err, ERR_USAGE, "give one of: %s; `hug help %s` says more", names.ptr, verb->name);
}

static bool wants_help(const Command *command, int n, char **args)
{
    bool short_is_other = strstr(command->takes, "human-readable") != NULL;
    for (int i = 0; i < n && strcmp(args[i], "--") != 0; i++)
        if (strcmp(args[i], "--help") == 0 || (!short_is_other && strcmp(args[i], "-h") == 0))
            return true;
    return false;
}

static void print_command(const Verb *verb, const Command *command)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF text;
    buf_init(&text, 0);
    size_t n;
    const Option *options = command_options(a, command, &n);
    options_help(options, n, &text);
    printf("hug %s%s%s %s\n\n%s\n", verb->name, command->name[0] ? " " : "", command->name,
           command->synopsis, command->summary);
    if (!command->name[0] && verb->help)
        printf("\n%s\n", verb->help);
    printf("\n%s", text.ptr);
}

bool commands_help(const Verb *verb, int n, char **words)
{
    int used = 0;
    const Command *command = command_find(verb, n, (const char *const *)words, &used);
    if (command && used == n) {
        print_command(verb, command);
        return true;
    }
    // Words that begin names, as "branch" does, show those.
    bool any = false;
    for (size_t i = 0; i < verb->n_commands; i++) {
        const Command *c = &verb->commands[i];
        if (n > 0 &&
            (!str_starts(str_of(c->name), str_of(words[0])) || c->name[strlen(words[0])] != ' '))
            continue;
        if (!any)
            printf("hug %s COMMAND\n\n%s\n%s%s\n", verb->name, verb->summary,
                   verb->help ? "\n" : "", verb->help ? verb->help : "");
        any = true;
        printf("  hug %s %s %s\n      %s\n", verb->name, c->name, c->synopsis, c->summary);
    }
    if (any)
        printf("\n`hug %s COMMAND --help` lists the options of one.\n", verb->name);
    return any;
}

/* What the options say, apart from what each command makes of its own. */
static bool settle(Ask *ask, Error *err)
{
    const char *format = ask->format;
    if (ask->type && !fetch_kind_parse(str_of(ask->type), &ask->kind))
        return fail(err, ERR_USAGE, "--type is model, dataset or space, not '%s'", ask->type);
    if (ask->json || ask->quiet)
        format = ask->json ? "json" : "quiet";
    ask->out.whole = ask->whole;
    const char *bars = getenv("HF_HUB_DISABLE_PROGRESS_BARS");
    if (!output_init(&ask->out, format, err))
        return false;
    ask->no_bars = ask->out.format != OUTPUT_HUMAN || (bars && bars[0] && strcmp(bars, "0") != 0);
    return true;
}

const char *ask_repo(Ask *ask, const char **path, Error *err)
{
    HubAddress at;
    *path = "";
    if (!is_hub_address(ask->args[0]))
        return ask->args[0];
    if (ask->type || ask->revision)
        return fail(err, ERR_USAGE, "'%s' says the type and the revision: leave out --%s",
                    ask->args[0], ask->type ? "type" : "revision");
    if (!hub_address_parse(&at, ask->a, ask->args[0], err))
        return NULL;
    ask->kind = at.kind;
    ask->revision = at.revision;
    *path = at.path[0] && at.folder ? arena_printf(ask->a, "%s/", at.path) : at.path;
    return at.id;
}

/* What to do about it, for those who have only seen the line. */
static void advise(Error *err)
{
    static const struct {
        ErrorCode code;
        const char *advice;
    } rows[] = {
        {ERR_UNAUTHENTICATED, "run `hug auth login`, or set HF_TOKEN"},
        {ERR_UNAVAILABLE,
         "is the hub running? `hug serve` starts one here, HF_ENDPOINT names another"},
        {ERR_NO_REPO, "check its name and --type; if it is private, `hug auth login` first"},
        {ERR_GATED, "ask for access on its page"},
        {ERR_RATE, "wait a little, then try again"},
        {ERR_STALE, "somebody else was quicker; try again"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (err && err->code == rows[i].code && !strstr(err->text, "`hug ")) {
            size_t n = strlen(err->text);
            snprintf(err->text + n, sizeof err->text - n, "; %s", rows[i].advice);
        }
}

bool commands_run(const Verb *verb, int n, char **args, Error *err)
{
    int used = 0;
    const Command *command = command_find(verb, n - 1, (const char *const *)(args + 1), &used);
    if (!command)
        return fail_unknown(verb, err);
    args += used;
    n -= used;
    if (wants_help(command, n, args)) {
        print_command(verb, command);
        return true;
    }
    AUTO(arena_free) Arena *a = arena_new(0);
    Ask ask = {.a = a, .limit = -1, .position = -1};
    size_t n_options;
    const Option *options = command_options(a, command, &n_options);
    Str name = str_of(command->name); // by which options_read sends people to its help
    name = str_slice(name, 0, str_find_char(name, '|', 0));
    args[0] = arena_printf(a, "%s%s%.*s", verb->name, name.len ? " " : "", STR(name));
    if (!options_read(&ask, options, n_options, &n, args, err) || !settle(&ask, err))
        return false;
    ask.args = (const char *const *)(args + 1);
    ask.n = n - 1;
    if (ask.n < command->min || (command->max >= 0 && ask.n > command->max))
        return fail(err, ERR_USAGE, "it is `hug %s%s%s %s`", verb->name,
                    command->name[0] ? " " : "", command->name, command->synopsis);
    if (command->run(&ask, err))
        return true;
    advise(err);
    return false;
}

/* The next word of each name that begins with the words so far; names that share it stand behind
 * each other. */
static void complete_names(const Verb *verb, int n, char **words)
{
    Str last = {0};
    for (size_t i = 0; i < verb->n_commands; i++) {
        Str rest = str_of(verb->commands[i].name), word;
        int at = 0;
        while (at < n && str_split(&rest, ' ', &word) && str_eq(word, str_of(words[at])))
            at++;
        Str next = str_slice(rest, 0, rest.len ? strcspn(rest.ptr, " |") : 0);
        if (at == n && next.len && !str_eq(next, last))
            printf("%.*s\n", STR(next));
        last = at == n ? next : last;
    }
}

void commands_complete(const Verb *verb, int n, char **words)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int used = 0;
    const Command *command = command_find(verb, n - 1, (const char *const *)(words + 1), &used);
    if (!command) {
        complete_names(verb, n - 1, words + 1);
        return;
    }
    size_t n_options;
    const Option *options = command_options(a, command, &n_options);
    for (size_t i = 0; i < n_options; i++) {
        Str rest = str_of(options[i].name), spelling;
        while (str_split(&rest, '|', &spelling))
            printf("%.*s\n", STR(spelling));
        if (options[i].kind == OPTION_SWITCH)
            printf("--no-%s\n", options[i].name + 2);
    }
}
