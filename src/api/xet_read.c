/* xet_read.c: downloads by Xet. A file's headers say by which hash the CAS knows it; the CAS
 * answers with the terms of the file (or of a part of it) and signed URLs for the pieces of xorbs
 * that have them. Such a URL opens the chunks of that file and no others of the xorb, which may be
 * of another file that the client must not see. */
#include "api/api_internal.h"

#include "base/encode.h"
#include "blobs/xet.h"

#include <unistd.h>

enum { URL_SECONDS = 3600 };

void xet_file_headers(Request *r, const Repo *repo, Str rev, Str sha256)
{
    char hash[XET_HEX_SIZE];
    if (!xet_file_hash_of(hub_xet(api_of(r)->hub), sha256.ptr, hash))
        return;
    const char *token =
        arena_printf(request_arena(r), "%s/api/%s/%.*s/xet-read-token/%.*s", api_url(r),
                     repo_kind_info(repo->kind)->plural, STR(repo->full), STR(rev));
    reply_header(r, "X-Xet-Hash", str_of(hash));
    reply_header(r, "X-Xet-Refresh-Route", str_of(token));
    reply_headerf(r, "Link",
                  "<%s>; rel=\"xet-auth\", <%s/v1/reconstructions/%s>; "
                  "rel=\"xet-reconstruction-info\"",
                  token, xet_cas_url(r), hash);
}

/* ---- Terms ---- */

/* A piece of a xorb: the terms that lie in it overlap or touch. */
typedef struct Piece {
    const XetTerm *first;
    uint32_t start, end, from, to;
} Piece;

static int by_xorb(const void *a, const void *b)
{
    const XetTerm *x = *(const XetTerm *const *)a, *y = *(const XetTerm *const *)b;
    int order = strcmp(x->xorb, y->xorb);
    return order ? order : (x->start > y->start) - (x->start < y->start);
}

static Piece *pieces_of(Arena *a, const XetTerms *terms, size_t *n)
{
    const XetTerm **order = NEW_ARRAY(a, const XetTerm *, terms->n);
    Piece *out = NEW_ARRAY(a, Piece, terms->n), *last = NULL;
    for (size_t i = 0; i < terms->n; i++)
        order[i] = &terms->items[i];
    qsort(order, terms->n, sizeof *order, by_xorb);
    *n = 0;
    for (size_t i = 0; i < terms->n; i++) {
        const XetTerm *t = order[i];
        if (last && strcmp(last->first->xorb, t->xorb) == 0 && t->start <= last->end) {
            last->end = MAX(last->end, t->end);
            last->to = MAX(last->to, t->to);
        } else {
            last = &out[(*n)++];
            *last = (Piece){t, t->start, t->end, t->from, t->to};
        }
    }
    return out;
}

static json_t *range_json(int64_t start, int64_t end)
{
    return json_pack("{s:I, s:I}", "start", (json_int_t)start, "end", (json_int_t)end);
}

/* Chunks end exclusively, bytes inclusively; bytes count from the piece's own first one, for the
 * URL has nothing else. */
static json_t *piece_json(Request *r, const Piece *p, int version)
{
    const char *target =
        arena_printf(request_arena(r), "/api/xet/v1/xorbs/default/%s?from=%u&to=%u", p->first->xorb,
                     p->from, p->to - 1);
    json_t *url = json_string(api_sign_url(r, "GET", target, URL_SECONDS));
    json_t *chunks = range_json(p->start, p->end), *bytes = range_json(0, p->to - p->from - 1);
    if (version == 1)
        return json_pack("{s:o, s:o, s:o}", "range", chunks, "url", url, "url_range", bytes);
    return json_pack("{s:o, s:[{s:o, s:o}]}", "url", url, "ranges", "chunks", chunks, "bytes",
                     bytes);
}

static json_t *terms_json(const XetTerms *terms)
{
    json_t *out = json_array();
    for (size_t i = 0; i < terms->n; i++) {
        const XetTerm *t = &terms->items[i];
        json_array_append_new(out, json_pack("{s:s, s:I, s:o}", "hash", t->xorb, "unpacked_length",
                                             (json_int_t)t->bytes, "range",
                                             range_json(t->start, t->end)));
    }
    return out;
}

static json_t *xorbs_json(Request *r, const XetTerms *terms, int version)
{
    size_t n;
    Piece *pieces = pieces_of(request_arena(r), terms, &n);
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *list = json_object_get(out, pieces[i].first->xorb);
        if (!list)
            json_object_set_new(out, pieces[i].first->xorb, list = json_array());
        json_array_append_new(list, piece_json(r, &pieces[i], version));
    }
    return out;
}

/* Bytes [from, to) of Range, or all. False: outside. */
static bool wanted_range(Request *r, int64_t size, int64_t *from, int64_t *to)
{
    Str range = str_trim(request_header(r, "Range"));
    *from = 0;
    *to = size;
    if (!str_starts(range, S("bytes=")))
        return true;
    range = str_slice(range, 6, range.len);
    size_t dash = str_find_char(range, '-', 0);
    Str first = str_slice(range, 0, dash);
    Str last = dash == SIZE_MAX ? S("") : str_slice(range, dash + 1, range.len);
    int64_t end;
    if (!str_to_int(first, 0, INT64_MAX, from) || *from >= size)
        return false;
    // An end past INT64_MAX is one past the file's.
    if (last.len && str_to_int(last, 0, INT64_MAX - 1, &end)) {
        if (end < *from)
            return false;
        *to = MIN(size, end + 1);
    }
    return true;
}

/* The sha256 of the file that the path names, if the client's repository has it. False: it has
 * answered. */
static bool find_file(Request *r, XetClient *client, char sha256[BLOB_HEX_SIZE], int64_t *size)
{
    Error err = {0};
    bool has = false;
    if (!xet_client(r, false, client))
        return false;
    if (xet_file_by_hash(hub_xet(client->hub), request_param(r, "hash"), sha256, size) &&
        !repo_has_blob(client->hub, &client->repo, NULL, str_of(sha256), &has, NULL, &err)) {
        reply_error(r, &err);
        return false;
    }
    if (!has)
        reply_failure(r, 404, "This repository has no such file");
    return has;
}

static void reconstruct(Request *r, int version)
{
    Error err = {0};
    XetClient client;
    XetTerms terms = {0};
    char sha256[BLOB_HEX_SIZE];
    int64_t size = 0, from, to;
    if (!find_file(r, &client, sha256, &size))
        return;
    if (!wanted_range(r, size, &from, &to))
        return reply_failure(r, 416, "the range lies outside the file");
    if (size && !xet_terms(hub_xet(client.hub), sha256, from, to, request_arena(r), &terms, &err))
        return reply_error(r, &err);
    reply_header(r, "Cache-Control", S("no-store"));
    api_reply(r, json_pack("{s:I, s:o, s:o}", "offset_into_first_range", (json_int_t)terms.skip,
                           "terms", terms_json(&terms), version == 1 ? "fetch_info" : "xorbs",
                           xorbs_json(r, &terms, version)));
}

static void reconstruct_v1(Request *r)
{
    reconstruct(r, 1);
}

static void reconstruct_v2(Request *r)
{
    reconstruct(r, 2);
}

/* ---- Pieces of xorbs ---- */

static void get_piece(Request *r)
{
    Error err = {0};
    int64_t from, to, size;
    if (!api_is_signed(r))
        return reply_failure(r, 403,
                             "This URL is not signed, or no longer valid: ask for a new one");
    if (!str_to_int(request_query_get(r, "from"), 0, XORB_MAX_SIZE, &from) ||
        !str_to_int(request_query_get(r, "to"), from, XORB_MAX_SIZE, &to))
        return reply_failure(r, 400, "from, to: no piece of a xorb");
    int fd = xet_xorb_open(hub_xet(api_of(r)->hub), request_param(r, "hash"), &size, &err);
    if (fd < 0)
        return reply_error(r, &err);
    if (to >= size) {
        close(fd);
        return reply_failure(r, 416, "the piece lies outside the xorb");
    }
    reply_header(r, "Cache-Control", S("private, max-age=3600, immutable"));
    reply_file(r, &(FileReply){.fd = fd, .offset = from, .size = to + 1 - from});
}

const Route xet_read_routes[] = {
    {"GET", "/api/xet/v1/reconstructions/{hash}", reconstruct_v1, .access = API_NO_VIEWER,
     .summary = "Xet: of which chunks a file is made"},
    {"GET", "/api/xet/v2/reconstructions/{hash}", reconstruct_v2, .access = API_NO_VIEWER,
     .summary = "Xet: of which chunks a file is made"},
    {"GET", "/api/xet/reconstructions/{hash}", reconstruct_v1, .access = API_NO_VIEWER,
     .summary = "Xet: of which chunks a file is made"},
    {"GET", "/api/xet/v1/xorbs/default/{hash}", get_piece, .flags = ROUTE_TRY,
     .access = API_NO_VIEWER, .summary = "Xet: a piece of a xorb, by a signed URL"},
};
const size_t xet_read_routes_n = COUNT(xet_read_routes);
