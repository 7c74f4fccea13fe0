/* BLAKE3 against the official test vectors (test_vectors.json of the BLAKE3 team: input bytes count
 * 0 to 250 over and over; the key is the sentence below), in every way this processor has. */
#include "blobs/blake3.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/test.h"

static const struct {
    size_t length;
    const char *plain, *keyed;
} vectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213", NULL},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11", NULL},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7", NULL},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444", NULL},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a", NULL},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030", NULL},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085", NULL},
};
static const char key[] = "whats the Elvish word for friend";

static uint8_t input[1 << 18];

static void fill_input(void)
{
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)(i % 251);
}

static void assert_hash(const Blake3Way *way, const uint8_t *with, size_t n, const char *expected)
{
    uint8_t out[BLAKE3_SIZE];
    char hex[2 * BLAKE3_SIZE + 1];
    blake3_by(way, with, (Str){(const char *)input, n}, out);
    hex_encode(out, sizeof out, hex);
    if (strcmp(hex, expected) != 0)
        fail_msg("%s, %zu bytes: %s, expected %s", way->name, n, hex, expected);
}

static void test_gives_the_official_hashes(void **state)
{
    fill_input();
    size_t n;
    const Blake3Way *ways = blake3_ways(&n);
    for (size_t w = 0; w < n; w++)
        for (size_t i = 0; i < COUNT(vectors); i++) {
            assert_hash(&ways[w], NULL, vectors[i].length, vectors[i].plain);
            if (vectors[i].keyed)
                assert_hash(&ways[w], (const uint8_t *)key, vectors[i].length, vectors[i].keyed);
        }
}

static void test_all_ways_agree_at_every_length(void **state)
{
    fill_input();
    size_t n;
    const Blake3Way *ways = blake3_ways(&n);
    for (size_t length = 0; length <= 70000; length += length < 3000 ? 61 : 997) {
        uint8_t plain[BLAKE3_SIZE], other[BLAKE3_SIZE];
        Str bytes = {(const char *)input + length % 7, length};
        blake3_by(&ways[n - 1], (const uint8_t *)key, bytes, plain);
        for (size_t w = 0; w + 1 < n; w++) {
            blake3_by(&ways[w], (const uint8_t *)key, bytes, other);
            assert_memory_equal(plain, other, sizeof plain);
        }
    }
}

static void test_prints_its_speed(void **state)
{
    size_t n;
    const Blake3Way *ways = blake3_ways(&n);
    for (size_t w = 0; w < n; w++) {
        uint8_t out[BLAKE3_SIZE];
        enum { TIMES = 200, SIZE = 65536 }; // an average chunk of Xet
        int64_t start = clock_ns();
        for (int i = 0; i < TIMES; i++)
            blake3_by(&ways[w], (const uint8_t *)key, (Str){(const char *)input, SIZE}, out);
        double seconds = (double)(clock_ns() - start) / NS_PER_S;
        print_message("blake3 %s: %.2f GB/s\n", ways[w].name, SIZE / seconds * TIMES / 1e9);
    }
}

int main(void)
{
    return RUN(test_gives_the_official_hashes, test_all_ways_agree_at_every_length,
               test_prints_its_speed);
}
