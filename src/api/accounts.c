/* accounts.c: who am I, and what clients say to the Hub for its statistics. */
#include "api/api_internal.h"

static json_t *member_json(Request *r, const Member *m)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:n, s:b, s:n, s:s, s:o, s:b}", "type", "org", "id",
                     json_from_str(m->id), "name", json_from_str(m->name), "fullname",
                     json_from_str(m->fullname), "email", "canPay", 0, "periodEnd", "avatarUrl",
                     api_avatar_url(r, m->name), "roleInOrg", json_from_str(m->role),
                     "isEnterprise", 0);
}

static json_t *permissions_json(Permissions permissions)
{
    json_t *out = json_array();
    for (int i = 0; i < PERMISSION_COUNT; i++)
        if (permissions & 1u << i)
            json_array_append_new(out, json_string(permission_info((Permission)i)->name));
    return out;
}

static json_t *rights_json(const TokenRights *rights)
{
    json_t *scoped = json_array();
    for (size_t i = 0; i < rights->n_scopes; i++) {
        const TokenScope *scope = &rights->scopes[i];
        json_array_append_new(scoped, json_pack("{s:{s:o, s:o, s:o}, s:o}", "entity", "_id",
                                                json_from_str(scope->id), "type",
                                                json_from_str(scope->kind), "name",
                                                json_from_str(scope->name), "permissions",
                                                permissions_json(scope->permissions)));
    }
    return json_pack("{s:b, s:o, s:o}", "canReadGatedRepos", rights->reads_gated, "global",
                     permissions_json(rights->global), "scoped", scoped);
}

static json_t *auth_json(const Viewer *viewer)
{
    if (viewer->by != BY_TOKEN)
        return json_pack("{s:s}", "type", "session");
    json_t *token = json_pack("{s:o, s:o, s:o}", "displayName", json_from_str(viewer->token_name),
                              "role", json_from_str(viewer->token_role), "createdAt",
                              api_date(viewer->token_created_ns));
    if (viewer->rights)
        json_object_set_new(token, "fineGrained", rights_json(viewer->rights));
    json_t *auth = json_pack("{s:s, s:o}", "type", "access_token", "accessToken", token);
    if (viewer->token_expires_ns)
        json_object_set_new(auth, "expiresAt", api_date(viewer->token_expires_ns));
    return auth;
}

/* A fine-grained token tells of those organisations alone that it has to do with. */
static bool knows_org(const Viewer *viewer, const Member *org)
{
    const TokenRights *rights = viewer->rights;
    for (size_t i = 0; rights && i < rights->n_scopes; i++) {
        Str name = rights->scopes[i].name;
        if (str_eq_nocase(str_slice(name, 0, str_find_char(name, '/', 0)), org->name))
            return true;
    }
    return !rights;
}

/* What a token of an organisation is told. */
static void whoami_org(Request *r, const Viewer *viewer)
{
    const Account *account = &viewer->account;
    api_reply(r,
              json_pack("{s:s, s:o, s:o, s:o, s:n, s:b, s:n, s:s, s:b, s:[], s:o}", "type", "org",
                        "id", json_from_str(account->id), "name", json_from_str(account->name),
                        "fullname", json_from_str(account->fullname), "email", "canPay", 0,
                        "periodEnd", "avatarUrl", api_avatar_url(r, account->name), "isEnterprise",
                        0, "orgs", "auth", auth_json(viewer)));
}

static void whoami(Request *r)
{
    const Viewer *viewer = api_viewer(r);
    const Account *account = &viewer->account;
    if (account->is_org)
        return whoami_org(r, viewer);
    json_t *out = json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:n, s:b, s:b, s:s}", "type", "user",
                            "id", json_from_str(account->id), "name", json_from_str(account->name),
                            "fullname", json_from_str(account->fullname), "emailVerified", 0,
                            "canPay", 0, "periodEnd", "isPro", 0, "isAdmin", account->is_admin,
                            "avatarUrl", api_avatar_url(r, account->name));
    if (account->email.len)
        api_set_str(out, "email", account->email);
    json_t *orgs = json_array();
    for (size_t i = 0; i < account->n_others; i++)
        if (knows_org(viewer, &account->others[i]))
            json_array_append_new(orgs, member_json(r, &account->others[i]));
    json_object_set_new(out, "orgs", orgs);
    json_object_set_new(out, "auth", auth_json(viewer));
    api_reply(r, out);
}

/* Clients call home with what they are; nobody here keeps it. */
static void thanks(Request *r)
{
    reply_empty(r, 204);
}

static void no_harnesses(Request *r)
{
    api_reply(r, json_object());
}

const Route account_routes[] = {
    {"GET", "/api/whoami-v2", whoami, .access = API_ANY_TOKEN, .summary = "The caller's account"},
    {"GET", "/api/agent-harnesses", no_harnesses, .access = API_NO_VIEWER,
     .summary = "Known coding agents: none"},
    {"GET", "/api/telemetry/{path...}", thanks, .access = API_NO_VIEWER,
     .summary = "Clients' statistics, not kept"},
    {"POST", "/api/telemetry/{path...}", thanks, .access = API_NO_VIEWER,
     .summary = "Clients' statistics, not kept"},
};
const size_t account_routes_n = COUNT(account_routes);
