/* The pages of the hub: server-rendered HTML over net/server.h and hub/hub.h.
 *
 * Each file page_*.c has its handlers and its route table and is listed in web.c. A handler finds
 * the viewer (web_admit), calls one function of hub/, builds a JSON object, and renders a template
 * of templates/ with it (page_render). Templates, style sheets and scripts are part of the binary:
 * tools/embed.py turns them into a C file at build time, and they are parsed once at start. Every
 * form carries the session's CSRF token; pages run no inline script and ask no other host for
 * anything.
 *
 *     Web *web = web_new(&(WebOptions){.hub = hub, .pool = pool}, &err);
 *     ... web_tables(web) beside api_tables(&api) in ServerOptions.tables ...
 *     static void on_error(Request *r, int status, const char *text, const Error *err)
 *     {
 *         (web_wants(r) ? web_error : api_error)(r, status, text, err);
 *     }
 *
 * There is one Web in a process. Threads: handlers run on the server's workers. */
#pragma once

#include "hub/hub.h"
#include "net/server.h"

struct Pool; // serve/serve.h

typedef struct Web Web;

typedef struct WebOptions {
    Hub *hub;
    struct Pool *pool; // for the try-it panels without scripts; NULL in a hub that runs no models
    const char *url;   // "https://hub.example": shown in commands; NULL: as the client sees us
    struct Limits *limits;   // net/limits.h; NULL: none
    struct Traffic *traffic; // net/traffic.h, for the page of administrators; NULL: nobody counts
    bool no_signup;        // accounts are made by `hug admin user add` only
} WebOptions;

/* ERR_INVALID when a template does not parse: a mistake of ours. */
Web *web_new(const WebOptions *options, Error *err);
void web_free(Web *web);
AUTO_FREE(Web, web_free)
/* All tables of the folder, ending with NULL. They live as long as the Web. */
const RouteTable **web_tables(Web *web);
/* Does a browser ask for a page? Then errors should be pages too. */
bool web_wants(const Request *r);
/* For ServerOptions.on_error: an error page with the request's id. err may be NULL. */
void web_error(Request *r, int status, const char *text, const Error *err);
