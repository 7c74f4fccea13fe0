/* verb_auth.c: `hug auth login|whoami|logout|token`: who we are for the hub. */
#include "cli/cli.h"

#include "base/json.h"
#include "fetch/fetch.h"

#include <termios.h>
#include <unistd.h>

typedef struct Options {
    const char *token;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, token, TEXT, "--token", "T", "login: this one, without being asked"),
    FLAG(Options, json, "--json", "whoami: all that the hub says"),
};

/* A line from the terminal that is not shown while it is typed. */
static bool ask_token(char *token, size_t size)
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        fputs("Token (hf_..., not shown): ", stderr);
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    }
    bool ok = fgets(token, (int)size, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
        fputs("\n", stderr);
    }
    token[strcspn(token, "\r\n")] = '\0';
    return ok && token[0];
}

static bool login(const Options *o, Error *err)
{
    char typed[512] = "";
    const char *token = o->token;
    if (!token && !ask_token(typed, sizeof typed))
        return fail(err, ERR_USAGE, "no token was given");
    AUTO(json_decref) json_t *who = fetch_login(token ? token : typed, err);
    if (!who)
        return false;
    printf("logged in as %s\n", json_text(who, "name", "?"));
    return true;
}

static bool whoami(const Options *o, Error *err)
{
    AUTO(json_decref) json_t *who = fetch_whoami(o->token, err);
    if (!who)
        return false;
    AUTO_BUF out;
    buf_init(&out, 0);
    if (o->json)
        json_write(&out, who);
    else
        buf_add(&out, json_str(who, "name"));
    size_t i;
    json_t *org;
    json_array_foreach(json_object_get(who, "orgs"), i, org)
    {
        if (!o->json)
            buf_printf(&out, "%s%s", i ? ", " : "\norgs: ", json_text(org, "name", ""));
    }
    puts(out.ptr ? out.ptr : "");
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    const char *what = n == 2 ? args[1] : "";
    if (strcmp(what, "login") == 0)
        return login(&o, err);
    if (strcmp(what, "whoami") == 0)
        return whoami(&o, err);
    if (strcmp(what, "logout") == 0)
        return fetch_logout(err);
    return fail(err, ERR_USAGE, "give login, whoami or logout");
}

const Verb verb_auth = {
    .name = "auth",
    .synopsis = "login | whoami | logout",
    .summary = "say who you are to the hub",
    .help = "The token is kept in HF_HOME/token, where the `hf` command keeps it; HF_TOKEN goes "
            "before it.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
