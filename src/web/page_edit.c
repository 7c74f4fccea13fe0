/* page_edit.c: a text file made, edited, renamed or deleted in the browser: one commit on the
 * branch, or a pull request that holds it. Whoever may not write gets the second alone.
 *
 * The form carries the git id of the file that it was made from. When the branch has another one by
 * then, nothing is committed and the form comes back with everything in it. */
#include "hub/discussions.h"
#include "web/web_internal.h"

enum {
    MAX_TEXT = 1 << 20,      // of a file that is edited here
    MAX_FORM = 4 * MAX_TEXT, // percent-encoded, with a title and a description
};

typedef struct Draft {
    Str path;   // as it is; empty: a new file
    Str folder; // of a new file
    Str oid;    // of the file that the text began as
    Str name;   // as it is to be: a path
    Str text, title, description;
    bool crlf; // the file's lines end so
} Draft;

static bool may_commit(const Repo *repo, Str rev)
{
    return repo->access >= ACCESS_WRITE || str_starts(rev, S("refs/pr/"));
}

void page_set_commit(Request *r, json_t *page, const Repo *repo, Str rev, const char *summary)
{
    page_set_repo(r, page, repo, "files", rev);
    set(page, "placeholder", json_string(summary));
    set(page, "by_address", json_false());
    set(page, "may_commit", json_boolean(may_commit(repo, rev)));
    set(page, "may_propose", json_boolean(!repo->discussions_off && !str_starts(rev, S("refs/"))));
}

bool web_change_open(Request *r, const Repo *repo, Str rev, bool pull, Change **out, Error *err)
{
    if (pull && repo->discussions_off)
        return fail(err, ERR_DENIED, "This repository takes no pull requests");
    if (!pull && !may_commit(repo, rev))
        return fail(err, ERR_DENIED, "You may not commit to %.*s: open a pull request", STR(rev));
    *out = pull ? change_open_pull(hub_of(r), repo, web_viewer(r), rev, err)
                : change_open(hub_of(r), repo, web_viewer(r), rev, err);
    return *out;
}

bool web_change_commit(Request *r, const Repo *repo, Change *c, bool pull, Str *location,
                       Error *err)
{
    Str sha;
    Discussion d;
    Arena *a = request_arena(r);
    if (!pull)
        return change_commit(c, a, &sha, err);
    if (!change_commit_pull(c, a, &sha, &d, err))
        return false;
    *location = discussion_path(a, repo, d.num);
    return true;
}

bool web_can_be_mended(const Error *err)
{
    return err->code == ERR_INVALID || err->code == ERR_STALE || err->code == ERR_DENIED ||
           err->code == ERR_LIMIT || err->code == ERR_CONFLICT || err->code == ERR_EXISTS;
}

/* ---- Text ---- */

static void show(Request *r, const Repo *repo, int status, const Draft *d, const char *problem)
{
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    const char *title = d->path.len ? arena_printf(a, "Edit %.*s", STR(d->path)) : "New file";
    json_t *page = page_new(r, title);
    page_set_commit(r, page, repo, rev,
                    d->path.len ? arena_printf(a, "Update %.*s", STR(d->path)) : "Create a file");
    set_str(page, "path", d->path);
    set_str(page, "folder", d->folder);
    set_str(page, "oid", d->oid);
    set_str(page, "file", d->name);
    set_str(page, "text", d->text);
    set_str(page, "summary", d->title);
    set_str(page, "description", d->description);
    set(page, "problem", json_string(problem));
    set_str(page, "action", request_path(r));
    set_str(page, "back",
            d->path.len ? rev_path(a, repo, "blob", rev, d->path)
                        : rev_path(a, repo, "tree", rev, d->folder));
    page_render(r, status, "edit", page);
}

/* The file as it lies on the branch now: its id, and whether and how its text can be edited. */
static bool draft_find(Request *r, const Repo *repo, Draft *d, Error *err)
{
    RepoFile file;
    Str bytes;
    Arena *a = request_arena(r);
    if (!repo_file(hub_of(r), a, repo, request_param(r, "rev"), d->path, &file, err))
        return false;
    if (file.entry.is_lfs || file.entry.size > MAX_TEXT)
        return fail(err, ERR_LIMIT,
                    "%.*s: files over 1 MiB, and those that go by LFS, are uploaded", STR(d->path));
    if (!repo_file_bytes(hub_of(r), a, repo, &file, MAX_TEXT, &bytes, err))
        return false;
    if (!web_is_text(bytes))
        return fail(err, ERR_INVALID, "%.*s: not a text", STR(d->path));
    d->oid = file.entry.oid;
    d->text = bytes;
    d->crlf = str_find(bytes, S("\r\n"), 0) != SIZE_MAX;
    return true;
}

/* To edit a file is to read it: where a gate stands, that is for those who were let in. */
static bool repo_to_edit(Request *r, bool reads, Repo *out)
{
    return web_repo(r, ACCESS_PROPOSE, out) &&
           (!reads || !out->gate || web_repo(r, ACCESS_FILES, out));
}

static void edit_form(Request *r)
{
    Error err = {0};
    Repo repo;
    Draft d = {.path = request_param(r, "path"), .name = request_param(r, "path")};
    if (!repo_to_edit(r, true, &repo))
        return;
    if (!draft_find(r, &repo, &d, &err))
        return reply_error(r, &err);
    show(r, &repo, 200, &d, "");
}

static void new_form(Request *r)
{
    Repo repo;
    Str folder = request_param(r, "path"), name = request_query_get(r, "name");
    Arena *a = request_arena(r);
    if (!web_repo(r, ACCESS_PROPOSE, &repo))
        return;
    if (folder.len)
        name = str_of(arena_printf(a, "%.*s/%.*s", STR(folder), STR(name)));
    show(r, &repo, 200, &(Draft){.folder = folder, .name = name}, "");
}

/* Forms send every end of a line as CR LF. */
static Str with_line_ends(Arena *a, Str text, bool crlf)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n' && !crlf)
            continue;
        buf_add(&out, str_slice(text, i, i + 1));
    }
    return arena_str(a, buf_str(&out));
}

/* What the branch has now against what the form began with. */
static bool draft_check(Request *r, const Repo *repo, const Draft *d, Draft *now, Error *err)
{
    RepoFile there;
    Error absent = {0};
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    *now = (Draft){.path = d->path};
    if (d->path.len && !draft_find(r, repo, now, err))
        return false;
    if (d->path.len && !str_eq(now->oid, d->oid))
        return fail(err, ERR_STALE,
                    "%.*s was changed meanwhile: copy your text, reload the page, and edit again",
                    STR(d->path));
    if (str_eq(d->name, d->path))
        return true;
    if (repo_file(hub_of(r), a, repo, rev, d->name, &there, &absent))
        return fail(err, ERR_EXISTS, "%.*s is there already", STR(d->name));
    return absent.code == ERR_NO_ENTRY || fail(err, absent.code, "%s", absent.text);
}

static const char *draft_title(Arena *a, const Draft *d)
{
    if (d->title.len)
        return arena_cstr(a, d->title);
    if (!d->path.len)
        return arena_printf(a, "Create %.*s", STR(d->name));
    return str_eq(d->name, d->path)
               ? arena_printf(a, "Update %.*s", STR(d->name))
               : arena_printf(a, "Rename %.*s to %.*s", STR(d->path), STR(d->name));
}

static bool draft_commit(Request *r, const Repo *repo, const Draft *d, bool pull, Str *location,
                         Error *err)
{
    Draft now;
    Str head;
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    if (!d->name.len || str_ends(d->name, S("/")))
        return fail(err, ERR_INVALID, "The file needs a name");
    // The head is read before the file: a push between the two is seen by change_parent.
    if (!repo_revision(hub_of(r), a, repo, rev, &head, err) || !draft_check(r, repo, d, &now, err))
        return false;
    AUTO(change_free) Change *c = NULL;
    if (!web_change_open(r, repo, rev, pull, &c, err))
        return false;
    change_title(c, str_of(draft_title(a, d)), d->description);
    if (!pull)
        change_parent(c, head);
    if (d->path.len && !str_eq(d->name, d->path))
        change_delete(c, d->path);
    change_add(c, d->name, with_line_ends(a, d->text, now.crlf));
    *location = rev_path(a, repo, "blob", rev, d->name);
    return change_ok(c, err) && web_change_commit(r, repo, c, pull, location, err);
}

typedef bool Commit(Request *r, const Repo *repo, const Draft *d, bool pull, Str *location,
                    Error *err);
typedef void Show(Request *r, const Repo *repo, int status, const Draft *d, const char *problem);

/* A form that was posted: the commit, and then where it can be seen; or the form again, with what
 * was wrong. */
static void take_form(Request *r, Draft *d, Commit *commit, Show *show_again)
{
    Params form;
    Error err = {0};
    Repo repo;
    Str location;
    bool reads = commit == draft_commit && d->path.len;
    if (!web_form(r, &form) || !repo_to_edit(r, reads, &repo))
        return;
    d->oid = params_get(&form, "oid");
    d->name = str_trim(params_get(&form, "file"));
    d->text = params_get(&form, "text");
    d->title = str_trim(params_get(&form, "summary"));
    d->description = str_trim(params_get(&form, "description"));
    bool pull = str_eq(params_get(&form, "how"), S("pull"));
    if (commit(r, &repo, d, pull, &location, &err))
        return reply_redirect(r, 303, location);
    if (!web_can_be_mended(&err))
        return reply_error(r, &err);
    show_again(r, &repo, error_http_status(err.code), d, err.text);
}

static void edit(Request *r)
{
    take_form(r, &(Draft){.path = request_param(r, "path")}, draft_commit, show);
}

static void create(Request *r)
{
    take_form(r, &(Draft){.folder = request_param(r, "path")}, draft_commit, show);
}

/* ---- Away with it ---- */

static void show_delete(Request *r, const Repo *repo, int status, const Draft *d,
                        const char *problem)
{
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    const char *title = arena_printf(a, "Delete %.*s", STR(d->path));
    json_t *page = page_new(r, title);
    page_set_commit(r, page, repo, rev, title);
    set_str(page, "path", d->path);
    set_str(page, "summary", d->title);
    set_str(page, "description", d->description);
    set(page, "problem", json_string(problem));
    set_str(page, "action", request_path(r));
    set_str(page, "back", rev_path(a, repo, "blob", rev, d->path));
    page_render(r, status, "delete", page);
}

static void delete_form(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoFile file;
    Draft d = {.path = request_param(r, "path")};
    if (!web_repo(r, ACCESS_PROPOSE, &repo))
        return;
    if (!repo_file(hub_of(r), request_arena(r), &repo, request_param(r, "rev"), d.path, &file,
                   &err))
        return reply_error(r, &err);
    show_delete(r, &repo, 200, &d, "");
}

static bool delete_commit(Request *r, const Repo *repo, const Draft *d, bool pull, Str *location,
                          Error *err)
{
    Arena *a = request_arena(r);
    Str rev = request_param(r, "rev");
    AUTO(change_free) Change *c = NULL;
    if (!web_change_open(r, repo, rev, pull, &c, err))
        return false;
    change_title(c, d->title.len ? d->title : str_of(arena_printf(a, "Delete %.*s", STR(d->path))),
                 d->description);
    change_delete(c, d->path);
    *location = rev_path(a, repo, "tree", rev, (Str){0});
    return change_ok(c, err) && web_change_commit(r, repo, c, pull, location, err);
}

static void delete_file(Request *r)
{
    take_form(r, &(Draft){.path = request_param(r, "path")}, delete_commit, show_delete);
}

const Route web_edit_routes[] = {
    EACH_KIND("GET", "/edit/{rev}/{path...}", edit_form, WEB_LOGGED_IN, "A file to edit"),
    EACH_KIND("POST", "/edit/{rev}/{path...}", edit, WEB_LOGGED_IN, "Commit an edited file",
              .max_body = MAX_FORM),
    EACH_KIND("GET", "/new/{rev}/{path...}", new_form, WEB_LOGGED_IN, "A file to write"),
    EACH_KIND("POST", "/new/{rev}/{path...}", create, WEB_LOGGED_IN, "Commit a new file",
              .max_body = MAX_FORM),
    EACH_KIND("GET", "/delete/{rev}/{path...}", delete_form, WEB_LOGGED_IN, "A file to delete"),
    EACH_KIND("POST", "/delete/{rev}/{path...}", delete_file, WEB_LOGGED_IN, "Delete a file"),
};
const size_t web_edit_routes_n = COUNT(web_edit_routes);
