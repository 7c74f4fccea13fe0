/* org_sql.c: the statements about members of organisations and invitations; see hub_sql.h. */
#include "hub/hub_sql.h"

bool sql_member_set(Conn *c, Str org, Str user, Str role, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, $3)"
                             " ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role");
    bind_str(q, org);
    bind_str(q, user);
    bind_str(q, role);
    return query_run(q, err);
}

bool sql_member_remove(Conn *c, Str org, Str user, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "DELETE FROM members WHERE org_id = $1 AND user_id = $2");
    bind_str(q, org);
    bind_str(q, user);
    return query_run(q, err);
}

bool sql_other_admins(Conn *c, Str org, Str user, int64_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*) FROM members WHERE org_id = $1 AND role = 'admin'"
                             " AND user_id <> $2");
    bind_str(q, org);
    bind_str(q, user);
    return query_count(q, n, err);
}

bool sql_invite(Conn *c, Str org, Str user, Str role, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO invitations (org_id, user_id, role, created_ns)"
                             " VALUES ($1, $2, $3, $4) ON CONFLICT (org_id, user_id)"
                             " DO UPDATE SET role = excluded.role");
    bind_str(q, org);
    bind_str(q, user);
    bind_str(q, role);
    bind_int(q, now);
    return query_run(q, err);
}

bool sql_uninvite(Conn *c, Arena *a, Str org, Str user, Str *role, Error *err)
{
    AUTO(query_end)
    Query *find = query_open(c, "SELECT role FROM invitations WHERE org_id = $1 AND user_id = $2");
    bind_str(find, org);
    bind_str(find, user);
    if (!query_next(find))
        return query_ok(find, err) && fail(err, ERR_NOT_FOUND, "there is no such invitation");
    *role = row_str(find, a);
    AUTO(query_end)
    Query *q = query_open(c, "DELETE FROM invitations WHERE org_id = $1 AND user_id = $2");
    bind_str(q, org);
    bind_str(q, user);
    return query_run(q, err);
}

bool sql_invitations(Conn *c, Arena *a, Str account, bool is_org, Invitation **out, size_t *n,
                     Error *err)
{
    enum { MOST = 1000 };
#define SELECT_INVITATIONS                                                                         \
    "SELECT orgs.name, orgs.fullname, users.name, users.fullname, invitations.role,"               \
    " invitations.created_ns FROM invitations"                                                     \
    " JOIN accounts AS orgs ON orgs.id = invitations.org_id"                                       \
    " JOIN accounts AS users ON users.id = invitations.user_id WHERE "
    AUTO(query_end)
    Query *q = query_open(c, is_org ? SELECT_INVITATIONS "invitations.org_id = $1"
                                                         " ORDER BY invitations.created_ns DESC"
                                    : SELECT_INVITATIONS "invitations.user_id = $1"
                                                         " ORDER BY invitations.created_ns DESC");
    bind_str(q, account);
    Invitation *list = NEW_ARRAY(a, Invitation, MOST);
    *n = 0;
    while (*n < MOST && query_next(q)) {
        Invitation *invitation = &list[(*n)++];
        invitation->org = row_str(q, a);
        invitation->org_fullname = row_str(q, a);
        invitation->user = row_str(q, a);
        invitation->user_fullname = row_str(q, a);
        invitation->role = row_str(q, a);
        invitation->created_ns = row_int(q);
    }
    *out = list;
    return query_ok(q, err);
}
