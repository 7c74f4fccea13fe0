/* CSV: every field of every record is read, and lies where it should. */
#include "fuzz.h"

#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    CsvReader r = csv_reader_of((Str){(const char *)data, size}, ',', "fuzz");
    AUTO_CSV_FIELDS f = {0};
    Str record;
    volatile size_t bytes = 0;
    while (csv_next(&r, &record)) {
        CHECK(record.len > 0 && record.len <= size && r.line <= r.next_line);
        if (!csv_split(record, ',', &f, &err)) {
            CHECK(err.text[0]);
            continue;
        }
        CHECK(f.n > 0);
        for (size_t i = 0; i < f.n; i++)
            for (size_t j = 0; j < f.fields[i].len; j++)
                bytes += (size_t)f.fields[i].ptr[j];
    }
    return 0;
}
