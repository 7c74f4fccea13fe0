/* The idioms every other folder stands on. */
#include "base/test.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/dtype.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static bool inner(Error *err)
{
    return fail(err, ERR_INVALID, "file has [32]");
}

static char *outer(Error *err)
{
    if (!inner(err))
        return fail_while(err, "open '%s'", "acme/tiny");
    return NULL;
}

static void test_errors_grow_outwards(void **state)
{
    Error err = {0};
    assert_null(outer(&err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "open 'acme/tiny': file has [32]");
    assert_null(outer(NULL));
    errno = ENOENT;
    assert_false((bool)fail_io(&err, "open 'x'"));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "open 'x': No such file or directory");
}

static void count_call(void *object)
{
    ++*(int *)object;
}

static void test_arenas_hand_out_zeroed_memory_and_run_deferred_calls(void **state)
{
    Error err = {0};
    int calls = 0;
    AUTO(arena_free) Arena *a = arena_new(1 << 20);
    for (size_t i = 1; i < 3000; i += 7) {
        unsigned char *p = arena_alloc(a, i);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(p[j], 0);
        memset(p, 0xFF, i);
        if (i % 5 == 0)
            arena_reset(a);
    }
    assert_int_equal((uintptr_t)arena_aligned(a, 100, 4096) % 4096, 0);
    arena_defer(a, count_call, &calls);
    arena_reset(a);
    assert_int_equal(calls, 1);
    assert_fails(arena_try(a, SIZE_MAX, 2, &err), ERR_LIMIT, "pass the limit");
    assert_fails(arena_try(a, 1 << 20, 2, &err), ERR_LIMIT, "1048576 items");
    assert_non_null(arena_try(a, 1 << 10, 2, &err));
}

static void test_strings_split_and_parse(void **state)
{
    Str rest = S("a,,b,"), piece;
    const char *expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(str_split(&rest, ',', &piece));
        assert_str(piece, expected[i]);
    }
    assert_false(str_split(&rest, ',', &piece));
    int64_t n;
    assert_true(str_to_int(S("-9223372036854775808"), INT64_MIN, INT64_MAX, &n));
    assert_true(n == INT64_MIN);
    assert_false(str_to_int(S("9223372036854775808"), INT64_MIN, INT64_MAX, &n));
    assert_false(str_to_int(S("12 "), 0, 100, &n));
    assert_false(str_to_int(S("-"), -10, 100, &n));
    assert_str(str_trim(S(" \t x y\n")), "x y");
    assert_int_equal(str_find(S("hello"), S("l"), 3), 3);
    assert_true(str_find(S("hello"), S("z"), 0) == SIZE_MAX);
}

static void test_utf8_refuses_what_is_not_well_formed(void **state)
{
    assert_true(str_is_utf8(S("a\xc3\xa9\xe2\x82\xac\xf0\x9f\xa4\x97")));
    const Str bad[] = {S("\xc0\x80"), S("\xed\xa0\x80"), S("\xf4\x90\x80\x80"),
                       S("\xe2\x82"), S("\x80"),         S("\xff")};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(str_is_utf8(bad[i]));
    for (int32_t code = 1; code < 0x110000; code += 37) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        char bytes[4];
        Str s = {bytes, utf8_encode(code, bytes)};
        size_t pos = 0;
        assert_int_equal(utf8_next(s, &pos), code);
        assert_int_equal(pos, s.len);
    }
}

static void test_buffers_remember_the_first_failure(void **state)
{
    Error err = {0};
    AUTO_BUF b;
    buf_init(&b, 10);
    buf_add(&b, S("12345"));
    buf_printf(&b, "%d", 678);
    assert_ok(buf_ok(&b, &err));
    buf_add(&b, S("too long"));
    buf_add(&b, S("9"));
    assert_str(buf_str(&b), "12345678");
    assert_fails(buf_ok(&b, &err), ERR_LIMIT, "more than 10 bytes");
}

static void test_readers_take_numbers_of_any_length(void **state)
{
    Error err = {0};
    Reader r = reader_of("\x05\xAC\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 13, "x.bin");
    assert_int_equal(reader_varint(&r), 5);
    assert_int_equal(reader_varint(&r), 300);
    assert_true(reader_varint(&r) == UINT64_MAX);
    assert_ok(reader_ok(&r, &err));
    r = reader_of("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, "x.bin");
    reader_varint(&r);
    assert_fails(reader_ok(&r, &err), ERR_INVALID, "more than 64 bits");
    r = reader_of("\x80", 1, "x.bin");
    reader_varint(&r);
    assert_fails(reader_ok(&r, &err), ERR_INVALID, "offset 1: 1 bytes wanted, 0 left");
}

static void test_readers_name_the_offset(void **state)
{
    Error err = {0};
    Reader r = reader_of("\1\0\0\0\2\0\0\0\0\0\0\0", 12, "x.bin");
    assert_int_equal(reader_u32(&r), 1);
    assert_int_equal(reader_u64(&r), 2);
    assert_ok(reader_ok(&r, &err));
    assert_int_equal(reader_u8(&r), 0);
    assert_fails(reader_ok(&r, &err), ERR_INVALID, "x.bin: offset 12: 1 bytes wanted, 0 left");
}

static void test_maps_keep_order_and_replace(void **state)
{
    Map m = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    static int values[5000];
    for (int i = 0; i < 5000; i++)
        assert_true(map_put(&m, str_of(arena_printf(a, "key%d", i)), &values[i]));
    assert_false(map_put(&m, S("key7"), &values[8]));
    assert_ptr_equal(map_find(&m, S("key7")), &values[8]);
    assert_ptr_equal(map_find(&m, S("key4999")), &values[4999]);
    assert_null(map_find(&m, S("nope")));
    assert_str(m.entries[42].key, "key42");
    map_done(&m);
}

static void test_encodings_round_trip(void **state)
{
    Error err = {0};
    uint8_t bytes[256], back[256];
    char hex[513];
    random_bytes(bytes, sizeof bytes);
    for (size_t n = 0; n < 256; n++) {
        hex_encode(bytes, n, hex);
        assert_true(hex_decode(str_of(hex), back, n));
        assert_memory_equal(bytes, back, n);
        AUTO_BUF text, plain;
        buf_init(&text, 0);
        buf_init(&plain, 0);
        base64_encode(&text, (Str){(char *)bytes, n});
        assert_ok(base64_decode(&plain, buf_str(&text), &err));
        assert_int_equal(plain.len, n);
        assert_memory_equal(plain.ptr, bytes, n);
    }
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(base64_decode(&out, S("ab*d"), &err), ERR_INVALID, "offset 2");
    assert_fails(base64_decode(&out, S("abcde"), &err), ERR_INVALID, "middle of a byte");
    url_encode(&out, S("a b/\xc3\xa9"), "/");
    assert_str(buf_str(&out), "a%20b/%C3%A9");
    buf_reset(&out);
    assert_ok(url_decode(&out, S("refs%2Fpr%2F1+x"), false, &err));
    assert_str(buf_str(&out), "refs/pr/1+x");
    assert_fails(url_decode(&out, S("%0"), false, &err), ERR_INVALID, "offset 0");
    assert_fails(url_decode(&out, S("a%00"), false, &err), ERR_INVALID, "NUL");
    uint8_t digest[SHA256_SIZE];
    sha256(S("abc"), digest);
    hex_encode(digest, sizeof digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_dates_are_what_the_clients_parse(void **state)
{
    char text[ISO8601_SIZE];
    int64_t wall;
    assert_true(iso8601_parse(S("2026-11-24T10:00:00.125Z"), &wall));
    iso8601_format(wall, text);
    assert_string_equal(text, "2026-11-24T10:00:00.125Z");
    assert_true(iso8601_parse(S("1970-01-01T01:00:00+01:00"), &wall));
    assert_true(wall == 0);
    iso8601_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    assert_false(iso8601_parse(S("2026-13-24T10:00:00Z"), &wall));
    assert_false(iso8601_parse(S("2026-11-24T10:00:00"), &wall));
}

static void test_files_are_replaced_whole(void **state)
{
    Error err = {0};
    const char *path = test_path("a");
    assert_ok(file_write_atomic(path, S("first"), 0600, &err));
    assert_ok(file_write_atomic(path, S("second"), 0600, &err));
    AUTO_BUF text;
    buf_init(&text, 6);
    assert_ok(file_read(path, &text, &err));
    assert_str(buf_str(&text), "second");
    AUTO_BUF small;
    buf_init(&small, 5);
    assert_fails(file_read(path, &small, &err), ERR_LIMIT, "larger than 5 bytes");
    FileMap map;
    assert_ok(file_map(&map, path, &err));
    assert_int_equal(map.len, 6);
    file_unmap(&map);
    assert_ok(file_make_folders(test_path("x/y/z"), 0700, &err));
    assert_ok(file_write_atomic(test_path("x/y/z/f"), S(""), 0600, &err));
    assert_int_equal(symlink("/etc", test_path("x/link")), 0);
    assert_ok(file_remove_tree(test_path("x"), &err));
    assert_false(file_exists(test_path("x")));
    assert_true(file_exists("/etc/passwd"));
}

/* Makes and removes files in a folder, until the folder is gone. */
static void *litter(void *folder)
{
    int *fd = folder;
    for (int i = 0; i < 100000; i++) {
        int made = openat(*fd, i % 2 ? "odd" : "even", O_CREAT | O_WRONLY, 0600);
        if (made < 0)
            break;
        close(made);
        (void)!unlinkat(*fd, i % 3 ? "even" : "odd", 0);
    }
    return NULL;
}

static void test_a_folder_goes_while_others_work_in_it(void **state)
{
    Error err = {0};
    for (int i = 0; i < 20; i++) {
        assert_ok(file_make_folders(test_path("busy/inner"), 0700, &err));
        int fd = open(test_path("busy/inner"), O_RDONLY | O_DIRECTORY);
        assert_true(fd >= 0);
        pthread_t thread = thread_start("litter", litter, &fd);
        bool gone = file_remove_tree(test_path("busy"), &err);
        pthread_join(thread, NULL);
        close(fd);
        assert_ok(gone);
        assert_false(file_exists(test_path("busy")));
    }
}

static void test_unsafe_paths_are_refused(void **state)
{
    Error err = {0};
    const Str bad[] = {S(""),       S("/a"),   S("a/"),   S("a//b"), S("."),   S("../a"),
                       S("a/../b"), S("a\\b"), S("a\0b"), S("a\nb"), S("\xff")};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(path_is_safe(bad[i], &err), ERR_INVALID, "path");
    assert_ok(path_is_safe(S("a/..b/c.d \xc3\xa9"), &err));
    assert_str(path_suffix(S("a/b.tar.gz")), ".gz");
    assert_str(path_name(S("a/b.c")), "b.c");
    assert_str(path_parent(S("a/b.c")), "a");
    assert_str(path_parent(S("/b")), "/");
    assert_str(path_parent(S("b")), "");
}

typedef struct Sample {
    int64_t layers;
    float eps, theta;
    bool tied;
    const char *act;
} Sample;

static const Field sample_fields[] = {
    NEED(Sample, layers, INT, "num_layers|n_layer"),
    OPT_RANGE(Sample, eps, FLOAT, "eps", 1e-5, 0, 1),
    OPT(Sample, theta, FLOAT, "rope.theta", 1e4),
    OPT(Sample, tied, BOOL, "tied", true),
    OPT_TEXT(Sample, act, "act", "gelu"),
};

static void test_field_tables_read_and_complain(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref)
    json_t *good = json_parse(S("{\"n_layer\": 12.0, \"rope\": {\"theta\": 5}, \"tied\": null}"),
                              "c.json", &err);
    Sample s;
    assert_ok(fields_read(&s, sample_fields, COUNT(sample_fields), good, a, &err));
    assert_true(s.layers == 12 && s.theta == 5.0f && s.tied && strcmp(s.act, "gelu") == 0);
    AUTO(json_decref) json_t *written = fields_json(&s, sample_fields, COUNT(sample_fields));
    assert_int_equal(json_int(written, "num_layers", 0), 12);
    assert_true(json_number_value(json_at(written, "rope.theta")) == 5);
    AUTO(json_decref) json_t *bad = json_parse(S("{\"n_layer\":\"x\"}"), "c.json", &err);
    assert_fails(fields_read(&s, sample_fields, COUNT(sample_fields), bad, a, &err), ERR_INVALID,
                 "'num_layers|n_layer' must be an integer, not a string");
    AUTO(json_decref) json_t *far = json_parse(S("{\"n_layer\":1,\"eps\":7}"), "c.json", &err);
    assert_fails(fields_read(&s, sample_fields, COUNT(sample_fields), far, a, &err), ERR_INVALID,
                 "must lie in 0 to 1");
    assert_fails(json_parse(S("{\"a\":}"), "c.json", &err), ERR_INVALID, "c.json: line 1");
    AUTO_BUF deep;
    buf_init(&deep, 0);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&deep, '[');
    assert_fails(json_parse(buf_str(&deep), "deep", &err), ERR_LIMIT, "deep");
}

static void test_dtypes_round_trip(void **state)
{
    Error err = {0};
    float x[256], back[256];
    for (int i = 0; i < 256; i++)
        x[i] = sinf((float)i) * 3;
    const struct {
        DType type;
        float tolerance; // half a step of the coarsest block, in units of its largest value; the
                         // block types' f16 scales add 2^-10
    } cases[] = {{DTYPE_F32, 0},          {DTYPE_F16, 0x1p-11f},  {DTYPE_BF16, 0x1p-8f},
                 {DTYPE_Q8_0, 1 / 250.f}, {DTYPE_Q4_0, 1 / 7.9f}, {DTYPE_Q4_1, 1 / 14.9f},
                 {DTYPE_Q5_0, 1 / 15.9f}, {DTYPE_Q5_1, 1 / 30.9f}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        uint8_t bytes[1024];
        assert_ok(dtype_from_f32(cases[c].type, x, bytes, 256, &err));
        dtype_to_f32(cases[c].type, bytes, back, 256);
        for (int i = 0; i < 256; i++)
            assert_true(fabsf(back[i] - x[i]) <=
                        3 * (cases[c].tolerance + (dtype_is_block(cases[c].type) ? 0x1p-10f : 0)));
    }
    assert_fails(dtype_from_f32(DTYPE_IQ4_XS, x, back, 256, &err), ERR_UNSUPPORTED, "iq4_xs");
    size_t size;
    assert_ok(dtype_size(DTYPE_Q6_K, 512, &size, &err));
    assert_int_equal(size, 420);
    assert_fails(dtype_size(DTYPE_Q6_K, 100, &size, &err), ERR_INVALID, "whole blocks");
    assert_true(f32_to_bf16(1.00390625f) == 0x3F80 && isnan(bf16_to_f32(f32_to_bf16(NAN))));
    uint8_t f8[] = {0x7E, 0x7F, 0x38, 0x01};
    dtype_to_f32(DTYPE_F8_E4M3, f8, back, 4);
    assert_true(back[0] == 448 && isnan(back[1]) && back[2] == 1 && back[3] == 0x1p-9f);
}

static void test_json_is_scanned_without_building_it(void **state)
{
    Error err = {0};
    AUTO_BUF scratch;
    buf_init(&scratch, 0);
    Str key;
    JsonScan s = json_scan_of(
        S("{\"a\\u00e9\\ud83e\\udd17\": [1, -2.5, {}], \"b\": {\"c\": [\"]\"]}, \"d\": []}"),
        "doc");
    json_scan_object(&s);
    assert_true(json_scan_key(&s, &scratch, &key));
    assert_str(key, "aé🤗");
    json_scan_array(&s);
    assert_true(json_scan_item(&s));
    assert_int_equal(json_scan_int(&s, 0, 9), 1);
    assert_true(json_scan_item(&s));
    assert_true(json_scan_number(&s) == -2.5);
    assert_true(json_scan_item(&s));
    assert_str(json_scan_skip(&s), "{}");
    assert_false(json_scan_item(&s));
    assert_true(json_scan_key(&s, &scratch, &key));
    assert_str(json_scan_skip(&s), "{\"c\": [\"]\"]}");
    assert_true(json_scan_key(&s, &scratch, &key));
    json_scan_array(&s);
    assert_false(json_scan_item(&s));
    assert_false(json_scan_key(&s, &scratch, &key));
    assert_ok(json_scan_ok(&s, &err));

    json_t *big =
        json_parse(S("{\"n\": 1000000000000000019884624838656, \"m\": [512]}"), "doc", &err);
    assert_true(json_num(big, "n", 0) == 1e30);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(big, "m"), 0)), 512);
    json_decref(big);

    s = json_scan_of(S("{\"a\": [1"), "doc");
    json_scan_object(&s);
    assert_true(json_scan_key(&s, &scratch, &key));
    json_scan_skip(&s);
    assert_false(json_scan_key(&s, &scratch, &key));
    assert_fails(json_scan_ok(&s, &err), ERR_INVALID, "doc: offset 8: the text ends in a value");
}

/* Against Python's repr(), and by reading back whatever bits there are. */
static void test_numbers_are_written_as_short_as_they_read_back(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {2.6, "2.6"},
                 {10.0, "10.0"},
                 {0.0, "0.0"},
                 {-0.0, "-0.0"},
                 {1e15, "1000000000000000.0"},
                 {1e16, "1e+16"},
                 {123456789012345680.0, "1.2345678901234568e+17"},
                 {9007199254740993.0, "9007199254740992.0"},
                 {1e22, "1e+22"},
                 {1e23, "1e+23"},
                 {1.5e-7, "1.5e-07"},
                 {0.00001, "1e-05"},
                 {0.0001, "0.0001"},
                 {1e-22, "1e-22"},
                 {5e-324, "5e-324"},
                 {0x1p-24, "5.960464477539063e-08"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {2.2250738585072014e-308, "2.2250738585072014e-308"},
                 {0.1f, "0.10000000149011612"},
                 {-1234.5, "-1234.5"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {999999999999999.9, "999999999999999.9"},
                 {-INFINITY, "-inf"},
                 {NAN, "nan"}};
    char text[DOUBLE_TEXT], full[DOUBLE_TEXT];
    for (size_t i = 0; i < COUNT(cases); i++) {
        double_format(cases[i].v, text);
        assert_string_equal(text, cases[i].text);
    }
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double v, back;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&v, &bits, sizeof v);
        if (i % 2)
            v = (double)(int64_t)(bits >> 40) / 1000; // what people write
        if (!isfinite(v))
            continue;
        double_format(v, text);
        assert_true(str_to_double(str_of(text), &back) && memcmp(&v, &back, sizeof v) == 0);
        snprintf(full, sizeof full, "%.17g", v);
        assert_true(strlen(text) <= strlen(full) + 2 || fabs(v) >= 1e15); // ".0", and 1e+15
    }
}

static void test_json_is_written_in_few_digits(void **state)
{
    const char *text =
        "{\"a\":[1,-2.5,0.1,1e-07,true,null,[],{}],\"\":\"q\\\"b\\\\n\\n\\u0001\\tä/\"}";
    Error err = {0};
    AUTO(json_decref) json_t *value = json_parse(str_of(text), "x", &err);
    AUTO_BUF out;
    buf_init(&out, 0);
    json_write(&out, value);
    assert_str(buf_str(&out), text);
    buf_reset(&out);
    json_write_indented(&out, value);
    AUTO(free) char *jansson = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    AUTO(json_decref) json_t *again = json_parse(buf_str(&out), "x", &err);
    assert_true(json_equal(value, again));
    assert_int_equal(out.len, strlen(jansson) + strlen("1e-07") - strlen("1e-7"));
    buf_reset(&out);
    json_write(&out, NULL);
    assert_int_equal(out.len, 0);
}

static void test_broken_utf8_becomes_one_mark_a_part(void **state)
{
    static const struct {
        Str in;
        const char *out;
    } rows[] = {
        {S("a\xC3\xA9z"), "aéz"},
        {S("\xE4\xB8z"), "\xEF\xBF\xBDz"}, // the beginning of a character: one mark
        {S("\xF0\x9F\xA4"), "\xEF\xBF\xBD"},
        {S("\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD"}, // never a beginning: one a byte
        {S("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF out;
        buf_init(&out, 0);
        buf_add_lossy(&out, rows[i].in);
        assert_str(buf_str(&out), rows[i].out);
    }
}

static void test_random_numbers_repeat_and_are_spread(void **state)
{
    Random a = random_of(7), b = random_of(7), c = random_of(8);
    int seen[6] = {0};
    bool differs = false;
    double sum = 0;
    for (int i = 0; i < 6000; i++) {
        uint64_t x = random_next(&a);
        assert_true(x == random_next(&b));
        differs |= x != random_next(&c);
        sum += random_unit(&a);
        random_unit(&b);
        seen[random_below(&c, 6)]++;
    }
    assert_true(differs && sum > 2900 && sum < 3100);
    for (int i = 0; i < 6; i++)
        assert_true(seen[i] > 850 && seen[i] < 1150); // five standard deviations
}

static void test_warnings_are_kept_a_while(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str lines[LOG_KEPT];
    log_set_level(LOG_ERROR); // kept even where nothing is written
    size_t before = log_recent(a, lines);
    log_info("test", "nothing to keep");
    log_warn("test", "n=%d\nforged", 1);
    assert_int_equal(log_recent(a, lines), before + 1);
    assert_true(str_ends(lines[0], S(" warn test n=1 forged")));
    for (int i = 2; i <= LOG_KEPT + 5; i++)
        log_warn("test", "n=%d", i);
    log_set_level(LOG_INFO);
    assert_int_equal(log_recent(a, lines), LOG_KEPT);
    assert_true(str_ends(lines[0], S(" n=205")) && str_ends(lines[LOG_KEPT - 1], S(" n=6")));
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_errors_grow_outwards, test_arenas_hand_out_zeroed_memory_and_run_deferred_calls,
               test_strings_split_and_parse, test_utf8_refuses_what_is_not_well_formed,
               test_buffers_remember_the_first_failure, test_readers_name_the_offset,
               test_readers_take_numbers_of_any_length, test_maps_keep_order_and_replace,
               test_encodings_round_trip, test_dates_are_what_the_clients_parse,
               test_files_are_replaced_whole, test_a_folder_goes_while_others_work_in_it,
               test_unsafe_paths_are_refused, test_field_tables_read_and_complain,
               test_dtypes_round_trip, test_json_is_scanned_without_building_it,
               test_numbers_are_written_as_short_as_they_read_back,
               test_json_is_written_in_few_digits, test_broken_utf8_becomes_one_mark_a_part,
               test_random_numbers_repeat_and_are_spread, test_warnings_are_kept_a_while);
}
