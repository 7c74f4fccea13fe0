/* token.c: making, listing, changing and ending access tokens; see tokens.h. */
#include "hub/tokens.h"

#include "base/clock.h"
#include "base/digest.h"
#include "hub/hub_internal.h"

enum { TOKEN_LETTERS = 34, MAX_LABEL = 100 };

static char random_letter(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (;;) {
        uint8_t byte;
        random_bytes(&byte, 1);
        if (byte < 4 * 62) // a multiple of 62: each letter is as likely
            return letters[byte % 62];
    }
}

static Str secret_new(Arena *a)
{
    char text[3 + TOKEN_LETTERS] = "hf_";
    for (size_t i = 3; i < sizeof text; i++)
        text[i] = random_letter();
    return arena_str(a, (Str){text, sizeof text});
}

static Str tail_of(Str secret)
{
    return str_slice(secret, secret.len - 4, secret.len);
}

/* ---- What a fine-grained token names ---- */

/* An account: the owner's own, or an organisation that the owner is in. */
static bool account_scope(Hub *hub, Arena *a, const Viewer *owner, TokenScope *scope, Error *err)
{
    Account account;
    if (!account_find(hub, a, scope->name, &account, err))
        return false;
    bool mine = str_eq(account.id, owner->account.id);
    for (size_t i = 0; i < owner->account.n_others; i++)
        mine |= !owner->account.is_org && str_eq(owner->account.others[i].id, account.id);
    if (!mine)
        return fail(err, ERR_INVALID, "'%.*s' is neither %.*s nor an organisation of theirs",
                    STR(account.name), STR(owner->account.name));
    scope->kind = account.is_org ? S("org") : S("user");
    scope->id = account.id;
    scope->name = account.name;
    return true;
}

/* "me/x" and "models/me/x", "datasets/me/x", "spaces/me/x": something that the owner sees. */
static bool repo_scope(Hub *hub, Arena *a, const Viewer *owner, TokenScope *scope, Error *err)
{
    Str rest = scope->name, first = {0};
    RepoKind kind = REPO_MODEL;
    Repo repo;
    str_split(&rest, '/', &first);
    if (str_find_char(rest, '/', 0) == SIZE_MAX)
        rest = scope->name;
    else if (!repo_kind_parse(first, &kind))
        return fail(err, ERR_INVALID, "'%.*s' is no repository: OWNER/NAME, datasets/OWNER/NAME",
                    STR(scope->name));
    if (!repo_find(hub, a, owner, kind, rest, ACCESS_READ, &repo, err))
        return fail_while(err, "%.*s", STR(scope->name));
    scope->kind = str_of(repo_kind_info(kind)->name);
    scope->id = repo.id;
    scope->name = repo.full;
    return true;
}

static bool mask_check(Permissions permissions, unsigned place, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Permissions same;
    return permissions_parse(permissions_format(a, permissions), place, &same, err);
}

static bool scope_resolve(Hub *hub, Arena *a, const Viewer *owner, TokenScope *scope, Error *err)
{
    bool on_repo = str_find_char(scope->name, '/', 0) != SIZE_MAX;
    if (!(on_repo ? repo_scope : account_scope)(hub, a, owner, scope, err))
        return false;
    return mask_check(scope->permissions,
                      on_repo                         ? ON_REPO
                      : str_eq(scope->kind, S("org")) ? ON_ORG
                                                      : ON_USER,
                      err);
}

/* The rights with their ids, each entity once. */
static bool rights_resolve(Hub *hub, Arena *a, Str owner, const TokenRights *asked,
                           TokenRights *out, Error *err)
{
    Viewer viewer;
    TokenRights rights = {.reads_gated = asked->reads_gated,
                          .global = asked->global,
                          .scopes = NEW_ARRAY(a, TokenScope, asked->n_scopes)};
    if (asked->n_scopes > MAX_SCOPES)
        return fail(err, ERR_LIMIT, "a token names at most %d accounts and repositories",
                    MAX_SCOPES);
    if (!mask_check(asked->global, GLOBALLY, err) || !viewer_of_user(hub, a, owner, &viewer, err))
        return false;
    for (size_t i = 0; i < asked->n_scopes; i++) {
        TokenScope scope = asked->scopes[i];
        size_t at = 0;
        if (!scope_resolve(hub, a, &viewer, &scope, err))
            return false;
        while (at < rights.n_scopes && !str_eq(rights.scopes[at].id, scope.id))
            at++;
        if (at < rights.n_scopes)
            rights.scopes[at].permissions |= scope.permissions;
        else
            rights.scopes[rights.n_scopes++] = scope;
    }
    *out = rights;
    return true;
}

static bool label_check(Str name, Error *err)
{
    if (name.len > MAX_LABEL || !str_is_utf8(name))
        return fail(err, ERR_INVALID, "a token's name has at most %d bytes of UTF-8", MAX_LABEL);
    return true;
}

/* ---- Tokens ---- */

bool token_make(Hub *hub, Arena *a, Str owner, const Token *token, Str *secret, Error *err)
{
    bool fine = str_eq(token->role, S("fineGrained"));
    if (!fine && !str_eq(token->role, S("read")) && !str_eq(token->role, S("write")))
        return fail(err, ERR_INVALID, "role '%.*s': read, write or fineGrained", STR(token->role));
    if (token->expires_ns && token->expires_ns <= wall_ns())
        return fail(err, ERR_INVALID, "a token cannot end before it begins");
    Account account;
    if (!label_check(token->name, err) || !account_find(hub, a, owner, &account, err))
        return false;
    Str made = secret_new(a);
    Token row = {.id = id_new(a),
                 .name = token->name.len ? token->name : S("token"),
                 .role = token->role,
                 .tail = tail_of(made),
                 .created_ns = wall_ns(),
                 .expires_ns = token->expires_ns};
    if (fine && !rights_resolve(hub, a, owner, &token->rights, &row.rights, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_token_add(c, &row, account.id, secret_hash(a, made), err) ||
        !conn_commit(c, err))
        return false;
    *secret = made;
    return true;
}

bool token_create(Hub *hub, Arena *a, Str owner, Str name, Str role, Str *secret, Error *err)
{
    return token_make(hub, a, owner, &(Token){.name = name, .role = role}, secret, err);
}

bool token_list(Hub *hub, Arena *a, Str owner, Token **tokens, size_t *n, Error *err)
{
    Account account;
    if (!account_find(hub, a, owner, &account, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_token_list(c, a, account.id, tokens, n, err);
}

bool token_find(Hub *hub, Arena *a, Str owner, Str id, Token *out, Error *err)
{
    Account account;
    if (!account_find(hub, a, owner, &account, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_token_by_id(c, a, account.id, id, out, err);
}

bool token_edit(Hub *hub, Arena *a, Str owner, Str id, const Token *to, Error *err)
{
    Token row;
    if (!label_check(to->name, err) || !token_find(hub, a, owner, id, &row, err))
        return false;
    if (to->name.len)
        row.name = to->name;
    row.expires_ns = to->expires_ns;
    if (str_eq(row.role, S("fineGrained")) &&
        !rights_resolve(hub, a, owner, &to->rights, &row.rights, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_token_set(c, &row, err) && conn_commit(c, err);
}

bool token_rotate(Hub *hub, Arena *a, Str owner, Str id, Str *secret, Error *err)
{
    Token row;
    if (!token_find(hub, a, owner, id, &row, err))
        return false;
    Str made = secret_new(a);
    row.tail = tail_of(made);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_token_set_secret(c, &row, secret_hash(a, made), err) || !conn_commit(c, err))
        return false;
    *secret = made;
    return true;
}

bool token_revoke(Hub *hub, Str owner, Str id, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account account;
    if (!account_find(hub, a, owner, &account, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_token_remove(c, account.id, id, err) && conn_commit(c, err);
}
