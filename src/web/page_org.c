/* page_org.c: organisations: made, their profile, members and invitations, and leaving them. */
#include "hub/orgs.h"
#include "hub/people.h"
#include "web/web_internal.h"

bool web_org(Request *r, Access need, Account *out)
{
    Error err = {0};
    if (org_find(hub_of(r), request_arena(r), web_viewer(r), request_param(r, "org"), need, out,
                 &err))
        return true;
    reply_error(r, &err);
    return false;
}

void page_set_org(json_t *page, const Account *account)
{
    json_t *org = NULL;
    if (account->is_org) {
        org = json_object();
        set_str(org, "name", account->name);
        set(org, "settings", json_sprintf("/organizations/%.*s/settings", STR(account->name)));
    }
    set(page, "org", org ? org : json_null());
}

/* What the one who filled a form can mend. */
static bool is_ours(ErrorCode code)
{
    return code == ERR_INVALID || code == ERR_EXISTS || code == ERR_NOT_FOUND ||
           code == ERR_CONFLICT;
}

/* ---- A new one ---- */

static void show_new(Request *r, int status, Str name, Str fullname, const char *problem)
{
    json_t *page = page_new(r, "New organisation");
    set_str(page, "name", name);
    set_str(page, "fullname", fullname);
    set(page, "problem", json_string(problem));
    page_render(r, status, "org_new", page);
}

static void new_org(Request *r)
{
    show_new(r, 200, (Str){0}, (Str){0}, "");
}

static void make_org(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form))
        return;
    Arena *a = request_arena(r);
    Str name = str_trim(params_get(&form, "name")), full = str_trim(params_get(&form, "fullname"));
    if (!org_create(hub_of(r), a, name, full, web_viewer(r)->account.name, &org, &err))
        return is_ours(err.code) ? show_new(r, error_http_status(err.code), name, full, err.text)
                                 : reply_error(r, &err);
    reply_redirect(r, 303,
                   str_of(arena_printf(a, "/organizations/%.*s/settings/members", STR(org.name))));
}

/* ---- Its profile ---- */

static void show_profile(Request *r, int status, const Account *org, const char *notice,
                         const char *problem)
{
    json_t *page = page_new(r, "Organisation");
    page_set_org(page, org);
    page_set_account(page, org);
    set(page, "avatar_action", json_sprintf("/organizations/%.*s/settings/avatar", STR(org->name)));
    set(page, "private", json_boolean(org->repos_private));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    page_render(r, status, "org_profile", page);
}

static void profile(Request *r)
{
    Account org;
    if (web_org(r, ACCESS_ADMIN, &org))
        show_profile(r, 200, &org, "", "");
}

static void change_profile(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form) || !web_org(r, ACCESS_ADMIN, &org))
        return;
    org.fullname = str_trim(params_get(&form, "fullname"));
    org.about = str_trim(params_get(&form, "about"));
    org.website = str_trim(params_get(&form, "website"));
    org.repos_private = params_get(&form, "private").len > 0;
    ProfileChange change = {
        .fullname = &org.fullname, .about = &org.about, .website = &org.website};
    bool ok = profile_change(hub_of(r), &org, &change, &err) &&
              account_set_repos_private(hub_of(r), org.name, org.repos_private, &err);
    if (!ok && !is_ours(err.code))
        return reply_error(r, &err);
    show_profile(r, ok ? 200 : 400, &org, ok ? "Saved" : "", ok ? "" : err.text);
}

static void change_avatar(Request *r)
{
    Error err = {0};
    Account org;
    if (!web_org(r, ACCESS_ADMIN, &org))
        return;
    if (web_take_avatar(r, &org, &err))
        return reply_redirect(
            r, 303,
            str_of(arena_printf(request_arena(r), "/organizations/%.*s/settings/profile",
                                STR(org.name))));
    if (!web_avatar_is_wrong(&err))
        return reply_error(r, &err);
    show_profile(r, error_http_status(err.code), &org, "", err.text);
}

/* ---- Members ---- */

static json_t *roles_json(Str chosen)
{
    static const char *const texts[] = {"read: sees everything",
                                        "contributor: makes and changes own",
                                        "write: changes everything", "admin: and members"};
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(org_roles); i++)
        json_array_append_new(out, json_pack("{s:s, s:s, s:b}", "name", org_roles[i], "text",
                                             texts[i], "on", str_eq(chosen, str_of(org_roles[i]))));
    return out;
}

static json_t *person_json(Str name, Str fullname, Str role)
{
    json_t *o = json_object();
    set_str(o, "name", name);
    set_str(o, "fullname", fullname);
    set_str(o, "role", role);
    set(o, "roles", roles_json(role));
    return o;
}

/* An organisation's members, or a user's organisations. */
static json_t *others_json(const Account *account)
{
    json_t *out = json_array();
    for (size_t i = 0; i < account->n_others; i++) {
        const Member *m = &account->others[i];
        json_array_append_new(out, person_json(m->name, m->fullname, m->role));
    }
    return out;
}

/* Whom an organisation has asked, or which organisations ask a user. */
static json_t *invitations_json(const Account *account, const Invitation *all, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        const Invitation *one = &all[i];
        json_t *row = account->is_org ? person_json(one->user, one->user_fullname, one->role)
                                      : person_json(one->org, one->org_fullname, one->role);
        set(row, "when", json_when(one->created_ns));
        json_array_append_new(out, row);
    }
    return out;
}

static void show_members(Request *r, int status, const Account *known, const char *problem)
{
    Error err = {0};
    Account org;
    Invitation *invitations;
    size_t n;
    Arena *a = request_arena(r);
    // Anew: what was just done shows.
    if (!account_find(hub_of(r), a, known->name, &org, &err) ||
        !org_invitations(hub_of(r), a, &org, &invitations, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Members");
    page_set_org(page, &org);
    set(page, "members", others_json(&org));
    set(page, "invited", invitations_json(&org, invitations, n));
    set(page, "roles", roles_json(S("read")));
    set(page, "problem", json_string(problem));
    page_render(r, status, "org_members", page);
}

static void members(Request *r)
{
    Account org;
    if (web_org(r, ACCESS_ADMIN, &org))
        show_members(r, 200, &org, "");
}

static void done(Request *r, bool ok, const Account *org, const Error *err)
{
    if (!ok)
        return is_ours(err->code) ? show_members(r, error_http_status(err->code), org, err->text)
                                  : reply_error(r, err);
    reply_redirect(r, 303,
                   str_of(arena_printf(request_arena(r), "/organizations/%.*s/settings/members",
                                       STR(org->name))));
}

static void invite(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form) || !web_org(r, ACCESS_ADMIN, &org))
        return;
    bool ok = org_invite(hub_of(r), &org, str_trim(params_get(&form, "user")),
                         params_get(&form, "role"), &err);
    done(r, ok, &org, &err);
}

static void change_member(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form) || !web_org(r, ACCESS_ADMIN, &org))
        return;
    Str user = request_param(r, "user");
    bool ok = str_eq(params_get(&form, "do"), S("remove"))
                  ? org_remove_member(hub_of(r), &org, user, &err)
                  : org_change_role(hub_of(r), &org, user, params_get(&form, "role"), &err);
    done(r, ok, &org, &err);
}

static void uninvite(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form) || !web_org(r, ACCESS_ADMIN, &org))
        return;
    bool ok = org_uninvite(hub_of(r), &org, request_param(r, "user"), &err);
    done(r, ok, &org, &err);
}

/* ---- One's own ---- */

static void show_own(Request *r, int status, const char *problem)
{
    Error err = {0};
    Account me;
    Invitation *invitations;
    size_t n;
    Arena *a = request_arena(r);
    if (!account_find(hub_of(r), a, web_viewer(r)->account.name, &me, &err) ||
        !org_invitations(hub_of(r), a, &me, &invitations, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Organisations");
    set(page, "orgs", others_json(&me));
    set(page, "invited", invitations_json(&me, invitations, n));
    set(page, "problem", json_string(problem));
    page_render(r, status, "orgs", page);
}

static void own(Request *r)
{
    show_own(r, 200, "");
}

/* Joining, not joining, leaving. */
static void decide(Request *r)
{
    Params form;
    Error err = {0};
    Account org;
    if (!web_form(r, &form))
        return;
    Str what = params_get(&form, "do"), name = request_param(r, "org");
    bool ok;
    if (str_eq(what, S("leave"))) {
        if (!web_org(r, ACCESS_READ, &org))
            return;
        ok = org_remove_member(hub_of(r), &org, web_viewer(r)->account.name, &err);
    } else {
        ok = org_answer(hub_of(r), web_viewer(r), name, str_eq(what, S("join")), &err);
    }
    if (ok)
        return reply_redirect(r, 303, S("/settings/organizations"));
    return is_ours(err.code) ? show_own(r, error_http_status(err.code), err.text)
                             : reply_error(r, &err);
}

#define SETTINGS "/organizations/{org}/settings"
const Route web_org_routes[] = {
    {"GET", "/organizations/new", new_org, .access = WEB_LOGGED_IN,
     .summary = "The form for a new organisation"},
    {"POST", "/organizations/new", make_org, .access = WEB_LOGGED_IN,
     .summary = "Make an organisation"},
    {"GET", SETTINGS "/profile", profile, .access = WEB_LOGGED_IN,
     .summary = "An organisation's profile"},
    {"POST", SETTINGS "/profile", change_profile, .access = WEB_LOGGED_IN, .summary = "Change it"},
    {"POST", SETTINGS "/avatar", change_avatar, .access = WEB_LOGGED_IN,
     .max_body = AVATAR_MAX_BYTES + (64 << 10), .summary = "Its picture"},
    {"GET", SETTINGS "/members", members, .access = WEB_LOGGED_IN, .summary = "Its members"},
    {"POST", SETTINGS "/members", invite, .access = WEB_LOGGED_IN, .summary = "Ask one to join"},
    {"POST", SETTINGS "/members/{user}", change_member, .access = WEB_LOGGED_IN,
     .summary = "Change a member's role, or remove one"},
    {"POST", SETTINGS "/invitations/{user}", uninvite, .access = WEB_LOGGED_IN,
     .summary = "Take an invitation back"},
    {"GET", "/settings/organizations", own, .access = WEB_LOGGED_IN,
     .summary = "One's organisations and invitations"},
    {"POST", "/settings/organizations/{org}", decide, .access = WEB_LOGGED_IN,
     .summary = "Join, turn down or leave"},
};
const size_t web_org_routes_n = COUNT(web_org_routes);
