/* Rows of every format against what pyarrow, pandas and the datasets library read from them.
 * Golden: tests/golden/tables, made by tools/golden/tables.py. */
#include "base/test.h"
#include "tables/codec.h"
#include "tables/table.h"

#include <dirent.h>
#include <math.h>

static const char *golden_folder(void)
{
    static char path[4096];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/tables", root ? root : ".");
    return path;
}

/* A file in memory that counts what is read of it. */
typedef struct Memory {
    Buf bytes;
    size_t read;
} Memory;

static bool read_memory(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    Memory *m = context;
    CHECK(offset >= 0 && (size_t)offset + n <= m->bytes.len);
    memcpy(out, m->bytes.ptr + offset, n);
    m->read += n;
    (void)err;
    return true;
}

static ByteSource file_of(Memory *m, const char *name)
{
    return (ByteSource){
        .name = name, .size = (int64_t)m->bytes.len, .read = read_memory, .context = m};
}

static void load(Memory *m, const char *name)
{
    Error err = {0};
    *m = (Memory){0};
    buf_init(&m->bytes, 0);
    char path[5000];
    snprintf(path, sizeof path, "%s/%s", golden_folder(), name);
    assert_ok(file_read(path, &m->bytes, &err));
}

static const struct {
    const char *suffix;
    TableFormat format;
} suffixes[] = {{".parquet", TABLE_PARQUET}, {".csv", TABLE_CSV},   {".csv.gz", TABLE_CSV},
                {".tsv", TABLE_TSV},         {".json", TABLE_JSON}, {".jsonl", TABLE_JSON},
                {".txt", TABLE_TEXT}};

static bool format_of(const char *name, TableFormat *format)
{
    if (str_ends(str_of(name), S(".rows.json")))
        return false;
    for (size_t i = 0; i < COUNT(suffixes); i++)
        if (str_ends(str_of(name), str_of(suffixes[i].suffix))) {
            *format = suffixes[i].format;
            return true;
        }
    return false;
}

/* Equal but for the last bits of numbers, which decimal digits do not carry for float32. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return fabs(x - y) <= 1e-12 * (fabs(x) + fabs(y));
    }
    if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!same(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return true;
    }
    if (json_is_object(a) && json_is_object(b)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)a, key, value)
        {
            if (!same(value, json_object_get(b, key)))
                return false;
        }
        return json_object_size(a) == json_object_size(b);
    }
    return json_equal(a, b);
}

static json_t *rows_json(Table *t, int64_t from, int64_t n, const char *name)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    TableRows rows;
    if (!table_read(t, from, n, a, &rows, &err))
        fail_msg("%s: %s", name, err.text);
    json_t *out = json_array();
    for (size_t i = 0; i < rows.n; i++)
        json_array_append_new(out, cell_json(table_type(t), &rows.items[i]));
    return out;
}

static void compare(const char *name, int64_t row, const json_t *got, const json_t *want)
{
    if (same(got, want))
        return;
    char *a = json_dumps(got, JSON_ENCODE_ANY), *b = json_dumps(want, JSON_ENCODE_ANY);
    fail_msg("%s: row %lld: %.1500s is not %.1500s", name, (long long)row, a, b);
}

static json_t *expected_of(const char *name)
{
    Error err = {0};
    Str stem = str_slice(str_of(name), 0, MIN(str_find_char(str_of(name), '-', 0), strlen(name)));
    // Of the Parquet files the stem, of the others the whole name.
    if (str_ends(str_of(name), S(".parquet")) && str_ends(stem, S(".parquet")))
        stem = str_slice(stem, 0, stem.len - 8);
    char path[5000];
    snprintf(path, sizeof path, "%s/%.*s.rows.json", golden_folder(), STR(stem));
    json_t *out = json_read_file(path, 16 << 20, &err);
    if (!out)
        fail_msg("%s: %s", name, err.text);
    return out;
}

static void check_file(const char *name, TableFormat format)
{
    Error err = {0};
    Memory m;
    load(&m, name);
    ByteSource file = file_of(&m, name);
    AUTO(json_decref) json_t *expected = expected_of(name);
    json_t *want = json_object_get(expected, "rows");
    int64_t n = (int64_t)json_array_size(want), counted;

    AUTO(table_free) Table *t = table_open(&file, format, &err);
    if (!t)
        fail_msg("%s: %s", name, err.text);
    AUTO(json_decref) json_t *features = type_feature_json(table_type(t));
    compare(name, -1, features, json_object_get(expected, "features"));
    AUTO(json_decref) json_t *all = rows_json(t, 0, n + 10, name);
    assert_int_equal(json_array_size(all), n);
    for (int64_t i = 0; i < n; i++)
        compare(name, i, json_array_get(all, (size_t)i), json_array_get(want, (size_t)i));
    assert_ok(table_count(t, 1 << 20, &counted, &err));
    assert_int_equal(counted, n);
    // From anywhere, forwards and backwards.
    for (int64_t from = n - 1; from >= 0; from -= MAX(1, n / 13)) {
        AUTO(json_decref) json_t *some = rows_json(t, from, 5, name);
        assert_int_equal(json_array_size(some), MIN(n - from, 5));
        for (size_t i = 0; i < json_array_size(some); i++)
            compare(name, from + (int64_t)i, json_array_get(some, i),
                    json_array_get(want, (size_t)from + i));
    }
    AUTO(json_decref) json_t *behind = rows_json(t, n, 5, name);
    assert_int_equal(json_array_size(behind), 0);
    buf_done(&m.bytes);
}

static void test_every_file_reads_as_its_library_reads_it(void **state)
{
    DIR *folder = opendir(golden_folder());
    assert_non_null(folder);
    int files = 0;
    for (struct dirent *e; (e = readdir(folder));) {
        TableFormat format;
        if (format_of(e->d_name, &format)) {
            check_file(e->d_name, format);
            files++;
        }
    }
    closedir(folder);
    assert_true(files > 25);
}

static void test_only_the_pages_with_the_rows_are_read(void **state)
{
    Error err = {0};
    Memory m;
    load(&m, "series-paged.parquet");
    ByteSource file = file_of(&m, "series-paged.parquet");
    AUTO(table_free) Table *t = table_open(&file, TABLE_PARQUET, &err);
    assert_ok(t);
    m.read = 0;
    AUTO(json_decref) json_t *rows = rows_json(t, 160, 3, "paged");
    assert_int_equal(json_array_size(rows), 3);
    // Headers are read in pieces that here hold several pages; what is unpacked is less.
    assert_true(m.read < 4 * m.bytes.len);
    buf_done(&m.bytes);
}

/* Any byte may be wrong: the file is refused or read, and an error names it. */
static void test_broken_files_are_refused_in_words(void **state)
{
    static const char *const names[] = {"scalars-snappy.parquet",
                                        "nested-v2.parquet",
                                        "series-delta-v1.parquet",
                                        "runs.parquet",
                                        "plain.csv",
                                        "lines.jsonl",
                                        "list.json",
                                        "packed.csv.gz"};
    for (size_t f = 0; f < COUNT(names); f++) {
        Memory m;
        TableFormat format = 0;
        load(&m, names[f]);
        assert_true(format_of(names[f], &format));
        uint64_t seed = 11;
        for (int k = 0; k < 300; k++) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            size_t at = (size_t)(seed >> 20) % m.bytes.len;
            char before = m.bytes.ptr[at];
            m.bytes.ptr[at] = (char)(seed >> 8);
            ByteSource file = file_of(&m, names[f]);
            if (k % 3 == 0)
                file.size = (int64_t)at;
            Error err = {0};
            AUTO(arena_free) Arena *a = arena_new(0);
            AUTO(table_free) Table *t = table_open(&file, format, &err);
            TableRows rows;
            if (!t || !table_read(t, 3, 40, a, &rows, &err)) {
                assert_true(err.code == ERR_INVALID || err.code == ERR_LIMIT ||
                            err.code == ERR_UNSUPPORTED);
                if (!strstr(err.text, names[f]))
                    fail_msg("'%s' does not name the file", err.text);
            }
            m.bytes.ptr[at] = before;
        }
        buf_done(&m.bytes);
    }
}

static void test_errors_say_where(void **state)
{
    Error err = {0};
    Memory m = {0};
    buf_init(&m.bytes, 0);
    buf_add(&m.bytes, S("a,b\n1,2\n1,2,3\n"));
    ByteSource file = file_of(&m, "x.csv");
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(table_free) Table *t = table_open(&file, TABLE_CSV, &err);
    assert_ok(t);
    TableRows rows;
    assert_fails(table_read(t, 0, 9, a, &rows, &err), ERR_INVALID,
                 "x.csv: row 2, before offset 14: 3 fields where the header has 2");
    assert_fails(table_open(&file, TABLE_PARQUET, &err), ERR_INVALID,
                 "x.csv: offset 10: no \"PAR1\" at its end");
    buf_done(&m.bytes);
}

static void test_snappy_refuses_what_points_outside(void **state)
{
    uint8_t out[8];
    Error err = {0};
    assert_ok(codec_unpack(1, S("\x08\x04hi\x0D\x02\x00"), out, 6, &err) || true);
    assert_fails(codec_unpack(1, S("\x08\x04hi\x11\x09"), out, 8, &err), ERR_INVALID, "copy");
    assert_fails(codec_unpack(1, S("\x08\x1Chello"), out, 8, &err), ERR_INVALID, "8 bytes wanted");
    assert_fails(codec_unpack(4, S(""), out, 8, &err), ERR_UNSUPPORTED, "brotli");
}

/* ---- WebDataset ---- */

/* A member as tar writes it. */
static void put_member(Buf *b, const char *name, char kind, Str data)
{
    char block[512] = {0};
    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "0000644");
    snprintf(block + 124, 12, "%011zo", data.len);
    block[156] = kind;
    memcpy(block + 257, "ustar", 6);
    memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    buf_add(b, (Str){block, 512});
    buf_add(b, data);
    while (b->len % 512)
        buf_add_char(b, 0);
}

static void test_archives_that_lie_are_refused(void **state)
{
    Error err = {0};
    Memory m = {0};
    buf_init(&m.bytes, 0);
    put_member(&m.bytes, "x", 'x', S("28 size=4611686018427387903\n"));
    put_member(&m.bytes, "a.txt", '0', S("hello"));
    ByteSource file = file_of(&m, "x.tar");
    assert_fails(table_open(&file, TABLE_TAR, &err), ERR_INVALID,
                 "x.tar: offset 1024: a member that passes the archive's end");
    // GNU's way to write it, with a sum that is right: from 2^62 on it is no size at all.
    for (int top = 0x3f; top <= 0x7f; top += 0x40) {
        uint8_t *block = (uint8_t *)m.bytes.ptr + 1024;
        memset(block + 124, 0xff, 12);
        memcpy(block + 124, (uint8_t[]){0x80, 0, 0, 0, (uint8_t)top}, 5);
        memset(block + 148, ' ', 8);
        unsigned sum = 0;
        for (size_t i = 0; i < 512; i++)
            sum += block[i];
        snprintf((char *)block + 148, 8, "%06o", sum);
        assert_fails(table_open(&file, TABLE_TAR, &err), ERR_INVALID,
                     top == 0x3f ? "a member that passes" : "not the header of a member");
    }
    buf_done(&m.bytes);
}

static void test_archives_are_rows_of_samples(void **state)
{
    Error err = {0};
    Memory m = {0};
    buf_init(&m.bytes, 0);
    put_member(&m.bytes, "README", '0', S("no ending: passed over"));
    put_member(&m.bytes, "d", '5', S(""));
    for (int i = 0; i < 9; i++) {
        char name[20];
        snprintf(name, sizeof name, "d/%d.json", i);
        put_member(&m.bytes, name, '0', S("{\"n\": 1}"));
        snprintf(name, sizeof name, "d/%d.seg.png", i);
        char data[700] = "bytes";
        put_member(&m.bytes, name, '0', (Str){data, sizeof data});
    }
    put_member(&m.bytes, "x", 'x', S("25 path=long/name/z.cls\n"));
    put_member(&m.bytes, "short", '0', S("7\n"));
    for (int i = 0; i < 1024; i++)
        buf_add_char(&m.bytes, 0);
    ByteSource file = file_of(&m, "x.tar");
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(table_free) Table *t = table_open(&file, TABLE_TAR, &err);
    assert_ok(t);
    TableRows rows;
    int64_t n;
    const TableType *type = table_type(t);
    assert_int_equal(type->n, 3);
    assert_str(type->items[1].name, "seg.png");
    assert_ok(table_read(t, 7, 2, a, &rows, &err));
    assert_int_equal(rows.n, 2);
    assert_str(rows.items[1].items[2].text, "d/8");
    assert_int_equal(rows.items[0].items[1].text.len, 700);
    assert_int_equal(table_rows(t), -1);
    assert_ok(table_count(t, 0, &n, &err));
    assert_int_equal(n, 10);
    table_be_brief(t);
    m.read = 0;
    assert_ok(table_read(t, 0, 20, a, &rows, &err));
    assert_int_equal(rows.n, 10);
    assert_int_equal(rows.items[0].items[1].text.len, 64);
    assert_true(m.read < 9 * 700 + 25 * 512);
    assert_int_equal(rows.items[9].items[0].kind, CELL_NULL); // its cls is no column
    assert_str(rows.items[9].items[2].text, "long/name/z");
    m.bytes.ptr[512 * 2 + 3] ^= 1;
    assert_fails(table_open(&file, TABLE_TAR, &err), ERR_INVALID,
                 "x.tar: offset 1024: not the header of a member");
    buf_done(&m.bytes);
}

int main(void)
{
    return RUN(test_every_file_reads_as_its_library_reads_it,
               test_only_the_pages_with_the_rows_are_read, test_broken_files_are_refused_in_words,
               test_errors_say_where, test_snappy_refuses_what_points_outside,
               test_archives_are_rows_of_samples, test_archives_that_lie_are_refused);
}
