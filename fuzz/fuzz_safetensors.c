/* Any bytes as a safetensors file; every byte of every accepted tensor is read. */
#include "fuzz_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The GGUF target has the files that begin with its magic.
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
        return 0;
    checkpoint_free(fuzz_checkpoint(data, size));
    return 0;
}
