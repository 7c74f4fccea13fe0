/* verb_repos.c: `hug repos create|delete|ls`: repositories on the hub. */
#include "cli/cli.h"

#include "base/json.h"
#include "cli/hub_options.h"

#include <unistd.h>

typedef struct Options {
    HubOptions hub;
    const char *sdk, *namespace, *search;
    int64_t limit;
    bool private_, exist_ok, missing_ok, yes, json;
} Options;

static const Option options[] = {
    HUB_OPTIONS(Options, hub),
    FLAG(Options, private_, "--private", "create: only its owner may see it"),
    FLAG(Options, exist_ok, "--exist-ok", "create: one that is there already is fine"),
    VALUE(Options, sdk, TEXT, "--space-sdk|--sdk", "SDK",
          "create: gradio, streamlit, docker or static"),
    FLAG(Options, missing_ok, "--missing-ok", "delete: one that is not there is fine"),
    FLAG(Options, yes, "-y|--yes", "delete: do not ask"),
    VALUE(Options, namespace, TEXT, "--namespace", "NAME", "ls: of this user or organisation"),
    VALUE(Options, search, TEXT, "--search", "TEXT", "ls: with this in its name"),
    VALUE(Options, limit, INT, "--limit", "N", "ls: at most so many (30)"),
    FLAG(Options, json, "--json", "ls: as JSON"),
};

static bool create(const Options *o, const char *id, Error *err)
{
    UploadOptions upload = {.token = o->hub.token, .private_ = o->private_};
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!hub_kind(&o->hub, &upload.kind, err))
        return false;
    char *url = fetch_repo_create(a, id, &upload, o->sdk, o->exist_ok, err);
    if (url)
        puts(url);
    return url != NULL;
}

static bool confirmed(const char *id)
{
    char answer[16] = "";
    fprintf(stderr, "Delete %s and all its history? [y/N] ", id);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static bool delete (const Options *o, const char *id, Error *err)
{
    FetchKind kind = FETCH_MODEL;
    if (!hub_kind(&o->hub, &kind, err))
        return false;
    if (!o->yes && !isatty(STDIN_FILENO))
        return fail(err, ERR_USAGE, "say --yes to delete %s without being asked", id);
    if (!o->yes && !confirmed(id))
        return fail(err, ERR_CANCELLED, "%s was not deleted", id);
    Error failure = {0};
    if (fetch_repo_delete(id, kind, o->hub.token, &failure))
        return true;
    if (o->missing_ok && failure.code == ERR_NO_REPO)
        return true;
    *err = failure;
    return false;
}

static bool list(const Options *o, Error *err)
{
    FetchKind from = FETCH_MODEL, to = FETCH_SPACE;
    if (o->hub.type) {
        if (!hub_kind(&o->hub, &from, err))
            return false;
        to = from;
    }
    AUTO(json_decref) json_t *all = json_array();
    for (FetchKind kind = from; kind <= to; kind++) {
        AUTO(json_decref)
        json_t *some = fetch_repo_list(kind, o->namespace, o->search, o->limit, o->hub.token, err);
        if (!some)
            return false;
        size_t i;
        json_t *repo;
        json_array_foreach(some, i, repo)
        {
            json_object_set_new(repo, "type", json_string(fetch_kind_name(kind)));
            json_array_append(all, repo);
        }
    }
    if (o->json) {
        AUTO_BUF out;
        buf_init(&out, 0);
        json_write(&out, all);
        puts(out.ptr);
        return true;
    }
    size_t i;
    json_t *repo;
    json_array_foreach(all, i, repo)
    {
        printf("%-8s %-48s %-8s %.10s\n", json_text(repo, "type", ""), json_text(repo, "id", ""),
               json_flag(repo, "private", false) ? "private" : "public",
               json_text(repo, "lastModified", ""));
    }
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {.limit = 30};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    const char *what = n > 1 ? args[1] : "";
    if (n == 2 && (strcmp(what, "ls") == 0 || strcmp(what, "list") == 0))
        return list(&o, err);
    if (n == 3 && strcmp(what, "create") == 0)
        return create(&o, args[2], err);
    if (n == 3 && strcmp(what, "delete") == 0)
        return delete (&o, args[2], err);
    return fail(err, ERR_USAGE, "give create REPO, delete REPO, or ls");
}

const Verb verb_repos = {
    .name = "repos",
    .synopsis = "create REPO | delete REPO | ls",
    .summary = "make, delete and list repositories on the hub",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
