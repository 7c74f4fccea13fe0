/* gate.c: who was let into a gated repository; see gates.h. */
#include "hub/gates.h"

#include "base/clock.h"
#include "hub/hub_internal.h"

enum { MAX_FIELDS = 16 << 10, MAX_REASON = 1000 };

static bool status_check(Str status, Error *err)
{
    return str_eq(status, S("pending")) || str_eq(status, S("accepted")) ||
           str_eq(status, S("rejected")) ||
           fail(err, ERR_INVALID, "status: pending, accepted or rejected");
}

bool gate_is_open(Hub *hub, const Viewer *viewer, Str repo, bool *open, Error *err)
{
    *open = false;
    if (viewer->by == BY_NOBODY)
        return true;
    AUTO(arena_free) Arena *a = arena_new(0);
    AccessRequest request;
    Error seen = {0};
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    if (sql_gate_find(c, a, repo, viewer->account.id, S(""), &request, &seen))
        *open = str_eq(request.status, S("accepted"));
    else if (seen.code != ERR_NOT_FOUND) {
        *(err ? err : &seen) = seen;
        return false;
    }
    return true;
}

static bool gate_store(Hub *hub, Str repo, Str user, const AccessRequest *request, bool asked,
                       Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_gate_add(c, repo, user, request, asked, err) && conn_commit(c, err);
}

bool gate_ask(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str fields,
              AccessRequest *out, Error *err)
{
    if (!viewer_need(viewer, MAY_SOCIAL, err))
        return false;
    if (!repo->gated.len)
        return fail(err, ERR_INVALID, "%.*s is open to all who may read it", STR(repo->full));
    if (fields.len > MAX_FIELDS)
        return fail(err, ERR_INVALID, "the form: at most %d bytes", MAX_FIELDS);
    *out = (AccessRequest){.id = id_new(a),
                           .status = str_eq(repo->gated, S("auto")) ? S("accepted") : S("pending"),
                           .user = viewer->account.name,
                           .fields = fields,
                           .created_ns = wall_ns()};
    if (gate_store(hub, repo->id, viewer->account.id, out, true, err))
        return true;
    if (err && err->code == ERR_EXISTS)
        return fail(err, ERR_EXISTS, "You have asked for access to %.*s already", STR(repo->full));
    return false;
}

bool gate_of_viewer(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, AccessRequest *out,
                    Error *err)
{
    *out = (AccessRequest){0};
    if (viewer->by == BY_NOBODY)
        return true;
    Error seen = {0};
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    if (sql_gate_find(c, a, repo->id, viewer->account.id, S(""), out, &seen) ||
        seen.code == ERR_NOT_FOUND)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool gate_list(Hub *hub, Arena *a, const Repo *repo, Str status, AccessRequest **out, size_t *n,
               Error *err)
{
    if (!status_check(status, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_gate_list(c, a, repo->id, status, out, n, err);
}

bool gate_decide(Hub *hub, const Repo *repo, Str user, Str id, Str status, Str reason, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account account = {0};
    AccessRequest request;
    if (!status_check(status, err))
        return false;
    if (reason.len > MAX_REASON || !str_is_utf8(reason))
        return fail(err, ERR_INVALID, "a reason has at most %d bytes of UTF-8", MAX_REASON);
    if (user.len && !account_find(hub, a, user, &account, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_gate_find(c, a, repo->id, account.id, id, &request, err))
        return false;
    if (str_eq(request.status, status))
        return fail(err, ERR_EXISTS, "The request is %.*s already", STR(status));
    request.status = status;
    request.reason = str_eq(status, S("rejected")) ? reason : S("");
    return sql_gate_set(c, &request, wall_ns(), err) && conn_commit(c, err);
}

bool gate_grant(Hub *hub, Arena *a, const Repo *repo, Str user, Error *err)
{
    Account account;
    AccessRequest request, old;
    if (!account_find(hub, a, user, &account, err))
        return false;
    if (account.is_org)
        return fail(err, ERR_INVALID, "'%.*s' is an organisation: access is for users", STR(user));
    request = (AccessRequest){.id = id_new(a), .status = S("accepted"), .created_ns = wall_ns()};
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c)
        return false;
    if (!sql_gate_find(c, a, repo->id, account.id, S(""), &old, NULL))
        return sql_gate_add(c, repo->id, account.id, &request, false, err) && conn_commit(c, err);
    if (str_eq(old.status, S("accepted")))
        return fail(err, ERR_EXISTS, "%.*s has access already", STR(user));
    old.status = S("accepted");
    old.reason = S("");
    return sql_gate_set(c, &old, wall_ns(), err) && conn_commit(c, err);
}
