/* refs.c: branches, tags and the history behind them. */
#include "api/api_internal.h"

#include "base/encode.h"

static void refs(Request *r)
{
    static const struct {
        const char *prefix, *key;
    } groups[] = {{"refs/heads/", "branches"},
                  {"refs/convert/", "converts"},
                  {"refs/tags/", "tags"},
                  {"refs/pr/", "pullRequests"}};
    Error err = {0};
    Repo repo;
    RepoRefs found;
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    if (!repo_refs(api_of(r)->hub, request_arena(r), &repo, &found, &err))
        return reply_error(r, &err);
    json_t *out = json_object();
    for (size_t k = 0; k < COUNT(groups); k++) {
        if (k == 3 && !api_flag(r, "include_prs"))
            break;
        json_t *list = json_array();
        Str prefix = str_of(groups[k].prefix);
        for (size_t i = 0; i < found.n; i++) {
            Str ref = found.items[i].ref;
            if (str_starts(ref, prefix))
                json_array_append_new(list,
                                      json_pack("{s:o, s:o, s:o}", "name",
                                                json_from_str(str_slice(ref, prefix.len, ref.len)),
                                                "ref", json_from_str(ref), "targetCommit",
                                                json_from_str(found.items[i].sha)));
        }
        json_object_set_new(out, groups[k].key, list);
    }
    api_reply(r, out);
}

static json_t *escaped_json(Str text)
{
    AUTO_BUF html;
    buf_init(&html, 0);
    html_escape(&html, text);
    return json_from_str(buf_str(&html));
}

static json_t *commit_json(const RepoCommit *c, bool formatted)
{
    json_t *out =
        json_pack("{s:o, s:o, s:o, s:[{s:o}], s:o}", "id", json_from_str(c->id), "title",
                  json_from_str(c->title), "message", json_from_str(c->message), "authors", "user",
                  json_from_str(c->author), "date", api_date(c->date_ns));
    if (formatted)
        json_object_set_new(out, "formatted",
                            json_pack("{s:o, s:o}", "title", escaped_json(c->title), "message",
                                      escaped_json(c->message)));
    return out;
}

/* ?expand[]=formatted */
static bool wants_formatted(Request *r)
{
    const Params *query = request_query(r);
    for (size_t i = 0; i < query->n; i++)
        if (str_starts(query->items[i].name, S("expand")) &&
            str_eq(query->items[i].value, S("formatted")))
            return true;
    return false;
}

static void commits(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoLog log;
    int64_t limit, page = 0;
    Str p = request_query_get(r, "p");
    if (!api_repo(r, ACCESS_READ, &repo) || !api_limit(r, 1000, 50, &limit))
        return;
    if (p.len && !str_to_int(p, 0, 1000000, &page))
        return reply_failure(r, 400, "p: a page number from 0");
    if (!repo_log(api_of(r)->hub, request_arena(r), &repo, request_param(r, "rev"), S(""),
                  page * limit, limit, &log, &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < log.n; i++)
        json_array_append_new(out, commit_json(&log.items[i], wants_formatted(r)));
    reply_headerf(r, "X-Total-Count", "%lld", (long long)log.total);
    if (log.more)
        api_link_next(r, "p",
                      str_of(arena_printf(request_arena(r), "%lld", (long long)(page + 1))));
    api_reply(r, out);
}

static void done(Request *r)
{
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void branch_new(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body ||
        !branch_create(api_of(r)->hub, &repo, api_viewer(r), request_param(r, "branch"),
                       json_str(body, "startingPoint"), json_flag(body, "emptyBranch", false),
                       json_flag(body, "overwrite", false), &err))
        return reply_error(r, &err);
    done(r);
}

static void branch_drop(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    if (!branch_delete(api_of(r)->hub, &repo, request_param(r, "branch"), &err))
        return reply_error(r, &err);
    done(r);
}

static void tag_new(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body || !tag_create(api_of(r)->hub, &repo, api_viewer(r), json_str(body, "tag"),
                             request_param(r, "rev"), json_str(body, "message"), &err))
        return reply_error(r, &err);
    done(r);
}

static void tag_drop(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    if (!tag_delete(api_of(r)->hub, &repo, request_param(r, "rev"), &err))
        return reply_error(r, &err);
    done(r);
}

static void squash(Request *r)
{
    Error err = {0};
    Repo repo;
    if (!api_repo(r, ACCESS_WRITE, &repo))
        return;
    const json_t *body = api_optional_json(r, 0, &err);
    if (!body || !branch_squash(api_of(r)->hub, &repo, api_viewer(r), request_param(r, "branch"),
                                json_str(body, "message"), &err))
        return reply_error(r, &err);
    done(r);
}

static void compare(Request *r)
{
    Error err = {0};
    Repo repo;
    bool cut;
    AUTO_BUF diff;
    buf_init(&diff, 8 << 20);
    Str range = request_param(r, "range");
    size_t dots = str_find(range, S(".."), 0);
    if (!api_repo(r, ACCESS_FILES, &repo))
        return;
    if (dots == SIZE_MAX)
        return reply_failure(r, 400, "compare: A..B");
    if (!repo_diff(api_of(r)->hub, &repo, str_slice(range, 0, dots),
                   str_slice(range, dots + 2, range.len), &diff, &cut, &err))
        return reply_error(r, &err);
    reply_buf(r, 200, "text/plain; charset=utf-8", &diff);
}

const Route ref_routes[] = {
    {"GET", "/api/{kind}/{owner}/{name}/refs", refs, .summary = "Branches and tags"},
    {"GET", "/api/{kind}/{owner}/{name}/commits/{rev}", commits, .summary = "History"},
    {"GET", "/api/{kind}/{owner}/{name}/compare/{range}", compare, .summary = "Differences"},
    {"POST", "/api/{kind}/{owner}/{name}/branch/{branch}", branch_new, .access = API_LOGGED_IN,
     .summary = "Make a branch"},
    {"DELETE", "/api/{kind}/{owner}/{name}/branch/{branch}", branch_drop, .access = API_LOGGED_IN,
     .summary = "Delete a branch"},
    {"POST", "/api/{kind}/{owner}/{name}/tag/{rev}", tag_new, .access = API_LOGGED_IN,
     .summary = "Tag a revision"},
    {"DELETE", "/api/{kind}/{owner}/{name}/tag/{rev}", tag_drop, .access = API_LOGGED_IN,
     .summary = "Delete a tag"},
    {"POST", "/api/{kind}/{owner}/{name}/super-squash/{branch}", squash, .access = API_LOGGED_IN,
     .summary = "One commit out of a branch"},
};
const size_t ref_routes_n = COUNT(ref_routes);
