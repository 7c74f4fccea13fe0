/* reply_file.c: files and other fixed content, with ranges and conditions.
 * Source: RFC 9110 sections 13 (conditional requests) and 14 (ranges). A request for several ranges
 * gets the whole content, as section 14.2 allows: no client of ours asks for them. */
#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"

#include <unistd.h>

enum { MADE_BLOCK = 128 << 10 };

/* "Tue, 24 Nov 2026 10:00:00 GMT" */
static Str http_date(Arena *a, int64_t wall)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = wall / NS_PER_S;
    struct tm t;
    gmtime_r(&seconds, &t);
    return str_of(arena_printf(a, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + t.tm_wday * 3,
                               t.tm_mday, months + t.tm_mon * 3, t.tm_year + 1900, t.tm_hour,
                               t.tm_min, t.tm_sec));
}

static Str without_weak(Str etag)
{
    etag = str_trim(etag);
    return str_starts(etag, S("W/")) ? str_slice(etag, 2, SIZE_MAX) : etag;
}

static bool etag_listed(Str list, Str etag)
{
    Str left = list, item;
    while (left.len && str_split(&left, ',', &item)) {
        item = without_weak(item);
        if (str_eq(item, S("*")) || str_eq(item, without_weak(etag)))
            return true;
    }
    return false;
}

static bool is_unchanged(const Request *r, Str etag, Str modified)
{
    Str match = request_header(r, "If-None-Match");
    if (match.len)
        return etag.len && etag_listed(match, etag);
    Str since = request_header(r, "If-Modified-Since");
    return modified.len && str_eq(since, modified); // clients send back what they were given
}

typedef enum RangeKind { RANGE_ALL, RANGE_PART, RANGE_OUTSIDE } RangeKind;

/* [*from, *to] of a content of `size` bytes, from the header "bytes=a-b", "bytes=a-", "bytes=-n".
 */
static RangeKind parse_range(Str header, int64_t size, int64_t *from, int64_t *to)
{
    Str spec = str_trim(header);
    if (!str_starts(spec, S("bytes=")) || str_find_char(spec, ',', 0) != SIZE_MAX)
        return RANGE_ALL;
    spec = str_trim(str_slice(spec, 6, SIZE_MAX));
    size_t dash = str_find_char(spec, '-', 0);
    if (dash == SIZE_MAX)
        return RANGE_ALL;
    Str first = str_slice(spec, 0, dash), last = str_slice(spec, dash + 1, SIZE_MAX);
    int64_t a, b = size - 1;
    if (first.len == 0) { // the last n bytes
        int64_t n;
        if (!str_to_int(last, 0, INT64_MAX, &n))
            return RANGE_ALL;
        if (n == 0 || size == 0)
            return RANGE_OUTSIDE;
        a = size - MIN(n, size);
    } else {
        if (!str_to_int(first, 0, INT64_MAX, &a) ||
            (last.len && (!str_to_int(last, 0, INT64_MAX, &b) || b < a)))
            return RANGE_ALL;
        if (a >= size)
            return RANGE_OUTSIDE;
    }
    *from = a;
    *to = MIN(b, size - 1);
    return RANGE_PART;
}

typedef struct Content {
    int fd; // -1: bytes, or `file` reads them
    int64_t offset, size;
    Str bytes;
    const FileReply *file;
    const char *type;
    Str etag, modified;
} Content;

/* Content that is made as it is sent. */
typedef struct Making {
    FileReply file;
    int64_t from, size;
} Making;

static ssize_t make_more(void *context, uint64_t position, char *out, size_t max)
{
    Making *m = context;
    Error err = {0};
    int64_t left = m->size - (int64_t)position;
    size_t n = (size_t)MIN(left, (int64_t)max);
    if (left <= 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (m->file.read(m->file.source, out, n, m->from + (int64_t)position, &err))
        return (ssize_t)n;
    log_error("send", "error=\"%s\"", err.text);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void make_no_more(void *context)
{
    Making *m = context;
    if (m->file.close)
        m->file.close(m->file.source);
    free(m);
}

static void send_made(Request *r, int status, const Content *c, int64_t from, int64_t n)
{
    Making *m = xmalloc(sizeof *m);
    *m = (Making){.file = *c->file, .from = c->offset + from, .size = n};
    r->server->bytes_out += n;
    reply_with(
        r, status, c->type,
        MHD_create_response_from_callback((uint64_t)n, MADE_BLOCK, make_more, m, make_no_more));
}

static void send_part(Request *r, int status, const Content *c, int64_t from, int64_t n)
{
    if (c->file && c->file->read)
        return send_made(r, status, c, from, n);
    if (c->fd < 0)
        return reply_bytes(r, status, c->type, str_slice(c->bytes, from, from + n));
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64((uint64_t)n, c->fd, (uint64_t)(c->offset + from));
    if (!response) {
        close(c->fd);
        return reply_failure(r, 500, "the file is too large to send");
    }
    r->server->bytes_out += n;
    reply_with(r, status, c->type, response);
}

static void drop(const Content *c)
{
    if (c->fd >= 0)
        close(c->fd);
    else if (c->file && c->file->close)
        c->file->close(c->file->source);
}

static void send_content(Request *r, const Content *c)
{
    if (c->etag.len)
        reply_header(r, "ETag", c->etag);
    if (c->modified.len)
        reply_header(r, "Last-Modified", c->modified);
    if (is_unchanged(r, c->etag, c->modified)) {
        drop(c);
        return reply_empty(r, 304);
    }
    reply_header(r, "Accept-Ranges", S("bytes"));
    int64_t from = 0, to = c->size - 1;
    Str range = request_header(r, "Range"), only_if = request_header(r, "If-Range");
    bool same = !only_if.len || (c->etag.len && str_eq(only_if, c->etag)) ||
                (c->modified.len && str_eq(only_if, c->modified));
    RangeKind kind = range.len && same ? parse_range(range, c->size, &from, &to) : RANGE_ALL;
    if (kind == RANGE_OUTSIDE) {
        drop(c);
        reply_headerf(r, "Content-Range", "bytes */%lld", (long long)c->size);
        return reply_failure(r, 416, "the range lies outside the file");
    }
    if (kind == RANGE_PART)
        reply_headerf(r, "Content-Range", "bytes %lld-%lld/%lld", (long long)from, (long long)to,
                      (long long)c->size);
    send_part(r, kind == RANGE_PART ? 206 : 200, c, from, to - from + 1);
}

void reply_file(Request *r, const FileReply *file)
{
    CHECK((file->fd >= 0) == !file->read);
    Content c = {.fd = file->fd,
                 .file = file,
                 .offset = file->offset,
                 .size = file->size,
                 .type = file->type ? file->type : "application/octet-stream",
                 .etag = file->etag};
    if (file->modified_ns)
        c.modified = http_date(r->arena, file->modified_ns);
    send_content(r, &c);
}

void reply_content(Request *r, Str bytes, const char *type, Str etag)
{
    Content c = {.fd = -1, .size = (int64_t)bytes.len, .bytes = bytes, .type = type, .etag = etag};
    send_content(r, &c);
}
