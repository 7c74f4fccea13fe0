/* The client's half of Xet, as far as it needs no hub: what stores say, read with care. */
#include "base/test.h"

#include "fetch/xet.h"

static void hash_of(uint8_t out[XET_HASH_SIZE], int i)
{
    memset(out, 0, XET_HASH_SIZE);
    memcpy(out, &i, sizeof i);
}

/* A shard that tells of one xorb with chunks first..first+n. */
static void tell(Buf *shard, int xorb, int first, uint32_t n)
{
    uint8_t hash[XET_HASH_SIZE];
    shard_begin(shard);
    shard_bookend(shard);
    hash_of(hash, xorb);
    shard_add_xorb(shard, hash, n, n * 100, n * 50);
    for (uint32_t i = 0; i < n; i++) {
        hash_of(hash, first + (int)i);
        shard_add_chunk(shard, hash, i * 100, 100);
    }
    shard_bookend(shard);
}

static void test_places_are_learnt_from_shards(void **state)
{
    Error err = {0};
    AUTO(xet_known_free) XetKnown *k = xet_known_new(NULL, NULL, true);
    AUTO_BUF one, two;
    buf_init(&one, 0);
    buf_init(&two, 0);
    tell(&one, 1000, 0, 5);
    tell(&two, 2000, 4, 5); // has chunk 4 as well
    assert_ok(xet_known_add_shard(k, buf_str(&one), &err));
    assert_ok(xet_known_add_shard(k, buf_str(&two), &err));
    uint8_t hash[XET_HASH_SIZE], xorb[XET_HASH_SIZE];
    hash_of(hash, 4);
    hash_of(xorb, 1000);
    const XetPlace *place = xet_known_find(k, hash);
    assert_non_null(place);
    assert_int_equal(place->index, 4);
    assert_memory_equal(place->xorb->hash, xorb, sizeof xorb);
    assert_int_equal(place->xorb->chunks[4].size, 100);
    hash_of(hash, 8);
    assert_int_equal(xet_known_find(k, hash)->index, 4);
    hash_of(hash, 9);
    assert_null(xet_known_find(k, hash));
    // Cut off anywhere it is refused.
    for (size_t n = 0; n < one.len; n += 16)
        assert_fails(xet_known_add_shard(k, str_slice(buf_str(&one), 0, n), &err), ERR_INVALID, "");
}

#define PIECES                                                                                     \
    "\"xorbs\":{\"aa\":[{\"url\":\"http://h/1\",\"ranges\":[{\"chunks\":{\"start\":2,\"end\":9},"  \
    "\"bytes\":{\"start\":0,\"end\":99}}]}]}"

static void test_plans_of_both_versions(void **state)
{
    Error err = {0};
    XetPlan plan;
    AUTO(arena_free) Arena *a = arena_new(0);
    Str second =
        S("{\"offset_into_first_range\":10,\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":"
          "100,\"range\":{\"start\":3,\"end\":5}},{\"hash\":\"aa\",\"unpacked_length\":50,"
          "\"range\":{\"start\":2,\"end\":3}}]," PIECES "}");
    assert_ok(xet_plan_parse(&plan, a, second, 140, &err));
    assert_true(plan.n == 2 && plan.n_pieces == 1 && plan.skip == 10);
    assert_true(plan.terms[1].piece == &plan.pieces[0] && plan.pieces[0].bytes.end == 99);
    assert_fails(xet_plan_parse(&plan, a, second, 141, &err), ERR_INVALID, "140 bytes, 141");
    Str first =
        S("{\"offset_into_first_range\":0,\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":7,"
          "\"range\":{\"start\":0,\"end\":1}}],\"fetch_info\":{\"aa\":[{\"range\":{\"start\":"
          "0,\"end\":1},\"url\":\"http://h/1\",\"url_range\":{\"start\":5,\"end\":9}}]}}");
    assert_ok(xet_plan_parse(&plan, a, first, 7, &err));
    assert_true(plan.pieces[0].bytes.start == 5 && plan.terms[0].bytes == 7);
}

static void test_plans_that_do_not_add_up(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"terms\":[{\"hash\":\"bb\",\"unpacked_length\":9,\"range\":{\"start\":3,\"end\":5}}]"
        "," PIECES "}",
        "{\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":9,\"range\":{\"start\":1,\"end\":5}}]"
        "," PIECES "}",
        "{\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":-9,\"range\":{\"start\":3,\"end\":5}}]"
        "," PIECES "}",
        "{\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":99999999999,\"range\":{\"start\":3,"
        "\"end\":"
        "5}}]," PIECES "}",
        "{\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":9,\"range\":{\"start\":5,\"end\":3}}]"
        "," PIECES "}",
        "{\"offset_into_first_range\":9,\"terms\":[{\"hash\":\"aa\",\"unpacked_length\":9,"
        "\"range\":{"
        "\"start\":3,\"end\":5}}]," PIECES "}",
    };
    Error err = {0};
    XetPlan plan;
    AUTO(arena_free) Arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(xet_plan_parse(&plan, a, str_of(bad[i]), 5, &err), ERR_INVALID, "");
}

static void test_a_file_is_scanned_in_chunks(void **state)
{
    Error err = {0};
    AUTO(free) char *zeros = xcalloc(1, 300000);
    assert_ok(file_write_atomic(test_path("zeros"), (Str){zeros, 300000}, 0644, &err));
    XetChunks chunks = {0};
    char oid[OID_SIZE], plain[OID_SIZE];
    assert_ok(xet_scan(test_path("zeros"), 300000, &chunks, oid, &err));
    assert_ok(file_oid(test_path("zeros"), 300000, true, plain, &err));
    assert_string_equal(oid, plain);
    assert_int_equal(chunks.n, 3);
    assert_true(chunks.items[0].size == 131072 && chunks.items[2].size == 300000 - 2 * 131072);
    assert_memory_equal(chunks.items[0].hash, chunks.items[1].hash, XET_HASH_SIZE);
    xet_chunks_done(&chunks);
    assert_fails(xet_scan(test_path("none"), 1, &chunks, oid, &err), ERR_NOT_FOUND, "none");
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_places_are_learnt_from_shards, test_plans_of_both_versions,
               test_plans_that_do_not_add_up, test_a_file_is_scanned_in_chunks);
}
