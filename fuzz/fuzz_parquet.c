/* Parquet: footer, pages, levels and values. */
#include "fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_table(data, size, TABLE_PARQUET);
    return 0;
}
