/* type.c: times as text. */
#include "tables/tables_internal.h"

enum { SECONDS_PER_DAY = 86400 };

/* Floored, so that what is before 1970 has a remainder of its own as well. */
static int64_t divide(int64_t value, int64_t by, int64_t *rest)
{
    int64_t quotient = value / by;
    *rest = value % by;
    if (*rest < 0) {
        *rest += by;
        quotient--;
    }
    return quotient;
}

/* The Gregorian date of a day counted from 1970-01-01: days are counted from 1 March of year 0, so
 * that the leap day is a year's last. False outside the years 1 to 9999. */
static bool civil_date(int64_t days, int *year, int *month, int *day)
{
    if (days < -719162 || days > 2932896)
        return false;
    int64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
    return true;
}

Str date_text(Arena *a, int64_t days)
{
    int year, month, day;
    if (!civil_date(days, &year, &month, &day))
        return str_of(arena_printf(a, "%lld", (long long)days));
    return str_of(arena_printf(a, "%04d-%02d-%02d", year, month, day));
}

static void add_clock(Buf *out, int64_t second, int64_t fraction, int64_t unit)
{
    buf_printf(out, "%02d:%02d:%02d", (int)(second / 3600), (int)(second / 60 % 60),
               (int)(second % 60));
    if (fraction) // to the microsecond, as Python writes it, or to the nanosecond where it has some
        buf_printf(out, unit > 1000000 && fraction % 1000 ? ".%09lld" : ".%06lld",
                   (long long)(unit > 1000000 && !(fraction % 1000) ? fraction / 1000
                               : unit == 1000                       ? fraction * 1000
                                                                    : fraction));
}

Str clock_text(Arena *a, int64_t value, int64_t unit)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    int64_t fraction, second = divide(value, unit, &fraction);
    if (second < 0 || second >= SECONDS_PER_DAY)
        return str_of(arena_printf(a, "%lld", (long long)value));
    add_clock(&out, second, fraction, unit);
    return arena_str(a, buf_str(&out));
}

Str time_text(Arena *a, int64_t value, int64_t unit, bool utc)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    int year, month, day;
    int64_t fraction, second,
        days = divide(divide(value, unit, &fraction), SECONDS_PER_DAY, &second);
    if (!civil_date(days, &year, &month, &day))
        return str_of(arena_printf(a, "%lld", (long long)value));
    buf_printf(&out, "%04d-%02d-%02dT", year, month, day);
    add_clock(&out, second, fraction, unit);
    if (utc)
        buf_add(&out, S("+00:00"));
    return arena_str(a, buf_str(&out));
}
