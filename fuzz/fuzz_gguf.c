/* Any bytes behind "GGUF": parsed, all metadata printed, every byte of every tensor read. */
#include "fuzz_checkpoint.h"

#include "formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || memcmp(data, "GGUF", 4) != 0)
        return 0;
    AUTO(checkpoint_free) Checkpoint *c = fuzz_checkpoint(data, size);
    if (!c)
        return 0;
    AUTO(arena_free) Arena *a = arena_new(0);
    Str *strs;
    double *nums;
    AUTO(json_decref) json_t *all = gguf_to_json(checkpoint_gguf(c), 1000);
    AUTO(json_decref) json_t *config = checkpoint_config(c, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value)
    {
        gguf_strs(checkpoint_gguf(c), key, a, &strs);
        gguf_nums(checkpoint_gguf(c), key, a, &nums);
    }
    return 0;
}
