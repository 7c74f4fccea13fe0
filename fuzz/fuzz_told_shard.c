/* Shards that tell a client which chunks the hub has. */
#include "fuzz.h"

#include "fetch/xet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    AUTO(xet_known_free) XetKnown *known = xet_known_new(NULL, NULL, false);
    if (!xet_known_add_shard(known, (Str){(const char *)data, size}, &err))
        CHECK(err.text[0]);
    uint8_t hash[XET_HASH_SIZE] = {0};
    const XetPlace *place = xet_known_find(known, hash);
    CHECK(!place || place->index < place->xorb->n);
    return 0;
}
