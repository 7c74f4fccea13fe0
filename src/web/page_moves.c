/* page_moves.c: giving an account another name, and deleting it: one's own, or an organisation by
 * its admins. Both ask for the password of whoever does it, deletion for the account's name too. */
#include "hub/account_moves.h"
#include "net/limits.h"
#include "web/web_internal.h"

/* The account that the page is about: {org}, or one's own. False: it has answered. */
static bool find(Request *r, Account *out)
{
    if (request_param(r, "org").len)
        return web_org(r, ACCESS_ADMIN, out);
    *out = web_viewer(r)->account;
    return true;
}

static Str settings_path(Request *r, const Account *account)
{
    return account->is_org
               ? str_of(arena_printf(request_arena(r), "/organizations/%.*s/settings/account",
                                     STR(account->name)))
               : S("/settings/account");
}

static void show(Request *r, int status, const Account *account, Str to, const char *problem)
{
    json_t *page = page_new(r, "Account");
    page_set_org(page, account);
    set_str(page, "name", account->name);
    set_str(page, "to", to);
    set_str(page, "action", settings_path(r, account));
    set(page, "problem", json_string(problem));
    page_render(r, status, "account_moves", page);
}

static void settings(Request *r)
{
    Account account;
    if (find(r, &account))
        show(r, 200, &account, account.name, "");
}

/* The form, the account, and that whoever sent it knows their own password. False: it has answered.
 */
static bool admitted(Request *r, Params *form, Account *account)
{
    Error err = {0};
    if (!web_form(r, form) || !find(r, account))
        return false;
    if (user_password_ok(hub_of(r), client_key(r), &web_viewer(r)->account,
                         params_get(form, "password"), &err))
        return true;
    if (err.code == ERR_UNAUTHENTICATED)
        show(r, 400, account, params_get(form, "to"), "That is not your password");
    else if (err.code == ERR_RATE)
        show(r, 429, account, params_get(form, "to"), err.text);
    else
        reply_error(r, &err);
    return false;
}

static void rename_account(Request *r)
{
    Params form;
    Error err = {0};
    Account account;
    if (!admitted(r, &form, &account))
        return;
    Str to = str_trim(params_get(&form, "to"));
    if (!account_rename(hub_of(r), &account, to, &err))
        return err.code == ERR_INVALID || err.code == ERR_EXISTS
                   ? show(r, error_http_status(err.code), &account, to, err.text)
                   : reply_error(r, &err);
    account.name = to;
    reply_redirect(r, 303, settings_path(r, &account));
}

static void delete_account(Request *r)
{
    Params form;
    Error err = {0};
    Account account;
    if (!admitted(r, &form, &account))
        return;
    if (!str_eq_nocase(str_trim(params_get(&form, "name")), account.name))
        return show(r, 400, &account, account.name, "Type the name to delete it");
    if (!account_delete(hub_of(r), &account, &err))
        return err.code == ERR_CONFLICT ? show(r, 409, &account, account.name, err.text)
                                        : reply_error(r, &err);
    if (!account.is_org)
        web_set_session(r, (Str){0});
    reply_redirect(r, 303, account.is_org ? S("/settings/organizations") : S("/"));
}

#define ORG "/organizations/{org}/settings/account"

const Route web_moves_routes[] = {
    {"GET", "/settings/account", settings, .access = WEB_LOGGED_IN,
     .summary = "Another name, and the end"},
    {"POST", "/settings/account/rename", rename_account, .access = WEB_LOGGED_IN,
     .summary = "Take another name"},
    {"POST", "/settings/account/delete", delete_account, .access = WEB_LOGGED_IN,
     .summary = "Delete one's account"},
    {"GET", ORG, settings, .access = WEB_LOGGED_IN, .summary = "Another name, and the end"},
    {"POST", ORG "/rename", rename_account, .access = WEB_LOGGED_IN,
     .summary = "Give an organisation another name"},
    {"POST", ORG "/delete", delete_account, .access = WEB_LOGGED_IN,
     .summary = "Delete an organisation"},
};
const size_t web_moves_routes_n = COUNT(web_moves_routes);
