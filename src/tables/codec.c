/* codec.c: see codec.h. Snappy's format is small enough to be read here; the others have their
 * libraries. */
#include "tables/codec.h"

#include <limits.h>
#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

enum { GZIP_OR_ZLIB = 32 + MAX_WBITS, STEP = 64 << 10 };

static bool unpack_none(Str packed, uint8_t *out, size_t n, Error *err)
{
    if (packed.len != n)
        return fail(err, ERR_INVALID, "%zu bytes where %zu were promised", packed.len, n);
    memcpy(out, packed.ptr, n);
    return true;
}

/* ---- Snappy: the length, then literals and copies of what is out already ---- */

static uint32_t little(Reader *r, unsigned n)
{
    const uint8_t *p = reader_bytes(r, n);
    uint32_t value = 0;
    for (unsigned i = 0; p && i < n; i++)
        value |= (uint32_t)p[i] << 8 * i;
    return value;
}

static void copy_back(Reader *r, uint8_t *out, size_t n, size_t *at, size_t offset, size_t len)
{
    if (offset == 0 || offset > *at || len > n - *at) {
        reader_fail(r, ERR_INVALID, "a copy of %zu bytes from %zu before", len, offset);
        return;
    }
    for (size_t i = 0; i < len; i++, ++*at) // it may overlap itself
        out[*at] = out[*at - offset];
}

static bool unpack_snappy(Str packed, uint8_t *out, size_t n, Error *err)
{
    Reader r = reader_of(packed.ptr, packed.len, "snappy");
    uint64_t promised = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(&r);
        promised |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            break;
    }
    size_t at = 0;
    while (r.error.code == ERR_NONE && reader_left(&r) > 0) {
        uint8_t tag = reader_u8(&r);
        size_t len = (size_t)(tag >> 2) + 1, offset;
        switch (tag & 3) {
        case 0: {
            if (len > 60)
                len = (size_t)little(&r, (unsigned)len - 60) + 1;
            const void *bytes = len <= n - at ? reader_bytes(&r, len) : NULL;
            if (bytes) {
                memcpy(out + at, bytes, len);
                at += len;
            } else
                reader_fail(&r, ERR_INVALID, "a literal of %zu bytes", len);
            break;
        }
        case 1:
            offset = (size_t)(tag >> 5) << 8 | reader_u8(&r);
            copy_back(&r, out, n, &at, offset, (tag >> 2 & 7) + 4);
            break;
        default:
            offset = little(&r, (tag & 3) == 2 ? 2 : 4);
            copy_back(&r, out, n, &at, offset, len);
        }
    }
    if (!reader_ok(&r, err))
        return false;
    if (at != n || promised != n)
        return fail(err, ERR_INVALID, "snappy: %zu bytes where %zu were promised", at, n);
    return true;
}

/* ---- The libraries' ---- */

static bool unpack_gzip(Str packed, uint8_t *out, size_t n, Error *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.ptr, .next_out = out};
    if (packed.len > UINT_MAX || n > UINT_MAX || inflateInit2(&z, GZIP_OR_ZLIB) != Z_OK)
        return fail(err, ERR_LIMIT, "gzip: a block of %zu bytes", packed.len);
    z.avail_in = (uInt)packed.len;
    z.avail_out = (uInt)n;
    int status = inflate(&z, Z_FINISH);
    size_t got = z.total_out;
    inflateEnd(&z);
    if ((status != Z_STREAM_END && status != Z_BUF_ERROR && status != Z_OK) || got != n)
        return fail(err, ERR_INVALID, "gzip: %zu bytes where %zu were promised", got, n);
    return true;
}

static bool unpack_zstd(Str packed, uint8_t *out, size_t n, Error *err)
{
    size_t got = ZSTD_decompress(out, n, packed.ptr, packed.len);
    if (ZSTD_isError(got))
        return fail(err, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(got));
    if (got != n)
        return fail(err, ERR_INVALID, "zstd: %zu bytes where %zu were promised", got, n);
    return true;
}

static bool unpack_lz4(Str packed, uint8_t *out, size_t n, Error *err)
{
    if (packed.len > INT_MAX || n > INT_MAX)
        return fail(err, ERR_LIMIT, "lz4: a block of %zu bytes", packed.len);
    int got = LZ4_decompress_safe(packed.ptr, (char *)out, (int)packed.len, (int)n);
    if (got < 0 || (size_t)got != n)
        return fail(err, ERR_INVALID, "lz4: %d bytes where %zu were promised", got, n);
    return true;
}

static const struct {
    const char *name;
    bool (*unpack)(Str packed, uint8_t *out, size_t n, Error *err);
} codecs[] = {
    {"none", unpack_none}, {"snappy", unpack_snappy}, {"gzip", unpack_gzip}, {"LZO", NULL},
    {"brotli", NULL},      {"Hadoop's LZ4", NULL},    {"zstd", unpack_zstd}, {"lz4", unpack_lz4},
};

bool codec_unpack(int64_t codec, Str packed, uint8_t *out, size_t n, Error *err)
{
    if (codec < 0 || codec >= (int64_t)COUNT(codecs))
        return fail(err, ERR_UNSUPPORTED, "compression %lld is not known", (long long)codec);
    if (!codecs[codec].unpack)
        return fail(err, ERR_UNSUPPORTED, "compression by %s is not supported", codecs[codec].name);
    return codecs[codec].unpack(packed, out, n, err);
}

/* ---- Whole files ---- */

static bool file_gzip(Str packed, Buf *out, Error *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.ptr, .avail_in = (uInt)packed.len};
    if (packed.len > UINT_MAX || inflateInit2(&z, GZIP_OR_ZLIB) != Z_OK)
        return fail(err, ERR_LIMIT, "gzip: a file of %zu bytes", packed.len);
    int status = Z_OK;
    while (status == Z_OK || (status == Z_STREAM_END && z.avail_in > 0)) {
        if (status == Z_STREAM_END)
            inflateReset(&z); // several members, one behind the other
        char *to = buf_reserve(out, STEP);
        if (!to)
            break;
        z.next_out = (Bytef *)to;
        z.avail_out = STEP;
        status = inflate(&z, Z_NO_FLUSH);
        out->len += STEP - z.avail_out;
    }
    inflateEnd(&z);
    if (!buf_ok(out, err))
        return fail_while(err, "gzip");
    return status == Z_STREAM_END ||
           fail(err, ERR_INVALID, "gzip: broken after %zu bytes", out->len);
}

static bool file_zstd(Str packed, Buf *out, Error *err)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    CHECK(z);
    ZSTD_inBuffer in = {packed.ptr, packed.len, 0};
    size_t left = 1;
    bool stuck = false;
    while (!ZSTD_isError(left) && !stuck && !(left == 0 && in.pos == in.size)) {
        char *to = buf_reserve(out, STEP);
        if (!to)
            break;
        ZSTD_outBuffer piece = {to, STEP, 0};
        size_t before = in.pos;
        left = ZSTD_decompressStream(z, &piece, &in);
        stuck = in.pos == before && piece.pos == 0;
        out->len += piece.pos;
    }
    ZSTD_freeDStream(z);
    if (!buf_ok(out, err))
        return fail_while(err, "zstd");
    return left == 0 || fail(err, ERR_INVALID, "zstd: broken after %zu bytes", out->len);
}

bool codec_is_packed(Str start)
{
    return str_starts(start, S("\x1F\x8B")) || str_starts(start, S("\x28\xB5\x2F\xFD"));
}

bool codec_unpack_file(Str packed, Buf *out, Error *err)
{
    return str_starts(packed, S("\x1F")) ? file_gzip(packed, out, err)
                                         : file_zstd(packed, out, err);
}
