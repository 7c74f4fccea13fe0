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

/* Whether one question of the card is answered: a box ticked, an option chosen, a text not empty.
 */
static bool is_answered(const json_t *kind, const json_t *answer)
{
    Str type = json_is_string(kind) ? str_of(json_string_value(kind)) : json_str(kind, "type");
    const json_t *options = json_object_get(kind, "options"), *option;
    Str text = json_is_string(answer) ? str_trim(str_of(json_string_value(answer))) : (Str){0};
    size_t i;
    if (str_eq(type, S("ip_location"))) // nobody asks for it here
        return true;
    if (str_eq(type, S("checkbox")) && json_is_boolean(answer))
        return json_is_true(answer);
    if (str_eq(type, S("checkbox")))
        return text.len && !str_eq_nocase(text, S("no")) && !str_eq_nocase(text, S("false"));
    json_array_foreach(options, i, option)
    {
        Str label =
            json_is_string(option) ? str_of(json_string_value(option)) : json_str(option, "label");
        if (str_eq(label, text))
            return true;
    }
    return json_array_size(options) == 0 && text.len > 0;
}

/* Everything that the card asks for, so that nobody passes by a form that a browser would have
 * held. */
static bool answers_check(Hub *hub, Arena *a, const Repo *repo, Str fields, Error *err)
{
    const RepoInfo *info;
    Error seen = {0};
    AUTO(json_decref) json_t *answers = fields.len ? json_parse(fields, "the form", err) : NULL;
    if (fields.len && !answers)
        return false;
    if (!repo_info(hub, a, repo, (Str){0}, &info, &seen))
        return seen.code == ERR_NO_REVISION || fail(err, seen.code, "%s", seen.text);
    size_t asked = 0;
    const char *label;
    json_t *kind;
    json_object_foreach(json_object_get(info->card, "extra_gated_fields"), label, kind)
    {
        if (asked++ < MAX_QUESTIONS && !is_answered(kind, json_object_get(answers, label)))
            return fail(err, ERR_INVALID, "the form: '%s' needs an answer", label);
    }
    return true;
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
    if (!answers_check(hub, a, repo, fields, err))
        return false;
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
