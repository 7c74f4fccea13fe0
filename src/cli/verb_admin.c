/* verb_admin.c: accounts and tokens from the command line. It works on the database beside a hub
 * that serves: both see each other's changes at once. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "hub/account_moves.h"
#include "hub/search.h"
#include "hub/tokens.h"

#include <unistd.h>

typedef struct AdminOptions {
    const char *data, *db;
    const char *user, *role, *name, *email, *fullname, *owner;
    const char *global, *expires;
    OptionList scopes;
    bool admin, password_stdin, gated;
} AdminOptions;

static const Option options[] = {
    VALUE(AdminOptions, data, TEXT, "--data", "DIR",
          "the hub's folder (default: data, or HUG_DATA)"),
    VALUE(AdminOptions, db, TEXT, "--db", "URL",
          "its database (default: what DIR/hug.conf or HUG_DB says, or hub.db there)"),
    VALUE(AdminOptions, user, TEXT, "--user", "NAME", "whose token: a user's or an organisation's"),
    VALUE(AdminOptions, role, TEXT, "--role", "ROLE",
          "a token's: read, write (default) or fineGrained; a member's: read to admin"),
    VALUE(AdminOptions, name, TEXT, "--name", "LABEL", "what a token is called"),
    VALUE(AdminOptions, scopes, LIST, "--scope", "WHAT=PERMISSIONS",
          "what a fine-grained token may: alice=repo.write, models/team/x=repo.content.read,..."),
    VALUE(AdminOptions, global, TEXT, "--global", "PERMISSIONS",
          "what it may everywhere: discussion.write,inference.serverless.write"),
    FLAG(AdminOptions, gated, "--gated", "it reads gated repositories that let its owner in"),
    VALUE(AdminOptions, expires, TEXT, "--expires", "DAYS|DATE",
          "when a token ends: in 30 days, or on 2027-01-31"),
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

/* The account of args[0], of the kind that the command names. */
static bool account_named(Admin *admin, char **args, bool org, Account *out, Error *err)
{
    if (!account_find(admin->hub, admin->arena, str_of(args[0]), out, err))
        return false;
    return out->is_org == org || fail(err, ERR_INVALID, "'%s' is %s", args[0],
                                      out->is_org ? "an organisation" : "a user");
}

static bool user_rename(Admin *admin, char **args, Error *err)
{
    Account account;
    return account_named(admin, args, false, &account, err) &&
           account_rename(admin->hub, &account, str_of(args[1]), err);
}

static bool user_delete(Admin *admin, char **args, Error *err)
{
    Account account;
    return account_named(admin, args, false, &account, err) &&
           account_delete(admin->hub, &account, err);
}

static bool org_rename(Admin *admin, char **args, Error *err)
{
    Account account;
    return account_named(admin, args, true, &account, err) &&
           account_rename(admin->hub, &account, str_of(args[1]), err);
}

static bool org_delete(Admin *admin, char **args, Error *err)
{
    Account account;
    return account_named(admin, args, true, &account, err) &&
           account_delete(admin->hub, &account, err);
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

/* "WHAT=PERMISSION,PERMISSION" */
static bool scope_parse(const char *text, TokenScope *out, Error *err)
{
    Str all = str_of(text);
    size_t equals = str_find_char(all, '=', 0);
    if (equals == SIZE_MAX)
        return fail(err, ERR_USAGE, "--scope %s: WHAT=PERMISSIONS", text);
    out->name = str_slice(all, 0, equals);
    return permissions_parse(str_slice(all, equals + 1, all.len), ON_REPO | ON_USER | ON_ORG,
                             &out->permissions, err);
}

/* "30" or "30d" from now on, or the day "2027-01-31". */
static bool expiry_parse(Admin *admin, const char *text, int64_t *out, Error *err)
{
    int64_t days;
    Str value = str_of(text);
    if (str_ends(value, S("d")))
        value.len--;
    if (str_to_int(value, 1, 36500, &days))
        *out = wall_ns() + days * 86400 * NS_PER_S;
    else if (!iso8601_parse(str_of(arena_printf(admin->arena, "%sT00:00:00Z", text)), out))
        return fail(err, ERR_USAGE, "--expires %s: days, or a date like 2027-01-31", text);
    return true;
}

static bool token_add(Admin *admin, char **args, Error *err)
{
    const AdminOptions *o = &admin->o;
    TokenScope scopes[OPTION_LIST_MAX] = {0};
    Token token = {.name = str_of(o->name),
                   .role = str_of(o->role),
                   .rights = {.reads_gated = o->gated, .scopes = scopes}};
    Str secret;
    if (!user_given(admin, err) ||
        (o->expires && !expiry_parse(admin, o->expires, &token.expires_ns, err)) ||
        !permissions_parse(str_of(o->global), GLOBALLY, &token.rights.global, err))
        return false;
    for (int i = 0; i < o->scopes.n; i++)
        if (!scope_parse(o->scopes.items[i], &scopes[token.rights.n_scopes++], err))
            return false;
    if (!str_eq(token.role, S("fineGrained")) && (o->scopes.n || o->global || o->gated))
        return fail(err, ERR_USAGE, "--scope, --global and --gated are for --role fineGrained");
    if (!token_make(admin->hub, admin->arena, str_of(o->user), &token, &secret, err))
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
        const Token *t = &tokens[i];
        char used[ISO8601_SIZE] = "never used", ends[ISO8601_SIZE] = "no end";
        if (t->used_ns)
            iso8601_format(t->used_ns, used);
        if (t->expires_ns)
            iso8601_format(t->expires_ns, ends);
        printf("%.*s\thf_...%.*s\t%.*s\t%s\t%s\t%.*s\n", STR(t->id), STR(t->tail), STR(t->role),
               used, ends, STR(t->name));
        if (t->rights.global)
            printf("\teverywhere\t%.*s\n", STR(permissions_format(admin->arena, t->rights.global)));
        for (size_t k = 0; k < t->rights.n_scopes; k++)
            printf("\t%.*s %.*s\t%.*s\n", STR(t->rights.scopes[k].kind),
                   STR(t->rights.scopes[k].name),
                   STR(permissions_format(admin->arena, t->rights.scopes[k].permissions)));
    }
    return true;
}

static bool token_drop(Admin *admin, char **args, Error *err)
{
    return user_given(admin, err) &&
           token_revoke(admin->hub, str_of(admin->o.user), str_of(args[0]), err);
}

static bool search_again(Admin *admin, char **args, Error *err)
{
    return search_rebuild(admin->hub, err);
}

static const struct {
    const char *noun, *verb, *takes;
    int n; // arguments
    bool (*run)(Admin *admin, char **args, Error *err);
} commands[] = {
    {"user", "add", "NAME [--admin] [--password-stdin]", 1, user_add},
    {"user", "password", "NAME --password-stdin", 1, user_password},
    {"user", "list", "", 0, user_list},
    {"user", "rename", "NAME NEW-NAME", 2, user_rename},
    {"user", "delete", "NAME", 1, user_delete},
    {"org", "add", "NAME --owner USER", 1, org_add},
    {"org", "member", "ORG USER --role admin|write|contributor|read", 2, org_member},
    {"org", "repos", "ORG public|private", 2, org_repos},
    {"org", "rename", "ORG NEW-NAME", 2, org_rename},
    {"org", "delete", "ORG", 1, org_delete},
    {"token", "add", "--user NAME [--role read|write|fineGrained] [--scope ...]", 0, token_add},
    {"token", "list", "--user NAME", 0, tokens_print},
    {"token", "revoke", "ID --user NAME", 1, token_drop},
    {"search", "rebuild", "", 0, search_again},
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
        if (!admin.o.db && !serve_db(admin.o.data, arena, &admin.o.db, err))
            return false;
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
    .synopsis = "user|org|token|search add|list|... [--data DIR | --db URL]",
    .summary = "accounts and access tokens of a hub",
    .help =
        "  user add NAME [--admin] [--password-stdin] [--email ADDRESS] [--fullname NAME]\n"
        "  user password NAME --password-stdin\n"
        "  user list\n"
        "  user rename NAME NEW-NAME         repositories move along, the old name leads to the "
        "new\n"
        "  user delete NAME                  with all that is theirs; org delete likewise\n"
        "  org add NAME --owner USER [--fullname NAME]\n"
        "  org member ORG USER --role admin|write|contributor|read\n"
        "  org rename ORG NEW-NAME, org delete ORG\n"
        "  org repos ORG public|private      what its new repositories are where nobody says\n"
        "  token add --user NAME [--role read|write] [--name LABEL] [--expires DAYS|DATE]\n"
        "                                    prints the token; NAME may be an organisation\n"
        "  token add --user NAME --role fineGrained [--scope WHAT=PERMISSION,...]...\n"
        "            [--global PERMISSION,...] [--gated]    one that may no more than it says;\n"
        "                                    WHAT: an account, models/NAME/X, datasets/NAME/X\n"
        "  token list --user NAME\n"
        "  token revoke ID --user NAME\n"
        "  search rebuild                    has the hub index all repositories anew\n\n"
        "It works while the hub serves. --data is the hub's folder (default: data, or HUG_DATA).\n"
        "Without --db it finds the database as `hug serve` does: DIR/hug.conf, HUG_DB.",
    .run = run,
};
