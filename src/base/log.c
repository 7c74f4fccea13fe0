/* log.c: one line, one write, so that lines of several threads never mix; see log.h. */
#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static _Atomic LogLevel least = LOG_INFO;

void log_set_level(LogLevel level)
{
    least = level;
}

bool log_level_parse(Str name, LogLevel *level)
{
    for (size_t i = 0; i < COUNT(level_names); i++)
        if (str_eq(name, str_of(level_names[i]))) {
            *level = (LogLevel)i;
            return true;
        }
    return false;
}

// ---- What was said lately ----

static struct {
    pthread_mutex_t lock;
    char *lines[LOG_KEPT];
    size_t n; // ever; the last is lines[(n - 1) % LOG_KEPT]
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep(const char *line)
{
    pthread_mutex_lock(&kept.lock);
    char **slot = &kept.lines[kept.n++ % LOG_KEPT];
    free(*slot);
    *slot = xstrdup(line);
    pthread_mutex_unlock(&kept.lock);
}

size_t log_recent(Arena *a, Str out[LOG_KEPT])
{
    pthread_mutex_lock(&kept.lock);
    size_t n = MIN(kept.n, (size_t)LOG_KEPT);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_str(a, str_of(kept.lines[(kept.n - 1 - i) % LOG_KEPT]));
    pthread_mutex_unlock(&kept.lock);
    return n;
}

// ---- Saying it ----

void log_line(LogLevel level, const char *event, const char *format, ...)
{
    if (level < least && level < LOG_WARN)
        return;
    char time[ISO8601_SIZE], line[2048];
    iso8601_format(wall_ns(), time);
    int used = snprintf(line, sizeof line, "%s %s %s ", time, level_names[level], event);
    va_list args;
    va_start(args, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    va_end(args);
    size_t n = MIN((size_t)used, sizeof line - 2);
    // A value must not be able to forge a second line.
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[n] = 0;
    if (level >= LOG_WARN)
        keep(line);
    if (level < least)
        return;
    line[n] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n + 1);
    (void)ignored;
}
