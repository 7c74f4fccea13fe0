/* xet_format.c: chunks, xorbs and shards as bytes; see xet.h. All integers are little-endian. */
#include "blobs/xet.h"

#include <lz4frame.h>

/* ---- Chunks ---- */

enum { SCHEME_RAW, SCHEME_LZ4, SCHEME_GROUPED_LZ4, SCHEMES };

struct XetDecoder {
    LZ4F_dctx *lz4;
    uint8_t *raw, *grouped; // CHUNK_MAX_RAW each
};

XetDecoder *xet_decoder_new(void)
{
    XetDecoder *d = xcalloc(1, sizeof *d);
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION)));
    d->raw = xmalloc(CHUNK_MAX_RAW);
    d->grouped = xmalloc(CHUNK_MAX_RAW);
    return d;
}

void xet_decoder_free(XetDecoder *d)
{
    if (!d)
        return;
    LZ4F_freeDecompressionContext(d->lz4);
    free(d->raw);
    free(d->grouped);
    free(d);
}

bool chunk_header_parse(const uint8_t bytes[CHUNK_HEADER_SIZE], ChunkHeader *out, Error *err)
{
    Reader r = reader_of(bytes, CHUNK_HEADER_SIZE, "chunk header");
    uint8_t version = reader_u8(&r);
    ChunkHeader h = {.packed = reader_u24(&r)};
    h.scheme = reader_u8(&r);
    h.raw = reader_u24(&r);
    if (version != 0)
        return fail(err, ERR_INVALID, "chunk version %u, only 0 is known", version);
    if (h.scheme >= SCHEMES)
        return fail(err, ERR_INVALID, "chunk compression %u is unknown", h.scheme);
    if (h.raw == 0 || h.packed == 0)
        return fail(err, ERR_INVALID, "an empty chunk");
    if (h.raw > CHUNK_MAX_RAW || h.packed > CHUNK_MAX_RAW + CHUNK_MAX_RAW / 64)
        return fail(err, ERR_LIMIT, "a chunk of %u bytes, packed %u, at most %d are allowed", h.raw,
                    h.packed, CHUNK_MAX_RAW);
    *out = h;
    return true;
}

static bool decompress(XetDecoder *d, Str packed, uint8_t *out, size_t size, Error *err)
{
    size_t in_at = 0, out_at = 0, status = 1;
    LZ4F_resetDecompressionContext(d->lz4);
    while (status != 0) {
        size_t in_n = packed.len - in_at, out_n = size - out_at;
        status = LZ4F_decompress(d->lz4, out + out_at, &out_n, packed.ptr + in_at, &in_n, NULL);
        if (LZ4F_isError(status))
            return fail(err, ERR_INVALID, "LZ4 at byte %zu: %s", in_at, LZ4F_getErrorName(status));
        if (in_n == 0 && out_n == 0)
            return fail(err, ERR_INVALID, "LZ4 frame does not end within %zu bytes in, %zu out",
                        packed.len, size);
        in_at += in_n;
        out_at += out_n;
    }
    if (in_at != packed.len || out_at != size)
        return fail(err, ERR_INVALID, "LZ4 frame of %zu bytes gives %zu, the header says %zu, %zu",
                    in_at, out_at, packed.len, size);
    return true;
}

/* Bytes lie as all first bytes of each four, all second ones, ...; a rest fills the first groups.
 */
static void ungroup(const uint8_t *in, uint8_t *out, size_t n)
{
    for (size_t g = 0; g < 4; g++)
        for (size_t i = g; i < n; i += 4)
            out[i] = *in++;
}

bool xet_decode(XetDecoder *d, const ChunkHeader *h, Str packed, Str *raw, Error *err)
{
    CHECK(packed.len == h->packed && h->raw <= CHUNK_MAX_RAW);
    if (h->scheme == SCHEME_RAW) {
        if (h->packed != h->raw)
            return fail(err, ERR_INVALID, "a chunk that is not packed: %u bytes, not %u", h->packed,
                        h->raw);
        *raw = packed;
        return true;
    }
    bool grouped = h->scheme == SCHEME_GROUPED_LZ4;
    if (!decompress(d, packed, grouped ? d->grouped : d->raw, h->raw, err))
        return NULL;
    if (grouped)
        ungroup(d->grouped, d->raw, h->raw);
    *raw = (Str){(const char *)d->raw, h->raw};
    return true;
}

/* ---- Xorbs ---- */

struct XorbParser {
    XorbChunk *chunk;
    void *user;
    XetDecoder *decoder;
    Buf held; // the front of a chunk
    bool in_footer;
    size_t n;
    uint64_t offset, raw; // bytes before `held`; unpacked ones so far
};

XorbParser *xorb_parser_new(XorbChunk *chunk, void *user)
{
    XorbParser *p = xcalloc(1, sizeof *p);
    *p = (XorbParser){.chunk = chunk, .user = user, .decoder = xet_decoder_new()};
    buf_init(&p->held, 0);
    return p;
}

void xorb_parser_free(XorbParser *p)
{
    if (!p)
        return;
    xet_decoder_free(p->decoder);
    buf_done(&p->held);
    free(p);
}

static bool is_footer(const uint8_t *bytes)
{
    return memcmp(bytes, "XETBLOB", 7) == 0;
}

/* One whole chunk with its header. */
static bool take_chunk(XorbParser *p, const ChunkHeader *h, Str whole, Error *err)
{
    Str raw;
    if (p->n == XORB_MAX_CHUNKS)
        return fail(err, ERR_LIMIT, "more than %d chunks", XORB_MAX_CHUNKS);
    p->raw += h->raw;
    if (p->raw > XORB_MAX_RAW)
        return fail(err, ERR_LIMIT, "more than %d bytes in its chunks", XORB_MAX_RAW);
    if (!xet_decode(p->decoder, h, str_slice(whole, CHUNK_HEADER_SIZE, whole.len), &raw, err) ||
        !p->chunk(p->user, whole, raw, err))
        return NULL;
    p->n++;
    p->offset += whole.len;
    return true;
}

/* Takes what whole chunks there are off the front of *bytes. */
static bool take_chunks(XorbParser *p, Str *bytes, Error *err)
{
    while (bytes->len >= CHUNK_HEADER_SIZE && !p->in_footer) {
        const uint8_t *at = (const uint8_t *)bytes->ptr;
        ChunkHeader h;
        if (is_footer(at)) {
            p->in_footer = true;
            break;
        }
        size_t size = CHUNK_HEADER_SIZE;
        if (!chunk_header_parse(at, &h, err) ||
            ((size += h.packed) <= bytes->len &&
             !take_chunk(p, &h, str_slice(*bytes, 0, size), err)))
            return fail_while(err, "xorb: chunk %zu at byte %llu", p->n,
                              (unsigned long long)p->offset);
        if (size > bytes->len)
            break;
        *bytes = str_slice(*bytes, size, bytes->len);
    }
    return true;
}

/* How many bytes make the held front a whole chunk: its header first, which then tells. */
static bool held_wants(const XorbParser *p, size_t *want, Error *err)
{
    const uint8_t *held = (const uint8_t *)p->held.ptr;
    ChunkHeader h;
    *want = CHUNK_HEADER_SIZE;
    if (p->held.len < CHUNK_HEADER_SIZE || is_footer(held))
        return true;
    if (!chunk_header_parse(held, &h, err))
        return fail_while(err, "xorb: chunk %zu at byte %llu", p->n, (unsigned long long)p->offset);
    *want += h.packed;
    return true;
}

bool xorb_parser_add(XorbParser *p, Str bytes, Error *err)
{
    while (!p->in_footer) {
        size_t want;
        if (!p->held.len && !take_chunks(p, &bytes, err)) // whole chunks need no copy
            return NULL;
        if (!held_wants(p, &want, err))
            return NULL;
        if (p->held.len >= want) {
            Str held = buf_str(&p->held);
            if (!take_chunks(p, &held, err))
                return NULL;
            buf_reset(&p->held);
            continue;
        }
        if (!bytes.len)
            break;
        size_t now = MIN(want - p->held.len, bytes.len);
        buf_add(&p->held, str_slice(bytes, 0, now));
        bytes = str_slice(bytes, now, bytes.len);
    }
    return true;
}

bool xorb_parser_finish(XorbParser *p, Error *err)
{
    if (p->held.len && !p->in_footer)
        return fail(err, ERR_INVALID, "xorb: ends inside chunk %zu at byte %llu", p->n,
                    (unsigned long long)p->offset);
    if (p->n == 0)
        return fail(err, ERR_INVALID, "xorb: no chunks");
    return true;
}

/* ---- Shards ---- */

enum { SHARD_MAX_FILES = 100000 };

static const uint32_t HAS_CHECKS = 0x80000000, HAS_SHA256 = 0x40000000;

static const uint8_t shard_tag[32] = {
    'H',  'F',  'R',  'e',  'p',  'o',  'M',  'e',  't',  'a',  'D',  'a',  't',  'a',  0x00, 0x55,
    0x69, 0x67, 0x45, 0x6A, 0x7B, 0x81, 0x57, 0x83, 0xA5, 0xBD, 0xD9, 0x5C, 0xCD, 0xD1, 0x4A, 0xA9};

static bool is_bookend(const uint8_t *record)
{
    for (int i = 0; i < XET_HASH_SIZE; i++)
        if (record[i] != 0xFF)
            return false;
    return true;
}

/* n records, borrowed; NULL behind a failure. */
static const uint8_t *records(Reader *r, uint32_t n)
{
    size_t size;
    if (!size_mul(n, SHARD_RECORD, &size) || size > reader_left(r)) {
        reader_fail(r, ERR_INVALID, "%u records of %d bytes, %zu bytes are left", n, SHARD_RECORD,
                    reader_left(r));
        return NULL;
    }
    return reader_bytes(r, size);
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Goes over the xorb section: we have verified xorbs by their own bytes. */
static void skip_xorbs(Reader *r)
{
    for (const uint8_t *record; (record = records(r, 1)) && !is_bookend(record);)
        records(r, u32_at(record + 36));
}

static void parse_file(Reader *r, const uint8_t *record, ShardFile *out)
{
    uint32_t flags = u32_at(record + 32), n = u32_at(record + 36);
    *out = (ShardFile){.hash = record, .n = n, .terms = records(r, n)};
    if (flags & HAS_CHECKS)
        out->checks = records(r, n);
    if (flags & HAS_SHA256)
        out->sha256 = records(r, 1);
}

bool shard_parse(Str bytes, Arena *a, ShardFile **files, size_t *n, Str *xorbs, Error *err)
{
    Reader r = reader_of(bytes.ptr, bytes.len, "shard");
    const uint8_t *tag = reader_bytes(&r, sizeof shard_tag);
    if (tag && memcmp(tag, shard_tag, sizeof shard_tag) != 0)
        reader_fail(&r, ERR_INVALID, "not a shard");
    uint64_t version = reader_u64(&r);
    reader_u64(&r); // the footer's size: we do not need it
    if (reader_ok(&r, NULL) && version != 2)
        reader_fail(&r, ERR_INVALID, "version %llu, only 2 is known", (unsigned long long)version);
    ShardFile *list = NULL;
    size_t count = 0, cap = 0;
    for (const uint8_t *record; (record = records(&r, 1)) && !is_bookend(record);) {
        if (count == SHARD_MAX_FILES) {
            reader_fail(&r, ERR_LIMIT, "more than %d files", SHARD_MAX_FILES);
            break;
        }
        if (count == cap) {
            cap = MAX(cap * 2, (size_t)16);
            ShardFile *grown = NEW_ARRAY(a, ShardFile, cap);
            if (count)
                memcpy(grown, list, count * sizeof *list);
            list = grown;
        }
        parse_file(&r, record, &list[count++]);
    }
    size_t xorbs_at = bytes.len - reader_left(&r);
    skip_xorbs(&r);
    if (!reader_ok(&r, err))
        return NULL;
    if (xorbs)
        *xorbs = str_slice(bytes, xorbs_at, bytes.len - reader_left(&r));
    *files = list;
    *n = count;
    return true;
}

bool shard_next_xorb(Str *xorbs, ShardXorb *out)
{
    const uint8_t *record = (const uint8_t *)xorbs->ptr;
    if (xorbs->len < SHARD_RECORD || is_bookend(record))
        return false;
    *out = (ShardXorb){.hash = record, .chunks = record + SHARD_RECORD, .n = u32_at(record + 36)};
    size_t size = ((size_t)out->n + 1) * SHARD_RECORD;
    CHECK(size <= xorbs->len); // shard_parse has been over it
    *xorbs = str_slice(*xorbs, size, xorbs->len);
    return true;
}

ShardChunk shard_chunk(const ShardXorb *xorb, uint32_t i)
{
    CHECK(i < xorb->n);
    const uint8_t *p = xorb->chunks + (size_t)i * SHARD_RECORD;
    return (ShardChunk){.hash = p, .raw = u32_at(p + 36)};
}

/* ---- Writing shards ---- */

static void add_record(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t a, uint32_t b,
                       uint32_t c, uint32_t d)
{
    buf_add_bytes(out, hash, XET_HASH_SIZE);
    buf_add_bytes(out, (uint32_t[]){a, b, c, d}, 16);
}

void shard_begin(Buf *out)
{
    buf_add_bytes(out, shard_tag, sizeof shard_tag);
    buf_add_bytes(out, (uint64_t[]){2, SHARD_FOOTER_SIZE}, 16);
}

void shard_bookend(Buf *out)
{
    uint8_t record[SHARD_RECORD] = {0};
    memset(record, 0xFF, XET_HASH_SIZE);
    buf_add_bytes(out, record, sizeof record);
}

void shard_add_file(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t terms)
{
    add_record(out, hash, HAS_CHECKS | HAS_SHA256, terms, 0, 0);
}

void shard_add_term(Buf *out, const uint8_t xorb[XET_HASH_SIZE], uint32_t bytes, uint32_t start,
                    uint32_t end)
{
    add_record(out, xorb, 0, bytes, start, end);
}

void shard_add_hash(Buf *out, const uint8_t hash[XET_HASH_SIZE])
{
    add_record(out, hash, 0, 0, 0, 0);
}

void shard_add_xorb(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t chunks, uint32_t raw,
                    uint32_t packed)
{
    add_record(out, hash, 0, chunks, raw, packed);
}

void shard_add_chunk(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t at, uint32_t raw)
{
    add_record(out, hash, at, raw, 0, 0);
}

void shard_footer(Buf *out, size_t xorbs_at, int64_t now_s, int64_t until_s)
{
    uint64_t end = out->len;
    // Where lists for looking up would begin, each with its length: there are none.
    uint64_t footer[SHARD_FOOTER_SIZE / 8] = {1, SHARD_HEADER_SIZE, xorbs_at, end, 0, end, 0, end};
    footer[13] = (uint64_t)now_s;
    footer[14] = (uint64_t)until_s;
    footer[SHARD_FOOTER_SIZE / 8 - 1] = end;
    buf_add_bytes(out, footer, sizeof footer);
}

ShardTerm shard_term(const ShardFile *file, uint32_t i)
{
    CHECK(i < file->n);
    const uint8_t *p = file->terms + (size_t)i * SHARD_RECORD;
    return (ShardTerm){.xorb = p,
                       .check = file->checks ? file->checks + (size_t)i * SHARD_RECORD : NULL,
                       .bytes = u32_at(p + 36),
                       .start = u32_at(p + 40),
                       .end = u32_at(p + 44)};
}
