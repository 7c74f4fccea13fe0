/* Stories of programs that are run: bytes both ways, a clean environment, and ends by force. */
#include "base/process.h"

#include "base/clock.h"
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

typedef struct Pipe {
    size_t to_give, given, taken;
    bool mixed_up;
    Buf *out;
} Pipe;

static bool give(void *user, void *out, size_t max, size_t *n, Error *err)
{
    Pipe *p = user;
    *n = MIN(max, p->to_give - p->given);
    for (size_t i = 0; i < *n; i++)
        ((uint8_t *)out)[i] = (uint8_t)((p->given + i) * 31 >> 3);
    p->given += *n;
    return true;
}

static bool take(void *user, Str bytes, Error *err)
{
    Pipe *p = user;
    for (size_t i = 0; i < bytes.len; i++)
        p->mixed_up |= (uint8_t)bytes.ptr[i] != (uint8_t)((p->taken + i) * 31 >> 3);
    p->taken += bytes.len;
    return true;
}

static bool keep(void *user, Str bytes, Error *err)
{
    Pipe *p = user;
    buf_add(p->out, bytes);
    return true;
}

static void test_streams_more_than_pipes_hold(void **state)
{
    Error err = {0};
    int status = -1;
    Pipe pipe = {.to_give = 5000003};
    const char *const argv[] = {"cat", NULL};
    ProcessParams p = {.argv = argv, .input = give, .output = take, .user = &pipe};
    assert_ok(process_run(&p, &status, &err));
    assert_int_equal(status, 0);
    assert_int_equal(pipe.taken, 5000003);
    assert_false(pipe.mixed_up);
}

static void test_gets_what_it_is_given_and_no_more(void **state)
{
    Error err = {0};
    int status = -1;
    AUTO_BUF out, errors;
    buf_init(&out, 4096);
    buf_init(&errors, 8);
    setenv("HUG_SECRET", "x", 1);
    Pipe pipe = {.out = &out};
    const char *const argv[] = {"/bin/sh",
                                "-c",
                                "echo \"$A $HUG_SECRET$(pwd)$1\"; echo 'far too many words' >&2; "
                                "read -r line <&9; echo $line; kill -TERM $$",
                                "sh",
                                "$(x) 'y'",
                                NULL};
    const char *const env[] = {"A=b c", "PATH=/usr/bin:/bin", NULL};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "ninth\n", 6), 6);
    ProcessFd fds[] = {{.ours = ends[0], .theirs = 9}};
    ProcessParams p = {.argv = argv,
                       .env = env,
                       .folder = "/",
                       .fds = fds,
                       .n_fds = 1,
                       .output = keep,
                       .user = &pipe,
                       .errors = &errors};
    assert_ok(process_run(&p, &status, &err));
    assert_str(buf_str(&out), "b c /$(x) 'y'\nninth\n");
    assert_str(buf_str(&errors), "far too ");
    assert_int_equal(status, 128 + 15);
    close(ends[0]);
    close(ends[1]);
}

static bool refuse(void *user, Str bytes, Error *err)
{
    return fail(err, ERR_LIMIT, "enough");
}

static void test_ends_by_force(void **state)
{
    Error err = {0};
    int status = -1;
    int64_t before = clock_ns();
    const char *const argv[] = {"/bin/sh", "-c", "sleep 60 & echo; sleep 60", NULL};
    ProcessParams p = {.argv = argv, .timeout_ns = 200 * NS_PER_MS};
    assert_fails(process_run(&p, &status, &err), ERR_TIMEOUT, "'/bin/sh' took longer");
    atomic_bool cancelled = true;
    p = (ProcessParams){.argv = argv, .cancelled = &cancelled};
    assert_fails(process_run(&p, &status, &err), ERR_CANCELLED, "cancelled");
    p = (ProcessParams){.argv = argv, .output = refuse};
    assert_fails(process_run(&p, &status, &err), ERR_LIMIT, "enough");
    assert_true(clock_ns() - before < 20 * NS_PER_S);
    const char *const none[] = {"no-such-program-here", NULL};
    p = (ProcessParams){.argv = none};
    assert_fails(process_run(&p, &status, &err), ERR_NOT_FOUND, "start 'no-such-program-here'");
    assert_int_equal(status, -1);
}

static void test_one_that_does_not_read_is_not_waited_for(void **state)
{
    Error err = {0};
    int status = -1;
    Pipe pipe = {.to_give = 10000000};
    const char *const argv[] = {"/bin/sh", "-c", "exit 7", NULL};
    ProcessParams p = {.argv = argv, .input = give, .user = &pipe};
    assert_ok(process_run(&p, &status, &err));
    assert_int_equal(status, 7);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); // as every program here that talks to others
    return RUN(test_streams_more_than_pipes_hold, test_gets_what_it_is_given_and_no_more,
               test_ends_by_force, test_one_that_does_not_read_is_not_waited_for);
}
