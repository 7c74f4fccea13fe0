/* log.c: one line, one write, so that lines of several threads never mix; see log.h. */
#include "base/log.h"

#include "base/clock.h"

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

void log_line(LogLevel level, const char *event, const char *format, ...)
{
    if (level < least)
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
    line[n] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n + 1);
    (void)ignored;
}
