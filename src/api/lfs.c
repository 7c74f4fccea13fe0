/* lfs.c: the git-lfs batch API and where its objects go.
 *
 * The batch answers with URLs that carry their own permission (signed.c), because the Hub's clients
 * PUT without credentials. Bytes are hashed while they come and count only when the sha256 and the
 * size are what was promised; only then does the repository own the blob. Large objects may come in
 * parts, in the Hub's own "multipart" scheme: numbered part URLs in the action's header, and the
 * href completes. Clients that know Xet are sent there instead. An object that the repository does
 * not own is uploaded even if the store has it: knowing a sha256 must not be enough to get the
 * file. */
#include "api/api_internal.h"

#include "base/digest.h"
#include "base/encode.h"
#include "blobs/blobs.h"

enum {
    BATCH_BODY = 4 << 20,
    MAX_OBJECTS = 10000,
    URL_SECONDS = 6 * 3600, // a slow upload of something large
    MAX_PARTS = 10000,
    MULTIPART_FROM = 8, // parts: what is smaller goes at once
};
static const int64_t MAX_OBJECT = INT64_C(1) << 40;

void api_reply_lfs(Request *r, int status, json_t *value)
{
    AUTO_BUF body;
    buf_init(&body, 0);
    json_write(&body, value);
    json_decref(value);
    reply_buf(r, status, API_LFS_TYPE, &body);
}

/* ---- The batch ---- */

/* How objects travel, by the names that clients offer, the best last. */
typedef enum Transfer { BASIC, MULTIPART, XET, TRANSFERS } Transfer;
static const char *const transfer_names[] = {"basic", "multipart", "xet"};

typedef struct Batch {
    Request *request;
    const Repo *repo;
    bool upload;
    Transfer transfer;
} Batch;

/* "/api/lfs/models/owner/name/OID?size=N&user=U" */
static const char *object_target(const Batch *b, const char *oid, const char *what, int64_t size)
{
    return arena_printf(request_arena(b->request), "/api/lfs/%s/%.*s/%s%s?size=%lld&user=%.*s",
                        repo_kind_info(b->repo->kind)->plural, STR(b->repo->full), oid, what,
                        (long long)size, STR(api_viewer(b->request)->account.name));
}

static json_t *action(const char *href, json_t *header)
{
    return json_pack("{s:s, s:o, s:i}", "href", href, "header", header ? header : json_object(),
                     "expires_in", (int)URL_SECONDS);
}

static json_t *part_urls(const Batch *b, const char *target, int64_t size)
{
    Arena *a = request_arena(b->request);
    int64_t chunk = MAX(api_of(b->request)->part_size, (size + MAX_PARTS - 1) / MAX_PARTS);
    json_t *header = json_object();
    json_object_set_new(header, "chunk_size",
                        json_string(arena_printf(a, "%lld", (long long)chunk)));
    for (int64_t i = 0; i * chunk < size; i++) {
        const char *part = arena_printf(a, "%s&at=%lld&length=%lld", target, (long long)(i * chunk),
                                        (long long)MIN(chunk, size - i * chunk));
        // git-lfs hands them to its agent in the order of their names, as text.
        json_object_set_new(header, arena_printf(a, "%05lld", (long long)i + 1),
                            json_string(api_sign_url(b->request, "PUT", part, URL_SECONDS)));
    }
    return header;
}

/* Where to ask for a token, and the first one. */
static json_t *xet_action(const Batch *b)
{
    Request *r = b->request;
    Arena *a = request_arena(r);
    int64_t until;
    const char *token = xet_token(r, b->repo, true, &until);
    json_t *header =
        json_pack("{s:s, s:s, s:s}", "X-Xet-Cas-Url", xet_cas_url(r), "X-Xet-Access-Token", token,
                  "X-Xet-Token-Expiration", arena_printf(a, "%lld", (long long)until));
    return action(arena_printf(a, "%s/api/%s/%.*s/xet-write-token/HEAD", api_url(r),
                               repo_kind_info(b->repo->kind)->plural, STR(b->repo->full)),
                  header);
}

static json_t *upload_actions(Batch *b, const char *oid, int64_t size)
{
    if (b->transfer == XET)
        return json_pack("{s:o}", "upload", xet_action(b));
    const char *target = object_target(b, oid, "", size);
    const char *verify = object_target(b, oid, "/verify", size);
    json_t *actions = json_object();
    if (b->transfer == MULTIPART && size) {
        json_object_set_new(actions, "upload",
                            action(api_sign_url(b->request, "POST", target, URL_SECONDS),
                                   part_urls(b, target, size)));
    } else {
        json_object_set_new(actions, "upload",
                            action(api_sign_url(b->request, "PUT", target, URL_SECONDS), NULL));
    }
    json_object_set_new(actions, "verify",
                        action(api_sign_url(b->request, "POST", verify, URL_SECONDS), NULL));
    return actions;
}

static json_t *object_error(int code, const char *text)
{
    return json_pack("{s:i, s:s}", "code", code, "message", text);
}

/* One object of the batch; NULL on an error that is ours. */
static json_t *batch_object(Batch *b, const json_t *asked, Error *err)
{
    Arena *a = request_arena(b->request);
    Str oid = json_str(asked, "oid");
    int64_t size = json_int(asked, "size", -1), stored = 0;
    bool has = false;
    AUTO(json_decref)
    json_t *out = json_pack("{s:o, s:I, s:b}", "oid", json_from_str(oid), "size", (json_int_t)size,
                            "authenticated", 1);
    if (!blob_oid_check(oid, NULL) || size < 0 || size > MAX_OBJECT) {
        json_object_set_new(out, "error", object_error(422, "not a sha256 and a size up to 1 TiB"));
        return TAKE(out);
    }
    if (!repo_has_blob(api_of(b->request)->hub, b->repo, api_viewer(b->request), oid, &has, &stored,
                       err))
        return NULL;
    const char *hex = arena_cstr(a, oid);
    if (has && stored != size)
        json_object_set_new(out, "error", object_error(422, "the size is another one"));
    else if (b->upload && !has)
        json_object_set_new(out, "actions", upload_actions(b, hex, size));
    else if (!b->upload && !has)
        json_object_set_new(out, "error", object_error(404, "this repository has no such object"));
    else if (!b->upload) {
        const char *href =
            api_sign_url(b->request, "GET", object_target(b, hex, "", size), URL_SECONDS);
        json_object_set_new(out, "actions", json_pack("{s:o}", "download", action(href, NULL)));
    }
    return TAKE(out);
}

/* Xet where the client knows it, since only what differs then travels. Parts where it has anything
 * that is worth it: all objects of the batch go so, the small ones in one part, as git-lfs gives
 * them all to the same transfer agent. */
static Transfer choose_transfer(Request *r, const json_t *body)
{
    size_t i;
    const json_t *item;
    bool offered[TRANSFERS] = {0}, large = false;
    json_array_foreach(json_object_get(body, "transfers"), i, item)
    {
        for (int t = 0; t < TRANSFERS; t++)
            offered[t] |=
                json_is_string(item) && strcmp(json_string_value(item), transfer_names[t]) == 0;
    }
    json_array_foreach(json_object_get(body, "objects"), i, item)
    {
        large |= json_int(item, "size", 0) > MULTIPART_FROM * api_of(r)->part_size;
    }
    if (offered[XET])
        return XET;
    return offered[MULTIPART] && large ? MULTIPART : BASIC;
}

/* Absent, it is sha256; huggingface.js spells it in its own way. */
static bool names_sha256(const json_t *body)
{
    Str named = json_str(body, "hash_algo");
    return !named.len || str_eq(named, S("sha256")) || str_eq(named, S("sha_256"));
}

static void batch(Request *r)
{
    Error err = {0};
    Repo repo;
    const json_t *body = request_json(r, BATCH_BODY, &err);
    if (!body)
        return reply_error(r, &err);
    Str operation = json_str(body, "operation");
    const json_t *objects = json_object_get(body, "objects");
    Batch b = {.request = r, .repo = &repo, .upload = str_eq(operation, S("upload"))};
    if (!b.upload && !str_eq(operation, S("download")))
        return reply_failure(r, 422, "operation: upload or download");
    if (!names_sha256(body))
        return reply_failure(r, 409, "hash_algo: only sha256 is known here");
    if (!json_is_array(objects))
        return reply_failure(r, 422, "objects: a list");
    if (json_array_size(objects) > MAX_OBJECTS)
        return reply_failure(r, 413, "objects: at most 10000 at once");
    // The batch does not say whether a pull request will name what is uploaded.
    if (!api_repo(r, b.upload ? ACCESS_PROPOSE : ACCESS_FILES, &repo))
        return;
    if (b.upload)
        b.transfer = choose_transfer(r, body);
    AUTO(json_decref) json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *item = batch_object(&b, json_array_get(objects, i), &err);
        if (!item)
            return reply_error(r, &err);
        json_array_append_new(list, item);
    }
    api_reply_lfs(r, 200,
                  json_pack("{s:s, s:O, s:s}", "transfer", transfer_names[b.transfer], "objects",
                            list, "hash_algo", "sha256"));
}

/* ---- Objects, by signed URLs ---- */

typedef struct Upload {
    Hub *hub;
    Repo repo;
    Viewer viewer;
    const char *oid;
    int64_t size;
} Upload;

/* Who signed up to send what: from the URL, whose signature stands for the log-in. The right to
 * upload is asked for again, as it may have been taken away since. False: it has answered. */
static bool upload_of(Request *r, Upload *out)
{
    Error err = {0};
    Arena *a = request_arena(r);
    RepoKind kind;
    *out = (Upload){.hub = api_of(r)->hub, .oid = arena_cstr(a, request_param(r, "oid"))};
    if (!api_is_signed(r)) {
        reply_failure(r, 403, "This URL is not signed, or no longer valid: ask for a new one");
        return false;
    }
    const char *id =
        arena_printf(a, "%.*s/%.*s", STR(request_param(r, "owner")), STR(request_param(r, "name")));
    if (!api_kind(r, &kind))
        return false;
    if (!str_to_int(request_query_get(r, "size"), 0, MAX_OBJECT, &out->size) ||
        !viewer_of_user(out->hub, a, request_query_get(r, "user"), &out->viewer, &err) ||
        !repo_find(out->hub, a, &out->viewer, kind, str_of(id), ACCESS_PROPOSE, &out->repo, &err)) {
        reply_error(r, &err);
        return false;
    }
    return true;
}

static bool grant(Upload *u, Error *err)
{
    return repo_grant_blob(u->hub, &u->repo, &u->viewer, str_of(u->oid), u->size, err);
}

static bool add_to_blob(void *user, Str bytes, Error *err)
{
    return blob_writer_add(user, bytes.ptr, bytes.len, err);
}

typedef struct Part {
    Blobs *blobs;
    const char *name;
    int64_t at, end;
    Digest *digest;
} Part;

static bool add_to_part(void *user, Str bytes, Error *err)
{
    Part *p = user;
    if ((int64_t)bytes.len > p->end - p->at)
        return fail(err, ERR_INVALID, "the part is larger than was promised");
    digest_add(p->digest, bytes.ptr, bytes.len);
    if (!blobs_part_write(p->blobs, p->name, p->at, bytes.ptr, bytes.len, err))
        return NULL;
    p->at += (int64_t)bytes.len;
    return true;
}

/* One upload for each user, repository and object: parts of others cannot get into it. */
static const char *upload_name(Request *r, const Upload *u)
{
    return api_seal(r, "lfs-parts",
                    arena_printf(request_arena(r), "%.*s %.*s %s %lld", STR(u->repo.id),
                                 STR(u->viewer.account.id), u->oid, (long long)u->size));
}

static void put_part(Request *r, Upload *u)
{
    Error err = {0};
    int64_t length;
    AUTO(digest_free) Digest *digest = digest_sha256_new();
    Part part = {.blobs = hub_blobs(u->hub), .name = upload_name(r, u), .digest = digest};
    if (!str_to_int(request_query_get(r, "at"), 0, u->size, &part.at) ||
        !str_to_int(request_query_get(r, "length"), 1, u->size - part.at, &length))
        return reply_failure(r, 400, "at, length: not within the object");
    part.end = part.at + length;
    if (!api_body_each(r, add_to_part, &part, &err))
        return api_unprocessable(r, &err);
    if (part.at != part.end)
        return reply_failure(r, 422, "the part is shorter than was promised");
    if (!blobs_part_sync(part.blobs, part.name, &err))
        return reply_error(r, &err);
    uint8_t sha[SHA256_SIZE];
    char hex[BLOB_HEX_SIZE];
    digest_finish(digest, sha);
    hex_encode(sha, sizeof sha, hex);
    reply_headerf(r, "ETag", "\"%s\"", hex);
    reply_empty(r, 200);
}

static void put_object(Request *r)
{
    Error err = {0};
    Upload u;
    if (!upload_of(r, &u))
        return;
    if (request_query_get(r, "at").len)
        return put_part(r, &u);
    AUTO(blob_writer_free) BlobWriter *w = blob_writer_new(hub_blobs(u.hub), u.oid, u.size, &err);
    if (!w || !api_body_each(r, add_to_blob, w, &err) || !blob_writer_finish(w, NULL, &err) ||
        !grant(&u, &err))
        return api_unprocessable(r, &err);
    reply_empty(r, 200);
}

/* Given to this repository, that is: what the user sent elsewhere does not count. */
static bool is_given(const Upload *u, bool *has, Error *err)
{
    int64_t stored = 0;
    if (!repo_has_blob(u->hub, &u->repo, NULL, str_of(u->oid), has, &stored, err))
        return false;
    *has = *has && stored == u->size;
    return true;
}

/* Completes an upload in parts. What the client says of its parts is not needed: the whole is
 * hashed. */
static void complete_object(Request *r)
{
    Error err = {0};
    Upload u;
    if (!upload_of(r, &u))
        return;
    bool done = blobs_parts_finish(hub_blobs(u.hub), upload_name(r, &u), u.oid, u.size, &err) &&
                grant(&u, &err);
    // Asked again, as the answer was lost: the parts have become the object.
    if (!done && err.code == ERR_NOT_FOUND)
        (void)is_given(&u, &done, NULL);
    if (!done)
        return api_unprocessable(r, &err);
    api_reply_lfs(r, 200, json_object());
}

/* git-lfs asks once more whether all went well, and sends no credentials along either. */
static void verify_object(Request *r)
{
    Error err = {0};
    Upload u;
    bool has = false;
    if (!upload_of(r, &u))
        return;
    if (!is_given(&u, &has, &err))
        return reply_error(r, &err);
    if (!has)
        return reply_failure(r, 404, "this repository has no such object");
    api_reply_lfs(r, 200, json_object());
}

static void get_object(Request *r)
{
    Error err = {0};
    const char *oid = arena_cstr(request_arena(r), request_param(r, "oid"));
    if (!api_is_signed(r))
        return reply_failure(r, 403,
                             "This URL is not signed, or no longer valid: ask for a new one");
    BlobReader *blob = blob_open(hub_blobs(api_of(r)->hub), oid, &err);
    if (!blob)
        return reply_error(r, &err);
    api_send_blob(r, blob, "application/octet-stream", str_of(oid));
}

#define BATCH_ROUTE(prefix, ending)                                                                \
    {                                                                                              \
        "POST", prefix "/{owner}/{name}" ending "/info/lfs/objects/batch", batch,                  \
            .access = API_LFS, .max_body = BATCH_BODY,                                             \
            .summary = "git-lfs: where to send or get objects"                                     \
    }

const Route lfs_routes[] = {
    BATCH_ROUTE("", ""),
    BATCH_ROUTE("", ".git"),
    BATCH_ROUTE("/datasets", ""),
    BATCH_ROUTE("/datasets", ".git"),
    BATCH_ROUTE("/spaces", ""),
    BATCH_ROUTE("/spaces", ".git"),
    {"PUT", "/api/lfs/{kind}/{owner}/{name}/{oid}", put_object, .flags = ROUTE_RAW,
     .access = API_LFS_SIGNED, .max_body = ANY_BODY, .summary = "git-lfs: an object or a part"},
    {"POST", "/api/lfs/{kind}/{owner}/{name}/{oid}", complete_object, .flags = ROUTE_LONG,
     .access = API_LFS_SIGNED, .max_body = BATCH_BODY, .summary = "git-lfs: all parts are there"},
    {"POST", "/api/lfs/{kind}/{owner}/{name}/{oid}/verify", verify_object, .access = API_LFS_SIGNED,
     .summary = "git-lfs: was the object stored"},
    {"GET", "/api/lfs/{kind}/{owner}/{name}/{oid}", get_object, .access = API_LFS_SIGNED,
     .summary = "git-lfs: an object"},
};
const size_t lfs_routes_n = COUNT(lfs_routes);
