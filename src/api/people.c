/* people.c: what accounts show of themselves, who follows whom, who likes what. */
#include "hub/people.h"
#include "api/api_internal.h"

#include "base/encode.h"

enum { PAGE = 500 };

/* The account of {name}: a user's, or below organizations/ an organisation's. False: it has
 * answered. */
static bool find(Request *r, Account *account)
{
    Error err = {0};
    bool org = str_starts(str_of(request_route(r)->pattern), S("/api/organizations/"));
    if (account_find(api_of(r)->hub, request_arena(r), request_param(r, "name"), account, &err)) {
        if (account->is_org == org)
            return true;
    } else if (err.code != ERR_NOT_FOUND) {
        reply_error(r, &err);
        return false;
    }
    reply_failure(r, 404, org ? "This organization does not exist" : "This user does not exist");
    return false;
}

/* ---- Overviews ---- */

static json_t *org_json(Request *r, const Member *m)
{
    return json_pack("{s:o, s:o, s:o, s:s}", "id", json_from_str(m->id), "name",
                     json_from_str(m->name), "fullname", json_from_str(m->fullname), "avatarUrl",
                     api_avatar_url(r, m->name));
}

static void set_counts(json_t *out, const Overview *o, bool org)
{
    static const char *const repos[REPO_KINDS] = {
        [REPO_MODEL] = "numModels", [REPO_DATASET] = "numDatasets", [REPO_SPACE] = "numSpaces"};
    const struct {
        const char *key;
        int64_t n;
        bool of_orgs;
    } counts[] = {{"numFollowers", o->followers, true},      {"numPapers", 0, true},
                  {"numFollowing", o->following, false},     {"numLikes", o->likes, false},
                  {"numDiscussions", o->discussions, false}, {"numUpvotes", 0, false}};
    for (int i = 0; i < REPO_KINDS; i++)
        json_object_set_new(out, repos[i], json_integer(o->repos[i]));
    for (size_t i = 0; i < COUNT(counts); i++)
        if (!org || counts[i].of_orgs)
            json_object_set_new(out, counts[i].key, json_integer(counts[i].n));
}

static void overview(Request *r)
{
    Error err = {0};
    Account account;
    Overview o;
    if (!find(r, &account))
        return;
    if (!overview_get(api_of(r)->hub, api_viewer(r), &account, &o, &err))
        return reply_error(r, &err);
    json_t *out = json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:o}", "_id", json_from_str(account.id),
        account.is_org ? "name" : "user", json_from_str(account.name), "fullname",
        json_from_str(account.fullname), "avatarUrl", api_avatar_url(r, account.name), "type",
        account.is_org ? "org" : "user", "createdAt", api_date(account.created_ns));
    api_set_str(out, "details", account.about);
    api_set_str(out, "websiteUrl", account.website);
    if (api_viewer(r)->by != BY_NOBODY)
        json_object_set_new(out, "isFollowing", json_boolean(o.is_following));
    set_counts(out, &o, account.is_org);
    if (account.is_org) {
        json_object_set_new(out, "isVerified", json_false());
        json_object_set_new(out, "numUsers", json_integer((json_int_t)account.n_others));
        return api_reply(r, out);
    }
    json_object_set_new(out, "isPro", json_false());
    json_t *orgs = json_array();
    for (size_t i = 0; i < account.n_others; i++)
        json_array_append_new(orgs, org_json(r, &account.others[i]));
    json_object_set_new(out, "orgs", orgs);
    api_reply(r, out);
}

/* What a browser shows is sent there at once; a program is told the address. */
static void avatar(Request *r)
{
    Account account;
    if (!find(r, &account))
        return;
    const char *url = api_avatar_url(r, account.name);
    if (api_flag(r, "redirect") || str_eq(request_header(r, "Sec-Fetch-Dest"), S("image")))
        return reply_redirect(r, 302, str_of(url));
    api_reply(r, json_pack("{s:s}", "avatarUrl", url));
}

static void avatar_of_any(Request *r)
{
    Error err = {0};
    Account account;
    if (!account_find(api_of(r)->hub, request_arena(r), request_param(r, "name"), &account, &err))
        return reply_error(r, &err);
    reply_redirect(r, 302, str_of(api_avatar_url(r, account.name)));
}

/* ---- Lists ---- */

static json_t *person_json(Request *r, const Person *p)
{
    json_t *out =
        json_pack("{s:o, s:o, s:o, s:s, s:b, s:s}", "_id", json_from_str(p->id), "user",
                  json_from_str(p->name), "fullname", json_from_str(p->fullname), "avatarUrl",
                  api_avatar_url(r, p->name), "isPro", 0, "type", p->is_org ? "org" : "user");
    if (p->is_org)
        json_object_set_new(out, "name", json_from_str(p->name));
    api_set_str(out, "role", p->role);
    if (api_viewer(r)->by != BY_NOBODY)
        json_object_set_new(out, "isFollowing", json_boolean(p->is_followed));
    return out;
}

static void list(Request *r, PeopleOf what, Str of)
{
    Error err = {0};
    PeoplePage page;
    PeopleQuery query = {.what = what, .of = of, .cursor = request_query_get(r, "cursor")};
    if (!api_limit(r, 1000, PAGE, &query.limit))
        return;
    if (!people_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(out, person_json(r, &page.items[i]));
    if (page.next.len)
        api_link_next(r, "cursor", page.next);
    api_reply(r, out);
}

static void followers(Request *r)
{
    Account account;
    if (find(r, &account))
        list(r, PEOPLE_FOLLOWERS, account.id);
}

static void following(Request *r)
{
    Account account;
    if (find(r, &account))
        list(r, PEOPLE_FOLLOWING, account.id);
}

static void members(Request *r)
{
    Account account;
    if (find(r, &account))
        list(r, PEOPLE_MEMBERS, account.id);
}

static void likers(Request *r)
{
    Repo repo;
    if (api_repo(r, ACCESS_READ, &repo))
        list(r, PEOPLE_LIKERS, repo.id);
}

static void likes(Request *r)
{
    Error err = {0};
    LikePage page;
    int64_t limit;
    if (!api_limit(r, 1000, PAGE, &limit))
        return;
    if (!likes_of_user(api_of(r)->hub, request_arena(r), api_viewer(r), request_param(r, "name"),
                       limit, request_query_get(r, "cursor"), &page, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(out, json_pack("{s:o, s:{s:o, s:s}}", "createdAt",
                                             api_date(page.items[i].liked_ns), "repo", "name",
                                             json_from_str(page.items[i].name), "type",
                                             repo_kind_info(page.items[i].kind)->name));
    if (page.next.len)
        api_link_next(r, "cursor", page.next);
    api_reply(r, out);
}

/* ---- Following ---- */

static void set_follow(Request *r, bool on)
{
    Error err = {0};
    Account account;
    if (!find(r, &account))
        return;
    if (!follow_set(api_of(r)->hub, api_viewer(r), &account, on, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b, s:b}", "success", 1, "isFollowing", on));
}

static void follow(Request *r)
{
    set_follow(r, true);
}

static void unfollow(Request *r)
{
    set_follow(r, false);
}

#define BOTH(method, rest, to, who, text)                                                          \
    {method, "/api/users/{name}" rest, to, .access = (who), .summary = (text)},                    \
    {                                                                                              \
        method, "/api/organizations/{name}" rest, to, .access = (who), .summary = (text)           \
    }

const Route people_routes[] = {
    BOTH("GET", "/overview", overview, API_ANYBODY, "An account"),
    BOTH("GET", "/avatar", avatar, API_ANYBODY, "Where its picture is"),
    BOTH("GET", "/followers", followers, API_ANYBODY, "Who follows it"),
    BOTH("POST", "/follow", follow, API_NEEDS(API_LOGGED_IN, MAY_SOCIAL), "Follow it"),
    BOTH("DELETE", "/follow", unfollow, API_NEEDS(API_LOGGED_IN, MAY_SOCIAL), "No longer"),
    BOTH("POST", "/unfollow", unfollow, API_NEEDS(API_LOGGED_IN, MAY_SOCIAL), "No longer"),
    {"GET", "/api/users/{name}/following", following, .summary = "Whom a user follows"},
    {"GET", "/api/users/{name}/likes", likes, .summary = "What a user likes"},
    {"GET", "/api/organizations/{name}/members", members, .summary = "An organisation's members"},
    {"GET", "/api/{kind}/{owner}/{name}/likers", likers, .summary = "Who likes it"},
    {"GET", "/api/avatars/{name}", avatar_of_any, .summary = "The picture of an account"},
};
const size_t people_routes_n = COUNT(people_routes);
