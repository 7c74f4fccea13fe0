/* environment.c: what the git program is told when the hub runs it; see git.h. */
#include "git/git.h"

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

const char *const *git_environment(Arena *a, const char *const *settings,
                                   const char *const *variables)
{
    size_t n_settings = count(settings), n_variables = count(variables);
    const char *path = getenv("PATH");
    const char *const fixed[] = {
        arena_printf(a, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin"),
        "LANG=C.UTF-8",
        "HOME=/nonexistent",
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_TERMINAL_PROMPT=0",
        "GIT_CONFIG_KEY_0=safe.directory",
        "GIT_CONFIG_VALUE_0=*",
        arena_printf(a, "GIT_CONFIG_COUNT=%zu", n_settings + 1),
    };
    const char **all = NEW_ARRAY(a, const char *, COUNT(fixed) + 2 * n_settings + n_variables + 1);
    size_t n = 0;
    for (size_t i = 0; i < COUNT(fixed); i++)
        all[n++] = fixed[i];
    for (size_t i = 0; i < n_settings; i++) {
        size_t equals = str_find_char(str_of(settings[i]), '=', 0);
        CHECK(equals != SIZE_MAX);
        all[n++] = arena_printf(a, "GIT_CONFIG_KEY_%zu=%.*s", i + 1, (int)equals, settings[i]);
        all[n++] = arena_printf(a, "GIT_CONFIG_VALUE_%zu=%s", i + 1, settings[i] + equals + 1);
    }
    for (size_t i = 0; i < n_variables; i++)
        all[n++] = variables[i];
    return all;
}
