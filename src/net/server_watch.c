/* server_watch.c: one thread that looks after all connections, once a second.
 *
 * It cuts clients that let us wait: a head that does not end in time, a body that comes slower than
 * 1 KiB/s for half a minute. And it tells handlers whose connection is suspended, so that its loop
 * does not see it close, that their client has gone. */
#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOW_TICKS = 30, SLOW_BYTES = 1024 };

static void cut(Conn *conn, const char *why)
{
    // Its loop sees the end of the stream and closes; the descriptor stays its own.
    if (atomic_exchange(&conn->doomed, true))
        return;
    log_debug("cut", "remote=%s why=%s", conn->remote, why);
    shutdown(conn->fd, SHUT_RDWR);
}

static void look_at(Conn *conn, int64_t now)
{
    int64_t since = atomic_load(&conn->head_since_ns);
    if (since && now - since > atomic_load(&conn->head_allowed_ns))
        cut(conn, "slow_head");
    long long received = atomic_load(&conn->received);
    if (!atomic_load(&conn->reading_body) || received - conn->seen >= SLOW_BYTES)
        conn->slow_ticks = 0;
    else if (++conn->slow_ticks >= SLOW_TICKS)
        cut(conn, "slow_body");
    conn->seen = received;
}

static void tick(Server *s)
{
    int64_t now = clock_ns();
    bool stopping = atomic_load(&s->stopping);
    pthread_mutex_lock(&s->lock);
    for (Conn *conn = s->conns; conn; conn = conn->next)
        look_at(conn, now);
    for (Watched *w = s->watched; stopping && w; w = w->next)
        request_set_gone(w->request);
    pthread_mutex_unlock(&s->lock);
}

static void client_gone(Server *s, uint64_t number)
{
    pthread_mutex_lock(&s->lock);
    for (Watched *w = s->watched; w; w = w->next)
        if (w->number == number)
            request_set_gone(w->request);
    pthread_mutex_unlock(&s->lock);
}

static void *watch(void *context)
{
    Server *s = context;
    int64_t next = clock_ns() + NS_PER_S;
    while (!atomic_load(&s->quitting)) {
        struct epoll_event events[64];
        int64_t left_ms = (next - clock_ns()) / NS_PER_MS;
        int n = epoll_wait(s->watch_fd, events, COUNT(events), (int)MAX(left_ms, 0));
        for (int i = 0; i < n; i++)
            if (events[i].data.u64)
                client_gone(s, events[i].data.u64);
        if (clock_ns() >= next || atomic_load(&s->stopping)) {
            tick(s);
            next = clock_ns() + (atomic_load(&s->stopping) ? 20 * NS_PER_MS : NS_PER_S);
        }
    }
    return NULL;
}

bool watch_start(Server *s, Error *err)
{
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    if (s->watch_fd < 0 || s->wake_fd < 0 ||
        epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, s->wake_fd, &wake) != 0)
        return fail_io(err, "watch connections");
    s->watch_thread = thread_start("watch", watch, s);
    return true;
}

void watch_wake(Server *s)
{
    uint64_t one = 1;
    (void)!write(s->wake_fd, &one, sizeof one);
}

void watch_stop(Server *s)
{
    atomic_store(&s->quitting, true);
    watch_wake(s);
    pthread_join(s->watch_thread, NULL);
    close(s->watch_fd);
    close(s->wake_fd);
}

void watch_add(Request *r)
{
    Server *s = r->server;
    pthread_mutex_lock(&s->lock);
    // The connection may be over already: then on_completed has set `gone`, and its fd is not ours.
    if (r->watched_as || atomic_load(&r->gone) || r->completed) {
        pthread_mutex_unlock(&s->lock);
        return;
    }
    Watched *w = xcalloc(1, sizeof *w);
    r->watched_as = ++s->last_watched;
    *w = (Watched){.next = s->watched, .number = r->watched_as, .request = r};
    s->watched = w;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = w->number};
    epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, r->conn->fd, &event);
    pthread_mutex_unlock(&s->lock);
    if (atomic_load(&s->stopping))
        request_set_gone(r);
}

static void forget(Server *s, Request *r)
{
    for (Watched **at = &s->watched; *at; at = &(*at)->next)
        if ((*at)->number == r->watched_as) {
            Watched *w = *at;
            *at = w->next;
            free(w);
            break;
        }
    r->watched_as = 0;
    if (!r->completed)
        epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, r->conn->fd, NULL);
}

void watch_remove(Request *r)
{
    pthread_mutex_lock(&r->server->lock);
    if (r->watched_as)
        forget(r->server, r);
    pthread_mutex_unlock(&r->server->lock);
}

void watch_completed(Request *r)
{
    pthread_mutex_lock(&r->server->lock);
    if (r->watched_as)
        forget(r->server, r);
    r->completed = true;
    pthread_mutex_unlock(&r->server->lock);
}
