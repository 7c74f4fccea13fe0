/* process.c: vfork, exec, and one poll loop that moves bytes; see process.h. */
#include "base/process.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    TICK_MS = 100,    // how often cancellation is looked at
    GRACE_MS = 500,   // between asking to end and ending by force
    LOWEST_OURS = 64, // our ends lie above any number that a child may ask for
    MAX_FDS = 16,
};

typedef struct Running {
    const ProcessParams *params;
    pid_t pid;
    int in, out, errors; // our ends, -1 when closed
    int64_t deadline;    // 0: none
    char pending[CHUNK]; // of standard input, read from the callback but not yet written
    size_t pending_from, pending_to;
} Running;

/* ---- Starting ---- */

typedef struct Launch {
    const ProcessParams *params;
    int std[3];
    int fds[MAX_FDS];
    sigset_t mask;
    pid_t parent;
    volatile int failed; // errno of what the child could not do
} Launch;

/* In the child, which shares our memory until it has exec'ed: system calls only. */
__attribute__((noreturn)) static void child_run(Launch *l, char *const *argv, char *const *env)
{
    const ProcessParams *p = l->params;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != l->parent)
        _exit(127);
    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            signal(sig, SIG_DFL);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    bool ok = true;
    for (int i = 0; ok && i < 3; i++)
        ok = dup2(l->std[i], i) >= 0;
    for (size_t i = 0; ok && i < p->n_fds; i++)
        ok = dup2(l->fds[i], p->fds[i].theirs) >= 0;
    if (ok && p->folder)
        ok = chdir(p->folder) == 0;
    sigprocmask(SIG_SETMASK, &l->mask, NULL);
    if (ok)
        execvpe(argv[0], argv, env);
    l->failed = errno;
    _exit(127);
}

/* A copy of a descriptor that no number of the child's can hit. */
static int raise_fd(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_OURS);
}

/* Makes a pipe; *theirs is end 0 or 1. */
static bool pipe_high(int *ours, int *theirs, int their_end, Error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_io(err, "make a pipe");
    *theirs = raise_fd(ends[their_end]);
    *ours = raise_fd(ends[1 - their_end]);
    close(ends[0]);
    close(ends[1]);
    if (*ours < 0 || *theirs < 0)
        return fail_io(err, "make a pipe");
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return true;
}

static void launch_done(Launch *l)
{
    for (int i = 0; i < 3; i++)
        fd_close_auto(&l->std[i]);
    for (size_t i = 0; i < l->params->n_fds; i++)
        fd_close_auto(&l->fds[i]);
}

/* exec takes char *const * for reasons of history; it changes nothing. */
static char *const *exec_strings(const char *const *strings)
{
    union {
        const char *const *in;
        char *const *out;
    } u = {.in = strings};
    return u.out;
}

static pid_t spawn(Launch *l)
{
    static const char *const plain[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    const ProcessParams *p = l->params;
    char *const *argv = exec_strings(p->argv);
    char *const *env = exec_strings(p->env ? p->env : plain);
    // No handler of ours may run in the child while it shares our memory.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &l->mask);
    sigset_t ours = l->mask;
    sigemptyset(&l->mask); // for the child
    pid_t pid = vfork();
    if (pid == 0)
        child_run(l, argv, env);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &ours, NULL);
    errno = saved;
    return pid;
}

static bool start(Running *r, Error *err)
{
    const ProcessParams *p = r->params;
    CHECK(p->n_fds <= MAX_FDS);
    __attribute__((cleanup(launch_done)))
    Launch l = {.params = p, .std = {-1, -1, -1}, .parent = getpid()};
    for (size_t i = 0; i < p->n_fds; i++) {
        CHECK(p->fds[i].theirs > 2 && p->fds[i].theirs < LOWEST_OURS);
        l.fds[i] = raise_fd(p->fds[i].ours);
    }
    if (!pipe_high(&r->in, &l.std[0], 0, err) || !pipe_high(&r->out, &l.std[1], 1, err) ||
        !pipe_high(&r->errors, &l.std[2], 1, err))
        return NULL;
    r->pid = spawn(&l);
    if (r->pid < 0)
        return fail_io(err, "start '%s'", p->argv[0]);
    if (l.failed) {
        waitpid(r->pid, NULL, 0);
        r->pid = 0;
        errno = l.failed;
        return fail_io(err, "start '%s'", p->argv[0]);
    }
    return true;
}

/* ---- Pumping ---- */

static void close_end(int *fd)
{
    fd_close_auto(fd);
    *fd = -1;
}

/* Writes what waits, or asks the callback for more. */
static bool pump_in(Running *r, Error *err)
{
    const ProcessParams *p = r->params;
    if (r->pending_from == r->pending_to) {
        size_t n = 0;
        if (p->input && !p->input(p->user, r->pending, sizeof r->pending, &n, err))
            return NULL;
        r->pending_from = 0;
        r->pending_to = n;
        if (n == 0) {
            close_end(&r->in);
            return true;
        }
    }
    ssize_t done = write(r->in, r->pending + r->pending_from, r->pending_to - r->pending_from);
    if (done > 0)
        r->pending_from += (size_t)done;
    else if (done < 0 && errno != EAGAIN && errno != EINTR)
        close_end(&r->in); // it does not want the rest: its status tells whether that is wrong
    return true;
}

static bool pump_out(Running *r, int *fd, Error *err)
{
    const ProcessParams *p = r->params;
    char bytes[CHUNK];
    ssize_t got = read(*fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        close_end(fd);
        return true;
    }
    Str text = {bytes, (size_t)got};
    if (fd == &r->out)
        return !p->output || p->output(p->user, text, err);
    if (p->errors)
        buf_add(p->errors,
                str_slice(text, 0, p->errors->max ? p->errors->max - p->errors->len : text.len));
    return true;
}

static bool still_wanted(const Running *r, Error *err)
{
    if (r->params->cancelled && atomic_load(r->params->cancelled))
        return fail(err, ERR_CANCELLED, "'%s' was cancelled", r->params->argv[0]);
    if (r->deadline && clock_ns() > r->deadline)
        return fail(err, ERR_TIMEOUT, "'%s' took longer than %lld s", r->params->argv[0],
                    (long long)(r->params->timeout_ns / NS_PER_S));
    return true;
}

static bool pump(Running *r, Error *err)
{
    while (r->out >= 0 || r->errors >= 0) {
        struct pollfd polls[] = {{.fd = r->in, .events = POLLOUT},
                                 {.fd = r->out, .events = POLLIN},
                                 {.fd = r->errors, .events = POLLIN}};
        if (!still_wanted(r, err))
            return NULL;
        if (poll(polls, COUNT(polls), TICK_MS) < 0 && errno != EINTR)
            return fail_io(err, "wait for '%s'", r->params->argv[0]);
        // Output first: a program that waits for room there does not read its input.
        if (polls[1].revents && !pump_out(r, &r->out, err))
            return NULL;
        if (polls[2].revents && !pump_out(r, &r->errors, err))
            return NULL;
        if (polls[0].revents && !pump_in(r, err))
            return NULL;
    }
    return true;
}

/* Closes our ends and waits for the end of the program; kills it unless it went well. */
static int finish(Running *r, bool ok)
{
    close_end(&r->in);
    close_end(&r->out);
    close_end(&r->errors);
    if (r->pid <= 0)
        return -1;
    int raw = 0;
    pid_t done = 0;
    while (ok && (done = waitpid(r->pid, &raw, WNOHANG)) == 0 && still_wanted(r, NULL))
        usleep(1000);
    // Asked first: a program may want to remove its locks and temporary files.
    if (done != r->pid)
        kill(-r->pid, SIGTERM);
    for (int ms = 0; done != r->pid && ms < GRACE_MS; ms++) {
        usleep(1000);
        done = waitpid(r->pid, &raw, WNOHANG);
    }
    if (!ok || done != r->pid)
        kill(-r->pid, SIGKILL); // what it started and left as well
    if (done != r->pid) {
        while (waitpid(r->pid, &raw, 0) < 0 && errno == EINTR)
            ;
    }
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

bool process_run(const ProcessParams *p, int *status, Error *err)
{
    Running *r = xcalloc(1, sizeof *r);
    *r = (Running){.params = p, .in = -1, .out = -1, .errors = -1};
    r->deadline = p->timeout_ns ? clock_ns() + p->timeout_ns : 0;
    bool ok = start(r, err) && pump(r, err);
    int ended = finish(r, ok);
    ok = ok && still_wanted(r, err);
    if (ok)
        *status = ended;
    free(r);
    return ok;
}
