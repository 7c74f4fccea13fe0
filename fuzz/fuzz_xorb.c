/* Xorbs, in pieces whose size the first byte decides. */
#include "fuzz.h"

#include "blobs/xet.h"

static bool touch(void *user, Str packed, Str raw, Error *err)
{
    uint8_t *hash = user;
    CHECK(packed.len > CHUNK_HEADER_SIZE && raw.len > 0 && raw.len <= CHUNK_MAX_RAW);
    xet_chunk_hash(raw, hash);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t hash[XET_HASH_SIZE];
    Error err = {0};
    AUTO(xorb_parser_free) XorbParser *p = xorb_parser_new(touch, hash);
    size_t step = data[0] + (size_t)1;
    bool ok = true;
    for (size_t at = 1; ok && at < size; at += step)
        ok = xorb_parser_add(p, (Str){(const char *)data + at, MIN(step, size - at)}, &err);
    ok = ok && xorb_parser_finish(p, &err);
    CHECK(ok || err.text[0]);
    return 0;
}
