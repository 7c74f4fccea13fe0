/* chart.c: small charts, drawn here as SVG paths, with their words for those who do not see them.
 */
#include "web/chart.h"

#include "base/clock.h"

static void day_text(int64_t day, char out[11])
{
    char iso[ISO8601_SIZE];
    iso8601_format(day * 86400 * NS_PER_S, iso);
    snprintf(out, 11, "%.10s", iso);
}

/* "M0 40L10 38...": the outline; `closed` goes down to the axis and back, for filling. */
static json_t *path_of(const int64_t *values, size_t n, int64_t most, const ChartSize *size,
                       bool closed)
{
    AUTO_BUF d;
    buf_init(&d, 0);
    if (closed)
        buf_printf(&d, "M0 %d", size->height);
    for (size_t i = 0; i < n; i++) {
        double x = n > 1 ? (double)i * size->width / (double)(n - 1) : 0;
        double y = size->height - 1 - (double)values[i] * (size->height - 2) / (double)MAX(most, 1);
        buf_printf(&d, "%c%.1f %.1f", i || closed ? 'L' : 'M', x, y);
    }
    if (closed)
        buf_printf(&d, "L%d %dZ", size->width, size->height);
    return json_from_str(buf_str(&d));
}

json_t *chart_line(const int64_t *values, size_t n, const ChartSize *size, json_t *label)
{
    int64_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = MAX(most, values[i]);
    return json_pack("{s:i, s:i, s:o, s:o, s:o}", "width", size->width, "height", size->height,
                     "line", path_of(values, n, most, size, false), "area",
                     path_of(values, n, most, size, true), "label", label);
}

json_t *chart_json(const int64_t *days, size_t n, const ChartSize *size)
{
    int64_t most = 0, total = 0, today = wall_ns() / (86400 * NS_PER_S);
    size_t at = 0;
    char first[11], last[11], top[11];
    for (size_t i = 0; i < n; i++) {
        total += days[i];
        if (days[i] > most) {
            most = days[i];
            at = i;
        }
    }
    day_text(today - (int64_t)n + 1, first);
    day_text(today, last);
    day_text(today - (int64_t)n + 1 + (int64_t)at, top);
    json_t *o =
        chart_line(days, n, size,
                   most ? json_sprintf("%lld downloads from %s to %s, the most, %lld, on %s",
                                       (long long)total, first, last, (long long)most, top)
                        : json_sprintf("No downloads from %s to %s", first, last));
    set(o, "total", json_count(total));
    set(o, "most", json_count(most));
    json_t *rows = json_array();
    for (size_t i = n; i-- > 0;) {
        char day[11];
        day_text(today - (int64_t)(n - 1 - i), day);
        json_array_append_new(rows, json_pack("{s:s, s:o}", "day", day, "n", json_count(days[i])));
    }
    set(o, "rows", rows);
    return o;
}
