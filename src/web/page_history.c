/* page_history.c: the commits of a branch, and what one of them changed. */
#include "git/git.h"
#include "web/web_internal.h"

enum { PAGE_SIZE = 40 };

static json_t *commit_json(const RepoCommit *c)
{
    json_t *o = json_object();
    set_str(o, "id", c->id);
    set_str(o, "short", str_slice(c->id, 0, 7));
    set_str(o, "title", c->title.len ? c->title : S("(no title)"));
    set_str(o, "message", c->message);
    set_str(o, "author", c->author);
    set(o, "when", json_when(c->date_ns));
    return o;
}

static void commits(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoLog log;
    Arena *a = request_arena(r);
    int64_t number = 0;
    Str rev = request_param(r, "rev"), path = request_param(r, "path");
    str_to_int(request_query_get(r, "p"), 0, 100000, &number);
    if (!web_repo(r, ACCESS_READ, &repo))
        return;
    if (!repo_log(hub_of(r), a, &repo, rev, path, number * PAGE_SIZE, PAGE_SIZE, &log, &err))
        return reply_error(r, &err);
    json_t *page = page_new(r, arena_printf(a, "%.*s: history", STR(repo.full)));
    json_t *list = json_array();
    for (size_t i = 0; i < log.n; i++)
        json_array_append_new(list, commit_json(&log.items[i]));
    page_set_repo(r, page, &repo, "files", rev);
    set_str(page, "path", path);
    set(page, "commits", list);
    set(page, "number", json_integer(number));
    set(page, "more", json_boolean(log.more));
    page_render(r, 200, "commits", page);
}

/* ---- One of them ---- */

static void set_commit(json_t *page, const GitCommit *c)
{
    json_t *o = json_object();
    set(o, "id", json_string(c->id));
    set_str(o, "title", c->title.len ? c->title : S("(no title)"));
    set_str(o, "body", c->body);
    set_str(o, "author", c->author_name);
    set(o, "when", json_when(c->author_ns));
    set(o, "parent", json_string(c->n_parents ? c->parents[0] : ""));
    set(page, "commit", o);
}

static void commit(Request *r)
{
    Error err = {0};
    Repo repo;
    Str sha;
    GitCommit c;
    Arena *a = request_arena(r);
    if (!web_repo(r, ACCESS_FILES, &repo))
        return;
    if (!repo_revision(hub_of(r), a, &repo, request_param(r, "sha"), &sha, &err))
        return reply_error(r, &err);
    const char *id = arena_cstr(a, sha);
    {
        AUTO(git_repo_free) GitRepo *git = git_repo_open(repo.git_dir, &err);
        if (!git || !git_commit_read(git, id, a, &c, &err))
            return reply_error(r, &err);
    }
    json_t *page = page_new(r, arena_printf(a, "%.*s: %.*s", STR(repo.full), STR(c.title)));
    page_set_repo(r, page, &repo, "files", S("main"));
    set_commit(page, &c);
    if (!page_set_diff(r, page, &repo, c.n_parents ? c.parents[0] : NULL, id, &err)) {
        json_decref(page);
        return reply_error(r, &err);
    }
    page_render(r, 200, "commit", page);
}

const Route web_history_routes[] = {
    EACH_KIND("GET", "/commits/{rev}/{path...}", commits, WEB_ANYBODY, "History"),
    EACH_KIND("GET", "/commit/{sha}", commit, WEB_ANYBODY, "What a commit changed")};
const size_t web_history_routes_n = COUNT(web_history_routes);
