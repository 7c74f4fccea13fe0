/* gates.c: who was let into a gated repository. */
#include "hub/gates.h"
#include "api/api_internal.h"

static json_t *request_json_of(const AccessRequest *request)
{
    json_t *user = json_pack("{s:o, s:o, s:s}", "user", json_from_str(request->user), "fullname",
                             json_from_str(request->fullname), "type", "user");
    api_set_str(user, "email", request->email);
    json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "requestId", json_from_str(request->id),
                            "status", json_from_str(request->status), "timestamp",
                            api_date(request->created_ns), "user", user);
    json_t *fields = request->fields.len ? json_parse(request->fields, "fields", NULL) : NULL;
    if (fields)
        json_object_set_new(out, "fields", fields);
    api_set_str(out, "rejectionReason", request->reason);
    return out;
}

static void list(Request *r)
{
    Error err = {0};
    Repo repo;
    AccessRequest *requests;
    size_t n;
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    if (!repo.sees_requests)
        return reply_failure(r, 403, "Who asks for access is for those who may write here");
    if (!gate_list(api_of(r)->hub, request_arena(r), &repo, request_param(r, "status"), &requests,
                   &n, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, request_json_of(&requests[i]));
    api_reply(r, out);
}

static void handle(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body ||
        !gate_decide(api_of(r)->hub, &repo, json_str(body, "user"), json_str(body, "requestId"),
                     json_str(body, "status"), json_str(body, "rejectionReason"), &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void grant(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body || !gate_grant(api_of(r)->hub, request_arena(r), &repo, json_str(body, "user"), &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

/* The body is the form's fields, if the card asks for any. */
static void ask(Request *r)
{
    Error err = {0};
    Repo repo;
    AccessRequest request;
    Arena *a = request_arena(r);
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    AUTO_BUF fields;
    buf_init(&fields, 0);
    if (json_object_size(body))
        json_write(&fields, body);
    if (!gate_ask(api_of(r)->hub, a, api_viewer(r), &repo, arena_str(a, buf_str(&fields)), &request,
                  &err))
        return reply_error(r, &err);
    api_reply(r, request_json_of(&request));
}

#define REQUESTS "/api/{kind}/{owner}/{name}/user-access-request"

const Route gate_routes[] = {
    {"GET", REQUESTS "/{status}", list, .access = API_LOGGED_IN, .summary = "Who asks for access"},
    {"POST", REQUESTS "/handle", handle, .access = API_LOGGED_IN, .summary = "Let in or turn away"},
    {"POST", REQUESTS "/grant", grant, .access = API_LOGGED_IN, .summary = "Let somebody in"},
    {"POST", "/api/{kind}/{owner}/{name}/ask-access", ask, .access = API_LOGGED_IN,
     .summary = "Ask for access"},
};
const size_t gate_routes_n = COUNT(gate_routes);
