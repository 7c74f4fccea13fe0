/* What the files of web/ share: who asks, forms, and pages as JSON objects for templates. */
#pragma once

#include "base/clock.h"
#include "web/web.h"

struct Web {
    WebOptions options;
    Arena *arena;
    uint8_t visit_key[32]; // for the CSRF tokens of those who are not logged in
    json_t *assets;        // file name to address, with its hash
};

/* The files with routes, in the order of web_tables; add a row to add a file. */
#define WEB_FILES(X)                                                                               \
    X(static)                                                                                      \
    X(home)                                                                                        \
    X(search)                                                                                      \
    X(list)                                                                                        \
    X(account)                                                                                     \
    X(admin)                                                                                       \
    X(profile)                                                                                     \
    X(moves)                                                                                       \
    X(notification)                                                                                \
    X(new)                                                                                         \
    X(repo)                                                                                        \
    X(duplicate)                                                                                   \
    X(file)                                                                                        \
    X(card)                                                                                        \
    X(storage)                                                                                     \
    X(edit)                                                                                        \
    X(viewer)                                                                                      \
    X(upload)                                                                                      \
    X(history)                                                                                     \
    X(discussion)                                                                                  \
    X(collection)                                                                                  \
    X(org)                                                                                         \
    X(token)                                                                                       \
    X(webhook)                                                                                     \
    X(settings)                                                                                    \
    X(try)
#define X(name)                                                                                    \
    extern const Route web_##name##_routes[];                                                      \
    extern const size_t web_##name##_routes_n;
WEB_FILES(X)
#undef X

/* ---- Who asks ---- */

/* For Route.access. */
enum WebAccess {
    WEB_ANYBODY,
    WEB_LOGGED_IN, // others are sent to /login
    WEB_STATIC,    // for anybody, as often as they like
};

/* The same route for repositories of each kind; `rest` goes on behind the name, `...` are more of
 * Route's members. */
#define EACH_KIND(verb, rest, to, who, text, ...)                                                  \
    {verb, "/{owner}/{name}" rest, to, .access = (who), .summary = (text), __VA_ARGS__},           \
        {verb,       "/datasets/{owner}/{name}" rest, to, .access = (who), .summary = (text),      \
         __VA_ARGS__},                                                                             \
    {                                                                                              \
        verb, "/spaces/{owner}/{name}" rest, to, .access = (who), .summary = (text), __VA_ARGS__   \
    }

typedef struct Visit {
    Viewer viewer;
    Str csrf;
} Visit;

bool web_admit(Request *r);
/* The one Web of the process: error pages answer requests of other tables too. */
Web *web_current(void);
static inline Hub *hub_of(const Request *r)
{
    (void)r;
    return web_current()->options.hub;
}
const Viewer *web_viewer(const Request *r);
bool web_is_known(const Request *r); // somebody is logged in
/* The form that was posted, its CSRF token checked. False: it has answered. */
bool web_form(Request *r, Params *form);
bool web_token_ok(const Request *r, Str sent); // is this the session's CSRF token?
/* "http://127.0.0.1:7860": of this hub, for commands to copy. */
const char *web_url(Request *r);
/* The form of avatar_box.html was posted: the account's picture is what it sent. The second tells
 * what is no such picture from other failures. */
bool web_take_avatar(Request *r, const Account *account, Error *err);
bool web_avatar_is_wrong(const Error *err);
/* A path of this site that a form may send people to; "/" for anything else. */
Str web_next(Str path);
void web_set_session(Request *r, Str cookie); // empty: away with it

/* The repository of {owner} and {name} in the kind's own paths. False: it has answered, with an
 * error page or with a redirect to where the repository has moved. */
bool web_repo(Request *r, Access need, Repo *out);
/* The organisation {org}, if the viewer may do that much with it. False: it has answered. */
bool web_org(Request *r, Access need, Account *out);
/* What org_nav.html wants, into page: "org", null for a person. */
void page_set_org(json_t *page, const Account *account);
/* What an account shows of itself, into page: "name", "fullname", "about", "website" and
 * "avatar_version". */
void page_set_account(json_t *page, const Account *account);
/* "/me/x", "/datasets/me/x" */
Str repo_path(Arena *a, const Repo *repo);
/* "/me/x/blob/refs%2Fpr%2F1/a/b.txt": a page about a path of a revision; empty is its root. */
Str rev_path(Arena *a, const Repo *repo, const char *page, Str rev, Str path);
/* "/me/x/discussions/3" */
Str discussion_path(Arena *a, const Repo *repo, int64_t num);
/* Can it be shown and edited as text: UTF-8 without a NUL? */
bool web_is_text(Str bytes);

/* ---- Pages ---- */

/* An object with everything that layout.html wants. */
json_t *page_new(Request *r, const char *title);
/* Renders and answers; consumes the page. `name` is of templates/, without ".html". */
void page_render(Request *r, int status, const char *name, json_t *page);
/* Parses the templates; ERR_INVALID names the file and line. */
bool templates_load(Web *web, Error *err);
void templates_free(void);

/* At most `most` bytes of a text, cut between characters. */
Str text_cut(Str text, size_t most);
json_t *json_when(int64_t wall_ns); // {"text": "3 hours ago", "exact", "iso"}
json_t *json_size(int64_t bytes);   // {"text": "1.2 MB", "exact": "1,234,567 bytes"}
json_t *json_count(int64_t n);      // {"text": "1.2k", "exact": "1,234", "n": 1234}
static inline void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}
static inline void set_str(json_t *object, const char *key, Str value)
{
    json_object_set_new(object, key, json_from_str(value));
}

/* The viewer, and organisations in which they may make repositories, as choices. */
json_t *owners_json(const Viewer *viewer, Str chosen);
struct Collection;
/* A collection, with what of its items is known. */
json_t *collection_json(Arena *a, const struct Collection *c);
/* A card in lists. */
json_t *item_json(const RepoItem *item);
/* What repo_head.html wants, into page: "repo", "tab", "rev". */
void page_set_repo(Request *r, json_t *page, const Repo *repo, const char *tab, Str rev);
/* The same, and what commit_box.html wants but for "action", "back", "summary" and "description": a
 * form that ends in a commit on rev or a pull request. `summary` stands where none is typed. */
void page_set_commit(Request *r, json_t *page, const Repo *repo, Str rev, const char *summary);
/* A change of rev, or one that becomes a pull request. ERR_DENIED for who may not. */
bool web_change_open(Request *r, const Repo *repo, Str rev, bool pull, Change **out, Error *err);
/* Is it something that a form can be shown again for, because whoever filled it in can mend it? */
bool web_can_be_mended(const Error *err);
/* Commits it; of a pull request, *location is its page. */
bool web_change_commit(Request *r, const Repo *repo, Change *c, bool pull, Str *location,
                       Error *err);
/* What diff.html wants, into page: the files that differ between two commits; from NULL: all of
 * to's. */
bool page_set_diff(Request *r, json_t *page, const Repo *repo, const char *from, const char *to,
                   Error *err);
/* "text-generation" -> "Text generation" */
json_t *task_label(Str task);
