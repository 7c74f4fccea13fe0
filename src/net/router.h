/* Router: which route serves a path; see server.h for what patterns mean.
 *
 * All patterns form one tree, a level a segment. Looking up goes down the more specific branch
 * first and comes back when it has no route for the method, so no node is visited twice.
 * Threads: immutable once made; any thread may look up. */
#pragma once

#include "net/server.h"

typedef struct Router Router;

/* Patterns are ours: a broken one, or two equal ones, is a mistake that aborts with its text. */
Router *router_new(const RouteTable *const *tables);
void router_free(Router *router);
AUTO_FREE(Router, router_free)

typedef struct RouteMatch {
    const RouteTable *table; // NULL: no route for this method
    const Route *route;
    Params params;
    /* Where table is NULL: the methods that the path knows, "GET, HEAD, POST"; empty: no such path.
     * cors_expose is of the first table that knows it. */
    Str allowed;
    const char *cors_expose;
} RouteMatch;

/* path: raw, without the query; "/" at its start. ERR_INVALID for a broken escape, NUL, bytes that
 * are no UTF-8, or a "." or ".." segment. */
bool router_find(const Router *router, Str method, Str path, Arena *a, RouteMatch *out, Error *err);

/* Takes a request target apart, "/path?query" or "http://host/path?query"; ERR_INVALID if it is
 * neither. */
bool target_split(Str target, Str *path, Str *query, Error *err);
