/* verb_repos.c: `hug repos`: repositories on the hub, their branches and tags. */
#include "cli/commands.h"

#include "base/progress.h"
#include "cli/copy.h"
#include "fetch/api.h"

enum { LISTED = 30 };

/* "private" or "public", NULL if neither was said. */
static const char *visibility(const Ask *ask)
{
    if (ask->private_ == SWITCH_YES)
        return "private";
    return ask->public_ || ask->private_ == SWITCH_NO ? "public" : NULL;
}

static json_t *row_json(Arena *a, const json_t *repo)
{
    char size[SIZE_TEXT];
    bool sized = json_object_get(repo, "storage") != NULL;
    size_format(json_int(repo, "storage", 0), size);
    const char *share = arena_printf(a, "%.1f%%", json_num(repo, "storagePercent", 0));
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?}", "id", json_text(repo, "id", ""), "type",
                     json_text(repo, "type", ""), "updated",
                     arena_printf(a, "%.10s", json_text(repo, "updatedAt", "")), "visibility",
                     json_text(repo, "visibility", ""), "storage", sized ? size : NULL,
                     "%_of_total", sized ? share : NULL);
}

static bool is_searched(const Ask *ask, const json_t *repo)
{
    if (ask->type && !str_eq(json_str(repo, "type"), str_of(fetch_kind_name(ask->kind))))
        return false;
    return !ask->search || strcasestr(json_text(repo, "id", ""), ask->search);
}

/* What anybody may see of an owner, who is not us. */
static json_t *list_public(Ask *ask, Error *err)
{
    static const char *const plurals[] = {"models", "datasets", "spaces"};
    AUTO(json_decref) json_t *all = json_array();
    for (size_t k = 0; k < COUNT(plurals); k++) {
        char *path = api_query(ask->a, plurals[k], "author", ask->namespace);
        path = api_query(ask->a, path, "full", "true");
        AUTO(json_decref) json_t *some = api_list(ask->token, path, -1, err);
        if (!some)
            return NULL;
        size_t i;
        json_t *repo;
        json_array_foreach(some, i, repo) json_array_append_new(
            all, json_pack("{s:s, s:s, s:s, s:s}", "id", json_text(repo, "id", ""), "type",
                           fetch_kind_name((FetchKind)k), "updatedAt",
                           json_text(repo, "lastModified", ""), "visibility",
                           json_flag(repo, "private", false) ? "private" : "public"));
    }
    return TAKE(all);
}

/* Ours, or those of an organisation of ours, with their sizes; else what everybody sees. */
static json_t *list_all(Ask *ask, Error *err)
{
    if (!ask->namespace)
        return api_list(ask->token, "settings/repositories", -1, err);
    Error failure = {0};
    json_t *all = api_list(
        ask->token, arena_printf(ask->a, "organizations/%s/settings/repositories", ask->namespace),
        -1, &failure);
    if (all || failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMEOUT)
        return all ? all : fail(err, failure.code, "%s", failure.text);
    return list_public(ask, err);
}

static bool list(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *all = list_all(ask, err);
    if (!all)
        return false;
    int64_t limit = ask->limit < 0 ? LISTED : ask->limit, found = 0;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *repo;
    json_array_foreach(all, i, repo)
    {
        if (is_searched(ask, repo) && (found++ < limit || limit == 0))
            json_array_append_new(rows, row_json(ask->a, repo));
    }
    output_table(&ask->out, rows, NULL, "id");
    if (limit && found > limit)
        output_hint(&ask->out, "Showing %lld of %lld repos. Use `--limit 0` to list all.",
                    (long long)limit, (long long)found);
    return true;
}

static bool create(Ask *ask, Error *err)
{
    UploadOptions upload = {
        .kind = ask->kind, .token = ask->token, .private_ = ask->private_ == SWITCH_YES};
    char *url = fetch_repo_create(ask->a, ask->args[0], &upload, ask->sdk, ask->exist_ok, err);
    if (!url)
        return false;
    Str id = str_of(url);
    size_t slash = str_rfind_char(str_slice(id, 0, str_rfind_char(id, '/')), '/');
    output_result(&ask->out, "Repo created", "url",
                  json_pack("{s:s, s:s}", "repo_id", id.ptr + slash + 1, "url", url));
    return true;
}

static bool delete_repo(Ask *ask, Error *err)
{
    const char *id = ask->args[0];
    if (!output_confirm(&ask->out, ask->yes, err, "Delete %s and all its history?", id))
        return false;
    FetchKind kind = ask->kind;
    const char *full = api_repo_id(ask->a, id, &kind, ask->token, err);
    if (!full)
        return false;
    Error failure = {0};
    AUTO(json_decref)
    json_t *done =
        api_call(ask->token, "DELETE", "repos/delete", api_repo_json(full, kind), &failure);
    if (!done && !(ask->missing_ok && failure.code == ERR_NO_REPO))
        return fail(err, failure.code, "delete %s: %s", id, failure.text);
    output_result(&ask->out, arena_printf(ask->a, "Deleted %s", id), NULL,
                  json_pack("{s:s}", "repo_id", id));
    return true;
}

static bool move_repo(Ask *ask, Error *err)
{
    FetchKind kind = ask->kind;
    const char *from = api_repo_id(ask->a, ask->args[0], &kind, ask->token, err);
    const char *to = from ? api_repo_id(ask->a, ask->args[1], &kind, ask->token, err) : NULL;
    if (!to)
        return false;
    AUTO(json_decref)
    json_t *done = api_call(
        ask->token, "POST", "repos/move",
        json_pack("{s:s, s:s, s:s}", "fromRepo", from, "toRepo", to, "type", fetch_kind_name(kind)),
        err);
    if (!done)
        return fail_while(err, "move %s to %s", from, to);
    output_result(&ask->out, arena_printf(ask->a, "Moved %s to %s", from, to), NULL,
                  json_pack("{s:s, s:s}", "from_id", from, "to_id", to));
    return true;
}

static bool duplicate(Ask *ask, Error *err)
{
    const char *from = ask->args[0], *name = strrchr(from, '/');
    FetchKind kind = ask->kind; // the copy's is the original's
    const char *full = api_repo_id(ask->a, from, &kind, ask->token, err);
    const char *to = ask->n > 1 ? ask->args[1] : name ? name + 1 : from;
    to = full ? api_repo_id(ask->a, to, &kind, ask->token, err) : NULL;
    char *path = to ? api_repo_path(ask->a, full, kind, ask->token, err, "/duplicate") : NULL;
    char *url = path ? api_repo_page(ask->a, to, kind, ask->token, err) : NULL;
    if (!url)
        return false;
    json_t *body = json_pack("{s:s}", "repository", to);
    if (visibility(ask))
        json_object_set_new(body, "visibility", json_string(visibility(ask)));
    Error failure = {0};
    AUTO(json_decref) json_t *made = api_call(ask->token, "POST", path, body, &failure);
    if (!made && !(ask->exist_ok && failure.code == ERR_EXISTS))
        return fail(err, failure.code, "duplicate %s: %s", from, failure.text);
    output_result(&ask->out, "Repo duplicated", "url",
                  json_pack("{s:s, s:s, s:s}", "from_id", from, "to_id", to, "url", url));
    return true;
}

static bool settings(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *body = json_object();
    const char *gated = ask->gated;
    if (gated && strcmp(gated, "auto") != 0 && strcmp(gated, "manual") != 0 &&
        strcmp(gated, "false") != 0)
        return fail(err, ERR_USAGE, "--gated is auto, manual or false, not '%s'", gated);
    if (gated)
        json_object_set_new(body, "gated", gated[0] == 'f' ? json_false() : json_string(gated));
    if (visibility(ask))
        json_object_set_new(body, "visibility", json_string(visibility(ask)));
    if (json_object_size(body) == 0)
        return fail(err, ERR_USAGE, "say what to set: --private, --public or --gated");
    char *path = api_repo_path(ask->a, ask->args[0], ask->kind, ask->token, err, "/settings");
    AUTO(json_decref)
    json_t *done = path ? api_call(ask->token, "PUT", path, TAKE(body), err) : NULL;
    if (!done)
        return fail_while(err, "change the settings of %s", ask->args[0]);
    output_result(&ask->out, "Repo settings updated", NULL,
                  json_pack("{s:s}", "repo_id", ask->args[0]));
    return true;
}

static bool delete_files(Ask *ask, Error *err)
{
    UploadOptions options = {.kind = ask->kind,
                             .token = ask->token,
                             .revision = ask->revision,
                             .message = ask->message,
                             .description = ask->description,
                             .create_pr = ask->create_pr == SWITCH_YES,
                             .remove = ask->args + 1,
                             .quiet = true};
    UploadResult result;
    if (!fetch_delete_files(ask->a, ask->args[0], &options, &result, err))
        return false;
    if (!result.commit)
        return fail(err, ERR_NO_ENTRY,
                    "%s has no file that matches; `hug models ls %s -R` lists them", ask->args[0],
                    ask->args[0]);
    output_result(&ask->out, "Files deleted", "commit_url",
                  json_pack("{s:s, s:s}", "repo_id", ask->args[0], "commit_url", result.url));
    return true;
}

/* ---- Branches and tags ---- */

/* One call about a branch or a tag of args[0]. */
static bool change_ref(Ask *ask, const char *method, const char *what, const char *name,
                       json_t *body, Error *err)
{
    char *path = api_repo_path(ask->a, ask->args[0], ask->kind, ask->token, err, "/%s/%s", what,
                               url_segment(ask->a, name));
    if (!path) {
        json_decref(body);
        return false;
    }
    Error failure = {0};
    AUTO(json_decref) json_t *done = api_call(ask->token, method, path, body, &failure);
    if (done || (ask->exist_ok && failure.code == ERR_EXISTS))
        return true;
    return fail(err, failure.code, "%s", failure.text);
}

static void tell_ref(const Ask *ask, const char *message, const char *what)
{
    output_result(&ask->out, arena_printf(ask->a, "%s: %s", message, ask->args[1]), NULL,
                  json_pack("{s:s, s:s, s:s}", what, ask->args[1], "repo_type",
                            fetch_kind_name(ask->kind), "repo_id", ask->args[0]));
}

static bool branch_create(Ask *ask, Error *err)
{
    json_t *body = json_object();
    if (ask->revision)
        json_object_set_new(body, "startingPoint", json_string(ask->revision));
    if (!change_ref(ask, "POST", "branch", ask->args[1], body, err))
        return false;
    tell_ref(ask, "Branch created", "branch");
    return true;
}

static bool branch_delete(Ask *ask, Error *err)
{
    if (!change_ref(ask, "DELETE", "branch", ask->args[1], NULL, err))
        return false;
    tell_ref(ask, "Branch deleted", "branch");
    return true;
}

static bool tag_create(Ask *ask, Error *err)
{
    json_t *body = json_pack("{s:s}", "tag", ask->args[1]);
    if (ask->message)
        json_object_set_new(body, "message", json_string(ask->message));
    if (!change_ref(ask, "POST", "tag", ask->revision ? ask->revision : "main", body, err))
        return false;
    tell_ref(ask, "Tag created", "tag");
    return true;
}

static bool tag_delete(Ask *ask, Error *err)
{
    if (!output_confirm(&ask->out, ask->yes, err, "Delete the tag %s of %s?", ask->args[1],
                        ask->args[0]) ||
        !change_ref(ask, "DELETE", "tag", ask->args[1], NULL, err))
        return false;
    tell_ref(ask, "Tag deleted", "tag");
    return true;
}

static bool tag_list(Ask *ask, Error *err)
{
    char *path = api_repo_path(ask->a, ask->args[0], ask->kind, ask->token, err, "/refs");
    AUTO(json_decref) json_t *refs = path ? api_call(ask->token, "GET", path, NULL, err) : NULL;
    if (!refs)
        return false;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *tag;
    json_array_foreach(json_object_get(refs, "tags"), i, tag) json_array_append_new(
        rows, json_pack("{s:s, s:s, s:s}", "name", json_text(tag, "name", ""), "target_commit",
                        json_text(tag, "targetCommit", ""), "ref", json_text(tag, "ref", "")));
    output_table(&ask->out, rows, NULL, NULL);
    return true;
}

static const Command commands[] = {
    {"list|ls", "", "repositories of yours, or of an organisation, and their size", 0, 0,
     "namespace type search limit token", list},
    {"create", "REPO", "make one", 1, 1, "type sdk private public exist-ok token", create},
    {"delete", "REPO", "delete one with all its history", 1, 1, "type missing-ok yes token",
     delete_repo},
    {"move", "FROM TO", "rename one, or give it to another owner", 2, 2, "type token", move_repo},
    {"duplicate", "FROM [TO]", "copy one, with its history", 1, 2,
     "type private public exist-ok token", duplicate},
    {"settings", "REPO", "who may see it", 1, 1, "type private public gated token", settings},
    {"delete-files", "REPO GLOB...", "delete files by a commit; 'folder/' means all below", 2, -1,
     "type revision commit-message commit-description create-pr token", delete_files},
    {"cp", "FROM TO", "copy a file to or from a repository, as `hug cp`", 1, 2, "token", copy_run},
    {"branch create", "REPO BRANCH", "make a branch", 2, 2, "type revision exist-ok token",
     branch_create},
    {"branch delete", "REPO BRANCH", "delete a branch", 2, 2, "type token", branch_delete},
    {"tag create", "REPO TAG", "give a commit a name", 2, 2, "type revision message token",
     tag_create},
    {"tag list|ls", "REPO", "the tags of a repository", 1, 1, "type token", tag_list},
    {"tag delete", "REPO TAG", "delete a tag", 2, 2, "type yes token", tag_delete},
};

const Verb verb_repos = {
    .name = "repos",
    .synopsis = "COMMAND",
    .summary = "make, change, list and delete repositories on the hub",
    COMMANDS(commands),
};
