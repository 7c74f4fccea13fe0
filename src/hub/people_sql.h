/* The statements about people; see hub_sql.h. */
#pragma once

#include "hub/hub_sql.h"
#include "hub/people.h"

/* Full name, e-mail address, about, website. */
bool sql_profile_set(Conn *c, const Account *account, Error *err);
/* An account by its id. */
bool sql_overview(Conn *c, const Viewer *viewer, Str account, Overview *out, Error *err);

/* Replaces it; without a hash there is none afterwards. */
bool sql_avatar_set(Conn *c, Str account, const Avatar *avatar, Str base64, Error *err);
/* ERR_NOT_FOUND */
bool sql_avatar_get(Conn *c, Arena *a, Str account, Str *type, Str *base64, Error *err);

/* What lies behind these two, the newest first. */
typedef struct PageCursor {
    int64_t since_ns;
    Str id;
} PageCursor;
bool sql_follow(Conn *c, Str user, Str target, bool on, int64_t now, Error *err);
bool sql_people(Conn *c, Arena *a, const Viewer *viewer, const PeopleQuery *query,
                const PageCursor *at, PeoplePage *out, Error *err);
/* *last: the id of the page's last repository. */
bool sql_likes(Conn *c, Arena *a, const Viewer *viewer, Str user, int64_t limit,
               const PageCursor *at, LikePage *out, Str *last, Error *err);
/* *last: the id of the page's last discussion. */
bool sql_threads(Conn *c, Arena *a, const Viewer *viewer, Str user, int64_t limit,
                 const PageCursor *at, ThreadPage *out, Str *last, Error *err);
bool sql_activity(Conn *c, Arena *a, const Viewer *viewer, int64_t limit, Activity *out, size_t *n,
                  Error *err);
