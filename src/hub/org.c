/* org.c: members of organisations and their roles; see orgs.h. */
#include "hub/orgs.h"

#include "base/clock.h"
#include "hub/hub_internal.h"

const char *const org_roles[4] = {"read", "contributor", "write", "admin"};

static bool role_check(Str role, Error *err)
{
    for (size_t i = 0; i < COUNT(org_roles); i++)
        if (str_eq(role, str_of(org_roles[i])))
            return true;
    return fail(err, ERR_INVALID, "role '%.*s': admin, write, contributor or read", STR(role));
}

bool org_find(Hub *hub, Arena *a, const Viewer *viewer, Str name, Access need, Account *out,
              Error *err)
{
    Account org;
    if (!account_find(hub, a, name, &org, err))
        return false;
    if (!org.is_org)
        return fail(err, ERR_NOT_FOUND, "This organization does not exist");
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Log in or send a token: this is for members of %.*s",
                    STR(org.name));
    if (access_in(viewer, org.id) < need)
        return fail(err, ERR_DENIED, "This is for %s of %.*s",
                    need == ACCESS_ADMIN ? "administrators" : "members", STR(org.name));
    *out = org;
    return true;
}

bool org_is_led_by(const Account *account, const Viewer *viewer)
{
    return account->is_org && access_in(viewer, account->id) >= ACCESS_ADMIN;
}

static const Member *member_of(const Account *org, Str user)
{
    for (size_t i = 0; i < org->n_others; i++)
        if (str_eq_nocase(org->others[i].name, user))
            return &org->others[i];
    return NULL;
}

/* Somebody else must be left who may let others in. Asked within the transaction that takes one
 * away: what was read before may be old. */
static bool not_last_admin(Conn *c, const Account *org, const Member *member, Error *err)
{
    int64_t others;
    if (!sql_other_admins(c, org->id, member->id, &others, err))
        return false;
    if (others > 0)
        return true;
    return fail(err, ERR_CONFLICT, "%.*s is the last administrator of %.*s: name another one first",
                STR(member->name), STR(org->name));
}

static bool no_member(Str user, const Account *org, Error *err)
{
    return fail(err, ERR_NOT_FOUND, "'%.*s' is not a member of %.*s", STR(user), STR(org->name));
}

bool org_change_role(Hub *hub, const Account *org, Str user, Str role, Error *err)
{
    const Member *member = member_of(org, user);
    if (!role_check(role, err))
        return false;
    if (!member)
        return no_member(user, org, err);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && (str_eq(role, S("admin")) || not_last_admin(c, org, member, err)) &&
           sql_member_set(c, org->id, member->id, role, err) && conn_commit(c, err);
}

bool org_remove_member(Hub *hub, const Account *org, Str user, Error *err)
{
    const Member *member = member_of(org, user);
    if (!member)
        return no_member(user, org, err);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && not_last_admin(c, org, member, err) &&
           sql_member_remove(c, org->id, member->id, err) && conn_commit(c, err);
}

/* As the command line does it: without asking. */
bool org_set_member(Hub *hub, Str org, Str user, Str role, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account group, person;
    if (!role_check(role, err) || !account_find(hub, a, org, &group, err) ||
        !account_find(hub, a, user, &person, err))
        return false;
    if (!group.is_org || person.is_org)
        return fail(err, ERR_INVALID, "only users can be members, and only of organisations");
    if (member_of(&group, person.name))
        return org_change_role(hub, &group, person.name, role, err);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_member_set(c, group.id, person.id, role, err) && conn_commit(c, err);
}

/* ---- Invitations ---- */

bool org_invite(Hub *hub, const Account *org, Str user, Str role, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account person;
    if (!role_check(role, err) || !account_find(hub, a, user, &person, err))
        return false;
    if (person.is_org)
        return fail(err, ERR_INVALID, "'%.*s' is an organisation: members are people",
                    STR(person.name));
    if (member_of(org, person.name))
        return fail(err, ERR_EXISTS, "%.*s is a member already", STR(person.name));
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_invite(c, org->id, person.id, role, wall_ns(), err) && conn_commit(c, err);
}

bool org_invitations(Hub *hub, Arena *a, const Account *of, Invitation **out, size_t *n, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_invitations(c, a, of->id, of->is_org, out, n, err);
}

bool org_answer(Hub *hub, const Viewer *viewer, Str org, bool join, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account group;
    Str role;
    if (!account_find(hub, a, org, &group, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_uninvite(c, a, group.id, viewer->account.id, &role, err) &&
           (!join || sql_member_set(c, group.id, viewer->account.id, role, err)) &&
           conn_commit(c, err);
}

bool org_uninvite(Hub *hub, const Account *org, Str user, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account person;
    Str role;
    if (!account_find(hub, a, user, &person, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_uninvite(c, a, org->id, person.id, &role, err) && conn_commit(c, err);
}
