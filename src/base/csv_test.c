#include "base/csv.h"
#include "base/test.h"

static void test_records_and_fields_are_found(void **state)
{
    Error err = {0};
    CsvReader r = csv_reader_of(S("\xEF\xBB\xBF"
                                  "text,n\r\n\"a \"\"b\"\",\nc\",1\n\n,\"\"\nlast,"),
                                ',', "t.csv");
    static const struct {
        const char *a, *b;
        int64_t line;
    } wanted[] = {{"text", "n", 1}, {"a \"b\",\nc", "1", 2}, {"", "", 5}, {"last", "", 6}};
    AUTO_CSV_FIELDS f = {0};
    Str record;
    size_t i = 0;
    for (; csv_next(&r, &record); i++) {
        assert_ok(csv_split(record, ',', &f, &err));
        assert_int_equal(f.n, 2);
        assert_str(f.fields[0], wanted[i].a);
        assert_str(f.fields[1], wanted[i].b);
        assert_int_equal(r.line, wanted[i].line);
    }
    assert_ok(csv_ok(&r, &err));
    assert_int_equal(i, COUNT(wanted));
}

static void test_broken_records_are_named(void **state)
{
    Error err = {0};
    Str record;
    CsvReader r = csv_reader_of(S("a\n\"b\nc"), ',', "t.csv");
    assert_true(csv_next(&r, &record));
    assert_false(csv_next(&r, &record));
    assert_fails(csv_ok(&r, &err), ERR_INVALID, "t.csv: line 2: a quote is never closed");
    AUTO_CSV_FIELDS f = {0};
    assert_fails(csv_split(S("x,\"a\"b"), ',', &f, &err), ERR_INVALID,
                 "column 2: text behind the closing quote");
    AUTO_BUF many;
    buf_init(&many, 0);
    for (int i = 0; i < CSV_MAX_FIELDS; i++)
        buf_add_char(&many, ',');
    assert_fails(csv_split(buf_str(&many), ',', &f, &err), ERR_LIMIT, "more than 4096 columns");
}

int main(void)
{
    return RUN(test_records_and_fields_are_found, test_broken_records_are_named);
}
