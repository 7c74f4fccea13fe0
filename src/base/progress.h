/* Progress bars on standard error, and sizes and durations as people read them.
 *
 *     model.safetensors  [#########-----------]  45%  44.3/98.4 MB  52.1 MB/s  0:01 left
 *
 * One bar at a time, redrawn at most ten times a second and erased at the end. It draws nothing
 * when standard error is not a terminal, so that logs stay readable. Threads: progress_add may be
 * called from any; new and free belong to one. */
#pragma once

#include "base/str.h"

typedef struct Progress Progress;

/* `what` is copied. total is what progress_add will sum up to, -1 if nobody knows. quiet: never
 * draw, only count. */
Progress *progress_new(const char *what, int64_t total, bool quiet)
    __attribute__((returns_nonnull));
/* n more bytes are done. NULL is fine. */
void progress_add(Progress *p, int64_t n);
/* As progress_add, with words of the caller's in the place of sizes and rate: "12/100  loss 3.21".
 * One thread only. */
void progress_tell(Progress *p, int64_t n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Erases the bar until it is next drawn, so that a line can be printed. NULL is fine. */
void progress_hide(Progress *p);
/* The sum so far. */
int64_t progress_done(const Progress *p);
/* Erases the bar. NULL is fine. */
void progress_free(Progress *p);
AUTO_FREE(Progress, progress_free)

/* One line as it is drawn, for `columns` columns, without a line end; for tests. */
void progress_format(Buf *out, const char *what, int64_t done, int64_t total, int64_t elapsed_ns,
                     int columns);

enum { SIZE_TEXT = 16 };
/* "0 B", "999 B", "12.3 kB", "98.4 MB", "1.5 TB": powers of 1000, as disks and the Hub count. */
void size_format(int64_t bytes, char out[SIZE_TEXT]);
/* "0:07", "12:30", "3:00:00" */
void duration_format(int64_t ns, char out[SIZE_TEXT]);
