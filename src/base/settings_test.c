/* Settings from their four sources. */
#include "base/settings.h"
#include "base/test.h"

typedef struct Options {
    const char *listen, *db;
    bool quiet;
    int64_t workers, memory;
} Options;

static const Setting rows[] = {
    SETTING(Options, listen, TEXT, "listen", "127.0.0.1:7860", "ADDRESS:PORT", "where to listen"),
    SETTING(Options, db, TEXT, "db", NULL, "URL", "the database"),
    SETTING(Options, quiet, FLAG, "test-quiet", NULL, NULL, "say less"),
    {.name = "workers",
     .kind = SETTING_INT,
     .offset = offsetof(Options, workers),
     .otherwise = "64",
     .value = "N",
     .help = "threads",
     .min = 1,
     .max = 1000},
    SETTING(Options, memory, BYTES, "model-memory", "0", "SIZE", "for loaded models"),
};

static bool read_all(Options *o, const char *file, char *const *args, Arena *a, Error *err)
{
    return settings_read(o, rows, COUNT(rows), &(SettingSources){.file = file, .args = args}, a,
                         err);
}

/* "--a b" as a program gets it. */
static char **args_of(Arena *a, const char *line)
{
    char **args = NEW_ARRAY(a, char *, 16);
    Str left = str_of(line), word;
    for (int i = 0; str_split(&left, ' ', &word); i++)
        args[i] = arena_cstr(a, word);
    return args;
}

static void test_later_sources_win(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Options o;
    Error err = {0};
    assert_ok(read_all(&o, NULL, NULL, a, &err));
    assert_string_equal(o.listen, "127.0.0.1:7860");
    assert_null(o.db);
    assert_false(o.quiet);
    assert_int_equal(o.workers, 64);

    assert_ok(file_write_atomic(test_path("conf"),
                                S("# ours\nlisten = :80\n\nworkers=8\nmodel-memory = 2g\n"), 0600,
                                &err));
    assert_int_equal(setenv("HUG_WORKERS", "16", 1), 0);
    assert_int_equal(setenv("HUG_TEST_QUIET", "on", 1), 0);
    assert_ok(read_all(&o, test_path("conf"), args_of(a, "--db sqlite:x --listen=:81"), a, &err));
    assert_string_equal(o.listen, ":81");
    assert_string_equal(o.db, "sqlite:x");
    assert_int_equal(o.workers, 16);
    assert_int_equal(o.memory, INT64_C(2) << 30);
    assert_true(o.quiet);
    unsetenv("HUG_WORKERS");
    unsetenv("HUG_TEST_QUIET");
    assert_ok(read_all(&o, test_path("absent"), args_of(a, "--test-quiet"), a, &err));
    assert_true(o.quiet);
}

static void test_errors_say_where(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Options o;
    Error err = {0};
    assert_fails(read_all(&o, NULL, args_of(a, "--workers 0"), a, &err), ERR_USAGE,
                 "--workers: wanted 1 to 1000, found '0'");
    assert_fails(read_all(&o, NULL, args_of(a, "--workers"), a, &err), ERR_USAGE,
                 "value is missing: N");
    assert_fails(read_all(&o, NULL, args_of(a, "--model-memory 9Q"), a, &err), ERR_USAGE, "8G");
    assert_fails(read_all(&o, NULL, args_of(a, "--nonsense"), a, &err), ERR_USAGE, "'--nonsense'");
    assert_fails(read_all(&o, NULL, args_of(a, "word"), a, &err), ERR_USAGE, "'word'");
    assert_ok(file_write_atomic(test_path("conf"), S("\nworkers = many\n"), 0600, &err));
    assert_fails(read_all(&o, test_path("conf"), NULL, a, &err), ERR_USAGE,
                 "line 2: workers: wanted a whole number, found 'many'");
}

static void test_help_lists_them(void **state)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    settings_help(rows, COUNT(rows), &text);
    assert_non_null(strstr(text.ptr, "  --listen ADDRESS:PORT        where to listen "
                                     "(127.0.0.1:7860)\n"));
    assert_non_null(strstr(text.ptr, "  --test-quiet                 say less\n"));
}

int main(void)
{
    int failed = RUN(test_later_sources_win, test_errors_say_where, test_help_lists_them);
    test_folder_remove();
    return failed;
}
