/* sweep.c: what a crash can leave behind, and its mending. One pass after the start:
 *
 * - A commit whose ref moved but which lists do not show yet (the crash came between the two) is
 *   indexed.
 * - A git folder without a row (the crash came before the row was written, or after it was removed)
 *   is deleted, once it is a day old: a younger one may be in the making. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "hub/hub_internal.h"

#include <dirent.h>

enum { PAGE = 200, ORPHAN_AGE_S = 86400 };

struct Sweep {
    Hub *hub;
    pthread_t thread;
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
            if (name.len == 28 && str_ends(name, S(".git")))
                remove_if_orphan(s, arena_printf(a, "%s/%s", parent, e->d_name),
                                 str_slice(name, 0, 24));
        }
        closedir(folder);
    }
}

static void *run(void *arg)
{
    index_all(arg);
    remove_orphans(arg);
    return NULL;
}

Sweep *sweep_start(Hub *hub)
{
    Sweep *s = xcalloc(1, sizeof *s);
    s->hub = hub;
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void sweep_stop(Sweep *s)
{
    if (!s)
        return;
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    pthread_join(s->thread, NULL);
    free(s);
}
