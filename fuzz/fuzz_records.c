/* CSV, JSON and text as tables; the first byte chooses. */
#include "fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const TableFormat formats[] = {TABLE_CSV, TABLE_TSV, TABLE_JSON, TABLE_TEXT};
    if (size)
        read_table(data + 1, size - 1, formats[data[0] % COUNT(formats)]);
    return 0;
}
