/* What every x_test.c includes: cmocka, and checks that show our Error when they fail.
 *
 *     static void test_reads_what_it_wrote(void **state) { ... }
 *     int main(void) { return RUN(test_reads_what_it_wrote, test_refuses_truncation); }
 */
#pragma once

#include "base/file.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

// cmocka has macros of these names that get in each other's way; `fail` is ours.
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))
#define fail(err, code, ...) error_raise((err), (code), 0, __FILE__, __LINE__, __VA_ARGS__)

#define T1(f) cmocka_unit_test(f),
#define RUN(...)                                                                                   \
    ({                                                                                             \
        const struct CMUnitTest tests_[] = {FOR_EACH(T1, __VA_ARGS__)};                            \
        cmocka_run_group_tests_name(__FILE__, tests_, NULL, NULL);                                 \
    })

/* FOR_EACH(F, a, b, c) is F(a) F(b) F(c), for up to 256 arguments. */
#define PARENS ()
#define EXPAND(...) EXPAND3(EXPAND3(EXPAND3(EXPAND3(__VA_ARGS__))))
#define EXPAND3(...) EXPAND2(EXPAND2(EXPAND2(EXPAND2(__VA_ARGS__))))
#define EXPAND2(...) EXPAND1(EXPAND1(EXPAND1(EXPAND1(__VA_ARGS__))))
#define EXPAND1(...) EXPAND0(EXPAND0(EXPAND0(EXPAND0(__VA_ARGS__))))
#define EXPAND0(...) __VA_ARGS__
#define FOR_EACH(F, ...) __VA_OPT__(EXPAND(FOR_EACH_STEP(F, __VA_ARGS__)))
#define FOR_EACH_STEP(F, first, ...) F(first) __VA_OPT__(FOR_EACH_AGAIN PARENS(F, __VA_ARGS__))
#define FOR_EACH_AGAIN() FOR_EACH_STEP

/* The call must succeed; it is given &err, declared in the test as `Error err = {0};`. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)
/* The call must fail with this code, and the text must contain `words`. */
#define assert_fails(call, expected_code, words)                                                   \
    do {                                                                                           \
        err = (Error){0};                                                                          \
        if (call)                                                                                  \
            fail_msg("%s: succeeded", #call);                                                      \
        if (err.code != (expected_code) || !strstr(err.text, (words)))                             \
            fail_msg("%s: %s '%s', expected %s '%s'", #call, error_code_name(err.code), err.text,  \
                     error_code_name(expected_code), (words));                                     \
    } while (0)
#define assert_str(s, literal)                                                                     \
    do {                                                                                           \
        Str seen_ = (s);                                                                           \
        if (!str_eq(seen_, str_of(literal)))                                                       \
            fail_msg("'%.*s' is not '%s'", STR(seen_), (literal));                                 \
    } while (0)

/* A fresh folder for this test program, below the build's temporary place; removed at exit. */
static inline const char *test_folder(void)
{
    static char path[] = "/tmp/hug-test-XXXXXX";
    static bool made;
    if (!made && !mkdtemp(path))
        abort();
    made = true;
    return path;
}
static inline void test_folder_remove(void)
{
    (void)!file_remove_tree(test_folder(), NULL);
}
/* A path below test_folder(), valid until the next 8 calls. */
static inline const char *test_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", test_folder(), name);
    return path;
}
