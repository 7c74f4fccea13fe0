/* completion.c: see completion.h. */
#include "cli/completion.h"

#include "base/file.h"

static const struct {
    const char *shell, *path, *script; // the path is below HOME
    const char *after;                 // what is left to do, NULL: nothing
} shells[] = {
    {"bash", ".local/share/bash-completion/completions/hug",
     "_hug() {\n"
     "    local IFS=$'\\n'\n"
     "    COMPREPLY=($(compgen -W \"$(hug --complete \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\" \\\n"
     "        -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
     "}\n"
     "complete -o default -F _hug hug\n",
     NULL},
    {"zsh", ".zfunc/_hug",
     "#compdef hug\n"
     "local -a offered\n"
     "offered=(${(f)\"$(hug --complete ${words[2,CURRENT-1]})\"})\n"
     "compadd -a offered || _files\n",
     "put `fpath+=~/.zfunc; autoload -Uz compinit; compinit` into ~/.zshrc"},
    {"fish", ".config/fish/completions/hug.fish",
     "complete -c hug -a '(hug --complete (commandline -opc)[2..-1])'\n", NULL},
};

/* The row of a shell; -1 with an error. */
static int shell_find(const char *shell, Error *err)
{
    const char *said = shell ? shell : getenv("SHELL");
    Str name = path_name(str_of(said ? said : ""));
    for (size_t i = 0; i < COUNT(shells); i++)
        if (str_eq(name, str_of(shells[i].shell)))
            return (int)i;
    (void)!fail(err, ERR_USAGE, "completion is for bash, zsh and fish, not '%.*s'", STR(name));
    return -1;
}

bool completion_show(const char *shell, Error *err)
{
    int i = shell_find(shell, err);
    if (i < 0)
        return false;
    fputs(shells[i].script, stdout);
    return true;
}

bool completion_install(const char *shell, Error *err)
{
    int i = shell_find(shell, err);
    const char *home = getenv("HOME");
    if (i < 0)
        return false;
    if (!home)
        return fail(err, ERR_USAGE, "HOME is not set; --show-completion prints the script");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = arena_printf(a, "%s/%s", home, shells[i].path);
    if (!file_make_folders(arena_cstr(a, path_parent(str_of(path))), 0755, err) ||
        !file_write_atomic(path, str_of(shells[i].script), 0644, err))
        return false;
    printf("%s\n", path);
    if (shells[i].after)
        fprintf(stderr, "%s\n", shells[i].after);
    return true;
}
