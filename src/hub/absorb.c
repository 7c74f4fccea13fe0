/* absorb.c: blobs that came whole are cut into chunks, one after the other in a thread of its own:
 * those that a repository was just given, and after a start those that lie whole still. Nobody
 * waits for it; what is not done is done after the next start. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "hub/hub_internal.h"

#include <sys/resource.h>

enum {
    MIN_SIZE = 128 << 10, // what is hardly more than a chunk gains nothing
    WAITING = 4096,
    NICE = 10,
};
static const int64_t WAIT_NS = NS_PER_S;

struct Absorber {
    Hub *hub;
    Queue *queue; // of oids, each one's own
    pthread_t thread;
    atomic_bool stop;
};

/* The scope of whoever gave it first. False: nobody needs it, or nobody knows. */
static bool owner_of(Absorber *ab, Arena *a, Str sha256, XetScope *scope)
{
    AUTO(conn_end) Conn *c = db_read(ab->hub->db, NULL);
    return c && sql_blob_giver(c, a, sha256, &scope->repo, &scope->user, NULL);
}

static void absorb(Absorber *ab, const char *oid)
{
    Error err = {0};
    XetScope scope = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!owner_of(ab, a, str_of(oid), &scope))
        return;
    int64_t before = clock_ns();
    if (!xet_absorb(ab->hub->xet, oid, &scope, &ab->stop, &err)) {
        if (err.code != ERR_CANCELLED && err.code != ERR_NOT_FOUND)
            log_warn("absorb", "error=\"%s\"", err.text);
        return;
    }
    log_info("absorb", "oid=%s ms=%lld", oid, (long long)((clock_ns() - before) / 1000000));
    // Its last owner may have gone meanwhile.
    Str sha256 = str_of(oid);
    if (!blobs_release(ab->hub, &sha256, 1, &err))
        log_warn("absorb", "error=\"%s\"", err.text);
}

static bool absorb_old(void *user, const char *oid, int64_t size)
{
    Absorber *ab = user;
    if (size >= MIN_SIZE)
        absorb(ab, oid);
    return !atomic_load(&ab->stop);
}

static void *run(void *context)
{
    Absorber *ab = context;
    Error err = {0};
    setpriority(PRIO_PROCESS, 0, NICE); // of this thread, on Linux
    if (!blobs_each(ab->hub->blobs, absorb_old, ab, &err))
        log_warn("absorb", "error=\"%s\"", err.text);
    while (!atomic_load(&ab->stop)) {
        AUTO(free) char *oid = queue_pop(ab->queue, WAIT_NS);
        if (oid)
            absorb(ab, oid);
    }
    return NULL;
}

void absorber_add(Absorber *ab, Str sha256, int64_t size)
{
    if (!ab || size < MIN_SIZE)
        return;
    char hash[XET_HEX_SIZE], *oid = xcalloc(1, BLOB_HEX_SIZE);
    memcpy(oid, sha256.ptr, BLOB_HEX_SIZE - 1);
    bool is_cut = xet_file_hash_of(ab->hub->xet, oid, hash);
    if (is_cut || !queue_push(ab->queue, oid))
        free(oid);
}

Absorber *absorber_start(Hub *hub)
{
    Absorber *ab = xcalloc(1, sizeof *ab);
    ab->hub = hub;
    ab->queue = queue_new(WAITING);
    ab->thread = thread_start("absorb", run, ab);
    return ab;
}

void absorber_stop(Absorber *ab)
{
    if (!ab)
        return;
    atomic_store(&ab->stop, true);
    queue_close(ab->queue);
    pthread_join(ab->thread, NULL);
    for (char *oid; (oid = queue_pop(ab->queue, 0));)
        free(oid);
    queue_free(ab->queue);
    free(ab);
}
