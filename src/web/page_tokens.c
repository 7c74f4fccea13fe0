/* page_tokens.c: access tokens of a person and of an organisation: made, listed, changed, given a
 * new secret, revoked.
 *
 * One form serves a new token and an old one. What it shows comes from a Token, whether that is a
 * stored one, what somebody has just sent, or what a link asked for: the addresses that
 * huggingface.co's documentation gives (/settings/tokens/new?ownUserPermissions=...) work here. */
#include "hub/tokens.h"
#include "web/web_internal.h"

/* ---- Whose ---- */

typedef struct Owner {
    Account account;
    const char *path; // of the list
} Owner;

/* The viewer, or the organisation {org} if the viewer administers it. False: it has answered. */
static bool owner_of(Request *r, Owner *out)
{
    Str org = request_param(r, "org");
    if (!org.len) {
        *out = (Owner){web_viewer(r)->account, "/settings/tokens"};
        return true;
    }
    if (!web_org(r, ACCESS_ADMIN, &out->account))
        return false;
    out->path = arena_printf(request_arena(r), "/organizations/%.*s/settings/tokens",
                             STR(out->account.name));
    return true;
}

/* ---- The list ---- */

static json_t *token_json(const Token *t)
{
    json_t *o = json_object();
    set_str(o, "id", t->id);
    set_str(o, "name", t->name);
    set_str(o, "role", str_eq(t->role, S("fineGrained")) ? S("fine-grained") : t->role);
    set_str(o, "tail", t->tail);
    set(o, "created", json_when(t->created_ns));
    set(o, "used", t->used_ns ? json_when(t->used_ns) : json_null());
    set(o, "expires", t->expires_ns ? json_when(t->expires_ns) : json_null());
    set(o, "ended", json_boolean(t->expires_ns && t->expires_ns <= wall_ns()));
    return o;
}

/* The secret is shown on the page that answers its making, and never again. */
static void show_list(Request *r, int status, const Owner *owner, Str secret, const char *problem)
{
    Error err = {0};
    Token *tokens;
    size_t n;
    if (!token_list(hub_of(r), request_arena(r), owner->account.name, &tokens, &n, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, "Access tokens"), *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, token_json(&tokens[i]));
    set(page, "tokens", list);
    set(page, "path", json_string(owner->path));
    page_set_org(page, &owner->account);
    set_str(page, "secret", secret);
    set(page, "problem", json_string(problem));
    page_render(r, status, "tokens", page);
}

static void list(Request *r)
{
    Owner owner;
    if (owner_of(r, &owner))
        show_list(r, 200, &owner, (Str){0}, "");
}

/* ---- The form ---- */

static Permissions rights_on(const TokenRights *rights, Str name)
{
    Permissions all = 0;
    for (size_t i = 0; i < rights->n_scopes; i++)
        if (str_eq_nocase(rights->scopes[i].name, name))
            all |= rights->scopes[i].permissions;
    return all;
}

static json_t *boxes_json(unsigned place, Permissions on)
{
    json_t *out = json_array();
    for (int i = 0; i < PERMISSION_COUNT; i++) {
        const PermissionInfo *info = permission_info((Permission)i);
        if (info->places & place)
            json_array_append_new(out, json_pack("{s:s, s:s, s:b}", "name", info->name, "text",
                                                 info->text, "on", (on & 1u << i) != 0));
    }
    return out;
}

static void add_section(json_t *sections, const char *title, const char *field, bool open,
                        json_t *boxes)
{
    json_array_append_new(sections, json_pack("{s:s, s:s, s:b, s:o}", "title", title, "field",
                                              field, "open", open, "boxes", boxes));
}

static bool is_repo(const TokenScope *scope)
{
    return str_find_char(scope->name, '/', 0) != SIZE_MAX;
}

/* What the boxes for repositories show: what all have in common, if they do. */
static Permissions common_rights(const TokenRights *rights, bool *same)
{
    Permissions first = 0;
    size_t seen = 0;
    *same = true;
    for (size_t i = 0; i < rights->n_scopes; i++) {
        if (!is_repo(&rights->scopes[i]))
            continue;
        if (!seen++)
            first = rights->scopes[i].permissions;
        *same &= first == rights->scopes[i].permissions;
    }
    return *same ? first : 0;
}

/* A line each: "datasets/me/x", with " = permissions" where they differ. */
static Str repo_lines(Arena *a, const TokenRights *rights, bool same)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < rights->n_scopes; i++) {
        const TokenScope *scope = &rights->scopes[i];
        if (!is_repo(scope))
            continue;
        RepoKind kind = REPO_MODEL;
        if (scope->kind.len)
            (void)repo_kind_parse(scope->kind, &kind);
        buf_printf(&out, "%s%.*s", repo_kind_info(kind)->prefix, STR(scope->name));
        if (!same)
            buf_printf(&out, " = %.*s", STR(permissions_format(a, scope->permissions)));
        buf_add_char(&out, '\n');
    }
    return arena_str(a, buf_str(&out));
}

static json_t *sections_json(Request *r, const Owner *owner, const TokenRights *rights)
{
    Arena *a = request_arena(r);
    const Account *account = &owner->account;
    json_t *sections = json_array();
    Permissions own = rights_on(rights, account->name);
    add_section(sections, account->is_org ? "This organisation" : "Your own account", "own", true,
                boxes_json(account->is_org ? ON_ORG : ON_USER, own));
    for (size_t i = 0; i < account->n_others && !account->is_org; i++) {
        Str name = account->others[i].name;
        Permissions on = rights_on(rights, name);
        add_section(sections, arena_printf(a, "Organisation %.*s", STR(name)),
                    arena_printf(a, "org:%.*s", STR(name)), on != 0, boxes_json(ON_ORG, on));
    }
    add_section(sections, "Everywhere", "global", rights->global != 0,
                boxes_json(GLOBALLY, rights->global));
    return sections;
}

/* All the boxes of one field that were ticked. */
static bool ticked(const Params *form, const char *field, unsigned place, Permissions *out,
                   Error *err)
{
    *out = 0;
    for (size_t i = 0; i < form->n; i++) {
        Permissions one;
        if (!str_eq(form->items[i].name, str_of(field)))
            continue;
        if (!permissions_parse(form->items[i].value, place, &one, err))
            return false;
        *out |= one;
    }
    return true;
}

/* token->id empty: a new one. `sent`: what was typed and could not be, or NULL. */
static void show_form(Request *r, int status, const Owner *owner, const Token *token,
                      const Params *sent, const char *problem)
{
    bool same;
    Permissions common = common_rights(&token->rights, &same);
    Str lines = repo_lines(request_arena(r), &token->rights, same);
    if (sent) {
        lines = params_get(sent, "repos");
        (void)ticked(sent, "repo", ON_REPO, &common, NULL);
    }
    json_t *page = page_new(r, token->id.len ? "Change a token" : "New token");
    page_set_org(page, &owner->account);
    set(page, "path", json_string(owner->path));
    set_str(page, "id", token->id);
    set_str(page, "name", token->name);
    set_str(page, "role", token->role);
    set(page, "expires", token->expires_ns ? json_when(token->expires_ns) : json_null());
    set(page, "sections", sections_json(r, owner, &token->rights));
    set(page, "repo_boxes", boxes_json(ON_REPO, common));
    set_str(page, "repos", lines);
    set(page, "gated", json_boolean(token->rights.reads_gated));
    set(page, "problem", json_string(problem));
    page_render(r, status, "token", page);
}

/* Names that we do not know are left out: links may ask for more than there is here. */
static Permissions wanted(Request *r, const char *name, unsigned place)
{
    Permissions all = 0, one;
    const Params *query = request_query(r);
    for (size_t i = 0; i < query->n; i++) {
        Str values = query->items[i].value, value;
        if (!str_eq(query->items[i].name, str_of(name)))
            continue;
        while (str_split(&values, ',', &value))
            if (permissions_parse(value, place, &one, NULL))
                all |= one;
    }
    return all;
}

static void new_token(Request *r)
{
    Owner owner;
    if (!owner_of(r, &owner))
        return;
    Arena *a = request_arena(r);
    Str type = request_query_get(r, "tokenType"), org = request_query_get(r, "orgs");
    TokenScope *scopes = NEW_ARRAY(a, TokenScope, 2);
    scopes[0] = (TokenScope){
        .name = owner.account.name,
        .permissions = wanted(r, "ownUserPermissions", owner.account.is_org ? ON_ORG : ON_USER)};
    scopes[1] = (TokenScope){.name = org, .permissions = wanted(r, "orgPermissions", ON_ORG)};
    bool known = str_eq(type, S("read")) || str_eq(type, S("write"));
    Token token = {
        .role = known ? type : S("fineGrained"),
        .rights = {.reads_gated = str_eq(request_query_get(r, "canReadGatedRepos"), S("true")),
                   .global = wanted(r, "globalPermissions", GLOBALLY),
                   .scopes = scopes,
                   .n_scopes = 1 + (org.len > 0)}};
    show_form(r, 200, &owner, &token, NULL, "");
}

static void one_token(Request *r)
{
    Error err = {0};
    Owner owner;
    Token token;
    if (!owner_of(r, &owner))
        return;
    if (!token_find(hub_of(r), request_arena(r), owner.account.name, request_param(r, "id"), &token,
                    &err))
        return reply_error(r, &err);
    show_form(r, 200, &owner, &token, NULL, "");
}

/* ---- What was sent ---- */

static bool add_scope(TokenRights *rights, Str name, Permissions permissions, Error *err)
{
    if (rights->n_scopes == MAX_SCOPES)
        return fail(err, ERR_LIMIT, "a token names at most %d accounts and repositories",
                    MAX_SCOPES);
    if (permissions)
        rights->scopes[rights->n_scopes++] = (TokenScope){.name = name, .permissions = permissions};
    return true;
}

static bool read_repos(const Params *form, TokenRights *rights, Error *err)
{
    Permissions common;
    Str lines = params_get(form, "repos"), line;
    if (!ticked(form, "repo", ON_REPO, &common, err))
        return false;
    while (str_split(&lines, '\n', &line)) {
        size_t equals = str_find_char(line, '=', 0);
        Str name = str_trim(str_slice(line, 0, equals));
        Permissions permissions = common;
        if (!name.len)
            continue;
        if (str_find_char(name, '/', 0) == SIZE_MAX)
            return fail(err, ERR_INVALID, "'%.*s' is not of the form owner/name", STR(name));
        if (equals != SIZE_MAX &&
            !permissions_parse(str_trim(str_slice(line, equals + 1, line.len)), ON_REPO,
                               &permissions, err))
            return false;
        if (!permissions)
            return fail(err, ERR_INVALID, "Tick what the token may do with %.*s", STR(name));
        if (!add_scope(rights, name, permissions, err))
            return false;
    }
    return true;
}

static bool read_rights(Request *r, const Owner *owner, const Params *form, TokenRights *out,
                        Error *err)
{
    const Account *account = &owner->account;
    Permissions permissions;
    *out = (TokenRights){.reads_gated = params_get(form, "gated").len > 0,
                         .scopes = NEW_ARRAY(request_arena(r), TokenScope, MAX_SCOPES)};
    if (!ticked(form, "global", GLOBALLY, &out->global, err) ||
        !ticked(form, "own", account->is_org ? ON_ORG : ON_USER, &permissions, err) ||
        !add_scope(out, account->name, permissions, err))
        return false;
    for (size_t i = 0; i < account->n_others && !account->is_org; i++) {
        Str name = account->others[i].name;
        if (!ticked(form, arena_printf(request_arena(r), "org:%.*s", STR(name)), ON_ORG,
                    &permissions, err) ||
            !add_scope(out, name, permissions, err))
            return false;
    }
    return read_repos(form, out, err);
}

/* expires: "" never, "keep", or a number of days from now. */
static bool read_expiry(const Params *form, int64_t old, int64_t *out, Error *err)
{
    Str text = params_get(form, "expires");
    int64_t days;
    *out = str_eq(text, S("keep")) ? old : 0;
    if (!text.len || str_eq(text, S("keep")))
        return true;
    if (!str_to_int(text, 1, 36500, &days))
        return fail(err, ERR_INVALID, "expires: a number of days");
    *out = wall_ns() + days * 86400 * NS_PER_S;
    return true;
}

static bool is_ours(ErrorCode code)
{
    return code == ERR_INVALID || code == ERR_LIMIT || code == ERR_NO_REPO || code == ERR_NOT_FOUND;
}

static void make(Request *r)
{
    Params form;
    Error err = {0};
    Owner owner;
    Str secret;
    if (!web_form(r, &form) || !owner_of(r, &owner))
        return;
    Token token = {.name = str_trim(params_get(&form, "name")), .role = params_get(&form, "role")};
    if (read_expiry(&form, 0, &token.expires_ns, &err) &&
        read_rights(r, &owner, &form, &token.rights, &err) &&
        token_make(hub_of(r), request_arena(r), owner.account.name, &token, &secret, &err))
        return show_list(r, 201, &owner, secret, "");
    return is_ours(err.code) ? show_form(r, 400, &owner, &token, &form, err.text)
                             : reply_error(r, &err);
}

static void change(Request *r)
{
    Params form;
    Error err = {0};
    Owner owner;
    Token token;
    if (!web_form(r, &form) || !owner_of(r, &owner))
        return;
    Arena *a = request_arena(r);
    Str id = request_param(r, "id");
    if (!token_find(hub_of(r), a, owner.account.name, id, &token, &err))
        return reply_error(r, &err);
    token.name = str_trim(params_get(&form, "name"));
    if (read_expiry(&form, token.expires_ns, &token.expires_ns, &err) &&
        read_rights(r, &owner, &form, &token.rights, &err) &&
        token_edit(hub_of(r), a, owner.account.name, id, &token, &err))
        return reply_redirect(r, 303, str_of(owner.path));
    return is_ours(err.code) ? show_form(r, 400, &owner, &token, &form, err.text)
                             : reply_error(r, &err);
}

static void rotate(Request *r)
{
    Params form;
    Error err = {0};
    Owner owner;
    Str secret;
    if (!web_form(r, &form) || !owner_of(r, &owner))
        return;
    if (!token_rotate(hub_of(r), request_arena(r), owner.account.name, request_param(r, "id"),
                      &secret, &err))
        return reply_error(r, &err);
    show_list(r, 200, &owner, secret, "");
}

static void revoke(Request *r)
{
    Params form;
    Error err = {0};
    Owner owner;
    if (!web_form(r, &form) || !owner_of(r, &owner))
        return;
    if (!token_revoke(hub_of(r), owner.account.name, request_param(r, "id"), &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(owner.path));
}

#define TOKEN_ROUTES(path)                                                                         \
    {"GET", path, list, .access = WEB_LOGGED_IN, .summary = "Access tokens"},                      \
        {"POST", path, make, .access = WEB_LOGGED_IN, .summary = "Make a token"},                  \
        {"GET", path "/new", new_token, .access = WEB_LOGGED_IN,                                   \
         .summary = "The form for a new token"},                                                   \
        {"GET", path "/{id}", one_token, .access = WEB_LOGGED_IN, .summary = "A token"},           \
        {"POST", path "/{id}", change, .access = WEB_LOGGED_IN, .summary = "Change a token"},      \
        {"POST", path "/{id}/rotate", rotate, .access = WEB_LOGGED_IN,                             \
         .summary = "A new secret for a token"},                                                   \
    {                                                                                              \
        "POST", path "/{id}/revoke", revoke, .access = WEB_LOGGED_IN, .summary = "Revoke a token"  \
    }

const Route web_token_routes[] = {
    TOKEN_ROUTES("/settings/tokens"),
    TOKEN_ROUTES("/organizations/{org}/settings/tokens"),
};
const size_t web_token_routes_n = COUNT(web_token_routes);
