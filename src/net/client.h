/* HTTP client over libcurl: one call, one answer; large bodies are streamed both ways.
 *
 *     AUTO(client_free) Client *c = client_new();
 *     ClientAnswer answer;
 *     if (!client_call(c, a, &(ClientCall){.url = url, .token = token}, &answer, err))
 *         return NULL;                  // nobody answered
 *     if (answer.status != 200) ...     // somebody did
 *
 * Redirects are followed within http and https, keeping method and body; the token goes to the host
 * of the first URL only. Proxies come from the usual environment variables.
 *
 * A URL that somebody else chose is called with public_only: the address that a connection is about
 * to be made to must be one of the open internet, whatever name led there and however often its
 * resolver changes its mind. Such calls use no proxy, which would resolve the name itself.
 * Threads: a Client keeps its connection for the next call and belongs to one thread at a time. */
#pragma once

#include "base/str.h"

#include <stdatomic.h>

struct Networks; // net/networks.h

typedef struct Client Client;
Client *client_new(void) __attribute__((returns_nonnull));
void client_free(Client *c);
AUTO_FREE(Client, client_free)

/* What is sent to whom; only url is needed. */
typedef struct ClientCall {
    const char *method; // NULL: "GET", with a body "POST"
    const char *url;
    const char *const *headers; // "Name: value", ending with NULL
    const char *token;          // sent as "Authorization: Bearer ..."
    Str body;
    int fd;                       // with send_size > 0 the body is this part of a file instead,
    int64_t send_from, send_size; //   read with pread

    /* Takes the body of a 2xx answer piece by piece as it comes (206: the part asked for by a Range
     * header); false stops the call with that error. NULL: it is collected in the answer, as the
     * bodies of all other answers are. */
    bool (*take)(void *context, int status, Str bytes, Error *err);
    /* Hears how many more bytes of send_size have gone out. */
    void (*sent)(void *context, int64_t bytes);
    void *context;

    size_t max_body;              // of an answer that is collected; 0: 16 MiB, more is ERR_LIMIT
    const atomic_bool *cancelled; // looked at a few times a second
    int connect_seconds;          // 0: 10
    int idle_seconds;             // without a byte either way; 0: 60
    int total_seconds;            // 0: no limit
    bool stay;                    // do not follow redirects
    bool cut;                     // past max_body the answer ends, without an error
    bool public_only;             // ERR_DENIED for any address that is not of the open internet
    const struct Networks *allow; //   but for those in here; NULL: none
} ClientCall;

typedef struct ClientAnswer {
    int status;
    Str body;        // in the arena, terminated; empty when `take` had it
    Str headers;     // of the last answer, as they came; see client_header
    const char *url; // where redirects led; in the arena
} ClientAnswer;

/* False when there was no whole answer: ERR_UNAVAILABLE (no such host, nobody listens, cut off),
 * ERR_TIMEOUT, ERR_CANCELLED, ERR_LIMIT, ERR_DENIED for an address that is not public, ERR_INVALID
 * for a URL that is none, or what `take` raised.
 * The text names the method and the URL without its query. */
bool client_call(Client *c, Arena *a, const ClientCall *call, ClientAnswer *answer, Error *err);
/* The value of a header, any letter case; {NULL, 0} if absent. Borrowed from the answer. */
Str client_header(const ClientAnswer *answer, const char *name);
/* Is it a whole http or https URL that says its host? One that is an address in itself must be one
 * that public_only would call. ERR_INVALID, ERR_DENIED. */
bool client_url_check(const char *url, const struct Networks *allow, Error *err);
