/* xet_session.c: tokens for the content-addressed store, and calls to it; see xet.h. */
#include "fetch/xet.h"

#include "base/clock.h"

#include <pthread.h>
#include <unistd.h>

enum { TRIES = 3, RENEW_SECONDS = 60, PLACES = 6 };

struct XetSession {
    Arena *a;
    FetchEnv env;
    const char *token_url;
    pthread_mutex_t lock; // guards what follows
    char *cas, *token;
    int64_t until; // seconds
    int taken;     // places
    pthread_cond_t left;
};

/* The caller holds the lock. */
static bool renew(XetSession *s, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *c = client_new();
    AUTO(json_decref)
    json_t *said = hub_json(c, a, &s->env, "GET", s->token_url, NULL, NULL, err);
    if (!said)
        return false;
    Str cas = json_str(said, "casUrl"), token = json_str(said, "accessToken");
    while (str_ends(cas, S("/")))
        cas.len--;
    if (!cas.len || !token.len)
        return fail(err, ERR_UNSUPPORTED, "%s: the hub names no store", s->token_url);
    s->cas = arena_cstr(s->a, cas);
    s->token = arena_cstr(s->a, token);
    s->until = json_int(said, "exp", INT64_MAX);
    return true;
}

XetSession *xet_session_new(const FetchEnv *env, const RepoName *name, const char *revision,
                            bool writes, bool create_pr, Error *err)
{
    if (env_flag("HF_HUB_DISABLE_XET"))
        return fail(err, ERR_UNSUPPORTED, "HF_HUB_DISABLE_XET is set");
    AUTO(xet_session_free) XetSession *s = xcalloc(1, sizeof *s);
    s->a = arena_new(0);
    s->env = *env;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->left, NULL);
    s->token_url = repo_api(s->a, env, name, "/xet-%s-token/%s%s", writes ? "write" : "read",
                            url_segment(s->a, revision), create_pr ? "?create_pr=1" : "");
    Error failure = {0};
    if (renew(s, &failure))
        return TAKE(s);
    // Hubs without Xet say that there is no such page.
    bool absent = failure.code == ERR_NOT_FOUND || failure.code == ERR_INVALID;
    return fail(err, absent ? ERR_UNSUPPORTED : failure.code, "%s", failure.text);
}

void xet_session_free(XetSession *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->left);
    pthread_mutex_destroy(&s->lock);
    arena_free(s->a);
    free(s);
}

const char *xet_session_url(const XetSession *s)
{
    return s->cas;
}

/* Copies what a call needs; `refused` is a token that the store did not take. */
static bool take_token(XetSession *s, Arena *a, const char *refused, const char **cas,
                       const char **token, Error *err)
{
    pthread_mutex_lock(&s->lock);
    bool old = s->until - RENEW_SECONDS < wall_ns() / NS_PER_S ||
               (refused && strcmp(refused, s->token) == 0);
    bool ok = !old || renew(s, err);
    *cas = arena_cstr(a, str_of(s->cas));
    *token = arena_cstr(a, str_of(s->token));
    pthread_mutex_unlock(&s->lock);
    return ok;
}

bool xet_session_call(XetSession *s, Client *c, Arena *a, ClientCall call, ClientAnswer *answer,
                      Error *err)
{
    const char *path = call.url, *cas, *refused = NULL;
    for (int tries = 1;; tries++) {
        if (!take_token(s, a, refused, &cas, &call.token, err))
            return false;
        call.url = arena_printf(a, "%s%s", cas, path);
        Error failure = {0};
        if (hub_call(c, a, call, answer, &failure))
            return true;
        bool transient = failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT ||
                         failure.code == ERR_RATE;
        if (failure.code == ERR_UNAUTHENTICATED && !refused)
            refused = call.token;
        else if (!transient || call.take || tries == TRIES) {
            if (err)
                *err = failure;
            return false;
        } else
            sleep((unsigned)tries);
    }
}

void xet_session_enter(XetSession *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->taken == PLACES)
        pthread_cond_wait(&s->left, &s->lock);
    s->taken++;
    pthread_mutex_unlock(&s->lock);
}

void xet_session_leave(XetSession *s)
{
    pthread_mutex_lock(&s->lock);
    s->taken--;
    pthread_cond_signal(&s->left);
    pthread_mutex_unlock(&s->lock);
}
