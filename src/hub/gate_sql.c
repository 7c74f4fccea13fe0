/* gate_sql.c: the statements about access to gated repositories; see hub_sql.h. */
#include "hub/hub_sql.h"

enum { MAX_REQUESTS = 10000 };

#define GATE_COLUMNS                                                                               \
    "access_requests.id, access_requests.status, accounts.name, accounts.fullname,"                \
    " CASE WHEN access_requests.asked = 1 THEN accounts.email ELSE '' END, "                       \
    "access_requests.fields,"                                                                      \
    " access_requests.reason, access_requests.created_ns FROM access_requests"                     \
    " JOIN accounts ON accounts.id = access_requests.user_id "

static void gate_row(Query *q, Arena *a, AccessRequest *out)
{
    *out = (AccessRequest){0};
    out->id = row_str(q, a);
    out->status = row_str(q, a);
    out->user = row_str(q, a);
    out->fullname = row_str(q, a);
    out->email = row_str(q, a);
    out->fields = row_str(q, a);
    out->reason = row_str(q, a);
    out->created_ns = row_int(q);
}

bool sql_gate_find(Conn *c, Arena *a, Str repo, Str user, Str id, AccessRequest *out, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, user.len ? "SELECT " GATE_COLUMNS "WHERE access_requests.repo_id = $1"
                                        " AND access_requests.user_id = $2"
                                      : "SELECT " GATE_COLUMNS "WHERE access_requests.repo_id = $1"
                                        " AND access_requests.id = $2");
    bind_str(q, repo);
    bind_str(q, user.len ? user : id);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "There is no such access request");
    gate_row(q, a, out);
    return true;
}

bool sql_gate_list(Conn *c, Arena *a, Str repo, Str status, AccessRequest **out, size_t *n,
                   Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " GATE_COLUMNS "WHERE access_requests.repo_id = $1"
                             " AND access_requests.status = $2"
                             " ORDER BY access_requests.created_ns LIMIT 10000");
    bind_str(q, repo);
    bind_str(q, status);
    *out = NEW_ARRAY(a, AccessRequest, MAX_REQUESTS);
    *n = 0;
    while (*n < MAX_REQUESTS && query_next(q))
        gate_row(q, a, &(*out)[(*n)++]);
    return query_ok(q, err);
}

bool sql_gate_add(Conn *c, Str repo, Str user, const AccessRequest *request, bool asked, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO access_requests (id, repo_id, user_id, status, asked,"
                             " fields, reason, created_ns, changed_ns)"
                             " VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8)");
    bind_str(q, request->id);
    bind_str(q, repo);
    bind_str(q, user);
    bind_str(q, request->status);
    bind_int(q, asked);
    bind_str(q, request->fields);
    bind_int(q, request->created_ns);
    bind_int(q, request->created_ns);
    return query_run(q, err);
}

bool sql_gate_set(Conn *c, const AccessRequest *request, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE access_requests SET status = $1, reason = $2, changed_ns = $3"
                             " WHERE id = $4");
    bind_str(q, request->status);
    bind_str(q, request->reason);
    bind_int(q, now);
    bind_str(q, request->id);
    return query_run(q, err);
}
