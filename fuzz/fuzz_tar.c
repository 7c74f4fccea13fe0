/* Any bytes as a WebDataset archive. Checksums are put right first, so that what is behind them is
 * reached. */
#include "fuzz_table.h"

static void put_sums(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512) {
        unsigned sum = 0;
        if (!data[at])
            continue;
        for (size_t i = 0; i < 512; i++)
            sum += i >= 148 && i < 156 ? ' ' : data[at + i];
        char text[9];
        snprintf(text, sizeof text, "%06o", sum & 0777777);
        memcpy(data + at + 148, text, 7);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 << 10)
        return 0;
    uint8_t *copy = memcpy(xmalloc(size + 1), data, size);
    put_sums(copy, size);
    read_table(copy, size, TABLE_TAR);
    free(copy);
    return 0;
}
