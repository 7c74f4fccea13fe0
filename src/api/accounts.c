/* accounts.c: who am I, who are they, and what clients say to the Hub for its statistics. */
#include "api/api_internal.h"

static json_t *member_json(const Member *m)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:n, s:b, s:n, s:o, s:b}", "type", "org", "id",
                     json_from_str(m->id), "name", json_from_str(m->name), "fullname",
                     json_from_str(m->fullname), "email", "canPay", 0, "periodEnd", "roleInOrg",
                     json_from_str(m->role), "isEnterprise", 0);
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
    api_reply(r, json_pack("{s:s, s:o, s:o, s:o, s:n, s:b, s:n, s:b, s:[], s:o}", "type", "org",
                           "id", json_from_str(account->id), "name", json_from_str(account->name),
                           "fullname", json_from_str(account->fullname), "email", "canPay", 0,
                           "periodEnd", "isEnterprise", 0, "orgs", "auth", auth_json(viewer)));
}

static void whoami(Request *r)
{
    const Viewer *viewer = api_viewer(r);
    const Account *account = &viewer->account;
    if (account->is_org)
        return whoami_org(r, viewer);
    json_t *out = json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:n, s:b, s:b}", "type", "user", "id",
                            json_from_str(account->id), "name", json_from_str(account->name),
                            "fullname", json_from_str(account->fullname), "emailVerified", 0,
                            "canPay", 0, "periodEnd", "isPro", 0, "isAdmin", account->is_admin);
    if (account->email.len)
        api_set_str(out, "email", account->email);
    json_t *orgs = json_array();
    for (size_t i = 0; i < account->n_others; i++)
        if (knows_org(viewer, &account->others[i]))
            json_array_append_new(orgs, member_json(&account->others[i]));
    json_object_set_new(out, "orgs", orgs);
    json_object_set_new(out, "auth", auth_json(viewer));
    api_reply(r, out);
}

static bool count_repos(Request *r, const Account *account, json_t *out, Error *err)
{
    static const char *const keys[REPO_KINDS] = {
        [REPO_MODEL] = "numModels", [REPO_DATASET] = "numDatasets", [REPO_SPACE] = "numSpaces"};
    for (int i = 0; i < REPO_KINDS; i++) {
        RepoQuery query = {.kind = (RepoKind)i, .author = account->name, .limit = 1};
        RepoPage page;
        if (!repo_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, err))
            return false;
        json_object_set_new(out, keys[i], json_integer(page.total));
    }
    return true;
}

/* The overview of a user or, for organizations/, of an organisation. */
static void overview(Request *r)
{
    Error err = {0};
    Account account;
    bool org = str_of(request_route(r)->pattern).ptr[5] == 'o';
    if (!account_find(api_of(r)->hub, request_arena(r), request_param(r, "name"), &account, &err))
        return reply_error(r, &err);
    if (account.is_org != org)
        return reply_failure(r, 404,
                             org ? "This organization does not exist" : "This user does not exist");
    json_t *out = json_object();
    json_object_set_new(out, org ? "name" : "user", json_from_str(account.name));
    json_object_set_new(out, "fullname", json_from_str(account.fullname));
    json_object_set_new(out, "type", json_string(org ? "org" : "user"));
    json_object_set_new(out, "createdAt", api_date(account.created_ns));
    json_object_set_new(out, "isPro", json_false());
    api_set_str(out, "details", account.about);
    if (org)
        json_object_set_new(out, "numUsers", json_integer((json_int_t)account.n_others));
    json_t *orgs = json_array();
    for (size_t i = 0; i < account.n_others && !org; i++)
        json_array_append_new(orgs, member_json(&account.others[i]));
    json_object_set_new(out, "orgs", orgs);
    if (!count_repos(r, &account, out, &err)) {
        json_decref(out);
        return reply_error(r, &err);
    }
    api_reply(r, out);
}

static void members(Request *r)
{
    Error err = {0};
    Account account;
    if (!account_find(api_of(r)->hub, request_arena(r), request_param(r, "name"), &account, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < account.n_others && account.is_org; i++) {
        const Member *m = &account.others[i];
        json_array_append_new(out, json_pack("{s:o, s:o, s:o, s:s, s:o}", "_id",
                                             json_from_str(m->id), "user", json_from_str(m->name),
                                             "fullname", json_from_str(m->fullname), "type", "user",
                                             "role", json_from_str(m->role)));
    }
    api_reply(r, out);
}

static void likes(Request *r)
{
    Error err = {0};
    Like *list;
    size_t n;
    if (!likes_of_user(api_of(r)->hub, request_arena(r), api_viewer(r), request_param(r, "name"),
                       &list, &n, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_pack("{s:o, s:{s:o, s:s}}", "createdAt",
                                             api_date(list[i].liked_ns), "repo", "name",
                                             json_from_str(list[i].name), "type",
                                             repo_kind_info(list[i].kind)->name));
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
    {"GET", "/api/users/{name}/overview", overview, .summary = "A user"},
    {"GET", "/api/users/{name}/likes", likes, .summary = "What a user likes"},
    {"GET", "/api/organizations/{name}/overview", overview, .summary = "An organisation"},
    {"GET", "/api/organizations/{name}/members", members, .summary = "An organisation's members"},
    {"GET", "/api/agent-harnesses", no_harnesses, .access = API_NO_VIEWER,
     .summary = "Known coding agents: none"},
    {"GET", "/api/telemetry/{path...}", thanks, .access = API_NO_VIEWER,
     .summary = "Clients' statistics, not kept"},
    {"POST", "/api/telemetry/{path...}", thanks, .access = API_NO_VIEWER,
     .summary = "Clients' statistics, not kept"},
};
const size_t account_routes_n = COUNT(account_routes);
