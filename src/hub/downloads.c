/* downloads.c: counts downloads in memory and writes them every few seconds from a thread of its
 * own, so that serving a file costs no write. A crash loses those seconds' counts, nothing else. */
#include "base/clock.h"
#include "base/log.h"
#include "hub/hub_internal.h"

enum { FLUSH_S = 5 };

struct DownloadCounter {
    Db *db;
    pthread_t thread;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t wake;
    bool stop;
    Map counts; // repository id to its count, as a pointer's value
    Arena *names;
    int64_t day; // when the 30-day sums were last made
};

/* Takes what was counted; the caller owns it. */
static void counts_take(DownloadCounter *d, Map *counts, Arena **names)
{
    *counts = d->counts;
    *names = d->names;
    d->counts = (Map){0};
    d->names = arena_new(0);
}

static bool counts_write(DownloadCounter *d, const Map *counts, bool new_day, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(d->db, err);
    if (!c)
        return false;
    int64_t day = wall_ns() / (86400 * NS_PER_S);
    for (size_t i = 0; i < counts->n; i++)
        if (!sql_downloads_add(c, counts->entries[i].key, day, (intptr_t)counts->entries[i].value,
                               err))
            return false;
    if (new_day && !sql_counts_refresh(c, day, err))
        return false;
    return conn_commit(c, err);
}

static void flush(DownloadCounter *d)
{
    Map counts;
    Arena *names;
    pthread_mutex_lock(&d->lock);
    counts_take(d, &counts, &names);
    pthread_mutex_unlock(&d->lock);
    int64_t day = wall_ns() / (86400 * NS_PER_S);
    Error err = {0};
    if ((counts.n || day != d->day) && !counts_write(d, &counts, day != d->day, &err))
        log_warn("downloads", "lost=%zu error=\"%s\"", counts.n, err.text);
    d->day = day;
    map_done(&counts);
    arena_free(names);
}

static void *run(void *arg)
{
    DownloadCounter *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += FLUSH_S;
        pthread_cond_timedwait(&d->wake, &d->lock, &until);
        pthread_mutex_unlock(&d->lock);
        flush(d);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

DownloadCounter *downloads_new(Db *db)
{
    DownloadCounter *d = xcalloc(1, sizeof *d);
    d->db = db;
    d->names = arena_new(0);
    d->day = wall_ns() / (86400 * NS_PER_S); // hub_open has just made the sums
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    CHECK(pthread_create(&d->thread, NULL, run, d) == 0);
    return d;
}

void downloads_free(DownloadCounter *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL); // its last act is a flush
    map_done(&d->counts);
    arena_free(d->names);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

void downloads_add(DownloadCounter *d, Str repo)
{
    pthread_mutex_lock(&d->lock);
    intptr_t n = (intptr_t)map_find(&d->counts, repo);
    map_put(&d->counts, n ? repo : arena_str(d->names, repo), (void *)(n + 1));
    pthread_mutex_unlock(&d->lock);
}
