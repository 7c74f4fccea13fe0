/* verb_discussions.c: `hug discussions`: talk and pull requests below a repository. */
#include "cli/commands.h"
#include "cli/shown.h"

#include "base/file.h"
#include "fetch/api.h"

#include <unistd.h>

enum { LISTED = 30, MAX_BODY = 1 << 20, MAX_PAGES = 1000 };

/* models/ID/discussions[/NUMBER[/rest]] */
static char *path_of(Ask *ask, const char *rest, Error *err)
{
    int64_t number;
    if (ask->n < 2)
        return api_repo_path(ask->a, ask->args[0], ask->kind, ask->token, err, "/discussions");
    if (!str_to_int(str_of(ask->args[1]), 1, INT32_MAX, &number))
        return fail(err, ERR_USAGE, "'%s' is not the number of a discussion", ask->args[1]);
    return api_repo_path(ask->a, ask->args[0], ask->kind, ask->token, err, "/discussions/%lld%s",
                         (long long)number, rest);
}

static json_t *post(Ask *ask, const char *rest, json_t *body, Error *err)
{
    AUTO(json_decref) json_t *sent = body;
    char *path = path_of(ask, rest, err);
    return path ? api_call(ask->token, "POST", path, TAKE(sent), err) : NULL;
}

/* --body or --body-file; *out stays NULL if neither was said. */
static bool read_body(Ask *ask, const char **out, Error *err)
{
    if (ask->body && ask->body_file)
        return fail(err, ERR_USAGE, "say --body or --body-file, not both");
    *out = ask->body;
    if (!ask->body_file)
        return true;
    AUTO_BUF text;
    buf_init(&text, MAX_BODY);
    bool input = strcmp(ask->body_file, "-") == 0;
    for (char *room; input && (room = buf_reserve(&text, 4096));) {
        ssize_t n = read(STDIN_FILENO, room, 4096);
        if (n < 0)
            return fail_io(err, "standard input");
        if (n == 0)
            break;
        text.len += (size_t)n;
    }
    if (!input && !file_read(ask->body_file, &text, err))
        return false;
    *out = arena_cstr(ask->a, buf_str(&text));
    return buf_ok(&text, err);
}

static json_t *shown_discussion(const json_t *d)
{
    static const ShownField fields[] = {{"title"},
                                        {"status"},
                                        {"num"},
                                        {"isPullRequest", "is_pull_request"},
                                        {"createdAt", "created_at"}};
    json_t *out = shown(d, fields, COUNT(fields));
    const json_t *repo = json_object_get(d, "repo"), *author = json_object_get(d, "author");
    json_object_set_new(out, "repo_id", json_string(json_text(repo, "name", "")));
    json_object_set_new(out, "repo_type", json_string(json_text(repo, "type", "")));
    json_object_set_new(out, "author", json_string(json_text(author, "name", "deleted")));
    return out;
}

static bool list(Ask *ask, Error *err)
{
    const char *status = ask->status ? ask->status : "open", *kind = ask->author_kind;
    bool by_hub = strcmp(status, "open") == 0 || strcmp(status, "closed") == 0;
    char *path = path_of(ask, "", err);
    if (!path)
        return false;
    if (kind && strcmp(kind, "all") != 0)
        path = api_query(ask->a, path, "type", kind);
    path = api_query(ask->a, path, "status", by_hub ? status : NULL);
    path = api_query(ask->a, path, "author", ask->author);
    int64_t limit = ask->limit < 0 ? LISTED : ask->limit;
    AUTO(json_decref) json_t *rows = json_array();
    bool more = true;
    for (int page = 0; more && page < MAX_PAGES && (int64_t)json_array_size(rows) < limit; page++) {
        AUTO(json_decref)
        json_t *said =
            api_call(ask->token, "GET",
                     api_query(ask->a, path, "p", arena_printf(ask->a, "%d", page)), NULL, err);
        if (!said)
            return false;
        const json_t *all = json_object_get(said, "discussions");
        size_t i;
        json_t *d;
        json_array_foreach(all, i, d)
        {
            bool fits = by_hub || strcmp(status, "all") == 0 ||
                        str_eq(json_str(d, "status"), str_of(status));
            if (fits && (int64_t)json_array_size(rows) < limit)
                json_array_append_new(rows, shown_discussion(d));
        }
        more =
            json_int(said, "start", 0) + (int64_t)json_array_size(all) < json_int(said, "count", 0);
    }
    output_table(&ask->out, rows, "num title is_pull_request status author created_at", "num");
    return true;
}

static json_t *details(Ask *ask, const char *query, Error *err)
{
    char *path = path_of(ask, query, err);
    return path ? api_call(ask->token, "GET", path, NULL, err) : NULL;
}

static bool info(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *said = details(ask, "", err);
    if (!said)
        return false;
    AUTO(json_decref) json_t *out = shown_discussion(said);
    AUTO(json_decref) json_t *events = shown_value(json_object_get(said, "events"));
    json_object_set(out, "events", events);
    output_object(&ask->out, out, "num");
    return true;
}

static bool create(Ask *ask, Error *err)
{
    const char *body;
    if (!ask->title)
        return fail(err, ERR_USAGE, "say --title");
    if (!read_body(ask, &body, err))
        return false;
    const char *page = api_repo_page(ask->a, ask->args[0], ask->kind, ask->token, err);
    if (!page)
        return false;
    AUTO(json_decref)
    json_t *made = post(ask, "",
                        json_pack("{s:s, s:s, s:b}", "title", ask->title, "description",
                                  body && body[0] ? body : "Opened with hug", "pullRequest",
                                  (int)ask->pull_request),
                        err);
    if (!made)
        return false;
    int64_t number = json_int(made, "num", 0);
    json_t *said = json_pack("{s:I, s:s}", "num", (json_int_t)number, "url",
                             arena_printf(ask->a, "%s/discussions/%lld", page, (long long)number));
    if (ask->pull_request)
        json_object_set_new(said, "ref",
                            json_string(arena_printf(ask->a, "refs/pr/%lld", (long long)number)));
    output_result(&ask->out, "Created", "url", said);
    return true;
}

static void tell(const Ask *ask, const char *done, const char *key, const char *value)
{
    int64_t number = 0;
    str_to_int(str_of(ask->args[1]), 1, INT32_MAX, &number);
    json_t *said = json_pack("{s:I, s:s}", "num", (json_int_t)number, "repo", ask->args[0]);
    if (key)
        json_object_set_new(said, key, json_string(value));
    output_result(&ask->out,
                  arena_printf(ask->a, "%s #%lld in %s", done, (long long)number, ask->args[0]),
                  NULL, said);
}

static bool comment(Ask *ask, Error *err)
{
    const char *body;
    if (!read_body(ask, &body, err))
        return false;
    if (!body || !body[0])
        return fail(err, ERR_USAGE, "say --body or --body-file");
    AUTO(json_decref)
    json_t *done = post(ask, "/comment", json_pack("{s:s}", "comment", body), err);
    if (!done)
        return false;
    tell(ask, "Commented on", NULL, NULL);
    return true;
}

static bool edit(Ask *ask, Error *err)
{
    const char *body, *id = ask->args[2];
    if (!read_body(ask, &body, err))
        return false;
    if (!body)
        return fail(err, ERR_USAGE, "say --body or --body-file");
    const char *rest = arena_printf(ask->a, "/comment/%s/edit", url_segment(ask->a, id));
    AUTO(json_decref) json_t *done = post(ask, rest, json_pack("{s:s}", "content", body), err);
    if (!done)
        return false;
    tell(ask, arena_printf(ask->a, "Edited comment %s on", id), "comment_id", id);
    return true;
}

static bool set_status(Ask *ask, const char *question, const char *status, const char *done,
                       Error *err)
{
    if (!output_confirm(&ask->out, ask->yes, err, "%s #%s on %s?", question, ask->args[1],
                        ask->args[0]))
        return false;
    json_t *body = json_pack("{s:s}", "status", status);
    if (ask->comment)
        json_object_set_new(body, "comment", json_string(ask->comment));
    AUTO(json_decref) json_t *said = post(ask, "/status", body, err);
    if (!said)
        return false;
    tell(ask, done, NULL, NULL);
    return true;
}

static bool close_it(Ask *ask, Error *err)
{
    return set_status(ask, "Close", "closed", "Closed", err);
}

static bool reopen(Ask *ask, Error *err)
{
    return set_status(ask, "Reopen", "open", "Reopened", err);
}

static bool rename_it(Ask *ask, Error *err)
{
    AUTO(json_decref)
    json_t *done = post(ask, "/title", json_pack("{s:s}", "title", ask->args[2]), err);
    if (!done)
        return false;
    tell(ask, "Renamed", "title", ask->args[2]);
    return true;
}

static bool merge(Ask *ask, Error *err)
{
    if (!output_confirm(&ask->out, ask->yes, err, "Merge #%s on %s?", ask->args[1], ask->args[0]))
        return false;
    json_t *body = json_object();
    if (ask->comment)
        json_object_set_new(body, "comment", json_string(ask->comment));
    AUTO(json_decref) json_t *done = post(ask, "/merge", body, err);
    if (!done)
        return false;
    tell(ask, "Merged", NULL, NULL);
    return true;
}

static bool diff(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *said = details(ask, "?diff=1", err);
    if (!said)
        return false;
    const char *text = json_text(said, "diff", "");
    output_text(&ask->out, "%s", text[0] ? text : "No diff available.");
    return true;
}

static const Command commands[] = {
    {"list|ls", "REPO", "discussions and pull requests of a repository", 1, 1,
     "status kind author limit type token", list},
    {"info", "REPO NUMBER", "one with all that was said", 2, 2, "type token", info},
    {"create", "REPO --title TEXT", "open one", 1, 1,
     "title body body-file pull-request type token", create},
    {"comment", "REPO NUMBER", "say something", 2, 2, "body body-file type token", comment},
    {"edit", "REPO NUMBER COMMENT", "change what was said (`info` shows the comments' ids)", 3, 3,
     "body body-file type token", edit},
    {"close", "REPO NUMBER", "close one", 2, 2, "comment yes type token", close_it},
    {"reopen", "REPO NUMBER", "open one again", 2, 2, "comment yes type token", reopen},
    {"rename", "REPO NUMBER TITLE", "give one another title", 3, 3, "type token", rename_it},
    {"merge", "REPO NUMBER", "merge a pull request", 2, 2, "comment yes type token", merge},
    {"diff", "REPO NUMBER", "what a pull request changes", 2, 2, "type token", diff},
};

const Verb verb_discussions = {
    .name = "discussions",
    .synopsis = "COMMAND",
    .summary = "discussions and pull requests on the hub",
    COMMANDS(commands),
};
