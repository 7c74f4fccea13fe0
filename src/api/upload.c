/* upload.c: before a commit (validate-yaml, preupload), and the commit itself, whose body is one
 * JSON object a line and is worked off line by line as it comes. */
#include "api/api_internal.h"
#include "api/commit_line.h"
#include "hub/discussions.h"

#include "base/encode.h"

enum {
    MAX_LINE = 24 << 20, // a 16 MiB file in base64, and its path
    CHUNK = 64 << 10,
    PREUPLOAD_BODY = 8 << 20,
    MAX_PREUPLOAD = 1000,
    MAX_SAMPLE = 8 << 10,
    YAML_BODY = 4 << 20,
};

static json_t *messages_json(const Str *texts, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_pack("{s:o}", "message", json_from_str(texts[i])));
    return out;
}

/* For people: RepoCard.validate asks for text and shows it. */
static void reply_report(Request *r, const CardReport *report)
{
    AUTO_BUF text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < report->n_errors; i++)
        buf_printf(&text, "- Error: %.*s\n", STR(report->errors[i]));
    for (size_t i = 0; i < report->n_warnings; i++)
        buf_printf(&text, "- Warning: %.*s\n", STR(report->warnings[i]));
    reply_buf(r, report->n_errors ? 400 : 200, "text/plain; charset=utf-8", &text);
}

static void validate_yaml(Request *r)
{
    Error err = {0};
    RepoKind kind;
    CardReport report;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    if (!repo_kind_parse(json_str(body, "repoType"), &kind))
        return reply_failure(r, 400, "repoType: model, dataset or space");
    card_check(request_arena(r), json_str(body, "content"), kind, &report);
    if (request_accepts(r, "text/plain"))
        return reply_report(r, &report);
    json_t *out = json_pack("{s:o, s:o}", "errors", messages_json(report.errors, report.n_errors),
                            "warnings", messages_json(report.warnings, report.n_warnings));
    reply_json(r, report.n_errors ? 400 : 200, out);
    json_decref(out);
}

/* ---- Preupload ---- */

static bool preupload_files(Request *r, const json_t *list, Preupload **out, size_t *n)
{
    Arena *a = request_arena(r);
    *n = json_array_size(list);
    if (*n > MAX_PREUPLOAD) {
        reply_failure(r, 400, "files: at most 1000 a call");
        return false;
    }
    Preupload *files = NEW_ARRAY(a, Preupload, *n);
    for (size_t i = 0; i < *n; i++) {
        const json_t *file = json_array_get(list, i);
        AUTO_BUF sample;
        buf_init(&sample, MAX_SAMPLE);
        if (!base64_decode(&sample, json_str(file, "sample"), NULL)) {
            reply_failure(r, 400, "files: sample: not base64, or too long");
            return false;
        }
        files[i] = (Preupload){.path = json_str(file, "path"),
                               .sample = arena_str(a, buf_str(&sample)),
                               .size = json_int(file, "size", 0)};
    }
    *out = files;
    return true;
}

static void preupload(Request *r)
{
    Error err = {0};
    Repo repo;
    Preupload *files;
    size_t n;
    Str sha;
    if (!api_repo(r, api_upload_access(r, request_param(r, "rev")), &repo))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    if (!preupload_files(r, json_object_get(body, "files"), &files, &n))
        return;
    if (!repo_preupload(api_of(r)->hub, request_arena(r), &repo, request_param(r, "rev"),
                        json_str(body, "gitIgnore"), json_str(body, "gitAttributes"), files, n,
                        &sha, &err))
        return api_unprocessable(r, &err);
    json_t *answers = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            answers,
            json_pack("{s:o, s:s, s:b, s:o}", "path", json_from_str(files[i].path), "uploadMode",
                      files[i].lfs ? "lfs" : "regular", "shouldIgnore", files[i].ignore, "oid",
                      files[i].oid.len ? json_from_str(files[i].oid) : json_null()));
    api_reply(r, json_pack("{s:o, s:o}", "commitOid", json_from_str(sha), "files", answers));
}

/* ---- Commit ---- */

static bool line_apply(Change *c, const CommitLine *line, size_t number, Error *err)
{
    if ((line->kind == LINE_HEADER) != (number == 0))
        return fail(err, ERR_INVALID, "a commit's header comes first, and once");
    switch (line->kind) {
    case LINE_HEADER:
        change_title(c, line->summary, line->description);
        if (line->parent.len)
            change_parent(c, line->parent);
        break;
    case LINE_FILE:
        change_add(c, line->path, line->content);
        break;
    case LINE_LFS_FILE:
        change_add_lfs(c, line->path, line->sha256, line->size);
        break;
    case LINE_DELETED_FILE:
        change_delete(c, line->path);
        break;
    case LINE_DELETED_FOLDER:
        change_delete_folder(c, line->path);
        break;
    case LINE_COPY_FILE:
        change_copy(c, line->path, line->source, line->source_rev);
        break;
    }
    return change_ok(c, err);
}

static bool line_take(Change *c, Str text, size_t *number, Error *err)
{
    if (!str_trim(text).len)
        return true;
    CommitLine line;
    bool ok = commit_line_parse(text, &line, err) && line_apply(c, &line, *number, err);
    commit_line_done(&line);
    if (!ok)
        return fail_while(err, "line %zu", *number + 1);
    ++*number;
    return true;
}

/* Cuts the body into lines; never more than one of them is in memory. */
static bool body_apply(Request *r, Change *c, Error *err)
{
    AUTO_BUF line;
    buf_init(&line, MAX_LINE);
    char *chunk = arena_alloc(request_arena(r), CHUNK);
    size_t n, number = 0;
    do {
        if (!request_read(r, chunk, CHUNK, &n, err))
            return false;
        for (Str rest = {chunk, n}; rest.len;) {
            size_t end = str_find_char(rest, '\n', 0);
            buf_add(&line, str_slice(rest, 0, end));
            if (!buf_ok(&line, err))
                return fail(err, ERR_LIMIT,
                            "line %zu: over %d MiB; files that large go by LFS or Xet", number + 1,
                            MAX_LINE >> 20);
            if (end == SIZE_MAX)
                break;
            if (!line_take(c, buf_str(&line), &number, err))
                return false;
            buf_reset(&line);
            rest = str_slice(rest, end + 1, rest.len);
        }
    } while (n);
    if (!line_take(c, buf_str(&line), &number, err))
        return false;
    if (number == 0)
        return fail(err, ERR_INVALID, "the commit is empty");
    return true;
}

static void commit(Request *r)
{
    Error err = {0};
    Repo repo;
    Str sha, rev = request_param(r, "rev");
    Discussion pull;
    Arena *a = request_arena(r);
    Hub *hub = api_of(r)->hub;
    bool as_pull = api_flag(r, "create_pr");
    if (!api_repo(r, api_upload_access(r, rev), &repo))
        return;
    AUTO(change_free)
    Change *c = as_pull ? change_open_pull(hub, &repo, api_viewer(r), rev, &err)
                        : change_open(hub, &repo, api_viewer(r), rev, &err);
    if (!c)
        return reply_error(r, &err);
    if (!body_apply(r, c, &err) ||
        !(as_pull ? change_commit_pull(c, a, &sha, &pull, &err) : change_commit(c, a, &sha, &err)))
        return api_unprocessable(r, &err);
    const char *url = api_repo_url(r, &repo);
    json_t *out =
        json_pack("{s:b, s:o, s:s, s:s}", "success", 1, "commitOid", json_from_str(sha),
                  "commitUrl", arena_printf(a, "%s/commit/%.*s", url, STR(sha)), "hookOutput", "");
    if (as_pull)
        json_object_set_new(
            out, "pullRequestUrl",
            json_string(arena_printf(a, "%s/discussions/%lld", url, (long long)pull.num)));
    api_reply(r, out);
    api_care_later(&repo);
}

const Route upload_routes[] = {
    {"POST", "/api/validate-yaml", validate_yaml, .max_body = YAML_BODY,
     .summary = "Check a card's front matter"},
    {"POST", "/api/{kind}/{owner}/{name}/preupload/{rev}", preupload, .access = API_LOGGED_IN,
     .max_body = PREUPLOAD_BODY, .summary = "How files should travel"},
    {"POST", "/api/{kind}/{owner}/{name}/commit/{rev}", commit, .access = API_LOGGED_IN,
     .max_body = ANY_BODY, .summary = "Commit files"},
};
const size_t upload_routes_n = COUNT(upload_routes);
