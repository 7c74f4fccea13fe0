/* progress.c: one line, redrawn in place; see progress.h. */
#include "base/progress.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 20, NARROWEST = 40, REDRAW_NS = 100000000 };

struct Progress {
    char *what;
    int64_t total, start_ns;
    bool shown; // standard error is a terminal, and we may draw
    _Atomic int64_t done;
    _Atomic int64_t next_ns; // when it may be drawn again
    pthread_mutex_t drawing;
    char words[160]; // instead of numbers; empty: none
};

void size_format(int64_t bytes, char out[SIZE_TEXT])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    // 999.95 would print as 1000.0.
    while (unit + 1 < COUNT(units) && (unit ? value >= 999.95 : value >= 1000)) {
        value /= 1000;
        unit++;
    }
    snprintf(out, SIZE_TEXT, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void duration_format(int64_t ns, char out[SIZE_TEXT])
{
    int64_t s = MIN(MAX(ns, 0) / NS_PER_S, INT64_C(359999999));
    int hours = (int)(s / 3600), minutes = (int)(s / 60 % 60), seconds = (int)(s % 60);
    if (hours)
        snprintf(out, SIZE_TEXT, "%d:%02d:%02d", hours, minutes, seconds);
    else
        snprintf(out, SIZE_TEXT, "%d:%02d", minutes, seconds);
}

/* "45%  44.3 MB/98.4 MB" and, after the first half second, rate and time left. */
static void format_numbers(Buf *out, int64_t done, int64_t total, int64_t elapsed_ns)
{
    char have[SIZE_TEXT], all[SIZE_TEXT], rate[SIZE_TEXT], left[SIZE_TEXT];
    size_format(done, have);
    if (total > 0) {
        size_format(total, all);
        buf_printf(out, "%3d%%  %s/%s", (int)((double)done * 100 / (double)total), have, all);
    } else {
        buf_printf(out, "%s", have);
    }
    if (elapsed_ns < NS_PER_S / 2 || done <= 0)
        return;
    double per_second = (double)done * (double)NS_PER_S / (double)elapsed_ns;
    size_format((int64_t)per_second, rate);
    buf_printf(out, "  %s/s", rate);
    if (total > done && per_second > 0) {
        duration_format((int64_t)((double)(total - done) / per_second * (double)NS_PER_S), left);
        buf_printf(out, "  %s left", left);
    }
}

/* What, a bar if there is room for one, and what stands behind it. */
static void format_line(Buf *out, const char *what, int64_t done, int64_t total, Str behind,
                        int columns)
{
    int width = MAX(columns, NARROWEST) - 1; // a full last column would wrap
    bool bar = total > 0 && width >= (int)behind.len + BAR + 4 + 12;
    int room = width - (int)behind.len - 2 - (bar ? BAR + 4 : 0);
    int length = (int)strlen(what);
    // The end of a path says more than its beginning.
    if (length > room && room > 3)
        buf_printf(out, "...%s", what + length - (room - 3));
    else
        buf_printf(out, "%.*s", MAX(room, 0), what);
    if (bar) {
        buf_add(out, S("  ["));
        int full = (int)((double)done * BAR / (double)total);
        for (int i = 0; i < BAR; i++)
            buf_add_char(out, i < full ? '#' : '-');
        buf_add_char(out, ']');
    }
    buf_add(out, S("  "));
    buf_add(out, behind);
}

void progress_format(Buf *out, const char *what, int64_t done, int64_t total, int64_t elapsed_ns,
                     int columns)
{
    AUTO_BUF numbers;
    buf_init(&numbers, 256);
    if (total > 0)
        done = MIN(done, total);
    format_numbers(&numbers, done, total, elapsed_ns);
    format_line(out, what, done, total, buf_str(&numbers), columns);
}

Progress *progress_new(const char *what, int64_t total, bool quiet)
{
    Progress *p = xcalloc(1, sizeof *p);
    p->what = xstrdup(what);
    p->total = total;
    p->start_ns = clock_ns();
    p->shown = !quiet && isatty(STDERR_FILENO);
    pthread_mutex_init(&p->drawing, NULL);
    return p;
}

static void draw(Progress *p, int64_t now)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size.ws_col = 80;
    AUTO_BUF line;
    buf_init(&line, 4096);
    buf_add(&line, S("\r"));
    if (p->words[0])
        format_line(&line, p->what, MIN(p->done, p->total), p->total, str_of(p->words),
                    size.ws_col);
    else
        progress_format(&line, p->what, p->done, p->total, now - p->start_ns, size.ws_col);
    buf_add(&line, S("\x1b[K"));
    fwrite(line.ptr, 1, line.len, stderr);
    fflush(stderr);
}

void progress_add(Progress *p, int64_t n)
{
    if (!p)
        return;
    p->done += n;
    int64_t now = p->shown ? clock_ns() : 0;
    if (!p->shown || now < p->next_ns || pthread_mutex_trylock(&p->drawing) != 0)
        return;
    p->next_ns = now + REDRAW_NS;
    draw(p, now);
    pthread_mutex_unlock(&p->drawing);
}

void progress_tell(Progress *p, int64_t n, const char *format, ...)
{
    if (!p)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(p->words, sizeof p->words, format, args);
    va_end(args);
    progress_add(p, n);
}

void progress_hide(Progress *p)
{
    if (!p || !p->shown)
        return;
    pthread_mutex_lock(&p->drawing);
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    pthread_mutex_unlock(&p->drawing);
}

int64_t progress_done(const Progress *p)
{
    return p->done;
}

void progress_free(Progress *p)
{
    if (!p)
        return;
    if (p->shown)
        fputs("\r\x1b[K", stderr);
    pthread_mutex_destroy(&p->drawing);
    free(p->what);
    free(p);
}
