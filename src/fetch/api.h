/* The hub's API for commands that say what it says: a path below ENDPOINT/api, JSON both ways. */
#pragma once

#include "fetch/fetch.h"

/* "models/org/name", with what the format makes of the rest behind it. The kind of an id that names
 * its own ("datasets/org/name") goes before `kind`; a bare name is one of ours. NULL with an error
 * for what cannot be a name. */
char *api_repo_path(Arena *a, const char *id, FetchKind kind, const char *token, Error *err,
                    const char *format, ...) __attribute__((format(printf, 6, 7)));
/* "org/name" of such an id, with the owner. */
char *api_repo_id(Arena *a, const char *id, FetchKind *kind, const char *token, Error *err);
/* The address of its page. */
char *api_repo_page(Arena *a, const char *id, FetchKind kind, const char *token, Error *err);
/* {"type", "name", "organization"}, as calls take a repository; without an organization for a bare
 * name, which is one of ours. */
json_t *api_repo_json(const char *id, FetchKind kind);

/* One call; body is consumed and may be NULL. An answer that is no JSON is {}. */
json_t *api_call(const char *token, const char *method, const char *path, json_t *body, Error *err);
/* GETs an array, page by page, up to limit items (-1: all). */
json_t *api_list(const char *token, const char *path, int64_t limit, Error *err);
/* s with all but unreserved characters encoded, '/' too. */
char *url_segment(Arena *a, const char *s) __attribute__((returns_nonnull));
/* Appends "&name=value" or "?name=value" to a path; nothing if value is NULL. */
char *api_query(Arena *a, const char *path, const char *name, const char *value);
/* The content of one file of a repository; ERR_LIMIT over 64 MiB. */
bool api_file(Buf *out, const char *id, FetchKind kind, const char *path, const char *token,
              Error *err);
