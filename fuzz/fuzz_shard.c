/* Shards: every term of every file and every chunk of every xorb is read. */
#include "fuzz.h"

#include "blobs/xet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    ShardFile *files;
    size_t n;
    Str xorbs;
    if (!shard_parse((Str){(const char *)data, size}, a, &files, &n, &xorbs, &err)) {
        CHECK(err.text[0]);
        return 0;
    }
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < n; i++)
        for (uint32_t t = 0; t < files[i].n; t++) {
            ShardTerm term = shard_term(&files[i], t);
            sum = (uint8_t)(sum + term.xorb[0] + (term.check ? term.check[31] : 0) + term.end);
        }
    for (ShardXorb xorb; shard_next_xorb(&xorbs, &xorb);)
        for (uint32_t c = 0; c < xorb.n; c++)
            sum = (uint8_t)(sum + shard_chunk(&xorb, c).hash[0] + shard_chunk(&xorb, c).raw);
    return 0;
}
