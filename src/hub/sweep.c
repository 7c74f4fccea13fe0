/* sweep.c: what a crash can leave behind, and its mending. A first pass after the start:
 *
 * - A commit whose ref moved but which lists do not show yet (the crash came between the two) is
 *   indexed.
 * - What a deletion left to be removed is removed (removal.c).
 * - A git folder without a row (the crash came before the row was written, or after it was removed)
 *   is deleted, once it is a day old: a younger one may be in the making.
 *
 * Once a day: what files were made of, in xet/, and no file needs any more.
 *
 * And every few seconds: what an older program has indexed, or an administrator wants indexed
 * anew (`hug admin search rebuild`, which may be another process). */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "hub/hub_internal.h"

#include <dirent.h>

enum { PAGE = 200, DAY_S = 86400, ORPHAN_AGE_S = DAY_S, LOOK_AGAIN_S = 10, XET_DAYS = 28 };

struct Sweep {
    Hub *hub;
    pthread_t thread;
    pthread_mutex_t lock; // for wake alone
    pthread_cond_t wake;
    bool stop; // atomic
};

static bool stopped(Sweep *s)
{
    return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

static void index_if_behind(Sweep *s, Arena *a, Repo *repo, Str indexed)
{
    Error err = {0};
    Str head = {0};
    repo->git_dir = repo_git_dir(s->hub, a, repo->id);
    if (!repo_revision(s->hub, a, repo, S(""), &head, NULL) || str_eq(head, indexed))
        return;
    if (!repo_index(s->hub, repo, &err))
        log_warn("sweep", "repo=%.*s error=\"%s\"", STR(repo->full), err.text);
}

static void index_all(Sweep *s)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str after = S("");
    size_t n = PAGE;
    char last[32] = "";
    while (n == PAGE && !stopped(s)) {
        Repo *repos = NEW_ARRAY(a, Repo, PAGE);
        Str *shas = NEW_ARRAY(a, Str, PAGE);
        {
            AUTO(conn_end) Conn *c = db_read(s->hub->db, NULL);
            if (!c || !sql_repos_after(c, a, after, repos, shas, PAGE, &n, NULL))
                return;
        }
        for (size_t i = 0; i < n && !stopped(s); i++)
            index_if_behind(s, a, &repos[i], shas[i]);
        if (n)
            snprintf(last, sizeof last, "%.*s", STR(repos[n - 1].id));
        after = str_of(last);
        arena_reset(a);
    }
}

static void remove_if_orphan(Sweep *s, const char *path, Str id)
{
    struct stat info;
    if (lstat(path, &info) != 0 || info.st_mtime > wall_ns() / NS_PER_S - ORPHAN_AGE_S)
        return;
    bool exists = true;
    {
        AUTO(conn_end) Conn *c = db_read(s->hub->db, NULL);
        if (!c || !sql_repo_exists(c, id, &exists, NULL))
            return;
    }
    if (!exists && file_remove_tree(path, NULL))
        log_info("sweep", "removed=%s", path);
}

static void remove_orphans(Sweep *s)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    for (int i = 0; i < 256 && !stopped(s); i++) {
        const char *parent = arena_printf(a, "%s/repos/%02x", s->hub->data, i);
        DIR *folder = opendir(parent);
        if (!folder)
            continue;
        for (struct dirent *e; (e = readdir(folder)) && !stopped(s);) {
            Str name = str_of(e->d_name);
            // "ID.git", or "ID.git.deleted-TIME" that was not yet gone
            if (str_eq(str_slice(name, 24, 28), S(".git")))
                remove_if_orphan(s, arena_printf(a, "%s/%s", parent, e->d_name),
                                 str_slice(name, 0, 24));
        }
        closedir(folder);
    }
}

/* A file of an upload that broke off before any repository was given it. */
static bool release_if_ungiven(void *user, const char *oid)
{
    Sweep *s = user;
    Error err = {0};
    Str sha256 = str_of(oid);
    bool given = true;
    {
        AUTO(conn_end) Conn *c = db_read(s->hub->db, NULL);
        if (!c || !sql_blob_is_given(c, sha256, &given, NULL))
            return false;
    }
    if (!given && !blobs_release(s->hub, &sha256, 1, &err))
        log_error("sweep", "error=\"%s\"", err.text);
    return !stopped(s);
}

/* Once a day: files that nobody was given, then chunks that no file needs and that clients have
 * forgotten. */
static void sweep_chunks(Sweep *s, int64_t *next_s)
{
    Error err = {0};
    int64_t now_s = wall_ns() / NS_PER_S;
    if (now_s < *next_s)
        return;
    *next_s = now_s + DAY_S;
    if (!xet_each_file(s->hub->xet, DAY_S * NS_PER_S, release_if_ungiven, s, &err) ||
        !xet_sweep(s->hub->xet, XET_DAYS * DAY_S * NS_PER_S, &err))
        log_error("sweep", "error=\"%s\"", err.text);
}

/* Those that an older program has indexed, or that an administrator wants looked at again. What
 * fails is put behind the others until the next start. */
static void index_old(Sweep *s, Arena *a)
{
    Repo *repos = NEW_ARRAY(a, Repo, PAGE);
    size_t n = 0;
    {
        AUTO(conn_end) Conn *c = db_read(s->hub->db, NULL);
        if (!c || !sql_repos_unindexed(c, a, INDEX_VERSION, repos, PAGE, &n, NULL))
            return;
    }
    for (size_t i = 0; i < n && !stopped(s); i++) {
        Error err = {0};
        repos[i].git_dir = repo_git_dir(s->hub, a, repos[i].id);
        if (!repo_index(s->hub, &repos[i], &err)) {
            log_warn("sweep", "repo=%.*s error=\"%s\"", STR(repos[i].full), err.text);
            AUTO(conn_end) Conn *c = db_write(s->hub->db, NULL);
            if (c && sql_repo_unindex(c, repos[i].id, INDEX_VERSION, NULL))
                (void)!conn_commit(c, NULL);
        }
    }
}

static void remove_rest(Sweep *s)
{
    Error err = {0};
    if (!removals_run(s->hub, &err))
        log_warn("sweep", "error=\"%s\"", err.text);
}

static void *run(void *arg)
{
    Sweep *s = arg;
    AUTO(arena_free) Arena *a = arena_new(0);
    int64_t next_s = 0;
    index_all(s);
    remove_orphans(s);
    pthread_mutex_lock(&s->lock);
    while (!stopped(s)) {
        pthread_mutex_unlock(&s->lock);
        index_old(s, a);
        remove_rest(s);
        sweep_chunks(s, &next_s);
        arena_reset(a);
        pthread_mutex_lock(&s->lock);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LOOK_AGAIN_S;
        if (!stopped(s))
            pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

Sweep *sweep_start(Hub *hub)
{
    Sweep *s = xcalloc(1, sizeof *s);
    s->hub = hub;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void sweep_stop(Sweep *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
}
