/* verb_auth.c: `hug auth`: who we are for the hub. */
#include "cli/commands.h"

#include "base/clock.h"
#include "fetch/tokens.h"

#include <termios.h>
#include <time.h>
#include <unistd.h>

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

static void warn_of_environment(Arena *a, const char *token)
{
    const char *other = fetch_env_token(a);
    if (other && strcmp(other, token) != 0)
        output_warning("HF_TOKEN is set and goes before the token that is kept.");
}

static bool login(Ask *ask, Error *err)
{
    char typed[512] = "";
    const char *token = ask->token, *name;
    if (!token && !ask->force && fetch_token(ask->a)) {
        output_text(&ask->out, "already logged in; `hug auth login --force` takes another token");
        return true;
    }
    if (!token && !ask_token(typed, sizeof typed))
        return fail(err, ERR_USAGE, "no token was given; say --token, or type one");
    token = token ? token : typed;
    AUTO(json_decref) json_t *who = fetch_login(ask->a, token, &name, err);
    if (!who || (ask->git_credential && !fetch_git_credential(token, err)))
        return false;
    warn_of_environment(ask->a, token);
    const char *user = json_text(who, "name", "?");
    output_result(&ask->out, arena_printf(ask->a, "logged in as %s", user), NULL,
                  json_pack("{s:s, s:s}", "user", user, "token_name", name));
    return true;
}

static bool logout(Ask *ask, Error *err)
{
    if (!fetch_logout(ask->token_name, err))
        return false;
    (void)!fetch_git_credential(NULL, NULL); // most have told git nothing
    if (fetch_env_token(ask->a))
        output_warning("HF_TOKEN is still set.");
    return true;
}

static bool switch_token(Ask *ask, Error *err)
{
    if (!ask->token_name)
        return fail(err, ERR_USAGE, "say --token-name; `hug auth list` shows them");
    if (!fetch_token_switch(ask->token_name, err))
        return false;
    const char *token = fetch_token(ask->a);
    AUTO(json_decref) json_t *all = fetch_tokens(err);
    if (!all)
        return false;
    const char *chosen = json_text(json_object_get(all, ask->token_name), "hf_token", "");
    if (ask->git_credential && !fetch_git_credential(chosen, err))
        return false;
    warn_of_environment(ask->a, token ? chosen : "");
    output_result(&ask->out, arena_printf(ask->a, "using the token '%s'", ask->token_name), NULL,
                  json_pack("{s:s}", "token_name", ask->token_name));
    return true;
}

/* "2027-01-31", with a remark if that is over; "" for a token that does not end. */
static const char *expiry(Arena *a, const json_t *fields)
{
    int64_t at;
    char date[ISO8601_SIZE];
    if (!str_to_int(json_str(fields, "expires_at"), 0, INT64_MAX / NS_PER_S, &at))
        return "";
    iso8601_format(at * NS_PER_S, date);
    return arena_printf(a, "%.10s%s", date, at < time(NULL) ? " (expired)" : "");
}

static bool list(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *all = fetch_tokens(err);
    if (!all)
        return false;
    const char *used = fetch_token(ask->a);
    AUTO(json_decref) json_t *rows = json_array();
    const char *name;
    json_t *fields;
    bool any_used = false, any_expires = false;
    json_object_foreach(all, name, fields)
    {
        const char *token = json_text(fields, "hf_token", "");
        Str tail = str_of(token);
        tail = str_slice(tail, tail.len > 8 ? tail.len - 4 : tail.len, tail.len);
        bool current = used && strcmp(used, token) == 0;
        const char *ends = expiry(ask->a, fields);
        any_used |= current;
        any_expires |= ends[0] != 0;
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:s, s:s}", "active", current ? "*" : "", "name", name, "token",
                      arena_printf(ask->a, "%.3s****%.*s", token, STR(tail)), "expires", ends));
    }
    output_table(&ask->out, rows, any_expires ? "active name token expires" : "active name token",
                 "name");
    if (fetch_env_token(ask->a))
        output_warning("HF_TOKEN is set and goes before the tokens that are kept.");
    else if (!any_used && json_array_size(rows))
        output_hint(&ask->out, "None is in use; `hug auth switch --token-name NAME` takes one.");
    return true;
}

static bool token(Ask *ask, Error *err)
{
    const char *used = fetch_token(ask->a);
    if (!used)
        return fail(err, ERR_UNAUTHENTICATED, "not logged in; run `hug auth login`");
    puts(used);
    return true;
}

static bool whoami(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *who = fetch_whoami(ask->token, err);
    if (!who)
        return false;
    AUTO_BUF orgs;
    buf_init(&orgs, 0);
    size_t i;
    json_t *org;
    json_array_foreach(json_object_get(who, "orgs"), i, org)
        buf_printf(&orgs, "%s%s", i ? "," : "", json_text(org, "name", ""));
    const char *name = json_text(who, "name", "?");
    const char *words = orgs.len ? arena_printf(ask->a, "%s\norgs: %s", name, orgs.ptr) : name;
    output_result(&ask->out, words, NULL,
                  json_pack("{s:s, s:s?, s:s}", "user", name, "orgs", orgs.len ? orgs.ptr : NULL,
                            "endpoint", fetch_endpoint(ask->a)));
    return true;
}

static const Command commands[] = {
    {"login", "[--token T]", "keep a token, and use it from now on", 0, 0,
     "token add-to-git-credential force", login},
    {"list|ls", "", "the tokens that are kept", 0, 0, "", list},
    {"switch", "--token-name NAME", "use another of them", 0, 0, "token-name add-to-git-credential",
     switch_token},
    {"logout", "[--token-name NAME]", "forget one token, or all", 0, 0, "token-name", logout},
    {"token", "", "print the one in use", 0, 0, "", token},
    {"whoami", "", "ask the hub whose it is", 0, 0, "token", whoami},
};

const Verb verb_auth = {
    .name = "auth",
    .synopsis = "login | list | switch | logout | token | whoami",
    .summary = "say who you are to the hub",
    .help = "Tokens are kept in HF_HOME, where the `hf` command keeps them; HF_TOKEN goes before "
            "them.\n",
    COMMANDS(commands),
};
