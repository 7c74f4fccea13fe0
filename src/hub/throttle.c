/* throttle.c: slows down the guessing of passwords. A small table of keys (account names) that
 * failed lately; a full table forgets the oldest. Per process: each node counts for itself. */
#include "base/clock.h"
#include "hub/hub_internal.h"

enum { SLOTS = 1024, TRIES = 10, WINDOW_S = 600 };

struct Throttle {
    pthread_mutex_t lock; // guards slots
    struct {
        uint64_t key;
        int64_t since_ns;
        int failures;
    } slots[SLOTS];
};

Throttle *throttle_new(void)
{
    Throttle *t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void throttle_free(Throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

bool throttle_ok(Throttle *t, Str key, Error *err)
{
    uint64_t hash = str_hash(key);
    size_t slot = hash % SLOTS;
    pthread_mutex_lock(&t->lock);
    int64_t left = t->slots[slot].since_ns + WINDOW_S * NS_PER_S - clock_ns();
    bool blocked = t->slots[slot].key == hash && t->slots[slot].failures >= TRIES && left > 0;
    pthread_mutex_unlock(&t->lock);
    if (blocked)
        return fail(err, ERR_RATE, "too many wrong passwords; try again in %lld minutes",
                    (long long)(left / (60 * NS_PER_S) + 1));
    return true;
}

void throttle_failed(Throttle *t, Str key)
{
    uint64_t hash = str_hash(key);
    size_t slot = hash % SLOTS;
    int64_t now = clock_ns();
    pthread_mutex_lock(&t->lock);
    if (t->slots[slot].key != hash || now - t->slots[slot].since_ns > WINDOW_S * NS_PER_S) {
        t->slots[slot].key = hash;
        t->slots[slot].since_ns = now;
        t->slots[slot].failures = 0;
    }
    t->slots[slot].failures++;
    pthread_mutex_unlock(&t->lock);
}
