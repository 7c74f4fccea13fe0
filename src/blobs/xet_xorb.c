/* xet_xorb.c: xorbs as files: written once, read by chunks; see xet_internal.h. */
#include "xet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { TAIL_SIZE = 16 };
static const char tail_magic[8] = "hugxorb1";

_Static_assert(sizeof(XorbRow) == 40, "rows lie on disk as they are");

/* ---- Writing ---- */

bool xorb_file_open(XorbFile *f, const Xet *x, Error *err)
{
    char temp[XET_PATH];
    snprintf(temp, sizeof temp, "%s/temp", x->folder);
    *f = (XorbFile){.xet = x};
    f->fd = temp_file(temp, f->path, err);
    if (f->fd < 0)
        return false;
    f->rows = xmalloc(XORB_MAX_CHUNKS * sizeof *f->rows);
    f->tree = xet_tree_new();
    return true;
}

void xorb_file_done(XorbFile *f)
{
    if (!f->tree)
        return;
    if (!f->published)
        unlink(f->path);
    close(f->fd);
    free(f->rows);
    xet_tree_free(f->tree);
    *f = (XorbFile){.fd = -1};
}

bool xorb_file_add(XorbFile *f, Str packed, uint32_t raw, const uint8_t hash[XET_HASH_SIZE],
                   Error *err)
{
    if (f->n == XORB_MAX_CHUNKS || packed.len > XORB_MAX_SIZE - f->packed ||
        raw > XORB_MAX_RAW - f->raw)
        return fail(err, ERR_LIMIT, "a xorb of more than %d chunks or %d bytes", XORB_MAX_CHUNKS,
                    XORB_MAX_RAW);
    if (!fd_write_all(f->fd, packed.ptr, packed.len, err))
        return false;
    f->packed += (uint32_t)packed.len;
    f->raw += raw;
    XorbRow *row = &f->rows[f->n++];
    memcpy(row->hash, hash, XET_HASH_SIZE);
    row->packed_end = f->packed;
    row->raw_end = f->raw;
    xet_tree_add(f->tree, hash, raw);
    return true;
}

static bool write_index(XorbFile *f, Error *err)
{
    uint8_t tail[TAIL_SIZE];
    memcpy(tail, tail_magic, 8);
    memcpy(tail + 8, &f->n, 4);
    memcpy(tail + 12, &f->packed, 4);
    if (!fd_write_all(f->fd, f->rows, f->n * sizeof *f->rows, err) ||
        !fd_write_all(f->fd, tail, sizeof tail, err))
        return false;
    if (fchmod(f->fd, 0444) < 0 || fsync(f->fd) < 0)
        return fail_io(err, "sync");
    return true;
}

bool xorb_file_publish(XorbFile *f, const XetScope *scope, const char *expected,
                       char hash[XET_HEX_SIZE], bool *inserted, Error *err)
{
    uint8_t root[XET_HASH_SIZE];
    char path[XET_PATH];
    xet_tree_root(f->tree, root);
    xet_hash_format(root, hash);
    if (expected && strcmp(hash, expected) != 0)
        return fail(err, ERR_INVALID, "xorb %s: its chunks hash to %s", expected, hash);
    xorb_path(f->xet, hash, path);
    *inserted = !xorb_touch(f->xet, hash); // a known one is kept for as long again
    if (*inserted)
        f->published = write_index(f, err) && xet_publish(f->path, path, err);
    return (*inserted == f->published && scope_add(f->xet, scope, hash, path, true, err)) ||
           fail_while(err, "store xorb %s", hash);
}

/* ---- From clients ---- */

struct XorbWriter {
    Xet *xet;
    char user[65], repo[65], hash[XET_HEX_SIZE];
    XorbParser *parser;
    XorbFile file;
};

static bool keep_chunk(void *user, Str packed, Str raw, Error *err)
{
    XorbWriter *w = user;
    uint8_t hash[XET_HASH_SIZE];
    xet_chunk_hash(raw, hash);
    return xorb_file_add(&w->file, packed, (uint32_t)raw.len, hash, err);
}

XorbWriter *xorb_writer_new(Xet *x, const XetScope *scope, Str hash, Error *err)
{
    uint8_t bytes[XET_HASH_SIZE];
    if (!xet_scope_check(scope, err))
        return NULL;
    if (!xet_hash_parse(hash, bytes))
        return fail(err, ERR_INVALID, "xorb '%.*s': not 64 lower-case hex digits",
                    STR(str_slice(hash, 0, 80)));
    AUTO(xorb_writer_free) XorbWriter *w = xcalloc(1, sizeof *w);
    w->xet = x;
    if (!xorb_file_open(&w->file, x, err))
        return NULL;
    snprintf(w->user, sizeof w->user, "%.*s", STR(scope->user));
    snprintf(w->repo, sizeof w->repo, "%.*s", STR(scope->repo));
    snprintf(w->hash, sizeof w->hash, "%.*s", STR(hash));
    w->parser = xorb_parser_new(keep_chunk, w);
    return TAKE(w);
}

bool xorb_writer_add(XorbWriter *w, Str bytes, Error *err)
{
    return xorb_parser_add(w->parser, bytes, err);
}

bool xorb_writer_finish(XorbWriter *w, bool *inserted, Error *err)
{
    char hash[XET_HEX_SIZE];
    XetScope scope = {str_of(w->user), str_of(w->repo)};
    return xorb_parser_finish(w->parser, err) &&
           xorb_file_publish(&w->file, &scope, w->hash, hash, inserted, err);
}

void xorb_writer_free(XorbWriter *w)
{
    if (!w)
        return;
    xorb_file_done(&w->file);
    xorb_parser_free(w->parser);
    free(w);
}

/* ---- Reading ---- */

static void xorb_done(Xorb *x)
{
    fd_close_auto(&x->fd);
    free(x->rows);
}

/* Ends grow from row to row, and the last one packed is where the index begins. */
static bool rows_check(const Xorb *x, uint32_t packed)
{
    uint32_t raw_end = 0, packed_end = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const XorbRow *row = &x->rows[i];
        if (row->raw_end <= raw_end || row->raw_end - raw_end > CHUNK_MAX_RAW ||
            row->packed_end < packed_end + CHUNK_HEADER_SIZE ||
            row->packed_end - packed_end > 2 * CHUNK_MAX_RAW)
            return false;
        raw_end = row->raw_end;
        packed_end = row->packed_end;
    }
    return packed_end == packed;
}

/* How many chunks it has, and the bytes of them all, packed. */
static bool tail_load(Xorb *x, uint32_t *packed, Error *err)
{
    struct stat st;
    uint8_t tail[TAIL_SIZE];
    if (fstat(x->fd, &st) < 0)
        return fail_io(err, "read");
    if (st.st_size < TAIL_SIZE)
        return fail(err, ERR_CORRUPT, "%lld bytes are no xorb", (long long)st.st_size);
    if (!fd_read_at(x->fd, tail, sizeof tail, st.st_size - TAIL_SIZE, err))
        return false;
    memcpy(&x->n, tail + 8, 4);
    memcpy(packed, tail + 12, 4);
    if (memcmp(tail, tail_magic, 8) != 0 || x->n == 0 || x->n > XORB_MAX_CHUNKS ||
        st.st_size != (int64_t)*packed + x->n * (int64_t)sizeof *x->rows + TAIL_SIZE)
        return fail(err, ERR_CORRUPT, "byte %lld: its index is damaged",
                    (long long)st.st_size - TAIL_SIZE);
    return true;
}

static bool xorb_load(Xorb *x, Error *err)
{
    uint32_t packed;
    if (!tail_load(x, &packed, err))
        return false;
    x->rows = xmalloc(x->n * sizeof *x->rows);
    if (!fd_read_at(x->fd, x->rows, x->n * sizeof *x->rows, packed, err))
        return false;
    return rows_check(x, packed) || fail(err, ERR_CORRUPT, "byte %u: its index is damaged", packed);
}

void xorb_cache_init(XorbCache *c, const Xet *x)
{
    *c = (XorbCache){.xet = x,
                     .decoder = xet_decoder_new(),
                     .packed = xmalloc(2 * CHUNK_MAX_RAW + CHUNK_HEADER_SIZE)};
}

void xorb_cache_done(XorbCache *c)
{
    for (size_t i = 0; i < c->n; i++)
        xorb_done(&c->items[i]);
    xet_decoder_free(c->decoder);
    free(c->packed);
}

const Xorb *xorb_cache_get(XorbCache *c, const uint8_t hash[XET_HASH_SIZE], Error *err)
{
    Xorb *oldest = NULL;
    for (size_t i = 0; i < c->n; i++) {
        Xorb *x = &c->items[i];
        if (memcmp(x->hash, hash, XET_HASH_SIZE) == 0) {
            x->used = ++c->clock;
            return x;
        }
        if (!oldest || x->used < oldest->used)
            oldest = x;
    }
    char hex[XET_HEX_SIZE], path[XET_PATH];
    xet_hash_format(hash, hex);
    xorb_path(c->xet, hex, path);
    Xorb fresh = {.used = ++c->clock, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    memcpy(fresh.hash, hash, XET_HASH_SIZE);
    if (fresh.fd < 0)
        return fail_io(err, "open xorb %s", hex);
    if (!xorb_load(&fresh, err)) {
        xorb_done(&fresh);
        return fail_while(err, "xorb %s", hex);
    }
    Xorb *place = oldest;
    if (c->n < XORBS_OPEN)
        place = &c->items[c->n++];
    else
        xorb_done(place);
    *place = fresh;
    return place;
}

bool xorb_cache_chunk(XorbCache *c, const Xorb *x, uint32_t i, Str *raw, Error *err)
{
    CHECK(i < x->n);
    uint32_t at = xorb_packed_start(x, i), size = x->rows[i].packed_end - at;
    uint32_t raw_size = x->rows[i].raw_end - xorb_raw_start(x, i);
    ChunkHeader h;
    char hex[XET_HEX_SIZE];
    if (fd_read_at(x->fd, c->packed, size, at, err) && chunk_header_parse(c->packed, &h, err)) {
        if (h.packed != size - CHUNK_HEADER_SIZE || h.raw != raw_size)
            (void)!fail(err, ERR_CORRUPT, "its header does not fit the index");
        else if (xet_decode(c->decoder, &h,
                            (Str){(const char *)c->packed + CHUNK_HEADER_SIZE, h.packed}, raw, err))
            return true;
    }
    xet_hash_format(x->hash, hex);
    if (err && err->code == ERR_INVALID) // it was whole when it came
        err->code = ERR_CORRUPT;
    return fail_while(err, "xorb %s: chunk %u at byte %u", hex, i, at);
}

int xet_xorb_open(Xet *x, Str hash, int64_t *size, Error *err)
{
    char path[XET_PATH], hex[XET_HEX_SIZE];
    uint8_t raw[XET_HASH_SIZE];
    if (!xet_hash_parse(hash, raw)) {
        (void)!fail(err, ERR_INVALID, "a xorb's hash is 64 lower-case hex digits");
        return -1;
    }
    xet_hash_format(raw, hex);
    xorb_path(x, hex, path);
    uint32_t packed;
    Xorb xorb = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (xorb.fd < 0) {
        (void)!fail_io(err, "open xorb %s", hex);
        return -1;
    }
    if (!tail_load(&xorb, &packed, err)) {
        (void)!fail_while(err, "xorb %s", hex);
        xorb_done(&xorb);
        return -1;
    }
    *size = packed;
    return xorb.fd;
}
