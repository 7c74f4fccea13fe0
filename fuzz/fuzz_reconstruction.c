/* What a store says of how a file is put together. */
#include "fuzz.h"

#include "fetch/xet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    XetPlan plan;
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!xet_plan_parse(&plan, a, (Str){(const char *)data, size}, 100, &err)) {
        CHECK(err.text[0]);
        return 0;
    }
    int64_t bytes = -plan.skip;
    for (size_t i = 0; i < plan.n; i++) {
        CHECK(plan.terms[i].chunks.end <= plan.terms[i].piece->chunks.end);
        bytes += plan.terms[i].bytes;
    }
    CHECK(bytes >= 100);
    return 0;
}
