/* What the files of the HTTP server share: connections, requests, and who may touch what.
 *
 * A Request lives between its connection's loop and one worker. Each holds a reference; `lock`
 * guards the fields of the second part. The loop hands over by suspending the connection and the
 * worker hands back by resuming it: `suspended` says who has it, so that a resume never comes
 * before its suspend.
 *
 *     loop: head -> small body read -> dispatch, suspend ........... queue the response, send
 *     worker:                          handler(r): read, reply -> resume
 *
 * A large body starts the handler at once; the loop then fills `body` whenever the worker wants
 * more, and suspends while it is full. A streamed answer is the same the other way, by `out`. */
#pragma once

#include "base/thread.h"
#include "net/networks.h"
#include "net/router.h"
#include "net/server.h"

#include <microhttpd.h>
#include <zlib.h>

enum {
    PREFETCH = 64 << 10,    // bodies up to this are read before the handler starts
    DRAIN_MAX = 64 << 20,   // of a body nobody wants, read so that the client sees the answer
    EARLY_STREAM = 4 << 20, // of an answer that is written while the body still comes
    MAX_HEADERS = 200,
};

/* Bytes between two threads: a ring that grows up to a limit. */
typedef struct Pipe {
    char *ptr;
    size_t first, len, cap;
} Pipe;
/* Appends what fits below `limit`, returns how much. */
size_t pipe_add(Pipe *p, const void *bytes, size_t n, size_t limit);
size_t pipe_take(Pipe *p, void *out, size_t max);
void pipe_done(Pipe *p);

/* ---- trusted.c ---- */

bool trusted_has(const Networks *trusted, Str address);
/* Who asks, where the connection is from `peer` and says so in X-Forwarded-For; borrowed from
 * these. */
Str trusted_client(const Networks *trusted, Str peer, Str forwarded);

/* One client's connection; its loop's, but for the fields that the watch thread reads. */
typedef struct Conn {
    struct Conn *next, *prev; // guarded by the server's lock
    int fd;
    char remote[46];
    atomic_llong head_since_ns;   // when the head that we wait for began; 0: not waiting for one
    atomic_llong head_allowed_ns; // how long it may take
    atomic_bool reading_body;     // the loop waits for bytes of a body
    atomic_llong received;        // bytes of bodies, all requests together
    long long seen;               // the watch thread's: `received` at its last look
    int slow_ticks;               // the watch thread's
    atomic_bool doomed;           // the watch thread has cut it
} Conn;

typedef struct Header {
    struct Header *next;
    const char *name, *value;
} Header;

struct Request {
    // Written by the loop before the handler starts, then read by whoever has the request.
    Server *server;
    Conn *conn;
    struct MHD_Connection *mhd;
    Arena *arena;
    atomic_int refs;
    Str method, target, path, id, remote;
    Params headers, query;
    RouteMatch match;
    int64_t length, max_body; // length -1: chunked
    int64_t started_ns;
    bool begun, has_body, expects_continue, inflate;
    bool counted;    // by request_once
    bool proxied;    // its connection is from a proxy that is believed, or nobody was named
    bool head_again; // the loop's: its next call is the one for the head once more

    // The handler's thread's alone.
    void *data;
    Header *out_headers, **out_last;
    z_stream *zlib;
    char *zlib_in;
    bool zlib_ended;
    int64_t body_given; // decompressed bytes that request_read has given

    // Guarded by the server's lock.
    uint64_t watched_as; // in the list of those whose client is watched; 0: not
    bool completed;      // the loop is done with it; its connection may be gone

    // Between the two.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool suspended, dispatched, body_ended, discard, replied, queued;
    int64_t received;
    Pipe body;
    struct MHD_Response *response;
    int status;
    bool streaming, out_ended, out_aborted;
    Pipe out;
    atomic_bool gone;
    atomic_llong sent;
};

/* Those who want to know at once when their client goes away. */
typedef struct Watched {
    struct Watched *next;
    uint64_t number;
    Request *request;
} Watched;

struct Server {
    struct MHD_Daemon *daemon;
    Router *router;
    Workers *workers, *long_workers;
    ServerOptions options;
    Networks *trusted; // NULL: none are named
    char address[80];
    int watch_fd, wake_fd; // epoll and eventfd of the watch thread
    pthread_t watch_thread;
    atomic_bool stopping; // cancel what still runs
    atomic_bool quitting; // the watch thread shall end
    atomic_llong requests, active, connections, rejected, bytes_out;
    pthread_mutex_t lock; // guards the lists
    Conn *conns;
    Watched *watched;
    uint64_t last_watched;
};

void request_ref(Request *r);
void request_unref(Request *r);
/* With the lock held: until the other side changed something, or a while. */
void request_wait(Request *r);
/* With the lock held: gives the connection back to its loop. */
void request_resume(Request *r);
/* Tells everyone that the client is gone. */
void request_set_gone(Request *r);

/* Puts the path below what ServerOptions.hosts says of the host. */
void request_place(Request *r);

/* Hands the answer to the loop; takes the response. */
void reply_with(Request *r, int status, const char *type, struct MHD_Response *response);

/* server_watch.c */
bool watch_start(Server *s, Error *err);
void watch_stop(Server *s);
/* Its tick, now. */
void watch_wake(Server *s);
/* Sets `gone` when the client closes its side. */
void watch_add(Request *r);
void watch_remove(Request *r);
/* The loop's last word on a request. */
void watch_completed(Request *r);
