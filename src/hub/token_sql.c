/* token_sql.c: the statements about access tokens and what they allow; see hub_sql.h.
 *
 * Permissions are kept as their names, so that a row outlives changes of our table; a name that is
 * no longer known allows nothing. The one permission that lists filter by has a column of its own.
 */
#include "hub/hub_sql.h"

#define TOKEN_COLUMNS                                                                              \
    "id, name, role, tail, created_ns, used_ns, expires_ns, reads_gated, permissions, user_id "

/* A row of the table of permissions that has gone since is no reason to fail. */
static Permissions known(Str text)
{
    Permissions all = 0, one;
    for (Str name; str_split(&text, ',', &name);)
        if (permissions_parse(name, ON_REPO | ON_USER | ON_ORG | GLOBALLY, &one, NULL))
            all |= one;
    return all;
}

static void token_row(Query *q, Arena *a, Token *out, Str *owner)
{
    *out = (Token){0};
    out->id = row_str(q, a);
    out->name = row_str(q, a);
    out->role = row_str(q, a);
    out->tail = row_str(q, a);
    out->created_ns = row_int(q);
    out->used_ns = row_int(q);
    out->expires_ns = row_int(q);
    out->rights.reads_gated = row_int(q) != 0;
    out->rights.global = known(row_view(q));
    Str user = row_str(q, a);
    if (owner)
        *owner = user;
}

/* What a repository that has gone was allowed is left out. */
static bool scopes_of(Conn *c, Arena *a, Token *token, Error *err)
{
    if (!str_eq(token->role, S("fineGrained")))
        return true;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT token_scopes.kind, token_scopes.entity_id,"
                             " coalesce(accounts.name, repos.full_name),"
                             " token_scopes.permissions FROM token_scopes"
                             " LEFT JOIN accounts ON accounts.id = token_scopes.entity_id"
                             " LEFT JOIN repos ON repos.id = token_scopes.entity_id"
                             " WHERE token_scopes.token_id = $1"
                             " ORDER BY token_scopes.entity_id LIMIT 200");
    bind_str(q, token->id);
    TokenRights *rights = &token->rights;
    rights->scopes = NEW_ARRAY(a, TokenScope, MAX_SCOPES);
    while (rights->n_scopes < MAX_SCOPES && query_next(q)) {
        TokenScope *scope = &rights->scopes[rights->n_scopes];
        scope->kind = row_str(q, a);
        scope->id = row_str(q, a);
        scope->name = row_str(q, a);
        scope->permissions = known(row_view(q));
        rights->n_scopes += scope->name.len > 0;
    }
    return query_ok(q, err);
}

static bool scopes_add(Conn *c, const Token *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    for (size_t i = 0; i < token->rights.n_scopes; i++) {
        const TokenScope *scope = &token->rights.scopes[i];
        Permissions reads = 1u << MAY_REPO_READ | 1u << MAY_REPO_PUSH | 1u << MAY_REPO_WRITE;
        AUTO(query_end)
        Query *q = query_open(c, "INSERT INTO token_scopes (token_id, entity_id, kind, permissions,"
                                 " reads_repos) VALUES ($1, $2, $3, $4, $5)");
        bind_str(q, token->id);
        bind_str(q, scope->id);
        bind_str(q, scope->kind);
        bind_str(q, permissions_format(a, scope->permissions));
        bind_int(q, (scope->permissions & reads) != 0);
        if (!query_run(q, err))
            return false;
    }
    return true;
}

bool sql_token_add(Conn *c, const Token *token, Str owner, Str hash, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO tokens (" TOKEN_COLUMNS ", hash)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    bind_str(q, token->id);
    bind_str(q, token->name);
    bind_str(q, token->role);
    bind_str(q, token->tail);
    bind_int(q, token->created_ns);
    bind_int(q, token->used_ns);
    bind_int(q, token->expires_ns);
    bind_int(q, token->rights.reads_gated);
    bind_str(q, permissions_format(a, token->rights.global));
    bind_str(q, owner);
    bind_str(q, hash);
    return query_run(q, err) && scopes_add(c, token, err);
}

static bool token_one(Conn *c, Query *q, Arena *a, Token *out, Str *owner, Error *err)
{
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "there is no such token");
    token_row(q, a, out, owner);
    return scopes_of(c, a, out, err);
}

bool sql_token_by_hash(Conn *c, Arena *a, Str hash, Token *out, Str *owner, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " TOKEN_COLUMNS "FROM tokens WHERE hash = $1");
    bind_str(q, hash);
    return token_one(c, q, a, out, owner, err);
}

bool sql_token_by_id(Conn *c, Arena *a, Str owner, Str id, Token *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " TOKEN_COLUMNS "FROM tokens WHERE user_id = $1 AND id = $2");
    bind_str(q, owner);
    bind_str(q, id);
    return token_one(c, q, a, out, NULL, err);
}

bool sql_token_used(Conn *c, Str id, int64_t now, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "UPDATE tokens SET used_ns = $1 WHERE id = $2");
    bind_int(q, now);
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_token_list(Conn *c, Arena *a, Str owner, Token **out, size_t *n, Error *err)
{
    enum { MOST = 1000 };
    Token *tokens = NEW_ARRAY(a, Token, MOST);
    size_t found = 0;
    {
        AUTO(query_end)
        Query *q = query_open(c, "SELECT " TOKEN_COLUMNS "FROM tokens WHERE user_id = $1"
                                 " ORDER BY created_ns DESC");
        bind_str(q, owner);
        while (found < MOST && query_next(q))
            token_row(q, a, &tokens[found++], NULL);
        if (!query_ok(q, err))
            return false;
    }
    for (size_t i = 0; i < found; i++)
        if (!scopes_of(c, a, &tokens[i], err))
            return false;
    *out = tokens;
    *n = found;
    return true;
}

bool sql_token_set(Conn *c, const Token *token, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE tokens SET name = $1, expires_ns = $2, reads_gated = $3,"
                             " permissions = $4 WHERE id = $5");
    bind_str(q, token->name);
    bind_int(q, token->expires_ns);
    bind_int(q, token->rights.reads_gated);
    bind_str(q, permissions_format(a, token->rights.global));
    bind_str(q, token->id);
    AUTO(query_end) Query *clear = query_open(c, "DELETE FROM token_scopes WHERE token_id = $1");
    bind_str(clear, token->id);
    return query_run(q, err) && query_run(clear, err) && scopes_add(c, token, err);
}

bool sql_token_set_secret(Conn *c, const Token *token, Str hash, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE tokens SET hash = $1, tail = $2, used_ns = 0 WHERE id = $3");
    bind_str(q, hash);
    bind_str(q, token->tail);
    bind_str(q, token->id);
    return query_run(q, err);
}

bool sql_token_remove(Conn *c, Str owner, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM tokens WHERE user_id = $1 AND id = $2");
    bind_str(q, owner);
    bind_str(q, id);
    if (!query_run(q, err))
        return false;
    if (query_changes(q) == 0)
        return fail(err, ERR_NOT_FOUND, "there is no such token");
    return true;
}
