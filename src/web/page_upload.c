/* page_upload.c: files and folders sent by a form: one commit, or a pull request. The form is read
 * as it comes: of each file at most SMALL bytes are in memory, what is longer goes to the blob
 * store at once. How a file is kept is decided as for every other upload (repo_preupload). */
#include "web/web_internal.h"

#include "blobs/blobs.h"

enum {
    SMALL = 10 << 20, // a longer one is kept by LFS in any case
    SAMPLE = 512,     // of a file, to tell text from other things
    MAX_FIELD = 64 << 10,
};

typedef struct Upload {
    Request *request;
    Repo repo;
    Str rev, folder;
    bool pull, trusted; // trusted: the form has said its token
    Buf csrf, summary, description;
    Change *change; // opened with the first file
    size_t n;
    // The file that comes now.
    Str path; // empty: none
    int64_t size;
    Buf bytes; // all of it, or its first SMALL bytes once there is a writer
    BlobWriter *writer;
} Upload;

static void upload_done(Upload *u)
{
    buf_done(&u->csrf);
    buf_done(&u->summary);
    buf_done(&u->description);
    buf_done(&u->bytes);
    blob_writer_free(u->writer);
    change_free(u->change);
}

static bool file_open(Upload *u, Str filename, Error *err)
{
    Arena *a = request_arena(u->request);
    u->trusted = u->trusted || web_token_ok(u->request, buf_str(&u->csrf));
    if (!u->trusted)
        return fail(err, ERR_DENIED, "This form has expired: reload the page and send it again");
    if (!u->change && !web_change_open(u->request, &u->repo, u->rev, u->pull, &u->change, err))
        return false;
    u->path = str_of(u->folder.len ? arena_printf(a, "%.*s/%.*s", STR(u->folder), STR(filename))
                                   : arena_printf(a, "%.*s", STR(filename)));
    u->size = 0;
    buf_done(&u->bytes);
    buf_init(&u->bytes, SMALL);
    return true;
}

static bool file_add(Upload *u, Str bytes, Error *err)
{
    u->size += (int64_t)bytes.len;
    if (u->writer)
        return blob_writer_add(u->writer, bytes.ptr, bytes.len, err);
    if (u->size <= SMALL) {
        buf_add(&u->bytes, bytes);
        return true;
    }
    Str so_far = buf_str(&u->bytes);
    u->writer = blob_writer_new(hub_blobs(hub_of(u->request)), NULL, -1, err);
    return u->writer && blob_writer_add(u->writer, so_far.ptr, so_far.len, err) &&
           blob_writer_add(u->writer, bytes.ptr, bytes.len, err);
}

/* Its bytes are safe in the blob store and the repository's. */
static bool keep_blob(Upload *u, char oid[BLOB_HEX_SIZE], Error *err)
{
    Hub *hub = hub_of(u->request);
    bool ok = u->writer ? blob_writer_finish(u->writer, oid, err)
                        : blobs_put(hub_blobs(hub), buf_str(&u->bytes), oid, err);
    blob_writer_free(u->writer);
    u->writer = NULL;
    return ok && repo_grant_blob(hub, &u->repo, web_viewer(u->request), str_of(oid), u->size, err);
}

static bool file_close(Upload *u, Error *err)
{
    Str sha, bytes = buf_str(&u->bytes);
    char oid[BLOB_HEX_SIZE];
    if (!u->path.len)
        return true;
    Preupload how = {
        .path = u->path, .sample = str_slice(bytes, 0, MIN(bytes.len, SAMPLE)), .size = u->size};
    if (!repo_preupload(hub_of(u->request), request_arena(u->request), &u->repo, u->rev, (Str){0},
                        (Str){0}, &how, 1, &sha, err))
        return false;
    if (!how.lfs)
        change_add(u->change, u->path, bytes);
    else if (keep_blob(u, oid, err))
        change_add_lfs(u->change, u->path, str_of(oid), u->size);
    else
        return fail_while(err, "%.*s", STR(u->path));
    u->path = (Str){0};
    u->n++;
    return change_ok(u->change, err);
}

static bool take_field(Upload *u, Str name, Str bytes, Error *err)
{
    Buf *field = str_eq(name, S("csrf"))          ? &u->csrf
                 : str_eq(name, S("summary"))     ? &u->summary
                 : str_eq(name, S("description")) ? &u->description
                                                  : NULL;
    if (field)
        buf_add(field, bytes);
    return !field || buf_ok(field, NULL) ||
           fail(err, ERR_LIMIT, "%.*s: over %d bytes", STR(name), MAX_FIELD);
}

static bool take(void *user, const FormField *field, int64_t at, Str bytes, Error *err)
{
    Upload *u = user;
    if (!field->is_file)
        return take_field(u, field->name, bytes, err);
    if (at == 0 && !file_close(u, err))
        return false;
    if (!field->filename.len) // an input in which nothing was chosen
        return true;
    return (at > 0 || file_open(u, field->filename, err)) && file_add(u, bytes, err);
}

static bool finish(Upload *u, Str *location, Error *err)
{
    Arena *a = request_arena(u->request);
    if (!u->n)
        return fail(err, ERR_INVALID, "Choose at least one file");
    Str title = str_trim(buf_str(&u->summary));
    if (!title.len)
        title = str_of(arena_printf(a, "Upload %zu file%s", u->n, u->n == 1 ? "" : "s"));
    change_title(u->change, title, buf_str(&u->description));
    *location = rev_path(a, &u->repo, "tree", u->rev, u->folder);
    return change_ok(u->change, err) &&
           web_change_commit(u->request, &u->repo, u->change, u->pull, location, err);
}

static void show(Request *r, const Repo *repo, int status, const char *problem)
{
    Arena *a = request_arena(r);
    Str folder = request_param(r, "path");
    Str rev = request_param(r, "rev");
    json_t *page = page_new(r, arena_printf(a, "Upload to %.*s", STR(repo->full)));
    page_set_commit(r, page, repo, rev, "Upload files");
    set(page, "by_address", json_true());
    set_str(page, "back", rev_path(a, repo, "tree", rev, (Str){0}));
    set(page, "summary", json_string(""));
    set(page, "description", json_string(""));
    set_str(page, "folder", folder);
    set_str(page, "action", request_path(r));
    set(page, "problem", json_string(problem));
    page_render(r, status, "upload", page);
}

static void upload_form(Request *r)
{
    Repo repo;
    if (web_repo(r, ACCESS_PROPOSE, &repo))
        show(r, &repo, 200, "");
}

/* Scripts get {"url"} and errors as JSON; they ask for that. */
static void upload(Request *r)
{
    Error err = {0};
    Str location;
    __attribute__((cleanup(upload_done)))
    Upload u = {.request = r,
                .rev = request_param(r, "rev"),
                .folder = request_param(r, "path"),
                .pull = str_eq(request_query_get(r, "how"), S("pull"))};
    buf_init(&u.csrf, MAX_FIELD);
    buf_init(&u.summary, MAX_FIELD);
    buf_init(&u.description, MAX_FIELD);
    if (!web_repo(r, ACCESS_PROPOSE, &u.repo))
        return;
    bool ok =
        request_multipart(r, take, &u, &err) && file_close(&u, &err) && finish(&u, &location, &err);
    if (ok && web_wants(r))
        return reply_redirect(r, 303, location);
    if (ok) {
        json_t *answer = json_pack("{s:o}", "url", json_from_str(location));
        reply_json(r, 200, answer);
        json_decref(answer);
        return;
    }
    int status = error_http_status(err.code);
    if (status >= 500 || !web_wants(r))
        return reply_error(r, &err);
    show(r, &u.repo, status, err.text);
}

const Route web_upload_routes[] = {
    EACH_KIND("GET", "/upload/{rev}/{path...}", upload_form, WEB_LOGGED_IN, "Files to upload"),
    EACH_KIND("POST", "/upload/{rev}/{path...}", upload, WEB_LOGGED_IN, "Upload files",
              .max_body = ANY_BODY),
};
const size_t web_upload_routes_n = COUNT(web_upload_routes);
