/* People: what accounts show of themselves, whom they follow, what they like. The accounts are
 * hub.h's; an organisation has a picture, followers and a profile as a user has.
 *
 * Counts and lists never tell of what the viewer may not see: a like of a private repository is
 * there for those alone who may read it. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

/* ---- Profiles ---- */

typedef struct ProfileChange {
    const Str *fullname, *email, *about, *website; // NULL: as it is
} ProfileChange;
/* ERR_INVALID: texts have at most 500 bytes of UTF-8, a website is http or https. */
bool profile_change(Hub *hub, const Account *account, const ProfileChange *change, Error *err);

typedef struct Overview {
    int64_t repos[REPO_KINDS];
    int64_t discussions, likes; // begun and given
    int64_t following, followers;
    bool is_following; // the viewer follows the account
} Overview;
bool overview_get(Hub *hub, const Viewer *viewer, const Account *account, Overview *out,
                  Error *err);

/* ---- Pictures ---- */

enum { AVATAR_MAX_BYTES = 1 << 20, AVATAR_MAX_SIDE = 4096 };

typedef struct Avatar {
    Str type;  // "image/png"
    Str bytes; // an image that image_clean has made, or an SVG of ours
    Str hash;  // of the bytes: changes with them
} Avatar;
/* ERR_UNSUPPORTED, ERR_INVALID for what is none of the images of media/image.h, ERR_LIMIT where it
 * is too large. Empty bytes take the picture away. */
bool avatar_set(Hub *hub, const Account *account, Str bytes, Error *err);
/* What somebody chose, else initials on a colour of the name's own. ERR_NOT_FOUND without account.
 */
bool avatar_get(Hub *hub, Arena *a, Str name, Avatar *out, Error *err);

/* ---- Followers, members, and who likes ---- */

/* Once or not at all. ERR_INVALID for oneself; ERR_UNAUTHENTICATED, ERR_DENIED. */
bool follow_set(Hub *hub, const Viewer *viewer, const Account *whom, bool on, Error *err);

typedef struct Person {
    Str id, name, fullname;
    bool is_org, is_followed; // by the viewer
    Str role;                 // of members
    int64_t since_ns;
} Person;

typedef enum PeopleOf {
    PEOPLE_FOLLOWERS,
    PEOPLE_FOLLOWING,
    PEOPLE_MEMBERS,
    PEOPLE_LIKERS
} PeopleOf;

typedef struct PeopleQuery {
    PeopleOf what;
    Str of;        // the account's or repository's id; who may see it is the caller's to know
    int64_t limit; // 1 to 1000
    Str cursor;    // PeoplePage.next of the page before
} PeopleQuery;

typedef struct PeoplePage {
    Person *items; // the newest first
    size_t n;
    Str next; // cursor of the next page; empty at the end
} PeoplePage;
bool people_list(Hub *hub, Arena *a, const Viewer *viewer, const PeopleQuery *query,
                 PeoplePage *out, Error *err);

typedef struct Like {
    RepoKind kind;
    Str name; // the repository's full name
    int64_t liked_ns;
} Like;

typedef struct LikePage {
    Like *items; // the newest first
    size_t n;
    Str next;
} LikePage;
/* What an account likes, of what the viewer may see. limit: 1 to 1000. */
bool likes_of_user(Hub *hub, Arena *a, const Viewer *viewer, Str user, int64_t limit, Str cursor,
                   LikePage *out, Error *err);

/* A discussion or pull request that somebody began. */
typedef struct Thread {
    RepoKind kind;
    Str repo; // full name
    int64_t num, comments, created_ns;
    Str title, status;
    bool is_pull;
} Thread;

typedef struct ThreadPage {
    Thread *items; // the newest first
    size_t n;
    Str next;
} ThreadPage;
/* Where the viewer may read. limit: 1 to 1000. */
bool threads_of_user(Hub *hub, Arena *a, const Viewer *viewer, const Account *user, int64_t limit,
                     Str cursor, ThreadPage *out, Error *err);

/* ---- What those whom one follows do ---- */

typedef enum ActivityKind { ACTIVITY_MADE, ACTIVITY_LIKED, ACTIVITY_BEGAN } ActivityKind;

typedef struct Activity {
    ActivityKind kind; // a repository was made, liked, or a discussion of it begun
    Str actor;
    RepoKind repo_kind;
    Str repo;    // full name
    int64_t num; // of a discussion, and its title
    Str title;
    int64_t since_ns;
} Activity;
/* The newest first, where the viewer may read; nothing for nobody. limit: 1 to 100. */
bool activity_list(Hub *hub, Arena *a, const Viewer *viewer, int64_t limit, Activity **out,
                   size_t *n, Error *err);
