/* page_profile.c: the page of a person or an organisation, their pictures, and the settings of
 * both. What stands beside the repositories is chosen by ?tab=, so that no repository's name is
 * taken by it. */
#include "hub/collections.h"
#include "hub/notifications.h"
#include "hub/orgs.h"
#include "hub/people.h"
#include "net/server.h"
#include "web/web_internal.h"

enum { PAGE_SIZE = 50, REPOS_SHOWN = 24, OTHERS_SHOWN = 20 };

void page_set_account(json_t *page, const Account *account)
{
    set_str(page, "name", account->name);
    set_str(page, "fullname", account->fullname);
    set_str(page, "about", account->about);
    set_str(page, "website", account->website);
    set_str(page, "avatar_version", account->avatar);
}

/* ---- The parts of a profile ---- */

static json_t *repos_json(Request *r, RepoKind kind, Str owner)
{
    Error err = {0};
    RepoPage found;
    RepoQuery query = {.kind = kind, .author = owner, .sort = SORT_UPDATED, .limit = REPOS_SHOWN};
    json_t *items = json_array();
    if (repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, &found, &err))
        for (size_t i = 0; i < found.n; i++)
            json_array_append_new(items, item_json(&found.items[i]));
    return items;
}

static json_t *members_json(const Account *account)
{
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(account->n_others, (size_t)OTHERS_SHOWN); i++) {
        json_t *row = json_object();
        set_str(row, "name", account->others[i].name);
        set_str(row, "fullname", account->others[i].fullname);
        set_str(row, "role", account->others[i].role);
        json_array_append_new(out, row);
    }
    return out;
}

static json_t *collections_json(Request *r, Str owner)
{
    Error err = {0};
    Collection *found;
    size_t n;
    bool more;
    Arena *a = request_arena(r);
    CollectionQuery query = {.owner = owner, .limit = 100};
    json_t *out = json_array();
    if (collection_list(hub_of(r), a, web_viewer(r), &query, &found, &n, &more, &err))
        for (size_t i = 0; i < n; i++)
            json_array_append_new(out, collection_json(a, &found[i]));
    return out;
}

/* What a tab shows: rows of people.html; *next is the cursor of the next page. */
typedef bool Rows(Request *r, const Account *account, json_t *rows, Str *next, Error *err);

static bool rows_of_people(Request *r, PeopleOf what, const Account *account, json_t *rows,
                           Str *next, Error *err)
{
    PeoplePage found;
    PeopleQuery query = {.what = what,
                         .of = account->id,
                         .limit = PAGE_SIZE,
                         .cursor = request_query_get(r, "cursor")};
    if (!people_list(hub_of(r), request_arena(r), web_viewer(r), &query, &found, err))
        return false;
    for (size_t i = 0; i < found.n; i++) {
        json_t *row = json_object();
        set(row, "what", json_string("person"));
        set_str(row, "name", found.items[i].name);
        set_str(row, "fullname", found.items[i].fullname);
        set(row, "is_org", json_boolean(found.items[i].is_org));
        set_str(row, "role", found.items[i].role);
        json_array_append_new(rows, row);
    }
    *next = found.next;
    return true;
}

static bool rows_of_followers(Request *r, const Account *account, json_t *rows, Str *next,
                              Error *err)
{
    return rows_of_people(r, PEOPLE_FOLLOWERS, account, rows, next, err);
}

static bool rows_of_following(Request *r, const Account *account, json_t *rows, Str *next,
                              Error *err)
{
    return rows_of_people(r, PEOPLE_FOLLOWING, account, rows, next, err);
}

static bool rows_of_members(Request *r, const Account *account, json_t *rows, Str *next, Error *err)
{
    return rows_of_people(r, PEOPLE_MEMBERS, account, rows, next, err);
}

static bool rows_of_likes(Request *r, const Account *account, json_t *rows, Str *next, Error *err)
{
    LikePage found;
    if (!likes_of_user(hub_of(r), request_arena(r), web_viewer(r), account->name, PAGE_SIZE,
                       request_query_get(r, "cursor"), &found, err))
        return false;
    for (size_t i = 0; i < found.n; i++) {
        const RepoKindInfo *kind = repo_kind_info(found.items[i].kind);
        json_t *row = json_object();
        set(row, "what", json_string("repo"));
        set(row, "icon", json_string(kind->plural));
        set_str(row, "name", found.items[i].name);
        set(row, "path", json_sprintf("/%s%.*s", kind->prefix, STR(found.items[i].name)));
        set(row, "when", json_when(found.items[i].liked_ns));
        json_array_append_new(rows, row);
    }
    *next = found.next;
    return true;
}

static bool rows_of_threads(Request *r, const Account *account, json_t *rows, Str *next, Error *err)
{
    ThreadPage found;
    if (!threads_of_user(hub_of(r), request_arena(r), web_viewer(r), account, PAGE_SIZE,
                         request_query_get(r, "cursor"), &found, err))
        return false;
    for (size_t i = 0; i < found.n; i++) {
        const Thread *t = &found.items[i];
        json_t *row = json_object();
        const char *prefix = repo_kind_info(t->kind)->prefix;
        set(row, "what", json_string("thread"));
        set(row, "icon", json_string(t->is_pull ? "branch" : "talk"));
        set_str(row, "name", t->title);
        set_str(row, "repo", t->repo);
        set_str(row, "status", t->status);
        set(row, "path",
            json_sprintf("/%s%.*s/discussions/%lld", prefix, STR(t->repo), (long long)t->num));
        set(row, "when", json_when(t->created_ns));
        json_array_append_new(rows, row);
    }
    *next = found.next;
    return true;
}

typedef struct Tab {
    const char *name, *label;
    bool of_orgs, of_users;
    size_t count; // offset in Overview; 0: none
    Rows *rows;   // NULL: its repositories
    const char *empty;
} Tab;

static const Tab tabs[] = {
    {"", "Repositories", true, true, 0, NULL, ""},
    {"members", "Members", true, false, 0, rows_of_members, "No members."},
    {"likes", "Likes", false, true, offsetof(Overview, likes), rows_of_likes,
     "Nothing liked yet that you may see."},
    {"discussions", "Discussions", false, true, offsetof(Overview, discussions), rows_of_threads,
     "No discussions begun yet that you may see."},
    {"followers", "Followers", true, true, offsetof(Overview, followers), rows_of_followers,
     "No followers yet."},
    {"following", "Following", false, true, offsetof(Overview, following), rows_of_following,
     "Follows nobody yet."},
};

static bool has_tab(const Account *account, const Tab *tab)
{
    return account->is_org ? tab->of_orgs : tab->of_users;
}

static const Tab *chosen_tab(Request *r, const Account *account)
{
    Str wanted = request_query_get(r, "tab");
    for (size_t i = 0; i < COUNT(tabs); i++)
        if (str_eq(wanted, str_of(tabs[i].name)) && has_tab(account, &tabs[i]))
            return &tabs[i];
    return &tabs[0];
}

static json_t *tabs_json(const Account *account, const Overview *o, const Tab *chosen)
{
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(tabs); i++) {
        const Tab *t = &tabs[i];
        if (!has_tab(account, t))
            continue;
        json_t *tab = json_pack("{s:s, s:b}", "label", t->label, "on", t == chosen);
        set(tab, "path",
            json_sprintf("/%.*s%s%s", STR(account->name), *t->name ? "?tab=" : "", t->name));
        set(tab, "count",
            t->count ? json_count(*(const int64_t *)((const char *)o + t->count)) : json_null());
        json_array_append_new(out, tab);
    }
    return out;
}

/* ---- The page ---- */

/* Members watch their organisation unless they said otherwise. */
static bool is_watched(Request *r, const Account *account)
{
    WatchState state = WATCH_DEFAULT;
    const Viewer *viewer = web_viewer(r);
    bool member = false;
    for (size_t i = 0; i < account->n_others && account->is_org; i++)
        member |= web_is_known(r) && str_eq(account->others[i].id, viewer->account.id);
    return watch_get(hub_of(r), viewer, account->id, &state, NULL) &&
           (state == WATCH_ON || (state == WATCH_DEFAULT && member));
}

static void set_who(Request *r, json_t *page, const Account *account, const Overview *o)
{
    bool me = web_is_known(r) && str_eq(web_viewer(r)->account.id, account->id);
    page_set_account(page, account);
    set(page, "is_org", json_boolean(account->is_org));
    set(page, "is_me", json_boolean(me));
    set(page, "manages", json_boolean(org_is_led_by(account, web_viewer(r))));
    set(page, "watched", json_boolean(is_watched(r, account)));
    set(page, "followed", json_boolean(o->is_following));
    set(page, "joined", json_when(account->created_ns));
    set(page, "others", members_json(account));
    set(page, "more_others", json_boolean(account->n_others > OTHERS_SHOWN));
}

/* The newest of each kind, and how many there are. */
static json_t *kinds_json(Request *r, const Account *account, const Overview *o)
{
    json_t *kinds = json_array();
    for (int kind = 0; kind < REPO_KINDS; kind++)
        json_array_append_new(kinds, json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "title",
                                               repo_kind_info((RepoKind)kind)->title, "kind",
                                               repo_kind_info((RepoKind)kind)->name, "plural",
                                               repo_kind_info((RepoKind)kind)->plural, "items",
                                               repos_json(r, (RepoKind)kind, account->name),
                                               "total", json_count(o->repos[kind]), "more",
                                               o->repos[kind] > REPOS_SHOWN));
    return kinds;
}

static bool set_tab(Request *r, json_t *page, const Account *account, const Overview *o,
                    const Tab *tab, Error *err)
{
    json_t *rows = json_array();
    Str next = {0};
    bool first = !tab->rows;
    set(page, "kinds", first ? kinds_json(r, account, o) : json_array());
    set(page, "collections", first ? collections_json(r, account->name) : json_array());
    set(page, "rows", rows);
    set(page, "first", json_boolean(first));
    set(page, "empty", json_string(tab->empty));
    if (tab->rows && !tab->rows(r, account, rows, &next, err))
        return false;
    set(page, "next_href",
        next.len
            ? json_sprintf("/%.*s?tab=%s&cursor=%.*s", STR(account->name), tab->name, STR(next))
            : json_string(""));
    return true;
}

static void profile(Request *r)
{
    Error err = {0};
    Account account;
    Overview o;
    Arena *a = request_arena(r);
    if (!account_find(hub_of(r), a, request_param(r, "owner"), &account, &err))
        return err.code == ERR_NOT_FOUND
                   ? reply_failure(r, 404, "There is no such person or organisation")
                   : reply_error(r, &err);
    if (!str_eq_nocase(account.name, request_param(r, "owner"))) // it had this name before
        return reply_redirect(r, 307, str_of(arena_printf(a, "/%.*s", STR(account.name))));
    if (!overview_get(hub_of(r), web_viewer(r), &account, &o, &err))
        return reply_error(r, &err);
    const Tab *tab = chosen_tab(r, &account);
    json_t *page = page_new(r, arena_cstr(a, account.name));
    set_who(r, page, &account, &o);
    set(page, "tabs", tabs_json(&account, &o, tab));
    if (!set_tab(r, page, &account, &o, tab, &err)) {
        json_decref(page);
        return reply_error(r, &err);
    }
    page_render(r, 200, "profile", page);
}

static void follow(Request *r)
{
    Params form;
    Error err = {0};
    Account account;
    if (!web_form(r, &form))
        return;
    if (!account_find(hub_of(r), request_arena(r), request_param(r, "owner"), &account, &err) ||
        !follow_set(hub_of(r), web_viewer(r), &account, str_eq(params_get(&form, "on"), S("yes")),
                    &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(arena_printf(request_arena(r), "/%.*s", STR(account.name))));
}

/* ---- Pictures ---- */

static void avatar(Request *r)
{
    Error err = {0};
    Avatar found;
    Arena *a = request_arena(r);
    if (!avatar_get(hub_of(r), a, request_param(r, "name"), &found, &err))
        return reply_error(r, &err);
    // Whoever put the picture there must not speak through it.
    reply_header(r, "Content-Security-Policy", S("default-src 'none'; sandbox"));
    reply_header(r, "X-Content-Type-Options", S("nosniff"));
    reply_header(r, "Cross-Origin-Resource-Policy", S("cross-origin"));
    bool named = str_eq(request_query_get(r, "v"), found.hash);
    reply_header(r, "Cache-Control",
                 named ? S("public, max-age=31536000, immutable") : S("public, max-age=300"));
    reply_content(r, found.bytes, arena_cstr(a, found.type),
                  str_of(arena_printf(a, "\"%.*s\"", STR(found.hash))));
}

typedef struct Sent {
    Buf csrf, bytes;
} Sent;

static bool take(void *user, const FormField *field, int64_t at, Str bytes, Error *err)
{
    Sent *sent = user;
    (void)at;
    if (str_eq(field->name, S("picture")))
        buf_add(&sent->bytes, bytes);
    else if (str_eq(field->name, S("csrf")))
        buf_add(&sent->csrf, bytes);
    return buf_ok(&sent->bytes, NULL) ||
           fail(err, ERR_LIMIT, "a picture has at most %d KiB", AVATAR_MAX_BYTES >> 10);
}

bool web_take_avatar(Request *r, const Account *account, Error *err)
{
    Sent sent;
    buf_init(&sent.csrf, 1000);
    buf_init(&sent.bytes, AVATAR_MAX_BYTES);
    bool ok = request_multipart(r, take, &sent, err);
    if (ok && !web_token_ok(r, buf_str(&sent.csrf)))
        ok = fail(err, ERR_DENIED, "This form has expired: reload the page and send it again");
    ok = ok && avatar_set(hub_of(r), account, buf_str(&sent.bytes), err);
    buf_done(&sent.csrf);
    buf_done(&sent.bytes);
    return ok;
}

bool web_avatar_is_wrong(const Error *err)
{
    return err->code == ERR_INVALID || err->code == ERR_UNSUPPORTED || err->code == ERR_LIMIT;
}

/* ---- Settings ---- */

static void show_settings(Request *r, int status, const Account *account, const char *notice,
                          const char *problem)
{
    json_t *page = page_new(r, "Profile");
    page_set_account(page, account);
    set_str(page, "email", account->email);
    set(page, "avatar_action", json_string("/settings/avatar"));
    set(page, "notice", json_string(notice));
    set(page, "problem", json_string(problem));
    page_render(r, status, "profile_settings", page);
}

static void settings(Request *r)
{
    const char *notice = request_query_get(r, "saved").len ? "Saved" : "";
    show_settings(r, 200, &web_viewer(r)->account, notice, "");
}

static void change_settings(Request *r)
{
    Params form;
    Error err = {0};
    if (!web_form(r, &form))
        return;
    Account account = web_viewer(r)->account;
    account.fullname = str_trim(params_get(&form, "fullname"));
    account.email = str_trim(params_get(&form, "email"));
    account.about = str_trim(params_get(&form, "about"));
    account.website = str_trim(params_get(&form, "website"));
    ProfileChange change = {&account.fullname, &account.email, &account.about, &account.website};
    Str password = params_get(&form, "password");
    bool ok = profile_change(hub_of(r), &web_viewer(r)->account, &change, &err) &&
              (!password.len || user_set_password(hub_of(r), account.name, password, &err));
    if (!ok && err.code != ERR_INVALID)
        return reply_error(r, &err);
    show_settings(r, ok ? 200 : 400, &account, ok ? "Saved" : "", ok ? "" : err.text);
}

static void change_avatar(Request *r)
{
    Error err = {0};
    const Account *account = &web_viewer(r)->account;
    if (web_take_avatar(r, account, &err))
        return reply_redirect(r, 303, S("/settings/profile?saved=picture"));
    if (!web_avatar_is_wrong(&err))
        return reply_error(r, &err);
    show_settings(r, error_http_status(err.code), account, "", err.text);
}

const Route web_profile_routes[] = {
    {"GET", "/{owner}", profile, .summary = "A person or an organisation"},
    {"POST", "/{owner}/follow", follow, .access = WEB_LOGGED_IN, .summary = "Follow, or no longer"},
    {"GET", "/avatars/{name}", avatar, .access = WEB_STATIC, .summary = "An account's picture"},
    {"GET", "/settings/profile", settings, .access = WEB_LOGGED_IN, .summary = "Profile"},
    {"POST", "/settings/profile", change_settings, .access = WEB_LOGGED_IN, .summary = "Profile"},
    {"POST", "/settings/avatar", change_avatar, .access = WEB_LOGGED_IN,
     .max_body = AVATAR_MAX_BYTES + (64 << 10), .summary = "One's own picture"},
};
const size_t web_profile_routes_n = COUNT(web_profile_routes);
