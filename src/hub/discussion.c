/* discussion.c: discussions and pull requests; see discussions.h.
 *
 * A pull request's ref is made before its row, so that what has a row is whole; its number is taken
 * first and never given again. Its commits are read from git when somebody looks, so that a push
 * with git and a commit by the API show alike. */
#include "base/clock.h"
#include "base/encode.h"
#include "hub/notification_sql.h"
#include "hub/webhook_internal.h"

enum {
    MAX_TITLE = 255,
    MAX_COMMENT = 64 << 10,
    MAX_COMMITS = 250, // of a pull request, shown and named in its merge
    ID_SIZE = 24,
};

static bool is_open(const Discussion *d)
{
    return str_eq(d->status, S("open")) || str_eq(d->status, S("draft"));
}

static bool is_author(const Viewer *viewer, Str author_id)
{
    return viewer->by != BY_NOBODY && str_eq(viewer->account.id, author_id);
}

static const char *pull_ref(Arena *a, int64_t num)
{
    return arena_printf(a, "refs/pr/%lld", (long long)num);
}

static bool title_check(Str *title, Error *err)
{
    *title = str_trim(*title);
    if (!title->len || title->len > MAX_TITLE || !str_is_utf8(*title))
        return fail(err, ERR_INVALID, "a title has 1 to %d bytes of UTF-8", MAX_TITLE);
    return true;
}

static bool comment_check(Str text, Error *err)
{
    if (!str_trim(text).len || text.len > MAX_COMMENT || !str_is_utf8(text))
        return fail(err, ERR_INVALID, "a comment has 1 to %d bytes of UTF-8", MAX_COMMENT);
    return true;
}

static DiscussionEvent event_by(Arena *a, const Viewer *viewer, const char *kind, Str text)
{
    return (DiscussionEvent){.id = id_new(a),
                             .kind = str_of(kind),
                             .author_id = viewer->account.id,
                             .author = viewer->account.name,
                             .created_ns = wall_ns(),
                             .text = text};
}

/* Webhooks hear of it. scope: "discussion" or "discussion.comment". */
static bool tell(Conn *c, Hub *hub, const Repo *repo, const char *action, const char *scope,
                 const Discussion *d, const DiscussionEvent *comment, Error *err)
{
    WebhookEvent event = {
        .action = action, .scope = scope, .repo = repo, .discussion = d, .comment = comment};
    return webhook_record(c, hub, &event, err);
}

/* The ref of a pull request is new. */
static bool tell_ref(Conn *c, Hub *hub, const Repo *repo, const char *ref, Str head, Error *err)
{
    RefMove move = {str_of(ref), S(""), head};
    WebhookEvent event = {
        .action = "update", .scope = "repo.content", .repo = repo, .moves = &move, .n_moves = 1};
    return webhook_record(c, hub, &event, err);
}

/* Those who should know of an event get a notification. said: what of it may mention somebody. */
static Notice notice_of(const Viewer *viewer, const Repo *repo, const Discussion *d,
                        const DiscussionEvent *event, const Mentions *said)
{
    return (Notice){.repo = repo->id,
                    .discussion = d->id,
                    .event = event->id,
                    .actor = viewer->account.id,
                    .mentions = said,
                    .now = event->created_ns};
}

/* ---- Making ---- */

static bool take_number(Hub *hub, const Repo *repo, int64_t *num, Error *err)
{
    if (repo->discussions_off)
        return fail(err, ERR_DENIED, "Discussions are disabled for %.*s", STR(repo->full));
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_discussion_number(c, repo->id, num, err) && conn_commit(c, err);
}

/* The row and the opening comment; d needs its number, kind, status and base. head: of its ref, if
 * it has one. */
static bool discussion_store(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                             Discussion *d, Str description, Str head, Error *err)
{
    DiscussionEvent first = event_by(a, viewer, "comment", description);
    Mentions said;
    mentions_find(a, description, &said);
    d->id = id_new(a);
    d->author_id = viewer->account.id;
    d->author = viewer->account.name;
    d->created_ns = d->updated_ns = first.created_ns;
    d->comments = 1;
    Notice notice = notice_of(viewer, repo, d, &first, &said);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_discussion_add(c, repo->id, d, err) && sql_event_add(c, d->id, &first, err) &&
           (!head.len || tell_ref(c, hub, repo, pull_ref(a, d->num), head, err)) &&
           tell(c, hub, repo, "create", "discussion", d, &first, err) &&
           sql_notify(c, &notice, err) && conn_commit(c, err);
}

bool discussion_create(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                       const NewDiscussion *new, Discussion *out, Error *err)
{
    Discussion d = {.title = new->title,
                    .is_pull = new->is_pull,
                    .status = new->is_pull ? S("draft") : S("open")};
    if (!title_check(&d.title, err) ||
        (new->description.len && !comment_check(new->description, err)) ||
        !take_number(hub, repo, &d.num, err))
        return false;
    char head[GIT_HEX_SIZE] = "";
    if (new->is_pull) {
        AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
        d.base = S("refs/heads/main");
        if (!git || !git_ref_read(git, d.base.ptr, head, err) ||
            !git_ref_create(git, pull_ref(a, d.num), head, err))
            return fail_while(err, "open a pull request");
        d.base_sha = arena_str(a, str_of(head));
    }
    if (!discussion_store(hub, a, viewer, repo, &d, new->description, str_of(head), err))
        return false;
    *out = d;
    return true;
}

/* What change.c calls, behind its commit to refs/pr/N. */
bool pull_number(Hub *hub, const Repo *repo, int64_t *num, Error *err)
{
    return take_number(hub, repo, num, err);
}

bool pull_store(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Discussion *d,
                Str description, Str head, Error *err)
{
    d->is_pull = true;
    d->status = S("open");
    d->title = str_slice(d->title, 0, MAX_TITLE);
    while (!str_is_utf8(d->title)) // the cut may have gone through a character
        d->title.len--;
    return discussion_store(hub, a, viewer, repo, d, str_slice(description, 0, MAX_COMMENT), head,
                            err);
}

bool pull_may_push(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str ref, Error *err)
{
    int64_t num;
    Discussion d;
    if (!str_starts(ref, S("refs/pr/")) ||
        !str_to_int(str_slice(ref, strlen("refs/pr/"), ref.len), 1, INT64_MAX, &num))
        return repo->access >= ACCESS_WRITE ||
               fail(err, ERR_DENIED, "You may not change %.*s", STR(repo->full));
    if (!discussion_find(hub, a, repo, num, &d, err))
        return false;
    if (!d.is_pull || !is_open(&d))
        return fail(err, ERR_INVALID, "%.*s is not an open pull request", STR(ref));
    return repo->access >= ACCESS_WRITE || is_author(viewer, d.author_id) ||
           fail(err, ERR_DENIED, "%.*s belongs to a pull request of %.*s", STR(ref), STR(d.author));
}

/* ---- Reading ---- */

bool discussion_list(Hub *hub, Arena *a, const Repo *repo, const DiscussionQuery *query,
                     DiscussionPage *out, Error *err)
{
    if (query->limit < 1 || query->limit > 100 || query->skip < 0)
        return fail(err, ERR_INVALID, "discussions: a page has 1 to 100");
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_discussion_list(c, a, repo->id, query, out, err);
}

bool discussion_find(Hub *hub, Arena *a, const Repo *repo, int64_t num, Discussion *out, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_discussion_find(c, a, repo->id, num, out, err);
}

/* Where a pull request's ref is, and where it left the branch that it wants to change.
 * ERR_NO_REVISION when its ref or that branch is gone. */
static bool pull_ends(GitRepo *git, Arena *a, const Discussion *d, char base[GIT_HEX_SIZE],
                      char fork[GIT_HEX_SIZE], char head[GIT_HEX_SIZE], Error *err)
{
    return git_ref_read(git, pull_ref(a, d->num), head, err) &&
           git_ref_read(git, arena_cstr(a, d->base), base, err) &&
           git_repo_merge_base(git, base, head, fork, err);
}

/* Its commits, the oldest first; none when its ref is gone. */
static bool pull_commits(Arena *a, const Repo *repo, const Discussion *d, GitLog *log, Error *err)
{
    *log = (GitLog){0};
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char head[GIT_HEX_SIZE];
    if (!git)
        return false;
    if (!d->is_pull || !git_ref_read(git, pull_ref(a, d->num), head, NULL))
        return true;
    GitLogParams params = {.start = head, .hide = arena_cstr(a, d->base_sha), .limit = MAX_COMMITS};
    if (!git_repo_log(git, &params, a, log, err))
        return false;
    for (size_t i = 0; i < log->n / 2; i++) {
        GitCommit swap = log->items[i];
        log->items[i] = log->items[log->n - 1 - i];
        log->items[log->n - 1 - i] = swap;
    }
    return true;
}

static DiscussionEvent event_of_commit(Arena *a, const GitCommit *commit)
{
    Str sha = arena_str(a, str_of(commit->id));
    return (DiscussionEvent){.id = str_slice(sha, 0, ID_SIZE),
                             .kind = S("commit"),
                             .author = commit->author_name,
                             .created_ns = commit->committer_ns,
                             .text = commit->title,
                             .other = sha};
}

bool discussion_events(Hub *hub, Arena *a, const Repo *repo, const Discussion *d,
                       DiscussionEvent **out, size_t *n, Error *err)
{
    DiscussionEvent *events;
    size_t n_events;
    GitLog log;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_event_list(c, a, d->id, &events, &n_events, err) ||
            !sql_reaction_list(c, a, d->id, events, n_events, err))
            return false;
    }
    if (!pull_commits(a, repo, d, &log, err))
        return false;
    DiscussionEvent *all = NEW_ARRAY(a, DiscussionEvent, n_events + log.n);
    size_t made = 0, next = 0;
    for (size_t i = 0; i < n_events; i++) {
        // Commits know whole seconds only; the opening comment comes before all.
        while (i > 0 && next < log.n && log.items[next].committer_ns < events[i].created_ns)
            all[made++] = event_of_commit(a, &log.items[next++]);
        all[made++] = events[i];
    }
    while (next < log.n)
        all[made++] = event_of_commit(a, &log.items[next++]);
    *out = all;
    *n = made;
    return true;
}

bool pull_range(Hub *hub, Arena *a, const Repo *repo, const Discussion *d, Str *from, Str *to,
                Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char base[GIT_HEX_SIZE], fork[GIT_HEX_SIZE], head[GIT_HEX_SIZE];
    Error seen = {0};
    *from = *to = (Str){0};
    if (!git)
        return false;
    if (pull_ends(git, a, d, base, fork, head, &seen)) {
        *from = arena_str(a, str_of(fork));
        *to = arena_str(a, str_of(head));
        return true;
    }
    if (seen.code == ERR_NO_REVISION)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool pull_diff(Hub *hub, const Repo *repo, const Discussion *d, Buf *out, bool *cut, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str from, to;
    *cut = false;
    return pull_range(hub, a, repo, d, &from, &to, err) &&
           (!to.len || repo_diff(hub, repo, from, to, out, cut, err));
}

bool pull_conflicts(Hub *hub, Arena *a, const Repo *repo, const Discussion *d, Str **paths,
                    size_t *n, Error *err)
{
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    char base[GIT_HEX_SIZE], fork[GIT_HEX_SIZE], head[GIT_HEX_SIZE];
    Error seen = {0};
    *n = 0;
    if (!git)
        return false;
    if (!is_open(d) ||
        (!pull_ends(git, a, d, base, fork, head, &seen) && seen.code == ERR_NO_REVISION))
        return true;
    if (seen.code == ERR_NONE)
        return git_repo_conflicts(git, base, head, a, paths, n, err);
    *(err ? err : &seen) = seen;
    return false;
}

/* ---- Changing ---- */

static bool is_comment(const DiscussionEvent *event)
{
    return str_eq(event->kind, S("comment"));
}

/* What happens to a discussion: up to two events, and who gets a notification (NULL: nobody). */
typedef struct Happening {
    const DiscussionEvent *events[2];
    const Notice *notice;
} Happening;

/* Stores a changed discussion and what happened, in one transaction. */
static bool record(Hub *hub, const Repo *repo, const Discussion *d, const Happening *what,
                   Error *err)
{
    bool only_said = false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < COUNT(what->events); i++) {
        const DiscussionEvent *event = what->events[i];
        if (!event)
            continue;
        only_said = is_comment(event);
        if (!sql_event_add(c, d->id, event, err) ||
            (only_said && !tell(c, hub, repo, "create", "discussion.comment", d, event, err)))
            return false;
    }
    return sql_discussion_set(c, d, wall_ns(), err) &&
           (only_said || tell(c, hub, repo, "update", "discussion", d, NULL, err)) &&
           (!what->notice || sql_notify(c, what->notice, err)) && conn_commit(c, err);
}

/* A change, behind a comment that may be empty. */
static bool record_change(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                          const Discussion *d, Str comment, const DiscussionEvent *change,
                          Error *err)
{
    Mentions said;
    DiscussionEvent first = event_by(a, viewer, "comment", comment);
    first.created_ns = change->created_ns - 1; // it was said before
    mentions_find(a, comment, &said);
    Notice notice = notice_of(viewer, repo, d, comment.len ? &first : change, &said);
    return record(hub, repo, d, &(Happening){{comment.len ? &first : NULL, change}, &notice}, err);
}

static bool may_steer(const Viewer *viewer, const Repo *repo, const Discussion *d, Error *err)
{
    return repo->access >= ACCESS_WRITE || is_author(viewer, d->author_id) ||
           fail(err, ERR_DENIED, "Only its author and those who may write to %.*s can do that",
                STR(repo->full));
}

bool discussion_comment(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                        const Discussion *d, Str text, DiscussionEvent *out, Error *err)
{
    if (repo->discussions_off)
        return fail(err, ERR_DENIED, "Discussions are disabled for %.*s", STR(repo->full));
    Mentions said;
    if (!comment_check(text, err))
        return false;
    *out = event_by(a, viewer, "comment", text);
    mentions_find(a, text, &said);
    Notice notice = notice_of(viewer, repo, d, out, &said);
    return record(hub, repo, d, &(Happening){{out}, &notice}, err);
}

bool discussion_retitle(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                        const Discussion *d, Str title, DiscussionEvent *out, Error *err)
{
    if (!title_check(&title, err) || !may_steer(viewer, repo, d, err))
        return false;
    Discussion changed = *d;
    changed.title = title;
    *out = event_by(a, viewer, "title-change", title);
    out->other = d->title;
    return record(hub, repo, &changed, &(Happening){{out}}, err);
}

bool discussion_set_status(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                           const Discussion *d, Str status, Str comment, DiscussionEvent *out,
                           Error *err)
{
    if (!str_eq(status, S("open")) && !str_eq(status, S("closed")))
        return fail(err, ERR_INVALID, "status: open or closed");
    if (!may_steer(viewer, repo, d, err) || (comment.len && !comment_check(comment, err)))
        return false;
    if (str_eq(d->status, S("merged")))
        return fail(err, ERR_INVALID, "it has been merged");
    if (str_eq(d->status, status))
        return fail(err, ERR_INVALID, "it is %.*s already", STR(status));
    Discussion changed = *d;
    changed.status = status;
    *out = event_by(a, viewer, "status-change", status);
    return record_change(hub, a, viewer, repo, &changed, comment, out, err);
}

static bool event_own(Hub *hub, Arena *a, const Discussion *d, Str id, DiscussionEvent *event,
                      Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || !sql_event_find(c, a, d->id, id, event, err))
        return false;
    if (!is_comment(event))
        return fail(err, ERR_NOT_FOUND, "There is no such comment");
    return !event->is_hidden || fail(err, ERR_INVALID, "This comment has been hidden");
}

/* notice NULL: nobody is told. */
static bool event_change(Hub *hub, const Repo *repo, const Discussion *d,
                         const DiscussionEvent *event, const Notice *notice, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_event_set(c, event, err) &&
           (!event->is_hidden || webhook_forget_text(c, repo, event->id, err)) &&
           tell(c, hub, repo, "update", "discussion.comment", d, event, err) &&
           (!notice || sql_notify(c, notice, err)) && conn_commit(c, err);
}

/* Whom the text mentions now and did not before. */
static void mentions_new(Arena *a, Str before, Str now, Mentions *out)
{
    Mentions old, all;
    *out = (Mentions){0};
    mentions_find(a, before, &old);
    mentions_find(a, now, &all);
    for (size_t i = 0; i < all.n; i++)
        if (!mentions_has(&old, all.names[i]))
            out->names[out->n++] = all.names[i];
}

bool discussion_edit(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                     const Discussion *d, Str event, Str text, DiscussionEvent *out, Error *err)
{
    if (!comment_check(text, err) || !event_own(hub, a, d, event, out, err))
        return false;
    if (!is_author(viewer, out->author_id))
        return fail(err, ERR_DENIED, "Only its author can edit a comment");
    Mentions said;
    mentions_new(a, out->text, text, &said);
    Notice notice = notice_of(viewer, repo, d, out, &said);
    out->text = text;
    out->edits++;
    out->edited_ns = notice.now = wall_ns();
    notice.mentions_only = true;
    return event_change(hub, repo, d, out, &notice, err);
}

bool discussion_hide(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                     const Discussion *d, Str event, DiscussionEvent *out, Error *err)
{
    if (!event_own(hub, a, d, event, out, err))
        return false;
    if (!is_author(viewer, out->author_id) && repo->access < ACCESS_WRITE)
        return fail(err, ERR_DENIED, "Only its author and those who may write can hide a comment");
    out->text = S("");
    out->is_hidden = true;
    out->edited_ns = wall_ns();
    return event_change(hub, repo, d, out, NULL, err);
}

bool discussion_pin(Hub *hub, const Repo *repo, const Discussion *d, bool pinned, Error *err)
{
    Discussion changed = *d;
    changed.is_pinned = pinned;
    return record(hub, repo, &changed, &(Happening){0}, err);
}

static bool drop_ref(Hub *hub, const Repo *repo, const Discussion *d, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Error seen = {0};
    if (!d->is_pull || repo_ref_delete(hub, repo, pull_ref(a, d->num), &seen) ||
        seen.code == ERR_NO_REVISION)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool discussion_delete(Hub *hub, const Repo *repo, const Discussion *d, Error *err)
{
    if (!drop_ref(hub, repo, d, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && webhook_forget_text(c, repo, d->id, err) &&
           tell(c, hub, repo, "delete", "discussion", d, NULL, err) &&
           sql_discussion_remove(c, d->id, err) && conn_commit(c, err);
}

bool pull_drop_ref(Hub *hub, const Repo *repo, const Discussion *d, Error *err)
{
    if (!d->is_pull || is_open(d))
        return fail(err, ERR_INVALID, "only the ref of a closed pull request can be dropped");
    return drop_ref(hub, repo, d, err);
}

/* ---- Merging ---- */

/* "Title (#3)", and what it is made of. */
static Str merge_message(Arena *a, const Discussion *d, const GitLog *log)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    buf_printf(&text, "%.*s (#%lld)\n", STR(d->title), (long long)d->num);
    for (size_t i = 0; i < log->n; i++)
        buf_printf(&text, "%s- %.*s (%s)\n", i ? "" : "\n", STR(log->items[i].title),
                   log->items[i].id);
    for (size_t i = 0; i < log->n; i++) {
        const GitCommit *commit = &log->items[i];
        bool named = false;
        for (size_t j = 0; j < i; j++)
            named |= str_eq(log->items[j].author_name, commit->author_name);
        if (!named)
            buf_printf(&text, "%sCo-authored-by: %.*s <%.*s>\n", i ? "" : "\n",
                       STR(commit->author_name), STR(commit->author_email));
    }
    return arena_str(a, buf_str(&text));
}

static bool merge_check(const Discussion *d, Error *err)
{
    if (!d->is_pull)
        return fail(err, ERR_INVALID, "%lld is not a pull request", (long long)d->num);
    if (str_eq(d->status, S("draft")))
        return fail(err, ERR_INVALID, "This pull request is a draft: publish it first");
    return is_open(d) || fail(err, ERR_INVALID, "This pull request is %.*s", STR(d->status));
}

/* The commit of a merge that was made but not recorded: the process died between git and the
 * database. It is known by its message, which names the pull request's commits. */
static bool merged_before(GitRepo *git, Arena *a, const Discussion *d, Str message,
                          char commit[GIT_HEX_SIZE])
{
    GitLog log;
    char head[GIT_HEX_SIZE];
    GitLogParams params = {.start = head, .hide = arena_cstr(a, d->base_sha), .limit = MAX_COMMITS};
    if (!git_ref_read(git, arena_cstr(a, d->base), head, NULL) ||
        !git_repo_log(git, &params, a, &log, NULL))
        return false;
    for (size_t i = 0; i < log.n; i++) {
        const GitCommit *c = &log.items[i];
        Str whole = str_of(arena_printf(a, "%.*s\n\n%.*s", STR(c->title), STR(c->body)));
        if (!str_eq(str_trim(whole), str_trim(message)))
            continue;
        memcpy(commit, c->id, GIT_HEX_SIZE);
        return true;
    }
    return false;
}

static bool merge_in_git(Arena *a, const Viewer *viewer, const Repo *repo, const Discussion *d,
                         const GitLog *log, char commit[GIT_HEX_SIZE], Error *err)
{
    char head[GIT_HEX_SIZE];
    Error seen = {0};
    AUTO(git_repo_free) GitRepo *git = repo_git_open(repo, err);
    if (!git || !git_ref_read(git, pull_ref(a, d->num), head, err))
        return false;
    GitMergeParams params = {.ref = arena_cstr(a, d->base),
                             .from = head,
                             .message = merge_message(a, d, log),
                             .author = person_of(a, viewer)};
    if (git_repo_merge(git, &params, commit, &seen) ||
        (seen.code == ERR_INVALID && log->n && merged_before(git, a, d, params.message, commit)))
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool pull_merge(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, const Discussion *d,
                Str comment, Str *sha, Error *err)
{
    GitLog log;
    char commit[GIT_HEX_SIZE];
    if (!merge_check(d, err) || (comment.len && !comment_check(comment, err)) ||
        !pull_commits(a, repo, d, &log, err) ||
        !merge_in_git(a, viewer, repo, d, &log, commit, err))
        return false;
    Discussion changed = *d;
    changed.status = S("merged");
    changed.merge_commit = *sha = arena_str(a, str_of(commit));
    DiscussionEvent event = event_by(a, viewer, "status-change", S("merged"));
    return record_change(hub, a, viewer, repo, &changed, comment, &event, err) &&
           repo_committed(hub, repo, arena_cstr(a, d->base), commit, err);
}
