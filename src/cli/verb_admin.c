/* verb_admin.c: accounts and tokens from the command line. It works on the database beside a hub
 * that serves: both see each other's changes at once. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "hub/hub.h"

#include <unistd.h>

typedef struct AdminOptions {
    const char *data, *db;
    const char *user, *role, *name, *email, *fullname, *owner;
    bool admin, password_stdin;
} AdminOptions;

static const Option options[] = {
    VALUE(AdminOptions, data, TEXT, "--data", "DIR",
          "the hub's folder (default: data, or HUG_DATA)"),
    VALUE(AdminOptions, db, TEXT, "--db", "URL", "its database, where that is not in the folder"),
    VALUE(AdminOptions, user, TEXT, "--user", "NAME", "whose token"),
    VALUE(AdminOptions, role, TEXT, "--role", "ROLE", "a token's: read or write (default: write)"),
    VALUE(AdminOptions, name, TEXT, "--name", "LABEL", "what a token is called"),
    VALUE(AdminOptions, email, TEXT, "--email", "ADDRESS", "a new user's address"),
    VALUE(AdminOptions, fullname, TEXT, "--fullname", "NAME", "a new account's full name"),
    VALUE(AdminOptions, owner, TEXT, "--owner", "NAME", "a new organisation's first admin"),
    FLAG(AdminOptions, admin, "--admin", "the new user may do everything on this hub"),
    FLAG(AdminOptions, password_stdin, "--password-stdin", "read the password from standard input"),
};

typedef struct Admin {
    Hub *hub;
    Arena *arena;
    AdminOptions o;
} Admin;

static bool password_read(Admin *admin, Str *out, Error *err)
{
    char line[1100];
    *out = (Str){0};
    if (!admin->o.password_stdin)
        return true;
    if (!fgets(line, sizeof line, stdin))
        return fail(err, ERR_INVALID, "standard input: no password");
    Str text = str_of(line);
    while (text.len && strchr("\r\n", text.ptr[text.len - 1]))
        text.len--;
    *out = arena_str(admin->arena, text);
    explicit_bzero(line, sizeof line);
    return true;
}

static bool user_add(Admin *admin, char **args, Error *err)
{
    Account account;
    NewUser user = {.name = str_of(args[0]),
                    .email = str_of(admin->o.email),
                    .fullname = str_of(admin->o.fullname),
                    .admin = admin->o.admin};
    return password_read(admin, &user.password, err) &&
           user_create(admin->hub, admin->arena, &user, &account, err);
}

static bool user_password(Admin *admin, char **args, Error *err)
{
    Str password;
    if (!admin->o.password_stdin)
        return fail(err, ERR_USAGE, "user password: give --password-stdin and a password there");
    return password_read(admin, &password, err) &&
           user_set_password(admin->hub, str_of(args[0]), password, err);
}

static bool user_list(Admin *admin, char **args, Error *err)
{
    Account *accounts;
    size_t n;
    if (!account_list(admin->hub, admin->arena, &accounts, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        printf("%.*s\t%s\t%.*s\n", STR(accounts[i].name),
               accounts[i].is_org     ? "organisation"
               : accounts[i].is_admin ? "admin"
                                      : "user",
               STR(accounts[i].email));
    return true;
}

static bool org_add(Admin *admin, char **args, Error *err)
{
    Account account;
    if (!admin->o.owner)
        return fail(err, ERR_USAGE, "org add: give --owner NAME");
    return org_create(admin->hub, admin->arena, str_of(args[0]), str_of(admin->o.fullname),
                      str_of(admin->o.owner), &account, err);
}

static bool org_member(Admin *admin, char **args, Error *err)
{
    return org_set_member(admin->hub, str_of(args[0]), str_of(args[1]), str_of(admin->o.role), err);
}

static bool org_repos(Admin *admin, char **args, Error *err)
{
    bool hide = strcmp(args[1], "private") == 0;
    if (!hide && strcmp(args[1], "public") != 0)
        return fail(err, ERR_USAGE, "org repos: public or private, not '%s'", args[1]);
    return account_set_repos_private(admin->hub, str_of(args[0]), hide, err);
}

static bool user_given(Admin *admin, Error *err)
{
    return admin->o.user || fail(err, ERR_USAGE, "token: give --user NAME");
}

static bool token_add(Admin *admin, char **args, Error *err)
{
    Str secret;
    if (!user_given(admin, err) ||
        !token_create(admin->hub, admin->arena, str_of(admin->o.user), str_of(admin->o.name),
                      str_of(admin->o.role), &secret, err))
        return false;
    printf("%.*s\n", STR(secret));
    return true;
}

static bool tokens_print(Admin *admin, char **args, Error *err)
{
    Token *tokens;
    size_t n;
    if (!user_given(admin, err) ||
        !token_list(admin->hub, admin->arena, str_of(admin->o.user), &tokens, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        char used[ISO8601_SIZE] = "never used";
        if (tokens[i].used_ns)
            iso8601_format(tokens[i].used_ns, used);
        printf("%.*s\thf_...%.*s\t%.*s\t%s\t%.*s\n", STR(tokens[i].id), STR(tokens[i].tail),
               STR(tokens[i].role), used, STR(tokens[i].name));
    }
    return true;
}

static bool token_drop(Admin *admin, char **args, Error *err)
{
    return user_given(admin, err) &&
           token_revoke(admin->hub, str_of(admin->o.user), str_of(args[0]), err);
}

static const struct {
    const char *noun, *verb, *takes;
    int n; // arguments
    bool (*run)(Admin *admin, char **args, Error *err);
} commands[] = {
    {"user", "add", "NAME [--admin] [--password-stdin]", 1, user_add},
    {"user", "password", "NAME --password-stdin", 1, user_password},
    {"user", "list", "", 0, user_list},
    {"org", "add", "NAME --owner USER", 1, org_add},
    {"org", "member", "ORG USER --role admin|write|contributor|read", 2, org_member},
    {"org", "repos", "ORG public|private", 2, org_repos},
    {"token", "add", "--user NAME [--role read|write] [--name LABEL]", 0, token_add},
    {"token", "list", "--user NAME", 0, tokens_print},
    {"token", "revoke", "ID --user NAME", 1, token_drop},
};

static bool run(int n, char **args, Error *err)
{
    const char *data = getenv("HUG_DATA");
    Admin admin = {.o = {.data = data ? data : "data", .role = "write"}};
    if (!options_read(&admin.o, options, COUNT(options), &n, args, err))
        return false;
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (n < 3 || strcmp(args[1], commands[i].noun) != 0 ||
            strcmp(args[2], commands[i].verb) != 0)
            continue;
        if (n - 3 != commands[i].n)
            return fail(err, ERR_USAGE, "%s %s takes: %s", args[1], args[2], commands[i].takes);
        AUTO(arena_free) Arena *arena = arena_new(0);
        HubOptions where = {.data = admin.o.data, .db = admin.o.db, .accounts_only = true};
        AUTO(hub_close) Hub *hub = hub_open(&where, err);
        if (!hub)
            return false;
        admin.hub = hub;
        admin.arena = arena;
        return commands[i].run(&admin, args + 3, err);
    }
    return fail(err, ERR_USAGE, "say what: `hug help admin` lists it");
}

const Verb verb_admin = {
    .name = "admin",
    .synopsis = "user|org|token add|list|... [--data DIR | --db URL]",
    .summary = "accounts and access tokens of a hub",
    .help =
        "  user add NAME [--admin] [--password-stdin] [--email ADDRESS] [--fullname NAME]\n"
        "  user password NAME --password-stdin\n"
        "  user list\n"
        "  org add NAME --owner USER [--fullname NAME]\n"
        "  org member ORG USER --role admin|write|contributor|read\n"
        "  org repos ORG public|private      what its new repositories are where nobody says\n"
        "  token add --user NAME [--role read|write] [--name LABEL]    prints the token\n"
        "  token list --user NAME\n"
        "  token revoke ID --user NAME\n\n"
        "It works while the hub serves. --data is the hub's folder (default: data, or HUG_DATA).",
    .run = run,
};
