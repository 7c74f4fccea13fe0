/* clock.c: clocks and ISO 8601; see clock.h. */
#include "base/clock.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void iso8601_format(int64_t wall, char out[ISO8601_SIZE])
{
    int64_t ms = wall / NS_PER_MS - (wall % NS_PER_MS < 0);
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    snprintf(out, ISO8601_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)(ms - seconds * 1000) % 1000);
}

/* n digits at *pos as a number, -1 if they are not digits. */
static int digits(Str s, size_t *pos, size_t n)
{
    int64_t value;
    if (*pos + n > s.len || !str_to_int(str_slice(s, *pos, *pos + n), 0, 9999, &value))
        return -1;
    *pos += n;
    return (int)value;
}

static bool expect(Str s, size_t *pos, char c)
{
    if (*pos >= s.len || s.ptr[*pos] != c)
        return false;
    ++*pos;
    return true;
}

bool iso8601_parse(Str s, int64_t *wall)
{
    size_t pos = 0;
    struct tm tm = {0};
    if ((tm.tm_year = digits(s, &pos, 4) - 1900) < -1900 || !expect(s, &pos, '-') ||
        (tm.tm_mon = digits(s, &pos, 2) - 1) < 0 || tm.tm_mon > 11 || !expect(s, &pos, '-') ||
        (tm.tm_mday = digits(s, &pos, 2)) < 1 || tm.tm_mday > 31 ||
        !(expect(s, &pos, 'T') || expect(s, &pos, ' ')) || (tm.tm_hour = digits(s, &pos, 2)) < 0 ||
        tm.tm_hour > 23 || !expect(s, &pos, ':') || (tm.tm_min = digits(s, &pos, 2)) < 0 ||
        tm.tm_min > 59 || !expect(s, &pos, ':') || (tm.tm_sec = digits(s, &pos, 2)) < 0 ||
        tm.tm_sec > 60)
        return false;
    int64_t fraction = 0;
    if (expect(s, &pos, '.')) {
        int64_t scale = NS_PER_S;
        size_t from = pos;
        for (; pos < s.len && s.ptr[pos] >= '0' && s.ptr[pos] <= '9'; pos++) {
            scale /= 10;
            fraction += (s.ptr[pos] - '0') * scale;
        }
        if (pos == from)
            return false;
    }
    int64_t offset = 0;
    if (!expect(s, &pos, 'Z')) {
        bool minus = expect(s, &pos, '-');
        if (!minus && !expect(s, &pos, '+'))
            return false;
        int hours = digits(s, &pos, 2);
        expect(s, &pos, ':');
        int minutes = digits(s, &pos, 2);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return false;
        offset = (hours * 60 + minutes) * (minus ? -60 : 60);
    }
    if (pos != s.len)
        return false;
    *wall = ((int64_t)timegm(&tm) - offset) * NS_PER_S + fraction;
    return true;
}
