/* page_account.c: signing up, logging in and out. */
#include "net/limits.h"
#include "web/web_internal.h"

static void show_login(Request *r, int status, Str next, Str name, const char *problem)
{
    json_t *page = page_new(r, "Log in");
    set_str(page, "next", next);
    set_str(page, "name", name);
    set(page, "problem", json_string(problem));
    page_render(r, status, "login", page);
}

static void login(Request *r)
{
    if (web_is_known(r))
        return reply_redirect(r, 303, web_next(request_query_get(r, "next")));
    show_login(r, 200, web_next(request_query_get(r, "next")), (Str){0}, "");
}

static void do_login(Request *r)
{
    Params form;
    Error err = {0};
    Str cookie;
    if (!web_form(r, &form))
        return;
    Str name = str_trim(params_get(&form, "name")), next = web_next(params_get(&form, "next"));
    if (!session_open(hub_of(r), request_arena(r), client_key(r), name,
                      params_get(&form, "password"), &cookie, &err))
        return err.code == ERR_UNAUTHENTICATED || err.code == ERR_RATE || err.code == ERR_INVALID
                   ? show_login(r, error_http_status(err.code), next, name, err.text)
                   : reply_error(r, &err);
    web_set_session(r, cookie);
    reply_redirect(r, 303, next);
}

static void logout(Request *r)
{
    Params form;
    Error err = {0};
    if (!web_form(r, &form))
        return;
    if (!session_close(hub_of(r), request_cookie(r, SESSION_COOKIE), &err))
        return reply_error(r, &err);
    web_set_session(r, (Str){0});
    reply_redirect(r, 303, S("/"));
}

static void show_join(Request *r, int status, const NewUser *user, const char *problem)
{
    json_t *page = page_new(r, "Sign up");
    set_str(page, "name", user->name);
    set_str(page, "fullname", user->fullname);
    set_str(page, "email", user->email);
    set(page, "problem", json_string(problem));
    page_render(r, status, "join", page);
}

static void join(Request *r)
{
    if (web_is_known(r))
        return reply_redirect(r, 303, S("/"));
    if (web_current()->options.no_signup)
        return reply_failure(r, 403, "Accounts on this hub are made by its administrator");
    show_join(r, 200, &(NewUser){0}, "");
}

static void do_join(Request *r)
{
    Params form;
    Error err = {0};
    Account account;
    Str cookie;
    if (!web_form(r, &form))
        return;
    if (web_current()->options.no_signup)
        return reply_failure(r, 403, "Accounts on this hub are made by its administrator");
    NewUser user = {.name = str_trim(params_get(&form, "name")),
                    .fullname = str_trim(params_get(&form, "fullname")),
                    .email = str_trim(params_get(&form, "email")),
                    .password = params_get(&form, "password")};
    if (!user.password.len)
        return show_join(r, 400, &user, "Choose a password of at least 8 characters");
    if (!signup_admit(hub_of(r), client_key(r), &err) ||
        !user_create(hub_of(r), request_arena(r), &user, &account, &err))
        return err.code == ERR_INVALID || err.code == ERR_EXISTS || err.code == ERR_RATE
                   ? show_join(r, error_http_status(err.code), &user, err.text)
                   : reply_error(r, &err);
    if (!session_open_for(hub_of(r), request_arena(r), &account, &cookie, &err))
        return reply_error(r, &err);
    web_set_session(r, cookie);
    reply_redirect(r, 303, S("/"));
}

static void settings(Request *r)
{
    reply_redirect(r, 303, S("/settings/profile"));
}

const Route web_account_routes[] = {
    {"GET", "/login", login, .summary = "Log in"},
    {"POST", "/login", do_login, .summary = "Log in"},
    {"POST", "/logout", logout, .summary = "Log out"},
    {"GET", "/join", join, .summary = "Sign up"},
    {"POST", "/join", do_join, .summary = "Sign up"},
    {"GET", "/settings", settings, .access = WEB_LOGGED_IN, .summary = "Settings"},
};
const size_t web_account_routes_n = COUNT(web_account_routes);
