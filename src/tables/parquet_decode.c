/* parquet_decode.c: the encodings of values and levels. */
#include "tables/parquet_internal.h"
#include "tables/thrift.h"

enum Encoding {
    PLAIN = 0,
    PLAIN_DICTIONARY = 2,
    RLE = 3,
    DELTA_BINARY_PACKED = 5,
    DELTA_LENGTH_BYTE_ARRAY = 6,
    DELTA_BYTE_ARRAY = 7,
    RLE_DICTIONARY = 8,
    BYTE_STREAM_SPLIT = 9,
};

/* `width` bits (0 to 64) from bit `at` of the bytes, the lowest first. */
static uint64_t bits_at(const uint8_t *bytes, size_t at, int width)
{
    uint64_t value = 0;
    for (int have = 0; have < width;) {
        int shift = (int)(at % 8), take = MIN(8 - shift, width - have);
        uint64_t piece = (uint64_t)(bytes[at / 8] >> shift) & ((1u << take) - 1);
        value |= piece << have;
        have += take;
        at += (size_t)take;
    }
    return value;
}

void decode_hybrid(Reader *r, int width, uint32_t *out, size_t n)
{
    if (width > 32)
        reader_fail(r, ERR_INVALID, "values of %d bits", width);
    for (size_t done = 0; done < n && r->error.code == ERR_NONE;) {
        uint64_t head = reader_varint(r);
        if (head & 1) {
            size_t groups = (size_t)(head >> 1);
            if (groups > n || !groups) // a group is eight values, and the last may be padded
                reader_fail(r, ERR_INVALID, "%zu groups of values where %zu values are left",
                            groups, n - done);
            // Writers may end the page behind the last value that counts.
            size_t want = groups * (size_t)width, count = MIN(groups * 8, n - done);
            size_t need = (count * (size_t)width + 7) / 8;
            const uint8_t *bytes = reader_bytes(r, want <= reader_left(r) ? want : need);
            for (size_t i = 0; bytes && i < count; i++)
                out[done + i] = (uint32_t)bits_at(bytes, i * (size_t)width, width);
            done += count;
        } else {
            uint32_t value = 0;
            uint64_t count = head >> 1;
            for (int i = 0; i < (width + 7) / 8; i++)
                value |= (uint32_t)reader_u8(r) << 8 * i;
            if (!count)
                reader_fail(r, ERR_INVALID, "a run of no values");
            for (; count > 0 && done < n; count--)
                out[done++] = value;
        }
    }
}

/* ---- Where values go ---- */

static Raw *room(Reader *r, Column *column, size_t n)
{
    char *at = buf_reserve(&column->values, n * sizeof(Raw));
    if (!at) {
        reader_fail(r, ERR_LIMIT, "more than %zu bytes of values", column->values.max);
        return NULL;
    }
    column->values.len += n * sizeof(Raw);
    memset(at, 0, n * sizeof(Raw));
    return (Raw *)(void *)at;
}

static void *scratch(Reader *r, Arena *a, size_t n, size_t size)
{
    void *out = arena_try(a, n, size, &(Error){0});
    if (!out)
        reader_fail(r, ERR_LIMIT, "no memory for %zu values", n);
    return out;
}

/* ---- Plain ---- */

static void decode_plain(Reader *r, const Node *leaf, Raw *out, size_t n)
{
    switch ((enum Physical)leaf->physical) {
    case BOOLEAN: {
        const uint8_t *bits = reader_bytes(r, (n + 7) / 8);
        for (size_t i = 0; bits && i < n; i++)
            out[i].i = bits[i / 8] >> (i % 8) & 1;
        break;
    }
    case INT32:
        for (size_t i = 0; i < n && !r->error.code; i++)
            out[i].i = (int32_t)reader_u32(r);
        break;
    case INT64:
        for (size_t i = 0; i < n && !r->error.code; i++)
            out[i].i = (int64_t)reader_u64(r);
        break;
    case FLOAT:
        for (size_t i = 0; i < n && !r->error.code; i++)
            out[i].d = (double)reader_f32(r);
        break;
    case DOUBLE:
        for (size_t i = 0; i < n && !r->error.code; i++)
            out[i].d = reader_f64(r);
        break;
    case INT96:
    case FIXED: {
        size_t width = leaf->physical == INT96 ? 12 : (size_t)leaf->width;
        for (size_t i = 0; i < n && !r->error.code; i++)
            out[i].s = (Str){reader_bytes(r, width), width};
        break;
    }
    case BYTE_ARRAY:
        for (size_t i = 0; i < n && !r->error.code; i++) {
            uint32_t len = reader_u32(r);
            const char *bytes = reader_bytes(r, len);
            out[i].s = (Str){bytes, bytes ? len : 0};
        }
        break;
    case PHYSICAL_TYPES:
        break;
    }
}

/* ---- Dictionary ---- */

static void decode_indices(Reader *r, Column *column, Raw *out, size_t n, Arena *a)
{
    int width = n ? reader_u8(r) : 0;
    uint32_t *indices = scratch(r, a, n, sizeof *indices);
    if (!indices)
        return;
    decode_hybrid(r, width, indices, n);
    for (size_t i = 0; i < n && !r->error.code; i++) {
        if (indices[i] >= column->n_dictionary)
            reader_fail(r, ERR_INVALID, "value %u of a dictionary of %zu", indices[i],
                        column->n_dictionary);
        else
            out[i] = column->dictionary[indices[i]];
    }
}

/* ---- Delta ---- */

/* Blocks of differences, each block with its own least difference and widths. */
static void decode_delta(Reader *r, int64_t *out, size_t n)
{
    uint64_t block = reader_varint(r), minis = reader_varint(r), total = reader_varint(r);
    uint64_t value = (uint64_t)thrift_int(r);
    if (r->error.code)
        return;
    if (!minis || block > 1 << 20 || block % minis || block / minis % 8 || !block || total < n) {
        reader_fail(r, ERR_INVALID, "blocks of %llu differences in %llu parts, %llu values for %zu",
                    (unsigned long long)block, (unsigned long long)minis, (unsigned long long)total,
                    n);
        return;
    }
    size_t per_mini = (size_t)(block / minis), done = 0;
    if (n)
        out[done++] = (int64_t)value;
    while (done < n && r->error.code == ERR_NONE) {
        uint64_t least = (uint64_t)thrift_int(r);
        const uint8_t *widths = reader_bytes(r, (size_t)minis);
        for (uint64_t m = 0; widths && m < minis && done < n; m++) {
            if (widths[m] > 64) {
                reader_fail(r, ERR_INVALID, "differences of %d bits", widths[m]);
                break;
            }
            const uint8_t *bytes = reader_bytes(r, per_mini * widths[m] / 8);
            for (size_t i = 0; bytes && i < per_mini && done < n; i++) {
                value += least + bits_at(bytes, i * widths[m], widths[m]);
                out[done++] = (int64_t)value;
            }
        }
    }
    // What is left of the last block belongs to no value; it matters where more follows.
}

/* Reads a whole delta section: of strings, bytes follow behind it. */
static int64_t *delta_lengths(Reader *r, size_t n, Arena *a)
{
    int64_t *lengths = scratch(r, a, n + 1, sizeof *lengths);
    if (lengths)
        decode_delta(r, lengths, n);
    for (size_t i = 0; lengths && i < n && !r->error.code; i++)
        if (lengths[i] < 0 || lengths[i] > MAX_PAGE)
            reader_fail(r, ERR_INVALID, "a string of %lld bytes", (long long)lengths[i]);
    return r->error.code ? NULL : lengths;
}

static void decode_delta_strings(Reader *r, Raw *out, size_t n, Arena *a)
{
    int64_t *lengths = delta_lengths(r, n, a);
    for (size_t i = 0; lengths && i < n && !r->error.code; i++)
        out[i].s = (Str){reader_bytes(r, (size_t)lengths[i]), (size_t)lengths[i]};
}

/* Each string begins with so many bytes of the one before. */
static void decode_prefixed_strings(Reader *r, Raw *out, size_t n, Arena *a)
{
    int64_t *prefixes = delta_lengths(r, n, a);
    int64_t *suffixes = prefixes ? delta_lengths(r, n, a) : NULL;
    Str before = {0};
    for (size_t i = 0; suffixes && i < n && !r->error.code; i++) {
        size_t prefix = (size_t)prefixes[i], suffix = (size_t)suffixes[i];
        const char *bytes = reader_bytes(r, suffix);
        if (bytes && prefix > before.len)
            reader_fail(r, ERR_INVALID, "%zu bytes of a string of %zu", prefix, before.len);
        char *whole = bytes && !r->error.code ? scratch(r, a, prefix + suffix + 1, 1) : NULL;
        if (!whole)
            return;
        if (prefix)
            memcpy(whole, before.ptr, prefix);
        memcpy(whole + prefix, bytes, suffix);
        out[i].s = before = (Str){whole, prefix + suffix};
    }
}

static void decode_delta_integers(Reader *r, const Node *leaf, Raw *out, size_t n, Arena *a)
{
    int64_t *values = scratch(r, a, n + 1, sizeof *values);
    if (!values)
        return;
    decode_delta(r, values, n);
    for (size_t i = 0; i < n; i++)
        out[i].i = leaf->physical == INT32 ? (int32_t)values[i] : values[i];
}

/* ---- Byte streams: the first bytes of all values, then the second ones, ... ---- */

static void decode_streams(Reader *r, const Node *leaf, Raw *out, size_t n, Arena *a)
{
    size_t width = leaf->physical == FIXED                               ? (size_t)leaf->width
                   : leaf->physical == INT64 || leaf->physical == DOUBLE ? 8
                                                                         : 4;
    size_t total;
    if (!size_mul(width, n, &total) || total > reader_left(r)) {
        reader_fail(r, ERR_INVALID, "%zu values of %zu bytes", n, width);
        return;
    }
    const uint8_t *streams = reader_bytes(r, total);
    uint8_t *values = streams ? scratch(r, a, total + 1, 1) : NULL;
    if (!values)
        return;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++)
            values[i * width + k] = streams[k * n + i];
    Reader plain = reader_of(values, total, "byte streams");
    decode_plain(&plain, leaf, out, n);
}

static bool is_fit(int64_t encoding, int physical)
{
    switch (encoding) {
    case PLAIN:
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY:
        return true;
    case RLE:
        return physical == BOOLEAN;
    case DELTA_BINARY_PACKED:
        return physical == INT32 || physical == INT64;
    case DELTA_LENGTH_BYTE_ARRAY:
        return physical == BYTE_ARRAY;
    case DELTA_BYTE_ARRAY:
        return physical == BYTE_ARRAY || physical == FIXED;
    case BYTE_STREAM_SPLIT:
        return physical != BOOLEAN && physical != BYTE_ARRAY && physical != INT96;
    }
    return false;
}

void decode_values(Reader *r, int64_t encoding, const Node *leaf, Column *column, size_t n,
                   Arena *a)
{
    if (!is_fit(encoding, leaf->physical)) {
        reader_fail(r, ERR_UNSUPPORTED, "encoding %lld for values of type %d", (long long)encoding,
                    leaf->physical);
        return;
    }
    Raw *out = room(r, column, n);
    if (!out || !n)
        return;
    switch ((enum Encoding)encoding) {
    case PLAIN:
        decode_plain(r, leaf, out, n);
        break;
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY:
        decode_indices(r, column, out, n, a);
        break;
    case RLE: {
        uint32_t *bits = scratch(r, a, n, sizeof *bits);
        reader_u32(r); // its length
        if (bits)
            decode_hybrid(r, 1, bits, n);
        for (size_t i = 0; bits && i < n; i++)
            out[i].i = bits[i];
        break;
    }
    case DELTA_BINARY_PACKED:
        decode_delta_integers(r, leaf, out, n, a);
        break;
    case DELTA_LENGTH_BYTE_ARRAY:
        decode_delta_strings(r, out, n, a);
        break;
    case DELTA_BYTE_ARRAY:
        decode_prefixed_strings(r, out, n, a);
        break;
    case BYTE_STREAM_SPLIT:
        decode_streams(r, leaf, out, n, a);
        break;
    }
    for (size_t i = 0; r->error.code && i < n; i++)
        out[i] = (Raw){0};
}
