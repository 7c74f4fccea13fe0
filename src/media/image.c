/* image.c: walks through PNG, JPEG and WebP files; see image.h.
 *
 * What is kept is listed, what is dropped is all else: a part that nobody here knows is not passed
 * on. Sources: PNG (W3C, third edition) section 5; JPEG (ITU T.81) annex B; Exif 2.3 section 4.6;
 * WebP (RFC 9649) section 2. */
#include "media/image.h"

static const char name[] = "image";

static uint32_t be32(Reader *r)
{
    return __builtin_bswap32(reader_u32(r));
}

static uint16_t be16(Reader *r)
{
    return __builtin_bswap16(reader_u16(r));
}

static void size_check(Reader *r, uint32_t width, uint32_t height)
{
    if (!width || !height)
        reader_fail(r, ERR_INVALID, "no width or no height");
}

/* One of these four letters each? */
static bool is_among(const char *list, const void *four)
{
    for (; *list; list += 4)
        if (!memcmp(list, four, 4))
            return true;
    return false;
}

/* ---- PNG: chunks of length, name, bytes and checksum ---- */

static const char png_mark[] = "\x89PNG\r\n\x1a\n";
static const char png_kept[] = "IHDRPLTEIDATIENDtRNSgAMAcHRMsRGBiCCPsBITbKGDpHYs";

static void png_walk(Reader *r, ImageHead *head, Buf *out)
{
    bool ended = false;
    reader_skip(r, sizeof png_mark - 1);
    buf_add_bytes(out, png_mark, sizeof png_mark - 1);
    while (!ended && !r->error.code) {
        size_t at = r->pos;
        uint32_t length = be32(r);
        const char *kind = reader_bytes(r, 4);
        if (!kind)
            return;
        if (!head->width && (memcmp(kind, "IHDR", 4) || length != 13))
            return reader_fail(r, ERR_INVALID, "a PNG begins with IHDR");
        if (!head->width) {
            Reader ihdr = *r;
            head->width = be32(&ihdr);
            head->height = be32(&ihdr);
            size_check(r, head->width, head->height);
        }
        reader_bytes(r, length);
        reader_bytes(r, 4);
        ended = !memcmp(kind, "IEND", 4);
        if (!r->error.code && is_among(png_kept, kind))
            buf_add_bytes(out, r->ptr + at, r->pos - at);
    }
}

/* ---- JPEG: segments behind markers, and between them scans of coded bytes ---- */

enum {
    JPEG_SOI = 0xD8,
    JPEG_EOI = 0xD9,
    JPEG_SOS = 0xDA,
    JPEG_APP0 = 0xE0,  // JFIF
    JPEG_APP1 = 0xE1,  // Exif and XMP
    JPEG_APP2 = 0xE2,  // colour profile
    JPEG_APP14 = 0xEE, // which colours, by Adobe
    JPEG_APP15 = 0xEF,
    JPEG_COM = 0xFE,
};

static bool jpeg_is_kept(int marker)
{
    bool application = marker >= JPEG_APP0 && marker <= JPEG_APP15;
    return marker != JPEG_COM &&
           (!application || marker == JPEG_APP0 || marker == JPEG_APP2 || marker == JPEG_APP14);
}

/* Start of frame: all of C0 to CF but the tables' DHT, JPG and DAC. */
static bool jpeg_is_frame(int marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* The orientation that an Exif segment names, 1 to 8; 1 where it does not. */
static int exif_orientation(const uint8_t *segment, size_t len)
{
    enum { HEAD = 6, ENTRY = 12, TAG = 0x0112 };
    if (len < HEAD || memcmp(segment, "Exif\0", HEAD))
        return 1;
    Reader r = reader_of(segment + HEAD, len - HEAD, name);
    bool big = reader_u16(&r) == 0x4D4D; // "MM", otherwise "II"
    reader_skip(&r, 2);
    uint32_t at = big ? be32(&r) : reader_u32(&r);
    if (at > reader_left(&r) + r.pos)
        return 1;
    r.pos = at;
    for (int n = big ? be16(&r) : reader_u16(&r); n > 0 && !r.error.code; n--) {
        int tag = big ? be16(&r) : reader_u16(&r);
        reader_skip(&r, ENTRY - 2 - 4);
        int value = big ? be16(&r) : reader_u16(&r);
        reader_skip(&r, 2);
        if (tag == TAG)
            return !r.error.code && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

/* An Exif segment that says the orientation and nothing else. */
static void jpeg_put_orientation(Buf *out, int orientation)
{
    static const uint8_t before[] = {0xFF, JPEG_APP1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,
                                     'M',  'M',       0, 42, 0,   0,   0,   8,   0, 1,
                                     0x01, 18,        0, 3,  0,   0,   0,   1,   0};
    static const uint8_t after[] = {0, 0, 0, 0, 0, 0};
    buf_add_bytes(out, before, sizeof before);
    buf_add_char(out, (char)orientation);
    buf_add_bytes(out, after, sizeof after);
}

/* Coded bytes up to the next marker; FF 00 is a byte FF, D0 to D7 only restart. */
static void jpeg_scan(Reader *r)
{
    while (reader_left(r) >= 2) {
        const uint8_t *p = memchr(r->ptr + r->pos, 0xFF, r->len - r->pos - 1);
        r->pos = p ? (size_t)(p - r->ptr) : r->len;
        if (p && p[1] && !(p[1] >= 0xD0 && p[1] <= 0xD7) && p[1] != 0xFF)
            return;
        r->pos += p && p[1] != 0xFF ? 2 : p ? 1 : 0;
    }
    reader_fail(r, ERR_INVALID, "a JPEG that does not end");
}

static int jpeg_marker(Reader *r)
{
    int marker;
    if (reader_u8(r) != 0xFF)
        reader_fail(r, ERR_INVALID, "no marker of a JPEG");
    do
        marker = reader_u8(r); // any number of FF may stand before
    while (marker == 0xFF);
    return marker;
}

static void jpeg_segment(Reader *r, ImageHead *head, Buf *out, int marker)
{
    size_t at = r->pos;
    uint16_t length = be16(r);
    const uint8_t *body = reader_bytes(r, length >= 2 ? length - 2u : SIZE_MAX);
    if (!body)
        return;
    if (marker == JPEG_APP1 && exif_orientation(body, length - 2u) != 1)
        jpeg_put_orientation(out, exif_orientation(body, length - 2u));
    if (jpeg_is_frame(marker)) {
        Reader frame = reader_of(body, length - 2u, name);
        reader_skip(&frame, 1);
        head->height = be16(&frame);
        head->width = be16(&frame);
        size_check(r, frame.error.code ? 0 : head->width, head->height);
    }
    if (marker == JPEG_SOS)
        jpeg_scan(r);
    if (r->error.code || !jpeg_is_kept(marker))
        return;
    buf_add_char(out, (char)0xFF);
    buf_add_char(out, (char)marker);
    buf_add_bytes(out, r->ptr + at, r->pos - at);
}

static void jpeg_walk(Reader *r, ImageHead *head, Buf *out)
{
    reader_skip(r, 2);
    buf_add(out, S("\xFF\xD8"));
    while (!r->error.code) {
        int marker = jpeg_marker(r);
        if (marker == JPEG_EOI)
            break;
        if (marker < 0xC0 || (marker >= 0xD0 && marker <= JPEG_SOI))
            return reader_fail(r, ERR_INVALID, "marker %02x in a JPEG", marker);
        jpeg_segment(r, head, out, marker);
    }
    buf_add(out, S("\xFF\xD9"));
    size_check(r, head->width, head->height);
}

/* ---- WebP: chunks of name, length and bytes, filled up to an even number ---- */

static const char webp_kept[] = "VP8 VP8LVP8XALPHICCPANIMANMF";
enum { WEBP_XMP_EXIF = 0x0C }; // flags of VP8X

static void webp_size(Reader *r, const uint8_t *body, uint32_t length, const char *kind,
                      ImageHead *head)
{
    Reader c = reader_of(body, length, name);
    if (!memcmp(kind, "VP8X", 4)) {
        reader_skip(&c, 4);
        head->width = reader_u24(&c) + 1;
        head->height = reader_u24(&c) + 1;
    } else if (!memcmp(kind, "VP8L", 4)) {
        reader_skip(&c, 1);
        uint32_t bits = reader_u32(&c);
        head->width = (bits & 0x3FFF) + 1;
        head->height = (bits >> 14 & 0x3FFF) + 1;
    } else if (!memcmp(kind, "VP8 ", 4)) {
        reader_skip(&c, 6);
        head->width = reader_u16(&c) & 0x3FFF;
        head->height = reader_u16(&c) & 0x3FFF;
    }
    size_check(r, c.error.code ? 0 : head->width, head->height);
}

static void webp_chunk(Reader *r, ImageHead *head, Buf *out)
{
    size_t at = r->pos;
    const char *kind = reader_bytes(r, 4);
    uint32_t length = reader_u32(r);
    const uint8_t *body = reader_bytes(r, (size_t)length + (length & 1));
    if (!body)
        return;
    if (!head->width)
        webp_size(r, body, length, kind, head);
    if (r->error.code || !is_among(webp_kept, kind))
        return;
    size_t to = out->len;
    buf_add_bytes(out, r->ptr + at, r->pos - at);
    if (!memcmp(kind, "VP8X", 4) && !out->failed)
        out->ptr[to + 8] = (char)(out->ptr[to + 8] & ~WEBP_XMP_EXIF);
}

static void webp_walk(Reader *r, ImageHead *head, Buf *out)
{
    size_t start = out->len;
    reader_skip(r, 4);
    uint32_t size = reader_u32(r);
    reader_skip(r, 4);
    if (size < 4 || size - 4 > reader_left(r))
        return reader_fail(r, ERR_INVALID, "a WebP of %u bytes that is cut", size);
    r->len = r->pos + size - 4;
    buf_add_bytes(out, r->ptr, r->pos);
    while (!r->error.code && reader_left(r))
        webp_chunk(r, head, out);
    size_check(r, head->width, head->height);
    if (out->failed)
        return;
    uint32_t whole = (uint32_t)(out->len - start - 8);
    for (int i = 0; i < 4; i++)
        out->ptr[start + 4 + (size_t)i] = (char)(whole >> 8 * i);
}

/* ---- Which one ---- */

bool image_clean(Str bytes, ImageHead *head, Buf *out, Error *err)
{
    Reader r = reader_of(bytes.ptr, bytes.len, name);
    ImageHead found = {0};
    if (str_starts(bytes, (Str){png_mark, sizeof png_mark - 1})) {
        found.type = "image/png";
        png_walk(&r, &found, out);
    } else if (str_starts(bytes, S("\xFF\xD8\xFF"))) {
        found.type = "image/jpeg";
        jpeg_walk(&r, &found, out);
    } else if (str_starts(bytes, S("RIFF")) && str_eq(str_slice(bytes, 8, 12), S("WEBP"))) {
        found.type = "image/webp";
        webp_walk(&r, &found, out);
    } else {
        return fail(err, ERR_UNSUPPORTED, "the image is none of PNG, JPEG and WebP");
    }
    if (!reader_ok(&r, err) || !buf_ok(out, err))
        return false;
    *head = found;
    return true;
}
