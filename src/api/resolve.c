/* resolve.c: the bytes of files. User content must never run in the hub's origin: text is sent as
 * plain text, all with a sandboxing policy and without sniffing. */
#include "api/api_internal.h"

#include "base/encode.h"
#include "base/file.h"
#include "blobs/blobs.h"
#include "hub/downloads.h"

enum { MAX_INLINE = 256 << 20 };

static const struct {
    const char *suffix, *type;
} types[] = {
    {".png", "image/png"},       {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},     {".gif", "image/gif"},
    {".webp", "image/webp"},     {".svg", "image/svg+xml"},
    {".bmp", "image/bmp"},       {".ico", "image/x-icon"},
    {".mp3", "audio/mpeg"},      {".wav", "audio/wav"},
    {".flac", "audio/flac"},     {".ogg", "audio/ogg"},
    {".mp4", "video/mp4"},       {".webm", "video/webm"},
    {".pdf", "application/pdf"}, {".json", "text/plain; charset=utf-8"},
};

static const char *type_of(const RepoEntry *e, Str bytes)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (str_eq_nocase(path_suffix(e->path), str_of(types[i].suffix)))
            return types[i].type;
    if (e->is_lfs || memchr(bytes.ptr ? bytes.ptr : "", 0, MIN(bytes.len, (size_t)8192)))
        return "application/octet-stream";
    return "text/plain; charset=utf-8";
}

/* filename*= for all, filename= for old clients, without what would end the quotes. */
static void disposition(Request *r, const RepoEntry *e)
{
    AUTO_BUF value;
    buf_init(&value, 8192);
    Str name = path_name(e->path);
    buf_printf(&value, "%s; filename*=UTF-8''", api_flag(r, "download") ? "attachment" : "inline");
    url_encode(&value, name, "");
    buf_add(&value, S("; filename=\""));
    for (size_t i = 0; i < name.len; i++)
        buf_add_char(&value,
                     name.ptr[i] == '"' || name.ptr[i] == '\\' || (unsigned char)name.ptr[i] >= 0x7F
                         ? '_'
                         : name.ptr[i]);
    buf_add(&value, S("\";"));
    if (buf_ok(&value, NULL))
        reply_header(r, "Content-Disposition", buf_str(&value));
}

static void file_headers(Request *r, const Repo *repo, const RepoFile *file, bool raw)
{
    bool pinned = str_eq(request_param(r, "rev"), file->sha);
    reply_header(r, "X-Repo-Commit", file->sha);
    reply_header(r, "Content-Security-Policy", S("default-src 'none'; sandbox"));
    reply_header(r, "X-Content-Type-Options", S("nosniff"));
    reply_header(r, "Cache-Control",
                 repo->is_private ? S("private, no-cache")
                 : pinned         ? S("public, max-age=31536000, immutable")
                                  : S("no-cache"));
    if (file->entry.is_lfs && !raw) {
        reply_headerf(r, "X-Linked-ETag", "\"%.*s\"", STR(file->entry.sha256));
        reply_headerf(r, "X-Linked-Size", "%lld", (long long)file->entry.size);
    }
    disposition(r, &file->entry);
}

/* Clients that fetch a model or dataset say so; of others the file that a library begins with is
 * looked for. A part that is not the first is the same download going on. */
static void count_download(Request *r, const Repo *repo, Str path)
{
    Str range = request_header(r, "Range");
    bool said = str_eq(request_header(r, "X-HF-Download-Counter"), S("1"));
    if ((range.len && !str_starts(range, S("bytes=0-"))) ||
        !download_may_count(repo->kind, path, said))
        return;
    const RepoInfo *info;
    Hub *hub = api_of(r)->hub;
    if (!repo_info(hub, request_arena(r), repo, request_param(r, "rev"), &info, NULL) ||
        !download_is_counted(repo->kind, info->library, path, said))
        return;
    DownloadClient client = {.account = api_viewer(r)->account.id,
                             .address = request_remote(r),
                             .agent = request_header(r, "User-Agent")};
    download_count(hub, repo, &client);
}

static bool read_blob(void *source, void *out, size_t n, int64_t offset, Error *err)
{
    return blob_read(source, out, n, offset, err);
}

static void close_blob(void *source)
{
    blob_close(source);
}

void api_send_blob(Request *r, BlobReader *blob, const char *type, Str sha256)
{
    FileReply reply = {.fd = blob_take_fd(blob), .size = blob_size(blob), .type = type};
    reply.etag = str_of(arena_printf(request_arena(r), "\"%.*s\"", STR(sha256)));
    if (reply.fd >= 0) {
        blob_close(blob);
    } else {
        reply.read = read_blob;
        reply.close = close_blob;
        reply.source = blob;
    }
    reply_file(r, &reply);
}

static void send_blob(Request *r, const Repo *repo, const RepoFile *file)
{
    Error err = {0};
    BlobReader *blob = repo_file_open(api_of(r)->hub, repo, file, &err);
    if (!blob)
        return reply_error(r, &err);
    // Only now: nothing is told of content that the repository was not given.
    file_headers(r, repo, file, false);
    xet_file_headers(r, repo, file->sha, file->entry.sha256);
    count_download(r, repo, file->entry.path);
    api_send_blob(r, blob, type_of(&file->entry, (Str){0}), file->entry.sha256);
}

static void send_file(Request *r, bool raw)
{
    Error err = {0};
    Repo repo;
    RepoFile file = {0};
    Str path = request_param(r, "path"), bytes;
    if (!api_repo(r, ACCESS_READ, &repo))
        return;
    Hub *hub = api_of(r)->hub;
    Arena *a = request_arena(r);
    if (!repo_file(hub, a, &repo, request_param(r, "rev"), path, &file, &err)) {
        if (err.code == ERR_NO_ENTRY)
            reply_header(r, "X-Repo-Commit", file.sha);
        return reply_error(r, &err);
    }
    // The card of a gated repository is for all, its other files for those with access.
    if (!str_eq(path, S("README.md")) && !api_gate(r, &repo))
        return;
    if (file.entry.is_lfs && !raw)
        return send_blob(r, &repo, &file);
    if (!repo_file_bytes(hub, a, &repo, &file, MAX_INLINE, &bytes, &err))
        return reply_error(r, &err);
    count_download(r, &repo, path);
    file_headers(r, &repo, &file, raw);
    reply_content(r, bytes, raw && file.entry.is_lfs ? "text/plain" : type_of(&file.entry, bytes),
                  str_of(arena_printf(a, "\"%.*s\"", STR(file.entry.oid))));
}

static void resolve(Request *r)
{
    send_file(r, false);
}

static void raw(Request *r)
{
    send_file(r, true);
}

const Route resolve_routes[] = {
    {"GET", "/{owner}/{name}/resolve/{rev}/{path...}", resolve, .flags = ROUTE_TRY,
     .summary = "A file"},
    {"GET", "/datasets/{owner}/{name}/resolve/{rev}/{path...}", resolve, .flags = ROUTE_TRY,
     .summary = "A file"},
    {"GET", "/spaces/{owner}/{name}/resolve/{rev}/{path...}", resolve, .flags = ROUTE_TRY,
     .summary = "A file"},
    {"GET", "/{owner}/{name}/raw/{rev}/{path...}", raw, .flags = ROUTE_TRY,
     .summary = "A file as git has it"},
    {"GET", "/datasets/{owner}/{name}/raw/{rev}/{path...}", raw, .flags = ROUTE_TRY,
     .summary = "A file as git has it"},
    {"GET", "/spaces/{owner}/{name}/raw/{rev}/{path...}", raw, .flags = ROUTE_TRY,
     .summary = "A file as git has it"},
    {"GET", "/{name}/resolve/{rev}/{path...}", resolve, .flags = ROUTE_TRY,
     .summary = "A file of a model without owner"},
};
const size_t resolve_routes_n = COUNT(resolve_routes);
