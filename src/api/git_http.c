/* git_http.c: clone, fetch and push over smart HTTP.
 *
 * The `git` program speaks the protocol (upload-pack and receive-pack with --stateless-rpc); we
 * decide who may, and pass the bytes. Before a push moves refs, git runs its pre-receive hook,
 * which asks this process over two pipes: the refs go in, a verdict and lines for the pusher come
 * out. Objects are then still in git's quarantine, and a refused push leaves nothing.
 *
 *     git push --> receive-pack --> pre-receive --pipe 8--> check_push (a thread)
 *                                               <--pipe 9-- "ok", or "no" and why
 *
 * After a push the hub looks at what changed before the pusher hears that all went well. */
#include "api/api_internal.h"
#include "hub/discussions.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/thread.h"
#include "git/git.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    ASK_FD = 8,
    ANSWER_FD = 9,
    FETCH_BODY = 32 << 20,          // what a client wants and has: 50 bytes each
    ADVERTISEMENT_LIMIT = 64 << 20, // all refs
    REPORT_LIMIT = 4 << 20,         // what receive-pack answers
    PLAIN_FILE_LIMIT = 10 << 20,    // larger files must be LFS
    REFS_LIMIT = 4 << 20,           // bytes of ref updates in one push
    COMPLAINTS = 20,                // at most so many lines of them
    MOVES = 1000,                   // refs of a push that are told of
};
#define PUSH_LIMIT "2147483648" // bytes of a pack: LFS objects travel elsewhere
static const int64_t GIT_TIMEOUT_NS = 3600 * NS_PER_S;

/* ---- Running git ---- */

typedef struct GitRun {
    Request *request;
    Str body; // input that was read before; body_read where it streams
    bool streams_in;
    const char *type; // of the streamed answer; NULL: kept in `out`
    bool started;
    Buf out;
    const atomic_bool *cancelled;
} GitRun;

static void git_run_done(GitRun *run)
{
    buf_done(&run->out);
}
#define AUTO_RUN __attribute__((cleanup(git_run_done))) GitRun

static bool give_body(void *user, void *out, size_t max, size_t *n, Error *err)
{
    GitRun *run = user;
    if (run->streams_in)
        return request_read(run->request, out, max, n, err);
    *n = MIN(max, run->body.len);
    if (*n)
        memcpy(out, run->body.ptr, *n);
    run->body = str_slice(run->body, *n, run->body.len);
    return true;
}

static bool take_output(void *user, Str bytes, Error *err)
{
    GitRun *run = user;
    if (!run->type) {
        buf_add(&run->out, bytes);
        return buf_ok(&run->out, err);
    }
    if (!run->started && !reply_stream(run->request, 200, run->type))
        return fail(err, ERR_CANCELLED, "the client has gone");
    run->started = true;
    return reply_write(run->request, bytes, err);
}

/* Only what a protocol line may hold: it becomes an environment variable of git. */
static const char *protocol_of(Request *r)
{
    Str asked = request_header(r, "Git-Protocol");
    for (size_t i = 0; i < asked.len; i++)
        if (!isalnum((unsigned char)asked.ptr[i]) && !strchr("=:.-", asked.ptr[i]))
            return "";
    return asked.len < 100 ? arena_cstr(request_arena(r), asked) : "";
}

/* Runs `git SERVICE --stateless-rpc ... DIR`. False: git did not run to its end, or failed without
 * a word for the client. */
static bool run_git(GitRun *run, const Repo *repo, const char *const *arguments, const char *hooks,
                    const ProcessFd *fds, size_t n_fds, Error *err)
{
    Request *r = run->request;
    Arena *a = request_arena(r);
    const char *const settings[] = {
        arena_printf(a, "core.hooksPath=%s", hooks ? hooks : "/dev/null"),
        "receive.maxInputSize=" PUSH_LIMIT, NULL};
    const char *const variables[] = {arena_printf(a, "GIT_PROTOCOL=%s", protocol_of(r)), NULL};
    AUTO_BUF complaint;
    buf_init(&complaint, 4096);
    ProcessParams p = {.argv = arguments,
                       .env = git_environment(a, settings, variables),
                       .fds = fds,
                       .n_fds = n_fds,
                       .timeout_ns = GIT_TIMEOUT_NS,
                       .cancelled = run->cancelled,
                       .input = give_body,
                       .output = take_output,
                       .user = run,
                       .errors = &complaint};
    int status = 0;
    size_t before = run->out.len;
    if (!process_run(&p, &status, err))
        return fail_while(err, "git in '%s'", repo->git_dir);
    if (status && !run->started && run->out.len == before)
        return fail(err, ERR_CORRUPT, "git in '%s': status %d: %.*s", repo->git_dir, status,
                    STR(str_trim(buf_str(&complaint))));
    return true;
}

static void no_cache(Request *r)
{
    reply_header(r, "Expires", S("Fri, 01 Jan 1980 00:00:00 GMT"));
    reply_header(r, "Pragma", S("no-cache"));
    reply_header(r, "Cache-Control", S("no-cache, max-age=0, must-revalidate"));
}

/* ---- What both services say first ---- */

static void info_refs(Request *r)
{
    Error err = {0};
    Repo repo;
    Arena *a = request_arena(r);
    Str service = request_query_get(r, "service");
    bool push = str_eq(service, S("git-receive-pack"));
    if (!push && !str_eq(service, S("git-upload-pack")))
        return reply_failure(r, 403, "This server speaks git's smart protocol only");
    if (!api_repo(r, push ? ACCESS_PROPOSE : ACCESS_FILES, &repo))
        return;
    git_repo_break_locks(repo.git_dir);
    const char *const arguments[] = {"git",
                                     push ? "receive-pack" : "upload-pack",
                                     "--stateless-rpc",
                                     "--advertise-refs",
                                     repo.git_dir,
                                     NULL};
    AUTO_RUN run = {.request = r, .cancelled = request_cancelled(r)};
    buf_init(&run.out, ADVERTISEMENT_LIMIT);
    // Version 2 begins with its capabilities; the older ones are told apart by this line.
    if (push || !strstr(protocol_of(r), "version=2"))
        buf_printf(&run.out, "%04x# service=%.*s\n0000", (unsigned)(4 + 10 + service.len + 1),
                   STR(service));
    if (!run_git(&run, &repo, arguments, NULL, NULL, 0, &err))
        return reply_error(r, &err);
    no_cache(r);
    reply_buf(r, 200, arena_printf(a, "application/x-%.*s-advertisement", STR(service)), &run.out);
}

static void upload_pack(Request *r)
{
    Error err = {0};
    Repo repo;
    AUTO_RUN run = {.request = r,
                    .type = "application/x-git-upload-pack-result",
                    .cancelled = request_cancelled(r)};
    // Read whole before git answers: nothing can be sent while the body still comes.
    if (!api_repo(r, ACCESS_FILES, &repo))
        return;
    if (!request_body(r, FETCH_BODY, &run.body, &err))
        return reply_error(r, &err);
    const char *const arguments[] = {"git", "upload-pack", "--stateless-rpc", repo.git_dir, NULL};
    no_cache(r);
    bool ok = run_git(&run, &repo, arguments, NULL, NULL, 0, &err);
    if (!ok && run.started)
        reply_abort(r);
    else if (!ok)
        reply_error(r, &err);
    else if (!run.started)
        reply_bytes(r, 200, run.type, (Str){0});
}

/* ---- Checking a push ---- */

typedef struct Push {
    Hub *hub;
    const Repo *repo;
    const Viewer *viewer;
    int ask, answer; // our ends
    Buf question;    // what the hook asked
    Buf why;         // lines for the pusher; empty: it is fine
    int complaints;
    pthread_t thread;
} Push;

static void complain(Push *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(Push *p, const char *format, ...)
{
    if (p->complaints++ >= COMPLAINTS)
        return;
    va_list args;
    va_start(args, format);
    buf_vprintf(&p->why, format, args);
    va_end(args);
    buf_add_char(&p->why, '\n');
}

/* Collects what is wrong with a file; stops the walk only once there is more than enough. */
static bool check_file(void *user, const GitEntry *entry, Error *err)
{
    Push *p = user;
    if (!entry->is_lfs) {
        if (entry->size > PLAIN_FILE_LIMIT)
            complain(p, "%.*s is larger than 10 MiB: track it with git-lfs (git lfs track)",
                     STR(entry->path));
    } else {
        bool has = false;
        int64_t size = 0;
        if (!repo_has_blob(p->hub, p->repo, p->viewer, str_of(entry->lfs_oid), &has, &size, err))
            return NULL;
        if (!has)
            complain(p, "%.*s: its LFS content %.12s... was not uploaded (git lfs push --all)",
                     STR(entry->path), entry->lfs_oid);
        else if (size != entry->size)
            complain(p, "%.*s: its LFS pointer says %lld bytes, the content has %lld",
                     STR(entry->path), (long long)entry->size, (long long)size);
    }
    if (p->complaints > COMPLAINTS)
        return fail(err, ERR_INVALID, "and more");
    return true;
}

static void check_card(Push *p, GitRepo *git, const char *commit)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF readme;
    buf_init(&readme, PLAIN_FILE_LIMIT);
    CardReport report = {0};
    if (!git_repo_read(git, commit, S("README.md"), &readme, NULL))
        return;
    card_check(a, buf_str(&readme), p->repo->kind, &report);
    for (size_t i = 0; i < report.n_errors; i++)
        complain(p, "README.md: %.*s", STR(report.errors[i]));
}

/* "old new refs/heads/main" */
static bool check_update(Push *p, GitRepo *git, Str line, Error *err)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", "refs/pr/"};
    Str old, new, ref = line;
    bool known = false;
    if (!str_split(&ref, ' ', &old) || !str_split(&ref, ' ', &new) || new.len != 40)
        return fail(err, ERR_CORRUPT, "git says '%.*s'", STR(line));
    for (size_t i = 0; i < COUNT(prefixes); i++)
        known |= str_starts(ref, str_of(prefixes[i]));
    if (!known)
        complain(p, "%.*s: only branches, tags and refs/pr/ may be pushed", STR(ref));
    Error denied = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    if (known && !pull_may_push(p->hub, a, p->viewer, p->repo, ref, &denied))
        complain(p, "%s", denied.text);
    char sha[GIT_HEX_SIZE] = "";
    memcpy(sha, new.ptr, new.len);
    if (!known || denied.code || strspn(sha, "0") == new.len) // a deletion
        return true;
    if (!git_repo_new_files(git, sha, check_file, p, err))
        return NULL;
    if (str_starts(ref, S("refs/heads/")))
        check_card(p, git, sha);
    return true;
}

static bool check_updates(Push *p, Str question, Error *err)
{
    Str line, objects;
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!str_split(&question, '\n', &objects))
        return fail(err, ERR_CORRUPT, "the hook asked nothing");
    // Where the pushed objects are; relative to the repository when git says it so.
    const char *folder = str_starts(objects, S("/"))
                             ? arena_cstr(a, objects)
                             : arena_printf(a, "%s/%.*s", p->repo->git_dir, STR(objects));
    AUTO(git_repo_free) GitRepo *git = git_repo_open_with(p->repo->git_dir, folder, err);
    if (!git)
        return NULL;
    while (str_split(&question, '\n', &line) && line.len)
        if (!check_update(p, git, line, err))
            return NULL;
    return true;
}

/* All that the hook says, up to its empty line; false when there was no push to ask about. */
static bool read_question(int fd, Buf *out)
{
    char bytes[4096];
    while (out->len < 2 || !str_ends(buf_str(out), S("\n\n"))) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0)
            return false;
        buf_add_bytes(out, bytes, (size_t)got);
        if (!buf_ok(out, NULL))
            return false;
    }
    return true;
}

static void *check_push(void *user)
{
    Push *p = user;
    Error err = {0};
    AUTO_BUF answer;
    buf_init(&answer, 0);
    if (read_question(p->ask, &p->question)) {
        if (!check_updates(p, buf_str(&p->question), &err) && p->complaints <= COMPLAINTS)
            complain(p, "%s", err.text);
        if (p->complaints)
            log_info("push-refused", "repo=%.*s why=\"%.*s\"", STR(p->repo->full),
                     STR(str_slice(buf_str(&p->why), 0, str_find_char(buf_str(&p->why), '\n', 0))));
        buf_printf(&answer, "%s\n", p->complaints ? "no" : "ok");
        buf_add(&answer, buf_str(&p->why));
        (void)!fd_write_all(p->answer, answer.ptr, answer.len, NULL);
    }
    close(p->answer);
    p->answer = -1;
    return NULL;
}

/* ---- Taking a push ---- */

/* The hook's script, written once into the hub's folder. */
static const char *hooks_folder(Arena *a, const Hub *hub, Error *err)
{
    static const char script[] =
        "#!/bin/sh\n"
        "# Asks the hub, which holds the other ends of pipes 8 and 9, whether these refs may "
        "move.\n"
        "{ printf '%s\\n' \"$GIT_OBJECT_DIRECTORY\"; cat; echo; } >&8\n"
        "exec 8>&-\n"
        "IFS= read -r verdict <&9 || verdict='no'\n"
        "while IFS= read -r line <&9; do printf '%s\\n' \"$line\"; done >&2\n"
        "[ \"$verdict\" = ok ]\n";
    const char *data = hub_data(hub);
    char *here = data[0] == '/' ? NULL : getcwd(NULL, 0);
    const char *folder = arena_printf(a, "%s%s%s/hooks", here ? here : "", here ? "/" : "", data);
    free(here);
    const char *path = arena_printf(a, "%s/pre-receive", folder);
    AUTO_BUF old;
    buf_init(&old, 4096);
    if (file_read(path, &old, NULL) && str_eq(buf_str(&old), str_of(script)))
        return folder;
    if (!file_make_folders(folder, 0755, err) ||
        !file_write_atomic(path, str_of(script), 0755, err))
        return fail_while(err, "write git's hook");
    return folder;
}

static bool run_push(GitRun *run, Push *push, Error *err)
{
    Request *r = run->request;
    const char *hooks = hooks_folder(request_arena(r), push->hub, err);
    int ask[2], answer[2];
    if (!hooks)
        return NULL;
    if (pipe2(ask, O_CLOEXEC) < 0)
        return fail_io(err, "make a pipe");
    if (pipe2(answer, O_CLOEXEC) < 0) {
        close(ask[0]);
        close(ask[1]);
        return fail_io(err, "make a pipe");
    }
    push->ask = ask[0];
    push->answer = answer[1];
    push->thread = thread_start("push", check_push, push);
    const ProcessFd fds[] = {{ask[1], ASK_FD}, {answer[0], ANSWER_FD}};
    const char *const arguments[] = {"git", "receive-pack", "--stateless-rpc", push->repo->git_dir,
                                     NULL};
    bool ok = run_git(run, push->repo, arguments, hooks, fds, COUNT(fds), err);
    // Without its last writer the question ends, if it was never asked.
    close(ask[1]);
    close(answer[0]);
    pthread_join(push->thread, NULL);
    close(ask[0]);
    return ok;
}

/* The refs that the hook was asked about and that have moved. */
static RefMove *push_moves(const Push *p, Arena *a, size_t *n)
{
    Str rest = buf_str(&p->question), line;
    RefMove *moves = NEW_ARRAY(a, RefMove, MOVES);
    AUTO(git_repo_free) GitRepo *git = git_repo_open(p->repo->git_dir, NULL);
    *n = 0;
    (void)!str_split(&rest, '\n', &line); // where the objects were
    while (git && *n < MOVES && str_split(&rest, '\n', &line) && line.len) {
        Str from, to;
        char now[GIT_HEX_SIZE] = "";
        if (!str_split(&line, ' ', &from) || !str_split(&line, ' ', &to) || !line.len)
            continue;
        bool is_there = git_ref_read(git, arena_cstr(a, line), now, NULL);
        bool is_new = strspn(arena_cstr(a, from), "0") == from.len;
        bool is_end = strspn(arena_cstr(a, to), "0") == to.len;
        // A tag may be an object of its own: what it tags is what counts.
        bool is_tag = str_starts(line, S("refs/tags/"));
        if (is_there == !is_end && (is_end || is_tag || str_eq(to, str_of(now))))
            moves[(*n)++] = (RefMove){arena_str(a, line), is_new ? (Str){0} : arena_str(a, from),
                                      arena_str(a, str_of(now))};
    }
    return moves;
}

/* One repository at a time: it keeps a core and the disk busy. */
static atomic_flag caring = ATOMIC_FLAG_INIT;

static void *care(void *path)
{
    Error err = {0};
    pthread_detach(pthread_self());
    int64_t start = clock_ns();
    if (git_repo_care(path, &err))
        log_info("git-repack", "path=%s ms=%lld", (char *)path,
                 (long long)((clock_ns() - start) / NS_PER_MS));
    else
        log_warn("git-repack", "error=\"%s\"", err.text);
    free(path);
    atomic_flag_clear(&caring);
    return NULL;
}

void api_care_later(const Repo *repo)
{
    if (git_repo_needs_care(repo->git_dir) && !atomic_flag_test_and_set(&caring))
        thread_start("git-repack", care, xstrdup(repo->git_dir));
}

static void receive_pack(Request *r)
{
    Error err = {0};
    Repo repo;
    // Not cancelled when the client goes once it has sent all: refs are then about to move.
    AUTO_RUN run = {.request = r, .streams_in = true};
    // Those who may only propose may push to the ref of their own pull request: see check_update.
    if (!api_repo(r, ACCESS_PROPOSE, &repo))
        return;
    git_repo_break_locks(repo.git_dir);
    Push push = {.hub = api_of(r)->hub, .repo = &repo, .viewer = api_viewer(r)};
    buf_init(&run.out, REPORT_LIMIT);
    buf_init(&push.question, REFS_LIMIT);
    buf_init(&push.why, 64 << 10);
    bool ok = run_push(&run, &push, &err);
    // Refs may have moved even when git did not end well.
    Error seen = {0};
    size_t n_moves;
    const RefMove *moves = push_moves(&push, request_arena(r), &n_moves);
    bool told = repo_refs_changed(push.hub, &repo, moves, n_moves, &seen);
    if (ok && !told)
        err = seen;
    if (ok && told) {
        no_cache(r);
        reply_buf(r, 200, "application/x-git-receive-pack-result", &run.out);
        api_care_later(&repo);
    } else {
        reply_error(r, &err);
    }
    buf_done(&push.question);
    buf_done(&push.why);
}

/* ---- Routes ---- */

/* With and without ".git", for the three kinds of repositories. */
#define GIT_ROUTES(prefix, ending)                                                                 \
    {"GET", prefix "/{owner}/{name}" ending "/info/refs", info_refs, .access = API_GIT,            \
     .summary = "git: refs of a repository"},                                                      \
        {"POST",                                                                                   \
         prefix "/{owner}/{name}" ending "/git-upload-pack",                                       \
         upload_pack,                                                                              \
         .flags = ROUTE_LONG,                                                                      \
         .access = API_GIT,                                                                        \
         .max_body = FETCH_BODY,                                                                   \
         .summary = "git: fetch"},                                                                 \
    {                                                                                              \
        "POST", prefix "/{owner}/{name}" ending "/git-receive-pack", receive_pack,                 \
            .access = API_GIT, .max_body = ANY_BODY, .summary = "git: push"                        \
    }

const Route git_routes[] = {
    GIT_ROUTES("", ""),          GIT_ROUTES("", ".git"),
    GIT_ROUTES("/datasets", ""), GIT_ROUTES("/datasets", ".git"),
    GIT_ROUTES("/spaces", ""),   GIT_ROUTES("/spaces", ".git"),
};
const size_t git_routes_n = COUNT(git_routes);
