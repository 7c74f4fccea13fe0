/* Chunks are cut where hf_xet cuts them: a file's hash depends on every cut, and these are the
 * hashes that hf_xet 1.8.0 gives (hf_xet.hash_files). */
#include "blobs/xet_chunk.h"

#include "blobs/xet.h"

#include "base/test.h"

/* Bytes of a generator that Python repeats in a line. */
static void add_noise(Buf *out, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = (seed * 1103515245U + 12345U) & 0x7FFFFFFFU;
        buf_add_char(out, (char)(seed >> 16));
    }
}

static void add_zeros(Buf *out, size_t n)
{
    while (n--)
        buf_add_char(out, 0);
}

static void make(Buf *out, const char *what)
{
    buf_init(out, 0);
    if (strcmp(what, "hello") == 0)
        buf_add(out, S("hello world\n"));
    else if (strcmp(what, "noise") == 0)
        add_noise(out, 3000000, 1);
    else if (strcmp(what, "shorter than a cut") == 0)
        add_noise(out, 8191, 3);
    else if (strcmp(what, "zeros") == 0)
        add_zeros(out, 131073);
    else {
        add_noise(out, 500000, 7);
        add_zeros(out, 300000);
        add_noise(out, 700001, 9);
    }
}

typedef struct Seen {
    XetTree *tree;
    size_t n, bytes, largest;
} Seen;

static bool see(void *user, Str raw, Error *err)
{
    Seen *s = user;
    uint8_t hash[XET_HASH_SIZE];
    xet_chunk_hash(raw, hash);
    xet_tree_add(s->tree, hash, raw.len);
    s->n++;
    s->bytes += raw.len;
    s->largest = MAX(s->largest, raw.len);
    return true;
}

static void assert_file(const char *what, size_t step, const char *expected)
{
    AUTO_BUF bytes;
    make(&bytes, what);
    AUTO(xet_tree_free) XetTree *tree = xet_tree_new();
    Seen seen = {.tree = tree};
    AUTO(xet_chunker_free) XetChunker *c = xet_chunker_new(see, &seen);
    for (size_t at = 0; at < bytes.len; at += step)
        assert_true(xet_chunker_add(c, str_slice(buf_str(&bytes), at, at + step), NULL));
    assert_true(xet_chunker_finish(c, NULL));
    assert_int_equal(seen.bytes, bytes.len);
    assert_true(seen.largest <= CHUNK_CUT_MAX);
    uint8_t hash[XET_HASH_SIZE];
    char hex[XET_HEX_SIZE];
    xet_tree_root(tree, hash);
    xet_file_hash(hash, hash);
    xet_hash_format(hash, hex);
    assert_string_equal(hex, expected);
}

static void test_cuts_are_those_of_hf_xet(void **state)
{
    static const struct {
        const char *what, *hash;
    } rows[] = {
        {"hello", "a302d931b8763df0bfb9926b9ff26b11c2a77d5be8dde4ce1c8bb7202a6a8681"},
        {"noise", "dc778fe2dbc208c9e9ff2855a10ddc21be5f916f333943bca4a02ccc2e9f3854"},
        {"mixed", "719427ba22749aeb4b3ed4cbfbd7b6cb410fa84999160815591c37210a1ac55f"},
        {"shorter than a cut", "69bfc11ca5e1d1776de1b6019f3ea9f119f4a50ee2cfca8a9fa636231b0d99e7"},
        {"zeros", "83f8f48adc7310b5748295b256ca24cdce2aac457679c98526e3a19e0388f58a"},
    };
    static const size_t steps[] = {1, 63, 4096, 8191, 131072, 1 << 30};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t j = 0; j < COUNT(steps); j++)
            assert_file(rows[i].what, steps[j], rows[i].hash);
}

static void test_what_is_inserted_moves_few_cuts(void **state)
{
    AUTO_BUF bytes;
    buf_init(&bytes, 0);
    add_noise(&bytes, 2000000, 5);
    Str tail = str_slice(buf_str(&bytes), 1000, bytes.len);
    // The same bytes from another place: after a few chunks the cuts meet again.
    size_t whole[100], part[100], n = 0, m = 0;
    XetCutter c = {0};
    bool ends = true;
    for (size_t at = 0; at < bytes.len && ends;)
        whole[n++] = at += xet_cut(&c, str_slice(buf_str(&bytes), at, bytes.len), &ends);
    c = (XetCutter){0};
    ends = true;
    for (size_t at = 0; at < tail.len && ends;)
        part[m++] = at += xet_cut(&c, str_slice(tail, at, tail.len), &ends);
    assert_int_equal(whole[n - 1], part[m - 1] + 1000);
    assert_int_equal(whole[n - 10], part[m - 10] + 1000);
}

/* ---- Packing ---- */

static uint8_t assert_pack(XetPacker *p, Str raw)
{
    AUTO_BUF packed;
    buf_init(&packed, 0);
    xet_pack(p, raw, &packed);
    AUTO(xet_decoder_free) XetDecoder *d = xet_decoder_new();
    ChunkHeader h;
    Error err = {0};
    Str back;
    assert_ok(chunk_header_parse((const uint8_t *)packed.ptr, &h, &err));
    assert_ok(
        xet_decode(d, &h, str_slice(buf_str(&packed), CHUNK_HEADER_SIZE, packed.len), &back, &err));
    assert_int_equal(back.len, raw.len);
    assert_memory_equal(back.ptr, raw.ptr, raw.len);
    assert_true(packed.len <= raw.len + CHUNK_HEADER_SIZE);
    return h.scheme;
}

static void test_each_chunk_is_packed_its_own_way(void **state)
{
    AUTO(xet_packer_free) XetPacker *p = xet_packer_new();
    AUTO_BUF noise, zeros, floats;
    buf_init(&noise, 0);
    buf_init(&zeros, 0);
    buf_init(&floats, 0);
    add_noise(&noise, CHUNK_CUT_MAX, 1);
    add_zeros(&zeros, CHUNK_CUT_MAX);
    for (size_t i = 0; i < CHUNK_CUT_MAX / 4; i++) {
        float f = 1.0F / (float)(i + 40000); // exponents alike, mantissas not
        buf_add_bytes(&floats, &f, sizeof f);
    }
    assert_int_equal(assert_pack(p, buf_str(&noise)), 0);
    assert_int_equal(assert_pack(p, buf_str(&zeros)), 1);
    assert_int_equal(assert_pack(p, buf_str(&floats)), 2);
    for (size_t n = 1; n < 20; n++) {
        assert_pack(p, str_slice(buf_str(&noise), 0, n));
        assert_pack(p, str_slice(buf_str(&floats), 0, n * 999));
    }
}

int main(void)
{
    return RUN(test_cuts_are_those_of_hf_xet, test_what_is_inserted_moves_few_cuts,
               test_each_chunk_is_packed_its_own_way);
}
