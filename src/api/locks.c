/* locks.c: git-lfs's file locks, in the shapes of its locking API. Everybody who sees a
 * repository's files sees its locks; whoever may write locks, and breaks others' locks by "force"
 * when they administer it. `verify` is what git-lfs asks before each push: it stops its own user
 * where somebody else's lock is in the way, and the hub refuses no push because of one. */
#include "hub/locks.h"
#include "api/api_internal.h"

enum { PAGE = 100, LOCK_BODY = 64 << 10 };

static json_t *lock_json(const FileLock *lock)
{
    return json_pack("{s:o, s:o, s:o, s:{s:o}}", "id", json_from_str(lock->id), "path",
                     json_from_str(lock->path), "locked_at", api_date(lock->locked_ns), "owner",
                     "name", json_from_str(lock->owner));
}

static Str ref_of(const json_t *body)
{
    return json_str(json_object_get(body, "ref"), "name");
}

static void create(Request *r)
{
    Error err = {0};
    Repo repo;
    FileLock lock;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = request_json(r, LOCK_BODY, &err);
    if (!body)
        return reply_error(r, &err);
    if (lock_create(api_of(r)->hub, request_arena(r), api_viewer(r), &repo, json_str(body, "path"),
                    ref_of(body), &lock, &err))
        return api_reply_lfs(r, 201, json_pack("{s:o}", "lock", lock_json(&lock)));
    if (err.code != ERR_EXISTS)
        return api_unprocessable(r, &err);
    api_reply_lfs(r, 409, json_pack("{s:o, s:s}", "lock", lock_json(&lock), "message", err.text));
}

/* A page of what is asked for; false: it has answered. */
static bool page_of(Request *r, const Repo *repo, LockQuery *query, LockPage *out)
{
    Error err = {0};
    query->limit = query->limit ? MIN(query->limit, (int64_t)MAX_LOCKS_PAGE) : PAGE;
    if (lock_list(api_of(r)->hub, request_arena(r), api_viewer(r), repo, query, out, &err))
        return true;
    api_unprocessable(r, &err);
    return false;
}

static void list(Request *r)
{
    Repo repo;
    LockPage page;
    LockQuery query = {.path = request_query_get(r, "path"),
                       .id = request_query_get(r, "id"),
                       .ref = request_query_get(r, "refspec"),
                       .cursor = request_query_get(r, "cursor")};
    if (!api_repo(r, ACCESS_FILES, &repo) || !api_limit(r, MAX_LOCKS_PAGE, PAGE, &query.limit) ||
        !page_of(r, &repo, &query, &page))
        return;
    json_t *locks = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(locks, lock_json(&page.items[i]));
    json_t *out = json_pack("{s:o}", "locks", locks);
    api_set_str(out, "next_cursor", page.next);
    api_reply_lfs(r, 200, out);
}

static void verify(Request *r)
{
    Error err = {0};
    Repo repo;
    LockPage page;
    // Those who push to their own pull request ask as well.
    if (!api_repo(r, ACCESS_PROPOSE, &repo))
        return;
    const json_t *body = request_json(r, LOCK_BODY, &err);
    if (!body)
        return reply_error(r, &err);
    LockQuery query = {.ref = ref_of(body),
                       .cursor = json_str(body, "cursor"),
                       .limit = json_int(body, "limit", PAGE)};
    if (!page_of(r, &repo, &query, &page))
        return;
    json_t *ours = json_array(), *theirs = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(page.items[i].mine ? ours : theirs, lock_json(&page.items[i]));
    json_t *out = json_pack("{s:o, s:o}", "ours", ours, "theirs", theirs);
    api_set_str(out, "next_cursor", page.next);
    api_reply_lfs(r, 200, out);
}

static void unlock(Request *r)
{
    Error err = {0};
    Repo repo;
    FileLock lock;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = request_json(r, LOCK_BODY, &err);
    if (!body ||
        !lock_remove(api_of(r)->hub, request_arena(r), api_viewer(r), &repo,
                     request_param(r, "lock"), json_flag(body, "force", false), &lock, &err))
        return reply_error(r, &err);
    api_reply_lfs(r, 200, json_pack("{s:o}", "lock", lock_json(&lock)));
}

/* With and without ".git", for the three kinds of repositories. */
#define LOCKS(prefix, ending) prefix "/{owner}/{name}" ending "/info/lfs/locks"
#define LOCK_ROUTES(prefix, ending)                                                                \
    {"POST", LOCKS(prefix, ending), create, .access = API_LFS, .summary = "git-lfs: lock a file"}, \
        {"GET", LOCKS(prefix, ending), list, .access = API_LFS, .summary = "git-lfs: locks"},      \
        {"POST", LOCKS(prefix, ending) "/verify", verify, .access = API_LFS,                       \
         .summary = "git-lfs: whose locks are in the way"},                                        \
    {                                                                                              \
        "POST", LOCKS(prefix, ending) "/{lock}/unlock", unlock,                                    \
            .access = API_LFS, .summary = "git-lfs: unlock a file"                                 \
    }

const Route lock_routes[] = {
    LOCK_ROUTES("", ""),          LOCK_ROUTES("", ".git"),
    LOCK_ROUTES("/datasets", ""), LOCK_ROUTES("/datasets", ".git"),
    LOCK_ROUTES("/spaces", ""),   LOCK_ROUTES("/spaces", ".git"),
};
const size_t lock_routes_n = COUNT(lock_routes);
