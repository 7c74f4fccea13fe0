/* account_moves.c: renaming and deleting accounts; see account_moves.h. */
#include "hub/account_moves.h"

#include "hub/hub_internal.h"
#include "hub/notification_sql.h"

/* ---- Another name ---- */

static bool rename_repos(Conn *c, Hub *hub, Arena *a, const Account *to, Error *err)
{
    Repo *repos;
    size_t n;
    if (!sql_repos_of_owner(c, a, to->id, &repos, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        Str full = str_of(arena_printf(a, "%.*s/%.*s", STR(to->name), STR(repos[i].name)));
        if (!repo_rename_in(c, hub, a, &repos[i], full, repos[i].name, to->id, err))
            return fail_while(err, "%.*s", STR(repos[i].full));
    }
    return true;
}

bool account_rename(Hub *hub, const Account *account, Str to, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account renamed = *account;
    renamed.name = to;
    if (str_eq(account->fullname, account->name)) // it had none of its own
        renamed.fullname = to;
    if (!account_name_check(to, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && account_name_is_free(c, a, to, account->id, err) &&
           rename_repos(c, hub, a, &renamed, err) &&
           sql_account_rename(c, &renamed, name_key(a, account->name), name_key(a, to), err) &&
           conn_commit(c, err);
}

/* ---- The end ---- */

/* Nothing is left without anybody who may look after it. */
static bool may_go(Conn *c, Arena *a, const Account *account, Error *err)
{
    Str org = {0};
    int64_t others = 0;
    if (account->is_org)
        return true;
    if (!sql_only_admin_of(c, a, account->id, &org, err))
        return false;
    if (org.len)
        return fail(err, ERR_CONFLICT,
                    "%.*s is the only admin of %.*s: make somebody else its admin, or delete it "
                    "first",
                    STR(account->name), STR(org));
    if (!account->is_admin)
        return true;
    return sql_other_hub_admins(c, account->id, &others, err) &&
           (others > 0 || fail(err, ERR_CONFLICT, "%.*s is the last administrator of this hub",
                               STR(account->name)));
}

static bool remove_repos(Conn *c, Hub *hub, Arena *a, const Account *account, Error *err)
{
    Repo *repos;
    size_t n;
    if (!sql_repos_of_owner(c, a, account->id, &repos, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!repo_remove_in(c, hub, &repos[i], err))
            return fail_while(err, "%.*s", STR(repos[i].full));
    return true;
}

bool account_delete(Hub *hub, const Account *account, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    {
        AUTO(conn_end) Conn *c = db_write(hub->db, err);
        if (!c || !may_go(c, a, account, err) || !remove_repos(c, hub, a, account, err) ||
            !sql_watches_forget(c, account->id, err) || !sql_account_remove(c, account->id, err) ||
            !conn_commit(c, err))
            return false;
    }
    return removals_run(hub, err);
}
