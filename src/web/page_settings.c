/* page_settings.c: renaming, hiding and deleting a repository. */
#include "hub/gates.h"
#include "web/web_internal.h"

static json_t *gates_json(const Repo *repo)
{
    static const char *const rows[][2] = {{"", "Open: whoever sees it may have the files"},
                                          {"auto", "Automatic: whoever asks is let in"},
                                          {"manual", "Manual: you decide on each request"}};
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(rows); i++)
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:b}", "value", rows[i][0], "label", rows[i][1],
                                        "on", str_eq(repo->gated, str_of(rows[i][0]))));
    return out;
}

static json_t *request_row(const AccessRequest *request)
{
    json_t *o = json_object(), *fields = json_array(), *value;
    const char *label;
    AUTO(json_decref)
    json_t *given = request->fields.len ? json_parse(request->fields, "fields", NULL) : NULL;
    json_object_foreach(given, label, value)
    {
        if (json_is_string(value))
            json_array_append_new(fields, json_pack("{s:s, s:O}", "label", label, "value", value));
    }
    set_str(o, "id", request->id);
    set_str(o, "user", request->user);
    set_str(o, "status", request->status);
    set_str(o, "email", request->email);
    set(o, "when", json_when(request->created_ns));
    set(o, "fields", fields);
    return o;
}

/* Those that wait, then the others; none where there is no gate. */
static json_t *requests_json(Request *r, const Repo *repo)
{
    static const char *const statuses[] = {"pending", "accepted", "rejected"};
    json_t *out = json_array();
    for (size_t s = 0; s < COUNT(statuses) && repo->gated.len; s++) {
        AccessRequest *list;
        size_t n;
        Error err = {0};
        if (!gate_list(hub_of(r), request_arena(r), repo, str_of(statuses[s]), &list, &n, &err))
            continue;
        for (size_t i = 0; i < n && json_array_size(out) < 500; i++)
            json_array_append_new(out, request_row(&list[i]));
    }
    return out;
}

static void show(Request *r, int status, const Repo *repo, const char *notice, const char *problem)
{
    Arena *a = request_arena(r);
    json_t *page = page_new(r, arena_printf(a, "%.*s: settings", STR(repo->full)));
    page_set_repo(r, page, repo, "settings", S("main"));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    set(page, "gates", gates_json(repo));
    set(page, "requests", requests_json(r, repo));
    page_render(r, status, "settings", page);
}

static void settings(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_ADMIN, &repo))
        show(r, 200, &repo, "", "");
}

static void rename_repo(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    Arena *a = request_arena(r);
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    Str to = str_trim(params_get(&form, "to"));
    if (str_find_char(to, '/', 0) == SIZE_MAX)
        to = str_of(arena_printf(a, "%.*s/%.*s", STR(repo.owner), STR(to)));
    if (!repo_move(hub_of(r), a, web_viewer(r), &repo, to, &err))
        return web_can_be_mended(&err) ? show(r, error_http_status(err.code), &repo, "", err.text)
                                       : reply_error(r, &err);
    repo.full = to;
    reply_redirect(r, 303, repo_path(a, &repo));
}

static void change_visibility(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    bool hide = str_eq(params_get(&form, "visibility"), S("private"));
    if (!repo_change(hub_of(r), &repo, &(RepoSettings){.is_private = &hide}, &err))
        return reply_error(r, &err);
    repo.is_private = hide;
    show(r, 200, &repo,
         hide ? "Only you and your organisation see it now" : "Everybody sees it now", "");
}

static void change_gate(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    Str gated = params_get(&form, "gated");
    if (!repo_change(hub_of(r), &repo, &(RepoSettings){.gated = &gated}, &err))
        return web_can_be_mended(&err) ? show(r, 400, &repo, "", err.text) : reply_error(r, &err);
    repo.gated = gated;
    show(r, 200, &repo, gated.len ? "A gate stands before the files" : "The gate is gone", "");
}

static void decide(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    if (!gate_decide(hub_of(r), &repo, (Str){0}, params_get(&form, "request"),
                     params_get(&form, "status"), (Str){0}, &err) &&
        err.code != ERR_EXISTS)
        return reply_error(r, &err);
    show(r, 200, &repo, "Done", "");
}

/* ---- Who asked, as a table for other programs ---- */

/* Quoted; what a spreadsheet would take for a formula begins with an apostrophe. */
static void csv_add(Buf *out, Str text, bool last)
{
    buf_add(out, S("\""));
    if (text.len && strchr("=+-@\t\r", text.ptr[0]))
        buf_add(out, S("'"));
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_add(out, S("\""));
        buf_add_char(out, text.ptr[i]);
    }
    buf_add(out, last ? S("\"\r\n") : S("\","));
}

/* Whatever anybody was asked, in the order in which it came up. */
static void add_labels(json_t *labels, const AccessRequest *request)
{
    AUTO(json_decref)
    json_t *given = request->fields.len ? json_parse(request->fields, "fields", NULL) : NULL;
    const char *label;
    json_t *value;
    json_object_foreach(given, label, value)
    {
        json_object_set_new(labels, label, json_null());
    }
}

static void csv_row(Buf *out, const AccessRequest *q, json_t *labels)
{
    char when[ISO8601_SIZE];
    iso8601_format(q->created_ns, when);
    const Str cells[] = {q->user, q->fullname, q->email, q->status, str_of(when)};
    for (size_t i = 0; i < COUNT(cells); i++)
        csv_add(out, cells[i], false);
    AUTO(json_decref)
    json_t *given = q->fields.len ? json_parse(q->fields, "fields", NULL) : NULL;
    const char *label;
    json_t *none;
    json_object_foreach(labels, label, none)
    {
        const json_t *value = json_object_get(given, label);
        csv_add(out, json_is_true(value) ? S("yes") : json_str(given, label), false);
    }
    csv_add(out, q->reason, true);
}

static void export_requests(Request *r)
{
    static const char *const statuses[] = {"pending", "accepted", "rejected"};
    Error err = {0};
    Repo repo;
    AccessRequest *lists[COUNT(statuses)];
    size_t n[COUNT(statuses)];
    if (!web_repo(r, ACCESS_ADMIN, &repo))
        return;
    AUTO(json_decref) json_t *labels = json_object();
    for (size_t s = 0; s < COUNT(statuses); s++) {
        if (!gate_list(hub_of(r), request_arena(r), &repo, str_of(statuses[s]), &lists[s], &n[s],
                       &err))
            return reply_error(r, &err);
        for (size_t i = 0; i < n[s]; i++)
            add_labels(labels, &lists[s][i]);
    }
    AUTO_BUF out;
    buf_init(&out, 64 << 20);
    buf_add(&out, S("user,fullname,email,status,asked,"));
    const char *label;
    json_t *none;
    json_object_foreach(labels, label, none)
    {
        csv_add(&out, str_of(label), false);
    }
    buf_add(&out, S("reason\r\n"));
    for (size_t s = 0; s < COUNT(statuses); s++)
        for (size_t i = 0; i < n[s]; i++)
            csv_row(&out, &lists[s][i], labels);
    if (!buf_ok(&out, &err))
        return reply_error(r, &err);
    reply_header(r, "Content-Disposition", S("attachment; filename=\"access-requests.csv\""));
    reply_bytes(r, 200, "text/csv; charset=utf-8", arena_str(request_arena(r), buf_str(&out)));
}

/* The name must be typed, so that nobody deletes by a slip. */
static void delete_repo(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_ADMIN, &repo))
        return;
    if (!str_eq(str_trim(params_get(&form, "name")), repo.full))
        return show(r, 400, &repo, "", "Type the full name to delete it");
    if (!repo_delete(hub_of(r), &repo, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(arena_printf(request_arena(r), "/%.*s", STR(repo.owner))));
}

const Route web_settings_routes[] = {
    EACH_KIND("GET", "/settings", settings, WEB_LOGGED_IN, "Settings of a repository"),
    EACH_KIND("POST", "/settings/rename", rename_repo, WEB_LOGGED_IN, "Rename or move it"),
    EACH_KIND("POST", "/settings/visibility", change_visibility, WEB_LOGGED_IN, "Show or hide it"),
    EACH_KIND("POST", "/settings/gate", change_gate, WEB_LOGGED_IN, "Put a gate before the files"),
    EACH_KIND("POST", "/settings/access", decide, WEB_LOGGED_IN, "Let in or turn down"),
    EACH_KIND("GET", "/settings/access.csv", export_requests, WEB_LOGGED_IN, "Who asked, as CSV"),
    EACH_KIND("POST", "/settings/delete", delete_repo, WEB_LOGGED_IN, "Delete it"),
};
const size_t web_settings_routes_n = COUNT(web_settings_routes);
