/* Options: every kind, both spellings, and what is refused. */
#include "base/test.h"
#include "cli/options.h"

typedef struct Sample {
    bool greedy;
    int64_t limit;
    double heat;
    const char *dtype;
    OptionList set;
    OptionSwitch private_, gated;
} Sample;

static const Option options[] = {
    FLAG(Sample, greedy, "--greedy", "always the likeliest"),
    VALUE(Sample, limit, INT, "-n|--limit", "N", "at most this many"),
    VALUE(Sample, heat, NUM, "--heat", "T", "how wild"),
    VALUE(Sample, dtype, TEXT, "--dtype", "D", "of the weights"),
    VALUE(Sample, set, LIST, "-p", "KEY=VALUE", "a parameter"),
    SWITCH(Sample, private_, "--private", "hidden"),
    SWITCH(Sample, gated, "--gated", "behind a form"),
};

static void test_options_are_taken_out_and_the_rest_stays(void **state)
{
    Error err = {0};
    Sample s = {.heat = 1, .dtype = "f32"};
    char verb[] = "run", a[] = "model", b[] = "--limit=7", c[] = "-p", d[] = "a=b", e[] = "-p=c",
         f[] = "--greedy", g[] = "--", h[] = "--heat", i[] = "-";
    char *args[] = {verb, a, b, c, d, i, e, f, g, h, NULL};
    int n = COUNT(args) - 1;
    assert_ok(options_read(&s, options, COUNT(options), &n, args, &err));
    assert_int_equal(n, 4);
    assert_string_equal(args[1], "model");
    assert_string_equal(args[2], "-");
    assert_string_equal(args[3], "--heat");
    assert_null(args[4]);
    assert_true(s.greedy && s.limit == 7 && s.heat == 1 && s.set.n == 2);
    assert_string_equal(s.set.items[0], "a=b");
    assert_string_equal(s.set.items[1], "c");
}

static void test_switches_say_yes_or_no_and_short_values_may_stick(void **state)
{
    Error err = {0};
    Sample s = {0};
    char verb[] = "run", a[] = "--private", b[] = "--no-gated", c[] = "-n12";
    char *args[] = {verb, a, b, c, NULL};
    int n = COUNT(args) - 1;
    assert_ok(options_read(&s, options, COUNT(options), &n, args, &err));
    assert_int_equal(n, 1);
    assert_true(s.private_ == SWITCH_YES && s.gated == SWITCH_NO && s.limit == 12);
}

static void refuse(const char *one, const char *two, const char *words)
{
    Error err;
    Sample s = {0};
    char verb[] = "run", first[40], second[40];
    snprintf(first, sizeof first, "%s", one);
    snprintf(second, sizeof second, "%s", two ? two : "");
    char *args[] = {verb, first, two ? second : NULL, NULL};
    int n = two ? 3 : 2;
    assert_fails(options_read(&s, options, COUNT(options), &n, args, &err), ERR_USAGE, words);
}

static void test_misuse_is_named(void **state)
{
    refuse("--wrong", NULL, "no option '--wrong'; `hug help run`");
    refuse("--limit", NULL, "'--limit' needs a value");
    refuse("--limit", "x", "takes a whole number, not 'x'");
    refuse("--heat=", NULL, "takes a number, not ''");
    refuse("--greedy=1", NULL, "takes no value");
    refuse("--private=1", NULL, "takes no value");
    refuse("--no-greedy", NULL, "no option '--no-greedy'");
}

static void test_help_has_one_line_an_option(void **state)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    options_help(options, 2, &text);
    assert_str(buf_str(&text), "  --greedy                   always the likeliest\n"
                               "  -n, --limit N              at most this many\n");
}

int main(void)
{
    return RUN(test_options_are_taken_out_and_the_rest_stays,
               test_switches_say_yes_or_no_and_short_values_may_stick, test_misuse_is_named,
               test_help_has_one_line_an_option);
}
