/* Logs: lines of `time level event key=value ...` on standard error.
 * One info per request or job; warn means "went on without"; error means "somebody must act". The
 * end of an error's chain logs it, once. Threads: any. */
#pragma once

#include "base/str.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

/* Lines below this level are dropped; LOG_INFO at start. */
void log_set_level(LogLevel level);
bool log_level_parse(Str name, LogLevel *level);

/* log_info("push", "repo=%s bytes=%zu", id, n): the event is one word; quote values with spaces. */
#define log_debug(event, ...) log_line(LOG_DEBUG, (event), __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_INFO, (event), __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_WARN, (event), __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_ERROR, (event), __VA_ARGS__)
/* The latest warnings and errors of this process, whatever the level, as lines without their end;
 * the newest first. */
enum { LOG_KEPT = 200 };
size_t log_recent(Arena *a, Str out[LOG_KEPT]);
void log_line(LogLevel level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
