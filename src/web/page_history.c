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

/* ---- Differences ---- */

static json_t *line_json(const GitDiffLine *line)
{
    json_t *o = json_object();
    char kind[2] = {line->kind, 0};
    set(o, "kind",
        json_string(line->kind == '+'   ? "added"
                    : line->kind == '-' ? "removed"
                    : line->kind == ' ' ? "same"
                                        : "note"));
    set(o, "sign", json_string(kind));
    set(o, "old", line->old_no > 0 ? json_integer(line->old_no) : json_string(""));
    set(o, "new", line->new_no > 0 ? json_integer(line->new_no) : json_string(""));
    set_str(o, "text", line->text);
    return o;
}

static json_t *hunk_json(const GitDiffHunk *hunk)
{
    json_t *lines = json_array(), *o = json_object();
    for (size_t i = 0; i < hunk->n; i++)
        json_array_append_new(lines, line_json(&hunk->lines[i]));
    set_str(o, "header", hunk->header);
    set(o, "lines", lines);
    return o;
}

/* A change of LFS pointers is a change of sizes: nobody wants to read pointers. */
static bool lfs_sizes(GitRepo *git, const GitDiffFile *file, json_t *o)
{
    GitLfsPointer old = {0}, new = {0};
    bool is_lfs = false;
    for (int side = 0; side < 2; side++) {
        const char *oid = side ? file->new_oid : file->old_oid;
        AUTO_BUF text;
        buf_init(&text, 1024);
        if (oid[0] && git_blob_read(git, oid, &text, NULL) &&
            git_lfs_parse(buf_str(&text), side ? &new : &old))
            is_lfs = true;
    }
    set(o, "old_size", json_size(is_lfs ? old.size : file->old_size));
    set(o, "new_size", json_size(is_lfs ? new.size : file->new_size));
    return is_lfs;
}

static json_t *file_json(GitRepo *git, const GitDiffFile *file)
{
    json_t *o = json_object(), *hunks = json_array();
    bool lfs = lfs_sizes(git, file, o);
    for (size_t i = 0; i < file->n && !lfs; i++)
        json_array_append_new(hunks, hunk_json(&file->hunks[i]));
    set(o, "status",
        json_string(file->status == 'A'   ? "added"
                    : file->status == 'D' ? "deleted"
                    : file->status == 'R' ? "renamed"
                                          : "changed"));
    set_str(o, "path", file->new_path.len ? file->new_path : file->old_path);
    set_str(o, "old_path", file->old_path);
    set(o, "binary", json_boolean(file->binary));
    set(o, "lfs", json_boolean(lfs));
    set(o, "cut", json_boolean(file->cut));
    set(o, "added", json_integer(lfs ? 0 : (json_int_t)file->added));
    set(o, "removed", json_integer(lfs ? 0 : (json_int_t)file->removed));
    set(o, "hunks", hunks);
    return o;
}

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

bool page_set_diff(Request *r, json_t *page, const Repo *repo, const char *from, const char *to,
                   Error *err)
{
    GitDiff diff;
    AUTO(git_repo_free) GitRepo *git = git_repo_open(repo->git_dir, err);
    if (!git || !git_repo_diff(git, from, to, request_arena(r), &diff, err))
        return false;
    json_t *files = json_array();
    int64_t added = 0, removed = 0;
    for (size_t i = 0; i < diff.n; i++) {
        json_t *file = file_json(git, &diff.files[i]);
        added += json_int(file, "added", 0);
        removed += json_int(file, "removed", 0);
        json_array_append_new(files, file);
    }
    set(page, "files", files);
    set(page, "n_changed", json_integer((json_int_t)diff.n_changed));
    set(page, "added", json_integer(added));
    set(page, "removed", json_integer(removed));
    return true;
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
